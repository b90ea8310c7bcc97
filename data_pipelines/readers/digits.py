"""The handwritten digits that come with scikit-learn: 1797 real images that need no download."""

from collections.abc import Mapping

import numpy as np

from data_pipelines.labelled_images import LabelledImages, thin_out


def read_digits(ratio: float = 1.0) -> LabelledImages:
    """Reads them: 8 x 8 pixels, 17 grey levels scaled to 0 to 255.

    Args:
        ratio: below 1, makes them unbalanced by `labelled_images.thin_out`: the nines keep this share, the
            zeros stay whole.

    Returns:
        The images (examples, 8, 8, 1) of the classes "0" to "9", without a published split.
    """
    from sklearn import datasets

    bunch: Mapping = datasets.load_digits()  # pyright: ignore[reportAssignmentType]
    images = np.rint(bunch["images"] * (255 / 16)).astype(np.uint8)[..., None]
    labels = bunch["target"].astype(np.int32)
    if ratio < 1:
        kept = thin_out(labels, ratio, seed=0)
        images, labels = images[kept], labels[kept]
    return LabelledImages(images, labels, tuple("0123456789"))
