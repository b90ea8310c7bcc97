"""Statistics from counts against numpy on the values themselves."""

import numpy as np
import pytest

from data_pipelines import foreground_intensity


def test_statistics_are_those_of_the_values_under_the_masks():
    rng = np.random.default_rng(0)
    images = rng.normal(100, 30, (3, 4, 20, 20)).round().astype(np.int16)
    masks = (rng.uniform(size=images.shape) < 0.5).astype(np.uint8) * 2
    counts = sum(foreground_intensity.count_values(*pair) for pair in zip(images, masks, strict=True))
    values = images[masks > 0].astype(np.float64)
    found = foreground_intensity.summarise(counts)
    low, high = np.percentile(values, (0.5, 99.5), method="inverted_cdf")
    assert (found.low, found.high) == (low, high)
    np.testing.assert_allclose([found.mean, found.std], [values.mean(), values.std()])
    np.testing.assert_allclose(found.as_array(), [low, high, values.mean(), values.std()], rtol=1e-6)


def test_values_beyond_a_12_bit_image_count_as_its_ends():
    image = np.array([-2000, 5000, 0], np.int16)
    counts = foreground_intensity.count_values(image, np.ones(3))
    assert counts[0] == counts[-1] == counts[1024] == 1


@pytest.mark.parametrize(("mask", "match"), [([0, 0], "no foreground"), ([1, 0], "the value 7 HU only")])
def test_refuses_sets_without_statistics(mask, match):
    counts = foreground_intensity.count_values(np.array([7, 9], np.int16), np.array(mask))
    with pytest.raises(ValueError, match=match):
        foreground_intensity.summarise(counts)
