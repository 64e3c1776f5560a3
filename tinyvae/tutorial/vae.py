"""The checks of notebook 4: the likelihood on logits, the KL term, both passes of a VAE, its samples, and collapse."""

import numpy as np
from scipy.special import expit

from tinyvae.tutorial.answers import Wrong, called, compare
from tinyvae.tutorial.exercises import exercise


@exercise("4.1")
def check_bernoulli(answer):
    """Exercise 4.1: log p(x | z) on logits and its derivative, (x (N, D), l (N, D)) -> (N,), (N, D)."""

    def bernoulli(x, l):
        return np.sum(x * l - np.logaddexp(0, l), axis=1), x - expit(l)

    def with_log_p(log_p):
        """The cross-entropy with probabilities, kept from zero by a function or not at all."""
        return lambda x, l: (np.sum(log_p(x, 1 / (1 + np.exp(-l))), axis=1), x - expit(l))

    def and_derivative(derivative):
        return lambda x, l: (bernoulli(x, l)[0], derivative(x, l, expit(l)))

    unbounded = (
        "right where the logits are small, but the exponential of a large one overflows, or a probability is rounded"
        " to 1 and its rest to 0. Never leave the logarithm: np.logaddexp(0, l) is log(1 + e^l)."
    )
    clipped = (
        "right where the logits are small. Where they are large the probability is clipped: the penalty stops growing"
        " there, and its derivative is lost. Never leave the logarithm: np.logaddexp(0, l) is log(1 + e^l)."
    )
    mistakes = [
        (lambda x, l: (np.sum(x * l - np.log(1 + np.exp(l)), axis=1), x - expit(l)), unbounded),
        (lambda x, l: (np.sum(x * l - np.log1p(np.exp(l)), axis=1), x - expit(l)), unbounded),
        (with_log_p(lambda x, p: x * np.log(p) + (1 - x) * np.log(1 - p)), unbounded),
        (
            lambda x, l: (np.mean(x * l - np.logaddexp(0, l), axis=1), x - expit(l)),
            "this is the mean over the pixels. The probability of an image is the product of its pixels', so the"
            " logarithms add up. What the mean would do to the bound, you will see below.",
        ),
        (
            lambda x, l: (np.sum(x * l, axis=1), x - expit(l)),
            "log(1 + e^l) is missing: without it the probabilities of black and white do not add up to 1.",
        ),
        (
            lambda x, l: (np.sum(-np.logaddexp(0, -l), axis=1), x - expit(l)),
            "this is log p of a white pixel, whatever x is: black ones have log(1 - p).",
        ),
        (
            and_derivative(lambda x, l, p: (x - p) * p * (1 - p)),
            "the sigmoid's derivative p (1 - p) is too much: it has cancelled with that of log p. What is left is the"
            " residual x - sigmoid(l).",
        ),
        (
            and_derivative(lambda x, l, p: x / p - (1 - x) / (1 - p)),
            "this is the derivative by the probability p. By the logit it is p (1 - p) times that: x - sigmoid(l).",
        ),
        (
            and_derivative(lambda x, l, p: p - x),
            "exactly the negative of ours: a white pixel wants a higher logit.",
        ),
        (and_derivative(lambda x, l, p: x - l), "the logit itself stands where sigmoid(l) is due."),
    ]
    for tiny in (1e-3, 1e-5, 1e-6, 1e-7, 1e-8, 1e-9, 1e-10, 1e-12, 1e-15, 1e-16):
        log_clip = with_log_p(
            lambda x, p, e=tiny: x * np.log(np.clip(p, e, 1 - e)) + (1 - x) * np.log(1 - np.clip(p, e, 1 - e))
        )
        log_added = with_log_p(lambda x, p, e=tiny: x * np.log(p + e) + (1 - x) * np.log(1 - p + e))
        mistakes += [(log_clip, clipped), (log_added, clipped)]
    for limit in (10, 20, 30, 50, 100, 500):
        mistakes.append(
            (
                lambda x, l, c=limit: bernoulli(x, np.clip(l, -c, c)),
                "right where the logits are small. Large ones are clipped: the penalty stops growing there, and its"
                " derivative is lost. The formula needs no clipping.",
            )
        )
    rng = np.random.default_rng(0)
    grey = rng.uniform(size=(3, 4))
    white = np.round(rng.uniform(size=(2, 5)))
    cases = {
        "grey levels": (grey, rng.standard_normal((3, 4))),
        "black and white": (white, rng.standard_normal((2, 5))),
        "logits of zero": (grey, np.zeros((3, 4))),
        "logits of 1000": (grey, np.full((3, 4), 1000.0)),
        "logits of -1000": (grey, np.full((3, 4), -1000.0)),
    }
    outputs = ("the log-likelihood", "the derivative")
    compare("your Bernoulli likelihood", answer, bernoulli, cases, mistakes, outputs)


@exercise("4.2")
def check_kl_and_gradient(answer):
    """Exercise 4.2: KL from the standard normal by dimension, (mu, logvar) -> KL, d KL / dmu, d KL / dlogvar."""

    def kl(mu, logvar):
        variance = np.exp(logvar)
        return 0.5 * (mu**2 + variance - 1 - logvar), mu, 0.5 * (variance - 1)

    def but(value=None, dmu=None, dlogvar=None):
        def mistaken(mu, logvar):
            right = kl(mu, logvar)
            return [ours if f is None else f(mu, logvar) for f, ours in zip((value, dmu, dlogvar), right)]

        return mistaken

    mistakes = [
        (
            but(value=lambda m, s: kl(m, s)[0].sum(axis=1)),
            "the sum over the dimensions is taken. Here each dimension's share is wanted: the sum comes later.",
        ),
        (but(value=lambda m, s: 2 * kl(m, s)[0]), "exactly twice ours: the 1/2?"),
        (but(value=lambda m, s: -kl(m, s)[0]), "exactly the negative of ours: a divergence is never negative."),
        (
            but(value=lambda m, s: 0.5 * (m**2 + np.exp(2 * s) - 1 - 2 * s)),
            "exp(logvar) is used as a standard deviation: it is the variance.",
        ),
        (
            but(value=lambda m, s: 0.5 * (m**2 + np.exp(s / 2) - 1 - s)),
            "sigma stands where sigma² belongs: the variance is exp(logvar).",
        ),
        (
            but(value=lambda m, s: 0.5 * (m**2 + np.exp(s) - s)),
            "1/2 more than ours everywhere: where is the -1? The standard normal has KL 0 from itself.",
        ),
        (but(value=lambda m, s: 0.5 * (m**2 + np.exp(s) - 1 + s)), "the sign of logvar: a narrow q has a large KL."),
        (but(dmu=lambda m, s: 2 * m), "the 1/2 in front of mu² is lost: the derivative of mu²/2 is mu."),
        (
            but(dlogvar=lambda m, s: np.exp(s) - 1),
            "exactly twice ours: the 1/2 in front of the bracket belongs to the derivative too.",
        ),
        (
            but(dlogvar=lambda m, s: 0.5 * (1 - np.exp(-s))),
            "this is the derivative by the variance. By its logarithm it is sigma² times that.",
        ),
        (
            but(dlogvar=lambda m, s: np.exp(s / 2) - np.exp(-s / 2)),
            "this is the derivative by sigma. By log sigma² it is sigma/2 times that.",
        ),
        (
            but(dlogvar=lambda m, s: 0.5 * np.exp(s)),
            "the derivative of -logvar is missing: at sigma = 1 there must be nothing that pulls.",
        ),
    ]
    rng = np.random.default_rng(0)
    cases = {
        "any mu and sigma": tuple(rng.standard_normal((2, 4, 3))),
        "mu = 2, sigma = 1": (np.full((1, 1), 2.0), np.zeros((1, 1))),
        "mu = 0, sigma = 1": (np.zeros((2, 3)), np.zeros((2, 3))),
    }
    outputs = ("the divergence", "the derivative by mu", "the derivative by logvar")
    compare("your KL term", answer, kl, cases, mistakes, outputs)


# ---------------------------------------------------------------------------------------------------------------------
# The two passes
# ---------------------------------------------------------------------------------------------------------------------

# From the output of the network to its input, so that the first gradient that is wrong is the one to look at.
NAMES = [f"{network}.{layer}.{part}" for network in ("decoder", "encoder") for layer in (1, 0) for part in ("W", "b")]


def random_vae(seed, N, D, H, Q):
    """Random parameters {name: array} of a one-layer VAE, x (N, D) in [0, 1] and noise (N, Q)."""
    rng = np.random.default_rng(seed)
    shapes = {"encoder.0": (D, H), "encoder.1": (H, 2 * Q), "decoder.0": (Q, H), "decoder.1": (H, D)}
    params = {}
    for name, (rows, columns) in shapes.items():
        params[f"{name}.W"] = rng.standard_normal((rows, columns)) / np.sqrt(rows)
        params[f"{name}.b"] = 0.3 * rng.standard_normal(columns)
    return params, rng.uniform(size=(N, D)), rng.standard_normal((N, Q))


def forward_pass(
    params,
    x,
    eps,
    sigma=lambda logvar: np.exp(logvar / 2),
    split=lambda stats: np.split(stats, 2, axis=1),
    hidden=(np.tanh, np.tanh),
    logits=lambda l: l,
    pixels=np.sum,
):
    """Ours, and with other pieces in it the ways in which it goes wrong: log p(x | z) (N,), KL (N, Q) and a cache."""
    h = hidden[0](x @ params["encoder.0.W"] + params["encoder.0.b"])
    mu, logvar = split(h @ params["encoder.1.W"] + params["encoder.1.b"])
    z = mu + sigma(logvar) * eps
    g = hidden[1](z @ params["decoder.0.W"] + params["decoder.0.b"])
    l = logits(g @ params["decoder.1.W"] + params["decoder.1.b"])
    divergence = 0.5 * (mu**2 + np.exp(logvar) - 1 - logvar)
    return pixels(x * l - np.logaddexp(0, l), axis=1), divergence, (x, eps, h, mu, logvar, z, g, l)


@exercise("4.3")
def check_vae_forward(answer):
    """Exercise 4.3: the forward pass, (params, x (N, D), eps (N, Q)) -> log p(x | z) (N,), KL (N, Q), a cache."""

    def two(**pieces):
        return lambda params, x, eps: forward_pass(params, x, eps, **pieces)[:2]

    def first_two(params, x, eps):
        value = called("your forward pass", answer, params, x, eps)
        if not isinstance(value, (tuple, list)) or len(value) != 3:
            raise Wrong("Your forward pass: three outputs are expected: log p(x | z) (N,), KL (N, Q), and the cache.")
        return tuple(value[:2])

    def summed(params, x, eps):
        log_likelihood, divergence = two()(params, x, eps)
        return log_likelihood, divergence.sum(axis=1)

    mistakes = [
        (two(sigma=np.exp), "z = mu + exp(logvar) eps: that is the variance, where sigma = exp(logvar / 2) belongs."),
        (two(sigma=lambda logvar: logvar), "logvar is used as if it were sigma: sigma = exp(logvar / 2)."),
        (two(sigma=lambda logvar: 0), "the noise plays no part: z is mu itself."),
        (two(split=lambda s: np.split(s, 2, axis=1)[::-1]), "mu and logvar are swapped: mu is the first half."),
        (
            two(split=lambda s: (s[:, ::2], s[:, 1::2])),
            "mu and logvar are taken in turns. They are halves: the first Q columns, then the others.",
        ),
        (two(hidden=(np.tanh, lambda a: a)), "tanh is missing in the decoder's hidden layer."),
        (two(hidden=(lambda a: a, np.tanh)), "tanh is missing in the encoder's hidden layer."),
        (two(logits=np.tanh), "the last layer is affine: no tanh on the logits."),
        (two(logits=expit), "the likelihood takes the logits themselves: the sigmoid is inside of it already."),
        (two(pixels=np.mean), "this is the mean over the pixels. The logarithms add up."),
        (summed, "the sum over the dimensions is taken. Keep each dimension's share: we shall look at them."),
    ]
    cases = {"5 examples": random_vae(0, 5, 6, 4, 2), "one example": random_vae(1, 1, 3, 5, 3)}
    compare("your forward pass", first_two, two(), cases, mistakes, outputs=("the log-likelihood", "the divergence"))


def backward_pass(
    params,
    x,
    eps,
    beta,
    examples=len,
    residual=lambda x, l: x - expit(l),
    tanh_gradient=(lambda h: 1 - h**2, lambda h: 1 - h**2),
    mean_path=1.0,
    spread_path=lambda eps, logvar: eps * np.exp(logvar / 2) / 2,
    kl_by_logvar=lambda logvar: 0.5 * (np.exp(logvar) - 1),
    bias=np.sum,
):
    """Ours, and with other pieces in it the ways in which it goes wrong: the gradients in the order of ``NAMES``."""
    x, eps, h, mu, logvar, z, g, l = forward_pass(params, x, eps)[2]
    dl = residual(x, l) / examples(x)
    dg = dl @ params["decoder.1.W"].T * tanh_gradient[1](g)
    dz = dg @ params["decoder.0.W"].T
    dmu = mean_path * dz - beta * mu / examples(x)
    dlogvar = dz * spread_path(eps, logvar) - beta * kl_by_logvar(logvar) / examples(x)
    dstats = np.concatenate([dmu, dlogvar], axis=1)
    dh = dstats @ params["encoder.1.W"].T * tanh_gradient[0](h)
    pairs = ((g, dl), (z, dg), (h, dstats), (x, dh))
    return tuple(gradient for inputs, d in pairs for gradient in (inputs.T @ d, bias(d, axis=0)))


@exercise("4.4")
def check_vae_backward(forward, backward):
    """Exercise 4.4: the gradient of the mean of log p(x | z) - beta KL: (params, cache, beta) -> {name: array}."""

    def gradients(params, x, eps, beta):
        value = called("your forward pass", forward, params, x, eps)
        if not isinstance(value, (tuple, list)) or len(value) != 3:
            raise Wrong("Your forward pass: three outputs are expected: log p(x | z) (N,), KL (N, Q), and the cache.")
        grads = called("your backward pass", backward, params, value[2], beta)
        if not hasattr(grads, "keys"):
            raise Wrong(f"Your backward pass: a dict of gradients by name is expected, not {type(grads).__name__}.")
        if missing := [name for name in NAMES if name not in grads]:
            raise Wrong(f"Your backward pass: there is no gradient of {', '.join(missing)}.")
        return tuple(grads[name] for name in NAMES)

    def but(**pieces):
        return lambda *arguments: backward_pass(*arguments, **pieces)

    plain, twice, none = (lambda h: 1 - h**2), (lambda h: 1 - np.tanh(h) ** 2), (lambda h: 1.0)
    mistakes = [
        (
            but(examples=lambda x: 1),
            "this is the gradient of the sum over the examples. Of their mean it is 1/N of that: then a step has the"
            " same length whatever the size of the minibatch.",
        ),
        (
            lambda *a: tuple(-g for g in but()(*a)),
            "the gradient of minus the bound, a loss: here the bound is climbed.",
        ),
        (but(examples=lambda x: x.size), "divided by N D: the mean is over the examples, not over the pixels."),
        (but(residual=lambda x, l: x - l), "the residual is x - sigmoid(l), not x - l."),
        (
            but(residual=lambda x, l: (x - expit(l)) * expit(l) * (1 - expit(l))),
            "the sigmoid's derivative p (1 - p) is too much: the derivative by the logits is x - sigmoid(l).",
        ),
        (but(tanh_gradient=(plain, none)), "the factor 1 - h² of tanh is missing in the decoder."),
        (but(tanh_gradient=(none, plain)), "the factor 1 - h² of tanh is missing in the encoder."),
        (but(tanh_gradient=(none, none)), "the factor 1 - h² of tanh is missing."),
        (but(tanh_gradient=(twice, twice)), "tanh is applied twice: h is its output already, the factor is 1 - h²."),
        (but(bias=np.mean), "the gradients of the biases are sums over the rows; 1/N is in the derivative already."),
        (
            lambda p, x, eps, beta: backward_pass(p, x, eps, 1.0),
            "beta is left out: it multiplies both derivatives of the KL term.",
        ),
        (lambda p, x, eps, beta: backward_pass(p, x, eps, 0.0), "the KL term's own gradient is missing."),
        (
            lambda p, x, eps, beta: backward_pass(p, x, eps, -beta),
            "the sign of the KL term's gradient: the divergence is subtracted.",
        ),
        (
            lambda p, x, eps, beta: backward_pass(p, x, eps, beta * len(x)),
            "the KL term's gradient lacks the 1/N that the likelihood's has.",
        ),
        (
            but(spread_path=lambda eps, logvar: eps * np.exp(logvar / 2)),
            "on the way of z into logvar the 1/2 is missing: sigma = exp(logvar / 2).",
        ),
        (
            but(spread_path=lambda eps, logvar: np.exp(logvar / 2) / 2),
            "on the way of z into logvar the noise is missing: dz/dlogvar = sigma eps / 2.",
        ),
        (
            but(spread_path=lambda eps, logvar: eps / 2),
            "on the way of z into logvar sigma is missing: dz/dlogvar = sigma eps / 2.",
        ),
        (
            but(spread_path=lambda eps, logvar: eps),
            "this is the derivative of z by sigma. By logvar it is sigma/2 times that.",
        ),
        (
            but(spread_path=lambda eps, logvar: 0.0),
            "the way of z into logvar is missing: logvar acts through the samples too, not only in the KL term.",
        ),
        (but(mean_path=0.0), "the way of z into mu is missing: mu acts through the samples too, not only in the KL."),
        (
            but(kl_by_logvar=lambda logvar: np.exp(logvar) - 1),
            "the KL term's derivative by logvar has the factor 1/2.",
        ),
    ]
    cases = {
        "beta = 1": (*random_vae(0, 5, 6, 4, 2), 1.0),
        "beta = 3": (*random_vae(1, 4, 5, 3, 3), 3.0),
        "one example": (*random_vae(2, 1, 3, 4, 2), 1.0),
    }
    outputs = tuple(f"the gradient of {name}" for name in NAMES)
    compare("your backward pass", gradients, but(), cases, mistakes, outputs)


# ---------------------------------------------------------------------------------------------------------------------
# Samples and collapse
# ---------------------------------------------------------------------------------------------------------------------


@exercise("4.5")
def check_generate(answer):
    """Exercise 4.5: the decoder's mean image, (params, z (N, Q)) -> (N, D) in [0, 1]."""

    def generate(params, z, hidden=np.tanh, last=expit):
        g = hidden(z @ params["decoder.0.W"] + params["decoder.0.b"])
        return last(g @ params["decoder.1.W"] + params["decoder.1.b"])

    mistakes = [
        (
            lambda params, z: generate(params, z, last=lambda l: l),
            "these are the logits. The mean of a pixel is sigmoid(l), between 0 and 1.",
        ),
        (lambda params, z: generate(params, z, hidden=lambda a: a), "tanh is missing in the hidden layer."),
        (lambda params, z: generate(params, z, last=np.tanh), "tanh stands where the sigmoid belongs."),
        (
            lambda params, z: np.round(generate(params, z)),
            "the means are rounded to black and white. The mean itself is wanted.",
        ),
    ]
    cases = {}
    for name, seed, N in (("5 samples", 0, 5), ("one sample", 1, 1)):
        params, _, z = random_vae(seed, N, 6, 4, 2)
        cases[name] = params, 2 * z
    compare("your mean images", answer, generate, cases, mistakes)


@exercise("4.6")
def check_water_level(answer):
    """Exercise 4.6: the mean KL of each principal direction, (variances (D,), s2, beta) -> (D,), in nats."""

    def water_level(v, s2, beta):
        return 0.5 * np.log(np.maximum(v / (beta * s2), 1))

    def but_means(mean_square):
        """1/2 (mean square of mu + variance - 1 - log variance), with another mean square."""

        def mistaken(v, s2, beta):
            variance = np.minimum(beta * s2 / v, 1)
            return 0.5 * (mean_square(1 - variance) + variance - 1 - np.log(variance)) * (variance < 1)

        return mistaken

    mistakes = [
        (
            lambda v, s2, beta: 0.5 * np.log(v / (beta * s2)),
            "the maximum is missing: below beta s2 it comes out negative. Such a direction is not used, its KL is 0.",
        ),
        (
            lambda v, s2, beta: 2 * water_level(v, s2, beta),
            "exactly twice ours: the 1/2? (The logarithm of sigma² has it too.)",
        ),
        (
            lambda v, s2, beta: 0.5 * np.log1p(v / (beta * s2)),
            "this would be right if w² were v. The optimal w² is v - beta s2: the noise is part of the variance.",
        ),
        (
            lambda v, s2, beta: water_level(v, s2, 1 / beta),
            "right for beta = 1, but beta works the other way: the heavier the KL term, the less is told.",
        ),
        (
            lambda v, s2, beta: water_level(v, s2, 1),
            "right for beta = 1, but beta plays no part: it raises the level of the noise to beta s2.",
        ),
        (
            lambda v, s2, beta: water_level(v, s2**2, beta),
            "s2 is squared: it is the variance already.",
        ),
        (
            lambda v, s2, beta: water_level(v**2, s2, beta),
            "the variances are squared: they are variances already.",
        ),
        (
            but_means(lambda share: 0.0),
            "the means are left out: over the data their mean square is 1 - beta s2 / v, and half of it is paid.",
        ),
        (
            but_means(lambda share: 1.0),
            "the means are taken to have a mean square of 1. It is w² / v = 1 - beta s2 / v, a little less.",
        ),
    ]
    v = np.array([5.0, 2.0, 0.9, 0.3, 0.02])
    cases = {"beta = 1": (v, 0.1, 1.0), "beta = 4": (v, 0.1, 4.0), "beta = 1000": (v, 0.1, 1000.0)}
    compare("your divergences", answer, water_level, cases, mistakes)
