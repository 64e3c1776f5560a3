"""The prior as a code: a vector of cells costs -log2 of the mixture's mass, whichever component was drawn."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import special, stats

from tests.coding.models import build, seeds
from tinyvae.coding.ans import Stack, bits
from tinyvae.coding.cells import CELLS, cells
from tinyvae.coding.network import plan_for
from tinyvae.coding.prior import (
    CHOICE_BITS,
    pop_choice,
    pop_prior,
    prior_for,
    push_choice,
    push_prior,
    responsibilities,
    shared_out,
)

NETWORK = {"data_shape": (3, 5), "latent": (3,), "hidden": ((4,),), "n_components": 5}
EXTREME = [0.0, -745.0, 1e300, -1e300, np.inf, -np.inf, np.nan]


def prior_of(name, seed=0, stretch=3.0):
    """The code of a random prior, and its components' weights (M,), means and log variances (M, D)."""
    model, params = build(NETWORK | {"prior": name}, dtype=np.float64, seed=seed, stretch=stretch)
    prior = prior_for(model, params, plan_for(model.encoders[0], params.part("encoder")))
    if name == "mixture":
        return prior, special.softmax(params["prior.logits"]), params["prior.mu"], params["prior.logvar"]
    mu, logvar = model.encode(params, params["prior.inputs"])
    return prior, np.full(5, 0.2), mu, logvar


def mass(chosen, prior, weights, mu, logvar):
    """What the mixture gives to boxes of cells (N, D), by SciPy: the components' shares (M, N)."""
    edges = prior.centre + prior.scale * cells().edges[np.stack([chosen, chosen + 1])]
    low, high = (stats.norm.cdf(edge, mu[:, None], np.exp(logvar / 2)[:, None]) for edge in edges)
    return weights[:, None] * (high - low).prod(axis=2)


@pytest.mark.parametrize("name", ["mixture", "vamp"])
def test_the_components_are_the_model_s_and_the_cells_lie_where_they_do(name):
    prior, weights, mu, logvar = prior_of(name)
    np.testing.assert_allclose(np.diff(prior.starts) / 2**CHOICE_BITS, weights, atol=1e-6)
    np.testing.assert_allclose(prior.centre + prior.scale * prior.mu.T, mu, atol=1e-9)
    np.testing.assert_allclose(prior.logvar.T + 2 * np.log(prior.scale), logvar, atol=1e-9)
    np.testing.assert_allclose(prior.centre, weights @ mu, atol=1e-5)
    np.testing.assert_allclose(prior.scale**2, weights @ (mu**2 + np.exp(logvar)) - (weights @ mu) ** 2, rtol=1e-5)


@pytest.mark.parametrize("name", ["mixture", "vamp"])
def test_vectors_cost_the_mixture_s_mass_and_come_back(name):
    """3,000 vectors, each drawn from a component: within 1e-4 of -log2 of the sum over all components."""
    prior, weights, mu, logvar = prior_of(name)
    random, count = np.random.default_rng(1), 3000
    c = random.choice(5, count, p=weights)
    z = mu[c] + np.exp(logvar[c] / 2) * random.standard_normal((count, 3))
    chosen = np.clip(stats.norm.cdf((z - prior.centre) / prior.scale) * CELLS, 0, CELLS - 1).astype(np.int32)
    stack = Stack(0)
    stack.make_room(count, 4 * count)
    before = float(bits(stack.head))
    for cell in chosen:
        push_prior(stack.words, stack.head, cell, prior, cells())
    cost, exact = float(bits(stack.head)) - before, -np.log2(mass(chosen, prior, weights, mu, logvar).sum(axis=0)).sum()
    assert abs(cost / exact - 1) < 1e-4
    again = np.empty(3, np.int32)
    for cell in chosen[::-1]:
        pop_prior(stack.words, stack.head, again, prior, cells())
        assert np.array_equal(again, cell)
    assert stack.is_at_start()


@pytest.mark.parametrize("name", ["mixture", "vamp"])
def test_responsibilities_are_the_components_shares(name):
    prior, weights, mu, logvar = prior_of(name)
    chosen = np.random.default_rng(2).integers(0, CELLS, (300, 3))
    z = prior.centre + prior.scale * cells().medians[chosen]
    logs = stats.norm.logpdf(z, mu[:, None], np.exp(logvar / 2)[:, None]).sum(axis=2) + np.log(weights)[:, None]
    ours = [np.diff(responsibilities(cell, prior, cells())) / 2**CHOICE_BITS for cell in chosen]
    np.testing.assert_allclose(np.transpose(ours), special.softmax(logs, axis=0), atol=1e-5)


@given(st.lists(st.one_of(st.sampled_from(EXTREME), st.floats(-50, 50)), min_size=1, max_size=40), seeds)
def test_every_choice_has_a_number_of_its_own_and_comes_back(logits, seed):
    starts, stack = shared_out(np.array(logits)), Stack(seed)
    assert starts[0] == 0 and starts[-1] == 2**CHOICE_BITS and np.all(np.diff(starts) >= 1)
    stack.make_room(9, 0)
    drawn = [pop_choice(stack.words, stack.head, starts) for _ in range(9)]
    for c in reversed(drawn):
        push_choice(stack.words, stack.head, c, starts)
    assert stack.is_at_start()


@given(st.lists(st.floats(-12, 12), min_size=1, max_size=40), st.sampled_from([0.0, -5000.0, 800.0]))
def test_choices_have_their_softmax(logits, shift):
    starts = shared_out(np.array(logits) + shift)
    np.testing.assert_allclose(np.diff(starts) / 2**CHOICE_BITS, special.softmax(logits), atol=4e-6)
