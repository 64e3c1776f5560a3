"""Sequences of symbols from a decoder: drawn one by one, or the most probable symbol at each step.

p(x | z) = prod_t p(x_t | x_1 ... x_{t-1}, z), so x_1 is drawn first, then x_2 given x_1, and so on. Without feedback
the factors do not depend on what was drawn, and only a grammar makes them wait for it: it says at each step which
symbols are allowed there, and their probabilities are those of a softmax over these alone (categorical.py).
"""

from typing import Protocol

import numpy as np

from tinyvae.derivation.model import Model
from tinyvae.derivation.parameters import Parameters
from tinyvae.derivation.shapes import misfit
from tinyvae.types import Array, Labels


class Walk(Protocol):
    """N derivations of a grammar on their way."""

    def allowed(self) -> np.ndarray:
        """(N, V) bool, the symbols that can come next, one at least in each row."""

    def advance(self, symbols: Labels) -> object:
        """Go on by these (N,), which are allowed."""


def generate(
    model: Model,
    params: Parameters,
    z: Array,
    u: Array | None = None,
    y: Labels | None = None,
    walk: Walk | None = None,
) -> Labels:
    """x_t ~ p(x_t | x_1 ... x_{t-1}, z), by the inverse of its distribution function: symbol v where u falls between
    the sums of the probabilities before v and up to v.

    Args:
        model, params: Model with the categorical likelihood, of data (T, V), and its Parameters.
        z: (N, D_1) values of the layer next to the data.
        u: (N, T) uniform numbers in [0, 1); None for the most probable symbol at each step, given those before.
        y: (N,) integer labels of a conditional model.
        walk: what is allowed; a model with groups of symbols needs it.

    Returns: (N, T) symbols 0 ... V - 1.

    Raises: ValueError for another likelihood, for groups without a walk, where nothing is allowed, or for shapes that
        do not fit.
    """
    if model.likelihood != "categorical" or len(model.data_shape) != 2:
        raise ValueError(f"symbols (T, V) are drawn, not {model.data_shape} under the likelihood {model.likelihood}")
    if model.groups and walk is None:
        raise ValueError("the symbols of this model are chosen from groups: a walk has to say from which")
    (T, V), N = model.data_shape, len(z)
    if u is not None and u.shape != (N, T):
        raise misfit(f"u {(N, T)}", u)
    if u is not None and not ((u >= 0) & (u < 1)).all():
        raise ValueError(f"u from 0 to below 1 are needed, not from {u.min()} to {u.max()}")
    step, before, symbols = model.stepper(params, z, y), np.zeros((N, V), z.dtype), np.empty((N, T), np.int64)
    for t in range(T):
        logits = step(before).astype(np.float64)
        if walk is not None:
            logits[~require_some(walk.allowed(), (N, V))] = -np.inf
        symbols[:, t] = logits.argmax(axis=1) if u is None else draw(logits, u[:, t])
        before = np.eye(V, dtype=z.dtype)[symbols[:, t]]
        if walk is not None:
            walk.advance(symbols[:, t])
    return symbols


def draw(logits: Array, u: Array) -> Labels:
    """A symbol of the softmax of each row (N, V) by uniform numbers (N,); none whose logit is minus infinity."""
    sums = np.cumsum(np.exp(logits - logits.max(axis=1, keepdims=True)), axis=1)
    return (sums <= u[:, None] * sums[:, -1:]).sum(axis=1)


def require_some(allowed: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """What a walk allows; ValueError for another shape, or where that is nothing."""
    if allowed.shape != shape or not allowed.any(axis=1).all():
        raise ValueError(f"a walk must allow a symbol in each row of {shape}")
    return allowed
