"""The figures: pixels where they belong, axes as they should be, whole files or none."""

import numpy as np
import pytest
from matplotlib.image import imread
from scipy import stats

from tinyvae import figures
from tinyvae.errors import RunError


def test_a_mosaic_puts_every_image_in_its_place():
    images = np.arange(5 * 6).reshape(5, 6) / 30
    canvas = figures.mosaic(images, (2, 3), columns=2, gap=1, background=-1)
    assert canvas.shape == (3 * 2 + 2, 2 * 3 + 1)
    for i, image in enumerate(images):
        row, column = 3 * (i // 2), 4 * (i % 2)
        np.testing.assert_array_equal(canvas[row : row + 2, column : column + 3], image.reshape(2, 3))
    assert np.all(canvas[2] == -1) and np.all(canvas[:, 3] == -1) and np.all(canvas[6:, 4:] == -1)
    assert figures.mosaic(images, (2, 3), columns=2, gap=0).shape == (6, 6)


def test_images_of_another_shape_are_refused():
    with pytest.raises(ValueError, match=r"\(2, 3\) need \(n, 6\) numbers, not \(5, 7\)"):
        figures.mosaic(np.zeros((5, 7)), (2, 3), columns=2)


def test_the_manifold_s_grid_is_the_inverse_cdf_of_the_unit_square():
    z = figures.manifold_grid(4)
    u = stats.norm.cdf(z).reshape(4, 4, 2)
    np.testing.assert_allclose(u[0, :, 0], [0.125, 0.375, 0.625, 0.875])
    np.testing.assert_allclose(u[:, 0, 1], [0.875, 0.625, 0.375, 0.125])  # the largest z_2 on top


def drawn(path):
    """The grey levels of a PNG."""
    picture = imread(path)
    return picture[..., :3].mean(axis=2)


def test_a_grid_shows_dark_and_light_images_where_they_are(tmp_path):
    images = np.zeros((4, 9))
    images[1] = 1
    images[2] = 0.5
    images[3] = 7  # shown as 1
    figures.image_grid(tmp_path / "grid.png", images, (3, 3), columns=2)
    picture = drawn(tmp_path / "grid.png")
    height, width = picture.shape
    centres = [picture[int(height * y), int(width * x)] for y in (0.25, 0.75) for x in (0.25, 0.75)]
    np.testing.assert_allclose(centres, [0, 1, 0.5, 1], atol=0.02)
    assert 700 < width < 1000


@pytest.mark.parametrize("shape", [(28, 28), (28, 20), (1, 7)])
@pytest.mark.parametrize("n", [1, 3, 20])
def test_every_figure_of_images_can_be_drawn_for_any_shape(tmp_path, shape, n):
    images = np.random.default_rng(0).random((n, shape[0] * shape[1]))
    figures.image_grid(tmp_path / "a.png", images, shape, column_labels=list("abc"), row_labels=["r"], title="t")
    figures.reconstructions(tmp_path / "b.png", images, 1 - images, shape)
    figures.manifold(tmp_path / "c.png", np.repeat(images[:1], 9, axis=0), shape)
    assert all(imread(tmp_path / name).std() > 0.05 for name in ("a.png", "b.png", "c.png"))


def test_a_reconstruction_stands_below_its_original(tmp_path):
    figures.reconstructions(tmp_path / "r.png", np.zeros((10, 16)), np.ones((10, 16)), (4, 4))
    column = drawn(tmp_path / "r.png")[:, -40]
    dark, light = np.flatnonzero(column < 0.1), np.flatnonzero(column > 0.9)
    assert dark.size and light[-1] > dark[-1]


@pytest.mark.parametrize("test", [[-200.0], [-500, -150, -120, -110, -105], [-200, np.nan, -150, np.inf]])
def test_curves_of_one_point_and_with_gaps(tmp_path, test):
    x = 1000 * 2.0 ** np.arange(len(test))
    published = (np.array([1e3, 1e4]), np.array([-180, -140]))
    figures.curve(tmp_path / "c.png", x, np.array(test) - 5, test, title="digits", published=published)
    assert imread(tmp_path / "c.png").std() > 0.02


def test_the_curve_has_a_logarithmic_axis_units_and_its_end_in_view(tmp_path, monkeypatch):
    kept = []
    monkeypatch.setattr(figures, "save", lambda figure, path: kept.append(figure))
    test = np.concatenate([[-500], np.linspace(-150, -100, 50)])
    figures.curve(tmp_path / "c.png", np.arange(1, 52) * 1000, test - 1, test, bound_name="IWAE")
    axes = kept[0].axes[0]
    assert axes.get_xscale() == "log" and axes.get_ylabel() == "IWAE (nats per example)"
    low, high = axes.get_ylim()
    assert -250 < low < -150 and high > -100


def test_the_latent_map_has_a_colour_for_each_label(tmp_path, monkeypatch):
    kept = []
    monkeypatch.setattr(figures, "save", lambda figure, path: kept.append(figure))
    means = np.random.default_rng(0).standard_normal((200, 2))
    figures.latent(tmp_path / "l.png", means, np.arange(200) % 10)
    figures.latent(tmp_path / "l.png", means)
    figures.latent(tmp_path / "l.png", means, np.arange(200))
    legend = kept[0].axes[0].get_legend()
    assert [text.get_text() for text in legend.get_texts()] == [str(d) for d in range(10)]
    assert len({tuple(collection.get_facecolor()[0]) for collection in kept[0].axes[0].collections}) == 10
    assert len(kept[1].axes[0].collections) == 1 and len(kept[2].axes) == 2  # the second is the bar of colours


def test_a_figure_that_cannot_be_written_leaves_nothing(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError):
        figures.image_grid(tmp_path / "file" / "x.png", np.zeros((1, 4)), (2, 2))
    with pytest.raises(ValueError, match="a square number of images is needed, not 3"):
        figures.manifold(tmp_path / "m.png", np.zeros((3, 4)), (2, 2))
    assert list(tmp_path.iterdir()) == [tmp_path / "file"]
