"""Distances between distributions of which samples are known, on the host in float64.

They compare features of real and of generated images. A table names the network that gave the features
("Frechet distance on ..."): the numbers mean nothing without it, and are FID or KID only on Inception's own.
"""

from typing import Literal

import numpy as np
import scipy.spatial.distance
from jaxtyping import Float


def frechet_distance(
    first: Float[np.ndarray, "first features"], second: Float[np.ndarray, "second _"]
) -> float:
    """Squared Frechet distance of the normal distributions with the samples' means and covariances.

    |m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2)). With C = R^T R the trace of the root is the sum of the
    singular values of R1 R2^T, so that it is real and finite for any covariance, singular ones included, and
    no digits are lost to squaring. Samples fewer than a few times the features bias it upwards: compare at
    equal sizes.

    Args:
        first: (samples, features).
        second: features of another set.

    Returns:
        The distance, 0 at least, in squared units of the features.

    Raises:
        ValueError: fewer than two samples, other numbers of features, or a value that is not finite.

    Reference: Heusel et al., GANs Trained by a Two Time-Scale Update Rule, equation 6.
    """
    first, second = _check(first, "first", 2), _check(second, "second", 2)
    _check_same_features(first, second)
    shift = first.mean(axis=0) - second.mean(axis=0)
    root_1, root_2 = _covariance_root(first), _covariance_root(second)
    overlap = np.linalg.svd(root_1 @ root_2.T, compute_uv=False).sum()
    return max(float(shift @ shift + (root_1**2).sum() + (root_2**2).sum() - 2 * overlap), 0.0)


def mahalanobis_distances(
    samples: Float[np.ndarray, "samples features"],
    reference: Float[np.ndarray, "reference _"],
    *,
    shrinkage: float | Literal["ledoit-wolf"] = "ledoit-wolf",
) -> Float[np.ndarray, " samples"]:
    """Distance of every sample from a distribution: sqrt((x - m)^T C^-1 (x - m)).

    m and C are mean and covariance of the reference, the latter drawn towards the mean variance times the
    identity: (1 - s) C + s tr(C) / features I. Without shrinkage, s = 0, the squares over the reference
    itself average features (n - 1) / n; fewer samples than features leave no such distance.

    Args:
        samples: (samples, features).
        reference: features of another set.
        shrinkage: s in [0, 1], or that of Ledoit and Wolf, which loses least in the mean square.

    Returns:
        (samples,), without a unit.

    Raises:
        ValueError: fewer than two samples in the reference, other numbers of features, a value that is not
            finite, or a singular covariance.

    Reference: Mahalanobis, On the generalized distance in statistics; Ledoit and Wolf, A well-conditioned
    estimator for large-dimensional covariance matrices, equations 14 to 16.
    """
    samples, reference = _check(samples, "samples", 1), _check(reference, "reference", 2)
    _check_same_features(samples, reference)
    count, num_features = reference.shape
    centre = reference.mean(axis=0)
    covariance = np.cov(reference, rowvar=False).reshape(num_features, num_features)
    share = ledoit_wolf_shrinkage(reference) if shrinkage == "ledoit-wolf" else shrinkage
    target = np.trace(covariance) / num_features
    mixed = (1 - share) * covariance + share * target * np.eye(num_features)
    values, vectors = np.linalg.eigh(mixed)
    if values[0] <= np.finfo(float).eps * num_features * values[-1]:
        raise ValueError(
            f"reference: the covariance of {count} samples of {num_features} features is singular; wanted "
            "more samples, or shrinkage"
        )
    projected = (samples - centre) @ vectors
    return np.sqrt((projected**2 / values).sum(axis=1))


def ledoit_wolf_shrinkage(samples: Float[np.ndarray, "samples features"]) -> float:
    """The share of the identity in the covariance estimate with the least expected squared error, in [0, 1].

    Reference: Ledoit and Wolf, A well-conditioned estimator for large-dimensional covariance matrices,
    equations 14 to 16.
    """
    count, num_features = samples.shape
    centred = samples - samples.mean(axis=0)
    covariance = centred.T @ centred / count
    spread = (covariance**2).sum() - np.trace(covariance) ** 2 / num_features
    error = ((centred**2).sum(axis=1) ** 2).mean() - (covariance**2).sum()
    return float(np.clip(error / count / spread, 0, 1)) if spread > 0 else 0.0


def _covariance_root(samples: np.ndarray) -> np.ndarray:
    """R, (min(samples, features), features), with R^T R the sample covariance."""
    centred = (samples - samples.mean(axis=0)) / np.sqrt(len(samples) - 1)
    if len(samples) <= samples.shape[1]:
        return centred
    return np.linalg.qr(centred).R


def kernel_distance(
    first: Float[np.ndarray, "first features"], second: Float[np.ndarray, "second _"]
) -> float:
    """Unbiased squared maximum mean discrepancy with the kernel (x . y / features + 1)^3.

    Its expectation is the true discrepancy at any sample size, so that it may be negative where the sets are
    alike.

    Args:
        first: (samples, features).
        second: features of another set.

    Returns:
        The estimate; without a unit.

    Raises:
        ValueError: fewer than two samples, other numbers of features, or a value that is not finite.

    Reference: Binkowski et al., Demystifying MMD GANs, section 4; Gretton et al., A Kernel Two-Sample Test,
    equation 3.
    """
    first, second = _check(first, "first", 2), _check(second, "second", 2)
    _check_same_features(first, second)

    def kernel(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        return (x @ y.T / x.shape[1] + 1) ** 3

    def mean_of_others(x: np.ndarray) -> float:
        values = kernel(x, x)
        return float((values.sum() - np.trace(values)) / (len(x) * (len(x) - 1)))

    return mean_of_others(first) + mean_of_others(second) - 2 * float(kernel(first, second).mean())


def batch_mmd_squared(
    first: Float[np.ndarray, "samples *shape"], second: Float[np.ndarray, "..."], batch_size: int
) -> Float[np.ndarray, " batches"]:
    """Biased squared maximum mean discrepancy of batches, with the dot product as kernel.

    It is the squared distance of the two mean images of a batch, summed over pixels: it sees nothing else of
    the distributions, and grows with the square of the range of the values.

    Args:
        first: (samples, *shape), images rather than features.
        second: as many images of another set, in the same range.
        batch_size: samples a batch; what is left over at the end is not used.

    Returns:
        (samples // batch_size,) values, whose mean and standard deviation are reported.

    Raises:
        ValueError: the shapes differ or there are fewer samples than one batch.

    Reference: Kwon et al., Generation of 3D Brain MRI Using Auto-Encoding Generative Adversarial Networks,
    section 3.1; Hong et al., 3D-StyleGAN, section 2.
    """
    if first.shape != second.shape or not 1 <= batch_size <= len(first):
        raise ValueError(
            f"shapes {first.shape} and {second.shape} in batches of {batch_size}; wanted equal shapes and "
            "one batch or more"
        )
    count = len(first) // batch_size
    means = [
        images[: count * batch_size].reshape(count, batch_size, -1).mean(axis=1, dtype=np.float64)
        for images in (first, second)
    ]
    return ((means[0] - means[1]) ** 2).sum(axis=1)


def inception_score(probabilities: Float[np.ndarray, "samples classes"]) -> float:
    """Exponential of the mean Kullback-Leibler divergence of p(class | image) from its mean over images.

    From 1, where every image looks the same to the classifier, to the number of classes, where it is sure of
    each image and all classes are equally frequent.

    Args:
        probabilities: (samples, classes), rows that sum to 1.

    Raises:
        ValueError: no sample, or a row that is no distribution.

    Reference: Salimans et al., Improved Techniques for Training GANs, section 4.
    """
    probabilities = _check(probabilities, "probabilities", 1)
    if (probabilities < 0).any() or not np.allclose(probabilities.sum(axis=1), 1, atol=1e-3):
        raise ValueError("probabilities: a row is no distribution; wanted numbers in [0, 1] that sum to 1")
    marginal = probabilities.mean(axis=0)
    ratio = np.where(probabilities > 0, probabilities / np.where(marginal > 0, marginal, 1), 1)
    return float(np.exp((probabilities * np.log(ratio)).sum(axis=1).mean()))


def precision_recall(
    real: Float[np.ndarray, "real features"],
    generated: Float[np.ndarray, "generated _"],
    *,
    num_neighbours: int = 3,
) -> tuple[float, float]:
    """Shares of generated samples inside the real ones' support, and of real ones inside the generated ones'.

    The support of a set is the union of balls around its samples, each as large as the distance to the k-th
    nearest other sample. Memory grows with the product of the two sizes.

    Args:
        real: (samples, features).
        generated: (samples, features).
        num_neighbours: k.

    Returns:
        Precision, low where images are unlike real ones, and recall, low where real ones are missed.

    Raises:
        ValueError: a set has no more than k samples, other numbers of features, or a value is not finite.

    Reference: Kynkaanniemi et al., Improved Precision and Recall Metric for Assessing Generative Models,
    equation 2.
    """
    real = _check(real, "real", num_neighbours + 1)
    generated = _check(generated, "generated", num_neighbours + 1)
    _check_same_features(real, generated)
    between = scipy.spatial.distance.cdist(real, generated)
    precision = (between <= _radii(real, num_neighbours)[:, None]).any(axis=0).mean()
    recall = (between <= _radii(generated, num_neighbours)[None, :]).any(axis=1).mean()
    return float(precision), float(recall)


def _radii(samples: np.ndarray, num_neighbours: int) -> np.ndarray:
    distances = scipy.spatial.distance.cdist(samples, samples)
    np.fill_diagonal(distances, np.inf)
    return np.partition(distances, num_neighbours - 1, axis=1)[:, num_neighbours - 1]


def _check(samples: np.ndarray, name: str, least: int) -> np.ndarray:
    if len(samples) < least:
        raise ValueError(f"{name}: {len(samples)} samples; wanted {least} or more")
    if not np.isfinite(samples).all():
        raise ValueError(f"{name}: a value is NaN or infinite; wanted finite ones")
    return samples.astype(np.float64)


def _check_same_features(first: np.ndarray, second: np.ndarray) -> None:
    if first.shape[1] != second.shape[1]:
        raise ValueError(f"{first.shape[1]} and {second.shape[1]} features; wanted equally many")
