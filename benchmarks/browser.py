"""A headless Chromium, of the system or Playwright's own, for what is measured and for the tests of pages."""

import os
import shutil
from contextlib import contextmanager

from tinyvae.errors import UserError

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
QUIET = (
    *("--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--disable-gpu", "--disable-extensions"),
)


def refuse(why):
    """What ``chromium`` does by itself where there is none."""
    raise UserError(why)


@contextmanager
def chromium(missing=refuse):
    """The browser, as Playwright drives it.

    Args:
        missing: called with the reason, a sentence that says what to do, where there is none; it raises something.
    """
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
