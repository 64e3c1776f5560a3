"""The grammar variational autoencoder's experiment: its plans, its decoder, its tables, and a small version of it."""

import csv
import itertools
import json
import math
from dataclasses import replace

import numpy as np
import pytest

from tests.commands import call
from tinyvae import reproduce
from tinyvae.data import datasets, expressions
from tinyvae.data.grammar import Broken
from tinyvae.data.sequences import Rules
from tinyvae.papers import grammar_vae
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
    assert row["best_spread"] == round(0.4 / math.sqrt(2), 3)


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
    assert "what_differs" in result.stdout
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert call("grammar-vae", *words, main=reproduce.main).returncode == 0
    assert before == {path.name: path.read_bytes() for path in folder.iterdir()}
