"""Settings of the paper's runs and the presets."""

from dataclasses import dataclass, replace
from typing import Literal

from experiments import contract

Method = Literal["raw", "classical", "vae", "rhvae", "manifold"]

Source = Literal["characters", "brains", "folder"]


@dataclass(frozen=True)
class Generator:
    """The generative models: one for each class of each data set."""

    hidden: int = 400
    """Width of the hidden layers."""
    num_latents: int = 10
    """Dimension of the latent space."""
    temperature: float = 1.5
    """T of the metric, how far a centroid reaches."""
    floor: float = 1e-3
    """Lambda of the metric."""
    num_leapfrog: int = 3
    """Leapfrog steps in training."""
    leapfrog_step: float = 0.01
    """Their length."""
    beta_zero_sqrt: float = 0.3
    """Tempering: the momentum starts divided by this."""
    learning_rate: float = 1e-3
    """Of Adam, constant."""
    num_steps: int = 10_000
    """Updates at most; one is an epoch where a class fits into a batch."""
    patience: int = 50
    """A model stops after so many updates without a lower training loss, and keeps its best parameters."""


@dataclass(frozen=True)
class Sampler:
    """Hamiltonian Monte Carlo on the inverse volume element."""

    num_moves: int = 100
    """Proposals per sample."""
    num_leapfrog: int = 15
    """Leapfrog steps per proposal."""
    leapfrog_step: float = 0.05
    """Their length."""
    max_samples: int = 2000
    """Samples drawn per class; rows take the first ones."""


@dataclass(frozen=True)
class Classifier:
    """The classifiers that the augmentation is judged by."""

    growth: int = 10
    """Of the DenseNet."""
    depth: int = 20
    """Of the DenseNet."""
    widths: tuple[int, ...] = (32, 64, 128, 256)
    """Of the CNN's levels."""
    hidden: tuple[int, ...] = (400, 100)
    """Of the MLP's hidden layers."""
    learning_rate: float = 1e-3
    """Of AdamW, constant."""
    weight_decay: float = 1e-4
    """Of AdamW."""
    validate_every: int = 100
    """Updates between looks at the validation loss, by which the best parameters are kept."""


@dataclass(frozen=True)
class Config:
    """One run: one way of augmenting, on every data set of the table, with and without the raw data."""

    method: Method = "raw"
    """Raw data; classical augmentation; samples of a VAE's or an RHVAE's prior, or of an RHVAE's manifold."""
    source: Source = "characters"
    """Characters: three sets, one classifier (Table 2). Brains: one set, three classifiers (Table 3).
    Folder: one set, the images of --data-dir, one classifier."""
    num_classes: int = 2
    """Of the images of a folder; characters have ten, brains two."""
    num_samples: int = 200
    """Generated images per class."""
    factor: int = 5
    """Of classical augmentation: the augmented set is so many times as large as the raw one."""
    image_shape: tuple[int, int] = (28, 28)
    """Height and width of characters and of images of a folder."""
    brain_shape: tuple[int, int] = (208, 176)
    """Height and width of brains."""
    num_raw: int = 500
    """Images drawn from each set of characters, 80 % for training and 20 % for validation."""
    num_runs: int = 5
    """Independent classifiers of each kind, trained side by side."""
    batch_size: int = 200
    """Images per update, of generative models and of classifiers."""
    num_steps: int = 5000
    """Updates of a classifier."""
    generator: Generator = Generator()
    sampler: Sampler = Sampler()
    classifier: Classifier = Classifier()

    def __post_init__(self) -> None:
        contract.check_ranges(self, num_samples=1, factor=2, image_shape=4, brain_shape=4, num_raw=20)
        contract.check_ranges(self, num_classes=2, num_runs=1, batch_size=1, num_steps=0)
        contract.check_ranges(self.generator, hidden=1, num_latents=1, num_leapfrog=1, num_steps=1)
        contract.check_ranges(self.sampler, num_moves=0, num_leapfrog=1, max_samples=1)
        contract.check_ranges(self.classifier, growth=1, depth=10, widths=1, hidden=1, validate_every=1)
        if self.num_samples > self.sampler.max_samples:
            raise ValueError(f"num_samples is {self.num_samples}; wanted {self.sampler.max_samples} at most")

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width of the source's images."""
        return self.brain_shape if self.source == "brains" else self.image_shape


def generator_config(config: Config) -> Config:
    """All that a generative model depends on: the rest has the values of the class."""
    kind = "vae" if config.method == "vae" else "rhvae"
    kept = ("source", "num_classes", "image_shape", "brain_shape", "num_raw", "batch_size", "generator")
    return Config(method=kind, **{name: getattr(config, name) for name in kept})


PRESETS: dict[str, contract.Config] = {
    "paper": Config(),
    "demo": Config(
        image_shape=(8, 8),
        brain_shape=(32, 28),
        num_runs=2,
        batch_size=40,
        num_steps=1200,
        # Why the patience and the temperature are not the paper's is said in the README.
        generator=Generator(hidden=64, num_latents=5, temperature=1.1, num_steps=2000, patience=400),
        sampler=Sampler(num_moves=40, num_leapfrog=10),
        classifier=Classifier(growth=8, depth=10, widths=(8, 16, 32), hidden=(64,), validate_every=40),
    ),
}
PRESETS["tiny"] = replace(
    PRESETS["paper"],
    image_shape=(8, 8),
    brain_shape=(16, 12),
    num_raw=60,
    num_samples=6,
    num_runs=1,
    batch_size=8,
    num_steps=2,
    generator=Generator(hidden=8, num_latents=2, num_steps=3),
    sampler=Sampler(num_moves=2, num_leapfrog=2, max_samples=6),
    classifier=Classifier(growth=2, depth=10, widths=(4,), hidden=(4,), validate_every=1),
)
