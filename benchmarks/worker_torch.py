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


class Worker:
    """A model in training by PyTorch.

    Args:
        settings: one of ``WORKLOADS``.
        dataset: datasets.Dataset of uint8 images.
    """

    def __init__(self, settings, dataset):
        self.settings = settings
        self.images = torch.from_numpy(np.asarray(dataset.train))
        self.minibatches = self._minibatches()
        torch.manual_seed(settings.seed)

    def bound(self, file):
        """As protocol.py has it."""
        settings = self.settings
        with np.load(file) as arrays:
            arrays = dict(arrays)
        self.encoder, self.decoder = network(arrays, "encoder"), network(arrays, "decoder")
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
        logits = self.decoder(z)
        cross_entropy = binary_cross_entropy_with_logits(logits, x[:, None].expand_as(logits), reduction="none")
        log_likelihood = -cross_entropy.sum(dim=-1)
        if self.settings.kl == "closed":
            return log_likelihood.mean(dim=1) - 0.5 * (mu * mu + sigma * sigma - 1 - logvar).sum(dim=1)
        logw = log_likelihood - 0.5 * (z * z - noise * noise - logvar[:, None]).sum(dim=-1)
        return torch.logsumexp(logw, dim=1) - math.log(self.settings.samples)


def network(arrays, name):
    """tanh layers and an affine one, with the parameters ``name.0.W``, ``name.0.b``, ... of a dict of arrays."""
    modules = []
    for i in itertools.count():
        if f"{name}.{i}.W" not in arrays:
            return nn.Sequential(*modules[:-1])
        W, b = (torch.from_numpy(arrays[f"{name}.{i}.{kind}"]) for kind in "Wb")
        layer = nn.Linear(*W.shape)
        with torch.no_grad():
            layer.weight.copy_(W.T)
            layer.bias.copy_(b)
        modules += [layer, nn.Tanh()]


if __name__ == "__main__":
    protocol.main(Worker)
