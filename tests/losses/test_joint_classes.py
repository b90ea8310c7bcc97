import jax
import numpy as np
import scipy.special

from jaxmed.losses import joint_classes, overlap

joint_loss = jax.jit(joint_classes.joint_loss, static_argnums=(2, 3, 4))


def draw_logits():
    """Joint classes of a set of two, 1 and 2, and of one of three, 3 to 5."""
    rng = np.random.default_rng(0)
    return rng.normal(size=(2, 2, 4, 4, 6)).astype(np.float32), rng


def test_loss_of_a_set_is_dice_over_its_own_classes_of_the_joint_softmax():
    logits, rng = draw_logits()
    labels = rng.integers(0, 4, (2, 2, 4, 4)).astype(np.uint8)
    probabilities = scipy.special.softmax(logits, axis=-1)[..., [0, 3, 4, 5]]
    wanted = np.asarray(jax.jit(overlap.dice_loss)(probabilities, np.eye(4, dtype=np.float32)[labels]))
    np.testing.assert_allclose(joint_loss(logits, labels, 3, 3, "dice"), wanted, rtol=1e-6)
    joint = np.where(labels > 0, labels.astype(np.int32) + 2, 0)
    chosen = np.take_along_axis(scipy.special.log_softmax(logits, axis=-1), joint[..., None], axis=-1)
    wanted = wanted - chosen.mean(axis=(1, 2, 3, 4))
    np.testing.assert_allclose(joint_loss(logits, labels, 3, 3, "dice_ce"), wanted, rtol=1e-5)


def test_classes_that_a_patch_lacks_are_lowered():
    logits, _ = draw_logits()
    labels = np.zeros((2, 2, 4, 4), np.uint8)
    evaluate = jax.jit(jax.value_and_grad(lambda z: joint_loss(z, labels, 1, 2, "dice").sum()))
    value, slope = map(np.asarray, evaluate(logits))
    assert np.isfinite(value)
    # Along both at once: one alone may rise where it takes from the other.
    assert (slope[..., 1:3].sum(-1) > 0).all()
