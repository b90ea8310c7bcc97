import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmed.ops import patches
from jaxmed.ops.example_keys import example_keys

take_crops = jax.jit(patches.take_crops, static_argnums=3)


def test_crops_are_slices_of_their_examples():
    examples = np.arange(3 * 5 * 6 * 7 * 2, dtype=np.int16).reshape(3, 5, 6, 7, 2)
    index, starts = np.array([2, 0, 2]), np.array([[0, 1, 2], [3, 4, 5], [1, 0, 4]])
    crops = take_crops(jnp.asarray(examples), jnp.asarray(index), jnp.asarray(starts), (2, 2, 2))
    expected = [
        examples[i, d : d + 2, h : h + 2, w : w + 2] for i, (d, h, w) in zip(index, starts, strict=True)
    ]
    assert crops.dtype == jnp.int16
    np.testing.assert_array_equal(crops, expected)


def test_axes_that_are_not_cropped_are_taken_whole():
    examples = jnp.asarray(np.arange(24, dtype=np.float32).reshape(2, 3, 4))
    crops = take_crops(examples, jnp.array([1]), jnp.array([[1]]), (2,))
    np.testing.assert_array_equal(crops, np.asarray(examples)[1:, 1:])


def test_crops_beyond_the_end_are_moved_inside():
    examples = jnp.arange(5.0)[None]
    np.testing.assert_array_equal(take_crops(examples, jnp.array([0]), jnp.array([[4]]), (3,)), [[2, 3, 4]])


def test_starts_are_uniform_over_all_places():
    keys = example_keys(jax.random.key(0), 6000)
    starts = patches.draw_starts(keys, (5, 4, 9), (3, 4, 2))
    assert starts.dtype == jnp.int32
    counts = [np.bincount(axis, minlength=size) for axis, size in zip(starts.T, (3, 1, 8), strict=True)]
    for count, places in zip(counts, (3, 1, 8), strict=True):
        assert len(count) == places
        # Five standard deviations of a binomial.
        np.testing.assert_allclose(count, 6000 / places, atol=5 * np.sqrt(6000 / places))


def test_starts_keep_inside_of_examples_of_several_sizes():
    extents = jnp.array([[4, 4], [10, 3], [2, 9]])
    keys = example_keys(jax.random.key(1), 3)
    starts = np.asarray(patches.draw_starts(keys, extents, (3, 3)))
    assert (starts >= 0).all()
    assert starts[0].max() <= 1 and starts[1][0] <= 7 and starts[1][1] == 0
    assert starts[2][0] == 0  # smaller than the crop: padding comes along


def test_crops_that_do_not_fit_are_refused():
    keys = example_keys(jax.random.key(0), 2)
    with pytest.raises(ValueError, match=r"crops of \(3, 3\) do not fit examples of \(4, 2\)"):
        patches.draw_starts(keys, (4, 2), (3, 3))
    with pytest.raises(ValueError, match="do not fit"):
        patches.draw_starts(keys, (4, 4, 4), (3, 3))
    with pytest.raises(ValueError, match="extents have 1 axes"):
        patches.draw_starts(keys, jnp.array([[4], [4]]), (3, 3))
