"""Training steps of tinyvae, JAX and PyTorch in turn on the same cores: examples a second, and their ratios.

examples:
  python -m benchmarks.compare                                     everything, 7 rounds
  python -m benchmarks.compare --workloads vae iwae-k5 --rounds 3
  python -m benchmarks.compare --skip torch
"""

import importlib.util
import tempfile
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from benchmarks import record
from benchmarks.protocol import Remote
from tinyvae.cli import console
from tinyvae.data import datasets
from tinyvae.errors import UserError
from tinyvae.machine import noise
from tinyvae.machine.noise import Stream
from tinyvae.training.loop import Training
from tinyvae.training.workloads import WORKLOADS, data_of, require_minibatch

OTHERS = ("jax", "torch")
# float32 sums in another order: the largest relative differences from tinyvae's that are let pass.
TOLERANCES = {"bound": 1e-5, "gradient_norm": 1e-4}


def main(argv=None):
    """Measure each workload, print it, and add it to the file of results."""
    arguments = parse(argv)
    record.read(arguments.out, arguments.overwrite)  # before the work
    print(record.describe(record.machine()))
    frameworks = ["tinyvae", *(name for name in OTHERS if name not in arguments.skip)]
    for name in arguments.workloads:
        result = measure(name, frameworks, arguments.dataset, arguments.rounds, arguments.seconds)
        print(report(name, result), flush=True)
        record.store(arguments.out, "workloads", {name: result | record.origin("benchmarks.compare", argv)})
    return 0


def parse(argv):
    """The arguments; UserError if a framework that is not to be skipped is not installed."""
    parser = console.Parser("python -m benchmarks.compare", __doc__)
    parser.add_argument("--skip", nargs="+", choices=OTHERS, default=[], metavar="NAME", help="leave out jax or torch")
    add_common_options(parser)
    arguments = parser.parse_args(argv)
    missing = [name for name in OTHERS if name not in arguments.skip and not importlib.util.find_spec(name)]
    if missing:
        raise UserError(
            f'not installed: {", ".join(missing)}. Use pip install -e ".[bench]", or leave out what is missing: '
            f"--skip {' '.join(missing)}"
        )
    return arguments


def add_common_options(parser):
    """The options that compare and cliff share."""
    parser.add_argument(
        "--workloads", nargs="+", choices=WORKLOADS, default=list(WORKLOADS), metavar="NAME",
        help=f"of {', '.join(WORKLOADS)} [all]",
    )  # fmt: skip
    parser.add_argument("--rounds", type=console.positive, default=7, metavar="n", help="[7]")
    parser.add_argument("--seconds", type=console.rate, default=1.5, metavar="s", help="of each window [1.5]")
    parser.add_argument("--dataset", default="mnist", metavar="DATA", help="as for tinyvae.train; uint8 images [mnist]")
    parser.add_argument("--out", type=Path, default=Path("results/bench.json"), metavar="FILE", help="[%(default)s]")
    parser.add_argument("--overwrite", action="store_true", help="replace a file with what another machine measured")


def images_of(workload, dataset):
    """The Dataset of a workload, for all frameworks; UserError if it has no bytes, or less than a minibatch of them.

    Args: as for ``measure``.
    """
    data = data_of(workload, datasets.load(dataset))
    if data.train.dtype != np.uint8:
        raise UserError(f"{data.name} has {data.train.dtype}, and all are to be given bytes: name a --dataset of uint8")
    require_minibatch(workload, data)
    return data


def measure(workload, frameworks, dataset, rounds, seconds):
    """Check that the frameworks compute the same, then let each train for a window in every round.

    Args:
        workload: name in ``WORKLOADS``.
        frameworks: "tinyvae" and any of ``OTHERS``.
        dataset: as for ``datasets.load``.
        rounds, seconds: how many windows for each, and their length.

    Returns: dict of the summaries of ``examples_per_second`` and, of tinyvae's to the others', ``ratios``; the
    ``bound`` over each framework's last window; the ``threads`` of those that tell; ``sgemm_gflops``; ``agreement``, as
    ``check`` returns it; ``rounds`` and ``seconds``.
    """
    images = images_of(workload, dataset)
    with ExitStack() as stack:
        remotes = {name: stack.enter_context(Remote(name, workload, dataset)) for name in frameworks}
        agreement = check(remotes, WORKLOADS[workload], images)
        warmed = {name: remote.ask("warm") for name, remote in remotes.items()}
        rates, bound, gflops = {name: [] for name in (*remotes, "sgemm")}, {}, []
        for _ in range(rounds):
            for name, remote in remotes.items():
                answer = remote.ask("window", seconds=seconds)
                rates[name].append(answer["examples_per_second"])
                bound[name] = answer["bound"]
            answer = remotes["tinyvae"].ask("sgemm", seconds=seconds)
            rates["sgemm"].append(answer["examples_per_second"])
            gflops.append(answer["gflops"])
    return {
        "examples_per_second": {name: record.summary(values) for name, values in rates.items()},
        "ratios": record.ratios(rates),
        "bound": bound,
        "threads": {name: answer["threads"] for name, answer in warmed.items() if "threads" in answer},
        "sgemm_gflops": record.summary(gflops),
        "agreement": agreement,
        "rounds": rounds,
        "seconds": seconds,
    }


def check(remotes, settings, dataset):
    """Give the same parameters, images and noise to all, and compare what they make of them.

    Args:
        remotes: {framework: Remote}, with tinyvae's.
        settings: of the workload.
        dataset: datasets.Dataset.

    Returns: {framework: {"bound": largest relative difference from tinyvae's, "gradient_norm": likewise}}.

    Raises: UserError if a difference is above that of ``TOLERANCES``.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "problem.npz"
        np.savez(path, **problem(settings, dataset))
        answers = {name: remote.ask("bound", file=str(path)) for name, remote in remotes.items()}
    expected, differences = answers.pop("tinyvae"), {}
    for name, answer in answers.items():
        differences[name] = {key: relative_difference(answer[key], expected[key]) for key in TOLERANCES}
        for key, tolerance in TOLERANCES.items():
            if not differences[name][key] <= tolerance:
                raise UserError(
                    f"{name} computes another {key} than tinyvae: the relative difference is "
                    f"{differences[name][key]:.1e}, and {tolerance:.0e} is allowed"
                )
    return differences


def problem(settings, dataset):
    """The arrays that protocol.py wants for ``bound``: parameters whose biases are not zero, a minibatch, its noise.

    Args: as for ``check``.
    """
    params = Training(settings, dataset, threads=1).params
    K, batch, seed = settings.samples, settings.batch_size, settings.seed
    params.flat += 0.01 * noise.normal((1, 1, params.flat.size), seed, Stream.PARAMETERS, 1000)[0, 0]
    x = datasets.to_float(dataset.train[:batch])
    if settings.binarise == "dynamic":
        x = noise.bernoulli(x, seed, Stream.BINARISATION)
    return {**params, "x": x, "noise": noise.normal((batch, K, settings.latent[0]), seed, Stream.TRAINING)}


def relative_difference(value, expected):
    """The largest over all entries; NaN if there is one."""
    value, expected = np.atleast_1d(value), np.atleast_1d(expected)
    return float(np.max(np.abs(value - expected) / np.abs(expected)))


def report(workload, result):
    """A result of ``measure`` in words, a line for each framework and each ratio."""
    rates, threads = result["examples_per_second"], result["threads"]
    lines = [f"{workload}: examples a second, median of {result['rounds']} windows of {result['seconds']:g} s (range)"]
    for name, rate in rates.items():
        notes = [f"bound {result['bound'][name]:.1f} nats"] if name in result["bound"] else []
        notes += [f"threads: {threads[name]}"] if name in threads else []
        notes += [f"{result['sgemm_gflops']['median']:.0f} GFLOP/s"] if name == "sgemm" else []
        lines.append(f"  {name:<9}{spread(rate, ',.0f'):<30}{', '.join(notes)}")
    lines += [f"  tinyvae / {name:<7}{spread(ratio, '.2f')}" for name, ratio in result["ratios"].items()]
    return "\n".join(lines)


def spread(summary, form):
    """Median and range of a ``record.summary``, in a number format."""
    return f"{summary['median']:{form}} ({summary['lowest']:{form}} to {summary['highest']:{form}})"


if __name__ == "__main__":
    console.run(main)
