"""Likelihoods: gradients at any shape, values against SciPy, extremes that stay finite."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from tinyvae.checks import finite_differences, random_problems
from tinyvae.derivation import likelihoods

counts = st.integers(1, 5)
seeds = st.integers(0, 2**32 - 1)


@given(counts, counts, counts, seeds)
def test_bernoulli_gradients(N, K, D, seed):
    errors = finite_differences.check(random_problems.bernoulli(np.random.default_rng(seed), N, K, D))
    assert max(errors.values()) < finite_differences.TOLERANCE, errors


@given(counts, counts, counts, seeds)
def test_bernoulli_is_scipy_s_probability_in_the_rows_of_the_right_example(N, K, D, seed):
    rng = np.random.default_rng(seed)
    x, logits = rng.integers(0, 2, (N, D)), 3 * rng.standard_normal((N * K, D))
    logp, _ = likelihoods.bernoulli(x.astype(float), logits)
    p = likelihoods.bernoulli_mean(logits)
    for n in range(N):
        for k in range(K):
            assert logp[n, k] == pytest.approx(stats.bernoulli.logpmf(x[n], p[n * K + k]).sum(), rel=1e-9)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_zero_network_scores_exactly_d_log_2(dtype):
    logp, residual = likelihoods.bernoulli(np.full((1, 784), 0.3, dtype), np.zeros((1, 784), dtype))
    assert logp.item() == pytest.approx(-784 * np.log(2), rel=1e-6)
    np.testing.assert_allclose(residual, -0.2, rtol=1e-6)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_logits_of_a_thousand_stay_finite(dtype):
    x, logits = np.array([[0.0, 1.0, 0.0, 1.0]], dtype), np.array([[-1000, 1000, 1000, -1000]], dtype)
    logp, residual = likelihoods.bernoulli(x, logits)
    assert logp.item() == pytest.approx(-2000)
    np.testing.assert_allclose(residual, [[0, 0, -1, 1]], atol=1e-30)


def test_results_go_where_they_are_asked_to_and_inputs_stay():
    rng = np.random.default_rng(0)
    x, logits = rng.random((2, 3)), rng.standard_normal((4, 3))
    kept = logits.copy()
    logp, residual = likelihoods.bernoulli(x, logits)
    np.testing.assert_array_equal(logits, kept)
    logp_again, same = likelihoods.bernoulli(x, logits, out=logits)
    assert same is logits
    np.testing.assert_array_equal(same, residual)
    np.testing.assert_array_equal(logp_again, logp)


def test_the_bias_gives_the_mean_of_the_data():
    mean = np.array([0.0, 0.2, 0.5, 1.0])
    bias = likelihoods.LIKELIHOODS["bernoulli"].bias(mean)
    np.testing.assert_allclose(likelihoods.bernoulli_mean(bias[None])[0], [0.001, 0.2, 0.5, 0.999])
