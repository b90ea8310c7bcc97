"""What users do with their own images: sort a folder into clusters, look at augmentations, check a folder."""

import csv
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from data_pipelines.phantoms import cardiac_views
from experiments.deepmcat.algorithm import ClusterState, draw_augmentation, prepare
from experiments.deepmcat.config import Config
from experiments.deepmcat.evaluate import make_inference
from jaxmed.infer.slicewise import make_slicewise
from jaxmed.report import contact_sheet
from jaxmed.report.figures import save


def predict(config: Config, state: ClusterState, input: Path, output: Path) -> None:
    """Sorts a folder of images into the clusters of the last epoch.

    Writes into the folder `output`: `clusters.csv`, every image with its cluster and the probability of it,
    and `clusters.png`, a contact sheet with the surest images of the largest clusters.

    Raises:
        ReadError: if an image cannot be read.
    """
    from data_pipelines.readers import image_folder

    found = image_folder.find_images(input)
    images = np.stack([image_folder.to_square(image.read(), config.image_size) for image in found])
    network = make_inference(config, state)
    probabilities = make_slicewise(network.function, network.variables, config.batch_size)(images)
    clusters, surest = probabilities.argmax(-1), probabilities.max(-1)
    output.mkdir(parents=True, exist_ok=True)
    with (output / "clusters.csv").open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["file", "cluster", "probability"])
        for image, cluster, probability in zip(found, clusters, surest, strict=True):
            writer.writerow([image.name, int(cluster), f"{probability:.4f}"])
    save(contact_sheet.draw_groups(images, clusters, surest), output / "clusters.png")


def sample(config: Config, state: ClusterState | None, input: Path | None, directory: Path) -> list[Path]:
    """Draws images and five augmentations of each: of a folder, or of the phantom's kinds.

    The state is not needed: augmentation has no trained part.
    """
    if input is None:
        labels, name = range(len(cardiac_views.KINDS)), "phantom"
        images = np.stack([cardiac_views.draw_image(0, label, 0, config.image_size) for label in labels])
    else:
        from data_pipelines.readers import image_folder

        found = image_folder.find_images(input)[:12]
        images = np.stack([image_folder.to_square(image.read(), config.image_size) for image in found])
        name = input.resolve().name
    keys = jax.random.split(jax.random.key(0), 5)
    draws = [draw_augmentation(config, key, len(images)) for key in keys]
    augmented = [np.asarray(prepare(jnp.asarray(images), draw))[..., 0] for draw in draws]
    figure = contact_sheet.draw_rows([images, *augmented])
    return [save(figure, directory / f"augmentations-{name}.png")]


def check_data(config: Config, data_dir: Path) -> tuple[str, int]:
    """Reads every image of a folder; returns the report and the number of problems."""
    from data_pipelines.readers import image_folder

    return image_folder.inspect(data_dir)
