"""Convolutions: their gradients, the adjoint identity, and their values by SciPy."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import signal

from tinyvae.checks import finite_differences
from tinyvae.checks.random_problems import networks
from tinyvae.derivation import conv
from tinyvae.derivation.activations import LINEAR
from tinyvae.derivation.conv import Geometry
from tinyvae.settings import ACTIVATIONS

seeds = st.integers(0, 2**32 - 1)


@st.composite
def geometries(draw, largest=9):
    """Odd and even sides, H and W apart, 1, 3 or 5 channels, steps up to 3, windows smaller and larger than these."""
    side = st.integers(1, largest)
    channels, size, stride = (draw(st.sampled_from(numbers)) for numbers in ([1, 3, 5], [1, 2, 3, 4, 5], [1, 2, 3]))
    return Geometry(draw(side), draw(side), channels, size, stride)


def linear(geometry, W, x):
    """T x: the convolution without its bias."""
    return conv.convolution(x, W, np.zeros((1, W.shape[1])), geometry)[0]


def transposed(geometry, W, y):
    """Tᵀ y."""
    return conv.transposed_convolution(y, W, np.zeros((1, geometry.channels)), geometry)[0]


def random_arrays(geometry, filters, N, seed):
    """Filters, and images on both sides."""
    rng = np.random.default_rng(seed)
    rows, columns = geometry.places
    shapes = (geometry.patch, filters), (N, np.prod(geometry[:3])), (N, rows * columns * filters)
    return [rng.standard_normal(shape) for shape in shapes]


@given(
    geometries(4), st.integers(1, 3), st.integers(1, 4), st.booleans(), st.sampled_from(list(ACTIVATIONS)), seeds
)  # fmt: skip
def test_gradients(geometry, N, filters, is_transposed, activation, seed):
    rng = np.random.default_rng(seed)
    problem = networks.convolution(rng, N, geometry, filters, is_transposed, activation)
    errors = finite_differences.check(problem)
    assert max(errors.values()) < finite_differences.TOLERANCE, errors


@given(geometries(), st.integers(1, 4), st.integers(1, 3), seeds)
def test_the_adjoint_identity(geometry, filters, N, seed):
    """<T x, y> = <x, Tᵀ y>, image by image."""
    W, x, y = random_arrays(geometry, filters, N, seed)
    left, right = (linear(geometry, W, x) * y).sum(axis=1), (x * transposed(geometry, W, y)).sum(axis=1)
    scale = np.linalg.norm(x, axis=1) * np.linalg.norm(y, axis=1) * np.linalg.norm(W)
    assert (np.abs(left - right) <= 1e-13 * scale).all()


@given(geometries(), st.integers(1, 4), st.integers(1, 3), seeds)
def test_each_goes_back_by_the_other(geometry, filters, N, seed):
    """The backward pass of T by its input is Tᵀ, that of Tᵀ is T, and the filters have one gradient in both."""
    W, x, y = random_arrays(geometry, filters, N, seed)
    dW, dW_of_the_transpose = np.empty_like(W), np.empty_like(W)
    _, cache = conv.convolution(x, W, np.zeros((1, filters)), geometry)
    dx, _ = conv.convolution_backward(y, cache, dW)
    np.testing.assert_array_equal(dx, transposed(geometry, W, y))
    _, cache = conv.transposed_convolution(y, W, np.zeros((1, geometry.channels)), geometry)
    dy, _ = conv.transposed_convolution_backward(x, cache, dW_of_the_transpose)
    np.testing.assert_array_equal(dy, linear(geometry, W, x))
    np.testing.assert_array_equal(dW, dW_of_the_transpose)
    slope = (linear(geometry, W, x) * y).sum()  # T is linear in W too: <T x, y> = <W, dW>
    assert (W * dW).sum() == pytest.approx(slope, rel=1e-9, abs=1e-9)


@given(geometries(), st.integers(1, 4), seeds)
def test_values_by_scipy(geometry, filters, seed):
    """scipy.signal.correlate2d of each channel with each filter, at every place, of which the step takes some."""
    W, x, _ = random_arrays(geometry, filters, 1, seed)
    H, width, C, k, stride = geometry
    (rows, columns), image, windows = geometry.places, x.reshape(H, width, C), W.reshape(k, k, C, filters)
    sides = [max(0, (n - 1) * stride + k - length) for n, length in ((rows, H), (columns, width))]
    framed = np.pad(image, [*((total // 2, total - total // 2) for total in sides), (0, 0)])
    out = linear(geometry, W, x).reshape(rows, columns, filters)
    for j in range(filters):
        everywhere = sum(signal.correlate2d(framed[:, :, c], windows[:, :, c, j], mode="valid") for c in range(C))
        np.testing.assert_allclose(out[:, :, j], everywhere[::stride, ::stride], atol=1e-10)


@given(geometries(), seeds)
def test_the_transpose_by_scipy(geometry, seed):
    """With one filter: the image with zeros between its entries, convolved with each channel's window."""
    W, _, y = random_arrays(geometry, 1, 1, seed)
    H, width, C, k, stride = geometry
    rows, columns = geometry.places
    spread = np.zeros(((rows - 1) * stride + 1, (columns - 1) * stride + 1))
    spread[::stride, ::stride] = y.reshape(rows, columns)
    out = transposed(geometry, W, y).reshape(H, width, C)
    for c in range(C):
        full = signal.convolve2d(spread, W.reshape(k, k, C)[:, :, c])  # a patch beside each entry
        top, left = (max(0, total - length) // 2 for total, length in zip(full.shape, (H, width)))
        expected = np.zeros((max(H, full.shape[0]), max(width, full.shape[1])))  # where a step leaves pixels out
        expected[: full.shape[0], : full.shape[1]] = full
        np.testing.assert_allclose(out[:, :, c], expected[top : top + H, left : left + width], atol=1e-10)


def test_a_worked_example():
    """Windows of 2 x 2 with a step of 2 on an image of 2 x 4: two places, no margin."""
    image = np.array([[1.0, 2, 3, 4], [5, 6, 7, 8]])
    W = np.array([[1.0], [10], [100], [1000]])  # upper left, upper right, lower left, lower right
    geometry = Geometry(2, 4, 1, 2, 2)
    assert geometry.places == (1, 2) and geometry.patch == 4
    np.testing.assert_array_equal(linear(geometry, W, image.reshape(1, 8)), [[6521, 8743]])
    wide = transposed(geometry, W, np.array([[2.0, 3]]))
    np.testing.assert_array_equal(wide.reshape(2, 4), [[2, 20, 3, 30], [200, 2000, 300, 3000]])


def test_the_benchmarks_geometry_halves_the_image_and_has_a_margin_of_one():
    """28, 14, 7, as with a padding of 1 on all sides: the entry in the corner sees a pixel of the margin."""
    first, second = Geometry(28, 28, 1, 4, 2), Geometry(14, 14, 32, 4, 2)
    assert first.places == (14, 14) and second.places == (7, 7)
    W = np.arange(16.0)[:, None]
    image = np.zeros((1, 784))
    image[0, 0] = 1  # shown in the corner's window one down and one to the right
    assert linear(first, W, image)[0, 0] == 4 + 1


def test_a_bias_for_each_image_is_added_everywhere_and_has_its_own_derivative():
    geometry = Geometry(5, 3, 2, 3, 2)
    W, x, y = random_arrays(geometry, 4, 3, 0)
    b = np.random.default_rng(1).standard_normal((3, 4))
    h, cache = conv.convolution(x, W, b, geometry, LINEAR)
    shifted = (h - linear(geometry, W, x)).reshape(3, 6, 4)
    np.testing.assert_allclose(shifted, np.repeat(b[:, None], 6, axis=1), atol=1e-12)
    dx, db = conv.convolution_backward(y, cache, np.empty_like(W), need_dx=False)
    assert dx is None
    np.testing.assert_allclose(db, y.reshape(3, 6, 4).sum(axis=1))
