"""The checkpoint: what is saved is what is loaded, bit for bit, and anything else is refused for its own reason."""

import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import time
import tracemalloc
import zipfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tests.disk.test_files import on_a_full_disk
from tinyvae import __version__
from tinyvae.disk import checkpoint
from tinyvae.disk.checkpoint import read_checkpoint, write_checkpoint
from tinyvae.disk.files import remove_temporaries
from tinyvae.errors import RunError

ARRAYS = {
    "params": np.arange(15, dtype=np.float32).reshape(3, 5),
    "optimiser.m": np.asfortranarray(np.linspace(-1, 1, 6).reshape(2, 3)),
    "optimiser.steps": np.array([7], np.int64),
    "number": np.array(2.5),
    "empty": np.zeros((0, 4), np.float32),
}
STATE = {"epoch": 3, "seed": 2**64 - 1, "seconds": 0.1 + 0.2, "name": "größer", "parts": [1, None, True]}


@pytest.fixture
def path(tmp_path):
    """The path of a good checkpoint."""
    write_checkpoint(tmp_path / "checkpoint.npz", ARRAYS, STATE)
    return tmp_path / "checkpoint.npz"


def assert_same(loaded, arrays=ARRAYS, state=STATE):
    """The very same names in order, dtypes, shapes, bytes, and state."""
    assert list(loaded[0]) == list(arrays)
    for name, array in arrays.items():
        assert (loaded[0][name].dtype, loaded[0][name].shape) == (array.dtype, array.shape)
        assert loaded[0][name].tobytes() == array.tobytes()
    assert loaded[1] == state


def reseal(content):
    """The content with the digest that belongs to it: what somebody does who changes a checkpoint on purpose."""
    return content[:-64] + hashlib.sha256(content[:-64]).hexdigest().encode()


def refusal(path):
    """The message with which the checkpoint is refused."""
    with pytest.raises(RunError) as error:
        read_checkpoint(path)
    assert str(error.value).startswith(f"{path}: ") and "\n" in str(error.value)
    return str(error.value)


# What is saved is what is loaded


def test_what_is_saved_is_what_is_loaded(path):
    loaded = read_checkpoint(path)
    assert_same(loaded)
    assert all(array.flags.writeable and array.flags.owndata for array in loaded[0].values())


@given(
    arrays=st.dictionaries(
        st.text("abcxyz.019_-", min_size=1, max_size=12),
        hnp.arrays(
            st.one_of(hnp.floating_dtypes(), hnp.integer_dtypes(), hnp.unsigned_integer_dtypes(), hnp.boolean_dtypes()),
            hnp.array_shapes(min_dims=0, min_side=0, max_side=4),
        ),
        max_size=4,
    ),
    state=st.dictionaries(
        st.text(), st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    ),
)
def test_any_arrays_and_any_state(tmp_path_factory, arrays, state):
    path = tmp_path_factory.getbasetemp() / "any.npz"
    write_checkpoint(path, arrays, state)
    assert_same(read_checkpoint(path), arrays, state)


def test_non_contiguous_and_byte_swapped_arrays(tmp_path):
    square = np.arange(36.0).reshape(6, 6)
    arrays = {"strided": square[::2, ::3], "reversed": square[::-1, 0], "swapped": square.astype(">f4")}
    write_checkpoint(tmp_path / "c.npz", arrays, {})
    assert_same(read_checkpoint(tmp_path / "c.npz"), arrays, {})


def test_nan_infinity_and_negative_zero_keep_their_bits(tmp_path):
    arrays = {"odd": np.array([0x7FF8000000000123, 0xFFF0000000000000, 1 << 63], np.uint64).view(np.float64)}
    write_checkpoint(tmp_path / "c.npz", arrays, {})
    assert_same(read_checkpoint(tmp_path / "c.npz"), arrays, {})


def test_equal_content_is_an_equal_file(path, tmp_path):
    write_checkpoint(tmp_path / "again.npz", ARRAYS, STATE)
    assert (tmp_path / "again.npz").read_bytes() == path.read_bytes()
    with zipfile.ZipFile(path) as archive:  # zipfile's default would be the time of writing
        assert {member.date_time for member in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}


def test_numpy_and_zip_tools_can_open_it(path):
    with np.load(path, allow_pickle=False) as archive:
        for name, array in ARRAYS.items():
            np.testing.assert_array_equal(archive[name], array)
        assert json.loads(archive["state.json"]) == STATE
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        assert archive.comment.startswith(f"tinyvae checkpoint, format 1, written by tinyvae {__version__}".encode())


def test_writing_copies_no_large_array(tmp_path):
    arrays = {"large": np.zeros(2**25, np.uint8)}
    tracemalloc.start()
    write_checkpoint(tmp_path / "c.npz", arrays, {})
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**25 + 2**22  # NumPy writes in pieces of at most 16 MiB


@pytest.mark.parametrize(
    ("arrays", "state", "exception"),
    [
        ({"objects": np.array([None])}, {}, ValueError),
        ({}, {"bound": float("nan")}, ValueError),
        ({}, {"path": object()}, TypeError),
    ],
)
def test_what_cannot_be_saved_leaves_the_old_checkpoint(path, arrays, state, exception):
    with pytest.raises(exception):
        write_checkpoint(path, arrays, state)
    assert_same(read_checkpoint(path))
    assert list(path.parent.iterdir()) == [path]


def test_a_full_disk_leaves_the_old_checkpoint(path, monkeypatch):
    on_a_full_disk(monkeypatch)
    with pytest.raises(RunError, match=r"checkpoint.npz: it cannot be written \(No space left on device\)"):
        write_checkpoint(path, ARRAYS, STATE)
    assert_same(read_checkpoint(path))
    assert list(path.parent.iterdir()) == [path]


# Each fault has its own message


def test_missing(tmp_path):
    assert "there is no checkpoint" in refusal(tmp_path / "checkpoint.npz")


def test_a_folder(tmp_path):
    assert "cannot be read (Is a directory)" in refusal(tmp_path)


def test_a_pipe_or_a_device(tmp_path):
    os.mkfifo(tmp_path / "checkpoint.npz")
    assert "it is no file but a pipe or a device" in refusal(tmp_path / "checkpoint.npz")
    (tmp_path / "link.npz").symlink_to("/dev/zero")
    assert "it is no file but a pipe or a device" in refusal(tmp_path / "link.npz")


def test_empty(path):
    path.write_bytes(b"")
    assert "it is empty" in refusal(path)


def test_cut_short_anywhere_or_continued(path):
    content = path.read_bytes()
    for length in range(50, len(content)):
        path.write_bytes(content[:length])
        assert "it was cut short, or something was appended" in refusal(path)
    path.write_bytes(content + b"\n")
    assert "it was cut short, or something was appended" in refusal(path)


def test_foreign(path):
    np.savez(path, params=np.zeros(3))
    assert "it is not a checkpoint of tinyvae" in refusal(path)
    path.write_bytes(b"import antigravity\n" * 100)
    assert "it is not a checkpoint of tinyvae" in refusal(path)


def test_any_changed_bit_is_noticed(path):
    content = bytearray(path.read_bytes())
    for i in range(len(content)):
        content[i] ^= 1 << i % 8
        path.write_bytes(content)
        assert refusal(path)
        content[i] ^= 1 << i % 8


def test_a_changed_number_is_damage_even_with_a_right_checksum(path):
    """The checksums of zip are no protection: a tool that edits an archive renews them."""
    seal = zipfile.ZipFile(path).comment
    with zipfile.ZipFile(path, "w") as archive:
        archive.comment = seal
        archive.writestr("state.json", json.dumps(STATE | {"epoch": 4}))
    assert "it is damaged" in refusal(path)


def test_a_newer_format_names_both_versions(path, monkeypatch):
    monkeypatch.setattr(checkpoint, "FORMAT", 12)
    monkeypatch.setattr(checkpoint, "__version__", "3.1.0")
    write_checkpoint(path, ARRAYS, STATE)
    monkeypatch.undo()
    message = refusal(path)
    assert "written by tinyvae 3.1.0 in format 12" in message
    assert f"this is tinyvae {__version__}, which reads up to format 1\nUpgrade" in message


# Changed on purpose and sealed again: still no promise is believed


def forge(path, member):
    """Write a checkpoint that is right in all but the content of its one array."""
    write_checkpoint(path, {}, STATE)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("forged.npy", member)
    path.write_bytes(reseal(path.read_bytes()))


def npy(header, content=b""):
    return b"\x93NUMPY\1\0" + len(header).to_bytes(2, "little") + header.encode() + content


@pytest.mark.parametrize(
    ("member", "reason"),
    [
        (npy("{'descr': '<f8', 'fortran_order': False, 'shape': (1099511627776,)}", bytes(8)), "reshape"),
        (npy("{'descr': '<f8', 'fortran_order': False, 'shape': (-2,)}", bytes(16)), ""),
        (npy("{'descr': '<f8', 'fortran_order': False, 'shape': (3,)}", bytes(16)), "reshape"),
        (npy("{'descr': '|O', 'fortran_order': False, 'shape': (1,)}", bytes(8)), "OBJECT"),
        (npy("(" * 300, bytes(8)), ""),
        (npy("{'descr': '(536870912,)f8', 'fortran_order': False, 'shape': (1,)}", bytes(8)), ""),
        (b"\x93NUMPY\7\7" + bytes(20), "1.0"),
        (b"", ""),
    ],
    ids=["terabytes", "negative", "too few", "objects", "parentheses", "large dtype", "version", "nothing"],
)
def test_a_forged_array_is_refused(path, member, reason):
    forge(path, member)
    message = refusal(path)
    assert "it is sealed as a checkpoint, and is none (" in message and reason in message


def test_a_forged_zip_bomb_is_refused(path):
    seal = zipfile.ZipFile(path).comment
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.comment = seal
        archive.writestr("state.json", "{}")
        archive.writestr(
            "bomb.npy", npy("{'descr': '|u1', 'fortran_order': False, 'shape': (9999999,)}", bytes(9999999))
        )
    path.write_bytes(reseal(path.read_bytes()))
    assert "a member is compressed" in refusal(path)


@pytest.mark.parametrize("state", ["[]", "3", "null", '"epoch"', "[" * 10_000, '{"epoch": 1', ""])
def test_a_forged_state_that_is_no_object_is_refused(path, state):
    seal = zipfile.ZipFile(path).comment
    with zipfile.ZipFile(path, "w") as archive:
        archive.comment = seal
        archive.writestr("state.json", state)
    path.write_bytes(reseal(path.read_bytes()))
    assert "it is sealed as a checkpoint, and is none (" in refusal(path)


def test_many_names_for_one_array_are_refused(path):
    """Overlapping members: the directory names one large member many times, each time it would be read again."""
    write_checkpoint(path, {"large": np.zeros(2**20)}, STATE)
    with zipfile.ZipFile(path, "a") as archive:
        info = archive.getinfo("large.npy")
        archive.filelist += [info] * 50
        archive.comment = archive.comment  # has the directory written anew
    path.write_bytes(reseal(path.read_bytes()))
    assert "larger than the file" in refusal(path)


# Killed

SAVE_FOR_EVER = """
import itertools, pathlib, sys
import numpy as np
from tinyvae.disk.checkpoint import write_checkpoint
for i in itertools.count(1):
    arrays = {"params": np.full(500_000, i, np.float32), "optimiser.steps": np.array([i])}
    write_checkpoint(pathlib.Path(sys.argv[1]), arrays, {"epoch": i})
"""

DIE_BEFORE = """
import os, pathlib, signal, sys
import numpy as np
from tinyvae.disk.checkpoint import write_checkpoint
setattr(os, sys.argv[2], lambda *_: os.kill(os.getpid(), signal.SIGKILL))
write_checkpoint(pathlib.Path(sys.argv[1]), {"params": np.zeros(500_000)}, {})
"""


def test_a_process_killed_at_any_moment_leaves_a_whole_checkpoint(tmp_path):
    path = tmp_path / "checkpoint.npz"
    moments = random.Random(0)
    for _ in range(8):
        path.unlink(missing_ok=True)
        process = subprocess.Popen([sys.executable, "-c", SAVE_FOR_EVER, path])
        while not path.exists():
            assert process.poll() is None
            time.sleep(0.002)
        time.sleep(moments.uniform(0, 0.05))
        process.kill()
        assert process.wait() == -signal.SIGKILL
        arrays, state = read_checkpoint(path)
        i = state["epoch"]
        assert_same(
            (arrays, state), {"params": np.full(500_000, i, np.float32), "optimiser.steps": np.array([i])}, state
        )
        remove_temporaries(path)
        assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_process_killed_just_before_the_end_leaves_the_old_checkpoint(path, call):
    process = subprocess.run([sys.executable, "-c", DIE_BEFORE, path, call], env=os.environ)
    assert process.returncode == -signal.SIGKILL
    assert len(list(path.parent.iterdir())) == 2
    assert_same(read_checkpoint(path))
    remove_temporaries(path)
    assert list(path.parent.iterdir()) == [path]
