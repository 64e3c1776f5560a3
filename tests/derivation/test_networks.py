"""Networks: every entry of the registry, as an encoder and as a decoder, with labels and without."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinyvae.checks import finite_differences
from tinyvae.checks.random_problems import networks
from tinyvae.derivation.conv_networks import ConvDecoder, ConvEncoder
from tinyvae.derivation.mlp import mlp
from tinyvae.derivation.networks import MLP, Network
from tinyvae.settings import ACTIVATIONS, NETWORKS

seeds = st.integers(0, 2**32 - 1)
ends = pytest.mark.parametrize("end", [0, 1], ids=["encoder", "decoder"])


def random_network(name, end, C=2, R=3, seed=0, activation="tanh"):
    """A network next to data of 5 x 3, with random weights, rows and labels."""
    rng = np.random.default_rng(seed)
    inputs, outputs = ((5, 3), (4,)) if end == 0 else ((4,), (2, 5, 3))
    network = NETWORKS[name][end](inputs, C, (6, 5), outputs, ACTIVATIONS[activation], *networks.LAYOUT)
    weights = {key: rng.standard_normal(shape) for key, shape in network.shapes().items()}
    return network, weights, rng.standard_normal((R, math.prod(inputs))), rng.standard_normal((R, C))


@ends
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("name", NETWORKS)
@settings(max_examples=40)  # there are 20 shapes
@given(st.integers(1, 5), st.integers(0, 3), seeds)
def test_gradients(name, activation, end, R, C, seed):
    problem = networks.network(np.random.default_rng(seed), R, C, name, end, activation)
    errors = finite_differences.check(problem)
    assert max(errors.values()) < finite_differences.TOLERANCE, errors


@ends
@pytest.mark.parametrize("hidden", [(), (3,)])
@pytest.mark.parametrize("name", NETWORKS)
def test_gradients_without_hidden_units_and_in_colour(name, hidden, end):
    rng = np.random.default_rng(0)
    problem = networks.network(rng, 2, 2, name, end, hidden=hidden, data_shape=(4, 3, 3))
    assert max(finite_differences.check(problem).values()) < finite_differences.TOLERANCE


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
    bias = network.output_bias(weights)
    shift = np.random.default_rng(3).standard_normal(bias.shape)
    bias += shift
    # of outputs (M, H, W, C), where C is 1, all pixels have one (M, C); of (M, T, V) all steps have one (M, V)
    M = network.outputs[0] if shift.size < out.shape[1] else 1
    shifts = np.tile(shift.reshape(M, 1, -1), (1, out.shape[1] // shift.size, 1)).ravel()
    np.testing.assert_allclose(network.forward(weights, x, labels)[0], out + shifts)


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
        network.products,
        lambda: network.kept_numbers,
    ):
        with pytest.raises(NotImplementedError):
            call()


def test_a_network_multiplies_and_keeps_what_it_says():
    """The products of an encoder and its mirror image; what all layers put out, as it stands in the caches."""
    (encoder, *inputs), (decoder, *latents) = (random_network("conv", end, C=0, R=7) for end in (0, 1))
    assert encoder.products() == [(6, 9, 3), (2, 27, 2), (1, 4, 6), (1, 6, 5), (1, 5, 4)]
    assert decoder.products() == [(1, 4, 6), (1, 6, 5), (1, 5, 4), (2, 2, 27), (6, 3, 18)]
    _, cache = encoder.forward(*inputs)
    maps = [layer.x for layer in cache.convolutions[1:]]
    assert 7 * encoder.kept_numbers == sum(array.size for array in (*maps, cache.mlp.x, *cache.mlp.outputs))
    out, cache = decoder.forward(*latents)
    maps = [layer.x for layer in cache.convolutions[1:]]
    assert 7 * decoder.kept_numbers == sum(array.size for array in (*cache.mlp.outputs, *maps, out))
    mlp_network, *rows = random_network("mlp", 0, R=7)
    _, cache = mlp_network.forward(*rows)
    assert mlp_network.products() == [(1, 17, 6), (1, 6, 5), (1, 5, 4)]
    assert 7 * mlp_network.kept_numbers == sum(array.size for array in cache.outputs)


def test_labels_enter_the_first_feature_maps_everywhere():
    """What a label adds is added to each filter's map as a bias would be: so it can be moved into the bias."""
    network, weights, x, labels = random_network("conv", 0)
    out = network.forward(weights, x, labels)[0]
    for r in range(len(x)):
        moved = weights | {"conv.0.b": weights["conv.0.b"] + labels[r] @ weights["labels.W"]}
        np.testing.assert_allclose(network.forward(moved, x[r : r + 1], np.zeros((1, 2)))[0], out[r : r + 1])


def test_the_decoder_s_layers_have_the_encoder_s_sizes_mirrored():
    """From the data up and down again: the same windows, feature maps of the same sizes."""
    encoder, decoder = ConvEncoder((28, 20, 3), 0, (7,), (6,)), ConvDecoder((3,), 0, (7,), (1, 28, 20, 3))
    assert encoder.geometries == decoder.geometries == [(28, 20, 3, 4, 2), (14, 10, 32, 4, 2)]
    for i in (0, 1):
        assert encoder.shapes()[f"conv.{i}.W"] == decoder.shapes()[f"conv.{i}.W"]
    assert decoder.shapes()["conv.0.b"] == (3,) and decoder.shapes()["1.W"] == (7, 7 * 5 * 64)


@pytest.mark.parametrize("shape", [(5, 3), (4, 3, 2)])
def test_numbers_about_an_entry_stand_one_after_another(shape):
    """Of M = 2 numbers, the first half of a row has the first of each entry: halving the filters leaves one of them."""
    rng = np.random.default_rng(0)
    both, one = (ConvDecoder((4,), 0, (), (M, *shape), 1, *networks.LAYOUT) for M in (2, 1))
    weights = {key: rng.standard_normal(size) for key, size in both.shapes().items()}
    C, z, labels = one.image[2], rng.standard_normal((3, 4)), np.empty((3, 0))
    out = both.forward(weights, z, labels)[0].reshape(3, 2, -1)
    filters = weights["conv.0.W"].reshape(9, 2, C, 3)
    for m in (0, 1):
        part = {
            "conv.0.W": np.ascontiguousarray(filters[:, m].reshape(9 * C, 3)),
            "conv.0.b": weights["conv.0.b"].reshape(2, C)[m],
        }
        np.testing.assert_allclose(one.forward(weights | part, z, labels)[0], out[:, m])
