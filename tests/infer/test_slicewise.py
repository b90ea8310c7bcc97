import flax.linen as nn
import jax
import numpy as np
import pytest

from jaxmed.infer import slicewise
from jaxmed.infer.slicewise import make_slicewise
from jaxmed.metrics import overlap


class TinyNet(nn.Module):
    """Two convolutions and a probability, as a function of slices (batch, height, width)."""

    @nn.compact
    def __call__(self, slices):
        x = nn.relu(nn.Conv(4, (3, 3))(slices[..., None]))
        return nn.sigmoid(nn.Conv(1, (3, 3))(x))[..., 0]


@pytest.mark.parametrize("depth", [1, 3, 4, 5, 8])
def test_slices_come_back_in_order_from_batches_of_one_size(depth):
    volume = np.arange(depth * 6, dtype=np.float32).reshape(depth, 2, 3)
    sizes = []

    def scaled_sum(variables, slices):
        sizes.append(len(slices))
        return variables["factor"] * slices.sum(axis=2)

    apply = make_slicewise(scaled_sum, {"factor": np.float32(2)}, 4)
    np.testing.assert_array_equal(apply(volume), 2 * volume.sum(axis=2))
    apply(volume[:1])
    assert sizes == [4]


def test_result_belongs_to_the_caller():
    apply = make_slicewise(lambda _, slices: slices, {}, 4)
    volume = np.ones((3, 2, 2), np.float32)
    apply(volume)[:] = 0
    assert volume.all()


def test_empty_volume_is_refused():
    with pytest.raises(ValueError, match="no slice"):
        make_slicewise(lambda _, slices: slices, {}, 4)(np.zeros((0, 2, 2)))


@pytest.fixture(scope="module")
def net():
    variables = TinyNet().init(jax.random.key(3), np.zeros((1, 16, 16), np.float32))
    return TinyNet().apply, jax.tree.map(np.asarray, variables)


@pytest.mark.parametrize(("data", "space"), [(3, 1), (4, 1), (2, 2), (8, 1)])
@pytest.mark.parametrize("depth", [1, 7, 13, 36])
def test_metrics_do_not_depend_on_the_devices(depth, data, space, net, replicate):
    """Depths that leave the last batch uneven on 3, 4 and 8 devices; no probability is within 1e-5 of 0.5."""
    function, variables = net
    smooth, sharp = np.random.default_rng(depth).normal(size=(2, depth, 16, 16)).astype(np.float32)
    label = smooth > 0.5
    one = make_slicewise(function, replicate(variables), 5)
    many = make_slicewise(function, replicate(variables, data, space), 5)
    expected, found = ([apply(volume) for volume in (smooth, sharp)] for apply in (one, many))
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)
    assert np.abs(np.array(expected) - 0.5).min() > 1e-6
    masks, expected_masks = np.array(found) > 0.5, np.array(expected) > 0.5
    np.testing.assert_array_equal(masks, expected_masks)
    assert 0 < expected_masks.mean() < 1
    assert overlap.dice(masks[0], label) == overlap.dice(expected_masks[0], label)
    assert overlap.dice(*masks) == overlap.dice(*expected_masks) != 1


def test_stacks_hold_the_neighbours_and_repeat_the_ends():
    volume = np.arange(4 * 2 * 3).reshape(4, 2, 3)
    stacks = slicewise.stack_neighbours(volume, [0, 2, 3])
    assert stacks.shape == (3, 2, 3, 3)
    for stack, wanted in zip(stacks, ([0, 0, 1], [1, 2, 3], [2, 3, 3]), strict=True):
        np.testing.assert_array_equal(np.moveaxis(stack, -1, 0), volume[wanted])


def test_stackwise_equals_slice_by_slice_over_the_stacks():
    volume = np.random.default_rng(0).normal(size=(5, 3, 4)).astype(np.float32)
    apply = slicewise.make_stackwise(lambda w, x: x @ w, np.ones(3, np.float32), 2)
    padded = np.concatenate([volume[:1], volume, volume[-1:]])
    np.testing.assert_allclose(apply(volume), padded[:-2] + padded[1:-1] + padded[2:], rtol=1e-5)
    with pytest.raises(ValueError, match="no slice"):
        apply(volume[:0])
