"""A trained model to hand around: everything that is wanted of it, without the data and the loop that made it."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from tinyvae import machine
from tinyvae.data.datasets import to_float
from tinyvae.data.grammar import Broken
from tinyvae.data.rows import Images, Rows, extremes, flat
from tinyvae.data.sequences import Vocabulary
from tinyvae.derivation.generation import generate
from tinyvae.derivation.model import Model
from tinyvae.derivation.parameters import Parameters
from tinyvae.derivation.shapes import require_count, require_labels
from tinyvae.machine import noise
from tinyvae.machine.noise import Stream
from tinyvae.settings import LIKELIHOODS, Settings
from tinyvae.training import dequantisation, importance_sampling
from tinyvae.training.binarisation import TEST_SEED, draw_once
from tinyvae.training.requirements import are_described, require_range
from tinyvae.types import Array, Labels, Pair

ROWS = 1000  # examples at a time through a network: bounds the memory


def build_model(
    settings: Settings, data_shape: tuple[int, ...], n_labels: int, vocabulary: Vocabulary | None = None
) -> Model:
    """The Model of the settings for data of a shape, with so many labels if it is conditional, and of the groups of a
    vocabulary's symbols.
    """
    labels = n_labels if settings.conditional else 0
    shape = (settings.latent, settings.hidden, settings.likelihood, labels, settings.prior, settings.components)
    layout = (settings.activation, settings.channels, settings.kernel, settings.stride)
    recurrent = (settings.units, settings.directions, settings.feedback)
    groups = () if vocabulary is None else map(int, vocabulary.groups)
    return Model(data_shape, *shape, settings.network, *layout, *recurrent, tuple(groups))


@dataclass(frozen=True, eq=False)  # an array has no one truth value: two are the same where they are one
class Fitted:
    """A trained model: its shape, its numbers, and how it was made.

    Images go in as data sets hold them, uint8, bool or floats (``to_float``), with the shape of the data or flat; they
    come out as intensities in the shape of the data. A model of strings takes them wherever images are taken, as a list
    of str, and has three methods that give strings. Labels are 0 ... C - 1, for conditional models only. Each method
    takes all cores that this process may use, or the crew (``machine.crew``) in whose block it is called.

    Attributes:
        model: Model.
        params: Parameters.
        settings: Settings of the training.
        vocabulary: of sequences: what their symbols are. None of all else.
    """

    model: Model
    params: Parameters
    settings: Settings
    vocabulary: Vocabulary | None = None

    @property
    def data_shape(self) -> tuple[int, ...]:
        """The shape of an example: (H, W), (H, W, C), (T, V) or (D,)."""
        return self.model.data_shape

    def encode(self, images: ArrayLike | Rows, y: Labels | None = None) -> Pair:
        """The posterior q(z_1 | x, y) of the layer next to the data.

        Args:
            images: (N, *data_shape) or (N, D), or N strings.
            y: (N,) labels.

        Returns: mu and logvar, (N, D_1) each.

        Raises: ValueError, as all methods, for images or labels that do not fit, values that the likelihood does not
            describe and numbers that mean nothing; DataError, which is one, for a string that cannot be written with
            the vocabulary.
        """
        images = self._checked(images)
        y = self._labels(y, len(images))
        mu, logvar = self.by_rows(
            lambda s: self.model.encode(self.params, self.rows(images[s]), take(y, s)), len(images)
        )
        return mu, logvar

    def decode(self, z: ArrayLike, y: Labels | None = None) -> Array:
        """E[x | z_1, y], the mean of the data at values of the layer next to them.

        Args:
            z: (N, D_1).
            y: (N,) labels.

        Returns: (N, *data_shape).
        """
        z = self._latents(z)
        y = self._labels(y, len(z))
        (images,) = self.by_rows(lambda s: (self.model.decode(self.params, z[s], y=take(y, s)),), len(z))
        return images.reshape(-1, *self.data_shape)

    def sample(self, n: int, y: Labels | None = None, seed: int | None = None, share: int = 1) -> Array:
        """E[x | z_1, y] at samples of the prior: the images that papers show, without the noise of p(x | z).

        Args:
            n: N.
            y: (N,) labels.
            seed: another for other samples; by default that of the training.
            share: so many neighbours get the same noise in all layers.

        Returns: (N, *data_shape).
        """
        return self.decode(self.sample_latents(n, y, seed, share), y)

    def sample_latents(self, n: int, y: Labels | None = None, seed: int | None = None, share: int = 1) -> Array:
        """Samples of the prior, or what follows from them in the layer next to the data: z_1 (N, D_1).

        Args: as for ``sample``.
        """
        require_count("n", n, 0)
        require_count("share", share)
        y, seed = self._labels(y, n), self._seed(seed)
        dtype, shapes = self.params.flat.dtype, self.model.noise_shapes(-(-n // share), 1)
        u = noise.uniform((-(-n // share), 1, 1), seed, Stream.COMPONENTS, dtype=dtype)[:, 0, 0]
        arrays = [*noise.layers(shapes, seed, Stream.PICTURES, dtype=dtype), u]
        *below, top, u = (np.repeat(array, share, axis=0)[:n] for array in arrays)

        def latents(s: slice) -> tuple[Array]:
            z = self.model.sample_prior(self.params, top[s, 0], u[s], take(y, s))
            return (self.model.descend(self.params, z, [eps[s] for eps in below], take(y, s)),)

        return self.by_rows(latents, n)[0]

    @property
    def has_strings(self) -> bool:
        """Whether strings can be drawn from the model: it has a vocabulary, and the categorical likelihood."""
        return self.vocabulary is not None and self.settings.likelihood == "categorical"

    def decode_strings(
        self, z: ArrayLike, draws: int = 1, seed: int | None = None, greedy: bool = False
    ) -> list[str | Broken]:
        """x ~ p(x | z_1), symbol by symbol (``derivation.generation``).

        Args:
            z: (N, D_1).
            draws: S, for each z.
            seed: another for other strings; by default that of the training.
            greedy: take the most probable symbol at each step, given those before: all draws of a z are then the same.

        Returns: N S strings, the S of one z side by side; in the place of one that is none, what is wrong with it.

        Raises: ValueError, as all methods that give strings, for a model of something else.
        """
        vocabulary = self._require_strings()
        require_count("draws", draws)
        z, seed, T = self._latents(z), self._seed(seed), self.data_shape[0]

        def symbols(s: slice) -> tuple[Labels]:
            rows = np.repeat(z[s], draws, axis=0)
            u = None
            if not greedy:
                u = noise.uniform((len(z[s]), draws, T), seed, Stream.STRINGS, 0, s.start).reshape(-1, T)
            return (generate(self.model, self.params, rows, u, walk=vocabulary.walk(len(rows))),)

        return vocabulary.text(self.by_rows(symbols, len(z), max(1, ROWS // draws))[0])

    def sample_strings(self, n: int, seed: int | None = None) -> list[str | Broken]:
        """Strings from the model: z from the prior, as for ``sample``, and x ~ p(x | z), as for ``decode_strings``.

        Args:
            n: N.
            seed: as for ``decode_strings``.

        Returns: N strings, or what is wrong with them.
        """
        self._require_strings()
        return self.decode_strings(self.sample_latents(n, seed=seed), seed=seed)

    def reconstruct_strings(
        self, strings: ArrayLike | Rows, draws: int = 1, seed: int | None = None, greedy: bool = False
    ) -> list[str | Broken]:
        """x' ~ p(x' | z), z ~ q(z | x); with ``greedy`` the most probable symbols at the mean of q(z | x).

        Args:
            strings: N strings, or rows as for ``encode``.
            draws, seed, greedy: as for ``decode_strings``; each draw has a z of its own.

        Returns: N S strings, the S of one x side by side, or what is wrong with them.
        """
        self._require_strings()
        require_count("draws", draws)
        mu, logvar = self.encode(strings)
        if greedy:
            return self.decode_strings(np.repeat(mu, draws, axis=0), greedy=True)
        seed = self._seed(seed)
        eps = noise.normal((len(mu), draws, mu.shape[1]), seed, Stream.STRINGS, 1, dtype=mu.dtype)
        z = mu[:, None] + np.exp(logvar / 2)[:, None] * eps
        return self.decode_strings(z.reshape(-1, mu.shape[1]), 1, seed)

    def log_likelihood(self, images: ArrayLike | Rows, y: Labels | None = None, samples: int = 1000) -> Array:
        """log p(x), or log p(x | y), by importance sampling (``importance_sampling.log_likelihood``).

        Args:
            images: (N, *data_shape) or (N, D), or N strings.
            y: (N,) labels.
            samples: K, for each example.

        Returns: (N,) float64, in nats per example; of grey levels under a Bernoulli it is no log probability. A model
            of dequantised levels has a density of numbers: uint8 are dequantised as in an evaluation of the run.
        """
        require_count("samples", samples, 0)  # of none there is nothing to compute, which is told below
        images = self.dequantised(flat(self._checked(images)))
        y = self._labels(y, len(images))
        with machine.crew():
            return importance_sampling.log_likelihood(self.model, self.params, self.settings.seed, images, y, samples)[
                "log_likelihood"
            ]

    def dequantised(self, images: Images, seed: int = TEST_SEED) -> Images:
        """What the density of a model of dequantised levels is of: levels (N, D) uint8 with their noise, in the first
        place as test examples have it. All else, and what other models are of, as it is.
        """
        if self.settings.dequantise and images.dtype == np.uint8:
            return draw_once(images, dequantisation.draw, seed, Stream.TEST_DEQUANTISATION)
        return images

    def rows(self, images: ArrayLike | Rows) -> Array:
        """Images as the model takes them: flat rows (N, D), intensities in the dtype of the parameters."""
        images, dtype = flat(self._checked(images)), self.params.flat.dtype
        if self.settings.dequantise and images.dtype == np.uint8:
            return dequantisation.centres(images, dtype)
        return to_float(images, dtype)

    def _checked(self, images: ArrayLike | Rows) -> Images:
        """Images as an array, or as the Rows that they are; ValueError for those that do not fit."""
        if not isinstance(images, Rows):
            if np.ma.is_masked(images):
                raise ValueError("images have masked values: leave these examples out, or fill them, as with filled(0)")
            images = np.asarray(images)
            if images.dtype.kind == "U" and images.ndim == 0:
                raise ValueError(f"a list of strings is needed, not one of them: [{str(images)!r}]")
            if self.vocabulary is not None and (images.dtype.kind == "U" or images.shape == (0,)):
                if images.ndim > 1:
                    raise ValueError(f"a list of strings is needed, not an array of shape {images.shape}")
                images = self.vocabulary.one_hot(self.vocabulary.encode(images.tolist()))
        if images.dtype != np.uint8 and images.dtype.kind not in "bf":
            raise ValueError(f"images of uint8 (grey levels 0 to 255), bool or floats are needed, not {images.dtype}")
        shape, D = self.data_shape, math.prod(self.data_shape)
        if images.shape[1:] not in (shape, (D,)):
            wanted = " or ".join(dict.fromkeys((f"(N, {', '.join(map(str, shape))})", f"(N, {D})")))
            raise ValueError(f"images {wanted} are needed, not {images.shape}")
        if len(images):
            self._require_described(images)
        return images

    def _require_described(self, images: Images) -> None:
        """ValueError for values that the likelihood does not describe, whose density would be of nothing."""
        likelihood = self.settings.likelihood
        if images.dtype.kind == "f":
            smallest, largest = extremes(images)
            if not (math.isfinite(smallest) and math.isfinite(largest)):
                raise ValueError("images have a value that is not finite: leave it out, or put a number in its place")
            require_range("images", self.params.flat.dtype, smallest, largest)
            lowest, highest = LIKELIHOODS[likelihood].support
            if smallest < lowest or largest > highest:
                raise ValueError(
                    f"images have values from {smallest:g} to {largest:g}, but the {likelihood} likelihood describes "
                    f"values from {lowest:g} to {highest:g}: rescale them, or pass grey levels as uint8"
                )
        if not are_described(likelihood, self.data_shape, images):
            raise ValueError(
                f"images are not of symbols: one of each {self.data_shape[-1]} numbers is 1, and the others are 0"
                if likelihood == "categorical"
                else f"images have values between the 256 levels 0, 1/255, ..., 1, and the {likelihood} likelihood "
                "describes these alone: round them, or pass grey levels as uint8"
            )

    def _latents(self, z: ArrayLike) -> Array:
        """Values of the layer next to the data (N, D_1) as an array; ValueError for what is complex or not finite."""
        if np.iscomplexobj(z):
            raise ValueError("z has complex numbers, and the latent space is real")
        dtype = self.params.flat.dtype
        with np.errstate(over="ignore"):
            z = np.ascontiguousarray(z, dtype)
        if not np.isfinite(z).all():
            raise ValueError(f"z has a value that is not finite in {dtype}, in which this model computes")
        return z

    def _seed(self, seed: int | None) -> int:
        """A seed, by default that of the training; ValueError for what is none."""
        if seed is None:
            return self.settings.seed
        require_count("seed", seed, 0)
        if seed >= 2**64:
            raise ValueError(f"seed={seed}: a seed from 0 to 2^64 - 1 is needed")
        return int(seed)

    def _require_strings(self) -> Vocabulary:
        """The vocabulary; ValueError where there is none, or where no string can be drawn."""
        if self.vocabulary is None or not self.has_strings:
            raise ValueError(
                "strings come from a model of strings under the categorical likelihood, and this one is of "
                f"{self.data_shape} under {self.settings.likelihood}: use decode and sample"
            )
        return self.vocabulary

    def _labels(self, y: Labels | None, n: int) -> Labels | None:
        """The labels (n,) as an array, or None for a model without."""
        require_labels(y, n, self.model.n_labels)
        return None if y is None else np.asarray(y)

    def by_rows(
        self, function: Callable[[slice], Sequence[np.ndarray]], n: int, rows: int | None = None
    ) -> tuple[np.ndarray, ...]:
        """A function of some of n examples, ``rows`` or ``ROWS`` of them at a time, with all of its results end to
        end.
        """
        rows = rows or ROWS
        with machine.crew():
            parts = [function(slice(first, first + rows)) for first in range(0, max(n, 1), rows)]
        return tuple(np.concatenate(pieces) for pieces in zip(*parts))


def take(labels: Labels | None, rows: slice | np.ndarray) -> Labels | None:
    """Some of the labels, if there are any."""
    return None if labels is None else labels[rows]
