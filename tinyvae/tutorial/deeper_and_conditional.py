"""The checks of notebook 7: two stochastic layers, and labels."""

import numpy as np
from scipy import stats
from scipy.special import logsumexp, softmax

from tinyvae.tutorial.answers import ONE_MAXIMUM, compare
from tinyvae.tutorial.exercises import exercise


def log_normal(z, mu, logvar):
    """log N(z; mu, exp(logvar)), summed over the last axis."""
    return stats.norm.logpdf(z, mu, np.exp(logvar / 2)).sum(axis=-1)


def random_networks(rng, D, D1, D2):
    """encoder, encoder2, decoder2 and log_likelihood of a small random model with affine networks."""
    A, B, C = (0.2 * rng.standard_normal(shape) for shape in ((D, 2 * D1), (D1, 2 * D2), (D2, 2 * D1)))
    a, b, c = (0.5 * rng.standard_normal(2 * n) for n in (D1, D2, D1))
    W = rng.standard_normal((D1, D))

    def affine(h, W, b):
        return np.split(h @ W + b, 2, axis=-1)

    def log_likelihood(x, z1):
        return log_normal(x[:, None], z1 @ W, np.zeros(()))

    return lambda x: affine(x, A, a), lambda z1: affine(z1, B, b), lambda z2: affine(z2, C, c), log_likelihood


@exercise("7.1")
def check_two_layer_log_weights(answer):
    """Exercise 7.1: log w of two layers, (x, eps1, eps2, encoder, encoder2, decoder2, log_likelihood) -> (N, K)."""

    def sample(mu, logvar, eps, spread=2):
        return mu + np.exp(logvar / spread) * eps

    def log_weights(
        x,
        eps1,
        eps2,
        *networks,
        signs=(1, 1, 1, -1, -1),
        spread=2,
        density=2,
        read_mean=False,
        normal_z1=False,
        noise2=1,
    ):
        encoder, encoder2, decoder2, log_likelihood = networks
        q1 = [stat[:, None] for stat in encoder(x)]
        z1 = sample(*q1, eps1, spread)
        q2 = encoder2(np.broadcast_to(q1[0], z1.shape) if read_mean else z1)
        z2 = sample(*q2, noise2 * eps2, spread)
        zeros = np.zeros(z2.shape)

        def log_density(z, mu, logvar):
            return log_normal(z, mu, logvar * 2 / density)

        p1 = log_density(z1, 0 * z1, 0 * z1) if normal_z1 else log_density(z1, *decoder2(z2))
        terms = log_likelihood(x, z1), log_normal(z2, zeros, zeros), p1, log_density(z1, *q1), log_density(z2, *q2)
        return sum(sign * term for sign, term in zip(signs, terms))

    def but(**changes):
        return lambda *arguments: log_weights(*arguments, **changes)

    mistakes = [
        (but(read_mean=True), "the second encoder reads the mean of q(z1 | x). It is to read the sample z1."),
        (but(noise2=0), "z2 is the mean mu2: the noise eps2 is missing. z2 = mu2 + sigma2 eps2."),
        (but(normal_z1=True), "z1 has a standard normal prior. In this model its prior is p(z1 | z2), from decoder2."),
        (but(signs=(1, 1, 1, -1, 0)), "log q(z2 | z1) is missing."),
        (but(signs=(1, 1, 1, 0, -1)), "log q(z1 | x) is missing."),
        (but(signs=(1, 1, 0, -1, -1)), "log p(z1 | z2) is missing: it is the prior of z1."),
        (but(signs=(1, 0, 1, -1, -1)), "log p(z2) is missing, the standard normal of the upper layer."),
        (but(signs=(0, 1, 1, -1, -1)), "the likelihood is missing."),
        (but(signs=(1, 1, 1, -1, 1)), "log q(z2 | z1) is added. Both log q are in the denominator of the weight."),
        (but(signs=(1, 1, 1, 1, -1)), "log q(z1 | x) is added. Both log q are in the denominator of the weight."),
        (but(signs=(1, 1, 1, 1, 1)), "both log q are added. They are in the denominator of the weight."),
        (but(signs=(1, 1, -1, -1, -1)), "log p(z1 | z2) is subtracted. It belongs to the model, above the line."),
        (
            but(spread=1, density=1),
            "exp(logvar), the variance, is taken for sigma everywhere: sigma = exp(logvar / 2).",
        ),
        (but(spread=1), "the samples use exp(logvar), the variance, where sigma = exp(logvar / 2) belongs."),
    ]
    cases = {}
    for name, N, K, D, D1, D2 in (("K = 1", 4, 1, 5, 3, 2), ("K = 3", 4, 3, 5, 2, 3)):
        rng = np.random.default_rng(K)
        noise = rng.standard_normal((N, K, D1)), rng.standard_normal((N, K, D2))
        cases[name] = rng.standard_normal((N, D)), *noise, *random_networks(rng, D, D1, D2)
    compare("your log weights", answer, log_weights, cases, mistakes)


@exercise("7.2")
def check_log_density_backward(answer):
    """Exercise 7.2: derivatives of log N(z; mu, exp(logvar)), (z, mu, logvar) of one shape -> three of it."""

    def backward(z, mu, logvar, p=lambda logvar: np.exp(-logvar)):
        r = z - mu
        return -r * p(logvar), r * p(logvar), (r**2 * p(logvar) - 1) / 2

    def part(i, f):
        return lambda *a: tuple(f(*a) if j == i else right for j, right in enumerate(backward(*a)))

    mistakes = [
        (
            lambda *a: backward(*a, p=lambda logvar: np.exp(-logvar / 2)),
            "it is divided by the standard deviation: the precision is exp(-logvar).",
        ),
        (lambda *a: backward(*a, p=np.exp), "it is multiplied by the variance: the precision is exp(-logvar)."),
        (
            lambda *a: backward(*a, p=np.ones_like),
            "the precision is missing: the derivative by z of -r² p / 2 is -r p.",
        ),
        (part(0, lambda z, mu, s: (z - mu) * np.exp(-s)), "the sign: log N falls as z moves away from mu."),
        (part(1, lambda z, mu, s: (mu - z) * np.exp(-s)), "the sign: log N rises as mu comes nearer to z."),
        (
            part(2, lambda z, mu, s: (z - mu) ** 2 * np.exp(-s) / 2),
            "the normalisation -1/2 logvar has a derivative too: -1/2.",
        ),
        (part(2, lambda z, mu, s: (z - mu) ** 2 * np.exp(-s) - 1), "exactly twice ours: the 1/2?"),
        (
            part(2, lambda z, mu, s: -((z - mu) ** 2) * np.exp(-s) / 2 - 0.5),
            "the sign of the first term: exp(-logvar) has the derivative -exp(-logvar).",
        ),
        (
            part(2, lambda z, mu, s: ((z - mu) ** 2 * np.exp(-s) - 1) / 2 * np.exp(-s)),
            "this is the derivative by the variance. By its logarithm there is a factor variance more.",
        ),
    ]
    rng = np.random.default_rng(0)
    mu, logvar = rng.standard_normal((2, 4, 3))
    cases = {"any z": (rng.standard_normal((4, 3)), mu, logvar), "z at the mean": (mu, mu, logvar)}
    outputs = ("the derivative by z", "the derivative by mu", "the derivative by logvar")
    compare("your backward pass", answer, backward, cases, mistakes, outputs)


def second_layer_backward(
    z1, eps2, A, a, B, b, direct=1, above=1, entropy=1, prior=1, density=1, residual=0, half=0.5, spread=2
):
    """Derivative by z1 of log p(z1 | z2) + log p(z2) - log q(z2 | z1), affine networks; the factors make mistakes."""
    mu2, logvar2 = np.split(z1 @ A + a, 2, axis=1)
    sigma2 = np.exp(logvar2 / spread)
    z2 = mu2 + sigma2 * eps2
    m, s = np.split(z2 @ B + b, 2, axis=1)
    r, p = z1 - m, np.exp(-s * 2 / spread)
    dz2 = density * np.concatenate([r * p, (r**2 * p - 1) / 2], axis=1) @ B.T - prior * z2 + residual * eps2 / sigma2
    dstats = np.concatenate([dz2, half * dz2 * sigma2 * eps2 + entropy / 2], axis=1)
    return -direct * r * p + above * dstats @ A.T


@exercise("7.3")
def check_second_layer_backward(answer):
    """Exercise 7.3: all that reaches z1 from above, (z1 (R, D1), eps2 (R, D2), A, a, B, b) -> (R, D1)."""

    def but(**changes):
        return lambda *arguments: second_layer_backward(*arguments, **changes)

    mistakes = [
        (
            but(direct=0),
            "the direct way is missing: z1 stands in log p(z1 | z2) itself, as the value whose density is taken.",
        ),
        (but(above=0), "only the direct way is there. z1 is also what encoder2 reads, so all of z2 depends on it."),
        (but(entropy=0), "log q(z2 | z1) is missing: -log q = 1/2 logvar2 + ..., so +1/2 reaches logvar2."),
        (but(entropy=-1), "the sign of log q(z2 | z1): it is subtracted, so +1/2 reaches logvar2."),
        (but(prior=0), "log p(z2) is missing in the derivative by z2: -z2."),
        (but(prior=-1), "the sign of log p(z2): its derivative by z2 is -z2."),
        (but(density=0), "decoder2 is missing: z2 also moves the mean and the variance of p(z1 | z2)."),
        (
            but(residual=1),
            "log q(z2 | z1) reaches z2 as well, by eps / sigma, but not mu2 directly. With z2 = mu2 + sigma2 eps2 the"
            " two cancel: use log q = -1/2 sum (eps2² + logvar2 + log 2 pi).",
        ),
        (but(half=1), "dz2 / dlogvar2 is sigma2 eps2 / 2: the 1/2 of the standard deviation is missing."),
        (but(half=0), "z2 depends on logvar2 too, through sigma2."),
        (but(spread=1), "exp(logvar), the variance, is taken for the standard deviation: sigma2 = exp(logvar2 / 2)."),
        (but(direct=-1), "the sign of the direct way: log p(z1 | z2) falls as z1 moves away from its mean."),
    ]
    cases = {}
    for name, R, D1, D2 in (("one row", 1, 2, 2), ("D1 = 3, D2 = 2", 4, 3, 2), ("D1 = 2, D2 = 4", 5, 2, 4)):
        rng = np.random.default_rng(R)
        A, B = 0.5 * rng.standard_normal((D1, 2 * D2)), 0.5 * rng.standard_normal((D2, 2 * D1))
        z1, eps2 = rng.standard_normal((R, D1)), rng.standard_normal((R, D2))
        cases[name] = z1, eps2, A, 0.5 * rng.standard_normal(2 * D2), B, 0.5 * rng.standard_normal(2 * D1)
    compare("your derivative by z1", answer, second_layer_backward, cases, mistakes)


@exercise("7.4")
def check_price_without_the_top(answer):
    """Exercise 7.4: the cost of z under the best fixed Gaussian, (z (R, D), log_q (R,)) -> a number, in nats."""

    def price(z, log_q, mean=lambda z: z.mean(axis=0), variance=lambda z: z.var(axis=0)):
        return np.mean(log_q - log_normal(z, mean(z), np.log(variance(z))))

    def but(**changes):
        return lambda *arguments: price(*arguments, **changes)

    mistakes = [
        (
            but(mean=lambda z: 0 * z[0], variance=lambda z: 1 + 0 * z[0]),
            "this is the cost under the standard normal. The best Gaussian has the mean and variance of the samples.",
        ),
        (
            lambda z, log_q: np.mean(log_q - stats.norm.logpdf(z, z.mean(axis=0), z.var(axis=0)).sum(axis=1)),
            "the variance is used as a standard deviation.",
        ),
        (
            but(variance=lambda z: z.var()),
            "one variance for all dimensions: each is to have its own.",
        ),
        (
            but(mean=lambda z: 0 * z[0]),
            "the mean of the samples is not used.",
        ),
        (
            but(variance=lambda z: z.var(axis=0, ddof=1)),
            "divided by R - 1: the Gaussian under which the samples are most probable has the variance with 1/R.",
        ),
        (lambda z, log_q: -price(z, log_q), "the sign: it is log q minus log p, a cost."),
        (
            lambda z, log_q: price(z, 0 * log_q),
            "log q is missing: this is the cross-entropy alone.",
        ),
        (
            lambda z, log_q: np.mean(log_q) - stats.norm.logpdf(z, z.mean(axis=0), z.std(axis=0)).mean(),
            "the density is averaged over the dimensions: their logarithms are summed.",
        ),
        (
            lambda z, log_q: np.sum(log_q - log_normal(z, z.mean(axis=0), np.log(z.var(axis=0)))),
            "the mean over the samples is missing: this is their sum.",
        ),
    ]
    rng = np.random.default_rng(0)
    z = rng.standard_normal((50, 3)) * np.array([0.5, 1.0, 2.0]) + np.array([1.0, 0.0, -1.0])
    cases = {"three dimensions": (z, rng.standard_normal(50)), "one": (z[:20, :1], rng.standard_normal(20))}
    compare("your price", answer, price, cases, mistakes)


@exercise("7.5")
def check_with_labels(answer):
    """Exercise 7.5: one-hot labels beside the input, (h (R, I), y (N,), C) -> (R, I + C), R a multiple of N."""

    def with_labels(h, y, C, serve=np.repeat):
        return np.concatenate([h, np.eye(C)[serve(y, len(h) // len(y))]], axis=1)

    mistakes = [
        (
            lambda h, y, C: with_labels(h, y, C, np.tile),
            "right for K = 1, but with K samples the row n K + k belongs to the example n: repeat each label K times,"
            " do not tile all of them.",
        ),
        (
            lambda h, y, C: np.roll(with_labels(h, y, C), C, axis=1),
            "the labels stand before the input. Either way would learn, but put them behind it, as the check does.",
        ),
        (
            lambda h, y, C: np.concatenate([h, np.repeat(y, len(h) // len(y))[:, None]], axis=1),
            "the label is one number. A network would take 9 for nine times 1; give each label a column of its own.",
        ),
        (
            lambda h, y, C: np.eye(C)[np.repeat(y, len(h) // len(y))],
            "the input itself is missing beside the labels.",
        ),
    ]
    rng = np.random.default_rng(0)
    y = np.array([2, 0, 3])
    cases = {
        "K = 1": (rng.standard_normal((3, 2)), y, 4),
        "K = 3": (rng.standard_normal((9, 2)), y, 4),
        "a label that is not there": (rng.standard_normal((6, 1)), y, 5),
    }
    compare("your input", answer, with_labels, cases, mistakes)


@exercise("7.6")
def check_bayes(answer):
    """Exercise 7.6: log p(x) and p(y | x), (logp (N, C), log_prior (C,)) -> (N,), (N, C)."""

    def bayes(logp, log_prior):
        joint = logp + log_prior
        return logsumexp(joint, axis=1), softmax(joint, axis=1)

    def marginal(f):
        return lambda logp, log_prior: (f(logp, log_prior), bayes(logp, log_prior)[1])

    def posterior(f):
        return lambda logp, log_prior: (bayes(logp, log_prior)[0], f(logp, log_prior))

    mistakes = [
        (
            marginal(lambda logp, log_prior: logsumexp(logp, axis=1)),
            "the prior p(y) is missing: the sum has a factor p(y) in each term.",
        ),
        (
            marginal(lambda logp, log_prior: logsumexp(logp, axis=1) - np.log(logp.shape[1])),
            "this is 1/C for each label, which is right only where all are equally frequent. Use log_prior.",
        ),
        (
            marginal(lambda logp, log_prior: np.sum(logp + log_prior, axis=1)),
            "the logarithms are summed. The sum to take is that of the probabilities.",
        ),
        (
            marginal(lambda logp, log_prior: np.sum(np.exp(log_prior) * logp, axis=1)),
            "this is the mean of log p(x | y), a bound by Jensen. The mean to take is that of p(x | y).",
        ),
        (
            marginal(lambda l, p: logsumexp(l + p, axis=1) - np.max(l + p, axis=1)),
            "the largest is taken out of the exponentials and never put back.",
        ),
        (
            marginal(lambda logp, log_prior: np.max(logp + log_prior, axis=1)),
            "this is the most probable label's term alone: the others count too.",
        ),
        (
            marginal(lambda logp, log_prior: np.log(np.sum(np.exp(logp + log_prior), axis=1))),
            "right where the exponentials are ordinary numbers, but these overflow or vanish. Take the largest out.",
        ),
        (
            marginal(
                lambda logp, log_prior: (
                    (top := np.max(logp + log_prior)) + np.log(np.exp(logp + log_prior - top).sum(axis=1))
                )
            ),
            ONE_MAXIMUM,
        ),
        (
            posterior(
                lambda logp, log_prior: (
                    (p := np.exp(logp + log_prior - np.max(logp + log_prior))) / p.sum(axis=1, keepdims=True)
                )
            ),
            ONE_MAXIMUM,
        ),
        (
            posterior(lambda logp, log_prior: softmax(logp, axis=1)),
            "the prior p(y) is missing in p(y | x): a rare label needs better evidence.",
        ),
        (
            posterior(lambda logp, log_prior: (logp + log_prior) - logsumexp(logp + log_prior, axis=1)[:, None]),
            "this is log p(y | x). Take the exponential.",
        ),
        (
            posterior(lambda logp, log_prior: softmax(logp + log_prior, axis=0)),
            "the sum runs over the examples. It is over the labels: each row of p(y | x) sums to 1.",
        ),
    ]
    rng = np.random.default_rng(0)
    logp, equal, unequal = 2 * rng.standard_normal((4, 3)), np.log(np.full(3, 1 / 3)), np.log([0.7, 0.2, 0.1])
    cases = {
        "equally frequent labels": (logp, equal),
        "labels of unequal frequency": (logp, unequal),
        "log densities near -1000": (logp - 1000, unequal),
        "rows far apart": (logp + np.array([[0], [-2000], [900], [-40]]), unequal),
    }
    compare("your Bayes' rule", answer, bayes, cases, mistakes, outputs=("log p(x)", "p(y | x)"))


@exercise("7.7")
def check_table_gradient(answer):
    """Exercise 7.7: the derivative by a table of which each example uses a row, (drows (N, D), y (N,), C) -> (C, D)."""

    def table_gradient(drows, y, C):
        return np.eye(C)[:, y] @ drows

    def last(drows, y, C):
        table = np.zeros((C, drows.shape[1]))
        table[y] = drows
        return table

    def mean(drows, y, C):
        return table_gradient(drows, y, C) / np.maximum(np.bincount(y, minlength=C), 1)[:, None]

    def up_to_the_largest(drows, y, C):
        return table_gradient(drows, y, y.max() + 1)

    mistakes = [
        (
            up_to_the_largest,
            "the number of labels is y.max() + 1. The largest label need not occur among the examples: take C.",
        ),
        (
            last,
            "right where each label occurs once, but of those that repeat only the last example counts. NumPy's"
            " table[y] += drows does not add up: np.add.at does.",
        ),
        (mean, "these are means over the examples of a label. The chain rule sums over all places of use."),
        (
            lambda drows, y, C: table_gradient(drows, y, C) / len(y),
            "the sum is divided by N. If there is a mean over the examples, it is in drows already.",
        ),
        (
            lambda drows, y, C: table_gradient(drows, y, C)[np.unique(y)],
            "there are rows only for the labels that occur. The others have the derivative 0.",
        ),
    ]
    rng = np.random.default_rng(0)
    cases = {
        "each label once": (rng.standard_normal((3, 2)), np.array([2, 0, 1]), 3),
        "labels that repeat": (rng.standard_normal((6, 2)), np.array([1, 0, 1, 1, 2, 0]), 3),
        "a label without examples": (rng.standard_normal((4, 2)), np.array([3, 3, 0, 1]), 4),
        "the largest label without examples": (rng.standard_normal((4, 2)), np.array([2, 2, 0, 1]), 5),
    }
    compare("your derivative by the table", answer, table_gradient, cases, mistakes)
