"""Strings as sequences of symbols: of their characters, or of the rules that derive them.

A vocabulary is one or the other: V symbols, numbered from 0, and T steps. A string is a row of T numbers, and for a
network T rows with a single 1 among V. Both kinds have the same attributes and methods, and differ in what may follow:
any character may follow any other, while a grammar allows some rules at each step (``groups``, ``walk``).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from tinyvae.data import text_files
from tinyvae.data.grammar import PADDING, Broken, Grammar, Walk
from tinyvae.data.grammar_files import parse_grammar
from tinyvae.data.parsing import Ambiguous, Parser
from tinyvae.errors import DataError
from tinyvae.system import lack_of_memory

END = "end"  # how the symbol after a string is named
MOST_SYMBOLS = 256  # different characters; a text that has more is hardly one of short strings


class Strings(NamedTuple):
    """Strings before it is decided how they become sequences: what a data set's function or a text file gives.

    Attributes:
        strings: all of them, which ``datasets.load`` splits.
        grammar: whose rules they are taken for where nothing else is said; None for their characters.
        derivations: (N, T) integers, the rules under that grammar where they are known, so that nothing is parsed.
        lines: where each stands in a file, from 1; None for those that are in none.
        notes: sentences on the data.
    """

    strings: Sequence[str]
    grammar: Grammar | None = None
    derivations: np.ndarray | None = None
    lines: Sequence[int] | None = None
    notes: Sequence[str] = ()


@dataclass(frozen=True)
class Vocabulary:
    """What both kinds have in common.

    Attributes:
        steps: T, of a sequence.
    """

    steps: int

    @property
    def names(self) -> tuple[str, ...]:
        """The V symbols as people read them; the last one fills a sequence after its end."""
        raise NotImplementedError

    @property
    def size(self) -> int:
        """V, the number of symbols."""
        return len(self.names)

    @property
    def groups(self) -> np.ndarray | tuple[()]:
        """(V,) int64: where a symbol may stand, all of its group may, and no other; or () where any may."""
        return ()

    def walk(self, n: int) -> Walk | None:
        """n sequences at their beginning, to be told at each step what may follow; None where anything may."""
        return None

    def encode(self, strings: Sequence[str]) -> np.ndarray:
        """Strings as (N, T) int64 numbers of symbols.

        Raises: DataError (the reason alone) for the first one that cannot be written with this vocabulary.
        """
        raise NotImplementedError

    def text(self, codes: np.ndarray) -> list[str | Broken]:
        """The strings that sequences (N, T) of symbols stand for, or what is wrong with one."""
        raise NotImplementedError

    def one_hot(self, codes: np.ndarray) -> np.ndarray:
        """(N, T) symbols as (N, T, V) bool."""
        return np.arange(self.size) == np.asarray(codes)[..., None]

    def to_json(self) -> dict[str, Any]:
        """What ``from_json`` makes the same vocabulary of, in lists, texts and numbers."""
        raise NotImplementedError


@dataclass(frozen=True)
class Characters(Vocabulary):
    """Strings as their characters, and an end symbol as often as there are steps left.

    A sequence is read to its first end symbol, and is as long as the longest string, which has none: so every sequence
    is a string, if only the empty one. Whether it means anything is for a grammar's parser to say.

    Attributes:
        characters: the V - 1 different ones, in the order of their code points.
    """

    characters: str

    @property
    def names(self) -> tuple[str, ...]:
        """The characters, and "end"."""
        return (*self.characters, END)

    def encode(self, strings: Sequence[str]) -> np.ndarray:
        """As ``Vocabulary.encode``."""
        codes = np.full((len(strings), self.steps), len(self.characters))
        number = {character: i for i, character in enumerate(self.characters)}
        for row, string in zip(codes, strings):
            if len(string) > self.steps:
                raise DataError(
                    f"{string[:200]!r} has {len(string)} characters, and a sequence has room for {self.steps}"
                )
            if unknown := set(string) - number.keys():
                raise DataError(f"{string!r} has {min(unknown)!r}, which is none of the characters {self.characters}")
            row[: len(string)] = [number[character] for character in string]
        return codes

    def text(self, codes: np.ndarray) -> list[str | Broken]:
        """As ``Vocabulary.text``; none is ever broken."""
        names = (*self.characters, "\0")  # which no text has
        return ["".join([names[code] for code in row]).split("\0")[0] for row in np.asarray(codes)]

    def to_json(self) -> dict[str, Any]:
        """As ``Vocabulary.to_json``."""
        return {"kind": "characters", "steps": self.steps, "characters": self.characters}


@dataclass(frozen=True)
class Rules(Vocabulary):
    """Strings as the rules of their leftmost derivations, and padding (``grammar``).

    Attributes:
        grammar: Grammar.
    """

    grammar: Grammar

    @property
    def names(self) -> tuple[str, ...]:
        """The rules as they are written, and "padding"."""
        return (*self.grammar.lines(), PADDING)

    @property
    def groups(self) -> np.ndarray:
        """(V,) int64: the symbol that each rule replaces; the padding has a number of its own."""
        return self.grammar.groups

    def walk(self, n: int) -> Walk:
        """n derivations at their beginning."""
        return self.grammar.walk(n)

    def encode(self, strings: Sequence[str]) -> np.ndarray:
        """As ``Vocabulary.encode``; a string that does not parse, in two ways, or not in T steps, is an error."""
        derivations = list(map(Parser(self.grammar).parse, strings))  # a parser is one thread's, and grows
        for string, derivation in zip(strings, derivations):
            if len(derivation) > self.steps:
                raise DataError(
                    f"{string[:200]!r} takes {len(derivation)} rules, and a sequence has room for {self.steps}"
                )
        return _padded(derivations, self.steps, self.grammar.padding)

    def text(self, codes: np.ndarray) -> list[str | Broken]:
        """As ``Vocabulary.text``."""
        return [self.grammar.text(row) for row in np.asarray(codes).tolist()]

    def to_json(self) -> dict[str, Any]:
        """As ``Vocabulary.to_json``."""
        return {"kind": "rules", "steps": self.steps, "grammar": self.grammar.lines()}


def _padded(derivations: Sequence[Sequence[int]], steps: int, padding: int) -> np.ndarray:
    codes = np.full((len(derivations), steps), padding)
    for row, derivation in zip(codes, derivations):
        row[: len(derivation)] = derivation
    return codes


def from_json(value: Any) -> Characters | Rules:
    """The vocabulary that ``to_json`` described.

    Raises: ValueError for anything else.
    """
    try:
        kind, steps = value["kind"], value["steps"]
        if type(steps) is not int or not 0 < steps <= text_files.LONGEST**2:
            raise ValueError(f"steps is {steps!r}")
        if kind == "rules":
            return Rules(steps, parse_grammar("\n".join(value["grammar"])))
        characters = value["characters"]
        if kind == "characters" and isinstance(characters, str) and sorted(set(characters)) == list(characters):
            return Characters(steps, characters)
    except (KeyError, TypeError) as error:
        raise ValueError(f"it is no vocabulary ({error})") from None
    raise ValueError("it is no vocabulary")


def as_characters(strings: Sequence[str]) -> tuple[Characters, np.ndarray]:
    """The characters of some strings, and these as (N, T) of them, T being the length of the longest.

    Raises: DataError (the reason alone) if they have more than MOST_SYMBOLS different characters.
    """
    characters = "".join(sorted(set().union(*strings)))
    if len(characters) > MOST_SYMBOLS:
        raise DataError(
            f"it has {len(characters):,} different characters, from {characters[0]!r} to {characters[-1]!r}: at most "
            f"{MOST_SYMBOLS} are taken"
        )
    vocabulary = Characters(max(map(len, strings)), characters)
    require_room(vocabulary, len(strings))
    return vocabulary, vocabulary.encode(strings)


def as_rules(source: Strings, grammar: Grammar) -> tuple[Rules, np.ndarray]:
    """The rules of a grammar, and strings as (N, T) of them, T being one more than the longest derivation has: as in
    the paper, each comes to an end and is seen to.

    Raises: DataError (the reason alone) for strings that do not parse: how many, and what is wrong with the first; for
        one that parses in two ways, which is the grammar's fault, and where others would take a time without end; and
        where there is no room for them.
    """
    if source.derivations is not None and grammar == source.grammar:
        vocabulary = Rules(source.derivations.shape[1], grammar)
        require_room(vocabulary, len(source.derivations))
        return vocabulary, source.derivations
    from tqdm import tqdm

    parser, strings = Parser(grammar), source.strings
    derivations: list[list[int]] = [[] for _ in strings]
    vocabulary, wrong = Rules(1, grammar), dict[int, DataError]()
    order = sorted(range(len(strings)), key=strings.__getitem__)  # the quickest
    for i in tqdm(order, "strings parsed", unit="", leave=False, delay=0.5, disable=None):
        try:
            derivations[i] = parser.parse(strings[i])
        except DataError as error:
            wrong[i] = error
            if isinstance(error, Ambiguous):
                break
        if len(derivations[i]) >= vocabulary.steps:
            vocabulary = Rules(1 + len(derivations[i]), grammar)
            require_room(vocabulary, len(strings))
    if wrong:
        first = min(wrong, key=lambda i: (not isinstance(wrong[i], Ambiguous), i))
        place = f"line {source.lines[first]}" if source.lines else f"string {first + 1}"
        if isinstance(wrong[first], Ambiguous):
            raise DataError(f"{place}: {wrong[first]}")
        more = f"\n(The same or the like is true of {len(wrong) - 1:,} more.)" if len(wrong) > 1 else ""
        raise DataError(f"{place}: {wrong[first]}{more}")
    return vocabulary, _padded(derivations, vocabulary.steps, grammar.padding)


def require_room(vocabulary: Vocabulary, n: int) -> None:
    """DataError (the reason alone) before n sequences are written out, where they would not fit into this machine."""
    # as numbers of symbols, once whole as rows with a single 1, and once more as training and test set
    if lack := lack_of_memory(n * vocabulary.steps * (8 + 2 * vocabulary.size)):
        raise DataError(
            f"{n:,} sequences of {vocabulary.steps:,} steps with {vocabulary.size} symbols take {lack}: take shorter "
            "or fewer strings"
        )


def reading(vocabulary: Mapping[str, Any] | None) -> dict[str, Any]:
    """How ``datasets.load`` is asked for data of this vocabulary, which a run's config holds; of None, nothing."""
    if vocabulary is None:
        return {}
    known = from_json(vocabulary)
    return {"grammar": known.grammar} if isinstance(known, Rules) else {"characters": True}
