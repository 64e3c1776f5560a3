"""What the files of a run say of a training (config.json, summary.json), and the training that they describe."""

import dataclasses
import os
from collections.abc import Sequence
from typing import Any

from tinyvae import __version__
from tinyvae.data import datasets
from tinyvae.data.datasets import Dataset
from tinyvae.disk.run import CONFIG, Row, Run
from tinyvae.errors import DataError, RunError, UserError
from tinyvae.settings import Settings, is_size, require_sense
from tinyvae.training.loop import Training
from tinyvae.types import AnyPath


def load(
    run: Run,
    data_dir: AnyPath | None = None,
    threads: int | None = None,
    source: str | None = None,
    must_have_begun: bool = True,
) -> Training:
    """The Training that a run's folder holds: its settings, its data, its last checkpoint.

    Args:
        run: run.Run.
        data_dir: where to look for the data first.
        threads: as for ``Training``; by default as many as the run had.
        source: where the data are now, if they have moved.
        must_have_begun: False to take a run without a checkpoint at its beginning, and not for an error.

    Raises: RunError if the folder is damaged, DataError if the data are not those of the run.
    """
    settings, about, threads_before = read_config(run)
    source = source or about["source"]
    dataset = datasets.load(source, data_dir, about["limit"])
    if dataset.digest != about["digest"]:
        raise DataError(f"{source} holds other data than the run in {run.path} was trained on: bring those back")
    training = Training(settings, dataset, threads or threads_before)
    if must_have_begun or run.has_checkpoint():
        training.restore(*run.load_checkpoint())
    return training


def go_on(
    run: Run, data_dir: AnyPath | None = None, threads: int | None = None, source: str | None = None
) -> tuple[Training, list[Row]]:
    """A run where it stopped, or at its beginning: (the Training, the rows of the history so far).

    Args: as for ``load``.

    Raises: as ``load``, and RunError if the history does not go with the checkpoint.
    """
    state = load(run, data_dir, threads, source, must_have_begun=False)
    history = run.history()[: state.epoch] if state.epoch else []
    if [row["epoch"] for row in history] != list(range(1, state.epoch + 1)):
        raise RunError(f"{run.path}/history.csv does not have a row for each of the {state.epoch} epochs that are done")
    return state, history


def make_longer(run: Run, state: Training, epochs: int) -> None:
    """Raise the length of a run to so many epochs, and say so in its config."""
    state.extend(epochs)
    run.write_json(CONFIG, run.config() | describe_settings(state))


def read_config(run: Run) -> tuple[Settings, dict[str, Any], int]:
    """What ``config.json`` says, and nothing that no run could have written: (Settings, what it says of the data, the
    number of threads).

    Raises: RunError.
    """
    config = run.config()
    try:
        settings, about, threads = Settings.from_dict(config["settings"]), config["dataset"], config["threads"]
        require_sense(settings)
        wrong = [name for name in ("source", "digest") if not isinstance(about[name], str)]
        wrong += [name for name, n in {"limit": about["limit"] or 1, "threads": threads}.items() if not is_size(n)]
        if wrong:
            raise ValueError(f"{wrong[0]} is {(config | about)[wrong[0]]!r}")
    except (KeyError, TypeError, ValueError, UserError) as error:
        raise RunError(
            f"{run.path}/config.json is not the config of a run ({error!r})\nMend it, or train again."
        ) from None
    return settings, about, threads


def describe(training: Training, dataset: Dataset, source: str, limit: int | None = None) -> dict[str, Any]:
    """What ``config.json`` says of a run: the version, the data, every setting, and the protocol in words.

    Args:
        training: Training.
        dataset: datasets.Dataset, as loaded.
        source, limit: what ``datasets.load`` was given.
    """
    return {
        "tinyvae": __version__,
        "dataset": {
            "name": dataset.name,
            "source": source if source in datasets.NAMES else os.path.abspath(source),
            "limit": limit,
            "digest": dataset.digest,
            "train_examples": len(dataset.train),
            "test_examples": len(dataset.test),
            "image_shape": dataset.image_shape,
        },
        "threads": training.threads,
        "parameters": training.params.flat.size,
        **describe_settings(training),
    }


def describe_settings(training: Training) -> dict[str, Any]:
    """The part of ``config.json`` that changes when a run is made longer."""
    return {"settings": dataclasses.asdict(training.settings), "protocol": protocol(training.settings)}


def protocol(settings: Settings) -> str:
    """What a bound must be quoted with, in words."""
    binarisation = {"none": "grey levels", "static": "static binarisation", "dynamic": "dynamic binarisation"}
    bound = settings.objective.upper()
    if settings.objective == "elbo":
        bound += " (closed-form KL)" if settings.kl == "closed" else " (sampled KL)"
    raised = f" (raised from {', '.join(map(str, settings.raised_from))})" if settings.raised_from else ""
    return (
        f"{bound}, K = {settings.samples}, {binarisation[settings.binarise]}, {settings.epochs} epochs{raised}, "
        f"minibatch {settings.batch_size}, {settings.optimiser} at {settings.learning_rate:g} ({settings.schedule}), "
        f"seed {settings.seed}"
    )


def summarise(training: Training, history: Sequence[Row]) -> dict[str, Any]:
    """What ``summary.json`` says: the last figures, with their protocol."""
    settings, last = training.settings, history[-1]
    return {
        "dataset": training.dataset.name,
        "objective": settings.objective,
        "k": settings.samples,
        "epochs": training.epoch,
        "protocol": protocol(settings),
        "test_examples": len(training.dataset.test),
        **{name: last[name] for name in ("samples_seen", "train_bound", "test_bound", "seconds")},
    }
