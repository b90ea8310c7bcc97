"""The Dice loss on masks whose overlap is counted by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmed.losses import overlap
from jaxmed.metrics import overlap as overlap_metrics


def masks(*rows):
    """Each row is an example of one class."""
    return jnp.asarray(rows, jnp.float32)[..., None]


def test_values_by_hand():
    predicted = masks([1, 1, 0, 0], [1, 1, 1, 1], [0, 0, 0, 0], [0, 0, 0, 0])
    target = masks([0, 1, 1, 0], [0, 0, 0, 0], [0, 0, 0, 0], [1, 0, 0, 0])
    # 1 - (2 * 1 + 1) / (4 + 1), 1 - 1 / 5, 1 - 1 / 1, 1 - 1 / 2.
    np.testing.assert_allclose(overlap.dice_loss(predicted, target), [0.4, 0.8, 0.0, 0.5], rtol=1e-6)


def test_is_the_dice_coefficient_of_masks_as_smoothing_vanishes():
    rng = np.random.default_rng(0)
    first, second = rng.integers(0, 2, (2, 3, 4, 5))
    found = overlap.dice_loss(
        jnp.asarray(first[None, ..., None], jnp.float32), jnp.asarray(second[None, ..., None]), smooth=1e-6
    )
    assert float(found[0]) == pytest.approx(1 - overlap_metrics.dice(first, second), rel=1e-4)


def test_classes_are_averaged():
    one, two = masks([1, 0, 0]), masks([0, 1, 1])
    other = masks([1, 1, 0])
    both = overlap.dice_loss(jnp.concatenate([one, two], -1), jnp.concatenate([other, other], -1))
    parts = [overlap.dice_loss(x, other) for x in (one, two)]
    np.testing.assert_allclose(both, (parts[0] + parts[1]) / 2, rtol=1e-6)


def test_gradient_lowers_a_class_that_is_not_there():
    slope = jax.grad(lambda p: overlap.dice_loss(p, jnp.zeros_like(p)).sum())(jnp.full((1, 4, 1), 0.25))
    # d/dp of 1 - 1 / (sum p + 1) is 1 / (sum p + 1)^2.
    np.testing.assert_allclose(slope, 0.25, rtol=1e-6)


def test_other_shapes_are_refused():
    with pytest.raises(ValueError, match="targets: shape"):
        overlap.dice_loss(jnp.zeros((1, 2, 3)), jnp.zeros((1, 2, 2)))
