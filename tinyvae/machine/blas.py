"""What there is to know of BLAS, and BLAS at one thread while crews are at work, since the threads are theirs.

The number of BLAS's threads is the whole process's, and threadpoolctl lets one thread alone change it: so it is a
keeper's, a thread that does nothing else. It sets the number to one for the first crew that begins, whichever thread
that is in, and back when the last one has ended.

A product that several threads of OpenBLAS do never ends if the process is forked meanwhile; one that one thread does is
not disturbed. The fork itself waits until the keeper has left its lock.
"""

import functools
import os
import threading
from concurrent.futures import ThreadPoolExecutor

from threadpoolctl import threadpool_info, threadpool_limits

WITHOUT_COPIES = {"SkylakeX", "Cooperlake", "SapphireRapids"}  # OpenBLAS's kernels for AVX-512


@functools.cache
def copies_factors():
    """Whether the BLAS that kernels call, SciPy's, copies the factors of every product, even of a small one.

    All kernels do but those that are known not to. $OPENBLAS_CORETYPE chooses others than the processor's.
    """
    import scipy.linalg.cython_blas  # noqa: F401, loads it

    libraries = [library for library in threadpool_info() if library["user_api"] == "blas"]
    scipys = [library for library in libraries if "scipy" in library["filepath"]] or libraries
    return not any(library.get("architecture") in WITHOUT_COPIES for library in scipys[:1])


_state_lock = threading.RLock()  # for the lines below, and for a fork
_keeper, _limits = None, None
_holders: set[object] = set()


def hold(holder):
    """Let BLAS have one thread until all who hold it have called ``release``; ``holder`` is any object of one's own."""
    _ask(_hold, holder)


def release(holder):
    """The end of ``hold``; nothing, if that was its end already."""
    _ask(_release, holder)


def _ask(what, holder):
    global _keeper
    with _state_lock:
        if _keeper is None:
            _keeper = ThreadPoolExecutor(1, "blas-keeper")
        answer = _keeper.submit(what, holder)
    answer.result()


def _hold(holder):
    global _limits
    with _state_lock:
        _holders.add(holder)
        if _limits is None:
            _limits = threadpool_limits(1, "blas").__enter__()


def _release(holder):
    global _limits
    with _state_lock:
        _holders.discard(holder)
        if not _holders and _limits is not None:
            _limits.__exit__(None, None, None)  # which also lets another thread of the process change the number
            _limits = None


def _begin_anew():
    """In a forked process there is one thread, and no crew but that thread's own."""
    global _keeper, _limits
    if _limits is not None:
        _limits.__exit__(None, None, None)
    _keeper, _limits = None, None
    _holders.clear()
    _state_lock.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_state_lock.acquire, after_in_parent=_state_lock.release, after_in_child=_begin_anew)
