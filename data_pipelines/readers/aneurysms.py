"""Angiograms with aneurysms annotated as spheres: two points each in 3D Slicer, or masks.

Two layouts are read:

    <folder>/images/<name>.nii.gz      <folder>/points/<name>.fcsv or <name>.mrk.json
    <folder>/<name>/pre/TOF.nii.gz     <folder>/<name>/aneurysms.nii.gz

The second is that of the ADAM challenge, whose masks become spheres of equal centre and volume.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from scipy import ndimage

from data_pipelines import preprocess
from data_pipelines.example import Example
from data_pipelines.readers import nifti, slicer_points, two_point_spheres, volume_folder
from data_pipelines.readers.errors import ReadError

_UNTREATED = 1
"""Label of the ADAM challenge; 2 is a treated aneurysm, which is ignored."""


@dataclass(frozen=True)
class AneurysmCase:
    """An angiogram and its annotation, not read yet.

    Attributes:
        subject: name of the case.
        image_path: NIfTI.
        points_path: .fcsv or .mrk.json with neck, dome, neck, dome, ...; or
        mask_path: label map on the grid of the image, 1 in untreated aneurysms.
    """

    subject: str
    image_path: Path
    points_path: Path | None = None
    mask_path: Path | None = None

    @property
    def paths(self) -> list[Path]:
        """The files of the case."""
        return [p for p in (self.image_path, self.points_path, self.mask_path) if p is not None]

    def read(self) -> Example:
        """Reads the volume, and its annotation to see that it can be read."""
        example, _ = self.read_annotated()
        return example

    def read_annotated(self) -> tuple[Example, np.ndarray]:
        """Reads the volume and its spheres: (n, 4) centres in voxels of the example, radii in mm.

        Raises:
            ReadError: see `nifti.read_volume`, `nifti.read_label` and `two_point_spheres.read_spheres`.
        """
        example = replace(nifti.read_volume(self.image_path), subject=self.subject)
        if self.points_path is not None:
            return example, two_point_spheres.read_spheres(self.points_path, example)
        assert self.mask_path is not None
        example = replace(example, label=nifti.read_label(self.mask_path, example, num_classes=3))
        return example, _spheres_of(example)

    def read_cubes(self, voxel_mm: float) -> tuple[np.ndarray, np.ndarray]:
        """Reads the volume resampled to cubes, and its spheres: centres in these, radii in mm."""
        example, spheres = self.read_annotated()
        cubes = preprocess.resample(replace(example, label=None), (voxel_mm,) * 3)
        before, after = ((np.array(one.image.shape) - 1) / 2 for one in (example, cubes))
        centres = (spheres[:, :3] - before) * np.array(example.spacing_mm) / voxel_mm + after
        return cubes.image, np.concatenate([centres, spheres[:, 3:]], axis=1)


def _spheres_of(example: Example) -> np.ndarray:
    """A sphere of equal centre and volume for each 26-connected component of label 1."""
    labelled: Any = ndimage.label(example.label == _UNTREATED, np.ones((3, 3, 3)))
    parts, count = labelled
    numbers = np.arange(1, count + 1)
    centres = np.array(ndimage.center_of_mass(parts > 0, parts, numbers)).reshape(-1, 3)
    volume = np.bincount(parts.ravel(), minlength=count + 1)[1:] * np.prod(example.spacing_mm)
    radius = np.cbrt(3 * volume / (4 * np.pi))
    return np.concatenate([centres, radius[:, None]], axis=1).astype(np.float32)


def find_cases(data_dir: Path) -> list[AneurysmCase]:
    """Lists the cases of a folder in one of the layouts above.

    Raises:
        ReadError: no case, a case without annotation or with two, or points without their volume.
    """
    images = data_dir / "images"
    if images.is_dir():
        return _with_points(images, data_dir / "points")
    cases = []
    for image in sorted(data_dir.glob("*/pre/TOF.nii.gz")):
        folder = image.parents[1]
        mask = folder / "aneurysms.nii.gz"
        if not mask.is_file():
            raise ReadError(folder, "no aneurysms.nii.gz", "one beside pre/")
        cases.append(AneurysmCase(folder.name, image, mask_path=mask))
    if not cases:
        raise ReadError(data_dir, "no images/ and no */pre/TOF.nii.gz", "one of the two layouts")
    return cases


def _with_points(images: Path, points: Path) -> list[AneurysmCase]:
    found: dict[str, Path] = {}
    for path in sorted(points.glob("*")):
        if path.name.endswith(slicer_points.SUFFIXES) and not path.name.startswith("."):
            if slicer_points.case_name(path) in found:
                raise ReadError(path, "a second annotation of the case", "one")
            found[slicer_points.case_name(path)] = path
    cases = []
    for path in volume_folder.nifti_files(images):
        name = nifti.case_name(path)
        if name not in found:
            raise ReadError(
                path, f"no {points.name}/{name}.fcsv or .mrk.json", "an annotation, perhaps empty"
            )
        cases.append(AneurysmCase(name, path, points_path=found.pop(name)))
    for path in found.values():
        raise ReadError(path, "points without their volume", f"one of the same name in {images.name}/")
    if not cases:
        raise ReadError(images, "no volume", "NIfTI files")
    return cases
