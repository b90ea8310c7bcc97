"""PNG and JPEG images with masks, read strictly."""

import io
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from data_pipelines.example import Example
from data_pipelines.readers.errors import ReadError

_IMAGE_MODES = ("L", "RGB", "I;16")
_MASK_MODES = ("1", "L", "P", "RGB", "I;16")
_PNG_END = b"IEND\xaeB`\x82"
_EXIF_ORIENTATION = 0x0112


def read_image(path: str | Path) -> Example:
    """Reads a PNG or JPEG file.

    Grey (8 or 16 bit) and RGB images are read as they are; an alpha channel is dropped if it is opaque
    everywhere. Pillow's limit on the number of pixels holds.

    Args:
        path: the file.

    Returns:
        The case with a (height, width) or (height, width, 3) image of uint8, or uint16 for 16-bit grey.

    Raises:
        ReadError: truncated, altered or oversized files, other formats, palettes and other modes,
            transparency, and EXIF data that ask for a rotation.
    """
    path = Path(path)
    image = _without_alpha(_load(path), path)
    if image.mode not in _IMAGE_MODES:
        raise ReadError(path, f"mode {image.mode}", f"one of {', '.join(_IMAGE_MODES)}")
    return Example(subject=path.stem, image=np.array(image))


def read_pair(
    image_path: str | Path,
    label_path: str | Path,
    *,
    pixel_values: Sequence[int | tuple[int, int, int]] | None = None,
) -> Example:
    """Reads an image and its mask of the same size.

    Args:
        image_path: see `read_image`.
        label_path: a PNG file of mode 1, L, P, I;16 or RGB.
        pixel_values: the grey value, palette index or colour that stands for label 0, 1, ... in the mask,
            such as (0, 255) or ((0, 0, 0), (0, 255, 0)). By default a pixel's value is its label.

    Returns:
        The case with a (height, width) label of uint8, or uint16 for a 16-bit mask without `pixel_values`.

    Raises:
        ReadError: see `read_image`; a lossy mask, one of another size, or one with other pixel values.
    """
    example = read_image(image_path)
    path = Path(label_path)
    mask = _without_alpha(_load(path), path)
    if mask.format == "JPEG" or mask.mode not in _MASK_MODES:
        raise ReadError(path, f"a {mask.format} mask of mode {mask.mode}", f"PNG of {', '.join(_MASK_MODES)}")
    pixels = np.array(mask)
    if pixels.shape[:2] != example.image.shape[:2]:
        raise ReadError(path, f"a mask of size {pixels.shape[:2]}", f"the image's {example.image.shape[:2]}")
    return replace(example, label=_labels(pixels, path, pixel_values))


def _load(path: Path) -> Image.Image:
    if not path.is_file():
        raise ReadError(path, "no file", "a PNG or JPEG file")
    content = path.read_bytes()
    try:
        # Checks the CRC of each PNG chunk, which decoding alone does not; the object is used up by it.
        _open(content, path).verify()
        image = _open(content, path)
        image.load()
    except ReadError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ReadError(path, f"more pixels than Pillow's limit ({error})", "a smaller image") from error
    # Pillow reports damage as OSError, SyntaxError, ValueError, struct.error and others.
    except Exception as error:
        raise ReadError(path, f"a damaged image ({error})", "an intact PNG or JPEG file") from error
    # Pillow stops before the last four bytes of a PNG.
    if image.format == "PNG" and _PNG_END not in content:
        raise ReadError(path, "a PNG without its end (truncated)", "a complete file")
    if getattr(image, "n_frames", 1) != 1:
        raise ReadError(path, "an animation", "one image")
    if image.getexif().get(_EXIF_ORIENTATION, 1) != 1:
        raise ReadError(path, "an EXIF orientation that rotates or flips", "pixels stored upright")
    return image


def _open(content: bytes, path: Path) -> Image.Image:
    image = Image.open(io.BytesIO(content), formats=("PNG", "JPEG"))
    limit = Image.MAX_IMAGE_PIXELS
    if limit is not None and image.width * image.height > limit:
        raise ReadError(path, f"{image.width} x {image.height} pixels", f"at most Pillow's limit of {limit}")
    return image


def _without_alpha(image: Image.Image, path: Path) -> Image.Image:
    if image.mode not in ("LA", "RGBA"):
        return image
    lowest = int(np.array(image.getchannel("A")).min())
    if lowest < 255:
        raise ReadError(path, f"transparency (alpha down to {lowest})", "an opaque image")
    opaque = image.convert(image.mode.removesuffix("A"))
    opaque.format = image.format
    return opaque


def _labels(
    pixels: np.ndarray, path: Path, pixel_values: Sequence[int | tuple[int, int, int]] | None
) -> np.ndarray:
    if pixel_values is None:
        if pixels.ndim != 2:
            raise ReadError(path, "a colour mask", "grey values, or pixel_values that name the colours")
        return pixels.astype(np.uint8) if pixels.dtype == bool else pixels
    labels = np.zeros(pixels.shape[:2], np.uint8)
    known = np.zeros(pixels.shape[:2], bool)
    for label, value in enumerate(pixel_values):
        if np.ndim(value) != pixels.ndim - 2:
            raise ReadError(path, f"pixels of shape {pixels.shape}", f"a mask of values such as {value}")
        matches = (pixels == value) if pixels.ndim == 2 else (pixels == value).all(-1)
        labels[matches] = label
        known |= matches
    if not known.all():
        first = pixels[~known][0].tolist()
        raise ReadError(
            path, f"{np.count_nonzero(~known)} pixels such as {first}", f"only {list(pixel_values)}"
        )
    return labels
