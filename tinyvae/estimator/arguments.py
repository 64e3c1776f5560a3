"""What the parameters of a VAE mean: its ``Settings``, the shape of an example, a seed and a number of threads.

What means nothing is refused with a ValueError that names the parameter.
"""

import math
import numbers
import re
from collections.abc import Hashable, Sequence
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import numpy as np
from joblib import effective_n_jobs, parallel_config
from joblib.parallel import SequentialBackend, get_active_backend
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state

from tinyvae.derivation.shapes import require_count
from tinyvae.errors import UserError
from tinyvae.estimator.inputs import float_type
from tinyvae.settings import CHOICES, NETWORKS, PRIORS, Settings, require_sense
from tinyvae.system import MOST_THREADS
from tinyvae.training.fitted import Fitted

# The parameters that make the model, by their names in Settings: they and ``data_shape`` stay what they are while
# partial_fit goes on.
MODEL = {
    "latent": "n_components",
    "hidden": "hidden",
    "likelihood": "likelihood",
    "prior": "prior",
    "network": "network",
    "activation": "activation",
    "channels": "channels",
    "kernel": "kernel",
    "stride": "stride",
    "units": "units",
    "directions": "directions",
    "feedback": "feedback",
    "components": "n_prior_components",
    "conditional": "conditional",
}
# And those that the command has other names for.
OPTIONS = {
    "latent": "n_components",
    "components": "n_prior_components",
    "samples": "n_samples",
    "lr": "learning_rate",
    "epochs": "max_epochs",
}
# Settings that a training which goes on may have from a run of the command, and a VAE has no parameter for.
OF_THE_RUN = ("kl", "estimator", "binarise", "dequantise", "weight-prior", "optimiser", "initialisation")
SIZES = (
    "n_components",
    "n_samples",
    "kernel",
    "stride",
    "units",
    "n_prior_components",
    "max_epochs",
    "batch_size",
    "n_importance_samples",
)
# How many sizes a parameter has, at least and at most, and the same in words.
TUPLES = {
    "hidden": (0, math.inf, "a tuple is needed, as in hidden=(500,)"),
    "channels": (1, math.inf, "a tuple of one size or more is needed, as in channels=(32, 64)"),
    "data_shape": (1, 3, "a tuple of one to three sizes is needed, as in data_shape=(28, 28)"),
}
USUAL = Settings()
NAMES = ("likelihood", "objective", "prior", "network", "activation", "schedule")


def settings_of(vae: BaseEstimator, X: np.ndarray, likelihood: str, seed: int, others: Settings = USUAL) -> Settings:
    """What the parameters of a VAE mean for X, together; what it has none for is as in ``others``.

    Raises: ValueError for what does not go together.
    """
    goes_on = others is not USUAL
    if vae.objective != others.objective:  # what went with another bound, and a VAE has no parameter for
        others = replace(others, kl=USUAL.kl, estimator=USUAL.estimator)
    settings = replace(
        others,
        network=vae.network,
        activation=vae.activation,
        channels=tuple(map(int, vae.channels)),
        kernel=int(vae.kernel),
        stride=int(vae.stride),
        units=int(vae.units),
        directions=int(vae.directions),
        feedback=bool(vae.feedback),
        word_dropout=float(vae.word_dropout),
        latent=(int(vae.n_components),),
        hidden=(tuple(map(int, vae.hidden)),),
        likelihood=likelihood,
        prior=vae.prior,
        components=int(vae.n_prior_components),
        conditional=bool(vae.conditional),
        objective=vae.objective,
        beta=float(vae.beta),
        anneal=int(vae.anneal),
        free_bits=float(vae.free_bits),
        samples=int(vae.n_samples),
        learning_rate=float(vae.learning_rate),
        schedule=vae.schedule,
        batch_size=min(int(vae.batch_size), len(X)),
        epochs=int(vae.max_epochs),
        seed=seed,
        dtype=float_type(X).name,
    )
    if not settings.has_closed_kl:
        settings = replace(settings, kl="sampled")
    try:
        require_sense(settings)
    except UserError as error:
        raise ValueError(in_parameters(str(error), goes_on=goes_on)) from None
    return settings


def longer(settings: Settings, before: Settings, epochs: int) -> Settings:
    """The settings of a training that goes on at a constant step, to so many epochs; a schedule's end is remembered."""
    ends = () if before.schedule == "constant" else (before.epochs,)
    return replace(settings, schedule="constant", epochs=epochs, raised_from=(*before.raised_from, *ends))


def shape_of(vae: BaseEstimator, X: np.ndarray) -> tuple[int, ...]:
    """The shape of an example, whose numbers are a row of X."""
    D = X.shape[1]
    shape = (D,) if vae.data_shape is None else tuple(map(int, vae.data_shape))
    if math.prod(shape) != D:
        raise ValueError(
            f"data_shape={vae.data_shape!r} is of {math.prod(shape)} numbers, but X has {D} features: pass the shape "
            "of what is a row of X"
        )
    return shape


def draw_seed(random_state: int | np.random.RandomState | None) -> int:
    """A seed: the int itself, as the command takes it, or a number drawn from a RandomState."""
    if not isinstance(random_state, numbers.Integral):
        return int(check_random_state(random_state).randint(2**31 - 1))
    if not 0 <= random_state < 2**64:
        raise ValueError(f"random_state={random_state}: a seed from 0 to 2^64 - 1 is needed")
    return int(random_state)


def count_threads(n_jobs: int | None) -> int:
    """How many threads ``n_jobs`` means, by joblib's rules for threads, whatever its backend: where a backend must not
    start processes, in a process that is another's worker, it would warn and say 1.
    """
    if n_jobs is not None and (isinstance(n_jobs, bool) or not isinstance(n_jobs, numbers.Integral)):
        raise ValueError(f"n_jobs={n_jobs!r}: a number of threads is needed, as 2, or -1 for all cores, or None")
    backend, _ = get_active_backend()
    with nullcontext() if isinstance(backend, SequentialBackend) else parallel_config(backend="threading"):
        threads = int(effective_n_jobs(n_jobs))
    if threads > MOST_THREADS:
        raise ValueError(f"n_jobs={n_jobs!r}: at most {MOST_THREADS} threads are started")
    return threads


# ---------------------------------------------------------------------------------------------------------------------
# What is refused
# ---------------------------------------------------------------------------------------------------------------------


def as_float(value: Any) -> float:
    """A number as Python's; infinity for one that is too large, and NaN for what is none."""
    if not isinstance(value, numbers.Real) or isinstance(value, bool):
        return math.nan
    try:
        return float(value)
    except OverflowError:
        return math.inf


def in_parameters(message: str, goes_on: bool = False) -> str:
    """A message about a training in the names that a VAE has for the command's options, as in kernel=3. Where one goes
    on, the command may have chosen what a VAE has no parameter for.
    """
    foreign = [name for name in OF_THE_RUN if re.search(rf"--{name}\b", message)]
    if goes_on and foreign:
        names = " and ".join(name.replace("-", "_") for name in foreign)
        message += (
            f"\n{names} {'is' if len(foreign) == 1 else 'are'} of the run that goes on, and no parameter of a VAE: set "
            "back what was changed since, or begin anew with fit"
        )
    elif foreign:
        message = message.replace("--kl closed, ", "")  # which follows from the others
    named = re.sub(r"--([a-z-]+) (?=\d)", r"--\1=", message)
    return re.sub("--([a-z-]+)", lambda found: OPTIONS.get(found[1], found[1].replace("-", "_")), named)


def require_sizes(name: str, values: Any) -> None:
    """ValueError for what is not one of the ``TUPLES``."""
    fewest, most, words = TUPLES[name]
    is_row = values.ndim == 1 if isinstance(values, np.ndarray) else isinstance(values, Sequence)
    if isinstance(values, str | bytes) or not is_row or not fewest <= len(values) <= most:
        raise ValueError(f"{name}={values!r}: {words}")
    for value in values:
        require_count(f"each of {name}", value)


def require_meaning(vae: BaseEstimator) -> None:
    """ValueError for parameters that mean nothing."""
    for name in SIZES:
        require_count(name, getattr(vae, name))
    for name in TUPLES:
        if name != "data_shape" or vae.data_shape is not None:
            require_sizes(name, getattr(vae, name))
    choices: dict[str, tuple[Any, ...]] = {name: tuple(CHOICES[name]) for name in NAMES}
    flags = dict.fromkeys(("conditional", "feedback"), (False, True))
    choices |= {"likelihood": ("auto", *CHOICES["likelihood"]), "directions": (1, 2)} | flags
    for name, allowed in choices.items():
        if not isinstance(getattr(vae, name), Hashable) or getattr(vae, name) not in allowed:
            raise ValueError(f"{name}={getattr(vae, name)!r}: one of {', '.join(map(repr, allowed))} is needed")
    rate = vae.learning_rate
    if not 0 < as_float(rate) < math.inf:
        raise ValueError(f"learning_rate={rate!r}: a number above zero is needed")
    if not isinstance(vae.verbose, bool | np.bool_):
        require_count("verbose", vae.verbose, 0)
    require_aids(vae)
    require_images(vae)


def require_aids(vae: BaseEstimator) -> None:
    """ValueError for training aids that are no numbers of theirs."""
    for name, most in (("beta", math.inf), ("anneal", math.inf), ("free_bits", math.inf), ("word_dropout", 1)):
        value = getattr(vae, name)
        if not 0 <= as_float(value) <= most:
            limits = "a number from 0 to 1" if most == 1 else "a number that is not below zero"
            raise ValueError(f"{name}={value!r}: {limits} is needed")
        if math.isinf(as_float(value)) or (name == "anneal" and not isinstance(value, numbers.Integral)):
            raise ValueError(f"{name}={value!r}: a {'whole' if name == 'anneal' else 'finite'} number is needed")


def require_images(vae: BaseEstimator) -> None:
    """ValueError where a network needs images or sequences and has none."""
    dimensions = NETWORKS[vae.network][0].data_dimensions
    if dimensions and (vae.data_shape is None or len(vae.data_shape) not in dimensions or 1 in vae.data_shape[:2]):
        wanted = (
            ("sequences", "data_shape=(steps, numbers of a step), as in data_shape=(15, 12)")
            if "units" in NETWORKS[vae.network][0].own_settings
            else ("images", "data_shape=(height, width) or (height, width, channels), as in data_shape=(28, 28)")
        )
        raise ValueError(
            f'network="{vae.network}" needs {wanted[0]}, and data_shape={vae.data_shape!r} is not the shape of one: '
            f"pass {wanted[1]}"
        )


def require_same_model(settings: Settings, data_shape: tuple[int, ...], fitted: Fitted) -> None:
    """ValueError for parameters that make another model than the one that was fitted."""
    before = fitted.settings
    # what is of another network or prior alone makes no difference
    idle = {setting for encoder, _ in NETWORKS.values() for setting in encoder.own_settings}
    idle -= set(NETWORKS[settings.network][0].own_settings)
    idle |= set() if PRIORS[settings.prior].has_components else {"components"}
    changed = [
        name
        for setting, name in MODEL.items()
        if getattr(settings, setting) != getattr(before, setting) and setting not in idle
    ]
    changed += ["data_shape"] if data_shape != fitted.data_shape else []
    if changed:
        raise ValueError(
            f"partial_fit goes on with the model that was begun, but {', '.join(changed)} changed since: set it "
            "back, or begin anew with fit"
        )
