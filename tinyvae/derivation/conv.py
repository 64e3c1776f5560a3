"""Convolutions, the layers for images (LeCun et al. 1989), as matrix products; and their transposes.

A window, k pixels high and wide, moves over an image x (H, W, C) in steps of ``stride`` pixels. At each of P places it
shows a patch, k k C numbers, to which C' filters, the columns of F (k k C, C'), answer with a number each. With the
patches as the rows of a matrix (P, k k C), and G for the gathering of them (Chellapilla, Puri and Simard 2006; known as
im2col),

    a = (G x) F + b        h = psi(a)

There is a place for every ``stride`` pixels, P = ceil(H / stride) ceil(W / stride); where a patch reaches beyond the
image it shows zeros, and both sides of the image share what is missing there.

**Backward.** On its patches a convolution is an affine layer, whose three derivatives are known (mlp.py):

    dF = (G x)ᵀ da        db = the sum of the rows of da        d(G x) = da Fᵀ

What is left is the way from the patches back to the image. G only copies: every number of a patch is an entry of x, or
a zero of the margin. An entry that is shown in several patches passes its change on to all of them, so its derivative
is the sum of theirs: each number of d(G x) is added in the place that it was taken from,

    dx = Gᵀ (da Fᵀ)

Where x = psi(a') is the value of the layer below, its own chain rule follows at once, da' = dx psi'(a'): what stood
``before``.

**The transpose.** Without its bias a convolution is a linear map, T x = (G x) F, and what was just found is its
transpose: Tᵀ y = Gᵀ (y Fᵀ). The two belong together by

    <T x, y> = <x, Tᵀ y>        for all x and y

(the sums over all entries of the products). T makes few places of many; the decoder has to make many of few. For its
layer it takes the transpose of a T of its own, with filters of its own (Long, Shelhamer and Darrell 2015, section 3.3),

    a = Tᵀ x + b        h = psi(a)

Its derivatives need nothing new. By the identity <Tᵀ x, da> = <x, T da>, and with T da = (G da) F written out,

    dx = T da = (G da) F        dF = (G da)ᵀ x

So the transposed convolution goes back by the convolution, as the convolution goes back by its transpose, and the
gradient of the filters is the same function with x and da exchanged.
"""

from typing import NamedTuple

import numpy as np

from tinyvae import machine
from tinyvae.derivation.activations import LINEAR
from tinyvae.derivation.shapes import misfit
from tinyvae.types import Array, Maybe


class Geometry(NamedTuple):
    """The images that a convolution sees, and how.

    Attributes:
        height, width, channels: H, W and C of an image.
        kernel: k, the height and the width of a patch, in pixels.
        stride: the step from patch to patch, in pixels.
    """

    height: int
    width: int
    channels: int
    kernel: int
    stride: int

    @property
    def places(self) -> tuple[int, int]:
        """The numbers of patches downwards and across."""
        return -(-self.height // self.stride), -(-self.width // self.stride)

    @property
    def patch(self) -> int:
        """k k C, the numbers of a patch."""
        return self.kernel * self.kernel * self.channels


def _require_biases(b: Array, N: int, channels: int) -> None:
    """ValueError unless there is a bias for each channel, the same for N images or not."""
    if b.shape not in ((1, channels), (N, channels)):
        raise misfit(f"b (1, {channels}) or ({N}, {channels})", b)


class ConvolutionCache(NamedTuple):
    """What ``convolution`` and ``transposed_convolution`` leave to their backward passes."""

    x: Array
    F: Array
    geometry: Geometry


def convolution(
    x: Array, F: Array, b: Array, geometry: Geometry, activation: int = LINEAR
) -> tuple[Array, ConvolutionCache]:
    """h = psi((G x) F + b): a convolution, in the sense of all networks: its filters are not turned over.

    Args:
        x: (N, H W C) images, float32 or float64.
        F: (k k C, C') filters, in the dtype of x.
        b: (1, C') a bias for each filter, or (N, C') those of each image.
        geometry: of x.
        activation: psi, of activations.py.

    Returns:
        h: (N, P C') images with C' channels.
        cache: for ``convolution_backward``, any number of times.

    Raises: ValueError for shapes that do not fit.
    """
    _require_biases(b, len(x), F.shape[1])
    x = np.ascontiguousarray(x)
    h = np.empty((len(x), geometry.places[0] * geometry.places[1] * F.shape[1]), x.dtype)
    machine.convolution(x, F, b, h, geometry, activation)
    return h, ConvolutionCache(x, F, geometry)


def convolution_backward(
    da: Array, cache: ConvolutionCache, dF: Array, need_dx: bool = True, before: int = LINEAR
) -> tuple[Maybe, Array]:
    """dF = (G x)ᵀ da, db = the sum of da over all places, dx = Gᵀ (da Fᵀ) psi'.

    Args:
        da: (N, P C') derivative of a scalar by a = (G x) F + b, in front of the activation.
        cache: from ``convolution``.
        dF: (k k C, C') array to write the gradient into.
        need_dx: False where x is data.
        before: the activation that x is the value of.

    Returns:
        dx: (N, H W C), by x, or with ``before`` by what x is the activation of; or None.
        db: (N, C') of each image; a bias for all has the sum of these.
    """
    x, F, geometry = cache
    da = np.ascontiguousarray(da)
    machine.convolution_weight_gradient(da, x, dF, geometry)
    db = np.empty((len(da), F.shape[1]), da.dtype)
    machine.channel_sums(da, db, geometry.places[1])
    if not need_dx:
        return None, db
    dx = np.empty_like(x)
    machine.convolution_input_gradient(da, F, x, dx, geometry, before)
    return dx, db


def transposed_convolution(
    x: Array, F: Array, b: Array, geometry: Geometry, activation: int = LINEAR
) -> tuple[Array, ConvolutionCache]:
    """h = psi(Gᵀ (x Fᵀ) + b): the transpose of a convolution.

    Args:
        x: (N, P C') images with C' channels, float32 or float64.
        F: (k k C, C') filters, in the dtype of x.
        b: (1, C) a bias for each channel, or (N, C) those of each image.
        geometry: of the result.
        activation: psi, of activations.py.

    Returns:
        h: (N, H W C) images with C channels.
        cache: for ``transposed_convolution_backward``, any number of times.

    Raises: ValueError for shapes that do not fit.
    """
    _require_biases(b, len(x), geometry.channels)
    x = np.ascontiguousarray(x)
    h = np.empty((len(x), geometry.height * geometry.width * geometry.channels), x.dtype)
    machine.transposed_convolution(x, F, b, h, geometry, activation)
    return h, ConvolutionCache(x, F, geometry)


def transposed_convolution_backward(
    da: Array, cache: ConvolutionCache, dF: Array, before: int = LINEAR
) -> tuple[Array, Array]:
    """dF = (G da)ᵀ x, db = the sum of da over all pixels, dx = (G da) F psi'.

    Args:
        da: (N, H W C) derivative of a scalar by a = Gᵀ (x Fᵀ) + b, in front of the activation.
        cache: from ``transposed_convolution``.
        dF: (k k C, C') array to write the gradient into.
        before: the activation that x is the value of.

    Returns:
        dx: (N, P C'), by x, or with ``before`` by what x is the activation of.
        db: (N, C) of each image; a bias for all has the sum of these.
    """
    x, F, geometry = cache
    da = np.ascontiguousarray(da)
    machine.convolution_weight_gradient(x, da, dF, geometry)
    db = np.empty((len(da), geometry.channels), da.dtype)
    machine.channel_sums(da, db, geometry.width)
    dx = np.empty_like(x)
    machine.transposed_convolution_input_gradient(da, F, x, dx, geometry, before)
    return dx, db
