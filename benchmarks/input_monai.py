"""MONAI's CacheDataset for `benchmarks.input`: volumes decoded into memory once, random crops from there."""

import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from benchmarks import input_work


class Monai:
    """Random crops of cached volumes by MONAI's own transforms and loaders."""

    settings: Sequence[str] = (
        "float32, metadata tracked, no workers",
        "float32, no metadata, no workers",
        "int16, no metadata, no workers",
        "int16, no metadata, no workers, 4 crops a volume",
        "int16, no metadata, 1 thread",
        "int16, no metadata, 2 processes",
    )

    def __init__(self, folder: Path, size: int, batch: int):
        self._files = [{"image": str(folder / f"{name}.nii")} for name in input_work.volume_names()]
        self._size, self._batch = size, batch
        self._datasets: dict[tuple[bool, bool, bool], object] = {}

    def volume(self) -> np.ndarray:
        """The first volume."""
        return np.asarray(self._dataset(True, False, False)._cache[0]["image"])[0]

    def batches(self, setting: str) -> Iterator[np.ndarray]:
        """Batches (batch, 1, size, size, size)."""
        import torch
        from monai.data import DataLoader, ThreadDataLoader, set_track_meta

        tracked = "metadata tracked" in setting
        set_track_meta(tracked)
        several = "crops a volume" in setting
        dataset = self._dataset("int16" in setting, tracked, several)
        num_workers = 2 if "processes" in setting else 0
        sampler = torch.utils.data.RandomSampler(dataset, replacement=True, num_samples=10**6)
        options = {"batch_size": self._batch // (4 if several else 1), "sampler": sampler}
        if "thread" in setting:
            loader = ThreadDataLoader(dataset, num_workers=0, buffer_size=2, **options)
        else:
            loader = DataLoader(dataset, num_workers=num_workers, **options)
        return (batch["image"] for batch in itertools.chain.from_iterable(itertools.repeat(loader)))

    def _dataset(self, as_int16: bool, tracked: bool, several: bool):
        from monai.data import CacheDataset, set_track_meta
        from monai.transforms import (
            Compose,
            EnsureChannelFirstd,
            LoadImaged,
            RandSpatialCropd,
            RandSpatialCropSamplesd,
        )

        key = (as_int16, tracked, several)
        if key not in self._datasets:
            set_track_meta(tracked)
            roi = (self._size,) * 3
            crop = (
                RandSpatialCropSamplesd("image", roi, 4, random_size=False)
                if several
                else RandSpatialCropd("image", roi, random_size=False)
            )
            dtype = np.int16 if as_int16 else np.float32
            # Without metadata the loader's array has no channel axis to be found by name.
            load = [LoadImaged("image", dtype=dtype), EnsureChannelFirstd("image", channel_dim="no_channel")]
            self._datasets = {
                key: CacheDataset(
                    self._files, Compose([*load, crop]), cache_rate=1.0, progress=False, copy_cache=False
                )
            }
        return self._datasets[key]
