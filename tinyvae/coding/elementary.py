"""Elementary functions of which every bit is known: out of + - * / and the square root, which IEEE 754 defines.

An encoder and a decoder that compute a probability must come to the same number, or all that follows is lost. The C
library's exp is another on another system; these are the same wherever the operations are. They work on one float64, in
straight lines, so that the compiler makes vector instructions of a loop around them.

No coefficient here was fitted but ERFC's: the others are those of the series, cut where float64 sees no more.
``tests/coding/test_elementary.py`` measures the errors.

What is not a number is taken for the lower limit wherever an argument is limited, so that every argument has a value.
"""

import math

import numpy as np

from tinyvae import machine

exact = machine.exact

SQRT_HALF, SQRT_2PI = math.sqrt(0.5), math.sqrt(2 * math.pi)
LOG2E = float.fromhex("0x1.71547652b82fep+0")  # 1 / log 2
LN2_HIGH = float.fromhex("0x1.62e42fee00000p-1")  # few bits of log 2, so that n * LN2_HIGH is exact, and the rest
LN2_LOW = float.fromhex("0x1.a39ef35793c76p-33")
ROUND = 1.5 * 2.0**52  # a number added to it is rounded to an integer, which stands in the low bits of the sum
ROUND_BITS = int(np.float64(ROUND).view(np.int64))
LARGEST = 700.0  # e^700 and e^-700 are normal numbers
MANTISSA_BITS, EXPONENT_BIAS = 52, 1023
SQRT_HALF_BITS = int(np.float64(SQRT_HALF).view(np.int64))

EXP = tuple(1 / math.factorial(k) for k in range(14))  # of e^r, |r| <= log(2) / 2
ATANH = tuple(1 / (2 * k + 1) for k in range(12))  # of atanh(s) / s in powers of s², |s| <= 0.172


@exact
def limited(x, lowest, highest):
    """x, not below the lowest and not above the highest; the lowest for what is not a number."""
    x = x if x > lowest else lowest
    return x if x < highest else highest


@exact
def series(x, coefficients):
    """c_0 + c_1 x + c_2 x² + ..."""
    total = coefficients[-1]
    for i in range(len(coefficients) - 2, -1, -1):
        total = coefficients[i] + x * total
    return total


@exact
def exp(x):
    """e^x, for x limited to ± 700.

    x = n log 2 + r with |r| <= log(2) / 2, and 2^n is written straight into the exponent bits.
    """
    x = limited(x, -LARGEST, LARGEST)
    rounded = np.float64(x * LOG2E + ROUND)
    n = rounded - ROUND
    r = (x - n * LN2_HIGH) - n * LN2_LOW
    bits = np.int64((rounded.view(np.int64) - ROUND_BITS + EXPONENT_BIAS) << MANTISSA_BITS)
    return series(r, EXP) * bits.view(np.float64)


@exact
def log(x):
    """The natural logarithm of a positive normal number.

    x = 2^n m with m between sqrt(1/2) and sqrt(2), and log m = 2 atanh s with s = (m - 1) / (m + 1).
    """
    bits = np.float64(x).view(np.int64)
    n = np.int64((bits - SQRT_HALF_BITS) >> MANTISSA_BITS)
    m = np.int64(bits - (n << MANTISSA_BITS)).view(np.float64)
    s = (m - 1.0) / (m + 1.0)
    return np.float64(n) * LN2_HIGH + (2.0 * s * series(s * s, ATANH) + np.float64(n) * LN2_LOW)


@exact
def tanh(x):
    """The hyperbolic tangent, (1 - e) / (1 + e) with e = e^-2|x|: near 0 its error is one of its value at 1."""
    e = exp(-2.0 * abs(x))
    value = (1.0 - e) / (1.0 + e)
    return value if x >= 0.0 else -value


@exact
def sigmoid(x):
    """1 / (1 + e^-x), which never falls as x grows by steps that the exponential can tell."""
    return 1.0 / (1.0 + exp(-x))


# log(erfc(a) e^(a²) / t) with t = 2 / (2 + a), in powers of (t - MIDDLE) / HALF, on 0 <= a <= 28: a Chebyshev fit
ERFC = (
    -0.62675486601084824, 0.63309826829401923, 0.032864859357375432, -0.039942324416938392,
    -0.0051890628231585742, 0.0065929036811934562, 0.00043779942650608322, -0.0014316031219186419,
    0.00013326847460673388, 0.0003082787135259121, -9.9580855342101712e-5, -5.1208436047784667e-5,
    3.8032637303776916e-5, 1.994010517421038e-6, -9.9842889336607082e-6, 2.5993592074539458e-6,
    1.6136692081439832e-6, -1.1419474033354141e-6, -3.4252442782828854e-8, 2.6146995828084524e-7,
    -5.1032120916866624e-8, -3.2282798044744891e-8, 8.9700952755970133e-9, 1.4044354684986442e-9,
)  # fmt: skip
MIDDLE, HALF = (1 + 1 / 15) / 2, (1 - 1 / 15) / 2
FARTHEST = 37.0  # standard deviations
STEPS = 6  # of Newton's method: more than the last that moves it by more than a unit in the last place


@exact
def normal_cdf(x):
    """The standard normal distribution function, for x limited to ± 37.

    P(X <= x) = erfc(a) / 2 with a = -x / sqrt(2), for x below 0; by symmetry above. erfc(a) e^(a²) falls so slowly that
    a polynomial has its logarithm, in a variable that goes to 0 as 1 / a does.
    """
    x = limited(x, -FARTHEST, FARTHEST)
    t = 2.0 / (2.0 + abs(x) * SQRT_HALF)
    tail = 0.5 * t * exp(series((t - MIDDLE) / HALF, ERFC) - 0.5 * x * x)
    return tail if x < 0.0 else 1.0 - tail


@exact
def normal_quantile(p):
    """The x at which ``normal_cdf`` is p, for p between 1e-300 and 1 - 1e-16.

    By Newton's method on log P(X <= x) for p up to 1/2, by symmetry above. The function is concave, so from a point
    left of the solution every step stays left of it; and P(X <= x) <= e^(-x²/2) / 2 gives such a point.
    """
    lower = p if p < 0.5 else 1.0 - p
    x = -math.sqrt(max(0.0, -2.0 * log(2.0 * lower)))
    for _ in range(STEPS):
        below = normal_cdf(x)
        x += (log(lower) - log(below)) * below * SQRT_2PI * exp(0.5 * x * x)
    return x if p < 0.5 else -x
