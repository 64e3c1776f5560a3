"""The time loop of a GRU, whose work the threads share: a piece is some examples through all steps.

Rows do not know of one another: nobody waits for anybody between the steps, and what a step needs, the states of a
piece and the recurrent weights, stays in a core's cache. Arrays hold all rows of a step, then all of the next: what a
piece has at a step stands together. Each job has the number of examples in a piece, of the rows of each example, and of
the steps, and whether the loop goes backwards for its ``numbers``.
"""

import numpy as np
from numba import carray, njit

from tinyvae.machine.elementary import INNER, softplus_sigmoid, tanh
from tinyvae.machine.memory import NO, gemm
from tinyvae.machine.work_sharing import TODO, Job, matrix, numbers

# The whole numbers of a job.
EXAMPLES, SAMPLES, STEPS, IS_REVERSED = range(4)


@njit(**INNER)
def gates_forward(static, step, s, c, before, gates, after):
    """A row at a step: its gates (4 H,), and the state (H,) after it from that before it.

    For static and step (3 H,), what the input adds, with the first two parts of c (3 H,); s (3 H,), the product of the
    state.
    """
    H = after.size
    r, u, m, n = gates[:H], gates[H : 2 * H], gates[2 * H : 3 * H], gates[3 * H :]
    static_n, step_n, s_n, c_n = static[2 * H :], step[2 * H :], s[2 * H :], c[2 * H :]
    for j in range(2 * H):
        gates[j] = softplus_sigmoid(static[j] + step[j] + s[j])[1]
    for j in range(H):
        m[j] = s_n[j] + c_n[j]
    for j in range(H):
        n[j] = tanh(static_n[j] + step_n[j] + r[j] * m[j])
    for j in range(H):
        after[j] = n[j] + u[j] * (before[j] - n[j])


@njit(**INNER)
def gates_backward(dh, gates, before, dx, ds):
    """A row at a step: the derivatives dx by what the input adds and ds by the state's product, (3 H,) each.

    From dh (H,) by the state after the step, which becomes the part of that by the state before it that does not go
    through U.
    """
    H, one = dh.size, dh.dtype.type(1)
    r, u, m, n = gates[:H], gates[H : 2 * H], gates[2 * H : 3 * H], gates[3 * H :]
    dr, du, dn, dm = dx[:H], dx[H : 2 * H], dx[2 * H :], ds[2 * H :]
    for j in range(H):
        dn[j] = dh[j] * (one - u[j]) * (one - n[j] * n[j])
    for j in range(H):
        du[j] = dh[j] * (before[j] - n[j]) * u[j] * (one - u[j])
    for j in range(H):
        dr[j] = dn[j] * m[j] * r[j] * (one - r[j])
    for j in range(H):
        dm[j] = dn[j] * r[j]
    for j in range(2 * H):
        ds[j] = dx[j]
    for j in range(H):
        dh[j] *= u[j]


@njit(**INNER)
def add_to(total, v):
    """total += v."""
    for j in range(v.size):
        total[j] += v[j]


@njit(**INNER)
def rows_of(piece, k, R):
    """The rows of a piece, from the first to the last."""
    rows = k[EXAMPLES] * k[SAMPLES]
    return piece * rows, min((piece + 1) * rows, R)


@njit(**INNER)
def order(i, k):
    """The step that comes i-th, and the places of the states before and after it, in a sequence of T + 1 states."""
    return (k[STEPS] - 1 - i, k[STEPS] - i, k[STEPS] - 1 - i) if k[IS_REVERSED] else (i, i, i + 1)


@njit(**INNER)
def block(array, t, R, top, bottom):
    """Some of the R rows that an array (T R, ...) has for step t."""
    return array[t * R + top : t * R + bottom]


@njit(**INNER)
def product(a, B, out, add):
    """out = a B, or with ``add`` out += that, for a (R, I), B (I, J), out (R, J)."""
    (I, J), number = B.shape, a.dtype.type
    gemm(NO, NO, a.shape[0], J, I, a.ctypes.data, I, B.ctypes.data, J, out.ctypes.data, J, number, add)


@Job
def RECURRENCE(desk, piece, like):
    """Some examples of ``plain.recurrence``, for (steps, static, U, c, gates, states)."""
    desk, k = carray(desk, TODO), numbers(desk)
    steps, static, U, c = matrix(desk, 0, like), matrix(desk, 1, like), matrix(desk, 2, like), matrix(desk, 3, like)[0]
    all_gates, all_states = matrix(desk, 4, like), matrix(desk, 5, like)
    (R, _), H, K = static.shape, U.shape[0], k[SAMPLES]
    top, bottom = rows_of(piece, k, R)
    fixed, step, s = static[top:bottom].copy(), np.zeros(3 * H, U.dtype), np.zeros((bottom - top, 3 * H), U.dtype)
    for r in range(bottom - top):
        add_to(fixed[r, : 2 * H], c[: 2 * H])
    for i in range(k[STEPS]):
        t, start, end = order(i, k)
        before, after = block(all_states, start, R, top, bottom), block(all_states, end, R, top, bottom)
        gates = block(all_gates, t, R, top, bottom)
        if i > 0 or np.any(before):
            product(before, U, s, False)
        for r in range(bottom - top):
            if len(steps):
                step = steps[t * (R // K) + (top + r) // K]
            gates_forward(fixed[r], step, s[r], c, before[r], gates[r], after[r])


@Job
def RECURRENCE_GRADIENT(desk, piece, like):
    """Some examples of ``plain.recurrence_gradient``, for (dstates, Uᵀ, gates, states, dsteps, dstatic, dproducts)."""
    desk, k = carray(desk, TODO), numbers(desk)
    dstates, U_transposed, all_gates = matrix(desk, 0, like), matrix(desk, 1, like), matrix(desk, 2, like)
    all_states, dsteps = matrix(desk, 3, like), matrix(desk, 4, like)
    dstatic, all_dproducts = matrix(desk, 5, like), matrix(desk, 6, like)
    (R, _), H, K, T = dstatic.shape, U_transposed.shape[1], k[SAMPLES], k[STEPS]
    top, bottom = rows_of(piece, k, R)
    carried, dx = np.zeros((bottom - top, H), U_transposed.dtype), np.empty(3 * H, U_transposed.dtype)
    dstatic[top:bottom] = 0
    for i in range(T - 1, -1, -1):
        t, start, _ = order(i, k)
        before, gates = block(all_states, start, R, top, bottom), block(all_gates, t, R, top, bottom)
        dproducts = block(all_dproducts, t, R, top, bottom)
        for r in range(bottom - top):
            if len(dstates) == T * R:
                add_to(carried[r], dstates[t * R + top + r])
            elif i == T - 1:
                carried[r] = dstates[top + r]
            gates_backward(carried[r], gates[r], before[r], dx, dproducts[r])
            add_to(dstatic[top + r], dx)
            if len(dsteps):
                dstep = dsteps[t * (R // K) + (top + r) // K]
                if r % K == 0:
                    dstep[:] = dx
                else:
                    add_to(dstep, dx)
        if i > 0:
            product(dproducts, U_transposed, carried, True)
