"""How alike volumes of a set are, and how their slices differ from those of another set."""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float
from scipy import ndimage

from jaxmed.metrics import distributions
from jaxmed.metrics.structural_similarity import multi_scale_ssim


def pair_similarities(
    volumes: Float[np.ndarray, "samples *spatial channels"],
    num_pairs: int,
    *,
    data_range: float,
    window_size: int = 11,
    seed: int = 0,
) -> Float[np.ndarray, " pairs"]:
    """Multi-scale structural similarity of random pairs of different samples: high where they lack variety.

    Args:
        volumes: (samples, *spatial, channels), two or more.
        num_pairs: how many pairs, drawn with replacement.
        data_range: largest minus smallest value that volumes may have.
        window_size: see `structural_similarity.multi_scale_ssim`; as many scales as fit.
        seed: of the choice.

    Returns:
        (pairs,), in [0, 1].

    Reference: Odena et al., Conditional Image Synthesis with Auxiliary Classifier GANs, section 4.2.
    """
    rng, count = np.random.default_rng(seed), len(volumes)
    if count < 2:
        raise ValueError(f"volumes: {count}; wanted two or more to pair")
    first = rng.integers(count, size=num_pairs)
    second = (first + rng.integers(1, count, size=num_pairs)) % count
    similarity = _similarity(data_range, window_size)
    values = [similarity(volumes[i][None], volumes[j][None]) for i, j in zip(first, second, strict=True)]
    return np.concatenate([np.asarray(value) for value in values])


@functools.lru_cache(maxsize=8)
def _similarity(data_range: float, window_size: int) -> Callable:
    return jax.jit(functools.partial(multi_scale_ssim, data_range=data_range, window_size=window_size))


def slice_frechet_distance(
    first: Float[np.ndarray, "first *spatial channels"],
    second: Float[np.ndarray, "second *spatial channels"],
    axis: int,
    features: Callable[[jax.Array], jax.Array],
) -> float:
    """Frechet distance between the middle slices of two sets of volumes.

    Args:
        first: (samples, depth, height, width, channels).
        second: likewise.
        axis: across which slices lie: 0 for depth, 1 for height, 2 for width.
        features: `(slices (samples, *size, channels)) -> (samples, features)`; the metric's name must tell
            which.

    Reference: Hong et al., 3D-StyleGAN, section 2.1, who use Inception's features.
    """
    found = [
        np.asarray(features(jnp.asarray(np.take(one, one.shape[axis + 1] // 2, axis=axis + 1))))
        for one in (first, second)
    ]
    return distributions.frechet_distance(found[0], found[1])


def change_by_scale(
    before: Float[np.ndarray, "samples *spatial"], after: Float[np.ndarray, "samples *spatial"], sigma: float
) -> tuple[Float[np.ndarray, " samples"], Float[np.ndarray, " samples"]]:
    """Root mean square of what changed, after a Gaussian filter and of the rest: shape, and detail.

    Args:
        before: (samples, *spatial).
        after: the same samples, changed.
        sigma: of the filter, in voxels.
    """
    change = after - before
    coarse = ndimage.gaussian_filter(change, (0, *(sigma,) * (change.ndim - 1)))
    axes = tuple(range(1, change.ndim))
    return np.sqrt(np.square(coarse).mean(axis=axes)), np.sqrt(np.square(change - coarse).mean(axis=axes))
