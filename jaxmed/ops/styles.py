"""Styles of the layers of a style-based generator: repeated, mixed, and truncated."""

import jax.numpy as jnp
from jaxtyping import Array, Float


def repeat_styles(
    styles: Float[Array, "batch width"], num_styles: int
) -> Float[Array, "batch {num_styles} width"]:
    """Gives every layer the same style."""
    return jnp.broadcast_to(styles[:, None], (styles.shape[0], num_styles, styles.shape[-1]))


def truncate_styles(
    styles: Float[Array, "*batch width"], mean: Float[Array, " width"], psi: float
) -> Float[Array, "*batch width"]:
    """Moves styles towards their mean: mean + psi (w - mean).

    Reference: Karras et al., A Style-Based Generator Architecture for GANs, appendix B.
    """
    mean = jnp.broadcast_to(mean, styles.shape)
    return mean + psi * (styles - mean)


def mix_styles(
    first: Float[Array, "batch styles width"],
    second: Float[Array, "batch styles width"],
    crossover: Array | int,
) -> Float[Array, "batch styles width"]:
    """Takes the layers below `crossover` (the coarse ones) from `first`, the others from `second`.

    Args:
        first: (batch, styles, width).
        second: likewise.
        crossover: number of layers from `first`, one for all or (batch,).

    Returns:
        As `first`; `second` for a crossover of 0, `first` for one of `styles` or more.

    Reference: Karras et al., A Style-Based Generator Architecture for GANs, section 3.1.
    """
    layers = jnp.broadcast_to(jnp.arange(first.shape[1])[None], first.shape[:2])
    limits = jnp.broadcast_to(jnp.reshape(jnp.asarray(crossover), (-1, 1)), first.shape[:2])
    return jnp.where((layers < limits)[..., None], first, second)
