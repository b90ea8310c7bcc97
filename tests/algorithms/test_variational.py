import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxmed.algorithms import variational
from jaxmed.models.vae import VAE, RiemannianVAE
from jaxmed.ops import riemannian

FLOW = variational.Flow(1.5, 1e-3, 3, 0.01, 0.3)
SHAPE = (4, 4, 1)


def make_images(count=8, seed=0):
    return jnp.asarray(np.random.default_rng(seed).uniform(size=(count, *SHAPE)), jnp.float32)


@functools.partial(jax.jit, static_argnums=0)
def init(model, key, images):
    return model.init(key, images, train=False)["params"]


apply = jax.jit(VAE.apply, static_argnums=0, static_argnames="method")
batch_metric = jax.jit(variational.batch_metric, static_argnums=(0, 4))
inverse_metric = jax.jit(riemannian.inverse_metric)


@pytest.fixture(scope="module")
def riemannian_model():
    model = RiemannianVAE(SHAPE, num_latents=2, hidden=6)
    return model, init(model, jax.random.key(0), make_images())


def test_vae_bound_equals_the_bound_estimated_from_densities():
    """KL in closed form: averaged over draws it is E log q - log p."""
    model = VAE(SHAPE, num_latents=2, hidden=6)
    images = make_images(2)
    params = init(model, jax.random.key(1), images)
    loss = jax.jit(jax.vmap(lambda key: variational.vae_loss(model, params, images, key)))
    values = np.asarray(loss(jax.random.split(jax.random.key(2), 4000)))
    mean, log_variance = map(np.asarray, apply(model, {"params": params}, images, method="encode"))
    noise = np.random.default_rng(3).normal(size=(4000, *mean.shape))
    z = mean + np.exp(log_variance / 2) * noise
    latents = z.reshape(-1, 2).astype(np.float32)
    decoded = np.asarray(apply(model, {"params": params}, latents, method="decode")).reshape(4000, 2, -1)
    x = np.asarray(images).reshape(2, -1)
    log_x = (x * decoded - np.logaddexp(0, decoded)).sum(-1)
    log_q = (-(noise**2) / 2 - log_variance / 2).sum(-1)
    log_p = (-(z**2) / 2).sum(-1)
    np.testing.assert_allclose(values.mean(0), (log_q - log_p - log_x).mean(0), rtol=0.01)


def test_tempering_ends_at_one():
    betas = [variational.tempering(FLOW, number) for number in range(4)]
    np.testing.assert_allclose([betas[0], betas[3]], [0.3, 1.0])
    assert betas == sorted(betas)


def test_without_a_flow_the_bound_is_known(riemannian_model):
    """Steps of length 0: the momentum's energy is that of its standard normal noise over beta zero."""
    model, params = riemannian_model
    flow = FLOW._replace(step_size=0.0)
    images, key = make_images(), jax.random.key(4)

    @jax.jit
    def both(params, images, key, weight):
        values = variational.riemannian_loss(model, params, images, key, weight, flow)
        key_latent, key_momentum = jax.random.split(key)
        noise, gamma = (variational._normal(k, jnp.zeros((8, 2))) for k in (key_latent, key_momentum))
        mean, log_variance = model.apply({"params": params}, images, method="encode")
        z = mean + jnp.exp(log_variance / 2) * noise
        metric = variational.batch_metric(model, params, images, weight, flow)
        expected = (
            -variational._log_likelihood(model, params, images, z)
            + jnp.square(z).sum(-1) / 2
            # Cooling by beta zero takes back the division by it.
            + jnp.square(gamma).sum(-1) / 2
            + riemannian.log_volume(metric, z)
            + jnp.log(2 * jnp.pi)
            - (jnp.square(noise) + log_variance).sum(-1) / 2
        )
        return values, expected

    np.testing.assert_allclose(*both(params, images, key, np.ones(8, np.float32)), rtol=1e-4)


def test_momentum_has_the_covariance_of_the_metric(riemannian_model):
    model, params = riemannian_model
    metric = batch_metric(model, params, make_images(), np.ones(8, np.float32), FLOW)
    z = np.tile(np.asarray(metric.centroids)[:1], (20_000, 1))
    noise = np.random.default_rng(5).normal(size=z.shape).astype(np.float32)
    momentum = jax.jit(variational._draw_momentum)(metric, z, noise)
    covariance = np.linalg.inv(np.asarray(inverse_metric(metric, z[:1]))[0])
    np.testing.assert_allclose(np.cov(np.asarray(momentum).T), covariance, rtol=0.05, atol=0.02)


def test_padding_does_not_count(riemannian_model):
    model, params = riemannian_model
    weight = np.array([1] * 5 + [0] * 3, np.float32)
    changed = np.array(make_images())
    changed[5:] = 0.7
    metrics = [batch_metric(model, params, images, weight, FLOW) for images in (make_images(), changed)]
    first, second = (inverse_metric(metric, np.zeros((1, 2), np.float32)) for metric in metrics)
    np.testing.assert_allclose(first, second, rtol=1e-6)


@pytest.mark.parametrize(
    "flow",
    [
        pytest.param(None, id="vae"),
        # What is kept and when it stops is decided outside the loss.
        pytest.param(FLOW._replace(num_leapfrog=1), id="rhvae", marks=pytest.mark.exhaustive),
    ],
)
def test_keeps_the_best_and_stops(flow):
    kind = VAE if flow is None else RiemannianVAE
    # A learning rate that throws the model about: its best is not its last.
    algorithm = variational.variational(
        kind(SHAPE, num_latents=2, hidden=6), optax.adam(0.3), flow=flow, patience=3
    )
    batch = {"image": make_images(), "weight": jnp.ones(8)}
    state = jax.jit(algorithm.init)(jax.random.key(0), batch)
    step = jax.jit(algorithm.step)
    history, losses = [], []
    for number in range(25):
        history.append(state.net.params)
        state, metrics = step(state, batch, jax.random.key(number))
        losses.append(float(metrics["loss"]))
    best = int(state.best_step)
    assert losses[best] == float(state.best_loss) == min(losses[: best + 4])
    jax.tree.map(np.testing.assert_array_equal, state.best_params, history[best])
    assert float(metrics["training"]) == (24 - best < 3)
    assert int(state.step) == 25


def test_a_step_that_is_not_finite_is_not_taken():
    algorithm = variational.variational(
        VAE(SHAPE, num_latents=2, hidden=6), optax.adam(1e-2), flow=None, patience=3
    )
    batch = {"image": make_images().at[0].set(jnp.nan), "weight": jnp.ones(8)}
    state = jax.jit(algorithm.init)(jax.random.key(0), batch)
    after, metrics = jax.jit(algorithm.step)(state, batch, jax.random.key(1))
    jax.tree.map(np.testing.assert_array_equal, after.net, state.net)
    assert np.isfinite(float(metrics["loss"]))


def test_with_64_bits_all_is_computed_in_them():
    """By shapes; that numbers in 64 bits are finite: tests/experiments/rhvae/test_training.py."""
    with jax.enable_x64(True):
        model = RiemannianVAE(SHAPE, num_latents=2, hidden=6)
        algorithm = variational.variational(model, optax.adam(1e-3), flow=FLOW, patience=5)
        batch = {"image": make_images(), "weight": jnp.ones(8, jnp.float32)}
        state = jax.eval_shape(algorithm.init, jax.random.key(0), batch)
        state, metrics = jax.eval_shape(algorithm.step, state, batch, jax.random.key(1))
        kinds = {leaf.dtype for leaf in jax.tree.leaves((state, metrics))}
        assert kinds == {jnp.dtype("float64"), jnp.dtype("int32")}
