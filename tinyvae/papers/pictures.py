"""Pictures of what was learned: latent spaces, manifolds, samples, analogies."""

import numpy as np

from tinyvae.data.rows import flat
from tinyvae.papers.aevb import aevb_frey_step_plans, aevb_mnist_plans, aevb_plans
from tinyvae.papers.report import FREY, MNIST, limit
from tinyvae.papers.sweep import Plan
from tinyvae.settings import Settings


def two_dimensional(source, size):
    """AEVB's recipe with two latent dimensions; for the Frey faces with the step that gets further in 10^7 examples."""
    if source == FREY:
        return aevb_frey_step_plans(size)[0]
    return aevb_plans(MNIST, (2,), size)[0]


def latent_space_plans(size):
    return [two_dimensional(MNIST, size), aevb_mnist_plans(size)[3]]


def write_latent_space(report):
    """The two-dimensional posterior means beside t-SNE of the 20-dimensional ones, and how well each separates."""
    from sklearn.manifold import TSNE
    from sklearn.model_selection import cross_val_score
    from sklearn.neighbors import KNeighborsClassifier
    from threadpoolctl import threadpool_limits

    from tinyvae.drawing import maps

    points, n, dataset = {}, 1000 if report.plans[0].limit else 5000, report.dataset()
    for plan in report.plans:
        points[len(points)] = np.asarray(report.fitted(plan).encode(dataset.test[:n])[0], float)
    labels = dataset.test_labels[:n]
    with threadpool_limits(1):  # its threads wait for one another in turns, for minutes if a core is busy
        flat = TSNE(random_state=0, init="pca").fit_transform(points[1])
    names = ("2-dimensional latent space", "t-SNE of the 20-dimensional one", "the 20-dimensional latent space")
    rows, panels = [], []
    for name, means in zip(names, (points[0], flat, points[1])):
        accuracy = cross_val_score(KNeighborsClassifier(10), means, labels, cv=5).mean()
        rows.append({"space": name, "knn_accuracy": round(float(accuracy), 4), "neighbours": 10, "images": len(labels)})
        panels.append((f"{name}\n10-nearest-neighbour accuracy {100 * accuracy:.1f} %", means))
    axes = ("mean of $q(z_1|x)$", "mean of $q(z_2|x)$"), ("first t-SNE coordinate", "second t-SNE coordinate")
    panels = [(*panel, names) for panel, names in zip(panels, axes)]  # of 20 dimensions nothing can be drawn
    maps.side_by_side(report.folder / "latent_space.png", panels, labels)
    report.table("separation.csv", rows)


def write_manifold(report):
    """The unit square through the inverse Gaussian CDF and the decoder."""
    from tinyvae.training import run_figures

    run_figures.draw_manifold(report.folder / "manifold.png", report.fitted(report.plans[0]))


def samples_plans(size):
    return [two_dimensional(MNIST, size), *aevb_mnist_plans(size)[1:4]]


def write_samples(report):
    """Samples from the prior as the latent dimension grows."""
    from tinyvae.drawing import mosaics

    panels = []
    for plan in report.plans:
        fitted = report.fitted(plan)
        panels.append((f"$N_z$ = {plan.settings.latent[0]}", fitted.sample(64).reshape(64, -1)))
    mosaics.side_by_side(report.folder / "samples.png", panels, fitted.data_shape, columns=8)


def cvae_plans(size):
    settings = Settings(conditional=True, epochs=5 if size.quick else 20, seed=size.seed)
    return [Plan("cvae", MNIST, settings, limit(size))]


def write_cvae(report):
    """The same noise under different labels; and the style of a test image of each label under every label.

    On the diagonal of the analogies is a test image's reconstruction, under its own label.
    """
    from tinyvae.drawing import mosaics
    from tinyvae.training import run_figures

    fitted, dataset = report.fitted(report.plans[0]), report.dataset()
    labels = np.arange(fitted.model.n_labels)
    run_figures.draw_samples(report.folder / "samples.png", fitted)
    first = [int(np.flatnonzero(dataset.test_labels == label)[0]) for label in labels]
    mu, _ = fitted.encode(dataset.test[first], labels)
    under_all = fitted.decode(np.repeat(mu, len(labels), axis=0), np.tile(labels, len(labels)))
    mosaics.image_grid(
        report.folder / "analogies.png",
        flat(under_all),
        fitted.data_shape,
        row_labels=[f"style of a {label}" for label in labels],
        column_labels=[str(label) for label in labels],
    )
