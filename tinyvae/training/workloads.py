"""Six training steps by which speed is measured, what their matrix products alone cost, and where the rest goes.

- vae: 784-500-20, AEVB's recipe: grey levels, the ELBO with the closed-form KL divergence, minibatches of 100, Adagrad.
- iwae-k1, iwae-k5, iwae-k50: 784-200-200-50, IWAE's recipe with K = 1, 5 and 50: pixels drawn anew at every visit, the
  importance-weighted bound, minibatches of 20, Adam.
- conv: 28 x 28 images, convolutions of 4 x 4 with 32 and 64 filters and a stride of 2, 256 units, z of 32, rectifiers,
  the recipe "conv": grey levels, the ELBO with the closed-form KL divergence, minibatches of 100, Adam.
- gru: sequences of 15 steps of 12 symbols, a GRU of 100 units each way in the encoder and one in the decoder, z of 25,
  the recipe "gru" with the categorical likelihood: the ELBO with the closed-form KL, minibatches of 100, Adam.

The last takes minibatches from 60,000 random sequences, all others from MNIST's 60,000 training images of 784 pixels;
they compute in float32.
"""

import itertools
import math
import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace

import numpy as np
from threadpoolctl import threadpool_limits

from tinyvae.errors import UserError
from tinyvae.settings import AEVB, CONV, GRU, IWAE_1

WORKLOADS = {"vae": AEVB} | {f"iwae-k{K}": replace(IWAE_1, samples=K) for K in (1, 5, 50)} | {"conv": CONV}
WORKLOADS |= {"gru": replace(GRU, likelihood="categorical")}
SEQUENCES = 60_000, 15, 12  # of random symbols: how many, their steps, and the symbols
EVALUATION_SAMPLES = 5000
REPEATS = 7  # of each measurement of the profile


def data_of(name, dataset):
    """What a workload is trained on: the data set, or for symbols random ones, as uint8 of 0 and 255."""
    if WORKLOADS[name].likelihood != "categorical":
        return dataset
    N, T, V = SEQUENCES
    symbols = np.random.default_rng(0).integers(0, V, (N, T))
    rows = (255 * np.eye(V, dtype=np.uint8))[symbols].reshape(N, T * V)
    return replace(dataset, name="random symbols", train=rows, test=rows[: N // 6], data_shape=(T, V), n_labels=0)


def require_minibatch(name, data):
    """Raise a UserError for data (Dataset) of less than a minibatch of a workload."""
    size = WORKLOADS[name].batch_size
    if size > len(data.train):
        raise UserError(
            f"{name} takes minibatches of {size}, and {data.name} has {len(data.train)} training examples: "
            "name a larger --dataset"
        )


class WindowOver(Exception):
    """Raised after a step to leave the epoch; the next call of ``run_epoch`` goes on from there."""


def window(training, seconds):
    """Train for about so many seconds, from where the last window ended.

    Returns: (examples a second, the mean of their bounds in nats).
    """
    examples, total, started = 0, 0.0, time.perf_counter()

    def on_step(n, bound):
        nonlocal examples, total
        examples, total = examples + n, total + n * bound
        if time.perf_counter() - started >= seconds:
            raise WindowOver

    with suppress(WindowOver):
        while True:
            training.run_epoch(on_step)
    return examples / (time.perf_counter() - started), total / examples


def sgemm(training, seconds, backward=True, K=None):
    """How many examples a second the matrix products would allow if there were nothing else to do, and their speed.

    Every product at its shape, by NumPy's BLAS, with all numbers in place: the rows of the minibatch are split over the
    threads, each with a BLAS of one thread, and no thread waits for another.

    Args:
        training: loop.Training.
        seconds: to measure for.
        backward: also the products of the backward pass.
        K: samples for each example; by default the settings'.

    Returns: (examples a second, GFLOP/s).
    """
    K = K or training.settings.samples
    networks = (training.model.encoders[0], 1, True), (training.model.decoders[0], K, False)
    layers = [
        (product, samples, of_data and i == 0)
        for network, samples, of_data in networks
        for i, product in enumerate(network.products())
    ]

    def work(part):
        rows = part.stop - part.start
        products = [
            matrices
            for (height, *shape), samples, of_data in layers
            for matrices in affine_products(rows * samples * height, shape, of_data)[: None if backward else 1]
        ]
        examples, started = 0, time.perf_counter()
        while (elapsed := time.perf_counter() - started) < seconds or not examples:
            for a, b, out in products:
                np.matmul(a, b, out=out)
            examples += rows
        return examples / elapsed

    with threadpool_limits(1, "blas"), ThreadPoolExecutor(training.threads) as pool:
        rate = sum(pool.map(work, shares(training.settings.batch_size, training.threads)))
    passes = (lambda of_data: 2 if of_data else 3) if backward else (lambda of_data: 1)
    flops = sum(2 * samples * passes(of_data) * math.prod(product) for product, samples, of_data in layers)
    return rate, rate * flops / 1e9


def shares(total, parts):
    """Slices that cut 0 ... total - 1 into as many parts, as equal as can be; none of them is empty."""
    ends = [total * i // parts for i in range(parts + 1)]
    return [slice(first, last) for first, last in itertools.pairwise(ends) if first < last]


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
    y = x @ W  # numbers, and not what memory happens to hold: dy is multiplied before it is written
    products = [(x, W, y), (x.T, y, np.empty_like(W))]
    return products if of_data else [*products, (y, W.T, np.empty_like(x))]


def profile(training):
    """Where the time of a step goes, in microseconds for each example.

    Each kind of work is measured by itself, on the data and at the shapes of the step. The products are those of
    ``sgemm``; "layers" is what the networks' passes take beside them: activations, patches, waits. What the whole step
    takes beside all is the interpreter's, and the gathering of the minibatch.

    Args:
        training: loop.Training, which goes on as after half a second of training and some steps of length 0.

    Returns: {"products", "layers", "likelihood", "noise", "update", "python": microseconds}, whose sum is "step".
    """
    from tinyvae.data import datasets
    from tinyvae.machine import noise
    from tinyvae.machine.noise import Stream

    settings, params, model = training.settings, training.params, training.model
    N, K = settings.batch_size, settings.samples
    x = datasets.to_float(training.dataset.train[:N], params.flat.dtype)
    drawn = settings.binarise == "dynamic"
    x = noise.bernoulli(x, 0, Stream.BINARISATION) if drawn else x
    shape = (N, K, model.latent[0])
    z = noise.normal(shape, 0, Stream.TRAINING, dtype=x.dtype).reshape(N * K, -1)
    networks = {"encoder": (model.encoders[0], x), "decoder": (model.decoders[0], z)}
    likelihood, weights = model.observation, np.ones((N, K), x.dtype)
    outputs = model.decode_outputs(params, z)
    gradient = params.with_flat(np.zeros_like(params.flat))

    def layers():
        for name, (network, h) in networks.items():
            out, cache = network.forward(params.part(name), h, np.empty((len(h), 0), h.dtype))
            network.backward(out, cache, gradient.part(name), need_dx=name == "decoder")

    def probability():
        _, cache = likelihood.log_prob(x, outputs, out=outputs)
        likelihood.log_prob_backward(weights, cache, out=outputs)

    def numbers():
        noise.normal(shape, 0, Stream.TRAINING, dtype=x.dtype)
        if drawn:
            noise.bernoulli(x, 0, Stream.BINARISATION)

    with training.crew:
        parts = {"products": N / statistics.median(sgemm(training, 0.05)[0] for _ in range(REPEATS))}
        parts["layers"] = duration(layers) - parts["products"]
        parts["likelihood"], parts["noise"] = duration(probability), duration(numbers)
        gradient.flat[:] = 0
        parts["update"] = duration(lambda: training.optimiser.update(params, gradient, 0.0))
    whole = N / statistics.median(window(training, 0.1)[0] for _ in range(REPEATS))
    parts["python"] = whole - sum(parts.values())
    return {name: 1e6 * seconds / N for name, seconds in (parts | {"step": whole}).items()}


def duration(function, seconds=0.02):
    """The seconds that a call takes: the median of some repeated measurements, each of about so many seconds."""
    function()
    started = time.perf_counter()
    function()
    calls = max(1, round(seconds / max(time.perf_counter() - started, 1e-7)))

    def measure():
        started = time.perf_counter()
        for _ in range(calls):
            function()
        return (time.perf_counter() - started) / calls

    return statistics.median(measure() for _ in range(REPEATS))
