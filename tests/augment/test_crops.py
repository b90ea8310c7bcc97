import jax
import jax.numpy as jnp
import numpy as np

from jaxmed.augment import crops

draw_crop = jax.jit(crops.draw_crop, static_argnums=(1, 2), static_argnames="flip_probability")


def test_all_places_and_both_sides_occur_equally_often():
    draw = jax.tree.map(np.asarray, draw_crop(jax.random.key(0), 6000, (2, 1), flip_probability=0.25))
    places = np.bincount(draw.start[:, 0] * 2 + draw.start[:, 1], minlength=6)
    # A sixth of 6000 each; standard deviation 29.
    assert np.abs(places - 1000).max() < 4 * 29
    assert abs(int(draw.flip_width.sum()) - 1500) < 4 * 34
    first = draw_crop(jax.random.key(0), 3, (2, 1), flip_probability=0.25)
    np.testing.assert_array_equal(first.start, draw.start[:3])


def test_crops_are_parts_of_the_images():
    images = np.arange(2 * 5 * 4 * 3, dtype=np.int32).reshape(2, 5, 4, 3)
    draw = crops.CropDraw(jnp.array([[2, 0], [0, 1]]), jnp.array([False, True]))
    apply = jax.jit(crops.apply_crop, static_argnums=2)
    found = np.asarray(apply(images, draw, (3, 3)))
    np.testing.assert_array_equal(found[0], images[0, 2:5, 0:3])
    np.testing.assert_array_equal(found[1], images[1, 0:3, 1:4][:, ::-1])
    np.testing.assert_array_equal(apply(images[..., 0], draw, (3, 3)), found[..., 0])


def test_centre_of_padded_images_is_the_images():
    images = jnp.asarray(np.arange(2 * 5 * 4 * 3, dtype=np.int32).reshape(2, 5, 4, 3))
    padded = crops.pad_images(images, 2)
    assert padded.shape == (2, 9, 8, 3)
    assert int(padded.sum()) == int(images.sum())
    np.testing.assert_array_equal(crops.crop_centre(padded, (5, 4)), images)
    np.testing.assert_array_equal(crops.crop_centre(images[..., 0], (2, 3)), images[:, 1:3, 0:3, 0])
