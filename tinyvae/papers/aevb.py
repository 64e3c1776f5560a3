"""Auto-Encoding Variational Bayes, Figure 2: the bound against the examples seen, for several latent sizes."""

import math
from dataclasses import replace

import numpy as np

from tinyvae.papers import published
from tinyvae.papers.report import FREY, MNIST, limit
from tinyvae.papers.sweep import N_TRAIN, Plan
from tinyvae.settings import AEVB, AEVB_FREY, BEST

MOST_POINTS = 150  # of a curve in a CSV file, evenly along the logarithmic axis


def aevb_plans(source, latents, size, name="aevb", **changes):
    """AEVB's recipe for each size of the latent space."""
    epochs = 5 if size.quick else math.ceil(size.examples / N_TRAIN[source])
    recipe = AEVB_FREY if source == FREY else AEVB
    settings = replace(recipe, epochs=epochs, seed=size.seed, **changes)
    return [Plan(f"{name}-{source}-{n}", source, replace(settings, latent=(n,)), limit(size)) for n in latents]


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
        dataset = "frey" if "frey" in plan.name else "mnist"  # the source may be a copy of it somewhere
        theirs = {split: published.aevb(dataset, n, split) for split in ("train", "test")}
        panels.append((f"$N_z$ = {n}" if ours else f"$N_z$ = {n}, our recipe", columns, theirs))
        rows += [{"run": plan.name, "n_latent": n, **row} for row in thinned(columns)]
        # that of the test bound by the choice of the test images; not finite, of an earlier version, or of the end of a
        # longer run, it is left out
        summary = report.run(plan).read_json("summary.json")
        is_of_this_end = summary.get("samples_seen") == columns["samples_seen"][-1]
        error = summary.get("test_standard_error") if is_of_this_end else None
        error = {"test_standard_error": "" if error is None else round(error, 2)}
        ends.append({"run": plan.name, "n_latent": n, **end_of(columns, theirs["test"]), **error})
    curves.bound_panels(report.folder / "bounds.png", panels)
    report.table("bounds.csv", rows)
    report.table("ends.csv", ends)


def thinned(curves):
    """Rows of a history's columns, evenly along the logarithm of the examples seen, with the first and the last."""
    from tinyvae.drawing.curves import even_places

    names = ("samples_seen", "train_bound", "test_bound")
    places = even_places(curves["samples_seen"], MOST_POINTS)
    return [{name: curves[name][i].item() for name in names} for i in places]


def end_of(curves, theirs):
    """Where a curve ends, where its test bound is highest and whether it turned down, and the published bound there and
    where that is highest.
    """
    from tinyvae.drawing.curves import turning_point

    seen, test, train = (curves[name] for name in ("samples_seen", "test_bound", "train_bound"))
    best = int(np.argmax(np.where(np.isfinite(test), test, -math.inf)))
    is_published = min(theirs[0]) <= seen[-1] <= max(theirs[0])
    there = np.interp(np.log(seen[-1]), np.log(theirs[0]), theirs[1])
    return {
        "samples_seen": seen[-1].item(),
        "test_bound": round(test[-1].item(), 2),
        "train_bound": round(train[-1].item(), 2),
        "published_test_bound": round(float(there), 1) if is_published else "",
        "highest_test_bound": round(test[best].item(), 2),
        "highest_at": seen[best].item(),
        "turned_down_at": "" if (turn := turning_point(test)) is None else seen[turn].item(),
        "published_highest_at": theirs[0][int(np.argmax(theirs[1]))],
    }
