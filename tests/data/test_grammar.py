"""Derivations to strings and back, and walks of many, against rewriting by hand."""

import numpy as np
import pytest

from tinyvae.data.expressions import GRAMMAR
from tinyvae.data.grammar import Broken
from tinyvae.data.grammar_files import parse_grammar
from tinyvae.data.parsing import Parser

NUMBERS = parse_grammar("sum -> sum '+' digit | digit\ndigit -> '0' | '1'")
PUSHY = parse_grammar("S -> S S S S '.' | 'a'")  # more symbols at a step than a stack begins with
EVEN, ONE, ZERO, UNIT, PAD = 0, 3, 2, 1, 4


def test_rules_are_numbered_as_they_stand_and_the_padding_comes_last():
    assert NUMBERS.lines() == ["sum -> sum '+' digit", "sum -> digit", "digit -> '0'", "digit -> '1'"]
    assert NUMBERS.padding == 4 and NUMBERS.groups.tolist() == [0, 0, 1, 1, 2]
    assert GRAMMAR.padding == 11 and GRAMMAR.groups.tolist() == [0] * 4 + [1] * 7 + [2]


def test_a_derivation_is_the_leftmost_one():
    rules = [EVEN, EVEN, UNIT, ONE, ZERO, ONE]
    assert NUMBERS.text(rules) == NUMBERS.text([*rules, PAD, PAD]) == "1+0+1"
    assert NUMBERS.tree(rules) == NUMBERS.tree([*rules, PAD]) == "sum[sum[sum[digit[1]]+digit[0]]+digit[1]]"


@pytest.mark.parametrize(
    ("rules", "broken", "words"),
    [
        ([EVEN, UNIT, ONE], Broken("cut off", "1+digit", 3), "cut off at step 3: 1+digit"),
        ([], Broken("cut off", "sum", 0), "cut off at step 0: sum"),
        ([EVEN, UNIT, UNIT], Broken("invalid", "digit+digit", 2), "invalid at step 2: digit+digit"),
        ([EVEN, PAD], Broken("invalid", "sum+digit", 1), "invalid at step 1: sum+digit"),
        ([UNIT, ONE, ONE], Broken("invalid", "1", 2), "invalid at step 2: 1"),
        ([UNIT, ONE, PAD, ZERO], Broken("invalid", "1", 3), "invalid at step 3: 1"),
        ([PAD], Broken("invalid", "sum", 0), "invalid at step 0: sum"),
    ],
)
def test_what_is_wrong_with_a_sequence_is_said(rules, broken, words):
    assert NUMBERS.text(rules) == NUMBERS.text(np.array(rules, np.int32)) == broken
    assert str(broken) == words


class Form:
    """A derivation by rewriting: the symbols and texts, of which the leftmost symbol is replaced."""

    def __init__(self, grammar):
        self.grammar, self.parts = grammar, [0]

    def leftmost(self):
        return next((i for i, part in enumerate(self.parts) if isinstance(part, int)), None)

    def allowed(self):
        i = self.leftmost()
        return [i is not None and rule.left == self.parts[i] for rule in self.grammar.rules] + [i is None]

    def advance(self, rule):
        if (i := self.leftmost()) is not None:
            self.parts[i : i + 1] = self.grammar.rules[rule].right


@pytest.mark.parametrize("grammar", [NUMBERS, GRAMMAR, PUSHY], ids=["numbers", "expressions", "pushy"])
def test_a_walk_allows_what_rewriting_allows(grammar):
    rng = np.random.default_rng(0)
    walk, forms, taken = grammar.walk(60), [Form(grammar) for _ in range(60)], []
    for _ in range(25):
        allowed = walk.allowed()
        assert allowed.dtype == bool and allowed.tolist() == [form.allowed() for form in forms]
        rules = (allowed * rng.random(allowed.shape)).argmax(axis=1)
        walk.advance(rules)
        for form, rule in zip(forms, rules):
            form.advance(rule)
        assert walk.left.tolist() == [sum(isinstance(part, int) for part in form.parts) for form in forms]
        taken.append(rules)
    for form, rules in zip(forms, np.stack(taken, axis=1)):
        if form.leftmost() is None:
            assert grammar.text(rules) == "".join(form.parts)
        else:
            assert grammar.text(rules).kind == "cut off"
            names = [part if isinstance(part, str) else grammar.names[part] for part in form.parts]
            assert grammar.text(rules).form == "".join(names)


def test_every_walk_that_ends_is_parsed_as_it_was_walked():
    rng = np.random.default_rng(1)
    walk, taken = GRAMMAR.walk(100_000), []
    for _ in range(15):
        allowed = walk.allowed()
        taken.append((allowed * rng.random(allowed.shape)).argmax(axis=1))
        walk.advance(taken[-1])
    sequences, parser = np.stack(taken, axis=1), Parser(GRAMMAR)
    ended = np.flatnonzero(walk.left == 0)
    assert 30_000 < len(ended) < 40_000
    for rules in sequences[ended[:2000]].tolist():
        assert parser.parse(GRAMMAR.text(rules)) == [rule for rule in rules if rule != GRAMMAR.padding]
    for rules in sequences[np.flatnonzero(walk.left)[:200]].tolist():
        assert GRAMMAR.text(rules).kind == "cut off"


def test_a_walk_refuses_a_rule_that_is_not_allowed():
    walk = NUMBERS.walk(3)
    with pytest.raises(ValueError, match="rule 4 is not one that may come next in derivation 2"):
        walk.advance(np.array([0, 1, PAD]))
    walk.advance(np.array([UNIT, UNIT, UNIT]))
    walk.advance(np.array([ONE, ZERO, ZERO]))
    with pytest.raises(ValueError, match="rule 0 is not one that may come next in derivation 1"):
        walk.advance(np.array([PAD, EVEN, PAD]))


def test_no_walk_at_all():
    walk = NUMBERS.walk(0)
    walk.advance(np.zeros(0, int))
    assert walk.allowed().shape == (0, 5)
