"""Focal loss from logits, one value per example."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Num


def binary_focal(
    logits: Float[Array, "batch *sites"],
    labels: Num[Array, "batch ..."] | Bool[Array, "batch ..."],
    *,
    gamma: float = 2.0,
    alpha: float = 0.25,
) -> Float[Array, " batch"]:
    """Binary focal loss, averaged over everything but the batch.

    -a (1 - p)^gamma log p with p = sigma(z), a = alpha where the label is 1, and p = 1 - sigma(z),
    a = 1 - alpha where it is 0. With gamma 0 and alpha 1/2 it is half the cross-entropy. Computed in float32
    without forming 1 - p by subtraction, so that it and its gradient stay finite at any finite logit.

    Args:
        logits: (batch, *sites), for instance (batch, depth, height, width, 1).
        labels: the same shape; 0 or 1.
        gamma: how fast well classified sites lose weight, 0 or more.
        alpha: weight of sites of label 1, in [0, 1].

    Returns:
        (batch,), in nats.

    Raises:
        ValueError: the shapes differ.

    Reference: Lin et al., Focal loss for dense object detection, ICCV 2017, equation 5; gamma and alpha are
    those of its best model.
    """
    if logits.shape != labels.shape:
        raise ValueError(f"labels: shape {labels.shape}; wanted that of the logits, {logits.shape}")
    is_one = labels.astype(bool)
    towards = jnp.where(is_one, 1.0, -1.0) * logits.astype(jnp.float32)
    weight = jnp.where(is_one, alpha, 1 - alpha)
    values = -weight * jnp.exp(gamma * jax.nn.log_sigmoid(-towards)) * jax.nn.log_sigmoid(towards)
    return values.mean(axis=tuple(range(1, values.ndim)))
