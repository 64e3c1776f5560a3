"""The documents and the code say the same: functions, equations, letters, code blocks, commands, links, imports.

Each check is a function of a document's text that returns its faults; the last tests plant one of each kind.
"""

import ast
import importlib
import inspect
import io
import json
import re
import shlex
from contextlib import redirect_stderr, redirect_stdout
from functools import cache
from pathlib import Path
from unittest import mock

import pytest

from tests.commands import python
from tinyvae.cli import console, options
from tinyvae.errors import UserError

ROOT = Path(__file__).parents[1]
WITH_MATHEMATICS = sorted(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md"))
DOCUMENTS = ["README.md", "CONTRIBUTING.md", *WITH_MATHEMATICS]
OTHERS = ["CHANGELOG.md", "benchmarks/README.md", "results/README.md", "tutorials/README.md"]
OTHERS += [f"tutorials/{name}.md" for name in ("capstone", "teaching", "capstone/report", "capstone/marking")]
OTHERS += ["tutorials/bridge/README.md"]
DERIVATION = (
    "activations",
    "mlp",
    "networks",
    "conv",
    "conv_networks",
    "gru",
    "gru_networks",
    "gaussian",
    "likelihoods",
    "levels",
    "categorical",
    "priors",
    "bounds",
    "model",
    "generation",
    "annealing",
)


def read(name):
    return (ROOT / name).read_text(encoding="utf-8")


# -- the parts of a document -------------------------------------------------------------------------------------------

FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
INDENTED = re.compile(r"(?:^\n)(?:(?: {4}.*)?\n)+", re.MULTILINE)
SPAN = re.compile(r"`([^`]+)`")
DISPLAYED = re.compile(r"\$\$(.*?)\$\$", re.DOTALL)
INLINE = re.compile(r"(?<!\$)\$(?!\$)([^$]+)\$(?!\$)")


def prose(text):
    """The text without its blocks of code."""
    return INDENTED.sub("\n\n", FENCE.sub("", text))


def blocks(text):
    """[(number of its first line, Python code, what it prints or None)]: a ``text`` block right below is the output."""
    fences = [(match, *match.groups()) for match in FENCE.finditer(text)]
    result = []
    for (match, language, code), after in zip(fences, [*fences[1:], None]):
        if language == "python":
            follows = after and after[1] == "text" and not text[match.end() : after[0].start()].strip()
            result.append((text[: match.start()].count("\n") + 2, code, after[2] if follows else None))
    return result


def command_lines(text):
    """The words of each ``python -m tinyvae.NAME ...``, from blocks of code and from the running text."""
    code = [body for language, body in FENCE.findall(text) if language != "python"]
    code += INDENTED.findall(FENCE.sub("", text))
    lines = "\n".join(code).replace("\\\n", " ").splitlines()
    spans = [span.replace("\n", " ") for span in SPAN.findall(prose(text))]
    lines += [span if span.count(" ") > 2 else f"{span} --help" for span in spans]  # the command itself is meant
    found = (re.search(r"python -m (tinyvae\.\w+[^&|;]*)", line) for line in lines)
    return [shlex.split(match.group(1), comments=True) for match in found if match]


# -- derivations.md ----------------------------------------------------------------------------------------------------

FUNCTION = re.compile(r"\[`(\w+)\.([\w.]+)`\]\(\.\./tinyvae/derivation/(\w+)\.py\)")
# what each prior and each network has, and no equation
BOOKKEEPING = re.compile(
    r"(priors|networks|conv_networks|gru_networks)\.\w+\.(shapes|initialise|output_bias|products|kept_numbers|layers|reads_data)|networks\.Network\.\w+|likelihoods\.(content|scaled|require_rows)"
    r"|conv_networks\.Conv\w+\.(image|top|perceptron|geometries)|(conv_|gru_)?networks\.\w+_\w+"
    r"|gru_networks\.Recurrent\w*\.(data_shape|steps|numbers|steps_first|rows_first|perceptron)|gru_networks\.part"
)


def public_functions(name):
    """The qualified names of the public functions, methods and properties that are a derivation's module's own."""
    module = importlib.import_module(f"tinyvae.derivation.{name}")

    def own(owner):
        for key, value in vars(owner).items():
            function = value.fget if isinstance(value, property) else value
            if inspect.isfunction(function) and function.__module__ == module.__name__ and function.__name__ == key:
                yield from [] if key.startswith("_") else [key]

    classes = [c for c in vars(module).values() if inspect.isclass(c) and c.__module__ == module.__name__]
    return {*own(module), *(f"{c.__name__}.{key}" for c in classes for key in own(c))}


def named_functions(text):
    return {(module, function) for module, function, _ in FUNCTION.findall(text)}


def unknown_functions(text):
    """Functions that are named and do not exist, or are not in the file that the link opens."""
    return [
        f"{module}.{function} in {file}.py" for module, function, file in FUNCTION.findall(text)
        if module != file or module not in DERIVATION or function not in public_functions(module)
    ]  # fmt: skip


def missing_functions(text):
    """Public functions of the derivation that are not named."""
    everything = {(module, function) for module in DERIVATION for function in public_functions(module)}
    return sorted(name for name in everything - named_functions(text) if not BOOKKEEPING.fullmatch(".".join(name)))


def unfinished_sections(text):
    """Subsections whose last paragraph does not name the functions that are their equations."""
    sections = [section.strip() for section in re.split(r"^#{2,3} ", text, flags=re.MULTILINE)]
    ends = {section.split("\n")[0]: section.split("\n\n")[-1] for section in sections if re.match(r"\d\.\d", section)}
    return [title for title, end in ends.items() if not (end.startswith("In code: ") and FUNCTION.search(end))]


def misnumbered(text):
    """Equations that are not numbered 1, 2, 3, ..., and numbers in the text without an equation."""
    tags = [int(number) for number in re.findall(r"\\tag\{(\d+)", text)]
    running = INLINE.sub("", DISPLAYED.sub("", SPAN.sub("", prose(text))))
    cited = [int(number) for number in re.findall(r"\((\d{1,3})\)", running)]
    return [n for i, n in enumerate(tags, start=1) if n != i] + [n for n in cited if n not in tags]


# GitHub's Markdown takes these out of formulas before they are set, or sets something else.
BREAKS = {
    r"\\[^A-Za-z\s]": "a backslash before a sign",
    r"(?<![A-Za-z0-9])_": "an underscore that is not after a letter",
    r"[<>*|]": "a sign that Markdown or HTML takes for its own",
    r"\n[-+=#]": "a line that begins as a list or a heading",
    r"operatorname": "a macro that GitHub refuses",
    r"[\x00-\x09\x0b-\x1f]": "a control character",
}


def broken_formulas(text):
    """Formulas that GitHub would not set as they are meant."""
    text = SPAN.sub("", prose(text))
    formulas = DISPLAYED.findall(text) + INLINE.findall(DISPLAYED.sub("", text))
    faults = [f"{why}: {formula}" for formula in formulas for what, why in BREAKS.items() if re.search(what, formula)]
    for match in INLINE.finditer(DISPLAYED.sub("", text)):
        before, after = match.string[match.start() - 1], match.string[match.end() : match.end() + 1]
        if before not in " \n(" or after not in " \n.,;:?)" or match.group(1) != match.group(1).strip():
            faults.append(f"a dollar sign that does not begin or end a formula: {match.group()}")
    return faults


# -- symbols.md --------------------------------------------------------------------------------------------------------

# Arguments that are words, not letters.
WORDS = {
    "self",
    "name",
    "kind",
    "layer",
    "squash",
    "need_dx",
    "need_da",
    "is_reversed",
    "like",
    "rows",
    "shape",
    "data_shape",
    "model",
    "walk",
    "allowed",
    "add",
    "consume",
    "keep",
    "closed_form_kl",
    "z_above",
    "below",
    "array",
    "derivative",
    "components",
}


def letters(text):
    """The names in the code column."""
    rows = [line.split(" | ") for line in text.splitlines() if line.startswith("| ")]
    return {name for row in rows[1:] if len(row) > 2 for name in SPAN.findall(row[1])}


def unknown_letters(text):
    """Names in the table that no file of the derivation uses."""
    source = "\n".join(read(f"tinyvae/derivation/{name}.py") for name in DERIVATION)
    return [name for name in letters(text) if not re.search(rf"\b{re.escape(name)}\b", source)]


def missing_letters(text):
    """Arguments of the derivation's functions that the table has not, nor what they are the derivative of."""
    arguments = set()
    for module in DERIVATION:
        for name in public_functions(module):
            function = importlib.import_module(f"tinyvae.derivation.{module}")
            for part in name.split("."):
                function = getattr(function, part)
            if not isinstance(function, property):
                arguments |= set(inspect.signature(function).parameters)
    known = letters(text) | WORDS | {"kl"}
    return sorted(name for name in arguments if not {name, name.removeprefix("d")} & known)


# -- architecture.md ---------------------------------------------------------------------------------------------------

PACKAGE = ROOT / "tinyvae"
SOURCES = {path.relative_to(PACKAGE).as_posix(): path.read_text(encoding="utf-8") for path in PACKAGE.rglob("*.py")}
TOP, BOTTOM = "(top)", "(bottom)"


@cache
def rooms(text):
    """{room: names of its files}, from the top down, as the table has them."""
    rows = re.findall(r"^\| (\(top\)|\(bottom\)|`\w+/`) \| (.+?) \|", text, flags=re.MULTILINE)
    return {room.strip("`/"): [file for file in SPAN.findall(files) if file.isidentifier()] for room, files in rows}


def place(name, text):
    """(room, file) of a path such as "machine/noise.py" or of a module such as "tinyvae.machine.noise"; its parts that
    are neither a folder nor a file are left out. A folder of a room counts as one file."""
    parts = name.removesuffix(".py").removeprefix("tinyvae.").replace("/", ".").split(".")
    table = rooms(text)
    if parts[0] in table:
        return parts[0], parts[1] if len(parts) > 1 and parts[1] in table[parts[0]] else "__init__"
    return BOTTOM if parts[0] in table[BOTTOM] else TOP, parts[0]


@cache
def imports(source):
    """The full names of what a file imports, anywhere in it; dots before a name for a relative import."""
    names = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names += [f"{'.' * node.level}{node.module or ''}.{alias.name}" for alias in node.names]
    return names


def own_imports(text, sources):
    """[(room, file, room of what is imported, its file)]; the version is everybody's."""
    return [
        (*place(name, text), *place(other, text))
        for name, source in sources.items() for other in imports(source)
        if other.split(".")[0] == "tinyvae" and other != "tinyvae.__version__"
    ]  # fmt: skip


def wrong_rooms(text, sources=SOURCES):
    """Files that are not in the table under their room, and names in the table that are no files."""
    table, faults = rooms(text), []
    there = {room: set() for room in table}
    for name in sources:
        first, *rest = name.removesuffix(".py").split("/")
        room = first if rest else BOTTOM if first in table[BOTTOM] else TOP
        there.setdefault(room, set()).add(rest[0] if rest else first)
    for room, files in there.items():
        named = table.get(room, [])
        unnamed = files - set(named) - ({"__init__"} if room not in (TOP, BOTTOM) else set())
        faults += [f"{room}: {file} is not in the table" for file in unnamed]
        faults += [f"{room}: {file} is no file" for file in set(named) - files]
        faults += [f"{room}: {file} stands there twice" for file in set(named) if named.count(file) > 1]
    return faults


def upward_imports(text, sources=SOURCES):
    """Imports that point up the table; within the derivation, to a file that is read later."""
    table = rooms(text)
    order, reading = list(table), table["derivation"]
    faults = []
    for room, file, other_room, other in own_imports(text, sources):
        inner = room == other_room == "derivation" and {file, other} <= set(reading)
        if order.index(other_room) < order.index(room) or (inner and reading.index(other) > reading.index(file)):
            faults.append(f"{room}: {file} imports {other} of {other_room}")
    return faults


OWNERS = {"matplotlib": "drawing", "numba": "machine", "llvmlite": "machine"}  # who alone may import it
STYLE = ("tutorial/lessons.py", "matplotlib")  # sets how the notebooks draw


def forbidden_imports(text, sources=SOURCES):
    """Relative imports, another room's packages, and what is behind the machine room's door."""
    faults = []
    for name, source in sources.items():
        room, _ = place(name, text)
        for other in imports(source):
            owner = OWNERS.get(other.split(".")[0], room)
            if other.startswith(".") or (owner != room and (name, other) != STYLE):
                faults.append(f"{name} imports {other}")
    for room, file, other_room, other in own_imports(text, sources):
        open_to_it = {"__init__"} if room == "derivation" else {"__init__", "noise"}
        if other_room == "machine" != room and other not in open_to_it:
            faults.append(f"{room}: {file} imports {other}, which is behind the door")
    return faults


def wrong_arrows(text, sources=SOURCES):
    """Arrows of the diagram that are no imports, and imports from room to room that do not go along the arrows."""
    arrows = {tuple(arrow) for arrow in re.findall(r"^ +(\w+) --> (\w+)$", text, flags=re.MULTILINE)}
    real = {(room.strip("()"), other.strip("()")) for room, _, other, _ in own_imports(text, sources)}
    real = {(room, other) for room, other in real if room != other and other != "bottom"}
    reached = set(arrows)
    while further := {(a, d) for a, b in reached for c, d in arrows if b == c} - reached:
        reached |= further
    return [f"{a} --> {b} is no import" for a, b in arrows - real] + [f"{a} imports {b}" for a, b in real - reached]


def silent_rooms(text, sources=SOURCES):
    """Rooms whose ``__init__.py`` does not say what they know and what they must not know."""
    faults = []
    for room in set(rooms(text)) - {TOP, BOTTOM}:
        words = ast.get_docstring(ast.parse(sources[f"{room}/__init__.py"])) or ""
        faults += [] if re.search(r"\bknows\b.*\bmust not know\b", " ".join(words.split())) else [room]
    return faults


# -- code, commands and links ------------------------------------------------------------------------------------------

# What a reader of the README's few lines has at hand: a run on MNIST (here, on noise of its shape), and a small model.
PRELUDES = {
    "README.md": """
import numpy as np
from tinyvae import settings, train
from tinyvae.data import datasets
from tinyvae.derivation import bounds
from tinyvae.derivation.model import Model
from tinyvae.derivation.parameters import Parameters

pictures = np.random.default_rng(0).integers(0, 256, (300, 28, 28), np.uint8)
settings.DATASETS["mnist"] = lambda data_dir: datasets.split(pictures, None)
train.main(["mnist", "--epochs", "1", "--quiet"])
train.main("expressions --limit 200 --epochs 1 --quiet".split())

model = Model(data_shape=(6,), latent=(2,), hidden=((3,),))
params = Parameters(model.shapes())
x, noise = np.full((4, 6), 0.5, np.float32), [np.zeros(shape, np.float32) for shape in model.noise_shapes(4, 3)]
"""
}
# Runs the blocks of a document one after the other in one namespace, and compares what each prints with the document.
# A block stands in a file, where Numba keeps what it compiles.
RUNNER = """
import contextlib, io, json, pathlib, sys

name, prelude, blocks = json.loads(sys.argv[1])
namespace = {"__name__": "__main__"}
exec(prelude, namespace)
for line, code, expected in blocks:
    file = pathlib.Path(f"block_of_line_{line}.py").absolute()
    file.write_text("\\n" * (line - 1) + code, encoding="utf-8")
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(file.read_text(encoding="utf-8"), str(file), "exec"), namespace)
    if expected is not None and printed.getvalue() != expected:
        sys.exit(f"{name}, line {line}: prints\\n{printed.getvalue()}and not\\n{expected}")
"""


def run_blocks(name, text, folder):
    """Run a document's Python blocks in a folder that has results/ in it, as the repository has; what went wrong."""
    (folder / "results").symlink_to(ROOT / "results")
    arguments = json.dumps([name, PRELUDES.get(name, ""), blocks(text)])
    result = python("-c", RUNNER, arguments, cwd=folder, env={"PYTHONPATH": str(ROOT)})
    return result.stderr if result.returncode else ""


FOLDERS = ("tinyvae", "tests", "docs", "results", "tutorials", "benchmarks", "data_scripts")  # of the repository


class Parsed(Exception):
    """Raised in the place of all that a command does once its arguments are understood."""


PLACEHOLDERS = {"NAME": "aevb-mnist"}  # of the documents; others may stand where any word may
BEGINNINGS = {"train": "digits", "evaluate": "runs/digits", "reproduce": "aevb-mnist", "bench": "vae", "gradcheck": ""}
BEGINNINGS |= {"explore": "runs/digits"}
BEGINNINGS |= {"compress": "runs/digits digits --out digits.tvz", "decompress": "digits.tvz --out digits.npy"}


def refusal(words, in_full=True):
    """What a command has against its arguments, or ""; its parser alone where they are not given ``in_full``."""
    module = importlib.import_module(words[0])
    arguments = [PLACEHOLDERS.get(word, word) for word in words[1:]]

    def parse_and_stop(parser, argv=None):
        raise Parsed(super(console.Parser, parser).parse_args(argv))

    err = io.StringIO()
    with redirect_stderr(err), redirect_stdout(io.StringIO()):
        try:
            if hasattr(module, "parse"):
                module.parse(arguments)
            else:
                with mock.patch.object(console.Parser, "parse_args", parse_and_stop):
                    module.main(arguments)
        except Parsed as parsed:
            if in_full and words[0] == "tinyvae.train" and not parsed.args[0].resume:
                try:
                    options.resolve(parsed.args[0])
                except UserError as error:
                    return str(error)
        except SystemExit as end:
            return err.getvalue() if end.code else ""
    return ""


def refused_commands(text):
    """Commands that their own parsers refuse, and options in the running text that no command takes."""
    faults = [f"{shlex.join(words)}: {why}" for words in command_lines(text) if (why := refusal(words))]
    for span in map(str.split, SPAN.findall(prose(text))):
        if span[0].startswith("--"):
            calls = [[f"tinyvae.{command}", *words.split(), *span] for command, words in BEGINNINGS.items()]
            why = [refusal(call, in_full=False) for call in calls]
            if len(span) == 1:  # its value may be left out
                why = ["" if "expected" in reason else reason for reason in why]
            if all(why):
                faults.append(f"{shlex.join(span)}: {why[0]}")
    return faults


def dead_links(name, text):
    """Relative links that open nothing."""
    targets = re.findall(r"\]\(([^)\s]+)\)", FENCE.sub("", text))
    files = [target.split("#")[0] for target in targets if not re.match(r"\w+:|#", target)]
    return [file for file in files if not ((ROOT / name).parent / file).exists()]


def missing_files(text):
    """Files and folders of the repository that are named and do not exist; of Python files the name may do."""
    modules = {path.name for folder in FOLDERS for path in (ROOT / folder).rglob("*.py")}
    spans = [span for span in SPAN.findall(prose(text)) if re.fullmatch(r"[\w./-]+", span) and "NAME" not in span]
    within = [span for span in spans if span.split("/")[0] in FOLDERS and "/" in span]
    return [span for span in within if not (ROOT / span).exists()] + [
        span for span in spans if span.endswith(".py") and "/" not in span and span not in modules | {"setup.py"}
    ]


# -- the checks --------------------------------------------------------------------------------------------------------

CHECKS = {
    "docs/derivations.md": (unknown_functions, missing_functions, unfinished_sections, misnumbered),
    "docs/symbols.md": (unknown_letters, missing_letters),
    "docs/architecture.md": (wrong_rooms, upward_imports, forbidden_imports, wrong_arrows, silent_rooms),
}


@pytest.mark.parametrize(("name", "check"), [(name, check) for name in CHECKS for check in CHECKS[name]])
def test_the_document_agrees_with_the_source(name, check):
    assert check(read(name)) == []


@pytest.mark.parametrize("name", WITH_MATHEMATICS)
def test_formulas_are_such_as_github_sets(name):
    assert broken_formulas(read(name)) == []


SLOW_BLOCKS = {"README.md"}  # a minute: the first example trains three models


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[pytest.mark.slow] if name in SLOW_BLOCKS else [])
        for name in DOCUMENTS
        if blocks(read(name))
    ],
)
def test_python_blocks_run_and_print_what_is_written(name, tmp_path):
    assert run_blocks(name, read(name), tmp_path) == ""


@pytest.mark.parametrize("name", DOCUMENTS)
def test_commands_and_options_exist(name):
    assert refused_commands(read(name)) == []


@pytest.mark.parametrize("name", DOCUMENTS + OTHERS)
def test_links_open_something_and_files_exist(name):
    assert dead_links(name, read(name)) == []
    assert missing_files(read(name)) == []


def test_there_is_something_to_check():
    assert len(named_functions(read("docs/derivations.md"))) > 60
    assert len(command_lines(read("README.md"))) > 8
    assert len(letters(read("docs/symbols.md"))) > 40
    assert len(rooms(read("docs/architecture.md"))) == 15 and read("docs/architecture.md").count(" --> ") > 10
    assert len(own_imports(read("docs/architecture.md"), SOURCES)) > 200
    assert sum(expected is not None for _, _, expected in blocks(read("docs/faq.md"))) > 6


# A check, its document, what stands there, and what would be wrong in its place.
PLANTED = [
    (unknown_functions, "derivations", "[`gaussian.kl`](", "[`gaussian.kl_divergence`]("),
    (unknown_functions, "derivations", "kl`](../tinyvae/derivation/gaussian.py)", "kl`](../tinyvae/derivation/mlp.py)"),
    (missing_functions, "derivations", "[`bounds.dreg`]", "`dreg` "),
    (unfinished_sections, "derivations", "In code: [`bounds.elbo`](../tinyvae/derivation/bounds.py).", ""),
    (misnumbered, "derivations", "\\tag{12}", "\\tag{13}"),
    (misnumbered, "derivations", "by (47)", "by (470)"),
    (broken_formulas, "derivations", "\\bar b_j", "\\bar{b}_j"),
    (broken_formulas, "derivations", "$l \\le 0$", "$l < 0$"),
    (broken_formulas, "derivations", "$l \\le 0$", "$l \\le\\, 0$"),
    (broken_formulas, "derivations", "$\\bar b$", "x$\\bar b$"),
    (broken_formulas, "derivations", "M = 2^{16}", "M =\x02^{16}"),
    (unknown_letters, "symbols", "`logvar` |", "`log_var` |"),
    (missing_letters, "symbols", "`logvar` |", "`stats` |"),
    (wrong_rooms, "architecture", "`generation` `annealing` |", "`generation` |"),
    (wrong_rooms, "architecture", "`generation` `annealing` |", "`generation` `annealing` `vae` |"),
    (wrong_rooms, "architecture", "`console`, `options`", "`console`, `options`, `console`"),
    (wrong_rooms, "architecture", "| `disk/` |", "| `disc/` |"),
    (upward_imports, "architecture", "`priors` `bounds` `model` `gen", "`bounds` `model` `priors` `gen"),
    (wrong_arrows, "architecture", "training --> derivation", "derivation --> training"),
    (wrong_arrows, "architecture", "    drawing --> disk\n", ""),
    (missing_files, "architecture", "`derivation/networks.py`", "`derivation/networks.py` `nets.py`"),
    (missing_files, "architecture", "`tinyvae/settings.py`", "`tinyvae/recipes.py`"),
    (refused_commands, "faq", "--quiet --out runs/blobs\n", "--quiet --folder runs/blobs\n"),
]  # fmt: skip
# A check of the source, a file, what stands there, and what would be wrong in its place.
PLANTED_SOURCES = [
    (wrong_rooms, "disk/extra.py", "", "pass"),
    (wrong_rooms, "attic/old.py", "", "pass"),
    (upward_imports, "derivation/bounds.py", "import numpy as np\n", "import numpy as np\nfrom tinyvae import train\n"),
    (upward_imports, "derivation/gaussian.py", "from tinyvae import machine", "from tinyvae.derivation import priors"),
    (upward_imports, "errors.py", "class UserError", "from tinyvae.disk import run\n\n\nclass UserError"),
    (upward_imports, "disk/files.py", "import os\n", "import os\nimport tinyvae.training.loop\n"),
    (upward_imports, "checks/finite_differences.py", "import numpy as np\n", "import tinyvae\n"),
    (forbidden_imports, "disk/files.py", "import os\n", "import os\nfrom matplotlib import pyplot\n"),
    (forbidden_imports, "training/loop.py", "import numpy as np\n", "import numba\n"),
    (forbidden_imports, "training/loop.py", "import noise\n", "import noise, jobs\n"),
    (forbidden_imports, "derivation/mlp.py", "import machine\n", "import machine\nfrom tinyvae.machine import noise\n"),
    (forbidden_imports, "derivation/mlp.py", "from tinyvae import machine", "from .. import machine"),
    (wrong_arrows, "data/formats.py", "import numpy as np\n", "import numpy\nfrom tinyvae.drawing import style\n"),
    (silent_rooms, "disk/__init__.py", "must not know", "knows"),
]  # fmt: skip
REFUSED = [
    "    python -m tinyvae.train digits --job 2",
    "```bash\npip install . && python -m tinyvae.reproduce figure-2\n```",
]
REFUSED += [
    "`--objective iwea --samples 5`",
    "`--replace`",
    "`python -m tinyvae.train mnist --estimator stl --kl closed`",
]


@pytest.mark.parametrize(("check", "name", "right", "wrong"), PLANTED)
def test_a_planted_error_is_found(check, name, right, wrong):
    text = read(f"docs/{name}.md")
    assert right in text
    assert check(text) == []
    assert check(text.replace(right, wrong, 1)) != []


@pytest.mark.parametrize(("check", "name", "right", "wrong"), PLANTED_SOURCES)
def test_a_planted_error_in_the_source_is_found(check, name, right, wrong):
    text, source = read("docs/architecture.md"), SOURCES.get(name, "")
    assert right in source
    assert len(check(text, SOURCES | {name: source.replace(right, wrong, 1)})) == 1


def test_a_room_in_the_wrong_place_is_found():
    text = read("docs/architecture.md")
    rows = {row.split(" | ")[0]: row for row in text.splitlines() if row.startswith("| ")}
    upper, lower = rows["| `training/`"], rows["| `derivation/`"]
    faults = upward_imports(text.replace(upper, "").replace(lower, f"{lower}\n{upper}"))
    assert "training: fitted imports model of derivation" in faults
    assert not any(fault.startswith("derivation: ") for fault in faults)


@pytest.mark.parametrize("text", REFUSED)
def test_a_command_that_would_be_refused_is_found(text):
    assert len(refused_commands(f"So:\n\n{text}\n\nand so on")) == 1


def test_a_link_that_opens_nothing_is_found():
    assert dead_links("docs/some.md", "[a](faq.md) [b](../README.md#speed) [c](https://d.e) [f](g.md)") == ["g.md"]


@pytest.mark.parametrize(
    "text", ["```python\nimport tinyvae.nothing\n```", "```python\nprint(1)\n```\n\n```text\n2\n```"]
)
def test_a_block_that_fails_or_prints_something_else_is_found(text, tmp_path):
    assert "line 2" in run_blocks("some.md", text, tmp_path)
