"""Diagrams of models, in one style: what is computed in blue, what comes back in red, noise in green.

Boxes are networks and formulas, circles are numbers that are drawn or given. A diagram is drawn into axes whose unit is
about half a centimetre, so that its positions can be read off a squared sheet.
"""

import itertools
from collections.abc import Callable, Mapping

from matplotlib.axes import Axes
from matplotlib.patches import Circle, FancyBboxPatch, Rectangle

from tinyvae.drawing.style import OKABE_ITO, TEXT

FORWARD, BACKWARD, NOISE, INK = OKABE_ITO[0], OKABE_ITO[3], OKABE_ITO[2], "#333333"
RADIUS = 0.62  # of a circle
Place = tuple[float, float]


def canvas(axes: Axes, width: float, height: float) -> None:
    """An empty sheet from (0, 0) to (width, height)."""
    axes.set(xlim=(0, width), ylim=(0, height), aspect="equal")
    axes.axis("off")


def box(axes: Axes, place: Place, text: str, width: float = 2.2, height: float = 1.1, color: str = FORWARD) -> None:
    """A network or a formula, with its centre at ``place``."""
    x, y = place[0] - width / 2, place[1] - height / 2
    shape = "round,pad=0,rounding_size=0.15"
    axes.add_patch(FancyBboxPatch((x, y), width, height, boxstyle=shape, fc=f"{color}18", ec=color, lw=1.4))
    axes.text(*place, text, ha="center", va="center", fontsize=TEXT, color=INK)


def circle(axes: Axes, place: Place, text: str, color: str = FORWARD, given: bool = False) -> None:
    """A variable; grey if it is given, as the data are."""
    axes.add_patch(Circle(place, RADIUS, fc="#dddddd" if given else "white", ec=color, lw=1.4, zorder=2))
    axes.text(*place, text, ha="center", va="center", fontsize=TEXT + 1, color=INK, zorder=3)


def arrow(
    axes: Axes, start: Place, end: Place, color: str = FORWARD, text: str = "", bend: float = 0.0, dashed: bool = False
) -> None:
    """An arrow, with a text at its middle."""
    style = {"arrowstyle": "-|>", "color": color, "lw": 1.5, "shrinkA": 0, "shrinkB": 0, "mutation_scale": 11}
    line = {"linestyle": (0, (3, 2))} if dashed else {}
    axes.annotate("", end, start, arrowprops={**style, "connectionstyle": f"arc3,rad={bend}", **line})
    if text:
        middle = (start[0] + end[0]) / 2, (start[1] + end[1]) / 2
        note(axes, (middle[0], middle[1] + 0.28), text, color)


def note(axes: Axes, place: Place, text: str, color: str = INK, ha: str = "center") -> None:
    """A text, small."""
    axes.text(*place, text, ha=ha, va="center", fontsize=TEXT - 1, color=color)


def noise(axes: Axes) -> None:
    """Where the noise enters: inside, where no derivative comes through, and from outside."""
    canvas(axes, 17.6, 5.7)
    for left, title in ((0.2, "z is drawn: the way back ends"), (9.0, "the noise is an input: the way back is free")):
        note(axes, (left + 4.2, 5.45), title)
        circle(axes, (left + 0.9, 3.9), r"$\mu$")
        circle(axes, (left + 0.9, 1.7), r"$\sigma$")
        arrow(axes, (left + 1.52, 3.8), (left + 2.7, 3.1))
        arrow(axes, (left + 1.52, 1.8), (left + 2.7, 2.5))
        circle(axes, (left + 6.0, 2.8), "$z$")
        arrow(axes, (left + 4.9, 2.8), (left + 5.38, 2.8))
        arrow(axes, (left + 6.62, 2.8), (left + 7.4, 2.8))
        note(axes, (left + 7.9, 2.8), "$f(z)$", FORWARD)
        arrow(axes, (left + 7.7, 2.3), (left + 6.55, 2.3), BACKWARD)
        note(axes, (left + 7.1, 1.9), "$dz$", BACKWARD)
    box(axes, (4.0, 2.8), r"draw $z \sim$" + "\n" + r"$\mathcal{N}(\mu, \sigma^2)$")
    arrow(axes, (5.6, 2.0), (5.15, 2.0), BACKWARD)
    note(axes, (5.0, 2.0), "$\\times$", BACKWARD)
    box(axes, (12.8, 2.8), r"$\mu + \sigma\,\epsilon$")
    circle(axes, (12.8, 4.5), r"$\epsilon$", NOISE)
    arrow(axes, (12.8, 3.88), (12.8, 3.35), NOISE)
    arrow(axes, (14.5, 2.0), (13.9, 2.0), BACKWARD)
    arrow(axes, (11.6, 3.5), (10.55, 4.15), BACKWARD, bend=0.15)
    arrow(axes, (11.6, 2.1), (10.55, 1.45), BACKWARD, bend=-0.15)
    note(axes, (11.6, 4.25), r"$d\mu = dz$", BACKWARD)
    note(axes, (11.9, 1.2), r"$d\sigma = \epsilon\, dz$", BACKWARD)


def vae(axes: Axes) -> None:
    """A variational autoencoder: encoder, sample, decoder, both terms, and the two ways back to mu and logvar."""
    canvas(axes, 20.0, 7.6)
    circle(axes, (0.8, 3.6), "$x$", given=True)
    arrow(axes, (1.42, 3.6), (2.0, 3.6))
    box(axes, (3.1, 3.6), "encoder")
    for y, text in ((4.7, r"$\mu$"), (2.5, "logvar")):
        arrow(axes, (4.2, 3.6), (5.2, y))
        circle(axes, (5.85, y), text)
        arrow(axes, (6.47, y), (7.6, 3.6 + 0.25 * (1 if y > 3.6 else -1)))
    box(axes, (8.75, 3.6), r"$\mu + \sigma\,\epsilon$", 2.3)
    circle(axes, (8.75, 1.4), r"$\epsilon$", NOISE)
    arrow(axes, (8.75, 2.02), (8.75, 3.05), NOISE)
    arrow(axes, (9.9, 3.6), (10.6, 3.6))
    circle(axes, (11.22, 3.6), "$z$")
    arrow(axes, (11.84, 3.6), (12.5, 3.6))
    box(axes, (13.6, 3.6), "decoder")
    arrow(axes, (14.7, 3.6), (15.5, 3.6), text="$l$")
    box(axes, (17.1, 3.6), r"$\log p(x\,|\,z)$", 3.2)
    box(axes, (8.75, 6.6), r"$-\mathrm{KL}(q(z\,|\,x)\,\|\,p(z))$", 4.6)
    arrow(axes, (5.85, 5.32), (6.4, 6.35))
    arrow(axes, (5.3, 2.95), (6.4, 6.6), bend=-0.5)
    circle(axes, (17.1, 1.2), "$x$", given=True)
    arrow(axes, (17.1, 1.82), (17.1, 3.05))
    box(axes, (17.1, 6.6), r"the bound: their sum", 3.8, color=INK)
    arrow(axes, (17.1, 4.15), (17.1, 6.05))
    arrow(axes, (11.05, 6.6), (15.2, 6.6))
    arrow(axes, (15.4, 2.85), (12.0, 2.85), BACKWARD)
    note(axes, (13.7, 2.4), "$dz$: what the likelihood asks for", BACKWARD)
    arrow(axes, (10.7, 2.85), (9.95, 2.85), BACKWARD)
    arrow(axes, (7.5, 2.75), (6.5, 2.1), BACKWARD, bend=-0.1)
    arrow(axes, (7.5, 4.4), (6.5, 5.0), BACKWARD, bend=0.1)
    arrow(axes, (8.0, 6.0), (6.35, 5.3), BACKWARD, bend=-0.1)
    arrow(axes, (6.4, 6.9), (5.2, 2.6), BACKWARD, bend=0.62)
    note(axes, (7.9, 5.35), "two ways: through the sample, and directly", BACKWARD, ha="left")
    arrow(axes, (5.3, 1.75), (3.4, 2.6), BACKWARD, bend=-0.2)
    note(axes, (3.4, 1.2), "then the encoder,\nas any network", BACKWARD)


def two_layers(axes: Axes) -> None:
    """Two layers: the encoders go up, the model comes down, and a label is read by all."""
    canvas(axes, 16.0, 8.4)
    for left, title in ((2.4, r"$q$: up from the data"), (8.0, r"$p$: down to the data")):
        note(axes, (left, 8.1), title)
        circle(axes, (left, 1.0), "$x$", given=True)
        circle(axes, (left, 4.0), "$z_1$")
        circle(axes, (left, 7.0), "$z_2$")
    for low, name, noise_name in ((1.62, "encoder", r"$\epsilon_1$"), (4.62, "encoder2", r"$\epsilon_2$")):
        arrow(axes, (2.4, low), (2.4, low + 1.76))
        note(axes, (3.0, low + 0.8), name, FORWARD, ha="left")
        circle(axes, (0.7, low + 2.38), noise_name, NOISE)
        arrow(axes, (1.32, low + 2.38), (1.78, low + 2.38), NOISE)
    for high, name in ((3.38, r"decoder: $p(x\,|\,z_1)$"), (6.38, r"decoder2: $p(z_1\,|\,z_2)$")):
        arrow(axes, (8.0, high), (8.0, high - 1.76))
        note(axes, (8.4, high - 0.85), name, FORWARD, ha="left")
    note(axes, (8.9, 7.0), r"$p(z_2) = \mathcal{N}(0, 1)$", FORWARD, ha="left")
    circle(axes, (13.8, 4.0), "$y$", given=True)
    note(axes, (13.8, 1.7), "a label: beside the input\nof every network", INK)
    for high in (2.53, 5.53):
        arrow(axes, (13.18, 4.0), (11.2, high), "0.45", dashed=True)
    note(axes, (5.4, 0.9), "the same samples\nserve both", INK)


def grid(
    axes: Axes, corner: Place, rows: int, columns: int, cell: float, shades: Mapping[Place, str], edge: str = INK
) -> None:
    """An array of squares with its upper left corner at ``corner``; {(row, column): colour} of those that have one."""
    for row, column in itertools.product(range(rows), range(columns)):
        place = corner[0] + column * cell, corner[1] - (row + 1) * cell
        axes.add_patch(Rectangle(place, cell, cell, fc=shades.get((row, column), "white"), ec=edge, lw=0.6))


def convolution(axes: Axes) -> None:
    """A convolution and its transpose, k = 4 and a stride of 2: patches become rows, rows become patches."""
    first, second, both = "#9ccbe6", "#f7cf85", "#8fae8b"
    windows: dict[Place, str] = {}
    for row, column in itertools.product(range(4), range(6)):
        windows[row, column] = first if column < 2 else both if column < 4 else second
    patches: dict[Place, str] = {
        (row, column): first if row == 0 else second for row in range(2) for column in range(16)
    }
    maps: dict[Place, str] = {(0, 0): first, (0, 1): second}

    canvas(axes, 20.0, 11.6)
    note(axes, (0.3, 11.3), "a convolution: gather patches, then one product", ha="left")
    framed(axes, (0.5, 10.6), windows)
    note(axes, (2.1, 6.95), "$x$ in its margin of zeros")
    arrow(axes, (4.1, 9.0), (6.1, 9.0), text="$G$: copy")
    grid(axes, (6.4, 10.1), 9, 16, 0.22, patches)
    note(axes, (8.1, 7.65), "$G x$: a patch is a row")
    arrow(axes, (10.1, 9.0), (11.4, 9.0))
    box(axes, (12.6, 9.0), r"$\times\, F$")
    arrow(axes, (13.8, 9.0), (15.3, 9.0))
    grid(axes, (15.9, 9.9), 3, 3, 0.6, maps)
    note(axes, (16.8, 7.3), "$T x$: a number for each\nplace and filter")

    note(axes, (0.3, 5.6), "its transpose: one product, then put the patches back", ha="left")
    grid(axes, (1.2, 4.2), 3, 3, 0.6, maps, BACKWARD)
    note(axes, (2.1, 1.7), "$y$, a number for each\nplace and filter")
    arrow(axes, (4.1, 3.3), (5.2, 3.3), BACKWARD)
    box(axes, (6.4, 3.3), r"$\times\, F^\top$", color=BACKWARD)
    arrow(axes, (7.6, 3.3), (8.7, 3.3), BACKWARD)
    grid(axes, (9.0, 4.4), 9, 16, 0.22, patches, BACKWARD)
    note(axes, (10.7, 1.95), r"$y F^\top$: a row is a patch")
    arrow(axes, (12.7, 3.3), (15.1, 3.3), BACKWARD, text=r"$G^\top$: add")
    framed(axes, (15.5, 4.9), windows, BACKWARD)
    note(axes, (16.9, 0.95), r"$T^\top y$: where windows" + "\noverlap, the sum", ha="center")


def framed(axes: Axes, corner: Place, shades: Mapping[Place, str], edge: str = INK) -> None:
    """An image of 6 times 6 pixels in a margin of one zero."""
    cell = 0.4
    grid(axes, corner, 8, 8, cell, shades, "#bbbbbb")
    place = corner[0] + cell, corner[1] - 7 * cell
    axes.add_patch(Rectangle(place, 6 * cell, 6 * cell, fill=False, ec=edge, lw=1.8))


def gru(axes: Axes) -> None:
    """A step of a GRU with its gates, and below it the same step over and over, with the way back."""
    canvas(axes, 20.0, 12.4)
    note(axes, (0.3, 12.1), "one step: two gates, a candidate, a mixture", ha="left")
    circle(axes, (1.1, 9.0), "$h_{t-1}$")
    box(axes, (4.3, 9.0), "$y_t = h_{t-1} U + c$", 3.4)
    circle(axes, (4.3, 6.6), "$x_t$", given=True)
    arrow(axes, (1.72, 9.0), (2.6, 9.0))
    for y, text in ((11.0, r"$u_t = \mathrm{sigmoid}(x^u + y^u)$"), (9.0, r"$r_t = \mathrm{sigmoid}(x^r + y^r)$")):
        box(axes, (9.4, y), text, 4.6)
    box(axes, (9.4, 6.6), r"$n_t = \tanh(x^n + r_t\, y^n)$", 4.6)
    for y in (10.9, 9.0, 7.0):
        arrow(axes, (6.0, 9.0), (7.1, y))
    for y in (10.7, 8.7, 6.6):
        arrow(axes, (4.92, 6.6), (7.1, y), "0.45", dashed=True)
    arrow(axes, (9.4, 8.45), (9.4, 7.15))
    box(axes, (15.2, 9.0), "$(1 - u_t)\\, n_t + u_t\\, h_{t-1}$", 4.4)
    arrow(axes, (11.7, 10.8), (13.4, 9.55))
    arrow(axes, (11.7, 6.9), (13.4, 8.45))
    arrow(axes, (17.4, 9.0), (18.3, 9.0))
    circle(axes, (18.92, 9.0), "$h_t$")
    # the state's own way, around everything
    axes.plot([1.1, 1.1, 15.2], [9.62, 11.85, 11.85], color=FORWARD, lw=1.5)
    arrow(axes, (15.2, 11.87), (15.2, 9.55))
    note(axes, (15.5, 10.9), "the straight way:\n$dh_{t-1}$ has $u_t\\, dh_t$", BACKWARD, ha="left")

    note(axes, (0.3, 5.3), "the same step over and over, with one $U$: back through time", ha="left")
    for i, x in enumerate((3.6, 9.2, 14.8)):
        box(axes, (x, 2.9), "step")
        arrow(axes, (x, 1.45), (x, 2.35), "0.45")
        circle(axes, (x, 0.83), f"$x_{i + 1}$", given=True)
        note(axes, (x + 1.35, 1.65), "adds to $dU$", BACKWARD, ha="left")
        arrow(axes, (x + 0.85, 2.3), (x + 1.4, 1.85), BACKWARD)
    for i, x in enumerate((0.8, 6.4, 12.0, 17.6)):
        circle(axes, (x, 2.9), f"$h_{i}$")
        if i < 3:
            arrow(axes, (x + 0.62, 3.05), (x + 1.7, 3.05))
            arrow(axes, (x + 1.7, 2.7), (x + 0.62, 2.7), BACKWARD)
        if i:
            arrow(axes, (x - 0.2, 3.52), (x - 0.2, 4.4))
            arrow(axes, (x + 0.2, 4.4), (x + 0.2, 3.52), BACKWARD)
            note(axes, (x + 0.4, 4.25), "from outside", BACKWARD, ha="left")
            arrow(axes, (x - 1.7, 3.05), (x - 0.62, 3.05))
            arrow(axes, (x - 0.62, 2.7), (x - 1.7, 2.7), BACKWARD)


def block(axes: Axes, left: float, low: float, height: float, text: str, color: str = INK) -> None:
    """A piece of a message, as long as it is high."""
    axes.add_patch(Rectangle((left, low), 2.6, height, fc=f"{color}18", ec=color, lw=1.4))
    axes.text(left + 1.3, low + height / 2, text, ha="center", va="center", fontsize=TEXT, color=INK)


def bits_back(axes: Axes) -> None:
    """The message before an image, without the bits that chose z, with the image, and with z: both ways."""
    canvas(axes, 21.0, 9.4)
    pieces = (
        [(2.0, "the images\nbefore", INK), (1.3, "some bits\nof theirs", NOISE)],
        [(2.0, "the images\nbefore", INK)],
        [(2.0, "the images\nbefore", INK), (3.4, r"$x$", FORWARD)],
        [(2.0, "the images\nbefore", INK), (3.4, r"$x$", FORWARD), (1.4, r"$z$", FORWARD)],
    )
    for column, blocks in enumerate(pieces):
        low = 1.4
        for height, text, color in blocks:
            block(axes, 0.3 + 5.2 * column, low, height, text, color)
            low += height
    steps = (
        (r"pop $z$" + "\n" + r"under $q(z\,|\,x)$", r"push $z$" + "\n" + r"under $q(z\,|\,x)$", NOISE),
        (r"push $x$" + "\n" + r"under $p(x\,|\,z)$", r"pop $x$" + "\n" + r"under $p(x\,|\,z)$", FORWARD),
        (r"push $z$" + "\n" + r"under $p(z)$", r"pop $z$" + "\n" + r"under $p(z)$", FORWARD),
    )
    for column, (writer, reader, color) in enumerate(steps):
        left = 3.2 + 5.2 * column
        arrow(axes, (left, 3.1), (left + 2.0, 3.1), color)
        note(axes, (left + 1.0, 3.85), writer, color)
        arrow(axes, (left + 2.0, 2.3), (left, 2.3), BACKWARD)
        note(axes, (left + 1.0, 1.5), reader, BACKWARD)
    note(axes, (0.3, 9.1), "the message, its top above: the writer goes from left to right, the reader back", ha="left")
    low, high = 1.4 + 3.3, 1.4 + 6.8
    axes.plot([2.9, 20.2], [low, low], color=INK, lw=0.9, linestyle=(0, (2, 3)))
    axes.annotate("", (19.1, high), (19.1, low), arrowprops={"arrowstyle": "<|-|>", "color": INK, "lw": 1.2})
    note(axes, (19.35, (low + high) / 2), r"$-\log_2 w$" + "\nis paid", ha="left")
    for left, text in ((1.6, "before"), (6.8, r"$z$ is known"), (12.0, r"$x$ is on it"), (17.2, "after")):
        note(axes, (left, 0.8), text)


# The notebooks of the course: where each stands on the map, its text, its colour, and which ones lead to it
CORE, LATENT, CRAFT, DATA = FORWARD, NOISE, BACKWARD, OKABE_ITO[4]
NOTEBOOKS: dict[int, tuple[Place, str, str, tuple[int, ...]]] = {
    0: ((1.5, 4.9), "0\nOverview", CORE, ()),
    1: ((4.9, 6.2), "1  Latent\nvariables", CORE, (0,)),
    2: ((4.9, 3.6), "2\nBackprop", CORE, (0,)),
    3: ((8.3, 4.9), "3  Reparame-\nterisation", CORE, (1, 2)),
    4: ((11.7, 4.9), "4  A VAE\nfrom scratch", CORE, (3,)),
    5: ((15.4, 8.7), "5  Looking\ninside", LATENT, (4,)),
    6: ((15.4, 6.8), "6  Importance\nweighting", LATENT, (4,)),
    7: ((18.8, 7.0), "7  Deeper and\nconditional", LATENT, (5, 6)),
    8: ((18.8, 5.1), "8  The bug\nmuseum", CRAFT, (6,)),
    9: ((15.4, 4.9), "9\nSpeed", CRAFT, (4,)),
    10: ((15.4, 3.0), "10\nConvolutions", DATA, (4,)),
    11: ((18.8, 8.9), "11  Colour,\n256 levels", DATA, (5,)),
    12: ((15.4, 1.1), "12\nSequences", DATA, (4,)),
    13: ((22.2, 8.9), "13\nBits back", CRAFT, (11,)),
}


def course(axes: Axes) -> None:
    """The notebooks of the course, and what each of them needs."""
    width = 2.7
    canvas(axes, 23.7, 9.9)
    for place, text, color, needs in NOTEBOOKS.values():
        box(axes, place, text, width, 1.3, color)
        for other in needs:
            start, end = NOTEBOOKS[other][0], place
            arrow(axes, (start[0] + width / 2, start[1]), (end[0] - width / 2 - 0.05, end[1]), "0.6")
    for i, (color, text) in enumerate(
        ((CORE, "in this order"), (LATENT, "the latent space"), (CRAFT, "the craft"), (DATA, "other data"))
    ):
        axes.add_patch(Rectangle((0.2, 2.1 - 0.6 * i), 0.35, 0.35, fc=f"{color}18", ec=color, lw=1.4))
        note(axes, (0.8, 2.28 - 0.6 * i), text, ha="left")


# The diagrams of the course by name, with the size of their figures in inches and what is to be seen in them
DIAGRAMS: dict[str, tuple[Callable[[Axes], None], tuple[float, float], str]] = {
    "course": (
        course,
        (9.6, 4.2),
        "Map of the course, by what each notebook needs. 0 leads to 1 and 2, both lead to 3, and 3 to 4. From 4 five"
        " ways go on: to 5, 6, 9, 10 and 12. 7 needs 5 and 6, 8 needs 6, 11 needs 5, and 13 needs 11.",
    ),
    "noise": (
        noise,
        (8.4, 2.8),
        "Diagram, twice from mu and sigma to z and f(z). Left, z is drawn from a Gaussian, and the derivative that"
        " comes back in red ends at the draw. Right, z is mu + sigma epsilon with the noise as an input: the"
        " derivative goes on to mu, and to sigma multiplied by the noise.",
    ),
    "vae": (
        vae,
        (8.6, 3.4),
        "Diagram of a variational autoencoder. From x through the encoder to mu and logvar, with noise to z, and"
        " through the decoder to log p(x given z); mu and logvar also go to the KL term, and the bound is the sum of"
        " both. The ways back, in red, meet at mu and logvar: through the sample, and directly from the KL"
        " term.",
    ),
    "two layers": (
        two_layers,
        (7.0, 3.8),
        "Diagram. Left, q goes up from the data: from x to z1 to z2, with noise at each. Right, p comes down to the"
        " data: from z2 to z1 to x. The same samples serve both. A label y stands beside the input of every network.",
    ),
    "convolution": (
        convolution,
        (8.6, 5.0),
        "Diagram. Above, a convolution: two overlapping windows on an image in its margin become two rows of a matrix"
        " of patches; times F they become two numbers of a feature map. Below, its transpose: two numbers, times F"
        " transposed, become two rows, which are put back into the image and added where the windows overlap.",
    ),
    "gru": (
        gru,
        (8.6, 5.4),
        "Diagram. Above, a step of a GRU: the old state gives y, which with x makes two gates and a candidate; their"
        " mixture with the old state is the new one. Below, three such steps in a row: the state goes to the right,"
        " derivatives come back to the left, others from outside at each state, and each step adds to dU.",
    ),
    "bits back": (
        bits_back,
        (8.8, 4.0),
        "Diagram of a message as a pile, in four states: the images before, with some of their bits on top; those bits"
        " gone, since z was popped under q(z given x); a large block for x pushed on it, under p(x given z); and a"
        " smaller one for z, under p(z). What it has grown by, minus log2 w, is paid. The reader's arrows go back.",
    ),
}


def show(name: str) -> None:
    """Show a diagram of this name in a notebook, with its text."""
    from matplotlib import pyplot  # which looks for a display: none is needed for all else here

    draw, size, alt = DIAGRAMS[name]
    _, axes = pyplot.subplots(figsize=size)
    draw(axes)
    show_current(alt)


def show_current(alt: str) -> None:
    """Show pyplot's current figure in a notebook, with a text for those who cannot see it, and close it."""
    from IPython.display import display
    from matplotlib import pyplot

    figure = pyplot.gcf()
    display(figure, metadata={"image/png": {"alt": alt}})
    pyplot.close(figure)
