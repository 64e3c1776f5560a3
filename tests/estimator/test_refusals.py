"""What is refused, and in which words."""

import pickle

import numpy as np
import pytest
from scipy import sparse
from sklearn.base import clone
from sklearn.model_selection import cross_val_score

from tests.estimator.models import SMALL, same, trained
from tinyvae import VAE


@pytest.mark.parametrize("method", ["fit", "partial_fit", "transform", "score_samples"])
def test_sparse_data_are_refused(digits, fitted, method):
    with pytest.raises(TypeError, match=r"Sparse data was passed for X, but dense data is required.*toarray"):
        getattr(clone(fitted) if "fit" in method else fitted, method)(sparse.csr_matrix(digits[0]))


@pytest.mark.parametrize("method", ["transform", "score_samples", "score", "partial_fit"])
def test_data_that_do_not_fit_are_refused(digits, fitted, method):
    X, call = digits[0], getattr(pickle.loads(pickle.dumps(fitted)), method)
    for wrong, message in [
        (X[:, :60], "X has 60 features, but VAE is expecting 64 features"),
        (X[0], "1D array"),
        (X[:0], "0 sample"),
        (np.where(X > 0.9, np.nan, X), "NaN"),
        (X[np.newaxis], r"the shape \(1, 1797, 64\), but a row of numbers is needed.*X\.reshape\(len\(X\), -1\)"),
        (2 * X - 0.5, r'from -0.5 to 1.5, but likelihood="bernoulli" describes values from 0 to 1: rescale X'),
        (np.int64(255 * X), 'from 0 to 255, but likelihood="bernoulli" describes values from 0 to 1: rescale X'),
    ]:
        with pytest.raises(ValueError, match=message):
            call(wrong)


@pytest.mark.parametrize("dtype", [np.int64, np.uint16, float])
def test_grey_levels_of_another_type_are_not_bernoulli_s(digits, dtype):
    X = dtype(255) * (digits[0] > 0.5)
    for likelihood in ("bernoulli", "gaussian"):
        with pytest.raises(ValueError, match=rf'from 0 to 255, but likelihood="{likelihood}".*grey levels / 255'):
            VAE(likelihood=likelihood).fit(X)


@pytest.mark.parametrize("excess", [1.001, np.nextafter(1, 2)])
def test_a_value_beyond_those_that_auto_has_seen(digits, excess):
    """In the part that a cross-validation holds out: the message says what to set, and to its last digit why."""
    X = digits[0][:200].astype(float)
    X[0, 0] = excess
    words = rf'from 0 to {excess}, but likelihood="bernoulli" describes values from 0 to 1: .*clip it.* or set '
    words += r'likelihood="gaussian-linear" and fit again \("auto" chose "bernoulli" since the X that was fitted lay'
    with pytest.raises(ValueError, match=words):
        cross_val_score(VAE(**SMALL), X, error_score="raise")
    assert np.isfinite(cross_val_score(VAE(**SMALL, likelihood="gaussian-linear", n_importance_samples=5), X)).all()
    with pytest.raises(ValueError) as caught:
        VAE(**SMALL, likelihood="bernoulli").fit(X)
    assert "auto" not in str(caught.value)


def test_latent_values_of_another_width_are_refused(fitted):
    with pytest.raises(ValueError, match="X has 4 columns, but this VAE has 3 components"):
        fitted.inverse_transform(np.zeros((5, 4)))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("n_components", 0),
        ("n_components", 2.0),
        ("n_components", True),
        ("hidden", 500),
        ("hidden", "500"),
        ("hidden", (8, 0)),
        ("likelihood", "poisson"),
        ("likelihood", np.array(["bernoulli", "gaussian"])),
        ("objective", "ELBO"),
        ("n_samples", -1),
        ("network", "cnn"),
        ("activation", "gelu"),
        ("channels", 32),
        ("channels", "32"),
        ("channels", ()),
        ("channels", (8, 0.5)),
        ("kernel", 0),
        ("stride", 2.0),
        ("data_shape", 64),
        ("data_shape", "8x8"),
        ("data_shape", ()),
        ("data_shape", (64, 0)),
        ("data_shape", (8, 8, 1, 1)),
        ("data_shape", (8, 7)),
        ("prior", "laplace"),
        ("prior", "label"),
        ("n_prior_components", 0),
        ("conditional", "yes"),
        ("max_epochs", 0),
        ("batch_size", 0.5),
        ("learning_rate", 0),
        ("learning_rate", float("nan")),
        ("learning_rate", "fast"),
        ("schedule", "linear"),
        ("n_importance_samples", 0),
        ("random_state", -1),
        ("random_state", 2**64),
        ("n_jobs", 0),
        ("n_jobs", 10**6),
        ("n_jobs", "2"),
        ("n_jobs", 1.5),
        ("n_jobs", True),
        ("verbose", "no"),
        ("verbose", -1),
        ("hidden", {7, 300, 5}),
        ("hidden", {7: 1}),
        ("hidden", np.array(5)),
        ("hidden", b"ab"),
        ("channels", {3, 4}),
        ("learning_rate", 10**400),
        ("beta", 10**400),
        ("anneal", 10**400),
        ("feedback", np.array([1, 2])),
    ],
)
def test_parameters_without_sense_are_refused(digits, name, value):
    """By both ways to train; but to go on takes no new seed."""
    begun = VAE(**SMALL).partial_fit(digits[0][:100]).set_params(**{name: value})
    for train in (VAE(**SMALL | {name: value}).fit, VAE(**SMALL | {name: value}).partial_fit, begun.partial_fit):
        if train != begun.partial_fit or name != "random_state":
            with pytest.raises(ValueError, match=name):
                train(digits[0])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"data_shape": None},
            r'network="conv" needs images, and data_shape=None is not.*pass data_shape=\(height, wid',
        ),
        ({"data_shape": (64,)}, r"data_shape=\(64,\) is not the shape of one"),
        ({"data_shape": (8, 9)}, r"data_shape=\(8, 9\) is of 72 numbers, but X has 64 features"),
        ({"stride": 4}, "stride=4 is more than kernel=3, .*use stride=3 or less"),
    ],
)
def test_convolutions_without_sense_are_refused(digits, conv_fitted, changes, message):
    for vae in (clone(conv_fitted), pickle.loads(pickle.dumps(conv_fitted))):
        before = pickle.dumps(vae.set_params(**changes))
        for fit in (vae.fit, vae.partial_fit):
            with pytest.raises(ValueError, match=message):
                fit(digits[0])
        assert pickle.dumps(vae) == before


def test_what_only_convolutions_use_is_not_held_against_others(digits, fitted):
    assert same(VAE(**SMALL, kernel=1, stride=7).fit(digits[0]), fitted)


def test_sizes_may_stand_in_a_list_a_range_or_an_array(digits):
    expected = VAE(**SMALL | {"hidden": (4, 5)}).fit(digits[0])
    for hidden in ([4, 5], range(4, 6), np.array([4, 5])):
        assert same(VAE(**SMALL | {"hidden": hidden, "verbose": False, "n_jobs": np.int64(1)}).fit(digits[0]), expected)


def test_masked_values_are_refused(digits, fitted):
    """Whose mask would be lost without a word."""
    X = np.ma.masked_greater(digits[0], 0.95)
    words = rf"X has {X.mask.sum()} masked values, .*leave these examples out, or fill them in"
    for use in (VAE(**SMALL).fit, fitted.transform, fitted.score_samples):
        with pytest.raises(ValueError, match=words):
            use(X)
    with pytest.raises(ValueError, match="X has 3 masked values"):
        fitted.inverse_transform(np.ma.masked_equal(np.eye(3), 1))
    np.testing.assert_array_equal(fitted.transform(np.ma.array(digits[0])), fitted.transform(digits[0]))  # none is


@pytest.mark.filterwarnings("error")
def test_values_that_the_model_s_floats_cannot_hold_are_refused(digits):
    """Of which a model in float32 would make infinity, and then NaN, without a word."""
    X = np.random.default_rng(0).standard_normal((40, 5))
    vae = VAE(**SMALL, likelihood="gaussian-linear", n_importance_samples=2).fit(X.astype(np.float32))
    far = X.copy()
    far[3, 2] = 1e39
    for name in ("transform", "score_samples", "score", "partial_fit"):
        with pytest.raises(ValueError, match=r"numbers in X have a value of 1e\+39, which is too large for float32"):
            getattr(pickle.loads(pickle.dumps(vae)), name)(far)
    with pytest.raises(ValueError, match="z has a value that is not finite in float32"):
        vae.inverse_transform(np.full((1, 3), 1e39))
    if np.finfo(np.longdouble).max > np.finfo(float).max:
        with pytest.raises(ValueError, match="X has a value that is too large for float64"):
            vae.transform(far.astype(np.longdouble) ** 9)


def test_what_a_run_has_chosen_and_no_parameter_is_said_to_be_the_run_s(no_pictures, tmp_path):
    words = ("--kl", "sampled", "--estimator", "stl", "--latent", 3, "--epochs", 1)
    vae = VAE.from_run(trained(tmp_path / "run", *words)).set_params(beta=2.0)
    X = np.random.default_rng(0).random((60, 64))
    advice = "set back what was changed since, or begin anew with fit"
    with pytest.raises(ValueError, match=rf"(?s)go with kl closed, .*\nkl is of the run that goes on, .*: {advice}$"):
        vae.partial_fit(X)
    vae.fit(X)  # is what it says
    with pytest.raises(ValueError, match="go with objective elbo, one stochastic layer") as caught:
        VAE(**SMALL, beta=2.0, objective="iwae", n_samples=2).fit(X)
    assert "kl" not in str(caught.value)  # which nobody has chosen


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"network": "conv", "data_shape": (2, 2)}, "^kernel=4 is twice as wide .* of channels=32,64 looks at"),
        ({"likelihood": "logistic"}, "or use likelihood gaussian$"),
        (
            {"n_components": 10**15},
            "Make n_components, hidden or n_prior_components smaller, or batch_size and n_samples",
        ),
    ],
)
def test_messages_name_parameters_and_no_options(changes, words):
    with pytest.raises(ValueError, match=words) as error:
        VAE(**changes).fit(np.random.default_rng(0).random((200, 4)))
    assert "--" not in str(error.value)
