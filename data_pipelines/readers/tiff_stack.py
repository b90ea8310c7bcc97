"""Volumes stored as one TIFF file with a grey page per slice, as electron micrographs are."""

from pathlib import Path

import numpy as np
from PIL import Image, ImageSequence

from data_pipelines.readers.errors import ReadError

_MODES = ("L", "I;16", "1")


def read(path: str | Path) -> np.ndarray:
    """Reads all pages.

    Args:
        path: a .tif file whose pages are grey (8 or 16 bit) or black and white, and of one size.

    Returns:
        (pages, height, width) in the type of the pages.

    Raises:
        ReadError: a file that is missing or damaged, other modes, or pages of several sizes.
    """
    path = Path(path)
    try:
        with Image.open(path) as image:
            if image.format != "TIFF":
                raise ReadError(path, f"format {image.format}", "TIFF")
            pages = [(page.mode, np.array(page)) for page in ImageSequence.Iterator(image)]
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        if isinstance(error, ReadError):
            raise
        raise ReadError(path, f"{type(error).__name__}: {error}", "a TIFF file of grey pages") from error
    modes, shapes = {mode for mode, _ in pages}, {page.shape for _, page in pages}
    if len(modes) != 1 or modes - set(_MODES) or len(shapes) != 1:
        raise ReadError(
            path,
            f"pages of the modes {', '.join(sorted(modes))} and {len(shapes)} sizes",
            f"one of {', '.join(_MODES)} and one size",
        )
    return np.stack([page for _, page in pages])
