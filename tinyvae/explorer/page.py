"""The page: a trained model, what is known of it, and the sources that show it, in one file."""

import base64
import hashlib
import re
from importlib import resources
from typing import Any

import numpy as np

from tinyvae import __version__
from tinyvae.data.rows import Images
from tinyvae.disk.run import Row
from tinyvae.errors import UserError
from tinyvae.explorer import layout, points, priors
from tinyvae.explorer.cost import FAR_OUT, Cost, cheapest, with_rounded
from tinyvae.explorer.packing import escaped_json, pack
from tinyvae.settings import LIKELIHOODS
from tinyvae.training.evaluation import ACTIVE, latent_diagnostics
from tinyvae.training.fitted import Fitted, take
from tinyvae.training.loop import Training
from tinyvae.training.protocol import protocol, unit
from tinyvae.types import Labels

POINTS = 2000  # of the test set, at most, unless another number is asked for
UNITS = 2000  # test examples that say which units are used, however many points are shown
SCRIPTS = (
    *("numbers.js", "networks.js", "likelihoods.js", "model.js"),
    *("pictures.js", "map.js", "controls.js", "walk.js", "sketch.js", "main.js"),
)


def content(
    training: Training, name: str, history: list[Row], n_points: int = POINTS, with_images: bool = False
) -> tuple[dict[str, Any], Cost]:
    """All that the page knows, for JSON, and what the rounding of the weights costs.

    Args:
        training: Training, as a run's folder holds it.
        name: of the run.
        history: its rows.
        n_points: how many test examples are to stand in it, at most.
        with_images: with their images.

    Raises: UserError for a model that the page cannot evaluate, and for data that it cannot show.
    """
    fitted, dataset = training.fitted, training.dataset
    model = layout.describe(fitted.model)
    y = dataset.test_labels if fitted.model.n_labels else None
    arrays, cost = cheapest(fitted, dataset.test, y)
    shown = with_rounded(fitted, arrays)
    some = slice(n_points)
    labels: Labels | None = None if dataset.test_labels is None else dataset.test_labels[some]
    images = dataset.test[some]
    return {
        "about": about(training, name, history),
        "rounding": cost._asdict(),
        "model": model,
        "arrays": {key: pack(array) for key, array in arrays.items() if not key.startswith("prior.")},
        "prior": priors.describe(shown),
        "points": points.describe(shown, images, labels, with_images),
        "units": describe_units(shown, dataset.test[:UNITS], take(y, slice(UNITS))),
        "classes": dataset.classes,
        "input": describe_input(fitted, images),
    }, cost


def about(training: Training, name: str, history: list[Row]) -> dict[str, Any]:
    """Which run the page shows."""
    return {
        "run": name,
        "data": training.dataset.name,
        "protocol": protocol(training.settings, training.dataset),
        "version": __version__,
        "epochs": training.epoch,
        "unit": unit(training.fitted),
        "objective": training.settings.objective.upper(),
        "samples": training.settings.samples,
        "bound": history[training.epoch - 1]["test_bound"] if training.epoch else None,
    }


def describe_units(fitted: Fitted, images: Images, labels: Labels | None) -> list[dict[str, Any]]:
    """The use of each latent unit, a dict for each layer: as ``latent_diagnostics``, and which of them are "active".

    Args:
        fitted: Fitted.
        images: (N, D), as data sets hold them.
        labels: (N,), of a conditional model.

    Raises: UserError for numbers that are not finite, which JSON has no words for.
    """
    layers = latent_diagnostics(fitted, images, labels)
    if not all(np.isfinite(values).all() for layer in layers for values in layer.values() if values is not None):
        raise UserError(
            f"the KL divergence of a latent unit over {len(images):,} test examples is not finite: {FAR_OUT}"
        )
    return [layer | {"active": layer["variance"] > ACTIVE} for layer in layers]


def describe_input(fitted: Fitted, images: Images) -> dict[str, Any]:
    """How a drawing, from 0 to 1, is to become what the encoder was shown in training: images like these."""
    settings = fitted.settings
    return {
        "range": points.data_range(fitted, images),
        "binary": settings.binarise != "none" or images.dtype == np.bool_,
        "dequantised": settings.dequantise,
        "levels": LIKELIHOODS[settings.likelihood].levels,
    }


def assemble(content: dict[str, Any]) -> str:
    """The page, as HTML.

    Its policy lets the browser run this script and this style, known by their digests, and load nothing from anywhere.
    """
    folder = resources.files("tinyvae.explorer") / "sources"
    html, style, *scripts = (
        (folder / name).read_text(encoding="utf-8") for name in ("page.html", "page.css", *SCRIPTS)
    )
    script = '(() => {\n"use strict";\n' + "\n".join(scripts) + "})();\n"
    policy = (
        f"default-src 'none'; script-src '{digest(script)}'; style-src '{digest(style)}'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )
    parts = {"policy": policy, "style": style, "content": escaped_json(content), "script": script}
    # in one go: what is put in is not looked through for further places
    return re.sub(r"@(\w+)@", lambda place: parts[place[1]], html)


def digest(text: str) -> str:
    """A source by its digest, as a policy names it."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode("ascii")
