"""FBPAug's kernel change and the projector alone: jaxmed's batches, the peers' single slices."""

import importlib.metadata
import itertools
from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks import kernel_change, radon
from benchmarks.peers.work import Probe, Run
from jaxmed.augment import sinogram
from jaxmed.ops import radon as operator


class _SliceBySlice:
    """A function of single slices."""

    items = 1

    def __init__(
        self, slices: np.ndarray, functions: Mapping[str, Callable[[np.ndarray], np.ndarray]], package: str
    ):
        self._slices, self._functions, self._package = slices, functions, package
        self.settings = tuple(functions)

    def prepare(self, setting: str) -> Run:
        """One slice after another."""
        slices, function = itertools.cycle(self._slices), self._functions[setting]
        return lambda: function(next(slices))

    def parts(self, setting: str) -> Mapping[str, Run]:
        """None."""
        return {}

    def probe(self) -> Probe:
        """What the first function makes of the first slice."""
        return {"image": self._functions[self.settings[0]](self._slices[0])}

    def describe(self) -> Mapping[str, str]:
        """The package's version."""
        return {self._package: importlib.metadata.version(self._package)}


class _Batch:
    """A function of all slices at once."""

    def __init__(self, slices: np.ndarray, setting: str, function: Callable[[jax.Array], jax.Array]):
        images = jax.device_put(slices)
        self.items, self.settings = len(slices), (setting,)
        self._run = lambda: jax.block_until_ready(function(images))

    def prepare(self, setting: str) -> Run:
        """The whole batch."""
        return self._run

    def parts(self, setting: str) -> Mapping[str, Run]:
        """None."""
        return {}

    def describe(self) -> Mapping[str, str]:
        """JAX's version."""
        return {"jax": jax.__version__}


def scikit_image_kernel_change(size: int, angles: int, batch: int, method: str) -> _SliceBySlice:
    """`radon`, a filter, `iradon`, as published."""

    def change(image: np.ndarray) -> np.ndarray:
        return kernel_change.change_with_scikit_image(image, radon.STRENGTH, radon.EXPONENT, angles)

    return _SliceBySlice(radon.make_slices(size, batch), {"radon, iradon": change}, "scikit-image")


class KernelChange(_Batch):
    """`jaxmed.augment.sinogram.change_kernel`."""

    def __init__(self, size: int, angles: int, batch: int, method: str):
        change = sinogram.KernelChange(
            jnp.full(batch, radon.STRENGTH), jnp.full(batch, radon.EXPONENT), jnp.full(batch, True)
        )
        super().__init__(
            radon.make_slices(size, batch),
            f"mode {method}",
            lambda images: sinogram.change_kernel(images, change, num_angles=angles, method=method),
        )

    def agreement(self, probe: Probe) -> Mapping[str, float]:
        """Root mean square of the difference inside the inscribed circle, in HU."""
        changed = np.asarray(self._run())[0]
        offsets = np.arange(len(changed)) - len(changed) / 2
        inside = np.hypot(offsets[:, None], offsets[None, :]) < len(changed) / 2 - 2
        return {"rms difference, HU": kernel_change.rms((changed - probe["image"])[inside])}


def scikit_image_projector(size: int, angles: int, batch: int) -> _SliceBySlice:
    """`skimage.transform.radon`."""
    from skimage import transform

    theta = np.arange(angles) * 180 / angles
    functions = {"radon": lambda image: transform.radon(image, theta, circle=False).T}
    return _SliceBySlice(_densities(size, batch), functions, "scikit-image")


def astra_projector(size: int, angles: int, batch: int) -> _SliceBySlice:
    """ASTRA's projectors on the CPU; "linear" is Joseph's, "line" the fastest one."""
    functions = {kind: _astra_projector(kind, size, angles) for kind in ("linear", "line")}
    return _SliceBySlice(_densities(size, batch), functions, "astra-toolbox")


def _astra_projector(kind: str, size: int, angles: int) -> Callable[[np.ndarray], np.ndarray]:
    import astra

    # ASTRA turns about its origin; jaxmed and scikit-image about the pixel and detector number n // 2.
    shift, count = 0.5 * (size % 2 == 0), operator.num_detectors(size)
    low, high = -size / 2 - shift, size / 2 - shift
    volume = astra.create_vol_geom(size, size, low, high, -high, -low)
    theta = np.pi * np.arange(angles) / angles
    rays, along = np.stack([np.sin(theta), -np.cos(theta)], -1), np.stack([np.cos(theta), np.sin(theta)], -1)
    middle = ((count - 1) / 2 - count // 2) * along
    geometry = astra.create_proj_geom("parallel_vec", count, np.hstack([rays, middle, along]))
    projector = astra.create_projector(kind, geometry, volume)

    def project(image: np.ndarray) -> np.ndarray:
        number, views = astra.create_sino(image, projector)
        astra.data2d.delete(number)
        return views

    return project


class Projector(_Batch):
    """`jaxmed.ops.radon.project`, Joseph's projector."""

    def __init__(self, size: int, angles: int, batch: int):
        super().__init__(
            _densities(size, batch), "projector", lambda images: operator.project(images, angles)
        )

    def agreement(self, probe: Probe) -> Mapping[str, float]:
        """Root mean square of the difference over that of the sinogram."""
        views, wanted = np.asarray(self._run())[0], probe["image"]
        return {"relative rms": kernel_change.rms(views - wanted) / kernel_change.rms(wanted)}


def _densities(size: int, batch: int) -> np.ndarray:
    """The slices with air at zero, in units of water."""
    return radon.make_slices(size, batch) / 1000 + 1
