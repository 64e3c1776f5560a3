"""From arrays of images to the levels that are coded, and back to the last bit."""

import numpy as np

from tinyvae.errors import DataError

DTYPES = {np.dtype(kind).newbyteorder("<").str: np.dtype(kind) for kind in (np.bool_, np.uint8, np.float32, np.float64)}


class OffLevels(DataError):
    """Values that are on none of the levels of a likelihood."""


def name_of(dtype: np.dtype) -> str:
    """A type by its name in files, where numbers are little-endian; "" for one that cannot be compressed."""
    name = dtype.newbyteorder("<").str
    return name if dtype.isnative and name in DTYPES else ""


def levels_of(images: np.ndarray, levels: int) -> np.ndarray:
    """Images as rows of levels 0 ... L - 1.

    Args:
        images: (N, ...) bool, uint8 (levels 0 to 255) or floats (intensities from 0 to 1).
        levels: L, 2 or 256, at equal distances over the intensities.

    Returns: (N, D) uint8.

    Raises: DataError (the reason alone) for another type; OffLevels for values that are not exactly on a level: they
        would come back as others.
    """
    if not name_of(images.dtype):
        raise DataError(f"its numbers are of type {images.dtype}: bool, uint8, float32 or float64 can be compressed")
    largest = np.uint8(levels - 1)
    if images.dtype == np.bool_:
        found = images * largest
    elif images.dtype == np.uint8:
        found = images // np.uint8(255 // largest)
    else:
        with np.errstate(invalid="ignore"):
            found = np.rint(np.clip(np.nan_to_num(images), 0, 1) * largest).astype(np.uint8)
    # bit by bit, for -0 and what is not a number
    wrong = images_of(found, images.dtype, images.shape, levels).view(f"V{images.itemsize}") != _bits(images)
    if wrong.any():
        where = np.unravel_index(wrong.argmax(), images.shape)
        raise OffLevels(
            f"{wrong.sum():,} of its {images.size:,} values are not on one of {levels} levels, the first, "
            f"{images[where].item()!r}, at {[int(i) for i in where]}"
        )
    return found.reshape(len(images), -1)


def images_of(found: np.ndarray, dtype: np.dtype, shape: tuple[int, ...], levels: int) -> np.ndarray:
    """The images of ``levels_of``, in their type and shape."""
    largest = np.uint8(levels - 1)
    if dtype == np.bool_:
        images = found == largest
    elif dtype == np.uint8:
        images = found * np.uint8(255 // largest)
    else:
        images = np.divide(found, largest, dtype=dtype)
    return images.reshape(shape)


def _bits(images: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(images).view(f"V{images.itemsize}")
