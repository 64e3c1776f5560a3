"""A run that was stopped, however it was stopped, goes on to the very end that it would have had."""

import itertools
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

import tinyvae
from tests.commands import assert_misuse, call, command, python, train_with_signal
from tinyvae import evaluate
from tinyvae.data import datasets
from tinyvae.disk.checkpoint import read_checkpoint, write_checkpoint
from tinyvae.disk.lock import LOCK
from tinyvae.disk.run import Run
from tinyvae.errors import Interrupted, RunError
from tinyvae.settings import Settings
from tinyvae.training import description, loop, opening, run_figures
from tinyvae.training.loop import Training

# What draws on every stream of random numbers: the order, the pixels, two layers of noise, the evaluation.
WORDS = ("--epochs", 3, "--latent", 3, 2, "--hidden", "16", "8", "--samples", 2, "--objective", "iwae", "--binarise",
         "dynamic", "--batch-size", 300, "--threads", 2, "--checkpoint-every", 1)  # fmt: skip


def content(path):
    """All that a run is: parameters, the optimiser's state, how far it came, and the history, but for the seconds and
    the settings, in which the lengths that it was raised from stand.
    """
    run = Run.open(path)
    arrays, state = run.load_checkpoint()
    rows = [row | {"seconds": 0} for row in run.history()]
    return {name: array.tobytes() for name, array in arrays.items()}, state | {"seconds": 0, "settings": 0}, rows


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The uninterrupted run."""
    folder = tmp_path_factory.mktemp("whole")
    result = command("digits", *WORDS, "--out", "run", cwd=folder)
    assert result.returncode == 0, result.stderr
    return content(folder / "run")


# Where the process is killed: the function, the count of its call, the file concerned, before or after it. An epoch has
# six steps, and each process begins where the last checkpoint is.
KILLS = [
    ("tinyvae.cli.console:ProgressBar.step", 4, "", "after"),  # before there is a checkpoint: the run begins anew
    ("os:replace", 1, "history.csv", "before"),
    ("os:replace", 1, "history.csv", "after"),
    ("tinyvae.disk.checkpoint:_digest_before_seal", 1, "", "before"),  # with half of the first checkpoint written
    ("os:replace", 1, "checkpoint.npz", "before"),
    ("os:replace", 1, "checkpoint.npz", "after"),
    ("tinyvae.cli.console:ProgressBar.step", 2, "", "after"),
    ("tinyvae.disk.checkpoint:_digest_before_seal", 1, "", "after"),
    ("tinyvae.cli.console:ProgressBar.step", 8, "", "before"),
    ("os:replace", 1, "checkpoint.npz", "after"),  # at the end, but for the summary and the figures
    ("os:replace", 1, "summary.json", "before"),
]


@pytest.mark.slow  # twelve processes
def test_a_process_that_is_killed_again_and_again_ends_where_the_uninterrupted_one_ends(whole, tmp_path):
    reached = []
    for i, (place, count, suffix, moment) in enumerate(KILLS):
        words = ("--resume", "run") if i else ("digits", *WORDS, "--out", "run")
        result = train_with_signal(place, *words, cwd=tmp_path, count=count, suffix=suffix, moment=moment)
        assert result.returncode == -9, result.stderr
        run = Run.open(tmp_path / "run")
        reached.append(run.load_checkpoint()[1]["epoch"] if run.has_checkpoint() else 0)
    assert reached == [0, 0, 0, 0, 0, 1, 1, 1, 2, 3, 3]
    result = command("--resume", "run", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert content(tmp_path / "run") == whole
    assert (tmp_path / "run/summary.json").exists() and len(list((tmp_path / "run/figures").iterdir())) == 3
    assert [path.name for path in (tmp_path / "run").glob(".*")] == [LOCK]  # no temporary file is left


def test_ctrl_c_finishes_the_step_says_how_to_go_on_and_exits_with_130(whole, tmp_path):
    words = ("digits", *WORDS, "--out", "run")
    result = train_with_signal("tinyvae.training.loop:Training._step", *words, cwd=tmp_path, number="SIGINT", count=9)
    assert result.returncode == 130 and "Traceback" not in result.stderr
    assert result.stderr.endswith("interrupted; go on with: python -m tinyvae.train --resume run\n")
    _, state = Run.open(tmp_path / "run").load_checkpoint()
    assert (state["epoch"], state["step"], state["position"]) == (1, 9, 900)
    result = train_with_signal("tinyvae.train:finish", "--resume", "run", cwd=tmp_path, number="SIGINT")
    assert result.returncode == 130 and "--resume run" in result.stderr and "Traceback" not in result.stderr
    assert content(tmp_path / "run") == whole


@pytest.mark.skipif(os.name == "nt", reason="it has no such signals")
@pytest.mark.parametrize("number", ["SIGTERM", "SIGHUP"])
def test_what_ends_a_process_finishes_the_step_too(number, whole, tmp_path):
    """As a batch system does it at its limit of time."""
    words = ("digits", *WORDS, "--out", "run")
    result = train_with_signal("tinyvae.training.loop:Training._step", *words, cwd=tmp_path, number=number, count=9)
    assert result.returncode == 128 + getattr(signal, number) and "Traceback" not in result.stderr
    assert result.stderr.endswith("interrupted; go on with: python -m tinyvae.train --resume run\n")
    _, state = Run.open(tmp_path / "run").load_checkpoint()
    assert (state["epoch"], state["step"], state["position"]) == (1, 9, 900)
    assert command("--resume", "run", "--quiet", cwd=tmp_path).returncode == 0
    assert content(tmp_path / "run") == whole


@pytest.mark.parametrize("moment", ["before", "after"])
def test_ctrl_c_after_the_last_step_is_not_lost(moment, whole, tmp_path):
    """While the last test bound is computed, when no step follows that would look for it."""
    words, place = ("digits", *WORDS, "--out", "run"), "tinyvae.training.loop:Training.test_bound"
    result = train_with_signal(place, *words, cwd=tmp_path, number="SIGINT", count=3, moment=moment)
    assert result.returncode == 130 and "Traceback" not in result.stderr
    assert result.stderr.endswith("interrupted; go on with: python -m tinyvae.train --resume run\n")
    assert content(tmp_path / "run") == whole and not (tmp_path / "run/summary.json").exists()
    assert command("--resume", "run", "--quiet", cwd=tmp_path).returncode == 0
    assert content(tmp_path / "run") == whole and (tmp_path / "run/summary.json").exists()


INTERRUPTED_TWICE = """
import os, signal
from tinyvae.cli import console
from tinyvae import interrupts

def work():
    with interrupts.DeferredInterrupt():
        os.kill(os.getpid(), signal.SIGINT)
        print("goes on", flush=True)
        os.kill(os.getpid(), signal.SIGINT)
        print("never reached", flush=True)

console.run(work)
"""


def test_a_second_ctrl_c_does_not_wait(tmp_path):
    result = python("-c", INTERRUPTED_TWICE, cwd=tmp_path)
    assert (result.returncode, result.stdout, result.stderr) == (130, "goes on\n", "interrupted\n")


SMALL = Settings(latent=(3,), hidden=((8,),), batch_size=40, epochs=2, learning_rate=0.01)
VARIETY = {
    "adam, dynamic binarisation": replace(SMALL, binarise="dynamic", kl="sampled", samples=2),
    "adagrad, static binarisation": replace(SMALL, optimiser="adagrad", binarise="static"),
    "sgd, float64": replace(SMALL, optimiser="sgd", dtype="float64", schedule="constant"),
    "conditional, vamp": replace(SMALL, conditional=True, prior="vamp", components=4, kl="sampled"),
    "gaussian, iwae, dreg": replace(
        SMALL, likelihood="gaussian", objective="iwae", samples=3, kl="sampled", estimator="dreg"
    ),
}


class Silent:
    """A progress bar that shows nothing."""

    def start_epoch(self, *_):
        pass

    step = end_epoch = start_epoch


@pytest.mark.parametrize("settings", VARIETY.values(), ids=VARIETY)
def test_a_run_that_is_interrupted_after_every_step_ends_where_the_uninterrupted_one_ends(settings, tmp_path):
    dataset = datasets.load("digits", limit=130)  # four steps an epoch, the last of ten examples
    runs = []
    for name in ("whole", "parts"):
        state = Training(settings, dataset, threads=2)
        runs.append(Run.create(tmp_path / name, description.describe(state, dataset, "digits", 130)))
        if name == "whole":
            loop.train(state, runs[0], Silent())
    history, interruptions = [], 0
    while state.epoch < 2:
        with suppress(Interrupted):
            loop.train(state, runs[1], Silent(), history, check_interrupt=interrupt)
        state, interruptions = opening.load(runs[1]), interruptions + 1
        history = runs[1].history() if state.epoch else []
        assert state.step == min(interruptions, 8)
    assert content(runs[0].path) == content(runs[1].path)


def interrupt():
    raise Interrupted


def trained(path, *words, source="digits"):
    result = call(source, *words, "--limit", 200, "--hidden", 8, "--batch-size", 64, "--out", path, "--quiet")
    assert result.returncode == 0, result.stderr
    return path


@pytest.mark.parametrize("words", [("--schedule", "constant"), ("--schedule", "iwae", "--optimiser", "adagrad")])
def test_raising_the_epochs_gives_the_longer_run(words, no_pictures, tmp_path):
    longer, raised = tmp_path / "longer", tmp_path / "raised"
    trained(longer, *words, "--epochs", 5)
    trained(raised, *words, "--epochs", 2)
    assert call("--resume", raised, "--epochs", 4, "--quiet").returncode == 0
    assert call("--resume", raised, "--epochs", 5, "--quiet").returncode == 0
    assert content(raised) == content(longer)
    config = Run.open(raised).config()
    assert config["settings"]["raised_from"] == [2, 4] and "5 epochs (raised from 2, 4)" in config["protocol"]
    assert Run.open(raised).read_json("summary.json")["protocol"] == config["protocol"]
    expected = Run.open(longer).config()
    assert config["settings"] | {"raised_from": []} == expected["settings"]
    own = {"settings": 0, "protocol": 0, "run": 0}
    assert config | own == expected | own


def test_a_checkpoint_every_other_epoch(no_pictures, tmp_path, monkeypatch):
    saved, save = [], Run.save_checkpoint
    monkeypatch.setattr(
        Run, "save_checkpoint", lambda run, arrays, state: (saved.append(state["epoch"]), save(run, arrays, state))
    )
    trained(tmp_path / "run", "--epochs", 5, "--checkpoint-every", 2)
    assert saved == [2, 4, 5]  # and always one at the end
    assert len(Run.open(tmp_path / "run").history()) == 5


@pytest.mark.parametrize(("seconds", "expected"), [(1, [1, 11, 21, 31, 41, 45]), (5000, [1, 31, 45])])
def test_saving_takes_a_twentieth_of_the_time_and_is_not_put_off_for_long(seconds, expected, tmp_path, monkeypatch):
    """By a clock that the epochs and the checkpoints push on: two seconds each, or twenty, and so many seconds."""
    now, saved = [0.0], []
    monkeypatch.setattr(loop, "time", SimpleNamespace(perf_counter=lambda: now[0]))

    def epoch(training, on_step):
        now[0] += 2 if seconds == 1 else 20
        return run_epoch(training, on_step)

    def save(run, arrays, state):
        now[0] += seconds
        saved.append(state["epoch"])
        assert len(run.history()) == state["epoch"]

    run_epoch = Training.run_epoch
    monkeypatch.setattr(Training, "run_epoch", epoch)
    monkeypatch.setattr(Run, "save_checkpoint", save)
    training = Training(replace(SMALL, epochs=45), datasets.load("digits", limit=40), threads=1)
    run = Run.create(tmp_path / "run", description.describe(training, training.dataset, "digits", 40))
    loop.train(training, run)
    assert saved == expected


def test_history_rows_beyond_the_checkpoint_are_those_of_the_second_attempt(no_pictures, tmp_path, monkeypatch):
    """The history is written first. Where the checkpoint was not, what it lacks is trained anew; its rows come once."""
    words = ("--epochs", 5, "--checkpoint-every", 1)
    expected = content(trained(tmp_path / "whole", *words))
    with monkeypatch.context() as context:
        context.setattr(Run, "save_checkpoint", failing_at(3, Run.save_checkpoint))
        with pytest.raises(ZeroDivisionError):
            trained(tmp_path / "run", *words)
    run = Run.open(tmp_path / "run")
    assert len(run.history()) == 3 and run.load_checkpoint()[1]["epoch"] == 2
    assert call("--resume", tmp_path / "run", "--quiet").returncode == 0
    assert content(tmp_path / "run") == expected


def failing_at(number, function):
    calls = itertools.count(1)

    def failing(*args):
        if next(calls) == number:
            raise ZeroDivisionError
        return function(*args)

    return failing


def test_a_finished_run_is_left_as_it_is(no_pictures, tmp_path):
    path = trained(tmp_path / "run", "--epochs", 2)
    names = ("config.json", "history.csv", "checkpoint.npz", "summary.json")
    before = [(path / name).read_bytes() for name in names]
    result = call("--resume", path)
    assert result.returncode == 0 and "2 epochs, 400 examples seen" in result.stdout
    assert [(path / name).read_bytes() for name in names] == before


def test_another_number_of_threads_may_go_on_with_it(no_pictures, tmp_path):
    words = ("--epochs", 2, "--threads", 2, "--schedule", "constant")
    two = trained(tmp_path / "two", *words)
    one = trained(tmp_path / "one", *words)
    for path, threads in ((two, ()), (one, ("--threads", 1))):
        assert call("--resume", path, "--epochs", 4, *threads, "--quiet").returncode == 0
    expected = trained(tmp_path / "whole", "--epochs", 4, *words[2:])
    assert content(two) == content(expected) == content(one)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run_figures, "drawings", lambda *_: {})
        return trained(tmp_path_factory.mktemp("finished") / "run", "--epochs", 2, "--latent", 3, "--threads", 1)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--latent", 4), "--latent 4 would make it another run: the one in {} has 3"),
        (("--latent", 3, 2, "--hidden", 8, 8), "--latent 3 2 would make it another run"),
        (("--hidden", "8,8"), "--hidden 8,8 would make it another run: the one in {} has 8"),
        (("--likelihood", "gaussian"), "--likelihood gaussian would make it another run: the one in {} has bernoulli"),
        (("--conditional",), "--conditional would make it another run: the one in {} was begun without it"),
        (("--prior", "vamp"), "--prior vamp would make it another run"),
        (("--objective", "iwae"), "--objective iwae would"),
        (("--samples", 5), "--samples 5 would make it another run: the one in {} has 1"),
        (("--estimator", "stl"), "--estimator stl would"),
        (("--kl", "sampled"), "--kl sampled would"),
        (("--binarise", "dynamic"), "--binarise dynamic would"),
        (("--batch-size", 10), "--batch-size 10 would make it another run: the one in {} has 64"),
        (("--optimiser", "sgd"), "--optimiser sgd would"),
        (("--lr", 0.5), "--lr 0.5 would make it another run: the one in {} has 0.003"),
        (("--schedule", "iwae"), "--schedule iwae would"),
        (("--initialisation", "aevb"), "--initialisation aevb would"),
        (("--dtype", "float64"), "--dtype float64 would"),
        (("--seed", 1), "--seed 1 would make it another run: the one in {} has 0"),
        (("--epochs", 1), "the run in {} has 2 epochs: --resume can only raise that"),
        (("--samples-seen", 10), "the run in {} has 2 epochs"),
        (("--recipe", "aevb"), "--recipe does not go with --resume"),
        (("--limit", 10), "--limit does not go with --resume"),
        (("--out", "elsewhere"), "--out does not go with --resume"),
        (("--overwrite",), "--overwrite does not go with --resume"),
    ],
)
def test_what_would_make_it_another_run_is_refused_by_name(finished, words, message):
    before = {path: path.read_bytes() for path in finished.iterdir()}
    assert_misuse(call("--resume", finished, *words), message.format(finished))
    assert {path: path.read_bytes() for path in finished.iterdir()} == before


def test_settings_that_are_as_they_were_may_be_named_again(no_pictures, finished):
    words = ("--latent", 3, "--hidden", 8, "--lr", 0.003, "--epochs", 2, "--seed", 0, "--batch-size", 64)
    assert call("--resume", finished, *words, "--quiet").returncode == 0


@pytest.fixture
def copy(finished, tmp_path):
    """A copy of the finished run, to be spoilt."""
    folder = tmp_path / "run"
    folder.mkdir()
    for path in finished.iterdir():
        shutil.copy(path, folder)
    return folder


def changed(part, **values):
    return lambda config: (config[part] if part else config).update(values)


@pytest.mark.parametrize(
    "spoil",
    [
        changed("settings", seed=-1), changed("settings", learning_rate=-1.0), changed("settings", epsilon="x"),
        changed("settings", epochs=0), changed("settings", unknown=3), changed("settings", latent=3),
        changed("settings", hidden=[["a"]]), changed("settings", prior="label"), changed("settings", raised_from=None),
        changed("settings", objective="elb"), changed("settings", kl="closed", objective="iwae"),
        changed("settings", dtype="float16"), changed("settings", batch_size=10**6), changed("settings", seed=True),
        changed("dataset", limit="abc"), changed("dataset", limit=0), changed("dataset", source=5),
        changed("dataset", digest=5), changed("dataset", source="nowhere.npy"), changed("dataset", data_shape=64),
        changed("dataset", data_shape=[]), changed("dataset", data_shape=[8, -8]), changed("dataset", n_labels="ten"),
        changed("dataset", n_labels=-1), changed("dataset", n_labels=None), changed(None, threads=-1),
        changed(None, threads=None),
        changed(None, dataset=[]), changed(None, dataset="digits"), changed(None, dataset=3),
        changed(None, settings=None), changed(None, settings=[]), lambda config: config.pop("dataset"),
        *(
            lambda config, name=name: config["dataset"].pop(name)
            for name in ("data_shape", "limit", "n_labels", "classes", "pictures", "vocabulary")
        ),
        changed("settings", latent=[], hidden=[]), changed("settings", epochs=10**400),
        changed("dataset", limit=[]), changed("dataset", limit=0.0), changed("dataset", limit=False),
        changed("dataset", n_labels=0.0), changed("dataset", n_labels=False), changed("dataset", source="a\0b"),
        changed("dataset", source="\ud800"), changed("dataset", data_shape=[1] * 70),
        changed("dataset", digest="x" * 999),
        changed("dataset", source="x" * 9999), changed("dataset", test_examples="many"), changed("dataset", classes=3),
        changed("dataset", classes=[1, 1]), changed("settings", latent=[10**9]), changed("settings", latent=[10**300]),
        changed("settings", hidden=[[10**9] * 3]), changed("settings", samples=10**12),
    ],
)  # fmt: skip
def test_a_config_that_was_tampered_with_is_an_error_in_words(copy, spoil):
    config = json.loads((copy / "config.json").read_text())
    spoil(config)
    (copy / "config.json").write_text(json.dumps(config))
    result = call("--resume", copy)
    assert_misuse(result)
    assert result.stderr.startswith("error: ") and len(result.stderr) < 800


# What a file claims


@contextmanager
def edited_state(folder):
    """The state of a checkpoint, to be changed; then it is sealed again."""
    arrays, state = read_checkpoint(folder / "checkpoint.npz")
    yield state
    write_checkpoint(folder / "checkpoint.npz", arrays, state)


def edit_config(folder, change):
    config = json.loads((folder / "config.json").read_text())
    change(config)
    (folder / "config.json").write_text(json.dumps(config))


OTHERWISE = {
    "seed": 1, "learning_rate": 0.1, "batch_size": 32, "objective": "iwae", "binarise": "dynamic",
    "schedule": "constant", "dtype": "float64", "optimiser": "adagrad", "kl": "sampled", "samples": 2,
    "estimator": "stl", "epsilon": 1e-3, "likelihood": "gaussian", "prior": "mixture", "initialisation": "aevb",
    "mean_bias": False, "epochs": 4, "components": 3, "raised_from": [1],
}  # fmt: skip
TOGETHER = {"objective": {"kl": "sampled"}, "prior": {"kl": "sampled"}, "estimator": {"kl": "sampled"}}


@pytest.mark.parametrize("name", OTHERWISE)
def test_a_setting_that_was_changed_in_the_config_is_refused_by_its_name(copy, name):
    edit_config(copy, changed("settings", **{name: OTHERWISE[name]}))
    if name in TOGETHER:
        edit_config(copy, changed("settings", **TOGETHER[name]))
    before = {path: path.read_bytes() for path in copy.iterdir() if path.is_file()}
    named = {"raised_from": "epochs", "estimator": "kl"}.get(name, name)
    assert_misuse(call("--resume", copy), "the checkpoint does not go with config.json: ", f": {named} is ")
    assert_misuse(call(copy, main=evaluate.main), f": {named} is ")
    with pytest.raises(RunError, match=f": {named} is "):
        tinyvae.load(copy)
    assert {path: path.read_bytes() for path in before} == before


def without(name):
    return lambda state: state.pop(name)


@pytest.mark.parametrize(
    "spoil",
    [
        *(without(name) for name in ("epoch", "position", "step", "samples_seen", "epoch_total", "seconds")),
        without("settings"), without("last_bounds"),
        *(
            changed(None, **{name: value})
            for name in ("epoch", "position", "step", "samples_seen")
            for value in (-1, 10**6, 2**70, 1.0, True, None, "1", [])
        ),
        *(changed(None, **{name: value}) for name in ("seconds", "epoch_total") for value in (1, None, "1", [])),
        changed(None, position=7), changed(None, position=64), changed(None, epoch=1), changed(None, epoch=3),
        changed(None, settings=None), changed(None, settings=[]), changed(None, settings={"seed": 5}),
        changed(None, settings={"new": 5}), changed(None, last_bounds=["0", "0"]), changed(None, last_bounds=["0"]),
        changed(None, last_bounds=None), changed(None, last_bounds={"a": 1}), changed(None, last_bounds=[[], []]),
        changed(None, run=None), changed(None, run="other"), changed(None, run=[]), without("run"),
    ],
)  # fmt: skip
def test_a_checkpoint_that_makes_no_sense_is_refused_though_its_seal_is_right(copy, spoil):
    with edited_state(copy) as state:
        spoil(state)
    assert_misuse(call("--resume", copy))


def spoilt(name, change):
    return lambda arrays: arrays.update({name: change(arrays[name])})


def with_one(value):
    return lambda array: np.where(np.arange(array.size) == 7, np.array(value, array.dtype), array)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (without("params"), "'params' is missing"),
        (without("optimiser.m"), "optimiser.m is missing there"),
        (changed(None, other=np.zeros(3)), "other is float64 (3,) there and missing here"),
        *((spoilt("params", with_one(value)), "values in params that are not numbers") for value in (np.nan, np.inf)),
        (spoilt("optimiser.v", with_one(np.nan)), "values in optimiser.v that are not numbers"),
        (spoilt("params", lambda array: array.astype(str)), "params is <U32"),
        (spoilt("params", lambda array: array.astype(np.float64)), "params is float64"),
        (spoilt("params", lambda array: array.astype(complex)), "params is complex128"),
        (spoilt("params", lambda array: array[None]), "params is float32 (1, "),
        (spoilt("params", lambda array: array[:0]), "params is float32 (0,)"),
        (spoilt("optimiser.m", lambda array: array.astype("S3")), "optimiser.m is |S3"),
        (spoilt("optimiser.steps", lambda array: array.astype(float)), "optimiser.steps is float64"),
        (spoilt("optimiser.steps", lambda array: array - 100), "its optimiser made -"),
        (spoilt("optimiser.steps", lambda array: array + 2**60), "its optimiser made 1152921504606"),
    ],
)
def test_arrays_that_make_no_sense_are_refused_though_the_seal_is_right(copy, spoil, words):
    arrays, state = read_checkpoint(copy / "checkpoint.npz")
    spoil(arrays)
    write_checkpoint(copy / "checkpoint.npz", arrays, state)
    assert_misuse(call("--resume", copy), words)
    if "params" in words:
        with pytest.raises(RunError, match="the checkpoint does not go with"):
            tinyvae.load(copy)


def test_a_model_that_no_memory_can_hold_is_refused_before_any_is_asked_for(copy):
    config = json.loads((copy / "config.json").read_text())
    for name, value in (("latent", [10**9]), ("hidden", [[10**6, 10**6]])):
        edit_config(copy, changed("settings", **{name: value}))
        with edited_state(copy) as state:
            state["settings"] = json.loads((copy / "config.json").read_text())["settings"]
        words = "the checkpoint is of another model: params is float32 ("
        assert_misuse(call("--resume", copy), words)
        with pytest.raises(RunError, match=re.escape(words)):
            tinyvae.load(copy)
        (copy / "config.json").write_text(json.dumps(config))


def test_another_run_s_checkpoint_or_history_of_the_same_shape_is_refused(no_pictures, copy, tmp_path):
    words = ("--epochs", 2, "--latent", 3, "--threads", 1, "--seed", 5)
    other = trained(tmp_path / "other", *words)
    for name, reason in (("checkpoint.npz", "of another run"), ("history.csv", "epoch 2 ended otherwise")):
        own = (copy / name).read_bytes()
        shutil.copy(other / name, copy)
        assert_misuse(call("--resume", copy), name, reason)
        (copy / name).write_bytes(own)
    assert call("--resume", copy, "--quiet").returncode == 0


def test_a_history_that_a_spreadsheet_saved_is_gone_on_with(no_pictures, copy):
    header, *rows = (copy / "history.csv").read_text().splitlines()
    rows = [",".join(f"{float(field):.15g}" for field in row.split(",")) for row in rows]
    (copy / "history.csv").write_bytes(b"\xef\xbb\xbf" + "\r\n".join([header, *rows, ""]).encode())
    assert call("--resume", copy, "--quiet").returncode == 0


def test_a_run_of_a_newer_version_says_upgrade(copy):
    text = (copy / "config.json").read_text()
    for spoil, words in (
        (changed("settings", warmth=3), "knows no warmth"),
        (changed("settings", likelihood="laplace"), "knows no likelihood laplace"),
        (changed("settings", likelihood=["laplace", "normal"]), "likelihood is"),
        (lambda config: config.pop("dataset"), "'dataset' is missing"),
    ):
        for version in ("0.0.9", "99.1.0"):
            (copy / "config.json").write_text(text)
            edit_config(copy, spoil)
            edit_config(copy, changed(None, tinyvae=version))
            result = call("--resume", copy)
            if version == "99.1.0":
                assert_misuse(result, "It was written by tinyvae 99.1.0, and this is", "upgrade tinyvae")
            else:
                assert_misuse(result, words, "upgrade tinyvae" if "knows no" in words else "Mend it, or train again")


def test_a_newer_version_s_run_that_this_one_understands_is_read(no_pictures, copy):
    edit_config(copy, changed(None, tinyvae="99.1.0"))
    assert call("--resume", copy, "--quiet").returncode == 0


def test_a_run_that_was_made_longer_and_killed_before_its_next_checkpoint(no_pictures, tmp_path, monkeypatch):
    words = ("--schedule", "constant", "--epochs")
    path = trained(tmp_path / "run", *words, 2)
    for epochs in (3, 4):
        with monkeypatch.context() as context, pytest.raises(ZeroDivisionError):
            context.setattr(Training, "_step", failing_at(1, Training._step))
            call("--resume", path, "--epochs", epochs)
        assert read_checkpoint(path / "checkpoint.npz")[1]["epoch"] == 2
        assert Run.open(path).config()["settings"]["epochs"] == epochs
    assert call("--resume", path, "--quiet").returncode == 0
    assert content(path) == content(trained(tmp_path / "whole", *words, 4))


@pytest.mark.parametrize("name", ["config.json", "history.csv", "checkpoint.npz"])
def test_a_pipe_in_the_place_of_a_file_is_refused_and_not_waited_for(copy, name):
    (copy / name).unlink()
    os.mkfifo(copy / name)
    assert_misuse(command("--resume", copy, cwd="."), name, "it is no file but a pipe or a device")
    assert_misuse(command(copy, cwd=".", module="tinyvae.evaluate"), "pipe") if name != "history.csv" else None


# Two processes, one run


@contextmanager
def in_training(folder):
    """A process that trains for ever in a folder."""
    words = ("digits", "--limit", 200, "--hidden", 8, "--epochs", 10**6, "--out", folder, "--quiet")
    process = subprocess.Popen([sys.executable, "-m", "tinyvae.train", *map(str, words)])
    try:
        while not (folder / "checkpoint.npz").exists():
            assert process.poll() is None
            time.sleep(0.05)
        yield process
        assert process.poll() is None
    finally:
        process.kill()
        process.wait()


def test_a_run_that_is_being_trained_is_left_alone_and_read_by_others(no_pictures, tmp_path):
    run, copy = tmp_path / "run", tmp_path / "copy"
    with in_training(run) as process:
        words = f"run: process {process.pid} on ", "is at work here since", "Wait for its end, or stop it"
        for attempt in (("--resume", run), ("digits", "--limit", 200, "--out", run, "--overwrite")):
            assert_misuse(call(*attempt, "--quiet"), *words)
        assert_misuse(call("digits", "--limit", 200, "--out", run), "already holds a run", "--resume")
        assert tinyvae.load(run).data_shape == (8, 8)
        assert call(run, "--samples", 2, "--limit", 5, main=evaluate.main).returncode == 0
        shutil.copytree(run, copy, ignore=shutil.ignore_patterns(".*.tmp"))
        epoch = len(Run.open(run).history())
        while len(Run.open(run).history()) < epoch + 3:  # it goes on
            time.sleep(0.05)
    assert tinyvae.load(copy).data_shape == (8, 8)
    done = read_checkpoint(run / "checkpoint.npz")[1]["epoch"]
    # its owner is dead: the lock is free
    result = train_with_signal(
        "tinyvae.training.loop:Training._step", "--resume", run, "--quiet", cwd=tmp_path, number="SIGINT", count=30
    )
    assert result.returncode == 130, result.stderr
    assert read_checkpoint(run / "checkpoint.npz")[1]["epoch"] > done


def test_two_resumes_at_once_one_goes_on_and_one_is_refused(finished, tmp_path):
    run = shutil.copytree(finished, tmp_path / "run")
    words = [sys.executable, "-m", "tinyvae.train", "--resume", run, "--epochs", "3000", "--quiet"]
    both = [subprocess.Popen(words, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    try:
        while all(process.poll() is None for process in both):
            time.sleep(0.05)
        (loser,) = (process for process in both if process.poll() is not None)
        (winner,) = (process for process in both if process.poll() is None)
        assert loser.returncode == 2
        assert f"process {winner.pid} on" in loser.stderr.read()
    finally:
        for process in both:
            process.kill()
            process.wait()
            process.stderr.close()
    assert read_checkpoint(run / "checkpoint.npz")[1]["epoch"] >= 2


def test_a_setting_that_an_older_version_did_not_have_takes_its_default(no_pictures, copy):
    before, settings = content(copy), opening.read_config(Run.open(copy))[0]
    config = json.loads((copy / "config.json").read_text())
    for name in ("network", "seed", "estimator", "raised_from"):
        del config["settings"][name]
    (copy / "config.json").write_text(json.dumps(config))
    assert opening.read_config(Run.open(copy))[0] == settings
    assert call("--resume", copy, "--quiet").returncode == 0 and content(copy) == before


def test_another_architecture_in_the_config_does_not_go_with_the_checkpoint(copy):
    config = json.loads((copy / "config.json").read_text())
    config["settings"]["latent"] = [4]
    (copy / "config.json").write_text(json.dumps(config))
    assert_misuse(call("--resume", copy), "latent is (4,) there, and was (3,)")
    with edited_state(copy) as state:
        state["settings"]["latent"] = [4]
    assert_misuse(call("--resume", copy), "the checkpoint is of another model: params is float32 (")


@pytest.mark.parametrize("name", ["config.json", "history.csv", "checkpoint.npz"])
@pytest.mark.parametrize("damage", ["cut", "empty", "foreign", "removed"])
def test_a_damaged_file_is_named(copy, name, damage):
    path = copy / name
    content = path.read_bytes()
    if damage == "removed":
        path.unlink()
    else:
        path.write_bytes(
            {"cut": content[: len(content) * 2 // 3], "empty": b"", "foreign": b"\xff\xfe\x00 hello"}[damage]
        )
    result = call("--resume", copy, "--quiet")
    if (name, damage) == ("checkpoint.npz", "removed"):  # as a run that was killed before its first one
        assert result.returncode == 0 and (copy / "checkpoint.npz").read_bytes()
    else:
        assert_misuse(result, name)


def test_a_history_with_a_row_too_few_or_out_of_order_is_refused(copy):
    header, first, second, _ = (copy / "history.csv").read_text().split("\n")
    for rows in ([first], [second, first], [first, first]):
        (copy / "history.csv").write_text("\n".join([header, *rows, ""]))
        assert_misuse(call("--resume", copy), "history.csv does not have a row for each of the 2 epochs")


def test_a_folder_that_is_no_run_is_an_error(tmp_path):
    assert_misuse(call("--resume", tmp_path / "nowhere"), "nowhere: there is no such folder")
    assert_misuse(call("--resume", tmp_path), "holds no run: config.json is missing")


def test_the_data_may_move_but_not_change(no_pictures, tmp_path):
    images = np.random.default_rng(0).random((240, 6))
    np.save(tmp_path / "mine.npy", images)
    run = trained(tmp_path / "run", "--epochs", 1, source=tmp_path / "mine.npy")
    (tmp_path / "mine.npy").rename(tmp_path / "moved.npy")
    assert_misuse(call("--resume", run, "--epochs", 2), "mine.npy")
    images[3, 4] = 0.5
    np.save(tmp_path / "changed.npy", images)
    result = call(tmp_path / "changed.npy", "--resume", run, "--epochs", 2)
    assert_misuse(result, "changed.npy holds other data than the run in")
    assert call(tmp_path / "moved.npy", "--resume", run, "--epochs", 2, "--quiet").returncode == 0
    assert len(Run.open(run).history()) == 2
