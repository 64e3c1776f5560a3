"""A classifier of MNIST's digits, made of the parts of tinyvae's encoders: seconds an epoch, and the accuracy.

LeNet-5 (LeCun et al. 1998) with strided convolutions in the place of convolutions and pooling: windows of 5 x 5 pixels
and a stride of 2, 6 and 16 filters, then 120 and 84 units, and 10 scores. Adam, minibatches of 100.

examples:
  python -m benchmarks.lenet
  python -m benchmarks.lenet --activation relu --epochs 10 --threads 1
"""

import time

import numpy as np

from tinyvae import machine
from tinyvae.cli import console
from tinyvae.data import datasets
from tinyvae.derivation.conv_networks import ConvEncoder
from tinyvae.derivation.parameters import Parameters
from tinyvae.errors import UserError
from tinyvae.settings import ACTIVATIONS
from tinyvae.training.initialisation import initialise
from tinyvae.training.optimisers import Adam

BATCH_SIZE, LEARNING_RATE = 100, 0.002
TEST_ROWS = 500  # images at a time: bounds the memory


class LeNet:
    """The network, its parameters and its optimiser.

    Args:
        shape: (H, W) or (H, W, C) of an image.
        classes: how many.
        activation: name in ``ACTIVATIONS``.
        seed: of the weights.
        dtype: float32 or float64.
    """

    def __init__(self, shape, classes, activation="tanh", seed=0, dtype=np.float32):
        self.network = ConvEncoder(
            shape, 0, (120, 84), (classes,), ACTIVATIONS[activation], channels=(6, 16), kernel=5, stride=2
        )
        self.params = Parameters({f"lenet.{name}": shape for name, shape in self.network.shapes().items()}, dtype=dtype)
        self.grads = self.params.with_flat(np.empty_like(self.params.flat))
        self.optimiser = Adam(self.params)
        initialise(self.params, "glorot", seed)

    def scores(self, x):
        """Those of images x (N, D), (N, classes), and what ``gradient`` needs."""
        return self.network.forward(self.params.part("lenet"), x, np.empty((len(x), 0), x.dtype))

    def gradient(self, x, labels):
        """The mean cross-entropy of images x (N, D) with labels (N,); its gradient is in ``grads``."""
        scores, cache = self.scores(x)
        loss, dscores = cross_entropy(scores, labels)
        self.network.backward(dscores, cache, self.grads.part("lenet"), need_dx=False)
        return loss

    def step(self, x, labels):
        """One step of the optimiser downhill; returns the mean cross-entropy before it."""
        loss = self.gradient(x, labels)
        self.optimiser.update(self.params, self.grads, -LEARNING_RATE)
        return loss

    def accuracy(self, images, labels):
        """The share of images (N, D), as they are stored, whose label (N,) has the highest score."""
        right = 0
        for first in range(0, len(images), TEST_ROWS):
            rows = slice(first, first + TEST_ROWS)
            scores, _ = self.scores(datasets.to_float(images[rows], self.params.flat.dtype))
            right += np.count_nonzero(scores.argmax(axis=1) == labels[rows])
        return right / len(images)


def cross_entropy(scores, labels):
    """The mean of -log p_label, for p = softmax(scores), in nats; by the scores its derivative is (p - y) / N.

        -log p_label = log(sum_c exp(s_c)) - s_label,    d/ds_c = exp(s_c) / sum_c' exp(s_c') - y_c = p_c - y_c

    Args:
        scores: (N, C).
        labels: (N,) integers from 0 to C - 1; y has a one there, and else zeros.

    Returns: the mean, and dscores (N, C).
    """
    N = len(scores)
    logp = scores - scores.max(axis=1, keepdims=True)
    logp -= np.log(np.exp(logp).sum(axis=1, keepdims=True))
    dscores = np.exp(logp)
    dscores[np.arange(N), labels] -= 1
    return -logp[np.arange(N), labels].mean(), dscores / N


def epochs(lenet, dataset, seed=0):
    """Train without end; after each epoch (seconds, the mean of its losses in nats, the accuracy on the test set).

    Args:
        lenet: LeNet.
        dataset: datasets.Dataset with labels.
        seed: of the order of the images.
    """
    rng, N = np.random.default_rng(seed), len(dataset.train)
    while True:
        total, started = 0.0, time.perf_counter()
        order = rng.permutation(N)
        for first in range(0, N, BATCH_SIZE):
            rows = order[first : first + BATCH_SIZE]
            x = datasets.to_float(dataset.train[rows], lenet.params.flat.dtype)
            total += len(rows) * lenet.step(x, dataset.train_labels[rows])
        seconds = time.perf_counter() - started
        yield seconds, total / N, lenet.accuracy(dataset.test, dataset.test_labels)


def main(argv=None):
    """Train, and print a line for each epoch."""
    arguments = parse(argv)
    dataset = datasets.load(arguments.dataset, limit=arguments.limit)
    if not dataset.n_labels:
        raise UserError(f"{arguments.dataset} has no labels to be learned")
    shape = dataset.data_shape, dataset.n_labels, arguments.activation, arguments.seed
    with machine.crew(arguments.threads):
        LeNet(*shape).step(datasets.to_float(dataset.train[:BATCH_SIZE]), dataset.train_labels[:BATCH_SIZE])  # compiles
        lenet, best = LeNet(*shape), np.inf
        print(f"{lenet.params.flat.size:,} parameters, {len(dataset.train):,} images, {arguments.threads} threads")
        for epoch, (seconds, loss, accuracy) in zip(range(arguments.epochs), epochs(lenet, dataset, arguments.seed)):
            print(f"epoch {epoch + 1}: {seconds:.2f} s, loss {loss:.4f} nats, test accuracy {accuracy:.2%}", flush=True)
            best = min(best, seconds)
    print(f"the fastest epoch: {best:.2f} s, {len(dataset.train) / best:,.0f} images a second")
    return 0


def parse(argv):
    """The arguments."""
    parser = console.Parser("python -m benchmarks.lenet", __doc__)
    parser.add_argument("--epochs", type=console.positive, default=3, metavar="n", help="[3]")
    parser.add_argument(
        "--threads", type=console.threads, default=machine.available_cores(), metavar="n", help="[as there are cores]"
    )
    parser.add_argument("--activation", choices=ACTIVATIONS, default="tanh", metavar="NAME", help="tanh or relu [tanh]")
    parser.add_argument("--seed", type=console.seed, default=0, metavar="n", help="of weights and order [0]")
    parser.add_argument("--limit", type=console.positive, metavar="n", help="train on the first n images [all]")
    parser.add_argument("--dataset", default="mnist", metavar="DATA", help="as for tinyvae.train, with labels [mnist]")
    return parser.parse_args(argv)


if __name__ == "__main__":
    console.run(main)
