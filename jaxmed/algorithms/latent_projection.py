"""Finding the style and the noise with which a generator makes an image that it has not seen."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float

from jaxmed.ops.example_keys import example_keys
from jaxmed.types import PyTree

Synthesise = Callable[[PyTree, Array, Any], Array]
"""`(variables, styles (batch, width), noise maps) -> images (batch, *size, 1)`."""


class Search(NamedTuple):
    """How the loss is descended.

    Attributes:
        num_steps: of Adam.
        learning_rate: its largest; it rises linearly over the first 5 % of the steps and falls as half a
            cosine over the last quarter.
        style_noise: standard deviation of normal noise that is added to the style, in deviations of styles;
            it falls quadratically to 0 over the first three quarters.
        coarse_factor: of the average pooling in the second term of the loss.
        with_noise: whether the noise maps are moved too, or only the style.
    """

    num_steps: int = 1000
    learning_rate: float = 0.3
    style_noise: float = 0.05
    coarse_factor: int = 8
    with_noise: bool = True


class Projection(NamedTuple):
    """What was found.

    Attributes:
        styles: (batch, width).
        noise: the maps.
        images: (batch, *size, 1), what they make.
        losses: (steps,), the mean loss on the way.
    """

    styles: jax.Array
    noise: Any
    images: jax.Array
    losses: np.ndarray


def projection_loss(
    images: Float[Array, "batch *size channels"], targets: Float[Array, "..."], coarse_factor: int
) -> Float[Array, " batch"]:
    """Mean squared error at full resolution, plus that of both averaged over coarse_factor^d voxels.

    Reference: Hong et al., 3D-StyleGAN, section 2.1, image projection.

    Raises:
        ValueError: a size is no multiple of `coarse_factor`.
    """
    if any(size % coarse_factor for size in images.shape[1:-1]):
        raise ValueError(f"images: shape {images.shape}; wanted sizes that are multiples of {coarse_factor}")
    difference = images - targets
    blocks = [part for size in images.shape[1:-1] for part in (size // coarse_factor, coarse_factor)]
    split = difference.reshape(len(images), *blocks, images.shape[-1])
    coarse = split.mean(axis=tuple(range(2, split.ndim - 1, 2)))
    axes = tuple(range(1, images.ndim))
    return jnp.square(difference).mean(axis=axes) + jnp.square(coarse).mean(axis=axes)


def project(
    synthesise: Synthesise,
    variables: PyTree,
    targets: Float[Array, "batch *size channels"],
    start: tuple[Float[Array, " width"], float],
    noise: Any,
    key: jax.Array,
    search: Search,
    *,
    progress: Callable[[int, int], None] | None = None,
) -> Projection:
    """Projects images, each by itself: one style for all layers and, with `search.with_noise`, noise maps.

    Maps are brought back to mean 0 and variance 1 after every step. Steps are dispatched one by one, which on
    CPUs is several times faster than a loop in the program.

    Args:
        synthesise: the generator; equal ones are compiled once.
        variables: what it takes.
        targets: (batch, *size, channels).
        start: mean of the styles, where the search begins, and their deviation, the root of their mean
            squared distance from it.
        noise: maps to begin with, each (batch, *spatial, 1).
        key: of the noise that is added to styles.
        search: see there.
        progress: called with (steps done, steps in all).

    Returns:
        Styles, maps and images.

    Reference: Karras et al., Analyzing and Improving the Image Quality of StyleGAN, appendix D, without the
    penalty on the maps, as in the code of 3D-StyleGAN.
    """
    mean, deviation = start
    styles = jnp.broadcast_to(mean[None], (len(targets), len(mean)))
    found = {"styles": styles, "noise": noise} if search.with_noise else {"styles": styles}
    state, losses = _optimizer().init(found), []
    for number in range(search.num_steps):
        rate, amount = schedule(search, number)
        pace = np.float32(rate), np.float32(amount * deviation)
        own_key = jax.random.fold_in(key, number)
        found, state, loss = _step(
            synthesise, search, found, state, variables, targets, noise, own_key, *pace
        )
        losses.append(loss)
        if progress is not None:
            progress(number + 1, search.num_steps)
    maps = found.get("noise", noise)
    images = jax.jit(synthesise)(variables, found["styles"], maps)
    return Projection(found["styles"], maps, images, np.asarray(losses, np.float32))


def _optimizer() -> optax.GradientTransformation:
    return optax.inject_hyperparams(optax.adam)(learning_rate=0.0)


@functools.partial(jax.jit, static_argnums=(0, 1))
def _step(synthesise, search, found, state, variables, targets, noise, key, rate, amount):
    """Moves what is sought; `noise` are the maps where they are fixed."""
    keys = example_keys(key, len(targets))
    added = amount * jax.vmap(lambda key: jax.random.normal(key, found["styles"].shape[1:]))(keys)

    def loss_fn(found):
        images = synthesise(variables, found["styles"] + added, found.get("noise", noise))
        return projection_loss(images, targets, search.coarse_factor).sum()

    loss, gradients = jax.value_and_grad(loss_fn)(found)
    state.hyperparams["learning_rate"] = rate
    updates, state = _optimizer().update(gradients, state, found)
    moved: Any = optax.apply_updates(found, updates)
    if search.with_noise:
        moved = {**moved, "noise": jax.tree.map(_standardise, moved["noise"])}
    return moved, state, loss / len(targets)


def schedule(search: Search, number: int) -> tuple[float, float]:
    """Learning rate and deviation of the added noise at a step, see `Search`."""
    time = number / search.num_steps
    fall = 0.5 - 0.5 * np.cos(np.pi * min(1.0, (1 - time) / 0.25))
    rise = min(1.0, time / 0.05)
    return search.learning_rate * rise * fall, search.style_noise * max(0.0, 1 - time / 0.75) ** 2


def _standardise(x: jax.Array) -> jax.Array:
    """Each example's map with mean 0 and variance 1."""
    axes = tuple(range(1, x.ndim))
    x = x - jnp.broadcast_to(x.mean(axis=axes, keepdims=True), x.shape)
    return x * jnp.broadcast_to(jax.lax.rsqrt(jnp.square(x).mean(axis=axes, keepdims=True) + 1e-12), x.shape)
