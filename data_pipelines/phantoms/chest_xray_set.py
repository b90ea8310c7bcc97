"""A set of chest radiographs in the proportions of the COVID-19 Radiography Database."""

import hashlib
from pathlib import Path

import numpy as np

from data_pipelines import cache
from data_pipelines.labelled_images import LabelledImages
from data_pipelines.phantoms import chest_xray
from data_pipelines.progress import make_progress
from data_pipelines.readers.covid_radiography import CLASSES

PROPORTIONS = (10192, 3616, 1345)
"""Normal controls, COVID-19 pneumonia and other pneumonia in the database as Chong et al. used it."""

_BLOCK = 250


def class_counts(num_images: int) -> tuple[int, ...]:
    """So many images in these proportions, at least one of each class."""
    rest = [max(1, round(num_images * count / sum(PROPORTIONS))) for count in PROPORTIONS[1:]]
    return num_images - sum(rest), *rest


def draw_set(num_images: int, size: int, cache_dir: Path) -> LabelledImages:
    """Draws normal (NC), diffuse (NCP) and focal (CP) radiographs, each of another subject.

    Args:
        num_images: how many.
        size: height and width in pixels.
        cache_dir: where they are kept.

    Returns:
        The images (num_images, size, size, 1).
    """
    labels = np.repeat(np.arange(3, dtype=np.int32), class_counts(num_images))

    def build(block: str) -> dict[str, np.ndarray]:
        seeds = range(int(block), min(int(block) + _BLOCK, num_images))
        drawn = [chest_xray.draw_radiograph(s, chest_xray.FINDINGS[labels[s]], size) for s in seeds]
        return {"image": np.stack(drawn)}

    names = [f"{first:06d}" for first in range(0, num_images, _BLOCK)]
    code = hashlib.sha256(Path(chest_xray.__file__).read_bytes()).hexdigest()[:10]
    key = {"source": "chest-xray", "code": code, "size": size, "count": num_images}
    arrays = cache.open_cache(cache_dir, key, names, build, progress=make_progress("drawing radiographs"))
    images = np.concatenate([arrays[name]["image"] for name in names])
    return LabelledImages(images[..., None], labels, CLASSES)
