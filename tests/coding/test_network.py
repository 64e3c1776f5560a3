"""Networks in a fixed order: they agree with the model's own passes, and no bit depends on anything else."""

import numpy as np
import pytest
from hypothesis import given

from tests.coding.models import build, dtypes, likelihoods, networks, seeds
from tinyvae.coding.bitsback import BitsBack
from tinyvae.coding.network import PLANNERS, evaluate, plan_for, scratch_for
from tinyvae.derivation.networks import MLP
from tinyvae.errors import UserError
from tinyvae.settings import NETWORKS

TOLERANCE = {np.float32: 1e-5, np.float64: 1e-13}


def by_plan(network, weights, x):
    plan = plan_for(network, weights)
    scratch, out = scratch_for(plan), []
    for row in x:
        scratch.rows[0, : plan.inputs] = row
        out.append(evaluate(plan, scratch).copy())
    return np.array(out)


def by_model(network, weights, x):
    return network.forward(weights, x, np.empty((len(x), 0), x.dtype))[0]


@given(networks, likelihoods, dtypes, seeds)
def test_it_agrees_with_the_model_s_own_forward_pass(network, likelihood, dtype, seed):
    model, params = build(network, likelihood, dtype, seed, stretch=2.0)
    random = np.random.default_rng(seed)
    x = (random.random((5, model.data_dim)) * (random.random((5, model.data_dim)) < 0.5)).astype(dtype)
    z = random.standard_normal((5, *model.latent)).astype(dtype)
    for net, part, rows in ((model.encoders[0], "encoder", x), (model.decoders[0], "decoder", z)):
        mine, theirs = (way(net, params.part(part), rows) for way in (by_plan, by_model))
        assert mine.shape == theirs.shape and mine.dtype == dtype
        assert np.abs(mine - theirs).max() <= TOLERANCE[dtype] * max(1, np.abs(theirs).max())


@pytest.mark.parametrize("network", [{"hidden": ((200, 200),), "latent": (50,)}, {"network": "conv", "latent": (32,)}])
def test_it_agrees_on_images_of_the_usual_size(network):
    model, params = build({"data_shape": (28, 28), "hidden": ((200,),), **network}, seed=1, stretch=1.5)
    x = (np.random.default_rng(0).random((20, 784)) < 0.2).astype(np.float32)
    mine, theirs = (way(model.encoders[0], params.part("encoder"), x) for way in (by_plan, by_model))
    assert np.abs(mine - theirs).max() <= 1e-5 * np.abs(theirs).max()


def test_sums_are_taken_from_the_left_to_the_right():
    """Against a loop over single numbers, bit for bit."""
    model, params = build({"data_shape": (50,), "latent": (3,), "hidden": ((),)}, seed=3)
    x = np.random.default_rng(0).standard_normal((4, 50)).astype(np.float32)
    x[:, ::3] = 0
    W, b = params["encoder.0.W"], params["encoder.0.b"]
    wanted = np.empty((4, 6), np.float32)
    for n in range(4):
        for j in range(6):
            total = b[j]
            for i in range(50):
                total = np.float32(total + np.float32(x[n, i] * W[i, j]))
            wanted[n, j] = total
    assert np.array_equal(by_plan(model.encoders[0], params.part("encoder"), x), wanted)


def test_every_network_that_can_be_chosen_has_a_plan_or_is_refused_in_words():
    chosen = {name: set(pair) for name, pair in NETWORKS.items()}
    recurrent = chosen.pop("gru")
    assert set.union(*chosen.values()) <= set(PLANNERS) and not recurrent & set(PLANNERS)
    with pytest.raises(UserError, match="the network RecurrentEncoder cannot be evaluated in a fixed order"):
        BitsBack(*build({"data_shape": (3, 5), "latent": (2,), "hidden": ((),), "network": "gru"}))


def test_another_network_is_refused():
    class Doubled(MLP):
        pass

    with pytest.raises(UserError, match=r"the network Doubled cannot be evaluated in a fixed order"):
        plan_for(Doubled((3,), 0, (), (2,)), {})
