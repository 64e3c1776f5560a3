"""Priors: gradients at any shape, samples with the density that is claimed, divergences against Monte Carlo."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from tinyvae.checks import finite_differences
from tinyvae.checks.random_problems import densities
from tinyvae.derivation import gaussian, priors
from tinyvae.derivation.networks import MLP
from tinyvae.derivation.parameters import Parameters
from tinyvae.settings import PRIORS

counts = st.integers(1, 4)
seeds = st.integers(0, 2**32 - 1)


@pytest.mark.parametrize("name", PRIORS)
@given(counts, counts, counts, seeds)
def test_gradients(name, N, K, D, seed):
    errors = finite_differences.check(densities.prior(np.random.default_rng(seed), N, K, D, name))
    assert max(errors.values()) < finite_differences.TOLERANCE, errors


@pytest.mark.parametrize("name", [name for name in PRIORS if PRIORS[name].has_kl])
@given(counts, counts, seeds)
def test_gradients_of_the_divergence(name, N, D, seed):
    errors = finite_differences.check(densities.prior(np.random.default_rng(seed), N, 1, D, name, "kl"))
    assert max(errors.values()) < finite_differences.TOLERANCE, errors


@given(counts, counts, counts, counts, seeds)
def test_gradients_of_the_mixture(N, K, D, M, seed):
    errors = finite_differences.check(densities.log_mixture(np.random.default_rng(seed), N, K, D, M))
    assert max(errors.values()) < finite_differences.TOLERANCE, errors


def random_prior(name, D=2, C=3, M=4, seed=0):
    """A prior with random parameters, and those."""
    encoder = MLP((5,), 0, (6,), (2 * D,))
    prior = PRIORS[name](D, C if PRIORS[name].needs_labels else 0, M, encoder, "encoder")
    shared = {f"encoder.{key}": shape for key, shape in encoder.shapes().items()} if prior.uses_encoder else {}
    params = Parameters(prior.shapes() | shared, dtype=np.float64)
    params.flat[:] = 0.8 * np.random.default_rng(seed).standard_normal(params.flat.size)
    return prior, params


@pytest.mark.parametrize("name", PRIORS)
def test_samples_have_the_density_that_is_claimed(name):
    """E_p[f] by samples, and by importance weights on a wide normal, for some f: within five standard errors."""
    n = 200_000
    rng = np.random.default_rng(1)
    prior, params = random_prior(name)
    y = np.full(n, 2)
    samples = prior.sample(params, rng.standard_normal((n, 2)), rng.random(n), y)
    wide = 3 * rng.standard_normal((n, 2))
    w = np.exp(prior.log_prob(params, wide[:, None], y)[0][:, 0] - stats.norm.logpdf(wide, 0, 3).sum(axis=1))
    assert abs(w.mean() - 1) < 5 * w.std() / np.sqrt(n)  # the density integrates to 1
    for f in (lambda z: z[:, 0], lambda z: z[:, 1] ** 2, lambda z: z[:, 0] * z[:, 1], lambda z: np.cos(2 * z[:, 0])):
        by_samples, by_weights = f(samples), w * f(wide)
        error = np.sqrt((by_samples.var() + by_weights.var()) / n)
        assert abs(by_samples.mean() - by_weights.mean()) < 5 * error


@pytest.mark.parametrize("name", [name for name in PRIORS if PRIORS[name].has_kl])
def test_the_divergence_is_the_mean_of_log_q_minus_log_p(name):
    rng = np.random.default_rng(2)
    prior, params = random_prior(name)
    mu, logvar, y = rng.standard_normal((3, 2)), rng.standard_normal((3, 2)), np.array([0, 2, 1])
    eps = rng.standard_normal((3, 100_000, 2))
    z, _ = gaussian.sample(mu, logvar, eps)
    difference = gaussian.log_posterior(logvar, eps) - prior.log_prob(params, z, y)[0]
    error = difference.std(axis=1) / np.sqrt(100_000)
    assert np.all(np.abs(prior.kl(params, mu, logvar, y)[0].sum(axis=1) - difference.mean(axis=1)) < 5 * error)


def test_a_mixture_of_one_is_its_component():
    z, mu, logvar = np.random.default_rng(3).standard_normal((3, 2, 4))
    logp, _ = priors.log_mixture(z[:, None], np.zeros(1), mu[:1], logvar[:1])
    expected = stats.norm.logpdf(z, mu[0], np.exp(logvar[0] / 2)).sum(axis=1)
    np.testing.assert_allclose(logp[:, 0], expected)


def test_a_mixture_far_away_stays_finite():
    logp, cache = priors.log_mixture(np.full((1, 1, 2), 1e3), np.array([0.0, -50]), np.zeros((2, 2)), np.zeros((2, 2)))
    assert np.isfinite(logp).all()
    assert all(np.isfinite(array).all() for array in priors.log_mixture_backward(np.ones((1, 1)), cache))


@pytest.mark.parametrize(("dtype", "apart"), [(np.float32, 120), (np.float64, 800)])
def test_a_component_counts_however_small_its_weight(dtype, apart):
    """exp(-120) is no float32: by the logarithm of the weight itself the second component was once of none."""
    logits, z = np.array([0, -apart], dtype), np.full((1, 1, 1), 200, dtype)
    logp, cache = priors.log_mixture(z, logits, np.array([[0], [200]], dtype), np.zeros((2, 1), dtype))
    np.testing.assert_allclose(logp, [[-apart + stats.norm.logpdf(0)]], rtol=1e-6)
    np.testing.assert_array_equal(cache.responsibilities, [[0, 1]])


def test_as_many_logits_as_components():
    for logits in (np.zeros(1), np.zeros((1, 3))):
        with pytest.raises(ValueError, match="are needed, not"):
            priors.log_mixture(np.zeros((2, 3, 2)), logits, np.zeros((3, 2)), np.zeros((3, 2)))


def test_no_component_without_weight_is_drawn():
    prior, params = random_prior("mixture", M=2)
    params["prior.logits"][:] = -1e4, 0
    z = prior.sample(params, np.zeros((3, 2)), np.array([0, 0.5, np.nextafter(1, 0)]))
    np.testing.assert_array_equal(z, np.tile(params["prior.mu"][1], (3, 1)))


@pytest.mark.parametrize("name", PRIORS)
def test_every_prior_starts_near_the_standard_normal(name):
    """Where the encoder says so, for the one that asks it: means below 1, deviations between a half and 2."""
    prior, params = random_prior(name)
    params.flat[:] = 0
    rng = np.random.default_rng(4)
    prior.initialise(params, rng.standard_normal, np.full(5, 0.3))
    n = 20_000
    z = prior.sample(params, rng.standard_normal((n, 2)), rng.random(n), rng.integers(0, 3, n))
    assert np.abs(z.mean(axis=0)).max() < 1 and 0.5 < z.std(axis=0).min() <= z.std(axis=0).max() < 2


@pytest.mark.parametrize("name", ["label", "mixture"])
def test_components_start_with_unit_variances_and_differ(name):
    prior, params = random_prior(name)
    prior.initialise(params, np.random.default_rng(4).standard_normal, np.full(5, 0.3))
    assert len(np.unique(params["prior.mu"][:, 0])) == len(params["prior.mu"])
    np.testing.assert_array_equal(params["prior.logvar"], 0)


def test_pseudo_inputs_start_around_the_mean_input_and_differ():
    """Equal ones would have equal gradients for ever. Mean and spread: within four standard errors."""
    prior, params = random_prior("vamp", M=500)
    prior.initialise(params, np.random.default_rng(4).standard_normal, np.full(5, 0.3))
    inputs = params["prior.inputs"]
    assert len(np.unique(inputs, axis=0)) == 500
    assert inputs.mean() == pytest.approx(0.3, abs=4 * 0.1 / np.sqrt(inputs.size))
    assert inputs.std() == pytest.approx(0.1, abs=4 * 0.1 / np.sqrt(2 * inputs.size))


@pytest.mark.parametrize("part", ["log_prob", "kl"])
def test_labels_that_do_not_fit_are_refused(part):
    """Half of them once had the kernel read memory behind the array."""
    prior, params = random_prior("label")
    latent = [np.zeros((4, 3, 2))] if part == "log_prob" else [np.zeros((4, 2))] * 2
    for y in (None, np.array([0, 1]), np.array([0, 1, 2, 3]), np.array([0, 1, 2, -1]), np.zeros(4)):
        with pytest.raises(ValueError, match=r"labels|needs y"):
            getattr(prior, part)(params, *latent, y)
    with pytest.raises(ValueError, match="labels"):
        prior.sample(params, np.zeros((4, 2)), np.zeros(4), np.array([0, 1]))


def test_a_vamp_prior_without_an_encoder_is_refused():
    with pytest.raises(ValueError, match="needs the encoder"):
        PRIORS["vamp"](2, n_components=3).shapes()
