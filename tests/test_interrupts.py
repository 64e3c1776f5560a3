"""Ctrl-C: put off where something must stay whole, told at once that it was understood, ignored where it is to be."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from tests.commands import python, train_with_signal
from tinyvae.interrupts import DeferredInterrupt, uninterrupted

pytestmark = pytest.mark.skipif(os.name == "nt", reason="no SIGINT can be sent there")
ROOT = Path(__file__).parents[1]


def press():
    os.kill(os.getpid(), signal.SIGINT)


def test_a_function_is_done_whole_and_the_interrupt_comes_after_it():
    done = []
    with pytest.raises(KeyboardInterrupt):
        uninterrupted(lambda: [press(), press(), done.append(1)])
    assert done == [1] and signal.getsignal(signal.SIGINT) is signal.default_int_handler
    uninterrupted(lambda: done.append(2))
    assert done == [1, 2]


def test_an_interrupt_that_comes_too_early_does_not_prevent_it(monkeypatch):
    done, looks, original = [], [], signal.getsignal

    def look(number):
        looks.append(number)
        if len(looks) == 1:
            press()
        return original(number)

    monkeypatch.setattr(signal, "getsignal", look)
    with pytest.raises(KeyboardInterrupt):
        uninterrupted(lambda: done.append(1))
    assert done == [1]


def test_what_fails_in_it_fails():
    with pytest.raises(ZeroDivisionError):
        uninterrupted(lambda: 1 / 0)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_another_thread_is_never_interrupted_and_changes_no_handler():
    seen = []

    def work():
        with DeferredInterrupt() as interrupt:
            uninterrupted(lambda: seen.append(signal.getsignal(signal.SIGINT)))
            interrupt.check()

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [signal.default_int_handler]


def test_it_is_said_at_once_that_it_was_understood():
    said = []
    with DeferredInterrupt(lambda: said.append(1)) as interrupt:
        press()
        assert said == [1] and interrupt.asked
        with pytest.raises(KeyboardInterrupt):
            interrupt.check()


QUICK = ("digits", "--epochs", "2", "--hidden", "8", "--latent", "3", "--out", "run")


def test_the_command_says_so(tmp_path):
    result = train_with_signal("tinyvae.training.loop:Training._step", *QUICK, cwd=tmp_path, number="SIGINT", count=3)
    assert result.returncode == 130 and "Traceback" not in result.stderr
    assert "interrupted: this step is finished first" in result.stderr


def test_a_signal_that_the_parent_ignores_is_ignored(tmp_path):
    """As in a shell's background job, or under nohup."""
    script = (
        "import signal, subprocess, sys; signal.signal(signal.SIGINT, signal.SIG_IGN); "
        "sys.exit(subprocess.call([sys.executable, *sys.argv[1:]]))"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script, "-m", "tinyvae.train", *QUICK[:1], "--epochs", "6", *QUICK[3:]],
        cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(ROOT)}, stderr=subprocess.PIPE, text=True,
        start_new_session=True,
    )  # fmt: skip
    process.stderr.readline()  # the first epoch, or that kernels are compiled
    for _ in range(5):
        os.killpg(process.pid, signal.SIGINT)
        time.sleep(0.01)
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 0 and "interrupted" not in errors, errors
    assert (tmp_path / "run/summary.json").exists()


TWICE = """
import os, signal, threading, time
from tinyvae.cli import console

def work():
    def press():
        for _ in range(300):
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.0002)
    threading.Thread(target=press, daemon=True).start()
    time.sleep(10)

console.run(work)
"""


def test_many_in_a_row_show_no_traceback(tmp_path):
    result = python("-c", TWICE, cwd=tmp_path)
    assert (result.returncode, result.stderr) == (130, "interrupted\n")
