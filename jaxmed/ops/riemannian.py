"""A Riemannian metric learned from data, its geodesics and its volume.

The inverse metric is a sum of positive semi-definite matrices that fade with the distance from their
centroids, above a floor: G^-1(z) = sum_i M_i exp(-|z - c_i|^2 / T^2) + lambda I, M_i = L_i L_i^T. Far from
all centroids it is lambda I, so that the volume element sqrt(det G) is small near the data and large
elsewhere. Volumes are handled as logarithms: in ten dimensions sqrt(det G^-1) itself falls to 1e-15.

Reference: Chadebec and Allassonniere, Data Augmentation with Variational Autoencoders and Manifold Sampling,
sections 3 and 4; the metric is equation 10 of their Geometry-Aware Hamiltonian Variational Auto-Encoder.
"""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


class Metric(NamedTuple):
    """The parameters of the inverse metric.

    Attributes:
        centroids: (centroids, dim), c_i.
        matrices: (centroids, dim, dim), M_i, symmetric and positive semi-definite.
        temperature: T, how far a centroid reaches.
        floor: lambda, the inverse metric far from all centroids.
    """

    centroids: Float[Array, "centroids dim"]
    matrices: Float[Array, "centroids dim dim"]
    temperature: Float[Array, ""] | float
    floor: Float[Array, ""] | float


def squared_factors(
    log_diagonal: Float[Array, "count dim"], off_diagonal: Float[Array, "count pairs"]
) -> Float[Array, "count dim dim"]:
    """M = L L^T from the entries of lower-triangular L: always symmetric, positive definite but for rounding.

    Args:
        log_diagonal: (count, dim), logarithms of the diagonal.
        off_diagonal: (count, dim (dim - 1) / 2), the entries below it, row by row.

    Raises:
        ValueError: if the number of entries does not fit the dimension.
    """
    dim = log_diagonal.shape[-1]
    if off_diagonal.shape[-1] != dim * (dim - 1) // 2:
        raise ValueError(f"{off_diagonal.shape[-1]} entries below a diagonal of {dim}")
    rows, columns = jnp.tril_indices(dim, -1)
    lower = jax.vmap(jnp.diag)(jnp.exp(log_diagonal)).at[:, rows, columns].set(off_diagonal)
    return jnp.einsum("nij,nkj->nik", lower, lower)


def inverse_metric(metric: Metric, z: Float[Array, "batch dim"]) -> Float[Array, "batch dim dim"]:
    """G^-1 at the points z (batch, dim)."""
    dim = z.shape[-1]
    weights = jnp.exp(-_squared_distances(z, metric.centroids) / metric.temperature**2)
    summed = weights @ metric.matrices.reshape(len(metric.matrices), dim * dim)
    floor = metric.floor * jnp.eye(dim, dtype=z.dtype)
    return summed.reshape(-1, dim, dim) + floor[None]


def _squared_distances(z: Array, centroids: Array) -> Array:
    """(batch, centroids), from the differences: squares expanded would cancel in float32."""
    return jnp.square(z[:, None, :] - centroids[None, :, :]).sum(axis=-1)


@jax.custom_jvp
def log_determinant(matrices: Float[Array, "batch dim dim"]) -> Float[Array, " batch"]:
    """Logarithm of the determinant of symmetric positive definite matrices; its derivative is tr(A^-1 dA)."""
    return 2 * jnp.log(jnp.diagonal(jnp.linalg.cholesky(matrices), axis1=-2, axis2=-1)).sum(axis=-1)


@log_determinant.defjvp
def _log_determinant_jvp(primals, tangents):
    # The derivative of the factorisation itself costs several triangular solves per matrix, and more when
    # differentiated again.
    (matrices,), (tangent,) = primals, tangents
    return log_determinant(matrices), (jnp.linalg.inv(matrices) * tangent).sum(axis=(-2, -1))


def log_volume(metric: Metric, z: Float[Array, "batch dim"]) -> Float[Array, " batch"]:
    """Log sqrt(det G(z)) = -log det G^-1(z) / 2, at most dim / 2 log(1 / lambda)."""
    return -log_determinant(inverse_metric(metric, z)) / 2


def apply_metric(metric: Metric, z: Float[Array, "batch dim"], velocity: Float[Array, "batch dim"]) -> Array:
    """The momentum G(z) v of a velocity, (batch, dim)."""
    return jnp.linalg.solve(inverse_metric(metric, z), velocity[..., None])[..., 0]


def kinetic_energy(
    metric: Metric, z: Float[Array, "batch dim"], momentum: Float[Array, "batch dim"]
) -> Float[Array, " batch"]:
    """H = p^T G^-1(z) p / 2, constant along geodesics."""
    # As matrix products the products of small matrices would be one call per example; as sums they are not.
    outer = momentum[:, :, None] * momentum[:, None, :]
    return (inverse_metric(metric, z) * outer).sum(axis=(-2, -1)) / 2


def shoot(
    metric: Metric,
    z: Float[Array, "batch dim"],
    velocity: Float[Array, "batch dim"],
    *,
    num_steps: int = 10,
    duration: float = 1.0,
) -> tuple[Float[Array, "times batch dim"], Float[Array, "times batch dim"]]:
    """Follows geodesics: Hamilton's equations z' = G^-1 p, p' = -dH/dz, by Heun's second-order method.

    Args:
        metric: of the space.
        z: where they start.
        velocity: with which they start; the momentum is G(z) v.
        num_steps: of equal length; the energy's error falls with the square of their number.
        duration: the time at which they end; negative ones go backwards.

    Returns:
        Positions and momenta at num_steps + 1 times, the first those of the start.

    Reference: Chadebec and Allassonniere, appendix C. differs: their released code has the opposite sign of
    dH/dz, with which the energy is not conserved at any number of steps.
    """
    step = duration / num_steps

    def slope(z, momentum):
        by_z, by_momentum = jax.grad(lambda *state: kinetic_energy(metric, *state).sum(), argnums=(0, 1))(
            z, momentum
        )
        return by_momentum, -by_z

    def advance(state, _):
        first = slope(*state)
        middle = jax.tree.map(lambda x, dx: x + step * dx, state, first)
        second = slope(*middle)
        state = jax.tree.map(lambda x, a, b: x + step * (a + b) / 2, state, first, second)
        return state, state

    start = (z, apply_metric(metric, z, velocity))
    _, path = jax.lax.scan(advance, start, length=num_steps)
    positions, momenta = jax.tree.map(lambda first, rest: jnp.concatenate([first[None], rest]), start, path)
    return positions, momenta


def exponential_map(
    metric: Metric, z: Float[Array, "batch dim"], velocity: Float[Array, "batch dim"], *, num_steps: int = 10
) -> Float[Array, "batch dim"]:
    """Exp_z(v): where the geodesic from z with velocity v is at time 1; see `shoot`."""
    return shoot(metric, z, velocity, num_steps=num_steps)[0][-1]


def far_log_volume(dim: int, floor: float) -> float:
    """Log sqrt(det G) far from all centroids, its largest value."""
    return -dim / 2 * math.log(floor)
