"""Where many single images come from: the kinds of a phantom, or any folder; prepared once, into a cache."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from data_pipelines import cache, image_stack
from data_pipelines.phantoms import cardiac_views
from data_pipelines.phantoms.digest import phantom_code


@dataclass(frozen=True)
class ImageSource:
    """Images of one size that are not made yet.

    Attributes:
        key: what they depend on, as in `cache.open_cache`.
        names: of the images.
        labels: (images,) their kinds from 0, or None where nobody knows.
        read: `read(number)` makes one, (size, size) uint8.
    """

    key: Mapping[str, Any]
    names: tuple[str, ...]
    labels: np.ndarray | None
    read: Callable[[int], np.ndarray]

    def stack(self, cache_dir: Path) -> np.ndarray:
        """All images, (images, size, size) uint8, through the cache in that directory."""
        return image_stack.stack_images(cache_dir, self.key, len(self.names), self.read)


def cardiac_phantom(num_images: int, size: int, *, balanced: bool, seed: int) -> ImageSource:
    """Images of the cardiac phantom with the numbers of `cardiac_views.class_counts`."""
    listed = cardiac_views.list_images(num_images, balanced=balanced)
    grid = {"num_images": num_images, "balanced": balanced, "size": size, "seed": seed}
    return ImageSource(
        {"source": "phantom", "code": phantom_code(), **grid},
        tuple(f"{cardiac_views.KINDS[label]} {number}" for label, number in listed),
        np.array([label for label, _ in listed]),
        lambda number: cardiac_views.draw_image(seed, *listed[number], size),
    )


def image_folder(folder: Path, size: int) -> ImageSource:
    """The images of a folder, brought to one size; sub-folders are labels.

    Raises:
        ReadError: as `readers.image_folder.find_images` does.
    """
    from data_pipelines.readers import image_folder as reader  # phantoms must run without medical readers

    found = reader.find_images(folder)
    labels = [image.label for image in found]
    return ImageSource(
        {
            "source": str(folder.resolve()),
            "files": cache.fingerprint({image.path for image in found}),
            "size": size,
        },
        tuple(image.name for image in found),
        None if None in labels else np.unique(np.array(labels), return_inverse=True)[1],
        lambda number: reader.to_square(found[number].read(), size),
    )
