"""Coders of a latent variable: cells of equal mass under the standard normal, and another Gaussian's share of each.

A real number cannot be coded, a cell of numbers can. The line is cut into 2^16 cells to which N(0, 1) gives the same
probability: so under that prior a cell costs 16 bits, whichever it is, and no probability is rounded. Another
Gaussian N(mu, sigma²), the posterior, gives a cell what its distribution function rises by between the edges, rounded
to multiples of 2^-24:

    F_i = floor(2^24 Phi((e_i - mu) / sigma))        cell i:  the numbers from F_i to before F_{i+1}

A cell without a number of its own is never drawn, so nothing must be set aside for it. What stands for a cell is its
median: a number beyond the last edges is coded as ± 4.3. (Where cells must be pushed that this Gaussian has not drawn,
each is given numbers of its own: prior.py.)
"""

from functools import cache
from typing import NamedTuple

import numpy as np

from tinyvae.coding.ans import FAILED, LOWEST, peek, pop, push
from tinyvae.coding.elementary import exact, exp, limited, normal_cdf, normal_quantile
from tinyvae.types import Array

CELL_BITS, POSTERIOR_BITS = 16, 24
CELLS = 1 << CELL_BITS
POSTERIOR = POSTERIOR_BITS, 0  # bits of the numbers that cells share, and how many each has of its own
FARTHEST_MEAN, WIDEST = 1e6, 40.0  # means and log variances beyond are taken for these


class Cells(NamedTuple):
    """The ``edges`` (2^16 + 1,) float64 of all cells, the outer ones infinite, and their ``medians`` (2^16,)."""

    edges: Array
    medians: Array


@cache
def cells() -> Cells:
    """All cells."""
    table = Cells(np.empty(CELLS + 1), np.empty(CELLS))
    fill(table)
    return table


@exact
def fill(table):
    """Edges and medians, of the lower half by the quantile function, of the upper half by symmetry."""
    table.edges[0], table.edges[CELLS] = -np.inf, np.inf
    for i in range(CELLS // 2):
        table.medians[i] = normal_quantile((i + 0.5) / CELLS)
        table.medians[CELLS - 1 - i] = -table.medians[i]
        table.edges[i + 1] = normal_quantile((i + 1) / CELLS)
        table.edges[CELLS - 1 - i] = -table.edges[i + 1]
    table.edges[CELLS // 2] = 0.0


@exact
def push_uniform(words, head, cell):
    """A cell under the prior."""
    push(words, head, cell, 1, CELL_BITS)


@exact
def pop_uniform(words, head):
    """The cell that was pushed by ``push_uniform``."""
    cell = peek(head, CELL_BITS)
    pop(words, head, cell, 1, CELL_BITS)
    return cell


@exact
def edge(i, mu, precision, table, numbers=POSTERIOR):
    """F_i, for the square root of the precision, 1 / sigma."""
    number_bits, own = numbers
    if i == 0:
        return 0
    if i == CELLS:
        return 1 << number_bits
    shared = np.float64((1 << number_bits) - own * CELLS)
    return np.int64(shared * normal_cdf((table.edges[i] - mu) * precision)) + own * i


@exact
def statistics(mu, logvar):
    """The mean, sigma and 1 / sigma, within limits, whatever a network has put out."""
    half = 0.5 * limited(np.float64(logvar), -WIDEST, WIDEST)
    return limited_mean(mu), exp(half), exp(-half)


@exact
def limited_mean(mu):
    """The mean, within its limits."""
    return limited(np.float64(mu), -FARTHEST_MEAN, FARTHEST_MEAN)


@exact
def push_gaussian(words, head, cell, mu, logvar, table, numbers=POSTERIOR):
    """A cell under a Gaussian. One that it would never draw is a fault of the message."""
    mu, _, precision = statistics(mu, logvar)
    start = edge(cell, mu, precision, table, numbers)
    frequency = edge(cell + 1, mu, precision, table, numbers) - start
    if frequency > 0:
        push(words, head, start, frequency, numbers[0])
    else:
        head[LOWEST] = FAILED


@exact
def pop_gaussian(words, head, mu, logvar, table, numbers=POSTERIOR):
    """The cell that was pushed by ``push_gaussian``; of any other message, one drawn from the Gaussian.

    It is looked for around the quantile that the number stands for, in steps that double until the cell is between two
    edges, and then halve: so long as F_low <= u < F_high there is a cell between with a number u of its own.
    """
    mu, sigma, precision = statistics(mu, logvar)
    u = peek(head, numbers[0])
    z = mu + sigma * table.medians[u >> (numbers[0] - CELL_BITS)]
    low = min(np.int64(CELLS * normal_cdf(z)), CELLS - 1)
    high, step = low + 1, 1
    while edge(low, mu, precision, table, numbers) > u:
        low, high, step = max(0, low - step), low, 2 * step
    step = 1
    while edge(high, mu, precision, table, numbers) <= u:
        low, high, step = high, min(CELLS, high + step), 2 * step
    while high - low > 1:
        middle = (low + high) // 2
        if edge(middle, mu, precision, table, numbers) <= u:
            low = middle
        else:
            high = middle
    start = edge(low, mu, precision, table, numbers)
    pop(words, head, start, edge(low + 1, mu, precision, table, numbers) - start, numbers[0])
    return low
