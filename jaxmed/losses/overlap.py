"""Overlap losses from probabilities, one value per example."""

import jax.numpy as jnp
from jaxtyping import Array, Float, Num


def dice_loss(
    probabilities: Float[Array, "batch *sites classes"],
    targets: Num[Array, "batch ..."],
    *,
    smooth: float = 1.0,
) -> Float[Array, " batch"]:
    """Soft Dice loss: 1 - the mean over classes of (2 sum p t + smooth) / (sum p + sum t + smooth).

    The sums run over the sites of an example. A class that is neither there nor predicted counts as perfect
    (loss 0), and one that is not there but predicted loses the more the larger its prediction is.

    Args:
        probabilities: (batch, *sites, classes) in [0, 1]; which classes count is for the caller to choose.
        targets: the same shape; 0 or 1, or shares in between.
        smooth: voxels that numerator and denominator are raised by; above 0.

    Returns:
        (batch,), in [0, 1].

    Raises:
        ValueError: the shapes differ.

    Reference: Milletari et al., V-Net, 3DV 2016. differs: sums instead of sums of squares below, smoothed.
    """
    if probabilities.shape != targets.shape:
        raise ValueError(
            f"targets: shape {targets.shape}; wanted {probabilities.shape}, as the probabilities"
        )
    sites = tuple(range(1, probabilities.ndim - 1))
    p, t = probabilities.astype(jnp.float32), targets.astype(jnp.float32)
    both, total = (p * t).sum(sites), (p + t).sum(sites)
    return 1 - ((2 * both + smooth) / (total + smooth)).mean(-1)
