"""Where Numba is not installed, the plain twins serve: the command, the estimator and the first half of the course.

The processes here find packages of the names numba and llvmlite that cannot be imported, before any real ones.
"""

import csv
import os
from pathlib import Path

import nbformat
import numpy as np
import pytest

from tests.commands import assert_misuse, command, python
from tests.notebooks import TUTORIALS

NOTICE = "Numba is not installed: all is computed by plain NumPy"
ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def without_numba(tmp_path_factory):
    """The environment variables of a process that finds no Numba."""
    folder = tmp_path_factory.mktemp("site")
    for name in ("numba", "llvmlite"):
        (folder / name).mkdir()
        (folder / name / "__init__.py").write_text(f'raise ModuleNotFoundError("No module named {name!r}")')
    return {"PYTHONPATH": os.pathsep.join([str(folder), str(ROOT)]), "MPLBACKEND": "agg"}


def bounds(folder):
    with (folder / "history.csv").open() as file:
        return np.array([[float(row["train_bound"]), float(row["test_bound"])] for row in csv.DictReader(file)])


@pytest.mark.slow
def test_a_training_says_so_once_and_comes_to_the_same_bounds(tmp_path, without_numba):
    arguments = "digits", "--epochs", "3", "--quiet", "--objective", "iwae", "--samples", "5", "--estimator", "dreg"
    result = command(*arguments, "--out", "plain", cwd=tmp_path, env=without_numba)
    assert result.returncode == 0 and result.stderr.count(NOTICE) == 1, result.stderr
    assert command(*arguments, "--out", "compiled", cwd=tmp_path).returncode == 0
    np.testing.assert_allclose(bounds(tmp_path / "plain"), bounds(tmp_path / "compiled"), rtol=1e-5)


def test_an_environment_in_which_numba_does_not_start_is_refused_in_words(tmp_path):
    result = command("digits", "--out", "run", cwd=tmp_path, env={"NUMBA_NUM_THREADS": "0"})
    assert_misuse(result, "Numba does not start: Number of threads specified must be > 0", "unset the environment's")
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_the_gradient_check_and_a_debugger_s_training_pass(tmp_path, without_numba):
    assert command(module="tinyvae.gradcheck", cwd=tmp_path, env=without_numba).returncode == 0
    result = command(module="tinyvae.gradcheck", cwd=tmp_path, env={"NUMBA_DISABLE_JIT": "1"})
    assert result.returncode == 0 and "NUMBA_DISABLE_JIT is set" in result.stderr


@pytest.mark.slow
def test_the_default_training_and_what_follows_it(tmp_path, without_numba):
    result = command("digits", cwd=tmp_path, env=without_numba)
    assert result.returncode == 0 and NOTICE in result.stderr, result.stderr
    run = tmp_path / "runs/digits"
    assert len(list((run / "figures").glob("*.png"))) == 3 and bounds(run)[-1, 1] > -24.5
    result = command(run, "--samples", "50", module="tinyvae.evaluate", cwd=tmp_path, env=without_numba)
    assert result.returncode == 0 and "log p(x)" in result.stdout, result.stderr
    assert command("--resume", run, "--epochs", "250", cwd=tmp_path, env=without_numba).returncode == 0


ESTIMATOR = """
import numpy as np
from sklearn.datasets import load_digits
from sklearn.base import clone
from sklearn.model_selection import cross_val_score
from tinyvae import VAE

X, y = load_digits(return_X_y=True)
X = X / 16
vae = VAE(n_components=5, max_epochs=5, random_state=0, n_importance_samples=20)
assert np.isfinite(cross_val_score(vae, X[:300], cv=3)).all()
vae.fit(X)
assert vae.inverse_transform(vae.transform(X)).shape == X.shape and vae.sample(3).shape == (3, 64)
assert clone(vae).set_params(conditional=True, prior="vamp").fit(X, y).sample(4, y=2).shape == (4, 64)
"""


@pytest.mark.slow
def test_the_estimator(tmp_path, without_numba):
    result = python("-c", ESTIMATOR, cwd=tmp_path, env=without_numba)
    assert result.returncode == 0 and result.stderr.count(NOTICE) == 1, result.stderr


@pytest.mark.slow
@pytest.mark.parametrize("number", ["01", "02", "03", "04"])
def test_the_code_of_the_first_notebooks(number, tmp_path, without_numba):
    (path,) = TUTORIALS.glob(f"{number}_*.ipynb")
    cells = [cell.source for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
    script = tmp_path / "notebook.py"
    script.write_text("\n\n".join(cell for cell in cells if not cell.startswith("%")), encoding="utf-8")
    result = python(script, cwd=tmp_path, env=without_numba)
    assert result.returncode == 0, result.stderr
