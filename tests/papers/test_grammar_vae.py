"""The grammar variational autoencoder's experiment: its plans, its decoder, its tables, and a small version of it."""

import csv
import itertools
import json
import math
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from scipy import stats

from tests.commands import call
from tests.papers.reports import Told
from tinyvae import reproduce
from tinyvae.data import datasets, expressions
from tinyvae.data.grammar import Broken
from tinyvae.data.sequences import Rules, Strings, as_rules
from tinyvae.papers import grammar_vae
from tinyvae.papers.bayesian_optimisation import Evaluation, Outcome, Search
from tinyvae.papers.report import Size
from tinyvae.settings import CHARACTERS
from tinyvae.training.loop import Training
from tinyvae.training.strings import Judge


def test_the_search_has_models_that_were_not_told_the_answers():
    plans = {plan.name: plan for plan in grammar_vae.plans(Size())}
    rules, characters, feedback, *unsolved = plans.values()
    assert [plan.source for plan in (rules, characters, feedback)] == ["expressions"] * 3
    assert [plan.characters for plan in plans.values()] == [False, True, False, False, True]
    assert [plan.samples for plan in plans.values()] == [5000] * 3 + [0] * 2
    assert {plan.source for plan in unsolved} == {"expressions-unsolved"}
    assert [plan.settings for plan in unsolved] == [rules.settings, characters.settings]
    assert rules.settings.free_bits > 0 and replace(rules.settings, free_bits=0.0) == characters.settings
    assert feedback.settings.feedback and not rules.settings.feedback and feedback.settings.free_bits == 0
    assert math.isclose(grammar_vae.ENTROPY, 11.513, abs_tol=5e-4)


class Decoder:
    """Says what it was told to, for each latent."""

    def __init__(self, *groups):
        self.groups = groups

    def decode_strings(self, z, draws, seed):
        assert draws == grammar_vae.DRAWS
        return [one for group in self.groups[: len(z)] for one in [*group, *group[-1:] * draws][:draws]]


def test_a_point_of_the_search_is_its_most_frequent_expression():
    judge = Judge(Rules(15, expressions.GRAMMAR), expressions.GRAMMAR)
    broken = Broken("cut off", "x+T", 15)
    some = Decoder(
        ["x"] * 3 + ["1"] * 4 + [broken] * 18,  # what is no expression is outvoted
        ["1", "x", "x", "1", *[")"] * 21],  # the first of two
        [broken] * 25,
    )
    decoded = grammar_vae.most_frequent(some, judge, 0)(np.zeros((3, 2)))
    assert decoded == ["1", "1", broken]
    assert expressions.score(decoded[2]) == expressions.WORST


def test_a_search_is_of_means_and_each_row_of_its_own_outcome(monkeypatch, tmp_path):
    """Begun with the training strings' posterior means and scores, and by a seed for each pair of searches."""
    strings, grammar = ["x", "1", "2", "x+1"], expressions.GRAMMAR
    vocabulary, codes = as_rules(Strings(strings), grammar)
    means = np.arange(8.0).reshape(4, 2)
    fitted = SimpleNamespace(vocabulary=vocabulary, encode=lambda x: (means, means - 50))
    train = np.eye(len(grammar.rules) + 1)[codes].reshape(4, -1)
    begun = []

    def outcome(*decoded):
        return Outcome([Evaluation(0, np.zeros(2), one, expressions.score(one)) for one in decoded], [])

    def optimise(decode, score, z, scores, seed, search):
        np.testing.assert_array_equal(z, means)
        assert scores.tolist() == [expressions.score(string) for string in strings] and score is expressions.score
        begun.append(("Bayesian", seed, search))
        return outcome("x", expressions.TARGET, Broken("cut off", "x+T", 15))

    def random_search(decode, score, dimensions, seed, search):
        assert dimensions == 2 and score is expressions.score
        begun.append(("random", seed, search))
        return outcome("1", expressions.ANSWERS[-1])

    monkeypatch.setattr(grammar_vae.bayesian_optimisation, "optimise", optimise)
    monkeypatch.setattr(grammar_vae.bayesian_optimisation, "random_search", random_search)
    plan = grammar_vae.plans(Size(seed=5))[3]
    report = Told([plan], tmp_path, fitted=fitted, dataset=SimpleNamespace(grammar=grammar, train=train))
    search = Search(rounds=2)
    rows = grammar_vae.search_rows(report, plan, 2, search)
    assert begun == [(how, seed, search) for seed in (5, 6) for how in ("Bayesian", "random")]
    assert [(row["model"], row["search"], row["seed"]) for row in rows] == [("rules", *one[:2]) for one in begun]
    bayesian, at_random = rows[:2]
    assert (bayesian["best"], bayesian["best_string"]) == (0, expressions.TARGET)
    assert bayesian["mean_score"] == pytest.approx((expressions.score("x") + expressions.WORST) / 3, abs=5e-5)
    assert [bayesian[name] for name in ("evaluations", "no_expression", "found_target")] == [3, 1, True]
    assert at_random["best_string"] == expressions.ANSWERS[-1]
    assert [at_random[name] for name in ("evaluations", "no_expression", "found_target")] == [2, 0, False]
    assert bayesian["found_answer"] is (expressions.TARGET in expressions.ANSWERS) and at_random["found_answer"] is True


def test_the_summary_is_of_the_rows():
    rows = [
        {"model": "rules", "search": "Bayesian", "seed": seed, "best": best, "best_string": string,
         "mean_score": mean, "evaluations": 250, "no_expression": 3, "found_target": best == 0, "found_answer": False}
        for seed, (best, string, mean) in enumerate([(0.4, "x", 3.0), (0.0, "1/3+x+sin(x*x)", 4.0)])
    ]  # fmt: skip
    row = grammar_vae.summary_row("rules", "Bayesian", [*rows, {**rows[0], "search": "random"}])
    assert (row["best_mean"], row["best_of_all"], row["best_string"]) == (0.2, 0.0, "1/3+x+sin(x*x)")
    assert (row["solved"], row["found_target"], row["found_answer"]) == (1, 1, 0)
    assert (row["no_expression"], row["evaluations"]) == (6, 500)
    assert (row["best_spread"], row["mean_score_spread"]) == (round(0.4 / math.sqrt(2), 3), round(1 / math.sqrt(2), 3))


def test_the_comparison_is_of_the_points_of_bayesian_searches_by_the_published_formulas():
    """Scores of what is no expression count in our mean, and not in theirs; ± is a deviation over the root of 5."""
    scores = {"rules": ([1.0, 2.0], [3.0, 4.0]), "characters": ([1.0, None], [5.0, 3.0])}
    rows = [
        {"model": model, "search": how, "evaluations": 2, "no_expression": one.count(None),
         "mean_score": np.mean([expressions.WORST if s is None else s for s in one]) * (how == "Bayesian")}
        for model, searches in scores.items() for one in searches for how in ("Bayesian", "random")
    ]  # fmt: skip
    found = [tuple(row.values())[:-1] for row in grammar_vae.comparison(rows)]
    assert found == [
        ("points_with_an_expression", "rules", 0.99, 0.01, 1, 0),
        ("points_with_an_expression", "characters", 0.86, 0.06, 0.75, round(0.25 / math.sqrt(5), 3)),
        ("mean_score_of_these", "rules", 3.47, 0.24, 2.5, round(1 / math.sqrt(5), 3)),
        ("mean_score_of_these", "characters", 4.75, 0.25, 2.5, round(1.5 / math.sqrt(5), 3)),
    ]
    for row in rows:
        row["no_expression"] = 2
    assert [row["ours"] for row in grammar_vae.comparison(rows)] == [0, 0, "not finite", "not finite"]


@pytest.mark.parametrize(("training", "is_not_below"), [(11.0, False), (11.51, True)])
def test_it_is_all_strings_that_must_not_be_below_the_entropy(training, is_not_below, tmp_path):
    """And not the held-out ones, which are above it in both cases."""
    evaluation = {"log_likelihood": -12.0, "standard_error": 0.04, "elbo": -13.0, "kl": [[1.0, 2.0]]}
    evaluation |= {"active_units": [2], "samples": 5000, "n_images": 4}
    values = training + np.array([-0.03, -0.01, 0.01, 0.03])
    fitted = SimpleNamespace(log_likelihood=lambda x, samples: -values)
    plan = grammar_vae.plans(Size())[0]
    report = Told([plan], tmp_path, evaluation=evaluation, fitted=fitted, dataset=SimpleNamespace(train=np.zeros(9)))
    row = grammar_vae.likelihood_row(report, plan)
    error = stats.sem(values)
    assert row["not_below_entropy"] is is_not_below and row["nll"] == 12 and row["kl"] == 3
    assert (row["training_nll"], row["training_standard_error"]) == (training, round(error, 3))
    assert row["nll_of_all"] == pytest.approx(0.9 * training + 0.1 * 12, abs=5e-4)
    assert row["standard_error_of_all"] == pytest.approx(math.hypot(0.9 * error, 0.1 * 0.04), abs=5e-4)
    evaluation |= dict.fromkeys(("log_likelihood", "standard_error", "elbo")) | {"kl": [[1.0, None]]}
    without = grammar_vae.likelihood_row(report, plan)
    assert (
        {name for name in row if without[name] != row[name]} - {"not_below_entropy"}
        == {name for name in row if without[name] == "not finite"}
        == {"nll", "standard_error", "nll_of_all", "standard_error_of_all", "minus_elbo", "kl"}
    )
    assert without["not_below_entropy"] is False


def test_validity_is_of_draws_its_error_of_latents_and_a_reconstruction_of_its_own_string(tmp_path):
    """Draws of one latent are not independent; those of one string stand side by side."""
    grammar, drawn = expressions.GRAMMAR, ["x"] * 100 + ["1"] * 40 + [Broken("cut off", "x+T", 15)] * 60
    vocabulary, codes = as_rules(Strings(["x", "1", "2"]), grammar)
    again = ["x"] * 10 + ["1"] * 5 + ["2"] * 5 + ["1"] * 10  # ten of ten, five, none

    def reconstruct_strings(strings, draws=1, greedy=False):
        assert (strings, draws) == (["x", "1", "2"], 1 if greedy else 10)
        return ["x", "1", "1"] if greedy else again

    fitted = SimpleNamespace(vocabulary=vocabulary, sample_latents=lambda n: np.zeros((n, 2)))
    fitted.decode_strings, fitted.reconstruct_strings = lambda z, draws: drawn[: len(z) * draws], reconstruct_strings
    dataset = SimpleNamespace(grammar=grammar, test=np.eye(len(grammar.rules) + 1)[codes].reshape(3, -1))
    plan = grammar_vae.plans(Size())[0]
    row = grammar_vae.validity_row(Told([plan], tmp_path, fitted=fitted, dataset=dataset), plan, 2, 3)
    assert (row["draws"], row["valid"], row["cut_off"], row["invalid"], row["different"]) == (200, 0.7, 0.3, 0, 2)
    assert row["standard_error"] == round(stats.sem([1.0, 0.4]), 4) == 0.3
    assert (row["reconstructed"], row["reconstructed_at_the_mean"], row["strings"]) == (0.5, 0.6667, 3)


@pytest.mark.parametrize("feedback", [False, True])
def test_no_model_has_less_than_the_logarithm_of_the_number_of_strings(feedback, tmp_path):
    """Over 40 strings that are all different, and after so long a training that the model knows which these are."""
    strings = ["".join(letters) for letters in itertools.product("abcd", repeat=3)][:40]
    (tmp_path / "strings.txt").write_text("\n".join(strings))
    dataset = datasets.load(str(tmp_path / "strings.txt"))
    everything = np.concatenate([np.asarray(dataset.train), np.asarray(dataset.test)])
    settings = replace(CHARACTERS, units=16, latent=(2,), batch_size=20, epochs=150, feedback=feedback, dtype="float64")
    training = Training(settings, replace(dataset, train=everything), 1)
    for _ in range(settings.epochs):
        training.run_epoch()
    logp = training.fitted.log_likelihood(everything, samples=500)
    assert math.log(40) - 1e-3 < -logp.mean() < math.log(40) + 0.6, -logp.mean()


@pytest.mark.slow
def test_a_small_version_of_it_all(tmp_path):
    words = ("--quick", "--runs", tmp_path / "runs", "--out", tmp_path / "results")
    result = call("grammar-vae", *words, main=reproduce.main)
    assert result.returncode == 0, result.stderr
    folder = tmp_path / "results/grammar-vae-quick"
    tables = {path.stem: list(csv.DictReader(path.read_text().splitlines())) for path in folder.glob("*.csv")}
    assert set(tables) == {"likelihood", "validity", "searches", "optimisation", "published"}
    for row in tables["likelihood"]:
        evaluation = json.loads((tmp_path / f"runs/quick/grammar-vae-{row['model']}/evaluation.json").read_text())
        assert float(row["nll"]) == pytest.approx(-evaluation["log_likelihood"], abs=5e-4)
        parts = 0.9 * float(row["training_nll"]) + 0.1 * float(row["nll"])
        assert float(row["nll_of_all"]) == pytest.approx(parts, abs=2e-3)
        assert float(row["entropy"]) == 11.513 and row["not_below_entropy"] == "True"
    for row in tables["validity"]:
        shares = [float(row[name]) for name in ("valid", "cut_off", "invalid")]
        assert sum(shares) == pytest.approx(1, abs=2e-4) and row["draws"] == "2000"
        assert row["model"] == "characters" or row["invalid"] == "0.0"
    assert len(tables["searches"]) == 2 * 2 * 2 and len(tables["optimisation"]) == 4
    for row in tables["searches"]:
        assert float(row["best"]) == pytest.approx(expressions.score(row["best_string"]), abs=1e-4)
    assert [row["published"] for row in tables["published"]] == ["0.99", "0.86", "3.47", "4.75"]
    assert tables["published"] == [
        {name: str(value) for name, value in row.items()} for row in grammar_vae.comparison(tables["searches"])
    ]
    assert "what_differs" in result.stdout
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert call("grammar-vae", *words, main=reproduce.main).returncode == 0
    assert before == {path.name: path.read_bytes() for path in folder.iterdir()}


def test_the_search_is_the_one_of_the_readme():
    """250 decodes, at random as many; ten seeds; strings drawn 25 times at each of 1,000 latents, decoded 100 times."""
    assert Search().rounds * Search().points == 250
    assert (grammar_vae.SEEDS, grammar_vae.DRAWS, grammar_vae.LATENTS, grammar_vae.DECODES) == (10, 25, 1000, 100)
    assert grammar_vae.SOLVED == 0.05
