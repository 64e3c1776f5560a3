"""Lower bounds on log p(x), or on log p(x | y), from the log weights, and their derivatives.

With K samples z_nk ~ q(z | x_n) and

    log w_nk = log p(x_n | z_nk) + log p(z_nk) - log q(z_nk | x_n)

the mean of w_nk over k is an unbiased estimate of p(x_n). The logarithm is concave, so by Jensen's inequality both

    ELBO  L_n = (1/K) sum_k log w_nk    (AEVB, Eq. 2 and 6)    and    IWAE  L_n = log (1/K) sum_k w_nk    (IWAE, Eq. 8)

are at most log p(x_n) in expectation. They are equal for K = 1, and the second never loosens as K grows (IWAE, Theorem
1). (With grey levels under a Bernoulli p(x) is the same integral, but not a probability: ``likelihoods.bernoulli``.)
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from tinyvae.types import Array, Pair


def elbo(logw: Array) -> Pair:
    """The evidence lower bound: L = (1/K) sum_k log w_k, so dL / dlog w_k = 1/K (AEVB, Eq. 6).

    Args:
        logw: (N, K).

    Returns:
        bound: (N,), in nats per example.
        dlogw: (N, K) derivative of each bound by its log weights.
    """
    return logw.mean(axis=1), np.full_like(logw, 1 / logw.shape[1])


def iwae(logw: Array) -> Pair:
    """The importance-weighted bound: L = log (1/K) sum_k w_k (IWAE, Eq. 8).

    The derivative is the normalised weight (IWAE, Eq. 14):

        dL / dlog w_k = w_k / sum_j w_j

    The largest log weight m is taken out, log sum_k w_k = m + log sum_k exp(log w_k - m): nothing overflows, and the
    sum is at least 1.

    Args:
        logw: (N, K).

    Returns:
        bound: (N,), in nats per example.
        dlogw: (N, K), rows that sum to 1.
    """
    largest = logw.max(axis=1, keepdims=True)
    w = np.exp(logw - largest)
    total = w.sum(axis=1, keepdims=True)
    return (largest + np.log(total / logw.shape[1]))[:, 0], w / total


# ---------------------------------------------------------------------------------------------------------------------
# Training aids
# ---------------------------------------------------------------------------------------------------------------------


def kl_weights(divergence: Array, beta: float, free_bits: float = 0.0) -> Array:
    """The weight of each dimension's divergence where, in the place of the ELBO, this is maximised over a minibatch:

        (1/N) sum_n E[log p(x_n | z_n)] - beta sum_d max(lambda, (1/N) sum_n KL_nd)

    beta = 1 and lambda = 0 make it the ELBO. Another beta exchanges reconstruction for a posterior near the prior
    (Higgins et al. 2017, Eq. 4), or, rising from 0 to 1 in the course of training, lets z become of use before it costs
    anything (Bowman et al. 2016). With lambda > 0 each dimension may keep so many nats at no price (the free bits of
    Kingma et al. 2016, with one dimension in a group). All want the closed form, and one stochastic layer.

    Where the mean of a dimension is above lambda, the maximum has the slope 1 in it, elsewhere 0; so the derivative by
    KL_nd is that of the ELBO, -1/N, times

        beta where (1/N) sum_n KL_nd > lambda, else 0

    Args:
        divergence: (N, D) KL_nd >= 0, in nats, of a minibatch.
        beta: the divergence's weight.
        free_bits: lambda, in nats for each dimension.

    Returns: (D,) the factors.
    """
    above = divergence.mean(axis=0) > free_bits if free_bits else np.ones(divergence.shape[1], bool)
    return np.where(above, beta, 0.0)


def add_weight_prior(theta: Array, gradient: Array, deviation: float, N: int) -> None:
    """With a normal prior on the parameters, theta ~ N(0, s²), the most probable ones given the data maximise

        sum_n L(x_n) + log p(theta)        log p(theta) = -theta² / (2 s²) + constant

    over all N examples of the training set, each log p(x_n) exchanged for its bound (AEVB, section 5, with s = 1: there
    it is called weight decay). The gradient of an N-th of this is the mean bound's plus

        -theta / (N s²)

    Args:
        theta: (P,) all parameters.
        gradient: (P,) of the mean bound of an example; the prior's is added in place.
        deviation: s.
        N: the examples of the training set, not of a minibatch: the more data, the less the prior counts.
    """
    gradient -= theta * theta.dtype.type(1 / (N * deviation**2))


# ---------------------------------------------------------------------------------------------------------------------
# Gradient estimators
# ---------------------------------------------------------------------------------------------------------------------
#
# On the encoders' parameters phi, log w depends through q in two ways: by the path of the samples z(eps, phi), and
# directly, in -log q(z | x). With v_k = dL / dlog w_k the gradient of a bound is
#
#     sum_k v_k (d log w_k / dz_k) (dz_k / dphi)  -  sum_k v_k d log q(z_k | x) / dphi   at z_k held fixed
#
# and an estimator is the two weights (N, K) of the path and of the direct way, ``path`` and ``direct`` of
# ``Model.backward``. The gradients of the decoders and of the prior are the same in all of them. Under a VampPrior the
# uppermost encoder's parameters are the prior's too and act in a third way, in log p(z_k) at z_k held fixed:
#
#     + sum_k v_k d log p(z_k) / dphi
#
# This sum has the weight v_k in every estimator. All stay unbiased; what is said below of variance and of the
# signal-to-noise ratio is said of the two ways through q.


@dataclass(frozen=True)
class Estimator:
    """A way to estimate the gradient of a bound.

    Attributes:
        weights: v (N, K), the derivative of the bound by its log weights -> (path, direct), (N, K) each; zero where v
            is zero.
        objectives: the bounds (names in ``settings.BOUNDS``) under which it is unbiased; None for all.
    """

    weights: Callable[[Array], Pair]
    objectives: tuple[str, ...] | None


def standard(v: Array) -> Pair:
    """(v, v): both sums as they stand, the derivative of the bound (AEVB, section 2.3; IWAE, Eq. 14)."""
    return v, v


def stl(v: Array) -> Pair:
    """(v, 0): sticking the landing, without the direct sum (Roeder, Wu and Duvenaud 2017, section 4).

    For v_k = 1/K its expectation is zero, E_q[d log q / dphi] = 0, so the gradient of the ELBO stays unbiased; and the
    encoders' variance goes to zero as q comes near to the posterior, where log w no longer depends on z. (With the
    weights of the IWAE the expectation of the direct sum is not zero and the estimator is biased: ``dreg`` is the
    mended one.)
    """
    return v, np.zeros_like(v)


def dreg(v: Array) -> Pair:
    """(v², 0): doubly reparameterised, squared weights on the path, no direct sum (Tucker et al. 2019, Eq. 7).

    With v_k the normalised weights of the IWAE, depending on z_k themselves, reparameterising the direct sum a second
    time gives

        E[sum_k v_k d log q(z_k | x) / dphi] = E[sum_k (v_k - v_k²) (d log w_k / dz_k) (dz_k / dphi)]

    and the two sums together are E[sum_k v_k² (d log w_k / dz_k) (dz_k / dphi)]: unbiased, and for large K its
    signal-to-noise ratio grows like sqrt(K) where that of ``standard`` falls like 1 / sqrt(K) (Rainforth et al. 2018).
    """
    return v * v, np.zeros_like(v)


STANDARD = Estimator(standard, None)
STL = Estimator(stl, ("elbo",))
DREG = Estimator(dreg, ("iwae",))
