"""Coders of data: what each likelihood of ``derivation`` gives to a level, in whole numbers that add up to 2^bits.

A coder takes a level, 0 ... L - 1, under the decoder's outputs for it, and pushes it onto a message; its inverse stands
below it. No level has less than one number of its own: what the model holds for impossible can be coded, and costs as
many bits as the numbers have. ``CODERS`` lists them by the likelihood's name; another is a pair of functions, a line
there, and a branch in ``push_data`` and ``pop_data``.
"""

from typing import NamedTuple

import numpy as np

from tinyvae.coding.ans import peek, pop, push
from tinyvae.coding.elementary import exact, exp, limited, sigmoid
from tinyvae.derivation.levels import LEVELS

BERNOULLI, LOGISTIC, COLOUR = range(3)
BERNOULLI_BITS, LOGISTIC_BITS = 16, 22
# Log scales beyond are taken for these. The derivation has ± 30; but neighbouring levels' edges must be so far from
# each other, in scales, that the sigmoid can tell them apart; and at 20 only a mean of many thousands plays a part.
NARROWEST, WIDEST = -30.0, 20.0
LARGEST_LOGIT = 1e9


class Coder(NamedTuple):
    """What codes the data of a likelihood: a branch below, and the number of levels."""

    kind: int
    levels: int


CODERS = {
    "bernoulli": Coder(BERNOULLI, 2),
    "logistic": Coder(LOGISTIC, LEVELS),
    "logistic-mixture": Coder(LOGISTIC, LEVELS),
    "logistic-colour": Coder(COLOUR, LEVELS),
}


@exact
def push_data(words, head, kind, levels, outputs):
    """The levels (D,) of an example under a decoder's outputs (M D,), from the first to the last.

    Of a pixel in colour blue comes first, and red last: so red is the first that is popped, and by then the others need
    it.
    """
    D = levels.size
    mixture = np.empty((3, max(1, outputs.size // D // 3)))
    for i in range(D):
        if kind == BERNOULLI:
            push_bernoulli(words, head, levels[i], outputs[i])
        elif kind == LOGISTIC:
            push_logistic(words, head, levels[i], outputs, i, D, mixture, 0.0)
        else:
            d = i + 2 - 2 * (i % 3)
            push_logistic(words, head, levels[d], outputs, d, D, mixture, moved(levels, outputs, d, D))


@exact
def pop_data(words, head, kind, levels, outputs):
    """What was pushed by ``push_data``, from the last to the first, into ``levels`` (D,)."""
    D = levels.size
    mixture = np.empty((3, max(1, outputs.size // D // 3)))
    for i in range(D - 1, -1, -1):
        if kind == BERNOULLI:
            levels[i] = pop_bernoulli(words, head, outputs[i])
        elif kind == LOGISTIC:
            levels[i] = pop_logistic(words, head, outputs, i, D, mixture, 0.0)
        else:
            d = i + 2 - 2 * (i % 3)
            levels[d] = pop_logistic(words, head, outputs, d, D, mixture, moved(levels, outputs, d, D))


# ---------------------------------------------------------------------------------------------------------------------
# Bernoulli
# ---------------------------------------------------------------------------------------------------------------------


@exact
def ones(logit):
    """How many of the 2^16 numbers stand for a 1: 2^16 sigmoid(l), rounded, at least one and not all."""
    share = sigmoid(np.float64(logit)) * 2.0**BERNOULLI_BITS
    return np.int64(limited(share, 1.0, 2.0**BERNOULLI_BITS - 1.0) + 0.5)


@exact
def push_bernoulli(words, head, bit, logit):
    """A 0 or a 1 of the probability sigmoid(l) (likelihoods.py); the numbers of a 0 come first."""
    one = ones(logit)
    zero = (1 << BERNOULLI_BITS) - one
    if bit:
        push(words, head, zero, one, BERNOULLI_BITS)
    else:
        push(words, head, 0, zero, BERNOULLI_BITS)


@exact
def pop_bernoulli(words, head, logit):
    """The bit that was pushed by ``push_bernoulli``."""
    one = ones(logit)
    zero = (1 << BERNOULLI_BITS) - one
    if peek(head, BERNOULLI_BITS) >= zero:
        pop(words, head, zero, one, BERNOULLI_BITS)
        return 1
    pop(words, head, 0, zero, BERNOULLI_BITS)
    return 0


# ---------------------------------------------------------------------------------------------------------------------
# The discretised logistic, mixtures of it, and colours (levels.py)
# ---------------------------------------------------------------------------------------------------------------------


@exact
def moved(levels, outputs, d, D):
    """By how much the channels before entry d of a pixel in colour move its means: 0, c_gr r, or c_br r + c_bg g."""
    channel = d % 3
    red = d - channel
    c_gr, c_br, c_bg = outputs.size - D + red, outputs.size - D + red + 1, outputs.size - D + red + 2
    r, g = levels[red] / (LEVELS - 1.0), levels[red + 1] / (LEVELS - 1.0)
    if channel == 0:
        return 0.0
    if channel == 1:
        return limited(np.float64(outputs[c_gr]), -LARGEST_LOGIT, LARGEST_LOGIT) * r
    blue = limited(np.float64(outputs[c_br]), -LARGEST_LOGIT, LARGEST_LOGIT) * r
    return blue + limited(np.float64(outputs[c_bg]), -LARGEST_LOGIT, LARGEST_LOGIT) * g


@exact
def components(outputs, d, D, mixture, by):
    """The weights, the means, moved ``by`` so much, and 1 / s of the C logistics of entry d, as rows of ``mixture``
    (3, C).
    """
    C = mixture.shape[1]
    weights, means, precisions = mixture[0], mixture[1], mixture[2]
    first = 0 if C == 1 else C  # one component has no logits before its mean
    for c in range(C):
        weights[c] = limited(np.float64(outputs[c * D + d]), -LARGEST_LOGIT, LARGEST_LOGIT)
        means[c] = np.float64(outputs[(first + c) * D + d]) + by
        precisions[c] = exp(-limited(np.float64(outputs[(first + C + c) * D + d]), NARROWEST, WIDEST))
    largest, total = -LARGEST_LOGIT, 0.0
    for c in range(C):
        largest = max(largest, weights[c])
    for c in range(C):
        weights[c] = exp(weights[c] - largest)
        total += weights[c]
    for c in range(C):
        weights[c] /= total


@exact
def below(level, mixture):
    """How many of the 2^22 numbers stand for lower levels than this one, 0 ... 256.

    One for each level, and of the others the share sum_c pi_c sigmoid((v - h - m_c) / s_c), where v - h is the edge
    below the level (levels.py, P(v)); rounded down, so that it cannot fall as the level rises.
    """
    if level == 0:
        return 0
    if level == LEVELS:
        return 1 << LOGISTIC_BITS
    edge, share = (level - 0.5) / (LEVELS - 1), 0.0
    for c in range(mixture.shape[1]):
        share += mixture[0, c] * sigmoid((edge - mixture[1, c]) * mixture[2, c])
    return level + np.int64(limited(share, 0.0, 1.0) * (2.0**LOGISTIC_BITS - LEVELS))


@exact
def push_logistic(words, head, level, outputs, d, D, mixture, by):
    """A level 0 ... 255 of entry d, whose means are moved ``by`` so much, for ``mixture`` (3, C) to work in."""
    components(outputs, d, D, mixture, by)
    level = np.int64(level)
    start = below(level, mixture)
    push(words, head, start, below(level + 1, mixture) - start, LOGISTIC_BITS)


@exact
def pop_logistic(words, head, outputs, d, D, mixture, by):
    """The level that was pushed by ``push_logistic``: the last that begins at or below the number."""
    components(outputs, d, D, mixture, by)
    u = peek(head, LOGISTIC_BITS)
    low, high = 0, LEVELS
    while high - low > 1:
        middle = (low + high) // 2
        if below(middle, mixture) <= u:
            low = middle
        else:
            high = middle
    start = below(low, mixture)
    pop(words, head, start, below(low + 1, mixture) - start, LOGISTIC_BITS)
    return low
