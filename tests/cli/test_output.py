"""Whatever becomes of a command's output, its work is done and on disk; the exit status says what was not printed."""

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.commands import PATIENCE, command
from tinyvae.cli import console
from tinyvae.cli.output import Steadfast, steadfast

QUICK = ("digits", "--epochs", "3", "--hidden", "8", "--latent", "3", "--out", "run")
TRAIN = " ".join(map(str, (sys.executable, "-m", "tinyvae.train", *QUICK)))
posix = pytest.mark.skipif(os.name == "nt", reason="needs the shell's redirections")

# what a shell does with the output, and the exit status of the command then
SHELL = {
    "progress to a full disk": ("2>/dev/full", 0),
    "progress closed": ("2>&-", 0),
    "progress to a pipe whose reader has gone": ("2> >(true)", 0),
    "results to a full disk": (">/dev/full", console.UNTOLD),
    "results closed": (">&-", console.UNTOLD),
    "results to a pipe whose reader has gone": ("> >(true)", console.UNTOLD),
    "both to a full disk": (">/dev/full 2>/dev/full", console.UNTOLD),
    "both closed": (">&- 2>&-", console.UNTOLD),
    "all three closed": ("<&- >&- 2>&-", console.UNTOLD),
    "both to one line of a pipe": ("> >(head -1) 2>&1", None),  # head may have taken all that was written at once
}


@pytest.mark.slow
@posix
@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
@pytest.mark.parametrize(("redirection", "status"), SHELL.values(), ids=SHELL)
def test_a_training_goes_on_to_its_end(redirection, status, tmp_path):
    root = Path(__file__).parents[2]
    environment = os.environ | {"PYTHONPATH": str(root), "MPLBACKEND": "agg"}
    script = f"trap '' PIPE; sleep 0.2; {TRAIN} {redirection}"
    result = subprocess.run(
        ["bash", "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=PATIENCE
    )
    assert {"config.json", "history.csv", "checkpoint.npz", "summary.json"} <= set(os.listdir(tmp_path / "run"))
    assert (tmp_path / "run/history.csv").read_text().count("\n") == 4
    assert "Traceback" not in result.stderr + result.stdout and "Exception" not in result.stderr + result.stdout
    assert status is None or result.returncode == status
    if status == 0:
        assert "test bound" in result.stdout
    elif "2>" not in redirection:
        assert "not all could be printed to standard output" in result.stderr


@posix
def test_a_training_outlives_its_terminal(tmp_path):
    """As that of a connection that breaks, for a process that is not told (nohup)."""
    master, slave = os.openpty()
    process = subprocess.Popen(
        [*TRAIN.split()], cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
        stdin=slave, stdout=slave, stderr=slave, start_new_session=True,
    )  # fmt: skip
    os.close(slave)
    os.read(master, 1)  # it has begun to speak
    os.close(master)
    assert process.wait(300) == console.UNTOLD
    assert (tmp_path / "run/summary.json").exists()


def test_a_terminal_that_knows_no_letters_but_ascii(tmp_path):
    assert command(*QUICK, "--quiet", cwd=tmp_path).returncode == 0
    for module in ("tinyvae.evaluate", "tinyvae.train"):
        words = ("run", "--samples", "20") if module == "tinyvae.evaluate" else ("/nowhere/\u00e4.npy",)
        result = command(*words, cwd=tmp_path, module=module, env={"PYTHONIOENCODING": "ascii"})
        assert "Traceback" not in result.stderr
        assert result.returncode == (0 if module == "tinyvae.evaluate" else 2), result.stderr
    assert "\\xe4.npy" in result.stderr


@pytest.mark.parametrize("module", ["train", "evaluate", "reproduce", "gradcheck", "bench"])
def test_commands_run_without_docstrings(module, tmp_path):
    result = subprocess.run(
        [sys.executable, "-OO", "-m", f"tinyvae.{module}", "--help"], cwd=tmp_path, capture_output=True, text=True,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}, timeout=PATIENCE,
    )  # fmt: skip
    assert result.returncode == 0 and "usage:" in result.stdout, result.stderr


@pytest.mark.slow
def test_a_training_runs_without_docstrings(tmp_path):
    result = subprocess.run(
        [sys.executable, "-OO", *TRAIN.split()[1:]], cwd=tmp_path, capture_output=True, text=True,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}, timeout=PATIENCE,
    )  # fmt: skip
    assert result.returncode == 0 and "test bound" in result.stdout, result.stderr


class Failing(io.StringIO):
    """A stream whose first writes fail, as a disk that is full for a while."""

    def write(self, text):
        raise OSError(28, "No space left on device")


def test_what_failed_once_is_not_tried_again_and_is_remembered():
    stream = Steadfast(Failing())
    assert stream.write("three") == 5 and stream.fault.errno == 28
    stream.write("more")
    stream.flush()
    assert Steadfast(None).fault == "it is closed" and Steadfast(None).write("word") == 4
    closed = io.StringIO()
    closed.close()
    stream = Steadfast(closed)
    stream.write("word")
    assert isinstance(stream.fault, ValueError)


def test_the_streams_are_those_of_before_afterwards():
    before = sys.stdout, sys.stderr
    with steadfast() as out:
        assert sys.stdout is out
        print("word")
    assert (sys.stdout, sys.stderr) == before


PATHS = [
    (["digits", "--out", ""], "train"), (["digits", "--data-dir", " "], "train"), (["--resume", ""], "train"),
    ([""], "evaluate"), (["run", "--data-dir", ""], "evaluate"), (["cvae", "--out", ""], "reproduce"),
    (["cvae", "--runs", ""], "reproduce"), (["--data-dir", ""], "bench"),
]  # fmt: skip


@pytest.mark.parametrize(("arguments", "module"), PATHS)
def test_an_unset_variable_of_the_shell_is_no_folder(arguments, module, tmp_path):
    result = command(*arguments, cwd=tmp_path, module=f"tinyvae.{module}")
    assert result.returncode == 2 and "a name is needed, not an empty one" in result.stderr
    assert not list(tmp_path.iterdir())
