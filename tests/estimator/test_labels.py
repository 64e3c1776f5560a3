"""Conditional models: labels of many types, and what is none."""

import enum
import pickle

import numpy as np
import pandas as pd
import pytest

from tests.estimator.models import SMALL, same
from tinyvae import VAE


def test_samples_under_a_label_look_like_it(digits, conditional):
    """Nine in ten are nearer to the mean of their own class than to any other's; one in ten by chance."""
    X, _ = digits
    vae, names = conditional
    means = np.array([X[names == name].mean(axis=0) for name in vae.classes_])
    wanted = np.repeat(vae.classes_, 50)
    nearest = ((vae.sample(500, y=wanted)[:, None] - means) ** 2).sum(axis=2).argmin(axis=1)
    assert np.mean(vae.classes_[nearest] == wanted) > 0.9
    alone = vae.sample(y="three")
    assert alone.shape == (1, 64) and np.array_equal(vae.sample(3, y="three")[:1], alone)


def test_a_number_may_be_the_label(digits):
    X, y = digits
    vae = VAE(**SMALL, conditional=True, prior="label").fit(X, y)
    assert vae.sample(y=3).shape == (1, 64) and vae.sample(2, y=[3, 9]).shape == (2, 64)
    assert vae.classes_.tolist() == list(range(10))
    np.testing.assert_array_equal(
        VAE(**SMALL, conditional=True, prior="label").fit_transform(X, y), vae.transform(X, y)
    )


def test_labels_matter_to_every_method(digits, conditional):
    X = digits[0][:200]
    vae, names = conditional
    y, others = names[:200], names[1:201]
    vae = pickle.loads(pickle.dumps(vae)).set_params(n_importance_samples=100)
    assert vae.score(X, y) > vae.score(X, others) + 1
    z = vae.transform(X, y)
    assert not np.allclose(z, vae.transform(X, others))
    right, wrong = (((vae.inverse_transform(z, labels) - X) ** 2).mean() for labels in (y, others))
    assert right < 0.8 * wrong


@pytest.mark.parametrize("method", ["transform", "score_samples", "score", "inverse_transform", "partial_fit"])
def test_a_conditional_model_must_have_labels(digits, conditional, method):
    X = digits[0][:20, :5] if method == "inverse_transform" else digits[0][:20]
    call = getattr(pickle.loads(pickle.dumps(conditional[0])), method)
    for y, message in [
        (None, "conditional=True requires y to be passed"),
        (["three"] * 19, "inconsistent numbers of samples"),
        (["three"] * 19 + ["threescore"], "the label 'threescore', which is not among those of this VAE: 'eight', 'f"),
        ([3] * 20, "the label 3, which is not among those of this VAE: 'eight', 'five'"),
        (["three"] * 19 + [None], "y has None for a label"),
        (["three"] * 19 + [3], r"y has labels of two types, 'three' \(a string\) and 3 \(a number\)"),
    ]:
        with pytest.raises(ValueError, match=message):
            call(X, y)


def test_misuse_of_labels(digits, conditional, fitted):
    X, _ = digits
    with pytest.raises(ValueError, match="requires y to be passed, but the target y is None"):
        VAE(conditional=True).fit(X)
    with pytest.raises(ValueError, match="requires y to be passed"):
        conditional[0].sample(3)
    with pytest.raises(ValueError, match="n_samples=3, but y has 2 labels"):
        conditional[0].sample(3, y=["one", "two"])
    with pytest.raises(ValueError, match="fitted without labels"):
        fitted.sample(y=3)


NO_LABELS = {
    "a missing one": ([0, 1, None, 1], "y has None for a label"),
    "a missing one among strings": (
        np.array(["a", "b", np.nan, "b"], object),
        r"y has labels of two types, .*nan \(a nu",
    ),
    "NaN": ([0.0, 1.0, np.nan, 1.0], "y has nan for a label: give each example its label"),
    "pandas's missing number": (pd.Series([1, 2, None, 2], dtype="Int64"), "y has <NA> for a label"),
    "pandas's missing string": (
        pd.Series(["a", "b", None, "b"], dtype="string"),
        "y has (<NA>|nan) for a label|two types",
    ),
    "mixed types": (
        [1, "a", 1, "a"],
        r"y has labels of two types, 1 \(a number\) and 'a' \(a string\): use one, as in",
    ),
    "mixed objects": (np.array([1, "a", 1, "a"], object), "y has labels of two types"),
    "lists": ([[1], [1, 2], [1], [2]], r"y has \[1, 2\] for a label|y has \[.*\] for a label"),
    "bytes": (np.array([b"a", b"b", b"a", b"b"]), r"y is of type \|S1: whole numbers, strings or bools are needed"),
    "dates": (np.array(["2020", "2021"] * 2, "M8[Y]"), "y is of type datetime64"),
    "complex numbers": ([1j, 2, 1j, 2], "y has 1j for a label|Complex data"),
    "continuous": ([0.5, 1.5, 0.5, 2.5], "continuous"),
    "masked ones": (np.ma.masked_equal([0, 1, 0, 1], 1), "y has 2 masked values"),
    "beyond 64 bits": ([0, 2**63, 0, 1], "y has 9223372036854775808 for a label, which is beyond .* use strings"),
    "far beyond": ([0, -(2**70), 0, 1], "y has -1180591620717411303424 for a label, which is beyond"),
    "unsigned": (np.array([0, 2**63, 2**63 + 1, 1], np.uint64), r"y has 9223372036854775809 for a label, which is"),
    "a table": (np.ones((4, 2), int), r"y should be a 1d array, got an array of shape \(4, 2\)"),
    "a number": (3, "y should be a 1d array"),
    "a word": ("abcd", "y should be a 1d array"),
    "too few": ([0, 1, 0], "inconsistent numbers of samples"),
}


@pytest.mark.parametrize(("y", "message"), NO_LABELS.values(), ids=NO_LABELS)
def test_what_are_no_labels_is_said_in_words(y, message):
    """By every method that takes them, as a ValueError, and the model is what it was."""
    X, good = np.random.default_rng(0).random((4, 6)), [0, 1, 0, 1]
    vae = VAE(**SMALL, conditional=True, n_importance_samples=2).fit(X, good)
    before = pickle.dumps(vae)
    for name in ("fit", "fit_transform", "partial_fit", "transform", "score", "score_samples", "inverse_transform"):
        # a trained model knows which labels it has, be they floats
        expected = message if "fit" in name and name != "partial_fit" else f"{message}|not among those of this VAE"
        with pytest.raises(ValueError, match=expected):
            getattr(vae, name)(X[:, :3] if name == "inverse_transform" else X, y)
    with pytest.raises(ValueError, match=f"{message}|not among those|but y has 3 labels"):
        vae.sample(4, y)
    with pytest.raises(ValueError, match=message):
        VAE(**SMALL, conditional=True).partial_fit(X, y)
    assert pickle.dumps(vae) == before
    VAE(**SMALL).fit(X, y).transform(X, y)  # which a model without labels does not look at


def test_missing_classes_are_said_by_their_name(digits):
    with pytest.raises(ValueError, match="classes has None for a label"):
        VAE(**SMALL, conditional=True).partial_fit(*digits, classes=[*range(10), None])


@pytest.mark.parametrize(
    "number",
    [float, bool, str, lambda y: np.array(list(map(str, y)), object), lambda y: y[:, np.newaxis], list, pd.Series],
)
def test_labels_of_many_types(digits, number):
    """Floats that are whole, bools, strings, a column: the model is that of the numbers."""
    X, y = digits[0][:200], digits[1][:200] % 2
    labels = np.array(list(map(number, y))) if isinstance(number, type) and number in (float, bool, str) else number(y)
    vae, expected = (VAE(**SMALL, conditional=True, n_importance_samples=2).fit(X, each) for each in (labels, y))
    assert same(vae, expected) and vae.classes_.tolist() in ([0, 1], ["0", "1"], ["False", "True"])
    np.testing.assert_array_equal(vae.transform(X, labels), expected.transform(X, y))
    np.testing.assert_array_equal(vae.sample(2, vae.classes_), expected.sample(2, [0, 1]))


def test_labels_of_a_frame_s_own_types_are_what_they_were(digits):
    X, y = digits[0][:200], digits[1][:200]
    for dtype, labels, kind in (("Int64", y, int), ("UInt8", y, int), ("boolean", y > 4, bool), ("string", y, str)):
        vae = VAE(**SMALL, conditional=True).fit(X, pd.Series(labels).astype(dtype))
        assert {type(label) for label in vae.classes_.tolist()} == {kind}
        assert same(vae, VAE(**SMALL, conditional=True).fit(X, labels))


def test_the_members_of_an_enum_are_their_texts(digits):
    class Parity(str, enum.Enum):
        EVEN = "even"
        ODD = "odd"

    X, y = digits[0][:200], digits[1][:200] % 2
    vae = VAE(**SMALL, conditional=True).fit(X, [Parity.ODD if label else Parity.EVEN for label in y])
    assert vae.classes_.tolist() == ["even", "odd"]
    assert same(vae, VAE(**SMALL, conditional=True).fit(X, y))
    if np.lib.NumpyVersion(np.__version__) >= "2.0.0":
        texts = np.array(["even", "odd"], np.dtypes.StringDType())[y]
        assert same(vae, VAE(**SMALL, conditional=True).fit(X, texts))


def test_a_word_is_not_the_number_that_it_spells(digits):
    X, y = digits[0][:200], digits[1][:200]
    vae = VAE(**SMALL, conditional=True).fit(X, y)
    with pytest.raises(ValueError, match="the label '1', which is not among those of this VAE: 0, 1, 2"):
        vae.sample(y="1")
    with pytest.raises(ValueError, match="the label 1, which is not among those of this VAE: '0', '1', '2'"):
        VAE(**SMALL, conditional=True).fit(X, y.astype(str)).sample(y=1)


def test_partial_fit_takes_classes_that_come_later(digits):
    X, y = digits
    vae = VAE(**SMALL, conditional=True)
    low = y < 5
    vae.partial_fit(X[low], y[low], classes=range(10)).partial_fit(X[~low], y[~low])
    assert vae.model_.n_labels == 10 and vae.sample(y=9).shape == (1, 64)
    vae.partial_fit(X, y, classes=range(9, -1, -1))
    with pytest.raises(ValueError, match=r"classes=range\(0, 11\) are not those of the first call, \[0, 1, 2"):
        vae.partial_fit(X, y, classes=range(11))
    with pytest.raises(ValueError, match=r"the label 5, which is not among those of this VAE: 0, 1, 2, 3, 4$"):
        VAE(**SMALL, conditional=True).partial_fit(X[low], y[low]).partial_fit(X, y)


def test_a_fit_without_labels_after_one_with_them():
    X, y = np.random.default_rng(0).random((60, 6)), np.arange(60) % 3
    vae = VAE(**SMALL, conditional=True).fit(X, y).set_params(conditional=False).fit(X)
    assert same(vae, VAE(**SMALL).fit(X)) and not hasattr(vae, "classes_")
