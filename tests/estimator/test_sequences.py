"""Sequences of symbols, and runs of strings."""

import numpy as np
import pytest

import tinyvae
from tests.commands import call
from tests.estimator.models import SMALL, same
from tinyvae import VAE
from tinyvae.data import datasets
from tinyvae.data.datasets import Dataset
from tinyvae.settings import Settings
from tinyvae.training.loop import Training

SEQUENCES = {
    "network": "gru",
    "likelihood": "categorical",
    "units": 8,
    "directions": 1,
    "feedback": True,
    "word_dropout": 0.25,
    "beta": 0.5,
    "anneal": 2,
    "free_bits": 0.1,
    "data_shape": (15, 12),
    "hidden": (),
}


@pytest.fixture(scope="module")
def sequences():
    return datasets.load("expressions", limit=300)


def test_sequences_are_the_command_s_loop_too(sequences):
    X = np.asarray(sequences.train)
    vae = VAE(**SMALL | SEQUENCES, n_importance_samples=20).fit(X)
    names = ("network", "likelihood", "units", "directions", "feedback", "word_dropout", "beta", "anneal", "free_bits")
    settings = Settings(
        **{name: SEQUENCES[name] for name in names}, latent=(3,), hidden=((),), epochs=3, dtype="float32"
    )
    training = Training(settings, Dataset("X", X, X[:0], None, None, (15, 12), ""))
    bounds = [training.run_epoch() for _ in range(3)]
    assert vae.settings_ == settings and [row["train_bound"] for row in vae.history_] == bounds
    np.testing.assert_array_equal(vae.params_.flat, training.params.flat)
    probabilities = vae.inverse_transform(vae.transform(X[:5])).reshape(5, 15, 12)
    np.testing.assert_allclose(probabilities.sum(axis=2), 1, rtol=1e-5)
    assert (vae.score_samples(X[:5]) < 0).all() and vae.sample(2).shape == (2, 180)
    more = VAE(**SMALL | SEQUENCES | {"schedule": "constant", "max_epochs": 1, "anneal": 0}).fit(X).partial_fit(X)
    assert same(more, VAE(**SMALL | SEQUENCES | {"schedule": "constant", "max_epochs": 2, "anneal": 0}).fit(X))


def test_what_is_scored_must_be_symbols_as_what_is_fitted(sequences):
    """A step without one would cost nothing, and an example of such steps have the best score of all."""
    X = np.asarray(sequences.train)
    vae, padded = VAE(**SMALL | SEQUENCES, n_importance_samples=2).fit(X), X[:5].copy()
    padded.reshape(5, 15, 12)[:, -3:] = 0
    for method in (vae.score, vae.score_samples, vae.transform, vae.partial_fit):
        with pytest.raises(ValueError, match="X is not of symbols"):
            method(padded)


@pytest.mark.parametrize("words", [("--free-bits", 0.2), ("--characters", "--feedback", "--word-dropout", 0.25)])
def test_a_run_of_strings_is_an_estimator_and_keeps_its_vocabulary(words, no_pictures, tmp_path):
    words = ("expressions", *words, "--units", 8, "--latent", 3, "--limit", 300, "--schedule", "constant", "--quiet")
    for name, epochs in (("run", 1), ("longer", 2)):
        assert call(*words, "--epochs", epochs, "--out", tmp_path / name).returncode == 0
    vae, loaded = VAE.from_run(tmp_path / "run"), tinyvae.load(tmp_path / "run")
    data = datasets.load("expressions", limit=300, characters="--characters" in words)
    assert vae.fitted_.sample_strings(20) == loaded.sample_strings(20)
    assert same(vae.partial_fit(data.train), VAE.from_run(tmp_path / "longer"))
    vae.write_run(tmp_path / "again")
    assert tinyvae.load(tmp_path / "again").sample_strings(20) == vae.fitted_.sample_strings(20)
    vae.fit(np.asarray(data.train))  # of rows, of which nobody says what they stand for
    assert vae.fitted_.vocabulary is None and not vae.model_.groups


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"data_shape": None}, r'network="gru" needs sequences, .*pass data_shape=\(steps, numbers of a step\)'),
        ({"units": 0}, "units=0: a whole number above zero"),
        ({"directions": 3}, "directions=3: one of 1, 2"),
        ({"feedback": "yes"}, "feedback='yes': one of False, True"),
        ({"feedback": False}, "word_dropout=0.25 hides what is fed back: add feedback, or leave it out"),
        ({"word_dropout": 1.5}, "word_dropout=1.5: a number from 0 to 1"),
        ({"beta": -1}, "beta=-1: a number that is not below zero"),
        ({"free_bits": np.inf}, "free_bits=inf: a finite number"),
        ({"anneal": 1.5}, "anneal=1.5: a whole number"),
        ({"objective": "iwae"}, "beta, anneal and free_bits .* objective elbo, one .* layer and prior normal or label"),
        ({"data_shape": (12, 15)}, "(?s)X is not of symbols: .* takes each 15 numbers .* the shape .steps, symbols."),
    ],
)
def test_sequences_without_sense_are_refused(sequences, changes, message):
    with pytest.raises(ValueError, match=message):
        VAE(**SMALL | SEQUENCES | changes).fit(np.asarray(sequences.train))
