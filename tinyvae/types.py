"""Names for what the signatures are made of. Shapes and dtypes, which types cannot say, are in the docstrings."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[np.floating[Any]]  # float32 or float64
Arrays: TypeAlias = Sequence[Array]  # one for each stochastic layer
Pair: TypeAlias = tuple[Array, Array]  # two that belong together, such as mu and logvar, or W and b
Layers: TypeAlias = Sequence[Pair]  # of a network: [(W, b), ...], or the derivatives by them
Labels: TypeAlias = NDArray[np.integer[Any]]
Shapes: TypeAlias = dict[str, tuple[int, ...]]  # {name: shape}
AnyPath: TypeAlias = str | Path
Maybe: TypeAlias = Array | Any  # None where it was not asked for: a caller knows, and need not look
Cache: TypeAlias = Any  # what a forward pass leaves to its backward pass: nobody else looks into it
