"""What a terminal shows while something is computed: a bar that tells how far it is, and what has come of it so far."""

import os
import re
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tests.commands import PATIENCE, command
from tinyvae.disk.run import Run

fcntl = pytest.importorskip("fcntl")  # not on Windows
pty = pytest.importorskip("pty")
termios = pytest.importorskip("termios")

ROOT = Path(__file__).parents[2]
QUICK = ("digits", "--epochs", 3, "--hidden", 8, "--latent", 2, "--out", "run")


def on_terminal(module, *arguments, cwd, columns=150):
    """A command, and what it writes to standard output and, on a terminal of so many columns, to standard error."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, bytes([40, 0, columns % 256, columns // 256, 0, 0, 0, 0]))
    with (cwd / "output").open("w+") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", f"tinyvae.{module}", *map(str, arguments)],
            cwd=cwd, env=os.environ | {"PYTHONPATH": str(ROOT)}, stdout=output, stderr=theirs,
        )  # fmt: skip
        os.close(theirs)
        patience, shown = threading.Timer(PATIENCE, process.kill), b""
        patience.start()
        try:
            while block := os.read(ours, 4096):
                shown += block
        except OSError:  # how the system tells that nobody writes to it any more
            pass
        patience.cancel()
        os.close(ours)
        assert process.wait() == 0, shown
        output.seek(0)
        return output.read(), shown.decode()


def last_line(shown):
    """What is there to be read at the end: a bar writes over itself."""
    return shown.rstrip("\r\n").split("\n")[-1].split("\r")[-1]


@pytest.fixture(scope="module")
def training(tmp_path_factory):
    """A folder with a run, and what its training printed and showed, when all was compiled."""
    folder = tmp_path_factory.mktemp("terminal")
    first = command(*QUICK[:-1], "first", "--quiet", cwd=folder)
    assert first.returncode == 0, first.stderr
    return folder, *on_terminal("train", *QUICK, cwd=folder)


def test_a_training_shows_its_epoch_how_much_is_done_its_speed_and_its_bounds(training):
    folder, printed, shown = training
    history = Run.open(folder / "run").history()
    assert "test bound" in printed and "epoch 1: train" not in shown  # the lines of who has no terminal
    line = last_line(shown)
    assert line.startswith("epoch 3/3: 100%") and "4.85k/4.85k" in line and "examples/s" in line
    bound, test = (float(number) for number in re.search(r"bound (-?[\d.]+) nats, test (-?[\d.]+)", line).groups())
    assert test == pytest.approx(history[1]["test_bound"], abs=0.005)  # of the epoch before
    # a mean over the last minibatches, some of them of the epoch before
    assert history[1]["train_bound"] - 1 < bound < history[2]["train_bound"] + 1


def test_a_training_that_goes_on_begins_where_it_stopped(training, tmp_path):
    shutil.copytree(training[0] / "run", tmp_path / "run")
    _, shown = on_terminal("train", "--resume", "run", "--epochs", 4, cwd=tmp_path)
    shares = [int(share) for share in re.findall(r"epoch \d/4: +(\d+)%", shown)]
    assert shares and min(shares) >= 75 and last_line(shown).startswith("epoch 4/4: 100%")


def test_nothing_is_shown_that_was_not_to_be(training, tmp_path):
    assert on_terminal("train", *QUICK, "--quiet", cwd=tmp_path) == ("", "")


def test_a_narrow_terminal_has_one_line_of_it(training, tmp_path):
    _, shown = on_terminal("train", *QUICK, cwd=tmp_path, columns=60)
    assert max(map(len, re.split(r"[\r\n]+", shown))) <= 60 and shown.count("\n") == 1


def test_an_evaluation_shows_how_many_samples_it_has_drawn(training):
    words = ("run", "--samples", 50, "--limit", 100, "--ais", 3)
    printed, shown = on_terminal("evaluate", *words, cwd=training[0])
    assert "latent dimensions are used" in printed
    assert "5.00k/5.00k" in shown and " samples/s" in shown and "49.2k/49.2k" in shown and " steps/s" in shown
