"""How similar every image of a set is to the most similar image of another set, or of its own."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Shaped

from jaxmed.metrics.structural_similarity import (
    ScaleMoments,
    compare_moments,
    count_scales,
    scale_moments,
)
from jaxmed.ops import template_matching

WINDOW = 7
"""Pixels of the window of structural similarity."""

_IMAGES_AT_ONCE = 64
_LATTICE_COLUMNS = 4
_LATTICE_IMAGES = _LATTICE_COLUMNS**2


def ms_ssim_matrix(
    first: Float[np.ndarray, "first height width"], second: Float[np.ndarray, "second _height _width"]
) -> Float[np.ndarray, "first second"]:
    """Multi-scale structural similarity of every image of one set with every one of another.

    With as many scales as a window of 7 pixels fits into, 5 at most: values of images of other sizes do not
    compare.

    Args:
        first: (first, height, width) in [0, 1].
        second: (second, height, width) in [0, 1].

    Returns:
        (first, second), in [0, 1].

    Raises:
        ValueError: the images are smaller than the window or of two sizes.

    Reference: Wang et al., Multi-Scale Structural Similarity for Image Quality Assessment, equation 7.
    """
    _check(first, second)
    arrays = _pad(np.asarray(first, np.float32), _IMAGES_AT_ONCE), _pad(np.asarray(second), _IMAGES_AT_ONCE)
    moments = [
        [_moments(part) for part in array.reshape(-1, _IMAGES_AT_ONCE, *array.shape[1:])] for array in arrays
    ]
    rows = [np.concatenate([np.asarray(_compare(x, y)) for y in moments[1]], axis=1) for x in moments[0]]
    return np.concatenate(rows)[: len(first), : len(second)]


def correlation_matrix(
    first: Float[np.ndarray, "first height width"], second: Float[np.ndarray, "second _height _width"]
) -> Float[np.ndarray, "first lattices"]:
    """Best match of every image, as a template, in lattices of images of another set.

    A lattice has 4 x 4 images side by side, so that a match may be shifted; the last one is filled up with
    images that are in it already.

    Args:
        first: templates, (first, height, width) in [0, 1].
        second: (second, height, width) in [0, 1].

    Returns:
        (first, lattices): largest normalised cross-correlation, in [0, 1], without removal of means.

    Reference: Tronchin et al., Evaluating GANs in Medical Imaging, section 2.
    """
    _check(first, second)
    columns = [
        _match(np.asarray(first, np.float32), second[start : start + _LATTICE_IMAGES])
        for start in range(0, len(second), _LATTICE_IMAGES)
    ]
    return np.stack(columns, axis=1)


def largest(
    similarity: Float[np.ndarray, "first second"], excluded: Shaped[np.ndarray, "first second"] | None = None
) -> Float[np.ndarray, " first"]:
    """Largest similarity of every image to those that are not excluded, such as itself or its own patient.

    Raises:
        ValueError: all others of an image are excluded.
    """
    if excluded is None:
        return similarity.max(axis=1)
    if excluded.all(axis=1).any():
        raise ValueError("an image has nothing to be compared with; wanted one other image at least")
    return np.where(excluded, -np.inf, similarity).max(axis=1)


def _match(templates: np.ndarray, images: np.ndarray) -> np.ndarray:
    """Largest correlation of each template within one lattice."""
    whole = np.resize(np.asarray(images, np.float32), (_LATTICE_IMAGES, *images.shape[1:]))
    padded = _pad(templates, _LATTICE_IMAGES)
    parts = padded.reshape(-1, _LATTICE_IMAGES, *templates.shape[1:])
    found = [np.asarray(_match_part(part, whole)) for part in parts]
    return np.concatenate(found)[: len(templates)]


@jax.jit
def _match_part(templates: jax.Array, images: jax.Array) -> jax.Array:
    image = template_matching.lattice(images, _LATTICE_COLUMNS)
    return template_matching.match_template(templates, image).max(axis=(1, 2))


@jax.jit
def _moments(images: jax.Array) -> list[ScaleMoments]:
    return scale_moments(images[..., None].astype(jnp.float32), data_range=1.0, window_size=WINDOW)


@jax.jit
def _compare(first: list[ScaleMoments], second: list[ScaleMoments]) -> jax.Array:
    return compare_moments(first, second, data_range=1.0, window_size=WINDOW)


def _pad(images: np.ndarray, multiple: int) -> np.ndarray:
    missing = -len(images) % multiple
    return np.concatenate([images, np.repeat(images[-1:], missing, axis=0)])


def _check(first: np.ndarray, second: np.ndarray) -> None:
    if not len(first) or not len(second) or first.shape[1:] != second.shape[1:]:
        raise ValueError(f"shapes {first.shape} and {second.shape}; wanted images of one size in both sets")
    if not count_scales(first.shape[1:], WINDOW):
        raise ValueError(f"images of {first.shape[1:]} pixels; wanted {WINDOW} x {WINDOW} at least")
