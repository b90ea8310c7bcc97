import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxmed.active import scores

UNIFORM = jnp.full((1, 4), 0.25)
CERTAIN = jnp.array([[0.0, 0.0, 1.0, 0.0]])


def test_scores_of_uniform_and_certain_probabilities():
    assert scores.least_confidence(UNIFORM)[0] == 0.75
    assert scores.least_confidence(CERTAIN)[0] == 0
    assert scores.margin(UNIFORM)[0] == 1
    assert scores.margin(CERTAIN)[0] == 0
    features = jnp.array([[3.0, 4.0]])
    # |p - e_y|^2 = 0.75^2 + 3 * 0.25^2.
    expected = np.sqrt(0.75 * 26)
    for over in ("predicted", "expectation"):
        np.testing.assert_allclose(
            scores.expected_model_change(UNIFORM, features, over)[0], expected, rtol=1e-6
        )
        np.testing.assert_allclose(scores.expected_model_change(CERTAIN, features, over)[0], 0, atol=1e-6)


def test_margin_is_between_the_two_most_probable():
    np.testing.assert_allclose(scores.margin(jnp.array([[0.1, 0.6, 0.3]]))[0], 0.7, rtol=1e-6)
    with pytest.raises(ValueError, match="two classes or more"):
        scores.margin(jnp.ones((3, 1)))


@pytest.mark.parametrize("over", ["predicted", "expectation"])
def test_model_change_is_the_norm_of_the_gradient_of_the_last_layer(over):
    generator = np.random.default_rng(0)
    features = jnp.asarray(generator.normal(size=(6, 5)), jnp.float32)
    layer = {"w": generator.normal(size=(5, 3)), "b": generator.normal(size=3)}
    layer = jax.tree.map(jnp.float32, layer)

    def loss(layer, feature, label):
        return optax.softmax_cross_entropy_with_integer_labels(feature @ layer["w"] + layer["b"], label)

    def norm(feature, label):
        return optax.tree.norm(jax.grad(loss)(layer, feature, label))

    probabilities = jax.nn.softmax(features @ layer["w"] + layer["b"][None])
    norms = jax.vmap(lambda feature: jax.vmap(lambda label: norm(feature, label))(jnp.arange(3)))(features)
    if over == "predicted":
        expected = norms[jnp.arange(6), probabilities.argmax(axis=1)]
    else:
        expected = jnp.sum(probabilities * norms, axis=1)
    found = scores.expected_model_change(probabilities, features, over)
    np.testing.assert_allclose(found, expected, rtol=1e-5)
