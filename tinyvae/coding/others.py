"""What general compressors make of the same images: the measure of all that a model knows more than they."""

import bz2
import gzip
import io
import lzma
from math import prod

import numpy as np

from tinyvae.coding.archive import pack_raw

MOST_PIXELS = 2**30  # of a picture


def sizes(levels: np.ndarray, count: int, data_shape: tuple[int, ...]) -> dict[str, int]:
    """Bytes by the name of what made them.

    Args:
        levels: (N, D) uint8.
        count: L; of 2 levels eight are packed into a byte, first.
        data_shape: of an image. PNG gets all images as one picture, one below the other, so that it has one header.

    Returns: {"gzip": ..., "bz2": ..., "LZMA": ..., "PNG": ...}; no PNG of what is no picture.
    """
    raw = pack_raw(levels, count)
    found = {
        "gzip": len(gzip.compress(raw, 9, mtime=0)),
        "bz2": len(bz2.compress(raw, 9)),
        "LZMA": len(lzma.compress(raw, preset=6)),  # more of it wants more memory than data of most sizes are worth
    }
    if len(data_shape) >= 2 and (len(data_shape) == 2 or data_shape[2] == 3) and levels.size < MOST_PIXELS:
        found["PNG"] = len(_png(levels, count, data_shape))
    return found


def _png(levels: np.ndarray, count: int, data_shape: tuple[int, ...]) -> bytes:
    from PIL import Image

    row = data_shape[1:]
    pixels = levels.reshape(levels.size // prod(row), *row)
    picture = Image.fromarray(pixels * np.uint8(255 // (count - 1)))
    stream = io.BytesIO()
    (picture.convert("1") if count == 2 and len(row) == 1 else picture).save(stream, "PNG", optimize=True)
    return stream.getvalue()
