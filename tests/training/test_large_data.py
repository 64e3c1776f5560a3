"""Data larger than memory: the numbers of a training are those of the same array in memory, its memory is not."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from tests.commands import assert_misuse, call, python
from tinyvae import VAE
from tinyvae.data import datasets
from tinyvae.data.rows import Rows
from tinyvae.disk.run import Run
from tinyvae.settings import CHOICES, Settings
from tinyvae.training import evaluation, run_figures
from tinyvae.training.binarisation import Drawn, binarise
from tinyvae.training.loop import Training

random = np.random.RandomState(6)
GREY = random.randint(0, 256, (600, 6, 5), np.uint8)
ARRAYS = {"uint8": GREY, "bool": GREY > 99, "float32": (GREY / 255).astype(np.float32), "float64": GREY / 255}
SMALL = Settings(latent=(2,), hidden=((8,),), batch_size=50, epochs=2)


def both(folder, array):
    """The data set of an .npy file, which is mapped, and of an .npz with the same array."""
    np.save(folder / "mine.npy", array)
    np.savez(folder / "mine.npz", x=array)
    return [datasets.load(folder / f"mine.{suffix}") for suffix in ("npy", "npz")]


@pytest.mark.parametrize("mode", CHOICES["binarise"])
@pytest.mark.parametrize("array", ARRAYS.values(), ids=ARRAYS)
def test_every_number_is_that_of_the_array_in_memory(array, mode, tmp_path):
    def numbers(dataset):
        training = Training(dataclasses.replace(SMALL, binarise=mode), dataset)
        bounds = [(training.run_epoch(), training.test_bound()) for _ in range(2)]
        fitted, test = training.fitted, training.dataset.test
        results = evaluation.evaluate(fitted, test, None, 10)
        arrays = [training.params.flat, *fitted.encode(test), fitted.log_likelihood(test[:20], samples=5)]
        return bounds, results["quantity"], results["log_likelihood"], [array.tobytes() for array in arrays]

    mapped, whole = both(tmp_path, array)
    assert isinstance(mapped.train, Rows) and mapped.digest == whole.digest
    assert numbers(mapped) == numbers(whole)


def test_pixels_that_are_drawn_once_are_the_same_wherever_they_are_asked_for(tmp_path):
    drawn, whole = (binarise(dataset, "static", 1).train for dataset in both(tmp_path, GREY))
    assert isinstance(drawn, Drawn) and drawn.dtype == whole.dtype == bool and drawn.shape == whole.shape
    for index in (slice(None), slice(9, 500, 7), slice(5, 5), [5, 6, 7, 300, 2, 2], 17, whole[:, 0]):
        np.testing.assert_array_equal(drawn[index], whole[index])
        assert np.asarray(drawn[index]).dtype == bool
    np.testing.assert_array_equal(drawn[100:200][[3, 50, 51]], whole[100:200][[3, 50, 51]])


def test_the_estimator_takes_a_mapped_array_as_it_is(tmp_path, monkeypatch):
    taken = []
    monkeypatch.setattr(
        Training, "run_epoch", lambda self, run=Training.run_epoch: taken.append(self.dataset) or run(self)
    )
    X = GREY.reshape(600, 30)
    np.save(tmp_path / "mine.npy", X)
    mapped = np.load(tmp_path / "mine.npy", mmap_mode="r")
    ours, whole = (VAE(2, (8,), max_epochs=2, random_state=0).fit(images) for images in (mapped, X))
    assert np.shares_memory(taken[0].train, mapped) and ours.history_ == whole.history_
    np.testing.assert_array_equal(ours.transform(mapped), whole.transform(X))


def test_a_file_that_changes_during_a_training_ends_it_and_it_goes_on_when_the_file_is_back(tmp_path, monkeypatch):
    monkeypatch.setattr(run_figures, "drawings", lambda *_: {})
    both(tmp_path, GREY)
    content = (tmp_path / "mine.npy").read_bytes()
    words = ("--hidden", 8, "--epochs", 3, "--quiet", "--out")
    assert call(tmp_path / "mine.npy", *words, tmp_path / "whole").returncode == 0

    def cut(training, test_bound=Training.test_bound):
        bound = test_bound(training)
        if training.epoch == 2:
            (tmp_path / "mine.npy").write_bytes(content[:4000])
        return bound

    with monkeypatch.context() as patch:
        patch.setattr(Training, "test_bound", cut)
        result = call(tmp_path / "mine.npy", *words, tmp_path / "run")
    assert_misuse(result, "mine.npy was changed while it was in use", "go on with --resume")
    assert_misuse(call("--resume", tmp_path / "run"), "mine.npy: its header promises")
    (tmp_path / "mine.npy").write_bytes(content)
    assert call("--resume", tmp_path / "run", "--quiet").returncode == 0
    rows = [[row["train_bound"] for row in Run.open(tmp_path / name).history()] for name in ("whole", "run")]
    assert rows[0] == rows[1] and len(rows[0]) == 3


# Trains on a small file and on a large one, and prints by how many bytes the peak of the memory that is the process's
# own, and no file's, was higher with the large one.
PEAKS = """
import sys, threading
from tinyvae import evaluate, train

def own():
    with open("/proc/self/status") as lines:
        return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon")) * 1024

def peak(name):
    seen, done = [own()], threading.Event()

    def watch():
        while not done.wait(0.005):
            seen.append(own())

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        assert train.main([f"{name}.npy", *sys.argv[1:], "--quiet", "--out", name]) == 0
        assert evaluate.main([name, "--samples", "5", "--quiet"]) == 0
    finally:
        done.set()
    thread.join()
    return max(seen)

small = peak("small")
print(peak("large") - small)
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="only Linux tells which memory is not a file's")
@pytest.mark.parametrize("mode", CHOICES["binarise"])
def test_a_large_file_is_trained_on_in_little_memory(mode, tmp_path):
    """With --latent 2, whose figures show every test image."""
    for name, N in (("small", 10_000), ("large", 400_000)):
        images = np.lib.format.open_memmap(tmp_path / f"{name}.npy", "w+", np.uint8, (N, 784))
        images[::100, ::7] = 255  # the rest takes no place on the disk
        size = images.nbytes
        del images
    words = ("--binarise", mode, "--epochs", 1, "--hidden", 8, "--latent", 2, "--batch-size", 500)
    result = python("-c", PEAKS, *words, cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert int(result.stdout.splitlines()[-1]) < size / 6
