"""The commands as their users run them, and the same within this process where a process of its own adds nothing."""

import io
import os
import signal
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from types import SimpleNamespace

from tinyvae import train
from tinyvae.cli import console

# The train command, in which a signal arrives before or after a certain call of a function. Arguments: its module, its
# name there, the number of the call, a suffix that the last argument of a call must have to be counted, "before" or
# "after", the signal; then the command's own.
TRAIN_WITH_SIGNAL = """
import importlib, os, signal, sys
from tinyvae import train
from tinyvae.cli import console

(module, path, count, suffix, moment, number), arguments = sys.argv[1:7], sys.argv[7:]
*owners, name = path.split(".")
owner = importlib.import_module(module)
for attribute in owners:
    owner = getattr(owner, attribute)
original, calls = getattr(owner, name), 0


def watched(*args):
    global calls
    calls += str(args[-1]).endswith(suffix)
    now = moment if calls == int(count) and str(args[-1]).endswith(suffix) else None
    if now == "before":
        os.kill(os.getpid(), getattr(signal, number))
    result = original(*args)
    if now == "after":
        os.kill(os.getpid(), getattr(signal, number))
    return result


setattr(owner, name, watched)
console.run(lambda: train.main(arguments))
"""
PATIENCE = 1800  # seconds, for what hangs: no measure of speed, since a machine may be slow and busy


def python(*arguments, cwd, env=None, **options):
    """The interpreter in a process of its own; the environment is this one's with ``env``."""
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        cwd=cwd, env=os.environ | (env or {}), capture_output=True, text=True, timeout=PATIENCE, **options,
    )  # fmt: skip


def command(*arguments, cwd, module="tinyvae.train", env=None, **options):
    """``python -m module arguments`` in a process of its own."""
    return python("-m", module, *arguments, cwd=cwd, env=env, **options)


def train_with_signal(place, *arguments, cwd, number="SIGKILL", count=1, suffix="", moment="before"):
    """The train command, in a process of its own, which gets a signal at a call of the function MODULE:NAME."""
    module, name = place.split(":")
    return python("-c", TRAIN_WITH_SIGNAL, module, name, count, suffix, moment, number, *arguments, cwd=cwd)


def call(*arguments, main=train.main):
    """What ``command`` gives, from within this process; an exception that no command catches passes."""
    out, err, handler = io.StringIO(), io.StringIO(), signal.getsignal(signal.SIGINT)
    with redirect_stdout(out), redirect_stderr(err):
        try:
            console.run(lambda: main([str(argument) for argument in arguments]))
        except SystemExit as end:
            return SimpleNamespace(returncode=end.code or 0, stdout=out.getvalue(), stderr=err.getvalue())
        finally:
            signal.signal(signal.SIGINT, handler)  # a command that was interrupted ends deaf to further ones


def assert_misuse(result, *messages):
    """The exit status is 2, and the messages are there, and no traceback."""
    assert result.returncode == 2, (result.returncode, result.stderr)
    assert "Traceback" not in result.stderr
    for message in messages:
        assert str(message) in result.stderr, result.stderr
