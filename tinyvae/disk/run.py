"""A run's folder: what was asked for (config), how it went (history), where it stands (checkpoint), what came out.

Nothing here knows a model or the training loop. Every file is written atomically (``files.atomic_write``), by one
process at a time (``lock.hold``).
"""

import errno
import io
import json
import math
import os
import secrets
import stat
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from tinyvae.disk.checkpoint import read_checkpoint, write_checkpoint
from tinyvae.disk.files import atomic_write, explained, open_to_read, remove_temporaries
from tinyvae.disk.lock import Lock, hold
from tinyvae.errors import RunError
from tinyvae.types import AnyPath

CONFIG, HISTORY, CHECKPOINT, SUMMARY = "config.json", "history.csv", "checkpoint.npz", "summary.json"
DRAWN = "samples.txt"  # what is drawn from a model of strings
EXPLORER = "explorer.html"  # the page that shows the model
FIGURES = ("curve.png", "samples.png", "reconstructions.png", "manifold.png", "latent.png")

# All that a run may write, and --overwrite may remove, in the order of removal: the config goes last, so that whatever
# an interruption leaves still has the config that it belongs to.
FILES = (
    CHECKPOINT,
    HISTORY,
    SUMMARY,
    "evaluation.json",
    DRAWN,
    EXPLORER,
    *(f"figures/{name}" for name in FIGURES),
    CONFIG,
)

UNLOCKED = ("evaluation.json", EXPLORER)  # may be written while another process trains

Row = dict[str, Any]  # of history.csv
DEEPEST = 50  # levels of a JSON file; what we write has five

# The columns of history.csv, and the type of each.
COLUMNS = {"epoch": int, "samples_seen": int, "train_bound": float, "test_bound": float, "seconds": float}
BITS = {"test_bits_per_dimension": float}  # one more, of runs whose bound can be counted in bits


@dataclass
class Run:
    """The folder of one training run; made by ``Run.create``, or found by ``Run.open``.

    Who trains in it holds its lock, until ``close``, or the end of a ``with`` block, or of the process; another process
    is refused meanwhile, in words. Reading needs no lock, and no right to write.

    Attributes:
        path: Path of the folder.
        lock: the folder's, if this process holds it through this Run.
    """

    path: Path
    lock: Lock | None = field(default=None, compare=False, repr=False)

    @classmethod
    def create(
        cls,
        path: AnyPath,
        config: Mapping[str, Any],
        overwrite: bool = False,
        cure: str = "Choose another folder, or move that run away.",
    ) -> "Run":
        """Make the folder of a new run, to train in it, and write its ``config.json``.

        Args:
            path: of the folder, which may exist; parents are made too.
            config: a dict, as ``write_json`` takes it; "run" is added, a random name that the checkpoints have too.
            overwrite: remove the files of the run that the folder holds; other files in it are left alone.
            cure: what to say that one can do where the folder holds a run.

        Returns: Run, with the folder's lock.

        Raises: RunError if the folder holds a run already and ``overwrite`` is not set, or files that a run would write
            and no run that they could be of; if another process is at work in it, or it cannot be written. What can be
            foreseen of that is found out before anything is removed.
        """
        if not str(path).strip():
            raise RunError("a folder's name is needed, not an empty one")
        run = cls(Path(path))
        run._require_place(overwrite, cure)  # before anything is touched
        with explained(run.path, "made"):
            run.path.mkdir(parents=True, exist_ok=True)
        run._hold_lock()
        run._require_place(overwrite, cure)  # nobody was faster
        for name in FILES:
            with explained(run.path / name, "removed"):
                (run.path / name).unlink(missing_ok=True)
            remove_temporaries(run.path / name)
        run.write_json(CONFIG, {**config, "run": secrets.token_hex(8)})
        return run

    @classmethod
    def open(cls, path: AnyPath, to_train: bool = False) -> "Run":
        """The run that a folder holds.

        Args:
            path: of the folder.
            to_train: take the folder's lock, before anything is read.

        Raises: RunError if there is no such folder, or no ``config.json`` in it, or another process is at work there.
        """
        if not str(path).strip():  # which would be the current folder's, and is an unset variable's
            raise RunError("a folder's name is needed, not an empty one")
        run = cls(Path(path))
        with explained(run.path, "read"):  # which it may not be allowed to
            has_config = _exists(run.path / CONFIG)
        if not (has_config or os.path.isdir(path)):
            raise RunError(f"{path}: there is no such folder\nName the folder that a training run wrote (its --out).")
        if not has_config:
            raise RunError(f"{path} holds no run: {CONFIG} is missing\nName the folder that a training run wrote.")
        if to_train:
            run._hold_lock()
        return run

    def close(self) -> None:
        """Let other processes train here."""
        self.lock = None

    def __enter__(self) -> "Run":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _hold_lock(self) -> None:
        self.lock = hold(self.path)
        for name in sorted({*FILES} - {*UNLOCKED}):
            remove_temporaries(self.path / name)

    def _require_place(self, overwrite: bool, cure: str) -> None:
        """Raise a RunError unless there is room for a run, or a run that is to be overwritten and can be removed."""
        held = [name for name in FILES if os.path.lexists(self.path / name)]
        if held and CONFIG not in held:  # somebody else's
            raise RunError(
                f"{self.path} holds {', '.join(held)}, which a run would replace, and no run of theirs ({CONFIG} is "
                "missing)\nMove them away, or choose another folder."
            )
        if held and not overwrite:
            raise RunError(f"{self.path} already holds a run ({', '.join(held)})\n{cure}")
        for name in FILES if held else ():
            path = self.path / name
            with explained(path, "removed"), suppress(FileNotFoundError):
                if stat.S_ISDIR(os.lstat(path).st_mode):
                    raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
                if not os.access(path.parent, os.W_OK | os.X_OK):
                    number = errno.EROFS if _is_read_only(path.parent) else errno.EACCES
                    raise OSError(number, os.strerror(number))

    @cached_property
    def name(self) -> str | None:
        """The random name that ``create`` gave the run; None if the config was edited and has lost it."""
        return self.config().get("run")

    def config(self) -> dict[str, Any]:
        """The content of ``config.json``, a dict; RunError if it cannot be read."""
        return self.read_json(CONFIG)

    def write_summary(self, content: Mapping[str, Any]) -> None:
        """Write ``summary.json``, as ``write_json`` does."""
        self.write_json(SUMMARY, content)

    def write_json(self, name: str, content: Mapping[str, Any]) -> None:
        """Write a JSON file into the folder.

        Args:
            name: of the file.
            content: a dict of what JSON can hold, and tuples, NumPy scalars and arrays (they become lists and numbers).
                A number that is not finite becomes null, since JSON has no name for it.

        Raises: RunError if it cannot be written.
        """
        text = json.dumps(plain(content), indent=2, allow_nan=False) + "\n"
        with atomic_write(self.path / name) as file:
            file.write(text.encode())

    def read_json(self, name: str) -> dict[str, Any]:
        """The content of a JSON file in the folder, a dict; RunError if it is missing or broken."""
        path = self.path / name
        text = _read_text(path)
        try:
            content = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise RunError(f"{path}: it is not valid JSON ({error})\nMend it, or train again.") from None
        if _depth(content) > DEEPEST:
            raise RunError(f"{path}: it is nested more than {DEEPEST} levels deep\nMend it, or train again.")
        if not isinstance(content, dict):
            raise RunError(f"{path}: it should hold an object in braces\nMend it, or train again.")
        return content

    def write_samples(self, text: str) -> None:
        """Write ``samples.txt``, the whole of it; RunError if it cannot be written."""
        with atomic_write(self.path / DRAWN) as file:
            file.write(text.encode())

    def write_history(self, rows: Iterable[Row]) -> None:
        """Write ``history.csv``, the whole of it.

        Args:
            rows: dicts with the keys COLUMNS, and that of BITS if the first row has it. Each number is written such
                that it reads back as the same number.

        Raises: RunError if it cannot be written.
        """
        rows = list(rows)
        kinds = COLUMNS | BITS if rows and BITS.keys() <= rows[0].keys() else COLUMNS
        # through kind, since the repr of a NumPy number is more than its digits; by columns, since that is faster
        columns = [map(repr, map(kind, [row[name] for row in rows])) for name, kind in kinds.items()]
        lines = [",".join(kinds), *map(",".join, zip(*columns))]
        with atomic_write(self.path / HISTORY) as file:
            file.write("\n".join([*lines, ""]).encode())

    def history(self) -> list[Row]:
        """The rows of ``history.csv``: a list of dicts with the keys COLUMNS, and that of BITS where it has them.

        Raises: RunError, with the line's number, if the file is missing or broken.
        """
        path, rows = self.path / HISTORY, []
        header, *lines = _read_text(path).split("\n")
        kinds = COLUMNS | BITS if header == ",".join(COLUMNS | BITS) else COLUMNS
        if header != ",".join(kinds):
            raise RunError(f"{path}, line 1: it should be {','.join(COLUMNS)}, and is {header[:100]!r}\nMend it.")
        if lines[-1:] != [""]:
            raise RunError(f"{path}, line {1 + len(lines)}: the file ends within the line\nMend or remove the line.")
        for number, line in enumerate(lines[:-1], start=2):
            try:
                rows.append(
                    {name: kind(field) for (name, kind), field in zip(kinds.items(), line.split(","), strict=True)}
                )
            except ValueError:
                raise RunError(
                    f"{path}, line {number}: it should hold {len(kinds)} numbers ({', '.join(kinds)}), "
                    f"and is {line[:100]!r}\nMend or remove the line."
                ) from None
        return rows

    def save_checkpoint(self, arrays: Mapping[str, np.ndarray], state: Mapping[str, Any]) -> None:
        """Write ``checkpoint.npz``; the previous one stays until the new one is complete.

        Args:
            arrays: {name: array}.
            state: a dict that JSON can hold.

        Raises: RunError if it cannot be written.
        """
        write_checkpoint(self.path / CHECKPOINT, arrays, {**state, "run": self.name})

    def has_checkpoint(self) -> bool:
        """Whether a checkpoint was written already."""
        return os.path.lexists(self.path / CHECKPOINT)

    def load_checkpoint(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """The arrays and the state of ``checkpoint.npz``, as they were saved.

        Raises: RunError if the file is missing, cut short, damaged, no checkpoint, of a newer format, or another run's.
        """
        arrays, state = read_checkpoint(self.path / CHECKPOINT)
        if state.pop("run", None) != self.name:
            raise RunError(
                f"{self.path / CHECKPOINT}: it is the checkpoint of another run than {CONFIG} is of\n"
                "Put back the file that belongs there, or train again."
            )
        return arrays, state

    def figure_path(self, name: str) -> Path:
        """The path for a figure (one of FIGURES) in the folder ``figures``, which is made if need be."""
        folder = self.path / "figures"
        with explained(folder, "made"):
            folder.mkdir(exist_ok=True)
        return folder / name


def _exists(path: Path) -> bool:
    """Whether there is such a file; OSError if that cannot be known."""
    try:
        os.lstat(path)
    except (FileNotFoundError, NotADirectoryError, ValueError):  # the last: a name with a zero in it
        return False
    return True


def _is_read_only(folder: Path) -> bool:
    """Whether the disk is one that nothing can be written to, whatever the permissions are."""
    return hasattr(os, "statvfs") and bool(os.statvfs(folder).f_flag & os.ST_RDONLY)


def _read_text(path: Path) -> str:
    """The text of a file of the run, with line ends "\\n" and without the mark that a spreadsheet begins a file with;
    RunError if it is missing, cannot be read, or is no text.
    """
    with explained(path, "read"):
        try:
            with io.TextIOWrapper(open_to_read(path), encoding="utf-8-sig") as file:
                return file.read()
        except FileNotFoundError:
            raise RunError(f"{path}: there is no such file\nThe run is incomplete: train again.") from None
        except UnicodeDecodeError:
            raise RunError(f"{path}: it is damaged (not text in UTF-8)\nMend it, or train again.") from None


def _depth(content: Any) -> int:
    """How many levels of lists and dicts there are, counted without recursion."""
    level, depth = [content], 0
    while level := [
        child
        for item in level
        if isinstance(item, dict | list)
        for child in (item.values() if isinstance(item, dict) else item)
    ]:
        depth += 1
    return depth


def plain(value: Any) -> Any:
    """The value in JSON's own types; see ``Run.write_json``."""
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
