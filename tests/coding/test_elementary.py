"""The elementary functions against SciPy's, in units of the last place; and that they are exact in the sense meant."""

import itertools
import math

import numpy as np
import pytest
from numba import njit
from scipy import special

from tinyvae.coding import elementary, network
from tinyvae.machine.code_cache import EXACTLY

ABSOLUTE = 2.0**-53  # of numbers up to 1


@pytest.fixture
def random():
    return np.random.default_rng(0)


def values(function, x):
    return np.array([function(one) for one in x])


def ulps(found, wanted):
    """The largest error in units of the last place."""
    return np.max(np.abs(found - wanted) / np.spacing(np.abs(wanted)))


def test_exp_within_2_ulps(random):
    x = np.concatenate([random.uniform(-700, 700, 20_000), random.uniform(-2, 2, 20_000), [-700, 0, 700]])
    assert ulps(values(elementary.exp, x), np.exp(x)) <= 2
    assert elementary.exp(0.0) == 1


def test_log_within_4_ulps(random):
    x = np.concatenate([np.exp(random.uniform(-600, 600, 20_000)), random.uniform(0.5, 2, 20_000), [1e-300, 2.0**62]])
    assert ulps(values(elementary.log, x), np.log(x)) <= 4
    assert elementary.log(1.0) == 0


def test_tanh_within_4_ulps_of_its_largest_value(random):
    x = np.concatenate([random.uniform(-20, 20, 20_000), random.uniform(-1e-3, 1e-3, 5000), [-1e300, 0, 1e300]])
    assert np.abs(values(elementary.tanh, x) - np.tanh(x)).max() <= 4 * ABSOLUTE


def test_sigmoid_within_4_ulps(random):
    x = np.concatenate([random.uniform(-700, 700, 20_000), random.uniform(-5, 5, 20_000)])
    assert ulps(values(elementary.sigmoid, x), special.expit(x)) <= 4


def test_the_normal_distribution_function_over_its_whole_range(random):
    """Relative, 2e-14 where anybody looks, 1e-12 far out, where the exponent's rounding grows; absolutely 4 ulps."""
    near, far = random.uniform(-8, 8, 20_000), random.uniform(-37, 37, 5000)
    for x, tolerance in ((near, 2e-14), (far, 1e-12)):
        found, wanted = values(elementary.normal_cdf, x), special.ndtr(x)
        assert np.max(np.abs(found / wanted - 1)) < tolerance and np.abs(found - wanted).max() <= 4 * ABSOLUTE


def test_the_normal_quantile_is_the_inverse():
    p = np.concatenate([np.arange(1, 2**16) / 2**16, 10.0 ** -np.arange(1, 300), 1 - 2.0 ** -np.arange(1, 53)])
    found, wanted = values(elementary.normal_quantile, p), special.ndtri(p)
    # where p is near 1 it is 1 - p that is rounded, which SciPy does as well
    assert np.max(np.abs(found - wanted) / np.maximum(1, np.abs(wanted))) < 4e-15


@pytest.mark.parametrize("name", ["exp", "tanh", "sigmoid", "normal_cdf"])
def test_every_argument_has_a_value(name):
    function = getattr(elementary, name)
    assert np.isfinite(values(function, [-np.inf, np.inf, np.nan, -1e308, 1e308, 5e-324])).all()


def test_the_sigmoid_never_falls(random):
    """In steps as small as the coders take, 1 / 255 in scales of e^20: some thousand of them in many places."""
    steps = np.arange(5000) / 255 / math.exp(20)
    x = (np.concatenate([random.uniform(-40, 40, 300), [-1, 0, 1, 36, 37, 38]])[:, None] + steps).ravel()
    sigmoid = elementary.sigmoid

    @njit(**EXACTLY)
    def falls(x):
        return sum([x[i + 1] > x[i] and sigmoid(x[i + 1]) < sigmoid(x[i]) for i in range(len(x) - 1)])

    assert falls(x) == 0


def uncached(function):
    """The function compiled anew, since Numba does not show the code of what was kept; what it calls is in it."""
    return njit(**EXACTLY)(getattr(function, "py_func", function))


def test_no_product_and_sum_became_one_operation():
    """One rounding in the place of two would be another number. Most processors have such an instruction."""
    products, cdf = uncached(network.add_products), uncached(elementary.normal_cdf)
    h, W, places = np.ones(9, np.float32), np.ones((9, 40), np.float32), np.zeros(9, np.int64)
    products(h, W, np.zeros(40, np.float32), places)
    cdf(1.0)
    for code in itertools.chain(products.inspect_asm().values(), cdf.inspect_asm().values()):
        assert not any(word in code for word in ("fmadd", "fmsub", "fnmadd", "fnmsub", "fmla", "fmls"))
        assert "mul" in code  # there are products


def test_planted_contraction_is_found():
    """With fastmath the compiler does make one operation of two, where the processor has it."""
    products = njit(**EXACTLY | {"fastmath": True})(network.add_products.py_func)
    h, W, places = np.ones(9, np.float32), np.ones((9, 40), np.float32), np.zeros(9, np.int64)
    products(h, W, np.zeros(40, np.float32), places)
    code = "".join(products.inspect_asm().values())
    assert not has_fma() or "fmadd" in code or "fmla" in code


def has_fma():
    from llvmlite import binding

    return bool(binding.get_host_cpu_features().get("fma"))
