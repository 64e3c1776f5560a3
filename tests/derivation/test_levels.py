"""Likelihoods of 256 levels: probabilities that sum to 1, SciPy's values, extremes that stay finite, gradients."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special

from tests import oracles
from tinyvae.checks import finite_differences
from tinyvae.derivation import levels
from tinyvae.settings import LIKELIHOODS

counts = st.integers(1, 4)
seeds = st.integers(0, 2**32 - 1)
components = st.sampled_from([1, 2, 5])
ALL = np.arange(256) / 255


def random_outputs(rng, rows, C, D, log_scale=-2.0):
    """Logits of order one, means in and around the range, log scales around one."""
    a, m = rng.standard_normal((rows, C, D)), 0.5 + 0.5 * rng.standard_normal((rows, C, D))
    t = log_scale + rng.standard_normal((rows, C, D))
    return np.concatenate([a, m, t] if C > 1 else [m, t], axis=1).reshape(rows, -1)


def log_probabilities(outputs, C):
    """Of all 256 levels under the outputs (M,) for one entry."""
    return levels.logistic(ALL[:, None], np.tile(outputs, (256, 1)), components=C)[0][:, 0]


@given(components, st.floats(-20, 20), st.floats(-3, 4), seeds)
def test_the_probabilities_of_all_levels_sum_to_one(C, log_scale, mean, seed):
    """Also where the scale is a billionth of a level, or the mean lies far outside of the range."""
    outputs = random_outputs(np.random.default_rng(seed), 1, C, 1, log_scale)[0]
    outputs[-2 * C : -C] += mean
    assert abs(np.exp(log_probabilities(outputs, C)).sum() - 1) < 1e-12


@given(counts, counts, counts, components, seeds)
def test_it_is_a_difference_of_scipy_s_distribution_functions(N, K, D, C, seed):
    rng = np.random.default_rng(seed)
    x, outputs = rng.integers(0, 256, (N, D)) / 255, random_outputs(rng, N * K, C, D)
    logp, _ = levels.logistic(x, outputs, components=C)
    expected = oracles.log_levels(np.repeat(x, K, axis=0), outputs, C).reshape(N, K)
    np.testing.assert_allclose(logp, expected, rtol=1e-9, atol=1e-9)


def test_it_is_right_where_the_difference_of_two_sigmoids_is_lost():
    """At 40 scales from the mean both sigmoids are 1 to all digits; P = e^-40 (1 - e^-delta), up to a term in e^-80."""
    s = 1 / 255 / 8
    x = np.array([[0.5 * 255 // 1 / 255]])
    mean = x[0, 0] - 1 / 510 - 40 * s
    assert special.expit((x + 1 / 510 - mean) / s) == special.expit((x - 1 / 510 - mean) / s) == 1
    for m in (mean, 2 * x[0, 0] - mean):  # as far above
        logp, _ = levels.logistic(x, np.array([[m, math.log(s)]]))
        assert logp.item() == pytest.approx(-40 + math.log1p(-math.exp(-8)), rel=1e-12)


@pytest.mark.parametrize("C", [1, 5])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_nothing_extreme_is_not_a_number(dtype, C):
    x = np.array([[0, 0, 1, 1, 0.5 * 255 // 1 / 255]], dtype)
    for t in (-1e6, -87, -20, 20, 1e6):
        for m in (-1e4, 0, x[0, 4], 1, 1e4):
            outputs = np.concatenate(
                [np.zeros((1, 5 * C * (C > 1))), np.full((1, 5 * C), m), np.full((1, 5 * C), t)], 1
            )
            logp, (derivative,) = levels.logistic(x, outputs.astype(dtype), components=C)
            assert np.isfinite(logp).all() and np.isfinite(derivative).all() and logp.item() <= 1e-5, (t, m)
            mean = levels.logistic_mean(outputs.astype(dtype), C)
            assert (mean >= 0).all() and (mean <= 1 + 1e-6).all(), (t, m)


@pytest.mark.parametrize("name", ["logistic", "logistic-mixture"])
def test_the_mean_is_that_of_the_probabilities(name):
    likelihood, C = LIKELIHOODS[name], 1 if name == "logistic" else levels.COMPONENTS
    outputs = random_outputs(np.random.default_rng(0), 3, C, 2)
    mean = likelihood.mean(outputs)
    for r in range(3):
        for d in range(2):
            p = np.exp(log_probabilities(outputs[r].reshape(-1, 2)[:, d], C))
            assert mean[r, d] == pytest.approx(p @ ALL, abs=1e-10)


@pytest.mark.parametrize("name", ["logistic", "logistic-mixture", "logistic-colour"])
def test_the_bias_starts_from_the_mean_of_the_data(name):
    likelihood, mean = LIKELIHOODS[name], np.array([0.3, 0.5, 0.6])
    bias = likelihood.bias(mean)
    assert bias.shape == (3 * likelihood.outputs_per_dimension,)
    np.testing.assert_allclose(likelihood.mean(bias[None])[0], mean, atol=0.1)


def test_components_start_apart_around_the_mean_of_the_data():
    """Components that are alike have the same gradients, and stay alike."""
    mean = np.array([0.3, 0.5, 0.6])
    logits, means, log_scales = levels.logistic_bias(mean, 5).reshape(3, 5, 3)
    assert all(len(np.unique(column)) == 5 for column in means.T)
    np.testing.assert_allclose(means.mean(axis=0), mean)
    assert len(np.unique(logits)) == len(np.unique(log_scales)) == 1


def test_components_that_are_alike_are_one():
    rng = np.random.default_rng(1)
    x, one = rng.integers(0, 256, (4, 3)) / 255, random_outputs(rng, 8, 1, 3).reshape(8, 2, 1, 3)
    many = np.concatenate([rng.standard_normal((8, 1, 5, 3)), np.repeat(one, 5, axis=2)], axis=1)
    logp, _ = levels.logistic(x, one.reshape(8, -1))
    np.testing.assert_allclose(levels.logistic(x, many.reshape(8, -1), components=5)[0], logp, rtol=1e-12)


def random_colours(rng, N, K, P, C, log_scale=-2.0):
    """Data (N, 3 P) with ends, and outputs (N K, (M + 1) 3 P) with coefficients of order one."""
    x = rng.choice([0, 1 / 255, 100 / 255, 254 / 255, 1], (N, 3 * P))
    coefficients = rng.standard_normal((N * K, 3 * P))
    return x, np.concatenate([random_outputs(rng, N * K, C, 3 * P, log_scale), coefficients], axis=1)


@given(counts, counts, counts, components, seeds)
def test_colours_are_scipy_s_in_three_steps(N, K, P, C, seed):
    x, outputs = random_colours(np.random.default_rng(seed), N, K, P, C)
    logp, _ = levels.logistic_colour(x, outputs, components=C)
    expected = oracles.log_colours(np.repeat(x, K, axis=0), outputs, C).reshape(N, K)
    np.testing.assert_allclose(logp, expected, rtol=1e-9, atol=1e-9)


@settings(max_examples=30)  # of 65,536 colours each
@given(st.sampled_from([1, 5]), st.floats(-8, 2), seeds)
def test_the_probabilities_of_all_greens_and_blues_sum_to_that_of_red(C, log_scale, seed):
    rng = np.random.default_rng(seed)
    _, outputs = random_colours(rng, 1, 1, 1, C, log_scale)
    red = rng.integers(256) / 255
    of_red = levels.logistic(np.array([[red]]), outputs.reshape(-1, 3)[:-1, :1].reshape(1, -1), components=C)[0]
    total = 0.0
    for green in ALL:
        x = np.column_stack([np.full(256, red), np.full(256, green), ALL])
        total += np.exp(levels.logistic_colour(x, np.tile(outputs, (256, 1)), components=C)[0]).sum()
    assert total == pytest.approx(np.exp(of_red.item()), rel=1e-10, abs=1e-300)


@given(counts, components, seeds)
def test_colours_without_coefficients_are_channels_alone(P, C, seed):
    x, outputs = random_colours(np.random.default_rng(seed), 2, 3, P, C)
    outputs[:, -3 * P :] = 0
    alone, _ = levels.logistic(x, outputs[:, : -3 * P], components=C)
    np.testing.assert_array_equal(levels.logistic_colour(x, outputs, components=C)[0], alone)
    np.testing.assert_allclose(
        levels.logistic_colour_mean(outputs, C), levels.logistic_mean(outputs[:, : -3 * P], C), rtol=1e-13
    )


def test_the_mean_of_colours_is_that_of_the_probabilities_but_for_what_the_ends_bend():
    """Of scales small against the distance to the ends: a channel's mean is then linear in those before it."""
    m, coefficients = np.array([0.3, 0.2, 0.1]), np.array([0.5, -0.2, 0.8])
    outputs = np.concatenate([m, np.full(3, -4.0), coefficients])[None]
    rng = np.random.default_rng(0)
    draws = np.empty((100_000, 3))
    for c, moved in enumerate((lambda d: 0, lambda d: 0.5 * d[:, 0], lambda d: -0.2 * d[:, 0] + 0.8 * d[:, 1])):
        values = rng.logistic(m[c] + moved(draws), np.exp(-4.0), len(draws))
        draws[:, c] = np.rint(255 * np.clip(values, 0, 1)) / 255
    errors = draws.std(axis=0) / np.sqrt(len(draws))
    assert np.all(np.abs(levels.logistic_colour_mean(outputs)[0] - draws.mean(axis=0)) < 5 * errors)  # five errors


def test_what_has_no_three_channels_is_refused():
    with pytest.raises(ValueError, match=r"x \(N, 3 P\) are needed, not"):
        levels.logistic_colour(np.zeros((1, 4)), np.zeros((1, 12)))


@pytest.mark.parametrize("C", [1, 5])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_no_extreme_colour_is_not_a_number(dtype, C):
    x = np.array([[0, 1, 1, 1, 0.5 * 255 // 1 / 255, 0]], dtype)
    for t, a in itertools.product((-20, 20), (-1e3, 0, 1e3)):
        parts = [np.zeros(6 * C)] * (C > 1) + [np.full(6 * C, 0.5), np.full(6 * C, t), np.full(6, a)]
        outputs = np.concatenate(parts)[None].astype(dtype)
        logp, (derivative,) = levels.logistic_colour(x, outputs, components=C)
        assert np.isfinite(logp).all() and np.isfinite(derivative).all() and logp.item() <= 1e-5, (t, a)


@settings(max_examples=50)
@given(counts, counts, counts, components, seeds)
def test_gradients_of_colours(N, K, P, C, seed):
    rng = np.random.default_rng(seed)
    x, outputs = random_colours(rng, N, K, P, C, rng.choice([-3, 0]))
    problem = finite_differences.Problem(
        "levels.logistic_colour",
        {"outputs": outputs},
        lambda outputs: levels.logistic_colour(x, outputs, components=C),
        lambda dlogp, cache: {"outputs": levels.logistic_backward(dlogp, cache)},
    )
    assert max(finite_differences.check(problem).values()) < finite_differences.TOLERANCE


@given(counts, counts, counts, components, seeds)
def test_gradients(N, K, D, C, seed):
    rng = np.random.default_rng(seed)
    x = rng.choice([0, 1 / 255, 100 / 255, 254 / 255, 1], (N, D))
    problem = finite_differences.Problem(
        "levels.logistic",
        {"outputs": random_outputs(rng, N * K, C, D, rng.choice([-6, -3, 0]))},
        lambda outputs: levels.logistic(x, outputs, components=C),
        lambda dlogp, cache: {"outputs": levels.logistic_backward(dlogp, cache)},
    )
    assert max(finite_differences.check(problem).values()) < finite_differences.TOLERANCE
