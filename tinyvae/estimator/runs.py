"""A VAE in the folder of a run, where the command's trainings are: what is read there, and what is written."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tinyvae.disk.run import Run
from tinyvae.estimator.arguments import MODEL
from tinyvae.training import description, opening
from tinyvae.training.fitted import Fitted
from tinyvae.training.progress import origin
from tinyvae.types import AnyPath

HISTORY = ("epoch", "samples_seen", "train_bound")  # what is kept of each epoch
Progress = tuple[dict[str, np.ndarray], dict[str, Any]]  # ``Training.state()``


def read(path: AnyPath) -> tuple[dict[str, Any], dict[str, Any]]:
    """The parameters and the attributes of the VAE that a folder holds; ValueError for more than one layer."""
    fitted, run = opening.load_fitted(path), Run.open(path)
    settings, model = fitted.settings, fitted.model
    if len(settings.latent) > 1:
        raise ValueError(
            f"{path} holds a model of {len(settings.latent)} stochastic layers, and a VAE has one: use tinyvae.load"
        )
    parameters = {name: getattr(settings, setting) for setting, name in MODEL.items()} | {
        "n_components": settings.latent[0],
        "hidden": settings.hidden[0],
        "data_shape": fitted.data_shape if len(fitted.data_shape) > 1 else None,
        "objective": settings.objective,
        **{name: getattr(settings, name) for name in ("word_dropout", "beta", "anneal", "free_bits")},
        "n_samples": settings.samples,
        "max_epochs": settings.epochs,
        "batch_size": settings.batch_size,
        "learning_rate": settings.learning_rate,
        "schedule": settings.schedule,
        "random_state": settings.seed,
    }
    arrays, state = run.load_checkpoint()
    attributes = {
        "n_features_in_": model.data_dim,
        "settings_": settings,
        "model_": model,
        "_vocabulary": fitted.vocabulary,
        "history_": [{name: row[name] for name in HISTORY} for row in opening.history_of(run, state["epoch"])],
        # the place in an epoch of other data is of no use
        "_progress": (arrays, state | {"position": 0, "epoch_total": 0.0}),
    }
    if settings.conditional:
        _, about, _ = opening.read_config(run)
        attributes["classes_"] = np.array(range(model.n_labels) if about["classes"] is None else about["classes"])
    return parameters, attributes


def write(
    path: AnyPath, fitted: Fitted, history: Sequence[Mapping[str, float]], progress: Progress, classes: Any
) -> None:
    """Make a run of what a VAE has learned; ``classes`` is None where there are no labels."""
    arrays, state = progress
    nothing = {"test_bound": math.nan, "seconds": math.nan}
    rows = [nothing | dict(row) for row in history]
    about = {"name": "X", "source": None, "limit": None, "digest": "", "classes": classes, "pictures": None}
    about["n_labels"] = fitted.model.n_labels
    with Run.create(path, description.describe_fitted(fitted, about)) as run:
        run.write_history(rows)
        run.save_checkpoint(arrays, state | origin(fitted.settings, rows))
