import numpy as np
import pytest
import scipy.linalg
import scipy.stats

from jaxmed.metrics import distributions


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def test_frechet_equals_the_matrix_square_root(rng):
    first = rng.normal(size=(60, 5)) @ rng.normal(size=(5, 5))
    second = 1 + rng.normal(size=(80, 5)) @ rng.normal(size=(5, 5))
    covariances = np.cov(first.T), np.cov(second.T)
    root = scipy.linalg.sqrtm(covariances[0] @ covariances[1])
    expected = ((first.mean(0) - second.mean(0)) ** 2).sum() + np.trace(sum(covariances) - 2 * root.real)
    np.testing.assert_allclose(distributions.frechet_distance(first, second), expected, rtol=1e-9)


def test_frechet_of_known_normals(rng):
    """Samples whitened to exact moments: sum of (m1 - m2)^2 + (s1 - s2)^2 for diagonal covariances."""
    samples = rng.normal(size=(50, 3))
    samples -= samples.mean(0)
    white = samples @ np.linalg.inv(np.linalg.cholesky(np.cov(samples.T))).T
    first, second = white * [1.0, 2.0, 3.0], white * [2.0, 2.0, 0.5] + [0.0, 1.0, -2.0]
    value = distributions.frechet_distance(first, second)
    np.testing.assert_allclose(value, 1 + 4 + 1 + 0 + 6.25, rtol=1e-10)


def test_frechet_is_finite_and_zero_for_fewer_samples_than_features(rng):
    few = rng.normal(size=(4, 200)).astype(np.float32)
    assert distributions.frechet_distance(few, few) < 1e-9
    other = distributions.frechet_distance(few, rng.normal(size=(3, 200)))
    assert np.isfinite(other) and other > 0


def test_frechet_with_fewer_samples_than_features_equals_the_eigenvalues(rng):
    first, second = rng.normal(size=(5, 12)), rng.normal(size=(7, 12))
    covariances = np.cov(first.T), np.cov(second.T)
    eigenvalues = np.linalg.eigvals(covariances[0] @ covariances[1]).real
    root = np.sqrt(np.maximum(eigenvalues, 0)).sum()
    expected = ((first.mean(0) - second.mean(0)) ** 2).sum() + np.trace(sum(covariances)) - 2 * root
    np.testing.assert_allclose(distributions.frechet_distance(first, second), expected, rtol=1e-6)


@pytest.mark.parametrize("distance", [distributions.frechet_distance, distributions.kernel_distance])
def test_distances_refuse_what_has_no_covariance(distance, rng):
    good = rng.normal(size=(10, 4))
    with pytest.raises(ValueError, match="1 samples; wanted 2 or more"):
        distance(good[:1], good)
    with pytest.raises(ValueError, match="features"):
        distance(good, good[:, :3])
    with pytest.raises(ValueError, match="second: a value is NaN"):
        distance(good, np.full((3, 4), np.nan))


def test_kernel_distance_equals_the_double_sum(rng):
    first, second = rng.normal(size=(6, 4)), rng.normal(size=(5, 4))
    kernel = lambda x, y: (x @ y / 4 + 1) ** 3  # noqa: E731
    within = [
        np.mean([kernel(x, y) for i, x in enumerate(s) for j, y in enumerate(s) if i != j])
        for s in (first, second)
    ]
    expected = sum(within) - 2 * np.mean([kernel(x, y) for x in first for y in second])
    np.testing.assert_allclose(distributions.kernel_distance(first, second), expected, rtol=1e-10)


def test_kernel_distance_is_unbiased(rng):
    """Mean over many pairs of sets of one distribution: 0 within four standard errors."""
    values = [
        distributions.kernel_distance(rng.normal(size=(8, 3)), rng.normal(size=(6, 3))) for _ in range(200)
    ]
    assert abs(np.mean(values)) < 4 * scipy.stats.sem(values)
    shifted = [
        distributions.kernel_distance(rng.normal(size=(8, 3)), 0.7 + rng.normal(size=(6, 3)))
        for _ in range(200)
    ]
    assert np.mean(shifted) > 4 * scipy.stats.sem(shifted)


def test_batch_mmd_is_the_double_sum_of_dot_products(rng):
    first, second = rng.normal(size=(9, 3, 4)), rng.normal(size=(9, 3, 4))
    values = distributions.batch_mmd_squared(first, second, 4)
    x, y = first[:4].reshape(4, -1), second[:4].reshape(4, -1)
    expected = (x @ x.T).mean() + (y @ y.T).mean() - 2 * (x @ y.T).mean()
    assert values.shape == (2,)
    np.testing.assert_allclose(values[0], expected, rtol=1e-10)
    with pytest.raises(ValueError, match="batches of 10"):
        distributions.batch_mmd_squared(first, second, 10)


def test_inception_score_at_its_ends_and_between(rng):
    np.testing.assert_allclose(distributions.inception_score(np.eye(5)[np.arange(20) % 5]), 5)
    np.testing.assert_allclose(distributions.inception_score(np.full((7, 4), 0.25)), 1)
    probabilities = rng.dirichlet(np.ones(4), size=30)
    marginal = probabilities.mean(0)
    divergences = [scipy.stats.entropy(row, marginal) for row in probabilities]
    np.testing.assert_allclose(
        distributions.inception_score(probabilities), np.exp(np.mean(divergences)), rtol=1e-10
    )
    with pytest.raises(ValueError, match="no distribution"):
        distributions.inception_score(np.full((2, 2), 0.7))


def test_precision_and_recall_tell_missed_modes_from_bad_samples(rng):
    modes = np.array([[0.0, 0.0], [50.0, 0.0]])
    real = np.concatenate([mode + rng.normal(size=(100, 2)) for mode in modes])
    collapsed = modes[0] + 0.3 * rng.normal(size=(100, 2))
    precision, recall = distributions.precision_recall(real, collapsed)
    assert precision > 0.95 and recall < 0.5
    wide = np.concatenate([real, 1000 + 100 * rng.normal(size=(200, 2))])
    precision, recall = distributions.precision_recall(real, wide)
    assert precision <= 0.5 and recall == 1.0
    with pytest.raises(ValueError, match="generated: 3 samples; wanted 4"):
        distributions.precision_recall(real, wide[:3])


def test_mahalanobis_of_the_reference_itself(rng):
    """Squares average d (n - 1) / n, whatever the covariance."""
    reference = rng.normal(size=(40, 6)) @ rng.normal(size=(6, 6)) + 3
    squares = distributions.mahalanobis_distances(reference, reference, shrinkage=0.0) ** 2
    np.testing.assert_allclose(squares.mean(), 6 * 39 / 40, rtol=1e-10)
    from scipy.spatial.distance import cdist

    other = rng.normal(size=(5, 6))
    inverse = np.linalg.inv(np.cov(reference.T))
    expected = cdist(other, reference.mean(0)[None], "mahalanobis", VI=inverse)[:, 0]
    found = distributions.mahalanobis_distances(other, reference, shrinkage=0.0)
    np.testing.assert_allclose(found, expected, rtol=1e-8)


def test_shrinkage_is_that_of_scikit_learn_and_keeps_few_samples_finite(rng):
    from sklearn.covariance import ledoit_wolf_shrinkage

    samples = rng.normal(size=(20, 50)) * np.linspace(0.5, 3, 50)
    np.testing.assert_allclose(
        distributions.ledoit_wolf_shrinkage(samples), ledoit_wolf_shrinkage(samples), rtol=1e-8
    )
    assert np.isfinite(distributions.mahalanobis_distances(samples, samples)).all()
    with pytest.raises(ValueError, match="singular"):
        distributions.mahalanobis_distances(samples, samples, shrinkage=0.0)
    whole = distributions.mahalanobis_distances(samples, samples, shrinkage=1.0)
    scale = np.sqrt(np.trace(np.cov(samples.T)) / 50)
    np.testing.assert_allclose(whole, np.linalg.norm(samples - samples.mean(0), axis=1) / scale, rtol=1e-8)
