"""Pages in a browser, and trained runs for them."""

from types import SimpleNamespace

import pytest

import tinyvae
from tests.browsers import chromium
from tests.commands import call
from tests.explorer.pages import settle, until
from tinyvae import explore


@pytest.fixture(scope="session")
def browser():
    with chromium() as browser:
        yield browser


@pytest.fixture
def visit(browser, tmp_path):
    """A function that opens a page, from its text or its file; afterwards nothing was said and nothing was fetched."""
    faults, requests, contexts, pages = [], [], [], set()

    def visit(page, **options):
        file = page
        if isinstance(page, str):
            file = tmp_path / f"page{len(contexts)}.html"
            file.write_bytes(page.encode())
        contexts.append(browser.new_context(**{"viewport": {"width": 1200, "height": 900}} | options))
        tab = contexts[-1].new_page()
        tab.on("console", lambda message: faults.append(message.text))
        tab.on("pageerror", lambda error: faults.append(str(error)))
        tab.on("request", lambda request: requests.append(request.url))
        tab.on("dialog", lambda dialog: faults.append(dialog.message))
        pages.add(file.as_uri())
        tab.goto(file.as_uri())
        until(tab, "!!window.tinyvae")
        settle(tab)
        return tab

    yield visit
    for context in contexts:
        context.close()
    assert faults == [] and set(requests) == pages


@pytest.fixture(scope="session")
def explored(tmp_path_factory):
    """A function from options of a training on digits to its run: its folder, its page, and the model in the page."""
    done = {}

    def explored(*options):
        if options not in done:
            folder = tmp_path_factory.mktemp("explored") / "run"
            quick = ("--epochs", "3", "--hidden", "20", "--quiet", "--threads", "1")
            assert call("digits", *quick, *options, "--out", folder).returncode == 0
            assert call(folder, "--quiet", "--points", "60", main=explore.main).returncode == 0
            done[options] = SimpleNamespace(folder=folder, page=folder / "explorer.html", fitted=tinyvae.load(folder))
        return done[options]

    return explored
