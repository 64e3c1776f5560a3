"""Slides of the notebooks: nothing of an exercise is on them, every figure is, and nothing is cut off."""

import re
import subprocess
import sys

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from tests.browsers import chromium
from tests.notebooks import NOTEBOOKS, TUTORIALS, script


@pytest.fixture(scope="module")
def slides():
    """The script tutorials/slides.py as a module."""
    return script("slides")


def kinds(notebook):
    """[(kind of slide, text)] of the cells of slides."""
    return [(cell.metadata.slideshow.slide_type, cell.source) for cell in notebook.cells]


def pictures(cells):
    """The pictures that cells show, in order."""
    shown = [output.data["image/png"] for cell in cells for output in cell.get("outputs", ()) if "data" in output]
    return [picture.strip() for picture in shown]


INSTALLS = new_code_cell("%pip install tinyvae")
SOLVED = {"grade": False, "solution": True, "grade_id": "exercise-4-1"}
GRADED = {"grade": True, "solution": False, "grade_id": "check-4-1"}
PRINTED = [new_output("stream", text="0.5\n")]
COURSE = new_notebook(
    cells=[
        INSTALLS,
        new_markdown_cell(
            "[previous: 3](03.ipynb)\n\n# 4. A title\n\nThis is [that](../tinyvae/x.py).\n\n**You need** much."
        ),
        new_markdown_cell("## One\n\nSo\n\n$$\na = b\n$$\n\n### Exercise 4.1 ★\n\nSolve.\n\nA second paragraph of it."),
        new_code_cell("### BEGIN SOLUTION\nx = 1\n### END SOLUTION", metadata={"nbgrader": SOLVED}),
        new_code_cell("tutorial.check_x(x)", metadata={"nbgrader": GRADED}, outputs=PRINTED),
        new_markdown_cell("What next?\n\n> **Predict, then run.** How large?"),
        new_markdown_cell("**Your prediction:** *here*"),
        new_code_cell("print(x / 2)", outputs=PRINTED),
        new_markdown_cell("<details>\n<summary>What the run shows</summary>\n\nA half.\n\n</details>"),
        new_markdown_cell("It goes on:\n\n    python -m x\n    python -m y\n\n### Question 4.A (by hand)\n\nWhy?"),
        new_markdown_cell("<!-- ### BEGIN MARK SCHEME -->\n**1 point.** Because.\n<!-- ### END MARK SCHEME -->"),
        new_markdown_cell("**Your answer:** *here*"),
        new_markdown_cell("### A part\n\nSee [5](05_next.ipynb#A), [up](#One), [out](https://x.y).\n\n## Two\n\nEnd."),
    ]
)


def test_headings_make_slides_and_questions_stand_alone(slides):
    again = '<p class="section">One</p>'
    assert kinds(slides.slides(COURSE)) == [
        ("slide", "# 4. A title"),
        ("-", "This is [that](../../tinyvae/x.py)."),
        ("slide", "## One"),
        ("-", "So"),
        ("-", "$$\na = b\n$$"),
        ("-", "What next?"),
        ("subslide", again),
        ("-", "> **Predict, then run.** How large?"),
        ("fragment", "print(x / 2)"),
        ("fragment", "A half."),
        ("-", "It goes on:"),
        ("-", "```\npython -m x\npython -m y\n```"),
        ("subslide", again),
        ("-", "### A part"),
        ("-", "See [5](../05_next.ipynb#A), [up](#One), [out](https://x.y)."),
        ("slide", "## Two"),
        ("-", "End."),
    ]


def test_what_does_not_fit_goes_on_below_and_no_formula_is_torn_from_its_words(slides):
    text = "word " * 100
    cells = [INSTALLS, new_markdown_cell("# T\n\n## S\n\n" + f"{text}\n\n" * 2 + f"{text}:\n\n$$a$$\n\n{text}")]
    found = kinds(slides.slides(new_notebook(cells=cells)))
    assert [kind for kind, _ in found] == ["slide", "slide", "-", "-", "subslide", "-", "-", "-"]
    long = f"{text * 3}:"
    cells[1] = new_markdown_cell(f"# T\n\n## S\n\n{text}\n\n{long}\n\n$$a$$")
    assert kinds(slides.slides(new_notebook(cells=cells)))[-3:] == [
        ("subslide", '<p class="section">S</p>'), ("-", long), ("-", "$$a$$")
    ]  # fmt: skip


def test_what_a_program_prints_goes_on_below_too(slides):
    blocks = ["\n".join(f"line {i} {j}" for j in range(9)) for i in range(5)]
    cell = new_code_cell("show()", outputs=[new_output("stream", text="\n\n".join(blocks) + "\n")])
    made = slides.slides(new_notebook(cells=[INSTALLS, new_markdown_cell("# T\n\n## S"), cell]))
    shown = [cell for cell in made.cells if cell.cell_type == "code"]
    assert [cell.source for cell in shown] == ["show()", "", ""]
    assert "\n\n".join(cell.outputs[0].text for cell in shown) == "\n\n".join(blocks)
    assert max(cell.outputs[0].text.count("\n") for cell in shown) < slides.ROWS


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name[:2])
def test_of_a_notebook_all_figures_are_kept_and_no_exercise(slides, path):
    notebook = nbformat.read(path, as_version=4)
    made = slides.slides(notebook)
    nbformat.validate(made)
    text = "\n".join(cell.source for cell in made.cells)
    for word in ("### Exercise", "### Question", "SOLUTION", "MARK SCHEME", "**Your ", "<details>", "tutorial.check_"):
        assert word not in text
    shown = "".join(output.get("text", "") for cell in made.cells for output in cell.get("outputs", ()))
    assert "Right: your" not in shown
    graded = [cell for cell in notebook.cells if slides.is_graded(cell)]
    assert pictures(made.cells) == pictures([cell for cell in notebook.cells if cell not in graded])
    headings = re.findall(r"^##? .+", "\n\n".join(c.source for c in notebook.cells if c.cell_type == "markdown"), re.M)
    assert [source for kind, source in kinds(made) if kind == "slide"] == headings


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name[:2])
def test_the_links_of_slides_lead_somewhere(slides, path):
    text = "\n".join(cell.source for cell in slides.slides(nbformat.read(path, as_version=4)).cells)
    links = [link.split("#")[0] for link in re.findall(r"\]\(([^()\s]+)\)", text) if not re.match(r"\w+:|#", link)]
    assert links and [link for link in links if not (slides.SLIDES / link).resolve().exists()] == []


@pytest.fixture
def written(slides, tmp_path, monkeypatch):
    """A function that writes the slides of a notebook into an empty folder beside which the others stand."""
    pytest.importorskip("nbconvert")
    monkeypatch.setattr(slides, "SLIDES", tmp_path / "slides")
    return lambda path: slides.write(path)


@pytest.mark.slow  # nbconvert takes some seconds
def test_the_page_is_one_of_reveal_js(slides, written, tmp_path):
    target = written(NOTEBOOKS[0])
    page = target.read_text(encoding="utf-8")
    assert target == tmp_path / "slides" / f"{NOTEBOOKS[0].stem}.slides.html"
    assert "Reveal.initialize" in page and page.count("<section>") > 20 and "<summary>code</summary>" in page
    assert "unpkg.com/reveal.js" in page and "jquery" not in page and "mermaid" not in page
    assert "npm install" in slides.what_they_need()
    (tmp_path / "slides" / slides.LIBRARIES).mkdir()
    page = written(NOTEBOOKS[0]).read_text(encoding="utf-8")
    assert set(re.findall(r'(?:src|href)="(node_modules[^"?]+)', page)) == {
        "node_modules/requirejs/require.js",
        "node_modules/mathjax/MathJax.js",
        "node_modules/reveal.js/dist/reveal.css",
        "node_modules/reveal.js/dist/theme/white.css",
    }
    assert "They need no network" in slides.what_they_need()


def test_without_nbconvert_the_command_says_how_to_have_it():
    code = "import sys; sys.modules['nbconvert'] = None; sys.argv = ['course.py', 'slides', '01']; import course"
    command = [sys.executable, "-c", f"{code}; sys.exit(course.main())"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=TUTORIALS)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "nbconvert is not installed: pip install '.[tutorials]'\n"


# The bottom and the right edge of what a slide shows, in its own pixels, once its formulas are set.
EDGES = """() => {
  const slide = Reveal.getCurrentSlide(), place = slide.getBoundingClientRect(), scale = Reveal.getScale();
  let bottom = 0, right = 0;
  for (const part of slide.querySelectorAll("*")) {
    const box = part.getBoundingClientRect();
    if (!box.width || !box.height || part.closest(".MathJax_Preview, .MJX_Assistive_MathML, details > div")) continue;
    bottom = Math.max(bottom, (box.bottom - place.top) / scale);
    right = Math.max(right, (box.right - place.left) / scale);
  }
  return [bottom, right];
}"""


@pytest.mark.slow
@pytest.mark.browser
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name[:2])
def test_nothing_is_cut_off_and_no_network_is_asked(slides, path):
    """With the libraries that npm has put beside the slides; without them there is nothing to show offline."""
    pytest.importorskip("nbconvert")
    if not slides.options():
        pytest.skip(slides.what_they_need())
    target = slides.write(path)
    with chromium() as browser:
        page = browser.new_page(viewport={"width": slides.WIDTH, "height": slides.HEIGHT})
        asked = []
        page.on("request", lambda request: asked.append(request.url))
        page.goto(target.as_uri())
        page.wait_for_selector(".reveal.ready")
        page.evaluate("new Promise(done => require(['node_modules/reveal.js/dist/reveal.js'], reveal => {"
                      "window.Reveal = reveal; MathJax.Hub.Queue(done) }))")  # fmt: skip
        cut_off = []
        for i in range(page.evaluate("Reveal.getSlides().length")):
            page.evaluate(f"place = Reveal.getIndices(Reveal.getSlides()[{i}]); Reveal.slide(place.h, place.v, 99)")
            page.wait_for_timeout(250)  # for MathJax to begin anew
            page.evaluate("new Promise(done => MathJax.Hub.Queue(done))")
            bottom, right = page.evaluate(EDGES)
            if bottom > slides.HEIGHT or right > slides.WIDTH + 4:  # shadows and slanted letters
                cut_off.append((i, round(bottom), round(right)))
    assert cut_off == []
    assert [url for url in asked if not url.startswith(("file:", "data:"))] == []
