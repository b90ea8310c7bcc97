"""How alike volumes of a set are, and how their slices differ from those of another set."""

import functools
from collections.abc import Callable, Sequence

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


def slice_distances(
    first: Float[np.ndarray, "first *spatial channels"],
    second: Float[np.ndarray, "second *spatial channels"],
    planes: Sequence[str],
    features: Callable[[jax.Array], jax.Array],
) -> dict[str, float]:
    """Frechet and kernel distances between the middle slices of two sets of volumes.

    Args:
        first: (samples, depth, height, width, channels).
        second: likewise.
        planes: names of the slices across each of the three axes.
        features: `(slices (samples, *size, channels)) -> (samples, features)`; the metric's name must tell
            which.

    Returns:
        "FD-<plane>" and "KD-<plane>": the distances of `distributions`. Of few samples the Frechet distance
        is too large, the kernel distance is not.

    Reference: Hong et al., 3D-StyleGAN, section 2.1, who use the Frechet distance of Inception's features.
    """
    distances = {}
    for axis, plane in enumerate(planes, 1):
        slices = [np.take(one, one.shape[axis] // 2, axis=axis) for one in (first, second)]
        found = [np.asarray(features(jnp.asarray(one))) for one in slices]
        distances[f"FD-{plane}"] = distributions.frechet_distance(found[0], found[1])
        distances[f"KD-{plane}"] = distributions.kernel_distance(found[0], found[1])
    return distances


def change_by_scale(
    before: Float[np.ndarray, "samples *spatial"], after: Float[np.ndarray, "samples *spatial"], sigma: float
) -> dict[str, Float[np.ndarray, " samples"]]:
    """What changed in shape and in detail.

    Args:
        before: (samples, *spatial).
        after: the same samples, changed.
        sigma: of a Gaussian filter, in voxels.

    Returns:
        By sample: "coarse change", the root mean square of what changed as the filter lets it pass, "fine
        change", that of the rest, and "fine share", the share of the latter in their sum.
    """
    change = after - before
    coarse = ndimage.gaussian_filter(change, (0, *(sigma,) * (change.ndim - 1)))
    axes = tuple(range(1, change.ndim))
    coarse, fine = (np.sqrt(np.square(one).mean(axis=axes)) for one in (coarse, change - coarse))
    share = fine / np.maximum(coarse + fine, 1e-12)
    return {"coarse change": coarse, "fine change": fine, "fine share": share}
