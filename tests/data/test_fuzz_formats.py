"""Damaged files: each is read as an independent reader reads it, or refused by a DataError, in little memory.

A mutation flips bytes, cuts, repeats, inserts, or writes an extreme integer, most often into the headers, where the
lies that matter are told. Lies on which several places of a file must agree, which no mutation finds, are composed.
"""

import gzip
import io
import struct
import tracemalloc
import warnings
import zipfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.io import savemat

from tests.data.test_formats import HEADER, idx_bytes, npy_bytes
from tinyvae.data import datasets, formats
from tinyvae.data.downloads import PublishedFile
from tinyvae.errors import DataError

LIMIT = 200 * 2**20  # bytes of memory for any file of a few hundred bytes
random = np.random.RandomState(2)
IMAGES = random.randint(0, 256, (6, 3, 4), np.uint8)
FLOATS = random.rand(6, 9)
LABELS = np.arange(6)


def saved(save, *args, **kwargs):
    buffer = io.BytesIO()
    save(buffer, *args, **kwargs)
    return buffer.getvalue()


IDX = [idx_bytes(IMAGES), gzip.compress(idx_bytes(IMAGES), mtime=0)]
NPY = [saved(np.save, IMAGES), saved(np.save, np.asfortranarray(FLOATS)), saved(np.save, IMAGES > 99)]
NPZ = [
    saved(np.savez, x=IMAGES, y=LABELS),
    saved(np.savez_compressed, x=FLOATS.astype(np.float32), y=LABELS),
    saved(np.savez_compressed, pictures=IMAGES),
]
MAT = [saved(savemat, {"ff": IMAGES.reshape(6, 12).T}, do_compression=compressed) for compressed in (False, True)]

EXTREMES = [
    struct.pack(order + kind, value)
    for order in "<>"
    for kind, values in {
        "H": (0, 1, 2**15, 2**16 - 1),
        "I": (0, 1, 2**31 - 1, 2**31, 2**32 - 1),
        "Q": (2**31, 2**60, 2**63, 2**64 - 1),
    }.items()
    for value in values
]
WORDS = [
    b"(" * 40,
    b"-1",
    b"2**60",
    b"9" * 20,
    b"'|O'",
    b"True",
    b"None",
    b"O",
    b"L,",
    b"\\d",
    b"\0",
    b"x.npy",
    b"PK\1\2",
]


@st.composite
def mutated(draw, originals):
    """One of the files, changed in one to three places."""
    content = bytearray(draw(st.sampled_from(originals)))
    for _ in range(draw(st.integers(1, 3))):
        anywhere = st.integers(0, len(content))
        at = draw(st.one_of(st.integers(0, min(130, len(content))), anywhere))
        kind = draw(st.sampled_from(["flip", "flip", "extreme", "extreme", "word", "cut", "end", "repeat", "insert"]))
        if kind == "flip" and at < len(content):
            content[at] ^= 1 << draw(st.integers(0, 7))
        elif kind == "extreme":
            value = draw(st.sampled_from(EXTREMES))
            content[at : at + len(value)] = value
        elif kind == "word":
            value = draw(st.sampled_from(WORDS))
            content[at : at + draw(st.sampled_from([0, len(value)]))] = value
        elif kind == "cut":
            del content[at : at + draw(st.integers(1, 20))]
        elif kind == "end":
            del content[at:]
        elif kind == "repeat":
            content[at:at] = content[at : draw(anywhere)]
        elif kind == "insert":
            content[at:at] = draw(st.binary(max_size=8))
    return bytes(content)


lengths = st.sampled_from([0, 1, 2, 3, 5, -1, True, False, 2**31, 2**40, 2**62, 2**63, 2**64])
shapes = st.lists(lengths, max_size=5) | st.builds(lambda n, times: [n] * times, st.sampled_from([0, 1]), st.just(70))
dtypes = st.sampled_from(["|u1", "|b1", "<f4", ">f8", "<f2", "|V0", "|S0", "<U0", "|O", "<c16", "<m8[s]"])


@st.composite
def lying_npy(draw):
    """An .npy file of which the header says anything, with as many bytes as that comes to if they are few."""
    shape, dtype = tuple(draw(shapes)), draw(dtypes)
    size = np.dtype(dtype).itemsize
    for n in shape:
        size *= n
    return npy_bytes(HEADER % (repr(dtype), repr(shape)), bytes(size if 0 <= size < 1000 else draw(st.integers(0, 99))))


@st.composite
def lying_npz(draw):
    """An .npz of one or two members, of one of which header and directory give sizes and a place as they like."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", draw(st.sampled_from([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED]))) as archive:
        archive.writestr("x.npy", draw(lying_npy() | st.sampled_from(NPY)))
        if draw(st.booleans()):
            archive.writestr("y.npy", draw(lying_npy() | st.just(saved(np.save, LABELS))))
        member = draw(st.sampled_from(archive.infolist()))
        packed, unpacked = member.compress_size, member.file_size
    content = bytearray(buffer.getvalue())
    claims = st.sampled_from([packed, unpacked, 0, 1, 2**16, 2**31, 2**31 + unpacked, 2**32 - 1])
    claim = struct.pack("<II", draw(claims), draw(claims))
    content = content.replace(struct.pack("<II", packed, unpacked), claim)
    if draw(st.booleans()):
        at = content.rindex(b"PK\5\6") + draw(
            st.sampled_from([8, 10, 12, 16])
        )  # entries, size and place of the directory
        content[at : at + 4] = struct.pack("<I", draw(claims))
    return bytes(content)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("fuzz")


def outcome(read, path):
    """What ``read`` gives for the file, or None if it refuses it; nothing else may happen."""
    tracemalloc.start()
    try:
        return read(path)
    except DataError as error:
        assert str(error)
        return None
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < LIMIT


def assert_same(array, expected):
    assert (array.shape, array.dtype) == (expected.shape, expected.dtype.newbyteorder("="))
    assert array.tobytes() == expected.astype(array.dtype).tobytes()


many = settings(max_examples=300)


@many
@given(mutated(IDX))
def test_a_damaged_idx_is_read_right_or_refused(folder, content):
    """A published file is right only as published, by its digest."""
    (folder / "a.idx").write_bytes(content)
    published = PublishedFile("a.idx", IMAGES.shape, formats.sha256(IDX[0]), formats.read_idx)
    array = outcome(published.read, folder / "a.idx")
    assert array is None or np.array_equal(array, IMAGES)


@many
@given(mutated(NPY) | lying_npy())
def test_a_damaged_npy_is_read_as_numpy_reads_it_or_refused(folder, content):
    (folder / "a.npy").write_bytes(content)
    array = outcome(formats.read_npy, folder / "a.npy")
    if array is not None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            assert_same(array, np.load(folder / "a.npy", allow_pickle=False))
    dataset = outcome(datasets.load, folder / "a.npy")
    assert dataset is None or len(dataset.train) + len(dataset.test) == len(array)


@many
@given(mutated(NPZ) | lying_npz())
def test_a_damaged_npz_is_read_as_numpy_reads_it_or_refused(folder, content):
    (folder / "a.npz").write_bytes(content)
    arrays = outcome(formats.read_npz, folder / "a.npz")
    if arrays is not None:
        # not np.load, which has no eye for an archive with something in front of it
        with open(folder / "a.npz", "rb") as file, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            expected = np.lib.npyio.NpzFile(file, allow_pickle=False)
            names = ["x", "y"] if "x" in expected.files else [*expected.files, None]
            assert len(names) == 2
            for name, array in zip(names, arrays):
                assert (array is None) == (name not in expected.files)
                if array is not None:
                    assert_same(array, expected[name])
    dataset = outcome(datasets.load, folder / "a.npz")
    assert dataset is None or len(dataset.train) + len(dataset.test) == len(arrays[0])


@many
@given(mutated(MAT))
def test_a_damaged_matlab_file_is_read_right_or_refused(folder, content):
    (folder / "a.mat").write_bytes(content)
    published = PublishedFile("a.mat", IMAGES.shape, formats.sha256(IMAGES), formats.read_frey)
    array = outcome(published.read, folder / "a.mat")
    assert array is None or np.array_equal(array, IMAGES)
