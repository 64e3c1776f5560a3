"""The worker for tinyvae: ``Training`` as ``python -m tinyvae.train`` uses it, and its matrix products alone."""

import numpy as np

from benchmarks import protocol
from tinyvae.settings import BOUNDS
from tinyvae.training import workloads
from tinyvae.training.loop import Training


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
        return {"bound": bound.tolist(), "gradient_norm": float(np.linalg.norm(gradient.astype(np.float64)))}

    def warm(self):
        """As protocol.py has it."""
        self.window(0)  # compiles
        self.window(0.5)
        return {"threads": self.training.threads}

    def window(self, seconds):
        """As protocol.py has it."""
        rate, bound = workloads.window(self.training, seconds)
        return {"examples_per_second": rate, "bound": bound}

    def sgemm(self, seconds):
        """As protocol.py has it."""
        rate, gflops = workloads.sgemm(self.training, seconds)
        return {"examples_per_second": rate, "gflops": gflops}


if __name__ == "__main__":
    protocol.main(Worker)
