"""Annealed importance sampling: log p(x) of linear-Gaussian models, where it is known; what a step leaves as it is."""

import math

import numpy as np
import pytest
from scipy import stats

from tinyvae.derivation import annealing
from tinyvae.derivation.model import Model
from tinyvae.derivation.parameters import Parameters
from tinyvae.training import annealing as training
from tinyvae.training.importance_sampling import log_likelihood

D = 9


def linear_gaussian(latent, seed=0, **options):
    """A model that is linear and Gaussian throughout, and the mean and covariance of its x: those of N(b, W Wᵀ + s²)
    with one layer, and by the same rule applied twice with two.

    Its encoder is as poor as can be: the same narrow posterior for every x.
    """
    model = Model((D,), latent, ((),) * len(latent), "gaussian-linear", **options)
    rng = np.random.default_rng(seed)
    params = Parameters(model.shapes(), dtype=np.float64)
    for name in params.shapes:
        params[name][:] = rng.standard_normal(params.shapes[name]) * (not name.startswith("encoder"))
    for name, units in zip(("encoder.0.b", "encoder2.0.b"), latent):
        params[name][units:] = -6.0  # log variances
    mean, covariance = np.zeros(latent[-1]), np.eye(latent[-1])
    for name, units in reversed(list(zip(("decoder", "decoder2"), (D, *latent)))[: len(latent)]):
        W, b = params[f"{name}.0.W"], params[f"{name}.0.b"]
        W[:, units:], b[units:] = 0, math.log(0.3)  # the log variances
        mean, covariance = mean @ W[:, :units] + b[:units], W[:, :units].T @ covariance @ W[:, :units]
        covariance = covariance + 0.3 * np.eye(units)
    return model, params, stats.multivariate_normal(mean, covariance)


@pytest.mark.parametrize("latent", [(3,), (4, 2)])
def test_the_truth_of_a_linear_gaussian_model(latent):
    """Within 0.1 nats over 20 examples, and mostly for each; 1,000 samples of the encoder are far away."""
    model, params, truth = linear_gaussian(latent)
    x = truth.rvs(20, random_state=1)
    estimate = training.log_likelihood(model, params, 0, x, None, steps=1000)
    error = estimate["log_likelihood"] - truth.logpdf(x)
    assert abs(error.mean()) < 0.1 and math.sqrt(np.mean(error**2)) < 0.3, error
    assert (estimate["accepted"] > 0.7).all() and (estimate["accepted"] < 0.9).all()
    assert log_likelihood(model, params, 0, x, None, 1000)["log_likelihood"].mean() < truth.logpdf(x).mean() - 1


@pytest.mark.parametrize("latent", [(2,), (2, 2)])
def test_the_mean_weight_is_the_likelihood_however_few_the_steps(latent):
    """E[w] = p(x): the mean of 20,000 weights, within 4 standard errors, with steps so few that log w is biased."""
    model, params, truth = linear_gaussian(latent)
    x = truth.rvs(1, random_state=2)[None]
    rng, K = np.random.default_rng(3), 20_000
    z = annealing.start(model, params, [rng.standard_normal((K, 1, units)) for units in latent], rng.random(K))

    def drawn(t):
        return [rng.standard_normal((K, units)) for units in latent], rng.random((1, K, 2))

    chains = annealing.anneal(model, params, x, None, 12, z, drawn, np.full((11, 1), 0.2))
    ratio = np.exp(chains.logw[0] - truth.logpdf(x))
    assert abs(ratio.mean() - 1) < 4 * ratio.std() / math.sqrt(K)
    assert chains.logw.mean() < truth.logpdf(x) - 0.1


def normal_density(z):
    """log N(z; m, S), a chain an example, with its derivative."""
    residual = (z[0] - MEAN) @ PRECISION
    return None, -0.5 * (residual * (z[0] - MEAN)).sum(axis=1)[:, None], [-residual]


MEAN, COVARIANCE = np.array([1.0, -2.0]), np.array([[1.0, 0.8], [0.8, 2.0]])
PRECISION = np.linalg.inv(COVARIANCE)


def steps_from_the_density(decision=None):
    """Where 20,000 chains are after 5 steps, that began with samples of the density; and the share accepted.

    ``decision`` stands in the place of the uniform numbers that decide what is accepted.
    """
    rng, R = np.random.default_rng(4), 20_000
    z = [rng.multivariate_normal(MEAN, COVARIANCE, R)]
    for _ in range(5):
        _, logf, dz = normal_density(z)
        v, u = [rng.standard_normal((R, 2))], rng.random((R, 1, 2))
        u[..., 0] = u[..., 0] if decision is None else decision
        z, accepted = annealing.step(z, v, u, np.full(R, 0.9), logf, dz, normal_density)
    return z[0], accepted.mean()


def is_as_before(z):
    """Whether mean and covariance are, within 4 standard errors."""
    R = len(z)
    mean = abs(z.mean(axis=0) - MEAN) < 4 * np.sqrt(np.diag(COVARIANCE) / R)
    squares = COVARIANCE**2 + np.outer(np.diag(COVARIANCE), np.diag(COVARIANCE))
    return mean.all() and (abs(np.cov(z.T) - COVARIANCE) < 4 * np.sqrt(squares / R)).all()


def test_a_step_leaves_a_density_as_it_is():
    """Although its leaps are long and a part of them is refused; with all accepted it does not."""
    z, accepted = steps_from_the_density()
    assert is_as_before(z) and 0.3 < accepted < 0.97
    z, accepted = steps_from_the_density(decision=1 - 2**-53)
    assert not is_as_before(z) and accepted == 1


def test_leaps_can_be_gone_back_and_nearly_keep_the_energy():
    rng = np.random.default_rng(5)
    z, v = [rng.standard_normal((6, 2))], [rng.standard_normal((6, 2))]
    _, logf, dz = normal_density(z)
    errors = []
    for length in (0.1, 0.05):
        lengths = np.full((6, 1), length)
        there, w, logf_there = annealing.leapfrog(z, v, dz, lengths, normal_density)
        back, turned, _ = annealing.leapfrog(there, [-w[0]], normal_density(there)[2], lengths, normal_density)
        np.testing.assert_allclose(back[0], z[0], atol=1e-12)
        np.testing.assert_allclose(-turned[0], v[0], atol=1e-12)
        energy = [0.5 * (a[0] ** 2).sum(axis=1) - b[:, 0] for a, b in ((v, logf), (w, logf_there))]
        errors.append(abs(energy[1] - energy[0]).max())
    assert errors[1] < errors[0] / 2.5 < 0.02  # of second order, over half the time


def test_a_leap_into_the_infinite_is_refused():
    z, v, u = [np.zeros((2, 1))], [np.ones((2, 1))], np.zeros((2, 1, 2))

    def density(z):
        with np.errstate(all="ignore"):
            return None, -(z[0] ** 4) * 1e300, [-4e300 * z[0] ** 3]

    with np.errstate(all="ignore"):
        end, accepted = annealing.step(z, v, u, np.ones(2), np.zeros((2, 1)), [np.zeros((2, 1))], density)
    assert not accepted.any()
    np.testing.assert_array_equal(end[0], z[0])


def test_a_schedule_goes_from_0_to_1():
    for T in (1, 2, 7, 1000):
        b = annealing.schedule(T)
        assert len(b) == T + 1 and b[0] == 0 and b[-1] == 1 and (np.diff(b) > 0).all()
    with pytest.raises(ValueError, match="T=0"):
        annealing.schedule(0)


def test_leaps_grow_where_all_chains_of_an_example_accept_and_shrink_elsewhere():
    """So many scouts balance where all accept as often as not."""
    model, params, truth = linear_gaussian((3,))
    x, rng, K = truth.rvs(5, random_state=1), np.random.default_rng(6), 4
    z = annealing.start(model, params, [rng.standard_normal((5 * K, 1, 3))], rng.random(5 * K))

    def drawn(t):
        return [rng.standard_normal((5 * K, 3))], rng.random((5, K, 2))

    chains = annealing.anneal(model, params, x, None, 60, z, drawn, 0.1)
    grew = chains.lengths[1:] > chains.lengths[:-1]
    np.testing.assert_array_equal(grew, chains.accepted[:-1] == 1)
    assert {0.75, 1.0} <= set(chains.accepted.ravel())  # three of four are not enough
    ratios = chains.lengths[1:] / chains.lengths[:-1]
    np.testing.assert_allclose(np.where(grew, ratios, 1 / ratios), annealing.FASTER)


def test_no_chain_comes_round_to_where_it_began():
    """As all would, in ten leaps of a tenth of a period each, if each series had not a length of its own."""

    def density(z):
        return None, -0.5 * (z[0] ** 2).sum(axis=1).reshape(100, 4), [-z[0]]

    rng = np.random.default_rng(7)
    z, v, u = [rng.standard_normal((400, 1))], [rng.standard_normal((400, 1))], rng.random((100, 4, 2))
    period = np.full(100, 2 * math.sin(math.pi / annealing.LEAPS))
    _, logf, dz = density(z)
    (end,), accepted = annealing.step(z, v, u, period, logf, dz, density)
    assert accepted.mean() > 0.9 and np.abs(end - z[0]).mean() > 0.3
    u[..., 1] = 0.5  # all in the middle of the lengths
    (end,), _ = annealing.step(z, v, u, period, logf, dz, density)
    np.testing.assert_allclose(end, z[0], atol=1e-9)
