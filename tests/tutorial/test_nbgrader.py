"""nbgrader itself takes the notebooks as they are: a release without answers, and points for what was solved.

Where nbgrader (the extra "grading") is missing these are left out; its metadata test_notebooks.py looks at always.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.commands import PATIENCE
from tests.notebooks import TUTORIALS

Gradebook = pytest.importorskip("nbgrader.api").Gradebook
pytestmark = pytest.mark.slow

SOLVED = "02_backprop.ipynb"  # the notebook that takes the least time
CONFIG = f'c = get_config()\nc.CourseDirectory.course_id = "vae"\nc.Execute.timeout = {PATIENCE}\n'


@pytest.fixture(scope="module")
def course(tmp_path_factory):
    """The folder of a course with all notebooks as one assignment, released."""
    folder = tmp_path_factory.mktemp("course")
    (folder / "nbgrader_config.py").write_text(CONFIG)
    (folder / "source/hw").mkdir(parents=True)
    for path in TUTORIALS.glob("[0-9]*.ipynb"):
        shutil.copy(path, folder / "source/hw")
    nbgrader(folder, "generate_assignment", "hw")
    return folder


def nbgrader(folder, *arguments):
    """Run one of nbgrader's commands, and see that it has done what it was asked for."""
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))  # it calls alembic by its name
    package = os.pathsep.join((str(TUTORIALS.parent), os.environ.get("PYTHONPATH", "")))
    done = subprocess.run(
        [sys.executable, "-m", "nbgrader", *arguments],
        cwd=folder,
        env=os.environ | {"PATH": path, "PYTHONPATH": package},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def graded(folder, student, path):
    """What nbgrader finds of a student who has handed in this notebook in the place of ``SOLVED``."""
    handed_in = folder / "submitted" / student / "hw"
    handed_in.mkdir(parents=True)
    shutil.copy(path, handed_in / SOLVED)
    nbgrader(folder, "autograde", "hw", "--student", student)
    with Gradebook(f"sqlite:///{folder / 'gradebook.db'}") as gradebook:
        notebook = gradebook.find_submission_notebook(Path(SOLVED).stem, "hw", student)
        return notebook.code_score, notebook.max_code_score, notebook.max_task_score


def test_what_is_released_has_no_answers(course):
    released = sorted((course / "release/hw").iterdir())
    assert [path.name for path in released] == sorted(path.name for path in TUTORIALS.glob("[0-9]*.ipynb"))
    for path in released:
        text = path.read_text(encoding="utf-8")
        assert "graded by hand, 4 points" in text
        assert not any(word in text for word in ("SOLUTION", "MARK SCHEME", "**1 point.**"))


def test_a_solved_notebook_has_all_points_of_its_checks_and_one_as_released_none(course):
    assert graded(course, "ada", TUTORIALS / SOLVED) == (14, 14, 8)
    assert graded(course, "bob", course / "release/hw" / SOLVED) == (0, 14, 8)
