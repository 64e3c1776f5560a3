"""The notebooks as a course: they run from top to bottom, and the students' versions stop where they should.

The slow tests run all of them as Jupyter does. Every time the code of the quickest is run, and the others are tried for
finding in the package what they ask it for.
"""

import ast
import html
import json
import re
import subprocess
import sys

import nbformat
import pytest
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

from tests.commands import PATIENCE, python
from tests.notebooks import NOTEBOOKS, TUTORIALS, code, exercises, script

WITH_EXERCISES = NOTEBOOKS[1:]
MOST_OUTPUT = 250_000  # bytes, of all that a notebook shows
QUICK = "02_backprop.ipynb"  # the notebook that takes the least time
LEAST_ALT, MOST_ALT = 60, 350  # characters, of a picture's text: a sentence or three
MOST_RESULT = 60_000  # bytes, of the picture at the top


@pytest.fixture(scope="module")
def course():
    """The script tutorials/course.py as a module."""
    return script("course")


def execute(notebook):
    """Run a notebook in the folder of the tutorials."""
    resources = {"metadata": {"path": str(TUTORIALS)}}
    NotebookClient(notebook, timeout=PATIENCE, resources=resources, record_timing=False).execute()
    return notebook


def outputs(notebook):
    """All outputs of a notebook, cell by cell."""
    return [output for cell in notebook.cells for output in cell.get("outputs", ())]


def pictures(notebook):
    """The pictures that a notebook shows, a pair for each: its PNG in base64, and its text."""
    shown = [output for output in outputs(notebook) if "image/png" in output.get("data", {})]
    return [(output.data["image/png"], output.metadata.get("image/png", {}).get("alt", "")) for output in shown]


def names(paths):
    """For pytest: the beginning of the files' names."""
    return [path.name[:2] for path in paths]


def test_none_is_missing():
    assert names(NOTEBOOKS) == [f"{i:02}" for i in range(14)]


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=names(NOTEBOOKS))
def test_a_notebook_runs_from_top_to_bottom_and_shows_no_debris(path):
    fresh = execute(nbformat.read(path, as_version=4))
    for output in outputs(fresh):
        assert output.output_type != "stream" or output.name == "stdout", output.text


def test_the_code_of_the_quickest_notebook_runs():
    """In a plain process and without pictures: most of what Jupyter does, in a third of its time."""
    done = python("-c", code(TUTORIALS / QUICK), cwd=TUTORIALS, env={"MPLBACKEND": "agg"})
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count("Right: ") == 8


def missing(source):
    """What code imports from tinyvae, or takes from what it has imported, that is not there."""
    tree, modules, found = ast.parse(source), {}, []
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module.startswith("tinyvae"):
            for alias in node.names:
                imports = {}
                try:
                    exec(f"from {node.module} import {alias.name}", imports)
                except ImportError:
                    found.append(f"{node.module}.{alias.name}")
                else:
                    modules[alias.asname or alias.name] = imports[alias.name]
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            name = node.value.id
            if name in modules and not hasattr(modules[name], node.attr):
                found.append(f"{name}.{node.attr}")
    return found


def test_what_is_missing_is_found():
    imports = "from tinyvae import tutorial, magic\nfrom tinyvae.derivation import mlp as m\n"
    assert missing(f"{imports}m.mlp(m.x, tutorial.style())") == ["tinyvae.magic", "m.x"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=names(NOTEBOOKS))
def test_the_package_has_what_a_notebook_asks_it_for(path):
    assert not missing(code(path))


def written(path):
    """The text of a notebook's cells, or of another document."""
    if path.suffix != ".ipynb":
        return path.read_text(encoding="utf-8") if path.suffix == ".md" else ""
    return "\n\n".join(cell.source for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "markdown")


def places(path):
    """What a link into a document may name behind the #: its headings, as Jupyter or as GitHub names them."""
    headings = re.findall(r"^#+ (.+)$", written(path), re.MULTILINE)
    dashes = {heading.strip().replace(" ", "-") for heading in headings}
    return dashes if path.suffix == ".ipynb" else {re.sub(r"[^\w-]", "", place.lower()) for place in dashes}


def dead_links(path):
    """The relative links of a document that open nothing, or leave the repository."""
    dead = []
    for link in re.findall(r"\]\(([^()\s]+)\)", written(path)):
        file, _, place = link.partition("#")
        target = (path.parent / file).resolve() if file else path
        if "://" in link:
            continue
        opens = target.exists() and target.is_relative_to(TUTORIALS.parent)
        if not opens or (place and place not in places(target)):
            dead.append(link)
    return dead


EXERCISES = [TUTORIALS / "exercises" / path.name for path in NOTEBOOKS]


@pytest.mark.parametrize("path", [TUTORIALS / "README.md", *NOTEBOOKS, *EXERCISES], ids=lambda path: str(path)[-24:])
def test_every_link_leads_somewhere(path):
    assert written(path).count("](") >= 5
    assert not dead_links(path)


def test_a_dead_link_is_found(tmp_path):
    (tmp_path / "a.md").write_text("# A heading\n[a](a.md#a-heading) [b](b.md) [c](#other) [d](https://x.y) [e](a.md)")
    # those into the document itself leave the repository, for it is not in it
    assert dead_links(tmp_path / "a.md") == ["a.md#a-heading", "b.md", "#other", "a.md"]


def test_the_students_links_and_pictures_are_made_from_the_others(course):
    text = "[a](../tinyvae/x.py) [b](README.md#top) [c](02_backprop.ipynb#A) [d](#here) [e](https://x.y/z)"
    expected = "[a](../../tinyvae/x.py) [b](../README.md#top) [c](02_backprop.ipynb#A) [d](#here) [e](https://x.y/z)"
    assert course.LINK.sub(course.from_one_folder_down, text) == expected
    assert course.LINK.sub(course.from_one_folder_down, "![a, b.](results/01.png)") == "![a, b.](../results/01.png)"


PREDICTION = "**Your prediction:** "


@pytest.mark.parametrize("path", [*NOTEBOOKS, *EXERCISES], ids=lambda path: str(path)[-24:])
def test_every_prediction_has_its_place_and_the_answer_is_out_of_sight(path):
    """A question ends its cell, the next one is for the answer, and what a run shows is said behind a click."""
    cells = [cell.source for cell in nbformat.read(path, as_version=4).cells]
    questions = [i for i, source in enumerate(cells) if "> **Predict" in source]
    assert questions or path.name.startswith("09")
    for i in questions:
        assert cells[i].splitlines()[-1].startswith(">")
        assert cells[i + 1].startswith(PREDICTION)
    assert sum(source.startswith(PREDICTION) for source in cells) == len(questions)
    folded = [source for source in cells if source.startswith("<details>")]
    assert all(source.count("</details>") == 1 for source in folded)
    for source in folded:  # what leads on to the next cell is not hidden
        inside, after = (part.strip() for part in source.split("</details>"))
        assert not inside.endswith(":") and not after.endswith("</summary>"), inside[-100:]
    assert len(questions) - len(folded) <= 2  # the numbers are all of an answer, or it comes after an exercise


@pytest.mark.parametrize("path", NOTEBOOKS, ids=names(NOTEBOOKS))
def test_a_notebook_says_what_it_takes_and_leads_on(path):
    first, *_, last = (cell.source for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "markdown")
    time = r"reading \d+ minutes" + (r", with\s+the\s+exercises" if path in WITH_EXERCISES else "")
    assert re.search(rf"\*\*You need\*\*[\s\S]*\*\*Time:\*\*\s+{time}", first)
    for text in (first, last):
        assert text.count("[the course](README.md)") == 1
        assert text.count("[previous: ") == (path != NOTEBOOKS[0])
        assert text.count("[next: ") == (path != NOTEBOOKS[-1])
    i = NOTEBOOKS.index(path)
    neighbours = {other.name for other in NOTEBOOKS[max(0, i - 1) : i + 2]} - {path.name}
    for text in (first.splitlines()[0], last.splitlines()[-1]):
        assert set(re.findall(r"\]\((\d\S+)\)", text)) == neighbours


@pytest.mark.parametrize("path", NOTEBOOKS, ids=names(NOTEBOOKS))
def test_a_notebook_lists_its_contents(path):
    """All sections in order; further reading, which is the last one, may be left out."""
    text = written(path)
    (line,) = re.findall(r"^\*\*Contents:\*\* (.+)$", text, re.MULTILINE)
    sections = re.findall(r"^## (.+)$", text, re.MULTILINE)
    listed = [f"[{section}](#{section.replace(' ', '-')})" for section in sections]
    assert line in (" · ".join(listed), " · ".join(listed[:-1]))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=names(NOTEBOOKS))
def test_what_colab_needs_is_the_first_cell_and_folded_away(path):
    first = nbformat.read(path, as_version=4).cells[0]
    assert first.cell_type == "code" and '"google.colab" in sys.modules' in first.source
    assert first.metadata["jupyter"]["source_hidden"] and first.metadata["cellView"] == "form"
    assert "hide-input" in first.metadata["tags"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=names(NOTEBOOKS))
def test_every_picture_says_what_is_to_be_seen_in_it(path):
    """With a text of its own, which a screen reader can read out: no formulas, no markup."""
    notebook = nbformat.read(path, as_version=4)
    texts = [text for _, text in pictures(notebook)]
    assert texts and len(set(texts)) == len(texts)
    for text in texts:
        assert LEAST_ALT <= len(text) <= MOST_ALT and text.endswith("."), text
        assert not re.search(r"[$\\*_\[\]]", text), text
    assert "plt.show()" not in code(path)


@pytest.mark.slow  # where nbgrader is installed, which brings nbconvert
def test_the_texts_come_through_to_html():
    """By nbconvert's template "classic": its usual one, "lab", knows no texts of pictures."""
    exporter = pytest.importorskip("nbconvert").HTMLExporter(template_name="classic")
    notebook = nbformat.read(TUTORIALS / "03_reparameterisation.ipynb", as_version=4)
    page, _ = exporter.from_notebook_node(notebook)
    found = [html.unescape(text) for text in re.findall(r'<img [^>]*alt="([^"]+)"', page)]
    texts = [text for _, text in pictures(notebook)]
    assert sorted(found) == sorted([*texts, texts[-1]])  # one stands at the top too


@pytest.mark.parametrize("path", NOTEBOOKS, ids=names(NOTEBOOKS))
def test_at_the_top_stands_the_picture_of_what_comes_out(path, course):
    notebook = nbformat.read(path, as_version=4)
    top, drawing = course.places_of_result(notebook)
    png, text = course.picture_of(drawing)
    assert top is notebook.cells[1]
    assert top.source.index("**You will**") < top.source.index(f"\n\n![{text}](results/{path.name[:2]}.png)\n\n")
    assert (course.RESULTS / f"{path.name[:2]}.png").read_bytes() == png
    assert len(png) < MOST_RESULT


def test_no_other_results_are_kept(course):
    assert sorted(path.stem for path in course.RESULTS.iterdir()) == names(NOTEBOOKS)


def test_a_notebook_without_a_result_is_refused(course):
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell("![](results/01.png)")])
    with pytest.raises(ValueError, match=r"a cell with the tag `result`.*: here are 0 and 1"):
        course.places_of_result(notebook)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=names(NOTEBOOKS))
def test_a_notebook_is_committed_with_what_it_shows(path):
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    shown = outputs(notebook)
    assert any("image/png" in output.get("data", {}) for output in shown)
    assert not [output for output in shown if output.output_type == "error" or output.get("name") == "stderr"]
    assert len(json.dumps(shown)) < MOST_OUTPUT
    assert 2 <= len(exercises(notebook)) <= 8 or path not in WITH_EXERCISES


@pytest.mark.parametrize("path", NOTEBOOKS, ids=names(NOTEBOOKS))
def test_the_exercises_are_numbered_in_order(path):
    numbers = exercises(nbformat.read(path, as_version=4))
    assert numbers == [f"{int(path.name[:2])}.{i + 1}" for i in range(len(numbers))]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=names(NOTEBOOKS))
def test_a_student_s_version_has_no_solutions_and_says_where_they_belong(path, course):
    student = nbformat.read(course.EXERCISES / path.name, as_version=4)
    assert not outputs(student)
    assert "SOLUTION" not in course.text(student)
    line = r'raise NotImplementedError\("Exercise (\S+) is still to be solved: replace this line"\)'
    lines = re.findall(line, code(course.EXERCISES / path.name))
    assert list(dict.fromkeys(lines)) == exercises(student)  # one may ask for several things


@pytest.mark.slow
@pytest.mark.parametrize("path", WITH_EXERCISES, ids=names(WITH_EXERCISES))
def test_a_student_s_version_stops_at_its_first_exercise_and_says_which(path, course):
    student = nbformat.read(course.EXERCISES / path.name, as_version=4)
    with pytest.raises(CellExecutionError) as error:
        execute(student)
    first = exercises(student)[0]
    assert error.value.ename == "Unsolved"
    assert error.value.evalue == f"Exercise {first} is still to be solved."


def test_a_name_that_no_notebook_begins_with_is_refused(course, capsys):
    assert [path.name for path in course.notebooks(["04", "02"])] == [QUICK, "04_vae.ipynb"]
    with pytest.raises(SystemExit) as end:
        course.notebooks(["04", "4"])
    assert end.value.code == 2 and "no notebook begins with 4; there are 00_overview, " in capsys.readouterr().err


def test_the_students_versions_are_those_of_the_notebooks():
    command = [sys.executable, TUTORIALS / "course.py", "exercises", "--check"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("path", NOTEBOOKS, ids=names(NOTEBOOKS))
def test_nbgrader_finds_its_metadata(path, course):
    """A solution and a check for each exercise, with names of their own and the points of its stars; and tasks."""
    notebook = nbformat.read(path, as_version=4)
    marked = course.text(notebook)
    course.mark(notebook)
    assert course.text(notebook) == marked
    cells = [cell.metadata["nbgrader"] for cell in notebook.cells if "nbgrader" in cell.metadata]
    found = [cell["grade_id"] for cell in cells]
    assert len(set(found)) == len(found)
    for number in exercises(notebook):
        assert {f"exercise-{number.replace('.', '-')}", f"check-{number.replace('.', '-')}"} <= set(found)
    for cell in cells:
        assert sum(cell[kind] for kind in ("solution", "grade", "task")) == 1
        assert ("points" in cell) == (not cell["solution"]) == cell["locked"]


ANSWER = "**Your answer:** *double-click here and write it.*"
RUBRIC = "<details><summary>For the teacher: what an answer should have</summary>\n\n- **1 point.** "


@pytest.mark.parametrize("path", NOTEBOOKS, ids=names(NOTEBOOKS))
def test_two_questions_are_graded_by_hand_and_the_teacher_is_told_what_earns_each_point(path, course):
    cells = nbformat.read(path, as_version=4).cells
    students = nbformat.read(course.EXERCISES / path.name, as_version=4).cells
    asked = [i for i, cell in enumerate(cells) if cell.source.startswith("### Question ")]
    headings = [course.QUESTION.match(cells[i].source).groups() for i in asked]
    assert headings == [(f"{int(path.name[:2])}.{letter}", "4") for letter in "AB"]
    for i in asked:
        question, scheme = re.split(r"\n\n<!-- ### (?=BEGIN)", cells[i].source)
        marks, _, mistakes = scheme.partition("A typical wrong answer: ")
        assert scheme.startswith(f"BEGIN MARK SCHEME -->\n{RUBRIC}")
        assert scheme.endswith("</details>\n<!-- ### END MARK SCHEME -->")
        assert len(re.findall(r"^- \*\*1 point\.\*\* ", marks, re.MULTILINE)) == 4 and len(mistakes) > 80
        assert cells[i + 1].source == students[i + 1].source == ANSWER
        assert cells[i].metadata["nbgrader"]["task"]
        assert students[i].source == course.LINK.sub(course.from_one_folder_down, question)
    assert len(students) == len(cells)
    assert "MARK SCHEME" not in (course.EXERCISES / path.name).read_text(encoding="utf-8")


WITH_KNOBS = ("03", "04", "05", "06", "07", "08", "10", "11", "12", "13")


@pytest.mark.parametrize("path", NOTEBOOKS, ids=names(NOTEBOOKS))
def test_what_is_there_to_be_broken_says_what_to_expect_and_has_its_knobs_at_the_top(path):
    cells = nbformat.read(path, as_version=4).cells
    broken = [i for i, cell in enumerate(cells) if cell.source.startswith("### Break it\n\n")]
    assert len(broken) == path.name.startswith(WITH_KNOBS)
    for i in broken:
        knobs = {name.id for name in ast.walk(ast.parse(cells[i + 1].source).body[0]) if isinstance(name, ast.Name)}
        assert knobs and all(name.isupper() for name in knobs)
        assert any(f"`{name}" in cells[i].source for name in knobs)
        assert len(re.findall(r"\d+", cells[i].source)) > 15  # figures of what others have seen


def test_a_question_without_a_mark_scheme_is_refused(course):
    cell = nbformat.v4.new_markdown_cell("### Question 1.A (graded by hand, 4 points)\n\nWhy?")
    with pytest.raises(ValueError, match=r"the question 1\.A has no mark scheme"):
        course.mark(nbformat.v4.new_notebook(cells=[cell]))


def test_a_solution_is_taken_out_and_nothing_else(course):
    source = "def f(x):\n    '''Doc.'''\n    a = 1\n    ### BEGIN SOLUTION\n    return x + a\n    ### END SOLUTION"
    line = 'raise NotImplementedError("Exercise 1.2 is still to be solved: replace this line")'
    expected = f"def f(x):\n    '''Doc.'''\n    a = 1\n    # YOUR CODE HERE\n    {line}"
    assert course.without_solution(source, "exercise-1-2") == expected


def test_what_is_seen_in_a_picture_goes_and_what_is_drawn_stays(course):
    source = 'plt.plot(x)\ntutorial.show(\n    "A line"\n    " over x.",\n    "It rises,"\n    " by 3.",\n)\nprint(3)'
    expected = 'plt.plot(x)\ntutorial.show(\n    "A line"\n    " over x.",\n)\nprint(3)'
    assert course.without_what_is_seen(source) == expected
    assert course.without_what_is_seen(expected) == expected
    assert course.without_what_is_seen('show("a", "b")') == 'show("a", "b")'
    with pytest.raises(ValueError, match="does not stand in lines of its own: 'It rises"):
        course.without_what_is_seen('tutorial.show("A line.", "It rises.")')


@pytest.mark.parametrize("path", NOTEBOOKS, ids=names(NOTEBOOKS))
def test_students_are_not_told_what_a_picture_will_show(path):
    """What is drawn stands in both versions; what is seen there, in the complete one alone."""

    def told(path):
        calls = re.findall(r"^tutorial\.show\(.*?\)$", code(path), re.DOTALL | re.MULTILINE)
        return [[part.value for part in ast.parse(call).body[0].value.args] for call in calls]

    exercises = TUTORIALS / "exercises" / path.name
    complete, students = told(path), told(exercises)
    assert students == [texts[:1] for texts in complete]
    result = f"results/{path.name[:2]}.png"  # the picture at the top
    assert result in path.read_text("utf-8") and result not in exercises.read_text("utf-8")
    assert not complete or max(map(len, complete)) == 2


def test_an_exercise_without_a_check_is_refused(course):
    cells = [
        nbformat.v4.new_markdown_cell("### Exercise 1.1 ★"),
        nbformat.v4.new_code_cell("### BEGIN SOLUTION\nx = 1\n### END SOLUTION"),
    ]
    with pytest.raises(ValueError, match="no check follows the exercise 1-1"):
        course.mark(nbformat.v4.new_notebook(cells=cells))
    with pytest.raises(ValueError, match="before the first heading"):
        course.mark(nbformat.v4.new_notebook(cells=cells[1:]))


def test_where_the_data_are_not_at_hand_it_is_the_digits_and_says_so(tmp_path):
    """In a process of its own, with empty data folders: nothing is downloaded."""
    environment = dict.fromkeys(("TINYVAE_DATA", "HOME", "XDG_CACHE_HOME"), str(tmp_path))
    loading = "d = tutorial.load(source); print(d.name, d.train.shape)"
    script = f"from tinyvae import tutorial\nfor source in ('mnist', 'frey'): {loading}"
    done = python("-c", script, cwd=tmp_path, env=environment)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    for source, said, cure, found in zip(("mnist", "frey"), lines[::3], lines[1::3], lines[2::3], strict=True):
        assert f"tutorial.get_data() fetches {source}" in cure
        assert said.startswith(f"{source} is not on this machine, so: digits, 1,617 training and 180 test images")
        assert found == "digits (1617, 64)"


WITH_DATA = [path for path in NOTEBOOKS if "tutorial.load(" in path.read_text(encoding="utf-8")]


@pytest.mark.slow
@pytest.mark.parametrize("path", WITH_DATA, ids=names(WITH_DATA))
def test_a_notebook_runs_on_the_digits_too(path, tmp_path, monkeypatch):
    for name in ("TINYVAE_DATA", "XDG_CACHE_HOME"):
        monkeypatch.setenv(name, str(tmp_path))
    fresh = execute(nbformat.read(path, as_version=4))
    assert any("is not on this machine, so: digits" in output.get("text", "") for output in outputs(fresh))


def test_the_counts_of_active_units_are_those_of_the_stored_runs():
    text = written(TUTORIALS / "06_importance_weighting.ipynb")
    rows = re.findall(r"\((\.\./results/runs/\S+/evaluation\.json)\)[^|]*\| (\d+) \| (\d+) \|", text)
    assert len(rows) == 2
    for file, *counts in rows:
        variances = json.loads((TUTORIALS / file).read_text(encoding="utf-8"))["posterior_mean_variance"][0]
        assert [sum(variance > least for variance in variances) for least in (0.01, 0.3)] == list(map(int, counts))
        assert len(variances) == 50


@pytest.mark.parametrize("path", NOTEBOOKS, ids=names(NOTEBOOKS))
def test_what_is_kept_was_run_with_the_data_that_the_text_speaks_of(path):
    """Without them a notebook runs on the small digits, and its numbers are others."""
    cells = nbformat.read(path, as_version=4).cells
    texts = [output.get("text", "") for cell in cells for output in cell.get("outputs", ())]
    assert not any("is not on this machine, so:" in text for text in texts)
