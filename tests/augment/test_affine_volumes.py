import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmed.augment import affine_volumes

LIMITS = ("max_degrees", "max_scale", "flip_probability")
draw = jax.jit(affine_volumes.draw_linear_maps, static_argnums=1, static_argnames=LIMITS)
apply = jax.jit(affine_volumes.apply_linear_maps, static_argnames=("order", "fill"))
SPACING = jnp.asarray([[2.0, 1.0, 1.0]])


def test_no_range_is_the_identity():
    maps = draw(jax.random.key(0), 3)
    np.testing.assert_allclose(maps, np.tile(np.eye(3), (3, 1, 1)), atol=1e-6)
    volume = jnp.asarray(np.random.default_rng(0).normal(size=(1, 4, 5, 6)), jnp.float32)
    np.testing.assert_allclose(apply(volume, SPACING, maps[:1]), volume, atol=1e-5)


def test_maps_are_rotations_times_scales_within_the_ranges():
    maps = draw(jax.random.key(1), 500, max_degrees=30.0, max_scale=1.2, flip_probability=0.5)
    maps = np.asarray(maps)
    scales = np.cbrt(np.abs(np.linalg.det(maps)))
    assert 1 / 1.2 <= scales.min() < 0.9
    assert 1.1 < scales.max() <= 1.2
    np.testing.assert_allclose(
        maps @ maps.swapaxes(1, 2) / scales[:, None, None] ** 2, np.tile(np.eye(3), (500, 1, 1)), atol=1e-5
    )
    assert 150 < (np.linalg.det(maps) < 0).sum() < 350


def test_angle_is_bounded():
    maps = draw(jax.random.key(2), 300, max_degrees=25.0)
    degrees = np.degrees(np.arccos(np.clip((np.trace(maps, axis1=1, axis2=2) - 1) / 2, -1, 1)))
    assert 20 < degrees.max() < 25.1
    assert degrees.min() < 5


def test_quarter_turn_in_space_respects_the_spacing():
    """About the depth axis height and width change places; in voxels of 2 x 1 x 1 depth is left alone."""
    turn = jnp.asarray([[[1.0, 0, 0], [0, 0, 1], [0, -1, 0]]])
    volume = jnp.asarray(np.random.default_rng(1).normal(size=(1, 3, 5, 5)), jnp.float32)
    found = apply(volume, SPACING, turn)
    wanted = np.rot90(volume, axes=(2, 3)), np.rot90(volume, -1, axes=(2, 3))
    assert any(np.allclose(found, one, atol=1e-5) for one in wanted)


def test_labels_stay_labels_and_outside_is_filled():
    labels = jnp.asarray(np.random.default_rng(2).integers(0, 2, (1, 6, 6, 6)), jnp.int8)
    found = apply(labels, SPACING, 2 * np.eye(3, dtype=np.float32)[None], order=0, fill=-1)
    assert found.dtype == jnp.int8
    assert set(np.unique(found)) == {-1, 0, 1}
    assert np.asarray(found)[0, 0, 0, 0] == -1


def test_refuses_other_orders():
    with pytest.raises(ValueError, match="order: 3"):
        affine_volumes.apply_linear_maps(jnp.zeros((1, 2, 2, 2)), SPACING, jnp.eye(3)[None], order=3)
