"""Boxes of masks and back, slices of boxes, and overlaps in closed form."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from jaxmed.ops import boxes as box_ops


def test_tight_box_of_a_volume_is_that_of_scipy():
    rng = np.random.default_rng(0)
    masks = rng.uniform(size=(5, 6, 7, 8)) < 0.02
    masks[4] = False
    found = np.asarray(jax.jit(box_ops.tight_boxes)(jnp.asarray(masks)))
    for mask, box in zip(masks, found, strict=True):
        places = ndimage.find_objects(mask.astype(int))
        wanted = (
            [*(axis.start for axis in places[0]), *(axis.stop for axis in places[0])] if places else [0] * 6
        )
        assert box.tolist() == wanted


fill_boxes = jax.jit(box_ops.fill_boxes, static_argnums=1)
slice_boxes = jax.jit(box_ops.slice_boxes, static_argnums=1)
tight_boxes, box_iou, box_sizes = map(jax.jit, (box_ops.tight_boxes, box_ops.box_iou, box_ops.box_sizes))

corners = st.tuples(*(st.tuples(st.integers(0, 6), st.integers(1, 3)) for _ in range(2)))


@given(corners)
def test_a_filled_box_has_itself_as_its_tight_box(sides):
    box = jnp.array([[*(first for first, _ in sides), *(first + extent for first, extent in sides)]])
    filled = fill_boxes(box, (9, 9))
    np.testing.assert_array_equal(tight_boxes(filled), box)
    assert np.asarray(filled).sum() == np.asarray(box_sizes(box))[0]


@given(corners, corners)
def test_iou_is_that_of_the_filled_masks(first, second):
    pair = [
        jnp.array([[*(start for start, _ in sides), *(start + extent for start, extent in sides)]])
        for sides in (first, second)
    ]
    one, other = (np.asarray(fill_boxes(box, (9, 9))) for box in pair)
    wanted = (one & other).sum() / (one | other).sum()
    np.testing.assert_allclose(box_iou(*pair), [wanted], rtol=1e-6)


def test_iou_of_real_numbers_and_of_empty_boxes():
    boxes = jnp.array([[0.0, 0.0, 1.0, 1.0], [0.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0]])
    others = jnp.array([[0.5, 0.0, 1.5, 1.0], [0.0, 0.0, 1.0, 1.0], [0.0, 0.0, 0.0, 0.0]])
    np.testing.assert_allclose(box_iou(boxes, others), [1 / 3, 0, 1], rtol=1e-6)


def test_slices_of_an_ellipsoids_box_have_a_mean_iou_of_two_thirds():
    """The tight box of a slice at height z has the share 1 - z^2 of the cross-section's."""
    z, y, x = np.meshgrid(*((np.arange(n) + 0.5) / n * 2 - 1 for n in (60, 120, 120)), indexing="ij")
    mask = x**2 + y**2 + z**2 <= 1
    boxes = tight_boxes(mask)
    whole = np.asarray(slice_boxes(tight_boxes(mask[None]), len(mask)))[0]
    assert float(np.mean(box_iou(boxes, whole))) == pytest.approx(2 / 3, abs=0.02)


def test_slices_beyond_a_box_have_none():
    cut = slice_boxes(jnp.array([[1, 2, 3, 3, 5, 7]]), 4)
    assert cut.tolist() == [[[0] * 4, [2, 3, 5, 7], [2, 3, 5, 7], [0] * 4]]


def test_refuses_shapes_that_are_no_boxes():
    with pytest.raises(ValueError, match="two corners"):
        box_ops.box_sizes(jnp.zeros((2, 3)))
    with pytest.raises(ValueError, match="axes"):
        box_ops.fill_boxes(jnp.zeros((2, 4)), (3, 3, 3))
    with pytest.raises(ValueError, match="one or more axes"):
        box_ops.tight_boxes(jnp.zeros(3))
