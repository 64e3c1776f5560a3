"""What the files of a run say of a training (config.json, summary.json), and the training that they describe."""

import dataclasses
import math
import os
from collections.abc import Mapping, Sequence
from typing import Any

from tinyvae import __version__, machine
from tinyvae.data import datasets
from tinyvae.data.datasets import Dataset
from tinyvae.derivation.parameters import Parameters
from tinyvae.disk.run import CONFIG, Row, Run
from tinyvae.errors import DataError, RunError, UserError
from tinyvae.settings import DATASETS, Settings, is_size, require_sense
from tinyvae.training.fitted import Fitted, build_model
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
    if about["source"] is None:
        raise DataError(
            f"{run.path} was written from Python, and does not say where its data are\n"
            "tinyvae.load opens it; to go on with its training, use VAE.from_run and partial_fit."
        )
    source = source or about["source"]
    dataset = datasets.load(source, data_dir, about["limit"])
    if dataset.digest != about["digest"]:
        raise DataError(f"{source} holds other data than the run in {run.path} was trained on: bring those back")
    training = Training(settings, dataset, threads or threads_before)
    if must_have_begun or run.has_checkpoint():
        training.restore(*run.load_checkpoint())
    return training


def load_fitted(path: AnyPath) -> Fitted:
    """The trained model in a run's folder, to encode, decode, sample and score with; its data are not needed.

    Args:
        path: of the folder.

    Returns: Fitted.

    Raises: RunError if the folder is no run, has no checkpoint yet, or is damaged.
    """
    run = Run.open(path)
    settings, about, _ = read_config(run)
    arrays, _ = run.load_checkpoint()
    try:
        vector = arrays["params"]
        data_shape = tuple(about["data_shape"])
        n_labels = about["n_labels"] or _count_labels(settings, data_shape, vector.size)
        model = build_model(settings, data_shape, n_labels)
        params = Parameters(model.shapes(), vector)
    except (KeyError, ValueError) as error:
        raise RunError(f"{run.path}: the checkpoint does not go with config.json ({error})\nTrain again.") from None
    return Fitted(model, params, settings)


def _count_labels(settings: Settings, data_shape: tuple[int, ...], size: int) -> int:
    """How many labels make a model of so many parameters: what the config of version 0.1.0 does not say.

    Each label has the same number of parameters.
    """
    if not settings.conditional:
        return 0
    one, two = (sum(map(math.prod, build_model(settings, data_shape, C).shapes().values())) for C in (1, 2))
    return max(1, 1 + (size - one) // (two - one))


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
    run.write_json(CONFIG, run.config() | describe_settings(state.settings))


def read_config(run: Run) -> tuple[Settings, dict[str, Any], int]:
    """What ``config.json`` says, and nothing that no run could have written: (Settings, what it says of the data, the
    number of threads).

    Raises: RunError.
    """
    config = run.config()
    try:
        settings, about, threads = Settings.from_dict(config["settings"]), dict(config["dataset"]), config["threads"]
        require_sense(settings)
        # runs of version 0.1.0 knew a shape by another name, and not how many labels there are
        about = {"data_shape": about.get("image_shape"), "n_labels": None} | about
        wrong = ["digest"] if not isinstance(about["digest"], str) else []
        wrong += ["source"] if not isinstance(about["source"], str | None) else []
        if not (
            isinstance(about["data_shape"], list) and about["data_shape"] and all(map(is_size, about["data_shape"]))
        ):
            wrong.append("data_shape")
        if not (about["n_labels"] in (None, 0) or is_size(about["n_labels"])):
            wrong.append("n_labels")
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
        dataset: Dataset, as loaded.
        source, limit: what ``datasets.load`` was given.
    """
    about = {
        "name": dataset.name,
        "source": source if source in DATASETS else os.path.abspath(source),
        "limit": limit,
        "digest": dataset.digest,
        "train_examples": len(dataset.train),
        "test_examples": len(dataset.test),
    }
    return describe_fitted(training.fitted, about, dataset.n_labels) | {"threads": training.threads}


def describe_fitted(
    fitted: Fitted, about: Mapping[str, Any] | None = None, n_labels: int | None = None
) -> dict[str, Any]:
    """The part of ``config.json`` that a trained model knows of itself.

    Args:
        fitted: Fitted.
        about: what is known of its data beside their shape; by default nothing.
        n_labels: of the data; by default those of the model.
    """
    about = about or {"name": "X", "source": None, "limit": None, "digest": ""}
    shape = {"data_shape": fitted.data_shape, "n_labels": fitted.model.n_labels if n_labels is None else n_labels}
    return {
        "tinyvae": __version__,
        "dataset": {**about, **shape},
        "threads": machine.available_cores(),
        "parameters": fitted.params.flat.size,
        **describe_settings(fitted.settings),
    }


def describe_settings(settings: Settings) -> dict[str, Any]:
    """The part of ``config.json`` that changes when a run is made longer."""
    return {"settings": dataclasses.asdict(settings), "protocol": protocol(settings)}


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
