"""Finding, fetching and checking the published files, against a server on this machine that can misbehave."""

import errno
import gzip
import http.server
import io
import os
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from scipy.io import loadmat, savemat

from tests import published_data
from tests.commands import PATIENCE
from tests.data.refusals import refusal_of
from tests.data.test_formats import idx_bytes
from tinyvae.data import datasets, downloads, formats
from tinyvae.data.downloads import PublishedFile

DEFINED = dict(downloads.FILES)  # as published, before the fixture puts a small set there
IMAGES = np.random.RandomState(3).randint(0, 256, (7, 3, 4), np.uint8)
LABELS = np.arange(7, dtype=np.uint8)
FACES = np.repeat(IMAGES, 2, axis=0)
FILES = {"images.gz": idx_bytes(IMAGES), "labels.gz": idx_bytes(LABELS)}
PUBLISHED = tuple(
    PublishedFile(f"set/{name}", array.shape, formats.sha256(FILES[name]), formats.read_idx)
    for name, array in (("images.gz", IMAGES), ("labels.gz", LABELS))
)


class Mirror(http.server.BaseHTTPRequestHandler):
    """Serves /BEHAVIOUR/FILE: the file, or what goes wrong under that name."""

    def do_GET(self):
        behaviour, name = self.path.strip("/").replace("-", " ").split("/")
        content = gzip.compress(FILES[name])
        self.server.asked.append(behaviour)
        if behaviour == "missing":
            return self.send_error(404)
        if behaviour == "dripping headers":
            return self.drip(b"HTTP/1.1 200 OK\r\nX-Slowly: " + bytes(1000))
        if behaviour == "moved":
            self.send_response(302)
            self.send_header("Location", f"/good/{name}")
            return self.end_headers()
        if behaviour == "lost":
            self.send_response(302)
            self.send_header("Location", "http://[::bad/")
            return self.end_headers()
        if behaviour == "silent":
            return self.server.ending.wait(10)
        if behaviour == "other":
            content = gzip.compress(FILES[name][:-1] + b"\xff")
        if behaviour == "page":
            content = b"<html>Please log in to this network</html>"
        if behaviour == "endless":
            content = bytes(3 * 2**20)
        self.send_response(200)
        self.send_header("Content-Length", len(content))
        self.end_headers()
        if behaviour == "dripping":
            return self.drip(content)
        if behaviour in ("half", "stuck"):
            content = content[: len(content) // 2]
        self.wfile.write(content)
        if behaviour == "stuck":
            self.wfile.flush()
            self.server.ending.wait(10)

    def drip(self, content):
        """A byte now and then: never nothing for long, and never the whole."""
        for byte in content:
            self.wfile.write(bytes([byte]))
            self.wfile.flush()
            if self.server.ending.wait(0.3):
                return

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_):
        """A client that gives up is part of the tests."""


@pytest.fixture
def server():
    """A running server; ``asked`` lists the behaviours that were asked for."""
    server = Server(("127.0.0.1", 0), Mirror)
    server.asked, server.ending = [], threading.Event()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.ending.set()
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """An empty cache folder, the small data set ``set``, no mirror, and no folder of the developer's."""
    monkeypatch.delenv(downloads.FOLDER_VARIABLE, raising=False)
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setattr(downloads, "cache_folder", lambda: tmp_path / "cache")
    monkeypatch.setattr(downloads, "FILES", {"set": PUBLISHED})
    monkeypatch.setattr(downloads, "MIRRORS", {"set": ()})
    monkeypatch.setattr(downloads, "TIMEOUT", 1.5)
    return tmp_path / "cache"


@pytest.fixture
def mirrors(server, monkeypatch):
    """Call it with behaviours to have a mirror of each, in that order."""

    def use(*behaviours):
        bases = tuple(f"http://127.0.0.1:{server.server_port}/{b.replace(' ', '-')}/" for b in behaviours)
        monkeypatch.setattr(downloads, "MIRRORS", {"set": bases})

    return use


def put(folder, **changed):
    """Write the set into a data folder, with some files' contents changed."""
    (folder / "set").mkdir(parents=True)
    for name, content in FILES.items():
        (folder / "set" / name).write_bytes(changed.get(name.removesuffix(".gz"), gzip.compress(content)))
    return folder


def files_in(folder):
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def assert_right(arrays):
    images, labels = arrays
    np.testing.assert_array_equal(images, IMAGES)
    np.testing.assert_array_equal(labels, LABELS)


# Where files are looked for


def test_a_data_folder_is_used_without_a_network(tmp_path, cache):
    assert_right(downloads.obtain("set", put(tmp_path / "data")))
    assert_right(downloads.obtain("set", str(tmp_path / "data")))
    assert not cache.exists()


def test_the_environment_variable_and_the_cache_are_looked_into(tmp_path, cache, monkeypatch):
    monkeypatch.setenv("TINYVAE_DATA", str(put(tmp_path / "data")))
    assert_right(downloads.obtain("set"))
    monkeypatch.delenv("TINYVAE_DATA")
    put(cache)
    assert_right(downloads.obtain("set"))


def test_the_data_folder_comes_before_the_variable_before_the_cache(tmp_path, cache, monkeypatch):
    bad = gzip.compress(FILES["images.gz"][:-1])
    put(tmp_path / "good"), put(tmp_path / "bad", images=bad), put(cache, images=bad)
    monkeypatch.setenv("TINYVAE_DATA", str(tmp_path / "bad"))
    assert_right(downloads.obtain("set", tmp_path / "good"))
    monkeypatch.setenv("TINYVAE_DATA", str(tmp_path / "good"))
    assert_right(downloads.obtain("set"))


def test_files_may_lie_uncompressed(tmp_path):
    folder = put(tmp_path / "data")
    for name, content in FILES.items():
        (folder / "set" / name).unlink()
        (folder / "set" / name.removesuffix(".gz")).write_bytes(content)
    assert_right(downloads.obtain("set", folder))


def test_a_file_that_a_folder_lacks_is_taken_from_the_next(tmp_path, cache):
    folder = put(tmp_path / "data")
    (folder / "set/labels.gz").unlink()
    put(cache)
    assert_right(downloads.obtain("set", folder))


def test_a_named_folder_that_does_not_exist_is_an_error_and_not_a_download(tmp_path, monkeypatch, mirrors, server):
    mirrors("good")
    message = refusal_of(downloads.obtain, "set", tmp_path / "slip")
    assert f"{tmp_path}/slip: there is no such folder (data_dir)" in message
    monkeypatch.setenv("TINYVAE_DATA", str(tmp_path / "slip"))
    assert "no such folder ($TINYVAE_DATA)" in refusal_of(downloads.obtain, "set")
    assert server.asked == []


def test_a_named_folder_that_holds_nothing_of_the_set_is_not_passed_over(tmp_path, cache, monkeypatch, mirrors, server):
    mirrors("good")
    put(cache)
    (tmp_path / "empty").mkdir()
    message = refusal_of(downloads.obtain, "set", tmp_path / "empty")
    assert message.startswith(f"{tmp_path}/empty: this folder (data_dir) holds nothing of set. Looked for were\n")
    assert "\n  images.gz or images\n  labels.gz or labels\n" in message
    assert f"in {tmp_path}/empty/set, {tmp_path}/empty.\n" in message
    assert server.asked == []
    monkeypatch.setenv(
        "TINYVAE_DATA", str(tmp_path / "empty")
    )  # which stands there for all data sets, and all commands
    assert_right(downloads.obtain("set"))


def test_a_failed_download_says_where_the_file_was_looked_for(tmp_path, cache, monkeypatch):
    folder = put(tmp_path / "data")
    (folder / "set/labels.gz").unlink()
    monkeypatch.setenv("TINYVAE_DATA", str(tmp_path))
    assert f"\nNor is it in {folder}, {tmp_path}, {cache}.\n" in refusal_of(downloads.obtain, "set", folder)


def test_a_tilde_is_the_home_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    put(tmp_path / "my data")
    assert_right(downloads.obtain("set", "~/my data"))
    assert downloads.fetch("set", "~/my data")[0] == tmp_path / "my data/set/images.gz"
    monkeypatch.setenv("TINYVAE_DATA", "~/my data")
    assert_right(downloads.obtain("set"))


def make_pipe(path):
    os.mkfifo(path)


def make_socket(path):
    with socket.socket(socket.AF_UNIX) as end:
        end.bind(str(path))


def make_device(path):
    path.symlink_to("/dev/zero")


@pytest.mark.parametrize("make", [make_pipe, make_socket, make_device])
def test_what_is_no_file_is_refused_and_not_waited_for(tmp_path, make):
    folder = put(tmp_path / "d")
    (folder / "set/labels.gz").unlink()
    make(folder / "set/labels.gz")
    message = refusal_of(downloads.obtain, "set", folder)
    assert message.startswith(f"{folder}/set/labels.gz: it is a folder, a pipe or a device, not a file\n")


def test_a_folder_of_the_name_of_a_file_is_passed_over(tmp_path):
    """Some programs unpack NAME.gz to NAME/NAME."""
    folder = put(tmp_path / "data")
    (folder / "set/labels.gz").rename(folder / "labels.gz")
    (folder / "set/labels.gz").mkdir()
    assert_right(downloads.obtain("set", folder))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (gzip.compress(FILES["images.gz"][:-1] + b"\xff", mtime=0), "it has another content (SHA-256 "),
        (gzip.compress(FILES["images.gz"][:-1], mtime=0), "it ends early, after 83 of 84 bytes"),
        (gzip.compress(FILES["images.gz"], mtime=0)[:-9], "it is damaged (Compressed file ended"),
        (
            gzip.compress(FILES["labels.gz"], mtime=0),
            "it is no IDX file of bytes with 3 dimensions (it begins with 00 00 08 01)",
        ),
        (b"", "it ends early"),
    ],
    ids=["other content", "too short", "cut", "labels", "empty"],
)
def test_a_wrong_file_that_was_found_is_named_with_the_reason_and_the_remedy(tmp_path, content, reason):
    folder = put(tmp_path / "data", images=content)
    message = refusal_of(downloads.obtain, "set", folder)
    assert message.startswith(f"{folder}/set/images.gz: {reason}")
    assert "Put a good copy in its place, or move it away and run again: another is then looked for, or" in message
    assert message.endswith("python -m tinyvae.train digits")


# Downloading


def test_what_is_missing_is_downloaded_once(cache, mirrors, server):
    mirrors("good")
    assert_right(downloads.obtain("set"))
    assert files_in(cache) == ["images.gz", "labels.gz"]
    assert_right(downloads.obtain("set"))
    assert server.asked == ["good", "good"]


def test_redirections_are_followed(mirrors):
    mirrors("moved")
    assert_right(downloads.obtain("set"))


BAD = {
    "missing": "404 Not Found",
    "other": "it has another content (SHA-256",
    "page": "it begins with 3c 68 74 6d",
    "half": "the connection broke before the end of the file",
    "silent": "no answer for 1.5 seconds",
    "stuck": "no answer for 1.5 seconds",
    "endless": "it sends more than the file has",
    "lost": "Invalid",
}


@pytest.mark.parametrize("behaviour", BAD)
def test_a_bad_mirror_is_passed_over(cache, mirrors, server, behaviour):
    mirrors(behaviour, "good")
    assert_right(downloads.obtain("set"))
    assert files_in(cache) == ["images.gz", "labels.gz"]
    assert server.asked == [behaviour, "good"] * 2


DRIPPING = "dripping", "dripping headers"


@pytest.mark.parametrize("behaviour", DRIPPING)
def test_a_mirror_that_sends_a_byte_now_and_then_is_given_up_on(cache, mirrors, server, monkeypatch, behaviour):
    monkeypatch.setattr(downloads, "TIMEOUT", 0.75)
    mirrors(behaviour, "good")
    assert_right(downloads.obtain("set"))
    assert files_in(cache) == ["images.gz", "labels.gz"]
    assert server.asked == [behaviour, "good"] * 2


def test_what_is_too_slow_is_said(cache, mirrors, monkeypatch):
    monkeypatch.setattr(downloads, "TIMEOUT", 1)
    mirrors(*DRIPPING)
    assert refusal_of(downloads.obtain, "set").count(": too slow: less than 64 KiB in 2 seconds\n") == 2
    assert files_in(cache) == []


def test_without_a_good_mirror_the_message_has_every_reason_and_the_way_out(cache, mirrors):
    mirrors(*BAD)
    first, *lines, nor, put_it, _, command = refusal_of(downloads.obtain, "set").split("\n")
    assert first == "images.gz could not be downloaded from any of its mirrors:"
    assert len(lines) == len(BAD)
    for line, (behaviour, reason) in zip(lines, BAD.items()):
        assert f"/{behaviour}/images.gz: " in line and reason in line and len(line) < 250
    assert nor == f"Nor is it in {cache}."
    assert put_it == f"Check the network and run again, or put the file into {cache}/set yourself."
    assert command == "  python -m tinyvae.train digits"
    assert files_in(cache) == []


def test_without_a_connection_the_message_says_so(cache, monkeypatch):
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))  # and does not listen
        mirror = f"http://127.0.0.1:{deaf.getsockname()[1]}/"
        monkeypatch.setattr(downloads, "MIRRORS", {"set": (mirror,)})
        message = refusal_of(downloads.obtain, "set")
    assert f"{mirror}images.gz: no connection (" in message and "refused" in message
    assert message.endswith("python -m tinyvae.train digits")
    assert files_in(cache) == []


def test_a_proxy_that_cannot_be_reached_is_named_as_one(cache, monkeypatch):
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{deaf.getsockname()[1]}")
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{deaf.getsockname()[1]}")
        monkeypatch.setenv("NO_PROXY", "")
        monkeypatch.setenv("no_proxy", "")
        monkeypatch.setattr(downloads, "MIRRORS", {"set": ("http://example.org/",)})
        message = refusal_of(downloads.obtain, "set")
    assert "http://example.org/images.gz: the proxy cannot be reached (" in message and "refused)\n" in message


def test_a_full_disk_is_named_and_ends_the_search(cache, mirrors, monkeypatch, server):
    def full(_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    mirrors("good", "moved")
    monkeypatch.setattr(downloads.os, "fsync", full)
    message = refusal_of(downloads.obtain, "set")
    assert message.startswith(f"{cache}/set/images.gz: the download cannot be stored (No space left on device).")
    assert message.endswith("python -m tinyvae.train digits")
    assert server.asked == ["good"]
    assert files_in(cache) == []


def test_a_write_that_fails_halfway_leaves_nothing(cache, mirrors):
    mirrors("good")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, limits[1]))
    try:
        message = refusal_of(downloads.obtain, "set")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert "the download cannot be stored (File too large)" in message
    assert files_in(cache) == []


def test_a_cache_that_cannot_be_made_is_an_error(cache, mirrors):
    mirrors("good")
    cache.write_text("a file where the folder should be")
    assert refusal_of(downloads.obtain, "set").startswith(
        f"{cache}/set/images.gz: the download cannot be stored (Not a dir"
    )


def test_an_interruption_leaves_nothing(cache, mirrors, monkeypatch):
    def interrupted(_):
        raise KeyboardInterrupt

    mirrors("good")
    monkeypatch.setattr(downloads.os, "fsync", interrupted)
    with pytest.raises(KeyboardInterrupt):
        downloads.obtain("set")
    assert files_in(cache) == []


def test_what_killed_downloads_left_is_removed_and_nothing_else(cache, mirrors):
    """Versions before this one left such files, and a kill within the moment of writing still does."""
    mirrors("good")
    (cache / "set").mkdir(parents=True)
    old, young = (cache / f"set/.images.gz.{digit * 32}.part" for digit in "5a")
    others = [cache / "set" / name for name in (".images.gz.part", ".mine.gz." + "5" * 32 + ".part", "notes.part")]
    for path in (old, young, *others):
        path.touch()
        os.utime(path, (time.time() - 3600, time.time() - 3600 - (path != young) * downloads.LEFT_BEHIND))
    assert_right(downloads.obtain("set"))
    assert not old.exists() and all(path.exists() for path in (young, *others))
    old.touch()
    os.utime(old, (0, 0))
    assert_right(downloads.obtain("set"))  # nothing is to be downloaded
    assert not old.exists()


def test_the_file_is_as_readable_as_any_other(cache, mirrors):
    mirrors("good")
    downloads.obtain("set")
    (cache / "plain").touch()
    assert (cache / "set/images.gz").stat().st_mode == (cache / "plain").stat().st_mode


FIRST_RUN = """
import sys
from pathlib import Path
from tinyvae.data import downloads, formats
cache, mirror, *digests = sys.argv[1:]
downloads.cache_folder = lambda: Path(cache)
downloads.MIRRORS = {"set": (mirror,)}
downloads.FILES = {"set": (
    downloads.PublishedFile("set/images.gz", (7, 3, 4), digests[0], formats.read_idx),
    downloads.PublishedFile("set/labels.gz", (7,), digests[1], formats.read_idx),
)}
images, labels = downloads.obtain("set")
print(images.sum(), labels.sum())
"""


def test_first_runs_at_the_same_time_do_not_disturb_each_other(cache, server):
    mirror = f"http://127.0.0.1:{server.server_port}/good/"
    command = [sys.executable, "-c", FIRST_RUN, str(cache), mirror, *(file.sha256 for file in PUBLISHED)]
    runs = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(3)]
    outputs = [run.communicate(timeout=PATIENCE) for run in runs]
    for run, (output, errors) in zip(runs, outputs):
        assert run.returncode == 0, errors
        assert output.split() == [str(IMAGES.sum()), str(LABELS.sum())]
    assert files_in(cache) == ["images.gz", "labels.gz"]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("behaviour", ["stuck", "dripping"])
def test_a_process_that_is_ended_while_it_downloads_leaves_nothing(cache, server, number, behaviour):
    mirror = f"http://127.0.0.1:{server.server_port}/{behaviour}/"
    command = [sys.executable, "-c", FIRST_RUN, str(cache), mirror, *(file.sha256 for file in PUBLISHED)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as run:
        while not server.asked:
            assert run.poll() is None
            time.sleep(0.01)
        time.sleep(0.3)  # some bytes have come
        run.send_signal(number)
        run.communicate(timeout=PATIENCE)
    assert run.returncode == -number
    assert files_in(cache) == []


def test_threads_do_not_disturb_each_other(cache, mirrors, monkeypatch):
    monkeypatch.setattr(downloads, "TIMEOUT", 30)  # eight at once may wait for a busy processor
    mirrors("good")
    results = []
    threads = [threading.Thread(target=lambda: results.append(downloads.obtain("set"))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 8
    for arrays in results:
        assert_right(arrays)
    assert files_in(cache) == ["images.gz", "labels.gz"]


# Fetching into a folder


def test_fetch_fills_a_folder_and_checks_it(tmp_path, mirrors, server):
    mirrors("good")
    folder = tmp_path / "new/data"
    assert downloads.fetch("set", folder) == [folder / "set/images.gz", folder / "set/labels.gz"]
    assert_right(downloads.obtain("set", folder))
    assert downloads.fetch("set", folder) == [folder / "set/images.gz", folder / "set/labels.gz"]
    assert server.asked == ["good", "good"]
    (folder / "set/labels.gz").write_bytes(b"damaged")
    assert refusal_of(downloads.fetch, "set", folder).startswith(f"{folder}/set/labels.gz: it is no IDX file")


def test_a_home_folder_that_is_none_is_a_name_like_any_other(tmp_path, mirrors, monkeypatch):
    mirrors("good")
    monkeypatch.chdir(tmp_path)
    assert downloads.fetch("set", "~nobody-of-this-name/x")[0] == Path("~nobody-of-this-name/x/set/images.gz")


def test_fetch_goes_to_the_cache_by_default(cache, mirrors):
    mirrors("good")
    assert downloads.fetch("set") == [cache / "set/images.gz", cache / "set/labels.gz"]


# The published sets


@pytest.fixture
def small(monkeypatch):
    """Small contents under the real names and with the real readers: {name as published: content}."""
    contents, files = {}, {"mnist": []}
    for original, array in zip(DEFINED["mnist"], (IMAGES, LABELS, IMAGES[:3], LABELS[:3])):
        contents[Path(original.path).name] = gzip.compress(idx_bytes(array))
        digest = formats.sha256(idx_bytes(array))
        files["mnist"].append(PublishedFile(original.path, array.shape, digest, original.reader))
    (frey,) = DEFINED["frey"]
    saved = io.BytesIO()
    savemat(saved, {"ff": FACES.reshape(14, 12).T})
    contents[Path(frey.path).name] = saved.getvalue()
    files["frey"] = [PublishedFile(frey.path, FACES.shape, formats.sha256(FACES), frey.reader)]
    monkeypatch.setattr(downloads, "FILES", files)
    return contents


WRITINGS = {
    "as published": lambda name, content: (name, content),
    "unpacked": lambda name, content: (name.removesuffix(".gz"), gzip.decompress(content)),
    "a dot": lambda name, content: (name.replace("-idx", ".idx"), content),
    "a dot, unpacked": lambda name, content: (
        name.replace("-idx", ".idx").removesuffix(".gz"),
        gzip.decompress(content),
    ),
}


@pytest.mark.parametrize(("place", "writing"), list(product(["mnist", "", "MNIST/raw", "MNIST", "raw"], WRITINGS)))
def test_mnist_is_found_where_people_have_it(tmp_path, small, cache, place, writing):
    folder = tmp_path / "data" / place
    folder.mkdir(parents=True)
    for published, compressed in small.items():
        if published.endswith(".gz"):
            name, content = WRITINGS[writing](published, compressed)
            (folder / name).write_bytes(content)
    np.testing.assert_array_equal(datasets.load("mnist", tmp_path / "data").train, IMAGES.reshape(7, 12))
    assert not cache.exists()


@pytest.mark.parametrize("place", ["frey", ""])
def test_the_faces_are_found_where_people_have_them(tmp_path, small, place):
    (tmp_path / "data" / place).mkdir(parents=True)
    (tmp_path / "data" / place / "frey_rawface.mat").write_bytes(small["frey_rawface.mat"])
    assert len(datasets.load("frey", tmp_path / "data").train) == 13
    assert "t10k-labels.idx1-ubyte" in refusal_of(datasets.load, "mnist", tmp_path / "data")


def test_mnist_and_frey_are_put_together(tmp_path, small):
    for name, content in small.items():
        (tmp_path / name).write_bytes(content)

    mnist = datasets.load("mnist", tmp_path)
    assert (mnist.name, mnist.data_shape, mnist.n_labels) == ("mnist", (3, 4), 7)
    np.testing.assert_array_equal(mnist.train, IMAGES.reshape(7, 12))
    np.testing.assert_array_equal(mnist.test, IMAGES[:3].reshape(3, 12))
    np.testing.assert_array_equal(mnist.train_labels, LABELS)
    np.testing.assert_array_equal(mnist.test_labels, LABELS[:3])
    assert mnist.train_labels.dtype == np.int64
    assert len(datasets.load("mnist", tmp_path, limit=4).train) == 4

    frey = datasets.load("frey", tmp_path)
    assert (frey.name, frey.data_shape, frey.n_labels) == ("frey", (3, 4), 0)
    assert frey.train.shape == (13, 12) and frey.test.shape == (1, 12)
    together = np.concatenate([frey.train, frey.test])
    np.testing.assert_array_equal(np.sort(together, axis=0), np.sort(FACES.reshape(14, 12), axis=0))


@published_data.needed
def test_the_published_mnist(monkeypatch):
    monkeypatch.setattr(downloads, "FILES", DEFINED)
    mnist = datasets.load("mnist", published_data.FOLDER)
    assert mnist.train.shape == (60_000, 784) and mnist.test.shape == (10_000, 784)
    assert mnist.train.dtype == np.uint8 and mnist.data_shape == (28, 28) and mnist.n_labels == 10
    assert mnist.train_labels[:10].tolist() == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]
    assert np.bincount(mnist.test_labels).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    assert round(mnist.train.mean() / 255, 4) == 0.1307


@published_data.needed
def test_the_published_frey_faces(monkeypatch):
    monkeypatch.setattr(downloads, "FILES", DEFINED)
    frey = datasets.load("frey", published_data.FOLDER)
    assert frey.train.shape == (1768, 560) and frey.test.shape == (197, 560)
    assert frey.train.dtype == np.uint8 and frey.data_shape == (28, 20)
    variable = loadmat(Path(published_data.FOLDER) / "frey/frey_rawface.mat")["ff"]
    together = np.concatenate([frey.test, frey.train])
    np.testing.assert_array_equal(together, variable.T[np.random.RandomState(0).permutation(1965)])
    # folded the right way: a pixel is more like the one above it than with any other width
    changes = {w: np.abs(together[:, w:].astype(float) - together[:, :-w]).mean() for w in range(10, 40)}
    assert min(changes, key=changes.get) == 20


def test_a_data_set_is_at_hand_when_all_of_its_files_are(tmp_path, monkeypatch):
    monkeypatch.setenv("TINYVAE_DATA", str(tmp_path))
    (tmp_path / "set").mkdir()
    for file in PUBLISHED:
        assert not downloads.is_at_hand("set")
        (tmp_path / file.path).write_bytes(b"")
    assert downloads.is_at_hand("set")
