"""Random problems of whole models: their bounds by all their parameters, and what is added to these."""

import itertools
from typing import Any

import numpy as np
from numpy.random import Generator

from tinyvae.checks.finite_differences import Problem
from tinyvae.checks.random_problems import densities
from tinyvae.checks.random_problems.networks import DATA_SHAPE, LAYOUT, awaken
from tinyvae.derivation import bounds
from tinyvae.derivation.model import Model
from tinyvae.derivation.parameters import Parameters
from tinyvae.settings import ACTIVATIONS, BOUNDS, LIKELIHOODS, NETWORKS, PRIORS
from tinyvae.types import Array, Cache


def bound(rng: Generator, N: int, K: int, name: str) -> Problem:
    """A bound by its log weights."""
    return Problem(
        f"bounds.{name}",
        {"logw": 3 * rng.standard_normal((N, K))},
        lambda logw: BOUNDS[name](logw),
        lambda dbound, dlogw: {"logw": dbound[:, None] * dlogw},
    )


def random_model(
    rng: Generator, N: int, K: int, **shape: Any
) -> tuple[Model, Parameters, Array, np.ndarray | None, list[Array]]:
    """A model, its parameters, N examples with their labels, and noise for K samples of each."""
    small: dict[str, Any] = dict(zip(("channels", "kernel", "stride", "units"), LAYOUT))
    vae = Model(**small | shape)
    params = Parameters(vae.shapes(), dtype=np.float64)
    params.flat[:] = 0.3 * rng.standard_normal(params.flat.size)
    awaken(params, vae.activation)
    x = densities.data(rng, N, vae.data_shape, vae.likelihood)
    y = rng.integers(0, vae.n_labels, N) if vae.n_labels else None
    return vae, params, x, y, [rng.standard_normal(s) for s in vae.noise_shapes(N, K)]


def model(
    rng: Generator, N: int, K: int, objective: str = "elbo", closed_form_kl: bool = False, **shape: Any
) -> Problem:
    """A bound of a whole model by all its parameters; ``shape`` is that of ``Model``."""
    vae, params, x, y, noise = random_model(rng, N, K, **shape)

    def forward(params_flat: Array) -> tuple[Array, Cache]:
        logw, cache = vae.log_weights(params, x, noise, y, closed_form_kl)
        value, dlogw = BOUNDS[objective](logw)
        return value, (dlogw, cache)

    def backward(dvalue: Array, cache: Cache) -> dict[str, Array]:
        dlogw, cache = cache
        return {"params_flat": vae.backward(params, cache, dvalue[:, None] * dlogw).flat}

    usual = "mlp", "tanh", "bernoulli", "normal"
    kinds = [kind for kind in (vae.network, vae.activation, vae.likelihood, vae.prior) if kind not in usual]
    words = [f"model {'-'.join(map(str, (vae.data_dim, *vae.latent)))}", objective, f"K={K}"]
    words += ["feedback"] * vae.decoders[0].reads_data
    words += ["closed-form KL"] * closed_form_kl + [f"{vae.n_labels} labels"] * bool(vae.n_labels) + kinds
    return Problem(", ".join(words), {"params_flat": params.flat}, forward, backward, vae.activation == "relu")


def aided_elbo(rng: Generator, N: int, K: int, beta: float, free_bits: float, **shape: Any) -> Problem:
    """What training aids maximise in the place of the ELBO, by all parameters of a model."""
    vae, params, x, y, noise = random_model(rng, N, K, **shape)

    def forward(params_flat: Array) -> tuple[Array, Cache]:
        logw, cache = vae.log_weights(params, x, noise, y, closed_form_kl=True)
        log_likelihood = logw.mean(axis=1) + cache.divergence.sum(axis=1)
        value = log_likelihood.mean() - beta * np.maximum(free_bits, cache.divergence.mean(axis=0)).sum()
        return np.array(value), (BOUNDS["elbo"](logw)[1] / N, cache)

    def backward(dvalue: Array, cache: Cache) -> dict[str, Array]:
        dlogw, cache = cache
        weights = bounds.kl_weights(cache.divergence, beta, free_bits)
        return {"params_flat": vae.backward(params, cache, dvalue * dlogw, kl_weights=weights).flat}

    words = f"bounds.kl_weights, beta {beta:g}, {free_bits:g} free bits"
    return Problem(words, {"params_flat": params.flat}, forward, backward)


def weight_prior(rng: Generator, P: int, N: int, deviation: float) -> Problem:
    """What a prior on the parameters adds to the mean bound of an example."""
    theta = rng.standard_normal(P)

    def backward(dvalue: Array, _: Cache) -> dict[str, Array]:
        gradient = np.zeros(P)
        bounds.add_weight_prior(theta, gradient, deviation, N)
        return {"theta": dvalue * gradient}

    def forward(theta: Array) -> tuple[Array, Cache]:
        return np.array(-0.5 * (theta**2).sum() / (N * deviation**2)), None

    return Problem(f"bounds.add_weight_prior, deviation {deviation:g}", {"theta": theta}, forward, backward)


def problems(rng: Generator) -> list[Problem]:
    """The bounds, and models of one to three layers with all entries of the registries."""
    N, K = 2, 3
    found = [bound(rng, 3, 4, name) for name in BOUNDS]
    one: dict[str, Any] = {"data_shape": (5,), "latent": (3,), "hidden": ((4,),)}
    two: dict[str, Any] = one | {"latent": (4, 3), "hidden": ((4,), (3, 2)), "n_labels": 3, "n_components": 2}
    three: dict[str, Any] = one | {"latent": (4, 3, 2), "hidden": ((4,), (3,), (2,))}
    found.append(model(rng, N, K, closed_form_kl=True, **one))
    found.append(model(rng, N, K, closed_form_kl=True, n_labels=3, prior="label", **one))
    for objective in BOUNDS:
        found += [model(rng, N, k, objective, **one) for k in (1, K)]
        for name, kind in LIKELIHOODS.items():
            data_shape = (2, 1, kind.channels) if kind.channels else one["data_shape"]
            found.append(model(rng, N, K, objective, likelihood=name, **one | {"data_shape": data_shape}))
        found += [model(rng, N, K, objective, prior=name, **two) for name in PRIORS]
        found.append(model(rng, N, K, objective, **three))
    for name, activation in itertools.product(NETWORKS, ACTIVATIONS):
        kinds: dict[str, Any] = {"network": name, "activation": activation, "prior": "vamp"}
        found.append(model(rng, N, K, "iwae", **kinds, **two | {"data_shape": DATA_SHAPE}))
    sequence: dict[str, Any] = one | {"data_shape": DATA_SHAPE, "network": "gru", "likelihood": "categorical"}
    found += [model(rng, N, K, objective, feedback=True, groups=(0, 1, 0), **sequence) for objective in BOUNDS]
    found.append(weight_prior(rng, 7, N, 0.5))
    return found + [aided_elbo(rng, N, K, beta, free_bits, **one) for beta, free_bits in ((4, 0), (0.3, 0.1))]
