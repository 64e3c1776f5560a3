"""The readers: right files are read right, wrong ones are refused with the reason, and without taking memory."""

import gzip
import hashlib
import io
import os
import struct
import tracemalloc
import warnings
import zipfile
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.io import savemat

from tinyvae.data import formats
from tinyvae.errors import DataError

IMAGES = np.random.RandomState(1).randint(0, 256, (5, 3, 4), np.uint8)
LABELS = np.arange(5, dtype=np.uint8)
MB = 2**20


def idx_bytes(array):
    """A uint8 array as an IDX file, written from the format's description."""
    return bytes([0, 0, 8, array.ndim]) + b"".join(n.to_bytes(4, "big") for n in array.shape) + array.tobytes()


def npy_bytes(header, content=b"", version=(1, 0)):
    """An .npy file with any text for a header."""
    length = struct.pack("<H" if version == (1, 0) else "<I", len(header))
    return b"\x93NUMPY" + bytes(version) + length + header.encode() + content


def npz_bytes(**arrays):
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    return buffer.getvalue()


GZIPPED = gzip.compress(idx_bytes(IMAGES), mtime=0)  # without the time, which every process would name tests by


def write(folder, name, content):
    path = folder / name
    path.write_bytes(content)
    return path


@pytest.fixture
def peak_memory():
    """Call it for the most memory, in bytes, that was in use since the test began."""
    tracemalloc.start()
    yield lambda: tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()


# IDX


@pytest.mark.parametrize("compress", [bytes, gzip.compress], ids=["plain", "gzip"])
@pytest.mark.parametrize("array", [IMAGES, LABELS], ids=["images", "labels"])
def test_idx_is_read_whatever_its_name(tmp_path, array, compress):
    path = write(tmp_path, "any-name", compress(idx_bytes(array)))
    read, digest = formats.read_idx(path, array.shape)
    np.testing.assert_array_equal(read, array)
    assert read.dtype == np.uint8 and read.flags.writeable
    assert digest == hashlib.sha256(idx_bytes(array)).hexdigest()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "ends early: 0 bytes"),
        (idx_bytes(IMAGES)[:9], "ends early: 9 bytes"),
        (idx_bytes(IMAGES)[:-1], "ends early, after 59 of 60"),
        (idx_bytes(IMAGES) + b"\0", "goes on after the 60 bytes"),
        (idx_bytes(LABELS), "no IDX file of bytes with 3 dimensions (it begins with 00 00 08 01)"),
        (idx_bytes(IMAGES[:4]), "promises the shape (4, 3, 4), expected is (5, 3, 4)"),
        (b"<!DOCTYPE html><html>Not here</html>", "it begins with 3c 21 44 4f"),
        (GZIPPED[:-4], "damaged (Compressed file ended"),
        (GZIPPED[:-8] + bytes(8), "damaged (CRC check failed"),
        (GZIPPED + b"more", "damaged (Not a gzipped file"),
    ],
)
def test_a_wrong_idx_is_refused_with_the_reason(tmp_path, content, reason):
    with pytest.raises(DataError) as error:
        formats.read_idx(write(tmp_path, "images", content), IMAGES.shape)
    assert reason in str(error.value)


def test_a_gzip_bomb_is_not_expanded(tmp_path, peak_memory):
    bomb = gzip.compress(idx_bytes(IMAGES) + bytes(64 * MB), 1)
    before = peak_memory()
    tracemalloc.reset_peak()
    with pytest.raises(DataError, match="goes on after"):
        formats.read_idx(write(tmp_path, "images.gz", bomb), IMAGES.shape)
    assert peak_memory() < MB < before


def test_a_packed_idx_of_zeros_promises_no_more_than_it_can_hold(tmp_path):
    black = np.zeros((1000, 28, 28), np.uint8)
    path = write(tmp_path, "images.gz", gzip.compress(idx_bytes(black)))
    assert path.stat().st_size * 500 < black.size
    assert formats.idx_shape(path, 3) == black.shape
    np.testing.assert_array_equal(formats.read_idx(path, black.shape)[0], black)


def test_a_packed_idx_may_promise_the_best_of_deflate_and_no_byte_more(tmp_path):
    def promising(length):
        return write(tmp_path, "labels.gz", gzip.compress(b"\0\0\x08\1" + length.to_bytes(4, "big"), 0))

    size = promising(0).stat().st_size
    assert formats.idx_shape(promising(1032 * size), 1) == (1032 * size,)
    with pytest.raises(DataError, match=rf"promises the shape \({1032 * size + 1},\), more than its {size} bytes"):
        formats.idx_shape(promising(1032 * size + 1), 1)


# MATLAB

FACES = np.concatenate([IMAGES, IMAGES[:1]])  # 72 bytes, a multiple of 8 as the published file's


@pytest.mark.parametrize("how", [{"format": "4"}, {"format": "5"}, {"do_compression": True}], ids=str)
def test_frey_has_a_face_in_each_column(tmp_path, how):
    savemat(tmp_path / "ff.mat", {"ff": FACES.reshape(6, 12).T}, **how)
    faces, digest = formats.read_frey(tmp_path / "ff.mat", FACES.shape)
    np.testing.assert_array_equal(faces, FACES)
    assert faces.dtype == np.uint8 and faces.flags.writeable
    assert digest == hashlib.sha256(FACES.tobytes()).hexdigest()


def test_a_damaged_matlab_file_is_refused(tmp_path):
    savemat(tmp_path / "ff.mat", {"ff": FACES.reshape(6, 12).T}, do_compression=True)
    whole = (tmp_path / "ff.mat").read_bytes()
    for content, reason in (
        (b"", "holds 0 bytes"),
        (b"no MATLAB file", "holds 14 bytes"),
        (bytes(2000), "holds 1,097 bytes (or more)"),
        (whole[:-9], "ends early, within its compressed block"),
        (whole[:140] + bytes(20), "damaged"),
        (whole[:-4] + bytes(4), "damaged"),
        (whole[:136] + zlib.compress(bytes(64 * MB)), "holds 1,097 bytes (or more)"),
    ):
        with pytest.raises(DataError) as error:
            formats.read_frey(write(tmp_path, "bad.mat", content), FACES.shape)
        assert reason in str(error.value)


# NumPy


@given(
    hnp.arrays(
        st.sampled_from(["u1", "?", "<f4", ">f4", "<f8", "<f2", ">i4"]),
        hnp.array_shapes(min_dims=1, max_dims=4, min_side=0, max_side=5),
    ),
    st.booleans(),
)
def test_arrays_come_back_as_saved(tmp_path_factory, array, fortran):
    folder = tmp_path_factory.getbasetemp()
    np.save(folder / "a.npy", np.asfortranarray(array) if fortran else array)
    np.savez(folder / "a.npz", x=array)
    for read in (formats.read_npy(folder / "a.npy"), formats.read_npz(folder / "a.npz")[0]):
        assert read.shape == array.shape
        assert read.dtype == array.dtype.newbyteorder("=") and read.dtype.isnative
        assert read.tobytes() == array.astype(read.dtype).tobytes()
        assert read.flags.c_contiguous and read.flags.writeable != isinstance(read, np.memmap)


def test_an_npy_that_is_stored_as_it_is_used_is_mapped_and_not_read(tmp_path, peak_memory):
    np.lib.format.open_memmap(tmp_path / "a.npy", "w+", np.uint8, (100, MB))[:] = 7
    array = formats.read_npy(tmp_path / "a.npy")
    assert isinstance(array, np.memmap) and array[99, -1] == 7 and peak_memory() < MB


def test_npz_gives_x_and_y_or_its_only_array(tmp_path):
    x, y, others = formats.read_npz(write(tmp_path, "a.npz", npz_bytes(y=LABELS, x=IMAGES, other=np.zeros(3))))
    assert others == ["other"]
    np.testing.assert_array_equal(x, IMAGES)
    np.testing.assert_array_equal(y, LABELS)
    only, labels, others = formats.read_npz(write(tmp_path, "a.npz", npz_bytes(pictures=IMAGES)))
    np.testing.assert_array_equal(only, IMAGES)
    assert labels is None and not others


HEADER = "{'descr': %s, 'fortran_order': False, 'shape': %s, }\n"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "damaged (EOF"),
        (b"a text, not an array", "damaged (the magic string is not correct"),
        (
            npy_bytes(HEADER % ("'<f8'", "(2, 3)"), bytes(47)),
            "promises 48 bytes (float64, shape (2, 3)), and 47 are there",
        ),
        (
            npy_bytes(HEADER % ("'<f8'", "(2, 3)"), bytes(49)),
            "promises 48 bytes (float64, shape (2, 3)), and 49 are there",
        ),
        (npy_bytes(HEADER % ("'<f8'", "(2**60, 3)"), bytes(48)), "damaged"),
        (npy_bytes(HEADER % ("'<f8'", f"({2**60}, 3)"), bytes(48)), f"shape ({2**60}, 3)), and 48 are there"),
        (npy_bytes(HEADER % ("'<f8'", f"({2**64}, {2**64})")), "and 0 are there"),
        (npy_bytes(HEADER % ("'<f8'", "(-2, -3)"), bytes(48)), "shape (-2, -3), which no array can have"),
        (npy_bytes(HEADER % ("'<f8'", "(-2, 0)")), "shape (-2, 0), which no array can have"),
        (npy_bytes(HEADER % ("'|u1'", "(True, 64)"), bytes(64)), "shape (True, 64), which no array can have"),
        (npy_bytes(HEADER % ("'|u1'", "(64, False)")), "shape (64, False), which no array can have"),
        (npy_bytes(HEADER % ("'<f8'", f"(0, {2**62})")), "damaged"),
        (npy_bytes(HEADER % ("'<f8'", f"({2**62}, 0)")), "damaged"),
        (npy_bytes(HEADER % ("'|u1'", f"(0, {2**64})")), "damaged"),
        (npy_bytes(HEADER % ("'<f8'", f"(0, {2**40}, {2**40})")), "damaged"),
        (npy_bytes(HEADER % ("'|u1'", f"({'1, ' * 70})"), bytes(1)), "damaged"),
        (npy_bytes(HEADER % ("'|u1'", f"({'0, ' * 70})")), "damaged"),
        (npy_bytes(HEADER % ("'<f8'", "(2, 3.0)"), bytes(48)), "damaged"),
        (npy_bytes(HEADER % ("'|O'", "(2, 3)"), bytes(48)), "holds object: objects (pickles)"),
        (npy_bytes(HEADER % ("[('a', '<f8')]", "(6,)"), bytes(48)), "structures"),
        (npy_bytes(HEADER % ("'<U2'", "(6,)"), bytes(48)), "holds <U2"),
        (npy_bytes(HEADER % ("'<f8'", "(6,)"), bytes(48), (3, 0)), "version (3, 0)"),
        (npy_bytes(HEADER % ("'<f8'", "(" * 9000 + ")" * 9000), bytes(48), (2, 0)), "damaged"),
        (npy_bytes(HEADER % ("'<f8'", "(" * 4000 + ")" * 4000), bytes(48), (2, 0)), "damaged"),
        (npy_bytes(HEADER % (r"'\d<f8'", "(6,)"), bytes(48)), "damaged"),
        (b"\x93NUMPY\x02\x00\xff\xff\xff\xff{}", "damaged (EOF"),
    ],
)
def test_a_wrong_npy_is_refused_with_the_reason(tmp_path, peak_memory, content, reason):
    """With little memory, in an .npz as well, and without a warning (which would be an error here)."""
    with pytest.raises(DataError) as error:
        formats.read_npy(write(tmp_path, "a.npy", content))
    assert reason in str(error.value)
    with zipfile.ZipFile(tmp_path / "a.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x.npy", content)
    with pytest.raises(DataError) as error:
        formats.read_npz(tmp_path / "a.npz")
    assert reason in str(error.value)
    assert peak_memory() < 10 * MB


def test_a_header_from_python_2_is_read_without_a_warning(tmp_path):
    content = npy_bytes("{'descr': '<f8', 'fortran_order': False, 'shape': (2L, 3L), }\n", np.arange(6.0).tobytes())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        read = formats.read_npy(write(tmp_path, "a.npy", content))
    np.testing.assert_array_equal(read, np.arange(6.0).reshape(2, 3))


def test_pickled_objects_are_never_loaded(tmp_path):
    class Trap:
        def __reduce__(self):
            return open, (str(tmp_path / "sprung"), "w")

    array = np.array([Trap(), Trap()], dtype=object)
    np.save(tmp_path / "a.npy", array, allow_pickle=True)
    np.savez(tmp_path / "a.npz", x=array)
    for read, name in ((formats.read_npy, "a.npy"), (formats.read_npz, "a.npz")):
        with pytest.raises(DataError, match="pickles"):
            read(tmp_path / name)
    assert not (tmp_path / "sprung").exists()


def test_a_wrong_npz_is_refused_with_the_reason(tmp_path):
    whole = npz_bytes(x=IMAGES)
    middle = whole.index(b"x.npy") + 60  # in the compressed content
    for content, reason in (
        (b"", "damaged"),
        (b"not a zip archive", "damaged (File is not a zip file"),
        (whole[: len(whole) // 2], "damaged (File is not a zip file"),
        (whole[:middle] + bytes([whole[middle] ^ 0xFF]) + whole[middle + 1 :], "damaged"),
        (npz_bytes(a=IMAGES, b=LABELS), "it holds the arrays a, b: name the examples x"),
        (npz_bytes(), "it holds no array"),
    ):
        with pytest.raises(DataError) as error:
            formats.read_npz(write(tmp_path, "a.npz", content))
        assert reason in str(error.value)


def test_an_npz_with_two_arrays_of_one_name_is_refused(tmp_path):
    content = npz_bytes(x=IMAGES, y=LABELS).replace(b"y.npy", b"x.npy")
    with pytest.raises(DataError, match="two arrays of the same name"):
        formats.read_npz(write(tmp_path, "a.npz", content))


def test_a_stored_member_is_compared_with_its_checksum(tmp_path):
    np.savez(tmp_path / "a.npz", x=IMAGES)
    content = bytearray((tmp_path / "a.npz").read_bytes())
    content[content.index(IMAGES.tobytes()) + 7] ^= 1
    with pytest.raises(DataError, match=r"damaged .*CRC"):
        formats.read_npz(write(tmp_path, "b.npz", content))


def test_an_npz_that_promises_too_much_is_refused_before_memory_is_taken(tmp_path, peak_memory, monkeypatch):
    """Header and archive agree on 3 GB, but no such file compresses to a few hundred bytes."""
    header = HEADER % ("'<f8'", "(2, 200000000)")
    with zipfile.ZipFile(tmp_path / "a.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x.npy", npy_bytes(header))
    true_size = struct.pack("<I", len(npy_bytes(header)))
    lie = struct.pack("<I", len(npy_bytes(header)) + 3_200_000_000)
    content = (tmp_path / "a.npz").read_bytes()
    assert content.count(true_size) == 2  # in the member's header and in the directory
    with pytest.raises(DataError, match="not credible"):
        formats.read_npz(write(tmp_path, "b.npz", content.replace(true_size, lie)))
    assert peak_memory() < 10 * MB

    monkeypatch.setattr(formats, "LARGEST_MEMBER", 100)
    with pytest.raises(DataError, match=r"too large for an \.npz"):
        formats.read_npz(write(tmp_path, "c.npz", npz_bytes(x=IMAGES)))


@pytest.mark.parametrize("name", ["x", "y"])
@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_member_that_the_file_cannot_hold_takes_no_memory(tmp_path, peak_memory, method, name):
    """Some hundred bytes, of which 2 GiB are said to be one member: in header, archive and directory alike."""
    true = npy_bytes(HEADER % ("'|u1'", f"(1, {2**31})"))
    with zipfile.ZipFile(tmp_path / "a.npz", "w", method) as archive:
        if name == "y":
            archive.writestr("x.npy", npy_bytes(HEADER % ("'|u1'", "(1, 1)"), bytes(1)))
        archive.writestr(f"{name}.npy", true)
        packed = archive.getinfo(f"{name}.npy").compress_size
    content = (tmp_path / "a.npz").read_bytes()
    sizes, lie = struct.pack("<II", packed, len(true)), struct.pack("<II", len(true) + 2**31, len(true) + 2**31)
    assert content.count(sizes) == 2 and len(content) < 500
    with pytest.raises(DataError, match=rf"{name}\.npy is to take 2,147,483,\d+ bytes in it, more than"):
        formats.read_npz(write(tmp_path, "b.npz", content.replace(sizes, lie)))
    assert peak_memory() < MB


def test_a_member_has_room_only_from_where_it_begins(tmp_path):
    """Of the file's bytes, and those before it are others'."""
    whole = npy_bytes(HEADER % ("'|u1'", "(2, 100)"), bytes(200))
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("x.npy", npy_bytes(HEADER % ("'|u1'", "(2, 300)"), bytes(600)))
        archive.writestr("y.npy", whole)
        place = archive.getinfo("y.npy").header_offset
    content = (tmp_path / "a.npz").read_bytes()
    true, more = len(whole), len(content) - place + 1
    sizes, lie = struct.pack("<II", true, true), struct.pack("<II", more, more)
    assert content.count(sizes) == 2 and place > 600
    with pytest.raises(DataError, match=rf"^y\.npy is to take {more:,} bytes in it, more than"):
        formats.read_npz(write(tmp_path, "b.npz", content.replace(sizes, lie)))


def test_what_is_stored_is_as_long_as_it_is(tmp_path, peak_memory):
    """A stored member of which the directory says that it unpacks to a thousand times its bytes."""
    whole = npy_bytes(HEADER % ("'|u1'", "(10, 10000)"), bytes(100))
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("x.npy", whole)
    content = (tmp_path / "a.npz").read_bytes()
    sizes = struct.pack("<II", len(whole), len(whole))
    lie = struct.pack("<II", len(whole), len(whole) + 99_900)
    with pytest.raises(DataError, match="not credible"):
        formats.read_npz(write(tmp_path, "b.npz", content.replace(sizes, lie)))
    assert peak_memory() < MB


def test_the_member_that_is_wrong_is_named(tmp_path):
    for y, reason in (
        (np.full(5, None), "in y.npy, it holds object: objects"),
        (np.full(5, "a"), "in y.npy, it holds"),
    ):
        np.savez(tmp_path / "a.npz", x=IMAGES, y=y, allow_pickle=True)
        with pytest.raises(DataError) as error:
            formats.read_npz(tmp_path / "a.npz")
        assert str(error.value).startswith(reason)


def test_a_member_compressed_in_an_unusual_way_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.npz", "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("x.npy", npy_bytes(HEADER % ("'<f8'", "(6,)"), bytes(48)))
    with pytest.raises(DataError, match="compressed in a way"):
        formats.read_npz(tmp_path / "a.npz")


# What is no file


@pytest.mark.parametrize("read", [formats.read_npy, formats.read_npz, formats.read_idx, formats.read_frey])
def test_no_reader_waits_for_a_pipe_or_reads_a_device(tmp_path, read):
    arguments = [(5,)] if read in (formats.read_idx, formats.read_frey) else []
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "endless").symlink_to("/dev/zero")
    for path in (tmp_path / "pipe", tmp_path / "endless", tmp_path):
        with pytest.raises(DataError, match="it is a folder, a pipe or a device, not a file"):
            read(path, *arguments)


# Errors


def test_explained_names_the_file_the_reason_and_what_to_do(tmp_path):
    for raised, reason in (
        (DataError("it is torn"), "it is torn"),
        (PermissionError(13, "Permission denied"), "it cannot be read (Permission denied)"),
        (MemoryError(), "it does not fit into the memory of this machine"),
    ):
        with pytest.raises(DataError) as error, formats.explained("a.npy", "Mend it."):
            raise raised
        assert str(error.value) == f"a.npy: {reason}\nMend it."
