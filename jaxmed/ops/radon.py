"""Radon transform of square images in parallel-beam geometry, its adjoint and filtered back-projection.

Geometry. Pixels and detectors are 1 apart, so a projection is in image units times pixels. The axis of
rotation is the pixel (size // 2, size // 2) and the detector num_detectors // 2. With x the column offset to
the right and y the row offset downwards from that pixel, a pixel lies at detector offset

    t = x cos(theta) - y sin(theta),   theta = pi k / num_angles for k = 0 ... num_angles - 1.

At angle 0 a detector sums a column and t runs to the right; at pi/2 it sums a row and t runs upwards. These
are the conventions of `skimage.transform.radon` and `iradon`, whose sinograms are transposed.

The row of ceil(sqrt(2) size) detectors covers the diagonal, as that of `radon` with circle=False. Nothing is
lost outside the inscribed circle, except that near pi/4 and 3 pi/4 the outermost corner pixels may project up
to half a detector beyond the row and lose that part of their weight.

All functions are linear and can be differentiated in both modes. The derivative costs about as much as the
function, as the transpose of each is again a gather (scatters are slow); only that of the method "exact" is
left to JAX. The batch may be split over devices. `jax.vmap` is not supported: fold the axis into the batch.
"""

import functools
import math
from typing import Literal

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxmed.ops import radon_rotate, radon_sums, reconstruction_filters

Method = Literal["exact", "projector"]
"""How line integrals are taken: by rotating the image, or by Joseph's projector."""


def num_detectors(image_size: int) -> int:
    """Number of detectors that cover the diagonal of a square image, ceil(sqrt(2) image_size)."""
    return math.ceil(math.sqrt(2.0) * image_size)


@functools.partial(jax.jit, static_argnames=("num_angles", "method", "angles_per_chunk"))
def project(
    images: Float[Array, "batch size size"],
    num_angles: int,
    *,
    method: Method = "projector",
    angles_per_chunk: int | None = None,
) -> Float[Array, "batch num_angles num_detectors"]:
    """Radon transform: line integrals of square images at equidistant angles in [0, pi).

    method "projector" interpolates linearly along the row or column that the ray crosses most steeply and
    weights each crossing by its length (Joseph). method "exact" rotates the image with bilinear interpolation
    and sums its rows, as `skimage.transform.radon` with circle=False; it is many times slower and meant as a
    reference. Both count the outside of the image as zero.

    Args:
        images: square images, (batch, size, size), any unit.
        num_angles: number of angles.
        method: "projector" or "exact".
        angles_per_chunk: how many angles out of [0, pi/4] the projector takes at a time, each with its up to
            four mirror images, where it runs on an accelerator; None for what fills 1 GiB. It changes
            speed and memory only, and nothing on a CPU.

    Returns:
        Sinograms, (batch, num_angles, num_detectors), in the unit of the images times pixels.

    Raises:
        ValueError: if the images are not square, or num_angles or angles_per_chunk is not positive.

    Reference: Joseph, An improved algorithm for reprojecting rays through pixel images, IEEE Transactions on
    Medical Imaging 1, 1982.
    """
    if images.shape[1] != images.shape[2]:
        raise ValueError(f"images have shape {images.shape}, expected (batch, size, size)")
    if num_angles < 1:
        raise ValueError(f"num_angles is {num_angles}, expected at least 1")
    if angles_per_chunk is not None and angles_per_chunk < 1:
        raise ValueError(f"angles_per_chunk is {angles_per_chunk}, expected at least 1")
    batch_last, count = jnp.moveaxis(images, 0, -1), num_detectors(images.shape[-1])
    if method == "exact":
        views = radon_rotate.project_by_rotation(batch_last, num_angles, count)
    else:
        views = radon_sums.line_integrals(batch_last, num_angles, count, "joseph", angles_per_chunk)
    return jnp.moveaxis(views, -1, 0)


@functools.partial(jax.jit, static_argnames=("image_size", "method"))
def adjoint(
    sinograms: Float[Array, "batch num_angles num_detectors"],
    image_size: int,
    *,
    method: Method = "projector",
) -> Float[Array, "batch image_size image_size"]:
    """Transpose of the projection with the same method, exact up to rounding.

    The inner products of project(x) with y and of x with adjoint(y) are equal.

    Args:
        sinograms: (batch, num_angles, num_detectors), num_detectors as `num_detectors` gives it.
        image_size: side of the images.
        method: that of the projection.

    Returns:
        Images, (batch, image_size, image_size).

    Raises:
        ValueError: if the number of detectors is not that of image_size.
    """
    batch, num_angles, count = sinograms.shape
    if count != num_detectors(image_size):
        raise ValueError(
            f"sinograms have {count} detectors, expected {num_detectors(image_size)} for size {image_size}"
        )
    if method == "exact":
        shape = jax.ShapeDtypeStruct((batch, image_size, image_size), sinograms.dtype)
        transposed = jax.linear_transpose(lambda images: project(images, num_angles, method="exact"), shape)
        return transposed(sinograms)[0]
    images = radon_sums.pixel_sums(jnp.moveaxis(sinograms, 0, -1), image_size, "joseph")
    return jnp.moveaxis(images, -1, 0)


@functools.partial(jax.jit, static_argnames="image_size")
def backproject(
    sinograms: Float[Array, "batch num_angles num_detectors"], image_size: int
) -> Float[Array, "batch image_size image_size"]:
    """Pixel-driven back-projection: each pixel sums, over the angles, the projection at its place.

    The projection is interpolated linearly between detectors and falls to zero within one detector beyond the
    ends of the row. No factor is applied.

    Args:
        sinograms: (batch, num_angles, num_detectors), any number of detectors.
        image_size: side of the images.

    Returns:
        Images, (batch, image_size, image_size); pixels outside the inscribed circle included.

    Reference: `skimage.transform.iradon` without filter; differs: that one falls to zero at once.
    """
    images = radon_sums.pixel_sums(jnp.moveaxis(sinograms, 0, -1), image_size, "pixel")
    return jnp.moveaxis(images, -1, 0)


@functools.partial(jax.jit, static_argnames="image_size")
def filtered_backprojection(
    sinograms: Float[Array, "batch num_angles num_detectors"],
    image_size: int,
    filter_gains: Float[Array, "batch frequencies"] | None = None,
) -> Float[Array, "batch image_size image_size"]:
    """Inverse Radon transform by filtered back-projection, pi / (2 num_angles) times `backproject`.

    Args:
        sinograms: (batch, num_angles, num_detectors) at equidistant angles in [0, pi).
        image_size: side of the images.
        filter_gains: factors on the ramp filter for each example, (batch, frequencies), at
            `reconstruction_filters.frequencies(num_detectors)`; None for the bare ramp.

    Returns:
        Images, (batch, image_size, image_size); pixels outside the inscribed circle included.

    Reference: Kak and Slaney, Principles of computerized tomographic imaging, 1988, chapter 3.
    """
    filtered = reconstruction_filters.filter_sinograms(sinograms, filter_gains)
    return backproject(filtered, image_size) * (math.pi / (2.0 * sinograms.shape[1]))
