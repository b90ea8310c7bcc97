"""The eightfold symmetry of the square, which reduces every projection angle to one in [0, pi/4]."""

import dataclasses
import functools
from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

ORIENTATIONS = 4
"""Angle theta is reached from an image as it is, pi - theta from its mirror image, and pi/2 -+ theta from the
two transposed ones."""


@dataclasses.dataclass(frozen=True)
class AngleGroup:
    """Base angles in [0, pi/4] and the orientations of the image in which they are projected.

    Attributes:
        orientations: numbers of the orientations, out of `ORIENTATIONS`.
        cosines: cosine of each base angle, float64.
        sines: sine of each base angle, float64.
        views: for each base angle and orientation the number of the angle that it gives; num_angles where
            that angle does not exist or is given elsewhere.
    """

    orientations: tuple[int, ...]
    cosines: np.ndarray
    sines: np.ndarray
    views: np.ndarray


@functools.cache
def angle_groups(num_angles: int) -> tuple[AngleGroup, ...]:
    """Split num_angles equidistant angles in [0, pi) into groups with common base angles.

    With an even number the transposed image meets the same base angles as the image itself, so one group
    suffices; with an odd number its base angles lie half a step apart.
    """
    if num_angles % 2 == 0:
        return _unique((_group(num_angles, 0.0, (0, 1, 2, 3)),), num_angles)
    groups = (_group(num_angles, 0.0, (0, 1)), _group(num_angles, 0.5, (2, 3)))
    return _unique(tuple(group for group in groups if group.cosines.size), num_angles)


def _group(num_angles: int, offset: float, orientations: tuple[int, ...]) -> AngleGroup:
    steps = np.arange(num_angles // 4 + 1) + offset
    steps = steps[4 * steps <= num_angles]
    reached = np.stack([steps, num_angles - steps, num_angles / 2 - steps, num_angles / 2 + steps], -1)
    theta = steps * (np.pi / num_angles)
    return AngleGroup(
        orientations=orientations,
        cosines=np.cos(theta),
        sines=np.sin(theta),
        views=np.round(reached[:, orientations]).astype(np.int32),
    )


def _unique(groups: tuple[AngleGroup, ...], num_angles: int) -> tuple[AngleGroup, ...]:
    """Keep the first of the two places that give the angles 0, pi/4, pi/2 and 3 pi/4."""
    all_views = np.concatenate([group.views.ravel() for group in groups])
    first = np.full(all_views.size, num_angles, np.int32)
    positions = np.unique(all_views, return_index=True)[1]
    first[positions] = all_views[positions]
    parts = np.split(first, np.cumsum([group.views.size for group in groups])[:-1])
    return tuple(
        dataclasses.replace(group, views=part.reshape(group.views.shape))
        for group, part in zip(groups, parts, strict=True)
    )


def orient(
    images: Float[Array, "rows columns batch"], orientations: Sequence[int]
) -> Float[Array, "rows columns orientations batch"]:
    """Stack the image in the given orientations; rows and columns are odd and equal in number."""
    turned = (
        lambda x: x,
        lambda x: x[:, ::-1],
        lambda x: jnp.swapaxes(x, 0, 1)[::-1, ::-1],
        lambda x: jnp.swapaxes(x, 0, 1)[:, ::-1],
    )
    return jnp.stack([turned[number](images) for number in orientations], axis=2)


def orient_back(
    stack: Float[Array, "rows columns orientations batch"], orientations: Sequence[int]
) -> Float[Array, "rows columns batch"]:
    """Transpose of `orient`: undo each orientation and add them up."""
    turned = (
        lambda x: x,
        lambda x: x[:, ::-1],
        lambda x: jnp.swapaxes(x[::-1, ::-1], 0, 1),
        lambda x: jnp.swapaxes(x[:, ::-1], 0, 1),
    )
    first, *others = (turned[number](stack[:, :, place]) for place, number in enumerate(orientations))
    return sum(others, first)


def gather_views(
    parts: Sequence[Float[Array, "_ detectors orientations batch"]],
    groups: Sequence[AngleGroup],
    num_angles: int,
) -> Float[Array, "angles detectors batch"]:
    """Put the projections of all groups in the order of their angles."""
    flat = [jnp.swapaxes(part, 1, 2).reshape(-1, part.shape[1], part.shape[3]) for part in parts]
    views = np.concatenate([group.views.ravel() for group in groups])
    places = np.argsort(views, kind="stable")[:num_angles]
    return jnp.concatenate(flat)[places]


def spread_views(
    sinograms: Float[Array, "angles detectors batch"], group: AngleGroup
) -> Float[Array, "base detectors orientations batch"]:
    """Transpose of `gather_views` for one group: zero where a view is given elsewhere."""
    padded = jnp.pad(sinograms, ((0, 1), (0, 0), (0, 0)))
    views = padded[group.views.ravel()].reshape(*group.views.shape, *sinograms.shape[1:])
    return jnp.swapaxes(views, 1, 2)
