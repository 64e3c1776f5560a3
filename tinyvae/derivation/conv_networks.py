"""Convolutional networks: for images, next to the data.

``channels`` C_1, C_2, ... are the feature maps from the data up, each ``stride`` times smaller than those below it: the
encoder goes up by convolutions, the decoder down by their transposes (conv.py). Between the uppermost feature maps and
the vectors above them stands an MLP. An activation psi follows every layer but the last.
"""

import math
from functools import cached_property
from typing import ClassVar, NamedTuple

import numpy as np

from tinyvae.derivation.activations import LINEAR
from tinyvae.derivation.conv import (
    ConvolutionCache,
    Geometry,
    convolution,
    convolution_backward,
    transposed_convolution,
    transposed_convolution_backward,
)
from tinyvae.derivation.mlp import MLPCache, mlp, mlp_backward
from tinyvae.derivation.networks import MLP, Network, Product, Weights, beside, dense, written_or_added
from tinyvae.types import Array, Cache, Maybe, Shapes


class Convolutional(Network):
    """What the encoder and its mirror image have in common."""

    data_dimensions: ClassVar[tuple[int, ...]] = (2, 3)
    data_words: ClassVar[str] = "images, (N, H, W) or (N, H, W, C)"
    own_settings: ClassVar[tuple[str, ...]] = ("channels", "kernel", "stride")

    @property
    def image(self) -> tuple[int, int, int]:
        """(H, W, C) of the images next to the network, with all numbers about an entry of the data for channels."""
        raise NotImplementedError

    @cached_property
    def geometries(self) -> list[Geometry]:
        """Those of the layers, from the data up."""
        height, width, _ = self.image
        geometries = []
        for channels in (self.image[2], *self.channels[:-1]):
            geometries.append(Geometry(height, width, channels, self.kernel, self.stride))
            height, width = geometries[-1].places
        return geometries

    @property
    def top(self) -> int:
        """The number of entries of the uppermost feature maps."""
        return math.prod(self.geometries[-1].places) * self.channels[-1]


class ConvEncoderCache(NamedTuple):
    """What the encoder leaves to its backward pass: the labels with their weights, and the caches of its layers."""

    labels: Array
    U: Array
    convolutions: list[ConvolutionCache]
    mlp: MLPCache


class ConvEncoder(Convolutional):
    """Convolutions T_1, T_2, ... and an MLP; the labels enter the first feature maps:

        h_1 = psi(T_1 x + b_1 + labels U),   h_2 = psi(T_2 h_1 + b_2),   ...,   out = MLP(h_L)

    U has a row for each label, C_1 numbers: what it adds to the feature maps, everywhere in the image.
    """

    @property
    def image(self) -> tuple[int, int, int]:
        """The data's."""
        height, width, channels = (*self.inputs, 1)[:3]
        return height, width, channels

    def shapes(self) -> Shapes:
        """The filters of each layer and their biases, what the labels add, the layers of the MLP."""
        shapes: Shapes = {}
        for i, (geometry, filters) in enumerate(zip(self.geometries, self.channels)):
            shapes |= {f"conv.{i}.W": (geometry.patch, filters), f"conv.{i}.b": (filters,)}
        shapes |= {"labels.W": (self.n_labels, self.channels[0])} if self.n_labels else {}
        return shapes | self.perceptron.shapes()

    def products(self) -> list[Product]:
        """Those of the patches with the filters, and the MLP's."""
        layers = zip(self.geometries, self.channels)
        own = [Product(math.prod(geometry.places), geometry.patch, filters) for geometry, filters in layers]
        return own + self.perceptron.products()

    @property
    def kept_numbers(self) -> int:
        """The entries of all feature maps, and the MLP's units."""
        return sum(rows * outputs for rows, _, outputs in self.products())

    @property
    def perceptron(self) -> MLP:
        """What stands between the uppermost feature maps and the output."""
        return MLP((self.top,), 0, self.hidden, self.outputs, self.activation)

    def forward(self, weights: Weights, x: Array, labels: Array, given: Array | None = None) -> tuple[Array, Cache]:
        """``convolution`` for each layer, then ``mlp``."""
        U = weights["labels.W"] if self.n_labels else np.empty((0, self.channels[0]), x.dtype)
        h, caches = x, []
        for i, geometry in enumerate(self.geometries):
            b = weights[f"conv.{i}.b"][None]
            b = b + labels @ U if self.n_labels and i == 0 else b
            h, cache = convolution(h, weights[f"conv.{i}.W"], b, geometry, self.activation)
            caches.append(cache)
        out, mlp_cache = mlp(h, dense(without_convolutions(weights)), self.activation)
        return out, ConvEncoderCache(labels, U, caches, mlp_cache)

    def backward(
        self, dout: Array, cache: Cache, grads: Weights, need_dx: bool = True, add: bool = False
    ) -> tuple[Maybe, Maybe]:
        """The same from the output down. By what the labels add, the derivative is that by the first layer's biases,
        those of each image: dU = labelsᵀ db and dlabels = db Uᵀ.
        """
        with written_or_added(grads, add) as own:
            da, _ = mlp_backward(dout, cache.mlp, dense(without_convolutions(own)), before=self.activation)
            for i in reversed(range(len(self.geometries))):
                wanted, before = (True, self.activation) if i > 0 else (need_dx, LINEAR)
                da, db = convolution_backward(da, cache.convolutions[i], own[f"conv.{i}.W"], wanted, before)
                own[f"conv.{i}.b"][:] = db.sum(axis=0)
            dx, db_of_each_image = da, db  # of the first layer
            if self.n_labels:
                own["labels.W"][:] = cache.labels.T @ db_of_each_image
        return (dx, db_of_each_image @ cache.U.T) if need_dx else (None, None)

    def output_bias(self, weights: Weights) -> Array:
        """That of the MLP's last layer."""
        return dense(without_convolutions(weights))[-1][1]


class ConvDecoderCache(NamedTuple):
    """What the decoder leaves to its backward pass: the caches of its layers."""

    mlp: MLPCache
    convolutions: list[ConvolutionCache]


class ConvDecoder(Convolutional):
    """An MLP, from z with the labels beside it to the uppermost feature maps, and transposed convolutions:

        h_L = psi(MLP([z, labels])),   ...,   h_1 = psi(T_2ᵀ h_2 + b_2),   out = T_1ᵀ h_1 + b_1

    with filters of its own, of the sizes that the encoder's have.

    M numbers about each entry of the data are as many channels of the last layer; then they are put one after another,
    as the likelihoods want them.
    """

    @property
    def image(self) -> tuple[int, int, int]:
        """That of the data with M times the channels."""
        M, height, width, channels = (*self.outputs, 1)[:4]
        return height, width, M * channels

    def shapes(self) -> Shapes:
        """The layers of the MLP, then the filters of each transposed convolution and its bias, down to the data."""
        shapes = self.perceptron.shapes()
        for i in reversed(range(len(self.geometries))):
            geometry = self.geometries[i]
            shapes |= {f"conv.{i}.W": (geometry.patch, self.channels[i]), f"conv.{i}.b": (geometry.channels,)}
        return shapes

    def products(self) -> list[Product]:
        """The MLP's, and those that make patches of the feature maps."""
        layers = reversed(list(zip(self.geometries, self.channels)))
        own = [Product(math.prod(geometry.places), filters, geometry.patch) for geometry, filters in layers]
        return self.perceptron.products() + own

    @property
    def kept_numbers(self) -> int:
        """The MLP's units, and the entries of all feature maps."""
        return self.perceptron.kept_numbers + sum(math.prod(geometry[:3]) for geometry in self.geometries)

    @property
    def perceptron(self) -> MLP:
        """What stands between the input, with the labels beside it, and the uppermost feature maps."""
        return MLP(self.inputs, self.n_labels, self.hidden, (self.top,), self.activation)

    def forward(self, weights: Weights, x: Array, labels: Array, given: Array | None = None) -> tuple[Array, Cache]:
        """``mlp``, then ``transposed_convolution`` for each layer."""
        layers = dense(without_convolutions(weights))
        h, mlp_cache = mlp(beside(x, labels), layers, self.activation, last=self.activation)
        caches = []
        for i in reversed(range(len(self.geometries))):
            b, activation = weights[f"conv.{i}.b"][None], self.activation if i > 0 else LINEAR
            h, cache = transposed_convolution(h, weights[f"conv.{i}.W"], b, self.geometries[i], activation)
            caches.append(cache)
        return self._numbers_first(h), ConvDecoderCache(mlp_cache, caches)

    def backward(
        self, dout: Array, cache: Cache, grads: Weights, need_dx: bool = True, add: bool = False
    ) -> tuple[Maybe, Maybe]:
        """The same from the output up."""
        da = self._numbers_last(dout)
        with written_or_added(grads, add) as own:
            for i, layer in enumerate(reversed(cache.convolutions)):
                da, db = transposed_convolution_backward(da, layer, own[f"conv.{i}.W"], self.activation)
                own[f"conv.{i}.b"][:] = db.sum(axis=0)
            dx, _ = mlp_backward(da, cache.mlp, dense(without_convolutions(own)), need_dx)
        I = math.prod(self.inputs)
        return (dx[:, :I], dx[:, I:]) if need_dx else (None, None)

    def output_bias(self, weights: Weights) -> Array:
        """That of the last transposed convolution, (M C,), the same for all pixels."""
        return weights["conv.0.b"]

    def _numbers_first(self, rows: Array) -> Array:
        """Rows (R, H W M C) as (R, M H W C)."""
        M, N = self.outputs[0], len(rows)
        return rows if M == 1 else rows.reshape(N, -1, M, self.image[2] // M).swapaxes(1, 2).reshape(N, -1)

    def _numbers_last(self, rows: Array) -> Array:
        """The reverse."""
        M, N = self.outputs[0], len(rows)
        return rows if M == 1 else rows.reshape(N, M, -1, self.image[2] // M).swapaxes(1, 2).reshape(N, -1)


def without_convolutions(weights: Weights) -> Weights:
    """Those of the MLP."""
    return {name: array for name, array in weights.items() if not name.startswith(("conv.", "labels."))}


CONV_PAIR = ConvEncoder, ConvDecoder
