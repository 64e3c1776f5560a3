"""The multilayer perceptron: the network of the papers (AEVB, appendix C; IWAE, section 5).

A network with the layers (W_0, b_0), ..., (W_M, b_M) maps each row of its input x through M hidden layers and one
affine output layer, with an activation psi between them (activations.py), the papers' tanh:

    h_0 = x,    h_{i+1} = psi(a_i)  with  a_i = h_i W_i + b_i   for i < M,    out = h_M W_M + b_M

**Backward.** Given the derivative of some scalar f by the output, dout = df / dout, walk the layers in reverse. Through
one affine map a = h W + b, written with indices a_nj = sum_i h_ni W_ij + b_j, the chain rule gives

    dW_ij = sum_n h_ni da_nj    so    dW = hᵀ da
    db_j  = sum_n da_nj         so    db = the sum of the rows of da
    dh_ni = sum_j da_nj W_ij    so    dh = da Wᵀ

and through h = psi(a), whose derivative can be told from h, as tanh's is 1 - tanh(a)²:

    da = dh psi'(a) = dh (1 - h²)

So the forward pass keeps the h_i and nothing else. Where a network goes on behind its output layer, or something stood
in front of its input, these may be values of an activation too.
"""

import itertools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from tinyvae import machine
from tinyvae.derivation.activations import LINEAR, TANH
from tinyvae.derivation.shapes import misfit
from tinyvae.types import Array, Layers, Maybe, Shapes


class MLPCache(NamedTuple):
    """What ``mlp`` leaves to ``mlp_backward``: its input, the output of each layer, the layers and the activation."""

    x: Array
    outputs: tuple[Array, ...]
    layers: Layers
    activation: int


def mlp_shapes(sizes: Sequence[int]) -> Shapes:
    """Names and shapes of the parameters of a network.

    Args:
        sizes: (inputs, hidden units of each layer ..., outputs).

    Returns: {"0.W": (I, J), "0.b": (J,), "1.W": ...}.
    """
    shapes: Shapes = {}
    for i, (inputs, outputs) in enumerate(itertools.pairwise(sizes)):
        shapes[f"{i}.W"] = (inputs, outputs)
        shapes[f"{i}.b"] = (outputs,)
    return shapes


def mlp(x: Array, layers: Layers, activation: int = TANH, last: int = LINEAR) -> tuple[Array, MLPCache]:
    """h_{i+1} = psi(h_i W_i + b_i), and an affine output layer (AEVB, appendix C).

    Args:
        x: (N, I) float32 or float64, the input h_0.
        layers: [(W_i, b_i), ...] of shapes (I_i, I_{i+1}) and (I_{i+1},), in the dtype of x.
        activation: psi, of activations.py.
        last: the output layer's, where it is not the end of the network.

    Returns:
        out: (N, J) the output of the last layer.
        cache: for ``mlp_backward``.

    Raises: ValueError for shapes that do not fit.
    """
    if x.ndim != 2 or x.shape[1] != len(layers[0][0]):
        raise misfit(f"x (N, {len(layers[0][0])})", x)
    x = np.ascontiguousarray(x)
    Ws, bs = zip(*layers)
    outputs = tuple([np.empty((len(x), len(b)), x.dtype) for b in bs])
    machine.layers(x, Ws, bs, outputs, activation, last)  # the loop over the equation above, compiled as a whole
    return outputs[-1], MLPCache(x, outputs, layers, activation)


def mlp_backward(
    dout: Array,
    cache: MLPCache,
    out: Layers | None = None,
    need_dx: bool = True,
    before: int = LINEAR,
) -> tuple[Maybe, Layers]:
    """dW = hᵀ da, db = sum_n da_n, dh = da Wᵀ, and da = dh psi'(a) through each activation, from the last layer down.

    Args:
        dout: (N, J) derivative of a scalar by h_M W_M + b_M, in front of the last activation, if there is one.
        cache: from ``mlp``.
        out: [(dW_i, db_i), ...] arrays to write the gradients into; new ones by default.
        need_dx: False where the input is data: saves a product as large as the first layer's own.
        before: the activation that x is the value of; then dx is the derivative by what stood in front of that.

    Returns:
        dx: (N, I) derivative by the input, or None.
        dlayers: [(dW_i, db_i), ...] derivatives by the layers.
    """
    x, outputs, layers, activation = cache
    dout = np.ascontiguousarray(dout)
    dlayers = [(np.empty_like(W), np.empty_like(b)) for W, b in layers] if out is None else out
    dinputs = tuple([np.empty_like(h) for h in ((x if need_dx else x[:0]), *outputs[:-1])])
    machine.layers_gradient(dout, x, outputs, next(zip(*layers)), *zip(*dlayers), dinputs, activation, before)
    return (dinputs[0] if need_dx else None), dlayers
