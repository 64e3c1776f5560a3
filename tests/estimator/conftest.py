"""The digits, and models that several files use as they are."""

import numpy as np
import pytest
from sklearn.datasets import load_digits

from tests.estimator.models import CONV, SMALL
from tinyvae import VAE


@pytest.fixture(scope="module")
def digits():
    """float32 between 0 and 1, and the labels."""
    bunch = load_digits()
    return np.float32(bunch.data / 16), bunch.target


@pytest.fixture(scope="module")
def fitted(digits):
    return VAE(**SMALL).fit(digits[0])


@pytest.fixture(scope="module")
def conv_fitted(digits):
    return VAE(**SMALL, **CONV).fit(digits[0])


@pytest.fixture(scope="module")
def conditional(digits):
    """A model of the digits under their names, and these."""
    X, y = digits
    names = np.array(["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"])[y]
    return VAE(n_components=5, hidden=(100,), conditional=True, max_epochs=60, random_state=0).fit(X, names), names
