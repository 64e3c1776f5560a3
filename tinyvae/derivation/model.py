"""The variational autoencoder: one forward pass to the log weights, one backward pass from them.

L stochastic layers z_1 ... z_L stand above the data x; y is a label, or nothing at all:

    q(z | x, y) = q(z_1 | x, y) q(z_2 | z_1, y) ... q(z_L | z_{L-1}, y)                    encoder, encoder2, ...
    p(x, z | y) = p(z_L | y) p(z_{L-1} | z_L, y) ... p(z_1 | z_2, y) p(x | z_1, y)         decoder, decoder2, ...

p(z_L | y) is the prior (priors.py). Each other factor is a network (networks.py) whose outputs are read as the
statistics of a distribution (gaussian.py, likelihoods.py); a label enters every network as a one-hot vector. AEVB's
model has L = 1, and IWAE's have L = 1 and 2 (IWAE, Eq. 1 and 2).

**Forward.** For K samples of each example, drawn through the noise eps,

    log w_nk = log p(x_n | z_1) + sum_l log p(z_l | z_{l+1}) - sum_l log q(z_l | z_{l-1})        with z_0 = x

where z is z_nk and the uppermost p(z_L | z_{L+1}) is the prior; every bound is a function of log w (bounds.py).

**Backward.** Given d bound / d log w_nk, a weight for each sample, the chain rule is walked in reverse: through the
likelihood and the decoders down to the derivative by every z_l, then through z_l = mu_l + sigma_l eps_l into the
encoders, from the top one to the one that reads x, each adding its input's derivative to that of the z below.
"""

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from tinyvae.derivation import gaussian
from tinyvae.derivation.gaussian import DensityCache, SampleCache
from tinyvae.derivation.likelihoods import Likelihood
from tinyvae.derivation.networks import Network, Weights, beside
from tinyvae.derivation.parameters import Parameters
from tinyvae.derivation.priors import StandardNormal
from tinyvae.derivation.shapes import misfit, require_count, require_labels
from tinyvae.settings import ACTIVATIONS, LIKELIHOODS, NETWORKS, PRIORS
from tinyvae.types import Array, Arrays, Cache, Labels, Maybe, Pair, Shapes

REGISTRIES = {"likelihood": LIKELIHOODS, "prior": PRIORS, "network": NETWORKS, "activation": ACTIVATIONS}


class EncoderCache(NamedTuple):
    """What ``Model.posterior`` leaves of one layer: its statistics (R, 2 D_l), and the caches of its two parts."""

    stats: Array
    layer: SampleCache
    network: Cache


class DecoderCache(NamedTuple):
    """What ``Model.joint`` leaves of one layer above the first."""

    density: DensityCache
    network: Cache


class JointCache(NamedTuple):
    """What ``Model.joint`` leaves to ``joint_backward``.

    The likelihood's cache stands in ``outputs``. A backward pass that was allowed to ``consume`` it says so in
    ``consumed``: this cache has had its use. Nor is one of any that was not kept: then ``outputs`` is None. The log
    weights have the ``shape`` (N, K).
    """

    shape: tuple[int, int]
    prior: Cache
    above: list[DecoderCache]
    likelihood: Cache
    outputs: Maybe
    network: Cache
    consumed: list[bool]


class ModelCache(NamedTuple):
    """What ``Model.log_weights`` leaves to ``backward``; ``kl`` is None where the divergence is sampled.

    The ``divergence`` (N, D_1) itself, by dimension, anyone may read: training aids depend on it (bounds.py).
    """

    posterior: list[EncoderCache]
    joint: JointCache
    kl: Cache
    divergence: Maybe


@dataclass(frozen=True)
class Model:
    """The shape of a variational autoencoder; its numbers are in ``Parameters``.

    Attributes:
        data_shape: of x: (H, W), (H, W, C), (T, V) or (D,); its rows are flat, with D numbers each.
        latent: (D_1, ..., D_L) dimensions of z_1 ... z_L, the layer next to the data first.
        hidden: for each z_l a tuple with the hidden units of its encoder, from z_{l-1} up; the decoder from z_l to
            z_{l-1} has them in reverse.
        likelihood: name in ``settings.LIKELIHOODS``.
        n_labels: C, the number of labels of a conditional model; 0 for one without.
        prior: name in ``settings.PRIORS``, of z_L.
        n_components: of a prior that is a mixture.
        network: name in ``settings.NETWORKS``, of the encoder and the decoder next to the data.
        activation: name in ``settings.ACTIVATIONS``, of the hidden layers.
        channels, kernel, stride: of convolutional networks (networks.py).
        units, directions, feedback: of recurrent networks (networks.py).
        groups: of the symbols of categorical data, a number for each: that of the symbols it is chosen from
            (categorical.py). By default all are of one group.
    """

    data_shape: tuple[int, ...]
    latent: tuple[int, ...] = (20,)
    hidden: tuple[tuple[int, ...], ...] = ((500,),)
    likelihood: str = "bernoulli"
    n_labels: int = 0
    prior: str = "normal"
    n_components: int = 0
    network: str = "mlp"
    activation: str = "tanh"
    channels: tuple[int, ...] = (32, 64)
    kernel: int = 4
    stride: int = 2
    units: int = 100
    directions: int = 2
    feedback: bool = False
    groups: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        """Raises: ValueError for names that stand for nothing, numbers that cannot be, a network or a likelihood of
        other data, and groups that do not fit.
        """
        for name, registry in REGISTRIES.items():
            if getattr(self, name) not in registry:
                raise ValueError(f"{name}={getattr(self, name)!r}: known are {', '.join(registry)}")
        if not len(self.latent) == len(self.hidden) > 0:
            raise ValueError(
                f"latent={self.latent} and hidden={self.hidden}: each layer needs a number of dimensions and a tuple "
                "with the units of its networks, and there is one layer at least"
            )
        sizes = {name: (getattr(self, name),) for name in ("kernel", "stride", "units")}
        for name, values in {"latent": self.latent, "channels": self.channels, **sizes}.items():
            for value in values:
                require_count(name, value)
        prior = PRIORS[self.prior]
        require_count("n_components", self.n_components, least=int(prior.has_components))
        require_count("n_labels", self.n_labels, least=int(prior.needs_labels))
        network, shape = NETWORKS[self.network][0], self.data_shape
        if network.data_dimensions and len(shape) not in network.data_dimensions:
            raise ValueError(
                f"the network {self.network} reads {network.data_words}, not examples of the shape {shape}"
            )
        channels = LIKELIHOODS[self.likelihood].channels
        if channels not in (None, shape[-1]):
            raise ValueError(f"the likelihood {self.likelihood} is of pixels with {channels} channels, not {shape}")
        if self.groups:
            self.observation.of(shape, self.groups)

    def __getstate__(self) -> dict[str, Any]:
        """What is copied and pickled: the attributes, and not what their names stand for, which is found again."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @property
    def data_dim(self) -> int:
        """D, the numbers of a row of data."""
        return math.prod(self.data_shape)

    def shapes(self) -> Shapes:
        """Names and shapes of all parameters: {"encoder.0.W": (I, J), "encoder.0.b": (J,), ...}."""
        shapes: Shapes = {}
        for kind, networks in (("encoder", self.encoders), ("decoder", self.decoders)):
            for l, network in enumerate(networks):
                shapes |= {f"{name_of(kind, l)}.{name}": shape for name, shape in network.shapes().items()}
        return shapes | self._prior.shapes()

    def initialise_prior(self, params: Parameters, noise: Callable[[tuple[int, int]], Array], mean: Array) -> None:
        """Start the prior's parameters, in place.

        Args:
            params: Parameters of ``shapes()``.
            noise: function from a shape (rows, columns) to standard normal numbers of this shape.
            mean: (D,) of the data, where the pseudo-inputs of a VampPrior start.
        """
        inputs = np.zeros(math.prod(self.encoders[-1].inputs) + self.n_labels)
        if len(self.latent) == 1:
            inputs[: self.data_dim] = mean
        self._prior.initialise(params, noise, inputs)

    def output_bias(self, params: Parameters) -> Array:
        """The view of the parameters that is added to the decoder's outputs, where they start from: (M D,), or (M C,)
        for all pixels of an image with C channels.
        """
        return self.decoders[0].output_bias(params.part("decoder"))

    def noise_shapes(self, N: int, K: int) -> list[tuple[int, int, int]]:
        """The shapes (N, K, D_l) of the noise that ``log_weights`` takes, a layer each."""
        return [(N, K, units) for units in self.latent]

    @property
    def has_closed_form_kl(self) -> bool:
        """Whether KL(q(z | x) || p(z)) has a closed form: one stochastic layer and a Gaussian prior."""
        return len(self.latent) == 1 and self._prior.has_kl

    # -- the two passes ------------------------------------------------------------------------------------------------

    def log_weights(
        self,
        params: Parameters,
        x: Array,
        noise: Arrays,
        y: Labels | None = None,
        closed_form_kl: bool = False,
        given: Array | None = None,
        keep: bool = True,
    ) -> tuple[Array, ModelCache]:
        """log w_nk = log p(x_n, z_nk) - log q(z_nk | x_n).

        With ``closed_form_kl`` the sampled log p(z) - log q(z | x) is exchanged for minus the divergence itself, which
        gives AEVB's own estimator of the ELBO (Eq. 10):

            log w_nk = log p(x_n | z_nk) - KL(q(z | x_n) || p(z))

        Args:
            params: Parameters of ``shapes()``.
            x: (N, D) in the dtype of the parameters.
            noise: [eps_l (N, K, D_l) for each layer], standard normal.
            y: (N,) integer labels of a conditional model.
            closed_form_kl: for models that have one, and only under the ELBO.
            given, keep: as for ``joint``.

        Returns:
            logw: (N, K), in nats.
            cache: for ``backward``.

        Raises: ValueError for a closed form where there is none, and for shapes or labels that do not fit.
        """
        if closed_form_kl and not self.has_closed_form_kl:
            raise ValueError(f"no closed form for {len(self.latent)} stochastic layers under the prior {self.prior}")
        z, log_q, posterior_cache = self.posterior(params, x, noise, y)
        log_likelihood, log_prior, joint_cache = self.joint(params, x, z, y, given, keep)
        if not closed_form_kl:
            return log_likelihood + log_prior - log_q, ModelCache(posterior_cache, joint_cache, None, None)
        divergence, kl_cache = self._prior.kl(params, *gaussian.split(posterior_cache[0].stats), y)
        logw = log_likelihood - divergence.sum(axis=1, keepdims=True)
        return logw, ModelCache(posterior_cache, joint_cache, kl_cache, divergence)

    def backward(
        self,
        params: Parameters,
        cache: ModelCache,
        dlogw: Array,
        path: Array | None = None,
        direct: Array | None = None,
        out: Parameters | None = None,
        consume: bool = False,
        kl_weights: Array | None = None,
    ) -> Parameters:
        """The gradient of sum_nk dlogw_nk log w_nk, by all parameters.

        The parameters of the decoders and of the prior act at given samples and always have the weights ``dlogw``. The
        encoders' act by the path of the samples and directly, in log q; an estimator (bounds.py) may weight the two in
        its own way. What comes down the path has the weight ``dlogw`` from the decoders, so it is multiplied by
        path / dlogw. (Under a VampPrior the uppermost encoder's are the prior's too: as such they have ``dlogw``.)

        Args:
            params: as given to ``log_weights``.
            cache: from ``log_weights``.
            dlogw: (N, K).
            path: (N, K) weights of the encoders' path derivatives, 0 where dlogw is; by default dlogw.
            direct: (N, K) weights of the direct derivative of log q, 0 where dlogw is; by default the path's. (With the
                divergence in closed form there is none, and they have no effect.)
            out: Parameters to write the gradient into; new ones by default.
            consume: whether the cache may be used up, which saves a copy of the decoder's outputs; a second use is then
                an error. Otherwise it serves as often as one likes.
            kl_weights: (D_1,) factors on the shares that the dimensions have in the divergence in closed form, as
                ``bounds.kl_weights`` gives them: then this is not the gradient of the ELBO.

        Returns: the gradient, as Parameters.

        Raises: ValueError for a cache that was used up, for shapes that do not fit, for weights of the path or of the
            direct way where dlogw is 0, for weights of the path with the closed form, and for kl_weights without it.
        """
        grads = params.with_flat(np.empty_like(params.flat)) if out is None else out
        path = dlogw if path is None else path
        path_factor = _ratio(path, dlogw, params.flat.dtype)
        if cache.kl is None and kl_weights is not None:
            raise ValueError("kl_weights are factors on the divergence in closed form, and it was sampled here")
        if cache.kl is not None and path_factor is not None:
            raise ValueError("the divergence in closed form has no path: an estimator may weight only a sampled one's")
        direct = path if direct is None else direct
        direct_factor = path_factor if direct is path else _ratio(direct, dlogw, params.flat.dtype)
        dlogw = dlogw.astype(params.flat.dtype, copy=False)
        closed = cache.kl is not None  # the divergence in the place of the sampled log p(z) - log q(z | x)
        dsampled = np.zeros_like(dlogw) if closed else dlogw
        dz = self.joint_backward(dlogw, dsampled, cache.joint, grads, consume)
        dkl = None
        if closed:
            ddivergence = -dlogw.sum(axis=1, keepdims=True)
            ddivergence = ddivergence if kl_weights is None else ddivergence * kl_weights.astype(dlogw.dtype)
            dkl = self._prior.kl_backward(ddivergence, cache.kl, grads)
        dlogq = ddirect = -dsampled
        if path_factor is not None:
            dz = [path_factor.reshape(-1, 1) * dz_l for dz_l in dz]
            dlogq = dlogq * path_factor
        if direct_factor is not None:
            ddirect = ddirect * direct_factor
        one_weight = direct_factor is path_factor or np.array_equal(dlogq, ddirect)
        self.posterior_backward(dz, dlogq, cache.posterior, grads, None if one_weight else ddirect, dkl)
        return grads

    # -- q(z | x, y) ---------------------------------------------------------------------------------------------------

    def posterior(
        self, params: Parameters, x: Array, noise: Arrays, y: Labels | None = None
    ) -> tuple[Arrays, Array, list[EncoderCache]]:
        """Samples z_l = mu_l + sigma_l eps_l, from the data upwards, and their log density.

        Args: as for ``log_weights``.

        Returns:
            z: [(N K, D_l) for each layer], row n K + k for example n and sample k.
            log_q: (N, K) log q(z_nk | x_n), the sum over the layers, in nats.
            cache: for ``posterior_backward``.
        """
        if not (len(noise) == len(self.latent) and noise[0].ndim == 3 and noise[0].size):
            raise misfit(f"noise (N, K, D_l) for {len(self.latent)} layers, with N and K above zero,", *noise)
        N, K = noise[0].shape[:2]
        if x.shape != (N, self.data_dim):
            raise misfit(f"x {(N, self.data_dim)}", x)
        if [eps.shape for eps in noise] != self.noise_shapes(N, K):
            raise misfit(f"noise {self.noise_shapes(N, K)}", *noise)
        labels = self._one_hot(y, x)
        below, z, log_q, cache = x, [], np.zeros((N, K), x.dtype), []
        for l, (encoder, eps) in enumerate(zip(self.encoders, noise)):
            stats, network_cache = encoder.forward(params.part(name_of("encoder", l)), below, _for_rows(labels, below))
            # x has K samples a row; each of these is a row of its own for the layer above
            z_l, log_q_l, layer_cache = gaussian.layer(stats, eps.reshape(len(stats), -1, self.latent[l]))
            log_q += log_q_l.reshape(N, K)
            below = z_l.reshape(N * K, self.latent[l])
            z.append(below)
            cache.append(EncoderCache(stats, layer_cache, network_cache))
        return z, log_q, cache

    def posterior_backward(
        self,
        dz: Arrays,
        dlogq: Array,
        cache: list[EncoderCache],
        grads: Parameters,
        ddirect: Array | None = None,
        dkl: Pair | None = None,
    ) -> None:
        """From the top layer down: through z_l into the network, and through its input into the z_{l-1} below.

        Args:
            dz: [(N K, D_l) for each layer] derivatives by the samples, by all but log q.
            dlogq: (N, K) derivative by log q.
            cache: from ``posterior``.
            grads: Parameters to write the encoders' gradients into. That of the uppermost encoder is added, if the
                prior uses it too: ``joint_backward`` has left the prior's share there.
            ddirect: (N, K) another weight for the direct derivative of log q (``gaussian.log_posterior_backward``).
            dkl: (dmu, dlogvar), (N, D_1) each, of the closed-form divergence of a single layer.
        """
        from_above: Array | None = None
        for l in reversed(range(len(dz))):
            encoder, (stats, layer_cache, network_cache) = self.encoders[l], cache[l]
            rows = (len(stats), -1)
            dz_l = (dz[l] if from_above is None else dz[l] + from_above).reshape(*rows, self.latent[l])
            direct = None if ddirect is None else ddirect.reshape(rows)
            dstats = gaussian.layer_backward(dz_l, dlogq.reshape(rows), layer_cache, direct)
            if dkl is not None:
                dstats += gaussian.split_backward(*dkl)
            own, is_shared = grads.part(name_of("encoder", l)), l == len(dz) - 1 and self._prior.uses_encoder
            from_above, _ = encoder.backward(dstats, network_cache, own, need_dx=l > 0, add=is_shared)
            if l > 0 and direct is not None:
                # in log q(z_l | z_{l-1}) only the parameters act directly: z_{l-1} is a sample and acts along the path
                dstats = gaussian.layer_backward(dz_l, dlogq.reshape(rows), layer_cache)
                unused = {name: np.empty_like(array) for name, array in own.items()}
                from_above, _ = encoder.backward(dstats, network_cache, unused)

    # -- p(x, z | y) ---------------------------------------------------------------------------------------------------

    def joint(
        self,
        params: Parameters,
        x: Array,
        z: Arrays,
        y: Labels | None = None,
        given: Array | None = None,
        keep: bool = True,
    ) -> tuple[Array, Array, JointCache]:
        """log p(x, z | y) of given samples, in its two parts.

        Args:
            params, x, y: as for ``log_weights``.
            z: [(N K, D_l) for each layer].
            given: (N, D) what a decoder with feedback is told of the data, instead of x: training may hide some of it.
            keep: whether a backward pass may follow; without it there is less to compute.

        Returns:
            log_likelihood: (N, K) log p(x_n | z_1), in nats.
            log_prior: (N, K) log p(z_L | y) + ... + log p(z_1 | z_2, y), in nats.
            cache: for ``joint_backward``.
        """
        if not (x.shape[1:] == (self.data_dim,) and len(x) > 0):
            raise misfit(f"x (N, {self.data_dim}), with N above zero,", x)
        if given is not None and given.shape != x.shape:
            raise misfit(f"given {x.shape}", given)
        if len(z) != len(self.latent):
            raise misfit(f"z of {len(self.latent)} layers", *z)
        N, K = len(x), len(z[0]) // len(x)
        wanted = [(N * K, units) for units in self.latent]
        if [z_l.shape for z_l in z] != wanted:
            raise misfit(f"z {wanted}", *z)
        labels = _for_rows(self._one_hot(y, x), z[0])
        log_prior, prior_cache = self._prior.log_prob(params, z[-1].reshape(N, K, -1), y)
        above = []
        for l in reversed(range(1, len(z))):
            stats, network_cache = self.decoders[l].forward(params.part(name_of("decoder", l)), z[l], labels)
            logp, density_cache = gaussian.log_density(z[l - 1][:, None], *gaussian.split(stats))
            log_prior = log_prior + logp.reshape(N, K)
            above.append(DecoderCache(density_cache, network_cache))
        decoder, weights = self.decoders[0], params.part("decoder")
        told = (x if given is None else given) if decoder.reads_data else None
        outputs = likelihood_cache = network_cache = None
        if keep:
            outputs, network_cache = decoder.forward(weights, z[0], labels, told)
            log_likelihood, likelihood_cache = self.observation.log_prob(x, outputs, out=outputs)
        else:
            log_likelihood = self._evaluate(x, weights, z[0], labels, told)
        cache = JointCache((N, K), prior_cache, above, likelihood_cache, outputs, network_cache, [True] * (not keep))
        return log_likelihood, log_prior, cache

    def _evaluate(self, x: Array, weights: Weights, z: Array, labels: Array, told: Array | None) -> Array:
        """log p(x | z), (N, K), where no backward pass follows."""
        decoder, of_layers = self.decoders[0], self.observation.of_layers
        layers = decoder.layers(weights)
        if layers and of_layers:
            return of_layers(x, beside(z, labels), layers, decoder.activation)
        outputs, _ = decoder.forward(weights, z, labels, told)
        return self.observation.log_prob(x, outputs, out=outputs)[0]

    def joint_backward(
        self, dlog_likelihood: Array, dlog_prior: Array, cache: JointCache, grads: Parameters, consume: bool = False
    ) -> Arrays:
        """From the data up: through the likelihood into z_1, through p(z_1 | z_2) into z_1 and z_2, up to the prior.

        Args:
            dlog_likelihood, dlog_prior: (N, K).
            cache: from ``joint``.
            grads: Parameters to write the decoders' gradients into, and the prior's, with its share of the encoder's.
            consume: as for ``backward``.

        Returns: dz, [(N K, D_l) for each layer].

        Raises: ValueError for a cache that was used up, and for shapes that do not fit.
        """
        if cache.consumed:
            raise ValueError(
                "the cache was used up by an earlier backward pass, with consume=True, or not kept, with keep=False: "
                "run it forward anew"
            )
        fits = dlog_likelihood.shape == dlog_prior.shape == cache.shape
        if not fits:
            raise misfit(f"derivatives {cache.shape} by the log weights", dlog_likelihood, dlog_prior)
        cache.consumed.extend([True] * consume)
        out = cache.outputs if consume else None
        doutputs = self.observation.log_prob_backward(dlog_likelihood, cache.likelihood, out=out)
        dz = [self.decoders[0].backward(doutputs, cache.network, grads.part("decoder"))[0]]
        for l, (density_cache, network_cache) in enumerate(reversed(cache.above), start=1):
            dbelow, dmu, dlogvar = gaussian.log_density_backward(dlog_prior.reshape(-1, 1), density_cache)
            dz[-1] = dz[-1] + dbelow[:, 0]
            dstats = gaussian.split_backward(dmu, dlogvar)
            dz.append(self.decoders[l].backward(dstats, network_cache, grads.part(name_of("decoder", l)))[0])
        dprior = self._prior.log_prob_backward(dlog_prior, cache.prior, grads)
        dz[-1] = dz[-1] + dprior.reshape(-1, self.latent[-1])
        return dz

    # -- use of a trained model ----------------------------------------------------------------------------------------

    def encode(self, params: Parameters, x: Array, y: Labels | None = None) -> Pair:
        """The posterior's statistics of the layer next to the data, q(z_1 | x, y).

        Args: as for ``log_weights``.

        Returns: mu and logvar, (N, D_1) each.
        """
        return self.statistics(params, [x], y)[0]

    def statistics(self, params: Parameters, below: Arrays, y: Labels | None = None) -> list[Pair]:
        """The posterior's statistics of each layer, q(z_l | z_{l-1}, y).

        Args:
            params, y: as for ``log_weights``.
            below: what each layer stands on, x (N, D) and samples z_1 (N K, D_1), z_2 ...; as many as are wanted.

        Returns: [(mu, logvar) for each], (R, D_l) for R rows below.
        """
        labels, pairs = self._one_hot(y, below[0]), []
        for l, (encoder, h) in enumerate(zip(self.encoders, below)):
            if h.shape[1:] != (math.prod(encoder.inputs),):
                raise misfit(f"rows of {encoder.inputs}", h)
            stats, _ = encoder.forward(params.part(name_of("encoder", l)), h, _for_rows(labels, h))
            pairs.append(gaussian.split(stats))
        return pairs

    def sample_prior(self, params: Parameters, eps: Array, u: Array, y: Labels | None = None) -> Array:
        """z_L ~ p(z_L | y): (N, D_L) from normal noise eps (N, D_L) and uniform numbers u (N,) for mixtures."""
        return self._prior.sample(params, eps, u, y)

    def decode(self, params: Parameters, z: Array, noise: Arrays = (), y: Labels | None = None) -> Array:
        """The mean of the data at the end of p(z_{l-1} | z_l, y) ... p(x | z_1, y); with feedback, what
        ``decode_outputs`` makes of it.

        Args:
            params: Parameters of ``shapes()``.
            z: (N, D_l) values of a layer: the top one, or a lower one.
            noise: [eps (N, 1, D)] for each layer below that of z, the one next to the data first.
            y: (N,) integer labels of a conditional model.

        Returns: (N, D) E[x | z_1].
        """
        return self.observation.mean(self.decode_outputs(params, self.descend(params, z, noise, y), y))

    def descend(self, params: Parameters, z: Array, noise: Arrays, y: Labels | None = None) -> Array:
        """z_1 at the end of p(z_{l-1} | z_l, y) ... p(z_1 | z_2, y): (N, D_1); arguments as for ``decode``."""
        wanted = [(len(z), 1, units) for units in self.latent[:-1][: len(noise)]]
        if [eps.shape for eps in noise] != wanted:
            raise misfit(f"noise {wanted}", *noise)
        for l in reversed(range(len(noise))):
            z = gaussian.sample(*self.conditional(params, z, l, y), noise[l])[0][:, 0]
        return z

    def decode_outputs(self, params: Parameters, z: Array, y: Labels | None = None) -> Array:
        """The decoder's raw outputs (N, M D) at values (N, D_1) of the layer next to the data.

        With feedback they depend on the data before: here, at every step, on the mean of the step before.
        """
        if z.shape[1:] != self.latent[:1]:
            raise misfit(f"z (N, {self.latent[0]})", z)
        decoder, T = self.decoders[0], self.data_shape[0]
        if not decoder.reads_data:
            return decoder.forward(params.part("decoder"), z, self._one_hot(y, z))[0]
        step, before, outputs = self.stepper(params, z, y), np.zeros((len(z), self.data_dim // T), z.dtype), []
        for _ in range(T):
            outputs.append(step(before))
            before = self.observation.mean(outputs[-1])
        M = self.observation.outputs_per_dimension
        steps = [out.reshape(len(z), M, self.data_dim // T) for out in outputs]
        return np.stack(steps, axis=2).reshape(len(z), M * self.data_dim)

    def stepper(self, params: Parameters, z: Array, y: Labels | None = None) -> Callable[[Array], Array]:
        """The decoder's outputs at values (N, D_1), step by step of a sequence.

        Returns: a function, to be called for each step after the other, from the data (N, V) of the step before, zeros
            at first, to the outputs (N, M V). Without feedback it does not look at these.
        """
        decoder = self.decoders[0]
        if decoder.reads_data:
            return decoder.stepper(params.part("decoder"), z, self._one_hot(y, z))
        M, T = self.observation.outputs_per_dimension, self.data_shape[0]
        outputs = self.decode_outputs(params, z, y).reshape(len(z), M, T, self.data_dim // T)
        steps = iter(outputs.transpose(2, 0, 1, 3))
        return lambda before: next(steps).reshape(len(z), M * self.data_dim // T)

    def conditional(self, params: Parameters, z_above: Array, layer: int, y: Labels | None = None) -> Pair:
        """mu and logvar (N, D_l) of p(z_l | z_{l+1}, y) at values (N, D_{l+1}); layer 0 is next to the data."""
        if z_above.shape[1:] != (self.latent[layer + 1],):
            raise misfit(f"z (N, {self.latent[layer + 1]})", z_above)
        weights = params.part(name_of("decoder", layer + 1))
        return gaussian.split(self.decoders[layer + 1].forward(weights, z_above, self._one_hot(y, z_above))[0])

    def top_divergence(self, params: Parameters, mu: Array, logvar: Array, y: Labels | None = None) -> Array | None:
        """KL(q(z_L | ...) || p(z_L | y)) by dimension: (N, D_L) from statistics (N, D_L); None without closed form."""
        return self._prior.kl(params, mu, logvar, y)[0] if self._prior.has_kl else None

    @cached_property
    def observation(self) -> Likelihood:
        """p(x | z_1): the likelihood, for data of this shape."""
        return LIKELIHOODS[self.likelihood].of(self.data_shape, self.groups)

    @cached_property
    def encoders(self) -> tuple[Network, ...]:
        """A network for each stochastic layer, from the data up."""
        above = [NETWORKS["mlp"][0]] * (len(self.latent) - 1)
        places = zip(itertools.pairwise(self._sizes), self.hidden, strict=True)
        return tuple(
            kind(below, self.n_labels, hidden, (2 * math.prod(units),), *self._layout)
            for kind, ((below, units), hidden) in zip([NETWORKS[self.network][0], *above], places, strict=True)
        )

    @cached_property
    def decoders(self) -> tuple[Network, ...]:
        """Their mirror images: the first one down to the data, the others down to the statistics of the layer below."""
        above = [NETWORKS["mlp"][1]] * (len(self.latent) - 1)
        numbers = [self.observation.outputs_per_dimension] + [2] * len(above)
        places = zip(itertools.pairwise(self._sizes), self.hidden, numbers, strict=True)
        return tuple(
            kind(units, self.n_labels, hidden[::-1], (M, *below), *self._layout)
            for kind, ((below, units), hidden, M) in zip([NETWORKS[self.network][1], *above], places, strict=True)
        )

    @property
    def _layout(self) -> tuple[Any, ...]:
        """What all networks are told."""
        own = self.channels, self.kernel, self.stride, self.units, self.directions, self.feedback
        return ACTIVATIONS[self.activation], *own

    @property
    def _sizes(self) -> tuple[tuple[int, ...], ...]:
        """The shape of the data and of each stochastic layer."""
        return (self.data_shape, *((units,) for units in self.latent))

    @cached_property
    def _prior(self) -> StandardNormal:
        encoder = self.encoders[-1], name_of("encoder", len(self.latent) - 1)
        return PRIORS[self.prior](self.latent[-1], self.n_labels, self.n_components, *encoder)

    def _one_hot(self, y: Labels | None, rows: Array) -> Array:
        """The labels of N rows as rows themselves, (N, C) in the same dtype."""
        require_labels(y, len(rows), self.n_labels)
        return np.eye(self.n_labels, dtype=rows.dtype)[y] if self.n_labels else np.empty((len(rows), 0), rows.dtype)


def name_of(kind: str, layer: int) -> str:
    """The name of a stochastic layer's encoder or decoder in the parameters: "encoder", "encoder2", "encoder3", ..."""
    return kind if layer == 0 else f"{kind}{layer + 1}"


def _for_rows(labels: Array, rows: Array) -> Array:
    """The labels (N, C) for rows (N K, ...): each for its K rows."""
    return labels if len(labels) == len(rows) else labels.repeat(len(rows) // len(labels), axis=0)


def _ratio(weights: Array, dlogw: Array, dtype: np.dtype) -> Array | None:
    """weights / dlogw, (N, K) in a dtype, and 0 where dlogw is 0; None where they are the same."""
    if weights.shape != dlogw.shape:
        raise misfit(f"weights {dlogw.shape} of the path and of the direct way", weights)
    if weights is dlogw or np.array_equal(weights, dlogw):
        return None
    if weights[dlogw == 0].any():
        raise ValueError("the weights of the path and of the direct way must be 0 where dlogw is")
    return np.divide(weights, dlogw, out=np.zeros(dlogw.shape), where=dlogw != 0).astype(dtype)
