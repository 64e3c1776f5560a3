"""What a checkpoint says of a training: how far it has come, and whose it is."""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tinyvae.disk.run import Row
from tinyvae.errors import RunError
from tinyvae.settings import Settings

# The attributes of Training that say how far it has come.
PROGRESS = {"epoch": int, "position": int, "step": int, "samples_seen": int, "epoch_total": float, "seconds": float}


def origin(settings: Settings, history: Sequence[Row]) -> dict[str, Any]:
    """What a checkpoint says of where it comes from: the settings it was trained with, and the end of its history, as
    text, since JSON has no name for a bound that is infinite.
    """
    last = [repr(float(history[-1][name])) for name in ("train_bound", "test_bound")] if history else []
    return {"settings": dataclasses.asdict(settings), "last_bounds": last}


def require_arrays(
    arrays: Mapping[str, np.ndarray], wanted: Mapping[str, tuple[tuple[int, ...], np.dtype[Any]]]
) -> None:
    """Raise a RunError unless the arrays of a checkpoint are the wanted ones, {name: (shape, dtype)}, with numbers."""
    for name in sorted(wanted.keys() | arrays.keys()):
        there = (arrays[name].shape, arrays[name].dtype.newbyteorder("=")) if name in arrays else None
        if there != wanted.get(name):
            words = [f"{kind[1]} {kind[0]}" if kind else "missing" for kind in (there, wanted.get(name))]
            raise RunError(f"the checkpoint is of another model: {name} is {words[0]} there and {words[1]} here")
        # what an optimiser has squared may be infinite: under Adagrad it stands still then, under Adam the next step
        # makes it no number, and the run stops there
        if not (np.isfinite(arrays[name]) if name == "params" else ~np.isnan(arrays[name])).all():
            raise RunError(f"the checkpoint has values in {name} that are not numbers")


def require_progress(state: Mapping[str, Any]) -> None:
    """Raise a RunError unless the state of a checkpoint says, with numbers, how far the training was."""
    for name, kind in PROGRESS.items():
        value = state.get(name)
        if not (
            (kind is int and type(value) is int and 0 <= value < 2**62)
            or (kind is float and isinstance(value, float) and math.isfinite(value))
        ):
            raise RunError(f"the checkpoint says that {name} is {repr(value)[:100]}")
