"""What the parameters of a VAE mean: its ``Settings``, a seed and a number of threads.

What means nothing is refused with a ValueError that names the parameter.
"""

import math
import numbers
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import numpy as np
from joblib import effective_n_jobs, parallel_config
from joblib.parallel import SequentialBackend, get_active_backend
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state

from tinyvae.estimator.inputs import float_type
from tinyvae.settings import CHOICES, PRIORS, Settings

# The parameters that make the model, by their names in Settings: they stay what they are while partial_fit
# goes on.
MODEL = {
    "latent": "n_components",
    "hidden": "hidden",
    "likelihood": "likelihood",
    "prior": "prior",
    "components": "n_prior_components",
    "conditional": "conditional",
}
SIZES = (
    "n_components",
    "n_samples",
    "n_prior_components",
    "max_epochs",
    "batch_size",
    "n_importance_samples",
)
NAMES = ("likelihood", "objective", "prior", "schedule")


def settings_of(vae: BaseEstimator, X: np.ndarray, likelihood: str, seed: int) -> Settings:
    """What the parameters of a VAE mean for X."""
    require_sense(vae)
    settings = Settings(
        latent=(int(vae.n_components),),
        hidden=(tuple(map(int, vae.hidden)),),
        likelihood=likelihood,
        prior=vae.prior,
        components=int(vae.n_prior_components),
        conditional=bool(vae.conditional),
        objective=vae.objective,
        samples=int(vae.n_samples),
        learning_rate=float(vae.learning_rate),
        schedule=vae.schedule,
        batch_size=min(int(vae.batch_size), len(X)),
        epochs=int(vae.max_epochs),
        seed=seed,
        dtype=float_type(X).name,
    )
    return settings if settings.has_closed_kl else replace(settings, kl="sampled")


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
    backend, _ = get_active_backend()
    with nullcontext() if isinstance(backend, SequentialBackend) else parallel_config(backend="threading"):
        return int(effective_n_jobs(n_jobs))


# ---------------------------------------------------------------------------------------------------------------------
# What is refused
# ---------------------------------------------------------------------------------------------------------------------


def require_size(name: str, value: Any) -> None:
    """ValueError for what is not a whole number above zero."""
    if not isinstance(value, numbers.Integral) or isinstance(value, bool) or value < 1:
        raise ValueError(f"{name}={value!r}: a whole number above zero is needed")


def require_sense(vae: BaseEstimator) -> None:
    """ValueError for parameters that mean nothing, or nothing together."""
    for name in SIZES:
        require_size(name, getattr(vae, name))
    if isinstance(vae.hidden, str) or not np.iterable(vae.hidden):
        raise ValueError(f"hidden={vae.hidden!r}: a tuple is needed, as in hidden=(500,)")
    for units in vae.hidden:
        require_size("each of hidden", units)
    choices: dict[str, tuple[Any, ...]] = {name: tuple(CHOICES[name]) for name in NAMES}
    choices |= {"likelihood": ("auto", *CHOICES["likelihood"]), "conditional": (False, True)}
    for name, allowed in choices.items():
        if getattr(vae, name) not in allowed:
            raise ValueError(f"{name}={getattr(vae, name)!r}: one of {', '.join(map(repr, allowed))} is needed")
    rate = vae.learning_rate
    if not isinstance(rate, numbers.Real) or isinstance(rate, bool) or not 0 < float(rate) < math.inf:
        raise ValueError(f"learning_rate={rate!r}: a number above zero is needed")
    if PRIORS[vae.prior].needs_labels and not vae.conditional:
        raise ValueError(f'prior="{vae.prior}" is learned for each label: it needs conditional=True')


def require_same_model(settings: Settings, before: Settings) -> None:
    """ValueError for parameters that make another model than the one that was fitted."""
    changed = [name for setting, name in MODEL.items() if getattr(settings, setting) != getattr(before, setting)]
    if changed:
        raise ValueError(
            f"partial_fit goes on with the model that was begun, but {', '.join(changed)} changed since: set it "
            "back, or begin anew with fit"
        )
