"""All parameters of a model as one flat vector with named, shaped views.

The optimiser, the checkpoint and the gradient check each work on the one vector; the
derivation reads ``params["encoder.0.W"]``.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from tinyvae import noise
from tinyvae.types import Array, Layers, Pair


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
        self._layers = _layers(self._views)

    def __getitem__(self, name: str) -> Array:
        return self._views[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._views)

    def __len__(self) -> int:
        return len(self._views)

    def layers(self, name: str) -> Layers:
        """The layers [(W, b), ...] of the network ``name``: the views ``name.0.W``, ``name.0.b``, ``name.1.W``, ..."""
        return self._layers[name]

    def cuts(self, parts: int) -> np.ndarray:
        """Where the flat vector is cut if the rows of each array are: the upper ones of all arrays, then the next, ...

        Returns: (n, 2) int64, the where each slice begins and ends, the same number of them for each part.
        """
        cuts = []
        for part in range(parts):
            end = 0
            for shape in self.shapes.values():
                start, rows, width = end, shape[0] if shape else 1, int(np.prod(shape[1:]))
                end += rows * width
                cuts.append([start + rows * i // parts * width for i in (part, part + 1)])
        return np.array(cuts, np.int64)

    def with_flat(self, flat: Array) -> "Parameters":
        """Parameters of the same names and shapes over another vector."""
        return Parameters(self.shapes, flat)


def _layers(views: Mapping[str, Array]) -> dict[str, list[Pair]]:
    networks: dict[str, list[Pair]] = {}
    for name, W in views.items():
        network, *layer = name.rsplit(".", 2)
        if layer[1:] == ["W"]:
            networks.setdefault(network, []).append((W, views[f"{network}.{layer[0]}.b"]))
    return networks


# AEVB, section 5, draws from N(0, 0.01). In a paper whose second argument of N is a variance throughout that is a
# standard deviation of 0.1; many readers and programs take 0.01 itself for it.
DEVIATIONS = {"aevb": 0.1, "aevb-narrow": 0.01}


def initialise(params: Parameters, scheme: str, seed: int) -> None:
    """Draw the weights ``*.W``, in place, and set the biases ``*.b`` to zero; every layer has a draw of its own.

    Args:
        params: Parameters.
        scheme: "glorot" (uniform, ± sqrt(6 / (I + J)); Glorot and Bengio 2010), or one of ``DEVIATIONS`` (normal).
        seed: integer.
    """
    for i, (name, array) in enumerate(params.items()):
        draw: dict[str, Any] = {"shape": (1, *array.shape), "seed": seed, "stream": noise.Stream.PARAMETERS, "step": i}
        if name.endswith(".b"):
            array[:] = 0
        elif name.endswith(".W") and scheme == "glorot":
            array[:] = (2 * noise.uniform(**draw)[0] - 1) * np.sqrt(6 / sum(array.shape))
        elif name.endswith(".W"):
            array[:] = DEVIATIONS[scheme] * noise.normal(**draw)[0]
