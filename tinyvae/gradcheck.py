"""Check hand-written derivatives against finite differences.

examples:
  python -m tinyvae.gradcheck                 check every pair of the derivation and whole models, print a table
  python -m tinyvae.gradcheck --seed 7        the same on other random numbers
  python -m tinyvae.gradcheck --json          the table as JSON
"""

import json
from collections.abc import Sequence

from tinyvae.cli import console


def main(argv: Sequence[str] | None = None) -> int:
    """Print the table; exit status 1 if an error is over the tolerance."""
    parser = console.Parser("python -m tinyvae.gradcheck", __doc__)
    parser.add_argument("--seed", type=console.seed, default=0, metavar="S", help="of the random problems [0]")
    parser.add_argument("--json", action="store_true", help="print JSON")
    arguments = parser.parse_args(argv)
    from tinyvae.checks.finite_differences import TOLERANCE
    from tinyvae.checks.random_problems import check_all
    from tinyvae.disk.run import plain

    console.announce_compilation()
    results = check_all(arguments.seed)
    if arguments.json:
        rows = [{"what": p.name, "shapes": p.shapes, "error": error, "ok": error < TOLERANCE} for p, error in results]
        print(json.dumps(plain(rows), indent=2))
    else:
        print(f"{'what':58s} {'relative error':>14s}  verdict  inputs")
        for problem, error in results:
            print(f"{problem.name:58s} {error:14.1e}  {'ok' if error < TOLERANCE else 'WRONG':7s}  {problem.shapes}")
        wrong = sum(not error < TOLERANCE for _, error in results)
        print(f"{len(results)} checked, {wrong} wrong (relative error of {TOLERANCE:.0e} or more)")
    return int(any(not error < TOLERANCE for _, error in results))


if __name__ == "__main__":
    console.run(main)
