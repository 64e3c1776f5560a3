"""How the checks of the course judge an answer: by comparing it with ours, and by recognising what went wrong.

A check gives ``compare`` the student's function, ours, and cases to try both on. Where they differ, the student's
numbers are held against those of the mistakes that people make at this place, each with its diagnosis; then against
slips that can be made anywhere (a sign, a factor, a constant, a sum that is missing); and only then the answer is
the first number that differs.
"""

import copy
import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

RTOL, ATOL = 1e-6, 1e-9
NEARLY = 1e-4  # a relative error that looks like one of rounding
FACTORS = {
    2.0: "twice", 0.5: "half", 4.0: "four times", 0.25: "a quarter of", math.pi: "pi times", math.log(2): "log 2 times",
    1 / math.log(2): "1 / log 2 times",
}  # fmt: skip
CONSTANTS = {
    0.5 * math.log(2 * math.pi): "1/2 log 2 pi", math.log(2 * math.pi): "log 2 pi", 0.5: "1/2", 1.0: "1",
    math.log(2): "log 2",
}  # fmt: skip


# The diagnosis of many checks: one maximum for a whole array.
ONE_MAXIMUM = "one largest number is taken out of all rows: those far below it vanish. Take each row's own (keepdims)."
HINTS = (1, 2, 3)
# What kind of a mistake a diagnosis speaks of: that of the first words which its first clause has. None: it says the
# shape or the like, which is no secret.
KINDS = [
    (re.compile(words), kind)
    for words, kind in (
        (r"^its shape is|^\d+ of \d+ numbers|^nearly ours|, (and|as) the check|divided by N - 1|the other end$", None),
        (r"^the labels stand before|K/k apart", None),
        (r"^the largest difference", "its numbers are other ones than ours."),
        (r"everywhere$|wherever it differs$|^log [KN] ", "a constant is wrong or missing."),
        (
            r"\boverflow|below it vanish|minus infinity|infinite$|is taken out$|out of all \w+$|until a weight is 0",
            "some numbers become too large or too small on the way.",
        ),
        (r"chang\w+ places|swapped|upside down|column by column|in turns|\border\b", "an order is wrong."),
        (
            r"\bmissing\b|left out|forgotten|never put back|no part|is lost|lacks|is not squared|not used|\balone\b|"
            r"have no tanh|for the angle itself|^only\b|votes, whatever|has to be|there once|first row|first sample",
            "something is missing.",
        ),
        (r"one too (many|few)", "it is off by one somewhere."),
        (
            r"\bsign\b|negative|(is|are) (added|subtracted)|other way|^the gradient of minus|below zero",
            "a sign is wrong.",
        ),
        (
            r"(twice|half|half of|quarter of|times) ours|\bfactor\b|the 1/2|divided|too much|1/K|1/C|"
            r"is there twice|^this is how many|per cent|^these are (numbers|bits)|one over ours|h / 2",
            "a factor is wrong.",
        ),
        (
            r"\b(sums?|means?|averaged?|averages|summed)\b.*\b(over|runs|all|rows|dimensions|pixels|samples|images|others|"
            r"groups|examples|differences)\b|of all K samples",
            "a sum or a mean is not the one that is asked for.",
        ),
        (
            r"(co)?varianc|standard dev|exp\(logvar\)|used as|square root|squared\b|\bsigma\b|precision|logarithm",
            "a variance, a square, a root, an inverse or a logarithm is taken for another.",
        ),
        (r"", "it is something else than what is asked for."),
    )
]
CLAUSE = re.compile(r"[:.](?= )")  # what stands before it says where, what stands behind it how


class Unsolved(NotImplementedError):
    """An exercise that is still to be solved; its text says which."""

    def _render_traceback_(self) -> list[str]:
        """What a notebook shows: the text alone."""
        return [str(self)]


class Wrong(AssertionError):
    """An answer that is not right yet; its text is the diagnosis, as far as the hint goes.

    Args:
        label: what is wrong, such as "Your KL divergence"; without a diagnosis the whole text.
        diagnosis: what is wrong with it; what comes first says where, what comes after the first clause how.
        where: for which cases, a sentence.
        kind: of the mistake, a sentence; by default what KINDS says of the diagnosis.

    Attributes:
        hint: 1 for the kind of the mistake, 2 for where it is, 3 (before anyone asks) for the whole diagnosis.
    """

    def __init__(self, label: str, diagnosis: str = "", where: str = "", kind: str = "") -> None:
        super().__init__(f"{label}: {diagnosis}" if diagnosis else label)
        self.label, self.diagnosis, self.where, self.kind = label, diagnosis, where, kind
        self.hint = HINTS[-1]

    def __str__(self) -> str:
        clause = CLAUSE.split(self.diagnosis, 1)[0].rstrip(".?:")
        kind = self.kind or next((kind for words, kind in KINDS if words.search(clause)), None)
        if not self.diagnosis or kind is None or self.hint == 3:
            return super().__str__()
        if self.hint == 1:
            return f"{self.label}: {kind} (hint=2 says where.)"
        rest = self.diagnosis[len(clause) :].strip(" .?:")
        more = " (hint=3 says all.)" if rest and rest not in self.where else ""
        return f"{self.label}: {clause}.{self.where}{more}"

    def _render_traceback_(self) -> list[str]:
        """What a notebook shows: the diagnosis alone, since the way through the checks tells a student nothing."""
        return [f"Not yet. {self}"]


def compare(
    what: str,
    answer: Callable,
    reference: Callable,
    cases: Mapping[str, tuple],
    mistakes: Sequence[tuple[Callable, str]] = (),
    outputs: Sequence[str] | None = None,
    rtol: float = RTOL,
    atol: float = ATOL,
) -> None:
    """Say that an answer is right, or what is wrong with it.

    Args:
        what: the answer's name in messages, such as "your KL divergence".
        answer: the student's function.
        reference: ours, of the same arguments.
        cases: {name: arguments}, such as {"K = 1": (logw,)}: the name says what is special about it.
        mistakes: [(function, diagnosis)]: functions of the same arguments that make a known mistake.
        outputs: names of the outputs, of functions that return several; they are judged one after the other.
        rtol: relative tolerance, of the largest number in the output.
        atol: absolute tolerance; 0 where right numbers may be tiny.

    Raises: Wrong with the diagnosis. What the student's function raises by itself comes through.
    """
    require_same(what, answer, reference, cases, mistakes, outputs, rtol, atol)
    print(f"Right: {what}.")


def require_same(
    what: str,
    answer: Callable,
    reference: Callable,
    cases: Mapping[str, tuple],
    mistakes: Sequence[tuple[Callable, str]] = (),
    outputs: Sequence[str] | None = None,
    rtol: float = RTOL,
    atol: float = ATOL,
) -> None:
    """``compare``, which says nothing where all is right."""
    expected = {name: as_outputs(run(what, reference, arguments), outputs) for name, arguments in cases.items()}
    found = {name: as_outputs(run(what, answer, arguments), outputs, what) for name, arguments in cases.items()}
    for i, output in enumerate(outputs or (None,)):
        ours, theirs = ({name: values[i] for name, values in each.items()} for each in (expected, found))
        label = what if output is None else f"{output} of {what}"
        bad = [name for name in cases if not same(theirs[name], ours[name], rtol, atol)]
        if not bad:
            continue
        good = [name for name in cases if name not in bad]
        where = f" Right for {'; '.join(good)}; wrong for {'; '.join(bad)}." if good else ""
        for mistake, diagnosis in mistakes:
            values = {name: as_outputs(run(what, mistake, cases[name]), outputs)[i] for name in cases}
            if all(same(theirs[name], values[name], rtol, atol) for name in cases):
                raise Wrong(sentence(label), diagnosis, where)
        diagnosis = slip([theirs[n] for n in bad], [ours[n] for n in bad], rtol, atol, not good)
        raise Wrong(sentence(label), diagnosis + where, where)


def check_number(
    what: str, number: Any, expected: Any, mistakes: Sequence[tuple[Any, str]] = (), rtol: float = RTOL
) -> None:
    """``compare`` for one number or array instead of a function; mistakes are [(number, diagnosis)]."""
    if number is None:
        raise Wrong(
            f"{sentence(what)}: it is None, and a number is expected. Does the function that made it return one?"
        )
    wrong = [(lambda value=value: value, diagnosis) for value, diagnosis in mistakes]
    compare(what, lambda: number, lambda: expected, {"this number": ()}, wrong, rtol=rtol)


def run(what: str, answer: Callable, arguments: tuple) -> Any:
    """The answer's value, on copies of the arguments that it must leave as they are."""
    given = copy.deepcopy(arguments)
    value = called(what, answer, *given)
    for i, (before, after) in enumerate(zip(arguments, given)):
        if has_changed(before, after):
            raise Wrong(f"{sentence(what)}: the function changes its argument number {i + 1}. Work on a copy of it.")
    return value


def called(what: str, answer: Callable, *arguments: Any) -> Any:
    """The answer's value on these arguments; Unsolved if it, or a part of it, is still the ellipsis."""
    if answer is ...:
        raise Unsolved
    if not callable(answer):
        raise Wrong(f"{sentence(what)}: a function is expected, not {type(answer).__name__}. Leave its () away?")
    with np.errstate(all="ignore"):  # what overflows is judged by its value
        value = answer(*arguments)
    if value is ... or (isinstance(value, (tuple, list)) and any(part is ... for part in value)):
        raise Unsolved
    return value


def not_of_type(kinds: str, advice: str, what: str, answer: Any) -> Callable:
    """The student's function, whose outputs must not be of some types: NumPy's letters for their kinds."""

    def adapted(*arguments: Any) -> Any:
        value = called(what, answer, *arguments)
        parts = value if isinstance(value, (tuple, list)) else (value,)
        if any(np.asarray(part).dtype.kind in kinds for part in parts):
            raise Wrong(f"{sentence(what)}: {advice}")
        return value

    return adapted


def in_integers(what: str, answer: Any, advice: str) -> Callable:
    """The student's function, whose numbers must be of a type for whole numbers; advice says how they become so."""
    return not_of_type("f", f"its numbers are of a type for fractions (float). {advice}", what, answer)


def has_changed(before: Any, after: Any) -> bool:
    """Whether an array, or one in a list or a tuple, is no longer what it was; NaN is NaN."""
    if isinstance(before, (list, tuple)):
        return len(before) != len(after) or any(map(has_changed, before, after))
    if not isinstance(before, np.ndarray):
        return False
    return not np.array_equal(before, after, equal_nan=before.dtype.kind == "f")


def as_outputs(value: Any, outputs: Sequence[str] | None, what: str = "") -> tuple[np.ndarray, ...]:
    """A function's outputs as a tuple of arrays; a Wrong about ``what`` if they are none, too few or too many."""
    values = value if outputs and isinstance(value, (tuple, list)) else (value,)
    n = len(outputs or (None,)) if value is not None else 1
    if len(values) != n:
        raise Wrong(f"{sentence(what)}: {n} outputs are expected ({', '.join(outputs or ())}), not {len(values)}.")
    if any(part is None for part in values):
        raise Wrong(f"{sentence(what)}: the function returns None. Is there a return at its end?")
    try:
        if any(np.iscomplexobj(part) for part in values):
            raise Wrong(f"{sentence(what)}: real numbers are expected, not complex ones. Take their real part (.real).")
        return tuple(np.asarray(part, float) for part in values)
    except (TypeError, ValueError):
        found = f"a tuple of {len(value)}" if isinstance(value, tuple) and not outputs else type(values[0]).__name__
        raise Wrong(f"{sentence(what)}: numbers are expected, not {found}.") from None


def same(found: np.ndarray, expected: np.ndarray, rtol: float, atol: float = ATOL) -> bool:
    """Whether two outputs are one: the same shape, and differences within the tolerance of the largest number.

    NaN is NaN: a mistake that gives it is to be recognised.
    """
    if found.shape != expected.shape:
        return False
    with np.errstate(invalid="ignore"):
        scale = np.max(np.abs(expected), initial=0, where=np.isfinite(expected))
        near = np.abs(found - expected) <= atol + rtol * scale
        return bool(np.all(near | (found == expected) | (np.isnan(found) & np.isnan(expected))))


def judge(what: str, answer: Callable, candidates: Sequence[tuple], draws: Sequence[tuple], idle: str = "") -> None:
    """Let a student's test judge functions, some right and some wrong.

    A right one must be passed on every draw of the noise. A wrong one must be found on one of them at least: a test may
    choose something at random itself, and be blind now and then.

    Args:
        what: the test's name in messages.
        answer: (function, *draw) -> True for a function that is right.
        candidates: [(function, whether it is right, diagnosis where the test errs, aspect)]. Aspect is what a test that
            passes all wrong ones of it does not look at; or "".
        draws: the arrays to judge on, several times.
        idle: what to ask of a test that passes everything.

    Raises: Wrong with the diagnosis.
    """
    verdicts = []
    for function, *_ in candidates:
        verdicts.append(all([verdict(what, answer, function, draw) for draw in draws]))
    wrong = [passed for (_, is_right, *_), passed in zip(candidates, verdicts) if not is_right]
    right = [passed for (_, is_right, *_), passed in zip(candidates, verdicts) if is_right]
    label = sentence(what)
    if right and all(wrong) and not any(right):
        raise Wrong(label, "True and False have changed places: it passes what is wrong, and rejects what is right.")
    passes, rejects = "it passes something that is wrong.", "it rejects something that is right."
    if right and all(verdicts):
        raise Wrong(label, f"it says True of everything, also of what is wrong. {idle}".rstrip(), kind=passes)
    reject = "" if any(verdicts) else "it says False of everything, also of what is right: "
    for aspect in dict.fromkeys(aspect for *_, aspect in candidates if aspect):
        if all(right) and all(passed for (*_, of), passed in zip(candidates, verdicts) if of == aspect):
            raise Wrong(label, f"{aspect} plays no part in it: what has the rest right is passed.", kind=passes)
    for (_, is_right, diagnosis, _), passed in zip(candidates, verdicts):
        if passed != is_right:
            raise Wrong(label, reject + diagnosis, kind=rejects if is_right else passes)


def verdict(what: str, answer: Callable, function: Callable, draw: tuple) -> bool:
    """What a student's test says of one function, on copies of the arrays."""
    value = called(what, answer, function, *(array.copy() for array in draw))
    if np.ndim(value) or np.asarray(value).dtype.kind != "b":
        found = f"an array of the shape {np.shape(value)}" if np.ndim(value) else type(value).__name__
        raise Wrong(f"{sentence(what)}: True or False is expected, not {found}.")
    return bool(value)


def slip(
    found: Sequence[np.ndarray], expected: Sequence[np.ndarray], rtol: float, atol: float = ATOL, are_all: bool = True
) -> str:
    """What is wrong, as far as numbers alone can say, over several cases: a shape, a sign, a factor, a constant.

    ``are_all`` says whether there are no other cases, which are right. With the tolerance 0 numbers are whole.
    """
    shapes = [(theirs, ours) for theirs, ours in zip(found, expected) if theirs.shape != ours.shape]
    if shapes:  # the largest says most: with one sample a mean over the samples looks like an axis left away
        return shape_slip(*max(shapes, key=lambda pair: pair[1].size))
    for theirs in found:
        if not np.isfinite(theirs).all():
            return f"{np.sum(~np.isfinite(theirs))} of {theirs.size} numbers are infinite or not a number."
    theirs, ours = (np.concatenate([np.ravel(part) for part in parts]) for parts in (found, expected))
    pairs = list(zip(found, expected))  # each has a tolerance of its own
    if all(same(-t, o, rtol, atol) for t, o in pairs):
        return "exactly the negative of ours: a sign?"
    factor = theirs @ ours / (ours @ ours) if ours.any() else math.nan
    is_factor = math.isfinite(factor) and abs(factor) > 1e-3 and abs(factor - 1) > 1e-4
    if ours.size > 1 and is_factor and all(same(t, factor * o, rtol, atol) for t, o in pairs):
        known = [name for value, name in FACTORS.items() if math.isclose(factor, value, rel_tol=1e-4)]
        return f"exactly {known[0] if known else f'{factor:.4g} times'} ours: a factor?"
    difference = theirs - ours
    offset = float(difference.mean())
    if ours.size > 1 and offset and all(same(t, o + offset, rtol, atol) for t, o in pairs):
        known = [name for value, name in CONSTANTS.items() if math.isclose(abs(offset), value, rel_tol=1e-4)]
        size = " = ".join(dict.fromkeys([f"{abs(offset):.4g}", *known[:1]]))
        where = "everywhere" if are_all else "wherever it differs"
        return f"{size} {'more' if offset > 0 else 'less'} than ours {where}: a constant?"
    is_nearly = all(same(t, o, NEARLY, atol) for t, o in pairs)
    if rtol == 0 and is_nearly:
        return (
            "nearly ours, but whole numbers have to agree to the last digit: another rounding, a / for //, or one too"
            " few?"
        )
    if is_nearly:
        error = max(np.max(np.abs(t - o)) / np.max(np.abs(o)) for t, o in pairs if np.any(t != o))
        return f"nearly ours, with a relative error of {error:.0e}: float32, or an approximation?"
    place = int(np.argmax(np.abs(difference)))
    return f"the largest difference is where yours is {theirs[place]:.6g} and ours {ours[place]:.6g}."


def shape_slip(theirs: np.ndarray, ours: np.ndarray) -> str:
    """What is wrong with a shape."""
    text = f"its shape is {theirs.shape}, and {ours.shape} is expected."
    if theirs.shape == ours.T.shape:
        return f"{text} Is it transposed?"
    if theirs.ndim != ours.ndim and theirs.size == ours.size:
        has_more = theirs.ndim > ours.ndim
        if 1 in (theirs if has_more else ours).shape:
            return f"{text} Is an axis of length 1 too {'many' if has_more else 'few'} (keepdims)?"
        return f"{text} Is an axis cut in several?" if has_more else f"{text} Are several axes made one (reshape)?"
    if theirs.ndim > ours.ndim:
        return f"{text} Is a sum or a mean over an axis missing?"
    if theirs.ndim < ours.ndim:
        return f"{text} Is there a sum or a mean too many, or over all axes?"
    return text


def sentence(text: str) -> str:
    """A text with a capital at its beginning."""
    return text[:1].upper() + text[1:]
