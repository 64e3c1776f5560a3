"""What general compressors are given: the packed levels, and one picture whose white is white."""

import bz2
import gzip
import io
import lzma

import numpy as np
import pytest
from PIL import Image

from tinyvae.coding import others


@pytest.mark.parametrize("count", [2, 256])
@pytest.mark.parametrize("data_shape", [(6, 5), (6, 5, 3), (30,)])
def test_each_gets_the_levels_and_eight_of_two_levels_in_a_byte(count, data_shape):
    levels = np.random.default_rng(0).integers(0, count, (40, np.prod(data_shape)), np.uint8)
    raw = (np.packbits(levels) if count == 2 else levels).tobytes()
    found = others.sizes(levels, count, data_shape)
    assert (found["gzip"], found["bz2"]) == (len(gzip.compress(raw, 9, mtime=0)), len(bz2.compress(raw, 9)))
    assert found["LZMA"] == len(lzma.compress(raw, preset=6))
    assert ("PNG" in found) == (len(data_shape) > 1)


@pytest.mark.parametrize(("count", "mode"), [(2, "1"), (256, "L")])
def test_the_png_holds_all_images_one_below_the_other(count, mode):
    levels = np.random.default_rng(1).integers(0, count, (4, 30), np.uint8)
    content = others._png(levels, count, (6, 5))
    with Image.open(io.BytesIO(content)) as picture:
        assert picture.mode == mode
        np.testing.assert_array_equal(np.asarray(picture.convert("L")), levels.reshape(24, 5) * (255 // (count - 1)))
    assert others.sizes(levels, count, (6, 5))["PNG"] == len(content)


def test_the_png_of_colours_is_in_colour():
    levels = np.random.default_rng(2).integers(0, 2, (4, 90), np.uint8)
    with Image.open(io.BytesIO(others._png(levels, 2, (6, 5, 3)))) as picture:
        np.testing.assert_array_equal(np.asarray(picture), 255 * levels.reshape(24, 5, 3))
