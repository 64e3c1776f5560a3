"""The diagrams of the course: all is on the sheet, and no two texts cover one another."""

import itertools

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from tinyvae.drawing import diagrams


def drawn(name):
    """The axes of a diagram and the renderer of its figure, after drawing."""
    draw, size, _ = diagrams.DIAGRAMS[name]
    figure = Figure(figsize=size, layout="constrained")
    canvas = FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    draw(axes)
    canvas.draw()
    return axes, canvas.get_renderer()


@pytest.mark.parametrize("name", diagrams.DIAGRAMS)
def test_all_is_on_the_sheet_and_no_text_covers_another(name):
    axes, renderer = drawn(name)
    texts = [text for text in axes.texts if text.get_text()]
    boxes = [text.get_window_extent(renderer) for text in texts]
    sheet = axes.get_window_extent(renderer)
    for text, box in zip(texts, boxes, strict=True):
        assert sheet.x0 - 1 <= box.x0 and box.x1 <= sheet.x1 + 1, text.get_text()
        assert sheet.y0 - 1 <= box.y0 and box.y1 <= sheet.y1 + 1, text.get_text()
    for (one, first), (other, second) in itertools.combinations(zip(texts, boxes, strict=True), 2):
        assert not first.overlaps(second), (one.get_text(), other.get_text())
    for patch in axes.patches:
        corners = patch.get_window_extent(renderer)
        assert sheet.x0 - 2 <= corners.x0 and corners.x1 <= sheet.x1 + 2


def test_what_each_shows():
    words = {name: {text.get_text() for text in drawn(name)[0].texts} for name in diagrams.DIAGRAMS}
    assert {"encoder", "decoder", "$z$", r"$\epsilon$"} <= words["vae"]
    assert any("two ways" in text for text in words["vae"])
    assert {"$z_1$", "$z_2$", "$y$", "encoder2"} <= words["two layers"]
    assert {r"$\mu$", r"$\sigma$", r"$\epsilon$"} <= words["noise"]
    assert {"$G$: copy", r"$\times\, F$", r"$\times\, F^\top$", r"$G^\top$: add"} <= words["convolution"]
    assert {"$h_{t-1}$", "$h_t$", "step", "from outside", "adds to $dU$"} <= words["gru"]
    assert {"some bits\nof theirs", "$x$", "$z$", "pop $z$\nunder $q(z\\,|\\,x)$"} <= words["bits back"]
