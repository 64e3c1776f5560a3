"""Gradient estimators: the same expectation, less variance where it is promised."""

import numpy as np
import pytest

from tests.derivation.test_model import random_model
from tinyvae.checks import finite_differences
from tinyvae.derivation import bounds, gaussian
from tinyvae.settings import BOUNDS, ESTIMATORS

SHAPES = {
    1: {"data_shape": (4,), "latent": (2,), "hidden": ((3,),)},
    2: {"data_shape": (4,), "latent": (2, 2), "hidden": ((3,), (3,))},
    3: {"data_shape": (3,), "latent": (2, 2, 1), "hidden": ((3,), (3,), (2,)), "n_labels": 2},
    "vamp": {"data_shape": (3,), "latent": (2, 2), "hidden": ((3,), (2,)), "prior": "vamp", "n_components": 2},
}
DRAWS = 4000
WEIGHTS = {name: estimator.weights for name, estimator in ESTIMATORS.items()} | {"any": lambda v: (v**2, 0.3 * v)}
UNBIASED = [(bound, name) for name, other in ESTIMATORS.items() for bound in other.objectives or ()]


def estimates(shape, objective, estimator, K, draws=DRAWS, seed=0):
    """The gradient (draws, P) of one example's bound under fresh noise for each draw."""
    model, params, x, _, y = random_model(1, N=1, K=1, scale=0.7, **shape)
    rng = np.random.default_rng(seed)
    gradients = np.empty((draws, params.flat.size))
    for i in range(draws):
        noise = [rng.standard_normal(s) for s in model.noise_shapes(1, K)]
        logw, cache = model.log_weights(params, x, noise, y)
        _, dlogw = BOUNDS[objective](logw)
        gradients[i] = model.backward(params, cache, dlogw, *ESTIMATORS[estimator].weights(dlogw)).flat
    return gradients


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("weights", WEIGHTS)
def test_it_is_the_derivative_along_the_path_and_directly(shape, weights):
    """By each way as it is defined (bounds.py): along the path only z moves, directly only the densities do.

    With two layers z_1 acts in log q(z_2 | z_1) along the path, so with the weight of the path alone, while the upper
    encoder's parameters act there in both ways (docs/derivations.md, section 6.5).
    """
    model, params, x, noise, y = random_model(1, N=2, K=3, scale=0.7, **SHAPES[shape])
    logw, cache = model.log_weights(params, x, noise, y)
    v = bounds.iwae(logw)[1]
    path, direct = WEIGHTS[weights](v)
    held, held_z = params.with_flat(params.flat.copy()), model.posterior(params, x, noise, y)[0]

    def log_q(params, z):
        pairs = zip(z, model.statistics(params, [x, *z[:-1]], y))
        densities = [gaussian.log_density(z_l.reshape(len(mu), -1, mu.shape[1]), mu, s)[0] for z_l, (mu, s) in pairs]
        return sum(density.reshape(v.shape) for density in densities)

    def ways():
        z = model.posterior(params, x, noise, y)[0]
        log_likelihood, log_prior, _ = model.joint(held, x, z, y)
        along_the_path = path * (log_likelihood + log_prior - log_q(held, z))
        by_the_prior = v * model.joint(params, x, held_z, y)[1]  # moves with the encoder's parameters under a VampPrior
        return (along_the_path - direct * log_q(params, held_z) + by_the_prior).sum()

    grads = model.backward(params, cache, v, path, direct)
    for name in [name for name in params if name.startswith("encoder")]:
        numerical = finite_differences.numerical_gradient(ways, params[name])
        assert finite_differences.relative_error(grads[name], numerical) < finite_differences.TOLERANCE, name


@pytest.mark.slow
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("objective", "estimator"), UNBIASED)
def test_the_expectation_is_that_of_the_standard_estimator(shape, objective, estimator):
    """With common noise, every entry of the mean difference within five standard errors."""
    standard, other = (estimates(SHAPES[shape], objective, name, K=3) for name in ("standard", estimator))
    difference = other - standard
    error = difference.std(axis=0) / np.sqrt(DRAWS)
    moving = error > 1e-12  # the decoders' gradients are the same to the letter
    z = difference.mean(axis=0)[moving] / error[moving]
    assert moving.any() and np.abs(z).max() < 5
    np.testing.assert_allclose(difference[:, ~moving], 0, atol=1e-10)


def test_stl_would_be_biased_under_the_iwae():
    """Why the command refuses it: the test above sees the bias of this combination."""
    standard, other = (estimates(SHAPES[1], "iwae", name, K=3) for name in ("standard", "stl"))
    difference = other - standard
    error = difference.std(axis=0) / np.sqrt(DRAWS)
    moving = error > 1e-12
    assert np.abs(difference.mean(axis=0)[moving] / error[moving]).max() > 10


@pytest.mark.slow
def test_dreg_s_signal_to_noise_grows_with_k_where_the_standard_one_s_falls():
    """Rainforth et al. (2018): like 1 / sqrt(K) for the encoder by the standard estimator; Tucker et al.: sqrt(K)."""
    ratios = {}
    for name in ("standard", "dreg"):
        for K in (1, 100):
            gradients = estimates(SHAPES[1], "iwae", name, K, draws=3000)
            encoder = slice(0, 3 * 4 + 3 + 3 * 4 + 4)
            mean, deviation = gradients[:, encoder].mean(axis=0), gradients[:, encoder].std(axis=0)
            ratios[name, K] = np.median(np.abs(mean) / deviation), np.median(deviation)
    assert ratios["dreg", 100][0] > 1.4 * ratios["dreg", 1][0]
    assert ratios["dreg", 100][0] > 4 * ratios["standard", 100][0]
    assert ratios["standard", 100][0] < ratios["standard", 1][0]
    assert ratios["dreg", 100][1] < ratios["dreg", 1][1]  # nor does its variance grow


def test_stl_has_no_variance_at_the_true_posterior():
    """Where q is the posterior, log w is constant and so the whole path derivative vanishes (Roeder et al. 2017)."""
    shape = {"data_shape": (3,), "latent": (2,), "hidden": ((),), "likelihood": "gaussian-linear"}
    model, params, x, *_ = random_model(2, N=1, K=1, **shape)
    params.flat[:] = 0  # x does not depend on z, and q = p = N(0, 1) is the posterior
    rng = np.random.default_rng(0)
    logw, cache = model.log_weights(params, x, [rng.standard_normal((1, 5, 2))])
    dlogw = bounds.elbo(logw)[1]
    standard, stl = (
        model.backward(params, cache, dlogw, *ESTIMATORS[name].weights(dlogw)) for name in ("standard", "stl")
    )
    np.testing.assert_allclose(stl["encoder.0.W"], 0, atol=1e-15)
    assert np.abs(standard["encoder.0.W"]).max() > 0.01


def test_what_is_unbiased_where():
    assert UNBIASED == [("elbo", "stl"), ("iwae", "dreg")] and ESTIMATORS["standard"].objectives is None


def test_the_weights_of_the_two_ways():
    v = np.array([[0.1, 0.9], [0.5, 0.5]])
    np.testing.assert_array_equal(ESTIMATORS["standard"].weights(v), [v, v])
    np.testing.assert_array_equal(ESTIMATORS["stl"].weights(v), [v, 0 * v])
    np.testing.assert_array_equal(ESTIMATORS["dreg"].weights(v), [v**2, 0 * v])
