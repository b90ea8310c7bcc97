"""Aneurysms found in whole volumes, at every threshold, and the scores of patches."""

import functools
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import jax
import numpy as np

from data_pipelines import sphere_patches
from data_pipelines.sphere_patches import FULL_SCALE, Cases
from experiments.aneurysm.algorithm import make_model
from experiments.aneurysm.config import Config, Phantom
from experiments.aneurysm.data import Evaluation
from experiments.contract import Data, Inference, Scores
from jaxmed.infer import sliding_window
from jaxmed.infer.spread import Spread
from jaxmed.metrics import confusion, detection, overlap

THRESHOLDS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99)
"""Of the FROC curve."""

MAX_FALSE_POSITIVES = 4.0
"""Up to which the area under it is taken; the paper does not say."""

_OVERLAP = 1 / 3
"""Of windows of 48 voxels: 16, of which each window gives up 8, so that their central 32 are kept."""

_SMALL_MM = 3.0
"""The paper's limit of 2 mm leaves the demo too few; 60 of its 155 aneurysms are below 3 mm."""

_BY_SIZE = ("sensitivity below 3 mm", "sensitivity from 3 mm")


def evaluate(config: Config, state, data: Data) -> Scores:
    """Scores a run.

    Returns:
        Of each test case: "sensitivity" (where it has aneurysms) and "false positives" at the config's
        threshold, "sensitivity at t" and "false positives at t" at each of `THRESHOLDS`, "component voxels",
        the mean size of what was predicted (0 if nothing). Of each aneurysm: "sensitivity below 3 mm" and
        "sensitivity from 3 mm"; NaN where there is none. Of the run: "AUC", "best threshold" with its
        "sensitivity at best" and "false positives at best"; "patch TP" and so on of the test patches; "dice",
        "kappa" and "soft dice" of the voxels of validation patches, of test patches if none are set aside.
    """
    evaluation: Evaluation = data.evaluation
    scores = _volume_scores(config, make_predictor(config, state), evaluation)
    scores |= _froc_scores(scores)
    patches = list(_predict_patches(config, state, evaluation.arrays, evaluation.test))
    is_found = np.array([(probability > config.threshold).any() for probability, _ in patches])
    is_there = np.array([label.any() for _, label in patches])
    counts = confusion.count(is_found, is_there)
    for name, number in zip(("TP", "FP", "FN", "TN"), counts, strict=True):
        scores[f"patch {name}"] = {"all": float(number)}
    cases = evaluation.validation
    watched = list(_predict_patches(config, state, evaluation.arrays, cases)) if cases else patches
    return scores | _voxel_scores(config, watched)


def _volume_scores(config: Config, predict: Callable, evaluation: Evaluation) -> dict[str, dict[str, float]]:
    # A test set may have no aneurysm, or none of a size: then there is nothing to average.
    found: dict[str, dict[str, float]] = {name: {} for name in ("sensitivity", *_BY_SIZE)}
    for case in evaluation.test:
        arrays = evaluation.arrays[case]
        probability, spheres = predict(arrays["image"] / np.float32(FULL_SCALE)), arrays["spheres"]
        lesions = detection.label_components(sphere_patches.mask_of(spheres, probability.shape))
        for suffix, threshold in [*((f" at {t:g}", t) for t in THRESHOLDS), ("", config.threshold)]:
            mask = probability > threshold
            result = detection.detect(mask, lesions)
            found.setdefault(f"false positives{suffix}", {})[case] = float(len(result.false_centres))
            if len(result.found):
                found.setdefault(f"sensitivity{suffix}", {})[case] = float(result.found.mean())
        components = int(detection.label_components(mask).max())
        found.setdefault("component voxels", {})[case] = float(mask.sum() / max(components, 1))
        for number, sphere in enumerate(spheres):
            name = _BY_SIZE[int(2 * sphere[3] * config.voxel_mm >= _SMALL_MM)]
            is_found = result.found[lesions[tuple(np.rint(sphere[:3]).astype(int))] - 1]
            found[name][f"{case} {number}"] = float(is_found)
    return {name: values or {"none": float("nan")} for name, values in found.items()}


def froc_of(scores: Iterable[Scores]) -> detection.Froc:
    """The FROC curve of the cases of one run, or of several together.

    Raises:
        ValueError: if no case has an aneurysm.
    """
    cases = [(one, case) for one in scores for case in one["false positives"]]
    false_positives, sensitivity = (
        np.array(
            [[one.get(f"{kind} at {t:g}", {}).get(case, np.nan) for one, case in cases] for t in THRESHOLDS]
        )
        for kind in ("false positives", "sensitivity")
    )
    return detection.average_cases(np.array(THRESHOLDS), false_positives, sensitivity)


def _froc_scores(scores: Scores) -> dict[str, dict[str, float]]:
    names = ("AUC", "best threshold", "sensitivity at best", "false positives at best")
    if not any(np.isfinite(list(scores["sensitivity"].values()))):
        return {name: {"all": float("nan")} for name in names}
    froc = froc_of([scores])
    best = detection.nearest_corner(froc)
    point = (froc.threshold[best], froc.sensitivity[best], froc.false_positives[best])
    values = (detection.area(froc, MAX_FALSE_POSITIVES), *point)
    return {name: {"all": float(value)} for name, value in zip(names, values, strict=True)}


def _voxel_scores(config: Config, patches: list) -> dict[str, dict[str, float]]:
    """Dice and kappa of the thresholded voxels of all patches, and the Dice coefficient that Keras shows.

    The last is averaged over batches, most of which hold no label.
    """
    counts = [confusion.count(probability > config.threshold, label) for probability, label in patches]
    total = confusion.Confusion(*map(sum, zip(*counts, strict=True)))
    starts = range(0, len(patches), config.batch_size)
    batches = (map(np.stack, zip(*patches[i : i + config.batch_size], strict=True)) for i in starts)
    soft = float(np.mean([overlap.soft_dice(probability, label) for probability, label in batches]))
    values = {"dice": confusion.dice(total), "kappa": confusion.cohen_kappa(total), "soft dice": soft}
    return {name: {"all": value} for name, value in values.items()}


def _predict_patches(config: Config, state, arrays: Cases, cases: tuple[str, ...]):
    """Probability and label of each patch of the cases, one for each aneurysm, without augmentation."""
    network, size = make_inference(config, state), (config.patch_size,) * 3
    centres = sphere_patches.list_centres(arrays, cases, config.num_negatives)
    spread = Spread(network.function, network.variables, config.batch_size)
    parts = [centres[i : i + spread.batch_size] for i in range(0, len(centres), spread.batch_size)]
    images = (np.stack([sphere_patches.cut(arrays, one, size)["image"] for one in part]) for part in parts)
    outputs = spread(batch / np.float32(FULL_SCALE) for batch in images)
    for part, probabilities in zip(parts, outputs, strict=True):
        for centre, probability in zip(part, probabilities, strict=True):
            yield probability, sphere_patches.label_of(arrays, centre, size)


@functools.lru_cache(maxsize=8)
def _network(config: Config) -> Callable:
    model = make_model(config)

    def probabilities(variables, windows):
        logits: Any = model.apply(variables, windows[..., None], train=False)
        return jax.nn.sigmoid(logits[..., 0])

    return probabilities


def make_inference(config: Config, state) -> Inference:
    """The trained network as a function of windows of an angiogram, of any size."""
    return Inference(
        function=_network(replace(config, method="proposed", fold=0, num_validation=0, phantom=Phantom())),
        variables=state.net.variables,
        input_shape=("batch", *(config.patch_size,) * 3),
        input_dtype="float32",
        inputs="windows of a TOF-MRA volume on cubes of the run's voxel size, scaled to 0..1 as a whole",
        outputs="probability of an aneurysm per voxel",
    )


def make_predictor(config: Config, state) -> Callable[[np.ndarray], np.ndarray]:
    """A function from a volume (depth, height, width) in [0, 1] to its probabilities, window by window."""
    network = make_inference(config, state)
    return sliding_window.make_sliding_window(
        network.function,
        network.variables,
        (config.patch_size,) * 3,
        config.batch_size,
        overlap=_OVERLAP,
        weighting="centre",
    )
