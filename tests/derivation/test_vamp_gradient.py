"""The third way of the encoder's parameters under a VampPrior (docs/derivations.md, section 5.4)."""

import numpy as np
import pytest

from tests.derivation.test_model import random_model
from tinyvae.settings import ESTIMATORS

SHAPES = {
    1: {"data_shape": (3,), "latent": (2,), "hidden": ((3,),)},
    2: {"data_shape": (3,), "latent": (2, 2), "hidden": ((3,), (2,))},
}


def prepared(prior, L):
    model, params, x, noise, y = random_model(0, N=2, K=3, prior=prior, n_components=2, **SHAPES[L])
    logw, cache = model.log_weights(params, x, noise, y)
    return model, params, x, noise, cache, np.random.default_rng(1).random(logw.shape)


def encoder_part(grads, l):
    name = "encoder" if l == 1 else f"encoder{l}"
    return np.concatenate([array.ravel() for array in grads.part(name).values()])


@pytest.mark.parametrize("L", SHAPES)
def test_without_path_and_direct_way_the_prior_s_is_left(L):
    """It is the derivative of sum v log p(z) with z held fixed, by finite differences; other priors leave nothing."""
    model, params, x, noise, cache, v = prepared("vamp", L)
    left = model.backward(params, cache, v, np.zeros_like(v), np.zeros_like(v))
    z, *_ = model.posterior(params, x, noise)
    name, step = "encoder" if L == 1 else f"encoder{L}", 1e-6
    for key, array in params.part(name).items():
        for index in np.ndindex(array.shape):
            kept, sides = array[index], []
            for sign in (1, -1):
                array[index] = kept + sign * step
                sides.append((v * model.joint(params, x, z)[1]).sum())
            array[index] = kept
            difference = (sides[0] - sides[1]) / (2 * step)
            assert left.part(name)[key][index] == pytest.approx(difference, abs=1e-7)
    assert np.abs(encoder_part(left, L)).max() > 1e-3
    if L == 2:
        np.testing.assert_array_equal(encoder_part(left, 1), 0)
    model, params, _, _, cache, v = prepared("normal", L)
    np.testing.assert_array_equal(encoder_part(model.backward(params, cache, v, 0 * v, 0 * v), L), 0)


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_the_prior_s_way_has_the_weight_v_in_every_estimator(estimator):
    """What an estimator gives is linear in its two weights, and beside them stands the prior's share unchanged."""
    model, params, _, _, cache, v = prepared("vamp", 1)
    path, direct = ESTIMATORS[estimator].weights(v)

    def gradient(*weights):
        return encoder_part(model.backward(params, cache, v, *weights), 1)

    zero = np.zeros_like(v)
    prior = gradient(zero, zero)
    along_the_path, directly = gradient(path, zero) - prior, gradient(zero, direct) - prior
    np.testing.assert_allclose(gradient(path, direct), prior + along_the_path + directly, atol=1e-12)
    assert np.abs(prior).max() > 1e-3
