"""The variational autoencoder: one forward pass to the log weights, one backward pass from them.

L stochastic layers z_1 ... z_L stand above the data x; y is a label, or nothing at all:

    q(z | x, y) = q(z_1 | x, y) q(z_2 | z_1, y) ... q(z_L | z_{L-1}, y)                    encoder, encoder2, ...
    p(x, z | y) = p(z_L | y) p(z_{L-1} | z_L, y) ... p(z_1 | z_2, y) p(x | z_1, y)         decoder, decoder2, ...

p(z_L | y) is the prior (priors.py). Each other factor is a network (mlp.py) whose outputs are read as the statistics of
a distribution (gaussian.py, likelihoods.py); a label enters every network as a one-hot vector beside its input. AEVB's
model has L = 1, and IWAE's have L = 1 and 2 (IWAE, Eq. 1 and 2).

**Forward.** For K samples of each example, drawn through the noise eps,

    log w_nk = log p(x_n | z_1) + sum_l log p(z_l | z_{l+1}) - sum_l log q(z_l | z_{l-1})        with z_0 = x

where z is z_nk and the uppermost p(z_L | z_{L+1}) is the prior; every bound is a function of log w (bounds.py).

**Backward.** Given d bound / d log w_nk, a weight for each sample, the chain rule is walked in reverse: through the
likelihood and the decoders down to the derivative by every z_l, then through z_l = mu_l + sigma_l eps_l into the
encoders, from the top one to the one that reads x, each adding its input's derivative to that of the z below.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from tinyvae import gaussian
from tinyvae.likelihoods import LIKELIHOODS, Likelihood
from tinyvae.mlp import mlp, mlp_backward, mlp_shapes
from tinyvae.parameters import Parameters
from tinyvae.priors import PRIORS, StandardNormal
from tinyvae.types import Array, Arrays, Cache, Labels, Layers, Pair, Shapes


@dataclass(frozen=True)
class Model:
    """The shape of a variational autoencoder; its numbers are in ``Parameters``.

    Attributes:
        data_dim: D, dimensions of x.
        latent: (D_1, ..., D_L) dimensions of z_1 ... z_L, the layer next to the data first.
        hidden: for each z_l a tuple with the hidden units of its encoder, from z_{l-1} up; the decoder from z_l to
            z_{l-1} has them in reverse.
        likelihood: name in ``LIKELIHOODS``.
        n_labels: C, the number of labels of a conditional model; 0 for one without.
        prior: name in ``PRIORS``, of z_L.
        n_components: of a prior that is a mixture.
    """

    data_dim: int
    latent: tuple[int, ...] = (20,)
    hidden: tuple[tuple[int, ...], ...] = ((500,),)
    likelihood: str = "bernoulli"
    n_labels: int = 0
    prior: str = "normal"
    n_components: int = 0

    def shapes(self) -> Shapes:
        """Names and shapes of all parameters: {"encoder.0.W": (I, J), "encoder.0.b": (J,), ...}."""
        encoders: Shapes = {}
        decoders: Shapes = {}
        below = (self.data_dim, *self.latent)
        for l, (units, hidden) in enumerate(zip(self.latent, self.hidden, strict=True)):
            outputs = 2 * below[l] if l else self._likelihood.outputs_per_dimension * below[l]
            encoders |= mlp_shapes(network("encoder", l), (below[l] + self.n_labels, *hidden, 2 * units))
            decoders |= mlp_shapes(network("decoder", l), (units + self.n_labels, *reversed(hidden), outputs))
        return encoders | decoders | self._prior.shapes()

    def initialise_prior(self, params: Parameters, noise: Callable[[tuple[int, int]], Array], mean: Array) -> None:
        """Start the prior's parameters, in place.

        Args:
            params: Parameters of ``shapes()``.
            noise: function from a shape (rows, columns) to standard normal numbers of this shape.
            mean: (D,) of the data, where the pseudo-inputs of a VampPrior start.
        """
        inputs = np.zeros(self._top_inputs)
        if len(self.latent) == 1:
            inputs[: self.data_dim] = mean
        self._prior.initialise(params, noise, inputs)

    def noise_shapes(self, N: int, K: int) -> list[tuple[int, int, int]]:
        """The shapes (N, K, D_l) of the noise that ``log_weights`` takes, a layer each."""
        return [(N, K, units) for units in self.latent]

    @property
    def has_closed_form_kl(self) -> bool:
        """Whether KL(q(z | x) || p(z)) has a closed form: one stochastic layer and a Gaussian prior."""
        return len(self.latent) == 1 and self._prior.has_kl

    # -- the two passes ------------------------------------------------------------------------------------------------

    def log_weights(
        self, params: Parameters, x: Array, noise: Arrays, y: Labels | None = None, closed_form_kl: bool = False
    ) -> tuple[Array, Cache]:
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

        Returns:
            logw: (N, K), in nats.
            cache: for ``backward``.

        Raises: ValueError for a closed form where there is none, or for a conditional model without y.
        """
        if closed_form_kl and not self.has_closed_form_kl:
            raise ValueError(f"no closed form for {len(self.latent)} stochastic layers under the prior {self.prior}")
        z, log_q, posterior_cache = self.posterior(params, x, noise, y)
        log_likelihood, log_prior, joint_cache = self.joint(params, x, z, y)
        if not closed_form_kl:
            return log_likelihood + log_prior - log_q, (posterior_cache, joint_cache, None)
        divergence, kl_cache = self._prior.kl(params, *gaussian.split(posterior_cache[0][0]), y)
        logw = log_likelihood - divergence.sum(axis=1, keepdims=True)
        return logw, (posterior_cache, joint_cache, kl_cache)

    def backward(
        self,
        params: Parameters,
        cache: Cache,
        dlogw: Array,
        path: Array | None = None,
        direct: Array | None = None,
        out: Parameters | None = None,
    ) -> Parameters:
        """The gradient of sum_nk dlogw_nk log w_nk, by all parameters.

        The decoders' parameters enter log w once and always have the weights ``dlogw``. The encoders' enter by the
        path of the samples and directly, in log q; estimators that treat the two apart give factors to each. (The
        ``ddirect`` of ``posterior_backward`` and gaussian.py is a weight: such a factor times the derivative by log q.)

        Args:
            params: as given to ``log_weights``.
            cache: from ``log_weights``.
            dlogw: (N, K).
            path: (N, K) factor on the weights of the encoders' path derivatives; 1 by default.
            direct: (N, K) factor on the weights of the direct derivative of log q; by default the path's.
            out: Parameters to write the gradient into; new ones by default.

        Returns: the gradient, as Parameters.
        """
        grads = params.with_flat(np.empty_like(params.flat)) if out is None else out
        posterior_cache, joint_cache, kl_cache = cache
        closed = kl_cache is not None  # the divergence in the place of the sampled log p(z) - log q(z | x)
        dsampled = np.zeros_like(dlogw) if closed else dlogw
        dz, dencoder = self.joint_backward(dlogw, dsampled, joint_cache, grads)
        dkl = self._prior.kl_backward(-dlogw.sum(axis=1, keepdims=True), kl_cache, grads) if closed else None
        if path is not None:
            dz = [path.reshape(-1, 1) * dz_l for dz_l in dz]
        dlogq = -dsampled if path is None else -dsampled * path
        ddirect = None if direct is None else -dsampled * direct
        self.posterior_backward(dz, dlogq, posterior_cache, grads, ddirect, dkl)
        if dencoder is not None:
            for gradients, more in zip(grads.layers(self._top_encoder), dencoder, strict=True):
                for gradient, addition in zip(gradients, more):
                    gradient += addition
        return grads

    # -- q(z | x, y) ---------------------------------------------------------------------------------------------------

    def posterior(
        self, params: Parameters, x: Array, noise: Arrays, y: Labels | None = None
    ) -> tuple[Arrays, Array, Cache]:
        """Samples z_l = mu_l + sigma_l eps_l, from the data upwards, and their log density.

        Args: as for ``log_weights``.

        Returns:
            z: [(N K, D_l) for each layer], row n K + k for example n and sample k.
            log_q: (N, K) log q(z_nk | x_n), the sum over the layers, in nats.
            cache: for ``posterior_backward``; for each layer its statistics (R, 2 D_l) and the caches of its parts.
        """
        N, K = noise[0].shape[:2]
        below, z, log_q, cache = x, [], np.zeros((N, K), x.dtype), []
        for l, eps in enumerate(noise):
            stats, mlp_cache = mlp(self._with_labels(below, y), params.layers(network("encoder", l)))
            # x has K samples a row; each of these is a row of its own for the layer above
            z_l, log_q_l, layer_cache = gaussian.layer(stats, eps.reshape(len(stats), -1, self.latent[l]))
            log_q += log_q_l.reshape(N, K)
            below = z_l.reshape(N * K, self.latent[l])
            z.append(below)
            cache.append((stats, layer_cache, mlp_cache))
        return z, log_q, cache

    def posterior_backward(
        self,
        dz: Arrays,
        dlogq: Array,
        cache: Cache,
        grads: Parameters,
        ddirect: Array | None = None,
        dkl: Pair | None = None,
    ) -> None:
        """From the top layer down: through z_l into the network, and through its input into the z_{l-1} below.

        Args:
            dz: [(N K, D_l) for each layer] derivatives by the samples, by all but log q.
            dlogq: (N, K) derivative by log q.
            cache: from ``posterior``.
            grads: Parameters to write the encoders' gradients into.
            ddirect: (N, K) another weight for the direct derivative of log q (``gaussian.log_posterior_backward``).
            dkl: (dmu, dlogvar), (N, D_1) each, of the closed-form divergence of a single layer.
        """
        from_above: Array | int = 0
        for l in reversed(range(len(dz))):
            stats, layer_cache, mlp_cache = cache[l]
            rows = (len(stats), -1)
            dz_l = (dz[l] + from_above).reshape(*rows, self.latent[l])
            direct = None if ddirect is None else ddirect.reshape(rows)
            dstats = gaussian.layer_backward(dz_l, dlogq.reshape(rows), layer_cache, direct)
            if dkl is not None:
                dstats += gaussian.split_backward(*dkl)
            dinput, _ = mlp_backward(dstats, mlp_cache, grads.layers(network("encoder", l)), need_dx=l > 0)
            if l > 0 and direct is not None:
                # in log q(z_l | z_{l-1}) only the parameters act directly: z_{l-1} is a sample and acts along the path
                dstats = gaussian.layer_backward(dz_l, dlogq.reshape(rows), layer_cache)
                dinput, _ = mlp_backward(dstats, mlp_cache)
            if l > 0:
                from_above = dinput[:, : self.latent[l - 1]]

    # -- p(x, z | y) ---------------------------------------------------------------------------------------------------

    def joint(self, params: Parameters, x: Array, z: Arrays, y: Labels | None = None) -> tuple[Array, Array, Cache]:
        """log p(x, z | y) of given samples, in its two parts.

        Args:
            params, x, y: as for ``log_weights``.
            z: [(N K, D_l) for each layer].

        Returns:
            log_likelihood: (N, K) log p(x_n | z_1), in nats.
            log_prior: (N, K) log p(z_L | y) + ... + log p(z_1 | z_2, y), in nats.
            cache: for ``joint_backward``.
        """
        N, K = len(x), len(z[0]) // len(x)
        log_prior, prior_cache = self._prior.log_prob(params, z[-1].reshape(N, K, -1), y)
        cache = [prior_cache]
        for l in reversed(range(1, len(z))):
            stats, mlp_cache = mlp(self._with_labels(z[l], y), params.layers(network("decoder", l)))
            logp, density_cache = gaussian.log_density(z[l - 1][:, None], *gaussian.split(stats))
            log_prior = log_prior + logp.reshape(N, K)
            cache.append((density_cache, mlp_cache))
        outputs, mlp_cache = mlp(self._with_labels(z[0], y), params.layers(network("decoder", 0)))
        log_likelihood, likelihood_cache = self._likelihood.log_prob(x, outputs, out=outputs)
        cache.append((likelihood_cache, mlp_cache))
        return log_likelihood, log_prior, cache

    def joint_backward(
        self, dlog_likelihood: Array, dlog_prior: Array, cache: Cache, grads: Parameters
    ) -> tuple[Arrays, Layers | None]:
        """From the data up: through the likelihood into z_1, through p(z_1 | z_2) into z_1 and z_2, up to the prior.

        Args:
            dlog_likelihood, dlog_prior: (N, K).
            cache: from ``joint``.
            grads: Parameters to write the decoders' gradients into.

        Returns:
            dz: [(N K, D_l) for each layer].
            dencoder: a gradient to be added to that of the uppermost encoder, if the prior uses it too; else None.
        """
        prior_cache, *above, (likelihood_cache, mlp_cache) = cache
        doutputs = self._likelihood.log_prob_backward(dlog_likelihood, likelihood_cache, out=likelihood_cache)
        dinput, _ = mlp_backward(doutputs, mlp_cache, grads.layers(network("decoder", 0)))
        dz = [dinput[:, : self.latent[0]]]
        for l, (density_cache, mlp_cache) in enumerate(reversed(above), start=1):
            dbelow, dmu, dlogvar = gaussian.log_density_backward(dlog_prior.reshape(-1, 1), density_cache)
            dz[-1] = dz[-1] + dbelow[:, 0]
            dstats = gaussian.split_backward(dmu, dlogvar)
            dinput, _ = mlp_backward(dstats, mlp_cache, grads.layers(network("decoder", l)))
            dz.append(dinput[:, : self.latent[l]])
        dprior, dencoder = self._prior.log_prob_backward(dlog_prior, prior_cache, grads)
        dz[-1] = dz[-1] + dprior.reshape(-1, self.latent[-1])
        return dz, dencoder

    # -- use of a trained model ----------------------------------------------------------------------------------------

    def encode(self, params: Parameters, x: Array, y: Labels | None = None) -> Pair:
        """The posterior's statistics of the layer next to the data, q(z_1 | x, y).

        Args: as for ``log_weights``.

        Returns: mu and logvar, (N, D_1) each.
        """
        stats, _ = mlp(self._with_labels(x, y), params.layers(network("encoder", 0)))
        return gaussian.split(stats)

    def sample_prior(self, params: Parameters, eps: Array, u: Array, y: Labels | None = None) -> Array:
        """z_L ~ p(z_L | y): (N, D_L) from normal noise eps (N, D_L) and uniform numbers u (N,) for mixtures."""
        return self._prior.sample(params, eps, u, y)

    def decode(self, params: Parameters, z: Array, noise: Arrays = (), y: Labels | None = None) -> Array:
        """The mean of the data at the end of p(z_{l-1} | z_l, y) ... p(x | z_1, y).

        Args:
            params: Parameters of ``shapes()``.
            z: (N, D_l) values of a layer: the top one, or a lower one.
            noise: [eps (N, 1, D)] for each layer below that of z, the one next to the data first.
            y: (N,) integer labels of a conditional model.

        Returns: (N, D) E[x | z_1].
        """
        for l in reversed(range(len(noise))):
            z = gaussian.sample(*self.conditional(params, z, l, y), noise[l])[0][:, 0]
        return self._likelihood.mean(self.decode_outputs(params, z, y))

    def decode_outputs(self, params: Parameters, z: Array, y: Labels | None = None) -> Array:
        """The decoder's raw outputs (R, M D) at values (R, D_1) of the layer next to the data."""
        return mlp(self._with_labels(z, y), params.layers(network("decoder", 0)))[0]

    def conditional(self, params: Parameters, z_above: Array, layer: int, y: Labels | None = None) -> Pair:
        """mu and logvar (R, D_l) of p(z_l | z_{l+1}, y) at values (R, D_{l+1}); layer 0 is next to the data."""
        stats, _ = mlp(self._with_labels(z_above, y), params.layers(network("decoder", layer + 1)))
        return gaussian.split(stats)

    def top_divergence(self, params: Parameters, mu: Array, logvar: Array, y: Labels | None = None) -> Array | None:
        """KL(q(z_L | ...) || p(z_L | y)) by dimension: (R, D_L) from statistics (R, D_L); None without closed form."""
        if not self._prior.has_kl:
            return None
        return self._prior.kl(params, mu, logvar, None if y is None else np.repeat(y, len(mu) // len(y)))[0]

    @property
    def _likelihood(self) -> Likelihood:
        return LIKELIHOODS[self.likelihood]

    @property
    def _top_encoder(self) -> str:
        return network("encoder", len(self.latent) - 1)

    @property
    def _top_inputs(self) -> int:
        return (self.data_dim, *self.latent)[-2] + self.n_labels

    @property
    def _prior(self) -> StandardNormal:
        encoder = (self._top_encoder, self._top_inputs)
        return PRIORS[self.prior](self.latent[-1], self.n_labels, self.n_components, encoder)

    def _with_labels(self, h: Array, y: Labels | None) -> Array:
        """The input (R, I) beside the one-hot labels (R, C); each label serves R / N rows."""
        if not self.n_labels:
            return h
        if y is None:
            raise ValueError(f"a model of {self.n_labels} labels needs y, the label of each example")
        one_hot = np.eye(self.n_labels, dtype=h.dtype)[np.repeat(y, len(h) // len(y))]
        return np.concatenate([h, one_hot], axis=1)


def network(kind: str, layer: int) -> str:
    """The name of a stochastic layer's encoder or decoder: "encoder", "encoder2", "encoder3", ..."""
    return kind if layer == 0 else f"{kind}{layer + 1}"
