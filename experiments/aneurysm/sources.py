"""Angiograms that are prepared one by one: phantoms, or files."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from data_pipelines import cache, patch_centres, sphere_patches
from data_pipelines.phantoms import tof_mra
from data_pipelines.phantoms.digest import phantom_code, source_digest
from data_pipelines.readers.errors import ReadError
from experiments.aneurysm.config import Config
from experiments.contract import PHANTOM


@dataclass(frozen=True)
class Source:
    """Angiograms by name; `build` prepares one, see `sphere_patches.prepare`; `key`: what all depend on."""

    key: Mapping[str, Any]
    cases: tuple[str, ...]
    build: Callable[[str], dict[str, np.ndarray]]


def find(config: Config, data_dir: Path | None) -> Source:
    """The phantom, or the angiograms of a data directory."""
    return phantom(config) if data_dir is None else files(config, data_dir)


def phantom(config: Config) -> Source:
    """Phantom patients, annotated as the paper's were."""
    sizes = config.phantom
    shape = (sizes.depth, sizes.size, sizes.size)
    settings = _settings(config)

    def build(name: str) -> dict[str, np.ndarray]:
        number = int(name.rpartition("-")[2])
        drawn = tof_mra.draw_angiogram(number, shape=shape, voxel_mm=config.voxel_mm)
        return sphere_patches.prepare(name, drawn.image, drawn.spheres(config.voxel_mm), **settings)

    names = tuple(f"case-{number:03d}" for number in range(sizes.num_cases))
    return Source(
        {"source": PHANTOM, "phantom": phantom_code(), "shape": shape, **_key(config)}, names, build
    )


def files(config: Config, data_dir: Path) -> Source:
    """The angiograms of a data directory (layouts: `readers.aneurysms`), resampled to cubes; needs nibabel.

    Raises:
        ReadError: see `aneurysms.find_cases`; fewer cases than folds.
    """
    from data_pipelines.readers import aneurysms  # the phantom must run without the medical readers

    cases = {case.subject: case for case in aneurysms.find_cases(data_dir)}
    if len(cases) < config.num_folds:
        raise ReadError(data_dir, f"{len(cases)} cases", f"{config.num_folds}, one a fold")

    def build(name: str) -> dict[str, np.ndarray]:
        image, spheres = cases[name].read_cubes(config.voxel_mm)
        try:
            return sphere_patches.prepare(name, image, spheres, **_settings(config))
        except ValueError as error:
            found = str(error).partition("found ")[2].partition(";")[0]
            raise ReadError(cases[name].image_path, found, "an angiogram") from error

    prints = cache.fingerprint(path for case in cases.values() for path in case.paths)
    key = {"source": str(data_dir.resolve()), "files": prints, **_key(config)}
    return Source(key, tuple(cases), build)


def _settings(config: Config) -> dict[str, Any]:
    """What of the config the preparation depends on."""
    return {name: getattr(config, name) for name in ("voxel_mm", "num_negatives", "min_distance_mm")}


def _key(config: Config) -> dict[str, Any]:
    code = source_digest(*(str(module.__file__) for module in (sphere_patches, patch_centres)))
    return {**_settings(config), "code": code}
