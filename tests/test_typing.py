"""The types: that mypy accepts the package, sees what is wrong with it, and serves those who use it."""

import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from tests.commands import python
from tinyvae.derivation.model import Model
from tinyvae.derivation.parameters import Parameters

ROOT = Path(__file__).parents[1]

RIGHT = """\
from collections.abc import Mapping

import numpy as np

import tinyvae
from tinyvae import VAE, settings
from tinyvae.checks.finite_differences import Problem, check
from tinyvae.data import datasets
from tinyvae.derivation import bounds, gaussian
from tinyvae.derivation.mlp import mlp, mlp_backward
from tinyvae.derivation.model import Model
from tinyvae.derivation.networks import MLP
from tinyvae.derivation.parameters import Parameters
from tinyvae.settings import Settings
from tinyvae.training.fitted import Fitted
from tinyvae.training.initialisation import initialise
from tinyvae.training.loop import Training
from tinyvae.types import Array, Cache

model = Model(data_shape=(2, 3), latent=(2,), hidden=((3,),))
params = Parameters(model.shapes())
initialise(params, "glorot", seed=0)
x, noise = np.full((4, 6), 0.5, np.float32), [np.zeros(shape, np.float32) for shape in model.noise_shapes(4, 3)]
logw, cache = model.log_weights(params, x, noise)
bound, dlogw = bounds.iwae(logw)
gradient: Array = model.backward(params, cache, dlogw, *bounds.dreg(dlogw))["encoder.0.W"]
settings.BOUNDS["mine"] = lambda logw: bounds.elbo(0.5 * logw)


class Doubled(MLP):
    def forward(
        self, weights: Mapping[str, Array], x: Array, labels: Array, given: Array | None = None
    ) -> tuple[Array, Cache]:
        out, cache = super().forward(weights, x, labels, given)
        return 2 * out, cache


settings.NETWORKS["doubled"] = Doubled, MLP

h, hidden = mlp(np.zeros((4, 3)), [(np.zeros((3, 2)), np.zeros(2))])
dh, dlayers = mlp_backward(h, hidden)
size: int = (dh + 1).size + sum(W.size for W, b in dlayers)


def exponential(x: Array) -> tuple[Array, Array]:
    return np.exp(x), np.exp(x)


errors = check(Problem("exp", {"x": np.ones(3)}, exponential, lambda dout, out: {"x": dout * out}))
worst: float = max(errors.values())
training = Training(Settings(epochs=1), datasets.load("digits", limit=100), threads=1)
mean: float = training.run_epoch(lambda examples, bound: print(examples + 1, bound / 2))
fitted: Fitted = tinyvae.load("runs/digits")
mu, logvar = fitted.encode(training.dataset.test)
width: int = (fitted.decode(mu) - fitted.sample(len(mu))).shape[-1]


def components(vae: VAE) -> object:
    return vae.n_components
"""

WRONG = """\
import numpy as np
import tinyvae
from tinyvae.data import datasets
from tinyvae.derivation import bounds, gaussian
from tinyvae.derivation.likelihoods import BERNOULLI
from tinyvae.derivation.model import Model
from tinyvae.derivation.parameters import Parameters

mu, model = np.zeros((2, 3)), Model(data_shape=(6,))
gaussian.kl("mu", mu)  # wrong
gaussian.kl(mu, logvar=[0.0])  # wrong
gaussian.kl(mu)  # wrong
z = gaussian.sample(mu, mu, mu)
gaussian.sample_backward(z, None)  # wrong
bounds.elbo(mu) + 1  # wrong
model.decode(mu, mu)  # wrong
model.posterior(Parameters(model.shapes()), mu, mu, y="3")  # wrong
BERNOULLI.mean(3)  # wrong
datasets.load("mnist").train_label  # wrong
datasets.load("mnist", limit="10")  # wrong
tinyvae.VEA  # wrong
Model(6)  # wrong
tinyvae.load("runs/digits").encode(mu, "3")  # wrong
tinyvae.load("runs/digits").decoded  # wrong
"""


def lines_with_errors(name, output):
    """The numbers of the lines of a file that mypy has something against."""
    return {int(number) for number in re.findall(rf"^(?:.*/)?{name}:(\d+): error: ", output, re.MULTILINE)}


def copy_of_the_package(folder):
    """A folder with the package and nothing else, as an installation has it."""
    shutil.copytree(ROOT / "tinyvae", folder / "tinyvae", ignore=shutil.ignore_patterns("__pycache__"))
    return folder


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    """The environment variable for a cache that the runs share."""
    return {"MYPY_CACHE_DIR": str(tmp_path_factory.mktemp("mypy"))}


def test_mypy_accepts_the_package():
    result = python("-m", "mypy", cwd=ROOT)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.slow
def test_mypy_sees_wrong_types_and_missing_ones(tmp_path, cache):
    copy_of_the_package(tmp_path)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    source = tmp_path / "tinyvae/derivation/gaussian.py"
    lines = len(source.read_text(encoding="utf-8").splitlines())
    with source.open("a", encoding="utf-8") as file:
        file.write('def untyped(mu):\n    return mu\nwrong: Array = "mu"\n')
    result = python("-m", "mypy", cwd=tmp_path, env=cache)
    assert lines_with_errors("gaussian.py", result.stdout) == {lines + 1, lines + 3}, result.stdout + result.stderr
    assert "Found 2 errors in 1 file" in result.stdout, result.stdout


@pytest.mark.slow
def test_users_are_told_what_is_wrong_in_their_programs_and_nothing_else(tmp_path, cache):
    site = copy_of_the_package(tmp_path / "site")
    (tmp_path / "right.py").write_text(RIGHT, encoding="utf-8")
    (tmp_path / "wrong.py").write_text(WRONG, encoding="utf-8")
    environment = cache | {"PYTHONPATH": str(site)}
    result = python("-m", "mypy", "--strict", "right.py", cwd=tmp_path, env=environment)
    assert result.returncode == 0, result.stdout + result.stderr
    result = python("-m", "mypy", "wrong.py", cwd=tmp_path, env=environment)
    wrong = {number for number, line in enumerate(WRONG.splitlines(), start=1) if line.endswith("# wrong")}
    assert lines_with_errors("wrong.py", result.stdout) == wrong, result.stdout + result.stderr
    assert "in 1 file (checked 1 source file)" in result.stdout, result.stdout


def test_a_conditional_model_without_labels_is_refused_where_types_cannot_tell():
    model = Model(data_shape=(6,), latent=(2,), hidden=((3,),), n_labels=3)
    params, x = Parameters(model.shapes()), np.zeros((4, 6), np.float32)
    noise = [np.zeros(shape, np.float32) for shape in model.noise_shapes(4, 1)]
    with pytest.raises(ValueError, match="a model of 3 labels needs y"):
        model.log_weights(params, x, noise)
    with pytest.raises(ValueError, match="a model of 3 labels needs y"):
        model.decode(params, np.zeros((4, 2), np.float32))
