"""The checks of notebook 9: what a product costs, and a kernel that goes through memory once."""

import numpy as np

from tinyvae.tutorial.answers import Unsolved, Wrong, called, compare
from tinyvae.tutorial.exercises import exercise


@exercise("9.1")
def check_cost_of_product(answer):
    """Exercise 9.1: what (R, I) times (I, J) costs, (R, I, J, itemsize) -> operations, bytes."""

    def cost(R, I, J, itemsize, operations=2, arrays=(1, 1, 1)):
        numbers = np.dot(arrays, (R * I, I * J, R * J))
        return operations * R * I * J, itemsize * numbers

    def but(**changes):
        return lambda *arguments: cost(*arguments, **changes)

    mistakes = [
        (
            lambda R, I, J, itemsize: (R * J * (2 * I - 1), itemsize * (R * I + I * J + R * J)),
            "I - 1 additions for a sum of I products is exact. The usual count lets the sum begin at 0, and has I"
            " of them: 2 I operations for each entry.",
        ),
        (but(operations=1), "a multiplication is counted, and the addition that goes with it is not."),
        (but(arrays=(1, 1, 0)), "the result has to be written too."),
        (but(arrays=(1, 0, 1)), "the factor (I, J) has to be read too."),
        (but(arrays=(0, 1, 1)), "the factor (R, I) has to be read too."),
        (lambda R, I, J, itemsize: cost(R, I, J, 1), "these are numbers, not bytes: each has itemsize of them."),
        (lambda R, I, J, itemsize: cost(R, I, J, 8 * itemsize), "these are bits: itemsize is in bytes already."),
        (
            lambda R, I, J, itemsize: (2 * R * I * J, 3 * itemsize * R * I * J),
            "every number is fetched anew for each multiplication. The question is what is needed at least: each array"
            " once.",
        ),
    ]
    cases = {"float32": (100, 784, 500, 4), "float64": (100, 784, 500, 8), "one row": (1, 20, 30, 4)}
    compare("your cost of a product", answer, cost, cases, mistakes, outputs=("the operations", "the bytes"))


@exercise("9.2")
def check_fused_layer(answer):
    """Exercise 9.2: a compiled (a (R, J), b (J,), out (R, J)) that writes tanh(a + b) into out."""
    if answer is ...:
        raise Unsolved
    if not hasattr(answer, "py_func"):
        raise Wrong("Your kernel: it is not compiled. Is @njit above it, or has it lost it?")

    def written(a, b):
        out = np.full_like(a, np.nan)
        called("your kernel", answer, a, b, out)
        if out.size and np.isnan(out).all():
            raise Wrong("Your kernel: nothing is written into out. Assign to its entries, out[n, j] = ...")
        if np.isnan(out).any():
            raise Wrong(
                f"Your kernel: {np.isnan(out).sum()} of {out.size} entries of out are never written: do the loops run"
                " over all rows and all columns?"
            )
        return out

    mistakes = [
        (lambda a, b: np.tanh(a), "the bias is missing."),
        (lambda a, b: a + b, "the tanh is missing."),
        (lambda a, b: np.tanh(a) + b, "the bias belongs inside of the tanh."),
        (lambda a, b: np.tanh(a + b[: len(a), None]), "b is indexed by the row: entry b[j] belongs to column j."),
        (lambda a, b: np.tanh(a - b), "the bias is subtracted."),
        (lambda a, b: 1 - np.tanh(a + b) ** 2, "this is the derivative of tanh."),
    ]
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((3, 5)), rng.standard_normal(5)
    doubles = {"float64": (a, b), "one row": (a[:1], b), "no row": (a[:0], b)}
    doubles["sums of a thousand"] = 1000 * np.sign(a), b
    compare("your kernel in float64", written, lambda a, b: np.tanh(a + b), doubles, mistakes)
    singles = {"float32": (a.astype(np.float32), b.astype(np.float32))}
    if any("NRT_MemInfo_alloc" in code for code in answer.inspect_llvm().values()):
        raise Wrong(
            "Your kernel: it makes an array of its own, which is written and read once more. Add, and take the tanh,"
            " entry by entry in one loop."
        )
    compare("your kernel in float32", written, lambda a, b: np.tanh(a + b), singles, mistakes, rtol=1e-5)
