"""What the tests of the course need of its notebooks."""

import importlib.util
import re
from pathlib import Path

import nbformat
import pytest

from tinyvae import tutorial

TUTORIALS = Path(__file__).parents[1] / "tutorials"
NOTEBOOKS = sorted(TUTORIALS.glob("[0-9]*.ipynb"))


def script(name):
    """A script of the course's folder as a module, such as "course"."""
    spec = importlib.util.spec_from_file_location(name, TUTORIALS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def code(path):
    """All code of a notebook, cell by cell."""
    cells = nbformat.read(path, as_version=4).cells
    return "\n\n".join(cell.source for cell in cells if cell.cell_type == "code")


def solutions(name, **names):
    """What the cells with a solution of a notebook define, by name.

    Args:
        name: of the notebook, such as "01_latent_variables".
        names: what its first cells import, such as ``np=numpy``.
    """
    for cell in nbformat.read(TUTORIALS / f"{name}.ipynb", as_version=4).cells:
        if "### BEGIN SOLUTION" in cell.source:
            exec(compile(cell.source, name, "exec"), names)
    return names


def exercises(notebook):
    """The numbers of the exercises in the headings of a notebook, in order."""
    text = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    return re.findall(r"^### Exercise (\d+\.\d+) ★", text, re.MULTILINE)


def rejects(check, *answers, words):
    """The check raises Wrong, with these words, where … is a gap."""
    with pytest.raises(tutorial.Wrong, match=".*".join(map(re.escape, words.split("…")))):
        check(*answers, hint=3)


def cases(*pairs):
    """Wrong answers and the words that each gets, named by these."""
    return pytest.mark.parametrize(("answer", "words"), pairs, ids=[words for _, words in pairs])
