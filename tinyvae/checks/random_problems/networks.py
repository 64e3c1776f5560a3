"""Random problems of networks: perceptrons, convolutions and recurrence, by their inputs and all weights."""

import itertools
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.random import Generator

from tinyvae.checks.finite_differences import Problem
from tinyvae.derivation import conv
from tinyvae.derivation import gru as recurrent
from tinyvae.derivation import mlp as perceptron
from tinyvae.derivation.conv import Geometry
from tinyvae.settings import ACTIVATIONS, NETWORKS
from tinyvae.types import Array, Cache

DATA_SHAPE = (5, 3)  # of the problems about networks

LAYOUT = (3, 2), 3, 2, 3  # channels, kernel and stride of convolutional ones, units of recurrent ones


def awaken(weights: Mapping[str, Array], activation: str) -> None:
    """Add one to the biases of a network of rectifiers, in place.

    Among random weights all the rectifiers of a small layer are off now and then. Every derivative through them is zero
    then, whatever the backward pass makes of it: nothing is checked.
    """
    if activation == "relu":
        for name in weights:
            if name.endswith(".b"):
                weights[name][:] += 1


def mlp(rng: Generator, N: int, sizes: Sequence[int], activation: str = "tanh") -> Problem:
    """A network of the given sizes on N rows; biases and weights of order one."""
    inputs = {"x": rng.standard_normal((N, sizes[0]))}
    inputs |= {name: 0.7 * rng.standard_normal(shape) for name, shape in perceptron.mlp_shapes(sizes).items()}
    awaken(inputs, activation)

    def forward(x: Array, **layers: Array) -> tuple[Array, Cache]:
        return perceptron.mlp(x, list(zip(*[iter(layers.values())] * 2)), ACTIVATIONS[activation])

    def backward(dout: Array, cache: Cache) -> dict[str, Array]:
        dx, dlayers = perceptron.mlp_backward(dout, cache)
        return dict(zip(inputs, [dx, *(array for layer in dlayers for array in layer)]))

    words = f"mlp {'-'.join(map(str, sizes))}, {activation}"
    return Problem(words, inputs, forward, backward, has_kinks=activation == "relu")


def convolution(
    rng: Generator, N: int, geometry: Geometry, filters: int, is_transposed: bool = False, activation: str = "tanh"
) -> Problem:
    """A convolution or its transpose, linear, by its input, its filters and a bias for each image.

    The input is the value of an activation, and the derivative is by what stands in front of that.
    """
    forward_pass = conv.transposed_convolution if is_transposed else conv.convolution
    narrow, wide = (filters, *geometry.places), (geometry.channels, geometry.height, geometry.width)
    shapes = (narrow, wide[:1]) if is_transposed else (wide, narrow[:1])
    inputs = {
        "a": rng.standard_normal((N, int(np.prod(shapes[0])))),
        "W": rng.standard_normal((geometry.patch, filters)),
        "b": rng.standard_normal((N, *shapes[1])),
    }
    kind = ACTIVATIONS[activation]

    def forward(a: Array, W: Array, b: Array) -> tuple[Array, Cache]:
        x = np.tanh(a) if activation == "tanh" else np.maximum(a, 0)
        return forward_pass(x, W, b, geometry)

    def backward(da: Array, cache: Cache) -> dict[str, Array]:
        back = conv.transposed_convolution_backward if is_transposed else conv.convolution_backward
        dW = np.full_like(inputs["W"], np.nan)
        dx, db = back(da, cache, dW, before=kind)
        return {"a": dx, "W": dW, "b": db}

    words = f"conv.{'transposed_' * is_transposed}convolution, {geometry.height}x{geometry.width}, {activation}"
    return Problem(words, inputs, forward, backward, has_kinks=activation == "relu")


def gru(
    rng: Generator, T: int, N: int, K: int, I: int, J: int, H: int, is_reversed: bool = False, only_last: bool = False
) -> Problem:
    """A GRU of N K rows over T steps, by both inputs and all weights; I or J may be 0."""
    inputs = {"a": rng.standard_normal((T * N, I))} if I else {}
    inputs |= {"s": rng.standard_normal((N * K, J))} if J else {}
    inputs |= {key: 0.7 * rng.standard_normal(shape) for key, shape in recurrent.gru_shapes(I, J, H).items()}

    def forward(**inputs: Array) -> tuple[Array, Cache]:
        weights = {key: array for key, array in inputs.items() if "." in key}
        a, s = inputs.get("a", np.empty((0, 0))), inputs.get("s", np.empty((N * K, 0)))
        h, cache = recurrent.gru(a, s, weights, T, is_reversed)
        last = slice(N * K) if is_reversed else slice(-N * K, None)
        return h[last if only_last else slice(None)], cache

    def backward(dh: Array, cache: Cache) -> dict[str, Array]:
        grads = {key: np.full_like(array, np.nan) for key, array in inputs.items() if "." in key}
        da, ds = recurrent.gru_backward(dh, cache, grads)
        return grads | ({"a": da} if I else {}) | ({"s": ds} if J else {})

    words = f"gru.gru, {T} steps" + ", backwards" * is_reversed + ", its last state" * only_last
    return Problem(words, inputs, forward, backward)


def network(
    rng: Generator,
    R: int,
    C: int,
    name: str,
    end: int,
    activation: str = "tanh",
    hidden: tuple[int, ...] = (6, 5),
    data_shape: tuple[int, ...] = DATA_SHAPE,
    directions: int = 2,
    feedback: bool = False,
) -> Problem:
    """A network next to the data, by its input, its labels and its weights: the encoder (end 0) or the decoder (1).

    Its gradients are added to what stands there, as for a weight that is used twice. With ``feedback`` an example in
    the data belongs to each two rows, if there is an even number of them.
    """
    shapes = (data_shape, (4,)) if end == 0 else ((4,), (2, *data_shape))
    layout = *LAYOUT, directions, feedback
    net = NETWORKS[name][end](shapes[0], C, hidden, shapes[1], ACTIVATIONS[activation], *layout)
    given = [rng.standard_normal((R // (2 - R % 2), int(np.prod(data_shape))))] if net.reads_data else []
    inputs = {"x": rng.standard_normal((R, int(np.prod(shapes[0]))))}
    inputs |= {"labels": rng.standard_normal((R, C))} if C else {}
    weights = {name: 0.7 * rng.standard_normal(shape) for name, shape in net.shapes().items()}
    awaken(weights, activation)

    def forward(x: Array, labels: Array | None = None, **weights: Array) -> tuple[Array, Cache]:
        out, cache = net.forward(weights, x, np.empty((R, 0)) if labels is None else labels, *given)
        return out.copy(), cache

    def backward(dout: Array, cache: Cache) -> dict[str, Array]:
        before = {name: rng.standard_normal(array.shape) for name, array in weights.items()}
        grads = {name: array.copy() for name, array in before.items()}
        dx, dlabels = net.backward(dout, cache, grads, add=True)
        added = {name: grads[name] - before[name] for name in weights}
        return {"x": dx} | ({"labels": dlabels} if C else {}) | added

    words = f"networks.{name} {'encoder' if end == 0 else 'decoder'}, {activation}" + f", {C} labels" * bool(C)
    words += ", feedback" * net.reads_data
    return Problem(words, inputs | weights, forward, backward, has_kinks=activation == "relu")


def problems(rng: Generator) -> list[Problem]:
    """One problem for each pair of functions, each activation, and each end of each network."""
    found = [mlp(rng, 3, (4, 6, 5, 2), activation) for activation in ACTIVATIONS]
    for activation, is_transposed in itertools.product(ACTIVATIONS, (False, True)):
        found.append(convolution(rng, 3, Geometry(5, 4, 2, 3, 2), 3, is_transposed, activation))
    for T, I, J, is_reversed in ((1, 2, 0, False), (2, 0, 3, False), (7, 2, 3, True)):
        found += [gru(rng, T, 2, K, I, J, 3, is_reversed, only_last) for K, only_last in ((3, False), (1, True))]
    for name, activation, end, C in itertools.product(NETWORKS, ACTIVATIONS, (0, 1), (0, 2)):
        found.append(network(rng, 3, C, name, end, activation))
    return found + [network(rng, 4, C, "gru", 1, feedback=True) for C in (0, 2)]
