"""Priors p(z | y) of the uppermost stochastic layer.

A prior is a class with

* ``shapes()``, the names and shapes of its own parameters, and ``initialise``, their start;
* ``log_prob`` and ``log_prob_backward``, the pair that the model's two passes call;
* ``sample``, z from standard normal noise;
* ``kl`` and ``kl_backward``, where KL(q || p) has a closed form for a Gaussian q (``has_kl``).

``settings.PRIORS`` lists them by name.

The standard normal is that of AEVB and IWAE. The others go beyond these papers: a normal for each label, a mixture of
Gaussians, and the VampPrior, a mixture of the encoder's own posteriors (Tomczak and Welling 2018).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from tinyvae.derivation import gaussian
from tinyvae.derivation.gaussian import DensityCache, KLCache
from tinyvae.derivation.networks import Network
from tinyvae.derivation.parameters import Parameters
from tinyvae.derivation.shapes import misfit, require_labels
from tinyvae.types import Array, Cache, Labels, Pair, Shapes


@dataclass(frozen=True)
class StandardNormal:
    """p(z) = N(z; 0, 1), without parameters.

    Attributes (of every prior):
        units: D, the dimensions of z.
        n_labels: C, the number of labels; 0 for none.
        n_components: M, of a mixture.
        encoder: the network of q(z | ...), for a prior that uses it too.
        encoder_name: of its part of the parameters.
    Class attributes:
        has_kl: whether KL(q || p) has a closed form.
        has_components: whether ``n_components`` says how many there are.
        needs_labels: whether it is one for each label.
        uses_encoder: whether ``log_prob_backward`` leaves a derivative by the encoder's weights too.
    """

    units: int
    n_labels: int = 0
    n_components: int = 0
    encoder: Network | None = None
    encoder_name: str = ""

    has_kl = True
    has_components = False
    needs_labels = False
    uses_encoder = False

    def shapes(self) -> Shapes:
        """No parameters."""
        return {}

    def initialise(self, params: Parameters, noise: Callable[[tuple[int, int]], Array], inputs: Array) -> None:
        """Nothing to start."""

    def log_prob(self, params: Parameters, z: Array, y: Labels | None = None) -> tuple[Array, Cache]:
        """log N(z; 0, 1), as ``gaussian.log_standard_normal``.

        Args (of every prior):
            params: Parameters with those of the prior, and of the encoder.
            z: (N, K, D).
            y: (N,) integer labels, for a prior that needs them.

        Returns:
            logp: (N, K), in nats.
            cache: for ``log_prob_backward``.
        """
        return gaussian.log_standard_normal(z)

    def log_prob_backward(self, dlogp: Array, cache: Cache, grads: Parameters) -> Array:
        """Derivatives of the prior.

        Args (of every prior):
            dlogp: (N, K).
            cache: from ``log_prob``.
            grads: Parameters; the gradients of the prior's own parameters are written into it, and where it
                ``uses_encoder`` those of the encoder.

        Returns: dz (N, K, D).
        """
        return gaussian.log_standard_normal_backward(dlogp, cache)

    def kl(self, params: Parameters, mu: Array, logvar: Array, y: Labels | None = None) -> tuple[Array, Cache]:
        """KL(N(mu, exp(logvar)) || N(0, 1)) by dimension, as ``gaussian.kl``: (N, D) and a cache."""
        return gaussian.kl(mu, logvar)

    def kl_backward(self, dkl: Array, cache: Cache, grads: Parameters) -> Pair:
        """dmu and dlogvar, (N, D) each, from dkl (N, 1) or (N, D)."""
        return gaussian.kl_backward(dkl, cache)

    def sample(self, params: Parameters, eps: Array, u: Array, y: Labels | None = None) -> Array:
        """z ~ p(z | y): (N, D) from standard normal noise eps (N, D) and, for mixtures, uniform numbers u (N,)."""
        return eps


class LabelCache(NamedTuple):
    """What ``LabelNormal.log_prob`` leaves: that of the density, and the labels."""

    density: DensityCache
    y: Labels | Any  # not None: ``require_labels`` was there


class LabelKLCache(NamedTuple):
    """What ``LabelNormal.kl`` leaves: that of the divergence after the shift, what was shifted, and by what."""

    kl: KLCache
    shifted: Array
    scale: Array
    y: Labels | Any  # not None: ``require_labels`` was there


class LabelNormal(StandardNormal):
    """p(z | y) = N(z; m_y, exp(s_y)): a learned mean and log variance for each label (a table, ``prior.mu`` (C, D))."""

    needs_labels = True

    def shapes(self) -> Shapes:
        """The two tables."""
        return {"prior.mu": (self.n_labels, self.units), "prior.logvar": (self.n_labels, self.units)}

    def initialise(self, params: Parameters, noise: Callable[[tuple[int, int]], Array], inputs: Array) -> None:
        """Small random means, which break the symmetry of the labels, and unit variances."""
        params["prior.mu"][:] = 0.1 * noise((self.n_labels, self.units))
        params["prior.logvar"][:] = 0

    def log_prob(self, params: Parameters, z: Array, y: Labels | None = None) -> tuple[Array, Cache]:
        """The row of each example's label: log N(z_nk; m_y, exp(s_y))."""
        require_labels(y, len(z), self.n_labels)
        logp, cache = gaussian.log_density(z, params["prior.mu"][y], params["prior.logvar"][y])
        return logp, LabelCache(cache, y)

    def log_prob_backward(self, dlogp: Array, cache: Cache, grads: Parameters) -> Array:
        """The derivative by a table's row is the sum over the examples that have its label."""
        dz, dmu, dlogvar = gaussian.log_density_backward(dlogp, cache.density)
        self._write(dmu, dlogvar, cache.y, grads)
        return dz

    def kl(self, params: Parameters, mu: Array, logvar: Array, y: Labels | None = None) -> tuple[Array, Cache]:
        """The divergence does not change when both Gaussians are shifted by -m_y and scaled by exp(-s_y / 2):

        KL(N(mu, exp(logvar)) || N(m, exp(s))) = KL(N((mu - m) exp(-s/2), exp(logvar - s)) || N(0, 1))
        """
        require_labels(y, len(mu), self.n_labels)
        m, s = params["prior.mu"][y], params["prior.logvar"][y]
        scale = np.exp(-0.5 * s)
        shifted = (mu - m) * scale
        divergence, cache = gaussian.kl(shifted, logvar - s)
        return divergence, LabelKLCache(cache, shifted, scale, y)

    def kl_backward(self, dkl: Array, cache: Cache, grads: Parameters) -> Pair:
        """By a = (mu - m) exp(-s/2), b = logvar - s: dmu = da exp(-s/2) = -dm, dlogvar = db, ds = -db - a da / 2."""
        da, db = gaussian.kl_backward(dkl, cache.kl)
        self._write(-da * cache.scale, -db - 0.5 * cache.shifted * da, cache.y, grads)
        return da * cache.scale, db

    def sample(self, params: Parameters, eps: Array, u: Array, y: Labels | None = None) -> Array:
        """m_y + exp(s_y / 2) eps."""
        require_labels(y, len(eps), self.n_labels)
        return gaussian.sample(params["prior.mu"][y], params["prior.logvar"][y], eps[:, None])[0][:, 0]

    def _write(self, dmu: Array, dlogvar: Array, y: Labels, grads: Parameters) -> None:
        for name, rows in (("prior.mu", dmu), ("prior.logvar", dlogvar)):
            grads[name][:] = 0
            np.add.at(grads[name], y, rows)


class Mixture(StandardNormal):
    """p(z) = sum_c pi_c N(z; m_c, exp(s_c)), with pi = softmax of the logits l: M components, all learned."""

    has_kl = False
    has_components = True

    def shapes(self) -> Shapes:
        """Logits, means and log variances of the components."""
        M, D = self.n_components, self.units
        return {"prior.logits": (M,), "prior.mu": (M, D), "prior.logvar": (M, D)}

    def initialise(self, params: Parameters, noise: Callable[[tuple[int, int]], Array], inputs: Array) -> None:
        """Equal weights, means drawn from the standard normal, unit variances."""
        params["prior.logits"][:] = 0
        params["prior.mu"][:] = noise((self.n_components, self.units))
        params["prior.logvar"][:] = 0

    def log_prob(self, params: Parameters, z: Array, y: Labels | None = None) -> tuple[Array, Cache]:
        """``log_mixture`` of the learned components."""
        return log_mixture(z, params["prior.logits"], params["prior.mu"], params["prior.logvar"])

    def log_prob_backward(self, dlogp: Array, cache: Cache, grads: Parameters) -> Array:
        """``log_mixture_backward`` into the learned components."""
        dz, *own = log_mixture_backward(dlogp, cache)
        for name, gradient in zip(self.shapes(), own):
            grads[name][:] = gradient
        return dz

    def sample(self, params: Parameters, eps: Array, u: Array, y: Labels | None = None) -> Array:
        """A component by u against the cumulated weights, then its mu + sigma eps."""
        weights = softmax(params["prior.logits"])
        chosen = np.minimum(np.searchsorted(np.cumsum(weights), u, side="right"), len(weights) - 1)
        return gaussian.sample(params["prior.mu"][chosen], params["prior.logvar"][chosen], eps[:, None])[0][:, 0]


class VampCache(NamedTuple):
    """What ``VampPrior.log_prob`` leaves: that of the mixture, and that of the encoder."""

    mixture: "MixtureCache"
    encoder: Cache


class VampPrior(StandardNormal):
    """p(z) = (1/M) sum_c q(z | u_c): the encoder at M learned pseudo-inputs u_c (Tomczak and Welling 2018, Eq. 9).

    A pseudo-input stands in the place of a whole input row of the uppermost encoder, an image or a z of the layer
    below, and, if the model has labels, of the labels beside it: ``prior.inputs`` (M, I + C). Each gradient by the
    components goes on through the encoder, whose weights thus act as a prior's too (bounds.py, gradient estimators).
    """

    has_kl = False
    has_components = True
    uses_encoder = True

    def shapes(self) -> Shapes:
        """The pseudo-inputs."""
        return {"prior.inputs": (self.n_components, math.prod(self._network.inputs) + self.n_labels)}

    def initialise(self, params: Parameters, noise: Callable[[tuple[int, int]], Array], inputs: Array) -> None:
        """The mean input of the data, and noise."""
        own = params["prior.inputs"]
        own[:] = inputs + 0.1 * noise((own.shape[0], own.shape[1]))

    def log_prob(self, params: Parameters, z: Array, y: Labels | None = None) -> tuple[Array, Cache]:
        """``log_mixture`` of the encoder's Gaussians at the pseudo-inputs, with equal weights."""
        stats, encoder_cache = self._encoded(params)
        logp, cache = log_mixture(z, np.zeros(self.n_components, z.dtype), *gaussian.split(stats))
        return logp, VampCache(cache, encoder_cache)

    def log_prob_backward(self, dlogp: Array, cache: Cache, grads: Parameters) -> Array:
        """Through the mixture into its components, and on through the encoder, to itself and to the pseudo-inputs."""
        dz, _, dmu, dlogvar = log_mixture_backward(dlogp, cache.mixture)
        dstats = gaussian.split_backward(dmu, dlogvar)
        dx, dlabels = self._network.backward(dstats, cache.encoder, grads.part(self.encoder_name))
        grads["prior.inputs"][:] = np.concatenate([dx, dlabels], axis=1)
        return dz

    def sample(self, params: Parameters, eps: Array, u: Array, y: Labels | None = None) -> Array:
        """A pseudo-input with equal chances, then a sample of its posterior."""
        stats, _ = self._encoded(params)
        chosen = np.minimum((u * self.n_components).astype(int), self.n_components - 1)
        return gaussian.sample(*gaussian.split(stats[chosen]), eps[:, None])[0][:, 0]

    def _encoded(self, params: Parameters) -> tuple[Array, Cache]:
        """The encoder at the pseudo-inputs, a part of which are labels."""
        inputs, I = params["prior.inputs"], math.prod(self._network.inputs)
        return self._network.forward(params.part(self.encoder_name), inputs[:, :I], inputs[:, I:])

    @property
    def _network(self) -> Network:
        if self.encoder is None:
            raise ValueError("a VampPrior needs the encoder")
        return self.encoder


def softmax(a: Array) -> Array:
    """exp(a_c) / sum_c' exp(a_c'), along the last axis."""
    w = np.exp(a - a.max(axis=-1, keepdims=True))
    return w / w.sum(axis=-1, keepdims=True)


def log_sum_exp(a: Array) -> Array:
    """log sum_c exp(a_c), along the last axis, which is kept. The largest is taken out, so that nothing overflows."""
    largest = a.max(axis=-1, keepdims=True)
    return largest + np.log(np.exp(a - largest).sum(axis=-1, keepdims=True))


class MixtureCache(NamedTuple):
    """What ``log_mixture`` leaves: the responsibilities (N K, M), the weights (M,), and that of the density."""

    responsibilities: Array
    weights: Array
    density: DensityCache


def log_mixture(z: Array, logits: Array, mu: Array, logvar: Array) -> tuple[Array, MixtureCache]:
    """log p(z) = log sum_c exp(a_c) with a_c = log pi_c + log N(z; m_c, exp(s_c)) and pi = softmax(l).

    log pi_c = l_c - log sum_c' exp(l_c') is taken from the logits: a pi_c may be too small for its number to show.

    Args:
        z: (N, K, D).
        logits: (M,).
        mu, logvar: (M, D).

    Returns:
        logp: (N, K), in nats.
        cache: for ``log_mixture_backward``.

    Raises: ValueError for other shapes.
    """
    if z.ndim != 3 or logits.shape != (len(mu),):
        raise misfit("z (N, K, D) and logits (M,), for mu (M, D),", z, logits, mu)
    N, K, D = z.shape
    logp, density_cache = gaussian.log_densities(z.reshape(N * K, D), mu, logvar)
    a = logp + (logits - log_sum_exp(logits))
    return log_sum_exp(a).reshape(N, K), MixtureCache(softmax(a), softmax(logits), density_cache)


def log_mixture_backward(dlogp: Array, cache: MixtureCache) -> tuple[Array, Array, Array, Array]:
    """With the responsibilities r_c = exp(a_c) / sum_c' exp(a_c'), d log p / d a_c = r_c; and d log pi_c / d l_c' is
    1 - pi_c' for c = c' and -pi_c' otherwise, so d log p / d l_c = r_c - pi_c.

    Args:
        dlogp: (N, K).
        cache: from ``log_mixture``.

    Returns: dz (N, K, D), dlogits (M,), dmu and dlogvar (M, D).
    """
    responsibilities, weights, density_cache = cache
    da = dlogp.reshape(-1, 1) * responsibilities
    dz, dmu, dlogvar = gaussian.log_densities_backward(da, density_cache)
    dlogits = da.sum(axis=0) - weights * dlogp.sum()
    return dz.reshape(*dlogp.shape, -1), dlogits, dmu, dlogvar
