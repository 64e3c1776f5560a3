"""The numbers where they are used, against those of the oracle, and against their distributions; on either backend."""

import numpy as np
import pytest
from scipy import stats

from tests import oracles
from tinyvae.machine import noise
from tinyvae.machine.noise import Stream


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_normal_numbers_are_the_oracle_s(dtype):
    seed, stream, step = 2**40 + 12345, Stream.TRAINING + 1, 77
    drawn = noise.normal((3, 2, 7), seed, stream, step, first_example=5, dtype=dtype)
    expected = oracles.normal_numbers(3, 14, (seed % 2**32, seed >> 32, stream, step, 5, 0))
    np.testing.assert_allclose(drawn.reshape(3, 14), expected, rtol=2e-5, atol=2e-6)
    later = noise.normal((3, 2, 6), seed, stream, step, first_example=5, first_sample=2, dtype=dtype)
    expected = oracles.normal_numbers(3, 12, (seed % 2**32, seed >> 32, stream, step, 5, 3))
    np.testing.assert_allclose(later.reshape(3, 12), expected, rtol=2e-5, atol=2e-6)


def test_uniform_numbers_are_the_oracle_s():
    drawn = noise.uniform((2, 1, 6), 9, Stream.BINARISATION, 3)
    expected = oracles.words(2, 6, (9, 0, Stream.BINARISATION, 3, 0, 0)) // 256
    np.testing.assert_array_equal(drawn[:, 0], expected / 2**24)


def test_each_stochastic_layer_has_a_stream_of_its_own():
    shapes = [(3, 4, 5), (3, 4, 2), (3, 4, 5)]
    place = {"step": 7, "first_example": 2, "first_sample": 4, "dtype": np.float64}
    drawn = noise.layers(shapes, 11, Stream.EVALUATION, **place)
    for l, (eps, shape) in enumerate(zip(drawn, shapes, strict=True)):
        np.testing.assert_array_equal(eps, noise.normal(shape, 11, Stream.EVALUATION + l, **place))
    assert not np.array_equal(drawn[0], drawn[2]) and noise.layers(shapes[:1], 11, 0)[0].dtype == np.float32
    with pytest.raises(ValueError, match="multiple of 4"):
        noise.layers(shapes, 11, 0, first_sample=2)


def test_zeros_and_ones_are_where_the_uniform_numbers_are_below_the_probability():
    p = np.random.default_rng(0).random((5, 11)).astype(np.float32)
    place = {"seed": 2**33 + 1, "stream": Stream.BINARISATION, "step": 4, "first_example": 3}
    drawn = noise.bernoulli(p, **place)
    np.testing.assert_array_equal(drawn, noise.uniform((5, 1, 11), **place)[:, 0] < p)
    assert drawn.dtype == np.float32 and 0 < drawn.mean() < 1


def test_numbers_do_not_depend_on_how_the_work_is_cut():
    whole = noise.normal((6, 8, 5), 1, Stream.EVALUATION)
    for first in range(6):
        piece = noise.normal((1, 8, 5), 1, Stream.EVALUATION, first_example=first)
        np.testing.assert_array_equal(piece, whole[first : first + 1])
    np.testing.assert_array_equal(noise.normal((6, 4, 5), 1, Stream.EVALUATION, first_sample=4), whole[:, 4:])
    np.testing.assert_array_equal(noise.normal((6, 3, 5), 1, Stream.EVALUATION), whole[:, :3])


def test_a_cut_that_would_not_fit_the_blocks_is_refused():
    with pytest.raises(ValueError, match="multiple of 4, not 3 \\* 5"):
        noise.normal((1, 1, 5), 0, Stream.EVALUATION, first_sample=3)


@pytest.mark.parametrize(
    "place", [{"seed": 2**64}, {"seed": -1}, {"step": 2**32}, {"step": -1}, {"first_example": 2**32}], ids=str
)
def test_a_place_that_is_none_is_refused(place):
    """Another one would have been taken for it."""
    with pytest.raises(ValueError, match=r"from 0 to 2\^64 - 1"):
        noise.normal((1, 1, 4), **{"seed": 0, "stream": Stream.EVALUATION} | place)


def test_no_number_beyond_the_last_place_is_taken_for_the_first_one():
    """Counters go from 0 to 2^32 - 1, and would begin anew behind that."""
    place = {"seed": 0, "stream": Stream.EVALUATION}
    last = noise.normal((2, 1, 4), **place, first_example=2**32 - 2)
    assert not np.array_equal(last, noise.normal((2, 1, 4), **place))
    noise.normal((1, 1, 4), **place, first_sample=2**32 - 1)
    probabilities = np.ones((3, 4), np.float32)
    for draw in (
        lambda: noise.normal((3, 1, 4), **place, first_example=2**32 - 2),
        lambda: noise.normal((1, 2, 4), **place, first_sample=2**32 - 1),
        lambda: noise.uniform((3, 1, 4), **place, first_example=2**32 - 2),
        lambda: noise.bernoulli(probabilities, **place, first_example=2**32 - 2),
    ):
        with pytest.raises(ValueError, match=r"the last of \d examples and of \d blocks"):
            draw()


def test_every_purpose_has_streams_of_its_own():
    """From TRAINING on one for each stochastic layer."""
    of_layers = [stream for stream in Stream.__members__.values() if stream >= Stream.TRAINING]
    others = [stream for stream in Stream.__members__.values() if stream < Stream.TRAINING]
    assert of_layers == [0x100 * i for i in range(1, len(of_layers) + 1)]
    assert others == list(range(len(others)))


def test_every_coordinate_of_the_counter_gives_other_numbers():
    base = {"seed": 0, "stream": 256, "step": 0, "first_example": 0, "first_sample": 0}
    others = [{}, {"seed": 1}, {"seed": 2**32}, {"stream": 257}, {"step": 1}, {"first_example": 4}, {"first_sample": 4}]
    drawn = [noise.normal((4, 4, 5), **(base | other)).ravel() for other in others]
    correlation = np.corrcoef(drawn)
    assert np.max(np.abs(correlation - np.eye(len(others)))) < 5 / np.sqrt(80)  # five standard errors
    assert len({tuple(d) for d in drawn}) == len(others)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_normal_numbers_are_normal(dtype):
    z = noise.normal((50, 100, 201), 3, Stream.TRAINING, dtype=dtype).astype(np.float64)
    n = z.size
    assert stats.kstest(z.ravel()[:200_000], "norm").pvalue > 1e-3
    for power, moment, variance in ((1, 0, 1), (2, 1, 2), (3, 0, 15), (4, 3, 96)):
        assert abs(np.mean(z**power) - moment) < 4 * np.sqrt(variance / n)  # four standard errors
    neighbours = np.corrcoef(z[..., :-1].ravel(), z[..., 1:].ravel())[0, 1]
    assert abs(neighbours) < 4 / np.sqrt(n)
    tail = np.mean(np.abs(z) > 4)
    expected = 2 * stats.norm.sf(4)
    assert abs(tail - expected) < 4 * np.sqrt(expected / n)
    assert np.isfinite(z).all()


def test_uniform_numbers_are_uniform():
    u = noise.uniform((10, 100, 200), 3, Stream.BINARISATION).ravel()
    assert u.min() >= 0 and u.max() < 1
    assert stats.kstest(u, "uniform").pvalue > 1e-3


def test_a_permutation_has_every_index_once_and_no_fixed_order():
    order = noise.permutation(10_001, 5, Stream.ORDER, 2)
    np.testing.assert_array_equal(np.sort(order), np.arange(10_001))
    assert abs(np.corrcoef(order, np.arange(10_001))[0, 1]) < 4 / np.sqrt(10_001)
    assert not np.array_equal(order, noise.permutation(10_001, 5, Stream.ORDER, 3))
