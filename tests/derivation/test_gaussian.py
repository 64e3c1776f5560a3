"""The Gaussian layer: gradients at any shape; densities, samples and divergences against SciPy and Monte Carlo."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from tinyvae.checks import finite_differences
from tinyvae.checks.random_problems import densities
from tinyvae.derivation import gaussian

rows = samples = units = st.integers(1, 5)
seeds = st.integers(0, 2**32 - 1)


@pytest.mark.parametrize(
    "problem",
    [
        densities.sample,
        densities.log_posterior,
        densities.log_posterior_two_ways,
        densities.layer,
        densities.log_density,
        densities.log_densities,
        densities.log_standard_normal,
    ],
)
@given(rows, samples, units, seeds)
def test_gradients(problem, R, S, D, seed):
    errors = finite_differences.check(problem(np.random.default_rng(seed), R, S, D))
    assert max(errors.values()) < finite_differences.TOLERANCE, errors


@pytest.mark.parametrize("problem", [densities.kl, densities.split])
@given(rows, units, seeds)
def test_gradients_without_samples(problem, R, D, seed):
    errors = finite_differences.check(problem(np.random.default_rng(seed), R, D))
    assert max(errors.values()) < finite_differences.TOLERANCE, errors


def test_samples_have_the_mean_and_the_variance_of_q():
    """The oracle for sigma = exp(logvar / 2), which no gradient check can give."""
    mu, logvar = np.array([[1.0, -2.0]]), np.log([[0.25, 9.0]])
    n = 400_000
    z, _ = gaussian.sample(mu, logvar, np.random.default_rng(0).standard_normal((1, n, 2)))
    four_errors = 4 * np.sqrt(np.exp(logvar[0]) / n)
    assert np.all(np.abs(z[0].mean(axis=0) - mu[0]) < four_errors)
    assert np.all(np.abs(z[0].var(axis=0) / np.exp(logvar[0]) - 1) < 4 * np.sqrt(2 / n))


@given(rows, samples, units, seeds)
def test_log_posterior_is_scipy_s_density_of_the_sample(R, S, D, seed):
    rng = np.random.default_rng(seed)
    mu, logvar, eps = rng.standard_normal((R, D)), rng.standard_normal((R, D)), rng.standard_normal((R, S, D))
    z, _ = gaussian.sample(mu, logvar, eps)
    expected = stats.norm.logpdf(z, mu[:, None], np.exp(logvar / 2)[:, None]).sum(axis=2)
    np.testing.assert_allclose(gaussian.log_posterior(logvar, eps), expected, rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(gaussian.log_density(z, mu, logvar)[0], expected, rtol=1e-10, atol=1e-10)


@given(rows, samples, units, seeds)
def test_log_densities_are_scipy_s(R, M, D, seed):
    rng = np.random.default_rng(seed)
    z, mu, logvar = rng.standard_normal((R, D)), rng.standard_normal((M, D)), rng.standard_normal((M, D))
    expected = stats.norm.logpdf(z[:, None], mu, np.exp(logvar / 2)).sum(axis=2)
    np.testing.assert_allclose(gaussian.log_densities(z, mu, logvar)[0], expected, rtol=1e-10, atol=1e-10)


@given(rows, samples, units, seeds)
def test_log_standard_normal_is_scipy_s(R, S, D, seed):
    z = np.random.default_rng(seed).standard_normal((R, S, D))
    np.testing.assert_allclose(gaussian.log_standard_normal(z)[0], stats.norm.logpdf(z).sum(axis=2), rtol=1e-12)


def test_kl_of_known_gaussians():
    assert gaussian.kl(np.array([[2.0]]), np.array([[0.0]]))[0].item() == pytest.approx(2)
    assert gaussian.kl(np.array([[0.0]]), np.array([[0.0]]))[0].item() == 0
    assert gaussian.kl(np.array([[0.0]]), np.log([[4.0]]))[0].item() == pytest.approx(1.5 - np.log(2))


@given(units, seeds)
def test_kl_is_the_mean_of_log_q_minus_log_p(D, seed):
    rng = np.random.default_rng(seed)
    mu, logvar = rng.standard_normal((1, D)), rng.standard_normal((1, D))
    eps = rng.standard_normal((1, 20_000, D))
    z, _ = gaussian.sample(mu, logvar, eps)
    differences = gaussian.log_posterior(logvar, eps) - gaussian.log_standard_normal(z)[0]
    error = differences.std() / np.sqrt(differences.size)
    assert abs(gaussian.kl(mu, logvar)[0].sum() - differences.mean()) < 5 * error  # five standard errors


def test_the_score_has_expectation_zero():
    """Why an estimator may leave the direct way out: E[d log q / d(mu, logvar)] = 0 at fixed z."""
    n = 200_000
    eps = np.random.default_rng(0).standard_normal((1, n, 3))
    _, cache = gaussian.sample(np.ones((1, 3)), np.zeros((1, 3)), eps)
    weights = np.full((1, n), 1 / n)
    dmu, dlogvar = gaussian.log_posterior_backward(np.zeros((1, n)), cache, ddirect=weights)
    assert np.all(np.abs(dmu) < 4 / np.sqrt(n)) and np.all(np.abs(dlogvar) < 4 * np.sqrt(0.5 / n))


def test_split_gives_contiguous_halves():
    mu, logvar = gaussian.split(np.arange(8.0).reshape(2, 4))
    np.testing.assert_array_equal(mu, [[0, 1], [4, 5]])
    np.testing.assert_array_equal(logvar, [[2, 3], [6, 7]])
    assert mu.flags.c_contiguous and logvar.flags.c_contiguous


def test_shapes_that_do_not_fit_are_refused():
    """A kernel would read what is not there."""
    mu, z, dz, few = np.zeros((3, 4)), np.zeros((3, 2, 4)), np.zeros((3, 2)), np.zeros((2, 4))
    _, sample_cache = gaussian.sample(mu, mu, z)
    _, density_cache = gaussian.log_density(z, mu, mu)
    _, densities_cache = gaussian.log_densities(few, mu, mu)
    _, normal_cache = gaussian.log_standard_normal(z)
    _, kl_cache = gaussian.kl(mu, mu)
    calls = [
        lambda: gaussian.sample(few, mu, z),
        lambda: gaussian.sample(mu, few, z),
        lambda: gaussian.sample(mu, mu, z[:, 0]),
        lambda: gaussian.sample_backward(z[:2], sample_cache),
        lambda: gaussian.log_posterior(few, z),
        lambda: gaussian.log_posterior_backward(dz[:2], sample_cache),
        lambda: gaussian.log_posterior_backward(dz, sample_cache, dz[:, :1]),
        lambda: gaussian.log_posterior_backward(dz, sample_cache, out=(few, few)),
        lambda: gaussian.split(np.zeros((3, 5))),
        lambda: gaussian.split(np.zeros(4)),
        lambda: gaussian.layer(np.zeros((3, 6)), z),
        lambda: gaussian.log_density(z, few, mu),
        lambda: gaussian.log_density(z[:2], mu, mu),
        lambda: gaussian.log_density_backward(dz[:, :1], density_cache),
        lambda: gaussian.log_densities(mu, few, mu),
        lambda: gaussian.log_densities(mu[:, :3], mu, mu),
        lambda: gaussian.log_densities(z, mu, mu),
        lambda: gaussian.log_densities_backward(dz, densities_cache),
        lambda: gaussian.log_standard_normal(mu),
        lambda: gaussian.log_standard_normal_backward(dz[:2], normal_cache),
        lambda: gaussian.kl(mu, few),
        lambda: gaussian.kl(mu[0], mu[0]),
        lambda: gaussian.kl_backward(np.zeros(3), kl_cache),
        lambda: gaussian.kl_backward(np.zeros((1, 4)), kl_cache),
    ]
    for call in calls:
        with pytest.raises(ValueError, match="are needed, not"):
            call()
