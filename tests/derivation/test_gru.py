"""The GRU: backpropagation through time against finite differences, its values by loops over the equations."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests import oracles
from tinyvae import machine
from tinyvae.checks import finite_differences
from tinyvae.checks.random_problems import networks
from tinyvae.derivation.gru import gru, gru_backward, gru_shapes
from tinyvae.machine import plain

seeds = st.integers(0, 2**32 - 1)
sizes = st.integers(1, 4)
steps = st.sampled_from([1, 2, 7])


def random_gru(seed, T, N, K, I, J, H):
    """Inputs and weights."""
    rng = np.random.default_rng(seed)
    weights = {key: rng.standard_normal(shape) for key, shape in gru_shapes(I, J, H).items()}
    return rng.standard_normal((T * N, I)), rng.standard_normal((N * K, J)), weights


@given(steps, sizes, sizes, st.integers(0, 3), st.integers(0, 3), sizes, st.booleans(), st.booleans(), seeds)
def test_gradients(T, N, K, I, J, H, is_reversed, only_last, seed):
    problem = networks.gru(np.random.default_rng(seed), T, N, K, I, J, H, is_reversed, only_last)
    errors = finite_differences.check(problem)
    assert max(errors.values()) < finite_differences.TOLERANCE, errors


@given(steps, sizes, sizes, st.integers(0, 3), st.integers(0, 3), sizes, st.booleans(), seeds)
def test_values_by_loops(T, N, K, I, J, H, is_reversed, seed):
    a, s, weights = random_gru(seed, T, N, K, I, J, H)
    h = gru(a, s, weights, T, is_reversed)[0].reshape(T, N * K, H)
    W = np.concatenate([weights.get("steps.W", np.empty((0, 3 * H))), weights.get("static.W", np.empty((0, 3 * H)))])
    U, b, c = (weights[name] for name in ("state.W", "input.b", "state.b"))
    turn = slice(None, None, -1 if is_reversed else 1)
    for r in range(N * K):
        read = a.reshape(T, N, I)[:, r // K] if I else np.empty((T, 0))
        both = np.concatenate([read, np.tile(s[r], (T, 1))], axis=1)
        np.testing.assert_allclose(h[turn, r], oracles.gru(both[turn], W, U, b, c, np.zeros(H)), rtol=1e-10, atol=1e-12)


def planted(backward):
    """The largest error that the checker finds where ``recurrence_gradient`` has been exchanged for another one."""
    problem = networks.gru(np.random.default_rng(0), 3, 2, 2, 2, 2, 3)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(machine, "recurrence_gradient", backward)
        return max(finite_differences.check(problem).values())


def test_planted_errors_are_found():
    """The gates exchanged, which of the candidate's derivatives goes where, and a slope that is off by 0.1 %."""

    def exchanged(dstates, U, gates, *rest):
        r, u, m, n = np.split(gates, 4, axis=1)
        plain.recurrence_gradient(dstates, U, np.concatenate([u, r, m, n], axis=1), *rest)

    def on_the_wrong_side(dstates, U, gates, states, dsteps, dstatic, dproducts, is_reversed):
        plain.recurrence_gradient(dstates, U, gates, states, dsteps, dstatic, dproducts, is_reversed)
        H, (R, _) = len(U), dstatic.shape
        T = len(gates) // R
        dsteps.reshape(T, -1, 3 * H)[..., 2 * H :] = dproducts.reshape(T, R // 2, 2, 3 * H).sum(axis=2)[..., 2 * H :]

    def slightly_off(dstates, U, gates, *rest):
        plain.recurrence_gradient(dstates, U, gates, *rest)
        rest[3][:] *= 1.001

    assert planted(plain.recurrence_gradient) < finite_differences.TOLERANCE
    for wrong in (exchanged, on_the_wrong_side, slightly_off):
        assert planted(wrong) > 1e-4, wrong


@pytest.mark.parametrize("is_reversed", [False, True])
def test_a_sequence_may_be_gone_through_in_parts(is_reversed):
    a, s, weights = random_gru(0, 7, 2, 3, 2, 1, 4)
    whole = gru(a, s, weights, 7, is_reversed)[0]
    rows, state, parts = a.reshape(7, 2, 2), None, []
    for t in range(7)[:: -1 if is_reversed else 1]:
        state, _ = gru(rows[t], s, weights, 1, is_reversed, start=state)
        parts.append(state)
    np.testing.assert_allclose(np.concatenate(parts[:: -1 if is_reversed else 1]), whole, rtol=1e-12, atol=1e-14)


def test_what_comes_later_does_not_act_on_what_was_before():
    a, s, weights = random_gru(1, 5, 3, 1, 2, 1, 4)
    for is_reversed in (False, True):
        h = gru(a, s, weights, 5, is_reversed)[0].reshape(5, 3, 4)
        for t in range(5):
            changed = a.copy()
            changed[3 * t + 1] += 1  # of the second example
            differs = (gru(changed, s, weights, 5, is_reversed)[0].reshape(5, 3, 4) != h).any(axis=2)
            expected = np.zeros((5, 3), bool)
            expected[: t + 1 if is_reversed else None, 1] = True
            expected[: 0 if is_reversed else t, 1] = False
            np.testing.assert_array_equal(differs, expected)


def test_inputs_are_kept_and_a_cache_serves_twice():
    a, s, weights = random_gru(2, 3, 2, 2, 2, 2, 3)
    before = [array.copy() for array in (a, s, *weights.values())]
    h, cache = gru(a, s, weights, 3)
    results = []
    for _ in range(2):
        grads = {key: np.full_like(array, np.nan) for key, array in weights.items()}
        results.append([*gru_backward(np.ones_like(h), cache, grads), *grads.values()])
    for first, second in zip(*results):
        np.testing.assert_array_equal(first, second)
    for array, old in zip((a, s, *weights.values()), before):
        np.testing.assert_array_equal(array, old)


def test_what_does_not_fit_is_refused():
    a, s, weights = random_gru(3, 4, 2, 3, 2, 1, 3)
    h, cache = gru(a, s, weights, 4)
    for call in (
        lambda: gru(a, s, weights, 3),
        lambda: gru(a, s[:5], weights, 4),
        lambda: gru_backward(h[:-1], cache, weights),
        lambda: gru_backward(h[:, :2], cache, weights),
    ):
        with pytest.raises(ValueError, match="are needed, not"):
            call()
    without = {name: array for name, array in weights.items() if name != "steps.W"}
    with pytest.raises(ValueError, match=r"a \(T N, 0\) and s \(R, 1\), for T = 4 and R a multiple of N, are needed"):
        gru(a, s, without, 4)
    with pytest.raises(ValueError, match="T=0: a whole number above zero is needed"):
        gru(a, s, weights, 0)
