"""Activations: what stands between the affine maps of a network, which would be one affine map without them.

An activation is a function of one number, h = psi(a), that is taken of every entry. On the way back da = dh psi'(a),
and for each of these the derivative can be told from the value: so the forward pass keeps h, and a need not be kept.

    tanh    h = tanh(a)        psi'(a) = 1 - h²
    relu    h = max(a, 0)      psi'(a) = 1 where h > 0, and else 0      (Glorot, Bordes and Bengio 2011)

At a = 0 the rectifier has no derivative; any number between 0 and 1 is a slope that fits there, and 0 is taken.

``settings.ACTIVATIONS`` lists them by name. Function and derivative stand side by side in ``machine/plain.py``, and as
loops in ``machine/kernels.py``. One of your own wants an entry in each, a number at ``machine``'s door and here, and a
name in the settings.
"""

from tinyvae import machine

LINEAR = machine.LINEAR  # none: h = a, for the last layer
TANH = machine.TANH
RELU = machine.RELU
