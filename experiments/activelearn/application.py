"""What users do with their own images: rank a folder for labelling, and look at the phantom."""

import csv
from pathlib import Path

import jax.numpy as jnp
import numpy as np

from data_pipelines.phantoms import chest_xray
from data_pipelines.readers import image_sets
from data_pipelines.readers.errors import ReadError
from experiments.activelearn.config import Config
from experiments.activelearn.evaluate import predict_images
from jaxmed.active import acquisition
from jaxmed.report import pictures
from jaxmed.report.figures import save

_SCORINGS: tuple[acquisition.Scoring, ...] = ("confidence", "margin", "emc")


def check_data(config: Config, data_dir: Path) -> tuple[str, int]:
    """Reads every image of a data directory; returns a report and the number of problems."""
    return image_sets.inspect_set(data_dir)


def predict(config: Config, state, input: Path, output: Path) -> None:
    """Ranks grey images (a file, or a folder) for labelling, the most informative by the run's scoring first.

    The output is a CSV file with the probabilities and all scores.

    Raises:
        ReadError: no images, one that cannot be read, or a network for colour images.
    """
    study = config.chosen
    if study.channels != 1:
        raise ReadError(input, "grey images for a network of colour images", "a run on grey images")
    names, images = image_sets.read_grey_images(input, study.stored_size)
    probabilities, embeddings = predict_images(config, state, images, np.arange(len(names)))
    scores = {
        name: np.asarray(acquisition.score(name, jnp.asarray(probabilities), jnp.asarray(embeddings)))
        for name in _SCORINGS
    }
    order = np.argsort(-scores[config.scoring], kind="stable")
    with output.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["file", *(f"probability {k}" for k in range(study.num_classes)), *_SCORINGS])
        for i in order:
            values = [*probabilities[i], *(scores[name][i] for name in _SCORINGS)]
            writer.writerow([names[i], *(f"{value:.6g}" for value in values)])


def sample(config: Config, state, input: Path | None, directory: Path) -> list[Path]:
    """Draws six radiographs of each class of the phantom, large, the same subjects in each row.

    Raises:
        ReadError: an input is given: there is nothing to draw from it.
    """
    if input is not None:
        raise ReadError(input, "an input", "none: the pictures show the phantom")
    panels = {
        f"{finding}, subject {subject}": chest_xray.draw_radiograph(subject, finding, 224)
        for finding in chest_xray.FINDINGS
        for subject in range(6)
    }
    return [save(pictures.draw_slices(panels, 6, (0.0, 255.0)), directory / "phantom.png")]
