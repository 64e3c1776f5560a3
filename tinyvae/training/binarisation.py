"""From stored images to a network's input: intensities, or pixels drawn with those intensities as probabilities.

A model of binary images is trained and judged on draws. There are three conventions, and bounds under one cannot be
compared with bounds under another:

* "none": the grey levels themselves (AEVB);
* "static": every image is drawn once, before training;
* "dynamic": an image is drawn anew at every visit (IWAE). Test images are drawn once, so that the bounds after
  different epochs are of the same images.
"""

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinyvae.data.datasets import Dataset, to_float
from tinyvae.data.rows import Images, Rows, extremes
from tinyvae.errors import DataError
from tinyvae.machine import noise
from tinyvae.machine.noise import Stream

CHUNK = 5000  # examples drawn at a time: bounds the memory


@dataclass(frozen=True, eq=False)
class Drawn(Rows):
    """The pixels of ``Rows``, which are drawn when they are asked for, since all of them may be more than memory holds:
    the same at every time, for the noise of an example is that of its place.

    Attributes:
        array: Rows with the intensities.
        order: (N,) int64, places in them.
        file: theirs.
        seed, stream: of the noise.
    """

    seed: int
    stream: int

    @property
    def dtype(self) -> np.dtype[Any]:
        """Always bool."""
        return np.dtype(bool)

    def _read(self, order: np.ndarray) -> np.ndarray:
        if not order.ndim:
            return self._read(order[None])[0]
        drawn = np.empty((len(order), *self.shape[1:]), bool)
        breaks = np.flatnonzero(np.diff(order) != 1) + 1  # neighbours are drawn together
        for places, images, out in zip(*(np.split(a, breaks) for a in (order, self.array[order], drawn))):
            if len(places):
                out[:] = noise.bernoulli(to_float(images), self.seed, self.stream, first_example=int(places[0]))
        return drawn


def binarise(dataset: Dataset, mode: str, seed: int) -> Dataset:
    """The data set with everything drawn that is drawn only once: both splits, or with "dynamic" the test images.

    Args:
        dataset: datasets.Dataset.
        mode: one of the three.
        seed: integer.

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
    test = _draw_once(dataset.test, seed, Stream.TEST_BINARISATION)
    train = _draw_once(dataset.train, seed, Stream.BINARISATION) if mode == "static" else dataset.train
    return dataclasses.replace(dataset, train=train, test=test)


def _draw_once(images: Images, seed: int, stream: int) -> Images:
    if isinstance(images, Rows):
        return Drawn(images, np.arange(len(images)), images.file, seed, stream)
    drawn = np.empty(images.shape, bool)
    for i in range(0, len(images), CHUNK):
        drawn[i : i + CHUNK] = noise.bernoulli(to_float(images[i : i + CHUNK]), seed, stream, first_example=i)
    return drawn
