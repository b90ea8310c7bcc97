"""Many small images of one size as one array, prepared once and kept in the cache."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

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
