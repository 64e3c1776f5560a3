"""The checks of notebook 13: a message as one number, tables of its digits, cells, and bits-back.

A *table* is a list c of starts: symbol k has the digits from c[k] to before c[k + 1], of the c[-1] = 2^r in all.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
from scipy.stats import norm

from tinyvae.tutorial.answers import Wrong, called, compare, in_integers, require_same, run, sentence
from tinyvae.tutorial.exercises import exercise

WORD = 32  # bits of a word; the state has twice as many
MASK = (1 << WORD) - 1
LENGTHY = (
    "right for messages of 50 bits and wrong for one of 300, as if rounded: int(s / f) goes through a float, which has"
    " 53 bits. // and % of Python's ints have no limit."
)

# ---------------------------------------------------------------------------------------------------------------------
# Whole numbers
# ---------------------------------------------------------------------------------------------------------------------


def whole(what: str, number: Any) -> Any:
    """A number as Python's int; what is none is left as it is for ``compare`` to judge.

    Raises: Wrong for a fraction.
    """
    if isinstance(number, (np.ndarray, np.generic)) and number.ndim == 0:
        number = number.item()
    if isinstance(number, float):
        raise Wrong(
            f"{sentence(what)}: a whole number is expected, not a fraction (float). // and % of Python's ints lose"
            " nothing; / does."
        )
    return number


def in_whole_numbers(what: str, answer: Any) -> Callable:
    """The student's function with each of its outputs as Python's int, if it is one number."""

    def adapted(*arguments: Any) -> Any:
        value = called(what, answer, *arguments)
        if isinstance(value, (tuple, list)):
            return type(value)(whole(what, part) for part in value)
        return whole(what, value)

    return adapted


def compare_whole(
    what: str,
    answer: Callable,
    reference: Callable,
    cases: Mapping[str, tuple],
    mistakes: Sequence[tuple[Callable, str]],
    large: tuple,
    outputs: Sequence[str] | None = None,
) -> None:
    """``compare`` for whole numbers to the last digit, and for the arguments ``large``, whose digits no float holds."""
    adapted = in_whole_numbers(what, answer)
    require_same(what, adapted, reference, cases, mistakes, outputs, rtol=0, atol=0.25)
    if in_a_list(run(what, adapted, large)) != in_a_list(reference(*large)):
        raise Wrong(sentence(what), LENGTHY)
    print(f"Right: {what}.")


def in_a_list(value: Any) -> list[int]:
    """All whole numbers of an output, in order."""
    parts = value if isinstance(value, (tuple, list)) else [value]
    return [int(number) for part in parts for number in (part if np.ndim(part) else [part])]


STARTS = "Starts are whole numbers, and so must their type be: .astype(int)."


# ---------------------------------------------------------------------------------------------------------------------
# Symbols
# ---------------------------------------------------------------------------------------------------------------------


@exercise("13.1")
def check_mean_bits(answer):
    """Exercise 13.1: the mean bits of symbols that occur with p, in a code for q; (p (L,), q (L,)) -> a number."""

    def mean_bits(p, q):
        return -np.sum(p * np.log2(q))

    def entropy(p):
        return -np.sum(p[p > 0] * np.log2(p[p > 0]))

    mistakes = [
        (lambda p, q: -np.sum(p * np.log(q)), "these are nats, a factor: bits are logarithms to the base 2."),
        (
            lambda p, q: -np.sum(p * np.log10(q)),
            "a factor: the logarithm is to the base 10, and bits are to the base 2.",
        ),
        (lambda p, q: np.sum(p * np.log2(q)), "the sign: log2 of a probability is never above 0, and a length is."),
        (
            lambda p, q: -np.sum(q * np.log2(p)),
            "p and q have changed places: how often a symbol occurs says p, and how long it is says q.",
        ),
        (
            lambda p, q: entropy(p),
            "q plays no part: this is the entropy of p, which a code for p itself would need.",
        ),
        (lambda p, q: -np.sum(p * np.log2(p)), "q plays no part, and 0 log 0 is not a number."),
        (lambda p, q: entropy(q), "this is the entropy of q: the symbols do not occur as often as the code believes."),
        (
            lambda p, q: mean_bits(p, q) - entropy(p),
            "the entropy is missing: this is KL(p || q), by how much the code for q is longer than the best one.",
        ),
        (
            lambda p, q: np.sum(p * np.log2(p / q)) - np.sum(p * np.log2(p)),
            "0 log 0 is not a number, and a sum of two such terms is none: the logarithm of q is all that is needed.",
        ),
        (
            lambda p, q: np.sum(p * np.ceil(-np.log2(q))),
            "each symbol's bits are rounded up. A code that has a word for each symbol must do so, and ours need not.",
        ),
        (
            lambda p, q: -np.mean(np.log2(q)),
            "the plain mean over the symbols is taken: those that occur often count more, by p.",
        ),
        (lambda p, q: -np.mean(p * np.log2(q)), "the mean over the symbols is taken: p already is their share. Sum."),
        (lambda p, q: -np.sum(np.log2(q)), "p is left out: it says how often each length occurs."),
        (lambda p, q: -p * np.log2(q), "the sum over the symbols is missing."),
        (
            lambda p, q: -np.log2(np.sum(p * q)),
            "the logarithm of the mean is taken: the mean of the logarithms is asked.",
        ),
    ]
    rng = np.random.default_rng(0)
    p, q = rng.dirichlet(np.ones(5), 2)
    cases = {
        "five symbols": (p, q),
        "two symbols": (np.array([0.9, 0.1]), np.array([0.5, 0.5])),
        "one that never occurs": (np.array([0.25, 0.0, 0.75]), np.array([0.3, 0.1, 0.6])),
        "the right code": (q, q),
    }
    compare("your mean bits", answer, mean_bits, cases, mistakes)


def push(s, k, c):
    """The message s with symbol k on top, under the table c."""
    f = c[k + 1] - c[k]
    return c[-1] * (s // f) + c[k] + s % f


def pop(s, c):
    """The uppermost symbol of a message, and what is left."""
    u = s % c[-1]
    k = bisect_right(c, u) - 1
    return k, (c[k + 1] - c[k]) * (s // c[-1]) + u - c[k]


# Tables of 8, 16 and 1000 digits; of the last some symbols have none
EIGHTHS, SIXTEENTHS, HOLES = [0, 3, 4, 8], [0, 5, 16], [0, 0, 300, 300, 300, 1000, 1000]


@exercise("13.2")
def check_push(answer):
    """Exercise 13.2: (message s, symbol k, table c) -> the longer message."""

    def but(change):
        """With f, the start and M in the hands of a mistake."""
        return lambda s, k, c: change(s, c[k + 1] - c[k], c[k], c[-1])

    mistakes = [
        (but(lambda s, f, c, M: M * (s // f) + s % f), "the start c[k] is missing, so no one can tell the symbol."),
        (
            but(lambda s, f, c, M: M * (s // f) + c),
            "the rest of the division is missing, s mod f: it is lost for ever.",
        ),
        (
            but(lambda s, f, c, M: M * (s // f) + c + s % M),
            "the rest is that of M, something else: s mod f, which stays within the symbol's own digits.",
        ),
        (but(lambda s, f, c, M: M * (s % f) + c + s // f), "quotient and rest have changed places."),
        (
            but(lambda s, f, c, M: f * (s // M) + c + s % f),
            "f and M have changed places: the message has to grow, by the factor M / f.",
        ),
        (but(lambda s, f, c, M: M * (s // f)), "start and rest are missing: M times the quotient, c[k], and s mod f."),
        (but(lambda s, f, c, M: M * (s // f) - c + s % f), "the sign of the start: it is added, and pop takes it off."),
        (
            but(lambda s, f, c, M: M * (s // f) + c + f),
            "the rest is not f: it is what the division leaves, s mod f.",
        ),
        (
            but(lambda s, f, c, M: M * (s // f) + s % f * c),
            "start and rest are a sum, not a product: c[k] + s mod f.",
        ),
        (
            lambda s, k, c: c[-1] * (s // (c[k + 1] - c[k])) + c[k + 1] + s % (c[k + 1] - c[k]),
            "the start is that of the next symbol, c[k + 1]: a symbol's digits begin at c[k].",
        ),
        (but(lambda s, f, c, M: f * (s // M) + s % M - c), "this is the inverse, an order is wrong: it pops."),
        (
            but(lambda s, f, c, M: M * s // f + c),
            "s M / f is what it is nearly. The rest of the division is missing: M times the quotient, c, and the rest.",
        ),
        (
            but(lambda s, f, c, M: M * s // f + c + s % f),
            "the order of product and quotient: M * s // f divides what has been multiplied. M * (s // f).",
        ),
        (but(lambda s, f, c, M: s * M // f), "s M / f is what it is nearly: start and rest are missing."),
        (
            but(lambda s, f, c, M: s * M + c + s % f),
            "s is not divided by f: then every symbol costs log2 M bits, however likely it is.",
        ),
        (
            lambda s, k, c: c[-1] * (s // c[k + 1]) + c[k] + s % c[k + 1],
            "c[k + 1] is taken for the frequency: it is where the next symbol starts. f is the difference.",
        ),
        (
            lambda s, k, c: (c[-1] - 1) * (s // (c[k + 1] - c[k])) + c[k] + s % (c[k + 1] - c[k]),
            "M is one too few, a factor: c[-1] itself is how many digits there are.",
        ),
    ]
    cases = {
        "3 of 8 digits": (101, 0, EIGHTHS),
        "4 of 8 digits": (1003, 2, EIGHTHS),
        "one digit": (77, 1, EIGHTHS),
        "11 of 16 digits": (2**40 + 12345, 1, SIXTEENTHS),
        "700 of 1000 digits": (654321, 4, HOLES),
        "the message 0": (0, 1, SIXTEENTHS),
    }
    compare_whole("your message", answer, push, cases, mistakes, (3**200, 0, EIGHTHS))


@exercise("13.3")
def check_pop(answer):
    """Exercise 13.3: (message s, table c) -> the uppermost symbol, and the message without it."""

    def but(message=None, symbol=None):
        """With the message of (k, f, start, M, u) or the symbol of (c, u) in the hands of a mistake."""

        def mistaken(s, c):
            u = s % c[-1]
            k = pop(s, c)[0] if symbol is None else symbol(c, u)
            if message is None:
                return k, pop(s, c)[1]
            return k, message(s, c[k + 1] - c[k], c[k], c[-1], u)

        return mistaken

    def with_its_digits(choose):
        """A symbol that is looked for wrongly, and what then follows from it by the right formula."""
        return but(symbol=choose, message=lambda s, f, c, M, u: f * (s // M) + u - c)

    def within(choose):
        """A place in the table that is one of a symbol."""
        return lambda c, u: min(max(choose(c, u), 0), len(c) - 2)

    one_before = "a digit that is equal to a start belongs to the symbol that starts there: c[k] <= u < c[k + 1]."
    empty = "the symbol has no digits of its own: where starts are equal, it is the last of them (bisect_right)."
    mistakes = [
        (lambda s, c: pop(s, c)[::-1], "message and symbol have changed places: the symbol comes first."),
        (with_its_digits(lambda c, u: bisect_left(c, u, 1) - 1), one_before),
        (with_its_digits(within(lambda c, u: bisect_left(c, u) - 1)), one_before),
        (
            with_its_digits(lambda c, u: c.index(max(start for start in c[:-1] if start <= u))),
            empty,
        ),
        (but(symbol=lambda c, u: bisect_right(c, u)), "each symbol is one too large: how many starts are at most u?"),
        (
            lambda s, c: (bisect_right(c, s // c[-1] % c[-1]) - 1, pop(s, c)[1]),
            "it is looked for with the quotient: the rest of the division by M tells the symbol, u = s mod M.",
        ),
        (but(lambda s, f, c, M, u: f * (s // M) + u), "the start is missing: u - c is what push had for a rest."),
        (but(lambda s, f, c, M, u: f * (s // M)), "the rest is missing: u - c is what push had for one."),
        (but(lambda s, f, c, M, u: f * (s // M) - c), "the rest is missing: u - c is what push had for one."),
        (but(lambda s, f, c, M, u: s // M), "f is missing: push divided by it, so pop multiplies."),
        (but(lambda s, f, c, M, u: s // M + u - c), "f is missing: push divided by it, so pop multiplies."),
        (but(lambda s, f, c, M, u: M * (s // f) + u - c), "f and M have changed places: the message has to shrink."),
        (but(lambda s, f, c, M, u: f * (s // M) + u + c), "the sign of the start: push added it."),
        (but(lambda s, f, c, M, u: f * (s // M) - u + c), "the sign of the rest: it is u - c."),
        (
            but(lambda s, f, c, M, u: f * (s // M) + u % f),
            "the rest is no remainder: it is how far u is from the start, u - c.",
        ),
        (
            lambda s, c: (pop(s, c)[0], pop(s, c)[1] + c[pop(s, c)[0]] - c[pop(s, c)[0] + 1]),
            "the start is that of the next symbol, c[k + 1]: a symbol's digits begin at c[k].",
        ),
        (but(lambda s, f, c, M, u: f * s // M), "s f / M is what it is nearly. The rest is missing: u - c."),
        (
            but(lambda s, f, c, M, u: s),
            "the symbol is only looked at, and the message is left as it is: a part is missing.",
        ),
    ]
    cases = {
        "3 of 8 digits": (push(101, 0, EIGHTHS), EIGHTHS),
        "4 of 8 digits": (push(1003, 2, EIGHTHS), EIGHTHS),
        "one digit": (push(77, 1, EIGHTHS), EIGHTHS),
        "the first digit of a symbol": (16 * 1000 + 5, SIXTEENTHS),
        "a long message": (2**41 + 12345, SIXTEENTHS),
        "symbols without digits": (654321, HOLES),
        "the digit 0 where one has none": (654000, HOLES),
    }
    outputs = ("the symbol", "the message")
    compare_whole("your pop", answer, pop, cases, mistakes, (push(3**200, 0, EIGHTHS), EIGHTHS), outputs)


@exercise("13.4")
def check_table(answer):
    """Exercise 13.4: the starts of symbols with the probabilities p (L,), of 2^r digits: (L + 1,) whole numbers."""

    def table(p, r, each=1, M=lambda r, L: 2**r, rounded=np.floor, share=lambda M, L: M - L, end=True):
        L = len(p)
        digits = M(r, L)
        c = np.append(0, np.cumsum(p)) * share(digits, L)
        c = (each * np.arange(L + 1) + rounded(c)).astype(int)
        if end:
            c[-1] = digits
        return c

    def but(**changes):
        return lambda p, r: table(p, r, **changes)

    def of_frequencies(change, end=False):
        """Frequencies that are made one by one, and added up; with ``end`` the last start is set."""

        def mistaken(p, r):
            c = np.append(0, np.cumsum(change(p, r))).astype(int)
            if end:
                c[-1] = 2**r
            return c

        return mistaken

    none_left = (
        "what is improbable has no digit, as one for each symbol is missing: its bits are infinite, and it cannot be"
        " pushed."
    )
    not_all = (
        "frequencies are rounded one by one, so that their sum is not 2^r. Round the starts: then the sum is right by"
        " itself."
    )
    set_at_last = (
        "frequencies are rounded one by one, and what is missing is made up for by the last symbol alone. Round the"
        " starts."
    )
    mistakes = [
        (
            but(end=False),
            "the last start is one too few where the sum of p is a hair below 1: set it to 2^r, whatever was added up.",
        ),
        (but(each=0, share=lambda M, L: M), none_left),
        (but(each=0, share=lambda M, L: M, end=False), none_left),
        (
            but(each=0),
            "k is missing: L digits are set aside, and nobody gets them. The starts rise by one for each symbol.",
        ),
        (but(each=0, share=lambda M, L: M, rounded=np.rint), none_left),
        (of_frequencies(lambda p, r: np.floor(2**r * p)), f"{not_all} And {none_left}"),
        (of_frequencies(lambda p, r: np.rint(2**r * p)), f"{not_all} And {none_left}"),
        *[
            (of_frequencies(lambda p, r, f=rounded: np.maximum(1, f(2**r * p)), end), why)
            for rounded in (np.floor, np.rint)
            for end, why in ((False, not_all), (True, set_at_last))
        ],
        *[
            (of_frequencies(lambda p, r, f=rounded: 1 + f((2**r - len(p)) * p), end), why)
            for rounded in (np.floor, np.rint)
            for end, why in ((False, not_all), (True, set_at_last))
        ],
        (of_frequencies(lambda p, r: np.ceil(2**r * p)), not_all),
        (
            but(share=lambda M, L: M),
            "the digits that were set aside are counted twice, a factor: only 2^r - L are left to be shared out.",
        ),
        (but(share=lambda M, L: M, end=False), "2^r + L digits, a factor: only 2^r - L are left to be shared out."),
        (
            but(rounded=np.rint),
            "rounded to the nearest, and ours are rounded down: both sides must do the same, as the check.",
        ),
        (but(rounded=np.ceil), "rounded up, and ours are rounded down: both sides must do the same, as the check."),
        (but(M=lambda r, L: 2**r - 1), "2^r - 1 digits, one too few, a factor: from 0 to 2^r - 1 they are 2^r."),
        (but(M=lambda r, L: r), "r itself is taken for the number of digits, a factor: they are 2^r."),
        (
            lambda p, r: np.diff(table(p, r)),
            "these are the frequencies: an order of starts is asked for, from 0 to 2^r.",
        ),
        (lambda p, r: table(p, r)[:-1], "the last is missing: where a next symbol would start, 2^r."),
        (lambda p, r: table(p, r)[1:], "the first is missing: 0."),
    ]
    rng = np.random.default_rng(0)
    cases = {
        "five symbols": (rng.dirichlet(np.ones(5)), 10),
        "a probability of 1e-9": (np.array([0.37, 1e-9, 0.63 - 1e-9]), 8),
        "a probability of 0": (np.array([0.0, 0.21, 0.79, 0.0]), 12),
        "a bit": (np.array([0.123, 0.877]), 16),
        "seven times 1/7": (np.full(7, 1 / 7), 9),
        "as many digits as symbols": (rng.dirichlet(np.ones(4)), 2),
    }
    what = "your table"
    compare(what, in_integers(what, answer, STARTS), table, cases, mistakes, rtol=0, atol=0.25)


@exercise("13.5")
def check_push_word(answer):
    """Exercise 13.5: push symbol k of the table c onto (words, state), words being changed in place -> the state."""

    def halves(state):
        """A state as two numbers that a float holds exactly."""
        return [state >> WORD, state & MASK]

    def push_word(words, state, k, c, full=None, move=None, after=False):
        full = full or (lambda state, f, M: state >= f * (2**64 // M))
        move = move or (lambda words, state: (words.append(state & MASK), state >> WORD)[1])
        f, M = c[k + 1] - c[k], c[-1]
        if after:
            state = push(state, k, c)
            return move(words, state) if state >= 2**64 else state
        return push(move(words, state) if full(state, f, M) else state, k, c)

    def but(**changes):
        return lambda *arguments: push_word(*arguments, **changes)

    def on_a_list(function):
        """A function of a list that it changes as one of the same arguments that returns both."""

        def both(words, *others):
            words = list(words)
            state = function(words, *others)
            return (halves(state) if type(state) is int else state), words

        return both

    what = "your coder"

    def students(words, *others):
        value = called(what, answer, words, *others)
        if isinstance(value, (tuple, list)):
            raise Wrong(
                f"{sentence(what)}: the state alone is expected, one number. The list of words is changed in place."
            )
        return whole(what, value)

    def upper(words, state):
        words.append(state >> WORD)
        return state & MASK

    def first(words, state):
        words.insert(0, state & MASK)
        return state >> WORD

    limit = "The state after a push is nearly state M / f, and that must be below 2^64: state < f 2^64 / M."
    mistakes = [
        (
            but(move=lambda words, state: state >> WORD),
            "it is as it was before, append is missing: a word that the state gives away must go somewhere, and words ="
            " words + [...] makes a list that nobody else sees.",
        ),
        (
            but(after=True),
            "the word moves after the push, an order that the reader cannot undo: by then the state may have passed"
            " 2^64. Look before the push.",
        ),
        (
            but(full=lambda state, f, M: False),
            "no word leaves the state, something is missing: the renormalisation, or state >> 32 behind the append."
            f" {limit}",
        ),
        (
            but(full=lambda state, f, M: state >= 2**64 // M),
            f"the limit does not know the symbol, f is missing. {limit}",
        ),
        (but(full=lambda state, f, M: state >= f << WORD), f"2^32 f is right where r = 32, a factor. {limit}"),
        (but(full=lambda state, f, M: state >= f * M), f"f M is no limit of the state, a factor is wrong. {limit}"),
        (but(full=lambda state, f, M: state >= 2**WORD), f"every state above 2^32 gives a word, one too many. {limit}"),
        (
            but(full=lambda state, f, M: state > f * (2**64 // M)),
            "at the limit itself the state is one too many: it must stay below 2^64, so >= and not >.",
        ),
        (
            but(move=lambda words, state: (words.append(state & MASK), int(state / 2**WORD))[1]),
            "/ rounds the last digits away: a float holds 53 bits of the state's 64. state >> 32.",
        ),
        (
            but(move=upper),
            "the upper half is moved, an order that loses the symbols last pushed: the lower 32 bits go.",
        ),
        (but(move=first), "words are put at the wrong end of the list: it is a stack, append."),
        (
            but(move=lambda words, state: (words.append(state), state >> WORD)[1]),
            "the whole state is moved, a factor: a word is its lower 32 bits, state & (2^32 - 1).",
        ),
    ]
    c, state = [0, 1000, 1001, 2**16], 12345678912345678
    cases = {
        "a frequent symbol and a small state": ([5, 6], 2**33 + 1, 2, c),
        "a state that is near the limit": ([5, 6], 1000 * 2**48 - 1, 0, c),
        "a state that has reached it": ([7], 1000 * 2**48, 0, c),
        "a rare symbol": ([], state, 1, c),
        "a word of 32 ones": ([], 2**63 + MASK, 1, c),
        "r = 32": ([1], 2**60 + 3, 1, [0, 2**31, 2**32]),
        "r = 3": ([], 2**63 + 12345, 0, EIGHTHS),
    }
    outputs = ("the state", "the list of words")
    mistakes = [(on_a_list(mistake), diagnosis) for mistake, diagnosis in mistakes]
    compare(what, on_a_list(students), on_a_list(push_word), cases, mistakes, outputs, rtol=0, atol=0.25)


# ---------------------------------------------------------------------------------------------------------------------
# Cells, and images
# ---------------------------------------------------------------------------------------------------------------------


@exercise("13.6")
def check_posterior_tables(answer):
    """Exercise 13.6: (mu (D,), sigma (D,), edges (L + 1,), r) -> the cells' starts under N(mu, sigma²), (D, L + 1)."""

    def tables(mu, sigma, edges, r, scaled=lambda mu, sigma, e: (e - mu) / sigma, rounded=np.floor, M=lambda r: 2**r):
        return rounded(M(r) * norm.cdf(scaled(mu[:, None], sigma[:, None], edges))).astype(int)

    def but(**changes):
        return lambda *arguments: tables(*arguments, **changes)

    def density(mu, sigma, edges, r):
        """A cell's width times the density in its middle, added up."""
        middles, widths = (edges[1:] + edges[:-1]) / 2, np.diff(edges)
        inner = np.isfinite(widths)
        mass = np.where(inner, norm.pdf(np.where(inner, middles, 0), mu[:, None], sigma[:, None]), 0)
        mass = mass * np.where(inner, widths, 0)
        return np.concatenate([np.zeros((len(mu), 1)), np.floor(2**r * np.cumsum(mass, axis=1))], axis=1).astype(int)

    def with_one_each(mu, sigma, edges, r):
        L = len(edges) - 1
        return np.arange(L + 1) + np.floor((2**r - L) * norm.cdf(edges, mu[:, None], sigma[:, None])).astype(int)

    mistakes = [
        (but(scaled=lambda m, s, e: (e - m) / s**2), "sigma is squared: it is the standard deviation already."),
        (
            but(scaled=lambda m, s, e: (e - m) / np.sqrt(s)),
            "sigma is used as a variance: it is the standard deviation.",
        ),
        (
            but(scaled=lambda m, s, e: (e - m) / np.exp(s / 2)),
            "sigma is used as a log variance: the notebook has taken exp.",
        ),
        (but(scaled=lambda m, s, e: (e - m) * s), "multiplied by sigma, a factor the wrong way: divide."),
        (but(scaled=lambda m, s, e: e - m), "sigma is missing: a narrow posterior has its mass in few cells."),
        (
            but(scaled=lambda m, s, e: e / s),
            "mu is missing: the cells are the prior's, and the posterior lies elsewhere.",
        ),
        (
            but(scaled=lambda m, s, e: e + 0 * m),
            "these are the prior's cells, mu and sigma play no part: something is missing.",
        ),
        (but(scaled=lambda m, s, e: (m - e) / s), "the sign: the starts must rise, as (e - mu) / sigma does."),
        (but(scaled=lambda m, s, e: (e + m) / s), "the sign of mu: it is subtracted."),
        (
            but(rounded=np.rint),
            "rounded to the nearest, and ours are rounded down: both sides must do the same, as the check.",
        ),
        (but(rounded=np.ceil), "rounded up, and ours are rounded down: both sides must do the same, as the check."),
        (but(M=lambda r: 2**r - 1), "2^r - 1 digits, one too few, a factor: from 0 to 2^r - 1 they are 2^r."),
        (
            with_one_each,
            "one digit for each cell is set aside, one too many: a cell without digits is never drawn, so it need"
            " never be coded.",
        ),
        (
            density,
            "this is the density in the middle times the width, an approximation, and the two outer cells, infinitely"
            " wide, are missing. The distribution function has no need of it.",
        ),
        (
            lambda *arguments: np.diff(tables(*arguments), axis=1),
            "these are the frequencies: an order of starts is asked for, from 0 to 2^r.",
        ),
        (
            lambda *arguments: tables(*arguments)[:, 1:-1],
            "the two ends are missing, 0 and 2^r: the outer edges are infinite.",
        ),
        (
            lambda mu, sigma, edges, r: tables(mu, sigma, edges, r)[0],
            "only the first latent variable has a table: each has its own.",
        ),
    ]
    rng = np.random.default_rng(0)
    cases = {}
    for name, D, bits, r in (
        ("the general case", 3, 4, 16),
        ("one latent variable", 1, 3, 12),
        ("fine cells", 2, 8, 20),
    ):
        edges = norm.ppf(np.arange(2**bits + 1) / 2**bits)
        cases[name] = rng.standard_normal(D), np.exp(rng.uniform(-2, -0.5, D)), edges, r
    what = "your tables"
    compare(what, in_integers(what, answer, STARTS), tables, cases, mistakes, rtol=0, atol=0.25)


def toy(latents, pixels):
    """A code as the notebook's, of latent variables with 4 cells and of pixels, whose tables are drawn at random."""

    def posterior(x):
        rng = np.random.default_rng([1, *(int(value) & 1 for value in x)])
        return [[0, *np.cumsum(1 + rng.multinomial(60, rng.dirichlet(np.ones(4)))).tolist()] for _ in range(latents)]

    def likelihood(z):
        rng = np.random.default_rng([2, *(int(cell) & 3 for cell in z)])
        return [[0, start, 32] for start in rng.integers(1, 32, pixels).tolist()]

    return SimpleNamespace(posterior=posterior, likelihood=likelihood, prior=[[0, 1, 2, 3, 4]] * latents)


def push_all(s, symbols, tables, backwards=False):
    """Several symbols, from the first to the last."""
    pairs = list(zip(symbols, tables, strict=True))
    for k, c in reversed(pairs) if backwards else pairs:
        s = push(s, k, c)
    return s


def pop_all(s, tables, backwards=False):
    """Several symbols, from the first to the last, in the order of the tables: they, and the message."""
    symbols = []
    for c in reversed(tables) if backwards else tables:
        k, s = pop(s, c)
        symbols.append(k)
    return symbols[::-1] if backwards else symbols, s


def push_image(s, x, code):
    """A message with one more image x, and the cells z that were popped for it."""
    z, s = pop_all(s, code.posterior(x))
    s = push_all(s, x, code.likelihood(z))
    return push_all(s, z, code.prior), z


def pop_image(s, code):
    """A message without its last image, and the image."""
    z, s = pop_all(s, code.prior, backwards=True)
    x, s = pop_all(s, code.likelihood(z), backwards=True)
    return push_all(s, z, code.posterior(x), backwards=True), x


IMAGES = {
    "2 latent variables, 3 pixels": (1234567, [1, 0, 1], toy(2, 3)),
    "another image": (7654321, [0, 1, 1], toy(2, 3)),
    "1 latent variable, 1 pixel": (100003, [0], toy(1, 1)),
    "3 latent variables, 5 pixels": (3**15, [1, 1, 0, 1, 0], toy(3, 5)),
}
LONG = (3**200, [1, 0, 1], toy(2, 3))


@exercise("13.7")
def check_push_image(answer):
    """Exercise 13.7: (message s, image x (D,), code) -> the message with the image, and the cells z (list)."""

    def popped(under, backwards=False):
        """z from other tables, or in another order."""

        def mistaken(s, x, code):
            z, s = pop_all(s, under(x, code), backwards)
            return push_all(push_all(s, x, code.likelihood(z)), z, code.prior), z

        return mistaken

    def pushed(rest):
        """Other pushes after the right pop."""

        def mistaken(s, x, code):
            z, s = pop_all(s, code.posterior(x))
            return rest(s, x, z, code), z

        return mistaken

    def chosen(s, x, code):
        z = [int(np.argmax(np.diff(c))) for c in code.posterior(x)]
        return push_all(push_all(s, x, code.likelihood(z)), z, code.prior), z

    def not_taken(s, x, code):
        z, _ = pop_all(s, code.posterior(x))
        return push_all(push_all(s, x, code.likelihood(z)), z, code.prior), z

    def one_by_one(s, x, code):
        z = [pop(s, c)[0] for c in code.posterior(x)]
        return push_all(push_all(s, x, code.likelihood(z)), z, code.prior), z

    lent = "nothing is lent, the bits of z are missing: the message that pop returns is to be gone on with."
    mistakes = [
        (
            popped(lambda x, code: code.prior),
            "z is popped under the prior, something else than the posterior: such a z knows nothing of the image.",
        ),
        (
            chosen,
            "the likeliest z is taken, and not the one in the message: so something is missing, the bits that popping"
            " z gives back.",
        ),
        (not_taken, lent),
        (one_by_one, lent),
        (
            pushed(lambda s, x, z, code: push_all(push_all(s, x, code.likelihood(z)), z, code.posterior(x))),
            "z is pushed under the posterior, something else than the prior: the reader does not know x yet.",
        ),
        (
            pushed(lambda s, x, z, code: push_all(s, x, code.likelihood(z))),
            "z is missing in the message: the reader needs it before x, so it is pushed last, under the prior.",
        ),
        (pushed(lambda s, x, z, code: push_all(s, z, code.prior)), "x is missing in the message."),
        (
            pushed(lambda s, x, z, code: push_all(push_all(s, z, code.prior), x, code.likelihood(z))),
            "z is pushed before x, an order that cannot be undone: the reader would pop x first, and for its"
            " probabilities needs z.",
        ),
        (
            popped(lambda x, code: code.posterior(x), backwards=True),
            "the order in which z is popped: from its last entry to its first. A code too, but the check's goes from"
            " the first to the last.",
        ),
        (
            pushed(lambda s, x, z, code: push_all(push_all(s, x, code.likelihood(z)), z, code.prior, True)),
            "the order in which z is pushed: from its last entry to its first. A code too, but the check's goes from"
            " the first to the last.",
        ),
        (
            pushed(lambda s, x, z, code: push_all(push_all(s, x, code.likelihood(z), True), z, code.prior)),
            "the order of the pixels: from the last to the first. A code too, but the check's goes from the first to"
            " the last.",
        ),
    ]
    outputs = ("the message", "z")
    compare_whole("your encoder", answer, push_image, IMAGES, mistakes, LONG, outputs)


@exercise("13.8")
def check_pop_image(answer):
    """Exercise 13.8: (message s, code) -> the message before the image, and the image x (list)."""

    def other(z_backwards=True, x_backwards=True, rest=None, listed=lambda x: x):
        def mistaken(s, code):
            z, s = pop_all(s, code.prior, z_backwards)
            x, s = pop_all(s, code.likelihood(z), x_backwards)
            return (rest or returned)(s, z, x, code), listed(x)

        return mistaken

    def returned(s, z, x, code, backwards=True):
        return push_all(s, z, code.posterior(x), backwards)

    def forwards(s, z, x, code):
        return returned(s, z, x, code, backwards=False)

    turned = (
        "what was pushed last is popped first, so each loop runs the other way round than in the encoder, and what was"
        " popped is turned round."
    )
    mistakes = [
        (
            other(rest=lambda s, z, x, code: s),
            "z is not pushed back, the last step is missing: so the bits that chose it, which were lent, are lost, and"
            " with them the image before.",
        ),
        (
            other(rest=lambda s, z, x, code: push_all(s, z, code.prior, True)),
            "z is pushed back under the prior, something else than it was popped under: the posterior, for which x is"
            " known now.",
        ),
        (other(rest=forwards), f"the order in which z is pushed back: {turned}"),
        (other(False, False, forwards), f"the order of all three steps: {turned}"),
        (other(z_backwards=False), f"the order in which z is popped: {turned}"),
        (other(x_backwards=False), f"the order in which pixels are popped: {turned}"),
        (other(False, False), f"the order in which z and x are popped: {turned}"),
        (other(False, True, forwards), f"the order of z, popped and pushed: {turned}"),
        (other(True, False, forwards), f"the order of the pixels, and of z when it is pushed back: {turned}"),
        (
            other(listed=lambda x: x[::-1]),
            "its pixels are in the order in which they were popped, from the last to the first: turn them round.",
        ),
        (
            other(listed=lambda x: x[::-1], rest=lambda s, z, x, code: returned(s, z, x[::-1], code)),
            "its pixels stay in the order in which they were popped, the last first: turn them round before the"
            " posterior sees them.",
        ),
        (
            other(rest=lambda s, z, x, code: returned(s, z[::-1], x, code)),
            "z stays in the order in which it was popped, the last first: turn it round.",
        ),
        (lambda s, code: pop_image(s, code)[::-1], "message and image have changed places: the message comes first."),
    ]
    cases = {name: (push_image(*arguments)[0], arguments[2]) for name, arguments in IMAGES.items()}
    outputs = ("the message", "the image")
    large = push_image(*LONG)[0], LONG[2]
    compare_whole("your decoder", answer, pop_image, cases, mistakes, large, outputs)
