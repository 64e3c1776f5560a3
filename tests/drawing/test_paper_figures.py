"""The papers' figures show what they were given, with axes that have names and units."""

import numpy as np
import pytest
from matplotlib.image import imread

from tinyvae.drawing import curves, maps, mosaics

SEEN = np.geomspace(1e4, 1e7, 30)
CURVES = {"samples_seen": SEEN, "train_bound": -90 - 1e5 / SEEN, "test_bound": -95 - 1e5 / SEEN}
THEIRS = {"test": ([1e6, 1e7], [-98.0, -96.0]), "train": ([1e6, 1e7], [-97.0, -94.0])}


def written(path):
    assert imread(path).std() > 0.02 and path.stat().st_size < 300_000


def test_bounds_have_a_panel_each_and_the_published_points_are_told_from_ours(tmp_path):
    path = tmp_path / "bounds.png"
    figure = curves.bound_panels(path, [(f"{n}", CURVES, THEIRS) for n in range(4)])
    written(path)
    panels = [axes for axes in figure.axes if axes.lines]
    assert [axes.get_title() for axes in panels] == ["0", "1", "2", "3"]
    published_test, published_train, test, train = panels[0].lines
    np.testing.assert_array_equal(test.get_xydata(), np.stack([SEEN, CURVES["test_bound"]], axis=1))
    np.testing.assert_array_equal(train.get_ydata(), CURVES["train_bound"])
    np.testing.assert_array_equal(published_test.get_xdata(), THEIRS["test"][0])
    assert published_test.get_markerfacecolor() == "none" and published_test.get_linestyle() == "None"
    assert published_train.get_marker() != published_test.get_marker()
    low, high = panels[0].get_ylim()
    assert low < -98 and high > -90
    assert figure.get_supxlabel() == "training examples seen" and "nats per example" in figure.get_supylabel()


@pytest.mark.parametrize(("end", "marked"), [(-5.5, False), (-8.0, True)])
def test_a_test_bound_that_has_turned_down_is_marked_where_it_was_highest(end, marked, tmp_path):
    seen = np.array([100, 1000, 10_000])
    curves = {"samples_seen": seen, "train_bound": np.array([-9.0, -6.0, -4.0]), "test_bound": np.array([-9, -5, end])}
    panels = [("here", curves, {"train": ([], []), "test": ([], [])})]
    figure = curves.bound_panels(tmp_path / "bounds.png", panels)
    marks = [line for line in figure.axes[0].get_lines() if line.get_marker() == "v"]
    assert [line.get_xydata().tolist() for line in marks] == ([[[1000.0, -5.0]]] if marked else [])
    assert any("highest" in text.get_text() for text in figure.legends[0].get_texts()) == marked


def test_a_bound_that_wavers_has_not_turned_down():
    rising = 1000 + 50 * np.log(np.arange(1, 1001))
    wavering = rising + 5 * np.random.default_rng(0).standard_normal(1000)
    assert np.argmax(wavering) < 999 and wavering.max() > wavering[-1] + curves.TURN
    assert curves.turning_point(wavering) is None
    turning = wavering - 0.2 * np.maximum(np.arange(1000) - 600, 0)
    assert 500 < curves.turning_point(turning) < 700


def test_bounds_without_published_points(tmp_path):
    curves.bound_panels(tmp_path / "bounds.png", [("one", CURVES, {"test": ([], []), "train": ([], [])})])
    written(tmp_path / "bounds.png")


def test_bounds_by_epoch_have_a_colour_and_a_style_each(tmp_path):
    epochs = np.arange(1, 122)
    curves = [(f"k={k}", {"epoch": epochs, "test_bound": -90 + k - 10 / epochs}) for k in range(7)]
    figure = curves.bounds_by_epoch(tmp_path / "bounds.png", curves)
    written(tmp_path / "bounds.png")
    (axes,) = figure.axes
    assert [line.get_label() for line in axes.lines] == [name for name, _ in curves]
    assert len({line.get_color() for line in axes.lines}) == 7
    assert [label.get_text() for label in axes.get_xticklabels()] == ["1", "3", "10", "30", "100"]
    assert "nats per example" in axes.get_ylabel() and axes.get_xlabel() == "epochs"


def test_maps_share_a_legend(tmp_path):
    points, labels = np.random.default_rng(0).standard_normal((60, 2)), np.arange(60) % 10
    figure = maps.side_by_side(tmp_path / "maps.png", [("one", points), ("other", 3 * points)], labels)
    written(tmp_path / "maps.png")
    assert [axes.get_legend() is not None for axes in figure.axes] == [False, True]


@pytest.mark.parametrize("n", [1, 4])
def test_mosaics(n, tmp_path):
    images = np.random.default_rng(0).random((64, 30))
    figure = mosaics.side_by_side(tmp_path / "m.png", [("a", images)] * n, (6, 5), columns=8)
    written(tmp_path / "m.png")
    assert [axes.images[0].get_array().shape for axes in figure.axes] == [(8 * 7 - 1, 8 * 6 - 1)] * n
