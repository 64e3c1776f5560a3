"""The checks of notebook 2: they accept what is right, and say of typical mistakes what is wrong."""

import numpy as np
import pytest

from tests.notebooks import rejects
from tinyvae import tutorial
from tinyvae.checks import finite_differences
from tinyvae.derivation import mlp
from tinyvae.tutorial import backprop

# ---- 2.1


def affine_backward(da, h, W):
    dh = np.einsum("nj,ij->ni", da, W)
    return dh, np.einsum("nj,ni->ij", da, h), np.einsum("nj->j", da)


def test_affine_backward_is_accepted(capsys):
    tutorial.check_affine_backward(affine_backward)
    assert capsys.readouterr().out == "Right: your affine_backward.\n"


@pytest.mark.parametrize(
    ("part", "value", "words"),
    [
        (0, lambda da, h, W: np.ones(da.shape).dot(W.T), "da is missing: h acts"),
        (0, lambda da, h, W: -da @ W.T, "exactly the negative"),
        (1, lambda da, h, W: np.matmul(h.T, np.ones(da.shape)), "da is missing: W acts"),
        (1, lambda da, h, W: da.T @ h, "transposed"),
        (1, lambda da, h, W: (h.T @ da) / h.shape[0], "a mean over the rows"),
        (2, lambda da, h, W: np.mean(da, 0), "a mean over the rows"),
        (2, lambda da, h, W: da[0, :], "first row"),
        (2, lambda da, h, W: da, "the sum over the rows is missing"),
        (2, lambda da, h, W: np.sum(da), "over all of da"),
        (2, lambda da, h, W: np.array([float(len(h))] * da.shape[1]), "da is missing"),
    ],
)
def test_mistakes_of_affine_backward(part, value, words):
    def answer(da, h, W):
        parts = list(affine_backward(da, h, W))
        parts[part] = value(da, h, W)
        return tuple(parts)

    rejects(tutorial.check_affine_backward, answer, words=words)


# ---- 2.2


def test_tanh_backward_is_accepted():
    tutorial.check_tanh_backward(lambda dh, h: dh - dh * h**2)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda dh, h: 1 - h**2, "multiplies it with dh"),
        (lambda dh, h: dh * (1 - np.tanh(h) ** 2), "tanh is taken twice"),
        (lambda dh, h: dh - dh * h, "not squared"),
        (lambda dh, h: h * (1 - h) * dh, "sigmoid"),
        (lambda dh, h: (h**2 - 1) * dh, "negative"),
        (lambda dh, h: dh * np.cosh(h) ** -2, "tanh is taken twice"),
    ],
)
def test_mistakes_of_tanh_backward(answer, words):
    rejects(tutorial.check_tanh_backward, answer, words=words)


# ---- 2.3


class Network:
    """Two passes as a student would write them, with a mistake if one is named."""

    def __init__(self, mistake=None):
        self.mistake = mistake

    def forward(self, x, layers):
        a, inputs = x, []
        for number, (W, b) in enumerate(layers, start=1):
            inputs.append(a)
            a = np.dot(a, W) + b
            hidden = number < len(layers)
            if (hidden and self.mistake != "no tanh") or self.mistake == "tanh at last":
                a = np.tanh(a)
        return a, (inputs, layers, a)

    def backward(self, d, cache):
        inputs, layers, out = cache
        if self.mistake == "slope at last":
            d = d * (1 - out**2)
        grads = []
        for a, (W, _) in zip(inputs[::-1], layers[::-1]):
            db = d.mean(0) if self.mistake == "mean" else d.sum(0)
            grads.append((a.T @ d, db))
            d = d @ W.T
            if a is not inputs[0]:
                d = {"no slope": d, "1 - h": d * (1 - a)}.get(self.mistake, d * (1 - a**2))
        return d, grads if self.mistake == "reversed" else grads[::-1]


def test_network_is_accepted(capsys):
    tutorial.check_network(Network().forward, Network().backward)
    assert capsys.readouterr().out == "Right: your network.\n"


def test_lists_do_as_well_as_tuples():
    right = Network()
    tutorial.check_network(lambda x, layers: list(right.forward(x, layers)), lambda d, c: list(right.backward(d, c)))
    tutorial.check_hard_inputs(lambda rng: list(random_inputs(rng)))


@pytest.mark.parametrize(
    ("mistake", "words"),
    [
        ("tanh at last", "The output layer is affine"),
        ("no tanh", "no tanh"),
        ("slope at last", "applied to the output layer"),
        ("no slope", "way through tanh is missing"),
        ("1 - h", "not 1 - h"),
        ("mean", "db is a mean"),
        ("reversed", "from the last layer to the first"),
    ],
)
def test_mistakes_of_network(mistake, words):
    wrong = Network(mistake)
    rejects(tutorial.check_network, wrong.forward, wrong.backward, words=words)


def test_a_network_s_forms():
    right = Network()
    rejects(tutorial.check_network, lambda x, layers: right.forward(x, layers)[0], right.backward, words="two things")
    rejects(tutorial.check_network, right.forward, lambda d, c: right.backward(d, c)[1], words="two things")
    rejects(tutorial.check_network, right.forward, lambda d, c: (right.backward(d, c)[0], [(1, 1)] * 7), words="not 7")

    def without_a_sum(d, cache):
        dx, grads = right.backward(d, cache)
        return dx, [*grads[:-1], (grads[-1][0], d)]

    rejects(tutorial.check_network, right.forward, without_a_sum, words="of db of layer 0, …sum or a mean over an axis")
    rejects(
        tutorial.check_network, right.forward, lambda d, c: (d, right.backward(d, c)[1]), words="Your dx: its shape"
    )


# ---- 2.4


def numerical_gradient(f, x, h):
    g = np.zeros_like(x)
    flat, out = x.reshape(-1), g.reshape(-1)
    for i, value in enumerate(flat):
        flat[i] = value + h
        out[i] = f(x)
        flat[i] = value - h
        out[i] -= f(x)
        flat[i] = value
    return g / h / 2


def test_numerical_gradient_is_accepted():
    tutorial.check_numerical_gradient(numerical_gradient)


def forward_difference(f, x, h):
    g, before = np.zeros(x.shape), f(x)
    for i in np.ndindex(x.shape):
        y = x.copy()
        y[i] += h
        g[i] = (f(y) - before) / h
    return g


def adds_and_subtracts(f, x, h, again):
    """In place; puts each entry back by adding h again, or not at all."""
    g = np.zeros(x.shape)
    for i in np.ndindex(x.shape):
        x[i] += h
        above = f(x)
        x[i] -= 2 * h
        g[i] = (above - f(x)) / (2 * h)
        x[i] += h * again
    return g


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (forward_difference, "this is the forward difference"),
        (lambda f, x, h: forward_difference(f, x, -h), "this is the backward difference"),
        (lambda f, x, h: 2 * numerical_gradient(f, x, h), "from x - h to x"),
        (lambda f, x, h: numerical_gradient(f, x, h / 2), "steps are h / 2"),
        (lambda f, x, h: np.ones(x.shape) * (f(x + h) - f(x - h)) / (2 * h), "all entries are moved at once"),
        (lambda f, x, h: adds_and_subtracts(f, x, h, False), "x is not as it was…into its place."),
        (lambda f, x, h: adds_and_subtracts(f, x, h, True), "x is not as it was…rounded twice"),
        (lambda f, x, h: adds_and_subtracts(f, x.copy(), h, False), "not put back before"),
    ],
)
def test_mistakes_of_numerical_gradient(answer, words):
    rejects(tutorial.check_numerical_gradient, answer, words=words)


# ---- 2.5


def best_step(e, F, M):
    h = (3 * e * F / M) ** (1 / 3)
    return h, M * h**2 / 2


def test_best_step_is_the_minimum():
    tutorial.check_best_step(best_step)
    h = np.logspace(-6, -4, 100_001)
    error = 5 * h**2 / 6 + 1e-14 * 2 / h
    assert best_step(1e-14, 2, 5) == pytest.approx((h[error.argmin()], error.min()), rel=1e-4)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda e, F, M: (3 * e * F / M, 1.0), "cube root is missing"),
        (lambda e, F, M: ((e * F / M) ** (1 / 3), 1.0), "the factor 3"),
        (lambda e, F, M: ((6 * e * F / M) ** (1 / 3), 1.0), "both errors are equal"),
        (lambda e, F, M: ((3 * e * M / F) ** (1 / 3), 1.0), "changed places"),
        (lambda e, F, M: ((2 * e * F / M) ** 0.5, 1.0), "one-sided"),
        (lambda e, F, M: (best_step(e, F, M)[0], M * best_step(e, F, M)[0] ** 2 / 6), "rounding error is missing"),
        (lambda e, F, M: best_step(e, F, M)[0], "2 outputs are expected"),
    ],
)
def test_mistakes_of_best_step(answer, words):
    rejects(tutorial.check_best_step, answer, words=words)


# ---- 2.6


def relative_errors(
    forward, backward, inputs, u, h=1e-5, judge=None, upstream=lambda u: u, measured=lambda u: u, step=None
):
    h = step or h
    _, cache = forward(*inputs)
    results = []
    for i, gradient in enumerate(backward(upstream(u), cache)):
        numerical = np.zeros(inputs[i].shape)
        for place in np.ndindex(numerical.shape):
            values = []
            for step in (h, -h):
                moved = [x.copy() for x in inputs]
                moved[i][place] += step
                values.append((measured(u) * forward(*moved)[0]).sum())
            numerical[place] = (values[0] - values[1]) / (2 * h)
        judge = judge or (lambda a, b: abs(a - b).max() / abs(b).max())
        results.append(judge(gradient, numerical))
    return results


def test_relative_errors_are_accepted():
    tutorial.check_relative_errors(relative_errors)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"measured": np.ones_like}, "the upstream derivative is missing from f"),
        ({"measured": np.ones_like, "upstream": np.ones_like}, "They are to be u"),
        ({"judge": lambda a, b: np.abs(a - b).max()}, "absolute errors"),
        ({"step": 1e-5}, "h plays no part"),
        ({"judge": lambda a, b: (a - b).max() / np.abs(b).max()}, "abs?"),
        ({"judge": lambda a, b: np.abs(a - b).max() / b.max()}, "abs, before the maximum"),
        ({"judge": lambda a, b: np.abs(a - b).mean() / np.abs(b).max()}, "single wrong entry"),
        ({"judge": lambda a, b: (np.abs(a - b) / np.abs(b)).max()}, "divided by itself"),
        ({"judge": lambda a, b: np.abs(a - b).max() / np.abs(a).max()}, "which is on trial"),
    ],
)
def test_mistakes_of_relative_errors(changes, words):
    rejects(tutorial.check_relative_errors, lambda *arguments: relative_errors(*arguments, **changes), words=words)


# ---- 2.7


def random_inputs(rng, N=4, sizes=(3, 5, 2), dtype=float):
    shapes = [(sizes[i], sizes[i + 1]) for i in range(len(sizes) - 1)]
    layers = [
        (rng.standard_normal(shape).astype(dtype), rng.standard_normal(shape[1]).astype(dtype)) for shape in shapes
    ]
    return rng.standard_normal((N, sizes[0])).astype(dtype), layers, rng.standard_normal((N, sizes[-1])).astype(dtype)


def test_hard_inputs_are_accepted(capsys):
    tutorial.check_hard_inputs(random_inputs)
    assert "convict all 10" in capsys.readouterr().out


def altered(x=lambda x: x, W=lambda W: W, b=lambda b: b, u=lambda u: u, **shape):
    def answer(rng):
        inputs, layers, upstream = random_inputs(rng, **shape)
        return x(inputs), [(W(weights), b(biases)) for weights, biases in layers], u(upstream)

    return answer


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (altered(N=1), "first row of da” …N = 1"),
        (altered(u=np.ones_like), "taken for 1” …of ones"),
        (altered(u=np.abs), "loses its sign”…without negative"),
        (altered(b=np.zeros_like), "forgets the bias”…biases that are zero"),
        (altered(sizes=(3, 3, 3), W=lambda W: W + W.T), "not transposed”…symmetric"),
        (altered(x=np.zeros_like, b=np.zeros_like), "the slope forgets"),
        (altered(W=lambda W: 1000 * W), "saturated"),
        (altered(dtype=np.float32), "of float64 are expected, not float32"),
        (altered(x=lambda x: np.rint(x).astype(int)), "of float64 are expected, not int64"),
        (altered(sizes=(3, 2)), "hidden layer"),
        (altered(u=lambda u: u[:, :1]), "Your u: its shape"),
        (lambda rng: random_inputs(rng)[:2], "three things"),
    ],
)
def test_inputs_that_are_too_easy(answer, words):
    rejects(tutorial.check_hard_inputs, answer, words=words)


def test_the_broken_passes_are_broken_and_the_parts_they_are_made_of_are_right():
    x, layers, u = random_inputs(np.random.default_rng(1))
    _, cache = mlp.mlp(x, layers)
    right = in_one(*mlp.mlp_backward(u, cache))
    np.testing.assert_allclose(in_one(*backprop.backward(u, cache)), right, rtol=1e-12)
    assert len(tutorial.BROKEN_BACKWARD) == 10
    for name, broken in tutorial.BROKEN_BACKWARD.items():
        if name != "W is not transposed":  # fits square weights only
            assert finite_differences.relative_error(in_one(*broken(u, cache)), right) > 1e-4, name


def in_one(dx, dlayers):
    return np.concatenate([dx.ravel(), *(part.ravel() for layer in dlayers for part in layer)])


# ---- 2.8


def oracle(sample, eps, mu=-2.0, logvar=-1.0, slack=5.0):
    z, sigma, root = sample(mu, logvar, eps), np.exp(logvar / 2), np.sqrt(eps.size)
    return abs(np.mean(z) - mu) * root < slack * sigma and abs(np.std(z) / sigma - 1) * root < slack / 2**0.5


def test_an_oracle_is_accepted(capsys):
    tutorial.check_oracle(oracle)
    assert capsys.readouterr().out == "Right: your oracle.\n"


def by_formula(sample, eps):
    return np.allclose(sample(1.0, 2.0, eps), 1 + np.e * eps)


def one_sided(sample, eps, mean=lambda error: error, spread=lambda error: error):
    """A test that forgets an absolute value, of the mean or of the spread."""
    z, sigma = sample(0.7, 1.3, eps), np.exp(0.65)
    return bool(
        mean(z.mean() - 0.7) < 5 * sigma / np.sqrt(z.size) and spread(z.std() - sigma) < 5 * sigma / np.sqrt(2 * z.size)
    )


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda sample, eps: one_sided(sample, eps, spread=abs), "a mean that is far too small: take the absolute"),
        (lambda sample, eps: one_sided(sample, eps, mean=abs), "a spread that is half as large: take the absolute"),
        (by_formula, "it rejects mu - sigma eps"),
        (lambda sample, eps: oracle(sample, eps, logvar=0.0), "accepts mu + exp(logvar) eps"),
        (lambda sample, eps: oracle(sample, eps, mu=0.0), "without mu"),
        (lambda sample, eps: oracle(sample, eps, slack=1e-3), "which is right. Allow for the chance"),
        (lambda sample, eps: oracle(sample, eps, slack=15.0), "10 % too large"),
        (lambda sample, eps: oracle(sample, eps, slack=40.0), "a fifth of sigma too large"),
        (lambda sample, eps: abs(sample(2.0, 1.0, eps).mean() - 2) < 0.08, "the spread of the samples plays no part"),
        (lambda sample, eps: abs(sample(2.0, 1.0, eps).std() - np.exp(0.5)) < 0.06, "the mean of the samples plays no"),
        (lambda sample, eps: True, "it says True of everything"),
        (lambda sample, eps: False, "it says False of everything"),
        (lambda sample, eps: not oracle(sample, eps), "True and False have changed places"),
        (lambda sample, eps: sample(2.0, 1.0, eps) > 0, "not an array of the shape"),
    ],
)
def test_mistakes_of_an_oracle(answer, words):
    rejects(tutorial.check_oracle, answer, words=words)
