"""Device meshes with the axes data and space, and where batches and states lie on them."""

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from jaxmed.types import DATA_AXIS, SPACE_AXIS

_VOLUME_RANK = 5  # batch, depth, height, width, channels


def make_mesh(data: int = 0, space: int = 1, *, devices: Sequence[Any] | None = None) -> Mesh:
    """Arranges devices as a grid of `data` by `space`.

    Args:
        data: number of parts of the batch; 0 takes all devices that `space` leaves.
        space: number of parts of the first spatial axis of volumes.
        devices: the `jax.Device`s to use; all of this run by default. With fewer wanted than given, the first
            ones are taken.

    Returns:
        A mesh with the axes `types.DATA_AXIS` and `types.SPACE_AXIS`.

    Raises:
        ValueError: if there are too few devices.
    """
    devices = jax.devices() if devices is None else list(devices)
    data = data or len(devices) // space
    wanted = data * space
    if data < 1 or space < 1 or wanted > len(devices):
        raise ValueError(f"a mesh of data={data} by space={space} does not fit {len(devices)} device(s)")
    axis_types = (AxisType.Auto, AxisType.Auto)
    return jax.make_mesh(
        (data, space), (DATA_AXIS, SPACE_AXIS), axis_types=axis_types, devices=devices[:wanted]
    )


def replicated(mesh: Mesh) -> NamedSharding:
    """Places a whole copy on every device."""
    return NamedSharding(mesh, PartitionSpec())


def batch_partition(rank: int) -> PartitionSpec:
    """How an array of a batch is split: examples over data, and depth of volumes (rank 5) over space."""
    return PartitionSpec(DATA_AXIS, SPACE_AXIS) if rank == _VOLUME_RANK else PartitionSpec(DATA_AXIS)


def put_batch(batch: Mapping[str, np.ndarray], mesh: Mesh) -> dict[str, jax.Array]:
    """Moves this process's part of a batch to its devices.

    Args:
        batch: arrays (local batch, ...), equally many examples in each process.
        mesh: where to.

    Returns:
        Global arrays, split as `batch_partition` says.

    Raises:
        ValueError: if an axis cannot be split evenly over the mesh.
    """
    return {name: _put(name, np.asarray(array), mesh) for name, array in batch.items()}


def _put(name: str, array: np.ndarray, mesh: Mesh) -> jax.Array:
    partition = batch_partition(array.ndim)
    for axis, mesh_axis in enumerate(partition):
        parts = mesh.shape[mesh_axis] // (jax.process_count() if mesh_axis == DATA_AXIS else 1)
        if array.shape[axis] % max(parts, 1):
            raise ValueError(
                f"axis {axis} of '{name}' has size {array.shape[axis]}, "
                f"which does not divide over {parts} part(s) of the mesh axis '{mesh_axis}'"
            )
    return jax.make_array_from_process_local_data(NamedSharding(mesh, partition), array)
