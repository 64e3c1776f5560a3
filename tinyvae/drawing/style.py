"""What all figures share: colours, sizes, axes, and the PNG, which is written whole or not at all.

No display is needed and no global state is touched: figures are made by their class, not by pyplot.
"""

from pathlib import Path

from cycler import cycler
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from tinyvae.disk.files import atomic_write
from tinyvae.types import AnyPath

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
TEXT = 9.5  # points
# matplotlib's settings for the notebooks of the course: small files, the same look
NOTEBOOK = {
    "figure.figsize": (6.4, 3.6), "figure.dpi": 90, "savefig.dpi": 90, "figure.constrained_layout.use": True,
    "axes.spines.top": False, "axes.spines.right": False, "axes.grid": True, "grid.alpha": 0.25,
    "axes.axisbelow": True, "axes.titlesize": "medium", "legend.frameon": False, "image.cmap": "gray",
    "lines.linewidth": 1.8, "font.size": 10, "axes.prop_cycle": cycler(color=OKABE_ITO),
}  # fmt: skip


def plot(title: str, height: int) -> tuple[Figure, Axes]:
    """A figure of the width WIDTH with one pair of axes, and the axes."""
    figure = Figure(figsize=(WIDTH / DPI, height / DPI), dpi=DPI, layout="constrained")
    axes = figure.add_subplot()
    set_title(axes, title)
    spare(axes)
    return figure, axes


def set_title(axes: Axes, title: str) -> None:
    """A title as it is: the name of a user's file may hold the signs of a formula, or bytes that are no text."""
    title = title.encode("utf-8", "replace").decode()
    axes.set_title(title, fontsize=TEXT + 1.5, pad=8, parse_math=False)


def save(figure: Figure, path: AnyPath) -> None:
    """Write a figure as PNG, atomically."""
    with atomic_write(Path(path)) as file:
        FigureCanvasAgg(figure).print_png(file)


def panel(axes: Axes, title: str) -> None:
    """The look of axes that stand beside others; their titles may hold formulas."""
    axes.set_title(title, fontsize=TEXT + 1)
    spare(axes)
    axes.tick_params(labelsize=TEXT - 0.5)


def spare(axes: Axes) -> None:
    """Two of four sides, and a faint grid."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.25)
    axes.set_axisbelow(True)
    axes.tick_params(labelsize=TEXT)
