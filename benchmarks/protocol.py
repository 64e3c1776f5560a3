"""The conversation with a worker, a process that trains a workload's model in one framework.

A request and its answer are a line of JSON each; between them the worker waits, and computes nothing.

| request | what the worker does | names in its answer |
| --- | --- | --- |
| `{"do": "bound", "file": F}` | evaluates the model in F, from which it will train | `bound`, `gradient_norm` |
| `{"do": "warm"}` | compiles, runs some steps | `threads`, where the worker knows |
| `{"do": "window", "seconds": s}` | trains for about s seconds | `examples_per_second`, `bound` |
| `{"do": "sgemm", "seconds": s}` | runs a step's matrix products (tinyvae's) | `examples_per_second`, `gflops` |

F is an .npz file with the parameters under the names of ``tinyvae.derivation.parameters``, images ``x`` (N, D) and
``noise`` (N, K, D_1), all float32. ``bound`` is asked for first. It answers with the bound of each example, in nats,
and with the Euclidean norm of the gradient of their mean; ``window`` with the mean of the bounds over its steps.
"""

import json
import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from tinyvae.cli import console
from tinyvae.data import datasets
from tinyvae.errors import UserError
from tinyvae.training.workloads import WORKLOADS, data_of

ROOT = Path(__file__).parents[1]


class Remote:
    """A worker in a process of its own.

    Args:
        framework: "tinyvae", "jax" or "torch".
        workload: name in ``WORKLOADS``.
        dataset: as for ``datasets.load``, of uint8 images.
    """

    def __init__(self, framework, workload, dataset="mnist"):
        self.framework = framework
        if dataset not in datasets.DATASETS:
            dataset = os.path.abspath(os.path.expanduser(dataset))  # the worker stands in another folder
        command = [sys.executable, "-m", f"benchmarks.worker_{framework}", workload, dataset]
        self.process = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8"
        )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        """End the worker: it stops at the end of its requests."""
        self.process.communicate()

    def ask(self, do, **arguments):
        """The answer, a dict, to a request; UserError if the worker ended instead."""
        with suppress(BrokenPipeError):
            print(json.dumps({"do": do, **arguments}), file=self.process.stdin, flush=True)
        answer = self.process.stdout.readline()
        if not answer:
            raise UserError(f"the worker for {self.framework} ended when asked for {do!r}: see its own error above")
        return json.loads(answer)


def serve(worker, requests=sys.stdin, answers=sys.stdout):
    """Answer requests by the methods of a worker until there are no more.

    Args:
        worker: object with the methods ``bound``, ``warm`` and ``window``, which return dicts.
        requests, answers: files of lines.
    """
    for line in requests:
        request = json.loads(line)
        answer = getattr(worker, request.pop("do"))(**request)
        print(json.dumps(answer), file=answers, flush=True)


def main(worker_class):
    """Serve as the worker for the workload and the data set that the command line names.

    Ctrl-C is left to the process that asks: when it ends, so do the requests.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    workload, dataset = sys.argv[1:]
    console.run(lambda: serve(worker_class(WORKLOADS[workload], data_of(workload, datasets.load(dataset)))))
