"""Real images of both classes, split by patient; and synthetic ones where they come from a folder."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import jax
import numpy as np

from data_pipelines import image_sources, pipeline, split_images
from data_pipelines.example_stream import Load
from data_pipelines.index_plan import IndexPlan
from data_pipelines.labelled_images import label_by_set, make_loader
from data_pipelines.phantoms import lung_tumour
from data_pipelines.readers.errors import ReadError
from data_pipelines.split_images import SplitImages
from experiments.contract import PHANTOM, Data
from experiments.ganeval.config import Config

_SEED = 10
"""Of the phantom and of the split, which do not depend on the seed of a run."""


_MAX_STREAMS = 1024
"""Of random batches in a run: CNNs that are trained one after the other must not get the same ones."""


@dataclass(frozen=True)
class Study:
    """Real images by class, synthetic ones where no GAN makes them; (load, examples, size) to batches."""

    real: Mapping[str, SplitImages]
    synthetic: Mapping[str, SplitImages]
    make_batches: Callable[..., Callable[[int], pipeline.Batches]]


def groups(config: Config) -> dict[str, tuple[str, ...]]:
    """The GANs of a run: their names, and the classes that each is trained on."""
    if config.method == "ac_gan":
        return {"all": config.classes}
    return {name: (name,) for name in config.classes}


def example_batch(config: Config) -> dict[str, jax.ShapeDtypeStruct]:
    """A batch of a GAN: images (batch x discriminator's updates, size, size, 1), and their classes."""
    return _batch(config, config.batch_size * config.gan.num_discriminator_steps)


def judge_batch(config: Config, count: int) -> dict[str, jax.ShapeDtypeStruct]:
    """A batch of CNNs: images (batch, CNNs, size, size, 1), and 1 for synthetic ones."""
    return _batch(config, config.judge.batch_size, count)


def _batch(config: Config, *shape: int) -> dict[str, jax.ShapeDtypeStruct]:
    image = jax.ShapeDtypeStruct((*shape, config.image_size, config.image_size, 1), np.uint8)
    return {"image": image, "label": jax.ShapeDtypeStruct(shape, np.int32)}


def gan_batches(config: Config, study: Study, name: str) -> tuple[Callable[[int], pipeline.Batches], int]:
    """The batches of one of the GANs, and of how many images they are."""
    images = label_by_set(*(study.real[label].train for label in groups(config)[name]))
    size = config.batch_size * config.gan.num_discriminator_steps
    return study.make_batches(make_loader(images), len(images.labels), size), len(images.labels)


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
        Batches of the first GAN; evaluation is a `Study`.

    Raises:
        ValueError: if images may be left out.
        ReadError: if a folder lacks a class or has too few images of it, or the phantom lacks one.
    """
    if max_bad_cases:
        raise ValueError("ganeval compares every image of a set; wanted --faults.max-bad-cases 0")

    def make_batches(load: Load, num_examples: int, size: int, stream: int = 0) -> Callable:
        plan = IndexPlan(num_examples, size, _MAX_STREAMS * seed + stream)
        options = {"process_index": process_index, "process_count": process_count}
        return lambda step: pipeline.make_batches(load, plan, first_step=step, executor=executor, **options)

    real = _read(config, data_dir, cache_dir / "ganeval", by_subject=True)
    synthetic: dict[str, SplitImages] = {}
    if config.synthetic_dir:
        synthetic = _read(config, Path(config.synthetic_dir), cache_dir / "ganeval", by_subject=False)
        for name in config.classes:
            real[name], synthetic[name] = split_images.equalise(real[name], synthetic[name])
    study = Study(real, synthetic, make_batches)
    name = PHANTOM if data_dir is None else data_dir.resolve().name
    return Data(name, gan_batches(config, study, next(iter(groups(config))))[0], study)


def _read(config: Config, folder: Path | None, cache: Path, *, by_subject: bool) -> dict[str, SplitImages]:
    if folder is not None:
        source = image_sources.image_folder(folder, config.image_size, window=config.window)
    elif config.classes == lung_tumour.CLASSES:
        options = {"num_slices": config.num_slices, "size": config.image_size, "seed": _SEED}
        source = image_sources.lung_tumours(config.num_patients, **options)
    else:
        raise ReadError("--data-dir", "none", f"one, as the phantom's classes are {lung_tumour.CLASSES}")
    options = {"place": folder or PHANTOM, "test_share": config.test_share, "seed": _SEED}
    return split_images.split_classes(source, cache, config.classes, by_subject=by_subject, **options)
