"""One place for each choice: what a registry holds, what a run's settings take from it, and entries of one's own."""

import dataclasses
import json
import subprocess
import sys

import numpy as np
import pytest

import tinyvae
from tests.commands import assert_misuse, call
from tinyvae import evaluate, machine, settings
from tinyvae.cli import options
from tinyvae.data import datasets
from tinyvae.derivation import gaussian, networks
from tinyvae.derivation.bounds import Estimator
from tinyvae.derivation.likelihoods import Likelihood, LikelihoodCache
from tinyvae.derivation.priors import StandardNormal
from tinyvae.disk.run import Run
from tinyvae.errors import RunError
from tinyvae.settings import CHOICES, RECIPES, Registry, Settings
from tinyvae.training.optimisers import Optimiser

REGISTRIES = {name: value for name, value in vars(settings).items() if isinstance(value, Registry)}

# ---- a registry


def test_a_thing_is_imported_when_it_is_asked_for_and_then_kept():
    registry = Registry(one="papers.published:aevb", own=3)
    assert list(registry) == ["one", "own"] and "one" in registry and len(registry) == 2
    assert registry.data["one"] == "papers.published:aevb"
    from tinyvae.papers import published

    assert registry["one"] is published.aevb is registry.data["one"]
    assert registry["own"] == 3
    with pytest.raises(KeyError, match="another"):
        registry["another"]


def test_items_and_values_are_the_things_themselves():
    registry = Registry(one="derivation.bounds:elbo", own=len)
    from tinyvae.derivation import bounds

    assert dict(registry.items()) == {"one": bounds.elbo, "own": len}
    assert list(registry.values()) == [bounds.elbo, len]
    assert registry.get("one") is bounds.elbo and registry.get("two", 2) == 2 and dict(registry)["one"] is bounds.elbo


def test_the_names_cost_no_import():
    program = "import sys; from tinyvae import settings; print(*settings.CHOICES['likelihood']); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    names, modules = done.stdout.splitlines()
    assert names.split() == list(settings.LIKELIHOODS)
    assert not {"numpy", "tinyvae.derivation", "tinyvae.training", "tinyvae.data"} & set(modules.split())


def test_every_entry_of_every_registry_is_there():
    assert set(REGISTRIES) == {
        *("NETWORKS", "LIKELIHOODS", "PRIORS", "BOUNDS", "ESTIMATORS", "OPTIMISERS", "SCHEDULES"),
        *("ACTIVATIONS", "INITIALISATIONS", "DATASETS"),
    }
    for registry in REGISTRIES.values():
        assert registry and not any(isinstance(thing, str) for thing in registry.values())
    assert all(issubclass(kind, networks.Network) for pair in settings.NETWORKS.values() for kind in pair)
    assert all(isinstance(thing, Likelihood) for thing in settings.LIKELIHOODS.values())
    assert all(issubclass(thing, StandardNormal) for thing in settings.PRIORS.values())
    assert all(isinstance(thing, Estimator) for thing in settings.ESTIMATORS.values())
    assert list(settings.ACTIVATIONS.values()) == [machine.TANH, machine.RELU]
    assert all(issubclass(thing, Optimiser) for thing in settings.OPTIMISERS.values())
    for name in ("BOUNDS", "SCHEDULES", "INITIALISATIONS", "DATASETS"):
        assert all(map(callable, REGISTRIES[name].values()))
    assert all(set(estimator.objectives or ()) <= set(settings.BOUNDS) for estimator in settings.ESTIMATORS.values())


# ---- settings


def test_each_setting_that_is_a_name_is_chosen_among_those_of_its_registry():
    registries = {
        "network": settings.NETWORKS,
        "activation": settings.ACTIVATIONS,
        "likelihood": settings.LIKELIHOODS,
        "prior": settings.PRIORS,
        "objective": settings.BOUNDS,
        "estimator": settings.ESTIMATORS,
        "initialisation": settings.INITIALISATIONS,
        "optimiser": settings.OPTIMISERS,
        "schedule": settings.SCHEDULES,
    }
    assert all(CHOICES[name] is registry for name, registry in registries.items())
    names = {field.name for field in dataclasses.fields(Settings) if isinstance(field.default, str)}
    assert names == CHOICES.keys() - {"directions"} == {*registries, "kl", "binarise", "dtype"}
    for recipe in RECIPES.values():
        assert all(getattr(recipe, name) in allowed for name, allowed in CHOICES.items())


def test_the_command_has_an_option_for_each_choice_with_the_same_names():
    parser = options.build_parser(None)
    for name, allowed in CHOICES.items():
        (action,) = (a for a in parser._actions if f"--{name}" in a.option_strings)
        assert list(action.choices) == list(allowed)
        with pytest.raises(SystemExit, match="2"):
            parser.parse_args([f"--{name}", "quux"])


@pytest.mark.parametrize("field", dataclasses.fields(Settings), ids=lambda field: field.name)
def test_a_field_that_is_missing_takes_its_default(field):
    for recipe in RECIPES.values():
        values = json.loads(json.dumps(dataclasses.asdict(recipe)))
        del values[field.name]
        assert Settings.from_dict(values) == dataclasses.replace(recipe, **{field.name: field.default})
    assert Settings.from_dict({}) == Settings()


@pytest.mark.parametrize(
    "values",
    [
        {"quux": 1}, {"network": "cnn"}, {"likelihood": 3}, {"prior": None}, {"latent": 20}, {"latent": [2.0]},
        {"latent": ["20"]}, {"hidden": [500]}, {"hidden": [[0]]}, {"samples": 0}, {"samples": True}, {"epochs": 1.0},
        {"learning_rate": 0.0}, {"learning_rate": float("inf")}, {"learning_rate": 1}, {"epsilon": float("nan")},
        {"seed": -1}, {"seed": 2**64}, {"conditional": 1}, {"raised_from": [0]}, {"dtype": "float16"},
        {"channels": []}, {"channels": [0]}, {"channels": 32}, {"kernel": 0}, {"stride": 1.0},
        {"units": 0}, {"directions": 3}, {"directions": True}, {"feedback": 1}, {"word_dropout": 1.5}, {"beta": -1.0},
        {"beta": 1}, {"anneal": -1}, {"anneal": 1.0}, {"free_bits": -0.1}, {"free_bits": float("inf")},
        {"weight_prior": -1.0}, {"weight_prior": float("nan")}, {"activation": "sigmoid"},
    ],
)  # fmt: skip
def test_what_no_settings_have_is_refused(values):
    with pytest.raises((TypeError, ValueError)):
        Settings.from_dict(values)


def test_the_closed_form_is_the_prior_s_to_have():
    for name, prior in settings.PRIORS.items():
        assert Settings(prior=name, conditional=True).has_closed_kl == prior.has_kl
        assert not Settings(prior=name, objective="iwae").has_closed_kl
        assert not Settings(prior=name, latent=(4, 2), hidden=((8,), (8,))).has_closed_kl


# ---- one entry of one's own


@pytest.fixture
def own():
    """Puts entries into registries, which are gone after the test."""
    added = []

    def add(registry, name, thing):
        assert name not in registry
        registry[name] = thing
        added.append((registry, name))

    yield add
    for registry, name in added:
        del registry[name]


def trained(path, *words, source="digits"):
    """A short run of the command; then it is evaluated, loaded, made longer."""
    words = ("--latent", 3, "--hidden", 16, "--limit", 300, *words)
    result = call(source, *words, "--epochs", 3, "--out", path, "--quiet")
    assert result.returncode == 0, result.stderr
    assert call("--resume", path, "--epochs", 4, "--quiet").returncode == 0
    result = call(path, "--samples", 20, "--quiet", main=evaluate.main)
    assert result.returncode == 0, result.stderr
    rows = Run.open(path).history()
    assert len(rows) == 4 and rows[-1]["test_bound"] > rows[0]["test_bound"]
    return tinyvae.load(path)


def laplace(x, outputs, out=None):
    """log p(x | z) = sum_d log Laplace(x; sigmoid(a), 1/4), and its derivative by a."""
    K = len(outputs) // len(x)
    mean = laplace_mean(outputs)
    difference = np.repeat(x, K, axis=0) - mean
    logp = (np.log(2) - 4 * np.abs(difference)).sum(axis=1).reshape(len(x), K)
    return logp, LikelihoodCache(4 * np.sign(difference) * mean * (1 - mean))


def laplace_backward(dlogp, cache, out=None):
    return dlogp.reshape(-1, 1) * cache.derivative


def laplace_mean(outputs):
    return 1 / (1 + np.exp(-outputs))


def logits(mean):
    p = np.clip(mean, 0.01, 0.99)
    return np.log(p / (1 - p))


def test_a_likelihood(own, no_pictures, tmp_path):
    words = {"remark": lambda outputs: f"{outputs.shape[1]} medians", "advice": "pray"}
    likelihood = Likelihood(laplace, laplace_backward, laplace_mean, logits, 1, (0, 1), **words)
    own(settings.LIKELIHOODS, "laplace", likelihood)
    fitted = trained(tmp_path / "run", "--likelihood", "laplace")
    assert fitted.model.likelihood == "laplace" and fitted.sample(2).shape == (2, 8, 8)
    for name in ("summary.json", "evaluation.json"):
        assert Run.open(tmp_path / "run").read_json(name)["remark"] == "64 medians"
    np.save(tmp_path / "wide.npy", np.linspace(-1, 2, 600).reshape(100, 6))
    result = call(tmp_path / "wide.npy", "--likelihood", "laplace", "--batch-size", 50, "--out", tmp_path / "wide")
    assert_misuse(result, "the laplace likelihood describes values from 0 to 1")
    result = call("digits", "--likelihood", "laplace", "--optimiser", "sgd", "--lr", 1e30, "--out", tmp_path / "far")
    assert result.returncode == 1 and "; or, pray." in result.stderr


class Wide(StandardNormal):
    """p(z) = N(z; 0, 4), without a closed form that anyone has written down."""

    has_kl = False

    def log_prob(self, params, z, y=None):
        logp, cache = gaussian.log_standard_normal(z / 2)
        return logp - self.units * np.log(2), cache

    def log_prob_backward(self, dlogp, cache, grads):
        return gaussian.log_standard_normal_backward(dlogp, cache) / 2

    def sample(self, params, eps, u, y=None):
        return 2 * eps


def test_a_prior(own, no_pictures, tmp_path):
    own(settings.PRIORS, "wide", Wide)
    fitted = trained(tmp_path / "run", "--prior", "wide")
    assert fitted.settings.kl == "sampled"  # since it says so itself
    assert Run.open(tmp_path / "run").read_json("evaluation.json")["kl"] == [None]
    result = call("digits", "--prior", "wide", "--kl", "closed", "--out", tmp_path / "closed")
    assert_misuse(result, "--prior normal or label: leave it out")


class Signs(Optimiser):
    """theta <- theta + rate sign(g) (Bernstein et al. 2018, signSGD), with the sum of all steps beside it."""

    arrays = ("travelled",)

    def rule(self, rate, t):
        return self.step, (rate,)

    @staticmethod
    def step(theta, g, travelled, options, cuts=None):
        (rate,) = options
        travelled += rate
        theta += rate * np.sign(g)
        return float(theta.sum())


def test_an_optimiser(own, no_pictures, tmp_path):
    own(settings.OPTIMISERS, "signs", Signs)
    trained(tmp_path / "run", "--optimiser", "signs", "--schedule", "constant", "--lr", 0.001, "--batch-size", 100)
    arrays, _ = Run.open(tmp_path / "run").load_checkpoint()
    np.testing.assert_allclose(arrays["optimiser.travelled"], 12 * 0.001, rtol=1e-5)  # 4 epochs of 3 steps
    assert arrays["optimiser.steps"] == 12


def test_a_schedule(own, no_pictures, tmp_path):
    asked = []
    own(settings.SCHEDULES, "first-half", lambda epoch, epochs: asked.append(epoch) or float(2 * epoch < epochs))
    words = ("--schedule", "first-half", "--optimiser", "sgd", "--lr", 1e-4, "--batch-size", 100)
    fitted = trained(tmp_path / "run", *words)
    np.testing.assert_allclose(asked, np.arange(12) / 3)
    rows = Run.open(tmp_path / "run").history()
    assert rows[1]["test_bound"] == rows[2]["test_bound"] != rows[0]["test_bound"]  # of 3 epochs; the longer run has 4
    assert fitted.settings.schedule == "first-half"


def test_a_data_set(own, no_pictures, tmp_path):
    pictures = np.random.default_rng(0).random((400, 6, 5, 3))
    pictures[:, :3] = pictures[:, :1, :1, :1]
    folders = []

    def stripes(data_dir):
        folders.append(data_dir)
        return datasets.split(pictures, np.arange(400) % 4)

    own(settings.DATASETS, "stripes", stripes)
    words = ("--conditional", "--prior", "label", "--data-dir", tmp_path / "data")
    fitted = trained(tmp_path / "run", *words, source="stripes")
    assert fitted.data_shape == (6, 5, 3) and fitted.model.n_labels == 4
    about = Run.open(tmp_path / "run").config()["dataset"]
    assert (about["name"], about["source"], about["n_labels"]) == ("stripes", "stripes", 4)
    assert folders == [tmp_path / "data", None, None]
    assert "did you mean stripes?" in call("stripe", "--out", tmp_path / "typo").stderr.lower()


def test_a_network_an_initialisation_an_estimator_and_a_bound(own, no_pictures, tmp_path):
    class Twice(networks.MLP):
        """An MLP of twice the hidden units."""

        def __init__(self, inputs, n_labels, hidden, outputs, *layout):
            super().__init__(inputs, n_labels, tuple(2 * units for units in hidden), outputs, *layout)

    own(settings.NETWORKS, "twice", (Twice, Twice))
    own(settings.INITIALISATIONS, "small", lambda uniform, normal: 0.02 * (2 * uniform() - 1))
    own(settings.ESTIMATORS, "half-stl", Estimator(lambda v: (v, v / 2), ("elbo", "mean")))
    own(settings.BOUNDS, "mean", lambda logw: (logw.mean(axis=1), np.full_like(logw, 1 / logw.shape[1])))
    words = ("--network", "twice", "--initialisation", "small", "--objective", "mean", "--estimator", "half-stl")
    fitted = trained(tmp_path / "run", *words, "--samples", 2)
    assert fitted.params["encoder.0.W"].shape == (64, 32) and fitted.params["decoder.0.W"].shape == (3, 32)
    assert fitted.settings.kl == "sampled"
    assert Run.open(tmp_path / "run").read_json("summary.json")["objective"] == "mean"
    result = call("digits", "--objective", "iwae", "--estimator", "half-stl", "--out", tmp_path / "biased")
    assert_misuse(result, "iwae: use --objective elbo or mean, or --estimator standard or dreg")


def test_a_run_whose_entry_is_not_there_is_refused_in_words(own, no_pictures, tmp_path):
    own(settings.SCHEDULES, "slow", lambda epoch, epochs: 0.5)
    trained(tmp_path / "run", "--schedule", "slow")
    with pytest.MonkeyPatch.context() as context:
        context.delitem(settings.SCHEDULES, "slow")
        assert_misuse(call("--resume", tmp_path / "run"), "is not the config of a run", "schedule is 'slow'")
        with pytest.raises(RunError, match="schedule is 'slow'"):
            tinyvae.load(tmp_path / "run")
        assert_misuse(call("digits", "--schedule", "slow"), "invalid choice: 'slow'")
    assert tinyvae.load(tmp_path / "run").settings.schedule == "slow"


def test_the_convolutional_network_alone_takes_its_recipe():
    def resolved(*words):
        return options.resolve(options.build_parser(None).parse_args(["mnist", *words]))

    assert resolved("--network", "conv") == RECIPES["conv"]
    assert resolved("--network", "conv", "--epochs", "3", "--kernel", "5").kernel == 5
    aevb = resolved("--network", "conv", "--recipe", "aevb", "--channels", "8,16,32")
    assert aevb == dataclasses.replace(RECIPES["aevb"], network="conv", channels=(8, 16, 32))
    for words in (("--recipe", "conv"), ("--network", "conv"), ("--recipe", "conv", "--network", "conv")):
        assert options.uses_default_length(options.build_parser(None).parse_args(["digits", *words]))
    deep = resolved("--network", "conv", "--latent", "20", "5")
    assert deep.hidden == (RECIPES["conv"].hidden[0],) * 2 and deep.kl == "sampled"


@pytest.mark.parametrize("words, message", [
    (("--channels", "8"), "--channels is of convolutional networks: add --network conv, or leave it out"),
    (("--kernel", 3), "--kernel is of convolutional networks"),
    (("--recipe", "aevb", "--stride", 3), "--stride is of convolutional networks"),
    (("--units", 8), "--units is of recurrent networks: add --network gru, or leave it out"),
    (("--network", "conv", "--feedback"), "--feedback is of recurrent networks"),
    (("--network", "gru", "--kernel", 3), "--kernel is of convolutional networks"),
    (("--network", "gru", "--word-dropout", 0.1), "--word-dropout 0.1 hides what is fed back: add --feedback"),
    (("--network", "gru", "--directions", 3), "argument --directions"),
    (("--beta", -1), "argument --beta: a number of at least 0 is needed, not -1"),
    (("--objective", "iwae", "--free-bits", 1), "--beta, --anneal and --free-bits change the KL divergence in closed"),
    (("--network", "conv", "--stride", 5), "--stride 5 is more than --kernel 4, and nobody would see the pixels"),
    (("--network", "conv", "--channels", "8,0"), "argument --channels"),
])  # fmt: skip
def test_options_of_convolutions_that_do_not_fit(words, message, tmp_path):
    assert_misuse(call("digits", *words, "--out", tmp_path / "run"), message)


@pytest.mark.parametrize("words", [(), ("--activation", "tanh", "--prior", "vamp", "--components", 3)])
def test_a_convolutional_run(words, no_pictures, tmp_path):
    fitted = trained(tmp_path / "run", "--network", "conv", "--channels", "5,6", *words)
    assert fitted.model.network == "conv" and fitted.sample(2).shape == (2, 8, 8)
    result = call("--resume", tmp_path / "run", "--kernel", 3)
    assert_misuse(result, "--kernel 3 would make it another run: the one in", "has 4")
