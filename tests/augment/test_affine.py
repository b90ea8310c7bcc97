"""Affine augmentation: against SciPy, exact cases, bounds, independence of the batch's split."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import ndimage

from jaxmed.augment import affine
from jaxmed.augment.affine import AffineDraw

KEY = jax.random.key(3)
CROP = ("max_degrees", "area", "aspect")
AFFINE = ("max_degrees", "max_shift", "scale", "max_shear_degrees", "flip_probability")
draw_rotated_crop = jax.jit(affine.draw_rotated_crop, static_argnums=1, static_argnames=CROP)
draw_affine = jax.jit(affine.draw_affine, static_argnums=1, static_argnames=AFFINE)
apply_affine = jax.jit(affine.apply_affine, static_argnames=("order", "fill"))
SHAPE = (13, 18)
IMAGES = np.random.default_rng(0).normal(size=(4, *SHAPE)).astype(np.float32)


def single(linear, shift):
    return AffineDraw(jnp.array([linear], jnp.float32), jnp.array([shift], jnp.float32))


def with_scipy(image, linear, shift, order, fill):
    centre = (np.array(image.shape) - 1) / 2
    offset = centre + linear @ (shift * image.shape - centre)
    return ndimage.affine_transform(image, linear, offset, order=order, mode="grid-constant", cval=fill)


@pytest.mark.parametrize("order", [0, 1])
@pytest.mark.parametrize("fill", [0.0, -2.0])
def test_equals_scipy(order, fill):
    draw = draw_affine(
        KEY,
        4,
        max_degrees=40.0,
        max_shift=0.2,
        scale=(0.7, 1.4),
        max_shear_degrees=15.0,
        flip_probability=0.5,
    )
    found = apply_affine(jnp.asarray(IMAGES), draw, order=order, fill=fill)
    wanted = [
        with_scipy(image, np.asarray(linear, np.float64), np.asarray(shift, np.float64), order, fill)
        for image, linear, shift in zip(IMAGES, *draw, strict=True)
    ]
    np.testing.assert_allclose(found, wanted, atol=2e-5)


def test_channels_move_together_and_dtype_is_kept():
    draw = draw_affine(KEY, 4, max_degrees=30.0)
    stacked = apply_affine(jnp.asarray(np.stack([IMAGES, 2 * IMAGES], -1)), draw)
    np.testing.assert_allclose(stacked[..., 1], 2 * stacked[..., 0], atol=1e-5)
    masks = (IMAGES > 0).astype(np.uint8) * 7
    turned = apply_affine(jnp.asarray(masks), draw, order=0)
    assert turned.dtype == np.uint8
    assert set(np.unique(turned)) == {0, 7}


def test_no_change_is_exact():
    draw = draw_affine(KEY, 4)
    np.testing.assert_allclose(apply_affine(jnp.asarray(IMAGES), draw), IMAGES, atol=1e-6)
    whole = draw_rotated_crop(KEY, 4, area=(1.0, 1.0), aspect=(1.0, 1.0))
    np.testing.assert_allclose(apply_affine(jnp.asarray(IMAGES), whole), IMAGES, atol=1e-5)


def test_quarter_turn_is_anticlockwise():
    square = jnp.arange(25.0).reshape(1, 5, 5)
    turned = apply_affine(square, single([[0, 1], [-1, 0]], [0, 0]))
    np.testing.assert_allclose(turned[0], np.rot90(square[0]), atol=1e-5)
    drawn = draw_affine(KEY, 20, max_degrees=90.0)
    corner = apply_affine(jnp.zeros((20, 31, 31)).at[:, 15, 30].set(1.0), drawn)
    heights = jnp.argmax(corner.sum(2), axis=1)
    turns = drawn.linear[:, 0, 1] > 0
    assert ((heights < 15) == turns)[jnp.abs(drawn.linear[:, 0, 1]) > 0.1].all()


def test_positive_shift_of_the_draw_looks_further_down_and_right():
    image = jnp.zeros((1, 10, 10)).at[0, 6, 7].set(1.0)
    moved = apply_affine(image, single([[1, 0], [0, 1]], [0.2, 0.3]))
    assert np.unravel_index(int(moved.argmax()), moved.shape) == (0, 4, 4)


def test_crop_fills_the_image():
    """A crop of the lower right quarter of a ramp is the ramp's second half, stretched."""
    ramp = jnp.broadcast_to(jnp.arange(20.0)[None, None], (1, 20, 20))
    crop = apply_affine(ramp, single([[0.5, 0], [0, 0.5]], [0.5, 0.5]))
    np.testing.assert_allclose(crop[0, 3, :-1], (np.arange(19) + 0.5) / 2 + 9.5, atol=1e-5)


def test_draws_stay_within_their_bounds():
    count = 500
    draw = draw_rotated_crop(KEY, count, max_degrees=30.0, area=(0.3, 1.0))
    sides = np.linalg.norm(draw.linear, axis=1)
    angle = np.degrees(np.arctan2(draw.linear[:, 0, 1], draw.linear[:, 1, 1]))
    places = np.asarray(draw.shift) * sides
    assert 25 < np.abs(angle).max() <= 30
    # Crops that had to be cut to the image are smaller than the least area.
    assert 0.2 < (sides.prod(axis=1)).min() < 0.35
    assert sides.max() <= 1 + 1e-6
    assert (np.abs(places) + sides / 2 <= 0.5 + 1e-6).all()
    assert np.abs(places).mean() > 0.03
    moved = draw_affine(KEY, count, max_shift=0.1, scale=(0.5, 2.0))
    assert 0.09 < np.abs(moved.shift).max() <= 0.1
    scales = 1 / np.sqrt(np.linalg.det(moved.linear))
    assert 0.5 - 1e-5 <= scales.min() < 0.55 < 1.9 < scales.max() <= 2 + 1e-5


def test_an_examples_draw_does_not_depend_on_the_batch():
    few, many = (draw_rotated_crop(KEY, count, max_degrees=30.0) for count in (2, 5))
    jax.tree.map(lambda a, b: np.testing.assert_array_equal(a, b[:2]), few, many)


def test_other_orders_are_refused():
    with pytest.raises(ValueError, match="order: 3"):
        affine.apply_affine(jnp.asarray(IMAGES), draw_affine(KEY, 4), order=3)
