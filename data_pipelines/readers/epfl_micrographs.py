"""EPFL's electron micrographs of the CA1 hippocampus with mitochondria, as published: four TIFF files."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from data_pipelines.example import Example
from data_pipelines.readers import tiff_stack
from data_pipelines.readers.errors import ReadError

_SIDES = {"training": 448, "testing": 165}
_PARTS = 4


@dataclass(frozen=True)
class MicrographCase:
    """A part of a block of 165 x 768 x 1024 voxels: one of its corners, over all its slices.

    The parts to train on are 448 voxels high and wide, those to test on 165, as Laprade et al. have them;
    along the height the former overlap.

    Attributes:
        subject: name of the part.
        image_path: the block.
        label_path: its mask, 0 and 255.
        side: height and width.
        corner: 0 to 3.
    """

    subject: str
    image_path: Path
    label_path: Path
    side: int
    corner: int

    def read(self) -> Example:
        """Reads the part; its unit is the voxel (5 nm), its label 0 and 1.

        Raises:
            ReadError: see `tiff_stack.read`, and if image and mask differ in shape.
        """
        image, label = tiff_stack.read(self.image_path), tiff_stack.read(self.label_path)
        if image.shape != label.shape:
            raise ReadError(self.label_path, f"a mask of shape {label.shape}", f"the image's {image.shape}")
        size = [min(self.side, extent) for extent in image.shape[1:]]
        starts = [
            place * (extent - length)
            for place, extent, length in zip(divmod(self.corner, 2), image.shape[1:], size, strict=True)
        ]
        part = (slice(None), *(slice(a, a + n) for a, n in zip(starts, size, strict=True)))
        return Example(
            subject=self.subject,
            image=image[part].astype(np.float32),
            label=(label[part] > 0).astype(np.uint8),
            spacing_mm=(1.0, 1.0, 1.0),
        )


def find_cases(folder: str | Path) -> list[MicrographCase]:
    """Lists the four parts of each block.

    Args:
        folder: holds `training.tif`, `training_groundtruth.tif`, `testing.tif`, `testing_groundtruth.tif`.

    Raises:
        ReadError: if one of them is missing.
    """
    cases = []
    for block, side in _SIDES.items():
        image, label = Path(folder) / f"{block}.tif", Path(folder) / f"{block}_groundtruth.tif"
        for path in (image, label):
            if not path.is_file():
                raise ReadError(path, "no such file", "the four TIFF files as published")
        cases += [MicrographCase(f"{block}-{k}", image, label, side, k) for k in range(_PARTS)]
    return cases
