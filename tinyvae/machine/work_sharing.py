"""The desk: where a thread writes down what is to be done, and how it and its helpers do it (threads.py says why).

A kernel that is shared (jobs.py) has two halves. One leaves its arguments on the desk, as whole numbers and
addresses, and the address of the other half: a *job*, which takes them from there and does a piece of the work. So a
helper can do whatever there is to do, and the two halves are compiled apart.
"""

from functools import cache

import numpy as np
from numba import carray, njit, types

from tinyvae.machine.code_cache import callback, kernel
from tinyvae.machine.elementary import INNER
from tinyvae.machine.memory import add, call, exchange, load, matrix_at, pause, pointer, store

# The desk is an array of int64, eight to a line of the cache. How many pieces are done, and whether the desk is open:
# these change while others look, so each stands in a line of its own.
DONE, IS_OPEN = np.int64(0), np.int64(16)  # as such, and no literals, for each of which Numba would compile apart
FAILED = np.int64(8)  # how many pieces an exception ended, in the line between them: it changes as good as never
# How many threads there are. What is to be done: a function's address, the number of pieces and of arrays, whole
# numbers, and each array's address, rows and columns.
THREADS, JOB, PIECES, ARGUMENTS, NUMBERS, ARRAYS = 32, 33, 34, 35, 40, 48
# At the end, for each thread APART numbers: how many pieces are left for it and, in another line of the cache, whether
# it sleeps, and its bell, a lock that is locked: who sleeps waits for it, who unlocks it rings.
TODO, ASLEEP, BELL, APART = 80, 88, 89, 16

CALLER, ONE = np.int64(0), np.int64(1)  # the thread that calls; a piece

LOOKS = 20_000  # at the desk, before a thread sleeps: about half a millisecond where a processor's pause is short
LONGEST_SLEEP = np.int64(10_000)  # microseconds, after which a thread looks for itself

# Python's own lock is a way to sleep and to wake that is there on every system. It needs no lock of the interpreter.
_acquire_lock = types.ExternalFunction(
    "PyThread_acquire_lock_timed", types.intc(types.voidptr, types.longlong, types.intc)
)
_release_lock = types.ExternalFunction("PyThread_release_lock", types.void(types.voidptr))
FOREVER = np.int64(-1)


FLOATING = {np.dtype(np.float32): types.float32, np.dtype(np.float64): types.float64}


class Job:
    """What does a piece of a kernel's work: a function (desk, piece, like), compiled when it is first needed.

    ``like`` is a pointer without a target: its type says which numbers, float32 or float64, stand at the addresses.
    """

    def __init__(self, function):
        self.__doc__ = function.__doc__
        self._function, self._compiled = function, []
        self.at = cache(self._compile)  # asked for fifteen times in a step

    def _compile(self, dtype):
        """The address of the function compiled for a dtype; TypeError for others than float32 and float64."""
        if dtype not in FLOATING:
            raise TypeError(f"numbers of the type float32 or float64 are wanted, not {dtype}")
        arguments = types.CPointer(types.int64), types.int64, types.CPointer(FLOATING[dtype])
        self._compiled.append(callback(arguments, self._function))  # it lives as long as its address is used
        return self._compiled[-1].address


@njit(**INNER)
def put(desk, array, like):
    """Leave an array (R, D) or (D,) as the next argument, for a job that works on such numbers as ``like`` has.

    Raises: TypeError if it has others, or does not stand there row by row.
    """
    if not (array.dtype == like.dtype) or not array.flags.c_contiguous:  # Numba has no !=
        raise TypeError("all arrays must be C-ordered and of one type, float32 or float64")
    i = ARRAYS + 3 * desk[ARGUMENTS]
    desk[i], desk[i + 1], desk[i + 2] = array.ctypes.data, array.size // max(array.shape[-1], 1), array.shape[-1]
    desk[ARGUMENTS] += 1


@njit(**INNER)
def matrix(desk, i, like):
    """Argument i, as (R, D)."""
    return matrix_at(desk[ARRAYS + 3 * i], desk[ARRAYS + 3 * i + 1], desk[ARRAYS + 3 * i + 2], like)


@njit(**INNER)
def numbers(desk):
    """The whole numbers among the arguments, from a pointer to the desk."""
    return carray(desk, TODO)[NUMBERS:ARRAYS]


@kernel
def share(desk, job, pieces):
    """Have a job done, whose arguments are on the desk; return when it is.

    Raises: MemoryError where an exception ended a piece. It was printed there (``callback``), and it is most likely of
        memory: what does not fit was refused before.
    """
    desk[JOB], desk[PIECES] = job, pieces
    store(desk, DONE, 0)
    store(desk, FAILED, 0)
    threads = desk[THREADS]
    for i in range(threads):
        store(desk, TODO + APART * i, pieces * (i + 1) // threads - pieces * i // threads)
    for i in range(1, threads):
        if load(desk, TODO + APART * i) > 0:
            wake(desk, i)
    work(desk, CALLER)
    while load(desk, DONE) < pieces:  # a piece that a helper has it finishes, even if the desk was closed meanwhile
        wait(desk, CALLER, DONE, pieces)
    if load(desk, FAILED):
        raise MemoryError("a piece of the work failed; what it was stands above")


@kernel
def work(desk, i):
    """Do the pieces of thread i, then those of others, until there are no more to be had.

    Between the look at the desk and the taking another job may have come: what was taken then is a piece of that one,
    since it is read afterwards. A piece that was taken keeps its job on the desk until DONE counts it.
    """
    threads = desk[THREADS]
    for k in range(threads):
        j, done = (i + k) % threads, 0
        while load(desk, TODO + APART * j) > 0:
            left = add(desk, TODO + APART * j, -1)
            if left > 0:
                if not call(desk[JOB], desk.ctypes.data, desk[PIECES] * j // threads + left - 1):
                    add(desk, FAILED, 1)
                done += 1
        if done:
            add(desk, DONE, done)
            wake(desk, CALLER)


@kernel
def wait(desk, i, place, value):
    """Thread i waits until the number at a place of the desk has reached a value, or the desk is no longer open."""
    for _ in range(LOOKS):
        if load(desk, place) >= value:
            return
        pause()
    bell = pointer(desk[BELL + APART * i])
    while load(desk, place) < value and load(desk, IS_OPEN):
        store(desk, ASLEEP + APART * i, 1)
        has_rung = False
        if load(desk, place) < value:  # whoever changes it from now on rings
            has_rung = _acquire_lock(bell, LONGEST_SLEEP, np.int32(0)) != 0
        if not has_rung and exchange(desk, ASLEEP + APART * i, 0) == 0:
            _acquire_lock(bell, FOREVER, np.int32(0))  # it is about to ring: that is to be over before the next sleep


@kernel
def wake(desk, i):
    """Ring for thread i, if it sleeps."""
    if load(desk, ASLEEP + APART * i) and exchange(desk, ASLEEP + APART * i, 0) == 1:
        _release_lock(pointer(desk[BELL + APART * i]))


@kernel
def serve(desk, i):
    """The life of helper i while the desk is open."""
    while load(desk, IS_OPEN):
        work(desk, i)
        wait(desk, i, TODO + APART * i, ONE)
