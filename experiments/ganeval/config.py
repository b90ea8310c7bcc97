"""Settings of the paper's runs and the presets."""

from dataclasses import dataclass, replace
from typing import Literal

from experiments import contract

Method = Literal["dcgan", "lsgan", "wgan_gp", "ac_gan"]

Compared = Literal["S_S", "S_R", "R_R", "R_R other patients"]


@dataclass(frozen=True)
class Gan:
    """Training of a GAN; what differs between the kinds is in `networks.RECIPES`."""

    num_epochs: int = 1000
    """Passes of the discriminator over the real images."""
    num_discriminator_steps: int = 2
    """Updates of the discriminator for one of the generator."""
    width_divisor: int = 1
    """Features of all layers are divided by it; 1 has the original papers' widths."""
    rate_scale: float = 1.0
    """The published learning rates are multiplied by it: for presets with few updates."""


@dataclass(frozen=True)
class Judge:
    """The CNNs that tell synthetic from real images."""

    num_channels: int = 32
    """Of the first block; every other one has twice as many as the one before."""
    num_blocks: int = 4
    """Blocks of two convolutions and a maximum over 2 x 2."""
    num_features: int = 128
    """Width of the last dense layer, whose outputs are compared."""
    learning_rate: float = 1e-3
    """Of Adam, constant."""
    batch_size: int = 32
    """Images per update."""
    num_runs: int = 50
    """CNNs of each class."""
    num_together: int = 100
    """CNNs trained in one program at most; on CPUs one after the other is faster, as README.md measures."""


@dataclass(frozen=True)
class Config:
    """One run: the GANs of one kind, or images from elsewhere, and all that is measured of them."""

    method: Method = "dcgan"
    """The kind of GAN: one for each class, but one AC-GAN for all."""
    synthetic_dir: str = ""
    """A folder of images made elsewhere, evaluated instead of a GAN's; --data-dir has the real ones."""
    compared: Compared = "S_S"
    """Which similarities count as the run's own in the table of Fig. 2."""
    classes: tuple[str, ...] = ("adaptive", "non-adaptive")
    """Names of the sub-folders; one name stands for a folder without sub-folders."""
    image_size: int = 80
    """Height and width in pixels: 5 times a power of 2."""
    window: tuple[float, float] = (0.0, 255.0)
    """Values of the files that become black and white, the same for real and synthetic ones."""
    num_patients: tuple[int, int] = (57, 66)
    """Of the phantom, by class."""
    num_slices: int = 22
    """Of every patient of the phantom."""
    test_share: float = 24 / 123
    """Share of the patients whose images are tested on, by class."""
    batch_size: int = 128
    """Images per update of a GAN's network; a batch holds those of all its discriminator's updates."""
    num_steps: int = 1364
    """Updates of the CNNs: 20 epochs of as many real as synthetic training images, 2182 on average."""
    gan: Gan = Gan()
    judge: Judge = Judge()

    def __post_init__(self) -> None:
        contract.check_ranges(self, num_patients=2, num_slices=1, batch_size=1, num_steps=0)
        contract.check_ranges(self.gan, num_epochs=0, num_discriminator_steps=1, width_divisor=1)
        contract.check_ranges(self.judge, num_channels=1, num_blocks=1, num_features=2, num_runs=1)
        contract.check_ranges(self.judge, batch_size=1, num_together=1)
        if self.image_size not in (20, 40, 80):
            raise ValueError(f"image_size is {self.image_size}; wanted 20, 40 or 80")
        if not (self.classes and 0 < self.test_share < 1):
            raise ValueError(
                f"classes {self.classes}, test_share {self.test_share}; wanted some, and in (0, 1)"
            )
        if self.window[0] >= self.window[1]:
            raise ValueError(f"window is {self.window}; wanted two values, the smaller first")


def gan_config(config: Config) -> Config:
    """All that a GAN depends on; the rest has the values of the class."""
    return replace(config, compared="S_S", num_steps=0, judge=Judge(), synthetic_dir="")


PRESETS: dict[str, contract.Config] = {
    "paper": Config(),
    "demo": Config(
        image_size=20,
        num_patients=(24, 24),
        num_slices=6,
        test_share=0.25,
        batch_size=32,
        num_steps=80,
        gan=Gan(num_epochs=1200, width_divisor=4, rate_scale=2.0),
        judge=Judge(num_channels=8, num_features=32, num_runs=3, num_together=1),
    ),
}
PRESETS["tiny"] = replace(
    PRESETS["paper"],
    image_size=20,
    num_patients=(3, 3),
    num_slices=3,
    test_share=0.34,
    batch_size=4,
    num_steps=2,
    gan=Gan(num_epochs=2, width_divisor=64, rate_scale=5.0),
    judge=Judge(num_channels=2, num_blocks=2, num_features=4, batch_size=4, num_runs=2, num_together=2),
)
