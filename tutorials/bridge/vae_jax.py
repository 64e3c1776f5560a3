"""The variational autoencoder of notebook 4 in JAX: ``python tutorials/bridge/vae_jax.py`` trains it."""

import jax
import jax.numpy as jnp
import numpy as np
from sklearn.datasets import load_digits

jax.config.update("jax_enable_x64", True)  # else float64 arrays are rounded to float32 without a word


def bounds(params, x, eps):
    """log p(x | z) - KL(q(z | x) || p(z)) of each image: (N,), from x (N, D) and the noise eps (N, Q)."""
    h = jnp.tanh(x @ params["encoder.0.W"] + params["encoder.0.b"])
    mu, logvar = jnp.split(h @ params["encoder.1.W"] + params["encoder.1.b"], 2, axis=1)
    z = mu + jnp.exp(logvar / 2) * eps
    g = jnp.tanh(z @ params["decoder.0.W"] + params["decoder.0.b"])
    logits = g @ params["decoder.1.W"] + params["decoder.1.b"]
    log_likelihood = jnp.sum(x * logits - jnp.logaddexp(0, logits), axis=1)
    return log_likelihood - 0.5 * jnp.sum(mu**2 + jnp.exp(logvar) - 1 - logvar, axis=1)


@jax.jit
def gradient(params, x, eps):
    """The derivative of the mean bound by each parameter, as a function made from the function ``bounds``."""
    return jax.grad(lambda params: bounds(params, x, eps).mean())(params)


def train(epochs=50, D=64, H=100, Q=10, seed=0):
    """Climb the bound of scikit-learn's digits by momentum; prints and returns the test bound of each tenth epoch."""
    x, rng, history = load_digits().data / 16, np.random.default_rng(seed), []
    sizes = {"encoder.0": (D, H), "encoder.1": (H, 2 * Q), "decoder.0": (Q, H), "decoder.1": (H, D)}
    params = {f"{name}.W": rng.standard_normal(size) / size[0] ** 0.5 for name, size in sizes.items()}
    params |= {f"{name}.b": np.zeros(size[1]) for name, size in sizes.items()}
    velocity = jax.tree.map(np.zeros_like, params)
    for epoch in range(1, epochs + 1):
        for batch in np.split(rng.permutation(1600), 16):
            uphill = gradient(params, x[batch], rng.standard_normal((100, Q)))
            velocity = jax.tree.map(lambda v, g: 0.9 * v + g, velocity, uphill)
            params = jax.tree.map(lambda p, v: p + 0.01 * v, params, velocity)
        if epoch % 10 == 0:
            history.append(bounds(params, x[1600:], rng.standard_normal((197, Q))).mean().item())
            print(f"epoch {epoch}: test bound {history[-1]:.3f}")
    return history


if __name__ == "__main__":
    train()
