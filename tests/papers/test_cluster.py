"""A sweep on a cluster of two workers, one of which is killed half way, ends as the sweep on one machine does."""

import pytest

from tests.commands import python
from tests.training.test_resume import content
from tinyvae.papers import sweep
from tinyvae.settings import Settings

PLANS = [
    sweep.Plan(f"seed-{seed}", "digits", Settings(latent=(2,), hidden=((8,),), epochs=40, seed=seed), 300)
    for seed in (1, 2)
]

ON_A_CLUSTER = """
import os, signal, sys, threading, time
from pathlib import Path

import joblib
from distributed import Client, LocalCluster

from tests.papers.test_cluster import PLANS
from tinyvae.papers import sweep
from tinyvae.training.loop import Training


def kill_one(folder, workers):
    while not all((folder / plan.name / "checkpoint.npz").exists() for plan in PLANS):
        time.sleep(0.01)
    os.kill(next(iter(workers.values())), signal.SIGKILL)


def slow_down():
    step = Training._step
    Training._step = lambda *arguments: (time.sleep(0.02), step(*arguments))[1]


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None, host="127.0.0.1") as cluster:
        with Client(cluster) as client:
            client.run(slow_down)
            killer = threading.Thread(target=kill_one, args=(folder, client.run(os.getpid)))
            killer.start()
            with joblib.parallel_config("dask"):
                sweep.carry_out_all(PLANS, folder, jobs=2, quiet=True)
            killer.join()
    print("done")
"""


@pytest.mark.slow
def test_a_worker_that_is_killed_half_way_costs_nothing_but_time(tmp_path):
    program = tmp_path / "program.py"
    program.write_text(ON_A_CLUSTER)
    result = python(program, tmp_path / "cluster", cwd=".", env={"PYTHONPATH": "."})
    assert result.returncode == 0 and result.stdout == "done\n", result.stderr
    for plan in PLANS:
        sweep.carry_out(plan, tmp_path / "here", threads=1)  # as each of two side by side has
        assert content(tmp_path / "cluster" / plan.name) == content(tmp_path / "here" / plan.name)
    assert "estart" in result.stderr or "illed" in result.stderr or "emoving" in result.stderr  # a worker was lost
