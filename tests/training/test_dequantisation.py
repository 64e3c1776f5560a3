"""Dequantised levels: uniform in their cells, the same at every time, and counted in the bits of the levels."""

import dataclasses
import math

import numpy as np
import pytest
from scipy import stats

from tests.commands import call
from tinyvae import VAE, evaluate, load
from tinyvae.data import datasets
from tinyvae.data.datasets import Dataset
from tinyvae.disk.run import Run
from tinyvae.errors import DataError
from tinyvae.machine.noise import Stream
from tinyvae.settings import Settings
from tinyvae.training import dequantisation
from tinyvae.training.loop import Training
from tinyvae.training.protocol import bits_per_dimension, quantity

QUICK = ("--epochs", 1, "--hidden", 8, "--latent", 2, "--likelihood", "gaussian", "--dequantise", "--quiet")
SMALL = Settings(latent=(2,), hidden=((8,),), epochs=2, batch_size=20, likelihood="gaussian", dequantise=True)


def dataset(n=60, seed=0):
    images = np.random.default_rng(seed).integers(0, 256, (n, 16), np.uint8)
    return Dataset("toy", images, images[:30], None, None, (4, 4), "0" * 64)


def test_the_noise_is_uniform_in_the_cell_of_each_level():
    levels = np.repeat(np.array([[0, 17, 255]], np.uint8), 20_000, axis=0)
    x = dequantisation.draw(levels, 1, Stream.DEQUANTISATION, dtype=np.float64)
    assert (np.floor(256 * x) == levels).all() and x.min() >= 0 and x.max() < 1
    for column in (256 * x - levels).T:
        assert stats.kstest(column, "uniform").pvalue > 1e-3
    np.testing.assert_allclose(dequantisation.centres(levels[:1], np.float64)[0], (levels[0] + 0.5) / 256)


def test_a_test_example_is_drawn_once_and_a_training_example_at_every_visit():
    data = dataset()
    states = [Training(dataclasses.replace(SMALL, seed=seed), data, 1) for seed in (0, 0)]
    np.testing.assert_array_equal(states[0].dataset.test, states[1].dataset.test)
    assert states[0].dataset.test.dtype == np.float32 and states[0].dataset.train is data.train
    rows = np.arange(20)
    first = states[0]._examples(rows)
    np.testing.assert_array_equal(first, states[0]._examples(rows))
    states[0].step += 1
    assert (first != states[0]._examples(rows)).mean() > 0.99
    assert (np.floor(256 * first) == data.train[:20]).all()


def test_what_the_density_promises_a_level_is_a_bound_on_its_probability():
    """One dimension, a Gaussian: E_u[log p((v + u) / 256)] - log 256 is at most the log of what it has in the cell."""
    density = stats.norm(0.4, 0.01)
    for v in (90, 98, 102, 108, 115):
        u = (np.arange(2000) + 0.5) / 2000
        bound = density.logpdf((v + u) / 256).mean() - np.log(dequantisation.LEVELS)
        assert bound <= np.log(density.sf(v / 256) - density.sf((v + 1) / 256)) + 1e-9


def test_a_uniform_density_needs_eight_bits():
    fitted = Training(SMALL, dataset(), 1).fitted
    assert bits_per_dimension(fitted, dataset().test, 0.0) == 8
    assert bits_per_dimension(fitted, dataset().test, 16 * math.log(2)) == pytest.approx(7)


def test_the_protocol_the_history_and_the_evaluation_say_so(tmp_path):
    np.save(tmp_path / "levels.npy", dataset(80).train)
    result = call(tmp_path / "levels.npy", *QUICK[:-1], "--out", tmp_path / "run")
    assert result.returncode == 0, result.stderr
    assert "uniform dequantisation" in " ".join(result.stdout.split()) and "bits per dimension" in result.stdout
    run = Run.open(tmp_path / "run")
    (row,) = run.history()
    assert row["test_bits_per_dimension"] == pytest.approx(8 - row["test_bound"] / 16 / np.log(2))
    result = call(tmp_path / "run", "--samples", 20, "--quiet", main=evaluate.main)
    found = run.read_json("evaluation.json")
    assert found["bits_per_dimension"] == pytest.approx(8 - found["log_likelihood"] / 16 / np.log(2))
    fitted, images = load(tmp_path / "run"), dataset().test
    assert quantity(fitted, images) == "log p(x), the density of dequantised levels"
    np.testing.assert_array_equal(fitted.rows(images), dequantisation.centres(images, np.float32))


def test_the_levels_themselves_are_judged_as_in_an_evaluation(tmp_path):
    """By ``load``, to the last bit; by an estimator with noise of its own, which is worth a nat here. The middles of
    the cells, which no noise has moved, are another thing.
    """
    levels = np.full((400, 16), 200, np.uint8)  # of which most never change
    levels[:, :4] = np.random.default_rng(0).integers(0, 256, (400, 4))
    np.save(tmp_path / "levels.npy", levels)
    words = "--epochs", 100, "--hidden", 8, "--latent", 2, "--lr", 0.02, "--likelihood", "gaussian", "--dequantise"
    assert call(tmp_path / "levels.npy", *words, "--quiet", "--out", tmp_path / "run").returncode == 0
    assert call(tmp_path / "run", "--samples", 20, "--quiet", main=evaluate.main).returncode == 0
    each = Run.open(tmp_path / "run").read_json("evaluation.json")["each"]
    test = np.asarray(datasets.load(tmp_path / "levels.npy").test)
    fitted, vae = load(tmp_path / "run"), VAE.from_run(tmp_path / "run").set_params(n_importance_samples=20)
    np.testing.assert_allclose(fitted.log_likelihood(test, samples=20), each, atol=1e-4)
    assert vae.score(test) == pytest.approx(np.mean(each), abs=1)
    assert vae.score(dequantisation.centres(test, np.float32)) > np.mean(each) + 2
    assert vae.partial_fit(levels).settings_.dequantise


def test_resumed_it_is_the_same(tmp_path):
    np.save(tmp_path / "levels.npy", dataset(80).train)
    words = (tmp_path / "levels.npy", *QUICK, "--schedule", "constant", "--threads", 1)
    for name, epochs in (("whole", 2), ("parts", 1)):
        assert call(*words, "--epochs", epochs, "--out", tmp_path / name).returncode == 0
    assert call("--resume", tmp_path / "parts", "--epochs", 2, "--quiet").returncode == 0
    whole, parts = (Run.open(tmp_path / name).history() for name in ("whole", "parts"))
    assert [row["test_bound"] for row in whole] == [row["test_bound"] for row in parts]


def test_a_mapped_file_is_drawn_as_an_array_is(tmp_path):
    np.save(tmp_path / "levels.npy", dataset(80).train.reshape(80, 4, 4))
    mapped = datasets.load(tmp_path / "levels.npy")
    whole = dataclasses.replace(mapped, train=np.asarray(mapped.train), test=np.asarray(mapped.test))
    drawn = [dequantisation.dequantise(data).test for data in (mapped, whole)]
    np.testing.assert_array_equal(np.asarray(drawn[0]), drawn[1])


@pytest.mark.parametrize("likelihood", ["bernoulli", "logistic-mixture"])
def test_it_is_refused_where_levels_have_probabilities(likelihood, tmp_path):
    result = call("digits", "--likelihood", likelihood, "--dequantise", "--out", tmp_path / "run")
    assert result.returncode == 2 and f"--likelihood {likelihood} gives probabilities to levels" in result.stderr
    result = call("digits", "--likelihood", "gaussian", "--binarise", "static", "--dequantise", "--out", tmp_path)
    assert result.returncode == 2 and "draws bits: leave one of them out" in result.stderr


def test_values_that_are_no_levels_are_refused():
    with pytest.raises(DataError, match="--dequantise needs grey levels or colours as uint8, and toy holds float64"):
        Training(SMALL, dataclasses.replace(dataset(), train=np.zeros((30, 16))), 1)
