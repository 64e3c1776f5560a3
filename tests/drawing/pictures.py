"""What a PNG holds."""

import numpy as np
from PIL import Image


def pixels(path):
    """(height, width, 3) uint8, as on white paper."""
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def size(path):
    """(width, height)."""
    with Image.open(path) as image:
        return image.size


def assert_is_drawn(path):
    """It is not a blank sheet, and it is small."""
    assert pixels(path).std() > 0.02 * 255 and path.stat().st_size < 300_000
