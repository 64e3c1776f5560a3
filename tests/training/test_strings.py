"""Strings from a trained model: their probabilities, their seeds, what is said of them, and a run's folder."""

import itertools
import json
import re
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from scipy import stats

import tinyvae
from tests.commands import assert_misuse, call
from tinyvae import evaluate, settings
from tinyvae.data import datasets, expressions
from tinyvae.data.grammar import Broken
from tinyvae.data.grammar_files import parse_grammar
from tinyvae.data.sequences import Rules, Strings, as_characters
from tinyvae.errors import DataError
from tinyvae.machine import noise
from tinyvae.machine.noise import Stream
from tinyvae.settings import RECIPES
from tinyvae.training import fitted as fitted_module
from tinyvae.training import strings
from tinyvae.training.fitted import Fitted
from tinyvae.training.loop import Training
from tinyvae.training.opening import load_fitted

GRAMMAR = parse_grammar("sum -> sum '+' digit | digit\ndigit -> '0' | '1'")
WORDS = ["+".join(digits) for n in (1, 2, 3) for digits in itertools.product("01", repeat=n)]  # 14 different
SMALL = replace(RECIPES["grammar"], latent=(2,), units=8, batch_size=20, epochs=3, learning_rate=0.02, dtype="float64")
KINDS = {
    "rules": {},
    "characters": {"characters": True},
    "rules, feedback": {"feedback": True},
    "characters, mlp": {"characters": True, "network": "mlp", "hidden": ((8,),)},
    "two layers": {"latent": (2, 1), "hidden": ((), (4,)), "kl": "sampled", "free_bits": 0.0},
}


def dataset(monkeypatch, characters=False):
    monkeypatch.setitem(settings.DATASETS, "sums", lambda data_dir: Strings(WORDS * 20, GRAMMAR))
    return datasets.load("sums", characters=characters)


@pytest.fixture(scope="module", params=KINDS)
def model(request):
    """A Fitted, and the data set."""
    changes = dict(KINDS[request.param])
    with pytest.MonkeyPatch.context() as patch:
        data = dataset(patch, changes.pop("characters", False))
    training = Training(replace(SMALL, **changes), data)
    for _ in range(3):
        training.run_epoch()
    return training.fitted, data


@pytest.fixture(scope="module")
def rules():
    with pytest.MonkeyPatch.context() as patch:
        data = dataset(patch)
    return Training(SMALL, data).fitted, data


# ---- what is drawn


def test_strings_come_as_often_as_the_likelihood_says(model):
    """All strings of the language, at one z: 20,000 draws, to 5 standard errors each."""
    trained, data = model
    z, S = np.array([[0.7, -0.4]]), 20_000
    drawn = trained.decode_strings(z, S)
    x = data.vocabulary.one_hot(data.vocabulary.encode(WORDS)).astype(float)
    if data.vocabulary.walk(1) is None:  # what comes after the first end symbol is not read, and may be anything
        for row, word in zip(x, WORDS):
            row[len(word) + 1 :] = 0  # steps that do not count
    x = x.reshape(len(WORDS), -1)
    if trained.settings.feedback:
        decoder = trained.model.decoders[0]
        part = trained.params.part("decoder")
        rows = np.repeat(z, len(x), axis=0)
        outputs = decoder.forward(part, rows, np.empty((len(x), 0)), x)[0]
    else:
        outputs = np.repeat(trained.model.decode_outputs(trained.params, z), len(x), axis=0)
    p = np.exp(trained.model.observation.log_prob(x, outputs)[0][:, 0])
    counts = np.array([drawn.count(word) for word in WORDS])
    assert (abs(counts - S * p) < 5 * np.sqrt(S * p * (1 - p)) + 1).all()
    assert p.sum() < 1 + 1e-9


def test_the_draws_follow_from_the_seed_alone(model, monkeypatch):
    trained, _ = model
    z = np.random.default_rng(0).standard_normal((7, 2))
    drawn = trained.decode_strings(z, 5)
    for ask in (trained.decode_strings, trained.reconstruct_strings):
        with pytest.raises(ValueError, match="draws=0: a whole number above zero is needed"):
            ask(z, draws=0)
    with pytest.raises(ValueError, match="a list of strings is needed, not one of them"):
        trained.reconstruct_strings("ab")
    assert len(drawn) == 35 and drawn == trained.decode_strings(z, 5, seed=trained.settings.seed)
    assert drawn != trained.decode_strings(z, 5, seed=1)
    fewer = trained.decode_strings(z, 3)
    assert [drawn[5 * n + s] for n in range(7) for s in range(3)] == fewer  # the first draws of each z
    again = trained.reconstruct_strings(WORDS, 2)
    sampled = trained.sample_strings(30)
    monkeypatch.setattr(fitted_module, "ROWS", 6)
    assert trained.decode_strings(z, 5) == drawn and trained.decode_strings(z, 7)[:5] == drawn[:5]
    assert trained.reconstruct_strings(WORDS, 2) == again and trained.sample_strings(30) == sampled


def test_greedy_strings_are_the_most_probable_symbols(model):
    trained, _ = model
    z = np.random.default_rng(1).standard_normal((20, 2))
    greedy = trained.decode_strings(z, greedy=True)
    assert greedy == trained.decode_strings(z, seed=9, greedy=True)
    assert trained.decode_strings(z, 3, greedy=True) == [string for string in greedy for _ in range(3)]
    if trained.vocabulary.walk(1) is None:
        codes = trained.decode(z).argmax(axis=2)
        assert greedy == trained.vocabulary.text(codes)


def test_samples_are_of_the_prior_and_reconstructions_of_the_posterior(model):
    trained, _ = model
    assert trained.sample_strings(20, seed=3) == trained.decode_strings(trained.sample_latents(20, seed=3), seed=3)
    mu, _ = trained.encode(WORDS)
    assert trained.reconstruct_strings(WORDS, greedy=True) == trained.decode_strings(mu, greedy=True)
    assert len(trained.reconstruct_strings(WORDS, 3)) == 3 * len(WORDS)


def test_a_reconstruction_has_a_z_of_its_own_from_the_posterior(rules, monkeypatch):
    """Of 5,000 draws, by Kolmogorov and Smirnov's test of each dimension; from other noise than the symbols'."""
    trained, _ = rules
    trained = replace(trained, params=trained.params.with_flat(trained.params.flat.copy()))
    trained.params["encoder.0.b"][:] = [0.5, -1, -3, 2]  # means, log variances
    given = []
    monkeypatch.setattr(Fitted, "decode_strings", lambda self, z, draws, seed: given.append((z, draws, seed)))
    trained.reconstruct_strings(["0+1", "1"], 2500, seed=4)
    ((z, draws, seed),) = given
    (mu, logvar), z = trained.encode(["0+1", "1"]), z.reshape(2, 2500, 2)
    assert (draws, seed) == (1, 4)
    for n, d in itertools.product(range(2), range(2)):
        assert stats.kstest(z[n, :, d], "norm", (mu[n, d], np.exp(logvar[n, d] / 2))).pvalue > 1e-3
    of_symbols = noise.normal((2, 2500, 2), 4, Stream.STRINGS, dtype=np.float64)
    eps = (z - mu[:, None]) / np.exp(logvar / 2)[:, None]
    assert abs(np.corrcoef(eps.ravel(), of_symbols.ravel())[0, 1]) < 0.05  # five standard errors


def test_a_decoder_that_knows_all_gives_its_string_back(rules):
    """Output biases that leave one derivation: all draws, all reconstructions and all samples are its string."""
    trained, data = rules
    trained = replace(trained, params=trained.params.with_flat(trained.params.flat.copy()))
    trained.params["decoder.output.W"][:] = 0
    names = data.vocabulary.names
    bias = trained.params["decoder.output.b"]
    bias[:] = 0
    bias[[names.index("sum -> digit"), names.index("digit -> '1'")]] = 200
    drawn = trained.sample_strings(5) + trained.decode_strings(np.zeros((2, 2)), 3)
    assert set(drawn) == {"1"} and set(trained.reconstruct_strings(["0+1"], 4)) == {"1"}
    bias[names.index("sum -> sum '+' digit")] = 400
    assert {broken.kind for broken in trained.sample_strings(5)} == {"cut off"}


def test_strings_go_in_where_images_do(model):
    trained, data = model
    rows = data.vocabulary.one_hot(data.vocabulary.encode(WORDS))
    np.testing.assert_array_equal(trained.encode(WORDS), trained.encode(rows))
    np.testing.assert_array_equal(trained.encode(np.array(WORDS)), trained.encode(tuple(WORDS)))
    assert [array.shape for array in trained.encode([])] == [(0, 2), (0, 2)]
    values = trained.log_likelihood(WORDS, samples=50)
    np.testing.assert_array_equal(values, trained.log_likelihood(rows, samples=50))
    assert np.exp(values).sum() < 1.2  # of what the language has in six steps, and more


def test_what_is_no_string_of_the_model_is_refused(rules):
    trained, _ = rules
    with pytest.raises(DataError, match="does not parse from character 3 on"):
        trained.encode(["0+1", "0+2"])
    symbols = trained.vocabulary.one_hot(trained.vocabulary.encode(WORDS)).astype(float)
    for wrong in (symbols / 2, 1 - symbols, np.zeros_like(symbols), symbols > 2):
        for method in (trained.encode, trained.log_likelihood):
            with pytest.raises(ValueError, match="images are not of symbols: one of each"):
                method(wrong)
    for wrong, words in (("0+1", "not one of them"), (["0", 1.5], "does not parse"), ([["0"]], "of shape \\(1, 1\\)")):
        with pytest.raises(ValueError, match=words):
            trained.encode(wrong)
    other = Training(replace(SMALL, likelihood="bernoulli", dtype="float32"), datasets.load("digits", limit=40)).fitted
    for call_it in (
        lambda: other.decode_strings(np.zeros((1, 2))),
        lambda: other.sample_strings(2),
        lambda: other.reconstruct_strings(np.zeros((1, 64))),
    ):
        with pytest.raises(ValueError, match="use decode and sample"):
            call_it()


# ---- what is said of it


@pytest.fixture
def characters():
    vocabulary, _ = as_characters([expression for expression in ("1+(x)", "3*2", "sin(exp(x))")])
    return strings.Judge(vocabulary, expressions.GRAMMAR)


def test_a_verdict_tells_what_is_cut_off_from_what_is_invalid(characters):
    verdicts = {
        "1+(x)": "completed", "x": "completed", "": "invalid", "1+": "invalid", ")": "invalid",
        "sin(exp(x)+": "cut off", "1+1+1+1+1+(": "cut off", "1+1+1+1+1))": "invalid",
    }  # fmt: skip
    assert {string: characters.verdict(string) for string in verdicts} == verdicts
    tally = characters.tally([*verdicts, "x"])
    assert tally == (9, 3, 2, 4, 2) and tally.completed + tally.cut_off + tally.invalid == tally.draws
    assert str(tally) == "9 draws: 3 completed (2 different), 2 cut off, 4 invalid"
    assert characters.line("x") == "x  S[T[x]]" and characters.line("1+") == "1+  (invalid)"
    broken = Broken("cut off", "1+T", 3)
    judge = strings.Judge(Rules(3, expressions.GRAMMAR), expressions.GRAMMAR)
    assert judge.verdict(broken) == "cut off" and judge.line(broken) == "1+T  (cut off)"
    free = replace(characters, grammar=None)
    assert free.verdict(")") == "completed" and free.line(")") == ")"


def test_a_string_with_two_derivations_is_one_of_the_language():
    grammar = parse_grammar("s -> s '+' s | 'a' | 'b'")
    judge = strings.Judge(Rules(9, grammar), grammar)
    assert judge.tally(["a+b+a", "a", "+"]) == (3, 2, 0, 1, 2)
    assert judge.line("a+b+a") == "a+b+a  s[s[s[a]+s[b]]+s[a]]"


def test_between_two_strings_are_equal_steps(model):
    trained, data = model
    words = strings.interpolate(trained, "0", "1+1+1", 3)
    assert len(words) == 5
    assert [words[0], words[-1]] == trained.reconstruct_strings(["0", "1+1+1"], greedy=True)
    mu, _ = trained.encode(["0", "1+1+1"])
    assert words[2:3] == trained.decode_strings(mu.mean(axis=0, keepdims=True), greedy=True)
    assert strings.texts(data.vocabulary, data.test[:5]) == data.vocabulary.text(
        np.asarray(data.test[:5]).reshape(5, *data.data_shape).argmax(axis=2)
    )


def test_the_masked_model_s_completed_draws_parse(model):
    """By a parser that does not know how they were drawn."""
    trained, data = model
    judge = strings.judge(trained, data)
    drawn = trained.sample_strings(500)
    if data.vocabulary.walk(1) is not None:
        assert all(isinstance(one, Broken) or judge.is_completed(one) for one in drawn)
        assert judge.tally(drawn).invalid == 0
    assert strings.count_samples(trained, data) == judge.tally(trained.sample_strings(1000))


def test_a_report_says_what_was_drawn_which_strings_came_back_and_what_lies_between_them():
    held_out = [f"{i}*2+x" for i in range(1, 9)] + ["x"] * 20
    vocabulary, codes = as_characters(held_out)
    test = np.eye(codes.max() + 1)[codes].reshape(len(held_out), -1)
    trained = SimpleNamespace(
        vocabulary=vocabulary,
        sample_strings=lambda n: ["x+1"] * 19 + ["1+", "2+x"] * ((n - 19) // 2) + ["x"],
        reconstruct_strings=lambda strings, greedy: ["1*2+x", "x", *strings[2:]] if greedy else None,
        encode=lambda pair: (np.array([[float(pair[0][0])], [float(pair[1][0])]]), None),
        decode_strings=lambda z, greedy: [f"{one:.2f}" for one in z[:, 0]] if greedy else None,
    )
    written = strings.report(trained, SimpleNamespace(grammar=expressions.GRAMMAR, test=test))
    parts = re.split(r"^(?=Drawn|Reconstructed|Between)", written, flags=re.MULTILINE)[1:]
    drawn, again, *between = [part.splitlines() for part in parts]
    assert drawn[2] == "1,000 draws: 510 completed (3 different), 0 cut off, 490 invalid"
    lines = [line for line in drawn[3:] if line]
    assert lines == ["x+1  S[S[T[x]]+T[1]]"] * 19 + ["1+  (invalid)"]
    assert again[2:5] == ["1*2+x  the same", "2*2+x  x", "3*2+x  the same"] and len(again) - 3 == 20
    assert [part[0] for part in between] == [
        f"Between {i}*2+x and {i + 1}*2+x, in equal steps from mean to mean" for i in (1, 3, 5)
    ]
    assert [line.split()[0] for line in between[1][2:11]] == [f"{3 + step / 8:.2f}" for step in range(9)]


# ---- a run


QUICK = ("--units", 8, "--latent", 3, "--epochs", 2, "--batch-size", 20)


def test_strings_of_one_character_are_sequences_of_one_step(tmp_path):
    (tmp_path / "one.txt").write_text("\n".join("abcad" * 20))
    result = call(tmp_path / "one.txt", *QUICK, "--quiet", "--out", tmp_path / "run")
    assert result.returncode == 0, result.stderr
    assert set(load_fitted(tmp_path / "run").sample_strings(200)) == set("abcd")


@pytest.mark.parametrize("words", [(), ("--recipe", "characters"), ("--feedback",)])
def test_a_run_of_strings_is_text(words, tmp_path):
    result = call("expressions", *words, *QUICK, "--limit", 60, "--out", tmp_path / "run")
    assert result.returncode == 0 and "warning" not in result.stderr, result.stderr
    summary = json.loads((tmp_path / "run/summary.json").read_text())
    assert summary["test_bits_per_dimension"] is None and summary["unit"] == "nats per sequence"
    assert "nats per sequence" in result.stdout and "nats per example" not in result.stdout + result.stderr
    assert "bits" not in result.stdout + result.stderr
    assert "tinyvae.explore" not in result.stdout  # there is no page of a GRU
    tally = strings.Tally(**summary["samples"])
    assert tally.draws == 1000 == tally.completed + tally.cut_off + tally.invalid
    assert str(tally) in " ".join(result.stdout.split())
    text = (tmp_path / "run/samples.txt").read_text()
    assert str(tally) in text and text.count("Between ") == 3
    assert sorted(path.name for path in (tmp_path / "run/figures").iterdir()) == ["curve.png", "latent.png"]
    for name in ("samples.txt", "figures/curve.png", "figures/latent.png"):
        assert f"\n  {name}" in result.stdout
    trained = tinyvae.load(tmp_path / "run")
    config = json.loads((tmp_path / "run/config.json").read_text())
    assert trained.vocabulary.to_json() == config["dataset"]["vocabulary"]
    drawn = [str(one) for one in trained.sample_strings(1000) if not isinstance(one, Broken)]
    assert drawn[0] in text
    result = call(tmp_path / "run", "--samples", 20, "--limit", 30, main=evaluate.main)
    assert result.returncode == 0, result.stderr
    evaluation = json.loads((tmp_path / "run/evaluation.json").read_text())
    assert evaluation["quantity"] == "log p(x)" and evaluation["bits_per_dimension"] is None
    own = trained.log_likelihood(datasets.load("expressions", characters="characters" in words).test[:30], samples=20)
    assert evaluation["log_likelihood"] == pytest.approx(own.mean(), rel=1e-5)
    assert evaluation["standard_error"] == pytest.approx(own.std(ddof=1) / np.sqrt(30), rel=1e-4)
    result = call("--resume", tmp_path / "run", "--epochs", 3)
    assert result.returncode == 0, result.stderr
    result = call("digits", *QUICK[2:], "--limit", 60, "--out", tmp_path / "run", "--overwrite")
    assert result.returncode == 0 and not (tmp_path / "run/samples.txt").exists()


def test_strings_take_their_recipe_by_themselves(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    dataset(monkeypatch)
    (tmp_path / "words.txt").write_text("\n".join(WORDS))
    (tmp_path / "grammar.txt").write_text("\n".join(GRAMMAR.lines()))
    cases = {
        ("words.txt",): ("gru", "categorical", 0.0, "characters"),
        ("words.txt", "--grammar", "grammar.txt"): ("gru", "categorical", 0.3, "rules"),
        ("words.txt", "--network", "gru", "--free-bits", 0.2): ("gru", "categorical", 0.2, "characters"),
        ("words.txt", "--network", "mlp"): ("mlp", "categorical", 0.0, "characters"),
        ("words.txt", "--likelihood", "bernoulli"): ("gru", "bernoulli", 0.0, "characters"),
        ("sums", "--objective", "iwae"): ("gru", "categorical", 0.0, "rules"),  # where no bits are free
        ("words.txt", "--recipe", "gru"): ("gru", "bernoulli", 0.0, "characters"),
        ("sums",): ("gru", "categorical", 0.3, "rules"),  # of a name that is known in this program alone
        ("sums", "--recipe", "characters"): ("gru", "categorical", 0.0, "characters"),
        ("sums", "--recipe", "grammar"): ("gru", "categorical", 0.3, "rules"),
    }
    for number, (words, wanted) in enumerate(cases.items()):
        result = call(*words, "--latent", 2, "--epochs", 1, "--batch-size", 5, "--out", f"run{number}")
        assert result.returncode == 0 and "warning" not in result.stderr, result.stderr
        config = json.loads((tmp_path / f"run{number}/config.json").read_text())
        found = [config["settings"][name] for name in ("network", "likelihood", "free_bits")]
        assert (*found, config["dataset"]["vocabulary"]["kind"]) == wanted, words
        assert ("no string can be drawn from it" in result.stderr) == (wanted[1] == "bernoulli")
    for words in (("words.txt", "--recipe", "grammar"), ("sums", "--characters", "--recipe", "grammar")):
        assert_misuse(call(*words, "--out", "refused"), "use --recipe characters")
    assert not (tmp_path / "refused").exists()
