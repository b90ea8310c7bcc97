"""Settings of the paper's runs and the presets."""

from dataclasses import dataclass, replace
from typing import Literal

from data_pipelines.imaging_sets import SetName
from experiments import contract

Method = Literal["unet", "pretraining", "joint", "fsnet", "no_coding", "no_module", "no_weights"]

ScenarioName = Literal["heart", "brain"]


@dataclass(frozen=True)
class Scenario:
    """A target data set, those that expand it, and how networks are trained on them: a row of Table 1."""

    sets: tuple[SetName, ...] = ("hvsmr", "mnms")
    """The target first, then any number of others; at least one."""
    patch: tuple[int, int, int] = (6, 128, 128)
    """Depth, height and width of a patch in voxels; the same for all sets."""
    depth_strides: tuple[int, ...] = (1, 1, 1)
    """Steps down along the depth between levels; height and width are halved. From 6 there is one 2."""
    loss: Literal["dice", "dice_ce"] = "dice"
    """Dice, or its sum with the cross-entropy."""
    learning_rate: float = 5e-4
    """Of Adam, constant."""
    batch_size: int = 6
    """Patches per step of each data set."""
    num_train: int = 6
    """Cases of the target that are trained on; the order of cases is drawn once for all runs."""
    num_validation: int = 0
    """Cases of the target that are kept out; no choice depends on them."""
    num_test: int = 4
    """Cases of the target that are scored; of real data, all that are left."""
    num_others: int = 75
    """Phantom cases of each of the other sets."""
    phantom_shape: tuple[int, int, int] = (120, 160, 160)
    """Depth, height and width of phantoms in voxels."""
    pixel_mm: float = 0.0
    """Pixel size that slices of real data are resampled to; 0 keeps them as they are."""

    def __post_init__(self) -> None:
        contract.check_ranges(self, patch=1, depth_strides=1, batch_size=1, num_train=1, num_validation=0)
        contract.check_ranges(self, num_test=1, num_others=1, phantom_shape=1, pixel_mm=0)
        if len(self.sets) < 2 or len(set(self.sets)) < len(self.sets):
            raise ValueError(f"sets is {self.sets}; wanted a target and at least one other, none twice")


BRAIN = Scenario(
    sets=("wmh", "brats"),
    patch=(32, 128, 128),
    depth_strides=(2, 2, 2),
    loss="dice_ce",
    learning_rate=1e-4,
    batch_size=4,
    num_train=33,
    num_validation=10,
    num_test=10,
    num_others=259,
    phantom_shape=(42, 216, 180),
)


@dataclass(frozen=True)
class Config:
    """One run: one method in one scenario. The defaults are the paper's sizes."""

    method: Method = "fsnet"
    """FS-Net; it without a part; joint training; U-Net of the target alone, from scratch or pre-trained."""
    scenario: ScenarioName = "heart"
    """Heart: sets with the same target. Brain: sets with different ones."""
    batch_size: int = 6
    """Patches per step of each data set; that of the scenario unless changed."""
    num_steps: int = 20_000
    """Updates; of pre-training as many before."""
    main_weight: float = 0.95
    """Of the target in the loss; the other sets share what is left to 1."""
    widths: tuple[int, ...] = (16, 32, 64, 128)
    """Channels of the U-Net's levels."""
    norm: Literal["instance", "none"] = "instance"
    """Of the U-Net. Statistics of a batch would mix the data sets."""
    module_channels: int = 8
    """Channels that the FS modules give."""
    attention: Literal["similar", "dissimilar"] = "similar"
    """Which channels get the large weights: as in the text, or as in the released code of its source."""
    attention_scale: bool = False
    """Whether attention has a learned scale that starts at 0, as in the released code of its source."""
    patches_per_case: int = 8
    """How often a case comes in an epoch."""
    overlap: float = 0.5
    """Of the windows at inference."""
    dtype: Literal["float32", "bfloat16"] = "float32"
    """Of convolutions and activations; everything else is float32."""
    heart: Scenario = Scenario()
    brain: Scenario = BRAIN

    def __post_init__(self) -> None:
        contract.check_ranges(
            self, batch_size=1, num_steps=0, widths=1, module_channels=1, patches_per_case=1
        )
        if not 0 < self.main_weight < 1 or not 0 <= self.overlap < 1:
            raise ValueError(
                f"main_weight is {self.main_weight}, overlap {self.overlap}; wanted within (0, 1) and [0, 1)"
            )
        if len(self.chosen.depth_strides) != len(self.widths) - 1:
            raise ValueError(
                f"depth_strides is {self.chosen.depth_strides}; wanted one fewer than widths {self.widths}"
            )

    @property
    def chosen(self) -> Scenario:
        """The scenario of this run."""
        return self.heart if self.scenario == "heart" else self.brain


def choose(config: Config, scenario: ScenarioName) -> Config:
    """The config in another scenario, with its batch size."""
    if scenario == config.scenario:
        return config
    other = replace(config, scenario=scenario)
    return replace(other, batch_size=other.chosen.batch_size)


_FEW = Scenario(batch_size=4, num_test=8, num_others=20, learning_rate=5e-3)
_DEMO = replace(_FEW, patch=(6, 32, 32), depth_strides=(1, 1), phantom_shape=(24, 48, 48), pixel_mm=3.7)
_DEMO_BRAIN = replace(
    _DEMO, sets=BRAIN.sets, patch=(8, 32, 32), depth_strides=(2, 2), loss="dice_ce", num_train=8
)
_FEWER = Scenario(batch_size=4, num_train=2, num_test=1, num_others=2, learning_rate=1e-2)
_TINY = replace(_FEWER, patch=(2, 8, 8), depth_strides=(1,), phantom_shape=(6, 16, 16))

PRESETS: dict[str, contract.Config] = {
    "paper": Config(),
    "demo": Config(
        batch_size=4,
        num_steps=600,
        widths=(4, 8, 16),
        heart=_DEMO,
        brain=replace(_DEMO_BRAIN, phantom_shape=(20, 48, 40), pixel_mm=4.5),
    ),
    "tiny": Config(
        batch_size=4,
        num_steps=2,
        widths=(2, 3),
        module_channels=3,
        patches_per_case=4,
        heart=_TINY,
        brain=replace(_TINY, sets=BRAIN.sets, loss="dice_ce", depth_strides=(2,)),
    ),
}
