"""The checks of notebook 6: the importance-weighted bound, its gradient, and what its weights say."""

import numpy as np
from scipy.special import logsumexp, softmax

from tinyvae.tutorial.answers import ONE_MAXIMUM, compare, in_integers
from tinyvae.tutorial.exercises import exercise

OVERFLOW = "right where the exponentials are ordinary numbers, but these overflow or vanish. Take the largest out."


def log_mean_exp(logw):
    """log of the mean of exponentials along the last axis."""
    return logsumexp(logw, axis=-1) - np.log(logw.shape[-1])


def naive(logw):
    """The same as it stands, which overflows."""
    return np.log(np.exp(logw).mean(axis=-1))


def with_maximum(logw, largest):
    """log of the mean of exponentials along the last axis, with another number taken out of them."""
    return np.squeeze(largest, -1) + np.log(np.exp(logw - largest).mean(axis=-1))


@exercise("6.1")
def check_group_bounds(answer):
    """Exercise 6.1: estimates of the k-sample bound from groups of log weights, (logw (N, K), k) -> (N, K / k)."""

    def groups(logw, k):
        return logw.reshape(len(logw), -1, k)

    def apart(logw, k):
        return logw.reshape(len(logw), k, -1).swapaxes(1, 2)

    mistakes = [
        (
            lambda logw, k: groups(logw, k).mean(axis=2),
            "this is the mean of the logarithms in each group, the ELBO. The mean to take is that of the weights.",
        ),
        (lambda logw, k: logsumexp(groups(logw, k), axis=2), "the 1/k of the mean is missing: log k more than ours."),
        (
            lambda logw, k: logsumexp(groups(logw, k), axis=2) - np.log(logw.shape[1]),
            "each group is divided by the number of all samples. It has k.",
        ),
        (lambda logw, k: log_mean_exp(logw), "this is one bound of all K samples: a bound for each group is expected."),
        (
            lambda logw, k: log_mean_exp(groups(logw, k)).mean(axis=1),
            "these are the means over the groups. Leave the estimates apart, they are wanted one by one.",
        ),
        (
            lambda logw, k: log_mean_exp(apart(logw, k)),
            "a group is made of samples that stand K/k apart. It would do as well, but take neighbours, as the check.",
        ),
        (
            lambda logw, k: log_mean_exp(groups(logw, k) - groups(logw, k).max(axis=2, keepdims=True)),
            "the largest is taken out of the exponentials and never put back.",
        ),
        (lambda logw, k: naive(groups(logw, k)), OVERFLOW),
        (
            lambda logw, k: with_maximum(groups(logw, k), np.full((1, 1, 1), logw.max())),
            "one largest number is taken out of all groups: those far below it vanish. Take each group's own (axis=2).",
        ),
        (
            lambda logw, k: with_maximum(groups(logw, k), logw.max(axis=1)[:, None, None]),
            "the largest of a whole row is taken out: groups far below it vanish. Take each group's own (axis=2).",
        ),
    ]
    logw = np.random.default_rng(0).standard_normal((4, 6))
    apart_rows, apart_groups = np.array([[0], [-2000], [900], [-40]]), np.repeat([0, 1500, -900], 2)
    cases = {
        "k = 2": (logw, 2),
        "k = 1": (logw, 1),
        "k = K": (logw, 6),
        "log weights near -1000": (logw - 1000, 3),
        "rows and groups far apart": (logw + apart_rows + apart_groups, 2),
    }
    compare("your bounds of groups", answer, lambda logw, k: log_mean_exp(groups(logw, k)), cases, mistakes)


@exercise("6.2")
def check_iwae(answer):
    """Exercise 6.2: the bound and its derivative, (logw (N, K),) -> (N,), (N, K)."""

    def iwae(logw):
        return log_mean_exp(logw), softmax(logw, axis=1)

    def bound(f):
        return lambda logw: (f(logw), iwae(logw)[1])

    def derivative(f):
        return lambda logw: (iwae(logw)[0], f(logw))

    def shifted(logw):
        return logw - logw.max(axis=1, keepdims=True)

    mistakes = [
        (bound(lambda logw: logw.mean(axis=1)), "this is the mean of the logarithms: the ELBO, not the IWAE."),
        (bound(lambda logw: logsumexp(logw, axis=1)), "log K more than ours: the 1/K of the mean is missing."),
        (
            bound(lambda logw: logsumexp(logw, axis=1) - logw.shape[1]),
            "K stands where log K is due: a factor 1/K inside of the logarithm is log K outside.",
        ),
        (
            bound(lambda logw: log_mean_exp(shifted(logw))),
            "the largest is taken out of the exponentials and never put back.",
        ),
        (bound(naive), OVERFLOW),
        (bound(lambda logw: with_maximum(logw, np.full((1, 1), logw.max()))), ONE_MAXIMUM),
        (
            bound(lambda logw: np.sum(softmax(logw, axis=1) * logw, axis=1)),
            "this is the surrogate, sum_k v_k log w_k. With v held fixed its derivative is right, its value not.",
        ),
        (
            derivative(lambda logw: np.full_like(logw, 1 / logw.shape[1])),
            "1/K for all: that is the derivative of the ELBO. Here a sample counts by its weight.",
        ),
        (
            derivative(lambda logw: np.exp(shifted(logw))),
            "these are the weights over the largest one: divide by their sum, and each row sums to 1.",
        ),
        (
            derivative(lambda logw: (w := np.exp(logw - logw.max())) / w.sum(axis=1, keepdims=True)),
            ONE_MAXIMUM,
        ),
        (derivative(lambda logw: np.exp(logw)), "these are the weights themselves: divide by their sum."),
        (
            derivative(lambda logw: softmax(logw, axis=1) / logw.shape[1]),
            "a factor 1/K too much. It is in the sum above and below the line, and cancels.",
        ),
        (
            derivative(lambda logw: softmax(logw, axis=0)),
            "the sum runs over the examples. It is over the samples of each example: rows sum to 1, not columns.",
        ),
        (derivative(lambda logw: softmax(logw)), "the sum runs over all examples. It is over the samples of each."),
        (
            derivative(lambda logw: np.sort(softmax(logw, axis=1), axis=1)),
            "right for K = 1, but the weights are not in the order of the samples.",
        ),
        (
            derivative(lambda logw: np.sort(softmax(logw, axis=1), axis=1)[:, ::-1]),
            "right for K = 1, but the weights are not in the order of the samples.",
        ),
        (
            derivative(lambda logw: np.log(softmax(logw, axis=1))),
            "these are the logarithms of the normalised weights.",
        ),
        (
            derivative(lambda logw: (p := softmax(logw, axis=1)) * (1 - p)),
            "v (1 - v) is the derivative of a normalised weight by its own log weight. The bound's derivative is v.",
        ),
    ]
    logw = 2 * np.random.default_rng(0).standard_normal((4, 3))
    cases = {
        "K = 3": (logw,),
        "K = 1": (logw[:, :1],),
        "the samples in another order": (logw[:, [2, 0, 1]],),
        "log weights near -1000": (logw - 1000,),
        "near 1000": (logw + 1000,),
        "rows far apart": (logw + np.array([[0], [-2000], [900], [-40]]),),
    }
    compare("your bound", answer, iwae, cases, mistakes, outputs=("the bound", "the derivative"))


@exercise("6.3")
def check_effective_sample_size(answer):
    """Exercise 6.3: 1 / sum_k v_k^2, (v (N, K),) -> (N,)."""
    mistakes = [
        (lambda v: np.sum(v**2, axis=1), "one over ours: equal weights give 1/K, and they are to give K."),
        (lambda v: 1 / np.sum(v**2), "the sum runs over all examples. It is over the samples of each."),
        (lambda v: 1 / np.sum(v, axis=1) ** 2, "the sum is squared, and it is 1: square each weight before the sum."),
        (lambda v: 1 / np.mean(v**2, axis=1), "K times ours: it is the sum of the squares, not their mean."),
        (lambda v: 1 / np.sqrt(np.sum(v**2, axis=1)), "this is the square root of it."),
        (lambda v: 1 / v.max(axis=1), "this is one over the largest weight: another measure, which sees only one."),
        (
            lambda v: np.exp(-np.sum(v * np.log(v), axis=1)),
            "this is the exponential of the entropy, a good measure too, but not the one with the squares.",
        ),
    ]
    v = softmax(2 * np.random.default_rng(0).standard_normal((4, 5)), axis=1)
    cases = {"K = 5": (v,), "K = 1": (np.ones((3, 1)),), "equal weights": (np.full((2, 4), 0.25),)}
    compare("your effective sample size", answer, lambda v: 1 / np.sum(v**2, axis=1), cases, mistakes)


@exercise("6.4")
def check_resample(answer):
    """Exercise 6.4: an index with the probabilities v, (logw (N, K), u (N,)) -> (N,) integers."""

    def resample(logw, u):
        return chosen(softmax(logw, axis=1), u)

    def passed(v, u):
        return np.sum(np.cumsum(v, axis=1) <= u[:, None], axis=1)

    def chosen(v, u):
        return np.minimum(passed(v, u), v.shape[1] - 1)

    mistakes = [
        (
            lambda logw, u: logw.argmax(axis=1),
            "this is always the largest weight. The others are to have their chance.",
        ),
        (
            lambda logw, u: np.minimum((u * logw.shape[1]).astype(int), logw.shape[1] - 1),
            "every sample has the same chance, so the weights play no part.",
        ),
        (lambda logw, u: resample(logw, u) + 1, "each index is one too large: how many sums are at most u?"),
        (lambda logw, u: resample(logw, u) - 1, "each index is one too small: how many sums are at most u?"),
        (
            lambda logw, u: passed(softmax(logw, axis=1), u),
            "the index K, which does not exist, where by rounding the last sum is a hair below u: np.minimum(index,"
            " K - 1).",
        ),
        (
            lambda logw, u: np.argmax(np.cumsum(softmax(logw, axis=1), axis=1) > u[:, None], axis=1),
            "the first index where by rounding the last sum is a hair below u: argmax of nothing that is true is 0.",
        ),
        (
            lambda logw, u: resample(logw, 1 - u),
            "it draws from the right distribution, but with u from the other end. Take 1 - u, to agree with the check.",
        ),
        (
            lambda logw, u: chosen(np.exp(logw - logw.max(axis=1, keepdims=True)), u),
            "the weights are not normalised: their sum is to be 1.",
        ),
        (
            lambda logw, u: chosen(softmax(logw, axis=1) ** 2 / np.sum(softmax(logw, axis=1) ** 2, axis=1)[:, None], u),
            "the weights enter squared.",
        ),
    ]
    rng = np.random.default_rng(0)
    logw, u = 1.5 * rng.standard_normal((60, 4)), rng.random(60)
    cases = {
        "K = 4": (logw, u),
        "K = 1": (logw[:, :1], u),
        "log weights near -1000": (logw - 1000, u),
        "the largest u below 1": (np.zeros((1, 10)), np.nextafter([1.0], 0)),
    }
    what = "your choice"
    compare(what, in_integers(what, answer, "Indices are integers."), resample, cases, mistakes)


@exercise("6.5")
def check_streaming(answer):
    """Exercise 6.5: one more block of log weights, (largest (N,), total (N,), logw (N, S)) -> largest, total."""

    def update(largest, total, logw, old=lambda old, new: old - new, part=np.sum, top=np.maximum, keep=1):
        new = top(largest, logw.max(axis=1))
        return new, keep * total * np.exp(old(largest, new)) + part(np.exp(logw - new[:, None]), axis=1)

    def but(**changes):
        return lambda *arguments: update(*arguments, **changes)

    mistakes = [
        (
            but(old=lambda old, new: 0 * new),
            "the old sum is taken over as it stands, but it was relative to the old largest. Rescale it.",
        ),
        (
            but(old=lambda old, new: new - old),
            "the old sum is rescaled the wrong way: where the largest grows, the old terms become smaller.",
        ),
        (
            lambda largest, total, logw: (
                (new := np.maximum(largest, logw.max(axis=1))),
                total * np.exp(largest - new) + np.exp(logw - logw.max(axis=1, keepdims=True)).sum(axis=1),
            ),
            "the new terms are relative to the largest of their own block, and another scale is missing: rescale them"
            " too.",
        ),
        (but(part=np.mean), "the new terms enter with their mean. Keep a sum; the 1/K comes at the very end."),
        (but(keep=0), "the old sum is lost: this is the new block alone."),
        (
            but(top=lambda old, block: block),
            "the largest of the new block alone is kept. It is to be the largest of all that was seen.",
        ),
        (
            lambda largest, total, logw: (
                update(largest, total, logw)[0],
                total + np.exp(logw - largest[:, None]).sum(axis=1),
            ),
            "the new terms are relative to the old largest. Take them, and the old sum, relative to the new one.",
        ),
        (but(top=lambda old, block: old), "the largest stays what it was, although the new block has a larger one."),
        (
            lambda largest, total, logw: (
                (new := np.maximum(largest, logw.max(axis=1))),
                np.log(total * np.exp(largest - new) + np.exp(logw - new[:, None]).sum(axis=1)),
            ),
            "this is the logarithm of the sum. Keep the sum; the logarithm comes at the very end.",
        ),
    ]
    logw = np.random.default_rng(0).standard_normal((3, 4))
    largest, total = np.array([1.5, 0.2, -0.4]), np.array([1.2, 2.5, 3.0])
    cases = {
        "a larger weight in the block": (largest - 5, total, logw),
        "none": (largest + 5, total, logw),
        "one for some examples": (largest, total, logw),
        "a block of one sample": (largest, total, logw[:, :1]),
        "log weights near -1000": (largest - 1000, total, logw - 1000),
    }
    outputs = ("the largest", "the sum")
    compare("your update", answer, update, cases, mistakes, outputs)
    compare(
        "your first block", answer, update, {"nothing before": (np.full(3, -np.inf), np.zeros(3), logw)}, (), outputs
    )


@exercise("6.6")
def check_active_units(answer):
    """Exercise 6.6: variances of posterior means, and how many are active, (mu (N, Q), logvar (N, Q)) -> (Q,), number.

    IWAE, section 5.2.
    """

    def active(mu, logvar, variance=lambda mu, logvar: mu.var(axis=0), threshold=0.01):
        return variance(mu, logvar), np.sum(variance(mu, logvar) > threshold)

    def but(**changes):
        return lambda *arguments: active(*arguments, **changes)

    mistakes = [
        (
            but(variance=lambda mu, logvar: mu.var(axis=1)),
            "this is a variance for each example, over its units. Take it over the data, for each unit.",
        ),
        (
            but(variance=lambda mu, logvar: mu.std(axis=0)),
            "these are standard deviations: the variance is their square.",
        ),
        (
            but(variance=lambda mu, logvar: mu.var(axis=0, ddof=1)),
            "divided by N - 1. That would do as well, but divide by N, as the check and the package do.",
        ),
        (
            but(variance=lambda mu, logvar: np.exp(logvar).mean(axis=0)),
            "this is the posterior's own variance, how unsure the encoder is. An unused unit has the largest. What"
            " counts is how its mean varies from example to example.",
        ),
        (
            but(variance=lambda mu, logvar: mu.var(axis=0) + np.exp(logvar).mean(axis=0)),
            "the posterior's own variance is in it too. This is the variance of z, near 1 for unused units too.",
        ),
        (
            but(variance=lambda mu, logvar: np.mean(mu**2, axis=0)),
            "the mean is not taken off: a unit whose mean is the same for all data is idle, even if it is not 0.",
        ),
        (but(threshold=0.1), "the threshold is 0.01."),
        (
            lambda mu, logvar: (mu.var(axis=0), np.sum(mu.var(axis=0) < 0.01)),
            "these are the units that are not active.",
        ),
        (
            lambda mu, logvar: (mu.var(axis=0), np.mean(mu.var(axis=0) > 0.01)),
            "this is the share of the active units, and their number is expected.",
        ),
    ]
    rng = np.random.default_rng(0)
    scale = np.sqrt([1.5, 0.3, 0.05, 0.004, 0.0001])
    mu = rng.standard_normal((200, 5)) * scale + np.array([0, 1, 0, -1, 0.5])
    logvar = rng.standard_normal((200, 5)) * 0.1 - np.array([3, 2, 1, 0.1, 0])
    cases = {"five units": (mu, logvar), "a unit without use": (mu[:7, 3:], logvar[:7, 3:])}
    compare("your count", answer, active, cases, mistakes, outputs=("the variance", "the number of active units"))


@exercise("6.7")
def check_dreg(answer):
    """Exercise 6.7: DReG's weights of the path and of the direct sum, (v (N, K),) -> (N, K), (N, K)."""
    path = [
        (
            lambda v: v,
            "v is the standard weight. For the ELBO, where v is constant, the direct sum may be left out (sticking the"
            " landing). Here the direct sum becomes v - v² on the path, and is subtracted: v - (v - v²).",
        ),
        (lambda v: v * (1 - v), "v - v² is what the direct sum becomes, and it is subtracted: v - (v - v²)."),
        (
            lambda v: v * (2 - v),
            "what the direct sum becomes is added to the path's. But the direct sum has a minus sign in front.",
        ),
        (np.ones_like, "1 is no weight but a factor on one: the standard weight of the path is v."),
        (np.zeros_like, "the two have changed places: first the weight of the path, then the direct one."),
    ]
    still = "the direct sum is still there, although it has been turned into a part of the path's."
    mistakes = [(lambda v, f=f: (f(v), np.zeros_like(v)), diagnosis) for f, diagnosis in path]
    mistakes += [(lambda v, f=f: (v * v, f(v)), still) for f in (lambda v: v, lambda v: v * v, np.ones_like)]
    mistakes += [(lambda v: (v * v, 0), "0 it is, but for each sample: an array of the shape of v.")]
    v = softmax(2 * np.random.default_rng(0).standard_normal((4, 3)), axis=1)
    cases = {"K = 3": (v,), "K = 1": (np.ones((2, 1)),)}
    outputs = ("the path's weight", "the direct weight")
    compare("your estimator", answer, lambda v: (v * v, np.zeros_like(v)), cases, mistakes, outputs)
