"""Measure how fast this machine trains and evaluates, beside what the matrix products alone would cost.

examples:
  python -m tinyvae.bench                        all workloads, some minutes
  python -m tinyvae.bench vae --json             one workload, as a JSON object
  python -m tinyvae.bench evaluate --windows 3
  python -m tinyvae.bench --core-types Haswell,SkylakeX    OpenBLAS's kernels for AVX2 and for AVX-512
"""

import argparse
import json
import os
import statistics
import subprocess
import sys

from tinyvae.cli import console
from tinyvae.errors import UserError

NAMES = ("vae", "iwae-k1", "iwae-k5", "iwae-k50", "conv", "gru", "evaluate")
EVALUATED = 40  # images, again and again
AT_A_TIME = 50  # samples of an image


def main(argv=None):
    """Measure the workloads that are named, and print the figures."""
    arguments = parse(argv)
    if arguments.core_types:
        return measure_core_types(arguments.core_types, sys.argv[1:] if argv is None else argv, arguments.json)
    from tinyvae import machine
    from tinyvae.data import datasets

    if not arguments.json:
        print(f"matrix products by {machine.blas_description()}", flush=True)
    wanted = os.environ.get("OPENBLAS_CORETYPE")
    if wanted and wanted != machine.blas_kernels():
        print(f"note: $OPENBLAS_CORETYPE names {wanted}, and {machine.blas_kernels()} is in use", file=sys.stderr)
    console.announce_compilation(arguments.json)
    console.compile_ahead()
    dataset = datasets.load(arguments.dataset, arguments.data_dir)
    results = {}
    for name in arguments.workloads or NAMES:
        measure = measure_evaluation if name == "evaluate" else measure_training
        results[name] = measure(name, dataset, arguments.windows, arguments.seconds, arguments.threads)
        if not arguments.json:
            print(report(name, results[name]), flush=True)
    if arguments.json:
        print(json.dumps(results if len(results) > 1 else results[name], indent=2))
    return 0


def parse(argv):
    """The arguments."""
    parser = console.Parser("python -m tinyvae.bench", __doc__)
    parser.add_argument("workloads", nargs="*", metavar="NAME", help=f"of {', '.join(NAMES)} [all]")
    parser.add_argument("--windows", type=console.positive, default=7, metavar="n", help="measurements of each [7]")
    parser.add_argument("--seconds", type=console.rate, default=1.0, metavar="s", help="of each window [1]")
    parser.add_argument("--threads", type=console.threads, metavar="T", help="[the cores this process may use]")
    parser.add_argument("--dataset", default="mnist", metavar="DATA", help="as for tinyvae.train [mnist]")
    parser.add_argument(
        "--data-dir", type=console.path, metavar="DIR", help="with the data [$TINYVAE_DATA, then the cache]"
    )
    parser.add_argument(
        "--core-types",
        type=core_types,
        metavar="A,B",
        help="measure with these of OpenBLAS's kernels, one after the other, each in a process of its own (their names "
        "are those for $OPENBLAS_CORETYPE) [the processor's]",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of words")
    arguments = parser.parse_args(argv)
    for name in arguments.workloads:
        if name not in NAMES:
            parser.error(f"argument NAME: invalid choice: '{name}' (choose from {', '.join(NAMES)})")
    return arguments


def core_types(text):
    """Names of OpenBLAS's kernels, separated by commas; an empty text, which takes back an earlier one, has none."""
    names = text.split(",") if text else []
    if not all(names):
        raise argparse.ArgumentTypeError(f"names separated by commas are needed, not {text}")
    return names


def measure_core_types(names, argv, as_json):
    """The same command in a process for each of OpenBLAS's kernels; with ``as_json`` print {name: what it printed}.

    Raises: UserError if one of the processes fails: the processor may not have the instructions.
    """
    results = {}
    for name in names:
        command = [sys.executable, "-m", "tinyvae.bench", *map(str, argv), "--core-types="]
        child = subprocess.run(
            command,
            env=os.environ | {"OPENBLAS_CORETYPE": name},
            stdout=subprocess.PIPE if as_json else None,
            text=True,
        )
        if child.returncode in (console.MISUSE, console.UNTOLD):
            return child.returncode  # it has said why
        if child.returncode:
            why = f"signal {-child.returncode}" if child.returncode < 0 else f"exit status {child.returncode}"
            raise UserError(
                f"with OpenBLAS's kernels {name} the measurement failed ({why})\n"
                "This processor may not have their instructions: name others, or leave --core-types out."
            )
        results[name] = json.loads(child.stdout) if as_json else None
    if as_json:
        print(json.dumps(results, indent=2))
    return 0


def begun(name, data, threads):
    """The training of a workload; UserError for data of less than a minibatch."""
    from tinyvae.training import workloads
    from tinyvae.training.loop import Training

    workloads.require_minibatch(name, data)
    return Training(workloads.WORKLOADS[name], data, threads)


def measure_training(name, dataset, windows, seconds, threads=None):
    """Windows of training in turn with windows of the matrix products alone, and a profile.

    Args:
        name: in ``workloads.WORKLOADS``.
        dataset: datasets.Dataset.
        windows, seconds: how many of each, and their length.
        threads: as for ``loop.Training``.

    Returns: dict of medians ``examples_per_second``, ``sgemm_examples_per_second``, ``sgemm_gflops`` and
    ``fraction_of_roofline`` (of the first two, window by window), the lowest and highest ``range`` of the first,
    ``threads``, and the ``profile`` (``workloads.profile``).
    """
    from tinyvae.training import workloads

    training = begun(name, workloads.data_of(name, dataset), threads)
    for warm_up in (0, seconds / 2):  # the first step compiles; the next may need what the first did not
        workloads.window(training, warm_up)
    rounds = [(workloads.window(training, seconds)[0], *workloads.sgemm(training, seconds / 2)) for _ in range(windows)]
    return summary(rounds, training.threads) | {"profile": workloads.profile(training)}


def measure_evaluation(_, dataset, windows, seconds, threads=None):
    """As ``measure_training``: log p(x) by 5,000 samples for each image, on the model of iwae-k1; without a profile.

    The products alone are measured for as many samples at a time as stay in the caches.
    """
    from tinyvae.training import workloads

    training, K = begun("iwae-k1", dataset, threads), workloads.EVALUATION_SAMPLES
    images = dataset.test[:EVALUATED]

    def evaluate():
        with training.crew:
            training.fitted.log_likelihood(images, samples=K)

    evaluate()
    rounds = []
    for _ in range(windows):
        rate = len(images) / workloads.duration(evaluate, seconds / workloads.REPEATS)
        products, gflops = workloads.sgemm(training, seconds / 2, backward=False, K=AT_A_TIME)
        rounds.append((rate, products * AT_A_TIME / K, gflops))
    return summary(rounds, training.threads)


def summary(rounds, threads):
    """What is said of [(examples a second, those of SGEMM, its GFLOP/s), ...]."""
    rates, products, gflops = zip(*rounds)
    return {
        "examples_per_second": statistics.median(rates),
        "range": [min(rates), max(rates)],
        "sgemm_examples_per_second": statistics.median(products),
        "sgemm_gflops": statistics.median(gflops),
        "fraction_of_roofline": statistics.median(rate / product for rate, product in zip(rates, products)),
        "threads": threads,
    }


def report(name, result):
    """A result in words."""
    low, high = result["range"]
    lines = [
        f"{name}: {result['examples_per_second']:,.0f} examples a second on {result['threads']} "
        f"thread{'s' * (result['threads'] != 1)} ({low:,.0f} to {high:,.0f})",
        f"  matrix products alone: {result['sgemm_examples_per_second']:,.0f}, {result['sgemm_gflops']:.0f} GFLOP/s; "
        f"{result['fraction_of_roofline']:.2f} of that",
    ]
    if "profile" in result:
        step = result["profile"]["step"]
        parts = [f"{part} {100 * t / step:.0f} %" for part, t in result["profile"].items() if part != "step"]
        lines.append(f"  {step:.1f} µs an example: {', '.join(parts)}")
    return "\n".join(lines)


if __name__ == "__main__":
    console.run(main)
