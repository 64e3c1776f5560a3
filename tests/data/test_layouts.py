"""Folders as data sets are published in, made here in small: read right, with their own split, or refused in words."""

import gzip

import numpy as np
import pytest

from tests.commands import call
from tests.data.refusals import refusal
from tests.data.test_formats import idx_bytes
from tinyvae.data import datasets
from tinyvae.training import run_figures

TRAIN, TEST = (np.random.default_rng(n).integers(0, 256, (n, 5, 4), np.uint8) for n in (7, 3))
Y_TRAIN, Y_TEST = (np.arange(n, dtype=np.uint8) % 3 for n in (7, 3))


def put(folder, pattern="{}-{}-ubyte.gz", test="t10k", arrays=(TRAIN, Y_TRAIN, TEST, Y_TEST)):
    """The four files of an IDX data set."""
    folder.mkdir(exist_ok=True)
    kinds = ("train", "images-idx3"), ("train", "labels-idx1"), (test, "images-idx3"), (test, "labels-idx1")
    for (part, kind), array in zip(kinds, arrays):
        name = pattern.format(part, kind)
        content = idx_bytes(array)
        (folder / name).write_bytes(gzip.compress(content, mtime=0) if name.endswith(".gz") else content)
    return folder


def assert_is(dataset, arrays=(TRAIN, Y_TRAIN, TEST, Y_TEST)):
    x_train, y_train, x_test, y_test = arrays
    np.testing.assert_array_equal(dataset.train.reshape(x_train.shape), x_train)
    np.testing.assert_array_equal(dataset.test.reshape(x_test.shape), x_test)
    np.testing.assert_array_equal(dataset.classes[dataset.train_labels], y_train)
    np.testing.assert_array_equal(dataset.classes[dataset.test_labels], y_test)
    assert dataset.data_shape == x_train.shape[1:] and dataset.pictures is None


@pytest.mark.parametrize("pattern", ["{}-{}-ubyte.gz", "{}-{}-ubyte", "kmnist-{}-{}-ubyte.gz"])
def test_idx_files_are_a_data_set_with_its_own_split(tmp_path, pattern):
    loaded = datasets.load(put(tmp_path / "fashion", pattern))
    assert loaded.name == "fashion"
    assert_is(loaded)


def test_the_named_one_of_two_files_is_read(tmp_path):
    """Unpacked beside packed; without a name they are taken to be the same."""
    folder = put(tmp_path / "a")
    other = 255 - TRAIN
    put(folder, "{}-{}-ubyte", arrays=(other, Y_TRAIN, TEST, Y_TEST))
    assert_is(datasets.load(folder / "train-images-idx3-ubyte"), (other, Y_TRAIN, TEST, Y_TEST))
    assert_is(datasets.load(folder / "train-images-idx3-ubyte.gz"))


def test_idx_files_that_are_not_understood_are_named(tmp_path):
    folder = put(tmp_path / "a")
    (folder / "qmnist-train-labels-idx2-int").write_bytes(b"\0")
    loaded = datasets.load(folder)
    assert_is(loaded)
    assert loaded.notes[0] == "IDX files that stay unread: qmnist-train-labels-idx2-int"
    (folder / "qmnist-train-labels-idx2-int").unlink()
    assert datasets.load(folder).notes == ()


def test_a_dot_may_stand_before_idx(tmp_path):
    put(tmp_path / "a", "{}-{}-ubyte")
    for path in (tmp_path / "a").iterdir():
        path.rename(path.with_name(path.name.replace("-idx", ".idx")))
    assert_is(datasets.load(tmp_path / "a"))


def test_emnist_is_put_upright(tmp_path):
    """It is stored column by column, its test set is called test, and its letters are counted from 1."""
    stored = TRAIN.swapaxes(1, 2), Y_TRAIN + 1, TEST.swapaxes(1, 2), Y_TEST + 1
    loaded = datasets.load(put(tmp_path / "gzip", "emnist-letters-{}-{}-ubyte.gz", "test", stored))
    assert_is(loaded, (TRAIN, Y_TRAIN + 1, TEST, Y_TEST + 1))
    assert loaded.notes == ("the labels (1, 2, 3) are numbered from 0 to 2, in this order",)


@pytest.mark.parametrize("name", ["emnist-digits", "emnist-mnist", "mnist"])
def test_every_set_of_emnist_is_put_upright_and_no_other(tmp_path, name):
    arrays = TRAIN, Y_TRAIN, TEST, Y_TEST
    if name.startswith("emnist"):
        arrays = TRAIN.swapaxes(1, 2), Y_TRAIN, TEST.swapaxes(1, 2), Y_TEST
    assert_is(datasets.load(put(tmp_path / "gzip", name + "-{}-{}-ubyte.gz", "test", arrays)))


def test_of_several_sets_in_a_folder_one_is_named_by_a_file(tmp_path):
    digits = put(tmp_path / "gzip", "emnist-digits-{}-{}-ubyte.gz", "test")
    letters = put(digits, "emnist-letters-{}-{}-ubyte.gz", "test", (TRAIN + 1, Y_TRAIN, TEST + 1, Y_TEST))
    message = refusal(letters)
    assert "IDX files of several data sets: name one file of the one you mean (emnist-digits-t" in message
    loaded = datasets.load(letters / "emnist-letters-train-images-idx3-ubyte.gz")
    assert loaded.name == "emnist-letters"
    assert_is(loaded, ((TRAIN + 1).swapaxes(1, 2), Y_TRAIN, (TEST + 1).swapaxes(1, 2), Y_TEST))


def test_a_set_without_labels(tmp_path):
    folder = put(tmp_path / "a")
    for path in folder.glob("*labels*"):
        path.unlink()
    loaded = datasets.load(folder)
    assert loaded.train_labels is None and len(loaded.train) == 7


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("t10k-images-idx3-ubyte.gz", None, "and no IDX file of the test images"),
        ("train-images-idx3-ubyte.gz", None, "and no IDX file of the train images"),
        ("train-labels-idx1-ubyte.gz", None, "labels for one of the training and test sets, and not for the other"),
        ("train-images-idx3-ubyte.gz", idx_bytes(TRAIN)[:-1], "it ends early, after 139 of 140 bytes"),
        ("train-images-idx3-ubyte.gz", idx_bytes(TRAIN) + b"\0", "it goes on after the 140 bytes"),
        ("train-images-idx3-ubyte.gz", idx_bytes(Y_TRAIN), "no IDX file of bytes with 3 dimensions"),
        ("train-images-idx3-ubyte.gz", b"", "it ends early"),
        ("train-images-idx3-ubyte.gz", b"\0\0\x08\x03" + b"\xff" * 12 + b"\0" * 9, "more than its 25 bytes can hold"),
        ("t10k-images-idx3-ubyte.gz", idx_bytes(TRAIN.swapaxes(1, 2)), "have the shape (5, 4), its test images (4, 5)"),
        ("t10k-images-idx3-ubyte.gz", idx_bytes(TEST[:0]), "its array is empty (shape (0, 5, 4))"),
        ("train-labels-idx1-ubyte.gz", idx_bytes(Y_TEST), "its labels y have the shape (3,): expected is (7,)"),
        (
            "train-images-idx3-ubyte.gz",
            gzip.compress(idx_bytes(TRAIN), mtime=0)[:-5],
            "it is damaged (Compressed file ended",
        ),
    ],
)
def test_a_missing_or_damaged_idx_file_is_named(tmp_path, name, content, reason):
    folder = put(tmp_path / "a")
    (folder / name).unlink()
    if content is not None:
        (folder / name).write_bytes(content)
    message = refusal(folder)
    assert message.startswith(f"{folder}: ") and reason in message and message.endswith(datasets.ACCEPTED)
    if "it " in reason and content is not None:
        assert name in message


def test_the_command_takes_such_a_folder_and_refuses_a_size(tmp_path):
    folder = put(tmp_path / "fashion")
    words = ("--epochs", 1, "--hidden", 8, "--latent", 3, "--quiet", "--out", tmp_path / "run")
    assert call(folder, *words).returncode == 0
    assert call("--resume", tmp_path / "run", "--epochs", 2, "--quiet").returncode == 0
    assert "--size can be asked of a folder of pictures only" in refusal(folder, size=8)


# CIFAR


def cifar(n, n_labels=1, n_classes=10):
    """(records as CIFAR has them, pictures (n, 32, 32, 3), labels)."""
    random = np.random.default_rng(n)
    pictures = random.integers(0, 256, (n, 32, 32, 3), np.uint8)
    labels = random.integers(0, n_classes, (n, n_labels), np.uint8)
    planes = [pictures[..., colour].reshape(n, -1) for colour in range(3)]
    return np.concatenate([labels, *planes], axis=1).tobytes(), pictures, labels[:, -1]


@pytest.fixture
def cifar10(tmp_path):
    """A folder with CIFAR-10's six files, of a few pictures each, and (x_train, y_train, x_test, y_test)."""
    names = [*(f"data_batch_{i}.bin" for i in range(1, 6)), "test_batch.bin"]
    content = [cifar(n) for n in (2, 3, 4, 5, 6, 7)]
    for name, (records, _, _) in zip(names, content):
        (tmp_path / name).write_bytes(records)
    x, y = (np.concatenate([part[i] for part in content[:5]]) for i in (1, 2))
    return tmp_path, (x, y, *content[5][1:])


def test_cifar_10_is_in_colour_and_keeps_its_split(cifar10):
    folder, arrays = cifar10
    assert_is(datasets.load(folder), arrays)


def test_cifar_10_is_trained_on_by_its_recipe(cifar10, tmp_path, monkeypatch):
    """With the whole protocol, and counted in bits; on made files of the same layout."""
    monkeypatch.setattr(run_figures, "drawings", lambda *_: {})  # which take long in colour
    folder, _ = cifar10
    sizes = ("--recipe", "colour", "--channels", 4, "--hidden", 8, "--latent", 2, "--epochs", 1)
    result = call(folder, *sizes, "--out", tmp_path / "run")
    assert result.returncode == 0, result.stderr
    words = " ".join(result.stdout.split())
    assert "bits per dimension" in words and "Bernoulli" not in result.stderr
    assert "conv (channels 4, kernel 4, stride 2, relu) 8-2, normal prior, logistic-colour, 1 epoch," in words


def test_colours_under_a_bernoulli_are_remarked_on(cifar10, tmp_path):
    result = call(cifar10[0], "--hidden", 8, "--latent", 2, "--epochs", 1, "--out", tmp_path / "run")
    assert result.returncode == 0 and "--recipe colour has a likelihood of their 256 levels" in result.stderr


def test_cifar_100_has_its_fine_labels(tmp_path):
    train, test = cifar(9, 2, 100), cifar(4, 2, 100)
    (tmp_path / "train.bin").write_bytes(train[0])
    (tmp_path / "test.bin").write_bytes(test[0])
    assert_is(datasets.load(tmp_path), (*train[1:], *test[1:]))


def test_a_missing_or_damaged_batch_is_named(cifar10):
    folder, _ = cifar10
    whole = (folder / "data_batch_3.bin").read_bytes()
    for content, reason in {
        whole[:-1]: "in data_batch_3.bin, it has 12,291 bytes, which is no multiple of the 3,073 of a picture",
        b"": "in data_batch_3.bin, it has 0 bytes",
        b"\x0a" + whole[1:]: "its labels go up to 10, and not to 9: it is damaged",
    }.items():
        (folder / "data_batch_3.bin").write_bytes(content)
        assert reason in refusal(folder)
    (folder / "data_batch_3.bin").unlink()
    assert "data_batch_3.bin cannot be read (No such file or directory)" in refusal(folder)


@pytest.mark.parametrize(
    ("names", "archive"),
    [
        (("data_batch_1", "data_batch_2", "test_batch", "batches.meta"), "cifar-10-binary.tar.gz"),
        (("train", "test", "meta"), "cifar-100-binary.tar.gz"),
    ],
)
def test_pickles_are_refused_and_never_opened(tmp_path, names, archive):
    for name in names:
        (tmp_path / name).write_bytes(b"cos\nsystem\n(S'false'\ntR.")
    message = refusal(tmp_path)
    assert "CIFAR for Python, which is pickles" in message and f"Take {archive} from https://" in message
