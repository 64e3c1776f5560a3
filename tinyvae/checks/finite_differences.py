"""Check hand-written derivatives against finite differences.

A pair of functions, forward(inputs) -> outputs, cache and backward(derivatives by outputs, cache) -> derivatives by
inputs, is right if for random derivatives u by the outputs the backward pass returns the gradient of

    f(inputs) = sum u * outputs

which central differences measure to about ten digits in float64: (f(x + h) - f(x - h)) / 2h with h = 1e-5.

What this cannot see: a wrong forward pass whose derivative is right. ``eps * exp(logvar)`` in the place of
``eps * exp(logvar / 2)`` passes. The densities have oracles of their own in the tests.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from tinyvae.types import Array, Cache

STEP = 1e-5
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
    """

    name: str
    inputs: Mapping[str, Array]
    forward: Callable[..., tuple[Array | tuple[Array, ...], Cache]]
    backward: Callable[..., dict[str, Array]]

    @property
    def shapes(self) -> str:
        """The shapes of the inputs, in words."""
        return ", ".join(f"{name} {'x'.join(map(str, array.shape))}" for name, array in self.inputs.items())


def numerical_gradient(f: Callable[[], float], x: Array, step: float = STEP) -> Array:
    """(f() with x_i + h, minus f() with x_i - h) / 2h for every entry of x.

    Args:
        f: function without arguments that reads the array x and returns a number.
        x: float64 array, changed entry by entry and restored.
        step: h.

    Returns: array of the shape of x.
    """
    gradient = np.empty_like(x)
    for i in np.ndindex(x.shape):
        kept = x[i]
        x[i] = kept + step
        above = f()
        x[i] = kept - step
        below = f()
        x[i] = kept
        gradient[i] = (above - below) / (2 * step)
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
    rng = np.random.default_rng(seed)
    outputs, cache = problem.forward(**problem.inputs)
    upstream = [rng.standard_normal(output.shape) for output in as_tuple(outputs)]
    gradients = problem.backward(*upstream, cache)

    def f() -> float:
        outputs, _ = problem.forward(**problem.inputs)
        return sum(np.sum(u * output) for u, output in zip(upstream, as_tuple(outputs), strict=True))

    return {name: relative_error(gradients[name], numerical_gradient(f, x)) for name, x in problem.inputs.items()}


def as_tuple(outputs: Array | tuple[Array, ...]) -> tuple[Array, ...]:
    """Outputs as a tuple, also where there is only one."""
    return outputs if isinstance(outputs, tuple) else (outputs,)
