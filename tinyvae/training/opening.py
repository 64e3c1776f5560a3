"""From a run's folder to the training or the trained model in it, and nothing that no run could have written."""

import dataclasses
import math
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from tinyvae import __version__, machine
from tinyvae.data import datasets, sequences
from tinyvae.derivation.model import Model
from tinyvae.derivation.parameters import Parameters
from tinyvae.disk.run import CONFIG, Row, Run
from tinyvae.errors import DataError, RunError, UserError
from tinyvae.settings import CHOICES, Settings, is_size, require_sense
from tinyvae.training import description
from tinyvae.training.fitted import Fitted, build_model
from tinyvae.training.loop import Training
from tinyvae.training.progress import require_arrays, require_progress
from tinyvae.types import AnyPath

VERSION = re.compile(r"\d{1,9}(\.\d{1,9})*\S{0,20}")


def load(run: Run, data_dir: AnyPath | None = None, threads: int | None = None) -> Training:
    """The Training that a run's folder holds: its settings, its data, its last checkpoint.

    Args:
        run: run.Run.
        data_dir: where to look for the data first.
        threads: as for ``Training``; by default as many as the run had, if there are so many cores.

    Raises: RunError if the folder is damaged or has no checkpoint, DataError if the data are not those of the run.
    """
    return _load(run, data_dir, threads, source=None, must_have_begun=True)[0]


def _load(
    run: Run, data_dir: AnyPath | None, threads: int | None, source: str | None, must_have_begun: bool
) -> tuple[Training, dict[str, Any]]:
    """``load``, and what the checkpoint has beside the arrays.

    ``source`` says where the data are now, if they have moved. Without ``must_have_begun`` a run that has no checkpoint
    yet is at its beginning.
    """
    settings, about, threads_before = read_config(run)
    if about["source"] is None:
        raise DataError(
            f"{run.path} was written from Python, and does not say where its data are\n"
            "tinyvae.load opens it; to go on with its training, use VAE.from_run and partial_fit."
        )
    source = source or about["source"]
    threads = min(threads_before, machine.available_cores()) if threads is None else threads
    reading = (about["pictures"] or {}) | sequences.reading(about["vocabulary"])
    dataset = datasets.load(source, data_dir, about["limit"], **reading)
    if dataset.digest != about["digest"]:
        raise DataError(f"{source} holds other data than the run in {run.path} was trained on: bring those back")
    if not (must_have_begun or run.has_checkpoint()):
        return Training(settings, dataset, threads), {"last_bounds": []}
    arrays, state = run.load_checkpoint()
    with _from_checkpoint(run):
        # before a model is made: its size is what the files claim
        model = build_model(settings, dataset.data_shape, dataset.n_labels, dataset.vocabulary)
        _require_own(settings, model, arrays, state)
    training = Training(settings, dataset, threads)
    with _from_checkpoint(run):
        training.restore(arrays, state)
        N, B = len(training.dataset.train), settings.batch_size
        done = [math.ceil(N / B) * training.epoch + math.ceil(training.position / B), N * training.epoch]
        if [training.step, training.samples_seen - training.position] != done or training.epoch > settings.epochs:
            raise RunError(
                f"{training.step} steps and {training.samples_seen} examples seen are not {training.epoch} of "
                f"{settings.epochs} epochs of {N} examples in minibatches of {B}"
            )
    return training, state


@contextmanager
def _from_checkpoint(run: Run) -> Iterator[None]:
    """Inside: a RunError, or what junk in a checkpoint's state raises, leaves as a RunError that names the files."""
    try:
        yield
    except (KeyError, TypeError, ValueError, OverflowError, RunError) as error:
        raise RunError(
            f"{run.path}: the checkpoint does not go with config.json: {_words(error)}\n"
            "Put back what was changed, or train again."
        ) from None


def _require_own(settings: Settings, model: Model, arrays: Mapping[str, np.ndarray], state: Mapping[str, Any]) -> None:
    """Raise an error unless a checkpoint was made with these settings, or with those of an earlier length, and holds
    the model's parameters.
    """
    before = Settings.from_dict(state["settings"])
    lengths, lengths_before = ((*s.raised_from, s.epochs) for s in (settings, before))
    different = [] if lengths[: len(lengths_before)] == lengths_before else ["epochs"]
    different += [
        field.name
        for field in dataclasses.fields(Settings)
        if field.name not in ("epochs", "raised_from") and getattr(settings, field.name) != getattr(before, field.name)
    ]
    if different:
        name = different[0]
        raise RunError(f"{name} is {getattr(settings, name)!r} there, and was {getattr(before, name)!r}")
    size = sum(map(math.prod, model.shapes().values()))
    require_arrays({"params": arrays["params"]}, {"params": ((size,), np.dtype(settings.dtype))})
    require_progress(state)


def load_fitted(path: AnyPath) -> Fitted:
    """The trained model in a run's folder, to encode, decode, sample and score with; its data are not needed.

    Args:
        path: of the folder.

    Returns: Fitted.

    Raises: RunError if the folder is no run, has no checkpoint yet, or is damaged.
    """
    run = Run.open(path)
    settings, about, _ = read_config(run)
    arrays, state = run.load_checkpoint()
    with _from_checkpoint(run):
        data_shape = tuple(about["data_shape"])
        vocabulary = about["vocabulary"] and sequences.from_json(about["vocabulary"])
        model = build_model(settings, data_shape, about["n_labels"], vocabulary)
        _require_own(settings, model, arrays, state)
        return Fitted(model, Parameters(model.shapes(), arrays["params"]), settings, vocabulary)


def go_on(
    run: Run, data_dir: AnyPath | None = None, threads: int | None = None, source: str | None = None
) -> tuple[Training, list[Row]]:
    """A run where it stopped, or at its beginning: (the Training, the rows of the history so far).

    Args: as for ``load``; ``source``: where the data are now, if they have moved.

    Raises: as ``load``, and RunError if the history does not go with the checkpoint.
    """
    state, checkpoint = _load(run, data_dir, threads, source, must_have_begun=False)
    history = history_of(run, state.epoch)
    N = len(state.dataset.train)
    if any(row["samples_seen"] != N * row["epoch"] for row in history):
        raise RunError(_no_row_for_each(run, state.epoch))
    bounds = [history[-1][name] for name in ("train_bound", "test_bound")] if history else []
    with _from_checkpoint(run):
        # nearly, since a spreadsheet keeps 15 digits
        is_own = np.allclose(list(map(float, checkpoint["last_bounds"])), bounds, 1e-9, 0, equal_nan=True)
    if not is_own:
        raise RunError(
            f"{run.path}/history.csv is of another run than the checkpoint: epoch {state.epoch} ended otherwise\n"
            "Put back the file that belongs there, or train again."
        )
    return state, history


def history_of(run: Run, epochs: int) -> list[Row]:
    """The rows of so many epochs, which a checkpoint says are done; RunError if there is not one for each."""
    history = run.history()[:epochs] if epochs else []
    if [row["epoch"] for row in history] != list(range(1, epochs + 1)):
        raise RunError(_no_row_for_each(run, epochs))
    return history


def _no_row_for_each(run: Run, epochs: int) -> str:
    return (
        f"{run.path}/history.csv does not have a row for each of the {epochs} epochs that are done\n"
        "Put back the file that belongs there, or train again."
    )


def make_longer(run: Run, state: Training, epochs: int) -> None:
    """Raise the length of a run to so many epochs, and say so in its config."""
    state.extend(epochs)
    run.write_json(CONFIG, run.config() | description.describe_settings(state.settings, state.dataset))


def read_config(run: Run) -> tuple[Settings, dict[str, Any], int]:
    """What ``config.json`` says, and nothing that no run could have written: (Settings, what it says of the data, the
    number of threads).

    Raises: RunError.
    """
    config = run.config()
    try:
        settings, about, threads = Settings.from_dict(config["settings"]), dict(config["dataset"]), config["threads"]
        require_sense(settings)
        is_right = {
            "epochs": settings.epochs < 2**53,
            "source": about["source"] is None or _is_path(about["source"]),
            "digest": isinstance(about["digest"], str),
            "limit": about["limit"] is None or is_size(about["limit"]),
            "data_shape": isinstance(about["data_shape"], list)
            and 1 <= len(about["data_shape"]) <= 3
            and all(map(is_size, about["data_shape"])),
            "n_labels": _is_count(about["n_labels"]),
            "test_examples": _is_count(about.get("test_examples", 0)),
            "pictures": about["pictures"] is None or _is_reading(about["pictures"]),
            "vocabulary": about["vocabulary"] is None or _is_vocabulary(about["vocabulary"], about["data_shape"]),
            "threads": is_size(threads),
            "classes": about["classes"] is None or _are_classes(about["classes"], about["n_labels"]),
        }
        for name, right in is_right.items():
            if not right:
                raise ValueError(f"{name} is {repr((config | about | config['settings'])[name])[:100]}")
    except (KeyError, TypeError, ValueError, UserError) as error:
        raise RunError(
            f"{run.path}/config.json is not the config of a run ({_words(error)})\n{_cure(config)}"
        ) from None
    return settings, about, threads


def _is_count(value: object) -> bool:
    return type(value) is int and value >= 0


def _is_path(value: object) -> bool:
    """Whether it is a text that a file can have for its name."""
    try:
        return isinstance(value, str) and b"\0" not in os.fsencode(value)
    except UnicodeEncodeError:
        return False


def _is_reading(value: object) -> bool:
    """Whether it says how a folder of pictures is read, as ``Dataset.pictures`` does."""
    if not isinstance(value, dict) or value.keys() != {"size", "grey", "skip_broken"}:
        return False
    flags = type(value["grey"]) is type(value["skip_broken"]) is bool
    return flags and (value["size"] is None or is_size(value["size"]))


def _is_vocabulary(value: object, data_shape: Sequence[int]) -> bool:
    """Whether it says what sequences of this shape are made of, as ``Vocabulary.to_json`` does."""
    try:
        vocabulary = sequences.from_json(value)
    except ValueError:
        return False
    return [vocabulary.steps, vocabulary.size] == data_shape


def _are_classes(values: Any, n_labels: object) -> bool:
    """Whether the values of an estimator's labels are as many as there are, all different, and of one kind."""
    kinds = set(map(type, values)) if isinstance(values, list) else set()
    return len(kinds) == 1 and kinds < {bool, int, float, str} and len(set(values)) == len(values) == n_labels


def _words(error: Exception) -> str:
    return f"{error.args[0]!r} is missing" if isinstance(error, KeyError) else str(error)[:300]


def _cure(config: Mapping[str, Any]) -> str:
    """What to do about a config that cannot be read: perhaps it is of a version that knows more."""
    version, settings = config.get("tinyvae"), config.get("settings")
    newer = f"It was written by tinyvae {version}, and this is {__version__}: upgrade tinyvae."
    if isinstance(version, str) and VERSION.fullmatch(version) and _numbers(version) > _numbers(__version__):
        return newer
    settings = settings if isinstance(settings, dict) else {}
    known = {field.name for field in dataclasses.fields(Settings)}
    strange = sorted(settings.keys() - known)
    strange += [
        f"{name} {settings[name]}"
        for name, choices in CHOICES.items()
        if isinstance(settings.get(name), str) and settings[name] not in choices
    ]
    if strange:
        names = ", ".join(strange)[:100]
        return f"tinyvae {__version__} knows no {names}: make the entry first, upgrade tinyvae, or mend it."
    return "Mend it, or train again."


def _numbers(version: str) -> list[int]:
    """The numbers of a version, to be compared."""
    return [int(number) for number in re.findall(r"\d+", version)[:3]]
