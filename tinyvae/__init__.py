"""tinyvae: variational autoencoders with every derivative written out by hand, in NumPy and Numba."""

from typing import TYPE_CHECKING

__version__ = "0.1.0"

if TYPE_CHECKING:  # a type checker does not follow __getattr__
    from tinyvae.estimator import VAE as VAE
else:

    def __getattr__(name):
        """``VAE``, imported when it is first asked for: scikit-learn takes a second, and the commands do without it."""
        if name == "VAE":
            from tinyvae.estimator import VAE

            return VAE
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
