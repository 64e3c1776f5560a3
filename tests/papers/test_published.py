"""The published figures, as the package ships them."""

import pytest

from tinyvae.papers import published


def test_the_curves_of_figure_2():
    seen, bound = published.aevb("mnist", 20, "test")
    assert len(seen) == len(bound) == 24 and seen == sorted(seen)
    assert -150 < bound[0] < -140 and bound[-1] == pytest.approx(-100, abs=1)
    for n in (3, 5, 10, 20, 200):
        assert published.aevb("mnist", n, "train")[1][-1] > published.aevb("mnist", n, "train")[1][0]
    for n in (2, 5, 10, 20):
        assert max(published.aevb("frey", n, "test")[1]) > 500
    assert published.aevb("mnist", 4, "test") == ([], [])


def test_table_1():
    assert published.iwae(1, 1, "vae") == (86.76, "19") == published.iwae(1, 1, "iwae")
    assert published.iwae(2, 50, "iwae") == (82.90, "26+7")
    with pytest.raises(ValueError, match="has no vae of 3 stochastic layers with k = 1"):
        published.iwae(3, 1, "vae")
