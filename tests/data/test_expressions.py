"""The paper's expressions: every count that is known of them, and Python as the judge of what one is worth."""

import hashlib
import math
from collections import Counter

import numpy as np
import pytest

from tinyvae.data import datasets, expressions
from tinyvae.data.expressions import ANSWERS, GRAMMAR, POINTS, TARGET, WORST, distance, score, value
from tinyvae.data.grammar import Broken
from tinyvae.data.sequences import Characters, Rules, Strings, as_rules

ALL = expressions.expressions(None)


def by_python(string, x):
    """What Python makes of it: its eval, on an array."""
    with np.errstate(all="ignore"):
        result = eval(string, {"__builtins__": {}}, {"x": x, "sin": np.sin, "exp": np.exp})
        return result + np.zeros_like(x)


def score_by_python(string):
    with np.errstate(all="ignore"):
        error = (by_python(string, POINTS) - (1 / 3 + POINTS + np.sin(POINTS * POINTS))) ** 2
    error = [1000 if math.isnan(e) else min(e, 1000) for e in error]
    return math.log(1 + sum(error) / len(error))


# The data


def test_the_strings_are_those_of_the_paper():
    assert len(ALL.strings) == len(set(ALL.strings)) == 100_000
    assert ALL.strings[:3] == ["x+x+(x)+(x+x)", "x+x+(x)+(x+1)", "x+x+(x)+(x+2)"]
    assert ALL.strings[-1] == "1/3+(x)+3" and max(map(len, ALL.strings)) == 19
    digest = hashlib.sha256("\n".join(ALL.strings).encode()).hexdigest()
    assert digest == "8810485b2641860a4b2e30bcb941ab47a1df7aad4cc5b6fe0c07fdfa7cb95a1b"


def test_the_strings_are_the_first_of_a_template():
    """Written out as loops, from the last part that changes to the first."""
    letters = "x123"
    pairs = [a + sign + b for sign in "+*/" for a in letters for b in letters]
    u = [f + "(" + a + ")" for f in ("", "sin", "exp") for a in letters] + list(letters)
    v = [f + "(" + b + ")" for f in ("", "sin", "exp") for b in pairs + list(letters)] + list(letters)
    template = [p + "+" + a + "+" + b for p in pairs for a in u for b in v]
    assert len(template) == 122_880 and template[:100_000] == ALL.strings
    assert TARGET in template[100_000:] and TARGET not in ALL.strings


def test_the_derivations_have_the_known_lengths():
    lengths = (ALL.derivations != GRAMMAR.padding).sum(axis=1)
    assert Counter(lengths.tolist()) == {8: 624, 10: 3_748, 12: 28_092, 14: 67_536}
    assert ALL.derivations.shape == (100_000, 15)


def test_the_derivations_derive_the_strings():
    assert [GRAMMAR.text(rules) for rules in ALL.derivations.tolist()] == ALL.strings


def test_the_derivations_are_those_of_the_parser():
    some = slice(None, None, 37)
    vocabulary, codes = as_rules(Strings(ALL.strings[some]), GRAMMAR)
    assert vocabulary == Rules(15, GRAMMAR)
    np.testing.assert_array_equal(codes, ALL.derivations[some])


@pytest.mark.slow
def test_all_derivations_are_those_of_the_parser():
    np.testing.assert_array_equal(as_rules(Strings(ALL.strings), GRAMMAR)[1], ALL.derivations)


def test_they_are_loaded_as_rules_or_as_characters_split_alike():
    rules, characters = datasets.load("expressions"), datasets.load("expressions", characters=True)
    assert rules.data_shape == (15, 12) and rules.vocabulary == Rules(15, GRAMMAR)
    assert characters.data_shape == (19, 15) and characters.vocabulary == Characters(19, "()*+/123einpsx")
    order = np.random.RandomState(0).permutation(100_000)
    for dataset in (rules, characters):
        assert dataset.train.shape == (90_000, math.prod(dataset.data_shape)) and dataset.train.dtype == bool
        for rows, places in ((dataset.test, order[:10_000]), (dataset.train[:500], order[10_000:10_500])):
            codes = rows.reshape(-1, *dataset.data_shape).argmax(axis=2)
            assert dataset.vocabulary.text(codes) == [ALL.strings[i] for i in places]


def test_unsolved_ones_are_all_but_the_answers():
    unsolved = expressions.expressions_unsolved(None)
    assert len(unsolved.strings) == 99_994
    assert set(ALL.strings) - set(unsolved.strings) == set(ANSWERS)
    assert [GRAMMAR.text(rules) for rules in unsolved.derivations[::50].tolist()] == unsolved.strings[::50]
    loaded = datasets.load("expressions-unsolved")
    assert (len(loaded.train), len(loaded.test), loaded.data_shape) == (89_995, 9_999, (15, 12))


# The score


def test_values_are_pythons():
    x = np.linspace(-3, 3, 41)
    others = ["1", "x", "(((2)))", "1/2/3", "1/(2/3)", "x*2+3*x", "x+2*x", "sin(exp(x))/x", "1/(x/x)*2", "2/x*3+x/2/x"]
    for string in [*ALL.strings[::173], *others]:
        result = value(string, x)
        np.testing.assert_allclose(result, by_python(string, x), rtol=1e-14)
        assert result.shape == x.shape and result.dtype == np.float64


def test_values_of_random_expressions_are_pythons():
    """Also where the grammar's own tree, which knows no precedence, means something else."""
    rng, x = np.random.default_rng(0), np.linspace(-3, 3, 41)
    walk, taken = GRAMMAR.walk(5000), []
    for _ in range(25):
        allowed = walk.allowed()
        taken.append((allowed * rng.random(allowed.shape)).argmax(axis=1))
        walk.advance(taken[-1])
    strings = Rules(25, GRAMMAR).text(np.stack(taken, axis=1)[walk.left == 0])
    mixed = 0
    for string in strings:
        np.testing.assert_allclose(value(string, x), by_python(string, x), rtol=1e-12)
        mixed += "+" in string and ("*" in string or "/" in string)
    assert len(strings) > 1000 and mixed > 200


def test_values_are_those_of_ieee_754():
    x = np.array([0.0, -0.0, 800.0])
    for string in ("1/x", "x/x", "exp(x)", "exp(x)/exp(x)", "sin(exp(x))"):
        np.testing.assert_array_equal(value(string, x), by_python(string, x))


def test_scores_are_over_a_thousand_points_both_ends_among_them():
    assert (len(POINTS), POINTS[0], POINTS[-1]) == (1000, -10, 10)
    np.testing.assert_allclose(np.diff(POINTS), 20 / 999)


def test_scores_are_those_that_were_published_or_recomputed():
    assert score(TARGET) == score("1/3+(x)+sin(x*x)") == 0
    assert score("1/2+(x)+sin(x*x)") == pytest.approx(0.0274, abs=5e-5)
    assert distance(np.zeros(1000)) == pytest.approx(3.56, abs=5e-3)
    some = [score(string) for string in np.random.default_rng(0).choice(ALL.strings, 5000)]
    assert np.mean(some) == pytest.approx(4.72, abs=4 * np.std(some) / np.sqrt(5000))
    assert np.std(some) / np.sqrt(5000) < 0.03


def test_scores_are_pythons():
    others = ["exp(exp(x))/exp(exp(x))", "exp(exp(exp(x)))", "1/x", "x"]
    for string in [*ALL.strings[::499], *ANSWERS, *others]:
        assert score(string) == pytest.approx(score_by_python(string), rel=1e-9, abs=1e-12)


def test_the_answers_score_less_than_all_others():
    assert len(ANSWERS) == 6 and set(ANSWERS) < set(ALL.strings)
    assert max(map(score, ANSWERS)) < 0.05


@pytest.mark.slow
def test_exactly_the_answers_score_under_0_05_and_none_between_that_and_0_2():
    scores = np.array([score(string) for string in ALL.strings])
    assert {ALL.strings[i] for i in np.flatnonzero(scores < 0.2)} == set(ANSWERS)
    assert scores.mean() == pytest.approx(4.72, abs=0.005)
    assert scores.max() == pytest.approx(WORST)  # exp(3*3) alone is 8,103


def test_what_is_no_expression_has_the_worst_score():
    assert math.log(1001) == WORST
    for expression in ("", "x+", "sim(x)", "y", "4", Broken("cut off", "S+T", 15), Broken("invalid", "S", 0)):
        assert score(expression) == WORST
    assert score("exp(exp(3+3))") == pytest.approx(WORST)  # infinite at every point
