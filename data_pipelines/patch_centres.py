"""Where patches of the background are centred: on the brightest voxels, or on voxels of ordinary value.

No two centres are nearer than a least distance, those that are taken already among them. Where a volume has
no room for as many centres as are wanted, there are fewer.
"""

import numpy as np

_TRIES = 200
"""Voxels that are drawn for each centre that is wanted."""


def brightest_voxels(
    image: np.ndarray, count: int, min_distance: float, taken: np.ndarray | None = None
) -> np.ndarray:
    """Takes the brightest voxel, again and again, among those far enough from all that have been taken.

    Args:
        image: (depth, height, width), its voxels cubes.
        count: how many at most.
        min_distance: between centres, in voxels.
        taken: (n, 3) centres to keep away from as well, in voxels.

    Returns:
        (count or fewer, 3) int32, by falling value; of equal voxels the first in C order.

    Reference: Assis et al., An Efficient Data Strategy for the Detection of Brain Aneurysms from MRA, section
    2.3.
    """
    values = image.astype(np.float32)
    for centre in [] if taken is None else np.rint(taken).astype(int):
        _block(values, centre, min_distance)
    found: list[np.ndarray] = []
    while len(found) < count:
        centre = np.array(np.unravel_index(np.argmax(values), values.shape))
        if values[tuple(centre)] == -np.inf:
            break
        found.append(centre)
        _block(values, centre, min_distance)
    return np.array(found, np.int32).reshape(-1, 3)


def voxels_between(
    image: np.ndarray,
    percentiles: tuple[float, float],
    count: int,
    min_distance: float,
    generator: np.random.Generator,
    taken: np.ndarray | None = None,
) -> np.ndarray:
    """Draws voxels uniformly among those whose value lies between two percentiles of the volume.

    Args:
        image: (depth, height, width), its voxels cubes.
        percentiles: of the values, both ends included.
        count: how many at most; drawing ends after 200 voxels for each that is wanted.
        min_distance: between centres, in voxels.
        generator: draws.
        taken: (n, 3) centres to keep away from as well, in voxels.

    Returns:
        (count or fewer, 3) int32, in the order of drawing.

    Reference: as `brightest_voxels`.
    """
    low, high = np.percentile(image, percentiles)
    candidates = np.flatnonzero((image >= low) & (image <= high))
    drawn = generator.choice(candidates, count * _TRIES)
    centres = np.zeros((0, 3)) if taken is None else np.asarray(taken, np.float64)
    found: list[np.ndarray] = []
    for voxel in np.stack(np.unravel_index(drawn, image.shape), axis=1):
        if len(found) == count:
            break
        if not (np.square(centres - voxel).sum(axis=1) < min_distance**2).any():
            found.append(voxel)
            centres = np.concatenate([centres, voxel[None]])
    return np.array(found, np.int32).reshape(-1, 3)


def _block(values: np.ndarray, centre: np.ndarray, distance: float) -> None:
    """Bars all voxels nearer to the centre than the distance, and the centre, in place."""
    reach = int(np.ceil(distance))
    box, squares = [], []
    for middle, size in zip(centre, values.shape, strict=True):
        cut = slice(max(middle - reach, 0), min(middle + reach + 1, size))
        box.append(cut)
        squares.append(np.square(np.arange(cut.start, cut.stop) - middle))
    far = squares[0][:, None, None] + squares[1][:, None] + squares[2]
    values[tuple(box)][far < max(distance**2, 0.5)] = -np.inf
