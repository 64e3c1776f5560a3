"""What can go wrong that is not a bug: each message says what was wrong, with which value, and what to do."""

import signal


class UserError(ValueError):
    """Something the user can mend; a command prints it without a traceback and exits with status 2."""


class TooLarge(UserError, MemoryError):
    """A model that does not fit into the memory of this machine."""


class DataError(UserError):
    """A data set that is missing, damaged, or not what the likelihood can describe."""


class RunError(UserError):
    """A run's folder that cannot be written, read or continued."""


class DivergenceError(Exception):
    """A number stopped being finite during training; a command prints it and exits with status 1."""


class Interrupted(KeyboardInterrupt):
    """Ctrl-C, or another signal to end, taken between two steps of training, where everything is whole.

    Args:
        number: of the signal; the exit status is 128 more.
    """

    def __init__(self, number: int = signal.SIGINT):
        super().__init__()
        self.number = number
