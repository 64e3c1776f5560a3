"""Earley's parser against counting all derivations, on random grammars: is there one, is it the only one."""

import itertools
import random
from functools import cache

import pytest

from tinyvae.data.expressions import GRAMMAR
from tinyvae.data.grammar_files import parse_grammar
from tinyvae.data.parsing import Parser
from tinyvae.errors import DataError


def counter(grammar):
    """A function: in how many ways a string derives from a symbol. No rule is empty, and no symbol leads to itself."""

    @cache
    def of_symbol(symbol, string):
        return sum(of_parts(right, string) for left, right in grammar.rules if left == symbol)

    @cache
    def of_parts(parts, string):
        if not parts:
            return int(string == "")
        first, *rest = parts
        if isinstance(first, str):
            return of_parts(tuple(rest), string[len(first) :]) if string.startswith(first) else 0
        ends = range(1, len(string) - len(rest) + 1)
        return sum(of_symbol(first, string[:k]) * of_parts(tuple(rest), string[k:]) for k in ends)

    return of_symbol


def random_grammar(seed):
    """A grammar of up to three symbols over a and b, or None where it is none that can be used."""
    rng = random.Random(seed)
    names = "ABC"[: rng.randint(1, 3)]
    parts = [*names, *names, "'a'", "'b'", "'ab'", "'ba'"]
    lines = []
    for name in names:
        rights = [" ".join(rng.choices(parts, k=rng.choice([1, 1, 2, 2, 3]))) for _ in range(rng.randint(1, 3))]
        lines.append(f"{name} -> {' | '.join(rights)}")
    try:
        return parse_grammar("\n".join(lines))
    except DataError:
        return None


STRINGS = ["".join(letters) for n in range(7) for letters in itertools.product("ab", repeat=n)]


def test_random_grammars_parse_as_counting_says():
    grammars = [grammar for seed in range(1500) if (grammar := random_grammar(seed))]
    found = {"none": 0, "one": 0, "more": 0}
    for grammar in grammars[:250]:
        ways, parser = counter(grammar), Parser(grammar)
        for string in STRINGS:
            n = ways(0, string)
            try:
                rules = parser.parse(string)
            except DataError as error:
                if n == 0:
                    found["none"] += 1
                    assert " does not parse" in str(error) or "ends too early" in str(error)
                else:
                    found["more"] += 1
                    assert n > 1 and "has two derivations" in str(error)
                    _, first, second = str(error).split("\n")
                    assert first != second
                    for tree in (first, second):  # a and b are no names
                        assert "".join(c for c in tree if c in "ab") == string
            else:
                found["one"] += 1
                assert n == 1 and grammar.text(rules) == string
    assert min(found.values()) > 300, found


def test_the_order_of_strings_makes_no_difference():
    """Columns are shared between strings that begin alike."""
    alone = {string: outcome(Parser(GRAMMAR), string) for string in EXAMPLES}
    parser, rng = Parser(GRAMMAR), random.Random(0)
    for _ in range(200):
        string = rng.choice(EXAMPLES)
        assert outcome(parser, string) == alone[string]


EXAMPLES = [
    "x",
    "x+1",
    "x+1*2",
    "sin(x)",
    "sin(x",
    "sim(x)",
    "sin(x)+",
    "",
    "(1)",
    "(1",
    "x+1*",
    "y",
    "xx",
    "exp(sin(x))/3",
]


def outcome(parser, string):
    try:
        return parser.parse(string)
    except DataError as error:
        return str(error)


@pytest.mark.parametrize(
    ("string", "words"),
    [
        ("1+", "'1+' ends too early: there could follow '(', '1', '2', '3', 'exp(', 'sin(', 'x'"),
        ("(x", "'(x' ends too early: there could follow ')', '*', '+', '/'"),
        ("", "'' ends too early: there could follow '(', '1', '2', '3', 'exp(', 'sin(', 'x'"),
        ("sim(x)", "'sim(x)' does not parse from character 3 on, which is 'm': there could stand 'n('"),
        ("x)", "'x)' does not parse from character 2 on, which is ')': there could stand '*', '+', '/' or the end"),
        ("x + 1", "from character 2 on, which is ' ': there could stand '*', '+', '/' or the end"),
    ],
)
def test_where_a_string_fails_and_what_could_have_stood_there(string, words):
    assert words in outcome(Parser(GRAMMAR), string)


def test_a_string_that_goes_on_where_nothing_may():
    assert outcome(Parser(parse_grammar("S -> 'a'")), "aa").endswith("which is 'a': there could stand nothing more")


def test_an_ambiguous_string_is_shown_with_both_derivations():
    message = outcome(Parser(parse_grammar("S -> S '+' S | 'a'")), "a+a+a")
    assert message == (
        "'a+a+a' has two derivations, and the grammar must leave one:\n  S[S[S[a]+S[a]]+S[a]]\n  S[S[a]+S[S[a]+S[a]]]"
    )


def test_ambiguity_beside_the_derivation_does_not_matter():
    """'aa' has two derivations as an A, and 'aac' has one, as a B."""
    grammar = parse_grammar("S -> A 'b' | B\nA -> A A | 'a'\nB -> 'aac'")
    assert grammar.text(Parser(grammar).parse("aac")) == "aac"
    assert "two derivations" in outcome(Parser(grammar), "aaab")


def test_left_recursion_and_depth_have_no_limit():
    parser = Parser(GRAMMAR)
    for string in ("+".join(["x"] * 3000), "(" * 3000 + "x" + ")" * 3000):
        rules = parser.parse(string)
        assert GRAMMAR.text(rules) == string and GRAMMAR.tree(rules).count("[") == len(rules)


def test_a_long_string_is_cut_in_messages():
    message = outcome(Parser(GRAMMAR), "x+" * 500)
    assert len(message) < 350 and "x+..." in message


def test_what_a_string_of_the_language_begins_with():
    """Every beginning of a string, and what follows no rule not even in part; parsing afterwards is what it was."""
    parser = Parser(GRAMMAR)
    for string in ("1/3+(x)+sin(x*x)", "exp(2)", "x"):
        assert all(parser.begins(string[:n]) for n in range(len(string) + 1))
        assert parser.parse(string) == Parser(GRAMMAR).parse(string)
    for string in (")", "1++", "x)", "si(", "1/3+(x)+sin(x*x))"):
        assert not parser.begins(string) and parser.begins(string[:-1])
        with pytest.raises(DataError, match="does not parse"):
            parser.parse(string)
    assert parser.begins("1+") and not parser.begins("1+)") and parser.parse("1+2") == Parser(GRAMMAR).parse("1+2")
