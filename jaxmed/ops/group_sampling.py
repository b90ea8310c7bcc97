"""Random examples of a data set that is divided into groups, such as classes or clusters."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int, Key


def draw_over_groups(
    keys: Key[Array, " batch"], groups: Int[Array, " examples"], num_groups: int
) -> Int[Array, " batch"]:
    """Draws examples so that every group that is not empty is equally likely, and so is each of its members.

    Exact: a group is drawn among those that have members, then a member of it, both as integers.

    Args:
        keys: one per draw (`ops.example_keys`), so that every device count draws the same.
        groups: the group of each example, in [0, num_groups).
        num_groups: number of groups, empty ones among them.

    Returns:
        Indices of examples, int32.

    Reference:
        Caron et al., Deep Clustering for Unsupervised Learning of Visual Features, section 3.3: sampling
        uniformly over clusters, so that large ones do not dominate.
    """
    counts = jnp.bincount(groups, length=num_groups)
    first = jnp.cumsum(counts) - counts
    members = jnp.argsort(groups, stable=True)
    occupied = jnp.argsort(counts == 0, stable=True)
    num_occupied = jnp.count_nonzero(counts)

    def draw(key):
        key_group, key_member = jax.random.split(key)
        group = occupied[jax.random.randint(key_group, (), 0, num_occupied)]
        return members[first[group] + jax.random.randint(key_member, (), 0, counts[group])]

    return jax.vmap(draw)(keys).astype(jnp.int32)
