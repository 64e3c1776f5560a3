"""The products of a convolution, whose work the threads share: a piece is some images (jobs.py says how).

Each job has the number of images in a piece, an activation and the geometry (patches.py) for its ``numbers``. The
wide images are (N, H W C), the narrow ones, with an entry for each patch and filter, (N, P C'); the filters are (k k C,
C'). What makes narrow images of wide ones is a convolution's forward pass, and a transposed convolution's gradient.
"""

import numpy as np
from numba import carray, njit

from tinyvae.machine import kernels
from tinyvae.machine.elementary import INNER
from tinyvae.machine.matrix_products import parts, whole_input_gradient, whole_product, whole_weight_gradient
from tinyvae.machine.patches import cut_out, framed, gather, images_at_a_time, margin, scatter, set_into
from tinyvae.machine.work_sharing import TODO, Job, matrix, numbers

# The whole numbers of a job; the last five are the geometry.
IMAGES, ACTIVATION, HEIGHT, WIDTH, CHANNELS, KERNEL, STRIDE = range(7)


@njit(**INNER)
def images_of(piece, images, n):
    """The images of a piece, from the first to the last."""
    first = piece * n[IMAGES]
    return first, min(first + n[IMAGES], images)


@njit(**INNER)
def geometry_of(n):
    """(H, W, C, k, stride), from a job's whole numbers."""
    return n[HEIGHT], n[WIDTH], n[CHANNELS], n[KERNEL], n[STRIDE]


@njit(**INNER)
def space(images, n, like):
    """Room for a framed image (H + ..., (W + ...) C), and for the patches (images, P, k, k C) of some."""
    height, width, channels, size, stride = geometry_of(n)
    frame = np.empty((framed(height, size, stride), framed(width, size, stride) * channels), like.dtype)
    count = parts(height, stride) * parts(width, stride)
    return frame, np.empty((images, count, size, size * channels), like.dtype)


@njit(**INNER)
def patches_of(x, frame, patches, n):
    """The patches of all images of x (images, H W C)."""
    height, width, channels, size, stride = geometry_of(n)
    top, left = margin(height, size, stride), margin(width, size, stride) * channels
    for i in range(x.shape[0]):
        set_into(frame, x[i].reshape(height, width * channels), top, left)
        gather(frame, patches[i], parts(width, stride), stride, stride * channels)


@njit(**INNER)
def narrow(x, W, out, first, last, n):
    """out = patches of x times W, for some images."""
    frame, patches = space(last - first, n, x)
    patches_of(x[first:last], frame, patches, n)
    rows = patches.shape[0] * patches.shape[1]
    whole_product(patches.reshape(rows, W.shape[0]), W, out[first:last].reshape(rows, W.shape[1]))


@njit(**INNER)
def widen(x, W, out, first, last, n):
    """out = the patches x Wᵀ, added up in the places that they are taken from; the transpose of ``narrow``."""
    height, width, channels, size, stride = geometry_of(n)
    top, left = margin(height, size, stride), margin(width, size, stride) * channels
    frame, patches = space(last - first, n, x)
    rows = patches.shape[0] * patches.shape[1]
    whole_input_gradient(x[first:last].reshape(rows, W.shape[1]), W, patches.reshape(rows, W.shape[0]))
    for i in range(last - first):
        scatter(patches[i], frame, parts(width, stride), stride, stride * channels)
        cut_out(frame, out[first + i].reshape(height, width * channels), top, left)


@njit(**INNER)
def add_channel_bias(b, out, first, last, width, activation):
    """out = psi(out + b) for some images (N, H W C), and b (1, C) for all or (N, C) for each of them."""
    row = np.empty(width * b.shape[1], out.dtype)  # of an image: a loop over three channels alone would be slow
    for i in range(first, last):
        bias = b[i if b.shape[0] > 1 else 0]
        for x in range(width):
            row[x * bias.size : (x + 1) * bias.size] = bias
        rows = out[i].size // row.size
        kernels.add_bias(row, out[i].reshape(rows, row.size), activation, 0, rows, 0, row.size)


@Job
def CONVOLUTION(desk, piece, like):
    """Some images of ``plain.convolution``, for (x, W, b, out)."""
    desk, n = carray(desk, TODO), numbers(desk)
    x, out = matrix(desk, 0, like), matrix(desk, 3, like)
    first, last = images_of(piece, x.shape[0], n)
    narrow(x, matrix(desk, 1, like), out, first, last, n)
    add_channel_bias(matrix(desk, 2, like), out, first, last, parts(n[WIDTH], n[STRIDE]), n[ACTIVATION])


@Job
def TRANSPOSED_CONVOLUTION(desk, piece, like):
    """Some images of ``plain.transposed_convolution``, for (x, W, b, out)."""
    desk, n = carray(desk, TODO), numbers(desk)
    x, out = matrix(desk, 0, like), matrix(desk, 3, like)
    first, last = images_of(piece, x.shape[0], n)
    widen(x, matrix(desk, 1, like), out, first, last, n)
    add_channel_bias(matrix(desk, 2, like), out, first, last, n[WIDTH], n[ACTIVATION])


@Job
def CONVOLUTION_INPUT_GRADIENT(desk, piece, like):
    """Some images of ``plain.convolution_input_gradient``, for (da, W, h, dx)."""
    desk, n = carray(desk, TODO), numbers(desk)
    da, dx = matrix(desk, 0, like), matrix(desk, 3, like)
    first, last = images_of(piece, da.shape[0], n)
    widen(da, matrix(desk, 1, like), dx, first, last, n)
    kernels.activation_gradient(matrix(desk, 2, like), dx, n[ACTIVATION], first, last, 0, dx.shape[1])


@Job
def TRANSPOSED_CONVOLUTION_INPUT_GRADIENT(desk, piece, like):
    """Some images of ``plain.transposed_convolution_input_gradient``, for (da, W, h, dx)."""
    desk, n = carray(desk, TODO), numbers(desk)
    da, dx = matrix(desk, 0, like), matrix(desk, 3, like)
    first, last = images_of(piece, da.shape[0], n)
    narrow(da, matrix(desk, 1, like), dx, first, last, n)
    kernels.activation_gradient(matrix(desk, 2, like), dx, n[ACTIVATION], first, last, 0, dx.shape[1])


@Job
def CONVOLUTION_WEIGHT_GRADIENT(desk, piece, like):
    """The sum over some images of ``plain.convolution_weight_gradient``, for (da, x, sums (pieces, k k C C'))."""
    desk, n = carray(desk, TODO), numbers(desk)
    da, x, total = matrix(desk, 0, like), matrix(desk, 1, like), matrix(desk, 2, like)[piece]
    first, last = images_of(piece, x.shape[0], n)
    if first == last:
        total[:] = 0
        return
    height, width, channels, size, stride = geometry_of(n)
    places, inputs = parts(height, stride) * parts(width, stride), size * size * channels
    some, filters = images_at_a_time(x.shape[0], places * inputs), da.shape[1] // places
    frame, patches = space(some, n, x)
    for start in range(first, last, some):
        end = min(start + some, last)
        rows = (end - start) * places
        patches_of(x[start:end], frame, patches, n)
        some_patches = patches[: end - start].reshape(rows, inputs)
        some_da = da[start:end].reshape(rows, filters)
        whole_weight_gradient(some_patches, some_da, total.reshape(inputs, filters), start > first)


@Job
def SUM_OF_ROWS(desk, piece, like):
    """Some columns of the sum over the rows of an array (S, J), for (its sum (1, J), the array)."""
    desk, n = carray(desk, TODO), numbers(desk)
    total, array = matrix(desk, 0, like), matrix(desk, 1, like)
    left = piece * n[0]
    kernels.bias_gradient(array, total[0], left, min(left + n[0], array.shape[1]))


@Job
def CHANNEL_SUMS(desk, piece, like):
    """Some images of ``plain.channel_sums``, for (a, sums)."""
    desk, n = carray(desk, TODO), numbers(desk)
    a, sums = matrix(desk, 0, like), matrix(desk, 1, like)
    channels = sums.shape[1]
    row = np.empty(n[WIDTH] * channels, a.dtype)
    first, last = images_of(piece, a.shape[0], n)
    for i in range(first, last):
        kernels.bias_gradient(a[i].reshape(a.shape[1] // row.size, row.size), row, 0, row.size)
        kernels.bias_gradient(row.reshape(n[WIDTH], channels), sums[i], 0, channels)
