"""Lower bounds on log p(x) from the log weights, and their derivatives.

With K samples z_nk ~ q(z | x_n) and

    log w_nk = log p(x_n | z_nk) + log p(z_nk) - log q(z_nk | x_n)

the mean of w_nk over k is an unbiased estimate of p(x_n). The logarithm is concave, so by Jensen's inequality both

    ELBO  L_n = (1/K) sum_k log w_nk    (AEVB, Eq. 2 and 6)    and    IWAE  L_n = log (1/K) sum_k w_nk    (IWAE, Eq. 8)

are at most log p(x_n) in expectation. They are equal for K = 1, and the second tightens as K grows (IWAE, Theorem 1).
"""

import numpy as np


def elbo(logw):
    """The evidence lower bound: L = (1/K) sum_k log w_k, so dL / dlog w_k = 1/K (AEVB, Eq. 6).

    Args:
        logw: (N, K).

    Returns:
        bound: (N,), in nats per example.
        dlogw: (N, K) derivative of each bound by its log weights.
    """
    return logw.mean(axis=1), np.full_like(logw, 1 / logw.shape[1])


def iwae(logw):
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


BOUNDS = {"elbo": elbo, "iwae": iwae}
