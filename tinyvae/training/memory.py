"""Whether a training fits into this machine, said before the work and not by the system in the midst of it."""

import math

import numpy as np

from tinyvae.derivation.model import Model
from tinyvae.errors import TooLarge
from tinyvae.settings import NETWORKS, OPTIMISERS, Settings
from tinyvae.system import lack_of_memory


def require_memory(model: Model, settings: Settings, evaluation_rows: int) -> None:
    """Raise errors.TooLarge if a training needs more memory than there is; arguments as ``memory_needed``."""
    if lack := lack_of_memory(memory_needed(model, settings, evaluation_rows)):
        parameters = sum(map(math.prod, model.shapes().values()))
        own = [f"--{name}" for name in ("channels", "units") if name in NETWORKS[settings.network][0].own_settings]
        sizes = f"{', '.join(['--latent', '--hidden', *own])} or --components"
        raise TooLarge(
            f"a model of {parameters:,} parameters and minibatches of {settings.batch_size:,} examples, with "
            f"{settings.samples:,} samples of each, take {lack}\n"
            f"Make {sizes} smaller, or --batch-size and --samples."
        )


def memory_needed(model: Model, settings: Settings, evaluation_rows: int) -> int:
    """The bytes that a training takes, beside its data; one that could not be resumed is none.

    Args:
        model: Model.
        settings: Settings.
        evaluation_rows: samples that go through the networks at a time where nothing is learned.
    """
    parameters = sum(map(math.prod, model.shapes().values()))
    # the parameters and what the optimiser keeps are in a checkpoint, which is written as they stand; but when a run is
    # resumed it stands in memory beside them, before the first layer puts out anything
    kept = 1 + len(OPTIMISERS[settings.optimiser].arrays)
    own = (kept + 1) * parameters  # with the gradient
    # what the layers put out, and the derivatives by that; the lowest encoder sees examples, all others their samples
    encoder, *others = *model.encoders, *model.decoders
    examples = max(settings.batch_size, evaluation_rows)
    rows = max(settings.batch_size * settings.samples, evaluation_rows)
    of_samples = sum(network.kept_numbers for network in others) + sum(model.latent)
    outputs = 2 * (examples * encoder.kept_numbers + rows * of_samples)
    return (own + max(kept * parameters, outputs)) * np.dtype(settings.dtype).itemsize
