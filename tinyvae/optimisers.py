"""Gradient ascent on a bound: SGD with momentum, Adagrad and Adam, each over the flat vector of all parameters.

The gradient ``g`` points uphill, the step is added: a bound is maximised.
"""

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import DTypeLike

from tinyvae import machine, shared
from tinyvae.desk import Job
from tinyvae.recipes import iwae_epochs
from tinyvae.types import Array

Rule = tuple[Job, list[np.ndarray], tuple[float, ...]]  # the job of a step, its arrays and its numbers


class Optimiser:
    """What all of them have in common: numbers beside each parameter, and a step.

    Args:
        size: P, the number of parameters.
        dtype: of the parameters.

    Attributes:
        state: {name: array}, all that a checkpoint must hold.
    """

    state: dict[str, np.ndarray]

    def update(self, theta: Array, g: Array, rate: float, cuts: np.ndarray | None = None) -> float:
        """One step, in place.

        Args:
            theta: (P,) parameters.
            g: (P,) gradient.
            rate: the step's length.
            cuts: (n, 2) int64, where the parts that threads share begin and end; all in one by default.

        Returns: the sum of theta, to detect divergence.
        """
        self.state["steps"] += 1
        cuts = np.array([[0, theta.size]], np.int64) if cuts is None else cuts
        job, state, options = self._rule(rate, int(self.state["steps"][0]))
        return machine.update(job, theta, g, state, options, cuts)

    def _rule(self, rate: float, t: int) -> Rule:
        """What step t does with the parameters, in each optimiser's own way."""
        raise NotImplementedError


class SGD(Optimiser):
    """Stochastic gradient ascent with momentum: v <- momentum v + g; theta <- theta + rate v.

    Args as ``Optimiser``; momentum between 0 (none) and 1.
    """

    def __init__(self, size: int, dtype: DTypeLike, momentum: float = 0.9):
        self.momentum = momentum
        self.state = {"velocity": np.zeros(size, dtype), "steps": np.zeros(1, np.int64)}

    def _rule(self, rate: float, t: int) -> Rule:
        return shared.SGD, [self.state["velocity"]], (self.momentum, rate)


class Adagrad(Optimiser):
    """Adagrad (Duchi, Hazan and Singer 2011): G <- G + g²; theta <- theta + rate g / (sqrt(G) + epsilon).

    Args as ``Optimiser``; epsilon keeps the first steps along dead inputs (g = 0) finite.
    """

    def __init__(self, size: int, dtype: DTypeLike, epsilon: float = 1e-8):
        self.epsilon = epsilon
        self.state = {"sum_of_squares": np.zeros(size, dtype), "steps": np.zeros(1, np.int64)}

    def _rule(self, rate: float, t: int) -> Rule:
        return shared.ADAGRAD, [self.state["sum_of_squares"]], (rate, self.epsilon)


class Adam(Optimiser):
    """Adam (Kingma and Ba 2015, Algorithm 1): moving means m of g and v of g², both corrected for their start at zero.

        theta <- theta + rate m̂ / (sqrt(v̂) + epsilon),    m̂ = m / (1 - beta1^t),    v̂ = v / (1 - beta2^t)

    Both corrections are moved into the step and into epsilon, as the paper's section 2 does.

    Args as ``Optimiser``; beta1, beta2, epsilon as in the paper.
    """

    def __init__(self, size: int, dtype: DTypeLike, beta1: float = 0.9, beta2: float = 0.999, epsilon: float = 1e-8):
        self.beta1, self.beta2, self.epsilon = beta1, beta2, epsilon
        self.state = {"m": np.zeros(size, dtype), "v": np.zeros(size, dtype), "steps": np.zeros(1, np.int64)}

    def _rule(self, rate: float, t: int) -> Rule:
        root = math.sqrt(1 - self.beta2**t)
        options = 1 - self.beta1, 1 - self.beta2, rate * root / (1 - self.beta1**t), self.epsilon * root
        return shared.ADAM, [self.state["m"], self.state["v"]], options


OPTIMISERS: dict[str, Callable[..., Optimiser]] = {"adam": Adam, "adagrad": Adagrad, "sgd": SGD}


def constant(epoch: float, epochs: int) -> float:
    """The full step, always."""
    return 1.0


def cosine(epoch: float, epochs: int) -> float:
    """From the full step down to zero along half a period of the cosine (Loshchilov and Hutter 2017, Eq. 5)."""
    return 0.5 * (1 + math.cos(math.pi * epoch / epochs))


def iwae(epoch: float, epochs: int) -> float:
    """Stage i = 0, 1, ... 7 has 3^i epochs at 10^(-i/7) of the full step (IWAE, section 5)."""
    stage = next((i for i in range(8) if epoch < iwae_epochs(i + 1)), 7)
    return 10 ** (-stage / 7)


# Factors on the learning rate from the epoch (fractions count) and the epochs of the whole run.
SCHEDULES: dict[str, Callable[[float, int], float]] = {"constant": constant, "cosine": cosine, "iwae": iwae}
