"""What a student sees of a check: the diagnosis as far as the hint goes, or their own frames; nothing of ours."""

import re

import nbformat
import pytest
from nbclient import NotebookClient

from tests.commands import PATIENCE, python
from tinyvae import tutorial
from tinyvae.errors import UserError
from tinyvae.tutorial.answers import CLAUSE, Wrong


def said(answer, **hint):
    """What a check says of a wrong KL divergence."""
    with pytest.raises(Wrong) as error:
        tutorial.check_kl(answer, **hint)
    return str(error.value)


def with_standard_deviations(mu1, logvar1, mu2, logvar2):
    import numpy as np

    return logvar2 - logvar1 + (np.exp(2 * logvar1) + (mu1 - mu2) ** 2) / (2 * np.exp(2 * logvar2)) - 0.5


# ---- hints


def test_hints_say_more_and_more():
    first, second, third = (said(with_standard_deviations, hint=hint) for hint in (1, 2, 3))
    assert first == (
        "Your KL divergence: a variance, a square, a root, an inverse or a logarithm is taken for another. "
        "(hint=2 says where.)"
    )
    assert second.startswith("Your KL divergence: exp(logvar) is used as a standard deviation.")
    assert second.endswith("(hint=3 says all.)")
    assert third == "Your KL divergence: exp(logvar) is used as a standard deviation: it is the variance."
    assert said(with_standard_deviations) == first


def test_the_second_hint_names_the_cases():
    text = said(lambda a, b, c, d: 0 * a + (a - c) ** 2, hint=2)
    assert "Right for equal ones; wrong for any two." in text


def test_what_is_no_secret_is_said_at_once():
    assert "returns None. Is there a return at its end?" in said(lambda *_: None)
    assert "its shape is (), and (3, 2) is expected" in said(lambda *_: 0.0)


def test_another_hint_is_refused():
    with pytest.raises(UserError, match="hint=4: it is 1"):
        tutorial.check_kl(with_standard_deviations, hint=4)


@pytest.mark.parametrize(
    ("diagnosis", "clause"),
    [
        ("exactly twice ours: the 1/2?", "exactly twice ours"),
        ("the mean is 0.5. Take it off.", "the mean is 0.5"),
        ("f(x: y) stays", "f(x"),
    ],
)
def test_a_diagnosis_is_cut_after_its_first_clause(diagnosis, clause):
    assert CLAUSE.split(diagnosis, 1)[0] == clause


# ---- in a terminal

SCRIPT = """
from tinyvae import tutorial

def helper(a):
    return a / {}["mean"]

def kl(mu1, logvar1, mu2, logvar2):
    return helper(mu1)

def unsolved(*_):
    raise NotImplementedError("Exercise 1.5 is still to be solved: replace this line")

def wrong(mu1, logvar1, mu2, logvar2):
    return 2 * mu1

tutorial.check_kl(ANSWER)
"""


def in_a_terminal(answer, tmp_path):
    """What a script prints that has an answer checked."""
    path = tmp_path / "answer.py"
    path.write_text(SCRIPT.replace("ANSWER", answer))
    done = python(path, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert not re.search(r"tinyvae.tutorial.\w+\.py|compare|np\.", done.stderr)
    return done.stderr.splitlines()


def test_a_script_shows_its_own_frames_and_no_line_of_ours(tmp_path):
    lines = in_a_terminal("kl", tmp_path)
    assert lines[-1] == "KeyError: 'mean'"
    functions = [line.split(" in ")[1] for line in lines if line.startswith("  File")]
    assert functions == ["<module>", "check_kl", "kl", "helper"]
    assert in_a_terminal("unsolved", tmp_path)[-1].endswith("Unsolved: Exercise 1.5 is still to be solved.")
    assert in_a_terminal("wrong", tmp_path)[-1].startswith("tinyvae.tutorial.answers.Wrong: Your KL divergence: its")


# ---- in a notebook

CELLS = [
    "from tinyvae import tutorial",
    "def kl(mu1, logvar1, mu2, logvar2):\n    return mu1 @ logvar1\ntutorial.check_kl(kl)",
    "def kl(*_):\n    raise NotImplementedError('Exercise 1.5 is still to be solved')\ntutorial.check_kl(kl)",
    "tutorial.check_kl(lambda a, b, c, d: a)",
    "def kl(*a):\n    return kl(*a)\ntutorial.check_kl(kl)",
    "tutorial.check_kl(lambda x: x)",
]


@pytest.mark.slow
def test_a_notebook_shows_the_same():
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in CELLS])
    NotebookClient(notebook, timeout=PATIENCE, allow_errors=True).execute()
    outputs = [cell.outputs[0] for cell in notebook.cells[1:]]
    texts = [re.sub(r"\x1b\[[\d;]*m", "", "\n".join(output.traceback)) for output in outputs]
    assert [output.ename for output in outputs] == ["ValueError", "Unsolved", "Wrong", "RecursionError", "Wrong"]
    assert "return mu1 @ logvar1" in texts[0]
    assert texts[1] == "Exercise 1.5 is still to be solved."
    assert texts[2].startswith("Not yet. Your KL divergence: ")
    assert "return kl(*a)" in texts[3]
    assert "does not take or return what its docstring says" in texts[4]
    for text in texts:
        assert not re.search(r"tinyvae/tutorial|def check|compare\(", text), text
