"""The gradient checker: it accepts what is right, and no error of a thousandth passes it.

The planted errors are each looked for by the problems that name what is wrong, as the command would find them.
"""

import json
from collections.abc import Mapping
from functools import partial

import numpy as np
import pytest

from tinyvae import gradcheck
from tinyvae.checks import finite_differences, random_problems
from tinyvae.checks.finite_differences import TOLERANCE, Problem
from tinyvae.derivation import categorical, conv, gaussian, gru, levels, likelihoods, mlp, model, priors
from tinyvae.derivation.parameters import Parameters
from tinyvae.settings import ACTIVATIONS, BOUNDS, NETWORKS, PRIORS

PARTS = (mlp, conv, gru, gaussian, likelihoods, levels, categorical, priors)
BACKWARD = [
    (part, name) for part in PARTS for name, f in vars(part).items()
    if name.endswith("_backward") and f.__module__ == part.__name__
]  # fmt: skip
ABOUT = {"mlp.mlp": "mlp ", "gru.gru": "gru.gru, 7 steps"}  # words of the problems, where the pair's name is not it
WRITES_INTO_ITS_THIRD_ARGUMENT = (conv, gru)  # the derivatives by the weights
ALWAYS_ZERO = {  # arrays by which the derivatives are, whatever the numbers
    ("gru.gru, 1 steps", "state.W"),  # it multiplies the state before each step, and there is only h_0 = 0
    ("gru.gru, 1 steps, its last state", "state.W"),
    ("gaussian.log_posterior", "mu"),  # it moves z as it moves q: log q(z) is a function of eps and logvar
}


def arrays(of):
    """All arrays in a result, which may be nested."""
    if isinstance(of, np.ndarray):
        return [of]
    parts = of.values() if isinstance(of, Mapping) else of or ()
    return [array for part in parts for array in arrays(part)]


def outputs(part, args, result):
    """All arrays that a call of a backward function returns or writes."""
    return arrays([result, args[2]] if part in WRITES_INTO_ITS_THIRD_ARGUMENT else result)


def errors(about):
    """The largest error of each problem with these words in its name; there is at least one."""
    found = [error for _, error in random_problems.check_all(about=about)]
    assert found, f"no problem is about {about!r}"
    return found


@pytest.mark.slow
def test_the_whole_derivation_is_right(capsys):
    assert gradcheck.main([]) == 0
    assert " 0 wrong" in capsys.readouterr().out


def test_another_seed_and_json(monkeypatch, capsys):
    all_of_them, printed = random_problems.check_all, []
    monkeypatch.setattr(random_problems, "check_all", partial(all_of_them, about="gaussian"))
    for seed in ("7", "7", "8"):
        assert gradcheck.main(["--seed", seed, "--json"]) == 0
        printed.append(capsys.readouterr().out)
    rows = json.loads(printed[0])
    assert len(rows) > 5 and all(row["ok"] and row["error"] < 1e-6 for row in rows)
    assert printed[0] == printed[1] != printed[2]


def test_the_command_says_what_is_wrong(monkeypatch, capsys):
    """An error in a part is an error of all that is made of it; what is not stays right."""
    right, all_of_them = gaussian.sample_backward, random_problems.check_all
    monkeypatch.setattr(gaussian, "sample_backward", lambda dz, cache: [1.001 * array for array in right(dz, cache)])
    monkeypatch.setattr(random_problems, "check_all", partial(all_of_them, about="gaussian"))
    assert gradcheck.main([]) == 1
    lines = capsys.readouterr().out.splitlines()
    wrong = [line.split("  ")[0] for line in lines if "WRONG" in line]
    assert {"gaussian.sample", "gaussian.layer"} <= set(wrong) and any(name.startswith("model ") for name in wrong)
    assert "gaussian.log_density" not in wrong and f", {len(wrong)} wrong" in lines[-1]


def test_no_gradient_is_zero_but_where_it_must_be(monkeypatch):
    """In zeros a wrong factor cannot be seen."""
    with_flat, made = Parameters.with_flat, []

    def spy(self, flat):
        made.append(with_flat(self, flat))
        return made[-1]

    monkeypatch.setattr(Parameters, "with_flat", spy)  # makes a gradient by all parameters, which has names
    rng, zero = np.random.default_rng(0), set()
    for problem in random_problems.all_problems():
        result, cache = problem.forward(**problem.inputs)
        upstream = [rng.standard_normal(output.shape) for output in finite_differences.as_tuple(result)]
        gradients = problem.backward(*upstream, cache)
        if "params_flat" in gradients:
            del gradients["params_flat"]
            gradients |= made[-1]
        zero |= {(problem.name, name) for name, gradient in gradients.items() if not gradient.any()}
    assert zero == ALWAYS_ZERO


def test_every_pair_of_functions_has_a_problem_and_its_planted_errors():
    planted = {f"{part.__name__.split('.')[-1]}.{name.removesuffix('_backward')}" for part, name in BACKWARD}
    rooms = "conv.", "gru.", "gaussian.", "likelihoods.", "levels.", "categorical.", "priors.log_"
    named = {problem.name.split(",")[0] for problem in random_problems.all_problems()}
    assert planted == {name for name in named if name.startswith(rooms)} | {"mlp.mlp"}


@pytest.mark.parametrize(("part", "name"), BACKWARD, ids=[name for _, name in BACKWARD])
def test_an_error_of_a_thousandth_in_any_output_of_any_backward_function_is_found(part, name, monkeypatch):
    right, pair = getattr(part, name), f"{part.__name__.split('.')[-1]}.{name.removesuffix('_backward')}"
    about, calls = ABOUT.get(pair, pair), []

    def spy(*args, **kwargs):
        calls.append((args, right(*args, **kwargs)))
        return calls[-1][1]

    with monkeypatch.context() as patch:
        patch.setattr(part, name, spy)
        assert max(errors(about)) < TOLERANCE
    number = len(outputs(part, *calls[0]))
    assert number > 0
    for i in range(number):

        def wrong(*args, i=i, **kwargs):
            result = right(*args, **kwargs)
            outputs(part, args, result)[i][...] *= 1.001
            return result

        monkeypatch.setattr(part, name, wrong)
        assert max(errors(about)) > TOLERANCE, f"output {i}"


PRIOR_BACKWARD = [
    (key, prior, name)
    for key, prior in PRIORS.items()
    for name in ("log_prob_backward", "kl_backward")
    if name in vars(prior)
]


@pytest.mark.parametrize(("key", "prior", "name"), PRIOR_BACKWARD)
def test_an_error_of_a_thousandth_in_any_prior_is_found(key, prior, name, monkeypatch):
    right, own = getattr(prior, name), ["inputs"] if key == "vamp" else list(prior(1, 1, 1).shapes())
    own = [f"prior.{part}" if "." not in part else part for part in own]
    for part in ("latent", *own, *(["encoder.0.W"] if prior.uses_encoder else [])):

        def wrong(self, d, cache, grads, part=part):
            result = right(self, d, cache, grads)
            array = arrays(result)[0] if part == "latent" else grads[part]
            array *= 1.001
            return result

        monkeypatch.setattr(prior, name, wrong)
        assert max(errors(f"priors.{key}, {name.removesuffix('_backward')}")) > TOLERANCE, part


@pytest.mark.parametrize("end", [0, 1])
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("name", NETWORKS)
def test_an_error_of_a_thousandth_in_any_network_is_found(name, activation, end, monkeypatch):
    network = NETWORKS[name][end]
    right = network.backward
    about = f"networks.{name} {'encoder' if end == 0 else 'decoder'}, {activation}, 2 labels"
    (problem,) = (problem for problem in random_problems.all_problems() if problem.name == about)
    weights = [key for key in problem.inputs if key not in ("x", "labels")]
    for part in ("dx", "dlabels", *weights):

        def wrong(self, dout, cache, grads, need_dx=True, add=False, part=part):
            before = {key: array.copy() for key, array in grads.items()}
            dx, dlabels = right(self, dout, cache, grads, need_dx, add)
            if part in grads:
                grads[part][...] += 0.001 * (grads[part] - before[part])
            return dx * (1.001 if part == "dx" else 1), dlabels * (1.001 if part == "dlabels" else 1)

        monkeypatch.setattr(network, "backward", wrong)
        assert max(errors(about)) > TOLERANCE, part


@pytest.mark.parametrize("name", ["joint_backward", "posterior_backward", "backward"])
def test_an_error_of_a_thousandth_in_the_model_s_backward_pass_is_found(name, monkeypatch):
    right = getattr(model.Model, name)

    def wrong(self, *args, **kwargs):
        result = right(self, *args, **kwargs)
        grads = result if name == "backward" else args[3]
        part = grads["decoder.0.W" if name == "joint_backward" else "encoder.0.W"]
        part *= 1.001
        return result

    monkeypatch.setattr(model.Model, name, wrong)
    assert min(errors("model 5-3, elbo, K=3")) > TOLERANCE


@pytest.mark.parametrize("name", BOUNDS)
def test_an_error_of_a_thousandth_in_any_bound_s_derivative_is_found(name, monkeypatch):
    right = BOUNDS[name]
    monkeypatch.setitem(BOUNDS, name, lambda logw: (right(logw)[0], right(logw)[1] * 1.001))
    assert min(errors(f"bounds.{name}")) > TOLERANCE


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


def kinked(x):
    """A sum of rectified numbers."""
    return np.maximum(x, 0).sum(axis=1)


def test_a_kink_within_the_step_is_gone_around():
    """Numbers on both sides of zero, nearer than the step: their slopes are 0 and 1, and not between."""
    x = np.array([[3e-6, -3e-6, 1e-7, -1e-7, 0.5]])
    gradient = finite_differences.numerical_gradient(lambda: kinked(x).sum(), x, has_kinks=True)
    np.testing.assert_allclose(gradient, [[1, 0, 1, 0, 1]], atol=1e-6)
    problem = Problem("kinked", {"x": x}, lambda x: (kinked(x), x), lambda du, x: {"x": du[:, None] * (x > 0)}, True)
    assert finite_differences.check(problem)["x"] < TOLERANCE


def test_a_wrong_derivative_of_a_function_with_kinks_is_found():
    x = np.array([[3e-6, -3e-6, 0.5]])
    problem = Problem("kinked", {"x": x}, lambda x: (kinked(x), x), lambda du, x: {"x": du[:, None] * (x > 1e-5)}, True)
    assert finite_differences.check(problem)["x"] > TOLERANCE
