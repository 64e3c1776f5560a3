"""To a run's folder and back, and what the command wrote."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

import tinyvae
from tests.commands import assert_misuse, call
from tests.estimator.models import CONV, SMALL, same, trained
from tinyvae import VAE, evaluate, settings
from tinyvae.data import datasets
from tinyvae.disk.run import Run
from tinyvae.errors import Interrupted, RunError
from tinyvae.training.loop import Training


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


def test_the_labels_of_a_run_of_the_command_are_those_of_its_file(no_pictures, tmp_path):
    np.savez(tmp_path / "mine.npz", x=np.random.default_rng(0).random((60, 4)), y=np.array([9, 3, 7] * 20))
    words = ("--conditional", "--hidden", 4, "--latent", 2, "--epochs", 1, "--quiet", "--out", tmp_path / "run")
    assert call(tmp_path / "mine.npz", *words).returncode == 0
    vae, loaded = VAE.from_run(tmp_path / "run"), tinyvae.load(tmp_path / "run")
    assert vae.classes_.tolist() == [3, 7, 9]
    np.testing.assert_array_equal(vae.sample(3, [9, 3, 7]), loaded.sample(3, np.array([2, 0, 1])).reshape(3, 4))


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("--optimiser", "adagrad"),
        ("--objective", "iwae", "--samples", 2, "--estimator", "dreg", "--weight-prior", 1, "--binarise", "dynamic"),
        ("--kl", "sampled", "--estimator", "stl", "--initialisation", "aevb", "--binarise", "static"),
    ],
)
def test_partial_fit_goes_on_with_the_command_s_training(words, no_pictures, tmp_path):
    """Whose step is constant: then it is the longer run of the command, what a VAE has no parameter for included."""
    words = ("--latent", 3, "--schedule", "constant", *words, "--epochs")
    vae = VAE.from_run(trained(tmp_path / "run", *words, 2))
    X = datasets.load("digits", limit=300).train
    vae.partial_fit(X).partial_fit(X)
    longer = VAE.from_run(trained(tmp_path / "longer", *words, 4))
    assert same(vae, longer) and vae.model_ == longer.model_ and vae.settings_ == longer.settings_
    assert [row["epoch"] for row in vae.history_] == [1, 2, 3, 4]


def test_what_is_written_says_how_long_it_was_trained_and_by_which_schedule(fitted, digits, tmp_path):
    vae = clone(fitted).fit(digits[0]).partial_fit(digits[0]).partial_fit(digits[0])
    vae.write_run(tmp_path / "longer")
    clone(fitted).partial_fit(digits[0]).write_run(tmp_path / "one")
    protocols = [Run.open(tmp_path / name).config()["protocol"] for name in ("longer", "one")]
    assert "5 epochs (raised from 3), minibatch 100, adam at 0.003 (constant)" in protocols[0]
    assert "1 epoch, minibatch 100, adam at 0.003 (constant)" in protocols[1]


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
    first, own = (row["train_bound"] for row in vae.history_)
    assert abs(own - first) < 0.5 * abs(first)  # the mean over its own 120, without the bounds of the 180 before


def test_rows_of_the_history_beyond_the_checkpoint_are_left(no_pictures, tmp_path):
    path = trained(tmp_path / "run", "--epochs", 2)
    run = Run.open(path)
    rows = run.history()
    run.write_history([*rows, rows[-1] | {"epoch": 3}])
    assert [row["epoch"] for row in VAE.from_run(path).history_] == [1, 2]


def test_a_history_without_a_row_for_each_epoch_is_refused(no_pictures, tmp_path):
    path = trained(tmp_path / "run", "--epochs", 2)
    run = Run.open(path)
    run.write_history(run.history()[:1])
    with pytest.raises(RunError, match="does not have a row for each of the 2 epochs"):
        VAE.from_run(path)


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


def test_the_aids_of_a_run_s_training_are_those_of_the_estimator(tmp_path):
    run = trained(tmp_path / "run", "--latent", 3, "--epochs", 1, "--beta", 4, "--anneal", 7, "--free-bits", 0.1)
    vae = VAE.from_run(run)
    assert (vae.beta, vae.anneal, vae.free_bits) == (4, 7, 0.1)
