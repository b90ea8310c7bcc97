"""What a network says about images, and the scores of a run."""

import functools

import jax
import numpy as np

from experiments.activelearn.algorithm import crop_centre, make_model
from experiments.activelearn.config import Config, without_method
from experiments.contract import Data, Inference, Scores
from jaxmed.infer.spread import Spread
from jaxmed.metrics import classification
from jaxmed.models.classifier import Classifier

_IMAGES_AT_A_TIME = 256


def predict_images(config: Config, state, images: np.ndarray, positions: np.ndarray):
    """Class probabilities and embeddings of images[positions], in evaluation mode without augmentation.

    Returns:
        (n, classes) probabilities and (n, features) inputs of the last layer.
    """
    spread = Spread(_network(without_method(config)), state.net.variables, _IMAGES_AT_A_TIME)
    parts = [positions[i : i + spread.batch_size] for i in range(0, len(positions), spread.batch_size)]
    found = list(spread(images[part] for part in parts))
    return tuple(np.concatenate(arrays) for arrays in zip(*found, strict=True))


@functools.lru_cache(maxsize=8)
def _network(config: Config):
    model = make_model(config)

    def apply(variables, images):
        embedding = model.apply(variables, crop_centre(config, images), method=Classifier.embed)
        logits: jax.Array = model.apply(variables, embedding, method=Classifier.logits)  # pyright: ignore[reportAssignmentType]
        return jax.nn.softmax(logits), embedding

    return apply


def make_inference(config: Config, state) -> Inference:
    """The trained network as a function of stored images."""
    apply = _network(without_method(config))
    study = config.chosen
    return Inference(
        function=lambda variables, images: apply(variables, images)[0],
        variables=state.net.variables,
        input_shape=("batch", study.stored_size, study.stored_size, study.channels),
        input_dtype="uint8",
        inputs="images, 0 to 255",
        outputs="probability of each class",
    )


def measure(config: Config, state, data: Data) -> dict[str, np.ndarray | float]:
    """Accuracy and balanced accuracy on the test images, which are as unbalanced as the pool."""
    pool = data.evaluation
    probabilities, _ = predict_images(config, state, pool.images.images, pool.test)
    predicted, labels = probabilities.argmax(axis=1), pool.images.labels[pool.test]
    return {
        "accuracy": float(np.mean(predicted == labels)),
        "balanced accuracy": classification.balanced_accuracy(predicted, labels, config.chosen.num_classes),
    }


def evaluate(config: Config, state, data: Data) -> Scores:
    """Scores a run in percent: after the last round, and of round k as "accuracy, round k" and so on.

    "queried c, round k" counts the images of class c that were added for that round, at random for round 0;
    the shares of the largest and smallest class are among all that was added later.
    """
    rounds = range(config.num_rounds + 1)
    scores: dict[str, dict[str, float]] = {}
    for metric, values in (("accuracy", state.accuracy), ("balanced accuracy", state.balanced_accuracy)):
        percent = 100 * np.asarray(values, np.float64)
        scores[metric] = {"all": float(percent[-1])}
        scores |= {f"{metric}, round {k}": {"all": float(percent[k])} for k in rounds}
    counts = np.asarray(state.queried)
    for name, column in zip(data.evaluation.images.classes, counts.T, strict=True):
        scores |= {f"queried {name}, round {k}": {"all": float(column[k])} for k in rounds}
    sizes = np.bincount(data.evaluation.images.labels[data.evaluation.pool], minlength=counts.shape[1])
    shares = 100 * counts[1:].sum(axis=0) / max(counts[1:].sum(), 1)
    scores["share of the largest class"] = {"all": float(shares[sizes.argmax()])}
    scores["share of the smallest class"] = {"all": float(shares[sizes.argmin()])}
    return scores
