import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy import stats

from data_pipelines import foreground


@given(arrays.arrays(np.uint8, arrays.array_shapes(max_side=5), elements=st.integers(0, 4)))
def test_lists_hold_every_voxel_of_every_class_once(label):
    """Label 4 is beyond the classes, such as one to be ignored."""
    found = foreground.list_voxels(label, num_classes=4)
    counts = found["foreground_counts"]
    assert counts.tolist() == [0, *(int(np.sum(label == number)) for number in (1, 2, 3))]
    parts = np.split(found["foreground_voxels"], np.cumsum(counts[1:]))[:-1]
    for number, voxels in enumerate(parts, 1):
        assert np.array_equal(voxels, np.flatnonzero(label == number))


def test_classes_are_as_likely_and_so_are_their_voxels():
    label = np.zeros((4, 5, 6), np.uint8)
    label[1, 2, 3] = 1
    label[3, :, 2:4] = 3
    lists = foreground.list_voxels(label, num_classes=4)
    generator = np.random.default_rng(0)
    drawn = [foreground.draw_voxel(lists, label.shape, generator) for _ in range(4000)]
    hits = np.zeros(label.shape, int)
    np.add.at(hits, tuple(np.array(drawn).T), 1)
    assert not hits[label == 0].any()
    assert stats.binomtest(int(hits[1, 2, 3]), 4000, 0.5).pvalue > 1e-3
    assert stats.chisquare(hits[label == 3]).pvalue > 1e-3


def test_a_volume_without_foreground_gives_none():
    lists = foreground.list_voxels(np.zeros((2, 3)), num_classes=2)
    assert foreground.draw_voxel(lists, (2, 3), np.random.default_rng(0)) is None


def test_background_alone_is_refused():
    with pytest.raises(ValueError, match="num_classes is 1"):
        foreground.list_voxels(np.zeros(3), num_classes=1)
