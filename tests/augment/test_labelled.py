import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmed.augment import labelled

augment_labelled = jax.jit(
    labelled.augment_labelled, static_argnums=4, static_argnames=("max_degrees", "max_scale", "strength")
)
NOTHING = {"max_degrees": 0.0, "max_scale": 1.0, "strength": 0.0}
SOMETHING = {"max_degrees": 20.0, "max_scale": 1.1, "strength": 0.1}


def examples(shape):
    """Two levels, so that labels can be told from the image."""
    labels = np.random.default_rng(0).integers(0, 2, (4, *shape)).astype(np.int8)
    return jnp.asarray(2.0 * labels - 1, jnp.float32), jnp.asarray(labels)


@pytest.mark.parametrize("shape", [(6, 6), (5, 6, 7)])
def test_flips_take_image_and_label_along(shape):
    spacing = None if len(shape) == 2 else jnp.ones((4, 3))
    images, labels = examples(shape)
    moved, told = augment_labelled(jax.random.key(3), images, labels, spacing, -1, **NOTHING)
    np.testing.assert_allclose(moved, 2.0 * np.asarray(told) - 1, atol=1e-4)
    assert not np.array_equal(told, labels)


@pytest.mark.parametrize("shape", [(12, 12), (8, 8, 8)])
def test_everything_changes_but_the_labels_values(shape):
    spacing = None if len(shape) == 2 else jnp.ones((4, 3))
    images, labels = examples(shape)
    moved, told = augment_labelled(jax.random.key(4), images, labels, spacing, -1, **SOMETHING)
    assert moved.shape == images.shape
    assert told.dtype == labels.dtype
    assert set(np.unique(told)) <= {-1, 0, 1}
    assert np.isfinite(moved).all()
    again, _ = augment_labelled(jax.random.key(5), images, labels, spacing, -1, **SOMETHING)
    assert not np.allclose(moved, again)
