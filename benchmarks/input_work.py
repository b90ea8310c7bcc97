"""Ways to get batches of random patches from a folder of volumes: jaxmed's, nibabel's, and a bare copy.

Each is a class, made with folder, size and batch; `settings` names ways to use it, `volume()` gives the first
volume as it sees it, and `batches(setting)` gives batches without end.
"""

import contextlib
import itertools
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

SHAPE = (160, 192, 224)
NUM_VOLUMES = 6


def volume_names() -> list[str]:
    """Names of the volumes."""
    return [f"volume{number}" for number in range(NUM_VOLUMES)]


def make_volume(number: int) -> np.ndarray:
    """A volume in HU that compresses as CT does: soft blobs in air, noise of 12 HU; SHAPE, int16."""
    from scipy import ndimage

    rng = np.random.default_rng(number)
    coarse = rng.standard_normal([-(-length // 8) for length in SHAPE])
    soft = ndimage.zoom(ndimage.gaussian_filter(coarse, 1.5), 8, order=1)[tuple(map(slice, SHAPE))]
    tissue = np.where(soft > 0, 60 * soft / soft.std(), -1000.0)
    noise = np.where(soft > 0, 12 * rng.standard_normal(SHAPE), 0)
    return np.rint(tissue + noise).astype(np.int16)


def write_volumes(folder: Path) -> None:
    """Writes every volume as .nii and .nii.gz, once."""
    import nibabel as nib

    folder.mkdir(parents=True, exist_ok=True)
    for number, name in enumerate(volume_names()):
        for suffix in (".nii", ".nii.gz"):
            if not (folder / f"{name}{suffix}").exists():
                image = nib.Nifti1Image(make_volume(number), np.eye(4))  # pyright: ignore[reportPrivateImportUsage]
                temporary = folder / f"unfinished-{name}{suffix}"
                nib.save(image, temporary)  # pyright: ignore[reportPrivateImportUsage]
                temporary.rename(folder / f"{name}{suffix}")


def mapped_volumes(folder: Path):
    """The cache of the volumes, built from the .nii files at the first use."""
    import nibabel as nib

    from data_pipelines import cache

    def build(name: str) -> dict[str, np.ndarray]:
        return {"image": np.asarray(nib.load(folder / f"{name}.nii").dataobj)}  # pyright: ignore

    return cache.open_cache(folder / "cache", {"source": "benchmark"}, volume_names(), build, verify="size")


class Jaxmed:
    """`data_pipelines.patches` from the mapped cache: int16 batches."""

    executor = "threads"
    settings: Sequence[str] = tuple(
        f"{threads} threads, prefetch {prefetch}" for threads in (1, 2, 3) for prefetch in (1, 2)
    )

    def __init__(self, folder: Path, size: int, batch: int):
        from data_pipelines import index_plan, patches

        self._cases = mapped_volumes(folder)
        cases = list(self._cases)
        self._draw = patches.RandomPatches(self._cases, cases, (size,) * 3, {"image": -1000})
        self._plan = index_plan.IndexPlan(len(self._draw), batch, seed=0)

    def volume(self) -> np.ndarray:
        """The first volume."""
        return np.array(self._cases[volume_names()[0]]["image"])

    def batches(self, setting: str) -> Iterator[np.ndarray]:
        """Batches (batch, size, size, size), int16."""
        from data_pipelines import pipeline

        num_threads, prefetch = int(setting.split()[0]), int(setting.split()[-1])
        loaded = pipeline.make_batches(
            self._draw.load, self._plan, executor=self.executor, num_threads=num_threads, prefetch=prefetch
        )
        return (batch["image"] for batch in loaded)


class JaxmedTf(Jaxmed):
    """The same plan by tf.data."""

    executor = "tf"


class Nibabel:
    """A loop over files, as people write it: load, crop, stack."""

    settings: Sequence[str] = (".nii.gz, whole volume", ".nii, whole volume", ".nii, slices of the file")

    def __init__(self, folder: Path, size: int, batch: int):
        self._folder, self._size, self._batch = folder, size, batch

    def volume(self) -> np.ndarray:
        """The first volume."""
        return self._open(".nii.gz", volume_names()[0])[:]

    def batches(self, setting: str) -> Iterator[np.ndarray]:
        """Batches (batch, size, size, size), int16."""
        suffix, part = setting.split(", ")
        generator = np.random.default_rng(0)
        names = itertools.cycle(volume_names())
        while True:
            rows = []
            for name in itertools.islice(names, self._batch):
                stored = self._open(suffix, name)
                source = stored[:] if part == "whole volume" else stored
                start = [int(generator.integers(0, length - self._size + 1)) for length in SHAPE]
                rows.append(source[tuple(slice(first, first + self._size) for first in start)])
            yield np.stack(rows)

    def _open(self, suffix: str, name: str):
        import nibabel as nib

        # Unscaled: int16, as the others get it.
        image = nib.load(self._folder / f"{name}{suffix}")  # pyright: ignore[reportPrivateImportUsage]
        return np.asarray(image.dataobj) if suffix == ".nii.gz" else image.dataobj  # pyright: ignore


class Copy:
    """The ceiling: as many bytes in one piece from the mapped files into three batches in turns, no more."""

    settings: Sequence[str] = ("1 threads", "2 threads")

    def __init__(self, folder: Path, size: int, batch: int):
        self._cases, self._size, self._batch = mapped_volumes(folder), size, batch

    def volume(self) -> np.ndarray:
        """The first volume."""
        return np.array(self._cases[volume_names()[0]]["image"])

    def batches(self, setting: str) -> Iterator[np.ndarray]:
        """Batches (batch, size, size, size), int16."""
        num_threads, count = int(setting.split()[0]), self._size**3
        flat = [self._cases[name]["image"].reshape(-1) for name in volume_names()]
        turns = [np.zeros((self._batch, self._size**3), np.int16) for _ in range(3)]
        barrier = threading.Barrier(num_threads)

        def copy(target: np.ndarray, rows: range, number: int) -> None:
            for row in rows:
                source = flat[(number + row) % NUM_VOLUMES]
                start = (7919 * (number + row)) % (source.size - count)
                target[row] = source[start : start + count]

        def helper(place: int) -> None:
            with contextlib.suppress(threading.BrokenBarrierError):
                for number in itertools.count():
                    copy(turns[number % 3], range(place, self._batch, num_threads), number * self._batch)
                    barrier.wait()

        try:
            for place in range(1, num_threads):
                threading.Thread(target=helper, args=(place,), daemon=True).start()
            for number in itertools.count():
                copy(turns[number % 3], range(0, self._batch, num_threads), number * self._batch)
                barrier.wait()
                yield turns[number % 3].reshape(self._batch, *[self._size] * 3)
        finally:
            barrier.abort()
