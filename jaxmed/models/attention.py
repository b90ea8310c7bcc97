"""Attention among the channels of a feature map."""

from typing import Literal

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


class ChannelAttention(nn.Module):
    """Channel attention of the dual attention network: every channel plus a weighted sum of all channels.

    With A (channels, sites), the energies are A A^T and the weights their softmax along each row, so that the
    weights of a channel sum to 1; the output is A + scale * weights A. Equal channels give 2 A at scale 1.
    Energies are sums over all sites, not means: unless features are small, one channel takes a row's weight.

    Attributes:
        toward: "similar" channels get large weights, as the text has it; "dissimilar" is the released code,
            which takes the softmax of each row's largest energy minus the energies.
        learned_scale: whether `scale` is a parameter that starts at 0, as in the released code, so that the
            layer starts as the identity; else it is 1.

    Reference: Fu et al., Dual Attention Network for Scene Segmentation, CVPR 2019, equations 3 and 4.
    """

    toward: Literal["similar", "dissimilar"] = "similar"
    learned_scale: bool = False

    @nn.compact
    def __call__(self, x: Float[Array, "batch *spatial channels"]) -> Float[Array, "batch *spatial channels"]:
        """Applies the layer to `x`, (batch, *spatial, channels); energies and weights are float32."""
        # No reshape: flattening the sites would gather an axis that is split over devices.
        sites = "defgh"[: x.ndim - 2]
        wide = x.astype(jnp.float32)
        energy = jnp.einsum(f"b{sites}i,b{sites}j->bij", wide, wide, precision=jax.lax.Precision.HIGHEST)
        sign = {"similar": 1, "dissimilar": -1}[self.toward]
        weights = jax.nn.softmax(sign * energy, axis=-1)
        mixed = jnp.einsum(f"bij,b{sites}j->b{sites}i", weights, wide)
        scale = self.param("scale", nn.initializers.zeros, (), jnp.float32) if self.learned_scale else 1.0
        return (wide + scale * mixed).astype(x.dtype)
