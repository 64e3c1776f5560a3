"""Rows of images that may be more than memory holds: read where they are when they are asked for, a block at a time."""

import dataclasses
import math
import mmap
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias, overload

import numpy as np
from numpy.typing import DTypeLike

from tinyvae.errors import DataError
from tinyvae.types import AnyPath, Array

BLOCK = 2**20  # numbers of a block: bounds the memory


@dataclass(frozen=True, eq=False)
class Rows:
    """Rows of a memory-mapped array, in any order. ``np.asarray`` reads them.

    As of an array, a slice is a view, for which nothing is read; another index, such as ``rows[7]`` or
    ``rows[[7, 3, 3]]``, gives a new array.

    Attributes:
        array: (M, ...), mapped.
        order: (N,) int64, places of rows in ``array``.
        file: the path of the mapped file, and ``_state`` of what was there when it was mapped.

    Raises: DataError, where it is read, if the file was changed since.
    """

    array: Any
    order: np.ndarray
    file: tuple[AnyPath, tuple[int, ...]]

    def __len__(self) -> int:
        return len(self.order)

    @property
    def shape(self) -> tuple[int, ...]:
        """(N, ...)."""
        return (len(self.order), *self.array.shape[1:])

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the array."""
        return self.array.dtype

    def __getitem__(self, rows: Any) -> Any:
        chosen = self.order[rows]
        return dataclasses.replace(self, order=chosen) if isinstance(rows, slice) else self._read(chosen)

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> np.ndarray:
        if copy is False:
            raise ValueError("the rows of a file are an array only as a copy")
        array = self._read(self.order)
        return array if dtype is None else array.astype(dtype, copy=False)

    def _read(self, order: np.ndarray) -> np.ndarray:
        path, before = self.file
        try:
            now = _state(path)
        except OSError:  # it was moved or deleted: what is mapped stays
            now = before
        # Another file in its place does no harm. To read beyond the end of one that was cut would end the process.
        if now[:2] == before[:2] and now != before:
            raise DataError(
                f"{path} was changed while it was in use: its examples are read when they are needed\n"
                "Put back what was there and go on with --resume, or train again; to change data, write another file."
            )
        return np.asarray(self.array).take(order, axis=0)


Images: TypeAlias = np.ndarray | Rows
# A training set and its labels, a test set and its labels.
Pieces: TypeAlias = tuple[Images, np.ndarray | None, Images, np.ndarray | None]


def _state(path: AnyPath) -> tuple[int, ...]:
    """Which file it is, and what tells whether it was changed."""
    found = os.stat(path)
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


def select(array: np.ndarray, order: np.ndarray) -> Images:
    """Some rows of an array: ``Rows``, of which none is read, if a file is mapped to it, else an array.

    Args:
        array: (M, ...).
        order: (N,) int64.
    """
    if isinstance(array, np.memmap) and array.filename and array.flags.c_contiguous and array.flags.aligned:
        mapping: Any = array  # NumPy's types do not know _mmap
        if hasattr(mmap, "MADV_RANDOM"):  # not on Windows
            # else each row that is read from the disk brings as much around it as the system likes, often MiB
            mapping._mmap.madvise(mmap.MADV_RANDOM)
        return Rows(array, order, (array.filename, _state(array.filename)))
    return array[order]


@overload
def flat(images: np.ndarray) -> np.ndarray: ...
@overload
def flat(images: Images) -> Images: ...
def flat(images: Images) -> Images:
    """Images (N, ...) as rows (N, D)."""
    if isinstance(images, Rows):
        return dataclasses.replace(images, array=flat(images.array))
    return np.ascontiguousarray(images.reshape(len(images), math.prod(images.shape[1:])))


def blocks(images: Images) -> Iterator[np.ndarray]:
    """All images (N, ...), in their order, some at a time: arrays (n, ...) of about BLOCK numbers each."""
    n = max(1, BLOCK // max(1, math.prod(images.shape[1:])))
    for first in range(0, len(images), n):
        yield np.asarray(images[first : first + n])


def _as_stored(images: Images) -> Images:
    """The same in the order in which a file has them, which a disk reads faster."""
    return dataclasses.replace(images, order=np.sort(images.order)) if isinstance(images, Rows) else images


def extremes(images: Images) -> np.ndarray:
    """The smallest and the largest of the values: (2,), of the type of the images (N, ...)."""
    found = np.array([[block.min(), block.max()] for block in blocks(_as_stored(images))])
    return np.array([found.min(), found.max()])


def mean_image(images: Images) -> Array:
    """The mean of the images (N, D): (D,) float64.

    NumPy adds rows one after the other, so that the sum so far as the first row of the next block gives every bit that
    the sum of all rows at once would have (but for D = 1, where it adds in pairs). Sums of whole numbers are exact in
    any order.
    """
    total = np.zeros(images.shape[1])
    for block in blocks(images if images.dtype.kind == "f" else _as_stored(images)):
        total = np.concatenate([total[None], block], dtype=np.float64).sum(axis=0)
    return total / len(images)
