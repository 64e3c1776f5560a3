"""The checks of notebook 1: the linear-Gaussian model, the bound, and its gap."""

import numpy as np
from scipy import stats
from scipy.special import logsumexp

from tinyvae.tutorial.answers import ONE_MAXIMUM, Wrong, compare, require_same
from tinyvae.tutorial.exercises import exercise


def linear_gaussian(seed, N, Q, D):
    """Random data and a random model: x (N, D), W (Q, D), m (D,), s2."""
    rng = np.random.default_rng(seed)
    return rng.standard_normal((N, D)), rng.standard_normal((Q, D)), rng.standard_normal(D), 0.3


@exercise("1.1")
def check_log_marginal(answer):
    """Exercise 1.1: log p(x) of the linear-Gaussian model, (x, W, m, s2) -> (N,)."""

    def log_marginal(x, W, m, s2):
        return np.atleast_1d(stats.multivariate_normal(m, W.T @ W + s2 * np.eye(len(m))).logpdf(x))

    def log_det(W, s2):
        return np.linalg.slogdet(W.T @ W + s2 * np.eye(W.shape[1]))[1]

    def off_by(part):
        return lambda x, W, m, s2: log_marginal(x, W, m, s2) + part(W, m, s2)

    mistakes = [
        (lambda x, W, m, s2: log_marginal(x, W, 0 * m, s2), "the mean m is missing: the residual is x - m."),
        (
            lambda x, W, m, s2: log_marginal(x, W, m, s2**0.5),
            "the noise enters with its square root. s2 is a variance.",
        ),
        (lambda x, W, m, s2: log_marginal(x, W, m, s2**2), "the noise enters squared. s2 is the variance already."),
        (
            off_by(lambda W, m, s2: len(m) / 2 * np.log(2 * np.pi)),
            "the constant is missing, D/2 log 2 pi: without it the density does not integrate to 1.",
        ),
        (
            off_by(lambda W, m, s2: (len(m) - 1) / 2 * np.log(2 * np.pi)),
            "1/2 log 2 pi is there once, but it is due for each of the D dimensions.",
        ),
        (
            off_by(lambda W, m, s2: -log_det(W, s2) / 2),
            "log det C is there twice: its factor is 1/2, as all the others'.",
        ),
        (off_by(lambda W, m, s2: log_det(W, s2)), "the sign of log det C: a wide density is low, so it is subtracted."),
        (off_by(lambda W, m, s2: log_det(W, s2) / 2), "log det C is missing."),
    ]
    cases = {
        "Q = 1": linear_gaussian(0, 4, 1, 3),
        "Q = 2": linear_gaussian(1, 5, 2, 3),
        "one example": linear_gaussian(2, 1, 2, 4),
    }
    compare("your log p(x)", answer, log_marginal, cases, mistakes)


LARGEST = (
    "right where the numbers of a row are near one another, but the exponentials of others overflow: it is not the"
    " largest that is taken out."
)


@exercise("1.2")
def check_log_mean_exp(answer):
    """Exercise 1.2: log (1/K) sum_k exp(l_k), (l (N, K),) -> (N,)."""
    mistakes = [
        (
            lambda l: np.log(np.exp(l - l.max()).mean(axis=1)) + l.max(),
            ONE_MAXIMUM,
        ),
        (
            lambda l: np.log(np.exp(l).mean(axis=1)),
            "right where the exponentials are ordinary numbers, but these overflow or vanish. Take the largest out.",
        ),
        *[
            (lambda l, chosen=chosen: chosen(l) + np.log(np.exp(l - chosen(l)[:, None]).mean(axis=1)), LARGEST)
            for chosen in (lambda l: l.min(axis=1), lambda l: l.mean(axis=1), lambda l: l[:, 0])
        ],
        (lambda l: l.mean(axis=1), "this is the mean of the logarithms. The mean to take is that of the exponentials."),
        (lambda l: logsumexp(l, axis=1), "log K more than ours: the 1/K of the mean is missing."),
        (
            lambda l: logsumexp(l - l.max(axis=1, keepdims=True), axis=1) - np.log(l.shape[1]),
            "the largest is taken out of the exponentials and never put back.",
        ),
        (
            lambda l: logsumexp(l, axis=1) - l.shape[1],
            "K stands where log K is due: a factor 1/K inside of the logarithm is log K outside.",
        ),
        (lambda l: l.max(axis=1), "this is the largest of the logarithms alone: the others count too."),
    ]
    rng = np.random.default_rng(0)
    l = rng.standard_normal((4, 3))
    cases = {"K = 3": (l,), "K = 1": (l[:, :1],), "logarithms near -1000": (l - 1000,), "near 1000": (l + 1000,)}
    cases["rows far apart"] = (l + np.array([[0], [-2000], [900], [-40]]),)
    cases["numbers far apart in a row"] = (np.array([[-3000.0, 0.0, 2.0], [5.0, -900.0, 4.0]]),)

    what = "your log mean exp"
    require_same(what, answer, lambda l: logsumexp(l, axis=1) - np.log(l.shape[1]), cases, mistakes)
    if name := library_function(answer):
        raise Wrong(f"Your log mean exp: its numbers are right, but {name} does the work. Here it is to be yours.")
    print(f"Right: {what}.")


def library_function(answer):
    """The name of the library's function that a student's one calls for the logarithm of a sum; "" if it calls none."""
    code, known = getattr(answer, "__code__", None), getattr(answer, "__globals__", {})
    if code is None:
        return ""
    names = [*code.co_names, *(getattr(known.get(name), "__name__", "") for name in code.co_names)]
    return next((name for name in names if name in ("logsumexp", "logaddexp", "softmax", "log_softmax")), "")


@exercise("1.3")
def check_log_weights(answer):
    """Exercise 1.3: log w of the linear-Gaussian model, (x, mu, logvar, eps, W, m, s2) -> (N, K)."""

    def std(logvar):
        return np.exp(logvar / 2)

    def log_weights(x, mu, logvar, eps, W, m, s2, sigma=std, sigma_q=None, signs=(1, 1, -1), z_q=None, over=np.sum):
        z = mu[:, None] + sigma(logvar)[:, None] * eps
        log_likelihood = over(stats.norm.logpdf(x[:, None], z @ W + m, np.sqrt(s2)), axis=2)
        log_prior = over(stats.norm.logpdf(z), axis=2)
        log_q = over(stats.norm.logpdf(eps if z_q else z, mu[:, None], (sigma_q or sigma)(logvar)[:, None]), axis=2)
        return signs[0] * log_likelihood + signs[1] * log_prior + signs[2] * log_q

    def but(**changes):
        return lambda *arguments: log_weights(*arguments, **changes)

    mistakes = [
        (but(sigma=np.exp), "the samples and their density use exp(logvar), the variance, where sigma belongs."),
        (but(sigma_q=np.exp), "log q takes exp(logvar), the variance, for its standard deviation."),
        (but(sigma=lambda logvar: logvar), "logvar is used as if it were sigma: sigma = exp(logvar / 2)."),
        (but(signs=(1, 1, 1)), "log q is added. It is in the denominator of the weight."),
        (but(signs=(1, 1, 0)), "log q is missing: this is log p(x, z)."),
        (but(signs=(1, 0, 0)), "this is log p(x | z) alone: log p(z) - log q(z | x) belongs to the weight too."),
        (but(signs=(1, 0, -1)), "log p(z) is missing."),
        (but(signs=(1, -1, 1)), "log p(z) and log q(z | x) have each other's sign."),
        (
            but(over=np.mean),
            "a mean over the dimensions: their densities multiply, so the logarithms add up.",
        ),
        (but(z_q=True), "log q is taken at eps, but it is to be taken at z."),
        (
            lambda x, mu, logvar, eps, W, m, s2: log_weights(x, mu, logvar, eps, W, m, s2**2),
            "s2 is used as a standard deviation in p(x | z): it is the variance.",
        ),
        (
            lambda x, mu, logvar, eps, W, m, s2: log_weights(x, mu, logvar, eps, W, 0 * m, s2),
            "the mean m is missing: that of x given z is z W + m.",
        ),
    ]
    cases = {}
    for name, N, K, Q, D in (("K = 1", 4, 1, 1, 3), ("K = 3", 5, 3, 2, 4)):
        x, *model = linear_gaussian(N, N, Q, D)
        rng = np.random.default_rng(K)
        cases[name] = (
            x,
            rng.standard_normal((N, Q)),
            rng.standard_normal((N, Q)),
            rng.standard_normal((N, K, Q)),
            *model,
        )
    compare("your log weights", answer, log_weights, cases, mistakes)


@exercise("1.4")
def check_posterior(answer):
    """Exercise 1.4: the posterior's means and precision, (x, W, m, s2) -> (N, Q), (Q, Q)."""

    def posterior(x, W, m, s2, prior=1.0, noise=None, linear=None):
        P = prior * np.eye(len(W)) + W @ W.T / (noise or s2)
        return np.linalg.solve(P, W @ (x - m).T / (linear or noise or s2)).T, P

    def linear_term(x, W, m, s2):
        return (x - m) @ W.T / s2

    no_noise = "the noise is missing in the precision: W Wᵀ / s2. The less noise there is, the more x tells of z."
    root = "the noise enters with its square root. s2 is a variance."
    square = "the noise enters squared. s2 is the variance already."
    mistakes = [
        (lambda x, W, m, s2: posterior(x, W, 0 * m, s2), "the mean m is missing: the posterior looks at x - m."),
        (lambda *a: posterior(*a, linear=1.0), "the factor 1/s2 of the linear term is missing in the mean."),
        (
            lambda *a: (linear_term(*a), posterior(*a)[1]),
            "this is the linear term itself; the precision matrix must still be taken off it (solve P mu = ...).",
        ),
        (
            lambda *a: (posterior(*a)[0], np.linalg.inv(posterior(*a)[1])),
            "this is the covariance: the precision matrix is its inverse.",
        ),
        (lambda *a: posterior(*a, prior=0.0), "the prior's own precision, the identity, is missing."),
        (lambda *a: posterior(*a, noise=1.0), no_noise),
        (lambda x, W, m, s2: posterior(x, W, m, s2, noise=1.0, linear=s2), no_noise),
        (lambda x, W, m, s2: posterior(x, W, m, s2, noise=s2**0.5), root),
        (lambda x, W, m, s2: posterior(x, W, m, s2, noise=s2**0.5, linear=s2), root),
        (lambda x, W, m, s2: posterior(x, W, m, s2, noise=s2**2), square),
        (lambda x, W, m, s2: posterior(x, W, m, s2, noise=s2**2, linear=s2), square),
    ]
    cases = {"Q = 1": linear_gaussian(0, 4, 1, 3), "Q = 2": linear_gaussian(1, 5, 2, 3)}
    compare("your posterior", answer, posterior, cases, mistakes, outputs=("the mean", "the precision"))


@exercise("1.5")
def check_kl(answer):
    """Exercise 1.5: KL of two Gaussians entry by entry, (mu1, logvar1, mu2, logvar2) -> the same shape."""

    def kl(mu1, logvar1, mu2, logvar2):
        return 0.5 * (logvar2 - logvar1 - 1 + (np.exp(logvar1) + (mu1 - mu2) ** 2) / np.exp(logvar2))

    mistakes = [
        (lambda *a: 2 * kl(*a), "exactly twice ours: the 1/2?"),
        (
            lambda a, b, c, d: kl(c, d, a, b),
            "the two Gaussians have changed places: the expectation is under the first.",
        ),
        (lambda a, b, c, d: kl(a, 2 * b, c, 2 * d), "exp(logvar) is used as a standard deviation: it is the variance."),
        (lambda *a: kl(*a) + 0.5, "1/2 more than ours everywhere: where is the -1? A Gaussian has KL 0 from itself."),
        (
            lambda a, b, c, d: 0.5 * (d - b - 1 + np.exp(b - d)),
            "the difference of the means plays no part in it.",
        ),
        (
            lambda a, b, c, d: 0.5 * (d - b - 1 + np.exp(b - d) + (a - c) ** 2),
            "the squared distance of the means is to be divided by the second variance.",
        ),
        (
            lambda a, b, c, d: 0.5 * (b - d - 1 + (np.exp(b) + (a - c) ** 2) / np.exp(d)),
            "the sign of the logarithms: a narrow first Gaussian has a large divergence.",
        ),
    ]
    rng = np.random.default_rng(0)
    cases = {"any two": tuple(rng.standard_normal((4, 3, 2))), "equal ones": (np.ones(2), np.ones(2)) * 2}
    compare("your KL divergence", answer, kl, cases, mistakes)


@exercise("1.6")
def check_price_of_independence(answer):
    """Exercise 1.6: the best diagonal variances and the KL that is left, (P (Q, Q),) -> (Q,), a number."""

    def price(P, v=lambda P: 1 / np.diag(P)):
        trace = np.sum(np.diag(P) * v(P))
        return v(P), 0.5 * (trace - len(P) - np.log(v(P)).sum() - np.linalg.slogdet(P)[1])

    mistakes = [
        (
            lambda P: price(P, lambda P: np.diag(np.linalg.inv(P))),
            "these are the variances of the posterior itself, the diagonal of the inverse. Set the derivative of the KL"
            " by v_d to zero: P_dd - 1 / v_d = 0.",
        ),
        (lambda P: (np.diag(P), price(P)[1]), "these are the precisions: v is one over them."),
        (lambda P: (price(P)[0] ** 0.5, price(P)[1]), "these are standard deviations: v is a variance."),
        (lambda P: (price(P)[0], 2 * price(P)[1]), "exactly twice ours: the 1/2?"),
        (lambda P: (price(P)[0], -price(P)[1]), "a divergence is never negative: the sign of the logarithms?"),
        (
            lambda P: (price(P)[0], 0.5 * np.log(np.diag(P)).sum()),
            "log det P is missing: for a posterior without correlations the price is 0.",
        ),
    ]
    rng = np.random.default_rng(0)
    A = rng.standard_normal((3, 3))
    cases = {"Q = 3": (A @ A.T + np.eye(3),), "no correlation": (np.diag([2.0, 0.5]),)}
    compare("your price", answer, price, cases, mistakes, outputs=("the variances", "the divergence"))
