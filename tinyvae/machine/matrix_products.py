"""The three matrix products of an affine layer, cut into tiles that threads can share; for kernels to call.

A tile is done in the way that is fast for its shape:

* some of BLAS's kernels do small products (up to a million multiplications) at their full speed without copying the
  factors first, which costs the products of a minibatch a tenth to a half of their time. There tiles are small, but for
  very wide layers. Others always copy: there tiles are large, so that what is copied serves for long, or the sums over
  parts of many rows are whole, and added at last; for some twenty rows loops of our own, which copy nothing, are half
  as fast again;
* images are mostly black: a product with them is a sum over the pixels that are lit. Four or eight terms are added at a
  time, so that a partial sum is read and written once for them all.

How a product is cut depends on its shape, its zeros and the kernels alone: the result does not depend on the number of
threads.
"""

import numpy as np
from numba import njit

from tinyvae.machine.blas import copies_factors
from tinyvae.machine.code_cache import kernel
from tinyvae.machine.elementary import EXACT, INNER
from tinyvae.machine.memory import NO, YES, gemm

COPIES = copies_factors()
SMALL = 999_999  # multiplications; OpenBLAS does so many without copying, where it has kernels for that
WIDTH, HIGHEST = 64, 64  # of a tile of ``product`` then, which is high and wide enough to be fast
GRADIENT_WIDTH, BLOCKS = 48, 4  # of ``weight_gradient``: so wide, and in so many blocks of rows at least
INPUT_TILE = 24, 48  # of ``input_gradient``: with a transposed factor OpenBLAS wants yet smaller ones
TALLEST, WIDEST, NARROWEST = 512, 512, 96  # of large tiles, where BLAS copies whatever their size
LOOPS = 32  # rows of a minibatch, at most, where loops are faster than to copy W
SPARSE_ROWS = 5  # of a sparse product, in a tile


@njit(**INNER)
def parts(total, step):
    """The number of parts of a length that are cut by a step."""
    return -(-total // step)


@njit(**INNER)
def large_tiles(rows, columns, down):
    """The tiles of a matrix (rows, columns) where BLAS copies: at least so many downwards, about four in all if they
    are not narrow then, and at least two.

    The longer side is cut: of two tiles of one area BLAS copies least for the one that is nearer to a square.
    """
    across = parts(columns, WIDEST)
    while 2 * across * down <= BLOCKS:
        if columns * down >= rows * across and columns >= 2 * across * NARROWEST:
            across *= 2
        elif rows >= 2 * down * NARROWEST:
            down *= 2
        else:
            break
    if down * across == 1:
        down = 2
    return max(1, parts(rows, 4 * down) * 4), max(1, parts(columns, 8 * across) * 8)


@njit(**INNER)
def blocks_of_rows(x):
    """Into how many blocks of rows large tiles cut a minibatch."""
    return max(1, parts(len(x), TALLEST))


@njit(**INNER)
def are_few(rows, inputs):
    """Whether a minibatch has so few rows for a layer's inputs that to fetch its W (I, J) is what costs: each thread
    keeps to a part of W's rows.

    What a thread writes, as the optimiser does the weights, and another reads, goes from one core's cache to another's
    and costs more than the numbers of a few rows.
    """
    return 2 * rows <= inputs


@kernel
def product_tiles(x, W, is_sparse):
    """The tiles of ``product``: (height, width)."""
    if is_sparse:
        return SPARSE_ROWS, W.shape[1]
    if COPIES:
        if are_few(len(x), len(W)):  # there are two halves already
            return max(1, len(x)), WIDEST
        return large_tiles(len(x), W.shape[1], blocks_of_rows(x))
    return max(8, min(SMALL // (WIDTH * len(W)), HIGHEST) // 8 * 8), WIDTH


@njit(**INNER)
def product(x, W, out, first, last, top, bottom, left, right):
    """out = x W, for x (N, I), W (I, J), out (N, J), over the I from the first to the last.

    A tile of it: the rows from top to bottom, the columns from left to right.
    """
    (I, J), size = W.shape, x.itemsize
    gemm(
        NO, NO, bottom - top, right - left, last - first, x.ctypes.data + (top * I + first) * size, I,
        W.ctypes.data + (first * J + left) * size, J, out.ctypes.data + (top * J + left) * size, J, x.dtype.type,
    )  # fmt: skip


@njit(**INNER)
def are_many(rows, inputs, outputs):
    """Whether a minibatch has so many rows for a layer's W (inputs, outputs) that its gradient is summed over BLOCKS of
    them, each whole: BLAS copies every row once then, where tiles of W have it copied for each.

    The sums, which are added at last, are few beside that.
    """
    return COPIES and rows >= max(inputs, outputs) and rows * inputs * outputs > SMALL


@kernel
def weight_gradient_tiles(x, da, is_sparse):
    """The tiles of ``weight_gradient``: (height, width)."""
    block = parts(x.shape[1], BLOCKS)
    if is_sparse:
        return parts(block, 2), da.shape[1]
    if COPIES:
        down = 2 if are_few(len(x), x.shape[1]) and 2 * block >= NARROWEST else 1
        return large_tiles(x.shape[1], da.shape[1], BLOCKS if block >= NARROWEST else down)
    return max(1, min(SMALL // (GRADIENT_WIDTH * max(1, len(x))), block)), GRADIENT_WIDTH


@njit(**INNER)
def weight_gradient(x, da, dW, top, bottom, left, right, add=False):
    """dW = xᵀ da, or with ``add`` dW += that, for x (N, I), da (N, J), dW (I, J): the tile as in ``product``."""
    (I, J), size = dW.shape, x.itemsize
    gemm(
        YES, NO, bottom - top, right - left, len(x), x.ctypes.data + top * size, I, da.ctypes.data + left * size, J,
        dW.ctypes.data + (top * J + left) * size, J, x.dtype.type, add,
    )  # fmt: skip


@kernel
def input_gradient_tiles(da, W):
    """The tiles of ``input_gradient``: (height, width)."""
    if COPIES:
        return large_tiles(len(da), len(W), blocks_of_rows(da))
    return INPUT_TILE


@njit(**INNER)
def input_gradient(da, W, dx, top, bottom, left, right):
    """dx = da Wᵀ, for da (N, J), W (I, J), dx (N, I): the tile as in ``product``."""
    (I, J), size = W.shape, da.itemsize
    gemm(
        NO, YES, bottom - top, right - left, J, da.ctypes.data + top * J * size, J, W.ctypes.data + left * J * size, J,
        dx.ctypes.data + (top * I + left) * size, I, da.dtype.type,
    )  # fmt: skip


# Where BLAS copies W, that costs more than a product with a few rows: these loops take it as it stands. Four rows of x
# or da, and four or two of W, are done together, so that what is read serves several times. Where fewer are left the
# last row stands in for those that are missing: of x and da it is done once more, of W it has the weight zero.


@njit(**INNER)
def product_of_few(x, W, out, first, last, left, right):
    """``product``, some columns of it."""
    N, sums = len(x), np.zeros((parts(len(x), 4) * 4, right - left), out.dtype)
    for i in range(first, last, 4):
        k = neighbours(i, last)
        w0, w1, w2, w3 = W[k[0], left:right], W[k[1], left:right], W[k[2], left:right], W[k[3], left:right]
        for n in range(0, N, 4):
            m = neighbours(n, N)
            a, b = inputs(x[m[0]], i, last), inputs(x[m[1]], i, last)
            c, d = inputs(x[m[2]], i, last), inputs(x[m[3]], i, last)
            a_sum, b_sum, c_sum, d_sum = sums[n], sums[n + 1], sums[n + 2], sums[n + 3]
            for j in range(a_sum.size):
                a_sum[j] += a[0] * w0[j] + a[1] * w1[j] + a[2] * w2[j] + a[3] * w3[j]
                b_sum[j] += b[0] * w0[j] + b[1] * w1[j] + b[2] * w2[j] + b[3] * w3[j]
                c_sum[j] += c[0] * w0[j] + c[1] * w1[j] + c[2] * w2[j] + c[3] * w3[j]
                d_sum[j] += d[0] * w0[j] + d[1] * w1[j] + d[2] * w2[j] + d[3] * w3[j]
    for n in range(N):
        out[n, left:right] = sums[n]


@njit(**INNER)
def input_gradient_of_few(da, W, dx, left, right):
    """``input_gradient``, some columns of it."""
    zero = da.dtype.type(0)
    for i in range(left, right, 2):
        k = neighbours(i, right)
        v, w = W[k[0]], W[k[1]]
        for n in range(0, len(da), 4):
            m = neighbours(n, len(da))
            a, b, c, d = da[m[0]], da[m[1]], da[m[2]], da[m[3]]
            av = bv = cv = dv = aw = bw = cw = dw = zero
            for j in range(v.size):
                av += a[j] * v[j]
                bv += b[j] * v[j]
                cv += c[j] * v[j]
                dv += d[j] * v[j]
                aw += a[j] * w[j]
                bw += b[j] * w[j]
                cw += c[j] * w[j]
                dw += d[j] * w[j]
            dx[m[0], k[0]], dx[m[1], k[0]], dx[m[2], k[0]], dx[m[3], k[0]] = av, bv, cv, dv
            dx[m[0], k[1]], dx[m[1], k[1]], dx[m[2], k[1]], dx[m[3], k[1]] = aw, bw, cw, dw


@njit(**INNER)
def neighbours(i, end):
    """i and the three behind it, or the last one before the end in their place."""
    return i, min(i + 1, end - 1), min(i + 2, end - 1), min(i + 3, end - 1)


@njit(**INNER)
def inputs(row, i, end):
    """Four neighbours in a row, zeros from the end on."""
    zero, k = row.dtype.type(0), neighbours(i, end)
    return (
        row[i],
        row[k[1]] if i + 1 < end else zero,
        row[k[2]] if i + 2 < end else zero,
        row[k[3]] if i + 3 < end else zero,
    )


# The same products by one thread: as wholes where BLAS copies, else tile by tile.


@njit(**INNER)
def whole_product(x, W, out):
    """out = x W."""
    height, width = (len(x), W.shape[1]) if COPIES else product_tiles(x, W, False)
    for top in range(0, len(x), height):
        for left in range(0, W.shape[1], width):
            right = min(left + width, W.shape[1])
            product(x, W, out, 0, len(W), top, min(top + height, len(x)), left, right)


@njit(**INNER)
def whole_weight_gradient(x, da, dW, add):
    """dW = xᵀ da, or with ``add`` dW += that."""
    height, width = dW.shape if COPIES else weight_gradient_tiles(x, da, False)
    for top in range(0, len(dW), height):
        for left in range(0, dW.shape[1], width):
            right = min(left + width, dW.shape[1])
            weight_gradient(x, da, dW, top, min(top + height, len(dW)), left, right, add)


@njit(**INNER)
def whole_input_gradient(da, W, dx):
    """dx = da Wᵀ."""
    height, width = dx.shape if COPIES else input_gradient_tiles(da, W)
    for top in range(0, len(dx), height):
        for left in range(0, len(W), width):
            input_gradient(da, W, dx, top, min(top + height, len(dx)), left, min(left + width, len(W)))


@njit(**INNER)
def sparse_product(x, W, out, first, last, top, bottom):
    """``product`` over the entries of x that differ from zero; a tile is as wide as the whole."""
    W = W[first:last]
    places, weights = np.empty(x.shape[1] + 8, np.int64), np.empty(x.shape[1] + 8, x.dtype)
    for n in range(top, bottom):
        count = lit(x[n, first:last], places, weights)
        out[n] = 0
        for p in range(0, count, 8):
            a, b = four(weights, p), four(weights, p + 4)
            i, k = four(places, p), four(places, p + 4)
            for j in range(out.shape[1]):
                out[n, j] += combination(a, W, i, j) + combination(b, W, k, j)


@njit(**INNER)
def sparse_weight_gradient(x, da, dW, top, bottom):
    """``weight_gradient`` over the entries of x that differ from zero; a tile is as wide as the whole."""
    if len(x) == 0:
        dW[top:bottom] = 0
        return
    places, weights = np.empty(x.shape[0] + 8, np.int64), np.empty(x.shape[0] + 8, x.dtype)
    for i in range(top, bottom):
        count = lit(x[:, i], places, weights)
        a, n = four(weights, 0), four(places, 0)
        for j in range(dW.shape[1]):
            dW[i, j] = combination(a, da, n, j)
        for p in range(4, count, 4):
            a, n = four(weights, p), four(places, p)
            for j in range(dW.shape[1]):
                dW[i, j] += combination(a, da, n, j)


@njit(**EXACT)
def is_lit(number):
    """Whether it differs from zero. That which is not a number does: it is to be seen in the results."""
    return number != 0


@kernel
def mostly_zero(x):
    """Whether at most a quarter of the entries of x (N, I) differ from zero, and there are any."""
    count = 0
    for n in range(x.shape[0]):
        for i in range(x.shape[1]):
            count += is_lit(x[n, i])
        if 4 * count > x.size:
            return False
    return x.size > 0


@njit(**INNER)
def lit(v, places, weights):
    """The places and values of the entries of v that differ from zero, then eight of value zero; returns how many."""
    count = 0
    for i in range(v.size):
        places[count], weights[count] = i, v[i]
        count += is_lit(v[i])
    for p in range(count, count + 8):
        places[p], weights[p] = 0, 0
    return count


@njit(**INNER)
def four(v, p):
    """Four neighbours in v."""
    return v[p], v[p + 1], v[p + 2], v[p + 3]


@njit(**INNER)
def combination(a, A, rows, j):
    """The weighted sum, in column j, of four rows of A."""
    return a[0] * A[rows[0], j] + a[1] * A[rows[1], j] + a[2] * A[rows[2], j] + a[3] * A[rows[3], j]
