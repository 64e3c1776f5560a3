"""What is taken for images and for labels, and what should be known of labels."""

from collections.abc import Iterator
from math import isqrt

import numpy as np

from tinyvae.data import rows
from tinyvae.errors import DataError

DTYPES = "uint8 (grey levels 0 to 255), bool (black and white), float32 or float64"


def checked_images(x: np.ndarray) -> np.ndarray:
    """A user's array as (N, H, W) or (N, H, W, 3) in one of DTYPES, or DataError (the reason alone)."""
    if x.ndim not in (2, 3) and not (x.ndim == 4 and x.shape[3] in (1, 3)):
        raise DataError(
            f"its array has the shape {x.shape}: expected is (N, D), (N, height, width) or, in colour, "
            "(N, height, width, 3)"
        )
    if x.ndim == 4 and x.shape[3] == 1:
        x = x[..., 0]
    if x.dtype == np.float16:
        x = x.astype(np.float32, subok=False)
    if len(x) < 2:
        raise DataError(
            f"the number of its examples is {len(x)}: at least 2 are needed, one to train on and one to test on"
        )
    require_values(x)
    if x.ndim > 2:
        return x
    side = isqrt(x.shape[1])
    return x.reshape(len(x), *((side, side) if side**2 == x.shape[1] else (1, -1)))


def require_values(x: np.ndarray) -> None:
    """DataError (the reason alone) for a type that is none of DTYPES, no values, or such as stand for nothing."""
    if x.dtype not in (np.uint8, np.bool_, np.float32, np.float64):
        raise DataError(f"its array is of type {x.dtype}: convert it to {DTYPES}")
    if x.size == 0:
        raise DataError(f"its examples are empty (shape {x.shape})")
    if x.dtype == np.uint8 and x.max() == 1:
        raise DataError(
            "its array is uint8 with no value above 1, which would mean black and nearly black (1/255). "
            "Save it as bool: x.astype(bool)"
        )
    if x.dtype.kind == "f":
        _require_finite(x)


def _require_finite(x: np.ndarray) -> None:
    """DataError (the reason alone) if there are values that are none, which counts them."""
    count, passed, where = 0, 0, None
    for block in rows.blocks(x):
        bad = ~np.isfinite(block)
        if where is None and bad.any():
            n, *place = np.unravel_index(bad.argmax(), bad.shape)
            where = ", ".join(map(str, (passed + n, *place)))
        count, passed = count + bad.sum(), passed + len(block)
    if count:
        raise DataError(f"{count} of its values are infinite or not a number, the first at [{where}]")


def require_labels(y: np.ndarray, n: int) -> None:
    """DataError (the reason alone) for what are no labels of n examples."""
    if y.shape != (n,):
        column, rows = y.shape == (n, 1), y.ndim == 2 and len(y) == n
        cure = ". Save y.ravel()" if column else ". Of rows with a single 1, save y.argmax(axis=1)" if rows else ""
        raise DataError(f"its labels y have the shape {y.shape}: expected is ({n},), one for each example in x{cure}")
    if y.dtype.kind not in "iu":
        whole = y.dtype.kind == "b" or (y.dtype.kind == "f" and np.isfinite(y).all() and (y == np.rint(y)).all())
        cure = ". They are whole numbers: save y.astype(int)" if whole else ""
        raise DataError(f"its labels y are of type {y.dtype}: expected are integers{cure}")
    if n and (y.min() < 0 or y.max() > np.iinfo(np.int64).max):
        raise DataError(f"its labels y go from {y.min()} to {y.max()}: number the classes 0, 1, 2, ...")


def label_notes(classes: np.ndarray, unseen: np.ndarray) -> Iterator[str]:
    """What should be known of labels that do not count from 0, and of those that are in no training example."""
    if not np.array_equal(classes, np.arange(len(classes))):
        yield f"the labels ({_listed(classes)}) are numbered from 0 to {len(classes) - 1}, in this order"
    if len(unseen):
        yield f"some labels ({_listed(unseen)}) are in no training example: a conditional model cannot learn them"


def _listed(labels: np.ndarray) -> str:
    return ", ".join([*map(str, labels[:5]), "...", str(labels[-1])] if len(labels) > 7 else map(str, labels))
