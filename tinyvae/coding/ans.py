"""Asymmetric numeral systems: a message as one large number, which symbols are pushed onto and popped from.

Take a number s for a message, and a symbol of the probability f / M, one of M numbers 0 ... M - 1 of which the f from c
on are its own. Then

    push:   s' = M (s div f) + c + (s mod f)          pop:   u = s' mod M, whose symbol is the one with c <= u < c + f,
                                                             s = f (s' div M) + u - c

are each other's inverse, and s' is nearly s M / f: the message has grown by log2 (M / f) bits, which is what the symbol
is worth (Duda 2009, range ANS). A message is a stack: what was pushed last is popped first. And any number is a
message: symbols may be popped that nobody has pushed. They are a sample of their distribution, and pushing them again
gives the number back: that is how bits-back draws.

So that no large number is needed, the message is a list of 32-bit words below a state of 31 to 63 bits: before a push
that would make the state larger a word moves to the list, after a pop that has made it smaller one comes back. (A state
of 64 bits would be no integer with a sign, and those all compilers and interpreters treat alike.)

The head of a message is an array of three: its state, the number of its words, and the least number that there was.
"""

from typing import NamedTuple

import numpy as np

from tinyvae import machine
from tinyvae.coding.elementary import exact, log
from tinyvae.machine.noise import Stream

STATE, LENGTH, LOWEST = range(3)  # of a head
FAILED = -1  # in the place of the lowest length: more was popped than there was, or what has no probability pushed
WORD_BITS, STATE_BITS = 32, 63
FIRST_STATE = 1 << (STATE_BITS - WORD_BITS)  # the smallest
WORD = (1 << WORD_BITS) - 1
LN2 = float(np.log(2))


@exact
def push(words, head, start, frequency, precision):
    """Push a symbol of which ``frequency`` numbers from ``start`` on are its own, of 2^precision, precision <= 31.

    There must be room for a word.
    """
    state = head[STATE]
    if (state >> (STATE_BITS - precision)) >= frequency:
        words[head[LENGTH]] = state & WORD
        head[LENGTH] += 1
        state >>= WORD_BITS
    head[STATE] = ((state // frequency) << precision) + state % frequency + start


@exact
def peek(head, precision):
    """The number below 2^precision that tells the uppermost symbol."""
    return head[STATE] & ((1 << precision) - 1)


@exact
def pop(words, head, start, frequency, precision):
    """Take off the uppermost symbol, which ``peek`` has told: the inverse of ``push``."""
    state = frequency * (head[STATE] >> precision) + peek(head, precision) - start
    if state < FIRST_STATE:
        word = 0
        if head[LENGTH] > 0:
            head[LENGTH] -= 1
            word = np.int64(words[head[LENGTH]])
            head[LOWEST] = min(head[LOWEST], head[LENGTH])
        else:
            head[LOWEST] = FAILED
        state = (state << WORD_BITS) + word
    head[STATE] = state


@exact
def bits(head):
    """The length of the message."""
    return WORD_BITS * head[LENGTH] + log(np.float64(head[STATE])) / LN2


class Message(NamedTuple):
    """The ``state`` of a message, and its ``words`` (n,) uint32."""

    state: int
    words: np.ndarray


class Stack:
    """A message that begins with random bits, as many as are asked for; which ones, its number says.

    Attributes:
        words: (capacity,) uint32.
        head: (3,) int64, its state, the number of words in use, and the least that there were.
        initial: how many of the words at the bottom are initial bits that lay there from the beginning.
    """

    def __init__(self, number: int):
        self.number, self.initial = number, 0
        self.words = np.empty(0, np.uint32)
        self.head = np.array([FIRST_STATE, 0, 0], np.int64)

    @classmethod
    def holding(cls, number: int, message: Message) -> "Stack":
        """A stack with the ``content`` of another, to be popped from."""
        stack = cls(number)
        stack.words, stack.head = message.words, np.array([message.state, *[len(message.words)] * 2], np.int64)
        return stack

    def make_room(self, below: int, above: int) -> None:
        """Let so many words be popped, by more initial bits at the bottom, and so many be pushed."""
        more, length = max(0, below - int(self.head[LENGTH])), int(self.head[LENGTH])
        if more or length + above > len(self.words):
            kept = [self._initial(self.initial, self.initial + more), self.words[:length]]
            room = np.empty(above + length // 2, np.uint32)  # half as much again: few copies, however long it grows
            self.words = np.concatenate([*kept, room])
            self.head[[LENGTH, LOWEST]] += more
            self.initial += more

    def content(self) -> Message:
        """The message, without the initial bits that were never used."""
        return Message(int(self.head[STATE]), self.words[self.unused : self.head[LENGTH]].copy())

    @property
    def unused(self) -> int:
        """How many of the words at the bottom were never popped."""
        return int(self.head[LOWEST])

    @property
    def initial_bits(self) -> float:
        """How many initial bits were popped, with those of the first state."""
        return WORD_BITS * (self.initial - self.unused) + float(np.log2(FIRST_STATE))

    def is_at_start(self) -> bool:
        """Whether nothing is left but initial bits: whether a decoder has undone all that an encoder did."""
        length = int(self.head[LENGTH])
        if self.head[LOWEST] == FAILED or self.head[STATE] != FIRST_STATE:
            return False
        return np.array_equal(self.words[:length], self._initial(0, length))

    def _initial(self, first: int, last: int) -> np.ndarray:
        """The initial words from the first to before the last, as counted from the top down, the last at the bottom."""
        words = np.empty((1, last), np.uint32)
        machine.random_words(words, (0, 0, int(Stream.INITIAL_BITS), 0, self.number, 0))
        return words[0, first:last][::-1]
