"""What load promises: the content unchanged, the same split for ever, a refusal with its reason for all else."""

import hashlib
import os
import runpy
import sys
from importlib.machinery import ModuleSpec
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.datasets import load_digits

from tests.commands import python
from tests.data.refusals import refusal
from tinyvae.data import datasets, downloads, rows
from tinyvae.data.sequences import Strings

ROOT = Path(__file__).parents[2]
SCRIPTS = ROOT / "data_scripts"
random = np.random.RandomState(4)
GREY = random.randint(0, 256, (20, 6, 5), np.uint8)


@pytest.fixture
def file(tmp_path):
    """Call it with an array, or with x= and y=, for the path of a file with them."""

    def save(array=None, **arrays):
        path = tmp_path / ("mine.npy" if array is not None else "mine.npz")
        np.save(path, array) if array is not None else np.savez(path, **arrays)
        return path

    return save


# The digits, and what all sets have in common


def test_digits_are_scikit_learns():
    digits, bundled = datasets.load("digits"), load_digits()
    assert (digits.name, digits.data_shape, digits.n_labels) == ("digits", (8, 8), 10)
    assert digits.train.shape == (1617, 64) and digits.test.shape == (180, 64)
    assert digits.train.dtype == digits.test.dtype == np.float32
    order = np.random.RandomState(0).permutation(1797)
    np.testing.assert_array_equal(np.concatenate([digits.test, digits.train]) * 16, bundled.data[order])
    np.testing.assert_array_equal(np.concatenate([digits.test_labels, digits.train_labels]), bundled.target[order])
    assert digits.train_labels.dtype == digits.test_labels.dtype == np.int64


def test_digits_are_read_without_scikit_learn_or_by_it(monkeypatch, tmp_path):
    load = "import sys; from tinyvae.data import datasets; datasets.load('digits')"
    result = python("-c", f"{load}; assert 'sklearn' not in sys.modules", cwd=ROOT)
    assert result.returncode == 0, result.stderr
    own = datasets.load("digits")
    for found in (None, ModuleSpec("sklearn", None, origin=str(tmp_path / "__init__.py"))):  # the file is not there
        monkeypatch.setattr(datasets.importlib.util, "find_spec", lambda name, found=found: found)
        assert datasets.load("digits").digest == own.digest


def test_the_split_is_the_same_on_every_machine_for_ever():
    """These numbers are in everybody's saved runs: they must not change."""
    assert datasets.load("digits").digest == "d52561050c0c66fd906d48d00e6497e109ef2957ad89062c416b72a474e2d3f2"


@pytest.mark.parametrize(("n", "n_test"), [(2, 1), (3, 1), (14, 1), (15, 2), (24, 2), (25, 3), (1000, 100)])
def test_a_tenth_is_held_out(file, n, n_test):
    """No example is lost, doubled, or parted from its label."""
    x = np.arange(n * 4, dtype=np.float64).reshape(n, 4)
    split = datasets.load(file(x=x, y=np.arange(n)))
    assert len(split.test) == n_test and len(split.train) == n - n_test
    np.testing.assert_array_equal(split.train, x[split.train_labels])
    np.testing.assert_array_equal(split.test, x[split.test_labels])
    assert sorted([*split.train_labels, *split.test_labels]) == list(range(n))


def test_a_limit_keeps_the_first_training_examples():
    whole, few = datasets.load("digits"), datasets.load("digits", limit=100)
    np.testing.assert_array_equal(few.train, whole.train[:100])
    np.testing.assert_array_equal(few.train_labels, whole.train_labels[:100])
    np.testing.assert_array_equal(few.test, whole.test)
    assert few.digest != whole.digest
    assert datasets.load("digits", limit=10_000).digest == whole.digest
    for limit in (0, -3):
        assert f"a limit of {limit} training examples" in refusal("digits", limit=limit)


def test_the_digest_is_of_the_content(file, tmp_path):
    x, y = GREY, np.arange(20) % 3
    digest = datasets.load(file(x=x, y=y)).digest
    np.savez_compressed(tmp_path / "other-name.npz", x=np.asfortranarray(x), y=y.astype(np.uint8))
    assert datasets.load(tmp_path / "other-name.npz").digest == digest
    different = x.copy()
    different[7, 1, 2] ^= 1
    for arrays in (
        {"x": different, "y": y},
        {"x": x, "y": (y + 1) % 3},
        {"x": x},
        {"x": x.astype(np.float32), "y": y},
    ):
        assert datasets.load(file(**arrays)).digest != digest


# Files of the user's


@given(
    hnp.arrays(
        st.sampled_from([np.uint8, np.bool_, np.float16, np.float32, np.float64, ">f4"]),
        hnp.array_shapes(min_dims=2, max_dims=3, min_side=2, max_side=6) | st.just((4, 2, 5, 3)),
        elements={"allow_nan": False, "allow_infinity": False},
    ),
    st.booleans(),
)
def test_values_are_never_changed(tmp_path_factory, x, fortran):
    if x.dtype == np.uint8:
        x[0, 0] = 2  # at most 1 would be refused
    path = tmp_path_factory.getbasetemp() / "any.npy"
    np.save(path, np.asfortranarray(x) if fortran else x)
    loaded = datasets.load(path)
    assert (
        loaded.train.dtype == loaded.test.dtype == (np.float32 if x.dtype == np.float16 else x.dtype.newbyteorder("="))
    )
    train = np.asarray(loaded.train)
    assert train.flags.c_contiguous and train.flags.writeable
    order = np.random.RandomState(0).permutation(len(x))
    np.testing.assert_array_equal(np.concatenate([loaded.test, train]), x.reshape(len(x), -1)[order])


@pytest.mark.parametrize(
    ("shape", "data_shape"),
    [
        ((9, 6, 5), (6, 5)),
        ((9, 49), (7, 7)),
        ((9, 50), (1, 50)),
        ((9, 1), (1, 1)),
        ((9, 2), (1, 2)),
        ((9, 6, 5, 3), (6, 5, 3)),
        ((9, 6, 5, 1), (6, 5)),
        ((9, 6, 3), (6, 3)),
    ],
)
def test_the_shape_is_the_arrays_or_a_square_or_a_row(file, shape, data_shape):
    loaded = datasets.load(file(np.zeros(shape)))
    assert loaded.data_shape == data_shape
    assert all(type(side) is int for side in loaded.data_shape)  # it is written to a JSON file
    assert loaded.name == "mine" and loaded.train.shape == (8, np.prod(data_shape))


def test_colours_stand_last_in_every_row(file):
    pictures = np.random.default_rng(0).random((20, 6, 5, 3))
    loaded = datasets.load(file(x=pictures, y=np.arange(20)))
    for images, labels in ((loaded.train, loaded.train_labels), (loaded.test, loaded.test_labels)):
        np.testing.assert_array_equal(images.reshape(-1, *loaded.data_shape), pictures[labels])


def test_labels_are_optional(file):
    without = datasets.load(file(GREY))
    assert without.train_labels is None and without.test_labels is None and without.n_labels == 0
    assert datasets.load(str(file(pictures=GREY))).digest == without.digest
    assert without.classes is None and without.notes == ()


def test_arrays_beside_x_and_y_are_named(file):
    assert datasets.load(file(x=GREY, mask=GREY)).notes == ("the array mask of mine.npz stays unread",)
    notes = datasets.load(file(x=GREY, y=np.arange(20) + 1, z=GREY, mask=GREY)).notes
    assert notes[0] == "the arrays z, mask of mine.npz stay unread" and notes[1].startswith("the labels")


# Labels


@pytest.mark.parametrize("dtype", ["int64", "uint8", ">i2", "uint64"])
@pytest.mark.parametrize(
    ("values", "said"),
    [
        (range(10), None),
        (range(1, 11), "the labels (1, 2, 3, 4, 5, ..., 10) are numbered from 0 to 9, in this order"),
        ((0, 200), "the labels (0, 200) are numbered from 0 to 1, in this order"),
        ((7, 3), "the labels (3, 7) are numbered from 0 to 1, in this order"),
        ((5,), "the labels (5) are numbered from 0 to 0, in this order"),
        ((0,), None),
    ],
    ids=str,
)
def test_classes_count_from_0_and_have_their_labels_and_where_labels_do_not_it_is_said(file, values, said, dtype):
    y = np.resize(np.array(values, dtype), 60)
    loaded = datasets.load(file(x=np.arange(240.0).reshape(60, 4), y=y))
    assert loaded.n_labels == len(values) and loaded.notes == ((said,) if said else ())
    assert loaded.classes.tolist() == sorted(values) and loaded.classes.dtype == np.int64
    for images, labels in ((loaded.train, loaded.train_labels), (loaded.test, loaded.test_labels)):
        assert labels.dtype == np.int64
        np.testing.assert_array_equal(loaded.classes[labels], y[images[:, 0].astype(int) // 4])


@given(hnp.arrays(st.sampled_from(["i1", "<u2", ">i8", "u8"]), 20))
def test_any_labels_are_numbered_right_or_refused(tmp_path_factory, y):
    path = tmp_path_factory.getbasetemp() / "any.npz"
    np.savez(path, x=np.arange(20.0)[:, None], y=y)
    if min(map(int, y)) < 0 or max(map(int, y)) >= 2**63:
        assert f"its labels y go from {y.min()} to {y.max()}" in refusal(path)
    else:
        loaded = datasets.load(path)
        together = np.concatenate([loaded.test_labels, loaded.train_labels])
        order = np.random.RandomState(0).permutation(20)
        np.testing.assert_array_equal(loaded.classes[together], y[order].astype(np.int64))
        assert sorted(set(together)) == list(range(loaded.n_labels))


def test_labels_that_no_training_example_has_are_named(file):
    y = np.zeros(20, np.uint8)
    y[int(np.random.RandomState(0).permutation(20)[0])] = 6  # in the test set only
    loaded = datasets.load(file(x=GREY, y=y))
    assert loaded.n_labels == 2 and sorted(loaded.test_labels) == [0, 1] and set(loaded.train_labels) == {0}
    assert loaded.notes == (
        "the labels (0, 6) are numbered from 0 to 1, in this order",
        "some labels (6) are in no training example: a conditional model cannot learn them",
    )


def test_a_limit_changes_no_class_and_says_which_it_leaves_out():
    few = datasets.load("digits", limit=5)
    assert few.n_labels == 10 and few.classes.tolist() == list(range(10))
    unseen = sorted(set(range(10)) - set(few.train_labels))
    assert few.notes[0].startswith(f"some labels ({', '.join(map(str, unseen))}) are in no training example")
    assert datasets.load("digits").notes == ()


def test_the_digest_is_of_the_labels_as_they_were_given(file):
    """So that data that were trained on before labels were renumbered are still those of their run."""
    loaded, order = datasets.load(file(x=GREY, y=np.arange(20) % 2 * 900)), np.random.RandomState(0).permutation(20)
    y, digest = np.arange(20) % 2 * 900, hashlib.sha256()
    for part in (GREY.reshape(20, 30)[order[2:]], GREY.reshape(20, 30)[order[:2]], y[order[2:]], y[order[:2]]):
        digest.update(f"{part.dtype.str} {part.shape} ".encode() + part.tobytes())
    assert loaded.digest == digest.hexdigest()


@pytest.mark.parametrize(
    ("x_train", "x_test", "reason"),
    [
        (GREY[:8] / 99 * np.nan, GREY[8:10] / 255, "of its values are infinite or not a number"),
        (GREY[:8].astype(np.int64), GREY[8:10], "its array is of type int64"),
        (GREY[:8], GREY[8:10].astype("<U3"), "its array is of type <U3"),
        (GREY[:8], GREY[8:10, 1:], f"its training images have the shape {GREY.shape[1:]}, its test images"),
        (GREY[:8], GREY[:0], "its examples are empty"),
        ((GREY[:8] > 99).astype(np.uint8), GREY[8:10], "uint8 with no value above 1"),
    ],
)
def test_the_images_of_a_set_with_a_name_are_checked_too(monkeypatch, x_train, x_test, reason):
    monkeypatch.setitem(datasets.DATASETS, "bars", lambda _: (x_train, None, x_test, None))
    message = refusal("bars")
    assert message.startswith("bars: ") and reason in message and "settings.DATASETS['bars']" in message


@pytest.mark.parametrize("strings", [[], ["one"]])
def test_of_strings_two_are_needed(monkeypatch, strings):
    monkeypatch.setitem(datasets.DATASETS, "words", lambda _: Strings(strings))
    assert f"words: the number of its strings is {len(strings)}: at least 2 are needed" in refusal("words")


@pytest.mark.parametrize(
    ("y_train", "y_test", "reason"),
    [
        (np.arange(8), None, "it has labels for one of the training and test sets, and not for the other"),
        (np.arange(8), np.arange(3), "its labels y have the shape (3,): expected is (2,)"),
        (np.arange(8), np.array([0.5, 1]), "its labels y are of type float64: expected are integers"),
        (np.arange(8), np.array([0, None]), "its labels y are of type object: expected are integers"),
        (np.array([*"abcdefgh"]), np.arange(2), "its labels y are of type <U1: expected are integers"),
        (np.arange(8) - 1, np.arange(2), "its labels y go from -1 to 6"),
    ],
)
def test_the_labels_of_a_set_with_a_name_are_checked_too(monkeypatch, y_train, y_test, reason):
    monkeypatch.setitem(datasets.DATASETS, "bars", lambda _: (GREY[:8], y_train, GREY[8:10], y_test))
    assert refusal("bars").startswith(f"bars: {reason}")


# Arrays


@pytest.mark.parametrize(
    ("array", "reason"),
    [
        (GREY[:1], "the number of its examples is 1: at least 2 are needed"),
        (GREY[:0], "the number of its examples is 0: at least 2 are needed"),
        (GREY[:, :0], "its examples are empty (shape (20, 0, 5))"),
        (GREY[0, 0], "its array has the shape (5,): expected is (N, D), (N, height, width) or, in colour, (N, "),
        (np.stack([GREY, GREY], axis=3), "its array has the shape (20, 6, 5, 2)"),
        (np.stack([GREY, GREY, GREY], axis=1), "its array has the shape (20, 3, 6, 5)"),  # colours first
        (GREY[..., None, None], "its array has the shape (20, 6, 5, 1, 1)"),
        (np.zeros((0, 0, 0)), "the number of its examples is 0"),
        (GREY.astype(np.int64), "its array is of type int64: convert it to uint8 (grey levels 0 to 255), bool"),
        (GREY.astype(np.int8), "its array is of type int8"),
        (GREY.astype(np.uint16), "its array is of type uint16"),
        (GREY.astype(np.complex64), "its array is of type complex64"),
        (GREY.astype(np.longdouble), "its array is of type"),
        (np.full((4, 4), "black"), "it holds <U5: objects (pickles), structures, text and dates"),
        (np.zeros((4, 4), "datetime64[D]"), "it holds datetime64[D]"),
        (np.zeros(4, [("a", "u1"), ("b", "f4")]), "structures"),
        ((GREY > 99).astype(np.uint8), "uint8 with no value above 1, which would mean black and nearly black (1/255)"),
    ],
)
def test_arrays_that_are_no_images_are_refused(file, array, reason):
    path = file(array)
    message = refusal(path)
    assert message.startswith(f"{path}: ") and reason in message
    assert message.endswith(datasets.ACCEPTED)


def test_bytes_that_are_all_black_are_images(file):
    loaded = datasets.load(file(np.zeros_like(GREY)))
    assert loaded.train.dtype == np.uint8 and not np.any(loaded.train) and loaded.data_shape == (6, 5)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_are_counted_and_the_first_is_shown(file, dtype, value):
    x = np.zeros((5, 3, 4), dtype)
    x[2, 1, 3] = x[4, 0, 0] = value
    assert "2 of its values are infinite or not a number, the first at [2, 1, 3]" in refusal(file(x))


def test_float_values_are_not_held_to_the_unit_interval(file):
    assert np.max(datasets.load(file(np.linspace(-5, 300, 40).reshape(10, 4))).train) > 1


@pytest.mark.parametrize(
    ("labels", "reason"),
    [
        (np.arange(19), "its labels y have the shape (19,): expected is (20,)"),
        (np.zeros((20, 1), int), "(20, 1): expected is (20,), one for each example in x. Save y.ravel()"),
        (np.eye(20), "(20, 20): expected is (20,), one for each example in x. Of rows with a single 1, save y.argmax("),
        (np.zeros((19, 1), int), "its labels y have the shape (19, 1): expected is (20,), one for each example in x\n"),
        (np.zeros(20), "type float64: expected are integers. They are whole numbers: save y.astype(int)"),
        (np.full(20, 0.5), "its labels y are of type float64: expected are integers\n"),
        (np.full(20, np.nan), "its labels y are of type float64: expected are integers\n"),
        (np.zeros(20, complex), "its labels y are of type complex128: expected are integers\n"),
        (np.zeros(20, bool), "its labels y are of type bool: expected are integers. They are whole numbers"),
        (np.array(["a"] * 20), "in y.npy, it holds <U1: objects"),
        (np.array(["a", 1, None, 0.5] * 5, object), "in y.npy, it holds object: objects"),
        (np.array(None), "in y.npy, it holds object: objects"),
        (np.arange(20) - 1, "its labels y go from -1 to 18: number the classes 0, 1, 2, ..."),
        (np.full(20, 2**64 - 1, np.uint64), f"to {2**64 - 1}"),
        (np.array(3), "its labels y have the shape (): expected is (20,)"),
    ],
)
def test_labels_that_do_not_fit_are_refused(file, labels, reason):
    assert reason in refusal(file(x=GREY, y=labels))


def test_more_values_than_classes_can_have_are_refused(file):
    x, y = np.zeros((10_001, 1), np.float32), np.arange(10_001) * 17
    assert "its labels y have 10,001 values: at most 10,000 classes are taken" in refusal(file(x=x, y=y))
    assert datasets.load(file(x=x[1:], y=y[1:])).n_labels == 10_000


# Names


@pytest.mark.parametrize(
    ("name", "nearest"), [("mnsit", "mnist"), ("MNIST", "mnist"), ("Frey", "frey"), ("digit", "digits")]
)
def test_the_nearest_name_is_suggested(name, nearest):
    message = refusal(name)
    assert message.startswith(
        f"'{name}' is neither a data set's name nor a file or a folder. Did you mean {nearest}?\n"
    )
    assert message.endswith(datasets.ACCEPTED)


def test_other_sources_are_refused(tmp_path):
    for source in ("cifar10", "missing.npy", "", "a" * 5000, "a\0b.npy", tmp_path / "missing.npz"):
        assert refusal(source).endswith(datasets.ACCEPTED)
    (tmp_path / "folder.npy").mkdir()
    assert "it holds no picture, and no file" in refusal(tmp_path / "folder.npy")
    (tmp_path / "image.png").touch()
    assert "files with the suffix '.png' cannot be read" in refusal(tmp_path / "image.png")
    (tmp_path / "none").touch()
    assert "files with the suffix '' cannot be read" in refusal(tmp_path / "none")


def test_a_path_may_begin_at_the_home_folder_and_hold_anything(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    np.save(tmp_path / "my pictures, ü 2.npy", GREY)
    assert datasets.load("~/my pictures, ü 2.npy").name == "my pictures, ü 2"
    assert "neither a data set's name nor a file or a folder" in refusal("~nobody-here/a.npy")


def test_a_pipe_or_a_device_is_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "a.npy")
    os.mkfifo(tmp_path / "a.npz")
    (tmp_path / "b.npy").symlink_to("/dev/zero")
    for name in ("a.npy", "a.npz", "b.npy"):
        assert "it is a pipe or a device, not a file" in refusal(tmp_path / name)


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may read everything")
def test_a_file_that_may_not_be_read_is_named(file):
    path = file(GREY)
    path.chmod(0)
    assert refusal(path).startswith(f"{path}: it cannot be read (Permission denied)")


def test_the_suffix_may_be_in_capitals(tmp_path):
    with open(tmp_path / "A.NPY", "wb") as file:
        np.save(file, GREY)
    assert datasets.load(tmp_path / "A.NPY").name == "A"


# Intensities


def test_intensities():
    every_level = np.arange(256, dtype=np.uint8)
    for dtype in (np.float32, np.float64):
        intensities = datasets.to_float(every_level, dtype)
        assert intensities.dtype == dtype
        np.testing.assert_array_equal(intensities, np.arange(256).astype(dtype) / dtype(255))
        assert intensities[0] == 0 and intensities[255] == 1
        black_and_white = datasets.to_float(np.array([[False, True]]), dtype)
        assert black_and_white.dtype == dtype and black_and_white.tolist() == [[0, 1]]
        floats = datasets.to_float(np.array([-1.5, 300.25]), dtype)
        assert floats.dtype == dtype and floats.tolist() == [-1.5, 300.25]
    assert datasets.to_float(every_level).dtype == np.float32


@pytest.mark.parametrize("levels", [2, 256])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_level_may_be_rounded_and_not_be_a_hundredth_off(dtype, levels):
    exact = np.linspace(0, 1, levels)[None]
    assert datasets.on_levels(exact.astype(dtype), levels)
    for shift in (-0.1, -0.01, 0.01, 0.1):
        off = exact.copy()
        off[0, levels // 2] += shift / (levels - 1)
        assert not datasets.on_levels(off.astype(dtype), levels)


# The scripts


def run_script(name, monkeypatch, *arguments):
    """The exit status of a script of data_scripts."""
    monkeypatch.setattr(sys, "argv", [name, *map(str, arguments)])
    with pytest.raises(SystemExit) as end:
        runpy.run_path(str(SCRIPTS / name), run_name="__main__")
    return end.value.code or 0


def test_make_digits_writes_what_load_takes(tmp_path, monkeypatch, capsys):
    path = tmp_path / "mine.npz"
    assert run_script("make_digits.py", monkeypatch, path) == 0
    assert capsys.readouterr().out == f"{path}\n"
    assert datasets.load(path).digest == datasets.load("digits").digest
    assert [entry.name for entry in tmp_path.iterdir()] == ["mine.npz"]


def test_make_digits_replaces_nothing_unasked(tmp_path, monkeypatch, capsys):
    path = tmp_path / "mine.npz"
    path.write_text("mine")
    assert run_script("make_digits.py", monkeypatch, path) == 2
    assert "is there already: add --overwrite" in capsys.readouterr().err and path.read_text() == "mine"
    assert run_script("make_digits.py", monkeypatch, path, "--overwrite") == 0
    assert datasets.load(path).digest == datasets.load("digits").digest


def test_make_digits_says_why_it_cannot_write(tmp_path, monkeypatch, capsys):
    assert run_script("make_digits.py", monkeypatch, tmp_path / "nowhere/mine.npz") == 2
    assert f"{tmp_path}/nowhere/mine.npz: it cannot be written (No such file or directory)" in capsys.readouterr().err
    assert run_script("make_digits.py", monkeypatch, tmp_path / "mine.npy") == 2
    assert "must end in .npz" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["mnist", "frey"])
def test_the_fetch_scripts_print_where_the_files_lie_or_what_is_wrong(tmp_path, monkeypatch, capsys, name):
    asked = []

    def fetch(*arguments):
        asked.append(arguments)
        return [tmp_path / "a", tmp_path / "b"]

    monkeypatch.setattr(downloads, "fetch", fetch)
    assert run_script(f"fetch_{name}.py", monkeypatch, "--data-dir", tmp_path) == 0
    assert capsys.readouterr().out == f"{tmp_path}/a\n{tmp_path}/b\n"
    assert run_script(f"fetch_{name}.py", monkeypatch) == 0
    assert asked == [(name, tmp_path), (name, None)]

    monkeypatch.undo()
    monkeypatch.setattr(downloads, "MIRRORS", {name: ("http://127.0.0.1:9/",)})
    monkeypatch.setenv("NO_PROXY", "*")
    capsys.readouterr()
    assert run_script(f"fetch_{name}.py", monkeypatch, "--data-dir", tmp_path / "new") == 2
    output, errors = capsys.readouterr()
    assert output == "" and "could not be downloaded" in errors and "Traceback" not in errors


def test_the_place_of_a_bad_value_is_that_in_the_whole(file, monkeypatch):
    monkeypatch.setattr(rows, "BLOCK", 100)  # so that it is in a later block
    x = np.zeros((50, 3, 4))
    x[37, 1, 3] = np.nan
    assert "the first at [37, 1, 3]" in refusal(file(x))


def test_a_limit_that_leaves_nothing_out_is_none():
    assert datasets.load("digits", limit=10_000).limit is None and datasets.load("digits", limit=100).limit == 100
