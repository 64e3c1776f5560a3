"""Ctrl-C: put off where something must stay whole, told at once that it was understood, ignored where it is to be."""

import dis
import gc
import itertools
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from threadpoolctl import threadpool_info

from tests.commands import PATIENCE, python, train_with_signal
from tinyvae.errors import Interrupted
from tinyvae.interrupts import ENDINGS, Block, DeferredInterrupt
from tinyvae.machine import plain
from tinyvae.machine.threads import Crew, current

pytestmark = pytest.mark.skipif(os.name == "nt", reason="no SIGINT can be sent there")
ROOT = Path(__file__).parents[1]


def press():
    signal.raise_signal(signal.SIGINT)  # in this thread, at once; os.kill leaves it to the system which thread and when


class Counted(Block):
    """A block that counts how often it was begun and ended."""

    def __init__(self):
        super().__init__()
        self.begun = self.ended = self.within = 0

    def _begin(self):
        self.begun += 1

    def _end(self):
        self.ended += 1


def press_at(place, function):
    """Call the function and press Ctrl-C at one of the places where the interpreter looks for it: where a function
    begins and where a call has returned, in whatever is called. Return whether it came, and whether there is such a
    place.
    """
    left, last = [place], {}

    def trace(frame, event, _):
        frame.f_trace_opcodes = True
        before = last.get(frame, "")
        if event == "opcode":
            last[frame] = dis.opname[frame.f_code.co_code[frame.f_lasti]]
        if event == "call" or (event == "opcode" and before.startswith("CALL")):
            left[0] -= 1
            if left[0] == 0:
                press()
        return trace

    interrupted, outside = False, sys.gettrace()
    gc.disable()  # its callbacks (Numba has one) swallow whatever is raised in them, with a warning
    sys.settrace(trace)
    try:
        function()
    except KeyboardInterrupt:
        interrupted = True
    finally:
        sys.settrace(outside)
        gc.enable()
    return interrupted, left[0] <= 0


def press_everywhere(function, check):
    """Press at each of these places in turn, and call the check with its number; return how many there are."""
    for place in itertools.count(1):
        interrupted, exists = press_at(place, function)
        if not exists:
            return place - 1
        assert interrupted and signal.getsignal(signal.SIGINT) is signal.default_int_handler, place
        check(place)


def test_wherever_an_interrupt_falls_a_block_is_begun_and_ended_or_neither_and_it_is_not_lost():
    block = Counted()

    def once():
        with block:
            block.within += 1
            with block:
                pass

    def check(place):
        assert block.begun == block.ended and is_free(block), place

    assert press_everywhere(once, check) > 40
    assert block.within > 10


def test_a_handler_that_raises_nothing_leaves_the_block_as_it_is():
    """As in a training: Ctrl-C is noted, the step within the crew's block is finished, and then it comes."""
    finished = 0
    for place in itertools.count(1):
        block, interrupt = Counted(), DeferredInterrupt()

        def once(block=block, interrupt=interrupt):
            with interrupt, block:
                block.within += 1

        interrupted, exists = press_at(place, once)
        if not exists:
            break
        assert interrupted and block.begun == block.within == block.ended and is_free(block), place
        assert all(signal.getsignal(number) is signal.SIG_DFL for number in ENDINGS), place
        finished += block.within
    assert finished > 40


def is_free(block):
    """Whether another thread could enter the block."""
    entered = []
    thread = threading.Thread(target=lambda: [block.__enter__(), entered.append(1), block.__exit__()], daemon=True)
    thread.start()
    thread.join(5)
    return entered == [1]


@pytest.mark.parametrize("kind", [lambda: Crew(2), plain.Crew], ids=["compiled", "plain"])
def test_neither_can_a_crew_be_left_half_begun_or_ended(kind):
    """With BLAS at one thread for the whole process, or with helpers that look for work for ever."""

    def blas_threads():
        return [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]

    crew, before = kind(), blas_threads()

    def once():
        with crew:
            pass

    def check(place):
        assert blas_threads() == before and current() is None and is_free(crew), place

    assert press_everywhere(once, check) > 40


def test_within_a_block_an_interrupt_comes_at_once():
    block = Counted()
    with pytest.raises(KeyboardInterrupt), block:
        press()
        block.within += 1
    assert (block.begun, block.within, block.ended) == (1, 0, 1)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_what_fails_in_the_beginning_or_the_end_of_a_block_fails():
    class Failing(Counted):
        def _begin(self):
            press()
            raise ZeroDivisionError

    class FailingLater(Counted):
        def _end(self):
            raise ZeroDivisionError

    for block in Failing(), FailingLater():
        with pytest.raises(ZeroDivisionError), block:
            block.within += 1
        assert block.within == isinstance(block, FailingLater)
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    with Counted():  # the interrupt was told to what failed
        pass


def test_another_thread_is_never_interrupted_and_changes_no_handler():
    seen = []

    class Seeing(Counted):
        def _begin(self):
            seen.append(signal.getsignal(signal.SIGINT))

    def work():
        with DeferredInterrupt() as interrupt, Seeing():
            interrupt.check()

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [signal.default_int_handler]


def test_in_a_deferring_block_the_second_one_does_not_wait():
    with pytest.raises(KeyboardInterrupt), DeferredInterrupt() as interrupt, Counted():
        press()
        assert interrupt.asked
        press()
        raise AssertionError("never reached")


def test_it_is_said_at_once_that_it_was_understood():
    for number in (signal.SIGINT, *ENDINGS):
        said = []
        with pytest.raises(Interrupted), DeferredInterrupt(lambda: said.append(1)) as interrupt:  # noqa: B023
            signal.raise_signal(number)
            assert said == [1] and interrupt.asked == number
            interrupt.check()
            raise AssertionError("never reached")


def test_what_no_check_follows_comes_at_the_end_of_the_block():
    finished = []
    with pytest.raises(Interrupted), DeferredInterrupt():
        press()
        finished.append(1)
    assert finished and signal.getsignal(signal.SIGINT) is signal.default_int_handler
    with pytest.raises(ZeroDivisionError), DeferredInterrupt():  # which somebody has to hear of
        press()
        raise ZeroDivisionError


def test_what_would_end_the_process_waits_too_and_may_be_repeated():
    for number in ENDINGS:
        with pytest.raises(Interrupted) as told, DeferredInterrupt() as interrupt:
            for _ in range(3):
                signal.raise_signal(number)
            interrupt.check()
            raise AssertionError("never reached")
        assert told.value.number == number and signal.getsignal(number) is signal.SIG_DFL
        with pytest.raises(KeyboardInterrupt), DeferredInterrupt():  # Ctrl-C does not wait for it
            signal.raise_signal(number)
            press()
            raise AssertionError("never reached")


@pytest.mark.parametrize("handler", [signal.SIG_IGN, lambda number, frame: None])
def test_what_others_handle_or_ignore_is_left_to_them(handler):
    for number in ENDINGS:
        before = signal.signal(number, handler)
        try:
            with DeferredInterrupt() as interrupt:
                signal.raise_signal(number)
                assert not interrupt.asked and signal.getsignal(number) is handler
        finally:
            signal.signal(number, before)


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
    _, errors = process.communicate(timeout=PATIENCE)
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
