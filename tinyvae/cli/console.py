"""What all commands share: exit statuses, messages, and the notice that kernels are being compiled.

Results go to standard output; progress and messages to standard error.
"""

import argparse
import difflib
import logging
import math
import os
import re
import signal
import sys
import textwrap
import time
from contextlib import suppress
from pathlib import Path

from tinyvae.cli.output import steadfast
from tinyvae.errors import DivergenceError, UserError
from tinyvae.system import MOST_THREADS

# UNTOLD: all is done, but not all of what there is to say could be printed, or written where it was to be kept.
FAILURE, MISUSE, UNTOLD, SIGNALLED = 1, 2, 3, 128
WIDTH = 110  # of a report, in letters
MOST_DIGITS = 100
NOT_FINITE = (
    "a test example at least has a density that is zero or no number: look for a value that lies far out, rescale the "
    "data, or train with --dtype float64"
)
LARGEST = 10**15  # a number beyond is a slip of the finger


class Parser(argparse.ArgumentParser):
    """An argument parser that shows defaults and suggests the nearest valid name for a mistyped one.

    Args:
        prog: the command, as it is typed.
        doc: the command's docstring, None under ``python -OO``: what it does and, after the options, "examples:".
    """

    def __init__(self, prog, doc):
        description, *examples = re.split(r"\n\n(?=examples?:\n)", doc or "")
        super().__init__(
            prog=prog,
            description=description,
            epilog="".join(examples),
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )

    def error(self, message):
        """One line that says what was wrong and what was perhaps meant; exit status 2."""
        words = re.split(r"[\s',:]+", message)
        options = [option for action in self._actions for option in action.option_strings]
        mistyped, valid = [word for word in words if word.startswith("--") and word not in options], options
        if choice := re.search(r"invalid choice: '(.*)' \(choose from (.*)\)", message):
            mistyped, valid = [choice[1]], re.split(r"[', ]+", choice[2])
        nearest = difflib.get_close_matches(mistyped[0], valid, 1) if mistyped else []
        hint = f"; did you mean {nearest[0]}?" if nearest else ""
        print(f"{self.prog}: {message}{hint} (--help lists the options)", file=sys.stderr)
        sys.exit(MISUSE)


def positive(text):
    """A whole number above zero."""
    if not is_whole(text) or int(text) == 0:
        raise argparse.ArgumentTypeError(f"a whole number above zero is needed, not {text or 'an empty one'}")
    if int(text) > LARGEST:
        raise argparse.ArgumentTypeError(f"no machine holds so many of anything as {text}")
    return int(text)


def threads(text):
    """A number of threads, which may be more than there are cores."""
    if not is_whole(text) or not 0 < int(text) <= MOST_THREADS:
        raise argparse.ArgumentTypeError(f"a whole number from 1 to {MOST_THREADS} is needed, not {text}")
    return int(text)


def is_whole(text):
    """Whether a text is a whole number (one of thousands of digits takes Python long to read, or too long)."""
    return text.isascii() and text.isdecimal() and len(text) <= MOST_DIGITS


def rate(text):
    """A finite number above zero."""
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 < number < math.inf:
        raise argparse.ArgumentTypeError(f"a number above zero is needed, not {text}")
    return number


def seed(text):
    """A whole number that fits the generator's key of 64 bits."""
    if not is_whole(text) or int(text) >= 2**64:
        raise argparse.ArgumentTypeError(f"a whole number from 0 to 2^64 - 1 is needed, not {text}")
    return int(text)


def path(text):
    """A path; an empty one, as an unset variable of the shell leaves it, would be the current folder."""
    if not text.strip():
        raise argparse.ArgumentTypeError("a name is needed, not an empty one")
    return Path(text)


def figure(value, spec=".2f"):
    """A number of a result in words; None is how JSON has one that is not finite."""
    return "not finite" if value is None else format(value, spec)


def require_free(path, overwrite):
    """UserError if a file to be written is there already, and is not to be overwritten."""
    if os.path.lexists(path) and not overwrite:
        raise UserError(f"{path} is there already: add --overwrite to replace it, or choose another name")


def require_other(path, source):
    """UserError if a file to be written is the one that is read."""
    if os.path.isfile(source) and os.path.exists(path) and os.path.samefile(path, source):
        raise UserError(f"{path} is what is to be read: choose another name for --out")


def run(main):
    """Call a command's main function and exit with its status; errors that a person can mend have no traceback."""
    with steadfast() as out:
        status = attempt(main)
        out.flush()
        if out.fault is not None and not status:
            print(f"not all could be printed to standard output ({out.fault})", file=sys.stderr)
            status = UNTOLD
    sys.exit(status)


def attempt(main):
    """The exit status of a command, after a word about what went wrong."""
    try:
        return main()
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return MISUSE
    except DivergenceError as error:
        print(f"stopped: {error}", file=sys.stderr)
        return FAILURE
    except MemoryError:
        print(
            "error: the memory of this machine is not enough\nMake the model or the minibatch smaller.", file=sys.stderr
        )
        return MISUSE
    except KeyboardInterrupt as interrupt:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the next would show a traceback of the interpreter's end
        print("; ".join(["interrupted", *map(str, interrupt.args)]), file=sys.stderr)
        return SIGNALLED + getattr(interrupt, "number", signal.SIGINT)
    except SystemExit as end:  # of the parser
        return end.code


def announce_compilation(quiet=False):
    """Say so when kernels are compiled (seconds, once: the code is kept)."""
    from tinyvae import machine

    machine.watch_compilation(None if quiet else CompilationBar())


def hush():
    """Have Matplotlib say nothing but errors, as a command under --quiet: it tells of the fonts that it lists, once."""
    logging.getLogger("matplotlib").setLevel(logging.ERROR)


def compile_ahead(network="mlp", dtype="float32"):
    """Let the compilation of what a training wants begin in good time, if it is in the usual numbers."""
    from tinyvae import machine

    if dtype == "float32":
        machine.compile_ahead({"conv": "convolution", "gru": "recurrence"}.get(network, ""))


def acknowledge_interrupt(quiet=False):
    """Say that a signal to end was understood; from its handler, where no stream of Python's may be used."""
    if not quiet:
        with suppress(OSError):
            os.write(2, b"\ninterrupted: this step is finished first (Ctrl-C now stops at once)\n")


def paragraph(label, text):
    """A line of a report, "  label  text", over as many lines as a long text takes."""
    indent = " " * (len(label) + 4)
    return textwrap.fill(text, WIDTH, initial_indent=f"  {label}  ", subsequent_indent=indent, break_on_hyphens=False)


class CompilationBar:
    """That kernels are compiled, on standard error: a count on a terminal, for as long as it takes, else a line."""

    def __init__(self):
        self.bar, self.began = None, None

    def begin(self, count):
        """A function begins to be compiled."""
        from tqdm import tqdm

        live = sys.stderr.isatty()
        if self.began is None:
            self.began = time.time()
            if not live:
                print("compiling kernels, once (some seconds) ...", file=sys.stderr, flush=True)
        if live:
            words = "compiling kernels, once: {n} functions, {elapsed}"
            if self.bar is None:
                self.bar = tqdm(leave=False, bar_format=words)
            self.bar.start_t, self.bar.n = self.began, count
            self.bar.refresh()

    def end(self):
        """All is compiled that was asked for; more may be, later."""
        if self.bar is not None:
            self.bar.close()
            self.bar = None


class ProgressBar:
    """Epoch, speed and bound while training, on standard error: a live bar on a terminal, else a line an epoch.

    Args:
        total: examples to be seen in all.
        quiet: show nothing.
        seen: examples that were seen before.
        unit: what bounds are counted in.
    """

    def __init__(self, total, quiet=False, seen=0, unit="nats per example"):
        from tqdm import tqdm

        self.live = sys.stderr.isatty() and not quiet
        self.quiet, self.unit = quiet, unit
        self.bar = tqdm(
            total=total,
            initial=seen,
            disable=not self.live,
            unit=" examples",
            unit_scale=True,
            dynamic_ncols=True,
            smoothing=0.05,
        )
        self.label, self.bound, self.test_bound = "", None, None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.bar.close()

    def start_epoch(self, epoch, epochs):
        """Name the epoch that begins."""
        self.bar.set_description(f"epoch {epoch}/{epochs}", refresh=False)

    def step(self, examples, bound):
        """Count a minibatch's examples and show its bound, smoothed, in nats per example."""
        if not self.live:
            return
        self.bound = bound if self.bound is None else 0.98 * self.bound + 0.02 * bound
        test = "" if self.test_bound is None else f", test {self.test_bound:.2f}"
        self.bar.set_postfix_str(f"bound {self.bound:.1f} nats{test}", refresh=False)
        self.bar.update(examples)

    def end_epoch(self, row):
        """Show a row of the history."""
        self.test_bound = row["test_bound"]
        if not self.live and not self.quiet:
            bits = row.get("test_bits_per_dimension")
            words = "" if bits is None else f" ({bits:.3f} bits per dimension)"
            print(
                f"epoch {row['epoch']}: train {row['train_bound']:.2f}, test {row['test_bound']:.2f} {self.unit}"
                f"{words}, {row['seconds']:.0f} s",
                file=sys.stderr,
                flush=True,
            )


def table(rows):
    """Rows, dicts with the same keys, as lines of columns: words on the left of theirs, numbers on the right; where
    that is wider than a report, as a paragraph for each cell, the rows apart.
    """
    cells = [[str(value) for value in row] for row in (rows[0], *(row.values() for row in rows))]
    widths = [max(map(len, column)) for column in zip(*cells)]
    if sum(widths) + 2 * (len(widths) - 1) > WIDTH:
        names = [name.ljust(max(map(len, rows[0]))) for name in rows[0]]
        return "\n\n".join("\n".join(map(paragraph, names, line)) for line in cells[1:])
    are_numbers = [isinstance(value, int | float) for value in rows[0].values()]
    lines = [
        "  ".join(
            cell.rjust(width) if is_number else cell.ljust(width)
            for cell, width, is_number in zip(line, widths, are_numbers)
        )
        for line in cells
    ]
    return "\n".join(line.rstrip() for line in lines)


def sample_bar(total, quiet=False, unit=" samples"):
    """A progress bar over samples, or another unit, on standard error; nothing where that is no terminal."""
    from tqdm import tqdm

    return tqdm(total=total, unit=unit, unit_scale=True, disable=quiet or not sys.stderr.isatty())
