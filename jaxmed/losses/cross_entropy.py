"""Cross-entropies from logits, one value per example."""

import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float, Int, Num


def binary_cross_entropy(
    logits: Float[Array, "batch *sites"], labels: Num[Array, "batch ..."] | Bool[Array, "batch ..."]
) -> Float[Array, " batch"]:
    """Binary cross-entropy, averaged over everything but the batch.

    -y log sigma(z) - (1 - y) log(1 - sigma(z)) for logit z and label y, computed in float32 from the logits
    without forming sigma, so that it stays finite and keeps its gradient at any finite logit.

    Args:
        logits: (batch, *sites), for instance (batch, height, width, 1).
        labels: the same shape; 0 or 1, or probabilities in between.

    Returns:
        (batch,), in nats.

    Raises:
        ValueError: the shapes differ.
    """
    if logits.shape != labels.shape:
        raise ValueError(f"labels: shape {labels.shape}; wanted that of the logits, {logits.shape}")
    values = optax.sigmoid_binary_cross_entropy(logits.astype(jnp.float32), labels)
    return values.mean(axis=tuple(range(1, values.ndim)))


def masked_binary_cross_entropy(
    logits: Float[Array, "batch *sites"],
    labels: Num[Array, "batch ..."] | Bool[Array, "batch ..."],
    mask: Bool[Array, "batch ..."],
) -> Float[Array, " batch"]:
    """Binary cross-entropy of the elements that a mask names, averaged over these.

    Elements outside the mask have no influence on the value, and a gradient of exactly 0. An example without
    any element in the mask has the loss 0.

    Args:
        logits: (batch, *sites).
        labels: the same shape; 0 or 1, or probabilities in between; of any finite value outside the mask.
        mask: the same shape; what is annotated.

    Returns:
        (batch,), in nats.

    Raises:
        ValueError: the shapes differ.

    Reference: Laprade et al., How Few Annotations are Needed for Segmentation Using a Multi-planar U-Net?,
    section 2.
    """
    if not logits.shape == labels.shape == mask.shape:
        raise ValueError(
            f"labels: shape {labels.shape}, mask: {mask.shape}; wanted that of the logits, {logits.shape}"
        )
    axes = tuple(range(1, logits.ndim))
    values = optax.sigmoid_binary_cross_entropy(logits.astype(jnp.float32), labels)
    return jnp.where(mask, values, 0).sum(axes) / jnp.maximum(mask.sum(axes), 1)


def softmax_cross_entropy(
    logits: Float[Array, "batch *sites classes"], labels: Int[Array, "batch ..."]
) -> Float[Array, " batch"]:
    """Cross-entropy -log softmax(z)_y of logits z and a class y, averaged over the sites, in float32.

    Args:
        logits: (batch, *sites, classes), such as (batch, classes) or (batch, depth, height, width, classes).
        labels: (batch, *sites) classes, from 0.

    Returns:
        (batch,), in nats.
    """
    values = optax.softmax_cross_entropy_with_integer_labels(logits.astype(jnp.float32), labels)
    return values.mean(axis=tuple(range(1, values.ndim)))
