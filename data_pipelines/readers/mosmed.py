"""MosMedData COVID19_1110: chest CT of 1110 people by severity, 50 of them with masks of the lesions.

Layout, as published:

    <folder>/studies/CT-{0..4}/study_xxxx.nii.gz
    <folder>/masks/study_xxxx_mask.nii.gz

Licence CC BY-NC-ND 3.0. S. P. Morozov et al., MosMedData: Chest CT Scans with COVID-19 Related Findings
Dataset, arXiv:2005.06465.
"""

import re
from dataclasses import dataclass
from pathlib import Path

from data_pipelines.readers.errors import ReadError
from data_pipelines.readers.volume_folder import VolumeCase, nifti_files

SEVERITIES = ("CT-0", "CT-1", "CT-2", "CT-3", "CT-4")
"""Classes by the share of the lungs affected: none, up to 25 %, 50 %, 75 %, and more."""


@dataclass(frozen=True)
class MosMedCase(VolumeCase):
    """A study and perhaps its lesion mask (0 background, 1 ground-glass opacity or consolidation).

    Attributes:
        severity: one of `SEVERITIES`.
    """

    severity: str = SEVERITIES[0]


def find_cases(folder: str | Path, *, masked_only: bool = False) -> list[MosMedCase]:
    """Lists the studies.

    Args:
        folder: holds studies/ and masks/.
        masked_only: leaves out the studies without a mask.

    Returns:
        The cases by name.

    Raises:
        ReadError: no studies, a study in two classes, a file or folder of another name, or a mask without
            its study.
    """
    folder = Path(folder)
    if not (folder / "studies").is_dir():
        raise ReadError(folder, "no studies/", "studies/CT-0 to CT-4 and masks/")
    masks = _masks(folder / "masks")
    cases: dict[str, MosMedCase] = {}
    for path in _studies(folder / "studies"):
        subject = _number(path, r"(study_\d+)\.nii(\.gz)?", "study_xxxx.nii.gz")
        if subject in cases:
            raise ReadError(path, f"the study of {cases[subject].image_path} again", "one file per study")
        cases[subject] = MosMedCase(
            subject, path, masks.pop(subject, None), num_classes=2, severity=path.parent.name
        )
    if not cases:
        raise ReadError(folder / "studies", "no study", "studies/CT-{0..4}/study_xxxx.nii.gz")
    for path in masks.values():
        raise ReadError(path, "no study for this mask", "its study in studies/CT-{0..4}")
    ordered = (cases[subject] for subject in sorted(cases))
    return [case for case in ordered if case.label_path or not masked_only]


def _studies(folder: Path) -> list[Path]:
    paths = []
    for child in sorted(folder.iterdir()):
        if child.name.startswith("."):
            continue
        if not child.is_dir() or child.name not in SEVERITIES:
            raise ReadError(child, "an unknown entry of studies/", "folders CT-0 to CT-4")
        paths += nifti_files(child)
    return paths


def _masks(folder: Path) -> dict[str, Path]:
    if not folder.is_dir():
        return {}
    wanted = "study_xxxx_mask.nii.gz"
    return {_number(path, r"(study_\d+)_mask\.nii(\.gz)?", wanted): path for path in nifti_files(folder)}


def _number(path: Path, pattern: str, wanted: str) -> str:
    match = re.fullmatch(pattern, path.name)
    if match is None:
        raise ReadError(path, f"the file name {path.name!r}", wanted)
    return match[1]
