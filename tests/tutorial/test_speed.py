"""The checks of notebook 9: they accept what is right, and say of typical mistakes what is wrong."""

import math

import numpy as np
import pytest
from numba import njit

from tests.notebooks import rejects, solutions
from tinyvae import tutorial

# ---- 9.1

COSTS = [
    (lambda R, I, J, size: (R * I * J, size * (R * I + I * J + R * J)), "the addition that goes with it is not"),
    (lambda R, I, J, size: (R * J * (2 * I - 1), size * (R * I + I * J + R * J)), "lets the sum begin at 0"),
    (lambda R, I, J, size: (2 * R * I * J, size * (R * I + I * J)), "the result has to be written too"),
    (lambda R, I, J, size: (2 * R * I * J, size * (R * I + R * J)), "the factor (I, J) has to be read too"),
    (lambda R, I, J, size: (2 * R * I * J, size * (I * J + R * J)), "the factor (R, I) has to be read too"),
    (lambda R, I, J, size: (2 * R * I * J, R * I + I * J + R * J), "these are numbers, not bytes"),
    (lambda R, I, J, size: (2 * R * I * J, 8 * size * (R * I + I * J + R * J)), "these are bits"),
    (lambda R, I, J, size: (2 * R * I * J, 3 * size * R * I * J), "fetched anew for each multiplication"),
    (lambda R, I, J, size: 2 * R * I * J, "2 outputs are expected (the operations, the bytes), not 1"),
]


@pytest.mark.parametrize(("answer", "words"), COSTS, ids=[words for _, words in COSTS])
def test_cost_of_product(answer, words):
    rejects(tutorial.check_cost_of_product, answer, words=words)


# ---- 9.2


def test_the_notebook_s_kernel_is_accepted(capsys):
    tutorial.check_fused_layer(solutions("09_speed", np=np, math=math, njit=njit)["bias_tanh"])
    assert capsys.readouterr().out == "Right: your kernel in float64.\nRight: your kernel in float32.\n"


def kernel(f):
    """A compiled (a, b, out) that writes f(a, b, n, j) into each entry."""
    f = njit(f)

    @njit
    def written(a, b, out):
        for n in range(a.shape[0]):
            for j in range(a.shape[1]):
                out[n, j] = f(a, b, n, j)

    return written


@njit
def only_the_square(a, b, out):
    for n in range(a.shape[0]):
        for j in range(a.shape[0]):
            out[n, j] = math.tanh(a[n, j] + b[j])


@njit
def changing_a(a, b, out):
    for n in range(a.shape[0]):
        for j in range(a.shape[1]):
            a[n, j] += b[j]
            out[n, j] = math.tanh(a[n, j])


@njit
def returning(a, b, out):
    return np.tanh(a + b)


@njit
def with_an_array(a, b, out):
    out[:] = np.tanh(a + b)


KERNELS = [
    (with_an_array, "it makes an array of its own"),
    (lambda a, b, out: np.tanh(a + b, out), "it is not compiled"),
    (kernel(lambda a, b, n, j: math.tanh(a[n, j])), "the bias is missing"),
    (only_the_square, "6 of 15 entries of out are never written"),
    (changing_a, "changes its argument number 1"),
    (returning, "nothing is written into out"),
]
MORE_KERNELS = [
    (kernel(lambda a, b, n, j: a[n, j] + b[j]), "the tanh is missing"),
    (kernel(lambda a, b, n, j: math.tanh(a[n, j]) + b[j]), "the bias belongs inside"),
    (kernel(lambda a, b, n, j: math.tanh(a[n, j] + b[n])), "b is indexed by the row"),
    (kernel(lambda a, b, n, j: math.tanh(a[n, j] - b[j])), "the bias is subtracted"),
    (kernel(lambda a, b, n, j: 1 - math.tanh(a[n, j] + b[j]) ** 2), "this is the derivative of tanh"),
]


@pytest.mark.parametrize(("answer", "words"), KERNELS, ids=[words for _, words in KERNELS])
def test_fused_layer(answer, words):
    rejects(tutorial.check_fused_layer, answer, words=words)


@pytest.mark.slow  # each is compiled for itself
@pytest.mark.parametrize(("answer", "words"), MORE_KERNELS, ids=[words for _, words in MORE_KERNELS])
def test_more_mistakes_of_the_fused_layer(answer, words):
    rejects(tutorial.check_fused_layer, answer, words=words)


def test_a_fused_layer_that_is_still_to_be_written_says_so():
    @njit
    def unsolved(a, b, out):
        raise NotImplementedError("Exercise 9.2 is still to be solved: replace this line")

    with pytest.raises(NotImplementedError, match=r"Exercise 9\.2"):
        tutorial.check_fused_layer(unsolved)
