"""Volumes of one structure, standardised, that are prepared one by one: phantoms, or real data."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from data_pipelines import cache
from data_pipelines.phantoms import electron_micrograph, left_atrium
from data_pipelines.phantoms.digest import phantom_code

_SPLIT_SEED = 20
_TEST_SEED = 10_000

Shape = tuple[int, int, int]

Dataset = Literal["mitochondria", "cardiac"]


@dataclass(frozen=True)
class VolumeSet:
    """Attributes: key of the cache; rest and test, names; build, what `prepare` gives by name."""

    key: Mapping[str, Any]
    rest: tuple[str, ...]
    test: tuple[str, ...]
    build: Callable[[str], dict[str, np.ndarray]]


def phantom(
    dataset: Dataset,
    *,
    num_rest: int,
    num_test: int,
    shape: Shape,
    test_shape: Shape,
    spacing: tuple[float, float, float],
) -> VolumeSet:
    """Electron micrographs of cubic voxels, or hearts in anisotropic ones.

    Args:
        dataset: which.
        num_rest: volumes to train and validate on.
        num_test: volumes held out.
        shape: of the former, in voxels.
        test_shape: of the latter.
        spacing: of the voxels, nm for mitochondria, of which the first counts, mm for hearts. The set's unit
            for micrographs is the voxel, as in files without a spacing.
    """

    def build(name: str) -> dict[str, np.ndarray]:
        kind, number = name.split("-")
        size, seed = (shape, 0) if kind == "rest" else (test_shape, _TEST_SEED)
        if dataset == "mitochondria":
            image, label = electron_micrograph.draw_block(seed + int(number), size, spacing[0])
            return prepare(image, label, (1.0, 1.0, 1.0))
        return prepare(*left_atrium.draw_volume(seed + int(number), size, spacing), spacing)

    key = {"dataset": dataset, "code": phantom_code(), "sizes": [shape, test_shape, spacing]}
    rest, test = (
        tuple(f"{kind}-{k:02d}" for k in range(n)) for kind, n in (("rest", num_rest), ("test", num_test))
    )
    return VolumeSet(key, rest, test, build)


def standardise(image: np.ndarray) -> np.ndarray:
    """Float32 with mean 0 and standard deviation 1; a constant image becomes 0."""
    image = image.astype(np.float32)
    scale = image.std()
    return (image - image.mean()) / (scale if scale > 0 else 1)


def prepare(image: np.ndarray, label: np.ndarray, spacing: Sequence[float]) -> dict[str, np.ndarray]:
    """The standardised image, its mask as 0 and 1 (uint8), and the spacing (float32), by name."""
    return {
        "image": standardise(image),
        "label": (label > 0).astype(np.uint8),
        "spacing": np.asarray(spacing, np.float32),
    }


def find_cases(data_dir: Path, dataset: Dataset) -> list:
    """Lists the volumes of a data set in a data directory, which may hold both.

    Args:
        data_dir: the folder.
        dataset: "mitochondria": `training.tif`, `training_groundtruth.tif`, `testing.tif` and
            `testing_groundtruth.tif` (`readers.epfl_micrographs`). "cardiac", or volumes of anything else:
            NIfTI with masks in `images/` and `masks/`, or `imagesTr/` and `labelsTr/`, as the Medical
            Segmentation Decathlon does (`readers.volume_folder`).

    Raises:
        ReadError: if nothing is found.
    """
    from data_pipelines.readers import epfl_micrographs, volume_folder

    if dataset == "mitochondria":
        return epfl_micrographs.find_cases(data_dir)
    return [case for case in volume_folder.find_cases(data_dir) if case.label_path]


def files(data_dir: Path, dataset: Dataset, *, num_test: int, num_rest: int) -> VolumeSet:
    """The labelled volumes of a data directory (`find_cases`); all labels above 0 are foreground.

    Micrographs have a test set; of other volumes a fixed random choice is held out.

    Args:
        data_dir: the folder.
        dataset: which one of it.
        num_test: how many are held out.
        num_rest: how many must be left.

    Raises:
        ReadError: if nothing is found, or too few volumes.
    """
    from data_pipelines.readers.errors import ReadError

    cases = {case.subject: case for case in find_cases(data_dir, dataset)}
    order = [sorted(cases)[k] for k in np.random.default_rng(_SPLIT_SEED).permutation(len(cases))]
    test = tuple(name for name in cases if name.startswith("testing")) or tuple(order[:num_test])
    rest = tuple(name for name in order if name not in test)
    if len(rest) < num_rest or not test:
        raise ReadError(
            data_dir, f"{len(cases)} volumes with masks", f"{num_test} to test on and {num_rest} more"
        )

    def build(name: str) -> dict[str, np.ndarray]:
        example = cases[name].read()
        assert example.label is not None
        return prepare(example.image, example.label, example.spacing_mm)

    paths = [path for case in cases.values() for path in (case.image_path, case.label_path) if path]
    key = {"source": str(data_dir.resolve()), "files": cache.fingerprint(paths)}
    return VolumeSet(key, rest, test, build)
