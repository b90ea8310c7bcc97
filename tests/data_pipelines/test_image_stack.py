"""Stacks of images: order, and that the cache spares the second reading."""

import numpy as np
import pytest

from data_pipelines.cache import BuildError
from data_pipelines.image_stack import pad, resize, stack_images


def test_images_come_in_order_and_are_read_once(tmp_path):
    read = []

    def image(number):
        read.append(number)
        return np.full((2, 3), number, np.uint8)

    for _ in range(2):
        stack = stack_images(tmp_path, {"source": "test"}, 150, image)
        np.testing.assert_array_equal(stack[:, 1, 2], np.arange(150))
    assert sorted(read) == list(range(150))


def test_a_failing_image_is_an_error(tmp_path):
    def image(number):
        raise OSError("broken")

    with pytest.raises(BuildError, match="broken"):
        stack_images(tmp_path, {"source": "test"}, 3, image)


def test_resize_keeps_sizes_constants_and_ramps():
    ramp = np.broadcast_to(np.linspace(0, 1, 8), (2, 8, 8))
    same = resize(ramp, (8, 8))
    np.testing.assert_allclose(same[..., 0], ramp, rtol=1e-6)
    double = resize(ramp, (16, 16))
    assert double.shape == (2, 16, 16, 1) and double.dtype == np.float32
    np.testing.assert_allclose(np.diff(double[0, 8, 2:-2, 0]), 1 / 14, rtol=1e-4)


def test_padding_says_what_is_there():
    images = np.ones((5, 2, 2, 1), np.float32)
    stacked, weight = pad([images[:2], images[:5]])
    assert stacked.shape == (2, 5, 2, 2, 1)
    assert weight.sum(1).tolist() == [2, 5]
    assert not stacked[0, 2:].any()
