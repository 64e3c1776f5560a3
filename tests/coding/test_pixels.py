"""Coders of data: each undoes the other, means the likelihood's own probabilities, and costs what these say."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import special

from tests.coding.models import COLOUR, seeds
from tinyvae.coding import pixels
from tinyvae.coding.ans import Stack, bits
from tinyvae.coding.pixels import BERNOULLI_BITS, CODERS, LEVELS, LOGISTIC_BITS, pop_data, push_data
from tinyvae.settings import LIKELIHOODS

N = 10**6
EXTREME = [0.0, -0.0, 1e-30, 30.0, -30.0, 1e4, -1e4, 3e38, -3e38, np.inf, -np.inf, np.nan]
numbers = st.one_of(st.sampled_from(EXTREME), st.floats(-20, 20, width=32))


@given(st.sampled_from(sorted(CODERS)), st.integers(1, 9), st.sampled_from([np.float32, np.float64]), seeds, st.data())
def test_pop_undoes_push_whatever_the_decoder_says(likelihood, D, dtype, seed, data):
    kind, levels = CODERS[likelihood]
    M = LIKELIHOODS[likelihood].outputs_per_dimension
    D *= LIKELIHOODS[likelihood].channels or 1
    outputs = np.array(data.draw(st.lists(numbers, min_size=M * D, max_size=M * D)), dtype)
    x = np.random.default_rng(seed).integers(0, levels, D, np.uint8)
    stack, again = Stack(seed), np.empty_like(x)
    stack.make_room(0, D)
    push_data(stack.words, stack.head, kind, x, outputs)
    pop_data(stack.words, stack.head, kind, again, outputs)
    assert np.array_equal(x, again) and stack.is_at_start()


def shares(likelihood, outputs):
    """The probabilities (D, L) of all levels as the coder has them, in whole numbers over 2^bits."""
    D = len(outputs) // LIKELIHOODS[likelihood].outputs_per_dimension
    if likelihood == "bernoulli":
        one = np.array([pixels.ones(logit) for logit in outputs])
        return np.stack([2**BERNOULLI_BITS - one, one], axis=1) / 2**BERNOULLI_BITS
    mixture = np.empty((3, max(1, len(outputs) // D // 3)))
    found = []
    for d in range(D):
        pixels.components(outputs, d, D, mixture, 0.0)
        found.append(np.diff([pixels.below(level, mixture) for level in range(LEVELS + 1)]))
    return np.array(found) / 2**LOGISTIC_BITS


def probabilities(likelihood, outputs):
    """The same by the likelihood of the derivation, in float64."""
    M, levels = LIKELIHOODS[likelihood].outputs_per_dimension, CODERS[likelihood].levels
    outputs = outputs.astype(np.float64).reshape(M, -1)
    found = []
    for level in range(levels):
        x = np.full((outputs.shape[1], 1), level / (levels - 1))
        logp, _ = LIKELIHOODS[likelihood].log_prob(x, np.ascontiguousarray(outputs.T))
        found.append(np.exp(logp[:, 0]))
    return np.stack(found, axis=1)


def realistic(likelihood, D, seed):
    """Outputs (M D,) float32 as a trained decoder has them: sure of many entries, means in and around the range."""
    random = np.random.default_rng(seed)
    M = LIKELIHOODS[likelihood].outputs_per_dimension
    if likelihood == "bernoulli":
        return random.normal(-3, 4, D).astype(np.float32)
    C = max(1, M // 3)
    rows = random.normal(0, 2, (C, D)), random.normal(0.4, 0.4, (C, D)), random.uniform(-6, 0, (C, D))
    return np.concatenate(rows[-(M // C) :]).astype(np.float32).ravel()


ALONE = sorted(CODERS.keys() - {COLOUR})  # each entry has its probabilities, whatever the others are


@pytest.mark.parametrize("likelihood", ALONE)
def test_the_coder_means_the_probabilities_of_the_likelihood(likelihood):
    """Up to a number that is rounded, and one for each level; and they add up to 1, and none is 0."""
    outputs = realistic(likelihood, 500, 1)
    mine, theirs = shares(likelihood, outputs), probabilities(likelihood, outputs)
    levels, precision = CODERS[likelihood].levels, BERNOULLI_BITS if likelihood == "bernoulli" else LOGISTIC_BITS
    assert np.all(mine.sum(axis=1) == 1) and mine.min() >= 2.0**-precision
    aside = levels / 2**precision if levels == LEVELS else 0
    assert np.abs(mine - (theirs * (1 - aside) + aside / levels)).max() < 1.01 * 2.0**-precision


@pytest.mark.parametrize("scale", [-35.0, -30.0, -12.0, -3.0, 8.0, 20.0])
@pytest.mark.parametrize("mean", [-1e30, -3.0, 0.0, 0.4, 1.0, 2e6])
def test_levels_of_extreme_logistics_have_numbers_of_their_own(scale, mean):
    outputs = np.array([mean, scale])
    found = shares("logistic", outputs)
    assert found.min() >= 2.0**-LOGISTIC_BITS and found.sum() == 1
    wanted = probabilities("logistic", outputs)
    assert np.abs(found - wanted).max() <= (LEVELS + 2) / 2**LOGISTIC_BITS


@pytest.mark.parametrize("shift", [-5000.0, -800.0, 800.0, 5000.0])
def test_the_weights_of_a_mixture_are_those_of_its_logits_wherever_they_lie(shift):
    outputs = realistic("logistic-mixture", 50, 4).astype(np.float64).reshape(3, -1)
    moved = np.concatenate([outputs[:1] + shift, outputs[1:]]).ravel()
    found, wanted = shares("logistic-mixture", moved), shares("logistic-mixture", outputs.ravel())
    np.testing.assert_allclose(found, wanted, atol=2.0 / 2**LOGISTIC_BITS)


@pytest.mark.parametrize("likelihood", ALONE)
def test_a_million_levels_cost_the_sum_of_log2_p(likelihood):
    """The message's own rounding is within 0.02 % of the sum of -log2 (f / M), that of the probabilities within 0.1 %.

    The levels are drawn from the model, so that these probabilities are what they should cost.
    """
    kind, levels = CODERS[likelihood]
    D, random = 2000, np.random.default_rng(2)
    outputs = realistic(likelihood, D, 3)
    mine, theirs = shares(likelihood, outputs), probabilities(likelihood, outputs)
    u = random.random((N // D, D, 1))
    x = np.minimum((u > np.cumsum(theirs, axis=1)[None]).sum(axis=2), levels - 1).astype(np.uint8)
    stack = Stack(0)
    stack.make_room(0, N)
    for row in x:
        push_data(stack.words, stack.head, kind, row, outputs)
    cost = float(bits(stack.head)) - stack.initial_bits
    entry = np.arange(D)[None], x
    rounded, exact = (-np.log2(each[entry]).sum() for each in (mine, theirs))
    assert abs(cost / rounded - 1) < 2e-4  # the message's own rounding
    assert abs(rounded / exact - 1) < 1e-3  # that of the probabilities, apart


def test_colours_cost_the_sum_of_log2_p():
    """A million levels, drawn channel by channel under the likelihood's own probabilities."""
    P, random = 700, np.random.default_rng(5)
    D, M = 3 * P, LIKELIHOODS[COLOUR].outputs_per_dimension
    own = realistic("logistic-mixture", D, 6)
    outputs = np.concatenate([own, random.normal(0, 0.5, D).astype(np.float32)])
    x = np.zeros((N // D, D), np.uint8)
    logits, means, scales = own.reshape(3, (M - 1) // 3, D)
    weights, coefficients = special.softmax(logits, axis=0), outputs[-D:].reshape(P, 3)
    entries = np.arange(D)
    for row in x:
        chosen = (random.random(D) > np.cumsum(weights, axis=0)[:-1]).sum(axis=0)
        draws = means[chosen, entries] + np.exp(scales[chosen, entries]) * random.logistic(size=D)
        red, green, blue = draws.reshape(P, 3).T
        r = np.rint(255 * np.clip(red, 0, 1))
        g = np.rint(255 * np.clip(green + coefficients[:, 0] * r / 255, 0, 1))
        b = np.rint(255 * np.clip(blue + (coefficients[:, 1] * r + coefficients[:, 2] * g) / 255, 0, 1))
        row[:] = np.stack([r, g, b], axis=1).ravel()
    stack = Stack(0)
    stack.make_room(0, x.size)
    for row in x:
        push_data(stack.words, stack.head, CODERS[COLOUR].kind, row, outputs)
    cost = float(bits(stack.head)) - stack.initial_bits
    tiled = np.repeat(outputs.astype(np.float64)[None], len(x), axis=0)
    logp, _ = LIKELIHOODS[COLOUR].log_prob(x / 255, tiled)
    assert abs(cost / (-logp.sum() / np.log(2)) - 1) < 1e-3
    again = np.empty_like(x)
    for row in again[::-1]:
        pop_data(stack.words, stack.head, CODERS[COLOUR].kind, row, outputs)
    assert np.array_equal(x, again) and stack.is_at_start()


def test_what_is_impossible_costs_the_bits_of_a_number():
    stack = Stack(0)
    stack.make_room(0, 100)
    push_data(stack.words, stack.head, CODERS["bernoulli"].kind, np.ones(100, np.uint8), np.full(100, -1e30))
    assert abs(float(bits(stack.head)) - 31 - 100 * BERNOULLI_BITS) < 0.1


def test_the_likelihoods_are_those_that_give_probabilities_to_levels():
    for name, coder in CODERS.items():
        assert LIKELIHOODS[name].levels == coder.levels
    assert set(CODERS) == {name for name, likelihood in LIKELIHOODS.items() if likelihood.levels}


def test_the_sum_of_probabilities_is_what_the_oracle_says():
    """The sigmoid of SciPy, once by hand: P(v) = sigmoid(u) - sigmoid(l)."""
    m, t = 0.3, -2.0
    edges = (np.arange(1, LEVELS) - 0.5) / 255
    cdf = np.concatenate([[0], special.expit((edges - m) / np.exp(t)), [1]])
    assert np.allclose(shares("logistic", np.array([m, t]))[0], np.diff(cdf), atol=(LEVELS + 2) / 2**LOGISTIC_BITS)
