"""Angiograms with the spheres of their aneurysms, prepared one by one: phantoms, or files."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from data_pipelines import cache, patch_centres, sphere_patches
from data_pipelines.phantoms import tof_mra
from data_pipelines.phantoms.digest import phantom_code, source_digest
from data_pipelines.readers.errors import ReadError


@dataclass(frozen=True)
class Preparation:
    """How a volume is prepared: the arguments of `sphere_patches.prepare`."""

    voxel_mm: float
    num_negatives: int
    min_distance_mm: float


@dataclass(frozen=True)
class AngiogramSet:
    """Angiograms by name; `build` prepares one, see `sphere_patches.prepare`; `key`: what all depend on."""

    key: Mapping[str, Any]
    cases: tuple[str, ...]
    build: Callable[[str], dict[str, np.ndarray]]


def phantom(num_cases: int, shape: tuple[int, int, int], preparation: Preparation) -> AngiogramSet:
    """Phantom patients (`phantoms.tof_mra`) of (depth, height, width) voxels."""

    def build(name: str) -> dict[str, np.ndarray]:
        number, voxel_mm = int(name.rpartition("-")[2]), preparation.voxel_mm
        drawn = tof_mra.draw_angiogram(number, shape=shape, voxel_mm=voxel_mm)
        return sphere_patches.prepare(name, drawn.image, drawn.spheres(voxel_mm), **asdict(preparation))

    names = tuple(f"case-{number:03d}" for number in range(num_cases))
    key = {"source": "phantom", "phantom": phantom_code(), "shape": shape, **_key(preparation)}
    return AngiogramSet(key, names, build)


def files(data_dir: Path, preparation: Preparation, *, at_least: int) -> AngiogramSet:
    """The angiograms of a data directory (layouts: `readers.aneurysms`), resampled to cubes; needs nibabel.

    Raises:
        ReadError: see `aneurysms.find_cases`; fewer cases than `at_least`.
    """
    from data_pipelines.readers import aneurysms  # the phantom must run without the medical readers

    cases = {case.subject: case for case in aneurysms.find_cases(data_dir)}
    if len(cases) < at_least:
        raise ReadError(data_dir, f"{len(cases)} cases", f"{at_least}, one a fold")

    def build(name: str) -> dict[str, np.ndarray]:
        image, spheres = cases[name].read_cubes(preparation.voxel_mm)
        try:
            return sphere_patches.prepare(name, image, spheres, **asdict(preparation))
        except ValueError as error:
            found = str(error).partition("found ")[2].partition(";")[0]
            raise ReadError(cases[name].image_path, found, "an angiogram") from error

    prints = cache.fingerprint(path for case in cases.values() for path in case.paths)
    key = {"source": str(data_dir.resolve()), "files": prints, **_key(preparation)}
    return AngiogramSet(key, tuple(cases), build)


def _key(preparation: Preparation) -> dict[str, Any]:
    code = source_digest(*(str(module.__file__) for module in (sphere_patches, patch_centres)))
    return {**asdict(preparation), "code": code}
