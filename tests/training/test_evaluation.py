"""The evaluation: log p(x) against quadrature and against the whole set of weights at once, the use of latent units."""

import json
from contextlib import nullcontext
from dataclasses import replace

import numpy as np
import pytest
from scipy import special, stats

from tests.commands import assert_misuse, call, command
from tinyvae import compare, evaluate, explore, interrupts, machine, train
from tinyvae.cli import console
from tinyvae.data import datasets
from tinyvae.disk.run import Run
from tinyvae.errors import Interrupted
from tinyvae.machine import noise
from tinyvae.machine.noise import Stream
from tinyvae.settings import RECIPES, Settings
from tinyvae.training import annealing, evaluation, importance_sampling
from tinyvae.training.loop import Training

SMALL = Settings(latent=(2,), hidden=((16,),), batch_size=50, epochs=3, learning_rate=0.01, binarise="static")


def log_likelihood(state, images, labels, K):
    """What is said of each example."""
    return importance_sampling.log_likelihood(state.model, state.params, state.settings.seed, images, labels, K)


def trained(**changes):
    state = Training(replace(SMALL, **changes), datasets.load("digits"))
    for _ in range(state.settings.epochs):
        state.run_epoch()
    return state


@pytest.fixture(scope="module")
def two_layers():
    return trained(latent=(4, 2), hidden=((16,), (8,)), kl="sampled", dtype="float64")


def test_streaming_in_blocks_is_the_same_as_all_weights_at_once(two_layers, monkeypatch):
    monkeypatch.setattr(importance_sampling, "BLOCK", 100)
    monkeypatch.setattr(importance_sampling, "GROUPS", (1, 5, 50))
    images, K = two_layers.dataset.test[:7], 260
    streamed = log_likelihood(two_layers, images, None, K)
    eps = noise.layers(two_layers.model.noise_shapes(7, K), 0, Stream.EVALUATION, 1, dtype=np.float64)
    logw, _ = two_layers.model.log_weights(two_layers.params, images.astype(float), eps)
    np.testing.assert_allclose(streamed["log_likelihood"], special.logsumexp(logw, axis=1) - np.log(K), rtol=1e-12)
    np.testing.assert_allclose(streamed["bound 1"], logw.mean(axis=1), rtol=1e-12)
    blocks = np.concatenate([logw[:, :250].reshape(7, 5, 50)], axis=1)  # whole groups of 50 in each block
    np.testing.assert_allclose(
        streamed["bound 50"], (special.logsumexp(blocks, axis=2) - np.log(50)).mean(axis=1), rtol=1e-12
    )
    v = special.softmax(blocks, axis=2)
    np.testing.assert_allclose(streamed["ess 50"], (1 / (v**2).sum(axis=2)).mean(axis=1), rtol=1e-12)
    np.testing.assert_allclose(streamed["largest 50"], v.max(axis=2).mean(axis=1), rtol=1e-12)
    said = evaluation.evaluate(two_layers.fitted, images, None, K)
    assert said["effective_sample_size"][50] == pytest.approx((1 / (v**2).sum(axis=2)).mean(), rel=1e-12)
    assert said["largest_weight"][50] == pytest.approx(v.max(axis=2).mean(), rel=1e-12)


@pytest.mark.filterwarnings("error")
def test_weights_of_zero_are_none_and_later_ones_count(two_layers, monkeypatch):
    """Where a whole block of samples has the density zero, and where all have."""
    monkeypatch.setattr(importance_sampling, "BLOCK", 10)
    monkeypatch.setattr(importance_sampling, "GROUPS", (1, 5))
    model, blocks = two_layers.model, iter(range(99))

    class Sometimes:
        def __getattr__(self, name):
            return getattr(model, name)

        def log_weights(self, *given, **options):
            logw, cache = model.log_weights(*given, **options)
            logw[0, :] = -np.inf  # the first example's are all zero
            logw[1, :] = -np.inf if next(blocks) in (0, 2) else logw[1]  # of the second those of two blocks
            return logw, cache

    images, params = two_layers.dataset.test[:3], two_layers.params
    found = importance_sampling.log_likelihood(Sometimes(), params, 0, images, None, 40)
    eps = noise.layers(model.noise_shapes(3, 40), 0, Stream.EVALUATION, 1, dtype=np.float64)
    logw, _ = model.log_weights(params, images.astype(float), eps)
    counted = np.concatenate([logw[1, 10:20], logw[1, 30:]])
    expected = [-np.inf, special.logsumexp(counted) - np.log(40), special.logsumexp(logw[2]) - np.log(40)]
    np.testing.assert_allclose(found["log_likelihood"], expected, rtol=1e-12)
    np.testing.assert_allclose(found["bound 5"][:2], -np.inf)  # the mean over groups, of which some are


def test_log_p_is_the_integral_over_the_latent_space():
    """Quadrature over a two-dimensional z, which importance sampling must meet within five standard errors."""
    state = trained()
    x = state.dataset.test[:5].astype(np.float32)
    side = np.linspace(-6, 6, 241)
    z = np.stack(np.meshgrid(side, side), axis=-1).reshape(-1, 2)
    p = state.model.decode(state.params, z.astype(np.float32)).astype(np.float64)
    log_joint = x @ np.log(p).T + (1 - x) @ np.log1p(-p).T - 0.5 * (z**2).sum(axis=1) - np.log(2 * np.pi)
    exact = special.logsumexp(log_joint, axis=1) + 2 * np.log(side[1] - side[0])
    K = 20_000
    result = log_likelihood(state, state.dataset.test[:5], None, K)
    error = np.sqrt(500 / np.maximum(result["ess 500"], 1) / K)
    assert np.all(np.abs(result["log_likelihood"] - exact) < 5 * error + 1e-3)  # float32 beside it
    assert np.all(result["bound 1"] < result["bound 5"]) and np.all(result["bound 50"] < exact + 0.05)


def test_units_that_the_decoder_ignores_are_not_active():
    state = trained(latent=(5,), epochs=40)
    state.params["encoder.1.W"][:, [1, 3]] = 0  # their mean no longer depends on x
    (layer,) = evaluation.latent_diagnostics(state.fitted, state.dataset.test, None)
    np.testing.assert_allclose(layer["variance"][[1, 3]], 0, atol=1e-10)
    assert layer["variance"].shape == layer["kl"].shape == (5,)
    mu, logvar = state.model.encode(state.params, state.dataset.test.astype(np.float32))
    np.testing.assert_allclose(layer["variance"], mu.var(axis=0), rtol=1e-4, atol=1e-10)
    np.testing.assert_allclose(layer["kl"], 0.5 * (mu**2 + np.exp(logvar) - 1 - logvar).mean(axis=0), rtol=1e-4)


def test_a_unit_is_active_by_the_variance_of_its_mean():
    layer = {"variance": np.array([0.005, 0.02])}
    assert [evaluation.active(layer, threshold) for threshold in (0.001, 0.01, 0.05)] == [2, 1, 0]


def test_the_variances_of_an_upper_layer_do_not_depend_on_how_many_samples_stand_below(two_layers, monkeypatch):
    """With two samples their choice alone is as much as all that the images say; one standard error by 20 seeds."""
    monkeypatch.setattr(evaluation, "DIAGNOSTIC_SAMPLES", 400)
    images = two_layers.dataset.test
    _, upper = evaluation.latent_diagnostics(two_layers.fitted, images, None)
    monkeypatch.setattr(evaluation, "DIAGNOSTIC_SAMPLES", 2)
    found = []
    for seed in range(20):
        fitted = replace(two_layers.fitted, settings=replace(two_layers.settings, seed=seed))
        found.append(evaluation.latent_diagnostics(fitted, images, None)[1]["variance"])
    mean, error = np.mean(found, axis=0), np.std(found, axis=0, ddof=1) / np.sqrt(20)
    assert np.all(np.abs(mean - upper["variance"]) < 4 * error) and np.all(error < 0.1 * upper["variance"])


def test_the_divergences_of_all_layers_add_up_to_the_gap_between_reconstruction_and_bound(two_layers):
    images = two_layers.dataset.test
    layers = evaluation.latent_diagnostics(two_layers.fitted, images, None)
    total = sum(layer["kl"].sum() for layer in layers)
    shapes = two_layers.model.noise_shapes(len(images), evaluation.DIAGNOSTIC_SAMPLES)
    eps = noise.layers(shapes, 0, Stream.EVALUATION, 2, dtype=np.float64)
    x = images.astype(float)
    z, log_q, _ = two_layers.model.posterior(two_layers.params, x, eps)
    _, log_prior, _ = two_layers.model.joint(two_layers.params, x, z)
    differences = log_q - log_prior
    error = differences.std() / np.sqrt(differences.size)
    assert abs(total - differences.mean()) < 5 * error


def test_the_divergences_of_a_conditional_model_are_those_under_each_label():
    """The layer below has for its prior what the upper one and the label say."""
    state = trained(latent=(4, 2), hidden=((16,), (8,)), kl="sampled", dtype="float64", conditional=True)
    model, params, K = state.model, state.params, evaluation.DIAGNOSTIC_SAMPLES
    images, y = state.dataset.test[:30], state.dataset.test_labels[:30]
    lower, _ = evaluation.latent_diagnostics(state.fitted, images, y)
    eps = noise.layers(model.noise_shapes(30, K), 0, Stream.EVALUATION, 2, dtype=np.float64)
    (z, above), *_ = model.posterior(params, images.astype(float), eps, y)
    mu, logvar = model.encode(params, images.astype(float), y)
    divergences = []
    for n, label in enumerate(y):
        own = slice(n * K, (n + 1) * K)
        mean, log_variance = model.conditional(params, above[own], 0, np.full(K, label))
        q = stats.norm(mu[n], np.exp(logvar[n] / 2)).logpdf(z[own])
        divergences.append((q - stats.norm(mean, np.exp(log_variance / 2)).logpdf(z[own])).mean(axis=0))
    np.testing.assert_allclose(lower["kl"], np.mean(divergences, axis=0), rtol=1e-9)


def test_the_diagnostics_do_not_depend_on_how_many_examples_are_computed_at_a_time(two_layers, monkeypatch):
    images = two_layers.dataset.test
    blocks = evaluation.latent_diagnostics(two_layers.fitted, images, None)
    monkeypatch.setattr(evaluation, "ROWS", 20 * len(images))
    for one, other in zip(blocks, evaluation.latent_diagnostics(two_layers.fitted, images, None)):
        for name, values in one.items():
            np.testing.assert_allclose(values, other[name], rtol=1e-9)


def test_one_image_does_not_tell_which_latent_dimensions_are_used(tmp_path):
    run = tmp_path / "run"
    assert call("digits", "--hidden", 8, "--latent", 3, "--epochs", 1, "--quiet", "--out", run).returncode == 0
    words = call(run, "--samples", 5, "--limit", 1, "--quiet", main=evaluate.main).stdout
    assert "  how many of 3 latent dimensions are used, one image does not tell; KL " in words
    found = Run.open(run).read_json("evaluation.json")
    assert found["active_units"] == [None] == found["posterior_mean_variance"]
    assert set(map(tuple, found["active_units_at"].values())) == {(None,)} and len(found["kl"][0]) == 3
    words = call(run, "--samples", 5, "--limit", 2, "--quiet", main=evaluate.main).stdout
    assert "of 3 latent dimensions are used; KL " in words


def test_a_mixture_has_no_share_for_each_unit_and_labels_are_used():
    state = trained(prior="mixture", components=3, kl="sampled", conditional=True)
    images, labels = state.dataset.test, state.dataset.test_labels
    result = evaluation.evaluate(state.fitted, images[:30], labels[:30], 10)
    assert result["kl"] == [None] and result["n_images"] == 30
    others, right = log_likelihood(state, images, (labels + 1) % 10, 10), log_likelihood(state, images, labels, 10)
    assert not np.allclose(others["log_likelihood"], right["log_likelihood"])


def test_the_floor_of_the_variance_is_reported():
    state = trained(likelihood="gaussian", binarise="none", kl="closed")
    images, words = state.dataset.test, "of the decoder's variances are at their floor"
    assert evaluation.remark(state.fitted, images, None) == "" == evaluation.remark(trained().fitted, images, None)
    state.params["decoder.1.b"][64:80] = -100
    assert evaluation.remark(state.fitted, images, None) == f"25.0 % {words}"
    state.params["decoder.1.b"][64:] = -100
    assert evaluation.evaluate(state.fitted, images, None, 2)["remark"] == f"100.0 % {words}"


def test_the_end_of_a_training_says_what_the_likelihood_remarks():
    summary = {"dataset": "x", "epochs": 1, "samples_seen": 1, "seconds": 1, "test_bound": 0, "train_bound": 0}
    summary |= {"protocol": "", "remark": "12.5 % of the decoder's variances are at their floor"}
    summary |= {"test_bits_per_dimension": None, "unit": "nats per example"}
    assert f"  note         {summary['remark']}\n" in train.report(summary, "run", [])
    assert "note" not in train.report(summary | {"remark": ""}, "run", [])


def test_the_command_says_it_in_words_and_in_numbers(tmp_path):
    run = tmp_path / "run"
    assert call("digits", "--hidden", 16, "--latent", 3, "--epochs", 3, "--quiet", "--out", run).returncode == 0
    words = command("run", "--samples", "100", cwd=tmp_path, module="tinyvae.evaluate")
    assert words.returncode == 0, words.stderr
    found = Run.open(run).read_json("evaluation.json")
    share, effective = (found[name]["50"] for name in ("largest_weight", "effective_sample_size"))
    told = f"the largest of 50 weights holds {100 * share:.0f} % of the mass: k = 50 is effectively {effective:.1f}\n"
    assert "of 3 latent dimensions are used" in words.stdout and told in words.stdout
    numbers = call(run, "--samples", 100, "--limit", 50, "--json", "--overwrite", main=evaluate.main)
    result = json.loads(numbers.stdout)
    assert result == Run.open(run).read_json("evaluation.json")
    assert (result["samples"], result["n_images"], result["epochs"]) == (100, 50, 3)
    assert result["bounds"]["1"] == result["elbo"] <= result["bounds"]["5"] <= result["log_likelihood"]
    assert 0 < result["standard_error"] < 2 and len(result["kl"][0]) == 3
    assert np.mean(result["each"]) == pytest.approx(result["log_likelihood"], abs=1e-4) and len(result["each"]) == 50
    assert np.std(result["each"], ddof=1) / 50**0.5 == pytest.approx(result["standard_error"], abs=1e-4)
    counts = [at[0] for at in result["active_units_at"].values()]
    assert sorted(counts, reverse=True) == counts and result["active_units_at"]["0.01"] == result["active_units"]


def annealed_by(monkeypatch, steps):
    """Have annealing take so many steps, and not as many as by default; returns the list of what it will have said."""
    estimate, estimates = annealing.log_likelihood, []

    def fewer(*given, **options):
        estimates.append(estimate(*given, steps=steps, **options))
        return estimates[-1]

    monkeypatch.setattr(annealing, "STEPS", steps)
    monkeypatch.setattr(annealing, "log_likelihood", fewer)
    return estimates


def test_what_annealing_says_stands_beside_it(tmp_path, monkeypatch):
    """Where z has two dimensions both estimates are good: they agree."""
    estimates = annealed_by(monkeypatch, 200)
    run = tmp_path / "run"
    assert call("digits", "--hidden", 16, "--latent", 2, "--epochs", 9, "--quiet", "--out", run).returncode == 0
    done = call(run, "--samples", 500, "--limit", 9, "--ais", 6, "--quiet", main=evaluate.main)
    assert "of the first 6, by 16 chains of 200 steps\n" in done.stdout, done.stderr
    found = Run.open(run).read_json("evaluation.json")
    annealed = found["annealed"]
    assert abs(annealed["gain"]) < 0.1 and 0.5 < annealed["accepted"] < 1
    (said,) = estimates
    assert annealed["effective_chains"] == pytest.approx(said["ess"].mean())
    assert annealed["accepted"] == pytest.approx(said["accepted"].mean())
    words = (
        f"effectively {said['ess'].mean():.1f} of 16 chains; {100 * said['accepted'].mean():.0f} % of steps accepted"
    )
    assert done.stdout.endswith(f"\n            {words}\n")
    assert np.mean(annealed["each"]) - np.mean(found["each"][:6]) == pytest.approx(annealed["gain"], abs=1e-3)
    assert annealed["standard_error"] == pytest.approx(stats.sem(annealed["each"]), abs=1e-4)
    gains = np.subtract(annealed["each"], found["each"][:6])
    assert annealed["error_of_gain"] == pytest.approx(stats.sem(gains), abs=1e-4)


def test_what_was_estimated_is_kept_before_the_annealing_begins(tmp_path, monkeypatch):
    run = tmp_path / "run"
    assert call("digits", "--hidden", 8, "--latent", 2, "--epochs", 1, "--quiet", "--out", run).returncode == 0

    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(annealing, "log_likelihood", interrupted)
    call(run, "--samples", 20, "--limit", 9, "--ais", 6, "--quiet", main=evaluate.main)
    kept = Run.open(run).read_json("evaluation.json")
    assert kept["samples"] == 20 and "annealed" not in kept


def test_figures_are_told_before_the_annealing_begins(tmp_path, monkeypatch):
    """In words and in JSON, and though a larger evaluation stays in the folder."""
    run = tmp_path / "run"
    assert call("digits", "--hidden", 8, "--latent", 2, "--epochs", 1, "--quiet", "--out", run).returncode == 0
    assert call(run, "--samples", 30, "--limit", 9, "--quiet", main=evaluate.main).returncode == 0

    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(annealing, "log_likelihood", interrupted)
    few = (run, "--samples", 20, "--limit", 6, "--ais", 6, "--quiet")
    done = call(*few, main=evaluate.main)
    assert done.returncode == 130 and "nats per example, standard error" in done.stdout and "by 20 " in done.stdout
    done = call(*few, "--json", main=evaluate.main)
    assert done.returncode == 130 and json.loads(done.stdout)["samples"] == 20
    assert Run.open(run).read_json("evaluation.json")["samples"] == 30


def test_an_annealing_is_kept_beside_a_larger_evaluation(tmp_path, monkeypatch):
    """Which took less time than it did."""
    annealed_by(monkeypatch, 10)
    run = tmp_path / "run"
    assert call("digits", "--hidden", 8, "--latent", 2, "--epochs", 1, "--quiet", "--out", run).returncode == 0
    assert call(run, "--samples", 30, "--limit", 12, "--quiet", main=evaluate.main).returncode == 0
    before = Run.open(run).read_json("evaluation.json")

    def annealed(n, limit=9, samples=20):
        words = ("--samples", samples, "--limit", limit, "--ais", n, "--json", "--quiet")
        done = call(run, *words, main=evaluate.main)
        kept = Run.open(run).read_json("evaluation.json")
        return done, json.loads(done.stdout)["annealed"], kept, kept.pop("annealed")

    done, own, kept, beside = annealed(6)
    assert done.returncode == console.UNTOLD and kept == before
    words = "stays what it is, by 30 samples of 12 images, and has this annealing of 6 beside them now: add --overwrite"
    assert words in done.stderr
    gains = np.subtract(own["each"], before["each"][:6])
    assert beside["each"] == own["each"] and beside["gain"] == pytest.approx(gains.mean(), abs=1e-9)
    assert beside["error_of_gain"] == pytest.approx(stats.sem(gains)) and beside["gain"] != own["gain"]
    done, fewer, kept, still = annealed(5)  # a smaller one replaces nothing
    assert still == beside and kept == before and fewer["n_images"] == 5
    assert "and of 6 by annealing: add --overwrite to replace it" in done.stderr
    _, more, kept, beside = annealed(14, limit=15)  # of more images than were evaluated
    assert kept == before and beside == more | {"gain": None, "error_of_gain": None}
    (run / "evaluation.json").write_text(json.dumps({name: before[name] for name in before if name != "each"}))
    _, more, kept, beside = annealed(4)  # beside one that has no number for each image
    assert kept["samples"] == 30 and beside == more | {"gain": None, "error_of_gain": None}


def test_the_standard_error_of_a_mean():
    values = np.random.default_rng(0).normal(size=17)
    assert evaluation.standard_error(values) == pytest.approx(stats.sem(values), rel=1e-12)
    assert evaluation.standard_error(values[:1]) is None
    assert np.isnan(evaluation.standard_error(np.append(values, -np.inf)))


@pytest.mark.filterwarnings("error")
def test_a_difference_of_two_densities_of_zero_is_no_number():
    values = np.array([-np.inf, -3.0])
    assert np.isnan(evaluation.paired(values, values)).all()


def test_a_paired_difference_is_that_of_the_same_images():
    rng = np.random.default_rng(0)
    common, own = 10 * rng.standard_normal(400), 0.1 * rng.standard_normal((2, 400))
    difference, error = evaluation.paired(common + own[0], common + own[1] + 0.5)
    expected = stats.ttest_rel(common + own[1] + 0.5, common + own[0])
    assert difference / error == pytest.approx(expected.statistic) and error < 0.01
    assert abs(difference - 0.5) < 4 * error
    with pytest.raises(ValueError, match="two arrays"):
        evaluation.paired(common, common[:3])


def test_models_are_compared_image_by_image(tmp_path):
    drawn, few = ("--binarise", "static"), ("--limit", 300)
    for name, epochs, extra in (("a", 1, ()), ("b", 12, ()), ("drawn", 1, drawn), ("few", 1, few)):
        args = ("--hidden", 16, "--latent", 2, "--epochs", epochs, "--quiet", "--out", tmp_path / name, *extra)
        assert call("digits", *args).returncode == 0
    refused = call(tmp_path / "a", tmp_path / "b", main=compare.main)
    assert_misuse(refused)
    assert "has no log p(x) of each image" in refused.stderr and "tinyvae.evaluate" in refused.stderr
    for name, limit in (("a", 100), ("b", 80), ("drawn", 80), ("few", 80)):
        assert call(tmp_path / name, "--samples", 20, "--limit", limit, "--quiet", main=evaluate.main).returncode == 0
    words = call(tmp_path / "a", tmp_path / "b", main=compare.main)
    (pair,) = json.loads(call(tmp_path / "a", tmp_path / "b", "--json", main=compare.main).stdout)
    each = [np.array(Run.open(tmp_path / name).read_json("evaluation.json")["each"][:80]) for name in "ab"]
    assert pair["difference"] == pytest.approx((each[1] - each[0]).mean()) and pair["n_images"] == 80
    assert f"{pair['difference']:+.2f} ± {pair['standard_error']:.2f} nats per example" in words.stdout
    assert pair["better_in"] == (each[1] > each[0]).mean() > 0.5  # it has learned for longer
    assert f"more in {100 * pair['better_in']:.0f} % of 80" in " ".join(words.stdout.split())
    assert pair["protocols"] == [Run.open(tmp_path / name).config()["protocol"] for name in "ab"]
    assert all(protocol in " ".join(words.stdout.split()) for protocol in pair["protocols"])
    refused = call(tmp_path / "a", tmp_path / "drawn", main=compare.main)
    assert_misuse(refused)
    assert "cannot be compared: they differ in test examples and" in refused.stderr
    (pair,) = json.loads(call(tmp_path / "few", tmp_path / "a", "--json", main=compare.main).stdout)
    assert pair["n_images"] == 80  # the test examples are the same, and the protocol says what is not
    protocols = [Run.open(tmp_path / name).read_json("evaluation.json")["protocol"] for name in ("a", "few")]
    assert protocols[1] == f"{protocols[0]}, the first 300 training examples"
    for name in ("a", "drawn"):  # as those that are kept in results/runs
        found = Run.open(tmp_path / name).read_json("evaluation.json")
        del found["test_digest"]
        (tmp_path / name / "evaluation.json").write_text(json.dumps(found))
    assert call(tmp_path / "a", tmp_path / "b", main=compare.main).returncode == 0
    refused = call(tmp_path / "few", tmp_path / "a", main=compare.main)
    assert_misuse(refused, "they differ in data\n")
    assert_misuse(call(tmp_path / "a", main=compare.main))


def test_no_difference_has_no_sign_but_plus():
    pair = {"first": "a", "second": "b", "difference": -0.004, "standard_error": None, "n_images": 1, "samples": [5, 5]}
    assert compare.line(pair | {"unit": "nats per example", "better_in": 0.0}).startswith("b: +0.00 nats per example")


def test_what_took_more_work_is_not_replaced_unasked(tmp_path):
    run = tmp_path / "run"
    assert call("digits", "--hidden", 8, "--latent", 2, "--epochs", 1, "--quiet", "--out", run).returncode == 0

    def evaluated(samples, limit, *words):
        result = call(run, "--samples", samples, "--limit", limit, "--json", *words, main=evaluate.main)
        kept = Run.open(run).read_json("evaluation.json")
        assert (json.loads(result.stdout)["samples"], json.loads(result.stdout)["n_images"]) == (samples, limit)
        return result.returncode, kept["samples"], kept["n_images"], result.stderr

    assert evaluated(10, 20)[:3] == (0, 10, 20)
    assert evaluated(10, 21)[:3] == (0, 10, 21)
    assert evaluated(12, 21)[:3] == (0, 12, 21)
    for fewer in ((1, 1), (50, 20), (11, 50)):
        status, *kept, words = evaluated(*fewer)
        assert (status, kept) == (console.UNTOLD, [12, 21])
        assert "stays what it is, by 12 samples of 21 images: add --overwrite to replace it" in words
    assert evaluated(1, 1, "--overwrite")[:3] == (0, 1, 1)
    (run / "evaluation.json").write_text("{}")  # of no use to anybody
    assert evaluated(1, 1)[:3] == (0, 1, 1)


def interrupted(*_, **__):
    raise Interrupted


def test_an_evaluation_is_of_one_state_of_one_run(tmp_path):
    """When the run has gone on, or is another one, it gives way to a smaller one, and is compared with none."""
    run, other = tmp_path / "run", tmp_path / "other"
    for path in (run, other):
        assert call("digits", "--hidden", 8, "--latent", 2, "--epochs", 1, "--quiet", "--out", path).returncode == 0
        assert call(path, "--samples", 12, "--limit", 9, "--ais", 3, "--quiet", main=evaluate.main).returncode == 0
    found = Run.open(run).read_json("evaluation.json")
    assert (found["run"], found["epochs"], found["step"]) == (Run.open(run).name, 1, 17)
    assert call(run, other, main=compare.main).returncode == 0
    assert call("--resume", run, "--epochs", 3, "--quiet").returncode == 0
    assert_misuse(
        call(run, other, main=compare.main),
        "its evaluation.json is of epoch 1, step 17, and the run is at epoch 3, step 51\n",
        f"tinyvae.evaluate {run}\n",
    )
    again = (run, "--samples", 5, "--limit", 9, "--quiet")
    assert call(*again, main=evaluate.main).returncode == 0
    found = Run.open(run).read_json("evaluation.json")
    assert (found["samples"], found["epochs"]) == (5, 3) and "annealed" not in found
    assert_misuse(call(run, other, main=compare.main), "by 5 samples in the one and 12 in the other")
    assert call(other, *again[1:], "--overwrite", main=evaluate.main).returncode == 0
    assert call(run, other, main=compare.main).returncode == 0
    with pytest.MonkeyPatch.context() as patch:  # it goes on, and is interrupted after a step
        patch.setattr(interrupts.DeferredInterrupt, "check", interrupted)
        assert call("--resume", run, "--epochs", 4, "--quiet").returncode == 130
    assert_misuse(call(run, other, main=compare.main), "of epoch 3, step 51, and the run is at epoch 3, step 52\n")
    assert call(*again, main=evaluate.main).returncode == 0
    assert call(run, other, main=compare.main).returncode == 0
    found = json.loads((run / "evaluation.json").read_text())
    del found["protocol"]
    (run / "evaluation.json").write_text(json.dumps(found))
    assert "  protocol  not known\n" in call(run, other, main=compare.main).stdout
    for path in (run, other):  # what is kept of a run without its model
        (path / "checkpoint.npz").rename(path / "kept")
    assert call(run, other, main=compare.main).returncode == 0
    (run / "evaluation.json").write_text(json.dumps(found | {"epochs": 2}))
    assert_misuse(call(run, other, main=compare.main), "is of epoch 2, and the run is at epoch 3\n")
    (run / "evaluation.json").write_text(json.dumps(found))
    for path in (run, other):
        (path / "kept").rename(path / "checkpoint.npz")
    lines = (run / "history.csv").read_text()
    one_more = lines.splitlines()[-1].replace("3", "4", 1) + "\n"  # than the checkpoint has, as a kill may leave it
    (run / "history.csv").write_text(lines + one_more)
    assert call(run, other, main=compare.main).returncode == 0
    (run / "history.csv").write_text(lines)
    (run / "evaluation.json").write_bytes((other / "evaluation.json").read_bytes())
    assert_misuse(call(run, other, main=compare.main), "its evaluation.json is of another run")
    assert call(*again, main=evaluate.main).returncode == 0


def test_what_annealing_said_stays_beside_a_new_estimate(tmp_path, monkeypatch):
    annealed_by(monkeypatch, 10)
    run = tmp_path / "run"
    assert call("digits", "--hidden", 8, "--latent", 2, "--epochs", 1, "--quiet", "--out", run).returncode == 0

    def evaluated(*words):
        result = call(run, *words, "--json", "--quiet", main=evaluate.main)
        return result, json.loads(result.stdout).get("annealed"), Run.open(run).read_json("evaluation.json")

    _, first, _ = evaluated("--samples", 3, "--limit", 9, "--ais", 6)
    result, second, kept = evaluated("--samples", 40, "--limit", 12)
    assert result.returncode == 0 and second == kept["annealed"] and second["each"] == first["each"]
    gains = np.subtract(second["each"], kept["each"][:6])
    assert second["gain"] == pytest.approx(gains.mean(), abs=1e-9) and second["gain"] < first["gain"]
    assert second["error_of_gain"] == pytest.approx(stats.sem(gains))
    result, fewer, kept = evaluated("--samples", 40, "--limit", 12, "--ais", 5)
    assert result.returncode == console.UNTOLD and fewer["n_images"] == 5 and kept["annealed"] == second
    assert "by 40 samples of 12 images, and of 6 by annealing: add --overwrite to replace it" in result.stderr
    for spoil in ({"each": first["each"], "n_images": 6}, {**second, "steps": "ten"}, {**second, "each": [[]]}, 5):
        Run(run).write_json("evaluation.json", kept | {"annealed": spoil})
        result, mended, _ = evaluated("--samples", 41, "--limit", 12, "--overwrite")
        assert result.returncode == 0 and mended is None, spoil
    Run(run).write_json("evaluation.json", kept)
    _, _, kept = evaluated("--samples", 40, "--limit", 4, "--overwrite")  # of fewer images than were annealed
    assert kept["n_images"] == 4 and "annealed" not in kept


@pytest.mark.parametrize(
    ("quantity", "name"),
    [
        ("log p(x)", "log p(x)"),
        ("log p(x | y), the density of dequantised levels", "log p(x | y)"),
        ("the limit of L_K given y (no log p(x | y): x lies between the likelihood's values)", "the limit"),
    ],
)
def test_what_more_samples_would_say_is_called_what_it_is(quantity, name):
    results = {"quantity": quantity, "bounds": {"1": -3.0, "50": -2.0}, "log_likelihood": -1.5, "samples": 100}
    assert evaluate.gain(results) == f"  from 50 to 100 samples the estimate rose by 0.50; {name} is higher yet"
    results |= {"samples": 50, "log_likelihood": -2.0}
    assert evaluate.gain(results) == f"  {name} is higher than any of these: each is a lower bound on average"


def test_a_result_that_cannot_be_kept_is_printed(tmp_path):
    run = tmp_path / "run"
    assert call("digits", "--hidden", 8, "--latent", 2, "--epochs", 1, "--quiet", "--out", run).returncode == 0
    (run / "evaluation.json").mkdir()  # as good as a folder that cannot be written to, and so for root too
    result = call(run, "--samples", 10, main=evaluate.main)
    assert result.returncode == console.UNTOLD and "nats per example, standard error" in result.stdout
    assert "evaluation.json was not written" in result.stderr and "folder has the name" in result.stderr


def test_no_more_threads_are_taken_from_a_run_than_there_are(tmp_path, monkeypatch):
    run = tmp_path / "run"
    quick = ("--hidden", 8, "--latent", 2, "--epochs", 1, "--quiet", "--out", run)
    assert call("digits", *quick, "--threads", 3).returncode == 0
    sizes = []
    monkeypatch.setattr(machine, "crew", lambda size=None: sizes.append(size) or nullcontext())
    monkeypatch.setattr(machine, "available_cores", lambda: 2)
    for words in ((), ("--threads", 5), ("--threads", 1)):
        assert call(run, "--samples", 2, "--quiet", *words, main=evaluate.main).returncode == 0
    assert [size for size in sizes if size] == [2, 5, 1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [(["nowhere"], "nowhere"), (["run", "--samples", "0"], "above zero is needed, not 0"), (["run"], "holds no run")],
)
def test_misuse(arguments, message, tmp_path, monkeypatch):
    (tmp_path / "run").mkdir()
    monkeypatch.chdir(tmp_path)
    assert_misuse(call(*arguments, main=evaluate.main), message)


def test_a_density_of_zero_is_told_by_every_command(tmp_path):
    """Of one value far out in the test set the bound in float32 is minus infinity."""
    images = np.random.default_rng(0).standard_normal((100, 6))
    images[np.random.RandomState(0).permutation(100)[0]] = 1e25  # the first that is put aside
    np.save(tmp_path / "images.npy", images)
    run, quick = tmp_path / "run", ("--hidden", 5, "--latent", 2, "--epochs", 1, "--quiet")
    words = ("--likelihood", "gaussian-linear", *quick, "--out", run)
    result = call(tmp_path / "images.npy", *words[:-1], run)
    assert result.returncode == 0, result.stderr
    result = call("--resume", run, "--epochs", 2)
    assert result.returncode == 0 and "test bound   not finite nats" in result.stdout
    assert "rescale the data" in " ".join(result.stdout.split())
    result = call(run, "--samples", 5, "--quiet", main=evaluate.main)
    assert result.returncode == 0 and "            not finite nats per example, by 5" in result.stdout
    assert "L_5       not finite" in result.stdout and "Warning" not in result.stderr
    assert_misuse(call(run, run, main=compare.main), "log p(x) of 1 of its 10 test examples is not finite")
    assert_misuse(call(run, "--quiet", main=explore.main), "of 1 of 10 test examples is not finite")


@pytest.mark.parametrize("samples", [True, 10**400, 0, "5"], ids=["bool", "huge", "none", "text"])
def test_numbers_that_no_evaluation_has_are_refused(samples, tmp_path):
    run = tmp_path / "run"
    assert call("digits", "--epochs", 1, "--hidden", 5, "--quiet", "--out", run).returncode == 0
    assert call(run, "--samples", 2, "--limit", 3, "--quiet", main=evaluate.main).returncode == 0
    found = json.loads((run / evaluate.FILE).read_text())
    for changes in ({"samples": samples}, {"each": [*found["each"][1:], float("nan")]}):
        (run / evaluate.FILE).write_text(json.dumps(found | changes))
        assert_misuse(call(run, run, main=compare.main), "it has no log p(x) of each image")


def test_data_that_have_changed_are_refused(tmp_path):
    images, path, run = np.random.default_rng(0).random((100, 6)), tmp_path / "mine.npy", tmp_path / "run"
    np.save(path, images)
    quick = ("--epochs", 1, "--hidden", 4, "--batch-size", 30, "--quiet", "--out", run)
    assert call(path, *quick).returncode == 0
    np.save(path, images[::-1])
    assert_misuse(call(run, main=evaluate.main), "mine.npy holds other data than the run")


def test_a_checkpoint_of_another_model_is_refused(tmp_path):
    for name, hidden in (("one", 4), ("two", 5)):
        call("digits", "--epochs", 1, "--hidden", hidden, "--quiet", "--out", tmp_path / name)
    (tmp_path / "one/checkpoint.npz").write_bytes((tmp_path / "two/checkpoint.npz").read_bytes())
    result = call(tmp_path / "one", main=evaluate.main)
    assert_misuse(result, "it is the checkpoint of another run than config.json is of")


def test_recipes_can_be_read_back():
    for settings in RECIPES.values():
        assert Settings.from_dict(json.loads(json.dumps(settings.__dict__))) == settings


def test_a_bound_that_is_not_finite_beside_an_estimate_that_is_has_no_gain():
    """A single sample may be too improbable for a number where many are not."""
    results = {"quantity": "log p(x)", "bounds": {"1": None, "5": None}, "samples": 6, "log_likelihood": -1.6e38}
    words = evaluate.gain(results)
    assert words == "  log p(x) is higher than any of these: each is a lower bound on average"
