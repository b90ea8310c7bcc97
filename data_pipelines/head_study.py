"""Heads as networks see them: to train on and unseen ones, of the phantom or any folder; and single files."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from data_pipelines import cache, head_volumes, splits

_SPLIT_SEED = 3
"""Which heads are unseen does not depend on the seed of a run."""


@dataclass(frozen=True)
class HeadStudy:
    """What runs are trained and scored on.

    Attributes:
        arrays: by case: "image", bytes, and of phantoms "ventricle_ml".
        train: cases trained on.
        test: unseen ones.
        left_out: training cases that could not be read.
    """

    arrays: Mapping[str, Mapping[str, np.ndarray]]
    train: tuple[str, ...]
    test: tuple[str, ...]
    left_out: tuple[str, ...]

    def images(self, cases: Sequence[str]) -> np.ndarray:
        """(cases, *shape, 1) float32 in [-1, 1], as networks see them."""
        return to_range(np.stack([self.arrays[case]["image"] for case in cases])[..., None])

    def ventricles_ml(self, cases: Sequence[str]) -> dict[str, float]:
        """The exact volume of the ventricles, by case; only of phantoms."""
        exact = {case: self.arrays[case].get("ventricle_ml") for case in cases}
        return {case: float(volume) for case, volume in exact.items() if volume is not None}

    def large_ventricles(self, measure: Callable[[np.ndarray], float]) -> dict[str, int]:
        """Labels of all heads: 1 where ventricles are larger than the median of the heads trained on, else 0.

        Args:
            measure: gives the volume where it is not known, from an image (*shape) in [0, 1].
        """
        volumes = self.ventricles_ml(tuple(self.arrays))
        for case in self.arrays.keys() - volumes.keys():
            volumes[case] = measure(self.arrays[case]["image"] / np.float32(255))
        median = np.median([volumes[case] for case in self.train])
        return {case: int(volume > median) for case, volume in volumes.items()}


def to_range(volumes: Any) -> Any:
    """Bytes to [-1, 1], on the host or on the device."""
    return volumes.astype(np.float32) / 127.5 - 1


def read_head(file: Path, shape: head_volumes.Shape) -> tuple[np.ndarray, np.ndarray]:
    """Reads a file as `head_volumes.HeadCase.read` does, and brings it to the grid.

    Returns:
        The head (*shape, 1) in [-1, 1], and its affine, see `head_volumes.OnGrid`.
    """
    found = head_volumes.place(head_volumes.HeadCase(file.name, file).read(), shape)
    return to_range(found.image[..., None]), found.affine


def write_head(file: Path, head: np.ndarray, affine: np.ndarray | None = None) -> Path:
    """Writes a head (*shape, 1) in [-1, 1] as NIfTI with values from 0 to 1.

    Args:
        file: .nii or .nii.gz.
        head: on the grid.
        affine: where it lies, as `read_head` gives it; None for the middle of the grid at 0.

    Returns:
        The file.
    """
    from data_pipelines.readers import nifti

    volume = head_volumes.from_grid((head[..., 0] + 1) / 2)
    if affine is None:
        voxel_mm = head_volumes.FIELD_MM[0] / len(head)
        affine = head_volumes.standard_affine(volume.shape, (voxel_mm,) * 3)
    nifti.write_volume(file, volume, affine)
    return file


def open_study(
    data_dir: Path | None,
    cache_dir: Path,
    shape: head_volumes.Shape,
    *,
    num_train: int,
    num_test: int,
    test_share: float,
    max_bad_cases: int = 0,
) -> HeadStudy:
    """Opens the heads, preparing what is not in the cache yet.

    Args:
        data_dir: a folder as for `head_volumes.files`, or None for the phantom.
        cache_dir: where prepared heads are kept.
        shape: of the grid in voxels.
        num_train: phantoms to train on; of a folder, all that are not tested on.
        num_test: unseen phantoms.
        test_share: of a folder's heads held out, but two at least.
        max_bad_cases: how many training cases may be left out because they cannot be read.

    Raises:
        ReadError: a folder without heads.
        BuildError: a head that may not be left out cannot be read.
    """
    if data_dir is None:
        source = head_volumes.phantoms(num_train + num_test, shape)
        train, test = source.cases[:num_train], source.cases[num_train:]
    else:
        source = head_volumes.files(data_dir, shape)
        count = max(2, round(test_share * len(source.cases)))
        split = splits.by_counts(source.cases, len(source.cases) - count, 0, count, seed=_SPLIT_SEED)
        train, test = split.train, split.test
    arrays = cache.open_source(cache_dir, source, source.cases, train, max_bad_cases, label="preparing heads")
    return HeadStudy(arrays, tuple(case for case in train if case in arrays), test, tuple(arrays.left_out))
