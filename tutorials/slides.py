"""Slides of a complete notebook, by nbconvert and reveal.js: ``python tutorials/course.py slides 04``.

Each ``##`` heading begins a slide, and what does not fit on it goes on below it. Figures stay and code is folded. A
question ("Predict, then run") stands alone at first; what the run shows, and what the notebook says of it, come at the
next keys. Exercises are left out with their solutions and checks, and so are questions that are graded by hand.
"""

import base64
import io
import re
from pathlib import Path
from textwrap import dedent

import nbformat

HERE = Path(__file__).parent
SLIDES = HERE / "slides"
LIBRARIES = "node_modules"  # in that folder, where npm puts what it is asked for
# What nbconvert loads from the network, by the name of its option: where npm has it, and which package that is.
OFFLINE = {
    "reveal_url_prefix": "reveal.js",
    "require_js_url": "requirejs/require.js",
    "mathjax_url": "mathjax/MathJax.js?config=TeX-AMS_CHTML-full,Safe",
}
WIDTH, HEIGHT = 1280, 720  # of a slide, in pixels
LINE, CHARACTERS = 33, 96  # height of a line of text, and how many characters it has
TALLEST, ZOOM = 430, 1.4  # of a figure, and how much larger it is than in the notebook
ROWS, COLUMNS = 22, 100  # of what a program has printed
ROOM = HEIGHT - 80  # without the heading

QUESTION = "> **Predict"
EXERCISE = re.compile(r"^### (Exercise|Question) [\s\S]*|<!-- ### BEGIN MARK SCHEME -->[\s\S]*", re.MULTILINE)
HEADING = re.compile(r"^(#+) (.+)$", re.MULTILINE)
# How such paragraphs begin.
LEFT_OUT = ("[previous: ", "[the course]", "**Contents:**", "**You need**", "**Your prediction:**", "**Your answer:**")
FOLDED = re.compile(r"<details>\s*<summary>.*?</summary>|</details>", re.DOTALL)
LINK = re.compile(r"\]\((?!\w+:|#)([^()\s]+)\)")
PARAGRAPH = re.compile(r"(?:^```.*?^```$|^\$\$.*?\$\$|^[^\n]+\n?)+", re.MULTILINE | re.DOTALL)

STYLE = f"""
.reveal {{ font-size: 26px; }}
.reveal .slides {{ text-align: left; }}
.reveal .slides section {{ top: 0 !important; height: {HEIGHT}px; padding: 0; }}
.reveal .slides .jp-RenderedHTMLCommon {{ font-size: 26px; line-height: 1.25; }}
.reveal .slides .jp-RenderedHTMLCommon p {{ font-size: 26px; line-height: 1.25; margin: 0 0 14px; }}
.reveal .slides h1, .reveal .slides h2 {{ font-size: 40px; margin: 0 0 18px; text-transform: none; }}
.reveal .slides h3 {{ font-size: 30px; margin: 0 0 12px; text-transform: none; }}
.reveal .slides p.section {{ color: #6b6b6b; font-size: 20px; margin: 0 0 18px; }}
.reveal .slides .MJXc-display {{ margin: 4px 0 14px; }}
.reveal .slides .jp-RenderedMarkdown img {{ max-height: {TALLEST}px; margin: 0 auto; display: block; }}
.reveal .slides table {{ font-size: 22px; margin: 0 0 14px; }}
.reveal .slides .jp-RenderedHTMLCommon blockquote {{ font-size: 26px; width: auto; margin: 0 0 14px; padding: 10px 24px;
  font-style: normal; box-shadow: none; border-left: 6px solid #c33; background: #fdf3f0; }}
.reveal .slides .jp-RenderedImage img {{ zoom: {ZOOM}; max-height: {TALLEST / ZOOM:.0f}px; margin: 0 auto;
  display: block; }}
.reveal .slides pre, .reveal .slides code {{ font-size: 20px; line-height: 1.25; }}
.reveal .slides pre {{ box-shadow: none; width: auto; margin: 0; }}
.reveal .slides .jp-Cell {{ padding: 0; }}
.reveal .slides .jp-InputPrompt, .reveal .slides .jp-OutputPrompt {{ display: none; }}
.reveal .slides details pre {{ font-size: 18px; white-space: pre-wrap; }}
.reveal .slides details {{ font-size: 18px; color: #6b6b6b; }}
.reveal .slides details[open] > summary {{ position: absolute; top: 0; right: 24px; z-index: 3; }}
.reveal .slides details > div {{ position: absolute; inset: 0; z-index: 2; overflow: auto; background: #f7f7f7; }}
"""
# nbconvert's own template, without what only other notebooks need, and with code under a word to be clicked: its sheet
# then covers the slide.
TEMPLATE = """{%- extends 'index.html.j2' -%}
{%- block html_head_css -%}<style>STYLE</style>{%- endblock html_head_css -%}
{%- block html_head_js_jquery -%}{%- endblock -%}
{%- block html_head_js_mermaidjs -%}{%- endblock -%}
{%- block input -%}{%- if cell.source -%}
<details><summary>code</summary><div>{{ super() }}</div></details>
{%- endif -%}{%- endblock input -%}
""".replace("STYLE", STYLE)


def paragraphs(source):
    """The paragraphs of a cell's text; formulas and blocks of code stay whole, and so do lists and tables."""
    found = [match[0].rstrip() for match in PARAGRAPH.finditer(source)]
    fenced = [f"```\n{dedent(text)}\n```" if text.startswith("    ") else text.lstrip() for text in found]
    return [text for text in fenced if text]


def height(block):
    """About how many pixels a paragraph, or a cell with what it shows, takes on a slide."""
    if isinstance(block, str):
        return 14 + text_height(block)
    total = 26 if block.source else 0
    for output in block.outputs:
        if "image/png" in output.get("data", {}):
            total += min(TALLEST, picture_height(output.data["image/png"])) + 10
        else:
            text = output.get("text") or output.get("data", {}).get("text/plain", "")
            total += 25 * rows(text) + 10
    return total


def text_height(text):
    """The same of a paragraph without the room below it."""
    if text.startswith("!["):
        return TALLEST
    if text.startswith("|"):
        return 38 * text.count("\n")
    if text.startswith("```"):
        return 25 * text.count("\n")
    if text.startswith("$$"):
        is_tall = re.search(r"\\(d?frac|sum|int|prod|underbrace)", text)
        return (80 if is_tall else 48) * (1 + text.count(r"\\"))
    line = LINE + 5 * ("$" in text)  # letters of formulas are larger
    margin, characters = (20, CHARACTERS - 6) if re.match(r"[>*-] |\d+\. ", text) else (0, CHARACTERS)
    pieces = re.split(r"\n(?=[-*] |\d+\. )", LINK.sub("]", text))
    displayed = sum(text_height(formula) for formula in re.findall(r"\$\$.*?\$\$", text, re.DOTALL))
    return displayed + margin + line * sum(-(-len(piece) // characters) for piece in pieces)


def picture_height(png):
    """The height at which a picture is shown: larger than in the notebook, and no wider than a slide."""
    from PIL import Image

    width, height = Image.open(io.BytesIO(base64.b64decode(png))).size
    return height * min(ZOOM, WIDTH / width)


def is_graded(cell):
    """Whether a cell of code is a solution or its check."""
    nbgrader = cell.metadata.get("nbgrader", {})
    return nbgrader.get("solution", False) or nbgrader.get("grade", False)


def parts(cell):
    """A cell of code for each thing that a cell shows, long texts in several; the code is with the first."""
    shown = [piece for output in cell.outputs for piece in pieces_of(output)]
    for i, output in enumerate(shown or [None]):
        part = nbformat.from_dict(cell)
        part.outputs = [output] if output else []
        part.source = "" if i else cell.source
        yield part


def pieces_of(output):
    """An output, or what was printed in it in pieces that fit on a slide, torn at empty lines."""
    if output.output_type != "stream":
        return [output]
    pieces = [""]
    for text in re.split(r"\n(?=\n)", output.text.rstrip()):
        if pieces[-1] and rows(pieces[-1] + text) > ROWS:
            pieces.append("")
        pieces[-1] += f"{text}\n"
    return [nbformat.v4.new_output("stream", text=piece.strip("\n")) for piece in pieces]


def rows(text):
    """How many lines a printed text takes, with those that are too long for a slide folded."""
    return sum(max(1, -(-len(line) // COLUMNS)) for line in text.rstrip().splitlines())


def blocks(notebook):
    """What the slides of a notebook are made of, in order: (paragraph or cell of code, whether it is an answer).

    The first cell installs the package, and is left out with the exercises, the solutions and the checks.
    """
    is_asked = False  # whether a question waits for its answer
    for cell in notebook.cells[1:]:
        if cell.cell_type == "code":
            if not is_graded(cell):
                yield from ((part, is_asked) for part in parts(cell))
            continue
        is_folded = cell.source.startswith("<details>")
        for text in paragraphs(EXERCISE.sub("", FOLDED.sub("", cell.source))):
            if not text.startswith(LEFT_OUT):
                yield LINK.sub(r"](../\1)", text), is_folded
                is_asked = text.startswith(QUESTION) or is_folded
        is_asked = is_asked and not is_folded


def units(notebook):
    """The blocks in groups that are not torn apart: what ends with a colon or a comma stays with what it leads to."""
    unit, total = [], 0
    for block, is_answer in blocks(notebook):
        if total + height(block) > ROOM and unit:
            yield unit
            unit, total = [], 0
        unit.append((block, is_answer))
        total += height(block)
        if not (isinstance(block, str) and block.endswith((":", ",", ":$$", ",$$")) and not block.startswith("#")):
            yield unit
            unit, total = [], 0
    if unit:
        yield unit


def slides(notebook):
    """The notebook of the slides: cells with the metadata of nbconvert, a paragraph or a cell of code in each."""
    cells, title, room = [], "", 0

    def add(block, kind):
        cell = nbformat.v4.new_markdown_cell(block) if isinstance(block, str) else nbformat.from_dict(block)
        cell["id"] = f"slides-{len(cells)}"
        cell.metadata = {"slideshow": {"slide_type": kind}}
        cells.append(cell)

    for unit in units(notebook):
        first, needed = unit[0][0], sum(height(block) for block, _ in unit)
        heading = HEADING.match(first) if isinstance(first, str) else None
        if heading and len(heading[1]) < 3:
            title, room = heading[2], ROOM
            add(first, "slide")
            continue
        is_question = isinstance(first, str) and first.startswith(QUESTION)
        is_new = needed > room or heading or (is_question and room < ROOM)
        if is_new:
            add(f'<p class="section">{title}</p>', "subslide")
            room = ROOM
        for block, is_answer in unit:
            add(block, "fragment" if is_answer and not is_new else "-")
            room -= height(block)
    return nbformat.v4.new_notebook(cells=cells, metadata=notebook.metadata | {"title": cells[0].source.lstrip("# ")})


def options():
    """Where nbconvert's page is to find its libraries: beside the slides if they are there, else on the network."""
    folder = SLIDES / LIBRARIES
    return {name: f"{LIBRARIES}/{place}" for name, place in OFFLINE.items()} if folder.exists() else {}


def what_they_need():
    """A sentence on what a browser loads to show the slides."""
    if options():
        return f"They need no network: {LIBRARIES}/ beside them has what they load. Take both with you."
    wanted = "reveal.js@4 requirejs@2 mathjax@2"
    return (
        "To show them a browser loads reveal.js, RequireJS and MathJax from the network. To do without, once:\n"
        f"  npm install --prefix {SLIDES} {wanted}\n"
        "and make them anew."
    )


def write(path):
    """Write the slides of the notebook in a file, NAME.slides.html in ``SLIDES``; returns their path."""
    from nbconvert import SlidesExporter

    exporter = SlidesExporter(
        raw_template=TEMPLATE, reveal_theme="white", reveal_transition="none", reveal_number="h.v",
        reveal_width=str(WIDTH), reveal_height=str(HEIGHT), **options(),
    )  # fmt: skip
    page, _ = exporter.from_notebook_node(slides(nbformat.read(path, as_version=4)))
    SLIDES.mkdir(exist_ok=True)
    target = SLIDES / f"{path.stem}.slides.html"
    target.write_text(page, encoding="utf-8")
    return target
