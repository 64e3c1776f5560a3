"""What is measured: the training step of four of tinyvae's recipes, as data that every framework's worker reads.

All take minibatches from MNIST's 60,000 training images of 784 pixels and compute in float32.

- vae: 784-500-20, AEVB's recipe: grey levels, the ELBO with the closed-form KL divergence, minibatches of 100, Adagrad.
- iwae-k1, iwae-k5, iwae-k50: 784-200-200-50, IWAE's recipe with K = 1, 5 and 50: pixels drawn anew at every visit, the
  importance-weighted bound, minibatches of 20, Adam.
"""

from dataclasses import replace

from tinyvae.recipes import AEVB, IWAE_1

WORKLOADS = {"vae": AEVB} | {f"iwae-k{K}": replace(IWAE_1, samples=K) for K in (1, 5, 50)}
