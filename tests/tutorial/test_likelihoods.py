"""The checks of notebook 11: they accept what is right, and say of typical mistakes what is wrong."""

import numpy as np
import pytest
from scipy import stats
from scipy.special import expit, log_softmax, logsumexp, softmax
from scipy.stats import norm

from tests.notebooks import cases, rejects, solutions
from tinyvae import tutorial
from tinyvae.derivation import levels as package
from tinyvae.training import protocol
from tinyvae.tutorial import likelihoods

NAMES = {"np": np, "norm": norm, "expit": expit, "log_softmax": log_softmax, "logsumexp": logsumexp}
SOLUTIONS = solutions("11_likelihoods", **NAMES)
LEVELS = np.arange(256) / 255


# ---- 11.1


def bound(levels, mu, sigma, u):
    x = (levels + u) / 256
    log_p = -0.5 * ((x - mu) / sigma) ** 2 - np.log(sigma) - 0.5 * np.log(2 * np.pi)
    return np.sum(log_p - np.log(256), axis=-1).mean(axis=0)


def test_a_bound_written_out_is_accepted():
    tutorial.check_dequantised_bound(bound)


def test_the_bound_is_one():
    """On the exact probability of the cells, by the Gaussian's distribution function."""
    rng = np.random.default_rng(0)
    levels, u = rng.integers(0, 256, (4, 3)), (np.arange(2000)[:, None, None] + 0.5) / 2000
    for sigma in (0.001, 0.004, 0.1):
        mu = (levels + rng.random((4, 3))) / 256
        cells = norm.cdf((levels + 1) / 256, mu, sigma) - norm.cdf(levels / 256, mu, sigma)
        exact = np.log(cells).sum(axis=1)
        found = SOLUTIONS["dequantised_bound"](levels, mu, np.full((4, 3), sigma), u)
        assert (found <= exact + 1e-6).all()
        assert sigma < 0.1 or found == pytest.approx(exact, abs=1e-3)


def density(levels, mu, sigma, u, x=lambda v, u: (v + u) / 256):
    return norm.logpdf(x(levels, u), mu, sigma)


@cases(
    (lambda *a: density(*a).sum(2).mean(0), "D log 256 is missing"),
    (lambda *a: density(*a).sum(2).mean(0) - np.log(256), "log 256 is there once"),
    (lambda v, *a: density(v, *a).sum(2).mean(0) + v.shape[1] * np.log(256), "the sign of log 256"),
    (lambda v, *a: density(v, *a).sum(2).mean(0) - 8 * v.shape[1], "these are bits less than nats"),
    (lambda v, *a: density(v, *a, x=lambda v, u: (v + u) / 255).sum(2).mean(0) - v.shape[1] * np.log(256), "by 255"),
    (lambda v, *a: density(v, *a, x=lambda v, u: v / 255 + 0 * u).sum(2).mean(0) - v.shape[1] * np.log(256), "noise"),
    (lambda v, *a: density(v, *a, x=lambda v, u: v / 256 + u).sum(2).mean(0) - v.shape[1] * np.log(256), "too wide"),
    (lambda v, m, s, u: logsumexp(density(v, m, s, u).sum(2), 0) - np.log(len(u) * 256.0 ** v.shape[1]), "above the b"),
    (lambda v, *a: density(v, *a).sum(2).sum(0) - v.shape[1] * np.log(256), "an expectation is their mean"),
    (lambda v, *a: bound(v, *a) / v.shape[1], "the mean over the dimensions: the bound"),
    (lambda v, *a: density(v, *a).mean(2).mean(0), "Densities multiply"),
    (lambda v, m, s, u: bound(v, m, s**0.5, u), "sigma is used as a variance"),
    (lambda v, *a: bound(v, *a) + v.shape[1] * np.log(np.sqrt(2 * np.pi)), "1/2 log 2 pi is missing"),
)
def test_dequantised_bound(answer, words):
    rejects(tutorial.check_dequantised_bound, answer, words=words)


# ---- 11.2


def test_bits_are_those_of_the_package():
    """For a bound of 100 nats of an example of 8 x 8 pixels in colour."""

    class Fitted:
        class settings:
            likelihood, dequantise = "logistic", False

        class model:
            data_dim = 192

    images = np.zeros((1, 192), np.uint8)
    found = SOLUTIONS["bits_per_dimension"](np.array([-100.0]), 192, False)
    assert found == pytest.approx(protocol.bits_per_dimension(Fitted, images, -100.0))
    Fitted.settings.likelihood, Fitted.settings.dequantise = "gaussian", True
    found = SOLUTIONS["bits_per_dimension"](np.array([250.0]), 192, True)
    assert found == pytest.approx(protocol.bits_per_dimension(Fitted, images, 250.0))


@cases(
    (lambda L, D, deq: -L.mean() / D + deq * np.log(256), "nats instead of bits"),
    (lambda L, D, deq: -L.mean() / D + deq * 8, "only the 8 is in bits"),
    (lambda L, D, deq: -L.mean() / D / np.log(2), "the 8 bits of a cell are missing"),
    (lambda L, D, deq: -L.mean() / D / np.log(2) + np.log(256) * deq, "log 256 is in nats"),
    (lambda L, D, deq: -L.mean() / D / np.log(2) - 8 * deq, "the sign of the 8"),
    (lambda L, D, deq: -L.mean() / D / np.log(2) + 8, "8 more than ours wherever"),
    (lambda L, D, deq: -L.mean() / D / np.log(2) + 8 * (not deq), "the two kinds of bounds are swapped"),
    (lambda L, D, deq: (-L.mean() / np.log(2) + 8 * deq) / D, "8 is divided by D too"),
    (lambda L, D, deq: -L.mean() / np.log(2) + 8 * deq, "not divided by D"),
    (lambda L, D, deq: -L.mean() / np.log(2) + 8 * deq * D, "not divided by D: these are bits for an example. Count"),
    (lambda L, D, deq: L.mean() / D / np.log(2) + 8 * deq, "the sign: -log2 P"),
    (lambda L, D, deq: -L.mean() * np.log(2) / D + 8 * deq, "multiplied by log 2"),
    (lambda L, D, deq: -L.sum() / D / np.log(2) + 8 * deq, "the sum over the examples"),
    (lambda L, D, deq: -L / D / np.log(2) + 8 * deq, "the mean over the examples is missing"),
    (lambda L, D, deq: (-L.mean() / D / np.log(2) + 8 * deq) / 8, "these are bytes"),
)
def test_bits_per_dimension(answer, words):
    rejects(tutorial.check_bits_per_dimension, answer, words=words)


# ---- 11.3


def test_the_check_s_own_probabilities_sum_to_one_and_are_scipy_s():
    for m, t in ((0.5, -3.0), (1.3, -1.0), (-0.2, 2.0), (0.51, -12.0)):
        logs = likelihoods.log_probability(LEVELS, np.full(256, m), np.full(256, t))
        assert np.exp(logs).sum() == pytest.approx(1, abs=1e-12)
    cells = np.diff(stats.logistic.cdf(np.concatenate([[-np.inf], (np.arange(255) + 0.5) / 255, [np.inf]]), 0.3, 0.1))
    found = likelihoods.log_probability(LEVELS, np.full(256, 0.3), np.full(256, np.log(0.1)))
    assert np.exp(found) == pytest.approx(cells, rel=1e-9)


def sigmoid(a):
    with np.errstate(over="ignore"):
        return 1 / (1 + np.exp(-a))


def by_log_sigmoids(v, m, t):
    """log sigmoid(u) + log(1 - sigmoid(l) / sigmoid(u)), mirrored above the mean: lost where both are nearly one."""
    s, above = np.exp(t), v > m
    u, l = (v + 1 / 510 - m) / s, (v - 1 / 510 - m) / s
    u, l = np.where(v == 1, np.inf, u), np.where(v == 0, -np.inf, l)
    u, l = np.where(above, -l, u), np.where(above, -u, l)
    log_u, log_l = -np.logaddexp(0, -u), -np.logaddexp(0, -l)
    return log_u + np.log(-np.expm1(log_l - log_u))


def by_hyperbolic_functions(v, m, t):
    """Another way that loses nothing: sinh(delta / 2) / (cosh(delta / 2) + cosh((v - m) / s))."""
    s = np.exp(t)
    half, centre = 1 / (510 * s), np.abs(v - m) / s
    log_sinh = half + np.log(-np.expm1(-2 * half))
    log_cosh = np.logaddexp(np.logaddexp(half, -half), np.logaddexp(centre, -centre))
    at_end = -np.logaddexp(0, np.where(v == 1, v - 1 / 510 - m, m - v - 1 / 510) / s)
    return np.where((v == 0) | (v == 1), at_end, log_sinh - log_cosh)


def test_another_stable_way_is_accepted():
    tutorial.check_level_log_probability(by_hyperbolic_functions)


def naive(v, m, t, open_ends=True, floor=0.0, half=1 / 510):
    s = np.exp(t)
    upper, lower = sigmoid((v + half - m) / s), sigmoid((v - half - m) / s)
    if open_ends:
        upper, lower = np.where(v == 1, 1, upper), np.where(v == 0, 0, lower)
    return np.log(np.maximum(upper - lower, floor))


def product(v, m, t, half=1 / 510, top=1, bottom=0, inner=True, cell=lambda delta: -np.expm1(-delta), also=()):
    s = np.exp(t)
    value = np.where(v != top, -np.logaddexp(0, -(v + half - m) / s), 0)
    value = value + np.where(v != bottom, -np.logaddexp(0, (v - half - m) / s), 0)
    is_inner = ((v != top) & (v != bottom)) | np.isin(v, also)
    return value + np.where(is_inner, np.log(cell(2 * half / s)), 0) * inner


def log_density(v, m, t):
    return stats.logistic.logpdf(v, m, np.exp(t))


@cases(
    (naive, "minus infinity where both sigmoids round to the same number"),
    (lambda *a: naive(*a, open_ends=False), "sum to less than 1. And minus infinity"),
    (lambda *a: naive(*a, floor=1e-12), "is clipped at about 1e-12"),
    (lambda *a: naive(*a, open_ends=False, floor=1e-12), "the open ends are missing"),
    (lambda *a: product(*a, top=None, bottom=None), "sum to less than 1"),
    (lambda *a: product(*a, top=None), "the open end is missing at v = 1"),
    (lambda *a: product(*a, bottom=None), "the open end is missing at v = 0"),
    (lambda *a: product(*a, top=0, bottom=1), "the ends are swapped"),
    (lambda *a: product(*a, inner=False), "log(1 - e^-delta) is missing"),
    (lambda *a: product(*a, also=(1,)), "one term too many at v = 1"),
    (lambda *a: product(*a, also=(0,)), "one term too many at v = 0"),
    (lambda *a: product(*a, also=(0, 1)), "one term too many at the ends"),
    (lambda *a: product(*a, cell=lambda delta: 1 - np.exp(-delta)), "For 1 - e^-delta take -np.expm1"),
    (by_log_sigmoids, "the difference of two numbers that round to the same"),
    (lambda *a: product(*a, half=1 / 255), "edges twice as far apart"),
    (lambda *a: product(*a, half=1 / 512), "edges at 1/512"),
    (lambda v, m, t: product(v, m, t / 2), "t is used as the logarithm of a variance"),
    (lambda v, m, t: product(v, m, -t), "the scale is e^t"),
    (lambda *a: log_density(*a) - np.log(255), "the density times the width of a cell"),
    (log_density, "this is the density"),
    (lambda *a: -product(*a), "exactly the negative of ours"),
    (lambda *a: np.exp(product(*a)), "this is P"),
    (lambda *a: product(*a) / np.log(2), "these are bits"),
    (lambda *a: product(*a).sum(axis=1), "the sum over the dimensions is taken"),
)
def test_level_log_probability(answer, words):
    rejects(tutorial.check_level_log_probability, answer, words=words)


# ---- 11.4


def with_other_sigmoids(v, m, t, top=1, bottom=0, by_u=-1, by_l=1, expm1=np.expm1):
    """The sigmoids are of ``by_u`` u and ``by_l`` l."""
    s = np.exp(t)
    u, l, width = (v + 1 / 510 - m) / s, (v - 1 / 510 - m) / s, 1 / (255 * s)
    a, b = np.where(v == top, 0, sigmoid(by_u * u)), np.where(v == bottom, 0, sigmoid(by_l * l))
    with np.errstate(over="ignore"):
        return (b - a) / s, l * b - u * a - np.where((v == 0) | (v == 1), 0, width / expm1(width))


def derivatives(v, m, t, open_ends=True, by_m=lambda d, s: d / s, delta=-1):
    s = np.exp(t)
    u, l, width = (v + 1 / 510 - m) / s, (v - 1 / 510 - m) / s, 1 / (255 * s)
    top, bottom = (v == 1) & open_ends, (v == 0) & open_ends
    a, b = np.where(top, 0, 1 - sigmoid(u)), np.where(bottom, 0, sigmoid(l))
    a = np.where(top, 0, np.exp(-np.logaddexp(0, u))) if open_ends else np.exp(-np.logaddexp(0, u))
    inner = np.where(top | bottom, 0, width * np.exp(-width) / -np.expm1(-width))
    return by_m(b - a, s), l * b - u * a + delta * inner


def test_other_derivatives_are_accepted_and_are_the_package_s():
    tutorial.check_level_derivatives(derivatives)
    tutorial.check_level_derivatives(with_other_sigmoids)
    rng = np.random.default_rng(0)
    v, m, t = np.round(255 * rng.random((1, 9))) / 255, rng.random((1, 9)), -3 * rng.random((1, 9))
    _, cache = package.logistic(v, np.concatenate([m, t], axis=1))
    assert np.concatenate(likelihoods.derivatives(v, m, t), axis=1) == pytest.approx(cache.derivative, rel=1e-9)


def by_quotient(v, m, t):
    s = np.exp(t)
    u, l = (v + 1 / 510 - m) / s, (v - 1 / 510 - m) / s
    F, G = np.where(v == 1, 1, sigmoid(u)), np.where(v == 0, 0, sigmoid(l))
    f, g = np.where(v == 1, 0, sigmoid(u) * sigmoid(-u)), np.where(v == 0, 0, sigmoid(l) * sigmoid(-l))
    return (g - f) / (F - G) / s, (l * g - u * f) / (F - G)


def with_infinite_edges(v, m, t):
    s = np.exp(t)
    u, l = np.where(v == 1, np.inf, (v + 1 / 510 - m) / s), np.where(v == 0, -np.inf, (v - 1 / 510 - m) / s)
    width = u - l
    return (sigmoid(l) - sigmoid(-u)) / s, l * sigmoid(l) - u * sigmoid(-u) - width / np.expm1(width)


@cases(
    (lambda *a: derivatives(*a, open_ends=False), "the open ends are missing"),
    (by_quotient, "0 / 0 where the probability is lost"),
    (lambda *a: with_other_sigmoids(*a, top=0, bottom=1), "the ends are swapped"),
    (lambda *a: with_other_sigmoids(*a, by_u=1, by_l=-1), "the sign within both sigmoids"),
    (lambda *a: with_other_sigmoids(*a, expm1=lambda a: np.exp(a) - 1), "Take np.expm1(delta)"),
    (lambda *a: derivatives(*a, by_m=lambda d, s: d), "the factor 1/s is missing"),
    (lambda *a: derivatives(*a, by_m=lambda d, s: -d / s), "a mean wants to move towards the level"),
    (lambda *a: derivatives(*a, by_m=lambda d, s: 2 * d / s), "exactly twice ours"),
    (lambda *a: derivatives(*a, delta=0), "the term of delta is missing"),
    (lambda *a: derivatives(*a, delta=1), "the sign of delta's term"),
    (lambda v, m, t: (derivatives(v, m, t)[0], derivatives(v, m, t)[1] / np.exp(t)), "the derivative by the scale"),
    (lambda *a: (derivatives(*a)[0], -derivatives(*a)[1]), "exactly the negative of ours"),
    (lambda v, m, t: (np.tanh((v - m) / np.exp(t) / 2) / np.exp(t), 0 * v), "the density's logarithm"),
    (lambda *a: derivatives(*a)[0], "2 outputs are expected"),
)
def test_level_derivatives(answer, words):
    rejects(tutorial.check_level_derivatives, answer, words=words)


def test_an_infinite_edge_is_recognised():
    with pytest.raises(tutorial.Wrong, match=r"not a number|infinite edge"):
        tutorial.check_level_derivatives(with_infinite_edges, hint=3)


# ---- 11.5


def joint(v, a, m, t):
    return log_softmax(a, axis=1), likelihoods.log_probability(np.broadcast_to(v[:, None], m.shape), m, t)


def mixture(v, a, m, t):
    """By the sums themselves, one example, one dimension after the other."""
    log_p, da = np.zeros(len(v)), np.zeros_like(a)
    for n, d in np.ndindex(v.shape):
        log_pi = a[n, :, d] - logsumexp(a[n, :, d])
        each = log_pi + likelihoods.log_probability(np.full(a.shape[1], v[n, d]), m[n, :, d], t[n, :, d])
        log_p[n] += logsumexp(each)
        da[n, :, d] = softmax(each) - np.exp(log_pi)
    return log_p, da


def test_a_mixture_in_loops_is_accepted_and_is_the_package_s():
    tutorial.check_level_mixture(mixture)
    rng = np.random.default_rng(0)
    v, (a, m, t) = np.round(255 * rng.random((2, 4))) / 255, rng.standard_normal((3, 2, 5, 4))
    logp, cache = package.logistic(v, np.concatenate([a, m, t], axis=1).reshape(2, -1), components=5)
    found, da = mixture(v, a, m, t)
    assert found == pytest.approx(logp[:, 0])
    assert da == pytest.approx(cache.derivative.reshape(2, 15, 4)[:, :5])


def value(change):
    """A wrong log p, of log pi and log P, with the right derivative."""
    return lambda *arguments: (change(*joint(*arguments)), mixture(*arguments)[1])


def by_logits(change):
    """A wrong derivative, of responsibilities and weights, with the right log p."""

    def answer(*arguments):
        log_p, da = mixture(*arguments)
        pi = softmax(arguments[1], axis=1)
        return log_p, change(da + pi, pi)

    return answer


@cases(
    (value(lambda pi, P: np.log(np.sum(np.exp(pi) * np.exp(P), 1)).sum(1)), "every component's probability"),
    (value(lambda pi, P: logsumexp(P, axis=1).sum(axis=1)), "the weights are missing: sum_c"),
    (value(lambda pi, P: logsumexp(P - np.log(P.shape[1]), 1).sum(1)), "each component has 1/C"),
    (lambda v, a, m, t: (logsumexp(a + joint(v, a, m, t)[1], 1).sum(1), mixture(v, a, m, t)[1]), "not divided by"),
    (value(lambda pi, P: (np.exp(pi) * P).sum(axis=(1, 2))), "by Jensen that is below"),
    (value(lambda pi, P: logsumexp((pi + P).sum(axis=2), axis=1)), "chooses one component for a whole image"),
    (value(lambda pi, P: (pi + P).max(axis=1).sum(axis=1)), "only the likeliest component"),
    (value(lambda pi, P: logsumexp(pi + P, axis=1).mean(axis=1)), "the mean over the dimensions"),
    (value(lambda pi, P: logsumexp(pi + P, axis=1)), "the sum over the dimensions is missing"),
    (value(lambda pi, P: logsumexp(pi + P, axis=1).sum(axis=1) / np.log(2)), "these are bits"),
    (by_logits(lambda r, pi: r), "-pi is missing"),
    (by_logits(lambda r, pi: pi - r), "exactly the negative of ours"),
    (by_logits(lambda r, pi: r / pi), "the derivative by the weights"),
    (by_logits(lambda r, pi: r - 1 / r.shape[1]), "the weights are missing in what is taken off"),
    (by_logits(lambda r, pi: (r - pi).sum(axis=2)), "each has logits of its own"),
    (lambda *a: mixture(*a)[0], "2 outputs are expected"),
)
def test_level_mixture(answer, words):
    rejects(tutorial.check_level_mixture, answer, words=words)


# ---- 11.6


def colours(x, m, c, dmeans, told=None, move=1.0):
    told = x if told is None else told
    means, dc = m.copy(), np.empty_like(c)
    means[..., 1] += move * c[..., 0] * told[..., 0]
    means[..., 2] += move * (c[..., 1] * told[..., 0] + c[..., 2] * told[..., 1])
    for i, (channel, of) in enumerate(((0, 1), (0, 2), (1, 2))):
        dc[..., i] = x[..., channel] * dmeans[..., of]
    return means, dc


def test_other_colours_are_accepted_and_sum_to_one():
    tutorial.check_colour_means(colours)
    # p(r) p(g | r) over all levels of red and green is 1, although the means are moved
    red, green = (grid.ravel() for grid in np.meshgrid(LEVELS, LEVELS))
    x = np.stack([red, green, green], axis=-1)[:, None]
    m, c = np.full(x.shape, 0.3), np.full(x.shape, 0.7)
    logs = likelihoods.log_probability(x, colours(x, m, c, x)[0], np.full(x.shape, -2.0))
    assert np.exp(logs[..., :2].sum(axis=-1)).sum() == pytest.approx(1)


@cases(
    (lambda x, m, c, d: colours(x, m, c, d, told=m), "the means of red and green are used"),
    (lambda x, m, c, d: (colours(x, m, c[..., [0, 2, 1]], d)[0], colours(x, m, c, d)[1]), "the order of the coeff"),
    (lambda x, m, c, d: colours(x, 0 * m, c, d), "the means themselves are missing"),
    (lambda x, m, c, d: colours(x, m, c, d, told=x * [1, 0, 0]), "green is missing in blue's mean"),
    (lambda x, m, c, d: (colours(x, m, c * [1, 0, 1], d)[0], 0 * d), "red is missing in blue's mean"),
    (lambda x, m, c, d: (m + c * x, x * d), "each channel is moved by its own value"),
    (lambda x, m, c, d: colours(x, m, c, d, move=-1), "c r is added"),
    (lambda x, m, c, d: (colours(x, m, c, d)[0], colours(m, m, c, d)[1]), "the means are used in the derivative"),
    (lambda x, m, c, d: (colours(x, m, c, d)[0], colours(x, m, c, d)[1][..., [0, 2, 1]]), "the order of the deriv"),
    (lambda x, m, c, d: (colours(x, m, c, d)[0], c * colours(x, m, c, d)[1]), "a factor c is too much"),
    (lambda x, m, c, d: (colours(x, m, c, d)[0], x * d), "its own value and derivative"),
    (lambda x, m, c, d: (colours(x, m, c, d)[0], d[..., [1, 2, 2]]), "the values are missing"),
    (lambda x, m, c, d: (colours(x, m, c, d)[0], colours(x, m, c, d)[1].sum(axis=1)), "each pixel has coefficients"),
    (lambda *a: colours(*a)[0], "2 outputs are expected"),
)
def test_colour_means(answer, words):
    rejects(tutorial.check_colour_means, answer, words=words)
