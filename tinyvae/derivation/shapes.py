"""What does not fit together is refused, before a kernel would read what is not there."""

import numbers

import numpy as np

from tinyvae.types import Array, Labels


def misfit(wanted: str, *arrays: Array) -> ValueError:
    """The error to raise: what is ``wanted``, and the shapes that the arrays have."""
    found = ", ".join(str(np.shape(array)) for array in arrays) or "none"
    return ValueError(f"{wanted} are needed, not {found}")


def require_count(name: str, value: object, least: int = 1) -> None:
    """ValueError for what is no whole number, or below the least."""
    if not isinstance(value, numbers.Integral) or isinstance(value, bool) or value < least:
        limit = f"above {'zero' if least == 1 else least - 1}" if least else "that is not below zero"
        raise ValueError(f"{name}={value!r}: a whole number {limit} is needed")


def require_labels(y: Labels | None, N: int, n_labels: int) -> None:
    """ValueError unless there is a label 0 ... C - 1 for each of N examples, or none at all where C = 0."""
    if not n_labels:
        if y is not None:
            raise ValueError("labels y are given, and the model has none")
        return
    if y is None:
        raise ValueError(f"a model of {n_labels} labels needs y, the label of each example")
    y = np.asarray(y)
    if y.shape != (N,) or y.dtype.kind not in "iu":
        raise ValueError(f"labels y ({N},) of whole numbers are needed, not {y.shape} of {y.dtype}")
    if N and not 0 <= y.min() <= y.max() < n_labels:
        raise ValueError(f"labels y from 0 to {n_labels - 1} are needed, not from {y.min()} to {y.max()}")
