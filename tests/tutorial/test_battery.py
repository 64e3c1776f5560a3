"""Every check over a battery of right, wrong and odd answers: the verdict is right, and shows nothing of ours.

The typical mistakes of each exercise, with what is said of them, are in the tests of its notebook.
"""

import itertools
import math
import os
import re
import traceback
from bisect import bisect_right
from pathlib import Path

import nbformat
import numpy as np
import pytest
from numba import njit
from scipy import stats
from scipy.special import expit, log_softmax, logsumexp
from scipy.stats import norm

import tinyvae
from tests.notebooks import NOTEBOOKS, exercises, solutions
from tests.tutorial.battery import RIGHT, UNSOLVED, after, odd, of_judges, of_numbers, unsolved
from tinyvae import tutorial
from tinyvae.derivation import mlp
from tinyvae.tutorial.answers import Unsolved, Wrong

NAMES = {"np": np, "stats": stats, "math": math, "njit": njit, "logsumexp": logsumexp, "itertools": itertools}
NAMES |= {"norm": norm, "expit": expit, "log_softmax": log_softmax, "bisect_right": bisect_right}
OURS = f"{Path(tinyvae.__file__).parent}{os.sep}"  # what the path of a frame of ours begins with
FEWEST = 15  # answers of an exercise


def random_layers(rng, *sizes):
    """What notebook 2 defines between its exercises."""
    return [(rng.standard_normal((i, j)), rng.standard_normal(j)) for i, j in itertools.pairwise(sizes)]


SOLUTIONS = {path.name[:2]: solutions(path.stem, **NAMES, random_layers=random_layers) for path in NOTEBOOKS}
# A number that is judged alone may be as near as the tolerance; one that is counted has no fractions.
WHOLE = {"single precision": "type for fractions", "a hair's breadth off": "type for fractions"}
WHOLE |= dict.fromkeys(
    ("an output more", "not a number", "infinity", "1 % too much", "0.001 % too much", "other numbers every time"), ""
)
MASK = WHOLE | dict.fromkeys(("single precision", "a hair's breadth off"), "True and False")
MESSAGES = dict.fromkeys(WHOLE, "whole number")  # which a float cannot hold
MESSAGES |= {"an output more": "expected", "it changes its arguments": RIGHT}  # whole numbers, and lists of them
ROUNDED = {"0.001 % too much": RIGHT}  # what differences have too
X_CHANGED = {"it changes its arguments": "x is not as it was"}
NOT_CHANGED = {"it changes its arguments": RIGHT}  # they are numbers, which cannot be changed
# {number: (the check, the name of the solution, what is said to be right,
#           {name of an answer: what comes of it, if another thing than of most})}
NUMBERS = {
    "1.1": ("log_marginal", "log_marginal", "your log p(x)", {}),
    "1.2": ("log_mean_exp", "log_mean_exp", "your log mean exp", {}),
    "1.3": ("log_weights", "log_weights", "your log weights", {}),
    "1.4": ("posterior", "posterior", "your posterior", {}),
    "1.5": ("kl", "kl", "your KL divergence", {}),
    "1.6": ("price_of_independence", "price_of_independence", "your price", {}),
    "2.1": ("affine_backward", "affine_backward", "your affine_backward", {}),
    "2.2": ("tanh_backward", "tanh_backward", "your tanh_backward", {}),
    "2.4": ("numerical_gradient", "numerical_gradient", "your numerical gradient", X_CHANGED),
    "2.5": ("best_step", "best_step", "your best step", NOT_CHANGED),
    "2.6": ("relative_errors", "relative_errors", "your relative errors", ROUNDED),
    "3.1": ("expected_cosine", "expected_cosine", "your E[cos z]", {}),
    "3.2": ("score_gradient", "score_gradient", "your score-function estimate", ROUNDED),
    "3.3": ("path_gradient", "path_gradient", "your pathwise estimate", {}),
    "3.4": ("variances", "variances", "your answer", {}),
    "3.5": ("leave_one_out", "leave_one_out", "your baseline", {}),
    "3.6": ("layer_backward", "layer_backward", "your layer_backward", {}),
    "3.7": ("log_q_derivatives", "log_q_derivatives", "your answer", {}),
    "3.8": ("log_weight_gradient", "log_weight_gradient", "your gradient of log w", {}),
    "4.1": ("bernoulli", "bernoulli", "your Bernoulli likelihood", {}),
    "4.2": ("kl_and_gradient", "kl", "your KL term", {}),
    "4.3": ("vae_forward", "forward", "your forward pass", {"an output more": "three outputs are expected"}),
    "4.5": ("generate", "generate", "your mean images", {}),
    "4.6": ("water_level", "average_kl", "your divergences", {}),
    "5.1": ("quantile_grid", "quantile_grid", "your grid", NOT_CHANGED | {"0.001 % too much": "nearly ours"}),
    "5.2": ("knn_accuracy", "knn_accuracy", "your accuracy", {}),
    "5.3": ("interpolate", "interpolate", "your path", {}),
    "5.4": ("aggregate_moments", "aggregate_moments", "your moments", {}),
    "5.5": ("surgery", "surgery", "your surgery", {}),
    "5.6": ("best_logvar", "best_logvar", "your variances", {}),
    "6.1": ("group_bounds", "group_bounds", "your bounds of groups", {}),
    "6.2": ("iwae", "iwae", "your bound", {}),
    "6.3": ("effective_sample_size", "effective_sample_size", "your effective sample size", {}),
    "6.4": ("resample", "resample", "your choice", WHOLE),
    "6.5": ("streaming", "add_block", "your update.\nRight: your first block", {}),
    "6.6": ("active_units", "active_units", "your count", {}),
    "6.7": ("dreg", "dreg", "your estimator", {}),
    "7.1": ("two_layer_log_weights", "log_weights", "your log weights", {}),
    "7.2": ("log_density_backward", "log_density_backward", "your backward pass", {}),
    "7.3": ("second_layer_backward", "second_layer_backward", "your derivative by z1", {}),
    "7.4": ("price_without_the_top", "price_without_the_top", "your price", {}),
    "7.5": ("with_labels", "with_labels", "your input", {}),
    "7.6": ("bayes", "bayes", "your Bayes' rule", {}),
    "7.7": ("table_gradient", "table_gradient", "your derivative by the table", {}),
    "8.1": ("mended_encoder", "encoder_backward", "your backward pass", {}),
    "8.3": ("excess", "excess", "your excess", {}),
    "9.1": ("cost_of_product", "cost_of_product", "your cost of a product", NOT_CHANGED),
    "10.1": ("places", "places", "your places", NOT_CHANGED | WHOLE),
    "10.2": ("patches", "patches", "your patches", {}),
    "10.3": ("filter_gradients", "filter_gradients", "your filter gradients", {}),
    "10.4": ("put_back", "put_back", "your put_back", {}),
    "10.6": ("transposed_backward", "transposed_backward", "your transposed_backward", {}),
    "11.1": ("dequantised_bound", "dequantised_bound", "your bound", {}),
    "11.2": ("bits_per_dimension", "bits_per_dimension", "your bits", {}),
    "11.3": ("level_log_probability", "level_log_probability", "your log probability", {}),
    "11.4": ("level_derivatives", "level_derivatives", "your derivatives", {}),
    "11.5": ("level_mixture", "level_mixture", "your mixture", {}),
    "11.6": ("colour_means", "colour_means", "your colours", {}),
    "12.1": ("gru_step", "gru_step", "your step", {}),
    "12.2": ("gru_step_backward", "gru_step_backward", "your way back", {}),
    "12.3": ("through_time", "through_time", "your way back through time", {}),
    "12.4": ("allowed_next", "allowed_next", "your mask", NOT_CHANGED | MASK),
    "12.5": ("masked_log_probability", "masked_log_probability", "your log probability", {}),
    "12.6": ("aided_price", "aided_price", "your price", {}),
    "12.7": ("same_function", "same_function", "your search for leaks", {}),
    "13.1": ("mean_bits", "mean_bits", "your mean bits", {}),
    "13.2": ("push", "push", "your message", MESSAGES),
    "13.3": ("pop", "pop", "your pop", MESSAGES),
    "13.4": ("table", "table", "your table", WHOLE),
    "13.5": ("push_word", "push_word", "your coder", MESSAGES | {"it changes its arguments": "something is missing"}),
    "13.6": ("posterior_tables", "posterior_tables", "your tables", WHOLE),
    "13.7": ("push_image", "push_image", "your encoder", MESSAGES),
    "13.8": ("pop_image", "pop_image", "your decoder", MESSAGES),
}
JUDGES = {
    "2.8": ("oracle", "is_gaussian_sample", "your oracle"),
    "8.2": ("moments_test", "has_right_moments", "your test tells right layers from wrong ones"),
    "8.4": ("permutation_test", "order_does_not_matter", "your test sees a wrong order, and nothing else"),
    "10.5": ("is_transpose", "is_transpose", "your test of a transpose"),
}


def freshly_permuted(bound, eps):
    """The test of exercise 8.4 with an order that is drawn anew each time, at first one of many."""
    order = np.random.default_rng().permutation(eps.shape[1])
    return bool(np.allclose(bound(eps[:, order]), bound(eps)))


def defined(number):
    """What the solutions of the exercise's notebook define, by name."""
    return SOLUTIONS[f"{int(number.split('.')[0]):02}"]


def with_another(place, answers, changed=()):
    """The odd answers in the place of one of several functions."""
    return [
        (f"{name} in the place {place}", (*answers[:place], *odd_answer, *answers[place + 1 :]), expected)
        for name, odd_answer, expected in odd(changed)
    ]


def pairs(number):
    """The answers of an exercise that asks for two functions, a forward and a backward pass."""
    names = {"2.3": ("network", "network_backward"), "4.4": ("forward", "backward")}[number]
    forward, backward = (defined(number)[name] for name in names)

    def scaled(factor):
        def answer(*arguments):
            value = backward(*arguments)
            if isinstance(value, dict):
                return {name: factor * array for name, array in value.items()}
            return factor * value[0], [(factor * dW, factor * db) for dW, db in value[1]]

        return answer

    return [
        ("the solution", (forward, backward), RIGHT),
        ("lists", (after(list)(forward), after(lambda v: v if isinstance(v, dict) else list(v))(backward)), RIGHT),
        ("twice the gradient", (forward, scaled(2)), ""),
        ("the negative", (forward, scaled(-1)), ""),
        ("not a number", (forward, scaled(np.nan)), "infinite or not a number"),
        *with_another(0, (forward, backward), {"lists of two lengths": Exception}),  # the backward pass stumbles
        *with_another(1, (forward, backward), {"a function": ""}),
    ]


def inputs(number):
    """The answers of an exercise that asks for inputs."""
    name = {"2.7": "hard_inputs", "8.5": "blind_spot"}[number]
    right = defined(number)[name]

    def of_all(change):
        def deep(value):
            return type(value)(map(deep, value)) if isinstance(value, (tuple, list)) else change(value)

        return after(deep)(right)

    def nan(a):
        return a * np.nan

    single = "float64 are expected" if number == "2.7" else RIGHT
    return [
        ("the solution", (right,), RIGHT),
        ("lists", (of_all(np.ndarray.tolist),), RIGHT),
        ("single precision", (of_all(lambda a: a.astype(np.float32)),), single),
        ("zeros", (of_all(np.zeros_like),), ""),
        ("ones", (of_all(np.ones_like),), ""),
        ("not a number", (of_all(nan),), ""),
        ("whole numbers", (of_all(lambda a: np.ones(a.shape, int)),), ""),
        ("one too few", (after(lambda value: value[:-1])(right),), "are expected"),
        ("transposed", (of_all(np.transpose),), ""),
        *odd(),
    ]


@njit
def right_kernel(a, b, out):
    for n in range(a.shape[0]):
        for j in range(a.shape[1]):
            out[n, j] = math.tanh(a[n, j] + b[j])


@njit
def without_rows(a, b, out):
    for j in range(a.shape[1]):
        out[0, j] = math.tanh(a[0, j] + b[j])


@njit
def elsewhere(a, b, out):
    out = np.tanh(a + b)  # noqa: F841


@njit
def into_its_argument(a, b, out):
    a[:] = np.tanh(a + b)
    out[:] = a


@njit
def without_bias(a, b, out):
    out[:] = np.tanh(a)


@njit
def failing(a, b, out):
    raise ValueError("no")


@njit
def of_two(a, b):
    return a + b


@njit
def by_arrays(a, b, out):
    out[:] = np.tanh(a + b)


@njit
def shifted(a, b, out):
    out[:] = np.tanh(a + b) + 0.001


def kernels():
    """The answers of exercise 9.2, a compiled function."""
    return [
        ("the solution", (right_kernel,), RIGHT),
        ("by arrays", (by_arrays,), "it makes an array of its own"),
        ("with flags", (njit(fastmath=True)(right_kernel.py_func),), RIGHT),
        ("not compiled", (right_kernel.py_func,), "it is not compiled"),
        ("the first row alone", (without_rows,), "are never written"),
        ("into an array of its own", (elsewhere,), "nothing is written into out"),
        ("into its argument", (into_its_argument,), "changes its argument"),
        ("without the bias", (without_bias,), "something is missing"),
        ("a little more", (shifted,), ""),
        ("it fails", (failing,), ValueError),
        ("two arguments", (of_two,), "does not take or return"),
        *odd(dict.fromkeys((name for name, *_ in odd()), "it is not compiled") | ELLIPSIS),
    ]


SLOW = {"9.2": pytest.mark.slow}  # it compiles ten kernels
ELLIPSIS = {"no function but the ellipsis": UNSOLVED}
OTHERS = {"2.3": pairs, "4.4": pairs, "2.7": inputs, "8.5": inputs}
# {number: (the check, what is said to be right)}
CHECKS = {number: (check, right) for number, (check, _, right, *_) in (NUMBERS | JUDGES).items()}
CHECKS |= {
    "2.3": ("network", "your network"),
    "2.7": ("hard_inputs", "your inputs convict all 10 wrong backward passes, and acquit the right one"),
    "4.4": ("vae_backward", "your backward pass"),
    "8.5": ("blind_spot", "on your inputs the gradient check is blind to exhibit 1"),
    "9.2": ("fused_layer", "your kernel in float64.\nRight: your kernel in float32"),
}


def battery(number):
    """[(name, answers, what is to come)] of an exercise."""
    solution = defined(number)
    if number in NUMBERS:
        _, name, _, changed = NUMBERS[number]
        answer = (
            solution[name] if number != "4.3" else after(lambda value: (*value[:2], 0.0))(solution[name])
        )  # no cache
        return of_numbers(answer, changed)
    if number in JUDGES:
        return of_judges(solution[JUDGES[number][1]]) + [("drawn afresh", (freshly_permuted,), RIGHT)] * (
            number == "8.4"
        )
    return OTHERS[number](number) if number in OTHERS else kernels()


def shown(error):
    """All that a person can see of an exception, in a terminal and in a notebook."""
    frames = "".join(traceback.format_exception(error))
    return frames + "\n".join(error._render_traceback_() if hasattr(error, "_render_traceback_") else ())


def complaint(check, right, answers, expected, capsys):
    """What is wrong with a check's verdict; None if it is as it should be."""
    capsys.readouterr()  # a check of the answer before may have spoken until it raised
    try:
        check(*answers)
    except BaseException as error:
        text = shown(error)
        if OURS in text:
            return f"frames of ours are shown:\n{text}"
        if expected == RIGHT:
            return f"it is rejected: {error!r}"
        if expected == UNSOLVED:
            said = isinstance(error, Unsolved) and re.fullmatch(r"Exercise \d+\.\d is still to be solved\.", str(error))
            return None if said else repr(error)
        if isinstance(expected, type):
            return None if isinstance(error, expected) else repr(error)
        return None if isinstance(error, Wrong) and expected in str(error) else repr(error)
    said = capsys.readouterr().out
    return None if expected == RIGHT and said == f"Right: {right}.\n" else f"it says {said!r}"


@pytest.mark.parametrize("number", [pytest.param(n, marks=SLOW.get(n, ())) for n in sorted(CHECKS)])
def test_every_answer_gets_its_verdict_and_sees_nothing_of_ours(number, capsys):
    check_name, right = CHECKS[number]
    check = getattr(tutorial, f"check_{check_name}")
    complaints = [
        f"{name}: {said}"
        for name, answers, expected in battery(number)
        if (said := complaint(check, right, answers, expected, capsys))
    ]
    assert not complaints, "\n".join(complaints)


def test_no_exercise_is_without_a_battery_and_none_has_few_answers():
    notebooks = [nbformat.read(path, as_version=4) for path in NOTEBOOKS]
    assert sorted(CHECKS) == sorted(number for notebook in notebooks for number in exercises(notebook))
    assert min(len(battery(number)) for number in CHECKS) >= FEWEST


def test_an_exercise_that_needs_an_unsolved_one_names_that_one():
    with pytest.raises(Unsolved, match=r"^Exercise 9\.9 is still to be solved\.$"):
        tutorial.check_kl(lambda *arguments: unsolved(*arguments))
    with pytest.raises(Unsolved, match=r"^Exercise 1\.5 is still to be solved\.$"):
        tutorial.check_kl(...)


def test_the_package_s_own_network_is_right():
    tutorial.check_network(lambda x, layers: mlp.mlp(x, layers), mlp.mlp_backward)
