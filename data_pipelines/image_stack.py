"""Many small images as one array: read through the cache, resized, or filled up to one length."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import scipy.ndimage

from data_pipelines import cache
from data_pipelines.progress import make_progress

_PER_ENTRY = 64


def stack_images(
    directory: Path, key: Mapping[str, Any], count: int, read: Callable[[int], np.ndarray]
) -> np.ndarray:
    """Reads images through the cache.

    Args:
        directory: where caches lie.
        key: what the images depend on, as in `cache.open_cache`.
        count: how many there are, 1 or more.
        read: `read(number)` prepares one; called from several threads at once.

    Returns:
        (count, *image), in memory.

    Raises:
        BuildError: an image could not be prepared.
    """
    starts = {f"part-{number:05d}": number * _PER_ENTRY for number in range(-(-count // _PER_ENTRY))}

    def build(name: str) -> dict[str, np.ndarray]:
        stop = min(starts[name] + _PER_ENTRY, count)
        return {"image": np.stack([read(number) for number in range(starts[name], stop)])}

    progress = make_progress("preparing images")
    parts = cache.open_cache(directory, key, tuple(starts), build, progress=progress)
    return np.concatenate([parts[name]["image"] for name in starts])


def resize(images: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Makes (count, height, width) (count, *shape, 1) float32, by linear interpolation if sizes differ."""
    if images.shape[1:] == shape:
        return np.ascontiguousarray(images[..., None], np.float32)
    factors = (1, *(new / old for new, old in zip(shape, images.shape[1:], strict=True)))
    resized = np.asarray(scipy.ndimage.zoom(images, factors, order=1, grid_mode=True, mode="nearest"))
    return np.ascontiguousarray(resized[..., None], np.float32)


def pad(images: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Stacks arrays of images of different lengths, filled up with zeros.

    Returns:
        (arrays, most images, height, width, 1), and weights (arrays, most images), 1 for what is there.
    """
    most = max(len(one) for one in images)
    stacked = np.zeros((len(images), most, *images[0].shape[1:]), np.float32)
    weight = np.zeros(stacked.shape[:2], np.float32)
    for number, one in enumerate(images):
        stacked[number, : len(one)], weight[number, : len(one)] = one, 1
    return stacked, weight
