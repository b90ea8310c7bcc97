import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmed.losses import cross_entropy

binary_cross_entropy = jax.jit(cross_entropy.binary_cross_entropy)
softmax_cross_entropy = jax.jit(cross_entropy.softmax_cross_entropy)


def test_equals_the_definition():
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(3, 4, 5, 1)).astype(np.float32)
    labels = rng.uniform(size=logits.shape).astype(np.float32)
    probability = 1 / (1 + np.exp(-logits.astype(np.float64)))
    terms = -labels * np.log(probability) - (1 - labels) * np.log(1 - probability)
    values = binary_cross_entropy(logits, labels)
    np.testing.assert_allclose(values, terms.mean((1, 2, 3)), rtol=1e-5)


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.int32, jnp.bool_])
def test_zero_logits_cost_log_two(dtype):
    labels = np.array([[0, 1], [1, 1]]).astype(dtype)
    values = binary_cross_entropy(np.zeros((2, 2), np.float32), labels)
    np.testing.assert_allclose(values, np.log(2), rtol=1e-6)


def test_huge_logits_stay_finite_and_keep_their_gradient():
    logits = np.array([[1e4], [-1e4], [1e4], [-1e4]], np.float32)
    labels = np.array([[0], [1], [1], [0]], np.float32)
    values = binary_cross_entropy(logits, labels)
    np.testing.assert_allclose(values, [1e4, 1e4, 0, 0])
    gradient = jax.jit(jax.grad(lambda z: binary_cross_entropy(z, labels).sum()))(logits)
    np.testing.assert_allclose(np.asarray(gradient)[:, 0], [1, -1, 0, 0])


def test_bfloat16_logits_are_averaged_in_float32():
    logits = np.ones((1, 1000), jnp.bfloat16)
    values = binary_cross_entropy(logits, np.zeros((1, 1000), np.float32))
    assert values.dtype == jnp.float32
    np.testing.assert_allclose(values, np.log1p(np.e), rtol=1e-6)


def test_refuses_labels_that_would_broadcast():
    with pytest.raises(ValueError, match="labels"):
        cross_entropy.binary_cross_entropy(jnp.zeros((2, 4, 4, 1)), jnp.zeros((2, 4, 4)))


def test_softmax_cross_entropy_is_the_logarithm_of_the_probability():
    logits = np.array([[1, 2, 0.5], [0, 0, 0]], np.float32)
    found = softmax_cross_entropy(logits, np.array([1, 2], np.int32))
    probability = np.exp(2) / (np.exp(1) + np.exp(2) + np.exp(0.5))
    np.testing.assert_allclose(found, [-np.log(probability), np.log(3)], rtol=1e-6)


def test_softmax_cross_entropy_of_a_volume_is_the_mean_over_its_voxels():
    rng = np.random.default_rng(0)
    logits, labels = rng.normal(size=(2, 3, 4, 5, 6)).astype(np.float32), rng.integers(0, 6, (2, 3, 4, 5))
    found = softmax_cross_entropy(logits, labels.astype(np.int32))
    voxels = np.asarray(softmax_cross_entropy(logits.reshape(-1, 6), labels.ravel().astype(np.int32)))
    np.testing.assert_allclose(found, voxels.reshape(2, -1).mean(1), rtol=1e-5)


def test_mask_says_what_is_averaged_and_nothing_else_has_a_gradient():
    rng = np.random.default_rng(1)
    logits = rng.normal(size=(2, 5, 1)).astype(np.float32)
    labels = rng.integers(0, 2, (2, 5, 1)).astype(np.float32)
    mask = np.array([[1, 0, 0, 1, 0], [0, 1, 0, 0, 0]], bool)[..., None]
    known = jnp.asarray(labels), jnp.asarray(mask)

    @jax.jit
    def loss(z):
        return cross_entropy.masked_binary_cross_entropy(z, *known)

    for example, kept in enumerate(([0, 3], [1])):
        some = binary_cross_entropy(logits[example : example + 1, kept], labels[example : example + 1, kept])
        np.testing.assert_allclose(np.asarray(loss(logits))[example], np.asarray(some)[0], rtol=1e-6)
    gradient = jax.jit(jax.grad(lambda z: loss(z).sum()))(logits)
    np.testing.assert_array_equal(np.asarray(gradient) != 0, mask)


def test_example_without_annotation_costs_nothing():
    def loss(z):
        return cross_entropy.masked_binary_cross_entropy(
            z, jnp.full((1, 4), -1), jnp.zeros((1, 4), bool)
        ).sum()

    value, gradient = jax.jit(jax.value_and_grad(loss))(np.full((1, 4), 1e4, np.float32))
    assert value == 0
    assert not np.asarray(gradient).any()


def test_refuses_masks_that_would_broadcast():
    with pytest.raises(ValueError, match="mask"):
        cross_entropy.masked_binary_cross_entropy(
            jnp.zeros((2, 4)), jnp.zeros((2, 4)), jnp.zeros((2, 1), bool)
        )
