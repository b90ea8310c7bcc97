"""Settings of the paper's runs and the presets."""

from dataclasses import dataclass, replace
from typing import Any, Literal

from experiments import contract
from jaxmed.active.acquisition import Sampling, Scoring

StudyName = Literal["balanced", "unbalanced"]


@dataclass(frozen=True)
class Study:
    """The data, network and optimisation of one table; the defaults are those of Table 2."""

    dataset: Literal["digits", "unbalanced-digits", "chest-xray"] = "chest-xray"
    """Where there is no --data-dir: scikit-learn's digits, or the phantom."""
    num_images: int = 15153
    """How many radiographs the phantom has."""
    num_classes: int = 3
    channels: int = 1
    """Of the images: 1 grey, 3 colour."""
    stored_size: int = 256
    """Height and width of the images; radiographs are resized to it."""
    padding: int = 0
    """Zeros around the images before they are cropped."""
    image_size: int = 224
    """Height and width of the random crops; evaluation takes the middle."""
    flip: bool = True
    """Random horizontal flips."""
    network: Literal["resnet", "mobilenet"] = "mobilenet"
    widths: tuple[int, ...] = (64, 128, 256, 512)
    """Of the stages of the residual network."""
    blocks: tuple[int, ...] = (2, 2, 2, 2)
    """Of each of its stages."""
    stem_stride: int = 1
    """Of its first convolution."""
    learning_rate: float = 0.01
    """Of stochastic gradient descent, falling to 0 as half a cosine."""
    batch_size: int = 64
    num_steps: int = 2368
    """In each round: 25 epochs of 40 % of the data."""

    def __post_init__(self) -> None:
        contract.check_ranges(self, num_images=30, num_classes=2, channels=1, stored_size=1, padding=0)
        contract.check_ranges(self, image_size=1, widths=1, blocks=1, batch_size=1, num_steps=1)


CIFAR = Study(
    dataset="digits",
    num_classes=10,
    channels=3,
    stored_size=32,
    padding=4,
    image_size=32,
    network="resnet",
    learning_rate=0.03,
    batch_size=128,
    num_steps=13_125,
)
"""Table 1: CIFAR-10 and ResNet-18; 70 epochs of 40 % of the data."""


@dataclass(frozen=True)
class Config:
    """One run: one method on one study. The defaults are the paper's sizes."""

    sampling: Sampling = "random"
    """How queries are chosen; `published_` and `one_shot` choose as the released code does."""
    scoring: Scoring = "margin"
    """How informative an image is; random sampling does not ask."""
    study: StudyName = "unbalanced"
    """Which of the two studies."""
    batch_size: int = 64
    """Images per step; that of the study unless changed."""
    num_steps: int = 2368
    """Steps of each round; those of the study unless changed."""
    num_rounds: int = 3
    """Rounds of queries after the first training."""
    query_fraction: float = 0.1
    """Share of all images that is labelled at the start, and again in each round."""
    shares: tuple[float, float, float] = (0.8, 0.1, 0.1)
    """Of the pool, the validation and the test images."""
    momentum: float = 0.0
    """Of stochastic gradient descent; the released code has none."""
    dtype: Literal["float32", "bfloat16"] = "float32"
    """Of the network's convolutions and activations; everything else is float32."""
    unbalanced: Study = Study()
    balanced: Study = CIFAR

    def __post_init__(self) -> None:
        contract.check_ranges(self, batch_size=1, num_steps=1, num_rounds=0, shares=0)
        if not 0 < self.query_fraction * (self.num_rounds + 1) <= self.shares[0]:
            raise ValueError(
                f"query_fraction is {self.query_fraction}; wanted more than 0 and, in {self.num_rounds + 1} "
                f"parts, at most the pool's share {self.shares[0]}"
            )

    @property
    def chosen(self) -> Study:
        """The study of this run."""
        return self.balanced if self.study == "balanced" else self.unbalanced


def without_method(config: Config) -> Config:
    """What the training of a round depends on."""
    return replace(config, sampling="random", scoring="margin")


def choose(config: Config, study: StudyName) -> Config:
    """The config with another study, and its batch size and steps."""
    if study == config.study:
        return config
    other = replace(config, study=study)
    return replace(other, batch_size=other.chosen.batch_size, num_steps=other.chosen.num_steps)


_NETWORK: dict[str, Any] = {"network": "resnet", "widths": (8, 16, 32), "blocks": (1, 1, 1)}
_DIGITS = replace(CIFAR, channels=1, stored_size=8, padding=1, image_size=8, flip=False, **_NETWORK)
_DIGITS = replace(_DIGITS, learning_rate=0.1, batch_size=32, num_steps=300)
_XRAY = Study(num_images=3000, stored_size=32, padding=2, image_size=32, stem_stride=2, **_NETWORK)
_XRAY = replace(_XRAY, learning_rate=0.1, batch_size=32, num_steps=400)
_TINY: dict[str, Any] = {"widths": (4, 4), "blocks": (1, 1), "batch_size": 8, "num_steps": 4}

PRESETS: dict[str, contract.Config] = {
    "paper": Config(),
    "demo": Config(
        batch_size=_XRAY.batch_size,
        num_steps=_XRAY.num_steps,
        query_fraction=0.06,
        shares=(0.6, 0.0, 0.4),
        momentum=0.9,
        unbalanced=_XRAY,
        balanced=_DIGITS,
    ),
}
PRESETS["tiny"] = replace(
    PRESETS["demo"],
    batch_size=8,
    num_steps=4,
    num_rounds=1,
    query_fraction=0.1,
    shares=(0.6, 0.1, 0.3),
    unbalanced=replace(_XRAY, num_images=60, stored_size=16, image_size=16, **_TINY),
    balanced=replace(_DIGITS, **_TINY),
)
