"""Figures: every pixel of an image at its place in the file, axes that say what they show, files whole or absent."""

import subprocess
import sys

import matplotlib
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from PIL import Image
from scipy.stats import norm

from tinyvae.drawing import curves, maps, mosaics, style
from tinyvae.errors import RunError


def size(path):
    """(width, height) of a PNG."""
    with Image.open(path) as image:
        return image.size


def grey(path):
    """The PNG as (height, width) intensities; a mosaic has no colours."""
    with Image.open(path) as image:
        pixels = np.asarray(image.convert("RGB"))
    assert np.ptp(pixels, axis=2).max() == 0
    return pixels[..., 0]


def drawn_mosaic(path, figure, canvas_shape):
    """The mosaic as it is in the file, one value a pixel: checked to be drawn in equal rectangles, whole dots each."""
    pixels = grey(path)
    box = figure.axes[0].get_position().transformed(figure.transFigure)
    left, right, bottom, top = (round(edge) for edge in (box.x0, box.x1, box.y0, box.y1))
    np.testing.assert_allclose((box.x0, box.x1, box.y0, box.y1), (left, right, bottom, top), atol=1e-6)
    picture = pixels[len(pixels) - top : len(pixels) - bottom, left:right]
    dots = np.array(picture.shape) // canvas_shape
    assert tuple(dots * canvas_shape) == picture.shape
    small = picture[:: dots[0], :: dots[1]]
    np.testing.assert_array_equal(picture, np.kron(small, np.ones(dots, dtype=np.uint8)))
    return small


def levels(rng, n, image_shape):
    """Random images of the 256 intensities that a PNG holds: (n, D) uint8, and in [0, 1]."""
    images = rng.integers(0, 256, size=(n, np.prod(image_shape)), dtype=np.uint8)
    return images, images / 255


def texts(axes, which):
    return [text.get_text() for text in getattr(axes, f"get_{which}ticklabels")()]


# ---- mosaics


@given(n=st.integers(1, 12), H=st.integers(1, 5), W=st.integers(1, 5), columns=st.integers(1, 5), gap=st.integers(0, 3))
def test_mosaic_places_every_pixel(n, H, W, columns, gap):
    images = np.random.default_rng(0).random((n, H * W))
    canvas = mosaics.mosaic(images, (H, W), columns, gap=gap, background=7)
    rows = -(-n // columns)
    expected = np.full((rows * (H + gap) - gap, columns * (W + gap) - gap), 7.0)
    for i in range(n):
        for j in range(H * W):
            expected[i // columns * (H + gap) + j // W, i % columns * (W + gap) + j % W] = images[i, j]
    np.testing.assert_array_equal(canvas, expected)


def test_mosaic_leaves_the_images_alone():
    images = np.zeros((4, 6))
    mosaics.mosaic(images, (2, 3), 2)[:] = 1
    assert not images.any()


@pytest.mark.parametrize("images", [np.zeros((3, 5)), np.zeros(6), np.zeros((0, 6)), np.zeros((2, 2, 3))])
def test_mosaic_needs_rows_of_pixels(images):
    with pytest.raises(ValueError, match=r"image_shape \(H, W\) = \(2, 3\)"):
        mosaics.mosaic(images, (2, 3), 2)


def test_mosaic_needs_two_sides_and_a_column():
    with pytest.raises(ValueError, match="image_shape"):
        mosaics.mosaic(np.zeros((2, 6)), (6,), 2)
    with pytest.raises(ValueError, match="not 0"):
        mosaics.mosaic(np.zeros((2, 6)), (2, 3), 0)


# ---- grids of images


@pytest.mark.parametrize(
    ("n", "image_shape", "columns"),
    [(100, (28, 28), 10), (100, (28, 20), 10), (7, (28, 28), 3), (1, (28, 20), 1), (5, (1, 64), 1), (1, (1, 1), 1)],
)
def test_image_grid_in_the_file(tmp_path, n, image_shape, columns):
    images, intensities = levels(np.random.default_rng(1), n, image_shape)
    figure = mosaics.image_grid(tmp_path / "grid.png", intensities, image_shape, title="samples")
    canvas = mosaics.mosaic(images, image_shape, columns, background=255)
    np.testing.assert_array_equal(drawn_mosaic(tmp_path / "grid.png", figure, canvas.shape), canvas)
    assert figure.axes[0].get_title() == "samples"


def test_samples_are_legible_at_the_width_of_a_readme(tmp_path):
    mosaics.image_grid(tmp_path / "grid.png", np.zeros((100, 784)), (28, 28))
    height, width = grey(tmp_path / "grid.png").shape
    assert 640 <= width <= 1000 and 640 <= height <= 1000


def test_intensities_outside_are_clipped(tmp_path):
    figure = mosaics.image_grid(tmp_path / "grid.png", [[-3.0, 0.0, 1.0, 1.5, np.nan, -np.inf]], (1, 6))
    np.testing.assert_array_equal(drawn_mosaic(tmp_path / "grid.png", figure, (1, 6)), [[0, 0, 255, 255, 255, 0]])


def test_labels_stand_at_their_rows_and_columns(tmp_path):
    noise, labels = ["first", "second", "third"], range(10)
    images = np.zeros((30, 28 * 20))
    figure = mosaics.image_grid(tmp_path / "grid.png", images, (28, 20), row_labels=noise, column_labels=labels)
    axes = figure.axes[0]
    assert texts(axes, "y") == noise and texts(axes, "x") == [str(label) for label in labels]
    np.testing.assert_allclose(axes.get_yticks(), 13.5 + 29 * np.arange(3))
    np.testing.assert_allclose(axes.get_xticks(), 9.5 + 21 * np.arange(10))
    assert drawn_mosaic(tmp_path / "grid.png", figure, (3 * 29 - 1, 10 * 21 - 1)).shape == (86, 209)


def test_labels_and_title_are_inside_the_file(tmp_path):
    """Each has room: none touches the edge, however long it is."""
    figure = mosaics.image_grid(
        tmp_path / "grid.png", np.zeros((2, 4)), (2, 2), columns=2, row_labels=["a row's long name"], title="title " * 9
    )
    pixels = grey(tmp_path / "grid.png")
    edges = np.concatenate([pixels[:5].ravel(), pixels[-5:].ravel(), pixels[:, :5].ravel(), pixels[:, -5:].ravel()])
    assert edges.min() == 255
    assert pixels.shape == tuple(figure.bbox.size[::-1])


@pytest.mark.parametrize("given", [{"rows": 2}, {"columns": 3}, {"rows": 2, "columns": 3}, {"column_labels": "abc"}])
def test_rows_and_columns_follow_from_each_other(tmp_path, given):
    figure = mosaics.image_grid(tmp_path / "grid.png", np.zeros((6, 4)), (2, 2), **given)
    assert drawn_mosaic(tmp_path / "grid.png", figure, (5, 8)).shape == (5, 8)


@pytest.mark.parametrize(
    "given",
    [
        {"rows": 2, "columns": 2},
        {"rows": 3, "columns": 3},
        {"columns": 3, "row_labels": ["a"]},
        {"columns": 3, "column_labels": ["a", "b"]},
        {"image_shape": (2, 3)},
    ],
)
def test_what_does_not_fit_is_refused(tmp_path, given):
    with pytest.raises(ValueError, match="not"):
        mosaics.image_grid(tmp_path / "grid.png", np.zeros((6, 4)), **({"image_shape": (2, 2)} | given))
    assert not list(tmp_path.iterdir())


def test_reconstructions_stand_under_their_originals(tmp_path):
    rng = np.random.default_rng(2)
    (originals, a), (others, b) = levels(rng, 13, (28, 20)), levels(rng, 13, (28, 20))
    figure = mosaics.reconstructions(tmp_path / "pairs.png", a, b, (28, 20))
    height, width = 2 * 28 + 1, 20
    picture = drawn_mosaic(tmp_path / "pairs.png", figure, (2 * (height + 3) - 3, 10 * (width + 3) - 3))
    for i in range(13):
        top, left = i // 10 * (height + 3), i % 10 * (width + 3)
        np.testing.assert_array_equal(picture[top : top + 28, left : left + 20].ravel(), originals[i])
        np.testing.assert_array_equal(picture[top + 29 : top + 57, left : left + 20].ravel(), others[i])
        assert (picture[top + 28, left : left + 20] == 255).all()
    assert (picture[height + 3 :, 3 * (width + 3) - 3 :] == 255).all()  # no fourteenth pair
    axes = figure.axes[0]
    assert texts(axes, "y") == ["original", "reconstruction"] * 2
    np.testing.assert_allclose(axes.get_yticks(), [13.5, 42.5, 73.5, 102.5])


@pytest.mark.parametrize(("n", "image_shape"), [(1, (28, 28)), (10, (1, 5)), (20, (8, 8))])
def test_reconstructions_of_other_shapes(tmp_path, n, image_shape):
    H, W = image_shape
    images = np.zeros((n, H * W))
    figure = mosaics.reconstructions(tmp_path / "pairs.png", images, images + 0.5, image_shape)
    rows, columns = -(-n // 10), min(n, 10)
    picture = drawn_mosaic(tmp_path / "pairs.png", figure, (rows * (2 * H + 4) - 3, columns * (W + 3) - 3))
    assert (picture[0, 0], picture[-1, -1]) == (0, 128)


def test_every_original_needs_a_reconstruction(tmp_path):
    with pytest.raises(ValueError, match="3 originals, but 2 reconstructions"):
        mosaics.reconstructions(tmp_path / "pairs.png", np.zeros((3, 4)), np.zeros((2, 4)), (2, 2))


# ---- the manifold


def test_manifold_grid_is_the_unit_square_through_the_inverse_normal():
    z = mosaics.manifold_grid(4)
    assert z.shape == (16, 2) and z.dtype == np.float64
    u = norm.cdf(z).reshape(4, 4, 2)
    np.testing.assert_allclose(u[..., 0], np.tile([0.125, 0.375, 0.625, 0.875], (4, 1)))  # z_1 grows to the right
    np.testing.assert_allclose(u[..., 1], np.tile([[0.875], [0.625], [0.375], [0.125]], (1, 4)))  # z_2 grows upwards
    assert mosaics.manifold_grid().shape == (400, 2)
    np.testing.assert_array_equal(mosaics.manifold_grid(1), [[0, 0]])


def test_manifold_shows_each_quantile_at_its_place(tmp_path):
    """Images as bright as their quantile: Phi(z_1) in the left half of each, Phi(z_2) in the right half."""
    side, H, W = 10, 3, 2
    u = norm.cdf(mosaics.manifold_grid(side))
    images = np.tile(u, (1, H))
    figure = mosaics.manifold(tmp_path / "manifold.png", images, (H, W))
    picture = drawn_mosaic(tmp_path / "manifold.png", figure, (side * H, side * W)) / 255
    axes = figure.axes[0]
    np.testing.assert_allclose(picture[0, ::2], (np.arange(side) + 0.5) / side, atol=0.005)
    np.testing.assert_allclose(picture[::H, 1], (np.arange(side)[::-1] + 0.5) / side, atol=0.005)
    for position, name in zip(axes.get_xticks(), texts(axes, "x")):
        assert (position + 0.5) / (side * W) == pytest.approx(float(name))
    for position, name in zip(axes.get_yticks(), texts(axes, "y")):
        assert 1 - (position + 0.5) / (side * H) == pytest.approx(float(name))
    assert "z_1" in axes.get_xlabel() and "z_2" in axes.get_ylabel()


def test_manifold_needs_a_square(tmp_path):
    with pytest.raises(ValueError, match="square number of images is needed, not 8"):
        mosaics.manifold(tmp_path / "manifold.png", np.zeros((8, 4)), (2, 2))
    mosaics.manifold(tmp_path / "manifold.png", np.zeros((1, 4)), (2, 2))


# ---- the curve


def lines(figure):
    return {line.get_label(): line for line in figure.axes[0].get_lines()}


def test_curve_shows_the_points_on_a_logarithmic_axis(tmp_path):
    x, train, test = [1e4, 1e5, 1e6], [-200.0, -120.0, -98.0], [-190.0, -118.0, -101.0]
    published = ([1e5, 1e7], [-130.0, -100.0])
    figure = curves.curve(
        tmp_path / "curve.png", x, train, test, bound_name="IWAE bound", title="MNIST", published=published
    )
    axes = figure.axes[0]
    assert axes.get_xscale() == "log" and axes.get_yscale() == "linear"
    assert axes.get_xlabel() == "training examples seen"
    assert axes.get_ylabel() == "IWAE bound (nats per example)"
    assert axes.get_title() == "MNIST"
    curves = {"training": (x, train), "test": (x, test), "published (test)": published}
    drawn = lines(figure)
    assert set(drawn) == set(curves) == {text.get_text() for text in axes.get_legend().get_texts()}
    for name, points in curves.items():
        np.testing.assert_array_equal(drawn[name].get_data(), points)
    assert drawn["published (test)"].get_markerfacecolor() == "none"
    assert drawn["published (test)"].get_zorder() < drawn["test"].get_zorder()
    assert size(tmp_path / "curve.png") == (800, 500)


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
    with pytest.raises(ValueError, match="published"):
        curves.curve(tmp_path / "curve.png", [1], [0], [0], published=([1, 2], [0]))
    assert not list(tmp_path.iterdir())


# ---- the latent space


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
    named = {text.get_text(): text.get_position() for text in axes.texts}
    np.testing.assert_allclose(named["3"], np.median(means[labels == 3], axis=0))
    assert axes.get_aspect() == 1
    assert "z_1" in axes.get_xlabel() and "z_2" in axes.get_ylabel() and axes.get_title() == "test set"
    assert size(tmp_path / "latent.png") == (800, 700)


def test_ten_different_colours():
    assert len(set(style.COLOURS)) == 10


def test_latent_with_labels_that_are_not_0_to_9(tmp_path):
    figure = maps.latent(tmp_path / "latent.png", np.eye(2), np.array([70, -3]))
    assert [text.get_text() for text in figure.axes[0].get_legend().get_texts()] == ["-3", "70"]


def test_latent_with_many_labels_has_a_scale(tmp_path):
    figure = maps.latent(tmp_path / "latent.png", np.random.default_rng(4).normal(size=(50, 2)), np.arange(50))
    axes, scale = figure.axes
    assert axes.get_legend() is None and scale.get_ylabel() == "label" and scale.get_ylim() == (0, 49)


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


# ---- files


DRAWINGS = {
    "curve": lambda path: curves.curve(path, [1, 10], [-2, -1], [-2, -1]),
    "image_grid": lambda path: mosaics.image_grid(path, np.zeros((4, 4)), (2, 2)),
    "reconstructions": lambda path: mosaics.reconstructions(path, np.zeros((4, 4)), np.zeros((4, 4)), (2, 2)),
    "manifold": lambda path: mosaics.manifold(path, np.zeros((4, 4)), (2, 2)),
    "latent": lambda path: maps.latent(path, np.eye(2), np.array([0, 1])),
}


@pytest.mark.parametrize("draw", DRAWINGS.values(), ids=DRAWINGS)
def test_one_whole_png_and_nothing_else(tmp_path, draw):
    assert isinstance(draw(str(tmp_path / "figure.png")), Figure)
    assert [path.name for path in tmp_path.iterdir()] == ["figure.png"]
    with Image.open(tmp_path / "figure.png") as image:
        assert image.format == "PNG"
        image.load()


@pytest.mark.parametrize("draw", DRAWINGS.values(), ids=DRAWINGS)
def test_the_same_figure_is_the_same_file(tmp_path, draw):
    draw(tmp_path / "a.png")
    draw(tmp_path / "b.png")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


@pytest.mark.parametrize("before", [[], ["figure.png"]])
@pytest.mark.parametrize("draw", DRAWINGS.values(), ids=DRAWINGS)
def test_a_failure_leaves_the_folder_as_it_was(tmp_path, monkeypatch, draw, before):
    def half(canvas, file):
        file.write(b"\x89PNG half a picture")
        raise MemoryError

    for name in before:
        (tmp_path / name).write_bytes(b"an older picture")
    monkeypatch.setattr(style.FigureCanvasAgg, "print_png", half)
    with pytest.raises(MemoryError):
        draw(tmp_path / "figure.png")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == dict.fromkeys(before, b"an older picture")


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(RunError, match="nowhere"):
        curves.curve(tmp_path / "nowhere" / "curve.png", [1], [-1], [-1])


@pytest.mark.parametrize("title", ["a_$b.npy", "$x^{$", "50 %", "two\nlines"])
def test_a_title_is_never_read_as_a_formula(tmp_path, title):
    """Titles come from the names of users' files."""
    curves.curve(tmp_path / "curve.png", [1], [-1], [-1], title=title)
    mosaics.image_grid(tmp_path / "grid.png", np.zeros((1, 4)), (2, 2), title=title)


def test_neither_pyplot_nor_a_display_is_used(tmp_path):
    program = (
        "import sys, numpy as np; from tinyvae import figures;"
        f"figures.latent({str(tmp_path / 'latent.png')!r}, np.eye(2), np.array([0, 1]));"
        "assert 'matplotlib.pyplot' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True, env={"PATH": "", "MPLBACKEND": "TkAgg"})


def test_drawing_changes_no_setting_of_matplotlib(tmp_path):
    before = dict(matplotlib.rcParams)
    for name, draw in DRAWINGS.items():
        draw(tmp_path / f"{name}.png")
    assert dict(matplotlib.rcParams) == before
