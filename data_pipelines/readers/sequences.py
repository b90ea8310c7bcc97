"""Cases of several aligned sequences with one label map, as public segmentation sets lay them out.

    HVSMR 2016      <folder>/**/<name>_full_<patient>.nii.gz and <the same>-label.nii.gz, anywhere below the
    folder;
                    1 myocardium, 2 blood pool
    M&Ms            <folder>/**/<code>_sa.nii.gz and <code>_sa_gt.nii.gz, both over the heart cycle, and one
    .csv with
                    the columns "External code" and "ED"; 1 left ventricle, 2 myocardium, 3 right ventricle
    WMH challenge   <folder>/**/<subject>/pre/T1.nii.gz, pre/FLAIR.nii.gz and <subject>/wmh.nii.gz;
                    1 hyperintensity, 2 other pathology
    BraTS 2019      <folder>/**/<subject>_{t1,flair,t1ce,t2,seg}.nii.gz; 1 necrosis, 2 oedema, 4 enhancing
    tumour

Files may be .nii too; hidden ones are passed over.
"""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from data_pipelines.example import Example
from data_pipelines.readers import nifti
from data_pipelines.readers.errors import ReadError

_SUFFIXES = (".nii.gz", ".nii")


@dataclass(frozen=True)
class SequencesCase:
    """A subject, not read yet.

    Attributes:
        subject: name of the case.
        image_paths: one volume for each sequence, all on one grid.
        label_path: the label map on that grid, or None.
        labels: what labels of the file become; others are errors.
        frame: which volume of files that hold several, or None.
    """

    subject: str
    image_paths: tuple[Path, ...]
    label_path: Path | None = None
    labels: Mapping[int, int] = field(default_factory=dict, hash=False)
    frame: int | None = None

    def read(self) -> Example:
        """Reads all sequences and the label map.

        Returns:
            The case; its image is (depth, height, width, sequences) float32.

        Raises:
            ReadError: see `nifti.read_volume` and `nifti.read_label`; also for sequences on other grids than
                the first one's and for labels that the set does not have.
        """
        volumes = [nifti.read_volume(path, frame=self.frame) for path in self.image_paths]
        first = volumes[0]
        for path, volume in zip(self.image_paths, volumes, strict=True):
            _check_grid(path, volume, first)
        label = None
        if self.label_path is not None:
            stored = nifti.read_label(self.label_path, first, frame=self.frame)
            label = _renumber(self.label_path, stored, self.labels)
        image = np.stack([volume.image for volume in volumes], axis=-1)
        return replace(first, subject=self.subject, image=image, label=label)


def find_hvsmr(folder: Path) -> list[SequencesCase]:
    """Lists the full volumes of HVSMR 2016 with their labels."""
    by_name = {nifti.case_name(path): path for path in _files(folder, "*_full_*")}
    labels = {0: 0, 1: 1, 2: 2}
    cases = [
        SequencesCase(name, (path,), by_name[f"{name}-label"], labels)
        for name, path in by_name.items()
        if f"{name}-label" in by_name
    ]
    return _found(cases, folder, "<name>_full_<patient>.nii.gz beside <the same>-label.nii.gz")


def find_mnms(folder: Path) -> list[SequencesCase]:
    """Lists the end-diastolic volumes of M&Ms that have labels: one for each subject."""
    tables = sorted(folder.rglob("*.csv"))
    if len(tables) != 1:
        raise ReadError(folder, f"{len(tables)} tables", "one .csv")
    with tables[0].open(newline="", encoding="utf-8-sig") as file:
        rows = {row.get("External code", ""): row.get("ED", "") for row in csv.DictReader(file)}
    cases = []
    for path in _files(folder, "*_sa_gt"):
        code = nifti.case_name(path).removesuffix("_sa_gt")
        if not rows.get(code, "").strip().isdigit():
            raise ReadError(
                tables[0], f"no end-diastolic frame of {code}", "External code and ED of each subject"
            )
        image = _beside(path, f"{code}_sa")
        cases.append(SequencesCase(code, (image,), path, {n: n for n in range(4)}, int(rows[code])))
    return _found(cases, folder, "<code>_sa.nii.gz and <code>_sa_gt.nii.gz")


def find_wmh(folder: Path) -> list[SequencesCase]:
    """Lists the subjects of the WMH challenge; other pathology counts as background."""
    cases = []
    for path in _files(folder, "wmh"):
        images = tuple(_beside(path.parent / "pre" / "x", name) for name in ("T1", "FLAIR"))
        subject = "-".join(path.parent.relative_to(folder).parts) or path.parent.name
        cases.append(SequencesCase(subject, images, path, {0: 0, 1: 1, 2: 0}))
    return _found(cases, folder, "<subject>/wmh.nii.gz with pre/T1.nii.gz and pre/FLAIR.nii.gz")


def find_brats(folder: Path) -> list[SequencesCase]:
    """Lists the subjects of BraTS 2019, of the folder HGG alone where there is one; label 4 becomes 3."""
    root = next((path for path in sorted(folder.rglob("HGG")) if path.is_dir()), folder)
    cases = []
    for path in _files(root, "*_seg"):
        subject = nifti.case_name(path).removesuffix("_seg")
        images = tuple(_beside(path, f"{subject}_{name}") for name in ("t1", "flair", "t1ce", "t2"))
        cases.append(SequencesCase(subject, images, path, {0: 0, 1: 1, 2: 2, 4: 3}))
    return _found(cases, folder, "<subject>_{t1,flair,t1ce,t2,seg}.nii.gz")


def read_sequences(input: Path, names: Sequence[str]) -> Example:
    """Reads a subject without labels.

    Args:
        input: for one sequence, a NIfTI file or a folder with one DICOM series; for several, a folder with a
            file `<name>.nii.gz` for each.
        names: of the sequences.

    Returns:
        The case; its image is (depth, height, width, sequences) float32.

    Raises:
        ReadError: see `SequencesCase.read`.
    """
    from data_pipelines.readers.scan import read_scan  # reads DICOM, which not all need

    if len(names) == 1:
        example = read_scan(input)
        return replace(example, image=example.image.astype(np.float32)[..., None])
    if not input.is_dir():
        raise ReadError(input, "no folder", f"one with {', '.join(f'{name}.nii.gz' for name in names)}")
    return SequencesCase(input.name, tuple(_beside(input / "x", name) for name in names)).read()


def _files(folder: Path, pattern: str) -> list[Path]:
    if not folder.is_dir():
        raise ReadError(folder, "no folder", "one with the data set")
    found = [path for suffix in _SUFFIXES for path in folder.rglob(pattern + suffix)]
    return sorted(path for path in found if not path.name.startswith("."))


def _beside(path: Path, name: str) -> Path:
    for suffix in _SUFFIXES:
        if (found := path.with_name(name + suffix)).is_file():
            return found
    raise ReadError(path.with_name(f"{name}.nii.gz"), "no file", "this sequence of the subject")


def _found(cases: list[SequencesCase], folder: Path, wanted: str) -> list[SequencesCase]:
    if not cases:
        raise ReadError(folder, "no case", wanted)
    return cases


def _check_grid(path: Path, volume: Example, first: Example) -> None:
    if volume.image.shape != first.image.shape:
        raise ReadError(path, f"shape {volume.image.shape}", f"the first sequence's {first.image.shape}")
    assert volume.affine is not None and first.affine is not None
    difference = float(np.abs(volume.affine - first.affine).max())
    if difference > nifti.AFFINE_TOLERANCE:
        raise ReadError(
            path, f"an affine that differs from the first sequence's by {difference:.4g}", "the same grid"
        )


def _renumber(path: Path, stored: np.ndarray, labels: Mapping[int, int]) -> np.ndarray:
    unknown = sorted(set(np.unique(stored).tolist()) - labels.keys())
    if unknown:
        raise ReadError(path, f"label {unknown[0]}", f"labels {', '.join(map(str, labels))}")
    table = np.zeros(256, np.uint8)
    for number, new in labels.items():
        table[number] = new
    return table[stored]
