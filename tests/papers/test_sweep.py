"""Sweeps: each training goes on where it stopped, another one's folder is refused, progress is honest."""

import io
import json
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import replace
from functools import partial

import joblib
import numpy as np
import pytest

from tests.commands import call
from tests.training.test_resume import content, in_training
from tinyvae import evaluate
from tinyvae.disk.run import CONFIG, Run
from tinyvae.errors import Interrupted, RunError
from tinyvae.papers import sweep
from tinyvae.papers.report import Report
from tinyvae.papers.sweep import Plan, Progress, carry_out, carry_out_all
from tinyvae.settings import Settings
from tinyvae.training import annealing, importance_sampling, opening
from tinyvae.training.loop import Training

SETTINGS = Settings(latent=(2,), hidden=((8,),), epochs=4, schedule="constant", batch_size=50)
PLAN = Plan("one", "digits", SETTINGS, limit=200, samples=20, images=30)


def longer(plan, epochs, **changes):
    return replace(plan, settings=replace(plan.settings, epochs=epochs, **changes))


def test_a_plan_is_trained_and_evaluated_and_then_left_alone(tmp_path):
    carry_out(PLAN, tmp_path)
    run = Run.open(tmp_path / "one")
    assert len(run.history()) == 4 and run.read_json("summary.json")["epochs"] == 4
    evaluation = run.read_json("evaluation.json")
    assert (evaluation["samples"], evaluation["n_images"], evaluation["epochs"]) == (20, 30, 4)
    before = {path: path.stat().st_mtime_ns for path in run.path.iterdir()}
    carry_out(PLAN, tmp_path)
    assert {path: path.stat().st_mtime_ns for path in run.path.iterdir()} == before


def test_a_plan_that_was_interrupted_goes_on(tmp_path, monkeypatch):
    carry_out(PLAN, tmp_path / "whole")
    step, steps = Training._step, iter(range(100))

    def interrupted(*arguments):
        if next(steps) == 9:
            raise Interrupted
        return step(*arguments)

    with monkeypatch.context() as context, pytest.raises(KeyboardInterrupt):
        context.setattr(Training, "_step", interrupted)
        carry_out(PLAN, tmp_path / "parts")
    carry_out(PLAN, tmp_path / "parts")
    assert content(tmp_path / "parts/one") == content(tmp_path / "whole/one")


def test_a_longer_plan_goes_on_with_the_shorter_one_s_run_and_is_evaluated_anew(tmp_path):
    carry_out(PLAN, tmp_path / "raised")
    for folder in ("raised", "whole"):
        carry_out(longer(PLAN, 6), tmp_path / folder)
        assert Run.open(tmp_path / folder / "one").read_json("evaluation.json")["epochs"] == 6
    assert content(tmp_path / "raised/one") == content(tmp_path / "whole/one")


def test_a_longer_run_has_the_curve_of_a_shorter_one_and_not_its_end(tmp_path):
    curve = replace(PLAN, samples=0)
    carry_out(longer(curve, 6), tmp_path)
    assert sweep.is_done(curve, tmp_path, with_model=False)
    before = content(tmp_path / "one")
    carry_out(curve, tmp_path, with_model=False)
    assert content(tmp_path / "one") == before and len(Run.open(tmp_path / "one").history()) == 6
    for plan, with_model in ((curve, True), (PLAN, False)):
        for attempt in (sweep.is_done, lambda plan, folder, model: carry_out(plan, folder, with_model=model)):
            with pytest.raises(RunError, match=r"longer run, of 6 epochs, and .* the end of one of 4\n.* --runs"):
                attempt(plan, tmp_path, with_model)
    (tmp_path / "one/summary.json").unlink()
    with pytest.raises(RunError, match="longer run"):
        carry_out(PLAN, tmp_path)


def test_a_plan_of_a_file_goes_on_wherever_it_is_begun_from(tmp_path, monkeypatch):
    np.save(tmp_path / "mine.npy", np.random.default_rng(0).random((60, 6)))
    monkeypatch.chdir(tmp_path)
    plan = Plan("one", "mine.npy", replace(SETTINGS, batch_size=20))
    carry_out(plan, tmp_path)
    carry_out(longer(plan, 5), tmp_path)
    assert len(Run.open(tmp_path / "one").history()) == 5
    monkeypatch.chdir("/")
    with pytest.raises(RunError, match="differs in source"):
        carry_out(plan, tmp_path)  # another file of that name


@pytest.mark.parametrize("changes", [{"samples": 10}, {"images": 29}, {"samples": 10, "images": 40}])
def test_an_evaluation_of_more_samples_or_images_is_not_replaced_unasked(changes, tmp_path):
    carry_out(PLAN, tmp_path)
    before = (tmp_path / "one/evaluation.json").read_text()
    other = replace(PLAN, **changes)
    for attempt in (lambda: carry_out(other, tmp_path), lambda: carry_out_all([other], tmp_path, quiet=True)):
        with pytest.raises(RunError, match=r"by 20 samples of 30 images, and what is wanted is by .*\n.* --runs"):
            attempt()
    assert (tmp_path / "one/evaluation.json").read_text() == before
    carry_out(longer(other, 6), tmp_path)  # that of another state is
    assert json.loads((tmp_path / "one/evaluation.json").read_text())["samples"] == other.samples


def test_what_annealing_said_stays_beside_an_evaluation_by_more_samples(tmp_path, monkeypatch):
    monkeypatch.setattr(annealing, "log_likelihood", partial(annealing.log_likelihood, steps=10))
    carry_out(PLAN, tmp_path)
    words = (tmp_path / "one", "--samples", 20, "--limit", 30, "--ais", 4, "--quiet")
    assert call(*words, main=evaluate.main).returncode == 0
    before = Run.open(tmp_path / "one").read_json("evaluation.json")
    carry_out(PLAN, tmp_path)
    assert Run.open(tmp_path / "one").read_json("evaluation.json") == before
    carry_out(replace(PLAN, samples=40), tmp_path)
    after = Run.open(tmp_path / "one").read_json("evaluation.json")
    assert after["samples"] == 40 and after["annealed"]["each"] == before["annealed"]["each"]
    gain = np.subtract(after["annealed"]["each"], after["each"][:4]).mean()
    assert after["annealed"]["gain"] == pytest.approx(gain) != before["annealed"]["gain"]


def test_another_run_s_evaluation_is_made_again(tmp_path):
    carry_out(PLAN, tmp_path)
    found = json.loads((tmp_path / "one/evaluation.json").read_text())
    (tmp_path / "one/evaluation.json").write_text(json.dumps(found | {"run": "another", "samples": 10**6}))
    carry_out(PLAN, tmp_path)
    assert json.loads((tmp_path / "one/evaluation.json").read_text()) == found


def test_what_is_written_about_a_run_is_enough_where_the_model_is_not_wanted(tmp_path, monkeypatch):
    carry_out(PLAN, tmp_path)
    (tmp_path / "one/checkpoint.npz").unlink()
    assert sweep.is_done(PLAN, tmp_path, with_model=False) and not sweep.is_done(PLAN, tmp_path)
    assert not sweep.is_done(longer(PLAN, 6), tmp_path, with_model=False)
    assert not sweep.is_done(replace(PLAN, samples=30), tmp_path, with_model=False)
    assert not sweep.is_done(replace(PLAN, images=31), tmp_path, with_model=False)
    assert not sweep.is_done(replace(PLAN, images=None), tmp_path, with_model=False)
    with monkeypatch.context() as context:
        context.setattr(Training, "_step", lambda *_: pytest.fail("there is nothing to train"))
        carry_out(PLAN, tmp_path, with_model=False)
    with pytest.raises(RunError, match="seed"):
        carry_out(replace(PLAN, settings=replace(SETTINGS, seed=5)), tmp_path)
    before = (tmp_path / "one/history.csv").read_bytes()
    carry_out(PLAN, tmp_path)  # trained anew, to the same end but for the time it took
    rows, again = (text.decode().splitlines() for text in (before, (tmp_path / "one/history.csv").read_bytes()))
    assert [row.rsplit(",", 1)[0] for row in rows] == [row.rsplit(",", 1)[0] for row in again]
    assert sweep.is_done(PLAN, tmp_path)


@pytest.mark.parametrize(
    ("other", "name"),
    [
        (longer(PLAN, 4, latent=(3,)), "latent"),
        (longer(PLAN, 4, seed=1), "seed"),
        (replace(PLAN, limit=100), "limit"),
    ],
)
def test_a_folder_of_another_run_is_refused_with_what_differs(other, name, tmp_path):
    carry_out(PLAN, tmp_path)
    with pytest.raises(RunError, match=f"one holds a run that differs in {name}\n.*--runs"):
        carry_out(other, tmp_path)


def test_a_cosine_of_another_length_is_another_run(tmp_path):
    cosine = longer(PLAN, 4, schedule="cosine")
    carry_out(cosine, tmp_path)
    with pytest.raises(RunError, match="differs in epochs"):
        carry_out(longer(cosine, 5), tmp_path)


def test_two_side_by_side_are_the_same_as_one_after_the_other(tmp_path):
    plans = [longer(replace(PLAN, name=f"seed-{seed}", samples=0), 3, seed=seed) for seed in (1, 2)]
    carry_out_all(plans, tmp_path / "two", jobs=2, quiet=True)
    for plan in plans:
        carry_out(plan, tmp_path / "one", threads=1)
        assert content(tmp_path / "two" / plan.name) == content(tmp_path / "one" / plan.name)


def test_progress_counts_what_it_costs(tmp_path, monkeypatch):
    plans = [replace(PLAN, name="a", samples=0), longer(replace(PLAN, name="b", samples=0), 8)]
    progress = Progress(plans, tmp_path, quiet=True)
    with progress:
        assert progress.state() == (0, 0)
        carry_out(plans[0], tmp_path)
        share, finished = progress.state()
        assert share == pytest.approx(1 / 3) and finished == 1
        monkeypatch.setattr(sweep.time, "perf_counter", lambda: progress.started + 59.9)
        assert progress.line() == "1 of 2 trainings done, 33 %, about 2 min left"


def test_a_line_of_progress_covers_the_one_before(tmp_path, monkeypatch):
    terminal, lines = io.StringIO(), iter(["a long line", "short", "so long, but no longer"])
    terminal.isatty = lambda: True
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setattr(sweep, "LOOK", 0)
    progress = Progress([PLAN], tmp_path)

    def line():
        try:
            return next(lines)
        except StopIteration:
            progress._over.set()
            return ""

    monkeypatch.setattr(progress, "line", line)
    progress._watch()
    shown = terminal.getvalue().split("\r")
    assert shown == ["a long line", "short".ljust(11), "so long, but no longer", " " * 22, "\n"]


def test_the_time_left_is_by_what_was_done_since_the_beginning_alone(tmp_path, monkeypatch):
    plan = replace(PLAN, samples=0)
    carry_out(plan, tmp_path)
    progress = Progress([longer(plan, 8)], tmp_path, quiet=True)
    with progress:
        assert progress.before == pytest.approx(1 / 2)
        carry_out(longer(plan, 6), tmp_path)
        monkeypatch.setattr(sweep.time, "perf_counter", lambda: progress.started + 299)
        assert progress.line() == "0 of 1 trainings done, 75 %, about 5 min left"


def test_an_evaluation_is_done_when_it_is_done(tmp_path):
    carry_out(replace(PLAN, samples=0), tmp_path)
    training, evaluation = PLAN.training_cost(), PLAN.evaluation_cost()
    share, finished = Progress([PLAN], tmp_path).state()
    assert share == pytest.approx(training / (training + evaluation)) and share < 1 and finished == 0
    carry_out(PLAN, tmp_path)
    assert Progress([PLAN], tmp_path).state() == (1, 1)


def test_the_cost_grows_with_samples_and_size():
    cost = PLAN.training_cost()
    assert longer(PLAN, 4, samples=5).training_cost() > cost > 0
    assert longer(PLAN, 4, hidden=((100,),)).training_cost() > cost
    assert longer(PLAN, 8).training_cost() == replace(PLAN, limit=400).training_cost() == 2 * cost
    assert replace(PLAN, source="mnist", limit=None).training_cost() > 300 * cost
    assert replace(PLAN, samples=0).evaluation_cost() == 0 < PLAN.evaluation_cost()


@pytest.mark.parametrize("text", ["{}", '{"epochs": 3}', '{"epochs": "4"}', '{"epochs": []}'])
def test_a_summary_that_says_nothing_of_the_end_is_written_again(text, tmp_path):
    carry_out(PLAN, tmp_path)
    before = (tmp_path / "one/summary.json").read_text()
    (tmp_path / "one/summary.json").write_text(text)
    assert not sweep.is_done(PLAN, tmp_path)
    carry_out(PLAN, tmp_path)
    assert (tmp_path / "one/summary.json").read_text() == before


@pytest.mark.parametrize(
    "spoil",
    [
        lambda found: found.clear(), lambda found: found.pop("log_likelihood"),
        lambda found: found.update(standard_error=None), lambda found: found.update(active_units=3),
        lambda found: found.update(active_units=["a"]), lambda found: found.update(epochs=[]),
        lambda found: found.update(samples="20"),
    ],
)  # fmt: skip
def test_an_evaluation_that_does_not_hold_what_the_tables_need_is_made_again(spoil, tmp_path):
    carry_out(PLAN, tmp_path)
    before = (tmp_path / "one/evaluation.json").read_text()
    found = json.loads(before)
    spoil(found)
    (tmp_path / "one/evaluation.json").write_text(json.dumps(found))
    carry_out(PLAN, tmp_path)
    assert (tmp_path / "one/evaluation.json").read_text() == before


def test_an_evaluation_that_is_not_finite_is_one(tmp_path):
    """It would be so the next time too."""
    carry_out(PLAN, tmp_path)
    run = Run.open(tmp_path / "one")
    found = run.read_json("evaluation.json") | {"log_likelihood": None, "standard_error": None, "each": [None] * 30}
    (tmp_path / "one/evaluation.json").write_text(json.dumps(found))
    assert sweep.is_done(PLAN, tmp_path)


@pytest.mark.parametrize("name", ["summary.json", "evaluation.json", "history.csv", "config.json"])
def test_what_is_no_json_or_a_pipe_is_refused_in_words(name, tmp_path):
    carry_out(PLAN, tmp_path)
    (tmp_path / "one" / name).write_text("{[")
    with pytest.raises(RunError, match=name):
        carry_out_all([PLAN], tmp_path, quiet=True)
    (tmp_path / "one" / name).unlink()
    os.mkfifo(tmp_path / "one" / name)
    with pytest.raises(RunError, match=f"{name}: it is no file but a pipe"):
        carry_out_all([PLAN], tmp_path, quiet=True)


def test_no_more_jobs_than_there_is_left_to_train(tmp_path, monkeypatch):
    plans = [longer(replace(PLAN, name=f"seed-{seed}", samples=0), 1, seed=seed) for seed in (1, 2, 3)]
    carry_out(plans[0], tmp_path)
    asked, parallel = [], joblib.Parallel
    monkeypatch.setattr(joblib, "Parallel", lambda n_jobs: (asked.append(n_jobs), parallel(n_jobs=1))[1])
    for jobs, expected in ((12, [2]), (12, []), (1, []), (-1, [-1])):
        carry_out_all(plans, tmp_path, jobs=jobs, quiet=True)
        assert asked == expected
        asked.clear()
    assert all(sweep.is_done(plan, tmp_path) for plan in plans)


def test_a_plan_at_which_another_process_is_at_work_is_refused_in_its_words(tmp_path):
    plan = Plan("one", "digits", Settings(hidden=((8,),), epochs=10**6), limit=200)
    with in_training(tmp_path / "one") as process:
        for attempt in (lambda: carry_out(plan, tmp_path), lambda: carry_out_all([plan, LONG[0]], tmp_path, jobs=2)):
            with pytest.raises(RunError, match=f"one: process {process.pid} on .* is at work here since"):
                attempt()
    # the other one, which had begun or had not, finished its step
    assert Run.open(tmp_path / LONG[0].name).has_checkpoint() or not (tmp_path / LONG[0].name).exists()
    assert not list(tmp_path.glob(".going-on-*"))


def test_a_worker_ends_after_its_step_when_it_is_told_to(tmp_path, monkeypatch):
    word, parent = tmp_path / "word", ("another host", 1)
    word.touch()
    step, counter, groups = Training._step, iter(range(100)), importance_sampling._groups

    def until_the_sixth(*arguments):
        if next(counter) == 5:
            word.unlink()
        return step(*arguments)

    with monkeypatch.context() as context:
        context.setattr(Training, "_step", until_the_sixth)
        assert isinstance(sweep.carry_out_for(parent, word, PLAN, tmp_path), Interrupted)
        assert opening.load(Run.open(tmp_path / "one")).step == 6  # of 16
        assert isinstance(sweep.carry_out_for(parent, word, PLAN, tmp_path), Interrupted)  # does not begin
        assert opening.load(Run.open(tmp_path / "one")).step == 6
    word.touch()
    with monkeypatch.context() as context:
        context.setattr(importance_sampling, "_groups", lambda logw: (word.unlink(missing_ok=True), groups(logw))[1])
        assert isinstance(sweep.carry_out_for(parent, word, PLAN, tmp_path), Interrupted)
        assert Run.open(tmp_path / "one").read_json("summary.json")["epochs"] == 4
        assert not (tmp_path / "one/evaluation.json").exists()
    word.touch()
    assert sweep.carry_out_for(parent, word, PLAN, tmp_path) is None and sweep.is_done(PLAN, tmp_path)
    wrong = longer(PLAN, 4, seed=1)
    assert "seed" in str(sweep.carry_out_for(parent, word, wrong, tmp_path)) and not word.exists()


LONG = [Plan(f"seed-{seed}", "digits", longer(PLAN, 10**6, seed=seed).settings, limit=200) for seed in (1, 2, 3)]

REPRODUCE = """
import sys
from tests.papers.test_sweep import LONG
from tinyvae.cli import console
from tinyvae.papers import sweep

if __name__ == "__main__":
    console.run(lambda: sweep.carry_out_all(LONG, sys.argv[1], jobs=12, quiet=True, say=console.acknowledge_interrupt))
"""


@pytest.mark.slow  # three workers, twice
def test_workers_end_with_their_parent_and_the_same_command_goes_on(tmp_path):
    epochs = 0
    for _ in range(2):
        with sweeping(tmp_path) as process:
            while not all(begun(plan, tmp_path / "runs", epochs) for plan in LONG):
                assert process.poll() is None
                time.sleep(0.1)
            workers = {int(path.read_text().split()[1]) for path in (tmp_path / "runs").glob("*/.owner")}
            assert len(workers) == len(LONG) and process.pid not in workers
            process.kill()
            process.wait()
        while any(map(sweep._is_alive, workers)):
            time.sleep(0.1)
        epochs = max(len(Run.open(tmp_path / "runs" / plan.name).history()) for plan in LONG)


def test_a_signal_is_acknowledged_at_once(tmp_path, monkeypatch):
    said, step, counter = [], Training._step, iter(range(100))

    def pressed(*arguments):
        if next(counter) == 2:
            signal.raise_signal(signal.SIGINT)
            assert said == ["finishing"]
        return step(*arguments)

    monkeypatch.setattr(Training, "_step", pressed)
    with pytest.raises(Interrupted):
        carry_out_all([PLAN], tmp_path, quiet=True, say=lambda: said.append("finishing"))


@pytest.mark.slow  # as above
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_workers_finish_their_step_at_a_signal_to_end(number, tmp_path):
    """From a terminal (SIGINT here) it comes to all, from ``timeout`` to the parent alone."""
    for _ in range(2):  # at any moment: before the first epoch is done, and later
        with sweeping(tmp_path) as process:
            while not all(is_held(tmp_path / "runs" / plan.name) for plan in LONG):
                assert process.poll() is None
                time.sleep(0.1)
            before = {plan.name: step_of(plan, tmp_path / "runs") for plan in LONG}
            (os.killpg if number == signal.SIGINT else os.kill)(process.pid, number)
            assert process.wait() == 128 + number
            errors = (tmp_path / "errors").read_text()
            assert "this step is finished first" in errors and "Traceback" not in errors
        for plan in LONG:
            assert step_of(plan, tmp_path / "runs") > before[plan.name]
    assert not list((tmp_path / "runs").glob(".going-on-*"))


@contextmanager
def sweeping(folder):
    """A process that carries out LONG in ``folder/runs`` and writes into ``folder/errors``; killed at the end."""
    (folder / "program.py").write_text(REPRODUCE)
    with open(folder / "errors", "w") as errors:
        words, env = [sys.executable, folder / "program.py", folder / "runs"], os.environ | {"PYTHONPATH": "."}
        process = subprocess.Popen(words, env=env, start_new_session=True, stderr=errors)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def is_held(path):
    """Whether a run's folder is there, and somebody at work in it."""
    return (path / CONFIG).exists() and (path / ".owner").exists()


def begun(plan, folder, epochs):
    """Whether a plan's run has a checkpoint and more epochs than so many."""
    path = folder / plan.name
    return (path / "checkpoint.npz").exists() and len(Run.open(path).history()) > epochs


def step_of(plan, folder):
    """The step of a plan's checkpoint, 0 if there is none."""
    run = Run.open(folder / plan.name)
    return run.load_checkpoint()[1]["step"] if run.has_checkpoint() else 0


def test_a_worker_whose_parent_is_gone_before_it_begins_does_not_begin(tmp_path):
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    (word := tmp_path / "word").touch()
    with pytest.raises(RunError, match="nobody waits for this training any more"):
        sweep.carry_out_for((sweep.platform.node(), gone.pid), word, PLAN, tmp_path)
    assert not (tmp_path / "one").exists()
    sweep.carry_out_for(("another host", gone.pid), word, PLAN, tmp_path)
    assert sweep.is_done(PLAN, tmp_path)


def test_a_report_reads_no_more_epochs_than_its_plan_has(tmp_path):
    """A longer run stands in the place of a shorter one."""
    plan = replace(PLAN, samples=0)
    carry_out(replace(plan, settings=replace(plan.settings, epochs=6)), tmp_path)
    assert len(Report([plan], tmp_path, tmp_path).history(plan)["epoch"]) == plan.settings.epochs == 4
