"""A folder of pictures: one array, labels from subfolders, a cache that is never wrong, and errors for people."""

import os
from functools import partial

import numpy as np
import pytest
from PIL import Image

from tests.commands import assert_misuse, call
from tests.data.refusals import refusal
from tinyvae import system
from tinyvae.data import datasets, picture_files
from tinyvae.disk.run import Run

SMALL = ("--epochs", 1, "--hidden", 8, "--latent", 3, "--quiet")


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """The cache folder of this test."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "tinyvae" / "pictures"


@pytest.fixture
def folder(tmp_path):
    """Call it with {name: array, picture or bytes} for a folder of such files."""

    def make(files):
        for name, content in files.items():
            path = tmp_path / "mine" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(content, bytes):
                path.write_bytes(content)
            else:
                (content if isinstance(content, Image.Image) else Image.fromarray(content)).save(path)
        return tmp_path / "mine"

    return make


def test_what_could_not_be_read_for_once_is_read_the_next_time(folder, monkeypatch):
    """A passing fault of a disk, or of memory, is no damage that is remembered."""
    source = folder(colours("1.png", "2.png", "3.png") | {"4.png": b"junk"})
    read = picture_files.read

    def faulty(fault, path, *options):
        if path.name == "3.png":
            raise fault
        return read(path, *options)

    for fault in (OSError(5, "Input/output error"), MemoryError()):
        with monkeypatch.context() as patch:
            patch.setattr(picture_files, "read", partial(faulty, fault))
            loaded = datasets.load(source, skip_broken=True)
        assert len(loaded.train) + len(loaded.test) == 2 and "left out: 2 (3.png, 4.png)" in " ".join(loaded.notes)
        loaded = datasets.load(source, skip_broken=True)
        assert len(loaded.train) + len(loaded.test) == 3 and "left out: 1 (4.png)" in " ".join(loaded.notes)
        os.utime(source / "1.png", (1, 1))  # the next listing is another


def test_a_folder_of_files_with_images_names_that_folder(folder):
    source = folder({"raw/t10k-images-idx3-ubyte": b"\0", "raw/t10k-labels-idx1-ubyte": b"\0"})
    assert f"for the data in it, name {source / 'raw'}" in refusal(source)
    (source / "train-images-idx3.json").write_bytes(b"{}")
    assert f"for the data in it, name {source / 'raw'}" in refusal(source)


def test_a_split_is_not_taken_for_classes(folder):
    source = folder(colours("train/cat/1.png", "train/dog/2.png", "Test/cat/3.png"))
    message = refusal(source)
    assert "its subfolders Test and train are the parts of a split, and would be taken for classes" in message
    assert f"Name one of them, as in {source / 'train'}: a tenth of it is held out." in message
    assert datasets.load(source / "train").n_labels == 2
    (source / "Test").rename(source / "bird")
    assert datasets.load(source).n_labels == 2


def test_masks_of_zeros_and_ones_are_refused(folder):
    """They would be black, and a 255th above it."""
    levels = np.random.default_rng(0).integers(0, 2, (4, 6, 5), np.uint8)
    source = folder({f"{i}.png": mask for i, mask in enumerate(levels)})
    assert "uint8 with no value above 1" in refusal(source)


def test_what_a_terminal_should_not_be_sent_is_written_out(folder):
    notes = " ".join(datasets.load(folder(colours("b\nc\x1b[31mred/1.png", "é/2.png"))).notes)
    assert "0 b\\nc\\x1b[31mred, 1 é" in notes and notes.isprintable()


def colours(*names, shape=(6, 5, 3)):
    """{name: a picture of random pixels, another for another name}."""
    return {name: np.random.default_rng([*name.encode()]).integers(0, 256, shape, np.uint8) for name in names}


def in_order(dataset):
    """All examples of a data set in the order before the split."""
    together = np.concatenate([dataset.test, dataset.train])
    order = np.random.RandomState(0).permutation(len(together))
    return together[np.argsort(order)].reshape(-1, *dataset.data_shape)


def test_pictures_are_read_exactly_in_the_order_of_their_paths(folder):
    files = colours("b.png", "a.bmp", "c/x.png", "c/d/y.png", "10.png", "9.png")
    loaded = datasets.load(folder(files))
    assert (loaded.name, loaded.data_shape, loaded.train.dtype) == ("mine", (6, 5, 3), np.uint8)
    np.testing.assert_array_equal(in_order(loaded), [files[name] for name in sorted(files)])
    assert loaded.train_labels is None  # one subfolder
    assert loaded.pictures == {"size": None, "grey": False, "skip_broken": False}
    assert datasets.load(f"{folder(files)}/").name == "mine"
    assert "the likelihood of pictures is bernoulli by default: --likelihood names another" in loaded.notes


def test_subfolders_are_labels_in_the_order_of_their_names(folder):
    files = colours("dog/2.png", "dog/1.png", "ape/deep/er/1.png", "cat/1.png", "cat/2.png")
    loaded = datasets.load(folder(files))
    labels = np.concatenate([loaded.test_labels, loaded.train_labels])
    order = np.random.RandomState(0).permutation(5)
    assert labels[np.argsort(order)].tolist() == [0, 1, 1, 2, 2]
    assert "the labels are the subfolders: 0 ape, 1 cat, 2 dog" in loaded.notes
    assert loaded.classes.tolist() == [0, 1, 2]
    beside = datasets.load(folder(colours("beside.png")))
    assert beside.n_labels == 0
    assert "pictures beside the subfolders, which are therefore not taken for labels: 1" in beside.notes


def test_many_labels_are_named_in_short(folder):
    notes = datasets.load(folder(colours(*(f"{i:02}/a.png" for i in range(12))))).notes
    assert "the labels are the subfolders: 0 00, 1 01, 2 02, 3 03, 4 04, ..., 11 11" in notes


def test_a_subfolder_whose_pictures_are_all_broken_is_no_label(folder):
    files = colours("a/1.png", "c/1.png", "c/2.png") | {"b/1.png": b"broken"}
    loaded = datasets.load(folder(files), skip_broken=True)
    assert "the labels are the subfolders: 0 a, 1 c" in loaded.notes and loaded.n_labels == 2


def test_what_is_hidden_or_has_another_ending_is_left_out(folder):
    rubbish = {"notes.txt": b"-", "sub/Thumbs.db": b"-", ".DS_Store": b"-", "._a.png": b"-", ".git/a.png": b"-"}
    loaded = datasets.load(folder(colours("a.png", "b.JPG", "c.TIFF", shape=(8, 8, 3)) | rubbish))
    assert len(in_order(loaded)) == 3
    assert "files with other endings than a picture's were left out: 2 (notes.txt, sub/Thumbs.db)" in loaded.notes


def test_names_may_hold_anything_and_links_may_go_in_circles(folder):
    files = colours("a b, ü.png", "b.png")
    source = folder(files)
    odd = os.fsdecode(os.fsencode(source) + b"/\xff.png")  # no UTF-8
    Image.fromarray(files["b.png"]).save(odd)
    (source / "circle").symlink_to(source)
    (source / "c.png").symlink_to(source / "b.png")
    np.testing.assert_array_equal(in_order(datasets.load(source)), [files["a b, ü.png"], *[files["b.png"]] * 3])
    with open(odd, "wb") as file:
        file.write(b"broken")
    assert_misuse(call(source, *SMALL), ".png: it is no picture, or damaged at its beginning")


def test_grey_where_all_are_grey_or_where_it_is_asked_for(folder):
    greys = colours("a.png", "b.png", shape=(6, 5)) | {"c.gif": Image.fromarray(np.full((6, 5), 7, np.uint8))}
    loaded = datasets.load(folder(greys))
    assert loaded.data_shape == (6, 5) and "no picture has a colour: they are taken as grey levels" in loaded.notes
    np.testing.assert_array_equal(in_order(loaded)[0], greys["a.png"])
    mixed = folder(colours("d.png"))
    assert datasets.load(mixed).data_shape == (6, 5, 3)
    grey = datasets.load(mixed, grey=True)
    assert grey.data_shape == (6, 5) and grey.pictures["grey"]
    np.testing.assert_array_equal(in_order(grey)[1], greys["b.png"])


def test_several_sizes_need_one(folder):
    source = folder(colours("a.png", "b.png") | colours("c.png", shape=(7, 9, 3)))
    message = refusal(source)
    assert "its pictures have several sizes: a.png has 5 x 6 pixels, and c.png 9 x 7" in message
    assert "--size 32" in message
    loaded = datasets.load(source, size=4)
    assert loaded.data_shape == (4, 4, 3)
    assert "each picture was cropped to the square in its middle, and that resized to 4 x 4 pixels" in loaded.notes
    expected = [picture_files.read(source / name, 4)[0] for name in ("a.png", "b.png", "c.png")]
    np.testing.assert_array_equal(in_order(loaded), expected)
    assert "a size of 0 pixels" in refusal(source, size=0)


def test_animations_are_counted(folder):
    frames = [Image.new("RGB", (5, 6), colour) for colour in ("red", "blue")]
    source = folder(colours("a.png", "b.png"))
    frames[0].save(source / "c.gif", save_all=True, append_images=frames[1:])
    loaded = datasets.load(source)
    assert "files with several frames or pages gave the first of them: 1 (c.gif)" in loaded.notes
    np.testing.assert_array_equal(in_order(loaded)[2], np.asarray(frames[0]))


def test_a_broken_picture_is_named_or_left_out_where_that_is_asked_for(folder):
    source = folder(colours("a.png", "c.png", "d.png") | {"b.png": b"broken"})
    message = refusal(source)
    assert (
        message.startswith(f"{source}/b.png: it is no picture, or damaged at its beginning")
        and "--skip-broken" in message
    )
    loaded = datasets.load(source, skip_broken=True)
    assert len(in_order(loaded)) == 3
    assert "files that could not be read were left out: 1 (b.png)" in loaded.notes
    (source / "gone.png").symlink_to(source / "nowhere.png")
    assert "No such file" in refusal(source, size=3) or "b.png" in refusal(source, size=3)
    again = datasets.load(source, skip_broken=True)
    assert again.digest == loaded.digest
    assert "files that could not be read were left out: 2 (b.png, gone.png)" in again.notes


def test_a_pipe_is_not_waited_for(folder):
    source = folder(colours("a.png", "b.png"))
    os.mkfifo(source / "c.png")
    assert f"{source}/c.png: it is a folder, a pipe or a device" in refusal(source)


def test_a_folder_without_two_pictures_is_refused(folder):
    (empty := folder(colours("a.png")).parent / "empty").mkdir()
    assert refusal(empty).startswith(f"{empty}: it holds no picture, and no file\nPictures are files that end in .jpg")
    assert "the number of its pictures that can be read is 1: at least 2 are needed" in refusal(empty.parent / "mine")
    (empty / "x.npy").touch()
    assert "it holds no picture, only files such as x.npy" in refusal(empty)
    source = folder({"b.png": b"broken", "c.png": b"broken"})
    assert "can be read is 1" in refusal(source, skip_broken=True)
    (source / "a.png").unlink()
    assert "can be read is 0" in refusal(source, skip_broken=True)


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may read everything")
def test_a_subfolder_that_may_not_be_read_is_named(folder):
    source = folder(colours("a/1.png", "b/1.png"))
    (source / "b").chmod(0)
    assert f"{source}/b cannot be read (Permission denied)" in refusal(source)
    (source / "b").chmod(0o700)


def test_what_does_not_fit_into_memory_is_refused_before_the_work(folder, monkeypatch):
    source = folder(colours("a.png", "b.png", "c.png"))
    read = []
    monkeypatch.setattr(picture_files, "read", lambda *arguments: read.append(arguments))
    message = refusal(source, size=300_000)
    assert "3 pictures of 300000 x 300000 pixels in colour take about" in message and not read
    monkeypatch.undo()
    monkeypatch.setenv("XDG_CACHE_HOME", str(source.parent / "cache"))
    monkeypatch.setattr(system, "memory", lambda: 500)
    assert "3 pictures of 5 x 6 pixels in colour take" in refusal(source)
    assert datasets.load(source, size=4, grey=True).data_shape == (4, 4)  # twice 3 * 16 bytes
    monkeypatch.setattr(system, "memory", lambda: None)
    assert datasets.load(source).data_shape == (6, 5, 3)
    monkeypatch.setattr(system, "memory", lambda: 500)  # what was decoded before takes as much
    assert "3 pictures of 5 x 6 pixels in colour take" in refusal(source)


# What is kept


@pytest.fixture
def decoded(monkeypatch):
    """The names of the files that were decoded so far."""
    read, names = picture_files.read, []

    def watched(path, *arguments):
        names.append(path.name)
        return read(path, *arguments)

    monkeypatch.setattr(picture_files, "read", watched)
    return names


def test_what_was_decoded_is_not_decoded_again(folder, cache, decoded):
    files = colours("a/1.png", "b/1.png", "b/2.png") | {"b/3.png": b"broken"}
    source = folder(files)
    first = datasets.load(source, skip_broken=True)
    assert len(decoded) == 4 and len(list(cache.iterdir())) == 1
    again = datasets.load(source, skip_broken=True)
    assert len(decoded) == 4
    assert (again.digest, again.notes, again.pictures) == (first.digest, first.notes, first.pictures)
    datasets.load(source, size=3, skip_broken=True)
    assert len(decoded) == 8 and len(list(cache.iterdir())) == 2


def test_what_was_changed_is_decoded_again_and_the_old_array_removed(folder, cache, decoded):
    source = folder(colours("a.png", "b.png"))
    first, count = datasets.load(source), 2
    for change in (
        lambda: folder(colours("c.png")),
        lambda: folder(colours("b.png")),
        lambda: os.utime(source / "a.png", (1, 1)),
        lambda: (source / "a.png").rename(source / "d.png"),
    ):
        change()
        loaded = datasets.load(source)
        assert len(decoded) == count + len(loaded.train) + len(loaded.test) and len(list(cache.iterdir())) == 1
        count = len(decoded)
    assert loaded.digest != first.digest


def test_what_was_decoded_without_a_broken_picture_does_not_hide_it_later(folder):
    source = folder(colours("a.png", "b.png") | {"c.png": b"broken"})
    assert len(in_order(datasets.load(source, skip_broken=True))) == 2
    assert refusal(source).startswith(f"{source}/c.png: it is no picture, or damaged at its beginning")


def test_a_damaged_array_is_made_again(folder, cache, decoded):
    source = folder(colours("a.png", "b.png"))
    first = datasets.load(source)
    (path,) = cache.iterdir()
    whole, generator = path.read_bytes(), np.random.default_rng(0)
    damaged = [b"", whole[:100], whole[:-1], b"x" * 50]
    for place in generator.integers(0, len(whole), 60):
        damaged.append(whole[:place] + bytes([whole[place] ^ 16]) + whole[place + 1 :])
    with open(source.parent / "other.npz", "wb") as file:
        np.savez(file, x=np.zeros((3, 6, 5, 3), np.uint8), y=np.zeros(2, np.uint8))
    for content in [*damaged, (source.parent / "other.npz").read_bytes()]:
        path.write_bytes(content)
        assert datasets.load(source).digest == first.digest
    assert len(decoded) > 60
    path.unlink()
    path.mkdir()  # a folder in its place
    assert datasets.load(source).digest == first.digest


def test_a_cache_that_cannot_be_written_costs_time_and_nothing_else(folder, cache, monkeypatch):
    source = folder(colours("a.png", "b.png"))
    cache.parent.parent.mkdir(parents=True, exist_ok=True)
    cache.parent.write_text("a file where the folder should be")
    first = datasets.load(source)
    cache.parent.unlink()

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", full)
    assert datasets.load(source).digest == first.digest
    assert list(cache.iterdir()) == []


# The command


def test_a_run_remembers_how_its_pictures_were_read(folder, tmp_path):
    source = folder(colours(*(f"{name}/{i}.png" for name in "ab" for i in range(9)), shape=(7, 9, 3)))
    run = tmp_path / "run"
    words = ("--size", 6, "--grey", "--skip-broken")
    result = call(source, *words, *SMALL, "--out", run)
    assert result.returncode == 0, result.stderr
    about = Run.open(run).config()["dataset"]
    assert about["pictures"] == {"size": 6, "grey": True, "skip_broken": True}
    assert about["source"] == str(source) and about["data_shape"] == [6, 6]
    result = call("--resume", run, "--epochs", 2, "--quiet")
    assert result.returncode == 0, result.stderr
    assert Run.open(run).read_json("summary.json")["epochs"] == 2
    assert_misuse(call("--resume", run, "--size", 6), "--size does not go with --resume")
    assert_misuse(call("--resume", run, "--skip-broken"), "--skip-broken does not go with --resume")
    source.rename(tmp_path / "moved")
    assert call("--resume", run, tmp_path / "moved", "--epochs", 3, "--quiet").returncode == 0


def test_the_notes_are_said_and_errors_are_misuse(folder, tmp_path):
    source = folder(colours("a/1.png", "b/2.png"))
    result = call(source, *SMALL[:-1], "--out", tmp_path / "run")
    assert "note: the labels are the subfolders: 0 a, 1 b" in result.stderr
    assert_misuse(
        call(folder({"c.png": b"broken"}), *SMALL), f"{source}/c.png: it is no picture, or damaged at its beginning"
    )


def test_what_is_for_folders_of_pictures_is_refused_elsewhere(tmp_path, monkeypatch):
    np.save(tmp_path / "x.npy", np.zeros((9, 4, 4)))
    assert "--size can be asked of a folder of pictures only, and digits is none" in refusal("digits", size=4)
    assert "--grey, --skip-broken can be asked of" in refusal(tmp_path / "x.npy", grey=True, skip_broken=True)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    assert "for the folder of that name, say ./photos" in refusal("photos", size=4)
    assert_misuse(call("digits", "--size", 8), "--size can be asked of a folder of pictures only")
