"""Activations: what stands between the affine maps of a network, which would be one affine map without them.

An activation is a function of one number, h = f(a), that is taken of every entry. On the way back da = dh f'(a), and
for each of these the derivative can be told from the value: so the forward pass keeps h, and a need not be kept.

    tanh    h = tanh(a)        f'(a) = 1 - h²
    relu    h = max(a, 0)      f'(a) = 1 where h > 0, and else 0

At a = 0 the rectifier has no derivative; any number between 0 and 1 is a slope that fits there, and 0 is taken (Glorot,
Bordes and Bengio 2011).

``settings.ACTIVATIONS`` lists them by name; the function and its derivative stand side by side in the machine room.
"""

from tinyvae import machine

LINEAR = machine.LINEAR  # none: h = a, for the last layer
TANH = machine.TANH
RELU = machine.RELU
