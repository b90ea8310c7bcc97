"""Device meshes with the axes data and space, and where batches and states lie on them."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from jaxmed.train import resident
from jaxmed.train.resident import Resident
from jaxmed.types import DATA_AXIS, SPACE_AXIS, Leaf, PyTree


class Volumes(NamedTuple):
    """Which arrays of a batch have a depth, which a mesh may split; what holds no volumes names none.

    Attributes:
        names: of the arrays: volumes, and label maps of volumes.
        depth_axis: of each of them; 1, behind the batch, unless examples are stacked there.
    """

    names: tuple[str, ...] = ()
    depth_axis: int = 1


NO_VOLUMES = Volumes()


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


@struct.dataclass
class PaddedVolume:
    """A volume whose depth does not divide over the mesh axis space.

    Attributes:
        array: (batch, ..., padded depth, ...), zeros behind the last slice.
        depth: the true depth, part of the type of the value, not an array.
        axis: of the depth.
    """

    array: Leaf
    depth: int = struct.field(pytree_node=False)
    axis: int = struct.field(pytree_node=False, default=1)


def put_batch(batch: Mapping[str, Leaf], mesh: Mesh, volumes: Volumes = NO_VOLUMES) -> dict[str, Leaf]:
    """Moves this process's part of a batch to its devices.

    Args:
        batch: arrays (local batch, ...), equally many examples in each process; a `Resident` goes where it
            says.
        mesh: where to.
        volumes: which arrays have a depth.

    Returns:
        Global arrays: examples split over the mesh axis data, the depth of volumes over space; a
        `PaddedVolume` in the place of a volume whose depth does not divide. `crop_padding` undoes that where
        a program begins.

    Raises:
        ValueError: if the examples cannot be split evenly over the mesh axis data, or a volume is missing.
    """
    _check_volumes(batch, volumes)
    return {name: _put(name, leaf, mesh, volumes, num_leading=0) for name, leaf in batch.items()}


def _check_volumes(batch: Mapping[str, Leaf], volumes: Volumes) -> None:
    if missing := set(volumes.names) - set(batch):
        raise ValueError(f"volumes {sorted(missing)} are not in the batch, which has {sorted(batch)}")


def put_batches(
    batches: Sequence[Mapping[str, Leaf]], mesh: Mesh, volumes: Volumes = NO_VOLUMES
) -> dict[str, Leaf]:
    """Moves this process's part of several steps' batches to its devices, in one array for each name.

    Args:
        batches: as in `put_batch`, alike in names, shapes and dtypes.
        mesh: where to.
        volumes: which arrays have a depth.

    Returns:
        As `put_batch`, with a first axis for the steps; a `Resident` is the first step's.

    Raises:
        ValueError: as in `put_batch`.
    """
    first = batches[0]
    _check_volumes(first, volumes)
    stacked = {
        name: leaf if isinstance(leaf, Resident) else np.stack([batch[name] for batch in batches])
        for name, leaf in first.items()
    }
    return {name: _put(name, leaf, mesh, volumes, num_leading=1) for name, leaf in stacked.items()}


class Sender:
    """Sends batches to a mesh, and what stays there, only once."""

    def __init__(self, mesh: Mesh, volumes: Volumes = NO_VOLUMES):
        """Sends to `mesh`, as `put_batch` does."""
        self._mesh, self._volumes = mesh, volumes
        self._placed: dict[str, tuple[Leaf, Resident]] = {}

    def __call__(self, batches: Sequence[Mapping[str, Leaf]], *, stack: bool) -> dict[str, Leaf]:
        """Sends one batch as `put_batch` does or, with `stack`, several as `put_batches` does."""
        ready = [{name: self._place(name, leaf) for name, leaf in batch.items()} for batch in batches]
        if stack:
            return put_batches(ready, self._mesh, self._volumes)
        return put_batch(ready[0], self._mesh, self._volumes)

    def _place(self, name: str, leaf: Leaf) -> Leaf:
        if not isinstance(leaf, Resident):
            return leaf
        array, placed = self._placed.get(name, (None, leaf))
        if array is not leaf.array or placed.split != leaf.split:
            self._placed.pop(name, None)  # the devices may have no room for both
            placed = resident.place(leaf, self._mesh)
            self._placed[name] = (leaf.array, placed)
        return placed


def _put(name: str, leaf: Leaf, mesh: Mesh, volumes: Volumes, *, num_leading: int) -> Leaf:
    if isinstance(leaf, Resident):
        return resident.place(leaf, mesh)
    array, axis = np.asarray(leaf), num_leading
    parts = max(mesh.shape[DATA_AXIS] // jax.process_count(), 1)
    if array.shape[axis] % parts:
        raise ValueError(
            f"axis {axis} of '{name}' has size {array.shape[axis]}, "
            f"which does not divide over {parts} part(s) of the mesh axis '{DATA_AXIS}'"
        )
    spec = [None] * num_leading + [DATA_AXIS]
    if name not in volumes.names:
        return jax.make_array_from_process_local_data(NamedSharding(mesh, PartitionSpec(*spec)), array)
    depth_axis = num_leading + volumes.depth_axis
    spec += [None] * (volumes.depth_axis - 1) + [SPACE_AXIS]
    sharding, depth = NamedSharding(mesh, PartitionSpec(*spec)), array.shape[depth_axis]
    missing = -depth % mesh.shape[SPACE_AXIS]
    if not missing:
        return jax.make_array_from_process_local_data(sharding, array)
    padding = [(0, 0)] * array.ndim
    padding[depth_axis] = (0, missing)
    padded = np.pad(array, padding)
    placed = jax.make_array_from_process_local_data(sharding, padded)
    return PaddedVolume(placed, depth=depth, axis=volumes.depth_axis)


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
        name: jax.lax.slice_in_dim(leaf.array, 0, leaf.depth, axis=leaf.axis)
        if isinstance(leaf, PaddedVolume)
        else leaf
        for name, leaf in batch.items()
    }
