"""What the bits of a compressed file are spent on: the bound, and what a code of finite precision adds to it.

The bound is taken at samples of z, from the model's own passes: one from each cell that was coded, drawn from the part
of q(z | x) that lies in it. The cells are drawn by q, and so these are samples of it, at which chance plays hardly a
part in the difference. Coded is the cell's median in their place. That is nearly the same while cells are narrow, and
not where a posterior is narrower, or lies beyond the last edges, 4.2 standard deviations of the prior from its mean:
this is the cells' price, and not the bound's.
"""

import math
from typing import NamedTuple

import numpy as np

from tinyvae import machine
from tinyvae.coding.bitsback import BitsBack, Encoded
from tinyvae.coding.cells import cells
from tinyvae.coding.pixels import CODERS
from tinyvae.derivation import gaussian
from tinyvae.derivation.parameters import Parameters
from tinyvae.machine import noise
from tinyvae.machine.noise import Stream
from tinyvae.types import Array

NUMBERS = 20_000_000  # of the decoder's outputs, at a time


class Account(NamedTuple):
    """Bits for each number of the data.

    Attributes:
        net: by how much the messages grow for each number of one more image: the sum of the next three.
        bound: -ELBO, at one sample for each image; not finite where the model's is not.
        cells: since a cell has the probabilities of a range, and its median stands for it; and by their rounding.
        precision: since the probabilities of levels are rounded, and the message is a whole number.
        initial: the random bits that the first images popped.
        container: header, digests, checksum, and the ends of the messages.
        total: the size of the file: the sum of net, initial and container.
    """

    net: float
    bound: float
    cells: float
    precision: float
    initial: float
    container: float
    total: float


def account(code: BitsBack, params: Parameters, levels: np.ndarray, encoded: Encoded, size: int) -> Account:
    """What the bits are spent on.

    Args:
        code, params: what coded, and its model's parameters.
        levels: (N, D) uint8.
        encoded: what ``BitsBack.encode`` said of them.
        size: of the file, in bytes.
    """
    at_medians, log_likelihood, log_ratio = log_weights(code, params, levels, encoded.chosen) / math.log(2)
    bits = (
        encoded.growth,
        -(log_likelihood + log_ratio),
        encoded.cells + log_ratio + log_likelihood - at_medians,
        encoded.growth - encoded.cells + at_medians,
        encoded.initial,
        8 * size - encoded.growth - encoded.initial,
        8 * size,
    )
    return Account(*(float(part) / levels.size for part in bits))


def log_weights(code: BitsBack, params: Parameters, levels: np.ndarray, chosen: np.ndarray) -> Array:
    """The sums over all images of log p(x | z) at the medians of their cells; and, at samples of q(z | x) in them, of
    log p(x | z) and of log p(z) - log q(z | x): (3,) float64, in nats.

    Args:
        code, params: BitsBack and Parameters.
        levels: (N, D) uint8.
        chosen: (N, D_1) cells.
    """
    model, prior, sums = code.model, code.prior, np.zeros(3)
    rows = max(1, NUMBERS // (model.data_dim * model.observation.outputs_per_dimension))
    largest = CODERS[model.likelihood].levels - 1
    with machine.crew(), np.errstate(all="ignore"):  # of weights that are no numbers there is no bound
        for first in range(0, len(levels), rows):
            some = slice(first, first + rows)
            x: Array = np.divide(levels[some], largest, dtype=params.flat.dtype)
            medians = prior.centre + prior.scale * cells().medians[chosen[some]]
            at_medians, *_ = model.joint(params, x, [medians.astype(x.dtype)], keep=False)
            mu, logvar = (array.astype(np.float64) for array in model.encode(params, x))
            eps = noise_within(code, mu, logvar, chosen[some], first)
            z = mu + np.exp(logvar / 2) * eps
            log_likelihood, log_prior, _ = model.joint(params, x, [z.astype(x.dtype)], keep=False)
            log_q = gaussian.log_posterior(logvar, eps[:, None])
            parts = at_medians, log_likelihood, log_prior - log_q
            sums += [part.sum(dtype=np.float64) for part in parts]
    return sums


def noise_within(code: BitsBack, mu: Array, logvar: Array, chosen: np.ndarray, first: int = 0) -> Array:
    """Standard normal numbers eps (N, D_1), given that mu + sigma eps lies in the chosen cells.

    Args:
        code: BitsBack.
        mu, logvar: (N, D_1) float64, of q(z | x).
        chosen: (N, D_1) cells.
        first: the place of the first image, for the random numbers.
    """
    from scipy.stats import truncnorm

    edges = code.prior.centre + code.prior.scale * np.stack([cells().edges[chosen], cells().edges[chosen + 1]])
    lowest, highest = (edges - mu) / np.exp(logvar / 2)
    # the step after those that an evaluation uses
    u = noise.uniform((len(mu), 1, mu.shape[1]), 0, Stream.EVALUATION, 3, first, dtype=np.float64)[:, 0]
    return truncnorm.ppf(u + 2.0**-25, lowest, highest)
