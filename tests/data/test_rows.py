"""A file that is mapped gives what the same array in memory gives; it is read in parts, and not once it has changed."""

import os
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from tinyvae.data import datasets, rows
from tinyvae.data.rows import Rows
from tinyvae.errors import DataError

random = np.random.RandomState(5)
GREY = random.randint(0, 256, (200, 6, 5), np.uint8)
ARRAYS = {
    "uint8": GREY,
    "bool": GREY > 99,
    "float32": (GREY / 255).astype(np.float32),
    "float64": GREY.reshape(200, 30) / 255,
    "colours": random.randint(0, 256, (50, 4, 5, 3), np.uint8),
    "one colour": GREY[..., None],
}


@pytest.fixture
def mapped(tmp_path):
    """Call it with an array for the data set of an .npy file of it."""

    def load(array, **arguments):
        np.save(tmp_path / "mine.npy", array)
        return datasets.load(tmp_path / "mine.npy", **arguments)

    return load


@pytest.fixture(params=[7, 2**20], ids=["blocks of a row", "one block"])
def in_blocks(request, monkeypatch):
    monkeypatch.setattr(rows, "BLOCK", request.param)


@pytest.mark.parametrize("limit", [None, 33])
@pytest.mark.parametrize("array", ARRAYS.values(), ids=ARRAYS)
def test_npy_and_npz_give_the_same(array, limit, mapped, tmp_path, in_blocks):
    np.savez(tmp_path / "mine.npz", x=array)
    ours, whole = mapped(array, limit=limit), datasets.load(tmp_path / "mine.npz", limit=limit)
    assert (ours.digest, ours.data_shape, ours.name) == (whole.digest, whole.data_shape, whole.name)
    for images, expected in ((ours.train, whole.train), (ours.test, whole.test)):
        assert isinstance(images, Rows) and isinstance(expected, np.ndarray)
        assert (len(images), images.shape, images.dtype) == (len(expected), expected.shape, expected.dtype)
        np.testing.assert_array_equal(images, expected)
        np.testing.assert_array_equal(rows.extremes(images), [expected.min(), expected.max()])
        assert rows.extremes(images).dtype == expected.dtype
        for same in (images, expected):
            assert np.array_equal(rows.mean_image(same), expected.mean(axis=0, dtype=np.float64))  # every bit


@pytest.mark.parametrize(
    "array", [np.asfortranarray(GREY), GREY.astype(">f4"), GREY.astype(np.float16)], ids=["Fortran", "order", "float16"]
)
def test_what_is_not_stored_as_it_is_used_is_read_whole(array, mapped):
    assert isinstance(mapped(array).train, np.ndarray)


def test_rows_are_indexed_as_an_array_is(mapped):
    images = mapped(GREY).train
    whole = np.asarray(images)
    for index in (slice(None), slice(3, 40), slice(150, None, -7), slice(5, 5)):
        view = images[index]
        assert isinstance(view, Rows) and len(view) == len(whole[index])
        np.testing.assert_array_equal(view, whole[index])
        np.testing.assert_array_equal(view[::-2], whole[index][::-2])
    for index in (7, -1, [7, 3, 3], np.array([], int), whole[:, 0] > 99):
        taken = images[index]
        assert type(taken) is np.ndarray and taken.flags.writeable and not np.shares_memory(taken, images.array)
        np.testing.assert_array_equal(taken, whole[index])
    for index in (180, np.array([3, 180])):
        with pytest.raises(IndexError):
            images[index]
    assert np.asarray(images, np.float64).dtype == np.float64
    assert np.array(images[:3]).flags.writeable
    np.testing.assert_array_equal(np.mean(images), whole.mean())


def test_a_limit_reads_only_what_it_keeps(mapped, monkeypatch):
    read, places = Rows._read, []
    monkeypatch.setattr(Rows, "_read", lambda self, order: places.extend(order) or read(self, order))
    mapped(GREY, limit=33)
    assert places == np.random.RandomState(0).permutation(200)[[*range(20, 53), *range(20)]].tolist()


@pytest.mark.skipif(not Path("/proc/self/smaps").exists(), reason="only Linux tells what it was advised")
def test_a_row_that_is_read_does_not_bring_its_neighbours(mapped, tmp_path):
    """In 512 MiB of memory the digest of 748 MiB took a minute so, and otherwise more than eight."""
    images = mapped(GREY).train
    entry = Path("/proc/self/smaps").read_text().split(f"{tmp_path}/mine.npy\n")[1]
    flags = next(line for line in entry.splitlines() if line.startswith("VmFlags:")).split()
    assert "rr" in flags and len(images) == 180


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_no_part_of_the_work_takes_memory_for_all(tmp_path, dtype):
    N, D = 64 * 2**20 // 784 // np.dtype(dtype).itemsize, 784
    np.lib.format.open_memmap(tmp_path / "large.npy", "w+", dtype, (N, D))[::1000] = 1 if dtype == np.float32 else 200
    tracemalloc.start()
    try:
        train = datasets.load(tmp_path / "large.npy").train
        rows.mean_image(train), rows.extremes(train)
        assert tracemalloc.get_traced_memory()[1] < 24 * 2**20
    finally:
        tracemalloc.stop()


# A file that does not stay what it was


def rewrite(path):
    np.save(path, GREY // 2)
    os.utime(path, ns=(0, 1))  # within the clock's smallest step it could be the same


@pytest.mark.parametrize(
    "change", [rewrite, lambda path: os.truncate(path, 300), lambda path: os.truncate(path, 10**6)]
)
def test_a_file_that_was_changed_is_not_read(change, mapped, tmp_path):
    """To read beyond the end of a mapped file that was cut would end the process, by a signal."""
    images = mapped(GREY).train
    change(tmp_path / "mine.npy")
    for read in (np.asarray, lambda images: images[[7, 3]], lambda images: np.asarray(images[:5][::-1])):
        with pytest.raises(DataError, match=r"mine\.npy was changed while it was in use.*\n.*--resume"):
            read(images)


def test_a_file_that_was_moved_deleted_or_replaced_is_still_there(mapped, tmp_path):
    path, images = tmp_path / "mine.npy", mapped(GREY).train
    before = np.array(images)
    path.rename(tmp_path / "moved.npy")
    np.testing.assert_array_equal(images, before)
    np.save(path, GREY[:3])
    np.testing.assert_array_equal(images, before)
    (tmp_path / "moved.npy").unlink()
    path.unlink()
    np.testing.assert_array_equal(images, before)
