"""Every kernel against its twin in oracles.py: both dtypes, odd lengths, no rows at all."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests import oracles
from tinyvae.machine import kernels, matrix_products

DTYPES = (np.float32, np.float64)
TOLERANCE = {np.float32: 3e-5, np.float64: 1e-11}  # sums of some tens of rounded terms of order one

rows = st.integers(0, 5)
sizes = st.integers(1, 37)
samples = st.integers(1, 7)
dtypes = st.sampled_from(DTYPES)
seeds = st.integers(0, 2**32 - 1)


def close(dtype, results, references):
    for result, reference in zip(results, references, strict=True):
        assert result.dtype == dtype
        np.testing.assert_allclose(result, reference, rtol=TOLERANCE[dtype], atol=TOLERANCE[dtype])


def random_arrays(seed, dtype, *shapes):
    rng = np.random.default_rng(seed)
    return [rng.standard_normal(shape).astype(dtype) for shape in shapes]


def wide(arrays):
    return [a.astype(np.float64) for a in arrays]


@given(rows, sizes, sizes, st.booleans(), dtypes, seeds, st.data())
def test_affine_layers(N, I, J, squash, dtype, seed, data):
    x, W, b, da = random_arrays(seed, dtype, (N, I), (I, J), J, (N, J))
    out, dW, db, dx, rest = (np.empty_like(array) for array in (da, W, b, x, da))
    expected = oracles.affine(*wide([x, W, b]), squash)
    for where in four_tiles(data, N, J):
        kernels.affine(x, W, b, out, squash, False, *where)
    close(dtype, [out], [expected])
    for where in four_tiles(data, N, J):
        matrix_products.product(x, W, out, False, 0, I // 2, *where)
        matrix_products.product(x, W, rest, False, I // 2, I, *where)
    completed = oracles.complete_affine(*wide([rest, b, out]), squash)
    for left, right in ((0, J // 2), (J // 2, J)):
        kernels.complete_affine(rest, b, out, squash, left, right)
    close(dtype, [out, out], [expected, completed])
    for where in four_tiles(data, I, J):
        kernels.affine_gradient(da, x, dW, db, False, *where)
    close(dtype, [dW, db], oracles.affine_gradient(*wide([da, x])))
    for where in four_tiles(data, N, I):
        kernels.affine_input_gradient(da, W, x, dx, squash, *where)
    close(dtype, [dx], [oracles.affine_input_gradient(*wide([da, W, x]), squash)])


def four_tiles(data, rows, columns):
    """(top, bottom, left, right) of four tiles that meet at any one place."""
    i, j = data.draw(st.integers(0, rows)), data.draw(st.integers(0, columns))
    return [(*down, *across) for down in ((0, i), (i, rows)) for across in ((0, j), (j, columns))]


@given(rows, samples, sizes, dtypes, seeds)
def test_gaussian_kernels(R, S, D, dtype, seed):
    mu, logvar, eps, z, dlogp = random_arrays(seed, dtype, (R, D), (R, D), (R, S, D), (R, S, D), (R, S))
    a, b, c, d = (np.empty((R, D), dtype) for _ in range(4))
    made, dz, logp = np.empty_like(z), np.empty_like(z), np.empty((R, S), dtype)
    kernels.gaussian_sample(mu, logvar, eps, a, made)
    close(dtype, [a, made], oracles.gaussian_sample(*wide([mu, logvar, eps])))
    kernels.gaussian_sample_gradient(z, eps, mu, c, d)
    close(dtype, [c, d], oracles.gaussian_sample_gradient(*wide([z, eps, mu])))
    kernels.gaussian_log_density(z, mu, logvar, logp)
    expected = oracles.gaussian_log_density(*wide([z, mu, logvar]))
    np.testing.assert_allclose(logp, expected, rtol=TOLERANCE[dtype], atol=10 * TOLERANCE[dtype])
    kernels.gaussian_log_density_gradient(dlogp, z, mu, logvar, dz, b, c)
    for result, reference in zip((dz, b, c), oracles.gaussian_log_density_gradient(*wide([dlogp, z, mu, logvar]))):
        np.testing.assert_allclose(result, reference, rtol=TOLERANCE[dtype], atol=100 * TOLERANCE[dtype])


@given(rows, samples, sizes, dtypes, seeds)
def test_densities_of_the_noise(R, S, D, dtype, seed):
    logvar, eps, dpath, ddirect = random_arrays(seed, dtype, (R, D), (R, S, D), (R, S), (R, S))
    logp, sigma = np.empty((R, S), dtype), np.exp(logvar / 2)
    tolerance = {"rtol": TOLERANCE[dtype], "atol": 10 * TOLERANCE[dtype]}
    kernels.gaussian_log_posterior(logvar, eps, logp)
    np.testing.assert_allclose(logp, oracles.gaussian_log_posterior(*wide([logvar, eps])), **tolerance)
    kernels.standard_normal_log_density(eps, logp)
    np.testing.assert_allclose(logp, oracles.standard_normal_log_density(*wide([eps])), **tolerance)
    start = random_arrays(seed + 1, dtype, (R, D), (R, D))
    added = [array.copy() for array in start]
    kernels.gaussian_log_posterior_gradient(dpath, ddirect, eps, sigma, *added)
    expected = oracles.gaussian_log_posterior_gradient(*wide([dpath, ddirect, eps, sigma]))
    for result, before, addition in zip(added, start, expected, strict=True):
        np.testing.assert_allclose(result, before + addition, rtol=TOLERANCE[dtype], atol=100 * TOLERANCE[dtype])


@given(rows, samples, sizes, dtypes, seeds)
def test_bernoulli(N, K, D, dtype, seed):
    x, logits = random_arrays(seed, dtype, (N, D), (N * K, D))
    x, logits = abs(x) % 1, 8 * logits
    expected_logp, expected_residual = oracles.bernoulli_log_prob(*wide([x, logits]))
    logp = np.empty((N, K), dtype)
    cut = N * K // 2
    kernels.bernoulli_log_prob(x, logits, logp, 0, cut)
    kernels.bernoulli_log_prob(x, logits, logp, cut, N * K)
    close(dtype, [logp.reshape(-1), logits], [expected_logp, expected_residual])


@given(rows, samples, sizes, dtypes, seeds, st.booleans())
def test_gaussian_likelihood(N, K, D, dtype, seed, squash):
    x, outputs = random_arrays(seed, dtype, (N, D), (N * K, 2 * D))
    expected_logp, expected_derivative = oracles.gaussian_log_prob(*wide([x, outputs]), squash, -1.0)
    logp = np.empty((N, K), dtype)
    cut = N * K // 2
    kernels.gaussian_log_prob(x, outputs, squash, -1.0, logp, 0, cut)
    kernels.gaussian_log_prob(x, outputs, squash, -1.0, logp, cut, N * K)
    tolerance = {"rtol": TOLERANCE[dtype], "atol": 10 * TOLERANCE[dtype]}
    np.testing.assert_allclose(logp.reshape(-1), expected_logp, **tolerance)
    np.testing.assert_allclose(outputs, expected_derivative, **tolerance)


@given(rows, sizes, dtypes, seeds)
def test_row_kernels(R, D, dtype, seed):
    weights, array = random_arrays(seed, dtype, R, (R, D))
    expected = oracles.scale_rows(*wide([weights, array]))
    kernels.scale_rows(weights, array, 0, R // 2)
    kernels.scale_rows(weights, array, R // 2, R)
    close(dtype, [array], [expected])
    out = np.empty_like(array)
    kernels.sigmoid(array, out)
    close(dtype, [out], [oracles.sigmoid(*wide([array]))])


@pytest.mark.parametrize(
    ("name", "n_states", "options"),
    [("sgd_update", 1, (0.9, 0.1)), ("adagrad_update", 1, (0.02, 1e-8)), ("adam_update", 2, (0.1, 0.001, 0.01, 1e-8))],
)
@given(st.one_of(st.integers(0, 70), st.just(4129)), dtypes, seeds)
def test_updates(name, n_states, options, size, dtype, seed):
    theta, g, *state = random_arrays(seed, dtype, *[size] * (2 + n_states))
    if name != "sgd_update":
        state = [abs(array) for array in state]
    options = np.array(options, dtype)
    expected = getattr(oracles, name)(*wide([theta, g, *state, options]))
    total = getattr(kernels, name)(theta, g, *state, options)
    close(dtype, [theta, *state], expected)
    scale = 100 * TOLERANCE[dtype] * (1 + size / 100)
    np.testing.assert_allclose(total, theta.sum(dtype=np.float64), atol=scale)


def test_an_update_reports_parameters_that_are_not_finite():
    for bad in (np.nan, np.inf, -np.inf):
        theta, g = np.zeros(33, np.float32), np.zeros(33, np.float32)
        g[17] = bad
        assert not np.isfinite(kernels.sgd_update(theta, g, np.zeros_like(g), np.float32([0.9, 0.1])))


def test_every_kernel_has_a_twin():
    compiled = {name for name, value in vars(kernels).items() if hasattr(value, "py_func")}
    assert compiled <= {name for name in vars(oracles)}
