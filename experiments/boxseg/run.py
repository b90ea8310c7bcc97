"""The stages of a run: the classifier of patches, the boxes it corrects, the segmentation network."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from data_pipelines.box_patches import correct_boxes
from experiments.boxseg import data
from experiments.boxseg.algorithm import make_algorithm, make_classifier_training
from experiments.boxseg.config import Config
from experiments.boxseg.evaluate import make_patch_classifier
from experiments.contract import Data, Stages
from jaxmed.types import Leaf


@struct.dataclass
class BoxState:
    """The segmentation network, what its images are normalised with, and the classifier, if any."""

    step: Leaf
    net: Any
    intensity: Leaf
    classifier: Any


def run(config: Config, run_data: Data, stages: Stages) -> BoxState:
    """Corrects the boxes where the method asks for it, and trains the segmentation network on them."""
    study: data.Study = run_data.evaluation
    boxes, classifier = data.given_boxes(config, study, study.train), {}
    if config.method == "corrected":
        if config.num_labelled >= len(study.train):
            raise ValueError(f"num_labelled is {config.num_labelled}; wanted below {len(study.train)} cases")
        classifier = stages.fit(
            "classifier",
            make_classifier_training(config.classifier),
            data.patch_batches(config, study, study.train[: config.num_labelled]),
            num_steps=config.classifier.num_steps,
            example_batch=data.patch_batch(config),
        ).net.variables
        boxes = stages.keep("boxes", lambda: _corrected(config, classifier, study))
    state = stages.fit(
        "segmenter",
        make_algorithm(config, run_data),
        data.slice_batches(config, study, boxes),
        num_steps=config.num_steps,
        example_batch=data.example_batch(config),
    )
    return BoxState(state.step, state.net, jnp.asarray(study.intensity), classifier)


def _corrected(config: Config, classifier: Any, study: data.Study) -> dict[str, np.ndarray]:
    """Boxes of all training cases; those whose masks are known have tight ones."""
    classify = make_patch_classifier(config, classifier, study.intensity)
    boxes = {case: study.arrays[case]["boxes"] for case in study.train[: config.num_labelled]}
    for case in study.train[config.num_labelled :]:
        boxes[case] = correct_boxes(study.arrays[case], config.patch_size, classify)[0]
    return boxes


def init_state(config: Config, key: jax.Array) -> BoxState:
    """Untrained networks; images pass as if their mean were 0 and their deviation 100 HU."""

    def init(algorithm, batch):
        return algorithm.init(key, {name: jnp.zeros(one.shape, one.dtype) for name, one in batch.items()})

    state, classifier = init(make_algorithm(config, None), data.example_batch(config)), {}
    if config.method == "corrected":
        training = make_classifier_training(config.classifier)
        classifier = init(training, data.patch_batch(config)).net.variables
    return BoxState(state.step, state.net, jnp.array([-1000.0, 1000.0, 0.0, 100.0]), classifier)
