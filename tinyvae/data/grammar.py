"""Context-free grammars: a string is written as the rules of its leftmost derivation, one rule a step.

The grammar variational autoencoder (Kusner, Paige and Hernández-Lobato 2017, section 3) takes a string for the sequence
of rules that derives it from the start symbol, where each rule replaces the leftmost symbol that is left. Whoever draws
a sequence rule by rule keeps the symbols that are left on a stack, and takes only rules of the symbol on its top: so
every sequence that comes to its end is a string of the language.

A sequence has T steps. When no symbol is left, what remains is filled with one more "rule", the padding.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

import numpy as np

PADDING = "padding"  # how the rule that fills a sequence is named


class Rule(NamedTuple):
    """``names[left] -> right``, where a str in ``right`` is text and an int the number of a symbol."""

    left: int
    right: tuple[int | str, ...]


@dataclass(frozen=True)
class Broken:
    """A sequence that is no string.

    Attributes:
        kind: "cut off", where symbols are left after the last step, or "invalid", where a rule is not one of the symbol
            that is to be replaced.
        form: what was derived until then, the symbols that are left by their names: "1/3+sin(S)".
        step: the step of the rule that cannot be, from 0; the number of all steps where it is cut off.
    """

    kind: str
    form: str
    step: int

    def __str__(self) -> str:
        return f"{self.kind} at step {self.step}: {self.form}"


@dataclass(frozen=True)
class Grammar:
    """A context-free grammar, as ``grammar_files.parse_grammar`` makes it, which checks what is said here.

    No right-hand side is empty, no symbol leads to itself alone (A -> B, B -> A), and each can be reached from the
    start and leads to a text. It may be left-recursive.

    Attributes:
        names: of the symbols, which all stand on a left-hand side; the first is the start symbol.
        rules: of the number r = 0, 1, ..., V - 2; the number V - 1 is the padding.
    """

    names: tuple[str, ...]
    rules: tuple[Rule, ...]

    @property
    def padding(self) -> int:
        """The number of the rule that fills a sequence, V - 1."""
        return len(self.rules)

    @cached_property
    def groups(self) -> np.ndarray:
        """(V,) int64: the symbol that each rule replaces, by its number; the padding has a number of its own.

        Where a rule may stand, all of its group may, and no other.
        """
        return np.array([*(rule.left for rule in self.rules), len(self.names)])

    def lines(self) -> list[str]:
        """The rules as ``grammar_files.parse_grammar`` reads them, one a line, in the order of their numbers."""
        return [f"{self.names[left]} -> {' '.join(map(self._quoted, right))}" for left, right in self.rules]

    def _quoted(self, part: int | str) -> str:
        if isinstance(part, int):
            return self.names[part]
        # a text may have both kinds of quotes: it is then written as several, side by side
        return " ".join(f'"{piece}"' if "'" in piece else f"'{piece}'" for piece in re.findall("'+|[^']+", part))

    def text(self, rules: Sequence[int]) -> str | Broken:
        """The string that a sequence of rules derives.

        Args:
            rules: numbers from 0 to V - 1: a leftmost derivation and, if you like, its padding.

        Returns: the string, or what is wrong with the sequence.
        """
        written: list[str] = []
        left: list[int | str] = [0]  # what is to be written or replaced, the next one last
        padding = self.padding
        for step, rule in enumerate(rules):
            _write(written, left)
            if rule == padding and not left:
                continue
            if rule == padding or not left or self.rules[rule].left != left[-1]:
                return Broken("invalid", self._form(written, left), step)
            left[-1:] = self.rules[rule].right[::-1]
        _write(written, left)
        return Broken("cut off", self._form(written, left), len(rules)) if left else "".join(written)

    def _form(self, written: list[str], left: list[int | str]) -> str:
        return "".join(written + [part if isinstance(part, str) else self.names[part] for part in reversed(left)])

    def tree(self, rules: Sequence[int]) -> str:
        """A derivation in brackets, each after the symbol that was replaced: "S[S[T[x]]+T[1]]".

        Args:
            rules: numbers of a whole derivation, and padding or none.
        """
        written: list[str] = []
        left: list[int | str] = [0]
        for rule in rules:
            _write(written, left)
            if rule != self.padding:
                written.append(f"{self.names[self.rules[rule].left]}[")
                left[-1:] = ["]", *self.rules[rule].right[::-1]]
        _write(written, left)
        return "".join(written)

    def walk(self, n: int) -> "Walk":
        """n derivations at their beginning."""
        return Walk(self, n)


def _write(written: list[str], left: list[int | str]) -> None:
    """Move the texts on the top of a stack to the end of what is written."""
    while left and isinstance(left[-1], str):
        written.append(left.pop())  # type: ignore[arg-type]


@dataclass(eq=False)
class Walk:
    """n derivations, side by side, one rule of each at a time. Only the symbols that are left are kept, as stacks.

    Attributes:
        grammar: Grammar.
        n: of derivations.
        left: (n,) int64, how many symbols are left.
    """

    grammar: Grammar
    n: int
    left: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        symbols = [[part for part in right[::-1] if isinstance(part, int)] for _, right in self.grammar.rules]
        symbols.append([])  # of the padding
        self._counts = np.array([len(pushed) for pushed in symbols])
        self._pushed = np.zeros((len(symbols), self._counts.max()), np.int64)  # (V, most), the leftmost symbol last
        for rule, pushed in enumerate(symbols):
            self._pushed[rule, : len(pushed)] = pushed
        # at the bottom of each stack is the padding's group, so that an empty one asks for padding
        self._stacks = np.full((self.n, 8), len(self.grammar.names))
        self._stacks[:, 1] = 0
        self.left = np.ones(self.n, np.int64)

    def _tops(self) -> np.ndarray:
        return self._stacks[np.arange(self.n), self.left]

    def allowed(self) -> np.ndarray:
        """(n, V) bool: the rules that may come next; the padding alone where no symbol is left."""
        return self._tops()[:, None] == self.grammar.groups

    def advance(self, rules: np.ndarray) -> None:
        """Take a step with each.

        Args:
            rules: (n,) integers, the rules that come next.

        Raises: ValueError for a rule that is not allowed.
        """
        if (wrong := np.flatnonzero(self.grammar.groups[rules] != self._tops())).size:
            i = wrong[0]
            raise ValueError(f"rule {rules[i]} is not one that may come next in derivation {i}")
        self.left -= rules != self.grammar.padding
        most = int(self.left.max(initial=0)) + self._pushed.shape[1]
        if most >= self._stacks.shape[1]:
            self._stacks = np.concatenate([self._stacks, np.zeros((self.n, most), np.int64)], axis=1)
        for i, pushed in enumerate(self._pushed[rules].T):
            rows = np.flatnonzero(i < self._counts[rules])
            self.left[rows] += 1
            self._stacks[rows, self.left[rows]] = pushed[rows]
