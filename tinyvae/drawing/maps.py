"""Maps of two-dimensional spaces, their points coloured by label."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from scipy.spatial import cKDTree

from tinyvae.drawing.style import COLOURS, DPI, TEST, TEXT, WIDTH, panel, plot, save
from tinyvae.types import AnyPath

NEAR = 0.03  # of the width of a map: about half a name


def latent(
    path: AnyPath,
    means: np.ndarray,
    labels: np.ndarray | None = None,
    *,
    scale: str = "",
    dimensions: tuple[int, int] = (1, 2),
    title: str = "",
) -> Figure:
    """The means of q(z|x) of a set of examples in a two-dimensional latent space, or in two dimensions of one.

    Up to ten different labels have a colour each, and their name where they are most among themselves; more share a
    scale, as do numbers that measure something.

    Args:
        path: of the PNG.
        means: (M, 2); rows that are not finite are left out.
        labels: (M,) integers, or None; with ``scale`` any numbers.
        scale: the name of what they measure.
        dimensions: which these are, counted from 1.
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
    elif not scale and len(np.unique(labels)) <= len(COLOURS):
        scatter_classes(axes, means, labels, style)
    else:
        points = axes.scatter(*means.T, c=labels, cmap="viridis", **style)
        figure.colorbar(points, ax=axes, label=scale or "label").solids.set(alpha=1)
    axes.set_aspect("equal", "datalim")
    axes.set_xlabel(f"mean of $q(z_{{{dimensions[0]}}}|x)$")
    axes.set_ylabel(f"mean of $q(z_{{{dimensions[1]}}}|x)$")
    save(figure, path)
    return figure


def scatter_classes(axes: Axes, means: np.ndarray, labels: np.ndarray, style: dict[str, Any]) -> None:
    """Points coloured by at most ten labels, in the order of the data: label by label, the last would hide the rest."""
    names, index = np.unique(labels, return_inverse=True)
    axes.scatter(*means.T, c=np.array(COLOURS)[index], **style)
    outline = [withStroke(linewidth=3, foreground="white")]
    for name, colour, place in zip(names, COLOURS, places_of_names(means, index)):
        axes.scatter([], [], s=40, color=colour, label=str(name))
        axes.text(*place, str(name), size=13, weight="bold", ha="center", va="center", path_effects=outline)
    axes.legend(
        title="label", frameon=False, loc="center left", bbox_to_anchor=(1, 0.5), fontsize=TEXT, title_fontsize=TEXT
    )


def places_of_names(points: np.ndarray, index: np.ndarray) -> np.ndarray:
    """Where the name of each class is written: at that of its points with the most n²/m, where n of the m points about
    it are of its class. Those that stand out most choose first, and the next stay clear of their names.

    Args:
        points: (M, 2).
        index: (M,) the classes 0 ... C - 1 of the points.

    Returns: (C, 2).
    """
    near = NEAR * max(np.ptp(points, axis=0).max(), 1e-9)
    everybody, names = cKDTree(points), range(index.max() + 1)
    own = [points[index == i] for i in names]
    counts = [
        [tree.query_ball_point(some, near, return_length=True) for tree in (cKDTree(some), everybody)] for some in own
    ]
    worth = [n**2 / m for n, m in counts]
    places = np.full((len(own), 2), np.inf)
    for i in sorted(names, key=lambda i: -worth[i].max()):
        is_free = np.hypot(*(own[i][:, None] - places).transpose(2, 0, 1)).min(axis=1) > 2 * near
        places[i] = own[i][np.argmax(worth[i] - len(points) * ~is_free)]
    return places


def side_by_side(
    path: AnyPath, panels: Sequence[tuple[str, np.ndarray, tuple[str, str]]], labels: np.ndarray
) -> Figure:
    """Two-dimensional maps side by side, their points coloured by label.

    Args:
        path: of the PNG.
        panels: [(title, points (M, 2), the names of the two axes)]; points that are not finite are left out.
        labels: (M,) integers, at most ten different ones.
    """
    width = 1.45 * WIDTH / DPI
    figure = Figure(figsize=(width, 0.5 * width), dpi=DPI, layout="constrained")
    grid = figure.subplots(1, len(panels), squeeze=False)
    for axes, (title, points, names) in zip(grid.flat, panels):
        panel(axes, title)
        axes.set_xlabel(names[0], fontsize=TEXT)
        axes.set_ylabel(names[1], fontsize=TEXT)
        shown = np.isfinite(points).all(axis=1)
        scatter_classes(axes, points[shown], labels[shown], {"s": 6, "alpha": 0.6, "linewidths": 0})
        axes.set_aspect("equal", "datalim")
        if axes is not grid.flat[-1]:
            axes.get_legend().remove()
    save(figure, path)
    return figure
