"""What a figure must be quoted with: how it was made, in one line, and what it is a figure of."""

import math

from tinyvae.data.datasets import Dataset, on_levels
from tinyvae.data.rows import Images
from tinyvae.settings import LIKELIHOODS, NETWORKS, PRIORS, Settings
from tinyvae.training import dequantisation
from tinyvae.training.fitted import Fitted

BINARISATION = {"none": "data as they are", "static": "static binarisation", "dynamic": "dynamic binarisation"}


def protocol(settings: Settings, dataset: Dataset | None = None) -> str:
    """Every setting, in words, how many training examples there were, if not all, and as what pictures or strings were
    read: two trainings of the same data that may differ in their results differ in this line.
    """
    return ", ".join(
        [
            f"{_bound(settings)}, K = {settings.samples}",
            *([] if settings.estimator == "standard" else [f"{settings.estimator} gradients"]),
            *_aids(settings),
            "uniform dequantisation" if settings.dequantise else BINARISATION[settings.binarise],
            *_model(settings),
            f"{_epochs(settings.epochs)}{_raised(settings)}",
            f"minibatch {settings.batch_size}",
            f"{settings.optimiser} at {_number(settings.learning_rate)} ({settings.schedule})",
            f"epsilon {_number(settings.epsilon)}",
            f"{settings.initialisation} weights{' and the mean as bias' if settings.mean_bias else ''}",
            settings.dtype,
            f"seed {settings.seed}",
            *([] if dataset is None or dataset.limit is None else [f"the first {dataset.limit:,} training examples"]),
            *([] if dataset is None else _reading(dataset)),
        ]
    )


def _reading(dataset: Dataset) -> list[str]:
    """As what the files were read, where that was to be chosen."""
    if dataset.vocabulary is not None:
        return [f"strings as {'rules of a grammar' if len(dataset.vocabulary.groups) else 'characters'}"]
    size, grey, skip_broken = ((dataset.pictures or {}).get(name) for name in ("size", "grey", "skip_broken"))
    words = [f"pictures made {size} x {size}"] if size else []
    words += ["pictures made grey"] if grey else []
    return words + (["broken pictures left out"] if skip_broken else [])


def _epochs(count: int) -> str:
    return f"{count} epoch{'s' * (count != 1)}"


def _bound(settings: Settings) -> str:
    if settings.objective != "elbo":
        return settings.objective.upper()
    return f"ELBO ({'closed-form' if settings.kl == 'closed' else 'sampled'} KL)"


def _aids(settings: Settings) -> list[str]:
    """What was trained in the place of the bound, as in "trained with beta = 4, annealed over 10 epochs"."""
    words = [f"beta = {_number(settings.beta)}"] if settings.beta != 1 or settings.anneal else []
    words += [f"annealed over {_epochs(settings.anneal)}"] if settings.anneal else []
    words += [f"{_number(settings.free_bits)} nats free in each dimension"] if settings.free_bits else []
    words += [f"a prior N(0, {_number(settings.weight_prior)}²) on the weights"] if settings.weight_prior else []
    return [f"trained with {words[0]}", *words[1:]] if words else []


def _model(settings: Settings) -> list[str]:
    """The layers from the data up, as in "mlp 200-200-100, 100-100-50", and the distributions at both ends.

    The activation is named where it is not the papers' tanh.
    """
    layers = [_dashed((*hidden, units)) for hidden, units in zip(settings.hidden, settings.latent)]
    components = f" of {settings.components} components" if PRIORS[settings.prior].has_components else ""
    labels = ["given labels"] if settings.conditional else []
    words = [_named(name, getattr(settings, name)) for name in NETWORKS[settings.network][0].own_settings]
    words += [f"word dropout {_number(settings.word_dropout)}"] if settings.word_dropout else []
    words += [settings.activation] if settings.activation != "tanh" else []
    options = f" ({', '.join(filter(None, words))})" if words else ""
    return [
        f"{settings.network}{options} {', '.join(layers)}",
        f"{settings.prior} prior{components}",
        settings.likelihood,
        *labels,
    ]


def _named(name: str, value: object) -> str:
    """A setting of a network: its name alone, or nothing, where it is a yes or a no."""
    return name * value if isinstance(value, bool) else f"{name} {_dashed(value)}"


def _number(value: float) -> str:
    """A number with all of its digits, and no more."""
    return repr(float(value)).removesuffix(".0")


def _dashed(value: object) -> str:
    return "-".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _raised(settings: Settings) -> str:
    return f" (raised from {', '.join(map(str, settings.raised_from))})" if settings.raised_from else ""


def unit(fitted: Fitted) -> str:
    """What bounds and log p(x) are counted in."""
    return "nats per example" if fitted.vocabulary is None else "nats per sequence"


def quantity(fitted: Fitted, images: Images) -> str:
    """What an estimate by importance sampling is of: the name of log (1/K) sum_k w_k as K grows.

    Args:
        fitted: Fitted.
        images: (N, D), as data sets hold them.

    Returns: "log p(x)" or, of a conditional model, "log p(x | y)"; of values that the likelihood gives no probability
        to, such as grey levels under a Bernoulli, "the limit of L_K", which is no log probability.
    """
    given = " | y" if fitted.model.n_labels else ""
    if fitted.settings.dequantise:
        return f"log p(x{given}), the density of dequantised levels"
    levels = LIKELIHOODS[fitted.settings.likelihood].levels
    if levels is None or on_levels(images, levels):
        return f"log p(x{given})"
    return f"the limit of L_K{' given y' if given else ''} (no log p(x{given}): x lies between the likelihood's values)"


def bits_per_dimension(fitted: Fitted, images: Images, nats: float) -> float | None:
    """What a bound of so many nats per example promises: the bits that a code needs for each number of the data.

    -nats / (D log 2). A compressor that is given the decoder, and codes by it, comes so far at best. Only probabilities
    have codes: a density of dequantised levels counts with the probabilities that it gives these (dequantisation.py);
    None where the likelihood is another density, or the data lie between its levels, and of symbols, whose zeros and
    ones are no numbers that anybody would code.
    """
    if fitted.settings.likelihood == "categorical":
        return None
    levels, bits = LIKELIHOODS[fitted.settings.likelihood].levels, -nats / (fitted.model.data_dim * math.log(2))
    if fitted.settings.dequantise:
        return bits + math.log2(dequantisation.LEVELS)
    return bits if levels is not None and len(images) and on_levels(images, levels) else None
