import jax
import jax.numpy as jnp

from jaxmed.models import perceptron


def test_flattens_and_counts():
    model = perceptron.Perceptron(3, widths=(5, 4))
    variables = jax.eval_shape(lambda: model.init(jax.random.key(0), jnp.zeros((2, 6, 7, 1)), train=False))
    sizes = sum(leaf.size for leaf in jax.tree.leaves(variables))
    assert sizes == (42 * 5 + 5) + (5 * 4 + 4) + (4 * 3 + 3)
    logits = jax.eval_shape(lambda v: model.apply(v, jnp.zeros((2, 6, 7, 1)), train=True), variables)
    assert logits.shape == (2, 3)
