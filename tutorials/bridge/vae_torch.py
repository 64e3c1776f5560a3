"""The variational autoencoder of notebook 4 in PyTorch: ``python tutorials/bridge/vae_torch.py`` trains it."""

import numpy as np
import torch
from sklearn.datasets import load_digits
from torch.nn.functional import binary_cross_entropy_with_logits

torch.set_num_threads(1)  # for such small products more threads only wait for one another


def bounds(params, x, eps):
    """log p(x | z) - KL(q(z | x) || p(z)) of each image: (N,), from x (N, D) and the noise eps (N, Q)."""
    h = torch.tanh(x @ params["encoder.0.W"] + params["encoder.0.b"])
    mu, logvar = torch.chunk(h @ params["encoder.1.W"] + params["encoder.1.b"], 2, dim=1)
    z = mu + torch.exp(logvar / 2) * eps
    g = torch.tanh(z @ params["decoder.0.W"] + params["decoder.0.b"])
    logits = g @ params["decoder.1.W"] + params["decoder.1.b"]
    log_likelihood = -binary_cross_entropy_with_logits(logits, x, reduction="none").sum(dim=1)
    return log_likelihood - 0.5 * (mu**2 + torch.exp(logvar) - 1 - logvar).sum(dim=1)


def gradient(params, x, eps):
    """The derivative of the mean bound by each parameter; NumPy's arrays come in and go out."""
    params = {name: torch.tensor(array, requires_grad=True) for name, array in params.items()}
    bounds(params, torch.tensor(x), torch.tensor(eps)).mean().backward()
    return {name: param.grad.numpy() for name, param in params.items()}


def train(epochs=50, D=64, H=100, Q=10, seed=0):
    """Climb the bound of scikit-learn's digits by momentum; prints and returns the test bound of each tenth epoch."""
    x, rng, history = load_digits().data / 16, np.random.default_rng(seed), []
    sizes = {"encoder.0": (D, H), "encoder.1": (H, 2 * Q), "decoder.0": (Q, H), "decoder.1": (H, D)}
    params = {f"{name}.W": torch.tensor(rng.standard_normal(size) / size[0] ** 0.5) for name, size in sizes.items()}
    params |= {f"{name}.b": torch.zeros(size[1], dtype=torch.float64) for name, size in sizes.items()}
    optimiser = torch.optim.SGD([p.requires_grad_() for p in params.values()], lr=0.01, momentum=0.9, maximize=True)
    for epoch in range(1, epochs + 1):
        for batch in np.split(rng.permutation(1600), 16):
            optimiser.zero_grad()
            bounds(params, torch.tensor(x[batch]), torch.tensor(rng.standard_normal((100, Q)))).mean().backward()
            optimiser.step()
        if epoch % 10 == 0:
            test_bounds = bounds(params, torch.tensor(x[1600:]), torch.tensor(rng.standard_normal((197, Q))))
            history.append(test_bounds.mean().item())
            print(f"epoch {epoch}: test bound {history[-1]:.3f}")
    return history


if __name__ == "__main__":
    train()
