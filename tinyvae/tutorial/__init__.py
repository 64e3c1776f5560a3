"""What the notebooks of the course use beside the package itself: data that are at hand, training in a line, checks.

Each ``check_...`` takes a student's answer, and prints that it is right or raises ``Wrong`` with a diagnosis. Those of
a notebook stand in the file of its name.
"""

from tinyvae.tutorial.answers import Wrong, check_number
from tinyvae.tutorial.latent_variables import (
    check_kl,
    check_log_marginal,
    check_log_mean_exp,
    check_log_weights,
    check_posterior,
    check_price_of_independence,
)
from tinyvae.tutorial.lessons import load, style, trained
