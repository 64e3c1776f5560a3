"""Mosaics of images: samples, reconstructions, the manifold.

Images side by side are one array and one ``imshow``, so that 400 digits are drawn as fast as one, and each of their
pixels is a whole number of dots of the file. An image is grey, (H, W), or in colour, (H, W, 3); each function takes
arrays, writes one PNG and returns what was drawn.
"""

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from scipy.special import ndtri

from tinyvae.drawing.style import DPI, TEXT, WIDTH, save
from tinyvae.types import AnyPath, Array

MOSAIC = 640  # dots, the least that the longer side of a mosaic is enlarged to, if that takes no more than MOST_DOTS
MOST_DOTS = 8  # a pixel, along each side
LEAST_SIDE = 18  # dots, of one image: room for its label
PADDING = 10  # dots around everything
GAP = 1  # pixels between images
PAIR_GAP = 3  # pixels between pairs of an original and its reconstruction
PAIRS = 10  # in a row


def mosaic(
    images: np.ndarray, image_shape: tuple[int, ...], columns: int, gap: int = GAP, background: float = 1.0
) -> Array:
    """Images side by side in one array, row by row from the top left.

    Args:
        images: (n, H W) or, in colour, (n, H W 3), n >= 1.
        image_shape: (H, W) or (H, W, 3).
        columns: images in a row.
        gap: pixels between neighbours, none around the whole.
        background: the intensity of the gaps and of places without an image.

    Returns: (R (H + gap) - gap, columns (W + gap) - gap) float64, with a last axis of 3 in colour, where R = ceil(n /
    columns). The image i has its top left pixel at ((i // columns) (H + gap), (i % columns) (W + gap)).

    Raises: ValueError if the images are not n rows of H W pixels, or columns < 1.
    """
    images = checked_images(images, image_shape)
    if columns < 1:
        raise ValueError(f"at least one column is needed, not {columns}")
    H, W, *colours = image_shape
    rows = -(-len(images) // columns)
    height, width = H + gap, W + gap
    cells = np.full((rows * columns, height, width, *colours), background, dtype=float)
    cells[: len(images), :H, :W] = images.reshape(-1, *image_shape)
    canvas = cells.reshape(rows, columns, height, width, *colours).swapaxes(1, 2)
    canvas = canvas.reshape(rows * height, columns * width, *colours)
    return canvas[: rows * height - gap, : columns * width - gap]


def image_grid(
    path: AnyPath,
    images: np.ndarray,
    image_shape: tuple[int, ...],
    *,
    columns: int | None = None,
    row_labels: Sequence | None = None,
    column_labels: Sequence | None = None,
    caption: str = "",
) -> Figure:
    """Images in a grid, row by row from the top left: black is 0, white is 1.

    Args:
        path: of the PNG.
        images: (n, H W) intensities; what is under 0 is shown as 0, what is over 1 as 1, NaN as the page.
        image_shape: (H, W) or (H, W, 3).
        columns: images in a row; by default from the labels, else such that the grid is about as high as wide, and full
            if possible.
        row_labels, column_labels: a string or number for each row, each column, or None.
        caption: under the picture.

    Raises: ValueError if the images are not n rows of H W pixels, or do not fit the columns and labels.
    """
    images = checked_images(images, image_shape)
    columns = columns or (len(column_labels) if column_labels is not None else None)
    if columns is None and row_labels is not None:
        columns = -(-len(images) // len(row_labels))
    columns = columns or balanced_columns(len(images), image_shape)
    needed = -(-len(images) // columns)
    for name, labels, places in (("row_labels", row_labels, needed), ("column_labels", column_labels, columns)):
        if labels is not None and len(labels) != places:
            raise ValueError(f"{name}: {places} are needed, not {len(labels)}")

    figure, axes, dots = draw_mosaic(mosaic(images, image_shape, columns), image_shape)
    H, W = image_shape[:2]
    if row_labels is not None:
        axes.set_yticks((H - 1) / 2 + (H + GAP) * np.arange(needed), row_labels)
    if column_labels is not None:
        axes.xaxis.tick_top()
        axes.set_xticks((W - 1) / 2 + (W + GAP) * np.arange(columns), column_labels)
    axes.set_xlabel(caption, fontsize=TEXT)
    fit(figure, axes, dots)
    save(figure, path)
    return figure


def reconstructions(
    path: AnyPath, originals: np.ndarray, reconstructions: np.ndarray, image_shape: tuple[int, ...]
) -> Figure:
    """Originals, each directly above its reconstruction, ten pairs in a row.

    Args:
        path: of the PNG.
        originals, reconstructions: (n, H W) intensities, as for ``image_grid``.
        image_shape: (H, W) or (H, W, 3).

    Raises: ValueError if the images are not n rows of H W pixels each.
    """
    originals, reconstructions = (checked_images(images, image_shape) for images in (originals, reconstructions))
    if len(originals) != len(reconstructions):
        raise ValueError(f"{len(originals)} originals, but {len(reconstructions)} reconstructions")
    H, W, *colours = image_shape
    # a pair is one image of the mosaic, with a line of the page between the two
    line = np.ones((len(originals), GAP * W * math.prod(colours)))
    pairs = np.concatenate([originals, line, reconstructions], axis=1)
    pair_shape = (2 * H + GAP, W, *colours)
    columns = min(PAIRS, len(pairs))
    figure, axes, dots = draw_mosaic(mosaic(pairs, pair_shape, columns, PAIR_GAP), image_shape)
    tops = (2 * H + GAP + PAIR_GAP) * np.arange(-(-len(pairs) // columns))[:, None]
    axes.set_yticks((tops + (H - 1) / 2 + [0, H + GAP]).ravel(), ["original", "reconstruction"] * len(tops))
    fit(figure, axes, dots)
    save(figure, path)
    return figure


def manifold_grid(side: int = 20) -> Array:
    """The values of a two-dimensional z on a grid of the unit square through the inverse Gaussian CDF (AEVB, Figure 4).

    Args:
        side: points along each axis, at the quantiles (i + 1/2) / side.

    Returns: (side², 2) float64, row by row of the picture: the largest z_2 at the top, the least z_1 at the left.
    """
    z = ndtri((np.arange(side) + 0.5) / side)
    return np.stack([np.tile(z, side), np.repeat(z[::-1], side)], axis=1)


def manifold(path: AnyPath, images: np.ndarray, image_shape: tuple[int, ...]) -> Figure:
    """The decoded ``manifold_grid`` as one seamless picture, with the quantiles of z along its sides.

    Args:
        path: of the PNG.
        images: (side², H W) intensities in the order of the grid, as for ``image_grid``.
        image_shape: (H, W) or (H, W, 3).

    Raises: ValueError if the images are not n rows of H W pixels, or n is not a square.
    """
    images = checked_images(images, image_shape)
    side = round(len(images) ** 0.5)
    if side * side != len(images):
        raise ValueError(f"a square number of images is needed, not {len(images)}")
    canvas = mosaic(images, image_shape, side, gap=0)
    figure, axes, dots = draw_mosaic(canvas, image_shape)
    quantiles = np.array([0.1, 0.3, 0.5, 0.7, 0.9])
    names = [f"{quantile:g}" for quantile in quantiles]
    axes.set_xticks(quantiles * canvas.shape[1] - 0.5, names)
    axes.set_yticks((1 - quantiles) * canvas.shape[0] - 0.5, names)
    axes.tick_params(length=4)
    axes.set_xlabel(r"$\Phi(z_1)$: quantile of $z_1$ under $\mathcal{N}(0, 1)$", fontsize=TEXT)
    axes.set_ylabel(r"$\Phi(z_2)$: quantile of $z_2$ under $\mathcal{N}(0, 1)$", fontsize=TEXT)
    fit(figure, axes, dots)
    save(figure, path)
    return figure


def checked_images(images: np.ndarray, image_shape: tuple[int, ...]) -> np.ndarray:
    """The images as an array, if they are n >= 1 rows of H W pixels; else a ValueError."""
    images = np.asarray(images)
    is_shape = len(image_shape) == 2 or (len(image_shape) == 3 and image_shape[2] == 3)
    if not is_shape or images.ndim != 2 or len(images) == 0 or images.shape[1] != math.prod(image_shape):
        raise ValueError(
            f"images (n, H W) of image_shape (H, W), or (H, W, 3) in colour, are needed, not {images.shape} of "
            f"{tuple(image_shape)}"
        )
    return images


def balanced_columns(n: int, image_shape: tuple[int, ...]) -> int:
    """The columns of a grid of n images about as high as wide: one without empty places, if one is nearly so."""
    H, W = image_shape[:2]
    ideal = max(1.0, (n * H / W) ** 0.5)
    full = min((c for c in range(1, n + 1) if n % c == 0), key=lambda c: abs(np.log(c / ideal)))
    return full if max(full / ideal, ideal / full) < 1.5 else min(n, int(np.ceil(ideal)))


def draw_mosaic(canvas: Array, image_shape: tuple[int, ...]) -> tuple[Figure, Axes, list[int]]:
    """A figure with a mosaic, grey or in colour, and nothing around it yet.

    Returns: (figure, axes, dots), dots = (height, width) of the mosaic in the file, whole multiples of its pixels.
    """
    enlarged = int(np.clip(-(-MOSAIC // max(canvas.shape[:2])), 1, MOST_DOTS))
    dots = [pixels * max(enlarged, -(-LEAST_SIDE // side)) for pixels, side in zip(canvas.shape[:2], image_shape)]
    figure = Figure(dpi=DPI)
    axes = figure.add_subplot(frame_on=False)
    # zorder: above the ends of the ticks
    axes.imshow(coloured(canvas), interpolation="nearest", aspect="auto", zorder=3)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.tick_params(length=0, labelsize=TEXT)
    return figure, axes, dots


def coloured(canvas: Array) -> np.ndarray:
    """A mosaic as (height, width, 3) uint8: what is under 0 is black, over 1 white, NaN as the page.

    Without a colour map, whose table rounds some intensities to the level below.
    """
    levels = np.rint(255 * np.clip(np.nan_to_num(canvas, nan=1.0), 0, 1)).astype(np.uint8)
    return levels if levels.ndim == 3 else np.repeat(levels[:, :, None], 3, axis=2)


def fit(figure: Figure, axes: Axes, dots: Sequence[int]) -> None:
    """Give the axes exactly the dots (height, width), and the figure the room that their labels take."""
    height, width = dots
    figure.set_size_inches(width / DPI, height / DPI)
    axes.set_position((0, 0, 1, 1))
    taken = axes.get_tightbbox(FigureCanvasAgg(figure).get_renderer())
    left, bottom = (int(np.ceil(PADDING - least)) for least in (taken.x0, taken.y0))
    full_width = left + int(np.ceil(max(taken.x1, width))) + PADDING
    full_height = bottom + int(np.ceil(max(taken.y1, height))) + PADDING
    figure.set_size_inches(full_width / DPI, full_height / DPI)
    axes.set_position((left / full_width, bottom / full_height, width / full_width, height / full_height))


def side_by_side(
    path: AnyPath, panels: Sequence[tuple[str, np.ndarray]], image_shape: tuple[int, ...], columns: int
) -> Figure:
    """Mosaics of images side by side.

    Args:
        path: of the PNG.
        panels: [(title, images (n, H W))].
        image_shape: (H, W) or (H, W, 3).
        columns: images in a row of a mosaic.
    """
    width = 1.5 * WIDTH / DPI
    height = width / len(panels) * image_shape[0] / image_shape[1] + 0.4
    figure = Figure(figsize=(width, height), dpi=DPI, layout="constrained")
    for axes, (title, images) in zip(np.atleast_1d(figure.subplots(1, len(panels))), panels):
        axes.imshow(coloured(mosaic(images, image_shape, columns)))
        axes.set_title(title, fontsize=TEXT + 1)
        axes.axis("off")
    save(figure, path)
    return figure
