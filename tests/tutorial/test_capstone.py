"""The capstone's page: all that it names runs as it is written, and gives what it says."""

import re
import shlex
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from tests.notebooks import TUTORIALS
from tests.test_docs import refused_commands
from tests.tutorial.test_notebooks import dead_links

PAGES = [TUTORIALS / name for name in ("capstone.md", "capstone/report.md", "capstone/marking.md", "teaching.md")]
PAGES.append(TUTORIALS / "bridge/README.md")
PIECE = re.compile(r"^```python\n(?P<code>.*?)^```$|^    python -m (?P<command>[^\n]+)", re.MULTILINE | re.DOTALL)
# The blocks of code are one program, and a command between two of them runs when it is its turn.
RUN = "import subprocess, sys\ndef run(*words): subprocess.run([sys.executable, '-m', *words], check=True)\n"


def program(text):
    """The blocks of code of a page and its commands, in order, as one program."""
    parts = [RUN]
    for piece in PIECE.finditer(text):
        parts.append(piece["code"] or f"run(*{shlex.split(piece['command'])})\n")
    return "\n".join(parts)


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_the_commands_and_options_of_a_page_exist(path):
    assert refused_commands(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_the_links_of_a_page_lead_to_their_places(path):
    assert dead_links(path) == []


def test_the_page_is_taken_apart_in_order():
    text = "So\n\n```python\nx = 1\n```\n\n    python -m a.b 'c d'\n    python -m e\n\nand\n\n```python\ny = 2\n```\n"
    assert program(text).removeprefix(RUN).split("\n") == (
        ["", "x = 1", "", "run(*['a.b', 'c d'])", "", "run(*['e'])", "", "y = 2", ""]
    )


@pytest.mark.slow  # minutes: nine trainings
def test_the_page_runs_from_top_to_bottom(tmp_path):
    """With a folder of pictures and a table, which the reader is to bring."""
    rng = np.random.default_rng(0)
    for kind in ("a", "b"):
        (tmp_path / "my_pictures" / kind).mkdir(parents=True)
        for i in range(15):
            picture = rng.integers(0, 256, (20, 24, 3), np.uint8)
            Image.fromarray(picture).save(tmp_path / "my_pictures" / kind / f"{i}.png")
    table = np.column_stack([rng.normal(5, 3, (60, 4)), rng.integers(0, 2, 60)])
    np.savetxt(tmp_path / "my_table.csv", table, delimiter=",", header="a,b,c,d,kind", comments="")
    text = (TUTORIALS / "capstone.md").read_text(encoding="utf-8")
    command = [sys.executable, "-u", "-c", program(text)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "nothing known: -177.4, the mean picture for everything: -81.4" in done.stdout
    last = float(re.search(r"log p\(x\) = (-[\d.]+) nats, standard error 0\.\d+", done.stdout)[1])
    assert -44 < last < -38
    gain = float(re.search(r"runs/iwae: \+([\d.]+) ± [\d.]+ nats per example against runs/first,", done.stdout)[1])
    assert 0.2 < gain < 1.2
    first = np.load(tmp_path / "again.npy")
    assert (first.shape, first.dtype) == ((500, 16, 16), bool)
    assert (tmp_path / "runs/conv/explorer.html").exists()
    assert {path.name for path in (tmp_path / "runs").iterdir()} >= {"folder", "table", "latent-50", "first-again"}
