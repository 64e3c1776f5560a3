"""scikit-learn's own checks of an estimator, and its company: pickle, pipelines, searches, dtypes."""

import pickle
import subprocess
import sys

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator, parametrize_with_checks

import tinyvae
from tests.estimator.models import SMALL, same
from tinyvae import VAE

VARIANTS = (
    {},
    {"objective": "iwae", "n_samples": 2, "activation": "relu"},
    {"likelihood": "gaussian-linear", "prior": "mixture", "n_prior_components": 3, "hidden": ()},
)


@parametrize_with_checks([VAE(hidden=(8,), max_epochs=2).set_params(**variant) for variant in VARIANTS])
def test_scikit_learn_s_checks(estimator, check, monkeypatch):
    monkeypatch.setenv("SCIPY_ARRAY_API", "1")  # the check of array API input is left out without it
    check(estimator)


@pytest.mark.slow
def test_scikit_learn_s_checks_of_the_default(monkeypatch):
    monkeypatch.setenv("SCIPY_ARRAY_API", "1")
    results = check_estimator(VAE())
    assert len(results) > 40 and {result["status"] for result in results} == {"passed"}


@pytest.mark.parametrize("name", ["fitted", "conv_fitted"])
def test_pickle_and_joblib_keep_every_bit(digits, name, tmp_path, request):
    X, fitted = digits[0][:50], request.getfixturevalue(name)
    joblib.dump(fitted, tmp_path / "vae")
    for copy in (pickle.loads(pickle.dumps(fitted)), joblib.load(tmp_path / "vae")):
        assert same(copy, fitted) and copy.settings_ == fitted.settings_ and copy.model_ == fitted.model_
        np.testing.assert_array_equal(copy.transform(X), fitted.transform(X))
        np.testing.assert_array_equal(copy.score_samples(X[:5]), fitted.score_samples(X[:5]))
        np.testing.assert_array_equal(copy.sample(5), fitted.sample(5))
        next(iter(copy.params_.values()))[0, 0] += 1
        assert copy.params_.flat[0] == fitted.params_.flat[0] + np.float32(1)  # still views of one vector


def test_a_pipeline_with_names(digits):
    X = pd.DataFrame(digits[0], columns=[f"pixel {i}" for i in range(64)], index=range(7, 7 + len(digits[0])))
    y = pd.Series(digits[1], X.index)
    pipeline = make_pipeline(StandardScaler(), VAE(**SMALL), LogisticRegression(max_iter=1000))
    pipeline.set_output(transform="pandas").fit(X, y)
    assert 0.2 < pipeline.score(X, y) <= 1
    features = pipeline[:-1].transform(X)
    assert list(features.columns) == ["vae0", "vae1", "vae2"] == list(pipeline[1].get_feature_names_out())
    assert features.index.equals(X.index) and pipeline[1].feature_names_in_.tolist() == list(X.columns)
    with pytest.raises(ValueError, match="feature names"):
        pipeline[1].transform(X[X.columns[::-1]])


def test_a_search_picks_the_better_model_and_fits_it_again(digits):
    X = digits[0][:800]
    vae = VAE(hidden=(32,), likelihood="bernoulli", max_epochs=60, n_importance_samples=20, random_state=0)
    search = GridSearchCV(vae, {"n_components": [1, 8], "learning_rate": [0.01, 1e-6]}, cv=2).fit(X)
    assert search.best_params_ == {"n_components": 8, "learning_rate": 0.01}
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert same(search.best_estimator_, clone(vae).set_params(**search.best_params_).fit(X))


def test_a_search_over_networks(digits):
    """Each with what it needs; the parameters are as they were given, and the best is fitted again with its own."""
    X = digits[0][:300]
    vae = VAE(**SMALL | {"max_epochs": 2}, likelihood="bernoulli", n_importance_samples=5)
    grid = [
        {"network": ["mlp"], "activation": ["tanh", "relu"]},
        {"network": ["conv"], "data_shape": [(8, 8), [8, 8, 1]], "channels": [(2,), (3, 4)], "kernel": [3]},
    ]
    search = GridSearchCV(vae, grid, cv=2, error_score="raise").fit(X)
    assert len(search.cv_results_["params"]) == 6 and np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert same(search.best_estimator_, clone(vae).set_params(**search.best_params_).fit(X))
    given = clone(vae).set_params(**search.cv_results_["params"][-1]).fit(X).get_params()
    assert (given["network"], given["data_shape"], given["channels"]) == ("conv", [8, 8, 1], (3, 4))


def test_the_dtype_is_kept(digits, fitted):
    X, _ = digits
    double = VAE(**SMALL).fit(X.astype(np.float64))
    for vae, dtype in ((fitted, np.float32), (double, np.float64)):
        assert vae.params_.flat.dtype == vae.sample(2).dtype == dtype
        for x in (X, X.astype(np.float64)):
            z = vae.transform(x)
            assert z.dtype == vae.inverse_transform(z).dtype == x.dtype
    assert VAE(**SMALL).fit(np.int64(X > 0.5)).params_.flat.dtype == np.float64
    assert VAE(**SMALL).fit((X > 0.5).tolist()).params_.flat.dtype == np.float32
    np.testing.assert_allclose(fitted.history_[-1]["train_bound"], double.history_[-1]["train_bound"], rtol=1e-4)


@pytest.mark.parametrize("dtype", [">f4", ">f8", np.float16])
def test_floats_of_other_widths_and_byte_orders(digits, dtype):
    """Sixteenths, which every type holds exactly: the model is that of the type in which they are computed."""
    other = digits[0].astype(dtype)
    X = digits[0].astype(np.float64 if other.dtype.itemsize == 8 else np.float32)
    vae, expected = VAE(**SMALL).fit(other), VAE(**SMALL).fit(X)
    assert same(vae, expected) and vae.params_.flat.dtype == X.dtype and vae.settings_.dtype == X.dtype.name
    for result, right in (
        (vae.transform(other), expected.transform(X)),
        (vae.inverse_transform(other[:, :3]), expected.inverse_transform(X[:, :3])),
        (vae.score_samples(other[:5]), expected.score_samples(X[:5])),
    ):
        np.testing.assert_array_equal(result, right)
        assert result.dtype == right.dtype and result.dtype.isnative
    assert same(vae.partial_fit(other), expected.partial_fit(X))


def test_the_package_lists_its_two_names():
    assert {"VAE", "load", "__version__"} <= set(dir(tinyvae))
    assert tinyvae.__all__ == ("VAE", "load") and all(callable(getattr(tinyvae, name)) for name in tinyvae.__all__)


def test_the_package_does_not_import_it_unasked():
    code = (
        "import sys, tinyvae; assert not {'sklearn', 'numba', 'numpy'} & set(sys.modules); print(tinyvae.VAE.__name__)"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "VAE\n"
    with pytest.raises(AttributeError, match="has no attribute 'GAN'"):
        tinyvae.GAN  # noqa: B018
