"""The checkpoint: named arrays and a small state, in one .npz file that is read whole or not at all.

The file is what np.savez writes, and np.load opens it. It holds a NAME.npy for each array and ``state.json``, all
uncompressed, and ends with a seal (which is the zip format's comment; ``unzip -z`` shows it):

    tinyvae checkpoint, format 1, written by tinyvae 0.1.0, SHA-256 9f86d0...

The SHA-256 is that of every byte before it. So a reader needs to understand nothing of a file to know that it is
complete and undamaged, and nothing is understood (no length believed, no memory asked for) before that is known.
"""

import hashlib
import io
import json
import os
import re
import shlex
import zipfile

import numpy as np

from tinyvae import __version__
from tinyvae.disk.files import atomic_write, explained, open_to_read
from tinyvae.errors import RunError

FORMAT = 1  # raise it when an older tinyvae would misread the file
SEAL = "tinyvae checkpoint, format {}, written by tinyvae {}, SHA-256 "
SEAL_PATTERN = re.compile(SEAL.format(r"(\d{1,9})", r"([\w.+-]{1,40})").encode() + rb"([0-9a-f]{64})\Z")
DIGEST_LENGTH = 64  # hexadecimal digits of a SHA-256
LONGEST_SEAL = 200
STATE = "state.json"  # the archive's first member: a file that begins with it, and has no seal, lost its end
CHUNK = 2**20  # bytes that are hashed at a time
ADVICE = "Put a good copy in its place, or train again with --overwrite."


def write_checkpoint(path, arrays, state):
    """Write a checkpoint, atomically: until the new one is complete, the previous one stays.

    Args:
        path: Path, in a folder that exists.
        arrays: {name: array} of any shapes and numeric dtypes.
        state: a dict that JSON can hold.

    Raises: RunError if the file cannot be written.
    """
    with atomic_write(path) as file:
        with zipfile.ZipFile(file, "w") as archive:
            archive.comment = SEAL.format(FORMAT, __version__).encode() + b"0" * DIGEST_LENGTH
            archive.writestr(zipfile.ZipInfo(STATE), json.dumps(state, allow_nan=False))
            for name, array in arrays.items():
                with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                    np.lib.format.write_array(member, array, version=(1, 0), allow_pickle=False)
        digest = _digest_before_seal(file)
        file.seek(-DIGEST_LENGTH, os.SEEK_END)
        file.write(digest)


def read_checkpoint(path):
    """Read a checkpoint.

    Args:
        path: Path.

    Returns: (arrays, state): as they were given to ``write_checkpoint``; a tuple in the state has become a list.

    Raises: RunError if the file is missing, cut short, damaged, no checkpoint, or of a newer format.
    """
    if not os.path.exists(path):
        raise RunError(
            f"{path}: there is no checkpoint\nA run writes its first at the end of its first epoch; where it is gone, "
            f"the model is gone. From the beginning: python -m tinyvae.train --resume {shlex.quote(str(path.parent))}"
        )
    with explained(path, "read"), open_to_read(path) as file:
        size = os.fstat(file.fileno()).st_size
        file.seek(max(0, size - LONGEST_SEAL))
        seal = SEAL_PATTERN.search(file.read(LONGEST_SEAL))
        if not seal:
            raise RunError(f"{path}: {_without_seal(file)}\n{ADVICE}")
        number, version, digest = seal.groups()
        if _digest_before_seal(file) != digest:
            raise RunError(f"{path}: it is damaged: its content is not the one that it was written with\n{ADVICE}")
        if int(number) > FORMAT:
            raise RunError(
                f"{path}: it was written by tinyvae {version.decode()} in format {int(number)}, and this is tinyvae "
                f"{__version__}, which reads up to format {FORMAT}\nUpgrade tinyvae."
            )
        return _unpack(path, file, size)


def _digest_before_seal(file):
    """The SHA-256 of all but the digest itself, in hexadecimal bytes."""
    digest = hashlib.sha256()
    remaining = file.seek(0, os.SEEK_END) - DIGEST_LENGTH
    file.seek(0)
    while chunk := file.read(min(CHUNK, remaining)):
        digest.update(chunk)
        remaining -= len(chunk)
    return digest.hexdigest().encode()


def _without_seal(file):
    """What to say of a file that does not end with a seal."""
    file.seek(0)
    head = file.read(100)
    if not head:
        return "it is empty"
    if head.startswith(b"PK\x03\x04") and STATE.encode() in head:
        return "it does not end as a checkpoint does: it was cut short, or something was appended"
    return "it is not a checkpoint of tinyvae"


def _unpack(path, file, size):
    """The arrays and the state of a file of ``size`` bytes whose seal is right.

    What is read here is what was written, unless somebody changed a file and sealed it again. Even so no size that a
    header claims is believed: the members must fit into the file, and each array into its member. On junk zipfile and
    NumPy's header parser (which calls Python's) raise ValueError, KeyError, TypeError, SyntaxError, MemoryError,
    RecursionError, RuntimeError, BadZipFile, struct.error, TokenError ... No list of these is ever complete and each
    means the same, so this one place catches them all.
    """
    try:
        with zipfile.ZipFile(file) as archive:
            members = archive.infolist()
            if any(m.compress_type != zipfile.ZIP_STORED or m.compress_size != m.file_size for m in members):
                raise ValueError("a member is compressed")
            if sum(m.file_size for m in members) > size:
                raise ValueError("its members are larger than the file")
            state = json.loads(archive.read(STATE))
            if not isinstance(state, dict):
                raise ValueError("its state is no object in braces")
            names = [m.filename.removesuffix(".npy") for m in members if m.filename != STATE]
            return {name: _array(archive.read(f"{name}.npy")) for name in names}, state
    except Exception as error:
        detail = str(error).split("\n")[0][:200] or type(error).__name__
        raise RunError(f"{path}: it is sealed as a checkpoint, and is none ({detail})\n{ADVICE}") from None


def _array(content):
    """The array of an .npy file, from its bytes; the array is writable."""
    stream = io.BytesIO(content)
    if np.lib.format.read_magic(stream) != (1, 0):
        raise ValueError("an .npy version that is not 1.0")
    shape, fortran_order, dtype = np.lib.format.read_array_header_1_0(stream)
    # frombuffer allocates nothing, and reshape refuses a shape that the bytes present do not fill
    array = np.frombuffer(content, dtype, offset=stream.tell()).reshape(shape, order="F" if fortran_order else "C")
    if array.shape != shape:  # reshape takes a negative length for one that it is to find out
        raise ValueError(f"the shape {shape}")
    return array.copy(order="K")
