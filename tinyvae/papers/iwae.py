"""Importance Weighted Autoencoders, Table 1: log p(x) and active units of VAEs and IWAEs, by layers and by samples."""

from dataclasses import replace

import numpy as np

from tinyvae.papers import published
from tinyvae.papers.report import MNIST, limit, number_of, rounded
from tinyvae.papers.sweep import Plan
from tinyvae.settings import IWAE_1, IWAE_2, IWAE_BEST, iwae_epochs

SAMPLES = 5000  # of the evaluations (IWAE, section 5)
# of our schedule, for each number of samples: at K = 5 the standard one is worse (README.md)
BEST_ESTIMATORS = ((1, "standard"), (5, "dreg"))


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
        nll = -number_of(evaluation["log_likelihood"])
        each = [] if np.isnan(nll) else evaluation.get("each", [])  # which older evaluations do not have
        first = first if rows else each
        more, error = "", ""
        if len(each) == len(first) > 1:
            more, error = (round(number, 2) for number in paired(np.array(first), np.array(each)))
        estimator = plan.settings.estimator
        gradients = "" if estimator == "standard" else f", {estimator}"
        name = f"{model.upper()} k={k}, {layers} layer{'s' if layers > 1 else ''}, {schedule} schedule{gradients}"
        lines.append((name, report.history(plan)))
        rows.append(
            {
                "stochastic_layers": layers,
                "k": k,
                "model": "vae = iwae" if k == 1 else model,
                "schedule": schedule,
                "estimator": estimator,
                "epochs": evaluation["epochs"],
                "nll": rounded(nll),
                "standard_error": rounded(number_of(evaluation["standard_error"])),
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
