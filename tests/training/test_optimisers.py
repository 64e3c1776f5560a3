"""The optimisers against their papers' equations, over many steps, and on a problem with a known answer."""

import numpy as np
import pytest

from tinyvae import machine
from tinyvae.derivation.parameters import Parameters
from tinyvae.settings import OPTIMISERS, SCHEDULES, iwae_epochs
from tinyvae.training.optimisers import SGD, Adagrad, Adam


def gradients(steps=20, size=7):
    return np.random.default_rng(0).standard_normal((steps, size))


def run(kind, rate, epsilon=1e-8):
    """The parameters after some steps from zero."""
    params = Parameters({"W": (7,)}, dtype=np.float64)
    optimiser = kind(params, epsilon)
    for g in gradients():
        total = optimiser.update(params, params.with_flat(g), rate)
        assert total == pytest.approx(params.flat.sum())
    return params.flat


def test_adam_is_algorithm_1():
    theta, m, v = np.zeros(7), 0, 0
    for t, g in enumerate(gradients(), start=1):
        m = 0.9 * m + 0.1 * g
        v = 0.999 * v + 0.001 * g**2
        theta += 0.01 * (m / (1 - 0.9**t)) / (np.sqrt(v / (1 - 0.999**t)) + 1e-4)
    np.testing.assert_allclose(run(Adam, 0.01, epsilon=1e-4), theta, rtol=1e-12)


def test_adagrad():
    theta, total = np.zeros(7), 0
    for g in gradients():
        total = total + g**2
        theta += 0.02 * g / (np.sqrt(total) + 1e-8)
    np.testing.assert_allclose(run(Adagrad, 0.02), theta, rtol=1e-12)


def test_momentum():
    theta, velocity = np.zeros(7), 0
    for g in gradients():
        velocity = 0.9 * velocity + g
        theta += 0.1 * velocity
    np.testing.assert_allclose(run(SGD, 0.1), theta, rtol=1e-12)


@pytest.mark.parametrize("name", OPTIMISERS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_step_is_the_same_in_parts_by_several_threads(name, dtype):
    params = Parameters({"a.W": (7, 30), "a.b": (30,), "b.W": (101, 5), "b.b": (5,)}, dtype=dtype)
    start, g = np.random.default_rng(1).standard_normal((2, params.flat.size)).astype(dtype)
    results = []
    for size, in_parts in ((1, False), (1, True), (3, True)):
        theta = params.with_flat(start.copy())
        optimiser = OPTIMISERS[name](theta)
        if optimiser._cuts is not None:  # as without a compiler
            assert {0, 210, 240, 745} < set(optimiser._cuts[:, 0]) and len(optimiser._cuts) >= 2 * len(params.shapes)
        if not in_parts:
            optimiser._cuts = np.array([[0, start.size]], np.int64)
        with machine.crew(size):
            for _ in range(3):
                total = optimiser.update(theta, params.with_flat(g), 0.1)
                assert total == pytest.approx(theta.flat.sum(), abs=1e-3)
        results.append(theta.flat)
    np.testing.assert_allclose(results[1], results[0], rtol=1e-5 if dtype == np.float32 else 1e-12)
    np.testing.assert_array_equal(results[1], results[2])
    assert not np.allclose(start, results[0])


@pytest.mark.parametrize("name", OPTIMISERS)
def test_what_a_checkpoint_must_hold(name):
    optimiser = OPTIMISERS[name](Parameters({"W": (7,)}))
    assert set(optimiser.state) == {*optimiser.arrays, "steps"}
    assert all(optimiser.state[array].shape == (7,) for array in optimiser.arrays)


@pytest.mark.parametrize(("name", "rate"), [("sgd", 0.01), ("adagrad", 0.5), ("adam", 0.05)])
def test_each_climbs_to_the_top_of_a_paraboloid(name, rate):
    top = np.array([1.0, -2.0, 0.5], np.float32)
    params = Parameters({"W": (3,)})
    optimiser = OPTIMISERS[name](params)
    for _ in range(1000):
        optimiser.update(params, params.with_flat(top - params.flat), rate)  # the gradient of -|theta - top|² / 2
    np.testing.assert_allclose(params.flat, top, atol=1e-3)


def test_schedules_start_full_and_the_cosine_ends_at_zero():
    assert [schedule(0.0, 20) for schedule in SCHEDULES.values()] == [1.0] * len(SCHEDULES)
    assert SCHEDULES["constant"](18.5, 20) == 1
    assert SCHEDULES["cosine"](10, 20) == pytest.approx(0.5) and SCHEDULES["cosine"](20, 20) == pytest.approx(0)


def test_the_schedule_of_iwae():
    """For i = 0 ... 7, 3^i epochs at 0.001 · 10^(-i/7)."""
    factors = [SCHEDULES["iwae"](epoch, 3280) for epoch in range(3280)]
    expected = [10 ** (-i / 7) for i in range(8) for _ in range(3**i)]
    np.testing.assert_allclose(factors, expected)
    assert [iwae_epochs(n) for n in (1, 2, 5, 8)] == [1, 4, 121, 3280]
    assert SCHEDULES["iwae"](0.99, 121) == 1 and SCHEDULES["iwae"](5000, 6000) == pytest.approx(0.1)
