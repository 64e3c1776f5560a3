"""Networks: every entry of the registry, as an encoder and as a decoder, with labels and without."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinyvae.checks import finite_differences, random_problems
from tinyvae.derivation.mlp import mlp
from tinyvae.derivation.networks import MLP, Network
from tinyvae.settings import NETWORKS

seeds = st.integers(0, 2**32 - 1)
ends = pytest.mark.parametrize("end", [0, 1], ids=["encoder", "decoder"])


def random_network(name, end, C=2, R=3, seed=0):
    """A network next to data of 5 x 3, with random weights, rows and labels."""
    rng = np.random.default_rng(seed)
    inputs, outputs = ((5, 3), (4,)) if end == 0 else ((4,), (2, 5, 3))
    network = NETWORKS[name][end](inputs, C, (6, 5), outputs)
    weights = {key: rng.standard_normal(shape) for key, shape in network.shapes().items()}
    return network, weights, rng.standard_normal((R, math.prod(inputs))), rng.standard_normal((R, C))


@ends
@pytest.mark.parametrize("name", NETWORKS)
@given(st.integers(1, 5), st.integers(0, 3), seeds)
def test_gradients(name, end, R, C, seed):
    errors = finite_differences.check(random_problems.network(np.random.default_rng(seed), R, C, name, end))
    assert max(errors.values()) < finite_differences.TOLERANCE, errors


@ends
@pytest.mark.parametrize("name", NETWORKS)
def test_gradients_are_written_or_added_and_a_cache_serves_twice(name, end):
    network, weights, x, labels = random_network(name, end)
    out, cache = network.forward(weights, x, labels)
    dout = np.random.default_rng(1).standard_normal(out.shape)
    written = {key: np.full_like(array, np.nan) for key, array in weights.items()}
    dx, dlabels = network.backward(dout, cache, written)
    assert dx.shape == x.shape and dlabels.shape == labels.shape
    before = {key: np.random.default_rng(2).standard_normal(array.shape) for key, array in weights.items()}
    added = {key: array.copy() for key, array in before.items()}
    assert network.backward(dout, cache, added, need_dx=False, add=True) == (None, None)
    for key in weights:
        assert np.isfinite(written[key]).all()
        np.testing.assert_array_equal(added[key], before[key] + written[key])


@ends
@pytest.mark.parametrize("name", NETWORKS)
def test_the_output_bias_is_a_view_and_moves_the_output_by_itself(name, end):
    network, weights, x, labels = random_network(name, end)
    out = network.forward(weights, x, labels)[0].copy()
    shift = np.random.default_rng(3).standard_normal(out.shape[1])
    bias = network.output_bias(weights)
    bias += shift
    np.testing.assert_allclose(network.forward(weights, x, labels)[0], out + shift)


@ends
@pytest.mark.parametrize("name", NETWORKS)
def test_rows_and_labels_do_not_mix(name, end):
    network, weights, x, labels = random_network(name, end)
    out = network.forward(weights, x, labels)[0].copy()
    for r in range(len(x)):
        np.testing.assert_allclose(network.forward(weights, x[r : r + 1], labels[r : r + 1])[0], out[r : r + 1])
    assert np.all(np.any(network.forward(weights, x, labels + 1)[0] != out, axis=1))


def test_the_mlp_has_the_labels_beside_its_input():
    network, weights, x, labels = random_network("mlp", 0)
    arrays = iter(weights.values())
    expected, _ = mlp(np.concatenate([x, labels], axis=1), list(zip(arrays, arrays)))
    np.testing.assert_array_equal(network.forward(weights, x, labels)[0], expected)
    assert network.shapes()["0.W"] == (15 + 2, 6) and MLP((5, 3), 0, (), (4,)).shapes() == {"0.W": (15, 4), "0.b": (4,)}


def test_what_a_network_must_have():
    network = Network((5, 3), 0, (), (4,))
    for call in (
        network.shapes,
        lambda: network.forward({}, np.zeros((1, 15)), np.zeros((1, 0))),
        lambda: network.backward(np.zeros((1, 4)), None, {}),
        lambda: network.output_bias({}),
    ):
        with pytest.raises(NotImplementedError):
            call()
