"""What remains of a model when a fit fails, is interrupted, or goes on elsewhere."""

import pickle
import sys
from contextlib import nullcontext

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from tests.commands import python
from tests.estimator.models import SMALL, same
from tinyvae import VAE
from tinyvae.training.loop import Training


def test_a_training_that_diverges_says_what_to_do_and_leaves_the_former_model(digits, fitted):
    vae = pickle.loads(pickle.dumps(fitted)).set_params(learning_rate=1e30)
    with pytest.raises(ValueError, match=r"(?s)training diverged.*smaller step than learning_rate=1e\+30"):
        vae.fit(digits[0])
    assert same(vae, fitted)


def test_where_nothing_was_trained_yet_no_smaller_step_is_advised():
    """But a look at the data, of which the very first bound is no number."""
    X = np.random.default_rng(0).standard_normal((60, 4)).astype(np.float32) * np.float32(1e30)
    vae = VAE(**SMALL, likelihood="gaussian-linear")
    with (
        pytest.warns(UserWarning, match="Standardise"),
        pytest.raises(ValueError, match="before any step") as caught,
    ):
        vae.fit(X)
    assert "Look for a value that lies far out" in str(caught.value) and "learning_rate" not in str(caught.value)


@pytest.mark.parametrize("error", [BrokenPipeError, ValueError])
def test_an_epoch_that_cannot_be_told_costs_no_fit(error, digits, fitted, monkeypatch):
    """As where the reader of a pipe has gone, or the stream is closed."""

    def fail(*_):
        raise error

    monkeypatch.setattr(sys.stdout, "write", fail)
    assert same(VAE(**SMALL, verbose=1).fit(digits[0]), fitted)


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
