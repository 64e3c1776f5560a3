"""The bridge: the model of notebook 4 in PyTorch and in JAX has our gradients, and both train alike."""

import contextlib
import importlib
import io
import re
import sys

import numpy as np
import pytest

from tests.commands import python
from tests.notebooks import TUTORIALS

BRIDGE = TUTORIALS / "bridge"
FRAMEWORKS = {"vae_torch": "torch", "vae_jax": "jax"}


@pytest.fixture
def script(monkeypatch):
    """A function from the name of a script of the bridge to its module; skips the test without its framework."""
    monkeypatch.setattr(sys, "path", [str(BRIDGE), *sys.path])

    def load(name):
        if name in FRAMEWORKS:
            pytest.importorskip(FRAMEWORKS[name])
        return importlib.import_module(name)

    return load


@pytest.mark.slow  # to import the frameworks
@pytest.mark.parametrize("sizes", [{}, {"N": 1, "D": 7, "H": 3, "Q": 1}, {"N": 3, "D": 5, "H": 8, "Q": 6, "seed": 1}])
@pytest.mark.parametrize("name", FRAMEWORKS)
def test_a_framework_finds_our_gradient(script, name, sizes):
    theirs, compare = script(name), script("compare")
    model, params, x, eps = compare.problem(**sizes)
    logw, _ = model.log_weights(params, x, [eps[:, None]], closed_form_kl=True)
    arrays = [dict(params), x, eps]
    if name == "vae_torch":
        tensor = importlib.import_module("torch").tensor
        arrays = [{key: tensor(array) for key, array in params.items()}, tensor(x), tensor(eps)]
    np.testing.assert_allclose(logw[:, 0], np.asarray(theirs.bounds(*arrays)), rtol=1e-12)
    gradient = theirs.gradient(dict(params), x, eps)
    assert compare.difference(compare.gradient(model, params, x, eps), gradient) < 1e-10


@pytest.mark.slow
def test_both_train_alike(script):
    with contextlib.redirect_stdout(io.StringIO()):
        histories = [script(name).train(epochs=20) for name in FRAMEWORKS]
    assert histories[0] == pytest.approx(histories[1], rel=1e-9)
    assert -26 < histories[0][0] < histories[0][1] < -24


def test_a_difference_is_seen_and_what_is_not_installed_is_named(script):
    compare = script("compare")
    gradient = compare.gradient(*compare.problem())
    wrong = {name: array.copy() for name, array in gradient.items()}
    wrong["encoder.1.b"][0] += 1e-6 * np.abs(wrong["encoder.1.b"]).max()
    assert compare.difference(gradient, wrong) == pytest.approx(1e-6, rel=1e-3)
    hide = "import sys; sys.modules |= {'torch': None, 'jax': None}; import compare; compare.main()"
    done = python("-c", hide, cwd=BRIDGE)
    assert (done.returncode, done.stderr) == (0, "")
    assert re.findall(r"^(\w+): (\w+) is not installed", done.stdout, re.MULTILINE) == list(FRAMEWORKS.items())


def test_the_page_says_how_long_the_scripts_are():
    lines = [len((BRIDGE / f"{name}.py").read_text(encoding="utf-8").splitlines()) for name in FRAMEWORKS]
    assert max(lines) <= 50
    page = (BRIDGE / "README.md").read_text(encoding="utf-8")
    assert f"{lines[0]} and {lines[1]} lines" in " ".join(page.split())
