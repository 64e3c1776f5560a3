"""The estimator for scikit-learn: ``VAE``, the same model and the same loop as the command's.

``vae`` has the class, and ``trained`` the half of it that uses what was learned. ``arguments`` says what the parameters
mean, ``inputs`` what X and y mean, each with what is refused; ``runs`` keeps a VAE in the folder of a run. The room
knows training and runs; it must not know any derivative, nor the commands.
"""

from tinyvae.estimator.vae import VAE as VAE
