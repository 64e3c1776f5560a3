"""Coders of a latent variable: cells of equal mass, a posterior's share of each, and what they cost."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from tests.coding.models import seeds
from tinyvae.coding import cells
from tinyvae.coding.ans import FAILED, LOWEST, Stack, bits, pop, push
from tinyvae.coding.cells import (
    CELL_BITS,
    CELLS,
    POSTERIOR_BITS,
    pop_gaussian,
    pop_uniform,
    push_gaussian,
    push_uniform,
)
from tinyvae.coding.prior import UNDER_COMPONENT

N = 10**6
EXTREME = [0.0, 4.5, -9.0, 1e30, -1e30, np.inf, -np.inf, np.nan]
means = st.one_of(st.sampled_from(EXTREME), st.floats(-5, 5))
logvars = st.one_of(st.sampled_from(EXTREME), st.floats(-20, 5))


def test_edges_and_medians_are_quantiles_of_the_prior():
    table = cells.cells()
    assert np.allclose(stats.norm.cdf(table.edges) * CELLS, np.arange(CELLS + 1), rtol=0, atol=1e-9)
    assert np.allclose(stats.norm.cdf(table.medians) * CELLS, np.arange(CELLS) + 0.5, rtol=0, atol=1e-9)
    assert np.all(np.diff(table.edges) > 0) and np.all(np.diff(table.medians) > 0)
    assert np.array_equal(table.edges, -table.edges[::-1]) and np.array_equal(table.medians, -table.medians[::-1])


@given(st.lists(st.tuples(means, logvars), min_size=1, max_size=20), st.sampled_from([np.float32, np.float64]), seeds)
def test_push_undoes_pop_whatever_the_encoder_says(statistics, dtype, seed):
    table = cells.cells()
    statistics = np.array(statistics, np.float64).astype(dtype)
    stack = Stack(seed)
    stack.make_room(len(statistics), 0)
    drawn = [pop_gaussian(stack.words, stack.head, *pair, table) for pair in statistics]
    assert all(0 <= cell < CELLS for cell in drawn)
    for cell, pair in zip(reversed(drawn), reversed(statistics)):
        push_gaussian(stack.words, stack.head, cell, *pair, table)
    assert stack.is_at_start()


@given(st.lists(st.integers(0, CELLS - 1), min_size=1, max_size=30), seeds)
def test_a_cell_under_the_prior_costs_16_bits_and_comes_back(drawn, seed):
    stack = Stack(seed)
    stack.make_room(0, len(drawn))
    before = float(bits(stack.head))
    for cell in drawn:
        push_uniform(stack.words, stack.head, cell)
    assert abs(float(bits(stack.head)) - before - CELL_BITS * len(drawn)) < 1e-3
    assert [pop_uniform(stack.words, stack.head) for _ in drawn] == drawn[::-1] and stack.is_at_start()


def test_cells_are_drawn_from_the_posterior():
    """20,000 draws of several posteriors: the mean within 5 standard errors, the distribution by Kolmogorov's test."""
    table, count, stack = cells.cells(), 20_000, Stack(1)
    stack.make_room(3 * count, 0)
    for mu, logvar in [(0.0, 0.0), (1.3, -4.0), (-2.5, -7.0)]:
        drawn = np.array([pop_gaussian(stack.words, stack.head, mu, logvar, table) for _ in range(count)])
        z, sigma = table.medians[drawn], np.exp(logvar / 2)
        assert abs(z.mean() - mu) < 5 * sigma / np.sqrt(count)
        assert stats.kstest(z, stats.norm(mu, sigma).cdf).pvalue > 1e-3


def test_a_million_cells_cost_the_sum_of_log2_q():
    """What pushing them costs is what drawing them gave; within 2e-4 of the whole numbers' sum, whose rounding is less.

    The exact mass of a cell is that of SciPy's distribution function.
    """
    table, random = cells.cells(), np.random.default_rng(0)
    statistics = np.stack([random.normal(0, 1, 1000), random.uniform(-6, 0, 1000)], axis=1)
    stack = Stack(2)
    stack.make_room(N, 0)
    before = float(bits(stack.head))
    drawn = np.array(
        [[pop_gaussian(stack.words, stack.head, *pair, table) for pair in statistics] for _ in range(N // 1000)]
    )
    given_back = before - float(bits(stack.head))
    mu, sigma = statistics[:, 0], np.exp(statistics[:, 1] / 2)
    low, high = (stats.norm.cdf((table.edges[drawn + i] - mu) / sigma) for i in (0, 1))
    counts = np.floor(high * 2.0**POSTERIOR_BITS) - np.floor(low * 2.0**POSTERIOR_BITS)
    rounded, exact = -np.log2(counts / 2.0**POSTERIOR_BITS).sum(), -np.log2(high - low).sum()
    assert abs(given_back / rounded - 1) < 2e-4 and abs(rounded / exact - 1) < 2e-4


@pytest.mark.parametrize("logvar", [0.0, -8.0, -14.0, -20.0, -30.0])
def test_shares_are_the_posteriors_however_narrow(logvar):
    """Around the mean, up to a number that is rounded on either side."""
    mu, edges = 0.3, cells.cells().edges
    i = np.searchsorted(edges, mu) + np.arange(-6, 7)
    mean, _, precision = cells.statistics(mu, logvar)
    found = np.diff([cells.edge(j, mean, precision, cells.cells()) for j in i]) / 2**24
    np.testing.assert_allclose(found, np.diff(stats.norm.cdf((edges[i] - mu) / np.exp(logvar / 2))), atol=2.0**-23)


def test_with_a_number_of_its_own_any_cell_can_be_pushed_under_any_gaussian():
    """And costs what its mass is worth, which is at least that number."""
    table, random, stack = cells.cells(), np.random.default_rng(3), Stack(3)
    drawn = [0, 1, CELLS - 1, CELLS // 2, *map(int, random.integers(0, CELLS, 200))]
    statistics = [(0.0, 0.0), (3.0, -20.0), (-2.0, -5.0), (np.nan, np.inf), (1e30, -1e30)]
    stack.make_room(0, len(drawn) * len(statistics))
    for mu, logvar in statistics:
        before = float(bits(stack.head))
        for cell in drawn:
            push_gaussian(stack.words, stack.head, cell, mu, logvar, table, UNDER_COMPONENT)
        if np.isfinite(mu * logvar) and abs(mu) < 10:
            edges = (table.edges[np.add.outer(drawn, [0, 1])] - mu) / np.exp(logvar / 2)
            mass = np.diff(stats.norm.cdf(edges))[:, 0] * (1 - 2.0**-14) + 2.0**-30
            assert np.isclose(float(bits(stack.head)) - before, -np.log2(mass).sum(), rtol=1e-3)
    for mu, logvar in reversed(statistics):
        popped = [pop_gaussian(stack.words, stack.head, mu, logvar, table, UNDER_COMPONENT) for _ in drawn]
        assert popped == drawn[::-1]
    assert stack.is_at_start()


def test_a_cell_that_the_posterior_never_draws_is_a_fault_of_the_message():
    stack = Stack(0)
    stack.make_room(0, 9)
    push_gaussian(stack.words, stack.head, 0, 3.0, -20.0, cells.cells())
    assert stack.head[LOWEST] == FAILED


def test_the_cell_is_found_wherever_the_number_points():
    """At both ends of the posterior's numbers, and for a posterior within one cell and one as wide as all."""
    table = cells.cells()
    for logvar in (-40.0, -3.0, 10.0):
        for u in (0, 1, 2**POSTERIOR_BITS // 2, 2**POSTERIOR_BITS - 1):
            stack = Stack(0)
            stack.make_room(0, 9)
            push(stack.words, stack.head, u, 1, POSTERIOR_BITS)
            cell = pop_gaussian(stack.words, stack.head, 0.7, logvar, table)
            push_gaussian(stack.words, stack.head, cell, 0.7, logvar, table)
            pop(stack.words, stack.head, u, 1, POSTERIOR_BITS)
            assert stack.is_at_start()
