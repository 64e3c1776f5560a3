"""All parameters of a model as one flat vector with named, shaped views.

The optimiser, the checkpoint and the gradient check each work on the one vector; the
derivation reads ``params["encoder.0.W"]``.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from tinyvae.types import Array


class Parameters(Mapping[str, Array]):
    """Named arrays that are views of one vector ``flat``; gradients have the same form.

    Args:
        shapes: {name: shape}, in the order in which the arrays stand in the vector.
        flat: (P,) the vector, used and not copied; by default a new one of zeros.
        dtype: float32 or float64, of a new vector.

    Raises: ValueError if ``flat`` has not as many numbers as the shapes need.
    """

    def __init__(self, shapes: Mapping[str, tuple[int, ...]], flat: Array | None = None, dtype: DTypeLike = np.float32):
        self.shapes = dict(shapes)
        sizes = [int(np.prod(shape)) for shape in self.shapes.values()]
        self.flat = np.zeros(sum(sizes), dtype) if flat is None else flat
        if self.flat.shape != (sum(sizes),):
            raise ValueError(f"the shapes need {sum(sizes)} numbers, the vector has the shape {self.flat.shape}")
        ends = np.cumsum(sizes)
        self._views = {
            name: self.flat[end - size : end].reshape(shape)
            for (name, shape), size, end in zip(self.shapes.items(), sizes, ends, strict=True)
        }
        self._parts: dict[str, dict[str, Array]] = {}
        for name, view in self._views.items():
            part, _, rest = name.partition(".")
            self._parts.setdefault(part, {})[rest] = view

    def __getitem__(self, name: str) -> Array:
        return self._views[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._views)

    def __len__(self) -> int:
        return len(self._views)

    def __reduce__(self) -> tuple[type, tuple[Any, ...]]:
        """What is copied and pickled: the one vector, of which the arrays are views again."""
        return type(self), (self.shapes, self.flat)

    def part(self, name: str) -> dict[str, Array]:
        """The arrays of one network, or of the prior: {"0.W": ``params["NAME.0.W"]``, ...}."""
        return self._parts[name]

    def with_flat(self, flat: Array) -> "Parameters":
        """Parameters of the same names and shapes over another vector."""
        return Parameters(self.shapes, flat)
