"""Contact sheets: which images are shown, in which order, and what is said about the rest."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from jaxmed.report import contact_sheet

IMAGES = np.arange(10.0)[:, None, None] * np.ones((1, 3, 3))
GROUPS = np.array([4, 4, 4, 4, 4, 4, 7, 7, 7, 1])


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def shown(figure):
    """First pixels of the images of each row from left to right, and the rows' titles."""
    (panel,) = figure.axes
    places = {}
    for image in panel.images:
        left, _, bottom, _ = image.get_extent()
        places.setdefault(bottom, {})[left] = image.get_array()[0, 0]
    rows = [[row[left] for left in sorted(row)] for _, row in sorted(places.items())]
    return rows, [text.get_text() for text in panel.texts]


def test_rows_lie_below_each_other_within_the_panel_and_images_keep_their_shape():
    rows = [np.arange(8.0).reshape(2, 2, 2), [np.eye(3)[:2]]]
    (panel,) = contact_sheet.draw_rows(rows, ("above", "below")).axes
    boxes = [image.get_extent() for image in panel.images]
    (low, high), (last, first) = panel.get_xlim(), panel.get_ylim()
    assert all(low <= left < right <= high for left, right, _, _ in boxes)
    assert all(first <= top < bottom <= last for _, _, bottom, top in boxes)
    (one, two, three), tops = boxes, [text.get_position()[1] for text in panel.texts]
    assert one[1] < two[0] and one[2:] == two[2:] and one[2] < three[3]
    assert [top <= box[3] for top, box in zip(tops, (one, three), strict=True)] == [True, True]
    left, right, bottom, top = three
    assert (bottom - top) / (right - left) == pytest.approx(2 / 3)
    assert [image.get_clim() for image in panel.images] == [(0, 3), (4, 7), (0, 1)]


def test_largest_groups_come_first_and_best_images_first():
    scores = np.array([0, 5, 1, 2, 9, 3, 1, 2, 3, 0])
    rows, titles = shown(contact_sheet.draw_groups(IMAGES, GROUPS, scores, max_images=3))
    assert rows == [[4, 1, 5], [8, 7, 6], [9]]
    assert titles == ["4: 6 images", "7: 3 images", "1: 1 images"]


def test_classes_have_a_row_each_with_their_names():
    labels = np.array([1, 0, 1, 0, 1, 1, 1, 1, 1, 0])
    rows, titles = shown(contact_sheet.draw_classes(IMAGES, labels, ("cat", "dog"), max_images=4))
    assert (rows, titles) == ([[1, 3, 9], [0, 2, 4, 5]], ["cat", "dog"])
    assert shown(contact_sheet.draw_classes(IMAGES, labels))[1] == ["class 0", "class 1"]


def test_without_scores_images_are_spread_over_the_group():
    rows, _ = shown(contact_sheet.draw_groups(IMAGES, GROUPS, max_images=2))
    assert rows == [[0, 5], [6, 8], [9]]


def test_groups_that_are_not_shown_are_counted():
    figure = contact_sheet.draw_groups(IMAGES, GROUPS, max_groups=1)
    assert [text.get_text() for text in figure.texts] == ["and 2 smaller groups"]
