"""Training aids and word dropout: what is trained with them, and that what is reported stays the bound."""

from dataclasses import replace

import numpy as np
import pytest

from tinyvae.data import datasets
from tinyvae.errors import DataError, UserError
from tinyvae.settings import GRU, Settings, require_sense
from tinyvae.training.loop import Training
from tinyvae.training.protocol import protocol

SMALL = Settings(latent=(3,), hidden=((8,),), epochs=4, batch_size=50, dtype="float64", schedule="constant")
FEEDBACK = replace(GRU, units=5, feedback=True, latent=(2,), epochs=2, batch_size=50, dtype="float64")


class Enough(Exception):
    """Raised after some steps."""


@pytest.fixture(scope="module")
def digits():
    return datasets.load("digits", limit=170)  # three minibatches and a short one


def after(training, steps):
    """A training after so many more steps, and the bounds that it reported."""
    bounds = []

    def on_step(examples, bound):
        bounds.append(bound)
        if len(bounds) == steps:
            raise Enough

    while len(bounds) < steps:
        try:
            training.run_epoch(on_step)
        except Enough:
            break
    return training, bounds


def test_the_weight_of_the_divergence_rises_from_zero(digits):
    training = Training(replace(SMALL, beta=4.0, anneal=2), digits, 1)
    assert [training._beta(epoch) for epoch in (0, 0.5, 1, 2, 3)] == [0, 1, 2, 4, 4]
    assert Training(replace(SMALL, beta=4.0), digits, 1)._beta(0) == 4


def test_what_is_trained_changes_and_what_is_reported_is_the_bound(digits):
    """The first bound is computed before the first step; and the test bound of the same parameters is the same."""
    plain, bounds = after(Training(SMALL, digits, 1), 1)
    aided, aided_bounds = after(Training(replace(SMALL, beta=4.0, free_bits=0.01), digits, 1), 1)
    assert bounds == aided_bounds and not np.array_equal(plain.params.flat, aided.params.flat)
    aided.params.flat[:] = plain.params.flat
    assert aided.test_bound() == plain.test_bound()


def test_three_ways_to_weigh_the_divergence_with_zero(digits):
    """A beta of 0, the beginning of annealing, and more free bits than there are."""
    first, second, third = (
        after(Training(replace(SMALL, **aids), digits, 1), 1)[0].params.flat
        for aids in ({"beta": 0.0}, {"anneal": 3}, {"free_bits": 1e9})
    )
    np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(first, third)


def test_the_most_probable_parameters_are_nearer_to_zero(digits):
    """One step along the gradient of (sum of bounds + log p(theta)) / N; and what it does in the long run."""
    sgd = replace(SMALL, optimiser="sgd", learning_rate=0.01)
    plain, decayed = (after(Training(replace(sgd, weight_prior=s), digits, 1), 1)[0].params.flat for s in (0.0, 0.1))
    start = Training(sgd, digits, 1).params.flat
    np.testing.assert_allclose(decayed, plain - 0.01 * start / (0.1**2 * len(digits.train)), rtol=1e-12, atol=1e-15)
    ends = [after(Training(replace(SMALL, weight_prior=s), digits, 1), 60)[0].params.flat for s in (0.0, 0.1)]
    assert np.linalg.norm(ends[1]) < 0.97 * np.linalg.norm(ends[0])


def test_aids_that_do_nothing_change_nothing(digits):
    """Annealing that is over, and free bits of which all dimensions have more."""
    plain = after(Training(SMALL, digits, 1), 3)[0]
    np.testing.assert_array_equal(
        after(Training(replace(SMALL, free_bits=1e-12), digits, 1), 3)[0].params.flat, plain.params.flat
    )


@pytest.mark.parametrize("settings", [replace(SMALL, anneal=3), replace(FEEDBACK, word_dropout=0.5, anneal=1)])
@pytest.mark.parametrize("steps", [2, 5])
def test_a_run_is_resumed_in_the_middle_of_annealing(settings, steps, digits):
    whole, _ = after(Training(settings, digits, 1), 7)
    begun, _ = after(Training(settings, digits, 1), steps)
    arrays, state = begun.state()
    resumed = Training(settings, digits, 1)
    resumed.restore({name: array.copy() for name, array in arrays.items()}, state)
    after(resumed, 7 - steps)
    np.testing.assert_array_equal(resumed.params.flat, whole.params.flat)


def test_word_dropout_hides_whole_steps_in_training_alone(digits):
    training = Training(replace(FEEDBACK, word_dropout=0.3), digits, 1)
    x = np.random.default_rng(0).random((500, 64))
    given = training._given(x).reshape(500, 8, 8)
    hidden = (given == 0).all(axis=2)
    np.testing.assert_array_equal(given[~hidden], x.reshape(500, 8, 8)[~hidden])
    assert abs(hidden.mean() - 0.3) < 5 * np.sqrt(0.3 * 0.7 / 4000)  # five standard errors
    np.testing.assert_array_equal(training._given(x), given.reshape(500, 64))  # a function of the step
    training.step = 1
    assert not np.array_equal(training._given(x), given.reshape(500, 64))
    plain = Training(FEEDBACK, digits, 1)
    assert plain._given(x) is None and plain.test_bound() == training.test_bound()
    with training.crew, plain.crew:
        first, second = (each.run_epoch() for each in (plain, training))
    assert first != second


def test_the_protocol_names_the_aids():
    assert "trained with" not in protocol(SMALL)
    words = "trained with beta = 4, annealed over 10 epochs, 0.5 nats free in each dimension, "
    assert words in protocol(replace(SMALL, beta=4.0, anneal=10, free_bits=0.5))
    assert "trained with beta = 1, annealed over 10 epochs, " in protocol(replace(SMALL, anneal=10))
    assert "trained with 0.5 nats free in each dimension, " in protocol(replace(SMALL, free_bits=0.5))
    assert "gru (units 5, directions 2, feedback, word dropout 0.1) 2" in protocol(replace(FEEDBACK, word_dropout=0.1))


@pytest.mark.parametrize("aids", [{"beta": 2.0}, {"anneal": 1}, {"free_bits": 0.1}], ids=str)
def test_aids_are_refused_where_there_is_no_closed_form(aids):
    for others in (
        {"kl": "sampled"},
        {"kl": "sampled", "objective": "iwae"},
        {"kl": "sampled", "latent": (3, 2), "hidden": ((3,), (3,))},
        {"kl": "sampled", "prior": "vamp"},
    ):
        with pytest.raises(UserError, match="--beta, --anneal and --free-bits"):
            require_sense(replace(SMALL, **aids, **others))
    require_sense(replace(SMALL, **aids))


def test_word_dropout_needs_feedback():
    with pytest.raises(UserError, match=r"--word-dropout 0\.5 hides what is fed back"):
        require_sense(replace(FEEDBACK, feedback=False, word_dropout=0.5))


def test_data_that_are_no_symbols_are_refused(digits):
    symbols = np.eye(8, dtype=bool)[np.random.default_rng(0).integers(0, 8, (60, 8))].reshape(60, 64)
    settings = replace(GRU, units=3, likelihood="categorical", batch_size=20)
    good = replace(digits, train=symbols, test=symbols[:10], train_labels=None, test_labels=None)
    assert np.isfinite(Training(settings, good, 1).run_epoch())
    empty = symbols.copy()
    empty[5, :8] = False
    twice = symbols.copy()
    twice[5, :8] = True
    for wrong in ({"train": empty}, {"test": twice}, {"train": symbols.astype(np.float32) / 2}):
        with pytest.raises(DataError, match="is not of symbols: the categorical likelihood takes each 8"):
            Training(settings, replace(good, **wrong), 1)


def test_a_model_of_symbols_starts_from_their_shares(digits):
    rows = np.eye(4, dtype=bool)[np.random.default_rng(0).choice(4, (200, 16), p=[0.5, 0.3, 0.2, 0])].reshape(200, 64)
    data = replace(digits, train=rows, test=rows[:10], train_labels=None, test_labels=None, data_shape=(16, 4))
    training = Training(replace(GRU, units=3, likelihood="categorical", batch_size=20), data, 1)
    shares = rows.reshape(-1, 4).mean(axis=0)
    bias = training.model.output_bias(training.params)
    np.testing.assert_allclose(bias, np.log(np.maximum(shares, 0.001)), rtol=1e-5)
