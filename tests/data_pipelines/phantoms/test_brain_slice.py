import numpy as np
import pytest

from data_pipelines.phantoms import brain_slice

SHAPE = (56, 48)


@pytest.fixture(scope="module")
def brains():
    return {
        ill: [brain_slice.draw_brain(seed, SHAPE, dementia=ill) for seed in range(80)]
        for ill in (False, True)
    }


def test_the_seed_says_everything():
    first, again = (brain_slice.draw_brain(3, SHAPE, dementia=True) for _ in range(2))
    np.testing.assert_array_equal(first.image, again.image)
    assert first.age == again.age
    assert not np.array_equal(first.image, brain_slice.draw_brain(4, SHAPE, dementia=True).image)


def test_images_are_skull_stripped_and_in_the_unit_interval(brains):
    for brain in brains[False] + brains[True]:
        assert brain.image.shape == SHAPE and brain.image.dtype == np.float32
        assert brain.image.min() >= 0 and brain.image.max() <= 1
        edge = np.concatenate([brain.image[0], brain.image[-1], brain.image[:, 0], brain.image[:, -1]])
        assert not edge.any()
        assert 0.35 < (brain.image > 0).mean() < 0.65


def test_ages_are_those_of_the_groups(brains):
    healthy, demented = ([brain.age for brain in brains[ill]] for ill in (False, True))
    assert 40 < np.mean(healthy) < 57 and np.std(healthy) > 15
    assert 74 < np.mean(demented) < 80 and np.std(demented) < 9


def test_ventricles_grow_with_age_and_with_dementia_and_overlap(brains):
    age, area = np.array([(brain.age, brain.ventricle_mm2) for brain in brains[False]]).T
    assert np.corrcoef(age, area)[0, 1] > 0.4
    old = area[age > 60]
    ill = np.array([brain.ventricle_mm2 for brain in brains[True]])
    assert ill.mean() > old.mean() + 0.5 * old.std()
    assert np.quantile(ill, 0.1) < np.quantile(old, 0.9)


def test_resolutions_agree_on_the_ventricles():
    coarse, fine = (brain_slice.draw_brain(1, shape, dementia=True) for shape in (SHAPE, (208, 176)))
    np.testing.assert_allclose(coarse.ventricle_mm2, fine.ventricle_mm2, rtol=0.03)
