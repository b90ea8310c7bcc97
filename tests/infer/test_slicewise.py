import numpy as np
import pytest

from jaxmed.infer.slicewise import apply_slicewise


@pytest.mark.parametrize("depth", [1, 3, 4, 5, 8])
def test_slices_come_back_in_order_from_batches_of_one_size(depth):
    volume = np.arange(depth * 6, dtype=np.float32).reshape(depth, 2, 3)
    sizes = []

    def double(slices):
        sizes.append(len(slices))
        return 2 * slices.sum(axis=2)

    np.testing.assert_array_equal(apply_slicewise(double, volume, 4), 2 * volume.sum(axis=2))
    assert set(sizes) == {4}


def test_empty_volume_is_refused():
    with pytest.raises(ValueError, match="no slice"):
        apply_slicewise(lambda slices: slices, np.zeros((0, 2, 2)), 4)
