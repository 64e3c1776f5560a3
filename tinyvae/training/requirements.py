"""Which settings go with which data: errors for people, before any computation."""

import math
from typing import Any

import numpy as np

from tinyvae.data.datasets import Dataset, on_levels, to_float
from tinyvae.data.rows import Images, blocks, extremes
from tinyvae.errors import DataError, UserError
from tinyvae.settings import LIKELIHOODS, NETWORKS, Settings
from tinyvae.types import Array


def require_fit(settings: Settings, dataset: Dataset) -> None:
    """Raise a DataError or a UserError where the settings do not suit the data."""
    N = len(dataset.train)
    if settings.batch_size > N:
        raise UserError(
            f"--batch-size {settings.batch_size} is more than the {N} training examples of {dataset.name}: "
            f"use --batch-size {N} or less"
        )
    network = NETWORKS[settings.network][0]
    dimensions = network.data_dimensions
    # a file (N, D) whose D is no square is a row of D pixels; strings have their steps, be it one
    is_row = dataset.vocabulary is None and 1 in dataset.data_shape[:2]
    if dimensions and (is_row or len(dataset.data_shape) not in dimensions):
        raise DataError(
            f"{dataset.name} has rows of {math.prod(dataset.data_shape)} numbers, and nobody says where they stand; "
            f"--network {settings.network} needs {network.data_words}: store them so, or leave it out"
        )
    if "kernel" in network.own_settings:
        require_room(settings, dataset.data_shape)
    if settings.conditional and dataset.n_labels == 0:
        raise DataError(
            f"{dataset.name} has no labels, and --conditional needs them: store them as y beside x in an .npz file, or "
            "leave --conditional out"
        )
    likelihood = LIKELIHOODS[settings.likelihood]
    if likelihood.channels not in (None, *dataset.data_shape[2:]):
        raise DataError(
            f"{dataset.name} is not in colour, and --likelihood {settings.likelihood} is of red, green and blue: use "
            "--likelihood logistic-mixture"
        )
    lowest, highest = likelihood.support
    for images in filter(len, (dataset.train, dataset.test)):
        if images.dtype.kind != "f" and lowest <= 0 and highest >= 1:
            continue  # grey levels and bits lie between 0 and 1, and need not be read to know it
        smallest, largest = to_float(extremes(images), np.float64)
        if smallest < lowest or largest > highest:
            raise DataError(
                f"{dataset.name} has values from {smallest:g} to {largest:g}, but the {settings.likelihood} likelihood "
                f"describes values from {lowest:g} to {highest:g}: rescale the data, or store grey levels as uint8"
            )
    require_values(dataset.name, settings.likelihood, dataset.data_shape, dataset.train, dataset.test)


def require_room(settings: Settings, data_shape: tuple[int, ...]) -> None:
    """Raise a UserError for windows of which the most part would never see more than the margin of an image."""
    sides = data_shape[:2]
    for layer in range(1, len(settings.channels) + 1):
        if settings.kernel >= 2 * max(sides):
            channels = ",".join(map(str, settings.channels))
            raise UserError(
                f"--kernel {settings.kernel} is twice as wide as the {sides[0]} x {sides[1]} pixels that layer {layer} "
                f"of --channels {channels} looks at: make it smaller, or name fewer channels"
            )
        sides = tuple(-(-side // settings.stride) for side in sides)


def require_values(name: str, likelihood: str, data_shape: tuple[int, ...], *parts: Images) -> None:
    """Raise a DataError for values within the ends of a likelihood that it describes none the less not.

    Args:
        name: of the data, for the message.
        likelihood, data_shape, parts: as for ``are_described``.
    """
    if are_described(likelihood, data_shape, *parts):
        return
    if likelihood == "categorical":
        raise DataError(
            f"{name} is not of symbols: the categorical likelihood takes each {data_shape[-1]} numbers of an example "
            "for a step, of which one is 1 and the others are 0\nGive the examples the shape (steps, symbols), or use "
            "another likelihood."
        )
    raise DataError(
        f"{name} has values between the 256 levels 0, 1/255, ..., 1, and the {likelihood} likelihood gives "
        "probabilities to these alone: store the levels as uint8, or use --likelihood gaussian"
    )


def require_range(name: str, dtype: np.dtype[Any], smallest: float, largest: float) -> None:
    """Raise a DataError for values, of which the smallest and the largest are given, that a dtype does not hold."""
    with np.errstate(over="ignore"):
        beyond = [value for value in (smallest, largest) if not np.isfinite(np.asarray(value).astype(dtype))]
    if beyond:
        raise DataError(
            f"{name} have a value of {beyond[0]:g}, which is too large for {dtype}, in which this model computes: look "
            "for a value that lies far out, or rescale them"
        )


def are_described(likelihood: str, data_shape: tuple[int, ...], *parts: Images) -> bool:
    """Whether a likelihood describes all values within its ends that there are.

    Args:
        likelihood: its name. Those of levels know 256 alone, "categorical" one symbol at each step.
        data_shape: of an example.
        parts: (N, D) each, as data sets hold them.
    """
    if likelihood == "categorical":
        return all(_are_symbols(to_float(block), data_shape[-1]) for part in parts for block in blocks(part))
    levels = LIKELIHOODS[likelihood].levels
    return levels != 256 or all(on_levels(images, levels) for images in parts)


def _are_symbols(images: Array, V: int) -> bool:
    steps = images.reshape(-1, V)
    return bool(np.isin(steps, (0, 1)).all() and (steps.sum(axis=1) == 1).all())
