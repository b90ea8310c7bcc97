"""The abdominal phantom: geometry of the liver, agreement of label and HU, grids, errors."""

import numpy as np
import pytest
from scipy import ndimage

from data_pipelines.phantoms import abdomen_ct

GRID = {"image_size": 64, "pixel_mm": 6.25, "num_slices": 24, "slice_mm": 9.0}


@pytest.fixture(scope="module")
def abdomens():
    return [abdomen_ct.draw_abdomen(seed, **GRID) for seed in range(6)]


def slice_shares(liver):
    """Share of the slices' tight boxes in the cross-section of the box around the whole."""
    (box,) = ndimage.find_objects(liver.astype(int))
    whole = np.prod([axis.stop - axis.start for axis in box[1:]])
    tight = [ndimage.find_objects(part.astype(int)) for part in liver[box[0]]]
    return [np.prod([a.stop - a.start for a in found[0]]) / whole if found else 0.0 for found in tight]


def test_tight_boxes_are_small_in_the_box_of_the_whole(abdomens):
    """Near the paper's 0.15, far from the 2/3 of an upright ellipsoid."""
    means = [np.mean(slice_shares(abdomen.label > 0)) for abdomen in abdomens]
    assert 0.13 < np.mean(means) < 0.19


def test_an_upright_liver_without_taper_has_two_thirds(monkeypatch):
    monkeypatch.setattr(abdomen_ct, "TILT_DEGREES", (0.0, 0.0))
    monkeypatch.setattr(abdomen_ct, "TAPER", (0.0, 0.0))
    monkeypatch.setattr(abdomen_ct, "_BEND_MM", 0.0)
    liver = abdomen_ct.draw_abdomen(3, image_size=160, pixel_mm=2.5, num_slices=40, slice_mm=6.0).label > 0
    assert np.mean(slice_shares(liver)) == pytest.approx(2 / 3, abs=0.03)


def test_label_and_hu_agree(abdomens):
    for abdomen in abdomens:
        liver = ndimage.binary_erosion(abdomen.label == abdomen_ct.LIVER)
        assert 75 < np.median(abdomen.hu[liver]) < 135
        assert np.std(abdomen.hu[liver]) < 20
    tumours = np.concatenate([abdomen.hu[abdomen.label == abdomen_ct.TUMOUR] for abdomen in abdomens])
    assert tumours.size
    assert np.median(tumours) < 90


def test_the_liver_is_one_piece_within_the_stack(abdomens):
    for abdomen in abdomens:
        sizes = np.bincount(ndimage.label(abdomen.label > 0)[0].ravel())[1:]
        assert sizes.max() > 0.98 * sizes.sum()


def test_a_subject_is_the_same_on_every_grid():
    coarse = abdomen_ct.draw_abdomen(1, image_size=40, pixel_mm=10.0, num_slices=12, slice_mm=18.0)
    fine = abdomen_ct.draw_abdomen(1, image_size=80, pixel_mm=5.0, num_slices=12, slice_mm=18.0)
    volumes = [np.count_nonzero(a.label) * pixel**2 for a, pixel in ((coarse, 10.0), (fine, 5.0))]
    assert volumes[0] == pytest.approx(volumes[1], rel=0.05)


def test_a_scan_is_stored_whole_hu_and_depends_on_the_seed():
    grid = {**GRID, "num_slices": 3, "num_angles": 32}
    image, label = abdomen_ct.draw_scan(0, **grid)
    again, _ = abdomen_ct.draw_scan(0, **grid)
    other, _ = abdomen_ct.draw_scan(1, **grid)
    assert (image.dtype, label.dtype) == (np.int16, np.uint8)
    np.testing.assert_array_equal(image, again)
    assert not np.array_equal(image, other)


def test_refuses_a_field_of_view_that_cuts_the_patient():
    with pytest.raises(ValueError, match="field of view is 320 mm"):
        abdomen_ct.draw_abdomen(0, image_size=64, pixel_mm=5.0, num_slices=1, slice_mm=5.0)
