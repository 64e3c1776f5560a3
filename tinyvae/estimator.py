"""The variational autoencoder as a scikit-learn estimator: the same model and the same loop as the command's.

``VAE`` keeps what it has learned as plain arrays and numbers, so that it can be copied, pickled and sent to other
processes; threads exist only while a method runs.
"""

import math
import numbers
import zlib
from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import replace
from typing import Any

import numpy as np
from joblib import effective_n_jobs
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import check_array, check_consistent_length, check_random_state, column_or_1d
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from tinyvae import machine
from tinyvae.data.datasets import Dataset
from tinyvae.derivation.parameters import Parameters
from tinyvae.disk.run import Run
from tinyvae.errors import DivergenceError
from tinyvae.settings import CHOICES, LIKELIHOODS, PRIORS, Settings
from tinyvae.training import description
from tinyvae.training.fitted import Fitted, take
from tinyvae.training.importance_sampling import log_likelihood
from tinyvae.training.loop import Training
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
SIZES = ("n_components", "n_samples", "n_prior_components", "max_epochs", "batch_size", "n_importance_samples")


class VAE(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """Variational autoencoder with one stochastic layer (AEVB; under ``objective="iwae"`` that of IWAE).

    The features are the posterior means E[z | x]. All is computed in the dtype of the X that was fitted, float32 or
    float64 (the former is about twice as fast), and what comes out has the dtype of what went in.

    Args:
        n_components: dimensions of z.
        hidden: tanh units of the encoder's hidden layers, from the data on, and in reverse the decoder's; () for none.
        likelihood: "bernoulli" and "gaussian" (its mean goes through a sigmoid) describe values from 0 to 1, and refuse
            others; "gaussian-linear" describes any real numbers. "auto" takes "bernoulli" if all values of the X that
            is fitted lie between 0 and 1, else "gaussian-linear": so name the likelihood where the log p(x) of several
            fits are compared, as in a search, or where X comes in parts.
        objective: "elbo" or "iwae", the bound that is maximised. The KL divergence of the ELBO has its closed form
            (AEVB, Eq. 10) where there is one.
        n_samples: K, samples of z for each example in the bound.
        prior: of z: "normal", "mixture", "vamp" or, of a conditional model, "label".
        n_prior_components: of the priors "mixture" and "vamp".
        conditional: whether the labels y enter the encoder and the decoder; every method then wants them.
        max_epochs: how often ``fit`` visits each example.
        batch_size: examples in a minibatch; all of them where there are fewer.
        learning_rate: the largest step of Adam.
        schedule: of the step in ``fit``: "cosine" takes it down to zero, "constant" keeps it, "iwae" is that paper's.
        n_importance_samples: of z for each example in ``score_samples``.
        random_state: an int is the seed, as the command's --seed; from a RandomState, or from NumPy's own for None, one
            is drawn.
        n_jobs: threads; None means 1 (or what joblib's ``parallel_config`` says), -1 all cores. The result is the same.
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
        the training diverges; TypeError for sparse matrices.
    """

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
            X: (N, D) float32 or float64; other numbers become float64.
            y: (N,) labels, of a conditional model; else ignored.

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
        X = validate_data(self, X, dtype=DTYPES, order="C")
        likelihood = self.likelihood
        if likelihood == "auto":
            likelihood = "bernoulli" if X.min() >= 0 and X.max() <= 1 else "gaussian-linear"
        settings = self._settings(X, likelihood, draw_seed(self.random_state))
        require_support(X, likelihood)
        self.__dict__.pop("classes_", None)
        if self.conditional:
            require_labels(y)
            check_classification_targets(y)
            self.classes_ = np.unique(column_or_1d(y if classes is None else classes))
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
            dtype=X.dtype.name,
        )
        return settings if settings.has_closed_kl else replace(settings, kl="sampled")

    def _train(
        self, settings: Settings, X: Array, labels: Labels | None, epochs: int, progress: Any = None, history: Any = ()
    ) -> "VAE":
        """Some epochs of the command's loop, from the beginning or from where ``progress`` is; returns self."""
        n_labels = 0 if labels is None else len(self.classes_)
        shape = self.fitted_.data_shape if progress else (X.shape[1],)
        dataset = Dataset("X", X, X[:0], labels, None, shape, "", n_labels)  # without a test set
        training = Training(settings, dataset, effective_n_jobs(self.n_jobs))
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
            vae.classes_ = np.array(run.config().get("classes", range(fitted.model.n_labels)))
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
        run = Run.create(path, description.describe_fitted(self.fitted_) | classes)
        nothing = {"test_bound": math.nan, "seconds": math.nan}
        run.write_history([nothing | row for row in self.history_])
        run.save_checkpoint(*self._progress)

    # -- use of a fitted model -----------------------------------------------------------------------------------------

    @property
    def params_(self) -> Parameters:
        """The numbers of the model: parameters.Parameters, views of one vector."""
        arrays, _ = self._progress
        return Parameters(self.model_.shapes(), arrays["params"])

    @property
    def fitted_(self) -> Fitted:
        """The trained model, to hand around: training.fitted.Fitted."""
        return Fitted(self.model_, self.params_, self.settings_)

    @property
    def _n_features_out(self) -> int:
        return self.model_.latent[0]

    def transform(self, X: ArrayLike, y: ArrayLike | None = None) -> Array:
        """The posterior means E[z | x], or E[z | x, y].

        Args:
            X: (N, D).
            y: (N,) labels, of a conditional model, whose encoder has them as an input; else ignored.

        Returns: (N, n_components) in the dtype of X.
        """
        X = self._checked(X)
        return self._as(X, lambda: self.fitted_.encode(X, self._labels(y, X))[0])

    def inverse_transform(self, X: ArrayLike, y: ArrayLike | None = None) -> Array:
        """The decoder's means E[x | z], or E[x | z, y].

        Args:
            X: (N, n_components) values of z.
            y: (N,) labels, of a conditional model; else ignored.

        Returns: (N, D) in the dtype of X.
        """
        check_is_fitted(self)
        z = check_array(X, dtype=DTYPES, input_name="X")
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
        y = np.full(n_samples, y) if y is not None and np.ndim(y) == 0 else y
        labels = self._labels(y, np.empty((n_samples, 0)))
        return self._as(None, lambda: self.fitted_.sample(n_samples, labels, draw_seed(self.random_state)))

    def score_samples(self, X: ArrayLike, y: ArrayLike | None = None) -> Array:
        """log p(x), or log p(x | y), by importance sampling: log (1/K) sum_k w_k with K = ``n_importance_samples``
        (IWAE, section 5.1); a lower bound in expectation.

        The noise of an example follows from the seed and from the example itself, so that its value depends neither on
        its place nor on which others there are.

        Args:
            X: (N, D).
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

        with machine.crew(effective_n_jobs(self.n_jobs)):
            return np.concatenate([log_p(n) for n in range(len(X))])

    def score(self, X: ArrayLike, y: ArrayLike | None = None) -> float:
        """The mean of ``score_samples``, in nats per example."""
        return float(self.score_samples(X, y).mean())

    def _as(self, X: Array | None, function: Callable[[], Array]) -> Array:
        """The result of a function, which has ``n_jobs`` threads, as rows in the dtype of X."""
        with machine.crew(effective_n_jobs(self.n_jobs)):
            result = function()
        return result.reshape(len(result), -1).astype(result.dtype if X is None else X.dtype, copy=False)

    def _checked(self, X: ArrayLike) -> Array:
        """X as an array, of as many and the same features as were fitted, which the likelihood describes."""
        check_is_fitted(self)
        checked: Array = validate_data(self, X, dtype=DTYPES, order="C", reset=False)
        require_support(checked, self.model_.likelihood)
        return checked

    def _labels(self, y: Any, X: Array) -> Labels | None:
        """The places of the labels in ``classes_``: (N,) int; None where the model is not conditional."""
        if not hasattr(self, "classes_"):
            return None
        require_labels(y)
        y = column_or_1d(y)
        check_consistent_length(X, y)
        if (unknown := ~np.isin(y, self.classes_)).any():
            raise ValueError(
                f"y has the label {y[unknown][0]!s}, which is not among those of this VAE: "
                f"{', '.join(map(str, self.classes_[:20]))}{', ...' if len(self.classes_) > 20 else ''}"
            )
        return np.searchsorted(self.classes_, y)


def draw_seed(random_state: int | np.random.RandomState | None) -> int:
    """A seed: the int itself, as the command takes it, or a number drawn from a RandomState."""
    if not isinstance(random_state, numbers.Integral):
        return int(check_random_state(random_state).randint(2**31 - 1))
    if not 0 <= random_state < 2**64:
        raise ValueError(f"random_state={random_state}: a seed from 0 to 2^64 - 1 is needed")
    return int(random_state)


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


def require_support(X: Array, likelihood: str) -> None:
    """ValueError for values that the likelihood does not describe."""
    (lowest, highest), smallest, largest = LIKELIHOODS[likelihood].support, X.min(), X.max()
    if smallest < lowest or largest > highest:
        raise ValueError(
            f'X has values from {smallest:g} to {largest:g}, but likelihood="{likelihood}" describes values from '
            f'{lowest:g} to {highest:g}: rescale X (grey levels / 255), or use likelihood="gaussian-linear"'
        )


def require_labels(y: Any) -> None:
    """ValueError where a conditional model is asked without labels."""
    if y is None:
        raise ValueError(
            "a VAE with conditional=True requires y to be passed, but the target y is None: give each example its label"
        )
