"""The whole product against an independent one: the models of the papers in PyTorch, by automatic derivatives.

Nothing of tinyvae computes on PyTorch's side. It is handed the settings as a description, the parameters by their
names, the data and the random numbers; densities and divergences are torch.distributions', steps are torch.optim's.
All is float64.
"""

import itertools
import math

import numpy as np
import pytest

from tinyvae.data.datasets import Dataset
from tinyvae.derivation.parameters import Parameters
from tinyvae.machine import noise
from tinyvae.machine.noise import Stream
from tinyvae.settings import BOUNDS, ESTIMATORS, Settings
from tinyvae.training.fitted import build_model
from tinyvae.training.loop import Training

torch = pytest.importorskip("torch")
distributions = torch.distributions
pytestmark = pytest.mark.slow

N_LABELS = 3
LOGVAR_FLOOR = math.log((1 / 255) ** 2 / 12)  # the variance of rounding to 256 grey levels

# ---------------------------------------------------------------------------------------------------------------------
# PyTorch's side: parameters are {name: tensor}; a batch is x (N, D), y (N,) or None, and eps [(N, K, D_l) for each l]
# ---------------------------------------------------------------------------------------------------------------------


IMAGE = 4, 3  # height and width of what the convolutional networks see
ACTIVATIONS = {"tanh": torch.tanh, "relu": torch.relu}


def network(settings, params, name, h, labels=None, given=None):
    """Hidden layers and an affine one above h (..., I), with the labels (N, 1, C) beside it or in the feature maps.

    A recurrent network stands beside them; its decoder may be ``given`` the data (N, 1, D).
    """
    if f"{name}.forward.state.W" in params:
        return (read if name == "encoder" else write)(settings, params, h, labels, given)
    f, is_conv = ACTIVATIONS[settings.activation], f"{name}.conv.0.W" in params
    if is_conv and name == "encoder":
        if h.shape[-1] > math.prod(IMAGE):  # a pseudo-input with its labels
            h, labels = h[..., : math.prod(IMAGE)], h[..., math.prod(IMAGE) :]
        h = maps_of(settings, params, h, labels)
    elif labels is not None:
        h = torch.cat([h, labels.expand(*h.shape[:-1], -1)], dim=-1)
    for i in itertools.count():
        if f"{name}.{i}.W" not in params:
            break
        h = (f(h) if i else h) @ params[f"{name}.{i}.W"] + params[f"{name}.{i}.b"]
    return images_of(settings, params, f(h)) if is_conv and name == "decoder" else h


def gru(params, name, *inputs):
    """torch.nn.GRU with our weights: all states (R, T, H) and the last one, of inputs (R, T, I) side by side."""
    x = torch.cat(inputs, dim=-1)
    W = torch.cat([params[f"{name}.{key}"] for key in ("steps.W", "static.W") if f"{name}.{key}" in params])
    U, b, c = (params[f"{name}.{key}"] for key in ("state.W", "input.b", "state.b"))
    weights = {"weight_ih_l0": W.T, "weight_hh_l0": U.T, "bias_ih_l0": b, "bias_hh_l0": c}
    layer = torch.nn.GRU(len(W), len(U), batch_first=True, dtype=torch.float64)
    h, last = torch.func.functional_call(layer, weights, (x,))
    return h, last[0]


def at_all_steps(rows, before):
    """Rows (..., J) as (R, T, J), for R rows in a shape ``before``."""
    return rows.expand(*before, -1).reshape(-1, 1, rows.shape[-1]).expand(-1, IMAGE[0], -1)


def read(settings, params, x, labels, _):
    """The recurrent encoder: an image row by row, from the top and from the bottom."""
    before, D = x.shape[:-1], math.prod(IMAGE)
    if x.shape[-1] > D:  # a pseudo-input with its labels
        x, labels = x[..., :D], x[..., D:]
    beside, x = [] if labels is None else [at_all_steps(labels, before)], x.reshape(-1, *IMAGE)
    ends = [gru(params, "encoder.forward", x, *beside)[1], gru(params, "encoder.backward", x.flip(1), *beside)[1]]
    own = {name: array for name, array in params.items() if "ward." not in name}
    return network(settings, own, "encoder", torch.cat(ends, dim=-1)).reshape(*before, -1)


def write(settings, params, z, labels, given):
    """The recurrent decoder, told z and the labels at every step, and with feedback the row above."""
    before, f = z.shape[:-1], ACTIVATIONS[settings.activation]
    s = z if labels is None else torch.cat([z, labels.expand(*before, -1)], dim=-1)
    for i in range(len(settings.hidden[0])):
        s = f(s @ params[f"decoder.{i}.W"] + params[f"decoder.{i}.b"])
    inputs = [at_all_steps(s, before)]
    if settings.feedback:
        above = torch.nn.functional.pad(given.reshape(-1, 1, *IMAGE)[:, :, :-1], (0, 0, 1, 0))
        inputs.insert(0, above.expand(*before, -1, -1).reshape(-1, *IMAGE))
    out = gru(params, "decoder.forward", *inputs)[0] @ params["decoder.output.W"] + params["decoder.output.b"]
    return out.unflatten(-1, (-1, IMAGE[1])).transpose(1, 2).reshape(*before, -1)


def sides(settings):
    """(H, W) of the images and of the feature maps above them, and beside each the margins of its windows."""
    height, width = IMAGE
    for _ in settings.channels:
        up = -(-height // settings.stride), -(-width // settings.stride)
        missing = [(n - 1) * settings.stride + settings.kernel - side for n, side in zip(up, (height, width))]
        yield (
            (height, width),
            up,
            [max(0, total) // 2 for total in missing],
            [-(-max(0, total) // 2) for total in missing],
        )
        height, width = up


def filters(settings, W):
    """(k k C, C') as torch has it, (C', C, k, k), for convolutions and for their transposes."""
    return W.reshape(settings.kernel, settings.kernel, -1, W.shape[1]).permute(3, 2, 0, 1)


def maps_of(settings, params, x, labels):
    """The uppermost feature maps, flat with the channels last, of images (..., H W C)."""
    before, f = x.shape[:-1], ACTIVATIONS[settings.activation]
    h = x.reshape(-1, *IMAGE, x.shape[-1] // math.prod(IMAGE)).permute(0, 3, 1, 2)
    for i, (_, _, (top, left), (bottom, right)) in enumerate(sides(settings)):
        h = torch.nn.functional.pad(h, (left, right, top, bottom))
        W, b = (params[f"encoder.conv.{i}.{kind}"] for kind in "Wb")
        h = torch.nn.functional.conv2d(h, filters(settings, W), b, stride=settings.stride)
        if i == 0 and labels is not None:
            h = h + (labels @ params["encoder.labels.W"]).expand(*before, -1).reshape(len(h), -1, 1, 1)
        h = f(h)
    return h.permute(0, 2, 3, 1).reshape(*before, -1)


def images_of(settings, params, h):
    """The outputs (..., M H W C) that the uppermost feature maps are turned into."""
    before, levels = h.shape[:-1], list(sides(settings))
    h = h.reshape(-1, *levels[-1][1], settings.channels[-1]).permute(0, 3, 1, 2)
    for i, ((height, width), _, (top, left), _) in reversed(list(enumerate(levels))):
        W, b = (params[f"decoder.conv.{i}.{kind}"] for kind in "Wb")
        h = torch.nn.functional.conv_transpose2d(h, filters(settings, W), stride=settings.stride)
        h = torch.nn.functional.pad(h, (0, max(0, width - h.shape[3]), 0, max(0, height - h.shape[2])))
        h = h[:, :, top : top + height, left : left + width] + b[:, None, None]
        h = ACTIVATIONS[settings.activation](h) if i else h
    return h.reshape(*before, -1)  # channels are the M numbers about a pixel, or there is one


def gaussian(mu, logvar):
    return distributions.Independent(distributions.Normal(mu, (logvar / 2).exp()), 1)


def layer(settings, params, kind, l, h, labels=None):
    """The Gaussian that the encoder or the decoder of z_l describes; the names are encoder, encoder2, ..."""
    return gaussian(*network(settings, params, kind if l == 1 else f"{kind}{l}", h, labels).chunk(2, dim=-1))


class Levels:
    """The discretised logistic, or a mixture of five, as a difference of distribution functions."""

    def __init__(self, outputs, C):
        parts = outputs.reshape(*outputs.shape[:-1], 2 if C == 1 else 3 * C, -1)
        self.log_weights = parts[..., :C, :].log_softmax(dim=-2) if C > 1 else 0
        self.m, self.s = parts[..., -2 * C : -C, :], parts[..., -C:, :].exp()

    def log_prob(self, x):
        x = x[..., None, :]
        u, l = ((x + h - self.m) / self.s for h in (1 / 510, -1 / 510))
        # on the side of the mean where the two are small, and their difference keeps its digits
        left = torch.where(x < 1, u.sigmoid(), 1) - torch.where(x > 0, l.sigmoid(), 0)
        right = torch.where(x > 0, (-l).sigmoid(), 1) - torch.where(x < 1, (-u).sigmoid(), 0)
        p = torch.where(x < self.m, left, right)
        return (self.log_weights + p.log()).logsumexp(dim=-2).sum(dim=-1)


class Colours:
    """Red, green and blue of each pixel one after another, each ``Levels`` with means that those before it move."""

    def __init__(self, outputs):
        *own, self.coefficients = outputs.reshape(*outputs.shape[:-1], 16, -1, 3).unbind(dim=-3)
        self.own = torch.stack(own, dim=-3)

    def log_prob(self, x):
        x, (alpha, beta, gamma) = x.reshape(*x.shape[:-1], -1, 3), self.coefficients.unbind(dim=-1)
        red, green, _ = x.unbind(dim=-1)
        moved = torch.stack([torch.zeros_like(alpha * red), alpha * red, beta * red + gamma * green], dim=-1)
        means = self.own[..., 5:10, :, :] + moved[..., None, :, :]
        parts = torch.cat([self.own[..., :5, :, :], means, self.own[..., 10:, :, :].expand_as(means)], dim=-3)
        return Levels(parts.flatten(start_dim=-2).flatten(start_dim=-2), 5).log_prob(x.flatten(start_dim=-2))


class Symbols:
    """A symbol in each row of the image."""

    def __init__(self, logits):
        self.rows = distributions.OneHotCategorical(logits=logits.unflatten(-1, IMAGE))

    def log_prob(self, x):
        return self.rows.log_prob(x.unflatten(-1, IMAGE)).sum(dim=-1)


def likelihood(settings, outputs):
    """p(x | z) from the decoder's outputs."""
    if settings.likelihood == "logistic-colour":
        return Colours(outputs)
    if settings.likelihood == "categorical":
        return Symbols(outputs)
    if settings.likelihood.startswith("logistic"):
        return Levels(outputs, 5 if settings.likelihood == "logistic-mixture" else 1)
    if settings.likelihood == "bernoulli":  # of grey levels too, which validate_args would refuse
        return distributions.Independent(distributions.Bernoulli(logits=outputs, validate_args=False), 1)
    a, logvar = outputs.chunk(2, dim=-1)
    return gaussian(a.sigmoid() if settings.likelihood == "gaussian" else a, logvar.clamp(min=LOGVAR_FLOOR))


def prior(settings, params, y):
    """p(z_L | y)."""
    if settings.prior == "normal":
        return gaussian(*torch.zeros(2, settings.latent[-1], dtype=torch.float64))
    if settings.prior == "label":
        return gaussian(params["prior.mu"][y, None], params["prior.logvar"][y, None])
    if settings.prior == "mixture":
        logits, parts = params["prior.logits"], gaussian(params["prior.mu"], params["prior.logvar"])
    else:  # Tomczak and Welling 2018, Eq. 9; a pseudo-input has columns for the labels
        logits = torch.zeros(settings.components, dtype=torch.float64)
        parts = layer(settings, params, "encoder", len(settings.latent), params["prior.inputs"])
    return distributions.MixtureSameFamily(distributions.Categorical(logits=logits), parts)


def log_weights(settings, drawing, judging, joint, x, y, eps):
    """log p(x, z | y) - log q(z | x, y), or with the closed form log p(x | z, y) - KL (AEVB, Eq. 10): (N, K).

    The parameters have three roles: the first draw z, the second make log q(z | x), the third log p(x, z).
    """
    labels = torch.eye(N_LABELS, dtype=torch.float64)[y, None] if settings.conditional else None
    z, log_q = [x[:, None]], 0  # z_0 = x, one for all samples
    for l, noise_l in enumerate(eps, start=1):
        q = layer(settings, drawing, "encoder", l, z[l - 1], labels)
        z.append(q.mean + q.stddev * noise_l)
        log_q = log_q + layer(settings, judging, "encoder", l, z[l - 1], labels).log_prob(z[l])
    outputs = network(settings, joint, "decoder", z[1], labels, given=x[:, None])
    log_p = likelihood(settings, outputs).log_prob(x[:, None])
    if settings.kl == "closed":
        return log_p - distributions.kl_divergence(q, prior(settings, joint, y))
    for l in range(2, len(z)):
        log_p = log_p + layer(settings, joint, "decoder", l, z[l], labels).log_prob(z[l - 1])
    return log_p + prior(settings, joint, y).log_prob(z[-1]) - log_q


def objective(settings, params, *batch):
    """The log weights (N, K), the bounds (N,), and a surrogate (N,) whose gradient is what the estimator wants."""
    stopped = {name: tensor.detach() for name, tensor in params.items()}

    def bound(logw):
        return logw.mean(dim=1) if settings.objective == "elbo" else logw.logsumexp(dim=1) - math.log(settings.samples)

    logw = log_weights(settings, params, params, params, *batch)
    surrogate = bound(logw)
    if settings.estimator == "stl":  # Roeder, Wu and Duvenaud 2017: log q with its parameters stopped
        surrogate = bound(log_weights(settings, params, stopped, params, *batch))
    if settings.estimator == "dreg":  # Tucker et al. 2019, Eq. 7, along the path; IWAE, Eq. 14, for the joint density
        v = logw.softmax(dim=1).detach()
        path = log_weights(settings, params, stopped, stopped, *batch)
        surrogate = (v**2 * path + v * log_weights(settings, stopped, stopped, params, *batch)).sum(dim=1)
    return logw, bound(logw), surrogate


def optimiser(settings, tensors):
    """Ascent on the bound; torch's formulas are those of the papers, and of momentum: v <- 0.9 v + g."""
    if settings.optimiser == "sgd":
        return torch.optim.SGD(tensors, momentum=0.9, maximize=True)
    kind = {"adam": torch.optim.Adam, "adagrad": torch.optim.Adagrad}[settings.optimiser]
    return kind(tensors, eps=settings.epsilon, maximize=True)


SCHEDULES = {  # factors on the step, from how many epochs are done and how many there will be
    "constant": lambda epoch, epochs: 1,
    "cosine": lambda epoch, epochs: (1 + math.cos(math.pi * epoch / epochs)) / 2,
    "iwae": lambda epoch, epochs: 10 ** (-sum(epoch >= (3**i - 1) / 2 for i in range(1, 8)) / 7),
}

# ---------------------------------------------------------------------------------------------------------------------
# What both sides are given
# ---------------------------------------------------------------------------------------------------------------------

IMAGES = {  # from a Generator and a shape (N, D); the first word names the likelihood
    "bernoulli grey": lambda rng, shape: rng.integers(0, 256, shape).astype(np.uint8),
    "bernoulli binary": lambda rng, shape: rng.random(shape) < 0.5,
    "gaussian": lambda rng, shape: rng.random(shape),
    "logistic": lambda rng, shape: (rng.integers(-50, 306, shape).clip(0, 255)).astype(np.uint8),
    "logistic-mixture": lambda rng, shape: rng.integers(0, 256, shape).astype(np.uint8),
    "logistic-colour": lambda rng, shape: rng.integers(0, 256, shape).astype(np.uint8),
    "gaussian-linear": lambda rng, shape: 2 * rng.standard_normal(shape),
    "categorical": lambda rng, shape: np.eye(3, dtype=bool)[rng.integers(0, 3, (shape[0], shape[1] // 3))].reshape(
        shape
    ),
}
PRIORS = ["normal", "mixture", "vamp", *(f"{name} conditional" for name in ("normal", "label", "mixture", "vamp"))]
BOUNDS_AND_K = ["elbo closed standard 1", "elbo closed standard 3", "elbo sampled standard 1"]
BOUNDS_AND_K += ["elbo sampled standard 3", "elbo sampled stl 3", "iwae sampled standard 5", "iwae sampled dreg 5"]
NETWORKS = {"mlp": {}, "conv": {"network": "conv", "activation": "relu", "channels": (3, 2), "kernel": 3}}
NETWORKS |= {
    "gru": {"network": "gru", "units": 4},
    "gru with feedback": {"network": "gru", "units": 4, "feedback": True},
}
LATENT, HIDDEN = (5, 3, 2), ((7, 6), (6,), (5, 4))


def settings_of(images, prior, bound, layers, **others):
    """The Settings of a case in words; None for a closed form that does not exist."""
    objective, kl, estimator, K = bound.split()
    prior, *conditional = prior.split()
    if kl == "closed" and (layers > 1 or prior in ("mixture", "vamp")):
        return None
    model = {"latent": LATENT[:layers], "hidden": HIDDEN[:layers], "likelihood": images.split()[0], "prior": prior}
    model |= {"components": 4, "conditional": bool(conditional), "dtype": "float64", "seed": 3}
    return Settings(**model | {"objective": objective, "kl": kl, "estimator": estimator, "samples": int(K)} | others)


def intensities(images):
    return images / 255 if images.dtype == np.uint8 else images.astype(np.float64)


def leaves(params):
    """tinyvae's parameters, copied."""
    return {name: torch.tensor(array, requires_grad=True) for name, array in params.items()}


def batch_of(settings, x, y, *place):
    """A batch as tensors, with the noise of a place in the training: a stream, a step."""
    eps = noise.layers([(len(x), settings.samples, D) for D in settings.latent], settings.seed, *place, dtype=x.dtype)
    return torch.tensor(x), torch.tensor(y) if settings.conditional else None, list(map(torch.tensor, eps))


def assert_same(ours, theirs, tolerance):
    """The same names and shapes, and no entry further off than so much of the array's largest."""
    assert set(ours) == set(theirs)
    for name, array in theirs.items():
        array = array.detach().numpy()
        assert ours[name].shape == array.shape and np.abs(array).max() > 0, name
        assert np.abs(ours[name] - array).max() <= tolerance * np.abs(array).max(), name


@pytest.fixture(autouse=True)
def one_thread_for_torch():
    """For such small products more of them only wait for each other: ten times as long on a busy machine."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.parametrize(
    ("images", "prior", "bound", "layers"),
    [case for case in itertools.product(IMAGES, PRIORS, BOUNDS_AND_K, (1, 2, 3)) if settings_of(*case)],
)
@pytest.mark.parametrize("network", NETWORKS)
def test_log_weights_bound_and_gradient(network, images, prior, bound, layers):
    settings, N, D = settings_of(images, prior, bound, layers, **NETWORKS[network]), 4, 12
    rng, model = np.random.default_rng(layers), build_model(settings, IMAGE, N_LABELS)
    params = Parameters(model.shapes(), dtype=np.float64)
    is_relu = settings.activation == "relu"  # has no upper limit, and in a small network all might be zero
    params.flat[:] = (0.2 if is_relu else 0.5) * rng.standard_normal(params.flat.size)
    for name in params:
        params[name][...] += 0.5 * (is_relu and name.endswith(".b"))
    x, y = intensities(IMAGES[images](rng, (N, D))), np.array([2, 0, 2, 1])
    if images == "gaussian-linear" and network == "mlp":  # variances under the floor, and on both sides of it
        W, b = (params[f"decoder.{len(HIDDEN[0])}.{kind}"] for kind in "Wb")
        b[D : D + 2] = -20, LOGVAR_FLOOR
        for means in (x[:, :2], W[:, :2], b[:2]):
            means *= 1e-3  # and errors of about that size

    tensors, batch = leaves(params), batch_of(settings, x, y, Stream.TRAINING)
    logw, bounds, surrogate = objective(settings, tensors, *batch)
    surrogate.mean().backward()

    eps, y = [array.numpy() for array in batch[2]], y if settings.conditional else None
    own_logw, cache = model.log_weights(params, x, eps, y, closed_form_kl=settings.kl == "closed")
    own_bounds, v = BOUNDS[settings.objective](own_logw)
    path, direct = ESTIMATORS[settings.estimator].weights(v)
    np.testing.assert_allclose(own_logw, logw.detach(), rtol=1e-12)
    np.testing.assert_allclose(own_bounds, bounds.detach(), rtol=1e-12)
    gradient = dict(model.backward(params, cache, v / N, path / N, direct / N).items())
    theirs = {name: tensor.grad for name, tensor in tensors.items()}
    if (images, network) == ("categorical", "conv"):  # what moves all logits of a step alike moves no softmax
        for gradients in (gradient, theirs):
            assert abs(gradients.pop("decoder.conv.0.b")).max() < 1e-14
    assert_same(gradient, theirs, 1e-10)


IWAE = {"binarise": "dynamic", "schedule": "iwae"}
# IWAE's epsilon: with the usual 1e-8 torch's own parameters move by 1e-9 if the rows of a minibatch change places.
WIDE = {"latent": (50,), "hidden": ((200, 200),), "epsilon": 1e-4}
TRAININGS = {
    "aevb": ("bernoulli grey", "normal", "elbo closed standard 1", 1, {"initialisation": "aevb"}),
    "labels": ("gaussian", "label conditional", "elbo closed standard 3", 1, {"schedule": "constant"}),
    "iwae": ("bernoulli grey", "vamp conditional", "iwae sampled dreg 5", 2, IWAE),
    "deep": ("gaussian-linear", "mixture", "elbo sampled stl 3", 3, {}),
    "conv": ("bernoulli grey", "normal conditional", "elbo closed standard 1", 1, NETWORKS["conv"]),
    "wide": ("bernoulli binary", "vamp", "iwae sampled standard 5", 1, WIDE),
}


@pytest.mark.parametrize(("name", "rate"), [("adam", 0.003), ("adagrad", 0.005), ("sgd", 0.001)])
@pytest.mark.parametrize("training", TRAININGS)
def test_two_epochs_of_training(training, name, rate):
    *case, others = TRAININGS[training]
    settings = settings_of(*case, optimiser=name, learning_rate=rate, batch_size=10, epochs=2, **others)
    shape = (28, 28) if training == "wide" else IMAGE
    rng, N = np.random.default_rng(0), 34  # a smaller minibatch at the end of each epoch
    train, test = (IMAGES[case[0]](rng, (n, math.prod(shape))) for n in (N, 7))
    labels, test_labels = rng.integers(0, N_LABELS, N), rng.integers(0, N_LABELS, 7)
    state = Training(settings, Dataset("random", train, test, labels, test_labels, shape, "", N_LABELS), threads=2)
    tensors = leaves(state.params)
    ascent, step = optimiser(settings, tensors.values()), 0
    for epoch in range(settings.epochs):
        order, bounds = noise.permutation(N, settings.seed, Stream.ORDER, epoch), []
        for start in range(0, N, settings.batch_size):
            rows = order[start : start + settings.batch_size]
            x = intensities(train[rows])
            if settings.binarise == "dynamic":
                x = noise.bernoulli(x, settings.seed, Stream.BINARISATION, step)
            batch = batch_of(settings, x, labels[rows], Stream.TRAINING, step)
            _, bound, surrogate = objective(settings, tensors, *batch)
            ascent.zero_grad()
            surrogate.mean().backward()
            ascent.param_groups[0]["lr"] = rate * SCHEDULES[settings.schedule](epoch + start / N, settings.epochs)
            ascent.step()
            bounds.append(bound.detach())
            step += 1
        assert state.run_epoch() == pytest.approx(torch.cat(bounds).mean().item(), rel=1e-9)
    assert_same(state.params, tensors, 1e-9)
    batch = batch_of(settings, intensities(state.dataset.test), test_labels, Stream.EVALUATION)
    expected = objective(settings, tensors, *batch)[1].detach()
    np.testing.assert_allclose(state.test_bounds(), expected, rtol=1e-9)
    assert state.test_bound() == pytest.approx(expected.mean().item(), rel=1e-9)
