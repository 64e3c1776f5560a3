"""The bytes of a compressed file: a container that is read whole or not at all.

    magic | length of the header | header, JSON | digests of the model and of the images | payload | checksum

Numbers are little-endian, digests are SHA-256; the checksum is that of every byte before it. So a reader needs to
understand nothing of a file to know that it is complete and undamaged, and nothing is believed before that is known.

The payload is the messages of the chains one after another, each a state of 64 bits, the number of its words and these;
or, where that would be longer, the levels as they are, eight bits of them in a byte.
"""

import dataclasses
import hashlib
import json
import struct
from dataclasses import dataclass
from math import prod

import numpy as np

from tinyvae.coding.ans import FIRST_STATE, STATE_BITS, Message
from tinyvae.coding.network import Plan
from tinyvae.coding.pixels import LEVELS
from tinyvae.coding.prior import Prior
from tinyvae.coding.symbols import DTYPES
from tinyvae.errors import DataError

MAGIC = b"\x89tvz\r\n\x1a\n"  # as PNG's: what a transfer as text would change, it shows
FORMAT = 1  # raise it when an older tinyvae would misread the file
DIGEST = 32  # bytes
MOST_NUMBERS = 2**48  # in all images
MOST_AXES = 32  # of an array, in every version of NumPy
LENGTH, CHAIN = struct.Struct("<I"), struct.Struct("<QI")


@dataclass(frozen=True)
class Archive:
    """What a file says.

    Attributes:
        shape: (N, ...) of the images.
        dtype: of the images, one of ``symbols.DTYPES``.
        levels: L, of the likelihood.
        coded: whether the payload is messages, and not the levels as they are.
        run: where the model was, in words that are a path.
        model, images: SHA-256 of the model that codes, and of the images, in hexadecimal.
        payload: bytes, or a view of them.
    """

    shape: tuple[int, ...]
    dtype: str
    levels: int
    coded: bool
    run: str
    model: str
    images: str
    payload: bytes | memoryview

    def to_bytes(self) -> bytes:
        """The file."""
        header = {name: getattr(self, name) for name in ("shape", "dtype", "levels", "coded", "run")}
        text = json.dumps({"format": FORMAT, **header}, separators=(",", ":")).encode()
        digests = bytes.fromhex(self.model + self.images)
        content = b"".join([MAGIC, LENGTH.pack(len(text)), text, digests, self.payload])
        return content + hashlib.sha256(content).digest()

    @classmethod
    def from_bytes(cls, content: bytes) -> "Archive":
        """What a file says.

        Raises: DataError (the reason alone) for one that is damaged, cut short or extended, no archive, or of a newer
            format.
        """
        if not content.startswith(MAGIC):
            raise DataError("it is no archive of tinyvae" if content else "it is empty")
        body, checksum = memoryview(content)[:-DIGEST], content[-DIGEST:]  # a view: they may be many
        if hashlib.sha256(body).digest() != checksum:
            raise DataError(
                "it is damaged, cut short or extended: its content is not the one that it was written with\n"
                "Put a good copy there."
            )
        try:  # who changed it and made the checksum anew can have written anything
            start = len(MAGIC) + LENGTH.size
            end = start + LENGTH.unpack_from(body, len(MAGIC))[0]
            header = json.loads(bytes(body[start:end]))
            if header.pop("format") > FORMAT:
                raise DataError("it was written by a newer tinyvae: upgrade tinyvae")
            model, images = (body[end + i : end + i + DIGEST].hex() for i in (0, DIGEST))
            archive = cls(**header, model=model, images=images, payload=body[end + 2 * DIGEST :])
            return dataclasses.replace(archive, shape=tuple(archive._checked().shape))
        except DataError:
            raise
        except (ValueError, TypeError, KeyError, struct.error, RecursionError, AttributeError) as error:
            raise DataError(f"it has the checksum of an archive, and is none ({str(error)[:200]})") from None

    def _checked(self) -> "Archive":
        """Itself, or ValueError for what no ``to_bytes`` writes."""
        sizes = 2 <= len(self.shape) <= MOST_AXES and all(type(n) is int and n > 0 for n in self.shape)
        kinds = type(self.coded) is bool and type(self.run) is str and type(self.levels) is int
        known = self.levels in (2, LEVELS) and self.dtype in DTYPES and len(self.images) == 2 * DIGEST
        if not (sizes and kinds and known and prod(self.shape) < MOST_NUMBERS):
            raise ValueError("its header")
        if not self.coded and len(self.payload) != raw_size(prod(self.shape), self.levels):
            raise ValueError("its length")
        return self


def raw_size(numbers: int, levels: int) -> int:
    """The bytes that so many levels take as they are."""
    return numbers if levels == LEVELS else -(-numbers // 8)


def pack_raw(levels_of_images: np.ndarray, levels: int) -> bytes:
    """Levels (N, D) as they are."""
    return (levels_of_images if levels == LEVELS else np.packbits(levels_of_images)).tobytes()


def unpack_raw(payload: bytes | memoryview, shape: tuple[int, int], levels: int) -> np.ndarray:
    """The levels (N, D) of ``pack_raw``."""
    found = np.frombuffer(payload, np.uint8)
    return (found if levels == LEVELS else np.unpackbits(found, count=prod(shape))).reshape(shape)


def pack_messages(messages: list[Message]) -> bytes:
    """Messages one after another."""
    return b"".join(CHAIN.pack(state, len(words)) + words.astype("<u4").tobytes() for state, words in messages)


def unpack_messages(payload: bytes | memoryview) -> list[Message]:
    """The messages of ``pack_messages``; DataError (the reason alone) for what are none."""
    messages, start = [], 0
    while start < len(payload):
        if start + CHAIN.size > len(payload):
            raise DataError("its last message is cut short")
        state, count = CHAIN.unpack_from(payload, start)
        start += CHAIN.size
        if not FIRST_STATE <= state < 1 << STATE_BITS or count > (len(payload) - start) // 4:
            raise DataError("one of its messages is none")
        messages.append(Message(state, np.frombuffer(payload, "<u4", count, start).astype(np.uint32)))
        start += 4 * count
    if not messages:
        raise DataError("it holds no message")
    return messages


def model_digest(likelihood: str, networks: tuple[Plan, ...], prior: Prior) -> str:
    """SHA-256 over all that a code is made of, in hexadecimal: the likelihood's name, the layers and their weights, the
    components of the prior.
    """
    digest = hashlib.sha256(likelihood.encode())
    for layers, weights, *_ in networks:
        digest.update(f" {layers.shape} {weights.shape} {weights.dtype.name} ".encode())
        digest.update(layers.astype("<i8").tobytes() + weights.astype(weights.dtype.newbyteorder("<")).tobytes())
    if len(prior.constants):
        digest.update(f" {prior.mu.shape} ".encode())
        for array in (prior.centre, prior.scale, prior.mu, prior.logvar, prior.starts):
            digest.update(array.astype(array.dtype.newbyteorder("<")).tobytes())
    return digest.hexdigest()


def images_digest(images: np.ndarray) -> str:
    """SHA-256 over the type, the shape and the numbers of images, in hexadecimal."""
    little = images.astype(images.dtype.newbyteorder("<"), copy=False)
    digest = hashlib.sha256(f"{little.dtype.str} {images.shape} ".encode())
    digest.update(np.ascontiguousarray(little).data)
    return digest.hexdigest()
