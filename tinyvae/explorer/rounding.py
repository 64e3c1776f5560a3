"""Weights in few bits: whole numbers, with a scale for each row.

A row w of a matrix, all that goes out from one input unit, is stored as whole numbers q and one scale s,

    q_j = round(w_j / s)    with    s = max_j |w_j| / (2^(b - 1) - 1)

so that every weight moves by s / 2 at most: 0.4 % of the largest in its row for b = 8. Biases, one number for each
unit, are few and stay float32; and b = 32 stands for float32 too.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from tinyvae.derivation.parameters import Parameters
from tinyvae.types import Array

BITS = 8, 16, 32  # from the smallest page to the closest to the run; the last are float32
TYPES: dict[int, np.dtype[Any]] = {8: np.dtype("<i1"), 16: np.dtype("<i2"), 32: np.dtype("<f4")}


class Rounded(NamedTuple):
    """An array in few bits.

    Attributes:
        shape: of the array.
        codes: (R, C) int8, int16 or, exact to float32, float32.
        scales: (R,) float32; none, (0,), of float32.
    """

    shape: tuple[int, ...]
    codes: np.ndarray
    scales: np.ndarray

    @property
    def bits(self) -> int:
        """b, of each number."""
        return 8 * self.codes.dtype.itemsize


def rounded(array: Array, bits: int) -> Rounded:
    """An array in so many bits a number.

    Args:
        array: (..., C), whose rows are the last axis.
        bits: one of ``BITS``.
    """
    rows = np.asarray(array, np.float64).reshape(-1, array.shape[-1])
    if bits == BITS[-1]:
        return Rounded(array.shape, rows.astype(TYPES[bits]), np.empty(0, TYPES[32]))
    largest = 2 ** (bits - 1) - 1
    scales = (np.abs(rows).max(axis=1) / largest).astype(TYPES[32])
    divisors = np.where(scales > 0, scales, 1).astype(np.float64)
    codes = np.clip(np.rint(rows / divisors[:, None]), -largest, largest)
    return Rounded(array.shape, codes.astype(TYPES[bits]), scales)


def restored(array: Rounded) -> Array:
    """The numbers that stand for an array, float32 in its shape: what the page computes with."""
    codes = array.codes.astype(np.float32)
    return (codes * array.scales[:, None] if len(array.scales) else codes).reshape(array.shape)


def rounded_parameters(params: Parameters, bits: Mapping[str, int]) -> dict[str, Rounded]:
    """All parameters of a model, those that ``bits`` names in so many bits, and the others as float32."""
    return {name: rounded(array, bits.get(name, BITS[-1])) for name, array in params.items()}


def restored_parameters(params: Parameters, arrays: Mapping[str, Rounded]) -> Parameters:
    """Parameters like the given ones with the numbers that stand for theirs, in their dtype."""
    flat = np.concatenate([restored(arrays[name]).ravel() for name in params])
    return params.with_flat(flat.astype(params.flat.dtype))
