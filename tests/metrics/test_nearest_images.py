import jax.numpy as jnp
import numpy as np
import pytest

from jaxmed.metrics import nearest_images
from jaxmed.metrics.structural_similarity import multi_scale_ssim


@pytest.fixture(scope="module")
def sets():
    rng = np.random.default_rng(0)
    return rng.random((3, 16, 16)).astype(np.float32), rng.random((5, 16, 16)).astype(np.float32)


def test_structural_similarity_of_all_pairs(sets):
    first, second = sets
    found = nearest_images.ms_ssim_matrix(first, np.concatenate([second, first[1:2]]))
    assert found.shape == (3, 6)
    pair = jnp.asarray(first[1:2, ..., None]), jnp.asarray(second[3:4, ..., None])
    np.testing.assert_allclose(
        found[1, 3], multi_scale_ssim(*pair, data_range=1.0, window_size=nearest_images.WINDOW)[0], atol=1e-5
    )
    np.testing.assert_allclose(found[1, 5], 1, atol=1e-5)
    assert found[:, :5].max() < 0.9


def test_a_shifted_copy_is_matched_by_correlation(sets):
    first, second = sets
    joined = np.concatenate([second, first[:1], second])
    found = nearest_images.correlation_matrix(first, joined)
    assert found.shape == (3, 1)
    np.testing.assert_allclose(found[0], 1, atol=1e-4)
    assert found[1:].max() < 0.95
    shifted = np.roll(first[:1], 3, axis=2)[:, :, 3:13]
    assert nearest_images.correlation_matrix(shifted, np.tile(first[:1, :, :10], (16, 1, 1))).shape == (1, 1)


def test_largest_leaves_out_what_is_excluded():
    similarity = np.array([[1.0, 0.3, 0.2], [0.3, 1.0, 0.9], [0.2, 0.9, 1.0]])
    np.testing.assert_array_equal(nearest_images.largest(similarity), [1, 1, 1])
    np.testing.assert_array_equal(nearest_images.largest(similarity, np.eye(3, dtype=bool)), [0.3, 0.9, 0.9])
    patients = np.array(["a", "b", "b"])
    same = patients[:, None] == patients[None]
    np.testing.assert_allclose(nearest_images.largest(similarity, same), [0.3, 0.3, 0.2])
    with pytest.raises(ValueError, match="nothing to be compared with"):
        nearest_images.largest(similarity, np.ones((3, 3), bool))


def test_sets_must_have_one_size():
    with pytest.raises(ValueError, match="one size"):
        nearest_images.ms_ssim_matrix(np.zeros((2, 16, 16)), np.zeros((2, 17, 16)))
    with pytest.raises(ValueError, match="at least"):
        nearest_images.correlation_matrix(np.zeros((2, 5, 5)), np.zeros((2, 5, 5)))
