"""Small models for the explorer's tests: of random data, with random weights, in no time."""

import numpy as np

from tinyvae.data.datasets import Dataset
from tinyvae.explorer import cost, page
from tinyvae.settings import LIKELIHOODS, Settings
from tinyvae.training.loop import Training


def dataset(shape=(6, 5), n_labels=3, test=12, floats=False, seed=0):
    """Random images of a shape: levels, or with ``floats`` numbers of any size."""
    rng, D = np.random.default_rng(seed), int(np.prod(shape))
    images = rng.normal(0, 2, (20 + test, D)) if floats else rng.integers(0, 256, (20 + test, D), np.uint8)
    labels, classes = rng.integers(0, n_labels, 20 + test), np.arange(n_labels) * 10
    labels[:n_labels] = np.arange(n_labels)
    return Dataset("noise", images[:20], images[20:], labels[:20], labels[20:], shape, "", n_labels, classes)


def training(shape=None, seed=0, spread=0.4, data=None, **settings):
    """A Training with random weights, on data that its likelihood describes."""
    likelihood = LIKELIHOODS[settings.get("likelihood", "bernoulli")]
    shape = shape or ((6, 5, 3) if likelihood.channels else (6, 5))
    data = data or dataset(shape, floats=not np.isfinite(likelihood.support[0]), seed=seed)
    latent = settings.setdefault("latent", (3,))
    settings.setdefault("hidden", ((7,),) * len(latent))
    if len(latent) > 1 or settings.get("prior") in ("mixture", "vamp"):
        settings.setdefault("kl", "sampled")
    state = Training(Settings(channels=(3, 4), kernel=3, batch_size=10, components=4, **settings), data)
    flat = state.params.flat
    flat += np.random.default_rng(seed).normal(0, spread, flat.shape).astype(flat.dtype)
    return state


def made(state, name="a run", **options):
    """(what the page of a Training knows, the page, the model with the page's own numbers)."""
    content, _ = page.content(state, name, [], **options)
    y = state.dataset.test_labels if state.model.n_labels else None
    arrays, _ = cost.cheapest(state.fitted, state.dataset.test, y)
    return content, page.assemble(content), cost.with_rounded(state.fitted, arrays)
