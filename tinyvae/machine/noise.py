"""Random numbers as a function of where they are used, not of what was drawn before.

Every number is determined by (seed, stream, step, example, sample, unit): the same noise whatever the number of threads
and however a computation is cut into pieces, and a resumed run draws what the uninterrupted run would have drawn.

The generator is Philox4x32-10 (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3"): ten rounds of
multiplication and exclusive-or turn a 128-bit counter and a 64-bit key into four random 32-bit words. Here the key is
the seed and the counter is (block of four units, example, step, stream). Normal numbers come from pairs of words by
Box and Muller's transform.
"""

from collections.abc import Sequence
from enum import IntEnum, unique

import numpy as np
from numpy.typing import DTypeLike

from tinyvae import machine
from tinyvae.types import Array


@unique
class Stream(IntEnum):
    """What a random number is for; each purpose has numbers of its own.

    From TRAINING on they stand 0x100 apart: a purpose has a stream for each stochastic layer.
    """

    PARAMETERS = 0
    ORDER = 1
    BINARISATION = 2
    TEST_BINARISATION = 3
    COMPONENTS = 4
    DEQUANTISATION = 5
    TEST_DEQUANTISATION = 6
    FEEDBACK = 7
    ACCEPTANCE = 8  # of a step of Hamiltonian Monte Carlo
    TRAINING = 0x100  # plus the stochastic layer
    EVALUATION = 0x200
    PICTURES = 0x300
    INITIAL_BITS = 0x400  # of a compressed message
    STRINGS = 0x500  # of symbols as step 0, of the latents that they are drawn from as step 1
    ANNEALING = 0x600  # plus the stochastic layer: where the chains start, and their velocities


def normal(
    shape: tuple[int, int, int],
    seed: int,
    stream: int,
    step: int = 0,
    first_example: int = 0,
    first_sample: int = 0,
    dtype: DTypeLike = np.float32,
) -> Array:
    """Independent standard normal numbers eps_nkd.

    Args:
        shape: (N, K, D) examples, samples and units.
        seed: integer from 0 to 2^64 - 1.
        stream, step: integers from 0 to 2^32 - 1: what for, and when.
        first_example, first_sample: where this block stands in the whole; ``first_sample * D`` a multiple of 4.
        dtype: float32 or float64. The same words give nearly the same numbers: float32 rounds them before the logarithm
            and the cosine, which moves a number by 1e-7 on average, and by up to 3e-4 near zero.

    Returns: (N, K, D) array.
    """
    N, K, D = shape
    out = np.empty((N, K * D), dtype)
    machine.normal(out, _place(seed, stream, step, first_example, _first_block(first_sample, D), out.shape))
    return out.reshape(shape)


def layers(
    shapes: Sequence[tuple[int, int, int]],
    seed: int,
    stream: int,
    step: int = 0,
    first_example: int = 0,
    first_sample: int = 0,
    dtype: DTypeLike = np.float32,
) -> list[Array]:
    """``normal`` for several stochastic layers, each from a stream of its own: stream, stream + 1, ..."""
    return [normal(shape, seed, stream + l, step, first_example, first_sample, dtype) for l, shape in enumerate(shapes)]


def uniform(
    shape: tuple[int, int, int],
    seed: int,
    stream: int,
    step: int = 0,
    first_example: int = 0,
    first_sample: int = 0,
    dtype: DTypeLike = np.float32,
) -> Array:
    """Independent uniform numbers, multiples of 2^-24 in [0, 1); arguments as ``normal``."""
    N, K, D = shape
    words = np.empty((N, K * D), np.uint32)
    machine.random_words(words, _place(seed, stream, step, first_example, _first_block(first_sample, D), words.shape))
    return np.multiply(words >> 8, 2.0**-24, dtype=dtype).reshape(shape)


def bernoulli(probabilities: Array, seed: int, stream: int, step: int = 0, first_example: int = 0) -> Array:
    """Independent zeros and ones: 1 where the number of ``uniform`` is below the probability.

    Args:
        probabilities: (N, D) in [0, 1].
        seed, stream, step, first_example: as for ``normal``.

    Returns: (N, D) in the dtype of the probabilities.
    """
    probabilities = np.ascontiguousarray(probabilities)
    out = np.empty_like(probabilities)
    machine.binary(probabilities, out, _place(seed, stream, step, first_example, 0, out.shape))
    return out


def permutation(n: int, seed: int, stream: int, step: int = 0) -> np.ndarray:
    """A random order of 0 ... n - 1: (n,) int64, the argsort of n random words."""
    words = np.empty((1, n), np.uint32)
    machine.random_words(words, _place(seed, stream, step, 0, 0, words.shape))
    return np.argsort(words[0], kind="stable")


def _first_block(first_sample: int, D: int) -> int:
    """The block of four units in which a sample's numbers begin."""
    if first_sample * D % 4:
        raise ValueError(f"first_sample * D must be a multiple of 4, not {first_sample} * {D}")
    return first_sample * D // 4


def _place(
    seed: int, stream: int, step: int, first_example: int, first_block: int, shape: tuple[int, ...]
) -> tuple[int, ...]:
    """The arguments of the kernels that say which numbers (N, M) are wanted, each less than 2^32, as are the places of
    the last ones; ValueError for others.
    """
    place = seed & 0xFFFFFFFF, seed >> 32, int(stream), step, first_example, first_block
    examples, blocks = shape[0], -(-shape[1] // 4)
    if min(place) < 0 or max(*place, first_example + examples - 1, first_block + blocks - 1) >= 2**32:
        raise ValueError(
            f"seed={seed} is to be from 0 to 2^64 - 1, stream={stream}, step={step}, first_example={first_example} and "
            f"the block {first_block} of the first sample from 0 to 2^32 - 1, and so the last of {examples} examples "
            f"and of {blocks} blocks"
        )
    return place
