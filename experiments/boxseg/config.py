"""Settings of the paper's runs and the presets."""

from dataclasses import dataclass, replace
from typing import Literal

from experiments import contract

Method = Literal["full", "tight", "loose", "corrected"]


@dataclass(frozen=True)
class Phantom:
    """The built-in data: how many phantom subjects, and how they are scanned."""

    num_cases: int = 131
    """Subjects; the paper's data set has 131."""
    num_slices: int = 72
    """Slices per subject."""
    slice_mm: float = 3.0
    """Distance between slices."""
    num_angles: int = 256
    """Projections of the phantom's scanner over 180 degrees."""


@dataclass(frozen=True)
class Classifier:
    """The classifier of patches: VGG-16 without batch normalisation, by default."""

    stages: tuple[tuple[int, ...], ...] = ((64, 64), (128, 128), (256,) * 3, (512,) * 3, (512,) * 3)
    """Channels of the convolutions of each stage."""
    hidden: tuple[int, ...] = (4096, 4096)
    """Widths of the hidden layers."""
    dense_std: float = 0.01
    """Standard deviation of the initial kernels of the hidden and last layers."""
    batch_size: int = 32
    """Patches per step."""
    num_steps: int = 100_000
    """The paper has 50 epochs, whose length depends on the boxes; here all take as many steps."""
    learning_rate: float = 1e-4
    """Of Adam, constant."""


@dataclass(frozen=True)
class Config:
    """One run: one kind of labels on one fold. The defaults are the paper's sizes."""

    method: Method = "corrected"
    """Labels: masks, tight boxes of slices, the slices of 3-D boxes, or these corrected."""
    patch_size: int = 16
    """Side of the classifier's patches, p, in pixels; they overlap by half."""
    num_labelled: int = 20
    """Training cases whose masks the classifier is trained on."""
    fold: int = 0
    """Which test set."""
    num_folds: int = 3
    """Test sets; disjoint."""
    test_share: float = 31 / 131
    """Of all cases in a test set: 31 of 131, so that 100 train."""
    image_size: int = 256
    """Slices are resampled to this many pixels a side, whatever their pixel size."""
    widths: tuple[int, ...] = (32, 64, 128, 256, 512)
    """Channels of the residual U-Net's levels and, last, of its bottom."""
    initial_probability: float = 0.5
    """What the untrained network gives every pixel; 0.5 is the usual bias of 0."""
    batch_size: int = 32
    """Slices per step."""
    num_steps: int = 70_000
    """50 epochs of the paper's 100 training volumes."""
    learning_rate: float = 1e-4
    """Of Adam, constant."""
    stripe: int = 5
    """Width of the stripes of the tightness prior, in pixels."""
    tightness_weight: float = 32 * 1e-4
    """Of the mean over the batch; the published code has 1e-4 and a sum over the batch."""
    size_weight: float = 32 * 1e-2
    """Likewise, 1e-2."""
    size_shares: tuple[float, float] = (0.5, 0.9)
    """Least and largest size of the object, as shares of its box."""
    outside: Literal["cross_entropy", "emptiness"] = "cross_entropy"
    """What keeps the background empty: masked cross-entropy, or the emptiness constraint."""
    sharpness: float = 5.0
    """The barrier's t in the first epoch."""
    sharpness_growth: float = 1.1
    """Factor of t from one epoch to the next."""
    num_epochs: int = 50
    """In how many equal parts of the training t grows."""
    dtype: Literal["float32", "bfloat16"] = "float32"
    """Of the segmentation network's convolutions and activations; everything else is float32."""
    classifier: Classifier = Classifier()
    phantom: Phantom = Phantom()

    def __post_init__(self) -> None:
        contract.check_ranges(self, patch_size=2, num_labelled=1, fold=0, num_folds=1, image_size=8, widths=1)
        contract.check_ranges(self, batch_size=1, num_steps=0, stripe=1, num_epochs=1, sharpness=1e-3)
        contract.check_ranges(self.classifier, hidden=1, batch_size=1, num_steps=0)
        contract.check_ranges(self.phantom, num_cases=2, num_slices=1, num_angles=1)
        if self.fold >= self.num_folds:
            raise ValueError(f"fold is {self.fold}; wanted 0 to {self.num_folds - 1}")
        if not 0 < self.test_share * self.num_folds <= 1:
            raise ValueError(f"test_share is {self.test_share}; wanted at most 1 / num_folds")


def without_labels(config: Config) -> Config:
    """What the training of the segmentation network depends on, given its labels."""
    kind = "full" if config.method == "full" else "tight"
    return replace(config, method=kind, patch_size=16, num_labelled=20, fold=0, classifier=Classifier())


_SMALL = Classifier(
    ((8, 8), (16, 16), (32, 32)), (32,), 0.25, batch_size=64, num_steps=250, learning_rate=2e-3
)

PRESETS: dict[str, contract.Config] = {
    "paper": Config(),
    "demo": Config(
        patch_size=4,
        image_size=64,
        widths=(8, 16, 32),
        batch_size=4,
        num_steps=800,
        num_epochs=3,
        learning_rate=1e-3,
        stripe=1,
        classifier=_SMALL,
        phantom=Phantom(num_slices=12, slice_mm=18.0, num_angles=96),
    ),
}
PRESETS["tiny"] = replace(
    PRESETS["demo"],
    num_labelled=1,
    image_size=32,
    widths=(4, 4),
    batch_size=8,
    num_steps=4,
    classifier=Classifier(((4,), (4,)), (4,), 0.5, batch_size=8, num_steps=3, learning_rate=1e-2),
    phantom=Phantom(num_cases=6, num_slices=6, slice_mm=36.0, num_angles=24),
)
