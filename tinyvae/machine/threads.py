"""Threads that share the work of a kernel, without the interpreter: a step of training is over in half a millisecond.

A kernel's work is cut into pieces. The thread that calls it writes on a *desk* what is to be done. Each thread has its
share of the pieces, the same one every time, since what it worked on last is still in its core's cache; but nobody
waits for one that has no time: the others do its share. All of that happens in compiled code (work_sharing.py): a
thread that waits for the interpreter's lock is woken by the operating system, which takes a tenth of a step.

A kernel that can be shared is given the desk ``at_hand``, that of the crew in whose ``with`` block the calling thread
is. The mathematics knows nothing of it: it calls the kernels through the door (__init__.py).
"""

import ctypes
import os
import threading
import weakref
from queue import SimpleQueue

import numpy as np

from tinyvae.errors import UserError
from tinyvae.interrupts import Block
from tinyvae.machine import blas
from tinyvae.machine.work_sharing import APART, BELL, IS_OPEN, THREADS, TODO, serve


class Crew(Block):
    """The calling thread and its helpers, which work while a ``with`` block is open; BLAS has one thread meanwhile.

    In a forked process the crew gets helpers of its own when it is next entered.

    Args:
        size: the number of threads, with the caller's.
    """

    def __init__(self, size):
        super().__init__()
        self.size, self._outside = size, []
        self.desk = _new_desk(size)
        serve(self.desk, 0)  # to compile it here, once, with nothing to do
        self._calls, self._process = [], os.getpid()
        with self:
            pass  # the helpers have begun

    def _prepare(self):
        if self._process != os.getpid() and current() is not self:
            self.__init__(self.size)

    def _begin(self):
        if not self._calls:
            self._start_helpers()
        self._outside.append((at_hand(), current()))
        _here.desk, _here.crew = self.desk, self
        if len(self._outside) == 1:  # inner blocks need not wait for BLAS's keeper
            blas.hold(self)
            self.desk[IS_OPEN] = 1
            for calls in self._calls:
                calls.put(True)

    def _end(self):
        _here.desk, _here.crew = self._outside.pop()
        if not self._outside:
            self.desk[IS_OPEN] = 0
            blas.release(self)

    def _start_helpers(self):
        self._calls = [SimpleQueue() for _ in range(1, self.size)]
        for i, calls in enumerate(self._calls, start=1):
            # the end of the crew is the last call; it runs no Python, so that no Ctrl-C can prevent it
            end = weakref.ref(self, calls.put)
            try:
                threading.Thread(target=_help, args=(self.desk, i, calls, end), daemon=True).start()
            except RuntimeError as error:
                wanted = f"{self.size} threads are wanted, and after {i} of them {error}"
                raise UserError(f"{wanted}: ask for fewer") from None


_here = threading.local()


def at_hand():
    """The desk of the crew that the calling thread is in, or one without helpers."""
    try:
        return _here.desk
    except AttributeError:
        _here.desk = _new_desk(1)
        return _here.desk


def current():
    """The crew in whose block the calling thread is, or None."""
    return getattr(_here, "crew", None)


_allocate_lock, _free_lock = ctypes.pythonapi.PyThread_allocate_lock, ctypes.pythonapi.PyThread_free_lock
_acquire_lock = ctypes.pythonapi.PyThread_acquire_lock
_allocate_lock.restype = ctypes.c_void_p
_free_lock.argtypes, _acquire_lock.argtypes = [ctypes.c_void_p], [ctypes.c_void_p, ctypes.c_int]


def _new_desk(threads):
    desk = np.zeros(TODO + APART * threads, np.int64)
    desk[THREADS] = threads
    bells = [_allocate_lock() for _ in range(threads)]
    for i, bell in enumerate(bells):
        _acquire_lock(bell, 1)
        desk[BELL + APART * i] = bell
    # not at the end of the process: helpers may still wait there
    weakref.finalize(desk, lambda: [_free_lock(bell) for bell in bells]).atexit = False
    return desk


def _help(desk, i, calls, end):
    """A helper's life: to serve when it is called, for True, until it may go, for ``end``, a dead reference."""
    blas.in_this_thread(blas.ONE)
    while calls.get() is not end:
        serve(desk, i)
