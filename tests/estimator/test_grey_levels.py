"""The scale of the data: uint8 and bool, numbers that are taken as they are, and what is said of them."""

import pickle
from contextlib import nullcontext

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from tests.estimator.models import SMALL, same
from tinyvae import VAE
from tinyvae.data.datasets import Dataset
from tinyvae.estimator.inputs import require_scale
from tinyvae.settings import Settings
from tinyvae.training.loop import Training


@pytest.fixture(scope="module")
def grey(digits):
    """uint8 from 0 to 255."""
    return np.uint8(255 * digits[0])


@pytest.fixture(scope="module")
def grey_fitted(grey):
    return VAE(**SMALL, n_importance_samples=20).fit(grey)


def test_uint8_is_trained_on_as_the_command_does(grey, grey_fitted):
    settings = Settings(latent=(3,), hidden=((16,),), epochs=3)
    training = Training(settings, Dataset("grey", grey, grey[:10], None, None, (64,), ""))
    for _ in range(3):
        training.run_epoch()
    assert grey_fitted.settings_ == settings and grey_fitted.model_.likelihood == "bernoulli"
    np.testing.assert_array_equal(grey_fitted.params_.flat, training.params.flat)


def test_uint8_and_its_255ths_are_the_same_to_every_method(grey, grey_fitted):
    scaled, vae = grey / np.float32(255), grey_fitted
    np.testing.assert_allclose(VAE(**SMALL).fit(scaled).params_.flat, vae.params_.flat, atol=1e-4)
    for X in (scaled, scaled.astype(np.float64), pd.DataFrame(grey)):
        np.testing.assert_array_equal(vae.transform(X), vae.transform(grey))
        np.testing.assert_array_equal(vae.score_samples(X[:9]), vae.score_samples(grey[:9]))
        assert vae.score(X[:9]) == vae.score(grey[:9])
    assert vae.transform(grey).dtype == vae.inverse_transform(vae.transform(grey)).dtype == np.float32
    double = VAE(**SMALL).fit(grey / 255)
    assert double.transform(grey).dtype == np.float64
    np.testing.assert_array_equal(double.transform(grey), double.transform(grey / 255))
    parts = [pickle.loads(pickle.dumps(vae)).partial_fit(X) for X in (grey, scaled)]
    assert same(*parts)


def test_the_scale_of_uint8_does_not_cost_accuracy(digits):
    """Which it did: 0.39 of the digits where their hundred labelled neighbours in z gave 0.75."""
    X, y = digits
    vae = VAE(n_components=8, hidden=(100,), max_epochs=60, random_state=0).fit(np.uint8(255 * X))
    z = StandardScaler().fit_transform(vae.transform(np.uint8(255 * X)))
    assert LogisticRegression(max_iter=1000).fit(z[:100], y[:100]).score(z[100:], y[100:]) > 0.65


def test_bool_is_black_and_white(digits):
    white = digits[0] > 0.5
    vae, expected = VAE(**SMALL).fit(white), VAE(**SMALL).fit(np.float32(white))
    assert same(vae, expected) and vae.model_.likelihood == "bernoulli"
    assert vae.transform(white).dtype == np.float32
    np.testing.assert_array_equal(vae.transform(white), expected.transform(np.float32(white)))


@pytest.mark.parametrize("as_given", [np.int64, np.uint16, np.float32, lambda X: X.astype(int).tolist(), pd.DataFrame])
@pytest.mark.parametrize("white", [16, 255, 65535])
def test_whole_numbers_are_taken_as_they_are_and_said_to_be(digits, as_given, white):
    X = as_given(np.rint(digits[0] * white))
    words = rf'whole numbers from 0 to {white}, which likelihood="auto" takes as they are.*set likelihood="gaussian-lin'
    for fit in (VAE(**SMALL).fit, VAE(**SMALL).partial_fit):
        with pytest.warns(UserWarning, match=words) as caught:
            vae = fit(X)
        assert len(caught) == 1 and caught[0].filename == __file__ and vae.model_.likelihood == "gaussian-linear"
    vae.transform(X)  # said once
    words = "standard deviations up to .* Standardise the columns"  # and not to those who say it themselves
    with pytest.warns(UserWarning, match=words) if white > 16 else nullcontext():
        VAE(**SMALL, likelihood="gaussian-linear").fit(X)


def test_uint8_whose_white_may_be_another_level_is_said_to_be(digits, grey):
    X = np.uint8(16 * digits[0])
    with pytest.warns(UserWarning, match=r"uint8 with no value above 16, less than half of the 255.*as in X / 16$"):
        vae = VAE(**SMALL).fit(X)
    vae.transform(X[:5])
    VAE(**SMALL).fit(X / 16)
    VAE(**SMALL).fit(np.zeros((5, 2), np.uint8))
    X = np.uint8(127 * digits[0])
    with pytest.warns(UserWarning, match="no value above 127, less than half"):
        VAE(**SMALL).fit(X)
    VAE(**SMALL).fit(X + (X == 127))  # 128 is no less than half of 255


def test_whole_numbers_are_sought_in_all_rows(digits):
    X = np.rint(digits[0][:150] * 16)
    X[120, 30] = 0.5  # one that cannot be a grey level
    VAE(**SMALL).fit(X)


def test_a_warning_is_of_the_line_that_called_be_it_through_scikit_learn(digits):
    """Else it is of a file that no user knows, and by default said once for all of them."""
    X = np.rint(digits[0][:60] * 16)
    vae = VAE(**SMALL, likelihood="gaussian-linear", n_importance_samples=2).fit(X / 16)
    uses = {
        "transform": lambda: vae.transform(X),
        "score": lambda: vae.score(X),
        "score_samples": lambda: vae.score_samples(X),
        "fit_transform": lambda: VAE(**SMALL).fit_transform(X),
        "a pipeline": lambda: make_pipeline(VAE(**SMALL)).fit(X),
        "a search": lambda: cross_val_score(VAE(**SMALL, n_importance_samples=2), X, cv=2),
    }
    for name, use in uses.items():
        with pytest.warns(UserWarning, match="whole numbers from 0 to 16") as caught:
            use()
        assert {warning.filename for warning in caught} == {__file__}, name


def test_what_cannot_be_grey_levels_is_taken_without_a_word(digits):
    white = np.rint(digits[0])
    for X in (white, white.astype(int), -16 * white, digits[0] * 16 + 0.5):
        VAE(**SMALL).fit(X)


def test_another_scale_than_was_fitted_is_said_to_be(grey, digits):
    """Where the likelihood describes both, so that nothing else would tell."""
    linear, sixteen = VAE(**SMALL, likelihood="gaussian-linear"), (grey // 16).astype(float)
    scaled, raw = clone(linear).fit(grey), clone(linear).fit(sixteen)
    for name in ("transform", "score", "score_samples", "partial_fit"):
        with pytest.warns(UserWarning, match="taken as they are, but the X that was fitted lay between 0 and 1"):
            getattr(clone(linear).fit(grey) if name == "partial_fit" else scaled, name)(grey[:9].astype(float))
        with pytest.warns(UserWarning, match=r"uint8 and is divided by 255, but.*X\.astype\(float\)"):
            getattr(clone(linear).fit(sixteen) if name == "partial_fit" else raw, name)(grey[:9])
    for vae, X in ((scaled, grey), (scaled, grey / 255), (raw, grey.astype(int)), (raw, grey / 255)):
        vae.transform(X)


def test_black_and_white_as_uint8_is_refused_as_by_the_command(digits):
    white = digits[0] > 0.5
    for fit in (VAE().fit, VAE().partial_fit):
        with pytest.raises(ValueError, match=r"black and nearly black \(1/255\).*X\.astype\(bool\)"):
            fit(white.astype(np.uint8))
    vae = VAE(**SMALL).fit(white)
    with pytest.warns(UserWarning, match="black and nearly black"):
        vae.transform(white.astype(np.uint8))
    vae.transform(np.zeros((2, 64), np.uint8))


def test_the_scale_of_a_run_s_data_is_not_known(grey, tmp_path):
    VAE(**SMALL, likelihood="gaussian-linear").fit(grey).write_run(tmp_path)
    vae = VAE.from_run(tmp_path)
    for X in (grey, grey.astype(float)):
        vae.transform(X)


def test_levels_are_scored_where_there_are_levels(grey):
    vae = VAE(**SMALL, likelihood="logistic", n_importance_samples=2).fit(grey)
    assert np.isfinite(vae.score(grey[:3] / 255))
    with pytest.raises(ValueError, match=r"X has values between the 256 levels .* or use likelihood gaussian"):
        vae.score(grey[:3] / 255 + 0.5 / 255 * (grey[:3] < 255))


def test_grey_levels_beside_other_numbers_in_a_frame_are_refused(digits):
    """All columns would get one type, and be divided by 255 or not, by what stands beside them."""
    X = pd.DataFrame(digits[0][:50]).astype({0: np.uint8})
    with pytest.raises(ValueError, match=r"columns of uint8, .* beside columns of float32: give all of them one type"):
        VAE(**SMALL).fit(X)
    VAE(**SMALL).fit(X.astype(float))
    nullable = X.astype("Float32").astype({0: "UInt8"})
    with pytest.raises(ValueError, match=r"columns of uint8, .* beside columns of float32: give all of them one type"):
        VAE(**SMALL).fit(nullable)


def test_grey_levels_of_a_frame_s_own_type_are_grey_levels(grey, grey_fitted):
    X = pd.DataFrame(grey).astype({0: "UInt8"})  # of pandas, beside columns of NumPy's
    for frame in (X, X.astype("UInt8")):
        assert same(VAE(**SMALL).fit(frame), grey_fitted)
    missing = X.astype("UInt8")
    missing.iloc[3, 4] = pd.NA
    with pytest.raises(ValueError, match=r"NaN|NA"):
        VAE(**SMALL).fit(missing)


def test_grey_levels_in_a_frame_of_polars(grey, grey_fitted):
    polars = pytest.importorskip("polars")
    X = polars.DataFrame({f"x{d}": column for d, column in enumerate(grey.T)})
    assert same(VAE(**SMALL).fit(X), grey_fitted)
    with pytest.raises(ValueError, match=r"columns of uint8, .* beside columns of float64"):
        VAE(**SMALL).fit(X.with_columns(polars.Series("x7", grey[:, 7] / 255)))


def test_columns_that_a_model_would_be_slow_to_learn_are_said_to_be():
    """Which is worth 30 nats here, where the widest of three has a standard deviation of 300."""
    X = np.random.default_rng(0).standard_normal((300, 3))
    for scale, words in ((300, r"up to 2\d\d \(column 2\).*Standardise"), (1e-3, r"up to 0\.00\d+ \(column")):
        for likelihood in ("auto", "gaussian-linear"):
            with pytest.warns(UserWarning, match=words) as caught:
                VAE(**SMALL, likelihood=likelihood).fit(X * [scale if scale < 1 else 1, min(1, scale), scale] - 5)
            assert len(caught) == 1 and caught[0].filename == __file__
    for wide in (X, 10 * X, X * [0.1, 0, 1e-4], np.zeros((5, 2)) - 1):
        VAE(**SMALL, likelihood="gaussian-linear").fit(wide)
    far = np.float32(1e5 + np.tile(X, (200, 1)))  # whose sum in single precision loses what the deviation is made of
    require_scale(far, "gaussian-linear", False)
    VAE(**SMALL).fit(X * 1e-3 % 1)  # under a Bernoulli
