"""The plain twins, which define what the kernels compute, against SciPy, loops and finite differences."""

import itertools
import math
import sys
import types

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import special

from tests import oracles
from tests.machine.arrays import close, dtypes, random_arrays, rows, samples, seeds, sizes, unwritten
from tinyvae import machine
from tinyvae.checks.finite_differences import TOLERANCE, numerical_gradient, relative_error
from tinyvae.machine import LINEAR, NAMES, RELU, TANH, plain

some_rows = st.integers(1, 4)
few = st.integers(1, 5)


def is_gradient(result, f, x, has_kinks=False):
    """The result is the gradient of f() by the entries of x, which it reads."""
    assert relative_error(result, numerical_gradient(f, x, has_kinks=has_kinks)) < TOLERANCE


# h = f(a), and f'(a) from h, written in another way than there.
SLOPES = {
    LINEAR: (lambda a: a, np.ones_like),
    TANH: (lambda a: 1 - 2 / (1 + np.exp(2 * a)), lambda h: (1 - h) * (1 + h)),
    RELU: (lambda a: (a + abs(a)) / 2, lambda h: np.sign(h).clip(0)),
}


# -- who is behind the door --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ModuleNotFoundError("No module named 'numba'", name="numba"), "Numba is not installed: all is computed by"),
        (ImportError("Numba needs NumPy 2.3"), "Numba cannot be loaded (Numba needs NumPy 2.3): all is computed by"),
        (
            ModuleNotFoundError("No module named 'llvmlite'", name="llvmlite"),
            "Numba cannot be loaded (No module named 'llvmlite'): all is computed by",
        ),
    ],
    ids=["missing", "refuses", "lacks something"],
)
def test_the_twins_serve_where_numba_does_not_and_its_own_reason_is_told(error, said, monkeypatch, capsys):
    class Numba(types.ModuleType):
        def __getattr__(self, name):
            raise error

    monkeypatch.setitem(sys.modules, "numba", Numba("numba"))
    assert machine._choice() == "plain"
    assert capsys.readouterr().err.startswith(said)


# -- layers ------------------------------------------------------------------------------------------------------------


@given(rows, sizes, sizes, st.sampled_from(list(SLOPES)), dtypes, seeds)
def test_an_affine_layer(N, I, J, activation, dtype, seed):
    x, W, b, da = random_arrays(seed, dtype, (N, I), (I, J), J, (N, J))
    out, dW, db, dx = unwritten(dtype, (N, J), (I, J), J, (N, I))
    plain.affine(x, W, b, out, activation)
    function, slope = SLOPES[activation]
    close([out], [function(oracles.product(x, W) + b)])
    plain.affine_gradient(da, x, dW, db)
    close([dW, db], [oracles.weight_gradient(x, da), [math.fsum(column) for column in da.T]])
    plain.affine_input_gradient(da, W, x, dx, activation)
    close([dx], [oracles.input_gradient(da, W) * slope(x)], atol=10)  # 1 - x² of some x of order three


@given(rows, st.lists(few, min_size=2, max_size=5), st.booleans(), st.sampled_from([TANH, RELU]), seeds)
def test_all_layers_of_a_network(N, widths, need_dx, activation, seed):
    """Forward layer by layer; backward against finite differences of a weighted sum of the outputs."""
    depth = len(widths) - 1
    x, dout, *layers = random_arrays(
        seed, np.float64, (N, widths[0]), (N, widths[-1]), *itertools.pairwise(widths), *[(J,) for J in widths[1:]]
    )
    Ws, bs = layers[:depth], layers[depth:]
    outputs = unwritten(np.float64, *[(N, J) for J in widths[1:]])
    plain.layers(x, Ws, bs, outputs, activation, LINEAR)
    h = x
    for i, (W, b) in enumerate(zip(Ws, bs), start=1):
        h = oracles.product(h, W) + b
        h = h if i == depth else SLOPES[activation][0](h)
        close([outputs[i - 1]], [h])

    dWs, dbs = unwritten(np.float64, *[W.shape for W in Ws]), unwritten(np.float64, *[b.shape for b in bs])
    dinputs = unwritten(np.float64, (N if need_dx else 0, widths[0]), *[(N, J) for J in widths[1:-1]])
    plain.layers_gradient(dout, x, outputs, Ws, dWs, dbs, dinputs, activation, LINEAR)

    def f():
        again = unwritten(np.float64, *[(N, J) for J in widths[1:]])
        plain.layers(x, Ws, bs, again, activation, LINEAR)
        return np.sum(dout * again[-1])

    for result, array in zip((*dWs, *dbs, *dinputs[:1]), (*Ws, *bs, *([x] if need_dx else []))):
        if array.size:
            is_gradient(result, f, array, has_kinks=activation == RELU)


# -- convolutions ------------------------------------------------------------------------------------------------------


@st.composite
def convolutions(draw):
    """(H, W, C, k, stride), and a number of filters."""
    sides = draw(st.integers(1, 9)), draw(st.integers(1, 9))
    return (*sides, draw(st.sampled_from([1, 3, 5])), draw(st.integers(1, 5)), draw(st.integers(1, 3))), draw(few)


@given(rows, convolutions(), st.booleans(), st.sampled_from(list(SLOPES)), seeds)
def test_a_convolution_by_direct_loops(N, convolution, bias_for_each, activation, seed):
    geometry, filters = convolution
    H, W, C, k, stride = geometry
    shape, places = (N, H, W, C), (-(-H // stride), -(-W // stride))
    x, weights, b = random_arrays(seed, np.float64, shape, (k, k, C, filters), (N if bias_for_each else 1, filters))
    (out,) = unwritten(np.float64, (N, places[0] * places[1] * filters))
    plain.convolution(x.reshape(N, H * W * C), weights.reshape(-1, filters), b, out, geometry, activation)
    expected = oracles.convolution(x, weights, stride) + b[:, None, None]
    close([out], [SLOPES[activation][0](expected).reshape(out.shape)], rtol=10, atol=10)


@given(some_rows, convolutions(), st.sampled_from(list(SLOPES)), seeds)
def test_the_gradients_of_a_convolution_are_its_transposes(N, convolution, activation, seed):
    """T is linear in the images and in the filters: its columns, image by image, are what unit images become."""
    geometry, filters = convolution
    H, W, C, k, stride = geometry
    size, places = H * W * C, -(-H // stride) * -(-W // stride)
    x, y, weights = random_arrays(seed, np.float64, (N, size), (N, places * filters), (k * k * C, filters))
    T = oracles.convolution(np.eye(size).reshape(size, H, W, C), weights.reshape(k, k, C, filters), stride)
    T = T.reshape(size, -1)
    slope = SLOPES[activation][1]
    dx, dy, wide, dW = unwritten(np.float64, x.shape, y.shape, x.shape, weights.shape)
    plain.convolution_input_gradient(y, weights, x, dx, geometry, activation)
    close([dx], [y @ T.T * slope(x)], rtol=10, atol=100)
    plain.transposed_convolution_input_gradient(x, weights, y, dy, geometry, activation)
    close([dy], [x @ T * slope(y)], rtol=10, atol=100)
    b = random_arrays(seed, np.float64, (N, C))[0]
    plain.transposed_convolution(y, weights, b, wide, geometry, activation)
    expected = (y @ T.T).reshape(N, H * W, C) + b[:, None]
    close([wide], [SLOPES[activation][0](expected).reshape(N, size)], rtol=10, atol=100)
    plain.convolution_weight_gradient(y, x, dW, geometry)
    shown = oracles.convolution(x.reshape(N, H, W, C), np.eye(len(weights)).reshape(k, k, C, -1), stride)
    close([dW], [np.einsum("npi,npj->ij", shown.reshape(N, places, -1), y.reshape(N, places, -1))], rtol=10, atol=100)


@given(rows, few, few, few, dtypes, seeds)
def test_the_sums_of_channels(N, H, W, C, dtype, seed):
    (a,) = random_arrays(seed, dtype, (N, H * W * C))
    (sums,) = unwritten(dtype, (N, C))
    plain.channel_sums(a, sums, W)
    close([sums], [[[math.fsum(image[c::C]) for c in range(C)] for image in a]] if N else [sums], atol=10)


# -- recurrent networks ------------------------------------------------------------------------------------------------


def sequences(seed, T, N, K, H, is_reversed, has_steps, dtype=np.float64):
    """The arguments of ``recurrence``: R = N K rows, with states that are not zero to begin with."""
    R = N * K
    steps, static, U, c, start = random_arrays(seed, dtype, (T * N, 3 * H), (R, 3 * H), (H, 3 * H), 3 * H, (R, H))
    gates, states = unwritten(dtype, (T * R, 4 * H), ((T + 1) * R, H))
    states[slice(T * R, None) if is_reversed else slice(R)] = start
    return steps if has_steps else steps[:0], static, U / np.sqrt(dtype(H)), c, gates, states, is_reversed


some_sequences = st.integers(1, 4), some_rows, st.integers(1, 3), few, st.booleans(), st.booleans()


@given(seeds, *some_sequences)
def test_a_recurrence_by_loops(seed, T, N, K, H, is_reversed, has_steps):
    steps, static, U, c, gates, states, _ = arguments = sequences(seed, T, N, K, H, is_reversed, has_steps)
    plain.recurrence(*arguments)
    turn, all_states = slice(None, None, -1 if is_reversed else 1), states.reshape(T + 1, N * K, H)
    for r in range(N * K):
        x = np.tile(static[r], (T, 1)) + (steps.reshape(T, N, -1)[:, r // K] if has_steps else 0)
        first, *others = all_states[turn, r]
        close([np.array(others)], [oracles.gru(x[turn], np.eye(3 * H), U, np.zeros(3 * H), c, first)])
    assert np.isfinite(gates).all()


@given(seeds, *some_sequences, st.booleans())
def test_the_gradients_of_a_recurrence(seed, T, N, K, H, is_reversed, has_steps, only_last):
    """By the steps and by what is the same at all of them; those by the products give that by c, their sum."""
    steps, static, U, c, gates, states, _ = arguments = sequences(seed, T, N, K, H, is_reversed, has_steps)
    R = N * K
    (dstates,) = random_arrays(seed + 1, np.float64, (R if only_last else T * R, H))
    dsteps, dstatic, dproducts = unwritten(np.float64, steps.shape, static.shape, (T * R, 3 * H))
    plain.recurrence(*arguments)
    plain.recurrence_gradient(dstates, U, gates, states, dsteps, dstatic, dproducts, is_reversed)

    def f():
        plain.recurrence(*arguments)
        after = states[: T * R] if is_reversed else states[R:]
        last = after[:R] if is_reversed else after[-R:]
        return np.sum(dstates * (last if only_last else after))

    is_gradient(dstatic, f, static)
    is_gradient(dproducts.sum(axis=0), f, c)
    if has_steps:
        is_gradient(dsteps, f, steps)


# -- Gaussians ---------------------------------------------------------------------------------------------------------


@given(rows, samples, sizes, dtypes, seeds)
def test_gaussian_densities(R, S, D, dtype, seed):
    mu, logvar, eps, z = random_arrays(seed, dtype, (R, D), (R, D), (R, S, D), (R, S, D))
    sigma, made, logp = unwritten(dtype, (R, D), (R, S, D), (R, S))
    plain.gaussian_sample(mu, logvar, eps, sigma, made)
    close([sigma, made], [np.sqrt(np.exp(logvar)), mu[:, None] + np.sqrt(np.exp(logvar))[:, None] * eps])
    plain.gaussian_log_posterior(logvar, eps, logp)
    mu, logvar, eps, z, made = (array.astype(float) for array in (mu, logvar, eps, z, made))
    at_mean_zero = np.exp(logvar / 2)[:, None] * eps
    close([logp], [oracles.log_normal(at_mean_zero, np.zeros_like(mu), logvar)], atol=10)
    plain.gaussian_log_density(z.astype(dtype), mu.astype(dtype), logvar.astype(dtype), logp)
    close([logp], [oracles.log_normal(z, mu, logvar)], atol=10)
    (pairs,) = unwritten(dtype, (R * S, R))
    plain.component_log_densities(z.reshape(R * S, D).astype(dtype), mu.astype(dtype), logvar.astype(dtype), pairs)
    close([pairs], [oracles.log_normal(np.tile(z.reshape(R * S, D), (R, 1, 1)), mu, logvar).T], atol=10)
    plain.standard_normal_log_density(z.astype(dtype), logp)
    close([logp], [oracles.log_normal(z, np.zeros_like(mu), np.zeros_like(mu))], atol=10)


@given(some_rows, few, few, seeds)
def test_gaussian_gradients(R, S, D, seed):
    """The derivative of the oracle's densities; that of log q by z and by q's own statistics, each by itself."""
    mu, logvar, eps, z, u, v = random_arrays(seed, np.float64, (R, D), (R, D), (R, S, D), (R, S, D), (R, S), (R, S, D))
    dmu, dlogvar, dz = unwritten(np.float64, (R, D), (R, D), (R, S, D))

    def sample():
        return mu[:, None] + np.exp(logvar / 2)[:, None] * eps

    plain.gaussian_sample_gradient(v, eps, np.exp(logvar / 2), dmu, dlogvar)
    for result, array in ((dmu, mu), (dlogvar, logvar)):
        is_gradient(result, lambda: np.sum(v * sample()), array)
    plain.gaussian_log_density_gradient(u, z, mu, logvar, dz, dmu, dlogvar)
    for result, array in ((dz, z), (dmu, mu), (dlogvar, logvar)):
        is_gradient(result, lambda: np.sum(u * oracles.log_normal(z, mu, logvar)), array)

    each, weights = random_arrays(seed + 2, np.float64, (S, D), (S, R))
    (deach,) = unwritten(np.float64, (S, D))
    plain.component_log_densities_gradient(weights, each, mu, logvar, deach, dmu, dlogvar)
    for result, array in ((deach, each), (dmu, mu), (dlogvar, logvar)):
        is_gradient(result, lambda: np.sum(weights.T * oracles.log_normal(np.tile(each, (R, 1, 1)), mu, logvar)), array)

    held = mu.copy(), logvar.copy()
    before = random_arrays(seed + 1, np.float64, (R, D), (R, D))
    path, direct = ([array.copy() for array in before] for _ in range(2))
    plain.gaussian_log_posterior_gradient(u, np.zeros_like(u), eps, np.exp(logvar / 2), *path)
    plain.gaussian_log_posterior_gradient(np.zeros_like(u), u, eps, np.exp(logvar / 2), *direct)
    for result, start, array in zip(path, before, (mu, logvar)):
        is_gradient(result - start, lambda: np.sum(u * oracles.log_normal(sample(), *held)), array)
    fixed = sample()
    for result, start, array in zip(direct, before, (mu, logvar)):
        is_gradient(result - start, lambda: np.sum(u * oracles.log_normal(fixed, mu, logvar)), array)


# -- likelihoods -------------------------------------------------------------------------------------------------------


@given(rows, samples, sizes, dtypes, seeds)
def test_likelihoods(N, K, D, dtype, seed):
    x, logits, outputs = random_arrays(seed, dtype, (N, D), (N * K, D), (N * K, 2 * D))
    x, logits = abs(x) % 1, 8 * logits
    (logp,) = unwritten(dtype, (N, K))
    expected, p = oracles.log_bernoulli(x.astype(float), logits.astype(float)), special.expit(logits.astype(float))
    plain.bernoulli_log_prob(x, logits, logp)
    close([logp.ravel(), logits], [expected, oracles.for_each_sample(x, logits) - p], atol=10)
    for squash in (False, True):
        expected = oracles.log_normal_pixels(x.astype(float), outputs.astype(float), squash, -1.0)
        plain.gaussian_log_prob(x, outputs.copy(), squash, -1.0, logp)
        close([logp.ravel()], [expected], atol=10)


@given(some_rows, few, few, st.booleans(), seeds)
def test_likelihoods_leave_their_derivatives(N, K, D, squash, seed):
    x, logits, outputs = random_arrays(seed, np.float64, (N, D), (N * K, D), (N * K, 2 * D))
    x = abs(x) % 1
    outputs[:, D:][abs(outputs[:, D:] + 1) < 0.01] = 0  # no difference across the kink
    logp, derivative = np.empty((N, K)), logits.copy()
    plain.bernoulli_log_prob(x, derivative, logp)
    is_gradient(derivative, lambda: oracles.log_bernoulli(x, logits).sum(), logits)
    derivative = outputs.copy()
    plain.gaussian_log_prob(x, derivative, squash, -1.0, logp)
    is_gradient(derivative, lambda: oracles.log_normal_pixels(x, outputs, squash, -1.0).sum(), outputs)


def test_what_no_float_can_hold_is_not_needed():
    logits, logp = np.array([[-1000.0, 1000.0, 1000.0, -1000.0]]), np.empty((1, 1))
    plain.bernoulli_log_prob(np.array([[0.0, 1.0, 0.0, 1.0]]), logits, logp)
    assert logp == -2000 and logits.tolist() == [[0, 0, -1, 1]]


@given(rows, sizes, dtypes, seeds)
def test_rows(R, D, dtype, seed):
    weights, array = random_arrays(seed, dtype, R, (R, D))
    (out,) = unwritten(dtype, (R, D))
    plain.sigmoid(array, out)
    close([out], [[[1 / (1 + math.exp(-l)) for l in row] for row in array.tolist()] if R else out])
    expected = np.einsum("r,rd->rd", weights, array)
    plain.scale_rows(weights, array)
    np.testing.assert_array_equal(array, expected)


@given(some_rows, few, few, few, seeds)
def test_symbols(N, K, T, V, seed):
    """With all allowed, by SciPy; then those alike alone."""
    rng = np.random.default_rng(seed)
    x = np.eye(V)[rng.integers(0, V, (N, T))].reshape(N, -1)
    logits, (logp,) = 5 * rng.standard_normal((N * K, T * V)), unwritten(np.float64, (N, K))
    alike = np.equal.outer(groups := rng.integers(0, 2, V), groups).astype(float)
    for allowed in (np.ones((V, V)), alike):
        row = np.where(x.repeat(K, axis=0).reshape(-1, V) @ allowed > 0, logits.reshape(-1, V), -np.inf)
        log_p = special.log_softmax(row, axis=1).reshape(N * K, -1)
        derivative = logits.copy()
        plain.categorical_log_prob(x, derivative, allowed, logp)
        picked = np.where(x.repeat(K, axis=0) > 0, log_p, 0).sum(axis=1)
        close([logp, derivative], [picked.reshape(N, K), x.repeat(K, axis=0) - np.exp(log_p)])


# -- random numbers ----------------------------------------------------------------------------------------------------

# The known answers that the authors of Philox publish with their library Random123: counter, key, result.
KNOWN = [
    ([0, 0, 0, 0], [0, 0], [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]),
    ([0xFFFFFFFF] * 4, [0xFFFFFFFF] * 2, [0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD]),
    (
        [0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344],
        [0xA4093822, 0x299F31D0],
        [0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1],
    ),
]
words = st.integers(0, 2**32 - 1)
places = st.tuples(words, words, words, words, st.integers(0, 2**32 - 20), st.integers(0, 2**32 - 20))


@pytest.mark.parametrize(("counter", "key", "expected"), KNOWN)
def test_philox_gives_the_published_words(counter, key, expected):
    assert plain.philox(np.array([counter] * 3, np.uint64).T, key).T.tolist() == [expected] * 3
    assert oracles.philox(counter, key) == expected


@given(rows, st.integers(1, 13), places)
def test_random_numbers(N, M, place):
    drawn = np.empty((N, M), np.uint32)
    plain.random_words(drawn, place)
    np.testing.assert_array_equal(drawn, oracles.words(N, M, place))
    numbers, wide_numbers = np.empty((N, M), np.float32), np.empty((N, M))
    fractions = (oracles.words(N, M, place) // 256) / 2**24
    probabilities = np.roll(fractions, 1, axis=1)  # equal to the fractions where M is 1, and that is not below
    plain.binary(probabilities, numbers, place)
    np.testing.assert_array_equal(numbers, fractions < probabilities)
    plain.normal(numbers, place)
    plain.normal(wide_numbers, place)
    np.testing.assert_allclose(wide_numbers, oracles.normal_numbers(N, M, place), rtol=1e-12, atol=1e-12)
    np.testing.assert_array_equal(numbers, wide_numbers.astype(np.float32))


# -- optimisers --------------------------------------------------------------------------------------------------------

UPDATES = [("sgd_update", 1, (0.9, 0.1)), ("adagrad_update", 1, (0.02, 1e-8))]
UPDATES.append(("adam_update", 2, (0.1, 0.001, 0.01, 1e-8)))


def updated(name, options, theta, g, *state):
    """A parameter and its state after the update, one number each."""
    if name == "sgd_update":
        velocity = options[0] * state[0] + g
        return theta + options[1] * velocity, velocity
    if name == "adagrad_update":
        total = state[0] + g * g
        return theta + options[0] * g / (math.sqrt(total) + options[1]), total
    new1, new2, rate, epsilon = options
    m, v = (1 - new1) * state[0] + new1 * g, (1 - new2) * state[1] + new2 * g * g
    return theta + rate * m / (math.sqrt(v) + epsilon), m, v


@pytest.mark.parametrize(("name", "n_states", "options"), UPDATES)
@given(st.integers(0, 70), dtypes, seeds)
def test_updates(name, n_states, options, size, dtype, seed):
    theta, g, *state = random_arrays(seed, dtype, *[size] * (2 + n_states))
    state = [abs(array) for array in state]
    expected = [updated(name, options, *numbers) for numbers in zip(*(a.tolist() for a in (theta, g, *state)))]
    total = getattr(plain, name)(theta, g, *state, options, cuts=plain.cuts_of([(size,)]))
    close([theta, *state], np.reshape(expected, (size, 1 + n_states)).T)
    assert total == pytest.approx(math.fsum(theta), abs=1e-5)


def test_an_update_reports_parameters_that_are_not_finite():
    for bad in (np.nan, np.inf, -np.inf):
        theta, g = np.zeros(33, np.float32), np.zeros(33, np.float32)
        g[17] = bad
        assert not np.isfinite(plain.sgd_update(theta, g, np.zeros_like(g), (0.9, 0.1)))


# -- the rest ----------------------------------------------------------------------------------------------------------


def test_threads_and_the_compiler_are_nothing_to_wait_for():
    with plain.crew(3), plain.crew():
        plain.watch_compilation(None)
        plain.compile_ahead()


def test_every_name_of_the_door_has_a_twin_that_says_what_it_is():
    assert all(callable(getattr(plain, name)) and getattr(plain, name).__doc__ for name in NAMES)
