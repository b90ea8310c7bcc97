"""Settings of the paper's runs and the presets."""

from dataclasses import dataclass, replace
from typing import Literal

from experiments import contract

Features = Literal["network", "pixels", "pca"]
Targets = Literal["clusters", "labels"]


@dataclass(frozen=True)
class Config:
    """One run on one set of images. The defaults are the paper's sizes, on its set (iii)."""

    num_images: int = 23_943
    """Images in the set; a data directory must hold exactly as many."""

    num_classes: int = 13
    """Kinds of images, which only set the number of clusters; 3 selects the balanced set of the phantom."""

    clusters_per_class: int = 8
    """Clusters are so many times the classes."""

    features: Features = "network"
    """What is clustered in the end: the network's features, raw pixels, or their principal components."""

    targets: Targets = "clusters"
    """What the network learns to tell: clusters of its own features, or the labels, as an upper bound."""

    num_epochs: int = 200
    """Clusterings, each followed by training; 0 leaves the network untrained."""

    passes: int = 1
    """Times the number of images that are seen between clusterings; small sets need more than one."""

    batch_size: int = 256
    """Images per step."""

    image_size: int = 224
    """Height and width in pixels."""

    stages: tuple[tuple[int, ...], ...] = ((64, 64), (128, 128), (256,) * 3, (512,) * 3, (512,) * 3)
    """Channels of the convolutions in the stages of the VGG network."""

    hidden: tuple[int, ...] = (4096, 4096)
    """Hidden layers; the last one's outputs before its ReLU are clustered. None clusters the pooled maps."""

    pooled_size: int = 7
    """Side of the adaptively averaged maps."""

    dropout: float = 0.5
    """After the first hidden layer."""

    dense_std: float = 0.01
    """Of the initial kernels of the hidden layers; narrower ones need more to keep the signal."""

    learning_rate: float = 0.05
    """Of stochastic gradient descent, constant."""

    momentum: float = 0.9
    """Of everything but the last layer, which starts anew after each clustering."""

    weight_decay: float = 1e-5
    """Of all parameters."""

    max_degrees: float = 30.0
    """Rotations lie within this angle, in training and in clustering."""

    crop_area: tuple[float, float] = (0.3, 1.0)
    """Share of the image that a random crop shows."""

    kmeans_iterations: int = 20
    """Lloyd iterations at most."""

    sampling: Literal["uniform", "weighted"] = "uniform"
    """Clusters count alike: images of a set on the devices drawn uniformly over them, or all from the host
    in turn, weighted by the inverse size of their cluster."""

    dtype: Literal["float32", "bfloat16"] = "float32"
    """Of the network's convolutions and activations; everything else is float32."""

    def __post_init__(self) -> None:
        contract.check_ranges(self, num_images=1, num_classes=1, clusters_per_class=1, num_epochs=0, passes=1)
        contract.check_ranges(self, batch_size=1, image_size=8, pooled_size=1, kmeans_iterations=1, dropout=0)
        contract.check_ranges(self, max_degrees=0, crop_area=1e-3)
        if self.num_clusters > self.num_images:
            raise ValueError(
                f"num_images is {self.num_images}; wanted one for each of {self.num_clusters} clusters"
            )

    @property
    def num_clusters(self) -> int:
        """Clusters that k-means looks for."""
        return self.clusters_per_class * self.num_classes

    @property
    def steps_per_epoch(self) -> int:
        """Whole batches between clusterings, at least one."""
        return max(self.passes * self.num_images // self.batch_size, 1)

    @property
    def num_steps(self) -> int:
        """Of the whole training."""
        return self.num_epochs * self.steps_per_epoch


PRESETS: dict[str, contract.Config] = {
    "paper": Config(),
    "demo": Config(
        num_images=1200,
        num_epochs=15,
        passes=3,
        batch_size=32,
        image_size=40,
        stages=((8,), (16,), (32,), (64,)),
        hidden=(128, 64),
        pooled_size=2,
        dense_std=0.1,
    ),
}
PRESETS["tiny"] = replace(
    PRESETS["paper"],
    num_images=24,
    num_classes=3,
    clusters_per_class=2,
    num_epochs=2,
    batch_size=8,
    image_size=16,
    stages=((4,), (6,)),
    hidden=(16, 8),
    pooled_size=2,
    dense_std=0.3,
)
