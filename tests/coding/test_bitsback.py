"""Bits-back: every image comes back from every model, the message returns to its start, and it costs the bound."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.coding.models import COLOUR, build, dtypes, likelihoods, networks, random_levels, seeds, stretches
from tinyvae.coding import accounting, bitsback
from tinyvae.coding.accounting import account, log_weights, noise_within
from tinyvae.coding.ans import FIRST_STATE, Message
from tinyvae.coding.bitsback import BitsBack, chains
from tinyvae.coding.cells import cells
from tinyvae.coding.prior import COMPONENTS
from tinyvae.derivation.priors import StandardNormal
from tinyvae.errors import DataError, UserError
from tinyvae.settings import PRIORS, Settings
from tinyvae.training.fitted import build_model

SMALL = {"data_shape": (3, 5), "latent": (2,), "hidden": ((7,),)}


@given(networks, likelihoods, dtypes, stretches, st.integers(1, 12), seeds)
def test_decode_undoes_encode_for_any_images_and_any_model(network, likelihood, dtype, stretch, N, seed):
    """Untrained, or stretched until every number of a network is infinite or none."""
    code = BitsBack(*build(network, likelihood, dtype, seed, stretch))
    levels = random_levels(code.model, N, seed)
    encoded = code.encode(levels)
    # that the messages have returned to their start, decode asks for itself
    assert np.array_equal(code.decode(encoded.messages, N), levels)


@given(dtypes, stretches, st.integers(1, 5), seeds)
def test_so_it_does_in_colour(dtype, stretch, N, seed):
    network = {"data_shape": (4, 5, 3), "latent": (2,), "hidden": ((3,),), "network": "conv", "channels": (4,)}
    code = BitsBack(*build(network, COLOUR, dtype, seed, stretch))
    levels = random_levels(code.model, N, seed)
    assert np.array_equal(code.decode(code.encode(levels).messages, N), levels)


def test_a_weight_that_is_no_number_does_no_harm():
    model, params = build(SMALL)
    params.flat[::5] = np.nan
    code = BitsBack(model, params)
    levels = random_levels(model, 9, 0)
    assert np.array_equal(code.decode(code.encode(levels).messages, 9), levels)


@pytest.fixture
def many_chains(monkeypatch):
    monkeypatch.setattr(bitsback, "IMAGES_A_CHAIN", 40)
    monkeypatch.setattr(bitsback, "BLOCK", 150)  # ten images


def test_the_messages_are_the_same_with_any_number_of_threads(many_chains):
    code = BitsBack(*build(SMALL, seed=4))
    levels = random_levels(code.model, 333, 0)
    alone = code.encode(levels, threads=1)
    assert len(alone.messages) == 8
    for threads in (2, 5, 20):
        shared = code.encode(levels, threads)
        for one, other in zip(alone.messages, shared.messages):
            assert one.state == other.state and np.array_equal(one.words, other.words)
        assert np.array_equal(alone.chosen, shared.chosen)
        assert np.array_equal(code.decode(shared.messages, 333, threads), levels)


@pytest.mark.parametrize("N", [1, 2, 7, 2499, 2500, 10_000, 10_001, 10**6])
def test_chains_share_out_all_images_in_their_order(N):
    parts = chains(N, bitsback.count_chains(N))
    assert [0, *(part.stop for part in parts)] == [*(part.start for part in parts), N]
    assert all(part.step == 1 for part in parts) and 1 <= len(parts) <= 8 and len(parts[0]) >= min(N, 2500)


def test_progress_counts_every_image(many_chains):
    code, told = BitsBack(*build(SMALL)), []
    encoded = code.encode(random_levels(code.model, 333, 0), 2, told.append)
    code.decode(encoded.messages, 333, 2, told.append)
    assert sum(told) == 2 * 333


def test_what_one_thread_raises_ends_the_others(many_chains):
    code, told = BitsBack(*build(SMALL)), []

    def interrupted(count):
        told.append(count)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        code.encode(random_levels(code.model, 333, 0), 2, interrupted)
    assert len(told) <= 8  # one block of each chain, at most


@pytest.mark.parametrize("prior", COMPONENTS)
def test_the_message_grows_by_the_bound(prior, many_chains):
    """By -ELBO at the samples that were coded, but for what cells and whole numbers cost: 0.2 % together.

    Images that the model draws itself, at samples of the standard normal, under posteriors that lie where that does.
    """
    network = {"data_shape": (12, 12), "latent": (8,), "hidden": ((20,),), "prior": prior, "n_components": 6}
    model, params = build(network, seed=2, stretch=1.5)
    for array in params.part("encoder").values():
        array *= 0.2
    code, random = BitsBack(model, params), np.random.default_rng(0)
    means = model.decode(params, random.standard_normal((2000, 8)).astype(np.float32))
    levels = (random.random(means.shape) < means).astype(np.uint8)
    encoded = code.encode(levels)
    bits = account(code, params, levels, encoded, size=10**5)
    assert abs(bits.net / bits.bound - 1) < 2e-3 and abs(bits.cells) + abs(bits.precision) < 2e-3 * bits.bound
    assert np.isclose(bits.net * levels.size, encoded.growth)
    assert np.isclose(bits.total * levels.size, 8 * 10**5)
    assert sum(log_weights(code, params, levels, encoded.chosen)[1:]) < 0


@pytest.mark.parametrize("prior", COMPONENTS)
def test_the_bound_is_the_model_s_own(prior, monkeypatch):
    """log w at places in the cells, by ``Model.log_weights`` with the noise that leads there; some images at a time."""
    model, params = build({**SMALL, "prior": prior, "n_components": 4}, dtype=np.float64, seed=5)
    levels, code = random_levels(model, 30, 1), BitsBack(model, params)
    encoded = code.encode(levels)
    x, (mu, logvar) = levels.astype(np.float64), model.encode(params, levels.astype(np.float64))
    eps = noise_within(code, mu, logvar, encoded.chosen)
    z = (mu + np.exp(logvar / 2) * eps - code.prior.centre) / code.prior.scale
    assert (cells().edges[encoded.chosen] <= z).all() and (z <= cells().edges[encoded.chosen + 1]).all()
    logw, _ = model.log_weights(params, x, [eps[:, None]])
    medians = code.prior.centre + code.prior.scale * cells().medians[encoded.chosen]
    expected, *_ = model.joint(params, x, [medians], keep=False)
    for numbers in (accounting.NUMBERS, 100):  # and six images
        monkeypatch.setattr(accounting, "NUMBERS", numbers)
        at_medians, *parts = log_weights(code, params, levels, encoded.chosen)
        assert np.isclose(sum(parts), logw.sum()) and np.isclose(at_medians, expected.sum())


@pytest.mark.parametrize(("mean", "logvar"), [(0.5, -1.0), (6.0, -2.0), (5.0, -6.0), (4.0, -16.0), (0.0, -25.0)])
def test_the_bound_is_the_elbo_wherever_posteriors_lie(mean, logvar):
    """Beyond the last edges of the cells, and narrower than they are; within 5 standard errors."""
    model, params = build(SMALL, dtype=np.float64, seed=3)
    params["encoder.1.W"][:] *= 0.1
    params["encoder.1.b"][:] = np.repeat([mean, logvar], 2)
    levels, code = random_levels(model, 300, 1), BitsBack(model, params)
    bits = account(code, params, levels, encoded := code.encode(levels), size=10**5)
    eps = np.random.default_rng(0).standard_normal((300, 200, 2))
    logw, _ = model.log_weights(params, levels.astype(np.float64), [eps])
    error = logw.std() / np.sqrt(300) * 300 / np.log(2) / levels.size
    assert abs(bits.bound + logw.mean() * 300 / np.log(2) / levels.size) < 5 * error
    assert np.isclose(bits.net * levels.size, encoded.growth)
    assert np.isclose(bits.net, bits.bound + bits.cells + bits.precision)
    assert np.isclose(bits.total, bits.net + bits.initial + bits.container)


def test_a_bound_that_is_not_finite_is_no_error():
    model, params = build(SMALL, stretch=1e20)
    levels, code = random_levels(model, 5, 0), BitsBack(model, params)
    bits = account(code, params, levels, code.encode(levels), size=10**4)
    assert not np.isfinite(bits.bound) and np.isfinite(bits.total)


def test_messages_of_another_model_or_of_other_images_are_refused():
    code, other = BitsBack(*build(SMALL, seed=0)), BitsBack(*build(SMALL, seed=1))
    (message,) = code.encode(random_levels(code.model, 50, 0)).messages
    changed = message.words.copy()
    changed[len(changed) // 2] ^= 1
    nothing = Message(FIRST_STATE, np.empty(0, np.uint32))
    for decoder, wrong, N in [
        (other, [message], 50),
        (code, [message], 49),
        (code, [message], 51),
        (code, [Message(message.state ^ 1, message.words)], 50),
        (code, [Message(message.state, changed)], 50),
        (code, [Message(message.state, message.words[:-1])], 50),
        (code, [message, message], 50),
        (code, [nothing], 50),
    ]:
        with pytest.raises(DataError, match="does not end in its initial bits"):
            decoder.decode(wrong, N)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"latent": (3, 2), "hidden": ((4,), (3,))}, "its 2 stochastic layers"),
        ({"prior": "own"}, "its prior own: those that can be coded are normal, mixture, vamp"),
        ({"conditional": True}, "its labels"),
        ({"likelihood": "gaussian"}, "its likelihood gaussian"),
    ],
)
def test_a_model_that_is_no_code_is_refused_with_the_reason(monkeypatch, changes, reason):
    monkeypatch.setitem(PRIORS, "own", StandardNormal)
    model = build_model(Settings(**{"hidden": ((4,),), "latent": (3,), **changes}), (3, 5), 4)
    with pytest.raises(UserError, match=f"this model cannot be used for compression, for {reason}"):
        BitsBack(model, None)


def test_what_is_lent_and_what_the_container_takes_are_told_apart():
    model, params = build(SMALL)
    code, levels = BitsBack(model, params), random_levels(model, 60, 0)
    encoded = code.encode(levels)
    bits = account(code, params, levels, encoded, size=10_000)
    assert bits.initial * levels.size == pytest.approx(encoded.initial)
    assert bits.container * levels.size == pytest.approx(80_000 - encoded.growth - encoded.initial)
    assert encoded.initial < 31 + 32 * 10
