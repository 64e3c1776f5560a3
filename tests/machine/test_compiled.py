"""Behind the door: the same names and arguments as the twins have, the same results whole and shared by threads."""

import inspect
import itertools
import subprocess
from types import SimpleNamespace

import numba
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.commands import python
from tests.machine.arrays import TOLERANCE, beside_twin, close, dtypes, random_arrays, samples, seeds, unwritten
from tests.machine.test_plain import UPDATES, sequences
from tinyvae import machine
from tinyvae.machine import compiled, jobs, noise, philox, plain
from tinyvae.machine.matrix_products import BLOCKS
from tinyvae.machine.threads import Crew, at_hand
from tinyvae.machine.work_sharing import Job

CREWS = [Crew(1), Crew(3)]
crews = st.sampled_from(CREWS)
rows = st.sampled_from([0, 1, 2, 7, 20, 25, 49, 100, 131])
sizes = st.sampled_from([1, 2, 5, 47, 48, 49, 65, 130, 200])
densities = st.sampled_from([0, 0.05, 0.2, 1])
activations = st.sampled_from([machine.LINEAR, machine.TANH, machine.RELU])

# -- the names ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", machine.NAMES)
def test_both_backends_have_every_name_with_the_same_arguments(name):
    functions = [getattr(backend, name) for backend in (compiled, plain)]
    functions = [getattr(function, "py_func", function) for function in functions]  # of what Numba compiles
    if all(map(inspect.isfunction, functions)):
        first, second = (list(inspect.signature(function).parameters) for function in functions)
        assert first == second
    else:
        assert name.endswith("_update")  # these share a function, which is held against the twins below


def test_the_door_leads_to_compiled_code_and_nowhere_else():
    assert all(getattr(machine, name) is getattr(compiled, name) for name in machine.NAMES)
    with pytest.raises(AttributeError, match=r"module 'tinyvae.machine' has no attribute 'softmax'"):
        _ = machine.softmax


# -- layers ------------------------------------------------------------------------------------------------------------


def sparse_arrays(seed, dtype, density, x_shape, *shapes):
    """Random arrays, of which the first has but some entries that differ from zero."""
    x, *others = random_arrays(seed, dtype, x_shape, *shapes)
    return [x * (np.random.default_rng(seed).random(x.shape) < density), *others]


@given(crews, rows, sizes, sizes, densities, activations, dtypes, seeds)
def test_a_layer(crew, N, I, J, density, activation, dtype, seed):
    """Up to ten times the tolerance of some tens of terms: these are sums of up to two hundred."""
    x, W, b, da = sparse_arrays(seed, dtype, density, (N, I), (I, J), J, (N, J))
    out, dW, db, dx = unwritten(dtype, (N, J), (I, J), J, (N, I))
    with crew:
        close(*beside_twin("affine", compiled.affine, x, W, b, out, activation), rtol=10, atol=10)
        close(*beside_twin("affine_gradient", compiled.affine_gradient, da, x, dW, db), rtol=10, atol=10)
        input_gradient = compiled.affine_input_gradient
        close(*beside_twin("affine_input_gradient", input_gradient, da, W, x, dx, activation), rtol=10, atol=10)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("N", "I", "J"), [(1000, 37, 29), (2001, 1, 800), (1003, 1001, 1)])
def test_a_layer_with_many_rows_by_any_number_of_threads(N, I, J, dtype):
    """Sums of a thousand terms: up to a hundred times the tolerance of some tens."""
    da, x = random_arrays(N, dtype, (N, J), (N, I))
    results = []
    for crew in CREWS:
        dW, db = unwritten(dtype, (I, J), J)
        with crew:
            close(*beside_twin("affine_gradient", compiled.affine_gradient, da, x, dW, db), rtol=100, atol=100)
        results.append(dW.tobytes() + db.tobytes())
    assert len(set(results)) == 1


@given(
    crews, rows, st.lists(sizes, min_size=2, max_size=4), densities, st.booleans(), activations, activations, dtypes,
    seeds,
)  # fmt: skip
def test_all_layers_of_a_network(crew, N, widths, density, need_dx, activation, end, dtype, seed):
    """``end`` is the activation of the last layer's output, and that which the first layer's input is the value of."""
    shapes = list(itertools.pairwise(widths))
    x, dout, *arrays = sparse_arrays(seed, dtype, density, (N, widths[0]), (N, widths[-1]), *shapes, *widths[1:])
    depth = len(shapes)
    Ws, bs = tuple(W / np.sqrt(len(W), dtype=dtype) for W in arrays[:depth]), tuple(arrays[depth:])
    outputs = tuple(unwritten(dtype, *[(N, J) for J in widths[1:]]))
    dWs, dbs = (tuple(unwritten(dtype, *[array.shape for array in arrays])) for arrays in (Ws, bs))
    dinputs = tuple(unwritten(dtype, (N if need_dx else 0, widths[0]), *[(N, J) for J in widths[1:-1]]))
    with crew:
        close(*beside_twin("layers", compiled.layers, x, Ws, bs, outputs, activation, end), rtol=10, atol=10)
        arguments = dout, x, outputs, Ws, dWs, dbs, dinputs, activation, end
        close(*beside_twin("layers_gradient", compiled.layers_gradient, *arguments), rtol=10, atol=10)


# -- convolutions ------------------------------------------------------------------------------------------------------


@st.composite
def convolutions(draw):
    """A geometry (H, W, C, k, stride), and a number of filters."""
    sides = draw(st.sampled_from([(1, 1), (2, 5), (8, 8), (9, 4), (13, 28)]))
    channels, kernel, stride = (draw(numbers) for numbers in (st.sampled_from([1, 3, 5, 32]), *[st.integers(1, 5)] * 2))
    return (*sides, channels, kernel, stride), draw(st.integers(1, 9))


@given(crews, rows, convolutions(), st.booleans(), activations, dtypes, seeds)
def test_a_convolution(crew, N, convolution, bias_for_each, activation, dtype, seed):
    """Sums of up to 800 terms of order one, and in the weights' gradient of up to 50,000."""
    (H, W, C, k, stride), filters = convolution
    geometry, places = convolution[0], -(-H // stride) * -(-W // stride)
    narrow, wide = (N, places * filters), (N, H * W * C)
    x, y, weights = random_arrays(seed, dtype, wide, narrow, (k * k * C, filters))
    b, c = random_arrays(seed, dtype, *[(N if bias_for_each else 1, size) for size in (filters, C)])
    with crew:
        for name, arrays, shape in [
            ("convolution", (x, weights, b), narrow),
            ("transposed_convolution", (y, weights, c), wide),
            ("convolution_input_gradient", (y, weights, x), wide),
            ("transposed_convolution_input_gradient", (x, weights, y), narrow),
        ]:
            arguments = *arrays, *unwritten(dtype, shape), geometry, activation
            close(*beside_twin(name, getattr(compiled, name), *arguments), rtol=100, atol=100)
        gradient = (y, x, *unwritten(dtype, weights.shape), geometry)
        function = compiled.convolution_weight_gradient
        close(*beside_twin("convolution_weight_gradient", function, *gradient), rtol=100, atol=1000)
        close(*beside_twin("channel_sums", compiled.channel_sums, x, *unwritten(dtype, (N, C)), W), rtol=10, atol=10)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_what_is_no_number_is_seen_in_the_results_of_sparse_data(dtype):
    """Kernels that may assume that there is none once took it for a black pixel."""
    x, W, b, out = np.zeros((6, 50), dtype), np.ones((50, 3), dtype), np.zeros(3, dtype), np.empty((6, 3), dtype)
    x[2, 7] = np.nan
    compiled.affine(x, W, b, out, machine.LINEAR)
    np.testing.assert_array_equal(np.isnan(out), np.arange(6)[:, None] == [2] * 3)
    compiled.affine_gradient(np.ones_like(out), x, W, b)
    np.testing.assert_array_equal(np.isnan(W), np.arange(50)[:, None] == [7] * 3)


def test_other_activations_are_refused():
    """They would be none at all."""
    x, W, b, out = np.zeros((4, 2)), np.zeros((2, 3)), np.zeros(3), np.zeros((4, 3))
    images, geometry = np.zeros((4, 16)), (4, 4, 1, 2, 2)
    filters, narrow = np.zeros((4, 3)), np.zeros((4, 12))
    for call in (
        lambda: compiled.affine(x, W, b, out, 3),
        lambda: compiled.layers(x, (W,), (b,), (out,), machine.TANH, 3),
        lambda: compiled.affine_input_gradient(out, W, x, x.copy(), -1),
        lambda: compiled.layers_gradient(out, x, (out,), (W,), (W.copy(),), (b,), (x.copy(),), machine.TANH, 3),
        lambda: compiled.convolution(images, filters, np.zeros((1, 3)), narrow, geometry, 3),
        lambda: compiled.bernoulli_of_layers(out, x, (W,), (b,), np.zeros((4, 1)), 3),
    ):
        with pytest.raises(ValueError, match="known activations are 0, 1 and 2"):
            call()


@Job
def FAILS(desk, piece, like):
    """Piece 5 has no room."""
    if piece == 5:
        raise MemoryError


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # the C function prints what ended it
@pytest.mark.parametrize("crew", CREWS, ids=["one thread", "three"])
def test_a_piece_that_fails_is_told_to_who_waits_for_it(crew):
    """A C function can raise nothing: what it would have written was once taken as it stood."""
    out = np.empty((1, 4), np.float32)
    with crew:
        for pieces in (5, 9, 5):
            arguments = at_hand(), FAILS.at(out.dtype), pieces, (out,), (0,)
            if pieces == 5:
                jobs.share_pieces(*arguments)
            else:
                with pytest.raises(MemoryError, match="a piece of the work failed"):
                    jobs.share_pieces(*arguments)


@pytest.mark.parametrize("wrong", ["x", "W", "out"])
def test_images_that_do_not_fit_are_refused(wrong):
    """The jobs would read beyond the arrays."""
    shapes = {"x": (3, 8 * 8 * 2), "W": (9 * 2, 5), "out": (3, 16 * 5)}
    shapes[wrong] = shapes[wrong][0], shapes[wrong][1] + 1
    x, W, out = (np.zeros(shape, np.float32) for shape in shapes.values())
    geometry = 8, 8, 2, 3, 2
    with pytest.raises(ValueError, match="do not fit"):
        compiled.convolution(x, W, np.zeros((1, 5), np.float32), out, geometry, 0)
    with pytest.raises(ValueError, match="do not fit"):
        compiled.convolution_weight_gradient(out, x, W, geometry)


@pytest.mark.parametrize("shape", [(5,), (2, 5), (1, 4), (4, 5)])
def test_biases_that_do_not_fit_are_refused(shape):
    """One for each filter or channel, for all images or for each: here 5 filters, 2 channels, 3 images."""
    x, W, out = (np.zeros(shape, np.float32) for shape in ((3, 8 * 8 * 2), (9 * 2, 5), (3, 16 * 5)))
    b, c = np.zeros(shape, np.float32), np.zeros((*shape[:-1], shape[-1] - 3), np.float32)
    with pytest.raises(ValueError, match="the biases and the filters do not fit"):
        compiled.convolution(x, W, b, out, (8, 8, 2, 3, 2), 0)
    with pytest.raises(ValueError, match="the biases and the channels do not fit"):
        compiled.transposed_convolution(out, W, c, x, (8, 8, 2, 3, 2), 0)


def test_what_would_be_written_into_a_copy_is_refused():
    x, dW, da = (np.zeros(shape, np.float32) for shape in ((3, 8 * 8 * 2), (9 * 2, 5), (3, 16 * 5)))
    with pytest.raises(TypeError, match="must be C-ordered"):
        compiled.convolution_weight_gradient(da, x, np.asfortranarray(dW), (8, 8, 2, 3, 2))
    with pytest.raises(ValueError, match="h and dx do not fit"):
        compiled.convolution_input_gradient(da, dW, x[:2], x, (8, 8, 2, 3, 2), 0)
    with pytest.raises(ValueError, match="a and sums do not fit"):
        compiled.channel_sums(x, x[:, :7].copy(), 8)


# -- recurrent networks ------------------------------------------------------------------------------------------------


@given(crews, st.sampled_from([0, 1, 2, 7, 70, 131]), st.sampled_from([1, 3, 80]), st.integers(1, 5),
       st.sampled_from([1, 2, 5, 33]), st.booleans(), st.booleans(), st.booleans(), dtypes, seeds)  # fmt: skip
def test_a_recurrence(crew, N, K, T, H, is_reversed, has_steps, only_last, dtype, seed):
    N = min(N, 200 // K)
    R, arguments = N * K, sequences(seed, T, N, K, H, is_reversed, has_steps, dtype)
    (dstates,) = random_arrays(seed + 1, dtype, (R if only_last else T * R, H))
    steps, static, U, _, gates, states, _ = arguments
    with crew:
        close(*beside_twin("recurrence", compiled.recurrence, *arguments), rtol=10, atol=10)
        results = unwritten(dtype, steps.shape, static.shape, (T * R, 3 * H))
        arguments = dstates, U, gates, states, *results, is_reversed
        close(*beside_twin("recurrence_gradient", compiled.recurrence_gradient, *arguments), rtol=100, atol=100)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("N", "K"), [(100, 1), (7, 30)])
def test_a_recurrence_has_the_same_bits_with_any_number_of_threads(N, K, dtype):
    results = []
    for crew in (*CREWS, Crew(2)):
        arguments = sequences(0, 4, N, K, 30, False, True, dtype)
        steps, static, U, _, gates, states, _ = arguments
        (dstates,) = random_arrays(1, dtype, (4 * N * K, 30))
        arrays = unwritten(dtype, steps.shape, static.shape, (4 * N * K, 90))
        with crew:
            compiled.recurrence(*arguments)
            compiled.recurrence_gradient(dstates, U, gates, states, *arrays, False)
        results.append(b"".join(array.tobytes() for array in (gates, states, *arrays)))
    assert len(set(results)) == 1


WRONG_SEQUENCES = {0: (12, 8), 1: (6, 8), 2: (3, 8), 3: (8,), 4: (11, 12), 5: (15, 4)}


@pytest.mark.parametrize("which", WRONG_SEQUENCES)
def test_sequences_that_do_not_fit_are_refused(which):
    """The jobs would read beyond the arrays: four steps, three rows and units."""
    arguments = list(sequences(0, 4, 3, 1, 3, False, True, np.float32))
    compiled.recurrence(*arguments)
    arguments[which] = np.zeros(WRONG_SEQUENCES[which], np.float32)
    with pytest.raises(ValueError, match="do not fit"):
        compiled.recurrence(*arguments)


# -- likelihoods and noise ---------------------------------------------------------------------------------------------


@given(crews, rows, samples, st.sampled_from([1, 5, 784, 9001]), dtypes, seeds)
def test_bernoulli(crew, N, K, D, dtype, seed):
    N = min(N, 20)
    x, logits, weights = random_arrays(seed, dtype, (N, D), (N * K, D), N * K)
    (logp,) = unwritten(dtype, (N, K))
    with crew:
        results, references = beside_twin("bernoulli_log_prob", compiled.bernoulli_log_prob, abs(x) % 1, logits, logp)
        close(results[:2], references[:2])
        close(results[2:], references[2:], rtol=10, atol=10)
        close(*beside_twin("scale_rows", compiled.scale_rows, weights, logits))


@given(crews, rows, samples, st.lists(sizes, min_size=2, max_size=12), activations, dtypes, seeds)
def test_the_density_of_what_a_network_puts_out(crew, N, K, widths, activation, dtype, seed):
    """Of more layers, too, than the desk has places for."""
    N, shapes = min(N, 20), list(itertools.pairwise(widths))
    x, z, *arrays = random_arrays(seed, dtype, (N, widths[-1]), (N * K, widths[0]), *shapes, *widths[1:])
    depth = len(shapes)
    Ws, bs = tuple(W / np.sqrt(len(W), dtype=dtype) for W in arrays[:depth]), tuple(arrays[depth:])
    (logp,) = unwritten(dtype, (N, K))
    arguments = abs(x) % 1, z, Ws, bs, logp, activation
    with crew:
        close(*beside_twin("bernoulli_of_layers", compiled.bernoulli_of_layers, *arguments), rtol=10, atol=10)


@pytest.mark.parametrize("samples", [1, 700])
def test_pieces_of_a_network_s_rows_are_the_same_for_any_number_of_threads(samples):
    """There are several, and the last one is short."""
    (x, z, *arrays), results = random_arrays(1, "f4", (2, 300), (2 * samples, 7), (7, 200), (200, 300), 200, 300), []
    for threads in (1, 2, 3):
        (logp,) = unwritten("f4", (2, samples))
        with Crew(threads):
            compiled.bernoulli_of_layers(abs(x) % 1, z, tuple(arrays[:2]), tuple(arrays[2:]), logp, machine.TANH)
        results.append(logp)
    np.testing.assert_array_equal(results[0], results[1])
    np.testing.assert_array_equal(results[0], results[2])


@given(crews, rows, samples, st.integers(1, 20), st.integers(1, 13), dtypes, seeds)
def test_symbols(crew, N, K, T, V, dtype, seed):
    """Some steps have none."""
    rng, N = np.random.default_rng(seed), min(N, 20)
    x = (np.eye(V)[rng.integers(0, V, (N, T))] * (rng.random((N, T, 1)) < 0.9)).reshape(N, T * V).astype(dtype)
    alike = np.equal.outer(groups := rng.integers(0, 3, V), groups).astype(dtype)
    (logits,), (logp,) = random_arrays(seed, dtype, (N * K, T * V)), unwritten(dtype, (N, K))
    arguments = x, 10 * logits, alike, logp
    with crew:
        close(*beside_twin("categorical_log_prob", compiled.categorical_log_prob, *arguments), rtol=10, atol=30)


@pytest.mark.parametrize("shapes", [((2, 6), (4, 6), (4, 4)), ((2, 6), (4, 5), (3, 3)), ((2, 6), (4, 6), (3, 2))])
def test_symbols_that_do_not_fit_are_refused(shapes):
    with pytest.raises(ValueError, match="do not fit"):
        compiled.categorical_log_prob(*(np.zeros(shape, np.float32) for shape in (*shapes, (2, 2))))


@given(crews, rows, st.integers(1, 40), st.booleans(), dtypes, seeds)
def test_gaussian_likelihood(crew, N, D, squash, dtype, seed):
    x, outputs = random_arrays(seed, dtype, (N, 8 * D), (N, 16 * D))
    (logp,) = unwritten(dtype, (N, 1))
    with crew:
        likelihood = compiled.gaussian_log_prob
        close(*beside_twin("gaussian_log_prob", likelihood, x, outputs, squash, -1.0, logp), rtol=10, atol=100)


@given(crews, rows, samples, st.integers(1, 70), st.sampled_from([1, 2, 5]), dtypes, seeds)
def test_logistic_likelihood(crew, N, K, D, components, dtype, seed):
    """Derivatives by the means are of the order of 1 / s, up to some hundred here."""
    M = 2 if components == 1 else 3 * components
    rng = np.random.default_rng(seed)
    x, outputs = (rng.integers(0, 256, (N, D)) / 255).astype(dtype), rng.standard_normal((N * K, M * D)).astype(dtype)
    scales = outputs[:, -components * D :]
    scales -= 2
    scales[rng.random(scales.shape) < 0.1] = machine.LOGSCALE_LIMIT + 10  # taken for the limit, and moved no further
    (logp,) = unwritten(dtype, (N, K))
    with crew:
        arguments = compiled.logistic_log_prob, x, outputs, components, logp
        close(*beside_twin("logistic_log_prob", *arguments), rtol=100, atol=300)


PLACE = 7, 1, 300, 5, 2, 3


@given(crews, rows, st.sampled_from([1, 5, 784, 5000]), dtypes, seeds)
def test_noise_is_the_same_in_pieces(crew, N, M, dtype, seed):
    numbers, numbers_in_pieces, bits, bits_in_pieces = unwritten(dtype, *[(N, M)] * 4)
    probabilities = np.random.default_rng(seed).random((N, M)).astype(dtype)
    philox.normal(numbers, PLACE)
    philox.binary(probabilities, bits, PLACE)
    with crew:
        compiled.normal(numbers_in_pieces, PLACE)
        compiled.binary(probabilities, bits_in_pieces, PLACE)
    np.testing.assert_array_equal(numbers_in_pieces, numbers)
    np.testing.assert_array_equal(bits_in_pieces, bits)


@given(crews, st.integers(0, 20), st.integers(1, 50), seeds)
def test_noise_is_that_of_the_twins(crew, N, M, seed):
    (numbers,) = unwritten(np.float64, (N, M))
    probabilities = np.random.default_rng(seed).random((N, M))
    with crew:
        close(*beside_twin("normal", compiled.normal, numbers, PLACE))
        for dtype in TOLERANCE:
            arrays = probabilities.astype(dtype), numbers.astype(dtype)
            results, references = beside_twin("binary", compiled.binary, *arrays, PLACE)
            np.testing.assert_array_equal(results[1], references[1])
    first, second = np.zeros((2, N, M), np.uint32)
    compiled.random_words(first, PLACE)
    plain.random_words(second, PLACE)
    np.testing.assert_array_equal(first, second)


# -- optimisers --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "n_states", "options"), UPDATES)
@given(crews, st.lists(st.lists(st.integers(1, 9), max_size=3), min_size=1, max_size=5), dtypes, seeds)
def test_updates(name, n_states, options, crew, shapes, dtype, seed):
    size = sum(int(np.prod(shape)) for shape in shapes)
    theta, g, *state = random_arrays(seed, dtype, *[size] * (2 + n_states))
    if name != "sgd_update":
        state = [abs(array) for array in state]
    totals, cuts = [], compiled.cuts_of(shapes)

    def update(*arguments):
        totals.append(getattr(compiled, name)(*arguments, cuts=cuts))

    with crew:
        close(*beside_twin(name, update, theta, g, *state, np.array(options, dtype)))
    scale = 100 * TOLERANCE[dtype] * (1 + size / 100)
    np.testing.assert_allclose(totals, theta.sum(dtype=np.float64), atol=scale)


def test_the_rows_of_each_array_are_cut_and_nothing_is_missed():
    shapes = [(7, 3), (2,), (1, 5), ()]
    cuts = compiled.cuts_of(shapes)
    assert len(cuts) == BLOCKS * len(shapes)
    assert sorted(i for first, last in cuts for i in range(first, last)) == list(range(29))
    upper = cuts[: len(shapes)]  # the first part has the upper rows of every array, whole rows
    assert [first for first, _ in upper] == [0, 21, 23, 28]
    assert all((last - first) % width == 0 for (first, last), width in zip(upper, (3, 1, 5, 1)))
    assert plain.cuts_of(shapes) is None


# -- what is refused ---------------------------------------------------------------------------------------------------


def test_shapes_that_do_not_fit_are_refused():
    """A job finds its arrays by their addresses, and would go on behind their ends."""
    x, W, b, out = np.ones((4, 6), "f4"), np.ones((6, 3), "f4"), np.ones(3, "f4"), np.ones((4, 3), "f4")
    logp, outputs, options, cuts = (
        np.ones((4, 1), "f4"),
        np.ones((4, 12), "f4"),
        (1.0, 1.0),
        np.zeros((1, 2), np.int64),
    )
    ends = machine.TANH, machine.LINEAR
    calls = [
        lambda: compiled.affine(x[:, :5].copy(), W, b, out, machine.TANH),
        lambda: compiled.affine(x, W, b, out[:2], machine.TANH),
        lambda: compiled.affine(x, W, b[:2], out, machine.TANH),
        lambda: compiled.affine_gradient(out[:2], x, W, b),
        lambda: compiled.affine_gradient(out, x, W[:5], b),
        lambda: compiled.affine_gradient(out, x, W, b[:2]),
        lambda: compiled.affine_input_gradient(x, W, x, x, machine.TANH),
        lambda: compiled.affine_input_gradient(out, W, x[:2], x, machine.TANH),
        lambda: compiled.affine_input_gradient(out, W, x, x[:2], machine.TANH),
        lambda: compiled.layers(x, (W, W), (b, b), (out, out), *ends),
        lambda: compiled.layers_gradient(out, x[:2], (out,), (W,), (W,), (b,), (x[:0],), *ends),
        lambda: compiled.bernoulli_log_prob(x, out, logp),
        lambda: compiled.bernoulli_log_prob(x[:2], x, logp),
        lambda: compiled.bernoulli_log_prob(x, x, logp[:2]),
        lambda: compiled.bernoulli_of_layers(x, x, (W,), (b,), logp, machine.TANH),
        lambda: compiled.bernoulli_of_layers(out, x, (W,), (b[:2],), logp, machine.TANH),
        lambda: compiled.bernoulli_of_layers(out, x, (W, W), (b, b), logp, machine.TANH),
        lambda: compiled.bernoulli_of_layers(out, x[:3], (W,), (b,), logp, machine.TANH),
        lambda: compiled.bernoulli_of_layers(out[:2], x, (W,), (b,), logp, machine.TANH),
        lambda: compiled.gaussian_log_prob(x, x, True, -1.0, logp),
        lambda: compiled.gaussian_log_prob(x, outputs, True, -1.0, logp[:2]),
        lambda: compiled.logistic_log_prob(x, outputs, 5, logp),
        lambda: compiled.logistic_log_prob(x, x, 1, logp),
        lambda: compiled.scale_rows(b, out),
        lambda: compiled.scale_rows(logp, out),
        lambda: compiled.sgd_update(b, b[:2], b, options, cuts=cuts),
        lambda: compiled.adam_update(b, b, b, b[:2], 2 * options, cuts=cuts),
        lambda: compiled.adam_update(b, b, b, b, 2 * options, cuts=cuts[:, :1].copy()),
        lambda: compiled.adam_update(b, b, b, b, options, cuts=cuts),
        lambda: compiled.adam_update(b, b, b, 2 * options, cuts=cuts),
        lambda: compiled.sgd_update(b, b, b, 2 * options, cuts=cuts),
        lambda: compiled.adagrad_update(b, b, b, b, options, cuts=cuts),
        # arrays of as many numbers, and of other axes than they are read by
        lambda: compiled.affine(x, W, b[:, None], out, machine.TANH),
        lambda: compiled.affine_gradient(out, x, W, b[:, None]),
        lambda: compiled.bernoulli_log_prob(x, x, logp[:, 0]),
        lambda: compiled.bernoulli_of_layers(out, x, (W,), (b,), logp[:, 0], machine.TANH),
        lambda: compiled.bernoulli_of_layers(out, x, (W,), (b[:, None],), logp, machine.TANH),
        lambda: compiled.gaussian_log_prob(x, outputs, True, -1.0, logp[:, 0]),
        lambda: compiled.logistic_log_prob(x, outputs, 1, logp[:, 0]),
        lambda: compiled.categorical_log_prob(x, x.copy(), np.ones((3, 3), "f4"), logp[:, 0]),
        lambda: compiled.scale_rows(b, np.ones((3, 2, 5), "f4")),
        lambda: compiled.scale_rows(b, b),
        lambda: compiled.normal(np.ones((3, 2, 5), "f4"), PLACE),
        lambda: compiled.normal(out, PLACE[:5]),
        lambda: compiled.binary(np.ones((3, 2, 5), "f4"), np.ones((3, 2, 5), "f4"), PLACE),
        lambda: compiled.binary(out, out, PLACE[:5]),
        lambda: compiled.sgd_update(W, W, W, options, cuts=cuts),
        lambda: compiled.sgd_update(b, b[:, None], b, options, cuts=cuts),
        lambda: compiled.channel_sums(x[:, :, None], np.ones((4, 1), "f4"), 1),
        lambda: compiled.convolution_weight_gradient(x, x[:, :, None], np.ones((1, 1), "f4"), (1, 6, 1, 1, 1)),
    ]
    for call in calls:
        with pytest.raises(ValueError, match="do not fit"):
            call()


def test_more_than_the_desk_has_room_for_is_refused():
    """The next numbers there are those of the arrays, and behind these those of the threads."""
    rows, weights = np.ones((3, 5), np.float32), np.full(3, 2, np.float32)
    compiled.by_rows(jobs.SCALE_ROWS, rows, (weights, rows), (0,) * 8)
    assert (rows == 2).all()
    for arrays, integers in (((weights, rows), (0,) * 9), ((weights,) * 11, (0,))):
        with pytest.raises(ValueError, match="do not fit on the desk"):
            compiled.by_rows(jobs.SCALE_ROWS, rows, arrays, integers)
    assert (rows == 2).all()


GAUSSIANS = {  # the sizes of each argument's axes, by name
    "gaussian_sample": ("RD", "RD", "RSD", "RD", "RSD"),
    "gaussian_sample_gradient": ("RSD", "RSD", "RD", "RD", "RD"),
    "gaussian_log_posterior": ("RD", "RSD", "RS"),
    "gaussian_log_posterior_gradient": ("RS", "RS", "RSD", "RD", "RD", "RD"),
    "standard_normal_log_density": ("RSD", "RS"),
    "gaussian_log_density": ("RSD", "RD", "RD", "RS"),
    "gaussian_log_density_gradient": ("RS", "RSD", "RD", "RD", "RSD", "RD", "RD"),
    "component_log_densities": ("RD", "MD", "MD", "RM"),
    "component_log_densities_gradient": ("RM", "RD", "MD", "MD", "RD", "MD", "MD"),
    "sigmoid": ("RD", "RD"),
}


@pytest.mark.parametrize("name", GAUSSIANS)
def test_each_array_that_is_too_short_or_too_long_is_refused(name):
    """What is read or written would lie behind its end, or be the number of another place."""
    sizes = {"R": 2, "S": 3, "D": 5, "M": 4}
    shapes = [[sizes[axis] for axis in axes] for axes in GAUSSIANS[name]]
    getattr(compiled, name)(*[np.ones(shape, "f4") for shape in shapes])
    for i, shape in enumerate(shapes):
        for axis, change in itertools.product(range(len(shape)), (-1, 1)):
            if "".join(GAUSSIANS[name]).count(GAUSSIANS[name][i][axis]) == 1:
                continue  # any size will do
            wrong = [list(each) for each in shapes]
            wrong[i][axis] += change
            with pytest.raises(ValueError, match="do not fit"):
                getattr(compiled, name)(*[np.ones(each, "f4") for each in wrong])


def test_arrays_that_a_job_would_take_for_others_are_refused():
    x, W, b, out = np.ones((4, 6), "f4"), np.ones((6, 4), "f4"), np.ones(4, "f4"), np.ones((4, 4), "f4")
    for wrong in (
        (x, W.astype(float), b, out),
        (x, W.astype("i4"), b, out),
        (x[:, ::-1], W, b, out),
        (x, np.asfortranarray(W), b, out),
    ):
        with pytest.raises(TypeError, match="C-ordered and of one type"):
            compiled.affine(*wrong, machine.TANH)
        with pytest.raises(TypeError, match="C-ordered and of one type"):
            compiled.bernoulli_of_layers(out, wrong[0], (wrong[1],), (b,), out[:, :1].copy(), machine.TANH)


@pytest.mark.parametrize("dtype", ["f2", "i8", "u1", "?"])
def test_numbers_of_other_types_are_refused(dtype):
    with pytest.raises(TypeError, match="float32 or float64 are wanted, not"):
        noise.bernoulli(np.ones((2, 3), dtype), 0, noise.Stream.BINARISATION)


# -- the wait for the compiler -----------------------------------------------------------------------------------------


class Watcher(list):
    def begin(self, count):
        self.append(count)

    def end(self):
        self.append("end")


def test_a_watcher_is_told_of_what_is_compiled():
    watcher = Watcher()
    compiled.watch_compilation(watcher)
    assert not watcher
    inner = numba.njit(lambda x: x + 1)
    outer = numba.njit(lambda x: inner(x) + 2)
    for _ in range(2):
        assert outer(1) == 4
    assert watcher == [1, 2, "end"]
    assert inner(1.0) == 2
    assert watcher == [1, 2, "end", 3, "end"]


AHEAD = """
from tinyvae.machine import precompile
from tinyvae.machine.code_cache import folder

precompile.main("convolution")
precompile.main("recurrence")
kept = sorted(folder().iterdir())
precompile.main("convolution")
precompile.main("recurrence")
assert sorted(folder().iterdir()) == kept
print(*[path.name for path in kept])
"""


@pytest.mark.slow  # all is compiled for it
def test_what_is_compiled_ahead_is_kept(tmp_path):
    result = python("-c", AHEAD, cwd=tmp_path, env={"NUMBA_CACHE_DIR": str(tmp_path)})
    assert (result.returncode, result.stderr) == (0, "")
    for name in (
        "CONVOLUTION_WEIGHT_GRADIENT",
        "CHANNEL_SUMS",
        "RECURRENCE_GRADIENT",
        "CATEGORICAL",
        "layers_gradient",
        "SPARSE_AFFINE_GRADIENT",
        "AFFINE_INPUT_GRADIENT",
        "ADAM",
        "BERNOULLI",
        "sigmoid",
    ):
        assert f".{name}-" in result.stdout


def test_it_is_compiled_ahead_only_where_nothing_is_kept_and_a_core_is_free(tmp_path, monkeypatch):
    begun = []
    monkeypatch.setattr(subprocess, "Popen", lambda command, **_: begun.append(command) or SimpleNamespace(kill=int))
    monkeypatch.setattr(compiled, "folder", lambda: tmp_path)
    monkeypatch.setattr(compiled, "available_cores", lambda: 1)
    compiled.compile_ahead()
    assert not begun
    monkeypatch.setattr(compiled, "available_cores", lambda: 2)
    compiled.compile_ahead()
    assert len(begun) == 1 and "main('')" in begun[0][-1]
    (tmp_path / "jobs.AFFINE").touch()
    compiled.compile_ahead()
    assert len(begun) == 1
    compiled.compile_ahead("convolution")
    assert len(begun) == 2 and "main('convolution')" in begun[1][-1]
    (tmp_path / "convolution_jobs.CONVOLUTION").touch()
    compiled.compile_ahead("convolution")
    assert len(begun) == 2
    compiled.compile_ahead("recurrence")
    assert len(begun) == 3 and "main('recurrence')" in begun[2][-1]
    monkeypatch.setattr(compiled, "folder", lambda: None)
    compiled.compile_ahead()
    assert len(begun) == 3
