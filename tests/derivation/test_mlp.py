"""The network: its gradients at any shape, its values by another way."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinyvae.checks import finite_differences
from tinyvae.checks.random_problems import networks
from tinyvae.derivation.mlp import mlp, mlp_backward, mlp_shapes

sizes = st.lists(st.integers(1, 5), min_size=2, max_size=5).map(tuple)
seeds = st.integers(0, 2**32 - 1)


@given(st.integers(1, 4), sizes, seeds)
def test_gradients(N, sizes, seed):
    errors = finite_differences.check(networks.mlp(np.random.default_rng(seed), N, sizes))
    assert max(errors.values()) < finite_differences.TOLERANCE, errors


@given(st.integers(1, 4), sizes, seeds)
def test_values_unit_by_unit(N, sizes, seed):
    rng = np.random.default_rng(seed)
    layers = [(rng.standard_normal((i, j)), rng.standard_normal(j)) for i, j in itertools.pairwise(sizes)]
    x = rng.standard_normal((N, sizes[0]))
    out, _ = mlp(x, layers)
    for n in range(N):
        h = list(x[n])
        for depth, (W, b) in enumerate(layers, start=1):
            a = [sum(h[i] * W[i, j] for i in range(len(h))) + b[j] for j in range(len(b))]
            h = a if depth == len(layers) else list(np.tanh(a))
        np.testing.assert_allclose(out[n], h, rtol=1e-10)


def test_a_worked_example():
    """One input, one tanh unit, one output: out = 2 tanh(3 x + 1) - 1 at x = 0."""
    layers = [(np.array([[3.0]]), np.array([1.0])), (np.array([[2.0]]), np.array([-1.0]))]
    out, cache = mlp(np.array([[0.0]]), layers)
    assert out.item() == pytest.approx(2 * np.tanh(1) - 1)
    dx, [(dW0, db0), (dW1, db1)] = mlp_backward(np.array([[1.0]]), cache)
    slope = 1 - np.tanh(1) ** 2
    assert dx.item() == pytest.approx(6 * slope)
    assert (dW0.item(), db0.item()) == pytest.approx((0, 2 * slope))
    assert (dW1.item(), db1.item()) == pytest.approx((np.tanh(1), 1))


def test_the_gradient_of_data_is_not_computed_when_not_needed_and_arrays_are_reused():
    rng = np.random.default_rng(0)
    layers = [(rng.standard_normal((i, j)), rng.standard_normal(j)) for i, j in ((3, 4), (4, 2))]
    out, cache = mlp(rng.standard_normal((5, 3)), layers)
    given_arrays = [(np.empty_like(W), np.empty_like(b)) for W, b in layers]
    dx, dlayers = mlp_backward(np.ones_like(out), cache, given_arrays, need_dx=False)
    assert dx is None and dlayers is given_arrays
    for (dW, db), (dW_new, db_new) in zip(given_arrays, mlp_backward(np.ones_like(out), cache)[1]):
        np.testing.assert_array_equal(dW, dW_new)
        np.testing.assert_array_equal(db, db_new)


def test_shapes():
    assert mlp_shapes((784, 500, 40)) == {"0.W": (784, 500), "0.b": (500,), "1.W": (500, 40), "1.b": (40,)}
