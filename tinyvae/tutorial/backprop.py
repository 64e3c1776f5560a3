"""The checks of notebook 2: a network's backward pass, the gradient checker, and what it cannot see."""

import itertools
from functools import partial

import numpy as np

from tinyvae.checks import finite_differences
from tinyvae.derivation import mlp
from tinyvae.tutorial.answers import Wrong, called, compare, judge, shape_slip
from tinyvae.tutorial.exercises import exercise


@exercise("2.1")
def check_affine_backward(answer):
    """Exercise 2.1: backward through a = h W + b, (da (N, J), h (N, I), W (I, J)) -> dh, dW, db."""

    def affine_backward(da, h, W):
        return da @ W.T, h.T @ da, da.sum(axis=0)

    def but(dh=None, dW=None, db=None):
        def mistaken(da, h, W):
            right = affine_backward(da, h, W)
            return [value if f is None else f(da, h, W) for f, value in zip((dh, dW, db), right)]

        return mistaken

    mistakes = [
        (
            but(dh=lambda da, h, W: np.ones_like(da) @ W.T),
            "da is missing: h acts on f only through a, so each derivative of a by h is to be weighted with da.",
        ),
        (
            but(dW=lambda da, h, W: h.T @ np.ones_like(da)),
            "da is missing: W acts on f only through a, so each derivative of a by W is to be weighted with da.",
        ),
        (but(dW=lambda da, h, W: h.T @ da / len(da)), "a mean over the rows n. The chain rule adds them up."),
        (but(db=lambda da, h, W: da.mean(axis=0)), "a mean over the rows n. The chain rule adds them up."),
        (
            but(db=lambda da, h, W: da),
            "the sum over the rows is missing: one b serves all rows n, so it collects a term from each.",
        ),
        (but(db=lambda da, h, W: da[0]), "this is the first row of da. Every row depends on b: add them up."),
        (but(db=lambda da, h, W: np.ones(W.shape[1])), "da is missing: the derivative of a by b is 1, times da."),
        (
            but(db=lambda da, h, W: np.full(W.shape[1], len(da))),
            "da is missing: this adds up the derivatives of a by b, which are 1, and not da times them.",
        ),
        (but(db=lambda da, h, W: da.sum()), "a sum over all of da. Each b_j acts on its own column j alone."),
    ]
    rng = np.random.default_rng(0)
    cases = {}
    for name, N, I, J in (("N, I, J = 5, 3, 4", 5, 3, 4), ("one row", 1, 3, 2), ("N = I = J = 3", 3, 3, 3)):
        cases[name] = tuple(rng.standard_normal(shape) for shape in ((N, J), (N, I), (I, J)))
    compare("your affine_backward", answer, affine_backward, cases, mistakes, outputs=("the dh", "the dW", "the db"))


@exercise("2.2")
def check_tanh_backward(answer):
    """Exercise 2.2: backward through h = tanh(a) by its output, (dh (N, J), h (N, J)) -> da (N, J)."""
    mistakes = [
        (lambda dh, h: 1 - h * h, "this is the derivative of tanh itself: the chain rule multiplies it with dh."),
        (
            lambda dh, h: dh * (1 - np.tanh(h) ** 2),
            "tanh is taken twice. h is its output already: the derivative is 1 - h².",
        ),
        (lambda dh, h: dh * (1 - h), "h is not squared: the derivative of tanh is 1 - tanh²."),
        (lambda dh, h: dh * h * (1 - h), "this is the derivative of the sigmoid by its output. tanh has 1 - h²."),
        (lambda dh, h: dh * (h * h - 1), "exactly the negative of ours: tanh rises, its derivative is positive."),
        (
            lambda dh, h: dh / np.cosh(h) ** 2,
            "1 / cosh² is right at the input a. h is the output: there it is 1 - h².",
        ),
    ]
    rng = np.random.default_rng(0)
    cases = {
        "units of every kind": (rng.standard_normal((3, 4)), np.tanh(2 * rng.standard_normal((3, 4)))),
        "a unit at 0": (np.array([[2.0]]), np.zeros((1, 1))),
        "saturated units": (np.array([[2.0, -3.0]]), np.array([[1.0, -1.0]])),
    }
    compare("your tanh_backward", answer, lambda dh, h: dh * (1 - h * h), cases, mistakes)


# ---------------------------------------------------------------------------------------------------------------------
# A network, right and wrong
# ---------------------------------------------------------------------------------------------------------------------


def tanh_slope(h, below, W):
    """The derivative of h = tanh(below W + b)."""
    return 1 - h * h


def backward(
    dout,
    cache,
    slope=tanh_slope,
    dW=lambda h, da: h.T @ da,
    db=lambda da: da.sum(axis=0),
    dh=lambda da, W: da @ W.T,
    upstream=lambda dout: dout,
):
    """``mlp.mlp_backward`` in plain NumPy, of parts in whose place a wrong one may be put.

    Args:
        dout: (N, J).
        cache: from ``mlp.mlp``, of tanh layers; or its first three parts.
        slope: (h, the layer's input, W) -> the derivative of h by its pre-activation.
        dW, db, dh: the derivatives of an affine map, from h, da and W.
        upstream: what becomes of dout.

    Returns: dx and [(dW_i, db_i), ...].
    """
    x, outputs, layers = cache[:3]
    h, da, dlayers = [x, *outputs[:-1]], upstream(dout), []
    for i in reversed(range(len(layers))):
        W = layers[i][0]
        dlayers.insert(0, (dW(h[i], da), db(da)))
        da = dh(da, W)
        if i > 0:
            da = da * slope(h[i], h[i - 1], layers[i - 1][0])
    return da, dlayers


ONE_ROW, SATURATED, NO_BIAS = "N = 1", "hidden units that are saturated, all near 1 or -1", "biases that are zero"
# Each with what may let it pass.
BROKEN = {
    "db is the first row of da": (partial(backward, db=lambda da: da[0]), (ONE_ROW, "rows of da that are all equal")),
    "db is a mean over n": (partial(backward, db=lambda da: da.mean(axis=0)), (ONE_ROW, "sums of da that are 0")),
    "dout is taken for 1": (partial(backward, upstream=np.ones_like), ("an upstream derivative of ones",)),
    "dout loses its sign": (partial(backward, upstream=np.abs), ("an upstream derivative without negative entries",)),
    "W is not transposed": (partial(backward, dh=lambda da, W: da @ W), ("symmetric weights",)),
    "the slope forgets the bias": (
        partial(backward, slope=lambda h, below, W: 1 - np.tanh(below @ W) ** 2),
        (SATURATED, NO_BIAS, "biases that are next to zero beside what is added to them"),
    ),
    "the slope is 1": (
        partial(backward, slope=lambda h, below, W: 1.0),
        (SATURATED, "hidden units that are all 0, or weights behind them that are"),
    ),
    "the slope is 1 - h": (
        partial(backward, slope=lambda h, below, W: 1 - h),
        (SATURATED, "hidden units that are all 0 or 1"),
    ),
    "the slope is squared": (
        partial(backward, slope=lambda h, below, W: (1 - h * h) ** 2),
        (SATURATED, "hidden units that are all 0, 1 or -1"),
    ),
    "dW is 0.1 % too large": (partial(backward, dW=lambda h, da: 1.001 * (h.T @ da)), ("inputs h that are all 0",)),
}
# The same by name, for the notebook
BROKEN_BACKWARD = {name: broken for name, (broken, _) in BROKEN.items()}


@exercise("2.3")
def check_network(forward, backward_):
    """Exercise 2.3: forward (x, layers) -> out, cache and backward (dout, cache) -> dx, dlayers, of any depth."""

    def answer(x, layers, dout):
        result = called("your network", forward, x, layers)
        if not isinstance(result, (tuple, list)) or len(result) != 2:
            raise Wrong("Your network: two things are expected of it, the output and the cache.")
        out, cache = result
        result = called("your network_backward", backward_, dout, cache)
        if not isinstance(result, (tuple, list)) or len(result) != 2:
            raise Wrong("Your network_backward: two things are expected of it, dx and the list dlayers.")
        return out, *flat(*result, x, layers)

    def passes(x, layers, dout, last=lambda a: a, hidden=np.tanh, dout_slope=lambda out: 1, **parts):
        outputs, h = [], x
        for i, (W, b) in enumerate(layers):
            h = (hidden if i < len(layers) - 1 else last)(h @ W + b)
            outputs.append(h)
        dx, dlayers = backward(dout * dout_slope(h), (x, outputs, layers), **parts)
        return outputs[-1], *flat(dx, dlayers, x, layers)

    def but(**parts):
        return lambda *arguments: passes(*arguments, **parts)

    mistakes = [
        (but(last=np.tanh), "tanh is applied to the last layer too. The output layer is affine."),
        (but(hidden=lambda a: a), "the hidden layers have no tanh."),
        (
            but(dout_slope=lambda out: 1 - out * out),
            "the derivative of tanh is applied to the output layer, which has no tanh: da = dout there.",
        ),
        (but(slope=lambda *_: 1.0), "the way through tanh is missing: da = dh (1 - h²) for each hidden layer."),
        (but(slope=lambda h, *_: 1 - h), "the derivative of tanh is 1 - h², not 1 - h."),
        (but(slope=lambda h, *_: 1 - np.tanh(h) ** 2), "tanh is taken twice in its derivative: it is 1 - h²."),
        (but(db=lambda da: da.mean(axis=0)), "db is a mean over the rows n. The chain rule adds them up."),
    ]
    rng = np.random.default_rng(0)
    cases = {}
    for name, sizes in (("one layer", (3, 2)), ("two layers", (3, 4, 2)), ("three layers", (2, 3, 4, 1))):
        x, layers = random_network(rng, 5, sizes)
        cases[name] = x, layers, rng.standard_normal((5, sizes[-1]))
    compare("your network", answer, passes, cases, mistakes, outputs=("the output", "the dW", "the db", "the dx"))


def random_network(rng, N, sizes):
    """Inputs (N, I) and layers [(W, b), ...] of the given sizes, all random."""
    shapes = list(itertools.pairwise(sizes))
    return rng.standard_normal((N, sizes[0])), [(rng.standard_normal(s), rng.standard_normal(s[1])) for s in shapes]


def flat(dx, dlayers, x, layers):
    """All dW in one array, all db in one, and dx; a Wrong where their shapes are not those of the network's."""
    if len(dlayers) != len(layers):
        raise Wrong(f"Your dlayers: {len(layers)} pairs (dW, db) are expected, one for each layer, not {len(dlayers)}.")
    shapes = [[np.shape(part) for part in layer] for layer in dlayers]
    wanted = [[part.shape for part in layer] for layer in layers]
    if shapes != wanted and shapes[::-1] == wanted:
        raise Wrong("Your dlayers: they stand from the last layer to the first. Give them the order of the layers.")
    for i, (layer, right) in enumerate(zip(dlayers, layers)):
        for name, theirs, ours in zip(("dW", "db"), layer, right, strict=True):
            if np.shape(theirs) != ours.shape:
                raise Wrong(f"Your dlayers: of {name} of layer {i}, {shape_slip(np.asarray(theirs), ours)}")
    if np.shape(dx) != x.shape:
        raise Wrong(f"Your dx: {shape_slip(np.asarray(dx), x)} It is the derivative by the network's input.")
    return *(np.concatenate([np.ravel(part) for part in parts]) for parts in zip(*dlayers)), dx


# ---------------------------------------------------------------------------------------------------------------------
# The gradient checker
# ---------------------------------------------------------------------------------------------------------------------


def differences(f, x, h, above=1, below=1, width=2):
    """(f(x_i + above h) - f(x_i - below h)) / (width h) for each entry of x."""
    gradient = np.empty(x.shape)
    for i in np.ndindex(x.shape):
        up, down = x.copy(), x.copy()
        up[i] += above * h
        down[i] -= below * h
        gradient[i] = (f(up) - f(down)) / (width * h)
    return gradient


@exercise("2.4")
def check_numerical_gradient(answer):
    """Exercise 2.4: central differences, (f, x, h) -> an array of the shape of x; x is as before when it returns."""

    def restoring(f, x, h):
        before = x.copy()
        gradient = called("your numerical gradient", answer, f, x, h)
        if not np.array_equal(x, before):
            change = np.max(np.abs(x - before))
            twice = " (x - h + h is not x: it has been rounded twice)" if change < 1e-12 else ""
            raise Wrong(
                f"Your numerical gradient: x is not as it was; an entry has moved by {change:.1e}. Put the number that "
                f"you have kept back into its place{twice}."
            )
        return gradient

    def all_at_once(f, x, h):
        return np.full(x.shape, (f(x + h) - f(x - h)) / (2 * h))

    def accumulating(f, x, h):
        x, gradient = x.copy(), np.empty(x.shape)
        for i in np.ndindex(x.shape):
            x[i] += h
            above = f(x)
            x[i] -= 2 * h
            gradient[i] = (above - f(x)) / (2 * h)
        return gradient

    mistakes = [
        (
            partial(differences, below=0, width=1),
            "this is the forward difference, (f(x + h) - f(x)) / h: its error falls with h, that of the central one"
            " with h².",
        ),
        (partial(differences, above=0, width=1), "this is the backward difference. Take one step to either side."),
        (partial(differences, width=1), "exactly twice ours: from x - h to x + h it is 2h."),
        (partial(differences, above=0.5, below=0.5, width=1), "the steps are h / 2 to either side. Take h."),
        (all_at_once, "all entries are moved at once. Move one, and leave the others where they were."),
        (accumulating, "an entry is not put back before the next one is moved."),
    ]

    def wave(x):
        return np.sum(np.sin(np.arange(1, x.size + 1) * x.ravel())) + np.prod(x)

    rng = np.random.default_rng(0)
    cases = {
        "a vector": (wave, rng.standard_normal(3), 0.1),
        "a matrix": (wave, rng.standard_normal((2, 3)), 0.1),
        "a smaller step": (wave, rng.standard_normal(3), 0.01),
    }
    compare("your numerical gradient", restoring, differences, cases, mistakes)


@exercise("2.5")
def check_best_step(answer):
    """Exercise 2.5: the h that makes M h² / 6 + e F / h smallest, and that sum, (e, F, M) -> h, error."""

    def error(h, e, F, M):
        return M * h**2 / 6 + e * F / h

    def best(e, F, M, h=lambda e, F, M: np.cbrt(3 * e * F / M)):
        return h(e, F, M), error(h(e, F, M), e, F, M)

    def but(h):
        return lambda e, F, M: best(e, F, M, h)

    mistakes = [
        (but(lambda e, F, M: 3 * e * F / M), "this is h³: its cube root is missing."),
        (but(lambda e, F, M: np.sqrt(3 * e * F / M)), "a square root, but h is to the third power: h³ = 3 e F / M."),
        (but(lambda e, F, M: np.cbrt(e * F / M)), "the factor 3: the derivative of M h² / 6 is M h / 3."),
        (but(lambda e, F, M: np.cbrt(6 * e * F / M)), "here both errors are equal. Their sum is smallest where their"
         " derivatives are opposite."),
        (but(lambda e, F, M: np.cbrt(3 * e * M / F)), "F and M have changed places: a function that curves asks for a"
         " smaller step."),
        (but(lambda e, F, M: np.sqrt(2 * e * F / M)), "this is the best step of the one-sided difference."),
        (lambda e, F, M: (best(e, F, M)[0], M * best(e, F, M)[0] ** 2 / 6), "the rounding error is missing."),
        (lambda e, F, M: (best(e, F, M)[0], e * F / best(e, F, M)[0]), "the truncation error is missing."),
    ]  # fmt: skip
    cases = {"float64": (1.1e-16, 1.0, 1.0), "float32": (6e-8, 1.0, 1.0), "F = 2, M = 5": (1e-8, 2.0, 5.0)}
    # for numbers this small an absolute tolerance would be generous
    compare("your best step", answer, best, cases, mistakes, outputs=("the step h", "the error"), atol=0)


@exercise("2.6")
def check_relative_errors(answer):
    """Exercise 2.6: the checker, (forward, backward, inputs, u, h) -> the relative error for each input."""

    def gradients(forward, backward_, inputs, u, h):
        def moved(i):
            return lambda x: np.sum(u * forward(*inputs[:i], x, *inputs[i + 1 :])[0])

        numerical = [differences(moved(i), x, h) for i, x in enumerate(inputs)]
        return backward_(u, forward(*inputs)[1]), numerical

    def judged(judge):
        def errors(*arguments):
            return np.array([judge(mine, numerical) for mine, numerical in zip(*gradients(*arguments))])

        return errors

    def ones(forward, backward_, inputs, u, h):
        return errors(forward, backward_, inputs, np.ones_like(u), h)

    def forward_ones(forward, backward_, inputs, u, h):
        mine, _ = gradients(forward, backward_, inputs, u, h)
        _, numerical = gradients(forward, backward_, inputs, np.ones_like(u), h)
        return np.array([np.max(np.abs(a - b)) / np.max(np.abs(b)) for a, b in zip(mine, numerical)])

    errors = judged(lambda mine, numerical: np.max(np.abs(mine - numerical)) / np.max(np.abs(numerical)))

    def with_step(step):
        return lambda forward, backward_, inputs, u, h: errors(forward, backward_, inputs, u, step)

    mistakes = [
        *((with_step(step), "h plays no part: the step is another one.") for step in (1e-3, 1e-5, 1e-6, 1e-7)),
        (
            forward_ones,
            "the upstream derivative is missing from f: it is the sum of u times the outputs, not of the outputs.",
        ),
        (ones, "the derivatives by the outputs are ones. They are to be u: ones hide what depends on them."),
        (judged(lambda a, b: np.max(np.abs(a - b))), "these are absolute errors. Divide by the largest entry."),
        (judged(lambda a, b: np.max(a - b) / np.max(np.abs(b))), "a difference below zero is an error as well: abs?"),
        (
            judged(lambda a, b: np.max(np.abs(a - b)) / np.max(b)),
            "the scale is the largest entry by its size: abs, before the maximum is taken.",
        ),
        (judged(lambda a, b: np.mean(np.abs(a - b)) / np.max(np.abs(b))), "a mean of the differences: a single wrong"
         " entry among thousands would vanish in it. Take the largest."),
        (judged(lambda a, b: np.max(np.abs(a - b) / np.abs(b))), "each entry is divided by itself. Where one is nearly"
         " zero the error of the differences looks large: divide by the largest."),
        (judged(lambda a, b: np.max(np.abs(a - b)) / np.max(np.abs(a))), "the scale is that of the derivative which is"
         " on trial. Take that of the differences, which do not depend on its mistakes."),
    ]  # fmt: skip
    rng = np.random.default_rng(0)
    A, x, y = rng.standard_normal((3, 2, 3))
    inputs, u = [x, y], rng.standard_normal((2, 3)) - 0.5

    def forward(x, y):
        return A * x**3 * y + y, (x, y)

    def mistaken(factor, extra):
        return lambda u, cache: [
            factor * u * A * 3 * cache[0] ** 2 * cache[1] + extra[0],
            u * (A * cache[0] ** 3 + 1) + extra[1],
        ]

    one_entry = np.zeros((2, 3))
    one_entry[1, 2] = -0.01
    cases = {
        "an error of 0.1 %": (forward, mistaken(1.001, (0, 0.01)), inputs, u, 1e-4),
        "one wrong entry": (forward, mistaken(1.5, (0, one_entry)), inputs, u, 1e-4),
        "twice the gradient": (forward, mistaken(2.0, (0, 1)), inputs, u, 1e-4),
        "a large step h": (forward, mistaken(1.001, (0, 0.01)), inputs, u, 0.1),
    }
    compare("your relative errors", answer, errors, cases, mistakes, rtol=1e-5)


@exercise("2.7")
def check_hard_inputs(answer):
    """Exercise 2.7: (rng) -> x, layers, u, on which no backward pass of ``BROKEN`` agrees with finite differences."""
    value = called("your inputs", answer, np.random.default_rng(0))
    if not isinstance(value, (tuple, list)) or len(value) != 3:
        raise Wrong("Your inputs: three things are expected: x, the list of layers (W, b), and u.")
    x, u = np.asarray(value[0]), np.asarray(value[2])
    layers = [(np.asarray(W), np.asarray(b)) for W, b in value[1]]
    arrays = [x, *(array for layer in layers for array in layer)]
    if any(array.dtype != np.float64 for array in (*arrays, u)):
        found = next(array.dtype for array in (*arrays, u) if array.dtype != np.float64)
        raise Wrong(
            f"Your inputs: arrays of float64 are expected, not {found}. Whole numbers cannot take a small step, and in"
            " float32 rounding hides errors of a thousandth."
        )
    if len(layers) < 2:
        raise Wrong("Your inputs: without a hidden layer there is no tanh to be checked. Give two layers.")
    shape = mlp.mlp(x, layers)[0].shape
    if u.shape != shape:
        raise Wrong(f"Your u: {shape_slip(u, np.empty(shape))} It is the derivative by the network's output.")
    numerical = [
        finite_differences.numerical_gradient(lambda: np.sum(u * mlp.mlp(x, layers)[0]), array) for array in arrays
    ]
    if not passes_check(mlp.mlp_backward, x, layers, u, numerical):
        raise Wrong(
            "Your inputs: on these even the right backward pass disagrees with the differences. Smaller values?"
        )
    passing = [name for name, (broken, _) in BROKEN.items() if passes_check(broken, x, layers, u, numerical)]
    if passing:
        others = f" (and {len(passing) - 1} more)" if passing[1:] else ""
        text = f"on these a wrong backward pass is accepted, “{passing[0]}”{others}. What lets it pass: "
        text += f"{reason(BROKEN[passing[0]][1], x, layers)}."
        raise Wrong("Your inputs", text, kind="on these a wrong backward pass is accepted.")
    print(f"Right: your inputs convict all {len(BROKEN)} wrong backward passes, and acquit the right one.")


def reason(reasons, x, layers):
    """The first of the reasons that holds for these inputs; the last one where none does entirely."""
    h = np.concatenate([np.ravel(output) for output in mlp.mlp(x, layers)[1][1][:-1]])
    holds = {
        ONE_ROW: len(x) == 1,
        SATURATED: np.all(np.abs(h) > 0.99),
        NO_BIAS: all(not np.any(b) for _, b in layers),
    }
    return next((each for each in reasons if holds.get(each)), reasons[-1])


def passes_check(backward_, x, layers, u, numerical):
    """Whether a backward pass agrees with the numerical gradients [by x, by W_0, by b_0, ...]."""
    try:
        dx, dlayers = backward_(u, mlp.mlp(x, layers)[1])
    except ValueError:  # shapes that do not fit
        return False
    gradients = [dx, *(array for layer in dlayers for array in layer)]
    errors = [finite_differences.relative_error(mine, theirs) for mine, theirs in zip(gradients, numerical)]
    return max(errors) < finite_differences.TOLERANCE


# Functions that claim to draw from N(mu, exp(logvar)); whether they do; what an oracle overlooks that disagrees; and
# which aspect of the samples is wrong.
MEAN, SPREAD = "the mean of the samples", "the spread of the samples"
SAMPLERS = (
    (
        lambda mu, logvar, eps: mu + np.exp(logvar / 2) * eps,
        True,
        "it rejects mu + exp(logvar / 2) eps, which is right. Allow for the chance in the samples: five standard"
        " errors. That of a mean is sigma / sqrt(S), and sigma is exp(logvar / 2).",
        "",
    ),
    (
        lambda mu, logvar, eps: mu - np.exp(logvar / 2) * eps,
        True,
        "it rejects mu - sigma eps. eps and -eps are equally likely, so this is a sample of the same Gaussian: ask for"
        " the mean and the spread of many samples, not for a formula.",
        "",
    ),
    (
        lambda mu, logvar, eps: mu + np.exp(logvar) * eps,
        False,
        "it accepts mu + exp(logvar) eps. Is your logvar 0? There the standard deviation and the variance are both 1.",
        SPREAD,
    ),
    (
        lambda mu, logvar, eps: mu - 10 * np.exp(logvar / 2) + np.exp(logvar / 2) * eps,
        False,
        "it accepts a mean that is far too small: take the absolute value of the difference.",
        MEAN,
    ),
    (
        lambda mu, logvar, eps: mu + 0.5 * np.exp(logvar / 2) * eps,
        False,
        "it accepts a spread that is half as large: take the absolute value of the difference.",
        SPREAD,
    ),
    (
        lambda mu, logvar, eps: np.exp(logvar / 2) * eps,
        False,
        "it accepts sigma eps, without mu. Is your mu 0?",
        MEAN,
    ),
    (
        lambda mu, logvar, eps: -mu + np.exp(logvar / 2) * eps,
        False,
        "it accepts -mu + sigma eps: compare the mean with its sign.",
        MEAN,
    ),
    (
        lambda mu, logvar, eps: mu + np.exp(logvar / 2) * (eps + 0.2),
        False,
        "it accepts a mean that is a fifth of sigma too large. Allow five standard errors and no more: sigma / sqrt(S)"
        " each.",
        MEAN,
    ),
    (
        lambda mu, logvar, eps: mu + eps,
        False,
        "it accepts mu + eps, whose spread does not depend on logvar: is yours 0?",
        SPREAD,
    ),
    (
        lambda mu, logvar, eps: mu + 0 * eps,
        False,
        "it accepts mu without any noise: compare the spread of the samples too.",
        SPREAD,
    ),
    (
        lambda mu, logvar, eps: mu + np.exp(logvar / 2) * np.abs(eps),
        False,
        "it accepts mu + sigma |eps|, which is never below mu. Compare the mean of many samples, of both signs of eps.",
        "",
    ),
    (
        lambda mu, logvar, eps: mu + 1.1 * np.exp(logvar / 2) * eps,
        False,
        "it accepts a spread that is 10 % too large. Allow five standard errors and no more: that of a mean is"
        " sigma / sqrt(S), that of a standard deviation about sigma / sqrt(2 S).",
        SPREAD,
    ),
)


@exercise("2.8")
def check_oracle(answer):
    """Exercise 2.8: (sample, eps (S,)) -> whether sample(mu, logvar, eps) draws from N(mu, exp(logvar))."""
    draws = [(np.random.default_rng(seed).standard_normal(10_000),) for seed in range(3)]
    judge("your oracle", answer, SAMPLERS, draws, "Does it compare the mean and the spread of what sample returns?")
    print("Right: your oracle.")
