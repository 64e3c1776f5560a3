"""Junk in the files of a run, wherever it stands: what reads them refuses it in words, or reads it as it was."""

import copy
import json
import shutil
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.disk.test_fuzz_checkpoint import damage
from tests.training.test_resume import trained
from tinyvae import compare
from tinyvae.data import datasets
from tinyvae.disk.checkpoint import read_checkpoint, write_checkpoint
from tinyvae.disk.run import Run
from tinyvae.errors import UserError
from tinyvae.papers import sweep
from tinyvae.settings import Settings
from tinyvae.training import opening, run_figures

pytestmark = pytest.mark.slow  # half a minute in all

PLAN = sweep.Plan("run", "digits", Settings(latent=(3,), hidden=((8,),), epochs=2, batch_size=64), 200, 2, 5)

NUMBERS = st.sampled_from([0, -1, 1, 2, 3, 2**31, 2**63, 2**64, 10**9, 10**300, 0.0, 0.5, 1e-320, 1e308, True, False])
STRANGE = st.sampled_from([float("nan"), float("inf"), None, "", "a", "\0", "\ud800", "../..", "x" * 2000, [], {}])
JSON = st.recursive(
    NUMBERS | STRANGE | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=2),
    max_leaves=5,
)


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    """(folder, content of its files) of a good run that was evaluated; the folder is free to be spoilt."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run_figures, "drawings", lambda *_: {})
        folder = trained(tmp_path_factory.mktemp("fuzz") / "run", "--epochs", 2, "--latent", 3, "--threads", 1)
    sweep.carry_out(PLAN, folder.parent)
    return folder, {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


@pytest.fixture(scope="module", autouse=True)
def digits_once():
    """The data are read once: what they say of the rest is another test's."""
    load, loaded = datasets.load, {}

    def remembered(*arguments, **reading):
        key = *arguments, *reading.items()
        if key not in loaded:
            loaded[key] = load(*arguments, **reading)
        return loaded[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(datasets, "load", remembered)
        yield


@pytest.fixture
def folder(original):
    """The folder, whole again."""
    path, _ = original
    shutil.rmtree(path)
    path.mkdir()
    restore(original)
    return path


def restore(original):
    path, content = original
    for name, text in content.items():
        (path / name).write_bytes(text)


def places(value, here=()):
    """The paths to every value within a JSON value."""
    yield here
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in items:
        yield from places(child, (*here, key))


def changed(draw, value):
    """A JSON value with junk in one or two places, or with something missing."""
    value = copy.deepcopy(value)
    for _ in range(draw(st.integers(1, 2))):
        *path, last = draw(st.sampled_from([place for place in places(value) if place] or [("new",)]))
        owner = value
        for key in path:
            owner = owner[key]
        kind = draw(st.sampled_from(["replace", "replace", "replace", "remove", "add"]))
        if kind == "replace":
            owner[last] = draw(JSON)
        elif kind == "remove":
            del owner[last]
        elif isinstance(owner, dict):
            owner[draw(st.text(max_size=5))] = draw(JSON)
        else:
            owner.append(draw(JSON))
    return value


def read_all(folder):
    """Everything that reads a run; the only way out is an error in words. What it leaves is small."""
    run = Run.open(folder)
    for read in (
        lambda: opening.load(run),
        lambda: opening.load_fitted(folder),
        lambda: opening.go_on(Run.open(folder)),
        lambda: opening.read_config(run),
        lambda: sweep.is_done(PLAN, folder.parent),
        lambda: compare.report([each := compare.read(folder)], [compare.compare(each, each)]),
    ):
        try:
            read()
        except UserError as error:
            str(error).encode()
            assert len(str(error)) < 1500 + 10 * len(str(folder))


@settings(max_examples=250)
@given(data=st.data())
def test_junk_in_the_config(original, data):
    path, content = original
    restore(original)
    config = changed(data.draw, json.loads(content["config.json"]))
    (path / "config.json").write_text(json.dumps(config))
    read_all(path)


@settings(max_examples=150)
@given(data=st.data())
def test_junk_in_the_state_of_a_checkpoint_that_is_sealed_again(original, data):
    path, _ = original
    restore(original)
    arrays, state = read_checkpoint(path / "checkpoint.npz")
    with suppress(ValueError):  # no JSON: nothing is written
        write_checkpoint(path / "checkpoint.npz", arrays, changed(data.draw, state))
    read_all(path)


@settings(max_examples=150)
@given(data=st.data())
def test_junk_in_the_arrays_of_a_checkpoint_that_is_sealed_again(original, data):
    path, _ = original
    restore(original)
    arrays, state = read_checkpoint(path / "checkpoint.npz")
    name = data.draw(st.sampled_from(sorted(arrays)))
    array = arrays[name]
    kind = data.draw(st.sampled_from(["dtype", "shape", "value", "name"]))
    if kind == "dtype":
        arrays[name] = array.astype(
            data.draw(st.sampled_from(["?", "i1", "f2", "f4", "f8", "c8", "S3", "U3", "M8[s]"]))
        )
    elif kind == "shape":
        arrays[name] = data.draw(st.sampled_from([array[:0], array[None], array[:-1], array.sum(), array[:, None]]))
    elif kind == "value":
        array[data.draw(st.integers(0, array.size - 1))] = data.draw(
            st.floats(width=32) if array.dtype.kind == "f" else st.integers(-(2**63), 2**63 - 1)
        )
    else:
        arrays[data.draw(st.text("abc.", max_size=3))] = arrays.pop(name)
    write_checkpoint(path / "checkpoint.npz", arrays, state)
    read_all(path)


@settings(max_examples=150)
@given(data=st.data())
def test_junk_in_the_summary_and_the_evaluation(original, data):
    path, content = original
    restore(original)
    for name in ("summary.json", "evaluation.json"):
        (path / name).write_text(json.dumps(changed(data.draw, json.loads(content[name]))))
    read_all(path)


@settings(max_examples=250)
@given(data=st.data())
def test_damaged_text(original, data):
    path, content = original
    restore(original)
    name = data.draw(st.sampled_from(["config.json", "history.csv", "summary.json", "evaluation.json"]))
    (path / name).write_bytes(damage(data.draw, content[name]))
    read_all(path)


def test_what_is_whole_is_read(folder):
    training, history = opening.go_on(Run.open(folder))
    assert training.epoch == 2 and len(history) == 2 and sweep.is_done(PLAN, folder.parent)
