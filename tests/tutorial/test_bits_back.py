"""The checks of notebook 13: they accept what is right, and say of typical mistakes what is wrong."""

import itertools
import math
from bisect import bisect_left, bisect_right

import numpy as np
import pytest
from scipy.stats import norm

from tests.notebooks import cases, rejects, solutions
from tinyvae import tutorial
from tinyvae.coding import ans, cells
from tinyvae.tutorial import bits_back

SOLUTIONS = solutions("13_bits_back", np=np, norm=norm, bisect_right=bisect_right)


# ---- 13.1


def entropy(p):
    return sum(-v * math.log2(v) for v in p if v > 0)


def test_mean_bits_in_a_loop_are_accepted():
    tutorial.check_mean_bits(lambda p, q: sum(-a * math.log2(b) for a, b in zip(p, q)))


@cases(
    (lambda p, q: -p @ np.log(q), "these are nats"),
    (lambda p, q: -p @ np.log10(q), "to the base 10"),
    (lambda p, q: p @ np.log2(q), "the sign"),
    (lambda p, q: -q @ np.log2(p), "p and q have changed places"),
    (lambda p, q: entropy(p), "this is the entropy of p"),
    (lambda p, q: -p @ np.log2(p), "q plays no part, and 0 log 0"),
    (lambda p, q: entropy(q), "this is the entropy of q"),
    (lambda p, q: -p @ np.log2(q) - entropy(p), "this is KL(p || q)"),
    (lambda p, q: p @ np.log2(p / q) - p @ np.log2(p), "0 log 0 is not a number, and a sum"),
    (lambda p, q: p @ np.ceil(-np.log2(q)), "rounded up"),
    (lambda p, q: -np.log2(q).mean(), "the plain mean over the symbols"),
    (lambda p, q: -(p * np.log2(q)).mean(), "p already is their share"),
    (lambda p, q: -np.log2(q).sum(), "p is left out"),
    (lambda p, q: -p * np.log2(q), "the sum over the symbols is missing"),
    (lambda p, q: -np.log2(p @ q), "the logarithm of the mean"),
)
def test_mean_bits(answer, words):
    rejects(tutorial.check_mean_bits, answer, words=words)


# ---- 13.2 and 13.3


def test_push_and_pop_are_those_of_the_package():
    """On a state that is neither too large nor too small for it to move a word."""
    starts = [0, 1000, 1001, 2**16]
    for k, state in itertools.product(range(3), (2**33 + 5, 2**40 + 12345)):
        stack = ans.Stack(0)
        stack.make_room(1, 1)
        stack.head[ans.STATE] = state
        ans.push(stack.words, stack.head, starts[k], starts[k + 1] - starts[k], 16)
        pushed = SOLUTIONS["push"](state, k, starts)
        words = stack.words[: stack.head[ans.LENGTH]].tolist()
        if not stack.head[ans.LENGTH] > 1:
            assert pushed == stack.head[ans.STATE]
        else:  # the package has moved a word before
            assert stack.head[ans.STATE] == SOLUTIONS["push"](state >> 32, k, starts) and words[-1] == state % 2**32
        assert SOLUTIONS["pop"](pushed, starts) == (k, state)


def push_by_divmod(s, k, c):
    q, rest = divmod(s, c[k + 1] - c[k])
    return q * c[-1] + rest + c[k]


def pop_by_search(s, c):
    q, u = divmod(s, c[-1])
    k = next(k for k in range(len(c) - 1) if c[k] <= u < c[k + 1])
    return k, q * (c[k + 1] - c[k]) + u - c[k]


def test_other_ways_to_push_and_pop_are_accepted():
    tutorial.check_push(push_by_divmod)
    tutorial.check_pop(pop_by_search)


def pushing(change):
    return lambda s, k, c: change(s, c[k + 1] - c[k], c[k], c[-1])


@cases(
    (pushing(lambda s, f, c, M: M * (s // f) + s % f), "the start c[k] is missing"),
    (pushing(lambda s, f, c, M: M * (s // f) + c), "the rest of the division is missing, s mod f"),
    (pushing(lambda s, f, c, M: M * (s // f) + c + s % M), "the rest is that of M"),
    (pushing(lambda s, f, c, M: M * (s % f) + c + s // f), "quotient and rest have changed places"),
    (pushing(lambda s, f, c, M: f * (s // M) + c + s % f), "f and M have changed places"),
    (pushing(lambda s, f, c, M: f * (s // M) + s % M - c), "this is the inverse"),
    (pushing(lambda s, f, c, M: s * M // f + c), "is what it is nearly. The rest"),
    (pushing(lambda s, f, c, M: s * M // f + c + s % f), "divides what has been multiplied"),
    (pushing(lambda s, f, c, M: s * M // f), "start and rest are missing"),
    (pushing(lambda s, f, c, M: s * M + c + s % f), "s is not divided by f"),
    (lambda s, k, c: c[-1] * (s // c[k + 1]) + c[k] + s % c[k + 1], "c[k + 1] is taken for the frequency"),
    (pushing(lambda s, f, c, M: (M - 1) * (s // f) + c + s % f), "M is one too few"),
    (pushing(lambda s, f, c, M: M * (s // f)), "start and rest are missing: M times the quotient"),
    (pushing(lambda s, f, c, M: M * (s // f) - c + s % f), "the sign of the start"),
    (pushing(lambda s, f, c, M: M * (s // f) + c + f), "the rest is not f"),
    (pushing(lambda s, f, c, M: M * (s // f) + s % f * c), "a sum, not a product"),
    (lambda s, k, c: c[-1] * (s // (c[k + 1] - c[k])) + c[k + 1] + s % (c[k + 1] - c[k]), "that of the next symbol"),
    (pushing(lambda s, f, c, M: M * (s / f) + c + s % f), "a whole number is expected, not a fraction"),
    (pushing(lambda s, f, c, M: M * int(s / f) + c + s % f), "goes through a float"),
)
def test_push(answer, words):
    rejects(tutorial.check_push, answer, words=words)


def popping(message, find=lambda c, u: bisect_right(c, u) - 1):
    def answer(s, c):
        u = s % c[-1]
        k = find(c, u)
        return k, message(s, c[k + 1] - c[k], c[k], c[-1], u)

    return answer


def undone(s, f, c, M, u):
    return f * (s // M) + u - c


@cases(
    (lambda s, c: pop_by_search(s, c)[::-1], "the symbol comes first"),
    (popping(undone, lambda c, u: bisect_left(c, u, 1) - 1), "belongs to the symbol that starts there"),
    (popping(undone, lambda c, u: max(0, bisect_left(c, u) - 1)), "belongs to the symbol that starts there"),
    (popping(undone, lambda c, u: c.index(max(v for v in c[:-1] if v <= u))), "the symbol has no digits of its own"),
    (lambda s, c: (pop_by_search(s, c)[0] + 1, pop_by_search(s, c)[1]), "each symbol is one too large"),
    (lambda s, c: (bisect_right(c, s // c[-1] % c[-1]) - 1, pop_by_search(s, c)[1]), "the rest of the division by M"),
    (popping(lambda s, f, c, M, u: f * (s // M) + u), "the start is missing"),
    (popping(lambda s, f, c, M, u: f * (s // M)), "the rest is missing"),
    (popping(lambda s, f, c, M, u: s // M), "f is missing"),
    (popping(lambda s, f, c, M, u: s // M + u - c), "f is missing"),
    (popping(lambda s, f, c, M, u: M * (s // f) + u - c), "f and M have changed places"),
    (popping(lambda s, f, c, M, u: f * (s // M) + u + c), "the sign of the start"),
    (popping(lambda s, f, c, M, u: f * (s // M) - u + c), "the sign of the rest"),
    (popping(lambda s, f, c, M, u: f * (s // M) + u - c - f), "that of the next symbol"),
    (popping(lambda s, f, c, M, u: f * (s // M) + u % f), "the rest is no remainder"),
    (popping(lambda s, f, c, M, u: f * s // M), "is what it is nearly"),
    (popping(lambda s, f, c, M, u: s), "the symbol is only looked at"),
    (popping(lambda s, f, c, M, u: f * s / M), "a whole number is expected, not a fraction"),
    (popping(lambda s, f, c, M, u: f * int(s / M) + u - c), "goes through a float"),
    (lambda s, c: pop_by_search(s, c)[1], "2 outputs are expected"),
)
def test_pop(answer, words):
    rejects(tutorial.check_pop, answer, words=words)


# ---- 13.4


@pytest.mark.parametrize("r", [3, 8, 16, 24])
def test_a_table_has_its_sum_and_a_digit_for_each(r):
    rng = np.random.default_rng(r)
    for p in (rng.dirichlet(np.full(8, 0.05)), np.eye(8)[3], np.full(8, 1 / 8)):
        starts = SOLUTIONS["table"](p, r)
        assert starts[0] == 0 and starts[-1] == 2**r and np.diff(starts).min() >= 1
        assert np.abs(np.diff(starts) - 1 - (2**r - 8) * p).max() <= 1


def in_a_loop(p, r):
    starts, total = [0], 0.0
    for k, probability in enumerate(p[:-1]):
        total += probability
        starts.append(k + 1 + int((2**r - len(p)) * total))
    return [*starts, 2**r]


def test_a_table_in_a_loop_is_accepted():
    tutorial.check_table(in_a_loop)


def added_up(frequencies, is_set=False):
    def answer(p, r):
        starts = np.append(0, np.cumsum(frequencies(p, r))).astype(int)
        return [*starts[:-1], 2**r] if is_set else starts

    return answer


def shared(rounded=np.floor, total=lambda r: 2**r, set_aside=lambda L: L, last=None, each=1):
    def answer(p, r):
        L = len(p)
        shares = (total(r) - set_aside(L)) * np.append(0, np.cumsum(p))
        starts = (rounded(shares) + each * np.arange(L + 1)).astype(int)
        starts[-1] = starts[-1] if last == "left" else total(r)
        return starts

    return answer


@cases(
    (shared(last="left"), "the last start is one too few"),
    (shared(set_aside=lambda L: 0, each=0), "what is improbable has no digit"),
    (shared(np.rint, set_aside=lambda L: 0, each=0), "what is improbable has no digit"),
    (added_up(lambda p, r: np.rint(2**r * p)), "not 2^r. Round the starts: then the sum is right by itself. And what"),
    (added_up(lambda p, r: np.maximum(1, np.rint(2**r * p))), "frequencies are rounded one by one"),
    (added_up(lambda p, r: 1 + np.floor((2**r - len(p)) * p)), "frequencies are rounded one by one"),
    (shared(set_aside=lambda L: 0), "counted twice"),
    (shared(set_aside=lambda L: 0, last="left"), "2^r + L digits"),
    (shared(set_aside=lambda L: 0, each=0, last="left"), "what is improbable has no digit"),
    (shared(each=0), "k is missing"),
    (added_up(lambda p, r: np.maximum(1, np.floor(2**r * p)), is_set=True), "made up for by the last symbol alone"),
    (added_up(lambda p, r: 1 + np.rint((2**r - len(p)) * p), is_set=True), "made up for by the last symbol alone"),
    (lambda p, r: [*in_a_loop(p, r)[:-2], in_a_loop(p, r)[-2] - (r == 16), 2**r], "agree to the last digit"),
    (shared(np.rint), "rounded to the nearest"),
    (shared(np.ceil), "rounded up"),
    (shared(total=lambda r: 2**r - 1), "one too few, a factor"),
    (lambda p, r: np.diff(in_a_loop(p, r)), "these are the frequencies"),
    (lambda p, r: in_a_loop(p, r)[:-1], "the last is missing"),
    (lambda p, r: in_a_loop(p, r)[1:], "the first is missing"),
    (lambda p, r: np.array(in_a_loop(p, r), float), "type for fractions"),
)
def test_table(answer, words):
    rejects(tutorial.check_table, answer, words=words)


# ---- 13.5


def word_pusher(limit=lambda f, M: f * (2**64 // M), move=lambda words, state: words.append(state & (2**32 - 1))):
    def answer(words, state, k, c):
        f, M = c[k + 1] - c[k], c[-1]
        if state >= limit(f, M):
            move(words, state)
            state >>= 32
        return push_by_divmod(state, k, c)

    return answer


def test_words_and_one_number_say_the_same_and_the_state_keeps_its_limits():
    rng = np.random.default_rng(0)
    c = SOLUTIONS["table"](rng.dirichlet(np.full(20, 0.3)), 12).tolist()
    words, state = [], 2**32
    symbols = rng.integers(0, 20, 500).tolist()
    for k in symbols:
        state = SOLUTIONS["push_word"](words, state, k, c)
        assert 2**32 <= state < 2**64
    for k in reversed(symbols):
        found, state = SOLUTIONS["pop"](state, c)
        if state < 2**32:
            state = (state << 32) + words.pop()
        assert found == k
    assert (words, state) == ([], 2**32)


def after_the_push(words, state, k, c):
    state = push_by_divmod(state, k, c)
    if state >= 2**64:
        words.append(state % 2**32)
        state >>= 32
    return state


def upper_half(words, state, k, c):
    if state >= (c[k + 1] - c[k]) * (2**64 // c[-1]):
        words.append(state >> 32)
        state %= 2**32
    return push_by_divmod(state, k, c)


def another_list(words, state, k, c):
    if state >= (c[k + 1] - c[k]) * (2**64 // c[-1]):
        words = [*words, state % 2**32]
        state >>= 32
    return push_by_divmod(state, k, c)


def divided(words, state, k, c):
    if state >= (c[k + 1] - c[k]) * (2**64 // c[-1]):
        words.append(state % 2**32)
        state = int(state / 2**32)
    return push_by_divmod(state, k, c)


def nothing_taken_off(words, state, k, c):
    if state >= (c[k + 1] - c[k]) * (2**64 // c[-1]):
        words.append(state % 2**32)
    return push_by_divmod(state, k, c)


@cases(
    (after_the_push, "the word moves after the push"),
    (word_pusher(lambda f, M: 2**64), "no word leaves the state"),
    (lambda words, *others: push_by_divmod(*others), "the renormalisation, or"),
    (word_pusher(lambda f, M: 2**64 // M), "the limit does not know the symbol"),
    (word_pusher(lambda f, M: f << 32), "2^32 f is right where r = 32"),
    (word_pusher(lambda f, M: f * M), "f M is no limit of the state"),
    (word_pusher(lambda f, M: 2**32), "every state above 2^32"),
    (word_pusher(lambda f, M: f * (2**64 // M) + 1), "so >= and not >"),
    (upper_half, "the upper half is moved"),
    (word_pusher(move=lambda words, state: words.insert(0, state % 2**32)), "the wrong end of the list"),
    (word_pusher(move=lambda words, state: words.append(state)), "the whole state is moved"),
    (word_pusher(move=lambda words, state: None), "append is missing"),
    (another_list, "a list that nobody else sees"),
    (nothing_taken_off, "or state >> 32 behind the append"),
    (lambda words, *others: (words, word_pusher()(words, *others)), "the state alone is expected"),
    (divided, "a float holds 53 bits"),
    (lambda words, state, k, c: state / 2, "a whole number is expected"),
)
def test_push_word(answer, words):
    rejects(tutorial.check_push_word, answer, words=words)


# ---- 13.6


def test_tables_are_the_package_s():
    """At a few of its 2^16 cells."""
    table = cells.cells()
    mu, sigma = np.array([0.3, -1.2]), np.array([0.2, 0.9])
    found = SOLUTIONS["posterior_tables"](mu, sigma, table.edges, 24)
    for i in (0, 1, 1000, 2**15, 40_000, 2**16):
        ours = [cells.edge(i, m, 1 / s, table) for m, s in zip(mu, sigma)]
        assert np.abs(found[:, i] - ours).max() <= 1  # by another distribution function


def by_scipy(mu, sigma, edges, r):
    return [[int(2**r * norm.cdf(e, m, s)) for e in edges] for m, s in zip(mu, sigma)]


def test_tables_in_a_loop_are_accepted():
    tutorial.check_posterior_tables(by_scipy)


def scaled(change, rounded=np.floor):
    return lambda mu, sigma, e, r: rounded(2**r * norm.cdf(change(mu[:, None], sigma[:, None], e))).astype(int)


def right_scale(m, s, e):
    return (e - m) / s


@cases(
    (scaled(lambda m, s, e: (e - m) / s**2), "sigma is squared"),
    (scaled(lambda m, s, e: (e - m) / s**0.5), "sigma is used as a variance"),
    (scaled(lambda m, s, e: (e - m) / np.exp(s / 2)), "the notebook has taken exp"),
    (scaled(lambda m, s, e: (e - m) * s), "multiplied by sigma"),
    (scaled(lambda m, s, e: e - m), "sigma is missing"),
    (scaled(lambda m, s, e: e / s), "mu is missing"),
    (scaled(lambda m, s, e: e + 0 * m), "these are the prior's cells"),
    (scaled(lambda m, s, e: (m - e) / s), "the starts must rise"),
    (scaled(lambda m, s, e: (e + m) / s), "the sign of mu"),
    (scaled(right_scale, np.rint), "rounded to the nearest"),
    (scaled(right_scale, np.ceil), "rounded up"),
    (lambda mu, s, e, r: ((2**r - 1) * norm.cdf((e - mu[:, None]) / s[:, None])).astype(int), "2^r - 1 digits"),
    (lambda *a: np.diff(by_scipy(*a)), "these are the frequencies"),
    (lambda *a: np.array(by_scipy(*a))[:, 1:-1], "the two ends are missing"),
    (lambda *a: by_scipy(*a)[0], "only the first latent variable"),
    (lambda *a: np.array(by_scipy(*a), float), "type for fractions"),
    (lambda *a: np.transpose(by_scipy(*a)), "transposed"),
)
def test_posterior_tables(answer, words):
    rejects(tutorial.check_posterior_tables, answer, words=words)


def test_a_digit_for_each_cell_and_the_density_are_recognised():
    def each(mu, sigma, edges, r):
        L = len(edges) - 1
        share = norm.cdf((edges - mu[:, None]) / sigma[:, None])
        return np.arange(L + 1) + np.floor((2**r - L) * share).astype(int)

    def density(mu, sigma, edges, r):
        height = norm.pdf((edges[1:] + edges[:-1]) / 2, mu[:, None], sigma[:, None])[:, 1:-1] * np.diff(edges)[1:-1]
        mass = np.pad(height, ((0, 0), (2, 1)))
        return np.floor(2**r * np.cumsum(mass, axis=1)).astype(int)

    rejects(tutorial.check_posterior_tables, each, words="one digit for each cell is set aside")
    rejects(tutorial.check_posterior_tables, density, words="this is the density in the middle")


# ---- 13.7 and 13.8


def writer(q="posterior", p="prior", z_down=False, x_down=False, back_down=False, order="xz", choose=None, lend=True):
    """An encoder with a mistake in it, or with none."""

    def answer(s, x, code):
        pop, push, z = SOLUTIONS["pop"], SOLUTIONS["push"], []
        tables = code.posterior(x) if q == "posterior" else code.prior
        for c in reversed(tables) if z_down else tables:
            k, shorter = pop(s, c)
            s = shorter if lend else s
            z.append(choose(c) if choose else k)
        z = z[::-1] if z_down else z
        pushes = {
            "x": (list(zip(x, code.likelihood(z))), x_down),
            "z": (list(zip(z, code.prior if p == "prior" else code.posterior(x))), back_down),
        }
        for name in order:
            pairs, down = pushes[name]
            for k, c in reversed(pairs) if down else pairs:
                s = push(s, k, c)
        return s, z

    return answer


def reader(z_down=True, x_down=True, back_down=True, back="posterior", turn_x=True, turn_z=True):
    """A decoder with a mistake in it, or with none."""

    def answer(s, code):
        pop, push, z, x = SOLUTIONS["pop"], SOLUTIONS["push"], [], []
        for c in reversed(code.prior) if z_down else code.prior:
            k, s = pop(s, c)
            z.append(k)
        z = z[::-1] if z_down else z
        tables = code.likelihood(z)
        for c in reversed(tables) if x_down else tables:
            k, s = pop(s, c)
            x.append(k)
        x = x[::-1] if x_down and turn_x else x
        if back:
            z = z if turn_z else z[::-1]
            pairs = list(zip(z, code.posterior(x) if back == "posterior" else code.prior))
            for k, c in reversed(pairs) if back_down else pairs:
                s = push(s, k, c)
        return s, x

    return answer


def test_writer_and_reader_are_accepted_and_each_undoes_the_other():
    tutorial.check_push_image(writer())
    tutorial.check_pop_image(reader())
    code, s = bits_back.toy(3, 5), 3**90
    start, images = s, [[1, 0, 1, 1, 0], [0, 0, 0, 0, 0], [1, 1, 1, 0, 1]]
    for x in images:
        s, _ = SOLUTIONS["push_image"](s, x, code)
    for x in reversed(images):
        s, found = SOLUTIONS["pop_image"](s, code)
        assert found == x
    assert s == start


def test_the_message_grows_by_minus_log_w():
    code, s = bits_back.toy(3, 5), 3**200
    for x in itertools.product((0, 1), repeat=5):
        after, z = SOLUTIONS["push_image"](s, x, code)

        def bits(symbols, tables):
            return sum(math.log2(c[-1] / (c[k + 1] - c[k])) for k, c in zip(symbols, tables))

        paid = bits(x, code.likelihood(z)) + bits(z, code.prior) - bits(z, code.posterior(x))
        assert math.log2(after) - math.log2(s) == pytest.approx(paid, abs=1e-9)
        s = after


@cases(
    (writer(q="prior"), "z is popped under the prior"),
    (writer(choose=lambda c: int(np.argmax(np.diff(c))), lend=False), "the likeliest z is taken"),
    (writer(lend=False), "nothing is lent"),
    (writer(p="posterior"), "z is pushed under the posterior"),
    (writer(order="x"), "z is missing in the message"),
    (writer(order="z"), "x is missing in the message"),
    (writer(order="zx"), "z is pushed before x"),
    (writer(z_down=True), "the order in which z is popped"),
    (writer(back_down=True), "the order in which z is pushed"),
    (writer(x_down=True), "the order of the pixels"),
    (lambda *a: writer()(*a)[0], "2 outputs are expected"),
)
def test_push_image(answer, words):
    rejects(tutorial.check_push_image, answer, words=words)


@cases(
    (reader(back=""), "z is not pushed back"),
    (reader(back="prior"), "z is pushed back under the prior"),
    (reader(back_down=False), "the order in which z is pushed back"),
    (reader(False, False, False), "the order of all three steps"),
    (reader(z_down=False), "the order in which z is popped"),
    (reader(x_down=False), "the order in which pixels are popped"),
    (reader(False, False), "the order in which z and x are popped"),
    (reader(False, True, False), "the order of z, popped and pushed"),
    (reader(True, False, False), "the order of the pixels, and of z"),
    (lambda *a: (reader()(*a)[0], reader()(*a)[1][::-1]), "its pixels are in the order in which they were popped"),
    (reader(turn_x=False), "before the posterior sees them"),
    (reader(turn_z=False), "z stays in the order in which it was popped"),
    (lambda *a: reader()(*a)[::-1], "the message comes first"),
)
def test_pop_image(answer, words):
    rejects(tutorial.check_pop_image, answer, words=words)


def test_hints_say_first_the_kind_of_a_mistake_then_where_then_all():
    said = []
    for hint in (1, 2, 3):
        with pytest.raises(tutorial.Wrong) as error:
            tutorial.check_pop_image(reader(back=""), hint=hint)
        said.append(str(error.value))
    assert said[0] == "The message of your decoder: something is missing. (hint=2 says where.)"
    assert said[1].startswith("The message of your decoder: z is not pushed back, the last step is missing.")
    assert "were lent, are lost" in said[2]
