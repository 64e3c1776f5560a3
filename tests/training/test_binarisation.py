"""Binary pixels: drawn with the right probabilities, once or at every visit, never from what is no probability."""

import dataclasses

import numpy as np
import pytest

from tinyvae.data.datasets import Dataset
from tinyvae.errors import DataError
from tinyvae.machine import noise
from tinyvae.machine.noise import Stream
from tinyvae.settings import CHOICES, Settings
from tinyvae.training.binarisation import binarise
from tinyvae.training.loop import Training


def dataset(train, test):
    return Dataset("toy", train, test, None, None, (1, train.shape[1]), "0" * 64)


GREY = dataset(
    np.repeat(np.array([[0, 51, 128, 204, 255]], np.uint8), 12_000, axis=0),
    np.repeat(np.array([[255, 0, 51, 51, 51]], np.uint8), 100, axis=0),
)


def test_pixels_are_drawn_with_their_intensity_as_probability():
    drawn = binarise(GREY, "static", seed=1)
    assert drawn.train.dtype == drawn.test.dtype == bool
    p = GREY.train[0] / 255
    error = np.sqrt(p * (1 - p) / 12_000)
    assert np.all(np.abs(drawn.train.mean(axis=0) - p) <= 4 * error)  # four standard errors; none for 0 and 1


def test_modes():
    drawn = {mode: binarise(GREY, mode, 1) for mode in CHOICES["binarise"]}
    assert set(drawn) == {"none", "static", "dynamic"} and drawn["none"] is GREY
    assert drawn["dynamic"].train is GREY.train and drawn["dynamic"].test.dtype == bool
    np.testing.assert_array_equal(drawn["dynamic"].test, drawn["static"].test)
    other = binarise(GREY, "static", 2)
    np.testing.assert_array_equal(other.test, drawn["static"].test)  # the test images of all runs are the same
    assert not np.array_equal(other.train, drawn["static"].train)


def test_draws_do_not_depend_on_chunks_but_on_the_seed():
    first = binarise(GREY, "static", 1).train
    p = (GREY.train[7000:7003] / 255).astype(np.float32)
    np.testing.assert_array_equal(noise.bernoulli(p, 1, Stream.BINARISATION, first_example=7000), first[7000:7003])
    assert not np.array_equal(first, binarise(GREY, "static", 2).train)


def test_each_step_draws_anew():
    p = np.full((50, 20), 0.5, np.float32)
    first, again, later = (noise.bernoulli(p, 1, Stream.BINARISATION, step) for step in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert 0.4 < np.mean(first != later) < 0.6
    assert first.dtype == np.float32 and set(np.unique(first)) == {0, 1}


def test_a_training_draws_anew_at_every_step():
    settings = Settings(latent=(2,), hidden=((4,),), batch_size=10, epochs=1, binarise="dynamic")
    state, rows = Training(settings, dataset(np.full((50, 20), 0.5), np.zeros((5, 20))), 1), np.arange(50)
    first = state._examples(rows)
    np.testing.assert_array_equal(first, state._examples(rows))
    state.step += 1
    assert 0.4 < np.mean(first != state._examples(rows)) < 0.6


def test_train_and_test_images_share_no_noise():
    """Though the seed of the training is that of all test images."""
    images = np.full((50, 20), 0.5)
    drawn = binarise(dataset(images, images), "static", seed=0)
    assert 0.4 < np.mean(drawn.train != drawn.test) < 0.6


@pytest.mark.parametrize("split", ["train", "test"])
def test_what_is_no_probability_is_refused(split):
    real = dataset(np.zeros((5, 3)), np.zeros((5, 3)))
    bad = dataclasses.replace(real, **{split: np.array([[0.5, -0.25, 3.0]])})
    with pytest.raises(DataError, match=r"toy: its values go from -0.25 to 3.*--binarise none"):
        binarise(bad, "static", 1)
