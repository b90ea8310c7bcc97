"""Sums over rays and over angles, for all angles and with each other's transpose attached; batch last."""

from collections.abc import Callable

import jax.numpy as jnp
from jax.custom_derivatives import linear_call
from jaxtyping import Array, Float

from jaxmed.ops import radon_backprojector, radon_footprint, radon_orientations, radon_projector


def line_integrals(
    images: Float[Array, "size size batch"],
    num_angles: int,
    num_detectors: int,
    footprint: radon_footprint.Footprint,
    angles_per_chunk: int | None = None,
) -> Float[Array, "num_angles num_detectors batch"]:
    """Sums over rays at equidistant angles in [0, pi).

    Args:
        images: (size, size, batch).
        num_angles: number of angles.
        num_detectors: length of the detector row.
        footprint: "joseph" or "pixel".
        angles_per_chunk: see `radon_projector.project_by_angles`.
    """
    project, backproject = _operators(images.shape[0], num_angles, num_detectors, footprint, angles_per_chunk)
    return linear_call(lambda _, x: project(x), lambda _, y: backproject(y), (), images)


def pixel_sums(
    views: Float[Array, "num_angles num_detectors batch"], size: int, footprint: radon_footprint.Footprint
) -> Float[Array, "size size batch"]:
    """Sums over angles for each pixel, the transpose of `line_integrals`.

    Args:
        views: (num_angles, num_detectors, batch).
        size: side of the images.
        footprint: "joseph" or "pixel".
    """
    project, backproject = _operators(size, views.shape[0], views.shape[1], footprint, None)
    return linear_call(lambda _, y: backproject(y), lambda _, x: project(x), (), views)


def _operators(
    size: int,
    num_angles: int,
    num_detectors: int,
    footprint: radon_footprint.Footprint,
    angles_per_chunk: int | None,
) -> tuple[Callable[[Array], Array], Callable[[Array], Array]]:
    """Projection and its transpose.

    Images of even size get a row and a column of zeros, so that the centre is the middle in all orientations.
    """
    groups = radon_orientations.angle_groups(num_angles)
    extra = 1 - size % 2

    def project(images):
        padded = jnp.pad(images, ((0, extra), (0, extra), (0, 0)))
        parts = [
            radon_projector.project(
                radon_orientations.orient(padded, group.orientations),
                group.cosines,
                group.sines,
                num_detectors,
                footprint,
                angles_per_chunk,
            )
            for group in groups
        ]
        return radon_orientations.gather_views(parts, groups, num_angles)

    def backproject(views):
        total = jnp.zeros((size, size, views.shape[-1]), views.dtype)
        for group in groups:
            spread = radon_orientations.spread_views(views, group)
            stack = radon_backprojector.backproject(
                spread, group.cosines, group.sines, size + extra, footprint
            )
            total = total + radon_orientations.orient_back(stack, group.orientations)[:size, :size]
        return total

    return project, backproject
