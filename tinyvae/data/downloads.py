"""The published data sets' files: looked for in the folders of this machine, else downloaded, always checked.

A data folder holds ``mnist/`` with the four IDX files and ``frey/`` with ``frey_rawface.mat``, under the names they
were published with. The check is the SHA-256 of the content after decompression, since mirrors compress differently.
"""

import os
import uuid
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import BinaryIO

import numpy as np

from tinyvae.data import formats
from tinyvae.errors import DataError
from tinyvae.types import AnyPath

FOLDER_VARIABLE = "TINYVAE_DATA"  # the environment variable that names a data folder
TIMEOUT = 20  # seconds without a byte after which a mirror is given up on
OFFLINE = "Without a network, train on the digits that come with scikit-learn:\n  python -m tinyvae.train digits"


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


class MirrorFault(Exception):
    """Why one mirror did not give a file, in a few words."""


@dataclass
class _Bounded:
    """A file to write to that refuses more than ``room`` bytes, so that no mirror can fill the disk."""

    stream: BinaryIO
    room: int

    def write(self, data: bytes) -> None:
        self.room -= len(data)
        if self.room < 0:
            raise MirrorFault("it sends more than the file has")
        self.stream.write(data)

    def flush(self) -> None:
        self.stream.flush()


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
        data_dir: Path of a data folder to look in first, before the one that $TINYVAE_DATA names and the cache folder.

    Returns: list of uint8 arrays, one a file, in the order of FILES[name].

    Raises: DataError if a folder that was asked for does not exist, a file that was found has not the published
        content, or a missing file cannot be downloaded.
    """
    cache = cache_folder()
    folders = [*_asked_for(data_dir), cache]
    return [_read(file, _find(file, folders) or _download(name, file, cache)) for file in FILES[name]]


def is_at_hand(name: str, data_dir: AnyPath | None = None) -> bool:
    """Whether all files of a published data set are where ``obtain`` looks, so that it would download nothing."""
    folders = [*_asked_for(data_dir), cache_folder()]
    return all(_find(file, folders) for file in FILES[name])


def fetch(name: str, folder: AnyPath | None = None) -> list[Path]:
    """See that a published data set is in a data folder: download what is missing, check everything.

    Args:
        name: a key of FILES.
        folder: Path of the data folder, made if need be; by default the cache folder.

    Returns: list of the files' Paths, in the order of FILES[name].

    Raises: DataError as ``obtain``.
    """
    folder = cache_folder() if folder is None else Path(folder)
    paths = [_find(file, [folder]) or _download(name, file, folder) for file in FILES[name]]
    for file, path in zip(FILES[name], paths):
        _read(file, path)
    return paths


def _asked_for(data_dir: AnyPath | None) -> Iterator[Path]:
    """The data folders that the user named: they are expected to exist, so that a slip of the pen is not a download."""
    for origin, folder in (("data_dir", data_dir), (f"${FOLDER_VARIABLE}", os.environ.get(FOLDER_VARIABLE))):
        if folder and not os.path.isdir(folder):
            raise DataError(f"{folder}: there is no such folder ({origin}). Make it, or name another.")
        if folder:
            yield Path(folder)


def _find(file: PublishedFile, folders: Iterable[Path]) -> Path | None:
    """The path of a file in the first of the folders that has it, compressed or not; None if none has."""
    for folder in folders:
        for path in (folder / file.path, folder / file.path.removesuffix(".gz")):
            if os.path.isfile(path):
                return path
    return None


def _read(file: PublishedFile, path: Path) -> np.ndarray:
    advice = "Put a good copy in its place, or delete it and run again: it is then downloaded."
    with formats.explained(path, f"{advice}\n{OFFLINE}"):
        return file.read(path)


def _download(name: str, file: PublishedFile, folder: Path) -> Path:
    """Fetch a file from the first mirror that gives the published content, and return its path."""
    target = folder / file.path
    faults = []
    for mirror in MIRRORS[name]:
        try:
            _download_from(mirror + target.name, file, target)
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
        + f"\nCheck the network and run again, or put the file into {target.parent} yourself.\n{OFFLINE}"
    )


def _download_from(url: str, file: PublishedFile, target: Path) -> None:
    """Fetch a file from one mirror; MirrorFault if it does not give the published content.

    The file gets its name when it is whole and checked, by renaming it from a temporary name of its own: neither an
    interruption nor another process on the same errand can leave anything else under that name.
    """
    temporary = target.with_name(f".{target.name}.{uuid.uuid4().hex}.part")
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        with temporary.open("xb") as stream:
            _transfer(url, _Bounded(stream, 2 * prod(file.shape) + 2**20), target.name)
            stream.flush()
            os.fsync(stream.fileno())
        try:
            file.read(temporary)
        except DataError as error:
            raise MirrorFault(error) from None
        os.replace(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)


def _transfer(url: str, stream: _Bounded, name: str) -> None:
    """Copy what ``url`` gives to ``stream``, with a progress bar on stderr; MirrorFault if it fails or breaks off.

    requests' exceptions are OSErrors, as a full disk is: they end here, so that an OSError further up is the disk's.
    """
    import pooch
    import requests
    from tqdm import tqdm
    from urllib3.exceptions import ReadTimeoutError

    silence = f"no answer for {TIMEOUT} seconds"
    try:
        # pooch puts the true total in the place of the 1
        with tqdm(desc=name, total=1, unit="B", unit_scale=True, leave=False, delay=0.5) as progress:
            pooch.HTTPDownloader(progressbar=progress, chunk_size=2**16, timeout=TIMEOUT)(url, stream, None)
    except requests.HTTPError as error:
        raise MirrorFault(f"{error.response.status_code} {error.response.reason}") from None
    except requests.Timeout:
        raise MirrorFault(silence) from None
    except requests.ConnectionError as error:
        if isinstance(error.args[0], ReadTimeoutError):
            raise MirrorFault(silence) from None
        cause = str(getattr(error.args[0], "reason", error)).rsplit(": ", 1)[-1]
        raise MirrorFault(f"no connection ({cause[:150]})") from None
    except requests.exceptions.ChunkedEncodingError:
        raise MirrorFault("the connection broke before the end of the file") from None
    except (requests.RequestException, ValueError) as error:  # ValueError: a redirection to an address nobody can read
        raise MirrorFault(f"{type(error).__name__}: {error}"[:200]) from None
