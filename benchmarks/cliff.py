"""What other processes take from tinyvae: each workload alone and beside one busy process for each core, in turn.

With as many competitors as cores the fair share is a half. A program whose threads wait for one another gets less,
often much less: each step lasts as long as its unluckiest thread.

examples:
  python -m benchmarks.cliff
  python -m benchmarks.cliff --workloads vae --rounds 5
"""

import subprocess
import sys
from contextlib import contextmanager

from benchmarks import record
from benchmarks.compare import add_common_options, check, images_of, spread
from benchmarks.protocol import Remote
from tinyvae.cli import console
from tinyvae.machine import available_cores
from tinyvae.training.workloads import WORKLOADS

BUSY = "print(flush=True)\nwhile True: pass"


def main(argv=None):
    """Measure, print, and add to the file of results."""
    parser = console.Parser("python -m benchmarks.cliff", __doc__)
    add_common_options(parser)
    arguments = parser.parse_args(argv)
    record.read(arguments.out, arguments.overwrite)  # before the work
    print(record.describe(record.machine()))
    for name in arguments.workloads:
        result = measure(name, arguments.dataset, arguments.rounds, arguments.seconds, available_cores())
        print(
            f"{name}: examples a second, median of {result['rounds']} windows of {result['seconds']:g} s (range)\n"
            f"  alone            {spread(result['alone'], ',.0f')}\n"
            f"  {result['competitors']} competitors    {spread(result['contended'], ',.0f')}\n"
            f"  share            {spread(result['share'], '.2f')}; a fair one is 0.50",
            flush=True,
        )
        record.store(arguments.out, "cliff", {name: result | record.origin("benchmarks.cliff", argv)})
    return 0


def measure(workload, dataset, rounds, seconds, competitors):
    """Windows of training alone and beside competitors.

    Args:
        workload: name in ``WORKLOADS``.
        dataset: as for ``datasets.load``.
        rounds, seconds: how many windows of each kind, and their length.
        competitors: the number of busy processes.

    Returns: dict of the summaries ``alone`` and ``contended``, in examples a second, and ``share``, their ratio;
    ``competitors``, ``rounds`` and ``seconds``.
    """
    rates, images = {"alone": [], "contended": []}, images_of(workload, dataset)
    with Remote("tinyvae", workload, dataset) as remote:
        check({"tinyvae": remote}, WORKLOADS[workload], images)
        remote.ask("warm")
        for _ in range(rounds):
            rates["alone"].append(remote.ask("window", seconds=seconds)["examples_per_second"])
            with busy_processes(competitors):
                rates["contended"].append(remote.ask("window", seconds=seconds)["examples_per_second"])
    share = record.ratios(rates, "contended")["alone"]
    sizes = {"competitors": competitors, "rounds": rounds, "seconds": seconds}
    return {name: record.summary(values) for name, values in rates.items()} | {"share": share} | sizes


@contextmanager
def busy_processes(count):
    """Inside, so many processes compute without end."""
    processes = [subprocess.Popen([sys.executable, "-c", BUSY], stdout=subprocess.PIPE) for _ in range(count)]
    try:
        for process in processes:
            process.stdout.readline()  # it has begun
        yield processes
    finally:
        for process in processes:
            process.kill()
            process.communicate()


if __name__ == "__main__":
    console.run(main)
