"""Compiled code that is kept: never stale, never in the way, and not for ever."""

import errno
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock
from numba import njit

from tests.commands import python
from tinyvae.machine import code_cache
from tinyvae.machine.code_cache import LOCK, KernelCache

ROOT = Path(__file__).parents[2]
# A kernel of kernels.py, into which exp of elementary.py is compiled: sigma = exp(logvar / 2) at logvar = 0.
SAMPLE = """
import numpy as np
from tinyvae import machine

one = np.zeros((1, 1), np.float32)
sigma, z = np.empty((1, 1), np.float32), np.empty((1, 1, 1), np.float32)
machine.gaussian_sample(one, one, np.ones((1, 1, 1), np.float32), sigma, z)
print(z.item())
"""


@pytest.fixture
def installed(tmp_path):
    """A folder with a copy of the package that may be edited."""
    shutil.copytree(ROOT / "tinyvae", tmp_path / "site/tinyvae", ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path / "site"


def sample(site, **env):
    """What a process of its own prints, and says on stderr."""
    result = python("-c", SAMPLE, cwd=site.parent, env={"PYTHONPATH": str(site), "NUMBA_CACHE_DIR": "", **env})
    assert result.returncode == 0, result.stderr
    return float(result.stdout), result.stderr


def kept(site):
    """The files of compiled code, by their folders."""
    folders = (site / "tinyvae/machine/__pycache__").glob("kernels-*")
    return {folder.name: sorted(path for path in folder.iterdir() if path.name != LOCK) for folder in folders}


@pytest.mark.slow
def test_an_edit_of_another_file_of_the_room_is_never_missed(installed):
    assert sample(installed)[0] == 1
    (first,) = kept(installed)
    assert kept(installed)[first]
    file = installed / "tinyvae/machine/elementary.py"
    dates = file.stat()
    text = file.read_text(encoding="utf-8")
    assert text.count("    return s + s * q\n") == 1
    file.write_text(text.replace("    return s + s * q\n", "    return 6 * (s + s * q)\n"), encoding="utf-8")
    os.utime(file, ns=(dates.st_atime_ns, dates.st_mtime_ns))  # as an unpacked archive may have it
    assert sample(installed)[0] == 6
    assert len(kept(installed)) == 2
    file.write_text(text, encoding="utf-8")
    assert sample(installed)[0] == 1 and len(kept(installed)) == 2


@pytest.mark.slow
@pytest.mark.parametrize("damage", ["emptied", "cut short", "of another format"])
def test_what_was_damaged_costs_time_and_is_mended(damage, installed):
    sample(installed)
    (files,) = kept(installed).values()
    for file in files:
        content = file.read_bytes()
        file.write_bytes({"emptied": b"", "cut short": content[: len(content) // 2]}.get(damage, b"not a pickle"))
    for _ in range(2):
        assert sample(installed) == (1, "")
    (mended,) = kept(installed).values()
    assert all(file.stat().st_size > 20 for file in mended)


@pytest.mark.slow
def test_where_nothing_can_be_written_it_is_said_once_and_goes_on(installed, tmp_path):
    (tmp_path / "file").write_text("")
    value, said = sample(installed, NUMBA_CACHE_DIR=str(tmp_path / "file/folder"))
    assert value == 1 and said.count("compiled code cannot be kept") == 1 and "NUMBA_CACHE_DIR" in said
    assert not kept(installed)


@pytest.mark.slow
def test_old_folders_do_not_pile_up_and_the_folder_may_be_named(installed, tmp_path):
    old = [f"kernels-{i:016x}" for i in range(6)]
    for i, name in enumerate([*old, "other", "kernels-mine"]):
        (tmp_path / "cache" / name).mkdir(parents=True)
        os.utime(tmp_path / "cache" / name, (i, i))
    assert sample(installed, NUMBA_CACHE_DIR=str(tmp_path / "cache")) == (1, "")
    names = {path.name for path in (tmp_path / "cache").iterdir()}
    assert {"other", "kernels-mine", *old[3:]} < names and len(names) == 6 and not kept(installed)


def test_nothing_is_removed_but_old_folders_of_compiled_code(tmp_path):
    old = [f"kernels-{i:016x}" for i in range(6)]
    others = ["kernels-mine", "kernels-0", f"{old[0]}0", old[0].upper(), "my-kernels-0123456789abcdef", "kernels"]
    others += [f"coding-{i:016x}" for i in range(6)]
    for i, name in enumerate([*old, *others]):
        (tmp_path / name).mkdir()
        os.utime(tmp_path / name, (i, i))
    code_cache._remove_old(tmp_path / f"kernels-{'f' * 16}")
    assert {path.name for path in tmp_path.iterdir()} == {*old[3:], *others}


def twice(x):
    return 2 * x


@pytest.fixture
def as_in_a_new_process(tmp_path, monkeypatch):
    """A function that gives ``twice`` with its code kept in ``tmp_path``, and none of it loaded."""
    monkeypatch.setattr(code_cache, "folder", lambda room: tmp_path)
    monkeypatch.setattr(code_cache, "_given_up", [])

    def anew():
        compiled = njit(twice)
        compiled._cache = KernelCache(twice)
        return compiled

    return anew


def test_code_of_other_types_under_this_name_is_compiled_anew_and_mended(as_in_a_new_process, tmp_path):
    """Two processes that kept code at once left it there: float64 arrays were then taken for twice as many floats."""
    compiled, fine = as_in_a_new_process(), 1 + 2**-40
    assert compiled(np.float32(1)) == 2 and compiled(fine) == 2 * fine
    first, second = (path for path in sorted(tmp_path.iterdir()) if path.suffix == ".nbc")
    contents = first.read_bytes(), second.read_bytes()
    first.write_bytes(contents[1])
    second.write_bytes(contents[0])
    compiled = as_in_a_new_process()
    assert compiled(fine) == 2 * fine and not compiled.stats.cache_hits
    assert second.read_bytes() != contents[0]
    compiled = as_in_a_new_process()
    assert compiled(fine) == 2 * fine and compiled.stats.cache_hits


def test_one_process_at_a_time_keeps_code_and_others_go_on_without(as_in_a_new_process, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(code_cache, "PATIENCE", 0.1)
    with FileLock(tmp_path / LOCK):
        assert as_in_a_new_process()(1.5) == 3
        assert [path.name for path in tmp_path.iterdir()] == [LOCK] and capsys.readouterr().err == ""
    assert as_in_a_new_process()(1.5) == 3
    compiled = as_in_a_new_process()
    assert compiled(1.5) == 3 and compiled.stats.cache_hits


def test_on_a_file_system_without_locks_code_is_kept_all_the_same(as_in_a_new_process, monkeypatch, capsys):
    fcntl = pytest.importorskip("fcntl")

    def refuse(file, operation):
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))

    monkeypatch.setattr(fcntl, "flock", refuse)
    assert as_in_a_new_process()(1.5) == 3
    compiled = as_in_a_new_process()
    assert compiled(1.5) == 3 and compiled.stats.cache_hits and capsys.readouterr().err == ""


def digest(site, room):
    """That of a room of a package that may be edited."""
    return code_cache.digest.__wrapped__(site / "tinyvae" / room)


@pytest.fixture
def edited(installed, monkeypatch):
    """A function that says which rooms' code an edit of a file makes anew."""
    monkeypatch.setattr(code_cache, "ROOM", installed / "tinyvae/machine")
    monkeypatch.setattr(code_cache, "DERIVATION", installed / "tinyvae/derivation")

    def edit(file):
        before = {room: digest(installed, room) for room in ("machine", "coding")}
        with (installed / "tinyvae" / file).open("a", encoding="utf-8") as opened:
            opened.write("\n")
        return {room for room, earlier in before.items() if digest(installed, room) != earlier}

    return edit


@pytest.mark.parametrize(
    ("file", "rooms"),
    [
        ("machine/elementary.py", {"machine", "coding"}),
        ("coding/ans.py", {"coding"}),
        ("derivation/levels.py", {"coding"}),  # its constants are compiled into loops there
        ("training/loop.py", set()),
    ],
)
def test_an_edit_makes_the_code_anew_that_depends_on_it(file, rooms, edited):
    assert edited(file) == rooms


def test_code_for_a_blas_that_takes_its_factors_in_another_way_is_other_code(installed, monkeypatch):
    monkeypatch.setattr(code_cache, "ROOM", installed / "tinyvae/machine")
    digests = set()
    for copies in (False, True):
        monkeypatch.setattr(code_cache, "copies_factors", lambda copies=copies: copies)
        digests.add(digest(installed, "machine"))
    assert len(digests) == 2


TRAINED = """
import hashlib, sys
from tinyvae.data import datasets
from tinyvae.settings import Settings
from tinyvae.training.loop import Training

digits = datasets.load("digits", limit=300)
small = {"latent": (3,), "hidden": ((8,),), "epochs": 1}
for words in sys.argv[1:]:
    likelihood, dtype = words.split()
    training = Training(Settings(**small, likelihood=likelihood, dtype=dtype), digits, 2)
    training.run_epoch()
    print(words, hashlib.sha256(training.params.flat.tobytes()).hexdigest())
"""


@pytest.mark.slow
def test_the_same_run_is_the_same_whatever_code_was_kept_before(tmp_path):
    """None at all, all that is needed, or some of it, which other trainings have left."""

    def trained(folder, *words):
        env = {"PYTHONPATH": str(ROOT), "NUMBA_CACHE_DIR": str(tmp_path / folder)}
        result = python("-c", TRAINED, *words, cwd=tmp_path, env=env)
        assert result.returncode == 0, result.stderr
        return dict(line.rsplit(" ", 1) for line in result.stdout.splitlines())

    wanted = "gaussian float64"
    first = trained("one", wanted)
    assert trained("one", wanted) == first
    assert trained("two", "bernoulli float64", "gaussian float32").keys().isdisjoint(first)
    assert trained("two", wanted) == first


EXACT = "from tinyvae.coding.elementary import exp; print(exp(0.0))"


@pytest.mark.slow
def test_another_room_has_its_own_folder_and_an_edit_there_leaves_this_room_s_code(installed):
    def value():
        result = python("-c", EXACT, cwd=installed.parent, env={"PYTHONPATH": str(installed), "NUMBA_CACHE_DIR": ""})
        assert result.returncode == 0, result.stderr
        return float(result.stdout)

    sample(installed)
    before = kept(installed)
    assert value() == 1 and kept(installed) == before
    file = installed / "tinyvae/coding/elementary.py"
    text = file.read_text(encoding="utf-8")
    file.write_text(text.replace("return series(r, EXP) *", "return 3.0 * series(r, EXP) *"), encoding="utf-8")
    assert value() == 3 and kept(installed) == before
    folders = list((installed / "tinyvae/coding/__pycache__").glob("coding-*"))
    assert len(folders) == 2 and all(list(folder.glob("elementary.exp*")) for folder in folders)
