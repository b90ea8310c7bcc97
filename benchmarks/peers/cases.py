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
    """A training step of a U-Net, in PyTorch and jaxmed."""
    dims = len(shape) - 2
    sizes = {"widths": widths, "norm": others.pop("norm")}
    sizes |= {"plan": others.pop("plan", "classic"), "dtype": others.pop("dtype", "float32")}
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


def _kmeans(name: str, points: int, features: int, *, platform: str | None = None) -> Case:
    return Case(
        name=name,
        title=f"k-means of {points:,} x {features}, 104 clusters, 20 iterations",
        peer="scikit-learn",
        ours="benchmarks.peers.clustering:KMeans",
        theirs="benchmarks.peers.clustering:ScikitLearnKMeans",
        sizes={"points": points, "features": features, "clusters": 104, "iterations": 20},
        quick={"points": 200, "features": 8, "clusters": 5, "iterations": 3},
        tolerances={"inertia": 1e-4},
        packages=("sklearn",),
        platform=platform,
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


_LOSSES = {name: _STEP[name] for name in ("parameters", "loss", "gradients")}
_UPDATES = "two updates of D and one of G, step"


def _image_gan(kind: str, name: str, title: str, batch: int, platform: str | None = None) -> Case:
    """A step of one of ganeval's GANs, in PyTorch and jaxmed."""
    module = {"dcgan": "torch_dcgan", "wgan_gp": "torch_wgan"}[kind]
    return Case(
        name=name,
        title=f"{title} 80^2, batch of {batch}, {_UPDATES}",
        peer="PyTorch",
        ours=f"benchmarks.peers.jax_image_gan:{kind}",
        theirs=f"benchmarks.peers.{module}:{kind}",
        sizes={"batch": batch, "size": 80, "divisor": 1, "probe": 2},
        quick={"batch": 2, "size": 20, "divisor": 32, "probe": 2},
        tolerances=_LOSSES,
        platform=platform,
    )


def _style_gan(
    name: str, num_doublings: int, batch: int, *, path: bool = False, platform: str | None = None
) -> Case:
    """A step of 3D-StyleGAN with 16 channels, with path length (the paper's every 16th) or without."""
    networks = {"base": (5, 6, 7), "num_doublings": num_doublings, "width": 16, "latent": 64}
    small = {"base": (2, 3, 2), "num_doublings": 1, "width": 4, "latent": 8}
    size = "x".join(str(length << num_doublings) for length in (5, 6, 7))
    return Case(
        name=name,
        title=f"3D-StyleGAN {batch} x {size}, 16 channels, step with{'' if path else 'out'} path length",
        peer="PyTorch",
        ours="benchmarks.peers.jax_style_gan:StyleGanStep",
        theirs="benchmarks.peers.torch_style_gan:StyleGanStep",
        sizes={**networks, "batch": batch, "path": path, "probe": 4},
        quick={**small, "batch": 4, "path": path, "probe": 4},
        tolerances=_LOSSES,
        platform=platform,
    )


_GAN = {"latent": 64, "widths": (128, 64, 32, 16), "probe": (2, 32, 64)}
_MONAI = {"widths": (16, 32, 64, 128), "dtype": "float32"}

CASES: tuple[Case, ...] = (
    _unet(
        "unet-2d",
        "2-D U-Net 16..256, 4 x 256^2, step",
        shape=(4, 256, 256, 1),
        widths=(16, 32, 64, 128, 256),
        norm="batch",
        max_ratio=2.0,
    ),
    _unet(
        "unet-2d-wide",
        "2-D U-Net 64..1024, 4 x 256^2, step",
        shape=(4, 256, 256, 1),
        widths=(64, 128, 256, 512, 1024),
        norm="batch",
        max_ratio=2.0,
    ),
    _unet(
        "unet-2d-instance",
        "2-D U-Net 16..256 with instance norm, 4 x 256^2, step",
        shape=(4, 256, 256, 1),
        widths=(16, 32, 64, 128, 256),
        norm="instance",
    ),
    _unet(
        "unet-3d",
        "3-D U-Net 16..128 with instance norm, 64^3, step",
        shape=(1, 64, 64, 64, 1),
        widths=(16, 32, 64, 128),
        norm="instance",
        max_ratio=1.5,
    ),
    _unet(
        "unet-3d-large",
        "3-D U-Net 32..320 by nnU-Net's plan, 2 x 128^3, bfloat16, step",
        shape=(2, 128, 128, 128, 1),
        widths=(32, 64, 128, 256, 320, 320),
        norm="instance",
        plan="nnunet",
        dtype="bfloat16",
        max_ratio=1 / 1.3,
        platform="gpu",
    ),
    _unet(
        "unet-2d-large",
        "2-D U-Net 64..1024, 16 x 256^2, bfloat16, step",
        shape=(16, 256, 256, 1),
        widths=(64, 128, 256, 512, 1024),
        norm="batch",
        dtype="bfloat16",
        platform="gpu",
    ),
    Case(
        name="monai-unet",
        title="MONAI's UNet 16..128, 64^3, step",
        peer="MONAI",
        ours=f"{_JAX}:monai_unet",
        theirs=f"{_TORCH}:MonaiUNetStep",
        sizes={**_MONAI, "shape": (1, 64, 64, 64, 1), "probe": (1, 32, 32, 32, 1)},
        quick={**_MONAI, "shape": (1, 16, 16, 16, 1), "probe": (1, 16, 16, 16, 1)},
        tolerances=_STEP,
        packages=("torch", "monai"),
        max_ratio=0.8,
    ),
    Case(
        name="gan-3d",
        title="GAN of volumes 4 x 32^3, gradient penalty and path length, step",
        peer="PyTorch",
        ours="benchmarks.peers.jax_gan:GanStep",
        theirs="benchmarks.peers.torch_gan:GanStep",
        sizes={**_GAN, "batch": 4, "size": 32},
        quick={"latent": 16, "widths": (8, 4), "probe": (2, 8, 16), "batch": 2, "size": 8},
        tolerances=_LOSSES,
        max_ratio=1.0,
    ),
    _image_gan("dcgan", "dcgan-2d", "DCGAN", 128),
    _image_gan("wgan_gp", "wgan-gp-2d", "WGAN-GP", 4),
    _image_gan("wgan_gp", "wgan-gp-2d-large", "WGAN-GP", 128, platform="gpu"),
    _style_gan("stylegan-3d", 3, 4),
    _style_gan("stylegan-3d-path", 3, 4, path=True),
    _style_gan("stylegan-3d-large", 4, 8, platform="gpu"),
    _kernel_change("projector", 1 / 60, 10.0),
    _kernel_change("fft", 1 / 300, 20.0),
    _projector("scikit-image", "scikit_image_projector", "skimage", 1e-2),
    _projector("astra-toolbox", "astra_projector", "astra", 1e-4),
    Case(
        name="sliding-window",
        title="Sliding windows of 64^3 over 128^3, overlap 1/2, 3-D U-Net 16..128",
        peer="MONAI",
        ours="benchmarks.peers.jax_inference:SlidingWindow",
        theirs="benchmarks.peers.torch_inference:SlidingWindow",
        sizes={"volume": 128, "window": 64, "widths": (16, 32, 64, 128)},
        quick={"volume": 24, "window": 16, "widths": (8, 16)},
        tolerances={"parameters": 0.0, "outputs": 1e-4},
        packages=("torch", "monai"),
    ),
    _kmeans("kmeans", 23_943, 512),
    _kmeans("kmeans-large", 192_272, 4096, platform="gpu"),
)
"""All comparisons, in the order of the report."""


@dataclass(frozen=True)
class Program:
    """A benchmark with results of its own, in files beside those of the comparisons.

    Attributes:
        name: on the command line, and first in the names of its files.
        title: what it compares.
        command: after `python -m`; "{stem}" stands for the path of its results.
        quick: the same with small sizes.
        platform: as of a case.
    """

    name: str
    title: str
    command: str
    quick: str
    platform: str | None = None


PROGRAMS: tuple[Program, ...] = (
    Program(
        "operators",
        "Operators: forms, lax and flax, PyTorch",
        "benchmarks.operators --output {stem}",
        "benchmarks.operators --quick --seconds 0.2 --output {stem}",
    ),
    Program(
        "input",
        "Input: patches per second, MONAI and nibabel",
        "benchmarks.input --output {stem}",
        "benchmarks.input --sizes 16 --rounds 2 --seconds 0.1 --output {stem}",
    ),
)
"""Run after the comparisons."""
