"""Readers of the file formats that data sets come in: IDX (MNIST), MATLAB (Frey faces), and NumPy's .npy and .npz.

A header is never believed: memory is asked for only after what the header promises has been compared with what the file
can hold, so that a damaged or malicious file is refused and cannot exhaust the machine. Pickles are never loaded, and
what is no file, such as a pipe that nobody writes to, is never waited for.

Every reader raises DataError with the reason alone ("it ends early ..."); the caller knows the file's name and what the
person can do about it, and adds both (``explained``).
"""

import gzip
import hashlib
import io
import os
import struct
import warnings
import zipfile
import zlib
from contextlib import contextmanager
from math import prod

import numpy as np

from tinyvae.disk.files import NoFile, open_ordinary
from tinyvae.errors import DataError

IDX_UINT8 = 0x08  # the third byte of an IDX file: the type of its numbers
LARGEST_MEMBER = 4 * 2**30  # bytes of one array in an .npz, uncompressed
DEFLATE_RATIO = 1032  # no deflated byte can stand for more than this: a member that promises more is lying
HEADER_LARGEST = 16 * 2**10  # bytes at the front of an .npy, more than NumPy accepts as a header
HEADER_READERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
MAT_HEADERS = 1024  # more bytes than a MATLAB file of one variable has before its values
MAT_COMPRESSED = (b"\x0f\0\0\0", b"\0\0\0\x0f")  # the type of a compressed block, in either byte order


@contextmanager
def explained(path, advice):
    """Inside: what goes wrong with the file ``path`` leaves as a DataError that says which file, why, what to do."""
    try:
        yield
    except DataError as error:
        raise DataError(f"{path}: {error}\n{advice}") from None
    except OSError as error:
        raise DataError(f"{path}: it cannot be read ({error.strerror or error})\n{advice}") from None
    except MemoryError:
        raise DataError(f"{path}: it does not fit into the memory of this machine\n{advice}") from None


@contextmanager
def damage_refused():
    """Inside: any exception of a parsing library leaves as a DataError.

    On random bytes gzip, zipfile, zlib, Pillow and NumPy's header parser (which calls Python's) raise ValueError,
    TypeError, KeyError, EOFError, OSError, SyntaxError, RecursionError, MemoryError, OverflowError, UnicodeDecodeError,
    NotImplementedError, struct.error, zlib.error, TokenError ... and warn about the Python they find in a header. No
    list of these is ever complete and each means the same: the file is damaged. So this one place catches them all;
    keep what stands inside it to calls of those libraries.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except DataError:
        raise
    except Exception as error:
        detail = str(error).strip().split("\n")[0][:200] or type(error).__name__
        raise DataError(f"it is damaged ({detail})") from None


def open_file(path):
    """A file, open for reading bytes; DataError (the reason alone) for what would be waited for, or has no end."""
    try:
        return open_ordinary(os.fspath(path))  # a str, which np.memmap keeps as the name of what it maps
    except (NoFile, IsADirectoryError):
        raise DataError("it is a folder, a pipe or a device, not a file") from None


def sha256(*parts):
    """The SHA-256, in hexadecimal, of bytes and C-ordered arrays one after the other."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    return digest.hexdigest()


def read_idx(path, shape):
    """An IDX file of bytes, plain or compressed with gzip (told by its content, not by its name).

    The shape is known beforehand, so that nothing is read beyond what it needs, whatever the file says.

    Args:
        path: Path of the file.
        shape: the expected shape, for example (60000, 28, 28).

    Returns: (array, digest): uint8 of that shape, and the SHA-256 of the whole uncompressed file.

    Raises: DataError (the reason alone) if the header or the length is another, or the compression is damaged.
    """
    expected = struct.pack(f">HBB{len(shape)}I", 0, IDX_UINT8, len(shape), *shape)
    with open_file(path) as file, damage_refused():
        compressed = file.read(2) == b"\x1f\x8b"
        file.seek(0)
        stream = gzip.GzipFile(fileobj=file) if compressed else file
        header = stream.read(len(expected))
        if header != expected:
            raise DataError(_wrong_header(header, shape))
        # one byte more than promised: it shows an excess, and makes gzip reach the end, where its checksum is
        content = stream.read(prod(shape) + 1)
    if len(content) < prod(shape):
        raise DataError(f"it ends early, after {len(content):,} of {prod(shape):,} bytes")
    if len(content) > prod(shape):
        raise DataError(f"it goes on after the {prod(shape):,} bytes that it should hold")
    array = np.frombuffer(content, np.uint8).reshape(shape).copy()  # writable: Numba compiles read-only arrays apart
    return array, sha256(header, array)


def idx_shape(path, n_dimensions):
    """The shape that the header of an IDX file of bytes promises, for ``read_idx``; no more than the file can hold.

    Args:
        path: Path of the file, plain or compressed with gzip.
        n_dimensions: the expected number of lengths.

    Returns: tuple of so many lengths.

    Raises: DataError (the reason alone) if it is no such header, or promises more than it can be.
    """
    with open_file(path) as file, damage_refused():
        compressed = file.read(2) == b"\x1f\x8b"
        file.seek(0)
        header = (gzip.GzipFile(fileobj=file) if compressed else file).read(4 + 4 * n_dimensions)
        size = os.fstat(file.fileno()).st_size
    if len(header) < 4 + 4 * n_dimensions or header[:4] != struct.pack(">HBB", 0, IDX_UINT8, n_dimensions):
        raise DataError(_wrong_header(header, (0,) * n_dimensions))
    shape = struct.unpack_from(f">{n_dimensions}I", header, 4)
    if prod(shape) > min(LARGEST_MEMBER, size * (DEFLATE_RATIO if compressed else 1)):
        raise DataError(f"its header promises the shape {shape}, more than its {size:,} bytes can hold")
    return shape


def _wrong_header(header, shape):
    magic = struct.pack(">HBB", 0, IDX_UINT8, len(shape))
    if not magic.startswith(header[:4]):
        return f"it is no IDX file of bytes with {len(shape)} dimensions (it begins with {header[:4].hex(' ')})"
    if len(header) < 4 + 4 * len(shape):
        return f"it ends early: {len(header)} bytes are no IDX header"
    found = struct.unpack_from(f">{len(shape)}I", header, 4)
    return f"its header promises the shape {found}, expected is {shape}"


def read_frey(path, shape):
    """The Frey faces' MATLAB file, whose only variable ``ff`` (H * W, N) has one face a column.

    MATLAB stores a variable as a short header and then the values, column by column: so the pixels of all faces, one
    after the other, are the end of the file, or of the one compressed block that it consists of since MATLAB 7. Whether
    they are the right ones, the digest tells. This takes no parsing, which is a virtue here: SciPy's loadmat ends the
    whole process on some damaged files.

    Args:
        path: Path of the file.
        shape: (N, H, W), the expected shape; N * H * W is a multiple of 8 (otherwise MATLAB would fill up to one).

    Returns: (array, digest): uint8 (N, H, W), and the SHA-256 of these bytes.

    Raises: DataError (the reason alone) if the file is too short, too long, or its compression is damaged.
    """
    most = prod(shape) + MAT_HEADERS
    with open_file(path) as file:
        content = file.read(most + 1)
    if content[128:132] in MAT_COMPRESSED:  # after the file's own header, the first block's type and length
        inflate = zlib.decompressobj()
        with damage_refused():
            content = inflate.decompress(content[136:], most + 1)
        if not inflate.eof and len(content) <= most:
            raise DataError("it ends early, within its compressed block")
    if not prod(shape) <= len(content) <= most:
        raise DataError(f"it holds {len(content):,} bytes (or more), expected are {prod(shape):,} and a short header")
    array = np.frombuffer(content[-prod(shape) :], np.uint8).reshape(shape).copy()
    return array, sha256(array)


def read_npy(path):
    """The array of an ``.npy`` file, which may be larger than memory: it is mapped, and read where it is used.

    Args:
        path: Path of the file.

    Returns: array of the file's shape, C-ordered, in the machine's byte order: a read-only np.memmap, or, of a file in
        another order or without a number in it, an array in memory.

    Raises: DataError (the reason alone) if the file is damaged, cut short, too long, or holds Python objects.
    """
    with open_file(path) as file:
        size = os.fstat(file.fileno()).st_size
        shape, fortran_order, dtype = _read_header(file, size)
        if fortran_order or not dtype.isnative or not prod(shape):
            return _read_values(file, shape, fortran_order, dtype)
        with damage_refused():
            return np.memmap(file, dtype, "r", file.tell(), shape)


def read_npz(path):
    """The arrays ``x`` and ``y`` of an ``.npz`` file, or the only array it holds.

    Args:
        path: Path of the file.

    Returns: (x, y, others): arrays as ``read_npy`` returns them, y None if the file has none; the names of the arrays
        that are left out.

    Raises: DataError (the reason alone) as ``read_npy``; also if there is no ``x`` among several arrays, or an array is
        larger than LARGEST_MEMBER.
    """
    with open_file(path) as file:
        with damage_refused():
            archive = zipfile.ZipFile(file)
        members = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
        if len(members) < len(archive.infolist()):
            raise DataError("it holds two arrays of the same name")
        if "x" not in members and len(members) != 1:
            raise DataError(f"it holds {listed(members)}: name the examples x (and their labels y)")
        names = ("x", "y") if "x" in members else (*members, None)
        size = os.fstat(file.fileno()).st_size
        x, y = (_read_member(archive, members[name], size) if name in members else None for name in names)
        return x, y, [name for name in members if name not in names]


def listed(arrays):
    """The names of arrays in words, or the first ten of them."""
    shown = ", ".join(list(arrays)[:10]) + (", ..." if len(arrays) > 10 else "")
    return f"the array{'s' * (len(arrays) > 1)} {shown}" if arrays else "no array"


def _read_member(archive, info, size):
    """The array of a member of an .npz of ``size`` bytes."""
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise DataError("it is compressed in a way that np.savez and np.savez_compressed never use")
    if info.compress_size > size - info.header_offset:
        raise DataError(
            f"{info.filename} is to take {info.compress_size:,} bytes in it, more than the {size:,} that it has in all"
        )
    ratio = 1 if info.compress_type == zipfile.ZIP_STORED else DEFLATE_RATIO
    if info.file_size > min(LARGEST_MEMBER, ratio * info.compress_size):
        raise DataError(
            f"{info.filename} is to unpack from {info.compress_size:,} bytes to {info.file_size:,}, "
            "which is not credible, or too large for an .npz (an .npy may be of any size)"
        )
    with damage_refused():
        member = archive.open(info)
    with member:
        try:
            return _read_values(member, *_read_header(member, info.file_size))
        except DataError as error:
            raise DataError(f"in {info.filename}, {error}") from None


def _read_header(stream, size):
    """(shape, whether it is in Fortran order, dtype) of the array in .npy format that a seekable stream of ``size``
    bytes must hold exactly; its values are next in the stream.
    """
    with damage_refused():
        head = io.BytesIO(stream.read(HEADER_LARGEST))  # the length that a header gives of itself can be 4 GiB
        version = np.lib.format.read_magic(head)
        if version not in HEADER_READERS:
            raise DataError(f"its .npy version {version} is not one of {sorted(HEADER_READERS)}")
        shape, fortran_order, dtype = HEADER_READERS[version](head)
        stream.seek(head.tell())
    if dtype.kind not in "biufc":
        raise DataError(f"it holds {dtype}: objects (pickles), structures, text and dates are not loaded, only numbers")
    if not all(type(n) is int and n >= 0 for n in shape):  # NumPy's parser takes True for a length
        raise DataError(f"its header promises the shape {shape}, which no array can have")
    promised, present = prod(shape) * dtype.itemsize, size - head.tell()  # Python's integers do not overflow
    if promised != present:
        raise DataError(f"its header promises {promised:,} bytes ({dtype}, shape {shape}), and {present:,} are there")
    return shape, fortran_order, dtype


def _read_values(stream, shape, fortran_order, dtype):
    """The array that ``_read_header`` announced, in memory."""
    promised = prod(shape) * dtype.itemsize
    content = bytearray(promised)
    with damage_refused():
        if stream.readinto(content) != promised:  # at its end, a member of an .npz is compared with its checksum
            raise DataError(f"it does not hold the {promised:,} bytes that its header promises")
        # NumPy refuses too many dimensions, and beside a 0 lengths that no memory could have
        array = np.frombuffer(content, dtype).reshape(shape, order="F" if fortran_order else "C")
    return array.astype(dtype.newbyteorder("="), order="C", copy=False)
