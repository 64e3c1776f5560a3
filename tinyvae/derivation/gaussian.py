"""Diagonal Gaussians: the reparameterised layer z = mu + sigma eps, its densities and the closed-form KL divergence.

A network's output of 2 D columns is read as ``mu`` (the first D) and ``logvar``, the logarithm of the variance (the
rest): any real number is allowed, and sigma = exp(logvar / 2) is positive by construction (AEVB, appendix C.2, Eq. 12).

Each of R rows of mu and logvar serves S samples: z and eps are (R, S, D). With one stochastic layer R = N examples and
S = K samples; a layer above another has a row for each sample below, R = N K and S = 1.
"""

from typing import NamedTuple

import numpy as np

from tinyvae import machine
from tinyvae.derivation.shapes import misfit
from tinyvae.types import Array, Pair


class SampleCache(NamedTuple):
    """What ``sample`` leaves: the noise and the standard deviation."""

    eps: Array
    sigma: Array


class DensityCache(NamedTuple):
    """What ``log_density`` and ``log_densities`` leave: their arguments."""

    z: Array
    mu: Array
    logvar: Array


class KLCache(NamedTuple):
    """What ``kl`` leaves: the mean and the variance."""

    mu: Array
    variance: Array


def _require_rows(mu: Array, logvar: Array, z: Array, name: str) -> None:
    """ValueError unless mu and logvar are (R, D) and z is (R, S, D)."""
    fits = z.ndim == 3 and mu.shape == logvar.shape == (z.shape[0], z.shape[2])
    if not fits:
        raise misfit(f"mu and logvar (R, D) and {name} (R, S, D)", mu, logvar, z)


def split(stats: Array) -> Pair:
    """The two halves of a network's output.

    Args:
        stats: (R, 2 D), mu and logvar side by side.

    Returns: mu and logvar, (R, D) each.
    """
    if not (stats.ndim == 2 and stats.shape[1] % 2 == 0):
        raise misfit("stats (R, 2 D)", stats)
    D = stats.shape[1] // 2
    return np.ascontiguousarray(stats[:, :D]), np.ascontiguousarray(stats[:, D:])


def split_backward(dmu: Array, dlogvar: Array) -> Array:
    """The derivative by both halves side by side: (R, 2 D)."""
    return np.concatenate([dmu, dlogvar], axis=1)


# ---------------------------------------------------------------------------------------------------------------------
# Sampling
# ---------------------------------------------------------------------------------------------------------------------


def sample(mu: Array, logvar: Array, eps: Array) -> tuple[Array, SampleCache]:
    """z = mu + sigma eps with sigma = exp(logvar / 2): a sample of N(mu, sigma²) if eps is one of N(0, 1) (AEVB, 2.4).

    The noise is an argument, so z is a differentiable function of mu and logvar: the reparameterisation trick.

    Args:
        mu, logvar: (R, D).
        eps: (R, S, D) standard normal noise.

    Returns:
        z: (R, S, D).
        cache: for ``sample_backward`` and ``log_posterior_backward``.

    In float32 exp(x) is that of the nearest x between -87 and 88, here and in ``log_density``: Gaussians are what these
    formulas say for a logvar from -88 to 87. (No variance of a trained network comes near these ends.)

    Raises: ValueError for other shapes, as all functions of this file.
    """
    _require_rows(mu, logvar, eps, "eps")
    sigma, z = np.empty_like(mu), np.empty_like(eps)
    machine.gaussian_sample(mu, logvar, eps, sigma, z)
    return z, SampleCache(eps, sigma)


def sample_backward(dz: Array, cache: SampleCache) -> Pair:
    """Derivatives of z = mu + exp(logvar / 2) eps.

        by mu: 1                    so    dmu     = sum_s dz
        by logvar: sigma eps / 2    so    dlogvar = sum_s dz sigma eps / 2

    Args:
        dz: (R, S, D).
        cache: from ``sample``.

    Returns: dmu and dlogvar, (R, D) each.
    """
    eps, sigma = cache
    if dz.shape != eps.shape:
        raise misfit(f"dz {eps.shape}", dz)
    dmu, dlogvar = np.empty_like(sigma), np.empty_like(sigma)
    machine.gaussian_sample_gradient(dz, eps, sigma, dmu, dlogvar)
    return dmu, dlogvar


# ---------------------------------------------------------------------------------------------------------------------
# The density of a sample under the Gaussian that it was drawn from
# ---------------------------------------------------------------------------------------------------------------------


def log_posterior(logvar: Array, eps: Array) -> Array:
    """log q(z) at z = mu + sigma eps: sum_d log N(z; mu, sigma²) = -1/2 sum_d (eps² + logvar + log 2 pi).

    Since (z - mu) / sigma = eps, the residual needs neither z nor mu.

    Args:
        logvar: (R, D).
        eps: (R, S, D) the noise that z was made from.

    Returns: (R, S), in nats.
    """
    _require_rows(logvar, logvar, eps, "eps")
    logq = np.empty(eps.shape[:2], eps.dtype)
    machine.gaussian_log_posterior(logvar, eps, logq)
    return logq


def log_posterior_backward(
    dlogq: Array, cache: SampleCache, ddirect: Array | None = None, out: Pair | None = None
) -> Pair:
    """Derivative of log q(z; mu, logvar) where z itself was made from mu and logvar: two ways that cancel but for -1/2.

    Through z, along the path of the sample (d log q / dz = -eps / sigma, then as in ``sample_backward``):

        by mu: -eps / sigma         by logvar: -(eps / sigma) (sigma eps / 2) = -eps² / 2

    Directly, with z held fixed (the score):

        by mu:  eps / sigma         by logvar: (eps² - 1) / 2

    The sum is 0 by mu and -1/2 by logvar, as the formula of ``log_posterior`` says at a glance: the noise cancels.

    Some estimators leave the direct way out (``bounds.stl``, ``bounds.dreg``). With a weight for each way,

        dmu = sum_s (ddirect - dlogq) eps / sigma       dlogvar = sum_s (ddirect - dlogq) eps² / 2 - ddirect / 2

    Args:
        dlogq: (R, S).
        cache: from ``sample``.
        ddirect: (R, S) another weight for the direct way; by default that of the path, which is the full derivative.
        out: dmu and dlogvar, (R, D) each, to add the derivatives to; zeros by default.

    Returns: dmu and dlogvar.
    """
    eps, sigma = cache
    ddirect = dlogq if ddirect is None else ddirect
    if not (dlogq.shape == ddirect.shape == eps.shape[:2]):
        raise misfit(f"dlogq and ddirect {eps.shape[:2]}", dlogq, ddirect)
    dmu, dlogvar = (np.zeros_like(sigma), np.zeros_like(sigma)) if out is None else out
    if not (dmu.shape == dlogvar.shape == sigma.shape):
        raise misfit(f"dmu and dlogvar {sigma.shape}", dmu, dlogvar)
    machine.gaussian_log_posterior_gradient(dlogq, ddirect, eps, sigma, dmu, dlogvar)
    return dmu, dlogvar


def layer(stats: Array, eps: Array) -> tuple[Array, Array, SampleCache]:
    """The reparameterised Gaussian layer: a network's outputs and noise to samples and their log densities.

    Args:
        stats: (R, 2 D) mu and logvar side by side.
        eps: (R, S, D) standard normal noise.

    Returns:
        z: (R, S, D), as ``sample``.
        log_q: (R, S), as ``log_posterior``.
        cache: for ``layer_backward``.
    """
    mu, logvar = split(stats)
    z, cache = sample(mu, logvar, eps)
    return z, log_posterior(logvar, eps), cache


def layer_backward(dz: Array, dlogq: Array, cache: SampleCache, ddirect: Array | None = None) -> Array:
    """The sum of ``sample_backward`` and ``log_posterior_backward``.

    Args:
        dz: (R, S, D).
        dlogq: (R, S).
        cache: from ``layer``.
        ddirect: (R, S), as in ``log_posterior_backward``.

    Returns: dstats (R, 2 D).
    """
    return split_backward(*log_posterior_backward(dlogq, cache, ddirect, out=sample_backward(dz, cache)))


# ---------------------------------------------------------------------------------------------------------------------
# The density of any z
# ---------------------------------------------------------------------------------------------------------------------


def log_density(z: Array, mu: Array, logvar: Array) -> tuple[Array, DensityCache]:
    """log N(z; mu, exp(logvar)) = -1/2 sum_d ((z - mu)² exp(-logvar) + logvar + log 2 pi).

    Args:
        z: (R, S, D).
        mu, logvar: (R, D).

    Returns:
        logp: (R, S), in nats.
        cache: for ``log_density_backward``.
    """
    _require_rows(mu, logvar, z, "z")
    logp = np.empty(z.shape[:2], z.dtype)
    machine.gaussian_log_density(z, mu, logvar, logp)
    return logp, DensityCache(z, mu, logvar)


def log_density_backward(dlogp: Array, cache: DensityCache) -> tuple[Array, Array, Array]:
    """With the residual r = z - mu and the precision rho = exp(-logvar):

        by z: -r rho        by mu: r rho        by logvar: (r² rho - 1) / 2

    Args:
        dlogp: (R, S).
        cache: from ``log_density``.

    Returns: dz (R, S, D), dmu and dlogvar (R, D), summed over the samples s.
    """
    z, mu, logvar = cache
    if dlogp.shape != z.shape[:2]:
        raise misfit(f"dlogp {z.shape[:2]}", dlogp)
    dz, dmu, dlogvar = np.empty_like(z), np.empty_like(mu), np.empty_like(mu)
    machine.gaussian_log_density_gradient(dlogp, z, mu, logvar, dz, dmu, dlogvar)
    return dz, dmu, dlogvar


def log_densities(z: Array, mu: Array, logvar: Array) -> tuple[Array, DensityCache]:
    """log N(z_r; mu_c, exp(logvar_c)) = -1/2 sum_d ((z_r - mu_c)² exp(-logvar_c) + logvar_c + log 2 pi), of all pairs.

    What ``log_density`` is of rows, for each z under each of M Gaussians: the terms of a mixture (priors.log_mixture).

    Args:
        z: (R, D).
        mu, logvar: (M, D).

    Returns:
        logp: (R, M), in nats.
        cache: for ``log_densities_backward``.
    """
    if not (z.ndim == mu.ndim == 2 and mu.shape == logvar.shape and z.shape[1] == mu.shape[1]):
        raise misfit("mu and logvar (M, D) and z (R, D)", mu, logvar, z)
    logp = np.empty((len(z), len(mu)), z.dtype)
    machine.component_log_densities(z, mu, logvar, logp)
    return logp, DensityCache(z, mu, logvar)


def log_densities_backward(dlogp: Array, cache: DensityCache) -> tuple[Array, Array, Array]:
    """Those of ``log_density_backward``, with r = z_r - mu_c and rho = exp(-logvar_c):

        by z_r: -sum_c r rho        by mu_c: sum_r r rho        by logvar_c: sum_r (r² rho - 1) / 2

    each term times the derivative by its pair's log density.

    Args:
        dlogp: (R, M).
        cache: from ``log_densities``.

    Returns: dz (R, D), dmu and dlogvar (M, D).
    """
    z, mu, logvar = cache
    if dlogp.shape != (len(z), len(mu)):
        raise misfit(f"dlogp {(len(z), len(mu))}", dlogp)
    dz, dmu, dlogvar = np.empty_like(z), np.empty_like(mu), np.empty_like(mu)
    machine.component_log_densities_gradient(dlogp, z, mu, logvar, dz, dmu, dlogvar)
    return dz, dmu, dlogvar


def log_standard_normal(z: Array) -> tuple[Array, Array]:
    """log N(z; 0, 1) = -1/2 sum_d (z² + log 2 pi).

    Args:
        z: (R, S, D).

    Returns:
        logp: (R, S), in nats.
        cache: z, for ``log_standard_normal_backward``.
    """
    if z.ndim != 3:
        raise misfit("z (R, S, D)", z)
    logp = np.empty(z.shape[:2], z.dtype)
    machine.standard_normal_log_density(z, logp)
    return logp, z


def log_standard_normal_backward(dlogp: Array, cache: Array) -> Array:
    """d log N(z; 0, 1) / dz = -z.

    Args:
        dlogp: (R, S).
        cache: from ``log_standard_normal``.

    Returns: dz (R, S, D).
    """
    if dlogp.shape != cache.shape[:2]:
        raise misfit(f"dlogp {cache.shape[:2]}", dlogp)
    return -dlogp[:, :, None] * cache


# ---------------------------------------------------------------------------------------------------------------------
# The closed-form KL divergence
# ---------------------------------------------------------------------------------------------------------------------


def kl(mu: Array, logvar: Array) -> tuple[Array, KLCache]:
    """KL(N(mu, sigma²) || N(0, 1)) = 1/2 sum_d (mu² + sigma² - 1 - logvar) (AEVB, appendix B).

    It is the expectation of ``log_posterior`` minus ``log_standard_normal``: E[z²] = mu² + sigma² and E[eps²] = 1. (In
    the bound it has less noise than a sample of that difference only while the likelihood's own noise does not cancel
    it: docs/derivations.md, section 6.4.)

    Args:
        mu, logvar: (R, D).

    Returns:
        divergence: (R, D) each dimension's share, in nats; their sum over d is the divergence.
        cache: for ``kl_backward``.
    """
    if not (mu.ndim == 2 and mu.shape == logvar.shape):
        raise misfit("mu and logvar (R, D)", mu, logvar)
    variance = np.exp(logvar)
    return 0.5 * (mu * mu + variance - 1 - logvar), KLCache(mu, variance)


def kl_backward(dkl: Array, cache: KLCache) -> Pair:
    """By mu: mu. By logvar: (sigma² - 1) / 2.

    Args:
        dkl: (R, D), or (R, 1) for a derivative by the sum over d.
        cache: from ``kl``.

    Returns: dmu and dlogvar, (R, D) each.
    """
    mu, variance = cache
    if dkl.shape not in (mu.shape, (len(mu), 1)):
        raise misfit(f"dkl {mu.shape} or {(len(mu), 1)}", dkl)
    return dkl * mu, 0.5 * dkl * (variance - 1)
