"""Heads to train on and unseen ones: phantoms by number, a folder by a split that no seed changes."""

import dataclasses

import numpy as np
import pytest

from data_pipelines import head_study

SHAPE = (10, 12, 14)
COUNTS = {"num_train": 3, "num_test": 2, "test_share": 0.4}


@pytest.fixture(scope="module")
def phantoms(tmp_path_factory):
    return head_study.open_study(None, tmp_path_factory.mktemp("cache"), SHAPE, **COUNTS)


def test_the_phantom_has_the_numbers_asked_for_and_its_labels(phantoms):
    assert phantoms.train == ("head-00000", "head-00001", "head-00002")
    assert phantoms.test == ("head-00003", "head-00004")
    assert all(own["ventricle_ml"] > 0 for own in phantoms.arrays.values())


def test_images_are_what_networks_see(phantoms):
    images = phantoms.images(phantoms.test)
    assert images.shape == (2, *SHAPE, 1) and images.dtype == np.float32
    stored = phantoms.arrays["head-00004"]["image"]
    np.testing.assert_allclose((images[1, ..., 0] + 1) * 127.5, stored, atol=1e-4)
    assert images.min() == -1 and images.max() == 1


def test_a_folder_is_split_by_its_share_and_damaged_heads_are_left_out(phantoms, tmp_path):
    for case, arrays in phantoms.arrays.items():
        head_study.write_head(tmp_path / f"{case}.nii.gz", head_study.to_range(arrays["image"][..., None]))
    opened = head_study.open_study(tmp_path, tmp_path / "cache", SHAPE, **COUNTS)
    assert len(opened.train) == 3 and len(opened.test) == 2
    assert set(opened.train + opened.test) == set(phantoms.arrays)
    assert set(opened.arrays[opened.test[0]]) == {"image"}
    (tmp_path / f"{opened.train[1]}.nii.gz").write_bytes(b"damaged")
    rest = head_study.open_study(tmp_path, tmp_path / "cache", SHAPE, **COUNTS, max_bad_cases=1)
    assert rest.left_out == (opened.train[1],)
    assert rest.train == (opened.train[0], opened.train[2]) and rest.test == opened.test


def test_labels_follow_exact_volumes_or_else_what_is_measured(phantoms):
    exact = phantoms.ventricles_ml(tuple(phantoms.arrays))
    labels = phantoms.large_ventricles(lambda image: pytest.fail("their volumes are known"))
    order = sorted(phantoms.train, key=exact.get)
    assert [labels[case] for case in order] == [0, 0, 1]
    assert all(labels[case] == (exact[case] > exact[order[1]]) for case in phantoms.test)
    images = {case: {"image": arrays["image"]} for case, arrays in phantoms.arrays.items()}
    unlabelled = dataclasses.replace(phantoms, arrays=images)
    assert unlabelled.ventricles_ml(phantoms.train) == {}
    brightest = unlabelled.large_ventricles(lambda image: float(image.mean()))
    means = {case: arrays["image"].mean() for case, arrays in images.items()}
    middle = np.median([means[case] for case in phantoms.train])
    assert brightest == {case: int(mean > middle) for case, mean in means.items()}


def test_a_head_is_written_where_it_lay(phantoms, tmp_path):
    (head,) = phantoms.images(phantoms.test[:1])
    file = head_study.write_head(tmp_path / "one.nii.gz", head)
    found, affine = head_study.read_head(file, SHAPE)
    assert found.shape == head.shape
    np.testing.assert_allclose(np.linalg.norm(affine[:3, :3], axis=0), 16, rtol=1e-6)
    moved = affine + 7 * np.eye(4, k=3)
    head_study.write_head(file, head, moved)
    again, found_affine = head_study.read_head(file, SHAPE)
    np.testing.assert_array_equal(again, found)
    np.testing.assert_allclose(found_affine - affine, 7 * np.eye(4, k=3), atol=1e-3)
