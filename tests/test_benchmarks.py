"""The benchmarks, without the other frameworks: what is measured, by whom it is answered, and how it is summed up."""

import io
import json
import math
import re
import subprocess
from dataclasses import asdict, replace
from datetime import date
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from benchmarks import cliff, compare, explorer, few_labels, lenet, protocol, record, worker_tinyvae
from tests import oracles
from tests.commands import assert_misuse, call
from tinyvae.checks.finite_differences import numerical_gradient, relative_error
from tinyvae.data import datasets
from tinyvae.derivation.parameters import Parameters
from tinyvae.errors import UserError
from tinyvae.settings import RECIPES
from tinyvae.training import workloads
from tinyvae.training.loop import Training
from tinyvae.training.workloads import WORKLOADS


@pytest.fixture(scope="module")
def images_file(tmp_path_factory):
    """Images of 36 pixels, mostly black, as uint8: 300 to train on, beside a tenth for the test set."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (333, 6, 6)) * (rng.random((333, 6, 6)) < 0.3)
    path = tmp_path_factory.mktemp("images") / "images.npy"
    np.save(path, images.astype(np.uint8))
    return str(path)


@pytest.fixture(scope="module")
def images(images_file):
    return datasets.load(images_file)


def small(name):
    """A workload's settings on a smaller network."""
    hidden = tuple((16,) * len(h) for h in WORKLOADS[name].hidden)
    return replace(WORKLOADS[name], latent=(4,), hidden=hidden, channels=(3, 2))


def answers(worker, *requests):
    """What a worker answers on the wire."""
    lines = io.StringIO("".join(json.dumps(request) + "\n" for request in requests))
    out = io.StringIO()
    protocol.serve(worker, lines, out)
    return [json.loads(line) for line in out.getvalue().splitlines()]


# -- the workloads -----------------------------------------------------------------------------------------------------


def test_the_workloads_are_the_recipes():
    assert WORKLOADS["vae"] == RECIPES["aevb"]
    for K in (1, 5, 50):
        assert replace(WORKLOADS[f"iwae-k{K}"], samples=1) == RECIPES["iwae-1"]
        assert WORKLOADS[f"iwae-k{K}"].samples == K
    assert WORKLOADS["conv"] == RECIPES["conv"]
    assert replace(WORKLOADS["gru"], likelihood="bernoulli") == RECIPES["gru"]
    assert list(WORKLOADS) == ["vae", "iwae-k1", "iwae-k5", "iwae-k50", "conv", "gru"]


def test_the_workloads_are_what_the_readme_says():
    vae, iwae, conv = (asdict(WORKLOADS[name]) for name in ("vae", "iwae-k5", "conv"))
    names = ("hidden", "latent", "batch_size", "optimiser", "binarise", "objective", "kl", "epsilon")
    assert [vae[name] for name in names] == [((500,),), (20,), 100, "adagrad", "none", "elbo", "closed", 1e-8]
    assert [iwae[name] for name in names] == [((200, 200),), (50,), 20, "adam", "dynamic", "iwae", "sampled", 1e-4]
    assert [conv[name] for name in names] == [((256,),), (32,), 100, "adam", "none", "elbo", "closed", 1e-8]
    assert [conv[name] for name in ("channels", "kernel", "stride", "activation")] == [(32, 64), 4, 2, "relu"]
    others = {name: (each.network, each.activation) for name, each in WORKLOADS.items() if name not in ("conv", "gru")}
    assert others == (dict.fromkeys(["vae", "iwae-k1", "iwae-k5", "iwae-k50"], ("mlp", "tanh")))


@pytest.mark.parametrize("settings", WORKLOADS.values(), ids=WORKLOADS)
def test_the_workloads_ask_for_nothing_that_the_other_workers_do_not_do(settings):
    """They know one layer, the Bernoulli likelihood, for sequences that of symbols, and the normal prior; the closed
    form goes with the ELBO, and a GRU with two directions, no feedback and no hidden units beside it.

    Their windows fit into the images of 28 x 28 pixels, with the same margin on all sides.
    """
    likelihood = "categorical" if settings.network == "gru" else "bernoulli"
    plain = {"likelihood": likelihood, "prior": "normal", "estimator": "standard", "dtype": "float32"}
    assert {name: getattr(settings, name) for name in plain} == plain
    assert len(settings.latent) == 1 and not settings.conditional
    assert (settings.objective, settings.kl) in (("iwae", "sampled"), ("elbo", "closed"))
    assert settings.network in ("mlp", "conv", "gru") and settings.activation in ("tanh", "relu")
    assert settings.network != "gru" or (settings.directions, settings.feedback, settings.hidden) == (2, False, ((),))
    assert not settings.has_aids
    assert 28 % settings.stride ** len(settings.channels) == (settings.kernel - settings.stride) % 2 == 0


# -- tinyvae's worker --------------------------------------------------------------------------------------------------


def bounds_twin(settings, arrays, sides=(6, 6)):
    """The bound of each example in plain NumPy and float64, of images with such sides."""
    arrays = {name: array.astype(np.float64) for name, array in arrays.items()}
    f = {"tanh": np.tanh, "relu": lambda a: np.maximum(a, 0)}[settings.activation]
    layers = range(len(settings.channels)) if settings.network == "conv" else ()

    def matrix(network, i):
        """T (H W C, P C') of a layer, the convolution of each pixel by itself, and its bias for each place or pixel."""
        W, b = (arrays[f"{network}.conv.{i}.{kind}"] for kind in "Wb")
        filters = W.reshape(settings.kernel, settings.kernel, -1, W.shape[1])
        image = *(-(-side // settings.stride**i) for side in sides), filters.shape[2]
        pixels = np.eye(math.prod(image))
        T = oracles.convolution(pixels.reshape(-1, *image), filters, settings.stride).reshape(len(pixels), -1)
        return T, np.tile(b, T.shape[network == "encoder"] // len(b))

    def mlp(network, h):
        last = len(settings.hidden[0])
        for i in range(last):
            h = f(h @ arrays[f"{network}.{i}.W"] + arrays[f"{network}.{i}.b"])
        return h @ arrays[f"{network}.{last}.W"] + arrays[f"{network}.{last}.b"]

    def encoder(h):
        for i in layers:
            T, b = matrix("encoder", i)
            h = f(h @ T + b)
        return mlp("encoder", h)

    def decoder(h):
        h = mlp("decoder", h)
        for i in reversed(layers):
            T, b = matrix("decoder", i)
            h = f(h) @ T.T + b
        return h

    x, eps = arrays["x"], arrays["noise"]
    mu, logvar = (half[:, None] for half in np.split(encoder(x), 2, axis=1))
    z = mu + np.exp(logvar / 2) * eps
    p = 1 / (1 + np.exp(-decoder(z)))
    log_likelihood = (x[:, None] * np.log(p) + (1 - x[:, None]) * np.log(1 - p)).sum(axis=2)
    if settings.kl == "closed":
        return log_likelihood[:, 0] + 0.5 * (1 + logvar - mu**2 - np.exp(logvar)).sum(axis=2)[:, 0]
    logw = log_likelihood - 0.5 * (z**2).sum(axis=2) + 0.5 * (eps**2 + logvar).sum(axis=2)
    return np.log(np.mean(np.exp(logw), axis=1))


@pytest.mark.parametrize("name", ["vae", "iwae-k1", "iwae-k5", "conv"])
def test_the_bound_is_that_of_the_parameters_and_the_noise_in_the_file(name, images, tmp_path):
    settings = small(name)
    arrays = compare.problem(settings, images)
    np.savez(tmp_path / "problem.npz", **arrays)
    worker = worker_tinyvae.Worker(settings, images, threads=2)
    (answer,) = answers(worker, {"do": "bound", "file": str(tmp_path / "problem.npz")})
    np.testing.assert_allclose(answer["bound"], bounds_twin(settings, arrays), rtol=1e-5)
    for name, array in worker.training.params.items():
        np.testing.assert_array_equal(array, arrays[name])


@pytest.mark.parametrize("name", ["vae", "iwae-k5", "conv"])
def test_the_gradient_norm_is_the_slope_of_the_mean_bound_along_the_gradient(name, images, tmp_path):
    settings = small(name)
    arrays = compare.problem(settings, images)
    np.savez(tmp_path / "problem.npz", **arrays)
    worker = worker_tinyvae.Worker(settings, images, threads=1)
    params = Parameters(worker.training.model.shapes(), dtype=np.float64)
    for name in params:
        params[name][:] = arrays[name]

    def mean(i, step):
        params.flat[i] += step
        value = bounds_twin(settings, arrays | dict(params)).mean()
        params.flat[i] -= step
        return value

    gradient = [(mean(i, 1e-5) - mean(i, -1e-5)) / 2e-5 for i in range(params.flat.size)]
    norm = worker.bound(tmp_path / "problem.npz")["gradient_norm"]
    assert norm == pytest.approx(np.linalg.norm(gradient), rel=1e-4)


def test_a_worker_warms_up_trains_and_goes_on_where_it_was(images):
    worker = worker_tinyvae.Worker(small("iwae-k5"), images, threads=2)
    warm, first, second = answers(worker, {"do": "warm"}, *2 * [{"do": "window", "seconds": 0.02}])
    assert warm == {"threads": 2}
    for answer in (first, second):
        assert answer["examples_per_second"] > 0 and -36 < answer["bound"] < 0
    training = worker.training
    assert training.step * 20 == training.samples_seen == training.epoch * 300 + training.position > 0


def test_a_window_ends_after_the_step_in_which_its_time_is_up_and_reports_its_mean_bound(images):
    worker, training = (make(small("vae"), images, threads=1) for make in (worker_tinyvae.Worker, Training))
    bounds = []
    training.run_epoch(lambda examples, bound: bounds.append(bound))
    assert [worker.window(0)["bound"] for _ in range(3)] == bounds
    assert worker.training.samples_seen == 300


ENCODER = 2 * 36 * 16 + 3 * (16 * 16 + 16 * 8)  # of two hidden layers
DECODER = 3 * (4 * 16 + 16 * 16 + 16 * 36)
# 3 x 3 places for patches of 4 x 4 pixels, 2 x 2 for those of 3 channels; above these 2 x 2 x 2 entries
CONV_ENCODER = 2 * 9 * 16 * 3 + 3 * (4 * (16 * 3) * 2 + 8 * 16 + 16 * 8)
CONV_DECODER = 3 * (4 * 16 + 16 * 8 + 4 * 2 * (16 * 3) + 9 * 3 * 16)


@pytest.mark.parametrize(
    ("name", "products"), [("iwae-k5", ENCODER + 5 * DECODER), ("conv", CONV_ENCODER + CONV_DECODER)]
)
def test_sgemm_counts_every_product_of_a_step(name, products, images):
    """Forward and by the weights each layer has one, by the input each but that of the images; 2 I J flops a row, and
    a row for each patch.
    """
    (answer,) = answers(worker_tinyvae.Worker(small(name), images, threads=2), {"do": "sgemm", "seconds": 0})
    assert answer["gflops"] == pytest.approx(answer["examples_per_second"] * 2 * products / 1e9)


def test_the_products_of_a_layer_have_the_shapes_of_its_two_passes():
    shapes = [(a.shape, b.shape, (a @ b).shape) for a, b, out in workloads.affine_products(7, (5, 3), False)]
    assert shapes == [((7, 5), (5, 3), (7, 3)), ((5, 7), (7, 3), (5, 3)), ((7, 3), (3, 5), (7, 5))]
    assert len(workloads.affine_products(7, (5, 3), True)) == 2


# -- what is made of the answers ---------------------------------------------------------------------------------------


def test_ratios_are_taken_round_by_round():
    """A round on a machine that is twice as slow changes no ratio, though it changes the medians."""
    ratios = record.ratios({"tinyvae": [30, 10, 40], "jax": [20, 20, 20], "sgemm": [60, 20, 80]})
    assert ratios["jax"] == {"median": 1.5, "lowest": 0.5, "highest": 2, "rounds": [1.5, 0.5, 2]}
    assert ratios["sgemm"]["rounds"] == [0.5, 0.5, 0.5]
    assert set(ratios) == {"jax", "sgemm"}


class Answering:
    """In the place of a Remote: gives one answer to all."""

    def __init__(self, bound, gradient_norm):
        self.answer = {"bound": bound, "gradient_norm": gradient_norm}

    def ask(self, do, file):
        return self.answer


@pytest.mark.parametrize("answer, message", [
    (([-100, -200.004], 3), "jax computes another bound than tinyvae"),
    (([-100, math.nan], 3), "jax computes another bound"),
    (([-100, -200], 3.001), "jax computes another gradient_norm"),
])  # fmt: skip
def test_frameworks_that_compute_something_else_are_not_compared(answer, message, images):
    remotes = {"tinyvae": Answering([-100, -200], 3), "jax": Answering(*answer)}
    with pytest.raises(UserError, match=message):
        compare.check(remotes, small("vae"), images)


def test_rounding_is_let_pass_and_reported(images):
    remotes = {"tinyvae": Answering([-100, -200], 3), "jax": Answering([-100, -200.001], 3)}
    differences = compare.check(remotes, small("vae"), images)
    assert differences == {"jax": {"bound": pytest.approx(5e-6), "gradient_norm": 0}}


def test_results_of_one_machine_are_kept_together_and_of_another_replaced_when_that_is_asked_for(tmp_path, monkeypatch):
    path = tmp_path / "results/bench.json"
    record.store(path, "workloads", {"vae": 1, "iwae-k1": 2})
    record.store(path, "cliff", {"vae": 3})
    record.store(path, "workloads", {"vae": 4})
    expected = {"machine": record.machine(), "workloads": {"vae": 4, "iwae-k1": 2}, "cliff": {"vae": 3}}
    assert json.loads(path.read_text()) == expected
    monkeypatch.setattr(record, "machine", lambda: {"cpu": "another"})
    before = path.read_bytes()
    for module in (compare, cliff):
        words = ("--out", path, *(("--skip", "jax", "torch") if module is compare else ()))
        assert_misuse(call(*words, main=module.main), "bench.json: it has what another machine", "--overwrite")
    assert path.read_bytes() == before
    assert record.read(path, overwrite=True) == {}
    record.store(path, "cliff", {"vae": 5})
    assert json.loads(path.read_text()) == {"machine": {"cpu": "another"}, "cliff": {"vae": 5}}


def test_the_machine_is_described():
    machine = record.machine()
    assert machine["cpu"] and machine["cores"] >= 1 and machine["numpy"] == np.__version__
    assert f"numpy {np.__version__}" in record.describe(machine) and "None" not in record.describe(machine)


# -- the commands ------------------------------------------------------------------------------------------------------


@pytest.fixture
def quick(images_file, tmp_path):
    """Options for one short round, and the file that it leaves."""
    path = tmp_path / "bench.json"
    return ["--rounds", "1", "--seconds", "0.02", "--dataset", images_file, "--out", str(path)], path


def test_compare_without_the_others_measures_tinyvae_and_its_products(quick, capsys):
    options, path = quick
    assert compare.main(["--workloads", "vae", "--skip", "jax", "torch", *options]) == 0
    results = json.loads(path.read_text())
    vae = results["workloads"]["vae"]
    rates = {name: rate["median"] for name, rate in vae["examples_per_second"].items()}
    assert set(rates) == {"tinyvae", "sgemm"} and min(rates.values()) > 0
    assert vae["ratios"]["sgemm"]["median"] == pytest.approx(rates["tinyvae"] / rates["sgemm"])
    assert vae["threads"]["tinyvae"] == results["machine"]["cores"]
    assert (vae["rounds"], vae["seconds"]) == (1, 0.02)
    assert vae["command"].startswith("python -m benchmarks.compare --workloads vae --skip jax torch")
    assert date.fromisoformat(vae["date"]) >= date(2026, 11, 28)
    printed = capsys.readouterr().out
    assert record.describe(results["machine"]) in printed
    assert f"tinyvae  {rates['tinyvae']:,.0f}" in printed and "tinyvae / sgemm" in printed


@pytest.mark.parametrize("main", [compare.main, cliff.main])
def test_results_that_could_not_be_kept_are_not_measured(main, quick):
    options, path = quick
    words = ["--workloads", "vae", *(["--skip", "jax", "torch"] if main is compare.main else []), *options]
    for content, complaint in (("{bad", "not valid JSON"), ("[]", "an object in braces")):
        path.write_text(content)
        assert_misuse(call(*words, main=main), f"{path}: it ", complaint)
    path.unlink()
    path.mkdir()
    assert_misuse(call(*words, main=main), f"{path}: it cannot be written")


def test_a_file_of_data_is_found_from_where_one_stands(images_file, quick, monkeypatch):
    options, _ = quick
    monkeypatch.chdir(Path(images_file).parent)
    options[options.index(images_file)] = Path(images_file).name
    assert compare.main(["--workloads", "vae", "--skip", "jax", "torch", *options]) == 0


@pytest.mark.parametrize(
    ("words", "complaint"),
    [(["--epochs", "0"], "above zero is needed, not 0"), (["--draws", "1"], "no standard error")],
)
def test_few_labels_refuses_what_has_no_sense(words, complaint):
    assert_misuse(call(*words, main=few_labels.main), complaint)


def test_the_commit_of_the_code_is_named_and_what_differs_from_it(monkeypatch, tmp_path):
    def git(*words):
        identity = ["-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"]
        done = subprocess.run(["git", *identity, *words], cwd=tmp_path, check=True, capture_output=True, text=True)
        return done.stdout.strip()

    monkeypatch.setattr(record, "__file__", str(tmp_path / "record.py"))
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert record.origin("a.b", ["c d"]) == {
        "command": "python -m a.b 'c d'",
        "date": date.today().isoformat(),
        "commit": None,
    }
    git("init")
    (tmp_path / "record.py").write_text("x = 1\n")
    git("add", ".")
    git("commit", "-m", "x")
    git("tag", "-a", "v1", "-m", "x")
    commit = git("rev-parse", "--short", "HEAD")
    assert record.origin("a.b", [])["commit"] == commit
    (tmp_path / "record.py").write_text("x = 2\n")
    assert record.origin("a.b", [])["commit"] == f"{commit}-dirty"
    monkeypatch.setenv("PATH", "")
    assert record.origin("a.b", [])["commit"] is None


def test_few_labels_says_by_which_command_and_where_it_cannot_write_begins_nothing(monkeypatch, tmp_path):
    monkeypatch.setattr(datasets, "load", lambda _: SimpleNamespace(test=np.zeros(7)))
    monkeypatch.setattr(few_labels, "compare", lambda _, *numbers: [{"numbers": numbers}])
    words = ["--epochs", "3", "--draws", "4", "--out", str(tmp_path / "new/found.json")]
    assert few_labels.main(words) == 0
    found = json.loads((tmp_path / "new/found.json").read_text())
    assert found["command"] == f"python -m benchmarks.few_labels {' '.join(words)}"
    assert found["rows"] == [{"numbers": [n, 3, 4]} for n in few_labels.COMPONENTS] and found["test_images"] == 7
    monkeypatch.setattr(few_labels, "compare", None)
    assert_misuse(call(*words, main=few_labels.main), "found.json is there already: add --overwrite")
    assert_misuse(call("--out", tmp_path, "--overwrite", main=few_labels.main), f"{tmp_path}: it cannot be written")


def test_data_that_the_others_would_take_for_something_else_are_refused(quick):
    options, _ = quick
    result = call(*options, "--dataset", "digits", "--workloads", "vae", main=cliff.main)
    assert_misuse(result, "float32, and all are to be given bytes")


def test_a_page_that_is_not_there_is_named(tmp_path):
    assert_misuse(call(tmp_path / "page.html", main=explorer.main), "page.html: there is no such file")


@pytest.mark.parametrize("name", ["vae", "gru"])  # of images, and of symbols
def test_cliff_adds_the_share_to_the_same_file(name, quick, capsys):
    options, path = quick
    record.store(path, "workloads", {"vae": 1})
    assert cliff.main(["--workloads", name, *options]) == 0
    results = json.loads(path.read_text())
    own = results["cliff"][name]
    assert own["share"]["median"] == pytest.approx(own["contended"]["median"] / own["alone"]["median"])
    assert own["competitors"] == results["machine"]["cores"] and results["workloads"] == {"vae": 1}
    assert "a fair one is 0.50" in capsys.readouterr().out


def test_the_busy_processes_are_busy_inside_and_gone_outside():
    with pytest.raises(KeyboardInterrupt), cliff.busy_processes(2) as processes:
        assert [process.poll() for process in processes] == [None, None]
        raise KeyboardInterrupt
    assert None not in [process.poll() for process in processes]


def test_a_framework_that_is_missing_is_named_with_the_remedy(monkeypatch):
    monkeypatch.setattr(compare.importlib.util, "find_spec", lambda name: None if name == "torch" else name)
    with pytest.raises(UserError, match=r'torch\. Use pip install -e "\.\[bench\]".*--skip torch'):
        compare.parse([])
    assert compare.parse(["--skip", "torch"]).workloads == list(WORKLOADS)


def test_a_worker_that_ends_is_an_error():
    with (
        pytest.raises(UserError, match="tinyvae ended when asked for 'warm'"),
        protocol.Remote("tinyvae", "vae", "no_such_data.npy") as remote,
    ):
        remote.ask("warm")


# -- the classifier ----------------------------------------------------------------------------------------------------


def test_the_cross_entropy_has_the_derivative_p_minus_y():
    rng = np.random.default_rng(0)
    scores, labels = rng.normal(0, 3, (5, 4)), rng.integers(0, 4, 5)
    loss, dscores = lenet.cross_entropy(scores, labels)
    p = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    assert loss == pytest.approx(np.mean([-math.log(row[label]) for row, label in zip(p, labels)]))
    numerical = numerical_gradient(lambda: lenet.cross_entropy(scores, labels)[0], scores)
    assert relative_error(dscores, numerical) < 1e-6
    far, _ = lenet.cross_entropy(np.array([[1000, 0], [-1000, 0]], np.float32), np.array([1, 1]))
    assert far == 500


@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_the_classifier_s_gradient_is_that_of_its_loss(activation):
    rng = np.random.default_rng(0)
    x, labels = rng.random((3, 36)), np.array([0, 2, 1])
    classifier = lenet.LeNet((6, 6), 3, activation, dtype=np.float64)
    classifier.gradient(x, labels)
    for name, array in classifier.params.items():
        numerical = numerical_gradient(
            lambda: lenet.cross_entropy(classifier.scores(x)[0], labels)[0], array[-1:], has_kinks=activation == "relu"
        )
        assert relative_error(classifier.grads[name][-1:], numerical) < 1e-6, name


def test_the_classifier_learns_the_digits(capsys):
    assert lenet.main(["--dataset", "digits", "--epochs", "8", "--threads", "2"]) == 0
    out = capsys.readouterr().out
    accuracies = [float(share) for share in re.findall(r"accuracy (.*)%", out)]
    assert len(accuracies) == 8 and accuracies[-1] > 90
    assert "1,617 images, 2 threads" in out and "images a second" in out


def test_a_classifier_needs_labels(images_file):
    with pytest.raises(UserError, match="has no labels"):
        lenet.main(["--dataset", images_file])
