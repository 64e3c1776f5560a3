"""The products against NumPy's einsum, on both sides of every choice between a loop and BLAS."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import scipy
from hypothesis import given
from hypothesis import strategies as st

from tests import oracles
from tests.commands import python
from tinyvae.machine import blas, matrix_products

ROOT = Path(__file__).parents[2]

TOLERANCE = {np.float32: 1e-4, np.float64: 1e-11}  # sums of up to a hundred rounded terms of order one

# around the sizes of the tiles and groups, and far from them
rows = st.sampled_from([0, 1, 2, 3, 4, 5, 7, 8, 9, 10, 63, 64, 65, 66, 101])
sizes = st.sampled_from([1, 2, 3, 4, 5, 7, 8, 9, 16, 31, 33, 70])
dtypes = st.sampled_from([np.float32, np.float64])
densities = st.sampled_from([0, 0.05, 0.2, 0.3, 1])
seeds = st.integers(0, 2**32 - 1)


def sparse(rng, shape, density, dtype):
    return (rng.standard_normal(shape) * (rng.random(shape) < density)).astype(dtype)


def product(x, W, out, is_sparse, first, last, top, bottom, left, right):
    if is_sparse:
        matrix_products.sparse_product(x, W, out, first, last, top, bottom)
    else:
        matrix_products.product(x, W, out, first, last, top, bottom, left, right)


def weight_gradient(x, da, dW, is_sparse, top, bottom, left, right):
    if is_sparse:
        matrix_products.sparse_weight_gradient(x, da, dW, top, bottom)
    else:
        matrix_products.weight_gradient(x, da, dW, top, bottom, left, right)


def check(result, expected):
    tolerance = TOLERANCE[result.dtype.type]
    np.testing.assert_allclose(result, expected, rtol=tolerance, atol=tolerance)


@given(rows, sizes, sizes, densities, dtypes, seeds)
def test_products(N, I, J, density, dtype, seed):
    rng = np.random.default_rng(seed)
    x, W, da = sparse(rng, (N, I), density, dtype), sparse(rng, (I, J), 1, dtype), sparse(rng, (N, J), 1, dtype)
    out, dW, dx = (np.full(shape, np.nan, dtype) for shape in ((N, J), (I, J), (N, I)))
    for is_sparse in (False, True):
        product(x, W, out, is_sparse, 0, I, 0, N, 0, J)
        check(out, oracles.product(x.astype(float), W))
        weight_gradient(x, da, dW, is_sparse, 0, I, 0, J)
        check(dW, oracles.weight_gradient(x.astype(float), da))
        out[:], dW[:] = np.nan, np.nan
    matrix_products.input_gradient(da, W, dx, 0, N, 0, I)
    check(dx, oracles.input_gradient(da.astype(float), W))


@given(rows, sizes, sizes, st.booleans(), dtypes, seeds, st.data())
def test_a_tile_is_that_part_of_the_whole_and_nothing_else_is_written(N, I, J, is_sparse, dtype, seed, data):
    rng = np.random.default_rng(seed)
    x, W, da = sparse(rng, (N, I), 0.2, dtype), sparse(rng, (I, J), 1, dtype), sparse(rng, (N, J), 1, dtype)

    def part_of(length):
        return sorted(data.draw(st.integers(0, length)) for _ in range(2))

    first, last = part_of(I)
    rows, columns = part_of(N), (0, J) if is_sparse else part_of(J)  # a sparse tile is as wide as the whole
    out = np.full((N, J), np.nan, dtype)
    product(x, W, out, is_sparse, first, last, *rows, *columns)
    expected = np.full((N, J), np.nan)
    where = slice(*rows), slice(*columns)
    expected[where] = (x[:, first:last].astype(float) @ W[first:last])[where]
    check(out, expected)

    dW, expected = np.full((I, J), np.nan, dtype), np.full((I, J), np.nan)
    weight_gradient(x, da, dW, is_sparse, first, last, *columns)
    where = slice(first, last), slice(*columns)
    expected[where] = oracles.weight_gradient(x.astype(float), da)[where]
    check(dW, expected)

    dx, expected = np.full((N, I), np.nan, dtype), np.full((N, I), np.nan)
    matrix_products.input_gradient(da, W, dx, *rows, first, last)
    where = slice(*rows), slice(first, last)
    expected[where] = oracles.input_gradient(da.astype(float), W)[where]
    check(dx, expected)


@given(rows, sizes, sizes, dtypes, seeds, st.data())
def test_the_loops_for_few_rows_do_the_same_parts(N, I, J, dtype, seed, data):
    rng = np.random.default_rng(seed)
    x, W, da = sparse(rng, (N, I), 1, dtype), sparse(rng, (I, J), 1, dtype), sparse(rng, (N, J), 1, dtype)
    first, last = sorted(data.draw(st.integers(0, I)) for _ in range(2))
    left, right = sorted(data.draw(st.integers(0, J)) for _ in range(2))
    out, expected = np.full((N, J), np.nan, dtype), np.full((N, J), np.nan)
    matrix_products.product_of_few(x, W, out, first, last, left, right)
    expected[:, left:right] = (x[:, first:last].astype(float) @ W[first:last])[:, left:right]
    check(out, expected)
    dx, expected = np.full((N, I), np.nan, dtype), np.full((N, I), np.nan)
    matrix_products.input_gradient_of_few(da, W, dx, first, last)
    expected[:, first:last] = oracles.input_gradient(da.astype(float), W)[:, first:last]
    check(dx, expected)


@pytest.mark.parametrize("lit", range(20))
def test_every_number_of_lit_pixels(lit):
    """None, one, up to several groups of four and eight, and what is left over."""
    rng = np.random.default_rng(lit)
    x = np.zeros((30, 100))
    for n in range(30):
        x[n, rng.permutation(100)[:lit]] = rng.standard_normal(lit)
    assert matrix_products.mostly_zero(x)
    W, da = rng.standard_normal((100, 6)), rng.standard_normal((30, 6))
    out, dW = np.empty((30, 6)), np.empty((100, 6))
    product(x, W, out, True, 0, 100, 0, 30, 0, 6)
    weight_gradient(x, da, dW, True, 0, 100, 0, 6)
    check(out, x @ W)
    check(dW, x.T @ da)


def test_mostly_zero_means_three_quarters():
    x = np.zeros((4, 10))
    x[0] = 1
    assert matrix_products.mostly_zero(x)
    x[3, 9] = 1
    assert not matrix_products.mostly_zero(x)
    assert not matrix_products.mostly_zero(x[:0])


@given(st.integers(0, 3000), st.integers(1, 3000), st.sampled_from([1, 2, 4, 6]))
def test_large_tiles_are_several_for_threads_to_share_and_not_much_larger_than_their_part(rows, columns, down):
    height, width = matrix_products.large_tiles(rows, columns, down)
    assert 1 <= height < rows / down + 5
    assert 1 <= width <= matrix_products.WIDEST + 8
    if rows >= 8:
        assert -(-rows // height) * -(-columns // width) >= 2


@pytest.mark.parametrize(
    ("rows", "columns", "down", "tile"),
    [
        (1000, 200, 2, (252, 200)),  # the longer side is cut
        (1000, 784, 2, (500, 392)),
        (200, 784, 1, (200, 200)),
        (784, 200, 4, (196, 200)),
        (100, 500, 1, (100, 128)),
        (20, 50, 1, (12, 56)),  # two, of what is small
    ],
)
def test_large_tiles_of_some_layers(rows, columns, down, tile):
    assert matrix_products.large_tiles(rows, columns, down) == tile


@pytest.mark.parametrize(
    "libraries, copies",
    [
        ([("scipy.libs/a.so", "SkylakeX"), ("numpy.libs/b.so", "Haswell")], False),
        ([("numpy.libs/libscipy_b.so", "SkylakeX"), ("scipy.libs/a.so", "Haswell")], True),
        ([("numpy/.dylibs/libscipy_b.dylib", "Haswell"), ("scipy/.dylibs/a.dylib", "SkylakeX")], False),
        ([("libopenblas.so", "SapphireRapids")], False),  # one for both, and neither's own
        ([("libopenblas.so", "neoversen1")], True),
        ([("scipy-env/numpy.libs/b.so", "SkylakeX"), ("scipy.libs/a.so", "Haswell")], True),
        ([("libmkl_rt.so", None)], True),
        ([("libblis.so", "SkylakeX")], True),  # its kernels of this name are others
        ([], True),  # Accelerate, of which threadpoolctl knows nothing
    ],
)
def test_all_kernels_copy_but_those_that_are_known_not_to(libraries, copies, monkeypatch):
    site = Path(scipy.__path__[0]).parent
    apis = {"libmkl_rt.so": "mkl", "libblis.so": "blis"}
    known = [
        {
            "filepath": str(site / path),
            "internal_api": apis.get(path, "openblas"),
            "architecture": name,
        }
        for path, name in libraries
    ]
    monkeypatch.setattr(blas, "_libraries", lambda: SimpleNamespace(info=lambda: known))
    assert blas.copies_factors() is copies


@pytest.mark.slow  # all is compiled for it
def test_the_tiles_for_the_other_kind_of_kernels_serve_as_well(tmp_path):
    """With these kernels where the processor has them, and elsewhere with its own."""
    script = f"""
import sys
import pytest
from tinyvae.machine import blas

if blas.copies_factors() is {blas.copies_factors()}:
    blas.copies_factors = lambda: {not blas.copies_factors()}
from tinyvae.machine import matrix_products

assert matrix_products.COPIES is {not blas.copies_factors()}
which = "layer or network or convolution or recurrence or sparse"  # which have products
sys.exit(pytest.main(["-n0", "tests/machine/test_compiled.py", "-k", which]))
"""
    with_copies = {} if blas.copies_factors() else {"OPENBLAS_CORETYPE": "Haswell"}
    result = python("-c", script, cwd=ROOT, env={"NUMBA_CACHE_DIR": str(tmp_path)} | with_copies)
    assert result.returncode == 0, result.stdout + result.stderr
