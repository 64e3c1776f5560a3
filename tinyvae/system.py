"""What the operating system says of this machine."""

import numbers
import os
from typing import Any

MOST_THREADS = 1024  # more are a slip of the finger


def require_threads(threads: Any) -> None:
    """ValueError for what is no number of threads."""
    is_whole = isinstance(threads, numbers.Integral) and not isinstance(threads, bool)
    if not (is_whole and 0 < threads <= MOST_THREADS):
        raise ValueError(f"threads={threads!r}: a whole number from 1 to {MOST_THREADS} is needed")


def machine_memory() -> int | None:
    """The machine's memory in bytes, or None where that cannot be told."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return None
