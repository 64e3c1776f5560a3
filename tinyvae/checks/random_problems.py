"""Small random problems for the gradient checker: one for each pair of functions of the derivation, and whole models.

Each function takes a ``numpy.random.Generator`` and the shapes, so that property tests can choose them.
"""

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.random import Generator

from tinyvae.checks.finite_differences import Problem, check
from tinyvae.derivation import bounds, conv, gaussian, likelihoods, priors
from tinyvae.derivation import categorical as symbols
from tinyvae.derivation import gru as recurrent
from tinyvae.derivation import mlp as perceptron
from tinyvae.derivation.conv import Geometry
from tinyvae.derivation.model import Model
from tinyvae.derivation.networks import MLP
from tinyvae.derivation.parameters import Parameters
from tinyvae.settings import ACTIVATIONS, BOUNDS, LIKELIHOODS, NETWORKS, PRIORS
from tinyvae.types import Array, Cache


def mlp(rng: Generator, N: int, sizes: Sequence[int], activation: str = "tanh") -> Problem:
    """A network of the given sizes on N rows; biases and weights of order one."""
    inputs = {"x": rng.standard_normal((N, sizes[0]))}
    inputs |= {name: 0.7 * rng.standard_normal(shape) for name, shape in perceptron.mlp_shapes(sizes).items()}

    def forward(x: Array, **layers: Array) -> tuple[Array, Cache]:
        return perceptron.mlp(x, list(zip(*[iter(layers.values())] * 2)), ACTIVATIONS[activation])

    def backward(dout: Array, cache: Cache) -> dict[str, Array]:
        dx, dlayers = perceptron.mlp_backward(dout, cache)
        return dict(zip(inputs, [dx, *(array for layer in dlayers for array in layer)]))

    words = f"mlp {'-'.join(map(str, sizes))}, {activation}"
    return Problem(words, inputs, forward, backward, has_kinks=activation == "relu")


def convolution(
    rng: Generator, N: int, geometry: Geometry, filters: int, is_transposed: bool = False, activation: str = "tanh"
) -> Problem:
    """A convolution or its transpose, linear, by its input, its filters and a bias for each image.

    The input is the value of an activation, and the derivative is by what stands in front of that.
    """
    forward_pass = conv.transposed_convolution if is_transposed else conv.convolution
    narrow, wide = (filters, *geometry.places), (geometry.channels, geometry.height, geometry.width)
    shapes = (narrow, wide[:1]) if is_transposed else (wide, narrow[:1])
    inputs = {
        "a": rng.standard_normal((N, int(np.prod(shapes[0])))),
        "W": rng.standard_normal((geometry.patch, filters)),
        "b": rng.standard_normal((N, *shapes[1])),
    }
    kind = ACTIVATIONS[activation]

    def forward(a: Array, W: Array, b: Array) -> tuple[Array, Cache]:
        x = np.tanh(a) if activation == "tanh" else np.maximum(a, 0)
        return forward_pass(x, W, b, geometry)

    def backward(da: Array, cache: Cache) -> dict[str, Array]:
        back = conv.transposed_convolution_backward if is_transposed else conv.convolution_backward
        dW = np.full_like(inputs["W"], np.nan)
        dx, db = back(da, cache, dW, before=kind)
        return {"a": dx, "W": dW, "b": db}

    words = f"conv.{'transposed_' * is_transposed}convolution, {geometry.height}x{geometry.width}, {activation}"
    return Problem(words, inputs, forward, backward, has_kinks=activation == "relu")


DATA_SHAPE = (5, 3)  # of the problems about networks
LAYOUT = (3, 2), 3, 2, 3  # channels, kernel and stride of convolutional ones, units of recurrent ones


def network(
    rng: Generator,
    R: int,
    C: int,
    name: str,
    end: int,
    activation: str = "tanh",
    hidden: tuple[int, ...] = (6, 5),
    data_shape: tuple[int, ...] = DATA_SHAPE,
    directions: int = 2,
    feedback: bool = False,
) -> Problem:
    """A network next to the data, by its input, its labels and its weights: the encoder (end 0) or the decoder (1).

    Its gradients are added to what stands there, as for a weight that is used twice. With ``feedback`` an example in
    the data belongs to each two rows, if there is an even number of them.
    """
    shapes = (data_shape, (4,)) if end == 0 else ((4,), (2, *data_shape))
    layout = *LAYOUT, directions, feedback
    net = NETWORKS[name][end](shapes[0], C, hidden, shapes[1], ACTIVATIONS[activation], *layout)
    given = [rng.standard_normal((R // (2 - R % 2), int(np.prod(data_shape))))] if net.reads_data else []
    inputs = {"x": rng.standard_normal((R, int(np.prod(shapes[0]))))}
    inputs |= {"labels": rng.standard_normal((R, C))} if C else {}
    weights = {name: 0.7 * rng.standard_normal(shape) for name, shape in net.shapes().items()}

    def forward(x: Array, labels: Array | None = None, **weights: Array) -> tuple[Array, Cache]:
        out, cache = net.forward(weights, x, np.empty((R, 0)) if labels is None else labels, *given)
        return out.copy(), cache

    def backward(dout: Array, cache: Cache) -> dict[str, Array]:
        before = {name: rng.standard_normal(array.shape) for name, array in weights.items()}
        grads = {name: array.copy() for name, array in before.items()}
        dx, dlabels = net.backward(dout, cache, grads, add=True)
        added = {name: grads[name] - before[name] for name in weights}
        return {"x": dx} | ({"labels": dlabels} if C else {}) | added

    words = f"networks.{name} {'encoder' if end == 0 else 'decoder'}, {activation}" + f", {C} labels" * bool(C)
    words += ", feedback" * net.reads_data
    return Problem(words, inputs | weights, forward, backward, has_kinks=activation == "relu")


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


def gru(
    rng: Generator, T: int, N: int, K: int, I: int, J: int, H: int, is_reversed: bool = False, only_last: bool = False
) -> Problem:
    """A GRU of N K rows over T steps, by both inputs and all weights; I or J may be 0."""
    inputs = {"a": rng.standard_normal((T * N, I))} if I else {}
    inputs |= {"s": rng.standard_normal((N * K, J))} if J else {}
    inputs |= {key: 0.7 * rng.standard_normal(shape) for key, shape in recurrent.gru_shapes(I, J, H).items()}

    def forward(**inputs: Array) -> tuple[Array, Cache]:
        weights = {key: array for key, array in inputs.items() if "." in key}
        a, s = inputs.get("a", np.empty((0, 0))), inputs.get("s", np.empty((N * K, 0)))
        h, cache = recurrent.gru(a, s, weights, T, is_reversed)
        last = slice(N * K) if is_reversed else slice(-N * K, None)
        return h[last if only_last else slice(None)], cache

    def backward(dh: Array, cache: Cache) -> dict[str, Array]:
        grads = {key: np.full_like(array, np.nan) for key, array in inputs.items() if "." in key}
        da, ds = recurrent.gru_backward(dh, cache, grads)
        return grads | ({"a": da} if I else {}) | ({"s": ds} if J else {})

    words = f"gru.gru, {T} steps" + ", backwards" * is_reversed + ", its last state" * only_last
    return Problem(words, inputs, forward, backward)


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
    x = data(rng, N, vae.data_shape, vae.likelihood)
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


def all_problems(seed: int = 0) -> list[Problem]:
    """One problem for each pair and each entry of a registry, and models of one to three layers with all of these."""
    rng = np.random.default_rng(seed)
    N, R, S, K, D = 2, 3, 4, 3, 5
    problems = [mlp(rng, 3, (4, 6, 5, 2), activation) for activation in ACTIVATIONS]
    for activation, is_transposed in itertools.product(ACTIVATIONS, (False, True)):
        problems.append(convolution(rng, 3, Geometry(5, 4, 2, 3, 2), 3, is_transposed, activation))
    problems += [split(rng, R, D), sample(rng, R, S, D), log_posterior(rng, R, S, D)]
    problems += [log_posterior_two_ways(rng, R, S, D), layer(rng, R, S, D), log_density(rng, R, S, D)]
    problems.append(log_densities(rng, R, 2, D))
    problems += [log_standard_normal(rng, R, S, D), kl(rng, R, D), bernoulli(rng, N, K, D)]
    problems += [gaussian_likelihood(rng, N, K, D, squash) for squash in (True, False)]
    problems += [log_mixture(rng, N, K, D, 4), categorical(rng, N, K, 3, (0, 1, 1, 0, 2))]
    for T, I, J, is_reversed in ((1, 2, 0, False), (2, 0, 3, False), (7, 2, 3, True)):
        problems += [gru(rng, T, N, k, I, J, 3, is_reversed, only_last) for k, only_last in ((K, False), (1, True))]
    for name, activation, end, C in itertools.product(NETWORKS, ACTIVATIONS, (0, 1), (0, 2)):
        problems.append(network(rng, 3, C, name, end, activation))
    problems += [network(rng, 4, C, "gru", 1, feedback=True) for C in (0, 2)]
    problems += [likelihood(rng, N, K, D, name) for name in LIKELIHOODS]
    problems += [prior(rng, N, K, 2, name) for name in PRIORS]
    problems += [prior(rng, N, K, 2, name, "kl") for name in PRIORS if PRIORS[name].has_kl]
    problems += [bound(rng, 3, 4, name) for name in BOUNDS]
    one: dict[str, Any] = {"data_shape": (5,), "latent": (3,), "hidden": ((4,),)}
    two: dict[str, Any] = one | {"latent": (4, 3), "hidden": ((4,), (3, 2)), "n_labels": 3, "n_components": 2}
    problems.append(model(rng, N, K, closed_form_kl=True, **one))
    problems.append(model(rng, N, K, closed_form_kl=True, n_labels=3, prior="label", **one))
    for objective in BOUNDS:
        problems += [model(rng, N, k, objective, **one) for k in (1, K)]
        for name, kind in LIKELIHOODS.items():
            data_shape = (2, 1, kind.channels) if kind.channels else one["data_shape"]
            problems.append(model(rng, N, K, objective, likelihood=name, **one | {"data_shape": data_shape}))
        problems += [model(rng, N, K, objective, prior=name, **two) for name in PRIORS]
        problems.append(model(rng, N, K, objective, data_shape=(5,), latent=(4, 3, 2), hidden=((4,), (3,), (2,))))
    for name, activation in itertools.product(NETWORKS, ACTIVATIONS):
        kinds: dict[str, Any] = {"network": name, "activation": activation, "prior": "vamp"}
        problems.append(model(rng, N, K, "iwae", **kinds, **two | {"data_shape": DATA_SHAPE}))
    sequence: dict[str, Any] = one | {"data_shape": DATA_SHAPE, "network": "gru", "likelihood": "categorical"}
    for objective in BOUNDS:
        problems.append(model(rng, N, K, objective, feedback=True, groups=(0, 1, 0), **sequence))
    problems.append(weight_prior(rng, 7, N, 0.5))
    problems += [aided_elbo(rng, N, K, beta, free_bits, **one) for beta, free_bits in ((4, 0), (0.3, 0.1))]
    return problems


def check_all(seed: int = 0, about: str = "") -> list[tuple[Problem, float]]:
    """Check every pair of the derivation and some whole models on small random problems.

    Args:
        seed: of the problems.
        about: only those with this word in their names.

    Returns: a list of (Problem, its largest relative error).
    """
    return [(p, max(check(p, seed).values())) for p in all_problems(seed) if about in p.name]
