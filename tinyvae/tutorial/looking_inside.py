"""The checks of notebook 5: the manifold's grid, neighbours, interpolation, the aggregate posterior, variances."""

import numpy as np
from scipy.special import logsumexp
from scipy.stats import norm

from tinyvae.derivation.likelihoods import LOGVAR_FLOOR
from tinyvae.tutorial.answers import compare
from tinyvae.tutorial.exercises import exercise


@exercise("5.1")
def check_quantile_grid(answer):
    """Exercise 5.1: z at the quantiles (i + 1/2) / side of the prior, row by row of a picture, side -> (side², 2)."""

    def grid(side, quantiles=lambda side: (np.arange(side) + 0.5) / side, ppf=norm.ppf):
        z = ppf(quantiles(side))
        return np.stack([np.tile(z, side), np.repeat(z[::-1], side)], axis=1)

    def upside_down(side):
        z = grid(side)
        return np.stack([z[:, 0], -z[:, 1]], axis=1)

    mistakes = [
        (upside_down, "upside down: the first row of a picture is its top, where z_2 is largest."),
        (lambda side: grid(side)[:, ::-1], "z_1 and z_2 are swapped: z_1 runs along each row, from left to right."),
        (
            lambda side: upside_down(side)[:, ::-1],
            "column by column: along a row of the picture z_1 grows, and z_2 falls from row to row.",
        ),
        (
            lambda side: grid(side, ppf=lambda u: u),
            "these are the quantiles themselves, between 0 and 1. The inverse CDF turns them into values of z.",
        ),
        (
            lambda side: grid(side, ppf=norm.cdf),
            "this is the CDF. Its inverse, stats.norm.ppf, leads from a quantile to a value of z.",
        ),
        (
            lambda side: grid(side, lambda side: np.linspace(0, 1, side)),
            "the outermost quantiles are 0 and 1, and their z infinite: take the middles, (i + 1/2) / side.",
        ),
        (
            lambda side: grid(side, lambda side: np.arange(1, side + 1) / (side + 1)),
            "the quantiles are (i + 1) / (side + 1); wanted are the middles of equal intervals, (i + 1/2) / side.",
        ),
        (
            lambda side: grid(side, lambda side: np.arange(side) / side),
            "these are the left ends of the intervals, and the first is minus infinity: take the middles.",
        ),
    ]
    compare("your grid", answer, grid, {"side = 3": (3,), "side = 4": (4,), "side = 1": (1,)}, mistakes)


@exercise("5.2")
def check_knn_accuracy(answer):
    """Exercise 5.2: how often the k nearest others know the label, (points (N, D), labels (N,), k) -> a number."""

    def accuracy(points, labels, k, itself=False, farthest=False, distance=None, first=0):
        difference = points[:, None] - points[None]
        distances = np.sum(difference**2, axis=2) if distance is None else distance(difference)
        if not itself:
            np.fill_diagonal(distances, -np.inf if farthest else np.inf)
        order = np.argsort(-distances if farthest else distances, axis=1, kind="stable")[:, first : first + k]
        return np.mean([np.bincount(labels[row]).argmax() == label for row, label in zip(order, labels)])

    def share(points, labels, k):
        distances = np.sum((points[:, None] - points[None]) ** 2, axis=2)
        np.fill_diagonal(distances, np.inf)
        nearest = np.argsort(distances, axis=1, kind="stable")[:, :k]
        return np.mean(labels[nearest] == labels[:, None])

    def but(**changes):
        return lambda points, labels, k: accuracy(points, labels, k, **changes)

    mistakes = [
        (
            but(itself=True),
            "each point votes for itself, being its own nearest neighbour. Only others may vote: set the distance to"
            " itself to infinity.",
        ),
        (
            but(first=1),
            "the nearest of the others is left out too: once a point is infinitely far from itself, skip nothing.",
        ),
        (but(farthest=True), "these are the farthest: argsort begins with the smallest."),
        (but(distance=lambda d: np.abs(d).sum(axis=2)), "the distances are sums of |difference|: sum the squares."),
        (but(distance=lambda d: d.sum(axis=2) ** 2), "the differences are summed before they are squared."),
        (
            share,
            "this is the share of the neighbours that have the label. Let each point's k neighbours vote, and count how"
            " often the vote is right.",
        ),
        (
            lambda points, labels, k: 100 * accuracy(points, labels, k),
            "this is in per cent: a share between 0 and 1 is wanted.",
        ),
        (
            lambda points, labels, k: accuracy(points, labels, k) * len(labels),
            "this is how many are right. Their share of all is wanted.",
        ),
        (lambda points, labels, k: 1 - accuracy(points, labels, k), "this is the share of the errors."),
        (lambda points, labels, k: accuracy(points, labels, 1), "only the nearest one votes, whatever k is."),
    ]
    rng = np.random.default_rng(0)
    cases = {}
    for name, N, D, k in (("k = 5", 60, 3, 5), ("k = 1", 40, 2, 1), ("k = 10, 20 dimensions", 80, 20, 10)):
        labels = rng.integers(0, 3, N)
        cases[name] = 1.2 * np.eye(D)[labels % D] + rng.standard_normal((N, D)) * np.linspace(0.3, 1, D), labels, k
    compare("your accuracy", answer, accuracy, cases, mistakes)


@exercise("5.3")
def check_interpolate(answer):
    """Exercise 5.3: along the great circle from a to b, (a (Q,), b (Q,), t (T,)) -> (T, Q)."""

    def interpolate(a, b, t, cosine=lambda a, b: a @ b / np.linalg.norm(a) / np.linalg.norm(b), divide=True):
        angle = np.arccos(np.clip(cosine(a, b), -1, 1))
        weights = np.sin(np.stack([(1 - t) * angle, t * angle], axis=1)) / (np.sin(angle) if divide else 1)
        return weights @ np.stack([a, b])

    def forgotten_arccos(a, b, t):
        angle = a @ b / np.linalg.norm(a) / np.linalg.norm(b)
        return np.sin(np.stack([(1 - t) * angle, t * angle], axis=1)) / np.sin(angle) @ np.stack([a, b])

    mistakes = [
        (
            lambda a, b, t: (1 - t)[:, None] * a + t[:, None] * b,
            "this is the straight line: halfway its points are too near to the origin.",
        ),
        (
            forgotten_arccos,
            "the cosine of the angle is taken for the angle itself: arccos is missing.",
        ),
        (lambda a, b, t: interpolate(b, a, t), "the ends are swapped: t = 0 is a."),
        (
            lambda a, b, t: interpolate(a, b, t, cosine=lambda a, b: a @ b),
            "the angle's cosine is a · b over both norms; a and b do not have length 1.",
        ),
        (
            lambda a, b, t: interpolate(a, b, t, divide=False),
            "the division by sin of the angle is missing: at t = 0 it must be a itself.",
        ),
        (
            lambda a, b, t: interpolate(a / np.linalg.norm(a), b / np.linalg.norm(b), t),
            "a and b are scaled to length 1. The weights go with a and b themselves.",
        ),
        (
            lambda a, b, t: np.cos(t * np.pi / 2)[:, None] * a + np.sin(t * np.pi / 2)[:, None] * b,
            "this is right only where a and b are orthogonal: use the angle between them.",
        ),
    ]
    t = np.linspace(0, 1, 5)
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((2, 6))
    cases = {
        "any a and b": (a, b, t),
        "an obtuse angle": (a, b - 3 * a, t),
        "a and b orthogonal": (np.array([2.0, 0]), np.array([0, 2.0]), t),
    }
    compare("your path", answer, interpolate, cases, mistakes)


@exercise("5.4")
def check_aggregate_moments(answer):
    """Exercise 5.4: mean and variance of q(z), the mixture of all q(z | x_n), (mu, logvar) (N, Q) -> (Q,), (Q,)."""

    def moments(mu, logvar):
        return mu.mean(axis=0), np.exp(logvar).mean(axis=0) + mu.var(axis=0)

    def but(variance):
        return lambda mu, logvar: (mu.mean(axis=0), variance(mu, logvar))

    mistakes = [
        (
            but(lambda mu, logvar: mu.var(axis=0)),
            "this is how far the means are spread. Each q(z | x) has a width of its own too.",
        ),
        (
            but(lambda mu, logvar: np.exp(logvar).mean(axis=0)),
            "this is the average width of q(z | x). The means are spread as well.",
        ),
        (
            but(lambda mu, logvar: np.sqrt(moments(mu, logvar)[1])),
            "this is the standard deviation: the variance is its square.",
        ),
        (
            but(lambda mu, logvar: np.exp(logvar / 2).mean(axis=0) + mu.std(axis=0)),
            "these are sums of standard deviations. It is variances that add up: exp(logvar), and that of the means.",
        ),
        (
            but(lambda mu, logvar: np.exp(logvar / 2).mean(axis=0) + mu.var(axis=0)),
            "the standard deviations are averaged. It is variances that add up: exp(logvar).",
        ),
        (
            but(lambda mu, logvar: np.exp(logvar.mean(axis=0)) + mu.var(axis=0)),
            "logvar is averaged before the exponential: the average of the variances is wanted.",
        ),
        (
            but(lambda mu, logvar: logvar.mean(axis=0) + mu.var(axis=0)),
            "logvar is the variance's logarithm: exp is missing.",
        ),
        (
            but(lambda mu, logvar: np.exp(logvar).mean(axis=0) + (mu**2).mean(axis=0)),
            "this is the mean of z². The variance is that minus the square of the mean.",
        ),
        (
            but(lambda mu, logvar: np.exp(logvar).sum(axis=0) / len(mu) ** 2 + mu.var(axis=0)),
            "this is for an average of N independent numbers. z is one of them, picked at random: a mixture.",
        ),
        (
            but(lambda mu, logvar: np.exp(logvar).mean(axis=0) + mu.var(axis=0, ddof=1)),
            "the spread of the means is divided by N - 1. The mixture has exactly these N components: divide by N.",
        ),
    ]
    rng = np.random.default_rng(0)
    cases = {
        "any mu and sigma": (1 + rng.standard_normal((5, 3)), rng.standard_normal((5, 3))),
        "equal means": (np.ones((4, 2)), rng.standard_normal((4, 2))),
        "narrow q": (rng.standard_normal((6, 2)), np.full((6, 2), -40.0)),
    }
    compare("your moments", answer, moments, cases, mistakes, outputs=("the mean", "the variance"))


@exercise("5.5")
def check_surgery(answer):
    """Exercise 5.5: the two parts of the average KL, (mu, logvar, eps) (N, Q) -> information, KL(q(z) || p(z))."""

    def densities(mu, logvar, eps, over=np.sum):
        """log q(z_n | x_m) (N, N) and log p(z_n) (N,) at z = mu + sigma eps."""
        z = mu + np.exp(logvar / 2) * eps
        return over(norm.logpdf(z[:, None], mu, np.exp(logvar / 2)), axis=2), over(norm.logpdf(z), axis=1)

    def log_mean_exp(log_q):
        return logsumexp(log_q, axis=1) - np.log(len(log_q))

    def surgery(mu, logvar, eps, marginal=log_mean_exp, over=np.sum):
        log_q, log_p = densities(mu, logvar, eps, over)
        log_marginal = marginal(log_q)
        return np.mean(np.diag(log_q) - log_marginal), np.mean(log_marginal - log_p)

    def swapped(mu, logvar, eps):
        return surgery(mu, logvar, eps)[::-1]

    def with_another_marginal(marginal):
        return lambda *arguments: surgery(*arguments, marginal=marginal)

    def without_itself(divided_by):
        def marginal(log_q):
            others = log_q + np.diag(np.full(len(log_q), -np.inf))
            return logsumexp(others, axis=1) - np.log(divided_by(len(log_q)))

        return marginal

    def by_closed_form(mu, logvar, eps):
        information = surgery(mu, logvar, eps)[0]
        return information, np.mean(np.sum(mu**2 + np.exp(logvar) - logvar - 1, axis=1)) / 2 - information

    mistakes = [
        (
            lambda *arguments: surgery(*arguments, over=np.mean),
            "a mean over the dimensions: their densities multiply, so the logarithms add up.",
        ),
        (swapped, "the two are swapped: the mutual information comes first."),
        (
            with_another_marginal(lambda log_q: log_q.mean(axis=1)),
            "the logarithms are averaged. q(z) is the average of the densities: log mean exp.",
        ),
        (
            with_another_marginal(lambda log_q: logsumexp(log_q, axis=1)),
            "log N less than ours: q(z) is the average of the N densities, not their sum.",
        ),
        (
            with_another_marginal(lambda log_q: logsumexp(log_q, axis=0) - np.log(len(log_q))),
            "the average runs over the wrong axis: for each z_n, average over the images m that it may belong to.",
        ),
        *[
            (
                with_another_marginal(without_itself(divided_by)),
                "z_n's own image is left out. q(z) is the mixture of all N, its own among them.",
            )
            for divided_by in (lambda N: max(N - 1, 1), lambda N: N - 1, lambda N: N)
        ],
        (
            by_closed_form,
            "it is something else: the closed form of the KL less the information. Take the same samples for both"
            " parts: the mean of log q(z) - log p(z).",
        ),
        (
            lambda mu, logvar, eps: (surgery(mu, logvar, eps)[0], -surgery(mu, logvar, eps)[1]),
            "the sign: the divergence is the mean of log q(z) - log p(z).",
        ),
        (
            lambda mu, logvar, eps: (-surgery(mu, logvar, eps)[0], surgery(mu, logvar, eps)[1]),
            "the sign: the information is the mean of log q(z | x) - log q(z), and never negative on average.",
        ),
        (
            lambda mu, logvar, eps: (sum(surgery(mu, logvar, eps)), surgery(mu, logvar, eps)[1]),
            "this is log q(z | x) against the prior, the whole KL. For the information, compare with q(z).",
        ),
        (
            lambda mu, logvar, eps: (surgery(mu, logvar, eps)[0], sum(surgery(mu, logvar, eps))),
            "this is the whole KL, of each q(z | x) from the prior. Here q(z) itself is compared with it.",
        ),
        (
            lambda mu, logvar, eps: surgery(mu, 2 * logvar, eps),
            "exp(logvar) is used as a standard deviation: it is the variance.",
        ),
    ]
    rng = np.random.default_rng(0)
    mu, logvar, eps = rng.standard_normal((3, 6, 2))
    cases = {
        "6 images": (mu, logvar - 1, eps),
        "one image": (mu[:1], logvar[:1], eps[:1]),
        "images far apart": (1000 * mu, logvar, eps),
        "one q for all": (np.tile(mu[:1], (6, 1)), np.tile(logvar[:1], (6, 1)), eps),
    }
    outputs = ("the mutual information", "the divergence of q(z)")
    compare("your surgery", answer, surgery, cases, mistakes, outputs)


@exercise("5.6")
def check_best_logvar(answer):
    """Exercise 5.6: the log variances that fit best, (residuals (N, D), floor) -> (D,), a mean log density."""

    def best(residuals, floor):
        with np.errstate(divide="ignore"):
            logvar = np.maximum(np.log(np.mean(residuals**2, axis=0)), floor)
        return logvar, density(residuals, logvar)

    def density(residuals, logvar):
        return -0.5 * np.mean(np.sum(residuals**2 * np.exp(-logvar) + logvar + np.log(2 * np.pi), axis=1))

    def but(logvar=None, value=None):
        def mistaken(residuals, floor):
            ours = best(residuals, floor)
            return (
                ours[0] if logvar is None else logvar(residuals, floor),
                ours[1] if value is None else value(residuals, ours[0]),
            )

        return mistaken

    def floored(spread):
        return but(logvar=lambda r, floor: np.maximum(np.log(spread(r)), floor))

    mistakes = [
        (but(logvar=lambda r, f: np.log(np.mean(r**2, axis=0))), "minus infinity for a constant pixel: the floor?"),
        (
            floored(lambda r: np.sqrt(np.mean(r**2, axis=0))),
            "this is the logarithm of the standard deviation: log of the mean square is wanted.",
        ),
        (
            but(logvar=lambda r, f: np.maximum(np.mean(r**2, axis=0), np.exp(f))),
            "this is the variance: its logarithm is wanted.",
        ),
        (
            floored(lambda r: np.var(r, axis=0)),
            "this is the spread about the residuals' own mean. They are residuals already: the mean of their squares"
            " counts.",
        ),
        (
            floored(lambda r: np.full(r.shape[1], np.mean(r**2))),
            "one variance for all pixels: each is to have its own, so average over the images alone.",
        ),
        (
            floored(lambda r: np.mean(np.abs(r), axis=0) ** 2),
            "the mean of |r| is squared. The mean of the squares is the optimum.",
        ),
        (
            but(logvar=lambda r, f: np.minimum(np.log(np.mean(r**2, axis=0)), f)),
            "the floor holds from below: the larger one of the two.",
        ),
        (
            but(logvar=lambda r, f: np.log(np.mean(r**2, axis=0) + np.exp(f))),
            "the floor comes on top. It is a floor: the larger one of the two.",
        ),
        (
            but(value=lambda r, s: density(r, s) * len(r)),
            "this is the sum over the images: their mean is wanted.",
        ),
        (
            but(value=lambda r, s: density(r, s) / r.shape[1]),
            "this is the mean over the pixels: their sum is the log density of an image.",
        ),
        (
            but(value=lambda r, s: density(r, s) + r.shape[1] / 2 * np.log(2 * np.pi)),
            "the constant is missing: -1/2 log 2 pi for each pixel.",
        ),
        (
            but(value=lambda r, s: -0.5 * np.sum(s + np.log(2 * np.pi) + 1)),
            "right where no pixel is at the floor; there the mean of r² / variance is less than 1.",
        ),
        (
            but(value=lambda r, s: -0.5 * np.sum(s + np.log(2 * np.pi))),
            "the squared residuals are missing: r² / variance, which is 1 on average above the floor.",
        ),
    ]
    rng = np.random.default_rng(0)
    residuals = 0.2 * rng.standard_normal((7, 4)) * np.array([1, 0.5, 0.1, 2]) + 0.05
    constant = residuals * np.array([1, 0, 1, 1])
    tiny = residuals * np.array([1, 1e-3, 1, 1])
    cases = {
        "pixels that vary": (residuals, LOGVAR_FLOOR),
        "a constant pixel": (constant, LOGVAR_FLOOR),
        "a pixel that hardly varies": (tiny, LOGVAR_FLOOR),
    }
    compare("your variances", answer, best, cases, mistakes, outputs=("the log variance", "the mean log density"))
