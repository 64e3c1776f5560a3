"""The command from end to end: in processes of its own, as its users run it, and in this one where they add nothing."""

import os
import re

import numpy as np
import pytest
from matplotlib.image import imread
from scipy import stats

import tinyvae
from tests import published_data
from tests.commands import assert_misuse, call, command, python
from tinyvae import train
from tinyvae.cli import options
from tinyvae.disk.run import Run
from tinyvae.errors import UserError
from tinyvae.settings import CHOICES, RECIPES, Settings
from tinyvae.training import opening

QUICK = ("--epochs", "2", "--hidden", "16", "--latent", "2", "--batch-size", "50")


@pytest.fixture(scope="module")
def digits_run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("digits")
    return folder, command("digits", *QUICK, cwd=folder)


def test_a_run_on_digits_leaves_its_folder(digits_run):
    folder, result = digits_run
    assert result.returncode == 0, result.stderr
    run = Run.open(folder / "runs/digits")
    rows = run.history()
    assert [row["epoch"] for row in rows] == [1, 2] and rows[1]["train_bound"] > rows[0]["train_bound"]
    summary = run.read_json("summary.json")
    assert summary["test_bound"] == rows[-1]["test_bound"] and summary["samples_seen"] == rows[-1]["samples_seen"]
    assert (summary["objective"], summary["k"]) == ("elbo", 1)
    assert {"seconds", "protocol"} <= set(summary)
    bounds = opening.load(run).test_bounds()
    assert summary["test_bound"] == pytest.approx(bounds.mean())
    assert summary["test_standard_error"] == pytest.approx(stats.sem(bounds))
    arrays, state = run.load_checkpoint()
    assert arrays["params"].dtype == np.float32 and state["epoch"] == 2
    assert sorted(path.name for path in run.path.glob("figures/*")) == [
        "curve.png", "latent.png", "manifold.png", "reconstructions.png", "samples.png"
    ]  # fmt: skip
    for path in run.path.glob("figures/*"):
        picture = imread(path)
        assert min(picture.shape[:2]) > 100 and picture.std() > 0.05


def test_the_config_says_everything(digits_run):
    config = Run.open(digits_run[0] / "runs/digits").config()
    assert config["settings"]["latent"] == [2] and config["settings"]["learning_rate"] == Settings.learning_rate
    assert set(config["settings"]) == set(Settings.__dataclass_fields__)
    assert config["dataset"]["name"] == "digits" and len(config["dataset"]["digest"]) == 64
    assert config["tinyvae"] and "2 epochs" in config["protocol"]


def test_results_go_to_standard_output_and_progress_to_standard_error(digits_run):
    _, result = digits_run
    assert "test bound" in result.stdout and "nats per example" in result.stdout and "runs/digits" in result.stdout
    assert result.stdout.endswith("\nto explore it in a browser: python -m tinyvae.explore runs/digits\n")
    assert "epoch 2:" in result.stderr and "epoch" not in result.stdout.replace("epochs", "")


def test_a_second_run_gets_a_folder_of_its_own_and_quiet_is_quiet(digits_run):
    folder, _ = digits_run
    result = command("digits", *QUICK, "--quiet", cwd=folder)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
    first, second = (Run.open(folder / f"runs/{name}") for name in ("digits", "digits-2"))
    for one, other in zip(first.history(), second.history()):
        assert one | {"seconds": 0} == other | {"seconds": 0}


def test_two_at_the_same_moment_get_a_folder_each(tmp_path, monkeypatch):
    """Both find runs/digits free; the slower one takes the next."""
    original = Run.create

    def slower(path, *arguments):
        if str(path) == "runs/digits":  # meanwhile, another process
            original(path, {}).close()
        return original(path, *arguments)

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Run, "create", slower)
    assert call("digits", "--epochs", 1, "--hidden", 4, "--latent", 3, "--quiet").returncode == 0
    assert sorted(os.listdir("runs")) == ["digits", "digits-2"]
    assert Run.open("runs/digits").config().keys() == {"run"} and (tmp_path / "runs/digits-2/summary.json").exists()


def test_an_existing_run_is_not_touched_unless_asked(tmp_path):
    (tmp_path / "mine.txt").write_text("keep")
    words = ("digits", *QUICK, "--out", tmp_path, "--quiet")
    assert call(*words).returncode == 0
    before = (tmp_path / "checkpoint.npz").read_bytes()
    assert_misuse(call(*words, "--seed", 1), "--overwrite")
    assert (tmp_path / "checkpoint.npz").read_bytes() == before
    assert call(*words, "--seed", 1, "--overwrite").returncode == 0
    assert (tmp_path / "checkpoint.npz").read_bytes() != before and (tmp_path / "mine.txt").read_text() == "keep"


def test_samples_seen_are_rounded_up_to_whole_epochs(tmp_path, monkeypatch):
    images = np.random.default_rng(0).random((100, 5, 3))
    np.save(tmp_path / "mine.npy", images)
    monkeypatch.chdir(tmp_path)
    result = call("mine.npy", *QUICK[2:], "--samples-seen", 100)
    assert result.returncode == 0, result.stderr
    run = Run.open(tmp_path / "runs/mine")
    assert run.history()[-1]["samples_seen"] == 180  # a tenth of the images is held out
    assert run.config()["dataset"]["data_shape"] == [5, 3]


def test_a_conditional_model_with_learned_priors_draws_a_row_a_noise_vector_and_a_column_a_label(tmp_path):
    words = ("--conditional", "--prior", "label", "--likelihood", "gaussian", "--recipe", "aevb", "--epochs", "2")
    result = call("digits", *words, "--hidden", "16", "--out", tmp_path / "run")
    assert result.returncode == 0, result.stderr
    run = Run.open(tmp_path / "run")
    arrays, _ = run.load_checkpoint()
    assert run.config()["settings"]["conditional"] and arrays["params"].size == run.config()["parameters"]
    assert imread(run.path / "figures/samples.png").std() > 0.05
    fitted = tinyvae.load(run.path)
    y = np.tile(np.arange(10), 3)
    samples = fitted.sample(30, y, share=10)
    assert samples.shape == (30, 8, 8) and not np.allclose(samples[0], samples[1])
    fitted.params["prior.mu"][:] = 0
    fitted.params["prior.logvar"][:] = 0
    fitted.params["decoder.0.W"][-10:] = 0  # nothing but the noise is left, which a row shares
    samples = fitted.sample(30, y, share=10)
    # to rounding: with some sets of BLAS kernels it depends on where in a tile a row stands
    np.testing.assert_allclose(samples[:9], samples[1:10], rtol=1e-6)
    assert not np.allclose(samples[0], samples[10])


def test_a_small_data_set_is_shown_until_400_000_examples_are_seen_unless_a_length_is_asked_for(tmp_path):
    np.save(tmp_path / "many.npy", np.zeros((30_000, 2, 2), bool))
    quick = ("--hidden", "4", "--latent", "2", "--quiet", "--out", str(tmp_path / "run"), "--overwrite")

    def epochs(*words):
        run, state, _ = train.start(options.build_parser(None).parse_args([*words, *quick]))
        run.close()
        return state.settings.epochs

    assert epochs("digits") == 248  # of 1,617 examples, in whole epochs
    assert epochs("digits", "--limit", "100") == 4000
    assert epochs(str(tmp_path / "many.npy")) == 20 == Settings.epochs  # which are more
    assert epochs("digits", "--epochs", "3") == 3
    assert epochs("digits", "--recipe", "aevb") == RECIPES["aevb"].epochs


@pytest.mark.parametrize("recipe", [(), ("--recipe", "aevb")])
def test_a_default_minibatch_is_at_most_what_there_is(recipe, tmp_path):
    """And such a run goes on, as one that was asked for so small a minibatch; one that is too large is refused."""
    words = ("digits", "--limit", 54, *recipe, "--hidden", 16, "--latent", 2, "--schedule", "constant", "--quiet")
    runs = []
    for name, more in (("default", ()), ("given", ("--batch-size", 54))):
        assert call(*words, *more, "--epochs", 2, "--out", tmp_path / name).returncode == 0
        result = call("--resume", tmp_path / name, "--epochs", 3, "--quiet")
        assert result.returncode == 0, result.stderr
        runs.append(Run.open(tmp_path / name))
        assert runs[-1].config()["settings"]["batch_size"] == 54 and "minibatch 54," in runs[-1].config()["protocol"]
        _, state = runs[-1].load_checkpoint()
        assert (state["step"], state["samples_seen"]) == (3, 3 * 54)
    np.testing.assert_array_equal(*(run.load_checkpoint()[0]["params"] for run in runs))
    message = "--batch-size 55 is more than the 54 training examples of digits: use --batch-size 54 or less"
    assert_misuse(call(*words, "--batch-size", 55, "--out", tmp_path / "refused"), message)
    assert not (tmp_path / "refused").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["digits", "--estimator", "dreg"], "use --objective iwae, or --estimator standard or stl"),
        (["digits", "--objective", "iwae", "--estimator", "stl"], "use --objective elbo, or --estimator standard or d"),
        (["digits", "--prior", "label"], "add --conditional"),
        (["digits", "--prior", "vamp", "--kl", "closed"], "leave it out"),
        (["floats.npy", "--conditional", "--epochs", "1"], "has no labels"),
        (["digits", "--stages", "9"], "from 1 to 8"),
        (["digits", "--stages", "2"], "those of --schedule iwae, and the run's is cosine: use --epochs"),
        (["digits", "--epoch", "3"], "did you mean --epochs?"),
        (["mnis"], "mnist"),
        (["digits", "--epochs", "0"], "--epochs: a whole number above zero is needed, not 0"),
        (["digits", "--epochs", "1", "--samples-seen", "5"], "not allowed with"),
        (["digits", "--lr", "-1"], "a number above zero is needed, not -1"),
        (["digits", "--latent", "3", "2", "--hidden", "5"], "--latent names 2 stochastic layers, --hidden has units"),
        (["digits", "--objective", "iwae", "--kl", "closed"], "--kl closed goes with --objective elbo"),
        (["digits", "--batch-size", "100000"], "--batch-size 100000 is more than"),
        (["digits", "--seed", "-1"], "2^64 - 1"),
        (["no_such.npy"], "no_such.npy"),
        (["floats.npy", "--epochs", "1"], "describes values from 0 to 1"),
        (["pickle.npy"], "pickle.npy"),
        (["digits", "--components", "4"], "add --prior mixture or vamp, or leave it out"),
        (["digits", "--overwrite"], "add --out DIR, or leave it out"),
        (["digits", "--recipe", "characters"], "--recipe characters is of strings, and digits has none: leave it out"),
        (["digits", "--recipe", "grammar"], "--recipe grammar is of strings, and digits has none: leave it out"),
        (["digits", "--dequantise"], "or use --likelihood gaussian or gaussian-linear\n"),
    ],
)
def test_misuse_is_told_in_words_and_by_exit_status_2(arguments, message, tmp_path, monkeypatch):
    np.save(tmp_path / "floats.npy", np.full((200, 4), 255.0))
    np.save(tmp_path / "pickle.npy", np.array([{}] * 20), allow_pickle=True)
    monkeypatch.chdir(tmp_path)
    assert_misuse(call(*arguments), message)
    assert not (tmp_path / "runs").exists()


def test_divergence_ends_with_status_1_and_the_last_good_checkpoint(tmp_path):
    result = command("digits", *QUICK, "--optimiser", "sgd", "--lr", "1e30", "--out", "run", cwd=tmp_path)
    assert result.returncode == 1 and "in epoch 1, step" in result.stderr and "Traceback" not in result.stderr
    assert not (tmp_path / "run/checkpoint.npz").exists()


HELP_AND_MODULES = """
import sys
from tinyvae import train
try:
    train.main(["--help"])
finally:
    print(*sys.modules, file=sys.stderr)
"""


def test_help_is_fast_to_import_and_shows_defaults_and_examples(tmp_path):
    result = python("-c", HELP_AND_MODULES, cwd=tmp_path)
    assert result.returncode == 0 and "[500]" in result.stdout and "python -m tinyvae.train digits" in result.stdout
    words = re.sub(r"-\s+", "-", " ".join(result.stdout.split()))  # names are broken at hyphens
    listed = [(f"{{{','.join(names)}}}", f"one of {', '.join(names)}") for names in CHOICES.values()]
    assert all(short in words or long in words for short, long in listed)
    modules = set(result.stderr.split())
    assert "tinyvae.cli.options" in modules
    assert not {"numpy", "numba", "scipy", "matplotlib", "sklearn", "pooch"} & modules


def test_recipes_are_the_start_and_options_override_them():
    arguments = options.build_parser(None).parse_args(["mnist", "--recipe", "aevb", "--latent", "3", "--lr", "0.01"])
    settings = options.resolve(arguments)
    assert (settings.latent, settings.learning_rate) == ((3,), 0.01)
    assert (settings.optimiser, settings.initialisation, settings.binarise) == ("adagrad", "aevb", "none")


def test_a_recipe_knows_its_data_set():
    """For the Frey faces AEVB takes Gaussians and 200 units, here a smaller step and as many examples as MNIST's."""
    frey, mnist, own = (
        options.resolve(options.build_parser(None).parse_args([name, "--recipe", "aevb"]))
        for name in ("frey", "mnist", "runs/frey.npy")
    )
    assert (frey.likelihood, frey.hidden) == ("gaussian", ((200,),)) and mnist == own == RECIPES["aevb"]
    assert (mnist.likelihood, mnist.hidden) == ("bernoulli", ((500,),))
    assert (frey.learning_rate, mnist.learning_rate) == (0.01, 0.02)
    assert abs(frey.epochs * 1768 / (mnist.epochs * 60_000) - 1) < 0.001
    words = ["frey", "--recipe", "aevb", "--likelihood", "bernoulli", "--hidden", "50"]
    assert options.resolve(options.build_parser(None).parse_args(words)).hidden == ((50,),)
    default = options.resolve(options.build_parser(None).parse_args(["frey"]))
    assert default == RECIPES["default"]


def test_several_layers_and_iwae_are_sampled():
    for words in (["--objective", "iwae"], ["--latent", "3", "2", "--hidden", "5", "4"]):
        assert options.resolve(options.build_parser(None).parse_args(["mnist", *words])).kl == "sampled"
    with pytest.raises(UserError):
        options.resolve(options.build_parser(None).parse_args(["mnist", "--objective", "iwae", "--kl", "closed"]))


@published_data.needed
def test_a_slice_of_mnist(tmp_path):
    result = command("mnist", "--limit", 5000, "--epochs", 3, "--out", "run", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    summary = Run.open(tmp_path / "run").read_json("summary.json")
    assert summary["test_examples"] == 10_000 and summary["samples_seen"] == 15_000
    assert -150 < summary["test_bound"] < -110
