"""What a second process compiles while the first one begins with the noise: the layers, and the rest of a step.

The code is kept, and the first process finds it there when it comes so far (compiled.py). Kernels are called with the
smallest arrays, those of networks with one hidden layer, in float32; what others need, the first process compiles.
"""

import numpy as np

from tinyvae.machine import LINEAR, RELU, TANH, compiled


def main(also=""):
    """Call the kernels of a step, first those that take long and are needed late, at last those that few data need."""
    if also == "convolution":
        _convolutions()
    if also == "recurrence":
        _recurrence()
    v, x, z = np.ones(1, np.float32), np.ones((1, 1), np.float32), np.ones((1, 1, 1), np.float32)
    two = np.ones((1, 2), np.float32)  # for two inputs one row is few, for one it is not
    first, zeros = two.reshape(2, 1), np.zeros_like(two)
    compiled.layers(two, (first, x), (v, v), (x, x), TANH, LINEAR)
    compiled.layers_gradient(x, two, (x, x), (first, x), (first, x), (v, v), (two, x), TANH, LINEAR)
    compiled.adam_update(v, v, v, v, [1, 1, 1, 1], cuts=np.array([[0, 1]]))
    compiled.bernoulli_log_prob(x, x, x)
    compiled.scale_rows(v, x)
    compiled.gaussian_sample_gradient(z, z, x, x, x)
    compiled.gaussian_log_posterior_gradient(x, x, z, x, x, x)
    compiled.sigmoid(x, x)
    compiled.layers(zeros, (first, x), (v, v), (x, x), TANH, LINEAR)
    compiled.layers_gradient(x, zeros, (x, x), (first, x), (first, x), (v, v), (two, x), TANH, LINEAR)


def _convolutions():
    """Those of an image of one pixel, from the end of a step to its beginning."""
    x, geometry = np.ones((1, 1), np.float32), (1, 1, 1, 1, 1)
    compiled.convolution_weight_gradient(x, x, x.copy(), geometry)
    compiled.convolution_input_gradient(x, x, x, x.copy(), geometry, RELU)
    compiled.transposed_convolution_input_gradient(x, x, x, x.copy(), geometry, RELU)
    compiled.channel_sums(x, x.copy(), 1)
    compiled.transposed_convolution(x, x, x, x.copy(), geometry, RELU)


def _recurrence():
    """Those of a sequence of one step and of one symbol."""
    x, two = np.ones((1, 1), np.float32), np.ones((2, 1), np.float32)
    three, four = np.ones((1, 3), np.float32), np.ones((1, 4), np.float32)
    compiled.recurrence_gradient(x, three, four, two, three.copy(), three.copy(), three.copy(), False)
    compiled.recurrence(three, three, three, three[0], four, two, False)
    compiled.categorical_log_prob(x, x.copy(), x, x.copy())
