"""What the figures of a run show: samples, reconstructions and latent spaces, computed from a trained model."""

import numpy as np

from tinyvae.data.datasets import to_float
from tinyvae.drawing import figures
from tinyvae.machine import noise
from tinyvae.machine.noise import Stream

SAMPLES = 100
RECONSTRUCTIONS = 20
MANIFOLD_SIDE = 20
ROWS = 10  # noise vectors of a conditional model, each under every label


def prior_samples(training, n, y=None, share=1):
    """Means of the data at samples from the prior.

    Args:
        training: loop.Training.
        n: how many.
        y: (n,) labels, of a conditional model.
        share: so many neighbours get the same noise in all layers.

    Returns: (n, D).
    """
    model, seed, dtype = training.model, training.settings.seed, training.params.flat.dtype
    shapes = model.noise_shapes(n // share, 1)
    *below, top = (noise.normal(shape, seed, Stream.PICTURES + l, dtype=dtype) for l, shape in enumerate(shapes))
    u = noise.uniform((n // share, 1, 1), seed, Stream.COMPONENTS, dtype=dtype)[:, 0, 0]
    *below, top, u = (np.repeat(array, share, axis=0) for array in (*below, top, u))
    return model.decode(training.params, model.sample_prior(training.params, top[:, 0], u, y), below, y)


def draw_samples(path, training):
    """Samples from the prior; of a conditional model a row for each noise vector and a column for each label."""
    C, shape = training.model.n_labels, training.dataset.image_shape
    if not C:
        figures.image_grid(path, prior_samples(training, SAMPLES), shape)
        return
    samples = prior_samples(training, ROWS * C, np.tile(np.arange(C), ROWS), share=C)
    figures.image_grid(path, samples, shape, columns=C, column_labels=[str(label) for label in range(C)])


def draw(run, training, history):
    """Write the figures of a run into its folder.

    Args:
        run: run.Run.
        training: loop.Training, at its end.
        history: the rows of ``history.csv``.

    Returns: the names of the files.
    """
    model, params, dataset = training.model, training.params, training.dataset
    shape = dataset.image_shape
    columns = {name: [row[name] for row in history] for name in ("samples_seen", "train_bound", "test_bound")}
    figures.curve(
        run.figure_path("curve.png"),
        *columns.values(),
        bound_name=training.settings.objective.upper(),
        title=dataset.name,
    )
    draw_samples(run.figure_path("samples.png"), training)
    originals = to_float(dataset.test[:RECONSTRUCTIONS], params.flat.dtype)
    y = training.labels(dataset.test_labels, slice(RECONSTRUCTIONS))
    mu, _ = model.encode(params, originals, y)
    figures.reconstructions(run.figure_path("reconstructions.png"), originals, model.decode(params, mu, y=y), shape)
    names = ["curve.png", "samples.png", "reconstructions.png"]
    if model.latent == (2,) and not model.n_labels:  # with labels there is a manifold for each
        grid = figures.manifold_grid(MANIFOLD_SIDE).astype(params.flat.dtype)
        figures.manifold(run.figure_path("manifold.png"), model.decode(params, grid), shape)
        means, _ = model.encode(params, to_float(dataset.test, params.flat.dtype))
        figures.latent(run.figure_path("latent.png"), np.asarray(means), dataset.test_labels)
        names += ["manifold.png", "latent.png"]
    return names
