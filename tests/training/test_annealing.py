"""Annealed importance sampling in blocks: whose noise is whose."""

import pytest

from tests.derivation.test_annealing import linear_gaussian
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
