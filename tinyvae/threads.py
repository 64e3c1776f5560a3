"""Threads that share out small pieces of work, with little ado: a step of training is over in half a millisecond."""

import functools
import itertools
import os
import threading
import weakref
from queue import SimpleQueue


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
        self._jobs = SimpleQueue()
        for _ in range(size - 1):
            threading.Thread(target=_help, args=(self._jobs, prepare), daemon=True).start()
        weakref.finalize(self, _dismiss, self._jobs, size - 1)

    def map(self, function, items):
        """[function(item) for item in items], done side by side; the first exception is raised once all are at rest."""
        job = _Job(function, items)
        for _ in range(min(self.size, len(job.results)) - 1):
            self._jobs.put(job)
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

    def work(self):
        for i, item in self._todo:
            try:
                self.results[i] = self.function(item)
            except BaseException as error:  # to be raised where the result is awaited
                self._done.put(error)
            else:
                self._done.put(None)

    def finish(self):
        errors = [self._done.get() for _ in self.results]
        for error in filter(None, errors):
            raise error
        return self.results


def _help(jobs, prepare):
    prepare()
    while job := jobs.get():
        job.work()


def _dismiss(jobs, helpers):
    for _ in range(helpers):
        jobs.put(None)


@functools.cache
def shares(total, parts):
    """Slices that cut 0 ... total - 1 into as many parts, as equal as can be; none of them is empty."""
    ends = [total * i // parts for i in range(parts + 1)]
    return [slice(first, last) for first, last in itertools.pairwise(ends) if first < last]


ALONE = Team(1)
