"""One picture of a file, as an array: upright, on white where it is transparent, in 8 bits, and of the size asked for.

Pillow decodes it. Only the formats named here are tried: some of its others start programs.
"""

import logging

import numpy as np
from PIL import Image, UnidentifiedImageError

from tinyvae.data import formats
from tinyvae.errors import DataError
from tinyvae.types import AnyPath

# Pillow's names for the formats, and the endings of their files.
FORMATS = {
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif"),
    "PNG": (".png",),
    "GIF": (".gif",),
    "BMP": (".bmp",),
    "TIFF": (".tif", ".tiff"),
    "WEBP": (".webp",),
    "PPM": (".ppm", ".pgm", ".pbm", ".pnm"),
}
ENDINGS = tuple(ending for endings in FORMATS.values() for ending in endings)
ORIENTATION = 0x0112  # the EXIF tag of how a camera was held
BITS, PHOTOMETRIC = 258, 262  # a TIFF's tags of the bits in a number, and of which end is white
# What undoes each of its values.
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

logging.getLogger("PIL").addHandler(logging.NullHandler())  # else it prints of some damaged files, beside the error


def read(path: AnyPath, size: int | None = None, grey: bool = False) -> tuple[np.ndarray, bool]:
    """The picture in a file, as a person sees it; the first where a file has several frames or pages.

    It is turned as its EXIF data say and laid on white where it is transparent; 16 bits are rounded to 8. Colour
    profiles are not looked at.

    Args:
        path: of the file.
        size: S, to crop the picture to the largest square in its middle and to resize that to S x S pixels (Lanczos's
            filter, which averages where it makes smaller); None to leave it as it is.
        grey: weigh the colours to one grey level, 0.299 R + 0.587 G + 0.114 B.

    Returns:
        picture: (H, W, 3) uint8, or (H, W) with ``grey``.
        has_more: whether further frames or pages follow.

    Raises: DataError (the reason alone) if it is no picture, damaged, without a scale, or larger than Pillow's limit;
        OSError if the file cannot be opened.
    """
    with formats.open_file(path) as file, formats.damage_refused():
        try:
            with Image.open(file, formats=list(FORMATS)) as image:
                image.load()  # before its EXIF data are looked at: of a TIFF this turns the picture, and says so there
                turn = TURNS.get(image.getexif().get(ORIENTATION, 1))
                picture = _in_colour(image)
                has_more = bool(getattr(image, "is_animated", False))
        except Image.DecompressionBombError:
            raise DataError(
                f"it has more than {2 * (Image.MAX_IMAGE_PIXELS or 0):,} pixels, Pillow's limit: perhaps it is made to "
                "exhaust the memory (a decompression bomb)"
            ) from None
        except UnidentifiedImageError:
            raise DataError("it is no picture, or damaged at its beginning") from None
        picture = picture if turn is None else picture.transpose(turn)
        picture = picture.convert("L") if grey else picture
        return np.asarray(picture if size is None else _resized(picture, size)), has_more


def _in_colour(image: Image.Image) -> Image.Image:
    """The picture in RGB of 8 bits each, without transparency."""
    if image.mode.startswith("I;16") or (image.mode == "I" and image.format in ("PNG", "PPM")):  # 16 bits in the file
        levels, white = np.asarray(image).astype(np.int64), 65535
        if image.format == "TIFF":  # whose numbers may have fewer bits, and 0 for white
            tags = image.getexif()
            bits = tags.get(BITS, 16)
            white = 2 ** (bits[0] if isinstance(bits, tuple) else bits) - 1
            levels = white - levels if tags.get(PHOTOMETRIC) == 0 else levels
        if isinstance(hidden := image.info.get("transparency"), int):
            levels[levels == hidden] = white
        rounded = (2 * 255 * levels + white) // (2 * white)
        return Image.fromarray(np.clip(rounded, 0, 255).astype(np.uint8)).convert("RGB")
    if image.mode in ("I", "F"):
        raise DataError("its pixels are numbers of 32 bits, whose scale is anyone's guess: convert it to 8 or 16 bits")
    if not image.has_transparency_data:
        return image.convert("RGB")
    image = image.convert("RGBA")
    background = Image.new("RGB", image.size, "white")
    background.paste(image, mask=image)
    return background


def _resized(picture: Image.Image, size: int) -> Image.Image:
    """The largest square in the middle of the picture, in ``size`` x ``size`` pixels."""
    width, height = picture.size
    side = min(width, height)
    left, top = (width - side) // 2, (height - side) // 2
    square = picture.crop((left, top, left + side, top + side))
    return square.resize((size, size), Image.Resampling.LANCZOS)
