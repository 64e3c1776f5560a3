"""tinyvae: variational autoencoders with every derivative written out by hand, in NumPy and Numba."""

from typing import TYPE_CHECKING

__version__ = "0.1.0"
__all__ = ("VAE", "load")

if TYPE_CHECKING:  # a type checker does not follow __getattr__
    from tinyvae.estimator import VAE as VAE
    from tinyvae.training.opening import load_fitted

    load = load_fitted
else:

    def __getattr__(name):
        """``VAE`` and ``load``, imported when first asked for: that takes a second, and the commands do without it."""
        if name == "VAE":
            from tinyvae.estimator import VAE

            return VAE
        if name == "load":
            from tinyvae.training.opening import load_fitted

            return load_fitted
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

    def __dir__():
        """With the two, which a notebook completes."""
        return sorted({*globals(), *__all__})
