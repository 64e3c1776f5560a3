"""Standard output and standard error that cannot end a command: a training is worth more than its words.

A full disk behind them, a pipe whose reader has gone, a closed descriptor, a terminal that has vanished, an encoding
that lacks a letter: what cannot be printed is left out, and remembered.
"""

import io
import os
import sys
from contextlib import contextmanager, suppress


class Steadfast:
    """A text stream that takes everything, and passes on what can be passed on.

    Args:
        stream: a text stream, or None where the process was started with a closed one.

    Attributes:
        fault: why something could not be printed: an exception or, of a closed stream, a string; None so far.
    """

    def __init__(self, stream):
        self.fault = "it is closed" if stream is None else None
        self._stream = io.StringIO() if stream is None else stream
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")

    def __getattr__(self, name):
        return getattr(self._stream, name)

    def write(self, text):
        """As of any text stream; after a fault, nothing."""
        self._attempt(lambda: self._stream.write(text))
        return len(text)

    def flush(self):
        """As of any stream."""
        self._attempt(self._stream.flush)

    def _attempt(self, action):
        if self.fault is not None:
            return
        try:
            action()
        except (OSError, ValueError) as error:  # ValueError: somebody has closed it
            self.fault = error
            # what is in the buffer would be tried again, and fail again, when the interpreter ends
            with suppress(OSError, ValueError):
                null = os.open(os.devnull, os.O_WRONLY)
                os.dup2(null, self._stream.fileno())
                os.close(null)


@contextmanager
def steadfast():
    """Inside, ``sys.stdout`` and ``sys.stderr`` are Steadfast; gives the former."""
    _occupy_closed_descriptors()
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = map(Steadfast, before)
    try:
        yield sys.stdout
    finally:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        sys.stdout, sys.stderr = before


def _occupy_closed_descriptors():
    """A file that is opened takes the first number that is free: it must not be that of standard output or error."""
    while True:
        descriptor = os.open(os.devnull, os.O_RDWR)
        if descriptor > 2:
            os.close(descriptor)
            return
