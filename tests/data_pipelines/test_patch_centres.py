import numpy as np
import pytest
from scipy.spatial.distance import pdist

from data_pipelines import patch_centres


def noise(shape=(20, 24, 28)):
    return np.random.default_rng(0).normal(size=shape)


def generator():
    return np.random.default_rng(1)


def test_the_brightest_come_first():
    image = np.zeros((12, 12, 12), np.int16)
    image[2, 2, 2], image[2, 2, 3], image[9, 9, 9] = 9, 8, 7
    found = patch_centres.brightest_voxels(image, 2, 4.0)
    # The second brightest lies beside the brightest.
    np.testing.assert_array_equal(found, [[2, 2, 2], [9, 9, 9]])


def test_equals_a_greedy_choice_over_the_sorted_voxels():
    image, chosen = noise(), []
    for voxel in np.stack(np.unravel_index(np.argsort(-image, axis=None), image.shape), axis=1):
        if all(np.linalg.norm(voxel - other) >= 6.5 for other in chosen):
            chosen.append(voxel)
    found = patch_centres.brightest_voxels(image, 10, 6.5)
    np.testing.assert_array_equal(found, chosen[:10])


@pytest.mark.parametrize("kind", ["bright", "ordinary"])
def test_centres_keep_their_distance(kind):
    taken = np.array([[10.0, 12.2, 14.0]])
    if kind == "bright":
        found = patch_centres.brightest_voxels(noise(), 12, 6.0, taken)
    else:
        found = patch_centres.voxels_between(noise(), (20, 80), 12, 6.0, generator(), taken)
    assert found.shape == (12, 3)
    assert pdist(np.concatenate([np.rint(taken), found])).min() >= 5.9


def test_values_lie_between_the_percentiles_and_everywhere_between():
    image = noise()
    found = patch_centres.voxels_between(image, (20, 80), 60, 3.0, generator())
    values = image[tuple(found.T)]
    low, high = np.percentile(image, (20, 80))
    assert low <= values.min() and values.max() <= high
    assert np.unique(np.digitize(values, np.linspace(low, high, 5))).size == 4


def test_there_are_fewer_where_there_is_no_room():
    assert len(patch_centres.brightest_voxels(noise((4, 4, 4)), 5, 20.0)) == 1
    assert len(patch_centres.voxels_between(noise((4, 4, 4)), (20, 80), 5, 20.0, generator())) == 1


def test_a_volume_without_any_vessel_has_centres_all_the_same():
    image = np.zeros((10, 10, 10), np.int16)
    assert len(patch_centres.brightest_voxels(image, 3, 4.0)) == 3
    assert len(patch_centres.voxels_between(image, (20, 80), 3, 4.0, generator())) == 3
