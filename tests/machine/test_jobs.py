"""Kernels that are shared, against the twins of what they share: whole, in pieces as in training."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests import oracles
from tests.machine.test_kernels import TOLERANCE, close, dtypes, random_arrays, samples, seeds, wide
from tinyvae.machine import jobs, noise, philox, work_sharing
from tinyvae.machine.threads import Crew, at_hand

CREWS = [Crew(1, work_sharing.serve), Crew(3, work_sharing.serve)]
crews = st.sampled_from(CREWS)
rows = st.sampled_from([0, 1, 2, 7, 20, 25, 49, 100, 131])
sizes = st.sampled_from([1, 2, 5, 47, 48, 49, 65, 130, 200])
densities = st.sampled_from([0, 0.05, 0.2, 1])


@given(crews, rows, sizes, sizes, densities, st.booleans(), dtypes, seeds)
def test_layers(crew, N, I, J, density, squash, dtype, seed):
    x, W, b, da = random_arrays(seed, dtype, (N, I), (I, J), J, (N, J))
    x *= np.random.default_rng(seed).random(x.shape) < density
    out, dW, db, dx = (np.full_like(array, np.nan) for array in (da, W, b, x))
    forward = tuple(job.at(x.dtype) for job in (jobs.AFFINE, jobs.HALF_PRODUCT, jobs.COMPLETE_AFFINE))
    with crew:
        jobs.affine(at_hand(), forward, x, W, b, out, squash)
        jobs.affine_gradient(at_hand(), jobs.AFFINE_GRADIENT.at(x.dtype), da, x, dW, db)
        job = jobs.AFFINE_INPUT_GRADIENT.at(x.dtype)
        jobs.affine_input_gradient(at_hand(), job, da, W, x, dx, squash)
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
        jobs.bernoulli_log_prob(at_hand(), jobs.BERNOULLI.at(x.dtype), x, logits, logp)
        close(dtype, [logits], [residual])
        jobs.scale_rows(at_hand(), jobs.SCALE_ROWS.at(x.dtype), weights, logits)
    close(dtype, [logits], [oracles.scale_rows(*wide([weights]), residual)])
    np.testing.assert_allclose(logp.ravel(), expected, rtol=10 * TOLERANCE[dtype], atol=10 * TOLERANCE[dtype])


@given(crews, rows, st.integers(1, 40), st.booleans(), dtypes, seeds)
def test_gaussian_rows(crew, N, D, squash, dtype, seed):
    x, outputs = random_arrays(seed, dtype, (N, 8 * D), (N, 16 * D))
    expected, derivative = oracles.gaussian_log_prob(*wide([x, outputs]), squash, -1.0)
    logp = np.empty((N, 1), dtype)
    with crew:
        job, floor = jobs.GAUSSIAN.at(x.dtype), np.full(1, -1, dtype)
        jobs.gaussian_log_prob(at_hand(), job, x, outputs, squash, floor, logp)
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
        jobs.draw(at_hand(), getattr(jobs, name.upper()).at(cut.dtype), cut, place)
    np.testing.assert_array_equal(cut, whole)


def test_arrays_that_a_job_would_take_for_others_are_refused():
    x, W, b, out = np.ones((4, 6), "f4"), np.ones((6, 4), "f4"), np.ones(4, "f4"), np.ones((4, 4), "f4")
    forward = tuple(job.at(x.dtype) for job in (jobs.AFFINE, jobs.HALF_PRODUCT, jobs.COMPLETE_AFFINE))
    for wrong in (
        (x, W.astype(float), b, out),
        (x, W.astype("i4"), b, out),
        (x[:, ::-1], W, b, out),
        (x, np.asfortranarray(W), b, out),
    ):
        with pytest.raises(TypeError, match="C-ordered and of one type"):
            jobs.affine(at_hand(), forward, *wrong, True)


def test_shapes_that_do_not_fit_are_refused():
    x, W, b, out = np.ones((4, 6), "f4"), np.ones((6, 3), "f4"), np.ones(3, "f4"), np.ones((4, 3), "f4")
    layers = tuple(job.at(x.dtype) for job in (jobs.AFFINE, jobs.HALF_PRODUCT, jobs.COMPLETE_AFFINE))
    number, at = x.dtype, at_hand()
    calls = [
        lambda: jobs.affine(at, layers, x[:, :5].copy(), W, b, out, True),
        lambda: jobs.affine(at, layers, x, W, b, out[:2], True),
        lambda: jobs.affine_gradient(at, jobs.AFFINE_GRADIENT.at(number), out[:2], x, W, b),
        lambda: jobs.affine_input_gradient(at, jobs.AFFINE_INPUT_GRADIENT.at(number), x, W, x, x, True),
        lambda: jobs.bernoulli_log_prob(at, jobs.BERNOULLI.at(number), x, out, np.ones((4, 1), "f4")),
        lambda: jobs.gaussian_log_prob(at, jobs.GAUSSIAN.at(number), x, x, True, b[:1], np.ones((4, 1), "f4")),
        lambda: jobs.scale_rows(at, jobs.SCALE_ROWS.at(number), b, out),
        lambda: jobs.update(at, jobs.ADAM.at(number), b, b, b, b[:2], b, np.zeros((1, 2), np.int64), b[:1]),
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
