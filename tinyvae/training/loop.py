"""The training loop: minibatches, an optimiser's steps, the bound on the test set.

A crew of threads shares the work of the kernels; the derivation knows nothing of it.
"""

import dataclasses
import math
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol

import numpy as np

from tinyvae import machine
from tinyvae.data.datasets import Dataset, to_float
from tinyvae.data.rows import mean_image
from tinyvae.derivation.bounds import add_weight_prior, kl_weights
from tinyvae.derivation.model import ModelCache
from tinyvae.derivation.parameters import Parameters
from tinyvae.disk.run import BITS, Row, Run
from tinyvae.errors import DivergenceError, Interrupted, RunError
from tinyvae.machine import noise
from tinyvae.machine.noise import Stream
from tinyvae.settings import BOUNDS, ESTIMATORS, LIKELIHOODS, OPTIMISERS, SCHEDULES, Settings
from tinyvae.training import dequantisation
from tinyvae.training.binarisation import binarise
from tinyvae.training.fitted import Fitted, build_model, take
from tinyvae.training.initialisation import initialise
from tinyvae.training.memory import require_memory
from tinyvae.training.progress import PROGRESS, origin, require_arrays, require_progress
from tinyvae.training.protocol import bits_per_dimension
from tinyvae.training.requirements import require_fit
from tinyvae.types import Array, Labels

EVALUATION_ROWS = 500  # samples at a time: bounds the memory
SPARING = 20  # saving takes at most one part in so many of the time
LONGEST = 600  # seconds without saving: that it took long once, on a busy disk, says little
# Divergence is detected on the bound and the parameters.
QUIET: dict[str, Any] = {"over": "ignore", "invalid": "ignore"}


class Training:
    """A model in training: its parameters, its optimiser, and how far it has come.

    Args:
        settings: settings.Settings.
        dataset: datasets.Dataset, as loaded.
        threads: by default the cores that this process may use.

    Attributes:
        model, params: the model's shape and its parameters.
        dataset: the data as trained on, with all drawn that is drawn once (binarisation.py).
        epoch, step, samples_seen: how many are done.
        position, epoch_total: how many examples of the present epoch are done, and the sum of their bounds.
        seconds: spent in training so far.
        crew: ``machine.crew``, to be entered for work on the model.

    Raises: DataError or UserError if the data, the likelihood and the settings do not go together; ValueError for what
        is no number of threads.
    """

    def __init__(self, settings: Settings, dataset: Dataset, threads: int | None = None):
        self.settings = settings
        if settings.dequantise:
            self.dataset = dequantisation.dequantise(dataset)
        else:
            self.dataset = binarise(dataset, settings.binarise, settings.seed)
        require_fit(settings, self.dataset)
        self.model = build_model(settings, dataset.data_shape, dataset.n_labels, dataset.vocabulary)
        require_memory(self.model, settings, EVALUATION_ROWS)
        self.params = Parameters(self.model.shapes(), dtype=np.dtype(settings.dtype))
        self._initialise(dataset)
        self.optimiser = OPTIMISERS[settings.optimiser](self.params, settings.epsilon)
        self.epoch = self.step = self.samples_seen = self.position = 0
        self.epoch_total = self.seconds = 0.0
        self.threads = machine.available_cores() if threads is None else threads
        self._grads = self.params.with_flat(np.empty_like(self.params.flat))
        self._bound = BOUNDS[settings.objective]
        self._estimator = ESTIMATORS[settings.estimator]
        self.crew = machine.crew(self.threads)

    def _initialise(self, dataset: Dataset) -> None:
        settings, dtype = self.settings, self.params.flat.dtype
        mean = mean_image(dataset.train) / (255 if dataset.train.dtype == np.uint8 else 1)
        initialise(self.params, settings.initialisation, settings.seed)
        if settings.mean_bias:
            likelihood, bias = self.model.observation, self.model.output_bias(self.params)
            # where all pixels, or all steps, share a bias, it starts from their mean
            bias[:] = likelihood.bias(mean.reshape(-1, bias.size // likelihood.outputs_per_dimension).mean(axis=0))
        step = len(self.params)  # after those of the layers (initialisation.py)

        def prior_noise(shape: tuple[int, int]) -> Array:
            return noise.normal((1, *shape), settings.seed, Stream.PARAMETERS, step, dtype=dtype)[0]

        self.model.initialise_prior(self.params, prior_noise, mean)

    @property
    def fitted(self) -> Fitted:
        """The model as it stands, to hand around; training goes on with the same numbers."""
        return Fitted(self.model, self.params, self.settings, self.dataset.vocabulary)

    def run_epoch(self, on_step: Callable[[int, float], object] | None = None) -> float:
        """Visit every training example once, in a random order, a step for each minibatch.

        Where an earlier call was left by an exception of ``on_step``, this one goes on from there.

        Args:
            on_step: called with (examples, bound) after each step: how many, and the mean of their bounds in nats.

        Returns: the mean of the bounds as they were at each example's visit, in nats per example.

        Raises: DivergenceError if a bound or a parameter is not finite.
        """
        settings, N = self.settings, len(self.dataset.train)
        order = noise.permutation(N, settings.seed, Stream.ORDER, self.epoch)
        with self.crew, np.errstate(**QUIET):
            for start in range(self.position, N, settings.batch_size):
                rows = order[start : start + settings.batch_size]
                factor = SCHEDULES[settings.schedule](self.epoch + start / N, settings.epochs)
                bound = self._step(rows, settings.learning_rate * factor, self._beta(self.epoch + start / N))
                self.position += len(rows)
                self.epoch_total += bound
                if on_step:
                    on_step(len(rows), bound / len(rows))
        mean = self.epoch_total / N
        self.epoch, self.position, self.epoch_total = self.epoch + 1, 0, 0.0
        return mean

    def test_bound(self) -> float:
        """The objective on the test set, in nats per example."""
        with np.errstate(**QUIET):  # a mean of bounds that are not finite
            return float(self.test_bounds().mean())

    def test_bounds(self) -> Array:
        """The objective of each test example, (N,) float64 in nats, with the same noise whenever it is asked for."""
        images, K = self.dataset.test, self.settings.samples
        rows = max(1, EVALUATION_ROWS // K)

        def chunk(first: int) -> Array:
            x = to_float(images[first : first + rows], self.params.flat.dtype)
            y = self.labels(self.dataset.test_labels, slice(first, first + rows))
            # as for training, by kernels that are there; those for evaluations take a first run two seconds to compile
            return self._forward(x, y, Stream.EVALUATION, 0, first)[0].astype(np.float64)

        with self.crew, np.errstate(**QUIET):
            return np.concatenate([chunk(first) for first in range(0, len(images), rows)])

    def state(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """All that a checkpoint must hold to go on from here: ({name: array}, {name: number or string})."""
        arrays = {"params": self.params.flat}
        arrays |= {f"optimiser.{name}": array for name, array in self.optimiser.state.items()}
        return arrays, {name: getattr(self, name) for name in PROGRESS}

    def restore(self, arrays: Mapping[str, np.ndarray], state: Mapping[str, Any]) -> None:
        """Take over what ``state`` gave, and nothing that no training could have given.

        Raises: RunError, which says what is wrong; then nothing was taken over.
        """
        own, _ = self.state()
        require_arrays(arrays, {name: (array.shape, array.dtype) for name, array in own.items()})
        require_progress(state)
        position, steps, N = state["position"], own.get("optimiser.steps"), len(self.dataset.train)
        if position > N or (position % self.settings.batch_size and position < N):
            raise RunError(
                f"the checkpoint says that {position} examples of an epoch are done, which is no number of whole "
                f"minibatches of {self.settings.batch_size} of {N}"
            )
        if steps is not None and not 0 <= arrays["optimiser.steps"][0] <= state["step"]:
            raise RunError(f"the checkpoint says that its optimiser made {arrays['optimiser.steps'][0]} steps")
        for name, array in own.items():
            array[...] = arrays[name]
        for name in PROGRESS:
            setattr(self, name, state[name])

    def extend(self, epochs: int) -> None:
        """Raise the length of the run; the schedule of the steps is from now on that of the new length."""
        earlier = (*self.settings.raised_from, self.settings.epochs)
        self.settings = dataclasses.replace(self.settings, epochs=epochs, raised_from=earlier)

    def _beta(self, epoch: float) -> float:
        """The weight of the KL divergence, from the epochs that are done (fractions count)."""
        return self.settings.beta * min(1.0, epoch / self.settings.anneal if self.settings.anneal else 1.0)

    def _step(self, rows: np.ndarray, rate: float, beta: float) -> float:
        """One step of the optimiser along the gradient of the minibatch's mean bound; returns the sum of the bounds.

        With training aids or a prior on the parameters the gradient is that of something else, and the bounds are what
        they are.
        """
        N, x = len(rows), self._examples(rows)
        y = self.labels(self.dataset.train_labels, rows)
        bound, dlogw, cache = self._forward(x, y, Stream.TRAINING, self.step, given=self._given(x))
        total = float(bound.sum(dtype=np.float64))
        self._require_finite(total, "bound")
        dlogw = dlogw.astype(np.longdouble)  # a few numbers, whose squares are to keep their digits
        mean, ways = dlogw / N, self._estimator.weights(dlogw)
        path, direct = (mean if way is dlogw else way / N for way in ways)
        aids = kl_weights(cache.divergence, beta, self.settings.free_bits) if self.settings.has_aids else None
        self.model.backward(self.params, cache, mean, path, direct, self._grads, consume=True, kl_weights=aids)
        if self.settings.weight_prior:
            examples = len(self.dataset.train)
            add_weight_prior(self.params.flat, self._grads.flat, self.settings.weight_prior, examples)
        self._require_finite(self.optimiser.update(self.params, self._grads, rate), "sum of the parameters")
        self.step += 1
        self.samples_seen += N
        return total

    def _examples(self, rows: np.ndarray) -> Array:
        """Training examples as the model takes them at this visit."""
        images, dtype, seed = self.dataset.train[rows], self.params.flat.dtype, self.settings.seed
        if self.settings.dequantise:
            return dequantisation.draw(images, seed, Stream.DEQUANTISATION, self.step, dtype=dtype)
        x = to_float(images, dtype)
        return noise.bernoulli(x, seed, Stream.BINARISATION, self.step) if self.settings.binarise == "dynamic" else x

    def labels(self, labels: Labels | None, rows: slice | np.ndarray) -> Labels | None:
        """The labels of some rows where the model is conditional, else None."""
        return take(labels, rows) if self.settings.conditional else None

    def _given(self, x: Array) -> Array | None:
        """What a decoder with feedback is told of the data (N, D) at this step: some of their steps are zeros."""
        settings, T = self.settings, self.model.data_shape[0]
        if not settings.word_dropout:
            return None
        kept = np.full((len(x), T), 1 - settings.word_dropout, x.dtype)
        kept = noise.bernoulli(kept, settings.seed, Stream.FEEDBACK, self.step)
        return (x.reshape(len(x), T, -1) * kept[:, :, None]).reshape(x.shape)

    def _forward(
        self,
        x: Array,
        y: Labels | None,
        stream: int,
        step: int,
        first: int = 0,
        given: Array | None = None,
    ) -> tuple[Array, Array, ModelCache]:
        settings = self.settings
        shapes = self.model.noise_shapes(len(x), settings.samples)
        eps = noise.layers(shapes, settings.seed, stream, step, first, dtype=x.dtype)
        logw, cache = self.model.log_weights(self.params, x, eps, y, settings.kl == "closed", given)
        return *self._bound(logw), cache

    def _require_finite(self, number: float, name: str) -> None:
        if not math.isfinite(number):
            if self.step == 0 and name == "bound":
                raise DivergenceError(
                    f"the bound of the first minibatch is {number}, before any step of training\n"
                    "Look for a value that lies far out, rescale the data, or train in float64."
                )
            settings, advice = self.settings, LIKELIHOODS[self.settings.likelihood].advice
            cures = [f"a smaller step than --lr {settings.learning_rate:g}"]
            cures += [f"a smaller weight than --beta {settings.beta:g}"] if settings.beta > 1 else []
            cures += [f"a wider one than --weight-prior {settings.weight_prior:g}"] if settings.weight_prior else []
            raise DivergenceError(
                f"the {name} is {number} in epoch {self.epoch + 1}, step {self.step + 1}: training diverged\n"
                f"Try {', or '.join(cures)}{advice and f'; or, {advice}'}."
            )


class Watcher(Protocol):
    """Who is told how far a training is: a console's progress bar."""

    def start_epoch(self, epoch: int, epochs: int) -> object:
        """An epoch begins."""

    def step(self, examples: int, bound: float) -> object:
        """So many examples were visited, with this mean bound in nats."""

    def end_epoch(self, row: Row) -> object:
        """A row of the history is complete."""


class Nobody:
    """A Watcher that does not care."""

    def start_epoch(self, epoch: int, epochs: int) -> None:
        """Nothing."""

    def step(self, examples: int, bound: float) -> None:
        """Nothing."""

    def end_epoch(self, row: Row) -> None:
        """Nothing."""


def train(
    training: Training,
    run: Run,
    bar: Watcher | None = None,
    history: Iterable[Row] = (),
    checkpoint_every: int | None = None,
    check_interrupt: Callable[[], object] = lambda: None,
) -> list[Row]:
    """Train to the end of the run, and leave it on disk as it goes: the history and a checkpoint.

    Both are written anew each time, and the history of a thousand short epochs takes longer than one of them. So by
    default they are saved after an epoch when the time since is SPARING times what that took, or LONGEST: what a kill
    can cost is in proportion.

    Args:
        training: Training.
        run: run.Run to write the history and the checkpoints into.
        bar: Watcher.
        history: the rows of the epochs that are done.
        checkpoint_every: epochs from one saving to the next, where that is not to go by the time. At the end there is
            always one.
        check_interrupt: called after each step; errors.Interrupted out of it ends the run after a checkpoint.

    Returns: the rows of the history, a dict an epoch.
    """
    history, bar = list(history), bar or Nobody()
    saved, took = -math.inf, 0.0

    def save() -> None:
        nonlocal saved, took
        began = time.perf_counter()
        run.write_history(history)  # first, since a checkpoint wants a row for each of its epochs
        arrays, state = training.state()
        run.save_checkpoint(arrays, state | origin(training.settings, history))
        saved = time.perf_counter()
        took = saved - began

    def is_to_be_saved() -> bool:
        if training.epoch == training.settings.epochs:
            return True
        if checkpoint_every is not None:
            return training.epoch % checkpoint_every == 0
        return time.perf_counter() - saved >= min(SPARING * took, LONGEST)

    started = time.perf_counter() - training.seconds

    def on_step(examples: int, bound: float) -> None:
        training.seconds = time.perf_counter() - started
        bar.step(examples, bound)
        check_interrupt()

    try:
        while training.epoch < training.settings.epochs:
            bar.start_epoch(training.epoch + 1, training.settings.epochs)
            train_bound, test_bound = training.run_epoch(on_step), training.test_bound()
            training.seconds = time.perf_counter() - started
            row = {
                "epoch": training.epoch,
                "samples_seen": training.samples_seen,
                "train_bound": train_bound,
                "test_bound": test_bound,
                "seconds": training.seconds,
            }
            bits = bits_per_dimension(training.fitted, training.dataset.test, test_bound)
            row |= {} if bits is None else dict.fromkeys(BITS, bits)
            history.append(row)
            bar.end_epoch(row)
            if is_to_be_saved():
                save()
    except Interrupted:
        save()
        raise
    return history
