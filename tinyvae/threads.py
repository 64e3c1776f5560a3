"""Threads that share out small pieces of work, with little ado: a step of training is over in half a millisecond.

To be woken by the operating system takes a thread a tenth of that. So whoever waits here looks for a moment itself, in
a kernel that holds no lock of the interpreter, before it goes to sleep.
"""

import functools
import itertools
import os
import threading
import weakref
from queue import SimpleQueue

import numpy as np
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

LOOKS = 200_000  # at a flag, before going to sleep: a fraction of a millisecond


def available_cores():
    """The number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


class Team:
    """The calling thread and its helpers; they work side by side wherever a kernel holds no lock of the interpreter.

    Each takes the next piece as soon as it is free. So if another process keeps a core busy, or the pieces are over
    before a helper has woken up, the others do its share and nobody waits for it.

    Args:
        size: the number of threads, with the caller's.
        prepare: called once in each helper.
    """

    def __init__(self, size, prepare=lambda: None):
        self.size = size
        self._desks = [(SimpleQueue(), np.zeros(1, np.int64)) for _ in range(size - 1)]
        for jobs, count in self._desks:
            threading.Thread(target=_help, args=(jobs, count, prepare), daemon=True).start()
        weakref.finalize(self, _dismiss, self._desks)

    def map(self, function, items):
        """[function(item) for item in items], done side by side; the first exception is raised once all are at rest."""
        job = _Job(function, items)
        for jobs, count in self._desks[: len(job.results) - 1]:
            jobs.put(job)
            count += 1
        job.work()
        return job.finish()


class _Job:
    """What one ``map`` is to do; many threads may ``work`` on it at once."""

    def __init__(self, function, items):
        items = list(items)
        self.function = function
        self.results = [None] * len(items)
        self._todo = iter(list(enumerate(items)))
        self._done = SimpleQueue()
        self._flags = np.zeros(len(items), np.int64)

    def work(self):
        for i, item in self._todo:
            try:
                self.results[i] = self.function(item)
            except BaseException as error:  # to be raised where the result is awaited
                self._done.put(error)
            else:
                self._done.put(None)
            self._flags[i] = 1

    def finish(self):
        look(self._flags, 1, LOOKS)
        errors = [self._done.get() for _ in self.results]
        for error in filter(None, errors):
            raise error
        return self.results


def _help(jobs, count, prepare):
    """Work on the jobs of a queue until one is None; ``count`` (1,) says how many were put there."""
    prepare()
    for next_one in itertools.count(2):
        job = jobs.get()
        if job is None:
            return
        job.work()
        look(count, next_one, LOOKS)


def _dismiss(desks):
    for jobs, _ in desks:
        jobs.put(None)


@intrinsic
def current(typing_context, flags, i):
    """flags[i] as it is in memory now; of a plain ``flags[i]`` in a loop the compiler keeps what it has read once."""

    def generate(context, builder, signature, arguments):
        array = context.make_array(signature.args[0])(context, builder, arguments[0])
        place = cgutils.get_item_pointer(context, builder, signature.args[0], array, arguments[1:])
        return builder.load_atomic(place, "acquire", 8)

    return types.int64(flags, i), generate


@njit(nogil=True, cache=True)
def look(flags, value, times):
    """Look at flags (n,) int64 until all have reached the value, but so many times at most."""
    i = 0
    for _ in range(times):
        if i == flags.size:
            return
        i += current(flags, i) >= value


@functools.cache
def shares(total, parts):
    """Slices that cut 0 ... total - 1 into as many parts, as equal as can be; none of them is empty."""
    ends = [total * i // parts for i in range(parts + 1)]
    return [slice(first, last) for first, last in itertools.pairwise(ends) if first < last]


ALONE = Team(1)
