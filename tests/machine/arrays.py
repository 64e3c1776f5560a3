"""Random arrays for the machine room, of any shape and both dtypes, and compiled functions beside their twins."""

import numpy as np
from hypothesis import strategies as st

from tinyvae.machine import plain

TOLERANCE = {np.float32: 3e-5, np.float64: 1e-11}  # sums of some tens of rounded terms of order one

rows = st.integers(0, 5)
sizes = st.integers(1, 37)
samples = st.integers(1, 7)
dtypes = st.sampled_from(list(TOLERANCE))
seeds = st.integers(0, 2**32 - 1)


def random_arrays(seed, dtype, *shapes):
    """Standard normal numbers in arrays of these shapes."""
    rng = np.random.default_rng(seed)
    return [rng.standard_normal(shape).astype(dtype) for shape in shapes]


def unwritten(dtype, *shapes):
    """Arrays for results, full of what no result may keep and none may be added to."""
    return [np.full(shape, np.nan, dtype) for shape in shapes]


def wide(argument):
    """A copy in float64 of an array or of a tuple of arrays; any other argument as it is."""
    if isinstance(argument, tuple):
        return tuple(map(wide, argument))
    return argument.astype(np.float64) if isinstance(argument, np.ndarray) else argument


def arrays_in(arguments):
    """All arrays among arguments, also those in tuples."""
    if isinstance(arguments, np.ndarray):
        return [arguments]
    return [array for part in arguments for array in arrays_in(part)] if isinstance(arguments, (tuple, list)) else []


def beside_twin(name, function, *arguments):
    """Call a compiled function, and its twin of this name in ``plain`` on copies in float64.

    Returns: the arrays among the arguments, as the function left them, and as the twin left its copies.
    """
    copies = [wide(argument) for argument in arguments]
    function(*arguments)
    getattr(plain, name)(*copies)
    return arrays_in(arguments), arrays_in(copies)


def close(results, references, rtol=1, atol=1):
    """The results are the references, up to so many times the tolerance of their dtype."""
    for result, reference in zip(results, references, strict=True):
        unit = TOLERANCE[result.dtype.type]
        np.testing.assert_allclose(result, reference, rtol=rtol * unit, atol=atol * unit)
