"""The gradient checker: it accepts what is right, and no error of a thousandth passes it."""

import json

import numpy as np
import pytest

from tinyvae import gradcheck
from tinyvae.checks import finite_differences, random_problems
from tinyvae.checks.finite_differences import Problem
from tinyvae.derivation import bounds, gaussian, likelihoods, mlp, model, priors

PARTS = (mlp, gaussian, likelihoods, priors)
BACKWARD = [
    (part, name) for part in PARTS for name, f in vars(part).items()
    if name.endswith("_backward") and f.__module__ == part.__name__
]  # fmt: skip


def outputs(result):
    """All arrays in a backward function's result."""
    if isinstance(result, np.ndarray):
        return [result]
    return [array for part in result or () for array in outputs(part)]


def test_the_whole_derivation_is_right(capsys):
    assert gradcheck.main([]) == 0
    assert " 0 wrong" in capsys.readouterr().out


def test_another_seed_and_json(capsys):
    assert gradcheck.main(["--seed", "7", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert len(rows) > 20 and all(row["ok"] and row["error"] < 1e-6 for row in rows)


@pytest.mark.parametrize(("part", "name"), BACKWARD, ids=[name for _, name in BACKWARD])
def test_an_error_of_a_thousandth_in_any_output_of_any_backward_function_is_found(part, name, monkeypatch, capsys):
    right = getattr(part, name)
    number = len(outputs(call_once(right, name, monkeypatch, part)))
    assert number > 0
    for i in range(number):

        def wrong(*args, i=i, **kwargs):
            result = right(*args, **kwargs)
            arrays = outputs(result)
            if i < len(arrays):
                arrays[i] *= 1.001
            return result

        plant(monkeypatch, part, name, wrong)
        assert gradcheck.main([]) == 1, f"output {i}"
        assert "WRONG" in capsys.readouterr().out


def plant(monkeypatch, part, name, function):
    """Put a function in the place of another wherever it was imported."""
    right = getattr(part, name)
    for module in (*PARTS, model):
        if getattr(module, name, None) is right:
            monkeypatch.setattr(module, name, function)


def call_once(right, name, monkeypatch, part):
    """The result of one call of a function while all is checked."""
    results = []
    with monkeypatch.context() as patch:

        def spy(*args, **kwargs):
            results.append(right(*args, **kwargs))
            return results[-1]

        plant(patch, part, name, spy)
        random_problems.check_all()
    return results[0]


PRIOR_BACKWARD = [
    (prior, name)
    for prior in priors.PRIORS.values()
    for name in ("log_prob_backward", "kl_backward")
    if name in vars(prior)
]


@pytest.mark.parametrize(("prior", "name"), PRIOR_BACKWARD)
def test_an_error_of_a_thousandth_in_any_prior_is_found(prior, name, monkeypatch, capsys):
    right = getattr(prior, name)
    for part in ("latent", *prior(1, 1, 1).shapes()):

        def wrong(self, d, cache, grads, part=part):
            result = right(self, d, cache, grads)
            array = outputs(result)[0] if part == "latent" else grads[part]
            array *= 1.001
            return result

        monkeypatch.setattr(prior, name, wrong)
        assert gradcheck.main([]) == 1, part
        assert "WRONG" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["joint_backward", "posterior_backward", "backward"])
def test_an_error_of_a_thousandth_in_the_model_s_backward_pass_is_found(name, monkeypatch, capsys):
    right = getattr(model.Model, name)

    def wrong(self, *args, **kwargs):
        result = right(self, *args, **kwargs)
        grads = result if name == "backward" else args[3]
        part = grads["decoder.0.W" if name == "joint_backward" else "encoder.0.W"]
        part *= 1.001
        return result

    monkeypatch.setattr(model.Model, name, wrong)
    assert gradcheck.main([]) == 1
    assert "WRONG" in capsys.readouterr().out


@pytest.mark.parametrize("name", bounds.BOUNDS)
def test_an_error_of_a_thousandth_in_any_bound_s_derivative_is_found(name, monkeypatch, capsys):
    right = getattr(bounds, name)
    monkeypatch.setattr(bounds, name, lambda logw: (right(logw)[0], right(logw)[1] * 1.001))
    assert gradcheck.main([]) == 1
    assert f"bounds.{name}" in "".join(line for line in capsys.readouterr().out.splitlines() if "WRONG" in line)


def test_numerical_gradient_of_a_known_function():
    x = np.array([[1.0, 2.0], [3.0, -4.0]])
    kept = x.copy()
    gradient = finite_differences.numerical_gradient(lambda: np.sum(np.sin(x)), x)
    np.testing.assert_allclose(gradient, np.cos(kept), atol=1e-10)
    np.testing.assert_array_equal(x, kept)


def test_relative_error_is_infinite_where_it_cannot_be_told():
    assert finite_differences.relative_error(np.array([np.nan, 1.0]), np.ones(2)) == np.inf
    assert finite_differences.relative_error(np.ones(3), np.ones(2)) == np.inf
    assert finite_differences.relative_error(np.array([1.001, 2.0]), np.array([1.0, 2.0])) == pytest.approx(5e-4)


def test_a_gradient_of_another_shape_is_wrong():
    problem = Problem("sum", {"x": np.ones((2, 3))}, lambda x: (x.sum(axis=1), None), lambda du, _: {"x": du})
    assert finite_differences.check(problem)["x"] == np.inf


def test_what_the_checker_is_blind_to():
    """A wrong forward pass whose derivative is right passes: the oracles of the other tests are for this."""
    eps = np.random.default_rng(0).standard_normal((3, 2))

    def forward(logvar):
        return eps * np.exp(logvar), eps * np.exp(logvar)  # the standard deviation is exp(logvar / 2)

    problem = Problem("wrong sigma", {"logvar": np.zeros((3, 2))}, forward, lambda dz, z: {"logvar": dz * z})
    assert finite_differences.check(problem)["logvar"] < 1e-6
