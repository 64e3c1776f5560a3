"""The checks of notebook 11: dequantisation, bits, the discretised logistic with its mixtures, colours."""

import numpy as np
from scipy.special import expit, log_softmax, logsumexp, softmax
from scipy.stats import norm

from tinyvae.tutorial.answers import ONE_MAXIMUM, compare
from tinyvae.tutorial.exercises import exercise

HALF = 1 / 510  # from a level to the edge of what is rounded to it
CELL, BIT = np.log(256), np.log(2)  # nats of a level's cell, and of a bit
TINY = (1e-5, 1e-6, 1e-7, 1e-8, 1e-9, 1e-10, 1e-12, 1e-15, 1e-16, 1e-20, 1e-30, 1e-300)  # where people clip


@exercise("11.1")
def check_dequantised_bound(answer):
    """Exercise 11.1: a bound on log P, (levels (N, D), mu, sigma (N, D), u (S, N, D)) -> (N,)."""

    def bound(levels, mu, sigma, u, x=lambda v, u: (v + u) / 256, over=np.sum, samples=np.mean, cells=CELL):
        density = over(norm.logpdf(x(levels, u), mu, sigma), axis=2)
        return samples(density, axis=0) - levels.shape[1] * cells

    def but(**changes):
        return lambda *arguments: bound(*arguments, **changes)

    def log_mean_exp(density, axis):
        return logsumexp(density, axis=axis) - np.log(len(density))

    mistakes = [
        (but(cells=0), "D log 256 is missing: this bounds the density in a cell, and the cell's volume is 256^-D."),
        (
            lambda levels, *others: bound(levels, *others, cells=0) - np.log(256),
            "log 256 is there once. Every dimension has a cell of the width 1/256: D log 256.",
        ),
        (
            but(cells=-np.log(256)),
            "the sign of log 256: a density of 256 in a cell of the width 1/256 is a probability of 1, so that D log"
            " 256 is subtracted.",
        ),
        (but(cells=8.0), "these are bits less than nats: 8 is log2 256. In nats it is log 256."),
        (but(cells=np.log(255)), "divided by 255 cells: there are 256 levels, from 0 to 255, each with a cell."),
        (
            but(x=lambda v, u: (v + u) / 255),
            "divided by 255. The 256 cells fill the unit interval: x = (v + u) / 256.",
        ),
        (but(x=lambda v, u: v / 256 + u), "the noise is 256 times too wide, a factor: u too is divided by 256."),
        (but(x=lambda v, u: v / 256 + 0 * u), "the noise is missing: this is the density at the lower edge."),
        (but(x=lambda v, u: v / 255 + 0 * u), "the noise is missing: this is the density at v / 255 alone."),
        (but(x=lambda v, u: (v + 0.5) / 256 + 0 * u), "the noise is missing: this is the density at the middle."),
        (
            but(x=lambda v, u: (v + u - 0.5) / 256),
            "half a level less than ours everywhere: cells from v - 1/2 on begin below 0. They go from v to v + 1.",
        ),
        (
            but(samples=log_mean_exp),
            "the logarithm of the mean over the samples of u. That is an estimate of log P itself, and above the bound:"
            " the bound is the mean of the logarithms, E[log p].",
        ),
        (but(samples=np.sum), "the sum over the samples of u is taken: an expectation is their mean."),
        (
            lambda levels, mu, sigma, u: bound(levels, mu, sigma, u[:1]),
            "only the first sample of u is used.",
        ),
        (
            but(over=np.mean),
            "the mean over the dimensions of log p. Densities multiply, so their logarithms add up.",
        ),
        (
            but(over=np.mean, cells=0),
            "the mean over the dimensions of log p. Densities multiply, so their logarithms add up; and D log 256 is"
            " missing.",
        ),
        (
            lambda levels, *others: bound(levels, *others) / levels.shape[1],
            "the mean over the dimensions: the bound is on an example, their sum.",
        ),
        (
            lambda levels, mu, sigma, u: bound(levels, mu, np.sqrt(sigma), u),
            "sigma is used as a variance: it is the standard deviation.",
        ),
        (
            lambda levels, *others: bound(levels, *others) + 0.5 * levels.shape[1] * np.log(2 * np.pi),
            "the constant -1/2 log 2 pi is missing, for each dimension. Without it this is no density, and bits mean"
            " nothing.",
        ),
        (
            lambda levels, mu, sigma, u: bound(levels, mu, sigma, u) + np.log(sigma).sum(axis=1),
            "-log sigma is missing: without it no density integrates to 1.",
        ),
    ]
    rng = np.random.default_rng(0)
    cases = {}
    for name, S, N, D, wide in (
        ("the general case", 4, 3, 5, 0.1),
        ("one dimension", 3, 2, 1, 0.02),
        ("one sample", 1, 3, 4, 0.3),
    ):
        sigma = wide * np.exp(0.2 * rng.standard_normal((N, D)))
        levels = rng.integers(0, 256, (N, D))
        cases[name] = levels, (levels + 40 * rng.standard_normal((N, D))) / 256, sigma, rng.random((S, N, D))
    compare("your bound", answer, bound, cases, mistakes)


@exercise("11.2")
def check_bits_per_dimension(answer):
    """Exercise 11.2: bits of a bound, (bounds (N,) in nats, D, whether they are of dequantised x) -> a number."""

    def bits(bounds, D, of_density, cells=8.0, unit=BIT):
        return -np.mean(bounds) / (D * unit) + cells * of_density

    def but(**changes):
        return lambda *arguments: bits(*arguments, **changes)

    mistakes = [
        (but(unit=1, cells=np.log(256)), "nats instead of bits, a factor: a bit is log 2 nats."),
        (but(unit=1), "-L / D is in nats, a factor: only the 8 is in bits."),
        (
            but(cells=0),
            "the 8 bits of a cell are missing: the density of dequantised levels is log2 256 = 8 above their"
            " probability, in each dimension.",
        ),
        (but(cells=-8.0), "the sign of the 8: a density is higher than the probability in its cell, so it costs more."),
        (but(cells=np.log(256)), "log 256 is in nats, a factor: in bits it is log2 256 = 8."),
        (
            lambda bounds, D, of_density: bits(bounds, D, True),
            "8 more than ours wherever levels have a probability: one too many. A probability of levels has no cells.",
        ),
        (
            lambda bounds, D, of_density: bits(bounds, D, not of_density),
            "the two kinds of bounds are swapped: it is the density of dequantised levels that needs it.",
        ),
        (
            lambda bounds, D, of_density: bits(bounds, D, False) + 8 * of_density / D,
            "8 is divided by D too: every dimension has a cell of its own.",
        ),
        (
            lambda bounds, D, of_density: bits(bounds, 1, False) + 8 * of_density,
            "not divided by D: these are bits for an example, and 8 for one of its dimensions.",
        ),
        (
            lambda bounds, D, of_density: bits(bounds, 1, False) + 8 * D * of_density,
            "not divided by D: these are bits for an example. Count them for each dimension.",
        ),
        (
            lambda bounds, D, of_density: -bits(bounds, D, False) + 8 * of_density,
            "the sign: -log2 P is what a code needs.",
        ),
        (lambda *arguments: -bits(*arguments), "the sign: -log2 P is what a code needs, and never negative."),
        (
            but(unit=1 / np.log(2)),
            "multiplied by log 2, a factor the wrong way: a bit is less than a nat, so there are more of them.",
        ),
        (but(unit=np.log(10)), "a factor: the logarithm to the base 10 is taken, and bits are to the base 2."),
        (but(unit=8 * np.log(2), cells=1), "these are bytes, a factor: 8 bits each."),
        (
            lambda bounds, D, of_density: bits(bounds.sum(keepdims=True), D, of_density),
            "the sum over the examples is taken: their mean is wanted.",
        ),
        (
            lambda bounds, D, of_density: -bounds / (D * np.log(2)) + 8 * of_density,
            "the mean over the examples is missing: one number is wanted.",
        ),
    ]
    rng = np.random.default_rng(0)
    cases = {
        "levels": (-900 + 50 * rng.standard_normal(5), 192, False),
        "dequantised levels": (300 + 50 * rng.standard_normal(4), 192, True),
        "one dimension": (-3 - rng.random(3), 1, False),
    }
    compare("your bits", answer, bits, cases, mistakes)


# ---------------------------------------------------------------------------------------------------------------------
# The discretised logistic
# ---------------------------------------------------------------------------------------------------------------------


def edges(v, m, s, half=HALF):
    """The edges u and l above and below the levels, in scales from the mean."""
    return (v + half - m) / s, (v - half - m) / s


def log_probability(v, m, t, scale=np.exp, half=HALF, top=1, bottom=0, inner_everywhere=False, inner=True, cell=None):
    """Ours, and with other pieces in it the ways in which it goes wrong: log P(v) of v, m and t of one shape.

    ``top`` and ``bottom`` are the levels without an upper and a lower edge.
    """
    s = scale(t)
    u, l = edges(v, m, s, half)
    has_upper, has_lower = v != top, v != bottom
    both = (has_upper & has_lower) | inner_everywhere
    width = -np.expm1(-2 * half / s) if cell is None else cell(2 * half / s)
    third = np.where(both, np.log(width), 0) if inner else 0
    return np.where(has_upper, -np.logaddexp(0, -u), 0) + np.where(has_lower, -np.logaddexp(0, l), 0) + third


def probability(v, m, t, open_ends=True):
    """The difference of two sigmoids as it stands."""
    u, l = edges(v, m, np.exp(t))
    upper, lower = expit(u), expit(l)
    return np.where((v == 1) & open_ends, 1, upper) - np.where((v == 0) & open_ends, 0, lower)


def levels_cases(rng):
    """Levels, means and log scales, where the difference as it stands is either good to many digits or lost."""
    v = np.round(255 * rng.uniform(0.1, 0.9, (3, 4))) / 255
    middle = np.full((2, 3), 0.4), np.full((2, 3), -7.0)
    return {
        "any mean and scale": (v, v + 0.2 * rng.standard_normal((3, 4)), -1.5 + 0.5 * rng.random((3, 4))),
        "the two ends": (np.array([[0.0, 1, 0], [1, 0, 1]]), rng.uniform(-0.1, 1.1, (2, 3)), -2 + rng.random((2, 3))),
        "a scale of e^-7": (np.array([[102, 150, 200], [26, 50, 204]]) / 255, *middle),
        "a scale of e^-30": (np.array([[102, 150, 204], [26, 0, 255]]) / 255, middle[0], np.full((2, 3), -30.0)),
        "a scale of e^8": (v[:2, :3], *middle[:1], np.full((2, 3), 8.0)),
        "a scale of e^40": (v[:2, :3], *middle[:1], np.full((2, 3), 40.0)),
    }


@exercise("11.3")
def check_level_log_probability(answer):
    """Exercise 11.3: log P of levels under a discretised logistic, (v, m, t) (N, D) -> (N, D)."""

    def but(**changes):
        return lambda *arguments: log_probability(*arguments, **changes)

    lost = (
        "minus infinity where both sigmoids round to the same number, by overflow or by rounding. Take the logarithm"
        " of the product: -softplus(-u) - softplus(l) + log(1 - e^-delta), np.logaddexp(0, a) for the softplus."
    )
    closed = (
        "the open ends are missing: at v = 1 there is no upper edge, at v = 0 no lower one. As it is the probabilities"
        " of all levels sum to less than 1."
    )

    def at_an_end(end):
        """The third term at one of the ends too."""
        return lambda v, m, t: (
            log_probability(v, m, t) + np.where(v == end, np.log(-np.expm1(-1 / (255 * np.exp(t)))), 0)
        )

    def density(v, m, t):
        z = (v - m) / np.exp(t)
        return -z - 2 * np.logaddexp(0, -z) - t - np.log(255)

    mistakes = [
        (lambda *arguments: np.log(probability(*arguments)), lost),
        (but(top=None, bottom=None), closed),
        (lambda *arguments: np.log(probability(*arguments, open_ends=False)), f"{closed} And {lost}"),
        (but(top=None), "the open end is missing at v = 1: without an upper edge the first sigmoid is 1 there."),
        (but(bottom=None), "the open end is missing at v = 0: without a lower edge the second sigmoid is 0 there."),
        (
            but(top=0, bottom=1),
            "the ends are swapped: the upper edge falls away at v = 1, the lower one at v = 0.",
        ),
        (
            but(inner_everywhere=True),
            "one term too many at the ends: log(1 - e^-delta) is there only where a level has both edges.",
        ),
        (at_an_end(1), "one term too many at v = 1: log(1 - e^-delta) is there only where a level has both edges."),
        (at_an_end(0), "one term too many at v = 0: log(1 - e^-delta) is there only where a level has both edges."),
        (but(inner=False), "log(1 - e^-delta) is missing, the third factor of the product."),
        (
            lambda *arguments: log_probability(*arguments, cell=lambda delta: 1 - np.exp(-delta)),
            "minus infinity where the scale is large: the difference of two numbers that round to the same is 0. For"
            " 1 - e^-delta take -np.expm1(-delta).",
        ),
        (
            density,
            "this is the density times the width of a cell, an approximation: it may be above 1 where the scale is"
            " small, and the ends are not open.",
        ),
        (
            lambda v, m, t: density(v, m, t) + np.log(255),
            "this is the density: a level's probability is what it has between the edges.",
        ),
        (but(half=1 / 255), "edges twice as far apart as ours, a factor: they lie halfway, 1/510 from the level."),
        (but(half=1 / 512), "edges at 1/512, a factor: between 0 and 1 there are 255 steps of 1/255, half is 1/510."),
        (but(scale=lambda t: t), "t is used as the scale itself: it is the logarithm of the scale, s = e^t."),
        (but(scale=lambda t: np.exp(t / 2)), "t is used as the logarithm of a variance: the scale is e^t."),
        (but(scale=lambda t: np.exp(-t)), "divided by e^-t, a factor the wrong way: the scale is e^t."),
        (lambda *arguments: -log_probability(*arguments), "exactly the negative of ours: a sign?"),
        (lambda *arguments: np.exp(log_probability(*arguments)), "this is P: its logarithm is wanted."),
        (lambda *arguments: log_probability(*arguments) / np.log(2), "these are bits, a factor: nats are wanted."),
        (
            lambda *arguments: log_probability(*arguments).sum(axis=1),
            "the sum over the dimensions is taken. Here each value's own logarithm is wanted: the sum comes later.",
        ),
    ]
    for tiny in TINY:
        clipped = (
            f"the probability is clipped at about {tiny:g}, and all those below it vanish: the penalty stops"
            " growing where the model is most wrong, and its derivative is lost. Never leave the logarithm."
        )
        mistakes += [
            (lambda *arguments, e=tiny: np.log(np.maximum(probability(*arguments), e)), clipped),
            (lambda *arguments, e=tiny: np.log(probability(*arguments) + e), clipped),
            (lambda *arguments, e=tiny: np.log(np.maximum(probability(*arguments, open_ends=False), e)), closed),
            (lambda *arguments, e=tiny: np.log(probability(*arguments, open_ends=False) + e), closed),
        ]
    cases = levels_cases(np.random.default_rng(0))
    compare("your log probability", answer, log_probability, cases, mistakes)


def derivatives(v, m, t, open_ends=True, cells=1.0, sigmoid=expit, top=1, bottom=0, expm1=np.expm1):
    """Ours of log P by m and t, (N, D) each; ``cells`` is the factor of the last term, ``top`` and ``bottom`` are the
    levels without an upper and a lower edge.
    """
    s = np.exp(t)
    (u, l), delta = edges(v, m, s), 1 / (255 * s)
    du = np.where((v != top) | (not open_ends), sigmoid(-u), 0)
    dl = np.where((v != bottom) | (not open_ends), sigmoid(l), 0)
    both = ((v > 0) & (v < 1)) | (not open_ends)
    return (dl - du) / s, l * dl - u * du - np.where(both, cells * delta / expm1(delta), 0)


def through_probabilities(v, m, t):
    """The quotient rule on the difference as it stands: 0 / 0 where that is lost."""
    s = np.exp(t)
    u, l = edges(v, m, s)
    fu, fl = np.where(v < 1, expit(u) * expit(-u), 0), np.where(v > 0, expit(l) * expit(-l), 0)
    P = probability(v, m, t)
    return (fl - fu) / (s * P), (l * fl - u * fu) / P


@exercise("11.4")
def check_level_derivatives(answer):
    """Exercise 11.4: the derivatives of log P by the mean and the log scale, (v, m, t) (N, D) -> (N, D), (N, D)."""

    def but(dm=None, dt=None):
        """A mistake in one output, as a function of ours, v, m and t."""

        def mistaken(v, m, t):
            right = derivatives(v, m, t)
            return [ours if f is None else f(ours, v, m, t) for f, ours in zip((dm, dt), right)]

        return mistaken

    def edgeless(v, m, t):
        """Infinity in the place of edges that are not there."""
        s = np.exp(t)
        u, l = edges(v, m, s)
        u, l, delta = np.where(v < 1, u, np.inf), np.where(v > 0, l, -np.inf), 1 / (255 * s)
        inner = np.where((v > 0) & (v < 1), delta / np.expm1(delta), 0)
        return (expit(l) - expit(-u)) / s, l * expit(l) - u * expit(-u) - inner

    def swapped(v, m, t):
        s = np.exp(t)
        u, l = edges(v, m, s)
        return (np.where(v < 1, expit(u), 0) - np.where(v > 0, expit(-l), 0)) / s

    def cell(v, t):
        delta = 1 / (255 * np.exp(t))
        return np.where((v > 0) & (v < 1), delta / np.expm1(delta), 0)

    def of_density(v, m, t):
        z = (v - m) / np.exp(t)
        return np.tanh(z / 2) / np.exp(t), z * np.tanh(z / 2) - 1

    def exp_over_exp(a):
        return np.exp(a) / (1 + np.exp(a))

    closed = "the open ends are missing: without an edge there is no term of it, neither its own nor delta's."
    mistakes = [
        (lambda *arguments: derivatives(*arguments, open_ends=False), closed),
        (
            through_probabilities,
            "0 / 0 where the probability is lost, by overflow or by rounding. Differentiate the stable logarithm, term"
            " by term: the derivative of softplus is the sigmoid.",
        ),
        (
            lambda *arguments: derivatives(*arguments, sigmoid=exp_over_exp),
            "overflow: e^a / (1 + e^a) is infinite over infinite. 1 / (1 + e^-a) and (1 + tanh(a / 2)) / 2 are not.",
        ),
        (
            lambda *arguments: derivatives(*arguments, top=0, bottom=1),
            "the ends are swapped: the upper edge falls away at v = 1, the lower one at v = 0.",
        ),
        (
            lambda *arguments: derivatives(*arguments, sigmoid=lambda a: expit(-a)),
            "the sign within both sigmoids: -softplus(-u) has the slope sigmoid(-u), -softplus(l) has -sigmoid(l).",
        ),
        (
            lambda *arguments: derivatives(*arguments, expm1=lambda a: np.exp(a) - 1),
            "0 / 0 where delta is tiny, since e^delta - 1 is rounded to 0 there. Take np.expm1(delta).",
        ),
        (
            edgeless,
            "0 times an edge that is infinite: that is not a number. Leave its term out (np.where).",
        ),
        (
            of_density,
            "these are the derivatives of the density's logarithm. Here it is a difference of two sigmoids.",
        ),
        (
            but(dm=lambda ours, v, m, t: ours * np.exp(t)),
            "the factor 1/s is missing: u and l move by -1/s when m moves by 1.",
        ),
        (but(dm=lambda ours, *_: -ours), "exactly the negative of ours: a mean wants to move towards the level."),
        (but(dm=lambda ours, v, m, t: swapped(v, m, t)), "the sigmoids are swapped: by u it is sigmoid(-u)."),
        (but(dm=lambda ours, *_: 2 * ours), "exactly twice ours: a factor?"),
        (
            but(dt=lambda ours, v, m, t: ours / np.exp(t)),
            "this is the derivative by the scale, a factor 1/s too much: by its logarithm it is s times that.",
        ),
        (
            but(dt=lambda ours, v, m, t: ours + cell(v, t)),
            "the term of delta is missing: the cell's width is counted in scales, delta = 1 / (255 s).",
        ),
        (but(dt=lambda ours, v, m, t: ours + 2 * cell(v, t)), "the sign of delta's term: delta falls as s grows."),
        (
            but(dt=lambda ours, v, m, t: derivatives(v, m, t, open_ends=False)[1] * ((v > 0) & (v < 1))),
            "0 at the ends, where a term is missing: one edge is still there.",
        ),
        (
            but(
                dt=lambda ours, v, m, t: (
                    ours - np.where((v > 0) & (v < 1), 0, 1 / (255 * np.exp(t)) / np.expm1(1 / (255 * np.exp(t))))
                )
            ),
            "one term too many at the ends: delta's is there only where a level has both edges.",
        ),
        (but(dt=lambda ours, *_: -ours), "exactly the negative of ours: a sign?"),
        (but(dt=lambda ours, *_: 2 * ours), "exactly twice ours: a factor? t is log s, not log s²."),
        (
            but(dt=lambda ours, v, m, t: derivatives(v, m, t)[0] * np.exp(t) - cell(v, t)),
            "the factors l and u are missing: du/dt = -u, dl/dt = -l.",
        ),
    ]
    cases = levels_cases(np.random.default_rng(1))
    outputs = ("the derivative by m", "the derivative by t")
    compare("your derivatives", answer, derivatives, cases, mistakes, outputs)


# ---------------------------------------------------------------------------------------------------------------------
# Mixtures and colours
# ---------------------------------------------------------------------------------------------------------------------


@exercise("11.5")
def check_level_mixture(answer):
    """Exercise 11.5: a mixture, (v (N, D), a, m, t (N, C, D)) -> log p (N,), its derivative by a (N, C, D)."""

    def parts(v, a, m, t):
        """log pi and log P, (N, C, D) each."""
        return log_softmax(a, axis=1), log_probability(np.broadcast_to(v[:, None], m.shape), m, t)

    def mixture(v, a, m, t):
        log_pi, log_P = parts(v, a, m, t)
        each = logsumexp(log_pi + log_P, axis=1)
        return each.sum(axis=1), np.exp(log_pi + log_P - each[:, None]) - np.exp(log_pi)

    def with_value(value):
        """A mistake in the first output, as a function of log pi, log P, a and what is right in each dimension."""

        def mistaken(v, a, m, t):
            log_pi, log_P = parts(v, a, m, t)
            return value(log_pi, log_P, a, logsumexp(log_pi + log_P, axis=1)), mixture(v, a, m, t)[1]

        return mistaken

    def with_derivative(derivative):
        """A mistake in the second output, as a function of the responsibilities, pi and log P."""

        def mistaken(v, a, m, t):
            log_pi, log_P = parts(v, a, m, t)
            logp, right = mixture(v, a, m, t)
            return logp, derivative(right + np.exp(log_pi), np.exp(log_pi), log_P)

        return mistaken

    def one_maximum(log_pi, log_P, a, right):
        joint = log_pi + log_P
        return (np.log(np.exp(joint - joint.max()).sum(axis=1)) + joint.max()).sum(axis=1)

    overflow = (
        "overflow, or every component's probability is rounded to 0. Stay in logarithms: log sum exp of log pi + log P,"
        " with the largest taken out."
    )
    mistakes = [
        (with_value(lambda pi, P, a, _: np.log(np.sum(np.exp(pi + P), axis=1)).sum(axis=1)), overflow),
        (
            with_value(
                lambda pi, P, a, _: np.log(np.sum(np.exp(a) / np.exp(a).sum(1, keepdims=True) * np.exp(P), 1)).sum(1)
            ),
            overflow,
        ),
        (
            with_value(
                lambda pi, P, a, _: logsumexp(np.log(np.exp(a) / np.exp(a).sum(1, keepdims=True)) + P, 1).sum(1)
            ),
            "overflow in the weights: subtract the largest logit before the exponential.",
        ),
        (with_value(one_maximum), ONE_MAXIMUM),
        (
            with_value(lambda pi, P, a, _: logsumexp(P, axis=1).sum(axis=1)),
            "the weights are missing: sum_c pi_c P_c.",
        ),
        (
            with_value(lambda pi, P, a, _: (logsumexp(P, axis=1) - np.log(P.shape[1])).sum(axis=1)),
            "the weights are missing, each component has 1/C: they are softmax(a).",
        ),
        (
            with_value(lambda pi, P, a, _: logsumexp(a + P, axis=1).sum(axis=1)),
            "it is not divided by the sum of e^a, a factor: the weights are softmax(a), and sum to 1.",
        ),
        (
            with_value(lambda pi, P, a, _: logsumexp(log_softmax(a, axis=2) + P, axis=1).sum(axis=1)),
            "the softmax sums over the dimensions. It sums over the components, axis 1.",
        ),
        (
            with_value(lambda pi, P, a, _: logsumexp(log_softmax(a, axis=0) + P, axis=1).sum(axis=1)),
            "the softmax sums over the examples. It sums over the components, axis 1.",
        ),
        (
            with_value(lambda pi, P, a, _: np.sum(np.exp(pi) * P, axis=(1, 2))),
            "the mean over all components of the logarithms: by Jensen that is below the logarithm of the mean.",
        ),
        (
            with_value(lambda pi, P, a, _: logsumexp(np.sum(pi + P, axis=2), axis=1)),
            "the sum over the dimensions comes before that over components: this chooses one component for a whole"
            " image. Each dimension has a mixture of its own.",
        ),
        (
            with_value(lambda pi, P, a, _: np.max(pi + P, axis=1).sum(axis=1)),
            "only the likeliest component is there: sum over them.",
        ),
        (
            with_value(lambda pi, P, a, right: right.mean(axis=1)),
            "the mean over the dimensions. Probabilities multiply, so their logarithms add up.",
        ),
        (
            with_value(lambda pi, P, a, right: right),
            "the sum over the dimensions is missing: log p of an example is wanted.",
        ),
        (
            with_value(lambda pi, P, a, right: right.sum(axis=1) / np.log(2)),
            "these are bits, a factor: nats are wanted.",
        ),
        (
            with_value(lambda pi, P, a, right: -right.sum(axis=1)),
            "exactly the negative of ours: a sign?",
        ),
        (
            with_derivative(lambda r, pi, P: r),
            "-pi is missing: a logit raises its own weight and lowers the others. The derivative sums to 0.",
        ),
        (with_derivative(lambda r, pi, P: pi - r), "exactly the negative of ours: a sign?"),
        (
            with_derivative(lambda r, pi, P: r / pi),
            "this is the derivative by the weights, a factor: by their logits it is r - pi.",
        ),
        (with_derivative(lambda r, pi, P: r * (1 - pi)), "a factor 1 - pi is too much: it is r - pi."),
        (
            with_derivative(lambda r, pi, P: r - 1 / r.shape[1]),
            "the weights are missing in what is taken off: it is pi_c, not 1/C.",
        ),
        (
            with_derivative(lambda r, pi, P: softmax(P, axis=1) - pi),
            "the weights are missing in r: pi_c P_c over its sum.",
        ),
        (
            with_derivative(lambda r, pi, P: np.exp(P) * pi - pi),
            "it is not divided by the sum over the components, a factor: r = pi_c P_c over that.",
        ),
        (
            with_derivative(lambda r, pi, P: (r - pi).sum(axis=2)),
            "the sum over the dimensions is taken: each has logits of its own.",
        ),
    ]
    rng = np.random.default_rng(0)
    cases = {}
    for name, N, C, D in (("5 components", 3, 5, 4), ("one component", 2, 1, 3), ("far from the data", 2, 3, 4)):
        v, a = np.round(255 * rng.uniform(0.1, 0.9, (N, D))) / 255, rng.standard_normal((N, C, D))
        cases[name] = v, a, v[:, None] + 0.1 * rng.standard_normal((N, C, D)), -2 + 0.5 * rng.random((N, C, D))
    v, a, m, _ = cases["far from the data"]
    far = np.array([100.0, 0.5])[:, None, None] * (0.5 + rng.random(m.shape))
    cases["far from the data"] = v, a, v[:, None] + far, np.full(m.shape, -4.0)
    v, a, m, t = cases["5 components"]
    cases["logits of 1000"] = v, 1000 + a, m, t
    outputs = ("log p", "the derivative by a")
    compare("your mixture", answer, mixture, cases, mistakes, outputs)


@exercise("11.6")
def check_colour_means(answer):
    """Exercise 11.6: means that know the channels before them, and the derivative by the coefficients.

    (x, m, c, dmeans), all (N, P, 3) -> means (N, P, 3), dc (N, P, 3); c is c_gr, c_br, c_bg.
    """

    def split(array):
        return array[..., 0], array[..., 1], array[..., 2]

    def colour(x, m, c, dmeans, moving=None, coefficients=lambda c: c):
        (red, green, _), (mr, mg, mb) = split(x if moving is None else moving(x, m)), split(m)
        c_gr, c_br, c_bg = split(coefficients(c))
        return np.stack([mr, mg + c_gr * red, mb + c_br * red + c_bg * green], axis=-1), derivative(x, dmeans)

    def derivative(x, dmeans):
        (red, green, _), (_, dg, db) = split(x), split(dmeans)
        return np.stack([red * dg, red * db, green * db], axis=-1)

    def in_a_chain(x, m, c, dmeans):
        """The moved means of red and green where their values belong."""
        (mr, mg, mb), (c_gr, c_br, c_bg) = split(m), split(c)
        green = mg + c_gr * mr
        return np.stack([mr, green, mb + c_br * mr + c_bg * green], axis=-1), derivative(x, dmeans)

    def but(means=None, dc=None):
        def mistaken(x, m, c, dmeans):
            right = colour(x, m, c, dmeans)
            return right[0] if means is None else means(x, m, c), right[1] if dc is None else dc(x, m, c, dmeans)

        return mistaken

    def with_order(*order):
        return lambda *arguments: colour(*arguments, coefficients=lambda c: c[..., list(order)])

    def stacked(*channels):
        return np.stack(channels, axis=-1)

    values = (
        "the means of red and green are used where their values belong: x is known, so green is moved by the red that"
        " is there."
    )
    order = "the order of the coefficients: they are c_gr, c_br, c_bg."
    mistakes = [
        (lambda *arguments: colour(*arguments, moving=lambda x, m: m), values),
        (in_a_chain, values),
        (lambda *arguments: colour(*arguments, moving=lambda x, m: x - m), "the means are subtracted from the values."),
        (with_order(0, 2, 1), order),
        (with_order(1, 0, 2), order),
        (with_order(2, 1, 0), order),
        (with_order(1, 2, 0), order),
        (with_order(2, 0, 1), order),
        (but(means=lambda x, m, c: colour(x, m, c, m)[0] - m), "the means themselves are missing: m is moved."),
        (
            but(means=lambda x, m, c: colour(x, m, c * [1, 1, 0], m)[0]),
            "green is missing in blue's mean: c_bg g.",
        ),
        (but(means=lambda x, m, c: colour(x, m, c * [1, 0, 1], m)[0]), "red is missing in blue's mean: c_br r."),
        (
            but(means=lambda x, m, c: m + c * x),
            "each channel is moved by its own value, something else than the ones before it: then it is no"
            " probability of that value.",
        ),
        (
            but(
                means=lambda x, m, c: (
                    m + stacked(c[..., 1] * x[..., 2] + c[..., 0] * x[..., 1], c[..., 2] * x[..., 2], 0 * c[..., 0])
                )
            ),
            "the order is the other way: red comes first, and knows nothing.",
        ),
        (but(means=lambda x, m, c: 2 * m - colour(x, m, c, m)[0]), "the sign: c r is added to the mean."),
        (but(means=lambda x, m, c: colour(x / 255, m, c, m)[0]), "divided by 255: x is on 0, 1/255, ..., 1 already."),
        (but(dc=lambda x, m, c, d: derivative(m, d)), "the means are used in the derivative where values belong."),
        (but(dc=lambda x, m, c, d: -derivative(x, d)), "exactly the negative of ours: a sign?"),
        (
            but(dc=lambda x, m, c, d: derivative(x, d)[..., [0, 2, 1]]),
            "the order of the derivatives: they are by c_gr, c_br, c_bg.",
        ),
        (but(dc=lambda x, m, c, d: c * derivative(x, d)), "a factor c is too much: means are linear in it."),
        (
            but(dc=lambda x, m, c, d: stacked(*split(derivative(np.ones_like(x), d)))),
            "the values are missing: the derivative of c r by c is r.",
        ),
        (but(dc=lambda x, m, c, d: x * d), "each channel has its own value and derivative, an order is wrong."),
        (
            but(dc=lambda x, m, c, d: stacked(x[..., 0] * d[..., 1], x[..., 0] * d[..., 2], x[..., 1] * d[..., 1])),
            "the derivative by green's mean is used for c_bg: that coefficient moves blue.",
        ),
        (
            but(dc=lambda x, m, c, d: derivative(x, d).sum(axis=1)),
            "the sum over all pixels is taken: each pixel has coefficients of its own.",
        ),
    ]
    rng = np.random.default_rng(0)
    cases = {}
    for name, N, P in (("the general case", 2, 4), ("one pixel", 3, 1)):
        x = np.round(255 * rng.random((N, P, 3))) / 255
        cases[name] = x, *rng.standard_normal((3, N, P, 3))
    x, m, c, d = cases["the general case"]
    cases["no coefficients"] = x, m, 0 * c, d
    outputs = ("the means", "the derivative by c")
    compare("your colours", answer, colour, cases, mistakes, outputs)
