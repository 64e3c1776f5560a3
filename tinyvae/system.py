"""What the operating system says of this machine."""

import errno
import numbers
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

MOST_THREADS = 1024  # more are a slip of the finger
WITHOUT_LOCKS = {errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP}  # what a file system says that has no locks
# of a container's memory, in the second version of control groups and in the first
LIMITS = tuple(Path("/sys/fs/cgroup", name) for name in ("memory.max", "memory/memory.limit_in_bytes"))


def require_threads(threads: Any) -> None:
    """ValueError for what is no number of threads."""
    is_whole = isinstance(threads, numbers.Integral) and not isinstance(threads, bool)
    if not (is_whole and 0 < threads <= MOST_THREADS):
        raise ValueError(f"threads={threads!r}: a whole number from 1 to {MOST_THREADS} is needed")


def memory() -> int | None:
    """The bytes that this machine has, or this container is given; None where that cannot be told."""
    sizes = []
    with suppress(AttributeError, ValueError, OSError):
        sizes.append(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    for limit in LIMITS:
        with suppress(OSError, ValueError):  # no such file, or "max", for none
            sizes.append(int(limit.read_text()))
    return min(sizes, default=None)


def lack_of_memory(needed: int) -> str:
    """So many bytes beside those that there are, in words, if they are more; else ""."""
    present = memory()
    if present is None or needed <= present:
        return ""
    return f"about {_gibibytes(needed)} of memory, and there are {_gibibytes(present)}"


def _gibibytes(size: int) -> str:
    size_in_words = f"{size / 2**30:,.{1 if size < 100 * 2**30 else 0}f}" if size < 2**50 else f"{size / 2**30:.0e}"
    return f"{size_in_words} GiB"
