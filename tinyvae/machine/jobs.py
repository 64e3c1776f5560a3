"""Kernels whose work the threads share: each is cut into pieces, the same for any number of threads.

For each kernel (kernels.py, philox.py) there is a *job* that does a piece of it. A job finds its arrays on the desk
(work_sharing.py), where a compiled function of this file has put them: one for each product of a layer,
``bernoulli_of_layers``, ``update``, and ``share_pieces`` for all else. It finds them by their addresses, so what does
not fit is refused before: here, or at the door (compiled.py).
"""

import numpy as np
from numba import carray, literal_unroll, njit

from tinyvae.machine import LINEAR, kernels, philox
from tinyvae.machine.code_cache import kernel
from tinyvae.machine.elementary import INNER
from tinyvae.machine.matrix_products import (
    BLOCKS,
    COPIES,
    LOOPS,
    are_few,
    are_many,
    input_gradient,
    input_gradient_of_few,
    input_gradient_tiles,
    parts,
    product,
    product_of_few,
    product_tiles,
    sparse_product,
    sparse_weight_gradient,
    weight_gradient,
    weight_gradient_tiles,
    whole_product,
    whole_weight_gradient,
)
from tinyvae.machine.work_sharing import ARGUMENTS, ARRAYS, NUMBERS, TODO, Job, matrix, numbers, put, share

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
def affine(desk, addresses, is_sparse, x, W, b, out, activation):
    """out = f(x W + b), for an activation f; in halves of W's rows that are added, if x has few rows.

    Args:
        addresses: of the jobs AFFINE, SPARSE_AFFINE, HALF_PRODUCT, SPARSE_HALF_PRODUCT and COMPLETE_AFFINE, as far as
            they are needed.
        is_sparse: whether to go through the entries of x that differ from zero.
    """
    fits = x.shape == (len(x), len(W)) and W.shape == (len(W), len(b)) and out.shape == (len(x), len(b))
    if not fits or b.shape != (len(b),):
        raise ValueError("the shapes of x, W, b and out do not fit")
    desk[ARGUMENTS] = 0
    put(desk, x, x)
    put(desk, W, x)
    put(desk, b, x)
    put(desk, out, x)
    height, width = product_tiles(x, W, is_sparse)
    n, tiles = desk[NUMBERS:], parts(len(x), height) * parts(len(b), width)
    n[0], n[1], n[2] = activation, height, width
    if not are_few(len(x), len(W)):
        share(desk, addresses[1 if is_sparse else 0], tiles)
        return
    rest = np.empty(out.shape, out.dtype)
    put(desk, rest, x)
    share(desk, addresses[3 if is_sparse else 2], 2 * tiles)
    share(desk, addresses[4], parts(len(b), width))
    desk[ARGUMENTS] = rest.ndim  # any use of it: without one Numba would free it before the jobs are done


@Job
def AFFINE(desk, piece, like):
    """A tile of ``affine``."""
    desk, n = carray(desk, TODO), numbers(desk)
    W, out = matrix(desk, 1, like), matrix(desk, 3, like)
    where = tile(piece, out.shape[0], out.shape[1], n[1], n[2], True)
    product(matrix(desk, 0, like), W, out, 0, W.shape[0], *where)
    kernels.add_bias(matrix(desk, 2, like)[0], out, n[0], *where)


@Job
def SPARSE_AFFINE(desk, piece, like):
    """A tile of ``affine`` if it is sparse."""
    desk, n = carray(desk, TODO), numbers(desk)
    W, out = matrix(desk, 1, like), matrix(desk, 3, like)
    top, bottom, left, right = tile(piece, out.shape[0], out.shape[1], n[1], n[2], True)
    sparse_product(matrix(desk, 0, like), W, out, 0, W.shape[0], top, bottom)
    kernels.add_bias(matrix(desk, 2, like)[0], out, n[0], top, bottom, left, right)


@njit(**INNER)
def half(desk, piece, like):
    """What a piece of half the product of ``affine`` is about: the result, the first and the last of W's rows, and the
    piece's number among those of its half. The first half's result is ``out``, the second's ``rest``.
    """
    n, (rows, columns), inputs = desk[NUMBERS:], matrix(desk, 3, like).shape, matrix(desk, 1, like).shape[0]
    tiles = parts(rows, n[1]) * parts(columns, n[2])
    if piece < tiles:
        return matrix(desk, 3, like), 0, inputs // 2, piece
    return matrix(desk, 4, like), inputs // 2, inputs, piece - tiles


@Job
def HALF_PRODUCT(desk, piece, like):
    """A tile of half the product of ``affine``."""
    desk, n = carray(desk, TODO), numbers(desk)
    result, first, last, piece = half(desk, piece, like)
    x, W = matrix(desk, 0, like), matrix(desk, 1, like)
    top, bottom, left, right = tile(piece, result.shape[0], result.shape[1], n[1], n[2], True)
    if COPIES and result.shape[0] <= LOOPS:
        product_of_few(x[top:bottom], W, result[top:bottom], first, last, left, right)
    else:
        product(x, W, result, first, last, top, bottom, left, right)


@Job
def SPARSE_HALF_PRODUCT(desk, piece, like):
    """A tile of half the product of ``affine`` if it is sparse."""
    desk, n = carray(desk, TODO), numbers(desk)
    result, first, last, piece = half(desk, piece, like)
    top, bottom, _, _ = tile(piece, result.shape[0], result.shape[1], n[1], n[2], True)
    sparse_product(matrix(desk, 0, like), matrix(desk, 1, like), result, first, last, top, bottom)


@Job
def COMPLETE_AFFINE(desk, piece, like):
    """Some columns of the sum of the halves."""
    desk, n = carray(desk, TODO), numbers(desk)
    out = matrix(desk, 3, like)
    left = piece * n[2]
    right = min(left + n[2], out.shape[1])
    kernels.add_rest(matrix(desk, 4, like), out, left, right)
    kernels.add_bias(matrix(desk, 2, like)[0], out, n[0], 0, len(out), left, right)


@kernel
def affine_gradient(desk, addresses, is_sparse, da, x, dW, db):
    """dW = xᵀ da and db = the sum of da's rows; over blocks of these, which are added, if they are many.

    Args:
        addresses: of the jobs AFFINE_GRADIENT, SPARSE_AFFINE_GRADIENT, BLOCK_GRADIENT and COMPLETE_GRADIENT, as far as
            they are needed.
        is_sparse: whether to go through the entries of x that differ from zero.
    """
    fits = x.shape == (len(da), len(dW)) and da.shape == (len(da), len(db)) and dW.shape == (len(dW), len(db))
    if not fits or db.shape != (len(db),):
        raise ValueError("the shapes of da, x, dW and db do not fit")
    desk[ARGUMENTS] = 0
    put(desk, da, da)
    put(desk, x, da)
    put(desk, dW, da)
    put(desk, db, da)
    if not is_sparse and are_many(len(x), len(dW), len(db)):
        sums = np.empty((BLOCKS, len(dW) + 1, len(db)), da.dtype)  # db below dW
        put(desk, sums, da)
        share(desk, addresses[2], BLOCKS)
        share(desk, addresses[3], parts(len(dW) + 1, height_of(dW)))
        desk[ARGUMENTS] = sums.ndim  # any use of it: without one Numba would free it before the jobs are done
        return
    height, width = weight_gradient_tiles(x, da, is_sparse)
    n = desk[NUMBERS:]
    n[0], n[1] = height, width
    share(desk, addresses[1 if is_sparse else 0], parts(len(dW), height) * parts(len(db), width))


# The uppermost tiles of dW have the part of db that is in their columns.


@Job
def AFFINE_GRADIENT(desk, piece, like):
    """A tile of ``affine_gradient``."""
    desk, n = carray(desk, TODO), numbers(desk)
    da, dW = matrix(desk, 0, like), matrix(desk, 2, like)
    top, bottom, left, right = tile(piece, dW.shape[0], dW.shape[1], n[0], n[1], True)
    weight_gradient(matrix(desk, 1, like), da, dW, top, bottom, left, right)
    if top == 0:
        kernels.bias_gradient(da, matrix(desk, 3, like)[0], left, right)


@Job
def SPARSE_AFFINE_GRADIENT(desk, piece, like):
    """A tile of ``affine_gradient`` if it is sparse."""
    desk, n = carray(desk, TODO), numbers(desk)
    da, dW = matrix(desk, 0, like), matrix(desk, 2, like)
    top, bottom, left, right = tile(piece, dW.shape[0], dW.shape[1], n[0], n[1], True)
    sparse_weight_gradient(matrix(desk, 1, like), da, dW, top, bottom)
    if top == 0:
        kernels.bias_gradient(da, matrix(desk, 3, like)[0], left, right)


@Job
def BLOCK_GRADIENT(desk, piece, like):
    """The sums of ``affine_gradient`` over a block of the rows."""
    desk = carray(desk, TODO)
    da, x, sums = matrix(desk, 0, like), matrix(desk, 1, like), matrix(desk, 4, like)
    first, last = len(x) * piece // BLOCKS, len(x) * (piece + 1) // BLOCKS
    height = x.shape[1] + 1
    block = sums[piece * height : (piece + 1) * height]
    whole_weight_gradient(x[first:last], da[first:last], block[:-1], False)
    kernels.bias_gradient(da[first:last], block[-1], 0, da.shape[1])


@Job
def COMPLETE_GRADIENT(desk, piece, like):
    """Some rows of the sum of the blocks."""
    desk = carray(desk, TODO)
    dW = matrix(desk, 2, like)
    first = piece * height_of(dW)
    kernels.add_blocks(matrix(desk, 4, like), dW, matrix(desk, 3, like)[0], first, first + height_of(dW))


@kernel
def affine_input_gradient(desk, job, da, W, h, dx, activation):
    """dx = da Wᵀ f'(a), for an activation f whose value was h = f(a)."""
    fits = da.shape == (len(da), W.shape[1]) and W.shape == (len(W), W.shape[1])
    if not fits or dx.shape != (len(da), len(W)) or h.shape != dx.shape:
        raise ValueError("the shapes of da, W, h and dx do not fit")
    desk[ARGUMENTS] = 0
    put(desk, da, da)
    put(desk, W, da)
    put(desk, h, da)
    put(desk, dx, da)
    height, width = input_gradient_tiles(da, W)
    n = desk[NUMBERS:]
    n[0], n[1], n[2] = activation, height, width
    share(desk, job, parts(len(dx), height) * parts(len(W), width))


@Job
def AFFINE_INPUT_GRADIENT(desk, piece, like):
    """A tile of ``affine_input_gradient``."""
    desk, n = carray(desk, TODO), numbers(desk)
    da, W, dx = matrix(desk, 0, like), matrix(desk, 1, like), matrix(desk, 3, like)
    across_first = not are_few(dx.shape[0], len(W))
    top, bottom, left, right = tile(piece, dx.shape[0], dx.shape[1], n[1], n[2], across_first)
    if COPIES and dx.shape[0] <= LOOPS:
        input_gradient_of_few(da[top:bottom], W, dx[top:bottom], left, right)
    else:
        input_gradient(da, W, dx, top, bottom, left, right)
    kernels.activation_gradient(matrix(desk, 2, like), dx, n[0], top, bottom, left, right)


# The layers of a network as a whole: Numba finds the types by itself, and wants tuples of arrays.


@kernel
def layers(desk, addresses, is_sparse, x, Ws, bs, outputs, activation, last_activation):
    """From the input up, with an activation and at last another one. ``outputs[i]`` is the i-th layer's (N, J_i).

    ``is_sparse`` is of x; what is between the layers is taken as it is.
    """
    h, last = x, len(Ws) - 1
    for i in range(len(Ws)):
        f = activation if i < last else last_activation
        affine(desk, addresses, is_sparse and i == 0, h, Ws[i], bs[i], outputs[i], f)
        h = outputs[i]


@kernel
def layers_gradient(desk, addresses, is_sparse, dout, x, outputs, Ws, dWs, dbs, dinputs, activation, first_activation):
    """From the output down: ``dinputs[i]`` is the derivative by what the i-th layer's input is an activation of.

    The lowest is written if it has room: its input may be an activation's value too.
    """
    da = dout
    for i in range(len(Ws) - 1, -1, -1):
        h = outputs[i - 1] if i > 0 else x
        affine_gradient(desk, addresses, is_sparse and i == 0, da, h, dWs[i], dbs[i])
        if len(dinputs[i]) == len(h):
            f = activation if i > 0 else first_activation
            affine_input_gradient(desk, addresses[4], da, Ws[i], h, dinputs[i], f)
        da = dinputs[i]


# A network and the density behind it, where nothing between them is wanted: a piece is some rows, which go through all
# layers while they are in a core's own cache.

# How many numbers the layers put out for the rows of a piece: more where BLAS copies the weights for each.
IN_CACHE = 480_000 if COPIES else 120_000


@kernel
def bernoulli_of_layers(desk, job, x, z, Ws, bs, logp, activation):
    """logp = log p(x | z) for logits of the layers, the last one affine, from z (N K, I)."""
    list_of_layers = np.empty(ARRAYS + 6 * len(Ws), np.int64)  # laid out as the desk is: there may be many
    list_of_layers[ARGUMENTS] = 0
    units, outputs = z.shape[1], 0
    for i in range(len(Ws)):
        if Ws[i].shape != (units, len(bs[i])) or bs[i].shape != (len(bs[i]),):
            raise ValueError("the shapes of z and the layers do not fit")
        put(list_of_layers, Ws[i], z)
        put(list_of_layers, bs[i], z)
        units = len(bs[i])
        outputs += units
    if x.shape[1] != units or len(logp) != len(x) or logp.size != len(z):
        raise ValueError("the shapes of x, z, logp and the last layer do not fit")
    desk[ARGUMENTS] = 0
    put(desk, x, z)
    put(desk, z, z)
    put(desk, logp, z)
    put(desk, list_of_layers, desk)
    height = max(16, IN_CACHE // outputs // 16 * 16)
    n = desk[NUMBERS:]
    n[0], n[1], n[2] = len(Ws), activation, height
    share(desk, job, parts(len(z), height))
    desk[ARGUMENTS] = list_of_layers.size  # any use of it: without one Numba would free it before the job is done


@Job
def BERNOULLI_OF_LAYERS(desk, piece, like):
    """Some rows of ``bernoulli_of_layers``."""
    words, n = carray(desk, TODO), numbers(desk)
    z, list_of_layers = matrix(words, 1, like), matrix(words, 3, desk)[0]
    first = piece * n[2]
    h = z[first : min(first + n[2], len(z))]
    for i in range(n[0]):
        W, b = matrix(list_of_layers, 2 * i, like), matrix(list_of_layers, 2 * i + 1, like)
        out = np.empty((len(h), W.shape[1]), h.dtype)
        whole_product(h, W, out)
        kernels.add_bias(b[0], out, n[1] if i < n[0] - 1 else LINEAR, 0, len(out), 0, out.shape[1])
        h = out
    kernels.bernoulli_density(matrix(words, 0, like), h, matrix(words, 2, like), first)


# ---------------------------------------------------------------------------------------------------------------------
# Likelihoods and noise: a piece is some rows
# ---------------------------------------------------------------------------------------------------------------------


@kernel
def share_pieces(desk, job, pieces, arrays, integers):
    """Have a job done: its arguments are put down here.

    Args:
        desk: the desk at hand.
        job: address of the job for numbers like those of the arrays.
        pieces: how many there are.
        arrays: tuple, the job's arguments, (R, D) or (D,); the job's ``matrix(desk, i, like)`` is the i-th of them.
        integers: tuple, the job's ``numbers(desk)``.

    Raises: ValueError if the desk has no room for so many; TypeError as ``put``.
    """
    if len(integers) > ARRAYS - NUMBERS or len(arrays) > (TODO - ARRAYS) // 3:
        raise ValueError("so many arrays or whole numbers do not fit on the desk")
    desk[ARGUMENTS] = 0
    for array in literal_unroll(arrays):
        put(desk, array, arrays[0])
    for i in range(len(integers)):
        desk[NUMBERS + i] = integers[i]
    share(desk, job, pieces)


@njit(**INNER)
def rows_of(piece, rows):
    """The rows of a piece of elementwise work, from the first to the last."""
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
def LOGISTIC(desk, piece, like):
    """Some rows of ``kernels.logistic_log_prob``, for (x, outputs, logp) and the number of components."""
    desk, n = carray(desk, TODO), numbers(desk)
    outputs = matrix(desk, 1, like)
    where = rows_of(piece, outputs)
    kernels.logistic_log_prob(matrix(desk, 0, like), outputs, n[0], matrix(desk, 2, like), *where)


@Job
def CATEGORICAL(desk, piece, like):
    """Some rows of ``kernels.categorical_log_prob``, for (x, logits, alike, logp)."""
    desk = carray(desk, TODO)
    logits, where = matrix(desk, 1, like), rows_of(piece, matrix(desk, 1, like))
    kernels.categorical_log_prob(matrix(desk, 0, like), logits, matrix(desk, 2, like), matrix(desk, 3, like), *where)


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
def BINARY(desk, piece, like):
    """Some rows of ``philox.binary``, for (probabilities, out) and the place as for ``NORMAL``."""
    desk, n = carray(desk, TODO), numbers(desk)
    out = matrix(desk, 1, like)
    first, last = rows_of(piece, out)
    place = n[0], n[1], n[2], n[3], n[4] + first, n[5]
    philox.binary(matrix(desk, 0, like)[first:last], out[first:last], place)


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
