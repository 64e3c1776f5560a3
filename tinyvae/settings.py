"""What may be chosen, every setting of a training run, and named sets of them.

Each choice is an entry in one registry here: a name, and the place where the thing itself stands, which is imported
when it is first asked for. So the commands can show all names at once, and nobody pays for what is not used. A run
saves its ``Settings`` whole; there is no other place where a default could hide.
"""

import importlib
import itertools
import math
from collections import UserDict
from collections.abc import Collection, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from tinyvae.errors import UserError


class Registry(UserDict[str, Any]):
    """{name: thing}, where a thing may be the place "module:attribute" in tinyvae that it is imported from.

    To add a member of the family, add an entry: here, or in a program of your own,
    ``settings.LIKELIHOODS["laplace"] = Likelihood(...)``. The first entry is the usual choice.
    """

    def __getitem__(self, name: str) -> Any:
        thing = self.data[name]
        if isinstance(thing, str):
            module, attribute = thing.split(":")
            thing = self[name] = getattr(importlib.import_module(f"tinyvae.{module}"), attribute)
        return thing


NETWORKS = Registry(
    mlp="derivation.networks:MLP_PAIR",
    conv="derivation.conv_networks:CONV_PAIR",
    gru="derivation.gru_networks:GRU_PAIR",
)
# Numbers that the kernels know: another function wants its two lines there too (activations.py).
ACTIVATIONS = Registry(tanh="derivation.activations:TANH", relu="derivation.activations:RELU")
LIKELIHOODS = Registry(
    {
        "bernoulli": "derivation.likelihoods:BERNOULLI",
        "gaussian": "derivation.likelihoods:GAUSSIAN",
        "gaussian-linear": "derivation.likelihoods:GAUSSIAN_LINEAR",
        "logistic": "derivation.levels:LOGISTIC",
        "logistic-mixture": "derivation.levels:LOGISTIC_MIXTURE",
        "logistic-colour": "derivation.levels:LOGISTIC_COLOUR",
        "categorical": "derivation.categorical:CATEGORICAL",
    }
)
PRIORS = Registry(
    normal="derivation.priors:StandardNormal",
    label="derivation.priors:LabelNormal",
    mixture="derivation.priors:Mixture",
    vamp="derivation.priors:VampPrior",
)
BOUNDS = Registry(elbo="derivation.bounds:elbo", iwae="derivation.bounds:iwae")
ESTIMATORS = Registry(standard="derivation.bounds:STANDARD", stl="derivation.bounds:STL", dreg="derivation.bounds:DREG")
OPTIMISERS = Registry(
    adam="training.optimisers:Adam", adagrad="training.optimisers:Adagrad", sgd="training.optimisers:SGD"
)
SCHEDULES = Registry(
    constant="training.optimisers:constant", cosine="training.optimisers:cosine", iwae="training.optimisers:iwae"
)
INITIALISATIONS = Registry(
    {
        "glorot": "training.initialisation:glorot",
        "aevb": "training.initialisation:aevb",
        "aevb-narrow": "training.initialisation:aevb_narrow",
    }
)
DATASETS = Registry(
    {
        "mnist": "data.datasets:mnist",
        "frey": "data.datasets:frey",
        "digits": "data.datasets:digits",
        "photos": "data.colour:photos",
        "coloured-digits": "data.colour:coloured_digits",
        "expressions": "data.expressions:expressions",
        "expressions-unsolved": "data.expressions:expressions_unsolved",
    }
)

# The values that a setting may take.
CHOICES: dict[str, Collection[str]] = {
    "network": NETWORKS,
    "activation": ACTIVATIONS,
    "likelihood": LIKELIHOODS,
    "prior": PRIORS,
    "objective": BOUNDS,
    "kl": ("closed", "sampled"),
    "estimator": ESTIMATORS,
    "binarise": ("none", "static", "dynamic"),
    "initialisation": INITIALISATIONS,
    "optimiser": OPTIMISERS,
    "schedule": SCHEDULES,
    "dtype": ("float32", "float64"),
}
LEAST_DEVIATION = 1e-15  # of a prior on the weights, and one over the largest: float32 holds their squares


@dataclass(frozen=True)
class Settings:
    """What defines a run beside its data. The defaults are the recipe "default".

    Attributes:
        network: name in ``NETWORKS``, of the encoder and the decoder next to the data.
        activation: name in ``ACTIVATIONS``, of the hidden layers of all networks.
        channels: of a convolutional network's layers, from the data up.
        kernel: the height and the width of its windows, in pixels.
        stride: the steps of its windows, in pixels.
        units: numbers of a recurrent network's state.
        directions: in which its encoder reads, 1 or 2.
        feedback: whether its decoder is told at each step what the data are at the step before.
        word_dropout: how often that is hidden from it in training, a share of all steps.
        latent: dimensions of the stochastic layers z_1, z_2, ..., the one next to the data first.
        hidden: hidden units between a stochastic layer and the one below it, a tuple for each stochastic layer; of a
            convolutional network those between its feature maps and z_1, of a recurrent one those between its states
            and z_1, of which there may be none.
        likelihood: name in ``LIKELIHOODS``.
        prior: name in ``PRIORS``, of the uppermost layer.
        components: of a prior that is a mixture.
        conditional: whether the labels enter all networks.
        objective: name in ``BOUNDS``.
        kl: "closed" (AEVB, Eq. 10) or "sampled" (AEVB, Eq. 6): how the ELBO takes log p(z) - log q(z | x).
        estimator: name in ``ESTIMATORS``, of the gradient.
        beta: the weight of the KL divergence in training; with more than 1 what is trained is a looser bound, with less
            it is none.
        anneal: epochs in which that weight rises from 0; 0 for none.
        free_bits: nats of the divergence that each dimension of z may keep at no price, on a minibatch's mean.
        weight_prior: standard deviation of a normal prior on all parameters; 0 for none.
        samples: K, samples of z for each example.
        binarise: "none" (grey levels), "static" (drawn once) or "dynamic" (drawn again at every visit).
        dequantise: whether levels become numbers by uniform noise, for the likelihoods that are densities.
        initialisation: name in ``INITIALISATIONS``.
        mean_bias: start the output bias at the logit of the training data's mean (IWAE's code does).
        optimiser: name in ``OPTIMISERS``.
        learning_rate: the largest step.
        epsilon: Adam's and Adagrad's denominator floor.
        schedule: name in ``SCHEDULES``: how the step changes over the run.
        batch_size: examples in a minibatch.
        epochs: visits to every training example.
        seed: of everything random.
        dtype: "float32" or "float64".
        raised_from: earlier lengths, in epochs, of a run that was made longer when it was resumed.
    """

    network: str = "mlp"
    activation: str = "tanh"
    channels: tuple[int, ...] = (32, 64)
    kernel: int = 4
    stride: int = 2
    units: int = 100
    directions: int = 2
    feedback: bool = False
    word_dropout: float = 0.0
    latent: tuple[int, ...] = (20,)
    hidden: tuple[tuple[int, ...], ...] = ((500,),)
    likelihood: str = "bernoulli"
    prior: str = "normal"
    components: int = 50
    conditional: bool = False
    objective: str = "elbo"
    kl: str = "closed"
    estimator: str = "standard"
    beta: float = 1.0
    anneal: int = 0
    free_bits: float = 0.0
    weight_prior: float = 0.0
    samples: int = 1
    binarise: str = "none"
    dequantise: bool = False
    initialisation: str = "glorot"
    mean_bias: bool = True
    optimiser: str = "adam"
    learning_rate: float = 0.003
    epsilon: float = 1e-8
    schedule: str = "cosine"
    batch_size: int = 100
    epochs: int = 20
    seed: int = 0
    dtype: str = "float32"
    raised_from: tuple[int, ...] = ()

    @property
    def has_aids(self) -> bool:
        """Whether something else than a bound is trained (``derivation.bounds.kl_weights``)."""
        return self.beta != 1 or self.anneal > 0 or self.free_bits > 0

    @property
    def has_closed_kl(self) -> bool:
        """Whether the KL divergence of these settings' bound has a closed form."""
        return self.objective == "elbo" and len(self.latent) == 1 and PRIORS[self.prior].has_kl

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Settings":
        """Settings from what JSON made of ``dataclasses.asdict``; one that is not there has its default.

        Raises: TypeError or ValueError for names, types or values that no settings have.
        """
        lists = {name: tuple(values[name]) for name in ("latent", "channels", "raised_from") if name in values}
        if "hidden" in values:
            lists["hidden"] = tuple(map(tuple, values["hidden"]))
        settings = cls(**{**values, **lists})
        for field in fields(cls):
            value, allowed = getattr(settings, field.name), CHOICES.get(field.name)
            if type(value) is not type(field.default) or (allowed and value not in allowed):
                raise ValueError(f"{field.name} is {value!r}")
        sizes = [*settings.latent, *settings.raised_from, *itertools.chain(*settings.hidden), *settings.channels]
        sizes += [settings.kernel, settings.stride, settings.components, settings.units]
        sizes += [settings.samples, settings.batch_size, settings.epochs]
        if not (all(map(is_size, sizes)) and settings.latent and settings.channels):
            raise ValueError(f"a size is not a whole number above zero, in {settings}")
        if not (0 < settings.learning_rate < math.inf and 0 < settings.epsilon < math.inf):
            raise ValueError(f"learning_rate or epsilon is not above zero, in {settings}")
        if not (0 <= settings.beta < math.inf and 0 <= settings.free_bits < math.inf and settings.anneal >= 0):
            raise ValueError(f"beta, free_bits or anneal is below zero, in {settings}")
        if settings.weight_prior and not LEAST_DEVIATION <= settings.weight_prior <= 1 / LEAST_DEVIATION:
            raise ValueError(f"weight_prior is no standard deviation, in {settings}")
        if not (0 <= settings.word_dropout <= 1 and settings.directions in (1, 2)):
            raise ValueError(f"word_dropout or directions cannot be so, in {settings}")
        if not 0 <= settings.seed < 2**64:
            raise ValueError(f"seed is {settings.seed}")
        return settings


def is_size(value: object) -> bool:
    """Whether a value is a whole number above zero."""
    return type(value) is int and value > 0


def require_sense(settings: Settings) -> None:
    """Raise a UserError for settings that do not go together."""
    if len(settings.hidden) != len(settings.latent):
        raise UserError(
            f"--latent names {len(settings.latent)} stochastic layers, --hidden has units for {len(settings.hidden)}: "
            "give a comma-separated list of units for each, as in --latent 100 50 --hidden 200,200 100,100"
        )
    if settings.kl == "closed" and not settings.has_closed_kl:
        raise UserError(
            "--kl closed goes with --objective elbo, one stochastic layer and --prior "
            f"{' or '.join(name for name, prior in PRIORS.items() if prior.has_kl)}: leave it out"
        )
    if settings.kl == "closed" and settings.estimator != "standard":
        raise UserError(f"--estimator {settings.estimator} is for sampled divergences: leave --kl closed out")
    objectives = ESTIMATORS[settings.estimator].objectives
    if objectives is not None and settings.objective not in objectives:
        others = [
            name
            for name, other in ESTIMATORS.items()
            if other.objectives is None or settings.objective in other.objectives
        ]
        raise UserError(
            f"--estimator {settings.estimator} is biased under --objective {settings.objective}: use --objective "
            f"{' or '.join(objectives)}, or --estimator {' or '.join(others)}"
        )
    if settings.has_aids and settings.kl != "closed":
        raise UserError(
            "--beta, --anneal and --free-bits change the KL divergence in closed form: they go with --kl closed, "
            "--objective elbo, one stochastic layer and --prior "
            f"{' or '.join(name for name, prior in PRIORS.items() if prior.has_kl)}; leave them out"
        )
    if settings.word_dropout and not settings.feedback:
        raise UserError(
            f"--word-dropout {settings.word_dropout:g} hides what is fed back: add --feedback, or leave it out"
        )
    if "stride" in NETWORKS[settings.network][0].own_settings and settings.stride > settings.kernel:
        raise UserError(
            f"--stride {settings.stride} is more than --kernel {settings.kernel}, and nobody would see the pixels "
            f"between the windows: use --stride {settings.kernel} or less"
        )
    levels = LIKELIHOODS[settings.likelihood].levels
    if settings.dequantise and levels is not None:
        densities = [name for name in LIKELIHOODS if LIKELIHOODS[name].levels is None and name != "categorical"]
        raise UserError(
            f"--dequantise makes numbers of levels, and --likelihood {settings.likelihood} gives probabilities to "
            f"levels: leave it out, or use --likelihood {' or '.join(densities)}"
        )
    if settings.dequantise and settings.binarise != "none":
        raise UserError(
            f"--dequantise is for levels, and --binarise {settings.binarise} draws bits: leave one of them out"
        )
    if PRIORS[settings.prior].needs_labels and not settings.conditional:
        raise UserError(f"--prior {settings.prior} is learned for each label: add --conditional")


# AEVB's experiments (section 5) without the prior on the parameters (they optimise MAP), with biases at zero (they draw
# them). They choose the step among 0.01, 0.02 and 0.1 by the first iterations; this one is for MNIST.
AEVB = Settings(
    initialisation="aevb",
    mean_bias=False,
    optimiser="adagrad",
    learning_rate=0.02,
    schedule="constant",
    epochs=18,
)


# For the Frey faces the paper takes Gaussians and 200 units (AEVB, section 5); its rule would choose the smallest step.
# The epochs show as many examples.
AEVB_FREY = replace(AEVB, likelihood="gaussian", hidden=((200,),), learning_rate=0.01, epochs=611)


def iwae_epochs(stages: int) -> int:
    """The epochs of the first stages of IWAE's schedule: 1 + 3 + ... + 3^(stages - 1); 3,280 in all eight."""
    return (3**stages - 1) // 2


# Ours for AEVB's network: 10^7 examples of MNIST.
BEST = Settings(epochs=166)


# IWAE's architectures and schedule (IWAE, section 5).
IWAE_1 = Settings(
    latent=(50,),
    hidden=((200, 200),),
    objective="iwae",
    kl="sampled",
    binarise="dynamic",
    epsilon=1e-4,
    learning_rate=0.001,
    schedule="iwae",
    batch_size=20,
    epochs=iwae_epochs(5),
)
# A schedule of our own for the same network, in a tenth of the 3,280 epochs.
IWAE_BEST = replace(IWAE_1, schedule="cosine", epochs=328)
IWAE_2 = replace(IWAE_1, latent=(100, 50), hidden=((200, 200), (100, 100)))

# Ours for images: rectifiers and two layers of convolutions.
CONV = Settings(
    network="conv", activation="relu", latent=(32,), hidden=((256,),), learning_rate=0.002, batch_size=100, epochs=10
)

# Ours for pictures in colour, such as CIFAR's.
COLOUR = replace(CONV, likelihood="logistic-colour", latent=(128,), hidden=((512,),), learning_rate=0.001, epochs=40)

# Ours for sequences: a GRU, and nothing between its states and z.
GRU = Settings(network="gru", latent=(25,), hidden=((),), learning_rate=0.002, batch_size=100, epochs=10)

# The same for strings, which are symbols: characters, and rules of a grammar. A decoder that is told by a grammar which
# rules can come next does nearly as well without z, and would leave it alone if all of its divergence had a price
# (docs/faq.md).
CHARACTERS = replace(GRU, likelihood="categorical", learning_rate=0.006, epochs=15)
GRAMMAR = replace(CHARACTERS, free_bits=0.3)

# The default recipe shows a small data set more often than 20 times, until this many examples are seen.
LEAST_EXAMPLES = 400_000

RECIPES = {
    "default": Settings(),
    "aevb": AEVB,
    "best": BEST,
    "iwae-1": IWAE_1,
    "iwae-2": IWAE_2,
    "iwae-best": IWAE_BEST,
    "conv": CONV,
    "colour": COLOUR,
    "gru": GRU,
    "grammar": GRAMMAR,
    "characters": CHARACTERS,
}
STRING_RECIPES = "grammar", "characters"
WITH_GRAMMAR = "expressions", "expressions-unsolved"  # data sets of strings that take the recipe grammar by themselves
OWN_RECIPES = {("aevb", "frey"): AEVB_FREY}  # of a data set


def recipe_for(name: str, dataset: str) -> Settings:
    """The settings of a recipe: those of its own that it has for a data set, or those for all."""
    return OWN_RECIPES.get((name, dataset), RECIPES[name])
