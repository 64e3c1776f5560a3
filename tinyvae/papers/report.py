"""What an experiment is: the trainings that it needs, at a size, and what it makes of their runs."""

import csv
import io
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tinyvae.disk.files import atomic_write
from tinyvae.disk.run import Run

MNIST, FREY = "mnist", "frey"


@dataclass(frozen=True)
class Size:
    """How large the experiments are.

    Attributes:
        examples: that the AEVB curves see.
        stages: of IWAE's schedule.
        stages_50: with 50 samples.
        quick: a small version of everything, to see that it works and what it looks like.
        seed: of everything random.
    """

    examples: int = 10_000_000
    stages: int = 5
    stages_50: int = 3
    quick: bool = False
    seed: int = 0


@dataclass(frozen=True)
class Experiment:
    """What ``reproduce`` makes under a name.

    Attributes:
        title: of the figure, for the list of names.
        plans: Size -> [Plan].
        write: (Report) -> None: draws the figures and writes the numbers.
        with_models: whether it needs the trained models, and not only what the runs' folders say of them.
    """

    title: str
    plans: Callable
    write: Callable
    with_models: bool = True


class Report:
    """The runs of an experiment, and the folder for what is made of them.

    Args:
        plans: [Plan], carried out.
        runs: Path of the folder of the runs.
        folder: Path for the results.
        data_dir: where to look for the data first.

    Attributes:
        shown: [rows], the tables that are to be seen at once.
    """

    def __init__(self, plans, runs, folder, data_dir=None):
        self.plans, self.runs, self.folder, self.data_dir = plans, Path(runs), Path(folder), data_dir
        self.shown = []

    def run(self, plan):
        """The run.Run of a plan."""
        return Run.open(self.runs / plan.name)

    def dataset(self, plan=None):
        """The data of a plan, by default of the first one."""
        return (plan or self.plans[0]).load(self.data_dir)

    def fitted(self, plan):
        """The trained model of a plan, at its end."""
        from tinyvae.training.opening import load_fitted

        return load_fitted(self.runs / plan.name)

    def history(self, plan):
        """The columns of a run's history: {name: (E,)}, of no more epochs than the plan has."""
        rows = self.run(plan).history()[: plan.settings.epochs]
        return {name: np.array([row[name] for row in rows]) for name in rows[0]}

    def table(self, name, rows, show=False):
        """Write a CSV file of dicts with the same keys; with ``show`` the table is printed, too."""
        self.shown += [rows] * show
        text = io.StringIO()
        writer = csv.DictWriter(text, rows[0], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        with atomic_write(self.folder / name) as file:
            file.write(text.getvalue().encode())


def limit(size):
    """The training examples of a quick version."""
    return 1000 if size.quick else None


def number_of(value):
    """A number of a run's JSON, where one that is not finite is None: NaN then."""
    return math.nan if value is None else value


def rounded(number, digits=2):
    """A number of a table."""
    return round(float(number), digits) if math.isfinite(number) else "not finite"
