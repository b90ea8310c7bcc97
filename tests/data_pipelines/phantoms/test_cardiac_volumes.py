"""Hearts of two data sets: their labels lie where the tissue is, and their contrasts differ as described."""

import numpy as np
import pytest

from data_pipelines.phantoms import cardiac_contrast, cardiac_volumes

SHAPE, SPACING = {"whole_heart": (12, 32, 32), "short_axis": (8, 32, 32)}, (9.0, 6.0, 6.0)


def draw(protocol, seed=0):
    return cardiac_volumes.draw_volume(seed, protocol, SHAPE[protocol], SPACING)


@pytest.mark.parametrize("protocol", ["whole_heart", "short_axis"])
def test_volumes_are_repeatable_and_differ_between_subjects(protocol):
    one, again, other = draw(protocol), draw(protocol), draw(protocol, 1)
    assert one.image.shape == one.label.shape == SHAPE[protocol]
    assert (one.image.dtype, one.label.dtype) == (np.float32, np.uint8)
    np.testing.assert_array_equal(one.image, again.image)
    assert (one.label != other.label).any()
    classes = 3 if protocol == "whole_heart" else 4
    assert set(np.unique(one.label)) == set(range(classes))


@pytest.mark.parametrize(("protocol", "blood", "wall"), [("whole_heart", 2, 1), ("short_axis", 1, 2)])
def test_blood_is_brighter_than_the_wall(protocol, blood, wall):
    for seed in range(3):
        image, label = draw(protocol, seed)
        assert image[label == blood].mean() > 1.5 * image[label == wall].mean()


def test_left_ventricle_lies_within_its_wall():
    _, label = draw("short_axis")
    middle = label[4]
    rows, columns = np.nonzero(middle == 2)
    inside = np.argwhere(middle == 1)
    assert (inside >= [rows.min(), columns.min()]).all()
    assert (inside <= [rows.max(), columns.max()]).all()


def test_right_ventricle_is_on_the_left_of_the_image():
    _, label = draw("short_axis")
    assert np.nonzero(label == 3)[2].mean() < np.nonzero(label == 1)[2].mean() - 3


def test_preparation_darkens_short_t2_and_fat():
    plain = cardiac_contrast.balanced_ssfp(90.0, 4.0, inflow=1.0)
    prepared = cardiac_contrast.t2_prepared(plain, 40.0, fat_left=0.25)
    t2 = cardiac_contrast.TISSUES["myocardium"][1]
    assert prepared["myocardium"] == pytest.approx(plain["myocardium"] * np.exp(-40 / t2))
    assert prepared["fat"] == pytest.approx(
        plain["fat"] * np.exp(-40 / cardiac_contrast.TISSUES["fat"][1]) / 4
    )
