"""How informative an unlabelled example would be: larger is more.

All functions take class probabilities of a network in evaluation mode.
"""

from typing import Literal

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


def least_confidence(probabilities: Float[Array, "examples classes"]) -> Float[Array, " examples"]:
    """Least confidence, 1 - P(y* | x) with y* the most probable class; in [0, 1 - 1 / classes].

    Reference: Wang and Shang, A new active labeling method for deep learning, 2014. The released code of
    Chong et al. scales it to [0, 1], which changes no selection.
    """
    return 1 - probabilities.max(axis=-1)


def margin(probabilities: Float[Array, "examples classes"]) -> Float[Array, " examples"]:
    """Margin score, 1 - (P(y0* | x) - P(y1* | x)) with the two most probable classes; in [0, 1].

    Raises:
        ValueError: there is one class only.
    """
    if probabilities.shape[-1] < 2:
        raise ValueError(f"probabilities: shape {probabilities.shape}; wanted two classes or more")
    top, _ = jax.lax.top_k(probabilities, 2)
    return 1 - (top[:, 0] - top[:, 1])


def expected_model_change(
    probabilities: Float[Array, "examples classes"],
    features: Float[Array, "examples features"],
    over: Literal["predicted", "expectation"] = "predicted",
) -> Float[Array, " examples"]:
    """Norm of the cross-entropy's gradient with respect to the last layer, weights and bias.

    For logits W h + b and label y the gradient is (p - e_y) (h, 1)^T, so that its norm has the closed form
    |p - e_y| sqrt(|h|^2 + 1), and no gradient need be computed.

    Args:
        probabilities: softmax of the logits.
        features: h, what the last layer gets.
        over: "predicted" takes the most probable class as the label; "expectation" the mean of the norm over
            classes, weighted by their probabilities.

    Returns:
        One norm per example.

    Reference: Huang et al., Active learning for speech recognition: the power of gradients, 2016. Chong et
    al. take "the highest predicted class designation's gradient"; differs: their released code sums the
    gradient's magnitude over the pixels of the image.
    """
    square = jnp.sum(jnp.square(probabilities), axis=-1, keepdims=True)
    # |p - e_y|^2 = |p|^2 - 2 p_y + 1, not negative but for rounding.
    norms = jnp.sqrt(jnp.maximum(square - 2 * probabilities + 1, 0))
    if over == "predicted":
        norm = jnp.take_along_axis(norms, probabilities.argmax(axis=-1, keepdims=True), axis=-1)[:, 0]
    else:
        norm = jnp.sum(probabilities * norms, axis=-1)
    return norm * jnp.sqrt(jnp.sum(jnp.square(features), axis=-1) + 1)
