"""Kernels that draw random numbers: Philox4x32-10, and Box and Muller's transform (noise.py says what for).

Any number can be had by itself, so threads share the rows out as they like.
"""

import numpy as np
from numba import njit

from tinyvae.machine.code_cache import kernel
from tinyvae.machine.elementary import EXACT, INNER, cos_sin_pi, log

u32, u64 = np.uint32, np.uint64
MULTIPLIER_0, MULTIPLIER_1 = u64(0xD2511F53), u64(0xCD9E8D57)
WEYL_0, WEYL_1 = u32(0x9E3779B9), u32(0xBB67AE85)


@njit(**INNER)
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


@njit(**INNER)
def words(N, blocks, place):
    """Random words (4, N blocks) uint32: column n blocks + b is block b of example n, counted from the place on."""
    k0, k1, stream, step, first_example, first_block = place
    c = np.empty((4, N * blocks), u32)
    for n in range(N):
        for b in range(blocks):
            t = n * blocks + b
            c[0, t], c[1, t], c[2, t], c[3, t] = first_block + b, first_example + n, step, stream
    philox(c, u32(k0), u32(k1))
    return c


@njit(**INNER)
def spread(c, out):
    """The columns of c (4, N blocks), one after the other, as the rows of out (N, M), without what is too much."""
    N, M = out.shape
    blocks = -(-M // 4)
    for n in range(N):
        for m in range(M):
            out[n, m] = c[m % 4, n * blocks + m // 4]


@kernel
def fill_words(out, place):
    """Random words: out (N, M) uint32."""
    N, M = out.shape
    spread(words(N, -(-M // 4), place), out)


@njit(**INNER)
def binary(probabilities, out, place):
    """out = 1 where the upper 24 bits of a word of ``fill_words``, as a fraction, are below the probability, else 0.

    For probabilities and out (N, M) floating.
    """
    N, M = out.shape
    c = words(N, -(-M // 4), place)
    uniform = np.empty(c.shape, out.dtype)
    for i in range(4):
        for t in range(c.shape[1]):
            uniform[i, t] = uniform_number(c[i, t], out.dtype.type)
    spread(uniform, out)
    for n in range(N):
        for m in range(M):
            out[n, m] = out[n, m] < probabilities[n, m]


@njit(**INNER)
def normal(out, place):
    """Standard normal numbers: out (N, M) floating, a pair from each pair of words of ``fill_words``."""
    N, M = out.shape
    c = words(N, -(-M // 4), place)
    numbers = np.empty(c.shape, out.dtype)
    for i in range(0, 4, 2):
        first, second, cosines, sines = c[i], c[i + 1], numbers[i], numbers[i + 1]
        for t in range(c.shape[1]):
            cosines[t], sines[t] = box_muller(first[t], second[t], out.dtype.type)
    spread(numbers, out)


@njit(**EXACT)
def uniform_number(word, number):
    """A uniform number of the type ``number`` from a random word."""
    return number(np.int32(word >> u32(8))) * number(2.0**-24)


@njit(**EXACT)
def box_muller(word_0, word_1, number):
    """Two standard normal numbers of the type ``number`` from two random words.

    u = (word_0 + 1/2) / 2^32 lies in (0, 1), and v, the other word read as signed and divided by 2^31, in [-1, 1); in
    float32 both are rounded and may reach 1. The numbers are sqrt(-2 log u) times the cosine and the sine of pi v.
    """
    u = (number(word_0) + number(0.5)) * number(2.0**-32)
    radius = np.sqrt(number(-2) * log(u))
    cosine, sine = cos_sin_pi(number(np.int32(word_1)) * number(2.0**-31))
    return radius * cosine, radius * sine
