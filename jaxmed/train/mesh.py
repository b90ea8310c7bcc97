"""Device meshes with the axes data and space, and where batches and states lie on them."""

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from jaxmed.train import resident
from jaxmed.train.resident import Resident
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


def put_batch(batch: Mapping[str, Leaf], mesh: Mesh) -> dict[str, Leaf]:
    """Moves this process's part of a batch to its devices.

    Args:
        batch: arrays (local batch, ...), equally many examples in each process; a `Resident` goes where it
            says.
        mesh: where to.

    Returns:
        Global arrays, split as `batch_partition` says; a `PaddedVolume` in the place of a volume whose
        depth does not divide over the mesh axis space. `crop_padding` undoes that where a program begins.

    Raises:
        ValueError: if the examples cannot be split evenly over the mesh axis data.
    """
    return {name: _put(name, leaf, mesh, num_leading=0) for name, leaf in batch.items()}


def put_batches(batches: Sequence[Mapping[str, Leaf]], mesh: Mesh) -> dict[str, Leaf]:
    """Moves this process's part of several steps' batches to its devices, in one array for each name.

    Args:
        batches: as in `put_batch`, alike in names, shapes and dtypes.
        mesh: where to.

    Returns:
        As `put_batch`, with a first axis for the steps; a `Resident` is the first step's.

    Raises:
        ValueError: as in `put_batch`.
    """
    first = batches[0]
    stacked = {
        name: leaf if isinstance(leaf, Resident) else np.stack([batch[name] for batch in batches])
        for name, leaf in first.items()
    }
    return {name: _put(name, leaf, mesh, num_leading=1) for name, leaf in stacked.items()}


class Sender:
    """Sends batches to a mesh, and what stays there, only once."""

    def __init__(self, mesh: Mesh):
        """Sends to `mesh`."""
        self._mesh = mesh
        self._placed: dict[str, tuple[Leaf, Resident]] = {}

    def __call__(self, batches: Sequence[Mapping[str, Leaf]], *, stack: bool) -> dict[str, Leaf]:
        """Sends one batch as `put_batch` does or, with `stack`, several as `put_batches` does."""
        ready = [{name: self._place(name, leaf) for name, leaf in batch.items()} for batch in batches]
        return put_batches(ready, self._mesh) if stack else put_batch(ready[0], self._mesh)

    def _place(self, name: str, leaf: Leaf) -> Leaf:
        if not isinstance(leaf, Resident):
            return leaf
        array, placed = self._placed.get(name, (None, leaf))
        if array is not leaf.array or placed.split != leaf.split:
            self._placed.pop(name, None)  # the devices may have no room for both
            placed = resident.place(leaf, self._mesh)
            self._placed[name] = (leaf.array, placed)
        return placed


def _put(name: str, leaf: Leaf, mesh: Mesh, *, num_leading: int) -> Leaf:
    if isinstance(leaf, Resident):
        return resident.place(leaf, mesh)
    array, axis = np.asarray(leaf), num_leading
    partition = batch_partition(array.ndim - num_leading)
    parts = max(mesh.shape[DATA_AXIS] // jax.process_count(), 1)
    if array.shape[axis] % parts:
        raise ValueError(
            f"axis {axis} of '{name}' has size {array.shape[axis]}, "
            f"which does not divide over {parts} part(s) of the mesh axis '{DATA_AXIS}'"
        )
    sharding = NamedSharding(mesh, PartitionSpec(*[None] * num_leading, *partition))
    depth = array.shape[axis + 1] if SPACE_AXIS in partition else 0
    missing = -depth % mesh.shape[SPACE_AXIS]
    if not missing:
        return jax.make_array_from_process_local_data(sharding, array)
    padding = [(0, 0)] * array.ndim
    padding[axis + 1] = (0, missing)
    padded = np.pad(array, padding)
    return PaddedVolume(jax.make_array_from_process_local_data(sharding, padded), depth=depth)


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
