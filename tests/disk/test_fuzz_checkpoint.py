"""Damaged checkpoints: each loads to exactly what was saved, or is refused by a RunError, in little memory.

Two more rounds seal the damaged file again, so that the damage reaches the parsers behind the seal: of the zip archive,
and of an array in it.
"""

import struct
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.disk.test_checkpoint import ARRAYS, STATE, assert_same, forge, npy, reseal
from tinyvae.disk.checkpoint import read_checkpoint, write_checkpoint
from tinyvae.errors import RunError

LIMIT = 5 * 2**20  # bytes of memory, for a file of two thousand

EXTREMES = [
    struct.pack("<" + kind, value) for kind in "HIQ" for value in (0, 1, 2 ** (8 * struct.calcsize(kind) - 1) - 1)
]
EXTREMES += [b"\xff" * length for length in (2, 4, 8)]
WORDS = [
    b"PK\1\2",
    b"PK\3\4",
    b"PK\5\6",
    b"state.json",
    b"|O",
    b"<f8",
    b"-1",
    b"9" * 18,
    b"(" * 90,
    b"{",
    b"'",
    b"\\N",
    b"\0",
]
LANDMARKS = [
    b"PK\3\4",
    b"PK\1\2",
    b"PK\5\6",
    b"NUMPY",
    b"descr",
    b"shape",
    b"state.json",
    b"epoch",
    b"tinyvae checkpoint",
]


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    """(path, content) of a good checkpoint; the path is free to be overwritten."""
    path = tmp_path_factory.mktemp("fuzz") / "checkpoint.npz"
    write_checkpoint(path, ARRAYS, STATE)
    return path, path.read_bytes()


def places(content):
    """Positions in the file, mostly within a header, an entry of the zip directory, or the seal."""
    starts = [0] + [i for mark in LANDMARKS for i in range(len(content)) if content.startswith(mark, i)]
    near = st.builds(
        lambda start, offset: min(start + offset, len(content)), st.sampled_from(starts), st.integers(0, 60)
    )
    return near | st.integers(0, len(content))


def damage(draw, content):
    """The content changed in one to three places: bits, numbers, words, cuts, insertions, repetitions."""
    for _ in range(draw(st.integers(1, 3))):
        at = draw(places(content))
        kind = draw(st.sampled_from(["flip", "extreme", "word", "cut", "end", "insert", "repeat"]))
        before, after = content[:at], content[at:]
        if kind == "flip":
            after = bytes([byte ^ 1 << draw(st.integers(0, 7)) for byte in after[:1]]) + after[1:]
        elif kind in ("extreme", "word"):
            new = draw(st.sampled_from(EXTREMES if kind == "extreme" else WORDS))
            after = new + after[len(new) :]
        elif kind == "cut":
            after = after[draw(st.integers(1, 40)) :]
        elif kind == "end":
            after = b""
        elif kind == "insert":
            before += draw(st.binary(min_size=1, max_size=8))
        elif kind == "repeat":
            before += after[: draw(st.integers(1, 400))]
        content = before + after
    return content


def load(path):
    """What the file loads to, or None if it is refused; nothing else may happen."""
    tracemalloc.start()
    try:
        return read_checkpoint(path)
    except RunError as error:
        assert str(error).startswith(f"{path}: ")
        return None
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < LIMIT


@pytest.mark.slow
@settings(max_examples=300)
@given(data=st.data())
def test_a_damaged_checkpoint_is_refused(original, data):
    path, content = original
    path.write_bytes(damage(data.draw, content))
    loaded = load(path)
    if loaded is not None:
        assert path.read_bytes() == content
        assert_same(loaded)


@pytest.mark.slow
@settings(max_examples=200)
@given(data=st.data())
def test_a_checkpoint_damaged_and_sealed_again_does_no_harm(original, data):
    path, content = original
    seal = content[content.rindex(b"tinyvae checkpoint") :]
    damaged = damage(data.draw, content.removesuffix(seal))
    path.write_bytes(reseal(damaged + seal))
    load(path)


@pytest.mark.slow
@settings(max_examples=200)
@given(data=st.data())
def test_an_array_damaged_and_packed_again_does_no_harm(original, data):
    path, _ = original
    content = npy("{'descr': '<f8', 'fortran_order': False, 'shape': (2, 3), }", bytes(48))
    forge(path, damage(data.draw, content))
    load(path)
