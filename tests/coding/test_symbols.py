"""From arrays to levels and back, to the last bit, or a refusal."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.coding.models import seeds
from tinyvae.coding.symbols import images_of, levels_of
from tinyvae.data.datasets import to_float
from tinyvae.errors import DataError

shapes = st.sampled_from([(1, 4), (3, 2, 5), (2, 3, 4, 3), (5, 1)])


@given(shapes, st.sampled_from([2, 256]), st.sampled_from([bool, np.uint8, np.float32, np.float64]), seeds)
def test_images_come_back_in_their_type_and_shape(shape, levels, dtype, seed):
    found = np.random.default_rng(seed).integers(0, levels, shape, np.uint8)
    if dtype is bool:
        found = (found > levels // 2) * np.uint8(levels - 1)
    images = images_of(found, np.dtype(dtype), shape, levels)
    assert images.dtype == dtype and images.shape == shape
    assert np.array_equal(levels_of(images, levels), found.reshape(len(found), -1))
    # the intensities are those that a training sees
    assert np.allclose(to_float(images, np.float64), found / (levels - 1), atol=1e-7)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_intensities_of_bytes_are_levels(dtype):
    images = to_float(np.arange(256, dtype=np.uint8).reshape(2, 128), dtype)
    assert np.array_equal(levels_of(images, 256).ravel(), np.arange(256))


@pytest.mark.parametrize(
    ("value", "levels"),
    [(0.5, 2), (-0.0, 2), (np.nan, 2), (np.inf, 256), (1.0001, 256), (np.nextafter(0.2, 1), 256), (-1.0, 256)],
)
def test_what_would_come_back_as_another_is_refused(value, levels):
    images = np.zeros((2, 3, 4))
    images[1, 2, 0] = value
    with pytest.raises(DataError, match=rf"1 of its 24 values are not on one of {levels} levels.*at \[1, 2, 0\]"):
        levels_of(images, levels)


def test_grey_bytes_are_no_bits():
    images = np.array([[0, 255, 254, 1]], np.uint8)
    with pytest.raises(
        DataError, match=r"2 of its 4 values are not on one of 2 levels, the first, .*254.*, at \[0, 2\]"
    ):
        levels_of(images, 2)


@pytest.mark.parametrize("dtype", [np.int64, np.float16, np.complex64, ">f4"])
def test_other_types_are_refused(dtype):
    with pytest.raises(DataError, match="can be compressed"):
        levels_of(np.zeros((2, 3), dtype), 256)


def test_arrays_in_another_order_are_taken():
    images = np.asfortranarray(np.random.default_rng(0).random((4, 3, 2)) < 0.5)
    assert np.array_equal(levels_of(images, 2), images.reshape(4, -1))
    assert np.array_equal(levels_of(images[:, ::-1], 2), images[:, ::-1].reshape(4, -1))
