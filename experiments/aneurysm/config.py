"""Settings of the paper's runs and the presets."""

from dataclasses import dataclass, replace
from typing import Literal

from experiments import contract

Method = Literal["proposed", "focal", "few_duplicates", "undistorted", "few_negatives"]


@dataclass(frozen=True)
class Phantom:
    """The built-in data: how many phantom patients, and the volume around the circle of Willis."""

    num_cases: int = 111
    """Patients; the paper has 111."""
    depth: int = 254
    """Slices of `voxel_mm`."""
    size: int = 600
    """Height and width in voxels; the paper's field of view of 240 mm."""


@dataclass(frozen=True)
class Config:
    """One run: one method on one split. The defaults are the paper's sizes."""

    method: Method = "proposed"
    """Model0 is proposed; Model1 to 4 each change one thing of it."""
    fold: int = 1
    """Which fold is the test set; this one of ten has the paper's 11 patients."""
    num_folds: int = 10
    """Parts that the patients are dealt into; Table 1 has a test set of 10 %."""
    num_validation: int = 22
    """Patients set aside and scored by Dice and kappa."""
    cross_validation_folds: int = 5
    """Folds of Fig. 2, whose runs set no patient aside."""
    voxel_mm: float = 0.4
    """Volumes are resampled to cubes of this side."""
    patch_size: int = 48
    """Voxels along each side of a patch; inference keeps the central two thirds."""
    num_duplicates: int = 50
    """Copies of the patch of each aneurysm."""
    few_duplicates: int = 5
    """The same for Model2."""
    num_negatives: int = 200
    """Patches of background in each patient, half of them on vessels."""
    few_negatives: int = 100
    """The same for Model4."""
    min_distance_mm: float = 20.0
    """Between any two patch centres of a patient."""
    max_distortion_mm: float = 4.0
    """By how much at most the control points of a copy's lattice move along each axis."""
    max_shift_mm: float = 10.0
    """By how much at most a patch is shifted along each axis."""
    max_degrees: float = 180.0
    """By how much at most it is turned about each axis."""
    widths: tuple[int, ...] = (64, 128, 256, 512)
    """Channels of the U-Net's levels."""
    batch_size: int = 10
    """Patches per step."""
    num_steps: int = 210_600
    """100 epochs of Model0's patches of 78 patients."""
    learning_rate: float = 1e-4
    """Of Adam, constant."""
    threshold: float = 0.5
    """Of the probability, for everything but the FROC curve."""
    dtype: Literal["float32", "bfloat16"] = "float32"
    """Of the network's convolutions and activations; everything else is float32."""
    phantom: Phantom = Phantom()

    def __post_init__(self) -> None:
        contract.check_ranges(self, fold=0, num_folds=2, num_validation=0, cross_validation_folds=2)
        contract.check_ranges(self, voxel_mm=0.01, patch_size=3, num_duplicates=1, few_duplicates=1)
        contract.check_ranges(self, num_negatives=2, few_negatives=2, min_distance_mm=0, max_distortion_mm=0)
        contract.check_ranges(self, max_shift_mm=0, max_degrees=0, widths=2, batch_size=1, num_steps=0)
        contract.check_ranges(self.phantom, num_cases=2, depth=1, size=1)
        if self.fold >= self.num_folds:
            raise ValueError(f"fold is {self.fold}; wanted 0 to {self.num_folds - 1}")
        if not 0 < self.threshold < 1:
            raise ValueError(f"threshold is {self.threshold}; wanted between 0 and 1")


PRESETS: dict[str, contract.Config] = {
    "paper": Config(),
    # Patches of half the paper's side at half its resolution; lengths and counts follow.
    "demo": Config(
        fold=0,
        num_folds=5,
        num_validation=6,
        voxel_mm=0.8,
        patch_size=12,
        num_duplicates=10,
        few_duplicates=1,
        num_negatives=40,
        few_negatives=20,
        min_distance_mm=10.0,
        max_distortion_mm=2.0,
        max_shift_mm=5.0,
        widths=(8, 16, 32),
        num_steps=4000,
        learning_rate=3e-3,
        phantom=Phantom(num_cases=45, depth=64, size=80),
    ),
}
PRESETS["tiny"] = replace(
    PRESETS["demo"],
    num_folds=2,
    num_validation=1,
    cross_validation_folds=2,
    voxel_mm=1.6,
    patch_size=8,
    num_duplicates=3,
    num_negatives=4,
    few_negatives=2,
    max_shift_mm=3.0,
    widths=(4, 4),
    batch_size=8,
    num_steps=4,
    phantom=Phantom(num_cases=4, depth=24, size=32),
)
