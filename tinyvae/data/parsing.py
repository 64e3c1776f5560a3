"""Earley's parser (1970): the leftmost derivation of a string under any grammar of ``grammar``, also a left-recursive
one, and whether it is the only one.

An *item* (p, k) says: of a rule that began at character k, all that stands before the place p was found. The column
j has the items that are true after j characters; each is made of an earlier one, by a character or by a rule that was
completed in the column. A text is cut into its characters, so that a column depends on the characters before it alone:
strings that begin alike share their columns, and many strings are quickest in sorted order. The places of all rules
are numbered in one row, so that p + 1 is the next place of p's rule.

That no rule is empty makes it simple: when a rule is completed, the column where it began is complete as well. So every
way to make an item is found, and found once; a string has a second derivation exactly if an item of the first one was
made in two ways.
"""

from collections.abc import Mapping
from typing import NamedTuple, TypeAlias

from tinyvae.data.grammar import Grammar
from tinyvae.errors import DataError

SHOWN = 200  # characters of a string or of a derivation in a message
Item: TypeAlias = tuple[int, int]
Way: TypeAlias = tuple[Item, Item | None]  # the item before, and the completed rule's, or None: by a character


class Ambiguous(DataError):
    """A string with two derivations: the grammar says two things with it.

    Attributes:
        rules: the first of them.
    """

    def __init__(self, reason: str, rules: list[int]):
        super().__init__(reason)
        self.rules = rules


class Predicted(NamedTuple):
    """The places where rules begin, for a set of symbols that may come next."""

    characters: dict[str, list[int]]  # by the character that comes first
    symbols: dict[int, list[int]]  # by the symbol


class Column:
    """What is true after some characters.

    Attributes:
        ways: how each item was made, the first way; of the beginnings of rules, which are not listed, there is none.
        others: a second way, of the items that have one.
        characters, symbols: items by what must come next.
        predicted: the rules that may begin here.
    """

    __slots__ = ("characters", "others", "predicted", "symbols", "ways")

    def __init__(self) -> None:
        self.ways: dict[Item, Way] = {}
        self.others: dict[Item, Way] = {}
        self.characters: dict[str, list[Item]] = {}
        self.symbols: dict[int, list[Item]] = {}
        self.predicted = Predicted({}, {})


class Parser:
    """Parses one string after the other, for one thread: what it keeps of a string serves the next.

    Args:
        grammar: Grammar.
    """

    def __init__(self, grammar: Grammar):
        self.grammar = grammar
        # what stands at each place: a character, a symbol, or None at the end of a rule; and its rule
        self._next: list[str | int | None] = []
        self._rule: list[int] = []
        firsts = []
        for number, right in enumerate([*(rule.right for rule in grammar.rules), (0,)]):  # and, last, "-> start"
            firsts.append(len(self._next))
            for part in right:
                self._next.extend([part] if isinstance(part, int) else part)
            self._next.append(None)
            self._rule.extend([number] * (len(self._next) - len(self._rule)))
        self._root = firsts.pop()
        self._firsts = [
            [p for p, rule in zip(firsts, grammar.rules) if rule.left == s] for s in range(len(grammar.names))
        ]
        self._reach = self._closures()
        self._predictions: dict[int, Predicted] = {}
        column = Column()
        column.symbols[0] = [(self._root, 0)]
        column.predicted = self._predict(self._reach[0])
        self._text, self._columns = "", [column]

    def _closures(self) -> list[int]:
        """For each symbol the set, as the bits of an int, of those that may begin where it begins, itself included."""
        reach = [1 << s for s in range(len(self._firsts))]
        while True:
            before = reach.copy()
            for s, places in enumerate(self._firsts):
                for p in places:
                    if isinstance(first := self._next[p], int):
                        reach[s] |= reach[first]
            if reach == before:
                return reach

    def _predict(self, symbols: int) -> Predicted:
        """The beginnings of all rules of a set of symbols."""
        if symbols not in self._predictions:
            found = self._predictions[symbols] = Predicted({}, {})
            for s, places in enumerate(self._firsts):
                for p in places if symbols >> s & 1 else ():
                    first = self._next[p]
                    table = found.symbols if isinstance(first, int) else found.characters
                    table.setdefault(first, []).append(p)  # type: ignore[arg-type]
        return self._predictions[symbols]

    def parse(self, string: str) -> list[int]:
        """The rules of the leftmost derivation of a string, without padding.

        Args:
            string: str.

        Raises: DataError (the reason alone) if it has none, with the place and what could have stood there; Ambiguous
            if it has two.
        """
        if not self.begins(string):
            raise DataError(self._why(string, len(self._text)))
        last, n = (self._root + 1, 0), len(string)
        if last not in self._columns[n].ways:
            raise DataError(self._why(string, n))
        rules, ambiguous = self._derivation(last, n, {})
        if ambiguous:
            item, j = ambiguous
            other, _ = self._derivation(last, n, {ambiguous: self._columns[j].others[item]})
            first, second = (_cut(self.grammar.tree(each)) for each in (rules, other))
            raise Ambiguous(
                f"{_cut(string)!r} has two derivations, and the grammar must leave one:\n  {first}\n  {second}", rules
            )
        return rules

    def begins(self, string: str) -> bool:
        """Whether some string of the language begins with this one, or is it."""
        same = _common(string, self._text)
        self._text = self._text[:same]
        del self._columns[same + 1 :]
        for character in string[same:]:
            column = self._column(character)
            if not column.ways:
                return False
            self._columns.append(column)
            self._text += character
        return True

    def _column(self, character: str) -> Column:
        """The column after one more character; without an item if it cannot stand there."""
        before, column, k = self._columns[-1], Column(), len(self._columns) - 1
        ways, others, items = column.ways, column.others, []

        def add(item: Item, way: Way) -> None:
            if item not in ways:
                ways[item] = way
                items.append(item)
            else:
                others.setdefault(item, way)

        for item in before.characters.get(character, ()):
            add((item[0] + 1, item[1]), (item, None))
        for p in before.predicted.characters.get(character, ()):
            add((p + 1, k), ((p, k), None))
        expected = 0
        for item in items:  # which grow on the way
            p, start = item
            following = self._next[p]
            if following is None:
                if p == self._root + 1:
                    continue
                symbol, origin = self.grammar.rules[self._rule[p]].left, self._columns[start]
                for waiting in origin.symbols.get(symbol, ()):
                    add((waiting[0] + 1, waiting[1]), (waiting, item))
                for q in origin.predicted.symbols.get(symbol, ()):
                    add((q + 1, start), ((q, start), item))
            elif isinstance(following, int):
                column.symbols.setdefault(following, []).append(item)
                expected |= self._reach[following]
            else:
                column.characters.setdefault(following, []).append(item)
        column.predicted = self._predict(expected)
        return column

    def _derivation(
        self, last: Item, n: int, instead: Mapping[tuple[Item, int], Way]
    ) -> tuple[list[int], tuple[Item, int] | None]:
        """(the rules of the derivation that ends with an item of column n; an item on its way that can be made in
        another way, and its column, or None). ``instead`` has ways to be taken in the place of the first ones.
        """
        rules, ambiguous, todo = [], None, [(last, n)]
        while todo:
            item, j = todo.pop()
            rules.append(self._rule[item[0]])
            while item in (column := self._columns[j]).ways:  # back to the rule's beginning
                if item in column.others and ambiguous is None:
                    ambiguous = item, j
                item, child = instead.get((item, j)) or column.ways[item]
                if child is None:
                    j -= 1
                else:
                    todo.append((child, j))  # the leftmost comes last, and is next
                    j = child[1]
        return rules[1:], ambiguous  # the first is "-> start"

    def _why(self, string: str, j: int) -> str:
        """Why a string is none of the language, which is seen after j of its characters."""
        column = self._columns[j]
        places = [p for items in column.characters.values() for p, _ in items]
        places += [p for firsts in column.predicted.characters.values() for p in firsts]
        expected = {repr(self._rest(p)) for p in places}
        wanted = _cut(", ".join(sorted(expected)) or "nothing more")
        if (self._root + 1, 0) in column.ways:
            wanted += " or the end" if expected else ""
        if j == len(string):
            return f"{_cut(string)!r} ends too early: there could follow {wanted}"
        shown = f"{_cut(string)!r} does not parse" + (f" from character {j + 1} on, which is {string[j]!r}")
        return f"{shown}: there could stand {wanted}"

    def _rest(self, p: int) -> str:
        """The characters from a place to the end of the text that it is in, or to the next text."""
        rest = ""
        while isinstance(character := self._next[p], str):
            rest, p = rest + character, p + 1
        return rest


def _common(one: str, other: str) -> int:
    """How many characters two strings have in common at their beginning."""
    n = min(len(one), len(other))
    return next((i for i in range(n) if one[i] != other[i]), n)


def _cut(text: str) -> str:
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."
