"""Curves: the points that were given, on axes that say what they show."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.drawing.pictures import assert_is_drawn, size
from tinyvae.drawing import curves

SEEN = np.geomspace(1e4, 1e7, 30)
CURVES = {"samples_seen": SEEN, "train_bound": -90 - 1e5 / SEEN, "test_bound": -95 - 1e5 / SEEN}
THEIRS = {"test": ([1e6, 1e7], [-98.0, -96.0]), "train": ([1e6, 1e7], [-97.0, -94.0])}


# ---- the curve


def lines(figure):
    return {line.get_label(): line for line in figure.axes[0].get_lines()}


def test_curve_shows_the_points_on_a_logarithmic_axis(tmp_path):
    x, train, test = [1e4, 1e5, 1e6], [-200.0, -120.0, -98.0], [-190.0, -118.0, -101.0]
    figure = curves.curve(tmp_path / "curve.png", x, train, test, bound_name="IWAE bound", title="MNIST")
    axes = figure.axes[0]
    assert axes.get_xscale() == "log" and axes.get_yscale() == "linear"
    assert axes.get_xlabel() == "training examples seen"
    assert axes.get_ylabel() == "IWAE bound (nats per example)"
    assert axes.get_title() == "MNIST"
    given = {"training": (x, train), "test": (x, test)}
    drawn = lines(figure)
    assert set(drawn) == set(given) == {text.get_text() for text in axes.get_legend().get_texts()}
    for name, points in given.items():
        np.testing.assert_array_equal(drawn[name].get_data(), points)
    assert drawn["training"].get_zorder() < drawn["test"].get_zorder()
    assert size(tmp_path / "curve.png") == (800, 500)


@pytest.mark.parametrize(
    ("epochs", "labels"),
    [
        (1, ["1,617"]),
        (3, ["1,617", "3,234", "4,851"]),
        (20, ["1,617", "4,851", "8,085", "16,170", "32,340"]),
        (80, [r"$\mathdefault{10^{4}}$", r"$\mathdefault{10^{5}}$"]),
    ],
)
def test_a_short_axis_has_the_numbers_of_epochs_and_a_long_one_powers_of_ten(epochs, labels, tmp_path):
    x = 1617 * np.arange(1, epochs + 1)
    figure = curves.curve(tmp_path / "curve.png", x, -1e4 / x, -1e4 / x)
    axis = figure.axes[0].xaxis
    low, high = figure.axes[0].get_xlim()
    shown = [tick.label1.get_text() for tick in axis.get_major_ticks() if low <= tick.get_loc() <= high]
    assert shown == labels
    assert not any(tick.label1.get_text() for tick in axis.get_minor_ticks() if low <= tick.get_loc() <= high)


def test_an_axis_of_bits_stands_beside_that_of_nats(tmp_path):
    slope, start = -0.002, 8.0
    figure = curves.curve(tmp_path / "curve.png", [1, 10], [900, 1200], [800, 1100], bits=(slope, start))
    axes = figure.axes[0]
    (right,) = axes.child_axes
    for nats in (*axes.get_ylim(), 1000):
        bits = slope * nats + start
        assert right.transData.transform((1, bits))[1] == pytest.approx(axes.transData.transform((1, nats))[1])
        assert right.yaxis.get_transform().transform(bits) == pytest.approx(nats)
    np.testing.assert_allclose(right.get_ylim()[::-1], slope * np.array(axes.get_ylim()) + start)
    assert right.get_ylabel() == "bits per dimension"


@given(start=st.floats(-1e9, -300), end=st.floats(-150, 900), epochs=st.integers(30, 300))
def test_a_bad_start_does_not_flatten_the_curve(start, end, epochs):
    """Whatever the first bound was: the late nine tenths of the logarithmic axis are in view, and fill most of it."""
    x = np.geomspace(1e4, 1e8, epochs)
    bound = end - np.linspace(60, 0, epochs) ** 1.2
    bound[0] = start + end
    low, high = curves.bound_limits([(x, bound)], kept=(x, bound))
    late = bound[x >= 1e4 * 10 ** (0.1 * 4)]
    assert low < late.min() and late.max() < high
    assert high - low < 2 * np.ptp(late)


def test_a_collapse_at_the_end_is_in_view():
    x = np.geomspace(1e4, 1e8, 100)
    bound = np.linspace(-150, -100, 100)
    bound[-1] = -2000
    low, _ = curves.bound_limits([(x, bound)], kept=(x, bound))
    assert low < -2000


def test_what_fits_is_all_in_view():
    x, bound = np.arange(1, 6) * 1e3, np.array([-200.0, -149, -131, -123, -119])
    low, high = curves.bound_limits([(x, bound)], kept=(x, bound))
    assert low < -200 and high > -119


@pytest.mark.parametrize("test", [[-101.0], [np.nan], [np.inf]])
def test_curve_of_a_single_point(tmp_path, test):
    figure = curves.curve(tmp_path / "curve.png", [60_000], [-110.0], test)
    low, high = figure.axes[0].get_ylim()
    assert low < -110 < high
    assert lines(figure)["training"].get_marker() == "."  # a line of one point would be invisible


def test_curve_skips_what_is_not_finite(tmp_path):
    figure = curves.curve(
        tmp_path / "curve.png", [0, 1, 2, 3, 4], [-9, np.nan, -7, np.inf, -5], [-9, -8, -np.inf, -6, -5]
    )
    np.testing.assert_array_equal(lines(figure)["training"].get_data(), [[2, 4], [-7, -5]])
    np.testing.assert_array_equal(lines(figure)["test"].get_data(), [[1, 3, 4], [-8, -6, -5]])


def test_curve_without_any_point(tmp_path):
    curves.curve(tmp_path / "curve.png", [], [], [])
    assert size(tmp_path / "curve.png") == (800, 500)


def test_curve_of_equal_bounds(tmp_path):
    figure = curves.curve(tmp_path / "curve.png", [1, 2], [0, 0], [0, 0])
    low, high = figure.axes[0].get_ylim()
    assert low < 0 < high


def test_curve_needs_arrays_of_one_length(tmp_path):
    with pytest.raises(ValueError, match="test_bound"):
        curves.curve(tmp_path / "curve.png", [1, 2], [0, 0], [0, 0, 0])
    assert not list(tmp_path.iterdir())


# ---- those of the papers


def test_bounds_have_a_panel_each_and_the_published_points_are_told_from_ours(tmp_path):
    path = tmp_path / "bounds.png"
    figure = curves.bound_panels(path, [(f"{n}", CURVES, THEIRS) for n in range(4)])
    assert_is_drawn(path)
    panels = [axes for axes in figure.axes if axes.lines]
    assert [axes.get_title() for axes in panels] == ["0", "1", "2", "3"]
    published_test, published_train, test, train = panels[0].lines
    np.testing.assert_array_equal(test.get_xydata(), np.stack([SEEN, CURVES["test_bound"]], axis=1))
    np.testing.assert_array_equal(train.get_ydata(), CURVES["train_bound"])
    np.testing.assert_array_equal(published_test.get_data(), THEIRS["test"])
    np.testing.assert_array_equal(published_train.get_data(), THEIRS["train"])
    assert published_test.get_markerfacecolor() == "none" and published_test.get_linestyle() == "None"
    assert published_train.get_marker() != published_test.get_marker()
    low, high = panels[0].get_ylim()
    assert low < -98 and high > -90
    assert {"training examples seen", "ELBO (nats per example)"} <= {text.get_text() for text in figure.texts}


@pytest.mark.parametrize(("end", "marked"), [(-5.5, False), (-8.0, True)])
def test_a_test_bound_that_has_turned_down_is_marked_where_it_was_highest(end, marked, tmp_path):
    seen = np.array([100, 1000, 10_000])
    columns = {"samples_seen": seen, "train_bound": np.array([-9.0, -7.0, -6.0]), "test_bound": np.array([-9, -5, end])}
    panels = [("here", columns, {"train": ([], []), "test": ([], [])})]
    figure = curves.bound_panels(tmp_path / "bounds.png", panels)
    marks = [line for line in figure.axes[0].get_lines() if line.get_marker() == "v"]
    assert [line.get_xydata().tolist() for line in marks] == ([[[1000.0, -5.0]]] if marked else [])
    assert any("turns down" in text.get_text() for text in figure.legends[0].get_texts()) == marked
    assert figure.axes[0].get_ylim()[1] > -5


def test_a_bound_that_wavers_has_not_turned_down():
    rising = 1000 + 50 * np.log(np.arange(1, 1001))
    wavering = rising + 5 * np.random.default_rng(0).standard_normal(1000)
    assert np.argmax(wavering) < 999 and wavering.max() > wavering[-1] + curves.TURN
    assert curves.turning_point(wavering) is None
    turning = wavering - 0.2 * np.maximum(np.arange(1000) - 600, 0)
    assert 500 < curves.turning_point(turning) < 700


def test_places_are_even_along_the_logarithmic_axis():
    x = np.arange(1, 10_001)
    places = curves.even_places(x, 101)
    assert (places[0], places[-1]) == (0, 9999) and len(places) <= 101
    np.testing.assert_allclose(np.diff(np.log(x[places]))[-40:], np.log(10_000) / 100, atol=0.003)
    assert curves.even_places(np.array([1, 10]), 101).tolist() == [0, 1]
    np.testing.assert_allclose(curves.evenly(np.array([1, 10, 100]), np.arange(3)), np.linspace(0, 2, 200))


def test_bounds_without_published_points(tmp_path):
    curves.bound_panels(tmp_path / "bounds.png", [("one", CURVES, {"test": ([], []), "train": ([], [])})])
    assert_is_drawn(tmp_path / "bounds.png")


def test_bounds_by_epoch_have_a_colour_and_a_style_each(tmp_path):
    epochs = np.arange(1, 122)
    given = [(f"k={k}", {"epoch": epochs, "test_bound": -90 + k - 10 / epochs}) for k in range(7)]
    figure = curves.bounds_by_epoch(tmp_path / "bounds.png", given)
    assert_is_drawn(tmp_path / "bounds.png")
    (axes,) = figure.axes
    assert [line.get_label() for line in axes.lines] == [name for name, _ in given]
    assert len({line.get_color() for line in axes.lines}) == 7
    assert [label.get_text() for label in axes.get_xticklabels()] == ["1", "3", "10", "30", "100"]
    assert "nats per example" in axes.get_ylabel() and axes.get_xlabel() == "epochs"
    assert axes.get_xscale() == "log"


def test_a_bad_start_is_left_out_of_bounds_by_epoch(tmp_path):
    columns = {"epoch": np.arange(1, 6), "test_bound": np.array([-10_000.0, -3000, -120, -110, -105])}
    low, high = curves.bounds_by_epoch(tmp_path / "bounds.png", [("k=1", columns)]).axes[0].get_ylim()
    assert -200 < low < -120 and high > -105


def test_bounds_stand_over_their_epochs(tmp_path):
    given = [(f"k={k}", {"epoch": np.arange(1, 9), "test_bound": -90.0 + k - 10 / np.arange(1, 9)}) for k in range(3)]
    figure = curves.bounds_by_epoch(tmp_path / "bounds.png", given)
    for line, (_, columns) in zip(figure.axes[0].lines, given):
        np.testing.assert_array_equal(line.get_data(), [columns["epoch"], columns["test_bound"]])


def test_the_legend_names_the_right_curves(tmp_path):
    figure = curves.bound_panels(tmp_path / "bounds.png", [("a", CURVES, THEIRS)])
    named = {line.get_label(): line.get_ydata() for line in figure.axes[0].lines}
    np.testing.assert_array_equal(named["ours, test"], CURVES["test_bound"])
    np.testing.assert_array_equal(named["ours, training"], CURVES["train_bound"])


@pytest.mark.parametrize("bounds", [[-9.0, -np.inf, -7.0, np.nan], [-np.inf] * 4, [np.nan] * 4])
def test_bounds_that_are_not_finite_are_left_out(bounds, tmp_path):
    bounds = np.array(bounds)
    columns = {"epoch": np.arange(1, 5), "samples_seen": 10 ** np.arange(1, 5), "train_bound": bounds - 1}
    columns["test_bound"] = bounds
    shown = bounds[np.isfinite(bounds)].tolist()
    theirs = {"test": ([], []), "train": ([], [])}
    panels = curves.bound_panels(tmp_path / "panels.png", [("", columns, theirs)])
    by_epoch = curves.bounds_by_epoch(tmp_path / "epochs.png", [("k=1", columns)])
    for line in lines(panels)["ours, test"], by_epoch.axes[0].lines[0]:
        assert line.get_ydata().tolist() == shown
