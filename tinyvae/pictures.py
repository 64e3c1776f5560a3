"""What the figures of a run show: samples, reconstructions and latent spaces, computed from a trained model."""

import numpy as np

from tinyvae import figures, noise
from tinyvae.datasets import to_float
from tinyvae.noise import Stream

SAMPLES = 100
RECONSTRUCTIONS = 20
MANIFOLD_SIDE = 20


def prior_samples(training, n, y=None, share=1):
    """Means of the data at samples from the prior.

    Args:
        training: training.Training.
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


def draw(run, training, history):
    """Write the figures of a run into its folder.

    Args:
        run: runs.Run.
        training: training.Training, at its end.
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
    figures.image_grid(run.figure_path("samples.png"), prior_samples(training, SAMPLES), shape)
    originals = to_float(dataset.test[:RECONSTRUCTIONS], params.flat.dtype)
    mu, _ = model.encode(params, originals)
    figures.reconstructions(run.figure_path("reconstructions.png"), originals, model.decode(params, mu), shape)
    names = ["curve.png", "samples.png", "reconstructions.png"]
    if model.latent == (2,):
        grid = figures.manifold_grid(MANIFOLD_SIDE).astype(params.flat.dtype)
        figures.manifold(run.figure_path("manifold.png"), model.decode(params, grid), shape)
        means, _ = model.encode(params, to_float(dataset.test, params.flat.dtype))
        figures.latent(run.figure_path("latent.png"), np.asarray(means), dataset.test_labels)
        names += ["manifold.png", "latent.png"]
    return names
