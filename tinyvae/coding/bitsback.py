"""Bits-back coding with ANS (Townsend, Bird and Barber 2019): images as a message of -ELBO bits each.

For an image x and a model with one stochastic layer,

    pop   z from q(z | x)        gives bits back:  + log2 q(z | x)
    push  x under p(x | z)       costs             - log2 p(x | z)
    push  z under p(z)           costs             - log2 p(z)        (prior.py)

and the message has grown by -log2 w, of which the mean over z is -ELBO (docs/derivations.md says why). The decoder
does the inverse of each in the opposite order: pop z, pop x, push z under q(z | x), which it knows now. So the bits
that chose z come back, and with them the image before. The bits that the first image pops are initial ones.

Images are shared out to *chains*, messages of their own, so that several threads have something to do. How many there
are depends on the number of images alone, and they are few, since each has initial bits of its own. The last image is
pushed first, so that they are popped in their order.
"""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import NamedTuple

import numpy as np

from tinyvae.coding.ans import FAILED, LOWEST, WORD_BITS, Message, Stack, bits
from tinyvae.coding.archive import model_digest
from tinyvae.coding.cells import Cells, cells, pop_gaussian, push_gaussian
from tinyvae.coding.elementary import exact, log
from tinyvae.coding.network import Plan, Scratch, evaluate, plan_for, scratch_for
from tinyvae.coding.pixels import CODERS, pop_data, push_data
from tinyvae.coding.prior import COMPONENTS, Prior, pop_prior, prior_for, push_prior
from tinyvae.derivation.model import Model
from tinyvae.derivation.parameters import Parameters
from tinyvae.errors import DataError, UserError
from tinyvae.types import Array

IMAGES_A_CHAIN, MOST_CHAINS = 2500, 8
BLOCK = 2**16  # levels that are coded between two looks at the clock, or at Ctrl-C
Progress = Callable[[int], object]  # told how many images were coded


class Tools(NamedTuple):
    """What images are coded with: both networks, the kind of coder, what its levels are to the encoder, the prior, and
    the cells.
    """

    encoder: Plan
    decoder: Plan
    kind: int
    intensities: Array
    prior: Prior
    cells: Cells


# ---------------------------------------------------------------------------------------------------------------------
# Images of one chain, compiled
# ---------------------------------------------------------------------------------------------------------------------


@exact
def posterior(levels, tools, scratch, stats):
    """mu and log sigma² of q(z | x), into stats (2, D), for the levels of an image: on the scale of the cells."""
    for d in range(levels.size):
        scratch.rows[0, d] = tools.intensities[levels[d]]
    outputs, (_, D) = evaluate(tools.encoder, scratch), stats.shape
    for d in range(D):
        stats[0, d] = (outputs[d] - tools.prior.centre[d]) / tools.prior.scale[d]
        stats[1, d] = outputs[D + d] - 2.0 * log(tools.prior.scale[d])


@exact
def likelihood(chosen, tools, scratch):
    """The decoder's outputs at the medians of the chosen cells (D,)."""
    for d in range(chosen.size):
        scratch.rows[0, d] = tools.prior.centre[d] + tools.prior.scale[d] * tools.cells.medians[chosen[d]]
    return evaluate(tools.decoder, scratch)


@exact
def push_images(words, head, levels, chosen, spent, tools, scratch):
    """Push images, levels (N, D), from the last to the first.

    Their cells are left in chosen (N, D_1), and added to spent (1,) are the bits that these cost: what pushing them
    takes less what popping them gave.
    """
    D = chosen.shape[1]
    stats = np.empty((2, D))
    for n in range(len(levels) - 1, -1, -1):
        posterior(levels[n], tools, scratch, stats)
        before = bits(head)
        for d in range(D):
            chosen[n, d] = pop_gaussian(words, head, stats[0, d], stats[1, d], tools.cells)
        without = bits(head)
        push_data(words, head, tools.kind, levels[n], likelihood(chosen[n], tools, scratch))
        within = bits(head)
        push_prior(words, head, chosen[n], tools.prior, tools.cells)
        spent[0] += (bits(head) - within) - (before - without)


@exact
def pop_images(words, head, levels, chosen, tools, scratch):
    """Pop images that were pushed by ``push_images``, from the first to the last, into levels (N, D).

    For chosen (D_1,) to work in. It ends early where the message turns out to be no such thing.
    """
    D = chosen.size
    stats = np.empty((2, D))
    for n in range(len(levels)):
        pop_prior(words, head, chosen, tools.prior, tools.cells)
        pop_data(words, head, tools.kind, levels[n], likelihood(chosen, tools, scratch))
        posterior(levels[n], tools, scratch, stats)
        for d in range(D - 1, -1, -1):
            push_gaussian(words, head, chosen[d], stats[0, d], stats[1, d], tools.cells)
        if head[LOWEST] == FAILED:
            return


# ---------------------------------------------------------------------------------------------------------------------
# Whole sets
# ---------------------------------------------------------------------------------------------------------------------


class Encoded(NamedTuple):
    """What ``encode`` gives.

    Attributes:
        messages: one for each chain.
        chosen: (N, D_1) int32, the cell of each latent variable.
        growth: bits by which the messages have grown over what they were with their initial bits.
        initial: bits that lay there from the beginning, and are in the messages.
        cells: bits of the growth that the cells cost, those less that drawing them gave back.
    """

    messages: list[Message]
    chosen: np.ndarray
    growth: float
    initial: float
    cells: float


class BitsBack:
    """A trained model as a code.

    Args:
        model: Model of one stochastic layer, a prior of ``prior.COMPONENTS``, no labels, a likelihood of
            ``pixels.CODERS``.
        params: Parameters of it.

    Attributes:
        model: Model.
        prior: of the latent variables.
        digest: of the model and its parameters.

    Raises: UserError for another model, with the reason.
    """

    def __init__(self, model: Model, params: Parameters):
        require_code(model)
        coder = CODERS[model.likelihood]
        encoder = plan_for(model.encoders[0], params.part("encoder"))
        decoder = plan_for(model.decoders[0], params.part("decoder"))
        # by one division that IEEE 754 defines, as data sets have them
        intensities = np.divide(np.arange(coder.levels), coder.levels - 1, dtype=params.flat.dtype)
        self.model, self.prior = model, prior_for(model, params, encoder)
        self.digest = model_digest(model.likelihood, (encoder, decoder), self.prior)
        self._tools = Tools(encoder, decoder, coder.kind, intensities, self.prior, cells())

    def encode(self, levels: np.ndarray, threads: int = 1, progress: Progress = lambda n: None) -> Encoded:
        """The messages of images.

        Args:
            levels: (N, D) uint8, below the number of the likelihood's levels.
            threads: how many chains are coded at a time; nothing else depends on it.
            progress: told how many images were coded, by the threads.
        """
        levels = np.require(levels, np.uint8, ["C", "W"])  # Numba compiles read-only arrays apart
        N, D, latent = *levels.shape, self.model.latent[0]
        parts = chains(N, count_chains(N))
        stacks = [Stack(number) for number in range(len(parts))]
        chosen, spent = np.empty((N, latent), np.int32), np.zeros((len(stacks), 1))

        def code(number: int, goes_on: Callable[[], bool]) -> None:
            stack, scratch = stacks[number], self._scratch()
            for some in reversed(list(blocks(parts[number], D))):
                if not goes_on():
                    return
                count = some.stop - some.start
                stack.make_room(count * (latent + 1), count * (D + latent + 1))  # each cell, and a component
                arrays = levels[some], chosen[some], spent[number]
                push_images(stack.words, stack.head, *arrays, self._tools, scratch)
                progress(count)

        # with nothing to do: they are compiled here, and not by several threads
        push_images(stacks[0].words, stacks[0].head, levels[:0], chosen[:0], spent[0], self._tools, self._scratch())
        in_threads(code, len(stacks), threads)
        initial = sum(stack.initial_bits for stack in stacks)
        growth = sum(float(bits(stack.head)) - WORD_BITS * stack.unused for stack in stacks) - initial
        return Encoded([stack.content() for stack in stacks], chosen, growth, initial, float(spent.sum()))

    def decode(
        self, messages: list[Message], N: int, threads: int = 1, progress: Progress = lambda n: None
    ) -> np.ndarray:
        """The images of ``encode``: the levels (N, D) uint8.

        Args:
            messages: as ``encode`` gave them.
            N: how many images they are.
            threads, progress: as for ``encode``.

        Raises: DataError for messages that are not of so many images, or not of this model.
        """
        D, latent, parts = self.model.data_dim, self.model.latent[0], chains(N, len(messages))
        levels = np.empty((N, D), np.uint8)

        def code(number: int, goes_on: Callable[[], bool]) -> None:
            stack, scratch = Stack.holding(number, messages[number]), self._scratch()
            chosen = np.empty(latent, np.int32)
            for some in blocks(parts[number], D):
                if not goes_on():
                    return
                stack.make_room(0, (some.stop - some.start) * (latent + 1))
                pop_images(stack.words, stack.head, levels[some], chosen, self._tools, scratch)
                progress(some.stop - some.start)
                if stack.head[LOWEST] == FAILED:
                    break
            if not stack.is_at_start():
                raise DataError("a message does not end in its initial bits: it is not one of this model's")

        empty = Stack(0)
        pop_images(empty.words, empty.head, levels[:0], np.empty(latent, np.int32), self._tools, self._scratch())
        in_threads(code, len(messages), threads)
        return levels

    def _scratch(self) -> Scratch:
        return scratch_for(self._tools.encoder, self._tools.decoder)


def require_code(model: Model) -> None:
    """UserError for a model that is no code, with the reason."""
    layers = len(model.latent)
    reasons = {
        f"its {layers} stochastic layers: bits-back is written for one": layers > 1,
        "its labels: whoever decodes would have to know the label of each image": model.n_labels > 0,
        f"its prior {model.prior}: those that can be coded are {', '.join(COMPONENTS)}": model.prior not in COMPONENTS,
        f"its likelihood {model.likelihood}: only probabilities of levels can be coded, those of {', '.join(CODERS)}": (
            model.likelihood not in CODERS
        ),
    }
    for reason, holds in reasons.items():
        if holds:
            raise UserError(f"this model cannot be used for compression, for {reason}")


def count_chains(N: int) -> int:
    """How many chains N images are shared out to."""
    return max(1, min(MOST_CHAINS, N // IMAGES_A_CHAIN))


def chains(N: int, count: int) -> list[range]:
    """The images of each of so many chains."""
    return [range(N * i // count, N * (i + 1) // count) for i in range(count)]


def blocks(images: range, D: int) -> Iterator[slice]:
    """A chain's images, some at a time."""
    size = max(1, BLOCK // D)
    for first in range(images.start, images.stop, size):
        yield slice(first, min(images.stop, first + size))


def in_threads(task: Callable[[int, Callable[[], bool]], None], count: int, threads: int) -> None:
    """Do the tasks 0 ... count - 1, so many at a time.

    A task is told its number, and a function that says whether to go on. What one of them raises is raised here, when
    the others have stopped; so is Ctrl-C.
    """
    stopped = threading.Event()
    with ThreadPoolExecutor(min(threads, count)) as pool:
        futures = [pool.submit(task, number, lambda: not stopped.is_set()) for number in range(count)]
        try:
            for future in as_completed(futures):
                future.result()
        finally:
            stopped.set()
