"""Experiments on pictures in colour: bits per dimension beside codes, factors of variation beside PCA, hues kept."""

import math
from dataclasses import replace

import numpy as np

from tinyvae.papers import baselines
from tinyvae.papers.report import limit, number_of, rounded
from tinyvae.papers.sweep import Plan
from tinyvae.settings import COLOUR, CONV, Settings

PHOTOS, COLOURED_DIGITS = "photos", "coloured-digits"
SAMPLES = 1000  # of the evaluation
NOISES = 100  # of the conditional model, each under all labels
COLOURED = replace(CONV, activation="tanh", likelihood="logistic", latent=(10,), epochs=30)
CVAE = Settings(conditional=True, latent=(6,), epochs=40)


def photos_plans(size):
    """A training of the recipe ``colour``."""
    settings = replace(COLOUR, seed=size.seed, epochs=2 if size.quick else COLOUR.epochs)
    evaluation = {"samples": 20, "images": 50} if size.quick else {"samples": SAMPLES}
    return [Plan(PHOTOS, PHOTOS, settings, limit(size), **evaluation)]


def write_photos(report):
    """Held-out bits per dimension beside a Gaussian's and PNG's; samples and reconstructions."""
    from tinyvae.training import run_figures

    (plan,), dataset = report.plans, report.dataset()
    evaluation, fitted = report.run(plan).read_json("evaluation.json"), report.fitted(plan)
    train, test = np.asarray(dataset.train), np.asarray(dataset.test[: plan.images])
    gaussian, ridge = baselines.gaussian_bits(train, test, plan.settings.seed)
    png, columns = baselines.png_bits(test.reshape(-1, *dataset.data_shape))
    each = 1 / (fitted.model.data_dim * math.log(2))  # bits per dimension, of a nat
    rows = [
        ("VAE, -log p(x)", number_of(evaluation["bits_per_dimension"]), f"by {evaluation['samples']} samples"),
        ("VAE, -ELBO", -number_of(evaluation["elbo"]) * each, "what bits-back coding pays"),
        ("one Gaussian", gaussian, f"full covariance, ridge {ridge:g}, of dequantised levels"),
        ("PNG", png, f"of all test patches as one picture, {columns} in a row"),
    ]
    table = [{"model": name, "bits_per_dimension": rounded(bits, 3), "how": how} for name, bits, how in rows]
    report.table("bits.csv", table, show=True)
    run_figures.draw_samples(report.folder / "samples.png", fitted)
    run_figures.draw_reconstructions(report.folder / "reconstructions.png", fitted, dataset)


def coloured_digits_plans(size):
    """A training without labels, and a plainer one with: an MLP makes more of the labels, and is easier on the eye."""
    settings = [replace(each, seed=size.seed, epochs=2 if size.quick else each.epochs) for each in (COLOURED, CVAE)]
    return [Plan(f"coloured-digits{name}", COLOURED_DIGITS, each) for name, each in zip(("", "-cvae"), settings)]


def write_coloured_digits(report):
    """Hue and label from the latent means, beside as many principal components; the hue of one noise under all labels.

    The hue of a sample is what linear regression from its pixels, fitted to the training set, says.
    """
    from sklearn.decomposition import PCA
    from sklearn.linear_model import LinearRegression

    from tinyvae.data import colour
    from tinyvae.training import run_figures

    plan, conditional = report.plans
    dataset, fitted = report.dataset(), report.fitted(plan)
    factors = colour.coloured_digits_factors()
    sets = [np.asarray(images) for images in (dataset.train, dataset.test)]
    n = plan.settings.latent[0]
    pca = PCA(n, svd_solver="full").fit(sets[0] / 255)
    spaces = {
        f"VAE, {n} latent means": [fitted.encode(images)[0].astype(float) for images in sets],
        f"PCA, {n} components": [pca.transform(images / 255) for images in sets],
    }
    hues, labels = zip(*((on_circle(f.hue), np.eye(dataset.n_labels)[f.label]) for f in factors))
    rows = []
    for name, (train, test) in spaces.items():
        unexplained = ((hues[1] - LinearRegression().fit(train, hues[0]).predict(test)) ** 2).sum()
        right = LinearRegression().fit(train, labels[0]).predict(test).argmax(axis=1) == factors[1].label
        row = {
            "hue_r2": 1 - unexplained / ((hues[1] - hues[1].mean(axis=0)) ** 2).sum(),
            "label_accuracy": right.mean(),
        }
        rows.append({"space": name, **{key: round(float(value), 4) for key, value in row.items()}})
    report.table("factors.csv", rows, show=True)
    run_figures.draw_samples(report.folder / "samples.png", fitted)
    cvae, C = report.fitted(conditional), dataset.n_labels
    run_figures.draw_samples(report.folder / "samples-cvae.png", cvae)
    samples = cvae.sample(NOISES * C, np.tile(np.arange(C), NOISES), share=C).reshape(NOISES * C, -1)
    found = LinearRegression().fit(sets[0] / 255, hues[0]).predict(samples).reshape(NOISES, C, 2)
    rows = [
        {"samples": name, "degrees_from_their_mean_hue": round(mean_angle(some), 1)}
        for name, some in (("one noise, all labels", found), ("one label, all noises", found.swapaxes(0, 1)))
    ]
    report.table("hue_kept.csv", rows, show=True)


def mean_angle(vectors):
    """The mean angle, in degrees, between vectors (G, n, 2) of directions and the mean direction of their group."""
    x, y = np.moveaxis(vectors / np.linalg.norm(vectors, axis=2, keepdims=True), 2, 0)
    centre = np.arctan2(y.mean(axis=1), x.mean(axis=1))[:, None]
    away = np.abs((np.arctan2(y, x) - centre + math.pi) % (2 * math.pi) - math.pi)
    return float(np.degrees(away).mean())


def on_circle(hue):
    """(cos, sin) of hues (N,) in [0, 1), whose ends are the same red: (N, 2)."""
    return np.column_stack([np.cos(2 * math.pi * hue), np.sin(2 * math.pi * hue)])
