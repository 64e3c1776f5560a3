"""Data sets: MNIST, the Frey faces, scikit-learn's digits, and a user's own NumPy files.

``load`` gives every one of them in the same form: flattened images, split into a training and a test set, in the type
in which they are stored. Nothing is rescaled or clipped on the way; ``to_float`` makes pixel intensities of the values.
"""

import difflib
import hashlib
import importlib.util
import operator
import os
from collections.abc import Iterator
from dataclasses import dataclass
from math import isqrt
from pathlib import Path

import numpy as np
from numpy.typing import DTypeLike

from tinyvae.data import downloads, formats, rows
from tinyvae.data.rows import Images
from tinyvae.errors import DataError
from tinyvae.settings import DATASETS
from tinyvae.types import AnyPath, Array

READERS = {".npy": lambda path: (formats.read_npy(path), None), ".npz": formats.read_npz}
ACCEPTED = (
    f"Accepted are: {', '.join(DATASETS)}, an .npy file with an array (N, D), (N, height, width) or (N, height, width, "
    "3), or an .npz file with such an array x and, if you like, its labels y (N,)."
)
DTYPES = "uint8 (grey levels 0 to 255), bool (black and white), float32 or float64"
Pieces = tuple[Images, np.ndarray | None, Images, np.ndarray | None]  # as ``split`` makes them
MOST_CLASSES = 10_000  # more are no classes but measurements, and would ask for a table of that many rows


@dataclass(frozen=True, eq=False)
class Dataset:
    """A data set: arrays or, of an ``.npy`` file, the places of its images in it.

    Attributes:
        name: "mnist", "frey", "digits" or, of a file, its name without the suffix.
        train: (N, D) uint8 (grey levels 0 to 255), bool, float32 or float64; array or rows.Rows.
        test: (M, D), of the same type.
        train_labels: (N,) int64 from 0 to n_labels - 1, places in ``classes``; or None.
        test_labels: (M,) int64, also; or None.
        data_shape: of an example: (height, width), or (height, width, 3) in colour, D numbers in all. For a file's
            (N, D): a square if D is one, else (1, D).
        digest: SHA-256 over types, shapes and values of all of these arrays, the labels as they were given, in
            hexadecimal.
        n_labels: the number of different labels in both sets; 0 without labels.
        classes: (n_labels,) int64, the labels as they were given, sorted; None without labels.
        notes: sentences on the labels, for the person who trains with them.
    """

    name: str
    train: Images
    test: Images
    train_labels: np.ndarray | None
    test_labels: np.ndarray | None
    data_shape: tuple[int, ...]
    digest: str
    n_labels: int = 0
    classes: np.ndarray | None = None
    notes: tuple[str, ...] = ()


def load(source: AnyPath, data_dir: AnyPath | None = None, limit: int | None = None) -> Dataset:
    """Load a data set by its name, or a user's file.

    - ``mnist``: uint8, (60,000, 784) and (10,000, 784), with its labels and its own split.
    - ``frey``: uint8, 1,965 faces of 28 x 20 pixels.
    - ``digits``: float32, 1,797 digits of 8 x 8 pixels with labels; scikit-learn's grey levels 0 to 16, divided by 16.
    - a file: ``.npy`` with an array (N, D) or (N, height, width), or ``.npz`` with such an array ``x`` and, possibly,
      integer labels ``y`` (N,); an ``.npz`` with one array alone may call it anything. The array is uint8, bool,
      float32 or float64; float16 becomes float32. Other types are refused: their scale is anyone's guess.

    An ``.npy`` file may be larger than memory: its images are read when they are needed, and it must stay as it is as
    long as they are (``rows.Rows``). One in Fortran order, in another machine's byte order or of float16 is read whole,
    as every ``.npz`` is.

    All but MNIST are split by one rule: the examples in the order of ``RandomState(0).permutation(N)`` (whose numbers
    NumPy has promised never to change), of which the first tenth, rounded half up and at least one, is the test set.

    MNIST and Frey are looked for in ``data_dir``, in the folder that $TINYVAE_DATA names and in the user's cache
    folder, else downloaded into the last (see ``tinyvae.data.downloads``).

    Labels may be any whole numbers from 0. The model counts its classes from 0, in their order: where the labels do
    not, or some are in the test set only, a note says so.

    Args:
        source: str, a name or a file's path; "~" is the home folder.
        data_dir: str or Path of a data folder, or None.
        limit: keep the first so many training examples, or None for all.

    Returns: Dataset.

    Raises: DataError if the source is unknown, damaged, or cannot be downloaded; if it has no two examples, values that
        are not finite, another type or rank; or if the labels do not fit.
    """
    source = str(source)
    if limit is not None and operator.index(limit) < 1:
        raise DataError(f"a limit of {limit} training examples leaves nothing to train on: it must be 1 or more")
    if source in DATASETS:
        pieces = DATASETS[source](data_dir)
        with formats.explained(source, f"This is what settings.DATASETS[{source!r}] gives."):
            return _dataset(source, pieces, limit)
    path = _existing(source)
    with formats.explained(path, ACCEPTED):
        x, y = READERS[path.suffix.lower()](path)
        images = _checked_images(x)
        if y is not None:
            _require_labels(y, len(images))
        return _dataset(path.stem, split(images, y), limit)


def to_float(images: Images, dtype: DTypeLike = np.float32) -> Array:
    """Pixel intensities.

    Args:
        images: array of any shape, or rows.Rows: uint8 (divided by 255), bool (0 and 1) or floats (as they are).
        dtype: float32 or float64.

    Returns: array of the same shape, of type ``dtype``; ``images`` itself if nothing is to be done.
    """
    images = np.asarray(images)
    if images.dtype == np.uint8:
        return np.divide(images, 255, dtype=dtype)
    return images.astype(dtype, copy=False)


def mnist(data_dir: AnyPath | None) -> Pieces:
    """MNIST, with its own split."""
    x_train, y_train, x_test, y_test = downloads.obtain("mnist", data_dir)
    return x_train, y_train, x_test, y_test


def frey(data_dir: AnyPath | None) -> Pieces:
    """The Frey faces."""
    (faces,) = downloads.obtain("frey", data_dir)
    return split(faces, None)


def digits(data_dir: AnyPath | None) -> Pieces:
    """scikit-learn's digits, which are at hand wherever it is installed."""
    table = _digits_table()
    return split((table[:, :-1] / 16).astype(np.float32).reshape(-1, 8, 8), table[:, -1].astype(np.int64))


def _digits_table() -> np.ndarray:
    """(1797, 65): the grey levels of each digit and its label, from scikit-learn's file.

    To import scikit-learn for it takes seconds, which is done only where the file is not in its place.
    """
    package = importlib.util.find_spec("sklearn")
    path = Path(package.origin).with_name("datasets") / "data" / "digits.csv.gz" if package and package.origin else None
    if path and path.is_file():
        return np.loadtxt(path, delimiter=",")
    from sklearn.datasets import load_digits

    return np.column_stack(load_digits(return_X_y=True))


def _existing(source: str) -> Path:
    """The path of a user's file, which exists and has a suffix that can be read."""
    path = Path(os.path.expanduser(source))  # as a shell does, where it is not quoted
    if not os.path.exists(path):
        nearest = difflib.get_close_matches(source.lower(), DATASETS, n=1)
        hint = f" Did you mean {nearest[0]}?" if nearest else ""
        raise DataError(f"{source[:200]!r} is neither a data set's name nor a file.{hint}\n{ACCEPTED}")
    if not os.path.isfile(path):
        raise DataError(f"{path}: it is a folder, a pipe or a device, not a file.\n{ACCEPTED}")
    if path.suffix.lower() not in READERS:
        raise DataError(f"{path}: files with the suffix {path.suffix!r} cannot be read.\n{ACCEPTED}")
    return path


def _checked_images(x: np.ndarray) -> np.ndarray:
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
    if x.dtype not in (np.uint8, np.bool_, np.float32, np.float64):
        raise DataError(f"its array is of type {x.dtype}: convert it to {DTYPES}")
    if len(x) < 2:
        raise DataError(
            f"the number of its examples is {len(x)}: at least 2 are needed, one to train on and one to test on"
        )
    if x.size == 0:
        raise DataError(f"its examples are empty (shape {x.shape})")
    if x.dtype == np.uint8 and x.max() == 1:
        raise DataError(
            "its array is uint8 with no value above 1, which would mean black and nearly black (1/255). "
            "Save it as bool: x.astype(bool)"
        )
    if x.dtype.kind == "f":
        _require_finite(x)
    if x.ndim > 2:
        return x
    side = isqrt(x.shape[1])
    return x.reshape(len(x), *((side, side) if side**2 == x.shape[1] else (1, -1)))


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


def _require_labels(y: np.ndarray, n: int) -> None:
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


def split(x: np.ndarray, y: np.ndarray | None) -> Pieces:
    """(x_train, y_train, x_test, y_test) by the rule in ``load``."""
    order = np.random.RandomState(0).permutation(len(x))
    n_test = max(1, (len(x) + 5) // 10)
    test, train = order[:n_test], order[n_test:]
    x_train, x_test = rows.select(x, train), rows.select(x, test)
    return (x_train, None, x_test, None) if y is None else (x_train, y[train], x_test, y[test])


def _dataset(name: str, pieces: Pieces, limit: int | None) -> Dataset:
    """The data set of ``pieces``, or DataError (the reason alone)."""
    x_train, y_train, x_test, y_test = pieces
    train, test = rows.flat(x_train[:limit]), rows.flat(x_test)
    if y_train is None and y_test is None:
        return Dataset(name, train, test, None, None, x_train.shape[1:], _digest(train, test))
    if y_train is None or y_test is None:
        raise DataError("it has labels for one of the training and test sets, and not for the other")
    for y, x in ((y_train, x_train), (y_test, x_test)):
        _require_labels(y, len(x))
    y_train, y_test = y_train.astype(np.int64), y_test.astype(np.int64)
    classes = np.unique(np.concatenate([y_train, y_test]))  # of all examples: they are the same for every limit
    if len(classes) > MOST_CLASSES:
        raise DataError(f"its labels y have {len(classes):,} values: at most {MOST_CLASSES:,} classes are taken")
    y_train = y_train[:limit]
    return Dataset(
        name,
        train,
        test,
        np.searchsorted(classes, y_train),
        np.searchsorted(classes, y_test),
        x_train.shape[1:],
        _digest(train, test, y_train, y_test),
        len(classes),
        classes,
        tuple(_notes(classes, np.setdiff1d(classes, y_train))),
    )


def _digest(*arrays: Images) -> str:
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(f"{array.dtype.str} {array.shape} ".encode())
        for block in rows.blocks(array):
            digest.update(block.data)
    return digest.hexdigest()


def _notes(classes: np.ndarray, unseen: np.ndarray) -> Iterator[str]:
    """What should be known of labels that do not count from 0, and of those that are in no training example."""
    if not np.array_equal(classes, np.arange(len(classes))):
        yield f"the labels ({_listed(classes)}) are numbered from 0 to {len(classes) - 1}, in this order"
    if len(unseen):
        yield f"some labels ({_listed(unseen)}) are in no training example: a conditional model cannot learn them"


def _listed(labels: np.ndarray) -> str:
    return ", ".join([*map(str, labels[:5]), "...", str(labels[-1])] if len(labels) > 7 else map(str, labels))
