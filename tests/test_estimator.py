"""The scikit-learn estimator: scikit-learn's own checks, and what each method promises."""

import pickle
import subprocess
import sys
from contextlib import nullcontext

import joblib
import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator, parametrize_with_checks

import tinyvae
from tests.commands import assert_misuse, call, python
from tinyvae import VAE, evaluate, settings
from tinyvae.data import datasets
from tinyvae.data.datasets import Dataset
from tinyvae.disk.run import Run
from tinyvae.errors import Interrupted, RunError
from tinyvae.estimator.arguments import count_threads
from tinyvae.settings import Settings
from tinyvae.training import run_figures
from tinyvae.training.loop import Training

SMALL = {"n_components": 3, "hidden": (16,), "max_epochs": 3, "random_state": 0}
# The images of the digits fixture, through two small layers of convolutions.
CONV = {
    "network": "conv",
    "activation": "relu",
    "channels": (3, 4),
    "kernel": 3,
    "data_shape": (8, 8),
    "n_importance_samples": 20,
}
VARIANTS = (
    {},
    {"objective": "iwae", "n_samples": 2, "activation": "relu"},
    {"likelihood": "gaussian-linear", "prior": "mixture", "n_prior_components": 3, "hidden": ()},
)


@pytest.fixture(scope="module")
def digits():
    """float32 between 0 and 1, and the labels."""
    bunch = load_digits()
    return np.float32(bunch.data / 16), bunch.target


@pytest.fixture(scope="module")
def fitted(digits):
    return VAE(**SMALL).fit(digits[0])


@pytest.fixture(scope="module")
def conv_fitted(digits):
    return VAE(**SMALL, **CONV).fit(digits[0])


@pytest.fixture(scope="module")
def conditional(digits):
    """A model of the digits under their names, and these."""
    X, y = digits
    names = np.array(["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"])[y]
    return VAE(n_components=5, hidden=(100,), conditional=True, max_epochs=60, random_state=0).fit(X, names), names


@pytest.fixture(scope="module")
def planted(digits):
    """A fitted VAE whose parameters are replaced by probabilistic PCA's (test_linear_gaussian.py), its data and PCA."""
    X, Q = load_digits().data[:, 20:40] / 16, 3
    pca = PCA(Q).fit(X)
    s2, D = pca.noise_variance_, X.shape[1]
    W = pca.components_ * np.sqrt(pca.explained_variance_ - s2)[:, None]
    M = W @ W.T + s2 * np.eye(Q)
    vae = VAE(Q, hidden=(), likelihood="gaussian-linear", max_epochs=1, random_state=0, n_importance_samples=7).fit(X)
    params = vae.params_
    params["decoder.0.W"][:] = np.concatenate([W, np.zeros((Q, D))], axis=1)
    params["decoder.0.b"][:] = np.concatenate([pca.mean_, np.full(D, np.log(s2))])
    params["encoder.0.W"][:] = np.concatenate([W.T @ np.linalg.inv(M), np.zeros((D, Q))], axis=1)
    params["encoder.0.b"][:] = np.concatenate([-pca.mean_ @ W.T @ np.linalg.inv(M), np.log(s2 / np.diag(M))])
    return vae, X, pca, W


def same(a, b):
    """Whether two fits are the same, bit for bit."""
    return np.array_equal(a.params_.flat, b.params_.flat) and a.history_ == b.history_


# -- scikit-learn's checks ---------------------------------------------------------------------------------------------


@parametrize_with_checks([VAE(hidden=(8,), max_epochs=2).set_params(**variant) for variant in VARIANTS])
def test_scikit_learn_s_checks(estimator, check, monkeypatch):
    monkeypatch.setenv("SCIPY_ARRAY_API", "1")  # the check of array API input is left out without it
    check(estimator)


@pytest.mark.slow
def test_scikit_learn_s_checks_of_the_default(monkeypatch):
    monkeypatch.setenv("SCIPY_ARRAY_API", "1")
    results = check_estimator(VAE())
    assert len(results) > 40 and {result["status"] for result in results} == {"passed"}


# -- fitting -----------------------------------------------------------------------------------------------------------


def test_it_is_the_command_s_loop_and_an_int_is_the_command_s_seed(digits):
    X, _ = digits
    vae = VAE(**SMALL | {"random_state": 5, "batch_size": 70, "learning_rate": 0.01}).fit(X)
    settings = Settings(
        latent=(3,), hidden=((16,),), batch_size=70, learning_rate=0.01, epochs=3, seed=5, dtype="float32"
    )
    training = Training(settings, Dataset("digits", X, X[:10], None, None, (64,), ""))
    bounds = [training.run_epoch() for _ in range(3)]
    assert vae.settings_ == settings and vae.model_ == training.model
    np.testing.assert_array_equal(vae.params_.flat, training.params.flat)
    N = len(X)
    assert vae.history_ == [
        {"epoch": i + 1, "samples_seen": (i + 1) * N, "train_bound": bound} for i, bound in enumerate(bounds)
    ]


def test_a_convolutional_one_is_the_command_s_loop_too(digits, conv_fitted):
    X, _ = digits
    settings = Settings("conv", "relu", (3, 4), 3, 2, latent=(3,), hidden=((16,),), epochs=3, dtype="float32")
    training = Training(settings, Dataset("digits", X, X[:10], None, None, (8, 8), ""))
    bounds = [training.run_epoch() for _ in range(3)]
    assert conv_fitted.settings_ == settings and conv_fitted.model_ == training.model
    np.testing.assert_array_equal(conv_fitted.params_.flat, training.params.flat)
    assert [row["train_bound"] for row in conv_fitted.history_] == bounds


@pytest.mark.parametrize("changes", [{}, CONV])
def test_the_threads_change_nothing(digits, changes):
    X, _ = digits
    first, *others = (VAE(**SMALL, **changes, n_jobs=n_jobs).fit(X) for n_jobs in (None, 3, -1))
    for other in others:
        assert same(first, other)
        np.testing.assert_array_equal(first.transform(X), other.transform(X))
        np.testing.assert_array_equal(first.score_samples(X[:5]), other.score_samples(X[:5]))
        np.testing.assert_array_equal(first.sample(7), other.sample(7))


IN_A_WORKER = """
from multiprocessing import get_context
import numpy as np
from tinyvae import VAE

X = np.random.default_rng(0).random((50, 8))
vae = VAE(2, hidden=(5,), max_epochs=2, n_jobs=2, n_importance_samples=3, random_state=0)
with get_context("spawn").Pool(1) as pool:
    there = pool.apply(vae.fit, (X,))
    results = [pool.apply(use, (X,)) for use in (there.transform, there.score_samples)]
    results.append(pool.apply(there.set_params(n_jobs=-1).transform, (X,)))
here = vae.fit(X)
for result, right in zip(results, (here.transform(X), here.score_samples(X), here.transform(X))):
    np.testing.assert_array_equal(result, right)
"""


@pytest.mark.slow
def test_threads_in_another_s_worker_are_not_warned_of(tmp_path):
    result = python("-W", "error::UserWarning", "-c", IN_A_WORKER, cwd=tmp_path)
    assert (result.returncode, result.stderr) == (0, "")


@pytest.mark.slow
def test_a_search_of_two_processes_is_that_of_one(digits):
    X, vae = digits[0][:200], VAE(**SMALL, likelihood="bernoulli", n_importance_samples=2)
    alone = cross_val_score(vae, X, cv=2)
    for n_jobs in (1, 2, -1):
        np.testing.assert_array_equal(cross_val_score(clone(vae).set_params(n_jobs=n_jobs), X, cv=2, n_jobs=2), alone)


def test_threads_are_counted_by_joblib_s_rules():
    """Below one parallel loop, and below two, where joblib has one."""

    def counts(loops=0):
        if not loops:
            return [count_threads(n_jobs) for n_jobs in (None, 1, 2, -1)]
        return joblib.Parallel(2, backend="threading")(joblib.delayed(counts)(loops - 1) for _ in range(2))[0]

    cores = joblib.cpu_count()
    assert [counts(loops) for loops in range(3)] == [[1, 1, 2, cores], [1, 1, 2, cores], [1, 1, 1, 1]]
    for backend in ("loky", "threading", "multiprocessing"):
        with joblib.parallel_config(backend=backend, n_jobs=3):
            assert counts() == [3, 1, 2, cores]


def test_random_states(digits, fitted):
    X, _ = digits
    assert same(fitted, clone(fitted).fit(X))
    assert not same(fitted, clone(fitted).set_params(random_state=1).fit(X))
    drawn = [VAE(**SMALL | {"random_state": np.random.RandomState(3)}).fit(X) for _ in range(2)]
    assert same(*drawn)
    rng = np.random.RandomState(3)
    assert not same(*(VAE(**SMALL | {"random_state": rng}).fit(X) for _ in range(2)))
    unseeded = VAE(**SMALL | {"random_state": None}).fit(X)
    assert unseeded.settings_.seed != VAE(**SMALL | {"random_state": None}).fit(X).settings_.seed
    assert not np.array_equal(unseeded.sample(2), unseeded.sample(2))
    np.testing.assert_array_equal(fitted.sample(2), fitted.sample(2))


@pytest.mark.parametrize("changes", [{}, CONV])
def test_partial_fit_for_as_many_passes_is_fit_at_a_constant_step(digits, changes):
    X, _ = digits
    whole = VAE(**SMALL, **changes, schedule="constant").fit(X)
    parts = VAE(**SMALL, **changes)
    for _ in range(3):
        parts = pickle.loads(pickle.dumps(parts.partial_fit(X)))  # the optimiser's state is kept on the way
    assert same(whole, parts)


def test_partial_fit_goes_on_after_fit(digits, fitted):
    X, _ = digits
    vae = pickle.loads(pickle.dumps(fitted)).set_params(learning_rate=1e-4)
    vae.partial_fit(X[:70]).partial_fit(X[70:200])
    assert vae.history_[:3] == fitted.history_ and [row["epoch"] for row in vae.history_] == [1, 2, 3, 4, 5]
    assert vae.history_[-1]["samples_seen"] == 3 * len(X) + 200 and vae.settings_.learning_rate == 1e-4
    assert 0 < np.abs(vae.params_.flat - fitted.params_.flat).max() < 10 * 1e-4  # three of Adam's steps
    assert vae.fit(X).history_[0]["epoch"] == 1


def test_partial_fit_refuses_another_model(digits, fitted):
    vae = pickle.loads(pickle.dumps(fitted)).set_params(hidden=(17,), prior="vamp")
    with pytest.raises(ValueError, match="goes on with the model that was begun, but hidden, prior changed"):
        vae.partial_fit(digits[0])
    with pytest.raises(ValueError, match="64 features"):
        clone(fitted).partial_fit(digits[0]).partial_fit(digits[0][:, 1:])


@pytest.mark.parametrize(
    "changes",
    [
        {"network": "mlp"},
        {"activation": "tanh"},
        {"channels": (3, 5)},
        {"kernel": 4, "stride": 3},
        {"data_shape": (4, 16)},
        {"network": "mlp", "data_shape": None},
    ],
)
def test_partial_fit_refuses_another_convolutional_model(digits, conv_fitted, changes):
    vae = pickle.loads(pickle.dumps(conv_fitted)).set_params(**changes)
    with pytest.raises(ValueError, match=f"was begun, but {', '.join(changes)} changed since"):
        vae.partial_fit(digits[0])
    np.testing.assert_array_equal(vae.transform(digits[0]), conv_fitted.transform(digits[0]))  # of what was fitted


@pytest.mark.parametrize(
    "changes", [{}, {"network": "conv", "channels": (16, 32), "data_shape": (8, 8), "max_epochs": 40}]
)
def test_it_learns_to_reconstruct(digits, changes):
    """Better than the mean of the data, and than the best model of independent pixels, on data that it has not seen."""
    train, test = np.split(digits[0], [1500])
    vae = VAE(n_components=8, hidden=(64,), max_epochs=100, n_importance_samples=100, random_state=0)
    vae.set_params(**changes).fit(train)
    error = ((vae.inverse_transform(vae.transform(test)) - test) ** 2).mean()
    assert error < 0.6 * ((test - train.mean(axis=0)) ** 2).mean()
    p = np.clip(train.mean(axis=0, dtype=np.float64), 1e-3, 1 - 1e-3)
    assert vae.score(test) > np.mean(test @ np.log(p) + (1 - test) @ np.log(1 - p)) + 2


def test_auto_is_bernoulli_between_0_and_1_and_gaussian_elsewhere(digits):
    X, _ = digits
    assert VAE(**SMALL).fit(X).model_.likelihood == "bernoulli"
    assert VAE(**SMALL).fit(X + 0.1).model_.likelihood == "gaussian-linear"
    assert VAE(**SMALL).fit(-X).model_.likelihood == "gaussian-linear"


def test_a_training_that_diverges_says_what_to_do_and_leaves_the_former_model(digits, fitted):
    vae = pickle.loads(pickle.dumps(fitted)).set_params(learning_rate=1e30)
    with pytest.raises(ValueError, match=r"(?s)training diverged.*smaller step than learning_rate=1e\+30"):
        vae.fit(digits[0])
    assert same(vae, fitted)


def test_whatever_ends_a_fit_leaves_the_former_model(digits, conditional, monkeypatch):
    X, y = digits
    vae = pickle.loads(pickle.dumps(conditional[0]))
    before = vae.transform(X[:20], conditional[1][:20])

    def interrupted(*_):
        raise KeyboardInterrupt

    for fit in (lambda: vae.fit(X[:, :40], y), lambda: vae.partial_fit(X, conditional[1])):
        with monkeypatch.context() as context, pytest.raises(KeyboardInterrupt):
            context.setattr(Training, "_step", interrupted)
            fit()
        assert same(vae, conditional[0]) and vae.n_features_in_ == 64 and vae.classes_[0] == "eight"
        np.testing.assert_array_equal(vae.transform(X[:20], conditional[1][:20]), before)


def test_verbose_prints_a_line_an_epoch(digits, capsys):
    VAE(**SMALL).fit(digits[0])
    assert capsys.readouterr().out == ""
    vae = VAE(**SMALL, verbose=1).fit(digits[0])
    lines = [f"epoch {row['epoch']}: {row['train_bound']:.2f} nats per example" for row in vae.history_]
    assert capsys.readouterr().out.splitlines() == lines


# -- use of a fitted model ---------------------------------------------------------------------------------------------


def test_transform_is_the_posterior_mean_and_inverse_transform_the_decoder_s(digits, fitted):
    X, params = digits[0].astype(float), {name: array.astype(float) for name, array in fitted.params_.items()}
    hidden = np.tanh(X @ params["encoder.0.W"] + params["encoder.0.b"])
    mu = (hidden @ params["encoder.1.W"] + params["encoder.1.b"])[:, :3]
    np.testing.assert_allclose(fitted.transform(digits[0]), mu, atol=1e-5)
    hidden = np.tanh(mu @ params["decoder.0.W"] + params["decoder.0.b"])
    mean = 1 / (1 + np.exp(-(hidden @ params["decoder.1.W"] + params["decoder.1.b"])))
    np.testing.assert_allclose(fitted.inverse_transform(mu), mean, atol=1e-5)


def test_score_samples_is_exact_where_the_posterior_is(planted):
    vae, X, pca, _ = planted
    np.testing.assert_allclose(vae.score_samples(X), pca.score_samples(X), atol=1e-9)
    assert vae.score(X) == pytest.approx(pca.score(X), abs=1e-9)


def test_the_score_of_a_trained_linear_model_is_that_of_pca():
    """From a random start, on data that are digits-like: within 0.02 nats of the best there is."""
    digits = PCA(3).fit(load_digits().data[:, 20:32] / 16)
    X = np.random.default_rng(0).multivariate_normal(digits.mean_, digits.get_covariance(), 10_000)
    vae = VAE(3, hidden=(), likelihood="gaussian-linear", learning_rate=0.02, max_epochs=40, random_state=0).fit(X)
    assert vae.set_params(n_importance_samples=200).score(X[:1000]) == pytest.approx(
        PCA(3).fit(X).score(X[:1000]), abs=0.02
    )


def test_score_samples_rises_with_the_samples_and_does_not_depend_on_the_others(digits, fitted):
    X = digits[0][:400]
    few, many = (pickle.loads(pickle.dumps(fitted)).set_params(n_importance_samples=K) for K in (1, 500))
    values = many.score_samples(X)
    gain = values - few.score_samples(X)
    assert gain.mean() > 3 * gain.std() / np.sqrt(len(X))  # the ELBO and nearly log p(x)
    assert values.dtype == np.float64 and many.score(X) == values.mean()
    np.testing.assert_array_equal(many.score_samples(X[:20][::-1])[::-1], values[:20])
    np.testing.assert_array_equal(many.score_samples(X[7:8]), values[7:8])


def test_the_noise_of_each_example_is_its_own(planted):
    """So the errors of importance sampling are independent: their mean is small where each is not."""
    vae, X, pca, _ = planted
    worse = pickle.loads(pickle.dumps(vae))
    worse.params_["encoder.0.b"][:3] += 0.3  # another posterior than the true one
    gap = pca.score_samples(X) - worse.set_params(n_importance_samples=1).score_samples(X)
    divergence = 0.5 * np.sum(0.3**2 * np.exp(-vae.params_["encoder.0.b"][3:]))
    error = gap.std() / np.sqrt(len(X))
    assert gap.std() > 0.1 and abs(gap.mean() - divergence) < 5 * error


def test_samples_have_the_moments_of_the_decoder_s_means(planted):
    vae, _, pca, W = planted
    N = 20_000
    samples = vae.sample(N)
    covariance, variance = W.T @ W, (W**2).sum(axis=0)
    assert np.all(np.abs(samples.mean(axis=0) - pca.mean_) <= 5 * np.sqrt(variance / N))
    error = np.sqrt((np.outer(variance, variance) + covariance**2) / N)
    assert np.all(np.abs(np.cov(samples.T) - covariance) <= 5 * error)


@pytest.mark.parametrize("prior", ["mixture", "vamp"])
def test_samples_of_a_mixture(digits, prior):
    vae = VAE(**SMALL, prior=prior, n_prior_components=4).fit(digits[0])
    samples = vae.sample(500)
    assert samples.shape == (500, 64) and samples.dtype == np.float32
    assert np.abs(samples.mean(axis=0) - digits[0].mean(axis=0)).max() < 0.2


def test_a_convolutional_model_takes_rows_and_gives_rows(digits, conv_fitted):
    """The same numbers as its images, in the same order."""
    X, fitted = digits[0][:50], conv_fitted.fitted_
    z = conv_fitted.transform(X)
    assert z.shape == (50, 3) and fitted.data_shape == (8, 8)
    np.testing.assert_array_equal(z, fitted.encode(X.reshape(-1, 8, 8))[0])
    np.testing.assert_array_equal(conv_fitted.inverse_transform(z), fitted.decode(z).reshape(50, 64))
    np.testing.assert_array_equal(conv_fitted.sample(4), fitted.sample(4).reshape(4, 64))
    values = conv_fitted.score_samples(X)
    assert np.isfinite(values).all() and conv_fitted.score(X) == values.mean()
    np.testing.assert_array_equal(conv_fitted.score_samples(X[7:8]), values[7:8])


@pytest.mark.parametrize("likelihood", ["bernoulli", "gaussian"])
def test_a_convolutional_model_of_colours_and_labels(likelihood):
    rng = np.random.default_rng(0)
    X, y = rng.random((60, 5, 4, 3)).reshape(60, -1), rng.integers(0, 3, 60)
    changes = {"data_shape": [5, 4, 3], "likelihood": likelihood, "conditional": True, "hidden": ()}
    vae = VAE(**SMALL | CONV | changes).fit(X, y)
    assert vae.model_.data_shape == (5, 4, 3) and vae.n_features_in_ == 60
    assert vae.inverse_transform(vae.transform(X, y), y).shape == X.shape and vae.sample(y=2).shape == (1, 60)
    assert not np.array_equal(vae.transform(X, y), vae.transform(X, (y + 1) % 3))
    assert same(vae, clone(vae).fit(X, y)) and np.isfinite(vae.score(X, y))


# -- labels ------------------------------------------------------------------------------------------------------------


def test_samples_under_a_label_look_like_it(digits, conditional):
    """Nine in ten are nearer to the mean of their own class than to any other's; one in ten by chance."""
    X, _ = digits
    vae, names = conditional
    means = np.array([X[names == name].mean(axis=0) for name in vae.classes_])
    wanted = np.repeat(vae.classes_, 50)
    nearest = ((vae.sample(500, y=wanted)[:, None] - means) ** 2).sum(axis=2).argmin(axis=1)
    assert np.mean(vae.classes_[nearest] == wanted) > 0.9
    alone = vae.sample(y="three")
    assert alone.shape == (1, 64) and np.array_equal(vae.sample(3, y="three")[:1], alone)


def test_a_number_may_be_the_label(digits):
    X, y = digits
    vae = VAE(**SMALL, conditional=True, prior="label").fit(X, y)
    assert vae.sample(y=3).shape == (1, 64) and vae.sample(2, y=[3, 9]).shape == (2, 64)
    assert vae.classes_.tolist() == list(range(10))
    np.testing.assert_array_equal(
        VAE(**SMALL, conditional=True, prior="label").fit_transform(X, y), vae.transform(X, y)
    )


def test_labels_matter_to_every_method(digits, conditional):
    X = digits[0][:200]
    vae, names = conditional
    y, others = names[:200], names[1:201]
    vae = pickle.loads(pickle.dumps(vae)).set_params(n_importance_samples=100)
    assert vae.score(X, y) > vae.score(X, others) + 1
    z = vae.transform(X, y)
    assert not np.allclose(z, vae.transform(X, others))
    right, wrong = (((vae.inverse_transform(z, labels) - X) ** 2).mean() for labels in (y, others))
    assert right < 0.8 * wrong


@pytest.mark.parametrize("method", ["transform", "score_samples", "score", "inverse_transform", "partial_fit"])
def test_a_conditional_model_must_have_labels(digits, conditional, method):
    X = digits[0][:20, :5] if method == "inverse_transform" else digits[0][:20]
    call = getattr(pickle.loads(pickle.dumps(conditional[0])), method)
    for y, message in [
        (None, "conditional=True requires y to be passed"),
        (["three"] * 19, "inconsistent numbers of samples"),
        (["three"] * 19 + ["threescore"], "the label 'threescore', which is not among those of this VAE: 'eight', 'f"),
        ([3] * 20, "the label 3, which is not among those of this VAE: 'eight', 'five'"),
        (["three"] * 19 + [None], "y has None for a label"),
        (["three"] * 19 + [3], r"y has labels of two types, 'three' \(a string\) and 3 \(a number\)"),
    ]:
        with pytest.raises(ValueError, match=message):
            call(X, y)


def test_misuse_of_labels(digits, conditional, fitted):
    X, _ = digits
    with pytest.raises(ValueError, match="requires y to be passed, but the target y is None"):
        VAE(conditional=True).fit(X)
    with pytest.raises(ValueError, match="requires y to be passed"):
        conditional[0].sample(3)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        conditional[0].sample(3, y=["one", "two"])
    with pytest.raises(ValueError, match="fitted without labels"):
        fitted.sample(y=3)


NO_LABELS = {
    "a missing one": ([0, 1, None, 1], "y has None for a label"),
    "a missing one among strings": (
        np.array(["a", "b", np.nan, "b"], object),
        r"y has labels of two types, .*nan \(a nu",
    ),
    "NaN": ([0.0, 1.0, np.nan, 1.0], "y has nan for a label: give each example its label"),
    "pandas's missing number": (pd.Series([1, 2, None, 2], dtype="Int64"), "y has nan for a label"),
    "pandas's missing string": (
        pd.Series(["a", "b", None, "b"], dtype="string"),
        "y has (<NA>|nan) for a label|two types",
    ),
    "mixed types": (
        [1, "a", 1, "a"],
        r"y has labels of two types, 1 \(a number\) and 'a' \(a string\): use one, as in",
    ),
    "mixed objects": (np.array([1, "a", 1, "a"], object), "y has labels of two types"),
    "lists": ([[1], [1, 2], [1], [2]], r"y has \[1, 2\] for a label|y has \[.*\] for a label"),
    "bytes": (np.array([b"a", b"b", b"a", b"b"]), r"y is of type \|S1: whole numbers, strings or bools are needed"),
    "dates": (np.array(["2020", "2021"] * 2, "M8[Y]"), "y is of type datetime64"),
    "complex numbers": ([1j, 2, 1j, 2], "y has 1j for a label|Complex data"),
    "continuous": ([0.5, 1.5, 0.5, 2.5], "continuous"),
    "a table": (np.ones((4, 2), int), r"y should be a 1d array, got an array of shape \(4, 2\)"),
    "a number": (3, "y should be a 1d array"),
    "a word": ("abcd", "y should be a 1d array"),
    "too few": ([0, 1, 0], "inconsistent numbers of samples"),
}


@pytest.mark.parametrize(("y", "message"), NO_LABELS.values(), ids=NO_LABELS)
def test_what_are_no_labels_is_said_in_words(y, message):
    """By every method that takes them, as a ValueError, and the model is what it was."""
    X, good = np.random.default_rng(0).random((4, 6)), [0, 1, 0, 1]
    vae = VAE(**SMALL, conditional=True, n_importance_samples=2).fit(X, good)
    before = pickle.dumps(vae)
    for name in ("fit", "fit_transform", "partial_fit", "transform", "score", "score_samples", "inverse_transform"):
        # a trained model knows which labels it has, be they floats
        expected = message if "fit" in name and name != "partial_fit" else f"{message}|not among those of this VAE"
        with pytest.raises(ValueError, match=expected):
            getattr(vae, name)(X[:, :3] if name == "inverse_transform" else X, y)
    with pytest.raises(ValueError, match=f"{message}|not among those"):
        vae.sample(4, y)
    with pytest.raises(ValueError, match=message):
        VAE(**SMALL, conditional=True).partial_fit(X, y)
    assert pickle.dumps(vae) == before
    VAE(**SMALL).fit(X, y).transform(X, y)  # which a model without labels does not look at


def test_missing_classes_are_said_by_their_name(digits):
    with pytest.raises(ValueError, match="classes has None for a label"):
        VAE(**SMALL, conditional=True).partial_fit(*digits, classes=[*range(10), None])


@pytest.mark.parametrize(
    "number",
    [float, bool, str, lambda y: np.array(list(map(str, y)), object), lambda y: y[:, np.newaxis], list, pd.Series],
)
def test_labels_of_many_types(digits, number):
    """Floats that are whole, bools, strings, a column: the model is that of the numbers."""
    X, y = digits[0][:200], digits[1][:200] % 2
    labels = np.array(list(map(number, y))) if isinstance(number, type) and number in (float, bool, str) else number(y)
    vae, expected = (VAE(**SMALL, conditional=True, n_importance_samples=2).fit(X, each) for each in (labels, y))
    assert same(vae, expected) and vae.classes_.tolist() in ([0, 1], ["0", "1"], ["False", "True"])
    np.testing.assert_array_equal(vae.transform(X, labels), expected.transform(X, y))
    np.testing.assert_array_equal(vae.sample(2, vae.classes_), expected.sample(2, [0, 1]))


def test_a_word_is_not_the_number_that_it_spells(digits):
    X, y = digits[0][:200], digits[1][:200]
    vae = VAE(**SMALL, conditional=True).fit(X, y)
    with pytest.raises(ValueError, match="the label '1', which is not among those of this VAE: 0, 1, 2"):
        vae.sample(y="1")
    with pytest.raises(ValueError, match="the label 1, which is not among those of this VAE: '0', '1', '2'"):
        VAE(**SMALL, conditional=True).fit(X, y.astype(str)).sample(y=1)


def test_partial_fit_takes_classes_that_come_later(digits):
    X, y = digits
    vae = VAE(**SMALL, conditional=True)
    low = y < 5
    vae.partial_fit(X[low], y[low], classes=range(10)).partial_fit(X[~low], y[~low])
    assert vae.model_.n_labels == 10 and vae.sample(y=9).shape == (1, 64)
    with pytest.raises(ValueError, match=r"the label 5, which is not among those of this VAE: 0, 1, 2, 3, 4$"):
        VAE(**SMALL, conditional=True).partial_fit(X[low], y[low]).partial_fit(X, y)


# -- scikit-learn's company --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["fitted", "conv_fitted"])
def test_pickle_and_joblib_keep_every_bit(digits, name, tmp_path, request):
    X, fitted = digits[0][:50], request.getfixturevalue(name)
    joblib.dump(fitted, tmp_path / "vae")
    for copy in (pickle.loads(pickle.dumps(fitted)), joblib.load(tmp_path / "vae")):
        assert same(copy, fitted) and copy.settings_ == fitted.settings_ and copy.model_ == fitted.model_
        np.testing.assert_array_equal(copy.transform(X), fitted.transform(X))
        np.testing.assert_array_equal(copy.score_samples(X[:5]), fitted.score_samples(X[:5]))
        np.testing.assert_array_equal(copy.sample(5), fitted.sample(5))
        next(iter(copy.params_.values()))[0, 0] += 1
        assert copy.params_.flat[0] == fitted.params_.flat[0] + 1  # still views of one vector


def test_a_pipeline_with_names(digits):
    X = pd.DataFrame(digits[0], columns=[f"pixel {i}" for i in range(64)], index=range(7, 7 + len(digits[0])))
    y = pd.Series(digits[1], X.index)
    pipeline = make_pipeline(StandardScaler(), VAE(**SMALL), LogisticRegression(max_iter=1000))
    pipeline.set_output(transform="pandas").fit(X, y)
    assert 0.2 < pipeline.score(X, y) <= 1
    features = pipeline[:-1].transform(X)
    assert list(features.columns) == ["vae0", "vae1", "vae2"] == list(pipeline[1].get_feature_names_out())
    assert features.index.equals(X.index) and pipeline[1].feature_names_in_.tolist() == list(X.columns)
    with pytest.raises(ValueError, match="feature names"):
        pipeline[1].transform(X[X.columns[::-1]])


def test_a_search_picks_the_better_model_and_fits_it_again(digits):
    X = digits[0][:800]
    vae = VAE(hidden=(32,), likelihood="bernoulli", max_epochs=60, n_importance_samples=20, random_state=0)
    search = GridSearchCV(vae, {"n_components": [1, 8], "learning_rate": [0.01, 1e-6]}, cv=2).fit(X)
    assert search.best_params_ == {"n_components": 8, "learning_rate": 0.01}
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert same(search.best_estimator_, clone(vae).set_params(**search.best_params_).fit(X))


def test_a_search_over_networks(digits):
    """Each with what it needs; the parameters are as they were given, and the best is fitted again with its own."""
    X = digits[0][:300]
    vae = VAE(**SMALL | {"max_epochs": 2}, likelihood="bernoulli", n_importance_samples=5)
    grid = [
        {"network": ["mlp"], "activation": ["tanh", "relu"]},
        {"network": ["conv"], "data_shape": [(8, 8), [8, 8, 1]], "channels": [(2,), (3, 4)], "kernel": [3]},
    ]
    search = GridSearchCV(vae, grid, cv=2, error_score="raise").fit(X)
    assert len(search.cv_results_["params"]) == 6 and np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert same(search.best_estimator_, clone(vae).set_params(**search.best_params_).fit(X))
    given = clone(vae).set_params(**search.cv_results_["params"][-1]).fit(X).get_params()
    assert (given["network"], given["data_shape"], given["channels"]) == ("conv", [8, 8, 1], (3, 4))


def test_the_dtype_is_kept(digits, fitted):
    X, _ = digits
    double = VAE(**SMALL).fit(X.astype(np.float64))
    for vae, dtype in ((fitted, np.float32), (double, np.float64)):
        assert vae.params_.flat.dtype == vae.sample(2).dtype == dtype
        for x in (X, X.astype(np.float64)):
            z = vae.transform(x)
            assert z.dtype == vae.inverse_transform(z).dtype == x.dtype
    assert VAE(**SMALL).fit(np.int64(X > 0.5)).params_.flat.dtype == np.float64
    assert VAE(**SMALL).fit((X > 0.5).tolist()).params_.flat.dtype == np.float32
    np.testing.assert_allclose(fitted.history_[-1]["train_bound"], double.history_[-1]["train_bound"], rtol=1e-4)


@pytest.mark.parametrize("dtype", [">f4", ">f8", np.float16])
def test_floats_of_other_widths_and_byte_orders(digits, dtype):
    """Sixteenths, which every type holds exactly: the model is that of the type in which they are computed."""
    other = digits[0].astype(dtype)
    X = digits[0].astype(np.float64 if other.dtype.itemsize == 8 else np.float32)
    vae, expected = VAE(**SMALL).fit(other), VAE(**SMALL).fit(X)
    assert same(vae, expected) and vae.params_.flat.dtype == X.dtype and vae.settings_.dtype == X.dtype.name
    for result, right in (
        (vae.transform(other), expected.transform(X)),
        (vae.inverse_transform(other[:, :3]), expected.inverse_transform(X[:, :3])),
        (vae.score_samples(other[:5]), expected.score_samples(X[:5])),
    ):
        np.testing.assert_array_equal(result, right)
        assert result.dtype == right.dtype and result.dtype.isnative
    assert same(vae.partial_fit(other), expected.partial_fit(X))


# -- grey levels -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def grey(digits):
    """uint8 from 0 to 255."""
    return np.uint8(255 * digits[0])


@pytest.fixture(scope="module")
def grey_fitted(grey):
    return VAE(**SMALL, n_importance_samples=20).fit(grey)


def test_uint8_is_trained_on_as_the_command_does(grey, grey_fitted):
    settings = Settings(latent=(3,), hidden=((16,),), epochs=3)
    training = Training(settings, Dataset("grey", grey, grey[:10], None, None, (64,), ""))
    for _ in range(3):
        training.run_epoch()
    assert grey_fitted.settings_ == settings and grey_fitted.model_.likelihood == "bernoulli"
    np.testing.assert_array_equal(grey_fitted.params_.flat, training.params.flat)


def test_uint8_and_its_255ths_are_the_same_to_every_method(grey, grey_fitted):
    scaled, vae = grey / np.float32(255), grey_fitted
    np.testing.assert_allclose(VAE(**SMALL).fit(scaled).params_.flat, vae.params_.flat, atol=1e-4)
    for X in (scaled, scaled.astype(np.float64), pd.DataFrame(grey)):
        np.testing.assert_array_equal(vae.transform(X), vae.transform(grey))
        np.testing.assert_array_equal(vae.score_samples(X[:9]), vae.score_samples(grey[:9]))
        assert vae.score(X[:9]) == vae.score(grey[:9])
    assert vae.transform(grey).dtype == vae.inverse_transform(vae.transform(grey)).dtype == np.float32
    double = VAE(**SMALL).fit(grey / 255)
    assert double.transform(grey).dtype == np.float64
    np.testing.assert_array_equal(double.transform(grey), double.transform(grey / 255))
    parts = [pickle.loads(pickle.dumps(vae)).partial_fit(X) for X in (grey, scaled)]
    assert same(*parts)


def test_the_scale_of_uint8_does_not_cost_accuracy(digits):
    """Which it did: 0.39 of the digits where their hundred labelled neighbours in z gave 0.75."""
    X, y = digits
    vae = VAE(n_components=8, hidden=(100,), max_epochs=60, random_state=0).fit(np.uint8(255 * X))
    z = StandardScaler().fit_transform(vae.transform(np.uint8(255 * X)))
    assert LogisticRegression(max_iter=1000).fit(z[:100], y[:100]).score(z[100:], y[100:]) > 0.65


def test_bool_is_black_and_white(digits):
    white = digits[0] > 0.5
    vae, expected = VAE(**SMALL).fit(white), VAE(**SMALL).fit(np.float32(white))
    assert same(vae, expected) and vae.model_.likelihood == "bernoulli"
    assert vae.transform(white).dtype == np.float32
    np.testing.assert_array_equal(vae.transform(white), expected.transform(np.float32(white)))


@pytest.mark.parametrize("as_given", [np.int64, np.uint16, np.float32, lambda X: X.astype(int).tolist(), pd.DataFrame])
@pytest.mark.parametrize("white", [16, 255, 65535])
def test_whole_numbers_are_taken_as_they_are_and_said_to_be(digits, as_given, white):
    X = as_given(np.rint(digits[0] * white))
    words = rf'whole numbers from 0 to {white}, which likelihood="auto" takes as they are.*set likelihood="gaussian-lin'
    for fit in (VAE(**SMALL).fit, VAE(**SMALL).partial_fit):
        with pytest.warns(UserWarning, match=words) as caught:
            vae = fit(X)
        assert len(caught) == 1 and caught[0].filename == __file__ and vae.model_.likelihood == "gaussian-linear"
    vae.transform(X)  # said once
    VAE(**SMALL, likelihood="gaussian-linear").fit(X)  # and not to those who say it themselves


def test_uint8_whose_white_may_be_another_level_is_said_to_be(digits, grey):
    X = np.uint8(16 * digits[0])
    with pytest.warns(UserWarning, match=r"uint8 with no value above 16, less than half of the 255.*as in X / 16$"):
        vae = VAE(**SMALL).fit(X)
    vae.transform(X[:5])
    VAE(**SMALL).fit(X / 16)
    VAE(**SMALL).fit(np.zeros((5, 2), np.uint8))


def test_what_cannot_be_grey_levels_is_taken_without_a_word(digits):
    white = np.rint(digits[0])
    for X in (white, white.astype(int), -16 * white, digits[0] * 16 + 0.5):
        VAE(**SMALL).fit(X)


def test_another_scale_than_was_fitted_is_said_to_be(grey, digits):
    """Where the likelihood describes both, so that nothing else would tell."""
    linear = VAE(**SMALL, likelihood="gaussian-linear")
    scaled, raw = clone(linear).fit(grey), clone(linear).fit(grey.astype(float))
    for name in ("transform", "score", "score_samples", "partial_fit"):
        with pytest.warns(UserWarning, match="taken as they are, but the X that was fitted lay between 0 and 1"):
            getattr(clone(linear).fit(grey) if name == "partial_fit" else scaled, name)(grey[:9].astype(float))
        with pytest.warns(UserWarning, match=r"uint8 and is divided by 255, but.*X\.astype\(float\)"):
            getattr(clone(linear).fit(grey * 1.0) if name == "partial_fit" else raw, name)(grey[:9])
    for vae, X in ((scaled, grey), (scaled, grey / 255), (raw, grey.astype(int)), (raw, grey / 255)):
        vae.transform(X)


def test_black_and_white_as_uint8_is_refused_as_by_the_command(digits):
    white = digits[0] > 0.5
    for fit in (VAE().fit, VAE().partial_fit):
        with pytest.raises(ValueError, match=r"black and nearly black \(1/255\).*X\.astype\(bool\)"):
            fit(white.astype(np.uint8))
    vae = VAE(**SMALL).fit(white)
    with pytest.warns(UserWarning, match="black and nearly black"):
        vae.transform(white.astype(np.uint8))
    vae.transform(np.zeros((2, 64), np.uint8))


def test_the_scale_of_a_run_s_data_is_not_known(grey, tmp_path):
    VAE(**SMALL, likelihood="gaussian-linear").fit(grey).write_run(tmp_path)
    vae = VAE.from_run(tmp_path)
    for X in (grey, grey.astype(float)):
        vae.transform(X)


# -- runs --------------------------------------------------------------------------------------------------------------


@pytest.fixture
def no_pictures(monkeypatch):
    monkeypatch.setattr(run_figures, "draw", lambda *_: [])


def trained(path, *words):
    """The folder of a small run of the command."""
    words = ("digits", "--limit", 300, "--hidden", 16, "--batch-size", 60, *words, "--out", path, "--quiet")
    result = call(*words)
    assert result.returncode == 0, result.stderr
    return path


def assert_same_model(a, b, X, y=None):
    """Whether two VAEs give the same numbers, bit for bit."""
    assert a.model_ == b.model_ and a.settings_ == b.settings_ and same(a, b)
    z = a.transform(X, y)
    np.testing.assert_array_equal(z, b.transform(X, y))
    np.testing.assert_array_equal(a.inverse_transform(z, y), b.inverse_transform(z, y))
    np.testing.assert_array_equal(a.sample(len(X), y), b.sample(len(X), y))
    few = X[:5], None if y is None else y[:5]
    np.testing.assert_array_equal(a.score_samples(*few), b.score_samples(*few))


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"likelihood": "gaussian-linear", "prior": "mixture", "n_prior_components": 3, "hidden": ()},
        {"objective": "iwae", "n_samples": 3, "schedule": "constant", "random_state": 2**63},
        {"activation": "relu", "data_shape": (4, 4, 4)},
        CONV,
    ],
)
def test_a_folder_keeps_every_bit(digits, changes, tmp_path):
    X = digits[0][:300]
    vae = VAE(**SMALL | {"n_importance_samples": 20} | changes).fit(X)
    vae.write_run(tmp_path / "run")
    again = VAE.from_run(str(tmp_path / "run")).set_params(n_importance_samples=20)
    assert_same_model(vae, again, X)
    kept = vae.get_params() | {"batch_size": 100, "likelihood": vae.settings_.likelihood}  # as they were understood
    assert again.get_params() == kept
    for one in (vae, again):
        one.set_params(likelihood=vae.settings_.likelihood).partial_fit(X)
    assert_same_model(vae, again, X)  # the optimiser's state was kept too
    assert [row["epoch"] for row in again.history_] == [1, 2, 3, 4]
    assert same(clone(again).fit(X), clone(vae).fit(X))
    again.write_run(tmp_path / "longer")
    assert_same_model(VAE.from_run(tmp_path / "longer").set_params(n_importance_samples=20), again, X)


def test_load_opens_what_an_estimator_wrote(digits, fitted, tmp_path):
    fitted.write_run(tmp_path / "new folder" / "run")
    loaded, X = tinyvae.load(tmp_path / "new folder" / "run"), digits[0][:50]
    assert loaded.data_shape == (64,) and loaded.settings == fitted.settings_
    np.testing.assert_array_equal(loaded.encode(X)[0], fitted.transform(X))
    np.testing.assert_array_equal(loaded.sample(3), fitted.sample(3))
    config = Run.open(tmp_path / "new folder" / "run").config()
    assert config["parameters"] == fitted.params_.flat.size and config["dataset"]["source"] is None
    assert "3 epochs" in config["protocol"]


@pytest.mark.parametrize("number", [str, int, lambda y: y * 7 - 3, lambda y: y % 2 == 0])
def test_labels_are_kept_in_the_folder(digits, number, tmp_path):
    X, y = digits[0][:200], np.array([number(label) for label in digits[1][:200]])
    vae = VAE(**SMALL, conditional=True, prior="label", n_importance_samples=9).fit(X, y)
    vae.write_run(tmp_path)
    again = VAE.from_run(tmp_path).set_params(n_importance_samples=9)
    assert again.classes_.tolist() == vae.classes_.tolist() and again.classes_.dtype == vae.classes_.dtype
    assert_same_model(vae, again, X, y)
    for one in (vae, again):
        one.partial_fit(X, y)
    assert_same_model(vae, again, X, y)
    with pytest.raises(ValueError, match="not among those of this VAE"):
        again.sample(1, y="eleven")


def test_a_run_of_the_command_is_an_estimator(digits, no_pictures, tmp_path):
    path = trained(tmp_path / "run", "--latent", 3, "--epochs", 3, "--seed", 2**40)
    vae, loaded, X = VAE.from_run(path), tinyvae.load(path), datasets.load("digits").test
    assert (vae.n_components, vae.hidden, vae.random_state, vae.max_epochs) == (3, (16,), 2**40, 3)
    assert vae.model_.data_shape == (8, 8) and vae.n_features_in_ == 64 and vae.settings_ == loaded.settings
    z, _ = loaded.encode(X)
    np.testing.assert_array_equal(vae.transform(X), z)
    np.testing.assert_array_equal(vae.inverse_transform(z), loaded.decode(z).reshape(-1, 64))
    np.testing.assert_array_equal(vae.sample(4), loaded.sample(4).reshape(4, 64))
    rows = Run.open(path).history()
    assert vae.history_ == [{name: row[name] for name in vae.history_[0]} for row in rows]
    assert list(vae.get_feature_names_out()) == ["vae0", "vae1", "vae2"]


def test_partial_fit_goes_on_with_the_command_s_training(no_pictures, tmp_path):
    """Whose step is constant: then it is the longer run of the command, optimiser, order and noise included."""
    words = ("--latent", 3, "--schedule", "constant", "--epochs")
    vae = VAE.from_run(trained(tmp_path / "run", *words, 2))
    X = datasets.load("digits", limit=300).train
    vae.partial_fit(X).partial_fit(X)
    longer = VAE.from_run(trained(tmp_path / "longer", *words, 4))
    assert same(vae, longer) and vae.model_ == longer.model_
    assert [row["epoch"] for row in vae.history_] == [1, 2, 3, 4]


def test_a_convolutional_run_of_the_command_is_an_estimator(no_pictures, tmp_path):
    """And ``partial_fit`` is the longer run of the command."""
    words = ("--network", "conv", "--channels", "3,4", "--kernel", 3, "--activation", "relu", "--latent", 3)
    words = (*words, "--schedule", "constant", "--epochs")
    path = trained(tmp_path / "run", *words, 1)
    vae, loaded, data = VAE.from_run(path), tinyvae.load(path), datasets.load("digits", limit=300)
    given = vae.get_params()
    assert {name: given[name] for name in CONV if name != "n_importance_samples"} == {
        name: value for name, value in CONV.items() if name != "n_importance_samples"
    }
    assert (vae.stride, vae.hidden, vae.settings_) == (2, (16,), loaded.settings)
    np.testing.assert_array_equal(vae.transform(data.test), loaded.encode(data.test)[0])
    np.testing.assert_array_equal(vae.sample(4), loaded.sample(4).reshape(4, 64))
    assert clone(vae).fit(data.train).model_ == vae.model_
    assert same(vae.partial_fit(data.train), VAE.from_run(trained(tmp_path / "longer", *words, 2)))


SEQUENCES = {
    "network": "gru",
    "likelihood": "categorical",
    "units": 8,
    "directions": 1,
    "feedback": True,
    "word_dropout": 0.25,
    "beta": 0.5,
    "anneal": 2,
    "free_bits": 0.1,
    "data_shape": (15, 12),
    "hidden": (),
}


@pytest.fixture(scope="module")
def sequences():
    return datasets.load("expressions", limit=300)


def test_sequences_are_the_command_s_loop_too(sequences):
    X = np.asarray(sequences.train)
    vae = VAE(**SMALL | SEQUENCES, n_importance_samples=20).fit(X)
    names = ("network", "likelihood", "units", "directions", "feedback", "word_dropout", "beta", "anneal", "free_bits")
    settings = Settings(
        **{name: SEQUENCES[name] for name in names}, latent=(3,), hidden=((),), epochs=3, dtype="float32"
    )
    training = Training(settings, Dataset("X", X, X[:0], None, None, (15, 12), ""))
    bounds = [training.run_epoch() for _ in range(3)]
    assert vae.settings_ == settings and [row["train_bound"] for row in vae.history_] == bounds
    np.testing.assert_array_equal(vae.params_.flat, training.params.flat)
    probabilities = vae.inverse_transform(vae.transform(X[:5])).reshape(5, 15, 12)
    np.testing.assert_allclose(probabilities.sum(axis=2), 1, rtol=1e-5)
    assert (vae.score_samples(X[:5]) < 0).all() and vae.sample(2).shape == (2, 180)
    more = VAE(**SMALL | SEQUENCES | {"schedule": "constant", "max_epochs": 1, "anneal": 0}).fit(X).partial_fit(X)
    assert same(more, VAE(**SMALL | SEQUENCES | {"schedule": "constant", "max_epochs": 2, "anneal": 0}).fit(X))


@pytest.mark.parametrize("words", [("--free-bits", 0.2), ("--characters", "--feedback", "--word-dropout", 0.25)])
def test_a_run_of_strings_is_an_estimator_and_keeps_its_vocabulary(words, no_pictures, tmp_path):
    words = ("expressions", *words, "--units", 8, "--latent", 3, "--limit", 300, "--schedule", "constant", "--quiet")
    for name, epochs in (("run", 1), ("longer", 2)):
        assert call(*words, "--epochs", epochs, "--out", tmp_path / name).returncode == 0
    vae, loaded = VAE.from_run(tmp_path / "run"), tinyvae.load(tmp_path / "run")
    data = datasets.load("expressions", limit=300, characters="--characters" in words)
    assert vae.fitted_.sample_strings(20) == loaded.sample_strings(20)
    assert same(vae.partial_fit(data.train), VAE.from_run(tmp_path / "longer"))
    vae.write_run(tmp_path / "again")
    assert tinyvae.load(tmp_path / "again").sample_strings(20) == vae.fitted_.sample_strings(20)
    vae.fit(np.asarray(data.train))  # of rows, of which nobody says what they stand for
    assert vae.fitted_.vocabulary is None and not vae.model_.groups


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"data_shape": None}, r'network="gru" needs sequences, .*pass data_shape=\(steps, numbers of a step\)'),
        ({"units": 0}, "units=0: a whole number above zero"),
        ({"directions": 3}, "directions=3: one of 1, 2"),
        ({"feedback": "yes"}, "feedback='yes': one of False, True"),
        ({"feedback": False}, "word_dropout=0.25 hides what is fed back: it needs feedback=True"),
        ({"word_dropout": 1.5}, "word_dropout=1.5: a number from 0 to 1"),
        ({"beta": -1}, "beta=-1: a number that is not below zero"),
        ({"free_bits": np.inf}, "free_bits=inf: a finite number"),
        ({"anneal": 1.5}, "anneal=1.5: a whole number"),
        ({"objective": "iwae"}, "they go with objective=\"elbo\" and prior='normal' or 'label'"),
        ({"data_shape": (12, 15)}, "X is not of symbols, .*in each 15 numbers"),
    ],
)
def test_sequences_without_sense_are_refused(sequences, changes, message):
    with pytest.raises(ValueError, match=message):
        VAE(**SMALL | SEQUENCES | changes).fit(np.asarray(sequences.train))


def test_another_optimiser_s_state_is_left(digits, no_pictures, tmp_path):
    path = trained(tmp_path / "run", "--latent", 3, "--optimiser", "adagrad", "--epochs", 1)
    X = digits[0][:300]
    vae = VAE.from_run(path)
    before = vae.params_.flat.copy()
    vae.set_params(learning_rate=1e-5, batch_size=300).partial_fit(X)
    np.testing.assert_allclose(np.abs(vae.params_.flat - before).max(), 1e-5, rtol=0.01)  # Adam's first step
    assert vae.settings_.optimiser == "adam" and vae.history_[-1]["epoch"] == 2


def test_a_run_that_was_stopped_within_an_epoch(digits, no_pictures, tmp_path, monkeypatch):
    """Its parameters are those of the last checkpoint; ``partial_fit`` then sees all of its own X."""

    step, steps = Training._step, iter(range(100))

    def stop(*arguments):
        if next(steps) == 8:
            raise Interrupted
        return step(*arguments)

    with monkeypatch.context() as context:
        context.setattr(Training, "_step", stop)
        words = ("digits", "--limit", 300, "--batch-size", 60, "--hidden", 16, "--epochs", 3, "--out", tmp_path / "run")
        assert call(*words, "--quiet").returncode == 130
    vae = VAE.from_run(tmp_path / "run")
    arrays, state = Run.open(tmp_path / "run").load_checkpoint()
    assert (state["epoch"], state["position"]) == (1, 180) and len(vae.history_) == 1
    np.testing.assert_array_equal(vae.params_.flat, arrays["params"])
    vae.partial_fit(digits[0][:120])
    assert vae.history_[-1]["epoch"] == 2 and vae.history_[-1]["samples_seen"] == 480 + 120


def test_rows_of_the_history_beyond_the_checkpoint_are_left(no_pictures, tmp_path):
    path = trained(tmp_path / "run", "--epochs", 2)
    run = Run.open(path)
    rows = run.history()
    run.write_history([*rows, rows[-1] | {"epoch": 3}])
    assert [row["epoch"] for row in VAE.from_run(path).history_] == [1, 2]


def test_the_commands_say_why_they_cannot_go_on_with_what_an_estimator_wrote(fitted, tmp_path):
    fitted.write_run(tmp_path / "run")
    words = "was written from Python, and does not say where its data are"
    advice = "tinyvae.load opens it; to go on with its training, use VAE.from_run and partial_fit"
    assert_misuse(call("--resume", tmp_path / "run"), words, advice)
    assert_misuse(call("digits", "--resume", tmp_path / "run", "--epochs", 9), words, advice)
    assert_misuse(call(tmp_path / "run", main=evaluate.main), words, advice)
    names = sorted(path.name for path in (tmp_path / "run").iterdir() if not path.name.startswith("."))
    assert names == ["checkpoint.npz", "config.json", "history.csv"]


def test_a_run_is_never_written_over(fitted, no_pictures, tmp_path):
    fitted.write_run(tmp_path / "mine")
    theirs = trained(tmp_path / "theirs", "--epochs", 1)
    for path in (tmp_path / "mine", theirs):
        before = {file: file.read_bytes() for file in path.iterdir()}
        with pytest.raises(RunError, match="already holds a run"):
            fitted.write_run(path)
        assert {file: file.read_bytes() for file in path.iterdir()} == before
    (tmp_path / "file").write_text("mine")
    with pytest.raises(RunError, match="it cannot be made"):
        fitted.write_run(tmp_path / "file")
    with pytest.raises(NotFittedError):
        VAE().write_run(tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_a_network_of_one_s_own(digits, no_pictures, tmp_path, monkeypatch):
    monkeypatch.setitem(settings.NETWORKS, "other", settings.NETWORKS["mlp"])
    X, vae = digits[0][:100], VAE.from_run(trained(tmp_path / "run", "--network", "other", "--epochs", 1))
    assert vae.network == clone(vae).fit(X).model_.network == "other"
    assert same(VAE(**SMALL, network="other").fit(X), VAE(**SMALL).fit(X))


def test_a_run_that_is_no_vae_is_refused_in_words(no_pictures, tmp_path):
    two = trained(tmp_path / "two", "--latent", 4, 2, "--hidden", 8, 8, "--epochs", 1)
    with pytest.raises(ValueError, match=r"two holds a model of 2 stochastic layers, and a VAE.*tinyvae\.load"):
        VAE.from_run(two)
    with pytest.raises(RunError, match="there is no such folder"):
        VAE.from_run(tmp_path / "nowhere")
    (two / "checkpoint.npz").unlink()
    with pytest.raises(RunError, match="there is no checkpoint"):
        VAE.from_run(two)


# -- what is refused ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["fit", "partial_fit", "transform", "score_samples"])
def test_sparse_data_are_refused(digits, fitted, method):
    with pytest.raises(TypeError, match=r"Sparse data was passed for X, but dense data is required.*toarray"):
        getattr(clone(fitted) if "fit" in method else fitted, method)(sparse.csr_matrix(digits[0]))


@pytest.mark.parametrize("method", ["transform", "score_samples", "score", "partial_fit"])
def test_data_that_do_not_fit_are_refused(digits, fitted, method):
    X, call = digits[0], getattr(pickle.loads(pickle.dumps(fitted)), method)
    for wrong, message in [
        (X[:, :60], "X has 60 features, but VAE is expecting 64 features"),
        (X[0], "1D array"),
        (X[:0], "0 sample"),
        (np.where(X > 0.9, np.nan, X), "NaN"),
        (X[np.newaxis], r"the shape \(1, 1797, 64\), but a row of numbers is needed.*X\.reshape\(len\(X\), -1\)"),
        (2 * X - 0.5, r'from -0.5 to 1.5, but likelihood="bernoulli" describes values from 0 to 1: rescale X'),
        (np.int64(255 * X), 'from 0 to 255, but likelihood="bernoulli" describes values from 0 to 1: rescale X'),
    ]:
        with pytest.raises(ValueError, match=message):
            call(wrong)


@pytest.mark.parametrize("dtype", [np.int64, np.uint16, float])
def test_grey_levels_of_another_type_are_not_bernoulli_s(digits, dtype):
    X = dtype(255) * (digits[0] > 0.5)
    for likelihood in ("bernoulli", "gaussian"):
        with pytest.raises(ValueError, match=rf'from 0 to 255, but likelihood="{likelihood}".*grey levels / 255'):
            VAE(likelihood=likelihood).fit(X)


@pytest.mark.parametrize("excess", [1.001, np.nextafter(1, 2)])
def test_a_value_beyond_those_that_auto_has_seen(digits, excess):
    """In the part that a cross-validation holds out: the message says what to set, and to its last digit why."""
    X = digits[0][:200].astype(float)
    X[0, 0] = excess
    words = rf'from 0 to {excess}, but likelihood="bernoulli" describes values from 0 to 1: .*clip it.* or set '
    words += r'likelihood="gaussian-linear" and fit again \("auto" chose "bernoulli" since the X that was fitted lay'
    with pytest.raises(ValueError, match=words):
        cross_val_score(VAE(**SMALL), X, error_score="raise")
    assert np.isfinite(cross_val_score(VAE(**SMALL, likelihood="gaussian-linear", n_importance_samples=5), X)).all()
    with pytest.raises(ValueError) as caught:
        VAE(**SMALL, likelihood="bernoulli").fit(X)
    assert "auto" not in str(caught.value)


def test_latent_values_of_another_width_are_refused(fitted):
    with pytest.raises(ValueError, match="X has 4 columns, but this VAE has 3 components"):
        fitted.inverse_transform(np.zeros((5, 4)))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("n_components", 0),
        ("n_components", 2.0),
        ("n_components", True),
        ("hidden", 500),
        ("hidden", "500"),
        ("hidden", (8, 0)),
        ("likelihood", "poisson"),
        ("objective", "ELBO"),
        ("n_samples", -1),
        ("network", "cnn"),
        ("activation", "gelu"),
        ("channels", 32),
        ("channels", "32"),
        ("channels", ()),
        ("channels", (8, 0.5)),
        ("kernel", 0),
        ("stride", 2.0),
        ("data_shape", 64),
        ("data_shape", "8x8"),
        ("data_shape", ()),
        ("data_shape", (64, 0)),
        ("data_shape", (8, 8, 1, 1)),
        ("data_shape", (8, 7)),
        ("prior", "laplace"),
        ("prior", "label"),
        ("n_prior_components", 0),
        ("conditional", "yes"),
        ("max_epochs", 0),
        ("batch_size", 0.5),
        ("learning_rate", 0),
        ("learning_rate", float("nan")),
        ("learning_rate", "fast"),
        ("schedule", "linear"),
        ("n_importance_samples", 0),
        ("random_state", -1),
        ("random_state", 2**64),
        ("n_jobs", 0),
        ("n_jobs", 10**6),
        ("learning_rate", 10**400),
        ("beta", 10**400),
        ("anneal", 10**400),
        ("feedback", np.array([1, 2])),
    ],
)
def test_parameters_without_sense_are_refused(digits, name, value):
    vae = VAE(**SMALL).set_params(**{name: value})
    with pytest.raises(ValueError, match=name):
        vae.fit(digits[0])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"data_shape": None},
            r'network="conv" needs images, and data_shape=None is not.*pass data_shape=\(height, wid',
        ),
        ({"data_shape": (64,)}, r"data_shape=\(64,\) is not the shape of one"),
        ({"data_shape": (8, 9)}, r"data_shape=\(8, 9\) is of 72 numbers, but X has 64 features"),
        ({"stride": 4}, "stride=4 is more than kernel=3, .*use stride=3 or less"),
    ],
)
def test_convolutions_without_sense_are_refused(digits, conv_fitted, changes, message):
    for vae in (clone(conv_fitted), pickle.loads(pickle.dumps(conv_fitted))):
        before = pickle.dumps(vae.set_params(**changes))
        for fit in (vae.fit, vae.partial_fit):
            with pytest.raises(ValueError, match=message):
                fit(digits[0])
        assert pickle.dumps(vae) == before


def test_what_only_convolutions_use_is_not_held_against_others(digits, fitted):
    assert same(VAE(**SMALL, kernel=1, stride=7).fit(digits[0]), fitted)


def test_nothing_works_before_fit_or_after_a_first_one_that_failed(digits, tmp_path):
    X, y = digits
    failures = (
        lambda vae: vae,
        lambda vae: vae.set_params(n_components=0).fit(X, y),
        lambda vae: vae.fit(X, y[1:]),
        lambda vae: vae.fit(X, [None] * len(X)),
        lambda vae: vae.fit(X - 1, y),
        lambda vae: vae.partial_fit(X, y, classes=[1, 2]),
        lambda vae: vae.set_params(learning_rate=1e30).fit(X, y),
        lambda vae: vae.set_params(learning_rate=1e30).fit_transform(X, y),
    )
    uses = {
        **{name: (X, y) for name in ("transform", "score_samples", "score")},
        "inverse_transform": (X[:, :3], y),
        "sample": (1, 1),
        "get_feature_names_out": (),
        "write_run": (tmp_path / "run",),
    }
    for fail in failures:
        vae = VAE(**SMALL, conditional=True, likelihood="bernoulli")
        with pytest.raises(ValueError) if fail is not failures[0] else nullcontext():
            fail(vae)
        for name, arguments in uses.items():
            with pytest.raises(NotFittedError):
                getattr(vae, name)(*arguments)
        assert vars(vae).keys() == vae.get_params().keys() and not hasattr(vae, "params_") | hasattr(vae, "fitted_")
    assert not (tmp_path / "run").exists()


def test_the_package_does_not_import_it_unasked():
    code = (
        "import sys, tinyvae; assert not {'sklearn', 'numba', 'numpy'} & set(sys.modules); print(tinyvae.VAE.__name__)"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "VAE\n"
    with pytest.raises(AttributeError, match="has no attribute 'GAN'"):
        tinyvae.GAN  # noqa: B018


INTERRUPTED = """
import os, pickle, signal, threading
import numpy as np
from tinyvae import VAE

rng = np.random.default_rng(0)
X, y = rng.random((300, 16)), rng.integers(0, 3, 300)
first = VAE(2, hidden=(8,), max_epochs=10**6, conditional=True, random_state=0)
vae = VAE(2, hidden=(8,), max_epochs=3, conditional=True, n_jobs=2, random_state=0).fit(X, y)
vae.set_params(max_epochs=10**6)
ones, before = vae.sample(4, y=1), pickle.dumps(vae)


def interrupt(delay, begun, ended):
    begun.wait()
    while not ended.wait(delay):
        os.kill(os.getpid(), signal.SIGINT)
        delay = 30  # were it lost, as one that falls into a finaliser is, once more


def interrupted(fit, delay):
    begun, ended = threading.Event(), threading.Event()
    threading.Thread(target=interrupt, args=(delay, begun, ended), daemon=True).start()
    try:
        begun.set()  # here, where the interrupt is waited for: it may be what comes first
        fit(X, y + 1)
    except KeyboardInterrupt:
        ended.set()
    assert ended.is_set()


for delay in np.linspace(0.001, 0.06, 12):
    interrupted(vae.fit, delay)
    interrupted(first.fit, delay)
    assert np.array_equal(vae.sample(4, y=1), ones)
    assert pickle.dumps(vae) == before and not hasattr(first, "model_")
"""


@pytest.mark.slow
def test_ctrl_c_leaves_what_was_there_before(tmp_path):
    """Or nothing, the first time: wherever in the fit it falls."""
    result = python("-c", INTERRUPTED, cwd=tmp_path)
    assert (result.returncode, result.stderr) == (0, "")


def test_a_copy_from_the_middle_of_a_fit_is_what_was_there_before(digits, monkeypatch):
    """As another thread takes it, by pickle or by clone; a first fit has nothing to copy yet."""
    X, y = digits[0][:200], digits[1][:200]
    vae, first = (VAE(**SMALL, conditional=True) for _ in range(2))
    vae.fit(X, y)
    before, samples, taken = pickle.loads(pickle.dumps(vae)), vae.sample(2, y=1), []
    run_epoch = VAE._run_epoch

    def watched(*arguments):
        taken.extend(pickle.loads(pickle.dumps(each)) for each in (vae, first))
        taken.append(clone(vae))
        return run_epoch(*arguments)

    monkeypatch.setattr(VAE, "_run_epoch", watched)
    vae.fit(X, y + 1)
    monkeypatch.undo()
    assert len(taken) == 3 * SMALL["max_epochs"] and vae.classes_.tolist() == list(range(1, 11))
    for copied, unfitted, cloned in zip(taken[::3], taken[1::3], taken[2::3]):
        assert same(copied, before) and copied.classes_.tolist() == list(range(10))
        np.testing.assert_array_equal(copied.sample(2, y=1), samples)
        for each in (unfitted, cloned):
            with pytest.raises(NotFittedError):
                each.transform(X, y)
        assert same(cloned.fit(X, y), before)


def test_parameters_set_between_fits(digits):
    """They count from the next fit on, and stay set where that fails."""
    X, _ = digits
    vae = VAE(**SMALL).partial_fit(X)
    vae.set_params(batch_size=70, learning_rate=1e30, n_jobs=2)
    with pytest.raises(ValueError, match="training diverged"):
        vae.partial_fit(X)
    assert (vae.batch_size, vae.learning_rate, vae.n_jobs) == (70, 1e30, 2)
    vae.set_params(batch_size=1797, learning_rate=1e-5)
    before = vae.params_.flat.copy()
    vae.partial_fit(X)
    assert (vae.settings_.batch_size, vae.settings_.learning_rate) == (1797, 1e-5)
    assert 0 < np.abs(vae.params_.flat - before).max() < 1e-4
    with pytest.raises(ValueError, match="n_components changed since"):
        vae.set_params(n_components=4).partial_fit(X)
    assert vae.transform(X[:2]).shape == (2, 3) and vae.fit(X).transform(X[:2]).shape == (2, 4)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"network": "conv", "data_shape": (2, 2)}, "^kernel 4 is twice as wide .* of channels 32,64 looks at"),
        ({"likelihood": "logistic"}, "or use likelihood gaussian$"),
        (
            {"n_components": 10**15},
            "Make n_components, hidden or n_prior_components smaller, or batch_size and n_samples",
        ),
    ],
)
def test_messages_name_parameters_and_no_options(changes, words):
    with pytest.raises(ValueError, match=words) as error:
        VAE(**changes).fit(np.random.default_rng(0).random((200, 4)))
    assert "--" not in str(error.value)
