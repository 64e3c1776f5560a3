"""What all figures share: files whole or absent, titles as they are, nothing changed outside."""

import subprocess
import sys

import matplotlib
import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from tinyvae.drawing import curves, maps, mosaics, style
from tinyvae.errors import RunError

DRAWINGS = {
    "curve": lambda path: curves.curve(path, [1, 10], [-2, -1], [-2, -1]),
    "image_grid": lambda path: mosaics.image_grid(path, np.zeros((4, 4)), (2, 2)),
    "reconstructions": lambda path: mosaics.reconstructions(path, np.zeros((4, 4)), np.zeros((4, 4)), (2, 2)),
    "manifold": lambda path: mosaics.manifold(path, np.zeros((4, 4)), (2, 2)),
    "in colour": lambda path: mosaics.image_grid(path, np.zeros((4, 12)), (2, 2, 3)),
    "mosaics": lambda path: mosaics.side_by_side(path, [("a", np.zeros((4, 4)))], (2, 2), 2),
    "latent": lambda path: maps.latent(path, np.eye(2), np.array([0, 1])),
    "maps": lambda path: maps.side_by_side(path, [("a", np.eye(2), "xy")], np.array([0, 1])),
}


@pytest.mark.parametrize("draw", DRAWINGS.values(), ids=DRAWINGS)
def test_one_whole_png_and_nothing_else(tmp_path, draw):
    assert isinstance(draw(str(tmp_path / "figure.png")), Figure)
    assert [path.name for path in tmp_path.iterdir()] == ["figure.png"]
    with Image.open(tmp_path / "figure.png") as image:
        assert image.format == "PNG"
        image.load()


@pytest.mark.parametrize("draw", DRAWINGS.values(), ids=DRAWINGS)
def test_the_same_figure_is_the_same_file(tmp_path, draw):
    draw(tmp_path / "a.png")
    draw(tmp_path / "b.png")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


@pytest.mark.parametrize("before", [[], ["figure.png"]])
@pytest.mark.parametrize("draw", DRAWINGS.values(), ids=DRAWINGS)
def test_a_failure_leaves_the_folder_as_it_was(tmp_path, monkeypatch, draw, before):
    def half(canvas, file):
        file.write(b"\x89PNG half a picture")
        raise MemoryError

    for name in before:
        (tmp_path / name).write_bytes(b"an older picture")
    monkeypatch.setattr(style.FigureCanvasAgg, "print_png", half)
    with pytest.raises(MemoryError):
        draw(tmp_path / "figure.png")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == dict.fromkeys(before, b"an older picture")


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(RunError, match="nowhere"):
        curves.curve(tmp_path / "nowhere" / "curve.png", [1], [-1], [-1])


@pytest.mark.parametrize("title", ["a_$b.npy", "$x^{$", "50 %", "two\nlines", "na\udcffme"])
def test_a_title_is_never_read_as_a_formula(tmp_path, title):
    """Titles come from the names of users' files."""
    curves.curve(tmp_path / "curve.png", [1], [-1], [-1], title=title)


def test_neither_pyplot_nor_a_display_is_used(tmp_path):
    program = (
        "import sys, numpy as np; from tinyvae.drawing import maps;"
        f"maps.latent({str(tmp_path / 'latent.png')!r}, np.eye(2), np.array([0, 1]));"
        "assert 'matplotlib.pyplot' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True, env={"PATH": "", "MPLBACKEND": "TkAgg"})


def test_drawing_changes_no_setting_of_matplotlib(tmp_path):
    before = dict(matplotlib.rcParams)
    for name, draw in DRAWINGS.items():
        draw(tmp_path / f"{name}.png")
    assert dict(matplotlib.rcParams) == before
