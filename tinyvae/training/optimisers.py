"""Gradient ascent on a bound: SGD with momentum, Adagrad and Adam, each over the flat vector of all parameters.

The gradient ``g`` points uphill, the step is added: a bound is maximised. ``settings.OPTIMISERS`` lists them by name,
``settings.SCHEDULES`` how the step changes over a run.
"""

import math
from bisect import bisect_right
from collections.abc import Callable

import numpy as np

from tinyvae import machine
from tinyvae.derivation.parameters import Parameters
from tinyvae.settings import iwae_epochs


class Optimiser:
    """What all of them have in common: numbers beside each parameter, and a step.

    Args:
        params: Parameters of the model that is to be trained.
        epsilon: the floor of the denominator, where the rule has one.

    Attributes:
        state: {name: array}, all that a checkpoint must hold: arrays (P,), and "steps" (1,), how many were made.
    """

    arrays: tuple[str, ...]  # the names of those beside the parameters

    def __init__(self, params: Parameters, epsilon: float = 1e-8):
        self.epsilon = epsilon
        self.state: dict[str, np.ndarray] = {name: np.zeros_like(params.flat) for name in self.arrays}
        self.state["steps"] = np.zeros(1, np.int64)
        self._cuts = machine.cuts_of(params.shapes.values())

    def update(self, params: Parameters, grads: Parameters, rate: float) -> float:
        """One step, in place.

        Args:
            params: Parameters.
            grads: the gradient, Parameters of the same shapes.
            rate: the step's length.

        Returns: the sum of the parameters, to detect divergence.
        """
        self.state["steps"] += 1
        step, options = self.rule(rate, int(self.state["steps"][0]))
        arrays = [self.state[name] for name in self.arrays]
        return step(params.flat, grads.flat, *arrays, options, cuts=self._cuts)

    def rule(self, rate: float, t: int) -> tuple[Callable[..., float], tuple[float, ...]]:
        """What step t does with the parameters: a kernel of the machine room, and its numbers."""
        raise NotImplementedError


class SGD(Optimiser):
    """Stochastic gradient ascent with momentum: v <- momentum v + g; theta <- theta + rate v.

    Args as ``Optimiser``.
    """

    arrays = ("velocity",)
    momentum = 0.9  # 0 is none

    def rule(self, rate: float, t: int) -> tuple[Callable[..., float], tuple[float, ...]]:
        """The formula's numbers as they are."""
        return machine.sgd_update, (self.momentum, rate)


class Adagrad(Optimiser):
    """Adagrad (Duchi, Hazan and Singer 2011): G <- G + g²; theta <- theta + rate g / (sqrt(G) + epsilon).

    Args as ``Optimiser``; epsilon keeps the first steps along dead inputs (g = 0) finite.
    """

    arrays = ("sum_of_squares",)

    def rule(self, rate: float, t: int) -> tuple[Callable[..., float], tuple[float, ...]]:
        """The formula's numbers as they are."""
        return machine.adagrad_update, (rate, self.epsilon)


class Adam(Optimiser):
    """Adam (Kingma and Ba 2015, Algorithm 1): moving means m of g and v of g², both corrected for their start at zero.

        theta <- theta + rate m̂ / (sqrt(v̂) + epsilon),    m̂ = m / (1 - beta1^t),    v̂ = v / (1 - beta2^t)

    Args as ``Optimiser``.
    """

    arrays = ("m", "v")
    beta1, beta2 = 0.9, 0.999  # the paper's

    def rule(self, rate: float, t: int) -> tuple[Callable[..., float], tuple[float, ...]]:
        """Both corrections are moved into the step and into epsilon, as the paper's section 2 does."""
        root = math.sqrt(1 - self.beta2**t)
        options = 1 - self.beta1, 1 - self.beta2, rate * root / (1 - self.beta1**t), self.epsilon * root
        return machine.adam_update, options


# Schedules: factors on the learning rate from the epoch (fractions count) and the epochs of the whole run.


def constant(epoch: float, epochs: int) -> float:
    """The full step, always."""
    return 1.0


def cosine(epoch: float, epochs: int) -> float:
    """From the full step down to zero along half a period of the cosine (Loshchilov and Hutter 2017, Eq. 5)."""
    return 0.5 * (1 + math.cos(math.pi * epoch / epochs))


STAGE_ENDS = [iwae_epochs(i) for i in range(1, 8)]


def iwae(epoch: float, epochs: int) -> float:
    """Stage i = 0, 1, ... 7 has 3^i epochs at 10^(-i/7) of the full step (IWAE, section 5)."""
    return 10 ** (-bisect_right(STAGE_ENDS, epoch) / 7)
