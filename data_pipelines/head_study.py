"""Heads to train on and unseen ones, on one grid: the phantom, or any folder."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from data_pipelines import cache, head_volumes, splits
from data_pipelines.progress import make_progress

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


def to_range(volumes: Any) -> Any:
    """Bytes to [-1, 1], on the host or on the device."""
    return volumes.astype(np.float32) / 127.5 - 1


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
    arrays = cache.open_cache(
        cache_dir,
        source.key,
        source.cases,
        source.build,
        may_fail=train,
        max_failures=max_bad_cases,
        progress=make_progress("preparing heads"),
    )
    return HeadStudy(arrays, tuple(case for case in train if case in arrays), test, tuple(arrays.left_out))
