"""A trained style-based generator in use: samples, mixed styles, and projection of unseen images."""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxmed.algorithms import latent_projection
from jaxmed.algorithms.style_gan import draw_inputs
from jaxmed.ops.styles import mix_styles, repeat_styles, truncate_styles
from jaxmed.types import PyTree

_NUM_MAPPED = 10_000
"""Latents whose mapped mean is the mean style."""

_NOISE, _MEAN, _LATENTS = range(3)
"""Purposes of random keys."""


@dataclass(frozen=True)
class StyleSampler:
    """A generator with its parameters.

    Every image has the same maps of noise, drawn once. Equal generators are compiled once.

    Attributes:
        generator: as `jaxmed.models.style_gan.StyleGenerator`.
        variables: trained.
        batch_size: images synthesised at a time.
        seed: of noise and latents.
    """

    generator: Any
    variables: PyTree
    batch_size: int = 8
    seed: int = 0

    def _key(self, purpose: int) -> jax.Array:
        return jax.random.fold_in(jax.random.key(self.seed), purpose)

    def noise(self, count: int) -> tuple[jax.Array, ...]:
        """The maps, the same for each image: (count, *spatial, 1)."""
        return _noise(self.generator, self._key(_NOISE), count)

    def map(self, latents: jax.Array) -> jax.Array:
        """Styles (count, width) of latents (count, width)."""
        return _map(self.generator, self.variables, latents)

    def mean_style(self) -> tuple[jax.Array, float]:
        """Mean of the styles of 10,000 latents, and the root of their mean squared distance from it."""
        mean, deviation = _mean_style(self.generator, self.variables, self._key(_MEAN))
        return mean, float(deviation)

    def draw_styles(self, count: int, *, psi: float = 1.0, seed: int = 0) -> jax.Array:
        """Styles (count, styles, width) of random latents.

        Args:
            count: how many.
            psi: truncation: 1 for none, 0 for the mean style throughout.
            seed: of these latents.
        """
        key = jax.random.fold_in(self._key(_LATENTS), seed)
        styles = self.map(jax.random.normal(key, (count, self.generator.latent_width)))
        if psi != 1:
            styles = truncate_styles(styles, self.mean_style()[0], psi)
        return repeat_styles(styles, self.generator.num_styles)

    def synthesise(self, styles: jax.Array) -> np.ndarray:
        """Images (count, *size, 1) of styles (count, styles, width)."""
        size, given = self.batch_size, np.asarray(styles)
        padded = np.concatenate([given, np.repeat(given[-1:], -len(given) % size, axis=0)])
        noise, function = self.noise(size), _synthesis(self.generator)
        parts = [
            np.asarray(function(self.variables, padded[start : start + size], noise))
            for start in range(0, len(padded), size)
        ]
        return np.concatenate(parts)[: len(styles)]

    def draw(self, count: int, *, psi: float = 1.0, seed: int = 0) -> np.ndarray:
        """Images (count, *size, 1), see `draw_styles`."""
        return self.synthesise(self.draw_styles(count, psi=psi, seed=seed))

    def mix(self, coarse: jax.Array, fine: jax.Array, crossover: int) -> np.ndarray:
        """Images with the layers below `crossover` of the one, the others of the other styles."""
        return self.synthesise(mix_styles(coarse, fine, crossover))

    def as_function(self) -> tuple[Callable[[PyTree, jax.Array], jax.Array], dict[str, PyTree]]:
        """The generator as `(variables, latents (count, width)) -> images`, and variables with its noise."""

        def function(variables, latents):
            network, maps = {"params": variables["params"]}, variables["noise"].values()
            styles = self.generator.apply(network, latents, method="map_one")
            layers = repeat_styles(styles, self.generator.num_styles)
            noise = [jnp.broadcast_to(one, (latents.shape[0], *one.shape[1:])) for one in maps]
            return self.generator.apply(network, layers, noise, method="synthesise")

        noise = {f"map_{number:02d}": one for number, one in enumerate(self.noise(1))}
        return function, {"params": self.variables["params"], "noise": noise}

    def project(
        self,
        targets: np.ndarray,
        search: latent_projection.Search,
        *,
        progress: Callable[[int, int], None] | None = None,
    ) -> latent_projection.Projection:
        """Finds one style, and perhaps noise, for each image (count, *size, 1); see `latent_projection`."""
        return latent_projection.project(
            _one_style_synthesis(self.generator),
            self.variables,
            jnp.asarray(targets),
            self.mean_style(),
            self.noise(len(targets)),
            jax.random.key(self.seed),
            search,
            progress=progress,
        )


@functools.partial(jax.jit, static_argnums=(0, 2))
def _noise(generator: Any, key: jax.Array, count: int) -> tuple[jax.Array, ...]:
    one = draw_inputs(generator, key, 1).noise
    return tuple(jnp.broadcast_to(array, (count, *array.shape[1:])) for array in one)


@functools.partial(jax.jit, static_argnums=0)
def _map(generator: Any, variables: PyTree, latents: jax.Array) -> jax.Array:
    return generator.apply(variables, latents, method="map_one")


@functools.partial(jax.jit, static_argnums=0)
def _mean_style(generator: Any, variables: PyTree, key: jax.Array) -> tuple[jax.Array, jax.Array]:
    styles = _map(generator, variables, jax.random.normal(key, (_NUM_MAPPED, generator.latent_width)))
    mean = styles.mean(axis=0)
    distances = jnp.square(styles - jnp.broadcast_to(mean, styles.shape)).sum(axis=1)
    return mean, jnp.sqrt(distances.mean())


@functools.lru_cache(maxsize=8)
def _synthesis(generator: Any) -> Callable[..., Any]:
    return jax.jit(functools.partial(generator.apply, method="synthesise"))


@functools.lru_cache(maxsize=8)
def _one_style_synthesis(generator: Any) -> Callable[..., Any]:
    def synthesise(variables, styles, noise):
        layers = repeat_styles(styles, generator.num_styles)
        return generator.apply(variables, layers, noise, method="synthesise")

    return synthesise
