"""What a VAE that has learned can do: encode, decode, sample, score."""

import zlib
from collections.abc import Callable, Sized
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import check_array
from sklearn.utils.validation import check_is_fitted, validate_data

from tinyvae import machine
from tinyvae.data.sequences import Vocabulary
from tinyvae.derivation.parameters import Parameters
from tinyvae.derivation.shapes import require_count
from tinyvae.errors import DataError
from tinyvae.estimator.arguments import count_threads, draw_seed, in_parameters
from tinyvae.estimator.inputs import as_floats, compare_scales, ends, places_of, require_support, require_unmasked
from tinyvae.training.fitted import Fitted, take
from tinyvae.training.importance_sampling import log_likelihood
from tinyvae.training.requirements import require_range, require_values
from tinyvae.types import Array, Labels


class Trained(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """The part of ``VAE`` that needs a trained model; the parameters and the attributes are described there."""

    _vocabulary: Vocabulary | None = None  # what the symbols of sequences are, if the model is of a run that knows it
    _is_unit: bool | None = None  # whether the X that was fitted lay between 0 and 1, if that is known

    @property
    def params_(self) -> Parameters:
        """The numbers of the model: parameters.Parameters, views of one vector."""
        check_is_fitted(self)
        arrays, _ = self._progress
        return Parameters(self.model_.shapes(), arrays["params"])

    @property
    def fitted_(self) -> Fitted:
        """The trained model, to hand around: training.fitted.Fitted, for data of their shape."""
        check_is_fitted(self)
        return Fitted(self.model_, self.params_, self.settings_, self._vocabulary)

    @property
    def _n_features_out(self) -> int:
        return self.model_.latent[0]

    def transform(self, X: ArrayLike, y: ArrayLike | None = None) -> Array:
        """The posterior means E[z | x], or E[z | x, y].

        Args:
            X: (N, D), read as by ``fit``.
            y: (N,) labels, of a conditional model, whose encoder has them as an input; else ignored.

        Returns: (N, n_components) in the dtype of X, if that is float32 or float64, else in that of the model.
        """
        X = self._checked(X)
        return self._as(X, lambda: self.fitted_.encode(X, self._labels(y, X))[0])

    def inverse_transform(self, X: ArrayLike, y: ArrayLike | None = None) -> Array:
        """The decoder's means E[x | z], or E[x | z, y].

        Args:
            X: (N, n_components) values of z, numbers of any type.
            y: (N,) labels, of a conditional model; else ignored.

        Returns: (N, D) in the dtype of X.
        """
        check_is_fitted(self)
        require_unmasked("X", X)
        z = as_floats(check_array(X, input_name="X"))
        if z.shape[1] != self._n_features_out:
            raise ValueError(f"X has {z.shape[1]} columns, but this VAE has {self._n_features_out} components")
        return self._as(z, lambda: self.fitted_.decode(z, self._labels(y, z)))

    def sample(self, n_samples: int = 1, y: ArrayLike | None = None) -> Array:
        """The decoder's means E[x | z] at samples z of the prior: the images that papers show, without the noise of
        p(x | z). With an int as ``random_state`` they are the same at every call.

        Args:
            n_samples: N.
            y: a label, or (N,) of them, of a conditional model; not for others.

        Returns: (N, D) in the dtype of the X that was fitted.
        """
        check_is_fitted(self)
        require_count("n_samples", n_samples)
        if y is not None and not self.settings_.conditional:
            raise ValueError("this VAE was fitted without labels, and has no samples of one: use conditional=True")
        y = np.full(n_samples, y) if y is not None and np.asarray(y, object).ndim == 0 else y
        if isinstance(y, Sized) and len(y) != n_samples:
            raise ValueError(f"n_samples={n_samples}, but y has {len(y)} labels: each sample needs one")
        labels = self._labels(y, np.empty((n_samples, 0)))
        return self._as(None, lambda: self.fitted_.sample(n_samples, labels, draw_seed(self.random_state)))

    def score_samples(self, X: ArrayLike, y: ArrayLike | None = None) -> Array:
        """log p(x), or log p(x | y), by importance sampling: log (1/K) sum_k w_k with K = ``n_importance_samples``
        (IWAE, section 5.1); a lower bound in expectation.

        The noise of an example follows from the seed and from the example itself, so that its value depends neither on
        its place nor on which others there are.

        Args:
            X: (N, D), read as by ``fit``.
            y: (N,) labels, of a conditional model; else ignored.

        Returns: (N,) float64, in nats per example. Under "bernoulli" it is a log probability where X is 0 and 1, and
            AEVB's cross entropy between; under "gaussian" and "gaussian-linear" it is the logarithm of a density, and
            under those of levels and of symbols a log probability.
        """
        X = self._checked(X)
        require_count("n_importance_samples", self.n_importance_samples)
        fitted, labels, K = self.fitted_, self._labels(y, X), int(self.n_importance_samples)

        def log_p(n: int) -> Array:
            one, y = X[n : n + 1], take(labels, slice(n, n + 1))
            seed = self.settings_.seed ^ (zlib.crc32(fitted.rows(one).tobytes()) << 32)
            x = fitted.dequantised(one, seed)
            return log_likelihood(fitted.model, fitted.params, seed, x, y, K)["log_likelihood"]

        with machine.crew(count_threads(self.n_jobs)):
            return np.concatenate([log_p(n) for n in range(len(X))])

    def score(self, X: ArrayLike, y: ArrayLike | None = None) -> float:
        """The mean of ``score_samples``, in nats per example."""
        return float(self.score_samples(X, y).mean())

    def _as(self, X: Array | None, function: Callable[[], Array]) -> Array:
        """The result of a function, which has ``n_jobs`` threads, as rows in the dtype of X if that is of floats."""
        with machine.crew(count_threads(self.n_jobs)):
            result = function()
        dtype = X.dtype if X is not None and X.dtype.kind == "f" else result.dtype
        return result.reshape(len(result), -1).astype(dtype, copy=False)

    def _checked(self, X: ArrayLike) -> Array:
        """X as ``_read`` gives it, of as many and the same features as were fitted, which the likelihood describes."""
        check_is_fitted(self)
        checked = self._read(X, reset=False)
        require_range("the numbers in X", self.params_.flat.dtype, *ends(checked))
        require_support(checked, self.model_.likelihood, self.likelihood == "auto")
        try:
            require_values("X", self.model_.likelihood, self.model_.data_shape, checked)
        except DataError as error:
            raise ValueError(in_parameters(str(error))) from None
        compare_scales(checked, self._is_unit)
        return checked

    def _read(self, X: Any, reset: bool) -> np.ndarray:
        """X as a data set holds it: (N, D) uint8, bool, float32 or float64; with ``reset`` its features are learned."""
        X = X if hasattr(X, "shape") else np.asarray(X)
        require_unmasked("X", X)
        # of the columns of a frame: uint8 is "UInt8" in Polars, and in pandas where values may be missing
        names = set(map(str, X.dtypes)) if hasattr(X, "dtypes") and len(X.shape) == 2 else set()
        types = {name.lower() for name in names}
        if "uint8" in types and len(types) > 1:
            raise ValueError(
                f"X has columns of uint8, which are grey levels and divided by 255, beside columns of "
                f"{', '.join(sorted(types - {'uint8'}))}: give all of them one type, as in X.astype(float)"
            )
        if len(X.shape) > 2:
            raise ValueError(
                f"X has the shape {tuple(X.shape)}, but a row of numbers is needed for each example: pass "
                "X.reshape(len(X), -1)"
            )
        if types == {"uint8"} and hasattr(X, "isna") and not X.isna().any(axis=None):
            X = X.astype(np.uint8)
        X = validate_data(self, X, dtype="numeric", order="C", reset=reset)
        return X if X.dtype in (np.uint8, np.bool_) else as_floats(X)

    def _labels(self, y: Any, X: Array) -> Labels | None:
        """The places of the labels in ``classes_``: (N,) int; None where the model is not conditional."""
        return places_of(y, self.classes_, X) if hasattr(self, "classes_") else None
