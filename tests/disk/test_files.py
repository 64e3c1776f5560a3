"""Atomic writing on a real disk: whole files only, whatever happens on the way."""

import errno
import os
import resource
from contextlib import suppress
from pathlib import Path

import pytest

from tinyvae.disk import files
from tinyvae.disk.files import atomic_write, open_to_read, remove_temporaries, require_writable, temporary_path
from tinyvae.errors import RunError


def write(path, content):
    with atomic_write(path) as file:
        file.write(content)


def only_file(folder):
    """The content of the one file that the folder holds."""
    (path,) = folder.iterdir()
    return path.read_bytes()


def test_a_file_is_written_and_replaced(tmp_path):
    write(tmp_path / "a", b"old, and longer")
    write(tmp_path / "a", b"new")
    assert only_file(tmp_path) == b"new"


def test_until_it_is_complete_the_old_file_stays(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"old")
    with atomic_write(path) as file:
        file.write(b"new")
        file.flush()
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new"


@pytest.mark.parametrize("exception", [ValueError, KeyboardInterrupt])
def test_an_exception_passes_and_leaves_the_old_file_alone(tmp_path, exception):
    (tmp_path / "a").write_bytes(b"old")
    with pytest.raises(exception, match=r"^from inside$"), atomic_write(tmp_path / "a") as file:
        file.write(b"half of the n")
        raise exception("from inside")
    assert only_file(tmp_path) == b"old"


def test_an_exception_is_not_hidden_by_a_temporary_file_that_cannot_be_removed(tmp_path):
    with pytest.raises(ValueError, match="from inside"), atomic_write(tmp_path / "a"):
        (temporary,) = tmp_path.iterdir()
        temporary.unlink()
        temporary.mkdir()
        raise ValueError("from inside")


def test_what_a_killed_process_left_is_in_nobody_s_way_and_can_be_removed(tmp_path):
    mine = [tmp_path / name for name in (".a.tmp", ".a.0123.tmp", ".b.0123456789abcdef.tmp", "a.0123456789abcdef.tmp")]
    for path in (temporary_path(tmp_path / "a"), temporary_path(tmp_path / "a"), *mine):
        path.write_bytes(b"half of a file that is longer than the new one")
    write(tmp_path / "a", b"new")
    assert (tmp_path / "a").read_bytes() == b"new"
    remove_temporaries(tmp_path / "a")
    assert sorted(tmp_path.iterdir()) == sorted([tmp_path / "a", *mine])


def test_two_at_once_write_each_a_file_of_its_own(tmp_path):
    with atomic_write(tmp_path / "a") as one:
        one.write(b"one")
        with atomic_write(tmp_path / "a") as other:
            other.write(b"other")
        assert (tmp_path / "a").read_bytes() == b"other"
    assert only_file(tmp_path) == b"one"


def test_a_name_that_is_taken_is_neither_opened_nor_followed_nor_removed(tmp_path, monkeypatch):
    """Nobody can know the name; should it be there nevertheless, it is somebody's."""
    (tmp_path / "precious").write_bytes(b"mine")
    trap = tmp_path / ".a.trap.tmp"
    trap.symlink_to(tmp_path / "precious")
    monkeypatch.setattr(files, "temporary_path", lambda _: trap)
    with pytest.raises(RunError, match="a: it cannot be written"):
        write(tmp_path / "a", b"new")
    assert (tmp_path / "precious").read_bytes() == b"mine" and trap.is_symlink()


def test_a_link_of_that_name_is_replaced_and_not_followed(tmp_path):
    (tmp_path / "precious").write_bytes(b"mine")
    (tmp_path / "a").symlink_to(tmp_path / "precious")
    write(tmp_path / "a", b"new")
    assert (tmp_path / "a").read_bytes() == b"new" and not (tmp_path / "a").is_symlink()
    assert (tmp_path / "precious").read_bytes() == b"mine"


def test_a_pipe_or_a_device_is_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "a")
    for path in (tmp_path / "a", Path("/dev/zero"), Path("/dev/tty")):
        with suppress(OSError), pytest.raises(RunError, match="it is no file but a pipe or a device"):
            open_to_read(path)
    write(tmp_path / "a", b"new")
    with open_to_read(tmp_path / "a") as file:
        assert file.read() == b"new"


def test_what_could_not_be_written_is_found_out_before(tmp_path):
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    for name, words in (
        ("folder", "A folder has the name that a file needs"),
        ("pipe", "it is no file but a pipe or a device, and would be replaced"),
        ("nowhere/a", "There is no such folder"),
    ):
        with pytest.raises(RunError, match=words):
            require_writable(tmp_path / name)
    write(tmp_path / "a", b"mine")
    (tmp_path / "link").symlink_to(tmp_path / "pipe")  # which would be replaced, and not what it points to
    for name in ("a", "b", "link"):
        require_writable(tmp_path / name)
    assert (tmp_path / "a").read_bytes() == b"mine"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "folder", "link", "pipe"]


def test_the_permissions_are_those_of_any_new_file(tmp_path):
    write(tmp_path / "a", b"")
    (tmp_path / "b").write_bytes(b"")
    assert (tmp_path / "a").stat().st_mode == (tmp_path / "b").stat().st_mode


def test_the_content_is_on_the_disk_before_the_name(tmp_path, monkeypatch):
    calls = []
    fsync, replace = os.fsync, os.replace

    def recorded_fsync(descriptor):
        target = Path(os.readlink(f"/proc/self/fd/{descriptor}"))
        calls.append(("fsync", target.name, target.read_bytes() if target.is_file() else None))
        fsync(descriptor)

    def recorded_replace(source, target):
        calls.append(("replace", source.name, target.name))
        replace(source, target)

    monkeypatch.setattr(os, "fsync", recorded_fsync)
    monkeypatch.setattr(os, "replace", recorded_replace)
    write(tmp_path / "a", b"new")
    (_, temporary, _), *_ = calls
    assert calls == [("fsync", temporary, b"new"), ("replace", temporary, "a"), ("fsync", tmp_path.name, None)]


def test_a_file_system_that_cannot_sync_folders_is_good_enough(tmp_path, monkeypatch):
    fsync = os.fsync

    def fsync_of_files_only(descriptor):
        if os.path.isdir(f"/proc/self/fd/{descriptor}"):
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", fsync_of_files_only)
    write(tmp_path / "a", b"new")
    assert only_file(tmp_path) == b"new"


# What the operating system refuses


def on_a_full_disk(monkeypatch):
    """From now on the temporary files are the kernel's own device on which every write fails for want of room."""
    ordinary = Path.open

    def opened(path, mode="r", *options):
        file = ordinary(path, mode, *options)
        if mode != "x+b":
            return file
        file.close()
        return open("/dev/full", "w+b")

    monkeypatch.setattr(Path, "open", opened)


def test_a_full_disk(tmp_path, monkeypatch):
    (tmp_path / "a").write_bytes(b"old")
    on_a_full_disk(monkeypatch)
    with pytest.raises(RunError, match=r"a: it cannot be written \(No space left on device\)\nMake room on the disk"):
        write(tmp_path / "a", b"new")
    assert only_file(tmp_path) == b"old"


def test_a_limit_reached_in_the_middle_of_a_file(tmp_path):
    (tmp_path / "a").write_bytes(b"old")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2**16, limits[1]))
    try:
        with pytest.raises(RunError, match=r"a: it cannot be written \(File too large\)\nNo larger file is allowed"):
            write(tmp_path / "a", bytes(2**17))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert only_file(tmp_path) == b"old"


@pytest.mark.parametrize("call", ["fsync", "replace"])
@pytest.mark.parametrize(
    ("number", "cure"),
    [(errno.EDQUOT, "quota"), (errno.EROFS, "Nothing can be written"), (errno.EACCES, "permissions"), (errno.EIO, "")],
)
def test_an_error_at_the_end(tmp_path, monkeypatch, call, number, cure):
    def refuse(*_):
        raise OSError(number, os.strerror(number))

    (tmp_path / "a").write_bytes(b"old")
    with monkeypatch.context() as patched:
        patched.setattr(os, call, refuse)
        with pytest.raises(RunError) as refusal:
            write(tmp_path / "a", b"new")
    message = str(refusal.value)
    assert f"{tmp_path / 'a'}: it cannot be written ({os.strerror(number)})\n" in message
    assert cure in message and "choose another folder" in message.lower()
    assert only_file(tmp_path) == b"old"


def test_a_folder_in_the_way(tmp_path):
    (tmp_path / "a").mkdir()
    with pytest.raises(RunError, match="A folder has the name that a file needs"):
        write(tmp_path / "a", b"new")
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_a_file_in_the_way_of_the_folder(tmp_path):
    (tmp_path / "folder").write_bytes(b"")
    with pytest.raises(RunError, match="A file has the name that a folder needs"):
        write(tmp_path / "folder" / "a", b"new")


def test_a_folder_that_is_gone(tmp_path):
    with pytest.raises(RunError, match="No such file or directory"):
        write(tmp_path / "gone" / "a", b"new")


def test_a_folder_where_nobody_may_write():
    with pytest.raises(RunError, match="/proc/self/a: it cannot be written"):
        write(Path("/proc/self/a"), b"new")
