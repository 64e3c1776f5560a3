"""Models and images for the tests of compression: small, of every kind, trained and not."""

import numpy as np
from hypothesis import strategies as st

from tinyvae.coding.pixels import CODERS
from tinyvae.derivation.model import Model
from tinyvae.derivation.parameters import Parameters
from tinyvae.training.initialisation import initialise

seeds = st.integers(0, 10**6)
# How far the weights are stretched: 100 and more saturate every unit, and probabilities round to 0 and 1.
stretches = st.sampled_from([0.0, 1.0, 3.0, 100.0, 1e20, 1e38])
COLOUR = "logistic-colour"  # which goes with some shapes only
likelihoods = st.sampled_from(sorted(CODERS.keys() - {COLOUR}))
networks = st.sampled_from(
    [
        {"data_shape": (3, 5), "latent": (2,), "hidden": ((7,),)},
        {"data_shape": (11,), "latent": (1,), "hidden": ((),)},
        {"data_shape": (4, 4), "latent": (20,), "hidden": ((6, 5),), "activation": "relu"},
        {"data_shape": (3, 5), "latent": (3,), "hidden": ((4,),), "prior": "mixture", "n_components": 5},
        {"data_shape": (5, 3), "latent": (2,), "hidden": ((4,),), "prior": "vamp", "n_components": 1},
        {"data_shape": (6, 5), "latent": (3,), "hidden": ((4,),), "network": "conv", "channels": (3, 2), "kernel": 3},
        {"data_shape": (4, 5, 3), "latent": (2,), "hidden": ((),), "network": "conv", "channels": (4,), "stride": 3},
    ]
)
dtypes = st.sampled_from([np.float32, np.float64])


def build(network, likelihood="bernoulli", dtype=np.float32, seed=0, stretch=1.0):
    """A model and its parameters: as they are before a training, with biases that are not zero, stretched."""
    model = Model(**network, likelihood=likelihood)
    params = Parameters(model.shapes(), dtype=dtype)
    initialise(params, "glorot", seed=seed)
    params.flat[:] += 0.1 * np.random.default_rng(seed).standard_normal(params.flat.size)
    params.flat[:] *= dtype(stretch)
    return model, params


def random_levels(model, N, seed):
    """Levels (N, D) that no model expects."""
    return np.random.default_rng(seed).integers(0, CODERS[model.likelihood].levels, (N, model.data_dim), np.uint8)
