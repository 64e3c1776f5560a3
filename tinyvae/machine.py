"""The door of the machine room: the shared kernels (shared.py) as the derivation calls them, on NumPy arrays.

Behind it each is given the desk at hand and the addresses of its jobs in the arrays' dtype.
"""

import numpy as np

from tinyvae import shared
from tinyvae.threads import at_hand

LAYERS = shared.AFFINE, shared.HALF_PRODUCT, shared.COMPLETE_AFFINE
LAYERS_BACKWARD = shared.AFFINE_GRADIENT, shared.AFFINE_INPUT_GRADIENT


def hands(dtype, jobs):
    """The desk at hand and the addresses of some jobs: what a compiled function needs to have work shared."""
    return at_hand(), tuple([job.at(dtype) for job in jobs])


def bernoulli_log_prob(x, logits, logp):
    """As ``kernels.bernoulli_log_prob``, for all rows."""
    shared.bernoulli_log_prob(at_hand(), shared.BERNOULLI.at(x.dtype), x, logits, logp)


def gaussian_log_prob(x, outputs, squash, floor, logp):
    """As ``kernels.gaussian_log_prob``, for all rows."""
    floor = np.full(1, floor, x.dtype)
    shared.gaussian_log_prob(at_hand(), shared.GAUSSIAN.at(x.dtype), x, outputs, squash, floor, logp)


def scale_rows(weights, rows):
    """As ``kernels.scale_rows``, for all rows."""
    shared.scale_rows(at_hand(), shared.SCALE_ROWS.at(rows.dtype), weights, rows)


def normal(out, place):
    """As ``philox.normal``."""
    shared.draw(at_hand(), shared.NORMAL.at(out.dtype), out, place)


def uniform(out, place):
    """As ``philox.uniform``."""
    shared.draw(at_hand(), shared.UNIFORM.at(out.dtype), out, place)


def update(job, theta, g, state, options, cuts):
    """A step of an optimiser, ``shared.SGD``, ``ADAGRAD`` or ``ADAM``, in place; returns the sum of the new theta.

    Args:
        theta, g: (P,) parameters and gradient.
        state: one or two arrays (P,), in the order of the kernel.
        options: numbers, in the order of the kernel.
        cuts: (n, 2) int64, where the parts that threads share begin and end.
    """
    sums, options = np.empty(len(cuts), theta.dtype), np.array(options, theta.dtype)
    # where there is but one array of state it stands in both places
    shared.update(at_hand(), job.at(theta.dtype), theta, g, state[0], state[-1], options, cuts, sums)
    return sums.sum(dtype=np.float64)
