"""The model as the page evaluates it: a list of layers for each network, with the names of their weights.

What the page cannot evaluate is refused here, in words.
"""

from typing import Any

from tinyvae.derivation.levels import COMPONENTS
from tinyvae.derivation.likelihoods import LOGVAR_FLOOR
from tinyvae.derivation.model import Model, name_of
from tinyvae.derivation.networks import Network
from tinyvae.errors import UserError
from tinyvae.explorer.priors import PRIORS
from tinyvae.machine import LOGSCALE_LIMIT

# What the page's own functions need to know of each likelihood (sources/likelihoods.js).
LIKELIHOODS: dict[str, dict[str, Any]] = {
    "bernoulli": {"kind": "bernoulli"},
    "gaussian": {"kind": "gaussian", "squash": True},
    "gaussian-linear": {"kind": "gaussian", "squash": False},
    "logistic": {"kind": "logistic", "components": 1, "colour": False},
    "logistic-mixture": {"kind": "logistic", "components": COMPONENTS, "colour": False},
    "logistic-colour": {"kind": "logistic", "components": COMPONENTS, "colour": True},
}
ACTIVATIONS = "tanh", "relu"


def mlp(network: Network, name: str) -> dict[str, Any]:
    """The affine layers of a perceptron."""
    return {"kind": "mlp", "layers": _affine(network, name)}


def convolutional(network: Any, name: str) -> dict[str, Any]:
    """The convolutions of an encoder, from the data up, or the transposed ones of a decoder, from the top down."""
    layers: list[dict[str, Any]] = [
        {**geometry._asdict(), "W": f"{name}.conv.{i}.W", "b": f"{name}.conv.{i}.b"}
        for i, geometry in enumerate(network.geometries)
    ]
    if "decoder" in name:
        numbers = network.outputs[0]
        return {"kind": "conv-decoder", "layers": _affine(network, name), "convs": layers[::-1], "numbers": numbers}
    labels = f"{name}.labels.W" if network.n_labels else None
    return {"kind": "conv-encoder", "layers": _affine(network, name), "convs": layers, "labels": labels}


NETWORKS = {"mlp": mlp, "conv": convolutional}


def _affine(network: Network, name: str) -> list[list[str]]:
    """[[name of W, name of b]] of the affine layers of a network, from its input on."""
    numbers = sorted(int(key.split(".")[0]) for key in network.shapes() if key[0].isdigit() and key.endswith(".W"))
    return [[f"{name}.{number}.W", f"{name}.{number}.b"] for number in numbers]


def require_served(model: Model) -> None:
    """Raise a UserError for a model that the page cannot evaluate."""
    for what, name, served in (
        ("network", model.network, tuple(NETWORKS)),
        ("likelihood", model.likelihood, tuple(LIKELIHOODS)),
        ("activation", model.activation, ACTIVATIONS),
        ("prior", model.prior, tuple(PRIORS)),
    ):
        if name not in served:
            raise UserError(
                f"the explorer shows models with the {what} {' or '.join(served)}, and this run has {name}\n"
                "In Python, tinyvae.load opens it: to encode, decode and sample."
            )


def describe(model: Model) -> dict[str, Any]:
    """What the page must know of a model, for JSON.

    Raises: UserError for a model that it cannot evaluate.
    """
    require_served(model)
    networks = {}
    for kind, members in (("encoder", model.encoders), ("decoder", model.decoders)):
        plans = [NETWORKS[model.network], *[mlp] * (len(members) - 1)]
        networks[f"{kind}s"] = [
            plan(network, name_of(kind, l)) for l, (plan, network) in enumerate(zip(plans, members))
        ]
    constants = {"floor": LOGVAR_FLOOR, "limit": LOGSCALE_LIMIT}
    return {
        "shape": model.data_shape,
        "latent": model.latent,
        "labels": model.n_labels,
        "activation": model.activation,
        "likelihood": LIKELIHOODS[model.likelihood] | constants,
        "closed": model.has_closed_form_kl,
        **networks,
    }
