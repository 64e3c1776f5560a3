"""The options of the train command: what may be asked for, and what goes together."""

import argparse
import dataclasses
import math

from tinyvae.cli import console
from tinyvae.errors import UserError
from tinyvae.settings import (
    CHOICES,
    DATASETS,
    LEAST_DEVIATION,
    NETWORKS,
    PRIORS,
    RECIPES,
    STRING_RECIPES,
    WITH_GRAMMAR,
    Settings,
    iwae_epochs,
    recipe_for,
    require_sense,
)

DEFAULT = RECIPES["default"]

# Settings of one network alone, and what that is.
OWN = {
    **dict.fromkeys(("channels", "kernel", "stride"), ("conv", "convolutional")),
    **dict.fromkeys(("units", "directions", "feedback"), ("gru", "recurrent")),
}

# The name of a setting's option where it is another.
OTHERWISE = {"learning_rate": "lr"}


def build_parser(doc):
    """All arguments; those of the settings default to None, so that a recipe's value shows where none was given."""
    parser = console.Parser("python -m tinyvae.train", doc)
    parser.add_argument(
        "dataset",
        nargs="?",
        help=f"{', '.join(DATASETS)}; or a file: .npy with (N, D), (N, H, W) or (N, H, W, 3), .npz with x and y, .txt "
        "with a string a line; or a folder: of pictures, subfolders being labels, of IDX files, or of CIFAR's binary "
        "version",
    )
    for title, add_options in GROUPS.items():
        add_options(parser.add_argument_group(title))
    return parser


def add_model(group):
    """What the model is."""
    add_choice(group, "network", "next to the data; conv and gru take recipes of their own, with other defaults")
    group.add_argument(
        "--latent", type=console.positive, nargs="+", metavar="D", help=f"dimensions of z {show(DEFAULT.latent)}"
    )
    hidden = f"units of the hidden layers, or the word none {show(DEFAULT.hidden[0])}"
    group.add_argument("--hidden", type=hidden_units, nargs="+", metavar="H,H", help=hidden)
    add_choice(group, "activation", "of the hidden layers")
    channels = f"feature maps of --network conv, from the data up {show(DEFAULT.channels)}"
    group.add_argument("--channels", type=units, metavar="C,C", help=channels)
    kernel = f"side of the windows of --network conv, in pixels {show(DEFAULT.kernel)}"
    group.add_argument("--kernel", type=console.positive, metavar="k", help=kernel)
    group.add_argument("--stride", type=console.positive, metavar="s", help=f"step of these {show(DEFAULT.stride)}")
    states = f"numbers of the states of --network gru {show(DEFAULT.units)}"
    group.add_argument("--units", type=console.positive, metavar="U", help=states)
    directions = f"in which its encoder reads {show(DEFAULT.directions)}"
    group.add_argument("--directions", type=int, choices=(1, 2), help=directions)
    group.add_argument("--feedback", action="store_true", help="tell its decoder what the data are at the step before")
    hidden = "hide that from it at this share of the steps, in training [0]"
    group.add_argument("--word-dropout", type=share, metavar="P", help=hidden)
    add_choice(group, "likelihood", "of the data")
    add_choice(group, "prior", "of the uppermost layer")
    group.add_argument("--components", type=console.positive, metavar="M", help="of --prior mixture or vamp [50]")
    group.add_argument("--conditional", action="store_true", help="condition all networks on the labels")


def add_objective(group):
    """What is maximised."""
    add_choice(group, "objective", "the bound to maximise")
    add_choice(group, "kl", "take the KL divergence in closed form, or sampled")
    group.add_argument("--samples", type=console.positive, metavar="K", help=f"samples of z an example {show(1)}")
    add_choice(group, "estimator", "of the encoder's gradient")
    group.add_argument("--beta", type=weight, metavar="B", help=f"weight of the KL divergence {show(DEFAULT.beta)}")
    anneal = f"epochs in which that weight rises from 0 {show(DEFAULT.anneal)}"
    group.add_argument("--anneal", type=console.positive, metavar="E", help=anneal)
    free = f"nats of it that each dimension of z has at no price {show(DEFAULT.free_bits)}"
    group.add_argument("--free-bits", type=weight, metavar="L", help=free)
    prior = "standard deviation of a normal prior on all weights and biases, for the most probable ones [none]"
    group.add_argument("--weight-prior", type=deviation, metavar="S", help=prior)
    add_choice(group, "binarise", "grey levels, or pixels drawn once, or drawn at every visit")
    group.add_argument("--dequantise", action="store_true", help="add uniform noise to levels, under a Gaussian")


def add_fitting(group):
    """How, and for how long."""
    own = "[that of strings or of --network, or default]"
    add_name(group, "--recipe", RECIPES, "named settings, which other options override", own)
    length = group.add_mutually_exclusive_group()
    length.add_argument(
        "--epochs", type=console.positive, help=f"visits to every example {show(DEFAULT.epochs)}, more on small data"
    )
    length.add_argument(
        "--samples-seen", type=console.positive, metavar="N", help="or: examples to see, in whole epochs"
    )
    length.add_argument("--stages", type=stages, metavar="n", help="or: stages of --schedule iwae, 1 to 8")
    minibatch = f"minibatch {show(DEFAULT.batch_size)}, or all examples where they are fewer"
    group.add_argument("--batch-size", type=console.positive, metavar="B", help=minibatch)
    add_choice(group, "optimiser", "the step's rule")
    group.add_argument("--lr", type=console.rate, help=f"the largest step {show(DEFAULT.learning_rate)}")
    add_choice(group, "schedule", "how the step changes over the run")
    add_choice(group, "initialisation", "of the weights")
    group.add_argument("--seed", type=console.seed, metavar="S", help=f"of everything random {show(DEFAULT.seed)}")
    add_choice(group, "dtype", "of all numbers")


def add_files(group):
    """Where things are, and what is said."""
    group.add_argument(
        "--out", type=console.path, metavar="DIR", help="the run's folder [runs/DATASET, or the next free]"
    )
    group.add_argument("--overwrite", action="store_true", help="replace the run that --out holds")
    group.add_argument(
        "--data-dir", type=console.path, metavar="DIR", help="where the data are [$TINYVAE_DATA, then the cache]"
    )
    group.add_argument(
        "--resume", type=console.path, metavar="DIR", help="go on with the run in DIR; --epochs may raise its length"
    )
    group.add_argument(
        "--checkpoint-every",
        type=console.positive,
        metavar="E",
        help="epochs between checkpoints [as few as a twentieth of the time pays for]",
    )
    group.add_argument("--limit", type=console.positive, metavar="N", help="the first N training examples only")
    group.add_argument("--quiet", action="store_true", help="print errors only, and what --json asks for")
    group.add_argument("--json", action="store_true", help="print summary.json instead of words at the end")
    group.add_argument("--threads", type=console.threads, metavar="T", help="[the cores this process may use]")


def add_pictures(group):
    """How a folder of pictures is read."""
    group.add_argument(
        "--size",
        type=console.positive,
        metavar="S",
        help="crop each picture to the square in its middle, and resize that to S x S pixels [all must have one size]",
    )
    group.add_argument("--grey", action="store_true", help="make grey levels of the colours")
    group.add_argument("--skip-broken", action="store_true", help="leave out pictures that cannot be read")


def add_strings(group):
    """What strings are made of."""
    kind = group.add_mutually_exclusive_group()
    grammar = "take each for the rules that derive it under the grammar in FILE [its own, or its characters]"
    kind.add_argument("--grammar", type=console.path, metavar="FILE", help=grammar)
    kind.add_argument("--characters", action="store_true", help="take each for its characters, grammar or not")


GROUPS = {
    "model": add_model,
    "objective": add_objective,
    "fitting": add_fitting,
    "a folder of pictures": add_pictures,
    "strings": add_strings,
    "files": add_files,
}


def stages(text):
    """A number of stages."""
    if text not in tuple("12345678"):
        raise argparse.ArgumentTypeError(f"a whole number from 1 to 8 is needed, not {text}")
    return int(text)


def weight(text):
    """A number that is not below zero."""
    value = number(text)
    if not 0 <= value < math.inf:
        raise argparse.ArgumentTypeError(f"a number of at least 0 is needed, not {text}")
    return value


def deviation(text):
    """The standard deviation of a prior on the weights, or 0 for none."""
    value = weight(text)
    if value and not LEAST_DEVIATION <= value <= 1 / LEAST_DEVIATION:
        limits = f"from {LEAST_DEVIATION:g} to {1 / LEAST_DEVIATION:g}"
        raise argparse.ArgumentTypeError(f"a standard deviation {limits}, or 0 for none, is needed, not {text}")
    return value


def share(text):
    """A number from 0 to 1."""
    value = number(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"a number from 0 to 1 is needed, not {text}")
    return value


def number(text):
    """A number, or NaN for what is none."""
    try:
        return float(text)
    except ValueError:
        return math.nan


def add_choice(group, name, text):
    """An option that takes one of a setting's ``CHOICES``."""
    add_name(group, f"--{name}", CHOICES[name], text, show(getattr(DEFAULT, name)))


def add_name(group, option, names, text, default):
    """An option that takes one of some names; where these are many they stand in the help's text."""
    is_short = len(",".join(map(str, names))) < 70
    listed = {} if is_short else {"metavar": "NAME"}
    words = text if is_short else f"{text}, one of {', '.join(names)}"
    group.add_argument(option, choices=names, help=f"{words} {default}", **listed)


def show(default):
    """A default as the help shows it."""
    return f"[{','.join(map(str, default)) if isinstance(default, tuple) else default}]"


def units(text):
    """Layer sizes, separated by commas."""
    return tuple(console.positive(part) for part in text.split(","))


def hidden_units(text):
    """Those of the layers between a stochastic layer and the one below, of which there may be none."""
    return () if text == "none" else units(text)


def given_settings(arguments):
    """The settings that the arguments name, all but the length of the run: {attribute of Settings: value}."""
    names = [field.name for field in dataclasses.fields(Settings) if field.name != "epochs"]
    given = {name: getattr(arguments, OTHERWISE.get(name, name), None) for name in names}
    return {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in given.items()
        if value is not None and value is not False
    }


def option_of(name):
    """The option of a setting."""
    return "--" + OTHERWISE.get(name, name).replace("_", "-")


def given_epochs(arguments, n_examples):
    """The length of the run that the arguments name, in epochs of ``n_examples``; None if they name none."""
    if arguments.stages:
        return iwae_epochs(arguments.stages)
    return math.ceil(arguments.samples_seen / n_examples) if arguments.samples_seen else arguments.epochs


def resolve(arguments, strings=None):
    """The recipe's settings with what the arguments override.

    Args:
        arguments: of the command.
        strings: the recipe for the data, where they are known to be strings; by default what the arguments tell.

    Raises: UserError for options that do not go together.
    """
    strings = strings or string_recipe(arguments)
    recipe = recipe_for(recipe_name(arguments, strings), arguments.dataset)
    if strings and not arguments.recipe:  # with any network
        recipe = dataclasses.replace(recipe, likelihood="categorical")
    settings = dataclasses.replace(recipe, **given_settings(arguments))
    for name, (network, kind) in OWN.items():
        if getattr(arguments, name) and name not in NETWORKS[settings.network][0].own_settings:
            raise UserError(f"--{name} is of {kind} networks: add --network {network}, or leave it out")
    if arguments.components and not PRIORS[settings.prior].has_components:
        raise UserError("--components is of mixture priors: add --prior mixture or vamp, or leave it out")
    if arguments.hidden is None:  # as many lists as layers, the recipe's last one for those that it does not have
        hidden = recipe.hidden + recipe.hidden[-1:] * len(settings.latent)
        settings = dataclasses.replace(settings, hidden=hidden[: len(settings.latent)])
    if not settings.has_closed_kl or settings.estimator != "standard":
        settings = dataclasses.replace(settings, kl=arguments.kl or "sampled")
    if settings.kl != "closed" and arguments.free_bits is None:  # a recipe's, which are of the closed form
        settings = dataclasses.replace(settings, free_bits=DEFAULT.free_bits)
    require_sense(settings)
    require_stages(settings, arguments)
    return settings


def require_stages(settings, arguments):
    """Raise a UserError for stages of a schedule that the settings do not have."""
    if arguments.stages and settings.schedule != "iwae":
        raise UserError(
            f"--stages are those of --schedule iwae, and the run's is {settings.schedule}: use --epochs instead"
        )


def string_recipe(arguments):
    """The recipe for the strings that the arguments name, or None where they are not seen to name any."""
    if arguments.characters:
        return "characters"
    if arguments.grammar or arguments.dataset in WITH_GRAMMAR:
        return "grammar"
    return "characters" if str(arguments.dataset).lower().endswith(".txt") else None


def recipe_name(arguments, strings=None):
    """The recipe that was asked for, or that of strings, or that of the network where it has one, or the default."""
    if strings and arguments.network in (None, "gru"):
        return arguments.recipe or strings
    return arguments.recipe or (arguments.network if arguments.network in RECIPES else "default")


def require_same(settings, arguments):
    """Raise a UserError, on resuming, for an argument that asks for another run than that of the settings."""
    for name, value in given_settings(arguments).items():
        old = getattr(settings, name)
        if value != old:
            option = option_of(name)
            given = option if value is True else f"{option} {as_given(value)}"
            was = "was begun without it" if old is False else f"has {as_given(old)}"
            raise UserError(
                f"{given} would make it another run: the one in {arguments.resume} {was}\n"
                "Leave it out, or train anew without --resume."
            )
    require_stages(settings, arguments)
    for name in ("recipe", "out", "overwrite", "limit", "size", "grey", "skip_broken", "grammar", "characters"):
        if getattr(arguments, name):
            option = "--" + name.replace("_", "-")
            raise UserError(f"{option} does not go with --resume, which goes on in the run's own folder, as it began")


def as_given(value):
    """The value of a setting as its option takes it."""
    if not isinstance(value, tuple):
        return str(value)
    return " ".join(",".join(map(str, part)) or "none" if isinstance(part, tuple) else str(part) for part in value)


def uses_default_length(arguments):
    """Whether nothing was said about the length of the run."""
    length = arguments.epochs or arguments.stages or arguments.samples_seen
    return not length and recipe_name(arguments) in ("default", "conv", "gru", *STRING_RECIPES)
