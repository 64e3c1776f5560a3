"""The browser for the tests of pages.

Where there is none these tests are left out, and the summary at the end says so (conftest.py). With
TINYVAE_BROWSER=required that is an error.
"""

import os
from functools import partial

import pytest

from benchmarks import browser

IS_REQUIRED = os.environ.get("TINYVAE_BROWSER") == "required"


def missing(why):
    """Leave a test out, or have it fail, since there is no browser."""
    if IS_REQUIRED:
        pytest.fail(f"TINYVAE_BROWSER=required, and {why}", pytrace=False)
    pytest.skip(why)


chromium = partial(browser.chromium, missing)
