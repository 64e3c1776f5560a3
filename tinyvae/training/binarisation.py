"""From stored images to a network's input: intensities, or pixels drawn with those intensities as probabilities.

A model of binary images is trained and judged on draws. There are three conventions, and bounds under one cannot be
compared with bounds under another:

* "none": the grey levels themselves (AEVB);
* "static": every image is drawn once, before training;
* "dynamic": an image is drawn anew at every visit (IWAE).

Test images are drawn once, and in all runs alike whatever their seed: bounds after different epochs, and of different
runs, are of the same images.
"""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinyvae.data.datasets import Dataset, to_float
from tinyvae.data.rows import Images, Rows, extremes
from tinyvae.errors import DataError
from tinyvae.machine import noise
from tinyvae.machine.noise import Stream

TEST_SEED = 0  # of the test images' draw, in all runs
CHUNK = 5000  # examples drawn at a time: bounds the memory
Draw = Callable[..., np.ndarray]  # as ``draw``


@dataclass(frozen=True, eq=False)
class Drawn(Rows):
    """What is drawn of ``Rows`` when it is asked for, since all of it may be more than memory holds: the same at every
    time, for the noise of an example is that of its place.

    Attributes:
        array: Rows with the values.
        order: (N,) int64, places in them.
        file: theirs.
        draw: as for ``draw_once``.
        seed, stream: of the noise.
    """

    draw: Draw
    seed: int
    stream: int

    @property
    def dtype(self) -> np.dtype[Any]:
        """That of what is drawn."""
        return self.draw(self.array[:1], self.seed, self.stream).dtype

    def _read(self, order: np.ndarray) -> np.ndarray:
        if not order.ndim:
            return self._read(order[None])[0]
        drawn = np.empty((len(order), *self.shape[1:]), self.dtype)
        breaks = np.flatnonzero(np.diff(order) != 1) + 1  # neighbours are drawn together
        for places, images, out in zip(*(np.split(a, breaks) for a in (order, self.array[order], drawn))):
            if len(places):
                out[:] = self.draw(images, self.seed, self.stream, first_example=int(places[0]))
        return drawn


def binarise(dataset: Dataset, mode: str, seed: int, test_seed: int = TEST_SEED) -> Dataset:
    """The data set with everything drawn that is drawn only once: both splits, or with "dynamic" the test images.

    Args:
        dataset: datasets.Dataset.
        mode: one of the three.
        seed: of the training images' draw.
        test_seed: of the test images'.

    Returns: a Dataset, whose drawn images are bool; those of a mapped file are drawn whenever they are asked for.

    Raises: DataError if there are intensities outside [0, 1] to draw from.
    """
    if mode == "none":
        return dataset
    for split in (dataset.train, dataset.test):
        if not len(split) or split.dtype.kind != "f":
            continue  # grey levels and bits lie between 0 and 1, and need not be read to know it
        lowest, highest = to_float(extremes(split))
        if lowest < 0 or highest > 1:
            raise DataError(
                f"cannot draw binary pixels from {dataset.name}: its values go from {lowest:g} to {highest:g}, and "
                "probabilities lie between 0 and 1; rescale the data, or use --binarise none"
            )
    test = draw_once(dataset.test, draw, test_seed, Stream.TEST_BINARISATION)
    train = draw_once(dataset.train, draw, seed, Stream.BINARISATION) if mode == "static" else dataset.train
    return dataclasses.replace(dataset, train=train, test=test)


def draw(images: Images, seed: int, stream: int, step: int = 0, first_example: int = 0) -> np.ndarray:
    """Binary pixels (N, D) bool, with intensities (N, D) for probabilities; other arguments as ``noise.bernoulli``."""
    return noise.bernoulli(to_float(images), seed, stream, step, first_example).astype(bool)


def draw_once(images: Images, draw: Draw, seed: int, stream: int) -> Images:
    """All that is drawn of the images (N, D), once and for all.

    Args:
        images: (N, D).
        draw: function (images, seed, stream, first_example=...) -> array of the same shape.
        seed, stream: of the noise.
    """
    if isinstance(images, Rows):
        return Drawn(images, np.arange(len(images)), images.file, draw, seed, stream)
    starts = range(0, max(len(images), 1), CHUNK)
    return np.concatenate([draw(images[i : i + CHUNK], seed, stream, first_example=i) for i in starts])
