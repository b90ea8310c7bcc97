import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmed.augment import right_angles

apply = jax.jit(right_angles.apply_right_angle)
draw_right_angle = jax.jit(right_angles.draw_right_angle, static_argnames=("batch_size", "probability"))
SYMMETRIES = list(itertools.product(range(4), [False, True], [False, True]))


def draw_of(symmetries):
    turns, flip_height, flip_width = map(list, zip(*symmetries, strict=True))
    return right_angles.RightAngleDraw(
        jnp.array(turns, jnp.int32), jnp.array(flip_height), jnp.array(flip_width)
    )


def by_numpy(image, turns, flip_height, flip_width):
    axes = [axis for axis, flip in enumerate((flip_height, flip_width)) if flip]
    return np.flip(np.rot90(image, turns), axes)


@pytest.mark.parametrize("trailing", [(), (3,)])
@pytest.mark.parametrize("dtype", [np.float32, np.int32, bool])
def test_equals_numpy(trailing, dtype):
    images = np.random.default_rng(0).integers(0, 9, (16, 5, 5, *trailing)).astype(dtype)
    result = apply(jnp.asarray(images), draw_of(SYMMETRIES))
    assert result.dtype == dtype
    for found, image, symmetry in zip(result, images, SYMMETRIES, strict=True):
        np.testing.assert_array_equal(found, by_numpy(image, *symmetry))


def test_flips_and_opposite_turns_undo_each_other():
    images = jnp.asarray(np.random.default_rng(0).normal(size=(16, 4, 4)), jnp.float32)
    draw = draw_of(SYMMETRIES)
    unflip = draw._replace(quarter_turns=jnp.zeros(16, jnp.int32))
    no_flip = jnp.zeros(16, bool)
    unturn = right_angles.RightAngleDraw((4 - draw.quarter_turns) % 4, no_flip, no_flip)
    moved = apply(images, draw)
    back = apply(apply(moved, unflip), unturn)
    np.testing.assert_array_equal(back, images)


def test_image_and_mask_move_together():
    images = jnp.asarray(np.random.default_rng(0).normal(size=(20, 6, 6)), jnp.float32)
    draw = draw_right_angle(jax.random.key(1), 20)
    mask = apply(images > 0, draw)
    np.testing.assert_array_equal(mask, apply(images, draw) > 0)


def test_all_symmetries_are_drawn_equally_often():
    draw = draw_right_angle(jax.random.key(0), 4000, probability=0.5)
    image = jnp.arange(4.0).reshape(2, 2)
    moved = apply(jnp.broadcast_to(image, (4000, 2, 2)), draw)
    _, counts = np.unique(np.asarray(moved).reshape(4000, 4), axis=0, return_counts=True)
    # In lexicographic order the unmoved image (0, 1, 2, 3) comes first.
    expected = 4000 * np.array([9, 1, 1, 1, 1, 1, 1, 1]) / 16
    assert counts.shape == expected.shape
    assert ((counts - expected) ** 2 / expected).sum() < 24.3  # 0.1 % point of chi-squared, 7 degrees


def test_draws_depend_on_the_position_alone():
    many, few = (draw_right_angle(jax.random.key(0), size) for size in (20, 3))
    for whole, part in zip(many, few, strict=True):
        np.testing.assert_array_equal(np.asarray(whole)[:3], part)


def test_probability_zero_is_the_identity():
    images = jnp.asarray(np.random.default_rng(0).normal(size=(20, 3, 3)), jnp.float32)
    draw = draw_right_angle(jax.random.key(0), 20, probability=0.0)
    np.testing.assert_array_equal(apply(images, draw), images)


def test_needs_no_gather():
    draw = draw_of(SYMMETRIES)
    text = apply.lower(jnp.zeros((16, 4, 4)), draw).as_text()
    assert "gather" not in text


def test_refuses_oblong_images():
    with pytest.raises(ValueError, match="equal height and width"):
        apply(jnp.zeros((1, 4, 5)), draw_of([(0, False, False)]))
