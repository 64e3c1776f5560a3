"""Where the closed-form KL divergence takes noise away, and where it adds some (docs/derivations.md, section 6.4)."""

import numpy as np
import pytest

from tinyvae.data import datasets
from tinyvae.derivation import bounds
from tinyvae.derivation.model import Model
from tinyvae.derivation.parameters import Parameters
from tinyvae.settings import Settings
from tinyvae.training.loop import Training

D, S2 = 4, 0.1  # dimensions and variance of the data
W = np.array([0.6, -0.4, 0.3, 0.5])


def linear_gaussian(w):
    """x = w z + e with one z, whose encoder is the exact posterior: model, parameters, data (1, D), mu and sigma."""
    model = Model((D,), (1,), ((),), "gaussian-linear")
    params = Parameters(model.shapes(), dtype=np.float64)
    variance = 1 / (w @ w / S2 + 1)
    params["decoder.0.W"][:, :D] = w
    params["decoder.0.b"][D:] = np.log(S2)
    params["encoder.0.W"][:, 0] = variance * w / S2
    params["encoder.0.b"][:] = 0, np.log(variance)
    x = np.array([[0.9, -0.2, 0.1, 0.3]])
    return model, params, x, (x @ params["encoder.0.W"])[0, 0], np.sqrt(variance)


def exact_posterior():
    return linear_gaussian(W)


def zero_decoder():
    """The same encoder, and data that do not depend on z."""
    model, params, *rest = linear_gaussian(W)
    params["decoder.0.W"][:] = 0
    return model, params, *rest


def log_weights(problem, noise):
    """{closed: log w (K,)}."""
    model, params, x, *_ = problem
    return {closed: model.log_weights(params, x, [noise], closed_form_kl=closed)[0][0] for closed in (True, False)}


@pytest.mark.parametrize(("problem", "quiet"), [(exact_posterior(), False), (zero_decoder(), True)])
def test_each_form_is_without_noise_at_one_end_and_has_the_same_at_the_other(problem, quiet):
    """Equation (70) holds for the noisy one; ``quiet`` says whether the other is the closed form."""
    *_, mu, sigma = problem
    logw = log_weights(problem, np.random.default_rng(0).standard_normal((1, 100_000, 1)))
    assert logw[quiet].std() < 1e-12
    assert logw[not quiet].var() == pytest.approx(0.5 * (1 - sigma**2) ** 2 + mu**2 * sigma**2, rel=0.03)
    assert logw[not quiet].std() > 0.3
    assert logw[True].mean() == pytest.approx(logw[False].mean(), abs=0.02)  # and both are the ELBO


def by_mu(problem, eps):
    """{estimator: d log w / d mu} of one sample."""
    model, params, x, *_ = problem
    noise, result = [np.full((1, 1, 1), eps)], {}
    for name, weights in (("closed", bounds.standard), ("sampled", bounds.standard), ("stl", bounds.stl)):
        logw, cache = model.log_weights(params, x, noise, closed_form_kl=name == "closed")
        dlogw = bounds.elbo(logw)[1]
        result[name] = model.backward(params, cache, dlogw, *weights(dlogw))["encoder.0.b"][0]
    return result


@pytest.mark.parametrize("eps", [-1.3, 0.4, 2.0])
def test_the_gradient_by_the_mean_at_both_ends(eps):
    """Equation (71) and what follows from it: the closed form has less noise than the standard estimator at both."""
    *_, mu, sigma = problem = exact_posterior()
    wanted = {"closed": -(1 - sigma**2) * eps / sigma, "sampled": -eps / sigma, "stl": 0}
    assert by_mu(problem, eps) == pytest.approx(wanted, abs=1e-12)
    problem = zero_decoder()
    z = mu + sigma * eps
    assert by_mu(problem, eps) == pytest.approx({"closed": -mu, "sampled": -z, "stl": eps / sigma - z}, abs=1e-12)


def test_training_turns_the_order_round():
    """On the digits: before the first step the closed form's log weight has less noise, soon it has more."""
    dataset = datasets.load("digits")
    training = Training(Settings(), dataset)
    x = dataset.test[:50].astype(np.float32)
    noise = [np.random.default_rng(0).standard_normal((50, 100, 20)).astype(np.float32)]

    def deviations():
        for closed in (True, False):
            logw, _ = training.model.log_weights(training.params, x, noise, closed_form_kl=closed)
            yield logw.std(axis=1).mean()

    closed, sampled = deviations()
    assert closed < 0.7 * sampled
    for _ in range(5):
        training.run_epoch()
    closed, sampled = deviations()
    assert closed > 1.3 * sampled
