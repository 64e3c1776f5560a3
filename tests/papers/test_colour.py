"""The baselines are what they are called, and the experiments on colour write what the runs say."""

import csv
import io
import math
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from scipy import stats
from sklearn.decomposition import PCA
from sklearn.linear_model import LinearRegression
from sklearn.metrics import accuracy_score, r2_score
from threadpoolctl import threadpool_limits

from tests.commands import call
from tests.papers.reports import Told
from tinyvae import reproduce
from tinyvae.data import datasets
from tinyvae.data.colour import coloured_digits_factors
from tinyvae.papers import baselines, colour
from tinyvae.papers.report import Size
from tinyvae.training import run_figures


@pytest.fixture
def no_pictures(monkeypatch):
    for name in ("draw_samples", "draw_reconstructions"):
        monkeypatch.setattr(run_figures, name, lambda *_: None)


def test_the_gaussian_is_scipy_s():
    rng = np.random.default_rng(0)
    mixing = rng.standard_normal((6, 6))
    train, test = (np.clip(128 + 20 * rng.standard_normal((n, 6)) @ mixing, 0, 255).astype(np.uint8) for n in (500, 80))
    bits, ridge = baselines.gaussian_bits(train, test, seed=1)
    noise = np.random.default_rng(1)
    x, y = ((levels + noise.random(levels.shape)) / 256 for levels in (train, test))
    density = stats.multivariate_normal(x.mean(axis=0), np.cov(x, rowvar=False) + ridge * np.eye(6))
    assert bits == pytest.approx(8 - density.logpdf(y).mean() / 6 / np.log(2), rel=1e-12)


def test_the_ridge_is_the_best_one_and_a_singular_covariance_gets_one(monkeypatch):
    train = np.repeat(np.arange(50, dtype=np.uint8)[:, None], 60, axis=1)  # fewer examples than dimensions
    _, ridge = baselines.gaussian_bits(train, train)
    assert ridge > 0
    rng = np.random.default_rng(0)
    train, test = (np.clip(128 + 20 * rng.standard_normal((n, 6)), 0, 255).astype(np.uint8) for n in (12, 80))
    found, alone = baselines.gaussian_bits(train, test), []
    for ridge in baselines.RIDGES:
        monkeypatch.setattr(baselines, "RIDGES", (ridge,))
        alone.append(baselines.gaussian_bits(train, test))
    assert found == min(alone) < max(alone)


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
    angles = np.radians([[350, 10], [80, 100], [170, 190], [0, 0]])
    vectors = 3 * np.stack([np.cos(angles), np.sin(angles)], axis=2)
    assert colour.mean_angle(vectors) == pytest.approx(30 / 4)


def test_the_bits_of_the_photos_are_of_the_evaluated_ones_under_what_the_training_set_tells(tmp_path, no_pictures):
    rng, plan = np.random.default_rng(0), colour.photos_plans(Size(quick=True))[0]
    train, test = (rng.normal(mean, 30, (500, 12)).clip(0, 255).astype(np.uint8) for mean in (100, 140))
    evaluation = {"bits_per_dimension": 4.0, "elbo": -5 * 12 * math.log(2), "samples": 20}
    dataset = SimpleNamespace(train=train, test=test, data_shape=(2, 2, 3))
    fitted = SimpleNamespace(model=SimpleNamespace(data_dim=12))
    report = Told([plan], tmp_path, evaluation=evaluation, dataset=dataset, fitted=fitted)
    colour.write_photos(report)
    gaussian, png = baselines.gaussian_bits(train, test[:50]), baselines.png_bits(test[:50].reshape(50, 2, 2, 3))
    assert [(row["model"], float(row["bits_per_dimension"])) for row in report.rows("bits.csv")] == [
        ("VAE, -log p(x)", 4), ("VAE, -ELBO", 5), ("one Gaussian", round(gaussian[0], 3)), ("PNG", round(png[0], 3))
    ]  # fmt: skip
    evaluation |= {"bits_per_dimension": None, "elbo": None}  # an example has a density of zero
    colour.write_photos(report)
    assert [row["bits_per_dimension"] for row in report.rows("bits.csv")][:2] == ["not finite"] * 2


class Linear:
    """In the place of both models: its means are linear in the pixels, its samples the same picture for each label."""

    def __init__(self, dataset):
        self.directions = np.random.default_rng(0).standard_normal((192, 10))
        self.of_label = np.stack([dataset.train[list(dataset.train_labels).index(label)] for label in range(10)])

    def encode(self, images):
        return images / 255 @ self.directions, None

    def sample(self, n, y, share):
        assert share == 10 and (y == np.arange(n) % 10).all()
        return self.of_label[y] / 255


@threadpool_limits.wrap(1)  # threads wait for one another in turns, for seconds if a core is busy
def test_factors_are_judged_as_scikit_learn_does_and_hues_are_kept_in_the_right_row(tmp_path, no_pictures):
    dataset = datasets.load("coloured-digits")
    report = Told(colour.coloured_digits_plans(Size()), tmp_path, dataset=dataset, fitted=Linear(dataset))
    colour.write_coloured_digits(report)
    train, test = (np.asarray(images) for images in (dataset.train, dataset.test))
    hues = [colour.on_circle(factors.hue) for factors in coloured_digits_factors()]
    pca = PCA(10, svd_solver="full").fit(train / 255)
    spaces = [[Linear(dataset).encode(x)[0] for x in (train, test)], [pca.transform(x / 255) for x in (train, test)]]
    for (z, new), row in zip(spaces, report.rows("factors.csv"), strict=True):
        r2 = r2_score(hues[1], LinearRegression().fit(z, hues[0]).predict(new), multioutput="variance_weighted")
        found = LinearRegression().fit(z, np.eye(10)[dataset.train_labels]).predict(new).argmax(axis=1)
        assert float(row["hue_r2"]) == pytest.approx(r2, abs=6e-5)
        assert float(row["label_accuracy"]) == pytest.approx(accuracy_score(dataset.test_labels, found), abs=6e-5)
    kept = {row["samples"]: float(row["degrees_from_their_mean_hue"]) for row in report.rows("hue_kept.csv")}
    assert kept["one label, all noises"] == 0 and kept["one noise, all labels"] > 10


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
