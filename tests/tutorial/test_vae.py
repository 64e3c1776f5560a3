"""The checks of notebook 4: they accept what is right, and say of typical mistakes what is wrong."""

import numpy as np
import pytest

from tests.notebooks import rejects
from tinyvae import tutorial


def sigmoid(l):
    return np.exp(-np.logaddexp(0, -l))


# ---- 4.1


def softplus(l):
    return np.maximum(l, 0) + np.log1p(np.exp(-np.abs(l)))


def bernoulli(x, l):
    return -(x * softplus(-l) + (1 - x) * softplus(l)).sum(1), x - sigmoid(l)


def test_bernoulli_is_accepted(capsys):
    tutorial.check_bernoulli(bernoulli)
    assert capsys.readouterr().out == "Right: your Bernoulli likelihood.\n"


def through_p(x, l):
    p = 1 / (1 + np.exp(-l))
    return np.sum(x * np.log(p) + (1 - x) * np.log(1 - p), axis=1), x - p


def clipped(x, l):
    p = np.clip(1 / (1 + np.exp(-l)), 1e-7, 1 - 1e-7)
    return np.sum(x * np.log(p) + (1 - x) * np.log(1 - p), axis=1), x - p


def a_little_added(x, l):
    p = 1 / (1 + np.exp(-l))
    return np.sum(x * np.log(p + 1e-10) + (1 - x) * np.log(1 - p + 1e-10), axis=1), x - p


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (through_p, "overflows, or a probability is rounded"),
        (lambda x, l: (np.sum(x * l - np.log(1 + np.exp(l)), 1), x - sigmoid(l)), "overflows"),
        (clipped, "the probability is clipped"),
        (a_little_added, "the probability is clipped"),
        (lambda x, l: (bernoulli(x, l)[0] / x.shape[1], x - sigmoid(l)), "mean over the pixels"),
        (lambda x, l: (-bernoulli(x, l)[0], x - sigmoid(l)), "negative of ours: a sign"),
        (lambda x, l: (bernoulli(x, l)[0].sum(), x - sigmoid(l)), "shape is (), and (3,) is expected"),
        (lambda x, l: (bernoulli(x, l)[0], sigmoid(l) - x), "wants a higher logit"),
        (lambda x, l: (bernoulli(x, l)[0], (x - sigmoid(l)) * sigmoid(l) * (1 - sigmoid(l))), "is too much"),
        (lambda x, l: (bernoulli(x, l)[0], (x - sigmoid(l)) / (sigmoid(l) * (1 - sigmoid(l)))), "by the probability"),
        (lambda x, l: bernoulli(x, l)[0], "2 outputs are expected"),
    ],
)
def test_mistakes_of_bernoulli(answer, words):
    rejects(tutorial.check_bernoulli, answer, words=words)


# ---- 4.2


def kl(mu, logvar):
    sigma = np.exp(logvar / 2)
    return (mu * mu + sigma * sigma - 1) / 2 - np.log(sigma), mu.copy(), (sigma * sigma - 1) / 2


def test_kl_and_gradient_is_accepted():
    tutorial.check_kl_and_gradient(kl)


@pytest.mark.parametrize(
    ("part", "value", "words"),
    [
        (0, lambda m, s: m**2 + np.exp(s) - 1 - s, "exactly twice ours"),
        (0, lambda m, s: -0.5 * (m**2 + np.exp(s) - 1 - s), "never negative"),
        (0, lambda m, s: np.sum(0.5 * (m**2 + np.exp(s) - 1 - s), axis=1), "sum over the dimensions is taken"),
        (0, lambda m, s: 0.5 * (m**2 + np.exp(s) - s), "where is the -1"),
        (0, lambda m, s: 0.5 * (m**2 + np.exp(2 * s) - 1 - 2 * s), "used as a standard deviation"),
        (1, lambda m, s: 2 * m, "derivative of mu²/2 is mu"),
        (2, lambda m, s: np.exp(s) - 1, "belongs to the derivative too"),
        (2, lambda m, s: np.exp(s) / 2, "derivative of -logvar is missing"),
        (2, lambda m, s: (1 - 1 / np.exp(s)) / 2, "by the variance"),
        (2, lambda m, s: np.exp(s / 2) - 1 / np.exp(s / 2), "by sigma"),
    ],
)
def test_mistakes_of_kl(part, value, words):
    def answer(mu, logvar):
        parts = list(kl(mu, logvar))
        parts[part] = value(mu, logvar)
        return tuple(parts)

    rejects(tutorial.check_kl_and_gradient, answer, words=words)


# ---- 4.3 and 4.4: a student's two passes, in the terms of a text that is changed for each mistake

PASSES = """
def forward(params, x, eps):
    h = np.tanh(x @ params["encoder.0.W"] + params["encoder.0.b"])
    stats = h @ params["encoder.1.W"] + params["encoder.1.b"]
    Q = stats.shape[1] // 2
    mu, logvar = stats[:, :Q], stats[:, Q:]
    std = np.exp(0.5 * logvar)
    z = mu + std * eps
    g = np.tanh(z @ params["decoder.0.W"] + params["decoder.0.b"])
    logits = g @ params["decoder.1.W"] + params["decoder.1.b"]
    loglik = (x * logits - np.log(1 + np.exp(logits))).sum(axis=1)
    divergence = -0.5 * (1 + logvar - mu**2 - std**2)
    return loglik, divergence, (x, eps, h, mu, logvar, std, z, g, logits)

def backward(params, cache, beta=1.0):
    x, eps, h, mu, logvar, std, z, g, logits = cache
    N = x.shape[0]
    dlogits = (x - 1 / (1 + np.exp(-logits))) / N
    dg = (dlogits @ params["decoder.1.W"].T) * (1 - g * g)
    dz = dg @ params["decoder.0.W"].T
    dmu = dz - beta * mu / N
    dlogvar = dz * eps * 0.5 * std - beta * 0.5 * (std**2 - 1) / N
    dstats = np.hstack([dmu, dlogvar])
    dh = (dstats @ params["encoder.1.W"].T) * (1 - h * h)
    return {
        "encoder.0.W": x.T @ dh, "encoder.0.b": dh.sum(0), "encoder.1.W": h.T @ dstats, "encoder.1.b": dstats.sum(0),
        "decoder.0.W": z.T @ dg, "decoder.0.b": dg.sum(0), "decoder.1.W": g.T @ dlogits, "decoder.1.b": dlogits.sum(0),
    }
"""


def passes(old="", new=""):
    """The student's forward and backward, with a piece of the text exchanged."""
    assert old in PASSES
    names = {"np": np}
    exec(PASSES.replace(old, new) if old else PASSES, names)
    return names["forward"], names["backward"]


def test_the_two_passes_are_accepted(capsys):
    forward, backward = passes()
    tutorial.check_vae_forward(forward)
    tutorial.check_vae_backward(forward, backward)
    assert capsys.readouterr().out == "Right: your forward pass.\nRight: your backward pass.\n"


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("std = np.exp(0.5 * logvar)", "std = np.exp(logvar)", "that is the variance, where sigma"),
        ("mu, logvar = stats[:, :Q], stats[:, Q:]", "logvar, mu = stats[:, :Q], stats[:, Q:]", "swapped"),
        ("z = mu + std * eps", "z = mu", "the noise plays no part"),
        ("g = np.tanh(", "g = (", "tanh is missing in the decoder"),
        ("h = np.tanh(", "h = (", "tanh is missing in the encoder"),
        (
            'logits = g @ params["decoder.1.W"] + params["decoder.1.b"]',
            'logits = 1 / (1 + np.exp(-(g @ params["decoder.1.W"] + params["decoder.1.b"])))',
            "takes the logits themselves",
        ),
        (".sum(axis=1)\n", ".mean(axis=1)\n", "mean over the pixels"),
        ("return loglik, divergence,", "return loglik, divergence.sum(1),", "Keep each dimension's share"),
        ("divergence = -0.5", "divergence = 0.5", "divergence of your forward pass: exactly the negative"),
        ("return loglik, divergence, (x,", "return loglik - divergence.sum(1), (x,", "three outputs are expected"),
    ],
)
def test_mistakes_of_the_forward_pass(old, new, words):
    rejects(tutorial.check_vae_forward, passes(old, new)[0], words=words)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("N = x.shape[0]", "N = 1", "gradient of the sum over the examples"),
        ("N = x.shape[0]", "N = x.shape[0] * x.shape[1]", "not over the pixels"),
        ("dlogits = (x - 1 / (1 + np.exp(-logits)))", "dlogits = (1 / (1 + np.exp(-logits)) - x)", "minus the bound"),
        ("* (1 - g * g)", "", "1 - h² of tanh is missing in the decoder"),
        ("* (1 - h * h)", "", "1 - h² of tanh is missing in the encoder"),
        ("(1 - g * g)", "(1 - np.tanh(g) ** 2)", "tanh is applied twice"),
        ("dmu = dz - beta * mu / N", "dmu = -beta * mu / N", "way of z into mu is missing"),
        ("dmu = dz - beta * mu / N", "dmu = dz - mu / N", "gradient of encoder.1.W of your backward pass…beta = 3"),
        ("dz * eps * 0.5 * std - beta", "dz * eps * std - beta", "the 1/2 is missing"),
        ("dz * eps * 0.5 * std - beta", "dz * eps - beta", "derivative of z by sigma"),
        ("dz * eps * 0.5 * std - beta", "-beta", "way of z into logvar is missing"),
        ("- beta * 0.5 * (std**2 - 1) / N", "- beta * (std**2 - 1) / N", "has the factor 1/2"),
        (
            "dg.sum(0)",
            "dg.mean(0)",
            "gradient of decoder.0.b of your…: the gradients of the biases are sums",
        ),
        ('"decoder.0.W": z.T @ dg', '"decoder.0.W": dg.T @ z', "transposed"),
        ('"encoder.0.b": dh.sum(0),', "", "no gradient of encoder.0.b"),
        ("return {\n", "return 0 and {\n", "a dict of gradients by name is expected, not int"),
    ],
)
def test_mistakes_of_the_backward_pass(old, new, words):
    rejects(tutorial.check_vae_backward, *passes(old, new), words=words)


@pytest.mark.parametrize(
    ("beta", "words"),
    [
        ("0", "KL term's own gradient is missing"),
        ("1", "beta is left out"),
        ("-beta", "the divergence is subtracted"),
        ("N * beta", "lacks the 1/N"),
    ],
)
def test_mistakes_of_the_kl_term_s_weight(beta, words):
    rejects(tutorial.check_vae_backward, *passes("N = x.shape[0]\n", f"N = x.shape[0]; beta = {beta}\n"), words=words)


# ---- 4.5


def images(params, z):
    a = z @ params["decoder.0.W"] + params["decoder.0.b"]
    return sigmoid(np.tanh(a) @ params["decoder.1.W"] + params["decoder.1.b"])


def logit(p):
    return np.log(p / (1 - p))


def test_generate_is_accepted():
    tutorial.check_generate(images)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda params, z: logit(images(params, z)), "these are the logits"),
        (lambda params, z: np.where(images(params, z) > 0.5, 1, 0), "rounded"),
        (lambda params, z: np.tanh(logit(images(params, z))), "where the sigmoid belongs"),
        (
            lambda p, z: sigmoid((z @ p["decoder.0.W"] + p["decoder.0.b"]) @ p["decoder.1.W"] + p["decoder.1.b"]),
            "tanh is missing",
        ),
        (lambda params, z: images(params, z).T, "transposed"),
    ],
)
def test_mistakes_of_generate(answer, words):
    rejects(tutorial.check_generate, answer, words=words)


# ---- 4.6


def average_kl(v, s2, beta):
    noise = beta * s2
    w2 = np.maximum(v - noise, 0)
    precision = 1 + w2 / noise
    mean_square = (w2 / noise**2) / precision**2 * v
    return 0.5 * (mean_square + 1 / precision - 1 + np.log(precision))


def test_the_water_level_is_accepted():
    tutorial.check_water_level(average_kl)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda v, s2, beta: np.log(v / (beta * s2)) / 2, "the maximum is missing"),
        (lambda v, s2, beta: np.maximum(np.log(v / (beta * s2)), 0), "exactly twice ours"),
        (lambda v, s2, beta: np.log(1 + v / (beta * s2)) / 2, "if w² were v"),
        (lambda v, s2, beta: average_kl(v, s2, 1), "beta plays no part"),
        (lambda v, s2, beta: average_kl(v, s2, 1 / beta), "beta works the other way"),
        (lambda v, s2, beta: average_kl(v, s2**2, beta), "s2 is squared"),
        (
            lambda v, s2, beta: np.where(
                v > beta * s2, 0.5 * (beta * s2 / v - 1 + np.log(np.maximum(v / (beta * s2), 1))), 0
            ),
            "means are left out",
        ),
        (lambda v, s2, beta: average_kl(v, s2, beta).sum(), "sum or a mean too many"),
    ],
)
def test_mistakes_of_the_water_level(answer, words):
    rejects(tutorial.check_water_level, answer, words=words)
