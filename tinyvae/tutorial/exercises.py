"""What stands around every check of the course: a student sees the diagnosis, or their own frames, and nothing of ours.

``exercise`` makes a check of a function that judges. Whatever is raised on the way leaves through ``outcome``: a
``Wrong`` says as much as the hint asked for, an exercise that is still to be solved says that and no more, and any
other exception keeps of its traceback what is the student's. For the lines of a check are next to its solutions.
"""

import functools
import re
import sys
import sysconfig
import traceback
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

from tinyvae.errors import UserError
from tinyvae.tutorial.answers import HINTS, Unsolved, Wrong

PACKAGE = str(Path(__file__).parents[1])
LIBRARIES = tuple({sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")})
FOREIGN = re.compile(r"^<frozen |^<__array_function__|[/\\](site|dist)-packages[/\\]")
MOST_FRAMES = 20
NUMBER = re.compile(r"Exercise (\d+\.\d+)")


def exercise(number: str) -> Callable[[Callable], Callable]:
    """Make a check of a function that judges answers: it prints that they are right, or raises.

    The check takes ``hint`` besides: 1 for the kind of a mistake, 2 for where it is, 3 for all that is known of it.

    Args:
        number: of the exercise, such as "1.1".
    """

    def decorate(judge: Callable) -> Callable:
        def check(*answers: Any, hint: int = 1) -> None:
            if (raised := outcome(number, judge, answers, hint)) is not None:
                raise raised

        # A traceback always has the frame that raised. This one has no file whose lines could be shown.
        check.__code__ = check.__code__.replace(co_filename="<tinyvae.tutorial>", co_name=judge.__name__)
        return functools.wraps(judge)(check)

    return decorate


def outcome(number: str, judge: Callable, answers: tuple, hint: int) -> BaseException | None:
    """What is to be raised after a judgement, with a traceback that has no frame of ours; None if all is right."""
    if hint not in HINTS:
        return UserError(f"hint={hint!r}: it is 1 (the kind of the mistake), 2 (where it is) or 3 (all of it).")
    try:
        judge(*answers)
    except Wrong as wrong:
        wrong.hint = hint
        return bare(wrong)
    except BaseException as error:
        frames = own_frames(error.__traceback__)
        named = NUMBER.search(str(error))  # one exercise may use the function of another
        if isinstance(error, Unsolved) or (isinstance(error, NotImplementedError) and (frames or named)):
            return Unsolved(f"Exercise {named[1] if named else number} is still to be solved.")
        if frames is None and isinstance(error, Exception):
            return Wrong(
                f"Exercise {number}: your function fails, or does not take or return what its docstring says "
                f"({type(error).__name__}: {error})."
            )
        return students_own(error)
    return None


def bare(error: BaseException) -> BaseException:
    """An exception without a traceback and without others behind it; it is changed in place."""
    error.__cause__ = error.__context__ = None
    return error.with_traceback(None)


def students_own(error: BaseException) -> BaseException:
    """An exception, and those behind it, with the student's frames alone; they are changed in place."""
    todo: list[BaseException | None] = [error]
    seen: set[int] = set()
    while todo:
        one = todo.pop()
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        one.__traceback__ = own_frames(one.__traceback__)
        todo += [one.__cause__, one.__context__]
    frames = error.__traceback__  # as it is now: raising it adds more
    error.__dict__["_render_traceback_"] = lambda: rendered(error, frames)  # IPython asks an exception for this
    return error


def own_frames(tb: TracebackType | None) -> TracebackType | None:
    """The part of a traceback that is neither in this package nor in a library; None if nothing is."""
    links = []
    while tb is not None:
        file = tb.tb_frame.f_code.co_filename
        if not (file.startswith((PACKAGE, *LIBRARIES)) or FOREIGN.search(file)):
            links.append(tb)
        tb = tb.tb_next
    if len(links) > MOST_FRAMES:  # of an endless recursion the ends say all
        links = links[: MOST_FRAMES // 2] + links[-MOST_FRAMES // 2 :]
    own = None
    for link in reversed(links):
        own = TracebackType(own, link.tb_frame, link.tb_lasti, link.tb_lineno)
    return own


def rendered(error: BaseException, frames: TracebackType | None) -> list[str]:
    """What a notebook shows of an exception: these frames, in IPython's own manner."""
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    if frames is None or shell is None:
        return [line.rstrip("\n") for line in traceback.format_exception(type(error), error, frames)]
    return shell.InteractiveTB.structured_traceback(type(error), error, frames, 0)
