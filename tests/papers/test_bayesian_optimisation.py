"""The search: expected improvement against Monte Carlo, the believer against fits of the process, and what is found."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import integrate, stats

from tinyvae.papers import bayesian_optimisation
from tinyvae.papers.bayesian_optimisation import (
    GaussianProcess,
    Search,
    choose,
    expected_improvement,
    optimise,
    random_search,
)

SMALL = Search(rounds=3, points=8, most=60, candidates=300, elite=10)
GOAL = np.array([1.0, -0.5, 0.3])


def decode(z):
    """What is decoded is the latent itself, and to some nothing."""
    return [None if one[0] < -2 else one for one in z]


def distance(thing):
    return 9.0 if thing is None else float(np.linalg.norm(thing - GOAL))


def initial(seed, n=200):
    z = np.random.default_rng([seed, 7]).standard_normal((n, 3))
    return z, np.array([distance(one) for one in decode(z)])


# Expected improvement


@pytest.mark.parametrize(("mean", "std", "best"), [(0.0, 1.0, 0.0), (1.3, 0.4, 0.9), (-2.0, 0.7, 0.5), (3.0, 2.0, 1.0)])
def test_expected_improvement_is_the_mean_of_improvements(mean, std, best):
    gains = np.maximum(best - (mean + std * np.random.default_rng(0).standard_normal(400_000)), 0)
    error = gains.std() / np.sqrt(len(gains))
    assert expected_improvement(np.array([mean]), np.array([std]), best)[0] == pytest.approx(
        gains.mean(), abs=4 * error
    )


def test_expected_improvement_is_an_integral():
    grid = np.linspace(-12, 12, 200_001)
    for mean, std, best in ((0.2, 1.1, -1.0), (0.0, 0.01, 0.02)):
        f = mean + std * grid
        integral = integrate.trapezoid(np.maximum(best - f, 0) * stats.norm.pdf(grid), grid)
        assert expected_improvement(np.array([mean]), np.array([std]), best)[0] == pytest.approx(integral, rel=1e-6)


def test_expected_improvement_where_nothing_is_uncertain_or_to_be_hoped_for():
    mean = np.array([0.0, 1.0, 2.0, 1e6])
    with np.errstate(all="raise", under="ignore"):
        np.testing.assert_array_equal(expected_improvement(mean, np.zeros(4), 1.5), [1.5, 0.5, 0, 0])
    assert expected_improvement(mean, np.full(4, 1e-3), 0.0)[3] == 0


# A batch


def test_a_batch_is_that_of_fits_with_what_is_believed():
    """The covariance after a choice is that of a process that is told the mean there; nothing else changes."""
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import RBF

    rng, noise = np.random.default_rng(1), 0.01
    z, candidates = rng.standard_normal((12, 2)), rng.standard_normal((40, 2))
    values, best = np.sin(2 * z[:, 0]) + z[:, 1], -0.6
    kernel = RBF(1.0)
    regressor = GaussianProcessRegressor(kernel, alpha=noise, optimizer=None).fit(z, values)
    mean, covariance = regressor.predict(candidates, return_cov=True)
    chosen, expected = choose(mean, covariance, noise, best, 10), []
    seen, known = z, values
    for _ in range(10):
        regressor = GaussianProcessRegressor(kernel, alpha=noise, optimizer=None).fit(seen, known)
        now, std = regressor.predict(candidates, return_std=True)
        np.testing.assert_allclose(now, mean, atol=1e-6)
        improvement = expected_improvement(now, std, best)
        improvement[expected] = -1
        expected.append(int(improvement.argmax()))
        seen = np.concatenate([seen, candidates[expected[-1:]]])
        known, best = np.append(known, now[expected[-1]]), min(best, now[expected[-1]])
    assert chosen.tolist() == expected and len(set(expected)) == 10


def test_a_batch_of_all_candidates_has_each_once():
    for covariance, noise in ((np.eye(6), 0.1), (np.ones((6, 6)), 0.0), (np.zeros((6, 6)), 0.0)):
        assert sorted(choose(np.arange(6.0), covariance, noise, 0.0, 6).tolist()) == [0, 1, 2, 3, 4, 5]


def test_the_process_knows_what_it_has_seen_and_doubts_what_is_far():
    z, scores = initial(0)
    process = GaussianProcess(z, scores)
    mean, covariance = process.posterior(np.concatenate([z[:20], np.full((1, 3), 30.0)]))
    std = np.sqrt(covariance.diagonal())
    assert np.corrcoef(mean[:20], scores[:20])[0, 1] > 0.9 and std[20] > 2 * std[:20].max()
    assert np.linalg.eigvalsh(covariance).min() > -1e-6
    assert set(process.hyperparameters) == {"amplitude", "length", "noise"}


def test_the_posterior_is_that_of_the_formulas():
    """mean = m + k^T (K + noise I)^-1 (values - m) and covariance = k** - k^T (K + noise I)^-1 k, written out."""
    rng = np.random.default_rng(3)
    z, new = rng.standard_normal((40, 3)), rng.standard_normal((7, 3))
    values = z[:, 0] + np.sin(3 * z[:, 1]) + 0.5 * rng.standard_normal(40)
    process = GaussianProcess(z, values)
    amplitude, length = (process.hyperparameters[name] for name in ("amplitude", "length"))
    assert process.noise == pytest.approx(process.hyperparameters["noise"] * values.var())
    assert process.hyperparameters["noise"] > 0.01

    def kernel(a, b):
        r = np.sqrt(5) * np.linalg.norm(a[:, None] - b, axis=2) / length
        return values.var() * amplitude * (1 + r + r**2 / 3) * np.exp(-r)

    gain = np.linalg.solve(kernel(z, z) + process.noise * np.eye(40), kernel(z, new)).T
    mean, covariance = process.posterior(new)
    np.testing.assert_allclose(mean, values.mean() + gain @ (values - values.mean()), atol=1e-6)
    np.testing.assert_allclose(covariance, kernel(new, new) - gain @ kernel(z, new), atol=1e-6)


def test_scores_that_are_all_the_same_are_no_error():
    outcome = optimise(
        decode, lambda _: 5.0, np.random.default_rng(0).standard_normal((9, 3)), np.full(9, 5.0), 0, SMALL
    )
    assert len(outcome.evaluations) == 24 and outcome.best is outcome.evaluations[0]


# The search


def test_the_search_finds_more_than_random_draws_on_average_over_seeds():
    found = np.array([optimise(decode, distance, *initial(seed), seed, SMALL).best.score for seed in range(6)])
    drawn = np.array([random_search(decode, distance, 3, seed, SMALL).best.score for seed in range(6)])
    assert found.mean() < 0.15 < drawn.mean()
    differences = drawn - found
    assert differences.mean() > 3 * differences.std(ddof=1) / np.sqrt(6)


def test_a_seed_is_a_search():
    one, same, other = (optimise(decode, distance, *initial(0), seed, SMALL) for seed in (3, 3, 4))
    assert one.hyperparameters == same.hyperparameters and (one.scores == same.scores).all()
    assert all((a.z == b.z).all() for a, b in zip(one.evaluations, same.evaluations))
    assert (one.scores != other.scores).any()
    drawn = [random_search(decode, distance, 3, seed, SMALL).scores for seed in (3, 3, 4)]
    assert (drawn[0] == drawn[1]).all() and (drawn[0] != drawn[2]).any()


def test_every_evaluation_is_recorded():
    seen = []

    def watched(z):
        seen.append(z)
        return decode(z)

    searches = (
        lambda: optimise(watched, distance, *initial(1), 0, SMALL),
        lambda: random_search(watched, distance, 3, 0, SMALL),
    )
    for search in searches:
        outcome = search()
        assert [evaluation.round for evaluation in outcome.evaluations] == [0] * 8 + [1] * 8 + [2] * 8
        np.testing.assert_array_equal(np.stack([one.z for one in outcome.evaluations]), np.concatenate(seen))
        for evaluation in outcome.evaluations:
            assert evaluation.score == distance(evaluation.decoded) == distance(*decode(evaluation.z[None]))
        assert outcome.best.score == outcome.scores.min()
        seen.clear()


def test_the_process_is_fitted_to_what_was_evaluated_and_the_best_and_some_others(monkeypatch):
    fitted = []

    class Watched(GaussianProcess):
        def __init__(self, z, values):
            fitted.append((z, values))
            super().__init__(z, values)

    monkeypatch.setattr(bayesian_optimisation, "GaussianProcess", Watched)
    z, scores = initial(2)
    outcome = optimise(decode, distance, z, scores, 0, SMALL)
    for number, (seen, known) in enumerate(fitted):
        room = 60 - 8 * number
        assert len(seen) == len(known) == 60
        best, others = known[: room // 2], known[room // 2 : room]
        np.testing.assert_array_equal(best, np.sort(scores)[: room // 2])
        assert others.min() >= best.max() and len(np.unique(seen, axis=0)) == 60
        np.testing.assert_array_equal(known[room:], outcome.scores[: 8 * number])
        assert all(distance(*decode(one[None])) == value for one, value in zip(seen, known))


def test_an_improvement_is_one_on_the_least_score_of_all_that_was_seen(monkeypatch):
    told = []
    monkeypatch.setattr(bayesian_optimisation, "choose", lambda *each: (told.append(each), choose(*each))[1])
    z, scores = initial(3)
    outcome = optimise(decode, distance, z, scores, 0, SMALL)
    bests = [best for _, _, _, best, _ in told]
    assert bests == [np.concatenate([scores, outcome.scores[:n]]).min() for n in (0, 8, 16)]
    assert bests[1] < bests[0]  # which tells the two apart


def test_half_of_the_candidates_are_near_the_best_that_were_seen_and_half_from_the_prior(monkeypatch):
    """With so small a step that near is at. And the noise of a choice is the process's, in units of the scores."""
    asked, processes, noises = [], [], []

    class Watched(GaussianProcess):
        def __init__(self, z, values):
            super().__init__(z, values)
            processes.append((z, values, self.hyperparameters["noise"] * np.var(values)))

        def posterior(self, z):
            asked.append(z)
            return super().posterior(z)

    def watched(mean, covariance, noise, best, points):
        noises.append(noise)
        return choose(mean, covariance, noise, best, points)

    monkeypatch.setattr(bayesian_optimisation, "GaussianProcess", Watched)
    monkeypatch.setattr(bayesian_optimisation, "choose", watched)
    optimise(decode, distance, *initial(4), 0, replace(SMALL, step=1e-9))
    for candidates, (z, values, _) in zip(asked, processes, strict=True):
        elite = z[np.argsort(values)[:10]]
        nearest = np.linalg.norm(candidates[:, None] - elite, axis=2)
        assert set(nearest[:150].argmin(axis=1)) == set(range(10)) and nearest[:150].min(axis=1).max() < 1e-7
        assert nearest[150:].min() > 1e-3
        assert stats.kstest(candidates[150:].ravel(), "norm").pvalue > 1e-3
    np.testing.assert_allclose(noises, [noise for _, _, noise in processes])


def test_what_the_process_was_not_told_is_not_forgotten(monkeypatch):
    """Neither a good initial latent nor an early evaluation, where there is no room for them."""
    told = []
    monkeypatch.setattr(bayesian_optimisation, "choose", lambda *each: (told.append(each[3]), choose(*each))[1])
    z, scores = initial(3)
    z[17], scores[17] = GOAL, 0.0
    outcome = optimise(decode, distance, z, scores, 0, replace(SMALL, rounds=4, most=12))
    assert told == [0.0] * 4 and len(outcome.scores) == 32


def test_more_points_than_candidates_are_refused():
    with pytest.raises(ValueError, match="8 points cannot be chosen among 7 candidates"):
        replace(SMALL, candidates=7)


def test_few_initial_latents_will_do():
    outcome = optimise(decode, distance, *initial(0, n=2), 0, SMALL)
    assert len(outcome.evaluations) == 24
