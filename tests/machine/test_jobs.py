"""How work is cut into pieces: each is done once, and all of it. (What comes out of them: test_compiled.py.)"""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numba import njit

from tinyvae.machine import jobs, work_sharing

lengths = st.integers(0, 30)
steps = st.integers(1, 12)


@njit
def tile(*arguments):
    """``jobs.tile``, which is for kernels."""
    return jobs.tile(*arguments)


@njit
def rows_of(piece, rows):
    """``jobs.rows_of``, which is for kernels."""
    return jobs.rows_of(piece, rows)


@njit
def parts(total, step):
    """``jobs.parts``, which is for kernels."""
    return jobs.parts(total, step)


@given(lengths, lengths, steps, steps, st.booleans())
def test_tiles_cover_a_matrix_once(rows, columns, height, width, across_first):
    done = np.zeros((rows, columns), int)
    for piece in range(parts(rows, height) * parts(columns, width)):
        top, bottom, left, right = tile(piece, rows, columns, height, width, across_first)
        assert 0 < bottom - top <= height and 0 < right - left <= width
        done[top:bottom, left:right] += 1
    assert (done == 1).all()


@given(st.integers(0, 50), st.sampled_from([0, 1, 784, jobs.ELEMENTS, 3 * jobs.ELEMENTS]))
def test_pieces_of_rows_cover_an_array_once(rows, columns):
    array, done, piece = np.empty((rows, columns), np.float32), 0, 0
    while done < rows:
        first, last = rows_of(piece, array)
        assert first == done < last
        assert (last - first) * columns <= jobs.ELEMENTS or last == first + 1
        done, piece = last, piece + 1


def test_every_job_says_what_it_does():
    found = {name: value for name, value in vars(jobs).items() if isinstance(value, work_sharing.Job)}
    assert len(found) >= 13
    assert all(job.__doc__ != work_sharing.Job.__doc__ and job.__doc__ for job in found.values())
