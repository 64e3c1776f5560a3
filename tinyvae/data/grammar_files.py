"""The text form of a grammar, much as NLTK writes it, and what is wrong with one, in words.

    # sums of digits; the first left-hand side is the start symbol
    sum -> sum '+' digit | digit
    digit -> '0' | '1'

A rule a line, with ``|`` between several right-hand sides; texts in single or double quotes; names of symbols are
letters, digits and underscores; ``#`` begins a comment. Several lines may have the same left-hand side. Rules are
numbered as they stand, from 0; texts side by side are one.
"""

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from tinyvae.data import formats, text_files
from tinyvae.data.grammar import Grammar, Rule
from tinyvae.errors import DataError
from tinyvae.types import AnyPath

ACCEPTED = (
    "A grammar is a text file with a rule a line, such as: sum -> sum '+' digit | digit\n"
    "Texts stand in quotes, the first left-hand side is the start symbol, and # begins a comment."
)
LARGEST = 2**20  # bytes of such a file
MOST_RULES = 1000  # a network has an output for each, at every step
TOKEN = re.compile(
    r"""\s*(?:(?P<name>\w+)|(?P<arrow>->)|(?P<bar>\|)|'(?P<single>[^']*)'|"(?P<double>[^"]*)"|(?P<end>\#|$))"""
)


class Line(NamedTuple):
    """A rule where it stands: names are str, and texts are Text."""

    number: int
    left: str
    right: tuple["str | Text", ...]


class Text(NamedTuple):
    """A text of a right-hand side."""

    characters: str


def read_grammar(path: AnyPath) -> Grammar:
    """The grammar in a file.

    Args:
        path: of the file, text in UTF-8.

    Raises: DataError if it cannot be read, or is no grammar that can be used: with the line, and what to do.
    """
    path = Path(os.path.expanduser(path))
    with formats.explained(path, ACCEPTED):
        return parse_grammar(text_files.read(path, LARGEST))


def parse_grammar(text: str) -> Grammar:
    """The grammar that a text describes, as the file's first lines say.

    Raises: DataError (the reason alone) for what is no such description, or a grammar that cannot be used: a symbol
        without rules, one that leads to no text or to which nothing leads, an empty right-hand side, a rule that is
        there twice, and symbols that lead to themselves alone, with which a string has infinitely many derivations.
    """
    lines = [rule for number, line in enumerate(text.split("\n"), 1) for rule in _rules(number, line)]
    if not lines:
        raise DataError("it holds no rule")
    if len(lines) > MOST_RULES:
        raise DataError(f"it has {len(lines):,} rules: at most {MOST_RULES:,} are taken")
    names = tuple(dict.fromkeys(line.left for line in lines))
    _require_different(lines)
    _require_known(lines, names)
    _require_productive(lines, names)
    _require_reached(lines, names)
    _require_acyclic(lines, names)
    number = {name: i for i, name in enumerate(names)}
    rights = (
        tuple(part.characters if isinstance(part, Text) else number[part] for part in line.right) for line in lines
    )
    return Grammar(names, tuple(Rule(number[line.left], right) for line, right in zip(lines, rights)))


def _rules(number: int, line: str) -> list[Line]:
    """The rules of a line, none of an empty one."""
    tokens = _tokens(number, line)
    if not tokens:
        return []
    if len(tokens) < 2 or tokens[0][0] != "name" or tokens[1][0] != "arrow":
        raise DataError(f"line {number} does not begin with a symbol and an arrow, as in: digit -> '0' | '1'")
    rights: list[list[str | Text]] = [[]]
    for kind, value in tokens[2:]:
        if kind == "arrow":
            raise DataError(f"line {number} has a second arrow: write each rule in a line of its own")
        if kind == "bar":
            rights.append([])
        elif kind == "name":
            rights[-1].append(value)
        elif rights[-1] and isinstance(before := rights[-1][-1], Text):
            rights[-1][-1] = Text(before.characters + value)  # 'a' 'b' is the rule 'ab'
        else:
            rights[-1].append(Text(value))
    for right in rights:
        if not right:
            raise DataError(
                f"line {number} has an empty right-hand side, which is not supported: write each rule that uses "
                f"{tokens[0][1]} once with it and once without it, and leave the empty one out"
            )
    return [Line(number, tokens[0][1], tuple(right)) for right in rights]


def _tokens(number: int, line: str) -> list[tuple[str, str]]:
    """[(kind, value)] of a line, without its comment."""
    tokens: list[tuple[str, str]] = []
    at = 0
    while True:
        match = TOKEN.match(line, at)
        if match is None:
            rest = line[at:].strip()
            if rest[0] in "'\"":
                raise DataError(f"line {number} has a quote without its end: {rest[:40]}")
            if rest[0] in "‘’‚“”„«»":
                raise DataError(
                    f"line {number} has the quotation mark {rest[0]}: texts stand between ' and ', or \" and \""
                )
            if rest[0] in "→⟶⇒":
                raise DataError(f"line {number} has the arrow {rest[0]}: a rule is written with ->")
            if rest[0] in ":=":
                raise DataError(f"line {number} has {rest[0]!r} outside quotes: a rule is written with ->")
            raise DataError(
                f"line {number} has {rest[0]!r} outside quotes: put text into quotes, as in '{rest[0]}' (the names of "
                "symbols are letters, digits and _ alone)"
            )
        kind, at = str(match.lastgroup), match.end()
        if kind == "end":
            return tokens
        if kind in ("single", "double") and not match[kind]:
            raise DataError(f"line {number} has an empty text, {match[0].strip()}: leave it out")
        tokens.append((kind, match[kind]))


# What a grammar must not have


def _require_different(lines: Sequence[Line]) -> None:
    seen: dict[tuple[object, ...], int] = {}
    for line in lines:
        if line[1:] in seen:
            raise DataError(
                f"line {line.number} has a rule of {line.left} that is there already, in line {seen[line[1:]]}: every "
                "string with it would have two derivations; leave one out"
            )
        seen[line[1:]] = line.number


def _require_known(lines: Sequence[Line], names: Sequence[str]) -> None:
    for line in lines:
        for part in line.right:
            if isinstance(part, str) and part not in names:
                raise DataError(
                    f"line {line.number} uses {part}, which has no rule: put it into quotes if it is a text, "
                    f"'{part}', or add a line: {part} -> ..."
                )


def _require_productive(lines: Sequence[Line], names: Sequence[str]) -> None:
    found: set[str] = set()
    while (
        more := {line.left for line in lines if all(isinstance(part, Text) or part in found for part in line.right)}
        - found
    ):
        found |= more
    if lost := [name for name in names if name not in found]:
        number = next(line.number for line in lines if line.left == lost[0])
        raise DataError(
            f"{lost[0]}, of line {number}, never comes to an end: all of its rules lead back to symbols that do not "
            f"({', '.join(lost)}); add a rule with texts, or with symbols that do"
        )


def _require_reached(lines: Sequence[Line], names: Sequence[str]) -> None:
    found = {names[0]}
    while (
        more := {part for line in lines if line.left in found for part in line.right if isinstance(part, str)} - found
    ):
        found |= more
    if lost := next((line for line in lines if line.left not in found), None):
        raise DataError(
            f"line {lost.number} is of {lost.left}, to which nothing leads from the start symbol {names[0]} (that of "
            "the first line): leave its rules out, use it, or begin with another symbol"
        )


def _require_acyclic(lines: Sequence[Line], names: Sequence[str]) -> None:
    """No A -> B, B -> A. Where rules are not empty, nothing else gives a string infinitely many derivations."""
    to: dict[str, list[str]] = {name: [] for name in names}
    for line in lines:
        if len(line.right) == 1 and isinstance(only := line.right[0], str):
            to[line.left].append(only)
    for first in names:
        came_from: dict[str, str] = {}
        reached = [first]
        for name in reached:  # which grows on the way
            for other in to[name]:
                if other not in came_from:
                    came_from[other] = name
                    reached.append(other)
        if first in came_from:
            path = [first, came_from[first]]
            while path[-1] != first:
                path.append(came_from[path[-1]])
            numbers = [line.number for line in lines if line.left == first and line.right == (path[-2],)]
            raise DataError(
                f"line {numbers[0]}: {' -> '.join(reversed(path))} leads from {first} to itself and adds nothing, "
                "so that a string has infinitely many derivations: leave one of these rules out"
            )
