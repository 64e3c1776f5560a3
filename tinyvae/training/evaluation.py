"""What a trained model is worth: log p(x) by importance sampling, bounds for several K, which latent units it uses."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from tinyvae import machine
from tinyvae.data.rows import Images
from tinyvae.derivation.shapes import misfit
from tinyvae.machine import noise
from tinyvae.machine.noise import Stream
from tinyvae.settings import LIKELIHOODS
from tinyvae.training import annealing
from tinyvae.training.fitted import Fitted, take
from tinyvae.training.importance_sampling import GROUPS, OnBlock, log_likelihood
from tinyvae.training.protocol import bits_per_dimension, quantity
from tinyvae.types import Array, Labels

ACTIVE = 0.01  # a unit is active if its posterior mean varies by more than this over the data (IWAE, section 5.2)
THRESHOLDS = 0.001, 0.01, 0.05, 0.1  # others: a count that depends on them is no property of the model
DIAGNOSTIC_SAMPLES = 20  # for the posterior means and divergences of the layers above the first
ROWS = 1000  # examples, or samples of them, at a time
LOG_2PI = math.log(2 * math.pi)
DIGITS = 4  # of what is kept of each example


def latent_diagnostics(fitted: Fitted, images: Images, labels: Labels | None) -> list[dict[str, Any]]:
    """The use of each latent unit.

    Args:
        fitted: Fitted.
        images: (N, D).
        labels: (N,), of a conditional model.

    Returns: for each stochastic layer a dict of
        "variance": (D_l,) variance over the data of the posterior mean (IWAE, section 5.2: active above 0.01). Above
            the first layer that is a mean over samples of the layer below, of which there are
            ``DIAGNOSTIC_SAMPLES``: what their choice adds to the variance is taken off;
        "kl": (D_l,) the unit's mean KL divergence from its prior, in nats per example; None for a prior that is a
            mixture, which has no share for each unit.
    """
    rows = max(1, ROWS // DIAGNOSTIC_SAMPLES)

    def task(first: int) -> list[tuple[Array, Array, Array | None]]:
        some = slice(first, first + rows)
        return _diagnose(fitted, fitted.rows(images[some]), take(labels, some), first)

    with machine.crew():
        parts = [task(first) for first in range(0, len(images), rows)]
    layers = []
    for l in range(len(fitted.model.latent)):
        means, errors, divergences = zip(*(part[l] for part in parts))
        kl = None if divergences[0] is None else np.concatenate(divergences).mean(axis=0)
        variance = np.concatenate(means).var(axis=0) - np.concatenate(errors).mean(axis=0)
        layers.append({"variance": np.maximum(variance, 0), "kl": kl})
    return layers


def _diagnose(fitted: Fitted, x: Array, y: Labels | None, first: int) -> list[tuple[Array, Array, Array | None]]:
    """[(posterior means (N, D_l), their squared standard errors (N, D_l), divergences (N, D_l) or None) for each layer]
    of some examples.
    """
    model, params, N, K = fitted.model, fitted.params, len(x), DIAGNOSTIC_SAMPLES
    shapes = model.noise_shapes(N, K)
    z, *_ = model.posterior(
        params, x, noise.layers(shapes, fitted.settings.seed, Stream.EVALUATION, 2, first, dtype=x.dtype), y
    )
    results = []
    for l, (mu, logvar) in enumerate(model.statistics(params, [x, *z[:-1]], y)):
        of_samples = mu.reshape(N, -1, model.latent[l])
        means, S = of_samples.mean(axis=1), of_samples.shape[1]
        errors = of_samples.var(axis=1, ddof=1) / S if S > 1 else np.zeros_like(means)
        each = None if y is None else np.repeat(y, len(mu) // N)
        if l == len(z) - 1:
            kl = model.top_divergence(params, mu, logvar, each)
        else:  # sampled: log q(z_l | z_{l-1}) - log p(z_l | z_{l+1}), unit by unit
            above = model.conditional(params, z[l + 1], l, None if y is None else np.repeat(y, K))
            q = _log_normal(z[l].reshape(len(mu), -1, model.latent[l]), mu[:, None], logvar[:, None])
            kl = q.reshape(N, K, -1) - _log_normal(z[l], *above).reshape(N, K, -1)
        results.append((means, errors, None if kl is None else kl.reshape(N, -1, model.latent[l]).mean(axis=1)))
    return results


def _log_normal(z: Array, mu: Array, logvar: Array) -> Array:
    """log N(z; mu, exp(logvar)) element by element."""
    return -0.5 * ((z - mu) ** 2 * np.exp(-logvar) + logvar + LOG_2PI)


def active(layer: dict[str, Any], threshold: float) -> int:
    """The number of a layer's units that are active at a threshold."""
    return int(np.sum(layer["variance"] > threshold))


def remark(fitted: Fitted, images: Images, labels: Labels | None) -> str:
    """What the likelihood has to say of the decoder's outputs, at the posterior means of some images; or ""."""
    x, y = fitted.rows(images[:ROWS]), take(labels, slice(ROWS))
    with machine.crew():
        mu, _ = fitted.model.encode(fitted.params, x, y)
        return LIKELIHOODS[fitted.settings.likelihood].remark(fitted.model.decode_outputs(fitted.params, mu, y))


def standard_error(values: Array) -> float | None:
    """That of the mean of (N,) independent values, sqrt(sum_n (v_n - mean)^2 / (N (N - 1))); None for one alone, of
    which nobody can say how far others lie from it.
    """
    with np.errstate(invalid="ignore"):  # of values that are not finite it is no number either
        return float(values.std(ddof=1)) / math.sqrt(len(values)) if len(values) > 1 else None


def paired(first: Array, second: Array) -> tuple[float, float]:
    """How much more, on average, the second model says of the same examples than the first, and its standard error.

    Examples differ much more than models do: what is common to both models goes out of the difference, and with it most
    of the error that each mean has alone.

    Args:
        first, second: (N,) log p(x_n), in nats, under two models.

    Returns: the mean of their differences, and its standard error, NaN for one example.

    Raises: ValueError for other shapes.
    """
    if not (first.shape == second.shape and first.ndim == 1 and len(first)):
        raise misfit("two arrays (N,)", first, second)
    with np.errstate(invalid="ignore"):  # of two that are -inf it is no number
        difference = second - first
    error = standard_error(difference)
    return float(difference.mean()), math.nan if error is None else error


def anneal(
    fitted: Fitted, images: Images, labels: Labels | None, each: Array, on_step: annealing.OnStep | None = None
) -> dict[str, Any]:
    """The second estimate of ``evaluation.json``, by annealed importance sampling (annealing.py).

    Args:
        fitted, images, labels: as for ``evaluate``.
        on_step: as for ``annealing.log_likelihood``.
        each: what ``evaluate`` has said of these images, and perhaps of others after them.

    Returns: {"annealed": a dict for JSON}.
    """
    n = len(images)
    labels = labels[:n] if labels is not None and fitted.model.n_labels else None
    with machine.crew():
        found = annealing.log_likelihood(
            fitted.model, fitted.params, fitted.settings.seed, images, labels, on_step=on_step
        )
    about = {
        "log_likelihood": found["log_likelihood"].mean(),
        "standard_error": standard_error(found["log_likelihood"]),
        "n_images": n,
        "chains": annealing.CHAINS,
        "steps": annealing.STEPS,
        "effective_chains": found["ess"].mean(),
        "accepted": found["accepted"].mean(),
        "each": np.round(found["log_likelihood"], DIGITS),
    }
    return {"annealed": beside(about, each)}


def annealed_before(found: Mapping[str, Any], results: Mapping[str, Any]) -> dict[str, Any]:
    """What the annealing of an earlier evaluation of the same state said, beside new results: it took hours.

    Args:
        found: the content of an ``evaluation.json``, whole or damaged.
        results: of ``evaluate``.

    Returns: {"annealed": a dict for JSON}, or nothing if there is none, or one of more images than the results.
    """
    try:
        annealed = dict(found["annealed"])
        names = "log_likelihood", "standard_error", "chains", "steps", "effective_chains", "accepted"
        numbers = [annealed[name] for name in names]
        if not all(number is None or isinstance(number, int | float) for number in numbers):
            return {}
        return {"annealed": beside(annealed, np.array(results["each"], np.float64))}
    except (KeyError, TypeError, ValueError):
        return {}


def beside(annealed: dict[str, Any], each: Array) -> dict[str, Any]:
    """The second estimate with what it says more than the first of the same images.

    Args:
        annealed: "each" and "n_images" of it, and whatever else.
        each: as for ``anneal``.
    """
    n = annealed["n_images"]
    gain, error = paired(each[:n], np.array(annealed["each"], np.float64))
    return annealed | {"gain": gain, "error_of_gain": error if n > 1 else None}


def evaluate(
    fitted: Fitted, images: Images, labels: Labels | None, K: int, on_block: OnBlock | None = None
) -> dict[str, Any]:
    """What ``evaluation.json`` says of a model: see ``log_likelihood`` and ``latent_diagnostics``. The last entry has
    log p(x) of each example.

    Args:
        fitted: Fitted.
        images: (N, D), as data sets hold them.
        labels: (N,); of no use but for a conditional model.
        K: samples for each example.
        on_block: as for ``log_likelihood``.

    Returns: a dict for JSON.
    """
    labels = labels if fitted.model.n_labels else None
    with machine.crew():
        weights = log_likelihood(fitted.model, fitted.params, fitted.settings.seed, images, labels, K, on_block)
        layers = latent_diagnostics(fitted, images, labels)
    values = weights.pop("log_likelihood")
    # one image does not tell by how much a posterior mean varies
    variances = [layer["variance"] if len(values) > 1 else None for layer in layers]

    def active_at(threshold: float) -> list[int | None]:
        return [active(layer, threshold) if len(values) > 1 else None for layer in layers]

    groups = {
        name: {k: weights[f"{name} {k}"].mean() for k in GROUPS if k <= K} for name in ("bound", "ess", "largest")
    }
    return {
        "quantity": quantity(fitted, images),
        "log_likelihood": values.mean(),
        "bits_per_dimension": bits_per_dimension(fitted, images, values.mean()),
        "standard_error": standard_error(values),
        "samples": K,
        "n_images": len(values),
        "elbo": groups["bound"][1],
        "bounds": groups["bound"],
        "effective_sample_size": groups["ess"],
        "largest_weight": groups["largest"],
        "active_units": active_at(ACTIVE),
        "active_units_at": {str(threshold): active_at(threshold) for threshold in THRESHOLDS},
        "latent": list(fitted.model.latent),
        "posterior_mean_variance": variances,
        "kl": [layer["kl"] for layer in layers],
        "remark": remark(fitted, images, labels),
        "each": np.round(values, DIGITS),
    }
