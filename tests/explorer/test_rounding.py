"""Weights in few bits: how far they move, what that costs, and that they are unpacked as they were packed."""

import base64

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from tests.explorer.examples import training
from tinyvae.errors import UserError
from tinyvae.explorer import cost
from tinyvae.explorer.packing import pack
from tinyvae.explorer.rounding import BITS, restored, restored_parameters, rounded, rounded_parameters


@given(st.integers(1, 9), st.integers(1, 9), st.sampled_from([8, 16]), st.integers(0, 99), st.floats(1e-6, 1e6))
def test_a_weight_moves_by_half_a_step_of_its_row_at_most(rows, columns, bits, seed, size):
    array = size * np.random.default_rng(seed).standard_normal((rows, columns))
    step = np.abs(array).max(axis=1, keepdims=True) / (2 ** (bits - 1) - 1)
    assert (np.abs(restored(rounded(array, bits)) - array) <= step / 2 + 1e-6 * np.abs(array)).all()
    assert rounded(array, bits).bits == bits


def test_zeros_stay_zeros_and_32_bits_are_float32():
    assert (restored(rounded(np.zeros((3, 4)), 8)) == 0).all()
    array = np.random.default_rng(0).standard_normal((3, 4))
    assert np.array_equal(restored(rounded(array, 32)), array.astype(np.float32))


def unpacked(packed):
    """What ``numbers.js`` makes of a packed array."""
    codes = np.frombuffer(base64.b64decode(packed["codes"]), {8: "<i1", 16: "<i2", 32: "<f4"}[packed["bits"]])
    scales = np.frombuffer(base64.b64decode(packed["scales"]), "<f4")
    rows = codes.reshape(-1, packed["shape"][-1]).astype(np.float32)
    return (rows * scales[:, None] if len(scales) else rows).reshape(packed["shape"])


@pytest.mark.parametrize("bits", BITS)
def test_what_is_packed_can_be_unpacked(bits):
    array = np.random.default_rng(bits).standard_normal((5, 3))
    assert np.array_equal(unpacked(pack(rounded(array, bits))), restored(rounded(array, bits)))


def test_the_cost_is_that_of_the_rounded_weights_and_is_kept_small():
    state = training(spread=0.1)
    arrays, spent = cost.cheapest(state.fitted, state.dataset.test, None)
    shown = cost.with_rounded(state.fitted, arrays)
    difference = cost.bounds(state.fitted, state.dataset.test, None) - cost.bounds(shown, state.dataset.test, None)
    assert spent.nats == pytest.approx(difference.mean()) and abs(spent.nats) + 2 * spent.error <= cost.ALLOWED
    assert spent.error == pytest.approx(stats.sem(difference))
    assert spent.examples == len(state.dataset.test)
    assert set(spent.bits) == {name for name in state.params if name.endswith(".W")}


def test_where_few_bits_cost_too_much_the_costliest_matrices_get_more(monkeypatch):
    """A narrow Gaussian around large means: its bound moves with every digit."""
    state = training(likelihood="gaussian-linear", spread=1.0)
    state.params["decoder.1.b"][30:] = -9
    eight = {name: 8 for name in state.params if name.endswith(".W")}
    shown = cost.with_rounded(state.fitted, rounded_parameters(state.params, eight))
    before = cost.bounds(state.fitted, state.dataset.test, None) - cost.bounds(shown, state.dataset.test, None)
    assert before.mean() > cost.ALLOWED
    _, spent = cost.cheapest(state.fitted, state.dataset.test, None)
    assert abs(spent.nats) + 2 * spent.error <= cost.ALLOWED and max(spent.bits.values()) > 8
    monkeypatch.setattr(cost, "ALLOWED", -1.0)  # which nothing keeps: all become float32, and nothing is left to pay
    _, spent = cost.cheapest(state.fitted, state.dataset.test, None)
    assert set(spent.bits.values()) == {32} and spent.nats == 0


def test_two_standard_errors_of_the_cost_are_kept_small_too(monkeypatch):
    """0.05 nats of 12 examples with a standard error of 0.03: one more would be allowed, and two are not."""
    state = training()
    coarse = restored(rounded(state.params["decoder.1.W"], 8))

    def bounds(fitted, images, labels):
        lost = 0.05 + 0.1 * np.tile([1, -1], 6)
        return -lost * np.array_equal(fitted.params["decoder.1.W"], coarse)

    monkeypatch.setattr(cost, "bounds", bounds)
    _, spent = cost.cheapest(state.fitted, state.dataset.test, None)
    assert spent.bits["decoder.1.W"] == 16 and spent.nats == spent.error == 0


@pytest.mark.parametrize("prior", ["mixture", "vamp"])
def test_what_a_prior_is_made_of_does_not_stand_in_the_page_and_is_not_rounded(prior):
    state = training(prior=prior)
    arrays, spent = cost.cheapest(state.fitted, state.dataset.test, None)
    assert spent.bits and not any(name.startswith("prior.") for name in spent.bits)
    for name, array in state.params.items():
        assert not name.startswith("prior.") or np.array_equal(restored(arrays[name]), array), name


@pytest.mark.parametrize("enough", [16, 64])
def test_a_rounding_that_makes_an_example_impossible_is_not_taken(enough, monkeypatch):
    state = training()
    fitted, exact = state.fitted, state.params["decoder.1.W"]

    def bounds(other, images, labels):
        values = np.zeros(len(images))
        if other is not fitted:
            own = [bits for bits in BITS if np.array_equal(other.params["decoder.1.W"], restored(rounded(exact, bits)))]
            values[2] = 0 if max(own) >= enough else -np.inf
        return values

    monkeypatch.setattr(cost, "bounds", bounds)
    if enough == 16:
        assert cost.cheapest(fitted, state.dataset.test, None)[1].bits["decoder.1.W"] == 16
    else:
        with pytest.raises(UserError, match="of 1 of 12 test examples is not finite with weights of 32 bits"):
            cost.cheapest(fitted, state.dataset.test, None)


@pytest.mark.parametrize("change", [-1.0, 1.0])
@pytest.mark.parametrize("name", ["encoder.0.W", "decoder.1.W"])
def test_the_matrix_whose_rounding_changes_the_bound_gets_more_bits_and_no_other(name, change, monkeypatch):
    """Down or up by a nat: a page that promises too much is wrong too."""
    state = training()
    coarse = restored(rounded(state.params[name], 8))

    def bounds(fitted, images, labels):
        return np.full(len(images), change * np.array_equal(fitted.params[name], coarse))

    monkeypatch.setattr(cost, "bounds", bounds)
    _, spent = cost.cheapest(state.fitted, state.dataset.test, None)
    assert spent.nats == 0 and spent.bits[name] == 16
    assert {bits for other, bits in spent.bits.items() if other != name} == {8}


def test_parameters_keep_their_type_and_order():
    state = training(dtype="float64")
    arrays = rounded_parameters(state.params, {"encoder.0.W": 16})
    again = restored_parameters(state.params, arrays)
    assert again.flat.dtype == np.float64 and list(again) == list(state.params)
    assert np.array_equal(again["decoder.0.W"], state.params["decoder.0.W"].astype(np.float32))
    assert np.allclose(again["encoder.0.W"], state.params["encoder.0.W"], atol=1e-4)
