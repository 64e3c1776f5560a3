"""A folder of pictures as one array, with its subfolders for labels; what was decoded is kept for the next time."""

import hashlib
import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from math import prod
from pathlib import Path

import numpy as np

from tinyvae.data import downloads, formats, picture_files, rows
from tinyvae.errors import DataError
from tinyvae.settings import RECIPES
from tinyvae.system import lack_of_memory

ADVICE = "Mend or remove it, or leave out all that cannot be read, with --skip-broken."
ACCEPTED = f"Pictures are files that end in {', '.join(picture_files.ENDINGS)}, in the folder or its subfolders."
# What became of a file. HAS_MORE: of its frames or pages the first was taken; UNREAD: it could not be read this time.
WHOLE, HAS_MORE, BROKEN, UNREAD = range(4)
DECODING = 1  # to be raised where the same files give other arrays than before
MOST_NAMES = 7  # in a note
SPLIT = {"train", "training", "test", "testing", "val", "valid", "validation"}


def load(
    folder: Path, size: int | None = None, grey: bool = False, skip_broken: bool = False
) -> tuple[np.ndarray, np.ndarray | None, list[str]]:
    """The pictures in a folder and its subfolders, in the order of their paths.

    Files with another ending than a picture's are left out, and so is what is hidden (".name"). Links to files are
    followed, links to folders are not. Where all pictures lie in subfolders, and in more than one, each of these is a
    class, with what is below it; the classes are numbered in the order of their names.

    The decoded array is kept in the cache folder, under a digest of the options and of the names, sizes and times of
    all files, and is not made again as long as these are the same.

    Args:
        folder: Path.
        size, grey: as for ``picture_files.read``.
        skip_broken: leave out pictures that cannot be read.

    Returns:
        images: (N, H, W, 3) uint8, or (N, H, W) with ``grey`` or where no picture has a colour.
        labels: (N,) int64, or None.
        notes: sentences on what was done, for the person who trains with them.

    Raises: DataError if there are no two pictures, one cannot be read, they have several sizes and none is asked for,
        or they do not fit into memory.
    """
    with formats.explained(folder, ACCEPTED):
        files, others = _listed(folder)
        if not files:
            inner = {Path(other).parent for other in others if "-idx" in other or "_batch" in other} - {Path()}
            hint = f": for the data in it, name {folder / min(inner)}" if inner else ""
            only = f", only files such as {others[0]}" if others else ", and no file"
            raise DataError(f"it holds no picture{only}{hint}")
        _require_two(len(files))
        _require_no_split(folder, files)
    kept = _cache_path(folder, files, (size, grey, skip_broken))
    found = _kept(kept, len(files))
    if found is None:
        found = _without_idle_colours(*_decoded(folder, files, size, grey, skip_broken))
        if UNREAD not in found[1]:
            _keep(kept, *found)
    images, states = found
    with formats.explained(folder, ACCEPTED):
        _require_two(len(images))
    taken = [file for file, state in zip(files, states) if state < BROKEN]
    labels, notes = _labels(taken)
    notes += _notes(files, states, others)
    if size:
        notes.append(
            f"each picture was cropped to the square in its middle, and that resized to {size} x {size} pixels"
        )
    if images.ndim == 3 and not grey:
        notes.append("no picture has a colour: they are taken as grey levels")
    likelihood = RECIPES["default"].likelihood
    notes.append(f"the likelihood of pictures is {likelihood} by default: --likelihood names another")
    return images, labels, notes


def _listed(folder: Path) -> tuple[list[str], list[str]]:
    """(files whose ending is a picture's, all others), as sorted paths within the folder; nothing that is hidden."""

    def refuse(error: OSError) -> None:
        raise DataError(f"{error.filename} cannot be read ({error.strerror or error})")

    pictures: list[str] = []
    others: list[str] = []
    for place, folders, names in os.walk(folder, onerror=refuse):
        folders[:] = [name for name in folders if not name.startswith(".")]
        inner = Path(place).relative_to(folder)
        for name in names:
            if not name.startswith("."):
                is_picture = name.lower().endswith(picture_files.ENDINGS)
                (pictures if is_picture else others).append((inner / name).as_posix())
    return sorted(pictures), sorted(others)


def _require_two(count: int) -> None:
    if count < 2:
        raise DataError(
            f"the number of its pictures that can be read is {count}: at least 2 are needed, one to train on and one "
            "to test on"
        )


def _require_no_split(folder: Path, files: Sequence[str]) -> None:
    """DataError (the reason alone) for subfolders that are a training and a test set: they would become two classes."""
    names = sorted({file.split("/")[0] for file in files})
    if len(names) > 1 and {name.lower() for name in names} <= SPLIT:
        raise DataError(
            f"its subfolders {' and '.join(names)} are the parts of a split, and would be taken for classes\nName one "
            f"of them, as in {folder / max(names, key=str.lower)}: a tenth of it is held out. Or put the pictures of "
            "all into one folder, where subfolders are classes."
        )


# What is decoded


def _decoded(
    folder: Path, files: Sequence[str], size: int | None, grey: bool, skip_broken: bool
) -> tuple[np.ndarray, np.ndarray]:
    """(pictures (n, H, W, 3) uint8, or (n, H, W) with ``grey``; what became of each file, (N,) uint8)."""
    from tqdm import tqdm

    colours = () if grey else (3,)
    images = _room(folder, (len(files), size, size, *colours)) if size else None
    states, taken, first = np.full(len(files), BROKEN, np.uint8), 0, ""
    for i, file in enumerate(tqdm(files, "pictures", unit="", leave=False, delay=0.5, disable=None)):
        try:
            with formats.explained(folder / file, ADVICE):
                picture, has_more = picture_files.read(folder / file, size, grey)
        except DataError as error:
            if not skip_broken:
                raise
            states[i] = UNREAD if isinstance(error.__context__, OSError | MemoryError) else BROKEN
            continue
        if images is None:
            images, first = _room(folder, (len(files), *picture.shape)), file
        if picture.shape != images.shape[1:]:
            raise DataError(
                f"{folder}: its pictures have several sizes: {first} has {_by(images.shape[1:])} pixels, and {file} "
                f"{_by(picture.shape)}\nName one size for all: with --size 32 each is cropped to the square in its "
                "middle, and that resized to 32 x 32."
            )
        images[taken], states[i], taken = picture, HAS_MORE if has_more else WHOLE, taken + 1
    return np.empty((0, 1, 1), np.uint8) if images is None else images[:taken], states


def _by(shape: Sequence[int]) -> str:
    """A picture's size as people say it, the width first."""
    return f"{shape[1]} x {shape[0]}"


def _room(folder: Path, shape: tuple[int, ...]) -> np.ndarray:
    """An array for all pictures; DataError before any work where it would not fit into this machine."""
    # once as they are read, and once more as training and test set
    lack = lack_of_memory(2 * prod(shape))
    cure = "Take a smaller --size, --grey or fewer pictures, or make an .npy file of them, which may be of any size."
    if lack:
        raise DataError(
            f"{folder}: {shape[0]:,} pictures of {_by(shape[1:])} pixels{' in colour' if len(shape) == 4 else ''} take "
            f"{lack}\n{cure}"
        )
    with formats.explained(folder, cure):
        return np.empty(shape, np.uint8)


def _without_idle_colours(images: np.ndarray, states: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The same, as (n, H, W) where red, green and blue are the same in every pixel."""
    if images.ndim == 4 and all((block == block[..., :1]).all() for block in rows.blocks(images)):
        images = images[..., 0].copy()
    return images, states


# What is kept


def _cache_path(folder: Path, files: Sequence[str], options: tuple[object, ...]) -> Path:
    """Where the array of these files is kept.

    Pillow's version is no part of the key: a run goes on with the very pixels that it began with.
    """
    listing = hashlib.sha256(f"{DECODING} ".encode())
    for file in files:
        try:
            about = os.stat(folder / file)
            state = f"\0{about.st_size} {about.st_mtime_ns}\0"
        except OSError:  # said when it is to be read
            state = "\0missing\0"
        listing.update(os.fsencode(file) + state.encode())
    place = hashlib.sha256(os.fsencode(os.path.abspath(folder)) + repr(options).encode())
    return downloads.cache_folder() / "pictures" / f"{place.hexdigest()[:16]}-{listing.hexdigest()[:32]}.npz"


def _kept(path: Path, n_files: int) -> tuple[np.ndarray, np.ndarray] | None:
    """What ``_keep`` wrote there; None if there is nothing, it is damaged (an .npz has checksums), or there is no room,
    as who decodes it anew is told.
    """
    try:
        if lack_of_memory(2 * os.stat(path).st_size):  # an .npz of ``np.savez`` is as large as what it holds
            return None
        images, states, _ = formats.read_npz(path)
    except (DataError, OSError):
        return None
    is_whole = states is not None and states.shape == (n_files,) and images.dtype == states.dtype == np.uint8
    if is_whole and images.ndim in (3, 4) and len(images) == np.count_nonzero(states != BROKEN):
        return images, states
    return None


def _keep(path: Path, images: np.ndarray, states: np.ndarray) -> None:
    """Keep what was decoded, in the place of what was kept of the folder by the same options before; what fails costs
    time, later.
    """
    if images.nbytes > formats.LARGEST_MEMBER:  # ``_kept`` would refuse it
        return
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        downloads.remove_leftovers(path)
        with downloads.named_when_whole(path) as temporary, temporary.open("xb") as file:
            np.savez(file, x=images, y=states)
        for older in path.parent.glob(f"{path.name.split('-')[0]}-*.npz"):
            if older != path:
                older.unlink()


# What is said


def _labels(files: Sequence[str]) -> tuple[np.ndarray | None, list[str]]:
    """(labels (n,) int64 of pictures, or None; notes): which of the folder's subfolders each is in."""
    tops = [file.split("/")[0] if "/" in file else None for file in files]
    names = sorted({top for top in tops if top is not None})
    if len(names) < 2:
        return None, []
    if beside := tops.count(None):
        return None, [f"pictures beside the subfolders, which are therefore not taken for labels: {beside:,}"]
    place = {name: label for label, name in enumerate(names)}
    said = ", ".join(_few([f"{label} {name}" for name, label in place.items()]))
    return np.array([place[top] for top in tops if top is not None]), [f"the labels are the subfolders: {said}"]


def _notes(files: Sequence[str], states: np.ndarray, others: Sequence[str]) -> Iterator[str]:
    """What should be known of files that were left out, or not taken whole."""
    broken = [file for file, state in zip(files, states) if state >= BROKEN]
    more = [file for file, state in zip(files, states) if state == HAS_MORE]
    for names, words in (
        (broken, "that could not be read were left out"),
        (more, "with several frames or pages gave the first of them"),
        (others, "with other endings than a picture's were left out"),
    ):
        if names:
            yield f"files {words}: {len(names):,} ({', '.join(_few(names))})"


def _few(names: Sequence[str]) -> list[str]:
    """Some of many names, with what no terminal should be sent written out."""
    shown = [*names[: MOST_NAMES - 2], "...", names[-1]] if len(names) > MOST_NAMES else names
    return ["".join(c if c.isprintable() else repr(c)[1:-1] for c in name) for name in shown]
