"""The images of one set: the phantom's, or those of a folder."""

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np

from data_pipelines import cache, image_stack, pipeline
from data_pipelines.index_plan import IndexPlan
from data_pipelines.phantoms import cardiac_views
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


@dataclass(frozen=True)
class Source:
    """Images that can be prepared one by one: key of their cache, names, labels, and how one is made."""

    key: Mapping[str, Any]
    names: tuple[str, ...]
    labels: np.ndarray | None
    read: Callable[[int], np.ndarray]


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
    source = _phantom(config) if data_dir is None else _folder(config, data_dir)
    images = image_stack.stack_images(cache_dir / "deepmcat", source.key, config.num_images, source.read)
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


def _phantom(config: Config) -> Source:
    """Phantom images; the balanced set where there are three classes."""
    balanced = config.num_classes == len(cardiac_views.BALANCED)
    listed = cardiac_views.list_images(config.num_images, balanced=balanced)
    grid = {"num_images": config.num_images, "balanced": balanced, "size": config.image_size}
    return Source(
        {"source": PHANTOM, "code": cardiac_views.source_digest(), **grid},
        tuple(f"{cardiac_views.KINDS[label]} {number}" for label, number in listed),
        np.array([label for label, _ in listed]),
        lambda number: cardiac_views.draw_image(_PHANTOM_SEED, *listed[number], config.image_size),
    )


def _folder(config: Config, data_dir: Path) -> Source:
    from data_pipelines.readers import image_folder  # the phantom must run without the medical readers
    from data_pipelines.readers.errors import ReadError

    found = image_folder.find_images(data_dir)
    count = len(found)
    if count != config.num_images:
        raise ReadError(data_dir, f"{count} images", f"{config.num_images}, or --num-images {count}")
    labels = [image.label for image in found]
    known = None if None in labels else np.unique(np.array(labels), return_inverse=True)[1]
    files = cache.fingerprint({image.path for image in found})
    return Source(
        {"source": str(data_dir.resolve()), "files": files, "size": config.image_size},
        tuple(image.name for image in found),
        known,
        lambda number: image_folder.to_square(found[number].read(), config.image_size),
    )
