"""What is compared: each piece of work, its two sides, its sizes, and the target that was set for it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Case:
    """A comparison.

    Attributes:
        name: on the command line.
        title: what is done.
        peer: who else does it.
        ours: "module:name" of jaxmed's side, called with the sizes.
        theirs: of the peer's side.
        sizes: of the work.
        quick: small ones, to see that everything runs.
        tolerances: largest accepted differences between the results of both sides, by quantity.
        packages: that the peer's side imports.
        max_ratio: target for jaxmed's time per item over the peer's; None without one.
        platform: "cpu" or "gpu", where it is part of the whole; None for both.
    """

    name: str
    title: str
    peer: str
    ours: str
    theirs: str
    sizes: Mapping[str, Any]
    quick: Mapping[str, Any]
    tolerances: Mapping[str, float]
    packages: tuple[str, ...] = ("torch",)
    max_ratio: float | None = None
    platform: str | None = None


_STEP = {"parameters": 0.0, "outputs": 1e-4, "loss": 1e-5, "gradients": 2e-3}
_JAX, _TORCH, _SLICES = (f"benchmarks.peers.{name}" for name in ("jax_steps", "torch_steps", "sinograms"))


def _unet(name: str, title: str, *, shape: tuple[int, ...], widths: tuple[int, ...], **others: Any) -> Case:
    """A training step of a U-Net of float32, in PyTorch and jaxmed."""
    dims = len(shape) - 2
    sizes = {"widths": widths, "norm": others.pop("norm"), "dtype": others.pop("dtype", "float32")}
    probe = (1, *(2 ** len(widths),) * dims, 1)
    small = (1, *(32,) * dims, 1)
    return Case(
        name=name,
        title=title,
        peer="PyTorch",
        ours=f"{_JAX}:unet",
        theirs=f"{_TORCH}:unet",
        sizes={**sizes, "shape": shape, "probe": probe},
        quick={**sizes, "widths": (8, 16, 32), "shape": small, "probe": small},
        tolerances=_STEP,
        **others,
    )


def _kernel_change(method: str, max_ratio: float, tolerance: float) -> Case:
    return Case(
        name=f"fbpaug-{method}",
        title=f"FBPAug 512^2, 256 angles, batch of 32, mode {method}",
        peer="scikit-image",
        ours=f"{_SLICES}:KernelChange",
        theirs=f"{_SLICES}:scikit_image_kernel_change",
        sizes={"size": 512, "angles": 256, "batch": 32, "method": method},
        quick={"size": 64, "angles": 32, "batch": 4, "method": method},
        tolerances={"rms difference, HU": tolerance},
        packages=("skimage",),
        max_ratio=max_ratio,
    )


def _projector(peer: str, theirs: str, package: str, tolerance: float) -> Case:
    return Case(
        name=f"radon-{peer}",
        title="Radon transform 512^2, 256 angles, batch of 32",
        peer=peer,
        ours=f"{_SLICES}:Projector",
        theirs=f"{_SLICES}:{theirs}",
        sizes={"size": 512, "angles": 256, "batch": 32},
        quick={"size": 64, "angles": 32, "batch": 4},
        tolerances={"relative rms": tolerance},
        packages=(package,),
    )


_GAN = {"latent": 64, "widths": (128, 64, 32, 16), "probe": (2, 32, 64)}

CASES: tuple[Case, ...] = (
    Case(
        name="gan-3d",
        title="GAN of volumes 4 x 32^3, gradient penalty and path length, step",
        peer="PyTorch",
        ours="benchmarks.peers.jax_gan:GanStep",
        theirs="benchmarks.peers.torch_gan:GanStep",
        sizes={**_GAN, "batch": 4, "size": 32},
        quick={"latent": 16, "widths": (8, 4), "probe": (2, 8, 16), "batch": 2, "size": 8},
        tolerances={name: _STEP[name] for name in ("parameters", "loss", "gradients")},
        max_ratio=1.0,
    ),
    _kernel_change("projector", 1 / 60, 10.0),
    _kernel_change("fft", 1 / 300, 20.0),
    _projector("scikit-image", "scikit_image_projector", "skimage", 1e-2),
    _projector("astra-toolbox", "astra_projector", "astra", 1e-4),
)
"""All comparisons, in the order of the report."""
