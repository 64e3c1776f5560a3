"""The checks of notebook 5: they accept what is right, and say of typical mistakes what is wrong."""

import numpy as np
import pytest
from scipy import stats
from sklearn.model_selection import LeaveOneOut, cross_val_predict
from sklearn.neighbors import KNeighborsClassifier

from tests.notebooks import rejects
from tinyvae import tutorial
from tinyvae.derivation.likelihoods import LOGVAR_FLOOR
from tinyvae.drawing import mosaics

# ---- 5.1


def quantile_grid(side, place=lambda i, side: (i + 0.5) / side):
    rows = []
    for i in range(side):
        for j in range(side):
            rows.append([stats.norm.ppf(place(j, side)), stats.norm.ppf(place(side - 1 - i, side))])
    return np.array(rows)


def ppf(side):
    return stats.norm.ppf([(i + 0.5) / side for i in range(side)])


def test_quantile_grid_is_accepted(capsys):
    tutorial.check_quantile_grid(quantile_grid)
    tutorial.check_quantile_grid(mosaics.manifold_grid)
    assert capsys.readouterr().out == "Right: your grid.\n" * 2


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda side: quantile_grid(side)[::-1] * [-1, 1], "upside down"),
        (lambda side: quantile_grid(side)[:, [1, 0]], "z_1 and z_2 are swapped"),
        (lambda side: np.array([[z, w] for z in ppf(side) for w in ppf(side)]), "column by column"),
        (lambda side: stats.norm.cdf(quantile_grid(side)), "the quantiles themselves"),
        (lambda side: quantile_grid(side, lambda i, n: i / max(n - 1, 1)), "z infinite"),
        (lambda side: quantile_grid(side, lambda i, n: (i + 1) / (n + 1)), "quantiles are (i + 1)"),
        (lambda side: quantile_grid(side).reshape(side, side, 2), "shape"),
    ],
)
def test_mistakes_of_quantile_grid(answer, words):
    rejects(tutorial.check_quantile_grid, answer, words=words)


# ---- 5.2


def nearest(points, k, keep_itself=False, power=2):
    distances = np.array([[np.sum(np.abs(a - b) ** power) for b in points] for a in points])
    if not keep_itself:
        distances[range(len(points)), range(len(points))] = np.inf
    return distances.argsort(axis=1)[:, :k]


def votes(points, labels, k, **options):
    winners = [np.bincount(labels[row]).argmax() for row in nearest(points, k, **options)]
    return float(np.sum(winners == labels)) / len(labels)


def by_scikit_learn(points, labels, k):
    predicted = cross_val_predict(KNeighborsClassifier(k), points, labels, cv=LeaveOneOut())
    return np.mean(predicted == labels)


@pytest.mark.parametrize("answer", [votes, by_scikit_learn])
def test_knn_accuracy_is_accepted(answer):
    tutorial.check_knn_accuracy(answer)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda p, y, k: votes(p, y, k, keep_itself=True), "votes for itself"),
        (lambda p, y, k: votes(p, y, k, power=1), "sum the squares"),
        (lambda p, y, k: np.mean(y[nearest(p, k)] == y[:, None]), "share of the neighbours"),
        (lambda p, y, k: 100 * votes(p, y, k), "per cent"),
        (lambda p, y, k: votes(p, y, k) * len(p), "how many are right"),
        (lambda p, y, k: 1 - votes(p, y, k), "share of the errors"),
        (lambda p, y, k: votes(p, y, 1), "only the nearest one votes"),
        (lambda p, y, k: votes(p, y, k) == y, "shape"),
    ],
)
def test_mistakes_of_knn_accuracy(answer, words):
    rejects(tutorial.check_knn_accuracy, answer, words=words)


# ---- 5.3


def path(a, b, t, straight=False):
    cosine = (a * b).sum() / np.sqrt((a * a).sum() * (b * b).sum())
    omega = np.arccos(cosine)
    return np.array([(np.sin(omega - s * omega) * a + np.sin(s * omega) * b) / np.sin(omega) for s in t])


def unit(a):
    return a / np.linalg.norm(a)


def test_interpolate_is_accepted():
    tutorial.check_interpolate(path)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda a, b, t: np.array([a + s * (b - a) for s in t]), "straight line"),
        (lambda a, b, t: path(b, a, t), "the ends are swapped"),
        (lambda a, b, t: path(unit(a), unit(b), t), "scaled to length 1"),
        (lambda a, b, t: path(a, b, t) * np.sqrt(1 - (unit(a) @ unit(b)) ** 2), "division by sin"),
        (
            lambda a, b, t: np.outer(np.cos(np.pi / 2 * t), a) + np.outer(np.sin(np.pi / 2 * t), b),
            "only where a and b are orthogonal",
        ),
        (lambda a, b, t: path(a, b, t).T, "shape"),
    ],
)
def test_mistakes_of_interpolate(answer, words):
    rejects(tutorial.check_interpolate, answer, words=words)


# ---- 5.4


def moments(mu, logvar):
    m = mu.sum(axis=0) / len(mu)
    second = (mu**2 + np.exp(logvar)).sum(axis=0) / len(mu)
    return m, second - m**2


def test_aggregate_moments_is_accepted():
    tutorial.check_aggregate_moments(moments)


def test_the_moments_are_those_of_samples():
    """What the check calls right, against a million samples: within five standard errors."""
    rng = np.random.default_rng(0)
    mu, logvar = rng.standard_normal((2, 3))
    n = rng.integers(0, 3, 1_000_000)
    z = mu[n] + np.exp(logvar[n] / 2) * rng.standard_normal(len(n))
    mean, variance = moments(mu[:, None], logvar[:, None])
    assert abs(z.mean() - mean[0]) < 5 * z.std() / 1000
    assert abs(z.var() - variance[0]) < 5 * np.std((z - z.mean()) ** 2) / 1000


@pytest.mark.parametrize(
    ("variance", "words"),
    [
        (lambda mu, logvar: np.var(mu, 0), "a width of its own"),
        (lambda mu, logvar: np.mean(np.exp(logvar), 0), "The means are spread as well"),
        (lambda mu, logvar: np.var(mu, 0) + np.mean(np.exp(logvar / 2), 0), "standard deviations are averaged"),
        (lambda mu, logvar: np.var(mu, 0) + np.exp(np.mean(logvar, 0)), "averaged before the exponential"),
        (lambda mu, logvar: np.mean(mu**2 + np.exp(logvar), 0), "mean of z²"),
        (lambda mu, logvar: np.var(mu, 0, ddof=1) + np.mean(np.exp(logvar), 0), "N - 1"),
    ],
)
def test_mistakes_of_the_variance(variance, words):
    rejects(tutorial.check_aggregate_moments, lambda mu, logvar: (np.mean(mu, 0), variance(mu, logvar)), words=words)


def test_a_mean_over_everything_is_recognised():
    rejects(tutorial.check_aggregate_moments, lambda mu, logvar: (mu.mean(), 1.0), words="over all axes")


# ---- 5.5


def tables(mu, logvar, eps):
    """log q(z_n | x_m) (N, N), and log p(z_n) (N,), by hand."""
    z = mu + np.exp(0.5 * logvar) * eps
    log_q = np.array(
        [-0.5 * np.sum((z_n - mu) ** 2 / np.exp(logvar) + logvar + np.log(2 * np.pi), axis=1) for z_n in z]
    )
    return log_q, -0.5 * np.sum(z**2 + np.log(2 * np.pi), axis=1)


def surgery(mu, logvar, eps, average=lambda log_q: np.log(np.mean(np.exp(log_q), axis=1))):
    log_q, log_p = tables(mu, logvar, eps)
    return np.mean(log_q.diagonal() - average(log_q)), np.mean(average(log_q) - log_p)


def others(log_q, divided_by):
    """The average of the densities but for each one's own."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.logaddexp.reduce(np.where(np.eye(len(log_q)), -np.inf, log_q), axis=1) - np.log(divided_by)


def less_than_the_closed_form(mu, logvar, eps):
    information = surgery(mu, logvar, eps)[0]
    return information, 0.5 * np.mean((mu**2 + np.exp(logvar) - logvar - 1).sum(axis=1)) - information


def test_surgery_is_accepted():
    tutorial.check_surgery(surgery)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda *a: surgery(*a)[::-1], "swapped"),
        (lambda *a: surgery(*a, average=lambda q: others(q, len(q) - 1)), "z_n's own image is left out"),
        (lambda *a: surgery(*a, average=lambda q: others(q, len(q))), "z_n's own image is left out"),
        (less_than_the_closed_form, "the closed form of the KL less the information"),
        (lambda *a: surgery(*a, average=lambda q: q.mean(axis=1)), "the logarithms are averaged"),
        (lambda *a: surgery(*a, average=lambda q: np.log(np.exp(q).sum(axis=1))), "average of the N densities"),
        (lambda *a: surgery(*a, average=lambda q: np.log(np.mean(np.exp(q), axis=0))), "wrong axis"),
        (lambda *a: (surgery(*a)[0] + surgery(*a)[1], surgery(*a)[1]), "the whole KL"),
        (lambda *a: (surgery(*a)[0], surgery(*a)[0] + surgery(*a)[1]), "the whole KL"),
        (lambda *a: (surgery(*a)[0], -surgery(*a)[1]), "the sign: the divergence"),
        (lambda mu, logvar, eps: surgery(mu, 2 * logvar, eps), "used as a standard deviation"),
        (lambda *a: surgery(*a)[0], "2 outputs are expected"),
    ],
)
def test_mistakes_of_surgery(answer, words):
    rejects(tutorial.check_surgery, answer, words=words)


# ---- 5.6


def normal_log_density(residuals, logvar):
    return stats.norm.logpdf(residuals, scale=np.exp(logvar / 2)).sum(axis=1)


def best(residuals, floor):
    variance = (residuals**2).sum(axis=0) / len(residuals)
    logvar = np.log(np.where(variance > np.exp(floor), variance, np.exp(floor)))
    return logvar, normal_log_density(residuals, logvar).mean()


def test_best_logvar_is_accepted():
    tutorial.check_best_logvar(best)


def test_no_other_variance_does_better():
    """What the check calls right is a maximum: a step to either side loses, where the floor allows it."""
    residuals = np.random.default_rng(0).standard_normal((20, 3)) * [1, 0.1, 0]
    logvar, value = best(residuals, LOGVAR_FLOOR)
    for step in ([0.1, 0, 0], [-0.1, 0, 0], [0, 0.1, 0], [0, -0.1, 0], [0, 0, 0.1]):
        assert normal_log_density(residuals, logvar + step).mean() < value


@pytest.mark.parametrize(
    ("part", "value", "words"),
    [
        (0, lambda r, f: np.log((r**2).mean(0)), "minus infinity for a constant pixel"),
        (0, lambda r, f: np.maximum(0.5 * np.log((r**2).mean(0)), f), "logarithm of the standard deviation"),
        (0, lambda r, f: np.maximum((r**2).mean(0), np.exp(f)), "its logarithm is wanted"),
        (0, lambda r, f: np.maximum(np.log(r.var(0)), f), "about the residuals' own mean"),
        (0, lambda r, f: np.full(r.shape[1], np.log((r**2).mean())), "one variance for all pixels"),
        (0, lambda r, f: np.log((r**2).mean(0) + np.exp(f)), "the floor comes on top"),
        (1, lambda r, f: normal_log_density(r, best(r, f)[0]).sum(), "sum over the images"),
        (1, lambda r, f: best(r, f)[1] / r.shape[1], "mean over the pixels"),
        (1, lambda r, f: -0.5 * np.sum(1 + best(r, f)[0] + np.log(2 * np.pi)), "less than 1"),
        (1, lambda r, f: best(r, f)[1] + 0.5 * np.log(2 * np.pi) * r.shape[1], "constant is missing"),
        (1, lambda r, f: -best(r, f)[1], "negative of ours: a sign"),
    ],
)
def test_mistakes_of_best_logvar(part, value, words):
    def answer(residuals, floor):
        parts = list(best(residuals, floor))
        parts[part] = value(residuals, floor)
        return tuple(parts)

    rejects(tutorial.check_best_logvar, answer, words=words)
