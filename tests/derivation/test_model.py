"""The whole model: gradients over its shapes, log weights by another way, and log p(x) by quadrature."""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special, stats

from tests import oracles
from tinyvae.checks import finite_differences
from tinyvae.checks.random_problems import densities, models
from tinyvae.derivation import bounds
from tinyvae.derivation.likelihoods import LOGVAR_FLOOR
from tinyvae.derivation.mlp import mlp
from tinyvae.derivation.model import Model, name_of
from tinyvae.derivation.parameters import Parameters
from tinyvae.settings import ACTIVATIONS, BOUNDS, ESTIMATORS, LIKELIHOODS, NETWORKS, PRIORS

seeds = st.integers(0, 2**32 - 1)
LABELS_AND_PRIORS = [{"n_labels": n, "prior": "normal"} for n in (0, 3)] + [{"n_labels": 3, "prior": "label"}]
LABELS_AND_PRIORS += [{"n_labels": n, "prior": p, "n_components": 2} for p in ("mixture", "vamp") for n in (0, 3)]


@st.composite
def shapes(draw, networks=tuple(NETWORKS)):
    """A model of one to three stochastic layers, of any of the networks, likelihoods and priors, with labels or not."""
    layers = draw(st.integers(1, 3))
    sizes = st.integers(1, 4)
    data_shape = draw(st.sampled_from([(1,), (4,), (2, 3), (2, 1, 2), (5, 4, 3)]))
    wanted = {name: NETWORKS[name][0].data_dimensions for name in networks}
    networks = [name for name, dimensions in wanted.items() if not dimensions or len(data_shape) in dimensions]
    channels = {name: likelihood.channels for name, likelihood in LIKELIHOODS.items()}
    return {
        "data_shape": data_shape,
        "network": draw(st.sampled_from(networks)),
        "activation": draw(st.sampled_from(list(ACTIVATIONS))),
        "latent": tuple(draw(sizes) for _ in range(layers)),
        "hidden": tuple(tuple(draw(st.lists(sizes, min_size=1, max_size=2))) for _ in range(layers)),
        "likelihood": draw(st.sampled_from([name for name in channels if channels[name] in (None, data_shape[-1])])),
        "units": draw(sizes),
        "directions": draw(st.integers(1, 2)),
        "feedback": draw(st.booleans()),
        **draw(st.sampled_from(LABELS_AND_PRIORS)),
    }


def random_model(seed, N=3, K=4, dtype=np.float64, scale=0.5, **shape):
    """A model with random parameters, biases too, and random x, noise and labels to go with it."""
    rng = np.random.default_rng(seed)
    model = Model(**shape)
    params = Parameters(model.shapes(), dtype=dtype)
    params.flat[:] = scale * rng.standard_normal(params.flat.size)
    x = densities.data(rng, N, model.data_shape, model.likelihood).astype(dtype)
    noise = [rng.standard_normal(s).astype(dtype) for s in model.noise_shapes(N, K)]
    return model, params, x, noise, rng.integers(0, model.n_labels, N) if model.n_labels else None


@pytest.mark.parametrize("labels_and_prior", LABELS_AND_PRIORS, ids=str)
@pytest.mark.parametrize("layers", [1, 2, 3])
@pytest.mark.parametrize("likelihood", LIKELIHOODS)
@pytest.mark.parametrize("network", NETWORKS)
def test_gradients_of_the_whole_product(network, likelihood, layers, labels_and_prior):
    data_shape = (2, 1, 3) if LIKELIHOODS[likelihood].channels else (2, 2)
    sizes = {"data_shape": data_shape, "latent": (3, 2, 1)[:layers], "hidden": ((3,), (2, 3), (2,))[:layers]}
    sizes |= {"network": network, "channels": (2,), "kernel": 2, "stride": 1, "units": 2}
    # The model sees of the bound its derivative by the log weights alone, so both need not go with all of the others:
    # each bound, and each number of samples, goes with every two of them.
    place = LABELS_AND_PRIORS.index(labels_and_prior)
    objective = list(BOUNDS)[(layers + place + list(NETWORKS).index(network)) % len(BOUNDS)]
    K = (1, 2, 5)[(layers + place + list(LIKELIHOODS).index(likelihood)) % 3]
    rng = np.random.default_rng(K)
    problem = models.model(rng, 2, K, objective, likelihood=likelihood, **sizes, **labels_and_prior)
    assert max(finite_differences.check(problem).values()) < finite_differences.TOLERANCE, K


@settings(max_examples=60)
@given(shapes(), st.sampled_from([1, 2, 5]), st.sampled_from(list(BOUNDS)), seeds)
def test_gradients_at_any_shape(shape, K, objective, seed):
    errors = finite_differences.check(models.model(np.random.default_rng(seed), 2, K, objective, **shape))
    assert max(errors.values()) < finite_differences.TOLERANCE, errors


@given(st.sampled_from([1, 2, 5]), st.sampled_from(LABELS_AND_PRIORS[:3]), seeds)
def test_gradients_with_the_closed_form(K, labels_and_prior, seed):
    shape = {"data_shape": (4,), "latent": (3,), "hidden": ((5,),), **labels_and_prior}
    errors = finite_differences.check(models.model(np.random.default_rng(seed), 2, K, closed_form_kl=True, **shape))
    assert max(errors.values()) < finite_differences.TOLERANCE, errors


def test_the_closed_form_is_refused_for_several_layers():
    model, params, x, noise, _ = random_model(0, data_shape=(3,), latent=(2, 2), hidden=((3,), (3,)))
    with pytest.raises(ValueError, match="no closed form for 2 stochastic layers under the prior normal"):
        model.log_weights(params, x, noise, closed_form_kl=True)


def layers(params, name):
    """The layers [(W, b), ...] of an MLP."""
    arrays = iter(params.part(name).values())
    return list(zip(arrays, arrays))


def network_output(model, params, kind, l, row, y):
    """A network on one row, with its label."""
    label = np.eye(model.n_labels)[y] if model.n_labels else []
    weights, activation = layers(params, name_of(kind, l)), ACTIVATIONS[model.activation]
    return mlp(np.concatenate([row, label])[None], weights, activation)[0][0]


def log_likelihood(model, x, outputs):
    """log p(x | z) of one example from the decoder's outputs, by SciPy."""
    if model.likelihood == "bernoulli":
        return (x * np.log(special.expit(outputs)) + (1 - x) * np.log(special.expit(-outputs))).sum()
    if model.likelihood == "logistic-colour":
        return oracles.log_colours(x[None], outputs[None], 5).item()
    if model.likelihood == "categorical":
        return (x * special.log_softmax(outputs.reshape(-1, model.data_shape[-1]), axis=1).ravel()).sum()
    if model.likelihood.startswith("logistic"):
        return oracles.log_levels(x[None], outputs[None], 5 if model.likelihood == "logistic-mixture" else 1).item()
    mean, logvar = np.split(outputs, 2)
    mean = special.expit(mean) if model.likelihood == "gaussian" else mean
    return stats.norm.logpdf(x, mean, np.exp(np.maximum(logvar, LOGVAR_FLOOR) / 2)).sum()


def log_prior(model, params, z, y):
    """log p(z | y) of one z, by SciPy."""
    if model.prior == "normal":
        return stats.norm.logpdf(z).sum()
    if model.prior == "label":
        return stats.norm.logpdf(z, params["prior.mu"][y], np.exp(params["prior.logvar"][y] / 2)).sum()
    if model.prior == "mixture":
        weights = special.softmax(params["prior.logits"])
        mu, logvar = params["prior.mu"], params["prior.logvar"]
    else:
        weights = layers(params, name_of("encoder", len(model.latent) - 1))
        stats_of_inputs = mlp(params["prior.inputs"], weights, ACTIVATIONS[model.activation])[0]
        mu, logvar = np.split(stats_of_inputs, 2, axis=1)
        weights = np.full(len(mu), 1 / len(mu))
    return np.log(sum(w * np.exp(stats.norm.logpdf(z, m, np.exp(s / 2)).sum()) for w, m, s in zip(weights, mu, logvar)))


@settings(max_examples=60)
@given(shapes(("mlp",)), seeds)
def test_log_weights_one_sample_at_a_time_by_scipy(shape, seed):
    model, params, x, noise, y = random_model(seed, N=2, K=3, **shape)
    logw, _ = model.log_weights(params, x, noise, y)
    for n in range(2):
        label = None if y is None else y[n]
        for k in range(3):
            below, z, log_q, log_p = x[n], [], 0, 0
            for l, eps in enumerate(noise):
                mu, logvar = np.split(network_output(model, params, "encoder", l, below, label), 2)
                below = mu + np.sqrt(np.exp(logvar)) * eps[n, k]
                log_q += stats.norm.logpdf(below, mu, np.sqrt(np.exp(logvar))).sum()
                z.append(below)
            log_p += log_prior(model, params, z[-1], label)
            for l in range(1, len(z)):
                mu, logvar = np.split(network_output(model, params, "decoder", l, z[l], label), 2)
                log_p += stats.norm.logpdf(z[l - 1], mu, np.sqrt(np.exp(logvar))).sum()
            log_p += log_likelihood(model, x[n], network_output(model, params, "decoder", 0, z[0], label))
            assert logw[n, k] == pytest.approx(log_p - log_q, rel=1e-9, abs=1e-9)


ONE_LATENT = {"data_shape": (6,), "latent": (1,), "hidden": ((5,),)}


def exact_log_p(model, params, x):
    """log p(x) = log of the integral of p(x | z) p(z) over a one-dimensional z, by quadrature on a fine grid."""
    z = np.linspace(-12, 12, 20_001)[:, None]
    p = model.decode(params, z)
    log_joint = x @ np.log(p).T + (1 - x) @ np.log(1 - p).T + stats.norm.logpdf(z[:, 0])
    return special.logsumexp(log_joint, axis=1) + np.log(z[1, 0] - z[0, 0])


def test_bounds_rise_with_k_to_the_exact_log_likelihood():
    N, K = 4, 20_000
    model, params, x, noise, _ = random_model(1, N=N, K=K, **ONE_LATENT)
    x = np.round(x)
    exact = exact_log_p(model, params, x)
    logw, _ = model.log_weights(params, x, noise)
    estimates = []
    for k in (1, 5, 50, K):
        bound = bounds.iwae(logw.reshape(-1, k))[0].reshape(N, -1)
        estimates.append(bound.mean(axis=1))
        if k < K:
            error = bound.std(axis=1) / np.sqrt(bound.shape[1])
            assert np.all(estimates[-1] < exact + 4 * error)  # four standard errors
    assert np.all(np.diff(estimates, axis=0) > 0)
    w = np.exp(logw - exact[:, None])
    assert np.all(np.abs(w.mean(axis=1) - 1) < 4 * w.std(axis=1) / np.sqrt(K))  # E[w] = p(x)


def test_the_closed_form_has_the_same_mean_and_less_variance():
    model, params, x, noise, _ = random_model(2, N=3, K=50_000, **ONE_LATENT)
    sampled, _ = model.log_weights(params, x, noise)
    closed, _ = model.log_weights(params, x, noise, closed_form_kl=True)
    difference = sampled - closed
    assert np.all(np.abs(difference.mean(axis=1)) < 4 * difference.std(axis=1) / np.sqrt(50_000))
    zero_decoder = params.with_flat(params.flat.copy())
    for name in zero_decoder:
        if name.startswith("decoder"):
            zero_decoder[name][:] = 0
    closed, _ = model.log_weights(zero_decoder, x, noise, closed_form_kl=True)
    assert closed.std(axis=1).max() < 1e-12  # nothing of the divergence is sampled


@given(shapes(), seeds)
def test_examples_and_samples_do_not_mix(shape, seed):
    model, params, x, noise, y = random_model(seed, N=3, K=4, **shape)
    logw, _ = model.log_weights(params, x, noise, y)
    for n in range(3):
        one = slice(n, n + 1)
        alone, _ = model.log_weights(params, x[one], [eps[one, 1:3] for eps in noise], None if y is None else y[one])
        np.testing.assert_allclose(alone, logw[one, 1:3], rtol=1e-9, atol=1e-9)


def test_inputs_are_not_changed():
    model, params, x, noise, y = random_model(3, data_shape=(4,), latent=(3, 2), hidden=((5,), (4,)), n_labels=3)
    kept = [array.copy() for array in (params.flat, x, *noise, y)]
    logw, cache = model.log_weights(params, x, noise, y)
    dlogw = np.ones_like(logw)
    model.backward(params, cache, dlogw)
    for array, before in zip((params.flat, x, *noise, y), kept):
        np.testing.assert_array_equal(array, before)
    np.testing.assert_array_equal(dlogw, 1)


def test_float32_agrees_with_float64():
    shape = {"data_shape": (30,), "latent": (6, 4), "hidden": ((20,), (10,)), "n_labels": 3}
    model, params, x, noise, y = random_model(4, N=5, K=3, scale=0.2, **shape)
    narrow = params.with_flat(params.flat.astype(np.float32))
    logw, cache = model.log_weights(params, x, noise, y)
    logw32, cache32 = model.log_weights(narrow, x.astype(np.float32), [eps.astype(np.float32) for eps in noise], y)
    assert logw32.dtype == np.float32
    np.testing.assert_allclose(logw32, logw, rtol=1e-5)
    gradient = model.backward(params, cache, np.ones_like(logw)).flat
    gradient32 = model.backward(narrow, cache32, np.ones_like(logw32)).flat
    assert gradient32.dtype == np.float32
    np.testing.assert_allclose(gradient32, gradient, atol=1e-5 * np.abs(gradient).max())


def test_labels_and_their_lack():
    conditional, params, x, noise, _ = random_model(5, data_shape=(4,), latent=(2,), hidden=((3,),), n_labels=3)
    first, second = (conditional.log_weights(params, x, noise, np.full(3, y))[0] for y in (0, 2))
    assert np.all(first != second)
    assert conditional.shapes()["encoder.0.W"] == (4 + 3, 3) and conditional.shapes()["decoder.0.W"] == (2 + 3, 3)


@pytest.mark.parametrize("n_labels", [0, 3])
def test_decoding_draws_each_lower_layer_from_the_one_above(n_labels):
    sizes = {"latent": (3, 2, 4), "hidden": ((5,), (4,), (3,)), "n_labels": n_labels}
    model, params, *_ = random_model(6, data_shape=(4,), **sizes)
    rng = np.random.default_rng(0)
    z3, eps1, eps2 = (rng.standard_normal(shape) for shape in ((2, 4), (2, 1, 3), (2, 1, 2)))
    y, labels = (np.array([2, 0]), np.eye(3)[[2, 0]]) if n_labels else (None, np.empty((2, 0)))

    def network(name, z):
        return mlp(np.hstack([z, labels]), layers(params, name))[0]

    def below(name, z, eps):
        mu, logvar = np.split(network(name, z), 2, axis=1)
        return mu + np.exp(logvar / 2) * eps[:, 0]

    z2 = below("decoder3", z3, eps2)
    z1 = below("decoder2", z2, eps1)
    expected = special.expit(network("decoder", z1))
    np.testing.assert_allclose(model.decode(params, z3, [eps1, eps2], y), expected)
    np.testing.assert_allclose(model.decode(params, z2, [eps1], y), expected)
    np.testing.assert_allclose(model.decode(params, z1, y=y), expected)


def test_encoding_gives_the_statistics_of_the_lowest_layer():
    model, params, x, *_ = random_model(7, data_shape=(4,), latent=(3, 2), hidden=((5,), (4,)))
    mu, logvar = model.encode(params, x)
    np.testing.assert_allclose(np.hstack([mu, logvar]), mlp(x, layers(params, "encoder"))[0])


def test_the_names_of_the_parameters():
    names = list(Model((28, 28), (100, 50), ((200, 200), (100,))).shapes())
    networks = dict.fromkeys(name.rsplit(".", 2)[0] for name in names)
    assert list(networks) == ["encoder", "encoder2", "decoder", "decoder2"]
    assert Model((28, 28), (100, 50), ((200, 300), (100,))).shapes()["decoder.0.W"] == (100, 300)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"likelihood": "poisson"}, "likelihood='poisson': known are bernoulli, "),
        ({"prior": "flat"}, "prior='flat': known are normal, "),
        ({"network": "resnet"}, "network='resnet': known are mlp, "),
        ({"activation": "sine"}, "activation='sine': known are tanh, "),
        ({"latent": (2, 2)}, "each layer needs a number of dimensions and a tuple"),
        ({"latent": (), "hidden": ()}, "there is one layer at least"),
        ({"latent": (0,)}, "latent=0: a whole number above zero"),
        ({"channels": (4, 0)}, "channels=0: a whole number above zero"),
        ({"kernel": 0}, "kernel=0: a whole number above zero"),
        ({"stride": 1.5}, "stride=1.5: a whole number above zero"),
        ({"prior": "vamp"}, "n_components=0: a whole number above zero"),
        ({"prior": "label"}, "n_labels=0: a whole number above zero"),
        ({"n_labels": -1}, "n_labels=-1: a whole number that is not below zero"),
    ],
    ids=str,
)
def test_a_model_that_cannot_be_is_refused(wrong, said):
    with pytest.raises(ValueError, match=re.escape(said)):
        Model(**{"data_shape": (3,), "latent": (2,), "hidden": ((4,),)} | wrong)


# -- caches ------------------------------------------------------------------------------------------------------------

ONE_AND_TWO = [{"latent": (3,), "hidden": ((4,),)}, {"latent": (3, 2), "hidden": ((4,), (3,))}]


@pytest.mark.parametrize("layers", ONE_AND_TWO, ids=["one layer", "two layers"])
@pytest.mark.parametrize("labels_and_prior", LABELS_AND_PRIORS, ids=str)
@pytest.mark.parametrize("likelihood", LIKELIHOODS)
def test_a_forward_pass_serves_several_estimators(likelihood, labels_and_prior, layers):
    """Bit for bit as after a pass of their own; the second one was once off by several per cent."""
    shape = {"data_shape": (2, 3), "likelihood": likelihood, **layers, **labels_and_prior}
    model, params, x, noise, y = random_model(8, **shape)
    logw, cache = model.log_weights(params, x, noise, y)
    _, dlogw = BOUNDS["iwae"](logw)
    for name in ("standard", "dreg", "standard", "stl"):
        weights = ESTIMATORS[name].weights(dlogw)
        _, fresh = model.log_weights(params, x, noise, y)
        alone = model.backward(params, fresh, dlogw, *weights, consume=True)
        np.testing.assert_array_equal(model.backward(params, cache, dlogw, *weights).flat, alone.flat)


@pytest.mark.parametrize("labels_and_prior", LABELS_AND_PRIORS[:3], ids=str)
def test_so_does_one_with_the_closed_form(labels_and_prior):
    model, params, x, noise, y = random_model(16, data_shape=(5,), **ONE_AND_TWO[0], **labels_and_prior)
    logw, cache = model.log_weights(params, x, noise, y, closed_form_kl=True)
    first, second, last = (
        model.backward(params, cache, np.ones_like(logw), consume=consume).flat for consume in (False, False, True)
    )
    np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(first, last)


def test_a_cache_that_was_used_up_is_refused():
    model, params, x, noise, _ = random_model(9, data_shape=(4,), latent=(2,), hidden=((3,),))
    logw, cache = model.log_weights(params, x, noise)
    model.backward(params, cache, np.ones_like(logw))
    model.backward(params, cache, np.ones_like(logw), consume=True)
    for consume in (False, True):
        with pytest.raises(ValueError, match="was used up by an earlier backward pass"):
            model.backward(params, cache, np.ones_like(logw), consume=consume)


@pytest.mark.parametrize("labels_and_prior", LABELS_AND_PRIORS, ids=str)
@pytest.mark.parametrize("likelihood", LIKELIHOODS)
@pytest.mark.parametrize("network", NETWORKS)
def test_what_is_only_evaluated_is_the_same_and_has_no_backward_pass(network, likelihood, labels_and_prior):
    data_shape = (2, 2, 3) if LIKELIHOODS[likelihood].channels else (2, 3)
    sizes = {"network": network, "channels": (2,), "kernel": 2, "stride": 1, "units": 2, "likelihood": likelihood}
    for layers in ONE_AND_TWO:
        shape = {"data_shape": data_shape, "feedback": network == "gru", **sizes, **layers, **labels_and_prior}
        model, params, x, noise, y = random_model(11, **shape)
        logw, _ = model.log_weights(params, x, noise, y)
        alone, cache = model.log_weights(params, x, noise, y, keep=False)
        np.testing.assert_allclose(alone, logw, rtol=1e-12)
        with pytest.raises(ValueError, match="or not kept, with keep=False"):
            model.backward(params, cache, np.ones_like(logw))


def test_weights_of_a_path_are_weights():
    """Half of the weights on both ways is half of the encoder's gradient; the decoder's has its own."""
    model, params, x, noise, _ = random_model(10, data_shape=(4,), latent=(3, 2), hidden=((3,), (4,)))
    logw, cache = model.log_weights(params, x, noise)
    v = BOUNDS["iwae"](logw)[1]
    whole, half = (model.backward(params, cache, v, weight * v, weight * v) for weight in (1, 0.5))
    for name in whole:
        factor = 0.5 if name.startswith("encoder") else 1
        np.testing.assert_allclose(half[name], factor * whole[name], rtol=1e-12, atol=1e-15)
    none = model.backward(params, cache, np.zeros_like(v), np.zeros_like(v), np.zeros_like(v))
    np.testing.assert_array_equal(none.flat, 0)


# -- what does not fit -------------------------------------------------------------------------------------------------

CONDITIONAL = {"data_shape": (2, 3), "latent": (3, 2), "hidden": ((4,), (3,)), "n_labels": 3, "prior": "label"}
WRONG = {
    "x of another width": lambda x, noise, y: (x[:, :5], noise, y),
    "x of other examples": lambda x, noise, y: (x[:2], noise, y),
    "no noise": lambda x, noise, y: (x, [], y),
    "noise of one layer": lambda x, noise, y: (x, noise[:1], y),
    "noise of no sample": lambda x, noise, y: (x, [eps[:, :0] for eps in noise], y),
    "no example": lambda x, noise, y: (x[:0], [eps[:0] for eps in noise], y[:0]),
    "noise of a single sample, without K": lambda x, noise, y: (x, [eps[:, 0] for eps in noise], y),
    "noise of another width": lambda x, noise, y: (x, [noise[0], noise[0]], y),
    "noise of other samples": lambda x, noise, y: (x, [noise[0], noise[1][:, :2]], y),
    "half of the labels": lambda x, noise, y: (x, noise, y[:2]),
    "no labels": lambda x, noise, y: (x, noise, None),
    "labels beside": lambda x, noise, y: (x, noise, np.full(4, 3)),
    "negative labels": lambda x, noise, y: (x, noise, np.full(4, -1)),
    "labels that are no numbers of classes": lambda x, noise, y: (x, noise, y.astype(float)),
    "labels in a column": lambda x, noise, y: (x, noise, y[:, None]),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_does_not_fit_is_refused(what):
    model, params, x, noise, y = random_model(11, N=4, **CONDITIONAL)
    model.log_weights(params, x, noise, y)
    with pytest.raises(ValueError, match=r"are needed, not|needs y"):
        model.log_weights(params, *WRONG[what](x, noise, y))


def test_values_of_z_that_do_not_fit_are_refused():
    model, params, x, noise, y = random_model(12, N=4, **CONDITIONAL)
    z, _, _ = model.posterior(params, x, noise, y)
    calls = [
        lambda: model.joint(params, x, [], y),
        lambda: model.joint(params, x, z[:1], y),
        lambda: model.joint(params, x, [z[0], z[1][:-1]], y),
        lambda: model.joint(params, x[:, :5], z, y),
        lambda: model.joint(params, x[:0], z, y[:0]),
        lambda: model.decode(params, z[1], y=np.tile(y, 4)),
        lambda: model.decode(params, z[0], y=y),
        lambda: model.decode(params, z[0]),
        lambda: model.decode(params, z[1], [np.zeros((16, 2, 3))], np.tile(y, 4)),
        lambda: model.decode(params, z[1], [np.zeros((4, 1, 3))], np.tile(y, 4)),
        lambda: model.decode(params, z[1], [np.zeros((16, 1, 3))] * 2, np.tile(y, 4)),
        lambda: model.conditional(params, z[0], 0, np.tile(y, 4)),
        lambda: model.encode(params, x[:, :5], y),
        lambda: model.encode(params, x, y[:2]),
        lambda: model.top_divergence(params, z[1], z[1], y),
    ]
    for call in calls:
        with pytest.raises(ValueError, match=r"needed|needs y"):
            call()


@pytest.mark.parametrize("prior", PRIORS)
def test_weights_that_do_not_fit_are_refused(prior):
    """As many numbers in another shape would go to other samples, a column would go to all of them."""
    model, params, x, noise, y = random_model(15, N=3, K=4, **CONDITIONAL | {"prior": prior, "n_components": 2})
    logw, cache = model.log_weights(params, x, noise, y)
    dlogw = BOUNDS["iwae"](logw)[1]
    for wrong in (dlogw.T.copy(), dlogw[:, :1], dlogw[0], dlogw.ravel()):
        for weights in ((wrong,), (dlogw, wrong), (dlogw, dlogw, wrong)):
            with pytest.raises(ValueError, match="are needed, not"):
                model.backward(params, cache, *weights)
    model.backward(params, cache, dlogw, consume=True)


@pytest.mark.parametrize("feedback", [False, True])
def test_data_to_feed_back_are_those_of_every_example(feedback):
    """Two rows for four examples once went to other rows than their own."""
    shape = {"data_shape": (3, 2), "latent": (2,), "hidden": ((),), "network": "gru", "feedback": feedback}
    model, params, x, noise, _ = random_model(17, N=4, **shape)
    for told in (x[:2], x[:, :4], x[0]):
        with pytest.raises(ValueError, match=r"given \(4, 6\) are needed, not"):
            model.log_weights(params, x, noise, given=told)


def test_what_a_backward_pass_would_leave_out_is_refused():
    model, params, x, noise, _ = random_model(18, data_shape=(4,), latent=(2,), hidden=((3,),))
    (_, sampled), (_, closed) = (model.log_weights(params, x, noise, closed_form_kl=kind) for kind in (False, True))
    v = np.full(noise[0].shape[:2], 0.5)
    with pytest.raises(ValueError, match="it was sampled here"):
        model.backward(params, sampled, v, kl_weights=np.ones(2))
    with pytest.raises(ValueError, match="the divergence in closed form has no path"):
        model.backward(params, closed, v, *ESTIMATORS["dreg"].weights(v))
    model.backward(params, closed, v, *ESTIMATORS["stl"].weights(v))
    for weights in ((v, v), (0 * v, v)):
        with pytest.raises(ValueError, match="must be 0 where dlogw is"):
            model.backward(params, sampled, 0 * v, *weights)


def test_labels_for_a_model_without_any_are_refused():
    model, params, x, noise, _ = random_model(13, data_shape=(4,), latent=(2,), hidden=((3,),))
    with pytest.raises(ValueError, match="labels y are given, and the model has none"):
        model.log_weights(params, x, noise, np.zeros(3, int))


def test_the_statistics_of_all_layers():
    model, params, x, noise, y = random_model(14, **CONDITIONAL)
    z, log_q, _ = model.posterior(params, x, noise, y)
    statistics = model.statistics(params, [x, *z[:-1]], y)
    total = 0
    for z_l, (mu, logvar) in zip(z, statistics, strict=True):
        density = stats.norm.logpdf(z_l.reshape(len(mu), -1, mu.shape[1]), mu[:, None], np.exp(logvar / 2)[:, None])
        total = total + density.sum(axis=2).reshape(log_q.shape)
    np.testing.assert_allclose(total, log_q)


@pytest.mark.parametrize("latent", [(2,), (2, 3)], ids=["one layer", "two layers"])
def test_pseudo_inputs_start_at_the_mean_of_the_data_where_they_stand_for_data(latent):
    """With two layers they stand for a z below, and labels have no mean."""
    shape = {"data_shape": (4,), "latent": latent, "hidden": ((3,),) * len(latent), "n_labels": 3}
    model, params, *_ = random_model(16, **shape, prior="vamp", n_components=5)
    mean = np.array([0.1, 0.9, 0.4, 0.6])
    model.initialise_prior(params, np.zeros, mean)
    start = [*mean, 0, 0, 0] if len(latent) == 1 else np.zeros(2 + 3)
    np.testing.assert_array_equal(params["prior.inputs"], np.tile(start, (5, 1)))
