"""The checks of notebook 12: they accept what is right, agree with the package, and name typical mistakes."""

import re

import numpy as np
import pytest
from scipy.special import expit, log_softmax, softmax

from tests.notebooks import cases
from tinyvae import tutorial
from tinyvae.data import expressions
from tinyvae.derivation import bounds, categorical, gru
from tinyvae.tutorial import sequences


def rejects(check, answer, words):
    """The check raises Wrong, with these words; without a hint it keeps the diagnosis to itself."""
    with pytest.raises(tutorial.Wrong, match=re.escape(words)):
        check(answer, hint=3)
    with pytest.raises(tutorial.Wrong) as wrong:
        check(answer)
    assert "(hint=2 says where.)" in str(wrong.value) or "its shape is" in str(wrong.value)


# ---- 12.1


def step(x, h, U, c, before=False, gate=expit, squash=np.tanh, swap=False):
    """A step, one number after the other."""
    R, H = h.shape
    r, u, n = np.empty((3, R, H))
    for row, j in np.ndindex(R, H):

        def y(part, state, j=j):
            return state @ U[:, part * H + j] + c[part * H + j]

        r[row, j] = gate(x[row, j] + y(0, h[row]))
        u[row, j] = gate(x[row, H + j] + y(1, h[row]))
    for row, j in np.ndindex(R, H):
        Un, cn = U[:, 2 * H + j], c[2 * H + j]
        seen = (r[row] * h[row]) @ Un + cn if before else r[row, j] * (h[row] @ Un + cn)
        n[row, j] = squash(x[row, 2 * H + j] + seen)
    return r, u, n, (u * n + (1 - u) * h if swap else (1 - u) * n + u * h)


def test_a_step_in_loops_is_accepted_and_is_the_package_s():
    tutorial.check_gru_step(step)
    _, x, h, U, c = sequences.gru_arrays(0, 3, 4)
    weights = {"steps.W": np.eye(12), "input.b": np.zeros(12), "state.W": U, "state.b": c}
    theirs, _ = gru.gru(x, np.empty((3, 0)), weights, 1, start=h)
    assert step(x, h, U, c)[3] == pytest.approx(theirs, rel=1e-9)


def new(change):
    """A step whose new state is made otherwise, of r, u, n and h."""

    def answer(x, h, U, c):
        r, u, n, _ = step(x, h, U, c)
        return r, u, n, change(r, u, n, h)

    return answer


def candidate(change):
    """A step whose candidate is made otherwise, of x^n, y^n without its bias, the bias, and r."""

    def answer(x, h, U, c):
        r, u, _, _ = step(x, h, U, c)
        H = h.shape[1]
        n = change(x[:, 2 * H :], h @ U[:, 2 * H :], c[2 * H :], r)
        return r, u, n, (1 - u) * n + u * h

    return answer


def u_first(x, h, U, c):
    H = h.shape[1]
    order = np.r_[H : 2 * H, :H, 2 * H : 3 * H]
    return step(x[:, order], h, U[:, order], c[order])


@cases(
    (u_first, "the order of the parts"),
    (lambda x, h, U, c: step(x, h, U, 0 * c), "the bias c is missing"),
    (lambda x, h, U, c: step(0 * x, h, U, c), "x is missing"),
    (lambda x, h, U, c: step(x, 0 * h, U, c), "h U is missing"),
    (lambda *a: step(*a, gate=np.tanh), "tanh stands in the place of the gate's"),
    (lambda *a: step(*a, gate=lambda v: v), "its sigmoid is missing"),
    (lambda *a: step(*a, gate=lambda v: expit(-v)), "the sign within the sigmoid"),
    (lambda *a: step(*a, before=True), "(r h) U is the paper's form"),
    (candidate(lambda x, y, b, r: np.tanh(x + r * y + b)), "r is missing before the bias"),
    (candidate(lambda x, y, b, r: np.tanh(x + y + b)), "r is missing: n = tanh"),
    (candidate(lambda x, y, b, r: np.tanh(r * (x + y + b))), "r multiplies x^n too"),
    (candidate(lambda x, y, b, r: np.tanh(r * x + y + b)), "r acts on x^n"),
    (candidate(lambda x, y, b, r: x + r * (y + b)), "its tanh is missing"),
    (lambda *a: step(*a, squash=expit), "a sigmoid stands in the place of its tanh"),
    (lambda *a: step(*a, swap=True), "u and 1 - u are swapped"),
    (new(lambda r, u, n, h: (1 - u) * n), "the old state is missing"),
    (new(lambda r, u, n, h: n + u * h), "the factor 1 - u is not there"),
    (new(lambda r, u, n, h: (1 - u) * n + h), "the factor u is not there"),
    (new(lambda r, u, n, h: n), "the candidate replaces the state"),
    (new(lambda r, u, n, h: (1 - r) * n + r * h), "r stands in the place of u"),
    (new(lambda r, u, n, h: (1 - u) * n + u * r * h), "a factor r is too much"),
    (lambda *a: step(*a)[3], "4 outputs are expected"),
)
def test_gru_step(answer, words):
    rejects_or_counts(tutorial.check_gru_step, answer, words)


def rejects_or_counts(check, answer, words):
    """As ``rejects``; how many outputs there are is said at once."""
    if "outputs are expected" in words:
        with pytest.raises(tutorial.Wrong, match=words):
            check(answer)
    else:
        rejects(check, answer, words)


# ---- 12.2


def back(dnew, x, h, U, c, tanh=lambda n: 1 - n**2, sig=lambda s: s * (1 - s), du=None, dr=None, direct=None, dn=1):
    """A step's way back, with pieces that may be wrong."""
    H = h.shape[1]
    r, u, n, _ = step(x, h, U, c)
    yn = h @ U[:, 2 * H :] + c[2 * H :]
    xn = dnew * (1 - u) * tanh(n) * dn
    xu = dnew * ((h - n) if du is None else du(h, n)) * sig(u)
    xr = xn * (yn if dr is None else dr(h)) * sig(r)
    dy = np.concatenate([xr, xu, r * xn], axis=1)
    straight = dnew * u if direct is None else direct(dnew, u)
    return np.concatenate([xr, xu, xn], axis=1), straight + dy @ U.T, h.T @ dy, dy.sum(axis=0)


def test_the_way_back_is_the_package_s_and_finite_differences_agree():
    tutorial.check_gru_step_backward(back)
    arrays = sequences.gru_arrays(0, 2, 3)
    dnew, *inputs = arrays
    found = back(*arrays)
    for i, derivative in enumerate(found):
        a = inputs[i]
        for place in np.ndindex(a.shape):
            values = []
            for sign in (1, -1):
                moved = [part.copy() for part in inputs]
                moved[i][place] += sign * 1e-6
                values.append(np.sum(dnew * step(*moved)[3]))
            assert derivative[place] == pytest.approx((values[0] - values[1]) / 2e-6, abs=1e-7)


def but(place, change):
    """The way back with one output made otherwise, of (dnew, dx, dy, h, U) and the right outputs."""

    def answer(dnew, x, h, U, c):
        right = list(back(dnew, x, h, U, c))
        H = h.shape[1]
        r = step(x, h, U, c)[0]
        dx = right[0]
        dy = np.concatenate([dx[:, : 2 * H], r * dx[:, 2 * H :]], axis=1)
        right[place] = change(dnew, dx, dy, h, U)
        return right

    return answer


def without_c_in_dr(dnew, x, h, U, c):
    H = h.shape[1]
    r, u, n, _ = step(x, h, U, c)
    dn = dnew * (1 - u) * (1 - n**2)
    dr, du = dn * (h @ U[:, 2 * H :]) * r * (1 - r), dnew * (h - n) * u * (1 - u)
    dy = np.concatenate([dr, du, r * dn], axis=1)
    return np.concatenate([dr, du, dn], axis=1), dnew * u + dy @ U.T, h.T @ dy, dy.sum(axis=0)


def only_directly(dnew, x, h, U, c):
    dx, _, dU, dc = back(dnew, x, h, U, c)
    return dx, dnew * step(x, h, U, c)[1], dU, dc


@cases(
    (lambda *a: back(*a, tanh=lambda n: 1), "the slope of tanh is missing"),
    (lambda *a: back(*a, tanh=lambda n: n * (1 - n)), "a sigmoid's slope stands in the place of tanh's"),
    (lambda *a: back(*a, du=lambda h, n: n - h), "the sign of n - h"),
    (lambda *a: back(*a, du=lambda h, n: h), "-n is missing in du"),
    (lambda *a: back(*a, dr=lambda h: h), "h stands in the place of what r"),
    (lambda *a: back(*a, dr=lambda h: 1), "y^n is missing in dr"),
    (lambda *a: back(*a, dr=lambda h: 0), "the way through r is missing"),
    (but(0, lambda d, dx, dy, h, U: dy), "a factor r is too much in the last part"),
    (but(0, lambda d, dx, dy, h, U: np.concatenate(np.split(dx, 3, axis=1)[::-1], axis=1)), "the order of its parts"),
    (but(0, lambda d, dx, dy, h, U: np.roll(dx, h.shape[1], axis=1)), "the order of its parts"),
    (without_c_in_dr, "c^n is missing in dr"),
    (lambda *a: back(*a, direct=lambda d, u: 0), "the direct way is missing"),
    (lambda *a: back(*a, direct=lambda d, u: d), "the factor u is not there in the direct way"),
    (lambda *a: back(*a, direct=lambda d, u: d * (1 - u)), "u and 1 - u are swapped in the direct way"),
    (only_directly, "the way through y is missing"),
    (but(2, lambda d, dx, dy, h, U: h.T @ dx), "a factor r is left out"),
    (but(2, lambda d, dx, dy, h, U: h.T @ dy / len(h)), "a mean over the rows"),
    (but(2, lambda d, dx, dy, h, U: dy.T @ h), "its rows and columns have changed places"),
    (but(3, lambda d, dx, dy, h, U: dy.mean(axis=0)), "a mean over the rows"),
    (but(3, lambda d, dx, dy, h, U: dy), "the sum over the rows is missing"),
    (but(3, lambda d, dx, dy, h, U: dx.sum(axis=0)), "a factor r is left out"),
    (lambda *a: back(*a)[:2], "4 outputs are expected"),
)
def test_gru_step_backward(answer, words):
    rejects_or_counts(tutorial.check_gru_step_backward, answer, words)


# ---- 12.3


def unrolled(dstates, xs, states, U, c):
    """The way back by a recursion over the steps."""

    def from_step(t):
        """What steps t, t + 1, ... give: dxs of them, dh before step t, dU, dc."""
        if t == len(xs):
            return [], 0, 0, 0
        later, dh, dU, dc = from_step(t + 1)
        dx, dh, dU_t, dc_t = back(dstates[t] + dh, xs[t], states[t], U, c)
        return [dx, *later], dh, dU + dU_t, dc + dc_t

    dxs, *others = from_step(0)
    return np.array(dxs), *others


def test_a_recursion_is_accepted_and_is_the_package_s():
    tutorial.check_through_time(unrolled)
    dstates, xs, _, U, c = sequences.gru_arrays(0, 2, 3, 4)
    weights = {"steps.W": np.eye(9), "input.b": np.zeros(9), "state.W": U, "state.b": c}
    states, cache = gru.gru(xs.reshape(8, 9), np.empty((2, 0)), weights, 4)
    grads = {name: np.empty_like(array) for name, array in weights.items()}
    da, _ = gru.gru_backward(dstates.reshape(8, 3), cache, grads)
    found = unrolled(dstates, xs, np.concatenate([np.zeros((1, 2, 3)), states.reshape(4, 2, 3)]), U, c)
    assert found[0].reshape(8, 9) == pytest.approx(da)
    assert found[2] == pytest.approx(grads["state.W"])
    assert found[3] == pytest.approx(grads["state.b"])


def loop(dstates, xs, states, U, c, carried=True, add=True, order=reversed, after=0, mean=False, outside=None):
    """The loop, with pieces that may be wrong."""
    dxs, dh, dU, dc = np.empty_like(xs), np.zeros_like(states[0]), np.zeros_like(U), np.zeros_like(c)
    for t in order(range(len(xs))):
        from_outside = dstates[t] if outside is None else outside(dstates, t)
        dxs[t], dh, dU_t, dc_t = back(from_outside + carried * dh, xs[t], states[t + after], U, c)
        dU, dc = (dU + dU_t, dc + dc_t) if add else (dU_t, dc_t)
    return dxs, dh, dU / (len(xs) if mean else 1), dc / (len(xs) if mean else 1)


@cases(
    (lambda *a: loop(*a, carried=False), "what comes back from the step after is left out"),
    (lambda *a: loop(*a, carried=-1), "what comes back from the step after is subtracted"),
    (lambda *a: loop(*a, outside=lambda d, t: d[t] * (t == len(d) - 1)), "only the last state's derivative"),
    (lambda *a: loop(*a, add=False), "only the first step's is there"),
    (lambda *a: (*loop(*a)[:3], loop(*a, add=False)[3]), "only the first step's is there"),
    (lambda *a: loop(*a, order=iter), "it runs forward in time"),
    (lambda *a: loop(*a, after=1), "each step is given the one after it"),
    (lambda *a: loop(*a, mean=True), "a mean over the steps"),
    (lambda *a: (loop(*a)[0][::-1], *loop(*a)[1:]), "the order of the steps is the reverse"),
    (lambda *a: (loop(*a)[0], 0 * a[2][0], *loop(*a)[2:]), "h_0 acts on f through the first step"),
    (lambda d, xs, s, U, c: loop(d, xs, s, U, c)[:3], "4 outputs are expected"),
)
def test_through_time(answer, words):
    rejects_or_counts(tutorial.check_through_time, answer, words)


# ---- 12.4


def by_recursion(derivation, lefts, rights):
    """The mask without a stack: the symbols that are left, as a tuple."""
    left = (0,)
    for rule in derivation:
        left = left if rule == len(lefts) else (*rights[rule], *left[1:])
    return [*(bool(left) and symbol == left[0] for symbol in lefts), not left]


def test_another_mask_is_accepted_and_is_the_package_s():
    tutorial.check_allowed_next(by_recursion)
    grammar = expressions.GRAMMAR
    lefts, rights = sequences.EXPRESSIONS
    assert lefts == tuple(rule.left for rule in grammar.rules)
    rng = np.random.default_rng(0)
    for _ in range(20):
        walk, derivation = grammar.walk(1), []
        for _ in range(12):
            allowed = walk.allowed()[0]
            assert by_recursion(derivation, lefts, rights) == allowed.tolist()
            derivation.append(int(rng.choice(np.flatnonzero(allowed))))
            walk.advance(np.array(derivation[-1:]))


def left_over(replace):
    """A mask by the symbols that are left, which a rule replaces in another way; the next is the first."""

    def answer(derivation, lefts, rights):
        left = [0]
        for rule in derivation:
            if rule < len(lefts):
                left = replace(left, list(rights[rule]))
        return [*(bool(left) and symbol == left[0] for symbol in lefts), not left]

    return answer


def changed(change):
    """The right mask, changed afterwards."""
    return lambda *arguments: change(np.array(by_recursion(*arguments)))


def padded(value):
    def change(allowed):
        allowed[-1] = value
        return allowed

    return change


@cases(
    (
        left_over(lambda left, right: [*right[::-1], *left[1:]]),
        "its last symbol is replaced first",
    ),
    (left_over(lambda left, right: [*left[1:], *right]), "this is a queue"),
    (left_over(lambda left, right: right + left), "the pop is missing"),
    (left_over(lambda left, right: left[1:]), "the symbols of the right-hand sides are missing"),
    (left_over(lambda left, right: right[:1] + left[1:]), "only the first symbol of each right-hand side"),
    (changed(padded(True)), "padding is allowed where"),
    (changed(padded(False)), "padding is missing"),
    (changed(lambda allowed: allowed | allowed[-1]), "all rules are allowed at the end"),
    (changed(np.ones_like), "the mask is missing"),
    (
        lambda d, lefts, rights: [*(lefts[d[-1]] == s if d and d[-1] < len(lefts) else s == 0 for s in lefts), False],
        "the last rule's own",
    ),
    (changed(lambda allowed: allowed[:-1]), "its shape is"),
    (changed(np.logical_not), "the largest difference"),
    (changed(lambda allowed: allowed.astype(int)), "True and False (bool)"),
)
def test_allowed_next(answer, words):
    with pytest.raises(tutorial.Wrong, match=re.escape(words)):
        tutorial.check_allowed_next(answer, hint=3)


# ---- 12.5


def by_scipy(logits, rules, allowed):
    l = np.where(allowed, logits, -np.inf)
    log_p = np.zeros(len(logits))
    for n, t in np.ndindex(rules.shape):
        log_p[n] += log_softmax(l[n, t])[rules[n, t]]
    return log_p, (np.arange(logits.shape[2]) == rules[..., None]) - softmax(l, axis=2)


def test_scipy_s_softmax_is_accepted_and_is_the_package_s():
    tutorial.check_masked_log_probability(by_scipy)
    rng = np.random.default_rng(0)
    rules, groups = rng.integers(0, 5, (3, 4)), np.array([0, 0, 1, 1, 2])
    logits, allowed = rng.standard_normal((3, 4, 5)), groups == groups[rules][..., None]
    theirs, cache = categorical.categorical(np.eye(5)[rules].reshape(3, -1), logits.reshape(3, -1), None, tuple(groups))
    log_p, dlogits = by_scipy(logits, rules, allowed)
    assert log_p == pytest.approx(theirs[:, 0])
    assert dlogits.reshape(3, -1) == pytest.approx(cache.derivative)


def value(change):
    """A wrong log p, of the logits, the rules and the mask; the derivative is right."""
    return lambda *arguments: (change(*arguments), by_scipy(*arguments)[1])


def steps(logits, rules, allowed):
    log_p = log_softmax(np.where(allowed, logits, -np.inf), axis=2)
    return np.take_along_axis(log_p, rules[..., None], axis=2)[..., 0]


def exponentials(shift):
    def make(logits, rules, allowed):
        e = np.exp(logits - shift(logits)) * allowed
        return np.log(np.take_along_axis(e / e.sum(2, keepdims=True), rules[..., None], 2)[..., 0]).sum(1)

    return make


def derivative(change):
    """A wrong derivative, of the ones at the rules, p, the p without a mask, and the mask."""

    def answer(logits, rules, allowed):
        log_p, right = by_scipy(logits, rules, allowed)
        one = 1.0 * (np.arange(logits.shape[2]) == rules[..., None])
        return log_p, change(one, one - right, softmax(logits, axis=2), allowed)

    return answer


@cases(
    (value(lambda l, r, a: steps(l, r, a | True).sum(axis=1)), "the mask is missing in the sum of the softmax"),
    (value(lambda l, r, a: steps(l * a, r, a | True).sum(axis=1)), "the mask is a factor of the logits"),
    (value(exponentials(lambda l: 0)), "an exponential overflows"),
    (value(exponentials(lambda l: l.max(2, keepdims=True))), "a forbidden one, and what is far below it"),
    (value(lambda *a: np.log(np.exp(steps(*a)) + 1e-12).sum(axis=1)), "clipped at about 1e-12"),
    (value(lambda *a: steps(*a).mean(axis=1)), "the mean over the steps"),
    (value(lambda *a: steps(*a).sum(axis=1) / np.log(2)), "these are bits"),
    (value(lambda *a: np.exp(steps(*a).sum(axis=1))), "this is p, its logarithm is asked for"),
    (derivative(lambda one, p, q, a: p - one), "exactly the negative of ours"),
    (derivative(lambda one, p, q, a: one), "-p is missing"),
    (derivative(lambda one, p, q, a: -p), "the one at the rule is missing"),
    (derivative(lambda one, p, q, a: one - q), "the mask is missing in the probabilities"),
    (derivative(lambda one, p, q, a: one - q * a), "not divided by their sum over what is allowed"),
    (derivative(lambda one, p, q, a: one * (1 - p)), "only the rule's own logit has a derivative"),
    (derivative(lambda one, p, q, a: (one - p) * p), "a factor p is too much"),
    (derivative(lambda one, p, q, a: (one - p) / p.shape[1]), "a mean over the steps"),
    (derivative(lambda one, p, q, a: (one - p) / len(p)), "a mean over the examples"),
)
def test_masked_log_probability(answer, words):
    rejects(tutorial.check_masked_log_probability, answer, words)


def test_a_sum_over_the_steps_that_is_missing_is_recognised():
    rejects(tutorial.check_masked_log_probability, value(steps), "the sum over the steps is missing")


# ---- 12.6


def by_dimension(kl, beta, free):
    """The price in a loop."""
    price, dkl = 0.0, np.zeros_like(kl)
    for d in range(kl.shape[1]):
        mean = sum(kl[:, d]) / len(kl)
        price += beta * max(free, mean)
        dkl[:, d] = beta / len(kl) if mean > free else 0
    return price, dkl


def test_a_loop_over_the_dimensions_is_accepted_and_is_the_package_s():
    tutorial.check_aided_price(by_dimension)
    kl = np.random.default_rng(0).exponential(0.3, (6, 5))
    assert by_dimension(kl, 0.7, 0.3)[1] == pytest.approx(np.tile(bounds.kl_weights(kl, 0.7, 0.3) / 6, (6, 1)))


def price(change):
    return lambda *arguments: (change(*arguments), by_dimension(*arguments)[1])


def slope(change):
    return lambda *arguments: (by_dimension(*arguments)[0], change(*arguments))


@cases(
    (price(lambda kl, beta, free: beta * np.maximum(free, kl).mean(axis=0).sum()), "a maximum of each example"),
    (price(lambda kl, beta, free: beta * max(free, kl.sum(axis=1).mean())), "one maximum for the sum"),
    (price(lambda kl, beta, free: beta * kl.sum(axis=1).mean()), "the maximum is missing"),
    (price(lambda kl, beta, free: beta * np.maximum(0, kl.mean(0) - free).sum()), "it is the maximum of the wrong two"),
    (price(lambda kl, beta, free: beta * np.minimum(free, kl.mean(0)).sum()), "the other way round"),
    (price(lambda kl, beta, free: by_dimension(kl, 1, free)[0]), "the factor beta is not there"),
    (price(lambda kl, beta, free: np.maximum(free, beta * kl.mean(0)).sum()), "beta stands within the maximum"),
    (price(lambda kl, beta, free: beta * np.maximum(free, kl.sum(0)).sum()), "the sum over the examples"),
    (price(lambda kl, beta, free: beta * np.maximum(free, kl.mean(0)).mean()), "the mean over the dimensions"),
    (price(lambda kl, beta, free: beta * np.maximum(free, kl.mean(0))), "the sum over the dimensions is missing"),
    (price(lambda *a: -by_dimension(*a)[0]), "exactly the negative of ours"),
    (slope(lambda kl, beta, free: len(kl) * by_dimension(kl, beta, free)[1]), "the factor 1/N is not there"),
    (slope(lambda kl, beta, free: by_dimension(kl, 1, free)[1]), "the factor beta is not there"),
    (slope(lambda kl, beta, free: np.full(kl.shape, beta / len(kl))), "the maximum is missing"),
    (slope(lambda kl, beta, free: beta * (kl > free) / len(kl)), "each example is compared with the free nats"),
    (slope(lambda kl, beta, free: beta * (kl.mean(0) <= free) / len(kl) + 0 * kl), "the other way round"),
    (slope(lambda kl, beta, free: beta * (kl.mean(0) >= free) / len(kl) + 0 * kl), "> and not >="),
    (slope(lambda kl, beta, free: -by_dimension(kl, beta, free)[1]), "exactly the negative of ours"),
    (slope(lambda kl, beta, free: kl * by_dimension(kl, beta, free)[1]), "a factor KL is too much"),
    (slope(lambda kl, beta, free: by_dimension(kl, beta, free)[1] / kl.shape[1]), "divided by D too"),
    (slope(lambda kl, beta, free: by_dimension(kl, beta, free)[1][0]), "one row is there for all examples"),
)
def test_aided_price(answer, words):
    rejects(tutorial.check_aided_price, answer, words)


# ---- 12.7


def by_eval(strings, target, value, x):
    """The values by Python, one point after the other."""

    def at(string, point):
        try:
            return eval(string, {"x": point, "sin": np.sin, "exp": np.exp})
        except ZeroDivisionError:
            return np.nan

    def agree(a, b):
        return (np.isnan(a) and np.isnan(b)) or abs(a - b) <= 1e-9 * (1 + abs(b))

    points = [float(point) for point in x]
    return [all(agree(at(string, point), at(target, point)) for point in points) for string in strings]


def test_python_s_own_values_are_accepted_and_find_the_published_leak():
    tutorial.check_same_function(by_eval)
    found = sequences.same_function(expressions.ANSWERS, expressions.TARGET, expressions.value, expressions.POINTS)
    assert found.tolist() == [True, False, False, False, False, False]


def compared(test):
    return lambda strings, target, value, x: np.array([test(value(s, x), value(target, x)) for s in strings])


@cases(
    (lambda strings, target, value, x: [s == target for s in strings], "only the same string is found"),
    (
        lambda strings, target, value, x: [re.sub("[()]", "", s) == re.sub("[()]", "", target) for s in strings],
        "only the same string but for brackets",
    ),
    (compared(lambda a, b: np.array_equal(a, b, equal_nan=True)), "the values are compared bit by bit"),
    (compared(np.allclose), "what has no value is left out"),
    (compared(lambda a, b: np.isclose(a, b, equal_nan=True).any()), "only one point that agrees is asked for"),
    (compared(lambda a, b: np.isclose(a[0], b[0])), "only the first point is compared"),
    (compared(lambda a, b: np.isclose(a[-1], b[-1])), "only the last point is compared"),
    (compared(lambda a, b: np.isclose(np.nansum(a), np.nansum(b))), "differences may cancel"),
    (
        compared(lambda a, b: np.nanmean(abs(np.nan_to_num(a) - np.nan_to_num(b))) < 0.1),
        "a small difference counts as none",
    ),
    (lambda *a: ~sequences.same_function(*a), "True and False have changed places"),
    (lambda *a: sequences.same_function(*a).sum(), "how many there are"),
)
def test_same_function(answer, words):
    rejects(tutorial.check_same_function, answer, words)


def test_places_instead_of_a_mask_are_recognised():
    with pytest.raises(tutorial.Wrong, match="the places of the strings"):
        tutorial.check_same_function(lambda *a: np.flatnonzero(sequences.same_function(*a)), hint=3)


# ---- answers whose mistake shows in a corner alone


def by_zeros(logits, rules, allowed):
    """What is forbidden is a logit of 0 while the largest is looked for."""
    l = logits * allowed
    e = np.exp(l - l.max(axis=2, keepdims=True)) * allowed
    p = e / e.sum(axis=2, keepdims=True)
    return np.log(np.take_along_axis(p, rules[..., None], 2)[..., 0]).sum(axis=1), np.eye(p.shape[2])[rules] - p


def by_minus_100(logits, rules, allowed):
    """What is forbidden is a logit of -100."""
    log_p = log_softmax(np.where(allowed, logits, -100.0), axis=2)
    log_p_of_rules = np.take_along_axis(log_p, rules[..., None], 2)[..., 0].sum(axis=1)
    return log_p_of_rules, np.eye(log_p.shape[2])[rules] - np.exp(log_p)


def by_the_probability(logits, rules, allowed):
    """The logarithm of a probability that may be too small for a number."""
    p = softmax(np.where(allowed, logits, -np.inf), axis=2)
    return np.log(np.take_along_axis(p, rules[..., None], 2)[..., 0]).sum(axis=1), np.eye(p.shape[2])[rules] - p


def corner(kl, beta, free):
    """The slope of what is above, at the corner."""
    price, _ = sequences.aided_price(kl, beta, free)
    return price, np.where(kl.mean(axis=0) >= free, beta / len(kl), 0) + 0 * kl


def by_values_alone(strings, target, value, x):
    """A point without a value is left out."""
    return np.array([np.nanmax(np.abs(value(s, x) - value(target, x))) < 1e-9 for s in strings])


def by_zeros_for_nan(strings, target, value, x):
    """0 stands for what has no value."""
    return np.array([np.allclose(np.nan_to_num(value(s, x)), np.nan_to_num(value(target, x))) for s in strings])


def of_the_first_rule(derivation, lefts, rights):
    """The first rule's symbol is taken for the start symbol."""
    start = lefts[0]
    swapped = {0: start, start: 0}
    return sequences.allowed_next(derivation, [swapped.get(s, s) for s in lefts], [
        tuple(swapped.get(s, s) for s in right) for right in rights
    ])  # fmt: skip


@pytest.mark.parametrize(
    ("check", "answer"),
    [
        (tutorial.check_allowed_next, of_the_first_rule),
        *((tutorial.check_masked_log_probability, a) for a in (by_zeros, by_minus_100, by_the_probability)),
        (tutorial.check_aided_price, corner),
        *((tutorial.check_same_function, a) for a in (by_values_alone, by_zeros_for_nan)),
    ],
    ids=lambda part: part.__name__,
)
def test_a_mistake_that_shows_in_a_corner_is_found(check, answer):
    with pytest.raises(tutorial.Wrong):
        check(answer)
