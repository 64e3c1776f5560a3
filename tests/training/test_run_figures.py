"""The figures of a run: what they are given to draw."""

import math
from dataclasses import replace

import numpy as np
import pytest

from tests.training.test_strings import SMALL as STRINGS
from tests.training.test_strings import dataset
from tinyvae.data import datasets
from tinyvae.disk.run import Run
from tinyvae.drawing import curves, maps, mosaics
from tinyvae.settings import Settings
from tinyvae.training import run_figures
from tinyvae.training.loop import Training

SMALL = Settings(latent=(3,), hidden=((8,),), batch_size=20, epochs=1)


def given(monkeypatch, module, name):
    """The [(arguments, options)] of a drawing, after the path, that it is about to be called with; it draws nothing."""
    calls = []
    monkeypatch.setattr(module, name, lambda path, *args, **options: calls.append((args, options)))
    return calls


@pytest.mark.parametrize(
    ("changes", "offset"),
    [
        ({"binarise": "static"}, 0),
        ({"likelihood": "gaussian", "dequantise": True}, 8),
        ({"likelihood": "gaussian"}, None),
    ],
    ids=str,
)
def test_the_curve_counts_in_bits_where_bounds_can_be_counted_so(changes, offset, monkeypatch, tmp_path):
    """L nats are -L / (D log 2) bits per dimension, and 8 more of a density of dequantised levels."""
    data = datasets.load("digits", limit=40)
    data = replace(data, train=np.uint8(255 * data.train), test=np.uint8(255 * data.test))
    state, calls = Training(replace(SMALL, **changes), data, 1), given(monkeypatch, curves, "curve")
    row = {"samples_seen": 40, "train_bound": -9.0, "test_bound": -8.0}
    run_figures.drawings(Run(tmp_path), state.fitted, state.dataset, [row])["figures/curve.png"]()
    (((*columns,), options),) = calls
    assert columns == [[40], [-9.0], [-8.0]] and options["bound_name"] == "ELBO"
    bits = None if offset is None else pytest.approx((-1 / (64 * math.log(2)), offset))
    assert options["bits"] == bits


@pytest.mark.parametrize("conditional", [False, True])
def test_each_original_stands_above_what_the_decoder_makes_of_its_mean(conditional, monkeypatch):
    data, calls = datasets.load("digits", limit=300), given(monkeypatch, mosaics, "reconstructions")
    fitted = Training(replace(SMALL, conditional=conditional), data, 1).fitted
    run_figures.draw_reconstructions("reconstructions.png", fitted, data)
    (((originals, decoded, shape), _),) = calls
    x, y = data.test[:20], data.test_labels[:20] if conditional else None
    np.testing.assert_array_equal(originals, x)
    np.testing.assert_array_equal(decoded.reshape(20, *shape), fitted.decode(fitted.encode(x, y)[0], y))


def test_strings_are_drawn_in_the_two_dimensions_in_which_they_vary_most(monkeypatch):
    data = dataset(monkeypatch)
    fitted, calls = Training(replace(STRINGS, latent=(3,)), data, 1).fitted, given(monkeypatch, maps, "latent")
    fitted.params["encoder.0.W"][:, 1] = 0
    run_figures.draw_string_map("latent.png", fitted, data)
    (((means, colours), options),) = calls
    assert options == {"scale": "characters", "dimensions": (1, 3), "title": "sums"}
    np.testing.assert_array_equal(means, fitted.encode(data.test)[0][:, [0, 2]])
    codes = data.test.reshape(-1, *data.data_shape).argmax(axis=2)
    np.testing.assert_array_equal(colours, [len(word) for word in data.vocabulary.text(codes)])


@pytest.fixture
def data():
    """Digits whose labels, as a file may have them, are 3, 7, 11, ..."""
    return replace(datasets.load("digits", limit=300), classes=3 + 4 * np.arange(10))


@pytest.fixture
def drawn(monkeypatch):
    """The arguments of what was drawn, by the name of the function that would have drawn it; options are the last."""
    calls = {}
    functions = [(mosaics, "manifold"), (mosaics, "image_grid"), (mosaics, "reconstructions"), (maps, "latent")]
    for module, name in (*functions, (curves, "curve")):
        monkeypatch.setattr(module, name, lambda path, *given, name=name, **how: calls.update({name: (*given, how)}))
    return calls


def test_the_manifold_is_the_grid_s_and_the_map_has_the_test_images_labels(drawn, data, tmp_path):
    fitted = Training(Settings(latent=(2,), hidden=((8,),), batch_size=20, epochs=1), data, 1).fitted
    row = {"samples_seen": 1, "train_bound": -9.0, "test_bound": -8.0}
    for draw in run_figures.drawings(Run(tmp_path), fitted, data, [row]).values():
        draw()
    wanted = fitted.decode(mosaics.manifold_grid(run_figures.MANIFOLD_SIDE)).reshape(-1, 64)
    np.testing.assert_allclose(drawn["manifold"][0], wanted)
    np.testing.assert_array_equal(drawn["latent"][1], data.classes[data.test_labels])


def test_samples_have_a_label_in_each_column_and_a_noise_in_each_row(drawn, data, tmp_path):
    settings = Settings(latent=(2,), hidden=((8,),), batch_size=20, epochs=1, conditional=True)
    fitted = Training(settings, data, 1).fitted
    fitted.params.flat[:] += 0.5 * np.random.default_rng(0).standard_normal(fitted.params.flat.size)
    run_figures.drawings(Run(tmp_path), fitted, data, [])["figures/samples.png"]()
    wanted = fitted.sample(100, np.tile(np.arange(10), 10), share=10).reshape(100, 64)
    np.testing.assert_allclose(drawn["image_grid"][0], wanted)
    assert drawn["image_grid"][-1]["column_labels"] == ["3", "7", "11", "15", "19", "23", "27", "31", "35", "39"]
    run_figures.draw_samples("samples.png", fitted)  # of labels that nobody has named
    assert drawn["image_grid"][-1]["column_labels"] == list("0123456789")
