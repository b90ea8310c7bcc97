import numpy as np
import pytest

from data_pipelines.example import Example
from data_pipelines.own_grid import segment_on_own_grid


def make_example(size=(3, 24, 30), spacing=(5.0, 2.0, 2.0)):
    """A bright block in the dark."""
    image = np.full(size, -1000.0, np.float32)
    image[1, 8:16, 10:20] = 100
    return Example("block", image, spacing_mm=spacing, affine=np.diag([*spacing, 1.0]))


def test_threshold_comes_back_on_the_scans_own_grid():
    """Pixels twice as fine, padded: the mask of the block is the block again."""
    example = make_example()
    seen = []

    def segment(volume):
        seen.append(volume)
        return volume > -450

    mask = segment_on_own_grid(example, segment, pixel_mm=1.0, min_size=56, fill=-1000)
    assert seen[0].shape == (3, 56, 60)
    assert seen[0].dtype == np.int16
    np.testing.assert_array_equal(mask, example.image > 0)


def test_large_slices_are_not_cropped():
    example = make_example()
    mask = segment_on_own_grid(example, lambda volume: volume > -450, pixel_mm=2.0, min_size=8, fill=-1000)
    np.testing.assert_array_equal(mask, example.image > 0)


def test_example_without_affine_is_refused():
    example = Example("flat", np.zeros((2, 8, 8), np.float32), spacing_mm=(1.0, 1.0, 1.0))
    with pytest.raises(ValueError, match="found no affine"):
        segment_on_own_grid(example, lambda volume: volume > 0, pixel_mm=1.0, min_size=8, fill=0)
