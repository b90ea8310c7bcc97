"""Any folder of images for sorting: PNG, JPEG, DICOM slices, volumes (NIfTI, .npz), in sub-folders or not.

A volume gives one image per slice along its depth, the first axis of the arrays of a .npz file. The first
sub-folder's name is the label of what lies in it; files beside the sub-folders have none. Hidden files and
files of other types are passed over.
"""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import ndimage

from data_pipelines.readers import dicom_slices, images, nifti, numpy_files
from data_pipelines.readers.errors import ReadError

_PICTURES = (".png", ".jpg", ".jpeg")
_RANGE = (0.005, 0.995)
"""Quantiles of an image that become black and white."""


@dataclass(frozen=True)
class FolderImage:
    """One image, not read yet.

    Attributes:
        name: the file's path in the folder, with `#slice` for the slices of a volume, behind `/array` where
            the file holds several.
        path: the file.
        label: name of the first sub-folder, or None.
        position: slice in a volume, counted along its depth, or None.
        array: its name in a .npz file, or None.
    """

    name: str
    path: Path
    label: str | None
    position: int | None = None
    array: str | None = None

    def read(self) -> np.ndarray:
        """Reads it.

        Returns:
            (height, width) float32 of the file's own values; colours are averaged.

        Raises:
            ReadError: see the readers of the formats.
        """
        if self.array is not None:
            return np.asarray(numpy_files.read_arrays(self.path)[self.array][self.position], np.float32)
        if self.position is not None:
            return np.asarray(nifti.read_volume(self.path).image[self.position], np.float32)
        if self.path.suffix.lower() in _PICTURES:
            pixels = images.read_image(self.path).image.astype(np.float32)
            return pixels.mean(-1) if pixels.ndim == 3 else pixels
        return dicom_slices.read_pixels(self.path)


def find_images(folder: Path) -> list[FolderImage]:
    """Lists the images below a folder, sorted by path.

    Args:
        folder: searched with its sub-folders.

    Returns:
        One entry per image; every file of a known type is listed, readable or not.

    Raises:
        ReadError: no such folder, no image in it, a volume or slice whose header is damaged, or a .npz file
            with an array that is no volume.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise ReadError(folder, "no folder", "a folder of images")
    found: list[FolderImage] = []
    for path in sorted(folder.rglob("*")):
        inner = path.relative_to(folder)
        if path.is_file() and not any(part.startswith(".") for part in inner.parts):
            found += _images_of(path, inner.as_posix(), inner.parts[0] if len(inner.parts) > 1 else None)
    if not found:
        raise ReadError(folder, "no image", "PNG, JPEG, DICOM, NIfTI or .npz files")
    return found


def _images_of(path: Path, name: str, label: str | None) -> list[FolderImage]:
    if path.suffix.lower() in _PICTURES:
        return [FolderImage(name, path, label)]
    if path.name.lower().endswith((".nii", ".nii.gz")):
        depth = len(nifti.read_volume(path).image)
        return [FolderImage(f"{name}#{position}", path, label, position) for position in range(depth)]
    if path.suffix.lower() == ".npz":
        return _slices_of_arrays(path, name, label)
    if dicom_slices.read_header(path) is not None:
        return [FolderImage(name, path, label)]
    return []


def _slices_of_arrays(path: Path, name: str, label: str | None) -> list[FolderImage]:
    found = []
    for array, values in numpy_files.read_arrays(path).items():
        if values.ndim != 3 or values.dtype.kind not in "iuf":
            raise ReadError(
                path, f"{array} of shape {values.shape}, {values.dtype}", "(depth, height, width) of numbers"
            )
        found += [FolderImage(f"{name}/{array}#{n}", path, label, n, array) for n in range(len(values))]
    return found


def to_square(image: np.ndarray, size: int, *, window: tuple[float, float] | None = None) -> np.ndarray:
    """Brings an image to a square of 8 bits, as for a picture export.

    The image is padded to a square with its least value, resized linearly (smoothed before it is made
    smaller) and scaled so that its 0.5 % and 99.5 % quantiles become 0 and 255.

    Args:
        image: (height, width), finite.
        size: wanted height and width.
        window: values that become 0 and 255 instead of those quantiles, the first one the smaller.

    Returns:
        (size, size) uint8; a constant image becomes 0.
    """
    side = max(image.shape)
    padding = [((side - length) // 2, side - length - (side - length) // 2) for length in image.shape]
    square = np.pad(image.astype(np.float32), padding, constant_values=float(image.min()))
    factor = side / size
    if factor > 1:
        square = ndimage.gaussian_filter(square, 0.5 * np.sqrt(factor**2 - 1), mode="nearest")
    start = (side - 1) / 2 - factor * (size - 1) / 2
    resized = ndimage.affine_transform(
        square, np.full(2, factor), start, (size, size), order=1, mode="nearest"
    )
    low, high = np.quantile(resized, _RANGE) if window is None else window
    if not high > low:
        low, high = float(resized.min()), float(resized.max())
    scaled = (resized - low) / (high - low) if high > low else np.zeros_like(resized)
    return np.round(255 * np.clip(scaled, 0, 1)).astype(np.uint8)


def inspect(folder: Path) -> tuple[str, int]:
    """Reads every image of a folder.

    Returns:
        A report on labels, sizes and what is wrong, and the number of problems.

    Raises:
        ReadError: see `find_images`.
    """
    found = find_images(folder)
    labels = Counter(image.label or "without a label" for image in found)
    sizes: Counter[tuple[int, ...]] = Counter()
    problems = []
    for image in found:
        try:
            pixels = image.read()
        except ReadError as error:
            problems.append(str(error))
            continue
        sizes[pixels.shape] += 1
        if not np.isfinite(pixels).all():
            problems.append(f"{image.name}: found values that are not finite; wanted finite ones")
    lines = [f"{len(found)} images, {len(labels)} labels"]
    lines += [f"  {count} {label}" for label, count in sorted(labels.items())]
    lines += [f"  {count} of {' x '.join(map(str, size))} pixels" for size, count in sorted(sizes.items())]
    return "\n".join([*lines, f"{len(problems)} problems", *problems]), len(problems)
