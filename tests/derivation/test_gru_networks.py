"""Recurrent networks: what their encoder and their decoder read, and when."""

import numpy as np
import pytest

from tinyvae.checks import finite_differences
from tinyvae.checks.random_problems import densities, networks
from tinyvae.derivation.gru_networks import RecurrentDecoder, RecurrentEncoder
from tinyvae.derivation.model import Model
from tinyvae.derivation.parameters import Parameters

T, V, C, H = 5, 3, 2, 4


def network(kind, seed=0, R=4, hidden=(), M=1, **options):
    """A network next to sequences, with random weights, rows and labels."""
    rng = np.random.default_rng(seed)
    shapes = ((T, V), hidden, (6,)) if kind is RecurrentEncoder else ((6,), hidden, (M, T, V))
    net = kind(shapes[0], C, *shapes[1:], units=H, **options)
    weights = {key: rng.standard_normal(shape) for key, shape in net.shapes().items()}
    return net, weights, rng.standard_normal((R, int(np.prod(net.inputs)))), rng.standard_normal((R, C))


@pytest.mark.parametrize("C", [0, 2])
@pytest.mark.parametrize("hidden", [(), (3,)])
@pytest.mark.parametrize("directions", [1, 2])
@pytest.mark.parametrize("steps", [1, 2, 7])
def test_gradients_of_the_encoder(steps, directions, hidden, C):
    rng = np.random.default_rng(steps)
    problem = networks.network(rng, 3, C, "gru", 0, "tanh", hidden, (steps, 3), directions)
    assert max(finite_differences.check(problem).values()) < finite_differences.TOLERANCE


@pytest.mark.parametrize("C", [0, 2])
@pytest.mark.parametrize("hidden", [(), (3,)])
@pytest.mark.parametrize("feedback", [False, True])
@pytest.mark.parametrize("steps", [1, 2, 7])
def test_gradients_of_the_decoder(steps, feedback, hidden, C):
    for R in (3, 4):  # a row for each example that is fed back, and two
        rng = np.random.default_rng(steps)
        problem = networks.network(rng, R, C, "gru", 1, "relu", hidden, (steps, 3), feedback=feedback)
        assert max(finite_differences.check(problem).values()) < finite_differences.TOLERANCE


def steps_that_differ(a, b):
    """Of rows (R, T V), which steps differ in any row."""
    return (a != b).reshape(len(a), T, -1).any(axis=(0, 2))


def test_the_symbol_before_is_fed_back_and_not_the_symbol_itself():
    """What is fed back of step t acts on the steps after t, on all of them, and on none before."""
    net, weights, x, labels = network(RecurrentDecoder, feedback=True)
    given = np.random.default_rng(1).standard_normal((2, T * V))  # for two rows each
    out = net.forward(weights, x, labels, given)[0]
    for t in range(T):
        changed = given.copy()
        changed[:, t * V : (t + 1) * V] += 1
        np.testing.assert_array_equal(
            steps_that_differ(net.forward(weights, x, labels, changed)[0], out), np.arange(T) > t
        )


def test_without_the_shift_that_would_be_seen(monkeypatch):
    monkeypatch.setattr(RecurrentDecoder, "shifted", RecurrentDecoder.steps_first)
    with pytest.raises(AssertionError):
        test_the_symbol_before_is_fed_back_and_not_the_symbol_itself()


@pytest.mark.parametrize("feedback", [False, True])
def test_the_log_likelihood_is_that_of_the_data_whatever_is_fed_back(feedback):
    """Training may hide what is fed back; the target is x all the same."""
    model = Model((T, V), (2,), ((),), "categorical", network="gru", units=H, feedback=feedback)
    params = Parameters(model.shapes(), dtype=np.float64)
    rng = np.random.default_rng(2)
    params.flat[:] = rng.standard_normal(params.flat.size)
    x, z = densities.data(rng, 3, (T, V), "categorical"), rng.standard_normal((6, 2))
    logp, *_ = model.joint(params, x, [z])
    np.testing.assert_array_equal(model.joint(params, x, [z], given=x)[0], logp)
    hidden, *_ = model.joint(params, x, [z], given=np.zeros_like(x))
    assert np.all(hidden != logp) if feedback else np.array_equal(hidden, logp)
    outputs = model.decoders[0].forward(params.part("decoder"), z, np.empty((6, 0)), np.zeros_like(x))[0]
    np.testing.assert_allclose(model.observation.log_prob(x, outputs)[0], hidden)


def test_a_decoder_with_feedback_goes_on_step_by_step():
    for M, hidden in ((1, ()), (2, (3,))):
        net, weights, x, labels = network(RecurrentDecoder, M=M, hidden=hidden, feedback=True)
        given = np.random.default_rng(1).standard_normal((4, T * V))
        out = net.forward(weights, x, labels, given)[0].reshape(4, M, T, V)
        step, before = net.stepper(weights, x, labels), np.zeros((4, V))
        for t in range(T):
            np.testing.assert_allclose(step(before).reshape(4, M, V), out[:, :, t], rtol=1e-12, atol=1e-14)
            before = given[:, t * V : (t + 1) * V]
    with pytest.raises(ValueError, match="to feed back are needed"):
        net.forward(weights, x, labels)


def test_both_directions_read_all_steps():
    """The state that reads to the end has the last step fresh in mind, the other one the first."""
    net, weights, x, labels = network(RecurrentEncoder)
    out = net.forward(weights, x, labels)[0]
    assert net.perceptron.inputs == (2 * H,)
    for t in range(T):
        changed = x.copy()
        changed[:, t * V] += 1
        assert np.all(np.any(net.forward(weights, changed, labels)[0] != out, axis=1))
    turned = x.reshape(4, T, V)[:, ::-1].reshape(4, -1)
    swapped = {}
    for key, array in weights.items():
        name, _, rest = key.partition(".")
        swapped[f"{ {'forward': 'backward', 'backward': 'forward'}.get(name, name) }.{rest}"] = array
    swapped["0.W"] = np.roll(weights["0.W"], H, axis=0)
    np.testing.assert_allclose(net.forward(swapped, turned, labels)[0], out)


def test_an_image_is_read_row_by_row_and_numbers_stand_one_after_another():
    """Colours belong to their row; of M numbers about an entry the first are those of the whole image."""
    assert RecurrentEncoder((4, 3, 2), 0, (), (6,)).numbers == 6
    both, weights, z, labels = network(RecurrentDecoder, M=2)
    out = both.forward(weights, z, labels)[0].reshape(4, 2, T * V)
    for m in (0, 1):
        one = RecurrentDecoder((6,), C, (), (1, T, V), units=H)
        part = {
            "output.W": np.ascontiguousarray(weights["output.W"][:, m * V : (m + 1) * V]),
            "output.b": weights["output.b"][m * V : (m + 1) * V],
        }
        np.testing.assert_allclose(one.forward(weights | part, z, labels)[0], out[:, m])


def test_a_network_multiplies_and_keeps_what_it_says():
    encoder, weights, x, labels = network(RecurrentEncoder, hidden=(5,))
    assert encoder.products() == [(T, V, 6 * H), *[(T, H, 3 * H)] * 2, (1, 2 * H, 5), (1, 5, 6)]
    _, cache = encoder.forward(weights, x, labels)
    kept = sum(each.gates.size + each.states.size for each in cache.directions)
    assert 4 * encoder.kept_numbers == kept + sum(array.size for array in cache.mlp.outputs)
    decoder, weights, z, labels = network(RecurrentDecoder, hidden=(5,), feedback=True)
    assert decoder.products() == [(1, 6 + C, 5), (1, 5, 3 * H), (T, V, 3 * H), (T, H, 3 * H), (T, H, V)]
    out, cache = decoder.forward(weights, z, labels, x)
    kept = cache.mlp.outputs[0].size + cache.gru.gates.size + cache.gru.states.size
    assert 4 * decoder.kept_numbers == kept + out.size


@pytest.mark.parametrize("feedback", [False, True])
def test_no_rows_are_none(feedback):
    model = Model((T, V), (2,), ((),), "categorical", network="gru", units=H, feedback=feedback)
    params = Parameters(model.shapes())
    none = np.empty((0, T * V), np.float32)
    assert [half.shape for half in model.encode(params, none)] == [(0, 2), (0, 2)]
    assert model.decode(params, np.empty((0, 2), np.float32)).shape == (0, T * V)


def test_data_without_steps_are_refused():
    with pytest.raises(ValueError, match=r"the network gru reads sequences, \(N, T, V\), or images"):
        Model((5,), network="gru")
