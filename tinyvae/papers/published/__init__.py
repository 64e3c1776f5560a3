"""Figures that the papers published, to be held against ours.

- ``aevb_figure2.csv``: Kingma and Welling (2014), Figure 2, read off the vector graphics of the paper: to about
  0.2 nats (MNIST) and 2 nats (Frey faces). ``train`` is the authors' running average while training.
- ``iwae_table1.csv``: Burda et al. (2016), Table 1, MNIST: -log p(x) of the test set by 5,000 samples after 3,280
  epochs, and active units (these are approximate).
"""

import csv
from pathlib import Path

IWAE_EPOCHS = 3280


def aevb(dataset: str, n_latent: int, split: str) -> tuple[list[int], list[float]]:
    """A curve of AEVB's Figure 2.

    Args:
        dataset: "mnist" or "frey".
        n_latent: dimensions of the latent space; 3, 5, 10, 20, 200 (MNIST) or 2, 5, 10, 20 (Frey).
        split: "train" or "test".

    Returns: (samples_seen, bound): two lists, the bounds in nats per example.
    """
    key = (dataset, str(n_latent), split)
    rows = [row for row in _rows("aevb_figure2.csv") if (row["dataset"], row["n_latent"], row["split"]) == key]
    return [int(row["samples_seen"]) for row in rows], [float(row["bound_nats"]) for row in rows]


def iwae(stochastic_layers: int, k: int, model: str) -> tuple[float, str]:
    """An entry of IWAE's Table 1.

    Args:
        stochastic_layers: 1 or 2.
        k: 1, 5 or 50.
        model: "vae" or "iwae".

    Returns: (-log p(x) in nats, active units as written there).

    Raises: ValueError where the table has no such entry.
    """
    rows = {(row["stochastic_layers"], row["k"], row["model"]): row for row in _rows("iwae_table1.csv")}
    row = rows.get((str(stochastic_layers), str(k), model))
    if row is None:
        raise ValueError(f"Table 1 has no {model} of {stochastic_layers} stochastic layers with k = {k}")
    return float(row["nll_nats"]), row["active_units"]


def _rows(name: str) -> list[dict[str, str]]:
    with (Path(__file__).parent / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))
