"""A trained model to hand around: each method is what the Model says, and a run's folder, old or new, gives it back."""

import json
import math
import pickle
from copy import deepcopy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import tinyvae
from tests.commands import assert_misuse, call
from tinyvae import evaluate, machine
from tinyvae.data import datasets
from tinyvae.disk.run import Run
from tinyvae.errors import RunError
from tinyvae.machine import noise
from tinyvae.machine.noise import Stream
from tinyvae.settings import Settings
from tinyvae.training import evaluation, fitted, importance_sampling, opening
from tinyvae.training.loop import Training

RESULTS = Path(__file__).parents[2] / "results/runs"
SMALL = Settings(latent=(3,), hidden=((16,),), batch_size=50, epochs=2, learning_rate=0.01, seed=5)
MODELS = {
    "plain": SMALL,
    "float64, gaussian": replace(SMALL, dtype="float64", likelihood="gaussian"),
    "conditional": replace(SMALL, conditional=True, prior="label"),
    "mixture": replace(SMALL, prior="mixture", components=4, kl="sampled"),
    "conditional, vamp": replace(SMALL, conditional=True, prior="vamp", components=4, kl="sampled"),
    "two layers": replace(SMALL, latent=(4, 2), hidden=((16,), (8,)), kl="sampled"),
    "conditional, two layers": replace(
        SMALL, latent=(4, 2), hidden=((16,), (8,)), kl="sampled", conditional=True, objective="iwae", samples=2
    ),
}


@pytest.fixture(scope="module")
def digits():
    return datasets.load("digits")


@pytest.fixture(scope="module", params=MODELS)
def model(request, digits):
    """A Fitted, and the labels of the test images for those that want them."""
    training = Training(MODELS[request.param], digits)
    for _ in range(training.settings.epochs):
        training.run_epoch()
    return training.fitted, training.labels(digits.test_labels, slice(None))


@pytest.fixture(scope="module")
def plain(digits):
    return Training(SMALL, digits).fitted


@pytest.fixture(scope="module")
def conditional(digits):
    return Training(MODELS["conditional"], digits).fitted


# ---- each method beside the Model


def test_encode_and_decode_are_the_model_s(model, digits):
    trained, y = model
    x = digits.test.astype(trained.params.flat.dtype)
    with machine.crew():
        mu, logvar = trained.model.encode(trained.params, x, y)
        mean = trained.model.decode(trained.params, mu, y=y)
    for images in (digits.test, digits.test.reshape(-1, 8, 8)):
        np.testing.assert_array_equal(trained.encode(images, y), (mu, logvar))
    decoded = trained.decode(mu, y)
    assert decoded.shape == (180, 8, 8) and decoded.dtype == trained.params.flat.dtype
    np.testing.assert_array_equal(decoded.reshape(180, 64), mean)


def test_sample_decodes_the_prior_s_samples(model):
    trained, labels = model
    y = None if labels is None else labels[:30]
    shapes, dtype = trained.model.noise_shapes(30, 1), trained.params.flat.dtype
    *below, top = noise.layers(shapes, 5, Stream.PICTURES, dtype=dtype)
    u = noise.uniform((30, 1, 1), 5, Stream.COMPONENTS, dtype=dtype)[:, 0, 0]
    with machine.crew():
        z = trained.model.sample_prior(trained.params, top[:, 0], u, y)
        expected = trained.model.decode(trained.params, z, below, y).reshape(30, 8, 8)
    np.testing.assert_array_equal(trained.sample(30, y), expected)
    np.testing.assert_array_equal(trained.sample(30, y, seed=5), expected)
    assert not np.allclose(trained.sample(30, y, seed=6), expected)


def test_neighbours_share_their_noise_in_all_layers(model, monkeypatch):
    """Under one label for all they are the same images, up to the rounding of products in another place of a tile."""
    trained, labels = model
    y = None if labels is None else np.full(11, 3)
    shared, own = trained.sample(11, y, share=4), trained.sample(3, None if y is None else y[:3])
    np.testing.assert_allclose(shared, np.repeat(own, 4, axis=0)[:11], rtol=1e-5)
    monkeypatch.setattr(fitted, "ROWS", 4)
    np.testing.assert_allclose(trained.sample(11, y, share=4), shared, rtol=1e-5)


def test_log_likelihood_is_the_evaluation_s(model, digits):
    trained, y = model
    values = trained.log_likelihood(digits.test, y, samples=60)
    assert values.shape == (180,) and values.dtype == np.float64
    with machine.crew():  # without which BLAS has its own threads, and with some kernels other last bits
        direct = importance_sampling.log_likelihood(trained.model, trained.params, 5, digits.test, y, 60)
    np.testing.assert_array_equal(values, direct["log_likelihood"])
    results = evaluation.evaluate(trained, digits.test, digits.test_labels, 60)
    assert results["log_likelihood"] == values.mean() and results["n_images"] == 180
    np.testing.assert_array_equal(trained.log_likelihood(digits.test.reshape(-1, 8, 8), y, 60), values)


def test_more_examples_than_are_computed_at_a_time(model, digits):
    trained, y = model
    many = np.resize(digits.test, (2 * fitted.ROWS + 70, 64))
    labels = None if y is None else np.resize(y, len(many))
    mu, logvar = trained.encode(many, labels)
    assert mu.shape == logvar.shape == (len(many), trained.model.latent[0])
    for n in (0, 999, 1000, 1999, 2000, 2069):  # on both sides of every cut
        alone = trained.encode(many[n : n + 1], None if y is None else labels[n : n + 1])
        np.testing.assert_allclose((mu[n : n + 1], logvar[n : n + 1]), alone, rtol=1e-4, atol=1e-5)
        decoded = trained.decode(mu[n : n + 1], None if y is None else labels[n : n + 1])
        np.testing.assert_allclose(trained.decode(mu, labels)[n : n + 1], decoded, rtol=1e-5, atol=1e-7)
    values = trained.log_likelihood(many, labels, samples=2)
    assert values.shape == (len(many),) and np.isfinite(values).all()


def test_samples_do_not_depend_on_how_many_are_computed_at_a_time(model, monkeypatch):
    trained, labels = model
    y = None if labels is None else labels[:50]
    expected = trained.sample(50, y)
    monkeypatch.setattr(fitted, "ROWS", 7)
    np.testing.assert_allclose(trained.sample(50, y), expected, rtol=1e-5, atol=1e-7)


def test_the_threads_change_nothing(model, digits):
    trained, y = model

    def numbers():
        mu, logvar = trained.encode(digits.test, y)
        return mu, logvar, trained.decode(mu, y), trained.sample(180, y), trained.log_likelihood(digits.test, y, 9)

    expected = numbers()
    for n in (1, 3):
        with machine.crew(n):
            for one, other in zip(numbers(), expected):
                np.testing.assert_array_equal(one, other)


def test_a_copy_is_the_same_model(model, digits):
    trained, y = model
    expected = trained.encode(digits.test, y)  # what stands behind the names was looked up now
    for copy in (pickle.loads(pickle.dumps(trained)), deepcopy(trained)):
        assert copy.model == trained.model and copy.settings == trained.settings
        np.testing.assert_array_equal(copy.encode(digits.test, y), expected)
        np.testing.assert_array_equal(copy.sample(180, y), trained.sample(180, y))
        copy.params["encoder.0.W"][0, 0] += 1
        assert copy.params.flat[0] == trained.params.flat[0] + np.float32(1)  # still views of one vector, its own


# ---- what goes in


def test_grey_levels_bits_and_floats_are_intensities(plain, digits):
    levels, bits = np.uint8(255 * digits.test), digits.test > 0.5
    for images, intensities in ((levels, levels / np.float32(255)), (bits, np.float32(bits))):
        for given in (intensities, intensities.astype(np.float64), intensities.reshape(-1, 8, 8)):
            np.testing.assert_array_equal(plain.encode(images), plain.encode(given))
            np.testing.assert_array_equal(
                plain.log_likelihood(images, samples=4), plain.log_likelihood(given, samples=4)
            )


def test_parts_of_arrays_and_lists_will_do(plain, conditional, digits):
    mu, _ = plain.encode(digits.test)
    np.testing.assert_array_equal(plain.encode(digits.test[::-2])[0], plain.encode(digits.test[::-2].copy())[0])
    np.testing.assert_array_equal(plain.encode(np.asfortranarray(digits.test))[0], mu)
    np.testing.assert_array_equal(plain.encode(digits.test.tolist())[0], mu)
    np.testing.assert_array_equal(plain.decode(mu[::3]), plain.decode(mu[::3].tolist()))
    y = [3, 1, 4]
    np.testing.assert_array_equal(conditional.sample(3, y), conditional.sample(3, np.array(y)))
    np.testing.assert_array_equal(
        conditional.log_likelihood(digits.test[:3], y, 5), conditional.log_likelihood(digits.test[:3], np.array(y), 5)
    )


def test_labels_may_be_whatever_numpy_takes_for_an_array(conditional, digits):
    class Tensor:
        def __array__(self, dtype=None, copy=None):
            return np.array([3, 1, 4], dtype)

    for method in (conditional.encode, conditional.log_likelihood):
        np.testing.assert_array_equal(method(digits.test[:3], Tensor()), method(digits.test[:3], np.array([3, 1, 4])))


def test_models_can_be_told_apart_and_kept_in_a_set(plain, conditional):
    assert plain == plain != conditional and len({plain, conditional, plain}) == 2
    assert plain != replace(plain)  # another, though of the same numbers


def test_a_value_that_the_model_s_floats_cannot_hold_is_refused(digits):
    """Of which a model in float32 would make infinity, and of that a density of zero."""
    linear = Training(replace(SMALL, likelihood="gaussian-linear"), digits).fitted
    images = digits.test[:3].astype(np.float64)
    images[1, 5] = -1e39
    for method in (linear.encode, linear.log_likelihood):
        with pytest.raises(ValueError, match=r"images have a value of -1e\+39, which is too large for float32"):
            method(images)


def test_no_example_is_no_error_where_there_is_nothing_to_estimate(plain, digits):
    assert [array.shape for array in plain.encode(digits.test[:0])] == [(0, 3), (0, 3)]
    assert plain.decode(np.zeros((0, 3))).shape == plain.sample(0).shape == (0, 8, 8)
    for images, samples in ((digits.test[:0], 5), (digits.test, 0)):
        with pytest.raises(ValueError, match=f"at least, not {len(images)} and {samples}"):
            plain.log_likelihood(images, samples=samples)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ([0, 255], "from 0 to 255, but the bernoulli likelihood describes values from 0 to 1"),
        ([-0.5, 0.5], "from -0.5 to 0.5"),
        ([0.5, np.nan], "not finite"),
        ([0.5, np.inf], "not finite"),
    ],
)
def test_values_that_the_likelihood_does_not_describe_are_refused(plain, values, words):
    """A density of them would be of nothing: of 10 (1 - 2 p) nats above 0 in the second case."""
    images = np.full((2, 8, 8), 0.5)
    images[1, 3, 4:6] = values
    images[0, 0, 0] = values[0]
    for method in (plain.encode, plain.log_likelihood):
        with pytest.raises(ValueError, match=words):
            method(images)


@pytest.mark.parametrize("likelihood", ["logistic", "logistic-mixture"])
def test_a_likelihood_of_levels_takes_no_number_between_them(likelihood, digits):
    train, test = (np.rint(images * 255).astype(np.uint8) for images in (digits.train, digits.test))
    trained = Training(replace(SMALL, likelihood=likelihood), replace(digits, train=train, test=test)).fitted
    levels = test[:3] / 255
    for method in (trained.encode, trained.log_likelihood):
        method(levels)
        with pytest.raises(ValueError, match=f"^images have values between the 256 levels .* the {likelihood} "):
            method(np.clip(levels + 0.3 / 255, 0, 1))


@pytest.mark.parametrize(
    ("ask", "words"),
    [
        (lambda plain: plain.sample(-1), "n=-1: a whole number that is not below zero is needed"),
        (lambda plain: plain.sample("3"), "n='3'"),
        (lambda plain: plain.sample(3, share=0), "share=0: a whole number above zero is needed"),
        (lambda plain: plain.sample(3, seed=-1), "seed=-1"),
        (lambda plain: plain.sample(3, seed=2**64), "from 0 to 2"),
        (lambda plain: plain.sample(3, seed=0.5), "seed=0.5"),
        (lambda plain: plain.decode(np.full((2, 3), np.nan)), "z has a value that is not finite"),
        (lambda plain: plain.decode(np.full((2, 3), 1j)), "z has complex numbers"),
        (lambda plain: plain.decode(np.full((2, 3), 1e39)), "not finite in float32, in which this model computes"),
        (lambda plain: plain.log_likelihood(np.zeros((2, 64)), samples="3"), "samples='3'"),
        (lambda plain: plain.encode(np.ma.masked_equal(np.eye(64), 1)), "images have masked values"),
    ],
)
def test_numbers_that_mean_nothing_are_refused(plain, ask, words):
    with pytest.raises(ValueError, match=words):
        ask(plain)


@pytest.mark.parametrize(
    "images", [np.zeros((5, 65)), np.zeros((5, 8, 7)), np.zeros((5, 8, 8, 1)), np.zeros((8, 8)), np.zeros(64), 0.5]
)
def test_images_of_another_shape_are_refused(plain, images):
    for method in (plain.encode, plain.log_likelihood):
        with pytest.raises(ValueError, match=r"^images \(N, 8, 8\) or \(N, 64\) are needed, not \("):
            method(images)


@pytest.mark.parametrize("dtype", [np.int64, np.uint16, complex, object, str])
def test_images_of_an_unknown_scale_are_refused(plain, dtype):
    with pytest.raises(ValueError, match=r"images of uint8 \(grey levels 0 to 255\), bool or floats are needed, not"):
        plain.encode(np.zeros((5, 64), dtype))


@pytest.mark.parametrize("z", [np.zeros((5, 4)), np.zeros(3), np.zeros((5, 1, 3))])
def test_latent_values_of_another_shape_are_refused(plain, z):
    with pytest.raises(ValueError, match=r"^z \(N, 3\) are needed, not "):
        plain.decode(z)


METHODS = {
    "encode": lambda model, y: model.encode(np.zeros((2000, 64)), y),
    "decode": lambda model, y: model.decode(np.zeros((2000, 3)), y),
    "sample": lambda model, y: model.sample(2000, y),
    "log_likelihood": lambda model, y: model.log_likelihood(np.zeros((2000, 64)), y, 1),
}


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
def test_labels_that_do_not_fit_are_refused(plain, conditional, method):
    """2000 examples: twice as many as are computed at a time, and one label more belongs to none of them."""
    with pytest.raises(ValueError, match="labels y are given, and the model has none"):
        method(plain, np.zeros(2000, int))
    for y, message in [
        (None, "a model of 10 labels needs y"),
        (3, r"labels y \(2000,\) of whole numbers are needed, not \(\)"),
        (np.zeros(2001, int), r"labels y \(2000,\) of whole numbers are needed, not \(2001,\)"),
        (np.zeros(1000, int), r"not \(1000,\)"),
        (np.zeros((2000, 1), int), r"not \(2000, 1\)"),
        (np.zeros(2000), "whole numbers are needed, not .* of float64"),
        (np.full(2000, 10), "labels y from 0 to 9 are needed, not from 10 to 10"),
        (np.full(2000, -1), "not from -1 to -1"),
    ]:
        with pytest.raises(ValueError, match=message):
            method(conditional, y)


# ---- a run's folder


COMMANDS = {
    "plain": ("--latent", 3),
    "conditional": ("--latent", 3, "--conditional", "--prior", "label"),
    "conditional, vamp": ("--latent", 3, "--conditional", "--prior", "vamp", "--components", 4),
    "two layers": ("--latent", 4, 2, "--hidden", 16, 8),
    "gaussian, float64": ("--latent", 3, "--likelihood", "gaussian", "--dtype", "float64"),
}


def trained(path, *words, source="digits"):
    """The folder of a small run of the command."""
    result = call(source, "--hidden", 16, *words, "--epochs", 2, "--limit", 300, "--out", path, "--quiet")
    assert result.returncode == 0, result.stderr
    return path


@pytest.mark.parametrize("words", COMMANDS.values(), ids=COMMANDS)
def test_load_gives_what_the_command_trained(words, no_pictures, tmp_path, digits):
    path = trained(tmp_path / "run", *words)
    loaded, run = tinyvae.load(path), Run.open(path)
    training = Training(loaded.settings, datasets.load("digits", limit=300))
    for _ in range(2):
        training.run_epoch()
    assert loaded.model == training.model and loaded.settings == training.settings and loaded.data_shape == (8, 8)
    np.testing.assert_array_equal(loaded.params.flat, training.params.flat)
    assert loaded.params.flat.size == run.config()["parameters"]
    y = training.labels(digits.test_labels, slice(None))
    assert call(path, "--samples", 20, "--quiet", main=evaluate.main).returncode == 0
    mean = loaded.log_likelihood(digits.test, y, 20).mean()
    assert run.read_json("evaluation.json")["log_likelihood"] == mean


def test_load_needs_no_data(no_pictures, tmp_path):
    images = np.random.default_rng(0).random((120, 6, 5))
    np.save(tmp_path / "mine.npy", images)
    path = trained(tmp_path / "run", source=tmp_path / "mine.npy")
    (tmp_path / "mine.npy").unlink()
    assert tinyvae.load(str(path)).encode(images)[0].shape == (120, 20)


def test_load_says_what_is_missing_or_does_not_go_together(no_pictures, tmp_path):
    path = trained(tmp_path / "run")
    with pytest.raises(RunError, match="nowhere: there is no such folder"):
        tinyvae.load(tmp_path / "nowhere")
    text = (path / "config.json").read_text()
    for part, name, value in (("settings", "latent", [21]), ("dataset", "data_shape", [8, 9])):
        config = json.loads(text)
        config[part][name] = value
        (path / "config.json").write_text(json.dumps(config))
        with pytest.raises(RunError, match=r"run: the checkpoint does not go with config\.json"):
            tinyvae.load(path)
    (path / "config.json").write_text(text)
    (path / "checkpoint.npz").unlink()
    with pytest.raises(RunError, match="there is no checkpoint"):
        tinyvae.load(path)


def test_a_history_that_differs_in_its_sixth_digit_is_another_run_s(no_pictures, tmp_path):
    """A spreadsheet keeps 15 of them."""
    run = Run.open(trained(tmp_path / "run"))
    rows = run.history()
    run.write_history([*rows[:-1], rows[-1] | {"train_bound": rows[-1]["train_bound"] * (1 + 1e-6)}])
    assert_misuse(call("--resume", run.path, "--epochs", 3), "epoch 2 ended otherwise")
    run.write_history([*rows[:-1], rows[-1] | {"train_bound": rows[-1]["train_bound"] * (1 + 1e-12)}])
    assert call("--resume", run.path, "--epochs", 3, "--quiet").returncode == 0


# ---- pictures of colour


def test_pictures_of_colour_are_trained_on_loaded_and_drawn_in_colour(tmp_path):
    """Small sunsets: each of its own red and blue, without any green, which a mosaic of grey levels would show."""
    rng = np.random.default_rng(0)
    pictures = np.zeros((200, 6, 5, 3))
    pictures[..., 0] = rng.random((200, 1, 1))
    pictures[..., 2] = rng.random((200, 6, 1))
    np.save(tmp_path / "sunsets.npy", np.uint8(255 * pictures))
    words = ("--latent", 2, "--hidden", 16, "--epochs", 30, "--batch-size", 20, "--quiet", "--out", tmp_path / "run")
    result = call(tmp_path / "sunsets.npy", *words)
    assert result.returncode == 0 and result.stderr == "", result.stderr
    run = Run.open(tmp_path / "run")
    assert run.config()["dataset"]["data_shape"] == [6, 5, 3]
    loaded = tinyvae.load(run.path)
    assert loaded.sample(7).shape == (7, 6, 5, 3)
    mu, _ = loaded.encode(np.uint8(255 * pictures))
    decoded = loaded.decode(mu)
    assert decoded.shape == pictures.shape and decoded[..., 1].max() < 0.01
    assert np.corrcoef(decoded[:, 0, 0, 0], pictures[:, 0, 0, 0])[0, 1] > 0.8
    for name in ("samples", "reconstructions", "manifold"):
        with Image.open(run.path / f"figures/{name}.png") as image:
            colours = np.asarray(image.convert("RGB")).astype(int)
        red, green, blue = np.moveaxis(colours, 2, 0)
        inked = np.ptp(colours, axis=2) > 0
        assert inked.mean() > 0.3 and green[inked].max() <= 2, name
        assert np.ptp(red[inked]) > 50 and np.ptp(blue[inked]) > 50
    assert call(run.path, "--samples", 10, "--quiet", main=evaluate.main).returncode == 0


# ---- the runs in results/


@pytest.mark.parametrize("path", sorted(RESULTS.iterdir()), ids=lambda path: path.name)
def test_the_runs_that_were_kept_without_their_checkpoints(path):
    run = Run.open(path)
    settings, about, _ = opening.read_config(run)
    shapes = fitted.build_model(settings, tuple(about["data_shape"]), 0).shapes()
    assert sum(map(math.prod, shapes.values())) == run.config()["parameters"]
    end = 545 if path.name == "aevb-mnist-3-map" else settings.epochs  # that one was stopped (results/README.md)
    assert run.history()[-1]["epoch"] == end == run.read_json("summary.json")["epochs"]
    with pytest.raises(RunError, match="there is no checkpoint"):
        tinyvae.load(path)
