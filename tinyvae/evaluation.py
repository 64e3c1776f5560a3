"""What a trained model is worth: log p(x) by importance sampling, bounds for several K, and which latent units it uses.

Everything is computed in blocks of bounded memory, some examples and some hundreds of samples at a time.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from tinyvae import gaussian, noise
from tinyvae.datasets import to_float
from tinyvae.kernels import LOG_2PI
from tinyvae.likelihoods import LIKELIHOODS
from tinyvae.noise import Stream
from tinyvae.training import Training
from tinyvae.types import Array, Labels

BLOCK = 500  # samples of an example at a time; a multiple of each of GROUPS
GROUPS = (1, 5, 50, 500)  # the K of the bounds that are reported beside log p(x)
ROWS = 1000  # samples of all examples of a block
ACTIVE = 0.01  # a unit is active if its posterior mean varies by more than this over the data (IWAE, section 5.2)
DIAGNOSTIC_SAMPLES = 20  # for the posterior means and divergences of the layers above the first
OnBlock = Callable[[int], object]  # told how many samples were drawn


def log_likelihood(
    training: Training, images: np.ndarray, labels: Labels | None, K: int, on_block: OnBlock | None = None
) -> dict[str, Array]:
    """log p(x) = log E_q[w], estimated as log (1/K) sum_k w_k (IWAE, section 5.1), and what else the weights say.

    The sum over k runs in blocks: with the largest log weight so far, m, sum_k exp(log w_k - m) is kept and rescaled
    when m grows.

    Args:
        training: training.Training.
        images: (N, D) of the data set.
        labels: (N,) or None.
        K: samples for each example.
        on_block: called with the number of samples drawn, after each block.

    Returns: {name: (N,)}:
        "log_likelihood", the estimate, a lower bound in expectation, in nats;
        "bound K" for each group size K in ``GROUPS``, the mean over all groups;
        "ess K", the effective number 1 / sum_k v_k² of the normalised weights v_k in a group of K;
        "largest K", the largest v_k in a group.
    """
    rows = max(1, ROWS // min(K, BLOCK))

    def task(first: int) -> dict[str, Array]:
        x = to_float(images[first : first + rows], training.params.flat.dtype)
        y = training.labels(labels, slice(first, first + rows))
        return _stream_weights(training, x, y, first, K, on_block)

    with training.crew:
        parts = [task(first) for first in range(0, len(images), rows)]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _stream_weights(
    training: Training, x: Array, y: Labels | None, first: int, K: int, on_block: OnBlock | None
) -> dict[str, Array]:
    """``log_likelihood`` for some examples, block by block of samples."""
    N = len(x)
    largest, total = np.full((N, 1), -np.inf), np.zeros((N, 1))
    sums: dict[str, Array] = {}
    counts: dict[int, int] = {}
    for start in range(0, K, BLOCK):
        S = min(BLOCK, K - start)
        eps = [
            noise.normal(shape, training.settings.seed, Stream.EVALUATION + l, 1, first, start, x.dtype)
            for l, shape in enumerate(training.model.noise_shapes(N, S))
        ]
        logw = training.model.log_weights(training.params, x, eps, y)[0].astype(np.float64)
        new_largest = np.maximum(largest, logw.max(axis=1, keepdims=True))
        total = total * np.exp(largest - new_largest) + np.exp(logw - new_largest).sum(axis=1, keepdims=True)
        largest = new_largest
        for k in (k for k in GROUPS if k <= S):
            for name, values in _groups(logw[:, : S - S % k].reshape(N, -1, k)).items():
                sums[f"{name} {k}"] = sums.get(f"{name} {k}", 0) + values.sum(axis=1)
            counts[k] = counts.get(k, 0) + S // k
        if on_block:
            on_block(N * S)
    means = {name: value / counts[int(name.split()[1])] for name, value in sums.items()}
    return {"log_likelihood": (largest + np.log(total / K))[:, 0], **means}


def _groups(logw: Array) -> dict[str, Array]:
    """The bound, the effective number and the largest weight of each group: (N, G) each from logw (N, G, k)."""
    largest = logw.max(axis=2, keepdims=True)
    w = np.exp(logw - largest)
    total = w.sum(axis=2)
    return {
        "bound": largest[..., 0] + np.log(total / logw.shape[2]),
        "ess": total**2 / (w * w).sum(axis=2),
        "largest": 1 / total,
    }


def latent_diagnostics(training: Training, images: np.ndarray, labels: Labels | None) -> list[dict[str, Any]]:
    """The use of each latent unit.

    Args:
        training: training.Training.
        images: (N, D).
        labels: (N,) or None.

    Returns: for each stochastic layer a dict of
        "variance": (D_l,) variance over the data of the posterior mean (IWAE, section 5.2: active above 0.01);
        "kl": (D_l,) the unit's mean KL divergence from its prior, in nats per example; None for a prior that is a
            mixture, which has no share for each unit.
    """
    rows = max(1, ROWS // DIAGNOSTIC_SAMPLES)

    def task(first: int) -> list[tuple[Array, Array | None]]:
        x = to_float(images[first : first + rows], training.params.flat.dtype)
        return _diagnose(training, x, training.labels(labels, slice(first, first + rows)), first)

    with training.crew:
        parts = [task(first) for first in range(0, len(images), rows)]
    layers = []
    for l in range(len(training.model.latent)):
        means, divergences = zip(*(part[l] for part in parts))
        kl = None if divergences[0] is None else np.concatenate(divergences).mean(axis=0)
        layers.append({"variance": np.concatenate(means).var(axis=0), "kl": kl})
    return layers


def _diagnose(training: Training, x: Array, y: Labels | None, first: int) -> list[tuple[Array, Array | None]]:
    """[(posterior means (N, D_l), divergences (N, D_l) or None) for each layer] of some examples."""
    model, params, N, K = training.model, training.params, len(x), DIAGNOSTIC_SAMPLES
    eps = [
        noise.normal(shape, training.settings.seed, Stream.EVALUATION + l, 2, first, dtype=x.dtype)
        for l, shape in enumerate(model.noise_shapes(N, K))
    ]
    z, _, cache = model.posterior(params, x, eps, y)
    results = []
    for l, (stats, *_) in enumerate(cache):
        mu, logvar = gaussian.split(stats)
        means = mu.reshape(N, -1, model.latent[l]).mean(axis=1)
        if l == len(z) - 1:
            kl = model.top_divergence(params, mu, logvar, y)
        else:  # sampled: log q(z_l | z_{l-1}) - log p(z_l | z_{l+1}), unit by unit
            above = model.conditional(params, z[l + 1], l, y)
            q = _log_normal(z[l].reshape(len(mu), -1, model.latent[l]), mu[:, None], logvar[:, None])
            kl = q.reshape(N, K, -1) - _log_normal(z[l], *above).reshape(N, K, -1)
        results.append((means, None if kl is None else kl.reshape(N, -1, model.latent[l]).mean(axis=1)))
    return results


def _log_normal(z: Array, mu: Array, logvar: Array) -> Array:
    """log N(z; mu, exp(logvar)) element by element."""
    return -0.5 * ((z - mu) ** 2 * np.exp(-logvar) + logvar + LOG_2PI)


def floor_share(training: Training, images: np.ndarray, labels: Labels | None) -> float | None:
    """The share of the decoder's variances that the likelihood's floor holds up, at the posterior means; or None."""
    share = LIKELIHOODS[training.settings.likelihood].floor_share
    if share is None:
        return None
    x = to_float(images[:ROWS], training.params.flat.dtype)
    y = training.labels(labels, slice(0, ROWS))
    mu, _ = training.model.encode(training.params, x, y)
    return share(training.model.decode_outputs(training.params, mu, y))


def evaluate(training: Training, K: int, limit: int | None = None, on_block: OnBlock | None = None) -> dict[str, Any]:
    """All of ``evaluation.json``: see ``log_likelihood`` and ``latent_diagnostics``.

    Args:
        training: training.Training, of a trained model.
        K: samples for each example.
        limit: the first n test images only.
        on_block: as for ``log_likelihood``.

    Returns: a dict for JSON.
    """
    images = training.dataset.test[:limit]
    labels = training.labels(training.dataset.test_labels, slice(limit))
    weights = log_likelihood(training, images, labels, K, on_block)
    layers = latent_diagnostics(training, images, labels)
    values = weights.pop("log_likelihood")
    groups = {
        name: {k: weights[f"{name} {k}"].mean() for k in GROUPS if k <= K} for name in ("bound", "ess", "largest")
    }
    return {
        "log_likelihood": values.mean(),
        "standard_error": values.std(ddof=1) / np.sqrt(len(values)) if len(values) > 1 else None,
        "samples": K,
        "n_images": len(values),
        "elbo": groups["bound"][1],
        "bounds": groups["bound"],
        "effective_sample_size": groups["ess"],
        "largest_weight": groups["largest"],
        "active_units": [int(np.sum(layer["variance"] > ACTIVE)) for layer in layers],
        "latent": list(training.model.latent),
        "posterior_mean_variance": [layer["variance"] for layer in layers],
        "kl": [layer["kl"] for layer in layers],
        "variance_floor_share": floor_share(training, images, labels),
    }
