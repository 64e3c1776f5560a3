"""Behind the door: what is refused there, and how a vector is cut for its update."""

from tinyvae.machine import compiled, plain
from tinyvae.machine.matrix_products import BLOCKS


def test_the_rows_of_each_array_are_cut_and_nothing_is_missed():
    shapes = [(7, 3), (2,), (1, 5), ()]
    parts = compiled.parts_of(shapes)
    assert len(parts) == BLOCKS * len(shapes)
    assert sorted(i for first, last in parts for i in range(first, last)) == list(range(29))
    upper = parts[: len(shapes)]  # the first part has the upper rows of every array, whole rows
    assert [first for first, _ in upper] == [0, 21, 23, 28]
    assert all((last - first) % width == 0 for (first, last), width in zip(upper, (3, 1, 5, 1)))
    assert plain.parts_of(shapes) is None
