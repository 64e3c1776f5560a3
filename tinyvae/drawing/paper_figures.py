"""The papers' figures: curves of several trainings with the published points, maps and mosaics side by side."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.ndimage import median_filter

from tinyvae.drawing.figures import (
    DPI,
    OKABE_ITO,
    PUBLISHED,
    TEST,
    TEXT,
    TRAIN,
    WIDTH,
    mosaic,
    save,
    scatter_classes,
    visible_points,
)
from tinyvae.types import AnyPath

Columns = Mapping[str, np.ndarray]  # of a history
Points = tuple[Sequence[float], Sequence[float]]  # (samples_seen, bound), as published

# The colours stay apart under colour-blindness; each line has a style of its own too.
LINES = tuple(zip(OKABE_ITO, ("-", "--", "-.", ":", (0, (5, 1)), (0, (3, 1, 1, 1)), (0, (1, 1)))))
PANELS = 3  # in a row
TURN = 1.0  # nats by which a bound must have fallen since its highest to have turned down
SHOWN = (0.05, 0.35)  # the shares of the published points and of our logarithmic axis that may be under the picture


def bound_panels(path: AnyPath, panels: Sequence[tuple[str, Columns, Mapping[str, Points]]]) -> Figure:
    """The bound against the training examples seen, a panel for each latent space (AEVB, Figure 2).

    A test bound that has turned down is marked where it was highest.

    Args:
        path: of the PNG.
        panels: [(title, curves, theirs)]: ``curves`` with the columns samples_seen, train_bound and test_bound (E,);
            ``theirs`` with "train" and "test": (samples_seen, bound) as published, perhaps empty. In nats per example.
    """
    columns = 2 if len(panels) == 4 else min(PANELS, len(panels))
    rows = -(-len(panels) // columns)
    size = (1.25 * WIDTH / DPI, (0.9 * rows + 0.25) * 300 / DPI)
    figure = Figure(figsize=size, dpi=DPI, layout="constrained")
    grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    lowest, highest = np.inf, -np.inf
    for axes, (title, curves, theirs) in zip(grid.flat, panels):
        style(axes, title)
        train = visible_points("train", curves["samples_seen"], curves["train_bound"])
        test = visible_points("test", curves["samples_seen"], curves["test_bound"])
        axes.plot(*theirs["test"], "o", mfc="none", color=PUBLISHED, ms=4.5, mew=0.9, label="published, test")
        axes.plot(*theirs["train"], "x", color=PUBLISHED, ms=3.5, mew=0.8, label="published, training")
        axes.plot(*test, "-", color=TEST, lw=2, label="ours, test")
        axes.plot(*train, "--", color=TRAIN, lw=1.3, label="ours, training")
        turn = turning_point(curves["test_bound"])
        if turn is not None:
            turned = curves["samples_seen"][turn], curves["test_bound"][turn]
            axes.plot(*turned, "v", color=TEST, ms=6, label="ours, test: the highest")
        axes.set_xscale("log")
        published = [bound for points in theirs.values() for bound in points[1]]
        early = np.quantile(evenly(*test), SHOWN[1])
        lowest = min(lowest, early, np.quantile(published, SHOWN[0]) if published else early)
        highest = max(highest, test[1].max(), *published, *train[1][-1:])
    margin = 0.05 * (highest - lowest)
    grid[0, 0].set_ylim(lowest - margin, highest + margin)
    for axes in list(grid.flat)[len(panels) :]:
        axes.axis("off")
    figure.supxlabel("training examples seen", fontsize=TEXT + 1)
    figure.supylabel("ELBO (nats per example)", fontsize=TEXT + 1)
    entries = {name: line for axes in grid.flat for line, name in zip(*axes.get_legend_handles_labels())}
    figure.legend(entries.values(), entries.keys(), loc="outside upper center", ncols=3, frameon=False,
                  fontsize=TEXT)  # fmt: skip
    save(figure, path)
    return figure


def turning_point(bounds: np.ndarray) -> int | None:
    """Where a bound (E,) that wavers from epoch to epoch was highest, if it has fallen since by ``TURN``; else None.

    Judged on running medians, over a twentieth of the epochs.
    """
    smooth = median_filter(np.asarray(bounds, float), size=2 * (len(bounds) // 40) + 1)
    turn = int(np.argmax(smooth))
    return turn if smooth[turn] > smooth[-1] + TURN else None


def evenly(x: np.ndarray, bound: np.ndarray) -> np.ndarray:
    """A curve's bounds at 200 places that are even along the logarithmic axis."""
    return np.interp(np.linspace(np.log(x[0]), np.log(x[-1]), 200), np.log(x), bound)


def bounds_by_epoch(path: AnyPath, curves: Sequence[tuple[str, Columns]]) -> Figure:
    """Test bounds against epochs on a logarithmic axis.

    Args:
        path: of the PNG.
        curves: [(name, {"epoch": (E,), "test_bound": (E,)})], in nats per example.
    """
    figure = Figure(figsize=(1.2 * WIDTH / DPI, 640 / DPI), dpi=DPI, layout="constrained")
    axes = figure.add_subplot()
    style(axes, "")
    late = []
    for (name, columns), (colour, dashes) in zip(curves, LINES):
        axes.plot(columns["epoch"], columns["test_bound"], color=colour, ls=dashes, lw=1.8, label=name)
        late += list(columns["test_bound"][columns["epoch"] >= 3])
    if late:
        margin = 0.05 * (max(late) - min(late)) + 0.1
        axes.set_ylim(min(late) - margin, max(late) + margin)
    axes.set_xscale("log")
    axes.set_xlabel("epochs", fontsize=TEXT + 1)
    axes.set_ylabel("each model's own bound\non the test set (nats per example)", fontsize=TEXT + 1)
    ticks = [n for n in (1, 3, 10, 30, 100, 300, 1000, 3000) if n <= max(max(c["epoch"]) for _, c in curves)]
    axes.set_xticks(ticks, map(str, ticks))
    axes.minorticks_off()
    figure.legend(frameon=False, fontsize=TEXT - 0.5, loc="outside lower center", ncols=2)
    save(figure, path)
    return figure


def maps(path: AnyPath, panels: Sequence[tuple[str, np.ndarray]], labels: np.ndarray) -> Figure:
    """Two-dimensional maps side by side, their points coloured by label.

    Args:
        path: of the PNG.
        panels: [(title, points (M, 2))].
        labels: (M,) integers, at most ten different ones.
    """
    width = 1.45 * WIDTH / DPI
    figure = Figure(figsize=(width, 0.5 * width), dpi=DPI, layout="constrained")
    grid = figure.subplots(1, len(panels), squeeze=False)
    for axes, (title, points) in zip(grid.flat, panels):
        style(axes, title)
        scatter_classes(axes, points, labels, {"s": 6, "alpha": 0.6, "linewidths": 0})
        axes.set_aspect("equal", "datalim")
        if axes is not grid.flat[-1]:
            axes.get_legend().remove()
    grid.flat[0].set_xlabel("mean of $q(z_1|x)$", fontsize=TEXT)
    grid.flat[0].set_ylabel("mean of $q(z_2|x)$", fontsize=TEXT)
    for axes in list(grid.flat)[1:]:
        axes.set_xlabel("first t-SNE coordinate", fontsize=TEXT)
        axes.set_ylabel("second t-SNE coordinate", fontsize=TEXT)
    save(figure, path)
    return figure


def mosaics(
    path: AnyPath, panels: Sequence[tuple[str, np.ndarray]], image_shape: tuple[int, int], columns: int
) -> Figure:
    """Mosaics of images side by side.

    Args:
        path: of the PNG.
        panels: [(title, images (n, H W))].
        image_shape: (H, W).
        columns: images in a row of a mosaic.
    """
    width = 1.5 * WIDTH / DPI
    height = width / len(panels) * image_shape[0] / image_shape[1] + 0.4
    figure = Figure(figsize=(width, height), dpi=DPI, layout="constrained")
    for axes, (title, images) in zip(np.atleast_1d(figure.subplots(1, len(panels))), panels):
        axes.imshow(mosaic(images, image_shape, columns), cmap="gray", vmin=0, vmax=1)
        axes.set_title(title, fontsize=TEXT + 1)
        axes.axis("off")
    save(figure, path)
    return figure


def style(axes: Axes, title: str) -> None:
    """The look that all axes share."""
    axes.set_title(title, fontsize=TEXT + 1)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.25)
    axes.set_axisbelow(True)
    axes.tick_params(labelsize=TEXT - 0.5)
