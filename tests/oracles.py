"""The slow and obvious twin of each kernel, in NumPy and SciPy: same arguments, results returned instead of written."""

import numpy as np
from scipy import special, stats


def product(x, W):
    return np.einsum("ni,ij->nj", x, W)


def weight_gradient(x, da):
    return np.einsum("ni,nj->ij", x, da)


def input_gradient(da, W):
    return np.einsum("nj,ij->ni", da, W)


def affine(x, W, b, squash):
    return np.tanh(x @ W + b) if squash else x @ W + b


def complete_affine(rest, b, out, squash):
    return np.tanh(out + rest + b) if squash else out + rest + b


def affine_gradient(da, x):
    dW = np.array([np.outer(x_n, da_n) for x_n, da_n in zip(x, da)]).reshape(-1, x.shape[1], da.shape[1]).sum(axis=0)
    return dW, da.sum(axis=0)


def affine_input_gradient(da, W, h, squash):
    return da @ W.T * (1 - h**2) if squash else da @ W.T


def gaussian_sample(mu, logvar, eps):
    sigma = np.sqrt(np.exp(logvar))
    return sigma, mu[:, None] + sigma[:, None] * eps


def gaussian_sample_gradient(dz, eps, sigma):
    return dz.sum(axis=1), (dz * sigma[:, None] * eps / 2).sum(axis=1)


def gaussian_log_posterior(logvar, eps):
    sigma = np.exp(logvar / 2)[:, None]
    return stats.norm.logpdf(sigma * eps, 0, sigma).sum(axis=2)


def gaussian_log_posterior_gradient(dpath, ddirect, eps, sigma):
    by_path = -dpath[:, :, None] * eps / sigma[:, None], -dpath[:, :, None] * eps**2 / 2
    directly = ddirect[:, :, None] * eps / sigma[:, None], ddirect[:, :, None] * (eps**2 - 1) / 2
    return [(a + b).sum(axis=1) for a, b in zip(by_path, directly)]


def standard_normal_log_density(z):
    return stats.norm.logpdf(z).sum(axis=2)


def gaussian_log_density(z, mu, logvar):
    return stats.norm.logpdf(z, mu[:, None], np.exp(logvar / 2)[:, None]).sum(axis=2)


def gaussian_log_density_gradient(dlogp, z, mu, logvar):
    variance = np.exp(logvar)[:, None]
    residual = z - mu[:, None]
    by_mu = dlogp[:, :, None] * residual / variance
    by_logvar = dlogp[:, :, None] * (residual**2 / variance - 1) / 2
    return -by_mu, by_mu.sum(axis=1), by_logvar.sum(axis=1)


def bernoulli_log_prob(x, logits):
    x = np.repeat(x, len(logits) // max(len(x), 1), axis=0)
    p = special.expit(logits)
    return (special.xlogy(x, p) + special.xlogy(1 - x, special.expit(-logits))).sum(axis=1), x - p


def gaussian_log_prob(x, outputs, squash, floor):
    x = np.repeat(x, len(outputs) // max(len(x), 1), axis=0)
    a, t = np.split(outputs, 2, axis=1)
    mean, logvar = special.expit(a) if squash else a, np.maximum(t, floor)
    slope = mean * (1 - mean) if squash else 1
    by_a = (x - mean) / np.exp(logvar) * slope
    by_t = np.where(t > floor, ((x - mean) ** 2 / np.exp(logvar) - 1) / 2, 0)
    return stats.norm.logpdf(x, mean, np.exp(logvar / 2)).sum(axis=1), np.concatenate([by_a, by_t], axis=1)


def scale_rows(weights, rows):
    return weights[:, None] * rows


def sigmoid(logits):
    return special.expit(logits)


def sgd_update(theta, g, velocity, options):
    momentum, rate = options
    velocity = momentum * velocity + g
    return theta + rate * velocity, velocity


def adagrad_update(theta, g, sum_of_squares, options):
    rate, epsilon = options
    sum_of_squares = sum_of_squares + g**2
    return theta + rate * g / (np.sqrt(sum_of_squares) + epsilon), sum_of_squares


def adam_update(theta, g, m, v, options):
    new1, new2, rate, epsilon = options
    m = (1 - new1) * m + new1 * g
    v = (1 - new2) * v + new2 * g**2
    return theta + rate * m / (np.sqrt(v) + epsilon), m, v


def philox(counter, key):
    """Philox4x32-10 on Python's integers (Salmon et al. 2011): four words from four counter words and two key words."""
    mask = 2**32 - 1
    c, k = list(counter), list(key)
    for _ in range(10):
        p0, p1 = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
        c = [(p1 >> 32) ^ c[1] ^ k[0], p1 & mask, (p0 >> 32) ^ c[3] ^ k[1], p0 & mask]
        k = [(k[0] + 0x9E3779B9) & mask, (k[1] + 0xBB67AE85) & mask]
    return c


def standard_normal_pair(word_0, word_1):
    """Box and Muller's two numbers from two words."""
    u = (word_0 + 0.5) / 2**32
    v = (word_1 - 2**32 if word_1 >= 2**31 else word_1) / 2**31
    radius = np.sqrt(-2 * np.log(u))
    return radius * np.cos(np.pi * v), radius * np.sin(np.pi * v)
