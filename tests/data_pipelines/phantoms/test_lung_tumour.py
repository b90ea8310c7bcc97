import numpy as np
import pytest
import scipy.ndimage

from data_pipelines.phantoms import lung_tumour, tissue_hu

SIZE = 40


def draw(label, number, position=1, seed=0):
    return lung_tumour.draw_slice(seed, label, number, position, num_slices=3, size=SIZE)


def test_same_seed_same_slice_and_others_differ():
    first = draw(0, 0)
    assert first.shape == (SIZE, SIZE) and first.dtype == np.uint8
    np.testing.assert_array_equal(first, draw(0, 0))
    for other in (draw(0, 1), draw(1, 0), draw(0, 0, seed=1), draw(0, 0, 2)):
        assert not np.array_equal(first, other)


def test_slices_of_a_patient_are_more_alike_than_those_of_two():
    slices = np.array([[draw(0, number, k) for k in range(3)] for number in range(8)], float)
    within = np.abs(slices[:, 0] - slices[:, 1]).mean()
    between = np.abs(slices[:-1, 1] - slices[1:, 1]).mean()
    assert within < 0.8 * between


@pytest.mark.parametrize("label", [0, 1])
def test_tissues_have_their_attenuation(label):
    patient = lung_tumour.draw_patient(0, label, 3)
    image = lung_tumour.paint_slice(patient, 0.0, 80)
    centre = image[38:42, 38:42].mean()
    expected = patient.core_hu if patient.core else patient.value_hu
    assert abs(centre - expected) < 3 * tissue_hu.SOFT_TEXTURE_HU
    lung = image[image < -700]
    assert abs(np.median(lung) - patient.lung_hu) < tissue_hu.LUNG_TEXTURE_HU[0]


def test_other_tumours_are_less_compact_than_responders():
    """Perimeter over that of the disc of the same area, of the piece in the middle."""

    def ratio(label, number):
        image = lung_tumour.paint_slice(lung_tumour.draw_patient(0, label, number), 0.0, 80)
        pieces, _ = scipy.ndimage.label(image > -300)
        inside = pieces == pieces[40, 40]
        edge = inside & ~scipy.ndimage.binary_erosion(inside)
        return edge.sum() / np.sqrt(inside.sum())

    responders, others = ([ratio(label, number) for number in range(30)] for label in (0, 1))
    assert np.median(others) > 1.1 * np.median(responders)
