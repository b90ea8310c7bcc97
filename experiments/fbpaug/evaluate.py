"""In-domain Dice, agreement within pairs, and lesion volumes."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from experiments.contract import Data, Inference, Scores
from experiments.fbpaug.algorithm import make_model, normalise
from experiments.fbpaug.config import Config
from experiments.fbpaug.data import Evaluation
from jaxmed.infer import slicewise
from jaxmed.metrics import overlap

_THRESHOLD = 0.5


def evaluate(config: Config, state, data: Data) -> Scores:
    """Scores a run by case.

    Returns:
        "dice" of the test cases against their masks; "validation dice" where cases were set aside;
        "agreement", the Dice coefficient of the predictions on the smooth and the sharp image of a
        pair; "volume smooth" and "volume sharp", the predicted lesion volumes, and "volume difference",
        their absolute difference, in ml.
    """
    predict = make_predictor(config, state)
    evaluation: Evaluation = data.evaluation
    scores: dict[str, dict[str, float]] = {"dice": _dice(predict, evaluation, evaluation.test)}
    if evaluation.validation:
        scores["validation dice"] = _dice(predict, evaluation, evaluation.validation)
    for name in ("agreement", "volume smooth", "volume sharp", "volume difference"):
        scores[name] = {}
    for pair in evaluation.pairs:
        arrays = evaluation.arrays[pair]
        smooth, sharp = predict(arrays["smooth"]), predict(arrays["sharp"])
        voxel_ml = float(arrays["voxel_ml"])
        scores["agreement"][pair] = overlap.dice(smooth, sharp)
        scores["volume smooth"][pair] = smooth.sum() * voxel_ml
        scores["volume sharp"][pair] = sharp.sum() * voxel_ml
        scores["volume difference"][pair] = abs(int(smooth.sum()) - int(sharp.sum())) * voxel_ml
    return scores


def _dice(predict: Callable, evaluation: Evaluation, cases: tuple[str, ...]) -> dict[str, float]:
    arrays = evaluation.arrays
    return {case: overlap.dice(predict(arrays[case]["image"]), arrays[case]["label"]) for case in cases}


def make_inference(config: Config, state) -> Inference:
    """The trained network as a function of slices in HU (int16 or float32), of any height and width."""
    model = make_model(config)

    def probabilities(variables, slices):
        logits: Any = model.apply(variables, normalise(slices.astype(jnp.float32)), train=False)
        return jax.nn.sigmoid(logits[..., 0])

    return Inference(
        function=probabilities,
        variables=state.net.variables,
        input_shape=("batch", config.image_size, config.image_size),
        input_dtype="int16",
        inputs="CT slices in HU, resampled to the run's pixel size",
        outputs="probability of a lesion per pixel",
    )


def make_predictor(config: Config, state) -> Callable[[np.ndarray], np.ndarray]:
    """A function from a volume (depth, height, width) in HU to its binary mask, slice by slice."""
    network = make_inference(config, state)
    probabilities = slicewise.make_slicewise(network.function, network.variables, config.batch_size)
    return lambda volume_hu: probabilities(volume_hu) > _THRESHOLD
