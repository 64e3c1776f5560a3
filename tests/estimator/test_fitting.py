"""What fit and partial_fit promise: the command's training, whatever the threads, the seed, the passes."""

import pickle

import joblib
import numpy as np
import pytest
from sklearn.base import clone
from sklearn.model_selection import cross_val_score

from tests.commands import call, python
from tests.estimator.models import CONV, SMALL, same
from tinyvae import VAE
from tinyvae.data.datasets import Dataset
from tinyvae.estimator.arguments import count_threads, longer
from tinyvae.settings import Settings
from tinyvae.training.loop import Training


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


def test_partial_fit_keeps_the_seed_and_the_dtype(digits):
    """Another random_state is for a new beginning, and X of another type is computed as the first was."""
    X, _ = digits
    parts = [VAE(**SMALL).partial_fit(X), VAE(**SMALL).partial_fit(X).set_params(random_state=None)]
    for vae in parts:
        vae.partial_fit(X if vae is parts[0] else X.astype(np.float64))
        assert (vae.settings_.seed, vae.settings_.dtype, vae.params_.flat.dtype) == (0, "float32", np.float32)
    assert same(*parts)


def test_the_lengths_that_a_training_had_stand_in_their_order():
    before = Settings(epochs=5, schedule="cosine", raised_from=(3,))
    assert longer(Settings(), before, 6).raised_from == (3, 5)
    assert longer(Settings(), longer(Settings(), before, 6), 7).raised_from == (3, 5)


def test_another_objective_brings_what_goes_with_it(digits, tmp_path):
    """After "iwae" the ELBO has its closed form again, and its training aids."""
    X, _ = digits
    vae = VAE(**SMALL, objective="iwae", n_samples=2).fit(X)
    assert vae.settings_.kl == "sampled"
    vae.set_params(objective="elbo", n_samples=1, beta=2, n_prior_components=7).partial_fit(X)
    assert (vae.settings_.kl, vae.settings_.beta) == ("closed", 2)
    words = ("--objective", "iwae", "--samples", 2, "--kl", "sampled", "--estimator", "dreg", "--epochs", 1)
    assert call("digits", *words, "--hidden", 9, "--latent", 3, "--quiet", "--out", tmp_path / "run").returncode == 0
    vae = VAE.from_run(tmp_path / "run").partial_fit(X)
    assert vae.settings_.estimator == "dreg"
    vae.set_params(objective="elbo").partial_fit(X)
    assert (vae.settings_.kl, vae.settings_.estimator) == ("closed", "standard")


def test_classes_are_no_way_to_make_a_model_conditional(digits, fitted):
    vae = pickle.loads(pickle.dumps(fitted)).set_params(conditional=True)
    with pytest.raises(ValueError, match="conditional changed since"):
        vae.partial_fit(*digits, classes=range(10))


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


def test_verbose_prints_a_line_an_epoch(digits, capsys):
    VAE(**SMALL).fit(digits[0])
    assert capsys.readouterr().out == ""
    vae = VAE(**SMALL, verbose=1).fit(digits[0])
    lines = [f"epoch {row['epoch']}: {row['train_bound']:.2f} nats per example" for row in vae.history_]
    assert capsys.readouterr().out.splitlines() == lines
