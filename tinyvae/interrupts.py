"""Ctrl-C where something must stay whole: it is put off until the moment when it may come.

A signal that the process was told to ignore (SIGINT as a script's background job is, SIGHUP under nohup) stays ignored.
Only the main thread is ever interrupted; in another one nothing here changes anything.
"""

import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

from tinyvae.errors import Interrupted

# How a process is told to end: by a batch system at its limit of time, by ``timeout``, by a terminal that is closed.
ENDINGS = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]


class DeferredInterrupt:
    """Inside, Ctrl-C waits for the next ``check``, so that a step of training is finished; a second one does not.

    Where no check follows it comes at the end of the block, as errors.Interrupted too. So do SIGTERM and SIGHUP where
    they would end the process; these may be repeated (``timeout`` sends its signal twice), and still wait.

    Args:
        say: called at once at the first signal, in its handler.
    """

    def __init__(self, say: Callable[[], object] = lambda: None):
        self._say = say

    def __enter__(self) -> "DeferredInterrupt":
        self.asked: int | None = None  # the signal
        self._previous: dict[int, Any] = {}
        if _can_be_deferred():
            self._previous[signal.SIGINT] = signal.signal(signal.SIGINT, self._note)
        if threading.current_thread() is threading.main_thread():
            for number in ENDINGS:
                if signal.getsignal(number) is signal.SIG_DFL:
                    self._previous[number] = signal.signal(number, self._note_end)
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        for number, handler in reversed(self._previous.items()):  # SIGINT last: until then it is only noted
            signal.signal(number, handler)
        if kind is None:
            self.check()

    def check(self) -> None:
        """Raise errors.Interrupted if Ctrl-C was pressed, or the process was told to end."""
        if self.asked:
            raise Interrupted(self.asked)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.asked:
            self._previous[number](number, frame)
        self._note_end(number, frame)

    def _note_end(self, number: int, frame: FrameType | None) -> None:
        if not self.asked:
            self.asked = number
            self._say()


class Block:
    """A ``with`` block that Ctrl-C finds begun or not, ended or not, and never half: meanwhile it waits, within it does
    not.

    What is done then, a class says in ``_begin`` and ``_end``; what is looked at before, in ``_prepare``, which may be
    interrupted. Blocks of one object may stand in one another; another thread that wants to enter waits.

    The interpreter may interrupt on the very first line of a method, before it could be told not to. So the handler of
    the signal is set for the whole block, and looks where the signal fell.
    """

    _noted = False  # Ctrl-C was pressed in one of the two methods below

    def __init__(self) -> None:
        self._lock, self._handlers = threading.RLock(), list[Any]()

    def _prepare(self) -> None:
        pass

    def _begin(self) -> None:
        raise NotImplementedError

    def _end(self) -> None:
        raise NotImplementedError

    def __enter__(self) -> Any:
        self._prepare()
        with self._lock:  # which may take long: as yet, Ctrl-C comes at once
            handler: Any = signal.getsignal(signal.SIGINT) if _can_be_deferred() else None
            if handler:
                signal.signal(signal.SIGINT, lambda *press: _unless_in_between(handler, *press))
            try:
                self._begin()
            except BaseException:
                if handler:
                    signal.signal(signal.SIGINT, handler)
                    Block._noted = False  # there is nothing left to interrupt
                raise
            self._handlers.append(handler)
            self._lock.acquire()
        if handler:
            try:
                _give_what_was_noted(handler)
            except BaseException:
                self.__exit__()
                raise
        return self

    def __exit__(self, *_: object) -> None:
        handler = self._handlers.pop()
        try:
            self._end()
        finally:
            self._lock.release()
            if handler:
                signal.signal(signal.SIGINT, handler)
                _give_what_was_noted(handler)


def _give_what_was_noted(handler: Callable[..., object]) -> None:
    """Call the handler if the signal came where a block begins or ends."""
    if Block._noted:
        Block._noted = False
        handler(signal.SIGINT, None)


def _unless_in_between(handler: Callable[..., object], number: int, frame: FrameType | None) -> None:
    """Call the handler, unless the signal fell where a block begins or ends; it is noted then."""
    place = frame
    while place:
        if place.f_code in (Block.__enter__.__code__, Block.__exit__.__code__):
            Block._noted = True
            return
        place = place.f_back
    handler(number, frame)


def _can_be_deferred() -> bool:
    """Whether a SIGINT would come here, to a handler in Python."""
    return threading.current_thread() is threading.main_thread() and callable(signal.getsignal(signal.SIGINT))
