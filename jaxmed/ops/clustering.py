"""k-means on the devices: k-means++ starts and Lloyd's iterations, rows split over the mesh axis data.

Every device walks through its rows in chunks, so that no more than (chunk, clusters) distances exist at a
time, and only sums over clusters travel. Sums are products with indicator matrices, not scatters: faster
everywhere and, on GPUs, the same in every run.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array, Float, Key

from jaxmed.types import DATA_AXIS, Leaf

_CHUNK = 2048
_ROWS, _WHOLE = PartitionSpec(DATA_AXIS), PartitionSpec()


class KMeans(NamedTuple):
    """A clustering.

    Attributes:
        centres: (clusters, features), in the order of the start.
        assignments: (points,) the nearest centre of each point, int32.
        inertia: sum of the squared distances to them.
        num_iterations: how many times the centres were moved.
    """

    centres: np.ndarray
    assignments: np.ndarray
    inertia: float
    num_iterations: int


def kmeans(
    points: Float[Leaf, "points features"],
    start: Float[Leaf, "clusters features"],
    *,
    num_iterations: int = 20,
    mesh: Mesh | None = None,
    chunk: int = _CHUNK,
) -> KMeans:
    """Clusters points by Lloyd's algorithm from given centres.

    An iteration assigns each point to its nearest centre (the first of equally near ones) and moves each
    centre to the mean of its points. Clusters that have none take the points farthest from their centres, one
    each and out of their old clusters, as scikit-learn does. It ends when no assignment changes, or after
    `num_iterations`; then the points are assigned once more.

    Args:
        points: finite, in float32; on the host, read in full.
        start: initial centres, such as from `kmeans_plus_plus`.
        num_iterations: at most, 1 or more.
        mesh: devices, with the axis data; the first local one by default.
        chunk: rows whose distances exist at a time on each device.

    Returns:
        The clustering, on the host.

    Raises:
        ValueError: fewer points than clusters, or features that differ.

    Reference: Lloyd, Least squares quantization in PCM, 1982.
    """
    points, start = np.asarray(points, np.float32), np.asarray(start, np.float32)
    if len(points) < len(start) or points.shape[1:] != start.shape[1:]:
        raise ValueError(
            f"points: {points.shape} for a start of {start.shape}; wanted as many points or more"
        )
    mesh = mesh or _single_device()
    rows, weights = _put_rows(points, mesh, chunk)
    centres, assignments, inertia, count = _lloyd(mesh, min(chunk, len(points)), num_iterations)(
        rows, weights, jnp.asarray(start)
    )
    found = _fetch(assignments, mesh)[: len(points)]
    return KMeans(np.asarray(centres), found, float(inertia), int(count))


def kmeans_plus_plus(
    key: Key[Array, ""],
    points: Float[Leaf, "points features"],
    num_clusters: int,
    *,
    mesh: Mesh | None = None,
) -> Float[np.ndarray, "clusters features"]:
    """Draws initial centres among the points, each with probability proportional to its squared distance.

    The distance is to the nearest centre drawn so far; the first centre is any point. Points are drawn by
    Gumbel noise of their own, so that any number of devices draws the same ones.

    Args:
        key: of the draw.
        points: finite, in float32.
        num_clusters: how many, at most as many as points.
        mesh: as in `kmeans`.

    Returns:
        The centres, on the host. Where all points coincide with centres, further ones repeat points.

    Raises:
        ValueError: fewer points than clusters.

    Reference: Arthur and Vassilvitskii, k-means++: the advantages of careful seeding, 2007; the plain form,
    one candidate a round (scikit-learn takes the best of several).
    """
    points = np.asarray(points, np.float32)
    if not 1 <= num_clusters <= len(points):
        raise ValueError(f"num_clusters: {num_clusters} for {len(points)} points; wanted 1 to as many")
    mesh = mesh or _single_device()
    rows, weights = _put_rows(points, mesh, 1)
    return np.asarray(_plus_plus(mesh, num_clusters)(key, rows, weights))


def find_clusters(
    key: Key[Array, ""],
    points: Float[Leaf, "points features"],
    num_clusters: int,
    *,
    num_iterations: int = 20,
    mesh: Mesh | None = None,
) -> KMeans:
    """`kmeans` from a start of `kmeans_plus_plus`, with their arguments and errors."""
    start = kmeans_plus_plus(key, points, num_clusters, mesh=mesh)
    return kmeans(points, start, num_iterations=num_iterations, mesh=mesh)


def unit_rows(points: Float[Array, "points features"]) -> Float[Array, "points features"]:
    """Rows scaled to length 1; rows of zeros stay."""
    norm = jnp.linalg.norm(points, axis=-1, keepdims=True)
    return points / jnp.where(norm > 0, norm, 1)


def _single_device() -> Mesh:
    device = np.array([jax.local_devices()[0]])
    return Mesh(device, (DATA_AXIS,), axis_types=(AxisType.Auto,))


def _put_rows(points: np.ndarray, mesh: Mesh, chunk: int) -> tuple[jax.Array, jax.Array]:
    """Splits the rows over the devices in whole chunks; rows of weight 0 fill up."""
    chunk = min(chunk, len(points))
    missing = -len(points) % (mesh.shape[DATA_AXIS] * chunk)
    weights = np.pad(np.ones(len(points), np.float32), (0, missing))
    filled = np.pad(points, ((0, missing), (0, 0)), mode="edge") if missing else points
    sharding = NamedSharding(mesh, _ROWS)
    rows, weights = (
        jax.make_array_from_callback(array.shape, sharding, array.__getitem__) for array in (filled, weights)
    )
    return rows, weights


def _fetch(array: jax.Array, mesh: Mesh) -> np.ndarray:
    """All rows; a process can read its own devices only."""
    if mesh.is_multi_process:
        array = jax.jit(lambda x: x, out_shardings=NamedSharding(mesh, _WHOLE))(array)
    return np.asarray(array)


def _squared_distances(points: jax.Array, centres: jax.Array) -> jax.Array:
    """(points, clusters) |c|^2 - 2 c x: squared distances less |x|^2, the same for all centres."""
    products = jnp.dot(points, centres.T, precision="highest")
    return jnp.square(centres).sum(1)[None] - 2 * products


class _Pass(NamedTuple):
    """What one walk through the rows of a device gives."""

    assignments: jax.Array
    distances: jax.Array
    sums: jax.Array
    counts: jax.Array


def _walk(rows: jax.Array, norms: jax.Array, weights: jax.Array, centres: jax.Array, chunk: int) -> _Pass:
    """Assigns the rows of this device, chunk by chunk, and sums them up by cluster."""
    num_clusters = len(centres)

    def visit(totals, inputs):
        points, norm, weight = inputs
        scores = _squared_distances(points, centres)
        nearest = jnp.argmin(scores, axis=1).astype(jnp.int32)
        distances = jnp.maximum(scores.min(axis=1) + norm, 0) * weight
        members = (nearest[:, None] == jnp.arange(num_clusters)[None]) * weight[:, None]
        sums = totals[0] + jnp.dot(members.T, points, precision="highest")
        return (sums, totals[1] + members.sum(0)), (nearest, distances)

    chunks = tuple(x.reshape(-1, chunk, *x.shape[1:]) for x in (rows, norms, weights))
    start = (jnp.zeros_like(centres), jnp.zeros(num_clusters, centres.dtype))
    (sums, counts), (assignments, distances) = lax.scan(visit, start, chunks)
    return _Pass(assignments.ravel(), distances.ravel(), sums, counts)


def _fill_empty(rows: jax.Array, found: _Pass, sums: jax.Array, counts: jax.Array):
    """Gives each empty cluster the farthest point that is left: sums and counts of all devices, corrected."""
    num_clusters = len(counts)
    num_candidates = min(num_clusters, len(rows))
    far, local = lax.top_k(found.distances, num_candidates)
    candidates = (far, rows[local], found.assignments[local])
    far, points, owners = (lax.all_gather(x, DATA_AXIS, tiled=True) for x in candidates)
    order = jnp.argsort(-far, stable=True)[:num_clusters]
    points, owners = points[order], owners[order]
    is_empty = counts == 0
    rank = jnp.cumsum(is_empty) - 1
    taken = (jnp.arange(len(order)) < is_empty.sum()).astype(sums.dtype)
    sums = sums.at[owners].add(-points * taken[:, None])
    counts = counts.at[owners].add(-taken)
    given = jnp.minimum(rank, len(order) - 1)
    sums = jnp.where(is_empty[:, None], points[given], sums)
    return sums, jnp.where(is_empty, 1.0, counts)


@functools.lru_cache(maxsize=16)
def _lloyd(mesh: Mesh, chunk: int, num_iterations: int):
    def run(rows, weights, start):
        def move(carry):
            centres, before, _, count = carry
            found = _walk(rows, norms, weights, centres, chunk)
            sums, counts = lax.psum((found.sums, found.counts), DATA_AXIS)
            sums, counts = lax.cond(
                jnp.any(counts == 0), lambda: _fill_empty(rows, found, sums, counts), lambda: (sums, counts)
            )
            # A cluster whose only point was given away stays where it is.
            new = jnp.where((counts > 0)[:, None], sums / jnp.maximum(counts, 1)[:, None], centres)
            changed = lax.psum(jnp.sum((found.assignments != before) * weights), DATA_AXIS)
            return new, found.assignments, changed, count + 1

        def goes_on(carry):
            return (carry[3] < num_iterations) & (carry[2] > 0)

        norms = jnp.square(rows).sum(1)
        nowhere = jnp.full(len(rows), -1, jnp.int32)
        carry = (start, nowhere, jnp.float32(1), jnp.int32(0))
        centres, _, _, count = lax.while_loop(goes_on, move, carry)
        last = _walk(rows, norms, weights, centres, chunk)
        return centres, last.assignments, lax.psum(last.distances.sum(), DATA_AXIS), count

    outputs = (_WHOLE, _ROWS, _WHOLE, _WHOLE)
    return jax.jit(
        jax.shard_map(run, mesh=mesh, in_specs=(_ROWS, _ROWS, _WHOLE), out_specs=outputs, check_vma=False)
    )


@functools.lru_cache(maxsize=16)
def _plus_plus(mesh: Mesh, num_clusters: int):
    def run(key, rows, weights):
        count = len(rows)
        first = lax.axis_index(DATA_AXIS) * count
        keys = jax.vmap(jax.random.fold_in, in_axes=(None, 0))(key, first + jnp.arange(count))

        def draw(round_number, log_weight):
            """The row of largest log weight + Gumbel noise on any device."""
            noise = jax.vmap(lambda k: jax.random.gumbel(jax.random.fold_in(k, round_number)))(keys)
            scores = jnp.where(weights > 0, log_weight + noise, -jnp.inf)
            best = jnp.argmax(scores)
            scores, points = lax.all_gather((scores[best], rows[best]), DATA_AXIS)
            return points[jnp.argmax(scores)]

        def add(round_number, carry):
            centres, distances = carry
            # Rows on centres, up to rounding, are drawn only where there are no others.
            point = draw(round_number, jnp.log(jnp.maximum(distances, jnp.finfo(jnp.float32).tiny)))
            nearer = jnp.minimum(distances, jnp.square(rows - point[None]).sum(1))
            return centres.at[round_number].set(point), nearer

        point = draw(0, jnp.zeros(count))
        centres = jnp.zeros((num_clusters, rows.shape[1]), rows.dtype).at[0].set(point)
        carry = (centres, jnp.square(rows - point[None]).sum(1))
        return lax.fori_loop(1, num_clusters, add, carry)[0]

    return jax.jit(
        jax.shard_map(run, mesh=mesh, in_specs=(_WHOLE, _ROWS, _ROWS), out_specs=_WHOLE, check_vma=False)
    )
