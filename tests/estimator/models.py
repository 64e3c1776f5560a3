"""Small models of digits, and what makes two of them the same."""

import numpy as np

from tests.commands import call

SMALL = {"n_components": 3, "hidden": (16,), "max_epochs": 3, "random_state": 0}
# The images of the digits fixture, through two small layers of convolutions.
CONV = {
    "network": "conv",
    "activation": "relu",
    "channels": (3, 4),
    "kernel": 3,
    "data_shape": (8, 8),
    "n_importance_samples": 20,
}


def same(a, b):
    """Whether two fits are the same, bit for bit."""
    return np.array_equal(a.params_.flat, b.params_.flat) and a.history_ == b.history_


def trained(path, *words):
    """The folder of a small run of the command."""
    words = ("digits", "--limit", 300, "--hidden", 16, "--batch-size", 60, *words, "--out", path, "--quiet")
    result = call(*words)
    assert result.returncode == 0, result.stderr
    return path
