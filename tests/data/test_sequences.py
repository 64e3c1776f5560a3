"""Strings as characters and as rules: what the arrays are, there and back, in files, in runs, and what is refused."""

import json
import pickle
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.commands import assert_misuse, call
from tests.data.refusals import refusal, refusal_of
from tinyvae import system
from tinyvae.data import datasets, expressions, sequences
from tinyvae.data.expressions import GRAMMAR
from tinyvae.data.grammar import Broken
from tinyvae.data.grammar_files import parse_grammar
from tinyvae.data.parsing import Parser
from tinyvae.data.sequences import Characters, Rules, Strings
from tinyvae.disk.run import Run
from tinyvae.errors import DataError

SUMS = "sum -> sum '+' digit | digit\ndigit -> '0' | '1'\n"
NUMBERS = parse_grammar(SUMS)
STRINGS = ["1", "0+1", "1+1+0", "0", "1+0", "0+0", "1+1", "0+1+1", "1+0+1", "0+0+0", "1+0+0", "0+1+0"]
SMALL = ("--epochs", 1, "--hidden", 8, "--latent", 2, "--quiet")


@pytest.fixture
def file(tmp_path):
    (tmp_path / "sums.txt").write_text("\n".join(STRINGS))
    (tmp_path / "grammar.txt").write_text(SUMS)
    return tmp_path / "sums.txt"


def decoded(dataset):
    """All strings of a data set, in the order before the split."""
    order = np.random.RandomState(0).permutation(len(dataset.train) + len(dataset.test))
    rows = np.concatenate([dataset.test, dataset.train])[np.argsort(order)]
    codes = rows.reshape(len(rows), *dataset.data_shape)
    assert codes.dtype == bool and (codes.sum(axis=2) == 1).all()
    return dataset.vocabulary.text(codes.argmax(axis=2))


# Vocabularies


def test_characters():
    vocabulary, codes = sequences.as_characters(["ba", "c", "abc"])
    assert vocabulary == Characters(3, "abc") and vocabulary.names == ("a", "b", "c", "end")
    assert vocabulary.size == 4 and vocabulary.groups == () and vocabulary.walk(7) is None
    assert codes.tolist() == [[1, 0, 3], [2, 3, 3], [0, 1, 2]]
    assert vocabulary.text(codes) == ["ba", "c", "abc"]
    assert vocabulary.text(np.array([[3, 0, 1], [0, 3, 1]])) == ["", "a"]  # what stands after the end is not read


def test_rules():
    vocabulary, codes = sequences.as_rules(Strings(["1", "0+1"]), NUMBERS)
    assert vocabulary == Rules(5, NUMBERS) and vocabulary.size == 5  # the longest has 4 rules
    assert vocabulary.names == ("sum -> sum '+' digit", "sum -> digit", "digit -> '0'", "digit -> '1'", "padding")
    assert vocabulary.groups.tolist() == [0, 0, 1, 1, 2]
    assert vocabulary.walk(2).allowed().tolist() == [[True, True, False, False, False]] * 2
    assert codes.tolist() == [[1, 3, 4, 4, 4], [0, 1, 2, 3, 4]]
    assert vocabulary.text(codes) == ["1", "0+1"]
    assert vocabulary.text(np.array([[0, 0, 0, 0, 0], [1, 1, 4, 4, 4]])) == [
        Broken("cut off", "sum+digit+digit+digit+digit+digit", 5),
        Broken("invalid", "digit", 1),
    ]


@given(st.lists(st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=12), min_size=1, max_size=20))
def test_any_strings_as_characters_there_and_back(strings):
    if max(map(len, strings)) > 0:
        vocabulary, codes = sequences.as_characters(strings)
        assert vocabulary.text(codes) == strings
        assert sequences.from_json(json.loads(json.dumps(vocabulary.to_json()))) == vocabulary


def test_one_hot():
    codes = np.array([[1, 3, 4], [0, 0, 2]])
    rows = Rules(3, NUMBERS).one_hot(codes)
    assert rows.shape == (2, 3, 5) and rows.dtype == bool
    assert rows.sum() == 6 and (rows.argmax(axis=2) == codes).all()


@pytest.mark.parametrize(
    ("vocabulary", "string", "words"),
    [
        (Characters(3, "abc"), "abca", "'abca' has 4 characters, and a sequence has room for 3"),
        (Characters(3, "abc"), "ad", "'ad' has 'd', which is none of the characters abc"),
        (Rules(5, NUMBERS), "1+0+1", "'1+0+1' takes 6 rules, and a sequence has room for 5"),
        (Rules(5, NUMBERS), "1+", "'1+' ends too early"),
    ],
)
def test_what_cannot_be_encoded_is_refused(vocabulary, string, words):
    assert refusal_of(vocabulary.encode, [string]).startswith(words)


def test_a_vocabulary_is_the_same_after_json():
    for vocabulary in (Characters(19, " xäü\u2028"), Rules(15, GRAMMAR)):
        assert sequences.from_json(json.loads(json.dumps(vocabulary.to_json()))) == vocabulary
    assert sequences.reading(None) == {}
    assert sequences.reading(Rules(5, NUMBERS).to_json()) == {"grammar": NUMBERS}
    assert sequences.reading(Characters(5, "ab").to_json()) == {"characters": True}


@pytest.mark.parametrize(
    "junk",
    [
        None, [], "rules", {}, {"kind": "rules", "steps": 5}, {"kind": "rules", "steps": 5, "grammar": 7},
        {"kind": "rules", "steps": 5, "grammar": [7]}, {"kind": "rules", "steps": 5, "grammar": ["S -> S"]},
        {"kind": "rules", "steps": 0, "grammar": ["S -> 'a'"]},
        {"kind": "rules", "steps": 10**9, "grammar": ["S -> 'a'"]},
        {"kind": "rules", "steps": True, "grammar": ["S -> 'a'"]}, {"kind": "characters", "steps": 5},
        {"kind": "characters", "steps": 5, "characters": "ba"}, {"kind": "characters", "steps": 5, "characters": "aa"},
        {"kind": "characters", "steps": 5, "characters": ["a"]}, {"kind": "words", "steps": 5, "characters": "ab"},
    ],
)  # fmt: skip
def test_junk_is_no_vocabulary(junk):
    with pytest.raises(ValueError, match=r"it is no vocabulary|steps is|never comes to an end"):
        sequences.from_json(junk)


# Data sets


def test_a_text_file_is_taken_for_characters(file):
    loaded = datasets.load(file)
    assert loaded.name == "sums" and loaded.data_shape == (5, 4) and loaded.vocabulary == Characters(5, "+01")
    assert loaded.train.shape == (11, 20) and loaded.test.shape == (1, 20) and loaded.train_labels is None
    assert loaded.notes == () and loaded.pictures is None
    assert decoded(loaded) == STRINGS
    assert datasets.load(file, characters=True).digest == loaded.digest


def test_a_text_file_with_a_grammar_is_taken_for_rules(file):
    loaded = datasets.load(file, grammar=file.with_name("grammar.txt"))
    assert loaded.data_shape == (7, 5) and loaded.vocabulary == Rules(7, NUMBERS)
    assert decoded(loaded) == STRINGS
    for other in (NUMBERS, str(file.with_name("grammar.txt"))):
        assert datasets.load(file, grammar=other).digest == loaded.digest
    assert datasets.load(file, limit=3, grammar=NUMBERS).train.shape == (3, 35)


def test_a_set_with_a_name_may_give_strings(monkeypatch):
    monkeypatch.setitem(datasets.DATASETS, "sums", lambda _: Strings(STRINGS, NUMBERS, notes=("small",)))
    loaded = datasets.load("sums")
    assert loaded.vocabulary == Rules(7, NUMBERS) and loaded.notes == ("small",) and decoded(loaded) == STRINGS
    assert datasets.load("sums", characters=True).vocabulary == Characters(5, "+01")
    renamed = parse_grammar(SUMS.replace("digit", "bit"))
    assert datasets.load("sums", grammar=renamed).vocabulary == Rules(7, renamed)
    monkeypatch.setitem(datasets.DATASETS, "sums", lambda _: Strings([*STRINGS, "2"], NUMBERS))
    assert "sums: string 13: '2' does not parse from character 1 on" in refusal("sums")


def test_the_digest_is_of_the_strings_not_only_of_the_bits(file):
    digest = datasets.load(file).digest
    file.write_text(file.read_text().replace("0", "x").replace("1", "y"))  # the same bits, since + < 0 < 1 < x < y
    other = datasets.load(file)
    assert decoded(other)[1] == "x+y" and other.digest != digest
    file.write_text("\n".join(STRINGS))
    assert datasets.load(file).digest == digest


def test_notes_are_of_the_file(file):
    file.write_text("\n" + file.read_text() + "\n1\n")
    assert [note.split(":")[0] for note in datasets.load(file).notes] == [
        "empty lines were left out",
        "lines that stand there before",
    ]


def test_a_string_that_does_not_parse_is_named_by_its_line_and_others_are_counted(file):
    file.write_text("1\n\n0+2\n1+\n1+1\n")
    message = refusal(file, grammar=NUMBERS)
    assert message.startswith(
        f"{file}: line 3: '0+2' does not parse from character 3 on, which is '2': there could stand '0', '1'\n"
        "(The same or the like is true of 1 more.)\n"
    )


def test_an_ambiguous_string_is_refused_with_both_derivations(file):
    message = refusal(file, grammar=parse_grammar("s -> s '+' s | '0' | '1'"))
    assert "line 10: '0+0+0' has two derivations" in message  # the first in sorted order
    assert "s[s[s[0]+s[0]]+s[0]]" in message and "s[s[0]+s[s[0]+s[0]]]" in message


def test_an_ambiguous_grammar_is_told_at_its_first_string(tmp_path, monkeypatch):
    """And not after all others, each of which takes the cube of its length."""
    parsed, parse = [], Parser.parse
    monkeypatch.setattr(Parser, "parse", lambda self, string: parsed.append(string) or parse(self, string))
    (tmp_path / "a.txt").write_text("b\naa\naaa\naaaa\naaaaa\n")
    words = refusal(tmp_path / "a.txt", grammar=parse_grammar("S -> S S | 'a'"))
    assert "line 3: 'aaa' has two derivations" in words and parsed == ["aa", "aaa"]


def test_room_is_asked_for_as_soon_as_it_is_known_to_lack(file, monkeypatch):
    """And not after hours of parsing."""
    parsed, parse = [], Parser.parse
    monkeypatch.setattr(Parser, "parse", lambda self, string: parsed.append(string) or parse(self, string))
    monkeypatch.setattr(system, "memory", lambda: 0)
    assert "12 sequences of" in refusal(file, grammar=NUMBERS) and len(parsed) == 1


def test_threads_do_not_meet_in_a_parser():
    """Which is quick since it keeps what it has seen of the string before."""
    words = [["x+1", "sin(x)", "x*x*x*x"], ["1/3+x", "exp(1)", "(x)"]]
    vocabulary, _ = sequences.as_rules(Strings(words[0] + words[1]), GRAMMAR)
    size, interval = len(pickle.dumps(vocabulary)), sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(2) as pool:
            for compute in (lambda word: vocabulary.encode([word]).tolist(), expressions.score):
                found = pool.map(lambda own, compute=compute: [list(map(compute, own)) for _ in range(200)], words)
                alone = [list(map(compute, own)) for own in words]
                assert all(each == own for own, some in zip(alone, found) for each in some)
    finally:
        sys.setswitchinterval(interval)
    assert len(pickle.dumps(vocabulary)) == size


def test_a_grammar_s_own_faults_are_those_of_its_file(file):
    file.with_name("grammar.txt").write_text("sum -> sum + digit")
    message = refusal(file, grammar=file.with_name("grammar.txt"))
    assert (
        message.startswith(f"{file.with_name('grammar.txt')}: line 1 has '+' outside quotes") and "sums" not in message
    )


def test_too_many_characters_are_refused(file):
    file.write_text("\n".join(chr(0x4E00 + i) for i in range(257)), encoding="utf-8")
    assert "it has 257 different characters, from '一' to '\u4f00': at most 256 are taken" in refusal(file)


def test_what_memory_cannot_hold_is_refused_before_it_is_made(file, monkeypatch):
    monkeypatch.setattr(system, "memory", lambda: 12 * 5 * (8 + 2 * 4) - 1)
    monkeypatch.setattr(sequences.Characters, "encode", None)
    assert "12 sequences of 5 steps with 4 symbols take about 0.0 GiB of memory" in refusal(file)
    monkeypatch.undo()
    monkeypatch.setattr(system, "memory", lambda: 12 * 5 * (8 + 2 * 4))
    datasets.load(file)


@pytest.mark.parametrize("known", [False, True], ids=["parsed", "derived-before"])
def test_rules_that_memory_cannot_hold_are_refused_before_they_are_made(monkeypatch, known):
    _, codes = sequences.as_rules(Strings(STRINGS, NUMBERS), NUMBERS)
    source, needed = Strings(STRINGS, NUMBERS, codes if known else None), 12 * 7 * (8 + 2 * 5)
    monkeypatch.setattr(system, "memory", lambda: needed)
    np.testing.assert_array_equal(sequences.as_rules(source, NUMBERS)[1], codes)
    monkeypatch.setattr(system, "memory", lambda: needed - 1)
    monkeypatch.setattr(sequences, "_padded", None)
    with pytest.raises(DataError, match=r"^12 sequences of 7 steps with 5 symbols take about 0\.0 GiB of memory"):
        sequences.as_rules(source, NUMBERS)


def test_options_that_do_not_fit_are_refused(file, tmp_path):
    np.save(tmp_path / "x.npy", np.zeros((4, 2, 2)))
    assert "--grammar can be asked of strings only" in refusal(tmp_path / "x.npy", grammar=NUMBERS)
    assert "--characters can be asked of strings only, and digits has none" in refusal("digits", characters=True)
    assert "--grey can be asked of a folder of pictures only" in refusal(file, grey=True)
    assert "--grammar takes strings for rules and --characters" in refusal(file, grammar=NUMBERS, characters=True)
    assert "missing.txt: it cannot be read (No such file" in refusal(file, grammar=tmp_path / "missing.txt")
    assert "'missing.txt' is neither a data set's name nor a file" in refusal("missing.txt")


# Runs


def test_a_run_on_rules_finds_them_again_without_the_grammar_s_file(file, tmp_path):
    grammar, run = file.with_name("grammar.txt"), tmp_path / "run"
    result = call(file, "--grammar", grammar, *SMALL, "--out", run)
    assert result.returncode == 0, result.stderr
    about = Run.open(run).config()["dataset"]
    assert about["vocabulary"] == {"kind": "rules", "steps": 7, "grammar": NUMBERS.lines()}
    grammar.unlink()
    result = call("--resume", run, "--epochs", 2, "--quiet")
    assert result.returncode == 0, result.stderr
    assert_misuse(call("--resume", run, "--characters"), "--characters does not go with --resume")
    assert_misuse(call("--resume", run, "--grammar", file), "--grammar does not go with --resume")
    file.write_text(file.read_text() + "\n1+1+1")
    assert_misuse(call("--resume", run, "--epochs", 3), "holds other data than the run")


def test_a_run_on_characters_finds_them_again(file, tmp_path, monkeypatch):
    monkeypatch.setitem(datasets.DATASETS, "sums", lambda _: Strings(STRINGS, NUMBERS))
    for source, words in ((file, ()), ("sums", ("--characters",))):
        run = tmp_path / f"run-{len(words)}"
        assert call(source, *words, *SMALL, "--out", run).returncode == 0
        about = Run.open(run).config()["dataset"]
        assert about["vocabulary"] == {"kind": "characters", "steps": 5, "characters": "+01"}
        result = call("--resume", run, "--epochs", 2, "--quiet")
        assert result.returncode == 0, result.stderr


@pytest.mark.parametrize(
    "value",
    [
        {"kind": "characters", "steps": 5, "characters": "+01x"},
        {"kind": "characters", "steps": 6, "characters": "+01"},
        {"kind": "rules", "steps": 5, "grammar": ["S -> 'a'"]},
        "characters",
    ],
)
def test_a_config_with_another_vocabulary_is_refused(file, tmp_path, value):
    run = tmp_path / "run"
    assert call(file, *SMALL, "--out", run).returncode == 0
    config = json.loads((run / "config.json").read_text())
    config["dataset"]["vocabulary"] = value
    (run / "config.json").write_text(json.dumps(config))
    assert_misuse(call("--resume", run, "--epochs", 2), "config.json is not the config of a run (vocabulary is ")


def test_both_at_once_are_misuse(file):
    assert_misuse(call(file, "--grammar", file, "--characters"), "not allowed with argument")
