"""What a second process compiles while the first one begins: the kernels of a step from its end on (compiled.py).

The code is kept, and the first process finds it there when it comes so far. Kernels are called with the smallest
arrays, those of a network with one hidden layer in float32, as nearly all are. What is missed here, is compiled there.
"""

import numpy as np

from tinyvae.machine import compiled


def main():
    """Call the kernels of a step, the last ones first, then those that not every data set needs."""
    v, x, z = np.ones(1, np.float32), np.ones((1, 1), np.float32), np.ones((1, 1, 1), np.float32)
    zeros = np.zeros_like(x)
    compiled.layers_gradient(x, x, (x, x), (x, x), (x, x), (v, v), (x, x))
    compiled.adam_update(v, v, v, v, [1, 1, 1, 1], parts=np.array([[0, 1]]))
    compiled.gaussian_sample_gradient(z, z, x, x, x)
    compiled.gaussian_log_posterior_gradient(x, x, z, x, x, x)
    compiled.scale_rows(v, x)
    compiled.bernoulli_log_prob(x, x, x)
    compiled.layers_gradient(x, zeros, (x, x), (x, x), (x, x), (v, v), (x, x))
    compiled.sigmoid(x, x)
    compiled.layers(zeros, (x, x), (v, v), (x, x))
