import numpy as np
import pytest
import scipy.ndimage

from jaxmed.metrics import detection


def volume(*boxes, shape=(12, 12, 12)):
    mask = np.zeros(shape, bool)
    for start, stop in boxes:
        mask[tuple(slice(*pair) for pair in zip(start, stop, strict=True))] = True
    return mask


TRUTH = detection.label_components(volume(((1, 1, 1), (4, 4, 4)), ((7, 7, 7), (10, 10, 10))))


def test_components_touch_at_corners():
    mask = volume(((0, 0, 0), (1, 1, 1)), ((1, 1, 1), (2, 2, 2)), ((4, 4, 4), (5, 5, 5)))
    assert detection.label_components(mask).max() == 2
    assert scipy.ndimage.label(mask)[1] == 3


def test_a_lesion_is_found_by_the_centre_of_a_component():
    found, false_centres = detection.detect(volume(((2, 2, 2), (3, 3, 3))), TRUTH)
    assert found.tolist() == [True, False]
    assert false_centres.shape == (0, 3)


def test_overlap_without_the_centre_is_a_false_positive():
    found, false_centres = detection.detect(volume(((3, 3, 3), (8, 8, 5))), TRUTH)
    assert found.tolist() == [False, False]
    np.testing.assert_array_equal(false_centres, [[5, 5, 3.5]])


def test_several_components_in_one_lesion_count_once_and_elsewhere_each():
    prediction = volume(((1, 1, 1), (2, 2, 2)), ((3, 3, 3), (4, 4, 4)), ((0, 11, 0), (1, 12, 1)))
    prediction |= volume(((11, 0, 0), (12, 1, 1)))
    found, false_centres = detection.detect(prediction, TRUTH)
    assert found.tolist() == [True, False]
    assert len(false_centres) == 2


def test_nothing_predicted_and_nothing_there():
    empty = np.zeros((12, 12, 12), bool)
    found, false_centres = detection.detect(empty, TRUTH)
    assert not found.any() and len(false_centres) == 0
    found, false_centres = detection.detect(volume(((1, 1, 1), (2, 2, 2))), empty.astype(int))
    assert len(found) == 0 and len(false_centres) == 1


def curve(false_positives, sensitivity):
    points = np.arange(len(sensitivity), dtype=float)
    return detection.Froc(points, np.array(false_positives, float), np.array(sensitivity, float))


def test_cases_without_lesions_count_for_false_positives_alone():
    froc = detection.average_cases(
        np.array([0.5, 0.1]), np.array([[0.0, 1.0], [2.0, 3.0]]), np.array([[0.5, np.nan], [1.0, np.nan]])
    )
    np.testing.assert_array_equal(froc.false_positives, [0.5, 2.5])
    np.testing.assert_array_equal(froc.sensitivity, [0.5, 1.0])


def test_mean_sensitivity_of_the_paper():
    """Ten of eleven patients with every aneurysm found, one with two of three: the 0.970 of Model0."""
    sensitivity = np.array([[1.0] * 10 + [2 / 3]])
    froc = detection.average_cases(np.array([0.5]), np.array([[5.0] + [0.0] * 10]), sensitivity)
    assert round(float(froc.sensitivity[0]), 3) == 0.970
    assert round(float(froc.false_positives[0]), 2) == 0.45


def test_a_set_without_lesions_has_no_curve():
    with pytest.raises(ValueError, match="no case has a lesion"):
        detection.average_cases(np.array([0.5]), np.ones((1, 2)), np.full((1, 2), np.nan))


@pytest.mark.parametrize(
    ("points", "limit", "wanted"),
    [
        (([0.0], [1.0]), 2, 1.0),  # the corner
        (([1.0], [1.0]), 1, 0.5),  # a straight line from the origin
        (([1.0], [1.0]), 2, 0.75),  # and level from there
        (([2.0], [1.0]), 1, 0.25),  # cut at the limit
        (([0.0, 1.0], [0.5, 1.0]), 1, 0.75),
        (([0.0, 0.0, 1.0], [0.5, 0.25, 1.0]), 1, 0.75),  # the best of two at one place
        (([0.5, 1.0], [0.8, 0.4]), 1, 0.6),  # never falls
        (([0.0, 1.0], [0.0, 0.0]), 1, 0.0),
    ],
)
def test_area_by_hand(points, limit, wanted):
    np.testing.assert_allclose(detection.area(curve(*points), float(limit)), wanted)


def test_nearest_corner():
    assert detection.nearest_corner(curve([0.0, 0.14, 0.4], [0.5, 0.72, 0.8])) == 1
