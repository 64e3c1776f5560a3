"""What the operating system says of this machine."""

import numbers
import os

MOST_THREADS = 1024  # more are a slip of the finger


def require_threads(threads: object) -> None:
    """ValueError for what is no number of threads."""
    if not isinstance(threads, numbers.Integral) or isinstance(threads, bool) or not 0 < threads <= MOST_THREADS:
        raise ValueError(f"threads={threads!r}: a whole number from 1 to {MOST_THREADS} is needed")


def machine_memory() -> int | None:
    """The machine's memory in bytes, or None where that cannot be told."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return None
