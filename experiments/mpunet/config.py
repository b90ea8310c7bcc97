"""Settings of the paper's runs and the presets."""

from dataclasses import dataclass, replace
from typing import Literal

from experiments import contract

Method = Literal["multi_planar", "unet_3d"]

Dataset = Literal["mitochondria", "cardiac"]


NAMES: dict[Method, str] = {"multi_planar": "multi-planar", "unet_3d": "3-D"}


@dataclass(frozen=True)
class Volumes:
    """A data set: how many volumes, and what the phantom's look like."""

    num_train: int = 4
    """Volumes to train on."""
    num_validation: int = 0
    """Volumes to validate on, other ones in each repeat; 0: other planes of the volumes trained on."""
    num_test: int = 4
    """Volumes held out."""
    shape: tuple[int, int, int] = (165, 448, 448)
    """Depth, height and width of the phantom's volumes to train on."""
    test_shape: tuple[int, int, int] = (165, 165, 165)
    """Of the phantom's volumes held out."""
    spacing: tuple[float, float, float] = (5.0, 5.0, 5.0)
    """Of the phantom's voxels: nm for mitochondria, mm for hearts."""


@dataclass(frozen=True)
class Grid:
    """The cells of the paper's Figs. 3 and 4 that the tables run, under the paper's own numbers."""

    annotation_planes: tuple[int, ...] = (4, 8, 12, 16)
    """The paper's n_a."""
    training_planes: tuple[int, ...] = (0, 128, 256, 384, 512)
    """The paper's n_t."""
    annotation_divisor: int = 1
    """A row runs with n_a divided by this."""
    training_divisor: int = 1
    """A row runs with n_t divided by this."""


@dataclass(frozen=True)
class Config:
    """One cell of the grid: one method, all its repeats. The defaults are the paper's sizes."""

    method: Method = "multi_planar"
    """A 2-D U-Net on planes of any orientation, or a 3-D U-Net on the same annotated voxels."""
    dataset: Dataset = "mitochondria"
    """Isotropic electron micrographs, or anisotropic cardiac MR."""
    num_annotation_planes: int = 16
    """n_a: planes that an expert has annotated, over all volumes."""
    num_training_planes: int = 512
    """n_t: planes sampled to train on, annotated where they cut the others; 0: the others themselves."""
    num_repeats: int = 12
    """Trainings side by side, each with annotation and training planes and a start of its own."""
    packing: Literal["vmap", "turns", "auto"] = "auto"
    """Repeats in one batched computation, or in turns within the step, which is faster on CPUs."""
    plane_size: int = 256
    """Pixels along the sides of a training plane."""
    patch_size: int = 64
    """Voxels along the sides of the 3-D network's input."""
    min_annotated: int = 16
    """A training plane with fewer annotated pixels is drawn again."""
    batch_size: int = 4
    """Planes per update; patches for the 3-D network, of which a row takes as many as have as many pixels."""
    widths: tuple[int, ...] = (64, 128, 256, 512, 1024)
    """Channels of the 2-D network's levels."""
    widths_3d: tuple[int, ...] = (64, 128, 256, 512)
    """Channels of the 3-D network's levels."""
    use_bias: bool = True
    """Whether convolutions before a batch normalisation have a bias, as the published count has."""
    num_steps: int = 22_400
    """Updates."""
    learning_rate: float = 1e-5
    """Of Adam, constant."""
    validate_every: int = 224
    """Updates between looks at the validation loss, by which the best parameters are kept."""
    num_views: int = 3
    """K: orientations of the prediction planes."""
    max_degrees: float = 20.0
    """Augmentation: rotations by up to so much."""
    max_scale: float = 1.1
    """Augmentation: magnification between 1 over this and this."""
    intensity: float = 0.1
    """Augmentation: bound of changes of brightness and contrast, deviation of noise and of log gamma."""
    mitochondria: Volumes = Volumes()
    cardiac: Volumes = Volumes(12, 4, 4, (110, 320, 320), (110, 320, 320), (1.37, 1.25, 1.25))
    grid: Grid = Grid()

    def __post_init__(self) -> None:
        contract.check_ranges(self, num_annotation_planes=1, num_training_planes=0, num_repeats=1)
        contract.check_ranges(self, plane_size=4, patch_size=4, min_annotated=1, batch_size=1, num_steps=0)
        contract.check_ranges(self, widths=1, widths_3d=1, validate_every=1, num_views=1, max_scale=1)
        contract.check_ranges(self.grid, annotation_divisor=1, training_divisor=1)
        for volumes in (self.mitochondria, self.cardiac):
            contract.check_ranges(volumes, num_train=1, num_validation=0, num_test=1, shape=4, test_shape=4)

    @property
    def volumes(self) -> Volumes:
        """Of the data set."""
        return self.mitochondria if self.dataset == "mitochondria" else self.cardiac

    @property
    def is_planar(self) -> bool:
        """Whether the network sees planes."""
        return self.method == "multi_planar"

    @property
    def cell(self) -> tuple[int, int]:
        """n_a and n_t."""
        return self.num_annotation_planes, self.num_training_planes


def label(method: Method, n_a: int, n_t: int) -> str:
    """Name of a row, with the paper's own numbers of planes."""
    return f"{NAMES[method]} n_a={n_a} n_t={n_t}"


PRESETS: dict[str, contract.Config] = {
    "paper": Config(),
    "demo": Config(
        num_repeats=3,
        plane_size=32,
        patch_size=16,
        min_annotated=8,
        widths=(8, 16, 32),
        widths_3d=(8, 16, 32),
        use_bias=False,
        num_steps=320,
        learning_rate=3e-3,
        validate_every=40,
        mitochondria=Volumes(4, 0, 2, (48, 48, 48), (40, 40, 40), (25.0, 25.0, 25.0)),
        cardiac=Volumes(6, 2, 2, (20, 40, 40), (20, 40, 40), (6.0, 4.0, 4.0)),
        grid=Grid((4, 16), (0, 128, 512), annotation_divisor=2, training_divisor=8),
    ),
}
PRESETS["tiny"] = replace(
    PRESETS["demo"],
    num_annotation_planes=2,
    num_training_planes=8,
    num_repeats=2,
    plane_size=16,
    patch_size=8,
    min_annotated=4,
    widths=(4, 4),
    widths_3d=(4, 4),
    num_steps=2,
    learning_rate=1e-2,
    validate_every=1,
    num_views=2,
    mitochondria=Volumes(2, 0, 1, (16, 16, 16), (12, 12, 12), (60.0, 60.0, 60.0)),
    cardiac=Volumes(2, 1, 1, (8, 12, 12), (8, 12, 12), (15.0, 12.0, 12.0)),
)
