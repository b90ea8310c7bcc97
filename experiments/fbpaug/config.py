"""Settings of the paper's runs and the presets."""

from dataclasses import dataclass, replace
from typing import Literal

from experiments import contract

Method = Literal["none", "fbpaug", "gamma", "noise", "windowing"]


@dataclass(frozen=True)
class Phantom:
    """The built-in data: how many phantom subjects, and how they are scanned."""

    num_cases: int = 96
    """Subjects with masks, scanned with the standard kernel; the paper has 96."""

    num_pairs: int = 189
    """Subjects reconstructed with a smooth and a sharp kernel; the paper has 189."""

    num_slices: int = 36
    """Slices per subject; the paper's volumes have 8 mm between slices."""

    slice_mm: float = 8.0
    """Distance between slices."""

    num_angles: int = 416
    """Projections of the phantom's scanner over 180 degrees."""


@dataclass(frozen=True)
class Config:
    """One run: one method on one fold. The defaults are the paper's sizes."""

    method: Method = "none"
    """Intensity augmentation: none (the baseline), the paper's fbpaug, or one it compares with."""

    fold: int = 0
    """Which fold is the test set."""

    num_folds: int = 3
    """Folds of the cross-validation."""

    num_validation: int = 3
    """Training cases set aside and scored as "validation dice"; no choice depends on them."""

    image_size: int = 416
    """Slices are padded or cropped to this many pixels a side."""

    pixel_mm: float = 1.0
    """Slices are resampled to this pixel size."""

    widths: tuple[int, ...] = (8, 16, 32, 64, 128, 256, 512)
    """Channels of the residual U-Net's levels and, last, of its bottom."""

    batch_size: int = 32
    """Slices per step."""

    num_steps: int = 10_000
    """100 epochs of 100 iterations."""

    initial_probability: float = 0.5
    """What the untrained network predicts; 0.5 is the usual bias of 0."""

    learning_rate: float = 1e-3
    """Of Adam, constant."""

    augment_probability: float = 0.5
    """Probability that a slice is augmented, for each method and for rotations and flips."""

    num_angles: int = 208
    """Projection angles of FBPAug; the released code takes half the image size."""

    projection: Literal["projector", "exact", "fft"] = "projector"
    """How FBPAug projects: Joseph's method, rotation as the released code does, or one filter instead."""

    dtype: Literal["float32", "bfloat16"] = "float32"
    """Of the network's convolutions and activations; everything else is float32."""

    phantom: Phantom = Phantom()

    def __post_init__(self) -> None:
        contract.check_ranges(self, fold=0, num_folds=2, num_validation=0, num_steps=0)
        contract.check_ranges(self, image_size=1, pixel_mm=0.01, widths=1, batch_size=1, num_angles=1)
        contract.check_ranges(self.phantom, num_cases=1, num_pairs=1, num_slices=1, num_angles=1)
        if self.fold >= self.num_folds:
            raise ValueError(f"fold is {self.fold}; wanted 0 to {self.num_folds - 1}")


PRESETS: dict[str, contract.Config] = {
    "paper": Config(),
    "demo": Config(
        num_validation=0,
        image_size=96,
        pixel_mm=4.0,
        widths=(8, 8, 16, 32, 64),
        batch_size=8,
        num_steps=250,
        initial_probability=0.01,
        learning_rate=3e-3,
        num_angles=48,
        phantom=Phantom(num_cases=24, num_pairs=12, num_slices=8, slice_mm=28.0, num_angles=96),
    ),
}
PRESETS["tiny"] = replace(
    PRESETS["paper"],
    num_validation=0,
    image_size=48,
    pixel_mm=8.0,
    widths=(4, 8),
    batch_size=8,
    num_steps=4,
    num_angles=24,
    phantom=Phantom(num_cases=3, num_pairs=2, num_slices=2, slice_mm=60.0, num_angles=32),
)
