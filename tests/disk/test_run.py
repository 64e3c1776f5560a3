"""A run's folder: what is written reads back, and what is wrong with a folder is said in words."""

import json
import math
import os
import shutil
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinyvae.disk.checkpoint import write_checkpoint
from tinyvae.disk.files import temporary_path
from tinyvae.disk.lock import LOCK, OWNER
from tinyvae.disk.run import COLUMNS, EXPLORER, FIGURES, FILES, Run
from tinyvae.errors import RunError

CONFIG = {"dataset": {"name": "digits"}, "settings": {"seed": 2**64 - 1, "learning_rate": 0.001}}
ROW = {"epoch": 1, "samples_seen": 1965, "train_bound": 0.1 + 0.2, "test_bound": -1e-300, "seconds": 2.5}


@pytest.fixture
def run(tmp_path):
    return Run.create(tmp_path / "run", CONFIG)


def files(folder):
    """All but those of the lock."""
    paths = (path.relative_to(folder) for path in folder.rglob("*") if not path.is_dir())
    return sorted(str(path) for path in paths if path.name not in (LOCK, OWNER))


# Making and finding a folder


def test_a_run_is_made_with_its_parents_and_found_again(tmp_path):
    run = Run.create(tmp_path / "a" / "b", CONFIG)
    assert run.path == tmp_path / "a" / "b"
    assert files(run.path) == ["config.json"]
    assert Run.open(tmp_path / "a" / "b") == Run.open(str(run.path)) == run
    assert run.config() == CONFIG | {"run": run.name}


def test_a_folder_with_other_files_is_as_good_as_a_new_one(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    Run.create(tmp_path, CONFIG)
    assert files(tmp_path) == ["config.json", "notes.txt"]


@pytest.mark.parametrize("name", FILES)
def test_a_run_is_never_overwritten_unasked(tmp_path, name):
    (tmp_path / name).parent.mkdir(exist_ok=True)
    for written in (name, "config.json"):
        (tmp_path / written).write_text("old")
    before, held = files(tmp_path), ", ".join(dict.fromkeys([name, "config.json"]))
    for words, cure in (({}, "Choose another folder, or move that run away."), ({"cure": "Sleep."}, "Sleep.")):
        with pytest.raises(RunError) as error:
            Run.create(tmp_path, CONFIG, **words)
        assert str(error.value) == f"{tmp_path} already holds a run ({held})\n{cure}"
    assert (tmp_path / name).read_text() == "old" and files(tmp_path) == before


def test_overwriting_removes_all_of_the_old_run_and_nothing_else(run):
    foreign, old = ["notes.txt", "figures/mine.png", "history.csv.bak", "checkpoint.npz.old"], run.name
    run.figure_path(FIGURES[0])
    for name in [*foreign, *FILES]:
        (run.path / name).write_text("old")
    before = files(run.path)
    for name in FILES:
        temporary_path(run.path / name).write_text("left by a killed process")
    new = Run.create(run.path, {"new": True}, overwrite=True)
    assert files(run.path) == sorted((set(before) - set(FILES)) | {"config.json"})
    assert new.config() == {"new": True, "run": new.name} and new.name != old


def test_what_is_of_no_run_is_never_removed(tmp_path):
    """A file of somebody's, under a name that a run has too."""
    (tmp_path / "samples.txt").write_text("mine")
    for overwrite in (False, True):
        with pytest.raises(RunError, match=r"holds samples.txt, which .* \(config.json is missing\)\nMove them away"):
            Run.create(tmp_path, CONFIG, overwrite)
    assert files(tmp_path) == ["samples.txt"]


@pytest.mark.parametrize("spoil", ["figures", "history.csv", "figures/latent.png"])
def test_a_run_that_cannot_be_removed_whole_is_left_whole(run, spoil):
    run.write_history([ROW])
    run.save_checkpoint({}, {})
    if spoil == "figures":
        (run.path / spoil).write_text("a file")
    else:
        (run.path / spoil).unlink(missing_ok=True)
        (run.path / spoil).mkdir(parents=True)
    before = files(run.path)
    with pytest.raises(RunError, match=r"it cannot be removed \(.*\)\nA (file|folder) has the name"):
        Run.create(run.path, CONFIG, overwrite=True)
    assert files(run.path) == before and run.config() == CONFIG | {"run": run.name}


def test_a_run_in_a_folder_that_keeps_its_files_is_left_whole(run, monkeypatch):
    """Of which one of the others takes no change; a stand-in for permissions, which root does not need."""
    run.write_history([ROW])
    run.figure_path(FIGURES[0]).write_bytes(b"")
    before = files(run.path)
    monkeypatch.setattr(os, "access", lambda path, mode: not str(path).endswith("figures"))
    with pytest.raises(RunError, match=r"it cannot be removed \(Permission denied\)\nMend the permissions"):
        Run.create(run.path, CONFIG, overwrite=True)
    monkeypatch.setattr(os, "statvfs", lambda path: SimpleNamespace(f_flag=os.ST_RDONLY))
    with pytest.raises(RunError, match=r"\(Read-only file system\)\nNothing can be written to this disk"):
        Run.create(run.path, CONFIG, overwrite=True)
    assert files(run.path) == before


def test_all_that_a_run_writes_is_known_to_overwriting(run):
    run.write_history([ROW])
    run.save_checkpoint({}, {})
    run.write_summary({})
    run.write_json("evaluation.json", {})
    run.write_samples("x+1\n")
    (run.path / EXPLORER).write_bytes(b"")
    for name in FIGURES:
        run.figure_path(name).write_bytes(b"")
    assert files(run.path) == sorted(FILES)
    Run.create(run.path, CONFIG, overwrite=True)
    assert files(run.path) == ["config.json"]


def test_overwriting_needs_nothing_to_overwrite(tmp_path):
    assert Run.create(tmp_path / "new", CONFIG, overwrite=True).config()["dataset"] == CONFIG["dataset"]


@pytest.mark.parametrize("name", ["file", "file/below"])
def test_a_file_in_the_way(tmp_path, name):
    (tmp_path / "file").write_text("mine")
    for overwrite in (False, True):
        with pytest.raises(RunError, match=r"it cannot be made \(.*\)\nA file has the name that a folder needs"):
            Run.create(tmp_path / name, CONFIG, overwrite)
    assert (tmp_path / "file").read_text() == "mine"


def test_a_folder_where_nobody_may_write():
    with pytest.raises(RunError, match="/proc/tinyvae: it cannot be made"):
        Run.create("/proc/tinyvae", CONFIG)


def test_a_folder_in_the_way_of_a_file(tmp_path):
    (tmp_path / "checkpoint.npz").mkdir()
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(RunError, match=r"checkpoint\.npz: it cannot be removed"):
        Run.create(tmp_path, CONFIG, overwrite=True)


def test_opening_says_what_is_missing(tmp_path):
    with pytest.raises(RunError, match="nowhere: there is no such folder"):
        Run.open(tmp_path / "nowhere")
    with pytest.raises(RunError, match=r"holds no run: config\.json is missing"):
        Run.open(tmp_path)
    for name in ("", " "):  # as an unset variable leaves it
        with pytest.raises(RunError, match=r"^a folder's name is needed, not an empty one"):
            Run.open(name)
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="file: there is no such folder"):
        Run.open(tmp_path / "file")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")  # as good as a folder that nobody may look into, and for root too
    with pytest.raises(RunError, match=r"loop: it cannot be read \(Too many levels"):
        Run.open(tmp_path / "loop")


# JSON


def test_json_takes_what_a_command_has_at_hand(run):
    run.write_json(
        "evaluation.json",
        {
            "tuple": (1, (2, 3)),
            "float32": np.float32(0.5),
            "int64": np.int64(2**40),
            "bool": np.bool_(True),
            "array": np.arange(4.0).reshape(2, 2),
            "not finite": [math.nan, math.inf, np.float32("-inf"), np.array([1, math.nan])],
            "text": "größer",
            "none": None,
            3: "a number for a key",
        },
    )
    assert run.read_json("evaluation.json") == {
        "tuple": [1, [2, 3]],
        "float32": 0.5,
        "int64": 2**40,
        "bool": True,
        "array": [[0.0, 1.0], [2.0, 3.0]],
        "not finite": [None, None, None, [1.0, None]],
        "text": "größer",
        "none": None,
        "3": "a number for a key",
    }


def test_json_is_for_eyes_and_for_strict_readers_too(run):
    def refuse(constant):
        raise AssertionError(constant)

    run.write_summary({"test_bound": math.nan, "k": 1})
    text = (run.path / "summary.json").read_text()
    assert text == '{\n  "test_bound": null,\n  "k": 1\n}\n'
    assert json.loads(text, parse_constant=refuse) == {"test_bound": None, "k": 1}


def test_json_keeps_every_digit(run):
    values = np.random.RandomState(0).normal(size=50) * 10.0 ** np.arange(-25, 25)
    run.write_summary({"values": values})
    assert run.read_json("summary.json")["values"] == values.tolist()


def test_what_json_cannot_hold_is_a_bug_and_leaves_the_old_file(run):
    with pytest.raises(TypeError):
        run.write_json("config.json", {"object": object()})
    assert run.config() == CONFIG | {"run": run.name}


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b'{"seed": 1',
        b"seed = 1",
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"seed": ' + b"9" * 5000 + b"}",
        b"[1, 2]",
        b"null",
        b'{"deep": ' + b"[" * 60 + b"]" * 60 + b"}",
        b'{"deep": ' + b'{"er": ' * 60 + b"1" + b"}" * 61,
    ],
)
def test_broken_json_is_refused_with_the_path(run, content):
    (run.path / "config.json").write_bytes(content)
    with pytest.raises(RunError) as error:
        run.config()
    assert str(error.value).startswith(f"{run.path / 'config.json'}: ")


@pytest.mark.parametrize("name", ["config.json", "history.csv", "checkpoint.npz"])
def test_a_pipe_in_the_place_of_a_file_is_refused_and_not_waited_for(run, name):
    (run.path / name).unlink(missing_ok=True)
    os.mkfifo(run.path / name)
    again = Run.open(run.path)
    with pytest.raises(RunError, match="it is no file but a pipe or a device"):
        {"config.json": again.config, "history.csv": again.history}.get(name, again.load_checkpoint)()


def test_what_a_spreadsheet_or_an_editor_of_another_system_saved(run):
    run.write_history([ROW, ROW])
    for name in ("config.json", "history.csv"):
        text = (run.path / name).read_bytes()
        (run.path / name).write_bytes(b"\xef\xbb\xbf" + text.replace(b"\n", b"\r\n"))
    again = Run.open(run.path)
    assert again.history() == [ROW, ROW] and again.config()["dataset"] == CONFIG["dataset"]


def test_what_cannot_be_opened_is_not_called_broken(run):
    (run.path / "summary.json").mkdir()
    with pytest.raises(RunError, match=r"summary\.json: it cannot be read \(Is a directory\)\nA folder has"):
        run.read_json("summary.json")


def test_a_run_without_a_name_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("", " "):
        with pytest.raises(RunError, match="a folder's name is needed, not an empty one"):
            Run.create(name, CONFIG)
    assert list(tmp_path.iterdir()) == []


def test_a_missing_file_is_refused_with_the_path(run):
    with pytest.raises(RunError, match=r"summary\.json: there is no such file"):
        run.read_json("summary.json")


# The history


def test_the_history_reads_back_exactly(run):
    rows = [ROW, ROW | {"epoch": 2, "train_bound": math.pi * 1e20, "test_bound": math.inf, "seconds": 1 / 3}]
    run.write_history(rows)
    assert run.history() == rows
    assert [list(map(type, row.values())) for row in run.history()] == [list(COLUMNS.values())] * 2
    assert (
        (run.path / "history.csv")
        .read_text()
        .startswith(
            "epoch,samples_seen,train_bound,test_bound,seconds\n1,1965,0.30000000000000004,-1e-300,2.5\n2,1965,"
        )
    )


@given(
    values=st.lists(
        st.tuples(*[st.integers(0) if kind is int else st.floats(allow_nan=False) for kind in COLUMNS.values()]),
        max_size=5,
    )
)
def test_any_history_reads_back_exactly(tmp_path_factory, values):
    run = Run(tmp_path_factory.getbasetemp())
    rows = [dict(zip(COLUMNS, row)) for row in values]
    run.write_history(rows)
    assert run.history() == rows


def test_numpy_numbers_are_numbers_in_the_history(run):
    run.write_history([{name: np.float32(0.1) if kind is float else np.int64(7) for name, kind in COLUMNS.items()}])
    (row,) = run.history()
    assert row["epoch"] == 7 and row["train_bound"] == float(np.float32(0.1))


def test_other_programs_read_the_history(run):
    run.write_history([ROW, ROW])
    table = np.genfromtxt(run.path / "history.csv", delimiter=",", names=True)
    assert table["train_bound"].tolist() == [0.1 + 0.2] * 2


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "line 1: it should be epoch,"),
        (b"epoch,loss\n1,2\n", "line 1: it should be epoch,"),
        (b"GOOD1,2,3,4,5\n1,2,3,4\n", "line 3: it should hold 5 numbers"),
        (b"GOOD1,2,3,4,5,6\n", "line 2: it should hold 5 numbers"),
        (b"GOOD1,2,3,4,5\n\n1,2,3,4,5\n", "line 3: it should hold 5 numbers"),
        (b"GOOD1,2,many,4,5\n", "line 2: it should hold 5 numbers"),
        (b"GOOD1.5,2,3,4,5\n", "line 2: it should hold 5 numbers"),
        (b"GOOD1,2,3,4,5\n2,3,4,5,6", "line 3: the file ends within the line"),
        (b"GOOD1,2,3,4,\xff\n", "not text"),
    ],
)
def test_a_broken_history_is_refused_with_the_line(run, content, complaint):
    header = ",".join(COLUMNS).encode() + b"\n"
    (run.path / "history.csv").write_bytes(content.replace(b"GOOD", header))
    with pytest.raises(RunError) as error:
        run.history()
    assert str(error.value).startswith(str(run.path / "history.csv"))
    assert complaint in str(error.value) and "\n" in str(error.value)


# The other files


def test_the_checkpoint_is_in_the_folder(run):
    run.save_checkpoint({"params": np.arange(3.0)}, {"epoch": 2})
    arrays, state = Run.open(run.path).load_checkpoint()
    assert arrays["params"].tolist() == [0, 1, 2] and state == {"epoch": 2}
    assert files(run.path) == ["checkpoint.npz", "config.json"]


def test_another_run_s_checkpoint_is_refused(run, tmp_path):
    other = Run.create(tmp_path / "other", CONFIG)
    other.save_checkpoint({"params": np.arange(3.0)}, {"epoch": 2})
    shutil.copy(other.path / "checkpoint.npz", run.path)
    with pytest.raises(RunError, match=r"checkpoint\.npz: it is the checkpoint of another run than config\.json"):
        run.load_checkpoint()
    shutil.copytree(other.path, tmp_path / "copy")
    assert Run.open(tmp_path / "copy").load_checkpoint()[1] == {"epoch": 2}


def test_a_run_of_version_0_1_0_has_no_name(run):
    (run.path / "config.json").write_text("{}")
    write_checkpoint(run.path / "checkpoint.npz", {}, {"epoch": 2})
    old = Run.open(run.path)
    assert old.load_checkpoint() == ({}, {"epoch": 2})
    old.save_checkpoint({}, {"epoch": 3})
    assert Run.open(run.path).load_checkpoint() == ({}, {"epoch": 3})


def test_a_run_without_a_checkpoint(run):
    with pytest.raises(RunError, match="there is no checkpoint"):
        run.load_checkpoint()


def test_figures_have_a_folder(run):
    for _ in range(2):
        run.figure_path("curve.png").write_bytes(b"png")
    assert files(run.path) == ["config.json", "figures/curve.png"]


def test_a_file_in_the_way_of_the_figures(run):
    (run.path / "figures").write_text("mine")
    with pytest.raises(RunError, match="A file has the name that a folder needs"):
        run.figure_path("curve.png")


@pytest.mark.parametrize(
    "write",
    [
        lambda run: run.write_history([ROW]),
        lambda run: run.save_checkpoint({"params": np.zeros(3)}, {}),
        lambda run: run.write_summary({}),
        lambda run: run.write_json("evaluation.json", {}),
        lambda run: run.figure_path("curve.png"),
    ],
    ids=["history", "checkpoint", "summary", "json", "figure"],
)
def test_a_folder_that_is_gone_is_a_run_error(run, write):
    assert run.name
    shutil.rmtree(run.path)
    with pytest.raises(RunError, match="No such file or directory"):
        write(run)
    run.close()  # which is no error
