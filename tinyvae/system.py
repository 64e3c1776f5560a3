"""What the operating system says of this machine."""

import os

MOST_THREADS = 1024  # more are a slip of the finger


def machine_memory() -> int | None:
    """The machine's memory in bytes, or None where that cannot be told."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return None
