"""How noisy the ELBO and its gradient are with the KL divergence in closed form and sampled, while MNIST is learned.

The default recipe; standard deviations of one log weight over 100 samples, averaged over 200 test images, and of the
gradient by the encoder's parameters (the root of the sum of all variances) over 100 draws, for the mean over 20 test
images with one sample each. The table of docs/derivations.md, section 6.4, takes some minutes.

example:
  python -m benchmarks.kl_noise
"""

import numpy as np

from tinyvae.cli import console
from tinyvae.data import datasets
from tinyvae.derivation import bounds
from tinyvae.machine import noise
from tinyvae.machine.noise import Stream
from tinyvae.settings import Settings
from tinyvae.training.loop import Training

IMAGES, SAMPLES = 200, 100  # of the log weights
ROWS, DRAWS = 20, 100  # of the gradient
WAYS = {
    "closed form": (True, bounds.standard),
    "sampled, standard": (False, bounds.standard),
    "sampled, stl": (False, bounds.stl),
}


def log_weight_noise(training, is_closed):
    """The standard deviation of a log weight, in nats, the mean over the images."""
    x = training.fitted.rows(training.dataset.test[:IMAGES])
    eps = noise.layers(training.model.noise_shapes(IMAGES, SAMPLES), 0, Stream.EVALUATION)
    deviations = []
    for some in (slice(first, first + ROWS) for first in range(0, IMAGES, ROWS)):
        logw, _ = training.model.log_weights(
            training.params, x[some], [layer[some] for layer in eps], closed_form_kl=is_closed
        )
        deviations.append(logw.std(axis=1, ddof=1, dtype=np.float64))
    return np.concatenate(deviations).mean()


def gradient_noise(training, is_closed, estimator):
    """The root of the sum of the variances of the gradient's entries, those of the encoder."""
    model, x, gradients = training.model, training.fitted.rows(training.dataset.test[:ROWS]), []
    for draw in range(DRAWS):
        eps = noise.layers(model.noise_shapes(ROWS, 1), 1, Stream.EVALUATION, draw)
        logw, cache = model.log_weights(training.params, x, eps, closed_form_kl=is_closed)
        _, dlogw = bounds.elbo(logw)
        path, direct = estimator(dlogw / ROWS)
        grads = model.backward(training.params, cache, dlogw / ROWS, path, direct)
        gradients.append(np.concatenate([grad.ravel() for grad in grads.part("encoder").values()]))
    return np.sqrt(np.var(gradients, axis=0, ddof=1, dtype=np.float64).sum())


def main(argv=None):
    """Train, and print a row of the table at the start, after one epoch and at the end."""
    console.Parser("python -m benchmarks.kl_noise", __doc__).parse_args(argv)
    training = Training(Settings(), datasets.load("mnist"))
    print(f"{'epochs':6s}  {'log w: closed form':>18s}  {'sampled':>8s}  " + "  ".join(f"{name:>18s}" for name in WAYS))
    for epoch in range(training.settings.epochs + 1):
        if epoch:
            training.run_epoch()
        if epoch in (0, 1, training.settings.epochs):
            numbers = [log_weight_noise(training, True), log_weight_noise(training, False)]
            numbers += [gradient_noise(training, *way) for way in WAYS.values()]
            widths = (18, 8, *(18 for _ in WAYS))
            print(f"{epoch:6d}  " + "  ".join(f"{n:{w}.1f}" for n, w in zip(numbers, widths)), flush=True)
    return 0


if __name__ == "__main__":
    console.run(main)
