"""A report of trainings that nobody has carried out: it says of each what it was told, and writes its tables."""

import csv
from pathlib import Path
from types import SimpleNamespace

from tinyvae.papers.report import Report


class Told(Report):
    """What is told are those of all plans, or functions of a plan: ``evaluation``, ``summary``, ``history``, ``fitted``
    and ``dataset``.
    """

    def __init__(self, plans, folder, **told):
        super().__init__(plans, folder, folder)
        self._told = told

    def _of(self, plan, name):
        told = self._told[name]
        return told(plan) if callable(told) else told

    def run(self, plan):
        return SimpleNamespace(read_json=lambda name: self._of(plan, Path(name).stem))

    def history(self, plan):
        return self._of(plan, "history")

    def fitted(self, plan):
        return self._of(plan, "fitted")

    def dataset(self, plan=None):
        return self._of(plan or self.plans[0], "dataset")

    def rows(self, name):
        """Those of a table that was written."""
        return list(csv.DictReader((self.folder / name).read_text().splitlines()))
