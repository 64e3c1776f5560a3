"""Networks in a fixed order of sums: the same bits on every machine, with any number of threads.

A matrix product of BLAS adds its terms in an order that depends on the processor and on how the work is shared, and its
last bits with it. Here each output has a sum of its own,

    a_j = b_j + h_0 W_0j + h_1 W_1j + ...        from the left to the right

and vector instructions work on several outputs side by side, never on several terms of a sum. Terms with h_i = 0, in a
binary image most of them, are left out.

A network is handed over as a *plan*, rows of whole numbers that say layer by layer what is to be done, and one vector
with all weights: so one compiled function serves all of them. ``PLANNERS`` says how the plan of a network is made; one
that is not there cannot be evaluated in this way.
"""

from typing import Any, NamedTuple

import numpy as np

from tinyvae.coding.elementary import exact, tanh
from tinyvae.derivation.activations import LINEAR, RELU, TANH
from tinyvae.derivation.conv import Geometry
from tinyvae.derivation.conv_networks import ConvDecoder, ConvEncoder, without_convolutions
from tinyvae.derivation.networks import MLP, Network, Weights, dense
from tinyvae.errors import UserError
from tinyvae.types import Array, Layers

# What a layer is: out = h W + b; the same for each patch of an image; patches h Fᵀ added up in an image, + b; and the
# numbers about a pixel (R, M, C) put one after another (M, R, C).
DENSE, CONVOLUTION, TRANSPOSED, NUMBERS_FIRST = range(4)
# What a row of a plan says: the kind, rows, inputs and outputs of each, an activation, where the weights and the biases
# begin, then a Geometry.
KIND, ROWS, INPUTS, OUTPUTS, ACTIVATION, WEIGHTS, BIASES, GEOMETRY = range(8)
ANYTHING = Geometry(0, 0, 0, 0, 0)  # where there is no image


class Plan(NamedTuple):
    """A network to be evaluated.

    Attributes:
        layers: (L, 12) int64, a row for each.
        weights: (P,) float32 or float64, of all layers.
        inputs, outputs: the numbers that go in and come out.
        widest: the most that stand between two layers, or in the patches of one.
    """

    layers: np.ndarray
    weights: Array
    inputs: int
    outputs: int
    widest: int


class Scratch(NamedTuple):
    """Where a network is evaluated: three rows of numbers, of which the first takes the input, and one of places."""

    rows: Array
    places: np.ndarray


def scratch_for(*plans: Plan) -> Scratch:
    """Room for each of some networks in turn."""
    widest = max(plan.widest for plan in plans)
    return Scratch(np.zeros((3, widest), plans[0].weights.dtype), np.zeros(widest, np.int64))


@exact
def evaluate(plan, scratch):
    """The network's output: a view of (J,) numbers in the scratch, for the input in its first row."""
    now, patches = 0, scratch.rows[2]
    for l in range(len(plan.layers)):
        layer = plan.layers[l]
        kind, R, I, J = layer[KIND], layer[ROWS], layer[INPUTS], layer[OUTPUTS]
        first, bias = layer[WEIGHTS], layer[BIASES]
        W = plan.weights[first : first + I * J].reshape((I, J))
        h, out = scratch.rows[now], scratch.rows[1 - now]
        if kind == NUMBERS_FIRST:
            reorder(h, out, R, I, J)
            size = R * I * J
        elif kind == TRANSPOSED:
            patches[: R * J] = 0.0
            for r in range(R):
                add_products(h[r * I : r * I + I], W, patches[r * J : r * J + J], scratch.places)
            size = sum_of_patches(patches, plan.weights, bias, out, layer)
        else:
            if kind == CONVOLUTION:
                gather_patches(h, patches, layer)
                h = patches
            for r in range(R):
                row = out[r * J : r * J + J]
                row[:] = plan.weights[bias : bias + J]
                add_products(h[r * I : r * I + I], W, row, scratch.places)
            size = R * J
        activate(out[:size], layer[ACTIVATION])
        now = 1 - now
    return scratch.rows[now, : plan.outputs]


@exact
def add_products(h, W, out, places):
    """out += h_0 W_0 + h_1 W_1 + ..., one after the other, for h (I,), W (I, J), out (J,).

    Four at a time are added while an output is at hand: in the same order.
    """
    count = 0
    for i in range(h.size):
        if h[i] != 0.0:
            places[count] = i
            count += 1
    whole = count - count % 4
    for k in range(0, whole, 4):
        i0, i1, i2, i3 = places[k], places[k + 1], places[k + 2], places[k + 3]
        h0, h1, h2, h3 = h[i0], h[i1], h[i2], h[i3]
        W0, W1, W2, W3 = W[i0], W[i1], W[i2], W[i3]
        for j in range(out.size):
            out[j] = (((out[j] + h0 * W0[j]) + h1 * W1[j]) + h2 * W2[j]) + h3 * W3[j]
    for k in range(whole, count):
        h0, W0 = h[places[k]], W[places[k]]
        for j in range(out.size):
            out[j] += h0 * W0[j]


@exact
def activate(h, activation):
    """h = psi(h), in place."""
    zero = h.dtype.type(0)
    if activation == TANH:
        for j in range(h.size):
            h[j] = tanh(np.float64(h[j]))
    elif activation == RELU:
        for j in range(h.size):
            h[j] = h[j] if h[j] > 0.0 else zero


@exact
def margin(length, size, stride):
    """How many zeros the first patches show above, or left of, an image of a length."""
    places = -(-length // stride)
    return max(0, (places - 1) * stride + size - length) // 2


@exact
def gather_patches(x, patches, layer):
    """The patches (P, k k C) of an image (H W C), with zeros around it (conv.py's G)."""
    height, width, channels, size, stride = layer[GEOMETRY], layer[8], layer[9], layer[10], layer[11]
    above, left, to = margin(height, size, stride), margin(width, size, stride), 0
    for top in range(-above, height - above, stride):
        for first in range(-left, width - left, stride):
            for row in range(top, top + size):
                for column in range(first, first + size):
                    patch = patches[to : to + channels]
                    if 0 <= row < height and 0 <= column < width:
                        place = (row * width + column) * channels
                        patch[:] = x[place : place + channels]
                    else:
                        patch[:] = 0.0
                    to += channels


@exact
def sum_of_patches(patches, weights, bias, out, layer):
    """The image (H W C) of the biases to which each patch is added in its place (conv.py's Gᵀ); returns H W C."""
    height, width, channels, size, stride = layer[GEOMETRY], layer[8], layer[9], layer[10], layer[11]
    above, left, at = margin(height, size, stride), margin(width, size, stride), 0
    for place in range(0, height * width * channels, channels):
        out[place : place + channels] = weights[bias : bias + channels]
    for top in range(-above, height - above, stride):
        for first in range(-left, width - left, stride):
            for row in range(top, top + size):
                for column in range(first, first + size):
                    if 0 <= row < height and 0 <= column < width:
                        place = (row * width + column) * channels
                        for c in range(channels):
                            out[place + c] += patches[at + c]
                    at += channels
    return height * width * channels


@exact
def reorder(h, out, R, M, C):
    """(R, M, C) as (M, R, C)."""
    for r in range(R):
        for m in range(M):
            out[(m * R + r) * C : (m * R + r + 1) * C] = h[(r * M + m) * C : (r * M + m + 1) * C]


# ---------------------------------------------------------------------------------------------------------------------
# Plans
# ---------------------------------------------------------------------------------------------------------------------


class Draft:
    """A plan that is being made: its layers and weights so far, and the most that any layer needs room for."""

    def __init__(self, inputs: int):
        self.layers: list[list[int]] = []
        self.weights: list[Array] = []
        self.widest = inputs

    def add(
        self, kind: int, R: int, W: Array, b: Array, activation: int = LINEAR, geometry: Geometry = ANYTHING
    ) -> None:
        """A layer of R rows, with the weights W (I, J) and its biases."""
        first = sum(array.size for array in self.weights)
        self.layers.append([kind, R, *W.shape, activation, first, first + W.size, *geometry])
        self.weights += [W.ravel(), b]
        image = geometry.height * geometry.width * geometry.channels
        self.widest = max(self.widest, R * W.shape[0], R * W.shape[1], image)

    def add_dense(self, layers: Layers, activation: int, last: int) -> None:
        """An MLP."""
        for i, (W, b) in enumerate(layers):
            self.add(DENSE, 1, W, b, activation if i < len(layers) - 1 else last)


def mlp_plan(draft: Draft, network: Any, weights: Weights) -> None:
    """The layers of ``networks.MLP``."""
    draft.add_dense(dense(weights), network.activation, LINEAR)


def conv_encoder_plan(draft: Draft, network: Any, weights: Weights) -> None:
    """The layers of ``conv_networks.ConvEncoder``."""
    for i, geometry in enumerate(network.geometries):
        W, b = weights[f"conv.{i}.W"], weights[f"conv.{i}.b"]
        draft.add(CONVOLUTION, geometry.places[0] * geometry.places[1], W, b, network.activation, geometry)
    draft.add_dense(dense(without_convolutions(weights)), network.activation, LINEAR)


def conv_decoder_plan(draft: Draft, network: Any, weights: Weights) -> None:
    """The layers of ``conv_networks.ConvDecoder``."""
    draft.add_dense(dense(without_convolutions(weights)), network.activation, network.activation)
    for i in reversed(range(len(network.geometries))):
        geometry, F, b = network.geometries[i], weights[f"conv.{i}.W"], weights[f"conv.{i}.b"]
        places, activation = geometry.places[0] * geometry.places[1], network.activation if i > 0 else LINEAR
        draft.add(TRANSPOSED, places, np.ascontiguousarray(F.T), b, activation, geometry)
    M, (height, width, channels) = network.outputs[0], network.image
    if M > 1:
        draft.layers.append([NUMBERS_FIRST, height * width, M, channels // M, LINEAR, 0, 0, *ANYTHING])


PLANNERS: dict[type, Any] = {MLP: mlp_plan, ConvEncoder: conv_encoder_plan, ConvDecoder: conv_decoder_plan}


def plan_for(network: Network, weights: Weights) -> Plan:
    """The plan of a network without labels.

    Args:
        network: of ``derivation``.
        weights: {name: array} of its ``shapes()``.

    Raises: UserError for a network that has no entry in PLANNERS.
    """
    if type(network) not in PLANNERS:
        raise UserError(
            f"the network {type(network).__name__} cannot be evaluated in a fixed order: compression knows "
            f"{', '.join(kind.__name__ for kind in PLANNERS)} (coding/network.py)"
        )
    inputs, outputs = int(np.prod(network.inputs)), int(np.prod(network.outputs))
    draft = Draft(max(inputs, outputs))
    PLANNERS[type(network)](draft, network, weights)
    return Plan(np.array(draft.layers, np.int64), np.concatenate(draft.weights), inputs, outputs, draft.widest)
