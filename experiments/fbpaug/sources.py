"""Volumes that are prepared one by one to one grid, and the phantoms among them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from data_pipelines.phantoms import chest_ct, ct_kernels
from data_pipelines.phantoms.digest import phantom_code
from experiments.contract import PHANTOM
from experiments.fbpaug.config import Config

AIR_HU = -1000.0
"""What slices are padded with."""

_CASE_SEED, _PAIR_SEED = 0, 10_000
"""First seeds of the phantom's labelled subjects and of its pairs, which share no subject."""


@dataclass(frozen=True)
class Source:
    """Volumes that can be prepared one by one.

    Attributes:
        key: what the prepared arrays depend on.
        cases: names of labelled volumes.
        pairs: names of pairs of kernels.
        build: prepares one: `image` int16 HU and `label` uint8 of a case, `smooth` and `sharp` int16 HU of
            a pair, all (depth, image_size, image_size), and `voxel_ml`.
    """

    key: Mapping[str, Any]
    cases: tuple[str, ...]
    pairs: tuple[str, ...]
    build: Callable[[str], dict[str, np.ndarray]]


def phantom(config: Config) -> Source:
    """Chest phantoms: labelled ones with the standard kernel, pairs with a smooth and a sharp one."""
    sizes = config.phantom
    grid = {
        "image_size": config.image_size,
        "pixel_mm": config.pixel_mm,
        "num_slices": sizes.num_slices,
        "slice_mm": sizes.slice_mm,
        "num_angles": sizes.num_angles,
    }
    voxel_ml = np.array(config.pixel_mm**2 * sizes.slice_mm / 1000, np.float32)

    def build(name: str) -> dict[str, np.ndarray]:
        kind, number = name.split("-")
        if kind == "pair":
            kernels = (ct_kernels.SMOOTH, ct_kernels.SHARP)
            (smooth, sharp), _ = chest_ct.draw_scans(_PAIR_SEED + int(number), kernels, **grid)
            return {"smooth": smooth, "sharp": sharp, "voxel_ml": voxel_ml}
        (scan,), chest = chest_ct.draw_scans(_CASE_SEED + int(number), (ct_kernels.STANDARD,), **grid)
        return {"image": scan, "label": chest.lesion, "voxel_ml": voxel_ml}

    return Source(
        {"source": PHANTOM, "code": phantom_code(), **grid},
        tuple(f"case-{number:03d}" for number in range(sizes.num_cases)),
        tuple(f"pair-{number:03d}" for number in range(sizes.num_pairs)),
        build,
    )
