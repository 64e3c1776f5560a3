"""Annealed importance sampling in blocks: whose noise is whose."""

import math

import numpy as np
import pytest
from scipy import stats

from tests.derivation.test_annealing import linear_gaussian
from tinyvae.derivation.model import Model
from tinyvae.derivation.parameters import Parameters
from tinyvae.machine import noise
from tinyvae.training import annealing


@pytest.mark.parametrize("name", ["layers", "uniform"])
def test_no_noise_is_used_twice(name, monkeypatch):
    """Chains would else begin where those began that sought the lengths of their leaps."""
    model, params, truth = linear_gaussian((2,))
    drawn, steps = getattr(noise, name), []

    def watched(shape, seed, stream, step, *place, **options):
        steps.append(step)
        return drawn(shape, seed, stream, step, *place, **options)

    monkeypatch.setattr(noise, name, watched)
    annealing.log_likelihood(model, params, 0, truth.rvs(2, random_state=0), None, chains=3, steps=30)
    assert len(set(steps)) == len(steps) > 30


def test_chains_start_under_the_label_of_their_example():
    """A linear-Gaussian model with a prior for each label, far apart: the truth is known for each example."""
    model = Model((3,), (1,), ((),), "gaussian-linear", n_labels=2, prior="label")
    params = Parameters(model.shapes(), dtype=np.float64)
    params.flat[:] = 0
    w, variance = np.array([1, -0.5, 0.3]), 0.3
    params["prior.mu"][:, 0], params["prior.logvar"][:] = [-4, 4], -2
    params["decoder.0.W"][0, :3], params["decoder.0.b"][3:] = w, math.log(variance)
    y = np.array([0, 1, 1, 0, 1])
    covariance = np.outer(w, w) * math.exp(-2) + variance * np.eye(3)
    given = [stats.multivariate_normal((-4, 4)[label] * w, covariance) for label in y]
    x = np.stack([density.rvs(random_state=i) for i, density in enumerate(given)])
    estimate = annealing.log_likelihood(model, params, 0, x, y, steps=200)["log_likelihood"]
    np.testing.assert_allclose(estimate, [density.logpdf(row) for density, row in zip(given, x)], atol=0.2)
