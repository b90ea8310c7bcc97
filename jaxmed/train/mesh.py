"""Device meshes with the axes data and space, and where batches and states lie on them."""

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from jaxmed.types import DATA_AXIS, SPACE_AXIS, Leaf, PyTree

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


def replicate(tree: PyTree, mesh: Mesh) -> PyTree:
    """Puts a whole copy of every array on every device of the mesh.

    Args:
        tree: arrays, random keys among them, equal in all processes.
        mesh: where to.

    Returns:
        The same tree of global arrays.
    """
    sharding = replicated(mesh)
    if sharding.is_fully_addressable:
        return jax.device_put(tree, sharding)
    return jax.tree.map(lambda x: _replicate_over_processes(x, sharding), tree)


def _replicate_over_processes(x: Leaf, sharding: NamedSharding) -> jax.Array:
    if isinstance(x, jax.Array) and x.sharding == sharding:
        return x
    if jnp.issubdtype(x.dtype, jax.dtypes.prng_key):
        data = _replicate_over_processes(jax.random.key_data(x), sharding)
        return jax.random.wrap_key_data(data, impl=jax.random.key_impl(x))
    return jax.make_array_from_process_local_data(sharding, np.asarray(x))


def batch_partition(rank: int) -> PartitionSpec:
    """How an array of a batch is split: examples over data, and depth of volumes (rank 5) over space."""
    return PartitionSpec(DATA_AXIS, SPACE_AXIS) if rank == _VOLUME_RANK else PartitionSpec(DATA_AXIS)


@struct.dataclass
class PaddedVolume:
    """A volume whose depth does not divide over the mesh axis space.

    Attributes:
        array: (batch, padded depth, height, width, channels), zeros behind the last slice.
        depth: the true depth, part of the type of the value, not an array.
    """

    array: Leaf
    depth: int = struct.field(pytree_node=False)


def put_batch(batch: Mapping[str, np.ndarray], mesh: Mesh) -> dict[str, Leaf]:
    """Moves this process's part of a batch to its devices.

    Args:
        batch: arrays (local batch, ...), equally many examples in each process.
        mesh: where to.

    Returns:
        Global arrays, split as `batch_partition` says; a `PaddedVolume` in the place of a volume whose
        depth does not divide over the mesh axis space. `crop_padding` undoes that where a program begins.

    Raises:
        ValueError: if the examples cannot be split evenly over the mesh axis data.
    """
    return {name: _put(name, np.asarray(array), mesh) for name, array in batch.items()}


def _put(name: str, array: np.ndarray, mesh: Mesh) -> jax.Array | PaddedVolume:
    partition = batch_partition(array.ndim)
    parts = max(mesh.shape[DATA_AXIS] // jax.process_count(), 1)
    if array.shape[0] % parts:
        raise ValueError(
            f"axis 0 of '{name}' has size {array.shape[0]}, "
            f"which does not divide over {parts} part(s) of the mesh axis '{DATA_AXIS}'"
        )
    sharding = NamedSharding(mesh, partition)
    missing = -array.shape[1] % mesh.shape[SPACE_AXIS] if SPACE_AXIS in partition else 0
    if not missing:
        return jax.make_array_from_process_local_data(sharding, array)
    padded = np.pad(array, [(0, 0), (0, missing)] + [(0, 0)] * (array.ndim - 2))
    return PaddedVolume(jax.make_array_from_process_local_data(sharding, padded), depth=array.shape[1])


def crop_padding(batch: Mapping[str, Leaf]) -> dict[str, Leaf]:
    """Gives the volumes of a batch their true depth; to be called inside the jitted program.

    The compiler keeps the cropped volumes split and accounts for the uneven parts by itself, so that the
    program computes what one device would, without masks.

    Args:
        batch: what `put_batch` returned.

    Returns:
        The batch with plain arrays only.
    """
    return {
        name: leaf.array[:, : leaf.depth] if isinstance(leaf, PaddedVolume) else leaf
        for name, leaf in batch.items()
    }
