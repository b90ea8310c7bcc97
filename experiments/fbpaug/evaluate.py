"""In-domain Dice, agreement within pairs, and lesion volumes."""

from collections.abc import Callable, Iterable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from experiments.contract import Data, Scores
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


def _dice(
    predict: Callable[[np.ndarray], np.ndarray], evaluation: Evaluation, cases: Iterable[str]
) -> dict[str, float]:
    arrays = evaluation.arrays
    return {case: overlap.dice(predict(arrays[case]["image"]), arrays[case]["label"]) for case in cases}


def make_predictor(config: Config, state) -> Callable[[np.ndarray], np.ndarray]:
    """A function from a volume (depth, height, width) in HU to its binary mask, slice by slice."""
    model = make_model(config)

    @jax.jit
    def probabilities(variables, slices):
        logits: Any = model.apply(variables, normalise(slices.astype(jnp.float32)), train=False)
        return jax.nn.sigmoid(logits[..., 0])

    def predict(volume_hu: np.ndarray) -> np.ndarray:
        def apply(slices):
            return probabilities(state.net.variables, slices)

        return slicewise.apply_slicewise(apply, volume_hu, config.batch_size) > _THRESHOLD

    return predict
