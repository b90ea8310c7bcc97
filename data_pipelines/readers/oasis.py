"""OASIS-1 cross-sectional: the masked T88 images and the clinical dementia rating of each subject.

Layout: `<root>/**/OAS1_<number>_MR1/PROCESSED/MPRAGE/T88_111/*_t88_masked_gfc.{hdr,img}` (Analyze 7.5,
176 x 208 x 176 voxels of 1 mm) and `<root>/oasis_cross-sectional*.csv` with the columns ID and CDR.
"""

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from nibabel import filebasedimages, spm2analyze

from data_pipelines.readers.errors import ReadError

_PATTERN = "OAS1_*_MR1/PROCESSED/MPRAGE/T88_111/*_t88_masked_gfc.hdr"
_SHAPE = (176, 208, 176)


@dataclass(frozen=True)
class Subject:
    """Attributes: name, such as OAS1_0001_MR1; header, the .hdr file; has_dementia, a rating above 0."""

    name: str
    header: Path
    has_dementia: bool


def find_subjects(root: Path) -> list[Subject]:
    """Finds the subjects with an image, sorted by name.

    A rating that is missing counts as 0, as those of young subjects, who were not rated. Second visits (MR2)
    are left out.

    Raises:
        ReadError: if there is no image, not one table, or an image without a line in it.
    """
    headers = sorted(root.rglob(_PATTERN))
    tables = sorted(root.rglob("oasis_cross-sectional*.csv"))
    if not headers or len(tables) != 1:
        raise ReadError(root, f"{len(headers)} images and {len(tables)} tables", f"{_PATTERN} and one table")
    with tables[0].open(newline="", encoding="utf-8-sig") as file:
        ratings = {row.get("ID", ""): row.get("CDR") or "0" for row in csv.DictReader(file)}
    subjects = []
    for header in headers:
        name = header.parents[3].name
        try:
            subjects.append(Subject(name, header, float(ratings[name]) > 0))
        except (KeyError, ValueError) as error:
            raise ReadError(tables[0], f"no rating of {name} ({error})", "a line with ID and CDR") from error
    return subjects


def read_slice(subject: Subject) -> np.ndarray:
    """The middle axial slice, (208, 176) float32 in [0, 1], anterior at the top.

    Raises:
        ReadError: if the image cannot be read or has another shape.
    """
    try:
        image = spm2analyze.Spm2AnalyzeImage.from_filename(str(subject.header))
        volume = np.asarray(image.dataobj, np.float32)
    except (OSError, ValueError, filebasedimages.ImageFileError) as error:
        raise ReadError(subject.header, f"{type(error).__name__}: {error}", "an Analyze image") from error
    if volume.reshape(volume.shape[:3]).shape != _SHAPE or volume.size != np.prod(_SHAPE):
        raise ReadError(subject.header, f"the shape {volume.shape}", f"{_SHAPE}")
    if not np.isfinite(volume).all():
        raise ReadError(subject.header, "a voxel that is not finite", "finite ones")
    middle = volume.reshape(_SHAPE)[:, :, _SHAPE[2] // 2].T[::-1]
    return middle / max(float(volume.max()), 1.0)
