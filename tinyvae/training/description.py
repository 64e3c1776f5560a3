"""What the files of a run say of a training: config.json, summary.json, evaluation.json."""

import dataclasses
import os
from collections.abc import Mapping, Sequence
from typing import Any

from tinyvae import __version__, machine
from tinyvae.data import datasets
from tinyvae.data.datasets import Dataset
from tinyvae.disk.run import Row
from tinyvae.settings import DATASETS, Settings
from tinyvae.training.evaluation import standard_error
from tinyvae.training.fitted import Fitted
from tinyvae.training.loop import Training
from tinyvae.training.protocol import bits_per_dimension, protocol, unit


def describe(training: Training, dataset: Dataset, source: str, limit: int | None = None) -> dict[str, Any]:
    """What ``config.json`` says of a run: the version, the data, every setting, and the protocol in words.

    Args:
        training: Training.
        dataset: Dataset, as loaded.
        source, limit: what ``datasets.load`` was given.
    """
    about = {
        "name": dataset.name,
        "source": lasting(source),
        "limit": limit,
        "digest": dataset.digest,
        "train_examples": len(dataset.train),
        "test_examples": len(dataset.test),
        "classes": dataset.classes,
        "pictures": dataset.pictures,
        "n_labels": dataset.n_labels,
    }
    described = describe_fitted(training.fitted, about) | {"threads": training.threads}
    return described | describe_settings(training.settings, dataset)


def lasting(source: str) -> str:
    """A data set's name, or the path of its file or folder from wherever one looks."""
    return source if source in DATASETS else os.path.abspath(os.path.expanduser(source))


def describe_fitted(fitted: Fitted, about: Mapping[str, Any]) -> dict[str, Any]:
    """The part of ``config.json`` that a trained model knows of itself.

    Args:
        fitted: Fitted.
        about: what is known of its data beside their shape and what they are made of.
    """
    vocabulary = None if fitted.vocabulary is None else fitted.vocabulary.to_json()
    return {
        "tinyvae": __version__,
        "dataset": {**about, "data_shape": fitted.data_shape, "vocabulary": vocabulary},
        "threads": machine.available_cores(),
        "parameters": fitted.params.flat.size,
        **describe_settings(fitted.settings),
    }


def describe_settings(settings: Settings, dataset: Dataset | None = None) -> dict[str, Any]:
    """The part of ``config.json`` that changes when a run is made longer; arguments as for ``protocol``."""
    return {"settings": dataclasses.asdict(settings), "protocol": protocol(settings, dataset)}


def describe_evaluation(training: Training, run: str | None) -> dict[str, Any]:
    """What ``evaluation.json`` says beside the results (evaluation.py): of which run, at which epoch and step, of which
    data, and how made.

    Args:
        training: Training.
        run: the run's name, ``Run.name``.
    """
    return {
        "run": run,
        "dataset": training.dataset.name,
        "test_digest": datasets.digest(training.dataset.test),
        "protocol": protocol(training.settings, training.dataset),
        "unit": unit(training.fitted),
        "epochs": training.epoch,
        "step": training.step,
    }


def are_of_one_state(found: Mapping[str, Any], results: Mapping[str, Any]) -> bool:
    """Whether an evaluation that was found is of the run and the step of another one."""
    return all(found.get(name) == results[name] for name in ("run", "epochs", "step"))


def summarise(training: Training, history: Sequence[Row]) -> dict[str, Any]:
    """What ``summary.json`` says: the last figures, with their protocol, and the standard error of the test bound by
    the choice of the test examples.
    """
    settings, last = training.settings, history[-1]
    return {
        "dataset": training.dataset.name,
        "objective": settings.objective,
        "k": settings.samples,
        "epochs": training.epoch,
        "protocol": protocol(settings, training.dataset),
        "unit": unit(training.fitted),
        "test_examples": len(training.dataset.test),
        "test_bits_per_dimension": bits_per_dimension(training.fitted, training.dataset.test, last["test_bound"]),
        "test_standard_error": standard_error(training.test_bounds()),
        **{name: last[name] for name in ("samples_seen", "train_bound", "test_bound", "seconds")},
    }
