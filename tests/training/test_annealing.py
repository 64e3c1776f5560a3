"""Annealed importance sampling in blocks: whose noise is whose."""

import math

import numpy as np
import pytest
from scipy import special, stats

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


def with_labels():
    """A linear-Gaussian model with a prior for each of two labels, far apart; five labels, and the densities of x."""
    model = Model((3,), (1,), ((),), "gaussian-linear", n_labels=2, prior="label")
    params = Parameters(model.shapes(), dtype=np.float64)
    params.flat[:] = 0
    w, variance = np.array([1, -0.5, 0.3]), 0.3
    params["prior.mu"][:, 0], params["prior.logvar"][:] = [-4, 4], -2
    params["decoder.0.W"][0, :3], params["decoder.0.b"][3:] = w, math.log(variance)
    y = np.array([0, 1, 1, 0, 1])
    covariance = np.outer(w, w) * math.exp(-2) + variance * np.eye(3)
    return model, params, y, [stats.multivariate_normal((-4, 4)[label] * w, covariance) for label in y]


def test_chains_start_under_the_label_of_their_example():
    """And the truth is known for each example."""
    model, params, y, given = with_labels()
    x = np.stack([density.rvs(random_state=i) for i, density in enumerate(given)])
    estimate = annealing.log_likelihood(model, params, 0, x, y, steps=200)["log_likelihood"]
    np.testing.assert_allclose(estimate, [density.logpdf(row) for density, row in zip(given, x)], atol=0.2)


def test_what_is_said_of_an_example_does_not_depend_on_who_shares_its_block(monkeypatch):
    """All in one block and in blocks of two, held against the chains' own weights; no two have the same noise."""
    model, params, y, given = with_labels()
    x = np.stack([density.mean for density in given])  # the same for the same label
    anneal, ends = annealing.annealing.anneal, []
    monkeypatch.setattr(annealing.annealing, "anneal", lambda *given: ends.append(anneal(*given)) or ends[-1])
    whole = annealing.log_likelihood(model, params, 0, x, y, chains=3, steps=30)
    _, chains = ends  # the first have sought the lengths of the leaps
    v = special.softmax(chains.logw, axis=1)
    np.testing.assert_allclose(whole["log_likelihood"], special.logsumexp(chains.logw, axis=1) - math.log(3))
    np.testing.assert_allclose(whole["ess"], 1 / (v**2).sum(axis=1))
    np.testing.assert_allclose(whole["accepted"], chains.accepted.mean(axis=0))
    assert len(np.unique(whole["log_likelihood"])) == 5
    monkeypatch.setattr(annealing, "ROWS", 2 * 3)
    blocks = annealing.log_likelihood(model, params, 0, x, y, chains=3, steps=30)
    assert len(ends) == 2 + 2 * 3
    for name, values in whole.items():
        np.testing.assert_allclose(blocks[name], values, rtol=1e-9)


def test_every_step_is_told_and_in_all_as_many_as_were_counted(monkeypatch):
    """So that a progress bar moves from the first second on, and ends where it should."""
    model, params, y, given = with_labels()
    x, told, after = np.stack([density.mean for density in given]), [], []
    monkeypatch.setattr(annealing, "ROWS", 2 * 3)
    anneal = annealing.annealing.anneal
    monkeypatch.setattr(annealing.annealing, "anneal", lambda *given: (anneal(*given), after.append(sum(told)))[0])
    annealing.log_likelihood(model, params, 0, x, y, chains=3, steps=30, on_step=told.append)
    assert len(told) == 3 * (3 + 30) and max(told) == 2 * annealing.SCOUTS
    assert sum(told) == annealing.count_steps(5, 3, 30) == 5 * (3 * 30 + annealing.SCOUTS * 3)
    assert after[0] == 2 * annealing.SCOUTS * (3 - 1)  # all ratios but the last, while the first chains still run


@pytest.mark.filterwarnings("error")
def test_a_density_of_zero_is_said_without_a_warning():
    """Of an example far out: in float32 its squares are beyond all numbers."""
    model = Model((3,), (1,), ((),), "gaussian-linear")
    params = Parameters(model.shapes(), dtype=np.float32)
    params.flat[:] = 0
    x = np.float32([[0, 1, 2], [1e25, 0, 0]])
    values = annealing.log_likelihood(model, params, 0, x, None, chains=3, steps=20)["log_likelihood"]
    assert np.isfinite(values[0]) and values[1] == -np.inf
