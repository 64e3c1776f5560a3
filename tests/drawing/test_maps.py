"""Maps: every point at its place, in the colour of its label."""

import numpy as np
import pytest
from matplotlib.colors import to_hex

from tests.drawing.pictures import assert_is_drawn, size
from tinyvae.drawing import maps, style


def points_and_colours(figure):
    points = figure.axes[0].collections[0]
    return np.asarray(points.get_offsets()), [to_hex(colour).lower() for colour in points.get_facecolors()]


def test_latent_colours_every_point_by_its_label(tmp_path):
    means = np.random.default_rng(3).normal(size=(200, 2))
    labels = np.arange(200) % 10
    figure = maps.latent(tmp_path / "latent.png", means, labels, title="test set")
    offsets, colours = points_and_colours(figure)
    np.testing.assert_array_equal(offsets, means)
    assert colours == [style.COLOURS[label] for label in labels]
    axes = figure.axes[0]
    legend = axes.get_legend()
    assert [text.get_text() for text in legend.get_texts()] == [str(label) for label in range(10)]
    assert [to_hex(handle.get_facecolor()[0]) for handle in legend.legend_handles] == list(style.COLOURS)
    named = {int(text.get_text()): text.get_position() for text in axes.texts}
    assert all(place in means[labels == label] for label, place in named.items())
    assert axes.get_aspect() == 1
    assert "z_{1}" in axes.get_xlabel() and "z_{2}" in axes.get_ylabel() and axes.get_title() == "test set"
    assert size(tmp_path / "latent.png") == (800, 700)


def test_names_stand_among_their_own_points_and_apart(tmp_path):
    """Class 0 has two heaps, with class 1 between them, where its mean is; class 2 is mixed with a larger class 3."""
    rng = np.random.default_rng(0)
    heaps = [((-5, 0), 60), ((5, 0), 50), ((0, 0), 40), ((0, 6), 30), ((0, 6), 90)]
    points = np.concatenate([rng.normal(centre, 0.7, (n, 2)) for centre, n in heaps])
    index = np.repeat([0, 0, 1, 2, 3], [n for _, n in heaps])
    places = maps.places_of_names(points, index)
    for place, centre in zip(places, [(-5, 0), (0, 0), (0, 6), (0, 6)]):
        assert np.hypot(*(place - centre)) < 2
    assert np.hypot(*(places[2] - places[3])) > 2 * maps.NEAR * np.ptp(points, axis=0).max()
    np.testing.assert_array_equal(maps.places_of_names(np.ones((3, 2)), np.arange(3)), np.ones((3, 2)))
    points[[3, 70]] = np.nan
    figure = maps.side_by_side(tmp_path / "maps.png", two_panels(points), index)
    assert all(len(axes.collections[0].get_offsets()) == len(points) - 2 for axes in figure.axes)


def test_ten_different_colours():
    assert len(set(style.COLOURS)) == 10


def test_latent_with_labels_that_are_not_0_to_9(tmp_path):
    (axes,) = maps.latent(tmp_path / "latent.png", np.eye(2), np.array([70, -3])).axes
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["-3", "70"]
    assert [(text.get_text(), text.get_position()) for text in axes.texts] == [("-3", (0, 1)), ("70", (1, 0))]


def test_latent_with_many_labels_has_a_scale(tmp_path):
    figure = maps.latent(tmp_path / "latent.png", np.random.default_rng(4).normal(size=(50, 2)), np.arange(50))
    axes, scale = figure.axes
    assert axes.get_legend() is None and scale.get_ylabel() == "label" and scale.get_ylim() == (0, 49)


def test_latent_of_what_is_measured_has_a_scale_of_its_name(tmp_path):
    """However few values there are, and fractions too; the axes say which dimensions they are."""
    means, scores = np.random.default_rng(4).normal(size=(50, 2)), np.arange(50) % 3 / 4
    figure = maps.latent(tmp_path / "latent.png", means, scores, scale="score", dimensions=(3, 17))
    axes, scale = figure.axes
    assert axes.get_legend() is None and scale.get_ylabel() == "score" and scale.get_ylim() == (0, 0.5)
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("mean of $q(z_{3}|x)$", "mean of $q(z_{17}|x)$")


def test_latent_without_labels_has_one_colour(tmp_path):
    figure = maps.latent(tmp_path / "latent.png", np.random.default_rng(5).normal(size=(10_000, 2)))
    _, colours = points_and_colours(figure)
    assert len(set(colours)) == 1 and figure.axes[0].get_legend() is None


@pytest.mark.parametrize("labels", [None, np.array([1, 2, 3])])
def test_latent_leaves_out_what_is_not_finite(tmp_path, labels):
    figure = maps.latent(tmp_path / "latent.png", [[0, 1], [np.nan, 0], [2, -np.inf]], labels)
    np.testing.assert_array_equal(points_and_colours(figure)[0], [[0, 1]])
    maps.latent(tmp_path / "latent.png", np.full((3, 2), np.nan), labels)


@pytest.mark.parametrize(("means", "labels"), [((5, 3), None), ((5,), None), ((5, 2), (4,)), ((5, 2), (5, 1))])
def test_latent_needs_two_dimensions_and_a_label_each(tmp_path, means, labels):
    with pytest.raises(ValueError, match="needed, "):
        maps.latent(tmp_path / "latent.png", np.zeros(means), None if labels is None else np.zeros(labels, int))
    assert not list(tmp_path.iterdir())


def two_panels(points):
    return [("one", points, ("a", "b")), ("other", 3 * points, ("c", "d"))]


def test_maps_share_a_legend(tmp_path):
    points, labels = np.random.default_rng(0).standard_normal((60, 2)), np.array([9, 3, 7] * 20)
    figure = maps.side_by_side(tmp_path / "maps.png", two_panels(points), labels)
    assert_is_drawn(tmp_path / "maps.png")
    assert [axes.get_legend() is not None for axes in figure.axes] == [False, True]
    assert [text.get_text() for text in figure.axes[1].get_legend().get_texts()] == ["3", "7", "9"]
    names = [(axes.get_xlabel(), axes.get_ylabel()) for axes in figure.axes]
    assert names == [("a", "b"), ("c", "d")]


def test_maps_beside_each_other_have_their_points_where_they_are(tmp_path):
    points, labels = np.random.default_rng(0).standard_normal((60, 2)), np.arange(60) % 10
    figure = maps.side_by_side(tmp_path / "maps.png", two_panels(points), labels)
    for axes, given in zip(figure.axes, (points, 3 * points)):
        np.testing.assert_array_equal(axes.collections[0].get_offsets(), given)


def test_many_labels_are_on_a_scale_in_their_order(tmp_path):
    figure = maps.latent(tmp_path / "map.png", np.random.default_rng(4).normal(size=(50, 2)), np.arange(50))
    np.testing.assert_array_equal(figure.axes[0].collections[0].get_array(), np.arange(50))
