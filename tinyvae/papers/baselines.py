"""What a model of colour pictures is held against: codes and densities that know nothing of latent variables.

Both are given every advantage that the model has not: the Gaussian's ridge and the layout of the PNG are those that are
best on the very test set.
"""

import io
import math

import numpy as np

from tinyvae.training import dequantisation

RIDGES = (0.0, 1e-6, 3e-6, 1e-5, 3e-5, 1e-4, 3e-4, 1e-3)  # variances, of intensities between 0 and 1


def gaussian_bits(train, test, seed=0):
    """Bits per dimension of the test set under one Gaussian with full covariance, fitted to dequantised levels.

    The covariance is that of the training set plus a ridge: the same small variance in every direction.

    Args:
        train, test: (N, D) and (M, D) uint8.
        seed: of the dequantisation.

    Returns: (bits, ridge), of the best one among RIDGES.
    """
    noise = np.random.default_rng(seed)
    x, y = ((levels + noise.random(levels.shape)) / dequantisation.LEVELS for levels in (train, test))
    variances, directions = np.linalg.eigh(np.cov(x, rowvar=False))
    squares = ((y - x.mean(axis=0)) @ directions) ** 2
    results = []
    for ridge in RIDGES:
        if (total := variances + ridge).min() > 0:
            nats = -0.5 * (squares / total + np.log(2 * math.pi * total)).sum(axis=1).mean()
            results.append((math.log2(dequantisation.LEVELS) - nats / (x.shape[1] * math.log(2)), ridge))
    return min(results)


def png_bits(images):
    """Bits per dimension of the PNG of all images as one picture.

    Args:
        images: (N, H, W, 3) uint8.

    Returns: (bits, columns), of the best one among all ways to lay them out in full rows.
    """
    from PIL import Image

    N, H, W, C = images.shape
    results = []
    for columns in (columns for columns in range(1, N + 1) if N % columns == 0):
        rows = images.reshape(N // columns, columns, H, W, C).swapaxes(1, 2).reshape(N // columns * H, columns * W, C)
        file = io.BytesIO()
        Image.fromarray(rows).save(file, "PNG", optimize=True)
        results.append((8 * len(file.getvalue()) / images.size, columns))
    return min(results)
