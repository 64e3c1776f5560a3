"""What of the data stands in the page: where test examples lie in the latent space, and their labels.

No image does, unless it is asked for: what the page shows of an example is what the decoder makes of its place.
"""

from typing import Any

import numpy as np

from tinyvae.data.datasets import to_float
from tinyvae.data.rows import Images
from tinyvae.derivation.levels import LEVELS
from tinyvae.errors import UserError
from tinyvae.explorer.cost import FAR_OUT
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
    labels; the least and the largest value to be shown; and with ``with_images`` the images in 256 shades between the
    least and the largest value of the data.

    Raises: UserError for an example whose posterior is not finite, and so has no place on a map.
    """
    y = labels if fitted.model.n_labels else None
    mu, logvar = fitted.encode(images, y)
    if lost := np.sum(~np.isfinite(np.hstack([mu, logvar])).all(axis=1)):
        raise UserError(f"the posterior of {lost:,} of {len(mu):,} test examples is not finite: {FAR_OUT}")
    low, high = shown_range(fitted, mu, y)
    content = {
        "count": len(images),
        "mu": pack(rounded(mu.T, 16)),
        "logvar": pack(rounded(logvar.T, 8)),
        "labels": labels,
        "range": [low, high],
    }
    if with_images:
        low, high = data_range(fitted, images)
        if fitted.settings.dequantise:
            shades = np.floor(LEVELS * np.asarray(images))  # what they were before the noise
        else:
            shades = np.rint((to_float(images, np.float64) - low) / (high - low) * SHADES)
        content["images"] = to_text(np.clip(shades, 0, SHADES).astype(np.uint8))
    return content


def shown_range(fitted: Fitted, mu: Array, y: Labels | None) -> tuple[float, float]:
    """What is shown as black and as white: the ends of the likelihood's support, or where it has none, those of what
    the decoder makes of the examples' means.
    """
    low, high = LIKELIHOODS[fitted.settings.likelihood].support
    if np.isfinite([low, high]).all():
        return low, high
    return _ends(fitted.decode(mu, y))


def data_range(fitted: Fitted, images: Images) -> tuple[float, float]:
    """The least and the largest value that data can have: of bytes, as intensities, and of black and white 0 and 1,
    else the ends of the likelihood's support, or where it has none, those of these images.
    """
    low, high = LIKELIHOODS[fitted.settings.likelihood].support
    if fitted.settings.dequantise or images.dtype in (np.uint8, np.bool_):
        return 0.0, 1.0
    return (low, high) if np.isfinite([low, high]).all() else _ends(to_float(images, np.float64))


def _ends(values: Array) -> tuple[float, float]:
    low, high = float(values.min()), float(values.max())
    return (low, high) if low < high else (low - 0.5, low + 0.5)
