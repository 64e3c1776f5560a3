"""log p(x) by importance sampling, in blocks of bounded memory: some examples, some hundreds of samples at a time."""

from collections.abc import Callable

import numpy as np

from tinyvae.data.datasets import to_float
from tinyvae.data.rows import Images
from tinyvae.derivation.model import Model
from tinyvae.derivation.parameters import Parameters
from tinyvae.derivation.shapes import require_labels
from tinyvae.machine import noise
from tinyvae.machine.noise import Stream
from tinyvae.types import Array, Labels

BLOCK = 500  # samples of an example at a time; a multiple of each of GROUPS
GROUPS = (1, 5, 50, 500)  # the K of the bounds that are reported beside log p(x)
# In a block, samples of all examples, and what the decoder's layers put out for them: so many that the interpreter's
# share of the time is small, and so few that they stay in a cache.
ROWS, NUMBERS = 4000, 5_000_000
OnBlock = Callable[[int], object]  # told how many samples were drawn


def log_likelihood(
    model: Model,
    params: Parameters,
    seed: int,
    images: Images,
    labels: Labels | None,
    K: int,
    on_block: OnBlock | None = None,
) -> dict[str, Array]:
    """log p(x) = log E_q[w], estimated as log (1/K) sum_k w_k (IWAE, section 5.1), and what else the weights say.

    The sum over k runs in blocks: with the largest log weight so far, m, sum_k exp(log w_k - m) is kept and rescaled
    when m grows.

    Args:
        model, params: Model and Parameters.
        seed: of the noise.
        images: (N, D), as ``to_float`` takes them.
        labels: (N,), of a conditional model.
        K: samples for each example.
        on_block: called with the number of samples drawn, after each block.

    Returns: {name: (N,)}:
        "log_likelihood", the estimate, a lower bound in expectation, in nats;
        "bound K" for each group size K in ``GROUPS``, the mean over all groups;
        "ess K", the effective number 1 / sum_k v_k² of the normalised weights v_k in a group of K;
        "largest K", the largest v_k in a group.

    Raises: ValueError for labels that do not fit, or nothing to compute.
    """
    require_labels(labels, len(images), model.n_labels)
    if not len(images) or K < 1:
        raise ValueError(f"an example and a sample of it are needed, at least, not {len(images)} and {K}")
    rows = max(1, min(ROWS, NUMBERS // model.decoders[0].kept_numbers) // min(K, BLOCK))

    def task(first: int) -> dict[str, Array]:
        some = slice(first, first + rows)
        y = None if labels is None else labels[some]
        return _stream_weights(model, params, seed, to_float(images[some], params.flat.dtype), y, first, K, on_block)

    parts = [task(first) for first in range(0, len(images), rows)]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


@np.errstate(divide="ignore", invalid="ignore")  # of an example whose density is zero nothing is finite
def _stream_weights(
    model: Model,
    params: Parameters,
    seed: int,
    x: Array,
    y: Labels | None,
    first: int,
    K: int,
    on_block: OnBlock | None,
) -> dict[str, Array]:
    """``log_likelihood`` for some examples, block by block of samples."""
    N = len(x)
    largest, total = np.full((N, 1), -np.inf), np.zeros((N, 1))
    sums: dict[str, Array] = {}
    counts: dict[int, int] = {}
    for start in range(0, K, BLOCK):
        S = min(BLOCK, K - start)
        eps = noise.layers(model.noise_shapes(N, S), seed, Stream.EVALUATION, 1, first, start, x.dtype)
        logw = model.log_weights(params, x, eps, y, keep=False)[0].astype(np.float64)
        new_largest = np.maximum(largest, logw.max(axis=1, keepdims=True))
        unit = _finite(new_largest)
        total = total * np.exp(largest - unit) + np.exp(logw - unit).sum(axis=1, keepdims=True)
        largest = new_largest
        for k in (k for k in GROUPS if k <= S):
            for name, values in _groups(logw[:, : S - S % k].reshape(N, -1, k)).items():
                sums[f"{name} {k}"] = sums.get(f"{name} {k}", 0) + values.sum(axis=1)
            counts[k] = counts.get(k, 0) + S // k
        if on_block:
            on_block(N * S)
    means = {name: value / counts[int(name.split()[1])] for name, value in sums.items()}
    return {"log_likelihood": (largest + np.log(total / K))[:, 0], **means}


def _finite(largest: Array) -> Array:
    """What is taken from log weights before their exponentials: the largest; 0 where all are -inf, which stay so."""
    return np.where(largest == -np.inf, 0, largest)


def _groups(logw: Array) -> dict[str, Array]:
    """The bound, the effective number and the largest weight of each group: (N, G) each from logw (N, G, k)."""
    largest = logw.max(axis=2, keepdims=True)
    w = np.exp(logw - _finite(largest))
    total = w.sum(axis=2)
    return {
        "bound": largest[..., 0] + np.log(total / logw.shape[2]),
        "ess": total**2 / (w * w).sum(axis=2),
        "largest": 1 / total,
    }
