"""Data sets that lie on the devices for the whole run, so that a step needs only the numbers of its examples.

A batch of such a run holds the data set itself, as a `Resident`, beside small arrays such as `index`:

    batches = resident_batches({"volume": volumes}, lambda step: plan.indices(step)[part], first_step)

    def prepare(batch, key):
        keys = example_keys(key, len(batch["index"]))
        starts = patches.draw_starts(keys, volumes.shape[1:4], (64, 64, 64))
        volume = batch["volume"].take_crops(batch["index"], starts, (64, 64, 64))

`fit` sends a `Resident` once and hands it to every step, which stays a pure function of state, batch and key.
Which examples are seen follows from the index plan, and where their crops begin from the keys, so that any
number of devices sees the same.
"""

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct
from jax import lax
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from jaxmed.ops import collectives, patches
from jaxmed.types import DATA_AXIS, Leaf


@struct.dataclass
class Resident:
    """All examples of a data set, as an array that stays on the devices.

    Attributes:
        array: (examples, ...), a NumPy array or memory map before it is sent; its dtype is kept (int16 with
            the scale applied in the step takes half the memory of float32).
        split: whether each part of the mesh axis data holds only its share of the examples, for data sets
            that do not fit one device; crops then travel between devices once. Otherwise every device has
            all of them.
        mesh: where it lies; None before it is sent.
    """

    array: Leaf
    split: bool = struct.field(pytree_node=False, default=False)
    mesh: Mesh | None = struct.field(pytree_node=False, default=None)

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the array."""
        return self.array.shape

    @property
    def dtype(self) -> Any:
        """Of the array."""
        return self.array.dtype

    @property
    def partition(self) -> PartitionSpec:
        """How the array is split over the mesh."""
        return PartitionSpec(DATA_AXIS) if self.split else PartitionSpec()

    def take(self, index: jax.Array) -> jax.Array:
        """The examples with these numbers; see `take_crops`."""
        return self.take_crops(index, jnp.zeros((len(index), 0), jnp.int32), ())

    def take_crops(self, index: jax.Array, starts: jax.Array, size: Sequence[int]) -> jax.Array:
        """Cuts one crop out of each chosen example, wherever it lies.

        Args:
            index: (batch,) numbers of examples in the whole data set.
            starts: (batch, axes) first voxel of each crop.
            size: of the crops along these axes.

        Returns:
            (batch, *size, ...) in the dtype of the array; see `patches.take_crops`.
        """
        if not self.split or self.mesh is None or self.mesh.shape[DATA_AXIS] == 1:
            return patches.take_crops(self.array, index, starts, size)

        def take(array, index, starts):
            return _take_from_all(array, index, starts, tuple(size))

        if collectives.runs_per_device():
            return take(self.array, index, starts)
        share = PartitionSpec(DATA_AXIS)
        take_share = jax.shard_map(
            take, mesh=self.mesh, in_specs=(share, share, share), out_specs=share, check_vma=False
        )
        return take_share(self.array, index, starts)


def _take_from_all(array: jax.Array, index: jax.Array, starts: jax.Array, size: tuple[int, ...]) -> jax.Array:
    """Each device cuts what the whole batch wants of its share; the sum of all is exact: one is not zero."""
    index, starts = lax.all_gather((index, starts), DATA_AXIS, tiled=True)
    local = index - lax.axis_index(DATA_AXIS) * len(array)
    is_here = (local >= 0) & (local < len(array))
    crops = patches.take_crops(array, jnp.clip(local, 0, len(array) - 1), starts, size)
    crops = jnp.where(is_here.reshape(-1, *[1] * (crops.ndim - 1)), crops, jnp.zeros((), crops.dtype))
    # The libraries of GPUs reduce no 16-bit integers.
    is_short = jnp.issubdtype(crops.dtype, jnp.integer) and crops.dtype.itemsize == 2
    summed = lax.psum_scatter(
        crops.astype(jnp.int32) if is_short else crops, DATA_AXIS, scatter_dimension=0, tiled=True
    )
    return summed.astype(crops.dtype)


def place(resident: Resident, mesh: Mesh) -> Resident:
    """Puts a data set on the devices of a mesh.

    Args:
        resident: whose array every process can read; of a memory map, only what the process's devices hold
            is read. Where the examples do not divide over the mesh axis data, zeros stand behind the last.
        mesh: where to.

    Returns:
        It with a global array; as it is, if it lies there already.
    """
    if isinstance(resident.array, jax.Array) and resident.mesh == mesh:
        return resident
    host = resident.array
    missing = -len(host) % mesh.shape[DATA_AXIS] if resident.split else 0
    shape = (len(host) + missing, *host.shape[1:])

    def read(place: Any) -> np.ndarray:
        start, stop, _ = place[0].indices(shape[0])
        part = np.asarray(host[start : min(stop, len(host))])
        return np.pad(part, [(0, stop - start - len(part))] + [(0, 0)] * (part.ndim - 1))

    array = jax.make_array_from_callback(shape, NamedSharding(mesh, resident.partition), read)
    return Resident(array, resident.split, mesh)


def resident_batches(
    examples: Mapping[str, np.ndarray],
    indices: Callable[[int], np.ndarray],
    first_step: int,
    *,
    split: bool = False,
) -> Iterator[dict[str, Leaf]]:
    """Batches of a data set that stays on the devices: the numbers of their examples, and all of it.

    Args:
        examples: arrays (examples, ...) of the whole data set by name, the same in every process.
        indices: `indices(step)` gives this process's part of the numbers of that step's examples, such as
            a slice of `IndexPlan.indices(step)`.
        first_step: step of the first batch.
        split: see `Resident`.

    Yields:
        `index`, (local batch,) int32, and the same `Resident`s under the names of `examples`, without end.
    """
    residents = {name: Resident(array, split) for name, array in examples.items()}
    for step in itertools.count(first_step):
        yield {"index": np.asarray(indices(step), np.int32), **residents}
