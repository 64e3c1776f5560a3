"""Damaged files of strings and of grammars: read as they stand, or refused by a DataError; nothing else may happen."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.data.test_fuzz_formats import mutated, outcome
from tinyvae.data import datasets
from tinyvae.data.grammar_files import parse_grammar, read_grammar

GRAMMARS = [
    b"sum -> sum '+' digit | digit  # sums\ndigit -> '0' | '1'\n",
    b"S -> S '+' T | S '*' T | T\r\nT -> '(' S ')' | \"x\"\r\n",
]
STRINGS = [b"0+1\n1\n0\n1+1+0\n", "x\r\n(x+x)*x\r\n\r\nä\r\n".encode(), b"\xef\xbb\xbfab\nba\n"]
WORDS = [b"->", b"|", b"'", b'"', b"#", b"\n", b" ", b"S", b"digit", b"\xff", b"\0", b"\xe2\x80\xa8", b"\r"]


many = settings(max_examples=300)


@st.composite
def edited(draw, originals):
    """One of the files, with words of its kind put in, or in the place of others."""
    content = bytearray(draw(st.sampled_from(originals)))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(content)))
        content[at : at + draw(st.integers(0, 3))] = draw(st.sampled_from(WORDS))
    return bytes(content)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("fuzz")


@many
@given(mutated(GRAMMARS) | edited(GRAMMARS), st.sampled_from(STRINGS))
def test_a_damaged_grammar_is_a_grammar_or_refused(folder, content, strings):
    (folder / "g.txt").write_bytes(content)
    grammar = outcome(read_grammar, folder / "g.txt")
    if grammar is not None:
        assert parse_grammar("\n".join(grammar.lines())) == grammar
        (folder / "a.txt").write_bytes(strings)
        dataset = outcome(lambda path: datasets.load(path, grammar=grammar), folder / "a.txt")
        assert dataset is None or dataset.vocabulary.grammar == grammar


@many
@given(mutated(STRINGS) | edited(STRINGS), st.sampled_from(GRAMMARS))
def test_damaged_strings_are_read_as_they_stand_or_refused(folder, content, grammar):
    (folder / "a.txt").write_bytes(content)
    dataset = outcome(datasets.load, folder / "a.txt")
    if dataset is not None:
        text = content.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")
        lines = sorted(line for line in text.split("\n") if line.strip())
        found = []
        for rows in (dataset.train, dataset.test):
            found += dataset.vocabulary.text(rows.reshape(-1, *dataset.data_shape).argmax(axis=2))
        assert sorted(found) == lines
    outcome(lambda path: datasets.load(path, grammar=parse_grammar(grammar.decode())), folder / "a.txt")
