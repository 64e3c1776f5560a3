"""Files that are whole or not there: nothing that reads a run's folder ever meets half a file.

What the operating system refuses (a full disk, a missing permission, a folder in the way) leaves as a RunError that
says which file, why, and what to do.
"""

import errno
import os
from contextlib import contextmanager, suppress

from tinyvae.errors import RunError

CURES = {
    errno.ENOSPC: "Make room on the disk, or choose another folder.",
    errno.EDQUOT: "Your quota on this disk is used up: make room, or choose another folder.",
    errno.EFBIG: "No larger file is allowed here: raise the limit (ulimit -f), or choose another folder.",
    errno.EACCES: "Mend the permissions, or choose another folder.",
    errno.EPERM: "Mend the permissions, or choose another folder.",
    errno.EROFS: "Nothing can be written to this disk: choose another folder.",
    errno.EEXIST: "A file has the name that a folder needs: move it away, or choose another folder.",
    errno.ENOTDIR: "A file has the name that a folder needs: move it away, or choose another folder.",
    errno.EISDIR: "A folder has the name that a file needs: move it away, or choose another folder.",
}


@contextmanager
def explained(path, done):
    """Inside: an OSError leaves as a RunError that says which file, why, and what to do.

    Args:
        path: Path of the file or folder that all inside is about.
        done: what is done to it, as a participle: "written", "read".
    """
    try:
        yield
    except OSError as error:
        cure = CURES.get(error.errno, "Choose another folder.")
        raise RunError(f"{path}: it cannot be {done} ({error.strerror or error})\n{cure}") from None


def temporary_path(path):
    """Where ``atomic_write`` writes. The name is fixed: what a killed process left there, the next one replaces."""
    return path.with_name(f".{path.name}.tmp")


@contextmanager
def atomic_write(path):
    """A file, open for writing bytes (and reading them), that appears under its name only when it is complete.

    Until then an older file of that name stays as it is, whatever happens: an exception, a kill, a power cut. One
    process at a time may write to a path.

    Args:
        path: Path, in a folder that exists.

    Raises: RunError if it cannot be written; any exception from inside removes the temporary file and passes.
    """
    temporary = temporary_path(path)
    with explained(path, "written"):
        try:
            with temporary.open("w+b") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())  # the content first, then the name: a power cut cannot turn them round
            os.replace(temporary, path)
        except BaseException:  # KeyboardInterrupt too
            with suppress(OSError):  # the first error is the one to tell
                temporary.unlink(missing_ok=True)
            raise
    _sync_folder(path.parent)


def _sync_folder(folder):
    """Bring the new name to the disk. The file is whole with or without it, so a system that cannot is no error."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
