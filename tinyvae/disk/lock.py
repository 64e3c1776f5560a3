"""One writer at a time: whoever works in a folder holds its lock, and anybody else is told who that is.

The operating system keeps the lock (filelock), and drops it with the process, however that ends: nobody has to clear
up after a crash. The lock's own file, which is empty and hidden, stays in the folder. A forked process has no part in
its parent's locks: it holds none, and is told that the parent is at work.
"""

import os
import platform
import threading
import time
import weakref
from contextlib import suppress

from filelock import FileLock, Timeout

from tinyvae.disk.files import atomic_write, explained, open_to_read, remove_temporaries
from tinyvae.errors import RunError
from tinyvae.system import WITHOUT_LOCKS

LOCK, OWNER = ".lock", ".owner"  # what is locked, and who locked it
PATIENCE = 1.0  # seconds: a process that ends is given the time to do so, and a new owner that to say who it is

# what this process holds, by the folder's real path
_held: weakref.WeakValueDictionary[str, "Lock"] = weakref.WeakValueDictionary()
_one_at_a_time = threading.Lock()  # of its threads; another of which would find the folder locked, by this process


def _begin_anew():
    """In a forked process: what its parent holds is the parent's, and a thread that was about to is not there."""
    global _one_at_a_time
    _held.clear()
    _one_at_a_time = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_anew)


class Lock:
    """The right of this process to write into a folder, until nobody in it refers to this any more. See ``hold``."""

    def __init__(self, folder):
        # not for this thread alone: whichever lets go of it last releases it; and no file whose mere being there is the
        # lock, which a crash would leave behind
        lock, owner = FileLock(folder / LOCK, thread_local=False, fallback_to_soft=False), folder / OWNER
        with explained(folder / LOCK, "locked"):
            try:
                lock.acquire(timeout=PATIENCE, poll_interval=PATIENCE / 20)
            except Timeout:
                raise RunError(
                    f"{folder}: {_owner(owner)}\nWait for its end, or stop it; or choose another folder."
                ) from None
            except OSError as error:
                if error.errno not in WITHOUT_LOCKS:
                    raise
                raise RunError(f"{folder}: this file system has no locks\nChoose a folder on another disk.") from None
        self._release = weakref.finalize(self, _release, lock, owner, os.getpid())
        remove_temporaries(owner)
        with atomic_write(owner) as file:
            now = time.strftime("%Y-%m-%d %H:%M:%S")
            file.write(f"process {os.getpid()} on {platform.node()} is at work here since {now}".encode())


def hold(folder):
    """The lock of a folder; for the process that holds it already, the same one again.

    Args:
        folder: Path of a folder that exists.

    Returns: Lock.

    Raises: RunError that says who is at work there; or if nothing can be written into the folder.
    """
    name = os.path.realpath(folder)
    with _one_at_a_time:
        lock = _held.get(name) or Lock(folder)
        _held[name] = lock
    return lock


def _release(lock, owner, process):
    if os.getpid() == process:  # a fork has no part in it
        with suppress(OSError):  # the folder may be gone
            owner.unlink(missing_ok=True)
        lock.release()


def _owner(path):
    """Who is at work, in words."""
    with suppress(OSError, RunError), open_to_read(path) as file:
        if text := file.read(200).decode(errors="replace"):
            return text
    return "another process is at work here"
