"""The bug museum: its exhibits are broken as they should be, and the checks of notebook 8 tell right from wrong."""

import math

import numpy as np
import pytest
from scipy import stats
from scipy.special import expit, log_softmax, logsumexp

from tests.notebooks import rejects
from tinyvae import tutorial
from tinyvae.checks import finite_differences
from tinyvae.tutorial import bug_museum as museum

# ---- the exhibits

SEEN = {1: {"x", "W"}, 2: {"x", "W"}, 4: {"logvar"}, 5: {"h", "W_logvar"}, 8: {"logw"}}


@pytest.mark.parametrize("number", museum.EXHIBITS)
@pytest.mark.parametrize("seed", range(3))
def test_the_gradient_check_sees_half_of_the_exhibits_and_by_these_inputs(number, seed):
    errors = finite_differences.check(museum.problem(number, seed), seed)
    assert {name for name, error in errors.items() if error >= finite_differences.TOLERANCE} == SEEN.get(number, set())


def value(number, seed=0):
    """The first output of an exhibit on its random arguments, and the arguments."""
    inputs, constants = museum.EXHIBITS[number].draw(seed)
    return finite_differences.as_tuple(museum.EXHIBITS[number].forward(**inputs, **constants)[0])[0], inputs | constants


def test_the_exhibits_whose_values_are_right():
    for number in (1, 2, 4, 5, 7):
        output, a = value(number)
        if number == 1:
            expected = np.tanh(a["x"] @ a["W"]) @ a["W_mu"]
        elif number == 2:
            expected = expit(a["x"] @ a["W"]) @ a["V"]
        elif number == 7:
            expected = logsumexp(a["logw"], axis=1) - np.log(3)
        else:
            mu, logvar = (a["mu"], a["logvar"]) if number == 4 else (a["h"] @ a["W_mu"], a["h"] @ a["W_logvar"])
            expected = mu[:, None] + np.sqrt(np.exp(logvar))[:, None] * a["eps"]
        np.testing.assert_allclose(output, expected, atol=1e-12, err_msg=f"exhibit {number}")


def test_what_is_wrong_with_the_values_of_the_others():
    z, a = value(3)
    np.testing.assert_allclose(z, a["mu"][:, None] + np.exp(a["logvar"])[:, None] * a["eps"])
    np.testing.assert_allclose(value(6)[0], value(6)[1]["logw"].mean(axis=1))
    logw = value(8)[1]["logw"]
    np.testing.assert_allclose(value(8)[0], (np.exp(log_softmax(logw, axis=1)) * logw).sum(axis=1))
    bound, a = value(10)
    log_likelihood = stats.bernoulli.logpmf(a["x"], expit(a["logits"])).mean(axis=1)
    kl = (a["mu"] ** 2 + np.exp(a["logvar"]) - 1 - a["logvar"]).sum(axis=1) / 2
    np.testing.assert_allclose(bound, log_likelihood - kl)


def log_weights(mu, logvar, x, eps, W):
    """The right log weights of exhibit 9's model."""
    sigma = np.exp(logvar / 2)[:, None]
    z = mu[:, None] + sigma * eps
    log_q = stats.norm.logpdf(z, mu[:, None], sigma).sum(axis=2)
    return stats.norm.logpdf(x[:, None], z @ W).sum(axis=2) + stats.norm.logpdf(z).sum(axis=2) - log_q


def test_exhibit_9_mixes_the_examples_and_nothing_else():
    bound, a = value(9)
    logw = log_weights(**a)
    assert np.abs(bound - (logsumexp(logw, axis=1) - np.log(3))).min() > 1e-3
    np.testing.assert_allclose(bound, logsumexp(logw.T.reshape(4, 3), axis=1) - np.log(3))
    for name in ("mu", "logvar", "x", "eps"):
        a[name] = a[name][:1]
    np.testing.assert_allclose(museum.exhibit_9(**a)[0], logsumexp(log_weights(**a), axis=1) - np.log(3))


def test_exhibit_7_overflows_and_6_and_8_do_not():
    logw = np.array([[1000.0, 999.0], [-1000.0, -1001.0]])
    with np.errstate(all="ignore"):
        assert np.isinf(museum.exhibit_7(logw)[0]).all()
    assert np.isfinite(museum.exhibit_6(logw)[0]).all() and np.isfinite(museum.exhibit_8(logw)[0]).all()


def test_the_log_weights_of_the_permutation_test_are_right():
    rng = np.random.default_rng(5)
    N, K, Q, D = 4, 3, 2, 5
    mu, logvar, x, W = (rng.standard_normal(shape) for shape in ((N, Q), (N, Q), (N, D), (Q, D)))
    eps = np.random.default_rng(1).standard_normal((N, K, Q))
    np.testing.assert_allclose(museum.linear_log_weights(eps, seed=5), log_weights(mu, logvar, x, eps, W))


def test_an_exhibit_is_shown_whole(capsys):
    museum.show(3, 10)
    shown = capsys.readouterr().out
    for line in (
        "--- exhibit 3: a sampling layer",
        "def exhibit_3_backward(",
        "def exhibit_10(",
        "def exhibit_10_backward(",
    ):
        assert line in shown


# ---- 8.1


def encoder_backward(dmu, dlogvar, cache, left=1.0, right=1.0, slope=lambda h: 1 - h * h):
    x, h, W, V, U = cache
    dh = left * np.einsum("nq,hq->nh", dmu, V) + right * np.einsum("nq,hq->nh", dlogvar, U)
    da = dh * slope(h)
    return da.dot(W.T), x.T.dot(da), h.T.dot(dmu), h.T.dot(dlogvar)


def one_slope_only(dmu, dlogvar, cache):
    x, h, W, V, U = cache
    da = dmu @ V.T * (1 - h**2) + dlogvar @ U.T
    return da @ W.T, x.T @ da, h.T @ dmu, h.T @ dlogvar


ENCODERS = [
    (museum.exhibit_1_backward, "only the way through mu is here"),
    (lambda *a: encoder_backward(*a, left=0), "now the way through mu is missing"),
    (lambda *a: encoder_backward(*a, 0.5, 0.5), "this is the mean of both ways"),
    (lambda *a: encoder_backward(*a, right=-1), "the way through logvar is subtracted"),
    (lambda *a: encoder_backward(*a, slope=lambda h: 1), "the derivative of tanh, 1 - h², is missing"),
    (lambda *a: encoder_backward(*a, slope=lambda h: (1 - h**2) ** 2), "1 - h² is there twice"),
    (one_slope_only, "1 - h² is missing on the way through logvar"),
    (
        lambda *a: (*encoder_backward(*a)[:3], -encoder_backward(*a)[3]),
        "The dW_logvar of your backward pass: exactly the",
    ),
    (lambda *a: encoder_backward(*a)[1:], "4 outputs are expected (the dx, the dW, the dW_mu, the dW_logvar), not 3"),
]


@pytest.mark.parametrize(("answer", "words"), ENCODERS, ids=[words for _, words in ENCODERS])
def test_mended_encoder(answer, words):
    tutorial.check_mended_encoder(encoder_backward)
    rejects(tutorial.check_mended_encoder, answer, words=words)


# ---- 8.2


def moments(
    layer, eps, mu=None, logvar=None, errors=5.0, means=True, spreads=True, distance=abs, samples=None, where=np.s_[:]
):
    """A test of a layer's samples, with choices that a student might make."""
    R, S, D = eps.shape
    mu = np.arange(R * D).reshape(R, D) / 3.0 if mu is None else np.full((R, D), mu)
    logvar = np.sin(np.arange(R * D)).reshape(R, D) if logvar is None else np.full((R, D), logvar)
    z, sigma = layer(mu, logvar, eps), np.exp(logvar / 2)
    z_mean, z_std, mu, sigma = (array[where] for array in (z.mean(axis=1), z.std(axis=1), mu, sigma))
    ok, S = True, samples or S
    if means:
        ok = ok and np.all(distance(z_mean - mu) < errors * sigma / np.sqrt(S))
    if spreads:
        ok = ok and np.all(distance(z_std - sigma) < errors * sigma / np.sqrt(2 * S))
    return ok


MOMENTS = [
    (lambda layer, eps: True, "it says True of everything"),
    (lambda layer, eps: moments(layer, eps, logvar=0.0), "Is your logvar something else than 0?"),
    (lambda layer, eps: moments(layer, eps, spreads=False), "the spread of the samples plays no part"),
    (lambda layer, eps: moments(layer, eps, mu=0.0), "it is blind to a layer that forgets mu"),
    (lambda layer, eps: moments(layer, eps, means=False), "the mean of the samples plays no part"),
    (lambda layer, eps: moments(layer, eps, mu=1.0, logvar=-1.0), "mu and logvar of the first row for all rows"),
    (lambda layer, eps: moments(layer, eps, errors=25.0), "a spread that is 10 % too large"),
    (lambda layer, eps: moments(layer, eps, errors=0.1), "it rejects mu + exp(logvar / 2) eps, which is right"),
    (lambda layer, eps: False, "it rejects mu + exp(logvar / 2) eps, which is right"),
    (
        lambda layer, eps: bool(np.allclose(layer(a := np.ones((4, 3)), a, eps), 1 + np.exp(0.5) * eps)),
        "it rejects mu - sigma eps",
    ),
    (lambda layer, eps: moments(layer, eps, distance=lambda a: a), "means that are too small: take the absolute value"),
    (lambda layer, eps: moments(layer, eps, samples=20_000), "what is allowed has to depend on S"),
    (lambda layer, eps: moments(layer, eps, where=np.s_[1, 0]), "wrong in one row, or in one dimension"),
    (lambda layer, eps: moments(layer, eps, where=np.s_[:, 0]), "wrong in one row, or in one dimension"),
    (lambda layer, eps: moments(layer, eps, where=np.s_[:-1]), "wrong in one row, or in one dimension"),
    (lambda layer, eps: None, "True or False is expected, not NoneType"),
    (lambda layer, eps: 0.3, "True or False is expected, not float"),
]


@pytest.mark.parametrize(("answer", "words"), MOMENTS)
def test_moments_test(answer, words):
    rejects(tutorial.check_moments_test, answer, words=words)


def test_another_right_moments_test():
    tutorial.check_moments_test(moments)


def test_moments_with_one_logvar_for_all_dimensions():
    def same_in_each_row(layer, eps):
        mu = np.arange(12).reshape(4, 3) / 4
        logvar = np.tile(np.linspace(-1, 1, 4)[:, None], (1, 3))
        z = layer(mu, logvar, eps)
        good = np.abs(z.mean(1) - mu) < 5 * np.exp(logvar / 2) / np.sqrt(20_000)
        return bool(np.all(good & (np.abs(z.std(1) / np.exp(logvar / 2) - 1) < 5 / np.sqrt(40_000))))

    rejects(tutorial.check_moments_test, same_in_each_row, words="takes the logvar of another dimension")


# ---- 8.3


def by_logarithms(logw):
    """log K minus the entropy of the weights, without 0 log 0."""
    logv = log_softmax(logw, axis=1)
    return math.log(logw.shape[1]) - stats.entropy(np.exp(logv), axis=1)


def entropy_by_weights(logw, largest):
    w = np.exp(logw - largest)
    v = w / w.sum(axis=1, keepdims=True)
    return np.log(logw.shape[1]) + np.sum(v * np.log(v), axis=1)


EXCESSES = [
    (lambda logw: -by_logarithms(logw), "the difference the other way round"),
    (lambda logw: math.log(logw.shape[1]) - by_logarithms(logw), "this is the entropy of the weights"),
    (lambda logw: by_logarithms(logw) - math.log(logw.shape[1]), "log K is missing"),
    (lambda logw: 2 * math.log(logw.shape[1]) - by_logarithms(logw), "the entropy's sign"),
    (lambda logw: museum.exhibit_8(logw)[0], "this is the logged number itself"),
    (lambda logw: museum.exhibit_8(logw)[0] - logw.mean(axis=1), "it is the ELBO that is taken off"),
    (lambda logw: entropy_by_weights(logw, logw.max(axis=1)[:, None]), "right until a weight is 0"),
    (lambda logw: entropy_by_weights(logw, 0), "the exponentials overflow or vanish"),
    (lambda logw: by_logarithms(logw) / np.log(2), "exactly 1 / log 2 times ours"),
    (lambda logw: by_logarithms(logw).mean(), "a sum or a mean too many"),
]


@pytest.mark.parametrize(("answer", "words"), EXCESSES, ids=[words for _, words in EXCESSES])
def test_excess(answer, words):
    tutorial.check_excess(by_logarithms)
    rejects(tutorial.check_excess, answer, words=words)


# ---- 8.4


def in_a_cycle(bound, eps, tolerance=1e-10):
    return np.abs(bound(np.roll(eps, 1, axis=1)) - bound(eps)).max() < tolerance


def swapped(first, second):
    def test(bound, eps):
        order = np.arange(eps.shape[1])
        order[[first, second]] = order[[second, first]]
        return bool(np.allclose(bound(eps), bound(eps[:, order])))

    return test


def in_place(bound, eps):
    eps[:] = eps[:, ::-1]
    return bool(np.allclose(bound(eps), bound(eps)))


ORDERS = [
    (lambda bound, eps: True, "it says True of everything"),
    (lambda bound, eps: in_a_cycle(bound, eps[:, :1]), "with K > 1"),
    (in_place, "it says True of everything"),
    (lambda bound, eps: bool(np.isclose(bound(eps).mean(), bound(eps[:, ::-1]).mean())), "where N = 2 K"),
    (swapped(-1, -2), "leaves the first sample out"),
    (swapped(0, 1), "leaves the last sample out"),
    (lambda bound, eps: in_a_cycle(bound, eps, 0.0), "ask for equality within 1e-9"),
    (lambda bound, eps: bool(np.allclose(bound(eps[::-1]), bound(eps))), "it rejects a right bound"),
    (lambda bound, eps: False, "it rejects a right bound"),
    (lambda bound, eps: bound, "True or False is expected, not function"),
]


@pytest.mark.parametrize(("answer", "words"), ORDERS)
def test_permutation_test(answer, words):
    rejects(tutorial.check_permutation_test, answer, words=words)


def test_another_right_permutation_test():
    tutorial.check_permutation_test(in_a_cycle)


# ---- 8.5


def inputs(rng, **changed):
    """Random inputs of an encoder, some of them multiplied."""
    shapes = {"x": (2, 3), "W": (3, 6), "W_mu": (6, 2), "W_logvar": (6, 2)}
    return [changed.get(name, 1) * rng.standard_normal(shape) for name, shape in shapes.items()]


BLIND_SPOTS = [
    (inputs, "the gradient check still sees the mistake, by the relative errors of x ("),
    (lambda rng: inputs(rng, W_mu=0), "the gradient check still sees the mistake"),
    (lambda rng: inputs(rng, W_logvar=1e-3), "the gradient check still sees the mistake"),
    (lambda rng: inputs(rng, x=0), "the true derivative by W is 0 on them"),
    (lambda rng: inputs(rng, W=0, W_logvar=0), "the true derivative by x is 0 on them"),
    (lambda rng: inputs(rng, W_mu=0, W_logvar=0), "the true derivative by x is 0 on them"),
    (lambda rng: inputs(rng, W=500), "is 0 on them"),
    (lambda rng: inputs(rng)[:3], "four arrays are expected"),
    (lambda rng: inputs(rng)[::-1], "x (N, I), W (I, H), W_mu and W_logvar (H, Q) are expected, not x (6, 2)"),
]


@pytest.mark.parametrize(("answer", "words"), BLIND_SPOTS)
def test_blind_spot(answer, words):
    tutorial.check_blind_spot(lambda rng: inputs(rng, W_logvar=0))
    rejects(tutorial.check_blind_spot, answer, words=words)
