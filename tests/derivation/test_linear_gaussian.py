"""The oracle where everything is known: with linear networks the model is probabilistic PCA (Tipping and Bishop 1999).

x = W z + m + s e with z and e standard normal has log p(x) in closed form, and so has its posterior
N(M^-1 Wᵀ (x - m), s² M^-1) with M = Wᵀ W + s² 1, which is diagonal for the principal axes.
"""

import itertools

import numpy as np
import pytest
from scipy import stats
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA

from tinyvae.data.datasets import Dataset
from tinyvae.derivation import bounds
from tinyvae.derivation.model import Model
from tinyvae.derivation.parameters import Parameters
from tinyvae.settings import BOUNDS, Settings
from tinyvae.training.loop import Training

Q = 3  # latent dimensions


@pytest.fixture(scope="module")
def ppca():
    """The model with the weights of scikit-learn's PCA of the digits, as data, parameters and PCA."""
    x = load_digits().data[:, 20:40] / 16
    pca = PCA(Q).fit(x)
    s2 = pca.noise_variance_
    W = pca.components_ * np.sqrt(pca.explained_variance_ - s2)[:, None]  # (Q, D): rows are scaled principal axes
    M = W @ W.T + s2 * np.eye(Q)
    model = Model((x.shape[1],), (Q,), ((),), "gaussian-linear")
    params = Parameters(model.shapes(), dtype=np.float64)
    D = x.shape[1]
    params["decoder.0.W"][:, :D] = W
    params["decoder.0.b"][:] = np.concatenate([pca.mean_, np.full(D, np.log(s2))])
    back = W.T @ np.linalg.inv(M)
    params["encoder.0.W"][:, :Q] = back
    params["encoder.0.b"][:] = np.concatenate([-pca.mean_ @ back, np.log(s2 / np.diag(M))])
    return x, model, params, pca, (W, s2)


def test_the_exact_likelihood_is_reached_at_the_true_posterior(ppca):
    x, model, params, pca, (W, s2) = ppca
    exact = stats.multivariate_normal.logpdf(x, pca.mean_, W.T @ W + s2 * np.eye(x.shape[1]))
    np.testing.assert_allclose(exact, pca.score_samples(x), atol=1e-8)
    noise = [np.random.default_rng(0).standard_normal((len(x), 4, Q))]
    logw, _ = model.log_weights(params, x, noise)
    np.testing.assert_allclose(logw, np.repeat(exact[:, None], 4, axis=1), atol=1e-10)
    for bound in BOUNDS.values():
        np.testing.assert_allclose(bound(logw)[0], exact, atol=1e-10)
    closed, _ = model.log_weights(params, x, noise, closed_form_kl=True)
    error = closed.mean(axis=1).std() / np.sqrt(len(x))
    assert abs(closed.mean() - exact.mean()) < 5 * error


def test_bounds_rise_with_k_towards_the_exact_likelihood_elsewhere(ppca):
    x, model, params, pca, _ = ppca
    worse = params.with_flat(params.flat.copy())
    worse["encoder.0.b"][:] += np.array([0.2, -0.2, 0.1, 0.4, -0.3, 0.4])  # another mean and variance of q
    N, K = 200, 2000
    logw, _ = model.log_weights(worse, x[:N], [np.random.default_rng(1).standard_normal((N, K, Q))])
    exact = pca.score_samples(x[:N]).mean()
    values = []
    for k in (1, 5, 50):
        groups = bounds.iwae(logw.reshape(-1, k))[0].reshape(N, -1)
        error = np.sqrt(np.mean(groups.var(axis=1) / groups.shape[1]) / N)
        values.append((groups.mean(), error))
        assert groups.mean() < exact + 4 * error
    for (low, e1), (high, e2) in itertools.pairwise(values):
        assert low < high + 4 * np.hypot(e1, e2)
    assert values[0][0] < exact - 0.3 and values[2][0] > exact - 0.05


@pytest.mark.slow
def test_training_finds_the_likelihood_of_pca():
    """From a random start, by the package's own loop: within 0.05 nats of scikit-learn's on the training data."""
    rng = np.random.default_rng(0)
    digits = PCA(Q).fit(load_digits().data[:, 20:32] / 16)
    covariance = digits.get_covariance()
    x = rng.multivariate_normal(digits.mean_, covariance, 20_000)  # digits-like: their mean and principal axes
    dataset = Dataset("gaussian", x, x[:2000], None, None, (1, x.shape[1]), "")
    settings = Settings(
        latent=(Q,), hidden=((),), likelihood="gaussian-linear", learning_rate=0.02, epochs=60, batch_size=200,
        dtype="float64",
    )  # fmt: skip
    training = Training(settings, dataset)
    for _ in range(settings.epochs):
        training.run_epoch()
    logw, _ = training.model.log_weights(training.params, x[:5000], [rng.standard_normal((5000, 200, Q))])
    ours = bounds.iwae(logw)[0].mean()
    assert ours == pytest.approx(PCA(Q).fit(x).score(x[:5000]), abs=0.05)
