"""What all commands share: exit statuses, messages, and the notice that kernels are being compiled.

Results go to standard output; progress and messages to standard error.
"""

import argparse
import difflib
import math
import re
import sys

from tinyvae.errors import DivergenceError, UserError

MISUSE, FAILURE, INTERRUPTED = 2, 1, 130


class Parser(argparse.ArgumentParser):
    """An argument parser that shows defaults and suggests the nearest valid name for a mistyped one."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False, **kwargs)

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
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"a whole number above zero is needed, not {text}")
    return int(text)


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
    if not text.isdecimal() or int(text) >= 2**64:
        raise argparse.ArgumentTypeError(f"a whole number from 0 to 2^64 - 1 is needed, not {text}")
    return int(text)


def run(main):
    """Call a command's main function and exit with its status; errors that a person can mend have no traceback."""
    try:
        sys.exit(main())
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(MISUSE)
    except DivergenceError as error:
        print(f"stopped: {error}", file=sys.stderr)
        sys.exit(FAILURE)
    except KeyboardInterrupt as error:
        print("; ".join(["interrupted", *map(str, error.args)]), file=sys.stderr)
        sys.exit(INTERRUPTED)


def announce_compilation(quiet=False):
    """Say so when a kernel is first compiled (seconds, once: the result is cached on disk)."""
    from tinyvae import machine

    if not quiet:
        machine.before_compilation(
            lambda: print("compiling kernels, once (some seconds) ...", file=sys.stderr, flush=True)
        )


class ProgressBar:
    """Epoch, speed and bound while training, on standard error: a live bar on a terminal, else a line an epoch.

    Args:
        total: examples to be seen in all.
        quiet: show nothing.
        seen: examples that were seen before.
    """

    def __init__(self, total, quiet=False, seen=0):
        from tqdm import tqdm

        self.live = sys.stderr.isatty() and not quiet
        self.quiet = quiet
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
            print(
                f"epoch {row['epoch']}: train {row['train_bound']:.2f}, test {row['test_bound']:.2f} nats per example, "
                f"{row['seconds']:.0f} s",
                file=sys.stderr,
                flush=True,
            )


def sample_bar(total, quiet=False):
    """A progress bar over samples, on standard error; nothing where that is no terminal."""
    from tqdm import tqdm

    return tqdm(total=total, unit=" samples", unit_scale=True, disable=quiet or not sys.stderr.isatty())
