"""Random numbers as a function of where they are used, not of what was drawn before.

Every number is determined by (seed, stream, step, example, sample, unit): the same noise whatever the number of threads
and however a computation is cut into pieces, and a resumed run draws what the uninterrupted run would have drawn.

The generator is Philox4x32-10 (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3"): ten rounds of
multiplication and exclusive-or turn a 128-bit counter and a 64-bit key into four random 32-bit words. Here the key is
the seed and the counter is (block of four units, example, step, stream). Normal numbers come from pairs of words by
Box and Muller's transform.
"""

from enum import IntEnum

import numpy as np
from numba import njit

from tinyvae.elementary import EXACT, FAST, cos_sin_pi, log

u32, u64 = np.uint32, np.uint64
MULTIPLIER_0, MULTIPLIER_1 = u64(0xD2511F53), u64(0xCD9E8D57)
WEYL_0, WEYL_1 = u32(0x9E3779B9), u32(0xBB67AE85)


class Stream(IntEnum):
    """What a random number is for; each purpose has numbers of its own. Streams from LAYERS on are a layer's each."""

    PARAMETERS = 0
    ORDER = 1
    BINARISATION = 2
    TEST_BINARISATION = 3
    COMPONENTS = 4
    TRAINING = 0x100  # plus the stochastic layer
    EVALUATION = 0x200
    PICTURES = 0x300


def normal(shape, seed, stream, step=0, first_example=0, first_sample=0, dtype=np.float32):
    """Independent standard normal numbers eps_nkd.

    Args:
        shape: (N, K, D) examples, samples and units.
        seed: integer from 0 to 2^64 - 1.
        stream, step: integers from 0 to 2^32 - 1: what for, and when.
        first_example, first_sample: where this block stands in the whole; ``first_sample * D`` a multiple of 4.
        dtype: float32 or float64 (the same numbers up to rounding).

    Returns: (N, K, D) array.
    """
    return _draw(normal_kernel, shape, seed, stream, step, first_example, first_sample, dtype)


def uniform(shape, seed, stream, step=0, first_example=0, first_sample=0, dtype=np.float32):
    """Independent uniform numbers, multiples of 2^-24 in [0, 1); arguments as ``normal``."""
    return _draw(uniform_kernel, shape, seed, stream, step, first_example, first_sample, dtype)


def bernoulli(probabilities, seed, stream, step=0, first_example=0):
    """Independent zeros and ones: 1 where the number of ``uniform`` is below the probability.

    Args:
        probabilities: (N, D) in [0, 1].
        seed, stream, step, first_example: as for ``normal``.

    Returns: (N, D) in the dtype of the probabilities.
    """
    out = np.empty_like(probabilities)
    bernoulli_kernel(probabilities, out, *_place(seed, stream, step, first_example))
    return out


def permutation(n, seed, stream, step=0):
    """A random order of 0 ... n - 1: (n,) int64, the argsort of n random words."""
    words = np.empty((1, n), u32)
    words_kernel(words, *_place(seed, stream, step))
    return np.argsort(words[0], kind="stable")


def _draw(kernel, shape, seed, stream, step, first_example, first_sample, dtype):
    N, K, D = shape
    if first_sample * D % 4:
        raise ValueError(f"first_sample * D must be a multiple of 4, not {first_sample} * {D}")
    out = np.empty((N, K * D), dtype)
    kernel(out, *_place(seed, stream, step, first_example, first_sample * D // 4))
    return out.reshape(shape)


def _place(seed, stream, step=0, first_example=0, first_block=0):
    """The arguments of the kernels that say which numbers are wanted, each less than 2^32."""
    return seed & 0xFFFFFFFF, seed >> 32, int(stream), step, first_example, first_block


@njit(**FAST)
def philox(c, k0, k1):
    """Ten rounds of Philox4x32, in place, on counters c (4, T) uint32, a column each, under the key (k0, k1) of uint32.

    Round by round over all columns: so the compiler makes vector instructions of it.
    """
    c0, c1, c2, c3 = c[0], c[1], c[2], c[3]
    for _ in range(10):
        for t in range(c.shape[1]):
            p0 = MULTIPLIER_0 * u64(c0[t])
            p1 = MULTIPLIER_1 * u64(c2[t])
            c0[t], c1[t] = u32(u32(p1 >> u64(32)) ^ c1[t] ^ k0), u32(p1)
            c2[t], c3[t] = u32(u32(p0 >> u64(32)) ^ c3[t] ^ k1), u32(p0)
        k0 = u32(k0 + WEYL_0)
        k1 = u32(k1 + WEYL_1)


@njit(**FAST)
def words(N, blocks, place):
    """Random words (4, N, blocks) uint32: ``[:, n, b]`` are block b of example n, counted from the place on."""
    k0, k1, stream, step, first_example, first_block = place
    c = np.empty((4, N, blocks), u32)
    for n in range(N):
        for b in range(blocks):
            c[0, n, b], c[1, n, b], c[2, n, b], c[3, n, b] = first_block + b, first_example + n, step, stream
    philox(c.reshape(4, N * blocks), u32(k0), u32(k1))
    return c


@njit(**FAST)
def words_kernel(out, *place):
    """Random words: out (N, M) uint32."""
    N, M = out.shape
    c = words(N, -(-M // 4), place)
    for n in range(N):
        for m in range(M):
            out[n, m] = c[m % 4, n, m // 4]


@njit(**FAST)
def uniform_kernel(out, *place):
    """Uniform numbers: out (N, M) floating, from the upper 24 bits of the words of ``words_kernel``."""
    number = out.dtype.type
    N, M = out.shape
    c = words(N, -(-M // 4), place)
    for n in range(N):
        w = c[0, n], c[1, n], c[2, n], c[3, n]
        for b in range(M // 4):
            for i in range(4):
                out[n, 4 * b + i] = uniform_number(w[i][b], number)
        for m in range(M // 4 * 4, M):
            out[n, m] = uniform_number(w[m % 4][m // 4], number)


@njit(**FAST)
def bernoulli_kernel(p, out, *place):
    """out = 1 where the number of ``uniform_kernel`` is below p, else 0; both (N, M) floating."""
    uniform_kernel(out, *place)
    for n in range(out.shape[0]):
        for m in range(out.shape[1]):
            out[n, m] = out[n, m] < p[n, m]


@njit(**FAST)
def normal_kernel(out, *place):
    """Standard normal numbers: out (N, M) floating, a pair from each pair of words of ``words_kernel``."""
    number = out.dtype.type
    N, M = out.shape
    c = words(N, -(-M // 4), place)
    for n in range(N):
        w = c[0, n], c[1, n], c[2, n], c[3, n]
        for b in range(M // 4):
            m = 4 * b
            out[n, m], out[n, m + 1] = box_muller(w[0][b], w[1][b], number)
            out[n, m + 2], out[n, m + 3] = box_muller(w[2][b], w[3][b], number)
        for m in range(M // 4 * 4, M):
            i = m % 4 // 2 * 2
            out[n, m] = box_muller(w[i][m // 4], w[i + 1][m // 4], number)[m % 2]


@njit(**EXACT)
def uniform_number(word, number):
    """A uniform number of the type ``number`` from a random word."""
    return number(np.int32(word >> u32(8))) * number(2.0**-24)


@njit(**EXACT)
def box_muller(word_0, word_1, number):
    """Two standard normal numbers of the type ``number`` from two random words.

    u = (word_0 + 1/2) / 2^32 lies in (0, 1], and v, the other word read as signed and divided by 2^31, in [-1, 1);
    the numbers are sqrt(-2 log u) times the cosine and the sine of pi v.
    """
    u = (number(word_0) + number(0.5)) * number(2.0**-32)
    radius = np.sqrt(number(-2) * log(u))
    cosine, sine = cos_sin_pi(number(np.int32(word_1)) * number(2.0**-31))
    return radius * cosine, radius * sine
