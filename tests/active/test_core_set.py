import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmed.active import core_set

greedy_k_centre = jax.jit(core_set.greedy_k_centre, static_argnums=2)
one_shot = jax.jit(core_set.one_shot, static_argnums=2)
GENERATOR = np.random.default_rng(1)


def points(count, size=2):
    return jnp.asarray(GENERATOR.normal(size=(count, size)).astype(np.float32))


def distances_of(features):
    x = np.asarray(features, np.float64)
    return np.linalg.norm(x[:, None] - x[None], axis=-1)


def greedy(features, labelled, count, weights):
    """The algorithm written down with the full matrix of distances."""
    distances, centres, chosen = distances_of(features), list(labelled), []
    for _ in range(count):
        nearest = distances[:, centres].min(axis=1) * np.asarray(weights, np.float64)
        nearest[centres] = -1
        chosen.append(int(nearest.argmax()))
        centres.append(chosen[-1])
    return chosen


@pytest.mark.parametrize("num_labelled", [1, 300])
def test_greedy_equals_the_algorithm_on_the_full_matrix(num_labelled):
    features, weights = points(500, 8), jnp.asarray(GENERATOR.uniform(0.1, 1, 500), jnp.float32)
    labelled = GENERATOR.permutation(500)[:num_labelled]
    found = greedy_k_centre(features, jnp.asarray(labelled), 40, weights)
    assert found.tolist() == greedy(features, labelled, 40, weights)
    found = greedy_k_centre(features, jnp.asarray(labelled), 40)
    assert found.tolist() == greedy(features, labelled, 40, np.ones(500))


def test_radius_is_at_most_twice_the_smallest_possible():
    for _ in range(5):
        features = points(14)
        distances = distances_of(features)

        def radius(centres, distances=distances):
            return distances[:, list(centres)].min(axis=1).max()

        chosen = greedy_k_centre(features, np.zeros(1, np.int32), 3)
        best = min(radius((0, *others)) for others in itertools.combinations(range(1, 14), 3))
        assert best <= radius((0, *chosen.tolist())) <= 2 * best + 1e-6


def test_duplicates_are_taken_together_only_in_one_shot():
    far = np.array([[9, 0], [9, 0.1], [9, -0.1], [0, 5], [0.1, 0], [0, 0]], np.float32)
    weights = np.ones(6, np.float32)
    labelled = np.array([5], np.int32)
    assert sorted(one_shot(far, labelled, 3, weights).tolist()) == [0, 1, 2]
    assert 3 in greedy_k_centre(far, labelled, 2).tolist()
    copies = np.repeat(points(3), 4, axis=0)
    assert len(set(greedy_k_centre(copies, np.zeros(1, np.int32), 11).tolist())) == 11


def test_first_centre_without_labelled_examples_is_that_of_the_largest_weight():
    none = jnp.zeros(0, jnp.int32)
    weights = jnp.array([0.1, 0.9, 0.5])
    assert greedy_k_centre(points(3), none, 1, weights).tolist() == [1]
    assert greedy_k_centre(points(3), none, 3).tolist()[0] == 0
    with pytest.raises(ValueError, match="labelled is empty"):
        core_set.one_shot(points(3), none, 1, weights)


def test_no_array_of_all_distances_is_formed():
    count, size = 4000, 16
    shapes = jax.ShapeDtypeStruct((count, size), jnp.float32), jax.ShapeDtypeStruct((700,), jnp.int32)
    lowered = jax.jit(core_set.greedy_k_centre, static_argnums=2).lower(*shapes, 300)
    memory = lowered.compile().memory_analysis()
    # Distances of 256 centres at a time, and as much again for their products.
    assert memory.temp_size_in_bytes < 4 * count * (2 * 256 + 4 * size)
