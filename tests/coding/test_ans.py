"""The message: what was pushed comes back, what it costs, and that it returns to its start."""

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tests.coding.models import seeds
from tinyvae.coding import ans
from tinyvae.coding.ans import FAILED, FIRST_STATE, LOWEST, STATE_BITS, Stack, bits, peek, pop, push

N = 10**6


@st.composite
def intervals(draw):
    """A precision, and intervals (start, frequency) below 2^precision, from all of it to a single number."""
    precision = draw(st.integers(1, 31))
    ends = st.lists(st.integers(0, 2**precision), min_size=2, max_size=2, unique=True)
    return precision, [(min(pair), abs(pair[0] - pair[1])) for pair in draw(st.lists(ends, min_size=1, max_size=50))]


@given(intervals(), st.integers(FIRST_STATE, 2**STATE_BITS - 1), seeds)
def test_pop_undoes_push_from_any_state(symbols, state, seed):
    precision, symbols = symbols
    stack = Stack(seed)
    stack.make_room(3, len(symbols))
    stack.head[0] = state
    before = stack.content()
    words = stack.words[:3].copy()
    for start, frequency in symbols:
        push(stack.words, stack.head, start, frequency, precision)
        assert FIRST_STATE <= stack.head[0] < 2**STATE_BITS
    for start, frequency in reversed(symbols):
        assert start <= peek(stack.head, precision) < start + frequency
        pop(stack.words, stack.head, start, frequency, precision)
    assert stack.content().state == before.state == state and np.array_equal(stack.words[:3], words)


@given(intervals(), seeds)
def test_push_undoes_pop_and_any_message_can_be_popped(symbols, seed):
    """Whatever number is on top, a symbol that has it is popped, and pushing it again gives the message back."""
    precision, symbols = symbols
    stack = Stack(seed)
    stack.make_room(len(symbols), 0)
    popped = []
    for start, frequency in symbols:
        u = int(peek(stack.head, precision))
        start = u - (u - start) % frequency if frequency <= u else 0  # moved, so that it has this number
        start = max(0, min(start, 2**precision - frequency))
        assert start <= u < start + frequency
        popped.append((start, frequency))
        pop(stack.words, stack.head, start, frequency, precision)
    for start, frequency in reversed(popped):
        push(stack.words, stack.head, start, frequency, precision)
    assert stack.is_at_start()


def test_a_million_symbols_cost_what_they_are_worth():
    """Within 0.001 % of sum log2 (M / f), here with 2^16 numbers and frequencies from 1 to nearly all."""
    random = np.random.default_rng(0)
    frequencies = np.minimum(2**16 - 1, np.exp2(random.uniform(0, 16, N)).astype(np.int64))
    stack = Stack(0)
    stack.make_room(0, N)
    _push_all(stack, np.zeros(N, np.int64), frequencies, 16)
    wanted = np.sum(16 - np.log2(frequencies))
    assert abs(float(bits(stack.head)) - stack.initial_bits - wanted) < 1e-5 * wanted


def _push_all(stack, starts, frequencies, precision):
    for start, frequency in zip(starts, frequencies):
        push(stack.words, stack.head, start, frequency, precision)


def test_initial_bits_are_counted_as_they_are_used_and_the_same_at_every_time():
    first, second, other = Stack(3), Stack(3), Stack(4)
    first.make_room(100, 0)
    for stack in (second, other):
        for _ in range(10):
            stack.make_room(1 + int(stack.head[1]), 0)  # one after the other, at the bottom
    assert np.array_equal(first.words[90:100], second.words[:10]) and second.initial == 10
    assert not np.array_equal(second.words[:10], other.words[:10])
    assert first.initial_bits == 31 and first.is_at_start() and len(first.content().words) == 0
    for _ in range(4):
        pop(first.words, first.head, peek(first.head, 31), 1, 31)
    assert first.initial_bits == 31 + 4 * 32 and not first.is_at_start()
    assert first.unused == 96 and first.initial == 100


def test_to_pop_more_than_there_is_fails_for_good():
    stack = Stack.holding(0, ans.Message(FIRST_STATE, np.empty(0, np.uint32)))
    stack.make_room(0, 9)
    u = peek(stack.head, 8)
    pop(stack.words, stack.head, u, 1, 8)
    assert stack.head[LOWEST] == FAILED
    push(stack.words, stack.head, u, 1, 8)
    assert stack.head[LOWEST] == FAILED and not stack.is_at_start()


def test_the_length_of_a_message():
    stack = Stack(0)
    assert math.isclose(bits(stack.head), 31)
    stack.make_room(2, 0)
    assert math.isclose(bits(stack.head), 31 + 64)
