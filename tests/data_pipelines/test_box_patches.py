"""Patches of a box's slices and the boxes that they span: geometry by hand, and a perfect classifier."""

import numpy as np
import pytest

from data_pipelines import box_patches, boxed_volumes
from data_pipelines.box_patches import BoxPatches, LabelledPatches

BOX = np.array([1, 2, 3, 4, 12, 9])
"""3 slices of 10 rows and 6 columns."""


def test_patches_lie_half_a_side_apart_and_end_with_the_box():
    patches = BoxPatches.of(BOX, 4)
    assert patches.rows == (2, 4, 6, 8)
    assert patches.columns == (3, 5)
    assert (patches.shape, len(patches)) == ((3, 4, 2), 24)


def test_patches_are_cut_in_c_order():
    volume = np.arange(6 * 16 * 16).reshape(6, 16, 16)
    patches = BoxPatches.of(BOX, 4)
    np.testing.assert_array_equal(patches.cut(volume, 8 + 2 + 1), volume[2, 4:8, 5:9])


def test_a_narrow_box_has_one_patch_over_it_even_at_the_border():
    patches = BoxPatches.of(np.array([0, 0, 5, 1, 2, 7]), 6)
    assert (patches.rows, patches.columns) == ((-2,), (3,))
    volume = np.arange(100).reshape(1, 10, 10)
    cut = patches.cut(volume, 0)
    np.testing.assert_array_equal(cut[:3], np.repeat(volume[0, :1, 3:9], 3, axis=0))


def test_a_patch_is_foreground_if_more_than_half_of_it_is():
    label = np.zeros((6, 16, 16), np.uint8)
    label[1, 2:4, 3:7] = 1
    cases = [{"image": label.astype(np.int16), "label": label, "box": BOX}] * 2
    patches = LabelledPatches(cases, 4)
    assert len(patches) == 48
    generator = np.random.default_rng(0)
    assert patches.load(0, generator)["label"] == 0
    label[1, 4, 3] = 1
    found = [int(patches.load(index, generator)["label"]) for index in range(48)]
    assert [index for index, value in enumerate(found) if value] == [0, 24]


def test_boxes_are_spanned_by_the_largest_component_above_one_half():
    patches = BoxPatches.of(BOX, 4)
    probabilities = np.zeros(patches.shape)
    probabilities[0, 0, 0] = 0.9
    probabilities[0, 2:, 1] = 0.6
    probabilities[1] = 0.4
    probabilities[1, 3, 0] = 0.45
    probabilities[2, 0, 0] = probabilities[2, 1, 1] = 0.7
    assert box_patches.shrink_boxes(probabilities, patches).tolist() == [
        [6, 5, 12, 9],
        [8, 3, 12, 7],
        [2, 3, 8, 9],
    ]


def test_boxes_stay_within_the_given_one():
    patches = BoxPatches.of(np.array([0, 4, 4, 1, 6, 20]), 8)
    found = box_patches.shrink_boxes(np.full(patches.shape, 0.8), patches)
    assert found.tolist() == [[4, 4, 6, 20]]


def test_a_perfect_classifier_brings_loose_boxes_near_tight_ones():
    """A diagonal bar: every slice fills a part of the volume's box."""
    label = np.zeros((8, 48, 48), np.uint8)
    for index in range(8):
        label[index, 4 * index : 4 * index + 16, 3 * index : 3 * index + 20] = 1
    arrays = boxed_volumes.prepare(
        (100 * label).astype(np.int16) + np.arange(8)[:, None, None].astype(np.int16), label
    )
    boxes, patches, probabilities = box_patches.correct_boxes(
        arrays, 4, lambda cut: ((cut > 50).mean(axis=(1, 2)) > 0.5).astype(np.float32)
    )
    assert probabilities.shape == patches.shape
    assert np.abs(boxes - arrays["boxes"]).max() <= 2
    np.testing.assert_array_equal(box_patches.perfect_boxes(arrays, 4), boxes)


def test_an_object_that_fills_no_patch_by_half_gets_the_fullest_patch_and_not_the_whole_box():
    label = np.zeros((2, 20, 20), np.uint8)
    label[0, 2:14, 2:14] = 1
    label[1, 5:7, 5:7] = 1
    arrays = boxed_volumes.prepare(100 * label.astype(np.int16), label)
    np.testing.assert_array_equal(box_patches.perfect_boxes(arrays, 4), [[2, 2, 14, 14], [4, 4, 8, 8]])


def test_covers_the_pixels_of_chosen_patches():
    patches = BoxPatches.of(BOX, 4)
    chosen = np.zeros((4, 2), bool)
    chosen[0, 0] = chosen[3, 1] = True
    covered = patches.cover(chosen, (16, 16))
    assert covered.sum() == 32
    assert covered[2:6, 3:7].all()
    assert covered[8:12, 5:9].all()


@pytest.mark.parametrize("mask", [np.zeros((3, 3), bool), np.eye(3, dtype=bool)])
def test_the_largest_component_of_one_piece_or_none_is_the_mask(mask):
    np.testing.assert_array_equal(box_patches.largest_component(mask), mask)
