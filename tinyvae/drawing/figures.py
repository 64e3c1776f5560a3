"""Drawing: the only file that imports matplotlib. Each function takes arrays and writes one PNG, whole or not at all.

No display is needed and no global state is touched: figures are made by their class, not by pyplot. Images side by
side are one array and one ``imshow``, so that 400 digits are drawn as fast as one, and each of their pixels is a whole
number of dots of the file. What is drawn is also returned, as a matplotlib Figure.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from cycler import cycler
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from numpy.typing import ArrayLike
from scipy.special import ndtri

from tinyvae.disk.files import atomic_write
from tinyvae.types import AnyPath, Array, Pair

# Ten colours that stay apart under each kind of colour-blindness (Petroff 2021, "Accessible color sequences").
COLOURS = (
    *("#3f90da", "#ffa90e", "#bd1f01", "#94a4a2", "#832db6"),
    *("#a96b59", "#e76300", "#b9ac70", "#717581", "#92dadd"),
)
# Okabe and Ito's, for lines
OKABE_ITO = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#000000")
TEST, TRAIN, PUBLISHED = *OKABE_ITO[:2], "#444444"
DPI = 128  # a power of two: a whole number of dots divided by it and multiplied again is the same whole number
WIDTH = 800  # dots, of the curve and the latent space
MOSAIC = 640  # dots, the least that the longer side of a mosaic is enlarged to, if that takes no more than MOST_DOTS
MOST_DOTS = 8  # a pixel, along each side
LEAST_SIDE = 18  # dots, of one image: room for its label
PADDING = 10  # dots around everything
GAP = 1  # pixels between images
PAIR_GAP = 3  # pixels between pairs of an original and its reconstruction
PAIRS = 10  # in a row
TEXT = 9.5  # points
# matplotlib's settings for the notebooks of the course: small files, the same look
NOTEBOOK = {
    "figure.figsize": (6.4, 3.6), "figure.dpi": 90, "savefig.dpi": 90, "figure.constrained_layout.use": True,
    "axes.spines.top": False, "axes.spines.right": False, "axes.grid": True, "grid.alpha": 0.25,
    "axes.axisbelow": True, "axes.titlesize": "medium", "legend.frameon": False, "image.cmap": "gray",
    "lines.linewidth": 1.8, "font.size": 10, "axes.prop_cycle": cycler(color=OKABE_ITO),
}  # fmt: skip
HIDDEN = 0.1  # of the logarithmic axis of the curve may be out of view


# ---- the curve


def curve(
    path: AnyPath,
    samples_seen: ArrayLike,
    train_bound: ArrayLike,
    test_bound: ArrayLike,
    *,
    bound_name: str = "ELBO",
    title: str = "",
    published: tuple[ArrayLike, ArrayLike] | None = None,
) -> Figure:
    """The bound against the number of training examples seen, on a logarithmic axis (AEVB, Figure 2).

    Points that are not finite, or at 0 examples, are left out. The first bounds may lie hundreds of nats under all
    others: what would flatten the rest may leave the picture at the bottom, see ``bound_limits``.

    Args:
        path: of the PNG.
        samples_seen, train_bound, test_bound: (E,) each, a point an evaluation, samples_seen rising; nats per example.
        bound_name: what the axis calls the bound.
        title: of the figure.
        published: (samples_seen, bound), (P,) each: a published test curve, drawn as open circles under ours; or None.

    Raises: ValueError if the arrays of a curve are not of one length.
    """
    train = visible_points("train_bound", samples_seen, train_bound)
    test = visible_points("test_bound", samples_seen, test_bound)
    theirs = (np.empty(0), np.empty(0)) if published is None else visible_points("published", *published)

    figure, axes = plot(title, height=500)
    marker = "." if len(test[0]) <= 20 else None
    axes.plot(*test, "-", color=TEST, marker=marker, lw=2, label="test", zorder=4)
    axes.plot(*train, "--", color=TRAIN, marker=marker, lw=1.4, label="training", zorder=3)
    if published is not None:
        axes.plot(*theirs, "o", mfc="none", color=PUBLISHED, ms=5, mew=1, label="published (test)", zorder=2)
    axes.set_xscale("log")
    limits = bound_limits([train, test, theirs], kept=test)
    if limits:
        axes.set_ylim(*limits)
    axes.set_xlabel("training examples seen")
    axes.set_ylabel(f"{bound_name} (nats per example)")
    axes.legend(frameon=False, loc="best", fontsize=TEXT)
    save(figure, path)
    return figure


def visible_points(name: str, x: ArrayLike, bound: ArrayLike) -> Pair:
    """The points of a curve that a logarithmic axis can show: finite ones, x > 0."""
    x, bound = np.asarray(x, float), np.asarray(bound, float)
    if x.ndim != 1 or x.shape != bound.shape:
        raise ValueError(f"{name}: a bound for each number of examples is needed, not {bound.shape} for {x.shape}")
    shown = np.isfinite(x) & np.isfinite(bound) & (x > 0)
    return x[shown], bound[shown]


def bound_limits(curves: Sequence[Pair], kept: Pair) -> tuple[float, float] | None:
    """The limits of the vertical axis: everything, unless the start of the curves would flatten the rest.

    At most the lowest tenth of each curve, measured along the logarithmic axis, is left out of view, and only if all
    of it would take half as much height again; never the end of the test curve.

    Args:
        curves: list of (x, bound), each (P,), P >= 0.
        kept: (x, bound), whose last bound is in view.

    Returns: (lower, upper), or None if there are no points.
    """
    curves = [(np.log(x), bound) for x, bound in curves if len(x)]
    if not curves:
        return None
    low = min(bound.min() for _, bound in curves)
    high = max(bound.max() for _, bound in curves)
    even = [np.interp(np.linspace(x[0], x[-1], 200), x, bound) for x, bound in curves]
    late = min([np.quantile(bounds, HIDDEN) for bounds in even] + list(kept[1][-1:]))
    if high - low > 1.5 * (high - late):
        low = late
    margin = max(0.06 * (high - low), 1e-3 * abs(high), 1e-3)
    return low - margin, high + margin


# ---- mosaics of images


def mosaic(
    images: np.ndarray, image_shape: tuple[int, int], columns: int, gap: int = GAP, background: float = 1.0
) -> Array:
    """Images side by side in one array, row by row from the top left.

    Args:
        images: (n, H W), n >= 1.
        image_shape: (H, W).
        columns: images in a row.
        gap: pixels between neighbours, none around the whole.
        background: the intensity of the gaps and of places without an image.

    Returns: (R (H + gap) - gap, columns (W + gap) - gap) float64, where R = ceil(n / columns). The image i has its top
    left pixel at ((i // columns) (H + gap), (i % columns) (W + gap)).

    Raises: ValueError if the images are not n rows of H W pixels, or columns < 1.
    """
    images = checked_images(images, image_shape)
    if columns < 1:
        raise ValueError(f"at least one column is needed, not {columns}")
    H, W = image_shape
    rows = -(-len(images) // columns)
    height, width = H + gap, W + gap
    cells = np.full((rows * columns, height, width), background, dtype=float)
    cells[: len(images), :H, :W] = images.reshape(-1, H, W)
    canvas = cells.reshape(rows, columns, height, width).swapaxes(1, 2).reshape(rows * height, columns * width)
    return canvas[: rows * height - gap, : columns * width - gap]


def image_grid(
    path: AnyPath,
    images: np.ndarray,
    image_shape: tuple[int, int],
    *,
    rows: int | None = None,
    columns: int | None = None,
    row_labels: Sequence | None = None,
    column_labels: Sequence | None = None,
    title: str = "",
) -> Figure:
    """Images in a grid, row by row from the top left: black is 0, white is 1.

    Args:
        path: of the PNG.
        images: (n, H W) intensities; what is under 0 is shown as 0, what is over 1 as 1, NaN as the page.
        image_shape: (H, W).
        rows, columns: images in a column and in a row; by default from the labels, else such that the grid is about
            as high as wide, and full if possible.
        row_labels, column_labels: a string or number for each row, each column, or None.
        title: of the figure.

    Raises: ValueError if the images are not n rows of H W pixels, or do not fit the rows, columns and labels.
    """
    images = checked_images(images, image_shape)
    rows = rows or (len(row_labels) if row_labels is not None else None)
    columns = columns or (len(column_labels) if column_labels is not None else None)
    if columns is None:
        columns = -(-len(images) // rows) if rows else balanced_columns(len(images), image_shape)
    needed = -(-len(images) // columns)
    if needed != (rows or needed):
        raise ValueError(f"{len(images)} images in {columns} columns make {needed} rows, not {rows}")
    for name, labels, places in (("row_labels", row_labels, needed), ("column_labels", column_labels, columns)):
        if labels is not None and len(labels) != places:
            raise ValueError(f"{name}: {places} are needed, not {len(labels)}")

    figure, axes, dots = draw_mosaic(mosaic(images, image_shape, columns), image_shape, title)
    H, W = image_shape
    if row_labels is not None:
        axes.set_yticks((H - 1) / 2 + (H + GAP) * np.arange(needed), row_labels)
    if column_labels is not None:
        axes.xaxis.tick_top()
        axes.set_xticks((W - 1) / 2 + (W + GAP) * np.arange(columns), column_labels)
    fit(figure, axes, dots)
    save(figure, path)
    return figure


def reconstructions(
    path: AnyPath, originals: np.ndarray, reconstructions: np.ndarray, image_shape: tuple[int, int]
) -> Figure:
    """Originals, each directly above its reconstruction, ten pairs in a row.

    Args:
        path: of the PNG.
        originals, reconstructions: (n, H W) intensities, as for ``image_grid``.
        image_shape: (H, W).

    Raises: ValueError if the images are not n rows of H W pixels each.
    """
    originals, reconstructions = (checked_images(images, image_shape) for images in (originals, reconstructions))
    if len(originals) != len(reconstructions):
        raise ValueError(f"{len(originals)} originals, but {len(reconstructions)} reconstructions")
    H, W = image_shape
    # a pair is one image of the mosaic, with a line of the page between the two
    line = np.ones((len(originals), GAP * W))
    pairs = np.concatenate([originals, line, reconstructions], axis=1)
    pair_shape = (2 * H + GAP, W)
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


def manifold(path: AnyPath, images: np.ndarray, image_shape: tuple[int, int]) -> Figure:
    """The decoded ``manifold_grid`` as one seamless picture, with the quantiles of z along its sides.

    Args:
        path: of the PNG.
        images: (side², H W) intensities in the order of the grid, as for ``image_grid``.
        image_shape: (H, W).

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


def checked_images(images: np.ndarray, image_shape: tuple[int, int]) -> np.ndarray:
    """The images as an array, if they are n >= 1 rows of H W pixels; else a ValueError."""
    images = np.asarray(images)
    if len(image_shape) != 2 or images.ndim != 2 or len(images) == 0 or images.shape[1] != np.prod(image_shape):
        raise ValueError(f"images (n, H W) of image_shape (H, W) = {tuple(image_shape)} are needed, not {images.shape}")
    return images


def balanced_columns(n: int, image_shape: tuple[int, int]) -> int:
    """The columns of a grid of n images about as high as wide: one without empty places, if one is nearly so."""
    H, W = image_shape
    ideal = max(1.0, (n * H / W) ** 0.5)
    full = min((c for c in range(1, n + 1) if n % c == 0), key=lambda c: abs(np.log(c / ideal)))
    return full if max(full / ideal, ideal / full) < 1.5 else min(n, int(np.ceil(ideal)))


def draw_mosaic(canvas: Array, image_shape: tuple[int, int], title: str = "") -> tuple[Figure, Axes, list[int]]:
    """A figure with a mosaic in grey and nothing around it yet.

    Returns: (figure, axes, dots), dots = (height, width) of the mosaic in the file, whole multiples of its pixels.
    """
    enlarged = int(np.clip(-(-MOSAIC // max(canvas.shape)), 1, MOST_DOTS))
    dots = [pixels * max(enlarged, -(-LEAST_SIDE // side)) for pixels, side in zip(canvas.shape, image_shape)]
    figure = Figure(dpi=DPI)
    axes = figure.add_subplot(frame_on=False)
    # colours of our own, not a colour map: its table rounds some intensities to the level below
    grey = np.rint(255 * np.clip(np.nan_to_num(canvas, nan=1.0), 0, 1)).astype(np.uint8)
    # zorder: above the ends of the ticks
    axes.imshow(np.repeat(grey[:, :, None], 3, axis=2), interpolation="nearest", aspect="auto", zorder=3)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.tick_params(length=0, labelsize=TEXT)
    set_title(axes, title)
    return figure, axes, dots


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


# ---- the latent space


def latent(path: AnyPath, means: np.ndarray, labels: np.ndarray | None = None, *, title: str = "") -> Figure:
    """The means of q(z|x) of a set of examples in a two-dimensional latent space.

    Up to ten different labels have a colour each, and their name at the median of their points; more share a scale.

    Args:
        path: of the PNG.
        means: (M, 2); rows that are not finite are left out.
        labels: (M,) integers, or None.
        title: of the figure.

    Raises: ValueError if means or labels have another shape.
    """
    means = np.asarray(means, float)
    labels = None if labels is None else np.asarray(labels)
    if means.ndim != 2 or means.shape[1] != 2:
        raise ValueError(f"means (M, 2) are needed, not {means.shape}")
    if labels is not None and labels.shape != means.shape[:1]:
        raise ValueError(f"labels: {len(means)} are needed, one for each mean, not {labels.shape}")
    shown = np.isfinite(means).all(axis=1)
    means, labels = means[shown], None if labels is None else labels[shown]

    figure, axes = plot(title, height=700)
    style = {"s": np.clip(30_000 / max(len(means), 1), 6, 30), "alpha": 0.6, "linewidths": 0}
    if labels is None or len(means) == 0:
        axes.scatter(*means.T, color=TEST, **style)
    elif len(np.unique(labels)) <= len(COLOURS):
        scatter_classes(axes, means, labels, style)
    else:
        points = axes.scatter(*means.T, c=labels, cmap="viridis", **style)
        figure.colorbar(points, ax=axes, label="label").solids.set(alpha=1)
    axes.set_aspect("equal", "datalim")
    axes.set_xlabel("mean of $q(z_1|x)$")
    axes.set_ylabel("mean of $q(z_2|x)$")
    save(figure, path)
    return figure


def scatter_classes(axes: Axes, means: np.ndarray, labels: np.ndarray, style: dict[str, Any]) -> None:
    """Points coloured by at most ten labels, in the order of the data: label by label, the last would hide the rest."""
    names, index = np.unique(labels, return_inverse=True)
    axes.scatter(*means.T, c=np.array(COLOURS)[index], **style)
    for i, (name, colour) in enumerate(zip(names, COLOURS)):
        axes.scatter([], [], s=40, color=colour, label=str(name))
        x, y = np.median(means[index == i], axis=0)
        outline = [withStroke(linewidth=3, foreground="white")]
        axes.text(x, y, str(name), size=13, weight="bold", ha="center", va="center", path_effects=outline)
    axes.legend(
        title="label", frameon=False, loc="center left", bbox_to_anchor=(1, 0.5), fontsize=TEXT, title_fontsize=TEXT
    )


# ---- what all share


def plot(title: str, height: int) -> tuple[Figure, Axes]:
    """A figure of the width WIDTH with one pair of axes, and the axes."""
    figure = Figure(figsize=(WIDTH / DPI, height / DPI), dpi=DPI, layout="constrained")
    axes = figure.add_subplot()
    set_title(axes, title)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.25)
    axes.set_axisbelow(True)
    axes.tick_params(labelsize=TEXT)
    return figure, axes


def set_title(axes: Axes, title: str) -> None:
    """A title as it is: the name of a user's file may hold the signs of a formula."""
    axes.set_title(title, fontsize=TEXT + 1.5, pad=8, parse_math=False)


def save(figure: Figure, path: AnyPath) -> None:
    """Write a figure as PNG, atomically."""
    with atomic_write(Path(path)) as file:
        FigureCanvasAgg(figure).print_png(file)
