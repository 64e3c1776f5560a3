"""What each figure and table of the papers needs: its trainings, and what is made of them.

An experiment is a function that names its plans and one that draws and writes from the runs; ``EXPERIMENTS`` lists
them. Runs that several figures share have one name, and so one folder.
"""

import csv
import io
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from tinyvae.disk.files import atomic_write
from tinyvae.disk.run import Run
from tinyvae.papers import colour, grammar_vae, published
from tinyvae.papers.sweep import N_TRAIN, Plan
from tinyvae.settings import AEVB, AEVB_FREY, BEST, IWAE_1, IWAE_2, IWAE_BEST, Settings, iwae_epochs

MNIST, FREY = "mnist", "frey"
SAMPLES = 5000  # of the evaluations (IWAE, section 5)
MOST_POINTS = 150  # of a curve in a CSV file, evenly along the logarithmic axis
# of our schedule, for each number of samples: at K = 5 the standard one is worse (results/README.md)
BEST_ESTIMATORS = ((1, "standard"), (5, "dreg"))


@dataclass(frozen=True)
class Size:
    """How large the experiments are.

    Attributes:
        examples: that the AEVB curves see.
        stages: of IWAE's schedule.
        stages_50: with 50 samples.
        quick: a small version of everything, to see that it works and what it looks like.
        seed: of everything random.
    """

    examples: int = 10_000_000
    stages: int = 5
    stages_50: int = 3
    quick: bool = False
    seed: int = 0


@dataclass(frozen=True)
class Experiment:
    """What ``reproduce`` makes under a name.

    Attributes:
        title: of the figure, for the list of names.
        plans: Size -> [Plan].
        write: (Report) -> None: draws the figures and writes the numbers.
        with_models: whether it needs the trained models, and not only what the runs' folders say of them.
    """

    title: str
    plans: Callable
    write: Callable
    with_models: bool = True


class Report:
    """The runs of an experiment, and the folder for what is made of them.

    Args:
        plans: [Plan], carried out.
        runs: Path of the folder of the runs.
        folder: Path for the results.
        data_dir: where to look for the data first.

    Attributes:
        shown: [rows], the tables that are to be seen at once.
    """

    def __init__(self, plans, runs, folder, data_dir=None):
        self.plans, self.runs, self.folder, self.data_dir = plans, Path(runs), Path(folder), data_dir
        self.shown = []

    def run(self, plan):
        """The run.Run of a plan."""
        return Run.open(self.runs / plan.name)

    def dataset(self, plan=None):
        """The data of a plan, by default of the first one."""
        return (plan or self.plans[0]).load(self.data_dir)

    def fitted(self, plan):
        """The trained model of a plan, at its end."""
        from tinyvae.training.description import load_fitted

        return load_fitted(self.runs / plan.name)

    def history(self, plan):
        """The columns of a run's history: {name: (E,)}, of no more epochs than the plan has."""
        rows = self.run(plan).history()[: plan.settings.epochs]
        return {name: np.array([row[name] for row in rows]) for name in rows[0]}

    def table(self, name, rows, show=False):
        """Write a CSV file of dicts with the same keys; with ``show`` the table is printed, too."""
        self.shown += [rows] * show
        text = io.StringIO()
        writer = csv.DictWriter(text, rows[0], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        with atomic_write(self.folder / name) as file:
            file.write(text.getvalue().encode())


# ---- AEVB, Figure 2


def aevb_plans(source, latents, size, name="aevb", **changes):
    """AEVB's recipe for each size of the latent space."""
    epochs = 5 if size.quick else math.ceil(size.examples / N_TRAIN[source])
    recipe = AEVB_FREY if source == FREY else AEVB
    settings = replace(recipe, epochs=epochs, seed=size.seed, **changes)
    return [Plan(f"{name}-{source}-{n}", source, replace(settings, latent=(n,)), limit(size)) for n in latents]


def limit(size):
    """The training examples of a quick version."""
    return 1000 if size.quick else None


def aevb_mnist_plans(size):
    best = replace(BEST, seed=size.seed, epochs=5) if size.quick else replace(BEST, seed=size.seed)
    plans = aevb_plans(MNIST, (3, 5, 10, 20), size)
    # the wide reading of N(0, 0.01) starts 200 dimensions with so much noise that they are behind to the end
    plans += aevb_plans(MNIST, (200,), size, initialisation="aevb-narrow")
    return [*plans, Plan("best-20", MNIST, best, limit(size))]


def aevb_frey_plans(size, name="aevb", **changes):
    return aevb_plans(FREY, (2, 5, 10, 20), size, name, **changes)


def aevb_frey_map_plans(size):
    """With the prior on the weights that the paper has (AEVB, section 5), and the recipe leaves out."""
    return aevb_frey_plans(size, "aevb-map", weight_prior=1.0)


def aevb_frey_step_plans(size):
    """With another of the paper's three steps."""
    return aevb_frey_plans(size, "aevb-step-02", learning_rate=0.02)


def write_aevb(report):
    """The curves, a panel for each size of the latent space, and where they end and turn."""
    from tinyvae.drawing import curves

    rows, ends, panels = [], [], []
    for plan in report.plans:
        columns, n = report.history(plan), plan.settings.latent[0]
        ours = plan.name.startswith("aevb")
        dataset = "frey" if "frey" in plan.name else "mnist"
        theirs = {split: published.aevb(dataset, n, split) for split in ("train", "test")}
        panels.append((f"$N_z$ = {n}" if ours else f"$N_z$ = {n}, our recipe", columns, theirs))
        rows += [{"run": plan.name, "n_latent": n, **row} for row in thinned(columns)]
        error = {"test_standard_error": round(standard_error(report, plan), 2)}
        ends.append({"run": plan.name, "n_latent": n, **end_of(columns, theirs["test"]), **error})
    curves.bound_panels(report.folder / "bounds.png", panels)
    report.table("bounds.csv", rows)
    report.table("ends.csv", ends)


def standard_error(report, plan):
    """The standard error of a bound on the test set by the choice of its images, in nats: one sample for each."""
    bounds = report.fitted(plan).log_likelihood(report.dataset(plan).test, samples=1)
    return float(bounds.std(ddof=1)) / math.sqrt(len(bounds))


def thinned(curves):
    """Rows of a history's columns, evenly along the logarithm of the examples seen, with the first and the last."""
    seen = curves["samples_seen"]
    places = np.searchsorted(seen, np.geomspace(seen[0], seen[-1], MOST_POINTS) * (1 - 1e-9))
    names = ("samples_seen", "train_bound", "test_bound")
    return [{name: curves[name][i].item() for name in names} for i in np.unique(np.append(places, len(seen) - 1))]


def end_of(curves, theirs):
    """Where a curve ends, where its test bound is highest and whether it turned down, and the published bound there and
    where that is highest.
    """
    from tinyvae.drawing.curves import turning_point

    seen, test, train = (curves[name] for name in ("samples_seen", "test_bound", "train_bound"))
    best = int(np.argmax(test))
    is_published = min(theirs[0]) <= seen[-1] <= max(theirs[0])
    there = np.interp(np.log(seen[-1]), np.log(theirs[0]), theirs[1]) if is_published else math.nan
    return {
        "samples_seen": seen[-1].item(),
        "test_bound": round(test[-1].item(), 2),
        "train_bound": round(train[-1].item(), 2),
        "published_test_bound": round(float(there), 1),
        "highest_test_bound": round(test[best].item(), 2),
        "highest_at": seen[best].item(),
        "turned_down_at": "" if (turn := turning_point(test)) is None else seen[turn].item(),
        "published_highest_at": theirs[0][int(np.argmax(theirs[1]))],
    }


# ---- IWAE, Table 1


def iwae_plan(base, model, layers, k, size, best=False):
    """A training of the table: the VAE's or the IWAE's bound with k samples."""
    stages = size.stages_50 if k == 50 else size.stages
    epochs = base.epochs if best else iwae_epochs(stages)
    objective = {"objective": "elbo" if model == "vae" else "iwae"}
    if size.quick:
        epochs = 2 if k == 50 else 4
    settings = replace(base, samples=k, epochs=epochs, seed=size.seed, **objective)
    name = f"{model}-{'best' if best else layers}-k{k}"
    evaluation = {"samples": 100, "images": 200} if size.quick else {"samples": SAMPLES}
    return Plan(name, MNIST, settings, limit(size), **evaluation)


def vae_vs_iwae_plans(size):
    models = (("iwae", 1), ("vae", 5), ("iwae", 5), ("vae", 50), ("iwae", 50))
    best = [iwae_plan(replace(IWAE_BEST, estimator=e), "iwae", 1, k, size, best=True) for k, e in BEST_ESTIMATORS]
    return [iwae_plan(IWAE_1, model, 1, k, size) for model, k in models] + best


def one_vs_two_plans(size):
    return [iwae_plan(base, "iwae", layers, k, size) for layers, base in ((1, IWAE_1), (2, IWAE_2)) for k in (1, 5)]


def write_iwae(report):
    """The bounds against epochs, and the table of log p(x) and active units beside the published one.

    How much more log p(x) is than in the first row is a mean over the same images, with the error of that.
    """
    from tinyvae.drawing import curves
    from tinyvae.training.evaluation import paired

    lines, rows, first = [], [], []
    for plan in report.plans:
        layers, k = len(plan.settings.latent), plan.settings.samples
        model = "vae" if plan.settings.objective == "elbo" else "iwae"
        schedule = "our" if plan.settings.schedule == "cosine" else "IWAE's"
        evaluation = report.run(plan).read_json("evaluation.json")
        theirs, units = published.iwae(layers, k, model)
        nll = evaluation["log_likelihood"] and -evaluation["log_likelihood"]  # None if it is not finite
        each = [] if nll is None else evaluation.get("each", [])  # which older evaluations do not have
        first = first if rows else each
        more, error = "", ""
        if len(each) == len(first) > 1:
            more, error = (round(number, 2) for number in paired(np.array(first), np.array(each)))
        name = f"{model.upper()} k={k}, {layers} layer{'s' if layers > 1 else ''}, {schedule} schedule"
        lines.append((name, report.history(plan)))
        rows.append(
            {
                "stochastic_layers": layers,
                "k": k,
                "model": "vae = iwae" if k == 1 else model,
                "schedule": schedule,
                "epochs": evaluation["epochs"],
                "nll": rounded(nll),
                "standard_error": rounded(evaluation["standard_error"]),
                "more_than_first": more,
                "error_of_more": error,
                "samples": evaluation["samples"],
                "test_images": evaluation["n_images"],
                "active_units": "+".join(map(str, evaluation["active_units"])),
                "published_nll": theirs,
                "published_active_units": units,
                "published_epochs": published.IWAE_EPOCHS,
            }
        )
    curves.bounds_by_epoch(report.folder / "bounds.png", lines)
    report.table("table.csv", rows)


def rounded(number):
    """A number of a table; None is how JSON has one that is not finite."""
    return "not finite" if number is None else round(number, 2)


# ---- pictures


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
    maps.side_by_side(report.folder / "latent_space.png", panels[:2], labels)
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
        run_figures.flat(under_all),
        fitted.data_shape,
        row_labels=[f"style of a {label}" for label in labels],
        column_labels=[str(label) for label in labels],
    )


EXPERIMENTS = {
    "aevb-mnist": Experiment("AEVB, Figure 2: the bound on MNIST", aevb_mnist_plans, write_aevb),
    "aevb-frey": Experiment("AEVB, Figure 2: the bound on the Frey faces", aevb_frey_plans, write_aevb),
    "aevb-frey-map": Experiment(
        "AEVB, Figure 2: the Frey faces with a prior on the weights", aevb_frey_map_plans, write_aevb
    ),
    "aevb-frey-step-02": Experiment(
        "AEVB, Figure 2: the Frey faces with twice the step", aevb_frey_step_plans, write_aevb
    ),
    "latent-space": Experiment("the latent space beside t-SNE", latent_space_plans, write_latent_space),
    "manifold-mnist": Experiment(
        "AEVB, Figure 4: the manifold of MNIST", lambda size: [two_dimensional(MNIST, size)], write_manifold
    ),
    "manifold-frey": Experiment(
        "AEVB, Figure 4: the manifold of the Frey faces", lambda size: [two_dimensional(FREY, size)], write_manifold
    ),
    "vae-vs-iwae": Experiment("IWAE, Table 1: one stochastic layer", vae_vs_iwae_plans, write_iwae, False),
    "one-vs-two-layers": Experiment(
        "IWAE, Table 1: one and two stochastic layers", one_vs_two_plans, write_iwae, False
    ),
    "cvae": Experiment("the same noise under different labels", cvae_plans, write_cvae),
    "samples": Experiment("AEVB, Figure 5: samples as the latent space grows", samples_plans, write_samples),
    "photos": Experiment(
        "bits per dimension of photographs, beside a Gaussian and PNG", colour.photos_plans, colour.write_photos
    ),
    "coloured-digits": Experiment(
        "hue and label from the latent means, beside PCA", colour.coloured_digits_plans, colour.write_coloured_digits
    ),
    "grammar-vae": Experiment(
        "the grammar variational autoencoder's expressions, and a search in its latent space",
        grammar_vae.plans,
        grammar_vae.write,
    ),
}
