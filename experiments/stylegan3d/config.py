"""Settings of the paper's runs and the presets."""

from dataclasses import dataclass, replace
from typing import Literal

from data_pipelines.head_volumes import FIELD_MM
from experiments import contract

Study = Literal["features", "samples", "real", "parameters", "projection", "mixing"]
Projected = Literal["mean style", "style", "style and noise"]
Mixed = Literal["coarse", "fine"]


@dataclass(frozen=True)
class Networks:
    """Generator and discriminator: a row of Table 1."""

    width: int = 96
    """Channels of all convolutions ("filter depth")."""
    latent_width: int = 96
    """Of latents, styles and the mapping network."""
    base: tuple[int, int, int] = (5, 6, 7)
    """Size of the constant that synthesis starts from."""
    num_doublings: int = 4
    """How often it is doubled: 4 to voxels of 2 mm, 5 to 1 mm."""
    taps: tuple[float, ...] = (1.0, 3.0, 3.0, 3.0, 1.0)
    """Low-pass filter of re-sampling along each axis; StyleGAN2's is 1, 3, 3, 1."""
    dtype: Literal["float32", "bfloat16"] = "float32"
    """Of convolutions and activations; everything else is float32."""
    remat: bool = False
    """Recompute activations in the backward pass instead of storing them."""

    def __post_init__(self) -> None:
        contract.check_ranges(self, width=1, latent_width=1, base=1, num_doublings=1, taps=0)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Of the volumes."""
        first, second, third = (size << self.num_doublings for size in self.base)
        return first, second, third

    @property
    def voxel_mm(self) -> float:
        """Size of the voxels, with which volumes cover the grid's field."""
        return FIELD_MM[0] / self.shape[0]


@dataclass(frozen=True)
class Evaluation:
    """How runs are scored."""

    num_generated: int = 4000
    """Volumes drawn."""
    num_pairs: int = 2000
    """Pairs whose structural similarity is averaged."""
    batch_size: int = 8
    """Of bMMD^2, and of volumes generated at a time."""
    window: int = 11
    """Voxels of the window of structural similarity."""
    feature_widths: tuple[int, ...] = (32, 64, 128, 256)
    """Of the networks whose features of slices are compared."""
    num_projected: int = 8
    """Test volumes that are projected."""
    projection_steps: int = 1000
    """Steps of the search."""
    coarse_factor: int = 8
    """Of the average pooling in the second term of the projection's loss."""
    num_mixed: int = 64
    """Pairs of heads whose styles are mixed."""
    crossover: int = 4
    """Coarse layers, of 10 at 2 mm."""
    feature_weights: str = ""
    """A trained feature network, for distances beside those on random weights: the folder that `export` wrote
    of a run of the study "features", or any safetensors."""

    def __post_init__(self) -> None:
        contract.check_ranges(self, num_generated=2, num_pairs=1, batch_size=1, window=3, feature_widths=1)
        contract.check_ranges(self, num_projected=1, projection_steps=1, coarse_factor=1)
        contract.check_ranges(self, num_mixed=1, crossover=1)


@dataclass(frozen=True)
class Config:
    """One run: one size of networks, and what is looked at after training. The defaults are 2mm-fd96."""

    study: Study = "samples"
    """Samples or training heads beside unseen ones; parameters; projection; mixing; a feature network."""
    projected: Projected = "style and noise"
    """What the projection may move; "mean style" reconstructs nothing."""
    mixed: Mixed = "coarse"
    """Which layers take the style of another head."""
    networks: Networks = Networks()
    batch_size: int = 32
    """Volumes per step."""
    num_steps: int = 10_000
    """Steps; with batches of 32 those are 320,000 volumes."""
    learning_rate: float = 0.002
    """Of Adam for all networks."""
    regularise_every: int = 16
    """Steps between path-length updates; 1 has one in every step."""
    path_weight: float = 2.0
    """Of the path-length penalty."""
    mixing_probability: float = 0.9
    """How often styles of two latents are mixed in training."""
    average_half_life: float = 10_000.0
    """Of the averaged generator, in volumes."""
    num_train: int = 256
    """Phantoms to train on; of real data, all that are not tested on."""
    num_test: int = 64
    """Unseen phantoms; of real data, `test_share`."""
    test_share: float = 0.37
    """Of real data held out."""
    evaluation: Evaluation = Evaluation()

    def __post_init__(self) -> None:
        contract.check_ranges(self, batch_size=1, num_steps=0, learning_rate=0, regularise_every=1)
        contract.check_ranges(self, path_weight=0, average_half_life=1, num_train=2, num_test=2)
        if not 0 <= self.mixing_probability <= 1 or not 0 < self.test_share < 1:
            raise ValueError("mixing_probability and test_share: wanted within [0, 1] and (0, 1)")


def training_config(config: Config) -> Config:
    """All that training depends on: the rest has the values of the class."""
    fresh = {name: getattr(Config(), name) for name in ("study", "projected", "mixed", "evaluation")}
    if config.study == "features":
        widths = config.evaluation.feature_widths
        fresh |= {"study": "features", "evaluation": Evaluation(feature_widths=widths)}
    return replace(config, **fresh)


SIZES = {
    "2mm-fd16": Networks(16, 64),
    "2mm-fd32": Networks(32, 128),
    "2mm-fd64": Networks(64, 64),
    "2mm-fd96": Networks(),
    "1mm-fd16": Networks(16, 32, num_doublings=5),
}
"""The configurations of Table 1; at 1 mm with the 32 latents of the text, as the printed count has it."""

PRESETS: dict[str, contract.Config] = {
    "paper": Config(),
    **{name: Config(networks=networks) for name, networks in SIZES.items()},
    "demo": Config(
        networks=Networks(12, 12, num_doublings=2),
        batch_size=4,
        num_steps=1000,
        average_half_life=400.0,
        evaluation=Evaluation(64, 64, 8, 5, (16, 32, 64), 4, 100, 4, 16, 2),
    ),
    "tiny": Config(
        networks=Networks(4, 4, num_doublings=1),
        batch_size=4,
        num_steps=2,
        average_half_life=16.0,
        num_train=6,
        num_test=4,
        evaluation=Evaluation(4, 2, 4, 5, (4,), 1, 2, 2, 2, 2),
    ),
}
