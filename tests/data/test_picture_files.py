"""One picture: read back exactly where its format keeps it so, upright, on white, in 8 bits; refused in words else."""

import io
import struct
import zlib
from contextlib import suppress
from functools import partial

import numpy as np
import pytest
from PIL import Image, ImageDraw

from tests.data.refusals import refusal_of
from tinyvae.data import picture_files
from tinyvae.errors import DataError

refusal = partial(refusal_of, picture_files.read)
PICTURE = np.random.default_rng(3).integers(0, 256, (9, 14, 3), np.uint8)
GREY = np.random.default_rng(4).integers(0, 256, (9, 14), np.uint8)
# What turns an upright picture into one that a camera stores with each orientation, from the tables of EXIF's standard.
STORED = {
    1: lambda x: x,
    2: lambda x: x[:, ::-1],
    3: lambda x: x[::-1, ::-1],
    4: lambda x: x[::-1],
    5: lambda x: x.swapaxes(0, 1),
    6: lambda x: np.rot90(x, 1),
    7: lambda x: x[::-1, ::-1].swapaxes(0, 1),
    8: lambda x: np.rot90(x, -1),
}


@pytest.fixture
def saved(tmp_path):
    """Call it with an array or a picture, a file's name and what Pillow's save takes, for the path of the file."""

    def save(picture, name="a.png", **options):
        picture = picture if isinstance(picture, Image.Image) else Image.fromarray(np.ascontiguousarray(picture))
        picture.save(tmp_path / name, **options)
        return tmp_path / name

    return save


@pytest.mark.parametrize(
    ("name", "options"),
    [("a.png", {}), ("a.bmp", {}), ("a.tif", {}), ("a.ppm", {}), ("a.webp", {"lossless": True}), ("A.PNG", {})],
)
def test_what_a_format_keeps_is_read_back_exactly(saved, name, options):
    for array in (PICTURE, GREY):
        picture, has_more = picture_files.read(saved(array, name, **options))
        np.testing.assert_array_equal(picture, array if array.ndim == 3 else np.stack([array] * 3, axis=2))
        assert picture.dtype == np.uint8 and not has_more


def test_a_jpeg_is_what_pillow_makes_of_it(saved):
    path = saved(PICTURE, "a.jpg", quality=95)
    np.testing.assert_array_equal(picture_files.read(path)[0], np.asarray(Image.open(path)))
    assert np.abs(picture_files.read(path)[0].mean() - PICTURE.mean()) < 5
    path.rename(path.with_suffix(".png"))  # the content counts, and not the ending
    assert picture_files.read(path.with_suffix(".png"))[0].shape == PICTURE.shape


def test_black_and_white_palettes_and_inks_become_colours(saved):
    np.testing.assert_array_equal(picture_files.read(saved(GREY > 99))[0][..., 1], 255 * (GREY > 99))
    flat = Image.fromarray(PICTURE // 128 * 200)  # eight colours, which a palette holds
    np.testing.assert_array_equal(picture_files.read(saved(flat.quantize(8), "a.gif"))[0], np.asarray(flat))
    inks = Image.new("CMYK", (3, 2), (255, 0, 0, 0))  # cyan alone
    assert picture_files.read(saved(inks, "a.tif"))[0].tolist() == [[[0, 255, 255]] * 3] * 2


@pytest.mark.parametrize("orientation", STORED)
@pytest.mark.parametrize("name", ["a.png", "a.tif"])
def test_a_camera_that_was_held_otherwise_is_turned_back(saved, name, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = saved(STORED[orientation](PICTURE), name, exif=exif)
    np.testing.assert_array_equal(picture_files.read(path)[0], PICTURE)


def test_what_is_transparent_lies_on_white(saved):
    alpha = np.random.default_rng(5).integers(0, 256, (9, 14), np.uint8)
    alpha[0, :2] = 0, 255
    blend = np.rint((PICTURE * (alpha / 255)[..., None]) + 255 * (1 - alpha / 255)[..., None])
    path = saved(np.concatenate([PICTURE, alpha[..., None]], axis=2))
    np.testing.assert_array_equal(picture_files.read(path)[0], blend)
    path = saved(Image.merge("LA", [Image.fromarray(GREY), Image.fromarray(alpha)]))
    blend = np.rint(GREY * (alpha / 255) + 255 * (1 - alpha / 255))
    np.testing.assert_array_equal(picture_files.read(path)[0][..., 2], blend)


def test_a_transparent_colour_of_a_palette_lies_on_white(saved):
    places = (GREY // 86).astype(np.uint8)  # 0, 1, 2
    picture = Image.fromarray(places).convert("P")
    picture.putpalette([10, 20, 30, 40, 50, 60, 70, 80, 90])
    colours = np.array([[10, 20, 30], [255, 255, 255], [70, 80, 90]])
    for name in ("a.gif", "a.png"):
        np.testing.assert_array_equal(picture_files.read(saved(picture, name, transparency=1))[0], colours[places])
    many = picture_files.read(saved(picture, "b.png", transparency=bytes([255, 0, 51])))[0]  # an alpha for each colour
    assert many[places == 2].tolist() == [[218, 220, 222]] * np.count_nonzero(places == 2)  # a fifth of 70, 80, 90


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.pgm"])
def test_sixteen_bits_are_rounded_to_eight(saved, tmp_path, name):
    levels = np.array([[0, 1, 128, 129, 257, 385, 386], [65535, 65534, 65407, 65406, 32768, 40000, 12345]], np.uint16)
    if name == "a.pgm":  # which Pillow reads and did not always write
        (path := tmp_path / name).write_bytes(b"P5 7 2 65535\n" + levels.astype(">u2").tobytes())
    else:
        path = saved(levels, name)
    np.testing.assert_array_equal(picture_files.read(path)[0][..., 0], np.rint(levels / 65535 * 255))


def tiff(width, bits, photometric, content):
    """A row of grey levels as a TIFF, little-endian and uncompressed."""
    tags = {256: width, 257: 1, 258: bits, 259: 1, 262: photometric, 273: 8, 277: 1, 278: 1, 279: len(content)}
    content += b"\0" * (len(content) % 2)
    entries = b"".join(struct.pack("<HHII", tag, 3, 1, value) for tag, value in tags.items())
    return struct.pack("<2sHI", b"II", 42, 8 + len(content)) + content + struct.pack("<H", 9) + entries + bytes(4)


def test_a_tiff_says_how_many_bits_its_levels_have_and_which_end_is_white(tmp_path):
    twelve = tiff(4, 12, 1, bytes.fromhex("000400800fff"))
    sixteen = [tiff(3, 16, white, np.array([0, 257, 65535], "<u2").tobytes()) for white in (1, 0)]
    for content, levels in zip((twelve, *sixteen), ([0, 64, 128, 255], [0, 1, 255], [255, 254, 0])):
        (tmp_path / "a.tif").write_bytes(content)
        assert picture_files.read(tmp_path / "a.tif", grey=True)[0].tolist() == [levels]


def test_a_level_of_sixteen_bits_that_is_transparent_lies_on_white(saved):
    path = saved(np.array([[0, 1024, 2570, 65535]], np.uint16))
    content = path.read_bytes()
    level = b"tRNS" + struct.pack(">H", 1024)  # which not every Pillow writes for 16 bits
    chunk = struct.pack(">I", 2) + level + struct.pack(">I", zlib.crc32(level))
    path.write_bytes(content[:33] + chunk + content[33:])  # after the header
    assert picture_files.read(path, grey=True)[0].tolist() == [[0, 255, 10, 255]]


@pytest.mark.parametrize("mode", ["I", "F"])
def test_levels_without_a_scale_are_refused(saved, mode):
    assert "numbers of 32 bits, whose scale is anyone's guess" in refusal(saved(Image.new(mode, (3, 3)), "a.tif"))


def test_the_first_of_several_frames_or_pages_is_taken(saved):
    frames = [Image.new("RGB", (5, 4), colour) for colour in ("red", "blue")]
    for name in ("a.gif", "a.tif", "a.webp", "a.png"):
        options = {"lossless": True} if name == "a.webp" else {}
        path = saved(frames[0], name, save_all=True, append_images=frames[1:], **options)
        picture, has_more = picture_files.read(path)
        assert has_more and (picture == [255, 0, 0]).all(), name


def test_grey_levels_weigh_the_colours(saved):
    picture = picture_files.read(saved(PICTURE), grey=True)[0]
    assert picture.shape == (9, 14)
    np.testing.assert_allclose(picture, PICTURE @ [0.299, 0.587, 0.114], atol=0.51)
    np.testing.assert_array_equal(picture_files.read(saved(GREY), grey=True)[0], GREY)


def test_a_size_crops_to_the_middle_and_resizes(saved):
    np.testing.assert_array_equal(picture_files.read(saved(PICTURE), size=9)[0], PICTURE[:, 2:11])
    np.testing.assert_array_equal(
        picture_files.read(saved(PICTURE.swapaxes(0, 1)), size=9)[0].swapaxes(0, 1), PICTURE[:, 2:11]
    )
    large = Image.new("RGB", (400, 200), "black")
    ImageDraw.Draw(large).rectangle((200, 0, 400, 200), fill="white")  # black on the left, white on the right
    small = picture_files.read(saved(large), size=10)[0][..., 0].astype(int)
    assert (small[:, :3] < 5).all() and (small[:, 7:] > 250).all()
    np.testing.assert_allclose(small.mean(), 127.5, atol=1)  # it averages, and does not pick
    assert picture_files.read(saved(GREY), size=30)[0].shape == (30, 30, 3)


@pytest.mark.parametrize("size", [3, 5, 20])
def test_the_filter_is_lanczos_s(saved, size):
    expected = Image.fromarray(PICTURE[:, 2:11]).resize((size, size), Image.Resampling.LANCZOS)
    np.testing.assert_array_equal(picture_files.read(saved(PICTURE), size=size)[0], np.asarray(expected))


def test_a_fine_pattern_is_averaged_and_not_sampled(saved):
    checks = np.indices((64, 64)).sum(axis=0) % 2 * np.uint8(255)
    small = picture_files.read(saved(checks.astype(np.uint8)), size=8, grey=True)[0]
    assert np.abs(small.astype(int) - 127).max() <= 8


def test_what_is_no_picture_is_refused_with_the_reason(tmp_path, saved):
    whole = saved(PICTURE).read_bytes()
    for content, reason in {
        b"": "it is no picture, or damaged at its beginning",
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n": "it is no picture",  # Pillow would start a program
        whole[: len(whole) // 2]: "it is damaged (",
        whole[:40]: "it is no picture, or damaged",
        whole.replace(b"IDAT", b"IDAX"): "it is no picture, or damaged",
    }.items():
        (tmp_path / "b.png").write_bytes(content)
        assert refusal(tmp_path / "b.png").startswith(reason)


def test_a_bomb_is_refused_and_not_decoded(saved, monkeypatch):
    path = saved(PICTURE)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 50)
    assert "it has more than 100 pixels, Pillow's limit" in refusal(path)
    assert "a decompression bomb" in refusal(path)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)  # at which Pillow only warns
    assert picture_files.read(path)[0].shape == PICTURE.shape


def test_a_header_that_promises_the_sky_takes_no_memory(tmp_path, saved):
    content = bytearray(saved(PICTURE).read_bytes())
    content[16:24] = struct.pack(">II", 60_000, 60_000)
    content[29:33] = struct.pack(">I", zlib.crc32(content[12:29]))
    (tmp_path / "b.png").write_bytes(content)
    assert "a decompression bomb" in refusal(tmp_path / "b.png")


def test_nothing_is_printed_of_a_damaged_tiff(tmp_path, capfd):
    """Pillow logs what libtiff and its own reader do not like."""
    buffer = io.BytesIO()
    Image.fromarray(PICTURE).save(buffer, "TIFF")
    content = buffer.getvalue()
    (tmp_path / "a.tif").write_bytes(content.replace(struct.pack("<HHI", 277, 3, 1), struct.pack("<HHI", 277, 3, 9)))
    with suppress(DataError):
        picture_files.read(tmp_path / "a.tif")
    assert capfd.readouterr() == ("", "")
