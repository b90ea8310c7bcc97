"""Dice of the test volumes, and how tight the boxes of the method are."""

import functools
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from data_pipelines import box_patches
from experiments.boxseg import algorithm, data
from experiments.boxseg.config import Classifier, Config, without_labels
from experiments.contract import Data, Inference, Scores
from jaxmed.augment import intensity
from jaxmed.infer import slicewise
from jaxmed.metrics import overlap
from jaxmed.ops import boxes as box_ops


def evaluate(config: Config, state, run_data: Data) -> Scores:
    """Scores by test case: "dice"; "box iou" of the method's boxes, 1 by definition where they are tight."""
    study: data.Study = run_data.evaluation
    segment, boxes = make_segmenter(config, state), data.given_boxes(config, study, study.test)
    if config.method == "corrected":
        classify = make_patch_classifier(config, state.classifier, state.intensity)
        for case in study.test:
            boxes[case] = box_patches.correct_boxes(study.arrays[case], config.patch_size, classify)[0]
    scores: dict[str, dict[str, float]] = {"dice": {}, "box iou": {}}
    for case in study.test:
        arrays = study.arrays[case]
        scores["dice"][case] = overlap.dice(segment(arrays["image"]), arrays["label"])
        scores["box iou"][case] = box_tightness(boxes[case], arrays)
    return scores


def box_tightness(boxes: np.ndarray, arrays: Mapping[str, np.ndarray]) -> float:
    """Mean intersection over union of (depth, 4) boxes with the tight ones over the slices of the 3-D box."""
    inside = slice(int(arrays["box"][0]), int(arrays["box"][3]))
    return float(box_ops.box_iou(*(jnp.asarray(one[inside]) for one in (boxes, arrays["boxes"]))).mean())


def make_inference(config: Config, state) -> Inference:
    """The trained segmentation network as a function of slices with their neighbours in HU."""
    return Inference(
        function=_segmentation(without_labels(config)),
        variables={**state.net.variables, "intensity": state.intensity},
        input_shape=("batch", config.image_size, config.image_size, 3),
        input_dtype="int16",
        inputs="CT slices in HU with those below and above them, resampled to the run's number of pixels",
        outputs="probability of the object per pixel of the middle slice",
    )


@functools.lru_cache(maxsize=8)
def _segmentation(config: Config) -> Callable[[Any, Any], Any]:
    model = algorithm.make_model(config)

    def probabilities(variables, slices):
        network = {"params": variables["params"], "batch_stats": variables["batch_stats"]}
        inputs = intensity.normalise_by(slices, variables["intensity"][None])
        outputs: Any = model.apply(network, inputs, train=False)
        return jax.nn.sigmoid(algorithm.log_odds(outputs))

    return probabilities


def make_segmenter(config: Config, state) -> Callable[[np.ndarray], np.ndarray]:
    """A function from a volume (depth, height, width) in HU to its binary mask."""
    network = make_inference(config, state)
    probabilities = slicewise.make_stackwise(network.function, network.variables, config.batch_size)
    return lambda volume_hu: probabilities(volume_hu) > 0.5


def make_patch_classifier(config: Config, variables: Any, normalisation: Any) -> Callable:
    """A function from patches (count, p, p) in HU to their probabilities of being foreground, (count,)."""
    variables = {**variables, "intensity": jnp.asarray(normalisation)}
    return slicewise.make_slicewise(
        _classification(config.classifier), variables, 16 * config.classifier.batch_size
    )


@functools.lru_cache(maxsize=8)
def _classification(settings: Classifier) -> Callable[[Any, Any], Any]:
    model = algorithm.make_classifier(settings)

    def probabilities(variables, patches):
        inputs = intensity.normalise_by(patches, variables["intensity"][None])[..., None]
        logits: Any = model.apply({"params": variables["params"]}, inputs, train=False)
        return jax.nn.softmax(logits)[:, 1]

    return probabilities
