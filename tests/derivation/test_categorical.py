"""The likelihood of symbols: gradients, values by loops and by SciPy, probabilities that sum to 1."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import special

from tinyvae.checks import finite_differences
from tinyvae.checks.random_problems import densities
from tinyvae.derivation import categorical
from tinyvae.derivation.model import Model
from tinyvae.settings import LIKELIHOODS

seeds = st.integers(0, 2**32 - 1)
counts = st.integers(1, 4)
groupings = st.lists(st.integers(0, 2), min_size=1, max_size=5).map(tuple)


def random_symbols(seed, N, K, T, groups):
    """Symbols (N, T), the same as ones among zeros, and logits; some far apart."""
    rng = np.random.default_rng(seed)
    symbols = rng.integers(0, len(groups), (N, T))
    logits = 10.0 ** rng.integers(0, 4) * rng.standard_normal((N * K, T * len(groups)))
    return symbols, np.eye(len(groups))[symbols].reshape(N, -1), logits


@given(counts, counts, counts, groupings, seeds)
def test_gradients(N, K, T, groups, seed):
    errors = finite_differences.check(densities.categorical(np.random.default_rng(seed), N, K, T, groups))
    assert max(errors.values()) < finite_differences.TOLERANCE, errors


@given(counts, counts, counts, groupings, seeds)
def test_values_by_loops(N, K, T, groups, seed):
    """By SciPy's log_softmax over those symbols alone that are of the group."""
    symbols, x, logits = random_symbols(seed, N, K, T, groups)
    logp, (derivative,) = categorical.categorical(x, logits, groups=groups)
    rows, V = logits.reshape(N, K, T, len(groups)), len(groups)
    for n, k in itertools.product(range(N), range(K)):
        total = []
        for t in range(T):
            own = [v for v in range(V) if groups[v] == groups[symbols[n, t]]]
            log_p = special.log_softmax(rows[n, k, t, own])
            total.append(log_p[own.index(symbols[n, t])])
            expected = np.zeros(V)
            expected[own] = -np.exp(log_p)
            expected[symbols[n, t]] += 1
            np.testing.assert_allclose(derivative.reshape(N, K, T, V)[n, k, t], expected, atol=1e-12)
        assert logp[n, k] == pytest.approx(math.fsum(total), rel=1e-12, abs=1e-12)


@pytest.mark.parametrize("groups", [(), (0, 1, 0)])
def test_the_probabilities_of_all_sequences_sum_to_one(groups):
    """Given the groups that a derivation runs through; those of one group are all sequences."""
    logits = np.random.default_rng(0).standard_normal((1, 9))
    sequences = np.array(list(itertools.product(range(3), repeat=3)))
    x = np.eye(3)[sequences].reshape(-1, 9)
    likelihood = LIKELIHOODS["categorical"].of((3, 3), groups)
    p = np.exp(likelihood.log_prob(x, np.repeat(logits, len(x), axis=0))[0][:, 0])
    runs = np.array(groups or (0, 0, 0))[sequences]
    for run in np.unique(runs, axis=0):
        assert p[(runs == run).all(axis=1)].sum() == pytest.approx(1, rel=1e-12)


def derivations(rules, stack, T):
    """All leftmost derivations from a stack of symbols, as rules' numbers, of T rules or until nothing is left."""
    if not T or not stack:
        return [[]]
    chosen = [(v, right) for v, (left, right) in enumerate(rules) if left == stack[0]]
    return [[v, *rest] for v, right in chosen for rest in derivations(rules, right + stack[1:], T - 1)]


def test_a_mask_that_leaks_the_future_gives_more_than_one_to_all_derivations_together():
    """A group is what a step may know of the derivation: the symbol at hand, and nothing that follows from the rule."""
    rules = [("S", "ST"), ("S", "T"), ("T", "S"), ("T", ""), ("T", "")]  # the right-hand sides without their terminals
    every = derivations(rules, "S", 4)
    x, logits = np.zeros((len(every), 4, 5)), np.random.default_rng(0).standard_normal((1, 20))
    for n, derivation in enumerate(every):
        x[n, range(len(derivation)), derivation] = 1

    def total(groups):
        rows = np.repeat(logits, len(every), axis=0)
        return np.exp(categorical.categorical(x.reshape(-1, 20), rows, groups=groups)[0]).sum()

    assert total((0, 0, 1, 1, 1)) == pytest.approx(1, rel=1e-12)
    assert total((0, 0, 1, 2, 2)) > 1.5  # told whether the symbol will vanish
    assert total((0, 0, 0, 0, 0)) < 0.5  # without a mask most is given to what is no derivation


def test_a_step_without_a_symbol_counts_for_nothing():
    _, x, logits = random_symbols(1, 2, 2, 3, (0, 0, 1, 1))
    x[:, 4:8] = 0
    logp, (derivative,) = categorical.categorical(x, logits, groups=(0, 0, 1, 1))
    kept = [*range(4), *range(8, 12)]
    np.testing.assert_allclose(logp, categorical.categorical(x[:, kept], logits[:, kept], groups=(0, 0, 1, 1))[0])
    np.testing.assert_array_equal(derivative[:, 4:8], 0)


@given(counts, groupings, seeds)
def test_the_mean_is_the_softmax_of_each_group(R, groups, seed):
    _, _, logits = random_symbols(seed, R, 1, 2, groups)
    mean = categorical.categorical_mean(logits, groups).reshape(R, 2, -1)
    for group in set(groups):
        own = np.equal(groups, group)
        np.testing.assert_allclose(mean[..., own], special.softmax(logits.reshape(mean.shape)[..., own], axis=2))


def test_the_bias_gives_the_shares_of_the_symbols():
    shares = np.array([0.2, 0.5, 0.3, 0.0])
    mean = categorical.categorical_mean(categorical.categorical_bias(shares)[None])[0]
    np.testing.assert_allclose(mean, np.array([0.2, 0.5, 0.3, 0.001]) / 1.001)


def test_groups_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="a group for each of 3 symbols is needed, not 2"):
        Model((4, 3), likelihood="categorical", groups=(0, 1))
    with pytest.raises(ValueError, match="rows of steps with 3 symbols are needed"):
        categorical.categorical(np.zeros((1, 4)), np.zeros((1, 4)), groups=(0, 0, 1))
