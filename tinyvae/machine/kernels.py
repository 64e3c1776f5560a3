"""The machine room: loops over arrays, compiled by Numba.

What a loop needs to run at the hardware's speed, each point measured:

* ``error_model="numpy"``: without it every division tests for zero and the loop stays scalar;
* ``fastmath=True``: sums may be reordered, so that reductions vectorise. It assumes that no number is NaN or infinite:
  divergence is detected outside, on the results;
* loops that begin at 0, over a slice: a beginning that might be negative would be tested at each step;
* no call in the loop: Numba has no vector ``exp``, so float32 uses the polynomials of ``elementary.py``;
* ``nogil=True``: other threads go on meanwhile;
* constants in the arrays' own dtype (``one = x.dtype.type(1)``): a plain 1 would widen the loop to float64;
* what replaces its input does so by name, in one array: two names for one array make the loop scalar;
* matrix products by ``matrix_products.py``: BLAS called without the interpreter, or a loop where that is faster.

Where a kernel has a range of rows, or a tile from top to bottom and from left to right, it is to be called for all of
them, in any order: ``jobs.py`` lets threads do that.

Every kernel writes into arrays that it is given, works on float32 and float64 (one dtype a call, C-ordered), and has a
slow and obvious twin in ``plain.py``. The mathematics is explained where it is used, in the derivation.
"""

import math

import numpy as np
from numba import njit

from tinyvae.machine import HALF_STEP, LOGSCALE_LIMIT, RELU, TANH
from tinyvae.machine.code_cache import kernel
from tinyvae.machine.elementary import INNER, exp, expm1, log, softplus_sigmoid, tanh

LOG_2PI = math.log(2 * math.pi)


# ---------------------------------------------------------------------------------------------------------------------
# Layers (mlp.py)
# ---------------------------------------------------------------------------------------------------------------------


@njit(**INNER)
def add_bias(b, out, activation, top, bottom, left, right):
    """out = f(out + b), for b (J,), out (N, J) and an activation f: a tile of out."""
    b, zero = b[left:right], out.dtype.type(0)
    for n in range(top, bottom):
        row = out[n, left:right]
        if activation == TANH:
            for j in range(row.size):
                row[j] = tanh(row[j] + b[j])
        elif activation == RELU:
            for j in range(row.size):
                row[j] = max(row[j] + b[j], zero)
        else:
            for j in range(row.size):
                row[j] += b[j]


@njit(**INNER)
def activation_gradient(h, dh, activation, top, bottom, left, right):
    """dh *= f'(a), for h = f(a) and dh (N, I): a tile. An activation's derivative can be told from its value."""
    zero, one = h.dtype.type(0), h.dtype.type(1)
    for n in range(top, bottom):
        h_row, dh_row = h[n, left:right], dh[n, left:right]
        if activation == TANH:
            for i in range(h_row.size):
                dh_row[i] *= one - h_row[i] * h_row[i]
        elif activation == RELU:
            for i in range(h_row.size):
                dh_row[i] = dh_row[i] if h_row[i] > zero else zero


@njit(**INNER)
def add_rest(rest, out, left, right):
    """out += rest, for rest and out (N, J): some columns."""
    for n in range(len(out)):
        row, rest_row = out[n, left:right], rest[n, left:right]
        for j in range(row.size):
            row[j] += rest_row[j]


@njit(**INNER)
def bias_gradient(da, db, left, right):
    """db = the sum of da's rows, for da (N, J), db (J,): some columns."""
    db = db[left:right]
    db[:] = 0
    for n in range(da.shape[0]):
        row = da[n, left:right]
        for j in range(row.size):
            db[j] += row[j]


@njit(**INNER)
def add_blocks(sums, dW, db, first, last):
    """dW (I, J) and db, as if below it, = the sum of the four blocks of sums (4 (I + 1), J): some of these rows."""
    height = len(dW) + 1
    for i in range(first, min(last, height)):
        row = dW[i] if i < len(dW) else db
        a, b, c, d = sums[i], sums[height + i], sums[2 * height + i], sums[3 * height + i]
        for j in range(row.size):
            row[j] = a[j] + b[j] + c[j] + d[j]


# ---------------------------------------------------------------------------------------------------------------------
# Gaussians (gaussian.py): rows of mu and logvar (R, D) serve S samples each, z and eps (R, S, D)
# ---------------------------------------------------------------------------------------------------------------------


@kernel
def gaussian_sample(mu, logvar, eps, sigma, z):
    """sigma = exp(logvar / 2) and z = mu + sigma eps."""
    half = mu.dtype.type(0.5)
    for r in range(mu.shape[0]):
        for d in range(mu.shape[1]):
            sigma[r, d] = exp(half * logvar[r, d])
        for s in range(eps.shape[1]):
            for d in range(mu.shape[1]):
                z[r, s, d] = mu[r, d] + sigma[r, d] * eps[r, s, d]


@kernel
def gaussian_sample_gradient(dz, eps, sigma, dmu, dlogvar):
    """dmu = sum_s dz and dlogvar = sum_s dz sigma eps / 2, for dz and eps (R, S, D), the rest (R, D)."""
    half = dz.dtype.type(0.5)
    dmu[:] = 0
    dlogvar[:] = 0
    for r in range(dmu.shape[0]):
        for s in range(eps.shape[1]):
            for d in range(dmu.shape[1]):
                dmu[r, d] += dz[r, s, d]
                dlogvar[r, d] += half * dz[r, s, d] * sigma[r, d] * eps[r, s, d]


@kernel
def gaussian_log_posterior(logvar, eps, logq):
    """logq = -1/2 sum_d (eps² + logvar + log 2 pi), for eps (R, S, D), logvar (R, D), logq (R, S)."""
    for r in range(eps.shape[0]):
        for s in range(eps.shape[1]):
            total = eps.dtype.type(0)
            for d in range(eps.shape[2]):
                total += eps[r, s, d] * eps[r, s, d] + logvar[r, d]
            logq[r, s] = -(total + eps.shape[2] * LOG_2PI) / 2


@kernel
def gaussian_log_posterior_gradient(dpath, ddirect, eps, sigma, dmu, dlogvar):
    """dmu = sum_s (b - a) eps / sigma and dlogvar = sum_s (b - a) eps² / 2 - b / 2, for a = dpath, b = ddirect (R, S).

    The rest as in ``gaussian_sample_gradient``, whose results these are added to.
    """
    half = eps.dtype.type(0.5)
    for r in range(eps.shape[0]):
        for s in range(eps.shape[1]):
            difference = ddirect[r, s] - dpath[r, s]
            for d in range(eps.shape[2]):
                e = eps[r, s, d]
                dmu[r, d] += difference * e / sigma[r, d]
                dlogvar[r, d] += half * (difference * e * e - ddirect[r, s])


@kernel
def standard_normal_log_density(z, logp):
    """logp = -1/2 sum_d (z² + log 2 pi), for z (R, S, D), logp (R, S)."""
    for r in range(z.shape[0]):
        for s in range(z.shape[1]):
            total = z.dtype.type(0)
            for d in range(z.shape[2]):
                total += z[r, s, d] * z[r, s, d]
            logp[r, s] = -(total + z.shape[2] * LOG_2PI) / 2


@kernel
def gaussian_log_density(z, mu, logvar, logp):
    """logp = sum_d log N(z; mu, exp(logvar)), for z (R, S, D), mu and logvar (R, D), logp (R, S)."""
    for r in range(z.shape[0]):
        for s in range(z.shape[1]):
            total = z.dtype.type(0)
            for d in range(z.shape[2]):
                delta = z[r, s, d] - mu[r, d]
                total += delta * delta * exp(-logvar[r, d]) + logvar[r, d]
            logp[r, s] = -(total + z.shape[2] * LOG_2PI) / 2


@kernel
def gaussian_log_density_gradient(dlogp, z, mu, logvar, dz, dmu, dlogvar):
    """dz (R, S, D), dmu and dlogvar (R, D) of the sum of dlogp times ``gaussian_log_density``."""
    half, one = z.dtype.type(0.5), z.dtype.type(1)
    dmu[:] = 0
    dlogvar[:] = 0
    for r in range(z.shape[0]):
        for s in range(z.shape[1]):
            for d in range(z.shape[2]):
                precision = exp(-logvar[r, d])
                delta = z[r, s, d] - mu[r, d]
                dmu[r, d] += dlogp[r, s] * delta * precision
                dlogvar[r, d] += half * dlogp[r, s] * (delta * delta * precision - one)
                dz[r, s, d] = -dlogp[r, s] * delta * precision


# The components are the inner loop, side by side in memory: no sum runs along it, but for that of dz.


@kernel
def component_log_densities(z, mu, logvar, logp):
    """logp = sum_d log N(z; mu, exp(logvar)), each row of z (R, D) under each of mu and logvar (M, D): logp (R, M)."""
    means, precisions, half = mu.T.copy(), by_components(logvar), mu.dtype.type(0.5)
    constants = np.empty(len(mu), mu.dtype)
    for c in range(len(mu)):
        constants[c] = -(logvar[c].sum() + mu.shape[1] * LOG_2PI) / 2
    for r in range(len(z)):
        row = logp[r]
        row[:] = constants
        for d in range(z.shape[1]):
            mean, precision = means[d], precisions[d]
            for c in range(row.size):
                delta = z[r, d] - mean[c]
                row[c] -= half * delta * delta * precision[c]


@kernel
def component_log_densities_gradient(dlogp, z, mu, logvar, dz, dmu, dlogvar):
    """dz (R, D), dmu and dlogvar (M, D) of the sum of dlogp times ``component_log_densities``."""
    means, precisions, half = mu.T.copy(), by_components(logvar), mu.dtype.type(0.5)
    by_mean, by_logvar = np.zeros_like(means), np.zeros_like(means)
    total = np.zeros(len(mu), mu.dtype)
    for r in range(len(z)):
        weights = dlogp[r]
        for c in range(weights.size):
            total[c] += weights[c]
        for d in range(z.shape[1]):
            mean, precision, mean_sum, logvar_sum = means[d], precisions[d], by_mean[d], by_logvar[d]
            pull = z.dtype.type(0)
            for c in range(weights.size):
                delta = z[r, d] - mean[c]
                by_this = weights[c] * delta * precision[c]
                mean_sum[c] += by_this
                logvar_sum[c] += by_this * delta
                pull += by_this
            dz[r, d] = -pull
    dmu[:] = by_mean.T
    for c in range(len(mu)):
        for d in range(mu.shape[1]):
            dlogvar[c, d] = half * (by_logvar[d, c] - total[c])


@njit(**INNER)
def by_components(logvar):
    """exp(-logvar), for logvar (M, D), as (D, M)."""
    precisions = np.empty((logvar.shape[1], logvar.shape[0]), logvar.dtype)
    for c in range(logvar.shape[0]):
        for d in range(logvar.shape[1]):
            precisions[d, c] = exp(-logvar[c, d])
    return precisions


# ---------------------------------------------------------------------------------------------------------------------
# Likelihoods (likelihoods.py): row n of the data x (N, D) serves rows n K ... n K + K - 1 of the outputs (N K, D)
# ---------------------------------------------------------------------------------------------------------------------


@njit(**INNER)
def bernoulli_log_prob(x, logits, logp, first, last):
    """logp = sum_d x l - log(1 + e^l), and the logits become x - sigmoid(l), in place, for some rows of the logits.

    For x (N, D), logits (N K, D), logp (N, K).
    """
    K = logp.shape[1]
    for r in range(first, last):
        n = r // K
        total = logits.dtype.type(0)
        for d in range(x.shape[1]):
            softplus, sigmoid = softplus_sigmoid(logits[r, d])
            total += x[n, d] * logits[r, d] - softplus
            logits[r, d] = x[n, d] - sigmoid
        logp[n, r - n * K] = total


@njit(**INNER)
def bernoulli_density(x, logits, logp, first):
    """``bernoulli_log_prob`` alone: the logits, rows from the first on of all that x and logp are of, stay."""
    K = logp.shape[1]
    for i in range(logits.shape[0]):
        n, total = (first + i) // K, logits.dtype.type(0)
        for d in range(x.shape[1]):
            total += x[n, d] * logits[i, d] - softplus_sigmoid(logits[i, d])[0]
        logp[n, first + i - n * K] = total


@njit(**INNER)
def gaussian_log_prob(x, outputs, squash, floor, logp, first, last):
    """logp = sum_d log N(x; m, exp(s)), and some rows of the outputs become its derivative by them, in place.

    For x (N, D), outputs (N K, 2 D), logp (N, K): the left half of the outputs is the mean m, or with ``squash`` its
    logit; the right half, but at least the floor, is s.
    """
    number = outputs.dtype.type
    half, one, least = number(0.5), number(1), number(floor)
    D, K = x.shape[1], logp.shape[1]
    for r in range(first, last):
        n = r // K
        total = number(0)
        for d in range(D):
            a, s = outputs[r, d], max(outputs[r, D + d], least)
            m = softplus_sigmoid(a)[1] if squash else a
            precision = exp(-s)
            delta = x[n, d] - m
            total += delta * delta * precision + s
            outputs[r, d] = delta * precision * (m * (one - m) if squash else one)
            outputs[r, D + d] = half * (delta * delta * precision - one) if s > least else number(0)
        logp[n, r - n * K] = -(total + D * LOG_2PI) / 2


@njit(**INNER)
def logistic_log_prob(x, outputs, components, logp, first, last):
    """logp = sum_d log sum_c pi_c P_c(x_d), and some rows of the outputs become its derivative by them, in place.

    For x (N, D) on 256 levels, outputs (N K, M D), logp (N, K): the logits, means and log scales of the components, as
    ``plain.logistic_log_prob`` has them.
    """
    number, K, C, D = outputs.dtype.type, logp.shape[1], components, x.shape[1]
    zero, one, half_step, limit = number(0), number(1), number(HALF_STEP), number(LOGSCALE_LIMIT)
    joint, weights = np.empty((C, D), outputs.dtype), np.zeros((C, D), outputs.dtype)
    sums = np.empty((4, D), outputs.dtype)
    top, top_weight, total, total_weight = sums[0], sums[1], sums[2], sums[3]
    begin = 0 if C == 1 else C  # where the means stand, in arrays of D
    for r in range(first, last):
        row, data = outputs[r].reshape(outputs.shape[1] // D, D), x[r // K]
        for c in range(C):
            m, t, log_p = row[begin + c], row[begin + C + c], joint[c]
            for d in range(D):
                s = min(max(t[d], -limit), limit)
                inverse = exp(-s)
                u, l = (data[d] + half_step - m[d]) * inverse, (data[d] - half_step - m[d]) * inverse
                delta = number(2) * half_step * inverse
                softplus_u, below_u = softplus_sigmoid(-u)  # -log sigmoid(u), and 1 - sigmoid(u)
                softplus_l, below_l = softplus_sigmoid(l)
                # factors in the place of branches, which would leave the loop scalar
                upper, lower = one if data[d] < one else zero, one if data[d] > zero else zero
                log_p[d] = upper * lower * log(-expm1(-delta)) - upper * softplus_u - lower * softplus_l
                by_u, by_l = upper * below_u, lower * below_l
                inside = one if s == t[d] else zero
                m[d] = (by_l - by_u) * inverse
                t[d] = inside * (l * by_l - u * by_u - upper * lower * delta / expm1(delta))
        if C > 1:
            mix(row[:C], joint, weights, top, top_weight, total, total_weight)
            for c in range(C):
                logit, m, t = row[c], row[C + c], row[2 * C + c]
                for d in range(D):
                    m[d] *= joint[c, d]
                    t[d] *= joint[c, d]
                    logit[d] = joint[c, d] - weights[c, d]
        else:
            top[:] = joint[0]
        result = zero
        for d in range(D):
            result += top[d]
        logp[r // K, r - r // K * K] = result


@njit(**INNER)
def mix(logits, joint, weights, top, top_weight, total, total_weight):
    """top = log sum_c pi_c P_c; joint (C, D), log P_c before, becomes the responsibilities; weights = softmax(logits).

    The sums are those of exp(a - max a), so that none of them overflows.
    """
    C, D = joint.shape
    top[:] = logits[0] + joint[0]
    top_weight[:] = logits[0]
    for c in range(1, C):
        for d in range(D):
            top[d] = max(top[d], logits[c, d] + joint[c, d])
            top_weight[d] = max(top_weight[d], logits[c, d])
    total[:] = 0
    total_weight[:] = 0
    for c in range(C):
        for d in range(D):
            joint[c, d] = exp(logits[c, d] + joint[c, d] - top[d])
            weights[c, d] = exp(logits[c, d] - top_weight[d])
            total[d] += joint[c, d]
            total_weight[d] += weights[c, d]
    for c in range(C):
        for d in range(D):
            joint[c, d] /= total[d]
            weights[c, d] /= total_weight[d]
    for d in range(D):
        top[d] += log(total[d]) - top_weight[d] - log(total_weight[d])


@njit(**INNER)
def categorical_log_prob(x, logits, alike, logp, first, last):
    """logp = sum_t log softmax(l_t)[the symbol of step t], and some rows of the logits become its derivative, in place.

    For x (N, T V), a one among the V numbers of each step or none, logits (N K, T V), alike (V, V), a row for each
    symbol with ones for those that it is chosen from, and logp (N, K).
    """
    number, K, V = logits.dtype.type, logp.shape[1], alike.shape[0]
    for r in range(first, last):
        n, total = r // K, number(0)
        for t in range(x.shape[1] // V):
            row, data, symbol = logits[r, t * V : (t + 1) * V], x[n, t * V : (t + 1) * V], -1
            for v in range(V):
                symbol = v if data[v] > 0 else symbol
            if symbol < 0:
                row[:] = 0
                continue
            allowed, top, mass = alike[symbol], row[symbol], number(0)
            for v in range(V):
                top = max(top, row[v]) if allowed[v] > 0 else top
            total += row[symbol] - top
            for v in range(V):  # what is not allowed may be far above the others
                row[v] = allowed[v] * exp(min(row[v] - top, number(0)))
                mass += row[v]
            total -= log(mass)
            for v in range(V):
                row[v] = data[v] - row[v] / mass
        logp[n, r - n * K] = total


@njit(**INNER)
def scale_rows(weights, rows, first, last):
    """rows *= weights, row by row, in place, for weights (R,) and rows (R, D): those from the first to the last."""
    for r in range(first, last):
        for d in range(rows.shape[1]):
            rows[r, d] *= weights[r]


@kernel
def sigmoid(logits, out):
    """out = 1 / (1 + e^-l), for logits and out (R, D)."""
    for r in range(logits.shape[0]):
        for d in range(logits.shape[1]):
            out[r, d] = softplus_sigmoid(logits[r, d])[1]


# ---------------------------------------------------------------------------------------------------------------------
# Optimisers (optimisers.py): steps uphill along the gradient g of the bound; all arrays (P,), the options in the order
# of the formula. Each returns the sum of the new parameters, which is finite only if they all are.
# ---------------------------------------------------------------------------------------------------------------------


@njit(**INNER)
def sgd_update(theta, g, velocity, options):
    """velocity = momentum velocity + g; theta += rate velocity."""
    momentum, rate, total = options[0], options[1], theta.dtype.type(0)
    for i in range(theta.size):
        velocity[i] = momentum * velocity[i] + g[i]
        theta[i] += rate * velocity[i]
        total += theta[i]
    return total


@njit(**INNER)
def adagrad_update(theta, g, sum_of_squares, options):
    """sum_of_squares += g²; theta += rate g / (sqrt(sum_of_squares) + epsilon)."""
    rate, epsilon, total = options[0], options[1], theta.dtype.type(0)
    for i in range(theta.size):
        sum_of_squares[i] += g[i] * g[i]
        theta[i] += rate * g[i] / (np.sqrt(sum_of_squares[i]) + epsilon)
        total += theta[i]
    return total


@njit(**INNER)
def adam_update(theta, g, m, v, options):
    """m += new1 (g - m) and v += new2 (g² - v); theta += rate m / (sqrt(v) + epsilon)."""
    new1, new2, rate, epsilon, total = options[0], options[1], options[2], options[3], theta.dtype.type(0)
    for i in range(theta.size):
        m[i] += new1 * (g[i] - m[i])
        v[i] += new2 * (g[i] * g[i] - v[i])
        theta[i] += rate * m[i] / (np.sqrt(v[i]) + epsilon)
        total += theta[i]
    return total
