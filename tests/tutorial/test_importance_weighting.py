"""The checks of notebook 6: right answers pass, and each typical mistake gets its own diagnosis."""

import numpy as np
import pytest
from scipy.special import logsumexp

from tests.notebooks import rejects
from tinyvae import tutorial
from tinyvae.checks import finite_differences
from tinyvae.derivation import bounds
from tinyvae.training import importance_sampling

# ---- right answers, as in the notebook


def group_bounds(logw, k):
    groups = logw.reshape(len(logw), -1, k)
    largest = groups.max(axis=2, keepdims=True)
    return largest[:, :, 0] + np.log(np.mean(np.exp(groups - largest), axis=2))


def iwae(logw):
    largest = logw.max(axis=1, keepdims=True)
    w = np.exp(logw - largest)
    total = w.sum(axis=1, keepdims=True)
    return (largest + np.log(total / logw.shape[1]))[:, 0], w / total


def effective_sample_size(v):
    return 1 / np.sum(v**2, axis=1)


def resample(logw, u):
    _, v = iwae(logw)
    return np.minimum(np.sum(np.cumsum(v, axis=1) <= u[:, None], axis=1), logw.shape[1] - 1)


def add_block(largest, total, logw):
    new = np.maximum(largest, logw.max(axis=1))
    return new, total * np.exp(largest - new) + np.exp(logw - new[:, None]).sum(axis=1)


def active_units(mu, logvar):
    variance = mu.var(axis=0)
    return variance, np.sum(variance > 0.01)


def dreg(v):
    return v**2, np.zeros_like(v)


CHECKS = {
    "group_bounds": group_bounds,
    "iwae": iwae,
    "effective_sample_size": effective_sample_size,
    "resample": resample,
    "streaming": add_block,
    "active_units": active_units,
    "dreg": dreg,
}


@pytest.mark.parametrize("name", CHECKS)
def test_a_right_answer_passes(name, capsys):
    getattr(tutorial, f"check_{name}")(CHECKS[name])
    assert capsys.readouterr().out.startswith("Right: your ")


def test_the_answers_are_right_by_other_means():
    """What the checks compare with: against finite differences, SciPy, the package, and frequencies."""
    rng = np.random.default_rng(0)
    logw = 2 * rng.standard_normal((4, 6))
    problem = finite_differences.Problem("iwae", {"logw": logw}, iwae, lambda d, v: {"logw": d[:, None] * v})
    assert finite_differences.check(problem)["logw"] < finite_differences.TOLERANCE
    state = np.full(4, -np.inf), np.zeros(4)
    for block in (logw[:, :1], logw[:, 1:4], logw[:, 4:]):
        state = add_block(*state, block)
    np.testing.assert_allclose(state[0] + np.log(state[1]), logsumexp(logw, axis=1))
    for ours, theirs in zip(dreg(logw), bounds.dreg(logw), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    theirs = importance_sampling._groups(logw.reshape(4, 2, 3))
    np.testing.assert_allclose(group_bounds(logw, 3), theirs["bound"])
    np.testing.assert_allclose(effective_sample_size(iwae(logw[:, :3])[1]), theirs["ess"][:, 0])


def test_resampling_has_the_frequencies_of_the_weights():
    """Each within five standard errors."""
    draws, logw = 20_000, np.log([0.5, 0.1, 0.15, 0.25])
    index = resample(np.tile(logw, (draws, 1)), np.random.default_rng(0).random(draws))
    shares = np.bincount(index, minlength=4) / draws
    p = np.exp(logw)
    assert np.all(np.abs(shares - p) < 5 * np.sqrt(p * (1 - p) / draws))


# ---- wrong answers, as a student might write them


def mean_of_logs(logw):
    return logw.mean(axis=1), np.ones_like(logw) / logw.shape[1]


def forgets_the_mean(logw):
    largest = logw.max(axis=1)
    w = np.exp(logw - largest[:, None])
    return largest + np.log(w.sum(axis=1)), w / w.sum(axis=1, keepdims=True)


def overflows(logw):
    w = np.exp(logw)
    return np.log(w.mean(axis=1)), w / w.sum(axis=1, keepdims=True)


def forgets_the_largest(logw):
    w = np.exp(logw - logw.max(axis=1, keepdims=True))
    return np.log(w.mean(axis=1)), w / w.sum(axis=1, keepdims=True)


def weights_of_the_elbo(logw):
    return iwae(logw)[0], np.full(logw.shape, 1 / logw.shape[1])


def unnormalised(logw):
    return iwae(logw)[0], np.exp(logw - logw.max(axis=1, keepdims=True))


def normalised_over_examples(logw):
    w = np.exp(logw - logw.max(axis=0))
    return iwae(logw)[0], w / w.sum(axis=0)


def sorted_weights(logw):
    v = iwae(logw)[1]
    return iwae(logw)[0], -np.sort(-v, axis=1)


def mean_weight(logw):
    return iwae(logw)[0], iwae(logw)[1] / logw.shape[1]


def derivative_of_the_weight(logw):
    v = iwae(logw)[1]
    return iwae(logw)[0], v - v**2


def stale_total(largest, total, logw):
    new = np.maximum(largest, logw.max(axis=1))
    return new, total + np.exp(logw - new[:, None]).sum(axis=1)


def rescales_backwards(largest, total, logw):
    new = np.maximum(largest, logw.max(axis=1))
    return new, total * np.exp(new - largest) + np.exp(logw - new[:, None]).sum(axis=1)


def mean_of_the_block(largest, total, logw):
    new = np.maximum(largest, logw.max(axis=1))
    return new, total * np.exp(largest - new) + np.exp(logw - new[:, None]).mean(axis=1)


def forgets_the_past(largest, total, logw):
    new = logw.max(axis=1)
    return new, total * np.exp(largest - new) + np.exp(logw - new[:, None]).sum(axis=1)


def relative_to_the_old(largest, total, logw):
    return np.maximum(largest, logw.max(axis=1)), total + np.exp(logw - largest[:, None]).sum(axis=1)


def relative_to_the_block(largest, total, logw):
    new, own = np.maximum(largest, logw.max(axis=1)), logw.max(axis=1, keepdims=True)
    return new, total * np.exp(largest - new) + np.exp(logw - own).sum(axis=1)


def largest_not_put_back(logw, k):
    groups = logw.reshape(len(logw), -1, k)
    return np.log(np.exp(groups - groups.max(axis=2, keepdims=True)).mean(axis=2))


def index_beyond(logw, u):
    return (np.cumsum(iwae(logw)[1], axis=1) <= u[:, None]).sum(axis=1)


def first_above(logw, u):
    return (np.cumsum(iwae(logw)[1], axis=1) > u[:, None]).argmax(axis=1)


def fails_from_nothing(largest, total, logw):
    new, sums = add_block(largest, total, logw)
    return new, sums + 0 * largest  # nan for -inf


MISTAKES = [
    ("group_bounds", lambda logw, k: logw.reshape(len(logw), -1, k).mean(axis=2), "mean of the logarithms"),
    ("group_bounds", lambda logw, k: logsumexp(logw.reshape(len(logw), -1, k), axis=2), "1/k of the mean is missing"),
    ("group_bounds", lambda logw, k: group_bounds(logw, k).mean(axis=1), "Leave the estimates apart"),
    ("group_bounds", lambda logw, k: logsumexp(logw, axis=1) - np.log(logw.shape[1]), "one bound of all K samples"),
    (
        "group_bounds",
        lambda logw, k: np.log(np.exp(logw).reshape(len(logw), -1, k).mean(axis=2)),
        "overflow or vanish",
    ),
    (
        "group_bounds",
        lambda logw, k: np.stack(
            [iwae(logw[:, i :: logw.shape[1] // k])[0] for i in range(logw.shape[1] // k)], axis=1
        ),
        "take neighbours",
    ),
    ("group_bounds", largest_not_put_back, "never put back"),
    ("iwae", mean_of_logs, "the ELBO, not the IWAE"),
    ("iwae", forgets_the_mean, "log K more than ours"),
    ("iwae", overflows, "Take the largest out"),
    ("iwae", forgets_the_largest, "never put back"),
    ("iwae", weights_of_the_elbo, "derivative of the ELBO"),
    ("iwae", unnormalised, "divide by their sum"),
    ("iwae", normalised_over_examples, "rows sum to 1, not columns"),
    ("iwae", sorted_weights, "right for K = 1, but the weights are not in the order"),
    ("iwae", mean_weight, "factor 1/K too much"),
    ("iwae", derivative_of_the_weight, "The bound's derivative is v"),
    ("iwae", lambda logw: iwae(logw)[0], "2 outputs are expected"),
    ("effective_sample_size", lambda v: (v * v).sum(axis=1), "one over ours"),
    ("effective_sample_size", lambda v: 1 / (v * v).mean(axis=1), "not their mean"),
    ("effective_sample_size", lambda v: 1 / v.sum(axis=1) ** 2, "square each weight before the sum"),
    ("effective_sample_size", lambda v: 1 / v.max(axis=1), "largest weight"),
    ("effective_sample_size", lambda v: 1 / (v * v).sum(), "over all examples"),
    ("resample", lambda logw, u: np.argmax(logw, axis=1), "always the largest weight"),
    ("resample", lambda logw, u: np.floor(u * logw.shape[1]).astype(int), "every sample has the same chance"),
    ("resample", lambda logw, u: resample(logw, u) + 1, "one too large"),
    ("resample", index_beyond, "the index K, which does not exist"),
    ("resample", first_above, "argmax of nothing that is true is 0"),
    ("resample", lambda logw, u: 1.0 * resample(logw, u), "type for fractions"),
    ("resample", lambda logw, u: resample(logw, 1 - u), "from the other end"),
    ("streaming", stale_total, "relative to the old largest. Rescale it"),
    ("streaming", rescales_backwards, "rescaled the wrong way"),
    ("streaming", mean_of_the_block, "Keep a sum"),
    ("streaming", forgets_the_past, "the new block alone is kept"),
    ("streaming", relative_to_the_block, "the largest of their own block"),
    ("streaming", relative_to_the_old, "relative to the new one"),
    ("streaming", fails_from_nothing, "infinite or not a number"),
    ("active_units", lambda mu, logvar: (mu.std(axis=0), np.sum(mu.std(axis=0) > 0.01)), "standard deviations"),
    ("active_units", lambda mu, logvar: (mu.var(axis=1), np.sum(mu.var(axis=1) > 0.01)), "for each unit"),
    (
        "active_units",
        lambda mu, logvar: (np.exp(logvar).mean(axis=0), np.sum(np.exp(logvar).mean(axis=0) > 0.01)),
        "posterior's own variance, how unsure",
    ),
    (
        "active_units",
        lambda mu, logvar: ((mu**2).mean(axis=0), np.sum((mu**2).mean(axis=0) > 0.01)),
        "the mean is not taken off",
    ),
    ("active_units", lambda mu, logvar: (mu.var(axis=0), np.sum(mu.var(axis=0) <= 0.01)), "not active"),
    ("active_units", lambda mu, logvar: (mu.var(axis=0), (mu.var(axis=0) > 0.01).mean()), "share of the active"),
    ("dreg", lambda v: (v, np.zeros_like(v)), "sticking the landing"),
    ("dreg", lambda v: (np.ones_like(v), np.zeros_like(v)), "no weight but a factor"),
    ("dreg", lambda v: (v - v**2, np.zeros_like(v)), "it is subtracted"),
    ("dreg", lambda v: (v + (v - v**2), np.zeros_like(v)), "is added to the path's"),
    ("dreg", lambda v: (v**2, v), "the direct sum is still there"),
    ("dreg", lambda v: (v**2, v**2), "the direct sum is still there"),
    ("dreg", lambda v: (v**2, np.ones_like(v)), "the direct sum is still there"),
    ("dreg", lambda v: (v**2, 0), "an array of the shape of v"),
    ("dreg", lambda v: (np.zeros_like(v), v**2), "changed places"),
]


@pytest.mark.parametrize(("name", "answer", "words"), MISTAKES, ids=[f"{m[0]}: {m[2]}" for m in MISTAKES])
def test_a_mistake_is_recognised(name, answer, words):
    rejects(getattr(tutorial, f"check_{name}"), answer, words=words)
