"""The images of one set: the phantom's, or those of a folder."""

from collections.abc import Generator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np

from data_pipelines import image_sources, pipeline
from data_pipelines.index_plan import IndexPlan
from data_pipelines.phantoms import cardiac_views
from data_pipelines.readers.errors import ReadError
from experiments.contract import PHANTOM, Data
from experiments.deepmcat.config import Config
from jaxmed.train.resident import Resident, resident_batches

_PHANTOM_SEED = 0


@dataclass(frozen=True)
class ImageSet:
    """All images of a run.

    Attributes:
        images: (images, height, width) uint8.
        labels: (images,) kinds of the images, or None where nobody knows.
    """

    images: np.ndarray
    labels: np.ndarray | None


def example_batch(config: Config) -> dict[str, Any]:
    """The images' numbers, (batch,), with all images on the devices or those of the batch, uint8."""
    side = (config.image_size, config.image_size)
    index = jax.ShapeDtypeStruct((config.batch_size,), np.int32)
    if config.sampling == "uniform":
        return {"index": index, "image": Resident(jax.ShapeDtypeStruct((config.num_images, *side), np.uint8))}
    return {"index": index, "image": jax.ShapeDtypeStruct((config.batch_size, *side), np.uint8)}


def make_data(
    config: Config,
    *,
    seed: int,
    data_dir: Path | None,
    cache_dir: Path,
    executor: pipeline.Executor = "auto",
    process_index: int = 0,
    process_count: int = 1,
    max_bad_cases: int = 0,
) -> Data:
    """Opens the images, preparing what is not in the cache yet; arguments as in `contract.Experiment`.

    Returns:
        Batches of image numbers, each once per pass, with the images; evaluation is an `ImageSet`.

    Raises:
        ValueError: if images may be left out.
        ReadError: if the folder holds another number of images than the config says.
    """
    if max_bad_cases:
        raise ValueError("deepmcat clusters every image of a set; wanted --faults.max-bad-cases 0")
    source = _find(config, data_dir)
    images = source.stack(cache_dir / "deepmcat")
    plan = IndexPlan(config.num_images, config.batch_size, seed)
    part = plan.host_slice(process_index, process_count)

    def load(index: int, generator: np.random.Generator) -> dict[str, np.ndarray]:
        return {"index": np.array(index, np.int32), "image": images[index]}

    def batches(step: int) -> Generator[Mapping[str, Any], None, None]:
        if config.sampling == "uniform":
            yield from resident_batches({"image": images}, lambda s: plan.indices(s)[part], step)
        options = {"process_index": process_index, "process_count": process_count}
        yield from pipeline.make_batches(load, plan, first_step=step, executor=executor, **options)

    def describe(step: int) -> list[str]:
        return [source.names[index] for index in plan.indices(step)]

    return Data(
        PHANTOM if data_dir is None else data_dir.resolve().name,
        batches,
        ImageSet(images, source.labels),
        # Uniform sampling draws its images on the device, by clusters.
        describe=describe if config.sampling == "weighted" else None,
    )


def _find(config: Config, data_dir: Path | None) -> image_sources.ImageSource:
    """The phantom, its balanced set where there are three classes, or a folder."""
    if data_dir is None:
        balanced = config.num_classes == len(cardiac_views.BALANCED)
        return image_sources.cardiac_phantom(
            config.num_images, config.image_size, balanced=balanced, seed=_PHANTOM_SEED
        )
    source = image_sources.image_folder(data_dir, config.image_size)
    if (count := len(source.names)) != config.num_images:
        raise ReadError(data_dir, f"{count} images", f"{config.num_images}, or --num-images {count}")
    return source
