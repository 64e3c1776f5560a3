"""How the weights start."""

import numpy as np
import pytest

from tests.derivation.test_parameters import SHAPES
from tinyvae.derivation.parameters import Parameters
from tinyvae.settings import INITIALISATIONS
from tinyvae.training.initialisation import initialise


def layers(params):
    """[(W, b), ...] of the network."""
    arrays = iter(params.part("net").values())
    return list(zip(arrays, arrays))


def test_glorot_is_uniform_with_its_bounds_and_every_layer_has_its_own_draw():
    params = Parameters(SHAPES)
    initialise(params, "glorot", seed=3)
    for W, b in layers(params):
        limit = np.sqrt(6 / sum(W.shape))
        assert np.abs(W).max() <= limit
        assert abs(W.mean()) < 5 * limit / np.sqrt(3 * W.size)  # five standard errors
        assert W.var() == pytest.approx(limit**2 / 3, rel=0.05)
        np.testing.assert_array_equal(b, 0)
    draws = [W.ravel()[:4000] / np.abs(W).max() for W, _ in layers(params)]
    assert np.max(np.abs(np.corrcoef(draws) - np.eye(3))) < 0.08


@pytest.mark.parametrize(("scheme", "deviation"), [("aevb", 0.1), ("aevb-narrow", 0.01)])
def test_aevb_is_normal_with_a_variance_or_a_deviation_of_a_hundredth(scheme, deviation):
    params = Parameters(SHAPES)
    initialise(params, scheme, seed=3)
    for W, b in layers(params):
        assert W.std() == pytest.approx(deviation, rel=0.05) and abs(W.mean()) < 5 * deviation / np.sqrt(W.size)
        np.testing.assert_array_equal(b, 0)


def test_the_seed_decides():
    first, second, other = (Parameters(SHAPES) for _ in range(3))
    for params, seed in ((first, 1), (second, 1), (other, 2)):
        initialise(params, "glorot", seed)
    np.testing.assert_array_equal(first.flat, second.flat)
    assert not np.array_equal(first.flat, other.flat)


@pytest.mark.parametrize("scheme", INITIALISATIONS)
def test_what_is_neither_weight_nor_bias_stays(scheme):
    params = Parameters(SHAPES)
    params["scale"][...] = 7
    initialise(params, scheme, seed=0)
    assert params["scale"] == 7 and params["net.0.W"].any()
