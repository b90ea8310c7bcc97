import numpy as np
import pytest

from jaxmed.ops import sparse_annotation
from jaxmed.ops.sparse_annotation import UNKNOWN, Planes, Volume

SETTINGS = {"size": 20, "min_annotated": 5}


def volume(seed, shape=(16, 20, 18), spacing=(2.0, 1.0, 1.0)):
    rng = np.random.default_rng(seed)
    image = rng.normal(size=shape).astype(np.float32)
    return Volume(image, (image > 0.5).astype(np.uint8), np.array(spacing, np.float32))


def flat(centre, axis=0):
    """A plane whose normal is an axis of the volume."""
    rows = np.roll(np.eye(3, dtype=np.float32), -axis, axis=0)
    return Planes(rows[None], np.array([centre], np.float32))


def test_annotated_layer_of_a_slice_is_that_slice():
    one = volume(0)
    known = sparse_annotation.annotate_voxels(one, flat((3.0, 0, 0)))
    wanted = np.full(one.label.shape, UNKNOWN, np.int8)
    wanted[9] = one.label[9]
    np.testing.assert_array_equal(known, wanted)


def test_two_perpendicular_planes_cut_in_a_line():
    """A training plane across a slice shows one row of that slice, as wide as the volume."""
    one = volume(1, shape=(17, 20, 18), spacing=(1.0, 1.0, 1.0))
    known = sparse_annotation.annotate_voxels(one, flat((0, 0, 0)))
    cuts = sparse_annotation.cut(one, known, flat((0, 0.5, 0), axis=1), 24)
    seen = cuts.label[0] != UNKNOWN
    # Height of this plane is the width of the volume, its width the volume's depth.
    assert seen.sum() == 18
    assert len(set(np.nonzero(seen)[1])) == 1
    np.testing.assert_array_equal(cuts.label[0][seen], one.label[8, 10])
    np.testing.assert_array_equal(
        cuts.voxel[0][seen], np.ravel_multi_index((8, 10, np.arange(18)), one.label.shape)
    )


def test_pixels_outside_the_volume_are_blank_and_unknown():
    one = volume(2)
    cuts = sparse_annotation.cut(one, one.label.astype(np.int8), flat((0, 0, 0)), 40)
    inside = np.zeros((40, 40), bool)
    inside[10:30, 11:29] = True
    np.testing.assert_array_equal(cuts.label[0] != UNKNOWN, inside)
    assert not cuts.image[0][~inside].any()


def test_annotated_pixels_agree_with_the_voxels_that_are_known():
    volumes = [volume(3), volume(4)]
    found = sparse_annotation.annotate(volumes, (7,), num_annotation=4, num_training=10, **SETTINGS)
    assert found.image.shape == found.label.shape == (10, 20, 20)
    assert ((found.label != UNKNOWN).sum(axis=(1, 2)) >= 5).all()
    for one, known in zip(volumes, found.known, strict=True):
        seen = known != UNKNOWN
        assert 0 < seen.sum() < 4 * 20 * 20
        np.testing.assert_array_equal(known[seen], one.label[seen])


def test_more_training_planes_show_more_of_the_same_annotation():
    volumes = [volume(5)]
    few, many, all_of_it = (
        sparse_annotation.annotate(volumes, (1, 2), num_annotation=2, num_training=n, **SETTINGS).known[0]
        != UNKNOWN
        for n in (4, 16, 0)
    )
    assert (few & many == few).all()
    assert (many & all_of_it == many).all()
    assert few.sum() < many.sum() < all_of_it.sum()


def test_without_training_planes_the_annotation_planes_are_whole():
    found = sparse_annotation.annotate([volume(6)], (3,), num_annotation=3, num_training=0, **SETTINGS)
    assert len(found.image) == 3
    assert ((found.label != UNKNOWN) >= (found.image != 0)).all()


def test_seeds_and_numbers_decide():
    def labels(seed, n=4):
        return sparse_annotation.annotate(
            [volume(8)], seed, num_annotation=2, num_training=n, **SETTINGS
        ).label

    np.testing.assert_array_equal(labels((1,)), labels((1,)))
    assert not np.array_equal(labels((1,)), labels((2,)))


def test_refuses_what_no_plane_can_have():
    with pytest.raises(ValueError, match="min_annotated is 10000"):
        sparse_annotation.annotate(
            [volume(9)], (1,), num_annotation=1, num_training=2, size=20, min_annotated=10_000
        )
