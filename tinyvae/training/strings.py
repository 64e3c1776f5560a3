"""What is drawn from a model of strings, in words: how much of it is a string of the language, its trees, and what lies
between two strings. It is all text, and stands in a run's ``samples.txt``.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from tinyvae.data.datasets import Dataset
from tinyvae.data.grammar import Broken, Grammar
from tinyvae.data.parsing import Ambiguous, Parser
from tinyvae.data.rows import Images
from tinyvae.data.sequences import Vocabulary
from tinyvae.errors import DataError
from tinyvae.training.fitted import Fitted

DRAWS = 1000  # from the prior, to be counted
SHOWN = 20  # of them that are written out
PAIRS, BETWEEN = 3, 7  # strings between which is gone, and the places between two of them


class Tally(NamedTuple):
    """What became of some draws.

    Attributes:
        draws: of them all.
        completed: strings of the language; without a grammar that is every string.
        cut_off: those that had not come to an end when the steps were over.
        invalid: all others: no continuation would make them strings of the language.
        different: of the completed ones, no two alike.
    """

    draws: int
    completed: int
    cut_off: int
    invalid: int
    different: int

    def __str__(self) -> str:
        return (
            f"{self.draws:,} draws: {self.completed:,} completed ({self.different:,} different), {self.cut_off:,} cut "
            f"off, {self.invalid:,} invalid"
        )


@dataclass
class Judge:
    """Says of what was drawn whether it is a string of the language; each string is parsed once.

    Args:
        vocabulary: that it was drawn with.
        grammar: of the language; None where every string will do.
    """

    vocabulary: Vocabulary
    grammar: Grammar | None

    def __post_init__(self) -> None:
        self._parser = None if self.grammar is None else Parser(self.grammar)
        self._trees: dict[str, str | None] = {}

    def tree(self, string: str) -> str | None:
        """The derivation in brackets, the first one if there are two; "" without a grammar, None for a string that is
        not of the language.
        """
        if self.grammar is None or self._parser is None:
            return ""
        if string not in self._trees:
            try:
                rules = self._parser.parse(string)
            except Ambiguous as error:
                rules = error.rules
            except DataError:
                rules = []
            self._trees[string] = self.grammar.tree(rules) if rules else None
        return self._trees[string]

    def is_completed(self, drawn: str | Broken) -> bool:
        """Whether it is a string of the language."""
        return not isinstance(drawn, Broken) and self.tree(drawn) is not None

    def verdict(self, drawn: str | Broken) -> str:
        """ "completed", "cut off" or "invalid".

        Characters are cut off where they fill all steps and are the beginning of a string of the language.
        """
        if isinstance(drawn, Broken):
            return drawn.kind
        if self.is_completed(drawn):
            return "completed"
        is_full = len(drawn) == self.vocabulary.steps
        return "cut off" if is_full and self._parser is not None and self._parser.begins(drawn) else "invalid"

    def tally(self, drawn: Iterable[str | Broken]) -> Tally:
        """How much of what was drawn is what."""
        drawn = list(drawn)
        verdicts = list(map(self.verdict, drawn))
        completed, cut_off, invalid = map(verdicts.count, ("completed", "cut off", "invalid"))
        different = {string for string, verdict in zip(drawn, verdicts) if verdict == "completed"}
        return Tally(len(drawn), completed, cut_off, invalid, len(different))

    def line(self, drawn: str | Broken) -> str:
        """What was drawn, and its tree or what is wrong with it."""
        if isinstance(drawn, Broken):
            return f"{drawn.form}  ({drawn.kind})"
        tree = self.tree(drawn)
        return f"{drawn}  ({self.verdict(drawn)})" if tree is None else f"{drawn}  {tree}".rstrip()


def judge(fitted: Fitted, dataset: Dataset) -> Judge:
    """Of what is drawn from a model of this data set's strings."""
    if fitted.vocabulary is None:
        raise ValueError("the model is not of strings")
    return Judge(fitted.vocabulary, dataset.grammar)


def texts(vocabulary: Vocabulary, rows: Images) -> list[str]:
    """The strings that rows (N, T V) of a data set stand for."""
    codes = np.asarray(rows).reshape(len(rows), vocabulary.steps, -1).argmax(axis=2)
    return [str(string) for string in vocabulary.text(codes)]


def count_samples(fitted: Fitted, dataset: Dataset) -> Tally:
    """``DRAWS`` strings of the model, by the seed of the training, counted."""
    return judge(fitted, dataset).tally(fitted.sample_strings(DRAWS))


def interpolate(fitted: Fitted, first: str, last: str, between: int = BETWEEN) -> list[str | Broken]:
    """The most probable strings at equal steps from the posterior mean of one string to that of another, both ends
    included: ``between`` + 2.
    """
    (start, end), _ = fitted.encode([first, last])
    weights = np.linspace(0, 1, between + 2, dtype=start.dtype)[:, None]
    return fitted.decode_strings((1 - weights) * start + weights * end, greedy=True)


def report(fitted: Fitted, dataset: Dataset) -> str:
    """The text of ``samples.txt``."""
    own = judge(fitted, dataset)
    drawn = fitted.sample_strings(DRAWS)
    test = texts(own.vocabulary, dataset.test[: max(SHOWN, 2 * PAIRS)])
    again = fitted.reconstruct_strings(test, greedy=True)
    width = max(map(len, test))
    parts = [
        _part("Drawn: z ~ p(z), and each symbol by its probability", [f"{own.tally(drawn)}\n", *_lines(own, drawn)]),
        _part(
            "Reconstructed: held-out strings, and the most probable symbols at the means of their posteriors",
            [f"{string:{width}}  {'the same' if string == other else other}" for string, other in zip(test, again)],
        ),
    ]
    for first, last in zip(test[: 2 * PAIRS : 2], test[1 : 2 * PAIRS : 2]):
        lines = _lines(own, interpolate(fitted, first, last))
        parts.append(_part(f"Between {first} and {last}, in equal steps from mean to mean", lines))
    return "\n\n".join(parts) + "\n"


def _lines(own: Judge, drawn: Sequence[str | Broken]) -> list[str]:
    return [own.line(one) for one in drawn[:SHOWN]]


def _part(title: str, lines: Sequence[str]) -> str:
    return "\n".join([title, "", *lines])
