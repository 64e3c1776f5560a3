"""Oracles for the plain twins and the products: each by another way than theirs, SciPy, loops, whole numbers."""

import math

import numpy as np
from scipy import special, stats

# -- layers ------------------------------------------------------------------------------------------------------------


def product(x, W):
    """x W."""
    return np.einsum("ni,ij->nj", x, W)


def weight_gradient(x, da):
    """xᵀ da, row by row the outer products."""
    total = np.zeros((x.shape[1], da.shape[1]))
    for x_n, da_n in zip(x, da):
        total += np.outer(x_n, da_n)
    return total


def input_gradient(da, W):
    """da Wᵀ."""
    return np.einsum("nj,ij->ni", da, W)


def convolution(x, filters, stride):
    """Each filter (k, k, C) held against each window of each image, for x (N, H, W, C), filters (k, k, C, C')."""
    (N, H, W, _), k = x.shape, len(filters)
    rows, columns = -(-H // stride), -(-W // stride)
    top, left = (max(0, (n - 1) * stride + k - side) // 2 for n, side in ((rows, H), (columns, W)))
    out = np.zeros((N, rows, columns, filters.shape[3]))
    for i in range(rows):
        for j in range(columns):
            for u in range(k):
                for v in range(k):
                    y, z = i * stride + u - top, j * stride + v - left
                    if 0 <= y < H and 0 <= z < W:
                        out[:, i, j] += x[:, y, z] @ filters[u, v]
    return out


# -- densities ---------------------------------------------------------------------------------------------------------


def log_normal(z, mu, logvar):
    """log N(z; mu, exp(logvar)) summed over the units: (R, S) from (R, S, D) and statistics (R, D)."""
    return stats.norm.logpdf(z, mu[:, None], np.exp(logvar / 2)[:, None]).sum(axis=2)


def log_bernoulli(x, logits):
    """x log p + (1 - x) log(1 - p), summed over the pixels: (N K,) from x (N, D) and logits (N K, D)."""
    x = for_each_sample(x, logits)
    return (special.xlogy(x, special.expit(logits)) + special.xlogy(1 - x, special.expit(-logits))).sum(axis=1)


def log_normal_pixels(x, outputs, squash, floor):
    """log N(x; m, exp(s)) summed over the pixels: (N K,) from x (N, D) and outputs (N K, 2 D)."""
    mean, logvar = np.split(outputs, 2, axis=1)
    mean, deviation = special.expit(mean) if squash else mean, np.exp(np.maximum(logvar, floor) / 2)
    return stats.norm.logpdf(for_each_sample(x, outputs), mean, deviation).sum(axis=1)


def for_each_sample(x, outputs):
    """The row of the data that belongs to each row of outputs: row n K + k to example n."""
    K = len(outputs) // max(len(x), 1)
    return x[[row // K for row in range(len(outputs))]]


# -- random numbers ----------------------------------------------------------------------------------------------------


def philox(counter, key):
    """Philox4x32-10 on Python's integers (Salmon et al. 2011): four words from four counter words and two key words."""
    mask = 2**32 - 1
    c, k = list(counter), list(key)
    for _ in range(10):
        p0, p1 = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
        c = [(p1 >> 32) ^ c[1] ^ k[0], p1 & mask, (p0 >> 32) ^ c[3] ^ k[1], p0 & mask]
        k = [(k[0] + 0x9E3779B9) & mask, (k[1] + 0xBB67AE85) & mask]
    return c


def words(N, M, place):
    """Rows (N, M) of words from a place on: (two halves of the key, stream, step, first example, first block)."""
    k0, k1, stream, step, first_example, first_block = place
    blocks = range(first_block, first_block + -(-M // 4))
    rows = [
        [word for b in blocks for word in philox([b, example, step, stream], [k0, k1])]
        for example in range(first_example, first_example + N)
    ]
    return np.array(rows, np.int64).reshape(N, 4 * len(blocks))[:, :M]


def standard_normal_pair(word_0, word_1):
    """Box and Muller's two numbers from two words."""
    u = (word_0 + 0.5) / 2**32
    v = (word_1 - 2**32 if word_1 >= 2**31 else word_1) / 2**31
    radius = np.sqrt(-2 * np.log(u))
    return radius * np.cos(np.pi * v), radius * np.sin(np.pi * v)


def normal_numbers(N, M, place):
    """Rows (N, M) of normal numbers, a pair from each pair of words."""
    pairs = words(N, M + M % 2, place).reshape(-1, 2).tolist()
    numbers = [standard_normal_pair(*pair) for pair in pairs]
    return np.array(numbers, float).reshape(N, M + M % 2)[:, :M]


def log_colours(x, outputs, C):
    """Of colours x (R, 3 P) in three steps, each a mixture of C logistics (``log_levels``) with means of its own."""
    R, D = x.shape
    parts = outputs.reshape(R, -1, D // 3, 3)
    own, (alpha, beta, gamma) = parts[:, :-1].copy(), np.moveaxis(parts[:, -1], -1, 0)
    red, green = x[:, 0::3], x[:, 1::3]
    own[:, -2 * C : -C, :, 1] += (alpha * red)[:, None]
    own[:, -2 * C : -C, :, 2] += (beta * red + gamma * green)[:, None]
    channels = [(x[:, c::3], own[..., c].reshape(R, -1)) for c in range(3)]
    return sum(log_levels(values, some, C) for values, some in channels)


def log_levels(x, outputs, C):
    """Of C logistics the log probability between the edges around x (R, D): (R,) from outputs (R, M D)."""
    D = x.shape[1]
    parts, x = outputs.reshape(len(outputs), -1, D), x[:, None]
    weights = special.softmax(parts[:, :C], axis=1) if C > 1 else 1
    m, s = parts[:, -2 * C : -C], np.exp(parts[:, -C:])
    upper, lower = np.where(x < 1, x + 1 / 510, np.inf), np.where(x > 0, x - 1 / 510, -np.inf)
    # on the side of the mean where the two are small, and their difference keeps its digits
    left = stats.logistic.cdf(upper, m, s) - stats.logistic.cdf(lower, m, s)
    right = stats.logistic.sf(lower, m, s) - stats.logistic.sf(upper, m, s)
    return np.log((weights * np.where(x < m, left, right)).sum(axis=1)).sum(axis=1)


def gru(x, W, U, b, c, h):
    """The states after each step of a sequence x (T, I), one number at a time; the state before it is h (H,)."""
    H, states = len(h), []

    def sigmoid(a):
        return 1 / (1 + math.exp(-a))

    for x_t in x:
        read = [sum(x_t[i] * W[i, j] for i in range(len(x_t))) + b[j] for j in range(3 * H)]
        kept = [sum(h[i] * U[i, j] for i in range(H)) + c[j] for j in range(3 * H)]
        r = [sigmoid(read[j] + kept[j]) for j in range(H)]
        u = [sigmoid(read[H + j] + kept[H + j]) for j in range(H)]
        n = [math.tanh(read[2 * H + j] + r[j] * kept[2 * H + j]) for j in range(H)]
        h = [(1 - u[j]) * n[j] + u[j] * h[j] for j in range(H)]
        states.append(h)
    return np.array(states)
