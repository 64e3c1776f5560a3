"""Our derivatives beside those that PyTorch and JAX find by themselves: ``python tutorials/bridge/compare.py``."""

import importlib

import numpy as np

from tinyvae.derivation import bounds
from tinyvae.derivation.model import Model
from tinyvae.derivation.parameters import Parameters


def problem(N=20, D=64, H=100, Q=10, seed=0):
    """A model of float64 with random parameters (biases too), grey images x (N, D), and the noise (N, Q)."""
    model, rng = Model(data_shape=(D,), latent=(Q,), hidden=((H,),)), np.random.default_rng(seed)
    params = Parameters(model.shapes(), dtype=np.float64)
    params.flat[:] = 0.3 * rng.standard_normal(params.flat.size)
    return model, params, rng.uniform(size=(N, D)), rng.standard_normal((N, Q))


def gradient(model, params, x, eps):
    """Ours, by hand: the derivative of the mean bound by each parameter."""
    logw, cache = model.log_weights(params, x, [eps[:, None]], closed_form_kl=True)
    _, dlogw = bounds.elbo(logw)
    return model.backward(params, cache, dlogw / len(x))


def difference(ours, theirs):
    """The largest difference of an entry, in units of the largest entry of its array."""
    assert set(ours) == set(theirs)
    return max(np.abs(ours[name] - theirs[name]).max() / np.abs(ours[name]).max() for name in ours)


def main():
    """Print the difference for each of the two that is installed."""
    model, params, x, eps = problem()
    ours = gradient(model, params, x, eps)
    for name in ("vae_torch", "vae_jax"):
        try:
            theirs = importlib.import_module(name).gradient(dict(params), x, eps)
        except ModuleNotFoundError as error:
            print(f"{name}: {error.name} is not installed (pip install '.[bench]')")
        else:
            print(f"{name}: {difference(ours, theirs):.1e}")


if __name__ == "__main__":
    main()
