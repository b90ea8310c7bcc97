"""One random key per example of the global batch, the same however the batch is split."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Key

from jaxmed.ops import collectives


def example_keys(key: Key[Array, ""], batch_size: int) -> Key[Array, " batch"]:
    """Derive the key of every example from its position in the global batch.

    The key of the example at position i is fold_in(key, i). Under plain jit the position counts along
    the whole batch, whatever its sharding. Inside `jax.shard_map` over the data axis the
    caller sees one part of the batch, and the position is device index * batch_size + local index.
    A step therefore draws the same numbers on one device and on many.

    Args:
        key: typed key, the same on every device.
        batch_size: number of examples that the caller holds: the whole batch under jit, the local part
            inside shard_map.

    Returns:
        One key per example, (batch_size,).
    """
    positions = collectives.first_position(batch_size) + jnp.arange(batch_size)
    return jax.vmap(jax.random.fold_in, in_axes=(None, 0))(key, positions)
