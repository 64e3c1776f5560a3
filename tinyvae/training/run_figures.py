"""What the figures of a run show: the curve, samples, reconstructions and latent spaces of a trained model."""

from collections.abc import Callable, Sequence

import numpy as np

from tinyvae.data import expressions
from tinyvae.data.datasets import Dataset
from tinyvae.data.rows import flat
from tinyvae.disk.run import DRAWN, Row, Run
from tinyvae.drawing import curves, maps, mosaics
from tinyvae.training import strings
from tinyvae.training.fitted import Fitted
from tinyvae.training.protocol import bits_per_dimension, unit
from tinyvae.types import AnyPath

SAMPLES = 100
RECONSTRUCTIONS = 20
MANIFOLD_SIDE = 20
NOISES = 10  # noise vectors of a conditional model, each under every label
MAPPED = 2000  # strings of a map
MOST_COLUMNS = 20  # labels: a picture of more is wider than a page


def draw_samples(path: AnyPath, fitted: Fitted, classes: np.ndarray | None = None) -> None:
    """Samples from the prior; of a conditional model a row for each noise vector and a column for each label.

    Args:
        path: of the PNG.
        fitted: Fitted.
        classes: (C,) what the labels 0 ... C - 1 stand for.
    """
    n_labels, shape = fitted.model.n_labels, fitted.data_shape
    C = min(n_labels, MOST_COLUMNS)
    if not C:
        mosaics.image_grid(path, flat(fitted.sample(SAMPLES)), shape)
        return
    samples = flat(fitted.sample(NOISES * C, np.tile(np.arange(C), NOISES), share=C))
    names = np.arange(C) if classes is None else classes[:C]
    caption = f"the first {C} of {n_labels} labels" if n_labels > C else ""
    mosaics.image_grid(path, samples, shape, columns=C, column_labels=[str(name) for name in names], caption=caption)


def draw_reconstructions(path: AnyPath, fitted: Fitted, dataset: Dataset) -> None:
    """The first test images, each above what the decoder makes of its posterior mean."""
    originals = fitted.rows(dataset.test[:RECONSTRUCTIONS])
    y = dataset.test_labels[:RECONSTRUCTIONS] if fitted.model.n_labels and dataset.test_labels is not None else None
    decoded = flat(fitted.decode(fitted.encode(originals, y)[0], y))
    mosaics.reconstructions(path, originals, decoded, fitted.data_shape)


def drawings(run: Run, fitted: Fitted, dataset: Dataset, history: Sequence[Row]) -> dict[str, Callable[[], object]]:
    """What is drawn of a run, by the name of the file in its folder: each to be called by itself, since one that cannot
    be drawn is no reason to be without the others. Of a run of strings, what is drawn from it is text.

    Args:
        run: Run.
        fitted: Fitted, at the end of the training.
        dataset: Dataset, as trained on.
        history: the rows of ``history.csv``.

    Returns: {name of the file in the run's folder: what writes it}.
    """

    def into(name: str, draw: Callable[..., object], *arguments: object) -> dict[str, Callable[[], object]]:
        return {f"figures/{name}": lambda: draw(run.figure_path(name), *arguments)}

    curve = into("curve.png", draw_curve, fitted, dataset, history)
    if fitted.has_strings:
        can_be_mapped = fitted.model.latent[0] > 1
        return {
            DRAWN: lambda: run.write_samples(strings.report(fitted, dataset)),
            **curve,
            **(into("latent.png", draw_string_map, fitted, dataset) if can_be_mapped else {}),
        }
    found = {
        **curve,
        **into("samples.png", draw_samples, fitted, dataset.classes),
        **into("reconstructions.png", draw_reconstructions, fitted, dataset),
    }
    if fitted.model.latent == (2,) and not fitted.model.n_labels:  # with labels there is a manifold for each
        found |= into("manifold.png", draw_manifold, fitted) | into("latent.png", draw_latent, fitted, dataset)
    return found


def draw_curve(path: AnyPath, fitted: Fitted, dataset: Dataset, history: Sequence[Row]) -> None:
    """The bounds of the training, in nats and, where they can be counted so, in bits."""
    columns = {name: [row[name] for row in history] for name in ("samples_seen", "train_bound", "test_bound")}
    bound_name = fitted.settings.objective.upper()
    start, at_one = (bits_per_dimension(fitted, dataset.test, nats) for nats in (0.0, 1.0))
    bits = None if start is None or at_one is None else (at_one - start, start)
    curves.curve(path, *columns.values(), bound_name=bound_name, unit=unit(fitted), title=dataset.name, bits=bits)


def draw_latent(path: AnyPath, fitted: Fitted, dataset: Dataset) -> None:
    """The posterior means of the test images in a two-dimensional latent space, coloured by label."""
    labels = None if dataset.classes is None else dataset.classes[dataset.test_labels]
    maps.latent(path, fitted.encode(dataset.test)[0], labels)


def draw_string_map(path: AnyPath, fitted: Fitted, dataset: Dataset) -> None:
    """The posterior means of test strings, in the two dimensions in which they vary most; the colour is the score of an
    expression (``expressions.score``), and the length of what is none.
    """
    means = fitted.encode(dataset.test[:MAPPED])[0]
    most = np.sort(np.argsort(-means.var(axis=0), kind="stable")[:2])
    words = strings.texts(strings.judge(fitted, dataset).vocabulary, dataset.test[:MAPPED])
    is_scored = dataset.grammar == expressions.GRAMMAR
    colours = np.array(list(map(expressions.score if is_scored else len, words)))
    scale = "score: log(1 + mean squared error), 0 for the target" if is_scored else "characters"
    first, second = (int(number) + 1 for number in most)
    maps.latent(path, means[:, most], colours, scale=scale, dimensions=(first, second), title=dataset.name)


def draw_manifold(path: AnyPath, fitted: Fitted) -> None:
    """The unit square through the inverse Gaussian CDF and the decoder (AEVB, Figure 4)."""
    mosaics.manifold(path, flat(fitted.decode(mosaics.manifold_grid(MANIFOLD_SIDE))), fitted.data_shape)
