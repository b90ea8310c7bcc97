"""Slices with masks or boxes for the segmentation network, patches for the classifier: phantom or files."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import jax
import numpy as np

from data_pipelines import boxed_volumes, cache, foreground_intensity, pipeline, splits
from data_pipelines.box_patches import LabelledPatches
from data_pipelines.index_plan import IndexPlan
from experiments.boxseg.config import Config
from experiments.contract import PHANTOM, Data
from jaxmed.infer import slicewise

_SPLIT_SEED = 42
"""Folds and labelled cases do not depend on the seed of a run."""

Batches = Callable[[int], pipeline.Batches]


@dataclass(frozen=True)
class Study:
    """What a run is made of and scored on.

    Attributes: `arrays` by case, see `boxed_volumes.prepare`; `train` and `test` cases, the former in the
    order in which they are labelled, so that more labels include the fewer; `intensity` (4,), what images
    are normalised with; `open_batches(load, number of examples, batch size)`, batches of the pipeline.
    """

    arrays: Mapping[str, Mapping[str, np.ndarray]]
    train: tuple[str, ...]
    test: tuple[str, ...]
    intensity: np.ndarray
    open_batches: Callable[..., Batches]


def example_batch(config: Config) -> dict[str, jax.ShapeDtypeStruct]:
    """Slices with their neighbours in HU, what normalises them, and their masks or boxes."""
    size = (config.batch_size, config.image_size, config.image_size)
    target = {"box": jax.ShapeDtypeStruct((config.batch_size, 4), np.int32)}
    if config.method == "full":
        target = {"label": jax.ShapeDtypeStruct(size, np.uint8)}
    image = {"image": jax.ShapeDtypeStruct((*size, 3), np.int16)}
    return image | {"intensity": jax.ShapeDtypeStruct((config.batch_size, 4), np.float32)} | target


def patch_batch(config: Config) -> dict[str, jax.ShapeDtypeStruct]:
    """`patch` (batch, p, p) in HU, `intensity` (batch, 4), `label` (batch,)."""
    count, side = config.classifier.batch_size, config.patch_size
    return {
        "patch": jax.ShapeDtypeStruct((count, side, side), np.int16),
        "intensity": jax.ShapeDtypeStruct((count, 4), np.float32),
        "label": jax.ShapeDtypeStruct((count,), np.int32),
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
    """Opens the data; arguments as in `contract.Experiment`.

    Returns:
        Batches of all slices of the training cases with the method's labels, uncorrected, and a `Study`.
    """
    source = phantoms(config) if data_dir is None else boxed_volumes.files(data_dir, config.image_size)
    num_test = max(1, round(config.test_share * len(source.cases)))
    split = splits.hold_out(source.cases, num_test, config.fold, seed=_SPLIT_SEED)
    arrays = cache.open_source(cache_dir / "boxseg", source, source.cases, split.train, max_bad_cases)
    order = np.random.Generator(np.random.Philox(key=_SPLIT_SEED + 1 + config.fold)).permutation(split.train)
    train = tuple(str(case) for case in order if case in arrays)

    def open_batches(load, num_examples: int, batch_size: int) -> Batches:
        plan = IndexPlan(num_examples, batch_size, seed)
        options = {"process_index": process_index, "process_count": process_count}
        return lambda step: pipeline.make_batches(load, plan, first_step=step, executor=executor, **options)

    counts = np.sum([arrays[case]["intensity"] for case in train], axis=0)
    intensity = foreground_intensity.summarise(counts).as_array()
    study = Study(arrays, train, split.test, intensity, open_batches)
    return Data(
        PHANTOM if data_dir is None else data_dir.resolve().name,
        slice_batches(config, study, given_boxes(config, study, train)),
        study,
        bad_cases=tuple(arrays.left_out),
    )


def phantoms(config: Config) -> boxed_volumes.BoxedVolumes:
    """The built-in data."""
    return boxed_volumes.phantoms(image_size=config.image_size, **asdict(config.phantom))


def given_boxes(config: Config, study: Study, cases: Sequence[str]) -> dict[str, np.ndarray]:
    """(depth, 4) boxes of each case that are given: tight ones, or the slices of the 3-D box."""
    name = "boxes" if config.method in ("full", "tight") else "loose_boxes"
    return {case: study.arrays[case][name] for case in cases}


def slice_batches(config: Config, study: Study, boxes: Mapping[str, np.ndarray]) -> Batches:
    """Batches like `example_batch` of all slices of these cases."""
    slices = [(case, index) for case in boxes for index in range(len(boxes[case]))]

    def load(index: int, generator: np.random.Generator) -> dict[str, np.ndarray]:
        case, position = slices[index]
        target = {"box": boxes[case][position].astype(np.int32)}
        if config.method == "full":
            target = {"label": study.arrays[case]["label"][position]}
        image = slicewise.stack_neighbours(study.arrays[case]["image"], [position])[0]
        return {"image": image, "intensity": study.intensity, **target}

    return study.open_batches(load, len(slices), config.batch_size)


def patch_batches(config: Config, study: Study, cases: Sequence[str]) -> Batches:
    """Batches like `patch_batch` of all patches in the 3-D boxes of these cases."""
    patches = LabelledPatches([study.arrays[case] for case in cases], config.patch_size)

    def load(index: int, generator: np.random.Generator) -> dict[str, np.ndarray]:
        return {**patches.load(index, generator), "intensity": study.intensity}

    return study.open_batches(load, len(patches), config.classifier.batch_size)
