"""The checks of notebook 3: they accept what is right, and say of typical mistakes what is wrong."""

import numpy as np
import pytest

from tests.notebooks import rejects
from tinyvae import tutorial
from tinyvae.derivation import gaussian
from tinyvae.tutorial import reparameterisation

# ---- 3.1


def expected_cosine(m, lv):
    e = np.exp(-0.5 * np.exp(lv))
    return np.cos(m) * e, -np.sin(m) * e, np.cos(m) * e * (-0.5 * np.exp(lv))


def test_expected_cosine_is_accepted_and_is_what_samples_say(capsys):
    tutorial.check_expected_cosine(expected_cosine)
    assert capsys.readouterr().out == "Right: your E[cos z].\n"
    z = 0.7 + 1.3 * np.random.default_rng(0).standard_normal(1_000_000)
    value = expected_cosine(0.7, 2 * np.log(1.3))[0]
    assert abs(np.cos(z).mean() - value) < 5 * np.cos(z).std() / 1000  # five standard errors


@pytest.mark.parametrize(
    ("part", "value", "words"),
    [
        (0, lambda m, v: np.cos(m), "the cosine of the mean"),
        (0, lambda m, v: np.exp(-v) * np.cos(m), "1/2 in the exponent"),
        (0, lambda m, v: np.cos(m) * np.exp(v / 2), "the sign in the exponent"),
        (0, lambda m, v: np.cos(m) * np.exp(-0.5 * v * v), "sigma² already"),
        (1, lambda m, v: np.sin(m) * np.exp(-v / 2), "the derivative of cos is -sin"),
        (1, lambda m, v: -np.sin(m), "is a factor of the derivative too"),
        (2, lambda m, v: -np.cos(m) * np.exp(-v / 2) / 2, "derivative by the variance"),
        (2, lambda m, v: -np.cos(m) * np.exp(-v / 2) * v**0.5, "derivative by sigma"),
        (2, lambda m, v: -np.cos(m) * np.exp(-v / 2) * v, "exactly twice"),
    ],
)
def test_mistakes_of_expected_cosine(part, value, words):
    def answer(m, lv):
        values = list(expected_cosine(m, lv))
        values[part] = value(m, np.exp(lv))
        return tuple(values)

    rejects(tutorial.check_expected_cosine, answer, words=words)


# ---- 3.2


def score_gradient(f, mu, logvar, eps):
    s = np.exp(logvar) ** 0.5
    z = mu + s * eps
    return f(z) * (z - mu) / s**2, f(z) * ((z - mu) ** 2 / s**2 - 1) / 2


def test_score_gradient_is_accepted():
    tutorial.check_score_gradient(score_gradient)


def with_score(by_mu, by_logvar=lambda s, e: (e**2 - 1) / 2, z=lambda mu, s, e: mu + s * e):
    def answer(f, mu, logvar, eps):
        s = np.exp(logvar / 2)
        value = f(z(mu, s, eps))
        return value * by_mu(s, eps), value * by_logvar(s, eps)

    return answer


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (with_score(lambda s, e: e), "sigma is missing"),
        (with_score(lambda s, e: e / s**2), "one sigma cancels"),
        (with_score(lambda s, e: e * s), "in the place of divided"),
        (with_score(lambda s, e: e / s, lambda s, e: e * e / 2), "-1/2 is missing"),
        (with_score(lambda s, e: e / s, lambda s, e: e * e - 1), "by log sigma"),
        (with_score(lambda s, e: e / s, lambda s, e: 0.5 - e * e / 2), "exactly the negative"),
        (with_score(lambda s, e: e / s, z=lambda mu, s, e: e), "f is taken at eps"),
        (with_score(lambda s, e: e / s, z=lambda mu, s, e: mu + s * s * e), "z is made with exp"),
        (lambda f, mu, logvar, eps: score_gradient(np.ones_like, mu, logvar, eps), "f(z) is missing"),
        (lambda f, *arguments: [a.mean() for a in score_gradient(f, *arguments)], "shape is … a mean too many"),
        (with_score(lambda s, e: -e / s), "exactly the negative"),
        (lambda f, mu, logvar, eps: score_gradient(f, mu, 2 * logvar, eps), "taken for sigma everywhere"),
    ],
)
def test_mistakes_of_score_gradient(answer, words):
    rejects(tutorial.check_score_gradient, answer, words=words)


def test_the_path_in_the_place_of_the_score_is_recognised():
    def answer(f, mu, logvar, eps):
        z, h = mu + np.exp(logvar / 2) * eps, 1e-5
        slope = (f(z + h) - f(z - h)) / (2 * h)
        return slope, slope * np.exp(logvar / 2) * eps / 2

    rejects(tutorial.check_score_gradient, answer, words="derivative of f along the path")


# ---- 3.3


def path_gradient(df, mu, logvar, eps, z=lambda mu, s, e: mu + s * e, rate=lambda s, e: 0.5 * s * e):
    s = np.sqrt(np.exp(logvar))
    slope = df(z(mu, s, eps)) + 0 * eps
    return slope, slope * rate(s, eps)


def test_path_gradient_is_accepted():
    tutorial.check_path_gradient(path_gradient)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"z": lambda mu, s, e: e}, "f' is taken at eps"),
        ({"z": lambda mu, s, e: mu}, "f' is taken at mu"),
        ({"z": lambda mu, s, e: mu + s**2 * e}, "z is made with exp"),
        ({"rate": lambda s, e: s * e}, "exactly twice"),
        ({"rate": lambda s, e: e}, "the derivative by sigma"),
        ({"rate": lambda s, e: e / 2}, "sigma is missing"),
        ({"rate": lambda s, e: s * s * e / 2}, "the variance stands where sigma is due"),
        ({"rate": lambda s, e: s / 2}, "eps is missing"),
    ],
)
def test_mistakes_of_path_gradient(changes, words):
    rejects(tutorial.check_path_gradient, lambda *arguments: path_gradient(*arguments, **changes), words=words)


# ---- 3.4


def variances(mu, sigma):
    mean_square = mu**4 / sigma**2 + 18 * mu**2 + 15 * sigma**2
    return mean_square - 4 * mu**2, 4 * sigma**2


def test_variances_are_accepted_and_are_those_of_samples():
    tutorial.check_variances(variances)
    eps = np.random.default_rng(0).standard_normal(2_000_000)
    z = 0.8 + 0.6 * eps
    for estimate, exact in zip((z**2 * eps / 0.6, 2 * z), variances(0.8, 0.6)):
        squares = (estimate - estimate.mean()) ** 2
        assert abs(squares.mean() - exact) < 5 * squares.std() / len(eps) ** 0.5  # five standard errors


@pytest.mark.parametrize(
    ("part", "value", "words"),
    [
        (0, lambda m, s: m**4 / s**2 + 18 * m**2 + 15 * s**2, "this is the mean of the square"),
        (0, lambda m, s: m**4 + 14 * m**2 * s**2 + 15 * s**4, "its square brings 1 / sigma²"),
        (0, lambda m, s: m**4 / s**2 + 2 * m**2 + 15 * s**2, "E[eps⁴] = 3"),
        (0, lambda m, s: m**4 / s**2 + 14 * m**2 + 3 * s**2, "E[eps⁶] = 15"),
        (0, lambda m, s: variances(m, s)[0] ** 0.5, "standard deviations"),
        (1, lambda m, s: 2 * s, "this is the standard deviation"),
        (1, lambda m, s: 4 * (m * m + s * s), "the mean of the square"),
        (1, lambda m, s: s**2, "a quarter of ours"),
    ],
)
def test_mistakes_of_variances(part, value, words):
    def answer(mu, sigma):
        values = list(variances(mu, sigma))
        values[part] = value(mu, sigma)
        return tuple(values)

    rejects(tutorial.check_variances, answer, words=words)


# ---- 3.5


def leave_one_out(f, score):
    return np.array([(f[s] - np.mean(np.delete(f, s))) * score[s] for s in range(len(f))])


def test_leave_one_out_is_accepted():
    tutorial.check_leave_one_out(leave_one_out)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda f, score: f * score, "the baseline is missing"),
        (lambda f, score: (f - np.mean(f)) * score, "includes the sample's own f"),
        (lambda f, score: f * score - (sum(f) - f) / (len(f) - 1), "the baseline is outside"),
        (lambda f, score: (f - (np.sum(f) - f) / f.size) * score, "The others are S - 1"),
        (lambda f, score: (2 * f - np.sum(f)) * score, "their mean is due"),
        (lambda f, score: -leave_one_out(f, score), "exactly the negative"),
        (lambda f, score: leave_one_out(f, score).mean(), "a mean too many"),
    ],
)
def test_mistakes_of_leave_one_out(answer, words):
    rejects(tutorial.check_leave_one_out, answer, words=words)


def test_leaving_one_out_is_unbiased_and_taking_all_is_not():
    """What the diagnosis of the baseline that includes the sample says: a factor 1 - 1/S."""
    S, repeats = 3, 200_000
    eps = np.random.default_rng(0).standard_normal((repeats, S))
    f = (1 + eps) ** 2  # E[f score] = 2 by the mean, at sigma = 1
    for baseline, mean in (((f.sum(axis=1, keepdims=True) - f) / (S - 1), 2.0), (f.mean(axis=1)[:, None], 4 / 3)):
        estimates = ((f - baseline) * eps).mean(axis=1)
        assert abs(estimates.mean() - mean) < 5 * estimates.std() / repeats**0.5  # five standard errors


# ---- 3.6


def layer_backward(dz, eps, logvar):
    return np.einsum("rsd->rd", dz), np.einsum("rsd,rsd,rd->rd", dz, eps, 0.5 * np.exp(0.5 * logvar))


def test_layer_backward_is_accepted_and_is_the_package_s():
    tutorial.check_layer_backward(layer_backward)

    def package(dz, eps, logvar):
        return gaussian.sample_backward(dz, gaussian.sample(np.zeros_like(logvar), logvar, eps)[1])

    tutorial.check_layer_backward(package)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda dz, e, lv: (dz.mean(1), (dz * e).mean(1) * np.exp(lv / 2) / 2), "a mean over the samples"),
        (lambda dz, e, lv: (dz, dz * e * np.exp(lv / 2)[:, None] / 2), "the sum over the samples is missing"),
        (lambda dz, e, lv: (dz[:, 0], (dz * e)[:, 0] * np.exp(lv / 2) / 2), "the first sample alone"),
        (lambda dz, e, lv: (dz.sum(1), (dz * e).sum(1) * np.exp(lv / 2)), "exactly twice"),
        (lambda dz, e, lv: (dz.sum(1), (dz * e).sum(1) * np.exp(lv) / 2), "the variance stands"),
        (lambda dz, e, lv: (dz.sum(1), (dz * e).sum(1) * np.exp(lv)), "z = mu + exp(logvar) eps"),
        (lambda dz, e, lv: (dz.sum(1), (dz * e).sum(1)), "derivative by sigma"),
        (lambda dz, e, lv: (dz.sum(1), (dz * e).sum(1) / 2), "sigma is missing"),
        (lambda dz, e, lv: (dz.sum(1), dz.sum(1) * np.exp(lv / 2) / 2), "eps is missing"),
        (lambda dz, e, lv: (dz.sum(1), dz.sum(1) * e.sum(1) * np.exp(lv / 2) / 2), "a product of two sums"),
    ],
)
def test_mistakes_of_layer_backward(answer, words):
    rejects(tutorial.check_layer_backward, answer, words=words)


# ---- 3.7


def log_q_derivatives(logvar, eps):
    s = np.exp(logvar / 2)
    return -eps / s, -0.5 * eps**2, eps / s, 0.5 * eps**2 - 0.5


def test_log_q_derivatives_are_accepted():
    tutorial.check_log_q_derivatives(log_q_derivatives)


@pytest.mark.parametrize(
    ("part", "value", "words"),
    [
        (0, lambda s, e: -e, "sigma is missing"),
        (0, lambda s, e: e / s, "this is the direct one"),
        (0, lambda s, e: -e / s**2, "a factor sigma² is too much"),
        (1, lambda s, e: -(e**2), "exactly twice"),
        (1, lambda s, e: -e / s, "alone"),
        (1, lambda s, e: 0 * e - 0.5, "the full derivative"),
        (2, lambda s, e: -e / s, "this is the path's"),
        (2, lambda s, e: 0 * e, "z is to be held fixed"),
        (3, lambda s, e: e**2 / 2, "-1/2 is missing"),
        (3, lambda s, e: e**2 - 1, "exactly twice"),
        (3, lambda s, e: (1 - e**2) / 2, "exactly the negative"),
    ],
)
def test_mistakes_of_log_q_derivatives(part, value, words):
    def answer(logvar, eps):
        values = list(log_q_derivatives(logvar, eps))
        values[part] = value(np.exp(logvar / 2), eps)
        return tuple(values)

    rejects(tutorial.check_log_q_derivatives, answer, words=words)


# ---- 3.8


def log_weight_gradient(
    x, mu, logvar, eps, W, m, s2, direct, prior=-1.0, likelihood=1.0, path=1.0, sign=-1.0, half=0.5
):
    dmu, dlogvar = np.empty_like(eps), np.empty_like(eps)
    for n, k in np.ndindex(eps.shape[:2]):
        e, s = eps[n, k], np.exp(logvar[n] / 2)
        z = mu[n] + s * e
        dz = likelihood * W @ (x[n] - m - z @ W) / s2 + prior * z + path * e / s
        dmu[n, k] = dz + sign * direct * e / s
        dlogvar[n, k] = dz * half * s * e + sign * direct * (e**2 - 1) / 2
    return dmu, dlogvar


def test_log_weight_gradient_is_accepted():
    tutorial.check_log_weight_gradient(log_weight_gradient)


def test_log_weight_gradient_is_the_derivative_of_log_w():
    """By central differences, and our reference is what the check compares with."""
    rng = np.random.default_rng(0)
    x, mu, logvar, eps = (rng.standard_normal(s) for s in ((2, 3), (2, 2), (2, 2), (2, 1, 2)))
    W, m, s2 = rng.standard_normal((2, 3)), rng.standard_normal(3), 0.4

    def log_w(mu, logvar):
        z = mu + np.exp(logvar / 2) * eps[:, 0]
        log_joint = -0.5 * (((x - m - z @ W) ** 2).sum() / s2 + (z**2).sum())
        return log_joint + 0.5 * (logvar + eps[:, 0] ** 2).sum()

    gradients = log_weight_gradient(x, mu, logvar, eps, W, m, s2, 1)
    for i, gradient in enumerate(gradients):
        for place in np.ndindex(2, 2):
            step = np.zeros((2, 2))
            step[place] = 1e-5
            above, below = ([mu + sign * step, logvar] if i == 0 else [mu, logvar + sign * step] for sign in (1, -1))
            assert (log_w(*above) - log_w(*below)) / 2e-5 == pytest.approx(gradient[:, 0][place], abs=1e-7)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"prior": 0.0}, "the prior is missing"),
        ({"prior": 1.0}, "the sign of the prior"),
        ({"likelihood": 0.0}, "the likelihood is missing"),
        ({"likelihood": -1.0}, "the sign of the likelihood"),
        ({"path": 0.0}, "the path through log q is missing"),
        ({"path": -1.0}, "the sign of the path"),
        ({"sign": 0.0}, "direct derivatives of -log q are missing"),
        ({"sign": 1.0}, "the sign of the direct"),
        ({"half": 1.0}, "the 1/2"),
    ],
)
def test_mistakes_of_log_weight_gradient(changes, words):
    rejects(tutorial.check_log_weight_gradient, lambda *a: log_weight_gradient(*a, **changes), words=words)


def test_more_mistakes_of_log_weight_gradient():
    right = log_weight_gradient
    twice = lambda x, mu, logvar, *rest: right(x, mu, 2 * logvar, *rest)  # noqa: E731
    rejects(tutorial.check_log_weight_gradient, twice, words="the variance, is taken for sigma")
    rejects(tutorial.check_log_weight_gradient, lambda *a: right(*a[:-1], 1), words="`direct` plays no part")
    rejects(tutorial.check_log_weight_gradient, lambda *a: right(*a[:6], a[6] ** 2, a[7]), words="enters squared")
    summed = lambda *a: [g.sum(axis=1) for g in right(*a)]  # noqa: E731
    rejects(tutorial.check_log_weight_gradient, summed, words="a sum over the samples")


def test_all_checks_are_offered():
    names = [name for name in vars(reparameterisation) if name.startswith("check_")]
    assert len(names) == 8 and all(getattr(tutorial, n) is getattr(reparameterisation, n) for n in names)
