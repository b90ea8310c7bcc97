import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import scipy.special

from jaxmed.active import scores

expected_model_change = jax.jit(scores.expected_model_change, static_argnums=2)
least_confidence, margin = jax.jit(scores.least_confidence), jax.jit(scores.margin)
UNIFORM = np.full((1, 4), 0.25, np.float32)
CERTAIN = np.array([[0, 0, 1, 0]], np.float32)


def test_scores_of_uniform_and_certain_probabilities():
    assert least_confidence(UNIFORM) == 0.75
    assert least_confidence(CERTAIN) == 0
    assert margin(UNIFORM) == 1
    assert margin(CERTAIN) == 0
    features = np.array([[3, 4]], np.float32)
    # |p - e_y|^2 = 0.75^2 + 3 * 0.25^2.
    expected = np.sqrt(0.75 * 26)
    for over in ("predicted", "expectation"):
        np.testing.assert_allclose(expected_model_change(UNIFORM, features, over), [expected], rtol=1e-6)
        np.testing.assert_allclose(expected_model_change(CERTAIN, features, over), [0], atol=1e-6)


def test_margin_is_between_the_two_most_probable():
    np.testing.assert_allclose(scores.margin(jnp.array([[0.1, 0.6, 0.3]]))[0], 0.7, rtol=1e-6)
    with pytest.raises(ValueError, match="two classes or more"):
        scores.margin(jnp.ones((3, 1)))


@pytest.mark.parametrize("over", ["predicted", "expectation"])
def test_model_change_is_the_norm_of_the_gradient_of_the_last_layer(over):
    generator = np.random.default_rng(0)
    features = generator.normal(size=(6, 5)).astype(np.float32)
    layer = {"w": generator.normal(size=(5, 3)), "b": generator.normal(size=3)}
    layer = jax.tree.map(np.float32, layer)

    def loss(layer, feature, label):
        return optax.softmax_cross_entropy_with_integer_labels(feature @ layer["w"] + layer["b"], label)

    def norm(feature, label):
        return optax.tree.norm(jax.grad(loss)(layer, feature, label))

    probabilities = scipy.special.softmax(features @ layer["w"] + layer["b"][None], axis=1)
    norms = jax.jit(jax.vmap(jax.vmap(norm, (None, 0)), (0, None)))(features, np.arange(3))
    if over == "predicted":
        expected = np.asarray(norms)[np.arange(6), probabilities.argmax(axis=1)]
    else:
        expected = np.sum(probabilities * norms, axis=1)
    found = expected_model_change(probabilities, features, over)
    np.testing.assert_allclose(found, expected, rtol=1e-5)
