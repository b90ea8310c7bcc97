"""The pool from which queries are chosen, and the images to test on: built-in, or real data."""

import functools
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import jax
import numpy as np

from data_pipelines import pipeline
from data_pipelines.index_plan import IndexPlan
from data_pipelines.labelled_images import LabelledImages, make_batches, split_randomly
from data_pipelines.phantoms import chest_xray_set
from data_pipelines.readers.digits import read_digits
from experiments.activelearn.config import Config, Study
from experiments.contract import Data

_RATIO = 0.13
"""Of the rarest unbalanced digit to the most frequent one, as of the paper's classes."""


@dataclass(frozen=True)
class Pool:
    """What a run chooses from and is tested on.

    Attributes:
        images: all images and classes.
        pool: positions of the images that may be queried.
        test: positions of the test images.
        start: positions in the pool of the images that are labelled at the start.
        num_queries: images to label in each round.
        batches: `batches(labelled)(first_step)` gives the training batches of the images at these positions
            in the pool.
    """

    images: LabelledImages
    pool: np.ndarray
    test: np.ndarray
    start: np.ndarray
    num_queries: int
    batches: Callable[[np.ndarray], Callable[[int], Generator[Mapping[str, np.ndarray], None, None]]]


def example_batch(config: Config) -> dict[str, jax.ShapeDtypeStruct]:
    """Stored images (batch, size, size, channels) in 0 to 255, and classes (batch,)."""
    size, channels = config.chosen.stored_size, config.chosen.channels
    return {
        "image": jax.ShapeDtypeStruct((config.batch_size, size, size, channels), np.uint8),
        "label": jax.ShapeDtypeStruct((config.batch_size,), np.int32),
    }


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
    """Opens the images, splits them by the seed, and draws those that are labelled at the start.

    Arguments as in `contract.Experiment`; the executor is not used, since batches are cut from arrays in
    memory, nor `max_bad_cases`, since any image may be a test image.

    Returns:
        Batches of the images that are labelled at the start, and a `Pool`.

    Raises:
        ValueError: the images do not suit the config.
    """
    images = _find(config.chosen, data_dir, cache_dir / "activelearn")
    _check(config.chosen, images)
    pool, _, test = _split(config, images, seed)
    num_queries = round(config.query_fraction * len(images.labels))
    generator = np.random.Generator(np.random.Philox(key=np.array([seed, 2**63], np.uint64)))
    start = np.sort(generator.permutation(len(pool))[:num_queries])

    def batches(labelled: np.ndarray):
        plan = IndexPlan(len(labelled), config.batch_size, seed)
        part = plan.host_slice(process_index, process_count)
        return functools.partial(make_batches, images, pool[labelled], plan, part)

    name = data_name(config) if data_dir is None else data_dir.resolve().name
    return Data(name, batches(start), Pool(images, pool, test, start, num_queries, batches))


def data_name(config: Config) -> str:
    """The name of the built-in data."""
    return {
        "digits": "scikit-learn digits",
        "unbalanced-digits": "scikit-learn digits, made unbalanced",
        "chest-xray": "phantom",
    }[config.chosen.dataset]


def _find(study: Study, data_dir: Path | None, cache_dir: Path) -> LabelledImages:
    """Real images, the phantom, or scikit-learn's digits."""
    if data_dir is not None:
        from data_pipelines.readers import image_sets

        return image_sets.read_set(data_dir, cache_dir, study.stored_size)
    if study.dataset == "chest-xray":
        return chest_xray_set.draw_set(study.num_images, study.stored_size, cache_dir)
    return read_digits(_RATIO if study.dataset == "unbalanced-digits" else 1.0)


def _split(config: Config, images: LabelledImages, seed: int) -> Sequence[np.ndarray]:
    """A random split, but for sets that come with validation images; the paper splits CIFAR-10 anew."""
    if images.parts is None or not (images.parts == 1).any():
        return split_randomly(len(images.labels), config.shares, seed)
    return [np.flatnonzero(images.parts == part) for part in range(3)]


def _check(study: Study, images: LabelledImages) -> None:
    wanted = (study.stored_size, study.stored_size, study.channels)
    if images.images.shape[1:] != wanted or len(images.classes) != study.num_classes:
        raise ValueError(
            f"images of shape {images.images.shape[1:]} in {len(images.classes)} classes; the study has "
            f"stored_size, channels {wanted[1:]} and num_classes {study.num_classes}"
        )
    if study.image_size > study.stored_size + 2 * study.padding:
        raise ValueError(f"image_size is {study.image_size}; wanted at most stored_size + 2 padding")
