"""One Hypothesis profile for all tests: the same examples at every run, no deadline on a shared machine.

And Ctrl-C works, though a shell's background job is told to ignore it: what it does is tested.
"""

import signal

from hypothesis import HealthCheck, settings

settings.register_profile(
    "tinyvae", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow], print_blob=False
)
settings.load_profile("tinyvae")
signal.signal(signal.SIGINT, signal.default_int_handler)
