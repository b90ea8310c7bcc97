"""Pairs of CT volumes that differ in the reconstruction kernel alone.

Two layouts are read: DICOM files in any folder structure, grouped by their headers, and

    <folder>/smooth/<name>.nii.gz
    <folder>/sharp/<name>.nii.gz
"""

import itertools
from collections import defaultdict
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from data_pipelines.example import Example
from data_pipelines.readers import dicom, dicom_slices, kernel_names, nifti, volume_folder
from data_pipelines.readers.dicom import SeriesFiles
from data_pipelines.readers.errors import ReadError

MIN_NOISE_RATIO = 1.5
"""Least ratio of the noise of two kernels for which measurement calls one sharp and the other smooth."""


@dataclass(frozen=True)
class KernelPair:
    """A smooth and a sharp reconstruction of one scan, not read yet.

    Attributes:
        subject: name of the scan, free of patient data.
        smooth_files: one NIfTI file, or the slices of a DICOM series.
        sharp_files: likewise.
        rule: what decided which of the two is the sharp one.
    """

    subject: str
    smooth_files: tuple[Path, ...]
    sharp_files: tuple[Path, ...]
    rule: str

    def read(self) -> tuple[Example, Example]:
        """Reads the smooth and the sharp volume.

        Returns:
            Two cases on one grid.

        Raises:
            ReadError: a file cannot be read, or the grids differ.
        """
        smooth = replace(_read(self.smooth_files), subject=self.subject)
        sharp = replace(_read(self.sharp_files), subject=self.subject)
        _check_same_grid(smooth, sharp, self.sharp_files[0])
        return smooth, sharp


def find_pairs(folder: str | Path) -> list[KernelPair]:
    """Lists the smooth and sharp reconstructions below a folder.

    DICOM series form a pair where study, frame of reference, slice positions, slice thickness and pixel grid
    agree and one kernel is smooth and the other sharp. Kernel names decide where both are known
    (`kernel_names.named_sharpness`); otherwise the middle slices are read and the noisier one, by
    `MIN_NOISE_RATIO`, is sharp. Of more than two kernels the first rule that applies to any two decides and
    the pair furthest apart is taken: one pair per scan.

    Args:
        folder: of one of the layouts above.

    Returns:
        The pairs, in the order of their names or identifiers; empty where no two series belong together.

    Raises:
        ReadError: no such folder, a volume without its partner, or a damaged header.
    """
    folder = Path(folder)
    if (folder / "smooth").is_dir() and (folder / "sharp").is_dir():
        return _named_pairs(folder)
    groups: dict[tuple, list[SeriesFiles]] = defaultdict(list)
    for series in dicom.find_series(folder):
        # Scouts and other short series have no grid to share.
        if len(series.slices) > 1:
            groups[_scan_key(series)].append(series)
    pairs = (_furthest_pair(group) for group in groups.values())
    return [pair for pair in pairs if pair is not None]


def _named_pairs(folder: Path) -> list[KernelPair]:
    smooth = {path.name: path for path in volume_folder.nifti_files(folder / "smooth")}
    sharp = {path.name: path for path in volume_folder.nifti_files(folder / "sharp")}
    for name in sorted(smooth.keys() ^ sharp.keys()):
        alone = smooth.get(name) or sharp[name]
        raise ReadError(alone, "no partner", f"a file {name} in both smooth/ and sharp/")
    return [
        KernelPair(nifti.case_name(path), (path,), (sharp[name],), "folder names")
        for name, path in sorted(smooth.items())
    ]


def _scan_key(series: SeriesFiles) -> tuple:
    first = series.slices[0]
    numbers = [*first.spacing_mm, first.thickness_mm, *first.orientation]
    positions = [value for one in series.slices for value in one.position_mm]
    # Rounded to a thousandth of a millimetre; as text, in which NaN equals NaN.
    geometry = " ".join(f"{round(number, 3) + 0.0:.3f}" for number in numbers + positions)
    return series.study_uid, series.frame_of_reference_uid, first.shape, geometry


def _furthest_pair(group: list[SeriesFiles]) -> KernelPair | None:
    candidates = [pair for pair in itertools.combinations(group, 2) if pair[0].kernel != pair[1].kernel]
    named = [decision for pair in candidates if (decision := _decide_by_name(*pair))]
    if named:
        return max(named, key=lambda decision: decision[0])[1]
    unnamed = [pair for pair in candidates if None in map(_sharpness, pair)]
    noises = {series.series_uid: _middle_noise(series) for pair in unnamed for series in pair}
    measured = [decision for pair in unnamed if (decision := _decide_by_noise(*pair, noises))]
    return max(measured, key=lambda decision: decision[0])[1] if measured else None


def _sharpness(series: SeriesFiles) -> float | None:
    return kernel_names.named_sharpness(series.manufacturer, series.kernel)


def _decide_by_name(one: SeriesFiles, other: SeriesFiles) -> tuple[float, KernelPair] | None:
    sharpness = _sharpness(one), _sharpness(other)
    if sharpness[0] is None or sharpness[1] is None:
        return None
    if (sharpness[0] >= kernel_names.SHARP_FROM) == (sharpness[1] >= kernel_names.SHARP_FROM):
        return None
    smooth, sharp = (one, other) if sharpness[0] < sharpness[1] else (other, one)
    rule = f"kernel names: {smooth.kernel} is smooth, {sharp.kernel} is sharp"
    return abs(sharpness[0] - sharpness[1]), _pair(smooth, sharp, rule)


def _decide_by_noise(
    one: SeriesFiles, other: SeriesFiles, noises: dict[str, float]
) -> tuple[float, KernelPair] | None:
    smooth, sharp = sorted((one, other), key=lambda series: noises[series.series_uid])
    low, high = noises[smooth.series_uid], noises[sharp.series_uid]
    if not high >= MIN_NOISE_RATIO * low:
        return None
    rule = f"noise of the middle slice: {smooth.kernel} {low:.3g} HU, {sharp.kernel} {high:.3g} HU"
    return high / max(low, 1e-6), _pair(smooth, sharp, rule)


def _middle_noise(series: SeriesFiles) -> float:
    middle = series.files[len(series.files) // 2]
    return kernel_names.high_frequency_noise(dicom_slices.read_pixels(middle))


def _pair(smooth: SeriesFiles, sharp: SeriesFiles, rule: str) -> KernelPair:
    subject = dicom.hashed_name("pair", smooth.series_uid + sharp.series_uid)
    return KernelPair(subject, smooth.files, sharp.files, rule)


def _read(files: tuple[Path, ...]) -> Example:
    if files[0].name.endswith((".nii", ".nii.gz")):
        return nifti.read_volume(files[0])
    return dicom.read_series(files)


def _check_same_grid(smooth: Example, sharp: Example, sharp_file: Path) -> None:
    if sharp.image.shape != smooth.image.shape:
        raise ReadError(sharp_file, f"shape {sharp.image.shape}", f"the smooth volume's {smooth.image.shape}")
    if smooth.affine is None or sharp.affine is None:
        raise ReadError(sharp_file, "no affine", "one for both volumes")
    difference = float(np.abs(sharp.affine - smooth.affine).max())
    if difference > nifti.AFFINE_TOLERANCE:
        raise ReadError(
            sharp_file, f"an affine {difference:.4g} from the smooth volume's", f"{nifti.AFFINE_TOLERANCE:g}"
        )
