"""Elementary functions for the kernels: short polynomials on float32, the library's functions on float64.

A loop that calls the C library's ``exp`` runs one element at a time. The float32 versions here are straight-line
arithmetic, so that the compiler turns the loop around them into vector instructions (about 30 times faster); their
error is a few units in the last place, which ``tests/machine/test_elementary.py`` measures over the whole range. The
float64 versions exist to check derivatives and stay exact.

The coefficients are Chebyshev fits of the function named beside them, rounded to float32. None of these functions is
compiled with full ``fastmath``: reordering the sums would undo the exact range reductions.

Call them from a Numba kernel only; the type of the argument chooses the version.
"""

import math

import numpy as np
from numba import njit, types
from numba.extending import overload

FAST = {"fastmath": True, "error_model": "numpy", "nogil": True}  # the kernels (kernels.py says why)
# What only kernels call is a part of them, always: were it a function of its own in some processes, and not in those
# that find the kernel on disk, then the compiler would order its sums in two ways.
INNER = {"fastmath": True, "error_model": "numpy", "forceinline": True}
EXACT = {"fastmath": {"contract", "nsz"}, "error_model": "numpy", "forceinline": True}

f32 = np.float32
ZERO, HALF, ONE, TWO = f32(0), f32(0.5), f32(1), f32(2)

LOG2E = f32(math.log2(math.e))
LN2 = f32(math.log(2))
LN2_HIGH = f32(0.693359375)  # few bits, so that n * LN2_HIGH is exact
LN2_LOW = f32(math.log(2) - 0.693359375)
ROUND = f32(1.5 * 2**23)  # a number added to it is rounded to an integer, which stands in the low bits of the sum
ROUND_BITS = int(ROUND.view(np.int32))
LOWEST, HIGHEST = f32(-87), f32(88)  # where exp is a normal float32 number
MANTISSA_BITS, EXPONENT_BIAS = 23, 127
SQRT_HALF_BITS = int(f32(math.sqrt(0.5)).view(np.int32))

# (exp(r) - 1 - r) / r² on |r| <= log(2) / 2
EXP = tuple(map(f32, (0.5, 0.166665763, 0.0416664667, 0.00836318173, 0.00139336521)))
# log(1 + e) / e on [0, 1]
LOG1P = tuple(
    map(
        f32,
        (
            0.999999821, -0.499974489, 0.332761765, -0.244996116,
            0.177570239, -0.107853681, 0.0442141928, -0.00857467577,
        ),
    )
)  # fmt: skip
# (log(1 + t) - t) / t² on [sqrt(1/2) - 1, sqrt(2) - 1]
LOG = tuple(
    map(
        f32,
        (
            -0.49999994, 0.333336592, -0.250016093, 0.199731052,
            -0.165750474, 0.148064598, -0.142577946, 0.0900420249,
        ),
    )
)  # fmt: skip
# sin(pi x / 2) / x and cos(pi x / 2), in powers of x², on [-1, 1]
SIN = tuple(map(f32, (1.57079637, -0.645963788, 0.0796899199, -0.00467415061, 0.000151675122)))
COS = tuple(map(f32, (1.0, -1.23370051, 0.253669322, -0.0208626874, 0.000917723868, -2.38245357e-05)))


@njit(**EXACT)
def horner(x, coefficients):
    """c0 + c1 x + c2 x² + ..."""
    total = coefficients[-1]
    for i in range(len(coefficients) - 2, -1, -1):
        total = coefficients[i] + x * total
    return total


@njit(**EXACT)
def expm1_scaled(x):
    """q and s = 2^n with exp(x) = s (1 + q) and |q| < 0.42, for float32 x between LOWEST and HIGHEST.

    x = n log 2 + r with |r| <= log(2) / 2, and q = exp(r) - 1; 2^n is written straight into the exponent bits.
    """
    rounded = np.float32(x * LOG2E + ROUND)
    n = np.int32(rounded.view(np.int32) - ROUND_BITS)
    r = x - np.float32(n) * LN2_HIGH - np.float32(n) * LN2_LOW
    s = np.int32((n + EXPONENT_BIAS) << MANTISSA_BITS)
    return r + r * r * horner(r, EXP), s.view(np.float32)


@njit(**EXACT)
def exp_float32(x):
    q, s = expm1_scaled(min(max(x, LOWEST), HIGHEST))
    return s + s * q


@njit(**EXACT)
def expm1_float32(x):
    q, s = expm1_scaled(min(max(x, LOWEST), HIGHEST))
    return s * q + (s - ONE)


@njit(**EXACT)
def tanh_float32(x):
    # tanh x = (e^2x - 1) / (e^2x + 1), with e^2x - 1 from q and s: accurate for small x too
    q, s = expm1_scaled(min(max(TWO * x, -f32(20)), f32(20)))
    expm1 = s * q + (s - ONE)
    return expm1 / (expm1 + TWO)


@njit(**EXACT)
def softplus_sigmoid_float32(x):
    e = exp_float32(-abs(x))
    inverse = ONE / (ONE + e)
    return max(x, ZERO) + e * horner(e, LOG1P), inverse if x >= ZERO else e * inverse


@njit(**EXACT)
def log_float32(x):
    # x = 2^n (1 + t) with 1 + t between sqrt(1/2) and sqrt(2)
    bits = np.float32(x).view(np.int32)
    n = np.int32((bits - SQRT_HALF_BITS) >> MANTISSA_BITS)
    t = np.int32(bits - np.int32(n << MANTISSA_BITS)).view(np.float32) - ONE
    return np.float32(n) * LN2 + (t + t * t * horner(t, LOG))


@njit(**EXACT)
def cos_sin_pi_float32(x):
    # by the double angle from cos(pi x / 2) and sin(pi x / 2), which need no range reduction for |x| <= 1
    c, s = horner(x * x, COS), x * horner(x * x, SIN)
    return (c - s) * (c + s), TWO * s * c


@njit(**EXACT)
def softplus_sigmoid_float64(x):
    e = math.exp(-abs(x))
    return max(x, 0.0) + math.log1p(e), (1.0 if x >= 0.0 else e) / (1.0 + e)


@njit(**EXACT)
def cos_sin_pi_float64(x):
    return math.cos(math.pi * x), math.sin(math.pi * x)


def exp(x):
    """e^x; float32 arguments are clamped to [-87, 88], where the result is a normal number."""
    raise TypeError("for Numba kernels only")


def expm1(x):
    """e^x - 1, accurate for small x too; float32 arguments are clamped as for ``exp``."""
    raise TypeError("for Numba kernels only")


def tanh(x):
    """The hyperbolic tangent."""
    raise TypeError("for Numba kernels only")


def log(x):
    """The natural logarithm of a positive normal number."""
    raise TypeError("for Numba kernels only")


def softplus_sigmoid(x):
    """The pair log(1 + e^x) and 1 / (1 + e^-x), from one exponential, for any x."""
    raise TypeError("for Numba kernels only")


def cos_sin_pi(x):
    """The pair cos(pi x) and sin(pi x), for |x| <= 1."""
    raise TypeError("for Numba kernels only")


def _two_versions(function, float32_version, float64_version):
    @overload(function, jit_options=EXACT)
    def choose(x):
        version = {types.float32: float32_version, types.float64: float64_version}.get(x)
        return None if version is None else lambda x: version(x)


_two_versions(exp, exp_float32, njit(**EXACT)(lambda x: math.exp(x)))
_two_versions(expm1, expm1_float32, njit(**EXACT)(lambda x: math.expm1(x)))
_two_versions(tanh, tanh_float32, njit(**EXACT)(lambda x: math.tanh(x)))
_two_versions(log, log_float32, njit(**EXACT)(lambda x: math.log(x)))
_two_versions(softplus_sigmoid, softplus_sigmoid_float32, softplus_sigmoid_float64)
_two_versions(cos_sin_pi, cos_sin_pi_float32, cos_sin_pi_float64)
