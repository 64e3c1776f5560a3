"""From stored images to a network's input: intensities, or pixels drawn with those intensities as probabilities.

A model of binary images is trained and judged on draws. There are three conventions, and bounds under one cannot be
compared with bounds under another:

* "none": the grey levels themselves (AEVB);
* "static": every image is drawn once, before training;
* "dynamic": an image is drawn anew at every visit (IWAE). Test images are drawn once, so that the bounds after
  different epochs are of the same images.
"""

import dataclasses

import numpy as np

from tinyvae.data.datasets import Dataset, to_float
from tinyvae.errors import DataError
from tinyvae.machine import noise
from tinyvae.machine.noise import Stream

CHUNK = 5000  # examples drawn at a time: bounds the memory


def binarise(dataset: Dataset, mode: str, seed: int) -> Dataset:
    """The data set with everything drawn that is drawn only once: both splits, or with "dynamic" the test images.

    Args:
        dataset: datasets.Dataset.
        mode: one of the three.
        seed: integer.

    Returns: a Dataset, whose drawn images are bool.

    Raises: DataError if there are intensities outside [0, 1] to draw from.
    """
    if mode == "none":
        return dataset
    for split in filter(len, (dataset.train, dataset.test)):
        lowest, highest = (to_float(np.array([[v]], split.dtype)).item() for v in (split.min(), split.max()))
        if lowest < 0 or highest > 1:
            raise DataError(
                f"cannot draw binary pixels from {dataset.name}: its values go from {lowest:g} to {highest:g}, and "
                "probabilities lie between 0 and 1; rescale the data, or use --binarise none"
            )
    test = _draw_once(dataset.test, seed, Stream.TEST_BINARISATION)
    train = _draw_once(dataset.train, seed, Stream.BINARISATION) if mode == "static" else dataset.train
    return dataclasses.replace(dataset, train=train, test=test)


def _draw_once(images: np.ndarray, seed: int, stream: int) -> np.ndarray:
    drawn = np.empty(images.shape, bool)
    for i in range(0, len(images), CHUNK):
        drawn[i : i + CHUNK] = noise.bernoulli(to_float(images[i : i + CHUNK]), seed, stream, first_example=i)
    return drawn
