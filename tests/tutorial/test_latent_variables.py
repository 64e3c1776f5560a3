"""The checks of notebook 1: they accept what is right, and say of typical mistakes what is wrong."""

import numpy as np
import pytest
from scipy.special import logsumexp

from tests.notebooks import rejects
from tinyvae import tutorial

# ---- 1.1


def log_marginal(x, W, m, C, log_det=1.0, constant=1.0):
    """Minus the half of each row's quadratic form, log det C and D log 2 pi, row by row."""
    rows = []
    for row in x - m:
        quadratic = row @ np.linalg.inv(C) @ row
        rows.append(-(quadratic + log_det * np.log(np.linalg.det(C)) + constant * len(row) * np.log(2 * np.pi)) / 2)
    return np.array(rows)


def covariance(W, s2):
    return W.T @ W + s2 * np.eye(W.shape[1])


LOG_MARGINALS = [
    (lambda x, W, m, s2: log_marginal(x, W, 0, covariance(W, s2)), "the mean m is missing"),
    (lambda x, W, m, s2: log_marginal(x, W, m, covariance(W, np.sqrt(s2))), "the noise enters with its square root"),
    (lambda x, W, m, s2: log_marginal(x, W, m, covariance(W, s2**2)), "the noise enters squared"),
    (lambda x, W, m, s2: log_marginal(x, W, m, covariance(W, s2), constant=0), "the constant is missing, D/2 log 2 pi"),
    (
        lambda x, W, m, s2: log_marginal(x, W, m, covariance(W, s2), constant=1 / x.shape[1]),
        "due for each of the D dimensions",
    ),
    (lambda x, W, m, s2: log_marginal(x, W, m, covariance(W, s2), log_det=2), "log det C is there twice"),
    (lambda x, W, m, s2: log_marginal(x, W, m, covariance(W, s2), log_det=-1), "the sign of log det C"),
    (lambda x, W, m, s2: log_marginal(x, W, m, covariance(W, s2), log_det=0), "log det C is missing"),
    (lambda x, W, m, s2: log_marginal(x, W, m, covariance(W, s2)).sum(), "a sum or a mean too many"),
    (lambda x, W, m, s2: -log_marginal(x, W, m, covariance(W, s2)), "a sign?"),
    (lambda x, W, m, s2: 2 * log_marginal(x, W, m, covariance(W, s2)), "exactly twice ours: a factor?"),
]


@pytest.mark.parametrize(("answer", "words"), LOG_MARGINALS, ids=[words for _, words in LOG_MARGINALS])
def test_log_marginal(answer, words):
    tutorial.check_log_marginal(lambda x, W, m, s2: log_marginal(x, W, m, covariance(W, s2)))
    rejects(tutorial.check_log_marginal, answer, words=words)


# ---- 1.2


def without_putting_it_back(l):
    l = l - np.max(l, axis=1)[:, None]
    return np.log(np.exp(l).mean(axis=1))


LOG_MEANS = [
    (lambda l: np.log(np.sum(np.exp(l), axis=1) / l.shape[1]), "these overflow or vanish"),
    (lambda l: np.max(l) + np.log(np.exp(l - np.max(l)).sum(axis=1) / l.shape[1]), "Take each row's own"),
    (lambda l: np.log(np.exp(l - l.min(1)[:, None]).mean(1)) + l.min(1), "it is not the largest that is taken out"),
    (lambda l: np.log(np.exp(l - l[:, :1]).mean(1)) + l[:, 0], "it is not the largest that is taken out"),
    (lambda l: np.mean(l, axis=1), "this is the mean of the logarithms"),
    (lambda l: np.log(np.exp(l - l.max(1)[:, None]).sum(1)) + l.max(1), "the 1/K of the mean is missing"),
    (without_putting_it_back, "never put back"),
    (lambda l: logsumexp(l, axis=1) - l.shape[1], "a factor 1/K inside of the logarithm is log K outside"),
    (lambda l: np.max(l, axis=1), "this is the largest of the logarithms alone"),
    (lambda l: np.log(np.mean(np.exp(l), axis=0)), "its shape is (3,), and (4,) is expected"),
    (
        lambda l: logsumexp(l, axis=1, keepdims=True) - np.log(l.shape[1]),
        "Is an axis of length 1 too many (keepdims)?",
    ),
    (lambda l: logsumexp(l) - np.log(l.size), "a sum or a mean too many, or over all axes?"),
]


@pytest.mark.parametrize(("answer", "words"), LOG_MEANS, ids=[words for _, words in LOG_MEANS])
def test_log_mean_exp(answer, words):
    rejects(tutorial.check_log_mean_exp, answer, words=words)


# ---- 1.3


def log_weights(
    x, mu, logvar, eps, W, m, s2, likelihood=1, prior=1, q=1, sigma=None, sigma_q=None, at=None, noise=None
):
    """log w with each term by its formula; what is None is as it should be."""
    sigma = np.exp(logvar / 2) if sigma is None else sigma
    sigma_q = sigma if sigma_q is None else sigma_q
    noise = np.sqrt(s2) if noise is None else noise
    z = mu[:, None, :] + sigma[:, None, :] * eps

    def log_normal(a, mean, s):
        return (-((a - mean) ** 2) / (2 * s**2) - np.log(s) - np.log(2 * np.pi) / 2).sum(axis=-1)

    log_q = log_normal(z if at is None else at, mu[:, None, :], sigma_q[:, None, :])
    return likelihood * log_normal(x[:, None, :], z @ W + m, noise) + prior * log_normal(z, 0, np.ones(())) - q * log_q


LOG_WEIGHTS = [
    (lambda *a: log_weights(*a, sigma=np.exp(a[2])), "use exp(logvar), the variance, where sigma belongs"),
    (
        lambda *a: log_weights(*a, sigma_q=np.exp(a[2])),
        "log q takes exp(logvar), the variance, for its standard deviation",
    ),
    (lambda *a: log_weights(*a, q=-1), "log q is added"),
    (lambda *a: log_weights(*a, q=0), "log q is missing"),
    (lambda *a: log_weights(*a, q=0, prior=0), "this is log p(x | z) alone"),
    (lambda *a: log_weights(*a, prior=0), "log p(z) is missing"),
    (lambda *a: log_weights(*a, prior=-1, q=-1), "have each other's sign"),
    (lambda *a: log_weights(*a, at=a[3]), "log q is taken at eps"),
    (lambda *a: log_weights(*a, noise=a[6]), "s2 is used as a standard deviation"),
    (lambda *a: -log_weights(*a), "a sign?"),
    (lambda *a: log_weights(*a).mean(axis=1), "a sum or a mean too many"),
    (lambda *a: log_weights(*a[:5], 0, a[6]), "the mean m is missing"),
]


@pytest.mark.parametrize(("answer", "words"), LOG_WEIGHTS, ids=[words for _, words in LOG_WEIGHTS])
def test_log_weights(answer, words):
    tutorial.check_log_weights(log_weights)
    rejects(tutorial.check_log_weights, answer, words=words)


def test_log_weights_with_logvar_for_sigma():
    with np.errstate(invalid="ignore"):
        rejects(
            tutorial.check_log_weights,
            lambda x, mu, logvar, *a: log_weights(x, mu, logvar, *a, sigma=logvar),
            words="logvar is used as if it were sigma",
        )


# ---- 1.4


def posterior(x, W, m, s2, prior=1, noise=None, linear=None):
    """The precision, and the means by its inverse."""
    noise = s2 if noise is None else noise
    P = prior * np.eye(W.shape[0]) + (W @ W.T) / noise
    return (x - m) @ W.T / (noise if linear is None else linear) @ np.linalg.inv(P), P


POSTERIORS = [
    (lambda x, W, m, s2: posterior(x, W, 0, s2), "The mean of your posterior: the mean m is missing"),
    (lambda *a: posterior(*a, linear=1), "the factor 1/s2 of the linear term is missing"),
    (lambda x, W, m, s2: ((x - m) @ W.T / s2, posterior(x, W, m, s2)[1]), "this is the linear term itself"),
    (lambda *a: (posterior(*a)[0], np.linalg.inv(posterior(*a)[1])), "this is the covariance"),
    (lambda *a: posterior(*a, prior=0), "the prior's own precision, the identity, is missing"),
    (lambda x, W, m, s2: posterior(x, W, m, s2, noise=1), "the noise is missing"),
    (lambda x, W, m, s2: posterior(x, W, m, s2, noise=1, linear=s2), "the noise is missing"),
    (lambda x, W, m, s2: posterior(x, W, m, s2, noise=np.sqrt(s2)), "the noise enters with its square root"),
    (lambda x, W, m, s2: posterior(x, W, m, s2, noise=s2**2), "the noise enters squared"),
    (lambda *a: (posterior(*a)[0].T, posterior(*a)[1]), "Is it transposed?"),
    (lambda *a: posterior(*a)[0], "2 outputs are expected (the mean, the precision), not 1"),
]


@pytest.mark.parametrize(("answer", "words"), POSTERIORS, ids=[words for _, words in POSTERIORS])
def test_posterior(answer, words):
    tutorial.check_posterior(posterior)
    rejects(tutorial.check_posterior, answer, words=words)


# ---- 1.5


def kl(mu1, s1, mu2, s2):
    """By standard deviations."""
    return np.log(s2 / s1) + (s1**2 + (mu1 - mu2) ** 2) / (2 * s2**2) - 0.5


KLS = [
    (lambda a, b, c, d: 2 * kl(a, np.exp(b / 2), c, np.exp(d / 2)), "exactly twice ours: the 1/2?"),
    (lambda a, b, c, d: kl(c, np.exp(d / 2), a, np.exp(b / 2)), "have changed places"),
    (lambda a, b, c, d: kl(a, np.exp(b), c, np.exp(d)), "exp(logvar) is used as a standard deviation"),
    (lambda a, b, c, d: kl(a, np.exp(b / 2), c, np.exp(d / 2)) + 0.5, "where is the -1?"),
    (lambda a, b, c, d: kl(0, np.exp(b / 2), 0, np.exp(d / 2)), "the difference of the means plays no part"),
    (
        lambda a, b, c, d: kl(0, np.exp(b / 2), 0, np.exp(d / 2)) + (a - c) ** 2 / 2,
        "to be divided by the second variance",
    ),
    (lambda a, b, c, d: kl(a, np.exp(b / 2), c, np.exp(d / 2)) + b - d, "the sign of the logarithms"),
    (lambda a, b, c, d: -kl(a, np.exp(b / 2), c, np.exp(d / 2)), "a sign?"),
    (lambda a, b, c, d: kl(a, np.exp(b / 2), c, np.exp(d / 2)).sum(), "a sum or a mean too many"),
]


@pytest.mark.parametrize(("answer", "words"), KLS, ids=[words for _, words in KLS])
def test_kl(answer, words):
    tutorial.check_kl(lambda a, b, c, d: kl(a, np.exp(b / 2), c, np.exp(d / 2)))
    rejects(tutorial.check_kl, answer, words=words)


# ---- 1.6


def divergence(P, v):
    return (P.diagonal() @ v - P.shape[0] - np.log(v).sum() - np.log(np.linalg.det(P))) / 2


def price(P):
    v = 1 / P.diagonal()
    return v, divergence(P, v)


PRICES = [
    (
        lambda P: ((v := np.linalg.inv(P).diagonal()), divergence(P, v)),
        "these are the variances of the posterior itself",
    ),
    (lambda P: (P.diagonal(), price(P)[1]), "these are the precisions"),
    (lambda P: ((v := P.diagonal()), divergence(P, v)), "these are the precisions"),
    (lambda P: (P.diagonal() ** -0.5, price(P)[1]), "these are standard deviations"),
    (lambda P: (price(P)[0], 2 * price(P)[1]), "exactly twice ours: the 1/2?"),
    (lambda P: (price(P)[0], -price(P)[1]), "a divergence is never negative"),
    (lambda P: (price(P)[0], np.log(P.diagonal()).sum() / 2), "log det P is missing"),
    (lambda P: price(P)[1], "2 outputs are expected (the variances, the divergence), not 1"),
    (lambda P: (np.diag(price(P)[0]), price(P)[1]), "its shape is (3, 3), and (3,) is expected"),
]


@pytest.mark.parametrize(("answer", "words"), PRICES, ids=[words for _, words in PRICES])
def test_price_of_independence(answer, words):
    tutorial.check_price_of_independence(price)
    rejects(tutorial.check_price_of_independence, answer, words=words)
