"""Right, wrong and odd answers to every exercise of the course, made from its solutions.

``answers`` makes them of a solution: [(name, the answers for the check, what is to come of it)]. What is to come is
RIGHT, or UNSOLVED, or a part of what a student sees; or an exception's class, for an answer that crashes.
"""

import copy
import functools

import numpy as np

RIGHT, UNSOLVED = "right", "unsolved"


class Callable:
    """A function as an object."""

    def __init__(self, function):
        self.function = function

    def __call__(self, *arguments):
        return self.function(*arguments)


def each(change, value):
    """A function's outputs, changed one by one."""
    return type(value)(map(change, value)) if isinstance(value, (tuple, list)) else change(value)


def after(change):
    """A change of a function's outputs as one of the function."""
    return lambda solution: lambda *arguments: change(solution(*arguments))


def of_each(change):
    """The same for each output."""
    return after(lambda value: each(change, value))


def fortran(part):
    """The same numbers in another order of memory, read-only, and 0-d for a number."""
    part = np.array(part, order="F")
    part.flags.writeable = False
    return part


def careless(solution):
    """It changes all arrays that it was given."""

    def spoil(value):
        if isinstance(value, np.ndarray) and value.dtype.kind == "f" and value.size:
            value += 1
        elif isinstance(value, (list, tuple)):
            for part in value:
                spoil(part)

    def answer(*arguments):
        result = copy.deepcopy(solution(*copy.deepcopy(arguments)))
        spoil(arguments)
        return result

    return answer


def unsolved(*_):
    raise NotImplementedError("Exercise 9.9 is still to be solved: replace this line")


def empty(*_):
    raise NotImplementedError


def crashing(*_):
    return np.zeros((2, 3)) @ np.zeros((2, 3))


def endless(*arguments):
    return endless(*arguments)


def misspelt(*_):
    return numpy.zeros(3)  # noqa: F821


def interrupted(*_):
    raise KeyboardInterrupt


def leaving(*_):
    raise SystemExit(3)


def raised_from(*_):
    try:
        {}["x"]
    except KeyError as error:
        raise RuntimeError("there is no x") from error


def nothing(*_):
    return None


def noise(part):
    """Other numbers of the same shape, every time."""
    part = np.asarray(part, float)
    return part + np.random.default_rng().standard_normal(part.shape)


# What an answer of any kind may be instead of a solution. (name, answer, what is to come)
ODD = [
    ("nothing is returned", nothing, ""),
    ("a word", lambda *_: "much", ""),
    ("a dict", lambda *_: {"x": 1}, ""),
    ("an object", lambda *_: object(), ""),
    ("a function", lambda *_: np.sum, ""),
    ("lists of two lengths", lambda *_: [[1.0], [1.0, 2.0]], ""),
    ("still unsolved", unsolved, UNSOLVED),
    ("unsolved without a text", empty, UNSOLVED),
    ("the ellipsis", lambda *_: ..., UNSOLVED),
    ("no function but the ellipsis", ..., UNSOLVED),
    ("no function but a number", 3.0, "a function is expected, not float"),
    ("no function but nothing", None, "a function is expected, not NoneType"),
    ("it takes no arguments", lambda: 1.0, "does not take or return what its docstring says (TypeError"),
    ("shapes that do not fit", crashing, ValueError),
    ("a name that is not there", misspelt, NameError),
    ("no end", endless, RecursionError),
    ("an exception of another", raised_from, RuntimeError),
    ("Ctrl-C", interrupted, KeyboardInterrupt),
    ("exit()", leaving, SystemExit),
]
# What is made of a solution that returns numbers. (name, change of the function, what is to come)
STYLES = [
    ("the solution", lambda solution: solution, RIGHT),
    ("an object that can be called", Callable, RIGHT),
    ("a partial", lambda solution: functools.partial(solution), RIGHT),
    ("lists", of_each(lambda part: np.asarray(part).tolist()), RIGHT),
    ("another order in memory, 0-d", of_each(fortran), RIGHT),
    ("single precision", of_each(lambda part: np.asarray(part, np.float32)), RIGHT),
    ("a hair's breadth off", of_each(lambda part: np.asarray(part) * (1 + 1e-9)), RIGHT),
    ("a list of outputs", after(lambda value: list(value) if isinstance(value, tuple) else value), RIGHT),
    ("an axis more", of_each(lambda part: np.asarray(part)[None]), "shape"),
    ("not a number", of_each(lambda part: np.full(np.shape(part), np.nan)), "infinite or not a number"),
    ("infinity", of_each(lambda part: np.full(np.shape(part), np.inf)), "infinite or not a number"),
    ("1 % too much", of_each(lambda part: np.asarray(part) * 1.01), ""),
    ("0.001 % too much", of_each(lambda part: np.asarray(part) * (1 + 1e-5)), ""),
    ("the negative", of_each(lambda part: 0 - np.asarray(part)), ""),
    ("1 more", of_each(lambda part: np.asarray(part) + 1), ""),
    ("zeros", of_each(lambda part: np.zeros(np.shape(part))), ""),
    ("other numbers every time", of_each(noise), ""),
    ("complex numbers", of_each(lambda part: np.asarray(part) + 0j), "numbers are expected"),
    ("numbers as words", of_each(lambda part: np.asarray(part).astype(str).astype(object) + "x"), "are expected"),
    ("an output more", after(lambda value: (*value, 1.0) if isinstance(value, tuple) else (value, 1.0)), "expected"),
    ("it changes its arguments", careless, "changes its argument"),
]


def of_numbers(solution, changed=()):
    """Answers of an exercise whose solution returns numbers.

    Args:
        solution: the function.
        changed: {name: what is to come}, where it is another than for most.
    """
    return [(name, (change(solution),), dict(changed).get(name, expected)) for name, change, expected in STYLES] + odd(
        changed
    )


def odd(changed=()):
    """The odd ones."""
    return [(name, (answer,), dict(changed).get(name, expected)) for name, answer, expected in ODD]


def of_judges(solution, changed=()):
    """Answers of an exercise whose solution says True or False of functions."""
    passes, rejects = "it passes something that is wrong", "it rejects something that is right"
    rng = np.random.default_rng(0)
    verdicts = [
        ("the solution", solution, RIGHT),
        ("an object that can be called", Callable(solution), RIGHT),
        ("NumPy's bool", after(np.bool_)(solution), RIGHT),
        ("a 0-d array", after(np.array)(solution), RIGHT),
        ("True of everything", lambda *_: True, passes),
        ("False of everything", lambda *_: False, rejects),
        ("the contrary", after(lambda value: not value)(solution), "an order is wrong"),
        ("heads or tails", lambda *_: bool(rng.random() < 0.5), "it "),
        ("an array of verdicts", lambda *_: np.array([True, False]), "not an array of the shape (2,)"),
        ("a number", lambda *_: 0.3, "True or False is expected, not float"),
    ]
    changed = {"it takes no arguments": "does not take"} | dict(changed)
    return [(name, (answer,), dict(changed).get(name, expected)) for name, answer, expected in verdicts] + odd(changed)
