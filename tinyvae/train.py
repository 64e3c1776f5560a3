"""Train a variational autoencoder and write what was learned into a folder.

examples:
  python -m tinyvae.train digits                    a small data set that needs no network
  python -m tinyvae.train mnist                     the default recipe: 20 epochs, about a minute
  python -m tinyvae.train mnist --latent 2          with pictures of the two-dimensional latent space
  python -m tinyvae.train mnist --recipe aevb --latent 3 --samples-seen 1080000
  python -m tinyvae.train my_images.npy --hidden 200,200 --epochs 50 --out runs/mine
"""

import argparse
import dataclasses
import itertools
import math
from pathlib import Path

from tinyvae import console
from tinyvae.errors import UserError
from tinyvae.recipes import CHOICES, LEAST_EXAMPLES, RECIPES, iwae_epochs


def main(argv=None):
    """Parse the arguments, load, train, write the run's folder, and say what was learned."""
    arguments = build_parser().parse_args(argv)
    settings = resolve(arguments)
    console.announce_compilation(arguments.quiet)
    from tinyvae import datasets, evaluation, training  # slow to import: only once the arguments are known to be right
    from tinyvae.runs import Run

    dataset = datasets.load(arguments.dataset, arguments.data_dir, arguments.limit)
    least = arguments.samples_seen or (LEAST_EXAMPLES if uses_default_length(arguments) else 0)
    epochs = math.ceil(least / len(dataset.train))
    if arguments.samples_seen or epochs > settings.epochs:
        settings = dataclasses.replace(settings, epochs=epochs)
    state = training.Training(settings, dataset)
    run = Run.create(
        arguments.out or free_folder(dataset.name),
        training.describe(state, dataset, arguments.dataset, arguments.limit),
        arguments.overwrite,
    )
    with console.ProgressBar(settings.epochs * len(dataset.train), arguments.quiet) as bar:
        history = training.train(state, run, bar)
    summary = training.summarise(state, history)
    summary["variance_floor_share"] = evaluation.floor_share(state, state.dataset.test, state.dataset.test_labels)
    run.write_summary(summary)
    from tinyvae import pictures

    names = pictures.draw(run, state, history)
    if not arguments.quiet:
        print(report(summary, run.path, names))
    return 0


def build_parser():
    """All arguments; those of the settings default to None, so that a recipe's value shows where none was given."""
    description, examples = __doc__.split("\n\n")
    parser = console.Parser(prog="python -m tinyvae.train", description=description, epilog=examples)
    parser.add_argument(
        "dataset", help="mnist, frey, digits, or a file: .npy with (N, D) or (N, H, W), .npz with x and y"
    )
    default = RECIPES["default"]

    model = parser.add_argument_group("model")
    model.add_argument(
        "--latent", type=console.positive, nargs="+", metavar="D", help=f"dimensions of z {show(default.latent)}"
    )
    model.add_argument(
        "--hidden", type=units, nargs="+", metavar="H,H", help=f"units of the tanh layers {show(default.hidden[0])}"
    )

    add_choice(model, "likelihood", "of the data")
    add_choice(model, "prior", "of the uppermost layer")
    model.add_argument("--components", type=console.positive, metavar="M", help="of --prior mixture or vamp [50]")
    model.add_argument("--conditional", action="store_true", help="condition all networks on the labels")

    objective = parser.add_argument_group("objective")
    add_choice(objective, "objective", "the bound to maximise")
    add_choice(objective, "kl", "take the KL divergence in closed form, or sampled")
    objective.add_argument("--samples", type=console.positive, metavar="K", help=f"samples of z an example {show(1)}")
    add_choice(objective, "estimator", "of the encoder's gradient")
    add_choice(objective, "binarise", "grey levels, or pixels drawn once, or drawn at every visit")

    fitting = parser.add_argument_group("fitting")
    fitting.add_argument(
        "--recipe", choices=RECIPES, default="default", help="named settings; other options override it"
    )
    length = fitting.add_mutually_exclusive_group()
    length.add_argument("--stages", type=stages, metavar="n", help="or: stages of the schedule iwae, 1 to 8")
    length.add_argument(
        "--epochs", type=console.positive, help=f"visits to every example {show(default.epochs)}, more on small data"
    )
    length.add_argument(
        "--samples-seen", type=console.positive, metavar="N", help="or: examples to see, in whole epochs"
    )
    fitting.add_argument(
        "--batch-size", type=console.positive, metavar="B", help=f"minibatch {show(default.batch_size)}"
    )
    add_choice(fitting, "optimiser", "the step's rule")
    fitting.add_argument("--lr", type=console.rate, help=f"the largest step {show(default.learning_rate)}")
    add_choice(fitting, "schedule", "how the step changes over the run")
    add_choice(fitting, "initialisation", "of the weights")
    fitting.add_argument("--seed", type=console.seed, metavar="S", help=f"of everything random {show(default.seed)}")
    add_choice(fitting, "dtype", "of all numbers")

    files = parser.add_argument_group("files")
    files.add_argument("--out", type=Path, metavar="DIR", help="the run's folder [runs/DATASET, or the next free]")
    files.add_argument("--overwrite", action="store_true", help="replace the run that --out holds")
    files.add_argument(
        "--data-dir", type=Path, metavar="DIR", help="where the data are [$TINYVAE_DATA, then the cache]"
    )
    files.add_argument("--limit", type=console.positive, metavar="N", help="the first N training examples only")
    files.add_argument("--quiet", action="store_true", help="print errors only")
    return parser


def stages(text):
    """A number of stages."""
    if text not in tuple("12345678"):
        raise argparse.ArgumentTypeError(f"a whole number from 1 to 8 is needed, not {text}")
    return int(text)


def add_choice(group, name, text):
    """An option that takes one of a setting's ``CHOICES``."""
    group.add_argument(f"--{name}", choices=CHOICES[name], help=f"{text} {show(getattr(RECIPES['default'], name))}")


def show(default):
    """A default as the help shows it."""
    return f"[{','.join(map(str, default)) if isinstance(default, tuple) else default}]"


def units(text):
    """Layer sizes, separated by commas."""
    return tuple(console.positive(part) for part in text.split(","))


def resolve(arguments):
    """The recipe's settings with what the arguments override.

    Raises: UserError for options that do not go together.
    """
    recipe = RECIPES[arguments.recipe]
    given = {
        "latent": arguments.latent and tuple(arguments.latent),
        "hidden": arguments.hidden and tuple(arguments.hidden),
        "learning_rate": arguments.lr,
        "epochs": iwae_epochs(arguments.stages) if arguments.stages else arguments.epochs,
        "conditional": arguments.conditional or None,
    }
    for name in ("samples", "components", "batch_size", "seed", *CHOICES):
        given[name] = getattr(arguments, name)
    settings = dataclasses.replace(recipe, **{name: value for name, value in given.items() if value is not None})
    if arguments.hidden is None:  # as many lists as layers, the recipe's last one for those that it does not have
        hidden = recipe.hidden + recipe.hidden[-1:] * len(settings.latent)
        settings = dataclasses.replace(settings, hidden=hidden[: len(settings.latent)])
    closed = settings.objective == "elbo" and len(settings.latent) == 1 and settings.prior in ("normal", "label")
    if not closed or settings.estimator != "standard":
        settings = dataclasses.replace(settings, kl=arguments.kl or "sampled")
    require_sense(settings, closed)
    return settings


def require_sense(settings, closed):
    """Raise a UserError for settings that do not go together; ``closed`` says whether the KL has a closed form."""
    if len(settings.hidden) != len(settings.latent):
        raise UserError(
            f"--latent names {len(settings.latent)} stochastic layers, --hidden has units for {len(settings.hidden)}: "
            "give a comma-separated list of units for each, as in --latent 100 50 --hidden 200,200 100,100"
        )
    if settings.kl == "closed" and not closed:
        raise UserError(
            "--kl closed goes with --objective elbo, one stochastic layer and --prior normal or label: leave it out"
        )
    if settings.kl == "closed" and settings.estimator != "standard":
        raise UserError(f"--estimator {settings.estimator} is for sampled divergences: leave --kl closed out")
    if settings.estimator == "dreg" and settings.objective != "iwae":
        raise UserError("--estimator dreg is for importance weights: add --objective iwae, or use --estimator stl")
    if settings.estimator == "stl" and settings.objective != "elbo":
        raise UserError("--estimator stl is biased under --objective iwae: use --estimator dreg, or --objective elbo")
    if settings.prior == "label" and not settings.conditional:
        raise UserError("--prior label is learned for each label: add --conditional")


def uses_default_length(arguments):
    """Whether nothing was said about the length of the run."""
    return arguments.recipe == "default" and arguments.epochs is None and arguments.stages is None


def free_folder(name):
    """runs/NAME, or the first of runs/NAME-2, runs/NAME-3, ... that does not exist."""
    names = itertools.chain([name], (f"{name}-{i}" for i in itertools.count(2)))
    return next(path for path in (Path("runs") / n for n in names) if not path.exists())


def report(summary, path, figures):
    """The short table at the end."""
    share = summary["variance_floor_share"]
    lines = [
        f"{summary['dataset']}: {summary['epochs']} epochs, {summary['samples_seen']:,} examples seen, "
        f"{summary['seconds']:.0f} s",
        f"  test bound   {summary['test_bound']:10.2f} nats per example",
        f"  train bound  {summary['train_bound']:10.2f}",
        f"  protocol     {summary['protocol']}",
        *([f"  note         {100 * share:.1f} % of the decoder's variances are at their floor"] if share else []),
        f"{path}/",
        "  config.json  history.csv  summary.json  checkpoint.npz",
        *(f"  figures/{name}" for name in figures),
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    console.run(main)
