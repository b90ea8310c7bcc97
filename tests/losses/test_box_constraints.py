"""Tightness, size and emptiness against sums written out by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmed.losses import box_constraints
from jaxmed.ops import boxes as box_ops

BOX = jnp.array([[1, 2, 6, 9]])
"""5 rows, 7 columns."""


tightness = jax.jit(box_constraints.tightness, static_argnames=("stripe", "pixel_area"))
box_size = jax.jit(box_constraints.box_size, static_argnames=("shares", "pixel_area"))
emptiness, background_cross_entropy = map(
    jax.jit, (box_constraints.emptiness, box_constraints.background_cross_entropy)
)


def psi(z, t=5.0):
    return -np.log(-z) / t if z <= -1 / t**2 else t * z + (np.log(t**2) + 1) / t


def uniform(value, shape=(1, 8, 12)):
    return jnp.full(shape, value, jnp.float32)


def test_every_stripe_counts_with_its_own_width():
    """Rows: two stripes of 2 x 7 and one of 1 x 7; columns: two of 5 x 3 and one of 5 x 1."""
    found = tightness(uniform(0.1), BOX, 5.0, stripe=2)
    rows = 2 * psi(2 - 1.4) + psi(1 - 0.7)
    columns = 3 * psi(2 - 1.0) + psi(1 - 0.5)
    np.testing.assert_allclose(found, [rows + columns], rtol=1e-5)


def test_a_cross_through_the_box_is_tight_with_stripes_of_one():
    cross = np.zeros((1, 8, 12), np.float32)
    cross[0, 1:6, 4] = 1
    cross[0, 3, 2:9] = 1
    values = tightness(jnp.asarray(cross), BOX, 5.0, stripe=1)
    # 4 rows and 6 columns have exactly 1, the fourth row 7 and the fifth column 5.
    np.testing.assert_allclose(values, [10 * psi(0) + psi(-6) + psi(-4)], rtol=1e-5)


def test_what_lies_outside_does_not_help():
    inside = box_ops.fill_boxes(BOX, (8, 12))
    everywhere, within = uniform(0.3), jnp.where(inside, 0.3, 0.0)
    for stripe in (2, 20):
        np.testing.assert_array_equal(
            tightness(everywhere, BOX, 5.0, stripe=stripe),
            tightness(within, BOX, 5.0, stripe=stripe),
        )


def test_a_box_that_is_too_wide_is_punished_and_a_tight_one_not():
    """With a sharp barrier: the object fills its own box, and a wider one has rows without any of it."""
    probabilities = box_ops.fill_boxes(BOX, (8, 12)).astype(jnp.float32)
    wide = jnp.array([[0, 2, 8, 9]])
    tight, loose = (float(tightness(probabilities, box, 500.0, stripe=1)[0]) for box in (BOX, wide))
    assert tight < 0
    assert loose > 3 * 490


def test_size_between_two_shares():
    """Area 35, bounds 17.5 and 31.5; 96 pixels."""
    for value in (0.1, 0.5):
        found = box_size(uniform(value), BOX, 5.0, shares=(0.5, 0.9))
        wanted = (psi(17.5 - 96 * value) + psi(96 * value - 31.5)) / 96
        np.testing.assert_allclose(found, [wanted], rtol=1e-5)


def test_a_coarse_image_has_the_losses_of_the_fine_one():
    """Pixels of 4 fine ones each: stripes half as wide, sums a fourth. Bounds are widths, not areas."""
    coarse = jnp.asarray(np.random.default_rng(2).uniform(size=(1, 8, 12)), jnp.float32)
    fine = jnp.repeat(jnp.repeat(coarse, 2, axis=1), 2, axis=2)
    found = box_size(coarse, BOX, 5.0, shares=(0.5, 0.9), pixel_area=4.0)
    np.testing.assert_allclose(found, box_size(fine, 2 * BOX, 5.0, shares=(0.5, 0.9)), rtol=1e-5)
    for t in (5.0, 50.0):
        found = tightness(coarse, BOX, t, stripe=1, pixel_area=4.0)
        np.testing.assert_allclose(found, tightness(fine, 2 * BOX, t, stripe=2), rtol=1e-5)


def test_size_pulls_towards_its_bounds():
    slope = jax.grad(lambda p: box_size(p, BOX, 50.0, shares=(0.5, 0.9)).sum())
    assert (slope(uniform(0.05)) < 0).all()
    assert (slope(uniform(0.9)) > 0).all()


def test_emptiness_is_the_linear_part_of_the_barrier():
    """61 pixels lie outside."""
    found = emptiness(uniform(0.5), BOX, 5.0)
    np.testing.assert_allclose(found, [psi(30.5) / 96], rtol=1e-5)
    slope = jax.grad(lambda p: emptiness(p, BOX, 5.0).sum())(uniform(0.5))[0]
    outside = ~box_ops.fill_boxes(BOX, (8, 12))[0]
    np.testing.assert_allclose(slope, np.where(outside, 5 / 96, 0), rtol=1e-6)


def test_background_cross_entropy_sees_the_outside_only():
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(1, 8, 12)).astype(np.float32)
    outside = ~np.asarray(box_ops.fill_boxes(BOX, (8, 12)))
    wanted = -np.log(1 - 1 / (1 + np.exp(-logits[outside]))).mean()
    np.testing.assert_allclose(background_cross_entropy(jnp.asarray(logits), BOX), [wanted], rtol=1e-5)


def test_an_empty_box_asks_for_an_empty_image():
    empty, probabilities = jnp.zeros((1, 4), jnp.int32), uniform(0.4)
    np.testing.assert_array_equal(tightness(probabilities, empty, 5.0, stripe=2), 0)
    np.testing.assert_array_equal(box_size(probabilities, empty, 5.0, shares=(0.5, 0.9)), 0)
    np.testing.assert_allclose(emptiness(probabilities, empty, 5.0), [psi(0.4 * 96) / 96], rtol=1e-5)
    cross_entropy = background_cross_entropy(jnp.zeros((1, 8, 12)), empty)
    np.testing.assert_allclose(cross_entropy, [np.log(2)], rtol=1e-6)


def test_a_box_over_the_whole_image_leaves_no_outside():
    whole = jnp.array([[0, 0, 8, 12]])
    np.testing.assert_array_equal(background_cross_entropy(uniform(3.0), whole), 0)


def test_examples_do_not_meet():
    rng = np.random.default_rng(1)
    probabilities = jnp.asarray(rng.uniform(size=(3, 8, 12)), jnp.float32)
    boxes = jnp.array([[1, 2, 6, 9], [0, 0, 8, 12], [3, 3, 4, 5]])
    together = tightness(probabilities, boxes, 5.0, stripe=2)
    alone = [tightness(probabilities[i : i + 1], boxes[i : i + 1], 5.0, stripe=2)[0] for i in range(3)]
    np.testing.assert_allclose(together, alone, rtol=1e-6)


def test_refuses_what_makes_no_sense():
    with pytest.raises(ValueError, match="stripe is 0"):
        box_constraints.tightness(uniform(0.1), BOX, 5.0, stripe=0)
    with pytest.raises(ValueError, match="shares"):
        box_constraints.box_size(uniform(0.1), BOX, 5.0, shares=(0.9, 0.5))
