"""Arithmetic expressions: the grammar, the data and the score of the grammar variational autoencoder's first experiment
(Kusner, Paige and Hernández-Lobato 2017, section 4).

The paper has 100,000 strings of its grammar; the file it comes with is no random draw but the beginning of a list,
which is made again here. All are sums of three parts, and all are different: so no model can have a mean of -log p(x),
over all of them, that is less than ln 100,000 = 11.513 nats.
"""

import itertools
import math
import threading
from collections.abc import Sequence
from typing import Any

import numpy as np

from tinyvae.data.grammar import Broken
from tinyvae.data.grammar_files import parse_grammar
from tinyvae.data.parsing import Parser
from tinyvae.data.sequences import Strings
from tinyvae.errors import DataError
from tinyvae.types import AnyPath, Array

GRAMMAR = parse_grammar("""
S -> S '+' T | S '*' T | S '/' T | T
T -> '(' S ')' | 'sin(' S ')' | 'exp(' S ')' | 'x' | '1' | '2' | '3'
""")
STEPS = 15  # of a derivation: the longest has 14 rules
COUNT = 100_000
TARGET = "1/3+x+sin(x*x)"  # what the paper looks for; it is not among the data
# The strings that score less than 0.05; no other scores less than 0.2. The first is the target, but for two brackets.
ANSWERS = (
    "1/3+(x)+sin(x*x)",
    "1/2+(x)+sin(x*x)",
    "1/2+x+sin(x*x)",
    "x*1+sin(3)+sin(x*x)",
    "x/1+sin(3)+sin(x*x)",
    "1*x+sin(3)+sin(x*x)",
)
POINTS = np.linspace(-10, 10, 1000)  # x
LARGEST_ERROR = 1000.0  # of a squared error: what is beyond counts as this
WORST = math.log1p(LARGEST_ERROR)  # 6.909, the score of what is no expression


# The data


def expressions(data_dir: AnyPath | None) -> Strings:
    """The 100,000 strings of the paper's file, without its spaces and in its order, with their derivations."""
    strings, rules = _listed()
    return Strings(strings, GRAMMAR, rules)


def expressions_unsolved(data_dir: AnyPath | None) -> Strings:
    """``expressions`` without ``ANSWERS``: what a search for the target may be trained on without having seen it."""
    strings, rules = _listed()
    kept = [i for i, string in enumerate(strings) if string not in ANSWERS]
    return Strings([strings[i] for i in kept], GRAMMAR, rules[kept])


def _listed() -> tuple[list[str], np.ndarray]:
    """(the strings p + u + v, their derivations (N, T)), v changing fastest.

    A is one of x, 1, 2, 3; p is A o A; u is A, or brackets or a function around A; v the same, and around A o A too.
    Each part is parsed once. A derivation begins with S -> S + T twice, and then has those of p as an S, u as a T, and
    v as a T.
    """
    letters = "x123"
    pairs = [left + sign + right for sign, left, right in itertools.product("+*/", letters, letters)]
    u = [*_applied(letters), *letters]
    v = [*_applied([*pairs, *letters]), *letters]
    parser, add, only = Parser(GRAMMAR), GRAMMAR.lines().index("S -> S '+' T"), GRAMMAR.lines().index("S -> T")
    derived = {part: parser.parse(part) for part in {*pairs, *u, *v}}
    terms = {part: rules[1:] for part, rules in derived.items() if rules[0] == only}  # as a T
    triples = list(itertools.islice(itertools.product(pairs, u, v), COUNT))
    rules = np.full((COUNT, STEPS), GRAMMAR.padding)
    for row, (a, b, c) in zip(rules, triples):
        derivation = [add, add, *derived[a], *terms[b], *terms[c]]
        row[: len(derivation)] = derivation
    return ["+".join(triple) for triple in triples], rules


def _applied(arguments: Sequence[str]) -> list[str]:
    return [f"{function}({argument})" for function, argument in itertools.product(("", "sin", "exp"), arguments)]


# The score

# The language of GRAMMAR, whose trees know no precedence: there, x+2*x is (x+2)*x. What a string is worth is found by
# these rules, which read it as everybody does, and as the paper's code does, which asks Python.
ARITHMETIC = parse_grammar("""
sum -> sum '+' product | product
product -> product '*' factor | product '/' factor | factor
factor -> '(' sum ')' | 'sin(' sum ')' | 'exp(' sum ')' | 'x' | '1' | '2' | '3'
""")
FUNCTIONS = {
    "sum -> sum '+' product": np.add,
    "product -> product '*' factor": np.multiply,
    "product -> product '/' factor": np.true_divide,
    "factor -> 'sin(' sum ')'": np.sin,
    "factor -> 'exp(' sum ')'": np.exp,
}  # the other rules hand a value on, or are x or a digit
_MEANINGS = [(FUNCTIONS.get(line), rule.right) for line, rule in zip(ARITHMETIC.lines(), ARITHMETIC.rules)]


class _Parsers(threading.local):
    """Each thread's own."""

    def __init__(self) -> None:
        self.arithmetic = Parser(ARITHMETIC)


_PARSERS = _Parsers()


def value(expression: str, x: Array) -> Array:
    """An expression at some points.

    Args:
        expression: a string of the language of ``GRAMMAR``.
        x: (P,) float64.

    Returns: (P,) float64, which may be infinite or not a number: division is that of real numbers, 1/2 is 0.5, and what
        has no value is as IEEE 754 says.

    Raises: DataError for a string that does not parse.
    """
    rules, values = _PARSERS.arithmetic.parse(expression), list[Any]()
    with np.errstate(all="ignore"):
        for rule in reversed(rules):  # from the last one: all that a rule needs has been found, the leftmost on top
            function, right = _MEANINGS[rule]
            if function is not None:
                values.append(function(*(values.pop() for part in right if isinstance(part, int))))
            elif right == ("x",):
                values.append(x)
            elif isinstance(right[0], str) and right[0].isdigit():
                values.append(np.float64(right[0]))
        (result,) = values
        return result + np.zeros_like(x)  # of a constant too


def score(expression: str | Broken) -> float:
    """How far an expression is from the target, in the paper's measure: see ``distance``.

    What is no expression, because it does not parse or is a broken derivation, scores ``WORST`` = ln 1001 = 6.909, as
    an error of 1000 everywhere does.

    Args:
        expression: a string, or what a vocabulary's ``text`` gives in its place.
    """
    if isinstance(expression, Broken):
        return WORST
    try:
        return distance(value(expression, POINTS))
    except DataError:
        return WORST


def distance(values: Array) -> float:
    """ln(1 + mean of min((f - g)², 1000)) over ``POINTS``, where g is the target: 0 for the target, at most ``WORST``.

    A point where f is infinite or not a number counts as an error of 1000.

    Args:
        values: (1000,) float64, f at these points.
    """
    with np.errstate(all="ignore"):
        error = (values - _TARGET_VALUES) ** 2
    return float(np.log1p(np.fmin(error, LARGEST_ERROR).mean()))  # the minimum of nan and 1000 is 1000


_TARGET_VALUES = value(TARGET, POINTS)
