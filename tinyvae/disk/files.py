"""Files that are whole or not there: nothing that reads a run's folder ever meets half a file.

What the operating system refuses (a full disk, a missing permission, a folder in the way) leaves as a RunError that
says which file, why, and what to do.
"""

import errno
import os
import secrets
import stat
from contextlib import contextmanager, suppress

from tinyvae.errors import RunError

CURES = {
    errno.ENOSPC: "Make room on the disk, or choose another folder.",
    errno.EDQUOT: "Your quota on this disk is used up: make room, or choose another folder.",
    errno.EFBIG: "No larger file is allowed here: raise the limit (ulimit -f), or choose another folder.",
    errno.EACCES: "Mend the permissions, or choose another folder.",
    errno.EPERM: "Mend the permissions, or choose another folder.",
    errno.EROFS: "Nothing can be written to this disk: choose another folder.",
    errno.ENOENT: "There is no such folder: make it, or choose another folder.",
    errno.EEXIST: "A file has the name that a folder needs: move it away, or choose another folder.",
    errno.ENOTDIR: "A file has the name that a folder needs: move it away, or choose another folder.",
    errno.EISDIR: "A folder has the name that a file needs: move it away, or choose another folder.",
}


@contextmanager
def explained(path, done, cure=None):
    """Inside: an OSError leaves as a RunError that says which file, why, and what to do.

    Args:
        path: Path of the file or folder that all inside is about.
        done: what is done to it, as a participle: "written", "read".
        cure: what to do, whatever the error is; by default that of ``CURES``.
    """
    try:
        yield
    except OSError as error:
        cure = cure or CURES.get(error.errno, "Choose another folder.")
        raise RunError(f"{path}: it cannot be {done} ({error.strerror or error})\n{cure}") from None


class NoFile(OSError):
    """A pipe, a device or a socket, which may have no end and no beginning."""


def open_ordinary(path):
    """An ordinary file, open for reading bytes. What is none is refused, and not waited for.

    Args:
        path: a str, which the file then has for its name, or Path.

    Raises: NoFile for a pipe, a device or a socket; OSError as ``open``.
    """
    return open(path, "rb", opener=_ordinary)


def _ordinary(path, flags):
    try:
        descriptor = os.open(path, flags | getattr(os, "O_NONBLOCK", 0))
    except OSError as error:
        if error.errno == errno.ENXIO:
            raise NoFile("it is a socket") from None
        raise
    kind = os.fstat(descriptor).st_mode
    if not (stat.S_ISREG(kind) or stat.S_ISDIR(kind)):  # of a folder ``open`` has its own error
        os.close(descriptor)
        raise NoFile("it is a pipe or a device")
    return descriptor


def open_to_read(path):
    """``open_ordinary`` for a file of a run.

    Raises: RunError for a pipe or a device; OSError as ``open``.
    """
    try:
        return open_ordinary(path)
    except NoFile:
        raise RunError(
            f"{path}: it is no file but a pipe or a device\nPut a good copy there, or train again."
        ) from None


def require_writable(path):
    """Find out before the work whether ``atomic_write`` could write a file.

    Args:
        path: Path.

    Raises: RunError if its folder is missing or takes no file, or a folder, a pipe or a device has its name.
    """
    with explained(path, "written"):
        kind = os.lstat(path).st_mode if os.path.lexists(path) else stat.S_IFREG
        if stat.S_ISDIR(kind):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        if not (stat.S_ISREG(kind) or stat.S_ISLNK(kind)):
            raise RunError(f"{path}: it is no file but a pipe or a device, and would be replaced\nName a file.")
        probe = temporary_path(path)
        probe.open("xb").close()
        probe.unlink()


def temporary_path(path):
    """Where ``atomic_write`` may write: beside the file, under a name that nobody else has."""
    return path.with_name(f".{path.name}.{secrets.token_hex(8)}.tmp")


def remove_temporaries(path):
    """Remove what killed processes left of their ``atomic_write`` to a path. Nobody may be writing to it meanwhile.

    Raises: RunError if that cannot be done.
    """
    for temporary in path.parent.glob(f".{path.name}.{'[0-9a-f]' * 16}.tmp"):
        with explained(temporary, "removed"):
            temporary.unlink(missing_ok=True)


@contextmanager
def atomic_write(path):
    """A file, open for writing bytes (and reading them), that appears under its name only when it is complete.

    Until then an older file of that name stays as it is, whatever happens: an exception, a kill, a power cut. Several
    processes may write to a path: the last one's file stays, and it is whole. A symbolic link of that name is replaced,
    and what it points to is left alone.

    Args:
        path: Path, in a folder that exists.

    Raises: RunError if it cannot be written; any exception from inside removes the temporary file and passes.
    """
    temporary = temporary_path(path)
    with explained(path, "written"):
        file = temporary.open("x+b")  # exclusively: whatever has that name already is not opened, nor followed
        try:
            with file:
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
