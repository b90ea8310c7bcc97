"""Template matching by normalised cross-correlation, by Fourier transforms on the device."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


def lattice(images: Float[Array, "images height width"], num_columns: int) -> Float[Array, "rows columns"]:
    """Lays images out side by side, row by row.

    Args:
        images: (images, height, width), a multiple of `num_columns`.
        num_columns: images in a row.

    Returns:
        (rows height, num_columns width).
    """
    count, height, width = images.shape
    rows = images.reshape(count // num_columns, num_columns, height, width).transpose(0, 2, 1, 3)
    return rows.reshape(-1, num_columns * width)


def match_template(
    templates: Float[Array, "templates height width"],
    image: Float[Array, "rows columns"],
    *,
    zero_mean: bool = False,
) -> Float[Array, "templates places_down places_across"]:
    """Normalised cross-correlation of templates with all places of an image that they fit into.

    sum x(p') g(p + p') / sqrt(sum x(p')^2 sum g(p + p')^2), the sums running over the template. Without
    removing means, values that are nowhere negative correlate to numbers in [0, 1], mostly near 1; with, both
    the template and what it covers lose their mean, as in Pearson's correlation, in [-1, 1]. Where either is
    constant (zero without `zero_mean`), the correlation is 0.

    Args:
        templates: (templates, height, width).
        image: (rows, columns), not smaller than the templates.
        zero_mean: remove means.

    Returns:
        (templates, rows - height + 1, columns - width + 1) of float32, exact to about 1e-4.

    Raises:
        ValueError: the templates do not fit.

    Reference: Tronchin et al., Evaluating GANs in Medical Imaging, table 1 (without removing means); Lewis,
    Fast Normalized Cross-Correlation, equations 1 and 2 (with).
    """
    height, width = templates.shape[1:]
    if height > image.shape[0] or width > image.shape[1]:
        raise ValueError(f"templates of {(height, width)} do not fit into an image of {image.shape}")
    # Sums of squares are differences of large numbers: a common offset that means are free of keeps digits.
    offset = image.mean() if zero_mean else jnp.zeros(())
    image = image.astype(jnp.float32) - offset
    templates = templates.astype(jnp.float32)
    if zero_mean:
        templates = templates - templates.mean(axis=(1, 2), keepdims=True)
    correlation = _correlate(templates, image)
    energy = _window_sums(image**2, height, width)
    if zero_mean:
        energy = energy - _window_sums(image, height, width) ** 2 / (height * width)
    own = jnp.square(templates).sum(axis=(1, 2))[:, None, None]
    # Of what is constant, rounding leaves energy of the order of float32's digits.
    floor = 1e-6 * jnp.square(image).max() * height * width
    product = own * jnp.broadcast_to(energy, correlation.shape)
    is_flat = (jnp.broadcast_to(energy, correlation.shape) <= floor) | (own <= 1e-6 * own.max())
    found = jnp.where(is_flat, 0, correlation * jax.lax.rsqrt(jnp.where(is_flat, 1, product)))
    return jnp.clip(found, -1, 1)


def _correlate(templates: jax.Array, image: jax.Array) -> jax.Array:
    """Sums of products where the templates fit, (templates, places_down, places_across)."""
    (rows, columns), (height, width) = image.shape, templates.shape[1:]
    axes = (-2, -1)
    spectrum = jnp.fft.rfft2(image)[None] * jnp.conj(jnp.fft.rfft2(templates, s=(rows, columns), axes=axes))
    found = jnp.fft.irfft2(spectrum, s=(rows, columns), axes=axes)
    return found[:, : rows - height + 1, : columns - width + 1]


def _window_sums(x: jax.Array, height: int, width: int) -> jax.Array:
    """Sums over windows, first down, then across."""
    for window in ((height, 1), (1, width)):
        x = jax.lax.reduce_window(x, jnp.zeros((), x.dtype), jax.lax.add, window, (1, 1), "VALID")
    return x
