"""log p(x) by annealed importance sampling (Neal 2001), with Hamiltonian Monte Carlo on the decoder's own gradients.

The bound of K samples from q(z | x) lies below log p(x), and far below where q misses much of the posterior p(z | x):
however large K is, what q never proposes is never counted. Annealing does not use q. It goes from the prior, which can
be sampled, to the posterior in T small steps (Wu et al. 2017), through

    f_t(z) = p(z | y) p(x | z, y)^{b_t}        0 = b_0 < b_1 < ... < b_T = 1

A chain starts with z_0 ~ p(z | y), and goes from z_{t-1} to z_t by any step that leaves f_t as it is. Its weight is

    log w = sum_{t=1}^T (b_t - b_{t-1}) log p(x | z_{t-1}, y)        and E[w] = p(x | y)

for f_0 is normalised, the integral of f_T is p(x | y), and each factor of w is the ratio f_t / f_{t-1} at a point where
the chain was. So log (1/K) sum_k w_k of K chains is again a lower bound in expectation, and the closer to log p(x) the
smaller the steps are. With T = 1 it is importance sampling from the prior.

**The step** is one of Hamiltonian Monte Carlo (Duane et al. 1987; Neal 2011). z is a place, v ~ N(0, 1) a velocity, and
-log f_t(z) + v²/2 an energy. Motion along the gradient would keep the energy; in leaps of finite length e it nearly
does,

    v <- v + (e/2) d log f_t / dz        z <- z + e v        v <- v + (e/2) d log f_t / dz

and since a series of leaps can be gone back by turning v round, and keeps volumes, it is enough to accept its end with
the probability min(1, exp(energy before - energy after)): f_t stays as it is, however large e. Where leaps always have
one length a chain may come round to where it began, so every series has a length of its own, drawn at random. The
gradient is what the model's backward pass gives for the log likelihood with the weight b_t and the log prior with 1.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from tinyvae.derivation import gaussian
from tinyvae.derivation.model import Model
from tinyvae.derivation.parameters import Parameters
from tinyvae.derivation.shapes import require_count
from tinyvae.types import Array, Arrays, Labels

STEEPNESS = 4.0  # of the schedule, a sigmoid from -4 to 4: finer at its ends than in its middle (Wu et al. 2017)
LEAPS = 10  # in a step
SPREAD = 0.2  # of their lengths: each is up to this share shorter or longer (Neal 2011, section 3.2)
FASTER = 1.1  # the factor by which leaps become longer, while their length is sought, where all are accepted

# From z, [(R, D_l) for each layer], to log p(x | z) (N, K), log f (N, K) and the derivative of log f by z.
Density = Callable[[Arrays], tuple[Array, Array, Arrays]]


class Annealed(NamedTuple):
    """What the chains leave.

    Attributes:
        logw: (N, K) float64, in nats.
        lengths: (T - 1, N), of the leaps in each step.
        accepted: (T - 1, N), the share of the chains whose step was accepted.
    """

    logw: Array
    lengths: Array
    accepted: Array


def schedule(T: int) -> Array:
    """b_0 ... b_T, (T + 1,) float64: a sigmoid from -STEEPNESS to STEEPNESS, from 0 to 1.

    The ends are fine: at 0 the likelihood comes in, and the chains must find it; at 1 it is sharp.

    Raises: ValueError for a T below 1.
    """
    require_count("T", T)
    s = 1 / (1 + np.exp(-STEEPNESS * np.linspace(-1, 1, T + 1)))
    return (s - s[0]) / (s[-1] - s[0])


def start(model: Model, params: Parameters, eps: Arrays, u: Array, y: Labels | None = None) -> Arrays:
    """z_0 ~ p(z | y), in all layers.

    Args:
        model, params: Model and Parameters.
        eps: [(R, 1, D_l) for each layer], standard normal noise.
        u: (R,) uniform numbers, that choose the component of a prior which is a mixture.
        y: (R,) labels, of a conditional model.

    Returns: z, [(R, D_l) for each layer].
    """
    z = [model.sample_prior(params, eps[-1][:, 0], u, y)]
    for l in reversed(range(len(eps) - 1)):
        z.insert(0, gaussian.sample(*model.conditional(params, z[0], l, y), eps[l])[0][:, 0])
    return z


def leapfrog(z: Arrays, v: Arrays, dz: Arrays, length: Array, density: Density) -> tuple[Arrays, Arrays, Array]:
    """A series of ``LEAPS`` leaps.

    Args:
        z, v: places and velocities, [(R, D_l) for each layer].
        dz: the derivative at z.
        length: (R, 1) e.
        density: of f.

    Returns: z and v at the end, and log f (N, K) there.
    """
    logf: Array = np.empty(0)
    for leap in range(LEAPS):
        v = [v_l + (0.5 if leap == 0 else 1.0) * length * dz_l for v_l, dz_l in zip(v, dz)]
        z = [z_l + length * v_l for z_l, v_l in zip(z, v)]
        _, logf, dz = density(z)
    return z, [v_l + 0.5 * length * dz_l for v_l, dz_l in zip(v, dz)], logf


def step(
    z: Arrays, v: Arrays, u: Array, length: Array, logf: Array, dz: Arrays, density: Density
) -> tuple[Arrays, np.ndarray]:
    """A step that leaves f as it is.

    Args:
        z: places, [(R, D_l) for each layer].
        v: velocities, standard normal, as z.
        u: (N, K, 2) uniform numbers: what decides, and for the lengths.
        length: (N,) of the leaps of each example's chains, in the middle.
        logf, dz: the density (N, K) at z, and its derivative.
        density: as for ``leapfrog``.

    Returns: z after it, and whether it was accepted: (N, K).
    """
    lengths = (length[:, None] * (1 + SPREAD * (2 * u[..., 1] - 1))).reshape(-1, 1).astype(z[0].dtype)
    z_end, v_end, logf_end = leapfrog(z, v, dz, lengths, density)
    gain = (logf_end - _kinetic(v_end, logf.shape)) - (logf - _kinetic(v, logf.shape))
    # 1 - u is never 0; where a leap went to infinity the gain is no number, and no number is below it: refused
    accepted = np.log1p(-u[..., 0]) < gain
    return [np.where(accepted.reshape(-1, 1), end, old) for end, old in zip(z_end, z)], accepted


def _kinetic(v: Arrays, shape: tuple[int, ...]) -> Array:
    """v²/2, the sum over all dimensions and layers: (N, K)."""
    return sum(0.5 * np.square(v_l, dtype=np.float64).sum(axis=1) for v_l in v).reshape(shape)


@dataclass(frozen=True)
class Tempered:
    """f = p(z | y) p(x | z, y)^beta of some examples: a ``Density``.

    Attributes:
        model, params: Model and Parameters.
        x: (N, D) data.
        y: (N,) labels, of a conditional model.
        beta: the power.
        unused: Parameters that the backward pass may write the gradient by the weights into.
    """

    model: Model
    params: Parameters
    x: Array
    y: Labels | None
    beta: float
    unused: Parameters

    def __call__(self, z: Arrays) -> tuple[Array, Array, Arrays]:
        """log p(x | z) and log f, (N, K) each, and the derivative of log f by z."""
        log_likelihood, log_prior, cache = self.model.joint(self.params, self.x, z, self.y)
        weights = np.full_like(log_likelihood, self.beta), np.ones_like(log_prior)
        dz = self.model.joint_backward(*weights, cache, self.unused, consume=True)
        log_likelihood = log_likelihood.astype(np.float64)
        return log_likelihood, self.beta * log_likelihood + log_prior, dz


def anneal(
    model: Model,
    params: Parameters,
    x: Array,
    y: Labels | None,
    T: int,
    z: Arrays,
    noise: Callable[[int], tuple[Arrays, Array]],
    lengths: Array | float,
) -> Annealed:
    """The weights of K chains for each example.

    Args:
        model, params: Model and Parameters.
        x: (N, D) data, in the dtype of the parameters.
        y: (N,) labels, of a conditional model.
        T: the number of ratios in a weight.
        z: from ``start``, [(N K, D_l) for each layer].
        noise: from t = 1 ... T - 1 to standard normal v as z, and uniform u (N, K, 2).
        lengths: (T - 1, N) of the leaps; or one number, to begin with: then they are sought, longer after a step that
            all of an example's chains have accepted, and as much shorter after another. So they come to where the one
            is as frequent as the other: where a chain accepts the share p of its steps with p^K = 1/2, for K = 4
            p = 0.84. Lengths that depend on the chains themselves make E[w] inexact: those which are found are for
            other chains.

    Raises: ValueError for a T below 1.
    """
    is_sought, betas = np.ndim(lengths) == 0, schedule(T)
    logw = np.zeros((len(x), len(z[0]) // len(x)))
    used, shares = np.full((T - 1, len(x)), lengths, float), np.empty((T - 1, len(x)))
    unused = params.with_flat(np.empty_like(params.flat))
    for t in range(1, T + 1):
        density = Tempered(model, params, x, y, betas[t], unused)
        log_likelihood, logf, dz = density(z)
        logw += (betas[t] - betas[t - 1]) * log_likelihood
        if t == T:
            break  # where the chain goes from here is not asked
        v, u = noise(t)
        z, accepted = step(z, v, u, used[t - 1], logf, dz, density)
        shares[t - 1] = accepted.mean(axis=1)
        if is_sought and t < T - 1:
            used[t] = used[t - 1] * np.where(accepted.all(axis=1), FASTER, 1 / FASTER)
    return Annealed(logw, used, shares)
