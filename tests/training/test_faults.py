"""What can go wrong around a run: bad data, bad arguments, disks, numbers that diverge, pictures that fail.

Each is told in words that name the cure, with exit status 2 (1 for divergence), and leaves nothing half done.
"""

import gzip
import os
import pickle
import resource
import struct
import zipfile

import numpy as np
import pytest

from tests.commands import assert_misuse, call, command, python
from tests.data.test_formats import HEADER as NPY_HEADER
from tests.data.test_formats import npy_bytes
from tinyvae.disk.run import Run
from tinyvae.drawing import curves
from tinyvae.training.loop import Training
from tinyvae.training.optimisers import SGD

QUICK = ("--epochs", 2, "--hidden", 8, "--latent", 2, "--batch-size", 30)
IMAGES = np.random.default_rng(0).random((100, 6))


@pytest.fixture
def out(tmp_path):
    return tmp_path / "runs" / "faulty"


def with_value(value):
    images = IMAGES.copy()
    images[3, 4] = value
    return images


BAD_ARRAYS = {
    "nan": (with_value(np.nan), "1 of its values are infinite or not a number, the first at [3, 4]"),
    "infinity": (with_value(np.inf), "1 of its values are infinite"),
    "grey levels as floats": (IMAGES * 255, "rescale the data, or store grey levels as uint8"),
    "negative": (IMAGES - 0.5, "describes values from 0 to 1"),
    "one example": (IMAGES[:1], "1"),
    "no example": (IMAGES[:0], "0"),
    "no pixels": (IMAGES[:, :0], "(100, 0)"),
    "a number": (np.float32(3), "expected is (N, D), (N, height, width) or, in colour, (N, height, width, 3)"),
    "one dimension": (IMAGES[0], "(6,)"),
    "two channels": (np.zeros((100, 4, 4, 2), np.uint8), "(100, 4, 4, 2)"),
    "channels first": (np.zeros((100, 3, 4, 4), np.uint8), "(100, 3, 4, 4)"),
    "films": (np.zeros((100, 2, 4, 4, 3), np.uint8), "(100, 2, 4, 4, 3)"),
    "integers": (np.zeros((100, 6), np.int64), "int64"),
    "complex": (IMAGES * 1j, "complex128"),
    "strings": (np.full((100, 6), "a"), "<U1"),
    "objects": (np.full((100, 6), None), "object"),
    "records": (np.zeros(100, [("a", "u1"), ("b", "f4")]), "structures"),
    "black and nearly black": (np.eye(100, 6, dtype=np.uint8), "Save it as bool: x.astype(bool)"),
}


@pytest.mark.parametrize(("array", "message"), BAD_ARRAYS.values(), ids=BAD_ARRAYS)
@pytest.mark.parametrize("suffix", ["npy", "npz"])
def test_arrays_that_are_no_data(array, message, suffix, tmp_path, out):
    path = tmp_path / f"mine.{suffix}"
    np.savez(path, x=array, allow_pickle=True) if suffix == "npz" else np.save(path, array, allow_pickle=True)
    result = call(path, *QUICK, "--out", out)
    assert_misuse(result, "mine", message)
    assert not out.exists()


BAD_LABELS = {
    "missing": (None, "has no labels"),
    "too few": (np.zeros(99, int), "99"),
    "a column": (np.zeros((100, 1), int), "(100, 1): expected is (100,), one for each example in x. Save y.ravel()"),
    "rows with a single 1": (np.eye(100), "save y.argmax(axis=1)"),
    "fractions": (np.full(100, 0.5), "float64: expected are integers"),
    "whole numbers as floats": (np.ones(100), "They are whole numbers: save y.astype(int)"),
    "negative": (np.full(100, -1), "-1"),
    "huge": (np.full(100, 2**64 - 1, np.uint64), "18446744073709551615"),
    "strings": (np.full(100, "cat"), "in y.npy, it holds <U3"),
    "objects": (np.full(100, None), "in y.npy, it holds object"),
    "of all kinds": (np.array([1, "a", None, 0.5] * 25, object), "in y.npy, it holds object"),
    "None": (np.array(None), "in y.npy, it holds object"),
}


@pytest.mark.parametrize(("labels", "message"), BAD_LABELS.values(), ids=BAD_LABELS)
def test_labels_that_are_none(labels, message, tmp_path, out):
    arrays = {"x": IMAGES} | ({} if labels is None else {"y": labels})
    np.savez(tmp_path / "mine.npz", **arrays)
    assert_misuse(call(tmp_path / "mine.npz", *QUICK, "--conditional", "--out", out), "mine", message)
    assert not out.exists()


@pytest.mark.parametrize("values", [range(1, 11), (0, 900), (3, 7), (10**12,)], ids=str)
def test_labels_with_gaps_make_no_class_of_what_is_in_none(values, tmp_path, out):
    y = np.resize(np.array(values), 100)
    np.savez(tmp_path / "mine.npz", x=IMAGES, y=y)
    result = call(tmp_path / "mine.npz", *QUICK, "--conditional", "--out", out)
    assert result.returncode == 0, result.stderr
    run = Run.open(out)
    assert run.config()["dataset"]["n_labels"] == len(values)
    arrays, _ = run.load_checkpoint()
    np.savez(tmp_path / "counted.npz", x=IMAGES, y=np.searchsorted(values, y))
    assert call(tmp_path / "counted.npz", *QUICK, "--conditional", "--out", out / "counted").returncode == 0
    np.testing.assert_array_equal(Run.open(out / "counted").load_checkpoint()[0]["params"], arrays["params"])


LIES = {
    "a row as long as no memory": "(0, 4611686018427387904)",
    "too many dimensions": f"({'1, ' * 70})",
    "a length of True": "(True, 64)",
    "a length below zero": "(-1, -64)",
    "a length of 65 bits": "(18446744073709551616, 64)",
}


@pytest.mark.parametrize("shape", LIES.values(), ids=LIES)
@pytest.mark.parametrize("suffix", ["npy", "npz"])
def test_headers_that_lie(shape, suffix, tmp_path, out):
    path, content = (
        tmp_path / f"mine.{suffix}",
        npy_bytes(NPY_HEADER % ("'|u1'", shape), bytes(0 if "0," in shape else 64)),
    )
    if suffix == "npz":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("x.npy", content)
    else:
        path.write_bytes(content)
    assert_misuse(call(path, *QUICK, "--out", out), "mine")
    assert not out.exists()


LITTLE_MEMORY = """
import resource, sys
from tinyvae import train
from tinyvae.cli import console
from tinyvae.data import datasets

size = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (size + 2**30, size + 2**30))
console.run(lambda: train.main(sys.argv[1:]))
"""


def test_a_file_that_says_it_holds_2_gib_costs_the_process_none(tmp_path):
    """An .npz of 190 bytes, in a process that may have no more than a half of that beside what it has at first."""
    header = npy_bytes(NPY_HEADER % ("'|u1'", f"(2, {2**30})"))
    with zipfile.ZipFile(tmp_path / "mine.npz", "w") as archive:
        archive.writestr("x.npy", header)
    content = (tmp_path / "mine.npz").read_bytes()
    sizes, lie = (struct.pack("<II", size, size) for size in (len(header), len(header) + 2**31))
    (tmp_path / "mine.npz").write_bytes(content.replace(sizes, lie))
    assert content.count(sizes) == 2 and len(content) < 200
    result = python("-c", LITTLE_MEMORY, "mine.npz", "--out", "run", cwd=tmp_path)
    assert_misuse(result, "mine.npz: x.npy is to take 2,147,483,", "more than the 1")
    assert not (tmp_path / "run").exists()


# No file, and no data in the place where they should be


@pytest.mark.parametrize("name", ["mine.npy", "mine.npz"])
def test_a_pipe_in_the_place_of_a_file_is_not_waited_for(name, tmp_path):
    os.mkfifo(tmp_path / name)
    result = command(name, *QUICK, "--out", "run", cwd=tmp_path)
    assert_misuse(result, f"{name}: it is a pipe or a device, not a file")
    assert not (tmp_path / "run").exists()


def test_a_pipe_in_a_data_folder_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "train-images-idx3-ubyte")
    result = command("mnist", *QUICK, "--data-dir", tmp_path, "--out", "run", cwd=tmp_path)
    assert_misuse(result, f"{tmp_path}/train-images-idx3-ubyte: it is a folder, a pipe or a device, not a file")
    assert not (tmp_path / "run").exists()


def test_a_data_folder_without_the_data_is_named_with_what_was_looked_for(tmp_path):
    """Whether or not the data are in the cache: who names a folder means it."""
    (tmp_path / "data").mkdir()
    result = command("mnist", *QUICK, "--data-dir", "data", "--out", "run", cwd=tmp_path)
    names = "train-images-idx3-ubyte.gz or train-images-idx3-ubyte or train-images.idx3-ubyte.gz or train-images.idx3-"
    assert_misuse(
        result, "data: this folder (data_dir) holds nothing of mnist", names, "data/MNIST/raw", "$TINYVAE_DATA"
    )
    assert not (tmp_path / "run").exists()


class Malice:
    """Unpickled, it leaves a file."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return open, (self.path, "w")


@pytest.mark.parametrize("kind", ["npy", "npz", "raw"])
def test_pickles_are_never_loaded(kind, tmp_path, out):
    trap, path = tmp_path / "sprung", tmp_path / f"mine.{kind.replace('raw', 'npy')}"
    array = np.array([Malice(trap)] * 20)
    if kind == "raw":
        path.write_bytes(pickle.dumps(Malice(trap)))
    else:
        (np.save if kind == "npy" else np.savez)(path, array, allow_pickle=True)
    assert_misuse(call(path, *QUICK, "--out", out), "mine")
    assert not trap.exists() and not out.exists()


def mnist_folder(folder, content):
    """A data folder whose training images are ``content``; the other files of MNIST are not looked at before."""
    (folder / "mnist").mkdir(parents=True)
    (folder / "mnist/train-images-idx3-ubyte.gz").write_bytes(content)
    return folder


HEADER = struct.pack(">IIII", 0x803, 60000, 28, 28)
BAD_MNIST = {
    "a header that lies": gzip.compress(HEADER + bytes(1000)),
    "a bomb": gzip.compress(HEADER + bytes(60000 * 784 + 50_000_000)),
    "half a file": gzip.compress(HEADER + np.random.default_rng(0).bytes(10_000))[:5000],
    "no gzip": b"<html>not found</html>",
    "other content": gzip.compress(HEADER + bytes(60000 * 784)),
    "nothing": b"",
}


@pytest.mark.parametrize("content", BAD_MNIST.values(), ids=BAD_MNIST)
def test_a_wrong_mnist_is_named_with_the_command_that_always_works(content, tmp_path, out):
    folder = mnist_folder(tmp_path / "data", content)
    result = call("mnist", *QUICK, "--data-dir", folder, "--out", out)
    assert_misuse(result, "train-images-idx3-ubyte", "python -m tinyvae.train digits")
    assert not out.exists() and len(list(folder.rglob("*"))) == 2


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--hidden", "8,"), "--hidden"),
        (("--hidden", "8,"), "is needed, not an empty one"),
        (("--hidden", "x"), "is needed, not x"),
        (
            ("--weight-prior", "1e-200"),
            "a standard deviation from 1e-15 to 1e+15, or 0 for none, is needed, not 1e-200",
        ),
        (("--weight-prior", "1e300"), "or 0 for none, is needed, not 1e300"),
        (("--latent", "0"), "not 0"),
        (("--lr", "nan"), "not nan"),
        (("--lr", "inf"), "not inf"),
        (("--threads", "0"), "not 0"),
        (("--samples", "1.5"), "not 1.5"),
        (("--checkpoint-every", "0"), "--checkpoint-every"),
        (("--likelihood", "poisson"), "gaussian-linear"),
        (("--recipe", "iwae"), "iwae-2"),
        (("--bach-size", "10"), "did you mean --batch-size?"),
        (("--limit", "20"), "--batch-size 30 is more than the 20 training examples"),
    ],
)
def test_arguments_that_make_no_sense(words, message, out):
    assert_misuse(call("digits", *QUICK, *words, "--out", out), message)
    assert not out.exists()


def test_no_data_set_is_named():
    assert_misuse(call(), "name a data set, as in: python -m tinyvae.train digits")


# The folder of the run


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    tmp_path.chmod(0o555)
    # nothing is read-only to the superuser but what the kernel itself provides
    for place in ("/proc/tinyvae", "/dev/null/run") if os.geteuid() == 0 else (tmp_path / "run",):
        assert_misuse(call("digits", *QUICK, "--out", place), place, "cannot be made", "hoose another folder")


def test_a_file_where_the_folder_should_be(tmp_path):
    (tmp_path / "run").write_text("mine")
    assert_misuse(call("digits", *QUICK, "--out", tmp_path / "run"), "run")
    assert (tmp_path / "run").read_text() == "mine"


@pytest.mark.slow
def test_a_full_disk_costs_no_more_than_what_did_not_fit(tmp_path):
    """A limit to the size of a file stands for the disk: the first checkpoint is larger."""

    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))

    words = ("digits", *QUICK, "--out", "run")
    result = command(*words, cwd=tmp_path, preexec_fn=limit)
    assert_misuse(result, "checkpoint.npz: it cannot be written", "choose another folder")
    names = sorted(path.name for path in (tmp_path / "run").iterdir() if not path.name.startswith("."))
    assert names == ["config.json", "history.csv"] and len(Run.open(tmp_path / "run").history()) == 1
    assert call("--resume", tmp_path / "run", "--quiet").returncode == 0
    assert len(Run.open(tmp_path / "run").history()) == 2


# Numbers


@pytest.mark.parametrize("words", [("--beta", "1e+300"), ("--weight-prior", "1e-15")])
def test_a_divergence_names_what_may_have_made_it(words, no_pictures, out):
    result = call("digits", *QUICK, *words, "--out", out, "--quiet")
    assert result.returncode == 1 and "training diverged" in result.stderr
    assert f"than {' '.join(words)}" in result.stderr.splitlines()[1]


def test_data_that_lie_far_out_are_not_laid_to_the_step(no_pictures, out, tmp_path):
    np.save(tmp_path / "far.npy", np.random.default_rng(0).normal(0, 1e30, (100, 5)))
    result = call(tmp_path / "far.npy", "--likelihood", "gaussian-linear", "--hidden", 8, "--out", out, "--quiet")
    assert result.returncode == 1 and "diverged" not in result.stderr and "--lr" not in result.stderr
    assert "the bound of the first minibatch is -inf, before any step" in result.stderr
    assert "a value that lies far out, rescale the data" in result.stderr


@pytest.mark.parametrize("likelihood", ["bernoulli", "gaussian"])
def test_divergence_keeps_the_last_checkpoint_and_gives_advice_that_fits(likelihood, no_pictures, out, monkeypatch):
    words = ("digits", *QUICK, "--optimiser", "sgd", "--lr", 1e-3, "--likelihood", likelihood, "--epochs", 3)
    update = SGD.update

    def exploding(self, params, gradients, rate):
        return update(self, params, gradients, np.inf if exploding.steps == 80 else rate)

    exploding.steps = 0

    def counted(state, *args):
        exploding.steps += 1
        return step(state, *args)

    step = Training._step
    with monkeypatch.context() as context:
        context.setattr(SGD, "update", exploding)
        context.setattr(Training, "_step", counted)
        result = call(*words, "--out", out, "--quiet")
    assert result.returncode == 1 and "Traceback" not in result.stderr
    assert "in epoch 2, step 80: training diverged" in result.stderr
    assert "Try a smaller step than --lr 0.001" in result.stderr and "--beta" not in result.stderr
    assert ("their variances fall to the floor" in result.stderr) == (likelihood == "gaussian")
    assert f"{out} keeps the last checkpoint before it" in result.stderr
    arrays, state = Run.open(out).load_checkpoint()
    assert state["epoch"] == 1 and np.isfinite(arrays["params"]).all()
    assert call("--resume", out, "--quiet").returncode == 0
    assert len(Run.open(out).history()) == 3


# Pictures


def test_a_picture_that_cannot_be_drawn_is_a_warning_after_everything_is_safe(out, monkeypatch):
    def fail(*_, **__):
        assert (out / "checkpoint.npz").exists() and (out / "summary.json").exists()
        raise MemoryError("no more ink")

    monkeypatch.setattr(curves, "curve", fail)
    result = call("digits", *QUICK, "--out", out)
    assert result.returncode == 0
    fault = "figures/curve.png: MemoryError: no more ink"
    assert f"warning: not all figures were drawn ({fault}); the run itself is complete" in result.stderr
    # which that is no reason to be without
    others = [f"figures/{name}.png" for name in ("latent", "manifold", "reconstructions", "samples")]
    assert sorted(path.relative_to(out).as_posix() for path in (out / "figures").iterdir()) == others
    assert all(f"  {name}\n" in result.stdout for name in others) and "curve.png" not in result.stdout
    assert "test bound" in result.stdout and Run.open(out).read_json("summary.json")["epochs"] == 2


def test_a_folder_of_figures_that_cannot_be_made_is_a_warning(out, monkeypatch):
    write_summary = Run.write_summary

    def and_a_file_in_the_way(run, content):
        write_summary(run, content)
        (out / "figures").write_text("mine")

    monkeypatch.setattr(Run, "write_summary", and_a_file_in_the_way)
    result = call("digits", *QUICK, "--out", out)
    assert result.returncode == 0 and "warning: not all figures were drawn" in result.stderr
    assert (out / "figures").read_text() == "mine"


def test_no_display_is_needed(tmp_path):
    env = {name: "" for name in ("DISPLAY", "WAYLAND_DISPLAY")} | {"MPLBACKEND": "TkAgg"}
    result = command("digits", *QUICK, "--out", "run", cwd=tmp_path, env=env)
    assert result.returncode == 0 and result.stderr.count("warning") == 0
    assert len(list((tmp_path / "run/figures").iterdir())) == 5
