"""Compare trained models by log p(x) of the same test images, as the evaluate command has estimated it.

examples:
  python -m tinyvae.compare runs/vae runs/iwae                        by how much the second is better
  python -m tinyvae.compare runs/vae runs/iwae runs/two-layers        every two of them
  python -m tinyvae.compare runs/vae runs/iwae --json
"""

import itertools
import json
import math
import os
import shlex

from tinyvae.cli import console
from tinyvae.errors import RunError, UserError
from tinyvae.evaluate import FILE


def main(argv=None):
    """Say of every two of the runs what the second has more than the first, on average, and its standard error."""
    arguments = parse(argv)
    evaluations = [read(path) for path in arguments.runs]
    pairs = [compare(*two) for two in itertools.combinations(evaluations, 2)]
    print(json.dumps(pairs, indent=2) if arguments.json else report(evaluations, pairs))
    return 0


def parse(argv):
    """The arguments."""
    parser = console.Parser("python -m tinyvae.compare", __doc__)
    parser.add_argument("runs", type=console.path, nargs="+", metavar="RUN", help="the folders of two runs, or more")
    parser.add_argument("--json", action="store_true", help="print numbers instead of words")
    arguments = parser.parse_args(argv)
    if len(arguments.runs) < 2:
        parser.error("two runs are needed, at least, to compare")
    return arguments


def read(path):
    """What a run was evaluated to, and what that depends on.

    Raises: RunError where there is no evaluation of the run as it is, with a number for each image.
    """
    import numpy as np

    from tinyvae.disk.run import Run
    from tinyvae.training import opening

    run, cure = Run.open(path), f"Evaluate it first: python -m tinyvae.evaluate {shlex.quote(str(path))}"
    settings, about, _ = opening.read_config(run)
    found = run.read_json(FILE) if os.path.exists(run.path / FILE) else {}
    each, samples = found.get("each"), found.get("samples")
    is_whole = isinstance(each, list) and each and all(value is None or is_finite(value) for value in each)
    if not (is_whole and is_count(samples)):
        raise RunError(f"{path}: it has no log p(x) of each image\n{cure} --overwrite")
    if found.get("run") != run.name:
        raise RunError(f"{path}: its {FILE} is of another run\n{cure}")
    now = progress(run)
    then = {name: found.get(name) for name in now}
    if then != now:
        words = [[f"{name.removesuffix('s')} {reached}" for name, reached in state.items()] for state in (then, now)]
        states = list(map(", ".join, words))
        raise RunError(f"{path}: its {FILE} is of {states[0]}, and the run is at {states[1]}\n{cure}")
    if lost := each.count(None):
        raise RunError(
            f"{path}: log p(x) of {lost:,} of its {len(each):,} test examples is not finite, so that no mean is\n"
            "Look for a value that lies far out, rescale the data, or train with --dtype float64."
        )
    drawn = settings.binarise != "none", settings.dequantise
    return {
        "run": str(path),
        "protocol": found.get("protocol"),
        "each": np.array(each),
        "samples": samples,
        "digests": {"test examples": found.get("test_digest"), "data": about["digest"]},
        "same": {
            "quantity": found.get("quantity"),
            "unit": found.get("unit"),
            "pixels that are drawn": drawn,
        },
    }


def progress(run):
    """How far a run has come, by the names in an evaluation; without a checkpoint, by the rows of its history."""
    from tinyvae.disk.run import HISTORY

    if run.has_checkpoint():
        state = run.load_checkpoint()[1]
        return {"epochs": state.get("epoch"), "step": state.get("step")}
    return {"epochs": len(run.history())} if os.path.exists(run.path / HISTORY) else {}


def is_count(value):
    """Whether it is a whole number that samples may have been."""
    return type(value) is int and 0 < value <= console.LARGEST


def is_finite(value):
    """Whether it is a number that a log p(x) may be."""
    return isinstance(value, float) and math.isfinite(value)


def compare(first, second):
    """The paired difference of two evaluations, over the images that both have.

    Raises: UserError for evaluations of other test examples, or by other numbers of samples.
    """
    from tinyvae.training.evaluation import paired

    digests = [evaluation["digests"] for evaluation in (first, second)]
    # what an evaluation does not say of its test examples, as those in results/runs, the data tell
    known = "test examples" if all(each["test examples"] for each in digests) else "data"
    different = [known] if digests[0][known] != digests[1][known] else []
    different += [name for name, value in first["same"].items() if value != second["same"][name]]
    if different:
        raise UserError(
            f"{first['run']} and {second['run']} cannot be compared: they differ in {' and '.join(different)}\n"
            "Compare models of the same test examples, drawn in the same way."
        )
    fewer, more = sorted((first, second), key=lambda evaluation: evaluation["samples"])
    if fewer["samples"] < more["samples"]:
        images = max(len(first["each"]), len(second["each"]))  # so that what is there is replaced
        raise UserError(
            f"{first['run']} and {second['run']} cannot be compared: log p(x) is by {first['samples']:,} samples in "
            f"the one and {second['samples']:,} in the other, and fewer understate it by more\n"
            f"Evaluate with as many: python -m tinyvae.evaluate {shlex.quote(fewer['run'])} "
            f"--samples {more['samples']} --limit {images}"
        )
    n = min(len(first["each"]), len(second["each"]))
    difference, error = paired(first["each"][:n], second["each"][:n])
    return {
        "first": first["run"],
        "second": second["run"],
        "difference": difference,
        "standard_error": error if n > 1 else None,
        "n_images": n,
        "protocols": [first["protocol"], second["protocol"]],
        "samples": [first["samples"], second["samples"]],
        "unit": first["same"]["unit"],
        "better_in": float((second["each"][:n] > first["each"][:n]).mean()),
    }


def report(evaluations, pairs):
    """How each run came about, and the comparisons, in words."""
    protocols = [
        f"{each['run']}\n{console.paragraph('protocol', str(each['protocol'] or 'not known'))}" for each in evaluations
    ]
    return "\n".join([*map(line, pairs), *protocols])


def line(pair):
    """A comparison in words."""
    difference = round(pair["difference"], 2) + 0.0  # nothing is written +0.00, and not -0.00
    error = "" if pair["standard_error"] is None else f" ± {pair['standard_error']:.2f}"
    return (
        f"{pair['second']}: {difference:+.2f}{error} {pair['unit']} against {pair['first']}, more in "
        f"{100 * pair['better_in']:.0f} % of {pair['n_images']:,} (one standard error of the paired difference; by "
        f"{pair['samples'][0]:,} samples each)"
    )


if __name__ == "__main__":
    console.run(main)
