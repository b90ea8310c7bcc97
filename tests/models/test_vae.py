import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmed.models import vae


def count(model, shape=(28, 28)):
    variables = jax.eval_shape(lambda: model.init(jax.random.key(0), jnp.zeros((1, *shape)), train=False))
    return sum(leaf.size for leaf in jax.tree.leaves(variables))


@pytest.mark.parametrize(
    ("model", "shape", "latents", "wanted"),
    [
        (vae.VAE, (28, 28), 2, 631_188),
        (vae.VAE, (28, 28), 10, 640_804),
        (vae.RiemannianVAE, (28, 28), 2, 946_391),
        (vae.RiemannianVAE, (28, 28), 10, 976_859),
        (vae.VAE, (208, 176), 10, 29_335_828),
        (vae.RiemannianVAE, (208, 176), 10, 44_001_483),
    ],
)
def test_parameter_counts(model, shape, latents, wanted):
    assert count(model(shape, latents), shape) == wanted


def test_outputs_have_the_shape_of_images_and_factors_are_positive():
    model = vae.RiemannianVAE((4, 3, 1), num_latents=3, hidden=5)
    images = jnp.asarray(np.random.default_rng(0).uniform(size=(6, 4, 3, 1)), jnp.float32)
    variables = jax.jit(model.init, static_argnames="train")(jax.random.key(0), images, train=False)
    apply = jax.jit(model.apply, static_argnames=("train", "method"))
    logits, factors = apply(variables, images, train=False)
    assert logits.shape == images.shape
    np.testing.assert_allclose(factors, np.swapaxes(factors, 1, 2), rtol=1e-6)
    assert np.linalg.eigvalsh(np.asarray(factors, np.float64)).min() > 0
    mean, log_variance = apply(variables, images, method="encode")
    assert mean.shape == log_variance.shape == (6, 3)
    np.testing.assert_allclose(apply(variables, mean, method="decode"), logits, rtol=1e-5)
