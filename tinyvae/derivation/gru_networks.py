"""Recurrent networks: for sequences, next to the data.

A sequence has T steps of V numbers, which for symbols are a one at the symbol's place among zeros. (An image is a
sequence of rows.) The encoder reads it in one direction or in both; what it remembers at the end goes on to the
statistics. The decoder is told z at every step and says at each what the data are there. A GRU stands in both (gru.py).
"""

import math
from collections.abc import Callable
from typing import ClassVar, NamedTuple

import numpy as np

from tinyvae.derivation.activations import LINEAR
from tinyvae.derivation.gru import GRUCache, gru, gru_backward, gru_shapes
from tinyvae.derivation.mlp import MLPCache, mlp, mlp_backward, mlp_shapes
from tinyvae.derivation.networks import MLP, Network, Product, Weights, beside, dense, written_or_added
from tinyvae.derivation.shapes import misfit
from tinyvae.types import Array, Cache, Maybe, Shapes

DIRECTIONS = "forward", "backward"


class Recurrent(Network):
    """What the encoder and its mirror image have in common."""

    data_dimensions: ClassVar[tuple[int, ...]] = (2, 3)
    data_words: ClassVar[str] = "sequences, (N, T, V), or images, (N, H, W) or (N, H, W, C)"
    own_settings: ClassVar[tuple[str, ...]] = ("units", "directions", "feedback")

    @property
    def data_shape(self) -> tuple[int, ...]:
        """That of the data next to the network."""
        raise NotImplementedError

    @property
    def steps(self) -> int:
        """T."""
        return self.data_shape[0]

    @property
    def numbers(self) -> int:
        """V, the numbers of a step."""
        return math.prod(self.data_shape[1:])

    def steps_first(self, rows: Array) -> Array:
        """Rows (R, T V) of sequences as rows of steps (T R, V), all first ones before all second ones."""
        return np.ascontiguousarray(rows.reshape(len(rows), self.steps, self.numbers).swapaxes(0, 1)).reshape(
            -1, self.numbers
        )

    def rows_first(self, steps: Array) -> Array:
        """The reverse."""
        rows = steps.reshape(self.steps, -1, self.numbers).swapaxes(0, 1)
        return np.ascontiguousarray(rows).reshape(rows.shape[0], self.steps * self.numbers)


class RecurrentEncoderCache(NamedTuple):
    """What the encoder leaves to its backward pass: the caches of its directions, and of the MLP above them."""

    directions: list[GRUCache]
    mlp: MLPCache


class RecurrentEncoder(Recurrent):
    """A GRU for each direction, and an MLP of their last states, side by side:

        out = MLP([h_T from the first step to the last, h_1 from the last step to the first])

    Each reads the labels at every step, beside the data.
    """

    @property
    def data_shape(self) -> tuple[int, ...]:
        """That of the input."""
        return self.inputs

    def shapes(self) -> Shapes:
        """The weights of the GRU of each direction, the layers of the MLP."""
        own = gru_shapes(self.numbers, self.n_labels, self.units)
        named = {f"{name}.{key}": shape for name in self._names for key, shape in own.items()}
        return named | self.perceptron.shapes()

    @property
    def perceptron(self) -> MLP:
        """What stands between the last states and the output."""
        return MLP((self.directions * self.units,), 0, self.hidden, self.outputs, self.activation)

    def forward(self, weights: Weights, x: Array, labels: Array, given: Array | None = None) -> tuple[Array, Cache]:
        """``gru`` in each direction, then ``mlp``."""
        R, a = len(x), self.steps_first(x)
        last, caches = [], []
        for name in self._names:
            is_reversed = name == "backward"
            h, cache = gru(a, labels, part(weights, name), self.steps, is_reversed)
            last.append(h[:R] if is_reversed else h[-R:])
            caches.append(cache)
        out, mlp_cache = mlp(np.concatenate(last, axis=1), dense(without_gru(weights)), self.activation)
        return out, RecurrentEncoderCache(caches, mlp_cache)

    def backward(
        self, dout: Array, cache: Cache, grads: Weights, need_dx: bool = True, add: bool = False
    ) -> tuple[Maybe, Maybe]:
        """The same from the output down; the directions' derivatives by what both have read are added."""
        with written_or_added(grads, add) as own:
            dlast, _ = mlp_backward(dout, cache.mlp, dense(without_gru(own)))
            both = [
                gru_backward(dlast[:, i * self.units : (i + 1) * self.units], each, part(own, name), need_dx)
                for i, (name, each) in enumerate(zip(self._names, cache.directions))
            ]
        if not need_dx:
            return None, None
        da = np.sum([da for da, _ in both], axis=0)
        none = np.empty((len(dout), 0), dout.dtype)
        return self.rows_first(da), np.sum([ds for _, ds in both], axis=0) if self.n_labels else none

    def output_bias(self, weights: Weights) -> Array:
        """That of the MLP's last layer."""
        return dense(without_gru(weights))[-1][1]

    def products(self) -> list[Product]:
        """Those of the data, for all directions, those of the states, and the MLP's."""
        T, H = self.steps, self.units
        own = [Product(T, self.numbers, 3 * H * self.directions), *[Product(T, H, 3 * H)] * self.directions]
        return own + self.perceptron.products()

    @property
    def kept_numbers(self) -> int:
        """The gates and the states of each direction, and the MLP's units."""
        return self.directions * kept_by_gru(self.steps, self.units) + self.perceptron.kept_numbers

    @property
    def _names(self) -> tuple[str, ...]:
        return DIRECTIONS[: self.directions]


class RecurrentDecoderCache(NamedTuple):
    """What the decoder leaves to its backward pass: the caches of its parts; there may be no MLP."""

    mlp: MLPCache | None
    gru: GRUCache
    output: MLPCache


class RecurrentDecoder(Recurrent):
    """A GRU that is told z and the labels at every step, and an affine map of each of its states:

        s = psi(MLP([z, labels])), or without hidden units [z, labels]
        h_1 ... h_T = GRU(s),    out_t = h_t W + b

    With ``feedback`` the GRU also reads the data of the step before, a_t = x_{t-1} and a_1 = 0, and the decoder is
    p(x | z) = prod_t p(x_t | x_1 ... x_{t-1}, z): as strong a model as the GRU alone, which may do without z.

    M numbers about each entry of the data are put one after another, as the likelihoods want them.
    """

    @property
    def data_shape(self) -> tuple[int, ...]:
        """That of the output, for which there are M numbers each."""
        return self.outputs[1:]

    def shapes(self) -> Shapes:
        """The layers of the MLP, the weights of the GRU, the affine map."""
        sizes = (math.prod(self.inputs) + self.n_labels, *self.hidden)
        read = self.numbers if self.feedback else 0
        named = {f"forward.{key}": shape for key, shape in gru_shapes(read, sizes[-1], self.units).items()}
        outputs = self.outputs[0] * self.numbers
        return mlp_shapes(sizes) | named | {"output.W": (self.units, outputs), "output.b": (outputs,)}

    @property
    def reads_data(self) -> bool:
        """With ``feedback``."""
        return self.feedback

    def forward(self, weights: Weights, x: Array, labels: Array, given: Array | None = None) -> tuple[Array, Cache]:
        """``mlp``, then ``gru``, then an affine map, which is ``mlp`` with one layer.

        Raises: ValueError with ``feedback`` and nothing ``given``.
        """
        s, mlp_cache = self._static(weights, x, labels)
        a = self.shifted(given) if self.feedback else np.empty((0, 0), x.dtype)
        h, gru_cache = gru(a, s, part(weights, "forward"), self.steps)
        out, output_cache = mlp(h, [(weights["output.W"], weights["output.b"])])
        return self._numbers_first(out), RecurrentDecoderCache(mlp_cache, gru_cache, output_cache)

    def backward(
        self, dout: Array, cache: Cache, grads: Weights, need_dx: bool = True, add: bool = False
    ) -> tuple[Maybe, Maybe]:
        """The same from the output up. What is fed back are data, and want no derivative."""
        with written_or_added(grads, add) as own:
            output = [(own["output.W"], own["output.b"])]
            dh, _ = mlp_backward(self._numbers_last(dout), cache.output, output)
            before = self.activation if cache.mlp else LINEAR
            _, dx = gru_backward(dh, cache.gru, part(own, "forward"), need_da=False, before=before)
            if cache.mlp:
                dx, _ = mlp_backward(dx, cache.mlp, dense(without_gru(own)), need_dx)
        I = math.prod(self.inputs)
        return (dx[:, :I], dx[:, I:]) if need_dx else (None, None)

    def stepper(self, weights: Weights, x: Array, labels: Array) -> Callable[[Array], Array]:
        """A GRU over one step at a time, from the state where the last one ended."""
        s, _ = self._static(weights, x, labels)
        state, own = np.zeros((len(s), self.units), s.dtype), part(weights, "forward")

        def step(before: Array) -> Array:
            nonlocal state
            state, _ = gru(before, s, own, 1, start=state)
            return mlp(state, [(weights["output.W"], weights["output.b"])])[0]

        return step

    def shifted(self, given: Array | None) -> Array:
        """What is read at each step, (T N, V): the data (N, T V) of the step before, zeros at the first."""
        if given is None:
            raise misfit(f"rows of data (N, {math.prod(self.data_shape)}) to feed back")
        a = np.zeros((self.steps * len(given), self.numbers), given.dtype)
        a[len(given) :] = self.steps_first(given)[: -len(given)]
        return a

    def output_bias(self, weights: Weights) -> Array:
        """That of the affine map, (M V,), the same at all steps."""
        return weights["output.b"]

    def products(self) -> list[Product]:
        """The MLP's, that of what is the same at all steps, those of the steps, and of the affine map."""
        T, H = self.steps, self.units
        sizes = (math.prod(self.inputs) + self.n_labels, *self.hidden)
        own = [Product(1, *pair) for pair in zip(sizes, (*self.hidden, 3 * H))]
        own += [Product(T, self.numbers, 3 * H)] * self.feedback
        return [*own, Product(T, H, 3 * H), Product(T, H, self.outputs[0] * self.numbers)]

    @property
    def kept_numbers(self) -> int:
        """The MLP's units, the gates and the states, and the output."""
        return sum(self.hidden) + kept_by_gru(self.steps, self.units) + math.prod(self.outputs)

    def _static(self, weights: Weights, x: Array, labels: Array) -> tuple[Array, MLPCache | None]:
        """What is the same at all steps, (R, J)."""
        s = beside(x, labels)
        return mlp(s, dense(without_gru(weights)), self.activation, last=self.activation) if self.hidden else (s, None)

    def _numbers_first(self, steps: Array) -> Array:
        """Outputs (T R, M V) as rows (R, M T V)."""
        out = steps.reshape(self.steps, -1, self.outputs[0], self.numbers)
        return np.ascontiguousarray(out.transpose(1, 2, 0, 3)).reshape(out.shape[1], math.prod(self.outputs))

    def _numbers_last(self, rows: Array) -> Array:
        """The reverse."""
        out = rows.reshape(len(rows), self.outputs[0], self.steps, self.numbers)
        return np.ascontiguousarray(out.transpose(2, 0, 1, 3)).reshape(self.steps * len(rows), -1)


def part(weights: Weights, name: str) -> Weights:
    """Those of a GRU, by the names of ``gru_shapes``."""
    return {key.removeprefix(f"{name}."): array for key, array in weights.items() if key.startswith(f"{name}.")}


def without_gru(weights: Weights) -> Weights:
    """Those of the MLP."""
    return {name: array for name, array in weights.items() if not name.startswith((*DIRECTIONS, "output."))}


def kept_by_gru(T: int, H: int) -> int:
    """The gates, and the states between the steps and at both ends."""
    return 4 * T * H + (T + 1) * H


GRU_PAIR = RecurrentEncoder, RecurrentDecoder
