"""k-means: against scikit-learn from the same start, empty clusters, chunks, devices, k-means++ draws."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.cluster import KMeans

from jaxmed.ops import clustering
from jaxmed.train.mesh import make_mesh

RNG = np.random.default_rng(0)
CENTRES = RNG.normal(size=(7, 5)) * 3
POINTS = (CENTRES[RNG.integers(7, size=403)] + RNG.normal(size=(403, 5))).astype(np.float32)
START = POINTS[:12]


def with_scikit_learn(points, start, num_iterations=20):
    return KMeans(len(start), init=start, n_init=1, max_iter=num_iterations, tol=0, algorithm="lloyd").fit(
        points
    )


def test_equals_scikit_learn_from_the_same_start():
    found = clustering.kmeans(POINTS, START, num_iterations=50)
    wanted = with_scikit_learn(POINTS, START, 50)
    np.testing.assert_array_equal(found.assignments, wanted.labels_)
    np.testing.assert_allclose(found.centres, wanted.cluster_centers_, atol=1e-5)
    assert found.inertia == pytest.approx(wanted.inertia_, rel=1e-5)
    assert 3 < found.num_iterations < 50


def test_stops_after_the_iterations_asked_for():
    found = clustering.kmeans(POINTS, START, num_iterations=2)
    wanted = with_scikit_learn(POINTS, START, 2)
    assert found.num_iterations == 2
    np.testing.assert_array_equal(found.assignments, wanted.labels_)
    assert found.inertia == pytest.approx(wanted.inertia_, rel=1e-5)


def test_empty_clusters_take_the_farthest_points_as_in_scikit_learn():
    """Three centres far from all points are empty at once."""
    far = np.full((3, 5), 100.0, np.float32) * np.array([[1], [2], [3]], np.float32)
    start = np.concatenate([START[:4], far])
    found = clustering.kmeans(POINTS, start, num_iterations=50)
    wanted = with_scikit_learn(POINTS, start, 50)
    assert len(np.unique(found.assignments)) == 7
    assert found.inertia == pytest.approx(wanted.inertia_, rel=1e-5)
    once = clustering.kmeans(POINTS, start, num_iterations=1)
    nearest = ((POINTS[:, None] - START[None, :4]) ** 2).sum(-1).min(1)
    wanted_points = POINTS[np.argsort(-nearest)[:3]]
    np.testing.assert_allclose(once.centres[4:], wanted_points, atol=1e-6)


def test_as_many_clusters_as_points_leaves_no_distance():
    found = clustering.kmeans(POINTS[:9], POINTS[:9] * 0 + POINTS[:1], num_iterations=20)
    assert sorted(found.assignments) == list(range(9))
    assert found.inertia == pytest.approx(0, abs=1e-3)


@pytest.mark.parametrize("devices", [3, pytest.param(8, marks=pytest.mark.exhaustive)])
def test_devices_and_chunks_change_no_assignment(devices):
    one = clustering.kmeans(POINTS, START)
    many = clustering.kmeans(POINTS, START, mesh=make_mesh(devices), chunk=16)
    np.testing.assert_array_equal(one.assignments, many.assignments)
    np.testing.assert_allclose(one.centres, many.centres, atol=1e-5)
    assert one.num_iterations == many.num_iterations


def test_starts_are_the_same_on_any_number_of_devices():
    key = jax.random.key(1)
    one, many = (clustering.kmeans_plus_plus(key, POINTS, 9, mesh=make_mesh(count)) for count in (1, 8))
    np.testing.assert_array_equal(one, many)
    assert all((centre == POINTS).all(1).any() for centre in one)
    assert len(np.unique(one, axis=0)) == 9


def test_second_centre_is_drawn_by_squared_distance():
    """Of points at 0, 1 and 3: given the first at 0, the others follow with 1/10 and 9/10."""
    points = np.array([[0], [1], [3]], np.float32)
    drawn = [clustering.kmeans_plus_plus(jax.random.key(k), points, 2)[:, 0] for k in range(600)]
    seconds = np.array([second for first, second in drawn if first == 0])
    firsts = np.array([first for first, _ in drawn])
    np.testing.assert_allclose([(firsts == value).mean() for value in (0, 1, 3)], 1 / 3, atol=0.07)
    assert (seconds == 3).mean() == pytest.approx(0.9, abs=0.07)


def test_found_clusters_are_those_of_a_drawn_start():
    key = jax.random.key(4)
    start = clustering.kmeans_plus_plus(key, POINTS, 12)
    wanted, found = clustering.kmeans(POINTS, start), clustering.find_clusters(key, POINTS, 12)
    np.testing.assert_array_equal(found.assignments, wanted.assignments)


def test_unit_rows():
    rows = clustering.unit_rows(jnp.array([[3.0, 4.0], [0.0, 0.0]]))
    np.testing.assert_allclose(rows, [[0.6, 0.8], [0, 0]], rtol=1e-6)


def test_coinciding_points_and_bad_sizes():
    same = np.ones((6, 2), np.float32)
    starts = clustering.kmeans_plus_plus(jax.random.key(0), same, 3)
    found = clustering.kmeans(same, starts)
    assert np.isfinite(found.centres).all()
    assert found.inertia == 0
    with pytest.raises(ValueError, match="for 6 points"):
        clustering.kmeans_plus_plus(jax.random.key(0), same, 7)
    with pytest.raises(ValueError, match="wanted as many points"):
        clustering.kmeans(same, jnp.ones((7, 2)))
