"""Curves of bounds: of one training, of several side by side, with the published points."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator
from numpy.typing import ArrayLike
from scipy.ndimage import median_filter

from tinyvae.drawing.style import DPI, OKABE_ITO, PUBLISHED, TEST, TEXT, TRAIN, WIDTH, panel, plot, save
from tinyvae.types import AnyPath, Pair

Columns = Mapping[str, np.ndarray]  # of a history
Points = tuple[Sequence[float], Sequence[float]]  # (samples_seen, bound), as published

# The colours stay apart under colour-blindness; each line has a style of its own too.
LINES = tuple(zip(OKABE_ITO, ("-", "--", "-.", ":", (0, (5, 1)), (0, (3, 1, 1, 1)), (0, (1, 1)))))
PANELS = 3  # in a row
DRAWN = 400  # places of a curve, evenly along a panel's logarithmic axis
TURN = 1.0  # nats by which a bound must have fallen since its highest to have turned down
SHOWN = (0.05, 0.35)  # the shares of the published points and of our logarithmic axis that may be under the picture
SHORT = 50  # times its beginning, an axis whose numbers are those of epochs
TICKS = 5  # such numbers at most
HIDDEN = 0.1  # of the logarithmic axis of the curve may be out of view


def curve(
    path: AnyPath,
    samples_seen: ArrayLike,
    train_bound: ArrayLike,
    test_bound: ArrayLike,
    *,
    bound_name: str = "ELBO",
    unit: str = "nats per example",
    title: str = "",
    bits: tuple[float, float] | None = None,
) -> Figure:
    """The bound against the number of training examples seen, on a logarithmic axis (AEVB, Figure 2).

    Points that are not finite, or at 0 examples, are left out. The first bounds may lie hundreds of nats under all
    others: what would flatten the rest may leave the picture at the bottom, see ``bound_limits``.

    Args:
        path: of the PNG.
        samples_seen, train_bound, test_bound: (E,) each, a point an evaluation, samples_seen rising; nats.
        bound_name, unit: what the axis calls the bound, and what it is counted in.
        title: of the figure.
        bits: (a, b): a bound of L nats is a L + b bits per dimension, which an axis on the right shows; or None.

    Raises: ValueError if the arrays of a curve are not of one length.
    """
    train = visible_points("train_bound", samples_seen, train_bound)
    test = visible_points("test_bound", samples_seen, test_bound)

    figure, axes = plot(title, height=500)
    marker = "." if len(test[0]) <= 20 else None
    axes.plot(*test, "-", color=TEST, marker=marker, lw=2, label="test", zorder=4)
    axes.plot(*train, "--", color=TRAIN, marker=marker, lw=1.4, label="training", zorder=3)
    axes.set_xscale("log")
    seen = np.unique(np.concatenate([train[0], test[0]]))
    if len(seen) and seen[-1] < SHORT * seen[0]:
        # the powers of ten alone are too few, and all that lies between them would run into one another
        axes.xaxis.set_major_locator(FixedLocator(seen[even_places(seen, TICKS)]))
        axes.xaxis.set_major_formatter("{x:,.0f}")
        axes.minorticks_off()
    limits = bound_limits([train, test], kept=test)
    if limits:
        axes.set_ylim(*limits)
    axes.set_xlabel("training examples seen")
    axes.set_ylabel(f"{bound_name} ({unit})")
    if bits:
        slope, start = bits
        both_ways = lambda nats: slope * nats + start, lambda n_bits: (n_bits - start) / slope
        right = axes.secondary_yaxis("right", functions=both_ways)
        right.set_ylabel("bits per dimension")
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
    curves = [curve for curve in curves if len(curve[0])]
    if not curves:
        return None
    low = min(bound.min() for _, bound in curves)
    high = max(bound.max() for _, bound in curves)
    late = min([np.quantile(evenly(*curve), HIDDEN) for curve in curves] + list(kept[1][-1:]))
    if high - low > 1.5 * (high - late):
        low = late
    margin = max(0.06 * (high - low), 1e-3 * abs(high), 1e-3)
    return low - margin, high + margin


def bound_panels(path: AnyPath, panels: Sequence[tuple[str, Columns, Mapping[str, Points]]]) -> Figure:
    """The bound against the training examples seen, a panel for each latent space (AEVB, Figure 2).

    Of curves of thousands of epochs as many are drawn as can be told apart, the published points above them. A test
    bound that has turned down is marked where it did.

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
        panel(axes, title)
        train = visible_points("train", curves["samples_seen"], curves["train_bound"])
        test = visible_points("test", curves["samples_seen"], curves["test_bound"])
        above = {"color": PUBLISHED, "zorder": 3}
        axes.plot(*theirs["test"], "o", mfc="none", ms=4.5, mew=0.9, label="published, test", **above)
        axes.plot(*theirs["train"], "x", ms=3.5, mew=0.8, label="published, training", **above)
        shown = [[points[even_places(curve[0], DRAWN)] for points in curve] for curve in (test, train)]
        axes.plot(*shown[0], "-", color=TEST, lw=2, label="ours, test")
        axes.plot(*shown[1], "--", color=TRAIN, lw=1.3, label="ours, training")
        turn = turning_point(curves["test_bound"])
        if turn is not None:
            turned = curves["samples_seen"][turn], curves["test_bound"][turn]
            axes.plot(*turned, "v", color=PUBLISHED, mfc="white", ms=7, zorder=4, label="ours, test: turns down")
        axes.set_xscale("log")
        published = [bound for points in theirs.values() for bound in points[1]]
        low = [np.quantile(evenly(*test), SHOWN[1])] if len(test[0]) else []
        low += [np.quantile(published, SHOWN[0])] if published else []
        lowest = min([lowest, *low])
        highest = max([highest, *test[1], *published, *train[1][-1:]])
    if lowest < highest:
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


def even_places(x: np.ndarray, count: int) -> np.ndarray:
    """The indices of at most so many of x (E,), which rises, even along the logarithmic axis, with both ends."""
    if not len(x):
        return np.arange(0)
    return np.unique(np.searchsorted(x, np.geomspace(x[0], x[-1], count) * (1 - 1e-9)))


def evenly(x: np.ndarray, bound: np.ndarray) -> np.ndarray:
    """A curve's bounds at 200 places that are even along the logarithmic axis."""
    return np.interp(np.linspace(np.log(x[0]), np.log(x[-1]), 200), np.log(x), bound)


def bounds_by_epoch(path: AnyPath, curves: Sequence[tuple[str, Columns]]) -> Figure:
    """Test bounds against epochs on a logarithmic axis; those that are not finite are left out.

    Args:
        path: of the PNG.
        curves: [(name, {"epoch": (E,), "test_bound": (E,)})], in nats per example.
    """
    figure = Figure(figsize=(1.2 * WIDTH / DPI, 640 / DPI), dpi=DPI, layout="constrained")
    axes = figure.add_subplot()
    panel(axes, "")
    late = []
    for (name, columns), (colour, dashes) in zip(curves, LINES):
        epochs, bounds = visible_points("test_bound", columns["epoch"], columns["test_bound"])
        axes.plot(epochs, bounds, color=colour, ls=dashes, lw=1.8, label=name)
        late += list(bounds[epochs >= 3])
    if late:
        margin = 0.05 * (max(late) - min(late)) + 0.1
        axes.set_ylim(min(late) - margin, max(late) + margin)
    axes.set_xscale("log")
    axes.set_xlabel("epochs", fontsize=TEXT + 1)
    axes.set_ylabel("each model's own bound\non the test set (nats per example)", fontsize=TEXT + 1)
    last = int(max(max(columns["epoch"]) for _, columns in curves))
    ticks = range(1, last + 1) if last < 10 else [n for n in (1, 3, 10, 30, 100, 300, 1000, 3000) if n <= last]
    axes.set_xticks(ticks, map(str, ticks))
    axes.minorticks_off()
    figure.legend(frameon=False, fontsize=TEXT - 0.5, loc="outside lower center", ncols=2)
    save(figure, path)
    return figure
