"""The two sets in colour that need no network: what is promised of them, found again from the pixels."""

import colorsys
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_sample_image

from tests.commands import python
from tinyvae.data import colour, datasets

ROOT = Path(__file__).parents[2]


def test_photos_are_patches_of_the_two_photographs():
    photos = datasets.load("photos")
    assert photos.data_shape == (16, 16, 3) and photos.train.dtype == np.uint8 and photos.n_labels == 0
    assert photos.train.shape == (23896, 768) and photos.test.shape == (416, 768)
    photographs = [load_sample_image(name) for name in colour.PHOTOGRAPHS]
    everywhere = {
        photograph[top : top + 16, left : left + 16].tobytes()
        for photograph in photographs
        for top in range(0, 412, 4)
        for left in range(0, 625, 4)
    }
    assert {patch.tobytes() for patch in photos.train} | {patch.tobytes() for patch in photos.test} <= everywhere


def test_no_pixel_of_a_photograph_is_in_both_sets(monkeypatch):
    """Found again in photographs whose pixels have each a colour of its own."""
    places = np.arange(427 * 640)
    numbered = np.stack([places % 256, places // 256 % 256, places // 256**2], axis=1).astype(np.uint8)
    for first in (True, False):
        others = np.full((427, 640, 3), 255, np.uint8)
        pair = [numbered.reshape(427, 640, 3), others][:: 1 if first else -1]
        monkeypatch.setattr(colour, "_photographs", lambda pair=pair: iter(pair))
        x_train, _, x_test, _ = colour.photos(None)
        used = []
        for patches in (x_train, x_test):
            number = patches.reshape(-1, 3).astype(np.int64) @ [1, 256, 256**2]
            used.append(set(number[number < 427 * 640]))
            if patches is x_test:  # nor is it in two test patches
                assert len(used[1]) == (number < 427 * 640).sum()
        assert not used[0] & used[1]
        columns = [{place % 640 for place in pixels} for pixels in used]
        assert len(columns[0]) == 4 * 128 and len(columns[1]) == 4 * 32
        assert columns[0] | columns[1] == set(range(640))


def test_a_limit_leaves_some_of_each_photograph():
    few = datasets.load("photos", limit=200).train.reshape(200, -1, 3).mean(axis=1)
    china, flower = (load_sample_image(name).mean(axis=(0, 1)) for name in colour.PHOTOGRAPHS)
    nearer = np.linalg.norm(few - china, axis=1) < np.linalg.norm(few - flower, axis=1)
    assert 50 < nearer.sum() < 150


def test_coloured_digits_are_what_their_factors_say():
    coloured, digits = datasets.load("coloured-digits"), datasets.load("digits")
    assert coloured.data_shape == (8, 8, 3) and coloured.train.dtype == np.uint8
    for labels, own in ((digits.train_labels, coloured.train_labels), (digits.test_labels, coloured.test_labels)):
        np.testing.assert_array_equal(np.tile(labels, 10), own)
    for pictures, once, factors in zip((coloured.train, coloured.test), (digits.train, digits.test), factors_of_both()):
        grey = np.tile(once, (10, 1))
        assert len(pictures) == len(factors.hue) == len(factors.background) == len(factors.label)
        for picture, a, hue, background in zip(pictures, grey, factors.hue, factors.background):
            stroke = np.array(colorsys.hsv_to_rgb(hue, 1, 1))
            expected = 255 * ((1 - a[:, None]) * background + a[:, None] * stroke)
            np.testing.assert_allclose(picture.reshape(64, 3), expected, atol=0.51)


def factors_of_both():
    return colour.coloured_digits_factors()


def test_the_factors_are_spread_and_do_not_depend_on_each_other():
    coloured = datasets.load("coloured-digits")
    train, test = factors_of_both()
    np.testing.assert_array_equal(train.label, coloured.train_labels)
    np.testing.assert_array_equal(test.label, coloured.test_labels)
    assert 0 <= train.hue.min() < 0.01 and 0.99 < train.hue.max() < 1
    assert (
        set(train.background) == {colour.DARK, colour.LIGHT} and 0.45 < (train.background == colour.DARK).mean() < 0.55
    )
    correlations = np.corrcoef([train.hue, train.background, train.label])
    assert np.abs(correlations - np.eye(3)).max() < 0.08


def test_they_are_the_same_on_every_machine_for_ever():
    """The digits' numbers are in everybody's saved runs. The photographs are JPEG, whose last bits are a decoder's."""
    assert datasets.load("coloured-digits").digest == "4f13626883a587d35ca9e0800aa129ab7ca186e9fe82e9afe1bc61ac43c90af9"
    np.testing.assert_allclose(datasets.load("photos").train.mean(), 106.97, atol=0.1)


@pytest.mark.parametrize("name", ["photos", "coloured-digits"])
def test_they_are_read_without_scikit_learn_or_by_it(monkeypatch, name):
    load = f"import sys; from tinyvae.data import datasets; datasets.load('{name}')"
    result = python("-c", f"{load}; assert 'sklearn' not in sys.modules", cwd=ROOT)
    assert result.returncode == 0, result.stderr
    own = datasets.load(name)
    monkeypatch.setattr(datasets, "bundled", lambda *_: None)
    assert datasets.load(name).digest == own.digest
