"""Drawing sequences: how often each comes, against its exact probability."""

import itertools

import numpy as np
import pytest

from tinyvae.derivation.generation import generate
from tinyvae.derivation.model import Model
from tinyvae.derivation.parameters import Parameters

T, V, N = 3, 3, 40_000
ALL = np.array(list(itertools.product(range(V), repeat=T)))


def tiny_model(**options):
    """A model with random parameters."""
    model = Model((T, V), (2,), ((),), "categorical", units=4, **{"network": "gru"} | options)
    params = Parameters(model.shapes(), dtype=np.float64)
    params.flat[:] = np.random.default_rng(0).standard_normal(params.flat.size)
    return model, params


class Alternating:
    """A grammar: from an even place 0 or 1 may come, from an odd one 1 or 2."""

    def __init__(self, n):
        self.n, self.steps, self.seen = n, 0, []

    def allowed(self):
        return np.tile([[True, True, False], [False, True, True]][self.steps % 2], (self.n, 1))

    def advance(self, symbols):
        assert self.allowed()[np.arange(self.n), symbols].all()
        self.steps += 1
        self.seen.append(symbols)


def frequencies(symbols):
    """How often each of all sequences is there, as a share."""
    return np.array([(symbols == sequence).all(axis=1).mean() for sequence in ALL])


def assert_frequencies(symbols, p):
    """Within five standard errors."""
    assert np.all(np.abs(frequencies(symbols) - p) <= 5 * np.sqrt(p * (1 - p) / len(symbols)))


OPTIONS = [{}, {"feedback": True}, {"n_labels": 2, "feedback": True}, {"network": "mlp"}]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_sequences_come_as_often_as_they_are_probable(options):
    """The probabilities are those that the likelihood gives to all 27 sequences."""
    model, params = tiny_model(**options)
    z, y = np.array([[0.5, -1.0]]), (np.array([1]) if model.n_labels else None)
    many = None if y is None else np.repeat(y, len(ALL))
    x = np.eye(V)[ALL].reshape(len(ALL), -1)
    p = np.exp(model.joint(params, x, [z.repeat(len(ALL), axis=0)], many)[0][:, 0])
    assert p.sum() == pytest.approx(1, rel=1e-12)
    u = np.random.default_rng(1).random((N, T))
    symbols = generate(model, params, z.repeat(N, axis=0), u, None if y is None else np.repeat(y, N))
    assert_frequencies(symbols, p)


@pytest.mark.parametrize("feedback", [False, True])
def test_a_walk_says_what_is_allowed(feedback):
    """Each step is renormalised over what is allowed there, given what was drawn before."""
    model, params = tiny_model(feedback=feedback)
    z, walk = np.array([[0.5, -1.0]]), Alternating(N)
    symbols = generate(model, params, z.repeat(N, axis=0), np.random.default_rng(2).random((N, T)), walk=walk)
    np.testing.assert_array_equal(np.stack(walk.seen, axis=1), symbols)
    p = []
    for sequence in ALL:
        x = np.eye(V)[sequence].reshape(1, -1)
        logits = model.decoders[0].forward(params.part("decoder"), z, np.empty((1, 0)), x)[0].reshape(T, V)
        allowed = np.array([[True, True, False], [False, True, True], [True, True, False]])
        steps = np.exp(logits) * allowed / (np.exp(logits) * allowed).sum(axis=1, keepdims=True)
        p.append(np.prod(steps[range(T), sequence]))
    assert sum(p) == pytest.approx(1)
    assert_frequencies(symbols, np.array(p))


@pytest.mark.parametrize("feedback", [False, True])
def test_the_most_probable_symbol_at_each_step(feedback):
    model, params = tiny_model(feedback=feedback)
    z = np.random.default_rng(3).standard_normal((5, 2))
    symbols = generate(model, params, z)
    x = np.eye(V)[symbols].reshape(5, -1)
    logits = model.decoders[0].forward(params.part("decoder"), z, np.empty((5, 0)), x)[0].reshape(5, T, V)
    np.testing.assert_array_equal(symbols, logits.argmax(axis=2))


def test_what_has_no_probability_is_never_drawn():
    """Not at the ends of the unit interval either."""
    model, params = tiny_model()
    for u in (0.0, 1 - 2.0**-24, 1 - 2.0**-53):
        symbols = generate(model, params, np.zeros((2, 2)), np.full((2, T), u), walk=Alternating(2))
        assert (symbols[:, ::2] < 2).all() and (symbols[:, 1] > 0).all()


def test_the_mean_with_feedback_feeds_back_the_means():
    model, params = tiny_model(feedback=True)
    z = np.random.default_rng(4).standard_normal((2, 2))
    mean = model.decode(params, z)
    np.testing.assert_allclose(mean.reshape(2, T, V).sum(axis=2), 1)
    given = model.decoders[0].forward(params.part("decoder"), z, np.empty((2, 0)), mean)[0]
    np.testing.assert_allclose(model.decode_outputs(params, z), given)


def test_what_cannot_be_drawn_is_refused():
    model, params = tiny_model(groups=(0, 0, 1))
    with pytest.raises(ValueError, match="a walk has to say from which"):
        generate(model, params, np.zeros((2, 2)))
    walk = Alternating(2)
    walk.allowed = lambda: np.zeros((2, V), bool)
    with pytest.raises(ValueError, match="a walk must allow a symbol in each row"):
        generate(model, params, np.zeros((2, 2)), walk=walk)
    model, params = tiny_model()
    with pytest.raises(ValueError, match="are needed, not"):
        generate(model, params, np.zeros((2, 2)), np.zeros((2, T + 1)))
    for u in (1.0, -0.1, np.nan):
        with pytest.raises(ValueError, match="u from 0 to below 1 are needed"):
            generate(model, params, np.zeros((2, 2)), np.full((2, T), u))
    bernoulli = Model((T, V), (2,), ((),), network="gru", units=2)
    with pytest.raises(ValueError, match="symbols"):
        generate(bernoulli, Parameters(bernoulli.shapes()), np.zeros((2, 2), np.float32))


def test_the_mean_with_feedback_of_several_numbers_for_each_entry():
    """A Gaussian's two: each step's stand beside each other, and the steps one after the other."""
    model = Model((T, V), (2,), ((),), "gaussian", network="gru", units=4, feedback=True)
    params = Parameters(model.shapes(), dtype=np.float64)
    params.flat[:] = np.random.default_rng(0).standard_normal(params.flat.size)
    z = np.random.default_rng(4).standard_normal((2, 2))
    told = model.decoders[0].forward(params.part("decoder"), z, np.empty((2, 0)), model.decode(params, z))[0]
    np.testing.assert_allclose(model.decode_outputs(params, z), told)
