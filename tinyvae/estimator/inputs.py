"""What X and y mean to a VAE: their types and their scale, what is refused, and where a UserWarning is due."""

import numbers
import sys
import warnings
from typing import Any

import numpy as np
from sklearn.utils import check_consistent_length, column_or_1d

from tinyvae.data.datasets import to_float
from tinyvae.settings import LIKELIHOODS
from tinyvae.types import Array, Labels

NUMBERS = (numbers.Real, np.bool_)
NEARLY_BLACK = (
    "X is uint8 with no value above 1, which means black and nearly black (1/255): if it is black and white, pass "
    "X.astype(bool)"
)
NARROW, WIDE = 0.05, 20.0  # the standard deviation of the widest column, for which a VAE need not wait long
INSIDE = ("tinyvae", "sklearn", "joblib")  # where nobody who uses a VAE looks for what a warning is of


def warn(message: str) -> None:
    """A UserWarning of the line that called, be it through scikit-learn."""
    level, frame = 1, sys._getframe()
    while frame.f_back and frame.f_globals.get("__name__", "").partition(".")[0] in INSIDE:
        level, frame = level + 1, frame.f_back
    warnings.warn(message, stacklevel=level)


# ---------------------------------------------------------------------------------------------------------------------
# X
# ---------------------------------------------------------------------------------------------------------------------


def as_floats(X: np.ndarray) -> Array:
    """Numbers as they are, in the machine's byte order: float32 for float16 and float32, else float64."""
    if X.dtype.kind not in "biuf":
        raise ValueError(f"X is of type {X.dtype}: numbers are needed")
    with np.errstate(over="ignore"):
        floats = X.astype(np.float32 if X.dtype.kind == "f" and X.dtype.itemsize <= 4 else np.float64, copy=False)
    if X.dtype.itemsize > 8 and not np.isfinite(floats).all():
        raise ValueError("X has a value that is too large for float64, in which a VAE computes at most: rescale it")
    return floats


def require_unmasked(name: str, values: Any) -> None:
    """ValueError for a masked array of NumPy with masked entries, whose mask would be lost."""
    if np.ma.is_masked(values):
        raise ValueError(
            f"{name} has {np.ma.count_masked(values)} masked values, and a VAE wants all of them: leave these examples "
            "out, or fill them in"
        )


def float_type(X: np.ndarray) -> np.dtype[Any]:
    """What X, as a data set holds it, is computed in: its own type, or the command's float32."""
    return X.dtype if X.dtype.kind == "f" else np.dtype(np.float32)


def ends(X: np.ndarray) -> Array:
    """The smallest and the largest of the intensities."""
    return to_float(np.array([X.min(), X.max()]), float_type(X))


def span(X: np.ndarray) -> str:
    """The same in words, with all digits: 1.0000001 is not 1."""
    smallest, largest = (str(end).removesuffix(".0") for end in ends(X))
    return f"from {smallest} to {largest}"


def is_unit(X: np.ndarray) -> bool:
    """Whether all intensities lie between 0 and 1."""
    smallest, largest = ends(X)
    return bool(smallest >= 0 and largest <= 1)


def is_whole(X: np.ndarray) -> bool:
    """Whether the intensities are whole numbers from 0 to more than 1, which may be grey levels or not."""
    smallest, largest = ends(X)
    return smallest >= 0 and largest > 1 and all(np.array_equal(row, np.rint(row)) for row in X)


def is_nearly_black(X: np.ndarray) -> bool:
    """Whether uint8 holds what may be meant for black and white."""
    return bool(X.dtype == np.uint8 and X.max() == 1)


def require_support(X: np.ndarray, likelihood: str, by_auto: bool = False) -> None:
    """ValueError for values that the likelihood, which may have been chosen by "auto", does not describe."""
    (lowest, highest), (smallest, largest) = LIKELIHOODS[likelihood].support, ends(X)
    if smallest < lowest or largest > highest:
        message = (
            f'X has values {span(X)}, but likelihood="{likelihood}" describes values from {lowest:g} to {highest:g}: '
            "rescale X (grey levels / 255), clip it (MinMaxScaler(clip=True) does both), or set "
            'likelihood="gaussian-linear"'
        )
        if by_auto:
            message += f' and fit again ("auto" chose "{likelihood}" since the X that was fitted lay between 0 and 1)'
        raise ValueError(message)


def require_scale(X: np.ndarray, likelihood: str, is_auto: bool) -> None:
    """ValueError for an X to be fitted that is nearly black; a UserWarning where it may have another scale than was
    meant, or one that is far from what a model starts from, ``is_auto`` being whether "auto" chose the likelihood.
    """
    if is_nearly_black(X):
        raise ValueError(NEARLY_BLACK)
    if X.dtype == np.uint8 and 0 < X.max() < 128:
        warn(
            f"X is uint8 with no value above {X.max()}, less than half of the 255 by which it is divided: if white "
            f"is another level, divide by that, as in X / {X.max()}",
        )
    if is_auto and is_whole(X):
        warn(
            f'X holds whole numbers {span(X)}, which likelihood="auto" takes as they are, with '
            '"gaussian-linear". If they are grey levels, divide them by that of white, or pass them as uint8 '
            'if that is 255; if they are not, set likelihood="gaussian-linear".',
        )
    elif likelihood == "gaussian-linear":
        deviations = to_float(X, float_type(X)).std(axis=0, dtype=np.float64)  # also of columns far from 0
        widest = int(deviations.argmax())
        if not NARROW <= deviations[widest] <= WIDE and deviations[widest] > 0:
            warn(
                f"the columns of X have standard deviations up to {deviations[widest]:.3g} (column {widest}), and a "
                "VAE starts from 1: what is far from that takes many more epochs to learn. Standardise the columns, "
                "as StandardScaler does.",
            )


def compare_scales(X: np.ndarray, was_unit: bool | None) -> None:
    """A UserWarning where X may have another scale than the X that was fitted; ``was_unit`` is whether that one lay
    between 0 and 1, if it is known.
    """
    if is_nearly_black(X):
        warn(NEARLY_BLACK)
    elif X.dtype == np.uint8 and was_unit is False:
        warn(
            "X is uint8 and is divided by 255, but the X that was fitted went beyond 0 to 1: pass it in the scale "
            "of that one, with X.astype(float) if that had grey levels from 0 to 255",
        )
    elif was_unit and is_whole(X):
        warn(
            f"X holds whole numbers {span(X)}, which are taken as they are, but the X that was fitted lay "
            "between 0 and 1: if these are grey levels, divide them by that of white, or pass them as uint8 if "
            "that is 255",
        )


# ---------------------------------------------------------------------------------------------------------------------
# y
# ---------------------------------------------------------------------------------------------------------------------


def read_labels(y: Any, name: str = "y") -> np.ndarray:
    """Labels as (N,) numbers, bools or strings, or ValueError."""
    if y is None:
        raise ValueError(
            "a VAE with conditional=True requires y to be passed, but the target y is None: give each example its label"
        )
    require_unmasked(name, y)
    # of a frame's own types, as pandas' Int64, NumPy would make floats
    y = column_or_1d(y if isinstance(getattr(y, "dtype", None), np.dtype) else np.asarray(y, object))
    y = y.astype(object) if y.dtype.kind == "T" else y  # NumPy's strings of any length
    if y.dtype == object:  # of which NumPy would make strings, if one of them is
        kinds = {
            "a string" if isinstance(label, str) else "a number" if isinstance(label, NUMBERS) else "neither": label
            for label in y
        }
        if "neither" in kinds:
            raise ValueError(f"{name} has {kinds['neither']!r} for a label: whole numbers, strings or bools are needed")
        if len(kinds) > 1:
            both = " and ".join(f"{label!r} ({kind})" for kind, label in kinds.items())
            raise ValueError(f"{name} has labels of two types, {both}: use one, as in [str(label) for label in y]")
        require_int64(name, [label for label in y if isinstance(label, numbers.Integral)])
        # the text of a string, and not the name of one that is a member of an Enum
        y = np.array([str.__str__(label) if isinstance(label, str) else label for label in y.tolist()])
    if y.dtype.kind == "u":
        require_int64(name, [y.max()] if len(y) else [])
    if y.dtype.kind not in "biufU":
        raise ValueError(f"{name} is of type {y.dtype}: whole numbers, strings or bools are needed")
    if y.dtype.kind == "f" and not np.isfinite(y).all():
        raise ValueError(f"{name} has {y[~np.isfinite(y)][0]} for a label: give each example its label")
    return y


def require_int64(name: str, labels: list[Any]) -> None:
    """ValueError for whole numbers that would become floats, of which some are the same."""
    for label in labels:
        if not -(2**63) <= int(label) < 2**63:
            raise ValueError(
                f"{name} has {label} for a label, which is beyond the whole numbers of 64 bits: use strings, as in "
                "[str(label) for label in y]"
            )


def require_same_classes(classes: Any, known: np.ndarray) -> None:
    """ValueError for other classes than those that a model has."""
    if np.unique(read_labels(classes, "classes")).tolist() != known.tolist():
        raise ValueError(f"classes={classes!r} are not those of the first call, {known.tolist()}: leave them out")


def places_of(y: Any, classes: np.ndarray, X: np.ndarray) -> Labels:
    """The places of the labels of X in the classes: (N,) int."""
    y = read_labels(y)
    check_consistent_length(X, y)
    are_alike = (y.dtype.kind == "U") == (classes.dtype.kind == "U")  # texts and numbers have no order
    if (unknown := ~np.isin(y, classes) if are_alike else np.full(len(y), True)).any():
        raise ValueError(
            f"y has the label {y[unknown].tolist()[0]!r}, which is not among those of this VAE: "
            f"{', '.join(map(repr, classes[:20].tolist()))}{', ...' if len(classes) > 20 else ''}"
        )
    return np.searchsorted(classes, y)
