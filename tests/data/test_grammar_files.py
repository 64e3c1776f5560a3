"""The text form of a grammar: what it means, and that each fault is explained with its line and a remedy."""

import pytest

from tests.data.refusals import refusal_of
from tinyvae.data import expressions
from tinyvae.data.grammar import Rule
from tinyvae.data.grammar_files import ACCEPTED, parse_grammar, read_grammar
from tinyvae.errors import DataError


def test_a_grammar_in_all_its_forms(tmp_path):
    text = """
# sums, and what they are of
sum  ->  sum '+' term|term # left-recursive
term -> 'a b' | "it's" | '|' | '->' | '#'   \t
term->'("' sum '")' | x_1
x_1 -> "x"
"""
    (tmp_path / "sums.txt").write_bytes(b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode())
    grammar = read_grammar(tmp_path / "sums.txt")
    assert grammar.names == ("sum", "term", "x_1")
    assert grammar.rules == (
        Rule(0, (0, "+", 1)), Rule(0, (1,)), Rule(1, ("a b",)), Rule(1, ("it's",)), Rule(1, ("|",)), Rule(1, ("->",)),
        Rule(1, ("#",)), Rule(1, ('("', 0, '")')), Rule(1, (2,)), Rule(2, ("x",)),
    )  # fmt: skip
    assert parse_grammar("\n".join(grammar.lines())) == grammar == parse_grammar(text)


def test_texts_side_by_side_are_one_and_may_have_both_quotes():
    grammar = parse_grammar("""S -> 'a' "'" '"' 'b' S "'" | 'sin' '('""")
    assert grammar.rules == (Rule(0, ("a'\"b", 0, "'")), Rule(0, ("sin(",)))
    assert parse_grammar("\n".join(grammar.lines())) == grammar


def test_the_grammar_of_expressions_is_the_papers():
    assert expressions.GRAMMAR.lines() == [
        "S -> S '+' T", "S -> S '*' T", "S -> S '/' T", "S -> T",
        "T -> '(' S ')'", "T -> 'sin(' S ')'", "T -> 'exp(' S ')'", "T -> 'x'", "T -> '1'", "T -> '2'", "T -> '3'",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("# nothing\n\n", "it holds no rule"),
        ("S 'a'", "line 1 does not begin with a symbol and an arrow"),
        ("\nS", "line 2 does not begin with a symbol and an arrow"),
        ("-> 'a'", "line 1 does not begin with a symbol and an arrow"),
        ("'a' -> 'a'", "line 1 does not begin with a symbol and an arrow"),
        ("S -> 'a' T -> 'b'", "line 1 has a second arrow: write each rule in a line of its own"),
        ("S -> S + 'a' | 'b'", "line 1 has '+' outside quotes: put text into quotes, as in '+'"),
        ("S -> NP 'a'\nNP-SBJ -> 'b'", "line 2 has '-' outside quotes: put text into quotes, as in '-' (the names of"),
        ("<S> -> 'a'", "line 1 has '<' outside quotes"),
        ("S ::= 'a'", "line 1 has ':' outside quotes: a rule is written with ->"),
        ("S = 'a'", "line 1 has '=' outside quotes: a rule is written with ->"),
        ("S -> 'a", "line 1 has a quote without its end: 'a"),
        ("S -> ''", "line 1 has an empty text, '': leave it out"),
        ("S -> 'a' |", "line 1 has an empty right-hand side, which is not supported: write each rule that uses S once"),
        ("S -> 'a'\nS ->", "line 2 has an empty right-hand side"),
        ("S -> | 'a'", "line 1 has an empty right-hand side"),
        (
            "S -> Tt 'a'\nT -> 'b'",
            "line 1 uses Tt, which has no rule: put it into quotes if it is a text, 'Tt', or add",
        ),
        ("S -> 1", "line 1 uses 1, which has no rule: put it into quotes if it is a text, '1'"),
        ("S -> 'a' | T\nT -> T 'b'", "T, of line 2, never comes to an end: all of its rules lead back to symbols that"),
        ("S -> S 'b'", "S, of line 1, never comes to an end"),
        ("S -> 'a'\nT -> 'b'", "line 2 is of T, to which nothing leads from the start symbol S"),
        ("S -> 'a' | 'b'\n\nS -> 'a'", "line 3 has a rule of S that is there already, in line 1: every string with it"),
        (
            "S -> S | 'a'",
            "line 1: S -> S leads from S to itself and adds nothing, so that a string has infinitely many",
        ),
        ("S -> T | 'a'\nT -> U | 'b'\nU -> 'c' | S", "line 1: S -> T -> U -> S leads from S to itself"),
        ("S -> 'ab' | 'a' \"b\"", "line 1 has a rule of S that is there already, in line 1"),
        ("R -> S\nS -> T | 'a'\nT -> S 'x' | S", "line 2: S -> T -> S leads from S to itself"),
        ("S -> " + " | ".join(f"'{i}'" for i in range(1001)), "it has 1,001 rules: at most 1,000 are taken"),
    ],
)
def test_what_cannot_be_dealt_with_is_explained(tmp_path, text, words):
    assert refusal_of(parse_grammar, text).startswith(words)
    path = tmp_path / "g.txt"
    path.write_text(text)
    message = refusal_of(read_grammar, path)
    assert message.startswith(f"{path}: {words}") and message.endswith(ACCEPTED)


def test_a_file_that_is_not_there_or_too_large_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"~nobody-of-this-name/g.txt: it cannot be read"):
        read_grammar("~nobody-of-this-name/g.txt")
    with pytest.raises(DataError, match="it cannot be read"):
        read_grammar(tmp_path / "none.txt")
    with pytest.raises(DataError, match="a folder, a pipe or a device"):
        read_grammar(tmp_path)
    (tmp_path / "large.txt").write_bytes(b"# a comment\n" * 100_000)
    with pytest.raises(DataError, match="it has 1,200,000 bytes: at most 1,048,576 are taken"):
        read_grammar(tmp_path / "large.txt")
