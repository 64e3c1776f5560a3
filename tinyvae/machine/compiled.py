"""Behind the door: kernels that Numba compiles, whose work the threads at hand share.

Each function has the arguments of its twin in ``plain``. What is small is a kernel as it is; what is shared is given
the desk at hand and the addresses of its jobs in the arrays' dtype.
"""

import atexit
import os
import subprocess
import sys
from functools import cache, partial
from subprocess import DEVNULL

import numpy as np
from numba.core import event
from numba.core.compiler_lock import global_compiler_lock

from tinyvae.machine import (
    LINEAR,
    RELU,
    TANH,
    available_cores,
    blas,
    convolution_jobs,
    jobs,
    kernels,
    matrix_products,
    philox,
    recurrence_jobs,
)
from tinyvae.machine.code_cache import exact as exact
from tinyvae.machine.code_cache import folder
from tinyvae.machine.matrix_products import BLOCKS, COPIES, are_few, are_many, mostly_zero
from tinyvae.machine.patches import PIECES, images_at_a_time
from tinyvae.machine.threads import Crew, at_hand, current
from tinyvae.system import require_threads

random_words = philox.fill_words

parts = matrix_products.parts.py_func


# ---------------------------------------------------------------------------------------------------------------------
# Layers
# ---------------------------------------------------------------------------------------------------------------------


def layers(x, Ws, bs, outputs, activation, last_activation):
    _require_known(activation, last_activation)
    is_sparse = mostly_zero(x)
    addresses = _affine_jobs(x.dtype, is_sparse, *[few(x, W) for W in Ws])
    jobs.layers(at_hand(), addresses, is_sparse, x, Ws, bs, outputs, activation, last_activation)


def layers_gradient(dout, x, outputs, Ws, dWs, dbs, dinputs, activation, first_activation):
    _require_known(activation, first_activation)
    is_sparse = mostly_zero(x)
    addresses = _gradient_jobs(x.dtype, *[(is_sparse and i == 0, many(x, W)) for i, W in enumerate(Ws)])
    activations = activation, first_activation
    jobs.layers_gradient(at_hand(), addresses, is_sparse, dout, x, outputs, Ws, dWs, dbs, dinputs, *activations)


def affine(x, W, b, out, activation):
    _require_known(activation)
    is_sparse = mostly_zero(x)
    jobs.affine(at_hand(), _affine_jobs(x.dtype, is_sparse, few(x, W)), is_sparse, x, W, b, out, activation)


def affine_gradient(da, x, dW, db):
    is_sparse = mostly_zero(x)
    jobs.affine_gradient(at_hand(), _gradient_jobs(x.dtype, (is_sparse, many(x, dW))), is_sparse, da, x, dW, db)


def affine_input_gradient(da, W, h, dx, activation):
    _require_known(activation)
    jobs.affine_input_gradient(at_hand(), jobs.AFFINE_INPUT_GRADIENT.at(da.dtype), da, W, h, dx, activation)


def few(x, W):
    """Whether a minibatch has few rows for a layer (``matrix_products.are_few``)."""
    return are_few.py_func(len(x), len(W))


def many(x, W):
    """Whether a minibatch has many rows for a layer (``matrix_products.are_many``)."""
    return are_many.py_func(len(x), *W.shape)


def _require_known(*activations):
    """Refuse the number of another activation, which the kernels would take for none."""
    if not {LINEAR, TANH, RELU}.issuperset(activations):
        raise ValueError(f"known activations are {LINEAR}, {TANH} and {RELU} (tinyvae.machine), not {activations}")


# The addresses that the layers want, 0 for a job that is not needed: it is not compiled.


@cache
def _affine_jobs(dtype, is_sparse, *sizes):
    """For layers whose minibatches have few rows or not, the first one's perhaps sparse."""
    kinds = [(is_sparse and i == 0, has_few) for i, has_few in enumerate(sizes)]
    either = {
        (False, False): jobs.AFFINE,
        (True, False): jobs.SPARSE_AFFINE,
        (False, True): jobs.HALF_PRODUCT,
        (True, True): jobs.SPARSE_HALF_PRODUCT,
    }
    addresses = [job.at(dtype) if kind in kinds else 0 for kind, job in either.items()]
    return *addresses, jobs.COMPLETE_AFFINE.at(dtype) if any(sizes) else 0


@cache
def _gradient_jobs(dtype, *kinds):
    """For layers of these kinds: whether the minibatch is sparse, and whether it has many rows for the layer."""
    either = {
        (False, False): [jobs.AFFINE_GRADIENT],
        (True, False): [jobs.SPARSE_AFFINE_GRADIENT],
        (False, True): [jobs.BLOCK_GRADIENT, jobs.COMPLETE_GRADIENT],
    }
    kinds = [(is_sparse, has_many and not is_sparse) for is_sparse, has_many in kinds]
    addresses = [job.at(dtype) if kind in kinds else 0 for kind, some in either.items() for job in some]
    return *addresses, jobs.AFFINE_INPUT_GRADIENT.at(dtype)


# ---------------------------------------------------------------------------------------------------------------------
# Convolutions
# ---------------------------------------------------------------------------------------------------------------------


def convolution(x, W, b, out, geometry, activation):
    _require(b.shape in ((1, W.shape[1]), (len(x), W.shape[1])), "the biases and the filters")
    _by_images(convolution_jobs.CONVOLUTION, x, out, W, (x, W, b, out), geometry, activation)


def transposed_convolution(x, W, b, out, geometry, activation):
    _require(b.shape in ((1, geometry[2]), (len(x), geometry[2])), "the biases and the channels")
    _by_images(convolution_jobs.TRANSPOSED_CONVOLUTION, out, x, W, (x, W, b, out), geometry, activation)


def convolution_input_gradient(da, W, h, dx, geometry, activation):
    _require(h.shape == dx.shape, "h and dx")
    _by_images(convolution_jobs.CONVOLUTION_INPUT_GRADIENT, dx, da, W, (da, W, h, dx), geometry, activation)


def transposed_convolution_input_gradient(da, W, h, dx, geometry, activation):
    _require(h.shape == dx.shape, "h and dx")
    _by_images(convolution_jobs.TRANSPOSED_CONVOLUTION_INPUT_GRADIENT, da, dx, W, (da, W, h, dx), geometry, activation)


def convolution_weight_gradient(da, x, dW, geometry):
    _require_images(x, da, dW, geometry)
    images = max(1, parts(len(x), PIECES))
    sums = np.empty((max(1, parts(len(x), images)), dW.size), dW.dtype)
    job, add = (job.at(x.dtype) for job in (convolution_jobs.CONVOLUTION_WEIGHT_GRADIENT, convolution_jobs.SUM_OF_ROWS))
    jobs.share_pieces(at_hand(), job, len(sums), (da, x, sums), (images, LINEAR, *geometry))
    columns = parts(dW.size, BLOCKS)
    if not dW.flags.c_contiguous:  # as a row it would be a copy
        raise TypeError("all arrays must be C-ordered and of one type, float32 or float64")
    jobs.share_pieces(at_hand(), add, parts(dW.size, columns), (dW.reshape(1, -1), sums), (columns,))


def channel_sums(a, sums, width):
    fits = a.ndim == sums.ndim == 2 and len(a) == len(sums) and a.shape[1] % (width * sums.shape[1]) == 0
    _require(fits, "a and sums")
    images = max(1, parts(len(a), BLOCKS))
    job = convolution_jobs.CHANNEL_SUMS.at(a.dtype)
    jobs.share_pieces(at_hand(), job, parts(len(a), images), (a, sums), (images, LINEAR, 1, width))


def _by_images(job, wide, narrow, W, arrays, geometry, activation):
    """Have a job done on all images, some in a piece."""
    _require_known(activation)
    patches = _require_images(wide, narrow, W, geometry)
    images = images_at_a_time.py_func(len(wide), patches * len(W))
    pieces = parts(len(wide), images)
    jobs.share_pieces(at_hand(), job.at(wide.dtype), pieces, arrays, (images, activation, *geometry))


def _require_images(wide, narrow, W, geometry):
    """The number of patches of an image, if the shapes of images and filters fit a geometry."""
    height, width, channels, size, stride = geometry
    patches = parts(height, stride) * parts(width, stride)
    fits = wide.shape == (len(wide), height * width * channels) and W.ndim == 2 and len(W) == size * size * channels
    _require(fits and narrow.shape == (len(wide), patches * W.shape[1]), "the images and the filters")
    return patches


# ---------------------------------------------------------------------------------------------------------------------
# Recurrent networks
# ---------------------------------------------------------------------------------------------------------------------

MOST_ROWS = 64  # of a piece, if an example has no more


def recurrence(steps, static, U, c, gates, states, is_reversed):
    _require(c.shape == (3 * len(U),), "U and c")
    arrays = steps, static, U, c, gates, states
    _by_examples(recurrence_jobs.RECURRENCE, steps, static, U, gates, states, is_reversed, arrays)


def recurrence_gradient(dstates, U, gates, states, dsteps, dstatic, dproducts, is_reversed):
    _require(dproducts.shape == (len(gates), 3 * len(U)), "dproducts, U and the gates")
    _require(dstates.shape in ((len(gates), len(U)), (len(dstatic), len(U))), "dstates, U and the gates")
    arrays = dstates, np.ascontiguousarray(U.T), gates, states, dsteps, dstatic, dproducts  # BLAS is faster with Uᵀ
    _by_examples(recurrence_jobs.RECURRENCE_GRADIENT, dsteps, dstatic, U, gates, states, is_reversed, arrays)


def _by_examples(job, steps, static, U, gates, states, is_reversed, arrays):
    """Have a job done on all rows, those of some examples in a piece."""
    R, H = len(static), len(U)
    T = len(gates) // max(1, R)
    examples = len(steps) // max(1, T) or R
    _require(U.shape == (H, 3 * H) and static.shape == (R, 3 * H), "U and static")
    _require(gates.shape == (T * R, 4 * H) and states.shape == ((T + 1) * R, H), "the gates, the states and static")
    _require(steps.shape in ((0, 3 * H), (T * examples, 3 * H)) and R % max(1, examples) == 0, "the steps and static")
    samples = R // max(1, examples)
    some = max(1, min(parts(examples, 2 if COPIES else BLOCKS), MOST_ROWS // max(1, samples)))
    pieces, integers = parts(examples, some), (some, samples, T, int(is_reversed))
    jobs.share_pieces(at_hand(), job.at(static.dtype), pieces, arrays, integers)


# ---------------------------------------------------------------------------------------------------------------------
# Gaussians: eps and z (R, S, D) have S rows for each of mu's (R, D)
# ---------------------------------------------------------------------------------------------------------------------


def gaussian_sample(mu, logvar, eps, sigma, z):
    fits = mu.shape == logvar.shape == sigma.shape == eps.shape[::2] and z.shape == eps.shape
    _require(fits, "mu, logvar, eps, sigma and z")
    kernels.gaussian_sample(mu, logvar, eps, sigma, z)


def gaussian_sample_gradient(dz, eps, sigma, dmu, dlogvar):
    fits = sigma.shape == dmu.shape == dlogvar.shape == eps.shape[::2] and dz.shape == eps.shape
    _require(fits, "dz, eps, sigma, dmu and dlogvar")
    kernels.gaussian_sample_gradient(dz, eps, sigma, dmu, dlogvar)


def gaussian_log_posterior(logvar, eps, logq):
    _require(logvar.shape == eps.shape[::2] and logq.shape == eps.shape[:2], "logvar, eps and logq")
    kernels.gaussian_log_posterior(logvar, eps, logq)


def gaussian_log_posterior_gradient(dpath, ddirect, eps, sigma, dmu, dlogvar):
    fits = sigma.shape == dmu.shape == dlogvar.shape == eps.shape[::2] and dpath.shape == ddirect.shape == eps.shape[:2]
    _require(fits, "dpath, ddirect, eps, sigma, dmu and dlogvar")
    kernels.gaussian_log_posterior_gradient(dpath, ddirect, eps, sigma, dmu, dlogvar)


def standard_normal_log_density(z, logp):
    _require(logp.shape == z.shape[:2], "z and logp")
    kernels.standard_normal_log_density(z, logp)


def gaussian_log_density(z, mu, logvar, logp):
    _require(mu.shape == logvar.shape == z.shape[::2] and logp.shape == z.shape[:2], "z, mu, logvar and logp")
    kernels.gaussian_log_density(z, mu, logvar, logp)


def gaussian_log_density_gradient(dlogp, z, mu, logvar, dz, dmu, dlogvar):
    fits = mu.shape == logvar.shape == dmu.shape == dlogvar.shape == z.shape[::2]
    _require(fits and dz.shape == z.shape and dlogp.shape == z.shape[:2], "dlogp, z, mu, logvar, dz, dmu and dlogvar")
    kernels.gaussian_log_density_gradient(dlogp, z, mu, logvar, dz, dmu, dlogvar)


def component_log_densities(z, mu, logvar, logp):
    fits = mu.shape == logvar.shape and z.shape[1] == mu.shape[1] and logp.shape == (len(z), len(mu))
    _require(fits, "z, mu, logvar and logp")
    kernels.component_log_densities(z, mu, logvar, logp)


def component_log_densities_gradient(dlogp, z, mu, logvar, dz, dmu, dlogvar):
    fits = mu.shape == logvar.shape == dmu.shape == dlogvar.shape and z.shape == dz.shape
    fits = fits and z.shape[1] == mu.shape[1] and dlogp.shape == (len(z), len(mu))
    _require(fits, "dlogp, z, mu, logvar, dz, dmu and dlogvar")
    kernels.component_log_densities_gradient(dlogp, z, mu, logvar, dz, dmu, dlogvar)


# ---------------------------------------------------------------------------------------------------------------------
# Likelihoods and noise
# ---------------------------------------------------------------------------------------------------------------------


def by_rows(job, rows, arrays, integers=(0,)):
    """Have a job done on all rows (R, D), which are one of its arrays, some in a piece."""
    pieces = parts(len(rows), jobs.height_of.py_func(rows))
    jobs.share_pieces(at_hand(), job.at(rows.dtype), pieces, arrays, integers)


def _are_rows(x, outputs, logp):
    """Whether these are data (N, D), what a network puts out for K samples of each (N K, J), and densities (N, K)."""
    return x.ndim == outputs.ndim == logp.ndim == 2 and len(x) == len(logp) and len(outputs) == logp.size


def bernoulli_log_prob(x, logits, logp):
    _require(_are_rows(x, logits, logp) and logits.shape[1] == x.shape[1], "x, logits and logp")
    by_rows(jobs.BERNOULLI, logits, (x, logits, logp))


def bernoulli_of_layers(x, z, Ws, bs, logp, activation):
    _require_known(activation)
    _require(_are_rows(x, z, logp), "x, z and logp")
    job = jobs.BERNOULLI_OF_LAYERS.at(z.dtype)
    jobs.bernoulli_of_layers(at_hand(), job, x, z, Ws, bs, logp, activation)


def gaussian_log_prob(x, outputs, squash, floor, logp):
    _require(_are_rows(x, outputs, logp) and outputs.shape[1] == 2 * x.shape[1], "x, outputs and logp")
    by_rows(jobs.GAUSSIAN, outputs, (x, outputs, logp, np.full(1, floor, x.dtype)), (int(squash),))


def logistic_log_prob(x, outputs, components, logp):
    numbers = 2 if components == 1 else 3 * components
    fits = _are_rows(x, outputs, logp) and outputs.shape[1] >= numbers * x.shape[1]
    _require(fits and outputs.shape[1] % x.shape[1] == 0, "x, outputs and logp")
    by_rows(jobs.LOGISTIC, outputs, (x, outputs, logp), (components,))


def categorical_log_prob(x, logits, alike, logp):
    _require(_are_rows(x, logits, logp) and logits.shape[1] == x.shape[1], "x, logits and logp")
    _require(alike.shape == (len(alike), len(alike)) and len(alike) > 0 == x.shape[1] % len(alike), "alike and x")
    by_rows(jobs.CATEGORICAL, logits, (x, logits, alike, logp))


def scale_rows(weights, rows):
    _require(rows.ndim == 2 and weights.shape == rows.shape[:1], "the weights and the rows")
    by_rows(jobs.SCALE_ROWS, rows, (weights, rows))


def sigmoid(logits, out):
    _require(logits.shape == out.shape, "the logits and out")
    kernels.sigmoid(logits, out)


def normal(out, place):
    _require(out.ndim == 2 and len(place) == 6, "out and its place")
    by_rows(jobs.NORMAL, out, (out,), place)


def binary(probabilities, out, place):
    fits = probabilities.shape == out.shape and out.ndim == 2 and len(place) == 6
    _require(fits, "the probabilities, out and its place")
    by_rows(jobs.BINARY, out, (probabilities, out), place)


def _require(fits, what):
    if not fits:
        raise ValueError(f"the shapes of {what} do not fit")


# ---------------------------------------------------------------------------------------------------------------------
# Optimisers
# ---------------------------------------------------------------------------------------------------------------------


def cuts_of(shapes):
    """Where a flat vector of arrays of these shapes is cut for its update: the upper rows of all arrays, the next, ...

    Each thread then updates the weights whose gradients it has worked out, as its core has them at hand.

    Returns: (n, 2) int64, where each slice begins and ends, the same number of them for each part.
    """
    cuts = []
    for part in range(BLOCKS):
        end = 0
        for shape in shapes:
            start, rows, width = end, shape[0] if shape else 1, int(np.prod(shape[1:]))
            end += rows * width
            cuts.append([start + rows * i // BLOCKS * width for i in (part, part + 1)])
    return np.array(cuts, np.int64)


def _update(job, states, numbers, theta, g, *state_and_options, cuts):
    *state, options = state_and_options
    are_vectors = theta.ndim == 1 and all(array.shape == theta.shape for array in (g, *state))
    _require(are_vectors, "the parameters, the gradient and the state")
    _require(len(state) == states and len(options) == numbers, "the optimiser, its state and its options")
    sums, options = np.empty(len(cuts), theta.dtype), np.array(options, theta.dtype)
    # where there is but one array of state it stands in both places
    jobs.update(at_hand(), job.at(theta.dtype), theta, g, state[0], state[-1], options, cuts, sums)
    return sums.sum(dtype=np.float64)


# for so many arrays of state, and so many options
sgd_update = partial(_update, jobs.SGD, 1, 2)
adagrad_update = partial(_update, jobs.ADAGRAD, 1, 2)
adam_update = partial(_update, jobs.ADAM, 2, 4)


# ---------------------------------------------------------------------------------------------------------------------
# Threads, the wait for the compiler, and what does the products
# ---------------------------------------------------------------------------------------------------------------------

if hasattr(os, "register_at_fork"):  # a process that is forked while another thread compiles would wait for it for ever
    os.register_at_fork(
        before=global_compiler_lock.acquire,
        after_in_parent=global_compiler_lock.release,
        after_in_child=global_compiler_lock.release,
    )


def crew(size=None):
    """Threads that share the work in a block, ``with machine.crew(4): ...``; by default one for each available core.

    Within the block of a crew it is that crew, whatever the size: the outermost block decides.

    Raises: ValueError for a size that is no number of threads.
    """
    size = available_cores() if size is None else size
    require_threads(size)
    return current() or Crew(size)


class _Listener(event.Listener):
    """Numba's news of what is compiled, for the watcher of the day."""

    watcher, count, depth = None, 0, 0

    def on_start(self, _event):
        self.count, self.depth = self.count + 1, self.depth + 1
        if self.watcher is not None:
            self.watcher.begin(self.count)

    def on_end(self, _event):
        self.depth -= 1
        if self.watcher is not None and self.depth == 0:
            self.watcher.end()


_listener = _Listener()
event.register("numba:compile", _listener)


def watch_compilation(watcher):
    """Tell a watcher of what is compiled, which takes seconds, and happens once as the code is kept.

    Args:
        watcher: its ``begin(count)`` is called when a function begins to be compiled, with the number of those that
            have begun so far, and ``end()`` when what was asked for is there; or None.
    """
    _listener.watcher, _listener.count = watcher, 0


def compile_ahead(also=""):
    """If no code is kept yet, or none of what is wanted too, "convolution" or "recurrence", and there is a core to
    spare, let another process compile and keep what is needed later (precompile.py), while this one begins.
    """
    if folder() is None or any(folder().glob(f"{also}*")) or available_cores() == 1:
        return
    main = f"precompile.main({also!r})"
    program = f"import sys; sys.path[:] = {sys.path}; from tinyvae.machine import precompile; {main}"
    try:
        helper = subprocess.Popen([sys.executable, "-c", program], stdin=DEVNULL, stdout=DEVNULL, stderr=DEVNULL)
    except OSError:
        return
    atexit.register(helper.kill)


blas_kernels, blas_description = blas.kernel_set, blas.description
