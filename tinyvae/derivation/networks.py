"""Networks: from rows to rows, what stands between the data, the stochastic layers and the statistics of each.

A network is a class with

* ``shapes()``, the names and shapes of its weights;
* ``forward`` and ``backward``, the pair that the model's two passes call;
* ``output_bias``, where a decoder starts from the mean of the data;
* ``products`` and ``kept_numbers``, which tell how much it multiplies and how much memory it needs.

Rows are flat vectors in the data's own order, channels last; a network that needs to know height, width or length finds
them in its ``inputs`` or its ``outputs``. Labels are rows too, (R, C), with C = 0 where there are none; each network
takes them in its own way.

``settings.NETWORKS`` lists pairs by name: an encoder, and its mirror image for the decoder. The one that is chosen
stands next to the data. Above it there are vectors, and the MLP serves.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np

from tinyvae.derivation.activations import TANH
from tinyvae.derivation.mlp import mlp, mlp_backward, mlp_shapes
from tinyvae.types import Array, Cache, Layers, Maybe, Shapes

Weights = Mapping[str, Array]  # of one network, by the names of its ``shapes()``


class Product(NamedTuple):
    """The matrix product of a layer, for a row of the network's input: (rows, inputs) (inputs, outputs)."""

    rows: int
    inputs: int
    outputs: int


@dataclass(frozen=True)
class Network:
    """What a network knows of its place.

    Attributes:
        inputs: the shape of an input row: the data's, such as (28, 28), or (D,) of a stochastic layer.
        n_labels: C, the columns of the labels; 0 for none.
        hidden: units of the hidden layers, from the input to the output.
        outputs: the shape of an output row: (2 D,) for the statistics of a stochastic layer, (M, *data's shape) for M
            numbers about each entry of the data.
        activation: of the hidden layers, of activations.py.
        channels: of a convolutional network's layers, from the data on; its ``hidden`` stand between these and z.
        kernel: the height and the width of its windows, in pixels.
        stride: the steps of its windows, in pixels.
        units: H, the numbers of a recurrent network's state.
        directions: in which its encoder reads: 1, from the first step to the last, or 2, backwards too.
        feedback: whether its decoder is told at each step what the data are at the step before.
    """

    inputs: tuple[int, ...]
    n_labels: int
    hidden: tuple[int, ...]
    outputs: tuple[int, ...]
    activation: int = TANH
    channels: tuple[int, ...] = (32, 64)
    kernel: int = 4
    stride: int = 2
    units: int = 100
    directions: int = 2
    feedback: bool = False

    data_dimensions: ClassVar[tuple[int, ...]] = ()  # how many a shape of data may have; any number, if this is empty
    data_words: ClassVar[str] = "rows (N, D)"  # the same, for people
    own_settings: ClassVar[tuple[str, ...]] = ()  # those of the attributes that not every network has a use for

    def shapes(self) -> Shapes:
        """Names and shapes of the weights: matrices end in ".W", biases in ".b"."""
        raise NotImplementedError

    def forward(self, weights: Weights, x: Array, labels: Array, given: Array | None = None) -> tuple[Array, Cache]:
        """The network's output.

        Args (of every network):
            weights: {name: array} of ``shapes()``.
            x: (R, I) rows, I the product of ``inputs``.
            labels: (R, C) rows that belong to them.
            given: (N, D) rows of data, for a decoder that ``reads_data``; each belongs to R / N rows, one after
                another.

        Returns:
            out: (R, J) rows, J the product of ``outputs``; the caller may overwrite them.
            cache: for ``backward``, any number of times.
        """
        raise NotImplementedError

    def backward(
        self, dout: Array, cache: Cache, grads: Weights, need_dx: bool = True, add: bool = False
    ) -> tuple[Maybe, Maybe]:
        """The derivatives by the weights, the input and the labels.

        Args (of every network):
            dout: (R, J).
            cache: from ``forward``.
            grads: {name: array} to write the derivatives by the weights into.
            need_dx: whether those by the input and the labels are wanted.
            add: whether those by the weights are added to what stands in ``grads``.

        Returns: dx (R, I) and dlabels (R, C), or None and None.
        """
        raise NotImplementedError

    def layers(self, weights: Weights) -> Layers | None:
        """[(W_0, b_0), (W_1, b_1), ...] of a network that is an MLP of [x, labels]; None of another."""
        return None

    @property
    def reads_data(self) -> bool:
        """Whether the output at a step of the data depends on the data before it, as well as on the input."""
        return False

    def stepper(self, weights: Weights, x: Array, labels: Array) -> Callable[[Array], Array]:
        """For a decoder that ``reads_data``, its output step by step.

        Args: as for ``forward``.

        Returns: a function, to be called for each step after the other: from the data (R, V) of the step before, zeros
            at first, to the M numbers about each of this one's, (R, M V).
        """
        raise NotImplementedError

    def output_bias(self, weights: Weights) -> Array:
        """The view of the bias that is added to the output: (J,), or (M C,) the same for all pixels of an image, or
        (M V,) for all steps of a sequence.
        """
        raise NotImplementedError

    def products(self) -> list[Product]:
        """The matrix products of the forward pass, in their order: nearly all of the work. The backward pass has two
        for each, by the weights and by the input, which is not wanted where that is data.
        """
        raise NotImplementedError

    @property
    def kept_numbers(self) -> int:
        """How many numbers all layers put out for a row: what the forward pass keeps."""
        raise NotImplementedError


class MLP(Network):
    """The multilayer perceptron (mlp.py), with the labels beside its input."""

    def shapes(self) -> Shapes:
        """An affine map for each hidden layer and the output."""
        return mlp_shapes((math.prod(self.inputs) + self.n_labels, *self.hidden, math.prod(self.outputs)))

    def forward(self, weights: Weights, x: Array, labels: Array, given: Array | None = None) -> tuple[Array, Cache]:
        """``mlp`` of [x, labels]."""
        return mlp(beside(x, labels), dense(weights), self.activation)

    def backward(
        self, dout: Array, cache: Cache, grads: Weights, need_dx: bool = True, add: bool = False
    ) -> tuple[Maybe, Maybe]:
        """``mlp_backward``; the derivative by the labels stands beside that by the input."""
        with written_or_added(grads, add) as own:
            dx, _ = mlp_backward(dout, cache, dense(own), need_dx)
        I = math.prod(self.inputs)
        return (dx[:, :I], dx[:, I:]) if need_dx else (None, None)

    def layers(self, weights: Weights) -> Layers:
        """The weights as they stand in ``mlp``."""
        return dense(weights)

    def output_bias(self, weights: Weights) -> Array:
        """The last layer's."""
        return dense(weights)[-1][1]

    def products(self) -> list[Product]:
        """A product for each layer."""
        return [Product(1, *shape) for name, shape in self.shapes().items() if name.endswith("W")]

    @property
    def kept_numbers(self) -> int:
        """The units of all layers."""
        return sum(product.outputs for product in self.products())


def beside(x: Array, labels: Array) -> Array:
    """[x, labels]."""
    return np.concatenate([x, labels], axis=1) if labels.shape[1] else x


def dense(weights: Weights) -> Layers:
    """[(W_0, b_0), (W_1, b_1), ...], as they stand in ``mlp_shapes``."""
    arrays: Any = iter(weights.values())
    return list(zip(arrays, arrays))


@contextmanager
def written_or_added(grads: Weights, add: bool) -> Iterator[Weights]:
    """Arrays to write gradients into: the given ones, or with ``add`` others, which are added to them at the end."""
    own = {name: np.empty_like(array) for name, array in grads.items()} if add else grads
    yield own
    if add:
        for name, array in grads.items():
            array += own[name]  # type: ignore[misc]


MLP_PAIR = MLP, MLP
