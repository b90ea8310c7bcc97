"""Random crops of examples that lie on the device: where they begin, and the crops themselves."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Int, Key, Shaped


def draw_starts(
    keys: Key[Array, " batch"],
    extents: Int[Array, "batch axes"] | Sequence[int],
    size: Sequence[int],
) -> Int[Array, "batch axes"]:
    """Draws where crops begin, uniformly among all places at which a crop lies inside its example.

    Args:
        keys: one per example (`ops.example_keys`), so that every device count draws the same.
        extents: of the examples along the axes that are cropped: one tuple for all, or '(batch, axes)' for
            examples of several sizes that were padded to a common one. Where an example of the latter is
            smaller than the crop, the crop begins at 0 and takes padding.
        size: of the crops along these axes.

    Returns:
        First voxel of each crop, '(batch, axes)' int32.

    Raises:
        ValueError: if the lengths of `extents` and `size` differ, or a tuple of extents is smaller than
            `size`.
    """
    if not isinstance(extents, jax.Array):
        _check_sizes(extents, size)
        extents = jnp.broadcast_to(jnp.array(extents, jnp.int32), (len(keys), len(size)))
    if extents.shape[1] != len(size):
        raise ValueError(f"extents have {extents.shape[1]} axes, the crops {tuple(size)} have {len(size)}")
    places = jnp.maximum(extents.astype(jnp.int32) - jnp.array([size], jnp.int32) + 1, 1)
    return jax.vmap(lambda key, count: jax.random.randint(key, count.shape, 0, count))(keys, places)


def _check_sizes(extents: Sequence[int], size: Sequence[int]) -> None:
    if len(extents) != len(size) or any(e < s for e, s in zip(extents, size, strict=False)):
        raise ValueError(f"crops of {tuple(size)} do not fit examples of {tuple(extents)}")


def take_crops(
    examples: Shaped[Array, "examples ..."],
    index: Int[Array, " batch"],
    starts: Int[Array, "batch axes"],
    size: Sequence[int],
) -> Shaped[Array, "batch ..."]:
    """Cuts one crop out of each chosen example.

    A crop that would reach beyond the end is moved back inside, as `lax.dynamic_slice` does.

    Args:
        examples: '(examples, *spatial, ...)' of any dtype; int16 halves the memory of float32.
        index: which example each crop comes from.
        starts: first voxel of each crop along the first axes after that of the examples.
        size: of the crops along these axes; later axes, such as channels, are taken whole.

    Returns:
        '(batch, *size, ...)'.
    """
    rest = examples.shape[1 + len(size) :]

    def take(number, start):
        begin = (number, *start, *(0 for _ in rest))
        return lax.dynamic_slice(examples, begin, (1, *size, *rest))[0]

    return jax.vmap(take)(index, starts)
