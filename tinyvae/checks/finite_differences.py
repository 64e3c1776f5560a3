"""Check hand-written derivatives against finite differences.

A pair of functions, forward(inputs) -> outputs, cache and backward(derivatives by outputs, cache) -> derivatives by
inputs, is right if for random derivatives u by the outputs the backward pass returns the gradient of

    f(inputs) = sum u * outputs

which central differences measure to about ten digits in float64: (f(x + h) - f(x - h)) / 2h with h = 1e-5. Where f has
kinks, as a rectifier gives it, one of them may be less than h away: it shows in that half the step finds another slope,
and then the step is made smaller until it ends before the kink.

What this cannot see: a wrong forward pass whose derivative is right. ``eps * exp(logvar)`` in the place of
``eps * exp(logvar / 2)`` passes. The densities have oracles of their own in the tests.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from tinyvae.types import Array, Cache

STEP = 1e-5
SMALLEST_STEP = 1e-8  # towards a kink
SAME_SLOPE = 1e-7  # of two steps, relative to the larger of the slope and 1
TOLERANCE = 1e-6
SMALLEST_SCALE = 1e-3  # errors are relative to the gradient's largest entry, or to this where all are smaller


@dataclass(frozen=True)
class Problem:
    """A pair of functions with random inputs.

    Attributes:
        name: what is checked.
        inputs: {name: float64 array}, the arguments to differentiate by.
        forward: inputs by name -> (outputs, cache); outputs is an array or a tuple of arrays.
        backward: (derivative by each output ..., cache) -> {name: derivative by that input}.
        has_kinks: whether the derivative jumps at places that nobody meets by chance.
    """

    name: str
    inputs: Mapping[str, Array]
    forward: Callable[..., tuple[Array | tuple[Array, ...], Cache]]
    backward: Callable[..., dict[str, Array]]
    has_kinks: bool = False

    @property
    def shapes(self) -> str:
        """The shapes of the inputs, in words."""
        return ", ".join(f"{name} {'x'.join(map(str, array.shape))}" for name, array in self.inputs.items())


def numerical_gradient(f: Callable[[], float], x: Array, step: float = STEP, has_kinks: bool = False) -> Array:
    """(f() with x_i + h, minus f() with x_i - h) / 2h for every entry of x.

    Args:
        f: function without arguments that reads the array x and returns a number.
        x: float64 array, changed entry by entry and restored.
        step: h.
        has_kinks: whether to look for kinks, which takes twice the time.

    Returns: array of the shape of x.
    """

    def slope(i: tuple[int, ...], h: float) -> float:
        kept = x[i]
        x[i] = kept + h
        above = f()
        x[i] = kept - h
        below = f()
        x[i] = kept
        return (above - below) / (2 * h)

    gradient = np.empty_like(x)
    for i in np.ndindex(x.shape):
        h, gradient[i] = step, slope(i, step)
        while has_kinks and h > SMALLEST_STEP:
            h, before = h / 2, gradient[i]
            gradient[i] = slope(i, h)
            if abs(gradient[i] - before) <= SAME_SLOPE * max(1, abs(before)):
                break
    return gradient


def relative_error(gradient: Array, reference: Array) -> float:
    """The largest difference of two arrays over the largest entry of the second; infinite for NaN or unlike shapes."""
    if np.shape(gradient) != np.shape(reference):
        return np.inf
    error = np.max(np.abs(gradient - reference)) / max(np.max(np.abs(reference)), SMALLEST_SCALE)
    return float(error) if np.isfinite(error) else np.inf


def check(problem: Problem, seed: int = 0) -> dict[str, float]:
    """Compare a problem's backward pass with finite differences, under random derivatives by its outputs.

    Args:
        problem: Problem.
        seed: of the random derivatives.

    Returns: {input's name: relative error}.
    """
    rng = np.random.default_rng([seed, 1])  # other numbers than those that the problem's inputs begin with
    outputs, cache = problem.forward(**problem.inputs)
    upstream = [rng.standard_normal(output.shape) for output in as_tuple(outputs)]
    gradients = problem.backward(*upstream, cache)

    def f() -> float:
        outputs, _ = problem.forward(**problem.inputs)
        return sum(np.sum(u * output) for u, output in zip(upstream, as_tuple(outputs), strict=True))

    return {
        name: relative_error(gradients[name], numerical_gradient(f, x, has_kinks=problem.has_kinks))
        for name, x in problem.inputs.items()
    }


def as_tuple(outputs: Array | tuple[Array, ...]) -> tuple[Array, ...]:
    """Outputs as a tuple, also where there is only one."""
    return outputs if isinstance(outputs, tuple) else (outputs,)
