"""The baselines are what they are called, and the experiments on colour write what the runs say."""

import csv
import io

import numpy as np
import pytest
from PIL import Image
from scipy import stats

from tests.commands import call
from tinyvae import reproduce
from tinyvae.papers import baselines, colour


def test_the_gaussian_is_scipy_s():
    rng = np.random.default_rng(0)
    mixing = rng.standard_normal((6, 6))
    train, test = (np.clip(128 + 20 * rng.standard_normal((n, 6)) @ mixing, 0, 255).astype(np.uint8) for n in (500, 80))
    bits, ridge = baselines.gaussian_bits(train, test, seed=1)
    noise = np.random.default_rng(1)
    x, y = ((levels + noise.random(levels.shape)) / 256 for levels in (train, test))
    density = stats.multivariate_normal(x.mean(axis=0), np.cov(x, rowvar=False) + ridge * np.eye(6))
    assert bits == pytest.approx(8 - density.logpdf(y).mean() / 6 / np.log(2), rel=1e-12)


def test_the_ridge_is_the_best_one_and_a_singular_covariance_gets_one():
    train = np.repeat(np.arange(50, dtype=np.uint8)[:, None], 60, axis=1)  # fewer examples than dimensions
    _, ridge = baselines.gaussian_bits(train, train)
    assert ridge > 0


def test_png_is_of_all_images_and_of_the_best_layout():
    images = np.random.default_rng(0).integers(0, 256, (6, 4, 4, 3), np.uint8)
    images[:, 1:] = images[:, :1]
    bits, columns = baselines.png_bits(images)
    sizes = {}
    for n in (1, 2, 3, 6):
        mosaic = np.concatenate([np.concatenate(list(images[i : i + n]), axis=1) for i in range(0, 6, n)])
        file = io.BytesIO()
        Image.fromarray(mosaic).save(file, "PNG", optimize=True)
        sizes[n] = 8 * file.tell() / images.size
    assert (bits, columns) == min((size, n) for n, size in sizes.items())


def test_hues_lie_on_a_circle():
    np.testing.assert_allclose(colour.on_circle(np.array([0, 0.25, 0.999999])), [[1, 0], [0, 1], [1, 0]], atol=1e-4)


def test_angles_are_from_the_mean_direction_of_each_group():
    angles = np.radians([[350, 10], [80, 100], [0, 0]])
    vectors = 3 * np.stack([np.cos(angles), np.sin(angles)], axis=2)
    assert colour.mean_angle(vectors) == pytest.approx(20 / 3)


def test_a_quick_version_writes_and_prints_its_tables(tmp_path):
    words = ("photos", "coloured-digits", "--quick", "--out", tmp_path / "out", "--runs", tmp_path / "runs")
    result = call(*words, main=reproduce.main)
    assert result.returncode == 0, result.stderr
    with open(tmp_path / "out/photos-quick/bits.csv") as file:
        rows = {row["model"]: float(row["bits_per_dimension"]) for row in csv.DictReader(file)}
    assert rows["VAE, -ELBO"] >= rows["VAE, -log p(x)"] and {"PNG", "one Gaussian"} < rows.keys()
    with open(tmp_path / "out/coloured-digits-quick/factors.csv") as file:
        vae, pca = csv.DictReader(file)
    assert vae["space"].startswith("VAE, ") and pca["space"].startswith("PCA, ")
    for line in ("model           bits_per_dimension  how", "one Gaussian  ", "PCA, 10 components  "):
        assert line in result.stdout
    for name in (
        "photos-quick/samples.png",
        "photos-quick/reconstructions.png",
        "coloured-digits-quick/samples-cvae.png",
    ):
        assert (tmp_path / "out" / name).stat().st_size > 1000
