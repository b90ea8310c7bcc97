"""Labelled volumes with the boxes of their objects, prepared one by one to one grid: phantoms, or files.

Boxes are half-open: (top, left, bottom, right) of a slice, (front, top, left, back, bottom, right) of a
volume, all 0 where there is no object.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy import ndimage

from data_pipelines import cache, foreground_intensity, preprocess
from data_pipelines.phantoms import abdomen_ct
from data_pipelines.phantoms.digest import phantom_code

AIR_HU = -1000.0
"""What slices are padded with."""

PHANTOM_FIELD_OF_VIEW_MM = 400.0


@dataclass(frozen=True)
class BoxedVolumes:
    """Volumes that can be prepared one by one.

    Attributes:
        key: what the prepared arrays depend on, for `cache.open_cache`.
        cases: their names.
        build: prepares one: see `prepare`.
    """

    key: Mapping[str, Any]
    cases: tuple[str, ...]
    build: Callable[[str], dict[str, np.ndarray]]


def prepare(image: np.ndarray, label: np.ndarray) -> dict[str, np.ndarray]:
    """What is kept of a case.

    Args:
        image: (depth, height, width) whole HU.
        label: of the same shape; every label but 0 is the object.

    Returns:
        `image`; `label`, uint8 0 and 1; `box` (6,), that of the volume; `loose_boxes` (depth, 4), its slices;
        `boxes` (depth, 4), the tight boxes of the slices; `intensity`, the counts of the HU under the label
        (`foreground_intensity`).

    Raises:
        ValueError: there is no foreground.
    """
    mask = (label > 0).astype(np.uint8)
    if not mask.any():
        raise ValueError("found a label without foreground; wanted an object to be boxed")
    box = tight_box(mask)
    return {
        "image": image,
        "label": mask,
        "boxes": np.stack([tight_box(part) for part in mask]),
        "loose_boxes": loose_boxes(box, len(mask)),
        "box": box,
        "intensity": foreground_intensity.count_values(image, mask),
    }


def tight_box(mask: np.ndarray) -> np.ndarray:
    """The smallest box around all that is not 0, (2 axes,) int32; all 0 if there is nothing."""
    found = ndimage.find_objects((mask != 0).astype(np.uint8))
    if not found:
        return np.zeros(2 * mask.ndim, np.int32)
    return np.array([*(axis.start for axis in found[0]), *(axis.stop for axis in found[0])], np.int32)


def loose_boxes(box: np.ndarray, depth: int) -> np.ndarray:
    """The slices of a volume's box, (depth, 4) int32."""
    boxes = np.zeros((depth, 4), np.int32)
    boxes[box[0] : box[3]] = box[[1, 2, 4, 5]]
    return boxes


def phantoms(
    num_cases: int, *, image_size: int, num_slices: int, slice_mm: float, num_angles: int
) -> BoxedVolumes:
    """Livers of the abdominal phantom (`phantoms.abdomen_ct`), scanned with a field of view of 400 mm."""
    grid = {
        "image_size": image_size,
        "pixel_mm": PHANTOM_FIELD_OF_VIEW_MM / image_size,
        "num_slices": num_slices,
        "slice_mm": slice_mm,
        "num_angles": num_angles,
    }
    return BoxedVolumes(
        {"source": "phantom", "code": phantom_code(), **grid},
        tuple(f"case-{number:03d}" for number in range(num_cases)),
        lambda name: prepare(*abdomen_ct.draw_scan(int(name.removeprefix("case-")), **grid)),
    )


def find_cases(data_dir: Path) -> list:
    """The labelled cases of a folder, in a layout of `readers.volume_folder`.

    Raises:
        ReadError: there are none.
    """
    from data_pipelines.readers import volume_folder
    from data_pipelines.readers.errors import ReadError

    cases = [case for case in volume_folder.find_cases(data_dir) if case.label_path]
    if not cases:
        raise ReadError(data_dir, "no volume with a label", "imagesTr/ and labelsTr/, or images/ and masks/")
    return cases


def read(case: Any, image_size: int) -> dict[str, np.ndarray]:
    """Reads a labelled case, its whole field of view on `image_size` pixels a side.

    Raises:
        ReadError: a file that cannot be used.
        ValueError: see `prepare`.
    """
    example = preprocess.fit_field_of_view(case.read(), image_size, AIR_HU)
    assert example.label is not None
    return prepare(example.image, example.label)


def files(data_dir: Path, image_size: int) -> BoxedVolumes:
    """The labelled volumes of a folder: see `find_cases` and `read`."""
    by_name = {case.subject: case for case in find_cases(data_dir)}
    paths = [path for case in by_name.values() for path in (case.image_path, case.label_path)]
    key = {
        "source": str(data_dir.resolve()),
        "files": cache.fingerprint(paths),
        "image_size": image_size,
    }
    return BoxedVolumes(key, tuple(by_name), lambda name: read(by_name[name], image_size))
