"""The checks of notebook 10: they accept what is right, agree with the package, and say what is wrong."""

import numpy as np
import pytest

from tests.notebooks import rejects, solutions
from tinyvae import tutorial
from tinyvae.derivation import conv
from tinyvae.tutorial import convolutions as ours

SOLUTIONS = solutions("10_convolutions", np=np)


def by_places_in_the_window(x, kernel, stride):
    """Another way to gather: a loop over the window, not over the places."""
    rows, top, bottom = ours.places(x.shape[1], kernel, stride)
    columns, left, right = ours.places(x.shape[2], kernel, stride)
    frame = np.pad(x, ((0, 0), (top, bottom), (left, right), (0, 0)))
    parts = [
        frame[:, i : i + (rows - 1) * stride + 1 : stride, j : j + (columns - 1) * stride + 1 : stride]
        for i in range(kernel)
        for j in range(kernel)
    ]
    return np.concatenate(parts, axis=3)


def test_another_way_is_accepted():
    tutorial.check_patches(by_places_in_the_window)


@pytest.mark.parametrize("name", ours.SIZES)
def test_what_the_checks_take_for_right_is_what_the_package_computes(name):
    N, H, W, C, filters, kernel, stride = ours.SIZES[name]
    x, F, y = ours.random_arrays(1, *ours.SIZES[name])
    geometry, rows = conv.Geometry(H, W, C, kernel, stride), x.reshape(N, -1)
    assert geometry.places == (ours.places(H, kernel, stride)[0], ours.places(W, kernel, stride)[0])
    theirs, cache = conv.convolution(rows, F, np.zeros((1, filters)), geometry)
    np.testing.assert_allclose((ours.gather(x, kernel, stride) @ F).reshape(N, -1), theirs, rtol=1e-12, atol=1e-12)
    dF = np.empty_like(F)
    dx, _ = conv.convolution_backward(y.reshape(N, -1), cache, dF)
    back = ours.put_back(y @ F.T, H, W, kernel, stride)
    np.testing.assert_allclose(back.reshape(N, -1), dx, rtol=1e-12, atol=1e-12)
    _, cache = conv.transposed_convolution(y.reshape(N, -1), F, np.zeros((1, C)), geometry)
    dy, db = conv.transposed_convolution_backward(rows, cache, dF)
    found = SOLUTIONS["transposed_backward"](x, y, F, kernel, stride)
    for mine, other in zip(found, (dy.reshape(y.shape), dF, db.sum(axis=0)), strict=True):
        np.testing.assert_allclose(mine, other, rtol=1e-12, atol=1e-12)


# ---- 10.1

PLACES = [
    (lambda n, k, s: (n // s, 0, 0), "rounded down"),
    (lambda n, k, s: ((n - k) // s + 1, 0, 0), "wholly within the image"),
    (lambda n, k, s: (n // s + 1, 0, 0), "one too many where the stride divides"),
    (lambda n, k, s: (n, 0, 0), "the stride is left out"),
    (lambda n, k, s: (-(-n // s), 0, 0), "there are no zeros before the pixels"),
    (lambda n, k, s: (-(-n // s), (k - 1) // 2, k // 2), "right for a stride of 1 alone"),
    (lambda n, k, s: (-(-n // s), (k - s) // 2, (k - s + 1) // 2), "only where the stride divides the length"),
    (
        lambda n, k, s: (*ours.places(n, k, s)[:2], ours.places(n, k, s)[1]),
        "a zero is missing where their number is odd",
    ),
    (lambda n, k, s: (ours.places(n, k, s)[0], *2 * ours.places(n, k, s)[2:]), "the order of the halves where"),
    (lambda n, k, s: (-(-n // s), k // 2, k // 2), "k // 2 zeros on either side"),
    (ours.odd_one_before, "the greater half comes after the pixels"),
    (ours.all_after, "Both sides share those that the last"),
    (ours.all_before, "all zeros stand before the pixels"),
    (lambda n, k, s: (-(-n // s) + (s == 1), *ours.places(n, k, s)[1:]), "1 more than ours wherever it differs"),
    (lambda n, k, s: tuple(map(float, ours.places(n, k, s))), "Places are counted"),
    (lambda n, k, s: (np.ceil(n / s), *ours.places(n, k, s)[1:]), "Places are counted"),
    (lambda n, k, s: -(-n // s), "3 outputs are expected"),
]


@pytest.mark.parametrize(("answer", "words"), PLACES, ids=[words for _, words in PLACES])
def test_places(answer, words):
    rejects(tutorial.check_places, answer, words=words)


# ---- 10.2


def gathered(x, kernel, stride, sides=ours.places, step=None, mode="constant", view=lambda window: window):
    """Patches, by loops over all numbers of a place."""
    (rows, top, bottom), (columns, left, right) = (sides(n, kernel, stride) for n in x.shape[1:3])
    frame = np.pad(x, ((0, 0), (top, bottom), (left, right), (0, 0)), mode)
    step = step or stride
    return np.stack(
        [
            np.stack(
                [
                    view(frame[:, r * step : r * step + kernel, c * step : c * step + kernel]).reshape(len(x), -1)
                    for c in range(columns)
                ],
                axis=1,
            )
            for r in range(rows)
        ],
        axis=1,
    )


def but(**changes):
    return lambda *arguments: gathered(*arguments, **changes)


PATCHES = [
    (but(view=lambda w: np.flip(w, (1, 2))), "the window is turned over"),
    (but(view=lambda w: np.transpose(w, (0, 2, 1, 3))), "rows and columns of the patch have changed places"),
    (but(view=lambda w: np.transpose(w, (0, 3, 1, 2))), "channel, row, column"),
    (but(sides=ours.odd_one_before), "the sides of the margin have changed places"),
    (but(sides=ours.all_after), "all zeros are below and to the right"),
    (but(sides=ours.all_before), "all zeros are above and to the left"),
    (but(step=1), "the stride is left out"),
    (but(mode="edge"), "repeats the border"),
    (but(mode="wrap"), "the other side of the image"),
    (but(mode="reflect"), "a reflection"),
    (lambda *a: np.transpose(gathered(*a), (0, 2, 1, 3)), "downwards and across have changed places"),
    (lambda *a: gathered(*a)[0], "Keep the axis of the examples"),
    (lambda *a: gathered(*a)[[0] * len(a[0])], "only the first image is looked at"),
    (lambda *a: gathered(*a).reshape(-1, gathered(*a).shape[3]), "the axes of the images and places are one"),
    (lambda *a: gathered(*a).reshape(len(a[0]), -1, gathered(*a).shape[3]), "Are several axes made one"),
    (lambda *a: gathered(*a).reshape(*gathered(*a).shape[:3], a[1], -1), "Is an axis cut in several?"),
    (lambda *a: gathered(*a).sum(axis=3), "is there a sum or a mean too many".capitalize()),
]


@pytest.mark.parametrize(("answer", "words"), PATCHES, ids=[words for _, words in PATCHES])
def test_patches(answer, words):
    rejects(tutorial.check_patches, answer, words=words)


# ---- 10.3 and 10.6


def one_by_one(da, x, kernel, stride, **changes):
    """dF of each image."""
    q = gathered(x, kernel, stride, **changes)
    return np.einsum("nrci,nrcj->nij", q, da)


def filters_of(dF=lambda dF: dF.sum(axis=0), db=lambda da: da.sum(axis=(0, 1, 2)), upstream=lambda da: da, **changes):
    def answer(da, x, kernel, stride):
        return dF(one_by_one(upstream(da), x, kernel, stride, **changes)), db(da)

    return answer


def turned(dF):
    """The gradient of filters that are turned over."""
    kernel = {9: 3, 18: 3, 48: 4, 50: 5, 4: 2}[dF.shape[1]]
    return np.flip(dF.sum(axis=0).reshape(kernel, kernel, -1, dF.shape[2]), (0, 1)).reshape(dF.shape[1:])


FILTERS = [
    (filters_of(dF=lambda dF: dF.mean(axis=0)), "a mean over the images"),
    (lambda da, *a: (filters_of()(da, *a)[0] / (da.size / da.shape[3]), 0.0), "a mean over all places"),
    (filters_of(dF=lambda dF: dF), "the sum over the images of the minibatch is missing"),
    (filters_of(dF=lambda dF: dF[0]), "only the first image is used"),
    (filters_of(dF=lambda dF: dF.sum(axis=0).T), "its rows and columns have changed places"),
    (filters_of(dF=turned), "the filters are turned over"),
    (filters_of(step=1), "the stride is left out"),
    (filters_of(upstream=np.ones_like), "da is missing"),
    (filters_of(db=lambda da: da.sum(axis=(1, 2))), "the sum over the images of the minibatch is missing"),
    (filters_of(db=lambda da: da.sum(axis=0)), "the sum over the places is missing"),
    (filters_of(db=lambda da: da[0].sum(axis=(0, 1))), "only the first image is used"),
    (filters_of(db=lambda da: da.mean(axis=(0, 1, 2))), "a mean over all places"),
    (filters_of(db=lambda da: da.sum(axis=(1, 2)).mean(axis=0)), "a mean over the images"),
    (filters_of(db=lambda da: da.sum(axis=0).mean(axis=(0, 1))), "a mean over the places"),
    (filters_of(db=np.sum), "a sum over all of da"),
    (lambda *a: filters_of()(*a)[0], "2 outputs are expected"),
]


@pytest.mark.parametrize(("answer", "words"), FILTERS)
def test_filter_gradients(answer, words):
    rejects(tutorial.check_filter_gradients, answer, words=words)


def transposed(dx=lambda r, F: r @ F, dF=lambda dF: dF.sum(axis=0), db=lambda da, x: da.sum(axis=(0, 1, 2)), **changes):
    def answer(da, x, F, kernel, stride):
        r = gathered(da, kernel, stride, **changes)
        return dx(r, F), dF(np.einsum("nrci,nrcj->nij", r, x)), db(da, x)

    return answer


TRANSPOSED = [
    (transposed(view=lambda w: np.flip(w, (1, 2))), "the windows are turned over"),
    (transposed(step=1), "the stride is left out"),
    (transposed(sides=ours.odd_one_before), "the sides of the margin have changed places"),
    (transposed(sides=ours.all_after), "the margin stands on the wrong side"),
    (transposed(dx=lambda r, F: (r @ F) / len(r)), "divided by the number of images"),
    (lambda da, *a: transposed()(np.ones_like(da), *a), "da is missing"),
    (transposed(dF=lambda dF: dF.sum(axis=0).T), "its rows and columns have changed places"),
    (transposed(dF=turned), "turned over, upside down"),
    (transposed(dF=lambda dF: dF), "the sum over the images of the minibatch is missing"),
    (transposed(dF=lambda dF: dF[0]), "only the first image is used"),
    (transposed(dF=lambda dF: dF.mean(axis=0)), "a mean over the images"),
    (transposed(db=lambda da, x: da.sum(axis=(1, 2))), "the sum over the images of the minibatch is missing"),
    (transposed(db=lambda da, x: da.sum(axis=0)), "the sum over the pixels is missing"),
    (transposed(db=lambda da, x: da[0].sum(axis=(0, 1))), "only the first image is used"),
    (transposed(db=lambda da, x: da.mean(axis=(0, 1, 2))), "a mean over all pixels"),
    (transposed(db=lambda da, x: da.sum(axis=(1, 2)).mean(axis=0)), "a mean over the images"),
    (transposed(db=lambda da, x: x.sum(axis=(0, 1, 2))), "the sum runs over x"),
    (transposed(db=lambda da, x: da.sum()), "a sum over all of da"),
]


@pytest.mark.parametrize(("answer", "words"), TRANSPOSED)
def test_transposed_backward(answer, words):
    rejects(tutorial.check_transposed_backward, answer, words=words)


# ---- 10.4


def scattered(
    q, H, W, kernel, stride, put=np.add, sides=ours.places, cut=None, step=None, view=lambda w: w, axes=(0, 1, 2, 3)
):
    """Patches put back one after the other."""
    (rows, top, bottom), (columns, left, right) = (sides(n, kernel, stride) for n in (H, W))
    frame = np.zeros((len(q), H + top + bottom, W + left + right, q.shape[3] // kernel**2))
    step = step or stride
    shape = np.array((len(q), kernel, kernel, frame.shape[3]))[np.argsort(axes)]
    for r, c in np.ndindex(rows, columns):
        patch = view(q[:, r, c].reshape(shape).transpose(axes))
        place = np.s_[:, r * step : r * step + kernel, c * step : c * step + kernel]
        frame[place] = put(frame[place], patch)
    if cut is not None:
        top, left = cut(H, kernel, stride)[1], cut(W, kernel, stride)[1]
    return frame[:, top : top + H, left : left + W]


def puts(**changes):
    return lambda *arguments: scattered(*arguments, **changes)


def with_margin(q, H, W, kernel, stride):
    """The whole frame."""
    (_, top, bottom), (_, left, right) = (ours.places(n, kernel, stride) for n in (H, W))
    frame = np.zeros((len(q), H + top + bottom, W + left + right, q.shape[3] // kernel**2))
    for r, c in np.ndindex(*q.shape[1:3]):
        frame[:, r * stride : r * stride + kernel, c * stride : c * stride + kernel] += q[:, r, c].reshape(
            len(q), kernel, kernel, -1
        )
    return frame


def clipped(q, H, W, kernel, stride):
    """Indices beyond the image are taken for those of its border."""
    top, left = ours.places(H, kernel, stride)[1], ours.places(W, kernel, stride)[1]
    out = np.zeros((len(q), H, W, q.shape[3] // kernel**2))
    for r, c, i, j in np.ndindex(*q.shape[1:3], kernel, kernel):
        row, column = np.clip(r * stride + i - top, 0, H - 1), np.clip(c * stride + j - left, 0, W - 1)
        out[:, row, column] += q[:, r, c].reshape(len(q), kernel, kernel, -1)[:, i, j]
    return out


def written_over(q, H, W, kernel, stride):
    """A loop over the places in the window, with = for +=."""
    (rows, top, bottom), (columns, left, right) = (ours.places(n, kernel, stride) for n in (H, W))
    frame = np.zeros((len(q), H + top + bottom, W + left + right, q.shape[3] // kernel**2))
    for i, j in np.ndindex(kernel, kernel):
        place = np.s_[:, i : i + stride * rows : stride, j : j + stride * columns : stride]
        frame[place] = q.reshape(*q.shape[:3], kernel, kernel, -1)[:, :, :, i, j]
    return frame[:, top : top + H, left : left + W]


PUT_BACK = [
    (puts(put=lambda there, patch: patch), "is it = where += belongs?"),
    (written_over, "is it = where += belongs?"),
    (lambda q, *a: scattered(q, *a) / scattered(np.ones_like(q), *a), "a mean over the windows"),
    (with_margin, "the margin is still there"),
    (puts(cut=ours.all_after), "the margin is cut off on the wrong side: all of it below"),
    (puts(cut=ours.all_before), "the margin is cut off on the wrong side: all of it above"),
    (puts(cut=ours.odd_one_before), "the sides of the margin have changed places"),
    (puts(sides=ours.odd_one_before), "the sides of the margin have changed places"),
    (puts(step=1), "the stride is left out"),
    (puts(view=lambda w: np.flip(w, (1, 2))), "the patches are turned over"),
    (puts(axes=(0, 2, 1, 3)), "rows and columns of the patches have changed places"),
    (puts(axes=(0, 2, 3, 1)), "channel, row, column"),
    (clipped, "is added to the border of the image"),
    (lambda *a: scattered(*a).sum(axis=0), "the images are summed"),
    (lambda *a: scattered(*a)[[0] * len(a[0])], "only the first image is used"),
]


@pytest.mark.parametrize(("answer", "words"), PUT_BACK, ids=[words for _, words in PUT_BACK])
def test_put_back(answer, words):
    rejects(tutorial.check_put_back, answer, words=words)


# ---- 10.5


def sums(T, back, x, y):
    """<T x, y> and <x, back y>."""
    return (T(x) * y).sum(), (x * back(y)).sum()


def relative(T, back, x, y, tolerance=1e-8, judged=lambda a: a):
    one, other = map(judged, sums(T, back, x, y))
    return abs(one - other) < tolerance * abs(one)


def with_own_arrays(T, back, x, y):
    rng = np.random.default_rng(7)
    return relative(T, back, rng.standard_normal(x.shape), rng.standard_normal(y.shape))


def image_by_image(T, back, x, y):
    one, other = (T(x) * y).sum(axis=(1, 2, 3)), (x * back(y)).sum(axis=(1, 2, 3))
    return bool(np.max(np.abs(one - other)) < 1e-9 * np.max(np.abs(one)))


@pytest.mark.parametrize("answer", [relative, with_own_arrays, image_by_image])
def test_other_tests_are_accepted(answer):
    tutorial.check_is_transpose(answer)


IS_TRANSPOSE = [
    (lambda *a: abs(np.subtract(*sums(*a))) < 1e-6, "numbers are of the order of 10^9"),
    (lambda *a: bool(np.isclose(*sums(*a))), "numbers are of the order of 10^-9"),
    *[(lambda *a, t=t: relative(*a, tolerance=t), "what is 0.01 % too large") for t in (1e-3, 1e-2)],
    (lambda *a: bool(np.subtract(*sums(*a)) < 1e-9 * abs(sums(*a)[0])), "it passes half the transpose"),
    (lambda *a: bool(np.subtract(*sums(*a)) > -1e-9 * abs(sums(*a)[0])), "it passes twice the transpose"),
    (lambda *a: relative(*a, judged=abs), "the negative of the transpose"),
    (lambda T, back, x, y: relative(T, back, x[:1], y[:1]), "the first image alone"),
    (lambda T, back, x, y: back(y).shape == x.shape, "it says True of everything"),
    (lambda *a: not relative(*a), "True and False have changed places"),
    (lambda T, back, x, y: bool(np.allclose(back(T(x)), x)), "it says False of everything"),
    (lambda T, back, x, y: T(x) * y == x.sum(), "not an array of the shape"),
]


@pytest.mark.parametrize(("answer", "words"), IS_TRANSPOSE, ids=[words for _, words in IS_TRANSPOSE])
def test_is_transpose(answer, words):
    rejects(tutorial.check_is_transpose, answer, words=words)


def test_the_hints_are_graded():
    for hint, words in (
        (1, "an order is wrong. (hint=2"),
        (2, "have changed places.  "),
        (3, "below and to the right"),
    ):
        with pytest.raises(tutorial.Wrong) as error:
            tutorial.check_patches(but(sides=ours.odd_one_before), hint=hint)
        assert words.strip() in str(error.value)
