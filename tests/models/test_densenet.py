import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmed.models import densenet


def count(model, shape):
    variables = jax.eval_shape(lambda: model.init(jax.random.key(0), jnp.zeros((1, *shape)), train=False))
    return sum(leaf.size for leaf in jax.tree.leaves(variables["params"]))


def test_parameter_counts():
    assert count(densenet.DenseNet(10), (32, 32, 3)) == 769_162
    assert count(densenet.DenseNet(10, growth=10, depth=20), (28, 28, 1)) == 30_810


def test_normalises_by_batch_in_training_only():
    model = densenet.DenseNet(3, growth=2, depth=10)
    images = np.random.default_rng(0).normal(size=(4, 8, 9, 1)).astype(np.float32)
    variables = jax.jit(model.init, static_argnames="train")(jax.random.key(0), images, train=False)
    apply = jax.jit(model.apply, static_argnames=("train", "mutable"))
    logits = apply(variables, images, train=False)
    assert logits.shape == (4, 3)
    others = images.copy()
    others[1:] = 7
    found = apply(variables, others, train=False)
    np.testing.assert_allclose(found[0], logits[0], rtol=1e-4, atol=1e-5)
    _, mutated = apply(variables, images, train=True, mutable=("batch_stats",))
    assert any(
        not np.array_equal(old, new)
        for old, new in zip(
            jax.tree.leaves(variables["batch_stats"]), jax.tree.leaves(mutated["batch_stats"]), strict=True
        )
    )


@pytest.mark.parametrize(("depth", "size", "message"), [(9, 8, "10 or more"), (10, 3, "4 pixels")])
def test_refuses_what_does_not_fit(depth, size, message):
    with pytest.raises(ValueError, match=message):
        count(densenet.DenseNet(2, depth=depth), (size, size, 1))
