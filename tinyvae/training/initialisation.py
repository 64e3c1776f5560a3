"""Where the weights of the networks start."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from tinyvae.derivation.parameters import Parameters
from tinyvae.machine import noise
from tinyvae.settings import INITIALISATIONS
from tinyvae.types import Array

Draw = Callable[..., Array]  # noise.uniform or noise.normal, with all arguments


def initialise(params: Parameters, scheme: str, seed: int) -> None:
    """Draw the weights ``*.W``, in place, and set the biases ``*.b`` to zero; every layer has a draw of its own.

    Args:
        params: Parameters.
        scheme: name in ``settings.INITIALISATIONS``.
        seed: integer.
    """
    for i, (name, array) in enumerate(params.items()):
        place: dict[str, Any] = {"shape": (1, *array.shape), "seed": seed, "stream": noise.Stream.PARAMETERS, "step": i}
        if name.endswith(".b"):
            array[:] = 0
        elif name.endswith(".W"):
            array[:] = INITIALISATIONS[scheme](partial(noise.uniform, **place), partial(noise.normal, **place))[0]


def glorot(uniform: Draw, normal: Draw) -> Array:
    """Uniform between ± sqrt(6 / (I + J)), for W (I, J) (Glorot and Bengio 2010, Eq. 16).

    Of a convolution's filters I and J are the sides of their matrix, k k C and C'.
    """
    numbers = uniform()
    return (2 * numbers - 1) * np.sqrt(6 / sum(numbers.shape[1:]))


# AEVB, section 5, draws from N(0, 0.01). In a paper whose second argument of N is a variance throughout that is a
# standard deviation of 0.1; many readers and programs take 0.01 itself for it.


def aevb(uniform: Draw, normal: Draw) -> Array:
    """Normal with the standard deviation 0.1."""
    return 0.1 * normal()


def aevb_narrow(uniform: Draw, normal: Draw) -> Array:
    """Normal with the standard deviation 0.01."""
    return 0.01 * normal()
