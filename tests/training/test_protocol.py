"""The line that a figure is quoted with: two trainings that may differ differ in it; and what a figure is of."""

from dataclasses import fields, replace
from types import SimpleNamespace

import numpy as np
import pytest

from tests.commands import call
from tinyvae import evaluate, load
from tinyvae.data.datasets import load as load_data
from tinyvae.disk.run import Run
from tinyvae.settings import AEVB, CONV, NETWORKS, RECIPES, Settings
from tinyvae.training.protocol import bits_per_dimension, protocol, quantity

BASE = Settings(objective="iwae", kl="sampled", samples=5, prior="mixture", conditional=True)
OTHER = {
    "network": "conv", "activation": "relu", "channels": (32,), "kernel": 5, "stride": 1,
    "latent": (21,), "hidden": ((500, 500),), "likelihood": "gaussian", "prior": "vamp",
    "components": 51, "conditional": False, "objective": "elbo", "estimator": "dreg", "samples": 6,
    "binarise": "dynamic", "initialisation": "aevb", "mean_bias": False, "optimiser": "sgd", "learning_rate": 0.004,
    "epsilon": 1e-7, "schedule": "constant", "batch_size": 101, "epochs": 21, "seed": 1, "dtype": "float64",
    "raised_from": (3,), "units": 7, "directions": 1, "feedback": True, "word_dropout": 0.1, "beta": 2.0, "anneal": 3,
    "free_bits": 0.5, "weight_prior": 1.0, "dequantise": True,
}  # fmt: skip


@pytest.mark.parametrize("name", [field.name for field in fields(Settings)])
def test_every_setting_changes_it(name):
    if name == "kl":
        assert protocol(Settings()) != protocol(Settings(kl="sampled"))
    elif owners := [network for network, pair in NETWORKS.items() if name in pair[0].own_settings]:  # of these alone
        assert protocol(replace(BASE, **{name: OTHER[name]})) == protocol(BASE)
        own = replace(BASE, network=owners[0])
        assert protocol(replace(own, **{name: OTHER[name]})) != protocol(own)
    else:
        assert protocol(replace(BASE, **{name: OTHER[name]})) != protocol(BASE)


@pytest.mark.parametrize("name", ["learning_rate", "epsilon", "beta", "free_bits", "weight_prior", "word_dropout"])
def test_the_last_digit_of_a_number_changes_it(name):
    one = replace(BASE, network="gru", **{name: 0.3})
    other = replace(one, **{name: np.nextafter(0.3, 1).item()})
    assert protocol(one) != protocol(other)


def test_where_one_layer_ends_and_the_next_begins():
    two = [replace(BASE, latent=(4, 2), hidden=hidden) for hidden in (((8, 8), (6,)), ((8,), (8, 6)), ((8, 8, 6), ()))]
    assert len(set(map(protocol, two))) == 3


def test_recipes_have_a_line_each_and_it_reads_well():
    assert len(set(map(protocol, RECIPES.values()))) == len(RECIPES)
    assert protocol(AEVB) == (
        "ELBO (closed-form KL), K = 1, data as they are, mlp 500-20, normal prior, bernoulli, 18 epochs, minibatch "
        "100, adagrad at 0.02 (constant), epsilon 1e-08, aevb weights, float32, seed 0"
    )


def test_a_convolutional_network_is_described():
    assert "conv (channels 32-64, kernel 4, stride 2, relu) 256-32, normal prior" in protocol(CONV)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, ""),
        ({"limit": 1200}, ", the first 1,200 training examples"),
        ({"vocabulary": SimpleNamespace(groups=())}, ", strings as characters"),
        ({"vocabulary": SimpleNamespace(groups=np.eye(2))}, ", strings as rules of a grammar"),
        ({"pictures": {"size": None, "grey": False, "skip_broken": False}}, ""),
        (
            {"pictures": {"size": 16, "grey": True, "skip_broken": True}},
            ", pictures made 16 x 16, pictures made grey, broken pictures left out",
        ),
    ],
)
def test_what_was_to_be_chosen_of_the_data_is_said(changes, words):
    assert protocol(BASE, replace(load_data("digits"), **changes)) == protocol(BASE) + words


QUICK = ("--epochs", 1, "--hidden", 8, "--latent", 2, "--quiet")
RUNS = {
    "grey": ((), "the limit of L_K (no log p(x): x lies between the likelihood's values)"),
    "grey, with labels": (("--conditional",), "the limit of L_K given y (no log p(x | y): "),
    "binary": (("--binarise", "static"), "log p(x)"),
    "binary, with labels": (("--binarise", "dynamic", "--conditional"), "log p(x | y)"),
    "densities": (("--likelihood", "gaussian"), "log p(x)"),
}


@pytest.mark.parametrize(("words", "wanted"), RUNS.values(), ids=RUNS)
def test_what_is_not_log_p_is_not_called_so(words, wanted, tmp_path):
    run = tmp_path / "run"
    assert call("digits", *QUICK, *words, "--out", run).returncode == 0
    result = call(run, "--samples", 20, "--limit", 40, "--quiet", main=evaluate.main)
    found = Run.open(run).read_json("evaluation.json")
    assert found["quantity"].startswith(wanted) and found["quantity"] in " ".join(result.stdout.split())
    assert {"log_likelihood", "standard_error", "dataset", "protocol"} <= found.keys()
    if not wanted.startswith("log p(x)"):
        assert "log p(x)  " not in result.stdout


def test_black_and_white_data_that_are_not_drawn_have_a_probability(tmp_path):
    images = np.random.default_rng(0).random((60, 16)) < 0.5
    np.save(tmp_path / "mine.npy", images)
    assert call(tmp_path / "mine.npy", *QUICK, "--out", tmp_path / "run").returncode == 0
    fitted = load(tmp_path / "run")
    assert quantity(fitted, images) == "log p(x)"
    assert quantity(fitted, images * 0.5).startswith("the limit of L_K")


def test_bits_per_dimension_where_a_code_could_have_them(tmp_path):
    """Of bytes under a logistic, of black and white under a Bernoulli; not of a density, nor of grey levels as bits."""
    rng = np.random.default_rng(0)
    for name, images in {
        "grey": rng.integers(0, 256, (60, 16), np.uint8),
        "binary": rng.random((60, 16)) < 0.5,
    }.items():
        np.save(tmp_path / f"{name}.npy", images)
    wanted = {("grey", "logistic"): True, ("binary", "bernoulli"): True}
    wanted |= {("grey", "bernoulli"): False, ("grey", "gaussian"): False, ("binary", "logistic-mixture"): True}
    for (name, likelihood), has_bits in wanted.items():
        run = tmp_path / f"{name}-{likelihood}"
        result = call(tmp_path / f"{name}.npy", *QUICK[:-1], "--likelihood", likelihood, "--out", run)
        assert result.returncode == 0, result.stderr
        summary = Run.open(run).read_json("summary.json")
        bits = summary["test_bits_per_dimension"]
        assert (bits is not None) == has_bits == ("bits per dimension" in result.stdout), (name, likelihood)
        if has_bits:
            assert bits == pytest.approx(-summary["test_bound"] / 16 / np.log(2))
            result = call(run, "--samples", 20, "--quiet", main=evaluate.main)
            found = Run.open(run).read_json("evaluation.json")
            assert found["bits_per_dimension"] == pytest.approx(-found["log_likelihood"] / 16 / np.log(2))
            assert f"{found['bits_per_dimension']:.3f} bits per dimension" in result.stdout


def test_a_uniform_model_needs_eight_bits():
    fitted = SimpleNamespace(model=SimpleNamespace(data_dim=5), settings=Settings(likelihood="logistic"))
    assert bits_per_dimension(fitted, np.zeros((1, 5), np.uint8), -5 * np.log(256)) == pytest.approx(8, rel=1e-15)


def test_values_between_the_levels_are_refused(tmp_path):
    np.save(tmp_path / "between.npy", np.random.default_rng(0).random((60, 16)))
    result = call(tmp_path / "between.npy", *QUICK, "--likelihood", "logistic", "--out", tmp_path / "run")
    assert result.returncode == 2 and "has values between the 256 levels 0, 1/255, ..., 1" in result.stderr
    levels = np.random.default_rng(0).integers(0, 256, (60, 16)) / 255
    np.save(tmp_path / "levels.npy", levels.astype(np.float32))
    result = call(tmp_path / "levels.npy", *QUICK, "--likelihood", "logistic", "--out", tmp_path / "run")
    assert result.returncode == 0, result.stderr
