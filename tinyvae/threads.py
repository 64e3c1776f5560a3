"""Threads that share the work of a kernel, without the interpreter: a step of training is over in half a millisecond.

A kernel's work is cut into pieces. The thread that calls it writes on a *desk* what is to be done. Each thread has its
share of the pieces, the same one every time, since what it worked on last is still in its core's cache; but nobody
waits for one that has no time: the others do its share. All of that happens in compiled code (desk.py): a thread that
waits for the interpreter's lock is woken by the operating system, which takes a tenth of a step.

The mathematics knows nothing of it: a kernel that can be shared is given the desk ``at_hand``, that of the crew in
whose ``with`` block the calling thread is.
"""

import functools
import itertools
import os
import threading
import weakref

import numpy as np
from threadpoolctl import threadpool_limits

# The desk is an array of int64. What the threads change stands in lines of the cache of its own: how many pieces are
# done; whether the desk is open; and, at the end, how many pieces there are left for each thread.
DONE, IS_OPEN, THREADS = 0, 16, 32
# What is to be done: a function's address, the number of pieces and of arrays, whole numbers, and each array's address,
# rows and columns.
JOB, PIECES, ARGUMENTS, NUMBERS, ARRAYS = 33, 34, 35, 40, 48
TODO, APART = 80, 16


def available_cores():
    """The number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


class Crew:
    """The calling thread and its helpers, which work while a ``with`` block is open; BLAS has one thread meanwhile.

    Args:
        size: the number of threads, with the caller's.
        serve: function of a desk and a number, 1 ... size - 1, for this helper to do what it finds there until the desk
            is no longer open.
    """

    def __init__(self, size, serve):
        self.size = size
        self.desk = _new_desk(size)
        self._bell = threading.Condition()
        serve(self.desk, 0)  # to compile it here, once, with nothing to do
        for i in range(1, size):
            threading.Thread(target=_help, args=(self.desk, i, self._bell, serve), daemon=True).start()
        weakref.finalize(self, _ring, self.desk, self._bell, DISMISSED)

    def __enter__(self):
        self._limits, self._before = threadpool_limits(1, "blas"), at_hand()
        _here.desk = self.desk
        _ring(self.desk, self._bell, OPEN)
        return self

    def __exit__(self, *_):
        self.desk[IS_OPEN] = CLOSED
        _here.desk = self._before
        self._limits.restore_original_limits()


CLOSED, OPEN, DISMISSED = 0, 1, 2
_here = threading.local()


def at_hand():
    """The desk of the crew that the calling thread is in, or one without helpers."""
    try:
        return _here.desk
    except AttributeError:
        _here.desk = _new_desk(1)
        return _here.desk


def _new_desk(threads):
    desk = np.zeros(TODO + APART * threads, np.int64)
    desk[THREADS] = threads
    return desk


def _help(desk, i, bell, serve):
    while desk[IS_OPEN] != DISMISSED:
        with bell:
            bell.wait_for(lambda: desk[IS_OPEN] != CLOSED)
        serve(desk, i)


def _ring(desk, bell, message):
    with bell:
        desk[IS_OPEN] = message
        bell.notify_all()


@functools.cache
def shares(total, parts):
    """Slices that cut 0 ... total - 1 into as many parts, as equal as can be; none of them is empty."""
    ends = [total * i // parts for i in range(parts + 1)]
    return [slice(first, last) for first, last in itertools.pairwise(ends) if first < last]
