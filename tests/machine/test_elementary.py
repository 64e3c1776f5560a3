"""The polynomials against the library, over the whole range of float32."""

import numpy as np
import pytest
from numba import njit
from scipy import special

from tinyvae.machine import elementary


def apply(function, x):
    """The function of ``elementary`` on every element, called from a compiled loop as the kernels call it."""

    @njit
    def loop(x, out):
        for i in range(x.size):
            out[i] = function(x[i])

    @njit
    def loop_pair(x, first, second):
        for i in range(x.size):
            first[i], second[i] = function(x[i])

    if function in (elementary.softplus_sigmoid, elementary.cos_sin_pi):
        out = np.empty_like(x), np.empty_like(x)
        loop_pair(x, *out)
    else:
        out = np.empty_like(x)
        loop(x, out)
    return out


def around_zero(limit):
    """Float32 numbers of every magnitude from 1e-30 to the limit, of both signs, and zero."""
    positive = np.geomspace(1e-30, limit, 200_000, dtype=np.float32)
    return np.concatenate([-positive[::-1], np.zeros(1, np.float32), positive])


def relative(result, reference):
    return np.max(np.abs(result - reference) / np.maximum(np.abs(reference), np.finfo(np.float32).tiny))


def test_exp_is_right_to_two_units_in_the_last_place():
    x = around_zero(87)
    assert relative(apply(elementary.exp, x), np.exp(x.astype(np.float64))) < 2.5e-7


def test_exp_is_clamped_to_normal_numbers():
    x = np.array([-1e30, -1000, -88, 88.5, 1000, 1e30], np.float32)
    low, high = np.exp(-87.0), np.exp(88.0)
    np.testing.assert_allclose(apply(elementary.exp, x), [low, low, low, high, high, high], rtol=1e-6)


def test_tanh_is_right_relative_to_its_value_even_near_zero():
    x = around_zero(100)
    assert relative(apply(elementary.tanh, x), np.tanh(x.astype(np.float64))) < 4e-7


def test_expm1_is_right_relative_to_its_value_even_near_zero():
    x = around_zero(80)
    assert relative(apply(elementary.expm1, x), np.expm1(x.astype(np.float64))) < 4e-7


def test_log_is_right_to_a_few_units():
    x = np.concatenate([np.geomspace(1e-37, 1e38, 200_000), 1 + np.linspace(-0.4, 0.6, 100_001)]).astype(np.float32)
    result, reference = apply(elementary.log, x), np.log(x.astype(np.float64))
    assert np.max(np.abs(result - reference) / np.maximum(np.abs(reference), 1)) < 2e-7
    near_one = np.abs(x - 1) < 0.1
    assert np.max(np.abs(result - reference)[near_one] / np.maximum(np.abs(x - 1)[near_one], 1e-7)) < 1e-6


def test_softplus_and_sigmoid_are_right_at_both_ends():
    x = around_zero(80)
    softplus, sigmoid = apply(elementary.softplus_sigmoid, x)
    assert relative(softplus, np.logaddexp(0, x.astype(np.float64))) < 6e-7
    assert relative(sigmoid, special.expit(x.astype(np.float64))) < 6e-7
    far = np.array([-1e6, 1e6], np.float32)
    softplus, sigmoid = apply(elementary.softplus_sigmoid, far)
    np.testing.assert_allclose(softplus, [0, 1e6], atol=1e-37)
    np.testing.assert_allclose(sigmoid, [0, 1], atol=1e-37)


def test_cosine_and_sine_over_the_whole_turn():
    x = np.linspace(-1, 1, 400_001, dtype=np.float32)
    cosine, sine = apply(elementary.cos_sin_pi, x)
    np.testing.assert_allclose(cosine, np.cos(np.pi * x.astype(np.float64)), atol=4e-7)
    np.testing.assert_allclose(sine, np.sin(np.pi * x.astype(np.float64)), atol=4e-7)


@pytest.mark.parametrize(
    ("function", "reference", "limit"),
    [
        (elementary.exp, np.exp, 700),
        (elementary.tanh, np.tanh, 30),
        (elementary.log, np.log, None),
        (elementary.softplus_sigmoid, lambda x: (np.logaddexp(0, x), special.expit(x)), 700),
        (elementary.cos_sin_pi, lambda x: (np.cos(np.pi * x), np.sin(np.pi * x)), 1),
    ],
)
def test_float64_has_the_precision_of_the_library(function, reference, limit):
    x = np.geomspace(1e-300, 1e300, 1000) if limit is None else np.linspace(-limit, limit, 1001)
    np.testing.assert_allclose(apply(function, x), reference(x), rtol=1e-14, atol=1e-15)


def test_interpreted_code_is_told_to_call_from_a_kernel():
    for name in ("exp", "tanh", "log", "softplus_sigmoid", "cos_sin_pi"):
        with pytest.raises(TypeError, match="Numba kernels only"):
            getattr(elementary, name)(1.0)
