"""Every kernel against its twin in oracles.py: both dtypes, odd lengths, no rows at all."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests import oracles
from tinyvae import kernels

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


@pytest.mark.parametrize("name", ["affine", "affine_tanh"])
@given(rows, sizes, sizes, dtypes, seeds)
def test_affine_layers(name, N, I, J, dtype, seed):
    arrays = random_arrays(seed, dtype, (N, I), (I, J), J)
    out = np.empty((N, J), dtype)
    getattr(kernels, name)(*arrays, out)
    close(dtype, [out], [getattr(oracles, name)(*wide(arrays))])


@given(rows, sizes, sizes, dtypes, seeds)
def test_affine_gradients(N, I, J, dtype, seed):
    da, x, W = random_arrays(seed, dtype, (N, J), (N, I), (I, J))
    dW, db, dx = np.empty((I, J), dtype), np.empty(J, dtype), np.empty((N, I), dtype)
    kernels.affine_gradient(da, x, dW, db)
    kernels.affine_input_gradient(da, W, dx)
    close(dtype, [dW, db], oracles.affine_gradient(*wide([da, x])))
    close(dtype, [dx], [oracles.affine_input_gradient(*wide([da, W]))])


@given(rows, sizes, dtypes, seeds)
def test_tanh_gradient(N, J, dtype, seed):
    h, dh = random_arrays(seed, dtype, (N, J), (N, J))
    expected = oracles.tanh_gradient(*wide([h, dh]))
    kernels.tanh_gradient(h, dh)
    close(dtype, [dh], [expected])


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
    kernels.bernoulli_log_prob(x, logits, logp)
    close(dtype, [logp.reshape(-1), logits], [expected_logp, expected_residual])


@given(rows, samples, sizes, dtypes, seeds, st.booleans())
def test_gaussian_likelihood(N, K, D, dtype, seed, squash):
    x, outputs = random_arrays(seed, dtype, (N, D), (N * K, 2 * D))
    expected_logp, expected_derivative = oracles.gaussian_log_prob(*wide([x, outputs]), squash, -1.0)
    logp = np.empty((N, K), dtype)
    kernels.gaussian_log_prob(x, outputs, squash, -1.0, logp)
    tolerance = {"rtol": TOLERANCE[dtype], "atol": 10 * TOLERANCE[dtype]}
    np.testing.assert_allclose(logp.reshape(-1), expected_logp, **tolerance)
    np.testing.assert_allclose(outputs, expected_derivative, **tolerance)


@given(rows, sizes, dtypes, seeds)
def test_row_kernels(R, D, dtype, seed):
    weights, array = random_arrays(seed, dtype, R, (R, D))
    expected = oracles.scale_rows(*wide([weights, array]))
    kernels.scale_rows(weights, array)
    close(dtype, [array], [expected])
    out = np.empty_like(array)
    kernels.sigmoid(array, out)
    close(dtype, [out], [oracles.sigmoid(*wide([array]))])


lengths = st.one_of(st.integers(0, 70), st.sampled_from([kernels.BLOCK, kernels.BLOCK + 1, 2 * kernels.BLOCK + 33]))


@given(lengths, st.integers(1, 3), dtypes, seeds)
def test_sums_of_gradients(size, threads, dtype, seed):
    gradients = tuple(random_arrays(seed, dtype, *[size] * threads))
    for first in range(0, size, kernels.BLOCK):
        expected = oracles.summed(wide(gradients), first)
        close(dtype, [kernels.summed(tuple([g.copy() for g in gradients]), first)], [expected])


@pytest.mark.parametrize(
    ("name", "n_states", "options"),
    [("sgd_update", 1, (0.1, 0.9)), ("adagrad_update", 1, (0.02, 1e-8)), ("adam_update", 2, (0.01, 0.9, 0.999, 1e-8))],
)
@given(lengths, st.integers(1, 3), dtypes, seeds)
def test_updates(name, n_states, options, size, threads, dtype, seed):
    theta, *arrays = random_arrays(seed, dtype, *[size] * (1 + n_states + threads))
    gradients, state = tuple(arrays[n_states:]), arrays[:n_states]
    if name != "sgd_update":
        state = [abs(array) for array in state]
    wide_theta, *wide_state = wide([theta, *state])
    expected = getattr(oracles, name)(wide_theta, wide(gradients), *wide_state, *options)
    total = getattr(kernels, name)(theta, gradients, *state, *options)
    close(dtype, [theta, *state], expected)
    scale = 100 * TOLERANCE[dtype] * (1 + size / 100)
    np.testing.assert_allclose(total, theta.sum(dtype=np.float64), atol=scale)


def test_an_update_reports_parameters_that_are_not_finite():
    for bad in (np.nan, np.inf, -np.inf):
        theta, g = np.zeros(33, np.float32), np.zeros(33, np.float32)
        g[17] = bad
        assert not np.isfinite(kernels.sgd_update(theta, (g,), np.zeros_like(g), 0.1, 0.9))


def test_every_kernel_has_a_twin():
    compiled = {name for name, value in vars(kernels).items() if hasattr(value, "py_func")}
    assert compiled <= {name for name in vars(oracles)}
