"""Bayesian optimisation: the least score in a latent space, found with few evaluations.

As in the grammar variational autoencoder (Kusner, Paige and Hernández-Lobato 2017, section 4): a Gaussian process is
fitted to latents and the scores of what they are decoded to; the next latents are those where it expects the largest
improvement on the least score so far; these are decoded and scored; and so on, in rounds. What differs from the paper:
an exact process on at most 500 latents takes the place of a sparse one with 500 inducing points, and the expected
improvement is maximised among random candidates.
"""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from scipy import stats

from tinyvae.types import Array

Decode = Callable[[Array], Sequence[Any]]  # latents (n, D) to n things, strings or Broken
Score = Callable[[Any], float]  # of one of them, finite whatever it is; the less the better


@dataclass(frozen=True)
class Search:
    """How much is evaluated, and what the model sees.

    Attributes:
        rounds: fits of the Gaussian process, one after the other.
        points: evaluations in each round, chosen together.
        most: latents that the process is fitted to. These are all that the search has evaluated and, to fill up, from
            the initial ones as many of the least scores as of a random choice among the others.
        candidates: latents among which a round chooses: one half from the prior N(0, I), the other half around those
            of the least scores.
        elite: how many these are.
        step: standard deviation of a candidate around one of them, in each dimension.
    """

    rounds: int = 5
    points: int = 50
    most: int = 500
    candidates: int = 2000
    elite: int = 25
    step: float = 0.3

    def __post_init__(self) -> None:
        if self.points > self.candidates:
            raise ValueError(f"{self.points} points cannot be chosen among {self.candidates} candidates")


class Evaluation(NamedTuple):
    """One latent that was decoded and scored."""

    round: int  # from 0
    z: Array  # (D,)
    decoded: Any
    score: float


class Outcome(NamedTuple):
    """A search.

    Attributes:
        evaluations: all of them, in their order.
        hyperparameters: of the Gaussian process in each round: "amplitude" (a variance) and "noise" (also), both in
            units of the scores' variance, and "length", of the latent space.
    """

    evaluations: list[Evaluation]
    hyperparameters: list[dict[str, float]]

    @property
    def scores(self) -> Array:
        """(rounds x points,) float64, of the evaluations."""
        return np.array([evaluation.score for evaluation in self.evaluations])

    @property
    def best(self) -> Evaluation:
        """The first of the evaluations with the least score."""
        return self.evaluations[int(self.scores.argmin())]


def optimise(decode: Decode, score: Score, z: Array, scores: Array, seed: int, search: Search = Search()) -> Outcome:
    """Search for the least score.

    Args:
        decode: from latents (n, D) float64 to n things.
        score: of a thing, a finite number.
        z: (n, D) float64, initial latents, n >= 2, such as those of training data.
        scores: (n,) float64, of what they are latents of.
        seed: of everything random here; ``decode`` is to be as deterministic as the search is to be.
        search: Search.
    """
    rng = np.random.default_rng(seed)
    z, scores = np.asarray(z, np.float64), np.asarray(scores, np.float64)
    evaluations: list[Evaluation] = []
    hyperparameters = []
    for number in range(search.rounds):
        seen, known = _fitted_to(evaluations, z, scores, search, rng)
        process = GaussianProcess(seen, known)
        hyperparameters.append(process.hyperparameters)
        elite = seen[np.argsort(known, kind="stable")[: search.elite]]
        candidates = rng.standard_normal((search.candidates, z.shape[1]))
        half = search.candidates // 2
        candidates[:half] = elite[rng.integers(len(elite), size=half)] + search.step * candidates[:half]
        mean, covariance = process.posterior(candidates)
        # of all that was seen: the process may have been told less
        least = min([float(scores.min()), *(evaluation.score for evaluation in evaluations)])
        chosen = candidates[choose(mean, covariance, process.noise, least, search.points)]
        evaluations += _evaluated(number, chosen, decode, score)
    return Outcome(evaluations, hyperparameters)


def random_search(decode: Decode, score: Score, dimensions: int, seed: int, search: Search = Search()) -> Outcome:
    """As many evaluations, of latents from the prior N(0, I): what any search is to be compared with.

    With the same seed they begin with the same random numbers as ``optimise``: the two go together, and searches of
    other seeds are independent of both.

    Args: as for ``optimise``; dimensions: D.
    """
    rng = np.random.default_rng(seed)
    latents = rng.standard_normal((search.rounds, search.points, dimensions))
    return Outcome([one for i, z in enumerate(latents) for one in _evaluated(i, z, decode, score)], [])


def _evaluated(number: int, z: Array, decode: Decode, score: Score) -> list[Evaluation]:
    return [Evaluation(number, one, decoded, score(decoded)) for one, decoded in zip(z, decode(z))]


def _fitted_to(
    evaluations: Sequence[Evaluation], z: Array, scores: Array, search: Search, rng: np.random.Generator
) -> tuple[Array, Array]:
    """(latents (n, D), their scores (n,)) for the Gaussian process, as ``Search.most`` says."""
    room = min(max(0, search.most - len(evaluations)), len(z))
    order = np.argsort(scores, kind="stable")
    best, others = order[: room // 2], order[room // 2 :]
    taken = np.concatenate([best, rng.choice(others, room - len(best), replace=False)])
    latest = evaluations[-search.most :]
    return (
        np.concatenate([z[taken], *(evaluation.z[None] for evaluation in latest)]),
        np.concatenate([scores[taken], [evaluation.score for evaluation in latest]]),
    )


def expected_improvement(mean: Array, std: Array, best: float) -> Array:
    """E[max(best - f, 0)] for f ~ N(mean, std²): (best - mean) Phi(u) + std phi(u) with u = (best - mean) / std
    (Mockus 1975; Jones, Schonlau and Welch 1998, Eq. 15).

    Args:
        mean, std: (n,) float64, std >= 0.
        best: the least value so far.

    Returns: (n,) float64, in units of f.
    """
    gain = best - mean
    uncertain = std > 1e-12 * (1 + abs(gain))  # elsewhere it is max(gain, 0)
    u = gain / np.where(uncertain, std, 1)
    return np.where(uncertain, np.maximum(gain * stats.norm.cdf(u) + std * stats.norm.pdf(u), 0), np.maximum(gain, 0))


def choose(mean: Array, covariance: Array, noise: float, best: float, points: int) -> np.ndarray:
    """The places of several candidates that are evaluated together.

    One after the other, each with the largest expected improvement, as if the one before had been evaluated and had its
    mean for a result (the kriging believer: Ginsbourger, Le Riche and Carraro 2010). That changes no mean, and lowers
    the covariance by c c^T / (c_i + noise), where c is the chosen one's column and c_i its own variance. So the
    covariance is the first one less F F^T, where each choice adds the column c / sqrt(c_i + noise) to F.

    Args:
        mean: (n,) float64, of the process at the candidates.
        covariance: (n, n) float64.
        noise: the variance of an evaluation around the process.
        best: the least value so far.
        points: how many to choose, at most n.

    Returns: (points,) int64.
    """
    chosen, left = np.zeros(points, np.int64), np.ones(len(mean), bool)
    factor, variance = np.zeros((len(mean), points)), covariance.diagonal().copy()
    for j in range(points):
        improvement = expected_improvement(mean, np.sqrt(np.maximum(variance, 0)), best)
        i = chosen[j] = int(np.where(left, improvement, -1).argmax())
        left[i], best = False, min(best, mean[i])
        if variance[i] + noise > 0:  # else it is known, and says nothing of others
            column = covariance[:, i] - factor @ factor[i]
            factor[:, j] = column / np.sqrt(variance[i] + noise)
            variance -= factor[:, j] ** 2
    return chosen


class GaussianProcess:
    """A Gaussian process with a Matérn kernel of smoothness 5/2, one length scale for all dimensions, and noise; the
    three hyperparameters are those of the largest marginal likelihood, found from one start (scikit-learn).

    Args:
        z: (n, D) float64.
        values: (n,) float64, which are standardised.

    Attributes:
        hyperparameters: as ``Outcome`` has them.
        noise: its variance, in units of the values.
    """

    def __init__(self, z: Array, values: Array):
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.gaussian_process import GaussianProcessRegressor
        from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel

        length = np.sqrt(z.shape[1])  # how far apart latents are
        kernel = ConstantKernel(1.0, (1e-2, 1e2)) * Matern(length, (0.1 * length, 10 * length), nu=2.5)
        self._regressor = GaussianProcessRegressor(kernel + WhiteKernel(0.1, (1e-4, 1.0)), normalize_y=True)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # at a bound, which is there to be kept
            self._regressor.fit(z, values)
        signal, white = self._regressor.kernel_.k1, self._regressor.kernel_.k2
        self.hyperparameters = {
            "amplitude": float(signal.k1.constant_value),
            "length": float(signal.k2.length_scale),
            "noise": float(white.noise_level),
        }
        self.noise = float(white.noise_level * (np.var(values) or 1.0))

    def posterior(self, z: Array) -> tuple[Array, Array]:
        """(mean (m,), covariance (m, m)) of the process at z (m, D), noise not included."""
        mean, covariance = self._regressor.predict(z, return_cov=True)
        return mean, covariance - self.noise * np.eye(len(z))
