"""The gated recurrent unit (Cho et al. 2014), over a sequence, and backpropagation through time.

A state h of H numbers is carried from step to step. At step t two gates, which are sigmoids and so lie between 0 and 1,
decide how the new state is made of the old one and of what is read there: r, how much of the old state the candidate n
may see, and u, how much of the old state stays. What is read is an affine map x_t of two inputs, one that changes from
step to step and one, such as a label or a latent variable, that is the same at all of them:

    x_t = a_t W + s V + b        and of the state        y_t = h_{t-1} U + c

Each has three parts of H numbers, for r, u and n:

    r_t = sigmoid(x_t^r + y_t^r)    u_t = sigmoid(x_t^u + y_t^u)    n_t = tanh(x_t^n + r_t y_t^n)
    h_t = (1 - u_t) n_t + u_t h_{t-1}

from h_0 = 0. This is the form that PyTorch computes too, which the tests use: r stands behind the product, r (h U^n +
c^n), so that one product serves all three parts. (In the paper it stands in front, (r h) U^n.) In the
parts of the gates b and c are one bias, written as two.

**Forward.** Only h_{t-1} U has to wait for the step before. a_t W is one product for all steps, and s V + b one for all
that share it; both are there before the loop begins.

**Backward.** h_t acts on f at its own step, by what the caller says, and through everything that follows. So the loop
runs from the last step to the first and carries dh_t, the derivative by h_t through both. At a step, product by product
from h_t back, with sigmoid' = sigmoid (1 - sigmoid) and tanh' = 1 - tanh²,

    by n:      dh (1 - u)         so    dx^n = dh (1 - u) (1 - n²)
    by u:      dh (h_{t-1} - n)   so    dx^u = dh (h_{t-1} - n) u (1 - u)
    by r:      dx^n y^n           so    dx^r = dx^n y^n r (1 - r)
    by y:      dy = (dx^r, dx^u, r dx^n)
    by h_{t-1}:                         dh_t u + dy_t Uᵀ  + what acts on f at step t - 1

The gates' derivatives are the same by x and by y, since these are added; the candidate's are not. All steps share their
weights, which therefore collect a sum over the steps: with the rows of all steps under one another, that is again a
single product, after the loop,

    dU = sum_t h_{t-1}ᵀ dy_t    dc = sum_t dy_t    dW = sum_t a_tᵀ dx_t    dV = sᵀ sum_t dx_t    db = sum_t dx_t

where sums over the rows of the minibatch are understood, as in an affine layer.

A sequence may be read from its end to its beginning. Then the step before t is t + 1, and nothing else changes.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from tinyvae import machine
from tinyvae.derivation.activations import LINEAR
from tinyvae.derivation.shapes import misfit, require_count
from tinyvae.types import Array, Maybe, Shapes

Weights = Mapping[str, Array]  # W, V, b, U and c, by the names of ``gru_shapes``


class GRUCache(NamedTuple):
    """What ``gru`` leaves to ``gru_backward``: its inputs, the gates (r, u, y^n, n) of all steps, all states, and the
    weights.
    """

    a: Array
    s: Array
    gates: Array
    states: Array
    weights: Weights
    is_reversed: bool


def gru_shapes(I: int, J: int, H: int) -> Shapes:
    """Names and shapes of the weights: W (I, 3 H) and V (J, 3 H), where such inputs are, b, U (H, 3 H) and c.

    Args:
        I: numbers that are read at a step.
        J: numbers that are the same at all steps.
        H: numbers of the state.
    """
    inputs = {"steps.W": (I, 3 * H)} if I else {}
    inputs |= {"static.W": (J, 3 * H)} if J else {}
    return inputs | {"input.b": (3 * H,), "state.W": (H, 3 * H), "state.b": (3 * H,)}


def gru(
    a: Array, s: Array, weights: Weights, T: int, is_reversed: bool = False, start: Array | None = None
) -> tuple[Array, GRUCache]:
    """The states h_1 ... h_T, as the text above has them.

    Args:
        a: (T N, I) float32 or float64, what is read at each step: all N examples' of a step before those of the next.
            I may be 0. An example serves R / N rows of s, one after another.
        s: (R, J) in the same dtype, what is the same at all steps. J may be 0.
        weights: {name: array} of ``gru_shapes``.
        T: the number of steps.
        is_reversed: whether the sequence is read from its end.
        start: (R, H) the state to begin with, instead of zeros: a sequence can be gone through in parts.

    Returns:
        h: (T R, H), the state after reading each step, in the order of the steps.
        cache: for ``gru_backward``.

    Raises: ValueError for shapes that do not fit, and for less than one step.
    """
    require_count("T", T)
    R, H, U = len(s), len(weights["state.b"]) // 3, weights["state.W"]
    N, a, s = len(a) // T, np.ascontiguousarray(a), np.ascontiguousarray(s)
    I, J = (len(weights.get(name, ())) for name in ("steps.W", "static.W"))
    fits = a.ndim == s.ndim == 2 and a.shape[1] == I and s.shape[1] == J and len(a) == T * N
    if not (fits and (not I or R % max(1, N) == 0)):
        raise misfit(f"a (T N, {I}) and s (R, {J}), for T = {T} and R a multiple of N,", a, s)
    steps, static = np.empty((0, 3 * H), s.dtype), np.repeat(weights["input.b"][None], R, axis=0)
    if "steps.W" in weights:
        steps = np.empty((T * N, 3 * H), s.dtype)
        machine.affine(a, weights["steps.W"], np.zeros_like(weights["input.b"]), steps, LINEAR)
    if "static.W" in weights:
        machine.affine(s, weights["static.W"], weights["input.b"], static, LINEAR)
    gates, states = np.empty((T * R, 4 * H), s.dtype), np.empty(((T + 1) * R, H), s.dtype)
    (states[T * R :] if is_reversed else states[:R])[:] = 0 if start is None else start
    machine.recurrence(steps, static, U, weights["state.b"], gates, states, is_reversed)
    h = states[: T * R] if is_reversed else states[R:]
    return h, GRUCache(a, s, gates, states, weights, is_reversed)


def gru_backward(
    dh: Array, cache: GRUCache, grads: Weights, need_da: bool = True, before: int = LINEAR
) -> tuple[Maybe, Maybe]:
    """Backpropagation through time: the loop from the last step to the first, then a product for each of the weights.

    Args:
        dh: (T R, H) derivative by the states after each step; or (R, H), by the one alone that was reached last.
        cache: from ``gru``, for a sequence that began with zeros.
        grads: {name: array} to write the derivatives by the weights into.
        need_da: whether the derivative by what is read at each step is wanted.
        before: the activation that s is the value of; then ds is the derivative by what stood in front of that.

    Returns:
        da: (T N, I), the sum over the rows that share it; or None.
        ds: (R, J), the sum over the steps; None where J is 0.

    Raises: ValueError for a dh of another shape.
    """
    a, s, gates, states, weights, is_reversed = cache
    R, U = len(s), weights["state.W"]
    steps = len(a) if "steps.W" in weights else 0
    if len(dh) not in (R, len(gates)) or dh.shape[1:] != U.shape[:1]:
        raise misfit(f"dh {(len(gates), len(U))} or {(R, len(U))}", dh)
    dsteps, dstatic, dy = (np.empty((rows, U.shape[1]), U.dtype) for rows in (steps, R, len(gates)))
    machine.recurrence_gradient(np.ascontiguousarray(dh), U, gates, states, dsteps, dstatic, dy, is_reversed)
    h_before = states[R:] if is_reversed else states[: len(gates)]
    machine.affine_gradient(dy, h_before, grads["state.W"], grads["state.b"])
    da = ds = None
    if steps:
        machine.affine_gradient(dsteps, a, grads["steps.W"], np.empty_like(grads["input.b"]))
        da = _input_gradient(dsteps, a, weights["steps.W"], LINEAR) if need_da else None
    if "static.W" in weights:
        machine.affine_gradient(dstatic, s, grads["static.W"], grads["input.b"])
        ds = _input_gradient(dstatic, s, weights["static.W"], before)
    else:
        grads["input.b"][:] = dstatic.sum(axis=0)  # type: ignore[index]
    return da, ds


def _input_gradient(dx: Array, a: Array, W: Array, activation: int) -> Array:
    """dx Wᵀ psi', for an activation psi whose value a is, and of its shape."""
    da = np.empty_like(a)
    machine.affine_input_gradient(dx, W, a, da, activation)
    return da
