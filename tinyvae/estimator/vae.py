"""The variational autoencoder as a scikit-learn estimator: the same model and the same loop as the command's.

``VAE`` keeps what it has learned as plain arrays and numbers, so that it can be copied, pickled and sent to other
processes; threads exist only while a method runs.
"""

from collections.abc import Sequence
from contextlib import suppress
from copy import copy
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted

from tinyvae.data.datasets import Dataset
from tinyvae.errors import DivergenceError, UserError
from tinyvae.estimator import runs
from tinyvae.estimator.arguments import (
    count_threads,
    draw_seed,
    in_parameters,
    longer,
    require_meaning,
    require_same_model,
    settings_of,
    shape_of,
)
from tinyvae.estimator.inputs import is_unit, read_labels, require_same_classes, require_scale, require_support
from tinyvae.estimator.trained import Trained
from tinyvae.settings import Settings
from tinyvae.training.loop import Training
from tinyvae.training.protocol import unit
from tinyvae.types import AnyPath, Array, Labels

DTYPES = [np.float64, np.float32]


class VAE(Trained):
    """Variational autoencoder with one stochastic layer (AEVB; under ``objective="iwae"`` that of IWAE).

    The features are the posterior means E[z | x].

    Every method reads X as the command reads a file: uint8 holds grey levels from 0 to 255, which are divided by 255;
    bool is black and white, 0 and 1; floats are taken as they are, and so are other whole numbers, whose scale only you
    know. So a model that was fitted to uint8 wants uint8 later, or floats from 0 to 1. A UserWarning says where X may
    have another scale than was meant: whole numbers above 1 under "auto", uint8 that is fitted without a value from 128
    on, uint8 where the X that was fitted went beyond 0 to 1, and the reverse; and under "gaussian-linear" columns whose
    standard deviation is far from 1, which want a StandardScaler before.

    All is computed in the dtype of the X that was fitted: float32 (about twice as fast) for that, float16, uint8 and
    bool, else float64. What comes out is float32 for float32 and float16, that of the model for uint8 and bool, and
    float64 for all else.

    Args:
        n_components: dimensions of z.
        hidden: units of the encoder's hidden layers, from the data on, and in reverse the decoder's; () for none.
        likelihood: "bernoulli" and "gaussian" (its mean goes through a sigmoid) describe values from 0 to 1, and refuse
            others; "gaussian-linear" describes any real numbers; "logistic", "logistic-mixture" and "logistic-colour"
            the 256 levels of a byte; "categorical" symbols (``data_shape``). "auto" takes "bernoulli" if all values of
            the X that is fitted lie between 0 and 1, else "gaussian-linear": so name the likelihood where the log p(x)
            of several fits are compared, as in a search, where X comes in parts, and where a later X may go beyond the
            first.
        objective: "elbo" or "iwae", the bound that is maximised. The KL divergence of the ELBO has its closed form
            (AEVB, Eq. 10) where there is one.
        n_samples: K, samples of z for each example in the bound.
        prior: of z: "normal", "mixture", "vamp" or, of a conditional model, "label".
        network: of the encoder and of the decoder, "mlp" or, for images, "conv"; for this the command's recipe is
            activation="relu", hidden=(256,), n_components=32 and learning_rate=0.002, which no other default becomes.
            For sequences "gru", whose recipe is hidden=(), n_components=25 and learning_rate=0.002.
        activation: of the hidden layers, "tanh" or "relu".
        channels: feature maps of the layers of "conv", from the data on; ``hidden`` stands between the last and z.
        kernel: the height and the width of its windows, in pixels.
        stride: the steps of its windows, in pixels, from 1 to ``kernel``.
        units: numbers of the states of "gru"; ``hidden`` stands between these and z.
        directions: in which its encoder reads, 1 or 2.
        feedback: whether its decoder is told at each step what the data are at the step before.
        word_dropout: how often that is hidden from it in training, a share of all steps.
        data_shape: of the examples, each of which is a row of X, as by X.reshape(len(X), -1): (height, width) or
            (height, width, channels), which "conv" must know; (steps, numbers of a step) for "gru" and for
            likelihood="categorical", which takes each step for a symbol, one of as many as it has numbers; None for
            (D,).
        n_prior_components: of the priors "mixture" and "vamp".
        conditional: whether the labels y enter the encoder and the decoder; every method then wants them. (So it can
            only be the last step of a pipeline, and what is held out in a cross-validation must have labels that are
            among the others: StratifiedKFold.)
        beta: the weight of the KL divergence in training; with more than 1 what is trained is a looser bound, with less
            it is none. (What is reported stays the ELBO; these three go with the closed form.)
        anneal: epochs in which that weight rises from 0; 0 for none.
        free_bits: nats of the divergence that each dimension of z may keep at no price, on a minibatch's mean.
        max_epochs: how often ``fit`` visits each example.
        batch_size: examples in a minibatch; all of them where there are fewer (``settings_`` has what was used).
        learning_rate: the largest step of Adam.
        schedule: of the step in ``fit``: "cosine" takes it down to zero, "constant" keeps it, "iwae" is that paper's.
        n_importance_samples: of z for each example in ``score_samples``; with fewer a search is faster, and log p(x)
            understated by more.
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

    def __init__(
        self,
        n_components: int = 20,
        hidden: Sequence[int] = (500,),
        likelihood: str = "auto",
        objective: str = "elbo",
        n_samples: int = 1,
        prior: str = "normal",
        *,
        network: str = "mlp",
        activation: str = "tanh",
        channels: Sequence[int] = (32, 64),
        kernel: int = 4,
        stride: int = 2,
        units: int = 100,
        directions: int = 2,
        feedback: bool = False,
        word_dropout: float = 0.0,
        data_shape: Sequence[int] | None = None,
        n_prior_components: int = 50,
        conditional: bool = False,
        beta: float = 1.0,
        anneal: int = 0,
        free_bits: float = 0.0,
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
        self.network = network
        self.activation = activation
        self.channels = channels
        self.kernel = kernel
        self.stride = stride
        self.units = units
        self.directions = directions
        self.feedback = feedback
        self.word_dropout = word_dropout
        self.data_shape = data_shape
        self.n_prior_components = n_prior_components
        self.conditional = conditional
        self.beta = beta
        self.anneal = anneal
        self.free_bits = free_bits
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
        require_meaning(self)
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
        require_meaning(self)
        fresh = copy(self)
        if not hasattr(self, "model_"):
            X, labels, settings = fresh._begin(X, y, classes)
            return self._become(fresh._train(replace(settings, schedule="constant", epochs=1), X, labels, 1))
        X, before = self._checked(X), self.settings_
        likelihood = before.likelihood if self.likelihood == "auto" else self.likelihood
        settings = replace(settings_of(self, X, likelihood, before.seed, before), dtype=before.dtype)
        require_same_model(settings, shape_of(self, X), self.fitted_)
        if classes is not None and self.conditional:
            require_same_classes(classes, self.classes_)
        settings = longer(settings, before, len(self.history_) + 1)
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
        self._is_unit = is_unit(X)
        chosen = "bernoulli" if self._is_unit else "gaussian-linear"
        likelihood = chosen if self.likelihood == "auto" else self.likelihood
        require_scale(X, likelihood, self.likelihood == "auto")
        settings = settings_of(self, X, likelihood, draw_seed(self.random_state))
        require_support(X, likelihood)
        for name in ("classes_", "_vocabulary"):
            self.__dict__.pop(name, None)
        if self.conditional:
            labels = read_labels(y)
            check_classification_targets(labels)
            self.classes_ = np.unique(labels if classes is None else read_labels(classes, "classes"))
        return X, self._labels(y, X), settings

    def _train(
        self, settings: Settings, X: Array, labels: Labels | None, epochs: int, progress: Any = None, history: Any = ()
    ) -> "VAE":
        """Some epochs of the command's loop, from the beginning or from where ``progress`` is; returns self."""
        n_labels = 0 if labels is None else len(self.classes_)
        dataset = Dataset("X", X, X[:0], labels, None, shape_of(self, X), "", n_labels, vocabulary=self._vocabulary)
        threads = count_threads(self.n_jobs)
        try:
            training = Training(settings, dataset, threads)
        except UserError as error:
            raise type(error)(in_parameters(str(error), goes_on=bool(progress))) from None
        if progress:
            arrays, state = progress
            training.restore(arrays, state)
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
            what, advice = str(error).split("\n", 1)
            if not what.endswith("training diverged"):  # before any step, so that no smaller one would help
                raise ValueError(f"{what}\n{advice}") from None
            raise ValueError(
                f"{what}\nTry a smaller step than learning_rate={self.learning_rate:g}, or scale "
                "the columns of X, as StandardScaler does."
            ) from None
        if self.verbose:
            # a pipe whose reader has gone, a stream that is closed: no reason to lose a fit
            with suppress(OSError, ValueError):
                print(f"epoch {training.epoch}: {bound:.2f} {unit(training.fitted)}", flush=True)
        return dict(zip(runs.HISTORY, (training.epoch, training.samples_seen, bound)))

    # -- runs ----------------------------------------------------------------------------------------------------------

    @classmethod
    def from_run(cls, path: AnyPath) -> "VAE":
        """The model that ``python -m tinyvae.train`` or ``write_run`` left in a folder, as a fitted estimator.

        ``partial_fit`` goes on with the run: its numbers, its optimiser and that one's state, and whatever else a VAE
        has no parameter for (how pixels are drawn, the estimator of the gradient, a prior on the weights). ``fit``
        begins anew, with the parameters alone. A run knows neither the names of features nor
        ``n_importance_samples``.

        Args:
            path: of the folder.

        Raises: errors.RunError for a folder without a trained model; ValueError for more than one stochastic layer.
        """
        parameters, attributes = runs.read(path)
        vae = cls(**parameters)
        vae.__dict__.update(attributes)
        return vae

    def write_run(self, path: AnyPath) -> None:
        """Write the fitted model into the folder of a run, which ``tinyvae.load`` and ``from_run`` open.

        The data are not in it: the commands that need them, ``evaluate`` and ``train --resume``, say so.

        Args:
            path: of the folder, which may exist but must not hold a run.

        Raises: errors.RunError if it holds a run, or cannot be written.
        """
        check_is_fitted(self)
        runs.write(path, self.fitted_, self.history_, self._progress, getattr(self, "classes_", None))
