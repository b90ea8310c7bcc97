"""A user's own images with classes: a folder with one .npz file, or with a sub-folder for each class."""

from pathlib import Path

import numpy as np

from data_pipelines import image_sources
from data_pipelines.image_stack import resize
from data_pipelines.labelled_images import LabelledImages
from data_pipelines.readers import labelled_npz
from data_pipelines.readers.errors import ReadError


def read_folder(folder: Path, cache_dir: Path, shape: tuple[int, int]) -> LabelledImages:
    """Reads the images, grey, float32 in [0, 1].

    Args:
        folder: with one .npz file (`readers.labelled_npz`), whose images are resized linearly; what lies
            beside it is passed over. Or, without one, with a sub-folder of images for each class
            (`readers.image_folder`): each is padded to a square and resized, and its 0.5 % and 99.5 %
            quantiles become 0 and 1.
        cache_dir: where images of sub-folders are kept as they are prepared.
        shape: height and width wanted.

    Raises:
        ReadError: see the readers; several .npz files, images outside of sub-folders, or a shape that is no
            square for images in sub-folders.
        BuildError: an image in a sub-folder cannot be read.
    """
    if (file := find_npz(folder)) is not None:
        found = labelled_npz.read_labelled(file)
        return LabelledImages(resize(found.images[..., 0], shape), found.labels, found.classes)
    if shape[0] != shape[1]:
        raise ReadError(folder, f"sub-folders for images of {shape[0]} x {shape[1]} pixels", "a square shape")
    source = image_sources.image_folder(folder, shape[0])
    if source.labels is None:
        raise ReadError(folder, "images outside of sub-folders", "one .npz file, or a sub-folder a class")
    images = source.stack(cache_dir).astype(np.float32)[..., None] / 255
    classes = tuple(sorted({name.split("/")[0] for name in source.names}))
    return LabelledImages(images, source.labels.astype(np.int32), classes)


def find_npz(folder: Path) -> Path | None:
    """The .npz file that lies in a folder itself, or None.

    Raises:
        ReadError: there are several.
    """
    files = sorted(path for path in folder.glob("*.npz") if not path.name.startswith("."))
    if len(files) > 1:
        raise ReadError(folder, f"{len(files)} .npz files", "one")
    return files[0] if files else None
