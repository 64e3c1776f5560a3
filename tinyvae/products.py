"""The three matrix products of an affine layer, each done in the way that is fast for its shape; for kernels to call.

BLAS is at the hardware's peak where there are many rows. Two cases are better served by loops, which run at more than
twice its speed there:

* images are mostly black: a product with them is a sum over the pixels that are lit. Four or eight terms are added at a
  time, so that a partial sum is read and written once for them all;
* a thread's share of a minibatch can be ten rows, and BLAS then spends more time on copying the weights than on
  multiplying. The gradient by the input needs no copy: both of its factors are read along their rows.
"""

import numpy as np
import scipy.linalg  # noqa: F401  (loads SciPy's BLAS, which Numba calls, so that threadpoolctl can limit it)
from numba import njit

from tinyvae.elementary import FAST

INLINE = {"fastmath": True, "error_model": "numpy"}

FEW_ROWS = 64  # up to here ``input_gradient`` does without BLAS


@njit(**FAST)
def product(x, W, out):
    """out = x W, for x (N, I), W (I, J), out (N, J)."""
    if not mostly_zero(x):
        np.dot(x, W, out)
        return
    places, weights = np.empty(x.shape[1] + 8, np.int64), np.empty(x.shape[1] + 8, x.dtype)
    for n in range(x.shape[0]):
        count = lit(x[n], places, weights)
        out[n] = 0
        for p in range(0, count, 8):
            a, b = four(weights, p), four(weights, p + 4)
            i, k = four(places, p), four(places, p + 4)
            for j in range(out.shape[1]):
                out[n, j] += combination(a, W, i, j) + combination(b, W, k, j)


@njit(**FAST)
def weight_gradient(x, da, dW):
    """dW = xᵀ da, for x (N, I), da (N, J), dW (I, J)."""
    if len(x) == 0 or not mostly_zero(x):
        np.dot(x.T, da, dW)
        return
    places, weights = np.empty(x.shape[0] + 8, np.int64), np.empty(x.shape[0] + 8, x.dtype)
    for i in range(x.shape[1]):
        count = lit(x[:, i], places, weights)
        a, n = four(weights, 0), four(places, 0)
        for j in range(dW.shape[1]):
            dW[i, j] = combination(a, da, n, j)
        for p in range(4, count, 4):
            a, n = four(weights, p), four(places, p)
            for j in range(dW.shape[1]):
                dW[i, j] += combination(a, da, n, j)


@njit(**FAST)
def input_gradient(da, W, dx):
    """dx = da Wᵀ, for da (N, J), W (I, J), dx (N, I).

    Without BLAS, in tiles of four by four numbers of dx; the last tile may overlap the one before.
    """
    N, I = dx.shape
    if N < 4 or I < 4 or N > FEW_ROWS:
        np.dot(da, W.T, dx)
        return
    zero = da.dtype.type(0)
    zeros = (zero, zero, zero, zero)
    for first_i in range(0, I, 4):
        i = min(first_i, I - 4)
        for first_n in range(0, N, 4):
            n = min(first_n, N - 4)
            r0, r1, r2, r3 = zeros, zeros, zeros, zeros
            for j in range(da.shape[1]):
                w = (W[i, j], W[i + 1, j], W[i + 2, j], W[i + 3, j])
                r0, r1 = multiply_add(r0, da[n, j], w), multiply_add(r1, da[n + 1, j], w)
                r2, r3 = multiply_add(r2, da[n + 2, j], w), multiply_add(r3, da[n + 3, j], w)
            for k in range(4):
                dx[n, i + k], dx[n + 1, i + k], dx[n + 2, i + k], dx[n + 3, i + k] = r0[k], r1[k], r2[k], r3[k]


@njit(**FAST)
def mostly_zero(x):
    """Whether at most a quarter of the entries of x (N, I) differ from zero."""
    count = 0
    for n in range(x.shape[0]):
        for i in range(x.shape[1]):
            count += x[n, i] != 0
        if 4 * count > x.size:
            return False
    return True


@njit(**INLINE)
def lit(v, places, weights):
    """The places and values of the entries of v that differ from zero, then eight of value zero; returns how many."""
    count = 0
    for i in range(v.size):
        places[count], weights[count] = i, v[i]
        count += v[i] != 0
    for p in range(count, count + 8):
        places[p], weights[p] = 0, 0
    return count


@njit(**INLINE)
def four(v, p):
    """Four neighbours in v."""
    return v[p], v[p + 1], v[p + 2], v[p + 3]


@njit(**INLINE)
def combination(a, A, rows, j):
    """The weighted sum, in column j, of four rows of A."""
    return a[0] * A[rows[0], j] + a[1] * A[rows[1], j] + a[2] * A[rows[2], j] + a[3] * A[rows[3], j]


@njit(**INLINE)
def multiply_add(total, a, w):
    """total + a w, for total and w of four numbers."""
    return total[0] + a * w[0], total[1] + a * w[1], total[2] + a * w[2], total[3] + a * w[3]
