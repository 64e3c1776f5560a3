"""The published data sets' files: looked for in the folders of this machine, else downloaded, always checked.

A data folder holds MNIST's four IDX files and the Frey faces' ``frey_rawface.mat`` in one of FOLDERS, under the names
they were published with, compressed or not; a dot may stand before "idx". The check is the SHA-256 of the content after
decompression, since mirrors compress differently.
"""

import glob
import os
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tinyvae.data import formats
from tinyvae.errors import DataError
from tinyvae.types import AnyPath

if TYPE_CHECKING:
    from tqdm import tqdm

FOLDER_VARIABLE = "TINYVAE_DATA"  # the environment variable that names a data folder
TIMEOUT = 20  # seconds without a byte after which a mirror is given up on; or twice as long without a block
BLOCK = 2**16  # bytes
LEFT_BEHIND = 24 * 3600  # seconds after which a temporary file, which lives for a moment, is what a kill left
OFFLINE = "Without a network, train on the digits that come with scikit-learn:\n  python -m tinyvae.train digits"


# Where people have the files of a set, under a data folder: in a folder of its name, directly, or as torchvision does.
FOLDERS = {"mnist": ("mnist", "", "MNIST/raw", "MNIST", "raw")}


@dataclass(frozen=True)
class PublishedFile:
    """One file of a data set: its path under a data folder, the shape and SHA-256 of its content, and its reader."""

    path: str
    shape: tuple[int, ...]
    sha256: str
    reader: Callable[[Path, tuple[int, ...]], tuple[np.ndarray, str]]  # (path, shape) -> (array, digest)

    def read(self, path: Path) -> np.ndarray:
        """The array in the file ``path``; DataError (the reason alone) if it is another content than the published."""
        array, digest = self.reader(path, self.shape)
        if digest != self.sha256:
            raise DataError(f"it has another content (SHA-256 {digest[:12]}..., expected {self.sha256[:12]}...)")
        return array

    def folders(self) -> tuple[str, ...]:
        """Where it may lie under a data folder."""
        own = self.path.split("/")[0]
        return FOLDERS.get(own, (own, ""))

    def names(self) -> list[str]:
        """What it may be called: as published, uncompressed, and both with a dot for the dash before "idx"."""
        name = self.path.split("/")[1]
        names = name, name.removesuffix(".gz")
        return list(dict.fromkeys([*names, *(n.replace("-idx", ".idx") for n in names)]))


class MirrorFault(Exception):
    """Why one mirror did not give a file, in a few words."""


@dataclass
class _Arrivals:
    """What has come from a mirror: at most ``room`` bytes, so that none can fill the memory, and when the last came."""

    room: int
    content: bytearray = field(default_factory=bytearray)
    last: float = field(default_factory=time.monotonic)
    fault: str = ""

    def write(self, data: bytes) -> None:
        if len(self.content) + len(data) > self.room:
            raise MirrorFault("it sends more than the file has")
        self.content += data
        self.last = time.monotonic()

    def flush(self) -> None:
        """What pooch asks of a file."""


FILES = {
    "mnist": (
        PublishedFile(
            "mnist/train-images-idx3-ubyte.gz",
            (60_000, 28, 28),
            "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
            formats.read_idx,
        ),
        PublishedFile(
            "mnist/train-labels-idx1-ubyte.gz",
            (60_000,),
            "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
            formats.read_idx,
        ),
        PublishedFile(
            "mnist/t10k-images-idx3-ubyte.gz",
            (10_000, 28, 28),
            "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
            formats.read_idx,
        ),
        PublishedFile(
            "mnist/t10k-labels-idx1-ubyte.gz",
            (10_000,),
            "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
            formats.read_idx,
        ),
    ),
    "frey": (
        PublishedFile(
            "frey/frey_rawface.mat",
            (1965, 28, 20),
            "2438ba4f0d2a6bd8bac43de756141eaa33c8d248dd613d464bdb1210d9b7af78",
            formats.read_frey,
        ),
    ),
}

# tried in this order
MIRRORS = {
    "mnist": (
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
        "http://yann.lecun.com/exdb/mnist/",
    ),
    "frey": (
        "https://cs.nyu.edu/~roweis/data/",
        "https://www.cs.nyu.edu/~roweis/data/",
        "https://www.cs.toronto.edu/~roweis/data/",
    ),
}


def cache_folder() -> Path:
    """The user's data folder for downloads, as the operating system has it (~/.cache/tinyvae on Linux)."""
    import platformdirs  # as pooch does; but in a notebook pooch warns of a progress bar that is not to be had

    return Path(platformdirs.user_cache_dir("tinyvae"))


def obtain(name: str, data_dir: AnyPath | None = None) -> list[np.ndarray]:
    """The arrays of a published data set, from this machine if they are on it, else downloaded into the cache folder.

    Args:
        name: a key of FILES.
        data_dir: str or Path of a data folder to look in first, before the one that $TINYVAE_DATA names and the cache
            folder; it must hold something of the data set.

    Returns: list of uint8 arrays, one a file, in the order of FILES[name].

    Raises: DataError if a folder that was asked for does not exist, ``data_dir`` holds nothing of the data set, a file
        that was found has not the published content, or a missing file cannot be downloaded.
    """
    folders = [*_asked_for(data_dir), cache_folder()]
    if data_dir and not any(_find(file, folders[:1]) for file in FILES[name]):
        raise DataError(
            f"{folders[0]}: this folder (data_dir) holds nothing of {name}. Looked for were\n"
            + "".join(f"  {' or '.join(file.names())}\n" for file in FILES[name])
            + f"in {_listed(folders[0] / folder for folder in FILES[name][0].folders())}.\n"
            f"Name the folder that holds them, or none: {name} is then looked for in ${FOLDER_VARIABLE} and "
            f"{folders[-1]}, or downloaded."
        )
    return [_read(file, _provide(name, file, folders)) for file in FILES[name]]


def is_at_hand(name: str) -> bool:
    """Whether all files of a published data set are where ``obtain`` looks, so that it would download nothing."""
    folders = [*_asked_for(None), cache_folder()]
    return all(_find(file, folders) for file in FILES[name])


def fetch(name: str, folder: AnyPath | None = None) -> list[Path]:
    """See that a published data set is in a data folder: download what is missing, check everything.

    Args:
        name: a key of FILES.
        folder: str or Path of the data folder, made if need be; by default the cache folder.

    Returns: list of the files' Paths, in the order of FILES[name].

    Raises: DataError as ``obtain``.
    """
    folders = [cache_folder() if folder is None else Path(os.path.expanduser(folder))]
    paths = [_provide(name, file, folders) for file in FILES[name]]
    for file, path in zip(FILES[name], paths):
        _read(file, path)
    return paths


def _asked_for(data_dir: AnyPath | None) -> Iterator[Path]:
    """The data folders that the user named: they are expected to exist, so that a slip of the pen is not a download."""
    for origin, named in (("data_dir", data_dir), (f"${FOLDER_VARIABLE}", os.environ.get(FOLDER_VARIABLE))):
        folder = os.path.expanduser(named or "")  # no shell does it within --data-dir=~/data or in quotes
        if folder and not os.path.isdir(folder):
            raise DataError(f"{folder}: there is no such folder ({origin}). Make it, or name another.")
        if folder:
            yield Path(folder)


def _listed(paths: Iterable[Path]) -> str:
    return ", ".join(dict.fromkeys(map(str, paths)))


def _find(file: PublishedFile, folders: Iterable[Path]) -> Path | None:
    """The path of a file in the first of the folders that has it; None if none has.

    A pipe or a device of its name is found too, for the reader to refuse; a folder is not: programs that unpack make
    one of the same name.
    """
    for folder in folders:
        for path in (folder / place / name for place in file.folders() for name in file.names()):
            if os.path.exists(path) and not os.path.isdir(path):
                return path
    return None


def _provide(name: str, file: PublishedFile, folders: Sequence[Path]) -> Path:
    """The path of a file in the first of the folders that has it, else downloaded into the last."""
    target = folders[-1] / file.path
    remove_leftovers(target)
    return _find(file, folders) or _download(name, file, target, folders)


def remove_leftovers(target: Path) -> None:
    """Remove what downloads that were killed have left beside ``target``."""
    for path in target.parent.glob(f".{glob.escape(target.name)}.{'[0-9a-f]' * 32}.part"):
        with suppress(OSError):  # another process was faster, or nothing can be removed here
            if time.time() - path.lstat().st_mtime > LEFT_BEHIND:
                path.unlink()


def _read(file: PublishedFile, path: Path) -> np.ndarray:
    advice = "Put a good copy in its place, or move it away and run again: another is then looked for, or downloaded."
    with formats.explained(path, f"{advice}\n{OFFLINE}"):
        return file.read(path)


def _download(name: str, file: PublishedFile, target: Path, folders: Sequence[Path]) -> Path:
    """Fetch a file from the first mirror that gives the published content, and return its path, ``target``."""
    faults = []
    for mirror in MIRRORS[name]:
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            # twice the content: more than any compression makes of it
            _store(_transfer(mirror + target.name, 2 * prod(file.shape) + 2**20), file, target)
            return target
        except MirrorFault as fault:
            faults.append(f"  {mirror}{target.name}: {fault}")
        except OSError as error:
            raise DataError(
                f"{target}: the download cannot be stored ({error.strerror or error}).\n"
                f"Make room or mend the folder's permissions, "
                f"or name in ${FOLDER_VARIABLE} a folder that holds {file.path}.\n"
                f"{OFFLINE}"
            ) from None
    raise DataError(
        f"{target.name} could not be downloaded from any of its mirrors:\n"
        + "\n".join(faults)
        + f"\nNor is it in {_listed(folders)}."
        f"\nCheck the network and run again, or put the file into {target.parent} yourself.\n{OFFLINE}"
    )


def _store(content: bytes | bytearray, file: PublishedFile, target: Path) -> None:
    """Write a downloaded file; MirrorFault if it has not the published content."""
    with named_when_whole(target) as temporary:
        with temporary.open("xb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        try:
            file.read(temporary)
        except DataError as error:
            raise MirrorFault(error) from None


@contextmanager
def named_when_whole(target: Path) -> Iterator[Path]:
    """Inside: a path to write a file to, which gets the name ``target`` at the end, when it is whole and checked.

    It is renamed from a temporary name of its own: neither an interruption nor another process on the same errand can
    leave anything else under that name.
    """
    temporary = target.with_name(f".{target.name}.{uuid.uuid4().hex}.part")
    try:
        yield temporary
        os.replace(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)


def _transfer(url: str, room: int) -> bytearray:
    """What ``url`` gives, with a progress bar on stderr; MirrorFault if it fails, breaks off, or is too slow.

    It stays in memory until it is whole, so that a kill leaves nothing on the disk. It is received in a thread, because
    there is no other limit to the time of a server that sends a byte now and then, be it of the content, of a header or
    of the handshake; a thread that is given up on ends with the next block, or with the process.
    """
    from tqdm import tqdm

    arrivals = _Arrivals(room)
    # pooch puts the true total in the place of the 1
    with tqdm(desc=url.rsplit("/", 1)[1], total=1, unit="B", unit_scale=True, leave=False, delay=0.5) as progress:
        receiver = threading.Thread(target=_receive, args=(url, arrivals, progress), daemon=True)
        receiver.start()
        try:
            while receiver.is_alive():
                if (patience := arrivals.last + 2 * TIMEOUT - time.monotonic()) < 0:
                    raise MirrorFault(f"too slow: less than {BLOCK // 1024} KiB in {2 * TIMEOUT} seconds")
                receiver.join(patience)
        finally:
            arrivals.room = 0
    if arrivals.fault:
        raise MirrorFault(arrivals.fault)
    return arrivals.content


def _receive(url: str, arrivals: _Arrivals, progress: "tqdm") -> None:
    """Copy what ``url`` gives to ``arrivals``, with the reason there if it fails or breaks off."""
    import pooch
    import requests
    from urllib3.exceptions import ReadTimeoutError

    silence = f"no answer for {TIMEOUT} seconds"
    try:
        pooch.HTTPDownloader(progressbar=progress, chunk_size=BLOCK, timeout=TIMEOUT)(url, arrivals, None)
    except MirrorFault as fault:
        arrivals.fault = str(fault)
    except requests.HTTPError as error:
        arrivals.fault = f"{error.response.status_code} {error.response.reason}"
    except requests.Timeout:
        arrivals.fault = silence
    except requests.ConnectionError as error:
        cause = str(getattr(error.args[0], "reason", error)).rsplit(": ", 1)[-1].rstrip("\"')")[:150]
        what = "the proxy cannot be reached" if isinstance(error, requests.exceptions.ProxyError) else "no connection"
        arrivals.fault = silence if isinstance(error.args[0], ReadTimeoutError) else f"{what} ({cause})"
    except requests.exceptions.ChunkedEncodingError:
        arrivals.fault = "the connection broke before the end of the file"
    except Exception as error:  # whatever it is, such as a redirection to an address nobody can read: one mirror less
        arrivals.fault = f"{type(error).__name__}: {error}"[:200]
