"""How the course judges an answer: what is right is accepted, what is wrong is told apart."""

import nbformat
import numpy as np
import pytest
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

from tests.commands import PATIENCE
from tinyvae.tutorial.answers import Wrong, check_number, compare

x = np.random.default_rng(0).standard_normal((4, 3))
CASES = {"K = 3": (x,), "K = 1": (x[:, :1],)}


def total(x):
    """The answer that is asked for in most of these tests."""
    return x.sum(axis=1)


def diagnosis(answer, reference=total, cases=CASES, **options):
    """What is said of a wrong answer."""
    with pytest.raises(Wrong) as error:
        compare("your sum", answer, reference, cases, **options)
    return str(error.value)


# ---- right answers


def test_what_is_right_is_said(capsys):
    compare("your sum", lambda x: x @ np.ones(x.shape[1]), total, CASES)
    assert capsys.readouterr().out == "Right: your sum.\n"


def test_a_number_is_right_within_the_tolerance(capsys):
    check_number("your number", 2.0 * (1 + 1e-8), 2.0)
    check_number("your list", [1, 2, 3], np.array([1.0, 2.0, 3.0]))
    assert capsys.readouterr().out == "Right: your number.\nRight: your list.\n"


def test_lists_single_precision_and_infinities_in_the_right_place_are_right():
    compare("your sum", lambda x: list(total(x)), total, CASES)
    compare("your sum", lambda x: total(x.astype(np.float32)), total, CASES)
    cases = {"a zero": (np.array([1.0, 0.0]),)}
    with np.errstate(divide="ignore"):
        compare("your logarithm", np.log, np.log, cases)


def test_the_tolerance_is_of_the_largest_number():
    big = {"big": (np.array([1e6, 1.0]),)}
    compare("yours", lambda x: x + 0.5, lambda x: x, big)
    assert "1 more than ours" in diagnosis(lambda x: x + 1, lambda x: x, {"small": (np.array([1.0, 2.0]),)})
    assert "your sum" in diagnosis(lambda x: x + 0.5, lambda x: x, big, rtol=1e-7).lower()


def test_several_outputs_as_a_tuple_or_a_list_are_right():
    both = lambda x: (x.sum(), x.mean())  # noqa: E731
    compare("your two", both, both, CASES, outputs=("the sum", "the mean"))
    compare("your two", lambda x: list(both(x)), both, CASES, outputs=("the sum", "the mean"))


# ---- slips that can be made anywhere

SLIPS = [
    (lambda x: -total(x), "exactly the negative of ours: a sign?"),
    (lambda x: 2 * total(x), "exactly twice ours: a factor?"),
    (lambda x: total(x) / 2, "exactly half ours: a factor?"),
    (lambda x: np.pi * total(x), "exactly pi times ours: a factor?"),
    (lambda x: total(x) / np.log(2), "exactly 1 / log 2 times ours: a factor?"),
    (lambda x: -3.7 * total(x), "exactly -3.7 times ours: a factor?"),
    (lambda x: total(x) + 0.5 * np.log(2 * np.pi), "0.9189 = 1/2 log 2 pi more than ours everywhere: a constant?"),
    (lambda x: total(x) - np.log(2 * np.pi), "1.838 = log 2 pi less than ours everywhere: a constant?"),
    (lambda x: total(x) + 7, "7 more than ours everywhere: a constant?"),
    (lambda x: x, "its shape is (4, 3), and (4,) is expected. Is a sum or a mean over an axis missing?"),
    (lambda x: x.sum(), "its shape is (), and (4,) is expected. Is there a sum or a mean too many, or over all axes?"),
    (lambda x: x.sum(axis=0), "its shape is (3,), and (4,) is expected."),
    (lambda x: x.sum(axis=1, keepdims=True), "and (4,) is expected. Is an axis of length 1 too many (keepdims)?"),
    (lambda x: total(x) * [1, np.nan, 1, np.inf], "2 of 4 numbers are infinite or not a number."),
    (lambda x: total(x) * (1 + 1e-5 * x[:, 0]), "nearly ours, with a relative error of"),
    (lambda x: total(x) * [1, 1, 1, 3], "the largest difference is where yours is"),
]


@pytest.mark.parametrize(("answer", "words"), SLIPS, ids=[words for _, words in SLIPS])
def test_a_slip_is_told(answer, words):
    assert words in diagnosis(answer)


def test_a_transposed_array_is_told():
    assert "its shape is (3, 4), and (4, 3) is expected. Is it transposed?" in diagnosis(
        lambda x: x.T, lambda x: x, {"K = 3": (x,)}
    )


def test_a_shape_is_told_where_it_says_most():
    """With K = 1 a mean over the samples is (4,) for (4, 1), which might as well be an axis left away."""
    cases = {"K = 1": (x[:, :1],), "K = 3": (x,)}
    text = diagnosis(total, lambda x: x, cases)
    assert "its shape is (4,), and (4, 3) is expected. Is there a sum or a mean too many" in text


def test_what_is_right_for_some_cases_is_not_wrong_everywhere():
    text = diagnosis(lambda x: total(x) + (len(x) > 2), total, {"two": (x[:2],), "four": (x,)})
    assert "1 more than ours wherever it differs: a constant? Right for two; wrong for four." in text


def test_a_slip_is_the_same_in_every_case_by_the_size_of_its_own_numbers():
    """The largest case has no say over the tolerance of the others."""

    def wrong(x):
        return 1.001 * total(x) if x.max() > 1000 else 0.7 * total(x)

    text = diagnosis(wrong, total, {"large": (1e5 * np.abs(x),), "small": (x,)})
    assert "times ours" not in text and "the largest difference" in text


def test_axes_made_one_and_axes_cut_in_several_are_told():
    def in_one(x):
        return x.reshape(-1)

    assert "Are several axes made one (reshape)?" in diagnosis(in_one, lambda x: x)
    assert "Is an axis cut in several?" in diagnosis(lambda x: x, in_one)


def test_an_axis_too_few_is_told():
    text = diagnosis(total, lambda x: x.sum(axis=1, keepdims=True))
    assert "its shape is (4,), and (4, 1) is expected. Is an axis of length 1 too few (keepdims)?" in text


def test_a_factor_of_one_is_none():
    """Rounding is not called "exactly 1 times ours"."""
    assert "times" not in diagnosis(lambda x: total(x) * (1 + 1e-5))
    assert "relative error of 1e-05: float32" in diagnosis(lambda x: total(x) * (1 + 1e-5))


def test_one_number_alone_has_neither_factor_nor_constant():
    with pytest.raises(Wrong, match="where yours is 3 and ours 2"):
        check_number("your number", 3.0, 2.0)


# ---- cases


def test_right_for_one_case_and_wrong_for_another():
    text = diagnosis(lambda x: 2 * total(x) if x.shape[1] > 1 else total(x))
    assert text == "Your sum: exactly twice ours: a factor? Right for K = 1; wrong for K = 3."
    assert "Right for" not in diagnosis(lambda x: 2 * total(x))


def test_outputs_are_judged_one_after_the_other():
    def both(x):
        return total(x), x.mean(axis=1) + 1

    outputs = ("the sum", "the mean")
    text = diagnosis(lambda x: (both(x)[0], -both(x)[1]), both, outputs=outputs)
    assert text == "The mean of your sum: exactly the negative of ours: a sign?"
    assert diagnosis(lambda x: (-both(x)[0], -both(x)[1]), both, outputs=outputs).startswith("The sum of your sum")


# ---- mistakes


def test_a_mistake_is_recognised_before_a_slip():
    mistakes = [(lambda x: 3 * total(x), "three times."), (lambda x: -total(x), "downhill.")]
    assert diagnosis(lambda x: -total(x), mistakes=mistakes) == "Your sum: downhill."
    assert "twice" in diagnosis(lambda x: 2 * total(x), mistakes=mistakes)


def test_a_mistake_is_one_only_if_it_is_the_same_in_all_cases():
    mistakes = [(lambda x: -total(x), "downhill.")]
    text = diagnosis(lambda x: -total(x) if x.shape[1] > 1 else total(x), mistakes=mistakes)
    assert text == "Your sum: exactly the negative of ours: a sign? Right for K = 1; wrong for K = 3."


def test_a_mistake_that_overflows_is_recognised():
    """Infinities are equal, and so is what is not a number."""
    cases = {"large": (np.array([1000.0, 1.0]),), "small": (np.array([1.0, 2.0]),)}
    for naive in (lambda x: np.log(np.exp(x)), lambda x: np.exp(x) / np.exp(x) * x):
        assert diagnosis(naive, lambda x: x, cases, mistakes=[(naive, "it overflows.")]) == "Your sum: it overflows."
    with pytest.raises(Wrong, match="a variance"):
        check_number("your number", 4.0, 2.0, [(3.0, "another"), (4.0, "a variance")])


# ---- what is no answer


def test_none_is_told():
    assert diagnosis(lambda x: None) == "Your sum: the function returns None. Is there a return at its end?"
    with pytest.raises(Wrong, match=r"^Your number: it is None"):
        check_number("your number", None, 2.0)


def test_a_wrong_count_of_outputs_is_told():
    both = lambda x: (x.sum(), x.mean())  # noqa: E731
    outputs = ("the sum", "the mean")
    assert "2 outputs are expected (the sum, the mean), not 1" in diagnosis(np.sum, both, outputs=outputs)
    assert "not 3" in diagnosis(lambda x: (1, 2, 3), both, outputs=outputs)
    assert "returns None" in diagnosis(lambda x: (1, None), both, outputs=outputs)
    assert "numbers are expected, not a tuple of 2" in diagnosis(lambda x: (total(x), x))


def test_what_is_no_number_and_no_function_is_told():
    assert "numbers are expected, not str" in diagnosis(lambda x: "much")
    assert "a function is expected, not ndarray. Leave its () away?" in diagnosis(total(x))
    with pytest.raises(Wrong, match="numbers are expected, not function"):
        check_number("your number", total, 2.0)


def test_an_argument_that_is_changed_in_place_is_told():
    kept = x.copy()

    def careless(x):
        x -= x.max()
        return total(x)

    assert diagnosis(careless) == "Your sum: the function changes its argument number 1. Work on a copy of it."
    np.testing.assert_array_equal(x, kept)

    def careless_with_a_layer(n, layers):
        layers[0][1][:] = 0
        return n

    assert "argument number 2" in diagnosis(careless_with_a_layer, lambda n, _: n, {"a layer": (1.0, [(x, x[0])])})


def test_what_is_near_in_large_numbers_alone_is_not_near():
    cases = {"small": (np.array([5.0, 7.0]),), "large": (np.array([1e9, 2e9]),)}
    with pytest.raises(Wrong, match="the largest difference"):
        compare("yours", lambda x: np.add(x, [2, 3]), lambda x: x, cases)
    with pytest.raises(Wrong, match="nearly ours, with a relative error of 3e-05"):
        compare("yours", lambda x: x * [1 + 4e-5, 1], lambda x: x, {name: cases[name] for name in ("large", "small")})


def test_complex_numbers_are_told_from_what_is_no_number():
    with pytest.raises(Wrong, match=r"not complex ones\. Take their real part"):
        compare("yours", lambda x: x + 0j, lambda x: x, {"any": (np.ones(3),)})


def test_an_argument_that_is_not_a_number_has_not_changed():
    compare("yours", np.isnan, np.isnan, {"NaN": (np.array([np.nan, 1.0]),)})


def test_a_generator_is_the_same_for_both():
    compare(
        "yours", lambda rng: rng.normal(size=3), lambda rng: rng.normal(size=3), {"any": (np.random.default_rng(0),)}
    )


def test_what_the_answer_raises_comes_through():
    def unsolved(x):
        raise NotImplementedError("Exercise 1.1 is still to be solved: replace this line")

    with pytest.raises(NotImplementedError, match=r"Exercise 1\.1"):
        compare("your sum", unsolved, total, CASES)
    with pytest.raises(TypeError):
        compare("your sum", lambda x, y: x, total, CASES)


# ---- in a notebook


def test_the_diagnosis_alone_is_offered_to_be_shown():
    with pytest.raises(Wrong) as error:
        check_number("your number", -2.0, 2.0)
    assert error.value._render_traceback_() == ["Not yet. Your number: exactly the negative of ours: a sign?"]


@pytest.mark.slow
def test_a_notebook_shows_the_diagnosis_alone():
    cells = ["from tinyvae.tutorial import check_number", "check_number('your number', -2.0, 2.0)"]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    with pytest.raises(CellExecutionError):
        NotebookClient(notebook, timeout=PATIENCE).execute()
    (output,) = notebook.cells[1].outputs
    assert output.traceback == ["Not yet. Your number: exactly the negative of ours: a sign?"]
