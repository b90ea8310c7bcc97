"""Planes stand upright; every volume and every group of values is drawn."""

import numpy as np

from jaxmed.report import planes


def test_planes_are_the_middle_ones_and_superior_is_at_the_top():
    volume = np.arange(4 * 5 * 6).reshape(4, 5, 6)
    found = planes.middle_planes(volume)
    assert {name: plane.shape for name, plane in found.items()} == {
        "sagittal": (4, 5),
        "axial": (5, 6),
        "coronal": (4, 6),
    }
    np.testing.assert_array_equal(found["sagittal"][0], volume[3, :, 3])
    np.testing.assert_array_equal(found["axial"], volume[2])
    np.testing.assert_array_equal(found["coronal"][-1], volume[0, 2])


def test_every_volume_has_a_column():
    volume = np.zeros((4, 5, 6))
    figure = planes.draw_planes({"one": volume, "two": volume}, (-1.0, 1.0))
    assert len(figure.axes) == 6
    assert [panel.get_title() for panel in figure.axes[:2]] == ["one", "two"]


def test_histograms_share_their_axis():
    figure = planes.draw_histograms({"one": [1.0, 2.0, 3.0], "two": [2.0]}, "ml")
    assert len(figure.axes) == 2
    assert figure.axes[0].get_xlim() == figure.axes[1].get_xlim()
    assert figure.axes[1].get_xlabel() == "ml"
