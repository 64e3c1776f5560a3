"""Uniform dequantisation: levels as the numbers that a density can be fitted to.

A density on grey levels v = 0 ... 255 means nothing: it can be as high as one likes on each of them. With uniform noise
u in [0, 1) for each number, x = (v + u) / 256 fills the unit interval, every level a cell of the width 1/256, and any
density p on it gives the level a probability P(v), what it has in the cell (Theis, van den Oord and Bethge 2016,
section 3.1). By Jensen's inequality

    E_u[log p(x)] <= log E_u[p(x)] = log P(v) + D log 256

so the density of dequantised levels, less D log 256, is a lower bound on the log probability of the levels themselves:
fit to be compared with what the likelihoods of levels say, and to be counted in bits. The noise of a training example
is drawn anew at every visit; that of a test example once, and in all runs alike whatever their seed, so that bounds are
of the same numbers.
"""

import dataclasses

import numpy as np
from numpy.typing import DTypeLike

from tinyvae.data.datasets import Dataset
from tinyvae.data.rows import Images
from tinyvae.derivation.levels import LEVELS
from tinyvae.errors import DataError
from tinyvae.machine import noise
from tinyvae.machine.noise import Stream
from tinyvae.training.binarisation import TEST_SEED, draw_once
from tinyvae.types import Array


def dequantise(dataset: Dataset) -> Dataset:
    """The data set with its test examples dequantised, once and for all.

    Args:
        dataset: Dataset.

    Returns: a Dataset, whose test examples are float32; those of a mapped file are drawn whenever they are asked for.

    Raises: DataError for values that are no grey levels.
    """
    if dataset.train.dtype != np.uint8:
        raise DataError(
            f"--dequantise needs grey levels or colours as uint8, and {dataset.name} holds {dataset.train.dtype}: "
            "store the levels 0 to 255 as uint8, or leave --dequantise out"
        )
    return dataclasses.replace(dataset, test=draw_once(dataset.test, draw, TEST_SEED, Stream.TEST_DEQUANTISATION))


def draw(
    images: Images, seed: int, stream: int, step: int = 0, first_example: int = 0, dtype: DTypeLike = np.float32
) -> Array:
    """x = (v + u) / 256: (N, D) in a dtype, from levels (N, D) uint8; other arguments as for ``noise.uniform``."""
    levels = np.asarray(images)
    u = noise.uniform((len(levels), 1, levels.shape[1]), seed, stream, step, first_example, dtype=dtype)[:, 0]
    return (levels + u) / np.asarray(LEVELS, dtype)


def centres(images: Images, dtype: DTypeLike) -> Array:
    """The middle of each level's cell, (v + 1/2) / 256: what a model of dequantised levels is shown of an image."""
    return (np.asarray(images) + np.asarray(0.5, dtype)) / np.asarray(LEVELS, dtype)
