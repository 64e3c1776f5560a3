"""The commands that compress and decompress, from a run and images to a file and back."""

import errno
import json
import os
import shutil

import numpy as np
import pytest
from PIL import Image

from tests.commands import assert_misuse, call, command
from tinyvae import compress, decompress
from tinyvae.cli import console
from tinyvae.coding import lossless
from tinyvae.coding.archive import Archive
from tinyvae.coding.bitsback import BitsBack
from tinyvae.data import datasets
from tinyvae.machine import noise
from tinyvae.machine.noise import Stream

QUICK = ("--epochs", "3", "--hidden", "20", "--latent", "2", "--quiet", "--seed", "5")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with a run on digits, runs/digits, and images like its own in files."""
    folder = tmp_path_factory.mktemp("compress")
    assert call("digits", *QUICK, "--binarise", "dynamic", "--out", folder / "runs/digits").returncode == 0
    np.save(folder / "bits.npy", np.asarray(datasets.load("digits").train[:50] > 0.5).reshape(50, 8, 8))
    return folder


@pytest.fixture
def here(folder, monkeypatch):
    """The same as the current folder."""
    monkeypatch.chdir(folder)
    return folder


def packed(data, out, *options):
    return call("runs/digits", data, "--out", out, *options, main=compress.main)


def unpacked(archive, out, *options):
    return call(archive, "--out", out, *options, main=decompress.main)


def roundtrip(folder, data, *options):
    """What comes back of data: the array."""
    result = packed(data, "a.tvz", "--overwrite", "--quiet", *options)
    assert result.returncode == 0 and result.stdout == "", result.stderr
    result = unpacked("a.tvz", "a.npy", "--overwrite", "--quiet")
    assert result.returncode == 0 and result.stdout == "", result.stderr
    return np.load(folder / "a.npy")


def test_a_file_comes_back_in_its_type_shape_and_order(here):
    images = np.load("bits.npy")
    for name, array in [
        ("one", images[:1]),
        ("flat", images.reshape(50, 64)),
        ("bytes", images * np.uint8(255)),
        ("floats", images.astype(np.float64)),
        ("fortran", np.asfortranarray(images)),
    ]:
        np.save(f"{name}.npy", array)
        again = roundtrip(here, f"{name}.npy")
        assert again.dtype == array.dtype and again.shape == array.shape and np.array_equal(again, array)
    np.savez("labelled.npz", x=images, y=np.arange(50))
    assert np.array_equal(roundtrip(here, "labelled.npz"), images)


def test_the_test_images_of_a_set_are_drawn_as_all_runs_draw_them(here):
    dataset = datasets.load("digits")
    again = roundtrip(here, "digits", "--binarise")
    assert again.dtype == bool and again.shape == (180, 8, 8)
    drawn = noise.bernoulli(dataset.test, 0, Stream.TEST_BINARISATION)  # whatever the seed of the run
    assert np.array_equal(again.reshape(180, 64), drawn)
    other = roundtrip(here, "digits", "--binarise", "--seed", "6")
    assert np.array_equal(other.reshape(180, 64), noise.bernoulli(dataset.test, 6, Stream.TEST_BINARISATION))


def test_parts_of_a_set_and_of_a_file(here):
    assert roundtrip(here, "digits", "--binarise", "--part", "train").shape == (1617, 8, 8)
    assert roundtrip(here, "digits", "--binarise", "--part", "all").shape == (1797, 8, 8)
    again = roundtrip(here, "bits.npy", "--part", "test")
    assert np.array_equal(again.reshape(5, 64), datasets.load("bits.npy").test)
    dataset = datasets.load("digits")
    drawn = noise.bernoulli(np.concatenate([dataset.train, dataset.test]), 0, Stream.TEST_BINARISATION)
    again = roundtrip(here, "digits", "--binarise", "--part", "all")  # the training images first
    assert np.array_equal(again.reshape(1797, 64), drawn)


def test_a_folder_of_pictures_comes_back_in_its_order_and_what_is_left_out_is_said(here):
    (here / "pics").mkdir()
    pictures = np.random.default_rng(0).integers(0, 2, (12, 8, 8), np.uint8) * np.uint8(255)
    for i, picture in enumerate(pictures):
        Image.fromarray(picture).save(here / f"pics/{i:02}.png")
    (here / "pics/12.png").write_bytes(b"broken")
    result = packed("pics", "pics.tvz", "--skip-broken")
    assert result.returncode == 0 and "note: files that could not be read were left out: 1 (12.png)" in result.stderr
    assert unpacked("pics.tvz", "pics.npy").returncode == 0
    assert np.array_equal(np.load("pics.npy"), pictures)
    np.savez("more.npz", x=np.load("bits.npy"), y=np.arange(50), names=np.array(["a"] * 50))
    assert "note: the arrays names, y of more.npz: not in the archive" in packed("more.npz", "more.tvz").stderr
    assert "note" not in packed("more.npz", "more.tvz", "--overwrite", "--quiet").stderr


@pytest.mark.parametrize(
    ("array", "cure", "lost"),
    [
        (np.linspace(0, 1, 64), "np.rint(255 * x).astype(np.uint8)", "np.rint(x)"),
        (np.linspace(0, 255, 64), "np.rint(x).astype(np.uint8)", "255 *"),
        (np.linspace(-1, 1, 64), "Its values go from -1 to 1", "np.rint"),
        (np.full(64, np.nan), "Its values go from nan to nan", "np.rint"),
    ],
)
def test_what_is_advised_on_values_between_levels_keeps_the_images(here, array, cure, lost):
    if not (here / "runs/levels").exists():
        np.save("grey.npy", np.random.default_rng(0).integers(0, 256, (40, 8, 8), np.uint8))
        words = ("--likelihood", "logistic", "--out", here / "runs/levels")
        assert call("grey.npy", *QUICK, *words).returncode == 0
    np.save("between.npy", np.stack([array, array]))
    result = call("runs/levels", "between.npy", "--out", "between.tvz", main=compress.main)
    assert_misuse(result, "not on one of 256 levels", cure)
    assert lost not in result.stderr


def test_what_changes_while_it_is_coded_is_coded_as_it_was(here, monkeypatch):
    np.save("moving.npy", before := np.load("bits.npy"))
    encode = BitsBack.encode

    def meanwhile(self, levels, *arguments):
        with (here / "moving.npy").open("r+b") as file:
            file.truncate(200)
        return encode(self, levels, *arguments)

    monkeypatch.setattr(BitsBack, "encode", meanwhile)
    assert packed("moving.npy", "moving.tvz").returncode == 0
    assert unpacked("moving.tvz", "moved.npy").returncode == 0
    assert np.array_equal(np.load("moved.npy"), before)


def test_what_is_read_is_not_written_over(here):
    shutil.copy("bits.npy", "own.npy")
    assert_misuse(packed("own.npy", "own.npy", "--overwrite"), "own.npy is what is to be read")
    assert np.array_equal(np.load("own.npy"), np.load("bits.npy"))
    assert packed("own.npy", "own.tvz").returncode == 0
    content = (here / "own.tvz").read_bytes()
    assert_misuse(unpacked("own.tvz", "own.tvz", "--overwrite"), "own.tvz is what is to be read")
    assert (here / "own.tvz").read_bytes() == content


def test_a_file_is_whole_or_the_older_one(here, monkeypatch):
    """Where writing fails on the way."""
    assert packed("bits.npy", "whole.tvz").returncode == 0
    (here / "whole.npy").write_text("mine")
    (here / "older.tvz").write_text("mine")
    before = sorted(here.iterdir())

    def full(_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    assert_misuse(packed("bits.npy", "older.tvz", "--overwrite"), "older.tvz", "No space left on device")
    assert_misuse(unpacked("whole.tvz", "whole.npy", "--overwrite"), "whole.npy", "No space left on device")
    assert (here / "older.tvz").read_text() == (here / "whole.npy").read_text() == "mine"
    assert sorted(here.iterdir()) == before


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names here")
def test_a_pipe_is_not_waited_for(here):
    os.mkfifo(here / "pipe.tvz")
    assert_misuse(unpacked("pipe.tvz", "pipe.npy"), "pipe.tvz: it cannot be read", "a pipe or a device")
    (here / "pipe.tvz").unlink()


def test_it_is_said_what_the_bits_are_spent_on(here):
    result = packed("digits", "said.tvz", "--binarise", "--json", "--overwrite")
    figures = json.loads(result.stdout)
    bits = figures["bits_per_dimension"]
    assert np.isclose(bits["net"], bits["bound"] + bits["cells"] + bits["precision"])
    assert np.isclose(bits["total"], bits["net"] + bits["initial"] + bits["container"])
    assert np.isclose(bits["total"] * 180 * 64, 8 * (here / "said.tvz").stat().st_size)
    assert set(figures["others"]) == {"gzip", "bz2", "LZMA", "PNG"} and figures["coded"]
    assert 0.3 < bits["net"] < 1 and "dynamic binarisation" in figures["protocol"]
    words = packed("digits", "said.tvz", "--binarise", "--overwrite").stdout
    for name in ("net", "bound", "cells", "precision", "initial", "container", "total", "run", "bz2"):
        assert f" {name} " in words
    assert "  images    the test images of digits, each pixel drawn once with the seed 0\n" in words
    assert [figures[name] for name in ("data", "part", "binarise", "seed")] == ["digits", "test", True, 0]
    assert "another bound" not in words  # it was trained by the ELBO


def test_equal_images_give_an_equal_file_whatever_the_threads(here):
    for name, threads in (("x", 1), ("y", 3)):
        assert packed("digits", f"{name}.tvz", "--binarise", "--threads", threads, "--quiet").returncode == 0
    assert (here / "x.tvz").read_bytes() == (here / "y.tvz").read_bytes()


def test_grey_levels_under_a_bernoulli_are_refused_with_two_ways_out(here):
    result = packed("digits", "grey.tvz")
    assert_misuse(result, "not on one of 2 levels", "--binarise", "--likelihood logistic")
    assert not (here / "grey.tvz").exists()


def test_bytes_of_0_and_1_are_asked_about(here):
    np.save("ones.npy", np.load("bits.npy").astype(np.uint8))
    for options in ((), ("--binarise",)):
        assert_misuse(packed("ones.npy", "ones.tvz", *options), "If 1 means white", "x.astype(bool)", "x / 255")


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.full((2, 64), 128), "of type int64: grey levels are uint8"),
        (np.full((2, 64), 255, np.uint16), "of type uint16"),
        (np.full((2, 64), 0.5, np.float16), "of type float16"),
        (np.full((2, 64), np.nan), "go from nan to nan"),
        (np.full((2, 64), 1.5), "probabilities lie between 0 and 1"),
        (np.full((2, 64), -0.5), "go from -0.5 to -0.5, and probabilities lie between 0 and 1"),
        (np.zeros((0, 64)), "nothing to compress"),
        (np.float64(0.5), "the model's images are"),
    ],
)
def test_what_are_no_grey_levels_are_not_drawn_from(here, array, words):
    np.save("levels.npy", array)
    result = packed("levels.npy", "levels.tvz", "--binarise")
    assert_misuse(result, "levels.npy: ", words)
    assert "draw each pixel" not in result.stderr and not (here / "levels.tvz").exists()


def test_a_seed_without_draws_is_refused(here):
    assert_misuse(packed("bits.npy", "seed.tvz", "--seed", 6), "nothing is drawn without --binarise")


def test_nothing_is_written_over_unless_that_is_asked_for(here):
    (here / "there.tvz").write_text("mine")
    assert_misuse(packed("bits.npy", "there.tvz"), "there.tvz is there already", "--overwrite")
    assert (here / "there.tvz").read_text() == "mine"
    assert packed("bits.npy", "there.tvz", "--overwrite").returncode == 0
    assert_misuse(unpacked("there.tvz", "bits.npy"), "bits.npy is there already")


def test_what_could_not_be_written_is_refused_before_the_work(here, monkeypatch):
    monkeypatch.setattr(console, "announce_compilation", None)  # the work begins with it
    for make, source in ((packed, "bits.npy"), (unpacked, "bits.npy")):
        assert_misuse(make(source, "nowhere/it"), "nowhere/it: it cannot be written", "no such folder")
        for words in ((), ("--overwrite",)):
            assert_misuse(make(source, "runs", *words), "runs: it cannot be written", "A folder has the name")


@pytest.mark.parametrize("shape", [(0, 8, 8), (3, 7, 8), (64,), ()])
def test_what_does_not_fit_is_refused(here, shape):
    np.save("wrong.npy", np.zeros(shape, bool))
    result = packed("wrong.npy", "wrong.tvz")
    assert_misuse(result, "wrong.npy: ")
    assert "--binarise" not in result.stderr  # which would be no help
    assert not (here / "wrong.tvz").exists()


@pytest.mark.parametrize("options", ["--conditional", "--latent 3 2 --hidden 9 9"])
def test_a_run_that_is_no_code_is_refused(here, options):
    assert call("digits", *QUICK, *options.split(), "--epochs", 1, "--out", "no-code", "--overwrite").returncode == 0
    result = call("no-code", "bits.npy", "--out", "no.tvz", main=compress.main)
    assert_misuse(result, "this model cannot be used for compression, for its")


@pytest.mark.parametrize("prior", ["mixture", "vamp"])
def test_a_run_with_a_learned_prior_is_a_code_as_well(here, prior):
    words = ("--prior", prior, "--components", "4", "--binarise", "dynamic", "--out", prior)
    assert call("digits", *QUICK, *words).returncode == 0
    archive, images = f"{prior}.tvz", np.load("bits.npy")
    assert call(prior, "bits.npy", "--out", archive, "--quiet", main=compress.main).returncode == 0
    assert call(archive, "--run", prior, "--out", f"{prior}.npy", main=decompress.main).returncode == 0
    assert np.array_equal(np.load(f"{prior}.npy"), images)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--objective", "iwae", "--samples", "3"), "iwae"),
        (("--objective", "iwae", "--samples", "1"), None),  # of one sample it is the ELBO
        (("--beta", "0.5"), "elbo with beta 0.5"),
        (("--free-bits", "0.1"), "elbo with free bits 0.1"),
    ],
)
def test_a_run_by_another_bound_is_taken_and_that_is_said(here, options, said):
    words = (*options, "--epochs", "1", "--out", "bound", "--overwrite")
    assert call("digits", *QUICK, *words).returncode == 0
    result = call("bound", "bits.npy", "--out", "bound.tvz", "--overwrite", main=compress.main)
    assert result.returncode == 0 and ("another bound" in result.stdout) == bool(said)
    assert not said or f"the run maximised another bound, {said}: a file pays the ELBO" in result.stdout


# -- the way back --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("damage", [lambda c: c[:-1], lambda c: c + b"\0", lambda c: c[:99] + b"?" + c[100:], len])
def test_a_damaged_archive_leaves_no_file(here, damage):
    assert packed("bits.npy", "good.tvz", "--overwrite", "--quiet").returncode == 0
    content = (here / "good.tvz").read_bytes()
    wrong = damage(content)
    (here / "bad.tvz").write_bytes(wrong if isinstance(wrong, bytes) else b"")
    assert_misuse(unpacked("bad.tvz", "bad.npy"), "bad.tvz: it is", "Nothing was written")
    assert not (here / "bad.npy").exists()
    for name in ("nowhere.tvz", "runs"):
        assert_misuse(unpacked(name, "bad.npy"), f"{name}: it cannot be read", "Name an archive")


def test_of_what_is_no_archive_no_more_is_read_than_says_so(here):
    with (here / "large.bin").open("wb") as file:
        file.truncate(2**40)  # which takes no room on the disk
    assert_misuse(unpacked("large.bin", "large.npy"), "large.bin: it is no archive of tinyvae")
    (here / "large.bin").unlink()


def test_an_archive_that_does_not_fit_into_the_memory(here, monkeypatch):
    def too_large(_):
        raise MemoryError

    assert packed("bits.npy", "good.tvz", "--overwrite", "--quiet").returncode == 0
    monkeypatch.setattr(Archive, "from_bytes", too_large)
    assert_misuse(unpacked("good.tvz", "large.npy"), "good.tvz: it and its images are more than fits", "Nothing was")


def test_images_that_do_not_fit_into_the_memory(here, monkeypatch):
    assert packed("bits.npy", "good.tvz", "--overwrite", "--quiet").returncode == 0

    def too_large(*_):
        raise MemoryError

    monkeypatch.setattr(lossless, "decompress", too_large)
    assert_misuse(unpacked("good.tvz", "large.npy"), "good.tvz: it and its images are more than fits", "Nothing was")


def test_the_run_is_found_where_it_was_or_among_the_runs_or_where_it_is_said_to_be(here, tmp_path, monkeypatch):
    archive = here / "moved.tvz"
    assert packed("digits", archive, "--binarise", "--overwrite", "--quiet").returncode == 0
    monkeypatch.chdir(tmp_path)
    assert unpacked(archive, "1.npy").returncode == 0  # where it was
    shutil.copytree(here / "runs/digits", tmp_path / "runs/copy")
    (here / "runs/digits").rename(here / "runs/hidden")
    try:
        assert unpacked(archive, "2.npy").returncode == 0  # in ./runs
        (tmp_path / "runs").rename(tmp_path / "elsewhere")
        assert_misuse(unpacked(archive, "3.npy"), "is not there", "runs/digits: there is no such folder", "--run")
        assert unpacked(archive, "3.npy", "--run", "elsewhere/copy").returncode == 0
    finally:
        (here / "runs/hidden").rename(here / "runs/digits")
    arrays = [np.load(f"{number}.npy") for number in (1, 2, 3)]
    assert all(np.array_equal(arrays[0], array) for array in arrays)


def test_a_run_that_has_been_trained_further_is_another_model(here):
    shutil.copytree("runs/digits", "further")
    assert call("further", "bits.npy", "--out", "further.tvz", "--quiet", main=compress.main).returncode == 0
    assert call("--resume", "further", "--epochs", 4, "--quiet").returncode == 0
    result = unpacked("further.tvz", "further.npy", "--run", "further")
    assert_misuse(result, "further holds another model, or has been trained further")
    assert not (here / "further.npy").exists()


def test_what_stands_in_it_as_it_is_needs_no_run(here, tmp_path, monkeypatch):
    np.save("noise.npy", np.random.default_rng(0).random((3, 64)) < 0.5)
    result = packed("noise.npy", "noise.tvz")
    assert result.returncode == 0 and "as they are" in result.stdout
    bits = json.loads(packed("noise.npy", "noise.tvz", "--overwrite", "--json").stdout)["bits_per_dimension"]
    content = (here / "noise.tvz").read_bytes()
    assert (
        bits["total"] == pytest.approx(8 * len(content) / 192)
        and bits["bound"] > 1
        and bits["net"] is bits["container"] is None
    )
    assert not Archive.from_bytes(content).coded and len(content) < 3 * 8 + 400
    (tmp_path / "noise.tvz").write_bytes(content.replace(b"runs/digits", b"runs/digitz"))
    monkeypatch.chdir(tmp_path)
    shutil.copy(here / "noise.tvz", tmp_path)
    assert unpacked("noise.tvz", "noise.npy").returncode == 0
    assert np.array_equal(np.load("noise.npy"), np.load(here / "noise.npy"))


@pytest.mark.slow  # a minute without compiled kernels
def test_compiled_kernels_and_plain_ones_write_the_same_and_read_each_other_s(here, tmp_path):
    np.save("few.npy", np.load("bits.npy")[:9])
    contents, arrays = set(), []
    for plain in ("0", "1"):
        out, env = tmp_path / f"{plain}.tvz", {"NUMBA_DISABLE_JIT": plain}
        words = (here / "runs/digits", here / "few.npy", "--out", out, "--quiet")
        result = command(*words, module="tinyvae.compress", cwd=here, env=env)
        assert result.returncode == 0 and "Traceback" not in result.stderr, result.stderr
        contents.add(out.read_bytes())
    for plain in ("0", "1"):
        out, env = tmp_path / f"{plain}.npy", {"NUMBA_DISABLE_JIT": plain}
        words = (tmp_path / f"{1 - int(plain)}.tvz", "--out", out, "--quiet")
        result = command(*words, module="tinyvae.decompress", cwd=here, env=env)
        assert result.returncode == 0 and "Traceback" not in result.stderr, result.stderr
        arrays.append(np.load(out))
    assert len(contents) == 1 and all(np.array_equal(array, np.load("few.npy")) for array in arrays)


@pytest.mark.slow  # all is compiled for each set of kernels
@pytest.mark.parametrize("model", ["--network mlp", "--network conv", "--network conv --prior vamp --components 3"])
def test_one_blas_kernel_set_writes_and_others_read(tmp_path, model):
    """In processes of their own, with other numbers of threads; the files are the same byte for byte."""
    words = (*model.split(), "--latent", 3, "--epochs", 1, "--binarise", "static", "--out", tmp_path / "run")
    assert call("digits", "--quiet", *words).returncode == 0
    kernels = {"Haswell": 1, "Sandybridge": 3, "Prescott": 2}
    for core, threads in kernels.items():
        words = (
            "run",
            "digits",
            "--part",
            "all",
            "--binarise",
            "--out",
            f"{core}.tvz",
            "--threads",
            threads,
            "--quiet",
        )
        result = command(*words, module="tinyvae.compress", cwd=tmp_path, env={"OPENBLAS_CORETYPE": core})
        assert result.returncode == 0, result.stderr
    contents = {(tmp_path / f"{core}.tvz").read_bytes() for core in kernels}
    assert len(contents) == 1
    for core, threads in (("Prescott", 1), ("Haswell", 2)):
        words = ("Sandybridge.tvz", "--out", f"{core}.npy", "--threads", threads, "--quiet")
        result = command(*words, module="tinyvae.decompress", cwd=tmp_path, env={"OPENBLAS_CORETYPE": core})
        assert result.returncode == 0, result.stderr
    assert np.array_equal(np.load(tmp_path / "Prescott.npy"), np.load(tmp_path / "Haswell.npy"))
