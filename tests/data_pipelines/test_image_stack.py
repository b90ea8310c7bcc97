"""Stacks of images: order, and that the cache spares the second reading."""

import numpy as np
import pytest

from data_pipelines.cache import BuildError
from data_pipelines.image_stack import stack_images


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
