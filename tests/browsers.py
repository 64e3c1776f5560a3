"""The browser for the tests of pages: a Chromium of the system, or Playwright's own.

Where there is none these tests are left out, and the summary at the end says so (conftest.py). With
TINYVAE_BROWSER=required that is an error.
"""

import os
import shutil
from contextlib import contextmanager

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
QUIET = (
    *("--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--disable-gpu", "--disable-extensions"),
)
IS_REQUIRED = os.environ.get("TINYVAE_BROWSER") == "required"


def missing(why):
    """Leave a test out, or have it fail, since there is no browser."""
    if IS_REQUIRED:
        pytest.fail(f"TINYVAE_BROWSER=required, and {why}", pytrace=False)
    pytest.skip(why)


@contextmanager
def chromium():
    """A headless Chromium, as Playwright drives it."""
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        missing("playwright is not installed: pip install '.[browser]'")
    with sync_playwright() as playwright:
        path = next(filter(None, map(shutil.which, NAMES)), playwright.chromium.executable_path)
        if not os.path.exists(path):
            missing("no Chromium was found: install the system's chromium, or run playwright install chromium")
        root = ["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
        browser = playwright.chromium.launch(executable_path=path, args=[*QUIET, *root])
        try:
            yield browser
        finally:
            browser.close()
