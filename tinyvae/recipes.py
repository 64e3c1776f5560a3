"""Every setting of a training run, and named sets of them.

A run saves its ``Settings`` whole; there is no other place where a default could hide.
"""

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from tinyvae.errors import UserError


@dataclass(frozen=True)
class Settings:
    """What defines a run beside its data. The defaults are the recipe "default".

    Attributes:
        latent: dimensions of the stochastic layers z_1, z_2, ..., the one next to the data first.
        hidden: hidden units between a stochastic layer and the one below it, a tuple for each stochastic layer.
        likelihood: name in ``likelihoods.LIKELIHOODS``.
        prior: name in ``priors.PRIORS``, of the uppermost layer.
        components: of a prior that is a mixture.
        conditional: whether the labels enter all networks.
        objective: name in ``bounds.BOUNDS``.
        kl: "closed" (AEVB, Eq. 10) or "sampled" (AEVB, Eq. 6): how the ELBO takes log p(z) - log q(z | x).
        estimator: name in ``bounds.ESTIMATORS``, of the gradient.
        samples: K, samples of z for each example.
        binarise: "none" (grey levels), "static" (drawn once) or "dynamic" (drawn again at every visit).
        initialisation: scheme of ``parameters.initialise``.
        mean_bias: start the output bias at the logit of the training data's mean (IWAE's code does).
        optimiser: name in ``optimisers.OPTIMISERS``.
        learning_rate: the largest step.
        epsilon: Adam's and Adagrad's denominator floor.
        schedule: name in ``optimisers.SCHEDULES``: how the step changes over the run.
        batch_size: examples in a minibatch.
        epochs: visits to every training example.
        seed: of everything random.
        dtype: "float32" or "float64".
        raised_from: earlier lengths, in epochs, of a run that was made longer when it was resumed.
    """

    latent: tuple[int, ...] = (20,)
    hidden: tuple[tuple[int, ...], ...] = ((500,),)
    likelihood: str = "bernoulli"
    prior: str = "normal"
    components: int = 50
    conditional: bool = False
    objective: str = "elbo"
    kl: str = "closed"
    estimator: str = "standard"
    samples: int = 1
    binarise: str = "none"
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
    def has_closed_kl(self) -> bool:
        """Whether the KL divergence of these settings' bound has a closed form."""
        return self.objective == "elbo" and len(self.latent) == 1 and self.prior in ("normal", "label")

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Settings":
        """Settings from what JSON made of ``dataclasses.asdict``.

        Raises: KeyError, TypeError or ValueError for names, types or values that no settings have.
        """
        lists = {name: tuple(values[name]) for name in ("latent", "raised_from")}
        if missing := [field.name for field in fields(cls) if field.name not in values]:
            raise KeyError(missing[0])
        settings = cls(**{**values, **lists, "hidden": tuple(map(tuple, values["hidden"]))})
        for field in fields(cls):
            value, allowed = getattr(settings, field.name), CHOICES.get(field.name)
            if type(value) is not type(field.default) or (allowed and value not in allowed):
                raise ValueError(f"{field.name} is {value!r}")
        sizes = [*settings.latent, *settings.raised_from, *itertools.chain(*settings.hidden)]
        sizes += [settings.components, settings.samples, settings.batch_size, settings.epochs]
        if not all(map(is_size, sizes)):
            raise ValueError(f"a size is not a whole number above zero, in {settings}")
        if not (0 < settings.learning_rate < math.inf and 0 < settings.epsilon < math.inf):
            raise ValueError(f"learning_rate or epsilon is not above zero, in {settings}")
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


AEVB = Settings(
    initialisation="aevb",
    mean_bias=False,
    optimiser="adagrad",
    learning_rate=0.02,
    schedule="constant",
    epochs=18,
)


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

# The default recipe shows a small data set more often than 20 times, until this many examples are seen.
LEAST_EXAMPLES = 400_000

RECIPES = {
    "default": Settings(),
    "aevb": AEVB,
    "best": BEST,
    "iwae-1": IWAE_1,
    "iwae-2": IWAE_2,
    "iwae-best": IWAE_BEST,
}

# The values that a setting may take, as the registries of the other modules have them; kept here so that a command can
# show them without importing those.
CHOICES = {
    "likelihood": ("bernoulli", "gaussian", "gaussian-linear"),
    "prior": ("normal", "label", "mixture", "vamp"),
    "objective": ("elbo", "iwae"),
    "kl": ("closed", "sampled"),
    "estimator": ("standard", "stl", "dreg"),
    "binarise": ("none", "static", "dynamic"),
    "initialisation": ("glorot", "aevb", "aevb-narrow"),
    "optimiser": ("adam", "adagrad", "sgd"),
    "schedule": ("constant", "cosine", "iwae"),
    "dtype": ("float32", "float64"),
}
