"""Likelihoods: gradients at any shape, values against SciPy, extremes that stay finite."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import special, stats

from tinyvae.checks import finite_differences
from tinyvae.checks.random_problems import densities
from tinyvae.derivation import likelihoods
from tinyvae.settings import LIKELIHOODS

counts = st.integers(1, 5)
seeds = st.integers(0, 2**32 - 1)


@given(counts, counts, counts, seeds)
def test_bernoulli_gradients(N, K, D, seed):
    errors = finite_differences.check(densities.bernoulli(np.random.default_rng(seed), N, K, D))
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
    logp, (residual,) = likelihoods.bernoulli(np.full((1, 784), 0.3, dtype), np.zeros((1, 784), dtype))
    assert logp.item() == pytest.approx(-784 * np.log(2), rel=1e-6)
    np.testing.assert_allclose(residual, -0.2, rtol=1e-6)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_logits_of_a_thousand_stay_finite(dtype):
    x, logits = np.array([[0.0, 1.0, 0.0, 1.0]], dtype), np.array([[-1000, 1000, 1000, -1000]], dtype)
    logp, (residual,) = likelihoods.bernoulli(x, logits)
    assert logp.item() == pytest.approx(-2000)
    np.testing.assert_allclose(residual, [[0, 0, -1, 1]], atol=1e-30)


def test_results_go_where_they_are_asked_to_and_inputs_stay():
    rng = np.random.default_rng(0)
    x, logits = rng.random((2, 3)), rng.standard_normal((4, 3))
    kept = logits.copy()
    logp, (residual,) = likelihoods.bernoulli(x, logits)
    np.testing.assert_array_equal(logits, kept)
    logp_again, (same,) = likelihoods.bernoulli(x, logits, out=logits)
    assert same is logits
    np.testing.assert_array_equal(same, residual)
    np.testing.assert_array_equal(logp_again, logp)


def test_the_bias_gives_the_mean_of_the_data():
    mean = np.array([0.0, 0.2, 0.5, 1.0])
    bias = LIKELIHOODS["bernoulli"].bias(mean)
    np.testing.assert_allclose(likelihoods.bernoulli_mean(bias[None])[0], [0.001, 0.2, 0.5, 0.999])


def test_the_mean_and_the_bias_of_a_gaussian():
    """By SciPy: the first half of the outputs is the mean, through a sigmoid or plain; the variance begins at 1."""
    outputs, mean = np.random.default_rng(0).standard_normal((4, 6)), np.array([0.2, 0.5, 0.9])
    squashed, plain = LIKELIHOODS["gaussian"], LIKELIHOODS["gaussian-linear"]
    np.testing.assert_allclose(squashed.mean(outputs), special.expit(outputs[:, :3]))
    np.testing.assert_array_equal(plain.mean(outputs), outputs[:, :3])
    np.testing.assert_allclose(squashed.bias(mean), [*special.logit(mean), 0, 0, 0])
    np.testing.assert_array_equal(plain.bias(mean), [*mean, 0, 0, 0])


@pytest.mark.parametrize("name", LIKELIHOODS)
@given(counts, counts, counts, seeds)
def test_gradients_of_every_likelihood(name, N, K, D, seed):
    if LIKELIHOODS[name].outputs_per_dimension > 3:  # a hundred thousand evaluations for the largest shapes
        N, K, D = (min(count, 3) for count in (N, K, D))
    errors = finite_differences.check(densities.likelihood(np.random.default_rng(seed), N, K, D, name))
    assert max(errors.values()) < finite_differences.TOLERANCE, errors


@pytest.mark.parametrize("name", LIKELIHOODS)
def test_a_cache_serves_twice_and_rows_that_do_not_fit_are_refused(name):
    likelihood = LIKELIHOODS[name]
    rng = np.random.default_rng(1)
    x, outputs = rng.random((4, 3)), rng.standard_normal((8, 3 * likelihood.outputs_per_dimension))
    logp, cache = likelihood.log_prob(x, outputs)
    first, second = (likelihood.log_prob_backward(np.ones_like(logp), cache) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    for wrong in ((x, outputs[:7]), (x[:, :2], outputs), (x, outputs[:, :2]), (x[:3], outputs)):
        with pytest.raises(ValueError, match="are needed, not"):
            likelihood.log_prob(*wrong)
    for wrong in (np.ones((4, 1)), np.ones(8)):
        with pytest.raises(ValueError, match="are needed, not"):
            likelihood.log_prob_backward(wrong, cache)


def test_no_variance_is_less_than_that_of_rounding_to_a_grey_level():
    rounding = stats.uniform(-1 / 510, 1 / 255).var()
    assert np.exp(likelihoods.LOGVAR_FLOOR) == pytest.approx(rounding, rel=1e-12)
    logp, _ = likelihoods.gaussian(np.array([[0.5]]), np.array([[0.0, -100.0]]))
    assert logp.item() == pytest.approx(stats.norm.logpdf(0, 0, np.sqrt(rounding)))


def test_the_gaussian_says_how_many_variances_are_at_their_floor():
    outputs = np.zeros((2, 8))
    assert LIKELIHOODS["gaussian"].remark(outputs) == "" == LIKELIHOODS["bernoulli"].remark(outputs)
    outputs[0, 4] = -100
    assert LIKELIHOODS["gaussian-linear"].remark(outputs) == "12.5 % of the decoder's variances are at their floor"
