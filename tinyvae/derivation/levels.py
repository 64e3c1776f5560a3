"""Likelihoods of values on 256 levels, such as the bytes of a picture: the discretised logistic, and mixtures of it.

A level v = 0, 1/255, ..., 1 stands for all values that are rounded to it. So its probability is what a density on the
line has between the edges around it (Kingma et al. 2016; Salimans et al. 2017, section 2.1). For the logistic density
with mean m and scale s, whose distribution function is the sigmoid, that is a difference of two sigmoids,

    P(v) = sigmoid(u) - sigmoid(l)    with    u = (v + h - m) / s,   l = (v - h - m) / s,   h = 1 / 510

The two ends are open, so that the probabilities of all levels sum to 1: at v = 1 there is no upper edge, at v = 0 no
lower one.

**Stable.** Where both sigmoids round to 1, or both to 0, the difference as it stands is zero, and its logarithm lost:
that is where most of the levels are. But sigmoid(u) = 1 / (1 + e^-u) and 1 - sigmoid(l) = sigmoid(-l), so

    sigmoid(u) - sigmoid(l) = (e^-l - e^-u) / ((1 + e^-u) (1 + e^-l)) = sigmoid(u) sigmoid(-l) (1 - e^-(u - l))

which is a product: with softplus(a) = log(1 + e^a) = max(a, 0) + log(1 + e^-|a|), which never overflows, and the
distance of the edges delta = u - l = 1 / (255 s),

    log P(v) = -softplus(-u) - softplus(l) + log(1 - e^-delta)

Without an upper edge (v = 1) the first and the last term fall away, without a lower one (v = 0) the last two: no case
needs a threshold, no probability is clipped, and log P is never above 0, so no scale needs a floor.

**Backward.** With softplus' = sigmoid, and d log(1 - e^-delta) / d delta = 1 / (e^delta - 1),

    by u: sigmoid(-u)        by l: -sigmoid(l)        by delta: 1 / (e^delta - 1)

and with the log scale t = log s, from du/dm = dl/dm = -1/s, du/dt = -u, dl/dt = -l, d delta / dt = -delta,

    by m: (sigmoid(l) - sigmoid(-u)) / s        by t: l sigmoid(l) - u sigmoid(-u) - delta / (e^delta - 1)

each term where its edge is, the last one where both are.
"""

from functools import partial

import numpy as np

from tinyvae import machine
from tinyvae.derivation.likelihoods import Likelihood, LikelihoodCache, content, require_rows, scaled
from tinyvae.derivation.shapes import misfit
from tinyvae.types import Array

COMPONENTS = 5  # of the mixture
LEVELS = 256
LIMIT = machine.LOGSCALE_LIMIT
START = -2.0  # of the log scales: a standard deviation of a quarter of the range


def logistic(x: Array, outputs: Array, out: Array | None = None, components: int = 1) -> tuple[Array, LikelihoodCache]:
    """log p(x | z) = sum_d log sum_c pi_c P_c(x_d), for C discretised logistics with the weights pi = softmax(a).

    The outputs are, side by side, the logits a of all components, their means m and their log scales t; of one
    component there are no logits. Log scales beyond ± LIMIT are taken for it, and do not move, so that every number is
    one of float32. With the responsibilities r_c = pi_c P_c / sum_c' pi_c' P_c', as for any mixture,

        by a_c: r_c - pi_c        by m_c and t_c: r_c times the derivative of log P_c

    Args:
        x: (N, D) on the levels 0, 1/255, ..., 1.
        outputs: (N K, M D), M = 3 C, or 2 for one component.
        out: (N K, M D) array to keep the derivative in, which may be that of the outputs; a new one by default.
        components: C.

    Returns:
        logp: (N, K), in nats: the logarithm of a probability.
        cache: for ``logistic_backward``.
    """
    require_rows(x, outputs, numbers(components))
    x, derivative = np.ascontiguousarray(x), content(outputs, out)
    logp = np.empty((len(x), len(outputs) // len(x)), outputs.dtype)
    machine.logistic_log_prob(x, derivative, components, logp)
    return logp, LikelihoodCache(derivative)


def logistic_backward(dlogp: Array, cache: LikelihoodCache, out: Array | None = None) -> Array:
    """The derivative by the outputs, as ``logistic`` left it, times that by the density of its row.

    Args:
        dlogp: (N, K).
        cache: from ``logistic``.
        out: (N K, M D) array for the result, as for ``bernoulli_backward``.

    Returns: doutputs (N K, M D).
    """
    return scaled(dlogp, cache.derivative, out)


def numbers(components: int) -> int:
    """M, how many numbers the decoder says about each entry of the data."""
    return 2 if components == 1 else 3 * components


def logistic_mean(outputs: Array, components: int = 1) -> Array:
    """E[x | z] = sum_v v P(v) = (1/255) sum_{j = 1 ... 255} P(x >= j / 255): (R, D) from (R, M D).

    P(x >= j / 255) is the sigmoid of the distance from the edge below that level, in scales.
    """
    weights, m, t = _parts(outputs, components)
    mean, scale = np.zeros_like(m[:, 0]), np.exp(-t)
    distance, above = np.empty(m.shape, m.dtype), np.empty(m.shape, m.dtype)
    for j in range(1, LEVELS):
        np.subtract(m, (j - 0.5) / (LEVELS - 1), out=distance)
        distance *= scale
        machine.sigmoid(distance.reshape(len(m), -1), above.reshape(len(m), -1))
        mean += np.einsum("rcd,rcd->rd", weights, above)
    return mean / (LEVELS - 1)


def _parts(outputs: Array, components: int) -> tuple[Array, Array, Array]:
    """The weights, means and log scales of outputs (R, M D): (R, C, D) each."""
    M = numbers(components)
    parts = outputs.reshape(len(outputs), M, outputs.shape[1] // M)
    if components == 1:
        return np.ones_like(parts[:, :1]), parts[:, :1], np.clip(parts[:, 1:], -LIMIT, LIMIT)
    a, m, t = (parts[:, i * components : (i + 1) * components] for i in range(3))
    e = np.exp(a - a.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True), m, np.clip(t, -LIMIT, LIMIT)


def logistic_bias(mean: Array, components: int = 1) -> Array:
    """The biases (M D,) of the data's mean (D,): equal weights, means around it, scales of a part of the range."""
    if components == 1:
        return np.concatenate([mean, np.full_like(mean, START)])
    spread = np.linspace(-0.25, 0.25, components)[:, None]
    rows = np.zeros((components, mean.size)), mean + spread, np.full((components, mean.size), START)
    return np.concatenate(rows).ravel()


# ---------------------------------------------------------------------------------------------------------------------
# Colours
# ---------------------------------------------------------------------------------------------------------------------


def logistic_colour(
    x: Array, outputs: Array, out: Array | None = None, components: int = 1
) -> tuple[Array, LikelihoodCache]:
    """log p(x | z) of pixels whose channels know one another (Salimans et al. 2017, section 2.2):

        p(r, g, b | z) = p(r | z) p(g | r, z) p(b | r, g, z)

    Red, green and blue rise and fall together: what one has told of the light, the next need not tell again. Each is
    distributed as in ``logistic``, with the means of all of its components moved by the channels before it,

        red: m        green: m + c_gr r        blue: m + c_br r + c_bg g

    where c_gr, c_br and c_bg are three more outputs for each pixel. They act through the means alone, so that with dm_g
    and dm_b, the derivatives by the means of green and blue, summed over the components,

        by c_gr: r dm_g        by c_br: r dm_b        by c_bg: g dm_b

    Args:
        x: (N, D) on the levels 0, 1/255, ..., 1; D = 3 P, red, green and blue of each of P pixels.
        outputs: (N K, (M + 1) D): the M D that ``logistic`` has, then c_gr, c_br and c_bg of each pixel.
        out: as for ``logistic``.
        components: C.

    Returns:
        logp: (N, K), in nats: the logarithm of a probability.
        cache: for ``logistic_backward``.

    Raises: ValueError for shapes that do not fit, such as a D that is not 3 P.
    """
    require_rows(x, outputs, numbers(components) + 1)
    if x.shape[1] % 3:
        raise misfit("x (N, 3 P)", x)
    x, derivative = np.ascontiguousarray(x), content(outputs, out)
    logp = np.empty((len(x), len(outputs) // len(x)), outputs.dtype)
    before = np.repeat(x, logp.shape[1], axis=0)
    means, coefficients = _means_and_coefficients(derivative, components)
    means += _moved(before, coefficients)[:, None]
    machine.logistic_log_prob(x, derivative, components, logp)  # which leaves the coefficients as they are
    (red, green, _), (_, dgreen, dblue) = _channels(before), _channels(means.sum(axis=1))
    coefficients[:] = np.stack([red * dgreen, red * dblue, green * dblue], axis=-1).reshape(coefficients.shape)
    return logp, LikelihoodCache(derivative)


def _means_and_coefficients(outputs: Array, components: int) -> tuple[Array, Array]:
    """The views of the means (R, C, D) and of the coefficients (R, D) in outputs (R, (M + 1) D)."""
    M = numbers(components)
    parts = outputs.reshape(len(outputs), M + 1, outputs.shape[1] // (M + 1))
    return parts[:, M - 2 * components : M - components], parts[:, M]


def _moved(x: Array, coefficients: Array) -> Array:
    """By how much the channels of x (R, D) move the means of those behind them: (R, D)."""
    (red, green, _), (c_gr, c_br, c_bg) = _channels(x), _channels(coefficients)
    return np.stack([np.zeros_like(red), c_gr * red, c_br * red + c_bg * green], axis=-1).reshape(x.shape)


def _channels(rows: Array) -> tuple[Array, ...]:
    """Red, green and blue of all pixels of rows (R, 3 P): (R, P) each."""
    return rows[:, 0::3], rows[:, 1::3], rows[:, 2::3]


def logistic_colour_mean(outputs: Array, components: int = 1) -> Array:
    """Nearly E[x | z]: (R, D) from (R, (M + 1) D), with the means of red and green in the place of their values.

    That is exact as far as the mean of a channel is linear in what moves it. It is not where the levels end, nor, by
    far, where red is one of two values far apart, whose mean is neither.
    """
    outputs = outputs.copy()
    means, coefficients = _means_and_coefficients(outputs, components)
    own, mean = means.copy(), np.zeros_like(coefficients)
    for channel in range(3):  # red, green by it, then blue by both
        means[:] = own + _moved(mean, coefficients)[:, None]
        its_outputs = outputs.reshape(len(outputs), -1, mean.shape[1])[:, :-1, channel::3]
        mean[:, channel::3] = logistic_mean(its_outputs.reshape(len(outputs), -1), components)
    return mean


def logistic_colour_bias(mean: Array, components: int = 1) -> Array:
    """The biases ((M + 1) D,) of the data's mean (D,): those of ``logistic``, and channels that do not know another."""
    return np.concatenate([logistic_bias(mean, components), np.zeros_like(mean)])


LOGISTIC = Likelihood(logistic, logistic_backward, logistic_mean, logistic_bias, numbers(1), (0.0, 1.0), levels=LEVELS)
LOGISTIC_MIXTURE = Likelihood(
    partial(logistic, components=COMPONENTS),
    logistic_backward,
    partial(logistic_mean, components=COMPONENTS),
    partial(logistic_bias, components=COMPONENTS),
    numbers(COMPONENTS),
    (0.0, 1.0),
    levels=LEVELS,
)
LOGISTIC_COLOUR = Likelihood(
    partial(logistic_colour, components=COMPONENTS),
    logistic_backward,
    partial(logistic_colour_mean, components=COMPONENTS),
    partial(logistic_colour_bias, components=COMPONENTS),
    numbers(COMPONENTS) + 1,
    (0.0, 1.0),
    levels=LEVELS,
    channels=3,
)
