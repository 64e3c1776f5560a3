"""Small random problems for the gradient checker: one for each pair of functions of the derivation, and whole models.

Each function of ``networks``, ``densities`` and ``models`` takes a ``numpy.random.Generator`` and the shapes, so that
property tests can choose them.
"""

import numpy as np

from tinyvae.checks.finite_differences import Problem, check
from tinyvae.checks.random_problems import densities, models, networks


def all_problems(seed: int = 0) -> list[Problem]:
    """One problem for each pair and each entry of a registry, and models of one to three layers with all of these."""
    rng = np.random.default_rng(seed)
    return [problem for room in (networks, densities, models) for problem in room.problems(rng)]


def check_all(seed: int = 0, about: str = "") -> list[tuple[Problem, float]]:
    """Check every pair of the derivation and some whole models on small random problems.

    Args:
        seed: of the problems.
        about: only those with this word in their names.

    Returns: a list of (Problem, its largest relative error).
    """
    return [(p, max(check(p, seed).values())) for p in all_problems(seed) if about in p.name]
