"""Patches that cover the slices of a 3-D box, and the boxes of slices that those of the object span."""

import bisect
import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import ndimage

from data_pipelines.patch_geometry import grid_starts, take_patch

_CORNERS_TOO = np.ones((3, 3))
"""Patches that meet at a corner belong together: they overlap."""


@dataclass(frozen=True)
class BoxPatches:
    """Patches of side p that cover the slices of a 3-D box, p / 2 apart, the last ones ending with the box.

    Attributes:
        box: (6,) the 3-D box.
        side: of the patches; a box narrower than that has one patch across, centred on it.
        rows: where they begin, in pixels of the image.
        columns: likewise.
    """

    box: tuple[int, ...]
    side: int
    rows: tuple[int, ...]
    columns: tuple[int, ...]

    @classmethod
    def of(cls, box: np.ndarray, side: int) -> "BoxPatches":
        """The grid of a box."""
        front, top, left, back, bottom, right = map(int, box)
        starts = [
            tuple(first + start for start in grid_starts(last - first, side, side // 2))
            for first, last in ((top, bottom), (left, right))
        ]
        return cls((front, top, left, back, bottom, right), side, *starts)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Slices, rows and columns of patches."""
        return self.box[3] - self.box[0], len(self.rows), len(self.columns)

    def __len__(self) -> int:
        """Patches in all."""
        return int(np.prod(self.shape))

    def cover(self, chosen: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
        """The pixels of an image of this shape that lie in chosen patches (rows, columns) of a slice."""
        covered = np.zeros(shape, bool)
        for row, column in np.argwhere(chosen):
            top, left = self.rows[row], self.columns[column]
            covered[max(top, 0) : top + self.side, max(left, 0) : left + self.side] = True
        return covered

    def cut(self, volume: np.ndarray, index: int) -> np.ndarray:
        """Patch `index` in C order, (p, p); the image's border is repeated beyond it."""
        position, row, column = np.unravel_index(index, self.shape)
        start = (self.rows[row], self.columns[column])
        return take_patch(volume[self.box[0] + position], start, (self.side, self.side), "edge")


class LabelledPatches:
    """All patches of several cases' 3-D boxes, with their classes: 1 where foreground fills over half of one.

    Args:
        cases: `image`, `label` and `box` of each.
        side: of the patches.
    """

    def __init__(self, cases: Sequence[Mapping[str, np.ndarray]], side: int):
        self._cases = cases
        self._patches = [BoxPatches.of(arrays["box"], side) for arrays in cases]
        self._ends = list(itertools.accumulate(map(len, self._patches)))

    def __len__(self) -> int:
        """Patches in all."""
        return self._ends[-1]

    def load(self, index: int, generator: np.random.Generator) -> dict[str, np.ndarray]:
        """Loads `patch` (p, p) and `label` () int32, for `pipeline.make_batches`; draws nothing."""
        number = bisect.bisect_right(self._ends, index)
        patches, arrays = self._patches[number], self._cases[number]
        place = index - self._ends[number] + len(patches)
        label = is_foreground(patches.cut(arrays["label"], place)[None])[0].astype(np.int32)
        return {"patch": patches.cut(arrays["image"], place), "label": label}


def is_foreground(masks: np.ndarray) -> np.ndarray:
    """The class of patches: whether foreground fills over half of each of `masks` (patches, p, p)."""
    return np.count_nonzero(masks, axis=(1, 2)) * 2 > masks[0].size


def shrink_boxes(probabilities: np.ndarray, grid: BoxPatches) -> np.ndarray:
    """Shrinks the rectangle of a 3-D box to the object, slice by slice.

    In each slice, the box around the patches of the largest component of those with a probability above one
    half, cut off at the 3-D box. Where there are none, the patch with the highest probability is taken: the
    3-D box says that the object is in each of its slices.

    Args:
        probabilities: `grid.shape`, that a patch is foreground.
        grid: where the patches are.

    Returns:
        (slices, 4) int32: top, left, bottom, right, half-open.

    Reference: Redekop and Chernyavskiy, Medical image segmentation with imperfect 3D bounding boxes, 2021,
    section 3.1. differs: the text leaves open what becomes of patches apart from the others, and of slices
    without any.
    """
    _, top, left, _, bottom, right = grid.box
    rows, columns = np.array(grid.rows), np.array(grid.columns)
    found = []
    for plane in probabilities:
        chosen = largest_component(plane > 0.5)
        if not chosen.any():
            chosen = plane == plane.max()
        down, across = rows[chosen.any(1)], columns[chosen.any(0)]
        last = (min(down[-1] + grid.side, bottom), min(across[-1] + grid.side, right))
        found.append((max(down[0], top), max(across[0], left), *last))
    return np.array(found, np.int32)


def largest_component(mask: np.ndarray) -> np.ndarray:
    """The largest 8-connected component of a 2-D mask; the mask itself if it is empty."""
    # SciPy's stubs know only the number of components.
    found: Any = ndimage.label(mask, _CORNERS_TOO)
    labels, count = found
    if not count:
        return mask
    return labels == 1 + np.bincount(labels.ravel())[1:].argmax()


def correct_boxes(
    arrays: Mapping[str, np.ndarray], side: int, classify: Callable[[np.ndarray], np.ndarray]
) -> tuple[np.ndarray, BoxPatches, np.ndarray]:
    """Classifies all patches of a case's 3-D box and shrinks its slices to the object.

    Args:
        arrays: `image` and `box` of the case.
        side: of the patches.
        classify: from (patches, p, p) to (patches,) probabilities of the foreground.

    Returns:
        (depth, 4) boxes, all 0 outside the 3-D box; the patches; and their probabilities.
    """
    patches = BoxPatches.of(arrays["box"], side)
    cut = np.stack([patches.cut(arrays["image"], index) for index in range(len(patches))])
    probabilities = classify(cut).reshape(patches.shape)
    boxes = np.zeros((len(arrays["image"]), 4), np.int32)
    boxes[patches.box[0] : patches.box[3]] = shrink_boxes(probabilities, patches)
    return boxes, patches, probabilities


def perfect_boxes(arrays: Mapping[str, np.ndarray], side: int) -> np.ndarray:
    """What `correct_boxes` gives if no patch is classified wrongly: how tight patches of a side can get.

    Each patch has the share of it that the object fills for its probability. So a slice whose object fills no
    patch by half gets the fullest one.

    Args:
        arrays: `label` and `box` of the case.
        side: of the patches.

    Returns:
        (depth, 4) boxes.
    """
    return correct_boxes({**arrays, "image": arrays["label"]}, side, _filled_shares)[0]


def _filled_shares(masks: np.ndarray) -> np.ndarray:
    return np.count_nonzero(masks, axis=(1, 2)) / masks[0].size
