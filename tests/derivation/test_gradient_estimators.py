"""Gradient estimators: the same expectation, less variance where it is promised."""

import numpy as np
import pytest

from tests.derivation.test_model import random_model
from tinyvae.derivation import bounds
from tinyvae.settings import BOUNDS, ESTIMATORS

SHAPES = {
    1: {"data_shape": (4,), "latent": (2,), "hidden": ((3,),)},
    2: {"data_shape": (4,), "latent": (2, 2), "hidden": ((3,), (3,))},
    3: {"data_shape": (3,), "latent": (2, 2, 1), "hidden": ((3,), (3,), (2,)), "n_labels": 2},
    "vamp": {"data_shape": (3,), "latent": (2, 2), "hidden": ((3,), (2,)), "prior": "vamp", "n_components": 2},
}
DRAWS = 4000
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
