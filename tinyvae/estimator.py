"""The variational autoencoder as a scikit-learn estimator: the same model and the same loop as the command's.

``VAE`` keeps what it has learned as plain arrays and numbers, so that it can be copied, pickled and sent to other
processes; threads exist only while a method runs.
"""

import math
import numbers
import warnings
import zlib
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from copy import copy
from dataclasses import replace
from typing import Any

import numpy as np
from joblib import effective_n_jobs, parallel_config
from joblib.parallel import SequentialBackend, get_active_backend
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import check_array, check_consistent_length, check_random_state, column_or_1d
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from tinyvae import machine
from tinyvae.data.datasets import Dataset, to_float
from tinyvae.derivation.parameters import Parameters
from tinyvae.disk.run import Run
from tinyvae.errors import DivergenceError
from tinyvae.settings import CHOICES, LIKELIHOODS, PRIORS, Settings
from tinyvae.training import description
from tinyvae.training.fitted import Fitted, take
from tinyvae.training.importance_sampling import log_likelihood
from tinyvae.training.loop import Training, origin
from tinyvae.types import AnyPath, Array, Labels

DTYPES = [np.float64, np.float32]
# The parameters that make the model, by their names in Settings: they stay what they are while partial_fit goes on.
MODEL = {
    "latent": "n_components",
    "hidden": "hidden",
    "likelihood": "likelihood",
    "prior": "prior",
    "components": "n_prior_components",
    "conditional": "conditional",
}
HISTORY = ("epoch", "samples_seen", "train_bound")  # what is kept of each epoch
NUMBERS = (numbers.Real, np.bool_)
NEARLY_BLACK = (
    "X is uint8 with no value above 1, which means black and nearly black (1/255): if it is black and white, pass "
    "X.astype(bool)"
)
SIZES = ("n_components", "n_samples", "n_prior_components", "max_epochs", "batch_size", "n_importance_samples")


class VAE(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """Variational autoencoder with one stochastic layer (AEVB; under ``objective="iwae"`` that of IWAE).

    The features are the posterior means E[z | x].

    Every method reads X as the command reads a file: uint8 holds grey levels from 0 to 255, which are divided by 255;
    bool is black and white, 0 and 1; floats are taken as they are, and so are other whole numbers, whose scale only you
    know. So a model that was fitted to uint8 wants uint8 later, or floats from 0 to 1. A UserWarning says where X may
    have another scale than was meant: whole numbers above 1 under "auto", uint8 that is fitted without a value from 128
    on, uint8 where the X that was fitted went beyond 0 to 1, and the reverse.

    All is computed in the dtype of the X that was fitted: float32 (about twice as fast) for that, float16, uint8 and
    bool, else float64. What comes out has the dtype of what went in, and that of the model for uint8 and bool.

    Args:
        n_components: dimensions of z.
        hidden: tanh units of the encoder's hidden layers, from the data on, and in reverse the decoder's; () for none.
        likelihood: "bernoulli" and "gaussian" (its mean goes through a sigmoid) describe values from 0 to 1, and refuse
            others; "gaussian-linear" describes any real numbers. "auto" takes "bernoulli" if all values of the X that
            is fitted lie between 0 and 1, else "gaussian-linear": so name the likelihood where the log p(x) of several
            fits are compared, as in a search, where X comes in parts, and where a later X may go beyond the first.
        objective: "elbo" or "iwae", the bound that is maximised. The KL divergence of the ELBO has its closed form
            (AEVB, Eq. 10) where there is one.
        n_samples: K, samples of z for each example in the bound.
        prior: of z: "normal", "mixture", "vamp" or, of a conditional model, "label".
        n_prior_components: of the priors "mixture" and "vamp".
        conditional: whether the labels y enter the encoder and the decoder; every method then wants them.
        max_epochs: how often ``fit`` visits each example.
        batch_size: examples in a minibatch; all of them where there are fewer (``settings_`` has what was used).
        learning_rate: the largest step of Adam.
        schedule: of the step in ``fit``: "cosine" takes it down to zero, "constant" keeps it, "iwae" is that paper's.
        n_importance_samples: of z for each example in ``score_samples``.
        random_state: an int is the seed, as the command's --seed; from a RandomState, or from NumPy's own for None, one
            is drawn.
        n_jobs: threads; None means 1 (or what joblib's ``parallel_config`` says), -1 all cores; 1 below two parallel
            loops, as everywhere in joblib. The result is the same.
        verbose: 1 prints a line an epoch.

    Attributes:
        settings_: settings.Settings of the last training: the likelihood, the dtype and the seed are among them.
        model_: model.Model, the shape of the model.
        params_: parameters.Parameters, its numbers.
        history_: a dict an epoch: "epoch", "samples_seen", and "train_bound", the mean of the bounds as they were at
            each example's visit, in nats per example.
        classes_: (C,) the labels of a conditional model, sorted.
        n_features_in_, feature_names_in_: as everywhere in scikit-learn.

    Raises: ValueError for a parameter, an X or a y that is not as said here, and from ``fit`` and ``partial_fit`` if
        the training diverges; NotFittedError before the first of these has come to its end; TypeError for sparse
        matrices.
    """

    _is_unit: bool | None = None  # whether the X that was fitted lay between 0 and 1, if that is known

    def __init__(
        self,
        n_components: int = 20,
        hidden: Sequence[int] = (500,),
        likelihood: str = "auto",
        objective: str = "elbo",
        n_samples: int = 1,
        prior: str = "normal",
        *,
        n_prior_components: int = 50,
        conditional: bool = False,
        max_epochs: int = 100,
        batch_size: int = 100,
        learning_rate: float = 0.003,
        schedule: str = "cosine",
        n_importance_samples: int = 1000,
        random_state: int | np.random.RandomState | None = None,
        n_jobs: int | None = None,
        verbose: int = 0,
    ) -> None:
        self.n_components = n_components
        self.hidden = hidden
        self.likelihood = likelihood
        self.objective = objective
        self.n_samples = n_samples
        self.prior = prior
        self.n_prior_components = n_prior_components
        self.conditional = conditional
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.schedule = schedule
        self.n_importance_samples = n_importance_samples
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.verbose = verbose

    def __sklearn_tags__(self) -> Any:
        """Float32 stays float32; a conditional model must have its labels."""
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = [np.dtype(dtype).name for dtype in DTYPES]
        tags.target_tags.required = bool(self.conditional)
        return tags

    # -- fitting -------------------------------------------------------------------------------------------------------

    def fit(self, X: ArrayLike, y: ArrayLike | None = None) -> "VAE":
        """Train from the beginning, for ``max_epochs`` epochs.

        Args:
            X: (N, D) uint8, bool, floats or other numbers, a row for each example.
            y: (N,) labels, of a conditional model: whole numbers, strings or bools; else ignored.

        Returns: self.
        """
        fresh = copy(self)
        X, labels, settings = fresh._begin(X, y)
        return self._become(fresh._train(settings, X, labels, settings.epochs))

    def partial_fit(self, X: ArrayLike, y: ArrayLike | None = None, classes: ArrayLike | None = None) -> "VAE":
        """Train for one epoch on X: a step of the full ``learning_rate`` for each minibatch, in a random order.

        The first call begins as ``fit`` does (the output's biases start from the mean of its X). A later one, be it
        after ``fit`` or after ``partial_fit``, goes on with the numbers of the model, the optimiser's state and the
        seed; parameters that do not make the model, such as ``learning_rate``, may have been set anew. So
        ``max_epochs`` calls with the same X are ``fit`` with ``schedule="constant"``, bit for bit.

        Args:
            X, y: as for ``fit``.
            classes: (C,) all labels that will ever come, for the first call of a conditional model; by default those
                in y.

        Returns: self.
        """
        fresh = copy(self)
        if not hasattr(self, "model_"):
            X, labels, settings = fresh._begin(X, y, classes)
            return self._become(fresh._train(replace(settings, schedule="constant"), X, labels, 1))
        X, before = self._checked(X), self.settings_
        likelihood = before.likelihood if self.likelihood == "auto" else self.likelihood
        settings = replace(self._settings(X, likelihood, before.seed), dtype=before.dtype, schedule="constant")
        if changed := [MODEL[name] for name in MODEL if getattr(settings, name) != getattr(before, name)]:
            raise ValueError(
                f"partial_fit goes on with the model that was begun, but {', '.join(changed)} changed since: set it "
                "back, or begin anew with fit"
            )
        return self._become(fresh._train(settings, X, self._labels(y, X), 1, self._progress, self.history_))

    def fit_transform(self, X: ArrayLike, y: ArrayLike | None = None) -> Array:
        """``fit``, then ``transform`` of the same X and y: (N, n_components)."""
        return self.fit(X, y).transform(X, y)

    def _become(self, fresh: "VAE") -> "VAE":
        """Take over what another has learned, all at once: whatever ends a fit before leaves what was there before."""
        self.__dict__ = fresh.__dict__
        return self

    def _begin(
        self, X: Any, y: ArrayLike | None, classes: ArrayLike | None = None
    ) -> tuple[Array, Labels | None, Settings]:
        """X, the numbers of the labels and the settings of a model that is to be trained from the beginning."""
        X = self._read(X, reset=True)
        if is_nearly_black(X):
            raise ValueError(NEARLY_BLACK)
        if X.dtype == np.uint8 and 0 < X.max() < 128:
            warnings.warn(
                f"X is uint8 with no value above {X.max()}, less than half of the 255 by which it is divided: if white "
                f"is another level, divide by that, as in X / {X.max()}",
                stacklevel=3,
            )
        self._is_unit = is_unit(X)
        likelihood = self.likelihood
        if likelihood == "auto":
            likelihood = "bernoulli" if self._is_unit else "gaussian-linear"
            if is_whole(X):
                warnings.warn(
                    f'X holds whole numbers {span(X)}, which likelihood="auto" takes as they are, with '
                    '"gaussian-linear". If they are grey levels, divide them by that of white, or pass them as uint8 '
                    'if that is 255; if they are not, set likelihood="gaussian-linear".',
                    stacklevel=3,
                )
        settings = self._settings(X, likelihood, draw_seed(self.random_state))
        require_support(X, likelihood)
        self.__dict__.pop("classes_", None)
        if self.conditional:
            labels = read_labels(y)
            check_classification_targets(labels)
            self.classes_ = np.unique(labels if classes is None else read_labels(classes, "classes"))
        return X, self._labels(y, X), settings

    def _settings(self, X: Array, likelihood: str, seed: int) -> Settings:
        """What the parameters mean for X."""
        require_sense(self)
        settings = Settings(
            latent=(int(self.n_components),),
            hidden=(tuple(map(int, self.hidden)),),
            likelihood=likelihood,
            prior=self.prior,
            components=int(self.n_prior_components),
            conditional=bool(self.conditional),
            objective=self.objective,
            samples=int(self.n_samples),
            learning_rate=float(self.learning_rate),
            schedule=self.schedule,
            batch_size=min(int(self.batch_size), len(X)),
            epochs=int(self.max_epochs),
            seed=seed,
            dtype=float_type(X).name,
        )
        return settings if settings.has_closed_kl else replace(settings, kl="sampled")

    def _train(
        self, settings: Settings, X: Array, labels: Labels | None, epochs: int, progress: Any = None, history: Any = ()
    ) -> "VAE":
        """Some epochs of the command's loop, from the beginning or from where ``progress`` is; returns self."""
        n_labels = 0 if labels is None else len(self.classes_)
        shape = self.fitted_.data_shape if progress else (X.shape[1],)
        dataset = Dataset("X", X, X[:0], labels, None, shape, "", n_labels)  # without a test set
        training = Training(settings, dataset, count_threads(self.n_jobs))
        if progress:
            arrays, state = progress
            training.restore(training.state()[0] | arrays, state)
        history = list(history)
        with training.crew:  # once for all epochs: it takes as long as a small one
            for _ in range(epochs):
                history.append(self._run_epoch(training))
        self.settings_, self.model_, self.history_ = settings, training.model, history
        self._progress = training.state()
        return self

    def _run_epoch(self, training: Training) -> dict[str, float]:
        """An epoch, and what ``history_`` says of it."""
        try:
            bound = training.run_epoch()
        except DivergenceError as error:
            raise ValueError(
                f"{str(error).splitlines()[0]}\nTry a smaller step than learning_rate={self.learning_rate:g}, or scale "
                "the columns of X, as StandardScaler does."
            ) from None
        if self.verbose:
            print(f"epoch {training.epoch}: {bound:.2f} nats per example", flush=True)
        return dict(zip(HISTORY, (training.epoch, training.samples_seen, bound)))

    # -- runs ----------------------------------------------------------------------------------------------------------

    @classmethod
    def from_run(cls, path: AnyPath) -> "VAE":
        """The model that ``python -m tinyvae.train`` or ``write_run`` left in a folder, as a fitted estimator.

        ``partial_fit`` goes on with its numbers, and with the state of its optimiser if that was Adam.

        Args:
            path: of the folder.

        Raises: errors.RunError for a folder without a trained model; ValueError for more than one stochastic layer, or
            another network than the MLP.
        """
        fitted = description.load_fitted(path)
        settings = fitted.settings
        if len(settings.latent) > 1 or settings.network != "mlp":
            raise ValueError(
                f"{path} holds a model of {len(settings.latent)} stochastic layers with the network "
                f"{settings.network}, and a VAE has one layer and MLPs: use tinyvae.load"
            )
        own = {name: getattr(settings, setting) for setting, name in MODEL.items()}
        vae = cls(
            **own | {"n_components": settings.latent[0], "hidden": settings.hidden[0]},
            objective=settings.objective,
            n_samples=settings.samples,
            max_epochs=settings.epochs,
            batch_size=settings.batch_size,
            learning_rate=settings.learning_rate,
            schedule=settings.schedule,
            random_state=settings.seed,
        )
        run = Run.open(path)
        if settings.conditional:
            _, about, _ = description.read_config(run)
            vae.classes_ = np.array(range(fitted.model.n_labels) if about["classes"] is None else about["classes"])
        vae.n_features_in_ = fitted.model.data_dim
        vae.settings_, vae.model_ = settings, fitted.model
        arrays, state = run.load_checkpoint()
        vae.history_ = [{name: row[name] for name in HISTORY} for row in run.history()[: state["epoch"]]]
        # the state of another optimiser is of no use, nor is the place in an epoch of other data
        kept = arrays if settings.optimiser == Settings.optimiser else {"params": arrays["params"]}
        vae._progress = kept, state | {"position": 0, "epoch_total": 0.0}
        return vae

    def write_run(self, path: AnyPath) -> None:
        """Write the fitted model into the folder of a run, which ``tinyvae.load`` and ``from_run`` open.

        The data are not in it: the commands that need them, ``evaluate`` and ``train --resume``, say so.

        Args:
            path: of the folder, which may exist but must not hold a run.

        Raises: errors.RunError if it holds a run, or cannot be written.
        """
        check_is_fitted(self)
        classes = {"classes": self.classes_} if self.settings_.conditional else {}
        arrays, state = self._progress
        nothing = {"test_bound": math.nan, "seconds": math.nan}
        rows = [nothing | row for row in self.history_]
        with Run.create(path, description.describe_fitted(self.fitted_) | classes) as run:
            run.write_history(rows)
            run.save_checkpoint(arrays, state | origin(self.settings_, rows))

    # -- use of a fitted model -----------------------------------------------------------------------------------------

    @property
    def params_(self) -> Parameters:
        """The numbers of the model: parameters.Parameters, views of one vector."""
        check_is_fitted(self)
        arrays, _ = self._progress
        return Parameters(self.model_.shapes(), arrays["params"])

    @property
    def fitted_(self) -> Fitted:
        """The trained model, to hand around: training.fitted.Fitted, for data of the shape (D,)."""
        check_is_fitted(self)
        return Fitted(self.model_, self.params_, self.settings_)

    @property
    def _n_features_out(self) -> int:
        return self.model_.latent[0]

    def transform(self, X: ArrayLike, y: ArrayLike | None = None) -> Array:
        """The posterior means E[z | x], or E[z | x, y].

        Args:
            X: (N, D), read as by ``fit``.
            y: (N,) labels, of a conditional model, whose encoder has them as an input; else ignored.

        Returns: (N, n_components) in the dtype of X, or that of the model for uint8 and bool.
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
        require_size("n_samples", n_samples)
        if y is not None and not self.settings_.conditional:
            raise ValueError("this VAE was fitted without labels, and has no samples of one: use conditional=True")
        y = np.full(n_samples, y) if y is not None and np.asarray(y, object).ndim == 0 else y
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
            AEVB's cross entropy between; under the others it is the logarithm of a density.
        """
        X = self._checked(X)
        require_size("n_importance_samples", self.n_importance_samples)
        fitted, labels, K = self.fitted_, self._labels(y, X), int(self.n_importance_samples)

        def log_p(n: int) -> Array:
            x, y = fitted.rows(X[n : n + 1]), take(labels, slice(n, n + 1))
            seed = self.settings_.seed ^ (zlib.crc32(x.tobytes()) << 32)
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
        require_support(checked, self.model_.likelihood, self.likelihood == "auto")
        if is_nearly_black(checked):
            warnings.warn(NEARLY_BLACK, stacklevel=3)
        elif checked.dtype == np.uint8 and self._is_unit is False:
            warnings.warn(
                "X is uint8 and is divided by 255, but the X that was fitted went beyond 0 to 1: pass it in the scale "
                "of that one, with X.astype(float) if that had grey levels from 0 to 255",
                stacklevel=3,
            )
        elif self._is_unit and is_whole(checked):
            warnings.warn(
                f"X holds whole numbers {span(checked)}, which are taken as they are, but the X that was fitted lay "
                "between 0 and 1: if these are grey levels, divide them by that of white, or pass them as uint8 if "
                "that is 255",
                stacklevel=3,
            )
        return checked

    def _read(self, X: Any, reset: bool) -> np.ndarray:
        """X as a data set holds it: (N, D) uint8, bool, float32 or float64; with ``reset`` its features are learned."""
        X = X if hasattr(X, "shape") else np.asarray(X)
        if len(X.shape) > 2:
            raise ValueError(
                f"X has the shape {tuple(X.shape)}, but a row of numbers is needed for each example: pass "
                "X.reshape(len(X), -1)"
            )
        X = validate_data(self, X, dtype="numeric", order="C", reset=reset)
        return X if X.dtype in (np.uint8, np.bool_) else as_floats(X)

    def _labels(self, y: Any, X: Array) -> Labels | None:
        """The places of the labels in ``classes_``: (N,) int; None where the model is not conditional."""
        if not hasattr(self, "classes_"):
            return None
        y = read_labels(y)
        check_consistent_length(X, y)
        are_strings = [labels.dtype.kind == "U" for labels in (y, self.classes_)]
        if (unknown := ~np.isin(y, self.classes_) | (are_strings[0] != are_strings[1])).any():
            raise ValueError(
                f"y has the label {y[unknown].tolist()[0]!r}, which is not among those of this VAE: "
                f"{', '.join(map(repr, self.classes_[:20].tolist()))}{', ...' if len(self.classes_) > 20 else ''}"
            )
        return np.searchsorted(self.classes_, y)


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
# What X and y mean
# ---------------------------------------------------------------------------------------------------------------------


def as_floats(X: np.ndarray) -> Array:
    """Numbers as they are, in the machine's byte order: float32 for float16 and float32, else float64."""
    if X.dtype.kind not in "biuf":
        raise ValueError(f"X is of type {X.dtype}: numbers are needed")
    return X.astype(np.float32 if X.dtype.kind == "f" and X.dtype.itemsize <= 4 else np.float64, copy=False)


def float_type(X: np.ndarray) -> np.dtype[Any]:
    """What X, as a data set holds it, is computed in: its own type, or the command's float32."""
    return X.dtype if X.dtype.kind == "f" else np.dtype(np.float32)


def ends(X: np.ndarray) -> Array:
    """The smallest and the largest of the intensities."""
    return to_float(np.array([X.min(), X.max()]), float_type(X))


def span(X: np.ndarray) -> str:
    """The same in words, with all digits: 1.0000001 is not 1."""
    smallest, largest = (str(end).removesuffix(".0") for end in ends(X))
    return f"from {smallest} to {largest}"


def is_unit(X: np.ndarray) -> bool:
    """Whether all intensities lie between 0 and 1."""
    smallest, largest = ends(X)
    return bool(smallest >= 0 and largest <= 1)


def is_whole(X: np.ndarray) -> bool:
    """Whether the intensities are whole numbers from 0 to more than 1, which may be grey levels or not."""
    smallest, largest = ends(X)
    return smallest >= 0 and largest > 1 and all(np.array_equal(row, np.rint(row)) for row in X)


def is_nearly_black(X: np.ndarray) -> bool:
    """Whether uint8 holds what may be meant for black and white."""
    return bool(X.dtype == np.uint8 and X.max() == 1)


def read_labels(y: Any, name: str = "y") -> np.ndarray:
    """Labels as (N,) numbers, bools or strings, or ValueError."""
    if y is None:
        raise ValueError(
            "a VAE with conditional=True requires y to be passed, but the target y is None: give each example its label"
        )
    y = column_or_1d(y if hasattr(y, "dtype") else np.asarray(y, object))
    if y.dtype == object:  # of which NumPy would make strings, if one of them is
        kinds = {
            "a string" if isinstance(label, str) else "a number" if isinstance(label, NUMBERS) else "neither": label
            for label in y
        }
        if "neither" in kinds:
            raise ValueError(f"{name} has {kinds['neither']!r} for a label: whole numbers, strings or bools are needed")
        if len(kinds) > 1:
            both = " and ".join(f"{label!r} ({kind})" for kind, label in kinds.items())
            raise ValueError(f"{name} has labels of two types, {both}: use one, as in [str(label) for label in y]")
        y = np.array(y.tolist())
    if y.dtype.kind not in "biufU":
        raise ValueError(f"{name} is of type {y.dtype}: whole numbers, strings or bools are needed")
    if y.dtype.kind == "f" and not np.isfinite(y).all():
        raise ValueError(f"{name} has {y[~np.isfinite(y)][0]} for a label: give each example its label")
    return y


# ---------------------------------------------------------------------------------------------------------------------
# What is refused
# ---------------------------------------------------------------------------------------------------------------------


def require_size(name: str, value: Any) -> None:
    """ValueError for what is not a whole number above zero."""
    if not isinstance(value, numbers.Integral) or isinstance(value, bool) or value < 1:
        raise ValueError(f"{name}={value!r}: a whole number above zero is needed")


def require_sense(vae: VAE) -> None:
    """ValueError for parameters that mean nothing, or nothing together."""
    for name in SIZES:
        require_size(name, getattr(vae, name))
    if isinstance(vae.hidden, str) or not np.iterable(vae.hidden):
        raise ValueError(f"hidden={vae.hidden!r}: a tuple is needed, as in hidden=(500,)")
    for units in vae.hidden:
        require_size("each of hidden", units)
    choices: dict[str, tuple[Any, ...]] = {
        name: tuple(CHOICES[name]) for name in ("likelihood", "objective", "prior", "schedule")
    }
    choices |= {"likelihood": ("auto", *CHOICES["likelihood"]), "conditional": (False, True)}
    for name, allowed in choices.items():
        if getattr(vae, name) not in allowed:
            raise ValueError(f"{name}={getattr(vae, name)!r}: one of {', '.join(map(repr, allowed))} is needed")
    rate = vae.learning_rate
    if not isinstance(rate, numbers.Real) or isinstance(rate, bool) or not 0 < rate < math.inf:
        raise ValueError(f"learning_rate={rate!r}: a number above zero is needed")
    if PRIORS[vae.prior].needs_labels and not vae.conditional:
        raise ValueError(f'prior="{vae.prior}" is learned for each label: it needs conditional=True')


def require_support(X: np.ndarray, likelihood: str, by_auto: bool = False) -> None:
    """ValueError for values that the likelihood, which may have been chosen by "auto", does not describe."""
    (lowest, highest), (smallest, largest) = LIKELIHOODS[likelihood].support, ends(X)
    if smallest < lowest or largest > highest:
        message = (
            f'X has values {span(X)}, but likelihood="{likelihood}" describes values from {lowest:g} to {highest:g}: '
            "rescale X (grey levels / 255), clip it (MinMaxScaler(clip=True) does both), or set "
            'likelihood="gaussian-linear"'
        )
        if by_auto:
            message += f' and fit again ("auto" chose "{likelihood}" since the X that was fitted lay between 0 and 1)'
        raise ValueError(message)
