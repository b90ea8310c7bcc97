import numpy as np
import pytest
from scipy.spatial.distance import pdist

from data_pipelines import sphere_patches
from data_pipelines.sphere_patches import Centre

SETTINGS = {"voxel_mm": 0.5, "num_negatives": 8, "min_distance_mm": 3.0}


def case(**changes):
    image = np.random.default_rng(0).normal(size=(20, 22, 24))
    spheres = np.array([[8.0, 9.0, 10.0, 1.5], [15.0, 4.0, 4.0, 0.1]])
    return sphere_patches.prepare("one", image, spheres, **{**SETTINGS, **changes})


def test_values_fill_the_range_and_radii_are_voxels():
    made = case()
    assert (made["image"].min(), made["image"].max()) == (0, sphere_patches.FULL_SCALE)
    # 1.5 mm are 3 voxels; the other sphere would hold no voxel centre.
    np.testing.assert_allclose(made["spheres"][:, 3], [3, 0.87])
    between = np.array([[15.5, 4.5, 4.5, made["spheres"][1, 3]]])
    assert sphere_patches.mask_of(between, (20, 22, 24)).sum() >= 1


def test_centres_depend_on_the_case_alone_and_keep_their_distance():
    made, again = case(), case()
    np.testing.assert_array_equal(made["others"], again["others"])
    centres = np.concatenate([made["spheres"][:, :3], made["vessels"], made["others"]])
    assert (len(made["vessels"]), len(made["others"])) == (4, 4)
    assert pdist(centres).min() >= 6


def test_a_constant_volume_is_refused():
    with pytest.raises(ValueError, match="one: found 3 in every voxel"):
        sphere_patches.prepare("one", np.full((4, 4, 4), 3.0), np.zeros((0, 4)), **SETTINGS)


def test_patches_are_listed_with_their_copies():
    cases = {"one": case()}
    found = sphere_patches.list_centres(cases, ["one"], 4, copies=3)
    assert [centre.is_positive for centre in found] == [True] * 6 + [False] * 4
    assert found[0] == found[2] == Centre("one", (8.0, 9.0, 10.0), True)
    np.testing.assert_array_equal(found[6].voxel, cases["one"]["vessels"][0])
    np.testing.assert_array_equal(found[8].voxel, cases["one"]["others"][0])


def test_a_box_holds_its_spheres_about_its_middle():
    cases = {"one": case()}
    box = sphere_patches.cut(cases, Centre("one", (8.0, 9.0, 10.0), True), (5, 7, 9))
    np.testing.assert_array_equal(box["image"], cases["one"]["image"][6:11, 6:13, 6:15])
    np.testing.assert_allclose(box["spheres"][0], [0, 0, 0, 3])
    assert (box["spheres"][2:] == -1).all()
    label = sphere_patches.label_of(cases, Centre("one", (8.0, 9.0, 10.0), True), (5, 7, 9))
    whole = sphere_patches.mask_of(cases["one"]["spheres"], (20, 22, 24))
    np.testing.assert_array_equal(label, whole[6:11, 6:13, 6:15])


def test_beyond_the_volume_its_border_goes_on():
    cases = {"one": case()}
    box = sphere_patches.cut(cases, Centre("one", (0.0, 0.0, 0.0), False), (5, 5, 5))
    assert (box["image"][:3, 0, 0] == cases["one"]["image"][0, 0, 0]).all()


def test_of_many_spheres_the_nearest_are_kept():
    spheres = np.array([[float(i), 5.0, 5.0, 1.0] for i in range(12)], np.float32)
    cases = {"one": {"image": np.zeros((12, 12, 12), np.int16), "spheres": spheres}}
    box = sphere_patches.cut(cases, Centre("one", (11.0, 5.0, 5.0), False), (3, 3, 3))
    np.testing.assert_array_equal(np.sort(box["spheres"][:, 0]), np.arange(-7.0, 1.0))


def test_mask_has_the_volume_of_its_sphere():
    mask = sphere_patches.mask_of(np.array([[15.0, 16.0, 14.5, 8.0]]), (30, 32, 30))
    np.testing.assert_allclose(mask.sum(), 4 / 3 * np.pi * 512, rtol=0.02)
