"""What the bits of a compressed file are spent on: the bound, and what a code of finite precision adds to it.

The bound is taken at the very samples of z that were coded, from the model's own passes, so that chance plays no part
in the difference.
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
from tinyvae.types import Array

NUMBERS = 20_000_000  # of the decoder's outputs, at a time


class Account(NamedTuple):
    """Bits for each number of the data.

    Attributes:
        bound: -ELBO, at one sample for each image.
        cells: since a cell has the probabilities of a range, and its median stands for it; and by their rounding.
        precision: since the probabilities of levels are rounded, and the message is a whole number.
        initial: the random bits that the first images popped.
        container: header, digests, checksum, and the ends of the messages.
    """

    bound: float
    cells: float
    precision: float
    initial: float
    container: float

    @property
    def net(self) -> float:
        """By how much the messages grow for each number of one more image."""
        return self.bound + self.cells + self.precision

    @property
    def total(self) -> float:
        """The size of the file."""
        return self.net + self.initial + self.container


def account(code: BitsBack, params: Parameters, levels: np.ndarray, encoded: Encoded, size: int) -> Account:
    """What the bits are spent on.

    Args:
        code, params: what coded, and its model's parameters.
        levels: (N, D) uint8.
        encoded: what ``BitsBack.encode`` said of them.
        size: of the file, in bytes.
    """
    log_likelihood, log_ratio = log_weights(code, params, levels, encoded.chosen)
    bits = (
        -(log_likelihood + log_ratio) / math.log(2),
        encoded.cells + log_ratio / math.log(2),
        encoded.growth - encoded.cells + log_likelihood / math.log(2),
        encoded.initial,
        8 * size - encoded.growth - encoded.initial,
    )
    return Account(*(part / levels.size for part in bits))


def log_weights(code: BitsBack, params: Parameters, levels: np.ndarray, chosen: np.ndarray) -> tuple[float, float]:
    """The sums over all images of log p(x | z), and of log p(z) - log q(z | x), in nats, at the medians of their cells.

    Args:
        code, params: BitsBack and Parameters.
        levels: (N, D) uint8.
        chosen: (N, D_1) cells.
    """
    model, prior, sums = code.model, code.prior, np.zeros(2)
    rows = max(1, NUMBERS // (model.data_dim * model.observation.outputs_per_dimension))
    largest = CODERS[model.likelihood].levels - 1
    with machine.crew():
        for first in range(0, len(levels), rows):
            some = slice(first, first + rows)
            x: Array = np.divide(levels[some], largest, dtype=params.flat.dtype)
            z = (prior.centre + prior.scale * cells().medians[chosen[some]]).astype(x.dtype)
            log_likelihood, log_prior, _ = model.joint(params, x, [z], keep=False)
            log_q, _ = gaussian.log_density(z[:, None], *model.encode(params, x))
            sums += log_likelihood.sum(dtype=np.float64), (log_prior - log_q).sum(dtype=np.float64)
    return float(sums[0]), float(sums[1])
