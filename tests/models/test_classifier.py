import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from jaxmed.models.classifier import Classifier


class Mean(nn.Module):
    @nn.compact
    def __call__(self, x, *, train):
        return x.mean(axis=(1, 2))


def test_logits_are_the_last_layer_of_the_embedding():
    model = Classifier(Mean(), 3, hidden=(4,))
    images = jnp.asarray(np.random.default_rng(0).normal(size=(2, 5, 5, 6)), jnp.float32)
    variables = model.init(jax.random.key(0), images, train=False)
    embedding = model.apply(variables, images, method=Classifier.embed)
    assert embedding.shape == (2, 4)
    logits = model.apply(variables, images, train=False)
    np.testing.assert_array_equal(logits, model.apply(variables, embedding, method=Classifier.logits))
    # Linear layers without activations between them.
    params = variables["params"]
    hidden = images.mean(axis=(1, 2)) @ params["linear_0"]["kernel"]
    np.testing.assert_allclose(logits, hidden @ params["head"]["kernel"], rtol=1e-5, atol=1e-6)


def test_dropout_keeps_the_mean_and_differs_by_example():
    model = Classifier(Mean(), 2, dropout=0.25)
    images = jnp.ones((64, 1, 1, 400))
    variables = model.init(jax.random.key(0), images, train=False)
    rngs = {"dropout": jax.random.key(1)}
    dropped = model.apply(variables, images, train=True, method=Classifier.embed, rngs=rngs)
    assert abs(float(dropped.mean()) - 1) < 4 * np.sqrt(1 / 3 / dropped.size)
    assert not np.array_equal(dropped[0], dropped[1])
    np.testing.assert_array_equal(model.apply(variables, images, method=Classifier.embed), images[:, 0, 0])
