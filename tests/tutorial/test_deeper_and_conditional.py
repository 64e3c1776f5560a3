"""The checks of notebook 7: right answers pass, and each typical mistake gets its own diagnosis."""

import numpy as np
import pytest
from scipy import stats
from scipy.special import logsumexp

from tests.notebooks import rejects
from tinyvae import tutorial
from tinyvae.checks.finite_differences import TOLERANCE, numerical_gradient, relative_error


def log_normal(z, mu, logvar):
    return stats.norm.logpdf(z, mu, np.exp(logvar / 2)).sum(axis=-1)


# ---- right answers, as in the notebook; some with a part that can be changed


def log_weights(x, eps1, eps2, encoder, encoder2, decoder2, log_likelihood, **wrong):
    mu1, logvar1 = (stat[:, None] for stat in encoder(x))
    z1 = mu1 + np.exp(logvar1 * wrong.get("half", 0.5)) * eps1
    mu2, logvar2 = encoder2(mu1 + 0 * z1 if "mean" in wrong else z1)
    z2 = mu2 + np.exp(logvar2 * wrong.get("half", 0.5)) * eps2
    log_p1 = stats.norm.logpdf(z1).sum(axis=2) if "flat" in wrong else log_normal(z1, *decoder2(z2))
    log_p = log_likelihood(x, z1) + wrong.get("p1", 1) * log_p1 + wrong.get("p2", 1) * stats.norm.logpdf(z2).sum(axis=2)
    return log_p - log_normal(z1, mu1, logvar1) - wrong.get("q2", 1) * log_normal(z2, mu2, logvar2)


def with_variances(x, eps1, eps2, encoder, encoder2, decoder2, log_likelihood):
    """sigma = exp(logvar) in samples and densities."""

    def twice(network):
        return lambda h: (network(h)[0], 2 * network(h)[1])

    return log_weights(x, eps1, eps2, twice(encoder), twice(encoder2), twice(decoder2), log_likelihood)


def log_density_backward(z, mu, logvar):
    r, p = z - mu, np.exp(-logvar)
    return -r * p, r * p, (r**2 * p - 1) / 2


def second_layer_backward(z1, eps2, A, a, B, b, **wrong):
    mu2, logvar2 = np.split(z1 @ A + a, 2, axis=1)
    sigma2 = np.exp(logvar2 / 2 * wrong.get("variance", 1))
    z2 = mu2 + sigma2 * eps2
    m, s = np.split(z2 @ B + b, 2, axis=1)
    direct, dm, ds = log_density_backward(z1, m, s * wrong.get("variance", 1))
    dz2 = wrong.get("decoder", 1) * np.concatenate([dm, ds], axis=1) @ B.T - wrong.get("prior", 1) * z2
    if "score" in wrong:
        dz2 = dz2 + (z2 - mu2) / sigma2**2
    dstats = np.concatenate([dz2, dz2 * sigma2 * eps2 / 2 + wrong.get("entropy", 0.5)], axis=1)
    return wrong.get("direct", 1) * direct + wrong.get("above", 1) * dstats @ A.T


def price_without_the_top(z, log_q):
    return np.mean(log_q - stats.norm.logpdf(z, z.mean(axis=0), z.std(axis=0)).sum(axis=1))


def with_labels(h, y, C):
    return np.concatenate([h, np.eye(C)[np.repeat(y, len(h) // len(y))]], axis=1)


def bayes(logp, log_prior):
    joint = logp + log_prior
    largest = joint.max(axis=1, keepdims=True)
    p = np.exp(joint - largest)
    return (largest + np.log(p.sum(axis=1, keepdims=True)))[:, 0], p / p.sum(axis=1, keepdims=True)


def table_gradient(drows, y, C):
    table = np.zeros((C, drows.shape[1]))
    np.add.at(table, y, drows)
    return table


CHECKS = {
    "two_layer_log_weights": log_weights,
    "log_density_backward": log_density_backward,
    "second_layer_backward": second_layer_backward,
    "price_without_the_top": price_without_the_top,
    "with_labels": with_labels,
    "bayes": bayes,
    "table_gradient": table_gradient,
}


@pytest.mark.parametrize("name", CHECKS)
def test_a_right_answer_passes(name, capsys):
    getattr(tutorial, f"check_{name}")(CHECKS[name])
    assert capsys.readouterr().out.startswith("Right: your ")


def test_the_derivatives_are_those_of_finite_differences():
    """What the checks compare with."""
    rng = np.random.default_rng(0)
    z, mu, logvar = rng.standard_normal((3, 4, 2))
    for array, gradient in zip((z, mu, logvar), log_density_backward(z, mu, logvar), strict=True):
        numerical = numerical_gradient(lambda: log_normal(z, mu, logvar).sum(), array)
        assert relative_error(gradient, numerical) < TOLERANCE

    z1, eps2 = rng.standard_normal((5, 3)), rng.standard_normal((5, 2))
    A, a, B, b = (0.5 * rng.standard_normal(shape) for shape in ((3, 4), 4, (2, 6), 6))

    def g():
        mu2, logvar2 = np.split(z1 @ A + a, 2, axis=1)
        z2 = mu2 + np.exp(logvar2 / 2) * eps2
        log_p = log_normal(z1, *np.split(z2 @ B + b, 2, axis=1)) + stats.norm.logpdf(z2).sum(axis=1)
        return np.sum(log_p - log_normal(z2, mu2, logvar2))

    numerical = numerical_gradient(g, z1)
    assert relative_error(second_layer_backward(z1, eps2, A, a, B, b), numerical) < TOLERANCE

    table, y, u = rng.standard_normal((4, 2)), np.array([3, 0, 3, 3, 1]), rng.standard_normal((5, 2))
    numerical = numerical_gradient(lambda: np.sum(u * table[y] ** 2), table)
    assert relative_error(table_gradient(2 * u * table[y], y, 4), numerical) < TOLERANCE


def test_no_other_gaussian_makes_the_lower_layer_cheaper():
    rng = np.random.default_rng(0)
    z, log_q = rng.standard_normal((30, 2)) * [0.5, 2] + [1, -1], rng.standard_normal(30)
    best = price_without_the_top(z, log_q)
    for shift, factor in ((0.1, 1), (-0.1, 1), (0, 1.1), (0, 0.9)):
        assert best < np.mean(log_q - stats.norm.logpdf(z, z.mean(axis=0) + shift, z.std(axis=0) * factor).sum(axis=1))


# ---- wrong answers, as a student might write them


def weights(**wrong):
    return lambda *arguments: log_weights(*arguments, **wrong)


def layer(**wrong):
    return lambda *arguments: second_layer_backward(*arguments, **wrong)


def density(i, f):
    """An answer whose i-th output is f(residual, logvar)."""

    def backward(z, mu, logvar):
        right = list(log_density_backward(z, mu, logvar))
        right[i] = f(z - mu, logvar)
        return right

    return backward


def standard_deviations(z, mu, logvar):
    r, sigma = z - mu, np.exp(logvar / 2)
    return -r / sigma, r / sigma, (r**2 / sigma - 1) / 2


def the_last_one_wins(drows, y, C):
    table = np.zeros((C, drows.shape[1]))
    table[y] += drows
    return table


def averages(drows, y, C):
    return np.array([drows[y == c].mean(axis=0) if np.any(y == c) else 0 * drows[0] for c in range(C)])


def softmax(a):
    p = np.exp(a - a.max(axis=1, keepdims=True))
    return p / p.sum(axis=1, keepdims=True)


MISTAKES = [
    ("two_layer_log_weights", weights(mean=1), "reads the mean of q"),
    ("two_layer_log_weights", weights(flat=1), "its prior is p(z1 | z2)"),
    ("two_layer_log_weights", weights(p1=0), "log p(z1 | z2) is missing"),
    ("two_layer_log_weights", weights(p2=0), "log p(z2) is missing"),
    ("two_layer_log_weights", weights(q2=0), "log q(z2 | z1) is missing"),
    ("two_layer_log_weights", weights(q2=-1), "log q(z2 | z1) is added"),
    ("two_layer_log_weights", weights(half=1), "sigma = exp(logvar / 2) belongs"),
    ("log_density_backward", standard_deviations, "divided by the standard deviation"),
    ("log_density_backward", density(0, lambda r, s: r / np.exp(s)), "falls as z moves away"),
    ("log_density_backward", density(2, lambda r, s: r**2 / np.exp(s) / 2), "normalisation"),
    ("log_density_backward", density(2, lambda r, s: r**2 / np.exp(s) - 1), "exactly twice ours"),
    ("log_density_backward", density(0, lambda r, s: -r), "the precision is missing"),
    ("second_layer_backward", layer(direct=0), "the direct way is missing"),
    ("second_layer_backward", layer(above=0), "only the direct way is there"),
    ("second_layer_backward", layer(entropy=0), "log q(z2 | z1) is missing"),
    ("second_layer_backward", layer(entropy=-0.5), "the sign of log q"),
    ("second_layer_backward", layer(prior=0), "log p(z2) is missing"),
    ("second_layer_backward", layer(decoder=0), "decoder2 is missing"),
    ("second_layer_backward", layer(score=1), "the two cancel"),
    ("price_without_the_top", lambda z, q: np.mean(q - stats.norm.logpdf(z).sum(axis=1)), "under the standard normal"),
    (
        "price_without_the_top",
        lambda z, q: np.mean(q - stats.norm.logpdf(z, z.mean(axis=0), z.var(axis=0)).sum(axis=1)),
        "used as a standard deviation",
    ),
    ("price_without_the_top", lambda z, q: -price_without_the_top(z, q), "a cost"),
    (
        "price_without_the_top",
        lambda z, q: np.mean(q - stats.norm.logpdf(z, z.mean(axis=0), z.std()).sum(axis=1)),
        "each is to have its own",
    ),
    (
        "with_labels",
        lambda h, y, C: np.concatenate([h, np.eye(C)[np.tile(y, len(h) // len(y))]], axis=1),
        "right for K = 1, but",
    ),
    ("two_layer_log_weights", with_variances, "is taken for sigma everywhere"),
    (
        "second_layer_backward",
        lambda *a: second_layer_backward(*a, variance=2),
        "is taken for the standard deviation",
    ),
    ("with_labels", lambda h, y, C: np.c_[np.eye(C)[np.repeat(y, len(h) // len(y))], h], "before the input"),
    ("with_labels", lambda h, y, C: np.c_[h, np.repeat(y, len(h) // len(y))], "nine times 1"),
    ("bayes", lambda logp, prior: (logsumexp(logp, axis=1), softmax(logp + prior)), "p(y) is missing"),
    ("bayes", lambda logp, prior: ((logp + prior).max(axis=1), softmax(logp + prior)), "the others count too"),
    (
        "bayes",
        lambda logp, prior: (np.log((np.exp(logp) * np.exp(prior)).sum(axis=1)), softmax(logp + prior)),
        "overflow or vanish",
    ),
    ("bayes", lambda logp, prior: (logp @ np.exp(prior), softmax(logp + prior)), "a bound by Jensen"),
    ("bayes", lambda logp, prior: (bayes(logp, prior)[0], softmax(logp)), "a rare label needs better evidence"),
    ("bayes", lambda logp, prior: (bayes(logp, prior)[0], np.log(softmax(logp + prior))), "Take the exponential"),
    ("table_gradient", the_last_one_wins, "np.add.at does"),
    ("table_gradient", averages, "sums over all places"),
    ("table_gradient", lambda drows, y, C: table_gradient(drows, y, C) / len(drows), "divided by N"),
    (
        "table_gradient",
        lambda drows, y, C: table_gradient(drows, y, C)[sorted(set(y))],
        "only for the labels that occur",
    ),
]


@pytest.mark.parametrize(("name", "answer", "words"), MISTAKES, ids=[f"{m[0]}: {m[2]}" for m in MISTAKES])
def test_a_mistake_is_recognised(name, answer, words):
    rejects(getattr(tutorial, f"check_{name}"), answer, words=words)
