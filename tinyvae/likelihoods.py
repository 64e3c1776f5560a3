"""Likelihoods p(x | z): what the decoder's outputs say about the data.

A likelihood is a pair of functions from the network's raw outputs, a mean for pictures, and a statement of the data
that it can describe; ``LIKELIHOODS`` lists them by name.

The decoder has a row of outputs for each sample: row n K + k belongs to example n and sample k.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from tinyvae import kernels

# ---------------------------------------------------------------------------------------------------------------------
# Bernoulli
# ---------------------------------------------------------------------------------------------------------------------


def bernoulli(x, logits, out=None):
    """log p(x | z) = sum_d x log p + (1 - x) log(1 - p) with p = sigmoid(l) (AEVB, appendix C.1, Eq. 11).

    Written on the logits l = log p / (1 - p) nothing can overflow and no probability needs clipping:

        log p = l - log(1 + e^l)  and  log(1 - p) = -log(1 + e^l)    so    log p(x | z) = sum_d x l - log(1 + e^l)

    and its derivative by the logits, x - sigmoid(l), comes from the same exponential: it is computed here and kept.
    Grey levels between 0 and 1 are allowed, as AEVB uses them; then this is a cross-entropy and not the logarithm of a
    probability.

    Args:
        x: (N, D) in [0, 1].
        logits: (N K, D).
        out: (N K, D) array to keep the derivative in, which may be that of the logits; a new one by default.

    Returns:
        logp: (N, K), in nats.
        cache: for ``bernoulli_backward``.
    """
    residual = np.empty_like(logits) if out is None else out
    logp = np.empty((len(x), len(logits) // len(x)), logits.dtype)
    kernels.bernoulli_log_prob(x, logits, logp, residual)
    return logp, residual


def bernoulli_backward(dlogp, cache, out=None):
    """d log p(x | z) / dl = x - sigmoid(l), the residual.

    Args:
        dlogp: (N, K).
        cache: from ``bernoulli``.
        out: (N K, D) array for the result, which may be the cache itself; a new one by default.

    Returns: dlogits (N K, D).
    """
    dlogits = np.empty_like(cache) if out is None else out
    kernels.scale_rows(dlogp.reshape(-1), cache, dlogits)
    return dlogits


def bernoulli_mean(logits):
    """E[x | z] = sigmoid(l): (R, D) from (R, D)."""
    mean = np.empty_like(logits)
    kernels.sigmoid(logits, mean)
    return mean


def bernoulli_bias(mean):
    """The logits (D,) of the data's mean (D,), which is kept within [0.001, 0.999] where a pixel never varies."""
    p = np.clip(mean, 0.001, 0.999)
    return np.log(p / (1 - p))


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
    """

    log_prob: Callable
    log_prob_backward: Callable
    mean: Callable
    bias: Callable
    outputs_per_dimension: int
    support: tuple[float, float]


LIKELIHOODS = {"bernoulli": Likelihood(bernoulli, bernoulli_backward, bernoulli_mean, bernoulli_bias, 1, (0.0, 1.0))}
