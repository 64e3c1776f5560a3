"""The bug museum of notebook 8: ten mistakes that were found in published hand-written VAEs; and the notebook's checks.

An exhibit is a forward function above its backward function. The docstring says what the pair ought to do; one line of
the code, or one that is not there, makes it do something else. Which one, the notebook finds out with instruments.
"""

import inspect
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.special import logsumexp

from tinyvae.checks import finite_differences
from tinyvae.checks.finite_differences import Problem
from tinyvae.tutorial.answers import ONE_MAXIMUM, Wrong, called, compare, judge, verdict
from tinyvae.tutorial.backprop import MEAN, SPREAD
from tinyvae.tutorial.exercises import exercise

LOG_2PI = np.log(2 * np.pi)


# ---------------------------------------------------------------------------------------------------------------------
# The first room: networks
# ---------------------------------------------------------------------------------------------------------------------


def exhibit_1(x, W, W_mu, W_logvar):
    """An encoder: x (N, I) to h = tanh(x W), and from it mu = h W_mu and logvar = h W_logvar, (N, Q) each."""
    h = np.tanh(x @ W)
    return (h @ W_mu, h @ W_logvar), (x, h, W, W_mu, W_logvar)


def exhibit_1_backward(dmu, dlogvar, cache):
    x, h, W, W_mu, _ = cache
    dW_mu, dW_logvar = h.T @ dmu, h.T @ dlogvar
    da = dmu @ W_mu.T * (1 - h**2)
    return da @ W.T, x.T @ da, dW_mu, dW_logvar


def exhibit_2(x, W, V):
    """A network with sigmoid units: x (N, I) to h = sigmoid(x W), and out = h V (N, J)."""
    h = 1 / (1 + np.exp(-x @ W))
    return h @ V, (x, h, W, V)


def exhibit_2_backward(dout, cache):
    x, h, W, V = cache
    da = dout @ V.T * (1 - h**2)
    return da @ W.T, x.T @ da, h.T @ dout


# ---------------------------------------------------------------------------------------------------------------------
# The second room: samples. A row of mu and logvar serves S samples.
# ---------------------------------------------------------------------------------------------------------------------


def exhibit_3(mu, logvar, eps):
    """Samples z (R, S, D) of N(mu, exp(logvar)), for mu and logvar (R, D) and standard normal eps (R, S, D)."""
    noise = eps * np.exp(logvar)[:, None]
    return mu[:, None] + noise, noise


def exhibit_3_backward(dz, noise):
    return dz.sum(axis=1), (dz * noise).sum(axis=1)


def exhibit_4(mu, logvar, eps):
    """Samples z (R, S, D) of N(mu, exp(logvar)), for mu and logvar (R, D) and standard normal eps (R, S, D)."""
    sigma = np.exp(logvar / 2)[:, None]
    return mu[:, None] + sigma * eps, (sigma, np.random.default_rng(4))


def exhibit_4_backward(dz, cache):
    sigma, rng = cache
    eps = rng.standard_normal(dz.shape)
    return dz.sum(axis=1), (dz * sigma * eps / 2).sum(axis=1)


def exhibit_5(h, W_mu, W_logvar, eps):
    """Samples z (R, S, D) of N(h W_mu, exp(h W_logvar)), for h (R, H) and standard normal eps (R, S, D)."""
    mu, logvar = h @ W_mu, h @ W_logvar
    sigma = np.exp(logvar / 2)[:, None]
    return mu[:, None] + sigma * eps, (h, W_mu, W_logvar, logvar, sigma * eps)


def exhibit_5_backward(dz, cache):
    h, W_mu, W_logvar, logvar, noise = cache
    s = 1 / (1 + np.exp(-logvar))
    dmu = dz.sum(axis=1)
    dlogvar = (dz * noise / 2).sum(axis=1) * s * (1 - s)
    return dmu @ W_mu.T + dlogvar @ W_logvar.T, h.T @ dmu, h.T @ dlogvar


# ---------------------------------------------------------------------------------------------------------------------
# The third room: bounds
# ---------------------------------------------------------------------------------------------------------------------


def exhibit_6(logw):
    """The importance-weighted bound (N,) of log weights (N, K), and its derivative by them."""
    largest = logw.max(axis=1, keepdims=True)
    bound = largest[:, 0] + np.log(np.exp(logw - largest)).mean(axis=1)
    return bound, np.full(logw.shape, 1 / logw.shape[1])


def exhibit_6_backward(dbound, dlogw):
    return (dbound[:, None] * dlogw,)


def exhibit_7(logw):
    """The importance-weighted bound (N,) of log weights (N, K), and its derivative by them."""
    w = np.exp(logw)
    return np.log(w.mean(axis=1)), w / w.sum(axis=1, keepdims=True)


def exhibit_7_backward(dbound, dlogw):
    return (dbound[:, None] * dlogw,)


def exhibit_8(logw):
    """The importance-weighted bound (N,) of log weights (N, K), and its derivative by them."""
    w = np.exp(logw - logw.max(axis=1, keepdims=True))
    w /= w.sum(axis=1, keepdims=True)
    return (w * logw).sum(axis=1), w


def exhibit_8_backward(dbound, dlogw):
    return (dbound[:, None] * dlogw,)


def exhibit_9(mu, logvar, x, eps, W):
    """The importance-weighted bound (N,) of the model p(z) = N(0, 1), p(x | z) = N(z W, 1).

    For q(z | x) = N(mu, exp(logvar)) with mu and logvar (N, Q), data x (N, D), noise eps (N, K, Q), and W (Q, D).
    """
    N, K, Q = eps.shape
    mu, logvar, x = (np.tile(rows, (K, 1)) for rows in (mu, logvar, x))
    eps = eps.swapaxes(0, 1).reshape(K * N, Q)
    z = mu + np.exp(logvar / 2) * eps
    r = x - z @ W
    log_joint = -0.5 * (r**2 + LOG_2PI).sum(axis=1) - 0.5 * (z**2 + LOG_2PI).sum(axis=1)
    log_q = -0.5 * (eps**2 + logvar + LOG_2PI).sum(axis=1)
    logw = (log_joint - log_q).reshape(N, K)
    largest = logw.max(axis=1, keepdims=True)
    w = np.exp(logw - largest)
    return largest[:, 0] + np.log(w.mean(axis=1)), (w / w.sum(axis=1, keepdims=True), r, z, logvar, eps, W)


def exhibit_9_backward(dbound, cache):
    v, r, z, logvar, eps, W = cache
    N, K = v.shape
    dlogw = (dbound[:, None] * v).reshape(N * K, 1)
    dz = dlogw * (r @ W.T - z)
    dlogvar = dz * np.exp(logvar / 2) * eps / 2 + dlogw / 2
    return tuple(rows.reshape(K, N, -1).sum(axis=0) for rows in (dz, dlogvar))


# ---------------------------------------------------------------------------------------------------------------------
# The last room: a whole objective
# ---------------------------------------------------------------------------------------------------------------------


def exhibit_10(logits, mu, logvar, x):
    """The ELBO (N,), log p(x | z) - KL(q || p): Bernoulli logits (N, D), data x (N, D), mu and logvar (N, Q)."""
    log_likelihood = (x * logits - np.logaddexp(0, logits)).mean(axis=1)
    kl = 0.5 * (mu**2 + np.exp(logvar) - 1 - logvar).sum(axis=1)
    return log_likelihood - kl, (x - 1 / (1 + np.exp(-logits)), mu, logvar)


def exhibit_10_backward(dbound, cache):
    residual, mu, logvar = cache
    dbound = dbound[:, None]
    return dbound * residual / residual.shape[1], -dbound * mu, -dbound * (np.exp(logvar) - 1) / 2


# ---------------------------------------------------------------------------------------------------------------------
# The catalogue
# ---------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Exhibit:
    """A forward and a backward function, with shapes to try them on.

    Attributes:
        title: what the plaque says.
        forward: (inputs ..., constants ...) -> outputs, cache.
        backward: (derivative by each output ..., cache) -> derivatives by the inputs, in their order.
        inputs: {name: shape}, the arguments to differentiate by.
        constants: {name: shape}, the other arguments.
    """

    title: str
    forward: Callable
    backward: Callable
    inputs: dict
    constants: dict

    def draw(self, seed=0):
        """Random arguments, standard normal but for x of the ELBO, which is 0 or 1: (inputs, constants)."""
        rng = np.random.default_rng(seed)
        inputs = {name: rng.standard_normal(shape) for name, shape in self.inputs.items()}
        constants = {name: rng.standard_normal(shape) for name, shape in self.constants.items()}
        if "logits" in inputs:
            constants["x"] = (constants["x"] > 0).astype(float)
        return inputs, constants


HEADS = {"W_mu": (4, 2), "W_logvar": (4, 2)}
STATISTICS = {"mu": (4, 2), "logvar": (4, 2)}
EPS = {"eps": (4, 3, 2)}
EXHIBITS = {
    1: Exhibit("an encoder", exhibit_1, exhibit_1_backward, {"x": (3, 5), "W": (5, 4)} | HEADS, {}),
    2: Exhibit("sigmoid units", exhibit_2, exhibit_2_backward, {"x": (3, 5), "W": (5, 4), "V": (4, 2)}, {}),
    3: Exhibit("a sampling layer", exhibit_3, exhibit_3_backward, STATISTICS, EPS),
    4: Exhibit("another sampling layer", exhibit_4, exhibit_4_backward, STATISTICS, EPS),
    5: Exhibit("a sampling layer with its heads", exhibit_5, exhibit_5_backward, {"h": (4, 4)} | HEADS, EPS),
    6: Exhibit("an IWAE bound", exhibit_6, exhibit_6_backward, {"logw": (4, 3)}, {}),
    7: Exhibit("another IWAE bound", exhibit_7, exhibit_7_backward, {"logw": (4, 3)}, {}),
    8: Exhibit("a third IWAE bound", exhibit_8, exhibit_8_backward, {"logw": (4, 3)}, {}),
    9: Exhibit(
        "an IWAE bound from the data on", exhibit_9, exhibit_9_backward, STATISTICS, {"x": (4, 5), **EPS, "W": (2, 5)}
    ),
    10: Exhibit("an ELBO", exhibit_10, exhibit_10_backward, {"logits": (4, 6)} | STATISTICS, {"x": (4, 6)}),
}


def show(*numbers):
    """Print exhibits: plaque and code."""
    for number in numbers:
        exhibit = EXHIBITS[number]
        print(f"--- exhibit {number}: {exhibit.title}\n")
        print(inspect.getsource(exhibit.forward), inspect.getsource(exhibit.backward), sep="\n")


def problem(number, seed=0):
    """An exhibit on random numbers as a ``finite_differences.Problem``."""
    exhibit = EXHIBITS[number]
    inputs, constants = exhibit.draw(seed)

    def backward(*upstream_and_cache):
        return dict(zip(inputs, exhibit.backward(*upstream_and_cache)))

    return Problem(exhibit.title, inputs, lambda **inputs: exhibit.forward(**inputs, **constants), backward)


# ---------------------------------------------------------------------------------------------------------------------
# The checks
# ---------------------------------------------------------------------------------------------------------------------


@exercise("8.1")
def check_mended_encoder(answer):
    """Exercise 8.1: the backward pass of exhibit 1, (dmu, dlogvar, cache) -> dx, dW, dW_mu, dW_logvar."""

    def backward(dmu, dlogvar, cache, shares=(1, 1), slopes=(1, 1)):
        x, h, W, W_mu, W_logvar = cache
        by_mu, by_logvar = (
            share * (dout @ V.T) * (1 - h**2) ** slope
            for share, dout, V, slope in zip(shares, (dmu, dlogvar), (W_mu, W_logvar), slopes)
        )
        da = by_mu + by_logvar
        return da @ W.T, x.T @ da, h.T @ dmu, h.T @ dlogvar

    def but(**changes):
        return lambda *arguments: backward(*arguments, **changes)

    mistakes = [
        (
            but(shares=(1, 0)),
            "h feeds two heads, and only the way through mu is here. The way through logvar adds to dh.",
        ),
        (
            but(shares=(0, 1)),
            "now the way through mu is missing. h feeds two heads: its derivative is the sum of both.",
        ),
        (but(shares=(0.5, 0.5)), "this is the mean of both ways. The chain rule adds them."),
        (but(shares=(1, -1)), "the way through logvar is subtracted: where something is used twice, derivatives add."),
        (but(slopes=(0, 0)), "the derivative of tanh, 1 - h², is missing."),
        (but(slopes=(1, 0)), "1 - h² is missing on the way through logvar. Add the two ways first, then multiply."),
        (but(slopes=(0, 1)), "1 - h² is missing on the way through mu. Add the two ways first, then multiply."),
        (but(slopes=(2, 2)), "1 - h² is there twice."),
    ]
    rng = np.random.default_rng(0)
    cache = exhibit_1(*EXHIBITS[1].draw(1)[0].values())[1]
    dmu, dlogvar = rng.standard_normal((2, 3, 2))
    cases = {
        "any derivatives": (dmu, dlogvar, cache),
        "dlogvar = 0": (dmu, 0 * dlogvar, cache),
        "dmu = 0": (0 * dmu, dlogvar, cache),
    }
    outputs = ("the dx", "the dW", "the dW_mu", "the dW_logvar")
    compare("your backward pass", answer, backward, cases, mistakes, outputs)


def as_layer(forward):
    """A forward function without its cache."""
    return lambda *arguments: forward(*arguments)[0]


def gaussian_layer(mu, logvar, eps, scale=lambda logvar: np.exp(logvar / 2)):
    """mu + sigma eps, or with another scale than sigma."""
    return mu[:, None] + scale(logvar)[:, None] * eps


SOME = "it is blind to a layer that is wrong in one row, or in one dimension: look at all of them, also at the last."


def only_the_last(eps, axis):
    """Ones in the last row of eps (R, S, D), or in the last dimension, and elsewhere zeros."""
    there = np.zeros(eps.shape)
    np.moveaxis(there, axis, 0)[-1] = 1
    return there


# Layers that claim to draw from N(mu, exp(logvar)), whether they do, why a test thinks otherwise, and which aspect of
# the samples is wrong.
LAYERS = (
    (
        gaussian_layer,
        True,
        "it rejects mu + exp(logvar / 2) eps, which is right. Allow for chance: the standard error of a mean of S"
        " samples is sigma / sqrt(S), that of their standard deviation about sigma / sqrt(2 S).",
        "",
    ),
    (
        lambda mu, logvar, eps: gaussian_layer(mu, logvar, -eps),
        True,
        "it rejects mu - sigma eps. -eps is standard normal too, so the samples are right: compare moments, not"
        " samples.",
        "",
    ),
    (
        as_layer(exhibit_3),
        False,
        "it passes the right layer and exhibit 3 too: it is blind to exp(logvar) in the place of exp(logvar / 2)."
        " Is your logvar something else than 0? There the two are one.",
        SPREAD,
    ),
    (
        lambda mu, logvar, eps: gaussian_layer(mu, logvar, eps + 0.2),
        False,
        "it is blind to means that are a fifth of sigma too large: allow five standard errors and no more.",
        MEAN,
    ),
    (
        lambda mu, logvar, eps: gaussian_layer(mu, logvar, eps, lambda logvar: 1.1 * np.exp(logvar / 2)),
        False,
        "it is blind to a spread that is 10 % too large. Allow five standard errors and no more.",
        SPREAD,
    ),
    (
        lambda mu, logvar, eps: gaussian_layer(mu, logvar, eps - 0.2),
        False,
        "it is blind to means that are too small: take the absolute value of the difference.",
        MEAN,
    ),
    (
        lambda mu, logvar, eps: gaussian_layer(mu, logvar, eps, lambda logvar: 0.9 * np.exp(logvar / 2)),
        False,
        "it is blind to a spread that is 10 % too small: take the absolute value of the difference.",
        SPREAD,
    ),
    (
        lambda mu, logvar, eps: gaussian_layer(0 * mu, logvar, eps),
        False,
        "it is blind to a layer that forgets mu: let mu not be 0.",
        MEAN,
    ),
    (
        lambda mu, logvar, eps: gaussian_layer(mu, logvar, eps, np.ones_like),
        False,
        "it is blind to a layer that forgets logvar: let logvar not be 0, and compare the spread.",
        SPREAD,
    ),
    (
        lambda mu, logvar, eps: gaussian_layer(mu, logvar, eps[:, :1]) + 0 * eps,
        False,
        "it is blind to a layer that makes S copies of one sample: compare the spread over the samples of each row.",
        "",
    ),
    (
        lambda mu, logvar, eps: gaussian_layer(mu[:1] + 0 * mu, logvar[:1] + 0 * logvar, eps),
        False,
        "it is blind to a layer that takes mu and logvar of the first row for all rows: let yours differ from row"
        " to row, and compare row by row.",
        "",
    ),
    (
        lambda mu, logvar, eps: gaussian_layer(mu, logvar[:, ::-1], eps),
        False,
        "it is blind to a layer that takes the logvar of another dimension: let yours differ from one to the next.",
        SPREAD,
    ),
    (lambda mu, logvar, eps: gaussian_layer(mu, logvar, eps) + only_the_last(eps, 0), False, SOME, ""),
    (lambda mu, logvar, eps: gaussian_layer(mu, logvar, eps) + only_the_last(eps, 2), False, SOME, ""),
)
FEWER = "it rejects a right layer where the samples are fewer: what is allowed has to depend on S, and on sigma."


@exercise("8.2")
def check_moments_test(answer):
    """Exercise 8.2: (layer, eps (R, S, D)) -> whether layer(mu, logvar, eps) draws from N(mu, exp(logvar))."""
    draws = [(np.random.default_rng(seed).standard_normal((4, 20_000, 3)),) for seed in range(3)]
    judge("your test", answer, LAYERS, draws, "Does it compare the mean and the spread of what the layer returns?")
    fewer = [(np.random.default_rng(seed).standard_normal((4, 200, 3)),) for seed in range(3)]
    for layer in (layer for layer, is_right, *_ in LAYERS if is_right):
        if not all(verdict("your test", answer, layer, draw) for draw in fewer):
            raise Wrong("Your test", FEWER, kind="it rejects something that is right.")
    print("Right: your test tells right layers from wrong ones.")


@exercise("8.3")
def check_excess(answer):
    """Exercise 8.3: sum_k v_k log w_k minus the bound, with the normalised weights v: (logw (N, K),) -> (N,)."""

    def log_mean(logw):
        return logsumexp(logw, axis=1) - np.log(logw.shape[1])

    def surrogate(logw):
        return (np.exp(logw - logsumexp(logw, axis=1, keepdims=True)) * logw).sum(axis=1)

    def entropy(logw):
        return logsumexp(logw, axis=1) - surrogate(logw)

    def naive(logw):
        v = np.exp(logw - logsumexp(logw, axis=1, keepdims=True))
        return np.log(logw.shape[1]) + (v * np.log(v)).sum(axis=1)

    def overflowing(logw):
        v = np.exp(logw) / np.exp(logw).sum(axis=1, keepdims=True)
        return np.log(logw.shape[1]) + (v * np.log(v)).sum(axis=1)

    def one_maximum(logw):
        shifted = logw - logw.max()
        logv = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
        return np.log(logw.shape[1]) + (np.exp(logv) * logv).sum(axis=1)

    mistakes = [
        (one_maximum, ONE_MAXIMUM),
        (
            lambda logw: log_mean(logw) - surrogate(logw),
            "the difference the other way round: is it not never negative?",
        ),
        (entropy, "this is the entropy of the weights. The excess is log K minus it."),
        (lambda logw: -entropy(logw), "log K is missing: it is the 1/K inside of the bound's logarithm."),
        (
            lambda logw: np.log(logw.shape[1]) + entropy(logw),
            "the entropy's sign: equal weights have the largest, log K, and there nothing is too much.",
        ),
        (surrogate, "this is the logged number itself. Subtract the bound."),
        (
            lambda logw: surrogate(logw) - logw.mean(axis=1),
            "it is the ELBO that is taken off, and not the bound: log (1/K) sum_k w_k.",
        ),
        (
            naive,
            "right until a weight is 0: there v log v is 0 · (-infinity). Take log v from the log weights instead.",
        ),
        (overflowing, "the exponentials overflow or vanish. Take the largest log weight out."),
    ]
    logw = 2 * np.random.default_rng(0).standard_normal((4, 3))
    cases = {
        "K = 3": (logw,),
        "K = 1": (logw[:, :1],),
        "equal weights": (np.zeros((2, 5)),),
        "one sample with all the weight": (np.array([[0.0, -2000.0, -2000.0]]),),
        "log weights near 1000": (logw + 1000,),
        "rows far apart": (logw + np.array([[0], [-2000], [900], [-40]]),),
    }
    compare("your excess", answer, lambda logw: surrogate(logw) - log_mean(logw), cases, mistakes)


def linear_log_weights(eps, seed=0, D=5):
    """log w (N, K) of exhibit 9's model at random data, mu and logvar; eps (N, K, Q)."""
    rng = np.random.default_rng(seed)
    N, _, Q = eps.shape
    mu, logvar, x, W = (rng.standard_normal(shape) for shape in ((N, Q), (N, Q), (N, D), (Q, D)))
    z = gaussian_layer(mu, logvar, eps)
    log_joint = -0.5 * ((x[:, None] - z @ W) ** 2 + LOG_2PI).sum(axis=2) - 0.5 * (z**2 + LOG_2PI).sum(axis=2)
    return log_joint + 0.5 * (eps**2 + logvar[:, None] + LOG_2PI).sum(axis=2)


def iwae(logw):
    """log (1/K) sum_k w_k."""
    return logsumexp(logw, axis=1) - np.log(logw.shape[1])


def mixed(logw):
    """The bound with the weights in the wrong order: what exhibit 9 does to them."""
    return iwae(logw.T.reshape(logw.shape))


# Bounds of log weights, whether the order of the samples is nothing to them, and why a test thinks otherwise.
ORDERS = (
    (
        lambda eps: iwae(linear_log_weights(eps)),
        True,
        "it rejects a right bound. Samples are the axis 1 of eps: permute that one, a sample as a whole (rng.permuted"
        " shuffles each number's own samples). And a sum in another order is"
        " rounded in another way, so ask for equality within 1e-9, not to the last bit.",
        "",
    ),
    (
        lambda eps: linear_log_weights(eps).mean(axis=1),
        True,
        "it rejects the ELBO, the mean over the samples. A sum in another order is rounded in another way: ask for"
        " equality within 1e-9.",
        "",
    ),
    (
        lambda eps: mixed(linear_log_weights(eps)),
        False,
        "it passes the right bound and one with the weights in a wrong order too: it is blind to it. Does your"
        " permutation change the order of the samples, with K > 1, and do you compare the bound of each example?",
        "",
    ),
    (
        lambda eps: iwae(linear_log_weights(eps)[:, 1:]),
        False,
        "it is blind to a bound that leaves the first sample out: move the first one too.",
        "",
    ),
    (
        lambda eps: iwae(linear_log_weights(eps)[:, :-1]),
        False,
        "it is blind to a bound that leaves the last sample out: move the last one too.",
        "",
    ),
    (
        lambda eps: iwae(linear_log_weights(eps)[::-1]),
        True,
        "it rejects a bound with the examples in another order. That is a mistake, but not one of the order of"
        " samples.",
        "",
    ),
)
# Where N is a multiple of K the wrong order moves whole bounds about: their mean stays.
MOVED = (
    (
        lambda eps: mixed(linear_log_weights(eps)),
        False,
        "it is blind to a wrong order where N = 2 K: there the bounds of the examples change places and their mean"
        " stays. Compare example by example.",
        "",
    ),
)


@exercise("8.4")
def check_permutation_test(answer):
    """Exercise 8.4: (bound, eps (N, K, Q)) -> whether bound(eps) (N,) does not depend on the order of the samples."""
    rng = np.random.default_rng(0)  # many draws, and five samples: an order that is drawn afresh may be the old one
    draws, moved = ([(rng.standard_normal((N, 5, 2)),) for _ in range(20)] for N in (4, 10))
    judge("your test", answer, ORDERS, draws, "Does your permutation change the order of the samples, with K > 1?")
    judge("your test", answer, MOVED, moved)
    print("Right: your test sees a wrong order, and nothing else.")


@exercise("8.5")
def check_blind_spot(answer):
    """Exercise 8.5: (rng) -> x, W, W_mu, W_logvar for which exhibit 1 passes the gradient check."""
    inputs = called("your inputs", answer, np.random.default_rng(0))
    names = ("x", "W", "W_mu", "W_logvar")
    if not isinstance(inputs, (tuple, list)) or len(inputs) != 4:
        raise Wrong("Your inputs: four arrays are expected: x, W, W_mu, W_logvar.")
    inputs = {name: np.array(array, float) for name, array in zip(names, inputs)}
    try:
        exhibit_1(**inputs)
    except ValueError:
        shapes = ", ".join(f"{name} {array.shape}" for name, array in inputs.items())
        raise Wrong(f"Your inputs: x (N, I), W (I, H), W_mu and W_logvar (H, Q) are expected, not {shapes}.") from None
    gradients = right_gradients(inputs)
    for name, gradient in gradients.items():
        if np.max(np.abs(gradient), initial=0) < 1e-2:
            raise Wrong(
                f"Your inputs: the true derivative by {name} is 0 on them (or next to it), so nothing is checked there."
                " Zeros in x, W or W_mu, and saturated units, hide any mistake: find inputs that hide this one alone."
            )
    exhibit = Problem(
        "exhibit 1", inputs, exhibit_1, lambda *arguments: dict(zip(names, exhibit_1_backward(*arguments)))
    )
    for seed in range(5):
        errors = finite_differences.check(exhibit, seed)
        seen = [f"{name} ({error:.0e})" for name, error in errors.items() if error >= finite_differences.TOLERANCE]
        if seen:
            raise Wrong(
                f"Your inputs: the gradient check still sees the mistake, by the relative errors of {', '.join(seen)}."
                " What is missing is dlogvar W_logvarᵀ: when is it 0 whatever dlogvar is?"
            )
    print("Right: on your inputs the gradient check is blind to exhibit 1.")


def right_gradients(inputs):
    """What the backward pass of exhibit 1 should give, under random derivatives by mu and logvar."""
    outputs, _ = exhibit_1(**inputs)
    rng = np.random.default_rng(0)
    upstream = [rng.standard_normal(output.shape) for output in outputs]

    def f():
        return sum(np.sum(u * output) for u, output in zip(upstream, exhibit_1(**inputs)[0]))

    return {name: finite_differences.numerical_gradient(f, array) for name, array in inputs.items()}
