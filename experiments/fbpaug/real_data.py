"""Labelled CT volumes and pairs of kernels from files; needs nibabel and pydicom."""

from pathlib import Path

import numpy as np

from data_pipelines import cache, preprocess
from data_pipelines.example import Example
from data_pipelines.readers import mosmed, paired_kernels, volume_folder
from data_pipelines.readers.errors import ReadError
from experiments.fbpaug.config import Config
from experiments.fbpaug.sources import AIR_HU, Source


def find_files(data_dir: Path) -> tuple[list, list]:
    """Lists the labelled cases and the pairs of a data directory.

    Layout: MosMedData as published (`studies/CT-*/study_*.nii.gz`, `masks/study_*_mask.nii.gz`) or
    `images/*.nii.gz` with masks of the same names in `masks/`; beside it, `pairs/` with DICOM series
    of two kernels in any folders, or with `smooth/*.nii.gz` and `sharp/*.nii.gz`. Without `pairs/`
    there is no agreement to measure.

    Raises:
        ReadError: if there are no labelled cases.
    """
    if (data_dir / "studies").is_dir():
        cases = mosmed.find_cases(data_dir, masked_only=True)
    else:
        cases = [case for case in volume_folder.find_cases(data_dir, num_classes=2) if case.label_path]
    if not cases:
        raise ReadError(data_dir, "no volume with a mask", "studies/ and masks/, or images/ and masks/")
    pairs_dir = data_dir / "pairs"
    return list(cases), paired_kernels.find_pairs(pairs_dir) if pairs_dir.is_dir() else []


def files(config: Config, data_dir: Path) -> Source:
    """The volumes of a data directory (layout: `find_files`), resampled to the config's grid."""
    cases, pairs = find_files(data_dir)
    if len(cases) < config.num_folds:
        raise ReadError(data_dir, f"{len(cases)} volumes with masks", f"{config.num_folds}, one a fold")
    by_name = {f"case-{case.subject}": case for case in cases}
    pairs_by_name = {f"pair-{pair.subject}": pair for pair in pairs}

    def build(name: str) -> dict[str, np.ndarray]:
        if name in pairs_by_name:
            smooth, sharp = (to_grid(config, example) for example in pairs_by_name[name].read())
            return {"smooth": smooth["image"], "sharp": sharp["image"], "voxel_ml": smooth["voxel_ml"]}
        return to_grid(config, by_name[name].read())

    paths = [path for case in cases for path in (case.image_path, case.label_path)]
    paths += [path for pair in pairs for path in (*pair.smooth_files, *pair.sharp_files)]
    key = {
        "source": str(data_dir.resolve()),
        "files": cache.fingerprint(path for path in paths if path.exists()),
        "image_size": config.image_size,
        "pixel_mm": config.pixel_mm,
    }
    return Source(key, tuple(by_name), tuple(pairs_by_name), build)


def to_grid(config: Config, example: Example) -> dict[str, np.ndarray]:
    """Brings slices to `pixel_mm` and `image_size`."""
    example = preprocess.fit_in_plane(example, config.pixel_mm, config.image_size, AIR_HU)
    arrays = {"image": example.image, "voxel_ml": np.array(np.prod(example.spacing_mm) / 1000, np.float32)}
    if example.label is not None:
        arrays["label"] = (example.label > 0).astype(np.uint8)
    return arrays
