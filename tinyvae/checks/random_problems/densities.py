"""Random problems of densities: the Gaussian layer, the likelihoods and the priors."""

import numpy as np
from numpy.random import Generator

from tinyvae.checks.finite_differences import Problem
from tinyvae.derivation import categorical as symbols
from tinyvae.derivation import gaussian, levels, likelihoods, priors
from tinyvae.derivation.networks import MLP
from tinyvae.derivation.parameters import Parameters
from tinyvae.settings import LIKELIHOODS, PRIORS
from tinyvae.types import Array, Cache


def split(rng: Generator, R: int, D: int) -> Problem:
    """The two halves of a network's output."""
    return Problem(
        "gaussian.split",
        {"stats": rng.standard_normal((R, 2 * D))},
        lambda stats: (gaussian.split(stats), None),
        lambda dmu, dlogvar, _: {"stats": gaussian.split_backward(dmu, dlogvar)},
    )


def statistics(rng: Generator, R: int, D: int) -> dict[str, Array]:
    """Random mu and logvar, (R, D) each."""
    return {"mu": rng.standard_normal((R, D)), "logvar": rng.standard_normal((R, D))}


def sample(rng: Generator, R: int, S: int, D: int) -> Problem:
    """z = mu + sigma eps."""
    eps = rng.standard_normal((R, S, D))
    return Problem(
        "gaussian.sample",
        statistics(rng, R, D),
        lambda mu, logvar: gaussian.sample(mu, logvar, eps),
        lambda dz, cache: dict(zip(("mu", "logvar"), gaussian.sample_backward(dz, cache))),
    )


def log_posterior(rng: Generator, R: int, S: int, D: int) -> Problem:
    """log q(z), in which z moves with mu and logvar: the two ways together."""
    eps = rng.standard_normal((R, S, D))

    def forward(mu: Array, logvar: Array) -> tuple[Array, Cache]:
        return gaussian.log_posterior(logvar, eps), gaussian.sample(mu, logvar, eps)[1]

    def backward(dlogq: Array, cache: Cache) -> dict[str, Array]:
        return dict(zip(("mu", "logvar"), gaussian.log_posterior_backward(dlogq, cache)))

    return Problem("gaussian.log_posterior", statistics(rng, R, D), forward, backward)


def log_posterior_two_ways(rng: Generator, R: int, S: int, D: int) -> Problem:
    """The same in two copies of mu and logvar: one that z is made from, one that it is judged by."""
    eps = rng.standard_normal((R, S, D))
    path = statistics(rng, R, D)
    direct = {f"direct_{name}": array.copy() for name, array in path.items()}

    def forward(mu: Array, logvar: Array, direct_mu: Array, direct_logvar: Array) -> tuple[Array, Cache]:
        z, cache = gaussian.sample(mu, logvar, eps)
        return gaussian.log_density(z, direct_mu, direct_logvar)[0], cache

    def backward(dlogq: Array, cache: Cache) -> dict[str, Array]:
        by_path = gaussian.log_posterior_backward(dlogq, cache, ddirect=np.zeros_like(dlogq))
        directly = gaussian.log_posterior_backward(np.zeros_like(dlogq), cache, ddirect=dlogq)
        return dict(zip((*path, *direct), (*by_path, *directly)))

    return Problem("gaussian.log_posterior, path and direct", path | direct, forward, backward)


def layer(rng: Generator, R: int, S: int, D: int) -> Problem:
    """The whole reparameterised layer: samples and their log density."""
    eps = rng.standard_normal((R, S, D))

    def forward(stats: Array) -> tuple[tuple[Array, Array], Cache]:
        z, log_q, cache = gaussian.layer(stats, eps)
        return (z, log_q), cache

    def backward(dz: Array, dlogq: Array, cache: Cache) -> dict[str, Array]:
        return {"stats": gaussian.layer_backward(dz, dlogq, cache)}

    return Problem("gaussian.layer", {"stats": rng.standard_normal((R, 2 * D))}, forward, backward)


def log_density(rng: Generator, R: int, S: int, D: int) -> Problem:
    """log N(z; mu, exp(logvar))."""
    inputs = {"z": rng.standard_normal((R, S, D))} | statistics(rng, R, D)
    return Problem(
        "gaussian.log_density",
        inputs,
        lambda z, mu, logvar: gaussian.log_density(z, mu, logvar),
        lambda dlogp, cache: dict(zip(inputs, gaussian.log_density_backward(dlogp, cache))),
    )


def log_densities(rng: Generator, R: int, M: int, D: int) -> Problem:
    """log N(z; mu, exp(logvar)), of each z under each of M Gaussians."""
    inputs = {"z": rng.standard_normal((R, D))} | statistics(rng, M, D)
    return Problem(
        "gaussian.log_densities",
        inputs,
        lambda z, mu, logvar: gaussian.log_densities(z, mu, logvar),
        lambda dlogp, cache: dict(zip(inputs, gaussian.log_densities_backward(dlogp, cache))),
    )


def log_standard_normal(rng: Generator, R: int, S: int, D: int) -> Problem:
    """log N(z; 0, 1)."""
    return Problem(
        "gaussian.log_standard_normal",
        {"z": rng.standard_normal((R, S, D))},
        lambda z: gaussian.log_standard_normal(z),
        lambda dlogp, cache: {"z": gaussian.log_standard_normal_backward(dlogp, cache)},
    )


def kl(rng: Generator, R: int, D: int) -> Problem:
    """The closed-form KL divergence from the standard normal."""
    return Problem(
        "gaussian.kl",
        statistics(rng, R, D),
        lambda mu, logvar: gaussian.kl(mu, logvar),
        lambda dkl, cache: dict(zip(("mu", "logvar"), gaussian.kl_backward(dkl, cache))),
    )


def bernoulli(rng: Generator, N: int, K: int, D: int) -> Problem:
    """The Bernoulli likelihood of grey levels, by the logits."""
    x = rng.random((N, D))
    return Problem(
        "likelihoods.bernoulli",
        {"logits": 3 * rng.standard_normal((N * K, D))},
        lambda logits: likelihoods.bernoulli(x, logits),
        lambda dlogp, cache: {"logits": likelihoods.bernoulli_backward(dlogp, cache)},
    )


def logistic(rng: Generator, N: int, K: int, D: int, components: int) -> Problem:
    """The likelihood of values on 256 levels under a mixture of discretised logistics, by the decoder's outputs."""
    x = data(rng, N, (D,), "logistic")
    return Problem(
        f"levels.logistic, {components} components",
        {"outputs": rng.standard_normal((N * K, levels.numbers(components) * D))},
        lambda outputs: levels.logistic(x, outputs, components=components),
        lambda dlogp, cache: {"outputs": levels.logistic_backward(dlogp, cache)},
    )


def likelihood(rng: Generator, N: int, K: int, D: int, name: str) -> Problem:
    """Any likelihood by the decoder's outputs, on data that it describes: D entries, or D pixels in colour."""
    D *= LIKELIHOODS[name].channels or 1
    kind, x = LIKELIHOODS[name].of((D,)), data(rng, N, (D,), name)
    return Problem(
        f"likelihoods, {name}",
        {"outputs": rng.standard_normal((N * K, kind.outputs_per_dimension * D))},
        lambda outputs: kind.log_prob(x, outputs),
        lambda dlogp, cache: {"outputs": kind.log_prob_backward(dlogp, cache)},
    )


def data(rng: Generator, N: int, data_shape: tuple[int, ...], name: str) -> Array:
    """Random rows (N, D) of data that a likelihood describes: symbols for one, else numbers between 0 and 1."""
    kind, shape = LIKELIHOODS[name], (N, *data_shape)
    if name == "categorical":
        return np.eye(shape[-1])[rng.integers(0, shape[-1], shape[:-1])].reshape(N, -1)
    if kind.levels and kind.levels > 2:  # the ends too, which are open
        return np.clip(rng.integers(-50, kind.levels + 50, shape), 0, kind.levels - 1).reshape(N, -1) / (
            kind.levels - 1
        )
    return rng.random(shape).reshape(N, -1)


def categorical(rng: Generator, N: int, K: int, T: int, groups: tuple[int, ...]) -> Problem:
    """The likelihood of symbols, some of which exclude others, by the logits."""
    x = data(rng, N, (T, len(groups)), "categorical")
    return Problem(
        "categorical.categorical, in groups",
        {"logits": 3 * rng.standard_normal((N * K, x.shape[1]))},
        lambda logits: symbols.categorical(x, logits, groups=groups),
        lambda dlogp, cache: {"logits": symbols.categorical_backward(dlogp, cache)},
    )


def gaussian_likelihood(rng: Generator, N: int, K: int, D: int, squash: bool = True) -> Problem:
    """The Gaussian likelihood by the decoder's outputs; some log variances are below the floor."""
    x = rng.random((N, D))
    outputs = rng.standard_normal((N * K, 2 * D))
    outputs[:, D:] += likelihoods.LOGVAR_FLOOR * (rng.random((N * K, D)) < 0.2)  # its derivative is 0 or of order 1e5
    outputs[:, D:][np.abs(outputs[:, D:] - likelihoods.LOGVAR_FLOOR) < 0.01] = 0  # no difference across the kink
    return Problem(
        "likelihoods.gaussian" + ", mean = sigmoid" * squash,
        {"outputs": outputs},
        lambda outputs: likelihoods.gaussian(x, outputs, squash=squash),
        lambda dlogp, cache: {"outputs": likelihoods.gaussian_backward(dlogp, cache)},
    )


def log_mixture(rng: Generator, N: int, K: int, D: int, M: int) -> Problem:
    """The density of a mixture of M Gaussians, by z and by everything that defines the mixture."""
    inputs = {"z": rng.standard_normal((N, K, D)), "logits": rng.standard_normal(M)} | statistics(rng, M, D)
    return Problem(
        "priors.log_mixture",
        inputs,
        lambda z, logits, mu, logvar: priors.log_mixture(z, logits, mu, logvar),
        lambda dlogp, cache: dict(zip(inputs, priors.log_mixture_backward(dlogp, cache))),
    )


def prior(rng: Generator, N: int, K: int, D: int, name: str, part: str = "log_prob") -> Problem:
    """A prior's density, or its divergence from a Gaussian, by the latent and by all of the prior's parameters."""
    C, encoder = 3, MLP((4,), 3, (3,), (2 * D,))
    p = PRIORS[name](D, C, 4, encoder, "encoder")
    shared = {f"encoder.{key}": shape for key, shape in encoder.shapes().items()} if p.uses_encoder else {}
    params = Parameters(p.shapes() | shared, dtype=np.float64)
    params.flat[:] = rng.standard_normal(params.flat.size)
    y = rng.integers(0, C, N)
    latent = {"z": rng.standard_normal((N, K, D))} if part == "log_prob" else statistics(rng, N, D)

    def forward(params_flat: Array | None = None, **latent: Array) -> tuple[Array, Cache]:
        return getattr(p, part)(params, *latent.values(), y)

    def backward(d: Array, cache: Cache) -> dict[str, Array]:
        grads = params.with_flat(np.full_like(params.flat, np.nan))
        if part == "kl":
            return dict(zip(latent, p.kl_backward(d, cache, grads))) | {"params_flat": grads.flat}
        return {"z": p.log_prob_backward(d, cache, grads), "params_flat": grads.flat}

    own = {"params_flat": params.flat} if params.flat.size else {}
    return Problem(f"priors.{name}, {part}", latent | own, forward, backward)


def problems(rng: Generator) -> list[Problem]:
    """One problem for each pair of functions, each likelihood and each prior."""
    N, R, S, K, D = 2, 3, 4, 3, 5
    found = [problem(rng, R, D) for problem in (split, kl)]
    found += [problem(rng, R, S, D) for problem in (sample, log_posterior, log_posterior_two_ways, layer)]
    found += [log_density(rng, R, S, D), log_densities(rng, R, 2, D), log_standard_normal(rng, R, S, D)]
    found += [gaussian_likelihood(rng, N, K, D, squash) for squash in (True, False)]
    found += [bernoulli(rng, N, K, D), logistic(rng, N, K, D, 2), categorical(rng, N, K, 3, (0, 1, 1, 0, 2))]
    found += [likelihood(rng, N, K, D, name) for name in LIKELIHOODS]
    found += [log_mixture(rng, N, K, D, 4)] + [prior(rng, N, K, 2, name) for name in PRIORS]
    return found + [prior(rng, N, K, 2, name, "kl") for name in PRIORS if PRIORS[name].has_kl]
