import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.ndimage

from jaxmed.augment import warp

sample = jax.jit(warp.sample)
warp_positions = jax.jit(warp.warp_positions, static_argnums=1)

draw_warp = jax.jit(
    warp.draw_warp, static_argnums=1, static_argnames=("max_degrees", "max_shift", "max_distortion")
)

LIMITS = {"max_degrees": 180.0, "max_shift": 3.0, "max_distortion": 2.0}
NOTHING = {"max_degrees": 0.0, "max_shift": 0.0, "max_distortion": 0.0}


def draw(batch_size=3, **limits):
    return draw_warp(jax.random.key(0), batch_size, **{**NOTHING, **limits})


def centred_grid(size):
    return np.stack(np.meshgrid(*(np.arange(n) - (n - 1) / 2 for n in size), indexing="ij"), axis=-1)


def volumes(batch=3, size=(9, 10, 11)):
    return np.random.default_rng(0).normal(size=(batch, *size)).astype(np.float32)


def test_no_warp_cuts_out_the_middle():
    images = volumes(size=(10, 12, 14))
    found = sample(jnp.asarray(images), warp_positions(draw(), (4, 6, 8)))
    np.testing.assert_allclose(found, images[:, 3:7, 3:9, 3:11], atol=1e-5)


def test_distortion_is_the_cubic_spline_through_the_lattice():
    """scipy's own spline of the displacements, at the voxels between faces 0 and 2 of the lattice."""
    size, drawn = (6, 8, 10), draw(max_distortion=2.0)
    moved = np.asarray(warp_positions(drawn, size)) - centred_grid(size)
    places = np.meshgrid(*((np.arange(n) + 0.5) * 2 / n for n in size), indexing="ij")
    for number, knots in enumerate(np.asarray(drawn.displacement, np.float64)):
        for component in range(3):
            wanted = scipy.ndimage.map_coordinates(knots[..., component], places, order=3, mode="mirror")
            np.testing.assert_allclose(moved[number, ..., component], wanted, atol=1e-5)


def test_central_knot_stays_and_the_others_fill_their_range():
    knots = np.asarray(draw(200, max_distortion=2.0).displacement)
    assert not knots[:, 1, 1, 1].any()
    others = np.delete(knots.reshape(200, 27, 3), 13, axis=1)
    assert np.abs(others).max() <= 2
    np.testing.assert_allclose(others.std(), 4 / np.sqrt(12), rtol=0.02)
    assert abs(others.mean()) < 0.05


def test_rotations_are_proper_and_cover_half_a_turn():
    rotation = np.asarray(draw(400, max_degrees=180.0).rotation)
    np.testing.assert_allclose(
        rotation @ rotation.swapaxes(1, 2), np.broadcast_to(np.eye(3), (400, 3, 3)), atol=1e-5
    )
    np.testing.assert_allclose(np.linalg.det(rotation), 1, atol=1e-5)
    turned = draw_warp(jax.random.key(1), 400, max_degrees=180.0, max_shift=0.0, max_distortion=0.0)
    # The sine about height is an entry of the product; over half a turn its mean is 2 / pi.
    np.testing.assert_allclose(np.abs(np.asarray(turned.rotation)[:, 0, 2]).mean(), 2 / np.pi, atol=0.03)


def test_shift_moves_by_whole_voxels():
    images = volumes(1, (12, 12, 12))
    moved = draw(1)._replace(shift=jnp.array([[1.0, -2.0, 3.0]]))
    found = sample(jnp.asarray(images), warp_positions(moved, (4, 4, 4)))
    np.testing.assert_allclose(found, images[:, 5:9, 2:6, 7:11], atol=1e-5)


def test_interpolation_is_linear_and_the_border_continues():
    images = volumes(1, (7, 7, 7))
    positions = np.random.default_rng(1).uniform(-5, 5, (1, 4, 4, 4, 3)).astype(np.float32)
    found = sample(jnp.asarray(images), jnp.asarray(positions))
    wanted = scipy.ndimage.map_coordinates(
        images[0], np.moveaxis(positions[0] + 3, -1, 0), order=1, mode="nearest"
    )
    np.testing.assert_allclose(found[0], wanted, atol=1e-5)


@pytest.mark.parametrize("limits", [NOTHING, LIMITS, {**LIMITS, "max_degrees": 0.0}])
def test_context_holds_every_position(limits):
    size = (6, 6, 8)
    context = warp.context_size(size, **limits)
    positions = np.asarray(warp_positions(draw_warp(jax.random.key(0), 100, **limits), size))
    half = (np.array(context) - 1) / 2
    assert (np.abs(positions).max(axis=(0, 1, 2, 3)) <= half + 1e-4).all()
    assert all((c - n) % 2 == 0 for c, n in zip(context, size, strict=True))
    if limits is NOTHING:
        assert context == size


def test_distortion_widens_the_context():
    size, limits = (6, 6, 6), {"max_degrees": 0.0, "max_shift": 1.0}
    assert warp.context_size(size, **limits, max_distortion=0.0) == (8, 8, 8)
    # The outermost voxels follow outer knots that may all move by 2, and the spline may swing beyond.
    assert warp.context_size(size, **limits, max_distortion=2.0)[0] >= 12


def test_an_example_draws_by_its_position_alone():
    for few, many in zip(draw(2, **LIMITS), draw(4, **LIMITS), strict=True):
        np.testing.assert_array_equal(few, np.asarray(many)[:2])
