"""The prior as a code of latent variables: the standard normal, and mixtures of Gaussians.

Cells have equal mass under the standard normal, so there each costs the same. A mixture of components c,

    p(z) = sum_c pi_c p(z | c)        with p(z | c) = N(z; m_c, exp(s_c))

gives a vector z no product of probabilities, one for each cell; its components do. So the component is taken for one
latent variable more, whose posterior is its responsibility r_c(z) = pi_c p(z | c) / p(z), and bits-back is used again:

    pop   c from r(z)            gives bits back:  + log2 r_c(z)
    push  z under p(z | c)       costs             - log2 p(z | c)
    push  c under pi             costs             - log2 pi_c

together -log2 p(z), whichever component was drawn. ``COMPONENTS`` says what a learned prior's are.

The cells cut the line of u with z = centre + scale u, the mean and the standard deviation of each dimension under the
prior; what stands for a cell is that of its median. No cell is without a number of its own under a component: the
posterior, which draws it, has not asked the component.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from tinyvae.coding.ans import peek, pop, push
from tinyvae.coding.cells import WIDEST, limited_mean, pop_gaussian, pop_uniform, push_gaussian, push_uniform
from tinyvae.coding.elementary import exact, exp, limited, log
from tinyvae.coding.network import Plan, evaluate, scratch_for
from tinyvae.derivation.model import Model
from tinyvae.derivation.parameters import Parameters
from tinyvae.types import Array

CHOICE_BITS = 24  # of the numbers that the components share
UNDER_COMPONENT = 30, 1  # bits of the numbers that cells share, and how many each has of its own


class Prior(NamedTuple):
    """A prior, all in float64; with M = 0 components it is the standard normal.

    Attributes:
        centre, scale: (D,), of u.
        mu, logvar, precisions: (D, M), of the components, on the scale of u; the last is exp(-logvar).
        constants: (M,), log pi_c - 1/2 sum_d logvar.
        starts: (M + 1,) int64, the first number of each component under pi, and the number of them.
    """

    centre: Array
    scale: Array
    mu: Array
    logvar: Array
    precisions: Array
    constants: Array
    starts: np.ndarray


# ---------------------------------------------------------------------------------------------------------------------
# Vectors of cells
# ---------------------------------------------------------------------------------------------------------------------


@exact
def push_prior(words, head, chosen, prior, table):
    """Cells (D,) under the prior, at -log2 of the probability that it gives to all of them together, in bits."""
    if len(prior.constants) == 0:
        for d in range(chosen.size):
            push_uniform(words, head, chosen[d])
        return
    c = pop_choice(words, head, responsibilities(chosen, prior, table))
    for d in range(chosen.size):
        push_gaussian(words, head, chosen[d], prior.mu[d, c], prior.logvar[d, c], table, UNDER_COMPONENT)
    push_choice(words, head, c, prior.starts)


@exact
def pop_prior(words, head, chosen, prior, table):
    """What was pushed by ``push_prior``, into chosen (D,)."""
    if len(prior.constants) == 0:
        for d in range(chosen.size - 1, -1, -1):
            chosen[d] = pop_uniform(words, head)
        return
    c = pop_choice(words, head, prior.starts)
    for d in range(chosen.size - 1, -1, -1):
        chosen[d] = pop_gaussian(words, head, prior.mu[d, c], prior.logvar[d, c], table, UNDER_COMPONENT)
    push_choice(words, head, c, responsibilities(chosen, prior, table))


@exact
def responsibilities(chosen, prior, table):
    """The first number of each component under r(z), for the cells (D,): (M + 1,) int64."""
    logits = prior.constants.copy()
    for d in range(chosen.size):
        u, mean, precision = table.medians[chosen[d]], prior.mu[d], prior.precisions[d]
        for c in range(logits.size):
            logits[c] -= 0.5 * (u - mean[c]) * (u - mean[c]) * precision[c]
    return shared_out(logits)


@exact
def shared_out(logits):
    """The first of the numbers of each of M choices, softmax(logits) of them but at least one: (M + 1,) int64."""
    M, largest, total = logits.size, logits[0], 0.0
    for c in range(M):
        largest = logits[c] if logits[c] > largest else largest
    for c in range(M):
        total += exp(logits[c] - largest)
    starts, below = np.empty(M + 1, np.int64), 0.0
    for c in range(M):
        starts[c] = np.int64(((1 << CHOICE_BITS) - M) * limited(below / total, 0.0, 1.0)) + c
        below += exp(logits[c] - largest)
    starts[M] = 1 << CHOICE_BITS
    return starts


@exact
def push_choice(words, head, c, starts):
    """One of the choices that have their first numbers in ``starts``."""
    push(words, head, starts[c], starts[c + 1] - starts[c], CHOICE_BITS)


@exact
def pop_choice(words, head, starts):
    """The choice that was pushed by ``push_choice``; of any other message, one drawn from their distribution."""
    u, c = peek(head, CHOICE_BITS), 0
    while starts[c + 1] <= u:
        c += 1
    pop(words, head, starts[c], starts[c + 1] - starts[c], CHOICE_BITS)
    return c


# ---------------------------------------------------------------------------------------------------------------------
# The components of a model's prior
# ---------------------------------------------------------------------------------------------------------------------


def no_components(model: Model, params: Parameters, encoder: Plan) -> tuple[Array, Array]:
    """Those of the standard normal."""
    return np.zeros(0), np.zeros((0, 2 * model.latent[0]))


def learned_components(model: Model, params: Parameters, encoder: Plan) -> tuple[Array, Array]:
    """Those of ``priors.Mixture``."""
    return params["prior.logits"], np.concatenate([params["prior.mu"], params["prior.logvar"]], axis=1)


def pseudo_posteriors(model: Model, params: Parameters, encoder: Plan) -> tuple[Array, Array]:
    """Those of ``priors.VampPrior``, equally likely: the encoder at the pseudo-inputs, evaluated in its fixed order."""
    inputs, scratch = params["prior.inputs"], scratch_for(encoder)
    stats = np.empty((len(inputs), 2 * model.latent[0]))
    for c in range(len(inputs)):
        scratch.rows[0, : encoder.inputs] = inputs[c]
        stats[c] = evaluate(encoder, scratch)
    return np.zeros(len(inputs)), stats


# The logits (M,) of a prior's components, and their means beside their log variances (M, 2 D).
COMPONENTS: dict[str, Callable[[Model, Parameters, Plan], tuple[Array, Array]]] = {
    "normal": no_components,
    "mixture": learned_components,
    "vamp": pseudo_posteriors,
}


def prior_for(model: Model, params: Parameters, encoder: Plan) -> Prior:
    """The code of a model's prior.

    Args:
        model: Model of one stochastic layer, whose prior is one of COMPONENTS.
        params: Parameters of it.
        encoder: its plan.
    """
    logits, stats = COMPONENTS[model.prior](model, params, encoder)
    M, D = len(logits), model.latent[0]
    prior = Prior(
        centre=np.zeros(D),
        scale=np.ones(D),
        mu=np.zeros((D, M)),
        logvar=np.zeros((D, M)),
        precisions=np.zeros((D, M)),
        constants=np.zeros(M),
        starts=np.zeros(M + 1, np.int64),
    )
    if M > 0:
        fill(np.array(logits, np.float64), np.array(stats, np.float64), prior)
    return prior


@exact
def fill(logits, stats, prior):
    """A prior of some components: their means and log variances within limits, whatever a network has put out."""
    D, M = prior.mu.shape
    prior.starts[:] = shared_out(logits)
    for c in range(M):
        prior.constants[c] = log((prior.starts[c + 1] - prior.starts[c]) / (1 << CHOICE_BITS))
    for d in range(D):
        mu, logvar, mean, square = prior.mu[d], prior.logvar[d], 0.0, 0.0
        for c in range(M):
            mu[c], logvar[c] = limited_mean(stats[c, d]), limited(stats[c, D + d], -WIDEST, WIDEST)
            weight = (prior.starts[c + 1] - prior.starts[c]) / (1 << CHOICE_BITS)
            mean += weight * mu[c]
            square += weight * (mu[c] * mu[c] + exp(logvar[c]))
        variance = limited(square - mean * mean, exp(-WIDEST), exp(WIDEST))
        prior.centre[d], prior.scale[d] = mean, np.sqrt(variance)
        for c in range(M):
            mu[c] = (mu[c] - mean) / prior.scale[d]
            logvar[c] -= log(variance)
            prior.precisions[d, c] = exp(-logvar[c])
            prior.constants[c] -= 0.5 * logvar[c]
