"""What the methods of a fitted model promise, against closed forms and probabilistic PCA."""

import pickle

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA

from tests.estimator.models import CONV, SMALL, same
from tinyvae import VAE


@pytest.fixture(scope="module")
def planted(digits):
    """A fitted VAE whose parameters are replaced by probabilistic PCA's (test_linear_gaussian.py), its data and PCA."""
    X, Q = load_digits().data[:, 20:40] / 16, 3
    pca = PCA(Q).fit(X)
    s2, D = pca.noise_variance_, X.shape[1]
    W = pca.components_ * np.sqrt(pca.explained_variance_ - s2)[:, None]
    M = W @ W.T + s2 * np.eye(Q)
    vae = VAE(Q, hidden=(), likelihood="gaussian-linear", max_epochs=1, random_state=0, n_importance_samples=7).fit(X)
    params = vae.params_
    params["decoder.0.W"][:] = np.concatenate([W, np.zeros((Q, D))], axis=1)
    params["decoder.0.b"][:] = np.concatenate([pca.mean_, np.full(D, np.log(s2))])
    params["encoder.0.W"][:] = np.concatenate([W.T @ np.linalg.inv(M), np.zeros((D, Q))], axis=1)
    params["encoder.0.b"][:] = np.concatenate([-pca.mean_ @ W.T @ np.linalg.inv(M), np.log(s2 / np.diag(M))])
    return vae, X, pca, W


def test_transform_is_the_posterior_mean_and_inverse_transform_the_decoder_s(digits, fitted):
    X, params = digits[0].astype(float), {name: array.astype(float) for name, array in fitted.params_.items()}
    hidden = np.tanh(X @ params["encoder.0.W"] + params["encoder.0.b"])
    mu = (hidden @ params["encoder.1.W"] + params["encoder.1.b"])[:, :3]
    np.testing.assert_allclose(fitted.transform(digits[0]), mu, atol=1e-5)
    hidden = np.tanh(mu @ params["decoder.0.W"] + params["decoder.0.b"])
    mean = 1 / (1 + np.exp(-(hidden @ params["decoder.1.W"] + params["decoder.1.b"])))
    np.testing.assert_allclose(fitted.inverse_transform(mu), mean, atol=1e-5)


def test_score_samples_is_exact_where_the_posterior_is(planted):
    vae, X, pca, _ = planted
    np.testing.assert_allclose(vae.score_samples(X), pca.score_samples(X), atol=1e-9)
    assert vae.score(X) == pytest.approx(pca.score(X), abs=1e-9)


def test_the_score_of_a_trained_linear_model_is_that_of_pca():
    """From a random start, on data that are digits-like: within 0.02 nats of the best there is."""
    digits = PCA(3).fit(load_digits().data[:, 20:32] / 16)
    X = np.random.default_rng(0).multivariate_normal(digits.mean_, digits.get_covariance(), 10_000)
    vae = VAE(3, hidden=(), likelihood="gaussian-linear", learning_rate=0.02, max_epochs=40, random_state=0).fit(X)
    assert vae.set_params(n_importance_samples=200).score(X[:1000]) == pytest.approx(
        PCA(3).fit(X).score(X[:1000]), abs=0.02
    )


def test_score_samples_rises_with_the_samples_and_does_not_depend_on_the_others(digits, fitted):
    X = digits[0][:400]
    few, many = (pickle.loads(pickle.dumps(fitted)).set_params(n_importance_samples=K) for K in (1, 500))
    values = many.score_samples(X)
    gain = values - few.score_samples(X)
    assert gain.mean() > 3 * gain.std() / np.sqrt(len(X))  # the ELBO and nearly log p(x)
    assert values.dtype == np.float64 and many.score(X) == values.mean()
    np.testing.assert_array_equal(many.score_samples(X[:20][::-1])[::-1], values[:20])
    np.testing.assert_array_equal(many.score_samples(X[7:8]), values[7:8])


def test_the_noise_of_each_example_is_its_own(planted):
    """So the errors of importance sampling are independent: their mean is small where each is not."""
    vae, X, pca, _ = planted
    worse = pickle.loads(pickle.dumps(vae))
    worse.params_["encoder.0.b"][:3] += 0.3  # another posterior than the true one
    gap = pca.score_samples(X) - worse.set_params(n_importance_samples=1).score_samples(X)
    divergence = 0.5 * np.sum(0.3**2 * np.exp(-vae.params_["encoder.0.b"][3:]))
    error = gap.std() / np.sqrt(len(X))
    assert gap.std() > 0.1 and abs(gap.mean() - divergence) < 5 * error


def test_samples_have_the_moments_of_the_decoder_s_means(planted):
    vae, _, pca, W = planted
    N = 20_000
    samples = vae.sample(N)
    covariance, variance = W.T @ W, (W**2).sum(axis=0)
    assert np.all(np.abs(samples.mean(axis=0) - pca.mean_) <= 5 * np.sqrt(variance / N))
    error = np.sqrt((np.outer(variance, variance) + covariance**2) / N)
    assert np.all(np.abs(np.cov(samples.T) - covariance) <= 5 * error)


@pytest.mark.parametrize("prior", ["mixture", "vamp"])
def test_samples_of_a_mixture(digits, prior):
    vae = VAE(**SMALL, prior=prior, n_prior_components=4).fit(digits[0])
    samples = vae.sample(500)
    assert samples.shape == (500, 64) and samples.dtype == np.float32
    assert np.abs(samples.mean(axis=0) - digits[0].mean(axis=0)).max() < 0.2


def test_a_convolutional_model_takes_rows_and_gives_rows(digits, conv_fitted):
    """The same numbers as its images, in the same order."""
    X, fitted = digits[0][:50], conv_fitted.fitted_
    z = conv_fitted.transform(X)
    assert z.shape == (50, 3) and fitted.data_shape == (8, 8)
    np.testing.assert_array_equal(z, fitted.encode(X.reshape(-1, 8, 8))[0])
    np.testing.assert_array_equal(conv_fitted.inverse_transform(z), fitted.decode(z).reshape(50, 64))
    np.testing.assert_array_equal(conv_fitted.sample(4), fitted.sample(4).reshape(4, 64))
    values = conv_fitted.score_samples(X)
    assert np.isfinite(values).all() and conv_fitted.score(X) == values.mean()
    np.testing.assert_array_equal(conv_fitted.score_samples(X[7:8]), values[7:8])


@pytest.mark.parametrize("likelihood", ["bernoulli", "gaussian"])
def test_a_convolutional_model_of_colours_and_labels(likelihood):
    rng = np.random.default_rng(0)
    X, y = rng.random((60, 5, 4, 3)).reshape(60, -1), rng.integers(0, 3, 60)
    changes = {"data_shape": [5, 4, 3], "likelihood": likelihood, "conditional": True, "hidden": ()}
    vae = VAE(**SMALL | CONV | changes).fit(X, y)
    assert vae.model_.data_shape == (5, 4, 3) and vae.n_features_in_ == 60
    assert vae.inverse_transform(vae.transform(X, y), y).shape == X.shape and vae.sample(y=2).shape == (1, 60)
    assert not np.array_equal(vae.transform(X, y), vae.transform(X, (y + 1) % 3))
    assert same(vae, clone(vae).fit(X, y)) and np.isfinite(vae.score(X, y))
