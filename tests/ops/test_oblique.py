import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import ndimage

from jaxmed.ops import oblique

sample_linear = jax.jit(oblique.sample_linear, static_argnames="fill")
sample_nearest = jax.jit(oblique.sample_nearest, static_argnames="fill")
draw_rotations = jax.jit(oblique.draw_rotations, static_argnums=1)
voxel_distance = jax.jit(oblique.voxel_distance, static_argnums=3)
SHAPE, SPACING = (7, 9, 8), (3.0, 1.0, 2.0)


def linear_field(points_mm):
    return 2 * points_mm[..., 0] - 3 * points_mm[..., 1] + 0.5 * points_mm[..., 2] + 1


def volume_of(field, shape=SHAPE, spacing=SPACING):
    voxels = np.stack(np.meshgrid(*(np.arange(n, dtype=np.float32) for n in shape), indexing="ij"), axis=-1)
    return jnp.asarray(
        field(np.asarray(jax.jit(oblique.to_mm, static_argnums=(1, 2))(voxels, shape, spacing)))
    )


def test_rotations_are_rotations_and_uniform():
    rotations = np.asarray(draw_rotations(jax.random.key(0), 2000))
    np.testing.assert_allclose(
        rotations @ rotations.swapaxes(1, 2), np.tile(np.eye(3), (2000, 1, 1)), atol=1e-5
    )
    np.testing.assert_allclose(np.linalg.det(rotations), 1, atol=1e-5)
    # Uniform: every entry has mean 0 and variance 1/3, and a component of a direction is uniform in [-1, 1].
    np.testing.assert_allclose(rotations.mean(axis=0), 0, atol=0.05)
    np.testing.assert_allclose(rotations.var(axis=0), 1 / 3, atol=0.03)
    quarters, _ = np.histogram(rotations[:, 0, 0], bins=4, range=(-1, 1))
    assert np.abs(quarters - 500).max() < 5 * np.sqrt(500 * 0.75)


def test_voxels_and_mm_are_inverse():
    points = jnp.asarray(np.random.default_rng(0).normal(size=(5, 3)), jnp.float32)
    there = oblique.to_voxels(points, SHAPE, SPACING)
    np.testing.assert_allclose(oblique.to_mm(there, SHAPE, SPACING), points, atol=1e-5)
    np.testing.assert_allclose(oblique.to_voxels(jnp.zeros((1, 3)), SHAPE, SPACING), [[3, 4, 3.5]])


def test_oblique_planes_of_an_anisotropic_volume_show_a_linear_field_exactly():
    rotation = np.asarray(draw_rotations(jax.random.key(3), 1))[0]
    points = jax.jit(oblique.plane_points, static_argnums=(2, 3))(rotation, 0.7 * rotation[0], (6, 5), 0.8)
    points = np.asarray(points)
    np.testing.assert_allclose(points.mean(axis=(0, 1)), 0.7 * rotation[0], atol=1e-5)
    np.testing.assert_allclose(points @ rotation[0], 0.7, atol=1e-5)
    steps = np.linalg.norm(np.diff(points, axis=0), axis=-1)
    np.testing.assert_allclose(steps, 0.8, atol=1e-5)
    voxels = jax.jit(oblique.to_voxels, static_argnums=(1, 2))(points, SHAPE, SPACING)
    assert oblique.is_inside(voxels, SHAPE).all()
    found = sample_linear(volume_of(linear_field), voxels)
    np.testing.assert_allclose(found, linear_field(points), atol=1e-4)


def test_linear_sampling_equals_scipy_within_the_voxel_centres():
    rng = np.random.default_rng(1)
    volume = rng.normal(size=SHAPE).astype(np.float32)
    places = rng.uniform(0, np.array(SHAPE) - 1, size=(50, 3)).astype(np.float32)
    wanted = ndimage.map_coordinates(volume, places.T, order=1)
    np.testing.assert_allclose(sample_linear(jnp.asarray(volume), jnp.asarray(places)), wanted, atol=1e-5)


def test_nearest_sampling_equals_scipy_and_keeps_labels():
    rng = np.random.default_rng(2)
    labels = rng.integers(-1, 2, SHAPE).astype(np.int8)
    places = rng.uniform(0, np.array(SHAPE) - 1, size=(200, 3)).astype(np.float32)
    found = sample_nearest(jnp.asarray(labels), jnp.asarray(places))
    assert found.dtype == jnp.int8
    np.testing.assert_array_equal(found, ndimage.map_coordinates(labels, places.T, order=0))


@pytest.mark.parametrize(
    ("place", "wanted"), [(-0.49, 5.0), (2.49, 7.0), (-0.51, -1.0), (2.5, -1.0), (2.0, 7.0)]
)
def test_border_voxels_reach_half_a_voxel_out(place, wanted):
    volume = jnp.asarray(np.array([5, 6, 7], np.float32).reshape(3, 1, 1))
    voxels = jnp.asarray(np.array([[place, 0, 0]], np.float32))
    assert sample_linear(volume, voxels, fill=-1) == wanted
    assert sample_nearest(volume, voxels, fill=-1) == wanted


def test_channels_are_sampled_alike():
    volume = jnp.asarray(np.random.default_rng(0).normal(size=(*SHAPE, 2)), jnp.float32)
    voxels = jnp.asarray(np.array([[1.5, 2.25, 3], [-4, 0, 0]], np.float32))
    for sample in (sample_linear, sample_nearest):
        found = np.asarray(sample(volume, voxels))
        each = [sample(np.asarray(volume)[..., channel], voxels) for channel in range(2)]
        np.testing.assert_allclose(found, np.stack(each, axis=-1))
        assert not found[1].any()


def test_layer_of_an_axis_parallel_plane_is_one_voxel_thick_whatever_the_spacing():
    points = volume_of(lambda points: points)
    for axis in range(3):
        normal = np.eye(3, dtype=np.float32)[axis][None]
        inside = np.asarray(voxel_distance(points, normal, np.full(1, 0.1, np.float32), SPACING)) <= 0.5
        assert inside.sum() == np.prod(SHAPE) / SHAPE[axis]
    nowhere = voxel_distance(points, np.zeros((0, 3), np.float32), np.zeros(0, np.float32), SPACING)
    assert np.isinf(nowhere).all()


def test_layer_of_an_oblique_plane_holds_as_many_voxels_as_the_plane_has_area():
    shape = (40, 40, 40)
    points = volume_of(lambda points: points, shape, (1.0, 1.0, 1.0))
    slope = 0.37
    normal = (np.array([[1, slope, 0]]) / np.sqrt(1 + slope**2)).astype(np.float32)
    distance = voxel_distance(points, normal, np.zeros(1, np.float32), (1.0, 1.0, 1.0))
    count = int((np.asarray(distance) <= 0.5).sum())
    assert abs(count - 40 * 40 * np.sqrt(1 + slope**2)) < 0.05 * count
