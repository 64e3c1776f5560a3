"""Comparisons of two evaluations: what is compared with what."""

import numpy as np
import pytest

from tinyvae import compare
from tinyvae.errors import UserError


def evaluated(run, each, samples):
    """An evaluation as ``compare.read`` gives it."""
    same = {"quantity": "log p(x)", "unit": "nats per example", "pixels that are drawn": (False, False)}
    digests = {"test examples": "1", "data": "2"}
    about = {"run": run, "protocol": None, "samples": samples, "digests": digests, "same": same}
    return about | {"each": np.array(each, float)}


def test_estimates_by_different_numbers_of_samples_are_not_compared():
    """A model would be better than itself: fewer samples understate log p(x) by more."""
    few, many = evaluated("runs/my vae", [-9, -8, -7], 5), evaluated("runs/iwae", [-8, -7], 1000)
    for pair, counts in (((few, many), ("5", "1,000")), ((many, few), ("1,000", "5"))):
        with pytest.raises(UserError) as caught:
            compare.compare(*pair)
        assert f"log p(x) is by {counts[0]} samples in the one and {counts[1]} in the other" in str(caught.value)
        cure = "python -m tinyvae.evaluate 'runs/my vae' --samples 1000 --limit 3"
        assert str(caught.value).endswith(cure)
    assert compare.compare(few, few)["difference"] == 0


def test_a_tie_is_not_better():
    pair = compare.compare(evaluated("a", [-3, -2, -1, -5], 5), evaluated("b", [-3, -1, -1, -6], 5))
    assert pair["better_in"] == 0.25
