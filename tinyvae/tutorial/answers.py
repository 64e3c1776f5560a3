"""How the checks of the course judge an answer: by comparing it with ours, and by recognising what went wrong.

A check gives ``compare`` the student's function, ours, and cases to try both on. Where they differ, the student's
numbers are held against those of the mistakes that people make at this place, each with its diagnosis; then against
slips that can be made anywhere (a sign, a factor, a constant, a sum that is missing); and only then the answer is
the first number that differs.
"""

import copy
import math
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


class Wrong(AssertionError):
    """An answer that is not right yet; its text is the diagnosis."""

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
) -> None:
    """Accept an answer, or say what is wrong with it.

    Args:
        what: the answer's name in messages, such as "your KL divergence".
        answer: the student's function.
        reference: ours, of the same arguments.
        cases: {name: arguments}, such as {"K = 1": (logw,)}: the name says what is special about it.
        mistakes: [(function, diagnosis)]: functions of the same arguments that make a known mistake.
        outputs: names of the outputs, of functions that return several; they are judged one after the other.
        rtol: relative tolerance, of the largest number in the output.

    Raises: Wrong with the diagnosis. What the student's function raises by itself comes through.
    """
    expected = {name: as_outputs(run(what, reference, arguments), outputs) for name, arguments in cases.items()}
    found = {name: as_outputs(run(what, answer, arguments), outputs, what) for name, arguments in cases.items()}
    for i, output in enumerate(outputs or (None,)):
        ours, theirs = ({name: values[i] for name, values in each.items()} for each in (expected, found))
        label = what if output is None else f"{output} of {what}"
        bad = [name for name in cases if not same(theirs[name], ours[name], rtol)]
        if not bad:
            continue
        for mistake, diagnosis in mistakes:
            values = {name: as_outputs(run(what, mistake, cases[name]), outputs)[i] for name in cases}
            if all(same(theirs[name], values[name], rtol) for name in cases):
                raise Wrong(f"{sentence(label)}: {diagnosis}")
        good = [name for name in cases if name not in bad]
        where = f" Right for {' and '.join(good)}; wrong for {' and '.join(bad)}." if good else ""
        raise Wrong(f"{sentence(label)}: {slip([theirs[n] for n in bad], [ours[n] for n in bad], rtol)}{where}")
    print(f"Right: {what}.")


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
    if not callable(answer):
        raise Wrong(f"{sentence(what)}: a function is expected, not {type(answer).__name__}. Leave its () away?")
    given = copy.deepcopy(arguments)
    with np.errstate(all="ignore"):  # what overflows is judged below, by its value
        value = answer(*given)
    for i, (before, after) in enumerate(zip(arguments, given)):
        if has_changed(before, after):
            raise Wrong(f"{sentence(what)}: the function changes its argument number {i + 1}. Work on a copy of it.")
    return value


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
    n = len(outputs or (None,))
    if len(values) != n:
        raise Wrong(f"{sentence(what)}: {n} outputs are expected ({', '.join(outputs or ())}), not {len(values)}.")
    if any(part is None for part in values):
        raise Wrong(f"{sentence(what)}: the function returns None. Is there a return at its end?")
    try:
        return tuple(np.asarray(part, float) for part in values)
    except (TypeError, ValueError):
        found = f"a tuple of {len(value)}" if isinstance(value, tuple) and not outputs else type(values[0]).__name__
        raise Wrong(f"{sentence(what)}: numbers are expected, not {found}.") from None


def same(found: np.ndarray, expected: np.ndarray, rtol: float) -> bool:
    """Whether two outputs are one: the same shape, and differences within the tolerance of the largest number.

    NaN is NaN: a mistake that gives it is to be recognised.
    """
    if found.shape != expected.shape:
        return False
    with np.errstate(invalid="ignore"):
        scale = np.max(np.abs(expected), initial=0, where=np.isfinite(expected))
        near = np.abs(found - expected) <= ATOL + rtol * scale
        return bool(np.all(near | (found == expected) | (np.isnan(found) & np.isnan(expected))))


def slip(found: Sequence[np.ndarray], expected: Sequence[np.ndarray], rtol: float) -> str:
    """What is wrong, as far as numbers alone can say, over several cases: a shape, a sign, a factor, a constant."""
    shapes = [(theirs, ours) for theirs, ours in zip(found, expected) if theirs.shape != ours.shape]
    if shapes:  # the largest says most: with one sample a mean over the samples looks like an axis left away
        return shape_slip(*max(shapes, key=lambda pair: pair[1].size))
    for theirs in found:
        if not np.isfinite(theirs).all():
            return f"{np.sum(~np.isfinite(theirs))} of {theirs.size} numbers are infinite or not a number."
    theirs, ours = (np.concatenate([np.ravel(part) for part in parts]) for parts in (found, expected))
    if same(-theirs, ours, rtol):
        return "exactly the negative of ours: a sign?"
    factor = theirs @ ours / (ours @ ours) if ours.any() else math.nan
    is_factor = math.isfinite(factor) and abs(factor) > 1e-3 and abs(factor - 1) > 1e-4
    if ours.size > 1 and is_factor and same(theirs, factor * ours, rtol):
        known = [name for value, name in FACTORS.items() if math.isclose(factor, value, rel_tol=1e-4)]
        return f"exactly {known[0] if known else f'{factor:.4g} times'} ours: a factor?"
    difference = theirs - ours
    if ours.size > 1 and np.ptp(difference) <= rtol * np.max(np.abs(theirs)):
        offset = float(difference.mean())
        known = [name for value, name in CONSTANTS.items() if math.isclose(abs(offset), value, rel_tol=1e-4)]
        size = f"{abs(offset):.4g}" + (f" = {known[0]}" if known else "")
        return f"{size} {'more' if offset > 0 else 'less'} than ours everywhere: a constant?"
    if same(theirs, ours, NEARLY):
        error = np.max(np.abs(difference)) / np.max(np.abs(ours))
        return f"nearly ours, with a relative error of {error:.0e}: float32, or an approximation?"
    place = int(np.argmax(np.abs(difference)))
    return f"the largest difference is where yours is {theirs[place]:.6g} and ours {ours[place]:.6g}."


def shape_slip(theirs: np.ndarray, ours: np.ndarray) -> str:
    """What is wrong with a shape."""
    text = f"its shape is {theirs.shape}, and {ours.shape} is expected."
    if theirs.shape == ours.T.shape:
        return f"{text} Is it transposed?"
    if theirs.ndim != ours.ndim and theirs.size == ours.size:
        return f"{text} Is an axis of length 1 too {'many' if theirs.ndim > ours.ndim else 'few'} (keepdims)?"
    if theirs.ndim > ours.ndim:
        return f"{text} Is a sum or a mean over an axis missing?"
    if theirs.ndim < ours.ndim:
        return f"{text} Is there a sum or a mean too many, or over all axes?"
    return text


def sentence(text: str) -> str:
    """A text with a capital at its beginning."""
    return text[:1].upper() + text[1:]
