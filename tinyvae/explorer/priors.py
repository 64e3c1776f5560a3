"""Priors as the page has them, each a list of Gaussians: one for all, one for each label, or a mixture's components."""

from typing import Any

import numpy as np

from tinyvae.derivation.gaussian import split
from tinyvae.derivation.model import name_of
from tinyvae.derivation.priors import softmax
from tinyvae.explorer.packing import pack
from tinyvae.explorer.rounding import rounded
from tinyvae.training.fitted import Fitted
from tinyvae.types import Array

Gaussians = tuple[str, Array, Array, Array]  # the kind, weights (M,), means and log variances (M, D)


def describe(fitted: Fitted) -> dict[str, Any]:
    """p(z_L), for JSON."""
    kind, weights, mu, logvar = PRIORS[fitted.model.prior](fitted)
    return {"kind": kind, "weights": weights, "mu": pack(rounded(mu, 32)), "logvar": pack(rounded(logvar, 32))}


def standard_normal(fitted: Fitted) -> Gaussians:
    """One with mean 0 and variance 1."""
    zeros = np.zeros((1, fitted.model.latent[-1]), np.float32)
    return "one", np.ones(1, np.float32), zeros, zeros


def label_normals(fitted: Fitted) -> Gaussians:
    """One for each label."""
    mu, logvar = fitted.params["prior.mu"], fitted.params["prior.logvar"]
    return "labels", np.ones(len(mu), mu.dtype), mu, logvar


def mixture(fitted: Fitted) -> Gaussians:
    """The components with their weights."""
    params = fitted.params
    return "mixture", softmax(params["prior.logits"]), params["prior.mu"], params["prior.logvar"]


def vamp_prior(fitted: Fitted) -> Gaussians:
    """The uppermost encoder at each pseudo-input: what the components are, whose weights are equal."""
    model, rows = fitted.model, fitted.params["prior.inputs"]
    x, labels = np.split(rows, [rows.shape[1] - model.n_labels], axis=1)
    weights = fitted.params.part(name_of("encoder", len(model.latent) - 1))
    stats, _ = model.encoders[-1].forward(weights, np.ascontiguousarray(x), labels)
    return "mixture", np.full(len(rows), 1 / len(rows), rows.dtype), *split(stats)


PRIORS = {"normal": standard_normal, "label": label_normals, "mixture": mixture, "vamp": vamp_prior}
