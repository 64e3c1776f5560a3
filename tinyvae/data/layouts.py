"""Folders as published data sets have them: the IDX files of MNIST's relatives, and CIFAR's binary versions.

Each has its own training and test set, and keeps them.
"""

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from tinyvae.data import formats
from tinyvae.data.rows import Pieces
from tinyvae.errors import DataError

# Fashion-MNIST's and KMNIST's "train-images-idx3-ubyte.gz", EMNIST's "emnist-letters-test-labels-idx1-ubyte.gz"
IDX = re.compile(r"(?:(.+)-)?(train|t10k|test)-(images-idx3|images\.idx3|labels-idx1|labels\.idx1)-ubyte(?:\.gz)?")
OTHER_IDX = re.compile(r"[-.]idx\d")  # such as QMNIST's "qmnist-train-labels-idx2-int"
SIDE = 32  # pixels of CIFAR's pictures
CIFAR_10 = [f"data_batch_{number}.bin" for number in range(1, 6)], ["test_batch.bin"]
CIFAR_100 = ["train.bin"], ["test.bin"]
# What the versions for Python have, by which they are told; and what to take in their place.
PICKLES = {
    "cifar-10-binary.tar.gz": {"data_batch_1", "test_batch", "batches.meta"},
    "cifar-100-binary.tar.gz": {"train", "test", "meta"},
}


def read(path: Path) -> Pieces | None:
    """The data set in a folder of a known layout.

    Args:
        path: of the folder; where it has the IDX files of several sets, of one of these files.

    Returns: training images, uint8 (N, H, W) or (N, 32, 32, 3); their labels, uint8 (N,), or None; test images and
        theirs. Or None for a folder of no such layout.

    Raises: DataError (the reason alone) if a file is missing or damaged, or it is not clear which are meant.
    """
    folder = path if os.path.isdir(path) else path.parent
    names = sorted(name for name in os.listdir(folder) if os.path.isfile(folder / name))
    if path == folder:
        for archive, pickles in PICKLES.items():
            if pickles <= set(names):
                raise DataError(
                    "it holds CIFAR for Python, which is pickles: these can run any code and are never loaded\n"
                    f"Take {archive} from https://www.cs.toronto.edu/~kriz/cifar.html, and name its folder."
                )
        if CIFAR_10[0][0] in names:
            return _cifar(folder, CIFAR_10, 1, 10)
        if {*CIFAR_100[0], *CIFAR_100[1]} <= set(names):
            return _cifar(folder, CIFAR_100, 2, 100)
    return _idx(folder, names, path)


def unread(path: Path) -> list[str]:
    """The files beside those of ``read`` whose names say that they are IDX files, too."""
    folder = path if os.path.isdir(path) else path.parent
    return sorted(name for name in os.listdir(folder) if OTHER_IDX.search(name) and not IDX.fullmatch(name))


def is_idx(path: Path) -> bool:
    """Whether a file is named as the IDX files of such a folder are."""
    return IDX.fullmatch(path.name) is not None


def name(path: Path) -> str:
    """What to call the data set of a folder or of one of its IDX files."""
    prefix = IDX.fullmatch(path.name)
    folder = Path(os.path.abspath(path if prefix is None else path.parent))
    return (prefix and prefix[1]) or folder.name or "data"


def _idx(folder: Path, names: Sequence[str], path: Path) -> Pieces | None:
    """The set of IDX files in a folder to which the file ``path`` belongs, or the only one there is."""
    sets: dict[str, dict[tuple[str, str], str]] = {}
    for name in sorted(names, key=path.name.__eq__):  # the named file last, which may be there packed, too
        if match := IDX.fullmatch(name):
            of, part, kind = match.groups(default="")
            sets.setdefault(of, {})["train" if part == "train" else "test", kind[:6]] = name
    if not sets:
        return None
    chosen = IDX.fullmatch(path.name)
    if chosen is None and len(sets) > 1:
        of_each = ", ".join(next(iter(files.values())) for files in sets.values())
        raise DataError(f"it holds the IDX files of several data sets: name one file of the one you mean ({of_each})")
    prefix = chosen[1] or "" if chosen else next(iter(sets))
    pieces: list[np.ndarray | None] = []
    for part in ("train", "test"):
        if (part, "images") not in sets[prefix]:
            raise DataError(f"it holds {next(iter(sets[prefix].values()))}, and no IDX file of the {part} images")
        for kind, n_dimensions in (("images", 3), ("labels", 1)):
            file = sets[prefix].get((part, kind))
            pieces.append(None if file is None else _idx_array(folder / file, n_dimensions))
    x_train, y_train, x_test, y_test = pieces
    assert x_train is not None and x_test is not None
    if prefix.startswith("emnist"):
        # EMNIST was written from MATLAB, which counts down the columns: its pictures lie on their side, mirrored
        x_train, x_test = (np.ascontiguousarray(x.transpose(0, 2, 1)) for x in (x_train, x_test))
    return x_train, y_train, x_test, y_test


def _idx_array(path: Path, n_dimensions: int) -> np.ndarray:
    with _named(path):
        array, _ = formats.read_idx(path, formats.idx_shape(path, n_dimensions))
        if not array.size:
            raise DataError(f"its array is empty (shape {array.shape})")
        return array


def _cifar(folder: Path, files: tuple[Sequence[str], Sequence[str]], n_labels: int, n_classes: int) -> Pieces:
    """CIFAR in files of records: ``n_labels`` bytes, of which the last is the class, then all red, green and blue."""
    pieces = []
    for names in files:
        records = np.concatenate([_records(folder / name, n_labels + 3 * SIDE**2) for name in names])
        labels, images = records[:, n_labels - 1].copy(), records[:, n_labels:].reshape(-1, 3, SIDE, SIDE)
        if labels.max() >= n_classes:
            raise DataError(f"its labels go up to {labels.max()}, and not to {n_classes - 1}: it is damaged")
        pieces += [np.ascontiguousarray(images.transpose(0, 2, 3, 1)), labels]  # colours last, as everywhere here
    x_train, y_train, x_test, y_test = pieces
    return x_train, y_train, x_test, y_test


def _records(path: Path, length: int) -> np.ndarray:
    """The bytes of a file as (n, length) uint8."""
    with _named(path), formats.open_file(path) as file:
        content = np.frombuffer(file.read(), np.uint8)
        if not len(content) or len(content) % length:
            raise DataError(f"it has {len(content):,} bytes, which is no multiple of the {length:,} of a picture")
        return content.reshape(-1, length)


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """Inside: what is wrong with a file is said with its name."""
    try:
        yield
    except OSError as error:
        raise DataError(f"{path.name} cannot be read ({error.strerror or error})") from None
    except DataError as error:
        raise DataError(f"in {path.name}, {error}") from None
