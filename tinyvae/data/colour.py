"""Two small data sets in colour that need no network: patches of scikit-learn's photographs, and its digits in hues."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from tinyvae.data import datasets, picture_files
from tinyvae.data.rows import Pieces
from tinyvae.types import AnyPath, Array

PHOTOGRAPHS = ("china.jpg", "flower.jpg")  # 640 x 427 pixels each
PATCH = 16  # pixels of a patch's side
STEP, TEST_STEP = 4, 16  # pixels from one patch to the next; those of the test do not overlap
STRIPS = 128, 160  # columns 0 to 127 of each 160 are for training, 128 to 159 for the test
PAINTINGS = 10  # of each digit
DARK, LIGHT = 0.1, 0.9  # grey levels behind the digits


class Factors(NamedTuple):
    """What the pictures of coloured digits were made of.

    Attributes:
        hue: (N,) float64 in [0, 1), of the strokes, which are of full saturation: 0 red, 1/3 green, 2/3 blue.
        background: (N,) float64, DARK or LIGHT.
        label: (N,) int64, the digit.
    """

    hue: Array
    background: Array
    label: np.ndarray


def photos(data_dir: AnyPath | None) -> Pieces:
    """Patches of 16 x 16 pixels, uint8 (23896, 16, 16, 3) and (416, 16, 16, 3), without labels.

    They stand in vertical strips, four for training and four for the test in each photograph: no pixel is in both sets.
    The training's stand on a grid of 4 pixels. The test's lie side by side, so that none of their pixels is in two of
    them and could be copied from one to the other. Within a set they are shuffled, so that ``limit`` leaves some of
    each photograph.
    """
    train, test = [], []
    for photograph in _photographs():
        # (rows of patches, columns of patches, 3, 16, 16)
        patches = np.lib.stride_tricks.sliding_window_view(photograph, (PATCH, PATCH), (0, 1))
        left = np.arange(patches.shape[1]) % STRIPS[1]
        right = left + PATCH
        is_train, is_test = (right <= STRIPS[0]) & (left % STEP == 0), (left >= STRIPS[0]) & (right <= STRIPS[1])
        train.append(_as_examples(patches[::STEP, is_train]))
        test.append(_as_examples(patches[::TEST_STEP, is_test & ((left - STRIPS[0]) % TEST_STEP == 0)]))
    return _shuffled(np.concatenate(train)), None, _shuffled(np.concatenate(test)), None


def _photographs() -> Iterator[np.ndarray]:
    """(427, 640, 3) uint8 each, without importing scikit-learn where its files are in their place."""
    for name in PHOTOGRAPHS:
        path = datasets.bundled("images", name)
        if path is not None:
            yield picture_files.read(path)[0]
        else:
            from sklearn.datasets import load_sample_image

            yield load_sample_image(name)


def _as_examples(patches: np.ndarray) -> np.ndarray:
    return patches.transpose(0, 1, 3, 4, 2).reshape(-1, PATCH, PATCH, 3)


def _shuffled(images: np.ndarray) -> np.ndarray:
    return images[np.random.RandomState(0).permutation(len(images))]


def coloured_digits(data_dir: AnyPath | None) -> Pieces:
    """scikit-learn's digits, uint8 (16170, 8, 8, 3) and (1800, 8, 8, 3), split as ``digits`` are, with their labels.

    Each digit is painted ten times, in other colours: all of them once, then all once more. A pixel of the intensity a,
    from 0 to 1, is (1 - a) background + a stroke, in each of the colours.
    """
    x_train, _, x_test, _ = datasets.digits(data_dir)
    train, test = coloured_digits_factors()
    x_train, x_test = (np.tile(np.asarray(x), (PAINTINGS, 1, 1)) for x in (x_train, x_test))
    return _painted(x_train, train), train.label, _painted(x_test, test), test.label


def coloured_digits_factors() -> tuple[Factors, Factors]:
    """What each picture of ``coloured_digits`` was made of, to judge a latent space by: (training set, test set)."""
    _, y_train, _, y_test = datasets.digits(None)
    assert y_train is not None and y_test is not None
    y_train, y_test = np.tile(y_train, PAINTINGS), np.tile(y_test, PAINTINGS)
    n = len(y_train)
    hue, coin = np.random.RandomState(0).rand(2, n + len(y_test))
    background = np.where(coin < 0.5, DARK, LIGHT)
    return Factors(hue[:n], background[:n], y_train), Factors(hue[n:], background[n:], y_test)


def _painted(digits: datasets.Images, factors: Factors) -> np.ndarray:
    """Digits (N, H, W), from 0 to 1, in the colours of their factors: (N, H, W, 3) uint8."""
    # the hexagon of hues: red, green and blue are 1 within a sixth of the circle of their own hue, 0 beyond a third
    distance = np.abs((6 * factors.hue[:, None] - [0, 2, 4] + 3) % 6 - 3)
    stroke = np.clip(2 - distance, 0, 1)[:, None, None, :]
    a, background = np.asarray(digits, np.float64)[..., None], factors.background[:, None, None, None]
    return np.rint(255 * ((1 - a) * background + a * stroke)).astype(np.uint8)
