"""Kernels whose work the threads share: each is cut into pieces, the same for any number of threads.

For each kernel (kernels.py, philox.py) there is a *job* that does a piece of it. A job finds its arrays on the desk
(work_sharing.py), where a compiled function of this file has put them: ``share_rows`` for whatever is done row by row,
one for each product of a layer, and ``update``. It finds them by their addresses, so what does not fit is refused
before: here, or at the door (compiled.py).
"""

import numpy as np
from numba import carray, literal_unroll, njit

from tinyvae.machine import kernels, philox
from tinyvae.machine.code_cache import kernel
from tinyvae.machine.elementary import INNER
from tinyvae.machine.matrix_products import (
    are_few,
    input_gradient_tiles,
    mostly_zero,
    parts,
    product,
    product_tiles,
    weight_gradient_tiles,
)
from tinyvae.machine.work_sharing import ARGUMENTS, NUMBERS, TODO, Job, matrix, numbers, put, share

ELEMENTS = 8192  # in a piece of elementwise work


@njit(**INNER)
def height_of(array):
    """The number of rows of an array (R, D) in a piece of elementwise work."""
    return max(1, ELEMENTS // max(1, array.shape[1]))


# ---------------------------------------------------------------------------------------------------------------------
# The layers: a piece is a tile of a product
# ---------------------------------------------------------------------------------------------------------------------


@njit(**INNER)
def tile(piece, rows, columns, height, width, across_first):
    """The place of a piece, (top, bottom, left, right), of a matrix (rows, columns) that is cut into tiles.

    The pieces of a thread follow one another: some rows of tiles, or without ``across_first`` some columns.
    """
    down, across = parts(rows, height), parts(columns, width)
    i, j = (piece // across, piece % across) if across_first else (piece % down, piece // down)
    top, left = i * height, j * width
    return top, min(top + height, rows), left, min(left + width, columns)


@kernel
def affine(desk, addresses, x, W, b, out, squash):
    """out = x W + b, or with ``squash`` its tanh; in halves of W's rows that are added, if x has few rows."""
    if x.shape[1] != len(W) or W.shape[1] != len(b) or out.shape != (len(x), len(b)):
        raise ValueError("the shapes of x, W, b and out do not fit")
    desk[ARGUMENTS] = 0
    put(desk, x, x)
    put(desk, W, x)
    put(desk, b, x)
    put(desk, out, x)
    is_sparse = mostly_zero(x)
    height, width = product_tiles(x, W, is_sparse)
    n, tiles = desk[NUMBERS:], parts(len(x), height) * parts(len(b), width)
    n[0], n[1], n[2], n[3] = squash, is_sparse, height, width
    if not are_few(len(x), len(W)):
        share(desk, addresses[0], tiles)
        return
    rest = np.empty(out.shape, out.dtype)
    put(desk, rest, x)
    share(desk, addresses[1], 2 * tiles)
    share(desk, addresses[2], parts(len(b), width))
    desk[ARGUMENTS] = rest.ndim  # any use of it: without one Numba would free it before the jobs are done


@Job
def AFFINE(desk, piece, like):
    """A tile of ``affine``."""
    desk, n = carray(desk, TODO), numbers(desk)
    out = matrix(desk, 3, like)
    where = tile(piece, out.shape[0], out.shape[1], n[2], n[3], True)
    kernels.affine(
        matrix(desk, 0, like), matrix(desk, 1, like), matrix(desk, 2, like)[0], out, n[0] != 0, n[1] != 0, *where
    )


@Job
def HALF_PRODUCT(desk, piece, like):
    """A tile of half the product of ``affine``: the first half in ``out``, the second in ``rest``."""
    desk, n = carray(desk, TODO), numbers(desk)
    x, W, out = matrix(desk, 0, like), matrix(desk, 1, like), matrix(desk, 3, like)
    tiles = parts(out.shape[0], n[2]) * parts(out.shape[1], n[3])
    where = tile(piece % tiles, out.shape[0], out.shape[1], n[2], n[3], True)
    half = W.shape[0] // 2
    if piece < tiles:
        product(x, W, out, n[1] != 0, 0, half, *where)
    else:
        product(x, W, matrix(desk, 4, like), n[1] != 0, half, W.shape[0], *where)


@Job
def COMPLETE_AFFINE(desk, piece, like):
    """Some columns of the sum of the halves."""
    desk, n = carray(desk, TODO), numbers(desk)
    out = matrix(desk, 3, like)
    left = piece * n[3]
    right = min(left + n[3], out.shape[1])
    kernels.complete_affine(matrix(desk, 4, like), matrix(desk, 2, like)[0], out, n[0] != 0, left, right)


@kernel
def affine_gradient(desk, job, da, x, dW, db):
    """dW = xᵀ da and db = the sum of da's rows."""
    if len(x) != len(da) or dW.shape != (x.shape[1], da.shape[1]) or len(db) != da.shape[1]:
        raise ValueError("the shapes of da, x, dW and db do not fit")
    desk[ARGUMENTS] = 0
    put(desk, da, da)
    put(desk, x, da)
    put(desk, dW, da)
    put(desk, db, da)
    is_sparse = mostly_zero(x)
    height, width = weight_gradient_tiles(x, da, is_sparse)
    n = desk[NUMBERS:]
    n[0], n[1], n[2] = is_sparse, height, width
    share(desk, job, parts(len(dW), height) * parts(len(db), width))


@Job
def AFFINE_GRADIENT(desk, piece, like):
    """A tile of ``affine_gradient``."""
    desk, n = carray(desk, TODO), numbers(desk)
    dW = matrix(desk, 2, like)
    where = tile(piece, dW.shape[0], dW.shape[1], n[1], n[2], True)
    kernels.affine_gradient(
        matrix(desk, 0, like), matrix(desk, 1, like), dW, matrix(desk, 3, like)[0], n[0] != 0, *where
    )


@kernel
def affine_input_gradient(desk, job, da, W, h, dx, squash):
    """dx = da Wᵀ, or with ``squash`` that times 1 - h²."""
    if da.shape[1] != W.shape[1] or dx.shape != (len(da), len(W)) or h.shape != dx.shape:
        raise ValueError("the shapes of da, W, h and dx do not fit")
    desk[ARGUMENTS] = 0
    put(desk, da, da)
    put(desk, W, da)
    put(desk, h, da)
    put(desk, dx, da)
    height, width = input_gradient_tiles(da, W)
    n = desk[NUMBERS:]
    n[0], n[1], n[2] = squash, height, width
    share(desk, job, parts(len(dx), height) * parts(len(W), width))


@Job
def AFFINE_INPUT_GRADIENT(desk, piece, like):
    """A tile of ``affine_input_gradient``."""
    desk, n = carray(desk, TODO), numbers(desk)
    dx = matrix(desk, 3, like)
    W = matrix(desk, 1, like)
    where = tile(piece, dx.shape[0], dx.shape[1], n[1], n[2], not are_few(dx.shape[0], len(W)))
    kernels.affine_input_gradient(matrix(desk, 0, like), W, matrix(desk, 2, like), dx, n[0] != 0, *where)


# The layers of a network as a whole: Numba finds the types by itself, and wants tuples of arrays.


@kernel
def layers(desk, addresses, x, Ws, bs, outputs):
    """From the input up: tanh layers, and at last an affine one. ``outputs[i]`` is the i-th layer's (N, J_i)."""
    h, last = x, len(Ws) - 1
    for i in range(len(Ws)):
        affine(desk, addresses, h, Ws[i], bs[i], outputs[i], i < last)
        h = outputs[i]


@kernel
def layers_gradient(desk, addresses, dout, x, outputs, Ws, dWs, dbs, dinputs):
    """From the output down: ``dinputs[i]`` is the derivative by the i-th layer's input; the lowest if it has room."""
    da = dout
    for i in range(len(Ws) - 1, 0, -1):
        h, dh = outputs[i - 1], dinputs[i]
        affine_gradient(desk, addresses[0], da, h, dWs[i], dbs[i])
        affine_input_gradient(desk, addresses[1], da, Ws[i], h, dh, True)
        da = dh
    affine_gradient(desk, addresses[0], da, x, dWs[0], dbs[0])
    if len(dinputs[0]) == len(x):
        affine_input_gradient(desk, addresses[1], da, Ws[0], x, dinputs[0], False)


# ---------------------------------------------------------------------------------------------------------------------
# Likelihoods and noise: a piece is some rows
# ---------------------------------------------------------------------------------------------------------------------


@kernel
def share_rows(desk, job, rows, arrays, integers):
    """Have a job done that takes some rows at a time, as many as ``height_of`` says: its arguments are put down here.

    Args:
        desk: the desk at hand.
        job: address of the job for numbers like those of the arrays.
        rows: the array whose rows are shared out, one of the arrays.
        arrays: tuple, the job's arguments; the job's ``matrix(desk, i, like)`` is the i-th of them.
        integers: tuple, the job's ``numbers(desk)``.
    """
    desk[ARGUMENTS] = 0
    for array in literal_unroll(arrays):
        put(desk, array, rows)
    for i in range(len(integers)):
        desk[NUMBERS + i] = integers[i]
    share(desk, job, parts(len(rows), height_of(rows)))


@njit(**INNER)
def rows_of(piece, rows):
    """The rows of a piece of ``share_rows``, from the first to the last."""
    first = piece * height_of(rows)
    return first, min(first + height_of(rows), len(rows))


@Job
def BERNOULLI(desk, piece, like):
    """Some rows of ``kernels.bernoulli_log_prob``, for (x, logits, logp)."""
    desk = carray(desk, TODO)
    logits = matrix(desk, 1, like)
    kernels.bernoulli_log_prob(matrix(desk, 0, like), logits, matrix(desk, 2, like), *rows_of(piece, logits))


@Job
def GAUSSIAN(desk, piece, like):
    """Some rows of ``kernels.gaussian_log_prob``, for (x, outputs, logp, floor (1,)) and whether to squash."""
    desk, n = carray(desk, TODO), numbers(desk)
    outputs, floor = matrix(desk, 1, like), matrix(desk, 3, like)[0, 0]
    where = rows_of(piece, outputs)
    kernels.gaussian_log_prob(matrix(desk, 0, like), outputs, n[0] != 0, floor, matrix(desk, 2, like), *where)


@Job
def SCALE_ROWS(desk, piece, like):
    """Some rows of ``kernels.scale_rows``, for (weights, rows)."""
    desk = carray(desk, TODO)
    rows = matrix(desk, 1, like)
    kernels.scale_rows(matrix(desk, 0, like)[0], rows, *rows_of(piece, rows))


@Job
def NORMAL(desk, piece, like):
    """Some rows of ``philox.normal``, for (out,) and the six numbers of its place."""
    desk, n = carray(desk, TODO), numbers(desk)
    out = matrix(desk, 0, like)
    first, last = rows_of(piece, out)
    philox.normal(out[first:last], (n[0], n[1], n[2], n[3], n[4] + first, n[5]))


@Job
def UNIFORM(desk, piece, like):
    """Some rows of ``philox.uniform``, as ``NORMAL``."""
    desk, n = carray(desk, TODO), numbers(desk)
    out = matrix(desk, 0, like)
    first, last = rows_of(piece, out)
    philox.uniform(out[first:last], (n[0], n[1], n[2], n[3], n[4] + first, n[5]))


# ---------------------------------------------------------------------------------------------------------------------
# Optimisers: a piece is a part of the vectors
# ---------------------------------------------------------------------------------------------------------------------


@kernel
def update(desk, job, theta, g, m, v, options, cuts, sums):
    """A step of an optimiser. Piece i is theta[cuts[i, 0] : cuts[i, 1]]; sums[i] becomes the sum of its new values."""
    if not (theta.size == g.size == m.size == v.size) or cuts.shape != (len(sums), 2):
        raise ValueError("the sizes of the parameters, the gradient, the state and the cuts do not fit")
    desk[ARGUMENTS] = 0
    put(desk, theta, theta)
    put(desk, g, theta)
    put(desk, m, theta)
    put(desk, v, theta)
    put(desk, options, theta)
    put(desk, sums, theta)
    put(desk, cuts, desk)
    share(desk, job, len(sums))


@njit(**INNER)
def part(desk, i, piece, like):
    """The part of argument i, a vector, that a piece of ``update`` is about, from a pointer to the desk."""
    words = carray(desk, TODO)
    cuts = matrix(words, 6, desk)  # of int64, as the desk
    return matrix(words, i, like)[0][cuts[piece, 0] : cuts[piece, 1]]


@Job
def SGD(desk, piece, like):
    """Part of ``kernels.sgd_update``."""
    theta, g, m = part(desk, 0, piece, like), part(desk, 1, piece, like), part(desk, 2, piece, like)
    desk = carray(desk, TODO)
    matrix(desk, 5, like)[0, piece] = kernels.sgd_update(theta, g, m, matrix(desk, 4, like)[0])


@Job
def ADAGRAD(desk, piece, like):
    """Part of ``kernels.adagrad_update``."""
    theta, g, m = part(desk, 0, piece, like), part(desk, 1, piece, like), part(desk, 2, piece, like)
    desk = carray(desk, TODO)
    matrix(desk, 5, like)[0, piece] = kernels.adagrad_update(theta, g, m, matrix(desk, 4, like)[0])


@Job
def ADAM(desk, piece, like):
    """Part of ``kernels.adam_update``."""
    theta, g, m = part(desk, 0, piece, like), part(desk, 1, piece, like), part(desk, 2, piece, like)
    v = part(desk, 3, piece, like)
    desk = carray(desk, TODO)
    matrix(desk, 5, like)[0, piece] = kernels.adam_update(theta, g, m, v, matrix(desk, 4, like)[0])
