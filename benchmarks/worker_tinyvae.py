"""The worker for tinyvae: ``Training`` as ``python -m tinyvae.train`` uses it, and its matrix products alone."""

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import numpy as np
from threadpoolctl import threadpool_limits

from benchmarks import protocol
from tinyvae.bounds import BOUNDS
from tinyvae.threads import shares
from tinyvae.training import Training


class WindowOver(Exception):
    """Raised after a step to leave the epoch; the next call of ``run_epoch`` goes on from there."""


class Worker:
    """A model in training by tinyvae.

    Args:
        settings: one of ``WORKLOADS``.
        dataset: datasets.Dataset.
        threads: as for ``Training``.
    """

    def __init__(self, settings, dataset, threads=None):
        self.training = Training(settings, dataset, threads)

    def bound(self, file):
        """As protocol.py has it."""
        settings, model, params = self.training.settings, self.training.model, self.training.params
        with np.load(file) as arrays:
            for name, array in params.items():
                array[:] = arrays[name]
            x, noise = arrays["x"], arrays["noise"]
        logw, cache = model.log_weights(params, x, [noise], closed_form_kl=settings.kl == "closed")
        bound, dlogw = BOUNDS[settings.objective](logw)
        gradient = model.backward(params, cache, dlogw / len(x)).flat
        return {"bound": bound.tolist(), "gradient_norm": float(np.linalg.norm(gradient))}

    def warm(self):
        """As protocol.py has it."""
        self.window(0.5)
        return {"threads": self.training.threads}

    def window(self, seconds):
        """As protocol.py has it."""
        examples, total, started = 0, 0.0, time.perf_counter()

        def on_step(n, bound):
            nonlocal examples, total
            examples, total = examples + n, total + n * bound
            if time.perf_counter() - started >= seconds:
                raise WindowOver

        with suppress(WindowOver):
            while True:
                self.training.run_epoch(on_step)
        return {"examples_per_second": examples / (time.perf_counter() - started), "bound": total / examples}

    def sgemm(self, seconds):
        """How many examples a second the matrix products of a step would allow if there were nothing else to do.

        Every product of the forward and the backward pass, at its shape, with all numbers in place: the rows of the
        minibatch are split over the threads, each with a BLAS of one thread, and no thread waits for another.
        """
        settings, threads = self.training.settings, self.training.threads
        layers = [(W.shape, settings.samples if network == "decoder" else 1, network == "encoder" and i == 0)
                  for network in ("encoder", "decoder")
                  for i, (W, _) in enumerate(self.training.params.layers(network))]  # fmt: skip

        def work(part):
            rows = part.stop - part.start
            products = [
                product for shape, K, of_data in layers for product in affine_products(rows * K, shape, of_data)
            ]
            examples, started = 0, time.perf_counter()
            while (elapsed := time.perf_counter() - started) < seconds or not examples:
                for a, b, out in products:
                    np.matmul(a, b, out=out)
                examples += rows
            return examples / elapsed

        with threadpool_limits(1, "blas"), ThreadPoolExecutor(threads) as pool:
            rate = sum(pool.map(work, shares(settings.batch_size, threads)))
        flops = sum(2 * K * (2 if of_data else 3) * shape[0] * shape[1] for shape, K, of_data in layers)
        return {"examples_per_second": rate, "gflops": rate * flops / 1e9}


def affine_products(rows, shape, of_data):
    """The matrix products of an affine layer y = x W, forward and backward, as (a, b, out) for out = a b.

    Args:
        rows: of x.
        shape: (I, J) of W.
        of_data: whether x is data, which need no gradient.

    Returns: y = x W, dW = xᵀ dy and, unless x is data, dx = dy Wᵀ; y serves as dy.
    """
    rng = np.random.default_rng(0)
    x, W = (rng.standard_normal(s, np.float32) for s in ((rows, shape[0]), shape))
    y = np.empty((rows, shape[1]), np.float32)
    products = [(x, W, y), (x.T, y, np.empty_like(W))]
    return products if of_data else [*products, (y, W.T, np.empty_like(x))]


if __name__ == "__main__":
    protocol.main(Worker)
