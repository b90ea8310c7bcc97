"""The COVID-19 Radiography Database: chest radiographs in one folder per class.

Layouts that are read, in any capitals: `Normal/images/*.png`, `COVID/images/*.png`,
`Viral Pneumonia/images/*.png` as published since 2021; the same without `images`; and `normal`, `covid`,
`viral`. `Lung_Opacity` is passed over: Chong et al. do not use it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from data_pipelines.readers import images
from data_pipelines.readers.errors import ReadError

CLASSES = ("NC", "NCP", "CP")
"""Normal control, COVID-19 pneumonia, and other (viral) pneumonia, as the paper calls them."""

SUFFIXES = (".png", ".jpg", ".jpeg")
"""Of the files that are read."""

_FOLDERS = {"NC": ("normal",), "NCP": ("covid",), "CP": ("viral pneumonia", "viral_pneumonia", "viral")}


@dataclass(frozen=True)
class Radiograph:
    """One file and its class.

    Attributes:
        subject: class and name of the file.
        path: the file.
        label: its class.
    """

    subject: str
    path: Path
    label: int

    def read(self, size: int) -> np.ndarray:
        """Reads the image in grey and resizes it with an area filter.

        Args:
            size: height and width wanted.

        Returns:
            (size, size) uint8.

        Raises:
            ReadError: see `images.read_image`.
        """
        pixels = images.read_image(self.path).image
        if pixels.ndim == 3:
            pixels = np.rint(pixels @ np.array([0.299, 0.587, 0.114])).astype(np.uint8)
        if pixels.dtype != np.uint8:
            raise ReadError(self.path, f"pixels of {pixels.dtype}", "8 bits a pixel")
        return np.asarray(Image.fromarray(pixels).resize((size, size), Image.Resampling.BOX))


def find_radiographs(folder: str | Path) -> list[Radiograph]:
    """Lists the images of the three classes.

    Args:
        folder: holds the classes' folders.

    Returns:
        The files by class and name.

    Raises:
        ReadError: no folder of a class, two of them, or one without images.
    """
    folder = Path(folder)
    by_name = {path.name.lower(): path for path in folder.iterdir() if path.is_dir()}
    found = []
    for label, name in enumerate(CLASSES):
        inner = _class_folder(folder, by_name, name)
        paths = sorted(path for path in inner.iterdir() if path.suffix.lower() in SUFFIXES)
        if not paths:
            raise ReadError(inner, "no images", "PNG or JPEG files")
        found += [Radiograph(f"{name}-{path.stem}", path, label) for path in paths]
    return found


def _class_folder(folder: Path, by_name: Mapping[str, Path], name: str) -> Path:
    matches = [by_name[key] for key in _FOLDERS[name] if key in by_name]
    if len(matches) != 1:
        raise ReadError(
            folder, f"{len(matches)} folders of the class {name}", f"one of {', '.join(_FOLDERS[name])}"
        )
    inner = matches[0] / "images"
    return inner if inner.is_dir() else matches[0]
