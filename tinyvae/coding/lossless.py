"""Images to the bytes of a file, and back: the two functions that the commands are made of."""

from math import prod
from typing import NamedTuple

import numpy as np

from tinyvae.coding import archive
from tinyvae.coding.archive import Archive
from tinyvae.coding.bitsback import BitsBack, Encoded, Progress
from tinyvae.coding.pixels import CODERS
from tinyvae.coding.symbols import DTYPES, images_of, levels_of, name_of
from tinyvae.derivation.model import Model
from tinyvae.errors import DataError


class Compressed(NamedTuple):
    """What ``compress`` gives: the ``content`` of the file, whether it is ``coded``, the ``levels`` (N, D), and what
    ``BitsBack.encode`` said.
    """

    content: bytes
    coded: bool
    levels: np.ndarray
    encoded: Encoded


def compress(
    code: BitsBack, images: np.ndarray, run: str = "", threads: int = 1, progress: Progress = lambda n: None
) -> Compressed:
    """The file of some images under a model. Equal images, an equal model and an equal ``run`` give an equal file.

    Args:
        code: BitsBack.
        images: (N, ...) of the model's shape, or flat: bool, uint8 or floats, on the levels of its likelihood.
        run: where the model is, for whoever decompresses.
        threads, progress: as for ``BitsBack.encode``.

    Raises: DataError (the reason alone) for images that do not fit, or are none; OffLevels, which is one, where that is
        a matter of their values.
    """
    require_images(images, code.model)
    count = CODERS[code.model.likelihood].levels
    levels = levels_of(images, count)
    encoded = code.encode(levels, threads, progress)
    payload = archive.pack_messages(encoded.messages)
    coded = len(payload) < archive.raw_size(levels.size, count)
    digests = code.digest, archive.images_digest(images)
    about = images.shape, name_of(images.dtype), count, coded, run
    payload = payload if coded else archive.pack_raw(levels, count)
    return Compressed(Archive(*about, *digests, payload).to_bytes(), coded, levels, encoded)


def require_images(images: np.ndarray, model: Model) -> None:
    """Raise a DataError (the reason alone) for what are no images of a model, or for none."""
    if not images.size:
        raise DataError(f"there is nothing to compress: its shape is {images.shape}")
    if not 2 <= images.ndim <= archive.MOST_AXES or prod(images.shape[1:]) != model.data_dim:
        raise DataError(f"its shape is {images.shape}, and the model's images are {model.data_shape}")


def decompress(
    found: Archive, code: BitsBack | None, threads: int = 1, progress: Progress = lambda n: None
) -> np.ndarray:
    """The images of ``compress``, in their type and shape.

    Args:
        found: what the file says, ``Archive.from_bytes``.
        code: BitsBack of the same model; None will do for an archive that is not ``coded``.
        threads, progress: as for ``BitsBack.decode``.

    Raises: DataError (the reason alone) if the model is another, or the images are not those that were compressed.
    """
    N, D = found.shape[0], prod(found.shape[1:])
    if not found.coded:
        levels = archive.unpack_raw(found.payload, (N, D), found.levels)
    elif code is None or code.digest != found.model or code.model.data_dim != D:
        raise DataError("it was compressed by another model")
    else:
        levels = code.decode(archive.unpack_messages(found.payload), N, threads, progress)
    images = images_of(levels, DTYPES[found.dtype], found.shape, found.levels)
    if archive.images_digest(images) != found.images:
        raise DataError(
            "what it decodes to is not what was compressed, though the file is whole: it was made by other means than "
            "the compress command, or this tinyvae computes something else, which is a fault that should be reported"
        )
    return images
