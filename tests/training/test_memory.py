"""A model that does not fit into this machine is refused before any work, with what it would need."""

import tracemalloc
from dataclasses import replace

import numpy as np
import pytest

from tests.commands import assert_misuse, call
from tinyvae import VAE, system
from tinyvae.data import datasets
from tinyvae.disk.checkpoint import read_checkpoint, write_checkpoint
from tinyvae.machine import threads
from tinyvae.settings import Settings
from tinyvae.training import memory
from tinyvae.training.fitted import build_model
from tinyvae.training.loop import Training

HUGE = {
    "latent": (["--latent", 10**9], "1,502,000,065,064 parameters"),
    "hidden": (["--hidden", "100000,100000"], "GiB of memory, and there are"),
    "samples": (["--samples", 10**10], "10,000,000,000 samples of each"),
    "components": (["--prior", "vamp", "--components", 10**12], "GiB"),
    "units": (["--network", "gru", "--units", 10**9], "2e+11 GiB of memory"),
    "what makes it large": (["--network", "gru", "--units", 10**9], "Make --latent, --hidden, --units or --components"),
    "threads": (["--threads", 10**6], "from 1 to 1024 is needed, not 1000000"),
    "thirty digits": (["--batch-size", "1" * 30], "no machine holds so many"),
    "five thousand digits": (["--epochs", "1" * 5000], "above zero is needed"),
    "a number in another script": (["--epochs", "\u0663"], "above zero is needed"),
}


@pytest.mark.parametrize(("words", "message"), HUGE.values(), ids=HUGE)
def test_numbers_that_no_machine_holds(words, message, tmp_path):
    assert_misuse(call("digits", *words, "--out", tmp_path / "run"), message)
    assert not (tmp_path / "run").exists()


def test_the_estimator_says_it_too():
    X = np.random.default_rng(0).random((20, 5))
    with pytest.raises(MemoryError, match="GiB of memory, and there are"):
        VAE(n_components=10**9).fit(X)


def test_what_is_needed():
    """Four arrays of parameters under Adam, and three in a checkpoint, or twice what the rows leave in each layer: the
    encoder has a row for each example, the decoder for each sample.
    """
    settings = Settings()
    model = build_model(settings, (30, 30), 0)
    parameters = sum(np.prod(shape) for shape in model.shapes().values())
    encoder, outputs = 500 + 40, 20 + 500 + 900
    assert memory.memory_needed(model, settings, 500) == 4 * 7 * parameters
    assert memory.memory_needed(model, settings, 5000) == 4 * (4 * parameters + 2 * 5000 * (encoder + outputs))
    assert memory.memory_needed(model, replace(settings, optimiser="sgd"), 1) == 4 * 5 * parameters
    double = replace(settings, samples=50, dtype="float64")
    assert memory.memory_needed(model, double, 500) == 8 * (4 * parameters + 2 * 500 * encoder + 2 * 5000 * outputs)


def peak(function, *arguments):
    """The most bytes that a function has at a time; a first call has compiled and imported what it needs."""
    function(*arguments)
    tracemalloc.start()
    try:
        function(*arguments)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def resumed(path, settings, data):
    arrays, state = read_checkpoint(path)
    Training(settings, data, 1).restore(arrays, state)


@pytest.mark.parametrize("optimiser", ["adam", "sgd"])
def test_what_is_needed_is_what_a_resumed_run_takes(optimiser, tmp_path):
    settings, data = Settings(hidden=((700, 700),), optimiser=optimiser), datasets.load("digits", limit=100)
    training = Training(settings, data, 1)
    write_checkpoint(tmp_path / "checkpoint.npz", *training.state())
    needed = memory.memory_needed(training.model, settings, 500)
    assert peak(resumed, tmp_path / "checkpoint.npz", settings, data) == pytest.approx(needed, rel=0.2)


@pytest.mark.parametrize("hidden", [((300,),), ((500, 200),)])
def test_what_is_needed_is_what_many_samples_take(hidden):
    settings, data = Settings(hidden=hidden, samples=100, objective="iwae"), datasets.load("digits", limit=100)

    def train():
        training = Training(settings, data, 1)
        training.run_epoch()
        return training.model

    needed = memory.memory_needed(train(), settings, 1)
    assert peak(train) == pytest.approx(needed, rel=0.2)


def test_a_machine_that_does_not_tell_is_not_asked(monkeypatch):
    monkeypatch.setattr(system, "memory", lambda: None)
    memory.require_memory(build_model(Settings(latent=(10**9,)), (30, 30), 0), Settings(latent=(10**9,)), 500)


def test_a_container_has_what_it_is_given(monkeypatch, tmp_path):
    """In the files of both versions; "max", in the second, and more than there is, in the first, are no limits."""
    limit = tmp_path / "memory.max"
    monkeypatch.setattr(system, "LIMITS", (limit, tmp_path / "nowhere"))
    whole = system.memory()
    assert whole > 2**28
    for text, size in (("max\n", whole), (f"{2**63 - 4096}\n", whole), (f"{5 * 2**27}\n", 5 * 2**27)):
        limit.write_text(text)
        assert system.memory() == size
    assert system.lack_of_memory(5 * 2**27) == ""
    assert system.lack_of_memory(2**37) == "about 128 GiB of memory, and there are 0.6 GiB"
    monkeypatch.delattr(system.os, "sysconf")
    limit.write_text("max\n")
    assert system.memory() is None and system.lack_of_memory(2**60) == ""


def test_a_system_that_gives_no_more_threads(monkeypatch, tmp_path):
    def refuse(self):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threads.threading.Thread, "start", refuse)
    result = call("digits", "--threads", 3, "--out", tmp_path / "run")
    assert_misuse(result, "3 threads are wanted, and after 1 of them can't start new thread: ask for fewer")
