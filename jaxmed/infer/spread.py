"""A function of single examples on all devices of a mesh, fed from the host and read back to it."""

import functools
from collections import deque
from collections.abc import Callable, Iterable, Iterator

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from jaxmed.types import DATA_AXIS, PyTree

_BATCHES_IN_FLIGHT = 2


class Spread:
    """Applies a function, example by example, on all devices where its variables lie.

    A batch is split over every axis of the mesh, space as well as data: without gradients no example needs
    another, so that each device works alone on its share and only the outputs travel. Batches that are too
    short are filled up with their last example, and its outputs are cut off again. The function is compiled
    once per shape and dtype of an example, also where the same function is spread again with other variables.

    While the devices work on a batch, the next one is read and sent; at most three are held there.

    With several processes every process makes the same calls with the same batches in the same order, and
    every one receives all outputs.

    Attributes:
        batch_size: examples at a time over all devices: the size asked for, rounded up to a multiple of the
            number of devices.
    """

    def __init__(self, function: Callable[[PyTree, PyTree], PyTree], variables: PyTree, batch_size: int):
        """Prepares `function` for the devices of `variables`.

        Args:
            function: `(variables, batch) -> outputs`, pure and jittable; batch and outputs are trees of
                arrays whose first axis counts the examples, and an example's outputs depend on it alone.
            variables: arrays on a mesh, on one device, or in NumPy (then the first local device is taken).
            batch_size: examples at a time, 1 or more.

        Raises:
            ValueError: for a batch size below 1, or variables on several meshes or loose devices.
        """
        if batch_size < 1:
            raise ValueError(f"batch_size: {batch_size}; wanted 1 or more")
        mesh = find_mesh(variables)
        self.batch_size = -(-batch_size // mesh.size) * mesh.size
        self._sharding = NamedSharding(mesh, PartitionSpec(mesh.axis_names))
        self._variables = jax.device_put(variables, NamedSharding(mesh, PartitionSpec()))
        self._apply = _compile(function, mesh)

    def __call__(self, batches: Iterable[PyTree]) -> Iterator[PyTree]:
        """Applies the function to one batch after another.

        Args:
            batches: trees of NumPy arrays (count, ...), with count from 1 to `batch_size`.

        Yields:
            The outputs of each batch, in order: trees of NumPy arrays (count, ...), which may be read-only.

        Raises:
            ValueError: if a batch is empty, too large, or of unequal counts, or if the function does not
                return one output per example.
        """
        in_flight: deque[tuple[PyTree, int]] = deque()
        for batch in batches:
            count = self._count(batch)
            in_flight.append((self._apply(self._variables, jax.tree.map(self._put, batch)), count))
            if len(in_flight) > _BATCHES_IN_FLIGHT:
                yield _fetch(*in_flight.popleft())
        while in_flight:
            yield _fetch(*in_flight.popleft())

    def _count(self, batch: PyTree) -> int:
        counts = {len(array) for array in jax.tree.leaves(batch)}
        if len(counts) != 1 or not 1 <= min(counts) <= self.batch_size:
            raise ValueError(f"batch of {sorted(counts)} examples; wanted one count, 1 to {self.batch_size}")
        return counts.pop()

    def _put(self, array: np.ndarray) -> jax.Array:
        padding = [(0, self.batch_size - len(array))] + [(0, 0)] * (array.ndim - 1)
        filled = np.pad(array, padding, mode="edge") if len(array) < self.batch_size else np.asarray(array)
        return jax.make_array_from_callback(filled.shape, self._sharding, filled.__getitem__)


@functools.lru_cache(maxsize=16)
def _compile(function: Callable[[PyTree, PyTree], PyTree], mesh: Mesh) -> Callable[[PyTree, PyTree], PyTree]:
    """Jits `function` on the mesh; the same function on the same mesh is traced and compiled once."""
    examples, whole = PartitionSpec(mesh.axis_names), PartitionSpec()
    alone = jax.shard_map(
        _checked(function), mesh=mesh, in_specs=(whole, examples), out_specs=examples, check_vma=False
    )
    # A process can read its own devices only, so that with several every device receives all outputs.
    outputs = whole if mesh.is_multi_process else examples
    return jax.jit(alone, out_shardings=NamedSharding(mesh, outputs))


def find_mesh(variables: PyTree) -> Mesh:
    """The mesh on which arrays lie, or one of the single device that holds them.

    Args:
        variables: arrays on a mesh, on one device, or in NumPy (then the first local device is taken).

    Raises:
        ValueError: for arrays on several meshes or loose devices.
    """
    shardings = [leaf.sharding for leaf in jax.tree.leaves(variables) if isinstance(leaf, jax.Array)]
    meshes = {s.mesh for s in shardings if isinstance(s, NamedSharding) and isinstance(s.mesh, Mesh)}
    devices = {device for sharding in shardings for device in sharding.device_set}
    if len(meshes) > 1 or (not meshes and len(devices) > 1):
        raise ValueError(
            f"variables: on {len(meshes)} meshes and {len(devices)} devices; wanted one mesh or one device"
        )
    if meshes:
        return meshes.pop()
    device = devices.pop() if devices else jax.local_devices()[0]
    return Mesh(np.array([device]), (DATA_AXIS,), axis_types=(AxisType.Auto,))


def _checked(function: Callable[[PyTree, PyTree], PyTree]) -> Callable[[PyTree, PyTree], PyTree]:
    def apply(variables: PyTree, batch: PyTree) -> PyTree:
        outputs = function(variables, batch)
        count = len(jax.tree.leaves(batch)[0])
        shapes = [np.shape(output) for output in jax.tree.leaves(outputs)]
        if any(shape[:1] != (count,) for shape in shapes):
            raise ValueError(f"function: outputs of shapes {shapes} for {count} examples; wanted one each")
        return outputs

    return apply


def _fetch(outputs: PyTree, count: int) -> PyTree:
    return jax.tree.map(lambda output: np.asarray(output)[:count], outputs)
