"""Damaged pictures: each is read as Pillow itself reads it, or refused by a DataError, and nothing is printed."""

import io
import warnings

import numpy as np
import pytest
from PIL import Image

from tinyvae.data import picture_files
from tinyvae.errors import DataError

random = np.random.default_rng(7)
PICTURE = Image.fromarray(random.integers(0, 256, (12, 10, 3), np.uint8))
EXIF = Image.Exif()
EXIF[0x0112] = 6


def encoded(picture, name, **options):
    buffer = io.BytesIO()
    picture.save(buffer, name, **options)
    return buffer.getvalue()


ORIGINALS = [
    encoded(PICTURE, "PNG"),
    encoded(PICTURE.convert("RGBA"), "PNG", exif=EXIF),
    encoded(PICTURE.quantize(16), "PNG", transparency=3),
    encoded(Image.fromarray(random.integers(0, 2**16, (12, 10), np.uint16)), "PNG"),
    encoded(PICTURE, "JPEG", exif=EXIF),
    encoded(PICTURE, "JPEG", progressive=True),
    encoded(PICTURE.quantize(16), "GIF", save_all=True, append_images=[PICTURE.quantize(8)]),
    encoded(PICTURE, "BMP"),
    encoded(PICTURE.quantize(16), "BMP"),
    encoded(PICTURE, "WEBP"),
    encoded(PICTURE, "PPM"),
]
TIFF = [encoded(PICTURE, "TIFF", exif=EXIF), encoded(PICTURE, "TIFF", compression="tiff_lzw")]


def damaged(originals, generator):
    """One of the files, cut, or with some bytes changed, most often at its beginning."""
    content = bytearray(originals[generator.integers(len(originals))])
    if generator.random() < 0.2:
        del content[generator.integers(len(content)) :]
    for _ in range(generator.integers(1, 6)):
        if content:
            reach = len(content) if generator.random() < 0.5 else min(len(content), 64)
            content[generator.integers(reach)] = generator.integers(256)
    return bytes(content)


@pytest.fixture(autouse=True)
def small_bombs(monkeypatch):
    """For the time that it takes to decode what is not there."""
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10**6)


def pillows(path):
    """(what Pillow makes of the file, None where something is to be turned or blended; its two lengths, sorted)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with Image.open(path) as image:
            image.load()
            is_plain = image.mode in ("L", "RGB") and not image.has_transparency_data
            is_upright = image.getexif().get(0x0112, 1) == 1
            return np.asarray(image.convert("RGB")) if is_plain and is_upright else None, sorted(image.size)


def count_read(originals, seed, path):
    """How many of 500 damaged files are read; each rightly, or it is refused in a line."""
    generator, read = np.random.default_rng(seed), 0
    for _ in range(500):
        path.write_bytes(damaged(originals, generator))
        size, grey = (7 if generator.random() < 0.5 else None), generator.random() < 0.3
        try:
            picture, _ = picture_files.read(path, size, grey)
        except DataError as error:
            assert 0 < len(str(error)) < 400 and "\n" not in str(error)
            continue
        read += 1
        expected, lengths = pillows(path)
        assert picture.dtype == np.uint8 and picture.shape[2:] == (() if grey else (3,))
        assert sorted(picture.shape[:2]) == ([7, 7] if size else lengths)
        if expected is not None and not size and not grey:
            np.testing.assert_array_equal(picture, expected)
    return read


@pytest.mark.parametrize("seed", range(4))
def test_a_damaged_picture_is_read_or_refused_in_silence(seed, tmp_path, capfd):
    assert 100 < count_read(ORIGINALS, seed, tmp_path / "a.png") < 400  # of both there are enough
    assert capfd.readouterr() == ("", "")


def test_a_damaged_tiff_is_read_or_refused(tmp_path):
    """Not in silence: libtiff itself writes to the standard error of the process what it does not like."""
    assert 50 < count_read(TIFF, 0, tmp_path / "a.tif") < 450
