"""log p(x) by annealed importance sampling (derivation/annealing.py), in blocks of bounded memory."""

from collections.abc import Callable

import numpy as np

from tinyvae.data.datasets import to_float
from tinyvae.data.rows import Images
from tinyvae.derivation import annealing
from tinyvae.derivation.model import Model
from tinyvae.derivation.parameters import Parameters
from tinyvae.derivation.shapes import require_labels
from tinyvae.machine import noise
from tinyvae.machine.noise import Stream
from tinyvae.types import Array, Arrays, Labels

CHAINS, STEPS = 16, 1000  # of an example, and ratios in a weight
ROWS = 4000  # chains at a time
# The lengths of the leaps are sought by other chains, fewer and with fewer steps, from this length on. They grow where
# all of an example's scouts accept: as often as not where p^4 = 1/2, at p = 0.84, which is what is sought. With more
# leaps would be short, with less many steps in vain.
SCOUTS, FEWER, FIRST_LENGTH = 4, 10, 0.1
OnStep = Callable[[int], object]  # told how many steps were taken, those of all chains together


def count_steps(n: int, chains: int = CHAINS, steps: int = STEPS) -> int:
    """How many steps ``log_likelihood`` takes for n examples: all that its ``on_step`` will be told."""
    return n * (SCOUTS * _steps_of_scouts(steps) + chains * steps)


def log_likelihood(
    model: Model,
    params: Parameters,
    seed: int,
    images: Images,
    labels: Labels | None,
    chains: int = CHAINS,
    steps: int = STEPS,
    on_step: OnStep | None = None,
) -> dict[str, Array]:
    """log p(x), estimated as log (1/K) sum_k w_k by annealed chains.

    Args:
        model, params: Model and Parameters.
        seed: of the noise.
        images: (N, D), as ``to_float`` takes them.
        labels: (N,), of a conditional model.
        chains: K.
        steps: T.
        on_step: called often, with the number of steps taken since; in all ``count_steps``.

    Returns: {name: (N,)}:
        "log_likelihood", the estimate, a lower bound in expectation, in nats;
        "ess", the effective number of chains, 1 / sum_k v_k² for the normalised weights v_k;
        "accepted", the share of steps that were.

    Raises: ValueError for labels that do not fit, or nothing to compute.
    """
    require_labels(labels, len(images), model.n_labels)
    if not len(images) or chains < 1 or steps < 2:
        raise ValueError(f"an example, a chain and 2 steps are needed, at least, not {len(images)}, {chains}, {steps}")
    rows, parts = max(1, ROWS // chains), []
    for first in range(0, len(images), rows):
        some = slice(first, first + rows)
        y = None if labels is None else labels[some]
        x = to_float(images[some], params.flat.dtype)
        parts.append(_estimate(model, params, seed, x, y, first, chains, steps, on_step))
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _steps_of_scouts(T: int) -> int:
    return max(2, T // FEWER)


# Leaps that are too long go to infinity, and are refused; where the density of x is zero no weight is finite.
@np.errstate(over="ignore", invalid="ignore", divide="ignore")
def _estimate(
    model: Model,
    params: Parameters,
    seed: int,
    x: Array,
    y: Labels | None,
    first: int,
    K: int,
    T: int,
    on_step: OnStep | None,
) -> dict[str, Array]:
    """``log_likelihood`` for some examples."""
    fewer = _steps_of_scouts(T)
    sought = _run(model, params, seed, x, y, first, SCOUTS, fewer, FIRST_LENGTH, 0, on_step).lengths
    places = np.linspace(0, 1, T - 1), np.linspace(0, 1, fewer - 1)
    lengths = np.stack([np.interp(*places, own) for own in sought.T], axis=1)
    chains = _run(model, params, seed, x, y, first, K, T, lengths, 1, on_step)
    largest = chains.logw.max(axis=1, keepdims=True)
    w = np.exp(chains.logw - np.where(largest == -np.inf, 0, largest))
    return {
        "log_likelihood": largest[:, 0] + np.log(w.mean(axis=1)),
        "ess": w.sum(axis=1) ** 2 / (w * w).sum(axis=1),
        "accepted": chains.accepted.mean(axis=0),
    }


def _run(
    model: Model,
    params: Parameters,
    seed: int,
    x: Array,
    y: Labels | None,
    first: int,
    K: int,
    T: int,
    lengths: Array | float,
    kind: int,
    on_step: OnStep | None,
) -> annealing.Annealed:
    """K chains for each example; those that seek lengths are of kind 0, those that use them of kind 1."""
    shapes, dtype = model.noise_shapes(len(x), K), x.dtype

    def drawn(t: int) -> tuple[Arrays, Array]:
        """Normal noise (N K, D_l) for each layer, and uniform (N, K, 2): at 0 for the start, then for each step."""
        if on_step and t:  # when the chains ask for the noise of step t they have had the ratio t of their weights
            on_step(len(x) * K)
        place = 2 * t + kind, first
        eps = noise.layers(shapes, seed, Stream.ANNEALING, *place, dtype=dtype)
        u = noise.uniform((len(x), K, 2), seed, Stream.ACCEPTANCE, *place, dtype=np.float64)
        return [e.reshape(-1, e.shape[2]) for e in eps], u

    eps, u = drawn(0)
    each = None if y is None else np.repeat(y, K)
    z = annealing.start(model, params, [e[:, None] for e in eps], u[..., 0].reshape(-1), each)
    ends = annealing.anneal(model, params, x, y, T, z, drawn, lengths)
    if on_step:
        on_step(len(x) * K)  # the ratio T, after which no noise is wanted
    return ends
