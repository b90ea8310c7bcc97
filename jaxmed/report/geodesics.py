"""Pictures of a two-dimensional space with a learned metric."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from jaxmed.ops import riemannian, riemannian_sampling
from jaxmed.ops.riemannian import Metric
from jaxmed.report.pyplot import Axes, Figure, plt

_shoot = jax.jit(riemannian.shoot, static_argnames="num_steps")
_draw_wrapped_normal = jax.jit(
    riemannian_sampling.draw_wrapped_normal, static_argnames=("variance", "num_steps")
)
_kinetic_energy = jax.jit(jax.vmap(riemannian.kinetic_energy, in_axes=(None, 0, 0)))

_GRID = 120
_NUM_WRAPPED = 150


def draw_geodesics(metric: Metric, labels: np.ndarray, *, num_paths: int = 6, num_steps: int = 200) -> Figure:
    """Draws geodesics from some centroids, and wrapped normal samples around two, on the log volume element.

    Args:
        metric: of two dimensions.
        labels: (centroids,) classes, for their colours.
        num_paths: geodesics, not more than there are centroids.
        num_steps: of each.
    """
    figure, panels = plt.subplots(1, 3, figsize=(13, 4.3))
    centroids = np.asarray(metric.centroids)
    low, high = centroids.min(axis=0) - 1, centroids.max(axis=0) + 1
    axes = (np.linspace(a, b, _GRID) for a, b in zip(low, high, strict=True))
    grid = np.stack(np.meshgrid(*axes), axis=-1).reshape(-1, 2).astype(np.float32)
    volume = np.asarray(jax.jit(riemannian.log_volume)(metric, jnp.asarray(grid))).reshape(_GRID, _GRID)
    for panel in panels:
        extent = (low[0], high[0], low[1], high[1])
        shown = panel.imshow(volume, cmap="gray", origin="lower", extent=extent, aspect="auto")
        panel.set_xlim(low[0], high[0])
        panel.set_ylim(low[1], high[1])
    start, velocity = _draw_starts(metric, num_paths)
    path, _ = _shoot(metric, start, velocity, num_steps=num_steps)
    panels[0].plot(*np.asarray(path).transpose(2, 0, 1), color="deepskyblue", linewidth=1.2)
    panels[0].quiver(*np.asarray(start).T, *np.asarray(velocity).T, color="orange", width=0.006)
    panels[0].scatter(*np.asarray(start).T, color="red", s=18, zorder=3)
    panels[0].set_title("geodesic shooting", fontsize=10)
    for panel, centre in zip(panels[1:], np.asarray(start)[:2], strict=True):
        _draw_wrapped(panel, metric, centre, labels, num_steps)
    figure.colorbar(shown, ax=list(panels), label="log sqrt det G", shrink=0.85)
    return figure


def _draw_starts(metric: Metric, count: int) -> tuple[jax.Array, jax.Array]:
    key_start, key_velocity = jax.random.split(jax.random.key(0))
    start = jax.random.choice(key_start, metric.centroids, (count,), replace=False)
    return start, jax.random.normal(key_velocity, start.shape)


def _draw_wrapped(
    panel: Axes, metric: Metric, centre: np.ndarray, labels: np.ndarray, num_steps: int
) -> None:
    z = _draw_wrapped_normal(
        jax.random.key(1), metric, np.tile(centre, (_NUM_WRAPPED, 1)), variance=1.0, num_steps=num_steps
    )
    panel.scatter(*np.asarray(metric.centroids).T, c=labels, cmap="coolwarm", s=10, alpha=0.7)
    panel.scatter(*np.asarray(z).T, color="limegreen", s=6, label="wrapped normal N(p, I)")
    panel.scatter(*np.asarray(centre), color="red", s=30, label="p")
    panel.legend(fontsize=8)
    panel.set_title("samples among the encoded images", fontsize=10)


def draw_energy(metric: Metric, counts: Sequence[int] = (50, 100, 200, 400), *, num_paths: int = 6) -> Figure:
    """Draws the largest relative change of the energy along geodesics, for several numbers of steps."""
    start, velocity = _draw_starts(metric, num_paths)
    figure, panel = plt.subplots(figsize=(5.5, 3.8))
    for num_steps in counts:
        z, momentum = _shoot(metric, start, velocity, num_steps=num_steps)
        energy = np.asarray(_kinetic_energy(metric, z, momentum))
        change = np.abs(energy / energy[:1] - 1).max(axis=1)
        panel.semilogy(np.linspace(0, 1, num_steps + 1)[1:], change[1:], label=f"{num_steps} steps")
    panel.set_xlabel("time along the geodesic")
    panel.set_ylabel("largest |H(t) / H(0) - 1|")
    panel.legend(fontsize=8, frameon=False)
    panel.spines[["top", "right"]].set_visible(False)
    return figure
