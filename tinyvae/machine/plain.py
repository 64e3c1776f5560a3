"""Behind the door: the slow and obvious twin of each kernel, in NumPy and SciPy.

These are the definitions: the compiled kernels are held against them, and they serve in their place where there is no
compiler, or where a debugger is to step through a training. They have the kernels' habits: results are written into
arrays that are given, and what replaces its input does so by name.
"""

import math

import numpy as np
from scipy import special

from tinyvae.interrupts import Block
from tinyvae.machine import HALF_STEP, LINEAR, LOGSCALE_LIMIT, RELU, TANH, blas
from tinyvae.system import require_threads

LOG_2PI = np.log(2 * np.pi)


# ---------------------------------------------------------------------------------------------------------------------
# Layers (derivation/mlp.py)
# ---------------------------------------------------------------------------------------------------------------------


# What may follow an affine map: h = f(a), and f'(a) as it can be told from h.
ACTIVATIONS = {
    LINEAR: (lambda a: a, lambda h: 1),
    TANH: (np.tanh, lambda h: 1 - h**2),
    RELU: (lambda a: np.maximum(a, 0), lambda h: h > 0),
}


def layers(x, Ws, bs, outputs, activation, last_activation):
    """From the input x (N, I) up: ``outputs[i]`` (N, J_i) is the i-th layer's, with an activation, at last another."""
    h, last = x, len(Ws) - 1
    for i, (W, b) in enumerate(zip(Ws, bs)):
        affine(h, W, b, outputs[i], activation if i < last else last_activation)
        h = outputs[i]


def layers_gradient(dout, x, outputs, Ws, dWs, dbs, dinputs, activation, first_activation):
    """From dout, the derivative by the last affine map's value, down.

    ``dinputs[i]`` is the derivative by what the i-th layer's input is an activation of: the lowest, if it has room (and
    else no rows), with ``first_activation``.
    """
    da = dout
    for i in reversed(range(1, len(Ws))):
        affine_gradient(da, outputs[i - 1], dWs[i], dbs[i])
        affine_input_gradient(da, Ws[i], outputs[i - 1], dinputs[i], activation)
        da = dinputs[i]
    affine_gradient(da, x, dWs[0], dbs[0])
    if len(dinputs[0]) == len(x):
        affine_input_gradient(da, Ws[0], x, dinputs[0], first_activation)


def affine(x, W, b, out, activation):
    """out = f(x W + b), for x (N, I), W (I, J), b (J,), out (N, J) and an activation f."""
    function, _ = ACTIVATIONS[activation]
    out[:] = function(x @ W + b)


def affine_gradient(da, x, dW, db):
    """dW = xᵀ da and db = the sum of da's rows, for da (N, J), x (N, I), dW (I, J), db (J,)."""
    dW[:] = x.T @ da
    db[:] = da.sum(axis=0)


def affine_input_gradient(da, W, h, dx, activation):
    """dx = da Wᵀ f'(a), for da (N, J), W (I, J), dx (N, I) and the value h = f(a) (N, I) of an activation f."""
    _, derivative = ACTIVATIONS[activation]
    dx[:] = da @ W.T * derivative(h)


# ---------------------------------------------------------------------------------------------------------------------
# Convolutions (derivation/conv.py): images are rows, channels last; a geometry is (H, W, C, k, stride). The wide images
# are (N, H W C); the narrow ones, which have C' numbers for each of P patches, are (N, P C'); W is (k k C, C').
# ---------------------------------------------------------------------------------------------------------------------


def convolution(x, W, b, out, geometry, activation):
    """out = f(patches(x) W + b), for x wide, out narrow, b (1, C') for all or (N, C') for each, an activation f."""
    a = (patches(x, geometry) @ W).reshape(out.shape)
    out[:] = ACTIVATIONS[activation][0](a + np.tile(b, out.shape[1] // b.shape[1]))


def convolution_input_gradient(da, W, h, dx, geometry, activation):
    """dx = sum_of_patches(da Wᵀ) f'(a), for da narrow, dx and h = f(a) wide."""
    images = sum_of_patches(da.reshape(-1, W.shape[1]) @ W.T, geometry)
    dx[:] = images * ACTIVATIONS[activation][1](h)


def convolution_weight_gradient(da, x, dW, geometry):
    """dW = patches(x)ᵀ da, for da narrow, x wide; of a transposed convolution, for its x and its da."""
    dW[:] = patches(x, geometry).T @ da.reshape(-1, dW.shape[1])


def transposed_convolution(x, W, b, out, geometry, activation):
    """out = f(sum_of_patches(x Wᵀ) + b), for x narrow, out wide, b (1, C) for all or (N, C) for each."""
    a = sum_of_patches(x.reshape(-1, W.shape[1]) @ W.T, geometry)
    out[:] = ACTIVATIONS[activation][0](a + np.tile(b, out.shape[1] // b.shape[1]))


def transposed_convolution_input_gradient(da, W, h, dx, geometry, activation):
    """dx = patches(da) W f'(a), for da wide, dx and h = f(a) narrow."""
    dx[:] = (patches(da, geometry) @ W).reshape(dx.shape) * ACTIVATIONS[activation][1](h)


def channel_sums(a, sums, width):
    """sums = those over all places of an image, of each channel, for a (N, H width C) and sums (N, C).

    The width only lets the kernel add whole rows.
    """
    sums[:] = a.reshape(len(a), a.shape[1] // sums.shape[1], sums.shape[1]).sum(axis=1)


def patches(x, geometry):
    """The patches (N P, k k C) of images x (N, H W C): one for every stride pixels, with zeros around the image."""
    _, _, channels, size, stride = geometry
    framed = np.pad(x.reshape(len(x), *geometry[:3]), [(0, 0), *frame(geometry), (0, 0)])
    windows = np.lib.stride_tricks.sliding_window_view(framed, (size, size), axis=(1, 2))[:, ::stride, ::stride]
    windows = np.moveaxis(windows, 3, 5)
    return windows.reshape(math.prod(windows.shape[:3]), size * size * channels)


def sum_of_patches(p, geometry):
    """The transpose of ``patches``: images (N, H W C) to which each number of p (N P, k k C) is added in its place."""
    height, width, channels, size, stride = geometry
    rows, columns = -(-height // stride), -(-width // stride)
    (above, below), (left, right) = frame(geometry)
    images = len(p) // (rows * columns)
    p = p.reshape(images, rows, columns, size, size, channels)
    framed = np.zeros((images, above + height + below, left + width + right, channels), p.dtype)
    for y in range(size):
        for x in range(size):
            framed[:, y : y + rows * stride : stride, x : x + columns * stride : stride] += p[:, :, :, y, x]
    return framed[:, above : above + height, left : left + width].reshape(images, height * width * channels)


def frame(geometry):
    """How many zeros stand (above, below) and (left, right) of an image: what the last patch needs, shared by both."""
    height, width, _, size, stride = geometry
    sides = [max(0, (-(-length // stride) - 1) * stride + size - length) for length in (height, width)]
    return [(total // 2, total - total // 2) for total in sides]


# ---------------------------------------------------------------------------------------------------------------------
# Recurrent networks (derivation/gru.py): T steps of R rows and H units, all rows of a step before those of the next.
# Backwards the loop goes from the last step to the first.
# ---------------------------------------------------------------------------------------------------------------------


def recurrence(steps, static, U, c, gates, states, is_reversed):
    """The gates (r, u, m, n), (T R, 4 H), and the states before, between and after the steps, ((T + 1) R, H).

    The state that the loop begins with stands in its place, the first, or backwards the last. With x_t = static +
    steps_t, for static (R, 3 H) and steps (T N, 3 H), each of which serves R / N rows, or none of which is there; with
    s = before U + c, for U (H, 3 H) and c (3 H,); and each of these in its three parts of H numbers:

        r = sigmoid(x^r + s^r),   u = sigmoid(x^u + s^u),   m = s^n,   n = tanh(x^n + r m)
        after = (1 - u) n + u before
    """
    R, H = len(static), len(U)
    T = len(gates) // max(1, R)
    for t, start, end in order(T, is_reversed):
        before = at(states, start, R)
        x, s = static + at_step(steps, t, T, R), before @ U + c
        r, u = special.expit(x[:, :H] + s[:, :H]), special.expit(x[:, H : 2 * H] + s[:, H : 2 * H])
        m = s[:, 2 * H :]
        n = np.tanh(x[:, 2 * H :] + r * m)
        at(gates, t, R)[:] = np.concatenate([r, u, m, n], axis=1)
        at(states, end, R)[:] = (1 - u) * n + u * before


def recurrence_gradient(dstates, U, gates, states, dsteps, dstatic, dproducts, is_reversed):
    """The derivatives by static, by the steps, if they have rows, and by the products s, (T R, 3 H), one after another.

    From dstates (T R, H), those by the states after each step, or (R, H), by the last of them alone.
    """
    R, H = len(dstatic), len(U)
    T = len(gates) // max(1, R)
    dstate, dstatic[:] = np.zeros((R, H), dstates.dtype), 0
    for i, (t, start, _) in reversed(list(enumerate(order(T, is_reversed)))):
        if len(dstates) == T * R or i == T - 1:
            dstate = dstate + (dstates if len(dstates) == R else at(dstates, t, R))
        (r, u, m, n), before = np.split(at(gates, t, R), 4, axis=1), at(states, start, R)
        dn = dstate * (1 - u) * (1 - n**2)
        du = dstate * (before - n) * u * (1 - u)
        dr = dn * m * r * (1 - r)
        dx, ds = np.concatenate([dr, du, dn], axis=1), np.concatenate([dr, du, dn * r], axis=1)
        at(dproducts, t, R)[:] = ds
        dstatic += dx
        if len(dsteps):
            N = len(dsteps) // T
            at(dsteps, t, N)[:] = dx.reshape(N, R // N, 3 * H).sum(axis=1)
        dstate = dstate * u + ds @ U.T


def order(T, is_reversed):
    """The steps as they come, [(t, place of the state before it, of that after it), ...]."""
    return [(t, t + 1, t) for t in reversed(range(T))] if is_reversed else [(t, t, t + 1) for t in range(T)]


def at(array, t, R):
    """The R rows that an array (T R, ...) has for step t: a view."""
    return array[t * R : (t + 1) * R]


def at_step(steps, t, T, R):
    """What a step adds to R rows, the same for all of an example."""
    N = len(steps) // max(1, T)
    return np.repeat(at(steps, t, N), R // N, axis=0) if N else 0


# ---------------------------------------------------------------------------------------------------------------------
# Gaussians (derivation/gaussian.py): rows of mu and logvar (R, D) serve S samples each, z and eps (R, S, D)
# ---------------------------------------------------------------------------------------------------------------------


def gaussian_sample(mu, logvar, eps, sigma, z):
    """sigma = exp(logvar / 2) and z = mu + sigma eps."""
    sigma[:] = np.exp(logvar / 2)
    z[:] = mu[:, None] + sigma[:, None] * eps


def gaussian_sample_gradient(dz, eps, sigma, dmu, dlogvar):
    """dmu = sum_s dz and dlogvar = sum_s dz sigma eps / 2, for dz and eps (R, S, D), the rest (R, D)."""
    dmu[:] = dz.sum(axis=1)
    dlogvar[:] = (dz * sigma[:, None] * eps / 2).sum(axis=1)


def gaussian_log_posterior(logvar, eps, logq):
    """logq = -1/2 sum_d (eps² + logvar + log 2 pi), for eps (R, S, D), logvar (R, D), logq (R, S)."""
    logq[:] = -(eps**2 + logvar[:, None] + LOG_2PI).sum(axis=2) / 2


def gaussian_log_posterior_gradient(dpath, ddirect, eps, sigma, dmu, dlogvar):
    """The derivative of log q by two ways, added to dmu and dlogvar (R, D), for dpath and ddirect (R, S).

    By the path of the sample: -eps / sigma and -eps² / 2; directly: eps / sigma and (eps² - 1) / 2.
    """
    path, direct, sigma = dpath[:, :, None], ddirect[:, :, None], sigma[:, None]
    dmu += (direct * eps / sigma - path * eps / sigma).sum(axis=1)
    dlogvar += (direct * (eps**2 - 1) / 2 - path * eps**2 / 2).sum(axis=1)


def standard_normal_log_density(z, logp):
    """logp = -1/2 sum_d (z² + log 2 pi), for z (R, S, D), logp (R, S)."""
    logp[:] = -(z**2 + LOG_2PI).sum(axis=2) / 2


def gaussian_log_density(z, mu, logvar, logp):
    """logp = sum_d log N(z; mu, exp(logvar)), for z (R, S, D), mu and logvar (R, D), logp (R, S)."""
    mu, logvar = mu[:, None], logvar[:, None]
    logp[:] = -((z - mu) ** 2 / np.exp(logvar) + logvar + LOG_2PI).sum(axis=2) / 2


def gaussian_log_density_gradient(dlogp, z, mu, logvar, dz, dmu, dlogvar):
    """dz (R, S, D), dmu and dlogvar (R, D) of the sum of dlogp times ``gaussian_log_density``."""
    residual, variance, dlogp = z - mu[:, None], np.exp(logvar)[:, None], dlogp[:, :, None]
    dz[:] = -dlogp * residual / variance
    dmu[:] = (dlogp * residual / variance).sum(axis=1)
    dlogvar[:] = (dlogp * (residual**2 / variance - 1) / 2).sum(axis=1)


def component_log_densities(z, mu, logvar, logp):
    """logp = sum_d log N(z; mu, exp(logvar)), each row of z (R, D) under each of mu and logvar (M, D): logp (R, M)."""
    logp[:] = -((z[:, None] - mu) ** 2 / np.exp(logvar) + logvar + LOG_2PI).sum(axis=2) / 2


def component_log_densities_gradient(dlogp, z, mu, logvar, dz, dmu, dlogvar):
    """dz (R, D), dmu and dlogvar (M, D) of the sum of dlogp times ``component_log_densities``."""
    residual, variance, dlogp = z[:, None] - mu, np.exp(logvar), dlogp[:, :, None]
    dz[:] = -(dlogp * residual / variance).sum(axis=1)
    dmu[:] = (dlogp * residual / variance).sum(axis=0)
    dlogvar[:] = (dlogp * (residual**2 / variance - 1) / 2).sum(axis=0)


# ---------------------------------------------------------------------------------------------------------------------
# Likelihoods (derivation/likelihoods.py): row n of the data x (N, D) serves rows n K ... n K + K - 1 of the outputs
# ---------------------------------------------------------------------------------------------------------------------


def bernoulli_log_prob(x, logits, logp):
    """logp = sum_d x l - log(1 + e^l), and the logits become x - sigmoid(l), in place; logits (N K, D), logp (N, K)."""
    x = np.repeat(x, logp.shape[1], axis=0)
    logp[:] = (x * logits - np.logaddexp(0, logits)).sum(axis=1).reshape(logp.shape)
    logits[:] = x - special.expit(logits)


def bernoulli_of_layers(x, z, Ws, bs, logp, activation):
    """The logp (N, K) of ``bernoulli_log_prob``, for the logits that ``layers`` makes of z (N K, I); none are kept."""
    outputs = [np.empty((len(z), len(b)), z.dtype) for b in bs]
    layers(z, Ws, bs, outputs, activation, LINEAR)
    bernoulli_log_prob(x, outputs[-1], logp)


def gaussian_log_prob(x, outputs, squash, floor, logp):
    """logp = sum_d log N(x; m, exp(s)), and the outputs (N K, 2 D) become its derivative by them, in place.

    The left half of the outputs is the mean m, or with ``squash`` its logit; the right half, but at least the floor, is
    s. logp is (N, K).
    """
    x = np.repeat(x, logp.shape[1], axis=0)
    a, t = np.split(outputs.copy(), 2, axis=1)
    mean, logvar = special.expit(a) if squash else a, np.maximum(t, floor)
    slope = mean * (1 - mean) if squash else 1
    residual, variance = x - mean, np.exp(logvar)
    logp[:] = -(residual**2 / variance + logvar + LOG_2PI).sum(axis=1).reshape(logp.shape) / 2
    outputs[:, : x.shape[1]] = residual / variance * slope
    outputs[:, x.shape[1] :] = np.where(t > floor, (residual**2 / variance - 1) / 2, 0)


def logistic_log_prob(x, outputs, components, logp):
    """logp = sum_d log sum_c pi_c P_c(x_d), and the outputs (N K, M D) become its derivative by them, in place.

    For x (N, D) on 256 levels: P_c(v) = sigmoid((v + 1/510 - m_c) / s_c) - sigmoid((v - 1/510 - m_c) / s_c), without an
    upper edge at 1 and without a lower one at 0. The outputs are the logits of the C weights pi (of one component there
    are none), the means m and the log scales log s, D columns each; what stands behind them is left alone.
    """
    x = np.repeat(x, logp.shape[1], axis=0)[:, None]
    C, D = components, x.shape[2]
    parts = outputs.reshape(len(outputs), outputs.shape[1] // D, D)
    logits, first = (np.zeros_like(parts[:, :1]), 0) if C == 1 else (parts[:, :C].copy(), C)
    m, t = parts[:, first : first + C].copy(), parts[:, first + C : first + 2 * C].copy()
    s = np.exp(np.clip(t, -LOGSCALE_LIMIT, LOGSCALE_LIMIT))
    u, l, delta = (x + HALF_STEP - m) / s, (x - HALF_STEP - m) / s, 2 * HALF_STEP / s
    has_upper, has_lower = x < 1, x > 0
    both = has_upper & has_lower
    with np.errstate(over="ignore"):
        log_p = np.where(both, np.log(-np.expm1(-delta)), 0)
        log_p += np.where(has_upper, special.log_expit(u), 0) + np.where(has_lower, special.log_expit(-l), 0)
        by_u, by_l = np.where(has_upper, special.expit(-u), 0), np.where(has_lower, special.expit(l), 0)
        by_t = l * by_l - u * by_u - np.where(both, delta / np.expm1(delta), 0)
    log_weights = special.log_softmax(logits, axis=1)
    total = special.logsumexp(log_weights + log_p, axis=1)
    logp[:] = total.sum(axis=1).reshape(logp.shape)
    responsibilities = np.exp(log_weights + log_p - total[:, None])
    if C > 1:
        parts[:, :C] = responsibilities - np.exp(log_weights)
    parts[:, first : first + C] = responsibilities * (by_l - by_u) / s
    parts[:, first + C : first + 2 * C] = responsibilities * np.where(abs(t) <= LOGSCALE_LIMIT, by_t, 0)


def categorical_log_prob(x, logits, alike, logp):
    """logp = sum_t log softmax(l_t) at the symbol of step t, and the logits become its derivative, in place.

    For x (N, T V), with a one among the V numbers of each step, or none: such a step counts for nothing; logits (N K,
    T V), and logp (N, K). The softmax runs over those symbols for which the symbol's row of alike (V, V) has a one.
    """
    V = len(alike)
    x = np.repeat(x, logp.shape[1], axis=0).reshape(len(logits), logits.shape[1] // V, V)
    l, allowed = logits.reshape(x.shape), x @ alike > 0
    there = x.any(axis=2, keepdims=True)
    l = np.where(allowed | ~there, l, -np.inf)
    log_p = special.log_softmax(l, axis=2)
    logp[:] = np.where(x > 0, log_p, 0).sum(axis=(1, 2)).reshape(logp.shape)
    logits[:] = (x - there * np.exp(log_p)).reshape(logits.shape)


def scale_rows(weights, rows):
    """rows *= weights, row by row, in place, for weights (R,) and rows (R, D)."""
    rows *= weights[:, None]


def sigmoid(logits, out):
    """out = 1 / (1 + e^-l), for logits and out (R, D)."""
    out[:] = special.expit(logits)


# ---------------------------------------------------------------------------------------------------------------------
# Random numbers (noise.py): a place is (two halves of the key, stream, step, first example, first block of four units)
# ---------------------------------------------------------------------------------------------------------------------

MULTIPLIERS = np.array([0xD2511F53, 0xCD9E8D57], np.uint64)
WEYL = 0x9E3779B9, 0xBB67AE85
LOW, WORD = np.uint64(0xFFFFFFFF), np.uint64(32)


def philox(counters, key):
    """Ten rounds of Philox4x32 (Salmon et al. 2011) on counters (4, ...) of uint64 below 2^32: words of the same form.

    A round multiplies the first and the third word, takes the high halves of the products with the other two words and
    the key by exclusive or, and puts the low halves beside them; the key moves on by a constant.
    """
    c, k = counters, list(key)
    for _ in range(10):
        p0, p1 = MULTIPLIERS[0] * c[0], MULTIPLIERS[1] * c[2]
        k0, k1 = map(np.uint64, k)
        c = np.stack([(p1 >> WORD) ^ c[1] ^ k0, p1 & LOW, (p0 >> WORD) ^ c[3] ^ k1, p0 & LOW])
        k = [(word + step) % 2**32 for word, step in zip(k, WEYL)]
    return c


def random_words(out, place):
    """Random words: out (N, M) uint32, a block of four at a time."""
    k0, k1, stream, step, first_example, first_block = place
    N, M = out.shape
    blocks = -(-M // 4)
    counters = np.empty((4, N, blocks), np.uint64)
    counters[0] = first_block + np.arange(blocks)
    counters[1] = first_example + np.arange(N)[:, None]
    counters[2], counters[3] = step, stream
    words = philox(counters & LOW, (k0, k1))
    out[:] = np.moveaxis(words, 0, 2).reshape(N, 4 * blocks)[:, :M]


def binary(probabilities, out, place):
    """out = 1 where the upper 24 bits of a word, as a fraction, are below the probability, else 0; (N, M) both."""
    words = np.empty(out.shape, np.uint32)
    random_words(words, place)
    out[:] = (words >> 8) * 2.0**-24 < probabilities


def normal(out, place):
    """Standard normal numbers: out (N, M) floating, two from two words by Box and Muller's transform.

    With u = (word_0 + 1/2) / 2^32 in (0, 1), and v, the other word read as signed and divided by 2^31, in [-1, 1), they
    are sqrt(-2 log u) times the cosine and the sine of pi v.
    """
    N, M = out.shape
    words = np.empty((N, M + M % 2), np.uint32)
    random_words(words, place)
    u, v = (words[:, 0::2] + 0.5) / 2**32, words[:, 1::2].astype(np.int32) / 2**31
    radius = np.sqrt(-2 * np.log(u))
    pairs = np.stack([radius * np.cos(np.pi * v), radius * np.sin(np.pi * v)], axis=2)
    out[:] = pairs.reshape(words.shape)[:, :M]


# ---------------------------------------------------------------------------------------------------------------------
# Optimisers (training/optimisers.py): steps uphill along the gradient g; all arrays (P,), the options in the order of
# the formula. Each returns the sum of the new parameters, which is finite only if they all are.
# ---------------------------------------------------------------------------------------------------------------------


def sgd_update(theta, g, velocity, options, cuts=None):
    """velocity = momentum velocity + g; theta += rate velocity."""
    momentum, rate = options
    velocity[:] = momentum * velocity + g
    theta += rate * velocity
    return theta.sum(dtype=np.float64)


def adagrad_update(theta, g, sum_of_squares, options, cuts=None):
    """sum_of_squares += g²; theta += rate g / (sqrt(sum_of_squares) + epsilon)."""
    rate, epsilon = options
    sum_of_squares += g**2
    theta += rate * g / (np.sqrt(sum_of_squares) + epsilon)
    return theta.sum(dtype=np.float64)


def adam_update(theta, g, m, v, options, cuts=None):
    """m += new1 (g - m) and v += new2 (g² - v); theta += rate m / (sqrt(v) + epsilon)."""
    new1, new2, rate, epsilon = options
    m += new1 * (g - m)
    v += new2 * (g**2 - v)
    theta += rate * m / (np.sqrt(v) + epsilon)
    return theta.sum(dtype=np.float64)


def cuts_of(shapes):
    """No cuts: one thread does everything."""
    return None


def exact(function):
    """The function as it is: what NumPy and Python do with single numbers is IEEE 754 already."""
    return function


# ---------------------------------------------------------------------------------------------------------------------
# Threads, the wait for the compiler, and what does the products
# ---------------------------------------------------------------------------------------------------------------------


class Crew(Block):
    """A block in which BLAS has one thread, so that the results do not depend on the number of cores."""

    def __init__(self):
        super().__init__()
        self._holders = []

    def _begin(self):
        self._holders.append(object())
        blas.hold(self._holders[-1])

    def _end(self):
        blas.release(self._holders.pop())


def crew(size=None):
    """The Crew of the caller alone, whatever the size; ValueError for what is none."""
    require_threads(1 if size is None else size)
    return Crew()


def watch_compilation(watcher):
    """Nothing is ever compiled."""


def compile_ahead(also=""):
    """Nothing is to be compiled."""


blas_kernels, blas_description = blas.kernel_set, blas.description
