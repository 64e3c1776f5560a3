"""Kernels that are shared, against the twins of what they share: whole, in pieces as in training."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests import oracles
from tests.machine.test_kernels import TOLERANCE, close, dtypes, random_arrays, samples, seeds, wide
from tinyvae.machine import compiled, jobs, noise, philox, work_sharing
from tinyvae.machine.threads import Crew

CREWS = [Crew(1), Crew(3)]
crews = st.sampled_from(CREWS)
rows = st.sampled_from([0, 1, 2, 7, 20, 25, 49, 100, 131])
sizes = st.sampled_from([1, 2, 5, 47, 48, 49, 65, 130, 200])
densities = st.sampled_from([0, 0.05, 0.2, 1])


@given(crews, rows, sizes, sizes, densities, st.booleans(), dtypes, seeds)
def test_layers(crew, N, I, J, density, squash, dtype, seed):
    x, W, b, da = random_arrays(seed, dtype, (N, I), (I, J), J, (N, J))
    x *= np.random.default_rng(seed).random(x.shape) < density
    out, dW, db, dx = (np.full_like(array, np.nan) for array in (da, W, b, x))
    with crew:
        compiled.affine(x, W, b, out, squash)
        compiled.affine_gradient(da, x, dW, db)
        compiled.affine_input_gradient(da, W, x, dx, squash)
    expected = [oracles.affine(*wide([x, W, b]), squash), *oracles.affine_gradient(*wide([da, x]))]
    expected.append(oracles.affine_input_gradient(*wide([da, W, x]), squash))
    for result, reference in zip((out, dW, db, dx), expected, strict=True):
        assert result.dtype == dtype
        # sums of up to two hundred rounded terms of order one
        np.testing.assert_allclose(result, reference, rtol=10 * TOLERANCE[dtype], atol=10 * TOLERANCE[dtype])


@given(crews, rows, samples, st.sampled_from([1, 5, 784, 9001]), dtypes, seeds)
def test_rows(crew, N, K, D, dtype, seed):
    N = min(N, 20)
    x, logits, weights = random_arrays(seed, dtype, (N, D), (N * K, D), N * K)
    x = abs(x) % 1
    expected, residual = oracles.bernoulli_log_prob(*wide([x, logits]))
    logp = np.empty((N, K), dtype)
    with crew:
        compiled.bernoulli_log_prob(x, logits, logp)
        close(dtype, [logits], [residual])
        compiled.scale_rows(weights, logits)
    close(dtype, [logits], [oracles.scale_rows(*wide([weights]), residual)])
    np.testing.assert_allclose(logp.ravel(), expected, rtol=10 * TOLERANCE[dtype], atol=10 * TOLERANCE[dtype])


@given(crews, rows, st.integers(1, 40), st.booleans(), dtypes, seeds)
def test_gaussian_rows(crew, N, D, squash, dtype, seed):
    x, outputs = random_arrays(seed, dtype, (N, 8 * D), (N, 16 * D))
    expected, derivative = oracles.gaussian_log_prob(*wide([x, outputs]), squash, -1.0)
    logp = np.empty((N, 1), dtype)
    with crew:
        compiled.gaussian_log_prob(x, outputs, squash, -1.0, logp)
    tolerance = {"rtol": 10 * TOLERANCE[dtype], "atol": 100 * TOLERANCE[dtype]}
    np.testing.assert_allclose(logp.ravel(), expected, **tolerance)
    np.testing.assert_allclose(outputs, derivative, **tolerance)


@pytest.mark.parametrize("name", ["normal", "uniform"])
@given(crews, rows, st.sampled_from([1, 5, 784, 5000]), dtypes)
def test_noise(name, crew, N, M, dtype):
    place = (7, 1, 300, 5, 2, 3)
    whole, cut = np.empty((2, N, M), dtype)
    getattr(philox, name)(whole, place)
    with crew:
        getattr(compiled, name)(cut, place)
    np.testing.assert_array_equal(cut, whole)


def test_arrays_that_a_job_would_take_for_others_are_refused():
    x, W, b, out = np.ones((4, 6), "f4"), np.ones((6, 4), "f4"), np.ones(4, "f4"), np.ones((4, 4), "f4")
    for wrong in (
        (x, W.astype(float), b, out),
        (x, W.astype("i4"), b, out),
        (x[:, ::-1], W, b, out),
        (x, np.asfortranarray(W), b, out),
    ):
        with pytest.raises(TypeError, match="C-ordered and of one type"):
            compiled.affine(*wrong, True)


def test_shapes_that_do_not_fit_are_refused():
    x, W, b, out = np.ones((4, 6), "f4"), np.ones((6, 3), "f4"), np.ones(3, "f4"), np.ones((4, 3), "f4")
    parts = np.zeros((1, 2), np.int64)
    calls = [
        lambda: compiled.affine(x[:, :5].copy(), W, b, out, True),
        lambda: compiled.affine(x, W, b, out[:2], True),
        lambda: compiled.affine_gradient(out[:2], x, W, b),
        lambda: compiled.affine_input_gradient(x, W, x, x, True),
        lambda: compiled.bernoulli_log_prob(x, out, np.ones((4, 1), "f4")),
        lambda: compiled.gaussian_log_prob(x, x, True, 0.0, np.ones((4, 1), "f4")),
        lambda: compiled.scale_rows(b, out),
        lambda: compiled.adam_update(b, b, b, b[:2], (0.1, 0.1, 0.1, 0.1), parts=parts),
    ]
    for call in calls:
        with pytest.raises(ValueError, match="do not fit"):
            call()


@pytest.mark.parametrize("dtype", ["f2", "i8", "u1", "?"])
def test_numbers_of_other_types_are_refused(dtype):
    with pytest.raises(TypeError, match="float32 or float64 are wanted, not"):
        noise.bernoulli(np.ones((2, 3), dtype), 0, noise.Stream.BINARISATION)


def test_every_job_says_what_it_does():
    found = {name: value for name, value in vars(jobs).items() if isinstance(value, work_sharing.Job)}
    assert len(found) == 13 and all(job.__doc__ != work_sharing.Job.__doc__ and job.__doc__ for job in found.values())
