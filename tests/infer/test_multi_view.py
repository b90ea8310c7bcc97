import jax
import numpy as np
import pytest

from jaxmed.infer.multi_view import make_multi_view
from jaxmed.ops import oblique


def doubled(variables, slices):
    return variables["factor"] * slices


def smooth_volume(shape, spacing):
    axes = [(np.arange(n) - (n - 1) / 2) * s for n, s in zip(shape, spacing, strict=True)]
    z, y, x = np.meshgrid(*axes, indexing="ij")
    return np.exp(-(z**2 + 2 * y**2 + (x - 2) ** 2) / 60).astype(np.float32)


draw_rotations = jax.jit(oblique.draw_rotations, static_argnums=1)
FACTOR = {"factor": np.float32(2)}


def test_one_view_along_the_axes_is_slice_by_slice():
    volume = np.random.default_rng(0).normal(size=(6, 8, 4)).astype(np.float32)

    def smoothed(_, slices):
        return slices + jax.numpy.roll(slices, 1, axis=1)

    padded = np.pad(volume, [(0, 0), (1, 0), (0, 0)])
    apply = make_multi_view(smoothed, {}, np.eye(3)[None], 4, pixel_mm=1.0, multiple=2)
    np.testing.assert_allclose(apply(volume, (1.0, 1.0, 1.0)), volume + padded[:, :-1], atol=1e-5)


@pytest.mark.parametrize(
    ("shape", "spacing"), [((24, 24, 24), (1.0, 1.0, 1.0)), ((9, 26, 22), (3.0, 1.0, 1.25))]
)
def test_turning_there_and_back_gives_a_smooth_volume_again(shape, spacing):
    volume = smooth_volume(shape, spacing)
    rotations = np.asarray(draw_rotations(jax.random.key(1), 3))
    found = make_multi_view(doubled, FACTOR, rotations, 8, pixel_mm=1.0)(volume, spacing)
    inside = tuple(slice(1, -1) for _ in shape)
    assert np.abs(found - 2 * volume)[inside].max() < 0.1
    assert np.corrcoef(found[inside].ravel(), volume[inside].ravel())[0, 1] > 0.995


def test_views_are_averaged():
    volume, spacing = smooth_volume((10, 12, 8), (1.0, 1.0, 1.0)), (1.0, 1.0, 1.0)
    rotations = np.asarray(draw_rotations(jax.random.key(2), 2))
    both = make_multi_view(doubled, FACTOR, rotations, 8, pixel_mm=1.0)(volume, spacing)
    each = [
        make_multi_view(doubled, FACTOR, rotations[k : k + 1], 8, pixel_mm=1.0)(volume, spacing)
        for k in (0, 1)
    ]
    np.testing.assert_allclose(both, np.mean(each, axis=0), atol=1e-6)


def test_every_voxel_is_predicted_by_every_view():
    def ones(_, slices):
        return jax.numpy.ones((*slices.shape, 2))

    rotations = np.asarray(draw_rotations(jax.random.key(4), 3))
    found = make_multi_view(ones, {}, rotations, 8, pixel_mm=2.0)(np.zeros((5, 9, 7)), (4.0, 2.0, 2.0))
    assert found.shape == (5, 9, 7, 2)
    np.testing.assert_allclose(found, 1, atol=1e-6)


@pytest.mark.parametrize(("data", "space"), [(4, 1), (2, 2)])
def test_all_devices_give_what_one_gives(replicate, data, space):
    volume, spacing = smooth_volume((7, 9, 8), (1.0, 1.0, 1.0)), (1.0, 1.0, 1.0)
    rotations = np.asarray(draw_rotations(jax.random.key(5), 2))

    def apply(variables):
        return make_multi_view(doubled, variables, rotations, 8, pixel_mm=1.0)(volume, spacing)

    np.testing.assert_allclose(apply(replicate(FACTOR, data, space)), apply(FACTOR), atol=1e-6)


def test_views_share_one_compilation():
    shapes = []

    def counted(_, slices):
        shapes.append(slices.shape)
        return slices

    rotations = np.asarray(draw_rotations(jax.random.key(6), 3))
    make_multi_view(counted, {}, rotations, 8, pixel_mm=1.0)(np.ones((6, 7, 5)), (1.0, 1.0, 1.0))
    assert len(set(shapes)) == 1
    assert len(shapes) <= 2


def test_refuses_what_is_no_volume_or_view():
    with pytest.raises(ValueError, match="views"):
        make_multi_view(doubled, FACTOR, np.zeros((0, 3, 3)), 4, pixel_mm=1.0)
    with pytest.raises(ValueError, match="three axes"):
        make_multi_view(doubled, FACTOR, np.eye(3)[None], 4, pixel_mm=1.0)(np.zeros((3, 4)), (1.0, 1.0, 1.0))
