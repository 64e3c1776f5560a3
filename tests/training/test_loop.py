"""The loop: it learns, loses no example, does not depend on the threads, and stops where numbers end."""

from dataclasses import replace

import numpy as np
import pytest

from tinyvae.data import datasets
from tinyvae.errors import DataError, DivergenceError, UserError
from tinyvae.machine import noise
from tinyvae.machine.noise import Stream
from tinyvae.settings import CHARACTERS, LIKELIHOODS, Settings
from tinyvae.training import evaluation, importance_sampling, loop
from tinyvae.training.loop import Training

SMALL = Settings(latent=(3,), hidden=((16,),), batch_size=50, epochs=2, learning_rate=0.01)


@pytest.fixture(scope="module")
def digits():
    return datasets.load("digits")


def bounds_of(settings, dataset, threads=None):
    state = Training(settings, dataset, threads)
    return [(state.run_epoch(), state.test_bound()) for _ in range(settings.epochs)], state


def test_the_bound_rises_to_what_the_data_allow(digits):
    """A model of digits must beat the best model of independent pixels."""
    settings = replace(SMALL, latent=(8,), hidden=((64,),), epochs=30)
    history, _ = bounds_of(settings, digits)
    p = np.clip(digits.train.mean(axis=0, dtype=np.float64), 1e-3, 1 - 1e-3)
    independent = np.mean(digits.test @ np.log(p) + (1 - digits.test) @ np.log(1 - p))
    assert history[-1][1] > independent + 2


@pytest.mark.parametrize("settings", [
    SMALL,
    replace(SMALL, kl="sampled", samples=3),
    replace(SMALL, objective="iwae", kl="sampled", samples=3, binarise="dynamic"),
    replace(SMALL, latent=(4, 2), hidden=((10,), (6,)), kl="sampled", binarise="static"),
    replace(SMALL, network="conv", activation="relu", channels=(5, 7)),
])  # fmt: skip
def test_the_same_run_whatever_the_threads(digits, settings):
    one, first = bounds_of(settings, digits, threads=1)
    three, second = bounds_of(settings, digits, threads=3)
    assert three == one
    np.testing.assert_array_equal(second.params.flat, first.params.flat)


def test_the_seed_decides(digits):
    assert bounds_of(SMALL, digits)[0] == bounds_of(SMALL, digits)[0]
    assert bounds_of(SMALL, digits)[0] != bounds_of(replace(SMALL, seed=1), digits)[0]


@pytest.mark.parametrize("shape", [(12,), (1, 12)])
def test_a_convolutional_network_wants_height_and_width(digits, shape):
    """A file (N, 12) is a row of 12 pixels, since 12 is no square."""
    rows = replace(digits, train=digits.train[:, :12], test=digits.test[:, :12], data_shape=shape)
    with pytest.raises(
        DataError, match=r"has rows of 12 numbers, and nobody says where they stand; --network conv needs"
    ):
        Training(replace(SMALL, network="conv"), rows)


@pytest.mark.parametrize("likelihood", ["bernoulli", "gaussian", "logistic-mixture"])
def test_a_convolutional_decoder_starts_from_the_mean_of_each_colour(likelihood):
    """One bias for all pixels of a colour, and for each of the numbers about it."""
    images = np.random.default_rng(0).integers(0, 256, (60, 4, 4, 3), np.uint8) // np.array([1, 2, 4], np.uint8)
    rows = images.reshape(60, 48)
    dataset = datasets.Dataset("colours", rows, rows[:10], None, None, (4, 4, 3), "")
    state = Training(replace(SMALL, network="conv", kernel=2, likelihood=likelihood), dataset)
    expected = LIKELIHOODS[likelihood].bias(images.mean(axis=(0, 1, 2)) / 255)
    np.testing.assert_allclose(state.model.output_bias(state.params), expected, rtol=1e-5)


@pytest.mark.parametrize("changes, message", [
    ({"kernel": 16}, "--kernel 16 is twice as wide as the 8 x 8 pixels that layer 1 of --channels 32,64 looks at"),
    ({"channels": (4,) * 3}, "--kernel 4 is twice as wide as the 2 x 2 pixels that layer 3 of --channels 4,4,4 looks"),
])  # fmt: skip
def test_windows_that_would_see_no_more_than_the_margin_are_refused(digits, changes, message):
    with pytest.raises(UserError, match=message):
        Training(replace(SMALL, network="conv", **changes), digits)


def test_no_example_is_lost_when_the_minibatch_does_not_divide_the_data(digits):
    state = Training(replace(SMALL, batch_size=400), digits)
    sizes = []
    state.run_epoch(lambda examples, bound: sizes.append(examples))
    N = len(digits.train)
    assert N % 400 and sum(sizes) == N == state.samples_seen
    assert sizes == [400] * (N // 400) + [N % 400]


def test_rate_weight_and_order_of_every_step(digits, monkeypatch):
    """Rate and weight follow the epochs that are done, fractions too; each epoch has an order of its own."""
    settings = replace(SMALL, schedule="cosine", beta=4.0, anneal=2, epochs=3)
    state, steps = Training(settings, replace(digits, train=digits.train[:200]), 1), []
    monkeypatch.setattr(state, "_step", lambda *step: steps.append(step) or 0.0)
    for _ in range(3):
        state.run_epoch()
    rows, rates, weights = zip(*steps)
    done = np.arange(12) / 4
    np.testing.assert_allclose(rates, 0.01 * (1 + np.cos(np.pi * done / 3)) / 2, rtol=1e-12)
    np.testing.assert_allclose(weights, 4 * np.minimum(done / 2, 1), rtol=1e-12)
    orders = np.reshape(rows, (3, 200))
    np.testing.assert_array_equal(np.sort(orders, axis=1), [np.arange(200)] * 3)
    assert ((orders != np.roll(orders, 1, axis=0)).mean(axis=1) > 0.9).all()


@pytest.mark.parametrize(
    ("changes", "streams"),
    [
        ({"binarise": "dynamic"}, {Stream.TRAINING, Stream.BINARISATION}),
        ({"latent": (3, 2), "hidden": ((5,), (4,)), "kl": "sampled"}, {Stream.TRAINING, Stream.TRAINING + 1}),
        ({"likelihood": "gaussian", "dequantise": True}, {Stream.TRAINING, Stream.DEQUANTISATION}),
        ({"feedback": True, "word_dropout": 0.5}, {Stream.TRAINING, Stream.FEEDBACK}),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, dict) else None,
)
def test_every_step_and_every_purpose_has_random_numbers_of_its_own(changes, streams, digits, monkeypatch):
    if "feedback" in changes:
        settings, dataset = replace(CHARACTERS, units=4, latent=(2,)), datasets.load("expressions", limit=120)
    else:
        settings, dataset = SMALL, replace(digits, train=(255 * digits.train[:120]).astype(np.uint8))
    state = Training(replace(settings, batch_size=50, epochs=2, **changes), dataset, 1)
    places, real = [], noise._place
    monkeypatch.setattr(noise, "_place", lambda *place: places.append(place[1:3]) or real(*place))
    state.run_epoch()
    state.run_epoch()
    steps = range(2 * -(-len(dataset.train) // 50))
    trained = [(stream, step) for stream in streams for step in steps] + [(Stream.ORDER, 0), (Stream.ORDER, 1)]
    assert sorted(places) == sorted(trained)
    places.clear()
    few = replace(dataset, test=dataset.test[:3])
    Training(state.settings, few, 1).test_bound()
    del places[: -len(state.model.latent)]  # what the new one started from
    importance_sampling.log_likelihood(state.model, state.params, 0, few.test, None, 20)
    evaluation.latent_diagnostics(state.fitted, few.test, None)
    assert len(places) == len(set(places)) == 3 * len(state.model.latent) and not set(places) & set(trained)


def test_the_test_bound_does_not_depend_on_how_many_examples_are_computed_at_a_time(digits, monkeypatch):
    """The noise of an example is that of its place."""
    state = Training(replace(SMALL, samples=3, dtype="float64"), digits)
    expected = state.test_bound()
    monkeypatch.setattr(loop, "EVALUATION_ROWS", 21)
    assert state.test_bound() == pytest.approx(expected, rel=1e-12)


def test_a_prior_starts_from_draws_that_no_layer_has(digits):
    state = Training(replace(SMALL, prior="mixture", components=4, kl="sampled", seed=3), digits)
    own = noise.normal((1, 4, 3), 3, Stream.PARAMETERS, len(state.params))[0]
    np.testing.assert_array_equal(state.params["prior.mu"], own)


def test_one_step_is_the_gradient_of_the_mean_bound(digits):
    """Against finite differences of the bound that the loop itself reports, in float64, with plain gradient ascent."""
    settings = replace(SMALL, dtype="float64", optimiser="sgd", learning_rate=1e-4, epochs=1, schedule="constant")
    dataset = replace(digits, train=digits.train[:50], train_labels=None, test_labels=None)
    state = Training(settings, dataset, threads=2)
    before = state.params.flat.copy()
    value = state.run_epoch()
    gradient = (state.params.flat - before) / 1e-4
    direction = np.random.default_rng(0).standard_normal(before.size)
    values = []
    for sign in (1, -1):
        moved = Training(settings, dataset, threads=1)
        moved.params.flat[:] = before + sign * 1e-5 * direction
        values.append(moved.run_epoch())
    assert np.mean(values) == pytest.approx(value, rel=1e-6)
    assert (values[0] - values[1]) / 2e-5 == pytest.approx(gradient @ direction, rel=1e-6)


def test_the_output_starts_at_the_mean_of_the_data(digits):
    state = Training(SMALL, digits)
    mean = digits.train.mean(axis=0, dtype=np.float64)
    seen = (mean > 0.001) & (mean < 0.999)
    start = 1 / (1 + np.exp(-state.params["decoder.1.b"]))
    np.testing.assert_allclose(start[seen], mean[seen], rtol=1e-4)
    np.testing.assert_array_equal(Training(replace(SMALL, mean_bias=False), digits).params["decoder.1.b"], 0)


def test_grey_levels_are_a_255th(digits):
    as_bytes = replace(digits, train=np.uint8(digits.train * 255), test=np.uint8(digits.test * 255))
    as_floats = replace(digits, train=np.float32(as_bytes.train / 255), test=np.float32(as_bytes.test / 255))
    np.testing.assert_allclose(bounds_of(SMALL, as_bytes)[0], bounds_of(SMALL, as_floats)[0], rtol=1e-6)


def test_divergence_names_epoch_step_and_quantity(digits):
    state = Training(replace(SMALL, optimiser="sgd", learning_rate=1e30), digits)
    with pytest.raises(
        DivergenceError, match=r"(?s)is (nan|inf|-inf) in epoch 1, step \d+.*smaller step than --lr 1e\+30"
    ):
        state.run_epoch()


def test_parameters_that_are_not_finite_stop_the_run_even_where_tanh_hides_them(digits):
    state = Training(SMALL, digits)
    state.run_epoch()
    state.optimiser.state["m"][0] = np.nan
    with pytest.raises(DivergenceError, match="sum of the parameters is nan in epoch 2, step"):
        state.run_epoch()


def test_data_outside_the_likelihood_s_support_are_refused(digits):
    for scale, ends in ((255, "from 0 to 255"), (-1, "from -1 to -?0")):
        scaled = replace(digits, train=digits.train * np.float32(scale))
        with pytest.raises(DataError, match=f"{ends}.*bernoulli likelihood describes values from 0 to 1"):
            Training(SMALL, scaled)


def test_a_minibatch_larger_than_the_data_is_refused(digits):
    N = len(digits.train)
    with pytest.raises(UserError, match=f"--batch-size 5000 is more than the {N} training examples"):
        Training(replace(SMALL, batch_size=5000), digits)
