"""Volumes, their sparse annotation in every repeat, and the batches of all repeats side by side."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import jax
import numpy as np

from data_pipelines import cache, pipeline, side_by_side, standardised_volumes
from data_pipelines.annotated_patches import AnnotatedPatches
from data_pipelines.example_stream import Load
from data_pipelines.index_plan import IndexPlan
from experiments.contract import PHANTOM, Data
from experiments.mpunet.config import Config
from jaxmed.ops import sparse_annotation
from jaxmed.ops.sparse_annotation import UNKNOWN, Annotated, Volume

_SPLIT, _VALIDATION = 7, 8
"""Streams of the seeds of the splits and of the validation planes."""


@dataclass(frozen=True)
class Study:
    """What a run is made of and scored on.

    Attributes:
        volumes: all by name; images are standardised.
        test: names of those held out.
        annotated: of each repeat, the annotation of the volumes that it trains on.
        train: of each repeat, the loader of its examples.
        validation: inputs and labels to validate on, (repeats, examples, ...), labels with `UNKNOWN`.
    """

    volumes: Mapping[str, Volume]
    test: tuple[str, ...]
    annotated: tuple[Annotated, ...]
    train: tuple[Load, ...]
    validation: tuple[np.ndarray, np.ndarray]


def example_batch(config: Config) -> dict[str, jax.ShapeDtypeStruct]:
    """Images and labels (batch, repeats, ...) of planes, or of patches, with the spacing of their voxels."""
    side = (config.plane_size,) * 2 if config.is_planar else (config.patch_size,) * 3
    arrays = {"image": (side, np.float32), "label": (side, np.int8)}
    if not config.is_planar:
        arrays["spacing"] = ((3,), np.float32)
    shape = (config.batch_size, config.num_repeats)
    return {name: jax.ShapeDtypeStruct((*shape, *own), dtype) for name, (own, dtype) in arrays.items()}


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
    """Opens the volumes, preparing what is not in the cache yet, and annotates them once for each repeat.

    The annotation depends on seed, repeat, n_a and n_t alone: both methods get the same. Real data have one
    of the layouts of `standardised_volumes.find_cases`.
    """
    source = find_volumes(config, data_dir)
    arrays = cache.open_source(
        cache_dir / "mpunet", source, source.rest + source.test, source.rest, max_bad_cases
    )
    volumes = {name: Volume(**one) for name, one in arrays.items()}
    study = _make_study(config, seed, volumes, source.test)
    load = side_by_side.stack_loaders(study.train)
    plan = IndexPlan(len(study.annotated[0].image), config.batch_size, seed)
    options = {"process_index": process_index, "process_count": process_count}
    return Data(
        PHANTOM if data_dir is None else data_dir.resolve().name,
        lambda step: pipeline.make_batches(load, plan, first_step=step, executor=executor, **options),
        study,
        bad_cases=tuple(arrays.left_out),
    )


def find_volumes(config: Config, data_dir: Path | None) -> standardised_volumes.VolumeSet:
    """The phantom's volumes, or those of a data directory."""
    sizes = config.volumes
    counts = {"num_rest": sizes.num_train + sizes.num_validation, "num_test": sizes.num_test}
    if data_dir is not None:
        counts["num_rest"] = sizes.num_validation + 1
        return standardised_volumes.files(data_dir, config.dataset, **counts)
    grid = {"shape": sizes.shape, "test_shape": sizes.test_shape, "spacing": sizes.spacing}
    return standardised_volumes.phantom(config.dataset, **counts, **grid)


def _make_study(config: Config, seed: int, volumes: Mapping[str, Volume], test: tuple[str, ...]) -> Study:
    """Splits and annotates anew for every repeat; validates on half as many planes as are annotated."""
    rest = [name for name in volumes if name not in test]
    sizes = {"size": config.plane_size, "min_annotated": config.min_annotated}
    n_a, n_t = config.cell
    annotated, train, validation = [], [], []
    for repeat in range(config.num_repeats):
        order = np.random.default_rng([seed, repeat, _SPLIT]).permutation(len(rest))
        shuffled = [volumes[rest[k]] for k in order]
        own = shuffled[config.volumes.num_validation :]
        held, held_seed = shuffled[: config.volumes.num_validation] or own, (seed, repeat, _VALIDATION)
        one = sparse_annotation.annotate(own, (seed, repeat), num_annotation=n_a, num_training=n_t, **sizes)
        half = max(1, n_a // 2)
        other = sparse_annotation.annotate(held, held_seed, num_annotation=half, num_training=0, **sizes)
        load, rng = _loader(config, held, other), np.random.default_rng(held_seed)
        examples = [load(k, rng) for k in range(half)]
        annotated.append(one)
        train.append(_loader(config, own, one))
        validation.append([np.stack([example[name] for example in examples]) for name in ("image", "label")])
    images, labels = (np.stack(arrays) for arrays in zip(*validation, strict=True))
    return Study(volumes, test, tuple(annotated), tuple(train), (images, labels))


def _loader(config: Config, volumes: list[Volume], annotated: Annotated) -> Load:
    """One repeat's own planes by their numbers, or patches at random around its annotated voxels."""
    if config.is_planar:
        return lambda index, _: {"image": annotated.image[index], "label": annotated.label[index]}
    images, spacings = zip(*((volume.image, volume.spacing) for volume in volumes), strict=True)
    return AnnotatedPatches(images, annotated.known, spacings, config.patch_size, UNKNOWN).load
