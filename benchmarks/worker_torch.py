"""The worker for PyTorch: eager mode, fused optimisers, the number of threads that proves faster."""

import itertools
import math
import time

import numpy as np
import torch
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits

from benchmarks import protocol

OPTIMISERS = {"adagrad": torch.optim.Adagrad, "adam": torch.optim.Adam}
ACTIVATIONS = {"tanh": nn.Tanh, "relu": nn.ReLU}


class Worker:
    """A model in training by PyTorch.

    Args:
        settings: one of ``WORKLOADS``.
        dataset: datasets.Dataset of uint8 images.
    """

    def __init__(self, settings, dataset):
        self.settings = settings
        self.images = torch.from_numpy(np.asarray(dataset.train))
        self.shape = dataset.data_shape
        self.minibatches = self._minibatches()
        torch.manual_seed(settings.seed)

    def bound(self, file):
        """As protocol.py has it."""
        settings = self.settings
        with np.load(file) as arrays:
            arrays = dict(arrays)
        self.encoder, self.decoder = (network(settings, self.shape, arrays, name) for name in ("encoder", "decoder"))
        parameters = [*self.encoder.parameters(), *self.decoder.parameters()]
        self.optimiser = OPTIMISERS[settings.optimiser](
            parameters, lr=settings.learning_rate, eps=settings.epsilon, maximize=True, fused=True
        )
        bound = self._bounds(torch.from_numpy(arrays["x"]), torch.from_numpy(arrays["noise"]))
        bound.mean().backward()
        norm = torch.linalg.vector_norm(torch.cat([p.grad.flatten() for p in parameters]), dtype=torch.float64)
        return {"bound": bound.tolist(), "gradient_norm": norm.item()}

    def warm(self):
        """Some steps, and a choice: one thread, or as many as there are cores; what disturbs a window only slows it."""
        rates = dict.fromkeys((torch.get_num_threads(), 1), 0)
        for _, threads in itertools.product(range(5), rates):
            torch.set_num_threads(threads)
            rates[threads] = max(rates[threads], self.window(0.3)["examples_per_second"])
        threads = max(rates, key=rates.get)
        torch.set_num_threads(threads)
        return {"threads": threads}

    def window(self, seconds):
        """As protocol.py has it."""
        examples, total, started = 0, 0.0, time.perf_counter()
        while (elapsed := time.perf_counter() - started) < seconds or not examples:
            rows = next(self.minibatches)
            examples, total = examples + len(rows), total + self._step(rows) * len(rows)
        return {"examples_per_second": examples / elapsed, "bound": total / examples}

    def _minibatches(self):
        """The rows (batch_size,) of minibatches, without end; a random order each epoch."""
        while True:
            yield from torch.randperm(len(self.images)).split(self.settings.batch_size)

    def _step(self, rows):
        """One step of the optimiser; returns the mean of the minibatch's bounds."""
        x = self.images[rows].float().div_(255)
        if self.settings.binarise == "dynamic":
            x = torch.bernoulli(x)
        mean = self._bounds(x, torch.randn(len(rows), self.settings.samples, self.settings.latent[0])).mean()
        self.optimiser.zero_grad()
        mean.backward()
        self.optimiser.step()
        return mean.item()

    def _bounds(self, x, noise):
        """The bound (N,) of images x (N, D) with noise (N, K, D_1)."""
        mu, logvar = self.encoder(x).chunk(2, dim=1)
        sigma = torch.exp(logvar / 2)
        z = mu[:, None] + sigma[:, None] * noise
        logits = self.decoder(z.flatten(0, 1)).unflatten(0, z.shape[:2])
        if self.settings.likelihood == "categorical":
            log_p = logits.unflatten(-1, (-1, self.shape[-1])).log_softmax(dim=-1)
            log_likelihood = (x[:, None] * log_p.flatten(-2)).sum(dim=-1)
        else:
            cross_entropy = binary_cross_entropy_with_logits(logits, x[:, None].expand_as(logits), reduction="none")
            log_likelihood = -cross_entropy.sum(dim=-1)
        if self.settings.kl == "closed":
            return log_likelihood.mean(dim=1) - 0.5 * (mu * mu + sigma * sigma - 1 - logvar).sum(dim=1)
        logw = log_likelihood - 0.5 * (z * z - noise * noise - logvar[:, None]).sum(dim=-1)
        return torch.logsumexp(logw, dim=1) - math.log(self.settings.samples)


def network(settings, shape, arrays, name):
    """The encoder or the decoder; an activation follows every layer but the last.

    Args:
        settings: of the workload.
        shape: of an image.
        arrays: {name: array} with its parameters.
        name: "encoder" or "decoder".
    """
    if settings.network == "gru":
        return (Reader if name == "encoder" else Writer)(shape, arrays, name)
    activation = ACTIVATIONS[settings.activation]
    flat = [module for pair in layers(arrays, name) for module in (linear(*pair), activation())]
    if settings.network == "mlp":
        return nn.Sequential(*flat[:-1])
    kind, step = (
        (nn.Conv2d, 1) if name == "encoder" else (nn.ConvTranspose2d, -1)
    )  # the decoder's stand from the data up
    pairs = layers(arrays, f"{name}.conv")[::step]
    maps = [module for pair in pairs for module in (convolution(settings, kind, *pair), activation())]
    if name == "encoder":
        return nn.Sequential(Images(*shape[:2]), *maps, Rows(), *flat[:-1])
    top = [side // settings.stride ** len(pairs) for side in shape[:2]]
    return nn.Sequential(*flat, Images(*top), *maps[:-1], Rows())


def layers(arrays, name):
    """[(W, b), ...] of the layers ``name.0``, ``name.1``, ..."""
    names = itertools.takewhile(lambda layer: f"{layer}.W" in arrays, (f"{name}.{i}" for i in itertools.count()))
    return [tuple(torch.from_numpy(arrays[f"{layer}.{kind}"]) for kind in "Wb") for layer in names]


def linear(W, b):
    """x W + b, for W (I, J) and b (J,)."""
    return with_parameters(nn.Linear(*W.shape), W.T, b)


def convolution(settings, kind, W, b):
    """A convolution or its transpose, for W (k k C, C') and b (C') or (C); the stride divides an image's sides."""
    k, s = settings.kernel, settings.stride
    W = W.reshape(k, k, -1, W.shape[1]).permute(3, 2, 0, 1)
    inputs, outputs = W.shape[:2] if kind is nn.ConvTranspose2d else W.shape[1::-1]
    layer = kind(inputs, outputs, k, s, padding=(k - s) // 2)
    return with_parameters(layer.to(memory_format=torch.channels_last), W, b)


def with_parameters(layer, W, b):
    """A layer that starts from these."""
    with torch.no_grad():
        layer.weight.copy_(W)
        layer.bias.copy_(b)
    return layer


def gru(arrays, *directions):
    """A GRU in one or two directions, (N, T, I) to (N, T, H) each, with the weights under these names."""
    W = next(array for key, array in arrays.items() if key.startswith(directions[0]) and key.endswith("steps.W"))
    layer = nn.GRU(len(W), W.shape[1] // 3, batch_first=True, bidirectional=len(directions) == 2)
    with torch.no_grad():
        for name, suffix in zip(directions, ("", "_reverse")):
            own = {
                key: torch.from_numpy(arrays[f"{name}.{key}"]) for key in ("steps.W", "input.b", "state.W", "state.b")
            }
            getattr(layer, f"weight_ih_l0{suffix}").copy_(own["steps.W"].T)
            getattr(layer, f"bias_ih_l0{suffix}").copy_(own["input.b"])
            getattr(layer, f"weight_hh_l0{suffix}").copy_(own["state.W"].T)
            getattr(layer, f"bias_hh_l0{suffix}").copy_(own["state.b"])
    return layer


class Reader(nn.Module):
    """The recurrent encoder, without hidden units behind it: rows (N, T V) to (N, J)."""

    def __init__(self, shape, arrays, name):
        super().__init__()
        self.shape, self.gru = shape, gru(arrays, f"{name}.forward", f"{name}.backward")
        ((self.output),) = (linear(*pair) for pair in layers(arrays, name))

    def forward(self, rows):
        _, last = self.gru(rows.unflatten(1, self.shape))
        return self.output(last.transpose(0, 1).flatten(1))


class Writer(nn.Module):
    """The recurrent decoder, which is told z (R, D_1) at every step: to (R, T V)."""

    def __init__(self, shape, arrays, name):
        super().__init__()
        renamed = arrays | {f"{name}.forward.steps.W": arrays[f"{name}.forward.static.W"]}
        self.steps, self.gru = shape[0], gru(renamed, f"{name}.forward")
        self.output = linear(*(torch.from_numpy(arrays[f"{name}.output.{kind}"]) for kind in "Wb"))

    def forward(self, z):
        h, _ = self.gru(z[:, None].expand(-1, self.steps, -1))
        return self.output(h).flatten(1)


class Images(nn.Module):
    """Rows (N, H W C) as images (N, C, H, W), channels last in memory: nothing is moved."""

    def __init__(self, height, width):
        super().__init__()
        self.sides = height, width

    def forward(self, rows):
        return rows.unflatten(1, (*self.sides, -1)).permute(0, 3, 1, 2)


class Rows(nn.Module):
    """The reverse."""

    def forward(self, images):
        return images.permute(0, 2, 3, 1).flatten(1)


if __name__ == "__main__":
    protocol.main(Worker)
