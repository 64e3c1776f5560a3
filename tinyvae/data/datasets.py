"""Data sets: those with a name, and a user's own NumPy files, folders of pictures and files of strings.

``load`` gives every one of them in the same form: flattened images, split into a training and a test set, in the type
in which they are stored. Nothing is rescaled or clipped on the way; ``to_float`` makes pixel intensities of the values.
Strings become sequences of symbols, and each symbol a row of bits of which one is set.
"""

import difflib
import hashlib
import importlib.util
import json
import operator
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from tinyvae.data import arrays, downloads, formats, layouts, rows, sequences, text_files
from tinyvae.data.grammar import Grammar
from tinyvae.data.grammar_files import read_grammar
from tinyvae.data.rows import Images, Pieces, blocks
from tinyvae.data.sequences import Strings, Vocabulary
from tinyvae.errors import DataError
from tinyvae.settings import DATASETS
from tinyvae.types import AnyPath, Array

READERS = {".npy": lambda path: (formats.read_npy(path), None, ()), ".npz": formats.read_npz}
ACCEPTED = (
    f"Accepted are: {', '.join(DATASETS)}, an .npy file with an array (N, D), (N, height, width) or (N, height, width, "
    "3), an .npz file with such an array x and, if you like, its labels y (N,), a .txt file with a string a line, or a "
    "folder of pictures, of IDX files (Fashion-MNIST's, for example) or of CIFAR's binary version."
)
TEXT = ".txt"
MOST_CLASSES = 10_000  # more are no classes but measurements, and would ask for a table of that many rows


@dataclass(frozen=True, eq=False)
class Dataset:
    """A data set: arrays or, of an ``.npy`` file, the places of its images in it.

    Attributes:
        name: a name in ``settings.DATASETS`` or, of a file or a folder, its own, without the suffix.
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
        notes: sentences on the data, for the person who trains with them.
        pictures: how a folder of pictures was read, {"size": ..., "grey": ..., "skip_broken": ...} as ``load`` takes
            them; None of all else.
        vocabulary: of sequences of T of V symbols: what these are. ``data_shape`` is (T, V), ``train`` and ``test`` are
            bool, and an example has one True for each step. None of all else.
        grammar: of strings that have one, whether they are taken for its rules or for their characters. None of all
            else.
        limit: so many training examples are the first of more; None where they are all.
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
    pictures: Mapping[str, Any] | None = None
    vocabulary: Vocabulary | None = None
    grammar: Grammar | None = None
    limit: int | None = None


def load(
    source: AnyPath,
    data_dir: AnyPath | None = None,
    limit: int | None = None,
    size: int | None = None,
    grey: bool = False,
    skip_broken: bool = False,
    grammar: AnyPath | Grammar | None = None,
    characters: bool = False,
) -> Dataset:
    """Load a data set by its name, or a user's file or folder.

    - ``mnist``: uint8, (60,000, 784) and (10,000, 784), with its labels and its own split.
    - ``frey``: uint8, 1,965 faces of 28 x 20 pixels.
    - ``digits``: float32, 1,797 digits of 8 x 8 pixels with labels; scikit-learn's grey levels 0 to 16, divided by 16.
    - ``photos`` and ``coloured-digits``: uint8 in colour, with a split of their own (``colour``).
    - ``expressions`` and ``expressions-unsolved``: arithmetic, as rules of its grammar or as characters
      (``expressions``, ``sequences``).
    - a file: ``.npy`` with an array (N, D) or (N, height, width), or ``.npz`` with such an array ``x`` and, possibly,
      integer labels ``y`` (N,); an ``.npz`` with one array alone may call it anything. The array is uint8, bool,
      float32 or float64; float16 becomes float32. Other types are refused: their scale is anyone's guess.
    - a file ``.txt``, in UTF-8, with a string a line: as characters, or as rules of the grammar that is given.
    - a folder of pictures: uint8 in colour, or grey where none has a colour, with the subfolders for labels
      (``pictures``).
    - a folder with the IDX files of a relative of MNIST, or with CIFAR's binary version, with its own split
      (``layouts``); where it has the IDX files of several sets, one of these files names the one that is meant.

    An ``.npy`` file may be larger than memory: its images are read when they are needed, and it must stay as it is as
    long as they are (``rows.Rows``). One in Fortran order, in another machine's byte order or of float16 is read whole,
    as every ``.npz`` is.

    Those without a split of their own are split by one rule: the examples in the order of
    ``RandomState(0).permutation(N)`` (whose numbers NumPy has promised never to change), of which the first tenth,
    rounded half up and at least one, is the test set.

    MNIST and Frey are looked for in ``data_dir``, in the folder that $TINYVAE_DATA names and in the user's cache
    folder, else downloaded into the last (see ``tinyvae.data.downloads``).

    Labels may be any whole numbers from 0. The model counts its classes from 0, in their order: where the labels do
    not, or some are in the test set only, a note says so.

    Args:
        source: str, a name or a path; "~" is the home folder.
        data_dir: str or Path of a data folder, or None.
        limit: keep the first so many training examples, or None for all.
        size: S, of a folder of pictures: crop each to a square and resize it to S x S pixels; None to leave them.
        grey: of a folder of pictures: weigh their colours to one grey level.
        skip_broken: of a folder of pictures: leave out those that cannot be read.
        grammar: of strings: take them for rules of this one, a file (``grammar_files``) or a Grammar.
        characters: of strings that have a grammar: take them for characters.

    Returns: Dataset.

    Raises: DataError if the source is unknown, damaged, or cannot be downloaded; if it has no two examples, values that
        are not finite, another type or rank; if the labels do not fit; if a string does not parse, or in two ways; if
        ``size``, ``grey`` or ``skip_broken`` are asked for and it is no folder of pictures, or ``grammar`` or
        ``characters`` and it has no strings.
    """
    source = str(source)
    if limit is not None and operator.index(limit) < 1:
        raise DataError(f"a limit of {limit} training examples leaves nothing to train on: it must be 1 or more")
    if size is not None and operator.index(size) < 1:
        raise DataError(f"a size of {size} pixels leaves nothing to see: it must be 1 or more")
    if grammar and characters:
        raise DataError("--grammar takes strings for rules and --characters for characters: leave one of them out")
    if isinstance(grammar, (str, Path)):
        grammar = read_grammar(grammar)
    reading = {"size": size, "grey": grey, "skip_broken": skip_broken}
    wording = {"grammar": grammar, "characters": characters}
    if source in DATASETS:
        _require_pictures(source, reading)
        pieces = DATASETS[source](data_dir)
        with formats.explained(source, f"This is what settings.DATASETS[{source!r}] gives."):
            if isinstance(pieces, Strings):
                return _sequences(source, pieces, limit, grammar, characters)
            _require_strings(source, wording)
            return _dataset(source, _checked(pieces), limit)
    path = _existing(source)
    if path.suffix.lower() == TEXT and not os.path.isdir(path):
        _require_pictures(source, reading)
        with formats.explained(path, "Its lines are taken for strings, one a line."):
            strings, lines, notes = text_files.read_strings(path)
            return _sequences(path.stem, Strings(strings, lines=lines, notes=notes), limit, grammar, characters)
    _require_strings(source, wording)
    with formats.explained(path, ACCEPTED):
        published = layouts.read(path) if os.path.isdir(path) or layouts.is_idx(path) else None
    if os.path.isdir(path) and not published:
        return _pictures(path, limit, reading)
    _require_pictures(source, reading)
    with formats.explained(path, ACCEPTED):
        if published:
            dataset = _dataset(layouts.name(path), _checked(published), limit)
            others = layouts.unread(path)
            left_out = [f"IDX files that stay unread: {', '.join(others)}"] if others else []
            return replace(dataset, notes=(*left_out, *dataset.notes))
        x, y, others = READERS[path.suffix.lower()](path)
        images = arrays.checked_images(x)
        if y is not None:
            arrays.require_labels(y, len(images))
        dataset = _dataset(path.stem, split(images, y), limit)
    left_out = [f"{formats.listed(others)} of {path.name} stay{'s' * (len(others) == 1)} unread"] if others else []
    return replace(dataset, notes=(*left_out, *dataset.notes))


def _checked(pieces: Pieces) -> Pieces:
    """The same, or DataError (the reason alone) for images that are none, or not alike."""
    x_train, _, x_test, _ = pieces
    if x_train.shape[1:] != x_test.shape[1:]:
        raise DataError(f"its training images have the shape {x_train.shape[1:]}, its test images {x_test.shape[1:]}")
    for x in (x_train, x_test):
        arrays.require_values(np.asarray(x))
    return pieces


def _pictures(folder: Path, limit: int | None, reading: Mapping[str, Any]) -> Dataset:
    """The data set of a folder of pictures, read as ``load`` is told to."""
    from tinyvae.data import pictures  # and Pillow, which only this needs

    images, y, notes = pictures.load(folder, **reading)
    with formats.explained(folder, pictures.ACCEPTED):
        dataset = _dataset(layouts.name(folder), _checked(split(images, y)), limit)
    return replace(dataset, notes=(*notes, *dataset.notes), pictures=reading)


def _require_pictures(source: str, reading: Mapping[str, Any]) -> None:
    """DataError for what is asked of a folder of pictures, and the source is none."""
    if asked := _asked(reading):
        hint = f" (for the folder of that name, say {os.curdir}{os.sep}{source})" if os.path.isdir(source) else ""
        raise DataError(f"{asked} can be asked of a folder of pictures only, and {source} is none: leave it out{hint}")


def _require_strings(source: str, wording: Mapping[str, Any]) -> None:
    """DataError for what is asked of strings, and the source has none."""
    if asked := _asked(wording):
        raise DataError(f"{asked} can be asked of strings only, and {source} has none: leave it out")


def _asked(options: Mapping[str, Any]) -> str:
    """The options that have a value, as the command names them."""
    return ", ".join(f"--{name.replace('_', '-')}" for name, value in options.items() if value)


def _sequences(name: str, source: Strings, limit: int | None, grammar: Grammar | None, characters: bool) -> Dataset:
    """The data set of strings, or DataError (the reason alone)."""
    grammar = grammar or source.grammar
    if len(source.strings) < 2:
        raise DataError(f"the number of its strings is {len(source.strings)}: at least 2 are needed")
    vocabulary, codes = (
        sequences.as_characters(source.strings)
        if grammar is None or characters
        else sequences.as_rules(source, grammar)
    )
    dataset = _dataset(name, split(vocabulary.one_hot(codes), None), limit)
    meaning = np.frombuffer(json.dumps(vocabulary.to_json()).encode(), np.uint8)  # the same bits may be other strings
    notes = (*source.notes, *dataset.notes)
    return replace(
        dataset,
        digest=digest(dataset.train, dataset.test, meaning),
        notes=notes,
        vocabulary=vocabulary,
        grammar=grammar,
    )


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


def on_levels(images: Images, levels: int) -> bool:
    """Whether all intensities of images are among 0, 1 / (levels - 1), ..., 1, up to their rounding."""
    if images.dtype == np.bool_ or (images.dtype == np.uint8 and levels == 256):
        return True  # which need not be read to know it
    steps = (to_float(block, np.float64) * (levels - 1) for block in blocks(images))
    return all((np.abs(block - np.rint(block)) < 1e-3).all() for block in steps)


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
    """(1797, 65): the grey levels of each digit and its label, from scikit-learn's file."""
    if path := bundled("data", "digits.csv.gz"):
        return np.loadtxt(path, delimiter=",")
    from sklearn.datasets import load_digits

    return np.column_stack(load_digits(return_X_y=True))


def bundled(folder: str, name: str) -> Path | None:
    """The path of a file that comes with scikit-learn's data sets; None where it is not in its place.

    To import scikit-learn takes seconds: that is for where there is no path.
    """
    package = importlib.util.find_spec("sklearn")
    path = Path(package.origin).with_name("datasets") / folder / name if package and package.origin else None
    return path if path and path.is_file() else None


def _existing(source: str) -> Path:
    """The path of a user's folder, or of a file that has a suffix that can be read or is named as IDX files are."""
    expanded = os.path.expanduser(source)  # as a shell does, where it is not quoted
    path = Path(expanded)
    if not os.path.exists(expanded):  # of no letters a Path would be this folder
        nearest = difflib.get_close_matches(source.lower(), DATASETS, n=1)
        hint = f" Did you mean {nearest[0]}?" if nearest else ""
        raise DataError(f"{source[:200]!r} is neither a data set's name nor a file or a folder.{hint}\n{ACCEPTED}")
    if os.path.isdir(path):
        return path
    if not os.path.isfile(path):
        raise DataError(f"{path}: it is a pipe or a device, not a file.\n{ACCEPTED}")
    if path.suffix.lower() not in (*READERS, TEXT) and not layouts.is_idx(path):
        raise DataError(f"{path}: files with the suffix {path.suffix!r} cannot be read.\n{ACCEPTED}")
    return path


def split(x: np.ndarray, y: np.ndarray | None) -> Pieces:
    """(x_train, y_train, x_test, y_test) by the rule in ``load``."""
    order = np.random.RandomState(0).permutation(len(x))
    n_test = max(1, (len(x) + 5) // 10)
    test, train = order[:n_test], order[n_test:]
    x_train, x_test = rows.select(x, train), rows.select(x, test)
    return (x_train, None, x_test, None) if y is None else (x_train, y[train], x_test, y[test])


def unsplit(x: np.ndarray) -> np.ndarray:
    """The (N, ...) that ``split`` made a training and a test set of, one after the other, in the order before."""
    train, _, test, _ = split(np.arange(len(x)), None)
    return x[np.argsort(np.concatenate([train, test]))]


def _dataset(name: str, pieces: Pieces, limit: int | None) -> Dataset:
    """The data set of ``pieces``, or DataError (the reason alone)."""
    x_train, y_train, x_test, y_test = pieces
    train, test = rows.flat(x_train[:limit]), rows.flat(x_test)
    limit = len(train) if len(train) < len(x_train) else None
    if y_train is None and y_test is None:
        return Dataset(name, train, test, None, None, x_train.shape[1:], digest(train, test), limit=limit)
    if y_train is None or y_test is None:
        raise DataError("it has labels for one of the training and test sets, and not for the other")
    for y, x in ((y_train, x_train), (y_test, x_test)):
        arrays.require_labels(y, len(x))
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
        digest(train, test, y_train, y_test),
        len(classes),
        classes,
        tuple(arrays.label_notes(classes, np.setdiff1d(classes, y_train))),
        limit=limit,
    )


def digest(*arrays: Images) -> str:
    """SHA-256 over types, shapes and values of arrays or Rows, in hexadecimal."""
    total = hashlib.sha256()
    for array in arrays:
        total.update(f"{array.dtype.str} {array.shape} ".encode())
        for block in rows.blocks(array):
            total.update(block.data)
    return total.hexdigest()
