"""The machine room's door: everything that is computed by loops over arrays, called on NumPy arrays.

The rest of the house calls ``machine.NAME(...)`` and knows nothing of what is behind it: ``compiled``, kernels that
Numba compiles and threads share, or ``plain``, the same functions in NumPy, slow and obvious. The latter serve where
Numba is not installed or cannot be loaded, and under NUMBA_DISABLE_JIT=1, so that a debugger can step through
everything. The choice is made at the first call, so that it costs nothing to import the derivation.

A kernel writes into arrays that it is given: C-ordered, float32 or float64, one of the two in a call. What each of them
computes is said by its twin in ``plain``; why, where it is used, in the derivation.

The room knows arrays, threads and time; it must not know what a model is.
"""

import importlib
import sys

from tinyvae.errors import UserError
from tinyvae.system import MOST_THREADS

# What may follow an affine map: nothing, tanh a, or max(a, 0).
LINEAR, TANH, RELU = range(3)

# Half a step between the 256 levels of a byte, on the scale from 0 to 1; log scales beyond this are taken for it.
HALF_STEP, LOGSCALE_LIMIT = 1 / 510, 30.0

NAMES = (
    # the layers of a network
    *("layers", "layers_gradient", "affine", "affine_gradient", "affine_input_gradient"),
    # convolutions
    *("convolution", "convolution_input_gradient", "convolution_weight_gradient", "channel_sums"),
    *("transposed_convolution", "transposed_convolution_input_gradient"),
    # recurrent networks
    *("recurrence", "recurrence_gradient"),
    # Gaussians
    *("gaussian_sample", "gaussian_sample_gradient", "gaussian_log_posterior", "gaussian_log_posterior_gradient"),
    *("standard_normal_log_density", "gaussian_log_density", "gaussian_log_density_gradient"),
    *("component_log_densities", "component_log_densities_gradient"),
    # likelihoods
    *("bernoulli_log_prob", "gaussian_log_prob", "logistic_log_prob", "categorical_log_prob"),
    *("scale_rows", "sigmoid", "bernoulli_of_layers"),
    # random numbers (noise.py)
    *("random_words", "binary", "normal"),
    # optimisers
    *("sgd_update", "adagrad_update", "adam_update", "cuts_of"),
    # a decorator for loops of other rooms whose every bit counts
    "exact",
    # threads, the wait for the compiler, and what does the products
    *("crew", "watch_compilation", "compile_ahead", "blas_kernels", "blas_description"),
)


def available_cores():
    """The number of cores that this process may use, by joblib's rules: its affinity, the quota of its container, and
    $LOKY_MAX_CPU_COUNT; no more than a crew may have threads.
    """
    from joblib import cpu_count

    return min(cpu_count(), MOST_THREADS)


def __getattr__(name):
    """One of ``NAMES``, from behind the door; this is asked only once, since all of them are put here then."""
    if name not in NAMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    backend = importlib.import_module(f"{__name__}.{_choice()}")
    globals().update({each: getattr(backend, each) for each in NAMES})
    return globals()[name]


def _choice():
    """ "compiled" if that can be had, else "plain", and a line that says so."""
    try:
        from numba import config

        if not config.DISABLE_JIT:
            return "compiled"
        why = "NUMBA_DISABLE_JIT is set"
    except ImportError as error:
        is_missing = str(error) == "No module named 'numba'"
        why = "Numba is not installed" if is_missing else f"Numba cannot be loaded ({error})"
    except ValueError as error:  # what NUMBA_NUM_THREADS=0 leads to
        raise UserError(f"Numba does not start: {error}\nMend or unset the environment's variables NUMBA_...") from None
    print(f"{why}: all is computed by plain NumPy, more slowly", file=sys.stderr, flush=True)
    return "plain"
