"""The checks of notebook 10: a convolution as a product with patches, its backward pass, and its transpose."""

import numpy as np

from tinyvae.tutorial.answers import called, compare, in_integers, judge
from tinyvae.tutorial.exercises import exercise

# ---------------------------------------------------------------------------------------------------------------------
# Ours, of parts in whose place a wrong one may be put
# ---------------------------------------------------------------------------------------------------------------------


def places(length, kernel, stride):
    """How many windows, and the zeros that they show before and after the pixels."""
    count = -(-length // stride)
    lacking = (count - 1) * stride + kernel - length
    return count, lacking // 2, lacking - lacking // 2


def odd_one_before(length, kernel, stride):
    """``places`` with the greater half of the zeros on the wrong side."""
    count, fewer, more = places(length, kernel, stride)
    return count, more, fewer


def less_after(length, kernel, stride):
    """``places`` with the smaller half of the zeros after the pixels, whatever is before."""
    count, fewer, _ = places(length, kernel, stride)
    return count, np.nan, fewer


def all_after(length, kernel, stride):
    """``places`` with all zeros on one side."""
    count, before, after = places(length, kernel, stride)
    return count, 0, before + after


def all_before(length, kernel, stride):
    """``places`` with all zeros on the other."""
    count, before, after = places(length, kernel, stride)
    return count, before + after, 0


def windows(height, width, kernel, stride, sides=places, step=None):
    """The margins ((top, bottom), (left, right)), and [(a place, its window in the frame with them)]."""
    (rows, *downwards), (columns, *across) = sides(height, kernel, stride), sides(width, kernel, stride)
    step, all_images = step or stride, slice(None)
    every = [
        ((all_images, r, c), (all_images, slice(r * step, r * step + kernel), slice(c * step, c * step + kernel)))
        for r in range(rows)
        for c in range(columns)
    ]
    return (downwards, across), every


def as_it_is(window):
    """A patch (N, k, k, C) whose numbers are in our order: row, column, channel."""
    return window


def turned_over(window):
    """A patch as in the convolution of signal processing."""
    return window[:, ::-1, ::-1]


def columns_first(window):
    """A patch with rows and columns exchanged."""
    return window.swapaxes(1, 2)


def gather(x, kernel, stride, sides=places, step=None, mode="constant", arranged=as_it_is, shown=as_it_is):
    """G x: the patches (N, P rows, P columns, k k C) of images (N, H, W, C)."""
    (downwards, across), every = windows(*x.shape[1:3], kernel, stride, sides, step)
    frame = np.pad(shown(x), ((0, 0), downwards, across, (0, 0)), mode)
    (_, rows, columns), _ = every[-1]
    q = np.empty((len(x), rows + 1, columns + 1, kernel * kernel * x.shape[3]))
    for place, window in every:
        q[place] = arranged(frame[window]).reshape(len(x), -1)
    return q


def add(there, numbers):
    """What stands in a window after a patch has been put into it."""
    return there + numbers


def in_frame(q, height, width, kernel, stride, sides=places, step=None, put=add, arranged=as_it_is):
    """Patches put back into the frame, with the margins around the images."""
    (downwards, across), every = windows(height, width, kernel, stride, sides, step)
    frame = np.zeros((len(q), height + sum(downwards), width + sum(across), q.shape[-1] // kernel**2))
    for place, window in every:
        patch = arranged(q[place].reshape(len(q), kernel, kernel, -1))
        frame[window] = put(frame[window], patch)
    return frame


def put_back(q, height, width, kernel, stride, sides=places, cut=places, **pieces):
    """Gᵀ q: images (N, H, W, C) from patches (N, P rows, P columns, k k C), each number added where it came from."""
    frame = in_frame(q, height, width, kernel, stride, sides, **pieces)
    (_, top, _), (_, left, _) = cut(height, kernel, stride), cut(width, kernel, stride)
    return frame[:, top : top + height, left : left + width]


def rows_of(array):
    """All axes but the last in one."""
    return array.reshape(-1, array.shape[-1])


def over_turned(F, kernel):
    """Filters (k k C, C') with each turned over."""
    return F.reshape(kernel, kernel, -1, F.shape[1])[::-1, ::-1].reshape(F.shape)


# (N, H, W, C, C', k, stride): sizes that are all different, odd ones, windows that overlap and that do not
SIZES = {
    "k = 3, stride 2": (3, 5, 8, 2, 4, 3, 2),
    "k = 4, stride 2": (2, 6, 7, 3, 2, 4, 2),
    "stride 1": (2, 4, 5, 1, 3, 3, 1),
    "one image": (1, 7, 5, 2, 3, 5, 3),
    "k = stride = 2": (3, 4, 6, 1, 2, 2, 2),
}


def random_arrays(seed, N, H, W, C, filters, kernel, stride):
    """Images (N, H, W, C), filters (k k C, C') and feature maps (N, P rows, P columns, C')."""
    rng = np.random.default_rng(seed)
    maps = N, places(H, kernel, stride)[0], places(W, kernel, stride)[0], filters
    return tuple(rng.standard_normal(shape) for shape in ((N, H, W, C), (kernel * kernel * C, filters), maps))


def cases(arguments):
    """{name: arguments(images, filters, feature maps, kernel, stride)} over all SIZES."""
    return {
        name: arguments(*random_arrays(seed, *sizes), *sizes[-2:]) for seed, (name, sizes) in enumerate(SIZES.items())
    }


# ---------------------------------------------------------------------------------------------------------------------
# Forward
# ---------------------------------------------------------------------------------------------------------------------


@exercise("10.1")
def check_places(answer):
    """Exercise 10.1: (length, kernel, stride) -> the number of windows, the zeros before, the zeros after."""

    def counted(count):
        return lambda length, k, s: (count(length, k, s), *places(length, k, s)[1:])

    def lacking(zeros):
        """All zeros shared as they should be, but of another number."""

        def mistaken(length, k, s):
            z = zeros(length, k, s)
            return places(length, k, s)[0], z // 2, z - z // 2

        return mistaken

    mistakes = [
        (
            counted(lambda length, k, s: length // s),
            "rounded down, so that the last pixels have no window. There is a place for every stride pixels, also for"
            " the last ones when they are fewer.",
        ),
        (
            counted(lambda length, k, s: (length - k) // s + 1),
            "only windows that lie wholly within the image are counted. Here a window may reach beyond it: a place for"
            " every stride pixels, rounded up.",
        ),
        (
            counted(lambda length, k, s: length // s + 1),
            "one too many where the stride divides the length. Round the quotient up: -(-length // stride).",
        ),
        (counted(lambda length, k, s: length), "the stride is left out: there is a place for every stride pixels."),
        (
            less_after,
            "a zero is missing where their number is odd: the half before the pixels is rounded down, and this one up.",
        ),
        (
            odd_one_before,
            "the order of the halves where the number of zeros is odd: the greater half comes after the pixels.",
        ),
        (all_after, "there are no zeros before the pixels. Both sides share those that the last window needs."),
        (all_before, "all zeros stand before the pixels. Both sides share them."),
        (
            lacking(lambda length, k, s: k - 1),
            "k - 1 zeros in all is right for a stride of 1 alone: the stride is left out. The last window ends at"
            " (places - 1) stride + k.",
        ),
        (
            lacking(lambda length, k, s: k - s),
            "k - stride zeros in all is right only where the stride divides the length. The last window ends at"
            " (places - 1) stride + k.",
        ),
        (
            lambda length, k, s: (places(length, k, s)[0], k // 2, k // 2),
            "k // 2 zeros on either side are too many: it is as many as the last window needs, shared by both sides.",
        ),
    ]
    lengths = {
        "28 pixels, k = 4, stride 2": (28, 4, 2),
        "28 pixels, k = 4, stride 1": (28, 4, 1),
        "7 pixels, k = 3, stride 2": (7, 3, 2),
        "8 pixels, k = 3, stride 2": (8, 3, 2),
        "10 pixels, k = 5, stride 3": (10, 5, 3),
        "5 pixels, k = 2, stride 2": (5, 2, 2),
        "1 pixel, k = 3, stride 1": (1, 3, 1),
    }
    outputs = ("the number of places", "the number of zeros before", "the number of zeros after")
    what = "your places"
    adapted = in_integers(what, answer, "Places are counted: -(-length // stride), or int() around what is rounded.")
    compare(what, adapted, places, lengths, mistakes, outputs)


@exercise("10.2")
def check_patches(answer):
    """Exercise 10.2: G x, (x (N, H, W, C), kernel, stride) -> patches (N, P rows, P columns, k k C)."""

    def but(**pieces):
        return lambda *arguments: gather(*arguments, **pieces)

    def channels_first(x, kernel, stride):
        q = gather(x, kernel, stride)
        parts = q.reshape(*q.shape[:3], kernel * kernel, -1)
        return parts.swapaxes(3, 4).reshape(q.shape)

    mistakes = [
        (
            but(arranged=turned_over),
            "the window is turned over, upside down and left to right. That is the convolution of signal processing;"
            " a network's takes the patch as it stands.",
        ),
        (
            but(arranged=columns_first),
            "rows and columns of the patch have changed places. In a patch the columns run faster than the rows.",
        ),
        (
            channels_first,
            "the order within a patch is channel, row, column. The channels run fastest: row, column, channel.",
        ),
        (
            but(sides=odd_one_before),
            "the sides of the margin have changed places: where the number of zeros is odd, the greater half is below"
            " and to the right.",
        ),
        (
            but(sides=all_after),
            "the margin stands on the wrong side: all zeros are below and to the right. Both sides share them.",
        ),
        (
            but(sides=all_before),
            "the margin stands on the wrong side: all zeros are above and to the left. Both sides share them.",
        ),
        (
            but(step=1),
            "the stride is left out of the steps: window (r, c) begins at row r stride and column c stride of the"
            " frame.",
        ),
        (but(mode="edge"), "the margin repeats the border of the image: it shows zeros."),
        (but(mode="wrap"), "the margin shows the other side of the image: it shows zeros. (A negative index?)"),
        (but(mode="reflect"), "the margin is a reflection of the image: it shows zeros."),
        (
            lambda x, *k: gather(x, *k).swapaxes(1, 2),
            "the places downwards and across have changed places: (N, P rows, P columns, k k C).",
        ),
        (
            lambda x, *k: np.repeat(gather(x, *k)[:1], len(x), axis=0),
            "only the first image is looked at, and its patches are given for all.",
        ),
        (lambda x, *k: gather(x, *k)[0], "only the first image is looked at. Keep the axis of the examples."),
        (
            lambda x, *k: rows_of(gather(x, *k)),
            "the order is right, but the axes of the images and places are one. Keep them: (N, P rows, P columns,"
            " k k C).",
        ),
    ]
    compare("your patches", answer, gather, cases(lambda x, F, y, k, s: (x, k, s)), mistakes)


# ---------------------------------------------------------------------------------------------------------------------
# Backward
# ---------------------------------------------------------------------------------------------------------------------


FIRST = "only the first image is used: the sum over the others is missing."


def of_the_bias(but, places, kind):
    """The mistakes in db, the sum of da over the images and all places; what these are called, and a number of b."""
    return [
        (
            but(db=lambda da, *_: da.sum(axis=(1, 2))),
            "the sum over the images of the minibatch is missing: one b serves all of them.",
        ),
        (but(db=lambda da, *_: da.sum(axis=0)), f"the sum over the {places} is missing: one b serves all of them."),
        (but(db=lambda da, *_: da[0].sum(axis=(0, 1))), FIRST),
        (but(db=lambda da, *_: da.mean(axis=(0, 1, 2))), f"a mean over all {places}. The chain rule adds them up."),
        (
            but(db=lambda da, *_: da.mean(axis=0).sum(axis=(0, 1))),
            "a mean over the images. The chain rule adds them up.",
        ),
        (
            but(db=lambda da, *_: da.mean(axis=(1, 2)).sum(axis=0)),
            f"a mean over the {places}. The chain rule adds them up.",
        ),
        (but(db=lambda da, *_: da.sum()), f"a sum over all of da. Each b_j acts on its own {kind} alone."),
    ]


@exercise("10.3")
def check_filter_gradients(answer):
    """Exercise 10.3: (da (N, P rows, P columns, C'), x (N, H, W, C), kernel, stride) -> dF (k k C, C'), db (C',)."""

    def gradients(da, x, kernel, stride, **pieces):
        return rows_of(gather(x, kernel, stride, **pieces)).T @ rows_of(da), rows_of(da).sum(axis=0)

    def but(dF=None, db=None):
        def mistaken(da, x, kernel, stride):
            right = gradients(da, x, kernel, stride)
            return [value if f is None else f(da, x, kernel, stride) for f, value in zip((dF, db), right)]

        return mistaken

    def of_each_image(da, x, kernel, stride):
        return np.stack([gradients(da[n : n + 1], x[n : n + 1], kernel, stride)[0] for n in range(len(x))])

    one = " One F serves all places of all images, so it collects a term from each."
    mistakes = [
        (
            but(dF=lambda *a: gradients(*a)[0] / len(a[0])),
            f"a mean over the images. The chain rule adds them up.{one}",
        ),
        (
            but(dF=lambda *a: gradients(*a)[0] / rows_of(a[0]).shape[0]),
            f"a mean over all places. The chain rule adds them up.{one}",
        ),
        (but(dF=of_each_image), f"the sum over the images of the minibatch is missing.{one}"),
        (but(dF=lambda *a: of_each_image(*a)[0]), f"{FIRST}{one}"),
        (
            but(dF=lambda *a: gradients(*a)[0].T),
            "its rows and columns have changed places: like F it has a row for each number of a patch, qᵀ da.",
        ),
        (
            but(dF=lambda da, x, k, s: over_turned(gradients(da, x, k, s)[0], k)),
            "the filters are turned over, upside down and left to right. Nothing is turned over on the way there, and"
            " nothing on the way back.",
        ),
        (
            but(dF=lambda da, x, k, s: gradients(da, x, k, s, step=1)[0]),
            "the stride is left out: the patches are those of windows that move by one pixel.",
        ),
        (
            but(dF=lambda da, *a: gradients(np.ones_like(da), *a)[0]),
            "da is missing: F acts on f only through a, so each derivative of a by F is to be weighted with da.",
        ),
        *of_the_bias(but, "places", "feature map"),
    ]
    outputs = ("the dF", "the db")
    arguments = cases(lambda x, F, y, k, s: (y, x, k, s))
    compare("your filter gradients", answer, gradients, arguments, mistakes, outputs)


@exercise("10.4")
def check_put_back(answer):
    """Exercise 10.4: Gᵀ q, (q (N, P rows, P columns, k k C), height, width, kernel, stride) -> (N, H, W, C)."""

    def but(**pieces):
        return lambda *arguments: put_back(*arguments, **pieces)

    def channels_first(q, height, width, kernel, stride):
        parts = q.reshape(*q.shape[:3], -1, kernel * kernel)
        return put_back(parts.swapaxes(3, 4).reshape(q.shape), height, width, kernel, stride)

    def overwritten(q, height, width, kernel, stride):
        """Each place in the window writes what all windows have there over what is in the frame."""
        (downwards, across), _ = windows(height, width, kernel, stride)
        frame = np.zeros((len(q), height + sum(downwards), width + sum(across), q.shape[-1] // kernel**2))
        parts = q.reshape(*q.shape[:3], kernel, kernel, -1)
        for i in range(kernel):
            for j in range(kernel):
                rows, columns = (slice(k, k + stride * n, stride) for k, n in zip((i, j), q.shape[1:3]))
                frame[:, rows, columns] = parts[:, :, :, i, j]
        return frame[:, downwards[0] : downwards[0] + height, across[0] : across[0] + width]

    def averaged(q, *sizes):
        return put_back(q, *sizes) / put_back(np.ones_like(q), *sizes)

    def folded(q, height, width, kernel, stride):
        """What falls upon the margin is added to the border."""
        (downwards, across), _ = windows(height, width, kernel, stride)
        frame = in_frame(q, height, width, kernel, stride)
        rows, columns = (
            np.clip(np.arange(-before, length + after), 0, length - 1)
            for (before, after), length in ((downwards, height), (across, width))
        )
        out = np.zeros((len(q), height, width, frame.shape[3]))
        np.add.at(out, (slice(None), rows[:, None], columns[None]), frame)
        return out

    overwriting = (
        "only the last of the windows that overlap remains: is it = where += belongs? An entry that is shown in several"
        " patches collects from all of them."
    )
    mistakes = [
        (but(put=lambda there, numbers: numbers), overwriting),
        (overwritten, overwriting),
        (
            averaged,
            "a mean over the windows that show an entry. The chain rule adds up what comes back from them.",
        ),
        (
            in_frame,
            "the margin is still there: cut it off. Nothing depends on its zeros.",
        ),
        (
            but(cut=all_after),
            "the margin is cut off on the wrong side: all of it below and to the right. The image begins behind the"
            " zeros before it.",
        ),
        (
            but(cut=all_before),
            "the margin is cut off on the wrong side: all of it above and to the left. The image ends before the zeros"
            " after it.",
        ),
        (
            but(cut=odd_one_before),
            "the sides of the margin have changed places: where the number of zeros is odd, the greater half is below"
            " and to the right.",
        ),
        (
            but(step=1),
            "the stride is left out of the steps: window (r, c) begins at row r stride and column c stride of the"
            " frame.",
        ),
        (
            but(arranged=turned_over),
            "the patches are turned over, upside down and left to right. Each number goes back to the pixel that it"
            " came from.",
        ),
        (
            but(arranged=columns_first),
            "rows and columns of the patches have changed places. In a patch the columns run faster than the rows.",
        ),
        (
            channels_first,
            "the patches are taken in the order channel, row, column. The channels run fastest: row, column, channel.",
        ),
        (
            folded,
            "what fell upon the margin is added to the border of the image. A zero of the margin is no pixel: nothing"
            " comes back to one.",
        ),
        (
            lambda q, *sizes: put_back(q, *sizes).sum(axis=0),
            "the images are summed. Each has its own derivative: only what serves them all collects a sum.",
        ),
        (
            lambda q, *sizes: np.repeat(put_back(q, *sizes)[:1], len(q), axis=0),
            "only the first image is used, and given for all.",
        ),
    ]

    def arguments(x, F, y, k, s):
        return y @ F.T, *x.shape[1:3], k, s

    compare("your put_back", answer, put_back, cases(arguments), mistakes)


# ---------------------------------------------------------------------------------------------------------------------
# The transpose
# ---------------------------------------------------------------------------------------------------------------------


@exercise("10.5")
def check_is_transpose(answer):
    """Exercise 10.5: (T, back, x, y) -> whether back is the transpose of the linear map T: True or False."""
    what = "your test of a transpose"
    kernel, stride = 3, 2
    sizes = 3, 6, 5, 2, 4, kernel, stride
    _, F, _ = random_arrays(0, *sizes)
    shape = (*sizes[1:3], kernel, stride)

    def T(x, scale=1.0, **pieces):
        return scale * gather(x, kernel, stride, **pieces) @ F

    def back(y, scale=1.0, filters=F, **pieces):
        return scale * put_back(y @ filters.T, *shape, **pieces)

    def pair(forward=T, backward=back, scale=1.0):
        return (lambda x: scale * forward(x)), (lambda y: scale * backward(y))

    def first_image(y):
        out = back(y)
        out[1:] = 0
        return out

    def without_the_last_image(y):
        out = back(y)
        out[-1] = 0
        return out

    def asks(pair_of_maps, x, y):
        return called(what, answer, *pair_of_maps, x, y)

    large, small = "are of the order of 10^9", "are of the order of 10^-9"
    candidates = [
        (pair(), True, "it rejects a convolution and its transpose, which is right.", ""),
        (
            pair(scale=1e9),
            True,
            f"it rejects a right pair whose numbers {large}. Rounding grows with them: compare the difference with the"
            " size of the sums.",
            "",
        ),
        (pair(scale=1e-9), True, f"it rejects a right pair whose numbers {small}.", ""),
        (
            pair(backward=lambda y: back(y, 2.0)),
            False,
            "it passes twice the transpose: is it the absolute value of the difference that is compared?",
            "",
        ),
        (
            pair(backward=lambda y: back(y, 0.5)),
            False,
            "it passes half the transpose: is it the absolute value of the difference that is compared?",
            "",
        ),
        (
            pair(backward=lambda y: back(y, filters=over_turned(F, kernel))),
            False,
            "it passes filters that are turned over. Are x and y used as they are given, with all their entries?",
            "",
        ),
        (
            pair(backward=lambda y: back(y, put=lambda there, numbers: numbers)),
            False,
            "it passes windows that overwrite one another where they are to be added.",
            "",
        ),
        (
            pair(backward=lambda y: back(y, cut=odd_one_before)),
            False,
            "it passes a margin on the wrong side, an image that is moved by one pixel.",
            "",
        ),
        (
            pair(backward=first_image),
            False,
            "it passes a transpose that gives back the first image alone. The sums go over all images too.",
            "",
        ),
        (
            pair(backward=without_the_last_image),
            False,
            "it passes a transpose that does not give back the last image. The sums go over all images too.",
            "",
        ),
        (
            pair(backward=lambda y: -back(y)),
            False,
            "it passes the negative of the transpose: is it an absolute value that is compared?",
            "",
        ),
        (
            pair(backward=lambda y: back(y, 1.0001)),
            False,
            "it passes what is 0.01 % too large. In float64 both sums agree to 10 digits or more: allow for less.",
            "",
        ),
        (
            pair(backward=lambda y: back(y, 1e-9), forward=lambda x: T(x, 1e-9 * 1.01)),
            False,
            f"it passes a map that is 1 % too large, where all numbers {small}. An absolute tolerance lets everything"
            " pass that is small: compare the difference with the size of the sums.",
            "",
        ),
        (
            pair(forward=lambda x: T(x) + 1),
            False,
            "it passes a T with a bias, which is no linear map. Does T x play its part?",
            "",
        ),
    ]
    draws = [tuple(random_arrays(seed, *sizes)[i] for i in (0, 2)) for seed in (1, 2, 3)]
    judge(what, asks, candidates, draws, "Compare <T x, y> with <x, back y>.")
    print(f"Right: {what}.")


@exercise("10.6")
def check_transposed_backward(answer):
    """Exercise 10.6: (da (N, H, W, C), x (N, P rows, P columns, C'), F (k k C, C'), kernel, stride) -> dx, dF, db."""

    def gradients(da, x, F, kernel, stride, **pieces):
        r = gather(da, kernel, stride, **pieces)
        return r @ F, rows_of(r).T @ rows_of(x), rows_of(da).sum(axis=0)

    def but(dx=None, dF=None, db=None):
        def mistaken(*arguments):
            right = gradients(*arguments)
            return [value if f is None else f(*arguments) for f, value in zip((dx, dF, db), right)]

        return mistaken

    def both(**pieces):
        return lambda *arguments: gradients(*arguments, **pieces)

    def of_each_image(da, x, *others):
        return np.stack([gradients(da[n : n + 1], x[n : n + 1], *others)[1] for n in range(len(x))])

    one = " One F serves all places of all images, so it collects a term from each."
    mistakes = [
        (
            both(arranged=turned_over),
            "the windows are turned over, upside down and left to right. The way back is T itself, as it stands.",
        ),
        (
            both(step=1),
            "the stride is left out: the windows on da move as those of T do, by stride pixels.",
        ),
        (
            both(sides=odd_one_before),
            "the sides of the margin have changed places: where the number of zeros is odd, the greater half is below"
            " and to the right.",
        ),
        (
            both(sides=all_after),
            "the margin stands on the wrong side: all zeros are below and to the right. Both sides share them.",
        ),
        (
            but(dx=lambda da, x, F, k, s: gather(np.ones_like(da), k, s) @ F),
            "da is missing: x acts on f only through a, so each derivative is to be weighted with da.",
        ),
        (
            but(dx=lambda da, x, F, k, s: gather(da, k, s) @ F / len(da)),
            "divided by the number of images. Each image has its own derivative, whole.",
        ),
        (
            but(dF=lambda *a: gradients(*a)[1].T),
            "its rows and columns have changed places: x and the patches of da are exchanged. Like F it has a row for"
            " each number of a patch.",
        ),
        (but(dF=of_each_image), f"the sum over the images of the minibatch is missing.{one}"),
        (but(dF=lambda *a: of_each_image(*a)[0]), f"{FIRST}{one}"),
        (but(dF=lambda *a: gradients(*a)[1] / len(a[0])), f"a mean over the images. The chain rule adds them up.{one}"),
        *of_the_bias(but, "pixels", "channel"),
        (
            but(db=lambda da, x, *_: rows_of(x).sum(axis=0)),
            "the sum runs over x: b stands behind the transpose, beside the pixels, and has their derivative, da.",
        ),
    ]
    outputs = ("the dx", "the dF", "the db")
    arguments = cases(lambda x, F, y, k, s: (x, y, F, k, s))
    compare("your transposed_backward", answer, gradients, arguments, mistakes, outputs)
