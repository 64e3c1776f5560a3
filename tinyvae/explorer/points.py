"""What of the data stands in the page: where test examples lie in the latent space, and their labels.

No image does, unless it is asked for: what the page shows of an example is what the decoder makes of its place.
"""

from typing import Any

import numpy as np

from tinyvae.data.rows import Images
from tinyvae.explorer.packing import pack, to_text
from tinyvae.explorer.rounding import rounded
from tinyvae.settings import LIKELIHOODS
from tinyvae.training.fitted import Fitted
from tinyvae.types import Array, Labels

SHADES = 255


def describe(fitted: Fitted, images: Images, labels: Labels | None, with_images: bool) -> dict[str, Any]:
    """The test examples, for JSON.

    Args:
        fitted: Fitted, with the numbers that the page has.
        images: (N, D), as data sets hold them.
        labels: (N,) of all models that have data with labels.
        with_images: whether the images themselves are to stand in the page.

    Returns: a dict with the means of the posterior in 16 bits and the log variances in 8, an array (D_1, N) each; the
    labels; the least and the largest value to be shown; and with ``with_images`` the images in 256 shades of these.
    """
    y = labels if fitted.model.n_labels else None
    mu, logvar = fitted.encode(images, y)
    low, high = shown_range(fitted, mu, y)
    content = {
        "count": len(images),
        "mu": pack(rounded(mu.T, 16)),
        "logvar": pack(rounded(logvar.T, 8)),
        "labels": labels,
        "range": [low, high],
    }
    if with_images:
        shades = np.rint((fitted.rows(images) - low) / (high - low) * SHADES)
        content["images"] = to_text(np.clip(shades, 0, SHADES).astype(np.uint8))
    return content


def shown_range(fitted: Fitted, mu: Array, y: Labels | None) -> tuple[float, float]:
    """What is shown as black and as white: the ends of the likelihood's support, or where it has none, those of what
    the decoder makes of the examples' means.
    """
    low, high = LIKELIHOODS[fitted.settings.likelihood].support
    if np.isfinite([low, high]).all():
        return low, high
    decoded = fitted.decode(mu, y)
    low, high = float(decoded.min()), float(decoded.max())
    return (low, high) if low < high else (low - 0.5, low + 0.5)
