"""Heads of the phantom: contrast, plausible volumes, exact ventricles, a subject for each seed."""

import numpy as np
import pytest

from data_pipelines.phantoms.t1_heads import LABELS, draw_head

VOXEL_MM, SHAPE = 4.0, (48, 56, 40)


@pytest.fixture(scope="module")
def heads():
    return [draw_head(seed, SHAPE, VOXEL_MM) for seed in range(6)]


def volume_ml(head, *names):
    return sum((head.label == LABELS.index(name)).sum() for name in names) * VOXEL_MM**3 / 1000


def test_a_seed_gives_the_same_head_and_another_one_another(heads):
    again = draw_head(0, SHAPE, VOXEL_MM)
    np.testing.assert_array_equal(again.image, heads[0].image)
    assert (again.label != heads[1].label).any()
    assert (again.image.dtype, again.label.dtype) == (np.float32, np.uint8)


def test_white_matter_is_brighter_than_grey_and_fluid_dark(heads):
    for head in heads:
        fluid, grey, white, ventricles = (np.median(head.image[head.label == k]) for k in range(1, 5))
        assert white > 1.08 * grey
        assert grey > 1.2 * fluid
        assert grey > 1.4 * ventricles
        assert (head.image[head.label == 0] == 0).all()


def test_volumes_are_those_of_adults(heads):
    for head in heads:
        assert 1100 < volume_ml(head, *LABELS[1:]) < 1800
        assert 0.5 < volume_ml(head, "grey matter") / volume_ml(head, "white matter") < 2.5
        assert 5 < head.ventricle_ml < 120
    assert np.std([head.ventricle_ml for head in heads]) > 3


def test_labels_agree_with_the_exact_ventricles(heads):
    for head in heads:
        assert volume_ml(head, "ventricles") == pytest.approx(head.ventricle_ml, rel=0.15)


def test_sulci_reach_into_the_hull(heads):
    """Grey matter and fluid where a head without folds would have white matter, 8 to 14 mm deep."""
    z, y, x = np.meshgrid(
        *((np.arange(size) - (size - 1) / 2) * VOXEL_MM for size in SHAPE), indexing="ij", sparse=True
    )
    radius = np.sqrt((x / 67) ** 2 + (y / 84) ** 2 + (z / 62) ** 2)
    shell = (radius > 0.8) & (radius < 0.88)
    for head in heads:
        folded = np.isin(head.label[shell], (1, 2)).mean()
        assert 0.2 < folded < 0.9
