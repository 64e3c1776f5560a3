"""Ctrl-C where something must stay whole: it is put off until the moment when it may come.

A SIGINT that the process was told to ignore (``nohup``, a shell's background job) stays ignored. Only the main thread
is ever interrupted; in another one nothing here changes anything.
"""

import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

from tinyvae.errors import Interrupted


class DeferredInterrupt:
    """Inside, Ctrl-C waits for the next ``check``, so that a step of training is finished; a second one does not.

    Args:
        say: called at once when it was pressed, in the handler of the signal.
    """

    def __init__(self, say: Callable[[], object] = lambda: None):
        self._say = say

    def __enter__(self) -> "DeferredInterrupt":
        self.asked, self._deferring = False, _can_be_deferred()
        if self._deferring:
            self._previous = signal.signal(signal.SIGINT, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        if self._deferring:
            signal.signal(signal.SIGINT, self._previous)

    def check(self) -> None:
        """Raise errors.Interrupted if Ctrl-C was pressed."""
        if self.asked:
            raise Interrupted

    def _note(self, _number: int, _frame: FrameType | None) -> None:
        self.asked = True
        signal.signal(signal.SIGINT, self._previous)
        self._say()


def uninterrupted(function: Callable[[], object]) -> None:
    """Call a function, once and to its end: Ctrl-C, before it or meanwhile, comes after it."""
    noted: list[int] = []  # and not the frames: they would keep each other alive, and all that they refer to
    previous: Any = None
    begun = False
    try:
        if _can_be_deferred():
            previous = signal.signal(signal.SIGINT, lambda number, _frame: noted.append(number))
        begun = True
        try:
            function()
        finally:
            if previous:
                signal.signal(signal.SIGINT, previous)
        if noted:
            previous(noted[-1], None)
    except BaseException:  # what a handler raises, of the system's or of one's own
        if not begun:
            uninterrupted(function)
        raise


def _can_be_deferred() -> bool:
    """Whether a SIGINT would come here, to a handler in Python."""
    return threading.current_thread() is threading.main_thread() and callable(signal.getsignal(signal.SIGINT))
