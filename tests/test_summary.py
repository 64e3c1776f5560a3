"""The summary at the end of a test run: what was left out for want of a browser is said, and the run ends well."""

import shutil
import subprocess
import sys
from pathlib import Path

SKIPPED_FILE = """
import pytest

pytest.importorskip("a_package_that_nobody_has")
"""
TESTS = """
import pytest


@pytest.mark.browser
@pytest.mark.parametrize("page", range(2))
def test_page(page):
    pytest.skip("no Chromium was found")


def test_else():
    pytest.skip("for another reason")
"""


def test_pages_left_out_are_counted_beside_a_whole_file_that_was_skipped(tmp_path):
    shutil.copy(Path(__file__).parent / "conftest.py", tmp_path)
    (tmp_path / "test_file.py").write_text(SKIPPED_FILE)
    (tmp_path / "test_pages.py").write_text(TESTS)
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers = browser: needs one\n")
    command = (sys.executable, "-m", "pytest", "-p", "no:cacheprovider", str(tmp_path))
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr
    assert "2 tests of pages in a browser were left out: no Chromium was found" in run.stdout
    assert "4 skipped" in run.stdout
