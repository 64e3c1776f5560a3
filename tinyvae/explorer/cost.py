"""What rounding takes from the bound, and how many bits each matrix gets for it.

The cost of a rounding is the mean of ELBO(weights) - ELBO(rounded weights) over test examples, in nats, with the same
noise on both sides: what is left of the noise in the difference is little, and its standard error tells.

All matrices of the networks begin with 8 bits; a prior's own do not stand in the page, only what follows from them
(priors.py). While the cost, of whichever sign, and two of its standard errors come to more than
``ALLOWED``, the matrix that costs most by itself gets the next number of bits.
"""

import dataclasses
import math
from typing import NamedTuple

import numpy as np

from tinyvae import machine
from tinyvae.data.rows import Images
from tinyvae.errors import UserError
from tinyvae.explorer.rounding import BITS, Rounded, restored_parameters, rounded_parameters
from tinyvae.machine import noise
from tinyvae.machine.noise import Stream
from tinyvae.training.evaluation import standard_error
from tinyvae.training.fitted import Fitted, take
from tinyvae.types import Array, Labels

ALLOWED = 0.1  # nats per example
EXAMPLES = 1000  # of the test set, at most
ROWS = 500  # examples at a time
FAR_OUT = "look for a value that lies far out, and rescale the data"


class Cost(NamedTuple):
    """What a rounding costs.

    Attributes:
        nats: the mean cost, per example; below zero where rounding happens to help.
        error: its standard error.
        examples: of how many.
        bits: {name of a matrix: its bits}.
    """

    nats: float
    error: float
    examples: int
    bits: dict[str, int]


def bounds(fitted: Fitted, images: Images, labels: Labels | None) -> Array:
    """The ELBO of each example by one sample of z, (N,) float64, with noise that depends on its place alone.

    Args:
        fitted: Fitted.
        images: (N, D), as data sets hold them.
        labels: (N,), of a conditional model.
    """
    model, params = fitted.model, fitted.params

    def some(s: slice) -> tuple[Array]:
        x = fitted.rows(images[s])
        shapes = model.noise_shapes(len(x), 1)
        eps = noise.layers(shapes, fitted.settings.seed, Stream.EVALUATION, 0, s.start, dtype=x.dtype)
        logw, _ = model.log_weights(params, x, eps, take(labels, s), model.has_closed_form_kl, keep=False)
        return (logw[:, 0].astype(np.float64),)

    return fitted.by_rows(some, len(images), ROWS)[0]


def with_rounded(fitted: Fitted, arrays: dict[str, Rounded]) -> Fitted:
    """The model with the numbers that stand for its parameters."""
    return dataclasses.replace(fitted, params=restored_parameters(fitted.params, arrays))


def cheapest(fitted: Fitted, images: Images, labels: Labels | None) -> tuple[dict[str, Rounded], Cost]:
    """The parameters in as few bits as cost no more than ``ALLOWED``, and what they cost.

    Args: as for ``bounds``; the first ``EXAMPLES`` are taken.
    """
    images, labels = images[:EXAMPLES], take(labels, slice(EXAMPLES))
    with machine.crew():
        exact = bounds(fitted, images, labels)
        require_finite(exact)

        def cost_of(bits: dict[str, int]) -> tuple[float, float]:
            """The mean and its standard error; infinite where the rounded model makes an example impossible."""
            rounded = bounds(with_rounded(fitted, rounded_parameters(fitted.params, bits)), images, labels)
            if not np.isfinite(rounded).all():
                return math.inf, 0.0
            return float((exact - rounded).mean()), standard_error(exact - rounded) or 0.0

        matrices = [name for name, array in fitted.params.items() if array.ndim > 1 and not name.startswith("prior.")]
        bits = dict.fromkeys(matrices, BITS[0])
        alone: dict[tuple[str, int], float] = {}
        nats, error = cost_of(bits)
        while abs(nats) + 2 * error > ALLOWED and min(bits.values()) < BITS[-1]:
            for name, b in bits.items():
                if b < BITS[-1] and (name, b) not in alone:
                    alone[name, b] = sum(map(abs, cost_of({name: b})))
            costly = max((name for name in bits if bits[name] < BITS[-1]), key=lambda name: alone[name, bits[name]])
            bits[costly] = BITS[BITS.index(bits[costly]) + 1]
            nats, error = cost_of(bits)
        arrays = rounded_parameters(fitted.params, bits)
        if math.isinf(nats):
            require_finite(bounds(with_rounded(fitted, arrays), images, labels), " with weights of 32 bits")
    return arrays, Cost(nats, error, len(images), bits)


def require_finite(values: Array, how: str = "") -> None:
    """Raise a UserError unless the bounds (N,) of examples are finite."""
    if lost := np.sum(~np.isfinite(values)):
        raise UserError(
            f"the bound of {lost:,} of {len(values):,} test examples is not finite{how}, so that nobody can say what "
            f"rounding the weights costs: {FAR_OUT}"
        )
