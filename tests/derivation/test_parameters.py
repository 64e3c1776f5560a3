"""The flat vector and its named views; how it starts."""

import numpy as np
import pytest

from tinyvae.derivation.mlp import mlp_shapes
from tinyvae.derivation.parameters import Parameters

SHAPES = {f"net.{name}": shape for name, shape in mlp_shapes((300, 200, 100, 40)).items()} | {"scale": ()}


def test_views_share_the_vector_in_the_order_of_the_names():
    params = Parameters({"a": (2, 3), "b": (), "c": (4,)}, dtype=np.float64)
    params.flat[:] = np.arange(11)
    np.testing.assert_array_equal(params["a"], [[0, 1, 2], [3, 4, 5]])
    assert params["b"] == 6
    params["c"][:] = -1
    np.testing.assert_array_equal(params.flat[7:], -1)
    assert list(params) == ["a", "b", "c"] and len(params) == 3


def test_a_part_has_its_arrays_in_order_by_their_own_names():
    params = Parameters(SHAPES)
    part = params.part("net")
    assert list(part) == ["0.W", "0.b", "1.W", "1.b", "2.W", "2.b"]
    assert [part[f"{i}.W"].shape for i in range(3)] == [(300, 200), (200, 100), (100, 40)]
    part["1.b"][:] = 5
    np.testing.assert_array_equal(params["net.1.b"], 5)


def test_a_vector_of_another_length_is_refused():
    with pytest.raises(ValueError, match="need 6 numbers, the vector has the shape \\(7,\\)"):
        Parameters({"a": (2, 3)}, np.zeros(7))


def test_the_same_names_over_another_vector():
    params = Parameters(SHAPES, dtype=np.float64)
    grads = params.with_flat(np.ones_like(params.flat))
    assert grads.shapes == params.shapes and grads["net.0.W"][0, 0] == 1 and params["net.0.W"][0, 0] == 0
