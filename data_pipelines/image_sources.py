"""Where many single images come from: the kinds of a phantom, or any folder; prepared once, into a cache."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from data_pipelines import cache, image_stack
from data_pipelines.phantoms import cardiac_views, lung_tumour
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


def lung_tumours(num_patients: Sequence[int], num_slices: int, size: int, *, seed: int) -> ImageSource:
    """Slices of the lung tumour phantom, named "<class>/<patient>_<slice>".

    Args:
        num_patients: of each class.
        num_slices: of each patient.
        size: height and width in pixels.
        seed: of the set.
    """
    listed = [
        (label, number, position)
        for label, count in enumerate(num_patients)
        for number in range(count)
        for position in range(num_slices)
    ]
    grid = {"num_patients": list(num_patients), "num_slices": num_slices, "size": size, "seed": seed}
    return ImageSource(
        {"source": "lung tumours", "code": phantom_code(), **grid},
        tuple(
            f"{lung_tumour.CLASSES[label]}/{number:03d}_{position:02d}" for label, number, position in listed
        ),
        np.array([label for label, _, _ in listed]),
        lambda index: lung_tumour.draw_slice(seed, *listed[index], num_slices=num_slices, size=size),
    )


def image_folder(folder: Path, size: int, *, window: tuple[float, float] | None = None) -> ImageSource:
    """The images of a folder, brought to one size; sub-folders are labels.

    Args:
        folder: with images or sub-folders of them.
        size: height and width in pixels.
        window: values that become 0 and 255; None takes quantiles of each image.

    Raises:
        ReadError: as `readers.image_folder.find_images` does.
    """
    from data_pipelines.readers import image_folder as reader  # phantoms must run without medical readers

    found = reader.find_images(folder)
    labels = [image.label for image in found]
    key = {"source": str(folder.resolve()), "files": cache.fingerprint({image.path for image in found})}
    key |= {"size": size} if window is None else {"size": size, "window": list(window)}
    return ImageSource(
        key,
        tuple(image.name for image in found),
        None if None in labels else np.unique(np.array(labels), return_inverse=True)[1],
        lambda number: reader.to_square(found[number].read(), size, window=window),
    )
