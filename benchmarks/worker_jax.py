"""The worker for JAX: one jitted function that scans over many steps, with the images and all state on the device."""

import re
import time
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from benchmarks import protocol

# Rows of z in a call of the jitted function: some tenths of a second, so that a call's overhead does not count.
ROWS_A_CALL = {"mlp": 10_000, "conv": 200, "gru": 1_000}
ACTIVATIONS = {"tanh": jnp.tanh, "relu": jax.nn.relu}
DIMENSIONS = "NHWC", "HWIO", "NHWC"  # of images, filters and images


class Worker:
    """A model in training by JAX.

    Args:
        settings: one of ``WORKLOADS``.
        dataset: datasets.Dataset of uint8 images.
    """

    def __init__(self, settings, dataset):
        self.settings = settings
        self.images = jnp.asarray(np.asarray(dataset.train))
        self.calls = self._calls(np.random.default_rng(settings.seed))
        self.bounds = partial(bounds, settings, dataset.data_shape)
        self.run = jax.jit(partial(run, settings, self.bounds), donate_argnums=0)

    def bound(self, file):
        """As protocol.py has it."""
        with np.load(file) as arrays:
            arrays = {name: jnp.asarray(array) for name, array in arrays.items()}
        x, noise = arrays.pop("x"), arrays.pop("noise")
        params = {name: layers(arrays, name) for name in ("encoder", "decoder", "encoder.conv", "decoder.conv")}
        params["gru"] = {name: array for name, array in arrays.items() if "ward." in name or ".output." in name}

        def mean(params):
            bound = self.bounds(params, x, noise)
            return bound.mean(), bound

        gradient, bound = jax.jit(jax.grad(mean, has_aux=True))(params)
        norm = jnp.sqrt(sum(jnp.vdot(g, g) for g in jax.tree.leaves(gradient)))
        moments = [jax.tree.map(jnp.zeros_like, params) for _ in range(2 if self.settings.optimiser == "adam" else 1)]
        self.state = params, moments, jnp.float32(0), jax.random.key(self.settings.seed)
        return {"bound": bound.tolist(), "gradient_norm": float(norm)}

    def warm(self):
        """As protocol.py has it."""
        self.window(0)  # compiles
        self.window(0.5)
        return {}

    def window(self, seconds):
        """As protocol.py has it."""
        examples, total, started = 0, 0.0, time.perf_counter()
        while (elapsed := time.perf_counter() - started) < seconds or not examples:
            rows = next(self.calls)
            self.state, means = self.run(self.state, self.images, rows)
            examples, total = examples + rows.size, total + float(means.mean()) * rows.size
        return {"examples_per_second": examples / elapsed, "bound": total / examples}

    def _calls(self, rng):
        """For each call, without end, the rows (steps, batch_size) of its minibatches; a random order each epoch."""
        N, batch = len(self.images), self.settings.batch_size
        steps = min(N, ROWS_A_CALL[self.settings.network] // self.settings.samples) // batch
        while True:
            order = rng.permutation(N).astype(np.int32)
            for first in range(0, N - steps * batch + 1, steps * batch):
                yield order[first : first + steps * batch].reshape(steps, batch)


def layers(arrays, name):
    """[(W, b), ...] of the layers ``name.0``, ``name.1``, ...; none, if there are no such."""
    count = sum(bool(re.fullmatch(rf"{name}\.\d+\.W", key)) for key in arrays)
    return [(arrays[f"{name}.{i}.W"], arrays[f"{name}.{i}.b"]) for i in range(count)]


def run(settings, bounds, state, images, rows):
    """A training step for each row of rows (steps, batch_size); returns the new state and the mean bounds (steps,)."""

    def step(state, rows):
        params, moments, t, key = state
        key, key_x, key_z = jax.random.split(key, 3)
        x = images[rows].astype(jnp.float32) / 255
        if settings.binarise == "dynamic":
            x = jax.random.bernoulli(key_x, x).astype(jnp.float32)
        noise = jax.random.normal(key_z, (len(rows), settings.samples, settings.latent[0]))
        mean, grads = jax.value_and_grad(lambda params: bounds(params, x, noise).mean())(params)
        params, moments = OPTIMISERS[settings.optimiser](settings, params, grads, moments, t + 1)
        return (params, moments, t + 1, key), mean

    return lax.scan(step, state, rows)


def mlp(f, layers, h):
    """Layers with the activation f, and an affine one."""
    for W, b in layers[:-1]:
        h = f(h @ W + b)
    W, b = layers[-1]
    return h @ W + b


def encode(settings, shape, params, x):
    """Convolutions of images x (N, H W C), if there are any, and an MLP: (N, J)."""
    f, s, h = ACTIVATIONS[settings.activation], settings.stride, x
    if settings.network == "gru":
        steps = x.reshape(len(x), *shape).swapaxes(0, 1)
        last = [gru(params["gru"], f"encoder.{name}", steps @ params["gru"][f"encoder.{name}.steps.W"], name)[0]
                for name in ("forward", "backward")]  # fmt: skip
        return mlp(f, params["encoder"], jnp.concatenate(last, axis=1))
    if maps := params["encoder.conv"]:
        h = x.reshape(len(x), *shape[:2], -1)
    for W, b in maps:
        h = f(lax.conv_general_dilated(h, filters(settings, W), (s, s), "SAME", dimension_numbers=DIMENSIONS) + b)
    return mlp(f, params["encoder"], h.reshape(len(x), -1))


def decode(settings, shape, params, z):
    """An MLP of z (R, D_1) and transposed convolutions, if there are any: (R, H W C); the stride divides H and W."""
    f, s = ACTIVATIONS[settings.activation], settings.stride
    if settings.network == "gru":
        own = params["gru"]
        told = jnp.broadcast_to(z @ own["decoder.forward.static.W"], (shape[0], len(z), 3 * settings.units))
        _, h = gru(own, "decoder.forward", told, "forward")
        return (h @ own["decoder.output.W"] + own["decoder.output.b"]).swapaxes(0, 1).reshape(len(z), -1)
    h = mlp(f, params["decoder"], z)
    if maps := params["decoder.conv"][::-1]:
        h = h.reshape(len(z), *(side // s ** len(maps) for side in shape[:2]), -1)
    for W, b in maps:
        h = lax.conv_transpose(
            f(h), filters(settings, W), (s, s), "SAME", dimension_numbers=DIMENSIONS, transpose_kernel=True
        )
        h = h + b
    return h.reshape(len(z), -1)


def gru(arrays, name, a, direction):
    """The last state (R, H) of a GRU and all of them (T, R, H), for what its inputs add (T, R, 3 H)."""
    a = a + arrays[f"{name}.input.b"]
    U, c = arrays[f"{name}.state.W"], arrays[f"{name}.state.b"]

    def step(h, x):
        (x_r, x_u, x_n), (s_r, s_u, s_n) = jnp.split(x, 3, axis=1), jnp.split(h @ U + c, 3, axis=1)
        r, u = jax.nn.sigmoid(x_r + s_r), jax.nn.sigmoid(x_u + s_u)
        h = (1 - u) * jnp.tanh(x_n + r * s_n) + u * h
        return h, h

    return lax.scan(step, jnp.zeros((a.shape[1], len(U))), a, reverse=direction == "backward")


def filters(settings, W):
    """W (k k C, C') as (k, k, C, C')."""
    return W.reshape(settings.kernel, settings.kernel, -1, W.shape[1])


def bounds(settings, shape, params, x, noise):
    """The bound (N,) of images x (N, D), whose shape is (H, W) or (H, W, C), with noise (N, K, D_1)."""
    mu, logvar = jnp.split(encode(settings, shape, params, x), 2, axis=1)
    z = mu[:, None] + jnp.exp(logvar / 2)[:, None] * noise
    logits = decode(settings, shape, params, z.reshape(-1, z.shape[-1])).reshape(*z.shape[:2], -1)
    if settings.likelihood == "categorical":
        log_p = jax.nn.log_softmax(logits.reshape(*logits.shape[:2], *shape), axis=-1).reshape(logits.shape)
        return (x[:, None] * log_p).sum(axis=-1).mean(axis=1) - 0.5 * (mu**2 + jnp.exp(logvar) - 1 - logvar).sum(axis=1)
    # softplus without the NaN handling of jax.nn.softplus: some per cent faster
    softplus = jnp.maximum(logits, 0) + jnp.log1p(jnp.exp(-jnp.abs(logits)))
    log_likelihood = (x[:, None] * logits - softplus).sum(axis=-1)
    if settings.kl == "closed":
        return log_likelihood.mean(axis=1) - 0.5 * (mu**2 + jnp.exp(logvar) - 1 - logvar).sum(axis=1)
    logw = log_likelihood - 0.5 * (z**2 - noise**2 - logvar[:, None]).sum(axis=-1)
    return jax.nn.logsumexp(logw, axis=1) - np.log(settings.samples)


def adagrad(settings, params, grads, moments, t):
    """As tinyvae.training.optimisers.Adagrad."""
    total = jax.tree.map(lambda total, g: total + g * g, moments[0], grads)

    def update(theta, total, g):
        return theta + settings.learning_rate * g / (jnp.sqrt(total) + settings.epsilon)

    return jax.tree.map(update, params, total, grads), [total]


def adam(settings, params, grads, moments, t):
    """As tinyvae.training.optimisers.Adam."""
    m = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, moments[0], grads)
    v = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, moments[1], grads)
    rate, root = settings.learning_rate / (1 - 0.9**t), jnp.sqrt(1 - 0.999**t)

    def update(theta, m, v):
        return theta + rate * m / (jnp.sqrt(v) / root + settings.epsilon)

    return jax.tree.map(update, params, m, v), [m, v]


OPTIMISERS = {"adagrad": adagrad, "adam": adam}


if __name__ == "__main__":
    protocol.main(Worker)
