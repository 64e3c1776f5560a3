"""The checks of notebook 12: a GRU and the way back through time, symbols of a grammar, free bits, a leaked answer."""

from itertools import permutations

import numpy as np
from scipy.special import expit

from tinyvae.data import expressions
from tinyvae.tutorial.answers import compare, not_of_type
from tinyvae.tutorial.exercises import exercise

# ---------------------------------------------------------------------------------------------------------------------
# Ours
# ---------------------------------------------------------------------------------------------------------------------


def parts(a):
    """What (R, 3 H) holds for r, u and n: (R, H) each."""
    return np.split(a, 3, axis=1)


def gru_step(x, h, U, c):
    """The gates r and u, the candidate n and the new state (R, H), from x (R, 3 H), the state h, U and c."""
    (xr, xu, xn), (yr, yu, yn) = parts(x), parts(h @ U + c)
    r, u = expit(xr + yr), expit(xu + yu)
    n = np.tanh(xn + r * yn)
    return r, u, n, (1 - u) * n + u * h


def slopes(dnew, x, h, U, c):
    """The derivatives by x, and by y = h U + c, from that by the new state."""
    r, u, n, _ = gru_step(x, h, U, c)
    yn = parts(h @ U + c)[2]
    dn, du = dnew * (1 - u) * (1 - n**2), dnew * (h - n) * u * (1 - u)
    dr = dn * yn * r * (1 - r)
    return np.hstack([dr, du, dn]), np.hstack([dr, du, r * dn])


def gru_step_backward(dnew, x, h, U, c):
    """dx (R, 3 H), dh (R, H), dU (H, 3 H) and dc (3 H,), from the derivative by the new state (R, H)."""
    dx, dy = slopes(dnew, x, h, U, c)
    u = gru_step(x, h, U, c)[1]
    return dx, dnew * u + dy @ U.T, h.T @ dy, dy.sum(axis=0)


def all_steps(dstates, xs, states, U, c, carry=1.0, before=0, order=reversed, told=None):
    """What ``gru_step_backward`` gives at each step, [(dx, dh, dU, dc)], in the order of the steps.

    Args:
        carry: by what the derivative from the steps after is multiplied.
        before: 0 for the state before a step.
        order: of the loop.
        told: the derivative from outside at each step; ``dstates`` by default.
    """
    found, dh = {}, np.zeros_like(states[0])
    for t in order(range(len(xs))):
        outside = (dstates if told is None else told)[t]
        found[t] = gru_step_backward(outside + carry * dh, xs[t], states[t + before], U, c)
        dh = found[t][1]
    return [found[t] for t in range(len(xs))]


def through_time(dstates, xs, states, U, c, **changes):
    """dxs (T, R, 3 H), dstart (R, H), dU and dc, from the derivatives from outside by each state (T, R, H)."""
    steps = all_steps(dstates, xs, states, U, c, **changes)
    return np.stack([dx for dx, *_ in steps]), steps[0][1], sum(s[2] for s in steps), sum(s[3] for s in steps)


def allowed_next(derivation, lefts, rights):
    """(V,) bool: which rules may come after these; the last is the padding."""
    stack = [0]
    for rule in derivation:
        if rule < len(lefts):
            stack.pop()
            stack.extend(reversed(rights[rule]))
    return rules_of(stack[-1] if stack else None, lefts)


def rules_of(symbol, lefts):
    """(V,) bool: the rules that replace a symbol; the padding alone for None."""
    return np.array([*(left == symbol for left in lefts), symbol is None])


def log_softmax(logits, allowed=True):
    """Over the last axis and what is allowed there; minus infinity elsewhere."""
    l = np.where(allowed, logits, -np.inf)
    l = l - l.max(axis=-1, keepdims=True)
    return l - np.log(np.exp(l).sum(axis=-1, keepdims=True))


def chosen(rules, V):
    """(N, T, V): a one at each step's rule."""
    return (np.arange(V) == rules[..., None]).astype(float)


def of_rules(log_p, rules):
    """The entries (N, T) of log_p (N, T, V) at the rules."""
    return np.take_along_axis(log_p, rules[..., None], axis=2)[..., 0]


def masked_log_probability(logits, rules, allowed):
    """log p (N,) of rules (N, T) among those that are allowed (N, T, V), and the derivative by the logits."""
    log_p = log_softmax(logits, allowed)
    return of_rules(log_p, rules).sum(axis=1), chosen(rules, logits.shape[2]) - np.exp(log_p)


def aided_price(kl, beta, free):
    """beta sum_d max(free, mean_n KL_nd), and its derivative by KL (N, D)."""
    mean = kl.mean(axis=0)
    return beta * np.maximum(free, mean).sum(), np.where(mean > free, beta / len(kl), 0) + 0 * kl


def same_function(strings, target, value, x):
    """(N,) bool: whether each string has the target's values at the points x, but for rounding."""
    return np.array([np.allclose(value(string, x), value(target, x), equal_nan=True) for string in strings])


# ---------------------------------------------------------------------------------------------------------------------
# The GRU
# ---------------------------------------------------------------------------------------------------------------------

GRU_SIZES = {"the general case": (3, 4), "one sequence": (1, 3), "one number of state": (2, 1)}  # R, H


def gru_arrays(seed, R, H, *steps):
    """dnew, x, h (with a first axis for steps, if any), U and c."""
    rng = np.random.default_rng(seed)
    arrays = [rng.standard_normal((*steps, R, width)) for width in (H, 3 * H, H)]
    return *arrays, rng.standard_normal((H, 3 * H)), rng.standard_normal(3 * H)


@exercise("12.1")
def check_gru_step(answer):
    """Exercise 12.1: (x (R, 3 H), h (R, H), U (H, 3 H), c (3 H,)) -> r, u, n, the new state, (R, H) each."""

    def with_order(*order):
        def mistaken(x, h, U, c):
            def ordered(a):
                return np.concatenate([np.split(a, 3, axis=-1)[i] for i in order], axis=-1)

            return gru_step(ordered(x), h, ordered(U), ordered(c))

        return mistaken

    def but(gates=expit, candidate=None, new=None):
        def mistaken(x, h, U, c):
            (xr, xu, xn), (yr, yu, yn) = parts(x), parts(h @ U + c)
            r, u = gates(xr + yr), gates(xu + yu)
            n = np.tanh(xn + r * yn) if candidate is None else candidate(xn, yn, r, h, U, c)
            return r, u, n, (1 - u) * n + u * h if new is None else new(r, u, n, h)

        return mistaken

    def last(a):
        return np.split(a, 3, axis=-1)[2]

    order = "the order of the parts: the first H numbers are for r, the next for u, the last for n."
    mix = "h' = (1 - u) n + u h."
    mistakes = [
        *((with_order(*other), order) for other in ((1, 0, 2), (0, 2, 1), (2, 1, 0), (1, 2, 0), (2, 0, 1))),
        (
            lambda x, h, U, c: gru_step(x, h, U, 0 * c),
            "the bias c is missing: y = h U + c, for all three parts.",
        ),
        (lambda x, h, U, c: gru_step(0 * x, h, U, c), "x is missing: each gate is a sigmoid of x + y."),
        (lambda x, h, U, c: gru_step(x, 0 * h, U, c), "h U is missing: the gates look at the old state too."),
        (
            but(gates=np.tanh),
            "tanh stands in the place of the gate's sigmoid: a gate lies between 0 and 1.",
        ),
        (but(gates=lambda a: a), "its sigmoid is missing: a gate lies between 0 and 1."),
        (but(gates=lambda a: expit(-a)), "the sign within the sigmoid: 1 / (1 + exp(-a))."),
        (
            but(candidate=lambda xn, yn, r, h, U, c: np.tanh(xn + (r * h) @ last(U) + last(c))),
            "r stands in front of the product, another order than here: (r h) U is the paper's form. Here r multiplies"
            " y^n, after the product and with its bias.",
        ),
        (
            but(candidate=lambda xn, yn, r, h, U, c: np.tanh(xn + r * (h @ last(U)) + last(c))),
            "r is missing before the bias: it multiplies all of y^n = h U^n + c^n.",
        ),
        (but(candidate=lambda xn, yn, r, *_: np.tanh(xn + yn)), "r is missing: n = tanh(x^n + r y^n)."),
        (
            but(candidate=lambda xn, yn, r, *_: np.tanh(r * (xn + yn))),
            "r multiplies x^n too, a factor too much: it says how much of the old state is seen, what is read is"
            " always seen.",
        ),
        (but(candidate=lambda xn, yn, r, *_: np.tanh(r * xn + yn)), "r acts on x^n: it belongs to y^n."),
        (but(candidate=lambda xn, yn, r, *_: xn + r * yn), "its tanh is missing."),
        (
            but(candidate=lambda xn, yn, r, *_: expit(xn + r * yn)),
            "a sigmoid stands in the place of its tanh: a state may be negative.",
        ),
        (
            but(new=lambda r, u, n, h: u * n + (1 - u) * h),
            f"u and 1 - u are swapped: u says how much of the old state stays. {mix}",
        ),
        (but(new=lambda r, u, n, h: (1 - u) * n), f"the old state is missing: {mix}"),
        (but(new=lambda r, u, n, h: n + u * h), f"the factor 1 - u is not there: {mix}"),
        (but(new=lambda r, u, n, h: (1 - u) * n + h), f"the factor u is not there: {mix}"),
        (but(new=lambda r, u, n, h: n), f"the gate u is missing, the candidate replaces the state: {mix}"),
        (but(new=lambda r, u, n, h: (1 - r) * n + r * h), f"r stands in the place of u: {mix}"),
        (but(new=lambda r, u, n, h: (1 - u) * n + u * r * h), f"a factor r is too much: it acts in n alone. {mix}"),
    ]
    cases = {name: gru_arrays(seed, *sizes)[1:] for seed, (name, sizes) in enumerate(GRU_SIZES.items())}
    outputs = ("the gate r", "the gate u", "the candidate n", "the new state")
    compare("your step", answer, gru_step, cases, mistakes, outputs)


@exercise("12.2")
def check_gru_step_backward(answer):
    """Exercise 12.2: (dnew (R, H), x (R, 3 H), h, U, c) -> dx (R, 3 H), dh (R, H), dU (H, 3 H), dc (3 H,)."""

    def mistaken_x(make, of_state=lambda h, U, c: h @ U + c):
        """A mistake within dx, of which all else is made."""

        def mistaken(dnew, x, h, U, c):
            r, u, n, _ = gru_step(x, h, U, c)
            dr, du, dn = make(dnew, parts(of_state(h, U, c))[2], r, u, n, h)
            dy = np.hstack([dr, du, r * dn])
            return np.hstack([dr, du, dn]), dnew * u + dy @ U.T, h.T @ dy, dy.sum(axis=0)

        return mistaken

    def by(dn=None, du=None, dr=None, **options):
        def make(dnew, yn, r, u, n, h):
            by_n = dnew * (1 - u) * (1 - n**2) if dn is None else dn(dnew, r, u, n)
            by_u = dnew * (h - n) * u * (1 - u) if du is None else du(dnew, u, n, h)
            by_r = by_n * yn * r * (1 - r) if dr is None else dr(by_n, yn, r, h)
            return by_r, by_u, by_n

        return mistaken_x(make, **options)

    def in_order(*order):
        return lambda dnew, dx, dy, u, h, U: np.hstack([parts(dx)[i] for i in order])

    def but(dx=None, dh=None, dU=None, dc=None):
        """A mistake in one output, of (dnew, dx, dy, u, h, U)."""

        def mistaken(dnew, x, h, U, c):
            right, (of_x, of_y) = gru_step_backward(dnew, x, h, U, c), slopes(dnew, x, h, U, c)
            u = gru_step(x, h, U, c)[1]
            pieces = dnew, of_x, of_y, u, h, U
            return [ours if f is None else f(*pieces) for f, ours in zip((dx, dh, dU, dc), right)]

        return mistaken

    def candidate_alone(dnew, dx, dy, u, h, U):
        H = h.shape[1]
        return dnew * u + dy[:, 2 * H :] @ U[:, 2 * H :].T

    factor = "The candidate sees r y^n, so that dy^n = r dx^n; the gates add x and y."
    shared = "One U serves all sequences: it collects a sum over the rows."
    mistakes = [
        (by(dn=lambda d, r, u, n: d * (1 - u)), "the slope of tanh is missing: 1 - n²."),
        (
            by(dn=lambda d, r, u, n: d * (1 - u) * n * (1 - n)),
            "a sigmoid's slope stands in the place of tanh's: 1 - n².",
        ),
        (by(dn=lambda d, r, u, n: d * (1 - n**2)), "the factor 1 - u is not there: h' = (1 - u) n + u h."),
        (by(dn=lambda d, r, u, n: d * u * (1 - n**2)), "u and 1 - u are swapped: h' = (1 - u) n + u h."),
        (by(du=lambda d, u, n, h: d * (h - n)), "the slope of u's sigmoid is missing: u (1 - u)."),
        (
            by(du=lambda d, u, n, h: d * (h - n) * (1 - u**2)),
            "tanh's slope stands in the place of that of u's sigmoid: u (1 - u).",
        ),
        (by(du=lambda d, u, n, h: d * (n - h) * u * (1 - u)), "the sign of n - h in du: u multiplies h, and -n."),
        (by(du=lambda d, u, n, h: d * h * u * (1 - u)), "-n is missing in du: u multiplies h, and -n."),
        (by(du=lambda d, u, n, h: -d * n * u * (1 - u)), "h is missing in du: u multiplies h, and -n."),
        (by(dr=lambda dn, yn, r, h: dn * yn), "the slope of r's sigmoid is missing: r (1 - r)."),
        (
            by(dr=lambda dn, yn, r, h: dn * yn * (1 - r**2)),
            "tanh's slope stands in the place of that of r's sigmoid: r (1 - r).",
        ),
        (
            by(dr=lambda dn, yn, r, h: dn * h * r * (1 - r)),
            "h stands in the place of what r multiplies: it is y^n = h U^n + c^n.",
        ),
        (by(dr=lambda dn, yn, r, h: dn * r * (1 - r)), "y^n is missing in dr: r multiplies it."),
        (by(of_state=lambda h, U, c: h @ U), "c^n is missing in dr: r multiplies all of y^n = h U^n + c^n."),
        (by(dr=lambda dn, yn, r, h: 0 * dn), "the way through r is missing: n = tanh(x^n + r y^n)."),
        *[(but(dx=in_order(*order)), "the order of its parts: r, u, n.") for order in list(permutations(range(3)))[1:]],
        (but(dx=lambda d, dx, dy, *_: dy), f"a factor r is too much in the last part: this is dy. {factor}"),
        (
            but(dh=lambda d, dx, dy, u, h, U: dy @ U.T),
            "the direct way is missing: h' = (1 - u) n + u h holds a share u of h itself.",
        ),
        (
            but(dh=lambda d, dx, dy, u, h, U: d * u),
            "the way through y is missing: h acts through both gates and the candidate, dy Uᵀ.",
        ),
        (but(dh=candidate_alone), "the way through the gates is missing: all three parts of y are of h."),
        (but(dh=lambda d, dx, dy, u, h, U: d * (1 - u) + dy @ U.T), "u and 1 - u are swapped in the direct way."),
        (but(dh=lambda d, dx, dy, u, h, U: d + dy @ U.T), "the factor u is not there in the direct way."),
        (but(dh=lambda d, dx, dy, u, h, U: d * u + dx @ U.T), f"a factor r is left out, dx is used as dy. {factor}"),
        (but(dU=lambda d, dx, dy, u, h, U: h.T @ dx), f"a factor r is left out, dx is used as dy. {factor}"),
        (but(dU=lambda d, dx, dy, u, h, U: (h.T @ dy) / len(h)), f"a mean over the rows. {shared}"),
        (but(dU=lambda d, dx, dy, u, h, U: h[:, :, None] * dy[:, None]), f"the sum over the rows is missing. {shared}"),
        (but(dU=lambda d, dx, dy, u, h, U: dy.T @ h), "its rows and columns have changed places: hᵀ dy."),
        (but(dc=lambda d, dx, dy, *_: dx.sum(axis=0)), f"a factor r is left out, dx is used as dy. {factor}"),
        (but(dc=lambda d, dx, dy, *_: dy.mean(axis=0)), "a mean over the rows. One c serves all: their sum."),
        (but(dc=lambda d, dx, dy, *_: dy), "the sum over the rows is missing: one c serves all."),
    ]
    cases = {name: gru_arrays(seed, *sizes) for seed, (name, sizes) in enumerate(GRU_SIZES.items())}
    outputs = ("the dx", "the dh", "the dU", "the dc")
    compare("your way back", answer, gru_step_backward, cases, mistakes, outputs)


@exercise("12.3")
def check_through_time(answer):
    """Exercise 12.3: (dstates (T, R, H), xs (T, R, 3 H), states (T + 1, R, H), U, c) -> dxs, dstart, dU, dc."""

    def but(**changes):
        return lambda *arguments: through_time(*arguments, **changes)

    def outside_at_the_end(dstates, *others):
        told = np.zeros_like(dstates)
        told[-1] = dstates[-1]
        return through_time(dstates, *others, told=told)

    def of(dxs=None, dstart=None, dU=None, dc=None):
        """A mistake in one output, of the list of all steps."""

        def mistaken(*arguments):
            steps, right = all_steps(*arguments), through_time(*arguments)
            return [ours if f is None else f(steps) for f, ours in zip((dxs, dstart, dU, dc), right)]

        return mistaken

    def never_reset(dstates, xs, states, U, c):
        dh, dU, dc, dxs = np.zeros_like(states[0]), 0, 0, []
        for t in reversed(range(len(xs))):
            dx, back, dU_t, dc_t = gru_step_backward(dstates[t] + dh, xs[t], states[t], U, c)
            dh, dU, dc, dxs = dh + back, dU + dU_t, dc + dc_t, [dx, *dxs]
        return np.stack(dxs), dh, dU, dc

    def added_behind(dstates, xs, states, U, c):
        """What comes from outside goes round the step."""
        dh, dU, dc, dxs = np.zeros_like(states[0]), 0, 0, []
        for t in reversed(range(len(xs))):
            dx, dh, dU_t, dc_t = gru_step_backward(dh, xs[t], states[t], U, c)
            dh, dU, dc, dxs = dh + dstates[t], dU + dU_t, dc + dc_t, [dx, *dxs]
        return np.stack(dxs), dh, dU, dc

    ways = "h_t acts on f at its own step and through step t + 1, so the derivative is the sum of both."
    shared = "All steps share it, so it collects a sum over the steps."
    mistakes = [
        (but(carry=0.0), f"what comes back from the step after is left out: each step stands alone. {ways}"),
        (but(carry=-1.0), f"what comes back from the step after is subtracted. {ways}"),
        (outside_at_the_end, f"only the last state's derivative from outside is used. {ways}"),
        (never_reset, f"what came back from one step is there twice: it is added to what came before. {ways}"),
        (
            added_behind,
            "the order within the loop: what comes from outside by h_t is to be added before step t is gone through,"
            " since it is a derivative by the state after that step.",
        ),
        (
            but(order=iter),
            "the order of the loop: it runs forward in time. The derivative by h_t needs that by h_{t + 1}, so it runs"
            " from the last step to the first.",
        ),
        (
            but(before=1),
            "the order of the states: each step is given the one after it. states[0] is the start, so step t begins at"
            " states[t] and ends at states[t + 1].",
        ),
        (
            of(dxs=lambda steps: np.stack([s[0] for s in steps][::-1])),
            "the order of the steps is the reverse: collected from the last, they are to be turned round.",
        ),
        (
            of(dstart=lambda steps: 0 * steps[0][1]),
            "it is left out: h_0 acts on f through the first step, and what that gives back is it.",
        ),
        (of(dstart=lambda steps: steps[-1][1]), "it is that of the last step alone: the loop goes on to the start."),
        (
            of(dstart=lambda steps: sum(s[1] for s in steps)),
            "a sum over all steps: it is only what the first step gives back.",
        ),
        *(
            (make(lambda steps, i=i, which=which: steps[which][i]), f"only the {name} step's is there. {shared}")
            for i, make in ((2, lambda f: of(dU=f)), (3, lambda f: of(dc=f)))
            for which, name in ((0, "first"), (-1, "last"))
        ),
        (of(dU=lambda steps: np.mean([s[2] for s in steps], axis=0)), f"a mean over the steps. {shared}"),
        (of(dc=lambda steps: np.mean([s[3] for s in steps], axis=0)), f"a mean over the steps. {shared}"),
        (of(dU=lambda steps: np.stack([s[2] for s in steps])), f"the sum over the steps is missing. {shared}"),
        (of(dc=lambda steps: np.stack([s[3] for s in steps])), f"the sum over the steps is missing. {shared}"),
    ]
    cases = {}
    sizes = {"the general case": (4, 3, 2), "one step": (1, 2, 3), "one sequence": (3, 1, 2)}  # T, R, H
    for seed, (name, (T, R, H)) in enumerate(sizes.items()):
        dstates, xs, h, U, c = gru_arrays(seed, R, H, T)
        states = [h[0]]
        for x in xs:
            states.append(gru_step(x, states[-1], U, c)[3])
        cases[name] = dstates, xs, np.stack(states), U, c
    outputs = ("the dxs", "the dstart", "the dU", "the dc")
    compare("your way back through time", answer, through_time, cases, mistakes, outputs)


# ---------------------------------------------------------------------------------------------------------------------
# Symbols
# ---------------------------------------------------------------------------------------------------------------------

TINY = (1e-6, 1e-7, 1e-8, 1e-9, 1e-10, 1e-12, 1e-15, 1e-20, 1e-30)  # where people clip
# The symbol that each rule replaces and the symbols that it writes, (lefts, rights)
EXPRESSIONS = (0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1), ((0, 1), (0, 1), (0, 1), (1,), (0,), (0,), (0,), (), (), (), ())
SENTENCES = (0, 0, 1, 1, 2, 2, 3), ((1, 2, 3), (2, 1), (1, 3), (), (3, 1), (), ())


@exercise("12.4")
def check_allowed_next(answer):
    """Exercise 12.4: (the derivation so far, lefts, rights) -> (V,) bool, the rules that may come next."""

    def stacks(take=lambda stack: stack.pop(), put=None, top=lambda stack: stack[-1], start=(0,)):
        """A derivation by another list than a stack."""

        def mistaken(derivation, lefts, rights):
            stack = list(start)
            for rule in derivation:
                if rule < len(lefts):
                    if stack:
                        take(stack)
                    stack = [*stack, *reversed(rights[rule])] if put is None else put(stack, rights[rule])
            return rules_of(top(stack) if stack else None, lefts)

        return mistaken

    def with_padding(padding):
        def mistaken(derivation, lefts, rights):
            allowed = allowed_next(derivation, lefts, rights)
            allowed[-1] = padding(allowed)
            return allowed

        return mistaken

    def everything_at_the_end(derivation, lefts, rights):
        allowed = allowed_next(derivation, lefts, rights)
        return allowed | allowed[-1]

    def those_that_write_it(derivation, lefts, rights):
        allowed = allowed_next(derivation, lefts, rights)
        symbol = None if allowed[-1] else lefts[np.argmax(allowed)]
        return np.array([*(symbol in right for right in rights), symbol is None])

    def of_the_last_rule(derivation, lefts, rights):
        return rules_of(lefts[derivation[-1]] if derivation and derivation[-1] < len(lefts) else 0, lefts)

    first = "Leftmost symbol first: push a right-hand side from its end, so that its first symbol is on top."
    mistakes = [
        (
            stacks(put=lambda stack, right: [*stack, *right]),
            f"the order within a right-hand side: its last symbol is replaced first. {first}",
        ),
        (
            stacks(take=lambda stack: stack.pop(0), put=lambda stack, right: [*stack, *right], top=lambda s: s[0]),
            "the order of what is left: this is a queue, what was written first comes first. New symbols go on top:"
            f" they are to be replaced before the rest. {first}",
        ),
        (
            stacks(take=lambda stack: None),
            "the pop is missing: the symbol that is replaced is taken off before its right-hand side is pushed.",
        ),
        (
            stacks(put=lambda stack, right: stack),
            "the symbols of the right-hand sides are missing: a rule pushes those that it writes.",
        ),
        (
            stacks(put=lambda stack, right: [*stack, *right[:1]]),
            "only the first symbol of each right-hand side is there.",
        ),
        (
            stacks(top=lambda stack: stack[0]),
            "the order of the stack: what comes next is on its top, not at its bottom.",
        ),
        (
            stacks(start=()),
            "the start symbol is missing: the stack begins with symbol 0 on it, not empty.",
        ),
        (with_padding(lambda allowed: True), "padding is allowed where symbols are still to be replaced."),
        (
            with_padding(lambda allowed: False),
            "padding is missing: where no symbol is left, it is the one that may come.",
        ),
        (
            everything_at_the_end,
            "all rules are allowed at the end: where no symbol is left, only padding may come.",
        ),
        (
            those_that_write_it,
            "these rules write the symbol on top: those that replace it are asked for, by their left-hand sides.",
        ),
        (
            of_the_last_rule,
            "the last rule's own symbol is taken for the next one: it has just been replaced.",
        ),
        (
            lambda derivation, lefts, rights: np.ones(len(lefts) + 1),
            "the mask is missing: every rule is allowed everywhere.",
        ),
    ]
    derivations = {
        "the beginning": ((), *EXPRESSIONS),
        "S + T": ((0,), *EXPRESSIONS),
        "x + T": ((0, 3, 7), *EXPRESSIONS),
        "sin(S)*2 + T": ((0, 1, 3, 5), *EXPRESSIONS),
        "x + 1": ((0, 3, 7, 8), *EXPRESSIONS),
        "x + 1 and padding": ((0, 3, 7, 8, 11, 11), *EXPRESSIONS),
        "A B C of another grammar": ((0,), *SENTENCES),
        "B C of another grammar": ((0, 3), *SENTENCES),
        "A C B C of another grammar": ((0, 2), *SENTENCES),
        "C A of another grammar": ((1, 4), *SENTENCES),
        "the end of another grammar": ((1, 5, 3), *SENTENCES),
        "the beginning, of rules in another order": ((), *(part[::-1] for part in SENTENCES)),
    }
    what = "your mask"
    advice = (
        "its type is one for numbers. A mask is of True and False (bool): with 0 and 1 logits[mask] would take the"
        " first two logits, again and again."
    )
    compare(what, not_of_type("iuf", advice, what, answer), allowed_next, derivations, mistakes)


@exercise("12.5")
def check_masked_log_probability(answer):
    """Exercise 12.5: (logits (N, T, V), rules (N, T), allowed (N, T, V)) -> log p (N,), its derivative (N, T, V)."""

    def value(make):
        """A mistake in log p, (N, T) of the steps or what becomes of them; the derivative is right."""
        return lambda *arguments: (make(*arguments), masked_log_probability(*arguments)[1])

    def by_step(logits, rules, allowed):
        return of_rules(log_softmax(logits, allowed), rules)

    def naive(logits, rules, allowed):
        p = np.exp(logits) * allowed
        return np.log(of_rules(p / p.sum(axis=2, keepdims=True), rules)).sum(axis=1)

    def largest_of_all(logits, rules, allowed):
        p = np.exp(logits - logits.max(axis=2, keepdims=True)) * allowed
        return np.log(of_rules(p / p.sum(axis=2, keepdims=True), rules)).sum(axis=1)

    def with_floor(floor):
        return lambda *arguments: np.log(np.exp(by_step(*arguments)) + floor).sum(axis=1)

    def slope(make):
        """A mistake in the derivative, of one-hot rules, the probabilities with a mask and without, the mask."""

        def mistaken(logits, rules, allowed):
            log_p, _ = masked_log_probability(logits, rules, allowed)
            p, everywhere = np.exp(log_softmax(logits, allowed)), np.exp(log_softmax(logits))
            return log_p, make(chosen(rules, logits.shape[2]), p, everywhere, allowed)

        return mistaken

    zero = "the mask is a factor of the logits: a logit of 0 has e^0 = 1. What is forbidden must vanish from the sum."
    mistakes = [
        (
            value(lambda logits, rules, allowed: of_rules(log_softmax(logits), rules).sum(axis=1)),
            "the mask is missing in the sum of the softmax: it runs over what is allowed alone. (With p set to zero"
            " elsewhere the rest no longer sums to 1.)",
        ),
        (
            value(lambda logits, rules, allowed: of_rules(log_softmax(logits * allowed), rules).sum(axis=1)),
            zero,
        ),
        (
            value(naive),
            "an exponential overflows: take each step's largest allowed logit out first.",
        ),
        (
            value(largest_of_all),
            "the largest logit of all is taken out, a forbidden one, and what is far below it vanishes: mask first.",
        ),
        *(
            (value(with_floor(floor)), f"the probability is clipped at about {floor:g}: stay with logarithms.")
            for floor in TINY
        ),
        (
            value(lambda *arguments: by_step(*arguments).mean(axis=1)),
            "the mean over the steps. Probabilities of steps multiply, so their logarithms add up.",
        ),
        (value(by_step), "the sum over the steps is missing: log p is a number for a sequence."),
        (value(lambda *arguments: by_step(*arguments).sum()), "a sum over the examples too: each has its own log p."),
        (
            value(lambda *arguments: by_step(*arguments).sum(axis=1) / np.log(2)),
            "these are bits, a factor: log p is in nats.",
        ),
        (
            value(lambda *arguments: np.exp(by_step(*arguments).sum(axis=1))),
            "this is p, its logarithm is asked for.",
        ),
        (
            value(lambda *arguments: by_step(*arguments)[:, 0]),
            "only the first step is there: the sum over the steps is missing.",
        ),
        (slope(lambda one, p, everywhere, allowed: p - one), "exactly the negative of ours: a sign?"),
        (
            slope(lambda one, p, everywhere, allowed: one),
            "-p is missing: all that are allowed stand in the softmax's sum.",
        ),
        (slope(lambda one, p, everywhere, allowed: -p), "the one at the rule is missing: its own logit is in log p."),
        (
            slope(lambda one, p, everywhere, allowed: one - everywhere),
            "the mask is missing in the probabilities: a forbidden rule acts on nothing, so its derivative is 0.",
        ),
        (
            slope(lambda one, p, everywhere, allowed: one - everywhere * allowed),
            "the probabilities are not divided by their sum over what is allowed.",
        ),
        (
            slope(lambda one, p, everywhere, allowed: one * (1 - p)),
            "only the rule's own logit has a derivative: the others are in the softmax's sum.",
        ),
        (
            slope(lambda one, p, everywhere, allowed: (one - p) * p),
            "a factor p is too much: this is the slope of p, and the logarithm has divided by it.",
        ),
        (
            slope(lambda one, p, everywhere, allowed: (one - p) / p.shape[1]),
            "a mean over the steps. log p is their sum.",
        ),
        (
            slope(lambda one, p, everywhere, allowed: (one - p) / len(p)),
            "a mean over the examples: divided by N. Each log p is its own.",
        ),
    ]
    rng = np.random.default_rng(0)
    cases = {}
    for name, N, T, V, wide in (
        ("the general case", 3, 4, 5, 1),
        ("one step", 2, 1, 4, 1),
        ("one example", 1, 3, 6, 2),
    ):
        logits, rules = wide * rng.standard_normal((N, T, V)), rng.integers(0, V, (N, T))
        cases[name] = logits, rules, (rng.random((N, T, V)) < 0.5) | (chosen(rules, V) > 0)
    logits, rules, allowed = cases["the general case"]
    cases["only one rule allowed"] = logits, rules, chosen(rules, 5) > 0
    cases["large logits"] = 1000 + 100 * logits, rules, allowed
    cases["large logits of what is forbidden"] = np.where(allowed, logits, 800.0), rules, allowed
    cases["very negative logits of what is allowed"] = np.where(allowed, logits - 1000, 3.0), rules, allowed
    cases["a rule far below the others"] = logits - 1000 * chosen(rules, 5), rules, allowed
    compare("your log probability", answer, masked_log_probability, cases, mistakes, ("the log p", "the derivative"))


# ---------------------------------------------------------------------------------------------------------------------
# Training aids, and a leak
# ---------------------------------------------------------------------------------------------------------------------


@exercise("12.6")
def check_aided_price(answer):
    """Exercise 12.6: (KL (N, D), beta, free) -> beta sum_d max(free, mean_n KL_nd), its derivative by KL (N, D)."""

    def price(make):
        return lambda kl, beta, free: (make(kl, beta, free), aided_price(kl, beta, free)[1])

    def slope(make):
        """A mistake in the derivative, of the mask (1, D), KL, beta and free."""

        def mistaken(kl, beta, free):
            above = (kl.mean(axis=0, keepdims=True) > free) + 0 * kl
            return aided_price(kl, beta, free)[0], make(above, kl, beta, free)

        return mistaken

    batch = "It is the minibatch's mean of a dimension that has nats free."
    dimension = "Each dimension has its own nats free."
    mistakes = [
        (
            price(lambda kl, beta, free: beta * np.maximum(free, kl).mean(axis=0).sum()),
            f"a maximum of each example, and then the mean over them. {batch}",
        ),
        (
            price(lambda kl, beta, free: beta * max(free, kl.mean(axis=0).sum())),
            f"one maximum for the sum over the dimensions. {dimension}",
        ),
        (
            price(lambda kl, beta, free: beta * max(free * kl.shape[1], kl.mean(axis=0).sum())),
            f"one maximum for the sum over the dimensions, with D times the free nats. {dimension}",
        ),
        (
            price(lambda kl, beta, free: beta * kl.mean(axis=0).sum()),
            "the maximum is missing: this is the divergence with its weight alone.",
        ),
        (
            price(lambda kl, beta, free: beta * np.maximum(0, kl.mean(axis=0) - free).sum()),
            "it is the maximum of the wrong two: max(free, KL), not max(0, KL - free). The derivative is the same.",
        ),
        (
            price(lambda kl, beta, free: beta * np.minimum(free, kl.mean(axis=0)).sum()),
            "the other way round: a minimum pays for what is below, and a maximum for what is above.",
        ),
        (
            price(lambda kl, beta, free: np.maximum(free, kl.mean(axis=0)).sum()),
            "the factor beta is not there.",
        ),
        (
            price(lambda kl, beta, free: np.maximum(free, beta * kl.mean(axis=0)).sum()),
            "the factor beta stands within the maximum: it multiplies all of the price.",
        ),
        (
            price(lambda kl, beta, free: beta * np.maximum(free, kl.sum(axis=0)).sum()),
            f"the sum over the examples, where their mean belongs. {batch}",
        ),
        (
            price(lambda kl, beta, free: beta * np.maximum(free, kl.mean(axis=0)).mean()),
            "the mean over the dimensions: a divergence is their sum. (It is the Grammar VAE's own mistake.)",
        ),
        (
            price(lambda kl, beta, free: beta * np.maximum(free, kl.mean(axis=1)).sum()),
            f"the mean over the dimensions where that over the examples belongs: the wrong axis. {batch}",
        ),
        (
            price(lambda kl, beta, free: beta * np.maximum(free, kl.mean(axis=0))),
            "the sum over the dimensions is missing.",
        ),
        (
            price(lambda kl, beta, free: -beta * np.maximum(free, kl.mean(axis=0)).sum()),
            "exactly the negative of ours: a sign? The price is what is taken off the bound.",
        ),
        (slope(lambda above, kl, beta, free: beta * above), "the factor 1/N is not there: the price is of the mean."),
        (slope(lambda above, kl, beta, free: above / len(kl)), "the factor beta is not there."),
        (
            slope(lambda above, kl, beta, free: beta * (kl.mean(axis=0) >= free) / len(kl) + 0 * kl),
            "at the corner, where a mean is exactly what is free, it is not 0: > and not >=.",
        ),
        (
            slope(lambda above, kl, beta, free: beta / len(kl) + 0 * kl),
            "the maximum is missing: what is below has slope 0.",
        ),
        (
            slope(lambda above, kl, beta, free: beta * (kl > free) / len(kl)),
            f"each example is compared with the free nats: the mean over the examples is missing. {batch}",
        ),
        (
            slope(lambda above, kl, beta, free: beta * (kl.mean() > free) / len(kl) + 0 * kl),
            f"one mean over all of them is compared with the free nats. {dimension}",
        ),
        (
            slope(lambda above, kl, beta, free: beta * (kl.mean(axis=0).sum() > free) / len(kl) + 0 * kl),
            f"the sum over all dimensions is compared with the free nats. {dimension}",
        ),
        (
            slope(lambda above, kl, beta, free: beta * (1 - above) / len(kl)),
            "the other way round: what is above pays, what is below is free.",
        ),
        (slope(lambda above, kl, beta, free: -beta * above / len(kl)), "exactly the negative of ours: a sign?"),
        (
            slope(lambda above, kl, beta, free: beta * above[0] / len(kl)),
            "only one row is there for all examples: each KL_nd has its derivative, (N, D).",
        ),
        (
            slope(lambda above, kl, beta, free: beta * above * kl / len(kl)),
            "a factor KL is too much: the price is linear in it.",
        ),
        (
            slope(lambda above, kl, beta, free: beta * above / kl.size),
            "a mean over the dimensions: divided by D too. A divergence is their sum.",
        ),
    ]
    rng = np.random.default_rng(0)
    kl = rng.exponential(1, (4, 5)) * [0.05, 2.0, 0.3, 1.0, 0.2]
    cases = {
        "the general case": (kl, 0.7, 0.3),
        "beta = 0": (kl, 0.0, 0.3),
        "nothing free": (kl, 0.7, 0.0),
        "all free": (kl, 2.0, 9.0),
        "one example": (kl[:1], 1.0, 0.5),
        "one dimension": (kl[:, 1:2], 0.5, 0.1),
        "a mean that is just what is free": (np.full((4, 2), 0.5), 0.7, 0.5),
    }
    compare("your price", answer, aided_price, cases, mistakes, ("the price", "the derivative"))


@exercise("12.7")
def check_same_function(answer):
    """Exercise 12.7: (strings, target, value, points x) -> (N,) bool, the strings that are the target's function."""

    def by(test):
        """A test of two arrays of values."""
        return lambda strings, target, value, x: np.array([test(value(s, x), value(target, x)) for s in strings])

    def without_brackets(strings, target, value, x):
        plain = str.maketrans("", "", "()")
        return np.array([s.translate(plain) == target.translate(plain) for s in strings])

    def at(place):
        return by(lambda a, b: np.isclose(a[place], b[place], equal_nan=True))

    def near(limit, kind=np.mean):
        return by(lambda a, b: kind(np.abs(np.nan_to_num(a) - np.nan_to_num(b))) < limit)

    near_ones = "a small difference counts as none: what is near the target is another function."
    mistakes = [
        (
            lambda strings, target, value, x: np.array([s == target for s in strings]),
            "only the same string is found: brackets and another order make other strings of the"
            " same function. Compare values.",
        ),
        (
            without_brackets,
            "only the same string but for brackets is found: x+1 and 1+x are one function. Compare values.",
        ),
        (
            by(lambda a, b: np.array_equal(a, b, equal_nan=True)),
            "the values are compared bit by bit: another order of additions rounds in another way. Allow for it"
            " (np.allclose).",
        ),
        (
            by(lambda a, b: np.allclose(a, b)),
            "what has no value is left out: 0/0 is not a number in both, and that is the same. (equal_nan=True.)",
        ),
        (
            by(lambda a, b: np.any(np.isclose(a, b, equal_nan=True))),
            "only one point that agrees is asked for. Two functions meet here and there: all points have to agree.",
        ),
        (at(0), "only the first point is compared: two functions may meet there."),
        (at(-1), "only the last point is compared: two functions may meet there."),
        (
            by(lambda a, b: np.isclose(np.nansum(a), np.nansum(b))),
            "the sum over all points is compared: differences may cancel.",
        ),
        *((near(limit, kind), near_ones) for limit in (0.5, 0.2, 0.1, 0.05, 0.01) for kind in (np.mean, np.max)),
        (
            lambda *arguments: ~same_function(*arguments),
            "True and False have changed places: True is for the target's function.",
        ),
        (
            lambda *arguments: np.flatnonzero(same_function(*arguments)),
            "these are the places of the strings: True or False is asked for, for each.",
        ),
        (
            lambda *arguments: same_function(*arguments).sum(),
            "how many there are: True or False is asked for, for each string.",
        ),
        (
            lambda *arguments: same_function(*arguments).any(),
            "whether there is one: True or False is asked for, for each string.",
        ),
    ]
    x = np.linspace(-2, 2, 41)
    cases = {
        "the paper's target": (
            [
                *("1/3+x+sin(x*x)", "1/3+(x)+sin(x*x)", "sin(x*x)+x+1/3", "x+sin((x*x))+1/3", "1/2+x+sin(x*x)"),
                *("1/3+x+sin(x)", "1/3+x+sin(2*x)", "x+1+2+3"),
            ],
            "1/3+x+sin(x*x)",
        ),
        "functions that meet": (["x*x", "x+x", "x*x*x", "(x*x)/1", "2*x", "x*x*x*x/(2+2)"], "x*x"),
        "no value at 0": (["x/x+x", "x+x/x", "x+(2*x)/(x+x)", "x+2", "1/x", "exp(x)"], "x/x+x"),
        "a value at 0": (["x/x+x", "1+x", "x+1"], "1+x"),
        "no value where others are 0": (["x", "x*x/x", "x/x*x", "2*x*x/x/2"], "x*x/x"),
        "a product": (["sin(x)/x*x", "sin(x)*(x/x)", "sin(x+1)", "sin(x)*sin(x)/sin(x)", "2*sin(x)"], "x/x*sin(x)"),
        "a hundredth": (["x", "x+1/(3*(3*(3*(3*3))))", "x+sin(1/(3*(3*(3*3))))", "(x)*1"], "x"),
    }
    arguments = {name: (strings, target, expressions.value, x) for name, (strings, target) in cases.items()}
    compare("your search for leaks", answer, same_function, arguments, mistakes)
