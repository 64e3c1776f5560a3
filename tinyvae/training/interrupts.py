"""Ctrl-C while a model is trained: the step at hand is finished first."""

import signal
import threading
from types import FrameType

from tinyvae.errors import Interrupted


class DeferredInterrupt:
    """Inside, Ctrl-C waits for the next ``check``, so that a step of training is finished; a second one does not.

    Only the main thread can defer it; in another one nothing changes.
    """

    def __enter__(self) -> "DeferredInterrupt":
        self.asked, self._deferring = False, threading.current_thread() is threading.main_thread()
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
