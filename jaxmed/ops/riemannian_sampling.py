"""Markov chains in a space with a learned metric: along geodesics, and from the inverse volume element.

All chains of a batch run side by side. Draws of a chain depend on the key and its place in the batch.

Reference: Chadebec and Allassonniere, Data Augmentation with Variational Autoencoders and Manifold Sampling,
section 4.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from jaxmed.ops import riemannian
from jaxmed.ops.riemannian import Metric


class Chains(NamedTuple):
    """Where chains ended.

    Attributes:
        z: (chains, dim), the last points.
        acceptance: (chains,), the share of proposals taken.
    """

    z: Float[Array, "chains dim"]
    acceptance: Float[Array, " chains"]


def draw_wrapped_normal(
    key: Key[Array, ""],
    metric: Metric,
    z: Float[Array, "batch dim"],
    *,
    variance: float,
    num_steps: int = 10,
) -> Float[Array, "batch dim"]:
    """Draws from the wrapped normal distribution: Exp_z(v) with v from N(0, variance I) in the tangent space.

    Args:
        key: of the draws.
        metric: of the space.
        z: (batch, dim), a centre for each draw.
        variance: of every component of the velocity.
        num_steps: see `riemannian.shoot`.
    """
    velocity = jnp.sqrt(variance) * jax.random.normal(key, z.shape, z.dtype)
    return riemannian.exponential_map(metric, z, velocity, num_steps=num_steps)


def walk(
    key: Key[Array, ""],
    metric: Metric,
    start: Float[Array, "chains dim"],
    *,
    num_moves: int,
    variance: float = 0.5,
    num_steps: int = 10,
) -> Chains:
    """Riemannian random walk (algorithm 1): geodesic proposals, taken with the ratio of the inverse volumes.

    alpha = min(1, sqrt(det G^-1(z')) / sqrt(det G^-1(z))). A proposal that is not finite is refused. The walk
    leaves the inverse volume element nearly invariant for small variances only (remark 1): the density of the
    proposal is not symmetric.

    Args:
        key: of the draws.
        metric: of the space.
        start: (chains, dim).
        num_moves: proposals per chain.
        variance: of the velocities.
        num_steps: of a geodesic.
    """

    def move(state, key):
        z, log_volume = state
        key_proposal, key_uniform = jax.random.split(key)
        proposal = draw_wrapped_normal(key_proposal, metric, z, variance=variance, num_steps=num_steps)
        proposed = riemannian.log_volume(metric, proposal)
        return _accept(key_uniform, z, proposal, log_volume, proposed, log_volume - proposed)

    return _run(key, (start, riemannian.log_volume(metric, start)), move, num_moves)


def sample_inverse_volume(
    key: Key[Array, ""],
    metric: Metric,
    start: Float[Array, "chains dim"],
    *,
    num_moves: int,
    num_leapfrog: int = 15,
    step_size: float = 0.05,
) -> Chains:
    """Hamiltonian Monte Carlo on the density proportional to sqrt(det G^-1(z)) (equation 3).

    Momenta are standard normal; the gradient is that of log det G^-1 / 2. The density has no finite integral
    on the whole space, as it never falls below lambda^(dim / 2): chains that are run long enough leave the
    centroids where they start.

    Args:
        key: of the draws.
        metric: of the space.
        start: (chains, dim).
        num_moves: proposals per chain.
        num_leapfrog: steps of a proposal.
        step_size: of the leapfrog.

    Reference: equation 3. differs: the released code's gradient multiplies by the matrices instead of taking
    the trace with them, and its proposals are poor.
    """

    def energy_and_slope(z):
        values, pull_back = jax.vjp(lambda z: riemannian.log_volume(metric, z), z)
        return values, pull_back(jnp.ones_like(values))[0]

    def move(state, key):
        z, log_volume = state
        key_momentum, key_uniform = jax.random.split(key)
        momentum = jax.random.normal(key_momentum, z.shape, z.dtype)
        proposal, final = leapfrog(lambda z: energy_and_slope(z)[1], z, momentum, num_leapfrog, step_size)
        proposed = riemannian.log_volume(metric, proposal)
        change = log_volume - proposed + (jnp.square(momentum) - jnp.square(final)).sum(axis=-1) / 2
        return _accept(key_uniform, z, proposal, log_volume, proposed, change)

    return _run(key, (start, riemannian.log_volume(metric, start)), move, num_moves)


def leapfrog(slope, z: Array, momentum: Array, num_steps: int, step_size: float) -> tuple[Array, Array]:
    """Störmer-Verlet steps for the energy U(z) + |p|^2 / 2; reversible and of second order.

    Args:
        slope: `z -> dU/dz`.
        z: positions.
        momentum: of the same shape.
        num_steps: how many.
        step_size: their length.

    Returns:
        Positions and momenta at the end.
    """

    def advance(_, state):
        z, momentum = state
        z = z + step_size * momentum
        return z, momentum - step_size * slope(z)

    momentum = momentum - step_size / 2 * slope(z)
    z, momentum = jax.lax.fori_loop(0, num_steps, advance, (z, momentum))
    return z, momentum + step_size / 2 * slope(z)


def implicit_leapfrog(
    energy: Callable[[Array, Array], Array],
    z: Float[Array, "batch dim"],
    momentum: Float[Array, "batch dim"],
    *,
    step_size: float,
    num_iterations: int = 3,
) -> tuple[Float[Array, "batch dim"], Float[Array, "batch dim"]]:
    """One generalised leapfrog step for an energy H(z, p) that does not split into a sum.

    p' = p - h/2 dH/dz(z, p'), z' = z + h/2 (dH/dp(z, p') + dH/dp(z', p')), p'' = p' - h/2 dH/dz(z', p'); the
    two implicit equations are solved by fixed-point iteration. Of second order; reversible and
    volume-preserving as far as the iterations converge.

    Args:
        energy: `(z, p) -> (batch,)`, example by example.
        z: positions.
        momentum: p.
        step_size: h.
        num_iterations: of the fixed-point iterations.

    Reference: Girolami and Calderhead, Riemann Manifold Langevin and Hamiltonian Monte Carlo Methods,
    equations 16 to 18.
    """
    by_z = jax.grad(lambda z, p: energy(z, p).sum())
    by_momentum = jax.grad(lambda z, p: energy(z, p).sum(), argnums=1)

    def iterate(update, x):
        # A scan can be differentiated, and is compiled once however often it turns.
        return jax.lax.scan(lambda x, _: (update(x), None), x, length=num_iterations)[0]

    half = iterate(lambda half: momentum - step_size / 2 * by_z(z, half), momentum)
    first = by_momentum(z, half)
    moved = iterate(lambda moved: z + step_size / 2 * (first + by_momentum(moved, half)), z)
    return moved, half - step_size / 2 * by_z(moved, half)


def _accept(key, z, proposal, value, proposed, log_ratio):
    """Metropolis' rule for every chain; NaN is refused."""
    uniform = jax.random.uniform(key, log_ratio.shape, log_ratio.dtype)
    accepted = jnp.isfinite(log_ratio) & (jnp.log(uniform) < log_ratio)
    z = jnp.where(accepted[:, None], proposal, z)
    return (z, jnp.where(accepted, proposed, value)), accepted


def _run(key, state, move, num_moves: int) -> Chains:
    (z, _), accepted = jax.lax.scan(move, state, jax.random.split(key, num_moves))
    return Chains(z, accepted.mean(axis=0))
