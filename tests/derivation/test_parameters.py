"""The flat vector and its named views; how it starts."""

import numpy as np
import pytest

from tinyvae.derivation.mlp import mlp_shapes
from tinyvae.derivation.parameters import Parameters, initialise

SHAPES = mlp_shapes("net", (300, 200, 100, 40)) | {"scale": ()}


def test_views_share_the_vector_in_the_order_of_the_names():
    params = Parameters({"a": (2, 3), "b": (), "c": (4,)}, dtype=np.float64)
    params.flat[:] = np.arange(11)
    np.testing.assert_array_equal(params["a"], [[0, 1, 2], [3, 4, 5]])
    assert params["b"] == 6
    params["c"][:] = -1
    np.testing.assert_array_equal(params.flat[7:], -1)
    assert list(params) == ["a", "b", "c"] and len(params) == 3


def test_layers_come_in_order():
    params = Parameters(SHAPES)
    layers = params.layers("net")
    assert [W.shape for W, _ in layers] == [(300, 200), (200, 100), (100, 40)]
    layers[1][1][:] = 5
    np.testing.assert_array_equal(params["net.1.b"], 5)


def test_a_vector_of_another_length_is_refused():
    with pytest.raises(ValueError, match="need 6 numbers, the vector has the shape \\(7,\\)"):
        Parameters({"a": (2, 3)}, np.zeros(7))


def test_the_same_names_over_another_vector():
    params = Parameters(SHAPES, dtype=np.float64)
    grads = params.with_flat(np.ones_like(params.flat))
    assert grads.shapes == params.shapes and grads["net.0.W"][0, 0] == 1 and params["net.0.W"][0, 0] == 0


def test_glorot_is_uniform_with_its_bounds_and_every_layer_has_its_own_draw():
    params = Parameters(SHAPES)
    initialise(params, "glorot", seed=3)
    for W, b in params.layers("net"):
        limit = np.sqrt(6 / sum(W.shape))
        assert np.abs(W).max() <= limit
        assert abs(W.mean()) < 5 * limit / np.sqrt(3 * W.size)  # five standard errors
        assert W.var() == pytest.approx(limit**2 / 3, rel=0.05)
        np.testing.assert_array_equal(b, 0)
    draws = [W.ravel()[:4000] / np.abs(W).max() for W, _ in params.layers("net")]
    assert np.max(np.abs(np.corrcoef(draws) - np.eye(3))) < 0.08


@pytest.mark.parametrize(("scheme", "deviation"), [("aevb", 0.1), ("aevb-narrow", 0.01)])
def test_aevb_is_normal_with_a_variance_or_a_deviation_of_a_hundredth(scheme, deviation):
    params = Parameters(SHAPES)
    initialise(params, scheme, seed=3)
    for W, b in params.layers("net"):
        assert W.std() == pytest.approx(deviation, rel=0.05) and abs(W.mean()) < 5 * deviation / np.sqrt(W.size)
        np.testing.assert_array_equal(b, 0)


def test_the_seed_decides():
    first, second, other = (Parameters(SHAPES) for _ in range(3))
    for params, seed in ((first, 1), (second, 1), (other, 2)):
        initialise(params, "glorot", seed)
    np.testing.assert_array_equal(first.flat, second.flat)
    assert not np.array_equal(first.flat, other.flat)


def test_the_rows_of_each_array_are_cut_and_nothing_is_missed():
    params = Parameters({"a.W": (7, 3), "a.b": (2,), "b.W": (1, 5)})
    assert params.cuts(1).tolist() == [[0, 21], [21, 23], [23, 28]]
    assert params.cuts(2).tolist() == [[0, 9], [21, 22], [23, 23], [9, 21], [22, 23], [23, 28]]
    for parts in (1, 2, 3, 10):
        places = [i for first, last in params.cuts(parts) for i in range(first, last)]
        assert sorted(places) == list(range(28))
