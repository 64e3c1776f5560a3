"""The bench command: what it says is complete, adds up, and is misused with words."""

import json
import platform
from types import SimpleNamespace

import numpy as np
import pytest

from tests.commands import assert_misuse, call, command, python
from tinyvae import bench
from tinyvae.data import datasets
from tinyvae.machine import blas
from tinyvae.training import workloads
from tinyvae.training.loop import Training

QUICK = ("--dataset", "digits", "--windows", 2, "--seconds", 0.02)


@pytest.fixture(autouse=True)
def few_repeats(monkeypatch):
    monkeypatch.setattr(workloads, "REPEATS", 1)


@pytest.mark.parametrize("name", ["vae", "conv"])
def test_one_workload_is_one_json_object(name):
    result = call(name, "--json", *QUICK, main=bench.main)
    assert result.returncode == 0, result.stderr
    figures = json.loads(result.stdout)
    assert figures["range"][0] <= figures["examples_per_second"] <= figures["range"][1]
    assert figures["sgemm_gflops"] > 0 and figures["fraction_of_roofline"] > 0
    *parts, step = figures["profile"].items()
    assert [name for name, _ in parts] == ["products", "layers", "likelihood", "noise", "update", "python"]
    assert sum(time for _, time in parts) == pytest.approx(step[1])


@pytest.mark.slow
def test_several_are_named_and_told_in_words():
    result = call("iwae-k1", "evaluate", *QUICK, "--threads", 1, main=bench.main)
    assert result.returncode == 0, result.stderr
    assert "iwae-k1: " in result.stdout and "evaluate: " in result.stdout and "on 1 thread " in result.stdout
    assert result.stdout.count("matrix products alone") == 2 and "noise" in result.stdout
    assert list(json.loads(call("iwae-k1", "vae", "--json", *QUICK, main=bench.main).stdout)) == ["iwae-k1", "vae"]


def test_medians_are_taken_and_the_share_is_of_the_products_in_the_same_round():
    """A round on a machine that is twice as slow changes no share."""
    result = bench.summary([(40, 50, 6), (10, 40, 8), (30, 60, 4)], threads=3)
    assert (result["examples_per_second"], result["range"]) == (30, [10, 40])
    assert (result["sgemm_examples_per_second"], result["sgemm_gflops"]) == (50, 6)
    assert result["fraction_of_roofline"] == 0.5
    assert bench.report("vae", result) == (
        "vae: 30 examples a second on 3 threads (10 to 40)\n  matrix products alone: 50, 6 GFLOP/s; 0.50 of that"
    )


ENCODER, DECODER = 64 * 200 + 200 * 200 + 200 * 100, 50 * 200 + 200 * 200 + 200 * 64  # of digits, in iwae-k1


@pytest.mark.parametrize(
    ("backward", "K", "products"),
    [(True, 1, 3 * ENCODER - 64 * 200 + 3 * DECODER), (False, 50, ENCODER + 50 * DECODER)],
)
def test_a_product_counts_its_multiplications_and_its_additions(backward, K, products):
    """Forward each layer has one, backward one by the weights and one by its input, unless that is the image."""
    training = Training(workloads.WORKLOADS["iwae-k1"], datasets.load("digits"), 1)
    rate, gflops = workloads.sgemm(training, 0, backward, K)
    assert gflops == pytest.approx(rate * 2 * products / 1e9)


@pytest.mark.parametrize("name", ["vae", "conv", "gru"])
def test_what_is_multiplied_is_what_is_counted(name, monkeypatch):
    """A convolution at each of its places, a gated unit at each step."""
    multiplied, products = [], workloads.affine_products

    def recorded(*arguments):
        made = products(*arguments)
        multiplied.extend(made)
        return made

    monkeypatch.setattr(workloads, "affine_products", recorded)
    training = Training(workloads.WORKLOADS[name], workloads.data_of(name, datasets.load("digits")), 1)
    rate, gflops = workloads.sgemm(training, 0)
    flops = sum(2 * a.shape[0] * a.shape[1] * b.shape[1] for a, b, _ in multiplied)
    assert gflops == pytest.approx(rate * flops / training.settings.batch_size / 1e9)


def test_the_layers_of_a_profile_are_what_they_take_beside_the_products(monkeypatch):
    training = Training(workloads.WORKLOADS["vae"], datasets.load("digits"), 1)
    N = training.settings.batch_size
    monkeypatch.setattr(workloads, "sgemm", lambda *_: (N / 0.25, 7.0))
    monkeypatch.setattr(workloads, "duration", lambda _: 1.0)
    monkeypatch.setattr(workloads, "window", lambda *_: (N / 5.0, -100.0))
    profile = {name: time * N / 1e6 for name, time in workloads.profile(training).items()}
    expected = {"products": 0.25, "layers": 0.75, "likelihood": 1, "noise": 1, "update": 1, "python": 1, "step": 5}
    assert profile == pytest.approx(expected)


def test_what_is_measured_has_been_compiled_and_warmed_up(monkeypatch):
    """By a step, and by half a window."""
    windows = []
    monkeypatch.setattr(workloads, "window", lambda _, seconds: windows.append(seconds) or (100.0, -100.0))
    monkeypatch.setattr(workloads, "sgemm", lambda *_: (200.0, 7.0))
    monkeypatch.setattr(workloads, "profile", lambda _: {})
    assert bench.measure_training("vae", datasets.load("digits"), 3, 0.5, threads=1)["fraction_of_roofline"] == 0.5
    assert windows == [0, 0.25, 0.5, 0.5, 0.5]


def test_an_evaluation_is_held_against_the_products_of_all_its_samples(monkeypatch):
    """Those of 50 samples are measured, again and again: 100 samples take twice as long."""
    monkeypatch.setattr(workloads, "EVALUATION_SAMPLES", 100)
    monkeypatch.setattr(workloads, "duration", lambda *_: 0.5)
    monkeypatch.setattr(workloads, "sgemm", lambda *_, backward, K: (320.0, 7.0) if (backward, K) == (False, 50) else 0)
    result = bench.measure_evaluation("evaluate", datasets.load("digits"), 1, 0.02, threads=1)
    assert (result["examples_per_second"], result["sgemm_examples_per_second"]) == (40 / 0.5, 160)
    assert result["fraction_of_roofline"] == 0.5


def test_a_workload_that_does_not_exist_is_misuse():
    with pytest.raises(SystemExit, match="2"):
        bench.parse(["vea"])
    assert_misuse(call("vae", "--dataset", "digit", main=bench.main), "digits")


def test_the_profile_s_steps_leave_the_parameters_of_a_step_of_length_zero():
    """The update is measured at length 0, so that the profile is of the model as it was."""
    training = Training(workloads.WORKLOADS["vae"], datasets.load("digits"), 1)
    before = training.params.flat.copy()
    training.optimiser.update(training.params, training.params.with_flat(before * 0 + 1), 0.0)
    assert (training.params.flat == before).all()


def test_the_names_are_the_workloads():
    assert (*workloads.WORKLOADS, "evaluate") == bench.NAMES


def test_shares_cut_everything_into_equal_parts():
    for total in (0, 1, 2, 9, 10, 100):
        for parts in (1, 2, 3, 7):
            pieces = workloads.shares(total, parts)
            assert [i for piece in pieces for i in range(total)[piece]] == list(range(total))
            sizes = [piece.stop - piece.start for piece in pieces]
            assert len(pieces) == min(total, parts) and (not sizes or max(sizes) - min(sizes) <= 1)


@pytest.mark.skipif(not blas.kernel_set(), reason="another BLAS")
def test_kernels_of_openblas_are_measured_in_processes_of_their_own(tmp_path):
    """The plainest kernels, which every processor has, and which are not what it would choose."""
    core_type = {"x86_64": "Prescott", "AMD64": "Prescott"}.get(platform.machine(), "ARMV8")
    asked = "from tinyvae.machine import blas; print(blas.kernel_set())"
    chosen = python("-c", asked, cwd=tmp_path, env={"OPENBLAS_CORETYPE": core_type}).stdout.strip()
    assert chosen != blas.kernel_set() or core_type == "ARMV8"
    result = command("vae", *QUICK, "--core-types", core_type, cwd=tmp_path, module="tinyvae.bench")
    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith(f"matrix products by OpenBLAS with its kernels for {chosen}\nvae: ")


def test_the_figures_of_several_kernels_are_one_json_object(monkeypatch):
    asked = []

    def run(command, env, **_):
        asked.append((command[3:], env["OPENBLAS_CORETYPE"]))
        return SimpleNamespace(returncode=0, stdout=json.dumps(len(asked)))

    monkeypatch.setattr(bench.subprocess, "run", run)
    result = call("vae", "--json", "--core-types", "A,B", main=bench.main)
    assert (result.returncode, json.loads(result.stdout)) == (0, {"A": 1, "B": 2})
    assert asked == [(["vae", "--json", "--core-types", "A,B", "--core-types="], name) for name in "AB"]


def test_kernels_that_the_processor_cannot_execute_are_misuse(monkeypatch):
    monkeypatch.setattr(bench.subprocess, "run", lambda *_, **__: SimpleNamespace(returncode=-4))
    result = call("vae", *QUICK, "--core-types", "Future", main=bench.main)
    assert_misuse(result, "OpenBLAS's kernels Future", "signal 4")


@pytest.mark.parametrize("status", [2, 3])  # misuse; a result that could not be printed
def test_of_kernels_that_are_not_to_blame_nothing_is_said(status, monkeypatch):
    """The process for them has said itself what is wrong."""
    monkeypatch.setattr(bench.subprocess, "run", lambda *_, **__: SimpleNamespace(returncode=status))
    result = call("vae", *QUICK, "--core-types", "Haswell", main=bench.main)
    assert (result.returncode, result.stderr) == (status, "")


@pytest.mark.parametrize("names", [",", "Haswell,"])
def test_kernels_without_a_name_are_misuse(names):
    result = call("vae", *QUICK, "--core-types", names, main=bench.main)
    assert_misuse(result, f"--core-types: names separated by commas are needed, not {names}")


def test_data_for_less_than_a_minibatch_are_refused_in_words(tmp_path):
    np.save(tmp_path / "few.npy", np.zeros((20, 4, 4), bool))
    result = call("vae", "--dataset", tmp_path / "few.npy", main=bench.main)
    assert_misuse(result, "vae takes minibatches of 100, and few has 18 training examples: name a larger --dataset")
    result = call("evaluate", "--dataset", tmp_path / "few.npy", main=bench.main)
    assert_misuse(result, "iwae-k1 takes minibatches of 20, and few has 18 training examples")


@pytest.mark.parametrize(
    ("libraries", "accelerate", "words"),
    [
        (
            [{"filepath": "a.so", "internal_api": "openblas", "architecture": "Haswell"}],
            None,
            "OpenBLAS with its kernels for Haswell",
        ),
        ([{"filepath": "a.so", "internal_api": "blis", "architecture": "skx"}], None, "blis"),
        ([{"filepath": "mkl.so", "internal_api": "mkl"}], None, "mkl"),
        ([], int, "Accelerate"),
        ([], None, "a BLAS whose threads cannot be limited"),
    ],
)
def test_it_is_said_what_does_the_products(libraries, accelerate, words, monkeypatch):
    monkeypatch.setattr(blas, "_libraries", lambda: SimpleNamespace(info=lambda: libraries))
    monkeypatch.setattr(blas, "_accelerate", lambda: accelerate)
    assert blas.description().startswith(words)
