"""Mosaics: every pixel of an image at its place in the file, in its grey or its colour, beside labels that fit."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

from tests.drawing.pictures import assert_is_drawn, pixels
from tinyvae.drawing import mosaics


def grey(path):
    """The PNG as (height, width) intensities; a mosaic of grey images has no colours."""
    coloured = pixels(path)
    assert np.ptp(coloured, axis=2).max() == 0
    return coloured[..., 0]


def drawn_mosaic(path, figure, canvas_shape):
    """The mosaic as it is in the file, one value (one colour) a pixel: checked to be drawn in equal rectangles, whole
    dots each. The shape is (height, width), of coloured images (height, width, 3).
    """
    paper = pixels(path) if len(canvas_shape) == 3 else grey(path)
    box = figure.axes[0].get_position().transformed(figure.transFigure)
    left, right, bottom, top = (round(edge) for edge in (box.x0, box.x1, box.y0, box.y1))
    np.testing.assert_allclose((box.x0, box.x1, box.y0, box.y1), (left, right, bottom, top), atol=1e-6)
    picture = paper[len(paper) - top : len(paper) - bottom, left:right]
    dots = np.array(picture.shape[:2]) // canvas_shape[:2]
    assert tuple(dots * canvas_shape[:2]) == picture.shape[:2]
    small = picture[:: dots[0], :: dots[1]]
    enlarged = small.repeat(dots[0], axis=0).repeat(dots[1], axis=1)
    np.testing.assert_allclose(picture, enlarged, atol=1)  # Matplotlib 3.7 has some dots that are a level off
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
    """Of grey images, and of coloured ones, whose rows hold the three colours of each pixel side by side."""
    for colours in ((), (3,)):
        images = np.random.default_rng(0).random((n, H * W, *colours))
        canvas = mosaics.mosaic(images.reshape(n, -1), (H, W, *colours), columns, gap=gap, background=7)
        rows = -(-n // columns)
        expected = np.full((rows * (H + gap) - gap, columns * (W + gap) - gap, *colours), 7.0)
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
    with pytest.raises(
        ValueError, match=r"image_shape \(H, W\), or \(H, W, 3\) in colour, are needed, not .* of \(2, 3\)$"
    ):
        mosaics.mosaic(images, (2, 3), 2)


def test_mosaic_needs_two_sides_and_a_column():
    for shape in ((6,), (2, 3, 1), (2, 3, 4), (3, 2, 3), (1, 2, 1, 3)):
        with pytest.raises(ValueError, match="image_shape"):
            mosaics.mosaic(np.zeros((2, 6)), shape, 2)
    with pytest.raises(ValueError, match="not 0"):
        mosaics.mosaic(np.zeros((2, 6)), (2, 3), 0)


# ---- grids of images


@pytest.mark.parametrize(
    ("n", "image_shape", "columns"),
    [
        (100, (28, 28), 10),
        (100, (28, 20), 10),
        (7, (28, 28), 3),
        (1, (28, 20), 1),
        (5, (1, 64), 1),
        (1, (1, 1), 1),
        (100, (28, 20, 3), 10),
        (7, (6, 5, 3), 3),
        (1, (1, 1, 3), 1),
    ],
)
def test_image_grid_in_the_file(tmp_path, n, image_shape, columns):
    images, intensities = levels(np.random.default_rng(1), n, image_shape)
    figure = mosaics.image_grid(tmp_path / "grid.png", intensities, image_shape)
    canvas = mosaics.mosaic(images, image_shape, columns, background=255)
    np.testing.assert_array_equal(drawn_mosaic(tmp_path / "grid.png", figure, canvas.shape), canvas)


def test_samples_are_legible_at_the_width_of_a_readme(tmp_path):
    mosaics.image_grid(tmp_path / "grid.png", np.zeros((100, 784)), (28, 28))
    height, width = grey(tmp_path / "grid.png").shape
    assert 640 <= width <= 1000 and 640 <= height <= 1000


def test_intensities_outside_are_clipped(tmp_path):
    figure = mosaics.image_grid(tmp_path / "grid.png", [[-3.0, 0.0, 1.0, 1.5, np.nan, -np.inf]], (1, 6))
    np.testing.assert_array_equal(drawn_mosaic(tmp_path / "grid.png", figure, (1, 6)), [[0, 0, 255, 255, 255, 0]])
    figure = mosaics.image_grid(tmp_path / "grid.png", [[-3.0, 0.2, 1.5, np.nan, 1.0, -np.inf]], (1, 2, 3))
    np.testing.assert_array_equal(
        drawn_mosaic(tmp_path / "grid.png", figure, (1, 2, 3)), [[[0, 51, 255], [255, 255, 0]]]
    )


def test_labels_stand_at_their_rows_and_columns(tmp_path):
    noise, labels = ["first", "second", "third"], range(10)
    images = np.zeros((30, 28 * 20))
    figure = mosaics.image_grid(tmp_path / "grid.png", images, (28, 20), row_labels=noise, column_labels=labels)
    axes = figure.axes[0]
    assert texts(axes, "y") == noise and texts(axes, "x") == [str(label) for label in labels]
    np.testing.assert_allclose(axes.get_yticks(), 13.5 + 29 * np.arange(3))
    np.testing.assert_allclose(axes.get_xticks(), 9.5 + 21 * np.arange(10))
    assert drawn_mosaic(tmp_path / "grid.png", figure, (3 * 29 - 1, 10 * 21 - 1)).shape == (86, 209)


def test_labels_are_inside_the_file(tmp_path):
    """Each has room: none touches the edge, however long it is."""
    figure = mosaics.image_grid(
        tmp_path / "grid.png", np.zeros((2, 4)), (2, 2), row_labels=["a row's long name"], column_labels=["a", "column"]
    )
    pixels = grey(tmp_path / "grid.png")
    edges = np.concatenate([pixels[:5].ravel(), pixels[-5:].ravel(), pixels[:, :5].ravel(), pixels[:, -5:].ravel()])
    assert edges.min() == 255
    assert pixels.shape == tuple(figure.bbox.size[::-1])


@pytest.mark.parametrize("given", [{"row_labels": "ab"}, {"columns": 3}, {"column_labels": "abc"}])
def test_rows_and_columns_follow_from_each_other(tmp_path, given):
    figure = mosaics.image_grid(tmp_path / "grid.png", np.zeros((6, 4)), (2, 2), **given)
    assert drawn_mosaic(tmp_path / "grid.png", figure, (5, 8)).shape == (5, 8)


@pytest.mark.parametrize(
    "given",
    [
        {"row_labels": "ab", "columns": 2},
        {"columns": 3, "row_labels": ["a"]},
        {"columns": 3, "column_labels": ["a", "b"]},
        {"image_shape": (2, 3)},
    ],
)
def test_what_does_not_fit_is_refused(tmp_path, given):
    with pytest.raises(ValueError, match="not"):
        mosaics.image_grid(tmp_path / "grid.png", np.zeros((6, 4)), **({"image_shape": (2, 2)} | given))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("colours", [(), (3,)])
def test_reconstructions_stand_under_their_originals(tmp_path, colours):
    rng, shape = np.random.default_rng(2), (28, 20, *colours)
    (originals, a), (others, b) = levels(rng, 13, shape), levels(rng, 13, shape)
    figure = mosaics.reconstructions(tmp_path / "pairs.png", a, b, shape)
    height, width = 2 * 28 + 1, 20
    picture = drawn_mosaic(tmp_path / "pairs.png", figure, (2 * (height + 3) - 3, 10 * (width + 3) - 3, *colours))
    for i in range(13):
        top, left = i // 10 * (height + 3), i % 10 * (width + 3)
        np.testing.assert_array_equal(picture[top : top + 28, left : left + 20].ravel(), originals[i])
        np.testing.assert_array_equal(picture[top + 29 : top + 57, left : left + 20].ravel(), others[i])
        assert (picture[top + 28, left : left + 20] == 255).all()
    assert (picture[height + 3 :, 3 * (width + 3) - 3 :] == 255).all()  # no fourteenth pair
    axes = figure.axes[0]
    assert texts(axes, "y") == ["original", "reconstruction"] * 2
    np.testing.assert_allclose(axes.get_yticks(), [13.5, 42.5, 73.5, 102.5])


@pytest.mark.parametrize(("n", "image_shape"), [(1, (28, 28)), (10, (1, 5)), (20, (8, 8)), (3, (6, 5, 3))])
def test_reconstructions_of_other_shapes(tmp_path, n, image_shape):
    H, W, *colours = image_shape
    images = np.zeros((n, np.prod(image_shape)))
    figure = mosaics.reconstructions(tmp_path / "pairs.png", images, images + 0.5, image_shape)
    rows, columns = -(-n // 10), min(n, 10)
    picture = drawn_mosaic(tmp_path / "pairs.png", figure, (rows * (2 * H + 4) - 3, columns * (W + 3) - 3, *colours))
    assert (picture[0, 0] == 0).all() and (picture[-1, -1] == 128).all()


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


def test_a_manifold_in_colour(tmp_path):
    """As red as Phi(z_1), as green as Phi(z_2)."""
    side, H, W = 4, 3, 2
    u = norm.cdf(mosaics.manifold_grid(side))
    images = np.tile(np.c_[u, np.full(side**2, 0.2)], (1, H * W))
    figure = mosaics.manifold(tmp_path / "manifold.png", images, (H, W, 3))
    picture = drawn_mosaic(tmp_path / "manifold.png", figure, (side * H, side * W, 3))
    levels = np.rint(255 * (np.arange(side) + 0.5) / side).astype(int)
    np.testing.assert_array_equal(picture[..., 0], np.tile(levels.repeat(W), (side * H, 1)))
    np.testing.assert_array_equal(picture[..., 1], np.tile(levels[::-1].repeat(H)[:, None], (1, side * W)))
    assert (picture[..., 2] == 51).all()


def test_manifold_needs_a_square(tmp_path):
    with pytest.raises(ValueError, match="square number of images is needed, not 8"):
        mosaics.manifold(tmp_path / "manifold.png", np.zeros((8, 4)), (2, 2))
    mosaics.manifold(tmp_path / "manifold.png", np.zeros((1, 4)), (2, 2))


# ---- side by side


@pytest.mark.parametrize("colours", [(), (3,)])
@pytest.mark.parametrize("n", [1, 4])
def test_mosaics(n, colours, tmp_path):
    shape = (6, 5, *colours)
    images, intensities = levels(np.random.default_rng(0), 64, shape)
    figure = mosaics.side_by_side(tmp_path / "m.png", [("a", intensities)] * n, shape, columns=8)
    assert_is_drawn(tmp_path / "m.png")
    canvas = mosaics.mosaic(images, shape, 8, background=255).reshape(8 * 7 - 1, 8 * 6 - 1, -1)
    assert len(figure.axes) == n
    for axes in figure.axes:
        np.testing.assert_array_equal(axes.images[0].get_array(), np.broadcast_to(canvas, (*canvas.shape[:2], 3)))


def test_each_panel_has_its_own_title(tmp_path):
    panels = [("black", np.zeros((4, 4))), ("white", np.ones((4, 4)))]
    figure = mosaics.side_by_side(tmp_path / "panels.png", panels, (2, 2), 2)
    found = [(axes.get_title(), axes.images[0].get_array().min()) for axes in figure.axes]
    assert found == [("black", 0), ("white", 255)]
