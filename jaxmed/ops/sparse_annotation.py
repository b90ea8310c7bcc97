"""Sparse annotation: random annotation planes, and the lines in which random training planes cut them.

Reference: Laprade et al., How Few Annotations are Needed for Segmentation Using a Multi-planar U-Net?,
    section 2.
"""

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxmed.ops import oblique

UNKNOWN = -1
"""Label of what nobody has annotated; 0 is background, 1 foreground."""

_CANDIDATES = 32
_MAX_ROUNDS = 50


@dataclass(frozen=True)
class Volume:
    """Attributes: image, standardised, and label, (depth, height, width); spacing of the voxels."""

    image: np.ndarray
    label: np.ndarray
    spacing: np.ndarray

    @property
    def extent(self) -> np.ndarray:
        """Size along the axes."""
        return np.array(self.image.shape) * self.spacing


class Planes(NamedTuple):
    """Attributes: rotation, (planes, 3, 3), see `oblique.plane_points`; centre, (planes, 3)."""

    rotation: np.ndarray
    centre: np.ndarray


class Cuts(NamedTuple):
    """Planes cut from a volume.

    Attributes:
        image: (planes, size, size) float32, 0 outside the volume.
        label: (planes, size, size) int8, `UNKNOWN` where there is no annotation or no volume.
        voxel: (planes, size, size) int32, the flat index of the nearest voxel of each pixel.
    """

    image: np.ndarray
    label: np.ndarray
    voxel: np.ndarray


class Annotated(NamedTuple):
    """What one repeat trains on.

    Attributes:
        image: (planes, size, size) of the training planes.
        label: (planes, size, size), with `UNKNOWN`.
        known: per volume, the label (depth, height, width) of the same annotation, with `UNKNOWN`.
    """

    image: np.ndarray
    label: np.ndarray
    known: tuple[np.ndarray, ...]


def draw_planes(rng: np.random.Generator, count: int, volume: Volume) -> Planes:
    """Draws planes of uniform orientation through uniform points of a volume."""
    key = jax.random.key(int(rng.integers(2**31)))
    centre = rng.uniform(-0.5, 0.5, (count, 3)) * volume.extent
    return Planes(np.asarray(oblique.draw_rotations(key, count)), centre.astype(np.float32))


def annotate_voxels(volume: Volume, planes: Planes) -> np.ndarray:
    """The label of the voxels in layers one voxel thick around the planes, `UNKNOWN` elsewhere."""
    offsets = np.einsum("pi,pi->p", planes.rotation[:, 0], planes.centre)
    return np.asarray(_annotate(volume.label, volume.spacing, planes.rotation[:, 0], offsets))


@jax.jit
def _annotate(label: jax.Array, spacing: jax.Array, normals: jax.Array, offsets: jax.Array) -> jax.Array:
    voxels = jnp.stack(jnp.meshgrid(*map(jnp.arange, label.shape), indexing="ij"), axis=-1)
    points = oblique.to_mm(voxels, label.shape, spacing)
    near = oblique.voxel_distance(points, normals, offsets, spacing) <= 0.5
    return jnp.where(near, label.astype(jnp.int8), UNKNOWN)


def cut(volume: Volume, known: np.ndarray, planes: Planes, size: int) -> Cuts:
    """Samples planes of square pixels as large as the volume's finest spacing, on the device.

    Args:
        volume: whose image is interpolated trilinearly.
        known: its labels as annotated, with `UNKNOWN`; the nearest voxel's is taken.
        planes: which.
        size: pixels along the sides.
    """
    parts = []
    for start in range(0, len(planes.centre), _CANDIDATES):
        some = [array[start : start + _CANDIDATES] for array in planes]
        # One number of planes for all calls, so that one program does for all.
        filled = [np.concatenate([a, np.repeat(a[-1:], _CANDIDATES - len(a), axis=0)]) for a in some]
        cuts = _cut(volume.image, known, volume.spacing, *filled, size=size)
        parts.append([np.asarray(array)[: len(some[0])] for array in cuts])
    return Cuts(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))


@functools.partial(jax.jit, static_argnames="size")
def _cut(image, known, spacing, rotations, centres, *, size: int) -> tuple[jax.Array, jax.Array, jax.Array]:
    flat = jnp.arange(image.size, dtype=jnp.int32).reshape(image.shape)

    def one(plane: tuple) -> tuple[jax.Array, jax.Array, jax.Array]:
        rotation, centre = plane
        points = oblique.plane_points(rotation, centre, (size, size), spacing.min())
        voxels = oblique.to_voxels(points, image.shape, spacing)
        return (
            oblique.sample_linear(image, voxels),
            oblique.sample_nearest(known, voxels, fill=UNKNOWN),
            oblique.sample_nearest(flat, voxels),
        )

    return jax.lax.map(one, (rotations, centres))


def annotate(
    volumes: Sequence[Volume],
    seed: Sequence[int],
    *,
    num_annotation: int,
    num_training: int,
    size: int,
    min_annotated: int,
) -> Annotated:
    """Annotates volumes and samples what is trained on.

    The annotation planes are dealt out to the volumes in a random order, so that with few planes some
    volumes have none; the training planes are dealt out to the volumes that have some. Both are the same for
    equal seeds, however many are drawn.

    Args:
        volumes: to train on.
        seed: of the draw.
        num_annotation: planes that are annotated, in all volumes together.
        num_training: planes that are sampled, or 0 for the annotation planes themselves.
        size: pixels along the sides of both.
        min_annotated: a training plane with fewer annotated pixels is drawn again.

    Raises:
        ValueError: if random planes hardly ever have so many annotated pixels.
    """
    order = np.random.default_rng([*seed, 0]).permutation(len(volumes))
    counts = np.bincount(order[np.arange(num_annotation) % len(volumes)], minlength=len(volumes))
    used = [number for number in order if counts[number]]
    cuts, known = [], [np.full(volume.label.shape, UNKNOWN, np.int8) for volume in volumes]
    for place, number in enumerate(used):
        volume, rng = volumes[number], np.random.default_rng([*seed, 1, int(number)])
        planes = draw_planes(rng, int(counts[number]), volume)
        layers = annotate_voxels(volume, planes)
        if num_training:
            share = num_training // len(used) + (place < num_training % len(used))
            found = _training_cuts(volume, layers, rng, share, size, min_annotated)
            seen = found.voxel[found.label != UNKNOWN]
            known[number].flat[seen] = layers.flat[seen]
        else:
            found = cut(volume, volume.label.astype(np.int8), planes, size)
            known[number] = layers
        cuts.append(found)
    image, label, _ = (np.concatenate(arrays) for arrays in zip(*cuts, strict=True))
    return Annotated(image, label, tuple(known))


def _training_cuts(
    volume: Volume, layers: np.ndarray, rng: np.random.Generator, count: int, size: int, min_annotated: int
) -> Cuts:
    """Random planes with enough annotated pixels, as many as are wanted."""
    kept = [Cuts(*(np.zeros((0, size, size), dtype) for dtype in (np.float32, np.int8, np.int32)))]
    for _ in range(_MAX_ROUNDS):
        missing = count - sum(len(cuts.image) for cuts in kept)
        if missing <= 0:
            break
        cuts = cut(volume, layers, draw_planes(rng, _CANDIDATES, volume), size)
        chosen = np.flatnonzero((cuts.label != UNKNOWN).sum(axis=(1, 2)) >= min_annotated)[:missing]
        kept.append(Cuts(*(array[chosen] for array in cuts)))
    else:
        raise ValueError(
            f"min_annotated is {min_annotated}: of {_MAX_ROUNDS * _CANDIDATES} random planes of {size} x "
            f"{size} pixels fewer than {count} have so many annotated pixels; wanted a smaller number"
        )
    return Cuts(*(np.concatenate(arrays) for arrays in zip(*kept, strict=True)))
