"""Numbers and text in an HTML page: base64 in JSON, in which nothing can end the element that it stands in."""

import base64
import json
from typing import Any

import numpy as np

from tinyvae.disk.run import plain
from tinyvae.explorer.rounding import Rounded

# A script element ends at "</script", wherever that stands, and "<!--" begins a comment; in a JSON string the letter's
# number does as well. The two line ends are letters in JSON, and none in older JavaScript.
ESCAPES = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}


def to_text(array: np.ndarray) -> str:
    """The bytes of an array, the least one of each number first, in base64."""
    return base64.b64encode(array.astype(array.dtype.newbyteorder("<")).tobytes()).decode("ascii")


def pack(array: Rounded) -> dict[str, Any]:
    """An array in few bits, for JSON; ``numbers.js`` unpacks it."""
    return {
        "shape": list(array.shape),
        "bits": array.bits,
        "codes": to_text(array.codes),
        "scales": to_text(array.scales),
    }


def escaped_json(content: Any) -> str:
    """JSON that may stand in a script element: no text in it can end that element, or begin another."""
    text = json.dumps(plain(content), ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for letter, escape in ESCAPES.items():
        text = text.replace(letter, escape)
    return text
