"""One Hypothesis profile for all tests: the same examples at every run, no deadline on a shared machine.

Where there is no browser, the summary says that the tests of pages were left out.

And Ctrl-C works, though a shell's background job is told to ignore it, and SIGHUP under nohup: what they do is tested.
"""

import signal

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile(
    "tinyvae", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow], print_blob=False
)
settings.load_profile("tinyvae")
signal.signal(signal.SIGINT, signal.default_int_handler)
if hasattr(signal, "SIGHUP"):
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.fixture
def no_pictures(monkeypatch):
    """A training draws none; they take longer than the short runs of many tests."""
    monkeypatch.setattr("tinyvae.training.run_figures.drawings", lambda *_: {})


def pytest_terminal_summary(terminalreporter):
    """Say that pages were not tested, where there was no browser to do it."""
    reports = terminalreporter.stats.get("skipped", [])  # of tests, and of whole files, which have no keywords
    skipped = [report for report in reports if "browser" in getattr(report, "keywords", ())]
    if skipped:
        why = str(skipped[0].longrepr[2]).removeprefix("Skipped: ")
        terminalreporter.write_line(f"{len(skipped)} tests of pages in a browser were left out: {why}")
