"""Patches of images, which make of a convolution a matrix product (derivation/conv.py); for kernels to call.

An image (H, W C), channels last, is first set into a frame of zeros: there a patch is k runs of k C neighbours, and no
pixel has to be asked whether it is inside. The patches of all images would be some times as large as these, and larger
than a cache: so they are made for a few images, multiplied while they are at hand, and made again where they are needed
again, which with some tens of filters costs a fifteenth of the product.

A geometry is (H, W, C, k, stride): an image's height, width and channels, the side of a patch, and the step from patch
to patch. There is a patch for every stride pixels, ceil(H / stride) downwards; what they reach beyond the image is
shared by its two sides, the greater half below and to the right.
"""

from numba import njit

from tinyvae.machine.elementary import INNER
from tinyvae.machine.matrix_products import parts

MOST_NUMBERS = 2**17  # in the patches that are made at a time: half a megabyte of float32
PIECES = 8  # a minibatch is cut into about so many, or more


@njit(**INNER)
def framed(length, size, stride):
    """A side of an image with its frame, from the side itself and that of a patch."""
    return max(length, (parts(length, stride) - 1) * stride + size)


@njit(**INNER)
def margin(length, size, stride):
    """The width of the frame above, or to the left."""
    return (framed(length, size, stride) - length) // 2


@njit(**INNER)
def images_at_a_time(images, patch_numbers):
    """How many images' patches are made at a time, if those of one have so many numbers."""
    return max(1, min(MOST_NUMBERS // max(1, patch_numbers), -(-images // PIECES)))


@njit(**INNER)
def set_into(frame, image, top, left):
    """The image (H, W C) in its frame, left numbers from the left."""
    frame[:] = 0
    for y in range(image.shape[0]):
        source, target = image[y], frame[top + y, left : left + image.shape[1]]
        for i in range(source.size):
            target[i] = source[i]


@njit(**INNER)
def cut_out(frame, image, top, left):
    """The image (H, W C) becomes what stands in its place in the frame."""
    for y in range(image.shape[0]):
        source, target = frame[top + y, left : left + image.shape[1]], image[y]
        for i in range(target.size):
            target[i] = source[i]


@njit(**INNER)
def gather(frame, patches, across, down_step, across_step):
    """The patches (P, k, k C) of a framed image, row by row, ``across`` in each; a step across is in numbers."""
    for p in range(patches.shape[0]):
        top, left = p // across * down_step, p % across * across_step
        for y in range(patches.shape[1]):
            source, target = frame[top + y, left : left + patches.shape[2]], patches[p, y]
            for i in range(target.size):
                target[i] = source[i]


@njit(**INNER)
def scatter(patches, frame, across, down_step, across_step):
    """The transpose of ``gather``: every number of the patches is added where it was taken from."""
    frame[:] = 0
    for p in range(patches.shape[0]):
        top, left = p // across * down_step, p % across * across_step
        for y in range(patches.shape[1]):
            source, target = patches[p, y], frame[top + y, left : left + patches.shape[2]]
            for i in range(source.size):
                target[i] += source[i]
