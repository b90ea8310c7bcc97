"""Ventricles by their darkness in the middle of the brain."""

import numpy as np
import pytest

from jaxmed.metrics.ventricles import ventricle_ml


def draw(ventricle_radius, value=0.3, shape=(40, 48, 44)):
    axes = [np.linspace(-1, 1, size) for size in shape]
    radius = np.sqrt(sum(axis**2 for axis in np.meshgrid(*axes, indexing="ij", sparse=True)))
    image = np.where(radius < 0.9, 0.8, 0.0)
    return np.where(radius < ventricle_radius, value, image), (radius < ventricle_radius).sum()


@pytest.mark.parametrize("radius", [0.0, 0.1, 0.25, 0.4])
def test_dark_voxels_in_the_middle_count(radius):
    image, wanted = draw(radius)
    assert ventricle_ml(image, 2.0) == pytest.approx(wanted * 8 / 1000, rel=1e-6)


def test_partial_volume_counts_by_its_share():
    image, count = draw(0.25, value=0.8 * (0.9 + 0.42) / 2)
    assert ventricle_ml(image, 1.0) == pytest.approx(count / 2 / 1000, rel=1e-6)


def test_sulci_and_specks_outside_do_not_count():
    image, wanted = draw(0.25)
    image[20, 4:8, 22] = 0.2
    image[0, 0, 0] = 1.0
    assert ventricle_ml(image, 1.0) == pytest.approx(wanted / 1000, rel=1e-6)


def test_nothing_where_there_is_no_brain():
    assert ventricle_ml(np.zeros((4, 4, 4)), 1.0) == 0
