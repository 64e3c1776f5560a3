"""Bounds on log p(x): gradients, values against SciPy, and what must hold of any bound."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import special

from tinyvae.checks import finite_differences
from tinyvae.checks.random_problems import models
from tinyvae.derivation import bounds
from tinyvae.settings import BOUNDS

counts = st.integers(1, 6)
seeds = st.integers(0, 2**32 - 1)


@pytest.mark.parametrize("name", BOUNDS)
@given(counts, counts, seeds)
def test_gradients(name, N, K, seed):
    errors = finite_differences.check(models.bound(np.random.default_rng(seed), N, K, name))
    assert max(errors.values()) < finite_differences.TOLERANCE, errors


@given(counts, counts, seeds, st.floats(0, 1000))
def test_values(N, K, seed, scale):
    logw = scale * np.random.default_rng(seed).standard_normal((N, K))
    np.testing.assert_allclose(bounds.elbo(logw)[0], logw.mean(axis=1), atol=1e-12)
    expected = special.logsumexp(logw, axis=1) - np.log(K)
    np.testing.assert_allclose(bounds.iwae(logw)[0], expected, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(bounds.iwae(logw)[1], special.softmax(logw, axis=1), rtol=1e-10, atol=1e-300)


@given(counts, counts, seeds)
def test_iwae_lies_between_the_elbo_and_the_largest_weight(N, K, seed):
    logw = np.random.default_rng(seed).standard_normal((N, K))
    elbo, iwae = bounds.elbo(logw)[0], bounds.iwae(logw)[0]
    assert np.all(elbo <= iwae + 1e-12) and np.all(iwae <= logw.max(axis=1) + 1e-12)


@given(counts, seeds)
def test_one_sample_makes_them_equal(N, seed):
    logw = np.random.default_rng(seed).standard_normal((N, 1))
    for one, other in zip(bounds.elbo(logw), bounds.iwae(logw)):
        np.testing.assert_allclose(one, other)


@pytest.mark.parametrize("name", BOUNDS)
@given(counts, counts, seeds)
def test_the_order_of_the_samples_means_nothing(name, N, K, seed):
    rng = np.random.default_rng(seed)
    logw, order = rng.standard_normal((N, K)), rng.permutation(K)
    bound, dlogw = BOUNDS[name](logw)
    permuted, dpermuted = BOUNDS[name](logw[:, order])
    np.testing.assert_allclose(permuted, bound)
    np.testing.assert_allclose(dpermuted, dlogw[:, order])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_weights_of_e_to_a_thousand_stay_finite(dtype):
    logw = np.array([[1000, -1000], [-1000, -1000], [1000, 1000]], dtype)
    bound, dlogw = bounds.iwae(logw)
    np.testing.assert_allclose(bound, [1000 - np.log(2), -1000, 1000], rtol=1e-6)
    np.testing.assert_allclose(dlogw, [[1, 0], [0.5, 0.5], [0.5, 0.5]], atol=1e-30)
    assert bound.dtype == dlogw.dtype == dtype
