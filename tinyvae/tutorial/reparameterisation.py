"""The checks of notebook 3: two estimators of a gradient, their variance, and the reparameterised layer."""

import numpy as np

from tinyvae.tutorial.answers import compare
from tinyvae.tutorial.exercises import exercise


def normal(seed, *shape):
    """Standard normal numbers."""
    return np.random.default_rng(seed).standard_normal(shape)


@exercise("3.1")
def check_expected_cosine(answer):
    """Exercise 3.1: E[cos z] under N(mu, exp(logvar)) and its derivatives, (mu, logvar) -> three arrays."""

    def expected_cosine(mu, logvar):
        damping = np.exp(-np.exp(logvar) / 2)
        return np.cos(mu) * damping, -np.sin(mu) * damping, -0.5 * np.exp(logvar) * np.cos(mu) * damping

    def but(part, value):
        def mistaken(mu, logvar):
            values = list(expected_cosine(mu, logvar))
            values[part] = value(mu, np.exp(logvar))
            return values

        return mistaken

    mistakes = [
        (
            but(0, lambda mu, v: np.cos(mu)),
            "this is cos(mu), the cosine of the mean: the spread of z makes it smaller.",
        ),
        (but(0, lambda mu, v: np.cos(mu) * np.exp(-v)), "the factor 1/2 in the exponent is missing: exp(-sigma² / 2)."),
        (but(0, lambda mu, v: np.cos(mu) * np.exp(v / 2)), "the sign in the exponent: an average of cosines is small."),
        (
            but(0, lambda mu, v: np.cos(mu) * np.exp(-(v**2) / 2)),
            "exp(logvar) is used as sigma in the exponent. It is sigma² already.",
        ),
        (
            but(0, lambda mu, v: np.cos(mu) * np.exp(-np.sqrt(v) / 2)),
            "sigma stands in the exponent, and sigma² is due: exp(logvar).",
        ),
        (
            but(1, lambda mu, v: np.sin(mu) * np.exp(-v / 2)),
            "exactly the negative of ours: the derivative of cos is -sin.",
        ),
        (but(1, lambda mu, v: -np.sin(mu)), "exp(-sigma² / 2) is missing: it is a factor of the derivative too."),
        (
            but(2, lambda mu, v: -0.5 * np.cos(mu) * np.exp(-v / 2)),
            "this is the derivative by the variance. By logvar there is a factor sigma² more, since dsigma² / dlogvar ="
            " sigma².",
        ),
        (
            but(2, lambda mu, v: -np.sqrt(v) * np.cos(mu) * np.exp(-v / 2)),
            "this is the derivative by sigma. The chain rule by logvar gives a factor sigma / 2 more.",
        ),
        (
            but(2, lambda mu, v: -v * np.cos(mu) * np.exp(-v / 2)),
            "exactly twice ours: the factor 1/2 of the exponent?",
        ),
        (
            but(2, lambda mu, v: np.cos(mu) * np.exp(-v / 2)),
            "this is the value itself: what stands in the exponent is to be differentiated.",
        ),
    ]
    cases = {"sigma = 1": (np.array([0.3, 2.0]), np.zeros(2)), "any mu and logvar": tuple(normal(0, 2, 5))}
    outputs = ("the value", "the derivative by mu", "the derivative by logvar")
    compare("your E[cos z]", answer, expected_cosine, cases, mistakes, outputs)


def one_dimension():
    """Cases (mu, logvar, eps (S,)) of one Gaussian."""
    return {"sigma = 1": (0.7, 0.0, normal(0, 5)), "sigma = 1.7": (-0.4, 2 * np.log(1.7), normal(1, 6))}


@exercise("3.2")
def check_score_gradient(answer):
    """Exercise 3.2: f(z) times the score, for each sample, (f, mu, logvar, eps (S,)) -> two arrays (S,)."""

    def score_gradient(f, mu, logvar, eps, power=1, square=lambda eps: (eps**2 - 1) / 2, use_f=True, at=None):
        sigma = np.exp(logvar / 2)
        z = mu + sigma * eps
        weight = f(z if at is None else at(mu, logvar, eps)) if use_f else 1.0
        return weight * eps / sigma**power, weight * square(eps)

    def but(**changes):
        return lambda *arguments: score_gradient(*arguments, **changes)

    def with_df(f, mu, logvar, eps):  # a slope in the place of f
        z = mu + np.exp(logvar / 2) * eps
        df = (f(z + 1e-6) - f(z - 1e-6)) / 2e-6
        return df, df * np.exp(logvar / 2) * eps / 2

    mistakes = [
        (but(use_f=False), "this is the score alone: f(z) is missing."),
        (but(power=0), "sigma is missing: d log q / dmu = (z - mu) / sigma² = eps / sigma."),
        (but(power=2), "(z - mu) / sigma² is eps / sigma: one sigma cancels."),
        (but(power=-1), "multiplied by sigma in the place of divided: (z - mu) / sigma² = eps / sigma."),
        (but(square=lambda eps: eps**2 / 2), "the -1/2 is missing: log q contains -logvar / 2 beside the square."),
        (
            but(square=lambda eps: eps**2 - 1),
            "exactly twice ours: this is by log sigma. logvar is twice that, so the derivative is (eps² - 1) / 2.",
        ),
        (but(square=lambda eps: (1 - eps**2) / 2), "exactly the negative of ours: the sign of (eps² - 1) / 2."),
        (but(at=lambda mu, logvar, eps: eps), "f is taken at eps. It is to be taken at z = mu + sigma eps."),
        (
            but(at=lambda mu, logvar, eps: mu + np.exp(logvar) * eps),
            "z is made with exp(logvar), the variance: sigma = exp(logvar / 2).",
        ),
        (
            lambda f, mu, logvar, eps: score_gradient(f, mu, 2 * logvar, eps),
            "exp(logvar), the variance, is taken for sigma everywhere in it: sigma = exp(logvar / 2).",
        ),
        (with_df, "this is the derivative of f along the path. The score function needs f itself, and no derivative."),
    ]
    cases = {}
    for name, arguments in one_dimension().items():
        cases[f"{name}, f = z²"] = (np.square, *arguments)
        cases[f"{name}, f = cos z + z"] = (lambda z: np.cos(z) + z, *arguments)
    outputs = ("the derivative by mu", "the derivative by logvar")
    compare("your score-function estimate", answer, score_gradient, cases, mistakes, outputs, rtol=1e-5)


@exercise("3.3")
def check_path_gradient(answer):
    """Exercise 3.3: along the path, for each sample, (df, mu, logvar, eps (S,)) -> two arrays (S,)."""

    def path_gradient(df, mu, logvar, eps, factor=0.5, sigma=lambda logvar: np.exp(logvar / 2), at=None, use_eps=True):
        z = mu + np.exp(logvar / 2) * eps if at is None else at(mu, logvar, eps)
        return df(z) * np.ones_like(eps), df(z) * factor * sigma(logvar) * (eps if use_eps else 1.0)

    def but(**changes):
        return lambda *arguments: path_gradient(*arguments, **changes)

    mistakes = [
        (but(at=lambda mu, logvar, eps: eps), "f' is taken at eps. It is to be taken at z = mu + sigma eps."),
        (
            but(at=lambda mu, logvar, eps: mu + 0 * eps),
            "f' is taken at mu. It is to be taken at the sample, z = mu + sigma eps.",
        ),
        (
            but(at=lambda mu, logvar, eps: mu + np.exp(logvar) * eps),
            "z is made with exp(logvar), the variance: sigma = exp(logvar / 2).",
        ),
        (but(factor=1.0), "exactly twice ours: sigma = exp(logvar / 2), so dsigma / dlogvar = sigma / 2."),
        (
            but(factor=1.0, sigma=lambda logvar: 1.0),
            "this is the derivative by sigma: times dsigma / dlogvar = sigma / 2.",
        ),
        (but(factor=0.5, sigma=lambda logvar: 1.0), "sigma is missing: dz / dlogvar = sigma eps / 2."),
        (but(sigma=np.exp), "the variance stands where sigma is due: dz / dlogvar = sigma eps / 2."),
        (but(use_eps=False), "eps is missing: dz / dlogvar = sigma eps / 2, each sample moves by its own noise."),
    ]
    cases = {}
    for name, arguments in one_dimension().items():
        cases[f"{name}, f = z²"] = (lambda z: 2 * z, *arguments)
        cases[f"{name}, f = cos z"] = (lambda z: -np.sin(z), *arguments)
    outputs = ("the derivative by mu", "the derivative by logvar")
    compare("your pathwise estimate", answer, path_gradient, cases, mistakes, outputs)


@exercise("3.4")
def check_variances(answer):
    """Exercise 3.4: the variances of both estimates of d E[z²] / dmu, (mu, sigma) -> two arrays."""

    def variances(mu, sigma):
        return mu**4 / sigma**2 + 14 * mu**2 + 15 * sigma**2, 4 * sigma**2 + 0 * mu

    def but(part, value):
        def mistaken(mu, sigma):
            values = list(variances(mu, sigma))
            values[part] = value(mu, sigma)
            return values

        return mistaken

    mistakes = [
        (
            but(0, lambda mu, s: variances(mu, s)[0] + 4 * mu**2),
            "this is the mean of the square. The variance is that minus the square of the mean, (2 mu)².",
        ),
        (
            but(0, lambda mu, s: variances(mu, s)[0] + 4 * mu**2 - 2 * mu),
            "the mean, 2 mu, is not squared before it is subtracted.",
        ),
        (
            but(0, lambda mu, s: s**2 * variances(mu, s)[0]),
            "the score is eps / sigma, so its square brings 1 / sigma².",
        ),
        (
            but(0, lambda mu, s: mu**4 / s**2 + 2 * mu**2 + 15 * s**2),
            "of (mu + sigma eps)⁴ the term 6 mu² sigma² eps² needs E[eps⁴] = 3 after it is multiplied with eps².",
        ),
        (
            but(0, lambda mu, s: mu**4 / s**2 + 14 * mu**2 + 3 * s**2),
            "of (mu + sigma eps)⁴ the term sigma⁴ eps⁴ needs E[eps⁶] = 15 after it is multiplied with eps².",
        ),
        (but(0, lambda mu, s: np.sqrt(variances(mu, s)[0])), "these are standard deviations: square them."),
        (but(1, lambda mu, s: 2 * s + 0 * mu), "this is the standard deviation: square it."),
        (
            but(1, lambda mu, s: 4 * (mu**2 + s**2)),
            "this is the mean of the square, E[(2z)²]. The variance is that minus (2 mu)².",
        ),
        (but(1, lambda mu, s: 2 * s**2 + 0 * mu), "exactly half of ours: Var[2z] = 2² Var[z]."),
        (but(1, lambda mu, s: s**2 + 0 * mu), "a quarter of ours: Var[2z] = 2² Var[z]."),
    ]
    cases = {
        "mu = 0": (np.zeros(2), np.array([1.0, 0.5])),
        "any mu and sigma": (np.array([0.5, -3.0, 2.0]), np.array([0.3, 1.5, 1.0])),
    }
    outputs = ("the score function's variance", "the path's variance")
    compare("your answer", answer, variances, cases, mistakes, outputs)


@exercise("3.5")
def check_leave_one_out(answer):
    """Exercise 3.5: (f - the mean of the others' f) times the score, (f (S,), score (S,)) -> (S,)."""

    def others(f):
        return (f.sum() - f) / (len(f) - 1)

    mistakes = [
        (lambda f, score: f * score, "the baseline is missing: this is the estimate as it was."),
        (
            lambda f, score: (f - f.mean()) * score,
            "the mean includes the sample's own f. It depends on its own score then, and the estimate is biased (by the"
            " factor 1 - 1/S): leave it out.",
        ),
        (lambda f, score: (f + others(f)) * score, "the baseline is added. Subtract it."),
        (lambda f, score: f * score - others(f), "the baseline is outside: it is to be multiplied with the score too."),
        (
            lambda f, score: f * score - f.mean(),
            "the baseline is outside: it is to be multiplied with the score too; and it includes the sample's own f.",
        ),
        (
            lambda f, score: (f - (f.sum() - f) / len(f)) * score,
            "the sum over the others is divided by S. The others are S - 1.",
        ),
        (lambda f, score: (f - (f.sum() - f)) * score, "the sum over the others, but their mean is due."),
        (lambda f, score: others(f) * score, "the sample's own f is missing: f minus the mean of the others."),
    ]
    cases = {"S = 2": (normal(0, 2), normal(1, 2)), "S = 6": (3 + normal(2, 6), normal(3, 6))}
    compare("your baseline", answer, lambda f, score: (f - others(f)) * score, cases, mistakes)


@exercise("3.6")
def check_layer_backward(answer):
    """Exercise 3.6: backward of z = mu + sigma eps, (dz (R, S, D), eps (R, S, D), logvar (R, D)) -> (R, D) twice."""

    def layer_backward(dz, eps, logvar, factor=0.5, scale=lambda logvar: np.exp(logvar / 2), average=np.sum):
        return average(dz, axis=1), average(dz * eps, axis=1) * scale(logvar) * factor

    def but(**changes):
        return lambda *arguments: layer_backward(*arguments, **changes)

    mistakes = [
        (
            but(average=np.mean),
            "a mean over the samples. The chain rule adds them up: where a mean is wanted, dz already has the 1/S.",
        ),
        (
            lambda dz, eps, logvar: (dz, dz * eps * np.exp(logvar / 2)[:, None] / 2),
            "the sum over the samples is missing: one mu serves all S of them.",
        ),
        (
            but(average=lambda a, axis: a[:, 0]),
            "this is the first sample alone. All S of them depend on mu and logvar.",
        ),
        (but(factor=1.0), "exactly twice ours: dsigma / dlogvar = sigma / 2."),
        (but(scale=np.exp), "the variance stands where sigma is due: dz / dlogvar = sigma eps / 2."),
        (but(scale=np.exp, factor=1.0), "this belongs to z = mu + exp(logvar) eps. Here sigma = exp(logvar / 2)."),
        (but(scale=np.ones_like), "sigma is missing: dz / dlogvar = sigma eps / 2."),
        (but(scale=np.ones_like, factor=1.0), "this is the derivative by sigma: times dsigma / dlogvar = sigma / 2."),
        (
            lambda dz, eps, logvar: (dz.sum(axis=1), dz.sum(axis=1) * np.exp(logvar / 2) / 2),
            "eps is missing: dz / dlogvar = sigma eps / 2.",
        ),
        (
            lambda dz, eps, logvar: (dz.sum(axis=1), dz.sum(axis=1) * eps.sum(axis=1) * np.exp(logvar / 2) / 2),
            "a product of two sums. Each sample's dz belongs with its own eps: multiply, then add up.",
        ),
    ]
    cases = {
        "S = 1": (normal(0, 3, 1, 2), normal(1, 3, 1, 2), normal(2, 3, 2)),
        "S = 4": (normal(3, 2, 4, 3), normal(4, 2, 4, 3), normal(5, 2, 3)),
    }
    compare("your layer_backward", answer, layer_backward, cases, mistakes, outputs=("the dmu", "the dlogvar"))


@exercise("3.7")
def check_log_q_derivatives(answer):
    """Exercise 3.7: log q by path and directly, (logvar, eps) -> path mu, path logvar, direct mu, direct logvar."""

    def derivatives(logvar, eps):
        sigma = np.exp(logvar / 2)
        return -eps / sigma, -(eps**2) / 2, eps / sigma, (eps**2 - 1) / 2

    def but(part, value):
        def mistaken(logvar, eps):
            values = list(derivatives(logvar, eps))
            values[part] = value(np.exp(logvar / 2), eps)
            return values

        return mistaken

    slope = "d log q / dz = -(z - mu) / sigma² = -eps / sigma"
    mistakes = [
        (but(0, lambda s, e: -e), f"sigma is missing: {slope}, and dz / dmu = 1."),
        (but(0, lambda s, e: -e / s**2), f"a factor sigma² is too much, since z - mu = sigma eps: {slope}."),
        (but(0, lambda s, e: e / s), f"this is the direct one. Along the path {slope}, and dz / dmu = 1."),
        (but(1, lambda s, e: -(e**2)), f"exactly twice ours: {slope}, times dz / dlogvar = sigma eps / 2."),
        (but(1, lambda s, e: -e / s), "this is d log q / dz alone; it is to be multiplied with sigma eps / 2."),
        (
            but(1, lambda s, e: (e**2 - 1) / 2),
            "this is the direct one. Along the path: -(eps / sigma) (sigma eps / 2).",
        ),
        (but(1, lambda s, e: np.full_like(e, -0.5)), "this is path and direct together, the full derivative."),
        (but(2, lambda s, e: -e / s), "this is the path's. Directly, with z held fixed, the sign is the other one."),
        (but(2, lambda s, e: 0 * e), "this is path and direct together, the full derivative: z is to be held fixed."),
        (but(2, lambda s, e: e / s**2), "(z - mu) / sigma² is eps / sigma: one sigma cancels."),
        (but(3, lambda s, e: e**2 / 2), "the -1/2 is missing: log q contains -logvar / 2."),
        (but(3, lambda s, e: e**2 - 1), "exactly twice ours: logvar is 2 log sigma."),
        (but(3, lambda s, e: -np.ones_like(e) / 2), "this is path and direct together: z is to be held fixed."),
        (
            but(3, lambda s, e: (1 - e**2) / 2),
            "exactly the negative of ours: a sample far out wants a larger variance.",
        ),
    ]
    cases = {"sigma = 1": (np.zeros(4), normal(0, 4)), "any sigma": (normal(1, 5), normal(2, 5))}
    outputs = ("the path's derivative by mu", "the path's derivative by logvar")
    outputs += ("the direct derivative by mu", "the direct derivative by logvar")
    compare("your answer", answer, derivatives, cases, mistakes, outputs)


@exercise("3.8")
def check_log_weight_gradient(answer):
    """Exercise 3.8: (x, mu, logvar, eps (N, K, Q), W, m, s2, direct) -> log w by mu and by logvar, (N, K, Q) each."""

    def gradient(x, mu, logvar, eps, W, m, s2, direct, prior=1, path=1, likelihood=1, always=None, half=0.5, sign=1):
        direct = direct if always is None else always
        sigma = np.exp(logvar / 2)[:, None]
        z = mu[:, None] + sigma * eps
        dz = likelihood * (x[:, None] - m - z @ W) @ W.T / s2 - prior * z + path * eps / sigma
        return dz - sign * direct * eps / sigma, dz * half * sigma * eps - sign * direct * (eps**2 - 1) / 2

    def but(**changes):
        return lambda *arguments: gradient(*arguments, **changes)

    def twice(x, mu, logvar, eps, W, m, s2, direct):
        return gradient(x, mu, logvar, eps, W, m, s2**2, direct)

    mistakes = [
        (but(prior=0), "the prior is missing: d log p(z) / dz = -z."),
        (but(prior=-1), "the sign of the prior's term: d log p(z) / dz = -z, it pulls towards 0."),
        (but(likelihood=0), "the likelihood is missing: d log p(x | z) / dz = (x - m - zW) Wᵀ / s2."),
        (but(likelihood=-1), "the sign of the likelihood's term: (x - m - zW) Wᵀ / s2 pulls zW towards x - m."),
        (but(path=0), "the path through log q is missing: -log q contributes +eps / sigma to the derivative by z."),
        (but(path=-1), "the sign of the path through log q: log w has -log q, whose derivative by z is +eps / sigma."),
        (but(always=1), "`direct` plays no part: with direct = 0 the derivatives of log q at fixed z are left out."),
        (but(always=0), "the direct derivatives of -log q are missing: -eps / sigma by mu, -(eps² - 1) / 2 by logvar."),
        (but(sign=-1), "the sign of the direct derivatives: log w has -log q."),
        (
            lambda x, mu, logvar, eps, W, m, *rest: gradient(x, mu, logvar, eps, W, 0 * m, *rest),
            "the mean m is missing: the residual is x - m - zW.",
        ),
        (
            lambda x, mu, logvar, eps, W, m, s2, direct: gradient(x, mu, logvar, eps, W, m, 1.0, direct),
            "the noise s2 is missing: the residual is divided by the variance of x given z.",
        ),
        (
            lambda x, mu, logvar, eps, W, m, s2, direct: gradient(x, mu, logvar, eps, W, 0 * m, 1.0, direct),
            "the mean m and the noise s2 are missing: d log p(x | z) / dz = (x - m - zW) Wᵀ / s2.",
        ),
        (
            lambda x, mu, logvar, eps, W, m, s2, direct: gradient(x, mu, logvar, eps, W, m, s2**0.5, direct),
            "the noise enters with its square root. s2 is a variance.",
        ),
        (but(half=1.0), "the 1/2 of dz / dlogvar = sigma eps / 2 is missing."),
        (
            lambda x, mu, logvar, *rest: gradient(x, mu, 2 * logvar, *rest),
            "exp(logvar), the variance, is taken for sigma: sigma = exp(logvar / 2).",
        ),
        (twice, "the noise enters squared. s2 is the variance already."),
        (
            lambda *a: tuple(part.sum(axis=1) for part in gradient(*a)),
            "a sum over the samples. The gradient of each sample is wanted: (N, K, Q).",
        ),
        (
            lambda *a: tuple(part.mean(axis=1) for part in gradient(*a)),
            "a mean over the samples. The gradient of each sample is wanted: (N, K, Q).",
        ),
    ]
    cases = {}
    for name, N, K, Q, D in (("K = 1, Q = 1", 4, 1, 1, 3), ("K = 3, Q = 2", 2, 3, 2, 4)):
        arrays = normal(N, N, D), normal(1, N, Q), normal(2, N, Q), normal(3, N, K, Q), normal(4, Q, D), normal(5, D)
        for direct in (1, 0):
            cases[f"{name}, direct = {direct}"] = (*arrays, 0.3, direct)
    outputs = ("the derivative by mu", "the derivative by logvar")
    compare("your gradient of log w", answer, gradient, cases, mistakes, outputs)
