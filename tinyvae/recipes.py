"""Every setting of a training run, and named sets of them.

A run saves its ``Settings`` whole; there is no other place where a default could hide.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Settings:
    """What defines a run beside its data. The defaults are the recipe "default".

    Attributes:
        latent: dimensions of the stochastic layers z_1, z_2, ..., the one next to the data first.
        hidden: hidden units between a stochastic layer and the one below it, a tuple for each stochastic layer.
        likelihood: name in ``likelihoods.LIKELIHOODS``.
        objective: name in ``bounds.BOUNDS``.
        kl: "closed" (AEVB, Eq. 10) or "sampled" (AEVB, Eq. 6): how the ELBO takes log p(z) - log q(z | x).
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
    """

    latent: tuple[int, ...] = (20,)
    hidden: tuple[tuple[int, ...], ...] = ((500,),)
    likelihood: str = "bernoulli"
    objective: str = "elbo"
    kl: str = "closed"
    samples: int = 1
    binarise: str = "none"
    initialisation: str = "glorot"
    mean_bias: bool = True
    optimiser: str = "adam"
    learning_rate: float = 0.001
    epsilon: float = 1e-8
    schedule: str = "cosine"
    batch_size: int = 100
    epochs: int = 20
    seed: int = 0
    dtype: str = "float32"


AEVB = Settings(
    initialisation="aevb",
    mean_bias=False,
    optimiser="adagrad",
    learning_rate=0.02,
    schedule="constant",
    epochs=18,
)

RECIPES = {"default": Settings(), "aevb": AEVB}

# The values that a setting may take, as the registries of the other modules have them; kept here so that a command can
# show them without importing those.
CHOICES = {
    "likelihood": ("bernoulli",),
    "objective": ("elbo", "iwae"),
    "kl": ("closed", "sampled"),
    "binarise": ("none", "static", "dynamic"),
    "initialisation": ("glorot", "aevb"),
    "optimiser": ("adam", "adagrad", "sgd"),
    "schedule": ("constant", "cosine"),
    "dtype": ("float32", "float64"),
}
