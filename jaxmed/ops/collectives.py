"""Means over devices for code that may run once for the whole mesh or once per device.

A step is traced either as one global program (`jax.jit` with shardings), where a mean over the batch is
already the mean over all devices, or as one program per device (`jax.shard_map` over the data axis), where
it is a mean over the local examples. The functions here do the right thing in both, so that no step and
no model mentions devices.
"""

import jax
from jax.experimental.shard_alike import shard_alike
from jax.sharding import NamedSharding, PartitionSpec

from jaxmed import types


def runs_per_device() -> bool:
    """Tells whether the caller is being traced as one program per device of the data axis."""
    return types.DATA_AXIS in jax.sharding.get_abstract_mesh().manual_axes


def mean_over_devices(tree: types.PyTree) -> types.PyTree:
    """Averages the leaves of `tree` over the data axis; the identity in a global program.

    Args:
        tree: arrays, each the mean over the local examples of its device.

    Returns:
        The same tree, equal on all devices. With equally many examples per device it is the mean over
        the global batch.
    """
    return jax.lax.pmean(tree, types.DATA_AXIS) if runs_per_device() else tree


def first_position(local_size: int) -> jax.Array | int:
    """Position in the global batch of this program's first example (0 in a global program)."""
    return jax.lax.axis_index(types.DATA_AXIS) * local_size if runs_per_device() else 0


def split_depth(x: jax.Array) -> jax.Array:
    """Lies on the devices in parts of its depth, in value `x`; the identity where no mesh splits depth.

    What augmentation has resampled is not split by itself. From here on the program works on parts, each on
    its device, and so it does on the places that voxels are taken from.

    Args:
        x: (batch, depth, ...), any depth.
    """
    return _lay(x, types.SPACE_AXIS)


def collect_depth(x: jax.Array) -> jax.Array:
    """Lies whole where parts of its depth lay, in value `x`; the identity where no mesh splits depth.

    For what is about to be resampled: a voxel may come from anywhere. Otherwise the compiler may leave the
    volume in parts and send places and samples around, several times as much.

    Args:
        x: (batch, depth, ...), any depth.
    """
    return _lay(x, None)


def _lay(x: jax.Array, depth: str | None) -> jax.Array:
    mesh = jax.sharding.get_abstract_mesh()
    if mesh.empty or mesh.shape.get(types.SPACE_AXIS, 1) == 1:
        return x
    spec = PartitionSpec(PartitionSpec.UNCONSTRAINED, depth)
    return jax.lax.with_sharding_constraint(x, NamedSharding(mesh, spec))


def split_alike(x: jax.Array, like: jax.Array) -> jax.Array:
    """Lies on the devices as `like` does, in value `x`.

    What a program makes of random numbers alone, such as generated volumes, would otherwise be computed whole
    on every device: only inputs say how arrays are split. In a program per device it is the identity.

    Args:
        x: an array made in the program.
        like: one of the same shape, such as the volumes of the batch; no gradient reaches it.
    """
    return x if runs_per_device() else shard_alike(x, jax.lax.stop_gradient(like))[0]
