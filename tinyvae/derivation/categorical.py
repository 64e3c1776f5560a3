"""The likelihood of symbols: at each step one of V, or one of those that a grammar allows there.

A sequence x of T steps has a one at the place of each step's symbol, x_tv, and zeros else; the decoder says a number
l_tv about each. The probabilities are a softmax,

    log p(x | z) = sum_t (sum_v x_tv l_tv - log sum_v e^{l_tv})

**With a grammar** the symbols are its rules, and at every step the leftmost symbol that is to be replaced tells which
of them can come: those with this left-hand side (Kusner, Paige and Hernández-Lobato 2017, section 3). The rules fall
into groups by their left-hand sides, a sequence itself tells the group at each step, that of its own rule, and the sum
inside the logarithm runs over this group alone. So no probability is given to what is no derivation.

**Stable.** With the largest logit of the group, m, log sum_v e^{l_v} = m + log sum_v e^{l_v - m}: no term overflows,
and one of them is 1.

**Backward.** d/dl_w log sum_v e^{l_v} = e^{l_w} / sum_v e^{l_v}, which is the probability p_w of the symbol w. So

    by l_tv: x_tv - p_tv        and 0 for a symbol of another group

It is computed with the density, from the same exponentials, and kept.
"""

from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from tinyvae import machine
from tinyvae.derivation.likelihoods import Likelihood, LikelihoodCache, content, require_rows, scaled
from tinyvae.derivation.shapes import misfit
from tinyvae.types import Array

RAREST = 0.001  # a share of all symbols: what never occurs in the data starts from it


def categorical(
    x: Array, logits: Array, out: Array | None = None, groups: tuple[int, ...] = ()
) -> tuple[Array, LikelihoodCache]:
    """log p(x | z) = sum_t log softmax(l_t)[x_t], over the symbols of x_t's group.

    Args:
        x: (N, T V), a one at the symbol of each step. A step without any is not counted, nor is it any data.
        logits: (N K, T V).
        out: (N K, T V) array to keep the derivative in, which may be that of the logits; a new one by default.
        groups: (V,) a number for each symbol, the same for those that it is chosen from; by default a row is one step,
            and its symbols one group.

    Returns:
        logp: (N, K), in nats per sequence: the logarithm of a probability.
        cache: for ``categorical_backward``.
    """
    require_rows(x, logits, 1)
    groups = groups or (0,) * x.shape[1]
    if x.shape[1] % len(groups):
        raise misfit(f"rows of steps with {len(groups)} symbols", x)
    x, derivative = np.ascontiguousarray(x), content(logits, out)
    logp = np.empty((len(x), len(logits) // len(x)), logits.dtype)
    machine.categorical_log_prob(x, derivative, alike(groups, logits), logp)
    return logp, LikelihoodCache(derivative)


def categorical_backward(dlogp: Array, cache: LikelihoodCache, out: Array | None = None) -> Array:
    """The derivative by the logits, as ``categorical`` left it, times that by the density of its row.

    Args:
        dlogp: (N, K).
        cache: from ``categorical``.
        out: (N K, T V) array for the result, as for ``bernoulli_backward``.

    Returns: dlogits (N K, T V).
    """
    return scaled(dlogp, cache.derivative, out)


def alike(groups: tuple[int, ...], like: Array) -> Array:
    """(V, V), a one where two symbols are of the same group, in the dtype of an array."""
    return np.equal.outer(groups, groups).astype(like.dtype)


def categorical_mean(logits: Array, groups: tuple[int, ...] = ()) -> Array:
    """The probabilities of the symbols, each in its group: (R, T V) from (R, T V). In one group that is E[x | z]."""
    groups = groups or (0,) * logits.shape[1]
    l = logits.reshape(len(logits), logits.shape[1] // len(groups), len(groups))
    e = np.empty_like(l)
    for group in set(groups):
        own = np.equal(groups, group)
        e[..., own] = np.exp(l[..., own] - l[..., own].max(axis=2, keepdims=True))
    return (e / (e @ alike(groups, logits))).reshape(logits.shape)


def categorical_bias(mean: Array) -> Array:
    """The logits (V,) of the symbols' shares in the data (V,), each of which is kept above ``RAREST``."""
    return np.log(np.maximum(mean, RAREST))


@dataclass(frozen=True)
class Categorical(Likelihood):
    """A ``Likelihood`` that has to know which numbers are of one step."""

    def of(self, data_shape: tuple[int, ...], groups: tuple[int, ...] = ()) -> Likelihood:
        """For steps of V symbols, V the last of the data's sides.

        Raises: ValueError for groups of another number of symbols.
        """
        V = data_shape[-1]
        if groups and len(groups) != V:
            raise ValueError(f"a group for each of {V} symbols is needed, not {len(groups)}")
        own = tuple(groups) or (0,) * V
        log_prob, mean = partial(categorical, groups=own), partial(categorical_mean, groups=own)
        return replace(self, log_prob=log_prob, mean=mean)


CATEGORICAL = Categorical(categorical, categorical_backward, categorical_mean, categorical_bias, 1, (0.0, 1.0))
