"""Likelihoods p(x | z): what the decoder's outputs say about the data.

A likelihood is a pair of functions on the network's raw outputs, the mean of the data, an output bias to start from,
and the interval that the data must lie in; ``settings.LIKELIHOODS`` lists them by name.

The decoder has a row of outputs for each sample: row n K + k belongs to example n and sample k. Data and outputs are of
one dtype, float32 or float64. Shapes that do not fit raise a ValueError in all likelihoods; compiled kernels raise a
TypeError for arrays of two dtypes.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import NamedTuple

import numpy as np

from tinyvae import machine
from tinyvae.derivation.activations import TANH
from tinyvae.derivation.shapes import misfit
from tinyvae.types import Array, Cache, Layers


class LikelihoodCache(NamedTuple):
    """What a likelihood leaves to its backward pass: the derivative by the outputs, computed with the density."""

    derivative: Array


def content(array: Array, out: Array | None) -> Array:
    """The array's numbers where a kernel may overwrite them: in ``out``, which may be the array, else in a copy."""
    if out is None:
        return array.copy()
    if out is not array:
        out[:] = array
    return out


def scaled(dlogp: Array, derivative: Array, out: Array | None) -> Array:
    """The derivative of a density by its outputs (N K, J), each row times its number of dlogp (N, K)."""
    if dlogp.ndim != 2 or dlogp.size != len(derivative):
        raise misfit(f"dlogp (N, K) with N K = {len(derivative)}", dlogp)
    result = content(derivative, out)
    machine.scale_rows(dlogp.reshape(-1), result)
    return result


def require_rows(x: Array, outputs: Array, M: int) -> None:
    """ValueError unless there are M D outputs for each of the D entries of the data, in rows for each example."""
    fits = x.ndim == outputs.ndim == 2 and outputs.shape[1] == M * x.shape[1] and len(x) and not len(outputs) % len(x)
    if not fits:
        raise misfit(f"x (N, D) and outputs (N K, {M} D), with N above zero,", x, outputs)


# ---------------------------------------------------------------------------------------------------------------------
# Bernoulli
# ---------------------------------------------------------------------------------------------------------------------


def bernoulli(x: Array, logits: Array, out: Array | None = None) -> tuple[Array, LikelihoodCache]:
    """log p(x | z) = sum_d x log p + (1 - x) log(1 - p) with p = sigmoid(l) (AEVB, appendix C.1, Eq. 11).

    Written on the logits l = log(p / (1 - p)) nothing can overflow and no probability needs clipping:

        log p = l - log(1 + e^l)  and  log(1 - p) = -log(1 + e^l)    so    log p(x | z) = sum_d x l - log(1 + e^l)

    and its derivative by the logits, x - sigmoid(l), comes from the same exponential: it is computed here and kept.
    Grey levels between 0 and 1 are allowed, as AEVB uses them; then this is minus a cross-entropy and not the logarithm
    of a probability.

    Args:
        x: (N, D) in [0, 1].
        logits: (N K, D).
        out: (N K, D) array to keep the derivative in, which may be that of the logits; a new one by default.

    Returns:
        logp: (N, K), in nats.
        cache: for ``bernoulli_backward``.
    """
    require_rows(x, logits, 1)
    x, residual = np.ascontiguousarray(x), content(logits, out)
    logp = np.empty((len(x), len(logits) // len(x)), logits.dtype)
    machine.bernoulli_log_prob(x, residual, logp)
    return logp, LikelihoodCache(residual)


def bernoulli_backward(dlogp: Array, cache: LikelihoodCache, out: Array | None = None) -> Array:
    """d log p(x | z) / dl = x - sigmoid(l), the residual, times the derivative by the density of its row.

    Args:
        dlogp: (N, K).
        cache: from ``bernoulli``.
        out: (N K, D) array for the result; a new one by default. That of the logits, if it was given to ``bernoulli``
            as its ``out``, holds the cache: this saves a copy, and the cache is used up.

    Returns: dlogits (N K, D).
    """
    return scaled(dlogp, cache.derivative, out)


def bernoulli_of_layers(x: Array, h: Array, layers: Layers, activation: int = TANH) -> Array:
    """``bernoulli`` of the logits that an MLP (mlp.py) puts out, where no derivative is wanted.

    Of thousands of samples the logits would be written to memory and read again. Here some samples at a time go through
    all layers and the density while their numbers are in a core's own cache.

    Args:
        x: (N, D) in [0, 1].
        h: (N K, I) the network's input.
        layers, activation: as for ``mlp``.

    Returns: logp (N, K), in nats.

    Raises: ValueError for shapes that do not fit.
    """
    N, (Ws, bs) = len(x), zip(*layers)
    if not (N and len(h) % N == 0):
        raise misfit("x (N, D) and h (N K, I)", x, h)
    logp = np.empty((N, len(h) // N), h.dtype)
    machine.bernoulli_of_layers(np.ascontiguousarray(x), np.ascontiguousarray(h), Ws, bs, logp, activation)
    return logp


def bernoulli_mean(logits: Array) -> Array:
    """E[x | z] = sigmoid(l): (R, D) from (R, D)."""
    mean = np.empty_like(logits)
    machine.sigmoid(logits, mean)
    return mean


def bernoulli_bias(mean: Array) -> Array:
    """The logits (D,) of the data's mean (D,), which is kept within [0.001, 0.999] where a pixel never varies."""
    p = np.clip(mean, 0.001, 0.999)
    return np.log(p / (1 - p))


# ---------------------------------------------------------------------------------------------------------------------
# Gaussian
# ---------------------------------------------------------------------------------------------------------------------

# No variance is less than that of rounding to 256 grey levels, (1/255)² / 12: where a pixel never varies the likelihood
# would grow without end, for nothing that the data could show.
LOGVAR_FLOOR = 2 * math.log(1 / 255) - math.log(12)


def gaussian(x: Array, outputs: Array, out: Array | None = None, squash: bool = True) -> tuple[Array, LikelihoodCache]:
    """log p(x | z) = sum_d log N(x; m, exp(s)) = -1/2 sum_d ((x - m)² exp(-s) + s + log 2 pi) (AEVB, C.2, Eq. 12).

    The outputs are (a, t) side by side. The mean is m = sigmoid(a), as AEVB has it for the Frey faces (section 5), or
    m = a for data of any range; the log variance is s = max(t, LOGVAR_FLOOR).

    With the residual r = x - m, the precision rho = exp(-s), and the slope dm / da = m (1 - m) or 1,

        by a: (dm / da) r rho        by t: (r² rho - 1) / 2 above the floor, 0 below it

    Both are computed here, with the exponentials that the density needs, and kept.

    Args:
        x: (N, D).
        outputs: (N K, 2 D).
        out: (N K, 2 D) array to keep the derivative in, which may be that of the outputs; a new one by default.
        squash: m = sigmoid(a).

    Returns:
        logp: (N, K), in nats: the logarithm of a density, positive where the variances are small.
        cache: for ``gaussian_backward``.
    """
    require_rows(x, outputs, 2)
    x, derivative = np.ascontiguousarray(x), content(outputs, out)
    logp = np.empty((len(x), len(outputs) // len(x)), outputs.dtype)
    machine.gaussian_log_prob(x, derivative, squash, LOGVAR_FLOOR, logp)
    return logp, LikelihoodCache(derivative)


def gaussian_backward(dlogp: Array, cache: LikelihoodCache, out: Array | None = None) -> Array:
    """The derivative by the outputs, as ``gaussian`` left it, times that by the density of its row.

    Args:
        dlogp: (N, K).
        cache: from ``gaussian``.
        out: (N K, 2 D) array for the result, as for ``bernoulli_backward``.

    Returns: doutputs (N K, 2 D).
    """
    return scaled(dlogp, cache.derivative, out)


def gaussian_mean(outputs: Array, squash: bool = True) -> Array:
    """E[x | z] = m: (R, D) from (R, 2 D)."""
    a = np.ascontiguousarray(outputs[:, : outputs.shape[1] // 2])
    return bernoulli_mean(a) if squash else a


def gaussian_bias(mean: Array, squash: bool = True) -> Array:
    """The biases (2 D,) of the data's mean (D,), and a log variance of 0."""
    return np.concatenate([bernoulli_bias(mean) if squash else mean, np.zeros_like(mean)])


def gaussian_remark(outputs: Array) -> str:
    """How many of the log variances in outputs (R, 2 D) the floor holds up, if it does."""
    share = np.mean(outputs[:, outputs.shape[1] // 2 :] <= LOGVAR_FLOOR)
    return f"{100 * share:.1f} % of the decoder's variances are at their floor" if share else ""


# ---------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Likelihood:
    """What a model needs of a likelihood.

    Attributes:
        log_prob: (x (N, D), outputs (N K, M D), out) -> logp (N, K), cache.
        log_prob_backward: (dlogp (N, K), cache, out) -> derivative by the outputs (N K, M D).
        mean: outputs (R, M D) -> E[x | z] (R, D).
        bias: the data's mean (D,) -> output bias (M D,) of a decoder that starts from it.
        outputs_per_dimension: M.
        support: the interval that the data must lie in.
        levels: the number of values that it gives probabilities to, at equal distances over the support. The Bernoulli,
            with 2 of them, takes others in its support as weights between these, and ``log_prob`` is then minus a
            cross-entropy. None where it is a density.
        channels: the last number of the shape of the data, if the likelihood is of colours; None if it may be any.
        of_layers: (x, h (N K, I), layers, activation) -> logp (N, K) for the outputs of an MLP, without a cache; None
            where they are better computed first.
        remark: outputs (R, M D) of a trained model -> a sentence that a reader of its figures should know, or "".
        advice: what else may help where a training diverges.
    """

    log_prob: Callable[..., tuple[Array, Cache]]
    log_prob_backward: Callable[..., Array]
    mean: Callable[[Array], Array]
    bias: Callable[[Array], Array]
    outputs_per_dimension: int
    support: tuple[float, float]
    levels: int | None = None
    channels: int | None = None
    of_layers: Callable[..., Array] | None = None
    remark: Callable[[Array], str] = lambda outputs: ""
    advice: str = ""

    def of(self, data_shape: tuple[int, ...], groups: tuple[int, ...] = ()) -> "Likelihood":
        """The likelihood of data of a shape, for one that must know it; ``groups`` are of symbols (categorical.py)."""
        return self


BERNOULLI = Likelihood(
    bernoulli,
    bernoulli_backward,
    bernoulli_mean,
    bernoulli_bias,
    1,
    (0.0, 1.0),
    levels=2,
    of_layers=bernoulli_of_layers,
)
GAUSSIAN = Likelihood(
    gaussian,
    gaussian_backward,
    gaussian_mean,
    gaussian_bias,
    2,
    (0.0, 1.0),
    remark=gaussian_remark,
    advice="if some pixels hardly ever change, leave them out or add noise to them: their variances fall to the floor "
    f"of {math.exp(LOGVAR_FLOOR):.1e}, where the bound is steepest",
)
GAUSSIAN_LINEAR = replace(
    GAUSSIAN,
    log_prob=partial(gaussian, squash=False),
    mean=partial(gaussian_mean, squash=False),
    bias=partial(gaussian_bias, squash=False),
    support=(-math.inf, math.inf),
)
