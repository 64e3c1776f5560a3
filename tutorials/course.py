"""Run the notebooks of the course, and make the students' version and slides of them.

  python tutorials/course.py run                   run every notebook from top to bottom and keep what it shows
  python tutorials/course.py run 01 04             only these
  python tutorials/course.py exercises             write tutorials/exercises/ anew
  python tutorials/course.py exercises --check     exit status 1 if that would change a file
  python tutorials/course.py slides 04             make slides of these, in tutorials/slides/

A solution stands between the lines ``### BEGIN SOLUTION`` and ``### END SOLUTION``, under a heading such as
``### Exercise 1.2 ★★``: the students' version has a line in its place that says which exercise is to be solved. The
next cell that calls a check belongs to it. Both get nbgrader's metadata here, a point for each star.

What ``tutorial.show`` is told of a picture is two texts, each in lines of its own: what is drawn, and what is to be
seen there, which the students' version leaves out, since it often answers a prediction.

The cell with the tag ``result`` draws what the notebook is after. A run keeps its picture in ``tutorials/results``; the
first text cell shows it from there, but not in the students' version.
"""

import argparse
import ast
import base64
import io
import re
import sys
import time
from pathlib import Path

try:
    import nbformat
except ModuleNotFoundError:
    sys.exit("nbformat is not installed: pip install '.[tutorials]'")

HERE = Path(__file__).parent
EXERCISES = HERE / "exercises"
RESULTS = HERE / "results"
BEGIN, END = "### BEGIN SOLUTION", "### END SOLUTION"
HEADING = re.compile(r"^#+ Exercise (\d+\.\d+) (★+)", re.MULTILINE)
QUESTION = re.compile(r"^### Question (\d+\.[A-Z]) \(graded by hand, (\d+) points\)$", re.MULTILINE)
MARK_SCHEME = re.compile(r"\n*<!-- ### BEGIN MARK SCHEME -->\n.*\n<!-- ### END MARK SCHEME -->", re.DOTALL)
LINK = re.compile(r"\]\(([^()\s]+)\)")
CHECK = re.compile(r"\bcheck_\w+\(")
RESULT = re.compile(r"!\[[^\]]*\](\(results/\d+\.png\))")
PICTURE = re.compile(RESULT.pattern + r"\n*")
TIMEOUT = 600  # seconds, of a cell


def notebooks(names=()):
    """The paths of the complete notebooks whose names begin with one of ``names``; of all by default.

    Raises: SystemExit, with status 2, for a name that none begins with.
    """
    paths = sorted(HERE.glob("[0-9]*.ipynb"))
    for name in names:
        if not any(path.name.startswith(name) for path in paths):
            there = ", ".join(path.stem for path in paths)
            print(f"no notebook begins with {name}; there are {there}", file=sys.stderr)
            sys.exit(2)
    return [path for path in paths if not names or path.name.startswith(tuple(names))]


def read(path):
    """A notebook of a file."""
    return nbformat.read(path, as_version=4)


def text(notebook):
    """A notebook as the text of its file."""
    return nbformat.writes(notebook) + "\n"


def mark(notebook):
    """Give each cell nbgrader's metadata: those with a solution, those with its check, and questions; in place.

    Raises: ValueError for a solution without a heading, an exercise without a check, or a question without a mark
    scheme.
    """
    exercise = stars = None
    unchecked = []
    for i, cell in enumerate(notebook.cells):
        cell.metadata.pop("nbgrader", None)
        cell["id"] = f"cell-{i}"
        if cell.cell_type == "markdown" and (found := HEADING.search(cell.source)):
            exercise, stars = found[1].replace(".", "-"), len(found[2])
        elif cell.cell_type == "markdown" and (found := QUESTION.search(cell.source)):
            if not MARK_SCHEME.search(cell.source):
                raise ValueError(f"the question {found[1]} has no mark scheme")
            name = f"question-{found[1].replace('.', '-')}"
            cell.metadata["nbgrader"] = metadata(name, locked=True, task=True, points=int(found[2]))
        elif BEGIN in cell.source:
            if exercise is None:
                raise ValueError(f"cell {i} has a solution before the first heading of an exercise")
            # one exercise may ask for several things, each with its check
            part = sum(name.startswith(f"exercise-{exercise}") for name in ids(notebook.cells[:i]))
            name = f"exercise-{exercise}" + ("" if not part else f"-part-{part + 1}")
            cell.metadata["nbgrader"] = metadata(name, solution=True)
            unchecked.append(name.removeprefix("exercise-"))
        elif unchecked and cell.cell_type == "code" and CHECK.search(cell.source):
            cell.metadata["nbgrader"] = metadata(f"check-{unchecked.pop(0)}", grade=True, locked=True, points=stars)
            unchecked.clear()
    if unchecked:
        raise ValueError(f"no check follows the exercise {unchecked[0]}")


def metadata(name, grade=False, locked=False, solution=False, task=False, **points):
    """What nbgrader wants to know of a cell."""
    return {
        "grade": grade, "grade_id": name, "locked": locked, "schema_version": 3, "solution": solution, "task": task,
        **points,
    }  # fmt: skip


def ids(cells):
    """nbgrader's names of cells."""
    return [cell.metadata["nbgrader"]["grade_id"] for cell in cells if "nbgrader" in cell.metadata]


def without_solutions(notebook):
    """The students' version of a marked notebook, for ``EXERCISES``: no solutions, no mark schemes, and nothing of what
    cells have shown, nor of what is to be seen there. The picture at the top is such an answer, too.
    """
    student = nbformat.from_dict(notebook)
    for cell in student.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
            cell.metadata.pop("execution", None)
            cell.source = without_what_is_seen(cell.source)
        else:
            cell.source = PICTURE.sub("", MARK_SCHEME.sub("", cell.source))
            cell.source = LINK.sub(from_one_folder_down, cell.source)
        if BEGIN in cell.source:
            cell.source = without_solution(cell.source, cell.metadata["nbgrader"]["grade_id"])
    return student


def shown(source):
    """The calls in a cell that show a picture."""
    calls = (node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call))
    return [call for call in calls if ast.unparse(call.func) == "tutorial.show"]


def without_what_is_seen(source):
    """The text of a cell whose pictures say what they show, and no longer what is to be seen there.

    Raises: ValueError if that does not stand in lines of its own.
    """
    if "tutorial.show(" not in source:
        return source
    lines = source.split("\n")
    for call in (call for call in shown(source) if len(call.args) == 2):
        drawn, seen = call.args
        if not drawn.end_lineno < seen.lineno <= seen.end_lineno < call.end_lineno:
            raise ValueError(f"what is to be seen does not stand in lines of its own: {ast.unparse(seen)}")
        lines[seen.lineno - 1 : seen.end_lineno] = []
    return "\n".join(lines)


def from_one_folder_down(link):
    """A link of a complete notebook as one of the students': other notebooks stand beside both, the rest does not."""
    target = link[1]
    beside = "://" in target or target.startswith("#") or target.split("#")[0].endswith(".ipynb")
    return f"]({target})" if beside else f"](../{target})"


def without_solution(source, name):
    """The text of a cell with a line that fails in the place of each solution."""
    number = ".".join(name.split("-")[1:3])
    lines, inside = [], False
    for line in source.splitlines():
        indent = line[: len(line) - len(line.lstrip())]
        if line.strip() == BEGIN:
            inside = True
            lines += [
                f"{indent}# YOUR CODE HERE",
                f'{indent}raise NotImplementedError("Exercise {number} is still to be solved: replace this line")',
            ]
        elif line.strip() == END:
            inside = False
        elif not inside:
            lines.append(line)
    return "\n".join(lines)


def run(path):
    """Execute a notebook from top to bottom, and keep what it shows in its file; nothing is changed if it fails."""
    from nbclient import NotebookClient

    notebook = read(path)
    mark(notebook)
    top, drawing = places_of_result(notebook)
    options = {"timeout": TIMEOUT, "record_timing": False, "coalesce_streams": True}
    NotebookClient(notebook, resources={"metadata": {"path": HERE}}, **options).execute()
    for cell in notebook.cells:
        for output in cell.get("outputs", ()):
            if "image/png" in output.get("data", {}):
                output.data["image/png"] = smaller(output.data["image/png"])
    png, alt = picture_of(drawing)
    top.source = RESULT.sub(lambda found: f"![{alt}]{found[1]}", top.source)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{path.name[:2]}.png").write_bytes(png)
    path.write_text(text(notebook), encoding="utf-8")


def places_of_result(notebook):
    """The cell that shows the picture of the result at the top, and the one that draws it.

    Raises: ValueError if there is not one of each.
    """
    shown = [cell for cell in notebook.cells if cell.cell_type == "markdown" and RESULT.search(cell.source)]
    drawn = [cell for cell in notebook.cells if "result" in cell.metadata.get("tags", ())]
    if len(shown) != 1 or len(drawn) != 1:
        raise ValueError(
            "a notebook needs a cell with the tag `result`, which draws what it is after, and ![](results/NN.png) in "
            f"its first text cell: here are {len(drawn)} and {len(shown)}"
        )
    return shown[0], drawn[0]


def picture_of(cell):
    """The picture that a cell has shown: the bytes of its PNG, and its text."""
    (output,) = [output for output in cell.outputs if "image/png" in output.get("data", {})]
    return base64.b64decode(output.data["image/png"]), output.metadata["image/png"]["alt"]


def smaller(png):
    """A picture with at most 256 colours, which is all that a chart needs, in a third of the room; both in base64."""
    from PIL import Image

    picture, file = Image.open(io.BytesIO(base64.b64decode(png))).convert("RGB"), io.BytesIO()
    picture.quantize(256, dither=Image.Dither.NONE).save(file, "png", optimize=True)
    return base64.b64encode(file.getvalue()).decode()


def write_exercises(check=False):
    """Write the students' versions; or only name those that are not what they should be. Returns their names."""
    wanted = {}
    for path in notebooks():
        notebook = read(path)
        mark(notebook)
        wanted[path.name] = text(without_solutions(notebook))
    found = {path.name: path.read_text(encoding="utf-8") for path in EXERCISES.glob("*.ipynb")}
    different = sorted(name for name in wanted.keys() | found.keys() if wanted.get(name) != found.get(name))
    if not check:
        EXERCISES.mkdir(exist_ok=True)
        for name in different:
            if name in wanted:
                (EXERCISES / name).write_text(wanted[name], encoding="utf-8")
            else:
                (EXERCISES / name).unlink()
    return different


def write_slides(names):
    """Make slides of the notebooks whose names begin with one of ``names``; the exit status."""
    import slides

    try:
        for path in notebooks(names):
            print(slides.write(path))
    except ModuleNotFoundError as error:
        print(f"{error.name} is not installed: pip install '.[tutorials]'", file=sys.stderr)
        return 2
    print(slides.what_they_need())
    return 0


def main():
    """The command."""
    description, commands, _ = __doc__.split("\n\n", 2)
    parser = argparse.ArgumentParser(
        description=description, epilog=commands, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    actions = parser.add_subparsers(dest="action", required=True)
    running = actions.add_parser("run", help="run notebooks and keep what they show")
    running.add_argument("names", nargs="*", help="how their names begin; all by default")
    making = actions.add_parser("exercises", help="write the students' versions")
    making.add_argument("--check", action="store_true", help="write nothing, fail where a file would change")
    showing = actions.add_parser("slides", help="make slides for a browser")
    showing.add_argument("names", nargs="*", help="how their names begin; all by default")
    arguments = parser.parse_args()
    if arguments.action == "run":
        for path in notebooks(arguments.names):
            started = time.perf_counter()
            run(path)
            print(f"{path.name}: {time.perf_counter() - started:.0f} s")
        return 0
    if arguments.action == "slides":
        return write_slides(arguments.names)
    different = write_exercises(arguments.check)
    print("\n".join(different) or "nothing has changed")
    return int(arguments.check and bool(different))


if __name__ == "__main__":
    sys.exit(main())
