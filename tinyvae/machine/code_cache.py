"""Compiled code that is kept on disk, from one process to the next.

Numba keeps a kernel's machine code by the date of the kernel's own file. That is not enough here: kernels are compiled
into one another, across the files of this room, and an upgrade may leave old code behind. So what is kept stands in a
folder whose name is a digest of every source file of the room and of the versions beneath it: after any edit or upgrade
it is another folder. The last few stay, older ones are removed. Another room that has loops compiled (``exact``, at the
door) has folders of its own, which depend on its sources too, and on the derivation's, whose constants are compiled
into its loops: an edit there leaves the code of this room alone.

One process writes at a time, and what is read is asked what it is: Numba writes a list of what is kept and then the
code, so that of two processes that write at once one could find the other's code under its own name.

The folder is in $NUMBA_CACHE_DIR if that is set, else beside the sources, else, where nothing can be written there, in
the user's cache folder. All of this only saves time: code that cannot be read or written is compiled in memory.
"""

import functools
import hashlib
import os
import platform
import re
import shutil
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

import llvmlite
import numba
import numpy as np
import platformdirs
import scipy
from filelock import FileLock, Timeout
from numba import njit, types
from numba.core.caching import CompileResultCacheImpl, FunctionCache, _CacheLocator
from numba.core.ccallback import CFunc
from numba.core.sigutils import normalize_signature

from tinyvae.machine.blas import copies_factors
from tinyvae.machine.elementary import FAST, INNER
from tinyvae.system import WITHOUT_LOCKS

# The exception to elementary.FAST, for ``exact``: no fastmath.
EXACTLY = {"fastmath": False, "error_model": "numpy", "nogil": True}
KEPT = 3  # folders of older digests
DIGITS = 16  # of a digest, hexadecimal
LOCK, PATIENCE = ".lock", 2.0  # who writes into a folder locks this there; seconds that others wait for it
ROOM = Path(__file__).parent
DERIVATION = ROOM.parent / "derivation"


@functools.cache
def digest(room=ROOM):
    """What a room's compiled code depends on: its sources, this room's and those of the derivation above this room, the
    versions beneath, the processor's kind; and in this room, which alone does products by BLAS, how that takes its
    factors.
    """
    versions = [numba.__version__, llvmlite.__version__, np.__version__, scipy.__version__, sys.version]
    products = str(copies_factors()) if room == ROOM else room.name
    total = hashlib.sha256("\n".join([*versions, platform.machine(), products]).encode())
    rooms = {ROOM} if room == ROOM else {ROOM, DERIVATION, room}
    for path in sorted(path for each in rooms for path in each.glob("*.py")):
        total.update(path.read_bytes())
    return total.hexdigest()[:DIGITS]


@functools.cache
def folder(room=ROOM):
    """The folder for a room's compiled code, made if need be; None where there is none to be had."""
    given = os.environ.get("NUMBA_CACHE_DIR")
    for root in [Path(given)] if given else [room / "__pycache__", Path(platformdirs.user_cache_dir("tinyvae"))]:
        path = root / f"{'kernels' if room == ROOM else room.name}-{digest(room)}"
        try:
            path.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=path):
                pass
        except OSError as error:
            reason = error
            continue
        os.utime(path)  # used today
        _remove_old(path)
        return path
    give_up(reason)
    return None


def _remove_old(current):
    """Remove all but the newest folders of the room's other digests; whatever else is there is somebody's."""
    with suppress(OSError):
        kind, _, _ = current.name.rpartition("-")
        ours = re.compile(f"{re.escape(kind)}-[0-9a-f]{{{DIGITS}}}")
        others = [path for path in current.parent.iterdir() if ours.fullmatch(path.name) and path != current]
        for path in sorted(others, key=lambda path: path.stat().st_mtime)[:-KEPT]:
            shutil.rmtree(path, ignore_errors=True)


_given_up: list[str] = []


def give_up(reason):
    """Say, once, that compiled code is not kept."""
    if not _given_up:
        print(
            f"compiled code cannot be kept ({reason}): it is compiled anew in each process. "
            "$NUMBA_CACHE_DIR may name another folder.",
            file=sys.stderr,
            flush=True,
        )
    _given_up.append(reason)


class _Locator(_CacheLocator):
    """Numba's question where, answered by ``folder``, and how fresh, by ``digest``."""

    def __init__(self, function):
        self._room, self._line = Path(function.__code__.co_filename).parent, function.__code__.co_firstlineno

    @classmethod
    def from_function(cls, py_func, py_file):
        return cls(py_func)

    def get_cache_path(self):
        return str(folder(self._room))

    def get_source_stamp(self):
        return digest(self._room)

    def get_disambiguator(self):
        return str(self._line)


class _Kept(CompileResultCacheImpl):
    """What is kept of a function, where ``_Locator`` says."""

    _locator_classes = (_Locator,)


class KernelCache(FunctionCache):
    """The compiled code of a function in ``folder``. Whatever is wrong with it costs time and never the run."""

    _impl_class = _Kept

    def load_overload(self, sig, target_context):
        """The code that was kept, or None: what is no code, or that of other types, is compiled anew."""
        try:
            kept = super().load_overload(sig, target_context)
            return kept if kept and tuple(kept.signature.args) == tuple(normalize_signature(sig)[0]) else None
        except Exception:  # emptied by a power cut, cut short, of another user: unpickling raises anything
            with suppress(OSError):
                self.flush()
            return None

    def save_overload(self, sig, data):
        """Keep the code, if that can be done; or not, while another process is at it for long."""
        lock = FileLock(Path(self.cache_path) / LOCK, timeout=PATIENCE, fallback_to_soft=False)
        try:
            try:
                lock.acquire()
            except OSError as error:  # where there are no locks it is kept without: what is read is asked what it is
                if error.errno not in WITHOUT_LOCKS:
                    raise
            try:
                super().save_overload(sig, data)
            finally:
                lock.release()
        except Timeout:
            pass
        except OSError as error:
            self.disable()
            give_up(error)


def keep(compiled, function):
    """Let a compiled function (a Numba dispatcher or a CFunc) be kept, if it is of a room of ours; returns it."""
    room = Path(function.__code__.co_filename).parent
    if room.parent == ROOM.parent and folder(room):
        compiled._cache = KernelCache(function)
    return compiled


def kernel(function):
    """Compile a function as kernels are (kernels.py says how and why), when it is first called, and keep the code."""
    return keep(njit(**FAST)(function), function)


def exact(function):
    """Compile a function such that each of its numbers is what IEEE 754 says, on any machine, and keep the code.

    The kernels' ``fastmath`` lets sums be reordered, and a product and a sum become one operation with one rounding, as
    the processor at hand likes: the last bits are then those of this processor. Without it each operation is rounded as
    it is written. (A call of the C library's exp would still be another's on another system.)
    """
    return keep(njit(**EXACTLY)(function), function)


def callback(arguments, function):
    """The same at once for a C function of three arguments of the given types, which returns an int64: 1 at its end, 0
    where an exception ended it, as Numba's C functions do. (They print it, too, but raise nothing.)
    """
    inner = njit(**INNER)(function)

    def whole(desk, piece, like):
        inner(desk, piece, like)
        return np.int64(1)

    options = {"fastmath": True, "error_model": "numpy"}
    compiled = keep(CFunc(whole, (arguments, types.int64), {}, options), function)
    compiled.compile()
    return compiled
