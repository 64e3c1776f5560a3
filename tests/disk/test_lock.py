"""One writer at a time: of two real processes at one folder the second is told who is at work, and changes nothing."""

import errno
import os
import platform
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from tests.commands import python
from tinyvae.disk import lock
from tinyvae.disk.checkpoint import read_checkpoint
from tinyvae.disk.files import temporary_path
from tinyvae.disk.lock import LOCK, OWNER, hold
from tinyvae.disk.run import Run
from tinyvae.errors import RunError

CONFIG = {"settings": {}}

AT_WORK = """
import sys
from tinyvae.disk.run import Run

run = Run.open(sys.argv[1], to_train=True)
print("at work", flush=True)
sys.stdin.read()
"""

TRY = """
import sys
from tinyvae.disk.run import Run
from tinyvae.errors import RunError

try:
    Run.open(sys.argv[1], to_train=True)
    print("free")
except RunError as error:
    print(error)
"""

FORK = """
import os, sys
from tinyvae.disk.run import Run

run = Run.open(sys.argv[1], to_train=True)
if os.fork() == 0:
    del run
    sys.exit()
os.wait()
print("at work", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def folder(tmp_path):
    """That of a run, with nobody at work in it."""
    Run.create(tmp_path / "run", CONFIG).close()
    return tmp_path / "run"


@contextmanager
def at_work(folder, program=AT_WORK):
    """A process that holds the folder meanwhile."""
    process = subprocess.Popen(
        [sys.executable, "-c", program, folder], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout.readline() == "at work\n"
        yield process
    finally:
        process.communicate()


def content(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("program", [AT_WORK, FORK], ids=["alone", "with a fork that ended"])
def test_the_second_process_is_told_who_is_at_work_and_changes_nothing(folder, program):
    with at_work(folder, program) as process:
        before = content(folder)
        for attempt in (
            lambda: Run.open(folder, to_train=True),
            lambda: Run.create(folder, CONFIG, overwrite=True),
        ):
            with pytest.raises(RunError) as error:
                attempt()
            first, advice = str(error.value).split("\n")
            assert first.startswith(f"{folder}: process {process.pid} on {platform.node()} is at work here since 20")
            assert advice == "Wait for its end, or stop it; or choose another folder."
        assert content(folder) == before
    Run.create(folder, {"new": True}, overwrite=True)
    assert Run.open(folder).config()["new"]


def test_a_dead_owner_s_lock_is_taken_over_and_what_it_left_is_cleared_away(folder):
    with at_work(folder) as process:
        process.kill()
        assert process.wait() == -signal.SIGKILL
    left = [temporary_path(folder / name) for name in ("checkpoint.npz", "history.csv", "figures/curve.png", OWNER)]
    (folder / "figures").mkdir()
    mine = [folder / name for name in (".notes.tmp", ".checkpoint.npz.tmp", ".mine.npz.0123456789abcdef.tmp")]
    mine += [temporary_path(folder / name) for name in ("evaluation.json", "explorer.html")]  # an evaluation is at work
    for path in [*left, *mine]:
        path.write_bytes(b"half of a fi")
    run = Run.open(folder, to_train=True)
    assert not any(path.exists() for path in left) and all(path.exists() for path in mine)
    assert f"process {os.getpid()} on" in (folder / OWNER).read_text()
    run.close()
    assert not (folder / OWNER).exists()


def test_within_a_process_a_run_may_be_opened_again(folder, tmp_path):
    (tmp_path / "link").symlink_to(folder)
    with Run.open(folder, to_train=True):
        with Run.open(tmp_path / "link", to_train=True):
            pass
        assert "at work" in python("-c", TRY, folder, cwd=".").stdout
    assert python("-c", TRY, folder, cwd=".").stdout == "free\n"


def test_several_threads_of_a_process_hold_the_same_lock(folder):
    with ThreadPoolExecutor(8) as threads:
        locks = list(threads.map(hold, [folder] * 8))
    assert len(set(map(id, locks))) == 1 and "at work" in python("-c", TRY, folder, cwd=".").stdout


def test_whichever_thread_lets_go_of_it_last_releases_it(folder):
    held = [hold(folder)]
    _, _, arguments, _ = held[0]._release.peek()  # so that filelock's own lock outlives it, and cannot help
    thread = threading.Thread(target=held.clear)
    thread.start()
    thread.join()
    assert python("-c", TRY, folder, cwd=".").stdout == "free\n" and arguments


def held_by_a_fork(folder):
    """What a forked process is told that wants to hold a folder; "" if it may."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        signal.alarm(20)  # its end, if it waits for what never comes
        said = "it failed"
        try:
            hold(folder)
            said = ""
        except RunError as error:
            said = str(error)
        finally:
            os.write(writer, said.encode())
            os._exit(0)
    os.close(writer)
    assert os.waitpid(child, 0)[1] == 0
    with os.fdopen(reader) as file:
        return file.read()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_process_is_told_that_its_parent_is_at_work(folder):
    with Run.open(folder, to_train=True):
        assert f"process {os.getpid()} on" in held_by_a_fork(folder)
        assert "at work" in python("-c", TRY, folder, cwd=".").stdout
    assert held_by_a_fork(folder) == ""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_process_forked_while_another_thread_takes_a_lock_may_take_one(folder):
    with ThreadPoolExecutor(1) as thread:
        thread.submit(lock._one_at_a_time.acquire).result()
        try:
            assert held_by_a_fork(folder) == ""
        finally:
            lock._one_at_a_time.release()


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.ENOTSUP], ids=errno.errorcode.get)
def test_a_file_system_without_locks_is_refused_in_words(number, folder, monkeypatch):
    """A file whose being there is the lock would outlive a crash."""
    fcntl = pytest.importorskip("fcntl")

    def refuse(file, operation):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.raises(RunError, match=r"run: this file system has no locks\nChoose a folder on another disk\."):
        hold(folder)
    assert not (folder / OWNER).exists()


def test_a_run_that_nobody_refers_to_any_more_is_free(folder):
    Run.open(folder, to_train=True)
    assert python("-c", TRY, folder, cwd=".").stdout == "free\n"


def test_a_short_wait_for_a_process_that_is_about_to_end(folder):
    with at_work(folder) as process:
        process.stdin.close()
        process.stdin = None
        Run.open(folder, to_train=True).close()


@pytest.mark.parametrize("left", [None, b"", "fifo"])
def test_an_owner_that_does_not_say_who_it_is(folder, left):
    with at_work(folder):
        (folder / OWNER).unlink()
        if left == "fifo":
            os.mkfifo(folder / OWNER)
        elif left is not None:
            (folder / OWNER).write_bytes(left)
        with pytest.raises(RunError, match="run: another process is at work here"):
            Run.open(folder, to_train=True)


def test_a_link_in_the_place_of_the_lock_is_not_followed(folder, tmp_path):
    (tmp_path / "precious").write_text("mine")
    (folder / LOCK).unlink()
    (folder / LOCK).symlink_to(tmp_path / "precious")
    with pytest.raises(RunError, match=r"\.lock: it cannot be locked"):
        Run.open(folder, to_train=True)
    assert (tmp_path / "precious").read_text() == "mine"


def test_a_folder_where_no_lock_can_be_made(folder):
    (folder / LOCK).unlink()
    (folder / LOCK).mkdir()
    with pytest.raises(RunError, match=r"\.lock: it cannot be locked"):
        Run.open(folder, to_train=True)


def test_reading_asks_for_no_lock_and_leaves_no_trace(folder):
    with at_work(folder):
        assert Run.open(folder).config()["settings"] == {}
    (folder / LOCK).unlink()
    before = folder.stat().st_mtime_ns
    folder.chmod(0o555)
    assert Run.open(folder).config()["settings"] == {} and not Run.open(folder).has_checkpoint()
    folder.chmod(0o755)
    moved = folder.rename(folder.with_name("moved"))
    assert Run.open(moved).config()["settings"] == {}
    assert moved.stat().st_mtime_ns == before and not (moved / LOCK).exists()


def test_many_processes_begin_one_run_and_one_of_them_does(tmp_path):
    program = """
import sys
from tinyvae.disk.run import Run
from tinyvae.errors import RunError

try:
    with Run.create(sys.argv[1], {"process": sys.argv[2]}) as run:
        print(sys.argv[2])
except RunError as error:
    assert "at work" in str(error) or "already holds a run" in str(error), error
"""
    processes = [
        subprocess.Popen([sys.executable, "-c", program, tmp_path / "run", str(i)], stdout=subprocess.PIPE, text=True)
        for i in range(8)
    ]
    said = [process.communicate()[0] for process in processes]
    assert all(process.returncode == 0 for process in processes)
    (winner,) = filter(None, said)
    assert Run.open(tmp_path / "run").config()["process"] == winner.strip()


def test_readers_never_meet_half_of_what_two_writers_write_without_a_lock(tmp_path):
    """The lock is one guard, names of their own the other: 281 of 622 reads were damaged without both."""
    program = """
import itertools, pathlib, sys
import numpy as np
from tinyvae.disk.checkpoint import write_checkpoint
for i in itertools.count(1):
    write_checkpoint(pathlib.Path(sys.argv[1]), {"params": np.full(50_000, i)}, {"epoch": i})
"""
    path = tmp_path / "checkpoint.npz"
    writers = [subprocess.Popen([sys.executable, "-c", program, path]) for _ in range(2)]
    try:
        while not path.exists():
            assert all(writer.poll() is None for writer in writers)
            time.sleep(0.01)
        for _ in range(300):
            arrays, state = read_checkpoint(path)
            assert (arrays["params"] == state["epoch"]).all()
        assert all(writer.poll() is None for writer in writers)
    finally:
        for writer in writers:
            writer.kill()
            writer.wait()
