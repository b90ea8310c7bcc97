"""Overlap on the volumes held out, and how much was annotated."""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np

from experiments.contract import Data, Inference, Scores
from experiments.mpunet.algorithm import make_model, without_cell
from experiments.mpunet.config import Config
from experiments.mpunet.data import Study
from experiments.mpunet.run import CellState
from jaxmed.infer.multi_view import make_multi_view
from jaxmed.infer.sliding_window import make_sliding_window
from jaxmed.metrics import overlap
from jaxmed.ops import oblique
from jaxmed.ops.sparse_annotation import UNKNOWN

METRICS = {name: getattr(overlap, name) for name in ("dice", "sensitivity", "specificity")}

ANNOTATED, LOG_ANNOTATED = "annotated pixels", "annotated pixels, log10"

_THRESHOLD = 0.5
_AT_ONCE = 16
_VIEWS_KEY = 20

Predictor = Callable[[np.ndarray, Sequence[float]], np.ndarray]


def evaluate(config: Config, state: CellState, data: Data) -> Scores:
    """Scores a cell by repeat.

    Returns:
        "dice", "sensitivity" and "specificity" of each repeat, means over the test volumes; the same by
        volume (" by volume"); "annotated pixels" of the training planes, or voxels for the 3-D network, and
        their decimal logarithm; "validation loss".
    """
    study: Study = data.evaluation
    scores: dict[str, dict[str, float]] = {}
    for repeat, annotated in enumerate(study.annotated):
        name, predict = f"repeat {repeat}", make_predictor(config, state, repeat)
        volumes = {test: study.volumes[test] for test in study.test}
        masks = {test: predict(one.image, one.spacing.tolist()) for test, one in volumes.items()}
        for metric, measure in METRICS.items():
            values = {test: measure(mask, study.volumes[test].label) for test, mask in masks.items()}
            scores.setdefault(metric, {})[name] = float(np.mean(list(values.values())))
            by_volume = scores.setdefault(f"{metric} by volume", {})
            by_volume.update({f"{name} {test}": value for test, value in values.items()})
        seen = [annotated.label] if config.is_planar else annotated.known
        count = sum(int((label != UNKNOWN).sum()) for label in seen)
        scores.setdefault(ANNOTATED, {})[name] = float(count)
        scores.setdefault(LOG_ANNOTATED, {})[name] = float(np.log10(count))
        scores.setdefault("validation loss", {})[name] = float(state.validation_loss[repeat])
    return scores


def make_inference(config: Config, state: CellState, repeat: int | None = None) -> Inference:
    """One repeat's network as a function of standardised planes or cubes; the best on validation if None."""
    number = int(np.argmin(state.validation_loss)) if repeat is None else repeat
    side, rank = (config.plane_size, 2) if config.is_planar else (config.patch_size, 3)
    return Inference(
        function=_probabilities(without_cell(config)),
        variables=jax.tree.map(lambda leaf: leaf[number], state.variables),
        input_shape=("batch", *(side,) * rank),
        input_dtype="float32",
        inputs=f"{'planes' if rank == 2 else 'cubes'} of volumes that have mean 0 and standard deviation 1",
        outputs="probability of the structure per pixel",
    )


@functools.lru_cache(maxsize=8)
def _probabilities(config: Config) -> Callable[[Any, jax.Array], jax.Array]:
    model = make_model(config)

    def apply(variables: Any, images: jax.Array) -> jax.Array:
        logits: Any = model.apply(variables, images[..., None], train=False)
        return jax.nn.sigmoid(logits[..., 0])

    return apply


def make_predictor(config: Config, state: CellState, repeat: int | None = None) -> Predictor:
    """A function from a standardised volume and its spacing to the binary mask.

    The mean probability, over the same random orientations for all or over windows, exceeds 1/2.
    """
    network = make_inference(config, state, repeat)
    parts = (network.function, network.variables)
    if not config.is_planar:
        windows = make_sliding_window(*parts, (config.patch_size,) * 3, _AT_ONCE)
        return lambda volume, spacing: windows(volume) > _THRESHOLD
    views = np.asarray(oblique.draw_rotations(jax.random.key(_VIEWS_KEY), config.num_views))
    fused = make_multi_view(*parts, views, _AT_ONCE, multiple=2 ** (len(config.widths) - 1))
    return lambda volume, spacing: fused(volume, spacing) > _THRESHOLD
