"""Every kernel against its twin in plain.py: both dtypes, odd lengths, no rows at all; in tiles or some rows at a time.

What is not shared among threads is the same function behind the door; what is shared is tested there as a whole too
(test_compiled.py).
"""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.machine.arrays import (
    TOLERANCE,
    beside_twin,
    close,
    dtypes,
    random_arrays,
    rows,
    samples,
    seeds,
    sizes,
    unwritten,
)
from tests.machine.test_plain import UPDATES
from tinyvae.machine import LINEAR, RELU, TANH, kernels, matrix_products, plain

activations = st.sampled_from([LINEAR, TANH, RELU])


def four_tiles(data, rows, columns):
    """(top, bottom, left, right) of four tiles that meet at any one place."""
    i, j = data.draw(st.integers(0, rows)), data.draw(st.integers(0, columns))
    return [(*down, *across) for down in ((0, i), (i, rows)) for across in ((0, j), (j, columns))]


def in_tiles(kernel, tiles):
    """The kernel called for each tile."""

    def whole(*arguments):
        for tile in tiles:
            kernel(*arguments, *tile)

    return whole


@given(rows, sizes, sizes, activations, dtypes, seeds, st.data())
def test_affine_layers(N, I, J, activation, dtype, seed, data):
    x, W, b, da = random_arrays(seed, dtype, (N, I), (I, J), J, (N, J))
    out, dW, db, dx = unwritten(dtype, (N, J), (I, J), J, (N, I))

    def affine(x, W, b, out, activation):
        for tile in four_tiles(data, N, J):
            matrix_products.product(x, W, out, 0, I, *tile)
            kernels.add_bias(b, out, activation, *tile)

    def affine_gradient(da, x, dW, db):
        for tile in four_tiles(data, I, J):
            matrix_products.weight_gradient(x, da, dW, *tile)
            kernels.bias_gradient(da, db, *tile[2:])

    def affine_input_gradient(da, W, h, dx, activation):
        for tile in four_tiles(data, N, I):
            matrix_products.input_gradient(da, W, dx, *tile)
            kernels.activation_gradient(h, dx, activation, *tile)

    close(*beside_twin("affine", affine, x, W, b, out, activation))
    close(*beside_twin("affine_gradient", affine_gradient, da, x, dW, db))
    close(*beside_twin("affine_input_gradient", affine_input_gradient, da, W, x, dx, activation))


@given(rows, sizes, sizes, activations, dtypes, seeds, st.data())
def test_an_affine_layer_in_two_halves(N, I, J, activation, dtype, seed, data):
    """The sums over the upper and the lower half of W's rows, and what completes them."""
    x, W, b = random_arrays(seed, dtype, (N, I), (I, J), J)
    out, rest = unwritten(dtype, (N, J), (N, J))

    def in_halves(x, W, b, out, activation):
        for tile in four_tiles(data, N, J):
            matrix_products.product(x, W, out, 0, I // 2, *tile)
            matrix_products.product(x, W, rest, I // 2, I, *tile)
        for left, right in ((0, J // 2), (J // 2, J)):
            kernels.add_rest(rest, out, left, right)
            kernels.add_bias(b, out, activation, 0, N, left, right)

    close(*beside_twin("affine", in_halves, x, W, b, out, activation))


@given(sizes, sizes, dtypes, seeds, st.data())
def test_a_gradient_over_blocks_of_rows(I, J, dtype, seed, data):
    blocks = matrix_products.BLOCKS
    da, x, sums = random_arrays(seed, dtype, (3 * blocks, J), (3 * blocks, I), (blocks, I + 1, J))

    def over_blocks(da, x, dW, db):
        for a, h, block in zip(np.split(da, blocks), np.split(x, blocks), sums):
            plain.affine_gradient(a, h, block[:-1], block[-1])
        cut = data.draw(st.integers(0, I + 1))
        for first, last in ((0, cut), (cut, I + 5)):  # the last piece may be cut short
            kernels.add_blocks(sums.reshape(-1, J), dW, db, first, last)

    close(*beside_twin("affine_gradient", over_blocks, da, x, *unwritten(dtype, (I, J), J)))


@given(rows, samples, sizes, dtypes, seeds)
def test_gaussian_kernels(R, S, D, dtype, seed):
    mu, logvar, eps, z, dlogp = random_arrays(seed, dtype, (R, D), (R, D), (R, S, D), (R, S, D), (R, S))
    sigma, made, dz, dmu, dlogvar, logp = unwritten(dtype, (R, D), (R, S, D), (R, S, D), (R, D), (R, D), (R, S))
    close(*beside_twin("gaussian_sample", kernels.gaussian_sample, mu, logvar, eps, sigma, made))
    close(*beside_twin("gaussian_sample_gradient", kernels.gaussian_sample_gradient, z, eps, mu, dmu, dlogvar))
    close(*beside_twin("gaussian_log_density", kernels.gaussian_log_density, z, mu, logvar, logp), atol=10)
    dmu[:], dlogvar[:] = np.nan, np.nan
    gradient = kernels.gaussian_log_density_gradient
    arguments = dlogp, z, mu, logvar, dz, dmu, dlogvar
    close(*beside_twin("gaussian_log_density_gradient", gradient, *arguments), atol=100)


@given(rows, samples, sizes, dtypes, seeds)
def test_densities_under_components(R, M, D, dtype, seed):
    z, mu, logvar, dlogp = random_arrays(seed, dtype, (R, D), (M, D), (M, D), (R, M))
    logp, dz, dmu, dlogvar = unwritten(dtype, (R, M), (R, D), (M, D), (M, D))
    close(*beside_twin("component_log_densities", kernels.component_log_densities, z, mu, logvar, logp), atol=10)
    gradient = kernels.component_log_densities_gradient
    arguments = dlogp, z, mu, logvar, dz, dmu, dlogvar
    close(*beside_twin("component_log_densities_gradient", gradient, *arguments), atol=100)


@given(rows, samples, sizes, dtypes, seeds)
def test_densities_of_the_noise(R, S, D, dtype, seed):
    logvar, eps, dpath, ddirect = random_arrays(seed, dtype, (R, D), (R, S, D), (R, S), (R, S))
    (logp,), sigma = unwritten(dtype, (R, S)), np.exp(logvar / 2)
    close(*beside_twin("gaussian_log_posterior", kernels.gaussian_log_posterior, logvar, eps, logp), atol=10)
    close(*beside_twin("standard_normal_log_density", kernels.standard_normal_log_density, eps, logp), atol=10)
    added = random_arrays(seed + 1, dtype, (R, D), (R, D))
    gradient = kernels.gaussian_log_posterior_gradient
    arguments = dpath, ddirect, eps, sigma, *added
    close(*beside_twin("gaussian_log_posterior_gradient", gradient, *arguments), atol=100)


@given(rows, samples, sizes, dtypes, seeds, st.data())
def test_bernoulli(N, K, D, dtype, seed, data):
    x, logits = random_arrays(seed, dtype, (N, D), (N * K, D))
    (logp,) = unwritten(dtype, (N, K))
    whole = in_tiles(kernels.bernoulli_log_prob, two_parts(data, N * K))
    close(*beside_twin("bernoulli_log_prob", whole, abs(x) % 1, 8 * logits, logp))


@given(rows, samples, sizes, dtypes, seeds, st.booleans(), st.data())
def test_gaussian_likelihood(N, K, D, dtype, seed, squash, data):
    x, outputs = random_arrays(seed, dtype, (N, D), (N * K, 2 * D))
    (logp,) = unwritten(dtype, (N, K))
    whole = in_tiles(kernels.gaussian_log_prob, two_parts(data, N * K))
    close(*beside_twin("gaussian_log_prob", whole, x, outputs, squash, -1.0, logp), atol=10)


def two_parts(data, rows):
    """(first, last) of the rows below any one and of the others."""
    cut = data.draw(st.integers(0, rows))
    return [(0, cut), (cut, rows)]


@given(rows, sizes, dtypes, seeds, st.data())
def test_row_kernels(R, D, dtype, seed, data):
    weights, array = random_arrays(seed, dtype, R, (R, D))
    close(*beside_twin("scale_rows", in_tiles(kernels.scale_rows, two_parts(data, R)), weights, array))
    (out,) = unwritten(dtype, (R, D))
    close(*beside_twin("sigmoid", kernels.sigmoid, array, out))


@pytest.mark.parametrize(("name", "n_states", "options"), UPDATES)
@given(st.one_of(st.integers(0, 70), st.just(4129)), dtypes, seeds)
def test_updates(name, n_states, options, size, dtype, seed):
    theta, g, *state = random_arrays(seed, dtype, *[size] * (2 + n_states))
    if name != "sgd_update":
        state = [abs(array) for array in state]
    totals = []

    def update(*arguments):
        totals.append(getattr(kernels, name)(*arguments))

    results, references = beside_twin(name, update, theta, g, *state, np.array(options, dtype))
    close(results, references)
    scale = 100 * TOLERANCE[dtype] * (1 + size / 100)
    np.testing.assert_allclose(totals, theta.sum(dtype=np.float64), atol=scale)


def test_an_update_reports_parameters_that_are_not_finite():
    for bad in (np.nan, np.inf, -np.inf):
        theta, g = np.zeros(33, np.float32), np.zeros(33, np.float32)
        g[17] = bad
        assert not np.isfinite(kernels.sgd_update(theta, g, np.zeros_like(g), np.float32([0.9, 0.1])))


def test_every_kernel_has_a_twin():
    """All but what is a part of others, which is tested with them."""
    of_this_file = {
        name
        for name, value in vars(kernels).items()
        if hasattr(value, "py_func") and value.__module__ == kernels.__name__
    }
    assert len(of_this_file) >= 18
    parts = {"add_bias", "add_rest", "bias_gradient", "activation_gradient", "mix", "by_components"}
    parts |= {"add_blocks", "bernoulli_density"}
    assert of_this_file - parts <= set(vars(plain))
