"""What there is to know of BLAS, and BLAS at one thread while crews are at work, since the threads are theirs.

The number of BLAS's threads is the whole process's, and threadpoolctl lets one thread alone change it: so it is a
keeper's, a thread that does nothing else. It sets the number to one for the first crew that begins, whichever thread
that is in, and back when the last one has ended. It is a daemon, and no executor's: those end with the main thread,
while another thread may train for hours after that.

Apple's Accelerate, which SciPy uses on newer Macs, is unknown to threadpoolctl. From macOS 15 on it can be told to do
the products of the calling thread in that thread. Before, its threads come on top of the crew's: the results are right,
and there are more threads than cores (``description`` says so).

A product that several threads of OpenBLAS do never ends if the process is forked meanwhile; one that one thread does is
not disturbed. The fork itself waits until the keeper has left its lock.
"""

import ctypes
import functools
import os
import threading
from queue import SimpleQueue

from threadpoolctl import ThreadpoolController

WITHOUT_COPIES = {"SkylakeX", "Cooperlake", "SapphireRapids"}  # OpenBLAS's kernels for AVX-512
ACCELERATE = "/System/Library/Frameworks/Accelerate.framework/Accelerate"
SEVERAL, ONE = 0, 1  # threads, for Accelerate's BLASSetThreading


@functools.cache
def _libraries():
    """The BLAS libraries of this process, SciPy's among them, to be asked and limited."""
    import scipy.linalg.cython_blas  # noqa: F401, loads SciPy's

    return ThreadpoolController().select(user_api="blas")


def kernel_set():
    """The name of the kernels of the BLAS that this package calls, SciPy's: OpenBLAS's architecture, or None.

    $OPENBLAS_CORETYPE chooses others than the processor's.
    """
    library = _library()
    return library["architecture"] if library.get("internal_api") == "openblas" else None


def _library():
    """What is known of the BLAS library that SciPy brings, or of any there is; {} without one."""
    import scipy

    libraries = _libraries().info()
    homes = scipy.__path__[0], f"{scipy.__path__[0]}.libs"  # on a Mac, and elsewhere
    scipys = [library for library in libraries if library["filepath"].startswith(tuple(f"{h}{os.sep}" for h in homes))]
    return (scipys or libraries or [{}])[0]


def copies_factors():
    """Whether SciPy's BLAS copies the factors of every product, even of a small one.

    All kernels do but those that are known not to.
    """
    return kernel_set() not in WITHOUT_COPIES


@functools.cache
def _accelerate():
    """Accelerate's function that says how many threads do the products of the calling thread; None without one."""
    try:
        return ctypes.CDLL(ACCELERATE).BLASSetThreading
    except (OSError, AttributeError):  # no Mac, or one before macOS 15
        return None


def in_this_thread(threads):
    """Let Accelerate, if there is one, do the calling thread's products in ONE or in SEVERAL threads."""
    if _accelerate():
        _accelerate()(threads)


def description():
    """What does the products, in words; and whether it cannot be kept from having threads of its own."""
    if kernel_set():
        return f"OpenBLAS with its kernels for {kernel_set()}"
    if _library():
        return _library()["internal_api"]
    if _accelerate():
        return "Accelerate"
    return "a BLAS whose threads cannot be limited and come on top of those at work: fewer --threads may be faster"


_state_lock = threading.RLock()  # for the lines below, and for a fork
_calls: SimpleQueue | None = None  # to the keeper: (what, holder, thread, answers)
_limits = None
_holders: dict[object, int] = {}  # and the threads that they are in


def hold(holder):
    """Let BLAS have one thread until all who hold it have called ``release``; ``holder`` is any object of one's own."""
    _ask(_hold, holder)
    in_this_thread(ONE)


def release(holder):
    """The end of ``hold``; nothing, if that was its end already."""
    in_this_thread(SEVERAL)
    _ask(_release, holder)


def _ask(what, holder):
    """Have the keeper do it, and wait for its end."""
    global _calls
    answers = SimpleQueue()
    with _state_lock:
        if _calls is None:
            calls = SimpleQueue()
            threading.Thread(target=_keep, args=(calls,), name="blas-keeper", daemon=True).start()
            _calls = calls
        _calls.put((what, holder, threading.get_ident(), answers))
    if error := answers.get():
        raise error


def _keep(calls):
    """The keeper's life."""
    while True:
        what, holder, thread, answers = calls.get()
        error = None
        try:
            what(holder, thread)
        except BaseException as failure:  # it is the caller's
            error = failure
        del holder  # which would live here until the next call
        answers.put(error)


def _hold(holder, thread):
    global _limits
    with _state_lock:
        _holders[holder] = thread
        if _limits is None:
            _limits = _libraries().limit(limits=1).__enter__()


def _release(holder, _):
    global _limits
    with _state_lock:
        _holders.pop(holder, None)
        if not _holders and _limits is not None:
            _limits.__exit__(None, None, None)  # which also lets another thread of the process change the number
            _limits = None


def _begin_anew():
    """In a forked process there is one thread, and no crew but that thread's own, in whose block it may be."""
    global _calls, _limits
    _calls = None
    for holder in [holder for holder, thread in _holders.items() if thread != threading.get_ident()]:
        del _holders[holder]
    if not _holders and _limits is not None:
        _limits.__exit__(None, None, None)
        _limits = None
    _state_lock.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_state_lock.acquire, after_in_parent=_state_lock.release, after_in_child=_begin_anew)
