"""Variational autoencoders, plain and with a flow along the Hamiltonian of a learned metric.

Models are called through their methods `encode`, `decode` and, with a metric, `squared_factors`, as those of
`jaxmed.models.vae` are. Batches hold `image` (batch, *shape) in [0, 1] and `weight` (batch,), 0 for padding.
"""

import itertools
from collections.abc import Callable
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
from flax import struct

from jaxmed.ops import riemannian, riemannian_sampling
from jaxmed.ops.example_keys import example_keys
from jaxmed.ops.riemannian import Metric
from jaxmed.train import guard, net
from jaxmed.train.fit import Algorithm
from jaxmed.types import Leaf, PyTree


class Flow(NamedTuple):
    """How a Riemannian Hamiltonian VAE moves its latents.

    Attributes:
        temperature: T of the metric.
        floor: lambda of the metric.
        num_leapfrog: steps along the Hamiltonian.
        step_size: their length.
        beta_zero_sqrt: the first momentum is divided by this, and cooled back to 1 on the way.
    """

    temperature: float
    floor: float
    num_leapfrog: int
    step_size: float
    beta_zero_sqrt: float


@struct.dataclass
class VariationalState:
    """One model.

    Attributes:
        step: number of updates so far.
        net: the network.
        best_params: parameters with the lowest training loss so far.
        best_loss: that loss.
        best_step: the number of updates when it was found.
    """

    step: Leaf
    net: net.NetState
    best_params: PyTree
    best_loss: Leaf
    best_step: Leaf


def variational(
    model: nn.Module, optimizer: optax.GradientTransformation, *, flow: Flow | None, patience: int
) -> Algorithm:
    """Minimises the negative evidence lower bound, and stops by itself.

    A model that has not lowered its loss for `patience` updates, or whose update is not finite, stays as it
    is; the best parameters are kept beside the last ones.

    Args:
        model: the autoencoder.
        optimizer: of all its parameters.
        flow: of a model with a metric; None for a plain VAE.
        patience: updates.

    Returns:
        An algorithm with a `VariationalState` and the metrics `loss` and `training`, 1 while it goes on.
    """
    bound: Callable = vae_loss if flow is None else riemannian_loss

    def loss_fn(params, batch_stats, batch, key):
        values = bound(model, params, batch["image"], key, *([] if flow is None else [batch["weight"], flow]))
        # A device's part of a small class may be padding alone.
        loss = (values * batch["weight"]).sum() / jnp.maximum(batch["weight"].sum(), 1.0)
        return loss, (batch_stats, {})

    def init(key, batch):
        network = net.init_net(model, optimizer, key, jnp.zeros(batch["image"].shape))
        zero = jnp.zeros((), jnp.int32)
        return VariationalState(zero, network, network.params, jnp.full((), 1e30), zero)

    def step(state, batch, key):
        new_net, loss, _ = net.update_net(state.net, optimizer, loss_fn, dict(batch), key)
        finite = guard.all_finite((new_net, loss))
        going_on = (state.step - state.best_step < patience) & finite
        better = going_on & (loss < state.best_loss)
        new = VariationalState(
            step=state.step + 1,
            net=_choose(going_on, new_net, state.net),
            best_params=_choose(better, state.net.params, state.best_params),
            best_loss=jnp.where(better, loss, state.best_loss),
            best_step=jnp.where(better, state.step, state.best_step),
        )
        return new, {"loss": jnp.where(finite, loss, state.best_loss), "training": going_on * 1.0}

    return Algorithm(init, step)


def _choose(condition: jax.Array, new: Any, old: Any) -> Any:
    return jax.tree.map(lambda a, b: jnp.where(condition, a, b), new, old)


def vae_loss(model: nn.Module, params: Any, images: jax.Array, key: jax.Array) -> jax.Array:
    """Negative evidence lower bound of every image, (batch,), with the KL divergence in closed form.

    Reference: Kingma and Welling, Auto-Encoding Variational Bayes, equation 10; Bernoulli likelihood.
    """
    mean, log_variance = _call(model, params, images, "encode")
    z = mean + jnp.exp(log_variance / 2) * _normal(key, mean)
    divergence = (jnp.square(mean) + jnp.exp(log_variance) - log_variance - 1).sum(axis=-1) / 2
    return divergence - _log_likelihood(model, params, images, z)


def riemannian_loss(
    model: nn.Module, params: Any, images: jax.Array, key: jax.Array, weight: jax.Array, flow: Flow
) -> jax.Array:
    """Negative bound of every image after a tempered flow along the Hamiltonian of the metric of the batch.

    -(log p(x | zK) + log N(zK; 0, I) + log N(pK; 0, G(zK)) - log N(e; 0, I) + sum(log variance) / 2).

    Reference: Chadebec et al., Geometry-Aware Hamiltonian Variational Auto-Encoder, section 3, as their code
    has it: without the density of the first momentum, with which the metric would nearly cancel. differs: the
    first momentum is drawn from N(0, G(z0)), as the density of the last one says, and not with the example's
    own factor.
    """
    key_latent, key_momentum = jax.random.split(key)
    mean, log_variance = _call(model, params, images, "encode")
    noise = _normal(key_latent, mean)
    z = mean + jnp.exp(log_variance / 2) * noise
    metric = batch_metric(model, params, images, weight, flow)
    momentum = _draw_momentum(metric, z, _normal(key_momentum, mean)) / flow.beta_zero_sqrt

    def energy(z, momentum):
        potential = jnp.square(z).sum(axis=-1) / 2 - _log_likelihood(model, params, images, z)
        kinetic = riemannian.kinetic_energy(metric, z, momentum)
        return potential + kinetic + riemannian.log_volume(metric, z)

    def advance(state, cooling):
        z, momentum = riemannian_sampling.implicit_leapfrog(energy, *state, step_size=flow.step_size)
        return (z, cooling * momentum), None

    betas = [tempering(flow, number) for number in range(flow.num_leapfrog + 1)]
    coolings = jnp.array([before / after for before, after in itertools.pairwise(betas)], z.dtype)
    (z, momentum), _ = jax.lax.scan(advance, (z, momentum), coolings)
    constant = noise.shape[-1] / 2 * jnp.log(2 * jnp.pi)
    return energy(z, momentum) + constant - (jnp.square(noise) + log_variance).sum(axis=-1) / 2


def tempering(flow: Flow, number: int) -> float:
    """Square root of beta after `number` leapfrog steps: quadratic, from beta_zero_sqrt to 1."""
    share = (number / flow.num_leapfrog) ** 2
    return 1 / ((1 - 1 / flow.beta_zero_sqrt) * share + 1 / flow.beta_zero_sqrt)


def batch_metric(model: nn.Module, params: Any, images: jax.Array, weight: jax.Array, flow: Flow) -> Metric:
    """The metric whose centroids are the latent means of `images`; those of weight 0 do not count."""
    mean, _ = _call(model, params, images, "encode")
    matrices = _call(model, params, images, "squared_factors")
    return Metric(mean, matrices * weight[:, None, None], flow.temperature, flow.floor)


def _draw_momentum(metric: Metric, z: jax.Array, noise: jax.Array) -> jax.Array:
    """C^-T e, which has the covariance G = (C C^T)^-1."""
    lower = jnp.linalg.cholesky(riemannian.inverse_metric(metric, z))
    solve = jax.scipy.linalg.solve_triangular
    return jax.vmap(lambda c, e: solve(c, e, lower=True, trans=1))(lower, noise)


def _log_likelihood(model: nn.Module, params: Any, images: jax.Array, z: jax.Array) -> jax.Array:
    """Bernoulli log likelihood, summed over pixels."""
    values = optax.sigmoid_binary_cross_entropy(_call(model, params, z, "decode"), images)
    return -values.reshape(len(values), -1).sum(axis=-1)


def _normal(key: jax.Array, like: jax.Array) -> jax.Array:
    """Standard normal rows, each with its example's key."""
    return jax.vmap(lambda k: jax.random.normal(k, like.shape[1:], like.dtype))(example_keys(key, len(like)))


def _call(model: nn.Module, params: Any, inputs: jax.Array, method: str) -> Any:
    return model.apply({"params": params}, inputs, method=method)
