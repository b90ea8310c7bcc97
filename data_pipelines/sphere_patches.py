"""Patches about chosen centres of volumes whose lesions are spheres.

A prepared case has `image` (depth, height, width), `spheres` (n, 4) centres and radii in voxels, and the
centres of its negative patches, `vessels` and `others` (centres, 3).
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from data_pipelines import patch_centres, patch_geometry

FULL_SCALE = 32767
"""Stored value of the brightest voxel; the darkest one is 0."""

_PERCENTILES = (20.0, 80.0)
_LEAST_RADIUS = 0.87
"""In voxels: half of a voxel's diagonal, so that every sphere holds the centre of a voxel."""

NUM_SPHERES = 8
"""Spheres that a patch may meet: of more, the nearest."""

Cases = Mapping[str, Mapping[str, np.ndarray]]


@dataclass(frozen=True)
class Centre:
    """Where a patch lies.

    Attributes:
        case: its name.
        voxel: the patch's centre.
        is_positive: whether it is that of a lesion.
    """

    case: str
    voxel: tuple[float, ...]
    is_positive: bool


def prepare(
    name: str,
    image: np.ndarray,
    spheres: np.ndarray,
    *,
    voxel_mm: float,
    num_negatives: int,
    min_distance_mm: float,
) -> dict[str, np.ndarray]:
    """Scales a volume and finds the centres of its negative patches, which depend on the case alone.

    Args:
        name: of the case; its digest draws the centres in the parenchyma.
        image: (depth, height, width) on cubes.
        spheres: (n, 4) centres in voxels, radii in mm.
        voxel_mm: side of the cubes.
        num_negatives: half of them on the brightest voxels, half between the 20th and the 80th percentile of
            the values (see `patch_centres`); fewer where the volume has no room.
        min_distance_mm: between any two centres, those of the spheres included.

    Returns:
        `image` int16, its least value 0 and its largest `FULL_SCALE`; `spheres` float32, all in voxels;
        `vessels` and `others`, int32.

    Raises:
        ValueError: all voxels are equal.
    """
    lowest, highest = float(image.min()), float(image.max())
    if lowest == highest:
        raise ValueError(f"{name}: found {lowest:g} in every voxel; wanted an angiogram")
    stored = np.rint((image - lowest) * (FULL_SCALE / (highest - lowest))).astype(np.int16)
    generator = np.random.default_rng(int(hashlib.sha256(name.encode()).hexdigest()[:16], 16))
    half, distance = num_negatives // 2, min_distance_mm / voxel_mm
    vessels = patch_centres.brightest_voxels(stored, half, distance, spheres[:, :3])
    taken = np.concatenate([spheres[:, :3], vessels])
    others = patch_centres.voxels_between(stored, _PERCENTILES, half, distance, generator, taken)
    radius = np.maximum(spheres[:, 3:] / voxel_mm, _LEAST_RADIUS)
    placed = np.concatenate([spheres[:, :3], radius], axis=1).astype(np.float32)
    return {"image": stored, "spheres": placed, "vessels": vessels, "others": others}


def list_centres(cases: Cases, names: Sequence[str], num_negatives: int, copies: int = 1) -> list[Centre]:
    """Lists the patches of some cases.

    Args:
        cases: as above.
        names: which.
        num_negatives: of each case, the first half of them on vessels, the others elsewhere; or as many as it
            has.
        copies: how often each lesion comes.

    Returns:
        Case after case: lesions, vessels, others.
    """
    found = []
    for case in names:
        spheres, half = cases[case]["spheres"], num_negatives // 2
        found += [Centre(case, tuple(map(float, sphere[:3])), True) for sphere in spheres] * copies
        for kind in ("vessels", "others"):
            found += [Centre(case, tuple(map(float, voxel)), False) for voxel in cases[case][kind][:half]]
    return found


def cut(cases: Cases, centre: Centre, size: Sequence[int]) -> dict[str, np.ndarray]:
    """Cuts a box about a centre; beyond the volume its border goes on.

    Args:
        cases: as above.
        centre: of the box, to the nearest voxel.
        size: of the box.

    Returns:
        `image`, and `spheres` (`NUM_SPHERES`, 4) float32: centres from the middle of the box and radii, in
        voxels; -1 throughout where there is none.
    """
    spheres = np.asarray(cases[centre.case]["spheres"])
    half = (np.array(size) - 1) / 2
    start = np.rint(np.array(centre.voxel) - half).astype(int)
    relative = spheres - np.append(start + half, 0)
    near = np.argsort(np.linalg.norm(relative[:, :3], axis=1) - relative[:, 3], kind="stable")[:NUM_SPHERES]
    placed = np.full((NUM_SPHERES, 4), -1, np.float32)
    placed[: len(near)] = relative[near]
    image = patch_geometry.take_patch(cases[centre.case]["image"], start.tolist(), tuple(size), "edge")
    return {"image": image, "spheres": placed}


def label_of(cases: Cases, centre: Centre, size: Sequence[int]) -> np.ndarray:
    """Bools of the voxels of the box of `cut` that lie in spheres."""
    spheres = cut(cases, centre, size)["spheres"]
    return mask_of(spheres[spheres[:, 3] > 0] + np.append((np.array(size) - 1) / 2, 0), size)


def mask_of(spheres: np.ndarray, shape: Sequence[int]) -> np.ndarray:
    """Bools of the voxels whose centres lie in a sphere; `spheres` (n, 4) centres and radii in voxels."""
    mask = np.zeros(tuple(shape), bool)
    for sphere in np.asarray(spheres, np.float64):
        z, y, x = (np.square(np.arange(n) - c) for n, c in zip(shape, sphere[:3], strict=True))
        mask |= z[:, None, None] + y[:, None] + x <= sphere[3] ** 2
    return mask
