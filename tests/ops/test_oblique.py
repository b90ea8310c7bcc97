import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import ndimage

from jaxmed.ops import oblique

SHAPE, SPACING = (7, 9, 8), (3.0, 1.0, 2.0)


def linear_field(points_mm):
    return 2 * points_mm[..., 0] - 3 * points_mm[..., 1] + 0.5 * points_mm[..., 2] + 1


def volume_of(field, shape=SHAPE, spacing=SPACING):
    voxels = jnp.stack(jnp.meshgrid(*(jnp.arange(n) for n in shape), indexing="ij"), axis=-1)
    return field(oblique.to_mm(voxels, shape, spacing))


def test_rotations_are_rotations_and_uniform():
    rotations = np.asarray(oblique.draw_rotations(jax.random.key(0), 2000))
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
    rotation = oblique.draw_rotations(jax.random.key(3), 1)[0]
    points = oblique.plane_points(rotation, 0.7 * rotation[0], (6, 5), 0.8)
    np.testing.assert_allclose(points.mean(axis=(0, 1)), 0.7 * rotation[0], atol=1e-5)
    np.testing.assert_allclose(points @ rotation[0], 0.7, atol=1e-5)
    steps = np.linalg.norm(np.diff(points, axis=0), axis=-1)
    np.testing.assert_allclose(steps, 0.8, atol=1e-5)
    voxels = oblique.to_voxels(points, SHAPE, SPACING)
    assert oblique.is_inside(voxels, SHAPE).all()
    found = oblique.sample_linear(volume_of(linear_field), voxels)
    np.testing.assert_allclose(found, linear_field(points), atol=1e-4)


def test_linear_sampling_equals_scipy_within_the_voxel_centres():
    rng = np.random.default_rng(1)
    volume = rng.normal(size=SHAPE).astype(np.float32)
    places = rng.uniform(0, np.array(SHAPE) - 1, size=(50, 3)).astype(np.float32)
    wanted = ndimage.map_coordinates(volume, places.T, order=1)
    np.testing.assert_allclose(
        oblique.sample_linear(jnp.asarray(volume), jnp.asarray(places)), wanted, atol=1e-5
    )


def test_nearest_sampling_equals_scipy_and_keeps_labels():
    rng = np.random.default_rng(2)
    labels = rng.integers(-1, 2, SHAPE).astype(np.int8)
    places = rng.uniform(0, np.array(SHAPE) - 1, size=(200, 3)).astype(np.float32)
    found = oblique.sample_nearest(jnp.asarray(labels), jnp.asarray(places))
    assert found.dtype == jnp.int8
    np.testing.assert_array_equal(found, ndimage.map_coordinates(labels, places.T, order=0))


@pytest.mark.parametrize(
    ("place", "wanted"), [(-0.49, 5.0), (2.49, 7.0), (-0.51, -1.0), (2.5, -1.0), (2.0, 7.0)]
)
def test_border_voxels_reach_half_a_voxel_out(place, wanted):
    volume = jnp.asarray([5.0, 6.0, 7.0]).reshape(3, 1, 1)
    voxels = jnp.asarray([[place, 0.0, 0.0]])
    assert oblique.sample_linear(volume, voxels, fill=-1)[0] == wanted
    assert oblique.sample_nearest(volume, voxels, fill=-1)[0] == wanted


def test_channels_are_sampled_alike():
    volume = jnp.asarray(np.random.default_rng(0).normal(size=(*SHAPE, 2)), jnp.float32)
    voxels = jnp.asarray([[1.5, 2.25, 3.0], [-4.0, 0.0, 0.0]])
    for sample in (oblique.sample_linear, oblique.sample_nearest):
        found = sample(volume, voxels)
        each = [sample(volume[..., channel], voxels) for channel in range(2)]
        np.testing.assert_allclose(found, jnp.stack(each, axis=-1))
        assert not found[1].any()


def test_layer_of_an_axis_parallel_plane_is_one_voxel_thick_whatever_the_spacing():
    points = volume_of(lambda points: points)
    for axis in range(3):
        normal = jnp.eye(3)[axis][None]
        inside = oblique.voxel_distance(points, normal, jnp.asarray([0.1]), SPACING) <= 0.5
        assert inside.sum() == np.prod(SHAPE) / SHAPE[axis]
    nowhere = oblique.voxel_distance(points, jnp.zeros((0, 3)), jnp.zeros(0), SPACING)
    assert np.isinf(nowhere).all()


def test_layer_of_an_oblique_plane_holds_as_many_voxels_as_the_plane_has_area():
    shape = (40, 40, 40)
    points = volume_of(lambda points: points, shape, (1.0, 1.0, 1.0))
    slope = 0.37
    normal = jnp.asarray([[1.0, slope, 0.0]]) / np.sqrt(1 + slope**2)
    count = int((oblique.voxel_distance(points, normal, jnp.asarray([0.0]), (1.0, 1.0, 1.0)) <= 0.5).sum())
    assert abs(count - 40 * 40 * np.sqrt(1 + slope**2)) < 0.05 * count
