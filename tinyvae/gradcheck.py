"""Check hand-written derivatives against finite differences.

A pair of functions, forward(inputs) -> outputs, cache and backward(derivatives by outputs, cache) -> derivatives by
inputs, is right if for random derivatives u by the outputs the backward pass returns the gradient of

    f(inputs) = sum u * outputs

which central differences measure to about ten digits in float64: (f(x + h) - f(x - h)) / 2h with h = 1e-5.

What this cannot see: a wrong forward pass whose derivative is right. ``eps * exp(logvar)`` in the place of
``eps * exp(logvar / 2)`` passes. The densities have oracles of their own in the tests.

examples:
  python -m tinyvae.gradcheck                 check every pair of the derivation and whole models, print a table
  python -m tinyvae.gradcheck --seed 7        the same on other random numbers
  python -m tinyvae.gradcheck --json          the table as JSON
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from tinyvae.cli import console
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


def check_all(seed: int = 0) -> list[tuple[Problem, float]]:
    """Check every pair of the derivation and some whole models on small random problems.

    Returns: a list of (Problem, its largest relative error).
    """
    from tinyvae.checks.random_problems import all_problems

    return [(problem, max(check(problem, seed).values())) for problem in all_problems(seed)]


def main(argv: Sequence[str] | None = None) -> int:
    """Print the table; exit status 1 if an error is over the tolerance."""
    description, *_, examples = __doc__.split("\n\n")
    parser = console.Parser(prog="python -m tinyvae.gradcheck", description=description, epilog=examples)
    parser.add_argument("--seed", type=console.seed, default=0, metavar="S", help="of the random problems [0]")
    parser.add_argument("--json", action="store_true", help="print JSON")
    arguments = parser.parse_args(argv)
    console.announce_compilation()
    results = check_all(arguments.seed)
    if arguments.json:
        rows = [{"what": p.name, "shapes": p.shapes, "error": error, "ok": error < TOLERANCE} for p, error in results]
        print(json.dumps(rows, indent=2))
    else:
        print(f"{'what':58s} {'relative error':>14s}  verdict  inputs")
        for problem, error in results:
            print(f"{problem.name:58s} {error:14.1e}  {'ok' if error < TOLERANCE else 'WRONG':7s}  {problem.shapes}")
        wrong = sum(error >= TOLERANCE for _, error in results)
        print(f"{len(results)} checked, {wrong} wrong (relative error of {TOLERANCE:.0e} or more)")
    return int(any(error >= TOLERANCE for _, error in results))


if __name__ == "__main__":
    console.run(main)
