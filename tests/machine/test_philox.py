"""The compiled generator against its published vectors, and at its ends."""

import numpy as np
import pytest

from tests.machine.test_plain import KNOWN
from tinyvae.machine import philox


@pytest.mark.parametrize(("counter", "key", "expected"), KNOWN)
def test_philox_gives_the_published_words(counter, key, expected):
    counters = np.array([counter] * 3, np.uint32).T.copy()
    philox.philox(counters, *map(np.uint32, key))
    assert counters.T.tolist() == [expected] * 3


def test_the_largest_and_the_smallest_word_give_finite_numbers():
    for word in (0, 2**32 - 1):
        for number in (np.float32, np.float64):
            pair = philox.box_muller(np.uint32(word), np.uint32(word), number)
            assert np.isfinite(pair).all() and np.max(np.abs(pair)) < 7
