"""The multilayer perceptron: every encoder and decoder is one of these (AEVB, appendix C; IWAE, section 5).

A network with the layers (W_0, b_0), ..., (W_M, b_M) maps each row of its input x through M hidden layers of tanh units
and one affine output layer:

    h_0 = x,    h_{i+1} = tanh(a_i)  with  a_i = h_i W_i + b_i   for i < M,    out = h_M W_M + b_M

**Backward.** Given the derivative of some scalar f by the output, dout = df / dout, walk the layers in reverse. Through
one affine map a = h W + b, written with indices a_nj = sum_i h_ni W_ij + b_j, the chain rule gives

    dW_ij = sum_n h_ni da_nj    so    dW = hᵀ da
    db_j  = sum_n da_nj         so    db = the sum of the rows of da
    dh_ni = sum_j da_nj W_ij    so    dh = da Wᵀ

and through h = tanh(a), whose derivative is 1 - tanh(a)²:

    da = dh (1 - h²)

The derivative of tanh needs only its output: the forward pass keeps the h_i and nothing else.
"""

import itertools
from collections.abc import Sequence

import numpy as np
from numba import njit

from tinyvae import machine, shared
from tinyvae.elementary import FAST
from tinyvae.types import Array, Cache, Layers, Maybe, Shapes


def mlp_shapes(name: str, sizes: Sequence[int]) -> Shapes:
    """Names and shapes of the parameters of a network.

    Args:
        name: the network's name, such as "encoder".
        sizes: (inputs, hidden units of each layer ..., outputs).

    Returns: {"name.0.W": (I, J), "name.0.b": (J,), "name.1.W": ...}.
    """
    shapes: Shapes = {}
    for i, (inputs, outputs) in enumerate(itertools.pairwise(sizes)):
        shapes[f"{name}.{i}.W"] = (inputs, outputs)
        shapes[f"{name}.{i}.b"] = (outputs,)
    return shapes


def mlp(x: Array, layers: Layers) -> tuple[Array, Cache]:
    """h_{i+1} = tanh(h_i W_i + b_i), and an affine output layer (AEVB, appendix C).

    Args:
        x: (N, I) float32 or float64, the input h_0.
        layers: [(W_i, b_i), ...] of shapes (I_i, I_{i+1}) and (I_{i+1},), in the dtype of x.

    Returns:
        out: (N, J) the output of the last layer.
        cache: what ``mlp_backward`` needs.
    """
    x = np.ascontiguousarray(x)
    Ws, bs = zip(*layers)
    outputs = tuple([np.empty((len(x), len(b)), x.dtype) for b in bs])
    forward(*machine.hands(x.dtype, machine.LAYERS), x, Ws, bs, outputs)
    return outputs[-1], (x, outputs, layers)


def mlp_backward(dout: Array, cache: Cache, out: Layers | None = None, need_dx: bool = True) -> tuple[Maybe, Layers]:
    """dW = hᵀ da, db = sum_n da_n, dh = da Wᵀ, and da = dh (1 - h²) through each tanh, from the last layer down.

    Args:
        dout: (N, J) derivative of a scalar by the network's output.
        cache: from ``mlp``.
        out: [(dW_i, db_i), ...] arrays to write the gradients into; new ones by default.
        need_dx: False where the input is data: saves a product as large as the first layer's own.

    Returns:
        dx: (N, I) derivative by the input, or None.
        dlayers: [(dW_i, db_i), ...] derivatives by the layers.
    """
    x, outputs, layers = cache
    dout = np.ascontiguousarray(dout)
    dlayers = [(np.empty_like(W), np.empty_like(b)) for W, b in layers] if out is None else out
    dinputs = tuple([np.empty_like(h) for h in ((x if need_dx else x[:0]), *outputs[:-1])])
    hands = machine.hands(x.dtype, machine.LAYERS_BACKWARD)
    backward(*hands, dout, x, outputs, next(zip(*layers)), *zip(*dlayers), dinputs)
    return (dinputs[0] if need_dx else None), dlayers


# The loops over the layers are compiled as a whole; their work is shared by the threads at hand. Numba finds the types
# by itself, and wants tuples of arrays: ``outputs[i]`` is h_{i+1}, and ``dinputs[i]`` is dh_i.


@njit(**FAST)
def forward(desk, jobs, x, Ws, bs, outputs):  # type: ignore[no-untyped-def]
    """From the input up: tanh layers, and at last an affine one."""
    h, last = x, len(Ws) - 1
    for i in range(len(Ws)):
        shared.affine(desk, jobs, h, Ws[i], bs[i], outputs[i], i < last)
        h = outputs[i]


@njit(**FAST)
def backward(desk, jobs, dout, x, outputs, Ws, dWs, dbs, dinputs):  # type: ignore[no-untyped-def]
    """From the output down; the input's own derivative only if there is room for it."""
    da = dout
    for i in range(len(Ws) - 1, 0, -1):
        h, dh = outputs[i - 1], dinputs[i]
        shared.affine_gradient(desk, jobs[0], da, h, dWs[i], dbs[i])
        shared.affine_input_gradient(desk, jobs[1], da, Ws[i], h, dh, True)
        da = dh
    shared.affine_gradient(desk, jobs[0], da, x, dWs[0], dbs[0])
    if len(dinputs[0]) == len(x):
        shared.affine_input_gradient(desk, jobs[1], da, Ws[0], x, dinputs[0], False)
